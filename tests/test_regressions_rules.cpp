// What the random walk found about rules, watcher information and the packages, each as its shortest
// story (RL1, RL2). test_regressions.cpp has the older ones.
#include "scenario.hpp"

#include <functional>

#include <presence/memory_storage.hpp>
#include <presence/packages.hpp>
#include <presence/rules.hpp>

#include "faulty_storage.hpp"

using namespace presence;
using namespace presence::test;

namespace {

using enum sub_handling;
using hook = std::function<authorization(const authorization_query&)>;

/// An opaque package whose watchers the test decides about; its owner can watch them.
event_package guarded(hook authorize) {
  event_package p = opaque_package("guarded");
  p.req_auth = p.winfo = true;
  p.authorize = std::move(authorize);
  return p;
}

/// A presence package of the test's own instead of the one of the language.
struct with_presence : scenario {
  std::function<event_package()> make;
  with_presence(setup s, std::function<event_package()> package) : scenario{std::move(s)}, make{std::move(package)} { renew(); }
  void renew() {
    engine = std::make_unique<presence::engine>(given.settings, host_hooks{}, given.rows, random.get());
    REQUIRE(engine->add_event(make(), at));
    for (const event_package& extra : given.packages) REQUIRE(engine->add_event(extra, at));
  }
};

std::string person(const char* sphere) {
  return std::string{"<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' "
                     "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:alice@example.com'>"
                     "<d:person id='p'><r:sphere><r:"} + sphere + "/></r:sphere></d:person></presence>";
}
authorization at_work(const authorization_query& q) {
  authorization a{q.sphere == "work" ? allow : q.sphere ? block : confirm};
  a.by_sphere = true;
  return a;
}
event_package presence_at_work(presence_options how = {}) {
  event_package p = presence_package(how);
  p.req_auth = p.winfo = true;
  p.authorize = at_work;
  return p;
}

std::string info(const std::string& dialogs, const char* state = "full") {
  return "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"" + std::string{state} +
         "\" entity=\"sip:alice@example.com\">" + dialogs + "</dialog-info>";
}
std::string call(const std::string& id, const char* state, const std::string& call_id = {}) {
  return "<dialog id=\"" + id + "\"" + (call_id.empty() ? "" : " call-id=\"" + call_id + "\" local-tag=\"l\" remote-tag=\"r\"") + "><state>" +
         state + "</state></dialog>";
}
/// Which dialogs a composed document has, as id:state,...
std::string calls_of(const std::string& document) {
  std::string all;
  for (auto at = document.find("<dialog "); at != std::string::npos; at = document.find("<dialog ", at + 1)) {
    const auto id = document.find(" id=\"", at) + 5;
    const auto state = document.find('>', document.find("<state", at)) + 1;
    all += (all.empty() ? "" : ",") + document.substr(id, document.find('"', id) - id) + ":" + document.substr(state, document.find('<', state) - state);
  }
  return all;
}
struct lamps : scenario {
  explicit lamps(dialog_options how = {}, setup s = {}) : scenario{[&] {
    s.packages = {dialog_package(how)};
    return std::move(s);
  }()} {}
  std::string tell(const std::string& document, const std::string& tag = {}, expires_value expires = {}, const std::string& sender = {}) {
    return publish("alice", {.raw = document, .type = "application/dialog-info+xml", .if_match = tag, .expires = expires, .event = "dialog", .sender = sender});
  }
  std::string watch(const std::string& dialog, expires_value expires = 3600s) {
    return subscribe(dialog, {.by = "alice", .expires = expires, .event = "dialog"});
  }
  std::string last(const std::string& dialog) { return dialogs[dialog].notifies.back().body_bytes(); }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

// --- rules and the sphere ------------------------------------------------------------------------------

TEST_CASE("where there are no views, who stands as he did is told nothing, whatever is in memory (POL-CHG-3, T09)") {
  event_package p = opaque_package("foo");
  p.req_auth = true;
  sub_handling carols = allow;
  p.authorize = [&carols](const authorization_query& q) { return q.watcher.proves(address("carol")) ? carols : allow; };
  scenario s{{.packages = {p}}};
  s.publish("alice", {.raw = "one", .type = "a/b", .event = "foo"});
  s.subscribe("d1", {.expires = 600s, .event = "foo"});
  s.subscribe("d2", {.by = "carol", .expires = 600s, .event = "foo"});
  s.subscribe("d3", {.to = "dave", .event = "foo"});  // with memory for one state, alice's is not there now
  const auto rules_changed = [&] {
    return s.told(s.engine->refresh_watchers(address("alice"), "foo", refresh_type::authorization, s.at));
  };
  CHECK(rules_changed() == "");
  carols = block;
  CHECK(rules_changed() == "N d2#2 terminated;reason=rejected");
  CHECK(rules_changed() == "");
}

TEST_CASE("rules that show the same as before tell nobody anything (POL-CHG-3, EVT-4.2.2-15)"
          * not_in("database_only", "rows do not say which view a watcher was told")) {
  const auto rules = [](const std::string& shown) {
    return "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules'><rule id='r'><actions>"
           "<pr:sub-handling>allow</pr:sub-handling></actions><transformations>" + shown + "</transformations></rule></ruleset>";
  };
  std::string text = rules("<pr:provide-services><pr:all-services/></pr:provide-services>");
  with_presence s{{}, [&] {
    event_package p = presence_package();
    authorize_by_rules(p, [&](std::string_view) { return std::optional{text}; }, {.lenient = true});
    return p;
  }};
  s.publish("alice", {.body = "t1:open"});
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P(*:open)");
  text = rules("<pr:provide-services><pr:all-services/></pr:provide-services><pr:provide-mood>true</pr:provide-mood>");
  CHECK(s.told(s.engine->update_watchers(address("alice"), "presence", s.at)).empty());
}

TEST_CASE("a publication that lapses changes the sphere for other packages, too (Z12, POL-5025-sphere-2)") {
  event_package other = opaque_package("other");
  other.req_auth = true;
  other.authorize = at_work;
  with_presence s{{.settings = {.enable_sphere_check = true}, .packages = {other}}, [] { return presence_package(); }};
  s.publish("alice", {.raw = person("work"), .expires = 60s});
  s.subscribe("o1", {.expires = 600s, .event = "other"});
  CHECK(s.wait(60s) == "N o1#2 terminated;reason=probation");
}

TEST_CASE("a sphere that changes without a change of the document decides anew (Z12, V04)") {
  const auto newest = [] { return presence_at_work({.several = presence_options::composing::newest}); };
  with_presence s{{.settings = {.enable_sphere_check = true}}, newest};
  s.publish("alice", {.raw = person("home"), .expires = 60s});
  s.publish("alice", {.raw = person("work")});  // two that disagree: nothing is known
  s.subscribe("d1", {.expires = 600s});
  CHECK(s.wait(60s) == "N d1#2 active;expires=540 P()");
}

TEST_CASE("who is owed a NOTIFY is decided about by the sphere like everybody else (Z12, HOST-12)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
  with_presence s{{.settings = {.enable_sphere_check = true}}, [] { return presence_at_work(); }};
  s.publish("alice", {.raw = person("work"), .expires = 60s});
  s.answers = false;
  s.subscribe("d1", {.expires = 600s});
  s.publish("alice", {.body = "t1:open"});
  s.at += 60s;  // the answer comes in before the host calls advance()
  CHECK(s.outcome("d1", 1, 200) == "N d1#2 terminated;reason=probation");
}

TEST_CASE("who waits is decided about when the sphere changes (Z12, WIN-FSM-5)") {
  with_presence s{{.settings = {.enable_sphere_check = true}}, [] { return presence_at_work(); }};
  s.subscribe("d9", {.by = "alice", .expires = 3600s, .event = "presence.winfo"});
  CHECK(has(s.subscribe("d1", {.expires = 0s}), "w1:waiting:timeout:bob"));
  const std::string at_once = s.publish("alice", {.raw = person("home")});
  CHECK(has(at_once + s.wait(0s), "w1:terminated:rejected:bob"));
}

TEST_CASE("after a restart a decision by the sphere is the same, and nobody is told anything (Z12, M04, T14)"
          * not_in("write_back", "rows are written later")) {
  memory_storage rows;
  with_presence s{{.settings = {.enable_sphere_check = true}, .rows = &rows}, [] { return presence_at_work(); }};
  s.publish("alice", {.raw = person("work")});
  s.subscribe("d1", {.expires = 600s});
  s.renew();
  CHECK(s.wait(0s).empty());
  CHECK(s.subscribe("d1", {.expires = 600s}).starts_with("200 Expires=600 | N d1#2 active"));
}

TEST_CASE("decisions that time brings are not lost when they cannot be stored (RL2, Z11)") {
  memory_storage held;
  faulty_storage rows{held};
  scenario s{{.rows = &rows, .packages = {guarded([](const authorization_query& q) {
    authorization a{q.now < start + 100s ? allow : block};
    a.until = q.now < start + 100s ? start + 100s : start + 500s;  // it looks at another moment next
    return a;
  })}}};
  s.subscribe("d1", {.expires = 600s, .event = "guarded"});
  s.wait_until(99s);
  rows.fail(1);
  CHECK(s.wait_until(110s) == "N d1#2 terminated;reason=rejected");
  CHECK(rows.failed() == 1);
}

// --- who waits ---------------------------------------------------------------------------------------------

TEST_CASE("who waits is decided about at every edge of the rules, though nobody subscribes (Z11, WIN-FSM-5)") {
  scenario s{{.packages = {guarded([](const authorization_query& q) {
    authorization a{q.now < start + 200s ? confirm : block};
    if (q.now < start + 200s) a.until = q.now < start + 100s ? start + 100s : start + 200s;
    return a;
  })}}};
  s.subscribe("d9", {.by = "alice", .expires = 3600s, .event = "guarded.winfo"});
  CHECK(has(s.subscribe("d1", {.expires = 0s, .event = "guarded"}), "w1:waiting:timeout:bob"));
  CHECK(s.wait_until(199s).empty());
  CHECK(has(s.wait_until(200s), "w1:terminated:rejected:bob"));
}

TEST_CASE("nobody begins to wait for what is decided (WIN-FSM-1, Z11)") {
  bool decided = false;
  scenario s{{.packages = {guarded([&](const authorization_query& q) {
    authorization a{decided || q.now >= start + 100s ? block : confirm};
    if (q.now < start + 100s) a.until = start + 100s;
    return a;
  })}}};
  s.subscribe("d9", {.by = "alice", .expires = 3600s, .event = "guarded.winfo"});
  s.subscribe("d1", {.expires = 100s, .event = "guarded"});
  SUBCASE("his subscription lapses as rules come into force") {
    CHECK(has(s.wait_until(100s), "w1:terminated:rejected:bob"));
  }
  SUBCASE("in his last second rules are written that refuse him") {
    s.wait_until(99s);
    s.at += 500ms;
    decided = true;
    CHECK(s.told(s.engine->update_watchers(address("alice"), "guarded", s.at)).empty());
    CHECK(has(s.wait_until(101s), "w1:terminated:rejected:bob"));
  }
  SUBCASE("he unsubscribes when rules refuse him by now") {
    decided = true;
    CHECK(has(s.subscribe("d1", {.expires = 0s}), "N d1#2 terminated;reason=timeout | N d9#3 active;expires=3600 W2 partial(w1:terminated:rejected:bob"));
  }
  CHECK(s.stats().undecided == 0);
}

TEST_CASE("a pending watcher of a state that will never change waits on (WIN-FSM-1, G02)") {
  scenario s{{.authorized = true, .winfo = true}};
  s.policy["bob"] = confirm;
  s.subscribe("d9", {.by = "alice", .expires = 3600s, .event = "presence.winfo"});
  s.subscribe("d1", {.expires = 600s});
  CHECK(has(s.told(s.engine->terminate_watchers(address("alice"), "presence", end_reason::invariant, s.at)), "w1:waiting:timeout:bob"));
  CHECK(s.stats().undecided == 1);
  CHECK(has(s.decide("bob", allow), "w1:terminated:approved:bob"));
}

TEST_CASE("the row of an undecided watcher goes with the last of his pending subscriptions (M10, RL2)"
          * not_in("write_back", "rows are written later")) {
  memory_storage rows;
  scenario s{{.rows = &rows, .authorized = true}};
  s.policy["bob"] = confirm;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.expires = 100s});
  s.wait_until(99s);
  s.at += 500ms;
  s.decide("bob", block);  // d2 is in its last second and hears nothing any more
  std::vector<watcher_row> stored;
  const auto count = [&] {
    stored.clear();
    for (cursor at; !at.done;) REQUIRE(rows.watchers({}, at, 100, stored));
    return stored.size();
  };
  CHECK(count() == s.stats().undecided);
  s.wait_until(101s);
  CHECK(count() == 0);
  CHECK(s.stats().undecided == 0);
}

TEST_CASE("who waits after a restart is decided about by the first advance() (Z05, M10)"
          * not_in("fallback2db bounded database_only", "nothing is read at a start, so nobody is told then")) {
  memory_storage rows;
  scenario s{{.rows = &rows, .authorized = true}};
  s.policy["bob"] = confirm;
  s.subscribe("d1", {.expires = 0s});
  s.policy["bob"] = allow;
  s.restart();
  CHECK(s.stats().undecided == 1);
  s.wait(0s);
  CHECK(s.stats().undecided == 0);
}

// --- watcher information -------------------------------------------------------------------------------------

namespace {
struct watched : scenario {
  explicit watched(setup s = {})
      : scenario{[&] {
          s.authorized = s.winfo = true;
          return std::move(s);
        }()} {}
  std::string owner() { return subscribe("d9", {.by = "alice", .expires = 3600s, .event = "presence.winfo"}); }
};
}  // namespace

TEST_CASE("two subscriptions one after the other in one dialog are two watchers (WIN-58-6, W02)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
  watched s;
  s.owner();
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=2"});
  s.answers = false;
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  s.subscribe("d1", {.expires = 0s, .event = "presence;id=2"});
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=2"});
  CHECK(s.outcome("d9", 4, 200) ==
        "N d9#5 active;expires=3600 W4 full(w2:terminated:timeout:bob:-:0,w1:active:subscribe:bob:600:0,"
        "w3:active:subscribe:carol:600:0,w4:active:subscribe:bob:600:0)");
}

TEST_CASE("two changes for who may have missed a document are told by one NOTIFY (WIN-58-7, N09)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
  watched s;
  s.owner();
  s.answers = false;
  s.subscribe("d1", {.expires = 600s});
  s.outcome("d9", 2, 500);
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  s.subscribe("d3", {.by = "dave", .expires = 600s});
  CHECK(s.wait(0s) == "N d9#3 active;expires=3600 W2 full(w1:active:subscribe:bob:600:0,w2:active:subscribe:carol:600:0,w3:active:subscribe:dave:600:0)");
}

TEST_CASE("who is let in by his own refresh is told with his new time (WIN-58-4, WIN-58-5)") {
  watched s;
  s.policy["bob"] = confirm;
  s.owner();
  s.subscribe("d1", {.expires = 100s});
  s.policy["bob"] = allow;
  CHECK(has(s.subscribe("d1", {.expires = 600s}), "w1:active:approved:bob:600:0"));
}

TEST_CASE("of each resource's list one entry is left that waits (WIN-FSM-4)") {
  watched s;
  s.policy["bob"] = confirm;
  s.owner();
  s.subscribe("d8", {.by = "zoe", .to = "zoe", .expires = 3600s, .event = "presence.winfo"});
  for (const char* name : {"a", "b"}) {
    s.subscribe(std::string{"d1"} + name, {.to = "alice", .expires = 60s});
    s.subscribe(std::string{"d2"} + name, {.to = "zoe", .expires = 60s});
  }
  const std::string line = s.wait(60s);
  std::size_t waiting = 0;
  for (auto at = line.find(":waiting:"); at != std::string::npos; at = line.find(":waiting:", at + 1)) ++waiting;
  CHECK(waiting == 2);
  CHECK(s.stats().undecided == 2);
}

TEST_CASE("what is owed after a storage failure is not passed over by a partial document (RL2, W08, WIN-58-7)"
          * not_in("write_back database_only", "nothing is owed: no write fails, or no NOTIFY waits")) {
  memory_storage held;
  faulty_storage rows{held};
  watched s{{.settings = {.cseq_block = 1}, .rows = &rows}};
  s.owner();
  s.answers = false;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.by = "carol", .expires = 600s});  // told when d9#2 is answered
  rows.fail(1);
  CHECK(s.outcome("d9", 2, 200).empty());
  s.subscribe("d3", {.by = "dave", .expires = 600s});
  CHECK(s.wait(5s) == "N d9#3 active;expires=3595 W2 full(w1:active:subscribe:bob:595:5,w2:active:subscribe:carol:595:5,w3:active:subscribe:dave:595:5)");
}

TEST_CASE("a politely blocked watcher may be owed a NOTIFY as any other (SEC-LEAK-3, RL2)"
          * not_in("write_back database_only", "nothing is owed: no write fails, or no NOTIFY waits")) {
  memory_storage held;
  faulty_storage rows{held};
  scenario s{{.settings = {.cseq_block = 1}, .rows = &rows, .authorized = true}};
  s.policy["bob"] = polite_block;
  s.answers = false;
  s.subscribe("d1", {.expires = 600s});
  s.engine->refresh_watchers(address("alice"), "presence", refresh_type::state, s.at);
  rows.fail(1);
  CHECK(s.outcome("d1", 1, 200).empty());
  CHECK(s.wait(5s) == "N d1#2 active;expires=595 P()");
}

// --- dialog, dialog;sla, presence --------------------------------------------------------------------------------

TEST_CASE("who is not told his own word gets a full document next (P03, N27, DLG-4.3-1)") {
  lamps s{{.partial = true}};
  s.watch("d1");
  s.tell(info(call("a", "early")));
  s.tell(info(call("b", "early")), {}, {}, "sip:alice@d1.example.com");
  s.tell(info(call("c", "early")));
  CHECK(calls_of(s.last("d1")) == "a:early,b:early,c:early");
}

TEST_CASE("ids stay different when a dialog that was over is told of again (DLG-4.1-2, DLG-AGG-3)") {
  lamps s;
  s.watch("d1");
  s.tell(info(call("1", "confirmed", "c1")));
  s.tell(info(call("1", "terminated", "c1")), "e1");
  s.tell(info(call("1", "early", "c2")));
  s.tell(info(call("1", "terminated", "c1") + call("2", "early", "c3")), "e2");
  const std::string all = calls_of(s.last("d1"));
  CHECK(has(all, "2:early"));
  CHECK_FALSE(has(all, "1:early"));
  CHECK(s.stats().publications == 2);
}

TEST_CASE("a dialog that one publication has under two ids is one, under the first (DLG-AGG-1, DLG-4.1-2, T12)") {
  lamps s;
  s.watch("d1");
  s.tell(info(call("1", "early", "c1") + call("2", "trying", "c2")));
  s.tell(info(call("9", "confirmed", "c1"), "partial"), "e1");
  CHECK(calls_of(s.last("d1")) == "1:confirmed,2:trying");
  s.tell(info(call("3", "trying", "c3") + call("4", "early", "c3")), "e2");
  CHECK(calls_of(s.last("d1")) == "3:early");
}

TEST_CASE("a dialog keeps its id when another phone has the newest word (DLG-AGG-1, DLG-4.3-1)") {
  lamps s{{.partial = true}};
  s.watch("d1");
  s.tell(info(call("1", "early", "c1")));
  s.wait(1s);
  s.tell(info(call("9", "confirmed", "c1")));
  CHECK(calls_of(s.last("d1")) == "1:confirmed");
}

TEST_CASE("when what said that a dialog is over lapses, what others say of it does not begin it again (V11, DLG-AGG-1, PROP-5)") {
  lamps s;
  s.watch("d1");
  s.tell(info(call("a", "confirmed", "c1")));
  s.wait(1s);
  s.tell(info(call("x", "terminated", "c1")), {}, 60s);
  CHECK(calls_of(s.last("d1")) == "a:terminated");
  s.wait(60s);
  CHECK(calls_of(s.last("d1")).find("confirmed") == std::string::npos);
}

TEST_CASE("what partial publications made together is there after a restart (DLG-AGG-2, T12)") {
  memory_storage rows;
  lamps s{{}, {.rows = &rows}};
  s.tell(info(call("a", "early") + call("b", "early")));
  s.tell(info(call("b", "confirmed"), "partial"), "e1");
  SUBCASE("of the engine") { s.restart(); }
  SUBCASE("of the state") { s.engine->refresh_watchers(address("alice"), "dialog", refresh_type::state, s.at); }
  s.watch("d1");
  CHECK(calls_of(s.last("d1")) == "a:early,b:confirmed");
}

TEST_CASE("partial publications add up to no more than one document may have (DLG-AGG-2, SEC-DOS-2)") {
  scenario s{{.settings = {.limits = {.body_bytes = 1000}}, .packages = {dialog_package()}}};
  const auto tell = [&](int n, const std::string& tag) {
    return s.publish("alice", {.raw = info(call(std::to_string(n) + std::string(100, 'x'), "early"), "partial"), .type = "application/dialog-info+xml",
                               .if_match = tag, .event = "dialog"});
  };
  std::string answer = tell(0, {});
  int n = 1;
  for (; n < 20 && answer.starts_with("200"); ++n) answer = tell(n, "e" + std::to_string(n));
  CHECK(answer == "413");
  CHECK(n > 3);
  CHECK(n < 8);
}

TEST_CASE("a phone whose own word has lapsed is shown what another said (BLA-4, M03)") {
  scenario s{{.packages = {dialog_sla_package()}}};
  const auto tell = [&](const std::string& document, expires_value expires, const std::string& sender) {
    return s.publish("alice", {.raw = document, .type = "application/dialog-info+xml", .expires = expires, .event = "dialog;sla", .sender = sender});
  };
  const std::string phone = "sip:alice@phone.example.com";
  tell(info(call("a", "confirmed")), 3600s, "sip:alice@desk.example.com");
  s.wait(1s);
  tell(info(call("b", "confirmed")), 60s, phone);
  s.at += 60s;  // nobody called advance()
  s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "dialog;sla", .contact = phone});
  CHECK(calls_of(s.dialogs["d1"].notifies.back().body_bytes()) == "a:confirmed");
}

TEST_CASE("a document that was not the one shown is not told closed when it lapses (V03, V04)") {
  const presence_options how{.several = presence_options::composing::newest, .closes_leaving = true};
  with_presence s{{}, [&] { return presence_package(how); }};
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.wait(1s);
  s.publish("alice", {.body = "t2:open"});
  s.subscribe("d1", {.expires = 600s});
  CHECK(s.wait(60s).empty());
  CHECK(s.publish("alice", {.if_match = "e2", .expires = 0s}).find("P(t2:closed)") != std::string::npos);
}

TEST_CASE("the final state has nothing whose time is up (EVT-4.1.3-invariant, M03)") {
  scenario s;
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.subscribe("d1", {.expires = 600s});
  s.at += 60s;
  CHECK(s.told(s.engine->terminate_watchers(address("alice"), "presence", end_reason::invariant, s.at)) == "N d1#2 terminated;reason=invariant P()");
}

// --- numbers and rows --------------------------------------------------------------------------------------------

TEST_CASE("a subscription that lapsed unnoticed makes room for another in its dialog (T18, EVT-4.4.1-1)") {
  memory_storage rows;
  scenario s{{.rows = &rows}};
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d1", {.expires = 60s, .event = "presence;id=2"});
  s.at += 60s;  // nobody called advance()
  CHECK(s.subscribe("d1", {.expires = 100s, .event = "presence;id=2"}) == "200 Expires=100 | N d1#3;id=2 active;expires=100 P()");
  CHECK(s.wait(0s).empty());  // no end is told that would be taken for the new one's
  CHECK(s.engine->count_subscriptions({}) == 2);
  s.restart();
  CHECK(s.engine->count_subscriptions({}) == 2);
}

TEST_CASE("no CSeq is used twice after a crash, whichever usage of a dialog is left (N09, T13, RL3)") {
  memory_storage held;
  faulty_storage rows{held};
  watched s{{.settings = {.cseq_block = 1}, .rows = &rows}};
  const auto highest = [&] { return s.dialogs["d1"].notifies.back().cseq; };
  s.subscribe("d1", {.by = "alice", .expires = 60s, .event = "presence.winfo"});
  SUBCASE("one that begins while another is told of it") {
    s.subscribe("d1", {.expires = 600s, .event = "presence"});  // two NOTIFYs of this dialog
  }
  SUBCASE("the same, when the storage has a conflict") {
    rows.fail(1, storage_fault::conflict);
    s.subscribe("d1", {.expires = 600s, .event = "presence"});
    if (s.stats().subscriptions == 1) s.subscribe("d1", {.expires = 600s, .event = "presence"});
  }
  const auto used = highest();
  s.wait(60s);
  s.restart();
  s.publish("alice", {.body = "t1:open"});
  CHECK(highest() > used);
}

TEST_CASE("the last CSeq of the peer is remembered when the usage it came with has ended (GRM-8, S10, T13)") {
  memory_storage rows;
  scenario s{{.rows = &rows}};
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d1", {.expires = 60s, .event = "presence;id=2"});
  SUBCASE("a refresh") { s.subscribe("d1", {.expires = 60s, .event = "presence;id=2", .cseq = 20}); }
  SUBCASE("a fetch, and then a change of standing") {
    s.subscribe("d1", {.expires = 0s, .event = "presence;id=3", .cseq = 20});
    s.subscribe("d1", {.expires = 600s, .cseq = 20});  // refused, and nothing to remember
  }
  s.wait(60s);
  s.restart();
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 20}) == "500");
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 21}).starts_with("200"));
}

TEST_CASE("numbers are exact after flush() when one call told several usages of a dialog (PROP-3, T13)") {
  memory_storage rows;
  scenario s{{.settings = {.cseq_block = 2}, .rows = &rows}};
  for (const char* event : {"presence", "presence;id=2", "presence;id=3"}) s.subscribe("d1", {.expires = 600s, .event = event});
  s.publish("alice", {.body = "t1:open"});
  const auto used = s.dialogs["d1"].notifies.back().cseq;
  REQUIRE(s.engine->flush(s.at));
  s.restart();
  s.subscribe("d1", {.expires = 600s, .event = "presence"});
  CHECK(s.dialogs["d1"].notifies.back().cseq == used + 1);
}

TEST_CASE("a NOTIFY that fails ends a subscription whose dialog is told of it (RL2, N13)") {
  memory_storage rows;
  watched s{{.settings = {.cseq_block = 1}, .rows = &rows}};
  s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "presence.winfo"});
  s.subscribe("d1", {.expires = 600s, .event = "presence"});
  s.answers = false;
  s.publish("alice", {.body = "t1:open"});
  const int number = static_cast<int>(s.dialogs["d1"].notifies.size());
  CHECK(has(s.outcome("d1", number, 481), "w1:terminated:timeout:alice"));
  CHECK(s.stats().subscriptions == 1);
}
