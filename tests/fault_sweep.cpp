// RL2: any storage call may fail. Each flow runs once to count its storage calls, then once per call
// with that call failing. A failed call is answered 503 with Retry-After, or the flow did not need
// it; nothing is half done in memory or in the database; the same again then succeeds as if nothing
// had happened (T17, T18, PUB-6.0-1, PUB-6.5-8, TV-16).
#include "scenario.hpp"

#include <presence/memory_storage.hpp>

#include "faulty_storage.hpp"
#include "places.hpp"

using namespace presence;
using namespace presence::test;

namespace {

struct flow {
  const char* name;
  void (*before)(scenario&);
  std::string (*act)(scenario&);
  bool timed = false;  ///< advance() tries again by itself, options::retry_after later
};

/// Runs what is due now, without moving time.
std::string due(scenario& s) {
  std::string all;
  for (bool more = true; more;) {
    const effects out = s.engine->advance(s.at);
    more = out.more;
    const std::string line = s.told(out);
    if (!line.empty()) all += (all.empty() ? "" : " | ") + line;
  }
  return all;
}

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

/// Everything held, in memory and in the database.
struct picture {
  std::vector<publication_row> publications, stored_publications;
  std::vector<subscription_row> subscriptions, stored_subscriptions;
  std::vector<watcher_row> stored_watchers;
  std::size_t counts[4];
  bool operator==(const picture&) const = default;
};

picture look(const scenario& s, storage& rows) {
  picture p;
  p.publications = s.engine->publications({}, 0, 10'000).records;
  p.subscriptions = s.engine->subscriptions({}, 0, 10'000).records;
  for (cursor at; !at.done;) REQUIRE(rows.publications({}, at, 100, p.stored_publications));
  for (cursor at; !at.done;) REQUIRE(rows.subscriptions({}, at, 100, p.stored_subscriptions));
  for (cursor at; !at.done;) REQUIRE(rows.watchers({}, at, 100, p.stored_watchers));
  const engine_stats now = s.engine->stats();
  p.counts[0] = now.resources;
  p.counts[1] = now.publications;
  p.counts[2] = now.subscriptions;
  p.counts[3] = now.undecided;
  return p;
}

/// Without what may differ: tags are random, numbers may skip.
picture essence(picture p) {
  for (auto* all : {&p.publications, &p.stored_publications})
    for (auto& row : *all) {
      row.etag.clear();
      row.id = 0;
    }
  for (auto* all : {&p.subscriptions, &p.stored_subscriptions})
    for (auto& row : *all) {
      dialog_fields fields = row.dialog.fields();
      fields.local_tag = "";
      row.dialog = dialog{fields};
      row.local_cseq = row.remote_cseq = row.version = 0;
    }
  return p;
}

template <class Place>
struct run {
  Place place;
  faulty_storage rows{place.rows()};
  scenario s;
  explicit run(const flow& f) : s{setup(rows)} {
    f.before(s);
    s.audit();
  }
  static scenario::setup setup(storage& rows) {
    options settings;
    settings.cseq_block = 1;  // every NOTIFY is written down
    return {.settings = settings, .rows = &rows, .authorized = true};
  }
  picture look() { return ::look(s, place.rows()); }
};

}  // namespace

TEST_CASE_TEMPLATE("whichever storage call fails, nothing is half done and the same again succeeds (RL2, T17, T18, TV-16)", Place,
                   EVERY_STORAGE) {
  std::size_t swept = 0;
  for (const flow& f : flows) {
    const std::string name = f.name;
    CAPTURE(name);
    std::size_t calls = 0;
    std::string expected;
    picture expected_end;
    {
      run<Place> clean{f};
      const std::size_t before = clean.rows.calls();
      if (f.timed) clean.s.at += clean.s.given.settings.retry_after;
      expected = f.act(clean.s);
      calls = clean.rows.calls() - before;
      expected_end = clean.look();
      CHECK(calls < 12);  // statements per request are bounded
    }
    for (const auto fault : {storage_fault::unavailable, storage_fault::conflict}) {
      for (std::size_t nth = 1; nth <= calls; ++nth) {
        CAPTURE(nth);
        const std::string kind = fault == storage_fault::conflict ? "conflict" : "unavailable";
        CAPTURE(kind);
        run<Place> one{f};
        one.s.engine->report({}, one.s.at);  // no outcome: it only learns what time it is
        const picture before = one.look();
        one.rows.fail(nth, fault);
        const std::string got = f.act(one.s);
        const bool failed = one.rows.failed() != 0;
        one.rows.fail(0);
        if (!failed) continue;  // this one counts writes only, and there are fewer
        ++swept;
        one.s.audit();
        const picture after = one.look();
        // a reservation whose row is gone is left out, and the rest is written
        const bool absorbed = fault == storage_fault::conflict && !expected.empty() && got == expected;
        if (!absorbed && (essence(after) == essence(before) || got.starts_with("503"))) {
          // refused: no NOTIFY, nothing changed
          const bool silent = got.empty() || got == "503 Retry-After=5";
          CHECK(silent);
          CHECK(after == before);
          if (f.timed) {
            REQUIRE(one.s.engine->next_deadline());
            CHECK(*one.s.engine->next_deadline() > one.s.at);  // no storm
            CHECK(*one.s.engine->next_deadline() <= one.s.at + one.s.given.settings.retry_after);
            CHECK(due(one.s) == "");
            one.s.at += one.s.given.settings.retry_after;
          }
          CHECK(f.act(one.s) == expected);
        } else if (!f.timed) {
          CHECK(got == expected);  // the flow did not need that call
        }
        if (f.timed) due(one.s);
        one.s.audit();
        const picture end = one.look();
        CHECK(essence(end).counts[1] == expected_end.counts[1]);
        CHECK(essence(end).counts[2] == expected_end.counts[2]);
        if (!f.timed) CHECK(essence(end) == essence(expected_end));
      }
    }
  }
  MESSAGE(swept, " faults");
  CHECK(swept > 2 * std::size(flows) - 10);
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
