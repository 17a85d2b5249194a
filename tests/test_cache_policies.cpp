// Cache policies: by hand on small traces, under random use, and what they cost (PF12).
#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>
#include <vector>

#include <presence/cache/policies.hpp>
#include <presence/slab.hpp>

using namespace presence;
using namespace presence::cache;

namespace {

struct letter : node {
  char name = 0;
};

/// Plays a trace of letters on a cache of `capacity` entries; `!x` is the end of x. Answers who was evicted,
/// and after a bar in which order the rest would go.
std::string played(policy& p, std::size_t capacity, std::string_view trace) {
  std::map<char, letter> held;
  std::string evicted;
  const auto evict = [&] {
    letter& gone = static_cast<letter&>(*p.victim());
    evicted += gone.name;
    p.released(gone);
    held.erase(gone.name);
  };
  for (std::size_t i = 0; i < trace.size(); ++i) {
    if (trace[i] == '!') {
      const auto at = held.find(trace[++i]);
      p.released(at->second);
      held.erase(at);
      continue;
    }
    const auto [at, fresh] = held.try_emplace(trace[i]);
    letter& l = at->second;
    if (!fresh) {
      p.touched(l);
      continue;
    }
    l.name = trace[i];
    l.hash = static_cast<std::uint64_t>(l.name - 'a') * 0x8421u;  // no two share a counter
    p.admitted(l);
    if (held.size() > capacity) evict();
  }
  evicted += '|';
  while (!held.empty()) evict();
  CHECK(p.victim() == nullptr);
  return evicted;
}

/// What a random driver needs to know of each type.
template <class Policy>
std::unique_ptr<Policy> made(std::size_t capacity) {
  if constexpr (std::is_default_constructible_v<Policy>) return std::make_unique<Policy>();
  else return std::make_unique<Policy>(capacity);
}

}  // namespace

TEST_CASE("policies evict whom their papers say, worked out by hand") {
  struct {
    const char* policy;
    std::size_t capacity;
    const char* trace;
    const char* evicted;
  } const rows[] = {
      {"fifo", 3, "abcaad", "a|bcd"},         // use does not help
      {"fifo", 3, "abc!bda", "|acd"},         // b made room; a is still there
      {"lru", 3, "abcad", "b|cad"},           // a was used
      {"lru", 3, "abcabcd", "a|bcd"},
      {"lru", 3, "abc!ade", "b|cde"},
      {"lru", 3, "abcdabcdabcd", "abcdabcda|bcd"},  // a cycle one longer than the cache: no hit

      // a to d are protected, which is four fifths; e goes. f is used, so a falls back on probation and goes
      {"slru", 5, "abcdeabcdffg", "ea|gbcdf"},
      // a scan passes by a and b
      {"slru", 5, "abcdeabfgh", "cde|fghab"},
      {"slru", 5, "abcdeabfgh!b", "cde|fgha"},

      // the hand takes the marks off a and b, and c goes; then d to f as they come: a and b have a whole round.
      // In the end the hand falls off the newest and begins with a again
      {"sieve", 3, "abcabdefg", "cdef|gab"},
      // d goes, the hand stands at e; when e ends it goes on to f, which goes next
      {"sieve", 4, "abcdabce!af!egh", "df|ghbc"},

      // a is remembered, b used twice is not forgotten but moved, c used once goes; a comes back into the main
      // queue. Then the small queue is emptied to its tenth, and the main one in order
      {"s3-fifo", 10, "abcdefghijkbbcla", "acd|efghijkbal"},
      // a and b move to main, c goes, d goes; e moves to main, where a has earned a round and b goes; b was in
      // main, so it is not remembered and enters the small queue, f goes and is: it comes back into main, e goes
      {"s3-fifo", 3, "aaabbbcdaeeefbf", "cdbfe|afb"},

      // newcomers are as rare as who is last, so c and d go; d comes back, is known and beats b, while e goes
      {"w-tinylfu", 3, "abcdaedf", "cdeb|fda"},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string{row.policy});
    CAPTURE(std::string{row.trace});
    auto p = make_policy(row.policy, row.capacity);
    REQUIRE(p);
    CHECK(played(**p, row.capacity, row.trace) == row.evicted);
  }
}

TEST_CASE("a policy is made by its name; another name gets a list of those there are") {
  for (const auto& known : known_policies) {
    auto p = make_policy(known.name, 10);
    REQUIRE(p);
    CHECK((*p)->name() == known.name);
    CHECK((*p)->victim() == nullptr);
  }
  const auto none = make_policy("LRU", 10);
  REQUIRE_FALSE(none);
  CHECK(none.error() ==
        "there is no cache policy \"LRU\"; known are fifo, lru, slru, sieve, s3-fifo, w-tinylfu, unbounded");
}

TEST_CASE_TEMPLATE("whatever happens, each node is in one list, and a victim is held", Policy, fifo, lru, segmented_lru,
                   sieve, s3_fifo, w_tinylfu) {
  for (const std::size_t capacity : {1u, 2u, 3u, 10u, 100u, 1000u}) {
    CAPTURE(capacity);
    std::mt19937 dice{static_cast<unsigned>(capacity)};
    const auto p = made<Policy>(capacity);
    std::vector<node> all(capacity * 4);
    for (auto& n : all) n.hash = dice() | std::uint64_t{dice()} << 32;
    std::set<node*> held;
    const auto some = [&] {
      auto at = held.lower_bound(&all[dice() % all.size()]);
      return at == held.end() ? *held.begin() : *at;
    };
    const auto release = [&](node& n) {
      p->released(n);
      held.erase(&n);
      REQUIRE_FALSE(n.is_linked());
    };
    for (int i = 0; i < 30'000; ++i) {
      node& any = all[dice() % all.size()];
      switch (dice() % 8) {
        default:  // an access; now and then more are held than the capacity says
          if (held.insert(&any).second) p->admitted(any);
          else p->touched(any);
          while (held.size() > capacity + dice() % 3) {
            node* gone = p->victim();
            REQUIRE(held.count(gone) == 1);
            release(*gone);
          }
          break;
        case 0:  // ended by its time
          if (!held.empty()) release(*some());
          break;
        case 1:  // nobody need go when a victim is named
          REQUIRE((p->victim() == nullptr) == held.empty());
          break;
        case 2:
          if (dice() % 1000 == 0)
            while (!held.empty()) release(*some());
          break;
      }
      if (i % 100 == 0) {
        REQUIRE(p->sound());
        REQUIRE(p->held() == held.size());
      }
    }
    while (node* gone = p->victim()) {
      REQUIRE(held.count(gone) == 1);
      release(*gone);
    }
    CHECK(held.empty());
    CHECK(p->held() == 0);
  }
}

TEST_CASE_TEMPLATE("no single call walks through everything; on average a call takes a few steps (PF12)", Policy, fifo,
                   lru, segmented_lru, sieve, s3_fifo, w_tinylfu) {
  constexpr std::size_t capacity = 20'000;
  const auto p = made<Policy>(capacity);
  std::vector<node> all(capacity * 2);
  std::uint64_t calls = 0, longest = 0;
  const auto counted = [&](auto&& call) {
    const auto before = p->steps();
    call();
    longest = std::max(longest, p->steps() - before);
    ++calls;
  };
  for (std::size_t i = 0; i < capacity; ++i) {
    all[i].hash = i * 0x9E3779B97F4A7C15u;
    counted([&] { p->admitted(all[i]); });
  }
  for (int round = 0; round < 3; ++round)  // everybody deserves to stay
    for (std::size_t i = 0; i < capacity; ++i) counted([&] { p->touched(all[i]); });
  for (std::size_t i = capacity; i < all.size(); ++i) {
    all[i].hash = i * 0x9E3779B97F4A7C15u;
    node* gone = nullptr;
    counted([&] { p->admitted(all[i]); });
    counted([&] { gone = p->victim(); });
    REQUIRE(gone != nullptr);
    counted([&] { p->released(*gone); });
  }
  CHECK(longest <= 2 * 1001);
  CHECK(p->steps() <= 2 * calls);
  while (node* gone = p->victim()) p->released(*gone);
}

TEST_CASE("a policy that goes first leaves its nodes alone") {
  for (const auto& known : known_policies) {
    std::vector<node> nodes(100);
    {
      const auto p = known.make(10);
      for (auto& n : nodes) p->admitted(n);
    }
    for (auto& n : nodes) CHECK_FALSE(n.is_linked());
  }
}

TEST_CASE("the hook costs an element of a slab 32 bytes, of which it may use two itself") {
  struct plain {
    std::uint64_t a = 0;
    std::uint16_t b = 0;
  };
  struct hooked : node {
    std::uint16_t b = 0;
    std::uint64_t a = 0;
  };
  if constexpr (sizeof(void*) == 8) CHECK(sizeof(hooked) == sizeof(plain) + 32 - 8);
  slab<hooked> elements;
  lru p;
  for (int i = 0; i < 3; ++i) p.admitted(elements[elements.make()]);
  p.touched(elements[0]);
  CHECK(p.victim() == &elements[1]);
  for (unsigned i = 0; i < 3; ++i) p.released(elements[i]);
}

TEST_CASE("a ghost remembers the last so many, each one once") {
  const auto hash_of = [](std::uint64_t i) { return i * 0x9E3779B97F4A7C15u; };
  for (const std::size_t capacity : {1u, 2u, 7u, 90u, 1000u}) {
    CAPTURE(capacity);
    ghost g{capacity};
    for (std::uint64_t i = 1; i <= 3 * capacity; ++i) CHECK_FALSE(g.take(hash_of(i)));
    for (std::uint64_t i = 1; i <= 3 * capacity; ++i) g.add(hash_of(i));
    std::size_t known = 0;
    for (std::uint64_t i = 2 * capacity + 1; i <= 3 * capacity; ++i) {
      known += g.take(hash_of(i));
      CHECK_FALSE(g.take(hash_of(i)));
    }
    CHECK(known >= capacity - capacity / 50);  // an overfull line forgets early
    for (std::uint64_t i = 1; i <= 2 * capacity; ++i) CHECK_FALSE(g.take(hash_of(i)));
  }
}

TEST_CASE("a sketch never counts too little, seldom too much, and the past fades") {
  constexpr std::size_t capacity = 1000;
  frequency_sketch sketch{capacity};
  std::mt19937_64 dice{5};
  std::vector<std::uint64_t> hashes(capacity);
  for (auto& h : hashes) h = dice();
  std::map<std::uint64_t, unsigned> truth;
  for (std::size_t i = 0; i < hashes.size(); ++i)
    for (std::size_t times = 0; times < i % 5; ++times) {
      sketch.add(hashes[i]);
      ++truth[hashes[i]];
    }
  std::size_t exact = 0;
  for (const auto h : hashes) {
    // 2 000 additions halve a fifth of the lines
    CHECK(sketch.estimate(h) >= truth[h] / 2);
    exact += sketch.estimate(h) == truth[h];
  }
  CHECK(exact > capacity / 2);

  const std::uint64_t popular = dice();
  for (int i = 0; i < 1000; ++i) sketch.add(popular);
  CHECK(sketch.estimate(popular) >= frequency_sketch::most / 2);
  CHECK(sketch.estimate(popular) <= frequency_sketch::most);
  frequency_sketch alone{capacity};
  for (int i = 0; i < 15; ++i) alone.add(popular);
  CHECK(alone.estimate(popular) == 15);
  alone.add(popular);
  CHECK(alone.estimate(popular) == 15);
  const std::uint64_t other = ~popular;
  for (std::size_t i = 0; i < 80 * 128 * 4; ++i) alone.add(other);  // four times round all lines
  CHECK(alone.estimate(popular) == 0);
}
