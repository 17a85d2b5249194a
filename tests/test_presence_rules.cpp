// Rules documents (RFC 4745, 5025) in front of the presence package and the engine: TV-20, TV-22, TV-23.
#include <presence/rules.hpp>

#include "scenario.hpp"

using namespace presence;
using namespace presence::test;

namespace {

std::string rule(const std::string& conditions, const std::string& handling, const std::string& shown = {}) {
  static int number = 0;
  return "<cp:rule id='r" + std::to_string(++number) + "'><cp:conditions>" + conditions +
         "</cp:conditions><cp:actions>" +
         (handling.empty() ? "" : "<sub-handling>" + handling + "</sub-handling>") +
         "</cp:actions><cp:transformations>" + shown + "</cp:transformations></cp:rule>";
}
std::string one(std::string_view name) {
  return "<cp:identity><cp:one id='" + address(name) + "'/></cp:identity>";
}
const std::string tuples = "<provide-services><all-services/></provide-services>";

/// Alice's rules decide who watches her.
struct ruled : scenario {
  std::string text;
  explicit ruled(const std::string& rules, rules_options how = {},
                 options settings = {.enable_sphere_check = true})
      : scenario{{.settings = settings}} {
    set(rules);
    engine = std::make_unique<presence::engine>(given.settings, host_hooks{}, nullptr, random.get());
    event_package p = presence_package();
    p.winfo = true;
    authorize_by_rules(
        p,
        [this](std::string_view resource) {
          return resource == address("alice") ? std::optional{text} : std::nullopt;
        },
        how);
    REQUIRE(engine->add_event(std::move(p), at));
  }
  void set(const std::string& rules) {
    text =
        "<cp:ruleset xmlns:cp='urn:ietf:params:xml:ns:common-policy' "
        "xmlns='urn:ietf:params:xml:ns:pres-rules'>" +
        rules + "</cp:ruleset>";
  }
  std::string renew() {
    return told(engine->refresh_watchers(address("alice"), "presence", refresh_type::authorization, at));
  }
};

std::string person(const std::string& inner, const std::string& tuples_of_hers = {}) {
  return "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' "
         "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' "
         "entity='sip:alice@example.com'>" +
         tuples_of_hers + "<d:person id='p'>" + inner + "</d:person></presence>";
}
std::string sphere(const std::string& where) { return person("<r:sphere><r:" + where + "/></r:sphere>"); }

}  // namespace

TEST_CASE(
    "TV-20: rules of several kinds decide at the door, and each sees what his rules grant together "
    "(POL-4745-comb-1, -2, POL-TR-24, Z13, Z17)") {
  ruled s{
      rule(one("bob"), "confirm",
           "<provide-activities>true</provide-activities><provide-services><service-uri-scheme>sip</"
           "service-uri-scheme></provide-services>") +
      rule("<cp:identity><cp:many domain='example.com'><cp:except "
           "id='sip:carol@example.com'/></cp:many></cp:identity>",
           "allow",
           "<provide-services><class>work</class></provide-services><provide-user-input>bare</"
           "provide-user-input>") +
      rule(one("carol"), "polite-block") +
      rule("<cp:identity><cp:many domain='example.com'/></cp:identity>", "",
           "<provide-user-input>thresholds</provide-user-input><provide-mood>true</provide-mood>") +
      rule("<cp:sphere value='work'/>", "allow", "<provide-all-attributes/>") +
      rule("<x:condition xmlns:x='urn:x'/>", "allow", "<provide-persons><all-persons/></provide-persons>")};
  const std::string services =
      "<tuple id='t1'><status><basic>open</basic></status><r:user-input idle-threshold='60' "
      "last-input='2026-01-01T00:00:00Z'>idle</r:user-input>"
      "<r:relationship><r:self/></r:relationship><contact>sip:a@b.example</contact></tuple>"
      "<tuple "
      "id='t2'><status><basic>closed</basic></status><r:class>work</r:class><contact>tel:+12015550123</"
      "contact></tuple>"
      "<tuple id='t3'><status><basic>closed</basic></status><contact>mailto:a@b.example</contact></tuple>";
  CHECK(s.publish("alice", {.raw = person("<r:mood><r:happy/></r:mood>", services)}) ==
        "200 e1 Expires=3600");
  CHECK(s.subscribe("d1", {.expires = 600s}) ==
        "200 Expires=600 | N d1#1 active;expires=600 P(*:open,*:closed)");
  const std::string seen = s.dialogs["d1"].notifies[0].body_bytes();
  CHECK(seen.find("idle-threshold='60'") != std::string::npos);
  for (const char* hidden : {"last-input", "relationship", "person", "happy", "r:class"})
    CHECK(seen.find(hidden) == std::string::npos);
  CHECK(s.subscribe("d2", {.by = "carol", .expires = 600s}) ==
        "200 Expires=600 | N d2#1 active;expires=600 P()");
  CHECK(s.subscribe("d3", {.by = "dave", .expires = 600s}) ==
        "200 Expires=600 | N d3#1 active;expires=600 P(*:closed)");
  CHECK(s.subscribe("d4", {.by = "sip:eve@ex.com", .contact = "sip:eve@192.0.2.1"}) == "403");
  CHECK(s.subscribe("d5", {.expires = 600s, .unproven = true}) == "403");
  CHECK(s.subscribe("d6", {.by = "sip:x@examplebcom", .contact = "sip:x@192.0.2.1"}) == "403");
  CHECK(s.subscribe("d7", {.by = "sip:x@sub.example.com", .contact = "sip:x@192.0.2.1"}) == "403");
  CHECK(s.subscribe("d8", {.by = "sip:x@example.co", .contact = "sip:x@192.0.2.1"}) == "403");
}

TEST_CASE(
    "TV-22: rules that look at the sphere follow it (Z12, POL-4745-sph-1, POL-5025-sphere-1, -2, SEED-9)") {
  const std::string at_work = rule(one("bob") + "<cp:sphere value='work'/>", "allow", tuples);
  ruled s{at_work};
  CHECK(s.subscribe("d1") == "403");
  s.publish("alice", {.raw = sphere("work")});
  CHECK(s.subscribe("d2", {.expires = 600s}) == "200 Expires=600 | N d2#1 active;expires=600 P()");
  CHECK(s.publish("alice", {.raw = sphere("home")}) ==
        "200 e2 Expires=3600 | N d2#2 terminated;reason=rejected");
  s.publish("alice", {.if_match = "e2", .expires = 0s});
  CHECK(s.subscribe("d3", {.expires = 600s}) == "200 Expires=600 | N d3#1 active;expires=600 P()");
  ruled off{at_work, {}, {}};
  off.publish("alice", {.raw = sphere("work")});
  CHECK(off.subscribe("d1") == "403");
}

TEST_CASE("TV-23: rules that hold for a time begin and end by the clock (Z11, POL-4745-val-1, -2)") {
  // the scenario begins at 2023-11-14T22:13:20Z
  ruled s{rule(one("bob") + "<cp:validity><cp:from>2023-11-14T22:30:00Z</"
                            "cp:from><cp:until>2023-11-14T22:46:40Z</cp:until></cp:validity>",
               "allow", tuples)};
  s.wait_until(999s);
  CHECK(s.subscribe("d1", {.expires = 3600s}) == "403");
  s.wait_until(1000s);
  CHECK(s.subscribe("d2", {.expires = 3600s}) == "200 Expires=3600 | N d2#1 active;expires=3600 P()");
  CHECK(s.wait_until(1999s).empty());
  CHECK(s.wait_until(2000s) == "N d2#2 terminated;reason=rejected");
}

TEST_CASE(
    "nobody watches without the presentity's word: without rules he waits until she decides (PRS-6.6.2-1, "
    "POL-5025-sub-3, -5, -6, Z21)") {
  ruled s{""};
  s.subscribe("o1", {.by = "bob", .to = "bob", .event = "presence.winfo"});
  s.publish("bob", {.body = "t1:open"});
  CHECK(s.subscribe("d1", {.by = "carol", .to = "bob", .expires = 600s}) ==
        "200 Expires=600 | N d1#1 pending;expires=600 | N o1#2 active;expires=3600 W1 "
        "partial(w1:pending:subscribe:carol:600:0)");
  CHECK(s.subscribe("d2", {.expires = 600s}) == "403");  // alice has rules, and none of them is for him
  s.set(rule(one("bob"), "confirm"));
  CHECK(s.subscribe("d3", {.expires = 600s}) == "200 Expires=600 | N d3#1 pending;expires=600");
  s.publish("alice", {.body = "t1:open"});
  s.wait(10s);
  s.set(rule(one("bob"), "allow", tuples));  // she decided later
  CHECK(s.renew() == "N d3#2 active;expires=590 P(*:open)");
  s.set("");
  CHECK(s.renew() == "N d3#3 terminated;reason=rejected");
}

TEST_CASE("a watcher is asked who he is before the rules are asked about him (PRS-6.6.1-1, HOST-2)") {
  int asked = 0;
  scenario s{{.settings = {.require_auth = true}}};
  s.engine = std::make_unique<presence::engine>(s.given.settings, host_hooks{}, nullptr, s.random.get());
  event_package p = presence_package();
  p.req_auth = true;
  p.authorize = [&](const authorization_query&) {
    ++asked;
    return sub_handling::allow;
  };
  REQUIRE(s.engine->add_event(std::move(p), s.at));
  CHECK(s.subscribe("d1", {.expires = 600s, .unproven = true}) == "401 challenge");
  CHECK(asked == 0);
  CHECK(s.subscribe("d1", {.expires = 600s}).starts_with("200"));
  CHECK(asked == 1);
}

TEST_CASE("a package that needs no decision asks nobody, whatever rules there are (Z01)") {
  event_package p = opaque_package("open");
  p.authorize = [](const authorization_query&) { return sub_handling::block; };
  scenario s{{.packages = {p}}};
  s.publish("alice", {.raw = "x", .type = "a/b", .event = "open"});
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "open", .unproven = true}) ==
        "200 Expires=600 | N d1#1 active;expires=600 [x]");
  p.name = "shut";
  p.req_auth = true;
  scenario shut{{.packages = {p}}};
  CHECK(shut.subscribe("d1", {.expires = 600s, .event = "shut"}) == "403");
}

TEST_CASE("what somebody is owed is not told at the moment his permission ends, also when more is due than rules (Z11, PRS-6.10-1)") {
  // the scenario begins at 2023-11-14T22:13:20Z
  ruled s{rule(one("bob") + "<cp:validity><cp:from>2023-11-14T22:00:00Z</cp:from><cp:until>2023-11-14T22:15:00Z</cp:until></cp:validity>",
               "allow", tuples),
          {}, {.notify_interval = 5s}};
  s.subscribe("d1", {.expires = 600s});
  s.publish("carol", {.body = "t1:open", .expires = 100s});
  s.wait_until(95s);
  CHECK(s.publish("alice", {.body = "t1:open"}).find("N d1#2") != std::string::npos);
  s.wait_until(97s);
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e2"}) == "200 e3 Expires=3600");  // told at 100 s, when he may not see it
  s.at = start + 100s;
  CHECK(s.told(s.engine->advance(s.at)) == "");  // what carol published lapses
  CHECK(s.stats().expired_publications == 1);
  CHECK(s.wait(0s) == "N d1#3 terminated;reason=rejected");
  CHECK(s.wait(20s) == "");
}
