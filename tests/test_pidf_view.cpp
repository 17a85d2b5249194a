// What rules show of a presence document (RFC 5025 section 3.3; POL-TR rows, Z16, Z17).
#include "view_scenario.hpp"

using namespace presence;
using namespace presence::test;

namespace {

const char* const her_document = R"(<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:d="urn:ietf:params:xml:ns:pidf:data-model"
  xmlns:r="urn:ietf:params:xml:ns:pidf:rpid" xmlns:x="urn:example:x" entity="sip:alice@example.com">
 <tuple id="t1"><status><basic>open</basic><x:busy/></status><r:class>work</r:class><r:relationship><r:self/></r:relationship>
  <d:deviceID>urn:dev:1</d:deviceID><x:shoe>42</x:shoe><contact>sip:alice@desk.example.com</contact><note>at my desk</note>
  <timestamp>2026-01-01T00:00:00Z</timestamp></tuple>
 <tuple id="t2"><status><basic>closed</basic></status><contact>tel:+12015550123</contact></tuple>
 <note>all about alice</note>
 <d:person id="p1"><r:activities><r:note>till noon</r:note><r:meeting/></r:activities><r:class>home</r:class><r:mood><r:happy/></r:mood>
  <r:place-is><r:audio><r:noisy/></r:audio></r:place-is><r:place-type><x:cave/></r:place-type><r:privacy><r:text/></r:privacy>
  <r:sphere><r:work/></r:sphere><r:status-icon>http://example.com/i</r:status-icon><r:time-offset>60</r:time-offset>
  <r:user-input idle-threshold="600" last-input="2026-01-01T00:00:00Z">idle</r:user-input><d:note>a person</d:note></d:person>
 <d:device id="v1"><r:user-input>active</r:user-input><d:deviceID>urn:dev:1</d:deviceID></d:device>
 <x:map>here</x:map>
</presence>)";

/// The components that are seen of `document`, by what is in them.
std::string components(const std::string& seen) {
  std::string found;
  for (const auto& [part, id] : {std::pair{"<contact>sip:", "t1 "}, {"<contact>tel:", "t2 "}, {"<d:person ", "p1 "}, {"<d:device ", "v1 "}})
    if (has(seen, part)) found += id;
  return found;
}

}  // namespace

TEST_CASE("who is allowed and given nothing sees no component (POL-TR-20, Z19)") {
  shown s{""};
  const std::string seen = s.seen(her_document);
  for (const char* part : {"<tuple", "person", "device", "<note", "map"}) CHECK_FALSE(has(seen, part));
  CHECK(has(seen, "entity=\"sip:alice@example.com\""));
}

TEST_CASE("components are chosen by what they are (Z16, POL-TR-1, POL-TR-2, POL-TR-3, POL-TR-22, POL-TR-23, POL-TR-24)") {
  struct row {
    std::string shown;
    std::string components;  // of t1 t2 p1 v1
  };
  const row rows[] = {
      {services, "t1 t2 "},
      {persons, "p1 "},
      {devices, "v1 "},
      {"<provide-services><class>work</class></provide-services>", "t1 "},
      {"<provide-services><occurrence-id>t2</occurrence-id></provide-services>", "t2 "},
      {"<provide-services><service-uri>sip:alice@DESK.example.com</service-uri></provide-services>", "t1 "},
      {"<provide-services><service-uri-scheme>TEL</service-uri-scheme></provide-services>", "t2 "},
      {"<provide-services><service-uri-scheme>tel</service-uri-scheme><class>work</class></provide-services>", "t1 t2 "},
      {"<provide-services><class>Work</class></provide-services>", ""},
      {"<provide-services><all-persons/></provide-services>", ""},
      {"<provide-persons><class>home</class></provide-persons>", "p1 "},
      {"<provide-persons><occurrence-id>t1</occurrence-id></provide-persons>", ""},
      {"<provide-devices><deviceID>urn:dev:1</deviceID></provide-devices>", "v1 "},
      {"<provide-devices><deviceID>urn:dev:2</deviceID></provide-devices>", ""},
      {"<provide-devices><occurrence-id>v1</occurrence-id></provide-devices>" + services, "t1 t2 v1 "},
  };
  for (const row& row : rows) {
    CAPTURE(row.shown);
    shown s{row.shown};
    CHECK(components(s.seen(her_document)) == row.components);
  }
}

TEST_CASE("an occurrence id is the one that was published, whatever it is called in the composed document (POL-TR-22, CMP-3)") {
  shown s{"<provide-services><occurrence-id>t1</occurrence-id></provide-services>"};
  s.publish("alice", {.body = "t1:open"});
  s.publish("alice", {.body = "t1:closed,t2:closed"});
  s.subscribe("d1");
  const std::string seen = s.last();
  CHECK(starred(tuples_of(seen)) == "P(*:open,*:closed)");  // and not t2
}

TEST_CASE("attributes pass one by one (Z17, POL-TR-4, -5, -6, -7, -8, -9, -10, -11, -12, -13, -14, POL-TR-16, POL-TR-17, POL-TR-21, SEC-PKG-7)") {
  const std::string all = services + persons + devices;
  struct row {
    const char* permission;
    std::vector<const char*> parts;
  };
  const row rows[] = {
      {"provide-activities", {"r:activities", "r:meeting"}},
      {"provide-class", {"<r:class>work", "<r:class>home"}},
      {"provide-deviceID", {"urn:dev:1"}},
      {"provide-mood", {"r:mood"}},
      {"provide-place-is", {"r:place-is"}},
      {"provide-place-type", {"r:place-type"}},
      {"provide-privacy", {"r:privacy"}},
      {"provide-relationship", {"r:relationship"}},
      {"provide-status-icon", {"r:status-icon"}},
      {"provide-sphere", {"r:sphere"}},
      {"provide-time-offset", {"r:time-offset"}},
      {"provide-note", {"at my desk", "all about alice", "a person"}},
      {"provide-unknown-attribute ns='urn:example:x' name='shoe'", {"x:shoe"}},
      {"provide-unknown-attribute ns='urn:example:x' name='busy'", {"x:busy"}},
      {"provide-unknown-attribute ns='urn:example:x' name='map'", {"x:map"}},
  };
  for (const row& granted : rows) {
    CAPTURE(granted.permission);
    const std::string permission = granted.permission, name = permission.substr(0, permission.find(' '));
    shown s{all + "<" + granted.permission + ">true</" + name + ">"};
    const std::string seen = s.seen(her_document);
    for (const row& other : rows)
      for (const char* part : other.parts) CHECK(has(seen, part) == (&other == &granted));
    for (const char* always : {"<basic>open", "<basic>closed", "<contact>tel:+12015550123", "<timestamp>2026"}) CHECK(has(seen, always));
    shown off{all + "<" + granted.permission + ">false</" + name + ">"};
    CHECK_FALSE(has(off.seen(her_document), granted.parts.front()));
  }
}

TEST_CASE("notes inside of RPID elements need a permission, too (POL-TR-16)") {
  const std::string activities = persons + "<provide-activities>true</provide-activities>";
  shown without{activities}, with{activities + "<provide-note>true</provide-note>"};
  const std::string seen = without.seen(her_document);
  CHECK(has(seen, "r:meeting"));
  CHECK_FALSE(has(seen, "till noon"));
  CHECK(has(with.seen(her_document), "till noon"));
}

TEST_CASE("user-input passes by level (POL-TR-15)") {
  struct row {
    const char* level;
    bool word, threshold, last;
  };
  for (const row& row : {row{"false", false, false, false}, row{"bare", true, false, false}, row{"thresholds", true, true, false}, row{"full", true, true, true}}) {
    CAPTURE(row.level);
    shown s{persons + "<provide-user-input>" + row.level + "</provide-user-input>"};
    const std::string seen = s.seen(her_document);
    CHECK(has(seen, ">idle<") == row.word);
    CHECK(has(seen, "idle-threshold=\"600\"") == row.threshold);
    CHECK(has(seen, "last-input") == row.last);
  }
}

TEST_CASE("all attributes are those of the components that pass, and nothing beside them (POL-TR-18)") {
  shown s{services + "<provide-all-attributes/>"};
  const std::string seen = s.seen(her_document);
  for (const char* part : {"x:shoe", "x:busy", "r:class", "at my desk", "urn:dev:1"}) CHECK(has(seen, part));
  for (const char* part : {"person", "device id", "x:map", "all about alice"}) CHECK_FALSE(has(seen, part));
  shown none{"<provide-all-attributes/>"};
  CHECK(has(none.seen(her_document), "entity=\"sip:alice@example.com\"></presence>"));
  shown all{services + persons + devices + "<provide-all-attributes/>"};  // nothing is held back
  for (const char* part : {"last-input", "x:map", "all about alice", "id=\"t1\""}) CHECK(has(all.seen(her_document), part));
}

TEST_CASE("a device keeps a deviceID that tells nothing (POL-TR-6, POL-TR-25, SEC-PKG-8)") {
  shown s{services + devices};
  const std::string seen = s.seen(her_document);
  CHECK_FALSE(has(seen, "urn:dev:1"));
  CHECK(has(seen, "<d:deviceID>urn:uuid:"));
  const auto id = seen.substr(seen.find("urn:uuid:"), 45);
  s.subscribe("d1");
  CHECK(has(s.last(), id.c_str()));
}

TEST_CASE("TV-21: only what is shown is told (PRS-6.7-2, POL-CHG-3, SEC-LEAK-9, PROP-8)") {
  const auto with_mood = [](const char* mood) {
    return presence_with("<tuple id='t1'><status><basic>open</basic></status></tuple><d:person id='p'><r:activities><r:busy/></r:activities>"
                         "<r:mood><r:" + std::string{mood} + "/></r:mood></d:person>");
  };
  const std::string base = services + persons + "<provide-activities>true</provide-activities>";
  shown s{base};
  s.publish("alice", {.raw = with_mood("happy")});
  CHECK(starred(s.subscribe("d1", {.expires = 600s})) == "200 Expires=600 | N d1#1 active;expires=600 P(*:open)");
  CHECK_FALSE(has(s.last(), "mood"));
  CHECK(s.publish("alice", {.raw = with_mood("sad"), .if_match = "e1"}) == "200 e2 Expires=3600");
  s.text = allowing(base + "<provide-mood>true</provide-mood>");
  CHECK(s.renew() == "N d1#2 active;expires=600 P(*:open)");
  CHECK(has(s.last(), "r:sad"));
  CHECK(s.renew().empty());
}

TEST_CASE("what is not shown leaves no trace: no declaration of its prefix, no comment beside it (SEC-LEAK-9, POL-TR-21)") {
  shown s{persons + "<provide-activities>true</provide-activities>"};
  s.publish("alice", {.raw = "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' "
                             "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' xmlns:secret='urn:example:secret' xmlns:s2='urn:s2' entity='sip:alice@example.com'>"
                             "<d:person id='p'><!-- about her mood --><r:activities><r:busy/></r:activities><secret:plan s2:level='9'>holiday</secret:plan>"
                             "<r:mood><r:sad/></r:mood></d:person></presence>"});
  s.subscribe("d1");
  const std::string seen = s.last();
  CHECK(has(seen, "<r:busy/>"));
  for (const char* part : {"secret", "s2", "plan", "mood"}) CHECK_FALSE(has(seen, part));
  s.text = allowing(persons + "<provide-unknown-attribute ns='urn:example:secret' name='plan'>true</provide-unknown-attribute>");
  s.subscribe("d1");
  const std::string now = s.last();
  CHECK(has(now, "<secret:plan s2:level='9'>holiday</secret:plan>"));
  CHECK(has(now, "xmlns:s2='urn:s2'"));
  CHECK_FALSE(has(now, "xmlns:r="));
}

TEST_CASE("a document with its children out of order is shown in parts, in order (PIDF-4.1.2-1, POL-TR-21)") {
  shown s{services + devices + "<provide-note>true</provide-note>"};
  s.publish("alice", {.raw = "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' xmlns:x='urn:example:x' "
                             "entity='sip:alice@example.com'><d:device id=' v '><d:note>n1</d:note><d:deviceID>mac:1</d:deviceID><x:a/></d:device>"
                             "<tuple id='t1'><timestamp>2026-01-01T00:00:00Z</timestamp><note>n2</note><contact>sip:a@b.example</contact><x:b/>"
                             "<status><x:c/><basic>open</basic></status></tuple></presence>"});
  s.subscribe("d1");
  const std::string seen = starred(s.last());
  CHECK(has(seen, " id=\"*\"><status><basic>open</basic></status><contact>sip:a@b.example</contact><note>n2</note>"
                  "<timestamp>2026-01-01T00:00:00Z</timestamp></tuple>"));
  CHECK(has(seen, "id=\"*\"><d:deviceID>urn:uuid:"));
  CHECK(has(seen, "</d:deviceID><d:note>n1</d:note></d:device>"));
  CHECK_FALSE(has(seen, "x:"));
}

TEST_CASE("a view shows what leaves and who published nothing as the whole does (V03, V05, SEC-LEAK-2)") {
  shown s{services, {.closes_leaving = true, .nothing = presence_options::unpublished::closed}};
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P(presentity:closed)");
  s.publish("alice", {.body = "t1:open"});
  CHECK(starred(s.publish("alice", {.if_match = "e1", .expires = 0s})) == "200 e2 Expires=0 | N d1#3 active;expires=600 P(*:closed)");
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#4 active;expires=600 P(presentity:closed)");
  s.text = allowing(persons);  // sees none of the tuples: the same as of somebody who published nothing
  s.publish("alice", {.body = "t1:open"});
  CHECK(s.subscribe("d2", {.by = "carol", .expires = 600s}) == "200 Expires=600 | N d2#1 active;expires=600 P(presentity:closed)");
}
