// The presentity's sphere and the decisions that look at it, with real rules documents (Z12, RPID-3-3,
// POL-5025-sphere-1); hard state for who is politely blocked.
#include "scenario.hpp"

#include <presence/memory_storage.hpp>

using namespace presence;
using namespace presence::test;

namespace {

/// One sphere element of alice's person; `span`: its from and until, seconds since the start.
std::string in_sphere(const char* sphere, const char* note = "", const std::string& span = {}) {
  return std::string{"<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' "
                     "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:alice@example.com'>"
                     "<tuple id=\"t1\"><status><basic>open</basic></status><note>"} + note + "</note></tuple>"
                     "<d:person id='p'><r:sphere" + span + "><r:" + sphere + "/></r:sphere></d:person></presence>";
}
std::string clock_text(int seconds_since_start) {  // the scenario's start is 2023-11-14T22:13:20Z
  const int all = 22 * 3600 + 13 * 60 + 20 + seconds_since_start;
  char text[32];
  std::snprintf(text, sizeof text, "2023-11-14T%02d:%02d:%02dZ", all / 3600, all / 60 % 60, all % 60);
  return text;
}
std::string span(int from, int until) { return " from='" + clock_text(from) + "' until='" + clock_text(until) + "'"; }

/// bob may watch alice while she is at work.
struct at_work : scenario {
  explicit at_work(setup s = {}) : scenario{[&] {
    s.by_rules = s.winfo = true;
    s.settings.enable_sphere_check = true;
    return std::move(s);
  }()} {
    rules_text =
        "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules'>"
        "<rule id='a'><conditions><identity><one id='sip:bob@example.com'/></identity></conditions><actions><pr:sub-handling>confirm"
        "</pr:sub-handling></actions><transformations/></rule>"
        "<rule id='b'><conditions><sphere value='work'/></conditions><actions><pr:sub-handling>allow</pr:sub-handling></actions>"
        "<transformations><pr:provide-services><pr:all-services/></pr:provide-services></transformations></rule></ruleset>";
  }
  std::string tell(const std::string& document, const char* tag = "") { return publish("alice", {.raw = document, .if_match = tag, .expires = 3000s}); }
};

}  // namespace

TEST_CASE("a sphere's own from and until are moments to decide again (Z12, RPID-3-3, POL-5025-sphere-1)") {
  at_work s;
  s.tell(in_sphere("work", "", span(0, 60)));
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P(*:open)");
  CHECK(s.wait(59s) == "");
  CHECK(s.wait(1s) == "N d1#2 terminated;reason=probation");
}

TEST_CASE("a sphere that is yet to come is waited for, also where it came with a later document (Z12, RPID-3-3)") {
  for (const bool before : {true, false}) {
    CAPTURE(before);
    at_work s;
    if (before) s.tell(in_sphere("work", "", span(60, 120)));
    CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 pending;expires=600");
    if (!before) s.tell(in_sphere("work", "", span(60, 120)));
    CHECK(s.wait(60s) == "N d1#2 active;expires=540 P(*:open)");
    CHECK(s.wait(60s) == "N d1#3 terminated;reason=probation");
  }
}

TEST_CASE("the moments of spheres are there after a restart (Z12, RPID-3-3, T12)") {
  memory_storage rows;
  at_work s{{.rows = &rows}};
  s.tell(in_sphere("work", "", span(0, 60)));
  s.subscribe("d1", {.expires = 600s});
  REQUIRE(s.engine->flush(s.at));
  s.restart();
  CHECK(s.wait(60s) == "N d1#2 terminated;reason=probation");
}

TEST_CASE("the state told again after it changed behind the engine is decided about first (Z07, Z12, POL-CHG-2)"
          * not_in("write_back", "rows are written later")) {
  memory_storage rows;
  at_work s{{.rows = &rows}};
  s.tell(in_sphere("work"));
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  std::vector<publication_row> found;
  cursor at;
  REQUIRE(rows.publications({}, at, 10, found));
  REQUIRE(found.size() == 1);
  found[0].content = body{"application/pidf+xml", in_sphere("home")};
  change edit;
  edit.changed_publications.push_back({found[0].etag, true, found[0]});
  REQUIRE(rows.apply(edit));
  CHECK(s.told(s.engine->refresh_watchers(address("alice"), "presence", refresh_type::state, s.at)) ==
        "N d1#2 terminated;reason=probation | N d2#2 terminated;reason=rejected");
}

TEST_CASE("the state told again after the document with the sphere lapsed is decided about first (Z07, Z12)") {
  at_work s;
  s.publish("alice", {.raw = in_sphere("work"), .expires = 60s});
  s.subscribe("d1", {.expires = 600s});
  s.at += 60s;
  CHECK(s.told(s.engine->refresh_watchers(address("alice"), "presence", refresh_type::state, s.at)) == "N d1#2 terminated;reason=probation");
}

TEST_CASE("the rules document is fetched once for all watchers of a resource, not for each (Z02)") {
  at_work s;
  std::size_t fetched = 0;
  event_package package = presence_package();
  authorize_by_rules(package, [&](std::string_view) {
    ++fetched;
    return std::optional{s.rules_text};
  });
  s.engine = std::make_unique<presence::engine>(s.given.settings, host_hooks{}, nullptr, s.random.get());
  REQUIRE(s.engine->add_event(package, s.at));
  s.tell(in_sphere("work"));
  for (int i = 0; i < 10; ++i) s.subscribe("d" + std::to_string(i), {.expires = 600s});
  fetched = 0;
  s.told(s.engine->update_watchers(address("alice"), "presence", s.at));
  CHECK(fetched == 1);
}

TEST_CASE("who is politely blocked sees the hard state as if nothing were published, and every change of it (SEC-LEAK-2, SEC-LEAK-3, P35, Z07)") {
  for (const bool online : {false, true}) {
    CAPTURE(online);
    scenario s{{.authorized = true}};
    const auto hard = [&](const std::string& document) {
      return s.told(s.engine->set_hard_state(address("alice"), "presence", "h", {.type = document.empty() ? "" : "application/pidf+xml", .bytes = document}, s.at));
    };
    s.policy["bob"] = sub_handling::polite_block;
    if (online) s.publish("alice", {.body = "t1:open", .expires = 3000s});
    CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P()");
    CHECK(hard(pidf("h1:closed")) == "200 | N d1#2 active;expires=600 P(h1:closed)");
    if (online) CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600");
    CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#3 active;expires=600 P(h1:closed)");
    CHECK(hard(pidf("h1:open")) == "200 | N d1#4 active;expires=600 P(h1:open)");
    CHECK(hard("") == "200 | N d1#5 active;expires=600 P()");
  }
}

TEST_CASE("rules say what of the hard state somebody who is politely blocked sees (SEC-LEAK-2, P35)") {
  scenario s{{.by_rules = true}};
  s.rules_text =
      "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules'><rule id='a'><conditions/><actions>"
      "<pr:sub-handling>polite-block</pr:sub-handling></actions><transformations/></rule></ruleset>";
  s.told(s.engine->set_hard_state(address("alice"), "presence", "h", {.type = "application/pidf+xml", .bytes = pidf("h1:closed")}, s.at));
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P()");
  s.rules_text.replace(s.rules_text.find("<transformations/>"), 18,
                       "<transformations><pr:provide-services><pr:all-services/></pr:provide-services></transformations>");
  s.publish("alice", {.body = "t1:open"});
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#2 active;expires=600 P(*:closed)");
}

TEST_CASE("watcher information has no hard state, for nobody can publish it (Z07, P35)") {
  scenario s{{.authorized = true, .winfo = true}};
  CHECK(s.engine->set_hard_state(address("alice"), "presence.winfo", "h", {.type = "application/watcherinfo+xml", .bytes = "<a/>"}, s.at).answer.status == 489);
}

TEST_CASE("hard state comes and goes for who is politely blocked as for who may see as much of nothing (SEC-LEAK-1, SEC-LEAK-2, P35)") {
  for (const char* shown : {"", "<pr:provide-services><pr:all-services/></pr:provide-services>"}) {
    CAPTURE(shown);
    scenario s{{.by_rules = true}};
    const auto rule = [&](const char* who, const char* handling) {
      return std::string{"<rule id='"} + who + "'><conditions><identity><one id='sip:" + who + "@example.com'/></identity></conditions><actions>"
             "<pr:sub-handling>" + handling + "</pr:sub-handling></actions><transformations>" + shown + "</transformations></rule>";
    };
    s.rules_text = "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules'>" +
                   rule("bob", "polite-block") + rule("carol", "allow") + "</ruleset>";
    s.subscribe("d1", {.by = "bob", .expires = 600s});
    s.subscribe("d2", {.by = "carol", .expires = 600s});
    for (const std::string& document : {pidf("h1:closed"), pidf("h1:open"), std::string{}, pidf("h2:open")}) {
      CAPTURE(document);
      const std::string told = s.told(s.engine->set_hard_state(
          address("alice"), "presence", "h", {.type = document.empty() ? "" : "application/pidf+xml", .bytes = document}, s.at));
      const auto bob = told.find("N d1#"), carol = told.find("N d2#");
      CHECK((bob == std::string::npos) == (carol == std::string::npos));
      if (bob != std::string::npos && carol != std::string::npos)
        CHECK(told.substr(bob + 4, told.find(" | ", bob) - bob - 4) == told.substr(carol + 4, told.find(" | ", carol) - carol - 4));
    }
  }
}

TEST_CASE("nobody is told what he may not see any more, also before advance() has come to it (Z11, Z12, POL-4745-val-2)"
          * not_in("database_only", "rows do not say which view a watcher was told")) {
  const auto until = [](const char* when) {
    return std::string{"<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules'><rule id='a'><conditions>"
                       "<validity><from>2023-11-14T22:13:20Z</from><until>"} + when + "</until></validity></conditions><actions><pr:sub-handling>allow"
                       "</pr:sub-handling></actions><transformations><pr:provide-services><pr:all-services/></pr:provide-services></transformations></rule></ruleset>";
  };
  scenario s{{.by_rules = true}};
  s.rules_text = until("2023-11-14T22:14:20Z");
  s.publish("alice", {.body = "t1:open"});
  s.subscribe("d1", {.expires = 600s});
  s.answers = false;
  s.subscribe("d2", {.expires = 600s});
  s.publish("alice", {.body = "t1:closed", .if_match = "e1"});  // d2 is owed it
  s.at += 60s;
  SUBCASE("a PUBLISH") { CHECK(s.publish("alice", {.body = "t9:open"}) == "200 e3 Expires=3600 | N d1#3 terminated;reason=rejected | N d2#2 terminated;reason=rejected"); }
  SUBCASE("hard state") {
    CHECK(s.told(s.engine->set_hard_state(address("alice"), "presence", "h", {.type = "application/pidf+xml", .bytes = pidf("h1:open")}, s.at)) ==
          "200 | N d1#3 terminated;reason=rejected | N d2#2 terminated;reason=rejected");
  }
  SUBCASE("the state told again") {
    CHECK(s.told(s.engine->refresh_watchers(address("alice"), "presence", refresh_type::state, s.at)) ==
          "N d1#3 terminated;reason=rejected | N d2#2 terminated;reason=rejected");
  }
  SUBCASE("the end of what is not valid any more") {
    CHECK(s.told(s.engine->terminate_watchers(address("alice"), "presence", end_reason::invariant, s.at)) ==
          "N d1#3 terminated;reason=invariant | N d2#2 terminated;reason=invariant");
    s.audit();
    return;
  }
  SUBCASE("what was held back") {
    CHECK(s.outcome("d2", 1, 200) == "N d1#3 terminated;reason=rejected | N d2#2 terminated;reason=rejected");
  }
  s.audit();
}

namespace {

/// The same rules say who may see whether alice's lamp is on.
struct with_lamp : at_work {
  explicit with_lamp(const std::string& rules) : at_work{setup{.packages = {lamp(rules)}}} { rules_text = rules; }
  static event_package lamp(const std::string& rules) {
    event_package made = opaque_package("lamp", {"text/plain"});
    authorize_by_rules(made, [=](std::string_view) { return std::optional{rules}; });
    return made;
  }
  std::string turn(const char* how, const char* tag = "", seconds lifetime = 3000s) {
    return publish("alice", {.raw = how, .type = "text/plain", .if_match = tag, .expires = lifetime, .event = "lamp"});
  }
};

}  // namespace

TEST_CASE("who lost his permission with a sphere that lapsed is told no document of another package before (Z12, M04)") {
  with_lamp s{ruleset_of(rule_of("", "confirm") + rule_of("<sphere value='work'/>", "allow"))};
  s.publish("alice", {.raw = in_sphere("work"), .expires = 60s});
  s.turn("on", "", 60s);
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "lamp"}) == "200 Expires=600 | N d1#1 active;expires=600 [on]");
  SUBCASE("both lapse") {
    s.at += 60s;
    CHECK(s.advance() == "N d1#2 terminated;reason=probation");
  }
  SUBCASE("the sphere has lapsed when the document changes") {
    s.turn("on", "e2", 100s);
    s.at += 60s;
    CHECK(s.turn("off", "e3") == "200 e4 Expires=3000 | N d1#2 terminated;reason=probation");
    CHECK(s.advance() == "");
  }
  SUBCASE("the last NOTIFY of all is no exception") {
    s.at += 60s;
    CHECK(s.told(s.engine->terminate_watchers(address("alice"), "lamp", end_reason::invariant, s.at)) ==
          "N d1#2 terminated;reason=invariant");
  }
  s.audit();
}

TEST_CASE("who gained it is shown the document once (Z12, POL-CHG-1, C01)") {
  with_lamp s{ruleset_of(rule_of("", "polite-block") + rule_of("<sphere value='home'/>", "allow"))};
  s.tell(in_sphere("home"));
  s.publish("alice", {.raw = in_sphere("work"), .expires = 60s});  // they disagree
  s.turn("on");
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "lamp"}) == "200 Expires=600 | N d1#1 active;expires=600");
  s.at += 60s;
  CHECK(s.turn("off", "e3") == "200 e4 Expires=3000 | N d1#2 active;expires=540 [off]");
  CHECK(s.advance() == "");
  s.audit();
}

TEST_CASE("a document that goes on with the sphere of one that lapsed counts, also as other decisions turn (Z11, Z12)") {
  at_work s;
  const std::string another = "<identity><one id='sip:carol@example.com'/></identity><validity><from>" + clock_text(0) +
                              "</from><until>" + clock_text(60) + "</until></validity>";
  s.rules_text = ruleset_of(rule_of("", "confirm") + rule_of("<sphere value='work'/>", "allow") + rule_of(another, "block"));
  s.publish("alice", {.raw = in_sphere("work"), .expires = 60s});
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P()");
  s.at += 60s;
  CHECK(s.tell(in_sphere("work")) == "200 e2 Expires=3000");
  CHECK(s.wait(60s) == "");
}

TEST_CASE("a package that cannot tell the sphere, or compose, stops no clock and makes no host spin (Z12, L05, N27)"
          * not_in("fallback2db bounded database_only", "notify_interval is refused, or nothing is owed")) {
  bool sphere_fails = false, broken = false;
  SUBCASE("the sphere") { sphere_fails = true; }
  SUBCASE("the document") {}
  at_work s{{.settings = {.notify_interval = 5s}}};
  event_package package = presence_package();
  authorize_by_rules(package, [&](std::string_view) { return std::optional{s.rules_text}; });
  package.sphere = [&, true_one = package.sphere](std::span<const published> all, instant now) {
    if (broken && sphere_fails) throw std::runtime_error{"no sphere"};
    return true_one(all, now);
  };
  package.aggregate = [&, true_one = package.aggregate](std::string_view resource, std::span<const published> all) {
    if (broken && !sphere_fails && resource == address("alice")) throw std::runtime_error{"no document"};
    return true_one(resource, all);
  };
  s.engine = std::make_unique<engine>(s.given.settings, host_hooks{}, s.given.rows, s.random.get());
  REQUIRE(s.engine->add_event(package, s.at));
  s.publish("alice", {.raw = in_sphere("work"), .expires = 60s});
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.to = "zoe", .expires = 65s});
  s.wait(57s);
  for (const char* more : {"t2:open", "t3:open"}) {  // without a sphere
    s.publish("alice", {.body = more, .expires = 3000s});
    s.at += 1s;
  }
  broken = true;  // bob is owed the second one when the first document lapses
  std::string told;
  int calls = 0;
  const instant until = s.at + 30s;
  for (auto next = s.engine->next_deadline(); next && *next <= until && calls < 100; next = s.engine->next_deadline(), ++calls) {
    s.at = std::max(s.at, *next);
    told += s.told(s.engine->advance(s.at));
  }
  CHECK(calls < 60);
  CHECK(told.find("N d2#2 terminated;reason=timeout") != told.npos);
  s.audit();
}
