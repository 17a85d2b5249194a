/// First in, first out: whoever has been held longest goes, used or not.
#pragma once

#include <presence/cache/policy.hpp>

namespace presence::cache {

class fifo final : public queued_policy<1> {
 public:
  std::string_view name() const noexcept override { return "fifo"; }
  void admitted(node& n) noexcept override { put(n); }
  void touched(node&) noexcept override {}
  node* victim() noexcept override { return oldest(); }
};

}  // namespace presence::cache
