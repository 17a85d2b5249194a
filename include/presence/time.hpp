/// Time as a value. The engine owns no clock: every entry point takes `now`, one calendar instant
/// in milliseconds. `wall_clock` is a convenience for hosts that have no steady calendar clock of
/// their own (conformance HOST-4, features M09); the engine itself never uses it.
#pragma once

#include <chrono>
#include <cstdint>

namespace presence {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Calendar time with millisecond resolution; valid far beyond the year 2038 (M12).
using instant = std::chrono::sys_time<milliseconds>;

/// When hard state lapses: the last second of the year 9999.
inline constexpr instant never{std::chrono::sys_days{std::chrono::year{9999} / 12 / 31} + seconds{86399}};

/// Whole seconds from `from` until `to`, rounded down; never negative.
/// A remaining lifetime told to a peer must not exceed the true one (EVT-4.2.2-4).
constexpr seconds whole_seconds(instant from, instant to) noexcept {
  return to <= from ? seconds{0} : std::chrono::floor<seconds>(to - from);
}

/// Calendar time that follows the wall clock but never jumps and never runs backwards:
/// steady time added to the wall time at start, steered towards the wall clock by at most
/// `slew_per_mille` thousandths of the elapsed time. A wall clock set a day ahead therefore
/// expires nothing (HOST-4).
class slewed_clock {
 public:
  static constexpr int slew_per_mille = 1;

  /// `wall` and `steady` are readings taken together.
  constexpr slewed_clock(instant wall, milliseconds steady) noexcept : told_{wall}, read_{steady} {}

  /// The time to use now, given fresh readings of both clocks.
  /// Never less than any value returned before.
  constexpr instant at(instant wall, milliseconds steady) noexcept {
    const milliseconds elapsed = steady > read_ ? steady - read_ : milliseconds{0};
    read_ = steady > read_ ? steady : read_;
    const milliseconds::rep allowance = elapsed.count() * slew_per_mille + spare_;
    const milliseconds::rep reach = allowance / 1000;
    spare_ = allowance % 1000;
    told_ += elapsed;
    const milliseconds::rep error = (wall - told_).count();
    const milliseconds::rep bounded = error > reach ? reach : (error < -reach ? -reach : error);
    told_ += milliseconds{bounded};
    return told_;
  }

 private:
  instant told_;
  milliseconds read_;
  milliseconds::rep spare_ = 0;  // thousandths of a millisecond of slew not yet used
};

/// A slewed_clock fed by the clocks of this machine. One caller at a time.
class wall_clock {
 public:
  instant now() noexcept { return clock_.at(wall(), steady()); }

 private:
  static instant wall() noexcept {
    return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
  }
  static milliseconds steady() noexcept {
    return std::chrono::duration_cast<milliseconds>(
        std::chrono::steady_clock::now().time_since_epoch());
  }
  slewed_clock clock_{wall(), steady()};
};

}  // namespace presence
