// A change that the storage did not refuse and did not answer for (RL2, T18): until it is known what became of it no other
// is made and nothing is read, in no mode and whoever asks. fault_sweep.cpp loses the answer to each change of each flow.
#include "fault_sweep.hpp"
#include "group_host.hpp"

#include <presence/packages.hpp>
#include <presence/write_back_storage.hpp>

using namespace presence;
using namespace presence::test;

namespace {

struct world {
  memory_storage held;
  faulty_storage rows{held};
  scenario s;
  explicit world(void (*keeps)(options&), scenario::setup given = {}) : s{[&] {
    given.rows = &rows;
    if (keeps != nullptr) keeps(given.settings);
    return std::move(given);
  }()} {}
  std::vector<std::string> stored_tags() {
    std::vector<std::string> all;
    for (const publication_row& row : stored(held).publications) all.push_back(s.name_of_tag(row.etag));
    std::sort(all.begin(), all.end());
    return all;
  }
  state_mark mark(const char* event = "presence") { return *held.mark(address("alice"), event); }
};

using names = std::vector<std::string>;
constexpr std::span<const way> with_memory{ways, 3};
constexpr way fallback = ways[1], for_one = ways[2];

event_package guarded(std::function<authorization(const authorization_query&)> authorize) {
  event_package p = opaque_package("guarded");
  p.req_auth = true;
  p.authorize = std::move(authorize);
  return p;
}

std::string terminate(scenario& s, std::string_view resource) {
  return s.told(s.engine->terminate_watchers(resource, "presence", end_reason::rejected, s.at));
}

}  // namespace

TEST_CASE("a change that is known not to be made costs no look before the next one (RL2, T17)") {
  const std::function<std::string(scenario&)> calls[] = {
      [](scenario& s) { return s.publish("alice", {.body = "t1:closed", .if_match = "e1"}); },
      [](scenario& s) { return s.subscribe("d1", {.expires = 300s}); },
      [](scenario& s) { return s.subscribe("d1", {.expires = 0s}); },
      [](scenario& s) { return terminate(s, address("alice")); },
  };
  for (const way& w : ways)
    for (const auto& call : calls) {
      const std::string mode = w.name;
      CAPTURE(mode);
      const auto made = [&](bool refused, bool certain) {  // how many calls it takes when it can be made
        world one{w.keeps};
        one.s.subscribe("d1", {.expires = 600s});
        one.s.publish("alice", {.body = "t1:open"});
        if (refused) {
          for (std::size_t nth = 1, before = one.rows.writes(); one.rows.writes() == before; ++nth) {
            one.rows.fail(nth, storage_fault::unavailable, certain);  // reads first: until it is the write
            const std::string got = call(one.s);
            CHECK((got == "" || got == "503 Retry-After=5"));
          }
          one.rows.fail(0);
        }
        const std::size_t before = one.rows.calls();
        CHECK(call(one.s).find("d1#3") != std::string::npos);
        return one.rows.calls() - before;
      };
      CHECK(made(true, true) == made(false, false));
      CHECK(made(true, false) > made(false, false));
    }
}

TEST_CASE("until it is known what became of a change no other is made, and nothing of it stays (RL2, T18)") {
  for (const way& w : with_memory) {
    const std::string mode = w.name;
    CAPTURE(mode);
    world one{w.keeps};
    scenario& s = one.s;
    s.publish("alice", {.body = "t1:open"});
    one.rows.lose_answer();
    CHECK(s.publish("carol", {.body = "t1:open"}) == "503 Retry-After=5");
    const std::size_t writes = one.rows.writes();
    one.rows.fail(1);
    CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "503 Retry-After=5");
    one.rows.fail(1);
    CHECK(s.publish("dave", {.body = "t1:open"}) == "503 Retry-After=5");
    CHECK(one.rows.writes() == writes);
    CHECK(s.publish("alice", {.body = "t2:open", .if_match = "e1"}) == "200 e2 Expires=3600");
    CHECK(one.stored_tags() == names{"e2"});
  }
}

TEST_CASE("rows are made what memory has, whichever call fails on the way, and whoever changed them meanwhile (RL2, T18)") {
  for (const auto fault : {storage_fault::unavailable, storage_fault::conflict}) {
    bool failed = true;
    for (std::size_t nth = 1; failed; ++nth) {
      CAPTURE(nth);
      world one{ways[0].keeps};
      scenario& s = one.s;
      s.subscribe("d1", {.to = "carol", .expires = 600s});
      const auto before = stored(one.held);
      one.rows.lose_answer();
      CHECK(s.subscribe("d1", {.expires = 300s}) == "503 Retry-After=5");
      CHECK(stored(one.held) != before);
      one.rows.fail(nth, fault);
      const std::string got = s.publish("dave", {.body = "t1:open"});
      failed = one.rows.failed() == 2;
      one.rows.fail(0);
      if (fault == storage_fault::unavailable) CHECK(got == (failed ? "503 Retry-After=5" : "200 e1 Expires=3600"));
      else if (nth == 1) CHECK(got == "200 e1 Expires=3600");  // they are somebody else's then
      CHECK(s.publish("erin", {.body = "t1:open"}).starts_with("200"));
      if (fault == storage_fault::unavailable) CHECK(stored(one.held).subscriptions == before.subscriptions);
    }
  }
}

TEST_CASE("rows that keep their key, or went, are made what memory has (RL2, T18, Z05)") {
  world one{ways[0].keeps, {.authorized = true}};
  scenario& s = one.s;
  const auto hard = [&](std::string_view note) {
    return s.engine->set_hard_state(address("alice"), "message-summary", "voice", {.type = "application/simple-message-summary", .bytes = note}, s.at)
        .answer.status;
  };
  CHECK(hard("Messages-Waiting: no\r\n") == 200);
  s.policy["bob"] = sub_handling::confirm;
  s.subscribe("d1", {.expires = 60s});
  s.wait(60s);
  s.subscribe("d2", {.expires = 600s});
  const auto before = stored(one.held);
  const auto subscriptions = [&] {
    auto all = stored(one.held).subscriptions;
    for (subscription_row& row : all) row.version = 0;  // fewer may be reserved
    return all;
  };
  const auto before_it = subscriptions();
  CHECK(before.watchers.size() == 1);
  one.rows.lose_answer();
  CHECK(hard("Messages-Waiting: yes\r\n") == 503);
  CHECK(stored(one.held).publications != before.publications);
  CHECK(s.publish("nobody", {.if_match = "none"}) == "412");
  CHECK(stored(one.held).publications == before.publications);
  one.rows.lose_answer();
  CHECK(s.subscribe("d2", {.expires = 0s}) == "503 Retry-After=5");  // a row says since when he waits
  CHECK(stored(one.held).watchers != before.watchers);
  CHECK(s.publish("nobody", {.if_match = "none"}) == "412");
  CHECK(stored(one.held).watchers == before.watchers);
  CHECK(subscriptions() == before_it);
  s.policy["bob"] = sub_handling::allow;
  one.rows.lose_answer();
  CHECK(s.subscribe("d2", {.expires = 500s}) == "503 Retry-After=5");  // who is decided about does not wait
  CHECK(stored(one.held).watchers.empty());
  CHECK(s.publish("nobody", {.if_match = "none"}) == "412");
  CHECK(stored(one.held).watchers == before.watchers);
  CHECK(subscriptions() == before_it);
}

TEST_CASE("who gives up waiting in a change that nobody answered for waits on (RL2, WIN-FSM-5)") {
  world one{ways[0].keeps, {.settings = {.waiting_limit = 100s}, .authorized = true}};
  scenario& s = one.s;
  s.policy["bob"] = sub_handling::confirm;
  s.subscribe("d1", {.expires = 60s});
  s.wait(60s);
  const auto before = stored(one.held);
  CHECK(before.watchers.size() == 1);
  s.at += 100s;
  one.rows.lose_answer();
  CHECK(s.told(s.engine->advance(s.at)) == "");
  CHECK(one.rows.failed() == 1);
  CHECK(stored(one.held).watchers.empty());
  CHECK(s.publish("nobody", {.if_match = "none"}) == "412");
  CHECK(stored(one.held).watchers == before.watchers);
}

TEST_CASE("rows of many states are read together (RL2, T17)") {
  world one{ways[0].keeps};
  scenario& s = one.s;
  for (int i = 0; i < 501; ++i) s.subscribe("d" + std::to_string(i), {.to = "w" + std::to_string(i), .expires = 600s});
  const auto before = stored(one.held);
  one.rows.lose_answer();
  CHECK(terminate(s, {}) == "");
  CHECK(stored(one.held).subscriptions.empty());
  const std::size_t calls = one.rows.calls();
  CHECK(s.publish("nobody", {.if_match = "none"}) == "412");
  CHECK(one.rows.calls() < calls + 10);
  CHECK(stored(one.held) == before);
}

TEST_CASE("until it is known what became of a change nothing is read that it may have made (RL2, T07)") {
  world one{fallback.keeps};
  scenario& s = one.s;
  one.rows.lose_answer();
  CHECK(s.publish("alice", {.body = "t1:open"}) == "503 Retry-After=5");
  one.rows.fail(1);
  CHECK(s.subscribe("d1", {.expires = 0s}) == "503 Retry-After=5");
  CHECK(s.engine->publications({}).records.empty());  // makes sure first
  CHECK(one.stored_tags().empty());
  CHECK(s.subscribe("d2", {.expires = 0s}) == "200 Expires=0 | N d2#1 terminated;reason=timeout P()");
}

TEST_CASE("documents are not read again before that is known (RL2, T12)") {
  world one{ways[0].keeps};
  scenario& s = one.s;
  s.subscribe("d1", {.expires = 600s});
  s.publish("alice", {.body = "t1:open"});
  one.rows.lose_answer();
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "503 Retry-After=5");
  one.rows.fail(1);
  const effects refused = s.engine->refresh_watchers(address("alice"), "presence", refresh_type::state, s.at);
  CHECK(refused.storage_failed);
  CHECK(s.told(refused) == "");
  CHECK(s.told(s.engine->refresh_watchers(address("alice"), "presence", refresh_type::state, s.at)) ==
        "N d1#3 active;expires=600 P(t1:open)");
}

TEST_CASE("a host does not spin while that cannot be found out (RL2, M01)") {
  for (const way& w : ways) {
    const std::string mode = w.name;
    CAPTURE(mode);
    world one{w.keeps};
    one.rows.lose_answer();
    CHECK(one.s.publish("alice", {.body = "t1:open"}) == "503 Retry-After=5");
    for (int i = 0; i < 3; ++i) {
      REQUIRE(one.s.engine->next_deadline());
      CHECK(*one.s.engine->next_deadline() == one.s.at + one.s.given.settings.retry_after);
      one.s.at = *one.s.engine->next_deadline();
      one.rows.fail(1);
      CHECK(one.s.told(one.s.engine->advance(one.s.at)) == "");
    }
    one.rows.fail(0);
    one.s.at += one.s.given.settings.retry_after;
    one.s.engine->advance(one.s.at);
    CHECK(one.stored_tags() == (w.name == ways[3].name ? names{"e1"} : names{}));
  }
}

TEST_CASE("whoever changes something next finds out first: a host, an outcome, flush(), a group (RL2, G03)") {
  for (const way& w : with_memory) {
    const std::string mode = w.name;
    CAPTURE(mode);
    world one{w.keeps};
    scenario& s = one.s;
    const auto lose = [&] {
      one.rows.lose_answer();
      CHECK(s.publish("alice", {.body = "t9:open"}) == "503 Retry-After=5");
    };
    const auto is_gone = [&] { CHECK(one.stored_tags() == names{"e1"}); };
    s.subscribe("d1", {.expires = 600s});
    s.publish("alice", {.body = "t1:open"});
    lose();
    CHECK(terminate(s, address("alice")) == "N d1#3 terminated;reason=rejected");
    is_gone();
    s.subscribe("d2", {.expires = 600s});
    lose();
    CHECK(s.told(s.engine->refresh_watchers(address("alice"), "presence", refresh_type::state, s.at)) ==
          "N d2#2 active;expires=600 P(t1:open)");
    is_gone();
    lose();
    CHECK(s.engine->flush(s.at));
    is_gone();
    s.answers = false;
    s.subscribe("d3", {.expires = 600s});
    lose();
    CHECK(s.outcome("d3", 1, 481) == "");
    is_gone();
    CHECK(s.engine->count_subscriptions({}) == 1);
    s.subscribe("d4", {.expires = 600s});
    s.publish("alice", {.body = "t1:closed", .if_match = "e1"});
    lose();
    CHECK(s.outcome("d4", 1, 200) == "N d4#2 active;expires=600 P(t1:closed)");
    CHECK(one.stored_tags() == names{"e2"});
    lose();
    pile calls;
    calls.publish(address("carol"), "message-summary", {}, "Messages-Waiting: yes\r\n", "application/simple-message-summary", 60s);
    calls.publish(address("dave"), "message-summary", {}, "Messages-Waiting: yes\r\n", "application/simple-message-summary", 60s);
    one.rows.fail(1);
    for (const effects& e : make_all(*s.engine, calls.all, s.at)) CHECK(e.answer.status == 503);
    for (const effects& e : make_all(*s.engine, calls.all, s.at)) CHECK(e.answer.status == 200);
    CHECK(stored(one.held).publications.size() == 3);
    lose();
    CHECK(s.told(s.engine->remove_resource(address("alice"), s.at)).find("d4#3 terminated;reason=noresource") != std::string::npos);
    CHECK(stored(one.held).publications.size() == 2);
    s.audit();
  }
}

TEST_CASE("what is told late with subs_db_mode 3 has the time that is left, whoever finds it out (C01, RL2)") {
  const std::function<std::string(scenario&)> calls[] = {
      [](scenario& s) { return s.publish("nobody", {.if_match = "none"}); },
      [](scenario& s) { return s.subscribe("d9", {.to = "nobody", .expires = 0s, .event = "other"}); },
      [](scenario& s) { return terminate(s, address("nobody")); },
  };
  for (const auto& call : calls) {
    world one{ways[3].keeps};
    one.s.subscribe("d1", {.expires = 600s});
    one.rows.lose_answer();
    CHECK(one.s.publish("alice", {.body = "t1:open"}) == "503 Retry-After=5");
    one.s.at += 50s;
    CHECK(call(one.s).find("N d1#2 active;expires=550 P(t1:open)") != std::string::npos);
    one.rows.lose_answer();
    CHECK(one.s.publish("alice", {.body = "t2:open"}) == "503 Retry-After=5");
    one.s.at += 550s;
    CHECK(call(one.s).find("N d1#3 active;expires=1 ") != std::string::npos);  // never none
  }
}

TEST_CASE("with subs_db_mode 3 no end is told of which nobody can say whether it was made (C01, RL2, PROP-2)") {
  world one{ways[3].keeps};
  scenario& s = one.s;
  s.subscribe("d1", {.expires = 600s});
  for (std::size_t nth = 1, before = one.rows.writes(); one.rows.writes() == before; ++nth) {
    one.rows.fail(nth);  // reads first: until it is the write
    CHECK(terminate(s, address("alice")) == "");
  }
  REQUIRE(one.held.apply({.states = {{{address("alice"), "presence"}, {}, 77}}}));  // another engine was there
  CHECK(s.publish("nobody", {.if_match = "none"}) == "412");
  CHECK(s.told(s.engine->cleanup(s.at)) == "");
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#2 active;expires=600 P()");
}

TEST_CASE("what memory is asked about stays there until that is known, however little it holds (RL2, T07)") {
  world one{for_one.keeps};
  scenario& s = one.s;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.to = "carol", .expires = 600s});
  one.rows.lose_answer();
  CHECK(terminate(s, {}) == "");
  CHECK(terminate(s, {}) == "N d1#2 terminated;reason=rejected | N d2#2 terminated;reason=rejected");
  CHECK(s.engine->stats().resources <= 1);
}

TEST_CASE("when decisions turn is in the database as memory has it, whatever became of the change that said so (RL2, Z11)") {
  const auto until_100 = [](const authorization_query& q) {
    authorization a{q.now < start + 100s ? sub_handling::allow : sub_handling::block};
    if (q.now < start + 100s) a.until = start + 100s;
    return a;
  };
  world one{fallback.keeps, {.packages = {guarded(until_100)}}};
  scenario& s = one.s;
  one.rows.lose_answer();
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "guarded"}) == "503 Retry-After=5");
  CHECK(one.mark("guarded").turns == start + 100s);
  CHECK(s.engine->flush(s.at));
  CHECK(one.mark("guarded").turns == std::nullopt);
  CHECK(s.subscribe("d2", {.expires = 600s, .event = "guarded"}).starts_with("200"));
  CHECK(one.mark("guarded").turns == start + 100s);
  s.restart();
  CHECK(s.wait(100s).find("N d2#2 terminated;reason=rejected") != std::string::npos);
}

TEST_CASE("a state whose change nobody answered for may leave memory once that is known (RL2, T07, Z11)") {
  const auto each_until = [](const authorization_query& q) {
    authorization a{sub_handling::allow};
    a.until = q.watcher.uri == address("bob") ? start + 1000s : start + 500s;
    return a;
  };
  for (const bool made : {false, true}) {
    CAPTURE(made);
    world one{for_one.keeps, {.packages = {guarded(each_until)}}};
    scenario& s = one.s;
    CHECK(s.subscribe("d1", {.expires = 3000s, .event = "guarded"}).starts_with("200"));
    if (made) one.rows.lose_answer();
    else one.rows.fail(1);
    CHECK(s.subscribe("d2", {.by = "carol", .expires = 3000s, .event = "guarded"}) == "503 Retry-After=5");
    for (const char* who : {"dave", "erin", "frank"}) CHECK(s.publish(who, {.body = "t1:open"}).starts_with("200"));
    CHECK(one.mark("guarded").turns == start + 500s);
    const std::uint64_t misses = s.engine->stats().cache_misses;
    CHECK(s.subscribe("d1", {.expires = 3000s, .event = "guarded"}).starts_with("200"));
    CHECK(s.engine->stats().cache_misses == misses + 1);
  }
}

TEST_CASE("in write-back mode a number that cannot be written down refuses its own call, and no other (RL2, T05)") {
  world one{[](options& o) { o.subs_db_mode = 2; }};
  scenario& s = one.s;
  s.subscribe("d1", {.expires = 600s});
  REQUIRE(s.engine->flush(s.at));
  s.restart();
  one.rows.fail_all(true);
  CHECK(s.publish("alice", {.body = "t1:open"}) == "503 Retry-After=5");
  CHECK(s.publish("carol", {.body = "t1:open"}) == "200 e1 Expires=3600");
}

TEST_CASE("what is known not to be flushed leaves nothing to take back (T05, RL2)") {
  const auto row = [](const char* tag) {
    return publication_row{.resource = address("alice"), .event = "presence", .etag = tag, .expires = start + 60s};
  };
  const auto left = [&](const std::function<void(faulty_storage&)>& fail, bool conflicts = false) {
    memory_storage held;
    faulty_storage rows{held};
    write_back_storage back{rows};
    if (conflicts) REQUIRE(held.apply({.new_publications = {row("e0")}}));
    change begins, ends;
    for (const char* tag : {"e0", "e1", "e2"}) {
      if (!conflicts && tag[1] == '0') continue;
      begins.new_publications.push_back(row(tag));
      ends.ended_publications.push_back({row(tag).resource, "presence", tag});
    }
    REQUIRE(back.apply(begins));
    fail(rows);
    CHECK_FALSE(back.flush(10));
    REQUIRE(back.apply(ends));
    const std::size_t count = back.held_back();
    CHECK(back.flush(10));
    CHECK(stored(held).publications.empty());
    return count;
  };
  CHECK(left([](faulty_storage& rows) { rows.fail(1, storage_fault::unavailable, true); }) == 0);
  CHECK(left([](faulty_storage& rows) { rows.fail(1); }) == 2);
  CHECK(left([](faulty_storage& rows) { rows.lose_answer(); }) == 2);
  // one by one, after a conflict: those before it were written, and those behind it wait
  CHECK(left([](faulty_storage& rows) { rows.fail(4, storage_fault::unavailable, true); }, true) == 3);
}
