/// Every SQL text of this backend, as a function of table names, column lists and dialect. Values
/// are always bound, never written into a text. No table lock, no REPLACE, no join; each statement
/// names one table.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dialect.hpp"

namespace presence::sql {

using names = std::vector<std::string_view>;

/// `a<between>b<between>c`, each name as `write` renders it.
template <class Write>
std::string joined(const names& list, std::string_view between, Write write) {
  std::string made;
  for (const auto& name : list) {
    if (!made.empty()) made += between;
    made += write(name);
  }
  return made;
}

inline std::string plain(std::string_view name) { return std::string{name}; }
inline std::string bound(std::string_view name) { return ":" + std::string{name}; }
inline std::string assigned(std::string_view name) { return plain(name) + " = " + bound(name); }

/// Comparison with a key column. A key's values are bound under names of their own (k_...), so that a
/// statement can both set and compare a column. Kamailio may have left event_id NULL for empty.
inline std::string compared(std::string_view name) {
  return (name == "event_id" ? "coalesce(event_id, '')" : plain(name)) + " = :k_" + plain(name);
}

/// `constants`: columns with a fixed value of Kamailio's, e.g. {"updated", "-1"}.
inline std::string insert_row(
    std::string_view table, const names& columns,
    std::initializer_list<std::pair<std::string_view, std::string_view>> constants = {}) {
  std::string into = joined(columns, ", ", plain);
  std::string values = joined(columns, ", ", bound);
  for (const auto& [name, value] : constants) {
    into.append(", ").append(name);
    values.append(", ").append(value);
  }
  return "INSERT INTO " + plain(table) + " (" + into + ") VALUES (" + values + ")";
}

inline std::string update_row(std::string_view table, const names& columns, const names& key) {
  return "UPDATE " + plain(table) + " SET " + joined(columns, ", ", assigned) + " WHERE " +
         joined(key, " AND ", compared);
}

/// Inserts, or replaces every column but the key.
inline std::string put_row(const dialect&, std::string_view table, const names& columns, const names& key) {
  names all = key;
  all.insert(all.end(), columns.begin(), columns.end());
  return insert_row(table, all) + " ON CONFLICT (" + joined(key, ", ", plain) + ") DO UPDATE SET " +
         joined(columns, ", ",
                [](std::string_view name) { return plain(name) + " = excluded." + plain(name); });
}

inline std::string delete_row(std::string_view table, const names& key) {
  return "DELETE FROM " + plain(table) + " WHERE " + joined(key, " AND ", compared);
}

/// A page: rows after :after in the order of their ids. `columns` begins with id.
inline std::string select_page(std::string_view table, const names& columns, const names& filter) {
  std::string where = "id > :after";
  for (const auto& name : filter) where += " AND " + compared(name);
  return "SELECT " + joined(columns, ", ", plain) + " FROM " + plain(table) + " WHERE " + where +
         " ORDER BY id LIMIT :count";
}

/// Lapsed rows of events other than :e0, :e1, ... (expires -1 is Kamailio's "never"). The first
/// condition can use the index on expires, the second is exact.
inline std::string sweep_rows(std::string_view table, std::size_t known) {
  std::string made = "DELETE FROM " + plain(table) +
                     " WHERE expires <= :second AND expires * 1000 + coalesce(x_expires_ms, 0) < :ms"
                     " AND NOT (expires = -1 AND x_expires_ms IS NULL)";
  for (std::size_t i = 0; i < known; ++i)
    made += (i == 0 ? " AND event NOT IN (:e" : ", :e") + std::to_string(i);
  return known == 0 ? made : made + ")";
}

// --- schema ---------------------------------------------------------------------------------------
// Kamailio's tables, column for column: {t} table name, {id} {blob} the dialect's types. Only the
// unique index of active_watchers is wider than Kamailio's: by RFC 3265 one dialog may carry several
// subscriptions, so event and event_id (empty, never NULL) belong to the key.

inline constexpr std::string_view create_version = R"(CREATE TABLE version (
  id {id},
  table_name VARCHAR(32) NOT NULL,
  table_version INTEGER DEFAULT 0 NOT NULL,
  CONSTRAINT version_table_name_idx UNIQUE (table_name)))";

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
  CONSTRAINT {t}_presentity_idx UNIQUE (username, domain, event, etag),
  CONSTRAINT {t}_ruid_idx UNIQUE (ruid)))";

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
  CONSTRAINT {t}_active_watchers_idx UNIQUE (callid, to_tag, from_tag, event, event_id)))";

inline constexpr std::string_view create_watchers = R"(CREATE TABLE {t} (
  id {id},
  presentity_uri VARCHAR(255) NOT NULL,
  watcher_username VARCHAR(64) NOT NULL,
  watcher_domain VARCHAR(64) NOT NULL,
  event VARCHAR(64) DEFAULT 'presence' NOT NULL,
  status INTEGER NOT NULL,
  reason VARCHAR(64),
  inserted_time INTEGER NOT NULL,
  CONSTRAINT {t}_watcher_idx UNIQUE (presentity_uri, watcher_username, watcher_domain, event)))";

/// An index of a table; `partial`: a condition all rows of ours fail, so that it costs nothing.
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

/// Our own columns, added to Kamailio's.
struct column_text {
  std::string_view name, type;
};

inline constexpr std::array<column_text, 4> presentity_columns{{{"x_id", "BIGINT"},
                                                                {"x_content_type", "TEXT"},
                                                                {"x_expires_ms", "BIGINT"},
                                                                {"x_received_ms", "BIGINT"}}};
inline constexpr std::array<column_text, 9> active_watchers_columns{{{"x_expires_ms", "BIGINT"},
                                                                     {"x_since_ms", "BIGINT"},
                                                                     {"x_local_uri", "TEXT"},
                                                                     {"x_remote_uri", "TEXT"},
                                                                     {"x_event", "TEXT"},
                                                                     {"x_cookie", "{blob}"},
                                                                     {"x_headers", "TEXT"},
                                                                     {"x_secure", "INTEGER"},
                                                                     {"x_proven", "INTEGER"}}};
inline constexpr std::array<column_text, 1> watchers_columns{{{"x_inserted_ms", "BIGINT"}}};

/// Puts the table's name and the dialect's types into one of the texts above.
inline std::string filled(std::string_view pattern, std::string_view table, const dialect& d) {
  std::string made;
  while (!pattern.empty()) {
    const auto brace = pattern.find('{');
    made += pattern.substr(0, brace);
    if (brace == pattern.npos) break;
    const auto end = pattern.find('}', brace);
    const auto name = pattern.substr(brace + 1, end - brace - 1);
    made += name == "t" ? table : name == "id" ? d.id_type : d.blob_type;
    pattern.remove_prefix(end + 1);
  }
  return made;
}

inline std::string create_index(const index_text& which, std::string_view table, const dialect& d) {
  std::string made = "CREATE INDEX " + plain(table) + "_" + plain(which.name) + " ON " + plain(table) + " (" +
                     plain(which.columns) + ")";
  if (d.partial_indexes && !which.partial.empty()) made += " WHERE " + plain(which.partial);
  return made;
}

inline std::string add_column(const column_text& which, std::string_view table, const dialect& d) {
  return "ALTER TABLE " + plain(table) + " ADD COLUMN " + plain(which.name) + " " +
         filled(which.type, table, d);
}

inline constexpr std::string_view select_versions = "SELECT table_name, table_version FROM version";
inline constexpr std::string_view insert_version =
    "INSERT INTO version (table_name, table_version) VALUES (:name, :version)";

}  // namespace presence::sql
