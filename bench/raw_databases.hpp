/// The databases' own interfaces, with the best bulk form each has, as a peer for the storage: rows are given
/// as texts, column by column, and written to the tables the storage has made.
#pragma once

#include <libpq-fe.h>
#include <mysql.h>
#include <sqlite3.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "columns.hpp"
#include "encoding.hpp"

namespace presence::bench {

using sql::column_type;

/// A table's columns and the values of many rows for them.
struct raw_rows {
  std::string table;
  sql::columns columns;
  std::vector<std::vector<std::optional<std::string>>> values;
};

template <class C, class List, class Row>
raw_rows raw_rows_of(std::string table, List list, const std::vector<Row>& rows) {
  raw_rows made{std::move(table), sql::columns_of<C>(list), {}};
  C columns;
  for (const Row& row : rows) {
    sql::to_columns(row, columns);
    auto& line = made.values.emplace_back();
    struct visitor {
      std::vector<std::optional<std::string>>& line;
      void operator()(std::string_view, const sql::number& n) const { line.push_back(std::to_string(n)); }
      void operator()(std::string_view, const std::string& t) const { line.push_back(t); }
      void operator()(std::string_view name, const sql::nullable<sql::number>& n) const {
        n.null ? line.push_back({}) : (*this)(name, n.value);
      }
      void operator()(std::string_view name, const sql::nullable<sql::text>& n) const {
        n.null ? line.push_back({}) : (*this)(name, n.value);
      }
      void operator()(std::string_view, const sql::nullable<sql::bytes>& n) const {
        n.null ? line.push_back({}) : line.push_back(std::string{n.value});
      }
    };
    list(columns, visitor{line});
  }
  return made;
}

inline void must(bool good, const char* message) {
  if (good) return;
  std::fprintf(stderr, "raw database: %s\n", message);
  std::abort();
}

/// One transaction each; `update` finds a publication by its old tag, in k_etag.
class raw_database {
 public:
  virtual ~raw_database() = default;
  virtual void insert(const raw_rows& rows) = 0;
  virtual void update(const raw_rows& rows) = 0;
  virtual std::size_t select(const std::string& sentence) = 0;
  virtual void run(const std::string& sentence) = 0;
};

inline std::string names_of(const raw_rows& r) {
  std::string made;
  for (const auto& c : r.columns) made.append(made.empty() ? "" : ", ").append(c.name);
  return made;
}
/// A column's part in an update: what is compared, and what is set.
inline std::string_view compared(std::string_view name) {
  if (name == "k_etag") return "etag";
  return name == "username" || name == "domain" || name == "event" ? name : std::string_view{};
}
/// `SET` and `WHERE`, as `value` renders a column's value.
template <class Value>
std::string set_where(const raw_rows& r, const std::string& compared_of, const std::string& set_of,
                      Value value) {
  std::string set, where;
  for (std::size_t i = 0; i < r.columns.size(); ++i) {
    const std::string_view name = r.columns[i].name, key = compared(name);
    std::string& part = key.empty() ? set : where;
    if (!part.empty()) part += key.empty() ? ", " : " AND ";
    part += key.empty() ? set_of + std::string{name} : compared_of + std::string{key};
    part += " = " + value(i);
  }
  return set + " WHERE " + where;
}

class raw_sqlite3 : public raw_database {
 public:
  explicit raw_sqlite3(const std::string& path) {
    must(sqlite3_open(path.c_str(), &db_) == SQLITE_OK, "open");
    run("PRAGMA synchronous = FULL");
  }
  ~raw_sqlite3() override {
    for (sqlite3_stmt* s : {insert_, update_}) sqlite3_finalize(s);
    sqlite3_close(db_);
  }
  void run(const std::string& sentence) override {
    must(sqlite3_exec(db_, sentence.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK, sqlite3_errmsg(db_));
  }
  void insert(const raw_rows& r) override {
    if (insert_ == nullptr) {
      std::string marks;
      for (const auto& c : r.columns) marks += (c.name == r.columns[0].name ? "?" : ", ?");
      insert_ = prepare("INSERT INTO " + r.table + " (" + names_of(r) +
                        (r.table == "active_watchers" ? ", updated, updated_winfo" : "") + ") VALUES (" +
                        marks + (r.table == "active_watchers" ? ", -1, -1)" : ")"));
    }
    write(insert_, r);
  }
  void update(const raw_rows& r) override {
    if (update_ == nullptr) {
      update_ = prepare("UPDATE " + r.table + " SET " +
                        set_where(r, "", "", [](std::size_t i) { return "?" + std::to_string(i + 1); }));
    }
    write(update_, r);
  }
  std::size_t select(const std::string& sentence) override {
    sqlite3_stmt* s = prepare(sentence);
    std::size_t rows = 0, bytes = 0;
    for (; sqlite3_step(s) == SQLITE_ROW; ++rows)
      for (int i = 0; i < sqlite3_column_count(s); ++i)
        bytes +=
            sqlite3_column_text(s, i) == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(s, i));
    sqlite3_finalize(s);
    must(rows == 0 || bytes != 0, "nothing read");
    return rows;
  }

 private:
  sqlite3_stmt* prepare(const std::string& sentence) {
    sqlite3_stmt* made = nullptr;
    must(sqlite3_prepare_v2(db_, sentence.c_str(), -1, &made, nullptr) == SQLITE_OK, sqlite3_errmsg(db_));
    return made;
  }
  void write(sqlite3_stmt* s, const raw_rows& r) {
    if (r.values.size() > 1) run("BEGIN IMMEDIATE");
    for (const auto& line : r.values) {
      for (std::size_t i = 0; i < line.size(); ++i) {
        const int at = static_cast<int>(i) + 1;
        if (!line[i])
          sqlite3_bind_null(s, at);
        else if (r.columns[i].type == column_type::integer)
          sqlite3_bind_int64(s, at, std::atoll(line[i]->c_str()));
        else if (r.columns[i].type == column_type::string)
          sqlite3_bind_text(s, at, line[i]->data(), static_cast<int>(line[i]->size()), SQLITE_STATIC);
        else
          sqlite3_bind_blob(s, at, line[i]->data(), static_cast<int>(line[i]->size()), SQLITE_STATIC);
      }
      must(sqlite3_step(s) == SQLITE_DONE, sqlite3_errmsg(db_));
      must(sqlite3_changes(db_) == 1, "not one row");
      sqlite3_reset(s);
    }
    if (r.values.size() > 1) run("COMMIT");
  }
  sqlite3* db_ = nullptr;
  sqlite3_stmt *insert_ = nullptr, *update_ = nullptr;
};

class raw_libpq : public raw_database {
 public:
  explicit raw_libpq(const std::string& uri) : db_{PQconnectdb(uri.c_str())} {
    must(PQstatus(db_) == CONNECTION_OK, PQerrorMessage(db_));
  }
  ~raw_libpq() override { PQfinish(db_); }
  void run(const std::string& sentence) override { check(PQexec(db_, sentence.c_str())); }

  /// COPY, which has no equal for inserts.
  void copy(const raw_rows& r) {
    std::string data;
    for (const auto& line : r.values) {
      for (std::size_t i = 0; i < line.size(); ++i) {
        if (i != 0) data += '\t';
        if (!line[i])
          data += "\\N";
        else if (r.columns[i].type == column_type::binary)
          data += "\\\\x", sql::append_hex(*line[i], data);
        else
          for (const char c : *line[i]) {
            if (c == '\\' || c == '\t' || c == '\n' || c == '\r') data += '\\';
            data += c == '\t' ? 't' : c == '\n' ? 'n' : c == '\r' ? 'r' : c;
          }
      }
      data += r.table == "active_watchers" ? "\t-1\t-1\n" : "\n";
    }
    PGresult* begun =
        PQexec(db_, ("COPY " + r.table + " (" + names_of(r) +
                     (r.table == "active_watchers" ? ", updated, updated_winfo" : "") + ") FROM STDIN")
                        .c_str());
    must(PQresultStatus(begun) == PGRES_COPY_IN, PQerrorMessage(db_));
    PQclear(begun);
    must(PQputCopyData(db_, data.data(), static_cast<int>(data.size())) == 1 &&
             PQputCopyEnd(db_, nullptr) == 1,
         PQerrorMessage(db_));
    while (PGresult* done = PQgetResult(db_)) check(done);
  }
  void insert(const raw_rows& r) override {
    const bool more = r.table == "active_watchers", one = r.values.size() == 1;
    std::string fields;
    for (std::size_t i = 0; i < r.columns.size(); ++i)
      fields.append(i == 0 ? "" : ", ")
          .append(one ? "$" + std::to_string(i + 1) : "v." + std::string{r.columns[i].name});
    write("insert",
          "INSERT INTO " + r.table + " (" + names_of(r) + (more ? ", updated, updated_winfo" : "") +
              ") SELECT " + fields + (more ? ", -1, -1" : "") +
              (one ? "" : " FROM unnest(" + arrays(r) + ") AS v (" + names_of(r) + ")"),
          r);
  }
  void update(const raw_rows& r) override {
    const auto value = [&](std::size_t i) {
      return r.values.size() == 1 ? "$" + std::to_string(i + 1) : "v." + std::string{r.columns[i].name};
    };
    std::string sentence = "UPDATE " + r.table + " AS t SET " + set_where(r, "t.", "", value);
    if (r.values.size() > 1)
      sentence.insert(sentence.find(" WHERE "), " FROM unnest(" + arrays(r) + ") AS v (" + names_of(r) + ")");
    write("update", sentence, r);
  }
  std::size_t select(const std::string& sentence) override {
    PGresult* done = PQexec(db_, sentence.c_str());
    must(PQresultStatus(done) == PGRES_TUPLES_OK, PQerrorMessage(db_));
    const int rows = PQntuples(done), columns = PQnfields(done);
    std::size_t bytes = 0;
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j) bytes += static_cast<std::size_t>(PQgetlength(done, i, j));
    must(rows == 0 || bytes != 0, "nothing read");
    PQclear(done);
    return static_cast<std::size_t>(rows);
  }

 private:
  void check(PGresult* done) {
    const auto status = PQresultStatus(done);
    must(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, PQerrorMessage(db_));
    PQclear(done);
  }
  static std::string arrays(const raw_rows& r) {
    std::string made;
    for (std::size_t i = 0; i < r.columns.size(); ++i) {
      const auto type = r.columns[i].type;
      made += (i == 0 ? "$" : ", $") + std::to_string(i + 1) +
              (type == column_type::integer  ? "::bigint[]"
               : type == column_type::string ? "::text[]"
                                             : "::bytea[]");
    }
    return made;
  }
  void write(const char* name, const std::string& sentence, const raw_rows& r) {
    if (std::string_view{name} == "insert" ? !insert_ : !update_) {
      check(PQprepare(db_, name, sentence.c_str(), static_cast<int>(r.columns.size()), nullptr));
      (std::string_view{name} == "insert" ? insert_ : update_) = true;
    }
    const bool one = r.values.size() == 1;
    std::vector<std::string> lists(r.columns.size());
    for (const auto& line : r.values) {
      for (std::size_t i = 0; i < line.size(); ++i) {
        std::string& list = lists[i];
        if (one) {
          if (line[i] && r.columns[i].type == column_type::binary)
            list += "\\x", sql::append_hex(*line[i], list);
          else if (line[i])
            list = *line[i];
          continue;
        }
        list += list.empty() ? '{' : ',';
        if (!line[i])
          list += "NULL";
        else if (r.columns[i].type == column_type::integer)
          list += *line[i];
        else if (r.columns[i].type == column_type::string)
          sql::append_element(*line[i], list);
        else
          list += "\"\\\\x", sql::append_hex(*line[i], list), list += '"';
      }
    }
    std::vector<const char*> pointers;
    for (std::size_t i = 0; i < lists.size(); ++i)
      pointers.push_back(!one ? (lists[i] += '}').c_str() : r.values[0][i] ? lists[i].c_str() : nullptr);
    PGresult* done =
        PQexecPrepared(db_, name, static_cast<int>(pointers.size()), pointers.data(), nullptr, nullptr, 0);
    must(PQresultStatus(done) == PGRES_COMMAND_OK, PQerrorMessage(db_));
    must(static_cast<std::size_t>(std::atoll(PQcmdTuples(done))) == r.values.size(), "not every row");
    PQclear(done);
  }
  PGconn* db_;
  bool insert_ = false, update_ = false;
};

class raw_libmariadb : public raw_database {
 public:
  raw_libmariadb(const std::string& host, unsigned port, const std::string& user, const std::string& password,
                 const std::string& database)
      : db_{mysql_init(nullptr)} {
    mysql_options(db_, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    must(mysql_real_connect(db_, host.c_str(), user.c_str(), password.c_str(), database.c_str(), port,
                            nullptr, CLIENT_FOUND_ROWS) != nullptr,
         mysql_error(db_));
  }
  ~raw_libmariadb() override { mysql_close(db_); }
  void run(const std::string& sentence) override {
    must(mysql_real_query(db_, sentence.data(), sentence.size()) == 0, mysql_error(db_));
  }
  void insert(const raw_rows& r) override {
    const bool more = r.table == "active_watchers";
    std::string sentence = "INSERT INTO " + r.table + " (" + names_of(r) +
                           (more ? ", updated, updated_winfo" : "") + ") VALUES ";
    for (const auto& line : r.values) {
      sentence += &line == r.values.data() ? "(" : ", (";
      for (std::size_t i = 0; i < line.size(); ++i)
        append(i == 0 ? "" : ", ", r.columns[i].type, line[i], sentence);
      sentence += more ? ", -1, -1)" : ")";
    }
    run(sentence);
  }
  void update(const raw_rows& r) override {
    if (r.values.size() == 1) {
      run("UPDATE " + r.table + " SET " + set_where(r, "", "", [&](std::size_t i) {
            std::string made;
            append("", r.columns[i].type, r.values[0][i], made);
            return made;
          }));
    } else {
      std::string sentence = "UPDATE (SELECT ";
      for (const auto& line : r.values) {
        const bool first = &line == r.values.data();
        if (!first) sentence += &line == &r.values[1] ? " UNION ALL VALUES (" : ", (";
        for (std::size_t i = 0; i < line.size(); ++i) {
          append(i == 0 ? "" : ", ", r.columns[i].type, line[i], sentence);
          const std::string_view name = r.columns[i].name;
          if (first && !compared(name).empty()) sentence += " COLLATE utf8mb4_nopad_bin";
          if (first) sentence.append(" AS ").append(name);
        }
        if (!first) sentence += ")";
      }
      const std::string set =
          set_where(r, "t.", "t.", [&](std::size_t i) { return "v." + std::string{r.columns[i].name}; });
      const auto where = set.find(" WHERE ");
      run(sentence + ") AS v STRAIGHT_JOIN " + r.table + " AS t ON " + set.substr(where + 7) + " SET " +
          set.substr(0, where));
    }
    must(mysql_affected_rows(db_) == r.values.size(), "not every row");
  }
  std::size_t select(const std::string& sentence) override {
    run(sentence);
    MYSQL_RES* found = mysql_store_result(db_);
    must(found != nullptr, mysql_error(db_));
    std::size_t rows = 0, bytes = 0;
    while (mysql_fetch_row(found) != nullptr) {
      const unsigned long* sizes = mysql_fetch_lengths(found);
      for (unsigned i = 0; i < mysql_num_fields(found); ++i) bytes += sizes[i];
      ++rows;
    }
    must(rows == 0 || bytes != 0, "nothing read");
    mysql_free_result(found);
    return rows;
  }

 private:
  void append(const char* before, column_type type, const std::optional<std::string>& value,
              std::string& to) {
    to += before;
    if (!value) {
      to += "NULL";
    } else if (type == column_type::integer) {
      to += *value;
    } else {
      to += '\'';
      const std::size_t at = to.size();
      to.resize(at + value->size() * 2 + 1);
      to.resize(at + mysql_real_escape_string(db_, to.data() + at, value->data(), value->size()));
      to += '\'';
    }
  }
  MYSQL* db_;
};

}  // namespace presence::bench
