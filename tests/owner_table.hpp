/// When a subscription is due whose time is up (C02): for its owner at once, and for everybody once `grace` is over as well.
/// due_filter::is_due() and the queries of each storage are held to the same table.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <iterator>
#include <presence/time.hpp>

namespace owner_table {

inline constexpr presence::seconds grace{2};
inline constexpr presence::milliseconds over_for[] = {
    presence::milliseconds{-1}, presence::milliseconds{0}, grace - presence::milliseconds{1}, grace};
struct row {
  const char* asks;
  const char* owner;
  bool due[4];  ///< over for as long as that
};
inline constexpr row rows[] = {
    {"", "", {false, true, true, true}},  // who has no name waits for nobody
    {"", "a", {false, true, true, true}},
    {"a", "", {false, true, true, true}},  // what nobody owns
    {"a", "a", {false, true, true, true}},
    {"a", "b", {false, false, false, true}},
    {"a", "A", {false, false, false, true}},
    {"a", "aa", {false, false, false, true}},
};

/// Calls `f(row, how long it is over, whether it is due)` for the whole table.
template <class F>
void each(F f) {
  for (std::size_t i = 0; i < std::size(over_for); ++i) {
    for (const row& one : rows) {
      CAPTURE(one.asks);
      CAPTURE(one.owner);
      CAPTURE(i);
      f(one, over_for[i], one.due[i]);
    }
  }
}

}  // namespace owner_table
