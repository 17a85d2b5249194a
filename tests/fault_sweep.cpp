// RL2: any storage call may fail (T17, T18, PUB-6.0-1, PUB-6.5-8, TV-16): publications, subscriptions, time.
#include "fault_sweep.hpp"

using namespace presence;
using namespace presence::test;

namespace {

void nobody(scenario&) {}
void watched(scenario& s) {
  s.publish("alice", {.body = "t1:open", .expires = 1000s});
  s.subscribe("d1", {.by = "bob", .expires = 2000s});
  s.subscribe("d2", {.by = "carol", .expires = 3000s});
}
void undecided_watcher(scenario& s) {
  s.policy["bob"] = sub_handling::confirm;
  watched(s);
}

const flow flows[] = {
    {"publish: create, nobody watches", nobody, [](scenario& s) { return s.publish("alice", {.body = "t1:open"}); }},
    {"publish: create, two watch", watched, [](scenario& s) { return s.publish("alice", {.body = "t2:open"}); }},
    {"publish: refresh", watched, [](scenario& s) { return s.publish("alice", {.if_match = "e1", .expires = 500s}); }},
    {"publish: modify", watched, [](scenario& s) { return s.publish("alice", {.body = "t1:closed", .if_match = "e1"}); }},
    {"publish: modify, the same document", watched,
     [](scenario& s) { return s.publish("alice", {.body = "t1:open", .if_match = "e1", .expires = 700s}); }},
    {"publish: remove", watched, [](scenario& s) { return s.publish("alice", {.if_match = "e1", .expires = 0s}); }},
    {"publish: remove, the last of all", [](scenario& s) { s.publish("alice", {.body = "t1:open"}); },
     [](scenario& s) { return s.publish("alice", {.if_match = "e1", .expires = 0s}); }},
    {"publish: create, lapse of another one on the way",
     [](scenario& s) {
       watched(s);
       s.publish("alice", {.body = "t9:open", .expires = 60s});
       s.at += 60s;
     },
     [](scenario& s) { return s.publish("alice", {.body = "t2:open"}); }},
    {"publish: a watcher has a NOTIFY unanswered",
     [](scenario& s) {
       s.answers = false;
       s.subscribe("d1", {.by = "bob", .expires = 600s});
     },
     [](scenario& s) { return s.publish("alice", {.body = "t2:open"}); }},

    {"subscribe: create", nobody, [](scenario& s) { return s.subscribe("d3", {.by = "dave", .expires = 600s}); }},
    {"subscribe: create, lapse of a document on the way",
     [](scenario& s) {
       watched(s);
       s.at += 1000s;
     },
     [](scenario& s) { return s.subscribe("d3", {.by = "dave", .expires = 600s}); }},
    {"subscribe: create, pending", [](scenario& s) { s.policy["dave"] = sub_handling::confirm; },
     [](scenario& s) { return s.subscribe("d3", {.by = "dave", .expires = 600s}); }},
    {"subscribe: create, who waited is allowed",
     [](scenario& s) {
       s.policy["dave"] = sub_handling::confirm;
       s.subscribe("d3", {.by = "dave", .expires = 0s});
       s.policy["dave"] = sub_handling::allow;
     },
     [](scenario& s) { return s.subscribe("d4", {.by = "dave", .expires = 600s}); }},
    {"subscribe: another usage of a dialog", watched,
     [](scenario& s) { return s.subscribe("d1", {.expires = 600s, .event = "presence;id=7"}); }},
    {"subscribe: refresh", watched,
     [](scenario& s) { return s.subscribe("d1", {.expires = 600s, .contact = "sip:bob@new.example.com"}); }},
    {"subscribe: refresh, approved meanwhile",
     [](scenario& s) {
       undecided_watcher(s);
       s.policy["bob"] = sub_handling::allow;
     },
     [](scenario& s) { return s.subscribe("d1", {.expires = 600s}); }},
    {"subscribe: unsubscribe", watched, [](scenario& s) { return s.subscribe("d1", {.expires = 0s}); }},
    {"subscribe: unsubscribe, pending", undecided_watcher, [](scenario& s) { return s.subscribe("d1", {.expires = 0s}); }},
    {"subscribe: fetch", watched, [](scenario& s) { return s.subscribe("d3", {.by = "dave", .expires = 0s}); }},
    {"subscribe: fetch, pending",
     [](scenario& s) {
       watched(s);
       s.policy["dave"] = sub_handling::confirm;
     },
     [](scenario& s) { return s.subscribe("d3", {.by = "dave", .expires = 0s}); }},

    {"rules: approve", undecided_watcher, [](scenario& s) { return s.decide("bob", sub_handling::allow); }},
    {"rules: refuse", undecided_watcher, [](scenario& s) { return s.decide("bob", sub_handling::block); }},
    {"rules: several at once",
     [](scenario& s) {
       undecided_watcher(s);
       s.subscribe("d3", {.by = "dave", .expires = 600s});
       s.policy["carol"] = sub_handling::block;
       s.policy["dave"] = sub_handling::polite_block;
     },
     [](scenario& s) { return s.decide("bob", sub_handling::allow); }},
    {"rules: who waits is decided about",
     [](scenario& s) {
       s.policy["dave"] = sub_handling::confirm;
       s.subscribe("d3", {.by = "dave", .expires = 0s});
     },
     [](scenario& s) { return s.decide("dave", sub_handling::block); }},
    {"state changed behind the engine", watched,
     [](scenario& s) {
       return s.told(s.engine->refresh_watchers("sip:alice@example.com", "presence", refresh_type::state, s.at));
     }},

    {"time: a document lapses",
     [](scenario& s) {
       watched(s);
       s.at += 1000s;
     },
     due, true},
    {"time: a subscription lapses",
     [](scenario& s) {
       s.subscribe("d1", {.by = "bob", .expires = 90s});
       s.at += 90s;
     },
     due, true},
    {"time: everything lapses, in slices",
     [](scenario& s) {
       s.policy["bob"] = sub_handling::confirm;
       s.given.settings.advance_budget = 1;
       watched(s);
       s.publish("carol", {.body = "t1:open", .expires = 60s});
       s.at += 3000s;
     },
     due, true},
    {"time: a pending subscription lapses",
     [](scenario& s) {
       undecided_watcher(s);
       s.at += 2000s;
     },
     due, true},
    {"time: nobody decided",
     [](scenario& s) {
       s.policy["dave"] = sub_handling::confirm;
       s.subscribe("d3", {.by = "dave", .expires = 0s});
       s.at += 7 * 24h;
     },
     due, true},

    {"outcome: 481",
     [](scenario& s) {
       s.answers = false;
       watched(s);
     },
     [](scenario& s) { return s.outcome("d1", 1, 481); }},
    {"outcome: 200, a change is owed",
     [](scenario& s) {
       watched(s);
       s.answers = false;
       s.publish("alice", {.body = "t2:open"});
       s.publish("alice", {.body = "t3:open"});
     },
     [](scenario& s) { return s.outcome("d1", 2, 200); }},

    {"flush", watched,
     [](scenario& s) { return std::string{s.engine->flush(s.at) ? "flushed" : "503 Retry-After=5"}; }},
    {"a package is added",
     [](scenario& s) {
       REQUIRE(s.engine->add_event(opaque_package("later"), s.at));
       s.publish("alice", {.raw = "x", .type = "text/plain", .event = "later"});
       s.subscribe("d1", {.expires = 600s, .event = "later"});
       s.restart();
     },
     [](scenario& s) {
       return std::string{s.engine->add_event(opaque_package("later"), s.at) ? "added" : "503 Retry-After=5"};
     }},
};

}  // namespace

TEST_CASE_TEMPLATE("whichever storage call fails, nothing is half done and the same again succeeds (RL2, T17, T18, TV-16)", Place,
                   EVERY_STORAGE) {
  const std::size_t swept = sweep<Place>(flows);
  MESSAGE(swept, " faults");
  CHECK(swept > 2 * std::size(flows) - 10);
}

TEST_CASE_TEMPLATE("whichever change is made and not answered for, memory and database agree and the same again succeeds (RL2, T17, T18)",
                   Place, EVERY_STORAGE) {
  const std::size_t swept = sweep_unanswered<Place>(flows);
  MESSAGE(swept, " answers lost");
  CHECK(swept > 4 * std::size(flows) - 20);
}

TEST_CASE("while the database is gone every request is told to come back, and time waits (RL2, T18)") {
  memory_storage held;
  faulty_storage rows{held};
  scenario s{{.rows = &rows}};
  watched(s);
  const picture before = look(s, held);
  rows.fail_all(true);
  CHECK(s.publish("alice", {.body = "t2:open"}) == "503 Retry-After=5");
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "503 Retry-After=5");
  CHECK(s.subscribe("d1", {.expires = 600s}) == "503 Retry-After=5");
  CHECK(s.subscribe("d1", {.expires = 0s}) == "503 Retry-After=5");
  CHECK(s.subscribe("d9", {.by = "eve", .expires = 600s}) == "503 Retry-After=5");
  CHECK(look(s, held) == before);
  s.at += 1000s;
  int rounds = 0;
  for (const instant until = s.at + 60s; s.at < until; ++rounds) {  // a host that sleeps until next_deadline()
    CHECK(due(s) == "");
    REQUIRE(s.engine->next_deadline());
    REQUIRE(*s.engine->next_deadline() > s.at);
    s.at = *s.engine->next_deadline();
  }
  CHECK(rounds <= 14);
  CHECK(s.engine->stats().publications == 1);
  rows.fail_all(false);
  CHECK(s.wait(5s).find("P()") != std::string::npos);
  CHECK(s.engine->stats().publications == 0);
  CHECK(s.engine->stats().subscriptions == 2);
}

TEST_CASE("a fault shortly before the sweep makes no host spin (RL2, M01, M02)") {
  memory_storage held;
  faulty_storage rows{held};
  scenario s{{.rows = &rows}};  // swept each 100 s
  watched(s);
  s.wait_until(98s);
  rows.fail(1);
  CHECK(s.publish("alice", {.body = "t2:open"}) == "503 Retry-After=5");
  for (const seconds at : {100s, 101s, 102s}) {
    s.at = start + at;
    s.engine->advance(s.at);
    REQUIRE(s.engine->next_deadline());
    CHECK(*s.engine->next_deadline() > s.at);
  }
}

TEST_CASE("what a watcher is owed is not forgotten when it cannot be written down (RL2, PROP-7, HOST-12)") {
  memory_storage held;
  faulty_storage rows{held};
  options settings;
  settings.cseq_block = 1;
  scenario s{{.settings = settings, .rows = &rows}};
  s.subscribe("d1", {.expires = 600s});
  s.answers = false;
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600 | N d1#2 active;expires=600 P(t1:open)");
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600");
  rows.fail(1);
  CHECK(s.outcome("d1", 2, 200) == "");  // reported once, as hosts do
  CHECK(s.wait(10s) == "N d1#3 active;expires=595 P(t1:closed)");  // options::retry_after later
}

TEST_CASE("a package that cannot compose does not stop the clock, and makes no host spin (L11, M01)") {
  bool throws = false;
  event_package package = opaque_package("thrower");
  const auto composed = [&](const body& state) {
    if (throws) throw std::runtime_error{"made to fail"};
    return state;
  };
  package.aggregate = [&](std::string_view, std::span<const published> all) { return composed(all.front().content); };
  package.neutral = [&](std::string_view) { return composed({"text/plain", "none"}); };
  scenario s{{.packages = {package}}};
  s.publish("alice", {.raw = "x", .type = "text/plain", .expires = 60s, .event = "thrower"});
  s.subscribe("d1", {.expires = 600s, .event = "thrower"});
  throws = true;
  CHECK(s.publish("alice", {.raw = "y", .type = "text/plain", .event = "thrower"}) == "500");
  CHECK(s.subscribe("d2", {.by = "carol", .expires = 600s, .event = "thrower"}).starts_with("200 "));  // nothing to compose anew
  s.at += 60s;
  CHECK(s.engine->advance(s.at).notifies.empty());
  CHECK(s.engine->stats().publications == 1);
  s.audit();
  REQUIRE(s.engine->next_deadline());
  CHECK(*s.engine->next_deadline() > s.at);
  throws = false;
  CHECK(s.publish("alice", {.raw = "z", .type = "text/plain", .event = "thrower"}).find("N d1#2 active;expires=540 [z]") != std::string::npos);
}
