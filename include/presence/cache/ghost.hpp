/// Remembers of the last so many hashes that they were there: the ghost queue of s3-fifo. A table of
/// fixed size; each line of it is one cache line, in which the oldest makes room. 18 to 37 bytes for
/// each hash remembered. It errs rarely: an overfull line forgets early, and one question in some 10^8
/// is wrongly answered yes.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

namespace presence::cache {

class ghost {
 public:
  explicit ghost(std::size_t capacity)
      : capacity_{static_cast<std::uint32_t>(std::clamp<std::size_t>(capacity, 1, 1u << 26))},
        clock_{capacity_},
        lines_(std::bit_ceil((std::size_t{capacity_} * 2 + places - 1) / places)) {}

  void add(std::uint64_t hash) noexcept {
    line& l = line_of(hash);
    l.held[l.oldest] = {mark_of(hash), ++clock_};
    l.oldest = l.oldest + 1 == places ? 0 : l.oldest + 1;
  }

  /// Whether it is remembered; it is not afterwards.
  bool take(std::uint64_t hash) noexcept {
    for (place& p : line_of(hash).held) {
      if (p.mark != mark_of(hash) || clock_ - p.added >= capacity_) continue;
      p.added = clock_ - capacity_;
      return true;
    }
    return false;
  }

 private:
  static constexpr std::uint32_t places = 7;
  struct place {
    std::uint32_t mark = 0;
    std::uint32_t added = 0;  ///< what the clock was; `capacity_` ago or more: forgotten
  };
  struct alignas(64) line {
    std::array<place, places> held{};
    std::uint32_t oldest = 0;
  };

  static std::uint32_t mark_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash); }
  line& line_of(std::uint64_t hash) noexcept { return lines_[(hash >> 32) & (lines_.size() - 1)]; }

  std::uint32_t capacity_;
  std::uint32_t clock_;  ///< hashes added so far, and the capacity: at first everything is forgotten
  std::vector<line> lines_;
};

}  // namespace presence::cache
