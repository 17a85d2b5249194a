/// SQLite's own interface, as little of it as tests need to look at a database from outside, to hold
/// its lock, or to write what another program would write.
#pragma once

#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <sqlite3.h>

class raw_sqlite {
 public:
  explicit raw_sqlite(const std::string& path) { REQUIRE(sqlite3_open(path.c_str(), &db_) == SQLITE_OK); }
  ~raw_sqlite() { sqlite3_close(db_); }
  raw_sqlite(const raw_sqlite&) = delete;
  raw_sqlite& operator=(const raw_sqlite&) = delete;

  void run(const std::string& statements) {
    INFO(statements);
    const int code = sqlite3_exec(db_, statements.c_str(), nullptr, nullptr, nullptr);
    INFO(sqlite3_errmsg(db_));
    REQUIRE(code == SQLITE_OK);
  }

  /// All rows of a query, columns joined by '|', NULL as "NULL".
  std::vector<std::string> rows(const std::string& query) {
    INFO(query);
    sqlite3_stmt* statement = nullptr;
    REQUIRE(sqlite3_prepare_v2(db_, query.c_str(), -1, &statement, nullptr) == SQLITE_OK);
    std::vector<std::string> all;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      std::string row;
      for (int i = 0; i < sqlite3_column_count(statement); ++i) {
        if (i > 0) row += '|';
        const void* bytes = sqlite3_column_blob(statement, i);
        const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, i));
        if (sqlite3_column_type(statement, i) == SQLITE_NULL) {
          row += "NULL";
        } else if (bytes != nullptr) {
          row.append(static_cast<const char*>(bytes), size);
        }
      }
      all.push_back(row);
    }
    sqlite3_finalize(statement);
    return all;
  }

  std::string value(const std::string& query) {
    const auto all = rows(query);
    REQUIRE(all.size() == 1);
    return all[0];
  }

 private:
  sqlite3* db_ = nullptr;
};
