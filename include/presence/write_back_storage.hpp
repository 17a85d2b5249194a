/// A storage in front of another one that acknowledges changes at once and writes them later, many rows in
/// one transaction (write-back; features T05, M02). What it holds back is the net change: a publication
/// that was refreshed a hundred times is one row operation, one that came and went is none.
///
/// What a crash takes: everything since the last flush. Publishers are then answered 412 and publish again,
/// watchers 481 and subscribe again, and who had left gets one NOTIFY too many. Numbers of NOTIFYs are
/// never used twice: reservations for rows that are stored are passed on at once. They are few, because an
/// engine in this mode reserves far more numbers at once.
///
/// One engine writes such a database, and nobody else: what changes behind it is not noticed, and is
/// overwritten. Memory: the rows held back, so no more than what the engine holds and the database has.
#pragma once

#include <cstddef>
#include <memory>

#include <presence/storage.hpp>

namespace presence {

class net_change;

class write_back_storage : public storage {
 public:
  /// `rows` must outlive this object. What is held back when it ends is lost: flush() first.
  explicit write_back_storage(storage& rows);
  ~write_back_storage() override;

  /// Reads see what was applied: they flush first, and fail if that fails.
  result<void, storage_error> publications(const row_filter&, cursor& at, std::size_t limit,
                                           std::vector<publication_row>& out) override;
  result<void, storage_error> subscriptions(const row_filter&, cursor& at, std::size_t limit,
                                            std::vector<subscription_row>& out) override;
  result<void, storage_error> watchers(const row_filter&, cursor& at, std::size_t limit,
                                       std::vector<watcher_row>& out) override;
  result<std::size_t, storage_error> sweep(instant before, const std::vector<std::string>& known) override;

  /// Never says conflict, and fails only if it has reservations to pass on. Cost: logarithmic in what is held
  /// back, per row operation.
  result<void, storage_error> apply(const change& what) override;

  /// Writes at most `most` row operations, in one transaction. What could not be written stays held back.
  result<void, storage_error> flush(std::size_t most) override;
  std::size_t held_back() const noexcept override;

 private:
  result<void, storage_error> write(const change& what);
  result<void, storage_error> flush_all();

  storage& rows_;
  std::unique_ptr<net_change> held_;
};

}  // namespace presence
