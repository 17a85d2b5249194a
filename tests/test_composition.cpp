// How several publications of presence make one document: the policies (features V03-V05).
#include <presence/packages.hpp>

#include "view_scenario.hpp"

using namespace presence;
using namespace presence::test;

TEST_CASE("of several publications the newest, or the most available one, may count alone (V04, CMP-9)") {
  const auto with = [](presence_options how) {
    auto s = std::make_unique<scenario>();
    s->engine = std::make_unique<presence::engine>(s->given.settings, host_hooks{}, nullptr, s->random.get());
    REQUIRE(s->engine->add_event(presence_package(how), s->at));
    return s;
  };
  auto newest = with({.several = presence_options::composing::newest});
  newest->subscribe("d1", {.expires = 600s});
  newest->publish("alice", {.body = "t1:open"});
  CHECK(newest->publish("alice", {.body = "t2:closed"}) == "200 e2 Expires=3600 | N d1#3 active;expires=600 P(t2:closed)");
  CHECK(newest->publish("alice", {.if_match = "e2", .expires = 0s}) == "200 e3 Expires=0 | N d1#4 active;expires=600 P(t1:open)");
  newest->publish("alice", {.body = "t2:closed"});
  CHECK(newest->publish("alice", {.body = "t3:open", .if_match = "e1"}) == "200 e5 Expires=3600 | N d1#6 active;expires=600 P(t3:open)");

  auto available = with({.several = presence_options::composing::most_available});
  available->subscribe("d1", {.expires = 600s});
  available->publish("alice", {.body = "t1:open"});
  CHECK(available->publish("alice", {.body = "t2:closed"}) == "200 e2 Expires=3600");
  CHECK(available->publish("alice", {.body = "t3:closed,t4:open"}) == "200 e3 Expires=3600 | N d1#3 active;expires=600 P(t3:closed,t4:open)");
  CHECK(available->publish("alice", {.body = "t4:closed", .if_match = "e3"}) == "200 e4 Expires=3600 | N d1#4 active;expires=600 P(t1:open)");
}

TEST_CASE("of several publications the one with the most important word may count alone (V04)") {
  scenario s;
  s.engine = std::make_unique<presence::engine>(s.given.settings, host_hooks{}, nullptr, s.random.get());
  REQUIRE(s.engine->add_event(
      presence_package({.several = presence_options::composing::by_word, .words = {"On the phone", "busy", "Available"}}), s.at));
  const auto saying = [](const char* id, const std::string& inside) {
    return "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' "
           "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:alice@example.com'><tuple id=\"" + std::string{id} +
           "\"><status><basic>open</basic></status></tuple>" + inside + "</presence>";
  };
  s.subscribe("d1", {.expires = 600s});
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600 | N d1#2 active;expires=600 P(t1:open)");  // no word
  CHECK(s.publish("alice", {.raw = saying("t2", "<note> available </note>")}) == "200 e2 Expires=3600 | N d1#3 active;expires=600 P(t2:open)");
  CHECK(s.publish("alice", {.raw = saying("t3", "<d:person id='p'><r:activities><r:note>x</r:note><r:busy/></r:activities></d:person>")}) ==
        "200 e3 Expires=3600 | N d1#4 active;expires=600 P(t3:open)");
  CHECK(s.publish("alice", {.raw = saying("t4", "<note>Available</note>")}) == "200 e4 Expires=3600");
  CHECK(s.publish("alice", {.raw = saying("t5", "<note>Available</note><note>ON THE PHONE</note>")}) ==
        "200 e5 Expires=3600 | N d1#5 active;expires=600 P(t5:open)");
  CHECK(s.publish("alice", {.if_match = "e5", .expires = 0s}) == "200 e6 Expires=0 | N d1#6 active;expires=600 P(t3:open)");
  CHECK(s.publish("alice", {.if_match = "e3", .expires = 0s}) == "200 e7 Expires=0 | N d1#7 active;expires=600 P(t4:open)");  // the newer of two
}

TEST_CASE("the one document that counts is chosen among what a view shows (V04, SEC-LEAK-9)") {
  using composing = presence_options::composing;
  const std::string busy = "<provide-activities>true</provide-activities>", notes = "<provide-note>true</provide-note>";
  const auto tuple = [](const char* contact, const char* basic, const std::string& inside = {}) {
    return "<tuple id='t'><status><basic>" + std::string{basic} + "</basic></status><contact>" + contact + "</contact>" + inside + "</tuple>";
  };
  const auto person = [](const char* inside) { return "<d:person id='p'>" + std::string{inside} + "</d:person>"; };
  const std::string sip = "<provide-services><service-uri-scheme>sip</service-uri-scheme></provide-services>";
  const std::string is_busy = person("<r:activities><r:busy/></r:activities>");
  struct row {
    const char* what;
    composing several;
    std::string granted;
    std::vector<std::string> published;
    const char* kept;  ///< in what is seen, and none of the others'
  };
  const std::vector<row> rows{
      {"the newest is hidden", composing::newest, sip, {tuple("sip:1", "open"), tuple("tel:2", "closed")}, "sip:1"},
      {"the newest has nothing but a hidden note", composing::newest, sip, {tuple("sip:1", "open"), "<note>2</note>"}, "sip:1"},
      {"only the newest can be seen", composing::newest, persons, {tuple("sip:1", "open"), is_busy}, "<d:person"},
      {"the open tuple is hidden", composing::most_available, sip, {tuple("sip:1", "closed"), tuple("tel:2", "open")}, "sip:1"},
      {"the older has the open tuple that is seen", composing::most_available, sip, {tuple("sip:1", "open"), tuple("sip:2", "closed")}, "sip:1"},
      {"the newest of equal ones", composing::most_available, sip, {tuple("sip:1", "open"), tuple("sip:2", "open"), tuple("tel:3", "open")}, "sip:2"},
      {"the word is in a hidden person", composing::by_word, sip + busy, {is_busy, tuple("sip:1", "open")}, "sip:1"},
      {"the word is an activity that is hidden", composing::by_word, sip + persons, {is_busy, tuple("sip:1", "open")}, "sip:1"},
      {"the word is an activity that is seen", composing::by_word, sip + persons + busy, {is_busy, tuple("sip:1", "open")}, "<d:person"},
      {"the word is a note that is hidden", composing::by_word, sip, {tuple("sip:1", "open", "<note>busy</note>"), tuple("sip:2", "open")}, "sip:2"},
      {"the word is a note that is seen", composing::by_word, sip + notes, {tuple("sip:1", "open", "<note>busy</note>"), tuple("sip:2", "open")}, "sip:1"},
      {"the word is a note beside the components", composing::by_word, sip + notes, {"<note>Busy</note>" + tuple("sip:1", "open"), tuple("sip:2", "open")}, "sip:1"},
      {"the word is a note in what is seen", composing::by_word, sip + persons + busy, {person("<r:activities><r:note>busy</r:note><r:away/></r:activities>"), tuple("sip:2", "open")}, "sip:2"},
      {"the more important word is hidden", composing::by_word, sip + notes, {tuple("sip:1", "open", "<note>busy</note>"), tuple("tel:2", "open", "<note>phone</note>")}, "sip:1"},
  };
  for (const row& r : rows) {
    CAPTURE(r.what);
    shown s{r.granted, {.several = r.several, .words = {"phone", "busy"}}};
    for (const std::string& one : r.published) s.publish("alice", {.raw = presence_with(one)});
    s.subscribe("d1", {.expires = 600s});
    const std::string seen = s.last();
    CAPTURE(seen);
    CHECK(has(seen, r.kept));
    for (const char* other : {"sip:1", "sip:2", "tel:2", "tel:3", "<d:person"})
      if (std::string_view{other} != r.kept) CHECK_FALSE(has(seen, other));
  }
}

TEST_CASE("a publication that a view hides comes, changes and goes without a trace, whatever counts (V04, SEC-LEAK-9, PROP-8)") {
  using composing = presence_options::composing;
  const auto hidden = [](const char* mood) {
    return presence_with("<tuple id='t1'><status><basic>open</basic></status><note>busy</note></tuple><note>busy</note>"
                         "<d:person id='p1'><r:activities><r:busy/></r:activities><r:mood><r:" + std::string{mood} + "/></r:mood></d:person>");
  };
  for (const composing several : {composing::merge, composing::newest, composing::most_available, composing::by_word})
    for (const bool closes : {false, true}) {
      CAPTURE(static_cast<int>(several));
      shown s{devices, {.several = several, .words = {"busy"}, .closes_leaving = closes, .id_secret = "the same in every run"}};
      s.publish("alice", {.raw = presence_with("<d:device id='t1'><d:deviceID>urn:dev:1</d:deviceID></d:device>")});
      CHECK(s.subscribe("d1", {.expires = 3000s}).starts_with("200"));
      const std::string before = s.last();
      CHECK(has(before, "<d:device"));
      CHECK(s.publish("alice", {.raw = hidden("happy"), .expires = 60s}) == "200 e2 Expires=60");
      CHECK(s.publish("alice", {.raw = hidden("sad"), .if_match = "e2", .expires = 60s}) == "200 e3 Expires=60");
      CHECK(s.publish("alice", {.raw = hidden("sad"), .expires = 600s}) == "200 e4 Expires=600");
      CHECK(s.wait(60s).empty());
      CHECK(s.publish("alice", {.if_match = "e4", .expires = 0s}) == "200 e5 Expires=0");
      s.subscribe("d1", {.expires = 600s});
      CHECK(s.last() == before);
    }
}

TEST_CASE("of what leaves only a document that was seen is told closed (V03, V04, SEC-LEAK-9)") {
  shown s{"<provide-services><service-uri-scheme>sip</service-uri-scheme></provide-services>",
          {.several = presence_options::composing::newest, .closes_leaving = true, .id_secret = "the same in every run"}};
  const auto tuple = [](const char* contact) {
    return presence_with("<tuple id='t'><status><basic>open</basic></status><contact>" + std::string{contact} + "</contact></tuple>");
  };
  s.publish("alice", {.raw = tuple("sip:1")});
  s.publish("alice", {.raw = tuple("tel:2"), .expires = 60s});
  s.subscribe("d1", {.expires = 3000s});
  CHECK(has(s.last(), "sip:1"));
  CHECK(s.wait(60s).empty());  // it was the newest, and not the one shown
  CHECK(starred(s.publish("alice", {.if_match = "e1", .expires = 0s})) == "200 e3 Expires=0 | N d1#2 active;expires=2940 P(*:closed)");
}

TEST_CASE("a sphere is the presentity's, whichever document is shown to watchers (V04, POL-5025-sphere-1)") {
  const auto at = [](const char* where) { return presence_with("<d:person id='p'><r:sphere>" + std::string{where} + "</r:sphere></d:person>"); };
  for (const auto several : {presence_options::composing::merge, presence_options::composing::newest}) {
    scenario s;
    s.engine = std::make_unique<presence::engine>(s.given.settings, host_hooks{}, nullptr, s.random.get());
    REQUIRE(s.engine->add_event(presence_package({.several = several}), s.at));
    s.publish("alice", {.raw = at("work")});
    CHECK(s.engine->get_sphere(address("alice"), s.at) == "work");
    s.publish("alice", {.raw = at("home")});
    CHECK_FALSE(s.engine->get_sphere(address("alice"), s.at));
  }
}

TEST_CASE("what leaves may be told once more, closed (V03, D2-18)") {
  scenario s;
  s.engine = std::make_unique<presence::engine>(s.given.settings, host_hooks{}, nullptr, s.random.get());
  REQUIRE(s.engine->add_event(presence_package({.closes_leaving = true}), s.at));
  s.publish("alice", {.body = "t1:open,t2:open"});
  s.publish("alice", {.body = "t3:open", .expires = 60s});
  s.subscribe("d1", {.expires = 600s});
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 0s}) ==
        "200 e3 Expires=0 | N d1#2 active;expires=600 P(t1:closed,t2:closed,t3:open)");
  CHECK(s.wait(60s) == "N d1#3 active;expires=540 P(t3:closed)");
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#4 active;expires=600 P()");
}

TEST_CASE("nothing published may be told as a closed or an open tuple (V05)") {
  using nothing = presence_options::unpublished;
  for (const nothing how : {nothing::closed, nothing::open}) {
    scenario s;
    s.engine = std::make_unique<presence::engine>(s.given.settings, host_hooks{}, nullptr, s.random.get());
    REQUIRE(s.engine->add_event(presence_package({.nothing = how}), s.at));
    const std::string state = how == nothing::open ? "open" : "closed";
    CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P(presentity:" + state + ")");
    s.publish("alice", {.body = "t1:open"});
    CHECK(s.publish("alice", {.if_match = "e1", .expires = 0s}) == "200 e2 Expires=0 | N d1#3 active;expires=600 P(presentity:" + state + ")");
  }
}

TEST_CASE("hard state never lapses, is older than all that is published, and no PUBLISH touches it (P35, Z07, CMP-11, D2-16, PUB-HARD-1)") {
  scenario s;
  const auto set = [&](const char* name, const std::string& document, const char* event = "presence", const char* type = "application/pidf+xml") {
    return s.told(s.engine->set_hard_state(address("alice"), event, name, {.type = type, .bytes = document}, s.at));
  };
  s.subscribe("d1", {.expires = 86400s});
  CHECK(set("index", pidf("h1:closed")) == "200 | N d1#2 active;expires=3600 P(h1:closed)");
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 60s}) == "200 e1 Expires=60 | N d1#3 active;expires=3600 P(h1:closed,t1:open)");
  CHECK(set("index", pidf("h1:open")) == "200 | N d1#4 active;expires=3600 P(h1:open,t1:open)");
  CHECK(set("index", pidf("h1:open")) == "200");
  for (const expires_value expires : {expires_value{}, expires_value{0s}}) {
    CHECK(s.publish("alice", {.body = "t2:open", .if_match = "index", .expires = expires}) == "412");
    CHECK(s.publish("alice", {.if_match = "index", .expires = expires}) == "412");
  }
  CHECK(s.wait(60s) == "N d1#5 active;expires=3540 P(h1:open)");
  s.wait(3540s);
  if (s.given.rows == nullptr) CHECK_FALSE(s.engine->next_deadline());
  s.at += 1'000'000s;
  s.wait(0s);
  s.subscribe("d2", {.expires = 60s});
  CHECK(s.engine->contains_presence(address("alice"), s.at));
  s.audit();
  CHECK(set("other", pidf("h2:open")) == "200 | N d2#2 active;expires=60 P(h1:open,h2:open)");
  CHECK(set("index", "") == "200 | N d2#3 active;expires=60 P(h2:open)");
  CHECK(set("index", "") == "200");
  CHECK(set("other", "") == "200 | N d2#4 active;expires=60 P()");
  s.audit();

  CHECK(set("a,b", pidf("h:open")) == "400");
  CHECK(set("", pidf("h:open")) == "400");
  CHECK(set("index", "<presence>") == "400");
  CHECK(set("index", "x", "presence", "text/plain") == "415 Accept=application/pidf+xml");
  CHECK(set("index", pidf("h:open"), "nothing") == "489 Allow-Events=presence, message-summary");
}

TEST_CASE("hard state is the state only while nothing else is, where one document counts (P33, P35, V04)") {
  scenario s;
  s.engine = std::make_unique<presence::engine>(s.given.settings, host_hooks{}, nullptr, s.random.get());
  REQUIRE(s.engine->add_event(presence_package({.several = presence_options::composing::newest}), s.at));
  s.subscribe("d1", {.expires = 600s});
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  CHECK(s.told(s.engine->set_hard_state(address("alice"), "presence", "index", {.type = "application/pidf+xml", .bytes = pidf("h1:closed")}, s.at)) == "200");
  CHECK(s.wait(60s) == "N d1#3 active;expires=540 P(h1:closed)");
}

TEST_CASE("what leaves does not take an equal note of another with it (CMP-8, CMP-10, V03)") {
  scenario s;
  s.engine = std::make_unique<presence::engine>(s.given.settings, host_hooks{}, nullptr, s.random.get());
  REQUIRE(s.engine->add_event(presence_package({.closes_leaving = true}), s.at));
  const auto with_note = [](const char* tuple) {
    return "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:alice@example.com'><tuple id='" + std::string{tuple} +
           "'><status><basic>open</basic></status></tuple><note>gone fishing</note></presence>";
  };
  s.publish("alice", {.raw = with_note("a")});
  s.publish("alice", {.raw = with_note("b")});
  s.subscribe("d1", {.expires = 600s});
  s.publish("alice", {.if_match = "e1", .expires = 0s});
  const std::string told = s.dialogs["d1"].notifies.back().body_bytes();
  CHECK(told.find("<basic>closed</basic>") != std::string::npos);
  CHECK(told.find("<note>gone fishing</note>") != std::string::npos);
}

TEST_CASE("a document that repeats its declarations too often is refused, so that the composed one is bounded (SEC-DOS-4)") {
  const auto tuples = [](std::size_t declared, int count) {
    std::string document = "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:a='urn:" + std::string(declared, 'a') + "' entity='sip:alice@example.com' by='hand'>";
    for (int i = 0; i < count; ++i) document += "<tuple id='t" + std::to_string(i) + "'><status/><a:x/></tuple>";
    return document + "</presence>";
  };
  scenario s;
  CHECK(s.publish("alice", {.raw = tuples(30'000, 600)}) == "400");
  const std::string document = tuples(300, 200);
  CHECK(s.publish("alice", {.raw = document}) == "200 e1 Expires=3600");
  s.subscribe("d1", {.expires = 600s});
  const std::size_t composed = s.dialogs["d1"].notifies.back().content.bytes().size();
  CHECK(composed > document.size() + 200 * 300);
  CHECK(composed <= document.size() + limits{}.body_bytes);
}
