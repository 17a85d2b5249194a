// PUBLISH through the engine (RFC 3903; features E1; conformance section 3).
#include "scenario.hpp"

#include <presence/grammar.hpp>
#include <presence/memory_storage.hpp>

#include <algorithm>
#include <set>

using namespace presence;
using namespace presence::test;

namespace {

const std::string binary{"\0\r\n\xff\xfe not text \0", 17};

/// An opaque package that takes anything.
event_package blobs() { return opaque_package("blobs"); }

}  // namespace

// --- the life of a publication ------------------------------------------------------------------

TEST_CASE("a publication lives from initial PUBLISH to removal (TV-11..15; P08-P12, P18, P10; PUB-T1)") {
  scenario s;
  CHECK(s.subscribe("d1", {.by = "carol", .expires = 3600s}) ==
        "200 Expires=3600 | N d1#1 active;expires=3600 P()");
  s.wait(1s);
  CHECK(s.publish("alice", {.body = "t1:open,t2:closed", .expires = 600s}) ==
        "200 e1 Expires=600 | N d1#2 active;expires=3599 P(t1:open,t2:closed)");
  CHECK(s.wait_until(100s) == "");
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 900s}) == "200 e2 Expires=900");
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 900s}) == "412");
  s.wait_until(200s);
  CHECK(s.publish("alice", {.body = "t1:closed,t3:open", .if_match = "e2", .expires = 9000s}) ==
        "200 e3 Expires=3600 | N d1#3 active;expires=3400 P(t1:closed,t3:open)");
  CHECK(s.publish("alice", {.body = "t1:closed,t3:open", .if_match = "e3"}) == "200 e4 Expires=3600");
  s.wait_until(300s);
  CHECK(s.publish("alice", {.if_match = "e4", .expires = 0s}) ==
        "200 e5 Expires=0 | N d1#4 active;expires=3300 P()");
  CHECK(s.publish("alice", {.if_match = "e5", .expires = 60s}) == "412");
  s.wait_until(400s);
  CHECK(s.publish("alice", {.body = "t9:open", .expires = 60s}) ==
        "200 e6 Expires=60 | N d1#5 active;expires=3200 P(t9:open)");
  CHECK(s.wait_until(460s) == "N d1#6 active;expires=3140 P()");
  CHECK(s.publish("alice", {.if_match = "e6", .expires = 60s}) == "412");
}

TEST_CASE("each PUBLISH tells what it did (PUB-7.8-1, PUB-6.6-1, P01, P02)") {
  scenario s;
  s.subscribe("d1", {.expires = 3600s});
  const std::string open = pidf("t1:open"), closed = pidf("t1:closed");
  const auto publish = [&](std::string_view bytes, std::string_view tag, expires_value expires) {
    return s.engine->publish({.resource = "sip:alice@example.com", .event = "presence", .expires = expires,
                              .sip_if_match = tag, .content = {.type = "application/pidf+xml", .bytes = bytes},
                              .who = {.uri = "sip:alice@example.com"}}, s.at);
  };
  effects out = publish(open, "", {});
  CHECK(out.answer.status == 200);
  CHECK(out.operation == publish_operation::created);
  CHECK(out.state_changed);
  REQUIRE(out.notifies.size() == 1);
  s.engine->report({.id = out.notifies[0].id, .status = 200}, s.at);
  std::string tag = out.answer.etag;

  out = publish(closed, tag, {});
  CHECK(out.operation == publish_operation::modified);
  CHECK(out.state_changed);
  s.engine->report({.id = out.notifies.at(0).id, .status = 200}, s.at);
  CHECK(out.answer.etag != tag);
  tag = out.answer.etag;

  out = publish("", tag, {});
  CHECK(out.operation == publish_operation::refreshed);
  CHECK_FALSE(out.state_changed);
  CHECK(out.notifies.empty());
  tag = out.answer.etag;

  out = publish("", tag, seconds{0});
  CHECK(out.operation == publish_operation::removed);
  CHECK(out.state_changed);
  CHECK(out.answer.expires == 0u);
  CHECK_FALSE(out.answer.etag.empty());

  out = publish(open, "", seconds{0});
  CHECK(out.answer.status == 200);
  CHECK(out.operation == publish_operation::none);
  CHECK_FALSE(out.state_changed);

  out = publish(open, "none", {});
  CHECK(out.answer.status == 412);
  CHECK(out.operation == publish_operation::none);
}

TEST_CASE("a PUBLISH with Expires 0 and no tag stores nothing (P14, PUB-6.5-6)") {
  scenario s;
  s.subscribe("d1", {.expires = 3600s});
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 0s}) == "200 e1 Expires=0");
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 60s}) == "412");
  CHECK(s.stats().publications == 0);
}

TEST_CASE("a removal that brings a document removes all the same (PUB-6.5-7)") {
  scenario s;
  s.subscribe("d1", {.expires = 3600s});
  s.publish("alice", {.body = "t1:open"});
  CHECK(s.publish("alice", {.raw = "x", .type = "text/plain", .if_match = "e1", .expires = 0s}) ==
        "415 Accept=application/pidf+xml");
  CHECK(s.publish("alice", {.body = "t2:open", .if_match = "e1", .expires = 0s}) ==
        "200 e2 Expires=0 | N d1#3 active;expires=3600 P()");
}

TEST_CASE("an initial PUBLISH without a document is refused unless the package takes it (P13, PUB-6.5-4)") {
  event_package lenient = opaque_package("lenient");
  lenient.empty_publish = true;
  scenario s{{.packages = {lenient}}};
  CHECK(s.publish("alice", {}) == "400");
  CHECK(s.publish("alice", {.event = "lenient"}) == "200 e1 Expires=3600");
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 0s, .event = "lenient"}) == "200 e2 Expires=0");
}

TEST_CASE("a modification replaces the whole document of its tag (PUB-6.5-3, PUB-10.4-1)") {
  scenario s;
  s.publish("alice", {.body = "t1:open,t2:open"});
  s.publish("alice", {.body = "t3:closed", .if_match = "e1"});
  CHECK(tuples_of(s.engine->current_state("sip:alice@example.com", "presence", s.at).bytes()) == "P(t3:closed)");
}

TEST_CASE("several documents of one resource live side by side and are told oldest first (P31, P32)") {
  struct seen {
    std::string bytes;
    bool leaving;
    bool operator==(const seen&) const = default;
  };
  using calls = std::vector<std::vector<seen>>;
  calls told;
  event_package listing = opaque_package("listing");
  SUBCASE("a leaving one is among them where the package says so") { listing.tells_leaving = true; }
  SUBCASE("else those that stay") {}
  listing.aggregate = [&](std::string_view, std::span<const published> all) {
    told.emplace_back();
    std::string joined;
    for (const published& p : all) {
      told.back().push_back({std::string{p.content.bytes()}, p.leaving});
      if (!p.leaving) joined += std::string{p.content.bytes()};
    }
    return body{"text/plain", joined};
  };
  scenario s{{.packages = {listing}}};
  s.subscribe("d1", {.expires = 3600s, .event = "listing"});
  const auto put = [&](const char* text, std::string tag, expires_value expires) {
    return s.publish("alice", {.raw = text, .type = "text/plain", .if_match = tag, .expires = expires, .event = "listing"});
  };
  const auto saw = [&](const std::vector<seen>& expected) {
    return std::find(told.begin(), told.end(), expected) != told.end();
  };
  put("a", "", {});
  put("b", "", 60s);
  CHECK(put("c", "", {}) == "200 e3 Expires=3600 | N d1#4 active;expires=3600 [abc]");
  CHECK(put("A", "e1", {}) == "200 e4 Expires=3600 | N d1#5 active;expires=3600 [Abc]");
  CHECK(saw({{"A", false}, {"b", false}, {"c", false}}));
  CHECK(put("", "e3", 0s) == "200 e5 Expires=0 | N d1#6 active;expires=3600 [Ab]");
  CHECK(saw({{"A", false}, {"b", false}, {"c", true}}) == listing.tells_leaving);
  CHECK(s.wait(60s) == "N d1#7 active;expires=3540 [A]");
  CHECK(saw({{"A", false}, {"b", true}}) == listing.tells_leaving);
}

TEST_CASE("without an aggregator the newest document is the state (P33, SEED-19, D2-20)") {
  scenario s{{.packages = {blobs()}}};
  s.subscribe("d1", {.expires = 3600s, .event = "blobs"});
  const auto put = [&](const char* text, std::string tag = {}, expires_value expires = {}) {
    return s.publish("alice", {.raw = text, .type = "text/plain", .if_match = tag, .expires = expires, .event = "blobs"});
  };
  CHECK(put("one") == "200 e1 Expires=3600 | N d1#2 active;expires=3600 [one]");
  s.wait(1s);
  CHECK(put("two") == "200 e2 Expires=3600 | N d1#3 active;expires=3599 [two]");
  s.wait(1s);
  CHECK(put("three", "e1") == "200 e3 Expires=3600 | N d1#4 active;expires=3598 [three]");
  CHECK(put("", "e3", 0s) == "200 e4 Expires=0 | N d1#5 active;expires=3598 [two]");
  CHECK(put("", "e2", 0s) == "200 e5 Expires=0 | N d1#6 active;expires=3598");
}

TEST_CASE("a document is bytes, whatever they are (P50, D2-22)") {
  memory_storage rows;
  scenario s{{.rows = &rows, .packages = {blobs()}}};
  s.subscribe("d1", {.expires = 3600s, .event = "blobs"});
  s.publish("alice", {.raw = binary, .type = "application/octet-stream", .event = "blobs"});
  CHECK(s.dialogs["d1"].notifies.back().content.bytes() == binary);
  s.restart();
  s.subscribe("d1", {.expires = 3600s});
  CHECK(s.dialogs["d1"].notifies.back().content.bytes() == binary);
}

// --- refusals -------------------------------------------------------------------------------------

TEST_CASE("an Event nobody serves is answered with those that are (P04, PUB-6.2-1, GRM-5)") {
  event_package silent = opaque_package("silent");
  silent.publishable = false;
  scenario s{{.packages = {silent}}};
  const std::string refused = "489 Allow-Events=presence, message-summary, silent";
  CHECK(s.publish("alice", {.body = "t1:open", .event = "foo"}) == refused);
  CHECK(s.publish("alice", {.body = "t1:open", .event = ""}) == refused);
  CHECK(s.publish("alice", {.body = "t1:open", .event = "Presence"}) == refused);
  CHECK(s.publish("alice", {.body = "t1:open", .event = "silent"}) == refused);
  CHECK(s.publish("alice", {.body = "t1:open", .event = "presence, dialog"}) == "400");
}

TEST_CASE("any tag that is not live is answered 412, whatever its shape (P15, GRM-11, PUB-6.3-3, D2-1)") {
  scenario s;
  s.publish("alice", {.body = "t1:open"});
  s.publish("bob", {.body = "t1:open"});
  s.publish("alice", {.raw = "Messages-Waiting: no\r\n", .type = "application/simple-message-summary", .event = "message-summary"});
  const std::string live = s.tag_named("e1");
  const std::vector<std::string> dead{"x", "*", "a.b.c.d", "nodot", "tail.notanumber", ".", "..", "0", live + "x",
                                      live.substr(1), std::string(256, 'a'), "e2", "e3"};
  for (const auto& tag : dead) {
    CAPTURE(tag);
    CHECK(s.publish("alice", {.body = "t1:open", .if_match = tag}) == "412");
    CHECK(s.publish("alice", {.if_match = tag, .expires = 60s}) == "412");
    CHECK(s.publish("alice", {.if_match = tag, .expires = 0s}) == "412");
  }
  CHECK(s.publish("alice", {.if_match = "e1"}) == "200 e4 Expires=3600");
}

TEST_CASE("a tag of another resource or package is answered 412 (P16, PUB-6.3-3)") {
  scenario s;
  s.publish("alice", {.body = "t1:open"});
  CHECK(s.publish("bob", {.if_match = "e1"}) == "412");
  CHECK(s.publish("alice", {.if_match = "e1", .event = "message-summary"}) == "412");
  CHECK(s.publish("alice", {.if_match = "e1"}) == "200 e2 Expires=3600");
}

TEST_CASE("several tags are refused (P17, PUB-6.3-2)") {
  scenario s;
  s.publish("alice", {.body = "t1:open"});
  CHECK(s.publish("alice", {.body = "t1:open", .if_match = "a,b"}) == "400");
  CHECK(s.publish("alice", {.body = "t1:open", .if_match = s.tag_named("e1") + ", " + s.tag_named("e1")}) == "400");
}

TEST_CASE("a lifetime that is too short is refused with the minimum and changes nothing (P25, PUB-6.4-3, D2-3)") {
  scenario s;
  s.publish("alice", {.body = "t1:open", .expires = 600s});
  CHECK(s.publish("alice", {.body = "t1:closed", .expires = 59s}) == "423 Min-Expires=60");
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 1s}) == "423 Min-Expires=60");
  CHECK(s.publish("alice", {.if_match = "wrong", .expires = 1s}) == "412");  // PUB-6.4-4
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 60s}) == "200 e2 Expires=60");
}

TEST_CASE("with min_expires_action 0 a short lifetime is granted as asked, never raised (EVT-4.2.1.1-6, TRAP-7)") {
  scenario s{{.settings = {.min_expires_action = 0}}};
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 5s}) == "200 e1 Expires=5");
  CHECK(s.subscribe("d1", {.expires = 3s}) == "200 Expires=3 | N d1#1 active;expires=3 P(t1:open)");
}

TEST_CASE("a foreign media type is refused with those that are served (P29, PUB-6.5-1, GRM-15)") {
  scenario s;
  CHECK(s.publish("alice", {.raw = "x", .type = "text/plain"}) == "415 Accept=application/pidf+xml");
  CHECK(s.publish("alice", {.body = "t1:open", .type = "Application/PIDF+XML;charset=UTF-8"}) == "200 e1 Expires=3600");
}

TEST_CASE("a coded body is refused unread (SEC-XML-8, PUB-6.0-2)") {
  scenario s;
  CHECK(s.publish("alice", {.body = "t1:open", .encoding = "gzip"}) == "415 Accept-Encoding=identity");
  CHECK(s.publish("alice", {.body = "t1:open", .encoding = "Identity"}) == "200 e1 Expires=3600");
}

TEST_CASE("an extension we do not know is refused first (PUB-6.0-2, EVT-4.2.1.1-12)") {
  scenario s;
  CHECK(s.publish("alice", {.body = "t1:open", .event = "foo", .require = "foo, gruu, bar"}) == "420 Unsupported=foo, bar");
  CHECK(s.publish("alice", {.body = "t1:open", .require = "gruu"}) == "200 e1 Expires=3600");
}

TEST_CASE("a document over the limit is refused before it is read (SEC-BODY-1, GRM-30)") {
  options settings;
  settings.limits.body_bytes = 300;
  scenario s{{.settings = settings, .packages = {blobs()}}};
  CHECK(s.publish("alice", {.raw = std::string(300, 'x'), .type = "a/b", .event = "blobs"}) == "200 e1 Expires=3600");
  CHECK(s.publish("alice", {.raw = std::string(301, 'x'), .type = "a/b", .event = "blobs"}) == "413");
}

TEST_CASE("only the owner publishes, or whom the host allows, and this is asked before the tag (PUB-14.1-1, SEC-AUTH-1, SEC-LEAK-11)") {
  {
    scenario s;
    CHECK(s.publish("alice", {.body = "t1:open", .by = "bob"}) == "403");
    CHECK(s.publish("alice", {.body = "t1:open", .if_match = "bad", .by = "bob"}) == "403");
    CHECK(s.publish("alice", {.body = "t1:open", .by = "-"}) == "200 e1 Expires=3600");
    CHECK(s.publish("sips:alice@EXAMPLE.com", {.body = "t1:open", .by = "alice"}) == "200 e2 Expires=3600");
  }
  host_hooks hooks;
  hooks.may_publish = [](const identity& who, std::string_view resource, std::string_view event) {
    return who.uri == "sip:secretary@example.com" && resource == "sip:alice@example.com" && event == "presence";
  };
  scenario s{{.hooks = hooks}};
  CHECK(s.publish("alice", {.body = "t1:open", .by = "secretary"}) == "200 e1 Expires=3600");
  CHECK(s.publish("alice", {.body = "t1:open"}) == "403");
  CHECK(s.publish("bob", {.body = "t1:open", .by = "secretary"}) == "403");
}

TEST_CASE("a further proven address counts as the publisher's own (HOST-1)") {
  scenario s;
  const std::string document = pidf("t1:open");
  const effects out = s.engine->publish({.resource = "sip:alice@example.com", .event = "presence",
                                         .content = {.type = "application/pidf+xml", .bytes = document},
                                         .who = {.uri = "tel:+1-555-1234", .also = {"sip:alice@example.com"}}}, s.at);
  CHECK(out.answer.status == 200);
}

TEST_CASE("who proved nothing is challenged when proof is asked for, and leaves nothing behind (HOST-2, SEC-DOS-1)") {
  scenario s{{.settings = {.require_auth = true}}};
  for (int i = 0; i < 1000; ++i) REQUIRE(s.publish("alice", {.body = "t1:open", .by = "-"}) == "401 challenge");
  CHECK(s.engine->stats().resources == 0);
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600");
}

TEST_CASE("a resource that is not ours is answered 404, and may be learnt any time (HOST-8, PUB-6.1-1, P48)") {
  std::set<std::string, std::less<>> served{"sip:alice@example.com"};
  host_hooks hooks;
  hooks.serves = [&](std::string_view resource) { return served.contains(resource); };
  scenario s{{.hooks = hooks}};
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600");
  CHECK(s.publish("bob", {.raw = "x", .type = "text/plain", .if_match = "a,b", .event = "foo"}) == "404");
  served.insert("sip:bob@example.com");
  CHECK(s.publish("bob", {.body = "t1:open"}) == "200 e2 Expires=3600");
}

TEST_CASE("errors win in the order of RFC 3903 section 6 (TV-24)") {
  host_hooks hooks;
  hooks.serves = [](std::string_view resource) { return resource == "sip:alice@example.com"; };
  scenario s{{.hooks = hooks}};
  const std::string text = "text/plain", events = " Allow-Events=presence, message-summary";
  CHECK(s.publish("nobody", {.raw = "x", .type = text, .if_match = "a,b", .event = "foo"}) == "404");
  CHECK(s.publish("alice", {.raw = "x", .type = text, .if_match = "a,b", .event = "foo"}) == "489" + events);
  CHECK(s.publish("alice", {.body = "t1:open", .if_match = "a,b", .expires = 10s}) == "400");
  CHECK(s.publish("alice", {.body = "t1:open", .if_match = "bad", .expires = 10s}) == "412");
  CHECK(s.publish("alice", {.raw = "x", .type = text, .expires = 10s}) == "423 Min-Expires=60");
  CHECK(s.publish("alice", {.raw = "x", .type = text, .expires = 600s}) == "415 Accept=application/pidf+xml");
  CHECK(s.publish("alice", {.expires = 600s}) == "400");
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 0s}) == "200 e1 Expires=0");
  CHECK(s.publish("alice", {.body = "t1:open", .if_match = "bad", .by = "bob"}) == "403");
  CHECK(s.engine->stats().resources == 0);
}

// --- lifetimes --------------------------------------------------------------------------------------

TEST_CASE("the granted lifetime is the default, or what was asked, or the most there is (P21, P22, PUB-6.4-1, PUB-6.4-2, SEED-6)") {
  event_package brief = opaque_package("brief");
  brief.default_expires = 120s;
  event_package own = opaque_package("own");
  own.min_expires = 10s;
  own.max_expires = 30s;
  scenario s{{.settings = {.max_expires = 1800s}, .packages = {brief, own}}};
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=1800");
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 1799s}) == "200 e2 Expires=1799");
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 7200s}) == "200 e3 Expires=1800");
  CHECK(s.publish("alice", {.raw = "x", .type = "a/b", .event = "brief"}) == "200 e4 Expires=120");
  CHECK(s.publish("alice", {.raw = "x", .type = "a/b", .expires = 9s, .event = "own"}) == "423 Min-Expires=10");
  CHECK(s.publish("alice", {.raw = "x", .type = "a/b", .event = "own"}) == "200 e5 Expires=30");
}

TEST_CASE("a publisher is told less than it has, but never nothing (P27, PUB-EXP-2, D2-4, TRAP-19, SEED-5)") {
  scenario s{{.settings = {.expires_offset = 10s, .min_expires = 0s}}};
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 600s}) == "200 e1 Expires=590");
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 11s}) == "200 e2 Expires=1");
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 10s}) == "200 e3 Expires=1");
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 3s}) == "200 e4 Expires=1");
  CHECK(s.publish("alice", {.body = "t1:open", .expires = 0s}) == "200 e5 Expires=0");
  s.wait_until(599s);
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 600s}) == "200 e6 Expires=590");  // alive until 600
}

TEST_CASE("the longest lifetime that can be written is clamped and wraps nowhere (P28, GRM-6, GRM-7)") {
  scenario s;
  CHECK(s.publish("alice", {.body = "t1:open", .expires = "4294967295"}) == "200 e1 Expires=3600");
  CHECK(s.publish("alice", {.body = "t1:open", .expires = "0000000000000000000000060"}) == "200 e2 Expires=60");
  CHECK(s.publish("alice", {.body = "t1:open", .expires = "4294967296"}) == "400");
  scenario forever{{.settings = {.max_expires = seconds{4294967295}}}};
  CHECK(forever.publish("alice", {.body = "t1:open", .expires = "4294967295"}) == "200 e1 Expires=4294967295");
  CHECK(forever.subscribe("d1", {.expires = "4294967295"}) ==
        "200 Expires=4294967295 | N d1#1 active;expires=4294967295 P(t1:open)");
}

TEST_CASE("documents that lapse together are told once (PUB-EXP-1, PUB-EXP-3, M03)") {
  scenario s;
  s.subscribe("d1", {.expires = 3600s});
  for (int i = 0; i < 5; ++i) s.publish("alice", {.body = "t" + std::to_string(i) + ":open", .expires = 100s});
  CHECK(s.wait(100s) == "N d1#7 active;expires=3500 P()");
}

TEST_CASE("a document is never seen after its time, even before the engine was told to look (M03)") {
  scenario s;
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.publish("alice", {.body = "t2:open", .expires = 600s});
  s.subscribe("d1", {.expires = 3600s});
  s.at = start + 60s;
  SUBCASE("a new watcher") {
    CHECK(s.subscribe("d2", {.by = "carol", .expires = 600s}) ==
          "200 Expires=600 | N d2#1 active;expires=600 P(t2:open) | N d1#2 active;expires=3540 P(t2:open)");
  }
  SUBCASE("a fetch") {
    CHECK(s.subscribe("d2", {.by = "carol", .expires = 0s}) ==
          "200 Expires=0 | N d2#1 terminated;reason=timeout P(t2:open) | N d1#2 active;expires=3540 P(t2:open)");
  }
  SUBCASE("a refresh") {
    CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#2 active;expires=600 P(t2:open)");
  }
  SUBCASE("the end of a subscription") {
    CHECK(s.subscribe("d1", {.expires = 0s}) == "200 Expires=0 | N d1#2 terminated;reason=timeout P(t2:open)");
  }
  SUBCASE("another publication") {
    CHECK(s.publish("alice", {.body = "t3:open"}) == "200 e3 Expires=3600 | N d1#2 active;expires=3540 P(t2:open,t3:open)");
  }
  SUBCASE("a refresh of another publication") {
    CHECK(s.publish("alice", {.if_match = "e2"}) == "200 e3 Expires=3600 | N d1#2 active;expires=3540 P(t2:open)");
  }
  SUBCASE("its own refresh") {
    CHECK(s.publish("alice", {.if_match = "e1"}) == "412");
    CHECK(s.wait(0s) == "N d1#2 active;expires=3540 P(t2:open)");
  }
  SUBCASE("the host asks") {
    CHECK(tuples_of(s.engine->current_state("sip:alice@example.com", "presence", s.at).bytes()) == "P(t2:open)");
    CHECK(s.wait(0s) == "N d1#2 active;expires=3540 P(t2:open)");
  }
  SUBCASE("the rules change") {
    CHECK(s.told(s.engine->update_watchers("sip:alice@example.com", "presence", s.at)) ==
          "N d1#2 active;expires=3540 P(t2:open)");
  }
  CHECK(s.wait(0s) == "");  // told once
}

TEST_CASE("with force_delete a document lapses in silence, and whoever asks does not see it (M06)"
          * not_in("write_back", "rows are written later")) {
  memory_storage rows;
  scenario s{{.settings = {.force_delete = true}, .rows = &rows}};
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.publish("alice", {.body = "t2:open", .expires = 600s});
  s.subscribe("d1", {.expires = 3600s});
  SUBCASE("the clock") {
    CHECK(s.wait(60s) == "");
    std::vector<publication_row> left;
    cursor at;
    REQUIRE(rows.publications({}, at, 10, left));
    CHECK(left.size() == 1);
    CHECK(s.publish("alice", {.if_match = "e1"}) == "412");
    CHECK(s.subscribe("d2", {.by = "carol", .expires = 600s}) == "200 Expires=600 | N d2#1 active;expires=600 P(t2:open)");
    CHECK(s.publish("alice", {.body = "t3:open"}) == "200 e3 Expires=3600 | N d1#2 active;expires=3540 P(t2:open,t3:open) | "
                                                     "N d2#2 active;expires=600 P(t2:open,t3:open)");
    CHECK(s.publish("alice", {.if_match = "e2", .expires = 0s}) ==
          "200 e4 Expires=0 | N d1#3 active;expires=3540 P(t3:open) | N d2#3 active;expires=600 P(t3:open)");
  }
  SUBCASE("a refresh of another publication, and an answer") {
    s.at = start + 60s;
    CHECK(s.publish("alice", {.if_match = "e2"}) == "200 e3 Expires=3600");
    CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#2 active;expires=600 P(t2:open)");
  }
  CHECK(s.wait(0s) == "");
  s.audit();
}

TEST_CASE("after a silent lapse partial documents begin anew with a full one (M06, N27)"
          * not_in("database_only", "it chooses this mode itself")) {
  for (const bool shared : {false, true}) {
    for (const bool by_clock : {true, false}) {
      CAPTURE(shared);
      CAPTURE(by_clock);
      memory_storage rows;
      scenario::setup given{.settings = {.force_delete = true},
                            .packages = {dialog_package({.strangers = dialog_options::shown::everything, .partial = true})}};
      if (shared) {
        given.rows = &rows;
        given.settings.subs_db_mode = 3;
      }
      scenario s{given};
      const auto publish = [&](const std::string& id, seconds lifetime) {
        s.publish("alice", {.raw = R"(<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" )"
                                   R"(entity="sip:alice@example.com"><dialog id=")" + id +
                                   R"("><state>confirmed</state></dialog></dialog-info>)",
                            .type = "application/dialog-info+xml", .expires = lifetime, .event = "dialog"});
        return s.dialogs["d1"].notifies.empty() ? std::string{} : s.dialogs["d1"].notifies.back().body_bytes();
      };
      publish("a", 60s);
      s.subscribe("d1", {.expires = 3600s, .event = "dialog"});
      const bool partial = publish("b", 600s).find("partial") != std::string::npos;
      CHECK(partial == !shared);  // no engine knows what another one's watcher was not told
      if (by_clock) CHECK(s.wait(62s) == "");
      s.at = start + 62s;
      const std::string next = publish("c", 600s);
      CAPTURE(next);
      CHECK(next.find("full") != std::string::npos);
      const auto gone = next.find("id=\"a\"");  // not there, or as ended
      CHECK((gone == std::string::npos || next.find("terminated</state>", gone) < next.find("<dialog ", gone)));
    }
  }
}

TEST_CASE("a refresh and the end of a lifetime have one winner (M08)") {
  scenario s;
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.at = start + 59s + 999ms;
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 60s}) == "200 e2 Expires=60");
  CHECK(s.wait_until(60s) == "");
  s.at = start + 59s + 999ms + 60s;
  CHECK(s.publish("alice", {.if_match = "e2", .expires = 60s}) == "412");
}

// --- tags ---------------------------------------------------------------------------------------------

TEST_CASE("a package may keep the first tag of a publication (P19, PUB-6.6-4)") {
  event_package sticky = opaque_package("dialog;sla");
  sticky.etag_not_new = true;
  scenario s{{.packages = {sticky}}};
  CHECK(s.publish("alice", {.raw = "1", .type = "a/b", .event = "dialog;sla"}) == "200 e1 Expires=3600");
  CHECK(s.publish("alice", {.raw = "2", .type = "a/b", .if_match = "e1", .event = "dialog;sla"}) == "200 e1 Expires=3600");
  CHECK(s.publish("alice", {.if_match = "e1", .event = "dialog;sla"}) == "200 e1 Expires=3600");
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 0s, .event = "dialog;sla"}) == "200 e1 Expires=0");
  CHECK(s.publish("alice", {.if_match = "e1", .event = "dialog;sla"}) == "412");
}

TEST_CASE("tags are tokens, unguessable, and never met twice (P18, P20, GRM-12, PUB-6.6-2, PUB-6.6-3, D2-21, SEC-PKG-9)") {
  engine own{options{}};  // with the system's randomness
  engine other{options{}};
  std::set<std::string> seen;
  const std::string document = "x";
  for (engine* e : {&own, &other}) {
    REQUIRE(e->add_event(blobs(), start));
    std::string tag;
    for (int i = 0; i < 5000; ++i) {
      const effects out = e->publish({.resource = "sip:alice@example.com", .event = "blobs", .sip_if_match = tag,
                                      .content = {.type = "a/b", .bytes = i == 0 ? document : ""}}, start);
      REQUIRE(out.answer.status == 200);
      tag = out.answer.etag;
      REQUIRE(is_token(tag));
      REQUIRE(tag != "*");
      REQUIRE(seen.insert(tag).second);
    }
  }
  // no common beginning or end beyond what chance gives: nothing of time, process or a counter
  std::string last;
  for (const auto& tag : seen) {
    std::size_t common = 0;
    while (common < last.size() && common < tag.size() && last[common] == tag[common]) ++common;
    REQUIRE(common < 10);
    last = tag;
  }
}

// --- who is told ----------------------------------------------------------------------------------------

TEST_CASE("the watcher who is the sender is not told (P03, SEED-10)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s, .contact = "sip:alice@phone.example.com"});
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  CHECK(s.publish("alice", {.body = "t1:open", .sender = "sip:alice@phone.example.com"}) ==
        "200 e1 Expires=3600 | N d2#2 active;expires=600 P(t1:open)");
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) ==
        "200 e2 Expires=3600 | N d1#2 active;expires=600 P(t1:closed) | N d2#3 active;expires=600 P(t1:closed)");
}

TEST_CASE("watchers are told in the order they came (N35, L02)") {
  scenario s;
  for (const char* name : {"d3", "d1", "d2"}) s.subscribe(name, {.by = name, .expires = 600s});
  CHECK(s.publish("alice", {.body = "t1:open"}) ==
        "200 e1 Expires=3600 | N d3#2 active;expires=600 P(t1:open) | N d1#2 active;expires=600 P(t1:open) | "
        "N d2#2 active;expires=600 P(t1:open)");
}

TEST_CASE("the same state in other words is not told (EVT-4.2.2-15, P36, N21)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  s.publish("alice", {.body = "t1:open"});
  const std::string respelt = "<?xml version='1.0'?>\n<p:presence entity='sip:alice@example.com' "
      "xmlns:p='urn:ietf:params:xml:ns:pidf'>\n <p:tuple id='t1'><p:status> <p:basic>open</p:basic></p:status>"
      "</p:tuple>\n</p:presence>";
  CHECK(s.publish("alice", {.raw = respelt, .if_match = "e1"}) == "200 e2 Expires=3600");
  CHECK(s.stats().suppressed == 1);
}

TEST_CASE("a resource's requests are applied in the order they come (P41, PUB-6.0-1)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  s.publish("alice", {.body = "t1:open"});
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600 | N d1#3 active;expires=600 P(t1:closed)");
  CHECK(s.publish("alice", {.body = "t1:open", .if_match = "e1"}) == "412");  // it lost
  CHECK(s.publish("alice", {.body = "t2:open", .if_match = "e2"}) == "200 e3 Expires=3600 | N d1#4 active;expires=600 P(t2:open)");
}

TEST_CASE("the same PUBLISH twice is two requests: the host removes retransmissions (HOST-3)") {
  scenario s;
  s.publish("alice", {.body = "t1:open"});
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600");
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "412");
}

TEST_CASE("all spellings of an address are one resource (GRM-18, GRM-19, S27, CPP-3-1)") {
  scenario s;
  s.subscribe("d1", {.to = "sip:Alice@example.com", .expires = 600s});
  const auto put = [&](const char* resource) {
    const std::string document = pidf("t1:open");
    return s.told(s.engine->publish({.resource = resource, .event = "presence",
                                     .content = {.type = "application/pidf+xml", .bytes = document}}, s.at));
  };
  CHECK(put("sip:Alice@EXAMPLE.com;transport=tcp?Subject=x").find("N d1#2") != std::string::npos);
  for (const char* same : {"sips:Alice@example.com", "pres:Alice@example.com", "sip:%41lice@example.com", "sip:Alice@example.com."}) {
    CAPTURE(same);
    put(same);
  }
  CHECK(s.engine->count_publications({.resource = "sip:Alice@example.com"}) == 5);
  for (const char* other : {"sip:alice@example.com", "sip:Alice@example.com:5060", "sip:Alice@sub.example.com", "sip:example.com"}) {
    CAPTURE(other);
    CHECK(put(other).find("N d1") == std::string::npos);
  }
}

// --- the host's own publications ------------------------------------------------------------------------

TEST_CASE("the host publishes by the same rules without being asked who it is (P43, L10, PRS-6.11-1)") {
  scenario s{{.settings = {.require_auth = true}}};
  s.subscribe("d1", {.expires = 600s});
  const auto put = [&](std::string_view bytes, std::string_view tag, std::string_view event) {
    return s.told(s.engine->update_presentity({.resource = "sip:alice@example.com", .event = event, .sip_if_match = tag,
                                               .content = {.type = bytes.empty() ? "" : "application/pidf+xml", .bytes = bytes}}, s.at));
  };
  CHECK(put(pidf("t1:open"), "", "presence") == "200 e1 Expires=3600 | N d1#2 active;expires=600 P(t1:open)");
  CHECK(put("", "", "presence") == "400");
  CHECK(put("<x/>", "", "presence") == "400");
  CHECK(put("", "nope", "presence") == "412");
  CHECK(put(pidf("t1:open"), "", "foo") == "489 Allow-Events=presence, message-summary");
}

// --- caps -------------------------------------------------------------------------------------------------

TEST_CASE("a resource has so many documents and bytes and no more (SEC-DOS-4, TV-40, PUB-14.3-1, Q01, Q02)") {
  options settings;
  settings.limits.publications_per_resource = 5;
  settings.limits.state_bytes = 100;
  settings.retry_after = 7s;
  scenario s{{.settings = settings, .packages = {blobs()}}};
  for (int i = 0; i < 5; ++i) CHECK(s.publish("alice", {.raw = "x", .type = "a/b", .expires = 60s, .event = "blobs"}).substr(0, 3) == "200");
  CHECK(s.publish("alice", {.raw = "x", .type = "a/b", .event = "blobs"}) == "503 Retry-After=7");
  CHECK(s.publish("bob", {.raw = "x", .type = "a/b", .event = "blobs"}) == "200 e6 Expires=3600");
  CHECK(s.publish("bob", {.raw = std::string(100, 'x'), .type = "a/b", .event = "blobs"}) == "503 Retry-After=7");
  CHECK(s.stats().publications == 6);
  s.wait(60s);
  CHECK(s.publish("alice", {.raw = "x", .type = "a/b", .event = "blobs"}).substr(0, 3) == "200");
}

TEST_CASE("OPTIONS lists the methods and the packages in the order of their registration (TV-17, PUB-7-1, EVT-4.4.4-1, GRM-26)") {
  scenario s;
  CHECK(s.options_of("alice") == "200 Allow=PUBLISH, SUBSCRIBE, NOTIFY, OPTIONS Allow-Events=presence, message-summary");
  const effects refused = s.engine->answer_options({.resource = "sip:alice@example.com", .require = "x"}, s.at);
  CHECK(refused.answer.status == 420);
  CHECK(refused.answer.unsupported == "x");
  CHECK(s.engine->answer_options({.resource = "nonsense"}, s.at).answer.status == 400);
}

TEST_CASE("a reply carries the headers of its status and no others (PUB-HDR-1, PUB-4-1, PUB-10.2-1, GRM-25, L15)") {
  scenario s;
  const std::string document = pidf("t1:open");
  const auto answer = [&](publish_request r) {
    r.resource = "sip:alice@example.com";
    r.who.uri = "sip:alice@example.com";
    return s.engine->publish(r, s.at).answer;
  };
  const content_view good{.type = "application/pidf+xml", .bytes = document};
  reply r = answer({.event = "presence", .content = good});
  CHECK(r == reply{.status = 200, .reason = "OK", .expires = 3600, .etag = r.etag});
  CHECK_FALSE(r.dialog);
  CHECK(answer({.event = "presence", .sip_if_match = "x"}) == reply{.status = 412, .reason = "Conditional Request Failed"});
  CHECK(answer({.event = "presence", .expires = 1s, .content = good}) ==
        reply{.status = 423, .reason = "Interval Too Brief", .min_expires = 60});
  CHECK(answer({.event = "x", .content = good}) ==
        reply{.status = 489, .reason = "Bad Event", .allow_events = "presence, message-summary"});
  CHECK(answer({.event = "presence", .content = {.type = "a/b", .bytes = "x"}}) ==
        reply{.status = 415, .reason = "Unsupported Media Type", .accept = "application/pidf+xml"});
}

TEST_CASE("a modification is held to the bytes of its resource, too (SEC-DOS-4)") {
  options settings;
  settings.limits.state_bytes = 100;
  scenario s{{.settings = settings, .packages = {opaque_package("blobs")}}};
  s.publish("alice", {.raw = std::string(40, 'a'), .type = "a/b", .event = "blobs"});
  s.publish("alice", {.raw = std::string(40, 'b'), .type = "a/b", .event = "blobs"});
  CHECK(s.publish("alice", {.raw = std::string(90, 'c'), .type = "a/b", .if_match = "e1", .event = "blobs"}) == "503 Retry-After=5");
  CHECK(s.publish("alice", {.raw = std::string(60, 'c'), .type = "a/b", .if_match = "e1", .event = "blobs"}) == "200 e3 Expires=3600");
}
