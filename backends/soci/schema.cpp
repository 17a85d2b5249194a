#include "schema.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "statements.hpp"

namespace presence::sql {

namespace {

struct table_text {
  std::string name;
  long long version;
  std::string_view create;
  std::span<const index_text> indexes;
  std::span<const column_text> columns;
};

std::array<table_text, 3> tables_of(const soci_settings& s) {
  return {{
      {s.presentity_table, 5, create_presentity, presentity_indexes, presentity_columns},
      {s.active_watchers_table, 12, create_active_watchers, active_watchers_indexes, active_watchers_columns},
      {s.watchers_table, 3, create_watchers, {}, watchers_columns},
  }};
}

bool holds(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

result<void, storage_error> corrupt(std::string text) {
  return unexpected{storage_error{storage_fault::corrupt, std::move(text)}};
}

std::string quoted(const std::string& name) { return "table '" + name + "'"; }

constexpr std::string_view advice =
    ": run `presence-db create` or call create_schema() once before the first start";

// Whether an existing table has the version this library reads and writes.
result<void, storage_error> check_version(const table_text& table,
                                          const std::map<std::string, long long>& versions) {
  const auto known = versions.find(table.name);
  if (known == versions.end()) {
    return corrupt(quoted(table.name) +
                   " is there, but table 'version' does not name it: insert its version " +
                   std::to_string(table.version) + " if Kamailio 5.6 made it, or use another table name");
  }
  if (known->second != table.version) {
    return corrupt(quoted(table.name) + " has schema version " + std::to_string(known->second) +
                   ", this library needs version " + std::to_string(table.version) +
                   ": migrate it with Kamailio's own scripts, or use another table name");
  }
  return {};
}

// What an existing table needs to become ours, as statements.
std::vector<std::string> amendments(executor& db, const table_text& table, const dialect& d) {
  const auto present = db.query(d.columns, &table.name);
  std::vector<std::string> made;
  for (const auto& column : table.columns) {
    if (!holds(present, column.name)) made.push_back(add_column(column, table.name, d));
  }
  const auto narrow = db.query(d.mending, &table.name);
  made.insert(made.end(), narrow.begin(), narrow.end());
  return made;
}

}  // namespace

result<void, storage_error> check_schema(executor& db, const soci_settings& settings, const dialect& d) {
  const auto present = db.query(d.tables, nullptr);
  if (!holds(present, "version")) return corrupt("table 'version' does not exist" + std::string{advice});
  const auto versions = db.versions();
  for (const auto& table : tables_of(settings)) {
    if (!holds(present, table.name))
      return corrupt(quoted(table.name) + " does not exist" + std::string{advice});
    if (auto same = check_version(table, versions); !same) return same;
    if (const auto missing = amendments(db, table, d); !missing.empty()) {
      return corrupt(
          quoted(table.name) + " is as Kamailio made it (missing: " + missing.front() +
          "): run `presence-db create` or call create_schema() once; Kamailio can use the table as before");
    }
  }
  if (settings.commit != durability::full) return {};
  if (const auto doubts = db.query(d.doubts, nullptr); !doubts.empty()) {
    return unexpected{
        storage_error{storage_fault::unavailable,
                      std::string{d.name} + " may lose what it has confirmed: " + doubts.front() +
                          "; change that in the server's settings, or open with durability::normal"}};
  }
  return {};
}

result<void, storage_error> build_schema(executor& db, const soci_settings& settings, const dialect& d) {
  const auto present = db.query(d.tables, nullptr);
  const bool first = !holds(present, "version");
  const auto versions = first ? std::map<std::string, long long>{} : db.versions();
  for (const auto& table : tables_of(settings)) {
    if (!holds(present, table.name) && versions.count(table.name) == 0) continue;
    if (auto same = check_version(table, versions); !same) return same;
  }
  if (first) db.execute(schema_text(create_version, "version", d));
  for (const auto& table : tables_of(settings)) {
    // The version comes first: a table without one could not be told from somebody else's.
    if (versions.count(table.name) == 0) db.set_version(table.name, table.version);
    if (!holds(present, table.name)) db.execute(schema_text(table.create, table.name, d));
    for (const auto& statement : amendments(db, table, d)) db.execute(statement);
    for (const auto& which : table.indexes) db.execute(create_index(which, table.name, d));
  }
  return {};
}

}  // namespace presence::sql
