// At most so many states in memory, the others in the storage (fallback2db with cache_states, cache_bytes): what
// is evicted is found again, its time comes at its moment, and nothing that is owed is lost.
#include "scenario.hpp"

#include <presence/cache/policies.hpp>
#include <presence/packages.hpp>

#include "places.hpp"

using namespace presence;
using namespace presence::test;

namespace {

options few(std::size_t states, std::string policy = "sieve") {
  return {.fallback2db = true, .cache_states = states, .cache_policy = std::move(policy)};
}

std::string name(int n) { return "r" + std::to_string(n); }

}  // namespace

TEST_CASE_TEMPLATE("whoever is evicted is found again, whatever the policy (T07, T08, G10)", Place, EVERY_STORAGE) {
  for (const auto& policy : cache::known_policies) {
    CAPTURE(policy.name);
    Place place;
    scenario s{{.settings = few(3, std::string{policy.name}), .rows = &place.rows()}};
    for (int n = 0; n < 10; ++n) {
      CHECK(s.publish(name(n), {.body = "t1:open"}) == "200 e" + std::to_string(n + 1) + " Expires=3600");
      const std::string told = "200 Expires=600 | N " + name(n) + "#1 active;expires=600 P(t1:open)";
      CHECK(s.subscribe(name(n), {.to = name(n), .expires = 600s}) == told);
    }
    const bool bounded = policy.name != "unbounded";
    CHECK(s.engine->stats().resources == (bounded ? 3 : 10));
    CHECK((s.engine->stats().cache_evictions >= 7) == bounded);
    CHECK(s.engine->count_publications({}) == 10);
    CHECK(s.engine->count_subscriptions({}) == 10);
    for (int n = 0; n < 10; ++n) {
      const std::string e = "e" + std::to_string(n + 1), changed = "e" + std::to_string(n + 11), who = name(n);
      CHECK(s.publish(who, {.body = "t1:closed", .if_match = e}) == "200 " + changed + " Expires=3600 | N " + who + "#2 active;expires=600 P(t1:closed)");
      CHECK(s.publish(who, {.if_match = e}) == "412");
    }
    for (int n = 0; n < 10; ++n)
      CHECK(s.subscribe(name(n), {.expires = 0s}) == "200 Expires=0 | N " + name(n) + "#3 terminated;reason=timeout P(t1:closed)");
    const engine_stats end = s.engine->stats();
    CHECK(end.cache_misses >= 10);
    CHECK(end.cache_hits >= 10);
    CHECK((end.cache_evictions != 0) == bounded);
  }
}

TEST_CASE_TEMPLATE("the time of what was evicted comes at its millisecond (T07, M01, M04)", Place, EVERY_STORAGE) {
  Place place;
  scenario s{{.settings = few(1), .rows = &place.rows()}};
  std::vector<instant> due;
  for (int n = 0; n < 5; ++n) {
    s.at += 337ms;
    s.subscribe(name(n), {.to = name(n), .expires = 60s});
    due.push_back(s.at + 60s);
  }
  s.publish("r0", {.body = "t1:open", .expires = 70s});
  CHECK(s.engine->stats().resources == 1);
  for (int n = 0; n < 5; ++n) {
    std::string told;
    while (told.empty()) {
      const auto next = s.engine->next_deadline();
      REQUIRE(next);
      REQUIRE(*next <= due[static_cast<std::size_t>(n)]);
      s.at = std::max(s.at, *next);
      told = s.told(s.engine->advance(s.at));
    }
    CHECK(s.at == due[static_cast<std::size_t>(n)]);
    CHECK(told == "N " + name(n) + "#" + (n == 0 ? "3" : "2") + " terminated;reason=timeout");
  }
  s.wait(20s);
  CHECK(s.engine->stats().resources == 0);
  CHECK(s.engine->count_publications({}) == 0);
}

TEST_CASE("more that is due within a second than one advance() handles comes at its millisecond, too (M01, M07)") {
  memory_storage rows;
  options settings = few(1);
  settings.advance_budget = 3;
  scenario s{{.settings = settings, .rows = &rows}};
  std::vector<instant> due;
  for (int n = 0; n < 40; ++n) {
    s.at += n % 10 == 0 ? 40ms : 3ms;
    s.subscribe(name(n), {.to = name(n), .expires = 60s});
    due.push_back(s.at + 60s);
  }
  std::vector<instant> came;
  while (came.size() < due.size()) {
    const auto next = s.engine->next_deadline();
    REQUIRE(next);
    REQUIRE(*next <= due.back());
    s.at = std::max(s.at, *next);
    for (bool more = true; more;) {
      const effects out = s.engine->advance(s.at);
      more = out.more;
      CHECK(out.notifies.size() <= 3);
      came.insert(came.end(), out.notifies.size(), s.at);
    }
  }
  CHECK(came == due);
}

TEST_CASE("a state stays while a NOTIFY is on the way or owed, and goes when that is over (HOST-12, N11)") {
  memory_storage rows;
  scenario s{{.settings = few(1), .rows = &rows}};
  s.answers = false;
  s.subscribe("d1", {.expires = 600s});
  for (int n = 0; n < 5; ++n) s.publish(name(n), {.body = "t1:open"});
  CHECK(s.engine->stats().resources == 1);  // alice's, and none of those that can go
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e6 Expires=3600");
  CHECK(s.engine->stats().coalesced == 1);
  for (int n = 5; n < 10; ++n) s.publish(name(n), {.body = "t1:open"});
  CHECK(s.outcome("d1", 1, 200) == "N d1#2 active;expires=600 P(t1:open)");
  for (int n = 10; n < 15; ++n) s.publish(name(n), {.body = "t1:open"});
  CHECK(s.outcome("d1", 2, 481) == "");
  CHECK(s.engine->stats().resources == 1);
  CHECK(s.engine->count_subscriptions({}) == 0);
}

TEST_CASE("who kept a state in memory does not when he is gone, nor does another who has his place by then (T07)") {
  memory_storage rows;
  scenario s{{.settings = few(1), .rows = &rows}};
  s.answers = false;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.expires = 600s});
  CHECK(s.outcome("d2", 1, 200) == "");
  for (int n = 0; n < 5; ++n) s.publish(name(n), {.body = "t1:open"});
  CHECK(s.engine->stats().resources == 1);  // alice's
  CHECK(s.outcome("d1", 1, 481) == "");
  s.subscribe("d3", {.to = "bob", .expires = 600s});
  for (int n = 5; n < 10; ++n) s.publish(name(n), {.body = "t1:open"});
  CHECK(s.engine->stats().resources == 1);  // bob's
  CHECK(s.engine->count_subscriptions({}) == 2);
}

TEST_CASE("what was told a moment ago is remembered as long as notify_interval asks for (PRS-6.10-1)") {
  memory_storage rows;
  options settings = few(1);
  settings.notify_interval = 5s;
  scenario s{{.settings = settings, .rows = &rows}};
  s.subscribe("d1", {.expires = 600s});
  s.publish("carol", {.body = "t1:open"});
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e2 Expires=3600");
  s.publish("carol", {.body = "t2:open"});
  CHECK(s.wait(5s) == "N d1#2 active;expires=595 P(t1:open)");
  for (int n = 0; n < 10; ++n) s.publish(name(n), {.body = "t1:open"});
  s.wait(5s);
  for (int n = 0; n < 10; ++n) s.publish(name(n), {.body = "t1:open"});
  CHECK(s.engine->stats().resources == 1);
}

TEST_CASE("a decision that a moment changes is made at that moment, whatever memory there is (Z11)") {
  memory_storage rows;
  scenario s{{.settings = few(1), .rows = &rows, .by_rules = true}};
  s.rules_text = R"(<cp:ruleset xmlns:cp="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules"><cp:rule id="a">)"
                 R"(<cp:conditions><cp:identity><cp:many/></cp:identity><cp:validity><cp:from>2023-11-14T22:13:20Z</cp:from>)"
                 R"(<cp:until>2023-11-14T22:15:00Z</cp:until></cp:validity></cp:conditions><cp:actions><pr:sub-handling>allow</pr:sub-handling>)"
                 R"(</cp:actions><cp:transformations><pr:provide-services><pr:all-services/></pr:provide-services></cp:transformations></cp:rule></cp:ruleset>)";
  CHECK(s.subscribe("d1", {.expires = 600s}).starts_with("200 Expires=600 | N d1#1 active;expires=600"));
  for (int n = 0; n < 10; ++n) s.publish(name(n), {.body = "t1:open"});
  CHECK(s.wait(100s).starts_with("N d1#2 terminated;reason=rejected"));
}

TEST_CASE("a hit in a dialog reads nothing, a miss is read by its Call-ID (T07, G10)") {
  memory_storage rows;
  scenario s{{.settings = few(1), .rows = &rows}};
  s.subscribe("d1", {.expires = 600s});
  auto before = s.engine->stats();
  CHECK(s.subscribe("d1", {.expires = 600s}).starts_with("200"));
  CHECK(s.engine->stats().storage_calls == before.storage_calls + 1);  // the write
  CHECK(s.engine->stats().cache_hits == before.cache_hits + 1);
  s.publish("carol", {.body = "t1:open"});
  s.publish("carol", {.body = "t2:open"});
  before = s.engine->stats();
  REQUIRE(before.resources == 1);
  CHECK(s.subscribe("d1", {.expires = 600s}).starts_with("200"));
  CHECK(s.engine->stats().storage_calls == before.storage_calls + 5);  // by Call-ID, three kinds of rows, the write
  CHECK(s.engine->stats().cache_misses == before.cache_misses + 1);
}

TEST_CASE("memory is bounded in bytes, and what is counted is what is there (T08, G10)") {
  memory_storage rows;
  options settings = few(0);
  settings.cache_bytes = 100'000;
  scenario s{{.settings = settings, .rows = &rows}};
  const std::string note(20'000, 'x');
  for (int n = 0; n < 20; ++n) {
    CHECK(s.publish(name(n), {.raw = note, .type = "application/simple-message-summary", .event = "message-summary"}).starts_with("200"));
    CHECK(s.engine->stats().cache_bytes <= 100'000);
  }
  CHECK(s.engine->stats().resources == 4);
  CHECK(s.engine->stats().cache_bytes > 80'000);
  for (int n = 0; n < 200; ++n) s.subscribe("d" + std::to_string(n), {.by = "w" + std::to_string(n), .to = "crowd", .expires = 600s});
  const std::size_t one = s.engine->stats().cache_bytes;
  for (int n = 0; n < 200; ++n) s.subscribe("d" + std::to_string(n), {.expires = 0s});
  CHECK(one > 200 * sizeof(subscription_row) / 4);
  s.wait(3600s);
  CHECK(s.engine->stats().cache_bytes == 0);
}

TEST_CASE("a storage that fails amid a miss is answered 503, and the cache is as sound as before (RL2)") {
  memory_storage rows;
  struct failing : memory_storage {
    bool broken = false;
    result<void, storage_error> watchers(const row_filter& f, cursor& at, std::size_t limit, std::vector<watcher_row>& out) override {
      if (broken) return unexpected{storage_error{storage_fault::unavailable, "broken"}};
      return memory_storage::watchers(f, at, limit, out);
    }
  } breaking;
  scenario s{{.settings = few(1), .rows = &breaking}};
  s.publish("alice", {.body = "t1:open"});
  s.publish("carol", {.body = "t1:open"});
  s.publish("carol", {.body = "t2:open"});
  breaking.broken = true;
  CHECK(s.publish("alice", {.body = "t2:open"}) == "503 Retry-After=5");
  CHECK(s.publish("carol", {.body = "t3:open"}).starts_with("200"));
  breaking.broken = false;
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P(t1:open)");
}

TEST_CASE("bounds of memory need a database that has everything (T10)") {
  options o = few(5);
  CHECK(o.check());
  o.fallback2db = false;
  CHECK(o.check().error() == "cache_states and cache_bytes need fallback2db and subs_db_mode 1: what leaves memory has to be in the database");
  o.fallback2db = true;
  o.subs_db_mode = 3;
  CHECK_FALSE(o.check());
  CHECK(o.set("cache_policy", "arc").error() == "cache_policy must be fifo, lru, slru, sieve, s3-fifo, w-tinylfu or unbounded");
  for (const auto& policy : cache::known_policies) CHECK(o.set("cache_policy", policy.name));
}
