#include "encoding.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace presence::sql {

namespace {

unsigned char at(std::string_view s, std::size_t i) {
  return i < s.size() ? static_cast<unsigned char>(s[i]) : 0;
}

bool between(unsigned char c, unsigned char low, unsigned char high) { return c >= low && c <= high; }

// Bytes of the UTF-8 character at the front (RFC 3629 section 4); 0: there is none.
std::size_t character(std::string_view s) {
  const unsigned char first = at(s, 0), second = at(s, 1);
  const auto tail = [&](std::size_t i) { return between(at(s, i), 0x80, 0xbf); };
  if (between(first, 0x01, 0x7f)) return 1;
  if (between(first, 0xc2, 0xdf)) return tail(1) ? 2 : 0;
  if (between(first, 0xe0, 0xef)) {
    const bool fits = between(second, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf);
    return fits && tail(2) ? 3 : 0;
  }
  if (between(first, 0xf0, 0xf4)) {
    const bool fits = between(second, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf);
    return fits && tail(2) && tail(3) ? 4 : 0;
  }
  return 0;
}

// U+F700 to U+F7FF are EF 9C 80 to EF 9F BF.
bool is_private(std::string_view s) {
  return at(s, 0) == 0xef && between(at(s, 1), 0x9c, 0x9f) && between(at(s, 2), 0x80, 0xbf);
}

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

void to_utf8(std::string& text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<signed char>(c) > 0; })) return;
  std::string made;
  made.reserve(text.size() + 16);
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t size = is_private(rest) ? 0 : character(rest);
    if (size == 0) {
      const unsigned char byte = at(rest, 0);
      made += '\xef';
      made += static_cast<char>(0x9c + (byte >> 6));
      made += static_cast<char>(0x80 + (byte & 0x3f));
    }
    made.append(rest, 0, size);
    rest.remove_prefix(std::max<std::size_t>(size, 1));
  }
  text = std::move(made);
}

void from_utf8(std::string& text) {
  if (text.find('\xef') == text.npos) return;
  std::string made;
  made.reserve(text.size());
  for (std::string_view rest = text; !rest.empty();) {
    const bool replaced = is_private(rest);
    made += replaced ? static_cast<char>((at(rest, 1) - 0x9c) << 6 | (at(rest, 2) & 0x3f)) : rest.front();
    rest.remove_prefix(replaced ? 3 : 1);
  }
  text = std::move(made);
}

void append_hex(std::string_view bytes, std::string& to) {
  constexpr std::string_view digits = "0123456789abcdef";
  const std::size_t before = to.size();
  to.resize(before + bytes.size() * 2);
  char* out = to.data() + before;
  for (const char c : bytes) {
    *out++ = digits[static_cast<unsigned char>(c) >> 4];
    *out++ = digits[static_cast<unsigned char>(c) & 0xf];
  }
}

void to_bytea(std::string& bytes) {
  std::string made = "\\x";
  append_hex(bytes, made);
  bytes = std::move(made);
}

void from_bytea(std::string& text) {
  if (!text.starts_with("\\x")) return;
  std::size_t size = 0;
  for (std::size_t i = 2; i + 1 < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return;
    text[size++] = static_cast<char>(high << 4 | low);
  }
  text.resize(size);
}

void append_element(std::string_view text, std::string& to) {
  to += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') to += '\\';
    to += c;
  }
  to += '"';
}

}  // namespace presence::sql
