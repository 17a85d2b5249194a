/// Rows in an SQL database, reached through SOCI. The tables are those of Kamailio 5.6's presence
/// module, column for column, so that it and this library can read each other's rows; a few further
/// columns of our own, all nullable and named x_*, keep exactly what Kamailio's would lose.
///
/// SQLite, PostgreSQL (15) and MariaDB (10.11). SOCI loads the database's library when a storage
/// is opened, so neither it nor SOCI shows in this header or in a program that only includes it.
///
///   create_schema(settings)         once, when the host is installed; never behind its back
///   migrate_schema(settings)        once, on a database that Kamailio or an earlier version has made
///   open_soci_storage(settings)     at each start; hand the result to the engine
#pragma once

#include <cstdint>
#include <memory>
#include <presence/options.hpp>
#include <presence/result.hpp>
#include <presence/storage.hpp>
#include <presence/time.hpp>
#include <string>

namespace presence {

/// What a power failure may take (a crash of the program alone takes nothing in either mode). On MariaDB the
/// server decides (innodb_flush_log_at_trx_commit).
enum class durability : std::uint8_t {
  full,   ///< nothing apply() has acknowledged: each one waits for the disk
  normal  ///< the last changes, but never half of one: commits do not wait for the disk
};

struct soci_settings {
  /// `sqlite:///absolute/path`, `postgres://user:password@host:port/database` or `mysql://...`, as Kamailio
  /// writes them. Errors never repeat it.
  std::string db_url = {};
  /// Plain identifiers: letters, digits and `_`, at most 32 characters.
  std::string presentity_table = "presentity";
  std::string active_watchers_table = "active_watchers";
  std::string watchers_table = "watchers";
  std::string states_table = "presence_states";  ///< ours; engines with fallback2db or subs_db_mode 3 use it
  durability commit = durability::full;
  seconds busy_timeout{5};  ///< how long to wait for another writer before storage_fault::unavailable
  bool read_only = false;   ///< every write fails with unavailable; create_schema() and migrate_schema() too

  /// The database settings among an engine's options; the rest at their defaults.
  static soci_settings from(const options& settings);
};

/// Counts since a storage was opened. Each statement is one round trip where there is a network.
struct storage_counters {
  std::uint64_t statements = 0;    ///< all that were executed, BEGIN, COMMIT and ROLLBACK included
  std::uint64_t transactions = 0;  ///< of which BEGIN
  std::uint64_t rows_read = 0;
  std::uint64_t conflicts = 0;  ///< calls that ended with storage_fault::conflict
  std::uint64_t faults = 0;     ///< calls that ended with another fault
  std::uint64_t connects = 0;   ///< times the database was opened; more than 1: it was lost
};

/// A storage on an SQL database. One caller at a time; several of them, in any number of processes,
/// may share a database. No call throws anything but std::bad_alloc. After a fault the object stays
/// usable: what was begun is rolled back, and a lost connection is made anew by the next call.
///
/// apply() executes one statement per row operation (SQLite) or per kind of them (PostgreSQL, MariaDB), and
/// two more (BEGIN, COMMIT) when there are several; docs/storage.md has the exact numbers. A page is one
/// statement. A failed page leaves cursor and rows as they were.
///
/// Rows Kamailio has written read as follows: a subscription's `since` is the epoch (not known), its
/// `local_cseq` more than the column by what Kamailio may have sent without writing it, a publication's `id`
/// is the table's own, its type the usual one of the event, and an expiry of -1 (hard state) is the
/// end of the year 9999.
class soci_storage : public storage {
 public:
  virtual storage_counters counters() const = 0;
};

/// Opens an existing database and checks that the three tables are there in the versions this
/// library knows. Fails, with a sentence that says what to do: unavailable when the database cannot
/// be reached or the settings make no sense, corrupt when the schema is missing or another.
result<std::unique_ptr<soci_storage>, storage_error> open_soci_storage(const soci_settings& settings);

/// Creates the tables that are absent, `states_table` too (with Kamailio's `version` table), and checks those
/// that are there: it never changes one. Fails, and says that migrate_schema() is needed, when a table is
/// Kamailio's or of an earlier version. Wholly or not at all; calling it again changes nothing.
result<void, storage_error> create_schema(const soci_settings& settings);

/// As create_schema(), and changes tables that are there: adds our own columns where Kamailio or an earlier
/// version has made them, widens what is too narrow, and makes tables of older versions of Kamailio (presentity
/// 4: 4.3 to 5.1; active_watchers 11: 3.3 to 4.3) those of 5.6. Kamailio 5.6 can use the tables as before; an
/// older one refuses those that were of its version. Rows are never touched.
///
/// A table made by Kamailio keeps its unique index on (callid, to_tag, from_tag): a second
/// subscription in one dialog (RFC 3265 only) is then refused as a conflict.
result<void, storage_error> migrate_schema(const soci_settings& settings);

}  // namespace presence
