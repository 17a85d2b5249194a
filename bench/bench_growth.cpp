// PF4 and PF6: what a subscription takes in memory, and what an operation costs while 10 thousand, 1 million and, if the
// environment has PRESENCE_BENCH_LONG, 10 million subscriptions are held (5 GB; some minutes). Ten watchers for
// each presentity, and ten presentities for each watcher; everybody publishes once; then refreshes, publications that are
// told to ten watchers, and the expiry of everything. The host's share, making the texts of requests, is in the times.
// rows: PF4, PF6
#include <benchmark/benchmark.h>

#include <time.h>
#include <unistd.h>

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <presence/presence.hpp>

#include "common.hpp"

namespace {

using namespace presence;
using namespace presence::bench;
using namespace std::chrono_literals;

constexpr std::size_t watchers = 10;

double resident() {
  long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return static_cast<double>(pages) * static_cast<double>(sysconf(_SC_PAGESIZE));
}

/// Of processor time: a run that takes minutes has the machine seldom to itself.
template <class F>
double seconds_of(F&& work) {
  const auto used = [] {
    timespec at{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) * 1e-9;
  };
  const double before = used();
  work();
  return used() - before;
}

class crowd {
 public:
  explicit crowd(std::size_t held)
      : resources{std::max<std::size_t>(held / watchers, 1)}, host{settings(held), {}, nullptr, &random} {
    if (!host.add_event(presence_package(), start)) std::abort();
    to_tags.assign(count() * tag_bytes, '.');  // the memory of a host, touched before anything is measured
    etags.resize(resources);
    cseqs.assign(count(), 1);
  }
  static options settings(std::size_t held) {
    options o;
    o.server_address = "sip:10.0.0.1:5060";
    o.advance_rate = 0;
    o.subs_htable_size = std::max(9, static_cast<int>(std::bit_width(held)));
    o.pres_htable_size = std::max(9, static_cast<int>(std::bit_width(held / watchers)));
    return o;
  }
  std::size_t count() const { return resources * watchers; }

  /// Watchers of one resource come in any order, not one after the other.
  void subscribe(std::size_t i, std::string_view to_tag) {
    const std::string n = std::to_string(i / watchers), to = presentity(i % resources);
    const std::string call_id = "a84b4c76e66710-" + std::to_string(i) + "@pc33.example.com";
    const std::string from = "sip:watcher" + n + "@example.com";
    const std::string contact = "sip:watcher" + n + "@192.0.2.17:5062;transport=udp";
    host.subscribe({.resource = to, .event = "presence", .expires = 3600s, .call_id = call_id, .from_tag = "1928301774",
                    .to_tag = to_tag, .from_uri = from, .contact = contact, .cseq = to_tag.empty() ? 1u : ++cseqs[i]}, now, out);
    if (out.answer.status != 200) std::abort();
    if (to_tag.empty()) std::memcpy(&to_tags[i * tag_bytes], out.answer.dialog.local_tag().data(), tag_bytes);
    const dialog_fields d = out.answer.dialog.fields();
    for (const auto text : {d.call_id, d.local_tag, d.remote_tag, d.local_uri, d.remote_uri, d.remote_target,
                            d.local_contact, d.event, d.watcher})
      strings += text.size();
    answer_all();
  }
  void refresh(std::size_t i) { subscribe(i, {&to_tags[i * tag_bytes], tag_bytes}); }
  void publish(std::size_t r) {
    bench::publish(host, r, ++version, etags[r], now, out);
    answer_all();
  }
  void answer_all() { bench::answer_all(host, now, out, reported); }

  static constexpr std::size_t tag_bytes = 20;  // to_tag_pref and 18 characters
  seeded_random random{7};
  std::size_t resources;
  engine host;
  std::string to_tags;
  std::vector<std::string> etags;
  std::vector<std::uint32_t> cseqs;
  instant now = start;
  unsigned version = 0;
  std::size_t strings = 0;  ///< bytes of the dialogs' texts
  effects out, reported;
};

void PF6_growth(benchmark::State& state) {
  const std::size_t held = scaled(static_cast<std::size_t>(state.range(0))), some = std::min<std::size_t>(held, scaled(200'000));
  for (auto _ : state) {
    crowd c{held};
    std::mt19937_64 dice{5};
    const auto each = [&](const char* name, double seconds, std::size_t n) {
      state.counters[name] = seconds * 1e9 / static_cast<double>(n);
    };
    double before = resident();
    each("ns_initial", seconds_of([&] { for (std::size_t i = 0; i < c.count(); ++i) c.subscribe(i, {}); }), c.count());
    const auto n = static_cast<double>(c.count());
    state.counters["bytes_each"] = (resident() - before) / n;
    state.counters["of_which_strings"] = static_cast<double>(c.strings) / n;
    before = resident();
    each("ns_first_publish", seconds_of([&] { for (std::size_t r = 0; r < c.resources; ++r) c.publish(r); }), c.resources);
    state.counters["bytes_publication"] = (resident() - before) / static_cast<double>(c.resources);
    c.now += 1s;
    each("ns_refresh", seconds_of([&] { for (std::size_t i = 0; i < some; ++i) c.refresh(dice() % c.count()); }), some);
    each("ns_modify", seconds_of([&] { for (std::size_t i = 0; i < some; ++i) c.publish(dice() % c.resources); }), some);
    c.now += 3600s;
    std::size_t ended = 0;
    double longest = 0;
    const double all = seconds_of([&] {
      for (bool more = true; more;) {
        longest = std::max(longest, seconds_of([&] { c.host.advance(c.now, c.out); }));
        ended += c.out.notifies.size();
        c.answer_all();
        more = c.out.more;
      }
    });
    each("ns_expiry", all, ended);
    state.counters["longest_slice_us"] = longest * 1e6;
    if (c.host.stats().subscriptions != 0 || c.host.check()) std::abort();
  }
}
BENCHMARK(PF6_growth)->Apply([](benchmark::internal::Benchmark* b) {
  b->Arg(10'000)->Arg(1'000'000)->Iterations(1)->Unit(benchmark::kSecond);
  if (std::getenv("PRESENCE_BENCH_LONG") != nullptr) b->Arg(10'000'000);
});

}  // namespace

BENCHMARK_MAIN();
