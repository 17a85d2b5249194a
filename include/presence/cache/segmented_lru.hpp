/// Two LRU lists (Karedla, Love, Wherry 1994): newcomers are on probation, whoever is used again is
/// protected. The protected part has four fifths of the entries; whoever falls out of it is on
/// probation again. A scan passes through the probation part alone.
#pragma once

#include <presence/cache/policy.hpp>

namespace presence::cache {

class segmented_lru final : public queued_policy<2> {
 public:
  std::string_view name() const noexcept override { return "slru"; }
  void admitted(node& n) noexcept override { put(n, probation); }
  void touched(node& n) noexcept override {
    move(n, kept);
    if (size(kept) * 5 > held() * 4) move(*oldest(kept), probation);
  }
  node* victim() noexcept override { return size(probation) != 0 ? oldest(probation) : oldest(kept); }

 private:
  enum : unsigned { probation, kept };
};

}  // namespace presence::cache
