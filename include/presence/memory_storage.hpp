/// Rows held in this process's memory, with the exact semantics of the storage port. It stands in
/// for a database where none is wanted: in tests, in simulations, and for an engine that is
/// replaced by another one in the same process. Nothing survives the process.
///
/// An engine without any storage is faster and needs less memory; this class is a storage for
/// those who want one, not the engine's own memory.
#pragma once

#include <memory>

#include <presence/storage.hpp>

namespace presence {

/// One caller at a time. apply() is atomic also when memory runs out in the middle of it, unless
/// putting the old rows back needs memory too; then, and only then, does it end with std::bad_alloc
/// and half a change.
class memory_storage : public storage {
 public:
  memory_storage();
  ~memory_storage() override;
  memory_storage(memory_storage&&) noexcept;
  memory_storage& operator=(memory_storage&&) noexcept;

  /// Cost of a page: with a resource in the filter, the rows of that resource; else the rows passed.
  result<void, storage_error> publications(const row_filter&, cursor& at, std::size_t limit,
                                           std::vector<publication_row>& out) override;
  result<void, storage_error> subscriptions(const row_filter&, cursor& at, std::size_t limit,
                                            std::vector<subscription_row>& out) override;
  result<void, storage_error> watchers(const row_filter&, cursor& at, std::size_t limit,
                                       std::vector<watcher_row>& out) override;

  /// Never fail. Cost of due(): all rows.
  result<void, storage_error> due(const due_filter& want, const std::vector<std::string>& known, std::size_t limit,
                                  std::vector<state_name>& out) override;
  result<state_mark, storage_error> mark(std::string_view resource, std::string_view event) override;

  /// Fails only with storage_fault::conflict. Cost: logarithmic per row operation.
  result<void, storage_error> apply(const change& what) override;

  /// Never fails. Cost: all rows.
  result<std::size_t, storage_error> sweep(instant before, const std::vector<std::string>& known) override;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace presence
