// What a watcher may see: views, one body each; decisions that change with rules, sphere and time
// (features E5, N23, N24, N27; conformance 6.2, TV-21 to TV-23); and how a package bends PUBLISH.
#include "scenario.hpp"

#include <stdexcept>

#include <presence/subscription_table.hpp>
#include <presence/memory_storage.hpp>

#include "faulty_storage.hpp"

using namespace presence;
using namespace presence::test;

namespace {

using enum sub_handling;

/// Shows the first `letters` bytes of the state.
struct prefix final : view {
  explicit prefix(std::size_t n) : letters{n} {}
  bool equals(const view& other) const noexcept override { return static_cast<const prefix&>(other).letters == letters; }
  std::size_t letters;
};

struct guarded : scenario {
  std::map<std::string, authorization> rules;  ///< by watcher; absent: everything
  int shown = 0;                               ///< calls of authorize_body

  event_package package() {
    event_package p = opaque_package("guarded");
    p.req_auth = true;
    p.authorize = [this](const authorization_query& q) -> authorization {
      for (const auto& [name, answer] : rules)
        if (q.watcher.uri == address(name)) return answer;
      return allow;
    };
    p.authorize_body = [this](const body& whole, std::string_view, std::span<const published>, const view& v) {
      ++shown;
      return body{whole.content_type(), whole.bytes().substr(0, static_cast<const prefix&>(v).letters)};
    };
    return p;
  }
  explicit guarded(setup s = {}) : scenario{[&] { s.packages = {package()}; return std::move(s); }()} {}
  std::string tell(const std::string& text, const std::string& if_match = {}) {
    return publish("alice", {.raw = text, .type = "a/b", .if_match = if_match, .expires = 3600s, .event = "guarded"});
  }
  std::string watch(const std::string& dialog, const std::string& by, seconds expires = 600s) {
    return subscribe(dialog, {.by = by, .expires = expires, .event = "guarded"});
  }
  void may_see(const std::string& who, std::size_t letters) { rules[who] = {allow, std::make_shared<prefix>(letters)}; }
  std::string new_rules() {
    return told(engine->refresh_watchers(address("alice"), "guarded", refresh_type::authorization, at));
  }
};

}  // namespace

TEST_CASE("watchers with equal views share one body, which is made once a change (N23, N24, PF7, Z03)"
          * not_in("database_only", "nothing that was composed or parsed stays")) {
  guarded s;
  s.tell("abcd");
  s.may_see("bob", 2);
  s.may_see("carol", 2);
  s.may_see("dave", 3);
  CHECK(s.watch("d1", "bob") == "200 Expires=600 | N d1#1 active;expires=600 [ab]");
  CHECK(s.watch("d2", "carol") == "200 Expires=600 | N d2#1 active;expires=600 [ab]");
  CHECK(s.watch("d3", "dave") == "200 Expires=600 | N d3#1 active;expires=600 [abc]");
  CHECK(s.watch("d4", "erin") == "200 Expires=600 | N d4#1 active;expires=600 [abcd]");
  CHECK(s.shown == 2);
  CHECK(s.tell("ABCD", "e1") == "200 e2 Expires=3600 | N d1#2 active;expires=600 [AB] | N d2#2 active;expires=600 [AB] | "
                                "N d3#2 active;expires=600 [ABC] | N d4#2 active;expires=600 [ABCD]");
  CHECK(s.shown == 4);
  CHECK(s.dialogs["d1"].notifies[1].content.bytes().data() == s.dialogs["d2"].notifies[1].content.bytes().data());
  CHECK(s.watch("d1", "bob") == "200 Expires=600 | N d1#3 active;expires=600 [AB]");
  CHECK(s.shown == 4);
}

TEST_CASE("a change that a view hides is not told through it (TV-21, PRS-6.7-2, EVT-4.2.2-15, SEC-LEAK-9)"
          * not_in("database_only", "rows do not say which view a watcher was told")) {
  guarded s;
  s.tell("abcd");
  s.may_see("bob", 2);
  s.watch("d1", "bob");
  s.watch("d2", "erin");
  CHECK(s.tell("abcX", "e1") == "200 e2 Expires=3600 | N d2#2 active;expires=600 [abcX]");
  s.may_see("bob", 4);
  CHECK(s.new_rules() == "N d1#2 active;expires=600 [abcX]");
  CHECK(s.new_rules().empty());
  s.may_see("bob", 9);  // another view that shows the same
  CHECK(s.new_rules().empty());
}

TEST_CASE("a view is there again after a restart, and rules changed meanwhile take effect at once (Z05, Z06, SEC-AUTH-2, M04)") {
  memory_storage rows;
  guarded s{{.rows = &rows}};
  s.tell("abcd");
  s.may_see("bob", 2);
  s.watch("d1", "bob");
  s.watch("d2", "erin");
  SUBCASE("the same rules") {
    s.restart();
    CHECK(s.wait(0s).empty());
    CHECK(s.tell("abcX", "e1") == "200 e2 Expires=3600 | N d2#2 active;expires=600 [abcX]");
    CHECK(s.tell("Xbcd", "e2") == "200 e3 Expires=3600 | N d1#2 active;expires=600 [Xb] | N d2#3 active;expires=600 [Xbcd]");
  }
  SUBCASE("erin is blocked by now") {
    s.rules["erin"] = block;
    s.restart();
    CHECK(s.tell("Xbcd", "e1") == "200 e2 Expires=3600 | N d1#2 active;expires=600 [Xb] | N d2#2 terminated;reason=rejected");
    CHECK(s.wait(0s) == "");
  }
}

TEST_CASE("TV-22: who may watch changes with the sphere, in the same call (Z12, P46, L09, POL-5025-sphere-1, -2, RPID-3.11-1)") {
  std::string sphere_seen;
  event_package other = opaque_package("other");
  other.req_auth = true;
  const auto at_work = [](const authorization_query& q) {
    authorization a{q.sphere == "work" ? allow : block};
    a.by_sphere = true;
    return a;
  };
  other.authorize = at_work;
  scenario s{{.settings = {.enable_sphere_check = true}, .packages = {other}}};
  event_package p = presence_package();
  p.req_auth = true;
  p.authorize = at_work;
  s.engine = std::make_unique<presence::engine>(s.given.settings, host_hooks{}, nullptr, s.random.get());
  REQUIRE(s.engine->add_event(p, s.at));
  REQUIRE(s.engine->add_event(other, s.at));
  const auto at = [](const char* sphere) {
    return std::string{"<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' "
                       "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:alice@example.com'>"
                       "<d:person id='p'><r:sphere><r:"} + sphere + "/></r:sphere></d:person></presence>";
  };
  CHECK(s.subscribe("d1") == "403");
  CHECK(s.publish("alice", {.raw = at("work")}) == "200 e1 Expires=3600");
  CHECK(s.subscribe("d2", {.expires = 600s}) == "200 Expires=600 | N d2#1 active;expires=600 P()");
  CHECK(s.subscribe("o2", {.expires = 600s, .event = "other"}) == "200 Expires=600 | N o2#1 active;expires=600");
  CHECK(s.publish("alice", {.raw = at("home")}) == "200 e2 Expires=3600 | N d2#2 terminated;reason=rejected");
  CHECK(s.wait(0s) == "N o2#2 terminated;reason=rejected");
  CHECK(s.publish("alice", {.if_match = "e2", .expires = 0s}) == "200 e3 Expires=0");
  CHECK(s.subscribe("d3", {.expires = 600s}) == "200 Expires=600 | N d3#1 active;expires=600 P()");
  SUBCASE("a publication that lapses changes it, too") {
    CHECK(s.publish("alice", {.raw = at("home"), .expires = 60s}).find("N d3#2 terminated;reason=rejected") != std::string::npos);
    s.wait(61s);
    CHECK(s.subscribe("d4", {.expires = 7200s}) == "200 Expires=3600 | N d4#1 active;expires=3600 P()");
    CHECK(s.publish("alice", {.raw = at("home"), .expires = 60s}).find("N d4#2 terminated") != std::string::npos);
  }
  SUBCASE("with the switch off nobody knows a sphere") {
    s.given.settings.enable_sphere_check = false;
    presence::engine off{s.given.settings};
    REQUIRE(off.add_event(p, s.at));
    CHECK(off.auth_status(address("bob"), address("alice"), s.at) == auth_code::terminated);
  }
}

TEST_CASE("TV-23: a decision ends when its time is over, and the next one comes by itself (Z11, POL-4745-val-2, D2-10)") {
  guarded s;
  const instant from = start + 1000s, until = start + 2000s;
  const auto update = [&](instant now) {
    authorization a{now >= from && now < until ? allow : block};
    if (now < until) a.until = now < from ? from : until;
    return a;
  };
  s.given.packages[0].authorize = [update](const authorization_query& q) { return update(q.now); };
  s.restart();
  s.wait_until(999s);
  CHECK(s.watch("d1", "bob") == "403");
  s.wait_until(1000s);
  CHECK(s.watch("d2", "bob", 3600s) == "200 Expires=3600 | N d2#1 active;expires=3600");
  CHECK(s.wait_until(1999s).empty());
  CHECK(s.wait_until(2000s) == "N d2#2 terminated;reason=rejected");
}

TEST_CASE("somebody who waits for a decision is let in when the time comes (Z11, W08)") {
  guarded s;
  s.given.packages[0].authorize = [](const authorization_query& q) -> authorization {
    authorization a{q.now < start + 100s ? confirm : allow};
    if (q.now < start + 100s) a.until = start + 100s;
    return a;
  };
  s.restart();
  s.tell("abcd");
  CHECK(s.watch("d1", "bob") == "200 Expires=600 | N d1#1 pending;expires=600");
  CHECK(s.wait_until(100s) == "N d1#2 active;expires=500 [abcd]");
}

TEST_CASE("rules that cannot be asked do not stop the clock for others (L11, RL2)") {
  guarded s;
  bool broken = false;
  s.given.packages[0].authorize = [&](const authorization_query& q) -> authorization {
    if (broken && q.resource == address("alice")) throw std::runtime_error{"no rules today"};
    authorization a{allow};
    if (q.now < start + 100s) a.until = start + 100s;
    if (q.now >= start + 100s && q.resource == address("zoe")) a = block;
    return a;
  };
  s.restart();
  s.watch("d1", "bob", 3600s);
  s.subscribe("d2", {.to = "zoe", .expires = 3600s, .event = "guarded"});
  broken = true;
  CHECK(s.wait_until(100s) == "N d2#2 terminated;reason=rejected");
  s.audit();
  broken = false;
  CHECK(s.wait_until(200s).empty());
  CHECK(s.engine->count_subscriptions({}) == 1);
}

TEST_CASE("after a storage fault standing and view are what they were (L11, RL2)"
          * not_in("write_back database_only", "no write fails; rules hold from the next reading on")) {
  memory_storage rows;
  faulty_storage faults{rows};
  guarded s{{.rows = &faults}};
  s.tell("abcd");
  s.may_see("bob", 2);
  s.watch("d1", "bob");
  s.watch("d2", "erin");
  s.may_see("bob", 3);
  s.rules["erin"] = polite_block;
  faults.fail(1);
  CHECK(s.new_rules().empty());
  s.audit();
  s.wait(10s);
  CHECK(s.tell("xycd", "e1").find("N d1#2 active;expires=590 [xy] | N d2#2 active;expires=590 [xycd]") != std::string::npos);
  CHECK(s.new_rules() == "N d1#3 active;expires=590 [xyc] | N d2#3 active;expires=590");
}

TEST_CASE("a partial document goes to who has the last one, a full one to everybody else (N27, DLG-3.3-3)"
          * not_in("database_only", "nobody knows what a watcher saw last: documents are full")) {
  event_package p = opaque_package("counted");
  p.versioned = true;
  p.aggregate = [](std::string_view, std::span<const published> all) {
    std::string text{"v"};
    const std::size_t at = text.size();
    (text += ' ') += all.back().content.bytes();
    return body::versioned("a/b", text, at);
  };
  p.difference = [](std::string_view, const body&, const body& after) -> std::optional<body> {
    return body::versioned("a/b", "d" + std::string{after.bytes().substr(2)} + ":", after.bytes().size());
  };
  scenario s{{.packages = {p}}};
  const auto tell = [&](const std::string& text, const std::string& tag = {}) {
    return s.publish("alice", {.raw = text, .type = "a/b", .if_match = tag, .event = "counted"});
  };
  tell("one");
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "counted"}) == "200 Expires=600 | N d1#1 active;expires=600 [v0 one]");
  CHECK(tell("two", "e1") == "200 e2 Expires=3600 | N d1#2 active;expires=600 [dtwo:1]");
  s.answers = false;
  CHECK(tell("six", "e2") == "200 e3 Expires=3600 | N d1#3 active;expires=600 [dsix:2]");
  CHECK(tell("ten", "e3") == "200 e4 Expires=3600");
  CHECK(s.outcome("d1", 3, 200) == "N d1#4 active;expires=600 [v3 ten]");
  s.outcome("d1", 4, 500);  // it may not have arrived
  CHECK(tell("end", "e4") == "200 e5 Expires=3600 | N d1#5 active;expires=600 [v4 end]");
  CHECK(s.dialogs["d1"].notifies[4].content.bytes() == "v end");
}

TEST_CASE("a document that comes too late is answered 200 and ignored (P37, P40)") {
  event_package p = opaque_package("final");
  p.superseded = [](const offered_document& offer, const parsed_document*, std::span<const published> live) {
    return std::any_of(live.begin(), live.end(), [&](const published& other) {
      return other.content.bytes() == "over" && offer.content.bytes() != "over";
    });
  };
  scenario s{{.packages = {p}}};
  const auto tell = [&](const std::string& text, const std::string& tag = {}) {
    return s.publish("alice", {.raw = text, .type = "a/b", .if_match = tag, .expires = 600s, .event = "final"});
  };
  s.subscribe("d1", {.expires = 600s, .event = "final"});
  CHECK(tell("ringing") == "200 e1 Expires=600 | N d1#2 active;expires=600 [ringing]");
  CHECK(tell("over", "e1") == "200 e2 Expires=600 | N d1#3 active;expires=600 [over]");
  CHECK(tell("ringing", "e2") == "200 e3 Expires=600");
  CHECK(tell("ringing") == "200 e4 Expires=600");
  CHECK(s.engine->current_state(address("alice"), "final", s.now()).bytes() == "over");
  CHECK(tell("", "e3") == "200 e5 Expires=600");
  CHECK(tell("", "e4") == "412");  // what was ignored is not there
}

TEST_CASE("documents that stay learn of one that goes, and cannot stop it (L11)"
          * not_in("write_back database_only", "no write fails at that moment")) {
  struct word final : parsed_document {
    explicit word(std::string_view t) : text{t} {}
    std::string text;
  };
  std::vector<std::string> learnt;
  event_package p = opaque_package("final");
  p.check_publish = [](const offered_document& offer) -> result<document, refusal> { return document{std::make_shared<const word>(offer.content.bytes())}; };
  p.inherit = [&](const parsed_document& heir, const parsed_document& gone) {
    learnt.push_back(dynamic_cast<const word&>(heir).text + "<" + dynamic_cast<const word&>(gone).text);
    throw std::runtime_error{"no"};
  };
  memory_storage good;
  faulty_storage rows{good};
  scenario s{{.rows = &rows, .packages = {p}}};
  const auto tell = [&](const std::string& text, const std::string& tag = {}, seconds expires = 600s) {
    return s.publish("alice", {.raw = text, .type = "a/b", .if_match = tag, .expires = expires, .event = "final"});
  };
  tell("a", {}, 60s);
  tell("b");
  tell("c");
  rows.fail(1);
  for (const char* answer : {"503", "200"}) {  // before it is stored, for what they keep is stored with it
    learnt.clear();
    CHECK(tell("", "e2", 0s).starts_with(answer));
    CHECK(learnt == std::vector<std::string>{"a<b", "c<b"});
  }
  learnt.clear();
  s.at += 61s;
  CHECK(tell("d", "e3").starts_with("200"));  // the new document, not the one it replaces
  CHECK(learnt == std::vector<std::string>{"d<a"});
}

TEST_CASE("a bridged line is named by the Contact's user in the domain of From (S26)") {
  event_package p = opaque_package("line");
  p.resource_from_contact = true;
  scenario s{{.packages = {p}}};
  CHECK(s.subscribe("d1", {.by = "phone", .to = "proxy", .event = "line", .contact = "sip:shared@192.0.2.7:5062"}).starts_with("200"));
  CHECK(s.publish("shared", {.raw = "busy", .type = "a/b", .event = "line"}).find("N d1#2 active;expires=3600 [busy]") != std::string::npos);
  CHECK(s.subscribe("d2", {.event = "line", .contact = "sip:192.0.2.7"}) == "400");
  CHECK(s.subscribe("d1", {.expires = 60s, .contact = "sip:other@192.0.2.7"}).starts_with("200 Expires=60"));
  CHECK(s.engine->count_subscriptions({.resource = address("shared")}) == 1);
}

TEST_CASE("the host may say whose state a SUBSCRIBE wants (S26)") {
  event_package p = opaque_package("line");
  p.resource_from_contact = true;
  scenario s{{.packages = {p}}};
  subscribe_request r{.resource = "sip:proxy.example.com", .presentity = "sip:shared@EXAMPLE.com", .event = "line", .expires = 600s,
                      .call_id = "c", .from_tag = "f", .from_uri = "sip:phone@example.com", .to_uri = "sip:proxy.example.com",
                      .contact = "sip:192.0.2.7", .cseq = 1, .who = {.uri = "sip:phone@example.com"}};
  const effects made = s.engine->subscribe(r, s.at);  // the Contact alone names no line
  CHECK(s.told(made).starts_with("200"));
  CHECK(s.engine->count_subscriptions({.resource = address("shared")}) == 1);
  CHECK(s.publish("shared", {.raw = "busy", .type = "a/b", .event = "line"}).find("[busy]") != std::string::npos);
  r.to_tag = made.answer.dialog.local_tag();
  r.presentity = "sip:other@example.com";  // inside a dialog it is settled
  r.cseq = 2;
  CHECK(s.engine->subscribe(r, s.at).answer.status == 200);
  CHECK(s.engine->count_subscriptions({.resource = address("shared")}) == 1);
  r.to_tag = {};
  r.event = "presence";
  r.call_id = "d";
  CHECK(s.engine->subscribe(r, s.at).answer.status == 200);
  CHECK(s.engine->count_subscriptions({.resource = address("other"), .event = "presence"}) == 1);
  r.presentity = "nonsense";
  CHECK(s.engine->subscribe(r, s.at).answer.status == 400);
  const auto row = extract_subscription({.resource = "sip:proxy.example.com", .presentity = "sip:shared@example.com", .call_id = "c",
                                         .from_tag = "f", .from_uri = "sip:p@h", .contact = "sip:p@h", .cseq = 1},
                                        "line", "", "t", "", s.at);
  REQUIRE(row);
  CHECK(row->resource == address("shared"));
}

TEST_CASE("who only claims an address cannot use up the share of who proved it (SEC-DOS-4)") {
  scenario s{{.settings = {.limits = {.subscriptions_per_watcher = 2}}}};
  CHECK(s.subscribe("f1", {.unproven = true}).starts_with("200"));
  CHECK(s.subscribe("f2", {.unproven = true}).starts_with("200"));
  CHECK(s.subscribe("f3", {.unproven = true}) == "503 Retry-After=5");
  CHECK(s.subscribe("d1").starts_with("200"));
  CHECK(s.subscribe("d2").starts_with("200"));
  CHECK(s.subscribe("d3") == "503 Retry-After=5");
}

TEST_CASE("publications and undecided watchers are bounded in all (SEC-DOS-4)"
          * not_in("bounded database_only", "limits and counts of all are those of memory")) {
  scenario s{{.settings = {.limits = {.publications = 2, .undecided = 1}}, .authorized = true}};
  s.publish("alice", {.body = "t1:open"});
  s.publish("bob", {.body = "t1:open"});
  CHECK(s.publish("carol", {.body = "t1:open"}) == "503 Retry-After=5");
  CHECK(s.publish("bob", {.body = "t2:open", .if_match = "e2"}).starts_with("200"));
  s.policy["bob"] = s.policy["carol"] = confirm;
  CHECK(s.subscribe("d1").starts_with("200"));
  CHECK(s.subscribe("d2", {.by = "carol"}) == "503 Retry-After=5");
}
