/// SIEVE (Zhang et al., NSDI 2024): a FIFO list whose nodes keep their place when used and are only
/// marked. A hand moves from the oldest to the newest and round again; it takes the marks off and
/// stops at the first node without one. Newcomers come in ahead of it and are judged soon; those behind
/// it have a whole round.
#pragma once

#include <presence/cache/policy.hpp>

namespace presence::cache {

class sieve final : public queued_policy<1> {
 public:
  std::string_view name() const noexcept override { return "sieve"; }
  void admitted(node& n) noexcept override { put(n); }
  void touched(node& n) noexcept override { n.hits = 1; }
  void released(node& n) noexcept override {
    if (hand_ == &n) hand_ = newer(n);
    queued_policy::released(n);
  }
  node* victim() noexcept override {
    for (unsigned looks = 0;; ++looks) {
      if (hand_ == nullptr) hand_ = oldest();
      ++steps_;
      if (hand_ == nullptr || hand_->hits == 0 || looks == max_looks) return hand_;
      hand_->hits = 0;
      hand_ = newer(*hand_);
    }
  }

 private:
  node* hand_ = nullptr;
};

}  // namespace presence::cache
