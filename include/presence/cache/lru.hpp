/// Least recently used: whoever has not been used for longest goes.
#pragma once

#include <presence/cache/policy.hpp>

namespace presence::cache {

class lru final : public queued_policy<1> {
 public:
  std::string_view name() const noexcept override { return "lru"; }
  void admitted(node& n) noexcept override { put(n); }
  void touched(node& n) noexcept override { move(n); }
  node* victim() noexcept override { return oldest(); }
};

}  // namespace presence::cache
