#include <presence/grammar.hpp>

#include <array>

namespace presence {
namespace {

enum : std::uint8_t { token_char = 1, type_char = 2, word_char = 4, hex_char = 8, blank = 16 };

constexpr std::array<std::uint8_t, 256> classes = [] {
  std::array<std::uint8_t, 256> table{};
  const auto mark = [&table](std::string_view characters, unsigned bits) {
    for (const char c : characters) {
      auto& entry = table[static_cast<unsigned char>(c)];
      entry = static_cast<std::uint8_t>(entry | bits);
    }
  };
  mark("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-!%*_+`'~",
       token_char | type_char | word_char);
  mark(".", token_char | word_char);
  mark("()<>:\\\"/[]?{}", word_char);
  mark("0123456789abcdefABCDEF", hex_char);
  mark(" \t", blank);
  return table;
}();

constexpr bool is(char c, std::uint8_t bits) noexcept {
  return (classes[static_cast<unsigned char>(c)] & bits) != 0;
}

constexpr char lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

/// How many characters at the front of `text` are of a class, which is one bit. Four at a time, for most are.
constexpr std::size_t run(std::string_view text, std::uint8_t bit) noexcept {
  const auto of = [&](std::size_t i) { return unsigned{classes[static_cast<unsigned char>(text[i])]}; };
  std::size_t n = 0;
  while (text.size() - n >= 4 && (of(n) & of(n + 1) & of(n + 2) & of(n + 3) & bit) != 0) n += 4;
  while (n < text.size() && (of(n) & bit) != 0) ++n;
  return n;
}

bool all(std::string_view text, std::uint8_t bit) noexcept {
  return !text.empty() && run(text, bit) == text.size();
}

std::string_view trimmed(std::string_view text) noexcept {
  text.remove_prefix(run(text, blank));
  while (!text.empty() && is(text.back(), blank)) text.remove_suffix(1);
  return text;
}

/// Takes a run of a class off the front.
std::string_view take(std::string_view& text, std::uint8_t bits) noexcept {
  const std::string_view taken = text.substr(0, run(text, bits));
  text.remove_prefix(taken.size());
  return taken;
}

/// Takes one character off the front, with white space around it, if it is there.
bool take_separator(std::string_view& text, char c) noexcept {
  const std::size_t n = run(text, blank);
  if (n == text.size() || text[n] != c) return false;
  text.remove_prefix(n + 1);
  take(text, blank);
  return true;
}

/// Length of the quoted string `text` begins with, quotes included; 0 when it is none.
std::size_t quoted_length(std::string_view text) noexcept {
  for (std::size_t i = 1; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') return i + 1;
    if (c == '\\' && ++i == text.size()) return 0;
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return 0;
  }
  return 0;
}

/// Where the first item of a list ends: at a comma or at the end; npos where something stays open.
std::size_t item_end(std::string_view list) noexcept {
  for (std::size_t i = 0; i < list.size(); ++i) {
    switch (list[i]) {
      case ',':
        return i;
      case '<':
        i = list.find('>', i);
        if (i == std::string_view::npos) return i;
        break;
      case '"':
        for (++i; i < list.size() && list[i] != '"'; ++i)
          if (list[i] == '\\') ++i;
        if (i >= list.size()) return std::string_view::npos;
        break;
      default:
        break;
    }
  }
  return list.size();
}

// --- parameters -----------------------------------------------------------------------------------

struct parameter {
  std::string_view name = {};
  std::string_view value = {};  // without the quotes, escapes still in it
  bool valued = false;
  bool quoted = false;
  bool is_token() const noexcept { return valued && !quoted && value.front() != '['; }
};

/// Takes a `name[=value]` off the front, white space around it included.
bool take_parameter(std::string_view& text, parameter& p) noexcept {
  take(text, blank);
  p = {};
  p.name = take(text, token_char);
  if (p.name.empty()) return false;
  if (take_separator(text, '=')) {
    p.valued = true;
    if (text.empty()) return false;
    if (text.front() == '"') {
      const std::size_t length = quoted_length(text);
      if (length == 0) return false;
      p.quoted = true;
      p.value = text.substr(1, length - 2);
      text.remove_prefix(length);
    } else if (text.front() == '[') {
      std::size_t n = 1;
      while (n < text.size() && (is(text[n], hex_char) || text[n] == ':' || text[n] == '.')) ++n;
      if (n == 1 || n == text.size() || text[n] != ']') return false;
      p.value = text.substr(0, n + 1);
      text.remove_prefix(n + 1);
    } else {
      p.value = take(text, token_char);
      if (p.value.empty()) return false;
    }
  }
  take(text, blank);
  return true;
}

/// Visits each of `name[=value] *(; name[=value])`; the visitor may refuse one by returning false.
/// False when one cannot be read or was refused.
template <class F>
bool walk_parameters(std::string_view text, F&& visit) {
  parameter p;
  for (;;) {
    if (!take_parameter(text, p) || !visit(p)) return false;
    if (text.empty()) return true;
    if (text.front() != ';') return false;
    text.remove_prefix(1);
  }
}

/// As walk_parameters; also false when a name occurs twice or there are too many.
template <class F>
bool check_parameters(std::string_view text, F&& visit) {
  std::string_view seen[max_parameters];
  std::size_t count = 0;
  return walk_parameters(text, [&](const parameter& p) {
    if (count == max_parameters) return false;
    for (std::size_t i = 0; i < count; ++i)
      if (iequals(seen[i], p.name)) return false;
    seen[count++] = p.name;
    return visit(p);
  });
}

/// Walks over the value of a parameter, escapes undone.
class unquoted {
 public:
  explicit unquoted(const parameter& p) noexcept : rest_{p.value}, quoted_{p.quoted} {}
  bool next(char& c) noexcept {
    if (rest_.empty()) return false;
    if (quoted_ && rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
    c = rest_.front();
    rest_.remove_prefix(1);
    return true;
  }

 private:
  std::string_view rest_;
  bool quoted_;
};

bool same_value(const parameter& a, const parameter& b, bool without_case) noexcept {
  unquoted left{a};
  unquoted right{b};
  for (;;) {
    char l = 0, r = 0;
    const bool more = left.next(l);
    if (more != right.next(r)) return false;
    if (!more) return true;
    if (l != r && !(without_case && lower(l) == lower(r))) return false;
  }
}

// --- media types ------------------------------------------------------------------------------------

struct media_range {
  std::string_view type = {};
  std::string_view subtype = {};
  std::string_view parameters = {};  // raw, without the leading semicolon; empty: none
};

/// Reads `type/subtype` and sees that the rest begins like parameters, without looking at them.
bool split(std::string_view text, media_range& out) noexcept {
  text = trimmed(text);
  out.type = take(text, token_char);
  if (out.type.empty() || !take_separator(text, '/')) return false;
  out.subtype = take(text, token_char);
  if (out.subtype.empty()) return false;
  out.parameters = {};
  if (text.empty()) return true;
  if (!take_separator(text, ';') || text.empty()) return false;
  out.parameters = text;
  return true;
}

bool read_type(std::string_view text, media_range& out) noexcept {
  return split(text, out) && out.type != "*" && out.subtype != "*" &&
         (out.parameters.empty() ||
          check_parameters(out.parameters, [](const parameter& p) { return p.valued; }));
}

/// Reads a media range; `quality` in thousandths.
bool read_range(std::string_view text, media_range& out, int& quality) noexcept {
  quality = 1000;
  if (!split(text, out) || (out.type == "*" && out.subtype != "*")) return false;
  if (out.parameters.empty()) return true;
  return check_parameters(out.parameters, [&](const parameter& p) {
    if (!iequals(p.name, "q")) return true;
    const auto q = p.is_token() ? parse_quality(p.value) : std::nullopt;
    quality = q.value_or(0);
    return q.has_value();
  });
}

/// Whether `parameters` (well formed) have one like `wanted`.
bool contains(std::string_view parameters, const parameter& wanted) noexcept {
  bool found = false;
  if (!parameters.empty()) {
    walk_parameters(parameters, [&](const parameter& p) {
      found = p.valued && iequals(p.name, wanted.name) &&
              same_value(p, wanted, iequals(p.name, "charset"));
      return !found;
    });
  }
  return found;
}

/// How specific a range is for a type; 0 when it does not match.
std::size_t specificity(const media_range& range, const media_range& type) noexcept {
  if (range.type == "*") return 1;
  if (!iequals(range.type, type.type)) return 0;
  if (range.subtype == "*") return 2;
  if (!iequals(range.subtype, type.subtype)) return 0;
  std::size_t level = 3;
  if (!range.parameters.empty()) {
    walk_parameters(range.parameters, [&](const parameter& p) {
      if (iequals(p.name, "q")) return false;  // what follows q is no part of the range
      if (!p.valued) return true;
      level = contains(type.parameters, p) ? level + 1 : 0;
      return level != 0;
    });
  }
  return level;
}

}  // namespace

// --- characters and words ---------------------------------------------------------------------------

bool iequals(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
  return true;
}

bool is_token(std::string_view text) noexcept { return all(text, token_char); }

bool is_event_type(std::string_view text) noexcept {
  for (;;) {
    if (take(text, type_char).empty()) return false;
    if (text.empty()) return true;
    if (text.front() != '.') return false;
    text.remove_prefix(1);
  }
}

bool is_call_id(std::string_view text) noexcept {
  if (take(text, word_char).empty()) return false;
  if (text.empty()) return true;
  return text.front() == '@' && all(text.substr(1), word_char);
}

std::optional<int> parse_quality(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  int value = (text[0] - '0') * 1000;
  if (text.size() > 1) {
    if (text[1] != '.') return std::nullopt;
    int weight = 100;
    for (const char c : text.substr(2)) {
      if (c < '0' || c > '9') return std::nullopt;
      value += (c - '0') * weight;
      weight /= 10;
    }
  }
  if (value > 1000) return std::nullopt;
  return value;
}

// --- lists --------------------------------------------------------------------------------------------

bool item_reader::next(std::string_view& item) noexcept {
  while (!rest_.empty() && !malformed_) {
    const std::size_t end = item_end(rest_);
    if (end == std::string_view::npos) {
      malformed_ = true;
      return false;
    }
    item = trimmed(rest_.substr(0, end));
    rest_.remove_prefix(end == rest_.size() ? end : end + 1);
    if (!item.empty()) return true;
  }
  return false;
}

std::size_t count_items(std::string_view list) noexcept {
  item_reader reader{list};
  std::string_view item;
  std::size_t count = 0;
  while (reader.next(item)) ++count;
  return reader.malformed() ? count + 1 : count;
}

std::string unknown_options(std::string_view require, std::span<const std::string_view> known,
                            bool& malformed) {
  std::string unknown;
  malformed = !for_each_item(require, [&](std::string_view tag) {
    if (!is_token(tag)) return false;
    for (const auto& k : known)
      if (iequals(k, tag)) return true;
    if (!unknown.empty()) unknown += ", ";
    unknown += tag;
    return true;
  });
  if (malformed) unknown.clear();
  return unknown;
}

// --- Event ----------------------------------------------------------------------------------------------

bool event_value::has(std::string_view name, std::optional<std::string_view> value) const noexcept {
  bool found = false;
  if (!parameters.empty()) {
    walk_parameters(parameters, [&](const parameter& p) {
      if (!iequals(p.name, name)) return true;
      parameter wanted;
      wanted.value = value.value_or(std::string_view{});
      found = !value || (p.valued && same_value(p, wanted, false));
      return false;
    });
  }
  return found;
}

std::optional<std::string> event_value::value_of(std::string_view name) const {
  std::optional<std::string> found;
  if (parameters.empty()) return found;
  walk_parameters(parameters, [&](const parameter& p) {
    if (!iequals(p.name, name)) return true;
    found.emplace();
    unquoted value{p};
    for (char c = 0; value.next(c);) *found += c;
    return false;
  });
  return found;
}

result<event_value, event_fault> parse_event(std::string_view value) noexcept {
  value = trimmed(value);
  if (value.empty()) return unexpected{event_fault::missing};
  event_value event;
  std::string_view rest = value;
  event.type = take(rest, token_char);
  if (!rest.empty()) {
    const std::size_t end = item_end(value);
    if (end != value.size())
      return unexpected{end == std::string_view::npos ? event_fault::malformed : event_fault::several};
    if (!take_separator(rest, ';')) return unexpected{event_fault::malformed};
    event.parameters = rest;
    const bool readable = check_parameters(rest, [&event](const parameter& p) {
      if (!iequals(p.name, "id")) return true;
      if (!p.is_token()) return false;
      event.id = p.value;
      return true;
    });
    if (!readable) return unexpected{event_fault::malformed};
  }
  if (!is_event_type(event.type)) return unexpected{event_fault::malformed};
  return event;
}

// --- media types ------------------------------------------------------------------------------------------

bool is_media_type(std::string_view text) noexcept {
  media_range type;
  return read_type(text, type);
}

bool same_media_type(std::string_view content_type_value, std::string_view registered) noexcept {
  media_range type;
  media_range wanted;
  if (!read_type(content_type_value, type) || !read_type(registered, wanted)) return false;
  if (!iequals(type.type, wanted.type) || !iequals(type.subtype, wanted.subtype)) return false;
  return wanted.parameters.empty() ||
         walk_parameters(wanted.parameters,
                         [&](const parameter& p) { return contains(type.parameters, p); });
}

accept_choice choose_type(std::string_view accept, std::span<const std::string> offered,
                          std::size_t max_entries) noexcept {
  media_range range;
  int quality = 0;
  std::size_t entries = 0;
  const bool readable = for_each_item(accept, [&](std::string_view item) {
    return ++entries <= max_entries && read_range(item, range, quality);
  });
  if (!readable) return {.malformed = true};

  accept_choice choice;
  int best = 0;
  for (std::size_t i = 0; i < offered.size(); ++i) {
    media_range type;
    if (!read_type(offered[i], type)) continue;
    std::size_t level = 0;
    int granted = 0;
    for_each_item(accept, [&](std::string_view item) {
      read_range(item, range, quality);
      const std::size_t here = specificity(range, type);
      if (here > level) {
        level = here;
        granted = quality;
      }
    });
    if (granted > best) {
      best = granted;
      choice.index = i;
    }
  }
  return choice;
}

}  // namespace presence
