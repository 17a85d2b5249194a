#include "dialect.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace presence {

soci_settings soci_settings::from(const options& settings) {
  soci_settings made;
  made.db_url = settings.db_url;
  made.presentity_table = settings.presentity_table;
  made.active_watchers_table = settings.active_watchers_table;
  made.watchers_table = settings.watchers_table;
  return made;
}

namespace sql {

namespace {

// SQLite's texts of its result codes (sqlite3_errstr) have been the same for many years.
storage_fault sqlite_fault(std::string_view message) {
  const auto says = [&](std::string_view part) { return message.find(part) != message.npos; };
  if (says("UNIQUE constraint failed")) return storage_fault::conflict;
  if (says("constraint failed") || says("no such table") || says("no such column") ||
      says("has no column named") || says("malformed") || says("not a database") || says("Null value")) {
    return storage_fault::corrupt;
  }
  return storage_fault::unavailable;  // locked, full, read-only, I/O error, cannot open, out of memory
}

bool plain_identifier(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && name.size() <= 32 && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || digit(c); });
}

unexpected<storage_error> refuse(std::string text) {
  return {storage_error{storage_fault::unavailable, std::move(text)}};
}

constexpr std::string_view expected_url = "expected sqlite:///absolute/path/to/file";

}  // namespace

const dialect sqlite{
    .scheme = "sqlite",
    .backend = "sqlite3",
    .package = "libsoci-sqlite3-4.0",
    .id_type = "INTEGER PRIMARY KEY NOT NULL",
    .blob_type = "BLOB",
    .on_connect = "PRAGMA journal_mode = WAL",
    .durable = "PRAGMA synchronous = FULL",
    .deferred = "PRAGMA synchronous = NORMAL",
    // A plain BEGIN would read first and could then find its snapshot stale when it writes.
    .begin = "BEGIN IMMEDIATE",
    .tables = "SELECT name FROM sqlite_master WHERE type = 'table'",
    .columns = "SELECT name FROM pragma_table_info(:table)",
    .partial_indexes = true,
    .fault = sqlite_fault,
};

result<target, storage_error> target_of(const soci_settings& s) {
  const std::string_view names[] = {s.presentity_table, s.active_watchers_table, s.watchers_table};
  for (const auto& name : names) {
    if (!plain_identifier(name)) {
      return refuse(
          "a table name is not a plain identifier: use letters, digits and '_', at most 32 of them, "
          "no digit first");
    }
    if (name == "version" || std::count(std::begin(names), std::end(names), name) != 1) {
      return refuse("table name '" + std::string{name} +
                    "' is used twice: give presentity_table, active_watchers_table and watchers_table "
                    "three names, none of them 'version'");
    }
  }
  const std::string_view url = s.db_url;
  const auto colon = url.find("://");
  if (colon == url.npos) {
    return refuse("db_url has no scheme: " + std::string{expected_url});
  }
  const std::string_view scheme = url.substr(0, colon);
  if (scheme == "postgres" || scheme == "postgresql" || scheme == "mysql") {
    return refuse("db_url: " + std::string{scheme} +
                  " is not supported yet by this build: " + std::string{expected_url});
  }
  if (scheme != sqlite.scheme) {
    return refuse("db_url: the scheme is not known: " + std::string{expected_url});
  }
  std::string_view path = url.substr(colon + 3);
  if (path.empty() || path.front() != '/') {
    return refuse("db_url: the path is not absolute: " + std::string{expected_url});
  }
  while (path.size() > 1 && path[1] == '/') path.remove_prefix(1);
  if (path.size() == 1 || path.back() == '/') {
    return refuse("db_url: the path names no file: " + std::string{expected_url});
  }
  // SOCI's parameter syntax has no way to write a quote inside quotes.
  if (std::any_of(path.begin(), path.end(), [](char c) {
        return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
      })) {
    return refuse("db_url: the path contains a quote, a backslash or a control character: rename the file");
  }
  target to{.speaks = &sqlite, .file = std::string{path}};
  to.parameters = "db=\"" + to.file +
                  "\" timeout=" + std::to_string(std::clamp<seconds::rep>(s.busy_timeout.count(), 0, 3600));
  if (s.read_only) to.parameters += " readonly=1";
  return to;
}

}  // namespace sql
}  // namespace presence
