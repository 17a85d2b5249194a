// Rules documents: who may watch (RFC 4745, 5025; features E5; conformance 6; defects D2-6 to D2-10).
#include "view_scenario.hpp"

#include <algorithm>
#include <array>
#include <random>

#include <presence/rules.hpp>

using namespace presence;
using namespace presence::test;

namespace {

using enum sub_handling;

const std::string prologue =
    "<cp:ruleset xmlns:cp='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules' "
    "xmlns:oma='urn:oma:xml:xdm:common-policy' xmlns:x='urn:example:unknown'>";

std::string rules(const std::string& all) { return prologue + all + "</cp:ruleset>"; }

std::string rule(const std::string& id, const std::string& conditions, const std::string& handling,
                 const std::string& transformations = {}) {
  std::string text = "<cp:rule id='" + id + "'>";
  if (!conditions.empty()) text += "<cp:conditions>" + conditions + "</cp:conditions>";
  if (!handling.empty()) text += "<cp:actions><pr:sub-handling>" + handling + "</pr:sub-handling></cp:actions>";
  if (!transformations.empty()) text += "<cp:transformations>" + transformations + "</cp:transformations>";
  return text + "</cp:rule>";
}

std::string one(const std::string& id) { return "<cp:identity><cp:one id='" + id + "'/></cp:identity>"; }
std::string many(const std::string& inside = {}, const std::string& domain = {}) {
  return "<cp:identity><cp:many" + (domain.empty() ? "" : " domain='" + domain + "'") + ">" + inside + "</cp:many></cp:identity>";
}

granted_permissions ask(const std::string& document, const std::string& who, std::optional<std::string_view> sphere = {},
                        instant now = start) {
  const auto read = ruleset::parse(document);
  if (!read) FAIL(read.error());
  const identity watcher{.uri = who, .method = "digest"};
  return read->evaluate({watcher, sphere, now});
}

sub_handling handling(const std::string& document, const std::string& who, std::optional<std::string_view> sphere = {},
                      instant now = start) {
  return ask(document, who, sphere, now).allowed.handling;
}

}  // namespace

TEST_CASE("identities match whole addresses and whole domains (Z10, POL-4745-id-1 to -6, POL-5025-uri-1, D2-6, D2-7, TRAP-2, TRAP-3)") {
  struct row {
    std::string conditions, who;
    bool matches;
  };
  const row rows[] = {
      {one("sip:bob@ex.org"), "sip:bob@ex.org", true},
      {one("sip:bob@ex.org"), "sip:bob@EX.org", true},
      {one("sips:bob@ex.org"), "sip:bob@ex.org;transport=tcp", true},
      {one("pres:bob@ex.org"), "sip:bob@ex.org", true},
      {one("tel:+1-201-555-0123"), "tel:+12015550123", true},
      {one("sip:bob@ex.org"), "sip:Bob@ex.org", false},
      {one("sip:bob@ex.org"), "sip:bobb@ex.org", false},
      {one("sip:bob@ex.org"), "", false},
      // a port makes another address (RFC 3261 section 19.1.4), in the same domain
      {one("sip:bob@ex.org"), "sip:bob@ex.org:5060", false},
      {one("sip:bob@ex.org:5070"), "sip:bob@ex.org:5070", true},
      {many({}, "ex.org"), "sip:bob@ex.org:5070", true},
      {many("<cp:except id='sip:bob@ex.org'/>", "ex.org"), "sip:bob@ex.org:5070", true},
      {many("<cp:except id='sip:bob@ex.org'/><cp:except id='sip:bob@ex.org:5070'/>", "ex.org"), "sip:bob@ex.org:5070", false},
      {one("not an address"), "sip:bob@ex.org", false},
      {many(), "sip:bob@ex.org", true},
      {many(), "", false},
      {many({}, "ex.org"), "sip:bob@ex.org", true},
      {many({}, "EX.ORG"), "sip:bob@ex.org", true},
      {many({}, "ex.org"), "sip:bob@exborg", false},
      {many({}, "ex.org"), "sip:bob@eX.orf", false},
      {many({}, "ex.org"), "sip:bob@sub.ex.org", false},
      {many({}, "ex.org"), "sip:bob@ex.or", false},
      {many({}, "ex.org"), "tel:+12015550123", false},
      {"<cp:identity><cp:many domain=''/></cp:identity>", "tel:+12015550123", false},
      {"<cp:identity><cp:many domain=' . '/></cp:identity>", "tel:+12015550123", false},
      {"<cp:identity><cp:many domain=''/></cp:identity>", "sip:bob@ex.org", false},
      {many("<cp:except id='sip:bob@ex.org'/>"), "sip:bob@ex.org", false},
      {many("<cp:except id='sip:bob@ex.org'/>"), "sip:bobb@ex.org", true},
      {many("<cp:except id='sip:bob@ex.or'/>"), "sip:bob@ex.org", true},
      {many("<cp:except domain='ex.org'/>"), "sip:bob@ex.org", false},
      {many("<cp:except domain='ex.org'/>"), "sip:bob@exxorg", true},
      {many("<cp:except id='sip:bob@ex.org'/>", "ex.org"), "sip:carol@ex.org", true},
      {many("<cp:except id='no address'/>"), "sip:bob@ex.org", false},
      {many("<x:else/>"), "sip:bob@ex.org", false},
      {"<cp:identity><cp:many><cp:except id='sip:bob@ex.org'/></cp:many><cp:one id='sip:bob@ex.org'/></cp:identity>", "sip:bob@ex.org", true},
      {"<cp:identity/>", "sip:bob@ex.org", false},
      {"<cp:identity><x:group id='a'/></cp:identity>", "sip:bob@ex.org", false},
      {"", "", true},
      {"", "sip:bob@ex.org", true},
  };
  for (const row& row : rows) {
    CAPTURE(row.conditions);
    CAPTURE(row.who);
    CHECK(handling(rules(rule("r", row.conditions, "allow")), row.who) == (row.matches ? allow : block));
  }
  const identity anonymous{.uri = "sip:bob@ex.org", .anonymous = true};
  CHECK(ruleset::parse(rules(rule("r", many(), "allow")))->evaluate({anonymous}).allowed.handling == block);
  // any address is enough to match, and any to be excepted
  const identity both{.uri = "sip:bob@ex.org", .also = {"tel:+12015550123"}};
  CHECK(ruleset::parse(rules(rule("r", one("tel:+12015550123"), "allow")))->evaluate({both}).allowed.handling == allow);
  CHECK(ruleset::parse(rules(rule("r", many("<cp:except id='tel:+12015550123'/>"), "allow")))->evaluate({both}).allowed.handling == block);
}

TEST_CASE("all matching rules count, the highest handling wins (Z13, Z15, POL-4745-comb-1, -2, POL-4745-add-1, POL-5025-sub-1, D2-8, TRAP-1)") {
  const char* names[] = {"block", "confirm", "polite-block", "allow"};
  const sub_handling values[] = {block, confirm, polite_block, allow};
  for (unsigned subset = 0; subset < 16; ++subset) {
    std::string text;
    sub_handling highest = block;
    for (unsigned i = 0; i < 4; ++i) {
      if ((subset >> i & 1) == 0) continue;
      text = rule("r" + std::to_string(i), {}, names[i]) + text;
      highest = std::max(highest, values[i]);
    }
    CHECK(handling(rules(text), "sip:bob@ex.org") == highest);
  }
  CHECK(handling(rules(rule("r", {}, {})), "sip:bob@ex.org") == block);
  CHECK(handling(rules(rule("r", {}, "maybe")), "sip:bob@ex.org") == block);
  CHECK(handling(rules("<cp:rule id='r'><cp:actions><x:dance/><pr:sub-handling>allow</pr:sub-handling></cp:actions></cp:rule>"), "") == allow);
}

TEST_CASE("a rule without conditions is for everybody, one with an unknown condition for nobody (Z14, POL-4745-cond-1, -2, POL-4745-act-1, D2-9, TRAP-5, Z18)") {
  const std::string who = "sip:bob@ex.org";
  CHECK(handling(rules(rule("a", {}, "confirm") + rule("b", one(who), "allow")), who) == allow);
  CHECK(handling(rules(rule("a", one(who), "allow") + rule("b", one("sip:c@ex.org"), "polite-block")), "sip:c@ex.org") == polite_block);
  CHECK(handling(rules("<cp:rule id='r'><cp:conditions/><cp:actions><pr:sub-handling>allow</pr:sub-handling></cp:actions></cp:rule>"), "") == allow);
  CHECK(handling(rules(rule("r", "<x:moon full='1'/>", "allow")), who) == block);
  CHECK(handling(rules(rule("r", one(who) + "<x:moon/>", "allow")), who) == block);
  CHECK(handling(rules(rule("r", "<oma:external-list/>", "allow")), who) == block);
  CHECK(handling(rules(rule("r", one(who), "allow") + rule("s", "<oma:other-identity/>", "confirm")), who) == allow);
  CHECK(handling(rules(rule("r", one(who), "allow") + rule("s", "<oma:other-identity/>", "confirm")), "sip:c@ex.org") == confirm);
  CHECK(handling(rules(rule("s", "<oma:other-identity/>", "confirm")), "") == block);
}

TEST_CASE("a sphere condition holds only for the sphere that is known (Z12, POL-4745-sph-1, POL-5025-sphere-1, TRAP-4)") {
  const std::string document = rules(rule("r", "<cp:sphere value='work'/>", "allow"));
  CHECK(handling(document, "", "work") == allow);
  CHECK(handling(document, "", "Work") == block);
  CHECK(handling(document, "", "home") == block);
  CHECK(handling(document, "") == block);
  CHECK(handling(rules(rule("r", "<cp:sphere> work </cp:sphere>", "allow")), "", "work") == allow);
  CHECK(ask(document, "").by_sphere);
  CHECK_FALSE(ask(rules(rule("r", {}, "allow")), "").by_sphere);
}

TEST_CASE("a validity holds from its beginning up to its end, and says when that is (Z11, POL-4745-val-1, -2, D2-10)") {
  const auto at = [](int s) { return instant{std::chrono::seconds{s}}; };
  const std::string valid =
      "<cp:validity><cp:from>1970-01-01T00:16:40Z</cp:from><cp:until>1970-01-01T00:33:20Z</cp:until>"
      "<cp:from>1970-01-01T01:00:00Z</cp:from><cp:until>1970-01-01T02:00:00+01:00</cp:until></cp:validity>";
  const std::string document = rules(rule("r", valid, "allow"));
  struct row {
    int when;
    bool holds;
    std::optional<int> until;
  };
  for (const row& row : {row{999, false, 1000}, row{1000, true, 2000}, row{1999, true, 2000}, row{2000, false, 3600}, row{3599, false, 3600}, row{3600, false, {}}}) {
    CAPTURE(row.when);
    const auto told = ask(document, "", {}, at(row.when));
    CHECK(told.allowed.handling == (row.holds ? allow : block));
    CHECK(told.until == (row.until ? std::optional{at(*row.until)} : std::nullopt));
  }
  for (const char* bad : {"<cp:validity/>", "<cp:validity><cp:from>1970-01-01T00:00:00Z</cp:from></cp:validity>",
                          "<cp:validity><cp:until>2970-01-01T00:00:00Z</cp:until></cp:validity>",
                          "<cp:validity><cp:from>then</cp:from><cp:until>2970-01-01T00:00:00Z</cp:until></cp:validity>"})
    CHECK(handling(rules(rule("r", bad, "allow")), "") == block);
}

TEST_CASE("TV-20: permissions of several rules are united (POL-4745-comb-1, POL-TR-24)") {
  const std::string b = "sip:bob@ex.org", c = "sip:carol@ex.org";
  const std::string document = rules(
      rule("r1", one(b), "confirm", "<pr:provide-activities>true</pr:provide-activities><pr:provide-services><pr:service-uri-scheme>SIP</pr:service-uri-scheme></pr:provide-services>") +
      rule("r2", many("<cp:except id='" + c + "'/>", "ex.org"), "allow", "<pr:provide-services><pr:class>work</pr:class></pr:provide-services><pr:provide-user-input>bare</pr:provide-user-input>") +
      rule("r3", one(c), "polite-block") +
      rule("r4", many({}, "ex.org"), {}, "<pr:provide-user-input>thresholds</pr:provide-user-input><pr:provide-mood>true</pr:provide-mood>") +
      rule("r5", "<cp:sphere value='work'/>", "allow", "<pr:provide-all-attributes/>") +
      rule("r6", "<x:condition/>", "allow", "<pr:provide-persons><pr:all-persons/></pr:provide-persons>"));
  const permissions bob = ask(document, b).allowed;
  CHECK(bob.handling == allow);
  CHECK(bob.services == component_filter{.classes = {"work"}, .schemes = {"sip"}});
  CHECK(bob.persons == component_filter{});
  CHECK(bob.devices == component_filter{});
  CHECK(bob.input == user_input::thresholds);
  CHECK(bob.shows(shown_attribute::activities));
  CHECK(bob.shows(shown_attribute::mood));
  CHECK_FALSE(bob.shows(shown_attribute::note));
  CHECK(handling(document, c) == polite_block);
  const permissions dave = ask(document, "sip:dave@ex.org").allowed;
  CHECK(dave.handling == allow);
  CHECK(dave.services == component_filter{.classes = {"work"}});
  CHECK_FALSE(dave.shows(shown_attribute::activities));
  for (const char* other : {"sip:eve@ex.com", "", "sip:x@exborg", "sip:x@sub.ex.org", "sip:x@ex.or"})
    CHECK(handling(document, other) == block);
}

TEST_CASE("order of rules does not matter, and one rule more never takes away (PROP-12, PROP-13, POL-4745-doc-1, POL-4745-add-1, Z19)") {
  const std::vector<std::string> conditions{"", one("sip:bob@ex.org"), many({}, "ex.org"), many("<cp:except id='sip:bob@ex.org'/>"),
                                            "<cp:sphere value='work'/>", "<x:y/>", "<cp:identity/>"};
  const std::vector<std::string> handlings{"", "block", "confirm", "polite-block", "allow"};
  const std::vector<std::string> shown{"", "<pr:provide-services><pr:all-services/></pr:provide-services>",
                                       "<pr:provide-services><pr:class>a</pr:class></pr:provide-services>",
                                       "<pr:provide-mood>1</pr:provide-mood>", "<pr:provide-user-input>full</pr:provide-user-input>",
                                       "<pr:provide-unknown-attribute ns='n' name='a'>true</pr:provide-unknown-attribute>",
                                       "<pr:provide-all-attributes/>"};
  std::mt19937 random{7};
  std::array<int, 2> whole{};
  const auto pick = [&](const auto& from) { return from[random() % from.size()]; };
  for (int round = 0; round < 500; ++round) {
    std::vector<std::string> all;
    for (int i = 0; i < 4; ++i) all.push_back(rule("r" + std::to_string(i), pick(conditions), pick(handlings), pick(shown)));
    const std::string who = random() % 2 == 0 ? "sip:bob@ex.org" : "sip:carol@ex.org";
    const std::optional<std::string_view> sphere = random() % 2 == 0 ? std::optional<std::string_view>{"work"} : std::nullopt;
    const auto of = [&](std::size_t count) {
      std::string text;
      for (std::size_t i = 0; i < count; ++i) text += all[i];
      return rules(text);
    };
    const auto granted = [&](std::size_t count) { return ask(of(count), who, sphere).allowed; };
    const permissions less = granted(3), more = granted(4);
    CHECK(more.handling >= less.handling);
    permissions both = less;
    combine(both, more);
    CHECK(both == more);
    // the same by what the engine is told: nobody who saw everything sees less
    for (const bool lenient : {false, true}) {
      event_package package = presence_package();
      authorize_by_rules(package, nullptr, {.lenient = lenient});
      const identity watcher{.uri = who, .method = "digest"};
      const auto decide = [&](std::size_t count) {
        const std::string text = of(count);
        return package.authorize({.resource = "sip:alice@example.com", .event = "presence", .watcher = watcher, .rules = &text, .now = start, .sphere = sphere});
      };
      const authorization before = decide(3), after = decide(4);
      CHECK(after.handling >= before.handling);
      if (before.handling == allow && before.view == nullptr) CHECK(after.view == nullptr);
      whole[lenient] += after.handling == allow && after.view == nullptr;
    }
    std::shuffle(all.begin(), all.end(), random);
    CHECK(granted(4) == more);
  }
  CHECK(whole[true] > whole[false]);
}

TEST_CASE("documents that are no rules are refused with one sentence (POL-4745-bad-1, SEC-XML-1, SEC-XML-2, PROP-11)") {
  const auto refused = [](const std::string& text) { return !ruleset::parse(text).has_value(); };
  CHECK(refused(""));
  CHECK(refused("<ruleset/>"));
  CHECK(refused("<r xmlns='urn:ietf:params:xml:ns:common-policy'/>"));
  CHECK(refused(rules("<cp:rule/>")));
  CHECK(refused(rules(rule("a", {}, "allow") + rule("a", {}, "allow"))));
  CHECK(refused("<!DOCTYPE a [<!ENTITY e 'x'>]>" + rules({})));
  CHECK(refused(rules(rule("a", "\xff\xfe", "allow"))));
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "<x:a>";
  CHECK(refused(rules(deep)));
  CHECK(refused(std::string(100000, ' ') + rules({})));
  std::string wide = prologue + "<cp:rule id='r'";
  for (int i = 0; i < 5000; ++i) wide += " a" + std::to_string(i) + "='1'";
  CHECK(refused(wide + "/></cp:ruleset>"));
  CHECK_FALSE(refused(rules({})));
  std::string chosen;
  for (std::size_t i = 0; i < ruleset::most_service_uris; ++i) chosen += "<pr:service-uri>sip:" + std::to_string(i) + "@h</pr:service-uri>";
  const auto choosing = [&](const std::string& more) {
    return rules(rule("r", {}, "allow", "<pr:provide-services>" + chosen + "</pr:provide-services>") + rule("s", {}, "allow", "<pr:provide-services>" + more + "</pr:provide-services>"));
  };
  CHECK_FALSE(refused(choosing("")));
  CHECK(refused(choosing("<pr:service-uri>sip:one@more</pr:service-uri>")));
}

TEST_CASE("rules decide in the engine: no document, a bad one, a changed one (Z02, Z05, Z08, Z19, POL-5025-sub-6, POL-CHG-3, POL-TR-20)") {
  std::map<std::string, std::string> documents;
  const auto source = [&](std::string_view resource) -> std::optional<std::string> {
    const auto found = documents.find(std::string{resource});
    return found == documents.end() ? std::nullopt : std::optional{found->second};
  };
  const auto with = [&](rules_options how) {
    auto s = std::make_unique<scenario>();
    s->engine = std::make_unique<presence::engine>(s->given.settings, host_hooks{}, nullptr, s->random.get());
    event_package p = presence_package();
    authorize_by_rules(p, source, how);
    REQUIRE(s->engine->add_event(p, s->at));
    return s;
  };
  const auto alice = address("alice"), bob = address("bob");
  const std::string tuples = "<pr:provide-services><pr:all-services/></pr:provide-services>";
  auto s = with({});
  s->publish("alice", {.body = "t1:open"});
  CHECK(s->subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 pending;expires=600");
  const auto renew = [&] { return starred(s->told(s->engine->refresh_watchers(alice, "presence", refresh_type::authorization, s->at))); };
  documents[alice] = rules(rule("r", one(bob), "allow"));
  CHECK(renew() == "N d1#2 active;expires=600 P()");  // allowed, and nothing is provided (POL-TR-20)
  documents[alice] = rules(rule("r", one(bob), "allow", tuples));
  CHECK(renew() == "N d1#3 active;expires=600 P(*:open)");
  documents[alice] = "<broken";
  CHECK(renew().empty());  // the last good one
  CHECK(starred(s->subscribe("d1", {.expires = 600s})) == "200 Expires=600 | N d1#4 active;expires=600 P(*:open)");
  documents[alice] = rules(rule("r", one("sip:carol@example.com"), "allow"));
  CHECK(renew() == "N d1#5 terminated;reason=rejected");
  // what was removed does not come back by a document that cannot be read
  documents[alice] = rules(rule("r", one(bob), "allow", tuples));
  CHECK(starred(s->subscribe("d2", {.expires = 600s})).ends_with("N d2#1 active;expires=600 P(*:open)"));
  documents.erase(alice);
  CHECK(renew() == "N d2#2 terminated;reason=probation");
  documents[alice] = "<broken";
  CHECK(s->subscribe("d3", {.expires = 600s}) == "200 Expires=600 | N d3#1 pending;expires=600");
  s->subscribe("d3", {.expires = 0s});

  auto lenient = with({.without_document = allow, .lenient = true});
  lenient->publish("alice", {.body = "t1:open"});
  documents[alice] = rules(rule("r", one(bob), "allow"));
  CHECK(lenient->subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P(t1:open)");
  CHECK(lenient->subscribe("d2", {.to = "zoe", .expires = 600s}) == "200 Expires=600 | N d2#1 active;expires=600 P()");
  documents[address("zoe")] = "<broken";
  CHECK(lenient->subscribe("d3", {.to = "zoe", .expires = 600s}) == "200 Expires=600 | N d3#1 pending;expires=600");
}

namespace {

/// An engine whose watchers this document decides about.
struct ruled : scenario {
  explicit ruled(std::string document, options settings = {}) : scenario{{.settings = std::move(settings)}}, text{std::move(document)} {
    engine = std::make_unique<presence::engine>(given.settings, host_hooks{}, nullptr, random.get());
    event_package p = presence_package();
    authorize_by_rules(p, [this](std::string_view) { return std::optional{text}; });
    REQUIRE(engine->add_event(p, at));
  }
  std::string text;
};

}  // namespace

TEST_CASE("TV-22: a rules document looks at the sphere, and a new one counts at once (Z12, POL-5025-sphere-1, -2, RPID-3.11-1)") {
  ruled s{rules(rule("r", one("sip:bob@example.com") + "<cp:sphere value='work'/>", "allow")), {.enable_sphere_check = true}};
  const auto at_sphere = [](const std::string& sphere) {
    return presence_with("<d:person id='p'><r:sphere><r:" + sphere + "/></r:sphere></d:person>");
  };
  CHECK(s.subscribe("d1", {.expires = 600s}) == "403");
  CHECK(s.publish("alice", {.raw = at_sphere("work")}) == "200 e1 Expires=3600");
  CHECK(s.subscribe("d2", {.expires = 600s}) == "200 Expires=600 | N d2#1 active;expires=600 P()");
  CHECK(s.subscribe("c1", {.by = "carol", .expires = 600s}) == "403");
  CHECK(s.publish("alice", {.raw = at_sphere("home")}) == "200 e2 Expires=3600 | N d2#2 terminated;reason=rejected");
  CHECK(s.publish("alice", {.if_match = "e2", .expires = 0s}) == "200 e3 Expires=0");
  CHECK(s.subscribe("d3", {.expires = 600s}) == "200 Expires=600 | N d3#1 active;expires=600 P()");
}

TEST_CASE("TV-23: a rule of a document counts while it is valid; its edges come by themselves (Z11, POL-4745-val-1, POL-4745-val-2)") {
  ruled s{rules(rule("r", one("sip:bob@example.com") + "<cp:validity><cp:from>2023-11-14T22:30:00Z</cp:from>"
                     "<cp:until>2023-11-14T22:46:40Z</cp:until></cp:validity>", "allow"))};  // from 1000 s on, for 1000 s
  s.wait_until(999s);
  CHECK(s.subscribe("d1", {.expires = 3600s}) == "403");
  s.wait_until(1000s);
  CHECK(s.subscribe("d2", {.expires = 3600s}) == "200 Expires=3600 | N d2#1 active;expires=3600 P()");
  CHECK(s.subscribe("c1", {.by = "carol", .expires = 3600s}) == "403");
  CHECK(s.wait_until(1999s).empty());
  CHECK(s.wait_until(2000s) == "N d2#2 terminated;reason=rejected");
  CHECK(s.subscribe("d3", {.expires = 3600s}) == "403");
}

TEST_CASE("rules that limit what a package cannot limit show nothing of it (POL-TR-27)") {
  for (const auto& one : {std::pair{"<transformations><pr:provide-persons><pr:all-persons/></pr:provide-persons></transformations>", false},
                                               std::pair{"<transformations/>", true}, std::pair{"", true}}) {
    const std::string transformations = one.first;
    const bool shown = one.second;
    CAPTURE(transformations);
    const std::string rules = std::string{"<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules'>"
                                          "<rule id='a'><actions><pr:sub-handling>allow</pr:sub-handling></actions>"} + transformations + "</rule></ruleset>";
    event_package calendar = opaque_package("calendar", {"text/plain"});
    authorize_by_rules(calendar, [&](std::string_view) { return std::optional{rules}; });
    scenario s{{.packages = {calendar}}};
    s.publish("alice", {.raw = "dentist", .type = "text/plain", .event = "calendar"});
    const std::string told = s.subscribe("d1", {.expires = 600s, .event = "calendar"});
    CHECK(told.starts_with("200 Expires=600 | N d1#1 active"));
    CHECK((told.find("dentist") != std::string::npos) == shown);
  }
}

TEST_CASE("rules do not open what a package keeps from strangers by itself (SEC-PKG-1, SEC-PKG-4)") {
  const std::string rules = "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules'>"
                            "<rule id='a'><actions><pr:sub-handling>allow</pr:sub-handling></actions></rule></ruleset>";
  event_package messages = message_summary_package({.message_headers = true}), lamps = dialog_package();
  messages.name = "mwi";
  for (event_package* p : {&messages, &lamps}) authorize_by_rules(*p, [&](std::string_view) { return std::optional{rules}; });
  scenario s{{.packages = {messages, lamps}}};
  s.subscribe("d1", {.expires = 600s, .event = "mwi"});
  s.subscribe("d2", {.by = "alice", .expires = 600s, .event = "mwi"});
  const std::string told = s.publish("alice", {.raw = "Messages-Waiting: yes\r\n\r\nSubject: SECRET\r\n", .type = "application/simple-message-summary", .event = "mwi"});
  CHECK(told.find("SECRET") != std::string::npos);
  CHECK(told.substr(told.find("d1#2"), told.find(" | N d2") - told.find("d1#2")).find("SECRET") == std::string::npos);
  s.publish("alice", {.raw = "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='0' state='full' entity='sip:alice@example.com'>"
                             "<dialog id='1' call-id='SECRET' local-tag='l' remote-tag='r'><state>early</state></dialog></dialog-info>",
                      .type = "application/dialog-info+xml", .event = "dialog"});
  s.subscribe("d3", {.expires = 600s, .event = "dialog"});
  CHECK(s.dialogs["d3"].notifies.back().body_bytes().find("<dialog ") != std::string::npos);
  CHECK(s.dialogs["d3"].notifies.back().body_bytes().find("SECRET") == std::string::npos);
}
