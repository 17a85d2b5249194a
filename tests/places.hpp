/// The storages every flow runs on: an engine's rows in memory, in SQLite, in PostgreSQL, in MariaDB.
#pragma once

#include <memory>
#include <presence/memory_storage.hpp>
#include <vector>
#if PRESENCE_TEST_SOCI
#include "server_database.hpp"
#include "sqlite_file.hpp"
#endif

namespace presence::test {

struct in_memory {
  memory_storage held;
  storage& rows() { return held; }
};

#if PRESENCE_TEST_SOCI
/// One database for all flows; each begins with empty tables.
template <class Database>
class in_database {
 public:
  in_database() {
    change everything;
    std::vector<publication_row> p;
    std::vector<subscription_row> s;
    std::vector<watcher_row> w;
    bool read = true;
    for (cursor at; read && !at.done;) read = rows().publications({}, at, 100, p).has_value();
    for (cursor at; read && !at.done;) read = rows().subscriptions({}, at, 100, s).has_value();
    for (cursor at; read && !at.done;) read = rows().watchers({}, at, 100, w).has_value();
    std::vector<state_name> marked;  // with moments
    read = read && rows().due(never, never, {"presence", "dialog", "other"}, 1000, marked);
    for (const auto& name : marked) everything.states.push_back({name, std::nullopt, 1});
    for (const auto& row : p) everything.ended_publications.push_back({row.resource, row.event, row.etag});
    for (const auto& row : s) everything.ended_subscriptions.push_back(key_of(row));
    for (const auto& row : w) everything.ended_watchers.push_back({row.resource, row.event, row.watcher});
    if (!read || !rows().apply(everything)) throw std::runtime_error{"the tables cannot be emptied"};
  }
  storage& rows() {
    static const Database database;
    static const std::unique_ptr<soci_storage> held = database.open();
    return *held;
  }
};
using in_sqlite = in_database<sqlite_file>;
using in_postgres = in_database<postgres_database>;
using in_mariadb = in_database<mariadb_database>;
#define EVERY_STORAGE in_memory, in_sqlite, in_postgres, in_mariadb
#else
#define EVERY_STORAGE in_memory
#endif

}  // namespace presence::test
