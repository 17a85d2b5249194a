#include "xml.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <rapidxml/rapidxml.hpp>
#include <vector>

#include "xml_scan.hpp"

namespace presence::xml {

namespace {

// Text stays where it is and is not cut by terminators; references are resolved in place. That end tags match has
// been seen before.
constexpr int flags = rapidxml::parse_no_string_terminators | rapidxml::parse_no_element_values;

// What an ordinary document needs; rest() gives back what is beyond.
constexpr std::size_t ordinary_bytes = 16384;
constexpr std::size_t ordinary_nodes = 512;

template <class T>
void relax(std::vector<T>& v, std::size_t ordinary) noexcept {
  if (v.capacity() > ordinary) {
    std::vector<T>{}.swap(v);
  } else {
    v.clear();
  }
}

}  // namespace

struct parser::room {
  struct binding {
    std::string_view prefix, uri;
  };
  // An element whose children are being visited: what was in scope before it.
  struct level {
    std::size_t bindings;
    std::string_view uri;  // the default namespace
  };

  rapidxml::xml_document<char> document;
  std::string bytes;  // the private copy; RapidXML writes into it and its nodes point there
  std::vector<node> nodes;
  std::vector<attribute> attributes;
  std::array<binding, most_declarations> bindings;
  std::size_t bound = 0;  // bindings in scope
  std::array<level, deepest> levels;
  tree result;
  const char* reason = nullptr;
  const char* where = nullptr;

  [[gnu::cold]] bool refuse(const char* why, const char* at) noexcept {
    reason = why;
    where = at;
    return false;
  }
  std::size_t offset(const char* at) const noexcept { return static_cast<std::size_t>(at - bytes.data()); }

  /// The namespace of a prefix; false: not declared.
  bool resolve(std::string_view prefix, std::string_view& uri) noexcept {
    for (std::size_t i = bound; i-- > 0;) {
      if (equal(bindings[i].prefix, prefix)) {
        uri = bindings[i].uri;
        return true;
      }
    }
    uri = xml_uri;
    return equal(prefix, "xml") || refuse("A namespace prefix is not declared", prefix.data());
  }

  bool declare(std::string_view prefix, std::string_view uri) noexcept {
    if (uri == xmlns_uri || prefix == "xmlns" || (prefix == "xml") != (uri == xml_uri)) {
      return refuse("A reserved namespace is declared", uri.data());
    }
    if (uri.empty()) return refuse("A prefix is declared without a namespace", prefix.data());
    if (bound >= most_declarations) return refuse("Too many namespace declarations", uri.data());
    bindings[bound++] = {prefix, uri};
    return true;
  }

  static std::string_view name_of(const rapidxml::xml_base<char>& of) noexcept {
    return {of.name(), of.name_size()};
  }
  static std::string_view value_of(const rapidxml::xml_base<char>& of) noexcept {
    return {of.value(), of.value_size()};
  }
  static bool is_declaration(std::string_view name) noexcept {
    return name.size() >= 5 && std::memcmp(name.data(), "xmlns", 5) == 0 &&
           (name.size() == 5 || name[5] == ':');
  }

  /// Fills in the attributes of an element, with their namespaces.
  bool fill_attributes(const node& of, const rapidxml::xml_node<char>& from, std::string_view& default_uri) noexcept {
    const std::span all = std::span{attributes}.subspan(of.first_attribute, of.attributes);
    const auto* next = from.first_attribute();
    for (attribute& a : all) {
      if (next == nullptr) return refuse("Malformed markup", bytes.data());
      const std::string_view name = name_of(*next);
      a.local = name.substr(a.local_begin - a.begin);
      a.value = value_of(*next);
      next = next->next_attribute();
      if (!is_declaration(name)) continue;
      a.uri = xmlns_uri;
      a.declares = true;
      if (name.size() > 5) {
        if (!declare(a.local, a.value)) return false;
      } else {
        if (a.value == xmlns_uri || a.value == xml_uri) {
          return refuse("A reserved namespace is declared", a.value.data());
        }
        default_uri = a.value;
      }
    }
    // Prefixes can be resolved when all declarations are known.
    for (attribute& a : all) {
      const std::size_t prefix = a.local_begin - a.begin;
      if (prefix != 0 && !a.declares && !resolve({a.local.data() - prefix, prefix - 1}, a.uri)) return false;
      for (const attribute* other = all.data(); other != &a; ++other) {
        if (equal(other->local, a.local) && equal(other->uri, a.uri)) {
          return refuse("An attribute occurs twice", a.local.data());
        }
      }
    }
    return true;
  }

  /// Fills in what RapidXML found. It met everything in the order in which the scan met it; if ever not, the document is
  /// refused.
  bool fill() noexcept {
    const rapidxml::xml_node<char>* at = document.first_node();
    std::size_t depth = 0;
    std::string_view default_uri;
    for (node& n : nodes) {
      if (at == nullptr || n.text != (at->type() != rapidxml::node_element)) return refuse("Malformed markup", bytes.data());
      if (n.text) {
        n.label = value_of(*at);
      } else {
        const level outside{bound, default_uri};
        if (n.attributes != 0 && !fill_attributes(n, *at, default_uri)) return false;
        const std::size_t prefix = n.local_begin - n.begin - 1;
        n.label = name_of(*at).substr(prefix);
        n.uri = default_uri;
        if (prefix != 0 && !resolve({n.label.data() - prefix, prefix - 1}, n.uri)) return false;
        levels[depth++] = outside;
      }
      if (const auto* child = at->first_node(); child != nullptr) {
        at = child;
        continue;
      }
      const auto leave = [&] {
        bound = levels[--depth].bindings;
        default_uri = levels[depth].uri;
      };
      if (!n.text) leave();
      for (; depth != 0 && at->next_sibling() == nullptr; leave()) at = at->parent();
      at = at->next_sibling();
    }
    return true;
  }

  void clear() noexcept {
    document.clear();
    nodes.clear();
    attributes.clear();
    bound = 0;
  }
};

parser::parser() : room_{new room} {}
parser::~parser() = default;

parser& parser::of_this_thread() {
  thread_local parser mine;
  return mine;
}

result<const tree*, error> parser::parse(std::string_view bytes, const limits& bounds) {
  room& r = *room_;
  r.clear();
  if (bytes.size() > bounds.body_bytes || bytes.size() > 0x7FFFFFFF) {
    return unexpected{error{"The document is too long", bytes.size()}};
  }
  r.bytes.assign(bytes);
  char* text = r.bytes.data();
  scanner look{text, text + r.bytes.size(), bounds, r.nodes, r.attributes};
  if (const char* reason = look.run()) return unexpected{error{reason, look.offset()}};
  try {
    r.document.parse<flags>(text + r.nodes.front().begin);
  } catch (const rapidxml::parse_error& e) {
    return unexpected{error{"Malformed markup", r.offset(e.where<char>())}};
  }
  if (!r.fill()) return unexpected{error{r.reason, r.offset(r.where)}};
  r.result = {r.nodes, r.attributes, bytes, look.plain()};
  return &r.result;
}

void parser::rest() noexcept {
  room& r = *room_;
  r.document.clear();
  if (r.bytes.capacity() > ordinary_bytes) std::string{}.swap(r.bytes);
  relax(r.nodes, ordinary_nodes);
  relax(r.attributes, ordinary_nodes);
}

std::string_view tree::text_of(const node& of, std::string& room) const {
  const node* only = nullptr;
  bool pieces = false;
  for (const node& child : children(of)) {
    if (!child.text) continue;
    if (only == nullptr) {
      only = &child;
      continue;
    }
    if (!pieces) room = only->label;
    pieces = true;
    room += child.label;
  }
  if (pieces) return room;
  return only != nullptr ? only->label : std::string_view{};
}

// --- values ------------------------------------------------------------------------------------

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is(text.front(), kind::space)) text.remove_prefix(1);
  while (!text.empty() && is(text.back(), kind::space)) text.remove_suffix(1);
  return text;
}

namespace {

// decode() for text that no NUL follows.
std::uint32_t decode_within(const char*& at, const char* end) noexcept {
  char room[5] = {};
  const auto left = static_cast<std::size_t>(end - at);
  std::memcpy(room, at, left < 4 ? left : 4);
  const char* next = room;
  const std::uint32_t c = decode(next);
  at += next - room;
  return c;
}

}  // namespace

bool is_ncname(std::string_view text) noexcept {
  const char* at = text.data();
  const char* const end = at + text.size();
  for (bool first = true; at != end; first = false) {
    if (static_cast<unsigned char>(*at) < 0x80) {
      if (!is(*at, first ? kind::name_start : kind::name_part)) return false;
      ++at;
    } else {
      const std::uint32_t c = decode_within(at, end);
      if (first ? !starts_name(c) : !continues_name(c)) return false;
    }
  }
  return !text.empty();
}

std::optional<bool> parse_boolean(std::string_view text) noexcept {
  text = trimmed(text);
  if (text == "1" || text == "true") return true;
  if (text == "0" || text == "false") return false;
  return std::nullopt;
}

std::optional<instant> parse_date_time(std::string_view text) noexcept {
  using namespace std::chrono;
  text = trimmed(text);
  std::size_t at = 0;
  bool good = true;
  // Exactly `digits` digits.
  const auto number = [&](int digits) {
    int value = 0;
    for (int i = 0; i < digits; ++i, ++at) {
      if (at >= text.size() || text[at] < '0' || text[at] > '9') {
        good = false;
        return 0;
      }
      value = value * 10 + (text[at] - '0');
    }
    return value;
  };
  const auto expect = [&](char c) {
    if (at < text.size() && text[at] == c) {
      ++at;
    } else {
      good = false;
    }
  };
  const int y = number(4);
  expect('-');
  const int m = number(2);
  expect('-');
  const int d = number(2);
  expect('T');
  const int h = number(2);
  expect(':');
  const int min = number(2);
  expect(':');
  const int s = number(2);
  int ms = 0;
  bool fraction = false;  // other than zero
  if (good && at < text.size() && text[at] == '.') {
    const std::size_t from = ++at;
    for (int weight = 100; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, weight /= 10) {
      ms += (text[at] - '0') * weight;
      fraction = fraction || text[at] != '0';
    }
    good = at != from;
  }
  int zone = 0;
  if (good && at < text.size() && text[at] == 'Z') {
    ++at;
  } else if (good && at < text.size() && (text[at] == '+' || text[at] == '-')) {
    const int sign = text[at] == '-' ? -1 : 1;
    ++at;
    const int zone_h = number(2);
    expect(':');
    const int zone_m = number(2);
    if (zone_m > 59 || zone_h * 60 + zone_m > 14 * 60) return std::nullopt;
    zone = sign * (zone_h * 60 + zone_m);
  } else {
    return std::nullopt;
  }
  const year_month_day date{year{y}, month{static_cast<unsigned>(m)}, day{static_cast<unsigned>(d)}};
  if (!good || at != text.size() || y == 0 || !date.ok() || min > 59 || s > 59) return std::nullopt;
  if (h > 24 || (h == 24 && (min != 0 || s != 0 || fraction))) return std::nullopt;
  return instant{sys_days{date}} + hours{h} + minutes{min - zone} + seconds{s} + milliseconds{ms};
}

// --- writing -----------------------------------------------------------------------------------

namespace {

void append_escaped(std::string& out, std::string_view text, bool value) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    const char* from = at;
    while (at != end && is(*at, kind::plain_value) && *at >= ' ' && *at != '>') ++at;
    out.append(from, at);
    if (at == end) return;
    switch (*at) {
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '&': out += "&amp;"; break;
      case '"': out += value ? "&quot;" : "\""; break;
      case '\'': out += '\''; break;
      case '\t': out += value ? "&#9;" : "\t"; break;
      case '\n': out += value ? "&#10;" : "\n"; break;
      case '\r': out += "&#13;"; break;
      default: {
        const char* next = at;
        if (static_cast<unsigned char>(*at) >= 0x80 && decode_within(next, end) != 0) {
          out.append(at, next);
          at = next;
        } else {
          out += "\xEF\xBF\xBD";
          ++at;
        }
        continue;
      }
    }
    ++at;
  }
}

std::string utf8(std::uint32_t c) {
  const auto more = [&](unsigned shift) { return static_cast<char>(0x80 | (c >> shift & 0x3F)); };
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), more(0)};
  if (c < 0x10000) return {static_cast<char>(0xE0 | c >> 12), more(6), more(0)};
  return {static_cast<char>(0xF0 | c >> 18), more(12), more(6), more(0)};
}

}  // namespace

void append_text(std::string& out, std::string_view text) { append_escaped(out, text, false); }

void append_plain(std::string& out, std::string_view piece) {
  const auto skip_behind = [&](std::string_view mark) { piece.remove_prefix(piece.find(mark) + mark.size()); };
  while (true) {
    const std::size_t at = std::min(piece.find_first_of("<&"), piece.size());
    out += piece.substr(0, at);
    piece.remove_prefix(at);
    if (piece.empty()) return;
    if (piece.starts_with("<!--")) {
      skip_behind("-->");
    } else if (piece.starts_with("<?")) {
      skip_behind("?>");
    } else if (piece.starts_with("<![CDATA[")) {
      for (piece.remove_prefix(9); !piece.starts_with("]]>"); piece.remove_prefix(1)) {
        const char c = piece.front();
        if (c == '<') out += "&lt;";
        else if (c == '>') out += "&gt;";
        else if (c == '&') out += "&amp;";
        else out += c;
      }
      piece.remove_prefix(3);
    } else if (piece.starts_with("&#")) {
      const bool hex = piece[2] == 'x';
      std::uint32_t code = 0;
      std::from_chars(piece.data() + (hex ? 3 : 2), piece.data() + piece.size(), code, hex ? 16 : 10);
      skip_behind(";");
      if (code == '\'') out += "&apos;";  // it may stand in a value between these
      else append_escaped(out, utf8(code), true);
    } else {
      out += piece.front();
      piece.remove_prefix(1);
    }
  }
}

void append_attribute(std::string& out, std::string_view name, std::string_view value) {
  out += ' ';
  out += name;
  out += "=\"";
  append_escaped(out, value, true);
  out += '"';
}

}  // namespace presence::xml
