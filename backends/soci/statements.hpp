/// Every SQL text of this backend, as a function of table names, column lists and dialect. Values are
/// always bound, but in rows_of_literals(), where they are hexadecimal digits or harmless between quotes.
/// No table lock, no REPLACE, no join of tables; each statement names one table.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "columns.hpp"
#include "dialect.hpp"

namespace presence::sql {

/// `a<between>b<between>c`, each column as `write` renders it.
template <class Write>
std::string joined(const columns& list, std::string_view between, Write write) {
  std::string made;
  for (const auto& c : list) {
    if (!made.empty()) made += between;
    made += write(c);
  }
  return made;
}

/// Puts values in the place of {names} in a pattern.
template <class Value>
std::string filled(std::string_view pattern, Value value) {
  std::string made;
  while (!pattern.empty()) {
    const auto brace = pattern.find('{');
    made += pattern.substr(0, brace);
    if (brace == pattern.npos) break;
    const auto end = pattern.find('}', brace);
    made += value(pattern.substr(brace + 1, end - brace - 1));
    pattern.remove_prefix(end + 1);
  }
  return made;
}

// --- writing ----------------------------------------------------------------------------------------

/// A kind of row operation. `values` are written, `key` is compared. What `raise` writes is in its key, too: it updates
/// rows that have less.
struct row_operation {
  enum class verb : std::uint8_t { insert, update, raise, replace, erase } what;
  std::string_view table;
  columns values, key;
  /// Columns of Kamailio's with a fixed value: an insert ends with `names` and `constants`.
  std::string_view names = {}, constants = {};
};
using verb = row_operation::verb;

/// Whether it is about rows that are there, found by their key.
inline bool compares(verb what) { return what != verb::insert && what != verb::replace; }

inline std::string plain(const column& c) { return std::string{c.name}; }

inline bool contains(const columns& list, const column& sought) {
  return std::any_of(list.begin(), list.end(), [&](const column& c) { return c.name == sought.name; });
}

/// The name a value is bound under. A key's values have names of their own (k_...), so that a
/// statement can both set and compare a column.
inline std::string key_name(const column& c) { return "k_" + plain(c); }

/// NULL keeps the content a publication has. `of`: what a column's name is preceded by, e.g. "t.".
inline std::string assigned(const column& c, const std::string& value, const std::string& of = {}) {
  const bool keeps = c.name == "body" || c.name == "x_content_type";
  return plain(c) + " = " + (keeps ? "coalesce(" + value + ", " + of + plain(c) + ")" : value);
}

/// Kamailio may have left event_id NULL for empty.
inline std::string compared(const column& c, const std::string& value, const std::string& of = {}, std::string_view how = " = ") {
  return (c.name == "event_id" ? "coalesce(" + of + "event_id, '')" : of + plain(c)) + std::string{how} + value;
}

/// The rows the operation is about. `value`: what the name of a value is preceded by.
inline std::string found(const row_operation& op, const std::string& value, const std::string& of = {}) {
  return joined(op.key, " AND ", [&](const column& c) {
    const bool raised = op.what == verb::raise && contains(op.values, c);
    return compared(c, value + key_name(c), of, raised ? " < " : " = ");
  });
}

inline std::string insert_into(const row_operation& op) {
  return "INSERT INTO " + std::string{op.table} + " (" + joined(op.values, ", ", plain) +
         std::string{op.names} + ")";
}

/// What follows an insert that replaces: every column but the key.
inline std::string when_there(const dialect& d, const row_operation& op) {
  if (op.what != verb::replace) return {};
  const auto replaced = [&](const column& c) {
    return plain(c) + " = " + filled(d.new_value, [&](std::string_view) { return c.name; });
  };
  columns rest;
  for (const auto& c : op.values)
    if (!contains(op.key, c)) rest.push_back(c);
  return filled(d.on_duplicate, [&](std::string_view) { return joined(op.key, ", ", plain); }) +
         joined(rest, ", ", replaced);
}

/// The statement for one row.
inline std::string one_row(const dialect& d, const row_operation& op) {
  const auto bound = [&](const column& c) {
    return std::string{c.type == column_type::binary ? d.of_bytes : ""} + ":" + plain(c);
  };
  const auto where = [&] { return " WHERE " + found(op, ":"); };
  const std::string table{op.table};
  if (op.what == verb::erase) return "DELETE FROM " + table + where();
  if (compares(op.what)) {
    return "UPDATE " + table + " SET " +
           joined(op.values, ", ", [&](const column& c) { return assigned(c, bound(c)); }) + where();
  }
  return insert_into(op) + " VALUES (" + joined(op.values, ", ", bound) + std::string{op.constants} + ")" +
         when_there(d, op);
}

/// The statement for any number of rows, whose values are bound as one array per column.
inline std::string rows_of_arrays(const dialect& d, const row_operation& op) {
  const auto array = [](const std::string& name, column_type type) {
    return "CAST(:" + name + " AS " +
           (type == column_type::integer  ? "bigint"
            : type == column_type::binary ? "bytea"
                                          : "text") +
           "[])";
  };
  std::string arrays = joined(op.values, ", ", [&](const column& c) { return array(plain(c), c.type); });
  std::string names = joined(op.values, ", ", plain);
  const auto value = [](const column& c) { return "v." + plain(c); };
  const std::string table{op.table};
  if (op.what == verb::insert || op.what == verb::replace) {
    return insert_into(op) + " SELECT " + joined(op.values, ", ", value) + std::string{op.constants} +
           " FROM unnest(" + arrays + ") AS v (" + names + ")" + when_there(d, op);
  }
  if (!arrays.empty()) arrays += ", ", names += ", ";
  arrays += joined(op.key, ", ", [&](const column& c) { return array(key_name(c), c.type); });
  names += joined(op.key, ", ", key_name);
  const std::string from = "unnest(" + arrays + ") AS v (" + names + ") WHERE " + found(op, "v.", "t.");
  if (op.what == verb::erase) return "DELETE FROM " + table + " AS t USING " + from;
  return "UPDATE " + table + " AS t SET " +
         joined(op.values, ", ", [&](const column& c) { return assigned(c, value(c), "t."); }) + " FROM " +
         from;
}

/// The statement for rows given as literals: each is values in parentheses; where rows are updated or ended,
/// the first is a SELECT that gives the columns their names.
inline std::string rows_of_literals(const dialect& d, const row_operation& op, std::string_view rows) {
  const std::string table{op.table};
  if (op.what == verb::insert || op.what == verb::replace)
    return insert_into(op) + " VALUES " + std::string{rows} + when_there(d, op);
  const std::string from = "(" + std::string{rows} + ") AS v STRAIGHT_JOIN " + table + " AS t ON " + found(op, "v.", "t.");
  if (op.what == verb::erase) return "DELETE t FROM " + from;
  return "UPDATE " + from + " SET " +
         joined(op.values, ", ", [&](const column& c) { return "t." + assigned(c, "v." + plain(c), "t."); });
}

// --- reading, sweeping --------------------------------------------------------------------------------

/// A page: rows after :after in the order of their ids. `wanted` begins with id. A whole package has many pages: its event
/// is compared so that no index serves that and nobody believes that few rows have it, else PostgreSQL, where no
/// statistics are there yet, would read and sort the rest of the table for each page.
inline std::string select_page(std::string_view table, const columns& wanted, const columns& filter) {
  std::string where = "id > :after";
  const bool whole_package = filter.size() == 1 && filter[0].name == "event";
  for (const auto& c : filter) {
    const std::string same = compared(c, ":" + key_name(c));
    where += " AND " + (whole_package ? "CASE WHEN " + same + " THEN TRUE ELSE FALSE END" : same);
  }
  return "SELECT " + joined(wanted, ", ", plain) + " FROM " + std::string{table} + " WHERE " + where +
         " ORDER BY id LIMIT :count";
}

/// Compares a moment with :ms, in milliseconds. Adding the rest to the seconds could overflow, if somebody wrote nonsense
/// there, and one such row would fail the statement for all.
inline std::string exact(const dialect& d, std::string_view moment, std::string_view rest, std::string_view how) {
  return "coalesce(" + std::string{rest} + ", 0)" + std::string{how} + ":ms - CAST(" + std::string{moment} + " AS " +
         std::string{d.wide_type} + ") * 1000";
}

/// `(:e0, :e1, ...)`
inline std::string list_of_events(std::size_t known) {
  std::string made;
  for (std::size_t i = 0; i < known; ++i) made += (i == 0 ? "(:e" : ", :e") + std::to_string(i);
  return made + ")";
}

/// Lapsed rows of events other than :e0, :e1, ... (expires -1 is Kamailio's "never"), and those that are `dead`
/// whatever their event is. The first condition can use the index on expires, the second is exact.
inline std::string sweep_rows(const dialect& d, std::string_view table, std::size_t known, std::string_view dead) {
  const std::string made = "DELETE FROM " + std::string{table} + " WHERE expires <= :second AND " +
                           exact(d, "expires", "x_expires_ms", " < ") + " AND NOT (expires = -1 AND x_expires_ms IS NULL)";
  if (known == 0) return made;
  const std::string foreign = "event NOT IN " + list_of_events(known);
  return made + " AND " + (dead.empty() ? foreign : "(" + foreign + " OR " + std::string{dead} + ")");
}

/// What is due in a table: rows of `moment` up to :second and :ms, the first ones first; without `rest` both are in
/// milliseconds. `which` begins the conditions, so that an index on it and `moment` serves; `owned`: of :owner or nobody.
struct due_rows {
  std::string_view which, moment, rest;
  bool owned = false;
};
inline constexpr due_rows turning_rows{"turns_ms IS NOT NULL", "turns_ms", {}};
inline constexpr due_rows lapsed_rows{"expires > -1", "expires", "x_expires_ms"};
inline constexpr due_rows lapsed_dialogs{"expires > -1 AND status <> 3", "expires", "x_expires_ms"};
inline constexpr due_rows own_lapsed_dialogs{lapsed_dialogs.which, lapsed_dialogs.moment, lapsed_dialogs.rest, true};
inline constexpr due_rows pending_rows{"status = 2", "inserted_time", "x_inserted_ms"};
inline constexpr due_rows waiting_rows{"status = 4", "inserted_time", "x_inserted_ms"};

inline std::string select_due(const dialect& d, std::string_view table, const columns& wanted,
                              const due_rows& due, std::size_t known) {
  const std::string moment{due.moment};
  return "SELECT " + joined(wanted, ", ", plain) + " FROM " + std::string{table} + " WHERE " + std::string{due.which} + " AND " +
         moment + " <= :second AND " + (due.rest.empty() ? moment + " <= :ms" : exact(d, moment, due.rest, " <= ")) +
         " AND event IN " + list_of_events(known) + (due.owned ? " AND (x_owner IS NULL OR x_owner = :owner)" : "") +
         " ORDER BY " + moment + " LIMIT :count";
}

inline std::string select_mark(std::string_view table, const columns& wanted, const columns& key) {
  return "SELECT " + joined(wanted, ", ", plain) + " FROM " + std::string{table} + " WHERE " +
         joined(key, " AND ", [](const column& c) { return compared(c, ":" + key_name(c)); });
}

/// Marks that nobody has changed since :before, in seconds. What turns is looked for until then, too.
inline std::string sweep_marks(std::string_view table) {
  return "DELETE FROM " + std::string{table} + " WHERE touched < :before AND (turns_ms IS NULL OR turns_ms < :before_ms)";
}

// --- schema ---------------------------------------------------------------------------------------
// Kamailio's tables, column for column: {t} table name, {i} what the names of its indexes begin with,
// {id} {blob} the dialect's types, {end} its table options. Ids have 64 bits and a body has no limit
// where Kamailio's would. Only the unique index of active_watchers is wider than Kamailio's: by RFC
// 3265 one dialog may carry several subscriptions, so event and event_id (empty, never NULL) belong
// to the key.

inline constexpr std::string_view create_version = R"(CREATE TABLE version (
  id {id},
  table_name VARCHAR(32) NOT NULL,
  table_version INTEGER DEFAULT 0 NOT NULL,
  CONSTRAINT {i}table_name_idx UNIQUE (table_name)){end})";

inline constexpr std::string_view create_presentity = R"(CREATE TABLE {t} (
  id {id},
  username VARCHAR(64) NOT NULL,
  domain VARCHAR(64) NOT NULL,
  event VARCHAR(64) NOT NULL,
  etag VARCHAR(128) NOT NULL,
  expires INTEGER NOT NULL,
  received_time INTEGER NOT NULL,
  body {blob} NOT NULL,
  sender VARCHAR(255) NOT NULL,
  priority INTEGER DEFAULT 0 NOT NULL,
  ruid VARCHAR(64),
  CONSTRAINT {i}presentity_idx UNIQUE (username, domain, event, etag),
  CONSTRAINT {i}ruid_idx UNIQUE (ruid)){end})";

inline constexpr std::string_view create_active_watchers = R"(CREATE TABLE {t} (
  id {id},
  presentity_uri VARCHAR(255) NOT NULL,
  watcher_username VARCHAR(64) NOT NULL,
  watcher_domain VARCHAR(64) NOT NULL,
  to_user VARCHAR(64) NOT NULL,
  to_domain VARCHAR(64) NOT NULL,
  event VARCHAR(64) DEFAULT 'presence' NOT NULL,
  event_id VARCHAR(64),
  to_tag VARCHAR(128) NOT NULL,
  from_tag VARCHAR(128) NOT NULL,
  callid VARCHAR(255) NOT NULL,
  local_cseq INTEGER NOT NULL,
  remote_cseq INTEGER NOT NULL,
  contact VARCHAR(255) NOT NULL,
  record_route TEXT,
  expires INTEGER NOT NULL,
  status INTEGER DEFAULT 2 NOT NULL,
  reason VARCHAR(64),
  version INTEGER DEFAULT 0 NOT NULL,
  socket_info VARCHAR(64) NOT NULL,
  local_contact VARCHAR(255) NOT NULL,
  from_user VARCHAR(64) NOT NULL,
  from_domain VARCHAR(64) NOT NULL,
  updated INTEGER NOT NULL,
  updated_winfo INTEGER NOT NULL,
  flags INTEGER DEFAULT 0 NOT NULL,
  user_agent VARCHAR(255) DEFAULT '',
  CONSTRAINT {i}active_watchers_idx UNIQUE (callid, to_tag, from_tag, event, event_id)){end})";

inline constexpr std::string_view create_watchers = R"(CREATE TABLE {t} (
  id {id},
  presentity_uri VARCHAR(255) NOT NULL,
  watcher_username VARCHAR(64) NOT NULL,
  watcher_domain VARCHAR(64) NOT NULL,
  event VARCHAR(64) DEFAULT 'presence' NOT NULL,
  status INTEGER NOT NULL,
  reason VARCHAR(64),
  inserted_time INTEGER NOT NULL,
  CONSTRAINT {i}watcher_idx UNIQUE (presentity_uri, watcher_username, watcher_domain, event)){end})";

/// Ours alone: one row for each state that several engines change, or whose decisions turn.
inline constexpr std::string_view create_states = R"(CREATE TABLE {t} (
  username VARCHAR(64) NOT NULL,
  domain VARCHAR(64) NOT NULL,
  event VARCHAR(64) NOT NULL,
  stamp BIGINT NOT NULL,
  touched BIGINT NOT NULL,
  CONSTRAINT {i}states_idx PRIMARY KEY (username, domain, event)){end})";

/// Columns of the two that Kamailio 5.1 and 4.4 did not have yet.
inline constexpr std::array<std::string_view, 1> presentity_younger{"ruid"};
inline constexpr std::array<std::string_view, 2> active_watchers_younger{"flags", "user_agent"};

/// An index of a table; `partial`: a condition all rows of ours fail, or most do, so that it costs nothing.
struct index_text {
  std::string_view name, columns, partial = {};
};

inline constexpr std::array<index_text, 2> presentity_indexes{{
    {"presentity_expires", "expires"},
    {"account_idx", "username, domain, event"},
}};
inline constexpr std::array<index_text, 4> active_watchers_indexes{{
    {"active_watchers_expires", "expires"},
    {"active_watchers_pres", "presentity_uri, event"},
    {"updated_idx", "updated", "updated <> -1"},
    {"updated_winfo_idx", "updated_winfo, presentity_uri", "updated_winfo <> -1"},
}};

inline constexpr std::array<index_text, 1> watchers_indexes{{{"x_waiting_idx", "status, inserted_time"}}};
inline constexpr std::array<index_text, 1> states_indexes{{{"states_turns_idx", "turns_ms", "turns_ms IS NOT NULL"}}};

/// A column with all that is said of it.
struct column_text {
  std::string_view name, type;
};

/// The columns of a table above.
inline std::vector<column_text> columns_in(std::string_view create) {
  std::vector<column_text> made;
  while (true) {
    create.remove_prefix(create.find("\n  ") + 3);
    const std::string_view line = create.substr(0, create.find(",\n"));
    const auto blank = line.find(' ');
    if (line.starts_with("CONSTRAINT")) return made;
    made.push_back({line.substr(0, blank), line.substr(blank + 1)});
  }
}

// Our own columns, added to Kamailio's, and to a table of an earlier version of this library.
inline constexpr std::array<column_text, 7> presentity_columns{{{"x_id", "BIGINT"},
                                                                {"x_content_type", "TEXT"},
                                                                {"x_expires_ms", "BIGINT"},
                                                                {"x_received_ms", "BIGINT"},
                                                                {"x_nth", "BIGINT"},
                                                                {"x_publisher", "TEXT"},
                                                                {"x_long", "{blob}"}}};
inline constexpr std::array<column_text, 15> active_watchers_columns{{{"x_expires_ms", "BIGINT"},
                                                                      {"x_since_ms", "BIGINT"},
                                                                      {"x_local_uri", "TEXT"},
                                                                      {"x_remote_uri", "TEXT"},
                                                                      {"x_event", "TEXT"},
                                                                      {"x_cookie", "{blob}"},
                                                                      {"x_headers", "TEXT"},
                                                                      {"x_display_name", "TEXT"},
                                                                      {"x_also", "TEXT"},
                                                                      {"x_owner", "TEXT"},
                                                                      {"x_approved", "INTEGER"},
                                                                      {"x_other_usages", "INTEGER"},
                                                                      {"x_secure", "INTEGER"},
                                                                      {"x_proven", "INTEGER"},
                                                                      {"x_long", "{blob}"}}};
inline constexpr std::array<column_text, 2> watchers_columns{
    {{"x_inserted_ms", "BIGINT"}, {"x_long", "{blob}"}}};
inline constexpr std::array<column_text, 2> states_columns{{{"turns_ms", "BIGINT"}, {"x_long", "{blob}"}}};

/// Puts the table's name and the dialect's types into one of the texts above.
inline std::string schema_text(std::string_view pattern, std::string_view table, const dialect& d) {
  return filled(pattern, [&](std::string_view name) -> std::string {
    if (name == "t") return std::string{table};
    if (name == "i") return d.prefixed_indexes ? std::string{table} + "_" : "";
    return std::string{name == "id" ? d.id_type : name == "blob" ? d.blob_type : d.table_options};
  });
}

inline std::string create_index(const index_text& which, std::string_view table, const dialect& d) {
  std::string made = schema_text("CREATE INDEX IF NOT EXISTS {i}", table, d) + std::string{which.name} +
                     " ON " + std::string{table} + " (" + std::string{which.columns} + ")";
  if (d.partial_indexes && !which.partial.empty()) made.append(" WHERE ").append(which.partial);
  return made;
}

/// A table with our own columns behind Kamailio's; with its indexes where they have to come in the same statement.
inline std::string create_table(std::string_view create, std::span<const column_text> ours, std::span<const index_text> indexes,
                                std::string_view table, const dialect& d) {
  std::string pattern{create}, added;
  for (const auto& column : ours) added.append("\n  ").append(column.name).append(" ").append(column.type).append(",");
  pattern.insert(pattern.find("\n  CONSTRAINT"), added);
  if (!d.transactional_schema)
    for (const auto& which : indexes)
      pattern.insert(pattern.rfind("){end}"),
                     ",\n  INDEX {i}" + std::string{which.name} + " (" + std::string{which.columns} + ")");
  return schema_text(pattern, table, d);
}

inline std::string add_column(const column_text& which, std::string_view table, const dialect& d) {
  return schema_text("ALTER TABLE {t} ADD COLUMN ", table, d) + std::string{which.name} + " " +
         schema_text(which.type, table, d);
}

/// Whether a column's width is below ours; `widths` has `name:width` of each.
inline bool is_narrow(const column_text& which, const std::vector<std::string>& widths) {
  constexpr std::string_view varying = "VARCHAR(";
  if (!which.type.starts_with(varying)) return false;
  const auto wanted = std::atoi(which.type.data() + varying.size());
  return std::any_of(widths.begin(), widths.end(), [&](std::string_view found) {
    const auto colon = found.find(':');
    return found.substr(0, colon) == which.name && std::atoi(found.data() + colon + 1) < wanted;
  });
}

inline std::string widen(const column_text& which, std::string_view table, const dialect& d) {
  return filled(d.widen, [&](std::string_view name) -> std::string {
    if (name == "t") return std::string{table};
    if (name == "column") return std::string{which.name};
    if (name == "whole") return std::string{which.type};
    if (name == "type") return std::string{which.type.substr(0, which.type.find(')') + 1)};
    // null: what has to be said so that it may be NULL
    return which.type.ends_with("NOT NULL") ? ""
                                            : ", ALTER COLUMN " + std::string{which.name} + " DROP NOT NULL";
  });
}

inline constexpr std::string_view select_versions = "SELECT table_name, table_version FROM version";
inline constexpr std::string_view insert_version =
    "INSERT INTO version (table_name, table_version) VALUES (:name, :version)";

}  // namespace presence::sql
