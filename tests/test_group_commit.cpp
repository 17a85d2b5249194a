// Group commit: what several calls change is written in one transaction, and they come to what they come to one by
// one; when it cannot be written nothing has happened (RL2, T16, T17, PF8).
#include <algorithm>
#include <new>

#include "group_host.hpp"
#include "places.hpp"

using namespace presence;
using namespace presence::test;

namespace {

struct tuning {
  const char* name;
  bool fallback;
  std::uint32_t cseq_block;
  seconds notify_interval{0};
};
constexpr tuning tunings[] = {{"write-through", false, 64}, {"a row for each NOTIFY", false, 1}, {"fallback2db", true, 3},
                              {"paced", false, 64, 1s}};

options options_of(const tuning& t) {
  options settings;
  settings.fallback2db = t.fallback;
  settings.cseq_block = t.cseq_block;
  settings.notify_interval = t.notify_interval;
  settings.waiting_limit = 300s;
  return settings;
}

std::vector<effects> advance(engine& e, instant now) {
  std::vector<effects> all;
  do {
    all.push_back(e.advance(now));
  } while (all.back().more);
  return all;
}

void require_same(const std::vector<effects>& one_by_one, const std::vector<effects>& grouped) {
  REQUIRE(one_by_one.size() == grouped.size());
  for (std::size_t i = 0; i < grouped.size(); ++i) {
    CAPTURE(to_string(one_by_one[i]));
    CAPTURE(to_string(grouped[i]));
    REQUIRE(same(one_by_one[i], grouped[i]));
  }
}

std::string pidf_type = "application/pidf+xml";
pile::dialog_names dialog_of(const std::string& watcher, const std::string& event = "presence") {
  return {"sip:" + watcher + "@example.com", "sip:alice@example.com", event, "call-" + watcher + event, "from-" + watcher, {}};
}
bool silent_503(const effects& e) {
  return e.answer.status == 503 && e.answer.retry_after == 5u && e.notifies.empty() && e.answer.etag.empty() && e.storage_failed;
}

}  // namespace

TEST_CASE_TEMPLATE("a group comes to what its calls come to one by one, in answers, NOTIFYs and the database (T09, T17)",
                   Place, EVERY_STORAGE) {
  std::size_t calls_made = 0, groups = 0;
  for (const tuning& t : tunings) {
    for (std::uint64_t seed = 1; seed <= (std::is_same_v<Place, in_memory> ? 15 : 2); ++seed) {
      CAPTURE(t.name);
      CAPTURE(seed);
      memory_storage plain_rows;
      Place place;
      faulty_storage counted{place.rows()};
      std::map<std::string, sub_handling> policy;
      seeded_random random_1{seed}, random_2{seed};
      instant now = start;
      const auto plain = engine_on(&plain_rows, random_1, policy, options_of(t), now);
      const auto grouped = engine_on(&counted, random_2, policy, options_of(t), now);
      random_host host{seed};
      pile calls;
      for (int round = 0; round < 40; ++round) {
        CAPTURE(round);
        calls.clear();
        host.fill(calls, 1 + host.below(25));
        std::vector<effects> one_by_one;
        for (const received& one : calls.all) one_by_one.push_back(make(*plain, one, now));
        const std::size_t writes = counted.writes();
        const auto together = make_all(*grouped, calls.all, now);
        require_same(one_by_one, together);
        CHECK(counted.writes() - writes <= 1);  // one transaction (T17)
        calls_made += calls.all.size();
        ++groups;
        host.learn(calls.all, together);
        for (const effects& one : together) host.sent(one);
        now += milliseconds{host.below(30'000)};
        if (host.below(3) == 0) {
          const std::string who = host.somebody(), whom = host.some_resource();
          policy[who] = static_cast<sub_handling>(host.below(4));
          const auto told = plain->refresh_watchers(whom, "presence", refresh_type::authorization, now);
          require_same({told}, {grouped->refresh_watchers(whom, "presence", refresh_type::authorization, now)});
          host.sent(told);
        }
        const auto due = advance(*plain, now);
        require_same(due, advance(*grouped, now));
        for (const effects& e : due) host.sent(e);
        REQUIRE(grouped->check() == std::nullopt);
        REQUIRE(held(*plain) == held(*grouped));
        REQUIRE(stored(plain_rows) == stored(place.rows()));
      }
      const engine_stats a = plain->stats(), b = grouped->stats();
      CHECK(a.publishes == b.publishes);
      CHECK(a.notifies == b.notifies);
      CHECK(a.coalesced == b.coalesced);
      CHECK(a.failed_notifies == b.failed_notifies);
      CHECK(a.delivered_notifies == b.delivered_notifies);
      CHECK(a.publish_answers == b.publish_answers);
      CHECK(a.subscribe_answers == b.subscribe_answers);
      CHECK(a.publish_answers.total() == a.publishes);
      CHECK(b.subscribe_answers.total() == b.subscribes);
    }
  }
  MESSAGE(calls_made, " calls in ", groups, " groups");
}

TEST_CASE_TEMPLATE("a group that cannot be written has not happened, in memory and in the database (RL2, PROP-7, HOST-12)",
                   Place, EVERY_STORAGE) {
  std::size_t failed_groups = 0, conflicts = 0, settled = 0;
  for (const tuning& t : tunings) {
    for (std::uint64_t seed = 1; seed <= (std::is_same_v<Place, in_memory> ? 15 : 2); ++seed) {
      CAPTURE(t.name);
      CAPTURE(seed);
      Place place;
      faulty_storage rows{place.rows()};
      std::map<std::string, sub_handling> policy;
      seeded_random random{seed};
      instant now = start;
      const auto e = engine_on(&rows, random, policy, options_of(t), now);
      random_host host{seed};
      pile calls;
      std::map<std::string, std::uint32_t> used;   // CSeq, by dialog
      std::map<std::string, notify> last;          // what each watcher has been told, by subscription
      const auto release = [&](const std::vector<effects>& all) {
        for (const effects& one : all) {
          host.sent(one);
          for (const notify& n : one.notifies) {
            const std::string dialog = std::string{n.dialog.call_id()} + ' ' + std::string{n.dialog.local_tag()};
            CHECK(n.cseq > used[dialog]);  // never twice (N09)
            used[dialog] = n.cseq;
            last[dialog + ' ' + std::string{n.dialog.event()}] = n;
          }
        }
      };
      for (int round = 0; round < 40; ++round) {
        CAPTURE(round);
        calls.clear();
        host.fill(calls, 2 + host.below(20));
        const content before = stored(place.rows());
        const std::size_t failures = rows.failed();
        const auto kind = host.below(2) == 0 ? storage_fault::unavailable : storage_fault::conflict;
        const std::size_t storage_calls = kind == storage_fault::conflict || !t.fallback ? 1 : 8;
        if (host.below(3) == 0) rows.fail(1 + host.below(storage_calls), kind);
        const auto came = make_all(*e, calls.all, now);
        rows.fail(0);
        REQUIRE(came.size() == calls.all.size());
        REQUIRE(e->check() == std::nullopt);
        if (rows.failed() == failures || kind == storage_fault::conflict) {
          for (const effects& one : came) CHECK(!one.storage_failed);  // a conflict: one by one, and that did it
          conflicts += rows.failed() - failures;
          host.learn(calls.all, came);
          release(came);
        } else {
          ++failed_groups;
          bool reports = false;  // what is told once is taken also behind the call that failed
          for (std::size_t i = 0; i < came.size(); ++i)
            if (std::holds_alternative<notify_report>(calls.all[i])) reports = true;
            else CHECK(silent_503(came[i]));
          if (!reports) CHECK(stored(place.rows()) == before);
          release(came);
          REQUIRE(e->next_deadline());
          CHECK(*e->next_deadline() > now);  // no storm
          now += 5s;
        }
        now += milliseconds{host.below(20'000)};
        if (host.below(4) == 0) {
          policy[host.somebody()] = static_cast<sub_handling>(host.below(4));
          release({e->refresh_watchers(host.some_resource(), "presence", refresh_type::authorization, now)});
        }
        release(advance(*e, now));
        REQUIRE(e->check() == std::nullopt);
        content in_memory_now = held(*e), in_database = stored(place.rows());
        CHECK(e->stats().undecided == (t.fallback ? e->stats().undecided : in_database.watchers.size()));
        in_database.watchers.clear();  // not listed
        for (content* c : {&in_memory_now, &in_database}) {
          for (auto& r : c->subscriptions) r.local_cseq = r.version = 0;  // used, and reserved
        }
        REQUIRE(in_memory_now == in_database);
      }
      policy.clear();
      for (int r = 0; r < 3; ++r)
        release({e->update_watchers("sip:r" + std::to_string(r) + "@example.com", "presence", now)});
      // everybody answers from now on: who watches knows how things are
      for (int i = 0; i < 10; ++i) {
        now += 2s;
        calls.clear();
        for (const notify_id& id : std::exchange(host.out_, {})) calls.report(id, 200);
        release(make_all(*e, calls.all, now));
        release(advance(*e, now));
      }
      for (const subscription_row& r : e->subscriptions({.event = "presence"}, 0, 1000).records) {
        if (r.state != subscription_state::active || r.polite_block || r.expires - now < 1s) continue;
        const std::string dialog = std::string{r.dialog.call_id()} + ' ' + std::string{r.dialog.local_tag()};
        const auto told = last.find(dialog + ' ' + std::string{r.dialog.event()});
        if (told == last.end()) continue;  // his SUBSCRIBE was refused, and yet is there: never
        CAPTURE(to_string(told->second));
        CAPTURE(tuples_of(told->second.content.bytes()));
        CAPTURE(tuples_of(e->current_state(r.resource, "presence", now).bytes()));
        CHECK(same_meaning(told->second.content, e->current_state(r.resource, "presence", now)));
        ++settled;
      }
    }
  }
  MESSAGE(failed_groups, " groups failed, ", conflicts, " conflicts, ", settled, " watchers know the last state");
  CHECK(failed_groups > 20);
  CHECK(conflicts > 10);
  CHECK(settled > 5);
}

namespace {

/// An engine on rows whose writes are looked at.
struct one_host {
  struct counting : faulty_storage {
    using faulty_storage::faulty_storage;
    result<void, storage_error> apply(const change& what) override {
      changes.push_back(what);
      auto applied = faulty_storage::apply(what);
      if (std::exchange(answer_is_lost, false)) return unexpected{storage_error{storage_fault::unavailable, "no answer"}};
      return applied;
    }
    std::vector<change> changes;
    bool answer_is_lost = false;
  };
  memory_storage below;
  counting rows{below};
  std::map<std::string, sub_handling> policy;
  seeded_random random{1};
  instant now = start;
  std::unique_ptr<engine> e;
  pile calls;
  explicit one_host(options settings = {}) { e = engine_on(&rows, random, policy, settings, now); }
  std::vector<effects> run() {
    auto came = make_all(*e, calls.all, now);
    CHECK(e->check() == std::nullopt);
    calls.clear();
    return came;
  }
  void publish(const std::string& who, const std::string& tuples, std::string tag = {}, expires_value expires = {}) {
    const std::string resource = "sip:" + who + "@example.com";
    calls.publish(resource, "presence", std::move(tag), tuples.empty() ? "" : pidf(tuples, resource), pidf_type, expires);
  }
};

}  // namespace

TEST_CASE("what a group writes is the net change: a row once, and nothing of what came and went (T17)") {
  one_host h;
  h.publish("alice", "t:open");
  h.calls.subscribe(dialog_of("bob"), 1, 600s);
  h.run();
  const std::string tag = stored(h.below).publications[0].etag;
  CHECK(h.rows.changes.size() == 1);
  h.publish("alice", "t:closed", tag);
  h.calls.subscribe(dialog_of("bob"), 1, 700s);  // the same SUBSCRIBE once more
  h.calls.subscribe(dialog_of("carol"), 1, 0s);  // a fetch
  const auto came = h.run();
  REQUIRE(h.rows.changes.size() == 2);
  CHECK(h.rows.changes[1].changed_publications.size() == 1);
  CHECK(h.rows.changes[1].changed_subscriptions.size() == 1);
  CHECK(h.rows.changes[1].reservations.empty());
  CHECK(came[2].notifies.size() == 1);
  CHECK(came[2].notifies[0].content.bytes().find("closed") != std::string_view::npos);  // of the same group

  h.calls.subscribe(dialog_of("dave"), 1, 0s);  // fetches alone need no transaction
  h.calls.subscribe(dialog_of("erin"), 1, 0s);
  CHECK(h.run()[1].answer.status == 200);
  CHECK(h.rows.changes.size() == 2);
}

TEST_CASE("a row that is not as expected refuses its own call, and no other one of the group (RL2)") {
  one_host h;
  for (const char* who : {"alice", "carol", "dave"}) h.publish(who, "t:open");
  h.run();
  std::map<std::string, std::string> tags;
  for (const auto& row : stored(h.below).publications) tags[row.resource] = row.etag;
  change gone;
  gone.ended_publications.push_back({"sip:carol@example.com", "presence", tags["sip:carol@example.com"]});
  REQUIRE(h.below.apply(gone));  // behind the engine
  for (const char* who : {"alice", "carol", "dave"}) h.publish(who, "t:closed", tags["sip:" + std::string{who} + "@example.com"]);
  const auto came = h.run();
  CHECK(came[0].answer.status == 200);
  CHECK(came[1].answer.status == 412);  // the engine has learnt of it
  CHECK(came[2].answer.status == 200);
  CHECK(stored(h.below).publications.size() == 2);
}

TEST_CASE("handle() takes what a transaction should have and says how much that was (M07)") {
  for (const bool durable : {true, false}) {
    CAPTURE(durable);
    one_host h;
    if (!durable) h.e = engine_on(nullptr, h.random, h.policy, {}, h.now);
    std::vector<effects> out;
    CHECK(h.e->handle({}, h.now, out) == 0);
    for (int i = 0; i < 1200; ++i) h.publish("p" + std::to_string(i), "t:open");
    CHECK(h.e->handle(h.calls.all, h.now, out) == (durable ? 500 : 1200));  // row operations
    CHECK(out.size() == (durable ? 500 : 1200));
    h.calls.clear();
    const std::string large = "Messages-Waiting: yes\r\n" + std::string(60'000, '\n');
    for (int i = 0; i < 100; ++i) {  // documents
      const std::string resource = "sip:q" + std::to_string(i) + "@example.com";
      h.calls.publish(resource, "message-summary", "", large, "application/simple-message-summary", {});
    }
    CHECK(h.e->handle(h.calls.all, h.now, out) == 70);
    h.calls.clear();
    for (int i = 0; i < 15'000; ++i) {  // six resources with 2500 watchers each
      pile::dialog_names d = dialog_of("w" + std::to_string(i));
      d.resource = "sip:r" + std::to_string(i % 6) + "@example.com";
      h.calls.subscribe(d, 1, 600s);
    }
    const auto begun = h.run();
    for (const effects& one : begun) h.calls.report(one.notifies.at(0).id, 200);
    h.run();
    for (int i = 0; i < 6; ++i) h.publish("r" + std::to_string(i), "t:open");
    CHECK(h.e->handle(h.calls.all, h.now, out) == 4);
    CHECK(out.back().notifies.size() == 2500);
  }
}

TEST_CASE("what a watcher was owed before a group that failed is not forgotten (PROP-7, HOST-12)") {
  one_host h;
  h.calls.subscribe(dialog_of("bob"), 1, 600s);
  h.publish("alice", "t:open");  // bob is owed it: his first NOTIFY is on its way
  const auto begun = h.run();
  REQUIRE(begun[0].notifies.size() == 1);
  REQUIRE(begun[1].notifies.empty());
  h.rows.fail(1);
  h.publish("alice", "t2:open");
  h.calls.subscribe(dialog_of("carol"), 1, 600s);
  for (const effects& e : h.run()) CHECK(silent_503(e));
  CHECK(h.e->report({.id = begun[0].notifies[0].id, .status = 200}, h.now).notifies.empty());  // nobody knows it any more
  CHECK(h.e->subscriptions({}).records.size() == 1);  // asked of the database
  CHECK(h.e->advance(h.now).notifies.empty());
  h.now += 5s;
  const effects paid = h.e->advance(h.now);
  REQUIRE(paid.notifies.size() == 1);
  CHECK(tuples_of(paid.notifies[0].content.bytes()) == "P(t:open)");
  CHECK(paid.notifies[0].cseq > begun[0].notifies[0].cseq);
  CHECK(h.e->stats().subscriptions == 1);
}

TEST_CASE("nor what one was owed who ended with a group that failed (PROP-7, HOST-12)") {
  one_host h;
  h.calls.subscribe(dialog_of("bob"), 1, 600s);
  h.publish("alice", "t:open");  // bob is owed it
  const auto begun = h.run();
  auto bob = dialog_of("bob");
  bob.to_tag = begun[0].notifies.at(0).dialog.local_tag();
  h.rows.fail(1);
  h.calls.subscribe(bob, 2, 0s);
  h.publish("carol", "t:open");
  for (const effects& e : h.run()) CHECK(silent_503(e));
  h.now += 5s;
  const effects paid = h.e->advance(h.now);
  REQUIRE(paid.notifies.size() == 1);
  CHECK(paid.notifies[0].state == subscription_state::active);
  CHECK(tuples_of(paid.notifies[0].content.bytes()) == "P(t:open)");
}

TEST_CASE("a group whose COMMIT nobody answered is what the database says, and watchers are told that (RL2, PROP-7)") {
  one_host h;
  h.calls.subscribe(dialog_of("bob"), 1, 600s);
  const auto begun = h.run();
  REQUIRE(h.e->report({.id = begun.at(0).notifies.at(0).id, .status = 200}, h.now).notifies.empty());
  h.rows.answer_is_lost = true;
  h.publish("alice", "t:open");
  h.publish("carol", "t:open");
  for (const effects& e : h.run()) CHECK(silent_503(e));
  h.now += 5s;
  const effects told = h.e->advance(h.now);
  REQUIRE(told.notifies.size() == 1);
  CHECK(tuples_of(told.notifies[0].content.bytes()) == "P(t:open)");
  CHECK(h.e->stats().publications == 2);
  CHECK(h.e->check() == std::nullopt);
}

TEST_CASE("while the database is gone a group is refused, outcomes are taken, and it is asked once (RL2, T18)") {
  one_host h;
  h.calls.subscribe(dialog_of("bob"), 1, 600s);
  h.publish("carol", "t:open");
  const auto begun = h.run();
  h.rows.fail_all(true);
  const auto all = [&] {
    for (int i = 0; i < 50; ++i) h.publish("p" + std::to_string(i), "t:open");
    h.publish("carol", "t2:open");
  };
  all();
  for (const effects& e : h.run()) CHECK(silent_503(e));
  const std::size_t before = h.rows.calls();
  all();
  h.calls.report(begun[0].notifies[0].id, 200);
  const auto came = h.run();
  for (std::size_t i = 0; i + 1 < came.size(); ++i) CHECK(silent_503(came[i]));
  CHECK(h.rows.calls() == before + 1);
  CHECK(h.e->stats().publishes == 1 + 2 * 51);
  CHECK(h.e->stats().publish_answers.of(503) == 2 * 51);
  h.rows.fail_all(false);
  h.now += 5s;
  h.publish("alice", "t:open");  // bob's answer has been heard: he is told at once
  h.publish("carol", "t2:open");
  const auto again = h.run();
  CHECK(again[0].notifies.size() == 1);
  CHECK(again[1].answer.status == 200);
  CHECK(stored(h.below).publications.size() == 3);
}

TEST_CASE("a call that runs out of memory takes its group with it, and nothing else") {
  one_host h;
  h.publish("alice", "t:open");
  h.run();
  h.calls.clear();
  const content before = stored(h.below);
  bool out_of_memory = true;
  event_package package = opaque_package("thrower");
  package.aggregate = [&](std::string_view, std::span<const published> all) {
    if (out_of_memory) throw std::bad_alloc{};
    return all.front().content;
  };
  REQUIRE(h.e->add_event(std::move(package), h.now));
  h.calls.subscribe(dialog_of("bob", "thrower"), 1, 600s);
  h.publish("alice", "t2:open");
  h.calls.publish("sip:alice@example.com", "thrower", "", "x", "text/plain", {});
  std::vector<effects> out;
  CHECK_THROWS_AS(static_cast<void>(h.e->handle(h.calls.all, h.now, out)), std::bad_alloc);
  CHECK(stored(h.below) == before);
  out_of_memory = false;
  const auto came = h.run();
  for (const effects& e : came) CHECK(e.answer.status == 200);
  CHECK(stored(h.below).publications.size() == 3);
  CHECK(h.e->stats().publications == 3);
}

#if PRESENCE_TEST_SOCI
TEST_CASE_TEMPLATE("a group is one transaction, and on a server one statement for each kind of row (T16, T17)",
                   Place, in_sqlite, in_postgres, in_mariadb) {
  Place place;
  auto& rows = dynamic_cast<soci_storage&>(place.rows());
  std::map<std::string, sub_handling> policy;
  seeded_random random{1};
  const auto e = engine_on(&rows, random, policy, {}, start);
  pile calls;
  const auto statements = [&] {
    const storage_counters before = rows.counters();
    for (const effects& one : make_all(*e, calls.all, start)) CHECK(one.answer.status == 200);
    calls.clear();
    CHECK(rows.counters().transactions <= before.transactions + 1);
    return rows.counters().statements - before.statements;
  };
  const auto publish = [&](int i, std::string tag) {
    const std::string resource = "sip:p" + std::to_string(i) + "@example.com";
    calls.publish(resource, "presence", std::move(tag), pidf("t:open", resource), pidf_type, {});
  };
  const bool each_row = std::is_same_v<Place, in_sqlite>;
  for (int i = 0; i < 100; ++i) publish(i, {});
  CHECK(statements() == (each_row ? 100 + 2 : 1));  // one statement needs no BEGIN
  for (const auto& row : stored(rows).publications) publish(std::stoi(row.resource.substr(5)), row.etag);
  for (int i = 0; i < 50; ++i) calls.subscribe(dialog_of("w" + std::to_string(i)), 1, 600s);
  CHECK(statements() == (each_row ? 100 + 50 + 2 : 2 + 2));
}
#endif
