// What rules hide leaves no trace in what is shown: not in the bytes, not in ids, not in what is told (RFC 5025).
#include "view_scenario.hpp"

using namespace presence;
using namespace presence::test;

namespace {

struct row {
  const char* what;
  std::string granted, document;
  const char* kept;  ///< in what is seen
};

/// Everything that is to be hidden has SECRET in it.
void hides(const row& r) {
  CAPTURE(r.what);
  shown s{r.granted};
  const std::string seen = s.seen(presence_with(r.document));
  CAPTURE(seen);
  CHECK(has(seen, r.kept));
  for (const char* part : {"SECRET", "<!--", "&#"}) CHECK_FALSE(has(seen, part));
}

const std::string everything = "<provide-all-attributes/>";

}  // namespace

TEST_CASE("an element that everybody sees shows its word, and nothing written into it (POL-TR-18, POL-TR-21, SEC-LEAK-9)") {
  const std::string device = "<d:device id='v'><d:deviceID x:imei='SECRET'>urn:dev:SECRET<x:imei>SECRET</x:imei></d:deviceID></d:device>";
  for (const row& r : {
           row{"attributes and children in a service", services,
               "<tuple id='t' x:mood='SECRET'><status x:m='SECRET'><basic x:q='SECRET'>open</basic></status><contact x:c='SECRET' "
               "priority='0.5'>sip:a@b.c<x:y>SECRET</x:y></contact><timestamp x:z='SECRET'>2026-01-01T00:00:00Z<x:y>SECRET</x:y></timestamp></tuple>",
               "><status><basic>open</basic></status><contact priority='0.5'>sip:a@b.c</contact><timestamp>2026-01-01T00:00:00Z</timestamp></tuple>"},
           row{"a service's parts in a person", persons,
               "<d:person id='p'><status><basic>SECRET</basic></status><contact>sip:SECRET</contact><timestamp>SECRET</timestamp></d:person>", "></d:person>"},
           row{"a person's timestamp in a service", services, "<tuple id='t'><status/><d:timestamp>SECRET</d:timestamp></tuple>", "><status/></tuple>"},
           row{"in a device", devices, device, "</d:deviceID></d:device>"},
           row{"in a service's deviceID", services + "<provide-deviceID>true</provide-deviceID>",
               "<tuple id='t'><status/><d:deviceID x:imei='SECRET'>urn:dev:1<x:a>SECRET</x:a></d:deviceID></tuple>", ">urn:dev:1</d:deviceID>"},
       })
    hides(r);
  shown all{devices + everything};
  CHECK(has(all.seen(presence_with(device)), "<d:deviceID x:imei='SECRET'>urn:dev:SECRET<x:imei>SECRET</x:imei></d:deviceID>"));
  shown own{devices + "<provide-deviceID>true</provide-deviceID>"};
  CHECK(has(own.seen(presence_with(device)), "<d:deviceID>urn:dev:SECRET</d:deviceID>"));
}

TEST_CASE("user-input shows at each level what the level is for, and no child below full (POL-TR-15)") {
  const std::string input = "<d:person id='p'><r:user-input  x:a='SECRET' idle-threshold='600'\n last-input='2026-01-01T00:00:00Z'>idle"
                            "<x:why>SECRET</x:why><r:note>a note</r:note></r:user-input></d:person>";
  const auto at = [&](const std::string& level, const std::string& more = {}) {
    shown s{persons + "<provide-user-input>" + level + "</provide-user-input>" + more};
    return s.seen(presence_with(input));
  };
  CHECK_FALSE(has(at("false"), "user-input"));
  CHECK(has(at("bare"), "><r:user-input>idle</r:user-input></d:person>"));
  CHECK(has(at("thresholds"), "><r:user-input idle-threshold='600'>idle</r:user-input></d:person>"));
  CHECK(has(at("full"), "last-input='2026-01-01T00:00:00Z'>idle<x:why>SECRET</x:why></r:user-input>"));
  CHECK(has(at("full", "<provide-note>true</provide-note>"), "</x:why><r:note>a note</r:note></r:user-input>"));
}

TEST_CASE("notes deep inside of what is shown need their permission, and leave no trace without it (POL-TR-16, POL-TR-18, SEC-LEAK-9)") {
  const std::string place = persons + "<provide-place-is>true</provide-place-is>", activities = persons + "<provide-activities>true</provide-activities>";
  const auto person = [](const std::string& inside) { return "<d:person id='p'>" + inside + "</d:person>"; };
  for (const row& r : {
           row{"in a child", place, person("<r:place-is><r:audio><r:note>SECRET</r:note><r:noisy/></r:audio></r:place-is>"),
               "><r:place-is><r:audio><r:noisy/></r:audio></r:place-is></d:person>"},
           row{"in a grandchild of another namespace", activities, person("<r:activities><x:a><x:b>1<d:note>SECRET</d:note>2<x:c/></x:b></x:a></r:activities>"),
               "><r:activities><x:a><x:b>12<x:c/></x:b></x:a></r:activities></d:person>"},
           row{"with a declaration of its own", activities, person("<r:activities xmlns:n='urn:SECRET'><r:busy xmlns:m='urn:SECRET2'><r:note n:a='1' m:b='2'>SECRET</r:note></r:busy></r:activities>"),
               "><r:activities><r:busy></r:busy></r:activities></d:person>"},
           row{"declarations for nothing", activities, person("<r:activities xmlns:n='urn:SECRET'><r:busy xmlns='urn:SECRET'/><r:away/></r:activities>"),
               "><r:activities><r:busy/><r:away/></r:activities></d:person>"},
           row{"in what user-input holds", persons + "<provide-user-input>full</provide-user-input>",
               person("<r:user-input>idle<x:why><r:note>SECRET</r:note>1</x:why></r:user-input>"), "idle<x:why>1</x:why></r:user-input>"},
       })
    hides(r);
  const std::string deep = person("<r:activities xmlns:n='urn:n'><n:a xmlns:m='urn:m'><r:note>said <m:b/></r:note><n:c/></n:a></r:activities>");
  shown all{activities + "<provide-note>true</provide-note>"};
  CHECK(has(all.seen(presence_with(deep)), "><r:activities xmlns:n='urn:n'><n:a xmlns:m='urn:m'><r:note>said <m:b/></r:note><n:c/></n:a></r:activities></d:person>"));

  // what says the same is the same, with the hidden note or without; what says something else is not
  shown s{place};
  const auto with = [&](const std::string& inside) { return presence_with(person("<r:place-is> " + inside + "</r:place-is>")); };
  s.seen(with("<r:audio> <r:note>1</r:note> <r:noisy/></r:audio>"));
  CHECK(s.publish("alice", {.raw = with("<r:audio><r:note>2</r:note><r:noisy/></r:audio>"), .if_match = "e1"}) == "200 e2 Expires=3600");
  CHECK(s.publish("alice", {.raw = with("<r:audio><r:noisy/></r:audio>"), .if_match = "e2"}) == "200 e3 Expires=3600");
  CHECK(has(s.publish("alice", {.raw = with("<r:audio/><r:noisy/>"), .if_match = "e3"}), "N d1#2"));
  CHECK(has(s.publish("alice", {.raw = with("<r:audio><r:note>3</r:note></r:audio><r:noisy>4</r:noisy>"), .if_match = "e4"}), "N d1#3"));
  CHECK(has(s.publish("alice", {.raw = with("<r:audio><r:note>3</r:note></r:audio><r:noisy></r:noisy>4"), .if_match = "e5"}), "N d1#4"));
}

TEST_CASE("declarations, comments and references tell nothing of what is hidden (SEC-LEAK-9, PIDF-SER-1)") {
  const std::string unknown = "<provide-unknown-attribute ns='urn:example:x' name='a'>true</provide-unknown-attribute>";
  for (const row& r : {
           row{"declared on a component", persons, "<d:person id='p' xmlns:h='urn:SECRET'><h:x>1</h:x></d:person>", "></d:person>"},
           row{"a default namespace of a component", persons, "<d:person id='p' xmlns='urn:SECRET'><x>1</x></d:person>", "></d:person>"},
           row{"declared on a status", services, "<tuple id='t'><status xmlns:h='urn:SECRET'><basic>open</basic><h:x/></status></tuple>",
               "><status><basic>open</basic></status></tuple>"},
           row{"declared where a word is", services, "<tuple id='t'><status/><contact xmlns:h='urn:SECRET' h:a='1'>sip:h:x</contact></tuple>", "<contact>sip:h:x"},
           row{"comments in what is shown", services, "<tuple id='t'><status><basic>op<!-- SECRET -->en</basic></status><contact><!--SECRET--><?SECRET?>sip:a</contact></tuple>",
               "<basic>open</basic></status><contact>sip:a</contact>"},
           row{"a prefix that a comment cuts", services + unknown, "<tuple id='t'><status/><x:a>r<!-- SECRET -->:busy</x:a></tuple>", "<x:a>r:busy</x:a>"},
       })
    hides(r);
  // a reference anywhere once brought every declaration of the root
  shown s{services};
  const std::string seen = s.seen(presence_with("<tuple id='t'><status/></tuple><d:person id='p'><x:note>caf&#233;</x:note></d:person>"));
  CHECK_FALSE(has(seen, "xmlns:"));
  // what is shown takes along what it needs, from wherever that is declared
  shown needed{services + "<provide-unknown-attribute ns='urn:h' name='x'>true</provide-unknown-attribute>"};
  CHECK(has(needed.seen(presence_with("<tuple id='t' xmlns:h='urn:h' xmlns:g='urn:g'><status xmlns:h='urn:i' h:a='1'><h:x/></status><h:x>r:a</h:x></tuple>")),
            " xmlns:h='urn:h'><status></status><h:x>r:a</h:x></tuple>"));
  CHECK(has(needed.last(), "<tuple xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' id="));
  // more declarations than can be told apart are refused, whoever looks
  std::string many = "<d:person id='p'";
  for (int i = 0; i < 70; ++i) many += " xmlns:n" + std::to_string(i) + "='u'";
  CHECK(needed.publish("alice", {.raw = presence_with(many + "/>")}) == "400");
}

TEST_CASE("ids in a view are the same whatever is hidden, and stay (SEC-LEAK-9, CMP-3, POL-TR-22)") {
  const auto id_beside = [](const std::string& hidden) {
    shown s{services, {.id_secret = "the same for both"}};
    s.publish("alice", {.raw = presence_with("<d:person id='" + hidden + "'/>")});
    s.publish("alice", {.raw = presence_with("<tuple id='x'><status/></tuple>")});
    s.subscribe("d1");
    const std::string before = s.last();
    CHECK(has(before, "<tuple id="));
    CHECK(s.publish("alice", {.if_match = "e1", .expires = 0s}) == "200 e3 Expires=0");  // nothing to tell
    return before;
  };
  CHECK(id_beside("x") == id_beside("y"));

  shown s{services};
  s.publish("alice", {.body = "t1:open"});
  s.publish("alice", {.body = "t1:closed"});
  s.subscribe("d1");
  const std::string both = tuples_of(s.last());
  CHECK(starred(both) == "P(*:open,*:closed)");
  s.publish("alice", {.if_match = "e1", .expires = 0s});
  CHECK(tuples_of(s.last()) == "P(" + both.substr(both.find(',') + 1));
}

TEST_CASE("ids in a view can be led back to nothing without the secret, and outlive a restart with it (SEC-PKG-8, POL-TR-6)") {
  const auto seen = [](const char* secret) {
    shown s{services + devices, {.id_secret = secret}};
    return s.seen(presence_with("<tuple id='phone'><status/></tuple><d:device id='v'><d:deviceID>urn:dev:1</d:deviceID></d:device>"));
  };
  CHECK(seen("0123456789abcdef") == seen("0123456789abcdef"));
  CHECK(seen("0123456789abcdef") != seen("0123456789abcdeF"));
  CHECK(seen("") != seen(""));  // random
  for (const char* part : {"phone", "urn:dev:1", "'v'"}) CHECK_FALSE(has(seen(""), part));
}

TEST_CASE("what is hidden and changes is not told (PRS-6.7-2, SEC-LEAK-9)") {
  const std::string granted = services + persons + "<provide-user-input>bare</provide-user-input><provide-activities>true</provide-activities>";
  const auto document = [](const char* value) {
    const std::string v = value;
    return presence_with("<tuple id='t' x:a='" + v + "'><status x:a='" + v + "'><basic>open</basic></status><contact x:a='" + v + "'>sip:a@b.c<x:y>" + v +
                         "</x:y></contact></tuple><d:person id='p'><r:user-input last-input='" + v + "'>idle<x:w>" + v +
                         "</x:w></r:user-input><r:activities><r:note>" + v + "</r:note><r:busy/></r:activities><status>" + v + "</status></d:person>");
  };
  shown s{granted};
  s.seen(document("1"));
  CHECK(s.publish("alice", {.raw = document("2"), .if_match = "e1"}) == "200 e2 Expires=3600");
  CHECK(s.publish("alice", {.raw = presence_with("<tuple id='t'><status><basic>open</basic></status><contact>sip:a@b.c</contact></tuple><d:person id='p'>"
                                                  "<r:user-input>idle</r:user-input><r:activities><r:busy/></r:activities></d:person>"),
                            .if_match = "e2"}) == "200 e3 Expires=3600");
}

TEST_CASE("a permission that says false is none (POL-TR-18, Z16, Z17)") {
  const std::string document = presence_with("<tuple id='t'><status/><note>SECRET</note></tuple><d:person id='p'/><d:device id='v'><d:deviceID>u</d:deviceID></d:device>");
  for (const char* no : {"false", "0", " false ", "no", "TRUE"}) {
    const std::string said = no;
    shown s{services + "<provide-all-attributes>" + said + "</provide-all-attributes><provide-note>" + said + "</provide-note>"};
    CHECK_FALSE(has(s.seen(document), "SECRET"));
    for (const char* kind : {"services", "persons", "devices"}) {
      shown none{std::string{"<provide-"} + kind + "><all-" + kind + ">" + said + "</all-" + kind + "></provide-" + kind + ">"};
      CHECK_FALSE(has(none.seen(document), " id="));
    }
  }
  for (const char* yes : {"", "true", " 1 "}) {
    shown s{services + "<provide-all-attributes>" + yes + "</provide-all-attributes>"};
    CHECK(has(s.seen(document), "SECRET"));
  }
}

TEST_CASE("transformations that cannot be applied show nothing, not everything (POL-TR-27)") {
  for (const bool lenient : {false, true}) {
    shown s{"<x:blur xmlns:x='urn:example:x'/>", {}, {.lenient = lenient}};
    CHECK(has(s.seen(presence_with("<tuple id='t'><status/></tuple>")), "></presence>"));
    CHECK_FALSE(has(s.last(), "<tuple"));
  }
}
