#include "target.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <presence/grammar.hpp>

namespace presence {

soci_settings soci_settings::from(const options& settings) {
  soci_settings made;
  made.db_url = settings.db_url;
  made.presentity_table = settings.presentity_table;
  made.active_watchers_table = settings.active_watchers_table;
  made.watchers_table = settings.watchers_table;
  made.states_table = settings.states_table;
  return made;
}

namespace sql {

namespace {

constexpr std::string_view forms =
    "expected sqlite:///absolute/path, postgres://user:password@host:port/database or "
    "mysql://user:password@host:port/"
    "database";

unexpected<storage_error> refuse(std::string text) {
  return {storage_error{storage_fault::unavailable, std::move(text)}};
}

bool plain_identifier(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && name.size() <= 32 && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || digit(c); });
}

result<void, storage_error> check_tables(const soci_settings& s) {
  const std::string_view names[] = {s.presentity_table, s.active_watchers_table, s.watchers_table, s.states_table};
  for (const auto& name : names) {
    if (!plain_identifier(name)) {
      return refuse(
          "a table name is not a plain identifier: use letters, digits and '_', at most 32 of them, "
          "no digit first");
    }
    const auto same = [&](std::string_view other) { return iequals(other, name); };  // to some servers
    if (same("version") || std::count_if(std::begin(names), std::end(names), same) != 1) {
      return refuse("table name '" + std::string{name} +
                    "' is used twice: give presentity_table, active_watchers_table, watchers_table and "
                    "states_table four names, none of them 'version'");
    }
  }
  return {};
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// Seconds within what the databases take.
seconds::rep bounded(seconds s, seconds::rep least) {
  return std::clamp<seconds::rep>(s.count(), least, 86400);
}

result<target, storage_error> sqlite_target(std::string_view path, const soci_settings& s) {
  if (path.empty() || path.front() != '/') {
    return refuse("db_url: the path is not absolute: expected sqlite:///absolute/path/to/file");
  }
  while (path.size() > 1 && path[1] == '/') path.remove_prefix(1);
  if (path.size() == 1 || path.back() == '/') {
    return refuse("db_url: the path names no file: expected sqlite:///absolute/path/to/file");
  }
  // SOCI's parameter syntax has no way to write a quote inside quotes.
  if (has_control(path) || path.find_first_of("\"\\") != path.npos) {
    return refuse("db_url: the path contains a quote, a backslash or a control character: rename the file");
  }
  target to{.speaks = &sqlite, .place = std::string{path}, .file = std::string{path}};
  to.parameters = "db=\"" + to.file + "\" timeout=" + std::to_string(bounded(s.busy_timeout, 0));
  if (s.read_only) to.parameters += " readonly=1";
  return to;
}

std::optional<std::string> decoded(std::string_view text) {
  std::string made;
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::uint8_t byte = 0;
    if (text[i] != '%') {
      made += text[i];
    } else if (const char* first = text.data() + i + 1;
               i + 2 < text.size() && std::from_chars(first, first + 2, byte, 16).ptr == first + 2) {
      made += static_cast<char>(byte);
      i += 2;
    } else {
      return {};
    }
  }
  return made;
}

// A server's URL in its parts, decoded.
struct address {
  std::string user, password, host, port, database;
  bool is_socket() const { return host.starts_with('/'); }
};

// `user:password@host:port/database`. The last @ ends the password, so that one not encoded is none the
// worse.
result<address, storage_error> address_of(std::string_view rest) {
  const auto wrong = [](std::string_view what) {
    return refuse("db_url: " + std::string{what} + ": " + std::string{forms});
  };
  std::string_view user, password, host, port;
  if (const auto at = rest.rfind('@'); at != rest.npos) {
    user = rest.substr(0, at);
    rest.remove_prefix(at + 1);
    if (const auto colon = user.find(':'); colon != user.npos) {
      password = user.substr(colon + 1);
      user = user.substr(0, colon);
    }
  }
  const auto slash = rest.find('/');
  if (slash == rest.npos || slash + 1 == rest.size()) return wrong("it names no database");
  const std::string_view database = rest.substr(slash + 1);
  if (database.find_first_of("/?#") != database.npos) return wrong("something follows the database's name");
  host = rest.substr(0, slash);
  const auto bracket = host.starts_with('[') ? host.find(']') : 0;
  if (bracket == host.npos) return wrong("the host has no closing bracket");
  if (const auto colon = host.find(':', bracket); colon != host.npos) {
    port = host.substr(colon + 1);
    host = host.substr(0, colon);
    std::uint16_t number = 0;
    const auto end = port.data() + port.size();
    const auto parsed = std::from_chars(port.data(), end, number);
    if (parsed.ec != std::errc{} || parsed.ptr != end || number == 0)
      return wrong("the port is no number up to 65535");
  }
  if (bracket != 0) {
    if (bracket + 1 != host.size()) return wrong("something follows the host's bracket");
    host = host.substr(1, bracket - 1);
  }
  address made;
  const std::pair<std::string_view, std::string*> parts[] = {{user, &made.user},
                                                             {password, &made.password},
                                                             {host, &made.host},
                                                             {port, &made.port},
                                                             {database, &made.database}};
  for (const auto& [text, part] : parts) {
    const auto value = decoded(text);
    if (!value) return wrong("a '%' is not followed by two hexadecimal digits (a '%' itself is written %25)");
    if (has_control(*value)) return wrong("it contains a control character");
    *part = *value;
  }
  return made;
}

std::string place_of(const dialect& speaks, const address& a) {
  std::string made{speaks.name};
  made += a.host.empty() ? " on this machine" : " at " + a.host;
  if (!a.port.empty()) made += " port " + a.port;
  made += ", database '" + a.database + "'";
  return a.user.empty() ? made : made + ", user '" + a.user + "'";
}

std::string percent_encoded(std::string_view text) {
  std::string made;
  for (const char c : text) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-') {
      made += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      made += '%';
      made += "0123456789ABCDEF"[byte >> 4];
      made += "0123456789ABCDEF"[byte & 0xf];
    }
  }
  return made;
}

// libpq's own URI, every value encoded. SOCI cuts `keyword=value` strings at blanks, quoted or not, and takes
// what looks like an option of its own out of them; a URI with a parameter passes it as one word.
std::string postgresql_parameters(const address& a, const soci_settings& s, purpose what) {
  std::string made =
      "postgresql:///?application_name=presence&keepalives_idle=10&keepalives_interval=5&keepalives_count=3";
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) made.append("&").append(name).append("=").append(percent_encoded(value));
  };
  add("host", a.host);
  add("port", a.port);
  add("user", a.user);
  add("password", a.password);
  add("dbname", a.database);
  add("connect_timeout", std::to_string(bounded(s.busy_timeout, 2)));
  if (what == purpose::work) add("tcp_user_timeout", std::to_string(bounded(work_limit(s), 1) * 1000));
  return made;
}

std::string mariadb_parameters(const address& a, const soci_settings& s, purpose what) {
  std::string made = "charset='utf8mb4'";
  const auto add = [&](std::string_view name, const std::string& value) {
    if (value.empty()) return;
    made.append(" ").append(name).append("='");
    for (const char c : value) {
      if (c == '\'' || c == '\\') made += '\\';
      made += c;
    }
    made += '\'';
  };
  add(a.is_socket() ? "unix_socket" : "host", a.host);
  add("port", a.port);
  add("user", a.user);
  add("password", a.password);
  add("db", a.database);
  add("connect_timeout", std::to_string(bounded(s.busy_timeout, 2)));
  if (what == purpose::work) {  // the server's own limit comes first
    add("read_timeout", std::to_string(bounded(work_limit(s) + seconds{5}, 1)));
    add("write_timeout", std::to_string(bounded(work_limit(s) + seconds{5}, 1)));
  }
  return made;
}

}  // namespace

result<target, storage_error> target_of(const soci_settings& s, purpose what) {
  if (auto fit = check_tables(s); !fit) return unexpected{fit.error()};
  const std::string_view url = s.db_url;
  const auto colon = url.find("://");
  if (colon == url.npos) return refuse("db_url has no scheme: " + std::string{forms});
  const std::string_view scheme = url.substr(0, colon), rest = url.substr(colon + 3);
  if (scheme == sqlite.scheme) return sqlite_target(rest, s);
  const bool is_postgresql = scheme == postgresql.scheme || scheme == "postgresql";
  if (!is_postgresql && scheme != mariadb.scheme)
    return refuse("db_url: the scheme is not known: " + std::string{forms});
  const dialect& speaks = is_postgresql ? postgresql : mariadb;
  const auto parts = address_of(rest);
  if (!parts) return unexpected{parts.error()};
  return target{.speaks = &speaks,
                .place = place_of(speaks, *parts),
                .parameters = is_postgresql ? postgresql_parameters(*parts, s, what)
                                            : mariadb_parameters(*parts, s, what)};
}

}  // namespace sql
}  // namespace presence
