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

TEST_CASE("TV-18: full and partial documents, one number each (W01, W02, W08, WIN-4.5-1, WIN-4.6-1, WIN-4.7-1, WIN-4.7-2, WIN-58-1 to -6, WIN-58-10, WIN-FSM-9, V13, SEC-PKG-5)") {
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

TEST_CASE("TV-19: who was never decided about waits, and is given up (W03, W04, WIN-FSM-3 to -6, TRAP-16)"
          * not_in("bounded database_only", "rows of who waits do not tell since when he is known, or his name")) {
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
  SUBCASE("its NOTIFY is refused, or not answered (TV-06)") {
    s.answers = false;
    s.publish("alice", {.body = "t1:open"});
    CHECK(s.outcome("d1", 2, 500).empty());  // he goes on watching
    s.publish("alice", {.body = "t1:closed", .if_match = "e1"});
    int status = 0;
    SUBCASE("refused") { status = 481; }
    SUBCASE("not answered") { status = 0; }
    CHECK(s.outcome("d1", 3, status) == "N d9#3 active;expires=3600 W2 partial(w1:terminated:timeout:bob:-:0)");
  }
  SUBCASE("moved away") {
    CHECK(s.told(s.engine->terminate_watchers(address("alice"), "presence", end_reason::deactivated, s.now())) ==
          "N d1#2 terminated;reason=deactivated | N d9#3 active;expires=3600 W2 partial(w1:terminated:deactivated:bob:-:0)");
  }
  SUBCASE("refused at the door, he is shown once") {
    s.policy["eve"] = block;
    CHECK(s.subscribe("d5", {.by = "eve"}) ==
          "403 | N d9#3 active;expires=3600 W2 partial(w2:terminated:rejected:eve:-:0)");
    CHECK(s.owner() == "200 Expires=3600 | N d9#4 active;expires=3600 W3 full(w1:active:subscribe:bob:600:0)");
  }
}

TEST_CASE("the host's reasons end who is active or pending by their names; giving up ends who is pending (W03, WIN-FSM-1, WIN-58-5)") {
  for (const end_reason reason : {end_reason::deactivated, end_reason::probation, end_reason::rejected, end_reason::noresource, end_reason::giveup}) {
    const std::string name{to_string(reason)};
    CAPTURE(name);
    watched s;
    s.policy["bob"] = confirm;
    s.owner();
    s.subscribe("d1", {.expires = 600s});
    s.subscribe("d2", {.by = "carol", .expires = 600s});
    const std::string told = s.told(s.engine->terminate_watchers(address("alice"), "presence", reason, s.at));
    const std::string carol = reason == end_reason::giveup ? "" : ",w2:terminated:" + name + ":carol:-:0";
    CHECK(told.ends_with("N d9#4 active;expires=3600 W3 partial(w1:terminated:" + name + ":bob:-:0" + carol + ")"));
  }
}

TEST_CASE("who is politely blocked is active to the owner, at the door and later, as who is allowed (WIN-FSM-8, Z15)") {
  watched s;
  s.policy["bob"] = s.policy["carol"] = polite_block;
  s.owner();
  CHECK(s.subscribe("d1", {.expires = 600s}) ==
        "200 Expires=600 | N d1#1 active;expires=600 P() | N d9#2 active;expires=3600 W1 partial(w1:active:subscribe:bob:600:0)");
  CHECK(s.decide("bob", allow) == "N d1#2 active;expires=600 P()");
  CHECK(s.decide("bob", polite_block) == "N d1#3 active;expires=600 P()");
  CHECK(s.owner() == "200 Expires=3600 | N d9#3 active;expires=3600 W2 full(w1:active:subscribe:bob:600:0)");
  s.policy["dave"] = confirm;
  s.subscribe("d2", {.by = "dave", .expires = 600s});
  CHECK(s.decide("dave", polite_block).ends_with("W4 partial(w2:active:approved:dave:600:0)"));
}

TEST_CASE("who waits is told to the owner, and to himself never: his subscription is over (WIN-FSM-2)") {
  watched s;
  s.policy["bob"] = confirm;
  s.owner();
  s.subscribe("d1", {.expires = 60s});
  s.subscribe("d2", {.expires = 0s});
  CHECK(s.wait(60s).find("w1:waiting:timeout:bob") != std::string::npos);
  s.subscribe("d3", {.expires = 60s});
  s.subscribe("d3", {.expires = 0s});
  CHECK(s.owner().find(":waiting:timeout:bob") != std::string::npos);
  s.decide("bob", allow);
  std::string told;
  for (const char* name : {"d1", "d2", "d3"})
    for (const notify& n : s.dialogs[name].notifies) told += n.subscription_state_value() + (n.content ? " body | " : " | ");
  CHECK(told == "pending;expires=60 | terminated;reason=timeout | terminated;reason=timeout | pending;expires=60 | terminated;reason=timeout | ");
}

TEST_CASE("of those who wait the oldest is given up for the next one, and the owner is told (WIN-FSM-6, TV-40)") {
  options settings;
  settings.limits.waiting_per_resource = 2;
  watched s{{.settings = settings}};
  s.owner();
  for (const char* name : {"bob", "carol", "dave"}) {
    s.policy[name] = confirm;
    s.wait(1s);
    for (int i = 0; i < 10; ++i) s.subscribe(name + std::to_string(i), {.by = name, .expires = 0s});
  }
  CHECK(s.watchers_of(s.dialogs["d9"].notifies.back().body_bytes()) == "W3 partial(w3:waiting:timeout:dave:-:0,w1:terminated:giveup:bob:-:2)");
  CHECK(s.owner().ends_with("W4 full(w2:waiting:timeout:carol:-:1,w3:waiting:timeout:dave:-:0)"));
}

TEST_CASE("the package lasts an hour, has one media type, and takes no document and no parameter (WIN-4.2-1, WIN-4.4-1, WIN-4.5-1, WIN-58-1, WIN-58-3, PUB-6.2-1)") {
  watched s;
  CHECK(s.subscribe("d1", {.by = "alice", .event = "presence.winfo;x=y"}) == "200 Expires=3600 | N d1#1 active;expires=3600 W0 full()");
  CHECK(s.dialogs["d1"].notifies[0].content.content_type() == "application/watcherinfo+xml");
  CHECK(s.dialogs["d1"].notifies[0].body_bytes() ==
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" version=\"0\" state=\"full\">"
        "<watcher-list resource=\"sip:alice@example.com\" package=\"presence\"></watcher-list></watcherinfo>");
  CHECK(s.subscribe("d2", {.by = "alice", .event = "presence.winfo", .accept = "application/watcherinfo+xml"}).starts_with("200"));
  CHECK(s.subscribe("d3", {.by = "alice", .event = "presence.winfo", .accept = "application/pidf+xml"}) == "406");
  CHECK(s.publish("alice", {.raw = "<x/>", .type = "application/watcherinfo+xml", .event = "presence.winfo"}).starts_with("489"));
}

TEST_CASE("any package has watcher information, that of other packages stands apart (WIN-4.1-1, EVT-5.2-1, W01)") {
  event_package calendar = opaque_package("calendar"), line = opaque_package("line;x=y");
  calendar.winfo = line.winfo = true;
  watched s{{.packages = {calendar, line}}};
  s.owner();
  CHECK(s.subscribe("d8", {.by = "alice", .event = "calendar.winfo"}) == "200 Expires=3600 | N d8#1 active;expires=3600 W0 full()");
  CHECK(s.subscribe("d7", {.by = "alice", .event = "line.winfo;x=y"}) == "200 Expires=3600 | N d7#1 active;expires=3600 W0 full()");
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "calendar"}) ==
        "200 Expires=600 | N d1#1 active;expires=600 | N d8#2 active;expires=3600 W1 partial(w1:active:subscribe:bob:600:0)");
  CHECK(s.dialogs["d8"].notifies.back().body_bytes().find("package=\"calendar\"") != std::string::npos);
  CHECK(s.subscribe("d2", {.expires = 600s, .event = "line;x=y"}).find("N d7#2 active;expires=3600 W1 partial(") != std::string::npos);
  CHECK(s.subscribe("d3", {.by = "alice", .event = "presence.winfo.winfo"}).starts_with("489"));
}

TEST_CASE("ids stay with their watchers, and differ within a list (W05, WIN-58-6)") {
  watched s;
  s.owner();
  s.policy["bob"] = confirm;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  s.subscribe("d2", {.by = "carol", .expires = 600s, .event = "presence;id=2"});  // a second one in the same dialog
  s.decide("bob", allow);
  s.subscribe("d1", {.expires = 300s});
  s.wait(10s);
  CHECK(s.owner().ends_with("full(w1:active:approved:bob:290:10,w2:active:subscribe:carol:590:10,w3:active:subscribe:carol:590:10)"));
}

TEST_CASE("changes while a NOTIFY is not answered are told with the next one, ends included (W08, HOST-12)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
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

TEST_CASE("a document that may be lost is followed by a full one (WIN-58-7, DLG-4.3-1)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
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

TEST_CASE("each refusal of a watcher has an id of its own, also for whom has not answered yet (WIN-58-6, WIN-58-7)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
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
  const std::string long_one = "sip:" + std::string(1000, 'x') + "@example.com";
  s.subscribe("d3", {.by = long_one, .expires = 600s, .contact = "sip:192.0.2.1"});
  CHECK(s.dialogs["d9"].notifies.back().body_bytes().find(">" + long_one + "</watcher>") != std::string::npos);
}

TEST_CASE("the numbers of documents go on after a restart, beginning with a full one, and ids stay (WIN-58-2, WIN-58-6, WIN-58-7, M04)"
          * not_in("bounded database_only", "nothing is read at a start, so nobody is told then")) {
  memory_storage rows;
  watched s{{.settings = {.cseq_block = 1}, .rows = &rows}};
  s.owner();
  s.subscribe("d1", {.expires = 600s});
  REQUIRE(s.engine->flush(s.now()));
  s.restart();
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  CHECK(s.wait(0s) == "N d9#3 active;expires=3600 W2 full(w1:active:subscribe:bob:600:0,w2:active:subscribe:carol:600:0)");
}

TEST_CASE("who was approved is told as approved, also after a restart (WIN-58-5)") {
  memory_storage rows;
  watched s{{.rows = &rows}};
  s.policy["bob"] = confirm;
  s.subscribe("d1", {.expires = 600s});
  s.decide("bob", allow);
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  s.restart();
  CHECK(s.owner() == "200 Expires=3600 | N d9#1 active;expires=3600 W0 full(w1:active:approved:bob:600:0,w2:active:subscribe:carol:600:0)");
}

TEST_CASE("the owner sees the display name that the host vouches for, escaped; a later one replaces it (W05, W09, WIN-58-4, WIN-58-9)"
          * not_in("bounded database_only", "rows of who waits do not tell since when he is known, or his name")) {
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
  CHECK(s.stats().undecided == 0);
  std::vector<watcher_row> left;
  cursor at;
  REQUIRE(rows.watchers({}, at, 10, left));
  CHECK(left.empty());
}

TEST_CASE("who waits keeps his id over a restart (WIN-58-6, T12)"
          * not_in("bounded database_only", "nothing is read at a start, so nobody is told then")) {
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

TEST_CASE("watcher information may be told in full documents only (WIN-4.7-1, WIN-58-2)") {
  event_package about = watcherinfo_package("calendar");
  about.difference_only = false;
  scenario s{{.packages = {opaque_package("calendar"), about}}};
  s.subscribe("d9", {.by = "alice", .event = "calendar.winfo"});
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "calendar"}) == "200 Expires=600 | N d1#1 active;expires=600");
  CHECK(s.wait(0s) == "N d9#2 active;expires=3600 W1 full(w1:active:subscribe:bob:600:0)");
  s.subscribe("d1", {.expires = 0s});
  CHECK(s.wait(0s) == "N d9#3 active;expires=3600 W2 full(w1:terminated:timeout:bob:-:0)");
}
