// SUBSCRIBE through the engine (RFC 6665; features E2; conformance section 2).
#include "scenario.hpp"

#include <presence/grammar.hpp>
#include <presence/uri.hpp>

#include <algorithm>
#include <set>

using namespace presence;
using namespace presence::test;

namespace {

/// A SUBSCRIBE of bob to alice that is in order, to be bent by a test.
subscribe_request initial() {
  return {.resource = "sip:alice@example.com", .event = "presence", .expires = seconds{600}, .call_id = "c@h",
          .from_tag = "f", .from_uri = "sip:bob@example.com", .to_uri = "sip:alice@example.com",
          .contact = "sip:bob@host.example.com", .cseq = 1, .who = {.uri = "sip:bob@example.com"}};
}

}  // namespace

// --- the life of a subscription -------------------------------------------------------------------

TEST_CASE("a subscription without state is told so at once (TV-01; S01, EVT-4.2.1.2-1, SEED-11)") {
  scenario s;
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P()");
  const notify& n = s.dialogs["d1"].notifies[0];
  CHECK(n.content.content_type() == "application/pidf+xml");
  CHECK(n.content.bytes().find("entity=\"sip:alice@example.com\"") != std::string_view::npos);
}

TEST_CASE("a fetch is told the state and leaves nothing (TV-02; S12, EVT-4.4.3-1)") {
  scenario s;
  s.publish("alice", {.body = "t1:open", .expires = 600s});
  CHECK(s.subscribe("d1", {.expires = 0s}) == "200 Expires=0 | N d1#1 terminated;reason=timeout P(t1:open)");
  CHECK(s.stats().subscriptions == 0);
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600");
  CHECK(s.subscribe("d1", {.expires = 60s}) == "481");
  CHECK(s.wait(1h) == "");
}

TEST_CASE("a refresh counts from now, moves the target, and is refused when too short (TV-03; S08, S14, EVT-4.2.1.4-1, -3, -7)") {
  scenario s;
  const auto target = [&] { return std::string{s.dialogs["d1"].notifies.back().dialog.remote_target()}; };
  CHECK(s.subscribe("d1", {.expires = 600s, .contact = "sip:c1@host"}) == "200 Expires=600 | N d1#1 active;expires=600 P()");
  CHECK(target() == "sip:c1@host");
  s.wait_until(100s);
  CHECK(s.subscribe("d1", {.expires = 300s, .contact = "sip:c2@host"}) == "200 Expires=300 | N d1#2 active;expires=300 P()");
  CHECK(target() == "sip:c2@host");
  s.wait_until(200s);
  CHECK(s.subscribe("d1", {.expires = 5s, .contact = "sip:c3@host"}) == "423 Min-Expires=60");
  CHECK(s.wait_until(399s) == "");
  CHECK(s.wait_until(400s) == "N d1#3 terminated;reason=timeout");
  CHECK(target() == "sip:c2@host");
  s.wait_until(401s);
  CHECK(s.subscribe("d1", {.expires = 300s}) == "481");
}

TEST_CASE("a descriptor keeps its dialog as it was when a refresh moves the target (HOST-6)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .contact = "sip:c1@host"});
  const notify kept = s.dialogs["d1"].notifies[0];
  s.subscribe("d1", {.expires = 600s, .contact = "sip:c2@host"});
  s.engine.reset();
  CHECK(kept.dialog.remote_target() == "sip:c1@host");
}

TEST_CASE("a subscription that lapses is told once that it is over (TV-04; M04, M05, EVT-4.2.1.4-4, EVT-4.2.2-3, -6)") {
  scenario s;
  s.subscribe("d1", {.expires = 100s});
  s.wait_until(40s);
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600 | N d1#2 active;expires=60 P(t1:open)");
  s.at = start + 99s + 999ms;
  CHECK(s.told(s.engine->advance(s.at)) == "");
  CHECK(s.wait_until(100s) == "N d1#3 terminated;reason=timeout");
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600");
  CHECK(s.wait(1h) == "");
}

TEST_CASE("a watcher may leave, and hears nothing afterwards (TV-05; S11, EVT-3.1.1-4, EVT-FSM-2, -3, DELTA-12)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  s.publish("alice", {.body = "t1:open"});
  s.wait(10s);
  s.answers = false;
  CHECK(s.subscribe("d1", {.expires = 0s}) == "200 Expires=0 | N d1#3 terminated;reason=timeout P(t1:open)");
  CHECK(s.subscribe("d1", {.expires = 600s}) == "481");  // between the last NOTIFY and its answer
  CHECK(s.outcome("d1", 3, 481) == "");
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600");
}

TEST_CASE("a refresh and the end of a subscription have one winner (M08)") {
  scenario s;
  s.subscribe("d1", {.expires = 100s});
  s.subscribe("d2", {.by = "carol", .expires = 100s});
  s.at = start + 99s + 999ms;
  CHECK(s.subscribe("d1", {.expires = 100s}) == "200 Expires=100 | N d1#2 active;expires=100 P()");
  s.at = start + 100s;  // nobody looked yet
  CHECK(s.subscribe("d2", {.expires = 100s}) == "481");
  CHECK(s.subscribe("d2", {.expires = 0s}) == "481");
  CHECK(s.wait(0s) == "N d2#2 terminated;reason=timeout");
}

TEST_CASE("a subscription whose time is up hears of no change before its end (M04)") {
  scenario s;
  s.subscribe("d1", {.expires = 100s});
  s.at = start + 100s;
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600");
  CHECK(s.wait(0s) == "N d1#2 terminated;reason=timeout");
}

TEST_CASE("a refresh grants from now, not from the end of the last grant (D2-26)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  s.wait(10s);
  s.subscribe("d1", {.expires = 600s});
  CHECK(s.wait_until(609s) == "");
  CHECK(s.wait_until(610s) == "N d1#3 terminated;reason=timeout");
}

// --- what is granted ---------------------------------------------------------------------------------

TEST_CASE("the granted time is the default, or what was asked, or the most there is (EVT-3.1.1-1, -2, S15, GRM-7)") {
  scenario s;
  CHECK(s.subscribe("d1", {}) == "200 Expires=3600 | N d1#1 active;expires=3600 P()");
  CHECK(s.subscribe("d2", {.expires = 100s}) == "200 Expires=100 | N d2#1 active;expires=100 P()");
  CHECK(s.subscribe("d3", {.expires = 9999s}) == "200 Expires=3600 | N d3#1 active;expires=3600 P()");
  CHECK(s.subscribe("d4", {.expires = "4294967295"}) == "200 Expires=3600 | N d4#1 active;expires=3600 P()");
  CHECK(s.subscribe("d5", {.expires = "4294967296"}) == "400");
}

TEST_CASE("an hour is never too short, whatever the minimum (S13, S14, EVT-4.2.1.1-4, -5)") {
  scenario s{{.settings = {.max_expires = 86400s, .min_expires = 7200s}}};
  CHECK(s.subscribe("d1", {.expires = 3600s}) == "200 Expires=3600 | N d1#1 active;expires=3600 P()");
  CHECK(s.subscribe("d2", {.expires = 3599s}) == "423 Min-Expires=7200");
  scenario usual;
  CHECK(usual.subscribe("d1", {.expires = 60s}) == "200 Expires=60 | N d1#1 active;expires=60 P()");
  CHECK(usual.subscribe("d2", {.expires = 59s}) == "423 Min-Expires=60");
  CHECK(usual.subscribe("d3", {.expires = 1s}) == "423 Min-Expires=60");
}

TEST_CASE("the answer never exceeds the request, nor does an offset for publishers touch it (D2-5, S15)") {
  scenario s{{.settings = {.expires_offset = 10s}}};
  CHECK(s.subscribe("d1", {.expires = 100s}) == "200 Expires=100 | N d1#1 active;expires=100 P()");
  CHECK(s.subscribe("d1", {.expires = 100s}) == "200 Expires=100 | N d1#2 active;expires=100 P()");
}

TEST_CASE("success is 200, or 202 where an old peer needs it (S04, EVT-4.2.1.1-7, DELTA-1, TRAP-8)") {
  scenario s{{.settings = {.subs_respond_200 = false}}};
  CHECK(s.subscribe("d1", {.expires = 100s}) == "202 Expires=100 | N d1#1 active;expires=100 P()");
}

// --- refusals -------------------------------------------------------------------------------------------

TEST_CASE("what is missing or malformed in a SUBSCRIBE is named in a 400 (S17, GRM-8 to GRM-10, EVT-4.2.1.1-11, D2-14)") {
  struct row {
    const char* name;
    void (*bend)(subscribe_request&);
    const char* reason;
  };
  const row rows[] = {
      {"no Contact", [](subscribe_request& r) { r.contact = ""; }, "Missing Contact"},
      {"star Contact", [](subscribe_request& r) { r.contact = "*"; }, "Bad Contact"},
      {"Contact is no URI", [](subscribe_request& r) { r.contact = "bob"; }, "Bad Contact"},
      {"Contact in brackets", [](subscribe_request& r) { r.contact = "<sip:bob@h>"; }, "Bad Contact"},
      {"no From tag", [](subscribe_request& r) { r.from_tag = ""; }, "Missing From Tag"},
      {"From tag is no token", [](subscribe_request& r) { r.from_tag = "a b"; }, "Bad From Tag"},
      {"To tag is no token", [](subscribe_request& r) { r.to_tag = "a;b"; }, "Bad To Tag"},
      {"no CSeq", [](subscribe_request& r) { r.cseq = {}; }, "Missing CSeq"},
      {"CSeq too high", [](subscribe_request& r) { r.cseq = 0x80000000u; }, "Bad CSeq"},
      {"no Call-ID", [](subscribe_request& r) { r.call_id = ""; }, "Missing Call-ID"},
      {"Call-ID has a blank", [](subscribe_request& r) { r.call_id = "a b"; }, "Bad Call-ID"},
      {"Call-ID has two at signs", [](subscribe_request& r) { r.call_id = "a@b@c"; }, "Bad Call-ID"},
      {"no From", [](subscribe_request& r) { r.from_uri = ""; }, "Bad From"},
      {"From is no URI", [](subscribe_request& r) { r.from_uri = "bob"; }, "Bad From"},
      {"To is no URI", [](subscribe_request& r) { r.to_uri = "alice"; }, "Bad To"},
      {"Request-URI is no URI", [](subscribe_request& r) { r.resource = "alice"; }, "Bad Request-URI"},
      {"no Request-URI", [](subscribe_request& r) { r.resource = ""; }, "Bad Request-URI"},
      {"Expires is text", [](subscribe_request& r) { r.expires = "soon"; }, "Bad Expires"},
      {"two Events", [](subscribe_request& r) { r.event = "presence, dialog"; }, "Bad Event"},
      {"two ids", [](subscribe_request& r) { r.event = "presence;id=1;id=2"; }, "Bad Event"},
      {"id is quoted", [](subscribe_request& r) { r.event = "presence;id=\"a\""; }, "Bad Event"},
      {"Accept is no list of types", [](subscribe_request& r) { r.accept = "text"; }, "Bad Accept"},
      {"body without type", [](subscribe_request& r) { r.content.bytes = "x"; }, "Missing Content-Type"},
      {"wrong length", [](subscribe_request& r) { r.content = {.type = "a/b", .bytes = "x", .declared_length = 2}; },
       "Content-Length Mismatch"},
  };
  scenario s;
  for (const row& row : rows) {
    CAPTURE(row.name);
    subscribe_request r = initial();
    row.bend(r);
    const effects out = s.engine->subscribe(r, s.at);
    CHECK(out.answer == reply{.status = 400, .reason = row.reason});
    CHECK(out.notifies.empty());
  }
  CHECK(s.engine->stats().resources == 0);
  CHECK(s.engine->subscribe(initial(), s.at).answer.status == 200);
}

TEST_CASE("an Event nobody serves is answered with those that are (EVT-4.2.1.1-2, -3, GRM-3, EVT-4.2.3-1, TRAP-17)") {
  scenario s;
  const std::string refused = "489 Allow-Events=presence, message-summary";
  CHECK(s.subscribe("d1", {.expires = 5s, .event = "foo"}) == refused);  // before 423
  CHECK(s.subscribe("d1", {.event = ""}) == refused);
  CHECK(s.subscribe("d1", {.event = "Presence"}) == refused);
  CHECK(s.subscribe("d1", {.event = "presence.winfo"}) == refused);
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "presence;id=7;x=y"}) ==
        "200 Expires=600 | N d1#1;id=7 active;expires=600 P()");
  CHECK(s.dialogs["d1"].notifies[0].dialog.event() == "presence;id=7");  // EVT-4.2.1.1-8
}

TEST_CASE("a dialog we do not know is answered 481 (S09, EVT-4.2.1.4-2)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  const auto ask = [&](const char* call_id, const char* from_tag, std::string_view to_tag, const char* event) {
    subscribe_request r = initial();
    r.call_id = call_id;
    r.from_tag = from_tag;
    r.to_tag = to_tag;
    r.event = event;
    r.cseq = 50;
    return s.engine->subscribe(r, s.at).answer.status;
  };
  const std::string tag = s.dialogs["d1"].to_tag;
  CHECK(ask("call-d1@example.com", "from-d1", tag + "x", "presence") == 481);
  CHECK(ask("call-d1@example.com", "from-d2", tag, "presence") == 481);
  CHECK(ask("Call-d1@example.com", "from-d1", tag, "presence") == 481);  // byte by byte (GRM-10)
  CHECK(ask("call-d1@example.com", "from-d1", tag, "presence") == 200);
}

TEST_CASE("a CSeq that is not higher is answered 500 and changes nothing (S10, GRM-8, D2-14)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .cseq = 7});
  s.wait(10s);
  CHECK(s.subscribe("d1", {.expires = 0s, .cseq = 7}) == "500");
  CHECK(s.subscribe("d1", {.expires = 0s, .cseq = 6}) == "500");
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 20}) == "200 Expires=600 | N d1#2 active;expires=600 P()");
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 20}) == "500");
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 0x7fffffff}) == "200 Expires=600 | N d1#3 active;expires=600 P()");
  scenario lenient{{.settings = {.cseq_offset = 2}}};
  lenient.subscribe("d1", {.expires = 600s, .cseq = 7});
  CHECK(lenient.subscribe("d1", {.expires = 600s, .cseq = 5}) == "500");
  CHECK(lenient.subscribe("d1", {.expires = 600s, .cseq = 6}) == "200 Expires=600 | N d1#2 active;expires=600 P()");
}

TEST_CASE("a refused refresh counts for nothing (EVT-4.2.1.4-3)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .cseq = 7});
  CHECK(s.subscribe("d1", {.expires = 5s, .cseq = 8}) == "423 Min-Expires=60");
  CHECK(s.subscribe("d1", {.expires = 600s, .accept = "text/plain", .cseq = 8}) == "406");
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 8}) == "200 Expires=600 | N d1#2 active;expires=600 P()");
}

TEST_CASE("a watcher who accepts nothing we have is answered 406 (EVT-3.1.3-1, -2, GRM-14, GRM-16, TRAP-14, S24, S25)") {
  struct row {
    std::optional<std::string> accept;
    int status;
  };
  const row rows[] = {{std::nullopt, 200},
                      {"", 406},
                      {"application/pidf+xml", 200},
                      {"APPLICATION/Pidf+Xml", 200},
                      {"application/*", 200},
                      {"*/*", 200},
                      {"text/plain, application/pidf+xml;q=0.1", 200},
                      {"text/plain", 406},
                      {"application/cpim-pidf+xml", 406},
                      {"*/*;q=1, application/pidf+xml;q=0", 406},
                      {"application/pidf+xml;q=2", 400},
                      {"application", 400}};
  scenario s;
  int n = 0;
  for (const row& row : rows) {
    CAPTURE(row.accept);
    const std::string told = s.subscribe("d" + std::to_string(++n), {.expires = 600s, .accept = row.accept});
    CHECK(told.substr(0, 3) == std::to_string(row.status));
  }
  std::string many = "a/b";
  for (int i = 0; i < 64; ++i) many += ", a/b";
  CHECK(s.subscribe("many", {.expires = 600s, .accept = many}) == "400");
}

TEST_CASE("errors of a SUBSCRIBE win in their order (TV-24)") {
  scenario s{{.authorized = true}};
  s.policy["bob"] = sub_handling::block;
  CHECK(s.subscribe("d1", {.expires = 5s, .event = "foo"}) == "489 Allow-Events=presence, message-summary");
  CHECK(s.subscribe("d2", {.expires = 5s}) == "403");
  CHECK(s.subscribe("d3", {.by = "carol", .expires = 5s}) == "423 Min-Expires=60");
  CHECK(s.subscribe("d4", {.by = "carol", .accept = "text/plain"}) == "406");
  CHECK(s.subscribe("d5", {.by = "carol", .event = "foo", .require = "foo"}) == "420 Unsupported=foo");
}

TEST_CASE("a body nobody asked for is refused, unless it may be ignored (EVT-4.2.1.1-13, PRS-6.3-1)") {
  scenario s;
  CHECK(s.subscribe("d1", {.expires = 600s, .body = "x", .body_type = "text/plain"}) == "415");
  subscribe_request r = initial();
  r.content = {.type = "text/plain", .bytes = "x", .optional = true};
  CHECK(s.engine->subscribe(r, s.at).answer.status == 200);
}

TEST_CASE("a resource that is not ours is answered 404 (HOST-8, EVT-4.2.1.1-9, S30)") {
  host_hooks hooks;
  hooks.serves = [](std::string_view resource) { return host_of(resource) == "example.com"; };
  scenario s{{.hooks = hooks}};
  CHECK(s.subscribe("d1", {.to = "sip:alice@example.net", .expires = 600s}) == "404");
  CHECK(s.subscribe("d2", {.to = "sip:alice@EXAMPLE.COM", .expires = 600s}).substr(0, 3) == "200");
}

TEST_CASE("who proved nothing is challenged and leaves nothing behind (HOST-2, EVT-4.2.1.3-2, SEC-DOS-1)") {
  scenario s{{.settings = {.require_auth = true}}};
  for (int i = 0; i < 1000; ++i) REQUIRE(s.subscribe("d1", {.expires = 600s, .unproven = true}) == "401 challenge");
  CHECK(s.engine->stats().resources == 0);
}

// --- the dialog ---------------------------------------------------------------------------------------

TEST_CASE("every descriptor carries the whole dialog (N01, HOST-6, S05, S06, S18, S23, EVT-4.2.1.1-10, EVT-4.5.1-1, SEED-7)") {
  scenario s{{.settings = {.to_tag_pref = "node7", .server_address = "sip:presence.example.com;transport=tcp"}}};
  const std::string routes = "<sip:p1.example.com;lr>, <sip:p2.example.com;lr>";
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=7", .record_route = routes, .cookie = "flow 17",
                     .user_agent = "phone/1.0", .secure = true});
  s.publish("alice", {.body = "t1:open"});
  s.subscribe("d1", {.expires = 600s, .record_route = "<sip:other.example.com;lr>", .cookie = "flow 18", .user_agent = "phone/1.1", .secure = true});
  s.subscribe("d1", {.expires = 0s, .cookie = "flow 18", .user_agent = "phone/1.1", .secure = true});
  const auto& all = s.dialogs["d1"].notifies;
  REQUIRE(all.size() == 4);
  const std::string tag{all[0].dialog.local_tag()};
  CHECK(tag.starts_with("node7"));
  CHECK(tag.size() >= 5 + 11);  // 64 random bits and more
  CHECK(is_token(tag));
  for (std::size_t i = 0; i < all.size(); ++i) {
    CAPTURE(i);
    const dialog& d = all[i].dialog;
    CHECK(d.call_id() == "call-d1@example.com");
    CHECK(d.local_tag() == tag);
    CHECK(d.remote_tag() == "from-d1");
    CHECK(d.local_uri() == "sip:alice@example.com");
    CHECK(d.remote_uri() == "sip:bob@example.com");
    CHECK(d.remote_target() == "sip:bob@d1.example.com");
    CHECK(d.route_set() == routes);
    CHECK(d.local_contact() == "sip:presence.example.com;transport=tcp");
    CHECK(d.event() == "presence;id=7");
    CHECK(d.watcher() == "sip:bob@example.com");
    CHECK(d.cookie() == (i < 2 ? "flow 17" : "flow 18"));
    CHECK(d.user_agent() == (i < 2 ? "phone/1.0" : "phone/1.1"));
    CHECK(d.secure());
    CHECK(all[i].cseq == i + 1);
    CHECK(notify::max_forwards == 70);
  }
}

TEST_CASE("the reply names the dialog its NOTIFY belongs to, and comes first (EVT-4.2.1.2-2, EVT-4.2.1.1-10)") {
  scenario s;
  const effects out = s.engine->subscribe(initial(), s.at);
  REQUIRE(out.notifies.size() == 1);
  CHECK(out.answer.dialog == out.notifies[0].dialog);
  CHECK(out.answer.allow_events == "presence, message-summary");
}

TEST_CASE("our Contact is the host's word of this request when no address is configured (S06)") {
  engine e{options{}};
  REQUIRE(e.add_event(presence_package(), start));
  subscribe_request r = initial();
  r.local_contact = "sip:192.0.2.1:5060";
  CHECK(e.subscribe(r, start).answer.dialog.local_contact() == "sip:192.0.2.1:5060");
  r.call_id = "other";
  r.local_contact = "";
  CHECK(e.subscribe(r, start).answer.dialog.local_contact() == "sip:example.com");
}

TEST_CASE("two engines never make the same To tag, even with one prefix (EVT-FORK-1, S05, SEED-4)") {
  std::set<std::string> tags;
  for (int i = 0; i < 2; ++i) {
    engine e{options{}};
    REQUIRE(e.add_event(presence_package(), start));
    for (int k = 0; k < 500; ++k) {
      subscribe_request r = initial();
      r.expires = seconds{0};
      const std::string tag{e.subscribe(r, start).answer.dialog.local_tag()};
      REQUIRE(tag.starts_with("10"));
      REQUIRE(tags.insert(tag).second);
    }
  }
}

TEST_CASE("the watcher is who was proven, not who From says (S02, HOST-1)") {
  scenario s{{.authorized = true}};
  s.policy["bob"] = sub_handling::allow;
  s.policy["mallory"] = sub_handling::block;
  CHECK(s.subscribe("d1", {.by = "bob", .expires = 600s, .as = "mallory"}) == "403");
  CHECK(s.subscribe("d2", {.by = "mallory", .expires = 600s, .as = "bob"}) == "200 Expires=600 | N d2#1 active;expires=600 P()");
  CHECK(s.dialogs["d2"].notifies[0].dialog.watcher() == "sip:bob@example.com");
  CHECK(s.subscribe("d3", {.by = "bob", .expires = 600s, .unproven = true}) == "403");  // From proves nothing
}

TEST_CASE("a refresh whose To differs from the Request-URI finds its dialog (D2-25)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  subscribe_request r = initial();
  const std::string tag = s.dialogs["d1"].to_tag;
  r.call_id = "call-d1@example.com";
  r.from_tag = "from-d1";
  r.to_tag = tag;
  r.cseq = 9;
  r.resource = "sip:server.example.com";  // our Contact, as RFC 3261 section 12.2 has it
  r.to_uri = "sip:somebody@example.net";
  CHECK(s.told(s.engine->subscribe(r, s.at)) == "200 Expires=600 | N d1#2 active;expires=600 P()");
}

// --- several subscriptions of one watcher --------------------------------------------------------------

TEST_CASE("one dialog carries several subscriptions, told apart by id and package (TV-37; S07, S19, GRM-3, GRM-4, EVT-4.4.1-1, EVT-4.5.2-2, DELTA-11)") {
  scenario s;
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "presence;id=1"}) == "200 Expires=600 | N d1#1;id=1 active;expires=600 P()");
  s.wait(1s);
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "presence;ID=2"}) == "200 Expires=600 | N d1#2;id=2 active;expires=600 P()");
  s.wait(1s);
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "presence"}) == "200 Expires=600 | N d1#3 active;expires=600 P()");
  s.wait(1s);
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "message-summary"}) == "200 Expires=600 | N d1#4 active;expires=600");
  CHECK(s.subscribe("d1", {.expires = 0s, .event = "presence;id=1"}) == "200 Expires=0 | N d1#5;id=1 terminated;reason=timeout P()");
  s.answers = false;
  CHECK(s.publish("alice", {.body = "t1:open"}) ==
        "200 e1 Expires=3600 | N d1#6;id=2 active;expires=598 P(t1:open) | N d1#7 active;expires=599 P(t1:open)");
  CHECK(s.outcome("d1", 6, 481) == "");  // ends id=2 only
  CHECK(s.outcome("d1", 7, 200) == "");
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600 | N d1#8 active;expires=599 P(t1:closed)");
  std::uint32_t cseq = 0;
  for (const notify& n : s.dialogs["d1"].notifies) CHECK(n.cseq == ++cseq);
}

TEST_CASE("ids differ by case (GRM-3)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=a"});
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=A"});
  CHECK(s.stats().subscriptions == 2);
}

TEST_CASE("a dialog is not shared when the host says so (EVT-4.5.2-2, DELTA-6)") {
  scenario s{{.settings = {.new_usage_in_dialog = false}}};
  s.subscribe("d1", {.expires = 600s});
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "presence;id=2"}) == "481");
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#2 active;expires=600 P()");
}

TEST_CASE("the usages of a dialog share the CSeq numbers of the watcher, too (GRM-8)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=1", .cseq = 5});
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=2", .cseq = 9});
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "presence;id=1", .cseq = 9}) == "500");
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "presence;id=1", .cseq = 10}).substr(0, 3) == "200");
}

TEST_CASE("one address watched in two packages is two subscriptions (EVT-3.1.2-1)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.expires = 600s, .event = "message-summary"});
  CHECK(s.publish("alice", {.raw = "Messages-Waiting: yes\r\n", .type = "application/simple-message-summary", .event = "message-summary"}) ==
        "200 e1 Expires=3600 | N d2#2 active;expires=600 [Messages-Waiting: yes\r\n]");
}

TEST_CASE("the same initial SUBSCRIBE once more makes no second subscription (S20)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .cseq = 1});
  const std::string tag = s.dialogs["d1"].to_tag;
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 1, .new_dialog = true}) == "200 Expires=600 | N d1#2 active;expires=600 P()");
  CHECK(s.dialogs["d1"].to_tag == tag);
  CHECK(s.stats().subscriptions == 1);
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 2, .new_dialog = true}).substr(0, 3) == "200");  // another request
  CHECK(s.stats().subscriptions == 2);
}

TEST_CASE("a SUBSCRIBE forked to two of our resources makes two dialogs (EVT-FORK-1)") {
  scenario s;
  subscribe_request r = initial();
  const std::string first{s.engine->subscribe(r, s.at).answer.dialog.local_tag()};
  r.resource = "sip:alice2@example.com";
  CHECK(std::string{s.engine->subscribe(r, s.at).answer.dialog.local_tag()} != first);
  CHECK(s.stats().subscriptions == 2);
}

TEST_CASE("parameters of the Contact have no say (EVT-3.1.1-3)") {
  scenario s;
  CHECK(s.subscribe("d1", {.expires = 600s, .contact = "sip:bob@host;expires=5"}) == "200 Expires=600 | N d1#1 active;expires=600 P()");
}

// --- caps -----------------------------------------------------------------------------------------------

TEST_CASE("subscriptions are capped per watcher, resource, dialog and in all; none gives way to another (SEC-DOS-2, TV-40, Q01, Q02)"
          * not_in("bounded database_only", "limits and counts of all are those of memory")) {
  options settings;
  settings.limits.subscriptions_per_watcher = 3;
  settings.limits.subscriptions_per_resource = 4;
  settings.limits.subscriptions = 6;
  settings.limits.usages_per_dialog = 2;
  scenario s{{.settings = settings}};
  const auto ok = [](const std::string& told) { return told.substr(0, 3) == "200"; };
  const std::string full = "503 Retry-After=5";
  CHECK(ok(s.subscribe("b1", {.expires = 600s})));
  CHECK(ok(s.subscribe("b2", {.expires = 600s})));
  CHECK(ok(s.subscribe("b3", {.to = "carol", .expires = 600s})));
  CHECK(s.subscribe("b4", {.to = "dave", .expires = 600s}) == full);  // bob has three
  CHECK(ok(s.subscribe("c1", {.by = "carol", .expires = 600s, .event = "presence;id=1"})));
  CHECK(ok(s.subscribe("c1", {.expires = 600s, .event = "presence;id=2"})));
  CHECK(s.subscribe("c1", {.to = "dave", .expires = 600s, .event = "message-summary"}) == full);  // two in this dialog
  CHECK(s.subscribe("d1", {.by = "dave", .expires = 600s}) == full);  // alice is watched by four
  CHECK(ok(s.subscribe("d2", {.by = "dave", .to = "carol", .expires = 600s})));
  CHECK(s.subscribe("e1", {.by = "eve", .to = "eve", .expires = 600s}) == full);  // six in all
  CHECK(s.stats().subscriptions == 6);
  CHECK(ok(s.subscribe("b1", {.expires = 600s})));  // a refresh takes no room
  CHECK(ok(s.subscribe("e2", {.by = "eve", .to = "eve", .expires = 0s})));  // nor does a fetch
  CHECK(ok(s.subscribe("b1", {.expires = 0s})));
  CHECK(ok(s.subscribe("e3", {.by = "eve", .to = "eve", .expires = 600s})));
}

TEST_CASE("one SUBSCRIBE yields one reply and one NOTIFY, to its own Contact (SEC-DOS-2, S01)") {
  scenario s;
  for (int i = 0; i < 20; ++i) s.subscribe("other" + std::to_string(i), {.by = "w" + std::to_string(i), .expires = 600s});
  const effects out = s.engine->subscribe(initial(), s.at);
  REQUIRE(out.notifies.size() == 1);
  CHECK(out.notifies[0].dialog.remote_target() == initial().contact);
}

TEST_CASE("somebody else's copy of an initial SUBSCRIBE does not take the subscription over (SEC-AUTH-4, S20)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .contact = "sip:bob@home", .cseq = 1});
  const std::string told = s.subscribe("d1", {.expires = 600s, .contact = "sip:mallory@evil", .cseq = 1, .as = "mallory", .new_dialog = true});
  CAPTURE(told);
  s.publish("alice", {.body = "t1:open"});
  std::size_t for_bob = 0;
  for (const auto& row : s.engine->subscriptions({.watcher = "sip:bob@example.com"}).records)
    for_bob += row.dialog.remote_target() == "sip:bob@home";
  CHECK(for_bob == 1);
}

TEST_CASE("who proves nothing cannot end or move a proven watcher's subscription (SEC-AUTH-4, HOST-1)") {
  scenario s{{.authorized = true}};
  s.subscribe("d1", {.expires = 600s, .contact = "sip:bob@home"});
  CHECK(s.subscribe("d1", {.expires = 600s, .contact = "sip:mallory@evil", .unproven = true}) == "403");
  CHECK(s.subscribe("d1", {.expires = 0s, .unproven = true}) == "403");
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600 | N d1#2 active;expires=600 P(t1:open)");
  scenario open;  // also where everybody is allowed
  open.subscribe("d1", {.expires = 600s, .contact = "sip:bob@home"});
  CHECK(open.subscribe("d1", {.expires = 0s, .unproven = true}) == "403");
}

TEST_CASE("a fetch inside a dialog uses up its CSeq (N09, PROP-2)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d1", {.expires = 0s, .event = "presence;id=9"});
  s.publish("alice", {.body = "t1:open"});
  std::uint32_t cseq = 0;
  for (const notify& n : s.dialogs["d1"].notifies) {
    CHECK(n.cseq > cseq);
    cseq = n.cseq;
  }
}

TEST_CASE("a fetch inside a dialog uses up the watcher's CSeq, too (GRM-8)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .cseq = 5});
  s.subscribe("d1", {.expires = 0s, .event = "presence;id=9", .cseq = 6});
  CHECK(s.subscribe("d1", {.expires = 600s, .cseq = 6}) == "500");
}

TEST_CASE("two NOTIFYs of one dialog made by one call have two numbers (N09, PROP-2)") {
  scenario s;
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.subscribe("d1", {.expires = 600s});
  s.at += 60s;  // lapsed, and nobody looked
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=2"});
  std::uint32_t last = 0;
  std::vector<std::uint32_t> numbers;
  for (const notify& n : s.dialogs["d1"].notifies) numbers.push_back(n.cseq);
  std::sort(numbers.begin(), numbers.end());
  for (const std::uint32_t n : numbers) {
    CHECK(n > last);
    last = n;
  }
}

TEST_CASE("a usage added to a dialog has the dialog's route set (S18, HOST-6)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=1", .record_route = "<sip:p1.example.com;lr>"});
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=2"});
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=3", .record_route = "<sip:other.example.com;lr>"});
  for (const notify& n : s.dialogs["d1"].notifies) CHECK(n.dialog.route_set() == "<sip:p1.example.com;lr>");
}

TEST_CASE("a new target is that of the dialog, for all its usages (EVT-4.2.1.4-7)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=1", .contact = "sip:c1@host"});
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=2", .contact = "sip:c1@host"});
  s.subscribe("d1", {.expires = 600s, .event = "presence;id=2", .contact = "sip:c2@host"});
  s.publish("alice", {.body = "t1:open"});
  const auto& all = s.dialogs["d1"].notifies;
  REQUIRE(all.size() == 5);
  CHECK(all[3].dialog.remote_target() == "sip:c2@host");
  CHECK(all[4].dialog.remote_target() == "sip:c2@host");
}

TEST_CASE("a route list that cannot be read is refused (S17, HOST-6)") {
  scenario s;
  CHECK(s.subscribe("d1", {.expires = 600s, .record_route = "<sip:p1.example.com"}) == "400");
  CHECK(s.subscribe("d2", {.expires = 600s, .record_route = "\"open"}) == "400");
  CHECK(s.subscribe("d3", {.expires = 600s, .record_route = "no route"}) == "400");
}
