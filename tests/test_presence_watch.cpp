// The presence package through the engine: what a watcher gets of what was published (RFC 3856, 3863, 4479).
#include <presence/packages.hpp>

#include "scenario.hpp"

using namespace presence;
using namespace presence::test;

namespace {

std::string presence_of(const std::string& inner) {
  return "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' "
         "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' "
         "entity='pres:else@example.com'>" +
         inner + "</presence>";
}

/// Bob watches alice.
struct watch : scenario {
  explicit watch(presence_options how = {}) {
    engine = std::make_unique<presence::engine>(given.settings, host_hooks{}, nullptr, random.get());
    REQUIRE(engine->add_event(presence_package(std::move(how)), at));
    subscribe("d1", {.expires = 3600s});
  }
  std::string tell(const std::string& inner, const std::string& tag = {}, expires_value expires = {}) {
    return publish("alice", {.raw = presence_of(inner), .if_match = tag, .expires = expires});
  }
  /// The children of the root in the last document bob got.
  std::string seen() {
    const std::string text = dialogs["d1"].notifies.back().body_bytes();
    const auto begin = text.find('>', text.find("<presence ")) + 1;
    return text.substr(begin, text.rfind("</presence>") - begin);
  }
};

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t n = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE(
    "the package takes its default type, an hour, and no parameter (PRS-6.1-1, PRS-6.4-1, PRS-6.5-1, "
    "PRS-6.3-1)") {
  scenario s;
  CHECK(s.subscribe("d1", {.event = "presence;x=y"}) == "200 Expires=3600 | N d1#1 active;expires=3600 P()");
  CHECK(s.subscribe("d2", {.accept = "application/pidf+xml"}).starts_with("200"));
  CHECK(s.subscribe("d3", {.accept = "application/cpim-pidf+xml"}) == "406");
  CHECK(s.subscribe("d4", {.accept = "*/*;q=0.1"}).starts_with("200"));
  CHECK(s.subscribe("d5", {.body = "<filter-set/>", .body_type = "text/plain"}) == "415");
}

TEST_CASE("every NOTIFY carries the whole document (PRS-6.7-1, PRS-ENT-1, V01, V02)") {
  watch s;
  s.tell("<tuple id='t1'><status><basic>open</basic></status></tuple><note>one</note>");
  s.tell("<tuple id='t2'><status><basic>open</basic></status></tuple><d:person id='p'/><x xmlns='urn:x'/>");
  CHECK(
      s.tell(
          "<tuple id='t2'><status><basic>closed</basic></status></tuple><d:person id='p'/><x xmlns='urn:x'/>",
          "e2") == "200 e3 Expires=3600 | N d1#4 active;expires=3600 P(t1:open,t2:closed)");
  for (const char* part : {"<note>one</note>", "person", "<x xmlns='urn:x'/>"})
    CHECK(count(s.seen(), part) == 1);
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 0s}) ==
        "200 e4 Expires=0 | N d1#5 active;expires=3600 P(t2:closed)");
  CHECK(count(s.dialogs["d1"].notifies.back().body_bytes(), "entity=\"sip:alice@example.com\"") ==
        1);  // not the publisher's
}

TEST_CASE(
    "nothing published is a document without tuples, or no body where the host wants none (PRS-6.7-5)") {
  for (const bool neutral : {true, false}) {
    scenario s;
    s.engine = std::make_unique<presence::engine>(s.given.settings, host_hooks{}, nullptr, s.random.get());
    event_package p = presence_package();
    if (!neutral) p.neutral = nullptr;
    REQUIRE(s.engine->add_event(std::move(p), s.at));
    const std::string nothing = neutral ? " P()" : "";
    CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600" + nothing);
    s.publish("alice", {.body = "t1:open"});
    CHECK(s.publish("alice", {.if_match = "e1", .expires = 0s}) ==
          "200 e2 Expires=0 | N d1#3 active;expires=600" + nothing);
  }
}

TEST_CASE(
    "what is no presence document is refused, and another type, too; nothing is told (V01, PUB-6.5-1, "
    "PUB-6.5-2)") {
  watch s;
  for (const char* bad : {"<tuple id='t1'>", "<tuple><status/></tuple>", "<tuple id='t1'/>",
                          "<tuple id='t1'><status><basic>maybe</basic></status></tuple>"}) {
    CAPTURE(bad);
    CHECK(s.tell(bad) == "400");
  }
  CHECK(s.publish("alice", {.raw = presence_of(""), .type = "application/xml"}) ==
        "415 Accept=application/pidf+xml");
  CHECK(s.stats().publications == 0);
}

TEST_CASE(
    "each part of a tuple passes as it is, notes in their order and languages "
    "(PIDF-4.1.1-1, PIDF-4.1.3-1, PIDF-4.1.4-1, PIDF-4.1.5-1, PIDF-4.1.6-1, PIDF-4.1.7-1, DM-3-7)") {
  watch s;
  const std::string tuples =
      "<tuple id='t1'><status/><contact priority='0.8'>sip:a@b.example</contact><note "
      "xml:lang='en'>out</note><note xml:lang='fr'>sorti</note>"
      "<timestamp>2026-01-01T10:00:00.5+01:00</timestamp></tuple><tuple "
      "id='t2'><status><basic>closed</basic></status></tuple>"
      "<note xml:lang='de'>weg</note><note>away</note>";
  CHECK(s.tell(tuples) == "200 e1 Expires=3600 | N d1#2 active;expires=3600 P(t1:-,t2:closed)");
  CHECK(s.seen() == tuples);
  // another publication moves no timestamp and makes none
  s.tell("<tuple id='t3'><status/></tuple>");
  CHECK(count(s.seen(), "<timestamp>") == 1);
  CHECK(count(s.seen(), "<timestamp>2026-01-01T10:00:00.5+01:00<") == 1);
}

TEST_CASE(
    "persons and devices are components, several may speak of one thing, and none gets a basic status "
    "(DM-3-1, DM-3-5, DM-3-6, CMP-6)") {
  const std::string kinds =
      "<tuple id='t1'><status><basic>open</basic></status></tuple><d:device "
      "id='v1'><d:deviceID>urn:x:1</d:deviceID></d:device>"
      "<d:person id='p1'><d:note>n</d:note></d:person>";
  watch s{{.closes_leaving = true}};
  s.tell(kinds, {}, 60s);
  s.tell(
      "<d:person id='p2'/><d:device id='v2'><d:deviceID>urn:x:1</d:deviceID></d:device><d:person id='p3'/>");
  CHECK(count(s.seen(), "<d:person ") == 3);
  CHECK(count(s.seen(), "<d:device ") == 2);
  CHECK(count(s.seen(), "<basic>") == 1);
  s.wait(60s);  // the tuple is told once more, closed
  CHECK(count(s.seen(), "<basic>closed</basic>") == 1);
  CHECK(count(s.seen(), "<basic>") == 1);
}

TEST_CASE(
    "foreign parts stay with what they stand in: devices of a service, cards, places, OMA's and older forms "
    "(DM-3-4, CIP-1, EXT-1, EXT-2, RPID-3-1, RPID-3-2, CAP-2)") {
  watch s;
  const std::string parts[] = {
      "<d:deviceID>urn:x:1</d:deviceID><d:deviceID>urn:x:2</d:deviceID>",
      "<c:display-name xmlns:c='urn:ietf:params:xml:ns:pidf:cipid'>Alice</c:display-name>",
      "<g:geopriv xmlns:g='urn:ietf:params:xml:ns:pidf:geopriv10'><g:location-info/></g:geopriv>",
      "<o:willingness xmlns:o='urn:oma:xml:prs:pidf:oma-pres'><o:basic>open</o:basic></o:willingness>",
      "<r:activities><r:busy/></r:activities>",  // belongs to a person
  };
  std::string inner =
      "<tuple id='t1'><status><basic>open</basic><es "
      "xmlns='urn:ietf:params:xml:ns:pidf:status:rpid'>away</es></status>";
  for (const std::string& part : parts) inner += part;
  s.tell(inner + "</tuple>");
  s.tell("<tuple id='t2'><status/></tuple>");
  const std::string seen = s.seen(), first = seen.substr(0, seen.find("</tuple>"));
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(count(first, part) == 1);
  }
  CHECK(count(first, ">away</es></status>") == 1);
  CHECK(count(seen.substr(first.size()), "<") ==
        4);  // </tuple> and the second one, to which nothing was added
}
