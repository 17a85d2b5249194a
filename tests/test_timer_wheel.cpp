// The timer wheel (M01, M05, M09; PF5) against a plain sorted map.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include <presence/timer_wheel.hpp>

using namespace presence;
using namespace std::chrono_literals;

namespace {

struct item {
  timer_hook timer;
  instant deadline{};
  int name = 0;
  bool in = false;
};

instant at_ms(std::int64_t ms) { return instant{milliseconds{ms}}; }
constexpr std::int64_t today = 1'700'000'000'000;

/// A wheel that has come to `now`, as an engine's has after its first advance().
void bring_to(timer_wheel<item>& wheel, instant now) { REQUIRE(wheel.take_due(now) == nullptr); }

/// What is asked millions of times: REQUIRE would keep what it has seen, each time.
void must(bool truth, int line = __builtin_LINE()) {
  if (!truth) FAIL("line " << line);
}

}  // namespace

TEST_CASE("an empty wheel has no deadline and nothing due (M01)") {
  timer_wheel<item> wheel;
  CHECK_FALSE(wheel.next());
  CHECK(wheel.take_due(at_ms(today)) == nullptr);
  CHECK_FALSE(wheel.next());
}

TEST_CASE("a deadline is due at its millisecond, not one before (M05)") {
  for (const std::int64_t ahead :
       {0LL, 1LL, 2LL, 255LL, 256LL, 257LL, 511LL, 512LL, 65'535LL, 65'536LL, 65'537LL, 3'600'000LL, 16'777'215LL,
        16'777'216LL, 604'800'000LL, 4'294'967'295LL, 4'294'967'296LL, 4'294'967'295'000LL}) {
    CAPTURE(ahead);
    timer_wheel<item> wheel;
    bring_to(wheel, at_ms(today));
    item one;
    one.deadline = at_ms(today + ahead);
    wheel.insert(one);
    REQUIRE(wheel.next());
    CHECK(*wheel.next() <= one.deadline);
    CHECK(timer_wheel<item>::contains(one));
    if (ahead > 0) CHECK(wheel.take_due(at_ms(today + ahead - 1)) == nullptr);
    CHECK(wheel.take_due(at_ms(today + ahead)) == &one);
    CHECK_FALSE(timer_wheel<item>::contains(one));
    CHECK_FALSE(wheel.next());
  }
}

TEST_CASE("next() is exact within 256 ms and needs at most five looks for any deadline (M01)") {
  std::mt19937_64 random{11};
  for (int i = 0; i < 2000; ++i) {
    timer_wheel<item> wheel;
    const std::int64_t now = today + static_cast<std::int64_t>(random() % 100'000'000);
    bring_to(wheel, at_ms(now));
    item one;
    one.deadline = at_ms(now + static_cast<std::int64_t>(random() >> (random() % 40 + 22)));
    wheel.insert(one);
    if ((one.deadline - at_ms(now)) < 256ms && one.deadline.time_since_epoch() / 256ms == now / 256)
      CHECK(*wheel.next() == one.deadline);
    int looks = 0;
    while (*wheel.next() < one.deadline) {
      REQUIRE(wheel.take_due(*wheel.next()) == nullptr);
      ++looks;
    }
    CHECK(looks <= 5);
    CHECK(wheel.take_due(*wheel.next()) == &one);
  }
}

TEST_CASE("what is due already when it comes in is due at once, in any order of times (M09)") {
  timer_wheel<item> wheel;
  bring_to(wheel, at_ms(today));
  item past, negative, present;
  past.deadline = at_ms(today - 5000);
  negative.deadline = at_ms(-1);
  present.deadline = at_ms(today);
  wheel.insert(past);
  wheel.insert(negative);
  wheel.insert(present);
  CHECK(*wheel.next() == at_ms(today));
  // the clock stands still, or runs back: what came in stays due for the time the wheel has seen
  int taken = 0;
  while (wheel.take_due(at_ms(today)) != nullptr) ++taken;
  CHECK(taken == 3);
}

TEST_CASE("a clock that runs back makes nothing due and loses nothing (M09)") {
  timer_wheel<item> wheel;
  bring_to(wheel, at_ms(today));
  item one;
  one.deadline = at_ms(today + 10'000);
  wheel.insert(one);
  CHECK(wheel.take_due(at_ms(today - 1'000'000)) == nullptr);
  CHECK(wheel.take_due(at_ms(0)) == nullptr);
  CHECK(wheel.take_due(at_ms(-5)) == nullptr);
  CHECK(wheel.take_due(at_ms(today + 9'999)) == nullptr);
  CHECK(wheel.take_due(at_ms(today + 10'000)) == &one);
}

TEST_CASE("an element that dies leaves the wheel by itself") {
  timer_wheel<item> wheel;
  bring_to(wheel, at_ms(today));
  item stays;
  stays.deadline = at_ms(today + 50);
  wheel.insert(stays);
  {
    item dies;
    dies.deadline = at_ms(today + 10);
    wheel.insert(dies);
    CHECK(*wheel.next() == dies.deadline);
  }
  CHECK(*wheel.next() == stays.deadline);
  timer_wheel<item>::remove(stays);
  timer_wheel<item>::remove(stays);  // twice is harmless
  CHECK_FALSE(wheel.next());
}

TEST_CASE("a deadline may be moved in place, to later and to sooner (M08)") {
  timer_wheel<item> wheel;
  bring_to(wheel, at_ms(today));
  item one, other;
  one.deadline = other.deadline = at_ms(today + 100);
  wheel.insert(one);
  wheel.insert(other);
  wheel.move(one, at_ms(today + 100'000));
  CHECK(wheel.take_due(at_ms(today + 100)) == &other);
  CHECK(wheel.take_due(at_ms(today + 99'999)) == nullptr);
  CHECK(timer_wheel<item>::contains(one));
  wheel.move(one, at_ms(today + 99'999));
  CHECK(wheel.take_due(at_ms(today + 99'999)) == &one);
  wheel.move(one, at_ms(today + 200'000));  // not in it: enters it
  // at most so many moved ones are looked at by one call; the next call goes on
  std::vector<item> many(100);
  for (item& m : many) {
    m.deadline = at_ms(today + 100'001);
    wheel.insert(m);
    wheel.move(m, at_ms(today + 150'000));
  }
  int calls = 0;
  for (std::size_t looks = 10; *wheel.next() <= at_ms(today + 100'001); looks = 10, ++calls)
    CHECK(wheel.take_due(at_ms(today + 100'001), looks) == nullptr);
  CHECK(calls == 10);
  CHECK(wheel.take_due(at_ms(today + 149'999)) == nullptr);
  int taken = 0;
  while (wheel.take_due(at_ms(today + 150'000)) != nullptr) ++taken;
  CHECK(taken == 100);
}

TEST_CASE("millions of deadlines come in the order a sorted map gives them, whatever the clock does (RL1, M05, M09)") {
  for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
    CAPTURE(seed);
    const bool moves = seed % 2 == 0;  // in place; such an element may come before others that are due
    std::mt19937_64 random{seed};
    timer_wheel<item> wheel;
    std::deque<item> items(20'000);
    for (std::size_t i = 0; i < items.size(); ++i) items[i].name = static_cast<int>(i);
    // the model: when each one is due, which is never before the wheel's time at insertion
    std::multimap<std::int64_t, item*> model;
    std::vector<std::multimap<std::int64_t, item*>::iterator> where(items.size());
    std::int64_t now = seed == 4 ? 0 : today, seen = 0;
    const auto span = [&]() -> std::int64_t {
      switch (random() % 8) {
        case 0: return 0;
        case 1: return static_cast<std::int64_t>(random() % 300);
        case 2: return static_cast<std::int64_t>(random() % 70'000);
        case 3: return static_cast<std::int64_t>(random() % 3'600'000);
        case 4: return static_cast<std::int64_t>(random() % 86'400'000);
        case 5: return static_cast<std::int64_t>(random() % 31'536'000'000);          // a year
        case 6: return static_cast<std::int64_t>(random() % 4'294'967'296) * 1000;    // 136 years
        default: return -static_cast<std::int64_t>(random() % 100'000);               // past already
      }
    };
    for (int step = 0; step < 500'000; ++step) {
      item& one = items[random() % items.size()];
      const auto what = random() % 100;
      if (what < 60) {
        const instant deadline = at_ms(now + span());
        if (one.in) model.erase(where[static_cast<std::size_t>(one.name)]);
        if (moves) {
          wheel.move(one, deadline);
        } else {
          timer_wheel<item>::remove(one);
          one.deadline = deadline;
          wheel.insert(one);
        }
        one.in = true;
        where[static_cast<std::size_t>(one.name)] =
            model.emplace(std::max(one.deadline.time_since_epoch().count(), seen), &one);
      } else if (what < 80) {
        if (one.in) {
          timer_wheel<item>::remove(one);
          model.erase(where[static_cast<std::size_t>(one.name)]);
          one.in = false;
        }
      } else {
        const auto jump = random() % 200;
        if (jump == 0) now += static_cast<std::int64_t>(random() % 31'536'000'000);  // up to a year ahead
        else if (jump < 10) now -= static_cast<std::int64_t>(random() % 100'000);    // back
        else if (jump < 60) now += static_cast<std::int64_t>(random() % 100'000);
        else now += static_cast<std::int64_t>(random() % 50);
        now = std::max<std::int64_t>(now, 0);
        const int budget = random() % 4 == 0 ? static_cast<int>(random() % 20) : 1'000'000;
        int taken = 0;
        std::int64_t last = 0;
        while (taken < budget) {
          item* due = wheel.take_due(at_ms(now));
          if (due == nullptr) break;
          ++taken;
          must(due->in);
          const auto entry = where[static_cast<std::size_t>(due->name)];
          must(entry->first <= std::max(now, seen));
          if (!moves) {
            must(entry->first == model.begin()->first);  // none was due sooner
            must(entry->first >= last);
          }
          last = entry->first;
          due->in = false;
          seen = std::max(seen, entry->first);
          model.erase(entry);
        }
        if (taken < budget) {
          seen = std::max(seen, now);
          must(model.empty() || model.begin()->first > now);
        }
      }
      const auto next = wheel.next();
      must(next.has_value() == !model.empty());
      if (next) must(next->time_since_epoch().count() <= model.begin()->first);
    }
    // run dry the way a host does: sleep until next(), take what is due
    std::size_t left = model.size();
    for (auto next = wheel.next(); next; next = wheel.next()) {
      now = std::max(now, next->time_since_epoch().count());
      while (wheel.take_due(at_ms(now)) != nullptr) --left;
    }
    CHECK(left == 0);
  }
}
