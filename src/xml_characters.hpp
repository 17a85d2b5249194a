/// The characters of XML 1.0: their kinds, and how they are read from UTF-8. Part of xml.cpp.
#pragma once

#include <array>
#include <cstdint>

namespace presence::xml {

namespace kind {
inline constexpr std::uint8_t space = 1;       // white space
inline constexpr std::uint8_t name_start = 2;  // begins a name; the colon is not among them
inline constexpr std::uint8_t name_part = 4;   // continues a name
inline constexpr std::uint8_t plain_text = 8;  // ASCII, nothing special between tags
inline constexpr std::uint8_t plain_value = 16;  // ASCII, nothing special between quotes
inline constexpr std::uint8_t plain = 32;        // ASCII, a character of XML, not '-', '?', ']'
}  // namespace kind

inline constexpr auto kinds = [] {
  std::array<std::uint8_t, 256> table{};
  for (unsigned c = 1; c < 0x80; ++c) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool digit = c >= '0' && c <= '9';
    std::uint8_t k = 0;
    if (blank) k |= kind::space;
    if (letter) k |= kind::name_start;
    if (letter || digit || c == '-' || c == '.') k |= kind::name_part;
    if (blank || c >= 0x20) {
      if (c != '<' && c != '&' && c != ']') k |= kind::plain_text;
      if (c != '<' && c != '&' && c != '"' && c != '\'') k |= kind::plain_value;
      if (c != '-' && c != '?' && c != ']') k |= kind::plain;
    }
    table[c] = k;
  }
  return table;
}();

inline bool is(char c, std::uint8_t k) noexcept {
  return (kinds[static_cast<unsigned char>(c)] & k) != 0;
}

/// Whether XML 1.0 may carry the character.
constexpr bool is_character(std::uint32_t c) noexcept {
  return c == 0x9 || c == 0xA || c == 0xD || (c >= 0x20 && c <= 0xD7FF) ||
         (c >= 0xE000 && c <= 0xFFFD) || (c >= 0x10000 && c <= 0x10FFFF);
}

/// Beyond ASCII: whether a character begins a name (XML 1.0, fifth edition).
constexpr bool starts_name(std::uint32_t c) noexcept {
  return (c >= 0xC0 && c <= 0x2FF && c != 0xD7 && c != 0xF7) || (c >= 0x370 && c <= 0x1FFF && c != 0x37E) ||
         c == 0x200C || c == 0x200D || (c >= 0x2070 && c <= 0x218F) || (c >= 0x2C00 && c <= 0x2FEF) ||
         (c >= 0x3001 && c <= 0xD7FF) || (c >= 0xF900 && c <= 0xFDCF) || (c >= 0xFDF0 && c <= 0xFFFD) ||
         (c >= 0x10000 && c <= 0xEFFFF);
}

/// Beyond ASCII: whether a character continues a name.
constexpr bool continues_name(std::uint32_t c) noexcept {
  return starts_name(c) || c == 0xB7 || (c >= 0x300 && c <= 0x36F) || c == 0x203F || c == 0x2040;
}

/// Decodes one character beyond ASCII and moves on; 0, without moving, when it is not shortest
/// UTF-8 or not a character of XML. Reads nothing behind a byte that cannot continue, so that a
/// terminating NUL stops it.
[[gnu::noinline]] inline std::uint32_t decode(const char*& at) noexcept {
  const auto byte = [&](int i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(at[i])); };
  const auto tail = [&](int i) { return (byte(i) & 0xC0) == 0x80; };
  const std::uint32_t lead = byte(0);
  std::uint32_t c = 0;
  int length = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    if (!tail(1)) return 0;
    c = (lead & 0x1F) << 6 | (byte(1) & 0x3F);
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    if (!tail(1) || !tail(2)) return 0;
    c = (lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    if (c < 0x800) return 0;
    length = 3;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    c = (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    if (c < 0x10000) return 0;
    length = 4;
  }
  if (!is_character(c)) return 0;
  at += length;
  return c;
}

}  // namespace presence::xml
