/// Every row that a storage has.
#pragma once

#include <cstddef>
#include <presence/storage.hpp>
#include <stdexcept>
#include <type_traits>
#include <vector>

namespace presence::test {

/// Of one kind, as far as the filter wants them, read page by page.
template <class Row>
std::vector<Row> all_rows(storage& rows, const row_filter& wanted = {}, std::size_t limit = 100) {
  std::vector<Row> all;
  for (cursor at; !at.done;) {
    result<void, storage_error> read;
    if constexpr (std::is_same_v<Row, publication_row>) read = rows.publications(wanted, at, limit, all);
    else if constexpr (std::is_same_v<Row, subscription_row>) read = rows.subscriptions(wanted, at, limit, all);
    else read = rows.watchers(wanted, at, limit, all);
    if (!read) throw std::runtime_error{"rows cannot be read: " + read.error().text};
  }
  return all;
}

}  // namespace presence::test
