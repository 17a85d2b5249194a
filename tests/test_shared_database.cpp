// Several engines on one database (C01, RL6; subs_db_mode 3): each call reads what it needs, and a change is made
// again when another engine was quicker. On real servers, with real processes: sharing_walk.cpp.
#include "shared_world.hpp"

#include <functional>
#include <set>

#include <presence/packages.hpp>

using namespace presence;
using namespace presence::test;

TEST_CASE("a PUBLISH at one engine is told to who subscribed at another, and a refresh may come anywhere (C01, RL6, T06)") {
  shared_world s;
  CHECK(s.on(1).subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P()");
  CHECK(s.on(2).publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600 | N d1#2 active;expires=600 P(t1:open)");
  CHECK(s.on(1).publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600 | N d1#3 active;expires=600 P(t1:closed)");
  CHECK(s.on(2).publish("alice", {.if_match = "e1"}) == "412");
  CHECK(s.on(2).subscribe("d1", {.expires = 900s}) == "200 Expires=900 | N d1#4 active;expires=900 P(t1:closed)");
  CHECK(s.on(1).subscribe("d1", {.expires = 900s, .cseq = 2}) == "500");
  CHECK(s.on(1).subscribe("d1", {.expires = 0s}) == "200 Expires=0 | N d1#5 terminated;reason=timeout P(t1:closed)");
  CHECK(s.on(2).subscribe("d1", {.expires = 900s}) == "481");
  s.on(1);
}

TEST_CASE("whichever engine tells a watcher, the NOTIFY names the flow of his last SUBSCRIBE (C02, S23)") {
  shared_world s;
  s.on(1).subscribe("d1", {.expires = 600s, .cookie = "first:tcp:7"});
  const auto flow_of_change_at = [&](int which) {
    const std::string document = pidf("t1:open", address("alice"));
    const effects out = s.on(which).engine->publish(
        {.resource = address("alice"), .event = "presence", .content = {.type = "application/pidf+xml", .bytes = document}}, s.at);
    REQUIRE(out.notifies.size() == 1);
    return std::string{out.notifies[0].dialog.cookie()};
  };
  CHECK(flow_of_change_at(2) == "first:tcp:7");
  s.on(2).subscribe("d1", {.expires = 600s, .cookie = "second:tcp:3"});
  CHECK(flow_of_change_at(1) == "second:tcp:3");
}

TEST_CASE("what lapses is told once, by whoever looks first (C01, M04)") {
  shared_world s;
  s.on(1).publish("alice", {.body = "t1:open", .expires = 60s});
  s.on(2).subscribe("d1", {.expires = 600s});
  s.on(2).subscribe("d2", {.by = "carol", .expires = 60s});
  s.at += 60s;
  std::string told;
  for (const int which : {1, 2, 1, 2}) {
    told += s.on(which).told(s.engine->advance(s.at)) + "|";
    CHECK(s.engine->next_deadline() <= s.at + 1s);
  }
  CHECK(told == "N d1#2 active;expires=540 P() | N d2#2 terminated;reason=timeout||||");
  CHECK(s.on(1).publish("alice", {.if_match = "e1"}) == "412");
}

TEST_CASE("much that is due together is ended also while others go on changing it (C01, RL6, M07)") {
  shared_world s;
  constexpr int all = 20;
  const auto resource = [](int n) { return "r" + std::to_string(n); };
  for (int n = 0; n < all; ++n) s.on(1).subscribe("d" + std::to_string(n), {.to = resource(n), .expires = 60s});
  s.at += 60s;
  int changes = 0;
  s.first.times = 1000;
  s.first.between = [&] {  // always one of them, before what was read can be written
    const std::string one = address(resource(changes++ % all)), document = pidf("t1:open", one);
    s.other->publish({.resource = one, .event = "presence", .content = {.type = "application/pidf+xml", .bytes = document}}, s.at);
  };
  std::size_t ended = 0;
  for (int looks = 0; looks < 2 * all && ended < all; ++looks) {
    ended += s.on(1).engine->advance(s.at).notifies.size();
    s.at = s.engine->next_deadline().value();
  }
  CHECK(ended == all);
}

TEST_CASE("a call about every resource is not stopped by those that others keep changing (C01, RL6, G03)") {
  constexpr int all = 20;
  const auto resource = [](int n) { return "r" + std::to_string(n); };
  const auto disturbed = [&](shared_world& s, std::function<int()> which) {
    for (int n = 0; n < all; ++n) s.on(1).subscribe("d" + std::to_string(n), {.to = resource(n), .expires = 60s});
    s.first.times = 10'000;
    s.first.between = [&s, which] {
      const std::string one = address("r" + std::to_string(which())), document = pidf("t1:open", one);
      s.other->publish({.resource = one, .event = "presence", .content = {.type = "application/pidf+xml", .bytes = document}}, s.at);
    };
  };
  const auto end = [](shared_world& s) { return s.on(1).engine->terminate_watchers({}, "presence", end_reason::deactivated, s.at); };
  {
    shared_world s;
    disturbed(s, [] { return 7; });  // always the same one
    const effects ended = end(s);
    CHECK(ended.storage_failed);
    CHECK(ended.notifies.size() == all - 1);
    s.first.between = {};
    const effects rest = end(s);
    CHECK_FALSE(rest.storage_failed);
    CHECK(rest.notifies.size() == 1);
    CHECK(end(s).notifies.empty());
  }
  shared_world s;
  disturbed(s, [turn = 0]() mutable { return turn++ % all; });
  s.at += 60s;
  const effects ended = s.on(1).engine->cleanup(s.at);
  CHECK_FALSE(ended.storage_failed);
  CHECK_FALSE(ended.more);
  CHECK(ended.notifies.size() == all);
}

TEST_CASE("each engine looks for what is due at moments of its own, and whoever is left does it all (C02)") {
  shared_world s;
  std::set<std::int64_t> moments;
  for (const int which : {1, 2}) {
    s.on(which).told(s.engine->advance(s.at));
    const auto next = s.engine->next_deadline();
    REQUIRE(next);
    CHECK(*next > s.at);
    CHECK(*next <= s.at + 1s);
    moments.insert(next->time_since_epoch().count());
  }
  CHECK(moments.size() == 2);
  s.on(2).subscribe("d1", {.expires = 60s});  // engine 2 is never heard of again
  for (const instant until = s.at + 61s; s.at < until;) {
    s.at = s.on(1).engine->next_deadline().value();
    if (const auto told = s.told(s.engine->advance(s.at)); !told.empty()) CHECK(told == "N d1#2 terminated;reason=timeout");
  }
  CHECK(s.on(1).subscribe("d1", {.expires = 60s}) == "481");
}

TEST_CASE("a dialog is found among any number that have its Call-ID, and the others are not read in (C01, T19)") {
  shared_world s;
  std::vector<std::string> tags;
  const auto ask = [&](int which, std::size_t n, std::string_view to_tag) {
    const std::string from = "f" + std::to_string(n), whom = "sip:r" + std::to_string(n) + "@example.com";
    return s.on(which).engine->subscribe({.resource = whom, .event = "presence", .expires = 600s, .call_id = "same", .from_tag = from,
                                          .to_tag = to_tag, .from_uri = "sip:bob@example.com", .to_uri = whom, .contact = "sip:bob@192.0.2.1",
                                          .cseq = to_tag.empty() ? 1 : 2, .who = {.uri = "sip:bob@example.com"}}, s.at);
  };
  for (std::size_t n = 0; n < 1100; ++n) {
    const effects out = ask(1, n, {});
    REQUIRE(out.answer.status == 200);
    tags.emplace_back(out.answer.dialog.local_tag());
  }
  for (const std::size_t n : {std::size_t{0}, std::size_t{600}, std::size_t{1099}}) {
    const auto calls = s.on(2).engine->stats().storage_calls;
    const effects out = ask(2, n, tags[n]);
    CHECK(out.answer.status == 200);
    CHECK(out.notifies.size() == 1);
    CHECK(s.engine->stats().storage_calls < calls + 15);
  }
}

TEST_CASE("who sees something else from a moment on is told so once, also in its millisecond (C01, Z11)") {
  shared_world s{{.by_rules = true}};
  s.rules_text =
      "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules'>"
      "<rule id='a'><conditions/><actions><pr:sub-handling>allow</pr:sub-handling></actions><transformations/></rule>"
      "<rule id='b'><conditions><validity><from>2023-11-14T22:13:20Z</from><until>2023-11-14T22:14:20Z</until></validity>"
      "</conditions><actions/><transformations><pr:provide-services><pr:all-services/></pr:provide-services></transformations>"
      "</rule></ruleset>";
  s.on(1).publish("alice", {.body = "t1:open"});
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P(*:open)");
  s.at += 60s;
  CHECK(s.on(2).publish("alice", {.body = "t2:open"}) == "200 e2 Expires=3600 | N d1#2 active;expires=540 P()");
  CHECK(s.told(s.on(2).engine->advance(s.at)) == "");
  CHECK(s.told(s.on(1).engine->advance(s.at)) == "");
}

TEST_CASE("what a budget leaves is found by the next call, not a second later (C01, M04)") {
  scenario::setup few;
  few.settings.advance_budget = 2;
  shared_world s{few};
  for (const char* dialog : {"d1", "d2", "d3"}) s.on(1).subscribe(dialog, {.by = dialog, .expires = 60s});
  s.at += 60s;
  std::size_t told = 0;
  for (bool more = true; more;) {
    const effects out = s.on(2).engine->advance(s.at);
    told += out.notifies.size();
    more = out.more;
  }
  CHECK(told == 3);
}

TEST_CASE("no change is lost when two engines change one state at once (C01, RL6)") {
  struct row {
    const char* name;
    std::function<std::string(shared_world&)> by_other, by_us;
    const char* expected;
  };
  const row rows[] = {
      {"two publications", [](shared_world& s) { return s.publish("alice", {.body = "t1:open"}); },
       [](shared_world& s) { return s.publish("alice", {.body = "t2:open"}); }, "200 e2 Expires=3600 | N d1#3 active;expires=600 P(t1:open,t2:open)"},
      {"a subscription while a document comes", [](shared_world& s) { return s.publish("alice", {.body = "t1:open"}); },
       [](shared_world& s) { return s.subscribe("d2", {.by = "carol", .expires = 600s}); }, "200 Expires=600 | N d2#1 active;expires=600 P(t1:open)"},
      {"a document while somebody subscribes", [](shared_world& s) { return s.subscribe("d2", {.by = "carol", .expires = 600s}); },
       [](shared_world& s) { return s.publish("alice", {.body = "t1:open"}); },
       "200 e1 Expires=3600 | N d1#2 active;expires=600 P(t1:open) | N d2#2 active;expires=600 P(t1:open)"},
      {"a document while the only watcher leaves", [](shared_world& s) { return s.subscribe("d1", {.expires = 0s}); },
       [](shared_world& s) { return s.publish("alice", {.body = "t1:open"}); }, "200 e1 Expires=3600"},
  };
  for (const row& row : rows) {
    CAPTURE(row.name);
    shared_world s;
    s.on(1).subscribe("d1", {.expires = 600s});
    s.first.between = [&] {
      s.on(2);
      row.by_other(s);
      std::swap(s.engine, s.other);  // back amid a call of the first: its memory is in use
      s.current = 1;
    };
    CHECK(row.by_us(s) == row.expected);
    CHECK(s.engine->stats().storage_conflicts == 1);
    CHECK(s.engine->stats().storage_faults == 0);
  }
}

TEST_CASE("the same document changed twice at once: one of the two is told that its tag is gone (C01, P10)") {
  shared_world s;
  s.on(1).publish("alice", {.body = "t1:open"});
  s.first.between = [&] {
    s.on(2).publish("alice", {.body = "t1:closed", .if_match = "e1"});
    std::swap(s.engine, s.other);
    s.current = 1;
  };
  CHECK(s.publish("alice", {.body = "t2:open", .if_match = "e1"}) == "412");
}

TEST_CASE("who always comes too late is told to try again, and nothing is half done (C01, RL2)") {
  shared_world s;
  s.on(1).subscribe("d1", {.expires = 600s});
  int number = 0;
  s.first.times = 100;
  s.first.between = [&] {
    s.on(2).publish("alice", {.body = "o" + std::to_string(++number) + ":open"});
    std::swap(s.engine, s.other);
    s.current = 1;
  };
  CHECK(s.publish("alice", {.body = "t1:open"}) == "503 Retry-After=5");
  CHECK(number == 5);
  s.first.between = {};
  CHECK(s.on(1).publish("alice", {.body = "t1:open"}).find("t1:open") != std::string::npos);
}

TEST_CASE("a database that cannot be read is answered 503, and nothing stays in memory (C01, RL2)") {
  shared_world s;
  s.on(1).subscribe("d1", {.expires = 600s});
  for (std::size_t nth = 1; nth < 12; ++nth) {
    CAPTURE(nth);
    s.first.fail(nth);
    const std::string got = s.publish("alice", {.body = "t1:open"});
    const bool failed = s.first.failed() != 0 && !s.first.armed();
    s.first.fail(0);
    if (!failed) break;
    CHECK((got == "503 Retry-After=5" || got.starts_with("200")));
    CHECK(s.engine->stats().resources == 0);
    s.at += 5s;
  }
  CHECK(s.on(2).subscribe("d1", {.expires = 600s}).starts_with("200"));
}

TEST_CASE("the answer to a NOTIFY that one engine sent ends a subscription that another made (C01, N13)") {
  shared_world s;
  s.answers = false;
  s.on(1).subscribe("d1", {.expires = 600s});
  s.on(2).publish("alice", {.body = "t1:open"});
  CHECK(s.outcome("d1", 2, 200) == "");
  CHECK(s.publish("alice", {.body = "t2:open", .if_match = "e1"}) == "200 e2 Expires=3600 | N d1#3 active;expires=600 P(t2:open)");
  CHECK(s.outcome("d1", 3, 481) == "");
  CHECK(s.on(1).publish("alice", {.body = "t3:open", .if_match = "e2"}) == "200 e3 Expires=3600");
}

TEST_CASE("an answer that ends a subscription ends it also where another engine is quicker with something else (C01, N13)") {
  shared_world s;
  s.answers = false;
  s.on(1).subscribe("d1", {.expires = 600s});
  s.on(2).subscribe("d2", {.by = "carol", .expires = 600s});
  s.on(1).publish("alice", {.body = "t1:open"});
  s.first.between = [&] {
    s.on(2).publish("alice", {.body = "t2:open"});
    std::swap(s.engine, s.other);
    s.current = 1;
  };
  CHECK(s.outcome("d1", 2, 481) == "");
  CHECK(s.engine->stats().storage_conflicts == 1);
  CHECK(s.on(2).engine->count_subscriptions({}) == 1);
  s.on(1);
}

TEST_CASE("what was made and not answered for is told by the call that finds it out, before what that tells (C01, RL2, RL6)") {
  shared_world s;
  s.on(1).subscribe("d1", {.expires = 600s});
  s.publish("alice", {.body = "t1:open"});
  s.first.lose_answer();
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "503 Retry-After=5");
  CHECK(s.publish("alice", {.body = "t2:open"}) == "200 e2 Expires=3600 | N d1#3 active;expires=600 P(t1:closed) | "
                                                   "N d1#4 active;expires=600 P(t1:closed,t2:open)");
  s.at += 6s;
  CHECK(s.told(s.engine->advance(s.at)) == "");
}

TEST_CASE("the answer to a NOTIFY that was told late ends its subscription (C01, N13)") {
  shared_world s;
  s.answers = false;
  s.on(1).subscribe("d1", {.expires = 600s});
  s.first.lose_answer();
  CHECK(s.publish("alice", {.body = "t1:open"}) == "503 Retry-After=5");
  s.at += 6s;
  CHECK(s.told(s.engine->advance(s.at)) == "N d1#2 active;expires=594 P(t1:open)");
  CHECK(s.outcome("d1", 2, 481) == "");
  CHECK(s.engine->count_subscriptions({}) == 0);
}

TEST_CASE("what was not made is not told, however it failed (C01, RL2)") {
  shared_world s;
  s.on(1).subscribe("d1", {.expires = 600s});
  s.first.between = [&] { s.first.fail(1); };
  CHECK(s.publish("alice", {.body = "t1:open"}) == "503 Retry-After=5");
  s.at += 6s;
  CHECK(s.told(s.engine->advance(s.at)) == "");
}

TEST_CASE("where another engine was there since, each state is told as it is, under a number of its own (C01, RL2, RL6)") {
  shared_world s;
  int dialogs = 0;
  for (const char* who : {"alice", "carol", "dave"}) {
    s.on(1).subscribe("d" + std::to_string(++dialogs), {.to = who, .expires = 600s});
    s.publish(who, {.body = "t1:open", .expires = 60s});
  }
  s.at += 60s;
  s.first.lose_answer();
  CHECK(s.told(s.engine->advance(s.at)) == "");
  SUBCASE("") {}
  SUBCASE("and this one was passive") { s.engine->set_passive(true); }
  CHECK(s.on(2).publish("alice", {.body = "t2:open"}) == "200 e4 Expires=3600 | N d1#3 active;expires=540 P(t2:open)");
  s.on(1).engine->set_passive(false);
  s.at += 6s;
  CHECK(s.told(s.engine->advance(s.at)) == "N d2#3 active;expires=534 P() | N d3#3 active;expires=534 P() | "
                                           "N d1#4 active;expires=534 P(t2:open)");
  const auto& told = s.dialogs["d1"].notifies;
  for (std::size_t i = 1; i < told.size(); ++i) CHECK(told[i].cseq > told[i - 1].cseq);
}

TEST_CASE("rules and watcher information work across engines (C01, Z05, W08)") {
  shared_world s{{.authorized = true, .winfo = true}};
  s.on(1).subscribe("d9", {.by = "alice", .expires = 3600s, .event = "presence.winfo"});
  s.policy["bob"] = sub_handling::confirm;
  CHECK(s.on(2).subscribe("d1", {.expires = 600s}) ==
        "200 Expires=600 | N d1#1 pending;expires=600 | N d9#2 active;expires=3600 W1 partial(w1:pending:subscribe:bob:600:0)");
  s.policy["bob"] = sub_handling::allow;
  CHECK(s.on(1).told(s.engine->update_watchers(address("alice"), "presence", s.at)) ==
        "N d1#2 active;expires=600 P() | N d9#3 active;expires=3600 W2 partial(w1:active:approved:bob:600:0)");
  CHECK(s.on(2).told(s.engine->terminate_watchers({}, "presence", end_reason::deactivated, s.at)) ==
        "N d1#3 terminated;reason=deactivated | N d9#4 active;expires=3600 W3 partial(w1:terminated:deactivated:bob:-:0)");
}

TEST_CASE("who is owed watcher information is told with the next advance, and learns of each end (C01, W08, WIN-4.7-1)") {
  event_package about = watcherinfo_package("presence");
  about.difference_only = false;
  for (const bool silent_deletes : {false, true}) {
    CAPTURE(silent_deletes);
    shared_world s{{.settings = {.force_delete = silent_deletes}, .packages = {about}}};
    s.on(1).subscribe("d9", {.by = "alice", .expires = 3600s, .event = "presence.winfo"});
    s.on(1).subscribe("d1", {.expires = 600s});
    CHECK(s.engine->next_deadline() <= s.at);
    CHECK(s.told(s.engine->advance(s.at)) == "N d9#2 active;expires=3600 W1 full(w1:active:subscribe:bob:600:0)");
    CHECK(s.told(s.engine->advance(s.at)) == "");
    s.on(2).subscribe("d1", {.expires = 0s});
    s.first.fail_all(true);
    s.second.fail_all(true);
    CHECK(s.told(s.engine->advance(s.at)) == "");
    s.first.fail_all(false);
    s.second.fail_all(false);
    s.at += 5s;
    CHECK(s.told(s.engine->advance(s.at)) == "N d9#3 active;expires=3595 W2 full(w1:terminated:timeout:bob:-:5)");
    CHECK(s.on(1).told(s.engine->advance(s.at)) == "");
  }
}

TEST_CASE("whichever read fails, what is due or owed comes later and is not passed over (C01, RL2, W08, M04)") {
  event_package about = watcherinfo_package("presence");
  about.difference_only = false;
  for (const bool lapses : {false, true}) {
    std::size_t nth = 1;
    for (bool failed = true; failed; ++nth) {
      CAPTURE(lapses);
      CAPTURE(nth);
      shared_world s{{.settings = {.clean_period = 0s}, .packages = {about}}};
      s.on(1).publish("alice", {.body = "t1:open", .expires = lapses ? 60s : 3600s});
      s.subscribe("d9", {.by = "alice", .expires = 3600s, .event = "presence.winfo"});
      s.subscribe("d1", {.expires = 600s});
      s.at += 61s;
      s.first.fail(nth);
      effects out = s.engine->advance(s.at);
      failed = s.first.failed() != 0;
      CHECK(out.storage_failed == failed);
      CHECK(out.notifies.empty() == failed);
      if (failed) s.at += 5s;
      if (failed) out = s.engine->advance(s.at);
      const std::string left = std::to_string(failed ? 534 : 539), since = failed ? "66" : "61";
      CHECK(s.told(out) == (lapses ? "N d1#2 active;expires=" + left + " P() | " : "") + "N d9#2 active;expires=" +
                               std::to_string(failed ? 3534 : 3539) + " W1 full(w1:active:subscribe:bob:" + left + ":" + since + ")");
    }
    CHECK(nth > 8);
  }
}

TEST_CASE("who is owed something is paid within the budget of advance, in turn, and at its rate (C01, W08, M04)") {
  event_package about = watcherinfo_package("presence");
  about.difference_only = false;
  for (const std::size_t rate : {0u, 3u}) {
    CAPTURE(rate);
    scenario::setup few{.settings = {.force_delete = true}, .packages = {about}};
    few.settings.advance_budget = 2;
    few.settings.advance_rate = rate;
    shared_world s{few};
    const std::vector<std::string> owed{"d1", "d2", "d3", "d4", "d5"};
    for (const std::string& dialog : owed) s.on(1).subscribe(dialog, {.by = "alice", .expires = 600s, .event = "presence.winfo"});
    s.on(1).subscribe("d9", {.expires = 600s});
    std::vector<std::string> told;
    std::vector<std::size_t> at_once;
    instant last;
    for (instant until = s.at + 3s; s.engine->next_deadline() && *s.engine->next_deadline() < until;) {
      s.at = std::max(s.at, *s.engine->next_deadline());
      const effects out = s.engine->advance(s.at);
      if (!out.notifies.empty()) at_once.push_back(out.notifies.size()), last = s.at;
      for (const std::string& dialog : owed)
        for (const notify& n : out.notifies)
          if (n.dialog.call_id() == s.dialogs[dialog].call_id) told.push_back(dialog);
      static_cast<void>(s.told(out));
    }
    CHECK(told == owed);
    CHECK(at_once == (rate == 0 ? std::vector<std::size_t>{2, 2, 1} : std::vector<std::size_t>{2, 1, 2}));
    CHECK(last - start == (rate == 0 ? 0s : 1s));
  }
}

TEST_CASE("who is owed something and has no second left is told his end, and nobody waits for him meanwhile (C01, M04, EVT-4.2.2-4)") {
  event_package about = watcherinfo_package("presence");
  about.difference_only = false;
  shared_world s{{.settings = {.force_delete = true}, .packages = {about}}};
  s.on(1).subscribe("d9", {.by = "alice", .expires = 60s, .event = "presence.winfo"});
  s.at += 59s;
  s.on(1).subscribe("d1", {.expires = 600s});
  s.at += 500ms;
  CHECK(s.told(s.engine->advance(s.at)) == "");
  REQUIRE(s.engine->next_deadline());
  CHECK(*s.engine->next_deadline() > s.at);
  s.at += 1s;
  CHECK(s.told(s.engine->advance(s.at)) == "N d9#2 terminated;reason=timeout");
}

TEST_CASE("what a watcher is owed is told also where it cannot be read at first, whichever read fails (C01, RL2, W08)") {
  event_package about = watcherinfo_package("presence");
  about.difference_only = false;
  std::size_t failing = 0;
  for (bool failed = true; failed;) {
    ++failing;
    CAPTURE(failing);
    shared_world s{{.settings = {.clean_period = 0s}, .packages = {about}}};
    s.on(1).subscribe("d9", {.by = "alice", .expires = 3600s, .event = "presence.winfo"});
    s.on(1).subscribe("d1", {.expires = 600s});
    s.first.fail(failing);
    const effects out = s.engine->advance(s.at);
    failed = !s.first.armed();
    s.first.fail(0);
    CHECK(out.storage_failed == failed);
    CHECK(s.told(out).empty() == failed);
    s.at += 5s;
    CHECK(s.told(s.engine->advance(s.at)).ends_with(failed ? "W1 full(w1:active:subscribe:bob:595:5)" : ""));
    CHECK(s.dialogs["d9"].notifies.size() == 2);
  }
  CHECK(failing > 5);
}

TEST_CASE("a package that cannot make what a watcher is owed is asked again, and keeps it from nobody else (C01, RL2, M04)") {
  bool broken = false;
  event_package fragile{.name = "fragile"};
  fragile.aggregate = [&](std::string_view resource, std::span<const published> all) {
    if (broken && resource == address("alice")) throw std::runtime_error{"made to fail"};
    return all.back().content;
  };
  shared_world s{{.packages = {fragile}}};
  const auto publish = [&](const char* who, const char* text) {
    return s.publish(who, {.raw = text, .type = "text/plain", .event = "fragile"});
  };
  s.on(1).subscribe("d1", {.expires = 600s, .event = "fragile"});
  s.on(1).subscribe("d2", {.to = "carol", .expires = 600s, .event = "fragile"});
  for (const char* who : {"alice", "carol"}) {  // who is told what it came to cannot be said, so he is owed it
    s.on(1).first.lose_answer();
    CHECK(publish(who, "one") == "503 Retry-After=5");
    s.on(2);
    CHECK(publish(who, "two").starts_with("200"));
    s.on(1);
    CHECK(publish("nobody", "").starts_with("400"));  // finds it out
  }
  broken = true;
  const auto told_next = [&] {
    REQUIRE(s.engine->next_deadline());
    s.at = std::max(s.at, *s.engine->next_deadline());
    return s.told(s.engine->advance(s.at));
  };
  const instant before = s.at;
  CHECK(told_next() == "N d2#3 active;expires=595 [two]");
  for (int i = 0; i < 20; ++i) CHECK(told_next() == "");  // looks at what is due, once in a second
  CHECK(s.at > before + 15s);
  broken = false;
  std::string told;
  for (const instant until = s.at + 5s; s.at < until && told.empty();) told = told_next();
  CHECK(told.starts_with("N d1#3 active;"));
  CHECK(told.ends_with("[two]"));
  for (const instant until = s.at + 10s; s.at < until;) CHECK(told_next() == "");
}

TEST_CASE("a watcher whose NOTIFY was lost finds it by the version of the next partial document (C01, WIN-58-7)") {
  shared_world s{{.winfo = true}};
  s.on(1).subscribe("d9", {.by = "alice", .expires = 3600s, .event = "presence.winfo"});
  s.answers = false;
  CHECK(s.on(2).subscribe("d1", {.expires = 600s}).ends_with("W1 partial(w1:active:subscribe:bob:600:0)"));
  s.outcome("d9", 2, 500);
  CHECK(s.on(1).subscribe("d2", {.by = "carol", .expires = 600s}).ends_with("W2 partial(w2:active:subscribe:carol:600:0)"));
  CHECK(s.on(2).subscribe("d9", {.expires = 3600s}).ends_with("W3 full(w1:active:subscribe:bob:600:0,w2:active:subscribe:carol:600:0)"));
}

TEST_CASE("a NOTIFY without a body has a CSeq and is no document, whichever engine counts (C01, N22)") {
  event_package counted = opaque_package("counted", {"a/b"});
  counted.tailor = [](const body& state, const watcher_view& view) {
    return body{"a/b", "v" + std::to_string(view.version) + " " + std::string{state.bytes()}};
  };
  sub_handling handling = sub_handling::confirm;
  counted.req_auth = true;
  counted.authorize = [&](const authorization_query&) -> authorization { return handling; };
  shared_world s{{.packages = {counted}}};
  CHECK(s.on(1).subscribe("d1", {.expires = 600s, .event = "counted"}) == "200 Expires=600 | N d1#1 pending;expires=600");
  CHECK(s.on(2).subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#2 pending;expires=600");
  handling = sub_handling::allow;  // and there is no document yet
  CHECK(s.on(1).told(s.engine->update_watchers(address("alice"), "counted", s.at)) == "N d1#3 active;expires=600");
  CHECK(s.on(2).told(s.engine->refresh_watchers(address("alice"), "counted", refresh_type::state, s.at)) == "N d1#4 active;expires=600");
  CHECK(s.on(1).publish("alice", {.raw = "a", .type = "a/b", .event = "counted"}) == "200 e1 Expires=3600 | N d1#5 active;expires=600 [v0 a]");
  CHECK(s.on(2).publish("alice", {.raw = "b", .type = "a/b", .if_match = "e1", .event = "counted"}) ==
        "200 e2 Expires=3600 | N d1#6 active;expires=600 [v1 b]");
}

TEST_CASE("lists, counts and questions see what any engine wrote (C01, G04, G05)") {
  shared_world s;
  s.on(1).publish("alice", {.body = "t1:open"});
  s.on(1).subscribe("d1", {.expires = 600s});
  s.on(2);
  CHECK(s.engine->count_publications({}) == 1);
  CHECK(s.engine->count_subscriptions({.watcher = address("bob")}) == 1);
  CHECK(s.engine->contains_presence(address("alice"), s.at));
  CHECK(s.engine->has_subscribers(address("alice"), "presence"));
  CHECK(tuples_of(s.engine->current_state(address("alice"), "presence", s.at).bytes()) == "P(t1:open)");
  s.on(1);
}

TEST_CASE("a passive engine looks and does nothing, until its host says so (C04)") {
  shared_world s;
  s.on(1).publish("alice", {.body = "t1:open", .expires = 60s});
  s.on(1).subscribe("d1", {.expires = 600s});
  s.on(2);
  s.engine->set_passive(true);
  CHECK(s.publish("alice", {.body = "t2:open"}) == "503 Retry-After=5");
  CHECK(s.subscribe("d1", {.expires = 600s}) == "503 Retry-After=5");
  CHECK(tuples_of(s.engine->current_state(address("alice"), "presence", s.at).bytes()) == "P(t1:open)");
  CHECK(s.engine->count_subscriptions({}) == 1);
  CHECK(s.told(s.engine->terminate_watchers({}, "presence", end_reason::deactivated, s.at)) == "");
  s.at += 60s;
  CHECK(s.told(s.engine->advance(s.at)) == "");
  CHECK_FALSE(s.engine->next_deadline());
  s.engine->set_passive(false);
  CHECK(s.told(s.engine->advance(s.at)) == "N d1#2 active;expires=540 P()");
}

TEST_CASE("with fallback2db nothing is read at start, what is needed is found, and it stays (T07)") {
  memory_storage rows;
  options settings{.fallback2db = true};
  scenario s{{.settings = settings, .rows = &rows}};
  s.publish("alice", {.body = "t1:open", .expires = 900s});
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.to = "dave", .expires = 600s});
  REQUIRE(s.engine->flush(s.at));
  s.restart();
  CHECK(s.engine->stats().resources == 0);
  CHECK(s.publish("alice", {.body = "t2:open"}) == "200 e2 Expires=3600 | N d1#2 active;expires=600 P(t1:open,t2:open)");
  CHECK(s.engine->stats().resources == 1);
  const auto calls = s.engine->stats().storage_calls;
  CHECK(s.publish("alice", {.if_match = "e1"}).starts_with("200"));
  CHECK(s.engine->stats().storage_calls == calls + 1);  // the write
  CHECK(s.subscribe("d2", {.expires = 900s}) == "200 Expires=900 | N d2#2 active;expires=900 P()");  // found by its dialog
  CHECK(s.subscribe("d9", {.to = "erin", .expires = 600s}).starts_with("200"));
  s.audit();
}

TEST_CASE("with fallback2db the time of what is not in memory comes all the same (T07, T12, M04)") {
  memory_storage rows;
  options settings{.fallback2db = true};
  scenario s{{.settings = settings, .rows = &rows}};
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.to = "dave", .expires = 120s});
  REQUIRE(s.engine->flush(s.at));
  s.restart();
  CHECK(s.wait(60s) == "N d1#2 active;expires=540 P()");
  CHECK(s.wait(60s) == "N d2#2 terminated;reason=timeout");
  CHECK(s.publish("alice", {.if_match = "e1"}) == "412");
}

TEST_CASE("options that cannot go together are refused with a sentence (T10, C01)") {
  options o;
  o.subs_db_mode = 3;
  CHECK(o.check());
  o.notify_interval = seconds{5};
  CHECK_FALSE(o.check());
  o.notify_interval = {};
  o.subs_db_mode = 2;
  o.fallback2db = true;
  CHECK_FALSE(o.check());
}

TEST_CASE("an engine without the package leaves what lapses to one that has it, for a while (C01, L05, M04)") {
  memory_storage rows;
  options settings;
  settings.server_address = "sip:server.example.com";
  settings.subs_db_mode = 3;
  settings.clean_period = 100s;
  seeded_random random{1};
  engine without{settings, {}, &rows, &random}, with{settings, {}, &rows, &random};
  REQUIRE(without.add_event(presence_package(), start));
  REQUIRE(with.add_event(presence_package(), start));
  REQUIRE(with.add_event(message_summary_package(), start));
  const auto subscribe = [&] {
    return with.subscribe({.resource = "sip:alice@example.com", .event = "message-summary", .expires = 60s, .call_id = "c", .from_tag = "f",
                           .from_uri = "sip:bob@example.com", .contact = "sip:bob@192.0.2.1", .cseq = 1},
                          start);
  };
  REQUIRE(subscribe().answer.status == 200);
  (void)without.cleanup(start + 61s);
  const effects ended = with.advance(start + 62s);
  REQUIRE(ended.notifies.size() == 1);
  CHECK(ended.notifies[0].reason == end_reason::timeout);
  // whose engine is gone does not stay for ever
  REQUIRE(subscribe().answer.status == 200);
  (void)without.cleanup(start + 223s);  // its time was up at 122
  std::vector<subscription_row> left;
  cursor at;
  REQUIRE(rows.subscriptions({}, at, 10, left));
  CHECK(left.empty());
}
