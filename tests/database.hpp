/// SQLite, PostgreSQL and MariaDB as types with the same verbs, for test templates: a database of its own
/// for one test, which can also be looked at, changed and held busy from outside.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "raw_sqlite.hpp"
#include "server_database.hpp"
#include "sqlite_file.hpp"

namespace presence::test {

/// An SQLite file that can also be looked at from outside.
struct sqlite_database : sqlite_file {
  static constexpr bool is_server = false;
  void run(const std::string& statements) const { raw_sqlite{path()}.run(statements); }
  std::vector<std::string> rows(const std::string& query) const { return raw_sqlite{path()}.rows(query); }
  std::string value(const std::string& query) const { return raw_sqlite{path()}.value(query); }
  bool has_table(const std::string& name) const {
    return !rows("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '" + name + "'").empty();
  }

  // A table as `name|type|not null|default` for each column, and the types for what Kamailio calls INTEGER,
  // VARCHAR(n), TEXT and BLOB: as this library makes them, and as Kamailio's own scripts do.
  std::vector<std::string> columns_of(const std::string& table) const {
    return rows("SELECT name, type, \"notnull\", dflt_value FROM pragma_table_info('" + table + "')");
  }
  static std::string our_type(std::string_view, const std::string& type) { return type; }
  static std::string kamailio_type(std::string_view name, const std::string& type) {
    return name == "id" ? type + " PRIMARY KEY" : type;
  }
  std::vector<std::string> unique_keys(const std::string& table) const {
    return rows("SELECT group_concat(c.name) FROM pragma_index_list('" + table +
                "') i, pragma_index_info(i.name) c WHERE i.\"unique\" GROUP BY i.name ORDER BY 1");
  }
  /// Of the other indexes, without the table's name before them.
  std::vector<std::string> index_names() const {
    return rows(
        "SELECT substr(name, length(tbl_name) + 2) FROM sqlite_master WHERE type = 'index' AND sql IS NOT "
        "NULL"
        " ORDER BY 1");
  }
  static std::string as_text(const std::string& blob) { return blob; }

  /// While it lives, another connection has changed every row and not committed.
  std::unique_ptr<raw_sqlite> busy() const {
    auto other = std::make_unique<raw_sqlite>(path());
    other->run("BEGIN IMMEDIATE");
    return other;
  }
  /// Puts NULL where none is expected.
  void forget_username(int id) const {
    run("PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = replace(sql, 'username VARCHAR(64) NOT "
        "NULL',"
        " 'username VARCHAR(64)') WHERE name = 'presentity'");
    run("UPDATE presentity SET username = NULL WHERE id = " + std::to_string(id));
  }
};

#define PRESENCE_EVERY_SERVER presence::test::postgres_database, presence::test::mariadb_database
#define PRESENCE_EVERY_DATABASE presence::test::sqlite_database, PRESENCE_EVERY_SERVER

}  // namespace presence::test
