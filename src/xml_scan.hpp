/// The look at a document before RapidXML sees it: one pass over the bytes, without recursion,
/// that refuses what XML 1.0 refuses and what exceeds the limits, and notes where each element
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

/// Where an element stands in the document; see node.
struct extent {
  std::uint32_t begin, name_end, content, content_end, end;
};

class scanner {
 public:
  /// `begin` .. `end` must be followed by a NUL. One extent per element is appended to `found`.
  scanner(const char* begin, const char* end, const limits& bounds, std::vector<extent>& found)
      : begin_{begin},
        end_{end},
        at_{begin},
        found_{found},
        depth_limit_{bounds.xml_depth < deepest ? bounds.xml_depth : deepest},
        element_limit_{bounds.xml_elements},
        attribute_limit_{bounds.xml_attributes < most_attributes ? bounds.xml_attributes : most_attributes},
        text_limit_{bounds.xml_text_bytes} {}

  /// Null when the document is sound, else what is wrong with it, at offset().
  const char* run() {
    if (starts("\xEF\xBB\xBF")) at_ += 3;
    if (starts("<?xml") && is(at_[5], kind::space) && !declaration()) return reason_;
    bool root = false;
    while (true) {
      while (is(*at_, kind::space)) ++at_;
      if (at_ == end_) return root ? nullptr : "The document has no root element";
      if (*at_ != '<') return refuse("Text outside the root element");
      if (at_[1] == '?') {
        if (!instruction()) return reason_;
      } else if (at_[1] == '!') {
        if (!comment_only()) return reason_;
      } else if (at_[1] == '/') {
        return refuse("An end tag that does not match");
      } else {
        if (root) return refuse("More than one root element");
        root = true;
        if (!element()) return reason_;
      }
    }
  }

  std::size_t offset() const noexcept { return static_cast<std::size_t>(at_ - begin_); }
  bool plain() const noexcept { return plain_; }  // see tree

 private:
  [[gnu::cold]] const char* refuse(const char* reason) noexcept {
    reason_ = at_ == end_ ? "The document ends too early" : reason;
    return reason_;
  }
  [[gnu::cold]] bool no(const char* reason) noexcept {
    refuse(reason);
    return false;
  }
  bool starts(std::string_view with) const noexcept {
    return static_cast<std::size_t>(end_ - at_) >= with.size() &&
           std::memcmp(at_, with.data(), with.size()) == 0;
  }
  void skip_space() noexcept {
    while (is(*at_, kind::space)) ++at_;
  }
  std::uint32_t here() const noexcept { return static_cast<std::uint32_t>(at_ - begin_); }

  /// Steps over one character that is not plain and has no meaning here.
  bool character() noexcept {
    const auto c = static_cast<unsigned char>(*at_);
    if (c < 0x80) {
      if (is_character(c)) {
        ++at_;
        return true;
      }
      return no("A character XML does not allow");
    }
    return decode(at_) != 0 || no("Not UTF-8, or a character XML does not allow");
  }

  /// A name without a colon.
  bool ncname() noexcept {
    if (is(*at_, kind::name_start)) {
      ++at_;
    } else {
      const char* next = at_;
      if (static_cast<unsigned char>(*at_) < 0x80 || !starts_name(decode(next))) return no("A malformed name");
      at_ = next;
    }
    while (true) {
      while (is(*at_, kind::name_part)) ++at_;
      if (static_cast<unsigned char>(*at_) < 0x80) return true;
      const char* next = at_;
      if (!continues_name(decode(next))) return no("A malformed name");
      at_ = next;
    }
  }
  bool qname() noexcept {
    if (!ncname()) return false;
    if (*at_ != ':') return true;
    ++at_;
    return ncname();
  }

  /// A reference, from the ampersand on: one of the five names, or a number that is a character.
  bool reference() noexcept {
    for (const std::string_view known : {"&amp;", "&lt;", "&gt;", "&quot;", "&apos;"}) {
      if (starts(known)) {
        at_ += known.size();
        return true;
      }
    }
    if (at_[1] != '#') return no("An unknown entity or a bare ampersand");
    plain_ = false;
    const bool hex = at_[2] == 'x';
    const char* p = at_ + (hex ? 3 : 2);
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
    if (p == digits || *p != ';' || !is_character(code)) return no("A malformed character reference");
    at_ = p + 1;
    return true;
  }

  /// `<?target ...?>`, anywhere but at the very start.
  bool instruction() noexcept {
    at_ += 2;
    plain_ = false;
    const char* target = at_;
    if (!ncname()) return false;
    if (at_ - target == 3 && (target[0] | 0x20) == 'x' && (target[1] | 0x20) == 'm' && (target[2] | 0x20) == 'l') {
      at_ = target;
      return no("An XML declaration that is not at the start");
    }
    if (!is(*at_, kind::space) && !starts("?>")) return no("A malformed processing instruction");
    while (true) {
      while (is(*at_, kind::plain)) ++at_;
      if (starts("?>")) {
        at_ += 2;
        return true;
      }
      if (!character()) return false;
    }
  }

  bool comment() noexcept {
    at_ += 4;
    plain_ = false;
    while (true) {
      while (is(*at_, kind::plain)) ++at_;
      if (at_[0] == '-' && at_[1] == '-') {
        if (at_[2] != '>') return no("Two hyphens inside a comment");
        at_ += 3;
        return true;
      }
      if (!character()) return false;
    }
  }
  bool comment_only() noexcept {
    if (starts("<!--")) return comment();
    return no(starts("<!DOCTYPE") ? "A document type declaration" : "Malformed markup");
  }

  bool cdata() noexcept {
    at_ += 9;
    plain_ = false;
    const char* from = at_;
    while (true) {
      while (is(*at_, kind::plain)) ++at_;
      if (starts("]]>")) break;
      if (!character()) return false;
    }
    if (static_cast<std::size_t>(at_ - from) > text_limit_) return no("Too long a text");
    at_ += 3;
    return true;
  }

  /// ` name = "value"` of the XML declaration, if it comes next; the value goes to `value`.
  bool pseudo_attribute(std::string_view name, std::string_view& value) noexcept {
    const char* from = at_;
    skip_space();
    if (at_ == from || !starts(name)) {
      at_ = from;
      return false;
    }
    at_ += name.size();
    skip_space();
    if (*at_ != '=') return false;
    ++at_;
    skip_space();
    const char quote = *at_;
    if (quote != '"' && quote != '\'') return false;
    const char* text = ++at_;
    while (is(*at_, kind::name_part)) ++at_;
    if (*at_ != quote) return false;
    value = {text, static_cast<std::size_t>(at_ - text)};
    ++at_;
    return true;
  }

  bool declaration() noexcept {
    at_ += 5;
    std::string_view value;
    if (!pseudo_attribute("version", value) || value.size() < 3 || value.substr(0, 2) != "1." ||
        value.find_first_not_of("0123456789", 2) != value.npos) {
      return no("A malformed XML declaration");
    }
    if (pseudo_attribute("encoding", value)) {
      const bool utf8 = value.size() == 5 && (value[0] | 0x20) == 'u' && (value[1] | 0x20) == 't' &&
                        (value[2] | 0x20) == 'f' && value.substr(3) == "-8";
      if (!utf8) return no("An encoding other than UTF-8");
    }
    if (pseudo_attribute("standalone", value) && value != "yes" && value != "no") {
      return no("A malformed XML declaration");
    }
    skip_space();
    if (!starts("?>")) return no("A malformed XML declaration");
    at_ += 2;
    return true;
  }

  /// The value of an attribute, quotes included.
  bool value() noexcept {
    const char quote = *at_;
    if (quote != '"' && quote != '\'') return no("An attribute value without quotes");
    const char* from = ++at_;
    while (true) {
      while (is(*at_, kind::plain_value)) ++at_;
      if (*at_ == quote) break;
      if (*at_ == '&') {
        if (!reference()) return false;
      } else if (*at_ == '<') {
        return no("A < in an attribute value");
      } else if (!character()) {
        return false;
      }
    }
    if (static_cast<std::size_t>(at_ - from) > text_limit_) return no("Too long an attribute value");
    ++at_;
    return true;
  }

  /// A start tag. `open` tells whether an end tag must follow.
  bool start_tag(bool& open) {
    if (found_.size() >= element_limit_) return no("Too many elements");
    if (depth_ >= depth_limit_) return no("Elements nested too deeply");
    extent e{here(), 0, 0, 0, 0};
    ++at_;
    if (!qname()) return false;
    e.name_end = here();
    for (std::size_t attributes = 0;; ++attributes) {
      const char* from = at_;
      skip_space();
      if (*at_ == '>' || *at_ == '/') break;
      if (at_ == from) return no("An attribute without white space before it");
      if (attributes >= attribute_limit_) return no("Too many attributes");
      if (!qname()) return false;
      skip_space();
      if (*at_ != '=') return no("An attribute without a value");
      ++at_;
      skip_space();
      if (!value()) return false;
    }
    open = *at_ == '>';
    if (!open) {
      ++at_;
      if (*at_ != '>') return no("Malformed markup");
    }
    ++at_;
    e.content = e.content_end = e.end = here();
    if (open) open_[depth_++] = static_cast<std::uint32_t>(found_.size());
    found_.push_back(e);
    return true;
  }

  bool end_tag() noexcept {
    extent& e = found_[open_[depth_ - 1]];
    e.content_end = here();
    at_ += 2;
    const std::size_t size = e.name_end - e.begin - 1;
    if (!starts({begin_ + e.begin + 1, size})) return no("An end tag that does not match");
    at_ += size;
    skip_space();
    if (*at_ != '>') return no("An end tag that does not match");
    ++at_;
    e.end = here();
    --depth_;
    return true;
  }

  /// The root element and everything in it.
  bool element() {
    bool open = false;
    if (!start_tag(open)) return false;
    while (depth_ != 0) {
      if (!text()) return false;
      if (at_[1] == '/') {
        if (!end_tag()) return false;
      } else if (at_[1] == '!') {
        if (starts("<![CDATA[") ? !cdata() : !comment_only()) return false;
      } else if (at_[1] == '?') {
        if (!instruction()) return false;
      } else if (!start_tag(open)) {
        return false;
      }
    }
    return true;
  }

  /// Text up to the next `<`.
  bool text() noexcept {
    const char* from = at_;
    while (true) {
      while (is(*at_, kind::plain_text)) ++at_;
      if (*at_ == '<') break;
      if (*at_ == '&') {
        if (!reference()) return false;
      } else if (*at_ == ']') {
        if (starts("]]>")) return no("]]> in text");
        ++at_;
      } else if (!character()) {
        return false;
      }
    }
    return static_cast<std::size_t>(at_ - from) <= text_limit_ || no("Too long a text");
  }

  const char* begin_;
  const char* end_;
  const char* at_;
  std::vector<extent>& found_;
  std::size_t depth_limit_, element_limit_, attribute_limit_, text_limit_;
  bool plain_ = true;
  std::size_t depth_ = 0;
  const char* reason_ = nullptr;
  std::array<std::uint32_t, deepest> open_;  // elements whose end tag is still to come
};

}  // namespace presence::xml
