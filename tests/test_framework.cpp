// Rules of RFC 6665 that cut across: how subscriptions end, what every NOTIFY has.
#include "scenario.hpp"

#include <presence/memory_storage.hpp>

using namespace presence;
using namespace presence::test;

TEST_CASE("a host ends subscriptions with each reason, and retry-after goes with two of them "
          "(N05, N06, DELTA-4, EVT-4.1.3-deactivated, -probation, -giveup, -noresource, -invariant, EVT-4.2.2-5, TV-40, TRAP-10, S32, EVT-4.4.2-1, PRS-6.11.2-1)") {
  const struct {
    end_reason reason;
    std::string_view told;
  } rows[] = {{end_reason::deactivated, "terminated;reason=deactivated"},
              {end_reason::probation, "terminated;reason=probation;retry-after=120"},
              {end_reason::rejected, "terminated;reason=rejected"},
              {end_reason::noresource, "terminated;reason=noresource"},
              {end_reason::invariant, "terminated;reason=invariant P(t1:open)"}};
  for (const auto& row : rows) {
    memory_storage held;
    scenario s{{.rows = &held}};
    s.publish("alice", {.body = "t1:open"});
    s.subscribe("d1", {.expires = 600s});
    s.subscribe("d2", {.by = "carol", .expires = 600s});
    s.subscribe("d3", {.by = "carol", .to = "dave", .expires = 600s});
    const std::string told{row.told};
    CHECK(s.told(s.engine->terminate_watchers("sip:alice@example.com", "presence", row.reason, s.at, 120s)) ==
          "N d1#2 " + told + " | N d2#2 " + told);
    CHECK(s.subscribe("d1", {.expires = 600s}) == "481");
    CHECK(s.engine->count_subscriptions({}) == 1);
    s.restart();
    CHECK(s.engine->count_subscriptions({}) == 1);
  }
}

TEST_CASE("giving up ends only those who wait for a decision (EVT-4.1.3-giveup)") {
  scenario s{{.authorized = true}};
  s.policy["bob"] = sub_handling::confirm;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  CHECK(s.told(s.engine->terminate_watchers("", "", end_reason::giveup, s.at, 60s)) ==
        "N d1#2 terminated;reason=giveup;retry-after=60");
  CHECK(s.stats().undecided == 0);
}

TEST_CASE("a resource that is gone takes its publications and its watchers with it (EVT-4.1.3-noresource, TV-40)") {
  memory_storage held;
  scenario s{{.rows = &held}};
  s.publish("alice", {.body = "t1:open"});
  s.subscribe("d1", {.expires = 600s});
  CHECK(s.told(s.engine->remove_resource("sip:alice@example.com", s.at)) == "N d1#2 terminated;reason=noresource");
  CHECK(s.publish("alice", {.if_match = "e1"}) == "412");
  CHECK(s.engine->stats().resources == 0);
  s.restart();
  CHECK(s.stats().publications == 0);
}

TEST_CASE("a NOTIFY follows every 2xx, pending and fetch included, and tells the time left while there is any "
          "(N02, DELTA-2, DELTA-5, EVT-4.2.1.2-4, EVT-4.1.3-timeout)") {
  scenario s{{.authorized = true}};
  s.policy["bob"] = sub_handling::confirm;
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 pending;expires=600");
  CHECK(s.subscribe("d1", {.expires = 300s}) == "200 Expires=300 | N d1#2 pending;expires=300");
  CHECK(s.subscribe("d1", {.expires = 0s}) == "200 Expires=0 | N d1#3 terminated;reason=timeout");
  CHECK(s.subscribe("d2", {.by = "carol", .expires = 0s}) == "200 Expires=0 | N d2#1 terminated;reason=timeout P()");
  CHECK(s.subscribe("d3", {.by = "carol", .expires = 60s}) == "200 Expires=60 | N d3#1 active;expires=60 P()");
  CHECK(s.wait(60s) == "N d3#2 terminated;reason=timeout");
}

TEST_CASE("a NOTIFY repeats package and id of its subscription and no other parameter (EVT-4.2.1.1-8, EVT-3.1.2-2, S07)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=7;x=y"});
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=8"});
  CHECK(s.dialogs["d1"].notifies[0].dialog.event() == "presence;id=7");
  CHECK(s.dialogs["d1"].notifies[1].dialog.event() == "presence;id=8");
  CHECK(s.stats().subscriptions == 2);
}

TEST_CASE("a refresh moves the target, also that of the answering NOTIFY (DELTA-10)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .contact = "sip:old@192.0.2.1"});
  s.subscribe("d1", {.expires = 600s, .contact = "sip:new@192.0.2.2"});
  CHECK(s.dialogs["d1"].notifies[0].dialog.remote_target() == "sip:old@192.0.2.1");
  CHECK(s.dialogs["d1"].notifies[1].dialog.remote_target() == "sip:new@192.0.2.2");
}

TEST_CASE("a watcher who stops accepting the package's type is refused, and keeps what he had (EVT-4.2.2-14, S08)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .accept = "application/pidf+xml"});
  CHECK(s.subscribe("d1", {.expires = 600s, .accept = "text/plain"}) == "406");
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600 | N d1#2 active;expires=600 P(t1:open)");
}

TEST_CASE("a change is told at once; a failure of a NOTIFY is told to nobody (EVT-4.2.2-1, PUB-7.7-1, EVT-FSM-5)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  s.answers = false;
  CHECK(s.publish("alice", {.body = "t1:open"}) ==
        "200 e1 Expires=3600 | N d1#2 active;expires=600 P(t1:open) | N d2#2 active;expires=600 P(t1:open)");
  CHECK(s.outcome("d1", 2, 0) == "");
  CHECK(s.outcome("d2", 2, 200) == "");
  CHECK(s.stats().subscriptions == 1);
}

TEST_CASE("a publication is known by resource, package and tag, whoever sends it from wherever (PUB-4.1-1, PUB-6.3-1, PUB-6.5-5)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  CHECK(s.publish("alice", {.body = "t1:open", .by = "-"}) == "200 e1 Expires=3600 | N d1#2 active;expires=600 P(t1:open)");
  CHECK(s.publish("alice", {.if_match = "e1", .by = "alice"}) == "200 e2 Expires=3600");  // only the time changes
  CHECK(s.publish("alice", {.if_match = "e2", .event = "message-summary"}) == "412");
}

TEST_CASE("durations and minima are those of the package where it has its own (SEC-DOS-10, EVT-5.4-1, PUB-10.1-1)") {
  event_package seize = opaque_package("line-seize");
  seize.default_expires = 15s;
  seize.min_expires = 5s;
  seize.max_expires = 20s;
  scenario s{{.packages = {seize}}};
  CHECK(s.subscribe("d1", {.event = "line-seize"}) == "200 Expires=15 | N d1#1 active;expires=15");
  CHECK(s.subscribe("d2", {.expires = 4s, .event = "line-seize"}) == "423 Min-Expires=5");
  CHECK(s.subscribe("d3", {.expires = 3600s, .event = "line-seize"}) == "200 Expires=20 | N d3#1 active;expires=20");
  CHECK(presence_package().content_types.front() == "application/pidf+xml");
}

TEST_CASE("a package that makes no sense is not registered (L04, Q04)") {
  engine e;
  CHECK_FALSE(e.add_event({.name = "a b"}, start));
  CHECK_FALSE(e.add_event({.name = "x", .default_expires = -1s}, start));
  CHECK_FALSE(e.add_event({.name = "x", .max_expires = 0s}, start));
  CHECK_FALSE(e.add_event({.name = "x", .notify_headers = "no line"}, start));
  CHECK_FALSE(e.add_event({.name = "x", .notify_headers = "A: b\r\nInjected\r\n"}, start));
  CHECK_FALSE(e.add_event({.name = "x", .req_auth = true}, start));
  CHECK(e.add_event({.name = "x", .notify_headers = "Supported: eventlist\r\n"}, start));
}
