// What the random walk and the fault sweep found once, each as its shortest story (RL1, RL2).
#include "scenario.hpp"

#include <presence/memory_storage.hpp>

#include "faulty_storage.hpp"

using namespace presence;
using namespace presence::test;

TEST_CASE("a fetch inside a dialog uses up a CSeq of the dialog (N09, PROP-2, EVT-4.4.3-1)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d1", {.expires = 0s, .event = "presence;id=2"});
  s.publish("alice", {.body = "t1:open"});
  const auto& all = s.dialogs.at("d1").notifies;
  REQUIRE(all.size() == 3);
  CHECK(all[1].cseq == 2);
  CHECK(all[2].cseq == 3);
}

TEST_CASE("the CSeq of a fetch or of an unsubscription is remembered by the dialog's other usages (GRM-8, S10)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  SUBCASE("a fetch") { s.subscribe("d1", {.expires = 0s, .event = "presence;id=2", .cseq = 20}); }
  SUBCASE("an unsubscription") {
    s.subscribe("d1", {.expires = 600s, .event = "presence;id=2"});
    s.subscribe("d1", {.expires = 0s, .event = "presence;id=2", .cseq = 20});
  }
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 19}) == "500");
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 20}) == "500");
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 21}).starts_with("200 Expires=600"));
}

TEST_CASE("what is owed to a watcher never shows a document whose time is up (M03, HOST-12)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  s.answers = false;
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.publish("alice", {.body = "t1:closed", .if_match = "e1", .expires = 60s});
  s.at += 60s;  // the answer comes in before the host calls advance()
  CHECK(s.outcome("d1", 2, 200) == "N d1#3 active;expires=540 P()");
}

TEST_CASE("less than a second before its end a subscription hears of no change: expires=0 is never said (EVT-4.2.2-4)") {
  scenario s;
  s.subscribe("d1", {.expires = 60s});
  s.at += 59'400ms;
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600");
  CHECK(s.wait_until(61s) == "N d1#2 terminated;reason=timeout");
}

TEST_CASE("a repeated initial SUBSCRIBE takes over nobody else's subscription (S20, HOST-1)") {
  scenario s;
  s.subscribe("d1", {.by = "bob", .expires = 600s});
  // somebody else, proven, who has seen bob's Call-ID, From tag and CSeq
  const effects out = s.engine->subscribe({.resource = "sip:alice@example.com",
                                           .event = "presence",
                                           .expires = 600s,
                                           .call_id = "call-d1@example.com",
                                           .from_tag = "from-d1",
                                           .from_uri = "sip:mallory@example.com",
                                           .contact = "sip:mallory@far.example.com",
                                           .cseq = 1,
                                           .who = {.uri = "sip:mallory@example.com", .method = "digest"}},
                                          s.now());
  const bool own_dialog = out.answer.status != 200 || out.answer.dialog.local_tag() != s.dialogs.at("d1").to_tag;
  CHECK(own_dialog);
  CHECK(s.engine->count_subscriptions({.watcher = "sip:bob@example.com"}) == 1);
  for (const notify& n : s.engine->publish({.resource = "sip:alice@example.com",
                                            .event = "presence",
                                            .content = {.type = "application/pidf+xml", .bytes = pidf("t1:open")},
                                            .who = {.uri = "sip:alice@example.com", .method = "digest"}},
                                           s.now())
                             .notifies) {
    if (n.dialog.local_tag() == s.dialogs.at("d1").to_tag) CHECK(n.dialog.remote_target() == "sip:bob@d1.example.com");
  }
}

TEST_CASE("the repeated initial SUBSCRIBE of the same watcher makes no second subscription (S20)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  const std::string tag = s.dialogs.at("d1").to_tag;
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 1, .new_dialog = true}) == "200 Expires=600 | N d1#2 active;expires=600 P()");
  CHECK(s.dialogs.at("d1").to_tag == tag);
  CHECK(s.stats().subscriptions == 1);
}

TEST_CASE("a restart does not shorten the time an undecided watcher is remembered (M10, WIN-FSM-5)") {
  memory_storage rows;
  scenario s{{.settings = {.waiting_limit = 1000s}, .rows = &rows, .authorized = true}};
  s.policy["bob"] = sub_handling::confirm;
  s.subscribe("d1", {.expires = 900s});
  s.wait(900s);  // waits from here on, until 1900
  s.restart();
  s.wait(500s);
  CHECK(s.stats().undecided == 1);
  CHECK(s.engine->auth_status("sip:bob@example.com", "sip:alice@example.com", s.at) == auth_code::waiting);
  s.wait(500s);
  CHECK(s.stats().undecided == 0);
}

TEST_CASE("control characters in the proofs of a sender are refused, too (SEC-XML-5)") {
  scenario s;
  const std::string document = pidf("t1:open");
  const auto with = [&](identity who) {
    return s.engine->publish({.resource = "sip:alice@example.com", .event = "presence",
                              .content = {.type = "application/pidf+xml", .bytes = document}, .who = std::move(who)}, s.at).answer.status;
  };
  CHECK(with({.uri = "sip:alice@example.com", .method = "a\r\nb"}) == 400);
  CHECK(with({.uri = "sip:alice@example.com", .also = {"sip:a@b\r\n"}}) == 400);
}

TEST_CASE("a row that vanished behind the engine does not stop the clock for others (T12, M04, M05)"
          * not_in("write_back", "rows are written later")) {
  memory_storage rows;
  scenario s{{.settings = {.cseq_block = 1}, .rows = &rows}};
  s.subscribe("d1", {.expires = 600s});
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.subscribe("d2", {.by = "carol", .to = "dave", .expires = 100s});
  std::vector<subscription_row> found;
  cursor at;
  REQUIRE(rows.subscriptions({.resource = "sip:alice@example.com"}, at, 10, found));
  REQUIRE(found.size() == 1);
  change edit;
  edit.ended_subscriptions.push_back(key_of(found[0]));
  REQUIRE(rows.apply(edit));
  const std::string told = s.wait(200s);
  CHECK(told.find("N d2#2 terminated;reason=timeout") != std::string::npos);
}

TEST_CASE("a debt that is paid along with a change is paid once, and never with what has lapsed (N09, HOST-12, M03)"
          * not_in("write_back database_only", "no write fails at that moment")) {
  memory_storage held;
  faulty_storage rows{held};
  options settings;
  settings.cseq_block = 1;
  scenario s{{.settings = settings, .rows = &rows}};
  s.subscribe("d1", {.expires = 600s});
  s.answers = false;
  s.publish("alice", {.body = "t1:open", .expires = 62s});
  s.publish("alice", {.body = "t1:closed", .if_match = "e1", .expires = 62s});
  rows.fail(1);
  CHECK(s.outcome("d1", 2, 200) == "");
  rows.fail(0);
  s.at = start + 62s;
  CHECK(s.told(s.engine->advance(s.at)) == "N d1#3 active;expires=538 P()");
  CHECK(s.dialogs["d1"].notifies[2].cseq == 3);
}

TEST_CASE("a conflict on one row does not stop the clock for others (M04, M05)"
          * not_in("write_back bounded database_only", "the change behind the engine is no conflict: rows are written later, or read before")) {
  memory_storage rows;
  scenario s{{.rows = &rows}};
  s.publish("alice", {.body = "t1:open", .expires = 600s});
  s.subscribe("d1", {.to = "dave", .expires = 60s});
  change edit;
  edit.ended_publications.push_back({"sip:alice@example.com", "presence", s.tag_named("e1")});
  REQUIRE(rows.apply(edit));
  s.at = start + 60s;
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 600s}) == "503 Retry-After=5");
  CHECK(s.told(s.engine->advance(s.at)) == "N d1#2 terminated;reason=timeout");
}

TEST_CASE("a row another server has ended is not taken up again (T12)"
          * not_in("write_back", "rows are written later")) {
  memory_storage rows;
  scenario s{{.rows = &rows}};
  s.subscribe("d1", {.expires = 600s});
  std::vector<subscription_row> found;
  cursor at;
  REQUIRE(rows.subscriptions({}, at, 10, found));
  found[0].state = subscription_state::terminated;
  change edit;
  edit.changed_subscriptions.push_back(found[0]);
  REQUIRE(rows.apply(edit));
  s.restart();
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600");
}

TEST_CASE("an unsubscription cannot tell since when one is politely blocked (SEC-LEAK-1)") {
  scenario s{{.authorized = true}};
  s.publish("alice", {.body = "t1:open"});
  s.subscribe("d1", {.expires = 600s});
  s.policy["bob"] = sub_handling::polite_block;
  CHECK(s.subscribe("d1", {.expires = 0s}) == "200 Expires=0 | N d1#2 terminated;reason=timeout P()");
}

TEST_CASE("addresses with header parts and broken routes are refused (S17, Q04)") {
  scenario s;
  CHECK(s.subscribe("d1", {.expires = 600s, .contact = "sip:bob@host?Route=%3Csip:evil%3E"}) == "400");
  CHECK(s.subscribe("d2", {.expires = 600s, .record_route = "<sip:p1;lr>>"}) == "400");
  CHECK(s.subscribe("d3", {.expires = 600s, .record_route = "<sip:p1;lr> junk"}) == "400");
  CHECK(s.subscribe("d4", {.expires = 600s, .record_route = "\"a\" <sip:p1;lr>;x=y, <sip:p2;lr>"}).starts_with("200"));
}
