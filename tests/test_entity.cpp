// Documents name the presentity as its watcher did (RFC 3856; PRS-ENT-1).
#include <set>

#include "places.hpp"
#include "view_scenario.hpp"

using namespace presence;
using namespace presence::test;

namespace {

const std::string as_pres = "pres:alice@example.com", as_sip = "sip:alice@example.com";

std::string entity_in(std::string_view document) {
  const auto begin = document.find("entity=\"") + 8;
  return std::string{document.substr(begin, document.find('"', begin) - begin)};
}

/// The entities of all NOTIFYs with a body that a dialog got since the last look.
struct entities {
  scenario& s;
  std::map<std::string, std::size_t> seen = {};
  std::string of(const std::string& dialog) {
    const auto& all = s.dialogs.at(dialog).notifies;
    std::string found;
    for (std::size_t& i = seen[dialog]; i < all.size(); ++i) {
      const std::string one = all[i].content ? entity_in(all[i].body_bytes()) : "-";
      found += (found.empty() ? "" : " ") + (one == as_pres ? "pres" : one == as_sip ? "sip" : one);
    }
    return found;
  }
};

}  // namespace

TEST_CASE("the entity is pres: where that was subscribed to, and can be (PRS-ENT-1)") {
  struct row {
    const char *canonical, *subscribed, *entity;
  };
  for (const row& r : {row{"sip:alice@example.com", "pres:alice@example.com", "pres:alice@example.com"},
                       row{"sip:alice@example.com", "PRES:%61lice@EXAMPLE.com", "pres:alice@example.com"},
                       row{"sip:alice@example.com", "pres:somebody@example.net", "pres:alice@example.com"},
                       row{"sip:alice@example.com", "sip:alice@example.com;user=phone", "sip:alice@example.com"},
                       row{"sip:alice@example.com", "sips:alice@example.com", "sip:alice@example.com"},
                       row{"sip:alice@example.com", "im:alice@example.com", "sip:alice@example.com"},
                       row{"sip:alice@example.com", "", "sip:alice@example.com"},
                       row{"sip:example.com", "pres:alice@example.com", "sip:example.com"},
                       row{"tel:+12015550123", "pres:alice@example.com", "tel:+12015550123"}}) {
    CAPTURE(r.subscribed);
    CHECK(entity_for(r.canonical, r.subscribed) == r.entity);
  }
}

TEST_CASE_TEMPLATE("each NOTIFY names the presentity as it was subscribed to, also after a restart (PRS-ENT-1, GRM-19)", Place, EVERY_STORAGE) {
  for (const int mode : {1, 3}) {
    CAPTURE(mode);
    Place place;
    scenario s{{.settings = {.subs_db_mode = mode}, .rows = &place.rows()}};
    entities e{s};
    const auto both = [&] { return e.of("d1") + " / " + e.of("d2"); };
    CHECK(s.subscribe("d1", {.to = as_pres, .expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P()");
    s.subscribe("d2", {.to = as_sip, .expires = 600s});
    CHECK(both() == "pres / sip");  // nothing is published
    s.publish("alice", {.body = "t1:open", .expires = 60s});
    CHECK(both() == "pres / sip");
    s.subscribe("d1", {.expires = 600s});
    s.subscribe("d2", {.expires = 600s});
    CHECK(both() == "pres / sip");
    s.restart();
    s.publish("alice", {.body = "t1:closed", .if_match = "e1", .expires = 60s});
    CHECK(both() == "pres / sip");
    s.restart();
    s.told(s.engine->refresh_watchers(address("alice"), "presence", refresh_type::state, s.at));
    CHECK(both() == "pres / sip");
    s.wait(62s);  // it lapses
    CHECK(both() == "pres / sip");
    s.restart();
    s.subscribe("d1", {.expires = 600s});
    CHECK(both() == "pres / ");
    s.subscribe("d3", {.to = as_pres, .expires = 0s});
    CHECK(e.of("d3") == "pres");
    s.subscribe("d1", {.expires = 0s});
    CHECK(s.dialogs["d1"].notifies.back().state == subscription_state::terminated);
    s.told(s.engine->terminate_watchers(address("alice"), "presence", end_reason::invariant, s.at));
    CHECK(both() == "pres / sip");
    s.audit();
  }
}

TEST_CASE("without a To the Request-URI says how, and the NOTIFY comes from there (PRS-ENT-1)") {
  scenario s;
  const auto to = [&](std::string_view resource, std::string_view to_uri, const char* call) {
    const effects out = s.engine->subscribe({.resource = resource, .event = "presence", .call_id = call, .from_tag = "t", .from_uri = "sip:bob@example.com",
                                             .to_uri = to_uri, .contact = "sip:bob@b.example.com", .cseq = 1}, s.at);
    REQUIRE(out.notifies.size() == 1);
    return std::string{out.notifies[0].dialog.local_uri()} + " " + entity_in(out.notifies[0].body_bytes());
  };
  CHECK(to("pres:alice@EXAMPLE.com", "", "1") == as_pres + " " + as_pres);
  CHECK(to("sips:alice@example.com", "", "2") == as_sip + " " + as_sip);
  CHECK(to(as_sip, "pres:info@example.net", "3") == "pres:info@example.net " + as_pres);  // resolved on the way
  CHECK(to(as_pres, as_sip, "4") == as_sip + " " + as_sip);
}

TEST_CASE("there is one body more, and only while somebody watches a pres: address (PRS-ENT-1, N23)") {
  scenario s;
  const auto bodies = [&] {
    std::set<const char*> all;
    for (const auto& [name, d] : s.dialogs) all.insert(d.notifies.back().content.bytes().data());
    return all.size();
  };
  for (const char* name : {"d1", "d2", "d3"}) s.subscribe(name, {.to = as_sip, .expires = 600s});
  s.publish("alice", {.body = "t1:open"});
  CHECK(bodies() == 1);
  for (const char* name : {"d4", "d5"}) s.subscribe(name, {.to = as_pres, .expires = 600s});
  s.publish("alice", {.body = "t1:closed", .if_match = "e1"});
  CHECK(bodies() == 2);
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e2"}) == "200 e3 Expires=3600");  // nobody is told what he knows
}

TEST_CASE("who is politely blocked, or let in later, is told the name he used (PRS-ENT-1, SEC-LEAK-2)") {
  scenario s{{.authorized = true}};
  entities e{s};
  const auto hard = [&](const std::string& document) {
    return s.told(s.engine->set_hard_state(address("alice"), "presence", "h", {.type = document.empty() ? "" : "application/pidf+xml", .bytes = document}, s.at));
  };
  s.policy["bob"] = sub_handling::polite_block;
  s.policy["carol"] = sub_handling::confirm;
  s.subscribe("d1", {.to = as_pres, .expires = 600s});
  s.subscribe("d2", {.by = "carol", .to = as_pres, .expires = 600s});
  CHECK(e.of("d1") + " / " + e.of("d2") == "pres / -");
  s.publish("alice", {.body = "t1:open"});
  CHECK(e.of("d1").empty());
  CHECK(hard(pidf("h1:closed")) == "200 | N d1#2 active;expires=600 P(h1:closed)");
  CHECK(e.of("d1") == "pres");
  CHECK(hard("") == "200 | N d1#3 active;expires=600 P()");
  CHECK(e.of("d1") == "pres");
  CHECK(s.decide("carol", sub_handling::allow) == "N d2#2 active;expires=600 P(t1:open)");
  CHECK(s.decide("bob", sub_handling::allow) == "N d1#4 active;expires=600 P(t1:open)");
  CHECK(s.decide("bob", sub_handling::polite_block) == "N d1#5 active;expires=600 P()");
  CHECK(e.of("d1") + " / " + e.of("d2") == "pres pres / pres");
}

TEST_CASE("through a view ids are the same under each name (PRS-ENT-1, SEC-PKG-8)") {
  shown s{services + devices};
  s.subscribe("d1", {.to = as_pres, .expires = 600s});
  s.subscribe("d2", {.to = as_sip, .expires = 600s});
  s.publish("alice", {.raw = presence_with("<tuple id='t'><status/></tuple><d:device id='v'><d:deviceID>urn:1</d:deviceID></d:device>")});
  std::string one = s.dialogs["d1"].notifies.back().body_bytes();
  const std::string other = s.dialogs["d2"].notifies.back().body_bytes();
  CHECK(entity_in(one) == as_pres);
  one.replace(one.find(as_pres), as_pres.size(), as_sip);
  CHECK(one == other);
}

TEST_CASE("a difference is told under the name that was used (PRS-ENT-1, N27)") {
  event_package p = opaque_package("named");
  p.names_as_subscribed = true;
  p.aggregate = [](std::string_view resource, std::span<const published> all) {
    return body{"a/b", std::string{resource.substr(0, 4)} + "=" + std::string{all.back().content.bytes()}};
  };
  p.difference = [](std::string_view resource, const body&, const body& after) {
    return std::optional{body{"a/b", std::string{resource.substr(0, 4)} + "+" + std::string{after.bytes()}}};
  };
  scenario s{{.packages = {p}}};
  s.publish("alice", {.raw = "1", .type = "a/b", .event = "named"});
  CHECK(s.subscribe("d1", {.to = as_pres, .expires = 600s, .event = "named"}) == "200 Expires=600 | N d1#1 active;expires=600 [pres=1]");
  CHECK(s.subscribe("d2", {.to = as_sip, .expires = 600s, .event = "named"}) == "200 Expires=600 | N d2#1 active;expires=600 [sip:=1]");
  CHECK(s.publish("alice", {.raw = "2", .type = "a/b", .if_match = "e1", .event = "named"}) ==
        "200 e2 Expires=3600 | N d1#2 active;expires=600 [pres+pres=2] | N d2#2 active;expires=600 [sip:+sip:=2]");
}
