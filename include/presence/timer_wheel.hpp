/// Deadlines of many objects: a hierarchical wheel over calendar milliseconds. Setting and removing
/// a deadline is constant time; finding the next one looks at bitmaps. An object far ahead sits in
/// a coarse slot and comes down at most once per level.
///
/// T is an element with two public members: `timer_hook timer` and `instant deadline`. A deadline
/// may be moved to a later time in place, which costs one store: the element is found in its old
/// slot when that comes due, and put where it belongs then. The wheel owns nothing; an element that
/// dies leaves it by itself.
#pragma once

#include <array>
#include <bit>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <optional>

#include <presence/time.hpp>

namespace presence {

using timer_hook = boost::intrusive::list_member_hook<
    boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

template <class T>
class timer_wheel {
 public:
  /// Precondition: `element` is in no wheel. It comes due at its deadline, or at `not_before` if
  /// that is later.
  void insert(T& element, instant not_before = {}) noexcept {
    const instant when = element.deadline < not_before ? not_before : element.deadline;
    const std::uint64_t due = ticks(when) < at_ ? at_ : ticks(when);
    const std::uint64_t differs = due ^ at_;
    unsigned level = differs == 0 ? 0 : (63u - static_cast<unsigned>(std::countl_zero(differs))) / bits;
    std::size_t slot = (due >> (level * bits)) & mask;
    if (level >= levels) {  // beyond the horizon of 8 900 years
      level = levels - 1;
      slot = mask;
    }
    wheel_[level].slots[slot].push_back(element);
    wheel_[level].mark(slot);
    used_ |= 1u << level;
  }

  /// Moves the deadline of an element that may be in the wheel.
  void move(T& element, instant deadline) noexcept {
    if (contains(element) && deadline >= element.deadline) {
      element.deadline = deadline;
      return;
    }
    remove(element);
    element.deadline = deadline;
    insert(element);
  }

  static void remove(T& element) noexcept { element.timer.unlink(); }
  static bool contains(const T& element) noexcept { return element.timer.is_linked(); }

  /// Takes out one element whose deadline has come; null when there is none. Elements come in order
  /// of the deadlines they were inserted with. Gives up, with null, after `looks` looks at elements
  /// that only had to be put into a finer slot, or whose deadline was moved; the next call goes on.
  T* take_due(instant now, std::size_t& looks) noexcept {
    const std::uint64_t until = ticks(now);
    for (;;) {
      while (!spread_.empty()) {
        if (looks == 0) return nullptr;
        --looks;
        T& element = spread_.front();
        spread_.pop_front();
        insert(element);
      }
      unsigned level = 0;
      std::size_t slot = 0;
      if (!first(level, slot) || start_of(level, slot) > until) {
        if (until > at_) at_ = until;
        return nullptr;
      }
      at_ = start_of(level, slot);
      list& bucket = wheel_[level].slots[slot];
      if (level == 0) {
        T& element = bucket.front();
        if (element.deadline > now && looks == 0) return nullptr;
        bucket.pop_front();
        if (element.deadline <= now) return &element;
        --looks;
        insert(element);
        continue;
      }
      spread_.splice(spread_.end(), bucket);
    }
  }
  T* take_due(instant now) noexcept {
    std::size_t looks = static_cast<std::size_t>(-1);
    return take_due(now, looks);
  }

  /// A moment no later than the earliest deadline; nothing when the wheel is empty. It is exact when
  /// that deadline was never moved and is less than 256 ms ahead of the wheel's time.
  std::optional<instant> next() const noexcept {
    unsigned level = 0;
    std::size_t slot = 0;
    if (!spread_.empty()) return instant{milliseconds{static_cast<milliseconds::rep>(at_)}};
    if (!first(level, slot)) return std::nullopt;
    return instant{milliseconds{static_cast<milliseconds::rep>(start_of(level, slot))}};
  }

 private:
  static constexpr unsigned bits = 8;
  static constexpr unsigned levels = 6;
  static constexpr std::size_t width = 1u << bits;
  static constexpr std::uint64_t mask = width - 1;

  using list = boost::intrusive::list<
      T, boost::intrusive::member_hook<T, timer_hook, &T::timer>,
      boost::intrusive::constant_time_size<false>>;

  struct ring {
    std::array<list, width> slots;
    // a set bit may be stale (the slot emptied by itself); a clear one never lies
    mutable std::array<std::uint64_t, width / 64> used{};
    void mark(std::size_t slot) noexcept { used[slot / 64] |= std::uint64_t{1} << (slot % 64); }
    bool first(std::size_t& slot) const noexcept {
      for (std::size_t w = 0; w < used.size(); ++w) {
        while (used[w] != 0) {
          slot = w * 64 + static_cast<std::size_t>(std::countr_zero(used[w]));
          if (!slots[slot].empty()) return true;
          used[w] &= used[w] - 1;
        }
      }
      return false;
    }
  };

  static std::uint64_t ticks(instant t) noexcept {
    const auto count = t.time_since_epoch().count();
    return count < 0 ? 0 : static_cast<std::uint64_t>(count);
  }
  bool first(unsigned& level, std::size_t& slot) const noexcept {
    while (used_ != 0) {
      level = static_cast<unsigned>(std::countr_zero(used_));
      if (wheel_[level].first(slot)) return true;
      used_ &= used_ - 1;
    }
    return false;
  }
  /// When the slot begins; slots behind the wheel's time begin now.
  std::uint64_t start_of(unsigned level, std::size_t slot) const noexcept {
    const std::uint64_t span = (std::uint64_t{1} << ((level + 1) * bits)) - 1;
    const std::uint64_t start = (at_ & ~span) | (std::uint64_t{slot} << (level * bits));
    return start < at_ ? at_ : start;
  }

  std::array<ring, levels> wheel_{};
  mutable unsigned used_ = 0;  // levels with something in them, or that had; a clear bit never lies
  list spread_;  // of a coarse slot that came due, not yet put into finer ones
  std::uint64_t at_ = 0;
};

}  // namespace presence
