/// A 64-bit digest of what a document says. It tells "changed" from "the same" (CMP-12) and is no
/// defence against somebody who wants two documents to look alike: he would only fool himself.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace presence {

class digest {
 public:
  constexpr void add(std::uint64_t word) noexcept {
    word *= odd;
    word ^= word >> 47;
    held_ = (std::rotl(held_, 27) ^ (word * odd)) * odd + 0x9E3779B97F4A7C15u;
  }
  /// Adds the characters and their number, so that "ab", "c" differs from "a", "bc".
  void add(std::string_view text) noexcept {
    const char* at = text.data();
    const std::size_t size = text.size();
    held_ ^= size;
    if (size >= 8) {
      for (std::size_t left = size; left > 8; at += 8, left -= 8) add(load<std::uint64_t>(at));
      add(load<std::uint64_t>(text.data() + size - 8));
    } else if (size >= 4) {
      add(load<std::uint32_t>(at) | std::uint64_t{load<std::uint32_t>(at + size - 4)} << 32);
    } else if (size != 0) {
      add(load<std::uint8_t>(at) | std::uint64_t{load<std::uint8_t>(at + size / 2)} << 8 |
          std::uint64_t{load<std::uint8_t>(at + size - 1)} << 16);
    } else {
      add(std::uint64_t{0});
    }
  }
  /// Never zero.
  constexpr std::uint64_t value() const noexcept {
    std::uint64_t v = held_;
    v ^= v >> 32;
    v *= odd;
    v ^= v >> 29;
    return v != 0 ? v : 1;
  }

 private:
  template <class Word>
  static Word load(const char* from) noexcept {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
  }

  static constexpr std::uint64_t odd = 0xC6A4A7935BD1E995u;
  std::uint64_t held_ = 0x8445D61A4E774912u;
};

/// The characters of ids made of a digest, five bits each, the lowest first.
inline constexpr std::string_view id_characters = "abcdefghijklmnopqrstuvwxyz234567";
constexpr void write_id(std::span<char> to, std::uint64_t bits) noexcept {
  for (char& c : to) c = id_characters[bits & 31], bits >>= 5;
}

}  // namespace presence
