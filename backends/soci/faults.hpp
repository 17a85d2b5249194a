/// What went wrong with a database, in the library's words.
#pragma once

#include <presence/storage.hpp>
#include <string>
#include <utility>

#include "target.hpp"

namespace presence::sql {

using outcome = result<void, storage_error>;

inline unexpected<storage_error> fault(storage_fault which, std::string said) {
  return {storage_error{which, std::move(said)}};
}

/// From an exception in flight. Values of rows stay out of the log: SOCI adds the statement with them to what(), databases
/// add them in later lines, and to a conflict in the first one too. `connected`: the session had been opened.
storage_error caught(const target& to, bool connected);

/// SQLite makes a file that is not there; only create_schema() may.
outcome file_must_exist(const target& to);

}  // namespace presence::sql
