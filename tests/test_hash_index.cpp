// Numbers found by a hash: beside a model, with hashes chosen so that they crowd.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include <presence/hash_index.hpp>

using presence::hash_index;

namespace {

std::vector<hash_index::number> all_of(const hash_index& index, std::uint32_t hash) {
  std::vector<hash_index::number> found;
  index.each(hash, [&](hash_index::number n) { return found.push_back(n), true; });
  return found;
}

}  // namespace

TEST_CASE("each number is found by its hash, in the order it came, whatever comes and goes (PF3, RL1)") {
  for (const std::uint32_t spread : {1u, 3u, 20u, 4000u}) {  // few hashes, also such as begin at the last place
    CAPTURE(spread);
    std::mt19937 dice{spread};
    const auto hash_of = [&dice](std::uint32_t many) { return static_cast<std::uint32_t>(0xfffffffeu + dice() % many); };
    hash_index index{16};
    std::vector<std::pair<std::uint32_t, hash_index::number>> model;
    hash_index::number last = 0;
    for (int step = 0; step < 20'000; ++step) {
      const bool grows = (step / 500) % 2 == 0;
      if (model.empty() || (dice() % 3 == 0) != grows) {
        const std::uint32_t hash = hash_of(spread);
        index.reserve(model.size() + 1);
        index.insert(hash, last);
        model.emplace_back(hash, last++);
      } else {
        const std::size_t i = dice() % model.size();
        index.erase(model[i].first, model[i].second);
        model.erase(model.begin() + static_cast<std::ptrdiff_t>(i));
      }
      REQUIRE(index.size() == model.size());
      const std::uint32_t hash = hash_of(spread + 1);  // one of them is never there
      std::vector<hash_index::number> expected;
      for (const auto& [of, n] : model)
        if (of == hash) expected.push_back(n);
      REQUIRE(all_of(index, hash) == expected);
      REQUIRE(index.first(hash) == (expected.empty() ? hash_index::none : expected.front()));
      if (!expected.empty()) REQUIRE(index.contains(hash, expected.back()));
      REQUIRE_FALSE(index.contains(hash, last));
    }
  }
}

TEST_CASE("a walk over one hash stops when told, and may erase what it is at (PF3)") {
  hash_index index{16};
  index.reserve(12);
  for (hash_index::number n = 0; n < 12; ++n) index.insert(n % 2 == 0 ? 15 : 31, n);  // one place, two hashes
  int seen = 0;
  index.each(15, [&](hash_index::number) { return ++seen < 3; });
  CHECK(seen == 3);
  index.each(15, [&](hash_index::number n) {
    if (n % 4 == 0) index.erase(15, n);
    return true;
  });
  CHECK(all_of(index, 15) == std::vector<hash_index::number>{2, 6, 10});
  CHECK(all_of(index, 31) == std::vector<hash_index::number>{1, 3, 5, 7, 9, 11});
}
