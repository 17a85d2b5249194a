/// A database of its own for one test, on one of the servers tests/databases.py has started. Programs with
/// such tests have main_databases.cpp, which leaves out the tests of a server that is not there, or fails.
#pragma once

#include <soci/soci.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <soci_storage.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sqlite_file.hpp"
#include "target.hpp"

namespace presence::test {

/// Opens what db_url names, past the library.
inline std::unique_ptr<soci::session> raw_session(const std::string& url) {
  soci_settings settings;
  settings.db_url = url;
  const auto to = sql::target_of(settings, sql::purpose::schema);
  if (!to) throw std::runtime_error{to.error().text};
  return std::make_unique<soci::session>(std::string{to->speaks->backend} + "://" + to->parameters);
}

inline std::string environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) throw std::runtime_error{name + " is not set"};
  return value;
}

/// All rows of a query, columns joined by '|', NULL as "NULL".
inline std::vector<std::string> rows_of(soci::session& session, const std::string& query) {
  std::vector<std::string> all;
  const soci::rowset<soci::row> found = session.prepare << query;
  for (const soci::row& row : found) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i != 0) line += '|';
      if (row.get_indicator(i) == soci::i_null)
        line += "NULL";
      else if (row.get_properties(i).get_data_type() == soci::dt_integer)
        line += std::to_string(row.get<int>(i));
      else if (row.get_properties(i).get_data_type() == soci::dt_long_long)
        line += std::to_string(row.get<long long>(i));
      else if (row.get_properties(i).get_data_type() == soci::dt_unsigned_long_long)
        line += std::to_string(row.get<unsigned long long>(i));
      else
        line += row.get<std::string>(i);
    }
    all.push_back(line);
  }
  return all;
}

/// Whether the server called postgres or mariadb is there; says so if not.
inline bool has_server(const std::string& name) {
  const std::string variable = name == "postgres" ? "PRESENCE_TEST_POSTGRES" : "PRESENCE_TEST_MARIADB";
  if (std::getenv(variable.c_str()) != nullptr) return true;
  std::printf("%s is not set: skipped (python3 tests/databases.py COMMAND sets it)\n", variable.c_str());
  return false;
}

struct postgres {
  static constexpr const char* variable = "PRESENCE_TEST_POSTGRES";
  static constexpr const char* home = "postgres";
  static std::vector<std::string> creation(const std::string& name) {
    return {"CREATE DATABASE " + name + " OWNER presence"};
  }
  static std::string removal(const std::string& name) { return "DROP DATABASE " + name + " WITH (FORCE)"; }
  static constexpr const char* nullable_username =
      "ALTER TABLE presentity ALTER COLUMN username DROP NOT NULL";
  static std::string columns_of(const std::string& table) {
    return "SELECT concat_ws('|', a.attname, upper(replace(format_type(a.atttypid, a.atttypmod), 'character "
           "varying',"
           " 'varchar')), CAST(a.attnotnull AS integer), CASE WHEN a.attname = 'id' THEN 'NULL' ELSE"
           " coalesce(split_part(pg_get_expr(d.adbin, d.adrelid), chr(58), 1), 'NULL') END) FROM "
           "pg_attribute a LEFT JOIN"
           " pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = to_regclass('" +
           table + "') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
  }
  static std::string our_type(std::string_view name, const std::string& type) {
    return name == "id" ? "BIGINT" : type == "BLOB" ? "BYTEA" : type;
  }
  static std::string kamailio_type(std::string_view name, const std::string& type) {
    return name == "id" ? "SERIAL PRIMARY KEY" : type == "BLOB" ? "BYTEA" : type;
  }
  static std::string unique_keys(const std::string& table) {
    return "SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM pg_index i, unnest(i.indkey) WITH ORDINALITY "
           "AS k(c, n),"
           " pg_attribute a WHERE i.indrelid = to_regclass('" +
           table +
           "') AND i.indisunique AND NOT i.indisprimary AND"
           " a.attrelid = i.indrelid AND a.attnum = k.c GROUP BY i.indexrelid ORDER BY 1";
  }
  static constexpr const char* index_names =
      "SELECT substr(c.relname, length(t.relname) + 2) FROM pg_index i, pg_class c, pg_class t WHERE c.oid = "
      "i.indexrelid"
      " AND t.oid = i.indrelid AND NOT i.indisunique AND pg_table_is_visible(t.oid) AND t.relname ~ "
      "'^(pres|act|watch)'"
      " ORDER BY 1";
  static std::string as_text(const std::string& blob) { return "convert_from(" + blob + ", 'UTF8')"; }
};
struct mariadb {
  static constexpr const char* variable = "PRESENCE_TEST_MARIADB";
  static constexpr const char* home = "mysql";
  static std::vector<std::string> creation(const std::string& name) {
    return {"CREATE DATABASE " + name, "GRANT ALL ON " + name + ".* TO presence"};
  }
  static std::string removal(const std::string& name) { return "DROP DATABASE " + name; }
  static constexpr const char* nullable_username = "ALTER TABLE presentity MODIFY username VARCHAR(64)";
  static std::string columns_of(const std::string& table) {
    return "SELECT concat_ws('|', column_name, upper(column_type), is_nullable = 'NO', "
           "coalesce(column_default, 'NULL'))"
           " FROM information_schema.columns WHERE table_schema = database() AND table_name = '" +
           table + "' ORDER BY ordinal_position";
  }
  static std::string our_type(std::string_view name, const std::string& type) {
    return name == "id"        ? "BIGINT(20) UNSIGNED"
           : type == "BLOB"    ? "LONGBLOB"
           : type == "INTEGER" ? "INT(11)"
                               : type;
  }
  static std::string kamailio_type(std::string_view name, const std::string& type) {
    return name == "id" ? "INT(10) UNSIGNED AUTO_INCREMENT PRIMARY KEY" : type;
  }
  static std::string unique_keys(const std::string& table) {
    return "SELECT group_concat(column_name ORDER BY seq_in_index) FROM information_schema.statistics WHERE "
           "table_schema ="
           " database() AND table_name = '" +
           table + "' AND non_unique = 0 AND index_name <> 'PRIMARY' GROUP BY index_name ORDER BY 1";
  }
  static constexpr const char* index_names =
      "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = database() AND "
      "non_unique = 1"
      " ORDER BY 1";
  static std::string as_text(const std::string& blob) { return "CAST(" + blob + " AS CHAR)"; }
};

template <class Server>
class server_database {
 public:
  static constexpr bool is_server = true;

  server_database() {
    static int count = 0;
    name_ = "t" + std::to_string(::getpid()) + "_" + std::to_string(++count);
    for (const auto& statement : Server::creation(name_)) *home() << statement;
  }
  ~server_database() {
    raw_.reset();
    try {
      *home() << Server::removal(name_);
    } catch (const std::exception&) {  // the server is gone, and all of it
    }
  }
  server_database(const server_database&) = delete;
  server_database& operator=(const server_database&) = delete;

  /// As who may do everything, in the server's own database.
  static std::unique_ptr<soci::session> home() {
    return raw_session(environment(std::string{Server::variable} + "_ADMIN") + Server::home);
  }
  std::unique_ptr<soci::session> raw() const { return raw_session(environment(Server::variable) + name_); }

  soci_settings settings() const {
    soci_settings made;
    made.db_url = environment(Server::variable) + name_;
    made.commit = durability::normal;
    return made;
  }
  std::unique_ptr<soci_storage> open() const { return open(settings()); }
  static std::unique_ptr<soci_storage> open(const soci_settings& with) { return sqlite_file::open(with); }

  void run(const std::string& statement) const { *session() << statement; }
  std::vector<std::string> rows(const std::string& query) const { return rows_of(*session(), query); }
  std::string value(const std::string& query) const {
    const auto all = rows(query);
    if (all.size() != 1) throw std::runtime_error{"not one row: " + query};
    return all[0];
  }
  bool has_table(const std::string& name) const {
    return !rows("SELECT table_name FROM information_schema.tables WHERE table_name = '" + name +
                 "' AND table_schema IN ('public', '" + name_ + "')")
                .empty();
  }
  const std::string& name() const { return name_; }
  std::vector<std::string> columns_of(const std::string& table) const {
    return rows(Server::columns_of(table));
  }
  static std::string our_type(std::string_view n, const std::string& type) {
    return Server::our_type(n, type);
  }
  static std::string kamailio_type(std::string_view n, const std::string& type) {
    return Server::kamailio_type(n, type);
  }
  std::vector<std::string> unique_keys(const std::string& table) const {
    return rows(Server::unique_keys(table));
  }
  std::vector<std::string> index_names() const { return rows(Server::index_names); }
  static std::string as_text(const std::string& blob) { return Server::as_text(blob); }
  /// While it lives, another connection has changed every row and not committed.
  class changed_elsewhere {
   public:
    explicit changed_elsewhere(std::unique_ptr<soci::session> session) : session_{std::move(session)} {
      for (const char* statement :
           {"BEGIN", "UPDATE presentity SET priority = 1", "UPDATE active_watchers SET flags = 1",
            "UPDATE watchers SET status = 9"}) {
        *session_ << statement;
      }
    }
    ~changed_elsewhere() { *session_ << "ROLLBACK"; }

   private:
    std::unique_ptr<soci::session> session_;
  };
  changed_elsewhere busy() const { return changed_elsewhere{raw()}; }
  /// Puts NULL where none is expected.
  void forget_username(int id) const {
    run(Server::nullable_username);
    run("UPDATE presentity SET username = NULL WHERE id = " + std::to_string(id));
  }

 private:
  soci::session* session() const {
    if (!raw_) raw_ = raw();
    return raw_.get();
  }
  std::string name_;
  mutable std::unique_ptr<soci::session> raw_;
};

using postgres_database = server_database<postgres>;
using mariadb_database = server_database<mariadb>;

/// Calls `run<Database>()` with the database that `mode` names; nothing: it names none. Without its server: 77, which
/// Meson calls skipped, or 1 where databases are needed.
template <class Run>
std::optional<int> on_database(const std::string& mode, Run&& run) {
  if (mode == "sqlite") return run.template operator()<sqlite_file>();
  if (mode != "postgres" && mode != "mariadb") return std::nullopt;
  if (!has_server(mode)) return std::getenv("PRESENCE_TEST_NEEDS_DATABASES") == nullptr ? 77 : 1;
  return mode == "postgres" ? run.template operator()<postgres_database>() : run.template operator()<mariadb_database>();
}

}  // namespace presence::test
