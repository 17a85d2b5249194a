// The storage as the engine asks it: every call is counted, many rows are read page by page, and what cannot be read
// is thrown.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <presence/storage.hpp>

namespace presence {

/// The storage cannot be read now: what a call needs is not in memory.
struct unreadable : std::runtime_error {
  explicit unreadable(const storage_error& e) : std::runtime_error{e.text} {}
};

inline constexpr std::size_t page_rows = 500;  ///< read or written at once

class database {
 public:
  /// `rows` may be null: then there is none, and nothing may be asked. `calls` counts.
  database(storage* rows, std::uint64_t& calls) noexcept : rows_{rows}, calls_{calls} {}

  bool there() const noexcept { return rows_ != nullptr; }
  /// For one call.
  storage* operator->() noexcept {
    ++calls_;
    return rows_;
  }

  /// Every row that the filter wants. Throws unreadable.
  template <class Row, class F>
  void each_row(const row_filter& wanted, F take) {
    each_page<Row>(wanted, [&](std::vector<Row>& page) {
      for (Row& row : page) take(std::move(row));
    });
  }
  /// The same for each page, `take(std::vector<Row>&)`.
  template <class Row, class F>
  void each_page(const row_filter& wanted, F take) {
    std::vector<Row> page;
    for (cursor at; !at.done; page.clear()) {
      if (const auto done = read(wanted, at, page_rows, page); !done) throw unreadable{done.error()};
      take(page);
    }
  }
  /// One page, as the storage's verbs for each kind of rows.
  template <class Row>
  result<void, storage_error> read(const row_filter& wanted, cursor& at, std::size_t limit, std::vector<Row>& out) {
    if constexpr (std::is_same_v<Row, publication_row>) return (*this)->publications(wanted, at, limit, out);
    else if constexpr (std::is_same_v<Row, subscription_row>) return (*this)->subscriptions(wanted, at, limit, out);
    else return (*this)->watchers(wanted, at, limit, out);
  }
  /// What is known of a state as a whole. Throws unreadable.
  state_mark mark(std::string_view resource, std::string_view event) {
    auto found = (*this)->mark(resource, event);
    if (!found) throw unreadable{found.error()};
    return *std::move(found);
  }

 private:
  storage* rows_;
  std::uint64_t& calls_;
};

}  // namespace presence
