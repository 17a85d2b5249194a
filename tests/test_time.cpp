#include <presence/time.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace presence;
using namespace std::chrono_literals;

namespace {
constexpr instant start{1700000000s};
}

TEST_CASE("whole seconds are rounded down and never negative (EVT-4.2.2-4)") {
  const struct {
    milliseconds left;
    seconds told;
  } rows[] = {{0ms, 0s},
              {1ms, 0s},
              {400ms, 0s},
              {999ms, 0s},
              {1000ms, 1s},
              {1999ms, 1s},
              {2000ms, 2s},
              {-1ms, 0s},
              {-1s, 0s},
              {-24h, 0s},
              {4294967295s, 4294967295s},
              {4294967295s + 999ms, 4294967295s}};
  for (const auto& row : rows) {
    CAPTURE(row.left.count());
    CHECK(whole_seconds(start, start + row.left) == row.told);
  }
  static_assert(whole_seconds(start, start + 1500ms) == 1s);
}

TEST_CASE("the longest lifetime of SIP does not overflow an instant (GRM-7, M12)") {
  const instant far = instant{std::chrono::sys_days{std::chrono::year{2038} / 1 / 19}} + 4294967295s;
  CHECK(far > instant{std::chrono::sys_days{std::chrono::year{2174} / 1 / 1}});
  CHECK(whole_seconds(far - 4294967295s, far) == 4294967295s);
}

TEST_CASE("clocks that agree are told as they are") {
  slewed_clock clock{start, 0ms};
  for (milliseconds t = 0ms; t < 1h; t += 777ms) CHECK(clock.at(start + t, t) == start + t);
}

TEST_CASE("a wall clock set a day ahead expires nothing (HOST-4)") {
  slewed_clock clock{start, 0ms};
  CHECK(clock.at(start + 1s, 1s) == start + 1s);
  const instant told = clock.at(start + 24h + 2s, 2s);
  CHECK(told >= start + 2s);
  CHECK(told <= start + 2s + 1ms);
}

TEST_CASE("a wall clock set back never turns time back, and is followed slowly") {
  slewed_clock clock{start, 0ms};
  instant before = start;
  for (int s = 1; s <= 10000; ++s) {
    const instant told = clock.at(start - 5s + seconds{s}, seconds{s});
    CHECK(told > before);
    CHECK(told - before >= 999ms);
    CHECK(told - before <= 1s);
    before = told;
  }
  CHECK(before == start - 5s + 10000s);  // 5 s at one thousandth took 5000 s
}

TEST_CASE("small readings lose nothing of the slew") {
  slewed_clock clock{start, 0ms};
  instant told = start;
  for (milliseconds t = 1ms; t <= 2000s; t += 1ms) told = clock.at(start + 1s + t, t);
  CHECK(told == start + 1s + 2000s);
  slewed_clock still{start, 0ms};
  for (int i = 0; i < 5000; ++i) CHECK(still.at(start + 1h, 0ms) == start);
}

TEST_CASE("time never runs backwards, whatever the clocks do") {
  std::mt19937 random{4};
  slewed_clock clock{start, 0ms};
  milliseconds steady = 0ms;
  milliseconds furthest = 0ms;
  instant before = start;
  for (int i = 0; i < 100000; ++i) {
    const auto move = static_cast<int>(random() % 3000) - 500;  // even the steady clock may stumble
    steady += milliseconds{move};
    furthest = std::max(furthest, steady);
    const milliseconds jump{static_cast<int>(random() % 200000000) - 100000000};
    const instant told = clock.at(start + steady + jump, steady);
    REQUIRE(told >= before);
    // and it stays within a thousandth of what has really passed
    REQUIRE(told - start <= furthest + furthest / 1000 + 1ms);
    REQUIRE(told - start >= furthest - furthest / 1000 - 1ms);
    before = told;
  }
}

TEST_CASE("the clock of this machine does not run backwards") {
  wall_clock clock;
  instant before = clock.now();
  CHECK(before > instant{std::chrono::sys_days{std::chrono::year{2020} / 1 / 1}});
  for (int i = 0; i < 1000; ++i) {
    const instant now = clock.now();
    REQUIRE(now >= before);
    before = now;
  }
}
