/// The storages every flow runs on: an engine's rows in memory, in SQLite, in PostgreSQL, in MariaDB.
#pragma once

#include <memory>
#include <presence/memory_storage.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

#include "all_rows.hpp"
#if PRESENCE_TEST_SOCI
#include "server_database.hpp"
#include "sqlite_file.hpp"
#endif

namespace presence::test {

/// What ends every row there is.
inline change end_of_all(storage& rows) {
  change everything;
  for (const auto& row : all_rows<publication_row>(rows)) everything.ended_publications.push_back({row.resource, row.event, row.etag});
  for (const auto& row : all_rows<subscription_row>(rows)) everything.ended_subscriptions.push_back(key_of(row));
  for (const auto& row : all_rows<watcher_row>(rows)) everything.ended_watchers.push_back({row.resource, row.event, row.watcher});
  return everything;
}

struct in_memory {
  memory_storage held;
  storage& rows() { return held; }
};

#if PRESENCE_TEST_SOCI
inline void empty_tables(storage& rows) {
  change everything = end_of_all(rows);
  std::vector<state_name> marked;  // with moments
  const bool read = rows.due({never, never}, {"presence", "dialog", "other"}, 1000, marked).has_value();
  for (const auto& name : marked) everything.states.push_back({name, std::nullopt, 1});
  if (!read || !rows.apply(everything)) throw std::runtime_error{"the tables cannot be emptied"};
}

/// A database and what is open in it.
template <class Database>
struct opened {
  Database database;
  std::unique_ptr<soci_storage> rows = database.open();
};

/// One database for all flows; each begins with empty tables.
template <class Database>
class in_database {
 public:
  in_database() { empty_tables(rows()); }
  storage& rows() {
    static const opened<Database> one;
    return *one.rows;
  }
};
using in_sqlite = in_database<sqlite_file>;
using in_postgres = in_database<postgres_database>;
using in_mariadb = in_database<mariadb_database>;
#define EVERY_STORAGE in_memory, in_sqlite, in_postgres, in_mariadb

/// A database with empty tables for one who gives it back at the end: as many are made as are used at once.
template <class Database>
std::shared_ptr<storage> lent_by() {
  static auto idle = [] {  // goes before what SOCI has made for the first one
    std::vector<std::unique_ptr<opened<Database>>> first;
    first.push_back(std::make_unique<opened<Database>>());
    return first;
  }();
  auto one = idle.empty() ? std::make_unique<opened<Database>>() : std::move(idle.back());
  if (!idle.empty()) idle.pop_back();
  empty_tables(*one->rows);
  storage* const rows = one->rows.get();
  return {rows, [one = one.release()](storage*) { idle.emplace_back(one); }};
}
#else
#define EVERY_STORAGE in_memory
#endif

}  // namespace presence::test
