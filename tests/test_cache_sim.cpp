// The cache simulator: the same hits in every run and on every machine (PF12), and its two bounds.
#include <doctest/doctest.h>

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iterator>

#include <presence/cache/policies.hpp>

#include "simulation.hpp"
#include "traces.hpp"

using namespace presence;
using namespace presence::bench;

namespace {

constexpr trace_size small{.keys = 500, .accesses = 20'000, .seed = 1};
constexpr const char* names[] = {"fifo", "lru", "slru", "sieve", "s3-fifo", "w-tinylfu", "clairvoyant", "unbounded"};

std::unique_ptr<cache::policy> policy_of(std::string_view name, std::size_t capacity) {
  if (name == "clairvoyant") return std::make_unique<clairvoyant>();
  auto made = cache::make_policy(name, capacity);
  REQUIRE(made);
  return std::move(*made);
}
outcome run(const trace& t, std::string_view name, std::size_t entries, std::int64_t flush_every = 0) {
  const bounds most = name == "unbounded" ? bounds{} : bounds{.entries = entries};
  return simulate(t, *policy_of(name, entries), most, flush_every);
}

}  // namespace

TEST_CASE("hits in a cache of 50 entries are these (PF12)") {
  struct {
    const char* trace;
    std::uint64_t hits[std::size(names)];  // as `names`
  } const rows[] = {
      {"zipf", {9600, 10744, 12384, 12710, 12506, 12806, 14626, 19500}},
      {"login", {8112, 9103, 10539, 10440, 10668, 10893, 12769, 18092}},
      {"refresh", {0, 0, 0, 0, 0, 1529, 1950, 19500}},
      {"winfo", {7173, 8017, 9626, 9746, 9811, 9945, 11513, 19500}},
      {"churn", {3677, 4077, 4674, 4668, 4813, 4703, 8008, 15334}},
      {"mixture", {6199, 7087, 9026, 9432, 9177, 9357, 11530, 18752}},
  };
  REQUIRE(std::size(rows) == trace_maker::names.size());
  for (const auto& row : rows) {
    const trace t = trace_maker{small}.make(row.trace);
    for (std::size_t i = 0; i < std::size(names); ++i) {
      CAPTURE(std::string{row.trace});
      CAPTURE(std::string{names[i]});
      CHECK(run(t, names[i], 50).hits == row.hits[i]);
    }
  }
}

TEST_CASE("nobody has more hits than who knows the future, and nobody more than who forgets nothing") {
  for (const char* which : trace_maker::names) {
    CAPTURE(std::string{which});
    const trace t = trace_maker{small}.make(which);
    REQUIRE(t.steps.size() == small.accesses);
    const auto all = run(t, "unbounded", 1);
    for (const std::size_t entries : {1u, 5u, 50u, 300u}) {
      const auto best = run(t, "clairvoyant", entries);
      CHECK(best.hits <= all.hits);
      for (const char* name : names) {
        CAPTURE(std::string{name});
        const auto got = run(t, name, entries);
        if (name != std::string_view{"unbounded"}) CHECK(got.hits <= best.hits);
        CHECK(got.accesses == small.accesses);
        CHECK(got.reads == got.accesses - got.hits);
        CHECK(got.writes == all.writes);
        CHECK(run(t, name, entries).steps == got.steps);
      }
    }
    const auto roomy = run(t, "clairvoyant", all.most_entries);
    CHECK(roomy.hits == all.hits);
    CHECK(roomy.evictions == 0);
  }
}

TEST_CASE("the clairvoyant evicts what is needed last, worked out by hand") {
  trace t;
  for (const char key : std::string{"abcdabeabcde"})
    t.steps.push_back({0, static_cast<std::uint32_t>(key - 'a'), 1, traced_operation::read});
  // room for three: d goes for being needed last, then e; hits a b, a b c; then d and e miss
  const auto got = run(t, "clairvoyant", 3);
  CHECK(got.hits == 5);
}

TEST_CASE("a bound in bytes holds as well, and one entry larger than it is not kept") {
  const trace t = trace_maker{small}.make("mixture");
  std::size_t bytes = 0;
  for (const access_step& s : t.steps) bytes = std::max<std::size_t>(bytes, s.bytes);
  for (const char* name : names) {
    if (name == std::string_view{"unbounded"}) continue;
    CAPTURE(std::string{name});
    const auto got = simulate(t, *policy_of(name, 50), {.entries = 80, .bytes = 60'000});
    CHECK(got.most_entries <= 81);  // the newcomer is admitted first
    CHECK(got.most_bytes <= 60'000 + bytes);
    CHECK(got.hits > 0);
    CHECK(simulate(t, *policy_of(name, 50), {.bytes = 400}).hits == 0);
  }
}

TEST_CASE("an entry that grows makes others go, one that shrinks makes room") {
  trace t;
  const auto step = [&](char key, std::uint32_t bytes) {
    t.steps.push_back({0, static_cast<std::uint32_t>(key - 'a'), bytes, traced_operation::publish});
  };
  const auto run_bytes = [&] { return simulate(t, *policy_of("lru", 10), {.bytes = 100}); };
  step('a', 40);
  step('b', 40);
  step('b', 10);
  step('c', 50);
  CHECK(run_bytes().evictions == 0);
  CHECK(run_bytes().most_bytes == 100);
  step('b', 20);
  CHECK(run_bytes().evictions == 1);
  step('c', 100);
  CHECK(run_bytes().evictions == 2);
  step('c', 101);
  CHECK(run_bytes().evictions == 3);
}

TEST_CASE("written back, a change is written once in a while, or when it is evicted") {
  trace t;
  using op = traced_operation;
  const auto step = [&](std::int64_t when, char key, op operation) {
    t.steps.push_back({when, static_cast<std::uint32_t>(key - 'a'), 1, operation});
  };
  step(0, 'a', op::publish);
  step(1, 'a', op::refresh);
  step(2, 'b', op::publish);
  step(3, 'b', op::expire);
  step(4, 'a', op::read);
  CHECK(run(t, "lru", 2).writes == 4);
  CHECK(run(t, "lru", 2, 1000).writes == 1);  // at the end; b never came so far
  step(2000, 'c', op::publish);               // a is written before this
  step(2001, 'a', op::expire);                // deletes a row
  CHECK(run(t, "lru", 2, 1000).writes == 3);
  CHECK(run(t, "lru", 1, 1000).writes == 3);  // a is written when b comes, deleted; c
}

TEST_CASE("a trace written as text and read again is the same trace") {
  const trace t = trace_maker{{.keys = 50, .accesses = 2000, .seed = 2}}.make("mixture");
  const std::string name = "presence-trace-" + std::to_string(::getpid());
  const std::string path = (std::filesystem::temp_directory_path() / name).string();
  REQUIRE(write_trace(t, path));
  const auto read = read_trace(path);
  std::remove(path.c_str());
  REQUIRE(read);
  REQUIRE(read->steps.size() == t.steps.size());
  for (std::size_t i = 0; i < t.steps.size(); ++i) {
    CHECK(read->steps[i].when == t.steps[i].when);
    CHECK(read->steps[i].operation == t.steps[i].operation);
    CHECK(read->steps[i].bytes == t.steps[i].bytes);
    CHECK(read->key_name(read->steps[i].key) == t.key_name(t.steps[i].key));
  }
  for (const char* policy : names) CHECK(run(*read, policy, 10).hits == run(t, policy, 10).hits);
}
