// What a hit is worth: the requests of a trace to a real engine with bounded memory in front of a real database,
// beside memory for everything and for nothing. See the usage below and docs/cache-policies.md.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include <presence/cache/policies.hpp>
#include <presence/presence.hpp>
#include <soci_storage.hpp>

#include "server_database.hpp"
#include "traces.hpp"

namespace {

using namespace presence;
using namespace presence::bench;
using namespace std::chrono_literals;

constexpr const char* usage =
    R"(usage: cache_worth [--on sqlite|postgres|mariadb] [--trace NAME] [--replay FILE] [--keys N] [--accesses N]
                   [--policy NAME] [--percent N]...

Makes a request of each access of a trace, after everybody has published once, and counts what an engine with
fallback2db does for it, with memory for N percent of the keys. The database is a new one; servers are those of
tests/databases.py:

  python3 tests/databases.py build/bench/cache_worth --on postgres
)";

/// One engine on a new database, and the requests of one trace.
class run {
 public:
  run(soci_storage& rows, options settings) : rows_{rows}, host_{std::move(settings), {}, &rows, &random_} {
    if (!host_.add_event(presence_package(), start)) std::abort();
  }
  /// Everybody publishes once, which is not measured.
  void prepare(const trace& t) {
    for (std::uint32_t n = 0; n < t.key_count(); ++n)
      request(t, {start.time_since_epoch().count(), n, 0, traced_operation::publish});
    requests_ = statements_ = 0;
    seconds_ = 0;
    before_ = host_.stats();
  }
  void request(const trace& t, const access_step& s) {
    now_ = instant{milliseconds{s.when}};
    if (const auto next = host_.next_deadline(); next && *next <= now_) host_.advance(now_, out_);  // not measured
    key& k = keys_[s.key];
    const std::string who = t.keys.empty() ? presentity(s.key) : "sip:" + t.key_name(s.key) + "@example.com";
    using op = traced_operation;
    const bool ends = s.operation == op::expire;
    const bool publishes = s.operation == op::publish || s.operation == op::refresh || (ends && !k.tag.empty());
    const std::string body = ends || (s.operation == op::refresh && !k.tag.empty()) ? "" : pidf_of(who, ++k.version);
    const std::uint64_t statements = rows_.counters().statements;
    const auto begin = std::chrono::steady_clock::now();
    if (publishes) {
      host_.publish({.resource = who, .event = "presence", .expires = ends ? 0s : 3600s, .sip_if_match = k.tag,
                     .content = {.type = body.empty() ? "" : "application/pidf+xml", .bytes = body}}, now_, out_);
      must(200);
      k.tag = ends ? "" : out_.answer.etag;
    } else if (s.operation == op::subscribe) {
      const std::string call = "call-" + std::to_string(s.key) + "@pc33.example.com";
      host_.subscribe({.resource = who, .event = "presence", .expires = 3600s, .call_id = call, .from_tag = "1928301774",
                       .to_tag = k.to_tag, .from_uri = "sip:bob@example.com", .to_uri = who, .contact = "sip:bob@192.0.2.17",
                       .cseq = ++k.cseq}, now_, out_);
      must(200);
      k.to_tag = out_.answer.dialog.local_tag();
    } else {
      host_.current_state(who, "presence", now_);
      out_.clear();
    }
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    statements_ += rows_.counters().statements - statements;
    for (const notify& n : out_.notifies) host_.report({.id = n.id, .status = 200}, now_, reported_);
    ++requests_;
  }
  void print(const char* policy, const std::string& capacity) const {
    const engine_stats s = host_.stats();
    const double n = static_cast<double>(requests_);
    const double hits = static_cast<double>(s.cache_hits - before_.cache_hits);
    const double looked = hits + static_cast<double>(s.cache_misses - before_.cache_misses);
    std::printf("| %s | %s | %.1f | %.2f | %.0f |\n", policy, capacity.c_str(), 100 * hits / std::max(looked, 1.0),
                static_cast<double>(statements_) / n, seconds_ * 1e6 / n);
    std::fflush(stdout);
  }

 private:
  struct key {
    std::string tag = {}, to_tag = {};
    std::uint32_t cseq = 0;
    unsigned version = 0;
  };
  void must(int status) const {
    if (out_.answer.status == status) return;
    std::fprintf(stderr, "cache_worth: answered %d\n", out_.answer.status);
    std::exit(1);
  }
  soci_storage& rows_;
  seeded_random random_{7};
  engine host_;
  instant now_ = start;
  effects out_, reported_;
  std::unordered_map<std::uint32_t, key> keys_;
  engine_stats before_ = {};
  std::uint64_t requests_ = 0, statements_ = 0;
  double seconds_ = 0;
};

template <class Database>
void measure(const trace& t, const std::string& policy, const std::vector<double>& percents) {
  const auto one = [&](const char* name, const std::string& capacity, options settings) {
    settings.server_address = "sip:10.0.0.1:5060";
    settings.limits.subscriptions_per_watcher = 1u << 30;
    if (auto sound = settings.check(); !sound) {
      std::fprintf(stderr, "cache_worth: %s\n", sound.error().c_str());
      std::exit(2);
    }
    const Database place;
    const auto rows = place.open();
    run r{*rows, settings};
    r.prepare(t);
    for (const access_step& s : t.steps) r.request(t, s);
    r.print(name, capacity);
  };
  std::printf("| policy | states in memory | hits, %% | statements per request | us per request |\n|---|---:|---:|---:|---:|\n");
  one("(database only)", "0", {.subs_db_mode = 3});
  for (const double percent : percents) {
    const auto states = std::max<std::size_t>(static_cast<std::size_t>(percent / 100 * t.key_count()), 1);
    one(policy.c_str(), std::to_string(states), {.fallback2db = true, .cache_states = states, .cache_policy = policy});
  }
  // a bound that nobody meets: hits are counted
  one("(everything stays)", "-", {.fallback2db = true, .cache_states = 4'000'000'000, .cache_policy = "unbounded"});
}

}  // namespace

int main(int argc, char** argv) {
  std::string on = "sqlite", name = "zipf", replay, policy = "sieve";
  trace_size size{.keys = 2000, .accesses = scaled(20'000)};
  std::vector<double> percents;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--help" || i + 1 == argc) {
      std::fputs(usage, option == "--help" ? stdout : stderr);
      return option == "--help" ? 0 : 2;
    }
    const char* value = argv[++i];
    if (option == "--on") on = value;
    else if (option == "--trace") name = value;
    else if (option == "--replay") replay = value;
    else if (option == "--keys") size.keys = static_cast<std::uint32_t>(std::max(std::atol(value), 10L));
    else if (option == "--accesses") size.accesses = static_cast<std::size_t>(std::max(std::atol(value), 1L));
    else if (option == "--policy") policy = value;
    else if (option == "--percent") percents.push_back(std::atof(value));
    else return std::fputs(usage, stderr), 2;
  }
  if (percents.empty()) percents = {1, 5, 10, 20, 40};
  trace t = trace_maker{size}.make(name);
  if (!replay.empty()) {
    auto read = read_trace(replay);
    if (!read) return std::fprintf(stderr, "cache_worth: %s\n", read.error().c_str()), 2;
    t = std::move(*read);
  }
  std::printf("cache_worth on %s: %s, %u keys, %zu requests\n\n", on.c_str(), t.name.c_str(), t.key_count(), t.steps.size());
  if (on == "sqlite") measure<sqlite_file>(t, policy, percents);
  else if (on == "postgres" && test::has_server(on)) measure<test::postgres_database>(t, policy, percents);
  else if (on == "mariadb" && test::has_server(on)) measure<test::mariadb_database>(t, policy, percents);
  else return 2;
}
