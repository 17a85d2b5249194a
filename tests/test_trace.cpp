// Traces as text, and of a live engine.
#include <doctest/doctest.h>

#include <random>
#include <sstream>

#include <presence/cache/policies.hpp>
#include <presence/trace.hpp>

#include "scenario.hpp"
#include "simulation.hpp"

using namespace presence;

namespace {

/// What an engine tells, as lines of a trace.
struct recorded {
  std::string lines = {};
  host_hooks hooks() {
    host_hooks made;
    made.trace = [this](const traced_access& a) { append_line(lines, a); };
    return made;
  }
  /// Since the last time: operations, and keys numbered as they appeared.
  std::string news() {
    std::istringstream in{lines.substr(told)};
    told = lines.size();
    std::string all;
    for (std::string line; std::getline(in, line);) {
      const auto a = parse_trace_line(line);
      REQUIRE(a);
      REQUIRE(a->key.size() == 16);
      auto key = std::find(keys.begin(), keys.end(), a->key);
      if (key == keys.end()) key = keys.insert(keys.end(), std::string{a->key});
      all += (all.empty() ? "" : ", ") + std::string{to_string(a->operation)} + " k" + std::to_string(key - keys.begin() + 1);
    }
    return all;
  }
  std::size_t told = 0;
  std::vector<std::string> keys = {};
};

}  // namespace

TEST_CASE("what is written as a line of a trace is read back") {
  using op = traced_operation;
  for (const op operation : {op::publish, op::subscribe, op::refresh, op::notify, op::read, op::expire}) {
    const traced_access a{instant{milliseconds{1'700'000'000'123}}, operation, "sip:alice@example.com", 522};
    std::string line;
    append_line(line, a);
    CHECK(line == "1700000000123 " + std::string{to_string(operation)} + " sip:alice@example.com 522\n");
    line.pop_back();
    const auto read = parse_trace_line(line);
    REQUIRE(read);
    CHECK(*read == a);
  }
}

TEST_CASE("a key that would break a line is written in hexadecimal, an empty one as a hyphen") {
  std::string line;
  append_line(line, {.key = "a b\n\x7f\xc3\xa4", .bytes = 4294967295u});
  append_line(line, {.key = ""});
  CHECK(line == "0 publish a%20b%0A%7F%C3%A4 4294967295\n0 publish - 0\n");
}

TEST_CASE("blanks between columns and further columns do not matter") {
  const auto read = parse_trace_line(" \t-5  read\tk 0 and more\r");
  REQUIRE(read);
  CHECK(*read == traced_access{instant{milliseconds{-5}}, traced_operation::read, "k", 0});
}

TEST_CASE("a damaged line is refused, or is an access that is written and read as it is") {
  std::mt19937 dice{3};
  std::size_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string line = "1700000000123 publish sip:alice@example.com 522";
    for (int edits = 0; edits < 2; ++edits) line[dice() % line.size()] = static_cast<char>(dice());
    const auto first = parse_trace_line(line);
    if (!first) {
      CHECK_FALSE(first.error().empty());
      continue;
    }
    ++accepted;
    std::string once, twice;
    append_line(once, *first);
    CHECK(once.find('\n') == once.size() - 1);
    const auto second = parse_trace_line(std::string_view{once}.substr(0, once.size() - 1));
    REQUIRE(second);
    append_line(twice, *second);
    CHECK(twice == once);
  }
  CHECK(accepted > 1000);
}

TEST_CASE("a line that is no access is refused with what is wrong") {
  struct {
    std::string line;
    const char* why;
  } const rows[] = {
      {"", "a line begins with its time in milliseconds, not with \"\""},
      {"now read k 1", "a line begins with its time in milliseconds, not with \"now\""},
      {"99999999999999999999 read k 1",
       "a line begins with its time in milliseconds, not with \"99999999999999999999\""},
      {"1", "\"\" is none of the operations: publish subscribe refresh notify read expire"},
      {"1 Read k 1", "\"Read\" is none of the operations: publish subscribe refresh notify read expire"},
      {"1 read", "the key is missing"},
      {"1 read k", "the fourth column is a size in bytes, not \"\""},
      {"1 read k -1", "the fourth column is a size in bytes, not \"-1\""},
      {"1 read k 4294967296", "the fourth column is a size in bytes, not \"4294967296\""},
      {"1 read k 1x", "the fourth column is a size in bytes, not \"1x\""},
      {"1 read k " + std::string(100'000, 'x'),
       "the fourth column is a size in bytes, not \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""},
  };
  for (const auto& row : rows) {
    const auto read = parse_trace_line(row.line);
    REQUIRE_FALSE(read);
    CHECK(read.error() == row.why);
  }
}

TEST_CASE("an engine tells which state each call used and for what, by keys that tell nobody whose it is"
          * test::not_in("bounded database_only", "it tells of what is in memory")) {
  recorded trace;
  test::scenario s{{.winfo = true, .hooks = trace.hooks()}};
  using namespace std::chrono_literals;
  const auto did = [&](const std::string&) { return trace.news(); };
  CHECK(did(s.publish("alice", {.body = "t1:open", .expires = 600s})) == "publish k1");
  CHECK(did(s.subscribe("d1", {.expires = 300s})) == "subscribe k1");
  CHECK(did(s.publish("alice", {.if_match = "e1", .expires = 900s})) == "refresh k1");
  CHECK(did(s.subscribe("d1", {.expires = 300s})) == "refresh k1");
  CHECK(did(s.subscribe("d2", {.by = "carol", .expires = 0s})) == "read k1");
  CHECK(did(s.publish("dave", {.body = "t1:open", .expires = 600s})) == "publish k2");
  CHECK(did(s.subscribe("d9", {.by = "alice", .expires = 800s, .event = "presence.winfo"})) == "subscribe k3, read k1");
  CHECK(did(s.subscribe("d3", {.by = "carol", .expires = 300s})) == "subscribe k1, notify k3");
  CHECK(s.engine->contains_presence(test::address("dave"), s.at));
  CHECK(trace.news() == "read k2");
  CHECK(did(s.publish("erin", {.body = "t1:open", .if_match = "e9"})) == "");
  CHECK(did(s.wait(300s)) == "notify k3, notify k1");
  CHECK(did(s.wait(300s)) == "expire k2");
  CHECK(did(s.wait(300s)) == "expire k3, expire k1");
  CHECK(trace.lines.find("alice") == std::string::npos);
  CHECK(trace.lines.find("example") == std::string::npos);

  recorded other;
  test::scenario again{{.winfo = true, .hooks = other.hooks(), .seed = 2}};
  again.publish("alice", {.body = "t1:open", .expires = 600s});
  other.news();
  CHECK(other.keys[0] != trace.keys[0]);
}

TEST_CASE("what a start reads from the storage is told as read (T12)"
          * test::not_in("database_only", "nothing is read at a start, so nobody is told then")) {
  recorded trace;
  memory_storage rows;
  test::scenario s{{.rows = &rows, .hooks = trace.hooks()}};
  s.publish("alice", {.body = "t1:open"});
  s.publish("bob", {.body = "t1:open"});
  CHECK(trace.news() == "publish k1, publish k2");
  s.restart();
  s.audit();
  CHECK(trace.news() == (s.engine->settings().fallback2db ? "" : "read k3, read k4"));  // another engine has other keys
}

TEST_CASE("an engine with bounded memory hits and evicts as the simulator does on the trace it recorded (PF12, G10)") {
  for (const char* policy : {"fifo", "lru", "slru", "sieve"}) {
    CAPTURE(std::string{policy});
    recorded trace;
    memory_storage rows;
    test::scenario s{{.settings = {.fallback2db = true, .cache_states = 20, .cache_policy = policy},
                      .rows = &rows, .hooks = trace.hooks()}};
    std::mt19937 dice{7};
    const bench::zipf_numbers popular{100};
    std::mt19937_64 more{7};
    std::map<std::string, std::string> tags;
    for (int n = 0; n < 2000; ++n) {
      const std::string who = "r" + std::to_string(popular(more));
      std::string& tag = tags[who];
      const std::string got = dice() % 3 != 0 || tag.empty() ? s.publish(who, {.body = "t1:open", .if_match = tag}) : s.publish(who, {.if_match = tag});
      REQUIRE(got.starts_with("200"));
      tag = got.substr(4, got.find(' ', 4) - 4);
    }
    std::istringstream in{trace.lines};
    const auto replayed = bench::read_trace(in, "recorded");
    REQUIRE(replayed);
    REQUIRE(replayed->steps.size() == 2000);
    const auto made = cache::make_policy(policy, 20);
    const bench::outcome simulated = bench::simulate(*replayed, **made, {.entries = 20});
    const engine_stats real = s.engine->stats();
    CHECK(real.cache_hits == simulated.hits);
    CHECK(real.cache_misses == simulated.reads);
    CHECK(real.cache_evictions == simulated.evictions);
    CHECK(real.cache_hits > 1000);
  }
}
