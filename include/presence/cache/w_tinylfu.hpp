/// W-TinyLFU (Einziger, Friedman, Manes 2017): newcomers pass through a small LRU window with a
/// hundredth of the entries into a segmented LRU. When somebody must go, the last of the window and the
/// last of the main part are compared by how often they were asked for lately, held or not: the rarer
/// one goes, in doubt the newcomer; otherwise he takes the other's place. The hashes are keyed, so no
/// peer can choose keys that share counters.
#pragma once

#include <presence/cache/frequency_sketch.hpp>
#include <presence/cache/policy.hpp>

namespace presence::cache {

class w_tinylfu final : public queued_policy<3> {
 public:
  /// `capacity`: how many entries to expect.
  explicit w_tinylfu(std::size_t capacity) : asked_{capacity} {}
  std::string_view name() const noexcept override { return "w-tinylfu"; }
  void admitted(node& n) noexcept override {
    asked_.add(n.hash);
    put(n, window);
    // one more than its share is for victim() to judge; if there were two, the cache was not full
    const std::size_t share = std::max<std::size_t>(held() / 100, 1);
    if (size(window) > share + 1) move(*oldest(window), probation);
  }
  void touched(node& n) noexcept override {
    asked_.add(n.hash);
    move(n, n.part == window ? window : kept);
    if (size(kept) * 5 > (held() - size(window)) * 4) move(*oldest(kept), probation);
  }
  node* victim() noexcept override {
    node* candidate = oldest(window);
    node* last = size(probation) != 0 ? oldest(probation) : oldest(kept);
    if (candidate == nullptr || last == nullptr) return candidate == nullptr ? last : candidate;
    ++steps_;
    if (asked_.estimate(candidate->hash) <= asked_.estimate(last->hash)) return candidate;
    move(*candidate, probation);
    return last;
  }

 private:
  enum : unsigned { window, probation, kept };
  frequency_sketch asked_;
};

}  // namespace presence::cache
