/// The look at a document before RapidXML sees it: one pass over the bytes, without recursion,
/// that refuses what XML 1.0 refuses and what exceeds the limits, and notes where everything
/// begins and ends. Part of xml.cpp.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "xml.hpp"
#include "xml_characters.hpp"

namespace presence::xml {

class scanner {
 public:
  /// `begin` .. `end` must be followed by a NUL. What is found is appended to `nodes` and `attributes`,
  /// without names, namespaces and values.
  scanner(const char* begin, const char* end, const limits& bounds, std::vector<node>& nodes, std::vector<attribute>& attributes)
      : begin_{begin},
        end_{end},
        nodes_{nodes},
        attributes_{attributes},
        depth_limit_{bounds.xml_depth < deepest ? bounds.xml_depth : deepest},
        element_limit_{bounds.xml_elements},
        attribute_limit_{bounds.xml_attributes < most_attributes ? bounds.xml_attributes : most_attributes},
        text_limit_{bounds.xml_text_bytes} {}

  /// Null when the document is sound, else what is wrong with it, at offset().
  const char* run() {
    const char* at = begin_;
    if (starts(at, "\xEF\xBB\xBF")) at += 3;
    if (starts(at, "<?xml") && is(at[5], kind::space)) at = declaration(at + 5);
    for (bool root = false; at != nullptr;) {
      at = skip(at, kind::space);
      if (at == end_) {
        where_ = offset(at);
        return root ? nullptr : "The document has no root element";
      }
      if (*at != '<') {
        at = no(at, "Text outside the root element");
      } else if (at[1] == '?') {
        at = instruction(at);
      } else if (at[1] == '!') {
        at = comment_only(at);
      } else if (at[1] == '/') {
        at = no(at, "An end tag that does not match");
      } else {
        at = root ? no(at, "More than one root element") : element(at);
        root = true;
      }
    }
    return reason_;
  }

  std::size_t offset() const noexcept { return where_; }
  bool plain() const noexcept { return plain_; }  // see tree

 private:
  // Each of these is named after what it steps over: it is told where that begins and returns where it ends, null if there
  // is something wrong with it.

  [[gnu::cold, gnu::noinline]] const char* no(const char* at, const char* reason) noexcept {
    where_ = offset(at);
    reason_ = at == end_ ? "The document ends too early" : reason;
    return nullptr;
  }
  bool starts(const char* at, std::string_view with) const noexcept {
    return static_cast<std::size_t>(end_ - at) >= with.size() && std::memcmp(at, with.data(), with.size()) == 0;
  }
  std::uint32_t offset(const char* at) const noexcept { return static_cast<std::uint32_t>(at - begin_); }

  static const char* skip(const char* at, std::uint8_t some) noexcept {
    while (is(*at, some)) ++at;
    return at;
  }

  /// One character that is not plain and has no meaning here.
  const char* character(const char* at) noexcept {
    const auto c = static_cast<unsigned char>(*at);
    if (c < 0x80) return is_character(c) ? at + 1 : no(at, "A character XML does not allow");
    return decode(at) != 0 ? at : no(at, "Not UTF-8, or a character XML does not allow");
  }

  /// One character of a name, beyond ASCII.
  static const char* letter(const char* at, bool (*good)(std::uint32_t)) noexcept {
    return static_cast<unsigned char>(*at) >= 0x80 && good(decode(at)) ? at : nullptr;
  }
  /// A name without a colon.
  const char* ncname(const char* at) noexcept {
    const char* next = is(*at, kind::name_start) ? at + 1 : letter(at, starts_name);
    while (next != nullptr) {
      at = skip(next, kind::name_part);
      if (static_cast<unsigned char>(*at) < 0x80) return at;
      next = letter(at, continues_name);
    }
    return no(at, "A malformed name");
  }
  /// A name, whose local part begins at `local`.
  const char* qname(const char* at, std::uint32_t& local) noexcept {
    local = offset(at);
    at = ncname(at);
    if (at == nullptr || *at != ':') return at;
    local = offset(++at);
    return ncname(at);
  }

  /// A reference, from the ampersand on: one of the five names, or a number that is a character.
  const char* reference(const char* at) noexcept {
    for (const std::string_view known : {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"}) {
      if (starts(at, known)) return at + known.size();
    }
    if (at[1] != '#') return no(at, "An unknown entity or a bare ampersand");
    plain_ = false;
    const bool hex = at[2] == 'x';
    const char* p = at + (hex ? 3 : 2);
    const char* digits = p;
    std::uint32_t code = 0;
    for (;; ++p) {
      std::uint32_t digit = 0;
      if (*p >= '0' && *p <= '9') {
        digit = static_cast<std::uint32_t>(*p - '0');
      } else if (hex && ((*p >= 'a' && *p <= 'f') || (*p >= 'A' && *p <= 'F'))) {
        digit = static_cast<std::uint32_t>((*p | 0x20) - 'a' + 10);
      } else {
        break;
      }
      code = code * (hex ? 16 : 10) + digit;
      if (code > 0x10FFFF) code = 0x110000;
    }
    return p != digits && *p == ';' && is_character(code) ? p + 1 : no(at, "A malformed character reference");
  }

  /// `<?target ...?>`, anywhere but at the very start.
  const char* instruction(const char* at) noexcept {
    plain_ = false;
    const char* const target = at + 2;
    at = ncname(target);
    if (at == nullptr) return at;
    if (at - target == 3 && (target[0] | 0x20) == 'x' && (target[1] | 0x20) == 'm' && (target[2] | 0x20) == 'l') {
      return no(target, "An XML declaration that is not at the start");
    }
    if (!is(*at, kind::space) && !starts(at, "?>")) return no(at, "A malformed processing instruction");
    while (at != nullptr) {
      at = skip(at, kind::plain);
      if (starts(at, "?>")) return at + 2;
      at = character(at);
    }
    return at;
  }

  const char* comment(const char* at) noexcept {
    plain_ = false;
    at += 4;
    while (at != nullptr) {
      at = skip(at, kind::plain);
      if (at[0] == '-' && at[1] == '-') return at[2] == '>' ? at + 3 : no(at, "Two hyphens inside a comment");
      at = character(at);
    }
    return at;
  }
  const char* comment_only(const char* at) noexcept {
    if (starts(at, "<!--")) return comment(at);
    return no(at, starts(at, "<!DOCTYPE") ? "A document type declaration" : "Malformed markup");
  }

  const char* cdata(const char* at) {
    add_text();
    plain_ = false;
    at += 9;
    const char* const from = at;
    while (at != nullptr) {
      at = skip(at, kind::plain);
      if (starts(at, "]]>")) return static_cast<std::size_t>(at - from) <= text_limit_ ? at + 3 : no(at, "Too long a text");
      at = character(at);
    }
    return at;
  }

  /// ` name = "value"` of the XML declaration, if it comes next; the value goes to `value`. Null: it does not.
  const char* pseudo_attribute(const char* from, std::string_view name, std::string_view& value) const noexcept {
    const char* at = skip(from, kind::space);
    if (at == from || !starts(at, name)) return nullptr;
    at = skip(at + name.size(), kind::space);
    if (*at != '=') return nullptr;
    at = skip(at + 1, kind::space);
    const char quote = *at;
    if (quote != '"' && quote != '\'') return nullptr;
    const char* const text = ++at;
    at = skip(at, kind::name_part);
    value = {text, static_cast<std::size_t>(at - text)};
    return *at == quote ? at + 1 : nullptr;
  }

  /// The XML declaration, but for its `<?xml`.
  const char* declaration(const char* from) noexcept {
    constexpr auto malformed = "A malformed XML declaration";
    std::string_view value;
    const char* at = pseudo_attribute(from, "version", value);
    if (at == nullptr || value.size() < 3 || value.substr(0, 2) != "1." ||
        value.find_first_not_of("0123456789", 2) != value.npos) {
      return no(from, malformed);
    }
    if (const char* next = pseudo_attribute(at, "encoding", value); next != nullptr) {
      const bool utf8 = value.size() == 5 && (value[0] | 0x20) == 'u' && (value[1] | 0x20) == 't' &&
                        (value[2] | 0x20) == 'f' && value.substr(3) == "-8";
      if (!utf8) return no(at, "An encoding other than UTF-8");
      at = next;
    }
    if (const char* next = pseudo_attribute(at, "standalone", value); next != nullptr) {
      if (value != "yes" && value != "no") return no(at, malformed);
      at = next;
    }
    at = skip(at, kind::space);
    return starts(at, "?>") ? at + 2 : no(at, malformed);
  }

  /// The value of an attribute, quotes included.
  const char* value(const char* at, attribute& of) noexcept {
    const char quote = *at;
    if (quote != '"' && quote != '\'') return no(at, "An attribute value without quotes");
    of.value_begin = offset(++at);
    while (at != nullptr) {
      at = skip(at, kind::plain_value);
      if (*at == quote) {
        of.value_end = offset(at);
        return of.value_end - of.value_begin <= text_limit_ ? at + 1 : no(at, "Too long an attribute value");
      }
      at = *at == '&' ? reference(at) : *at == '<' ? no(at, "A < in an attribute value") : character(at);
    }
    return at;
  }

  const char* start_tag(const char* at) {
    if (++elements_ > element_limit_) return no(at, "Too many elements");
    if (depth_ >= depth_limit_) return no(at, "Elements nested too deeply");
    const auto index = static_cast<std::uint32_t>(nodes_.size());
    node& e = nodes_.emplace_back();
    e.begin = offset(at);
    e.first_attribute = static_cast<std::uint32_t>(attributes_.size());
    at = qname(at + 1, e.local_begin);
    if (at == nullptr) return at;
    e.name_end = offset(at);
    for (;; ++e.attributes) {
      const char* const from = at;
      at = skip(at, kind::space);
      if (*at == '>' || *at == '/') break;
      if (at == from) return no(at, "An attribute without white space before it");
      if (e.attributes >= attribute_limit_) return no(at, "Too many attributes");
      attribute& a = attributes_.emplace_back();
      a.begin = offset(at);
      at = qname(at, a.local_begin);
      if (at == nullptr) return at;
      at = skip(at, kind::space);
      if (*at != '=') return no(at, "An attribute without a value");
      at = value(skip(at + 1, kind::space), a);
      if (at == nullptr) return at;
    }
    const bool open = *at == '>';
    if (!open && *++at != '>') return no(at, "Malformed markup");
    ++at;
    e.content = e.content_end = e.end = offset(at);
    e.after = index + 1;
    if (open) open_[depth_++] = index;
    return at;
  }

  const char* end_tag(const char* at) noexcept {
    node& e = nodes_[open_[--depth_]];
    e.after = static_cast<std::uint32_t>(nodes_.size());
    e.content_end = offset(at);
    at += 2;
    const std::string_view name{begin_ + e.begin + 1, e.name_end - e.begin - 1};
    if (!starts(at, name)) return no(at, "An end tag that does not match");
    at = skip(at + name.size(), kind::space);
    if (*at != '>') return no(at, "An end tag that does not match");
    e.end = offset(++at);
    return at;
  }

  /// The root element and everything in it.
  const char* element(const char* at) {
    while (true) {
      if (at[1] == '/') {
        at = end_tag(at);
      } else if (at[1] == '!') {
        at = starts(at, "<![CDATA[") ? cdata(at) : comment_only(at);
      } else if (at[1] == '?') {
        at = instruction(at);
      } else {
        at = start_tag(at);
      }
      if (at == nullptr || depth_ == 0) return at;
      at = text(at);
      if (at == nullptr) return at;
    }
  }

  void add_text() {
    node& t = nodes_.emplace_back();
    t.after = static_cast<std::uint32_t>(nodes_.size());
    t.text = true;
  }

  /// Text up to the next `<`.
  const char* text(const char* at) {
    const char* const from = at;
    at = skip(at, kind::space);
    if (*at != '<') add_text();
    while (at != nullptr) {
      at = skip(at, kind::plain_text);
      if (*at == '<') return static_cast<std::size_t>(at - from) <= text_limit_ ? at : no(at, "Too long a text");
      if (*at == '&') {
        at = reference(at);
      } else if (*at == ']') {
        at = starts(at, "]]>") ? no(at, "]]> in text") : at + 1;
      } else {
        at = character(at);
      }
    }
    return at;
  }

  const char* begin_;
  const char* end_;
  std::vector<node>& nodes_;
  std::vector<attribute>& attributes_;
  std::size_t depth_limit_, element_limit_, attribute_limit_, text_limit_;
  bool plain_ = true;
  std::size_t elements_ = 0, depth_ = 0;
  const char* reason_ = nullptr;
  std::size_t where_ = 0;
  std::array<std::uint32_t, deepest> open_;  // nodes whose end tag is still to come
};

}  // namespace presence::xml
