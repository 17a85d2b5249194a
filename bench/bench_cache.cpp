// What a cache policy costs: its own work per access, as the time of a cache with the policy less that of the same
// cache in the same run whose victims are written down beforehand, and its allocations, of which there are none. The
// elements are as large as the engine's; the cache uses each one before it tells the policy. Sizes can be cut with
// the environment variable PRESENCE_BENCH_SCALE.
// rows: PF12
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include <presence/cache/policies.hpp>
#include <presence/slab.hpp>

#include "allocations.hpp"
#include "common.hpp"
#include "traces.hpp"

namespace {

using namespace presence;
using namespace presence::bench;

/// Of this process's own time: others may use the machine.
double seconds_now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

struct element : cache::node {
  std::uint32_t key = 0;
  std::uint64_t uses = 0;
  char rest[104] = {};
};
static_assert(sizeof(element) == 152);  // a subscription with the hook

class bounded {
 public:
  bounded(std::size_t entries, std::uint32_t keys) : entries_{entries}, where_(keys, none) {}

  /// `Real`: asks the policy and writes down whom it names; otherwise goes by what is written.
  template <bool Real>
  bool access(std::uint32_t key, cache::policy& policy, std::vector<std::uint32_t>& victims, std::size_t& victim) {
    if (const auto at = where_[key]; at != none) {
      ++elements_[at].uses;
      if constexpr (Real) policy.touched(elements_[at]);
      return true;
    }
    const auto at = elements_.make();
    where_[key] = at;
    element& e = elements_[at];
    e.key = key;
    e.hash = (key + 1) * 0x9E3779B97F4A7C15u;
    e.hash ^= e.hash >> 29;
    if constexpr (Real) policy.admitted(e);
    if (elements_.size() <= entries_) return false;
    if constexpr (Real) {
      auto& gone = static_cast<element&>(*policy.victim());
      policy.released(gone);
      victims[victim] = gone.key;
    }
    auto& gone = where_[victims[victim++]];
    elements_.destroy(gone);
    gone = none;
    return false;
  }

  bool full() const { return elements_.size() == entries_; }
  void empty(cache::policy& policy) {
    for (auto& at : where_)
      if (at != none) policy.released(elements_[at]);
  }

 private:
  static constexpr auto none = slab<element>::none;
  std::size_t entries_;
  slab<element> elements_;
  std::vector<slab<element>::index> where_;
};

void PF12(benchmark::State& state, const cache::known_policy& known) {
  const std::size_t entries = std::max<std::size_t>(scaled(static_cast<std::size_t>(state.range(0))), 100);
  const auto keys = static_cast<std::uint32_t>(entries * 4);
  std::mt19937_64 dice{1};
  const zipf_numbers popular{keys};
  const auto policy = known.make(entries);
  bounded real{entries, keys}, floor{entries, keys};
  std::vector<std::uint32_t> asked(20'000), victims(asked.size());
  std::uint64_t hits = 0, done = 0, counted = 0;
  double own = 0, bare = 0;
  const auto run = [&] {
    for (auto& key : asked) key = popular(dice);
    const auto before = allocations;
    std::size_t victim = 0;
    const double begin = seconds_now();
    for (const auto key : asked) hits += real.access<true>(key, *policy, victims, victim);
    const double middle = seconds_now();
    counted += allocations - before;
    victim = 0;
    for (const auto key : asked) floor.access<false>(key, *policy, victims, victim);
    const double end = seconds_now();
    own += (middle - begin) - (end - middle);
    bare += end - middle;
    done += asked.size();
    return middle - begin;
  };
  while (!real.full()) run();
  for (std::size_t i = 0; i < entries; i += asked.size()) run();
  hits = done = counted = 0;
  own = bare = 0;
  const auto steps_before = policy->steps();
  for (auto _ : state) state.SetIterationTime(run());
  if (counted != 0) std::abort();
  const auto per_access = [&](double all) { return all / static_cast<double>(done); };
  state.counters["own_ns"] = per_access(own * 1e9);
  state.counters["floor_ns"] = per_access(bare * 1e9);
  state.counters["hits"] = per_access(static_cast<double>(hits));
  state.counters["allocs"] = per_access(static_cast<double>(counted));
  state.counters["steps"] = per_access(static_cast<double>(policy->steps() - steps_before));
  real.empty(*policy);
}

const int registered = [] {
  for (const auto& known : cache::known_policies) {
    if (known.name == "unbounded") continue;
    benchmark::RegisterBenchmark(("PF12_" + std::string{known.name}).c_str(), PF12, known)
        ->Arg(1'000)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)
        ->UseManualTime()->Unit(benchmark::kMicrosecond);
  }
  return 0;
}();

}  // namespace

BENCHMARK_MAIN();
