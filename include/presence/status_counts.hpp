/// How many requests were answered with which status (G10).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace presence {

/// Counts by status. Those the library answers with are counted one by one, all others, a package's own, together.
class status_counts {
 public:
  /// The usual first: to count one is to find it here.
  static constexpr std::array<int, 18> statuses{200, 202, 412, 481, 423, 403, 489, 503, 400,
                                                401, 404, 406, 413, 414, 415, 420, 500, 603};

  constexpr void count(int status) noexcept { ++counts_[place(status)]; }
  /// Of a status that is not in `statuses`: all of those together.
  constexpr std::uint64_t of(int status) const noexcept { return counts_[place(status)]; }
  constexpr std::uint64_t total() const noexcept {
    std::uint64_t all = 0;
    for (const auto one : counts_) all += one;
    return all;
  }
  constexpr status_counts& operator+=(const status_counts& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    return *this;
  }
  friend constexpr bool operator==(const status_counts&, const status_counts&) = default;

 private:
  static constexpr std::size_t place(int status) noexcept {
    return static_cast<std::size_t>(std::find(statuses.begin(), statuses.end(), status) - statuses.begin());
  }

  std::array<std::uint64_t, statuses.size() + 1> counts_{};
};

}  // namespace presence
