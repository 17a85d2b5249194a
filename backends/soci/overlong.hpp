/// Kamailio's columns have a width, and addresses, Call-IDs and tags may be longer. Such a value
/// stands in its column as its beginning and a digest of all of it, so that it is still compared
/// and indexed exactly; the whole value is kept in the row's own column x_long. Every database
/// does the same, whether it would enforce the width or not.
///
/// x_long only *adds* to Kamailio's columns: a value is put back only where the column still holds
/// its digest, so that a row Kamailio has changed meanwhile reads as Kamailio wrote it.
#pragma once

#include <string>
#include <string_view>

#include "columns.hpp"

namespace presence::sql {

/// Shortens the value of a column, if it is wider than Kamailio's column of that name.
void fit(std::string_view column, text& value);
inline void fit(std::string_view column, nullable<text>& value) { fit(column, value.value); }
template <class T>
void fit(std::string_view, T&) {}

/// Shortens the key columns of a row.
template <class C>
void fit_key(C& row) {
  C::key(row, [](std::string_view name, auto& value) { fit(name, value); });
}

/// Shortens every column of a row that needs it, and assigns x_long.
void fold(publication_columns&);
void fold(subscription_columns&);
void fold(watcher_columns&);
void fold(state_columns&);

/// The reverse.
void unfold(publication_columns&);
void unfold(subscription_columns&);
void unfold(watcher_columns&);
void unfold(state_columns&);

/// SHA-256, in hexadecimal digits.
std::string sha256(std::string_view message);

}  // namespace presence::sql
