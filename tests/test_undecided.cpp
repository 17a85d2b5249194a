// Watchers nobody decided about: how long their subscriptions and they themselves are kept (conformance 5.2, features E4).
#include "all_rows.hpp"
#include "faulty_storage.hpp"
#include "scenario.hpp"

#include <set>

#include <presence/memory_storage.hpp>
#include <presence/packages.hpp>

using namespace presence;
using namespace presence::test;

namespace {

using enum sub_handling;

struct undecided_about : scenario {
  explicit undecided_about(options settings, storage* rows = nullptr)
      : scenario{{.settings = std::move(settings), .rows = rows, .authorized = true, .winfo = true}} {
    policy["bob"] = confirm;
  }
  std::string owner() { return subscribe("d9", {.by = "alice", .expires = 3600s, .event = "presence.winfo"}); }
};

options database_first(int db_mode, options o) {
  o.fallback2db = db_mode == 1;
  o.subs_db_mode = db_mode;
  o.cseq_block = 1;
  return o;
}

std::size_t stored_watchers(memory_storage& rows) { return all_rows<watcher_row>(rows).size(); }

/// Whether somebody in the database is taken to have waited too long.
bool due(memory_storage& rows, instant now, seconds waiting_limit) {
  std::vector<state_name> found;
  REQUIRE(rows.due({now, now - waiting_limit}, {"presence", "presence.winfo"}, 10, found));
  return !found.empty();
}

}  // namespace

TEST_CASE("a pending subscription is given up after pending_limit, however often it is refreshed (WIN-FSM-7)") {
  undecided_about s{{.pending_limit = 100s}};
  s.owner();
  CHECK(s.subscribe("d1", {.expires = 600s}) ==
        "200 Expires=100 | N d1#1 pending;expires=100 | N d9#2 active;expires=3600 W1 partial(w1:pending:subscribe:bob:100:0)");
  s.wait_until(60s);
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=40 | N d1#2 pending;expires=40");
  CHECK(s.wait_until(99s) == "");
  SUBCASE("nobody decides") {
    CHECK(s.wait_until(100s) == "N d1#3 terminated;reason=giveup | N d9#3 active;expires=3500 W2 partial(w1:terminated:giveup:bob:-:100)");
    CHECK(s.owner() == "200 Expires=3600 | N d9#4 active;expires=3600 W3 full()");  // he does not wait
    CHECK(s.stats().undecided == 0);
    CHECK(s.subscribe("d2", {.expires = 600s}).starts_with("200 Expires=100 | N d2#1 pending;expires=100"));
  }
  SUBCASE("the last moment") {
    s.at += 500ms;
    CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=1 | N d1#3 pending;expires=1");
    const std::string when = s.given.settings.subs_db_mode == 3 ? "101" : "100";  // at the next look
    CHECK(s.wait_until(101s) == "N d1#4 terminated;reason=giveup | N d9#3 active;expires=3499 W2 partial(w1:terminated:giveup:bob:-:" + when + ")");
  }
  SUBCASE("somebody decides in time") {
    CHECK(s.decide("bob", allow).starts_with("N d1#3 active;expires=1 P()"));
    CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#4 active;expires=600 P()");
    CHECK(s.wait_until(698s) == "");
  }
  SUBCASE("somebody decides, and the engine is not told") {
    s.policy["bob"] = allow;
    CHECK(s.wait_until(100s) == "N d1#3 terminated;reason=timeout | N d9#3 active;expires=3500 W2 partial(w1:terminated:approved:bob:-:100)");
  }
  SUBCASE("he leaves") {
    CHECK(s.subscribe("d1", {.expires = 0s}) ==
          "200 Expires=0 | N d1#3 terminated;reason=timeout | N d9#3 active;expires=3501 W2 partial(w1:waiting:timeout:bob:-:99)");
  }
}

TEST_CASE("a shorter lifetime than is left of pending_limit is granted as asked, and then he waits (WIN-FSM-7)") {
  undecided_about s{{.pending_limit = 100s}};
  s.owner();
  CHECK(s.subscribe("d1", {.expires = 60s}).starts_with("200 Expires=60 | N d1#1 pending;expires=60"));
  CHECK(s.wait_until(60s) == "N d1#2 terminated;reason=timeout | N d9#3 active;expires=3540 W2 partial(w1:waiting:timeout:bob:-:60)");
}

TEST_CASE("pending_limit counts from the first SUBSCRIBE over a restart, in every mode (WIN-FSM-7)") {
  for (const int mode : {0, 1, 2, 3}) {
    CAPTURE(mode);
    memory_storage rows;
    options o{.pending_limit = 100s};
    undecided_about s{mode == 0 ? o : mode == 2 ? options{.subs_db_mode = 2, .pending_limit = 100s} : database_first(mode, o), &rows};
    s.subscribe("d1", {.expires = 600s});
    s.wait_until(60s);
    REQUIRE(s.engine->flush(s.at));
    s.restart();
    CHECK(s.subscribe("d1", {.expires = 600s}).starts_with("200 Expires=40 | N d1#2 pending;expires=40"));
    CHECK(s.wait_until(101s) == "N d1#3 terminated;reason=giveup");
    REQUIRE(s.engine->flush(s.at));
    CHECK(stored_watchers(rows) == 0);
  }
}

TEST_CASE("who has another pending subscription does not wait before that ends, nor is he due in the database (M10, WIN-FSM-4)") {
  memory_storage rows;
  undecided_about s{{.waiting_limit = 100s}, &rows};
  s.subscribe("d1", {.expires = 60s});
  s.subscribe("d2", {.expires = 600s});
  CHECK(s.wait(60s) == "N d1#2 terminated;reason=timeout");
  REQUIRE(s.engine->flush(s.at));
  CHECK_FALSE(due(rows, s.at + 539s, 100s));
  CHECK(s.wait(540s) == "N d2#2 terminated;reason=timeout");
  REQUIRE(s.engine->flush(s.at));
  CHECK_FALSE(due(rows, s.at + 99s, 100s));
  CHECK(due(rows, s.at + 100s, 100s));
}

TEST_CASE("a storage that cannot be read as a pending subscription ends is no package that throws (RL2, T07, Z12)") {
  event_package asked = opaque_package("asked");
  asked.req_auth = true;
  asked.authorize = [](const authorization_query&) -> authorization { return confirm; };
  options settings;
  settings.fallback2db = settings.enable_sphere_check = true;
  settings.clean_period = 0s;
  std::size_t nth = 0;
  for (bool failed = true; failed;) {
    ++nth;
    CAPTURE(nth);
    memory_storage rows;
    faulty_storage faulty{rows};
    scenario s{{.settings = settings, .rows = &faulty, .packages = {asked}}};
    s.subscribe("d1", {.expires = 60s, .event = "asked"});
    s.at += 60s;
    faulty.fail(nth);
    const effects out = s.engine->advance(s.at);
    failed = faulty.failed() != 0;
    CHECK(out.storage_failed == failed);
    CHECK(s.told(out) == (failed ? "" : "N d1#2 terminated;reason=timeout"));
    s.at += 5s;
    CHECK(s.told(s.engine->advance(s.at)) == (failed ? "N d1#2 terminated;reason=timeout" : ""));
  }
  CHECK(nth > 4);  // what is due, what tells the sphere, the change
}

TEST_CASE("who gives up with one subscription as another of his ends waits in memory and in the database, or in neither (WIN-FSM-7, M10)") {
  // which of those that end in one call is the last is not told: each lifetime puts the two into other places
  std::set<std::size_t> seen;
  for (const seconds lifetime : {60s, 65s, 70s, 80s}) {
    CAPTURE(lifetime.count());
    memory_storage rows;
    undecided_about s{{.pending_limit = 100s}, &rows};
    s.subscribe("d1", {.expires = 600s});
    s.wait(30s);
    s.subscribe("d2", {.expires = lifetime});
    s.at += 90s;
    const std::string told = s.told(s.engine->advance(s.at));
    CAPTURE(told);
    CHECK(told.find("d1#2 terminated;reason=giveup") != std::string::npos);
    CHECK(told.find("d2#2 terminated;reason=timeout") != std::string::npos);
    REQUIRE(s.engine->flush(s.at));
    CHECK(stored_watchers(rows) == s.stats().undecided);
    seen.insert(s.stats().undecided);
  }
  CHECK(seen.contains(0));
}

TEST_CASE("who ends one subscription in the call that approves another of his is told to wait, and does (WIN-FSM-2, WIN-FSM-4)") {
  memory_storage rows;
  event_package p = opaque_package("door");
  p.req_auth = p.winfo = true;
  p.authorize = [](const authorization_query& q) -> authorization {
    if (q.watcher.proves("sip:alice@example.com")) return allow;
    authorization said{q.watcher.uri.empty() && q.now >= start + 60s ? allow : confirm};
    said.until = start + 60s;
    return said;
  };
  scenario s{{.rows = &rows, .packages = {p}}};
  s.subscribe("d9", {.by = "alice", .event = "door.winfo"});
  s.subscribe("d1", {.event = "door"});
  s.subscribe("d2", {.event = "door", .unproven = true});
  s.at += 60s;
  const std::string told = s.subscribe("d1", {.expires = 0s, .event = "door"});
  CAPTURE(told);
  CHECK(told.find("d2#2 active") != std::string::npos);
  CHECK(told.find("waiting:timeout:bob") != std::string::npos);
  CHECK(s.stats().undecided == 1);
  REQUIRE(s.engine->flush(s.at));
  CHECK(stored_watchers(rows) == 1);
}

TEST_CASE("who has a pending subscription has not waited too long, however long he has it (M10, WIN-FSM-6)") {
  for (const int mode : {1, 3}) {
    CAPTURE(mode);
    memory_storage rows;
    constexpr seconds limit{100};
    undecided_about s{database_first(mode, {.waiting_limit = limit}), &rows};
    s.subscribe("d1", {.expires = 600s});
    s.subscribe("f1", {.expires = 0s});
    s.wait_until(550s);
    CHECK_FALSE(due(rows, s.at, limit + 500s));
    s.subscribe("d1", {.expires = 600s});
    s.wait_until(1100s);
    CHECK_FALSE(due(rows, s.at, limit));
    CHECK(s.subscribe("d1", {.expires = 0s}).starts_with("200"));
    s.wait_until(1199s);
    CHECK_FALSE(due(rows, s.at, limit));
    SUBCASE("he tries again before his time is up") {
      CHECK(s.subscribe("d2", {.expires = 600s}).starts_with("200"));
      s.wait_until(1798s);
      CHECK_FALSE(due(rows, s.at, limit));
      CHECK(s.wait_until(1800s) == "N d2#2 terminated;reason=timeout");
      CHECK_FALSE(due(rows, s.at + limit - 2s, limit));
    }
    CHECK(due(rows, s.at + limit, limit));
    s.wait(limit + 2s);  // nobody is left
    CHECK(stored_watchers(rows) == 0);
  }
}

TEST_CASE("who waits is decided about by all addresses he proved, also after a restart (POL-4745-id-5)") {
  for (const bool restarted : {false, true}) {
    CAPTURE(restarted);
    memory_storage rows;
    bool decided = false;
    event_package p = opaque_package("door");
    p.req_auth = p.winfo = true;
    p.authorize = [&](const authorization_query& q) {
      if (!decided) return confirm;
      return q.watcher.proves("sip:robert@example.org") && q.watcher.proves("sip:bob@example.com") ? allow : confirm;
    };
    scenario s{{.rows = &rows, .packages = {p}}};
    s.subscribe("d9", {.by = "alice", .event = "door.winfo"});
    s.subscribe("d1", {.expires = 60s, .event = "door", .also = {"sip:b@example.net", "sip:robert@EXAMPLE.org"}});
    s.subscribe("c1", {.by = "carol", .expires = 60s, .event = "door"});
    s.wait(61s);
    if (restarted) s.restart();
    decided = true;
    std::string told = s.told(s.engine->refresh_watchers(address("alice"), "door", refresh_type::authorization, s.at));
    told += s.wait(0s);
    CAPTURE(told);
    CHECK(told.find("terminated:approved:bob") != std::string::npos);
    CHECK(told.find("terminated:approved:carol") == std::string::npos);
    const std::string left = s.subscribe("d9", {.expires = 600s});
    CHECK(left.find("waiting:timeout:carol") != std::string::npos);
    CHECK(left.find(":bob:") == std::string::npos);
  }
}

TEST_CASE("whoever is decided about by the call that fetches for him is gone when it returns (M10, Z11)") {
  // asked at the door he is not known yet, and a moment later he is
  options settings;
  settings.server_address = "sip:server.example.com";
  seeded_random random{1};
  engine e{settings, {}, nullptr, &random};
  std::vector<sub_handling> answers{confirm, confirm};
  event_package package = presence_package();
  package.req_auth = true;
  package.authorize = [&](const authorization_query& q) {
    authorization said{answers.empty() ? allow : answers.back()};
    if (!answers.empty()) answers.pop_back();
    said.until = q.now + 60s;
    return said;
  };
  REQUIRE(e.add_event(std::move(package), start));
  const auto subscribe = [&](std::string_view call_id, seconds expires, instant now) {
    return e.subscribe({.resource = "sip:alice@example.com", .event = "presence", .expires = expires, .call_id = call_id, .from_tag = "f",
                        .from_uri = "sip:bob@example.com", .contact = "sip:bob@192.0.2.1", .cseq = 1, .who = {.uri = "sip:bob@example.com"}},
                       now);
  };
  CHECK(subscribe("c1", 3600s, start).answer.status == 200);
  CHECK(e.stats().undecided == 1);
  CHECK(subscribe("c2", 0s, start + 60s).answer.status == 200);
  CHECK(answers.empty());
  CHECK(e.stats().undecided == 0);
  CHECK(e.check() == std::nullopt);
}
