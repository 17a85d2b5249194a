// Memory for objects that lie close together (PF4, RL5).
#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <presence/pool.hpp>

namespace {

struct object {
  char bytes[100];
};

}  // namespace

TEST_CASE("no two objects share memory, each begins a cache line, and what is given back is used again (PF4, RL5)") {
  presence::pool<object> one, other;
  std::mt19937 dice{1};
  std::vector<void*> taken;
  std::set<void*> ever;
  for (int step = 0; step < 20'000; ++step) {
    if (taken.size() < 1500 && (taken.empty() || dice() % 2 == 0)) {
      void* const at = one.take();
      CHECK(reinterpret_cast<std::uintptr_t>(at) % 64 == 0);
      std::memset(at, 0, sizeof(object));
      taken.push_back(at);
      ever.insert(at);
    } else {
      std::swap(taken[dice() % taken.size()], taken.back());
      presence::pool<object>::give_back(taken.back());
      taken.pop_back();
    }
    if (step % 100 == 0) presence::pool<object>::give_back(other.take());  // knows its own pool
  }
  while (taken.size() < 1500) {
    taken.push_back(one.take());
    ever.insert(taken.back());
  }
  CHECK(ever.size() == 1500);
  std::vector<std::uintptr_t> places;
  for (void* at : std::set<void*>(taken.begin(), taken.end())) places.push_back(reinterpret_cast<std::uintptr_t>(at));
  REQUIRE(places.size() == taken.size());
  for (std::size_t i = 1; i < places.size(); ++i) CHECK(places[i] - places[i - 1] >= sizeof(object));
  for (void* at : taken) presence::pool<object>::give_back(at);
}
