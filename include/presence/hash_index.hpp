/// Numbers found by a hash: open addressing in one array. A look-up reads a line of it and knows the number, so that what
/// it names can be asked for at once, and nothing else that lies near is looked at. Growing does not touch it, either.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace presence {

class hash_index {
 public:
  using number = std::uint32_t;
  static constexpr number none = 0xffffffff;

  /// `room`: a power of two, a hint.
  explicit hash_index(std::size_t room) : entries_{std::make_unique<entry[]>(room)}, mask_{room - 1} {}

  /// Makes room for `count` numbers in all; insert() does not throw. A quarter stays free, so that few lie far from home.
  void reserve(std::size_t count) {
    while (count > (mask_ + 1) / 4 * 3) grow();
  }
  /// Several numbers may have one hash. Precondition: there is room; the pair is not in.
  void insert(std::uint32_t hash, number n) noexcept {
    std::size_t at = hash & mask_;
    while (entries_[at].n != none) at = next(at);
    entries_[at] = {hash, n};
    ++size_;
  }
  /// Precondition: the pair is in.
  void erase(std::uint32_t hash, number n) noexcept {
    std::size_t hole = hash & mask_;
    while (entries_[hole].n != n) hole = next(hole);
    for (std::size_t at = next(hole); entries_[at].n != none; at = next(at)) {  // no look-up may stop at the hole
      const std::size_t home = entries_[at].hash & mask_;
      if (((at - home) & mask_) < ((at - hole) & mask_)) continue;
      entries_[hole] = entries_[at];
      hole = at;
    }
    entries_[hole].n = none;
    --size_;
  }

  /// Asks for what a look-up reads.
  void prefetch(std::uint32_t hash) const noexcept { __builtin_prefetch(&entries_[hash & mask_]); }
  /// The first number with this hash, as a rule the only one; none.
  number first(std::uint32_t hash) const noexcept {
    std::size_t at = hash & mask_;
    while (entries_[at].n != none && entries_[at].hash != hash) at = next(at);
    return entries_[at].n;
  }
  /// Calls `f(number)` for each with this hash until it returns false. `f` may erase the one it is called for.
  template <class F>
  void each(std::uint32_t hash, F&& f) const {
    for (std::size_t at = hash & mask_; entries_[at].n != none;) {
      const number n = entries_[at].n;
      if (entries_[at].hash == hash && !f(n)) return;
      if (entries_[at].n == n) at = next(at);  // else another has moved here
    }
  }
  bool contains(std::uint32_t hash, number n) const noexcept {
    bool found = false;
    each(hash, [&](number other) { return !(found = other == n); });
    return found;
  }
  std::size_t size() const noexcept { return size_; }

 private:
  struct entry {
    std::uint32_t hash = 0;
    number n = none;
  };
  std::size_t next(std::size_t at) const noexcept { return (at + 1) & mask_; }
  void grow() {
    hash_index wider{2 * (mask_ + 1)};
    std::size_t begin = 0;  // behind a free place, so that numbers of one hash keep their order
    while (entries_[begin].n != none) ++begin;
    for (std::size_t at = next(begin); at != begin; at = next(at))
      if (entries_[at].n != none) wider.insert(entries_[at].hash, entries_[at].n);
    *this = std::move(wider);
  }

  std::unique_ptr<entry[]> entries_;
  std::size_t mask_;
  std::size_t size_ = 0;
};

}  // namespace presence
