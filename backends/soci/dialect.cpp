#include "dialect.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <string_view>

namespace presence::sql {

namespace {

using when = preparation::when;

bool says(std::string_view message, std::initializer_list<std::string_view> any) {
  return std::any_of(any.begin(), any.end(),
                     [&](std::string_view part) { return message.find(part) != message.npos; });
}

// SQLite's texts of its result codes (sqlite3_errstr) have been the same for many years.
storage_fault sqlite_fault(complaint, std::string_view message) {
  if (says(message, {"UNIQUE constraint failed"})) return storage_fault::conflict;
  if (says(message, {"constraint failed", "no such table", "no such column", "has no column named",
                     "malformed", "not a database", "Null value"})) {
    return storage_fault::corrupt;
  }
  return storage_fault::unavailable;  // locked, full, read-only, I/O error, cannot open, out of memory
}

// By SQLSTATE, which SOCI sorts: classes 23 and 42. Its message would depend on the server's language.
storage_fault postgresql_fault(complaint what, std::string_view message) {
  if (what == complaint::constraint) return storage_fault::conflict;
  if (what == complaint::statement || says(message, {"Null value"})) return storage_fault::corrupt;
  return storage_fault::unavailable;  // gone, deadlock, timeout, read-only, full, no privilege, ...
}

// By message: each connection sets its language, and SOCI hides the numbers.
storage_fault mariadb_fault(complaint what, std::string_view message) {
  if (what == complaint::connection) return storage_fault::unavailable;
  if (says(message, {"Duplicate entry"})) return storage_fault::conflict;
  if (says(message, {"doesn't exist", "Unknown column", "error in your SQL syntax", "cannot be null",
                     "doesn't have a default value", "Null value"})) {
    return storage_fault::corrupt;
  }
  return storage_fault::unavailable;  // deadlock, timeout, read-only, full, ...
}

constexpr std::array<preparation, 3> sqlite_preparations{{
    {when::writing, "PRAGMA journal_mode = WAL"},
    {when::durable, "PRAGMA synchronous = FULL"},
    {when::deferred, "PRAGMA synchronous = NORMAL"},
}};

// client_encoding: bytes are not converted. client_min_messages: libpq prints notices. The last five: every statement of
// ours has an index, and a plan made while a table was small must not outlive that; nor are the first five executions
// planned for their values, which sorts large tables that have no statistics yet (select_page).
constexpr std::array<preparation, 4> postgresql_preparations{{
    {when::always,
     "SELECT set_config('client_encoding', current_setting('server_encoding'), false),"
     " set_config('client_min_messages', 'error', false), set_config('bytea_output', 'hex', false),"
     " set_config('standard_conforming_strings', 'on', false),"
     " set_config('default_transaction_isolation', 'read committed', false),"
     " set_config('lock_timeout', '{ms}', false), set_config('statement_timeout', '{work}', false),"
     " set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),"
     " set_config('enable_mergejoin', 'off', false), set_config('jit', 'off', false),"
     " set_config('plan_cache_mode', 'force_generic_plan', false)"},
    {when::reading, "SET default_transaction_read_only = on"},
    {when::durable,
     "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = "
     "'off'"},
    {when::deferred, "SET synchronous_commit = off"},
}};

// sql_mode: values that do not fit are refused, and backslashes in strings are as the client escapes them.
constexpr std::array<preparation, 2> mariadb_preparations{{
    {when::always,
     "SET SESSION sql_mode = 'STRICT_ALL_TABLES', autocommit = 1, tx_isolation = 'READ-COMMITTED',"
     " lc_messages = 'en_US', innodb_lock_wait_timeout = {s}, lock_wait_timeout = greatest({s}, 1),"
     " max_statement_time = {work_s}"},
    {when::reading, "SET SESSION tx_read_only = 1"},
}};

}  // namespace

bool gave_way(std::string_view message) {
  return says(message, {"deadlock", "Deadlock", "could not serialize", "restart transaction"});
}

bool doubtful(std::string_view message) {
  return says(message, {"ambiguous", "ost connection", "gone away", "closed the connection"});
}

bool refused(std::string_view message) {
  return says(message, {"database is locked", "readonly database", "database or disk is full"});
}

const dialect sqlite{
    .scheme = "sqlite",
    .name = "SQLite",
    .backend = "sqlite3",
    .package = "libsoci-sqlite3-4.0",
    .id_type = "INTEGER PRIMARY KEY NOT NULL",
    .blob_type = "BLOB",
    .table_options = "",
    .prefixed_indexes = true,
    .partial_indexes = true,
    .transactional_schema = true,
    .folds_names = false,
    .tables = "SELECT name FROM sqlite_master WHERE type = 'table'",
    .columns = "SELECT name FROM pragma_table_info(:table)",
    .widths = "",
    .widen = "",
    .mending = "",
    .preparations = sqlite_preparations,
    .doubts = "",
    // A plain BEGIN would read first and could then find its snapshot stale when it writes.
    .begin = "BEGIN IMMEDIATE",
    .wide_type = "BIGINT",
    .on_duplicate = " ON CONFLICT ({key}) DO UPDATE SET ",
    .new_value = "excluded.{name}",
    .collation = "",
    .many = batching::none,
    .fewest = 2,
    .utf8_only = false,
    .hex_bytes = false,
    .numbers_as_text = false,
    .of_bytes = "",
    .fault = sqlite_fault,
};

const dialect postgresql{
    .scheme = "postgres",
    .name = "PostgreSQL",
    .backend = "postgresql",
    .package = "libsoci-postgresql4.0",
    .id_type = "BIGSERIAL PRIMARY KEY NOT NULL",
    .blob_type = "BYTEA",
    .table_options = "",
    .prefixed_indexes = true,
    .partial_indexes = true,
    .transactional_schema = true,
    .folds_names = true,
    .tables = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND pg_table_is_visible(oid)",
    .columns =
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT "
        "attisdropped",
    .widths =
        "SELECT attname || ':' || CASE WHEN attnotnull AND attname IN ('reason', 'user_agent') THEN 0 ELSE"
        " atttypmod - 4 END FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0"
        " AND NOT attisdropped AND atttypid = 'varchar'::regtype AND atttypmod > 0",
    .widen = "ALTER TABLE {t} ALTER COLUMN {column} TYPE {type}{null}",
    .mending =
        "SELECT unnest(ARRAY['ALTER TABLE ' || attrelid::regclass || ' ALTER COLUMN id TYPE BIGINT',"
        " 'ALTER SEQUENCE ' || pg_get_serial_sequence(attrelid::regclass::text, 'id') || ' AS BIGINT'])"
        " FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attname = 'id' AND atttypid = "
        "'int4'::regtype",
    .preparations = postgresql_preparations,
    .doubts = "SELECT 'fsync is off' WHERE current_setting('fsync') = 'off'",
    .begin = "BEGIN",
    .wide_type = "BIGINT",
    .on_duplicate = " ON CONFLICT ({key}) DO UPDATE SET ",
    .new_value = "excluded.{name}",
    .collation = "",
    .many = batching::arrays,
    .fewest = 2,
    .utf8_only = true,
    .hex_bytes = true,
    .numbers_as_text = false,
    .of_bytes = "",
    .fault = postgresql_fault,
};

const dialect mariadb{
    .scheme = "mysql",
    .name = "MariaDB",
    .backend = "mysql",
    .package = "libsoci-mysql4.0",
    .id_type = "BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY NOT NULL",
    .blob_type = "LONGBLOB",
    // Keys are compared byte by byte, trailing blanks included.
    .table_options = " ENGINE = InnoDB CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
    .prefixed_indexes = false,
    .partial_indexes = false,
    .transactional_schema = false,
    .folds_names = false,
    .tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = database()",
    .columns =
        "SELECT column_name FROM information_schema.columns WHERE table_schema = database() AND table_name = "
        ":table",
    .widths =
        "SELECT concat(column_name, ':', IF(is_nullable = 'NO' AND column_name IN ('reason', 'user_agent'), "
        "0,"
        " character_maximum_length)) FROM information_schema.columns WHERE table_schema = database()"
        " AND table_name = :table AND data_type = 'varchar'",
    .widen = "ALTER TABLE {t} MODIFY {column} {whole}",
    .mending =
        "SELECT concat('ALTER TABLE ', table_name, ' ENGINE = InnoDB') FROM information_schema.tables"
        " WHERE table_schema = database() AND table_name = :table AND engine <> 'InnoDB'"
        " UNION ALL SELECT concat('ALTER TABLE ', table_name, ' MODIFY id BIGINT UNSIGNED AUTO_INCREMENT NOT "
        "NULL')"
        " FROM information_schema.columns"
        " WHERE table_schema = database() AND table_name = :table AND column_name = 'id' AND data_type <> "
        "'bigint'"
        " UNION ALL SELECT concat('ALTER TABLE ', table_name, ' MODIFY body LONGBLOB NOT NULL')"
        " FROM information_schema.columns"
        " WHERE table_schema = database() AND table_name = :table AND column_name = 'body' AND data_type <> "
        "'longblob'"
        " UNION ALL SELECT concat('ALTER TABLE ', table_name,"
        " ' CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin') FROM information_schema.columns"
        " WHERE table_schema = database() AND table_name = :table AND collation_name <> 'utf8mb4_nopad_bin'"
        " GROUP BY table_name",
    .preparations = mariadb_preparations,
    .doubts =
        "SELECT concat('innodb_flush_log_at_trx_commit is ', @@innodb_flush_log_at_trx_commit) FROM dual"
        " WHERE @@innodb_flush_log_at_trx_commit NOT IN (1, 3)",
    .begin = "BEGIN",
    .wide_type = "SIGNED",
    .on_duplicate = " ON DUPLICATE KEY UPDATE ",
    .new_value = "VALUES({name})",
    .collation = " COLLATE utf8mb4_nopad_bin",
    .many = batching::literals,
    // Values with bodies make a table of their own on the server first, which costs as much as three updates.
    .fewest = 4,
    .utf8_only = true,
    .hex_bytes = false,
    .numbers_as_text = true,
    .of_bytes = "BINARY ",
    .fault = mariadb_fault,
};

}  // namespace presence::sql
