/// The port of cache policies: which of the elements held in memory goes when there is no room. A
/// policy orders nodes. It owns none, allocates nothing after construction, and knows no key, no SIP
/// and no clock, so that an engine and a simulator run the very same type.
///
/// A cache holds at most so many entries, at most so many bytes, or both. It admits a node first and
/// then, while a bound is exceeded, evicts what victim() names. The policy is not told the bounds:
/// where it divides its nodes into parts, their shares are shares of the entries held at the moment,
/// which are the same in a full cache whichever bound made it full. The one number some policies get
/// is how many entries to expect, as the size of their memory of what is not held: the bound in
/// entries, or the bound in bytes divided by a typical size.
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <cassert>
#include <cstdint>
#include <string_view>

namespace presence::cache {

/// What a cached element derives from: 32 bytes, of which the last two are free for members of the
/// element that need no alignment. It must not move, nor die before the policy, while a policy has it.
struct node : boost::intrusive::list_base_hook<> {
  std::uint64_t hash = 0;   ///< of the element's key, under a secret key; constant while held
  std::uint32_t cost = 0;   ///< bytes the element takes; the cache keeps it true, a policy may read it
  std::uint8_t part = 0;    ///< the policy's: where the node is
  std::uint8_t hits = 0;    ///< the policy's: a small count of uses
};
static_assert(sizeof(void*) != 8 || sizeof(node) == 32);

/// All calls are constant time but victim(), which is so on average and never takes more than
/// `max_looks` looks.
class policy {
 public:
  policy() = default;
  policy(const policy&) = delete;
  policy& operator=(const policy&) = delete;
  virtual ~policy() = default;

  /// The name that chooses it.
  virtual std::string_view name() const noexcept = 0;

  /// The element came into memory. Precondition: the policy does not have the node.
  virtual void admitted(node&) noexcept = 0;
  /// The element was used. Precondition of this and the next: the policy has the node.
  virtual void touched(node&) noexcept = 0;
  /// The element leaves memory, for whatever cause: evicted, expired, deleted. Exactly once.
  virtual void released(node&) noexcept = 0;

  /// Who should go; null when there is nobody. The policy has the node until released() is called for
  /// it, which should be the next call. It may be the node admitted last.
  virtual node* victim() noexcept = 0;

  /// Nodes linked, moved, unlinked or looked at so far: what the work is, whatever the machine.
  std::uint64_t steps() const noexcept { return steps_; }

 protected:
  /// When so many nodes in turn deserve to stay, the next one goes all the same, so that no single
  /// request pays for walking through millions.
  static constexpr unsigned max_looks = 1000;
  std::uint64_t steps_ = 0;
};

/// A policy that keeps its nodes in `Parts` lists, the newest first.
template <unsigned Parts>
class queued_policy : public policy {
 public:
  void released(node& n) noexcept override {
    ++steps_;
    parts_[n.part].erase(list::s_iterator_to(n));
  }

  std::size_t held() const noexcept {
    std::size_t all = 0;
    for (const list& part : parts_) all += part.size();
    return all;
  }

  /// An audit for tests, linear: each node knows its list, and the counted sizes are the real ones.
  bool sound() const noexcept {
    for (unsigned i = 0; i < Parts; ++i) {
      std::size_t count = 0;
      for (const node& n : parts_[i]) {
        if (n.part != i) return false;
        ++count;
      }
      if (count != parts_[i].size()) return false;
    }
    return true;
  }

 protected:
  using list = boost::intrusive::list<node>;

  std::size_t size(unsigned part) const noexcept { return parts_[part].size(); }
  node* oldest(unsigned part = 0) noexcept { return parts_[part].empty() ? nullptr : &parts_[part].back(); }
  /// The one admitted to its list after `n`; null for the newest.
  node* newer(node& n) noexcept {
    auto at = list::s_iterator_to(n);
    return at == parts_[n.part].begin() ? nullptr : &*--at;
  }

  void put(node& n, unsigned part = 0) noexcept {
    assert(!n.is_linked());
    ++steps_;
    n.part = static_cast<std::uint8_t>(part);
    n.hits = 0;
    parts_[part].push_front(n);
  }
  void move(node& n, unsigned part = 0) noexcept {
    ++steps_;
    parts_[part].splice(parts_[part].begin(), parts_[n.part], list::s_iterator_to(n));
    n.part = static_cast<std::uint8_t>(part);
  }

 private:
  std::array<list, Parts> parts_;
};

}  // namespace presence::cache
