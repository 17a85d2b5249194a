// Numbered objects that never move (PF4); a number given back is not mistaken for its successor.
#include <doctest/doctest.h>

#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>

#include <presence/slab.hpp>

using presence::slab;

namespace {

/// Counts itself; throws when told to.
struct counted {
  static inline int alive = 0;
  int value;
  explicit counted(int v) : value{v} {
    if (v < 0) throw std::runtime_error{"made to fail"};
    ++alive;
  }
  counted(const counted&) = delete;
  ~counted() { --alive; }
};

}  // namespace

TEST_CASE("a number and its generation find an object as long as it lives") {
  slab<counted> all;
  const auto a = all.make(1);
  const auto generation = all.generation(a);
  REQUIRE(all.find(a, generation) != nullptr);
  CHECK(all.find(a, generation)->value == 1);
  CHECK(all.find(a, generation + 1) == nullptr);
  CHECK(all.find(a, generation - 1) == nullptr);
  CHECK(all.find(a + 1, generation) == nullptr);
  CHECK(all.find(slab<counted>::none, generation) == nullptr);
  CHECK(all.find(0, 0) == nullptr);  // the id of a NOTIFY nobody asks about

  all.destroy(a);
  CHECK_FALSE(all.live(a));
  CHECK(all.find(a, generation) == nullptr);
  CHECK(all.find(a, generation + 1) == nullptr);

  const auto b = all.make(2);
  CHECK(b == a);  // the number is used again
  CHECK(all.find(a, generation) == nullptr);
  CHECK(all.find(b, all.generation(b))->value == 2);
}

TEST_CASE("a constructor that throws leaves the slab as it was") {
  {
    slab<counted> all;
    CHECK_THROWS(all.make(-1));
    CHECK(all.size() == 0);
    CHECK(all.end() == 0);
    const auto a = all.make(1), b = all.make(2);
    all.destroy(a);
    CHECK_THROWS(all.make(-1));
    CHECK(all.size() == 1);
    CHECK_FALSE(all.live(a));
    CHECK(all.make(3) == a);
    CHECK(all.make(4) == b + 1);
    CHECK(counted::alive == 3);
    for (int i = 0; i < 3000; ++i) {  // at every edge of a chunk as well
      CHECK_THROWS(all.make(-1));
      all.make(i);
    }
    CHECK(all.size() == 3003);
    CHECK(all.end() == 3003);
  }
  CHECK(counted::alive == 0);
}

TEST_CASE("objects stay where they are while millions come and go; ends are as many as beginnings (RL5)") {
  {
    slab<counted> all;
    struct known {
      counted* at;
      std::uint32_t generation;
      int value;
    };
    std::map<slab<counted>::index, known> model;
    std::vector<std::pair<slab<counted>::index, std::uint32_t>> gone;
    std::mt19937 random{7};
    std::size_t most = 0;
    for (int i = 0; i < 1'000'000; ++i) {
      const bool more = model.empty() || (random() % 5000 > model.size() && random() % 2 == 0);
      if (more) {
        const auto n = all.make(i);
        const bool fresh = model.emplace(n, known{&all[n], all.generation(n), i}).second;
        REQUIRE(fresh);
      } else {
        auto at = model.lower_bound(static_cast<slab<counted>::index>(random() % all.end()));
        if (at == model.end()) at = model.begin();
        gone.emplace_back(at->first, at->second.generation);
        all.destroy(at->first);
        model.erase(at);
      }
      most = std::max(most, model.size());
      if (i % 50'000 == 0) {
        for (const auto& [n, k] : model) {
          const bool stays = all.live(n) && &all[n] == k.at && all[n].value == k.value && all.find(n, k.generation) == k.at;
          if (!stays) FAIL("object " << n << " moved or changed");
        }
        for (const auto& [n, generation] : gone)
          if (all.find(n, generation) != nullptr) FAIL("object " << n << " is mistaken for its successor");
      }
    }
    CHECK(all.size() == model.size());
    CHECK(all.end() == most);  // numbers given back are used before new ones
    CHECK(counted::alive == static_cast<int>(model.size()));
  }
  CHECK(counted::alive == 0);
}
