/// Estimates how often a hash was seen lately: a count-min sketch with four rows of 4-bit counters, 8
/// to 16 bytes for each hash it is made for. The counters of a hash lie in one cache line. The past fades:
/// counters are halved once in ten to twenty times the capacity, one line after the other, so that no
/// single call pays for all.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

namespace presence::cache {

class frequency_sketch {
 public:
  static constexpr unsigned most = 15;

  explicit frequency_sketch(std::size_t capacity)
      : lines_(std::bit_ceil((std::clamp<std::size_t>(capacity, 1, 1u << 26) + 7) / 8)) {}

  void add(std::uint64_t hash) noexcept {
    line& l = lines_[line_of(hash)];
    for (unsigned row = 0; row < rows; ++row) {
      const auto [word, shift] = place_of(hash, row);
      const std::uint64_t one = ((l[word] >> shift) & most) != most;  // no branch: it would be a guess
      l[word] += one << shift;
    }
    if (++added_ != per_line) return;
    added_ = 0;
    for (auto& word : lines_[next_]) word = (word >> 1) & 0x7777777777777777u;
    next_ = (next_ + 1) & (lines_.size() - 1);
  }

  unsigned estimate(std::uint64_t hash) const noexcept {
    const line& l = lines_[line_of(hash)];
    unsigned least = most;
    for (unsigned row = 0; row < rows; ++row) {
      const auto [word, shift] = place_of(hash, row);
      least = std::min(least, static_cast<unsigned>(l[word] >> shift) & most);
    }
    return least;
  }

 private:
  static constexpr unsigned rows = 4;
  static constexpr unsigned per_line = 80;  ///< additions until a line is halved
  struct alignas(64) line : std::array<std::uint64_t, 2 * rows> {};  ///< 32 counters for each row
  struct place {
    unsigned word, shift;
  };
  /// Five bits of the hash for each row, those above them for the line.
  static place place_of(std::uint64_t hash, unsigned row) noexcept {
    const auto bits = static_cast<unsigned>(hash >> (5 * row)) & 31;
    return {2 * row + bits / 16, bits % 16 * 4};
  }
  std::size_t line_of(std::uint64_t hash) const noexcept { return (hash >> (5 * rows)) & (lines_.size() - 1); }

  std::vector<line> lines_;
  std::size_t next_ = 0;  ///< the line to be halved next
  unsigned added_ = 0;    ///< since the last one was
};

}  // namespace presence::cache
