/// S3-FIFO (Yang et al., SOSP 2023): three FIFO queues. Newcomers enter a small one with a tenth of the
/// entries; used twice there, they move to the main one, otherwise they go, and their hash is
/// remembered. Who comes back while remembered enters the main queue, where each use (up to three)
/// buys another round.
#pragma once

#include <presence/cache/ghost.hpp>
#include <presence/cache/policy.hpp>

namespace presence::cache {

class s3_fifo final : public queued_policy<2> {
 public:
  /// `capacity`: how many entries to expect.
  explicit s3_fifo(std::size_t capacity) : gone_{capacity - capacity / 10} {}
  std::string_view name() const noexcept override { return "s3-fifo"; }
  void admitted(node& n) noexcept override { put(n, gone_.take(n.hash) ? main : small); }
  void touched(node& n) noexcept override {
    if (n.hits < 3) ++n.hits;
  }
  node* victim() noexcept override {
    for (unsigned looks = 0;; ++looks) {
      const std::size_t share = std::max<std::size_t>(held() / 10, 1);
      const unsigned from = size(small) > share || size(main) == 0 ? small : main;
      node* n = oldest(from);
      ++steps_;
      if (n == nullptr) return n;
      const bool stays = from == small ? n->hits > 1 : n->hits > 0;
      if (!stays || looks == max_looks) {
        if (from == small) gone_.add(n->hash);
        return n;
      }
      n->hits = from == small ? std::uint8_t{0} : static_cast<std::uint8_t>(n->hits - 1);
      move(*n, main);
    }
  }

 private:
  enum : unsigned { small, main };
  ghost gone_;
};

}  // namespace presence::cache
