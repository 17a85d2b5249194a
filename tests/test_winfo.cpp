// Watcher information: presence.winfo and the like (RFC 3857, 3858; features E4, conformance 5).
#include "scenario.hpp"

#include <presence/memory_storage.hpp>
#include <presence/packages.hpp>

using namespace presence;
using namespace presence::test;

namespace {

using enum sub_handling;

struct watched : scenario {
  explicit watched(setup s = {})
      : scenario{[&] {
          s.authorized = s.winfo = true;
          return std::move(s);
        }()} {}
  /// The owner begins to watch the watchers.
  std::string owner(const std::string& dialog = "d9", seconds expires = 3600s) {
    return subscribe(dialog, {.by = "alice", .expires = expires, .event = "presence.winfo"});
  }
};

}  // namespace

TEST_CASE("TV-18: full and partial documents, one number each (W01, W02, W08, WIN-4.5-1, WIN-4.6-1, WIN-4.7-1, WIN-4.7-2, WIN-58-1 to -6, WIN-FSM-9, V13, SEC-PKG-5)") {
  watched s;
  s.policy["bob"] = confirm;
  CHECK(s.owner() == "200 Expires=3600 | N d9#1 active;expires=3600 W0 full()");
  s.wait_until(10s);
  CHECK(s.subscribe("d1", {.expires = 600s}) ==
        "200 Expires=600 | N d1#1 pending;expires=600 | N d9#2 active;expires=3590 W1 partial(w1:pending:subscribe:bob:600:0)");
  s.wait_until(20s);
  CHECK(s.decide("bob", allow) ==
        "N d1#2 active;expires=590 P() | N d9#3 active;expires=3580 W2 partial(w1:active:approved:bob:590:10)");
  s.wait_until(30s);
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#3 active;expires=600 P()");
  s.wait_until(40s);
  CHECK(s.owner() == "200 Expires=3600 | N d9#4 active;expires=3600 W3 full(w1:active:approved:bob:590:30)");
  CHECK(s.wait_until(630s) ==
        "N d1#4 terminated;reason=timeout | N d9#5 active;expires=3010 W4 partial(w1:terminated:timeout:bob:-:620)");
  s.wait_until(700s);
  CHECK(s.owner() == "200 Expires=3600 | N d9#6 active;expires=3600 W5 full()");
  CHECK(s.subscribe("d8", {.event = "presence.winfo"}) == "403");
}

TEST_CASE("TV-19: who was never decided about waits, and is given up (W03, W04, WIN-FSM-3 to -6, TRAP-16)") {
  watched s{{.settings = {.waiting_limit = 1000s}}};
  s.policy["bob"] = confirm;
  s.owner();
  s.wait_until(10s);
  CHECK(s.subscribe("d1", {.expires = 60s}) ==
        "200 Expires=60 | N d1#1 pending;expires=60 | N d9#2 active;expires=3590 W1 partial(w1:pending:subscribe:bob:60:0)");
  CHECK(s.wait_until(70s) ==
        "N d1#2 terminated;reason=timeout | N d9#3 active;expires=3530 W2 partial(w1:waiting:timeout:bob:-:60)");
  s.wait_until(100s);
  CHECK(s.subscribe("d2", {.expires = 60s}) ==
        "200 Expires=60 | N d2#1 pending;expires=60 | N d9#4 active;expires=3500 "
        "W3 partial(w1:terminated:giveup:bob:-:90,w2:pending:subscribe:bob:60:0)");
  CHECK(s.wait_until(160s) ==
        "N d2#2 terminated;reason=timeout | N d9#5 active;expires=3440 W4 partial(w2:waiting:timeout:bob:-:60)");
  SUBCASE("nobody decides") {
    CHECK(s.wait_until(1160s) == "N d9#6 active;expires=2440 W5 partial(w2:terminated:giveup:bob:-:1060)");
    s.wait_until(1200s);
    CHECK(s.decide("bob", allow).empty());
  }
  SUBCASE("somebody decides too late for him") {
    s.wait_until(500s);
    CHECK(s.decide("bob", allow) == "N d9#6 active;expires=3100 W5 partial(w2:terminated:approved:bob:-:400)");
    CHECK(s.subscribe("d3", {.expires = 60s}) ==
          "200 Expires=60 | N d3#1 active;expires=60 P() | N d9#7 active;expires=3100 W6 partial(w3:active:subscribe:bob:60:0)");
  }
  SUBCASE("the wait is in the full document") {
    CHECK(s.owner() == "200 Expires=3600 | N d9#6 active;expires=3600 W5 full(w2:waiting:timeout:bob:-:60)");
  }
}

TEST_CASE("a fetch by somebody nobody decided about leaves one who waits, however many he makes (WIN-FSM-4, WIN-FSM-5)") {
  watched s;
  s.policy["bob"] = confirm;
  s.owner();
  CHECK(s.subscribe("d1", {.expires = 0s}) ==
        "200 Expires=0 | N d1#1 terminated;reason=timeout | N d9#2 active;expires=3600 W1 partial(w1:waiting:timeout:bob:-:0)");
  for (int i = 0; i < 100; ++i) {
    const std::string line = s.subscribe("f" + std::to_string(i), {.expires = 0s});
    CHECK(line.find("d9") == std::string::npos);
  }
  CHECK(s.owner() == "200 Expires=3600 | N d9#3 active;expires=3600 W2 full(w1:waiting:timeout:bob:-:0)");
}

TEST_CASE("what ends a watcher is told by its name, once (W03, W08, WIN-FSM-1, WIN-58-5, POL-CHG-2)") {
  watched s;
  s.owner();
  s.subscribe("d1", {.expires = 600s});
  SUBCASE("rejected") {
    CHECK(s.decide("bob", block) ==
          "N d1#2 terminated;reason=rejected | N d9#3 active;expires=3600 W2 partial(w1:terminated:rejected:bob:-:0)");
  }
  SUBCASE("probation") {
    CHECK(s.decide("bob", confirm) ==
          "N d1#2 terminated;reason=probation | N d9#3 active;expires=3600 W2 partial(w1:terminated:probation:bob:-:0)");
  }
  SUBCASE("unsubscribed") {
    CHECK(s.subscribe("d1", {.expires = 0s}) ==
          "200 Expires=0 | N d1#2 terminated;reason=timeout P() | N d9#3 active;expires=3600 W2 partial(w1:terminated:timeout:bob:-:0)");
  }
  SUBCASE("its NOTIFY is refused") {
    s.answers = false;
    s.publish("alice", {.body = "t1:open"});
    CHECK(s.outcome("d1", 2, 481) == "N d9#3 active;expires=3600 W2 partial(w1:terminated:timeout:bob:-:0)");
  }
  SUBCASE("moved away") {
    CHECK(s.told(s.engine->terminate_watchers(address("alice"), "presence", end_reason::deactivated, s.now())) ==
          "N d1#2 terminated;reason=deactivated | N d9#3 active;expires=3600 W2 partial(w1:terminated:deactivated:bob:-:0)");
  }
  SUBCASE("a politely blocked one is shown as active (WIN-FSM-8)") {
    s.decide("bob", polite_block);
    CHECK(s.owner() == "200 Expires=3600 | N d9#3 active;expires=3600 W2 full(w1:active:subscribe:bob:600:0)");
  }
  SUBCASE("refused at the door, he is shown once") {
    s.policy["eve"] = block;
    CHECK(s.subscribe("d5", {.by = "eve"}) ==
          "403 | N d9#3 active;expires=3600 W2 partial(w2:terminated:rejected:eve:-:0)");
    CHECK(s.owner() == "200 Expires=3600 | N d9#4 active;expires=3600 W3 full(w1:active:subscribe:bob:600:0)");
  }
}

TEST_CASE("changes while a NOTIFY is not answered are told with the next one, ends included (W08, HOST-12)") {
  watched s;
  s.answers = false;
  s.owner();
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P()");
  CHECK(s.subscribe("d2", {.by = "carol", .expires = 600s}) == "200 Expires=600 | N d2#1 active;expires=600 P()");
  CHECK(s.subscribe("d1", {.expires = 0s}) == "200 Expires=0 | N d1#2 terminated;reason=timeout P()");
  CHECK(s.outcome("d9", 1, 200) ==
        "N d9#2 active;expires=3600 W1 full(w1:terminated:timeout:bob:-:0,w2:active:subscribe:carol:600:0)");
  CHECK(s.outcome("d9", 2, 200).empty());
  CHECK(s.owner() == "200 Expires=3600 | N d9#3 active;expires=3600 W2 full(w2:active:subscribe:carol:600:0)");
}

TEST_CASE("a document that may be lost is followed by a full one (WIN-58-7, DLG-4.3-1)") {
  watched s;
  s.owner();
  s.answers = false;
  CHECK(s.subscribe("d1", {.expires = 600s}) ==
        "200 Expires=600 | N d1#1 active;expires=600 P() | N d9#2 active;expires=3600 W1 partial(w1:active:subscribe:bob:600:0)");
  s.outcome("d9", 2, 500);
  s.answers = true;
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  CHECK(s.wait(0s) == "N d9#3 active;expires=3600 W2 full(w1:active:subscribe:bob:600:0,w2:active:subscribe:carol:600:0)");
  CHECK(s.subscribe("d2", {.expires = 0s}).find("W3 partial(w2:terminated:timeout:carol:-:0)") != std::string::npos);
}

TEST_CASE("only who proved to be the owner is let in, unless a policy says otherwise (W06, WIN-4.6-1, SEC-LEAK-7)") {
  SUBCASE("by default") {
    watched s;
    CHECK(s.subscribe("d1", {.by = "alice", .event = "presence.winfo", .unproven = true}) == "403");
    CHECK(s.subscribe("d2", {.by = "bob", .event = "presence.winfo"}) == "403");
    CHECK(s.subscribe("d3", {.by = "alice", .event = "presence.winfo", .as = "bob"}) == "403");
    CHECK(s.owner().starts_with("200"));
  }
  SUBCASE("an assistant, by the host's own policy") {
    event_package p = opaque_package("calendar");
    event_package about = watcherinfo_package("calendar");
    CHECK(about.name == "calendar.winfo");
    about.authorize = [](const authorization_query& q) { return q.watcher.uri == address("bob") ? allow : block; };
    scenario s{{.packages = {p, about}}};
    CHECK(s.subscribe("d9", {.event = "calendar.winfo"}) == "200 Expires=3600 | N d9#1 active;expires=3600 W0 full()");
    CHECK(s.subscribe("d1", {.by = "carol", .event = "calendar"}).find("W1 partial(w1:active:subscribe:carol:3600:0)") != std::string::npos);
  }
  SUBCASE("of a package with parameters") { CHECK(watcherinfo_package("dialog;sla").name == "dialog.winfo;sla"); }
}

TEST_CASE("each refusal of a watcher has an id of its own, also for whom has not answered yet (WIN-58-6, WIN-58-7)") {
  watched s;
  s.answers = false;
  s.owner();
  s.policy["bob"] = block;
  CHECK(s.subscribe("d1") == "403");
  CHECK(s.subscribe("d1", {.cseq = 2}) == "403");
  CHECK(s.outcome("d9", 1, 200) == "N d9#2 active;expires=3600 W1 full(w1:terminated:rejected:bob:-:0,w2:terminated:rejected:bob:-:0)");
}

TEST_CASE("hostile names are text in the document, and ids tell nothing of a dialog (W09, WIN-58-6, SEC-XML-4, SEC-LEAK-7, TRAP-9)") {
  watched s;
  s.owner();
  s.policy["sip:a&b'@example.com"] = allow;
  s.subscribe("d1", {.by = "sip:a&b'@example.com", .expires = 600s, .contact = "sip:192.0.2.1"});
  const std::string document = s.dialogs["d9"].notifies.back().body_bytes();
  INFO(document);
  CHECK(document.find(">sip:a&amp;b'@example.com</watcher>") != std::string::npos);
  CHECK(document.find("call-d1") == std::string::npos);
  CHECK(document.find("from-d1") == std::string::npos);
  const std::string again = s.watchers.back();
  s.subscribe("d2", {.by = "sip:a&b'@example.com", .expires = 600s, .contact = "sip:192.0.2.1"});
  CHECK(s.watchers.size() == 2);
  CHECK(s.watchers[0] != s.watchers[1]);
  CHECK(again == s.watchers[0]);
  watched other{{.seed = 2}};
  other.owner();
  other.subscribe("d1", {.by = "sip:a&b'@example.com", .expires = 600s, .contact = "sip:192.0.2.1"});
  CHECK(other.watchers[0] != again);
}

TEST_CASE("the numbers of documents go on after a restart, beginning with a full one, and ids stay (WIN-58-2, WIN-58-6, WIN-58-7, M04)") {
  memory_storage rows;
  watched s{{.settings = {.cseq_block = 1}, .rows = &rows}};
  s.owner();
  s.subscribe("d1", {.expires = 600s});
  REQUIRE(s.engine->flush(s.now()));
  s.restart();
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  CHECK(s.wait(0s) == "N d9#3 active;expires=3600 W2 full(w1:active:subscribe:bob:600:0,w2:active:subscribe:carol:600:0)");
}

TEST_CASE("the owner sees the display name that the host vouches for, escaped; a later one replaces it (W05, W09, WIN-58-4, WIN-58-9)") {
  watched s;
  s.policy["carol"] = confirm;
  s.owner();
  const auto told = [&] { return s.dialogs["d9"].notifies.back().body_bytes(); };
  s.subscribe("d1", {.expires = 600s, .display_name = "Bob <\"the builder\"> & son"});
  CHECK(told().find(" display-name=\"Bob &lt;&quot;the builder&quot;&gt; &amp; son\"") != std::string::npos);
  s.subscribe("d2", {.by = "carol", .expires = 60s, .display_name = "Carol"});
  s.wait(60s);
  CHECK(told().find("status=\"waiting\"") != std::string::npos);
  CHECK(told().find(" display-name=\"Carol\"") != std::string::npos);
  s.subscribe("d1", {.expires = 600s, .display_name = "Robert"});
  s.subscribe("d1", {.expires = 600s});  // says nothing of it: nothing changes
  s.owner();
  CHECK(told().find(" display-name=\"Robert\"") != std::string::npos);
  CHECK(told().find(" display-name=\"Carol\"") != std::string::npos);
  s.subscribe("d3", {.by = "dan", .expires = 600s});
  CHECK(told().find("display-name") == std::string::npos);
  CHECK(s.subscribe("d4", {.by = "eve", .display_name = "Eve\r\nX: y"}) == "400");
}

TEST_CASE("who asks for privacy is nobody in particular: shown as anonymous, matched by no identity, now and later (WIN-58-8, PRS-6.6.2-3, POL-4745-id-3)") {
  watched s;
  std::vector<std::string> asked;
  s.engine = std::make_unique<presence::engine>(s.given.settings, host_hooks{}, nullptr, s.random.get());
  event_package p = presence_package();
  p.winfo = p.req_auth = true;
  sub_handling verdict = confirm;
  p.authorize = [&](const authorization_query& q) {
    asked.push_back(std::string{q.watcher.uri} + (q.watcher.anonymous ? "?" : ""));
    return verdict;
  };
  REQUIRE(s.engine->add_event(p, s.at));
  s.owner();
  s.subscribe("d1", {.expires = 600s, .display_name = "Bob", .anonymous = true});
  const std::string told = s.dialogs["d9"].notifies.back().body_bytes();
  CHECK(told.find(">sip:anonymous@anonymous.invalid</watcher>") != std::string::npos);
  CHECK(told.find("bob") == std::string::npos);
  CHECK(told.find("Bob") == std::string::npos);
  // a refresh is as anonymous; the same dialog is not taken over by somebody with a name
  CHECK(s.subscribe("d1", {.expires = 600s, .anonymous = true}) == "200 Expires=600 | N d1#2 pending;expires=600");
  CHECK(s.subscribe("d1", {.expires = 600s}) == "403");
  CHECK(s.subscribe("d2", {.by = "sip:anonymous@anonymous.invalid", .expires = 600s, .contact = "sip:x@192.0.2.7", .unproven = true}) ==
        "200 Expires=600 | N d2#1 pending;expires=600 | N d9#3 active;expires=3600 W2 partial(w2:pending:subscribe:sip:anonymous@anonymous.invalid:600:0)");
  verdict = allow;
  CHECK(s.told(s.engine->refresh_watchers(address("alice"), "presence", refresh_type::authorization, s.at)) ==
        "N d1#3 active;expires=600 P() | N d2#2 active;expires=600 P() | N d9#4 active;expires=3600 W3 "
        "partial(w1:active:approved:sip:anonymous@anonymous.invalid:600:0,w2:active:approved:sip:anonymous@anonymous.invalid:600:0)");
  std::string all;
  for (const std::string& who : asked) all += who + " ";
  CHECK(all == "? ? ? ? ? ");
}

TEST_CASE("who waits and is refused when he comes again waits no more (WIN-FSM-1, WIN-FSM-3, W08)") {
  memory_storage rows;
  watched s{{.rows = &rows}};
  s.owner();
  s.policy["bob"] = confirm;
  s.subscribe("d1", {.expires = 0s});
  s.policy["bob"] = block;
  CHECK(s.subscribe("d2", {.expires = 600s}) ==
        "403 | N d9#3 active;expires=3600 W2 partial(w2:terminated:rejected:bob:-:0,w1:terminated:rejected:bob:-:0)");
  CHECK(s.engine->stats().undecided == 0);
  std::vector<watcher_row> left;
  cursor at;
  REQUIRE(rows.watchers({}, at, 10, left));
  CHECK(left.empty());
}

TEST_CASE("who waits keeps his id over a restart (WIN-58-6, T12)") {
  memory_storage rows;
  watched s{{.settings = {.cseq_block = 1}, .rows = &rows}};
  s.owner();
  s.policy["bob"] = confirm;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d1", {.expires = 0s});
  REQUIRE(s.engine->flush(s.now()));
  s.restart();
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  CHECK(s.wait(0s) == "N d9#4 active;expires=3600 W3 full(w2:active:subscribe:carol:600:0,w1:waiting:timeout:bob:-:0)");
}
