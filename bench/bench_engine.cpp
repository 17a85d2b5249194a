// Costs of the engine in memory mode: PF1, PF2, PF3, PF5 of the performance goals, each beside its
// floor from the same run. `--help` of the benchmark library applies; sizes can be cut with the
// environment variable PRESENCE_BENCH_SCALE (a divisor; CI uses 100).
// rows: PF1, PF2, PF3, PF5, Q10
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <presence/presence.hpp>

#include "allocations.hpp"
#include "common.hpp"
#include "xml.hpp"

namespace {

using namespace presence;
using namespace presence::bench;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

struct world {
  explicit world(std::size_t subscriptions_hint) : random{7}, host{settings(subscriptions_hint), {}, nullptr, &random} {
    if (!host.add_event(presence_package(), start)) std::abort();
  }
  static options settings(std::size_t hint) {
    options o;
    o.server_address = "sip:10.0.0.1:5060";
    o.advance_rate = 0;
    o.limits.subscriptions_per_watcher = 1u << 30;
    o.limits.subscriptions_per_watcher_and_resource = 1u << 30;
    o.subs_htable_size = o.pres_htable_size = std::max(9, static_cast<int>(std::bit_width(hint)));
    return o;
  }
  void subscribe(std::size_t who, std::size_t whom, expires_value expires = 3600s) {
    const std::string n = std::to_string(who) + "-" + std::to_string(whom);
    call_id = "a84b4c76e66710-" + n + "@pc33.example.com";
    tag = "1928301774-" + n;
    from = "sip:watcher" + std::to_string(who) + "@example.com";
    contact = "sip:watcher" + std::to_string(who) + "@192.0.2.17:5062;transport=udp";
    to = presentity(whom);
    host.subscribe({.resource = to, .event = "presence", .expires = expires, .call_id = call_id, .from_tag = tag,
                    .from_uri = from, .contact = contact, .cseq = 1u},
                   now, out);
    if (out.answer.status != 200) std::abort();
    answer_all();
  }
  void answer_all() {
    for (const notify& n : out.notifies) host.report({.id = n.id, .status = 200}, now, reported);
  }
  seeded_random random;
  engine host;
  instant now = start;
  effects out, reported;
  std::string call_id, tag, from, contact, to;
};

// --- PF1: fan-out -----------------------------------------------------------------------------------

void PF1_fan_out(benchmark::State& state) {
  const std::size_t watchers = 1000;
  const std::size_t resources = std::max<std::size_t>(scaled(static_cast<std::size_t>(state.range(0))) / watchers, 1);
  world w{resources * watchers};
  std::vector<std::string> tags(resources);
  // watchers of one resource do not lie side by side: they came in any order
  for (std::size_t i = 0; i < watchers; ++i)
    for (std::size_t r = 0; r < resources; ++r) w.subscribe(i, r);
  std::string body;
  std::uint64_t counted = 0, notifies = 0;
  std::size_t r = 0;
  unsigned version = 0;
  const auto publish = [&] {
    const std::string to = presentity(r);
    body = pidf_of(to, ++version);
    const publish_request request{.resource = to, .event = "presence", .expires = 3600s, .sip_if_match = tags[r],
                                  .content = {.type = "application/pidf+xml", .bytes = body}};
    const auto before = allocations;
    const auto begin = steady::now();
    w.host.publish(request, w.now, w.out);
    const auto end = steady::now();
    counted += allocations - before;
    if (w.out.notifies.size() != watchers) std::abort();
    notifies += w.out.notifies.size();
    tags[r] = w.out.answer.etag;
    w.answer_all();
    r = (r + 1) % resources;
    return std::chrono::duration<double>(end - begin).count();
  };
  for (std::size_t i = 0; i < resources; ++i) publish();
  counted = notifies = 0;
  double total = 0;
  for (auto _ : state) {
    const double took = publish();
    total += took;
    state.SetIterationTime(took);
  }
  state.counters["ns_per_notify"] = total * 1e9 / static_cast<double>(notifies);
  state.counters["allocs_per_publish"] = static_cast<double>(counted) / static_cast<double>(state.iterations());
}
BENCHMARK(PF1_fan_out)->Arg(10'000)->Arg(1'000'000)->UseManualTime()->Unit(benchmark::kMicrosecond);

/// The floor: the same bytes read and written, by the plainest loop.
void PF1_floor(benchmark::State& state) {
  struct record {
    std::atomic<std::uint32_t>* block;
    std::uint32_t cseq;
    char rest[116];
  };
  const std::size_t watchers = 1000;
  const std::size_t resources = std::max<std::size_t>(scaled(static_cast<std::size_t>(state.range(0))) / watchers, 1);
  std::vector<record> records(resources * watchers);
  std::vector<std::unique_ptr<char[]>> blocks;
  for (auto& rec : records) {
    blocks.push_back(std::make_unique<char[]>(320));
    rec.block = new (blocks.back().get()) std::atomic<std::uint32_t>{1};
  }
  std::vector<notify> out(watchers);
  std::size_t r = 0;
  for (auto _ : state) {
    for (std::size_t i = 0; i < watchers; ++i) {
      record& rec = records[i * resources + r];
      rec.block->fetch_add(1, std::memory_order_relaxed);
      notify& n = out[i];
      n.cseq = ++rec.cseq;
      n.id = {static_cast<std::uint32_t>(i), 1, rec.cseq};
      n.expires = 3600;
    }
    benchmark::ClobberMemory();
    r = (r + 1) % resources;
  }
  state.counters["notifies"] = static_cast<double>(watchers);
}
BENCHMARK(PF1_floor)->Arg(10'000)->Arg(1'000'000)->Unit(benchmark::kMicrosecond);

// --- PF2: publications --------------------------------------------------------------------------------

struct publishers {
  publishers() : count{scaled(100'000)}, w{count}, tags(count) {
    for (std::size_t i = 0; i < count; ++i) {
      w.subscribe(i, i);
      modify(i);
    }
  }
  double modify(std::size_t i) {
    to = presentity(i);
    body = pidf_of(to, ++version);
    tag = tags[i];  // a host has just parsed it
    return timed({.resource = to, .event = "presence", .expires = 3600s, .sip_if_match = tag,
                  .content = {.type = "application/pidf+xml", .bytes = body}}, i);
  }
  double refresh(std::size_t i) {
    to = presentity(i);
    tag = tags[i];
    return timed({.resource = to, .event = "presence", .expires = 3600s, .sip_if_match = tag}, i);
  }
  double timed(const publish_request& request, std::size_t i) {
    const auto before = allocations;
    const auto begin = steady::now();
    w.host.publish(request, w.now, w.out);
    const auto end = steady::now();
    allocated += allocations - before;
    if (w.out.answer.status != 200) std::abort();
    tags[i] = w.out.answer.etag;
    w.answer_all();
    return std::chrono::duration<double>(end - begin).count();
  }
  std::size_t count;
  world w;
  std::vector<std::string> tags;
  std::string to, body, tag;
  unsigned version = 0;
  std::uint64_t allocated = 0;
};

template <double (publishers::*Operation)(std::size_t)>
void PF2(benchmark::State& state) {
  publishers p;
  std::mt19937_64 dice{3};
  p.allocated = 0;
  for (auto _ : state) state.SetIterationTime((p.*Operation)(dice() % p.count));
  state.counters["allocs"] = static_cast<double>(p.allocated) / static_cast<double>(state.iterations());
}
BENCHMARK(PF2<&publishers::modify>)->Name("PF2_modify")->UseManualTime();
BENCHMARK(PF2<&publishers::refresh>)->Name("PF2_refresh")->UseManualTime();

/// The floor: the checked parse of the same documents.
void PF2_floor_checked_parse(benchmark::State& state) {
  const limits bounds;
  xml::parser parser;
  std::vector<std::string> documents;
  for (std::size_t i = 0; i < scaled(100'000); ++i) documents.push_back(pidf_of(presentity(i), static_cast<unsigned>(i)));
  std::mt19937_64 dice{3};
  for (auto _ : state) {
    const std::string text = documents[dice() % documents.size()];  // just received: warm
    const auto begin = steady::now();
    auto parsed = parser.parse(text, bounds);
    const auto end = steady::now();
    if (!parsed) std::abort();
    state.SetIterationTime(std::chrono::duration<double>(end - begin).count());
  }
  state.counters["bytes"] = static_cast<double>(documents[0].size());
}
BENCHMARK(PF2_floor_checked_parse)->UseManualTime();

// --- PF3: subscriptions --------------------------------------------------------------------------------

/// `held` subscriptions, ten watchers for each presentity.
struct subscribers {
  explicit subscribers(std::size_t held) : resources{std::max<std::size_t>(held / 10, 1)}, w{held * 2} {
    tags.reserve(held);
    for (std::size_t i = 0; i < resources * 10; ++i) {
      w.subscribe(i / 10, i % resources);
      tags.push_back(std::string{w.out.answer.dialog.local_tag()});
      calls.push_back(w.call_id);
      remote.push_back(w.tag);
    }
  }
  std::size_t resources;
  world w;
  std::vector<std::string> tags, calls, remote;
};

void PF3_initial(benchmark::State& state) {
  subscribers s{scaled(static_cast<std::size_t>(state.range(0)))};
  std::mt19937_64 dice{5};
  std::size_t n = 0;
  for (auto _ : state) {
    const std::string to = presentity(dice() % s.resources);
    const std::string id = std::to_string(++n);
    const std::string call = "b84b4c76e66710-" + id + "@pc33.example.com", tag = "2928301774-" + id;
    const std::string from = "sip:watcher" + std::to_string(n % (s.resources / 10 + 1)) + "@example.com";
    const subscribe_request request{.resource = to, .event = "presence", .expires = 3600s, .call_id = call,
                                    .from_tag = tag, .from_uri = from,
                                    .contact = "sip:watcher@192.0.2.17:5062;transport=udp", .cseq = 1u};
    const auto begin = steady::now();
    s.w.host.subscribe(request, s.w.now, s.w.out);
    const auto end = steady::now();
    if (s.w.out.answer.status != 200 || s.w.out.notifies.size() != 1) std::abort();
    s.w.answer_all();
    state.SetIterationTime(std::chrono::duration<double>(end - begin).count());
  }
}
BENCHMARK(PF3_initial)->Arg(10'000)->Arg(1'000'000)->UseManualTime();

void PF3_refresh(benchmark::State& state) {
  subscribers s{scaled(static_cast<std::size_t>(state.range(0)))};
  std::vector<std::uint32_t> cseq(s.tags.size(), 1);
  std::mt19937_64 dice{5};
  std::string from, contact, call, tag, to_tag;
  for (auto _ : state) {
    const std::size_t i = dice() % s.tags.size();
    call = s.calls[i];  // a host has just parsed these
    tag = s.remote[i];
    to_tag = s.tags[i];
    from = "sip:watcher" + std::to_string(i / 10) + "@example.com";
    contact = "sip:watcher" + std::to_string(i / 10) + "@192.0.2.17:5062;transport=udp";
    s.w.now += 1ms;
    const subscribe_request request{.resource = {}, .event = "presence", .expires = 3600s, .call_id = call,
                                    .from_tag = tag, .to_tag = to_tag, .from_uri = from,
                                    .contact = contact, .cseq = ++cseq[i]};
    const auto begin = steady::now();
    s.w.host.subscribe(request, s.w.now, s.w.out);
    const auto end = steady::now();
    if (s.w.out.answer.status != 200 || s.w.out.notifies.size() != 1) std::abort();
    s.w.answer_all();
    state.SetIterationTime(std::chrono::duration<double>(end - begin).count());
  }
}
BENCHMARK(PF3_refresh)->Arg(10'000)->Arg(1'000'000)->UseManualTime();

/// The floor: one look-up in a hash table of that size, and one descriptor filled in.
void PF3_floor(benchmark::State& state) {
  const std::size_t held = scaled(static_cast<std::size_t>(state.range(0)));
  struct record {
    dialog d;
    std::uint32_t cseq = 1;
  };
  std::unordered_map<std::string, record> table;
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < held; ++i) {
    keys.push_back("a84b4c76e66710-" + std::to_string(i) + "@pc33.example.com");
    table[keys.back()].d = dialog{{.call_id = keys.back(), .local_tag = "x", .remote_tag = "y"}};
  }
  std::mt19937_64 dice{5};
  notify n;
  for (auto _ : state) {
    const std::string key = keys[dice() % keys.size()];
    const auto begin = steady::now();
    record& r = table.find(key)->second;
    n.dialog = r.d;
    n.cseq = ++r.cseq;
    n.expires = 3600;
    benchmark::DoNotOptimize(n);
    const auto end = steady::now();
    state.SetIterationTime(std::chrono::duration<double>(end - begin).count());
  }
}
BENCHMARK(PF3_floor)->Arg(10'000)->Arg(1'000'000)->UseManualTime();

// --- PF5: time ---------------------------------------------------------------------------------------------

void PF5_nothing_due(benchmark::State& state) {
  subscribers s{scaled(static_cast<std::size_t>(state.range(0)))};
  for (auto _ : state) {
    s.w.now += 1ms;
    s.w.host.advance(s.w.now, s.w.out);
    benchmark::DoNotOptimize(s.w.out.notifies.size());
    if (s.w.now > start + 3000s) s.w.now = start;
  }
}
BENCHMARK(PF5_nothing_due)->Arg(10'000)->Arg(1'000'000);

void PF5_expiry(benchmark::State& state) {
  const std::size_t held = scaled(1'000'000);
  double total = 0;
  std::size_t ended = 0, slices = 0;
  double longest = 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto s = std::make_unique<subscribers>(held);
    s->w.now += 3600s;
    state.ResumeTiming();
    for (bool more = true; more;) {
      const auto begin = steady::now();
      s->w.host.advance(s->w.now, s->w.out);
      const double took = std::chrono::duration<double>(steady::now() - begin).count();
      more = s->w.out.more;
      ended += s->w.out.notifies.size();
      total += took;
      longest = std::max(longest, took);
      ++slices;
    }
    state.PauseTiming();
    s.reset();
    state.ResumeTiming();
  }
  state.counters["ns_per_expiry"] = total * 1e9 / static_cast<double>(ended);
  state.counters["slices"] = static_cast<double>(slices);
  state.counters["longest_slice_us"] = longest * 1e6;
}
BENCHMARK(PF5_expiry)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
