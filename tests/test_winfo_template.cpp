// The template of watcher information on itself, and who may see how much of it (RFC 3857 sections 4.1 and 4.6).
#include "scenario.hpp"

#include <presence/memory_storage.hpp>
#include <presence/packages.hpp>

using namespace presence;
using namespace presence::test;

namespace {

/// Alice's watchers, and who watches them.
struct two_levels : scenario {
  explicit two_levels(bool by_winfo, storage* rows = nullptr)
      : scenario{{.rows = rows, .winfo = !by_winfo, .packages = {package(by_winfo)}}} {}
  static event_package package(bool by_winfo) {
    event_package p = watcherinfo_package(by_winfo ? "presence" : "presence.winfo");
    p.winfo = by_winfo;
    return p;
  }
  std::string owner(const std::string& dialog, const std::string& event) {
    return subscribe(dialog, {.by = "alice", .expires = 3600s, .event = event});
  }
};

}  // namespace

TEST_CASE("watcher information has watchers, too, and their owner is told of them (W07, EVT-5.2-1, WIN-4.1-1, WIN-4.6-3)") {
  for (const bool by_winfo : {false, true}) {
    CAPTURE(by_winfo);
    two_levels s{by_winfo};
    CHECK(s.engine->get_event_list().find("presence.winfo.winfo") != std::string::npos);
    CHECK(s.owner("d9", "presence.winfo.winfo") == "200 Expires=3600 | N d9#1 active;expires=3600 W0 full()");
    CHECK(s.dialogs["d9"].notifies[0].body_bytes().find("<watcher-list resource=\"sip:alice@example.com\" package=\"presence.winfo\">") != std::string::npos);
    CHECK(s.owner("d8", "presence.winfo") ==
          "200 Expires=3600 | N d8#1 active;expires=3600 W0 full() | N d9#2 active;expires=3600 W1 partial(w1:active:subscribe:alice:3600:0)");
    CHECK(s.subscribe("b1", {.expires = 600s}) ==  // a watcher of alice's is no watcher of her watchers
          "200 Expires=600 | N b1#1 active;expires=600 P() | N d8#2 active;expires=3600 W1 partial(w2:active:subscribe:bob:600:0)");
    CHECK(s.subscribe("b2", {.event = "presence.winfo"}) == "403 | N d9#3 active;expires=3600 W2 partial(w3:terminated:rejected:bob:-:0)");
    CHECK(s.subscribe("b3", {.event = "presence.winfo.winfo"}) == "403");
    CHECK(s.owner("d7", "presence.winfo.winfo.winfo").starts_with("489"));
    s.wait(10s);
    CHECK(s.owner("d9", "presence.winfo.winfo") == "200 Expires=3600 | N d9#4 active;expires=3600 W3 full(w1:active:subscribe:alice:3590:10)");
    CHECK(s.subscribe("d8", {.expires = 0s}).find("| N d9#5 active;expires=3600 W4 partial(w1:terminated:timeout:alice:-:10)") != std::string::npos);
  }
}

TEST_CASE("the numbers of both levels go on after a restart, with full documents first (W07, WIN-58-2, WIN-58-7)"
          * not_in("bounded database_only", "nothing is read at a start, so nobody is told then")) {
  for (const bool by_winfo : {false, true}) {
    CAPTURE(by_winfo);
    memory_storage rows;
    two_levels s{by_winfo, &rows};
    s.owner("d9", "presence.winfo.winfo");
    s.owner("d8", "presence.winfo");
    REQUIRE(s.engine->flush(s.at));
    s.restart();
    CHECK(s.subscribe("b1", {.expires = 600s}).starts_with("200 Expires=600 | N b1#1"));
    CHECK(s.wait(0s) == "N d8#2 active;expires=3600 W1 full(w2:active:subscribe:bob:600:0)");
    CHECK(s.owner("d7", "presence.winfo").starts_with("200 Expires=3600 | N d7#1 active;expires=3600 W0 full(w2"));
    CHECK(s.wait(0s) == "N d9#3 active;expires=3600 W2 full(w1:active:subscribe:alice:3600:0,w3:active:subscribe:alice:3600:0)");
  }
}

TEST_CASE("a watcher may be let in to see himself and nobody else (WIN-4.6-2)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
  memory_storage rows;
  scenario s{{.rows = &rows, .packages = {watcherinfo_package("presence", true)}}};
  s.subscribe("d9", {.by = "alice", .event = "presence.winfo"});
  CHECK(s.subscribe("b9", {.event = "presence.winfo"}) == "200 Expires=3600 | N b9#1 active;expires=3600 W0 full()");
  CHECK(s.subscribe("x9", {.event = "presence.winfo", .unproven = true}) == "403");
  CHECK(s.subscribe("y9", {.event = "presence.winfo", .anonymous = true}) == "403");
  CHECK(s.subscribe("b1", {.expires = 600s}) ==
        "200 Expires=600 | N b1#1 active;expires=600 P() | N d9#2 active;expires=3600 W1 partial(w1:active:subscribe:bob:600:0)"
        " | N b9#2 active;expires=3600 W1 partial(w1:active:subscribe:bob:600:0)");
  CHECK(s.subscribe("c1", {.by = "carol", .expires = 600s}) ==
        "200 Expires=600 | N c1#1 active;expires=600 P() | N d9#3 active;expires=3600 W2 partial(w2:active:subscribe:carol:600:0)");
  s.answers = false;
  s.subscribe("b2", {.expires = 600s});
  CHECK(s.subscribe("c1", {.expires = 0s}).find("N b9") == std::string::npos);  // nor what he could have missed
  CHECK(s.subscribe("b2", {.expires = 0s}).find("N b9") == std::string::npos);
  CHECK(s.outcome("b9", 3, 200) == "N b9#4 active;expires=3600 W3 full(w3:terminated:timeout:bob:-:0,w1:active:subscribe:bob:600:0)");
  s.outcome("b9", 4, 200);
  s.answers = true;
  s.restart();
  CHECK(s.subscribe("b9", {.expires = 600s}).find("carol") == std::string::npos);
  CHECK(s.dialogs["b9"].notifies.back().body_bytes().find("bob@example.com") != std::string::npos);
}

TEST_CASE("who is politely blocked from watcher information sees nobody (SEC-LEAK-1)") {
  event_package p = watcherinfo_package("presence");
  p.authorize = [](const authorization_query& q) { return q.watcher.proves(q.resource) ? sub_handling::allow : sub_handling::polite_block; };
  scenario s{{.packages = {p}}};
  s.subscribe("c1", {.by = "carol", .expires = 600s});
  CHECK(s.subscribe("b9", {.event = "presence.winfo"}) == "200 Expires=3600 | N b9#1 active;expires=3600 W0 full()");
  CHECK(s.subscribe("c2", {.by = "carol", .expires = 600s}) == "200 Expires=600 | N c2#1 active;expires=600 P()");
  CHECK(s.subscribe("d9", {.by = "alice", .event = "presence.winfo"}).find("full(w1:active:subscribe:carol") != std::string::npos);
}

TEST_CASE("who ends with the watchers he was told of leaves nothing to who comes next (SEC-LEAK-1)") {
  event_package p = opaque_package("foo");
  p.req_auth = true;
  p.authorize = [](const authorization_query& q) -> authorization {
    authorization answer{q.now < start + 60s || q.watcher.proves(address("carol")) ? sub_handling::allow : sub_handling::block};
    if (q.now < start + 60s) answer.until = start + 60s;
    return answer;
  };
  event_package w = watcherinfo_package("foo");
  w.authorize = p.authorize;
  scenario s{{.packages = {p, w}}};
  s.subscribe("w1", {.by = "alice", .event = "foo.winfo"});
  s.subscribe("d1", {.event = "foo"});
  const std::string both = s.wait_until(60s);
  CHECK(both.size() == std::string_view{"N w1#3 terminated;reason=rejected | N d1#2 terminated;reason=rejected"}.size());
  for (const char* one : {"N w1#3 terminated;reason=rejected", "N d1#2 terminated;reason=rejected"})
    CHECK(both.find(one) != std::string::npos);
  for (const std::string next : {"c1", "c2", "c3"})
    CHECK(s.subscribe(next, {.by = "carol", .to = "carol", .event = "foo.winfo"}) == "200 Expires=3600 | N " + next + "#1 active;expires=3600 W0 full()");
}
