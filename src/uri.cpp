#include <presence/uri.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>

#include <presence/grammar.hpp>
#include <presence/requests.hpp>

#include "canonical.hpp"

namespace presence {
namespace {

enum : std::uint16_t {
  unreserved = 1,
  user_char = 2,
  password_char = 4,
  parameter_char = 8,
  header_char = 16,
  any_char = 32,  // of a URI whose scheme is not known
  host_char = 64,
  scheme_char = 128,
  digit = 256,
  hex = 512,
  separator = 1024,  // visual separators of a telephone number
  label_end = 2048,  // may begin and end a host label
};

constexpr std::array<std::uint16_t, 256> classes = [] {
  std::array<std::uint16_t, 256> table{};
  const auto mark = [&table](std::string_view characters, unsigned bits) {
    for (const char c : characters) {
      auto& entry = table[static_cast<unsigned char>(c)];
      entry = static_cast<std::uint16_t>(entry | bits);
    }
  };
  constexpr unsigned everywhere =
      unreserved | user_char | password_char | parameter_char | header_char | any_char;
  mark("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
       everywhere | host_char | label_end | scheme_char);
  mark("-_.!~*'()", everywhere);
  mark("&=+$,;?/", user_char);
  mark("&=+$,", password_char);
  mark("[]/:&+$", parameter_char);
  mark("[]/?:+$", header_char);
  mark(";/?:@&=+$,[]#", any_char);
  mark("-_", host_char);
  mark("_", label_end);
  mark("+-.", scheme_char);
  mark("0123456789", digit);
  mark("0123456789abcdefABCDEF", hex);
  mark("-.()", separator);
  return table;
}();

constexpr bool is(char c, std::uint16_t bits) noexcept {
  return (classes[static_cast<unsigned char>(c)] & bits) != 0;
}

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

constexpr unsigned hex_value(char c) noexcept {
  return static_cast<unsigned>(is(c, digit) ? c - '0' : lower(c) - 'a' + 10);
}

std::string_view between(const char* begin, const char* end) noexcept {
  return {begin, static_cast<std::size_t>(end - begin)};
}

/// The first character that is not of the class, which is one bit. Four at a time, for most are.
const char* skip_plain(const char* p, const char* end, unsigned bit) noexcept {
  const auto of = [](char c) { return unsigned{classes[static_cast<unsigned char>(c)]}; };
  while (end - p >= 4 && (of(p[0]) & of(p[1]) & of(p[2]) & of(p[3]) & bit) != 0) p += 4;
  while (p != end && (of(*p) & bit) != 0) ++p;
  return p;
}

/// The first character that is neither of the class nor part of a valid escape.
const char* skip(const char* p, const char* end, std::uint16_t bits) noexcept {
  for (;;) {
    p = skip_plain(p, end, bits);
    if (p == end || *p != '%' || end - p < 3 || !is(p[1], hex) || !is(p[2], hex)) return p;
    p += 3;
  }
}

bool balanced(std::string_view text) noexcept {
  bool open = false;
  for (const char c : text) {
    if (c != '[' && c != ']') continue;
    if (open == (c == '[')) return false;
    open = !open;
  }
  return !open;
}

// --- hosts --------------------------------------------------------------------------------------

bool is_ipv4(std::string_view text) noexcept {
  int octets = 0;
  for (;;) {
    std::size_t n = 0;
    unsigned value = 0;
    while (n < text.size() && n < 3 && is(text[n], digit)) value = value * 10 + hex_value(text[n++]);
    if (n == 0 || value > 255 || (n > 1 && text[0] == '0')) return false;
    text.remove_prefix(n);
    if (++octets == 4) return text.empty();
    if (text.empty() || text[0] != '.') return false;
    text.remove_prefix(1);
  }
}

bool is_ipv6(std::string_view text) noexcept {
  std::size_t groups = 0;
  bool gap = false;
  if (text.starts_with("::")) {
    gap = true;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    std::size_t n = 0;
    while (n < text.size() && is(text[n], hex)) ++n;
    if (n < text.size() && text[n] == '.') {
      groups += 2;
      return is_ipv4(text) && (gap ? groups < 8 : groups == 8);
    }
    if (n == 0 || n > 4) return false;
    ++groups;
    text.remove_prefix(n);
    if (text.empty()) break;
    if (text[0] != ':' || text.size() == 1) return false;
    text.remove_prefix(1);
    if (text[0] == ':') {
      if (gap) return false;
      gap = true;
      text.remove_prefix(1);
    }
  }
  return gap ? groups < 8 : groups == 8;
}

/// The end of the host `p` begins with; null when there is none.
const char* host_end(const char* p, const char* end) noexcept {
  const char* const begin = p;
  if (p != end && *p == '[') {
    while (p != end && *p != ']') ++p;
    return p != end && is_ipv6(between(begin + 1, p)) ? p + 1 : nullptr;
  }
  bool number = false;  // the last label that is not empty has digits only
  for (;;) {
    const char* const label = p;
    unsigned common = digit;
    for (; p != end && is(*p, host_char); ++p) common &= classes[static_cast<unsigned char>(*p)];
    if (p == label) {
      if (label == begin) return nullptr;
      break;  // a final dot
    }
    if (!is(*label, label_end) || !is(p[-1], label_end)) return nullptr;
    number = common != 0;
    if (p == end || *p != '.') break;
    ++p;
  }
  return !number || is_ipv4(between(begin, p)) ? p : nullptr;
}

/// Reads `host [":" port]`; null when it is malformed.
const char* read_host_port(const char* p, const char* end, uri_parts& out) noexcept {
  const char* const begin = p;
  p = host_end(p, end);
  if (p == nullptr) return nullptr;
  out.host = between(begin, p);
  if (p == end || *p != ':') return p;
  const char* const port = ++p;
  unsigned value = 0;
  while (p != end && is(*p, digit) && p - port < 6) value = value * 10 + hex_value(*p++);
  if (p == port || value == 0 || value > 65535) return nullptr;
  out.port = between(port, p);
  return p;
}

// --- parameters and headers --------------------------------------------------------------------

/// Reads `;name[=value]` as often as it is there; null when one is malformed.
const char* read_parameters(const char* p, const char* end, uri_parts& out) noexcept {
  if (p == end || *p != ';') return p;
  const char* const begin = p + 1;
  while (p != end && *p == ';') {
    const char* const name = ++p;
    p = skip(p, end, parameter_char);
    if (p == name) return nullptr;
    if (p != end && *p == '=') p = skip(p + 1, end, parameter_char);
  }
  out.parameters = between(begin, p);
  return balanced(out.parameters) ? p : nullptr;
}

/// Reads `?name=value&...`; null when one is malformed.
const char* read_headers(const char* p, const char* end, uri_parts& out) noexcept {
  if (p == end || *p != '?') return p;
  const char* const begin = p + 1;
  do {
    const char* const name = ++p;
    p = skip(p, end, header_char);
    if (p == name || p == end || *p != '=') return nullptr;
    p = skip(p + 1, end, header_char);
  } while (p != end && *p == '&');
  out.headers = between(begin, p);
  return balanced(out.headers) ? p : nullptr;
}

// --- schemes --------------------------------------------------------------------------------------

enum class kind { sip, sips, pres, im, tel, other };

kind kind_of(std::string_view scheme) noexcept {
  switch (scheme.size()) {
    case 2: return iequals(scheme, "im") ? kind::im : kind::other;
    case 3: return iequals(scheme, "sip") ? kind::sip : iequals(scheme, "tel") ? kind::tel : kind::other;
    case 4: return iequals(scheme, "sips") ? kind::sips : iequals(scheme, "pres") ? kind::pres : kind::other;
    default: return kind::other;
  }
}

bool read_address(const char* p, const char* end, bool needs_user, uri_parts& out) noexcept {
  const char* const user_end = skip(p, end, user_char);
  const char* at = user_end;
  if (at != end && *at == ':') at = skip(at + 1, end, password_char);
  if (at != end && *at == '@') {
    if (user_end == p) return false;
    out.user = between(p, user_end);
    if (at != user_end) out.password = between(user_end + 1, at);
    p = at + 1;
  } else if (needs_user) {
    return false;
  }
  p = read_host_port(p, end, out);
  if (p != nullptr) p = read_parameters(p, end, out);
  if (p != nullptr) p = read_headers(p, end, out);
  return p == end;
}

bool read_number(const char* p, const char* end, uri_parts& out) noexcept {
  const char* const begin = p;
  const bool global = p != end && *p == '+';
  if (global) ++p;
  bool digits = false;
  for (; p != end; ++p) {
    if (is(*p, digit) || (!global && (is(*p, hex) || *p == '*' || *p == '#'))) {
      digits = true;
    } else if (!is(*p, separator)) {
      break;
    }
  }
  if (!digits) return false;
  out.user = between(begin, p);
  return read_parameters(p, end, out) == end;
}

bool read_other(const char* p, const char* end, uri_parts& out) noexcept {
  if (p == end || skip(p, end, any_char) != end || !balanced(between(p, end))) return false;
  const std::string_view rest = between(p, end);
  const std::size_t query = rest.find('?');
  if (query != std::string_view::npos) out.headers = rest.substr(query + 1);
  if (!rest.starts_with("//")) return true;
  std::string_view authority = rest.substr(2, rest.find_first_of("/?#", 2) - 2);
  if (authority.empty()) return true;  // file:///...
  const std::size_t at = authority.rfind('@');
  if (at != std::string_view::npos) {
    out.user = authority.substr(0, at);
    authority.remove_prefix(at + 1);
  }
  const char* const authority_end = authority.data() + authority.size();
  return read_host_port(authority.data(), authority_end, out) == authority_end;
}

/// parse_uri without the copy of its answer.
bool read_uri(std::string_view uri, uri_parts& out, kind& what) noexcept {
  const char* const begin = uri.data();
  const char* const end = begin + uri.size();
  const char* p = begin;
  p = skip_plain(p, end, scheme_char);
  if (p == begin || p == end || *p != ':' || is(*begin, digit | separator) || *begin == '+') return false;
  out.scheme = between(begin, p);
  what = kind_of(out.scheme);
  ++p;
  switch (what) {
    case kind::sip:
    case kind::sips: return read_address(p, end, false, out);
    case kind::pres:
    case kind::im: return read_address(p, end, true, out);
    case kind::tel: return read_number(p, end, out);
    case kind::other: return read_other(p, end, out);
  }
  return false;
}

// --- escapes ----------------------------------------------------------------------------------------

/// Walks over escaped text: an escape of an unreserved character reads as that character, any other
/// one as itself (above 0xff, whatever the case of its digits).
class unescaped {
 public:
  explicit unescaped(std::string_view text) noexcept : rest_{text} {}
  bool next(unsigned& unit) noexcept {
    if (rest_.empty()) return false;
    unit = static_cast<unsigned char>(rest_[0]);
    std::size_t n = 1;
    if (unit == '%' && rest_.size() >= 3) {
      const unsigned byte = hex_value(rest_[1]) * 16 + hex_value(rest_[2]);
      unit = is(static_cast<char>(byte), unreserved) ? byte : byte | 0x100;
      n = 3;
    }
    rest_.remove_prefix(n);
    return true;
  }

 private:
  std::string_view rest_;
};

constexpr unsigned lower_unit(unsigned unit) noexcept {
  return unit >= 'A' && unit <= 'Z' ? unit + ('a' - 'A') : unit;
}

bool same_text(std::string_view a, std::string_view b, bool without_case) noexcept {
  unescaped left{a};
  unescaped right{b};
  for (;;) {
    unsigned l = 0, r = 0;
    const bool more = left.next(l);
    if (more != right.next(r)) return false;
    if (!more) return true;
    if (l != r && !(without_case && lower_unit(l) == lower_unit(r))) return false;
  }
}

void append_unescaped(std::string& out, std::string_view text, bool in_lower_case) {
  static constexpr char digits[] = "0123456789ABCDEF";
  unescaped units{text};
  for (unsigned unit = 0; units.next(unit);) {
    if (unit > 0xff) {
      out += '%';
      out += digits[(unit >> 4) & 15];
      out += digits[unit & 15];
    } else {
      out += static_cast<char>(in_lower_case ? lower_unit(unit) : unit);
    }
  }
}

// --- comparison ---------------------------------------------------------------------------------------

struct field {
  std::string_view name = {};
  std::string_view value = {};
  bool valued = false;
};

/// Takes the first `name[=value]` off a list.
field take_field(std::string_view& list, char between_fields) noexcept {
  const std::string_view text = list.substr(0, list.find(between_fields));
  list.remove_prefix(text.size() == list.size() ? text.size() : text.size() + 1);
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return {.name = text};
  return {.name = text.substr(0, equals), .value = text.substr(equals + 1), .valued = true};
}

bool find_field(std::string_view list, char between_fields, std::string_view name, field& out) noexcept {
  while (!list.empty()) {
    out = take_field(list, between_fields);
    if (same_text(out.name, name, true)) return true;
  }
  return false;
}

/// Whether each field of `a` has its like in `b`; `needed` says which may not be missing there.
template <class F>
bool contained(std::string_view a, std::string_view b, char between_fields, F&& needed) noexcept {
  for (std::size_t count = 0; !a.empty(); ++count) {
    if (count == max_parameters) return false;
    const field mine = take_field(a, between_fields);
    field other;
    if (!find_field(b, between_fields, mine.name, other)) {
      if (needed(mine.name)) return false;
    } else if (mine.valued != other.valued || !same_text(mine.value, other.value, true)) {
      return false;
    }
  }
  return true;
}

template <class F>
bool same_fields(std::string_view a, std::string_view b, char between_fields, F&& needed) noexcept {
  return contained(a, b, between_fields, needed) && contained(b, a, between_fields, needed);
}

std::string_view without_final_dot(std::string_view host) noexcept {
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

std::string_view without_zeros(std::string_view port) noexcept {
  while (port.starts_with('0')) port.remove_prefix(1);
  return port;
}

bool same_number(std::string_view a, std::string_view b) noexcept {
  for (;;) {
    while (!a.empty() && is(a[0], separator)) a.remove_prefix(1);
    while (!b.empty() && is(b[0], separator)) b.remove_prefix(1);
    if (a.empty() || b.empty()) return a.empty() && b.empty();
    if (lower(a[0]) != lower(b[0])) return false;
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
}

constexpr bool any_name(std::string_view) noexcept { return true; }

/// Parameters that make a difference even when only one of two URIs has them.
bool significant(std::string_view name) noexcept {
  for (const std::string_view s : {"transport", "user", "ttl", "method", "maddr"})
    if (same_text(name, s, true)) return true;
  return false;
}

// --- keys ---------------------------------------------------------------------------------------------

void append_number(std::string& out, std::string_view number) {
  for (const char c : number)
    if (!is(c, separator)) out += lower(c);
}

void write_number(const uri_parts& parts, std::string& out) {
  out.assign("tel:");
  append_number(out, parts.user);
  for (const std::string_view name : {"ext", "isub", "phone-context"}) {
    for (std::string_view rest = parts.parameters; !rest.empty();) {
      const field f = take_field(rest, ';');
      if (!same_text(f.name, name, true)) continue;
      out += ';';
      out += name;
      out += '=';
      if (name == "ext" || f.value.starts_with('+')) {
        append_number(out, f.value);
      } else {
        append_unescaped(out, f.value, true);
      }
      break;
    }
  }
}

void write_address(const uri_parts& parts, std::string& out) {
  out.assign("sip:");
  if (!parts.user.empty()) {
    if (parts.user.find('%') == std::string_view::npos) {
      out += parts.user;
    } else {
      append_unescaped(out, parts.user, false);
    }
    out += '@';
  }
  const std::string_view host = without_final_dot(parts.host);
  out += host;
  char* const end = out.data() + out.size();
  for (char* c = end - host.size(); c != end; ++c) *c = lower(*c);
  if (!parts.port.empty()) {
    out += ':';
    out += without_zeros(parts.port);
  }
}

bool write_canonical(const uri_parts& parts, kind what, std::string& out) {
  if (what == kind::other) return false;
  if (what == kind::tel) {
    write_number(parts, out);
  } else {
    write_address(parts, out);
  }
  return true;
}

}  // namespace

std::optional<uri_parts> parse_uri(std::string_view uri) noexcept {
  std::optional<uri_parts> parts{std::in_place};
  kind what = kind::other;
  if (!read_uri(uri, *parts, what)) parts.reset();
  return parts;
}

bool canonical_aor(std::string_view uri, std::string& out) {
  uri_parts parts;
  kind what = kind::other;
  return read_uri(uri, parts, what) && write_canonical(parts, what, out);
}

bool canonical_aor(const uri_parts& uri, std::string& out) { return write_canonical(uri, kind_of(uri.scheme), out); }

bool identity::proves(std::string_view address) const {
  std::string canonical;
  const auto same = [&](std::string_view one) { return canonical_aor(one, canonical) && canonical == address; };
  return same(uri) || std::any_of(also.begin(), also.end(), same);
}

bool same_uri(std::string_view a, std::string_view b) noexcept {
  if (a == b) return true;
  uri_parts left, right;
  kind what = kind::other, other = kind::other;
  if (!read_uri(a, left, what) || !read_uri(b, right, other) || what != other) return false;
  switch (what) {
    case kind::tel:
      return same_number(left.user, right.user) &&
             same_fields(left.parameters, right.parameters, ';', any_name);
    case kind::other:
      return iequals(left.scheme, right.scheme) &&
             a.substr(left.scheme.size()) == b.substr(right.scheme.size());
    case kind::sip:
    case kind::sips:
    case kind::pres:
    case kind::im:
      break;
  }
  return same_text(left.user, right.user, false) && same_text(left.password, right.password, false) &&
         iequals(without_final_dot(left.host), without_final_dot(right.host)) &&
         without_zeros(left.port) == without_zeros(right.port) &&
         same_fields(left.parameters, right.parameters, ';', significant) &&
         same_fields(left.headers, right.headers, '&', any_name);
}

std::string_view host_of(std::string_view canonical) noexcept {
  if (!canonical.starts_with("sip:")) return {};
  canonical.remove_prefix(4);
  const std::size_t at = canonical.find('@');
  if (at != std::string_view::npos) canonical.remove_prefix(at + 1);
  const std::size_t bracket = canonical.starts_with('[') ? canonical.find(']') : std::string_view::npos;
  return canonical.substr(0, bracket != std::string_view::npos ? bracket + 1 : canonical.find(':'));
}

std::string_view user_of(std::string_view canonical) noexcept {
  if (canonical.starts_with("tel:")) return canonical.substr(4, canonical.find(';', 4) - 4);
  if (!canonical.starts_with("sip:")) return {};
  const std::size_t at = canonical.find('@');
  return at == std::string_view::npos ? std::string_view{} : canonical.substr(4, at - 4);
}

std::string entity_for(std::string_view canonical, std::string_view as_subscribed) {
  const bool as_pres =
      iequals(as_subscribed.substr(0, 5), "pres:") && canonical.starts_with("sip:") && !user_of(canonical).empty();
  return as_pres ? "pres:" + std::string{canonical.substr(4)} : std::string{canonical};
}

}  // namespace presence
