// options::advance_rate: how many deadlines may be handled in a second.
#pragma once

#include <algorithm>
#include <cstddef>

#include <presence/time.hpp>

namespace presence {

class advance_rate {
 public:
  /// 0: any number.
  explicit advance_rate(std::size_t most) noexcept : most_{most} {}

  bool limits() const noexcept { return most_ != 0; }
  /// Whether no more may be handled before this second is over.
  bool reached() const noexcept { return limits() && handled_ >= most_; }
  instant second_ends() const noexcept { return began_ + seconds{1}; }
  void begin(instant now) noexcept {
    if (now >= second_ends()) began_ = now, handled_ = 0;
  }
  std::size_t left() const noexcept { return most_ - std::min(most_, handled_); }
  void add(std::size_t handled) noexcept { handled_ += handled; }

 private:
  std::size_t most_;
  instant began_{};
  std::size_t handled_ = 0;
};

}  // namespace presence
