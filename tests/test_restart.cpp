// An engine ends, with or without flush(), and another takes over its storage (T12, T13, T14, L05).
#include "scenario.hpp"

#include <algorithm>

#include <presence/memory_storage.hpp>

#include "lamp.hpp"
#include "places.hpp"

using namespace presence;
using namespace presence::test;

namespace {

/// An engine that is told to end cleanly before the next one begins.
void end_cleanly(scenario& s) {
  REQUIRE(s.engine->flush(s.now()));
  s.restart();
}

std::uint32_t last_cseq(const scenario& s, const std::string& dialog) { return s.dialogs.at(dialog).notifies.back().cseq; }

/// Each document tells its version; the body is the newest one.
event_package versioned(std::string name = "versioned") {
  event_package package = opaque_package(std::move(name), {"text/plain"});
  package.neutral = [](std::string_view) { return body{"text/plain", "none"}; };
  package.tailor = [](const body& state, const watcher_view& view) {
    return std::optional{body{"text/plain", std::to_string(view.version) + " " + std::string{state.bytes()}}};
  };
  return package;
}

}  // namespace

TEST_CASE_TEMPLATE("publications answer their tags after a restart, and only the newest one (T12, PROP-9)", Place, EVERY_STORAGE) {
  Place place;
  scenario s{{.rows = &place.rows()}};
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 600s}) == "200 e1 Expires=600");
  CHECK(s.publish("alice", {.body = "t2:closed", .expires = 900s}) == "200 e2 Expires=900");
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 700s}) == "200 e3 Expires=700");
  SUBCASE("after flush()") { end_cleanly(s); }
  SUBCASE("after a crash") { s.restart(); }
  s.wait(10s);
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 700s}) == "412");
  CHECK(s.publish("alice", {.if_match = "e3", .expires = 500s}) == "200 e4 Expires=500");
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P(t1:open,t2:closed)");
  CHECK(s.publish("alice", {.body = "t2:open", .if_match = "e2"}) ==
        "200 e5 Expires=3600 | N d1#2 active;expires=600 P(t1:open,t2:open)");
  CHECK(s.publish("alice", {.if_match = "e4", .expires = 0s}) == "200 e6 Expires=0 | N d1#3 active;expires=600 P(t2:open)");
}

TEST_CASE_TEMPLATE("hard state is there after a restart, whatever the time, and can be replaced and removed (P35, T12, D2-16)", Place, EVERY_STORAGE) {
  Place place;
  scenario s{{.rows = &place.rows()}};
  const auto set = [&](const std::string& document) {
    return s.told(s.engine->set_hard_state(address("alice"), "presence", "index", {.type = "application/pidf+xml", .bytes = document}, s.at));
  };
  CHECK(set(pidf("h1:open")) == "200");
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.restart();
  s.wait(1'000'000s);
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P(h1:open)");
  CHECK(set(pidf("h1:closed")) == "200 | N d1#2 active;expires=600 P(h1:closed)");
  s.restart();
  s.audit();
  CHECK(set("") == "200 | N d1#3 active;expires=600 P()");
  s.restart();
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#4 active;expires=600 P()");
}

TEST_CASE_TEMPLATE("binary documents survive a restart byte by byte (P50, T22)", Place, EVERY_STORAGE) {
  Place place;
  scenario s{{.rows = &place.rows()}};
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  s.publish("alice", {.raw = bytes, .type = "application/simple-message-summary", .event = "message-summary"});
  s.restart();
  CHECK(s.engine->current_state("sip:alice@example.com", "message-summary", s.now()).bytes() == bytes);
  CHECK(s.subscribe("d1", {.event = "message-summary"}) == "200 Expires=3600 | N d1#1 active;expires=3600 [" + bytes + "]");
}

TEST_CASE_TEMPLATE("a dialog goes on with its next CSeq after flush(), and above it after a crash (N09, T13)", Place, EVERY_STORAGE) {
  Place place;
  scenario s{{.rows = &place.rows()}};
  s.subscribe("d1", {.expires = 3600s, .record_route = "<sip:p1.example.com;lr>, <sip:p2.example.com;lr>"});
  for (int i = 0; i < 5; ++i) s.publish("alice", {.body = "t" + std::to_string(i) + ":open"});
  REQUIRE(last_cseq(s, "d1") == 6);

  SUBCASE("after flush()") {
    for (std::uint32_t round = 0; round < 3; ++round) {
      end_cleanly(s);
      s.publish("alice", {.body = "x" + std::to_string(round) + ":open"});
      CHECK(last_cseq(s, "d1") == 7 + round);
    }
  }
  SUBCASE("after a crash") {
    for (int round = 0; round < 3; ++round) {
      const std::uint32_t before = last_cseq(s, "d1");
      s.restart();
      s.publish("alice", {.body = "x" + std::to_string(round) + ":open"});
      CHECK(last_cseq(s, "d1") > before);
      CHECK(last_cseq(s, "d1") <= before + s.given.settings.cseq_block);
    }
  }
  SUBCASE("after more NOTIFYs than one block of numbers") {
    for (int i = 0; i < 200; ++i) s.publish("alice", {.body = "t:" + std::string{i % 2 == 0 ? "open" : "closed"}, .if_match = i == 0 ? "" : "e" + std::to_string(5 + i)});
    const std::uint32_t before = last_cseq(s, "d1");
    s.restart();
    s.publish("alice", {.body = "y:open"});
    CHECK(last_cseq(s, "d1") > before);
  }
  // the dialog's other parts came back as they were
  const notify& last = s.dialogs.at("d1").notifies.back();
  const notify& first = s.dialogs.at("d1").notifies.front();
  CHECK(last.dialog == first.dialog);
  CHECK(last.dialog.route_set() == "<sip:p1.example.com;lr>, <sip:p2.example.com;lr>");
  CHECK(s.subscribe("d1", {.expires = 100s}).starts_with("200 Expires=100 | N d1#"));
  CHECK(s.subscribe("d1", {.cseq = 2}) == "500");  // the watcher's numbers are remembered too
}

TEST_CASE_TEMPLATE("a refresh before the crash is remembered: target, expiry, CSeq (T13, S08)", Place, EVERY_STORAGE) {
  Place place;
  scenario s{{.rows = &place.rows()}};
  s.subscribe("d1", {.expires = 100s});
  s.wait(50s);
  s.subscribe("d1", {.expires = 300s, .contact = "sip:bob@elsewhere.example.com", .cseq = 9});
  s.restart();
  s.wait(10s);
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 600s}) == "200 e1 Expires=600 | N d1#3 active;expires=290 P(t1:open)");
  CHECK(s.dialogs.at("d1").notifies.back().dialog.remote_target() == "sip:bob@elsewhere.example.com");
  CHECK(s.subscribe("d1", {.expires = 300s, .cseq = 9}) == "500");
  CHECK(s.subscribe("d1", {.expires = 0s, .cseq = 10}) == "200 Expires=0 | N d1#4 terminated;reason=timeout P(t1:open)");
  s.restart();
  CHECK(s.subscribe("d1", {.expires = 300s, .cseq = 11}) == "481");
}

TEST_CASE_TEMPLATE("document versions go on after flush() and never repeat after a crash (PROP-3, N22, T13)", Place, EVERY_STORAGE) {
  Place place;
  scenario s{{.rows = &place.rows(), .packages = {versioned()}}};
  const auto version_of = [&] { return std::stoul(std::string{s.dialogs.at("d1").notifies.back().content.bytes()}); };
  const auto change = [&](int i) {
    s.publish("alice", {.raw = "doc" + std::to_string(i), .type = "text/plain", .event = "versioned"});
  };
  s.subscribe("d1", {.expires = 3600s, .event = "versioned"});
  CHECK(version_of() == 0);
  int next = 0;
  for (int i = 0; i < 7; ++i) change(next++);
  CHECK(version_of() == 7);
  SUBCASE("after flush()") {
    end_cleanly(s);
    change(next++);
    CHECK(version_of() == 8);
  }
  SUBCASE("after a crash, again and again") {
    for (int round = 0; round < 4; ++round) {
      const auto before = version_of();
      s.restart();
      change(next++);
      CHECK(version_of() > before);
      change(next++);
      CHECK(version_of() > before + 1);
    }
  }
  SUBCASE("a crash right after a refresh, at every distance from the end of the block") {
    s.given.settings.cseq_block = 4;
    s.restart();
    for (int between = 0; between < 10; ++between) {
      for (int i = 0; i < between; ++i) change(next++ % 20);
      s.subscribe("d1", {.expires = 3600s, .event = "versioned"});
      const auto before = version_of();
      const auto cseq = last_cseq(s, "d1");
      s.restart();
      s.subscribe("d1", {.expires = 3600s, .event = "versioned"});
      CHECK(version_of() > before);
      CHECK(last_cseq(s, "d1") > cseq);
    }
  }
}

TEST_CASE_TEMPLATE("versions are exact after flush() also where NOTIFYs carried no document (PROP-3, T13)", Place, EVERY_STORAGE) {
  Place place;
  event_package package = versioned();
  package.neutral = {};  // nothing published: no body
  options settings;
  settings.cseq_block = 1;
  scenario s{{.settings = settings, .rows = &place.rows(), .packages = {package}}};
  s.subscribe("d1", {.expires = 3600s, .event = "versioned"});
  s.subscribe("d1", {.expires = 3600s, .event = "versioned"});
  end_cleanly(s);
  CHECK(s.publish("alice", {.raw = "a", .type = "text/plain", .event = "versioned"}) ==
        "200 e1 Expires=3600 | N d1#3 active;expires=3600 [0 a]");
}

TEST_CASE_TEMPLATE("what lapsed while nobody ran ends with its NOTIFY, once (T12, M04, PUB-EXP-1)", Place, EVERY_STORAGE) {
  Place place;
  scenario s{{.rows = &place.rows()}};
  s.publish("alice", {.body = "t1:open", .expires = 100s});
  s.publish("alice", {.body = "t2:open", .expires = 1000s});
  s.subscribe("d1", {.by = "bob", .expires = 600s});
  s.subscribe("d2", {.by = "carol", .expires = 90s});
  const std::uint32_t before = last_cseq(s, "d2");
  s.at += 200s;  // nobody is there
  s.restart();
  const std::string told = s.wait(0s);
  INFO(told);
  CHECK(told.find("N d1#2 active;expires=400 P(t2:open)") != std::string::npos);
  CHECK(told.find("N d2#2 terminated;reason=timeout") != std::string::npos);
  CHECK(std::count(told.begin(), told.end(), 'N') == 2);
  CHECK(last_cseq(s, "d2") > before);
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 60s}) == "412");
  CHECK(s.subscribe("d2", {.by = "carol", .expires = 90s}) == "481");
  s.restart();
  CHECK(s.wait(0s) == "");
  CHECK(s.wait(2000s) == "N d1#3 terminated;reason=timeout");
  CHECK(s.engine->stats().resources == 0);
}

TEST_CASE_TEMPLATE("lapsed state is not shown after a restart, even before advance() (M03, T12)", Place, EVERY_STORAGE) {
  Place place;
  scenario s{{.rows = &place.rows()}};
  s.publish("alice", {.body = "t1:open", .expires = 100s});
  s.at += 100s;
  s.restart();
  CHECK(tuples_of(s.engine->current_state("sip:alice@example.com", "presence", s.now()).bytes()) == "P()");
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P()");
}

TEST_CASE_TEMPLATE("pending and politely blocked watchers stay what they are (T14, SEC-LEAK-1, D2-17)", Place, EVERY_STORAGE) {
  Place place;
  scenario s{{.rows = &place.rows(), .authorized = true}};
  s.policy["bob"] = sub_handling::confirm;
  s.policy["carol"] = sub_handling::polite_block;
  s.publish("alice", {.body = "t1:open"});
  CHECK(s.subscribe("d1", {.by = "bob", .expires = 600s}) == "200 Expires=600 | N d1#1 pending;expires=600");
  CHECK(s.subscribe("d2", {.by = "carol", .expires = 600s}) == "200 Expires=600 | N d2#1 active;expires=600 P()");
  s.restart();
  CHECK(s.engine->stats().undecided == 1);
  CHECK(s.publish("alice", {.body = "t2:open"}) == "200 e2 Expires=3600");  // neither hears of it
  CHECK(s.decide("carol", sub_handling::allow) == "N d2#2 active;expires=600 P(t1:open,t2:open)");
  s.restart();
  CHECK(s.decide("bob", sub_handling::allow) == "N d1#2 active;expires=600 P(t1:open,t2:open)");
  CHECK(s.engine->stats().undecided == 0);
  s.restart();
  CHECK(s.engine->stats().undecided == 0);
  CHECK(s.publish("alice", {.body = "t2:closed", .if_match = "e2"}) ==
        "200 e3 Expires=3600 | N d1#3 active;expires=600 P(t1:open,t2:closed) | N d2#3 active;expires=600 P(t1:open,t2:closed)");
}

TEST_CASE_TEMPLATE("who waits for a decision still waits after a restart, and not for ever (T14, M10, WIN-FSM-6)", Place, EVERY_STORAGE) {
  for (const bool lapsed_alone : {false, true}) {
    for (const bool decided : {false, true}) {
      CAPTURE(lapsed_alone);
      CAPTURE(decided);
      Place place;
      options settings;
      settings.waiting_limit = 1000s;
      scenario s{{.settings = settings, .rows = &place.rows(), .authorized = true}};
      s.policy["bob"] = sub_handling::confirm;
      CHECK(s.subscribe("d1", {.by = "bob", .expires = 60s}) == "200 Expires=60 | N d1#1 pending;expires=60");
      const auto bob = [&] { return s.engine->auth_status("sip:bob@example.com", "sip:alice@example.com", s.now()); };
      CHECK(bob() == auth_code::pending);
      if (lapsed_alone) {  // while nobody ran
        s.at += 60s;
        s.restart();
        CHECK(s.wait(0s) == "N d1#2 terminated;reason=timeout");
      } else {
        CHECK(s.wait(60s) == "N d1#2 terminated;reason=timeout");
        s.restart();
      }
      CHECK(bob() == auth_code::waiting);
      CHECK(s.engine->stats().undecided == 1);
      CHECK((decided ? s.decide("bob", sub_handling::block) : s.wait(1100s)) == "");
      CHECK(s.engine->stats().undecided == 0);
      CHECK(s.engine->stats().resources == 0);
      s.restart();
      CHECK(s.engine->stats().undecided == 0);
    }
  }
}

TEST_CASE_TEMPLATE("the usages of a dialog go on together, with one row of numbers (S07, S19, TV-37, T13)", Place, EVERY_STORAGE) {
  Place place;
  scenario s{{.rows = &place.rows()}};
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=1"});
  s.subscribe("d1", {.expires = 700s, .event = "presence;id=2"});
  s.subscribe("d1", {.expires = 800s, .event = "message-summary"});
  std::uint32_t cseq = last_cseq(s, "d1");
  CHECK(cseq == 3);
  const bool clean = [&] {
    bool flushed = false;
    SUBCASE("after flush()") { flushed = true; }
    SUBCASE("after a crash") { flushed = false; }
    return flushed;
  }();
  const auto again = [&] {
    if (clean) end_cleanly(s);
    else s.restart();
  };
  again();
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 3600s}) ==
        "200 e1 Expires=3600 | N d1#4;id=1 active;expires=600 P(t1:open) | N d1#5;id=2 active;expires=700 P(t1:open)");
  CHECK(s.dialogs.at("d1").notifies[3].cseq > cseq);
  CHECK(s.dialogs.at("d1").notifies[4].cseq == s.dialogs.at("d1").notifies[3].cseq + 1);
  CHECK(s.wait(600s) == "N d1#6;id=1 terminated;reason=timeout");
  again();
  CHECK(s.subscribe("d1", {.expires = 100s, .event = "presence;id=1", .cseq = 2}) == "500");
  CHECK(s.subscribe("d1", {.expires = 100s, .event = "presence;id=2", .cseq = 9}).find("id=2 active;expires=100") != std::string::npos);
  const auto& all = s.dialogs.at("d1").notifies;
  for (std::size_t i = 1; i < all.size(); ++i) CHECK(all[i].cseq > all[i - 1].cseq);
}

TEST_CASE_TEMPLATE("a dialog's numbers go on above those of a usage that has ended (N09, PROP-2, T13)", Place, EVERY_STORAGE) {
  Place place;
  options settings;
  settings.cseq_block = 4;
  scenario s{{.settings = settings, .rows = &place.rows()}};
  s.subscribe("d1", {.expires = 3600s, .event = "presence"});
  s.subscribe("d1", {.expires = 3600s, .event = "message-summary"});
  for (int i = 0; i < 20; ++i)  // only the second usage hears of these
    s.publish("alice", {.raw = "m" + std::to_string(i), .type = "application/simple-message-summary", .event = "message-summary"});
  CHECK(s.subscribe("d1", {.expires = 0s, .event = "message-summary"}).find("terminated") != std::string::npos);
  const std::uint32_t before = last_cseq(s, "d1");
  CHECK(before == 23);
  SUBCASE("after flush()") {
    end_cleanly(s);
    s.publish("alice", {.body = "t1:open"});
    CHECK(last_cseq(s, "d1") == before + 1);
  }
  SUBCASE("after a crash") {
    s.restart();
    s.publish("alice", {.body = "t1:open"});
    CHECK(last_cseq(s, "d1") > before);
  }
}

TEST_CASE_TEMPLATE("a package may be added after its rows exist (L05, T12)", Place, EVERY_STORAGE) {
  Place place;
  scenario s{{.rows = &place.rows(), .packages = {versioned()}}};
  s.publish("alice", {.raw = "early", .type = "text/plain", .expires = 3600s, .event = "versioned"});
  s.subscribe("d1", {.expires = 3600s, .event = "versioned"});
  s.subscribe("d2", {.by = "carol", .expires = 60s, .event = "versioned"});
  s.given.packages.clear();
  s.restart();
  CHECK(s.subscribe("d3", {.event = "versioned"}) == "489 Allow-Events=presence, message-summary");
  CHECK(s.subscribe("d1", {.event = "versioned"}) == "489 Allow-Events=presence, message-summary");
  CHECK(s.engine->stats().subscriptions == 0);
  s.at += 30s;
  REQUIRE(s.engine->add_event(versioned(), s.now()));
  CHECK(s.engine->stats().subscriptions == 2);
  CHECK(s.publish("alice", {.raw = "late", .type = "text/plain", .if_match = "e1", .event = "versioned"}).starts_with("200 e2 Expires=3600 | N d1#2 "));
  CHECK(s.wait(30s) == "N d2#3 terminated;reason=timeout");
  // one that cannot be taken over is not registered, and may be tried again
  CHECK_FALSE(s.engine->add_event(versioned(), s.now()));
  CHECK(s.engine->stats().subscriptions == 1);
}

TEST_CASE_TEMPLATE("rows of a package that comes later are not swept away by an engine that has no package yet (L05, G03)", Place, EVERY_STORAGE) {
  Place place;
  {
    scenario s{{.rows = &place.rows()}};
    s.subscribe("d1", {.expires = 60s});
  }
  seeded_random random{9};
  engine late{{}, {}, &place.rows(), &random};
  const instant now = start + 100s;
  CHECK(late.advance(now).notifies.empty());  // a host may call it at any time
  REQUIRE(late.add_event(presence_package(), now));
  CHECK(late.advance(now).notifies.size() == 1);  // its last NOTIFY
}

TEST_CASE_TEMPLATE("a chain of restarts changes nothing for watchers and publishers (PROP-10)", Place, EVERY_STORAGE) {
  Place place;
  std::string with, without;
  const auto story = [](scenario& s, bool restarts) {
    std::string told;
    const auto then = [&](const std::string& line) {
      told += line + "\n";
      if (restarts) end_cleanly(s);
    };
    s.policy["bob"] = sub_handling::confirm;
    then(s.publish("alice", {.body = "t1:open", .expires = 300s}));
    then(s.subscribe("d1", {.by = "bob", .expires = 600s}));
    then(s.subscribe("d2", {.by = "carol", .expires = 200s}));
    then(s.publish("alice", {.body = "t1:closed", .if_match = "e1", .expires = 300s}));
    then(s.wait(50s));
    then(s.decide("bob", sub_handling::allow));
    then(s.publish("alice", {.body = "t1:open", .expires = 100s}));
    then(s.wait(100s));
    then(s.subscribe("d2", {.by = "carol", .expires = 100s}));
    then(s.wait(60s));
    then(s.decide("bob", sub_handling::block));
    then(s.wait(1000s));
    for (const auto& [name, d] : s.dialogs)
      for (const auto& n : d.notifies) told += name + " " + std::to_string(n.cseq) + "\n";
    return told;
  };
  {
    scenario s{{.rows = &place.rows(), .authorized = true}};
    with = story(s, true);
    CHECK(s.engine->stats().resources == 0);
  }
  memory_storage other;
  scenario s{{.rows = &other, .authorized = true}};
  without = story(s, false);
  CHECK(with == without);
}

TEST_CASE_TEMPLATE("a selection is there after a restart, and ends (DLG-3.2-1, DLG-3.4-1, T13)", Place, EVERY_STORAGE) {
  Place place;
  lamp s{dialog_package(), &place.rows()};
  const std::string one = " call-id=\"c@h\" local-tag=\"l\" remote-tag=\"r1\"", two = " call-id=\"c@h\" local-tag=\"l\" remote-tag=\"r2\"";
  const std::string specific = ";call-id=\"c@h\";to-tag=l;from-tag=r1";
  s.tell(info(dialog_of("a", "early", {}, one) + dialog_of("b", "early", {}, two)));
  s.watch("d1", "alice", 3600s, {}, specific + ";id=x");
  s.watch("d2");
  REQUIRE(s.engine->flush(s.now()));
  s.restart();
  const std::string mark = ";id=x;call-id=\"c@h\";to-tag=l;from-tag=r1";
  CHECK(s.watch("d1", "alice", 3600s, {}, ";id=x") == "200 Expires=3600 | N d1#2" + mark + " active;expires=3600 v1 full{a:early}");
  s.restart();
  CHECK(s.tell(info(dialog_of("a", "early", {}, one)), "e1").find("N d1#") == std::string::npos);
  s.restart();
  CHECK(s.tell(info(dialog_of("a", "terminated", {}, one)), "e2").find("N d1#3" + mark + " terminated;reason=noresource") != std::string::npos);
  s.restart();
  CHECK(s.watch("d1", "alice", 3600s, {}, ";id=x").find("481") == 0);
  CHECK(s.engine->stats().subscriptions == 1);
}

TEST_CASE("with publ_cache 2 documents are in memory only, and subscriptions outlive a restart (T08)") {
  for (const int mode : {1, 2}) {
    CAPTURE(mode);
    memory_storage rows;
    scenario s{{.settings = {.subs_db_mode = mode, .publ_cache = 2}, .rows = &rows}};
    s.subscribe("d1", {.expires = 3600s});
    CHECK(s.publish("alice", {.body = "t1:open", .expires = 600s}) == "200 e1 Expires=600 | N d1#2 active;expires=3600 P(t1:open)");
    CHECK(s.publish("alice", {.body = "t2:open"}) == "200 e2 Expires=3600 | N d1#3 active;expires=3600 P(t1:open,t2:open)");
    CHECK(s.told(s.engine->refresh_watchers("sip:alice@example.com", "presence", refresh_type::state, s.at)) ==
          "N d1#4 active;expires=3600 P(t1:open,t2:open)");
    std::vector<effects> out;
    const std::vector<received> calls{publish_request{.resource = "sip:bob@example.com", .event = "presence"},
                                      options_request{.resource = "sip:bob@example.com"}};
    CHECK(s.engine->handle(calls, s.at, out) == 2);
    CHECK(s.wait(600s) == "N d1#5 active;expires=3000 P(t2:open)");
    std::vector<publication_row> stored;
    cursor at;
    REQUIRE(s.engine->flush(s.at));
    REQUIRE(rows.publications({}, at, 10, stored));
    CHECK(stored.empty());
    s.restart();
    CHECK(s.publish("alice", {.if_match = "e2"}) == "412");
    CHECK(s.publish("alice", {.body = "t2:open"}) == "200 e3 Expires=3600 | N d1#6 active;expires=3000 P(t2:open)");
    s.audit();
  }
}

TEST_CASE("what publ_cache needs is said (T08, L14)") {
  options o;
  o.publ_cache = 0;
  CHECK(!o.check());
  o.subs_db_mode = 3;
  CHECK(o.check());
  o.publ_cache = 2;
  CHECK(!o.check());
  o.subs_db_mode = 1;
  CHECK(o.check());
  o.fallback2db = true;
  CHECK(!o.check());
}
