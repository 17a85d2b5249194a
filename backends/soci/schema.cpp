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

constexpr std::string_view advice = ": call create_schema() once before the first start";

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

}  // namespace

result<void, storage_error> check_schema(executor& db, const soci_settings& settings) {
  const auto present = db.tables();
  if (!holds(present, "version")) return corrupt("table 'version' does not exist" + std::string{advice});
  const auto versions = db.versions();
  for (const auto& table : tables_of(settings)) {
    if (!holds(present, table.name))
      return corrupt(quoted(table.name) + " does not exist" + std::string{advice});
    if (auto same = check_version(table, versions); !same) return same;
    const auto columns = db.columns(table.name);
    for (const auto& column : table.columns) {
      if (!holds(columns, column.name)) {
        return corrupt(quoted(table.name) + " lacks the column '" + std::string{column.name} +
                       "': call create_schema() once; it adds our columns and leaves Kamailio's as they are");
      }
    }
  }
  return {};
}

result<void, storage_error> build_schema(executor& db, const soci_settings& settings, const dialect& d) {
  const auto present = db.tables();
  if (!holds(present, "version")) db.execute(filled(create_version, "version", d));
  const auto versions = db.versions();
  for (const auto& table : tables_of(settings)) {
    const bool there = holds(present, table.name);
    if (there || versions.count(table.name) != 0) {
      if (auto same = check_version(table, versions); !same) return same;
    }
    if (!there) {
      db.execute(filled(table.create, table.name, d));
      for (const auto& which : table.indexes) db.execute(create_index(which, table.name, d));
      if (versions.count(table.name) == 0) db.set_version(table.name, table.version);
    }
    const auto columns = db.columns(table.name);
    for (const auto& column : table.columns) {
      if (!holds(columns, column.name)) db.execute(add_column(column, table.name, d));
    }
  }
  return {};
}

}  // namespace presence::sql
