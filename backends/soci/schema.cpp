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
  long long version, oldest;  // Kamailio's version, and the oldest that can be made into it
  std::string_view create;
  std::span<const std::string_view> younger;  // columns Kamailio has added since `oldest`
  std::span<const index_text> indexes;
  std::span<const column_text> columns;
};

// The last one is needed by engines that do not hold all.
std::array<table_text, 4> tables_of(const soci_settings& s, const dialect& d) {
  std::array<table_text, 4> all{{
      {s.presentity_table, 5, 4, create_presentity, presentity_younger, presentity_indexes,
       presentity_columns},
      {s.active_watchers_table, 12, 11, create_active_watchers, active_watchers_younger,
       active_watchers_indexes, active_watchers_columns},
      {s.watchers_table, 3, 3, create_watchers, {}, watchers_indexes, watchers_columns},
      {s.states_table, 1, 1, create_states, {}, states_indexes, states_columns},
  }};
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  if (d.folds_names)
    for (auto& table : all)
      std::transform(table.name.begin(), table.name.end(), table.name.begin(), lower);
  return all;
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
constexpr std::string_view migration = ": run `presence-db migrate` or call migrate_schema() once; ";

// Whether an existing table has the version this library reads and writes, or one that can be made into it.
result<void, storage_error> check_version(const table_text& table,
                                          const std::map<std::string, long long>& versions, change_of what) {
  const auto known = versions.find(table.name);
  if (known == versions.end()) {
    return corrupt(quoted(table.name) +
                   " is there, but table 'version' does not name it: insert its version " +
                   std::to_string(table.version) + " if Kamailio 5.6 made it, or use another table name");
  }
  const long long version = known->second;
  const bool older = version >= table.oldest && version < table.version;
  if (version == table.version || (older && what == change_of::all)) return {};
  return corrupt(
      quoted(table.name) + " has schema version " + std::to_string(version) +
      ", this library needs version " + std::to_string(table.version) +
      (older ? std::string{migration} + "Kamailio before 5.2 cannot use the table then"
             : ": migrate it with Kamailio's own scripts, or use another table name"));
}

// Whether an existing table has all of Kamailio's columns: others use the same names and versions.
// `may_lack`: columns that are going to be added.
result<void, storage_error> check_columns(const table_text& table, const std::vector<std::string>& present,
                                          std::span<const std::string_view> may_lack) {
  for (const auto& column : columns_in(table.create)) {
    if (holds(present, column.name)) continue;
    if (std::find(may_lack.begin(), may_lack.end(), column.name) != may_lack.end()) continue;
    return corrupt(quoted(table.name) + " has no column '" + std::string{column.name} +
                   "': it is not Kamailio's; use another table name");
  }
  return {};
}

// What an existing table needs to become ours, as statements.
std::vector<std::string> amendments(executor& db, const table_text& table, const dialect& d,
                                    const std::vector<std::string>& present) {
  std::vector<std::string> made;
  for (const auto& column : table.columns) {
    if (!holds(present, column.name)) made.push_back(add_column(column, table.name, d));
  }
  const auto widths = db.query(d.widths, &table.name);
  for (const auto& column : columns_in(table.create)) {
    if (is_narrow(column, widths)) made.push_back(widen(column, table.name, d));
  }
  const auto others = db.query(d.mending, &table.name);
  made.insert(made.end(), others.begin(), others.end());
  return made;
}

// Makes a table of an older version one of ours, but for its amendments.
void renew(executor& db, const table_text& table, const dialect& d, const std::vector<std::string>& present) {
  for (const auto& column : columns_in(table.create)) {
    if (!holds(present, column.name)) db.execute(add_column(column, table.name, d));
    if (column.name == "ruid")
      db.execute(schema_text("CREATE UNIQUE INDEX IF NOT EXISTS {i}ruid_idx ON {t} (ruid)", table.name, d));
  }
}

result<void, storage_error> check_amended(executor& db, const table_text& table, const dialect& d,
                                          const std::vector<std::string>& present) {
  const auto missing = amendments(db, table, d, present);
  if (missing.empty()) return {};
  return corrupt(quoted(table.name) + " is as Kamailio or an earlier version made it (missing: " + missing.front() + ")" +
                 std::string{migration} + "Kamailio can use the table as before");
}

result<void, storage_error> check_tables(executor& db, const std::vector<table_text>& tables, const dialect& d) {
  const auto present = db.query(d.tables, nullptr);
  if (!holds(present, "version")) return corrupt("table 'version' does not exist" + std::string{advice});
  const auto versions = db.versions();
  for (const auto& table : tables) {
    if (!holds(present, table.name))
      return corrupt(quoted(table.name) + " does not exist" + std::string{advice});
    if (auto same = check_version(table, versions, change_of::none); !same) return same;
    const auto there = db.query(d.columns, &table.name);
    if (auto whole = check_columns(table, there, {}); !whole) return whole;
    if (auto amended = check_amended(db, table, d, there); !amended) return amended;
  }
  return {};
}

}  // namespace

result<void, storage_error> check_states(executor& db, const soci_settings& settings, const dialect& d) {
  return check_tables(db, {tables_of(settings, d).back()}, d);
}

result<void, storage_error> check_schema(executor& db, const soci_settings& settings, const dialect& d) {
  const auto all = tables_of(settings, d);
  if (auto fit = check_tables(db, {all.begin(), all.end() - 1}, d); !fit) return fit;
  if (settings.commit != durability::full) return {};
  if (const auto doubts = db.query(d.doubts, nullptr); !doubts.empty()) {
    return unexpected{
        storage_error{storage_fault::unavailable,
                      std::string{d.name} + " may lose what it has confirmed: " + doubts.front() +
                          "; change that in the server's settings, or open with durability::normal"}};
  }
  return {};
}

result<void, storage_error> build_schema(executor& db, const soci_settings& settings, const dialect& d,
                                         change_of what) {
  const auto present = db.query(d.tables, nullptr);
  const bool first = !holds(present, "version");
  const auto versions = first ? std::map<std::string, long long>{} : db.versions();
  const auto older = [&](const table_text& table) {
    const auto known = versions.find(table.name);
    return known != versions.end() && known->second < table.version;
  };
  result<void, storage_error> amended;
  for (const auto& table : tables_of(settings, d)) {
    const bool there = holds(present, table.name);
    if (!there && versions.count(table.name) == 0) continue;
    if (auto same = check_version(table, versions, what); !same) return same;
    if (!there) continue;
    const auto may_lack = older(table) ? table.younger : std::span<const std::string_view>{};
    const auto found = db.query(d.columns, &table.name);
    if (auto whole = check_columns(table, found, may_lack); !whole) return whole;
    if (what == change_of::none && amended) amended = check_amended(db, table, d, found);
  }
  if (!amended) return amended;
  if (first) db.execute(schema_text(create_version, "version", d));
  for (const auto& table : tables_of(settings, d)) {
    // The version comes first: a table without one could not be told from somebody else's.
    if (versions.count(table.name) == 0) db.set_version(table.name, table.version);
    const bool there = holds(present, table.name);
    if (there && what == change_of::none) continue;
    if (!there) db.execute(create_table(table.create, table.columns, table.indexes, table.name, d));
    if (!there && !d.transactional_schema) continue;
    const auto before = db.query(d.columns, &table.name);
    if (older(table)) renew(db, table, d, before);
    for (const auto& statement : amendments(db, table, d, before)) db.execute(statement);
    for (const auto& which : table.indexes) db.execute(create_index(which, table.name, d));
    if (older(table))  // last, so that it can be done again
      db.execute("UPDATE version SET table_version = " + std::to_string(table.version) +
                 " WHERE table_name = '" + table.name + "'");
  }
  return {};
}

}  // namespace presence::sql
