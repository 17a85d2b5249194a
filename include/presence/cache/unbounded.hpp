/// Nothing ever goes: for a cache without bounds, and the simulator's upper bound (cold misses only).
#pragma once

#include <presence/cache/policy.hpp>

namespace presence::cache {

class unbounded final : public policy {
 public:
  std::string_view name() const noexcept override { return "unbounded"; }
  void admitted(node&) noexcept override {}
  void touched(node&) noexcept override {}
  void released(node&) noexcept override {}
  node* victim() noexcept override { return nullptr; }
};

}  // namespace presence::cache
