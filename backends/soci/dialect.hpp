/// What differs between databases, as data: one constant per database. Everything else in this
/// directory is written once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <presence/result.hpp>
#include <presence/storage.hpp>
#include <span>
#include <string>
#include <string_view>

#include "soci_storage.hpp"

namespace presence::sql {

/// What SOCI can tell of an error without its backend's library being linked.
enum class complaint : std::uint8_t { connection, statement, constraint, other };

/// How a change with several rows of a kind is written.
enum class batching : std::uint8_t {
  none,      ///< row by row: the statement is prepared, and nothing is gained by another way
  arrays,    ///< in one statement, each column's values as one array parameter
  literals,  ///< in one statement, values as literals
};

/// A statement at the begin of each connection. {ms} {s} are busy_timeout; {work} {work_s} the time a
/// statement may take in all, 0 for no limit.
struct preparation {
  enum class when : std::uint8_t { always, writing, reading, durable, deferred } wanted = when::always;
  std::string_view statement = {};
};

struct dialect {
  std::string_view scheme;   ///< of db_url
  std::string_view name;     ///< in messages
  std::string_view backend;  ///< SOCI's name of it
  std::string_view package;  ///< Debian package of SOCI's backend

  // --- schema
  std::string_view id_type;
  std::string_view blob_type;
  std::string_view table_options;
  bool prefixed_indexes;  ///< names of indexes are unique in the database, not in the table
  bool partial_indexes;
  bool transactional_schema;  ///< else a table is made in one statement, indexes and all
  bool folds_names;           ///< names are lower-case, however they are written
  std::string_view tables;   ///< query: names of all tables
  std::string_view columns;  ///< query: names of the columns of :table
  std::string_view widths;  ///< query: `name:width` of text columns of :table; 0: refuses NULL and should not
  std::string_view widen;   ///< {column} of {t} becomes {type}{null}, or {whole}
  std::string_view mending;  ///< query: statements that make :table fit, as it is too narrow for us

  // --- statements
  std::span<const preparation> preparations;
  std::string_view doubts;                   ///< query: why a commit might not survive a power failure
  std::string_view begin;                    ///< begins a transaction that is going to write
  std::string_view wide_type;                ///< for CAST: a 64-bit number
  std::string_view on_duplicate, new_value;  ///< of an insert that replaces: {key} and {name}
  std::string_view collation;                ///< of text columns, where literals have another
  batching many;
  std::size_t fewest;  ///< rows to update or end that are worth such a statement

  // --- values
  bool utf8_only;             ///< text columns refuse other bytes, and NUL
  bool hex_bytes;             ///< binary columns are text on the wire
  bool numbers_as_text;       ///< SOCI is slow to read numbers: they are read as text
  std::string_view of_bytes;  ///< stands before a binary parameter

  /// Tells a fault by the complaint and the database's own message.
  storage_fault (*fault)(complaint, std::string_view message);
};

/// Whether it says that one of two transactions had to give way. PostgreSQL's language is the server's: in any other
/// than English a deadlock stays unavailable.
bool gave_way(std::string_view message);

/// Whether it says that nobody knows what became of a change, whatever the session answers afterwards: a pooler keeps the
/// session of who asked, and a distributed engine says so in words (SQLSTATE 40003).
bool doubtful(std::string_view message);

/// Whether it says that what would have made a change stand was refused, also where no ROLLBACK tells (SQLite's own
/// transaction around a single statement): an I/O error does not, for the end of the log may be there.
bool refused(std::string_view message);

extern const dialect sqlite, postgresql, mariadb;

}  // namespace presence::sql
