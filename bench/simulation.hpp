/// A bounded cache in front of a storage, of which only the decisions are real: a policy of the library
/// is asked exactly as an engine asks it, and reads and writes of the storage are counted.
#pragma once

#include <cstdint>
#include <algorithm>
#include <ctime>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include <presence/cache/policy.hpp>
#include <presence/keyed_hash.hpp>

#include "traces.hpp"

namespace presence::bench {

struct bounds {
  std::size_t entries = std::numeric_limits<std::size_t>::max();
  std::size_t bytes = std::numeric_limits<std::size_t>::max();
};

struct outcome {
  std::uint64_t accesses = 0, hits = 0, evictions = 0;
  std::uint64_t reads = 0, writes = 0;  ///< of the storage
  std::uint64_t steps = 0;
  std::size_t most_entries = 0, most_bytes = 0;
  double seconds = 0;
};

struct simulated_entry : cache::node {
  bool held = false;
  bool dirty = false;   ///< changed since it was last written
  bool stored = false;  ///< the storage has it
  std::size_t next_use = 0;
};

/// For each access, the number of the next one with its key.
inline std::vector<std::size_t> next_uses(const trace& t) {
  constexpr auto never = std::numeric_limits<std::size_t>::max();
  std::vector<std::size_t> next(t.steps.size()), seen(t.key_count(), never);
  for (std::size_t i = t.steps.size(); i-- > 0;) next[i] = std::exchange(seen[t.steps[i].key], i);
  return next;
}

/// Knows the future: evicts whoever is needed last, the newcomer included (Belady 1966). No policy has
/// more hits in a cache bounded in entries. In one bounded in bytes the best choice is a knapsack problem; this
/// is then a good choice and no bound.
class clairvoyant final : public cache::policy {
 public:
  std::string_view name() const noexcept override { return "clairvoyant"; }
  void admitted(cache::node& n) noexcept override { order_.insert(place(n)); }
  void touched(cache::node& n) noexcept override {
    // it is needed now, so it was the first of all
    order_.erase(order_.begin());
    order_.insert(place(n));
  }
  void released(cache::node& n) noexcept override {
    order_.erase(place(n));
  }
  cache::node* victim() noexcept override { return order_.empty() ? nullptr : order_.rbegin()->second; }

 private:
  static std::pair<std::size_t, simulated_entry*> place(cache::node& n) {
    auto& e = static_cast<simulated_entry&>(n);
    return {e.next_use, &e};
  }
  std::set<std::pair<std::size_t, simulated_entry*>> order_;
};

/// Replays `t`. Every access is a look-up: what is not held is read from the storage and admitted, unless it
/// ends. `flush_every` milliseconds: changes are written that often, or when they are evicted; 0: at once.
inline outcome simulate(const trace& t, cache::policy& policy, const bounds& most, std::int64_t flush_every = 0) {
  using op = traced_operation;
  const std::vector<std::size_t> next =
      policy.name() == "clairvoyant" ? next_uses(t) : std::vector<std::size_t>(t.steps.size());
  std::vector<simulated_entry> entries(t.key_count());
  seeded_random source{0};
  const keyed_hash hash{source};
  for (std::uint32_t key = 0; key < entries.size(); ++key) entries[key].hash = hash(t.key_name(key));
  std::vector<simulated_entry*> unwritten;
  std::size_t held = 0, bytes = 0;
  std::int64_t flush_at = t.steps.empty() ? 0 : t.steps[0].when + flush_every;
  outcome out;
  const auto write = [&](simulated_entry& e) {
    ++out.writes;
    e.dirty = false;
    e.stored = true;
  };
  const auto release = [&](simulated_entry& e) {
    policy.released(e);
    e.held = false;
    --held;
    bytes -= e.cost;
  };

  const std::uint64_t steps = policy.steps();
  const std::clock_t begin = std::clock();  // own time: others may use the machine
  for (std::size_t i = 0; i < t.steps.size(); ++i) {
    const access_step& s = t.steps[i];
    if (flush_every != 0 && s.when >= flush_at) {
      for (simulated_entry* e : unwritten)
        if (e->dirty) write(*e);
      unwritten.clear();
      flush_at = s.when + flush_every;
    }
    simulated_entry& e = entries[s.key];
    out.hits += e.held;
    out.reads += !e.held;
    if (s.operation == op::expire) {
      if (e.held) release(e);
      if (flush_every == 0 || e.stored) ++out.writes;  // a row is deleted
      e.dirty = e.stored = false;
      continue;
    }
    e.next_use = next[i];
    if (e.held) {
      bytes = bytes - e.cost + s.bytes;
      e.cost = s.bytes;
      policy.touched(e);
    } else {
      e.held = true;
      e.cost = s.bytes;
      ++held;
      bytes += s.bytes;
      policy.admitted(e);
    }
    if (s.operation != op::read && s.operation != op::notify) {
      if (flush_every == 0) {
        ++out.writes;
      } else if (!e.dirty) {
        e.dirty = true;
        unwritten.push_back(&e);
      }
    }
    while (held > most.entries || bytes > most.bytes) {
      auto* gone = static_cast<simulated_entry*>(policy.victim());
      if (gone == nullptr) break;
      if (gone->dirty) write(*gone);
      release(*gone);
      ++out.evictions;
    }
    out.most_entries = std::max(out.most_entries, held);
    out.most_bytes = std::max(out.most_bytes, bytes);
  }
  out.seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
  out.steps = policy.steps() - steps;
  for (simulated_entry* e : unwritten)
    if (e->dirty) write(*e);
  for (simulated_entry& e : entries)
    if (e.held) release(e);
  out.accesses = t.steps.size();
  return out;
}

}  // namespace presence::bench
