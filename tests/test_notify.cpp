// NOTIFYs: what they carry, when they wait, and what their answers do (RFC 6665 section 4.2.2;
// features E3, E8).
#include "scenario.hpp"

#include <algorithm>
#include <stdexcept>

#include <presence/memory_storage.hpp>

using namespace presence;
using namespace presence::test;

namespace {

/// A package whose documents tell the version they were made for.
event_package versioned(std::string name) {
  event_package package = opaque_package(std::move(name));
  package.neutral = [](std::string_view) { return body{"a/b", "-"}; };
  package.tailor = [](const body& state, const watcher_view& view) {
    return body{"a/b", "v" + std::to_string(view.version) + (view.full ? "F " : "P ") + std::string{state.bytes()}};
  };
  return package;
}

publish_step text(const char* bytes, const char* event, const char* tag = "") {
  return {.raw = bytes, .type = "a/b", .if_match = tag, .event = event};
}

}  // namespace

// --- Subscription-State -----------------------------------------------------------------------------

TEST_CASE("Subscription-State has expires while it lives and a reason when it ends (N04, N05, N06, EVT-4.2.2-2 to -6, GRM-20, GRM-24)") {
  struct row {
    notify n;
    const char* value;
  };
  using enum end_reason;
  constexpr auto ended = subscription_state::terminated;
  const row rows[] = {
      {{.state = subscription_state::active, .expires = 590}, "active;expires=590"},
      {{.state = subscription_state::pending, .expires = 4294967295u}, "pending;expires=4294967295"},
      {{.state = subscription_state::active, .reason = timeout, .expires = 5, .retry_after = 9}, "active;expires=5"},
      {{.state = ended, .reason = timeout, .expires = 5}, "terminated;reason=timeout"},
      {{.state = ended, .reason = deactivated, .retry_after = 9}, "terminated;reason=deactivated"},
      {{.state = ended, .reason = probation}, "terminated;reason=probation"},
      {{.state = ended, .reason = probation, .retry_after = 120}, "terminated;reason=probation;retry-after=120"},
      {{.state = ended, .reason = rejected, .retry_after = 120}, "terminated;reason=rejected"},
      {{.state = ended, .reason = giveup, .retry_after = 1}, "terminated;reason=giveup;retry-after=1"},
      {{.state = ended, .reason = noresource, .retry_after = 1}, "terminated;reason=noresource"},
      {{.state = ended, .reason = invariant, .retry_after = 1}, "terminated;reason=invariant"},
      {{.state = ended}, "terminated"},
  };
  for (const row& row : rows) CHECK(row.n.subscription_state_value() == row.value);
}

TEST_CASE("the remaining time is rounded down (EVT-4.2.2-4)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  s.at += 1ms;
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600 | N d1#2 active;expires=599 P(t1:open)");
}

TEST_CASE("a time that is over never wraps (D2-27)") {
  scenario s;
  s.subscribe("d1", {.expires = 60s});
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.at += 1h;
  CHECK(s.publish("alice", {.body = "t2:open"}) == "200 e2 Expires=3600");
  CHECK(s.wait(0s) == "N d1#3 terminated;reason=timeout");
  s.at -= 2h;  // a clock that runs backwards revives nobody and ends nobody (M09)
  CHECK(s.publish("alice", {.body = "t2:open", .if_match = "e1"}) == "412");
  CHECK(s.subscribe("d2", {.by = "carol", .expires = 60s}) == "200 Expires=60 | N d2#1 active;expires=60 P(t2:open)");
}

// --- outcomes ---------------------------------------------------------------------------------------

TEST_CASE("each answer to a NOTIFY ends the subscription or does not (TV-06; N11-N13, EVT-4.2.2-7 to -10, -12, -13, DELTA-3, D2-15)"
          * not_in("sqlite postgres mariadb", "thousands of engines, a minute there")) {
  const std::vector<int> ending{404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604};
  for (const bool timeout_ends : {true, false}) {
    for (int status = 0; status < 700; ++status) {
      if (status > 0 && status < 100) continue;
      CAPTURE(status);
      CAPTURE(timeout_ends);
      scenario s{{.settings = {.timeout_rm_subs = timeout_ends}}};
      s.answers = false;
      s.subscribe("d1", {.expires = 600s});
      CHECK(s.outcome("d1", 1, status) == "");
      const bool ends = std::count(ending.begin(), ending.end(), status) != 0 || (timeout_ends && (status == 0 || status == 408));
      const bool waits = s.given.settings.subs_db_mode != 3;
      const bool undecided = waits && ((status >= 100 && status < 200) || status == 401 || status == 407);
      CHECK(s.stats().failed_notifies == (ends ? 1 : 0));
      s.wait_until(5s);
      CHECK(s.publish("alice", {.body = "t1:open"}) ==
            (ends || undecided ? "200 e1 Expires=3600" : "200 e1 Expires=3600 | N d1#2 active;expires=595 P(t1:open)"));
      if (undecided) CHECK(s.outcome("d1", 1, 200) == "N d1#2 active;expires=595 P(t1:open)");
    }
  }
}

TEST_CASE("what one watcher answers is nothing to another (N16)") {
  scenario s;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  s.answers = false;
  s.publish("alice", {.body = "t1:open"});
  CHECK(s.outcome("d1", 2, 0) == "");
  CHECK(s.outcome("d2", 2, 200) == "");
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600 | N d2#3 active;expires=600 P(t1:closed)");
}

TEST_CASE("an answer that is late, doubled or to nothing we sent does nothing (HOST-5)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
  scenario s;
  s.answers = false;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d1", {.expires = 600s});
  CHECK(s.outcome("d1", 1, 200) == "");  // not the newest
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600");  // so it still waits
  CHECK(s.outcome("d1", 2, 200) == "N d1#3 active;expires=600 P(t1:open)");
  CHECK(s.outcome("d1", 2, 200) == "");
  CHECK(s.outcome("d1", 3, 200) == "");
  CHECK(s.outcome("d1", 3, 200) == "");
  s.subscribe("d1", {.expires = 0s});
  for (int n = 1; n <= 4; ++n) CHECK(s.outcome("d1", n, 481) == "");
  s.subscribe("d2", {.by = "carol", .expires = 600s});  // takes the place of the one that ended
  for (int n = 1; n <= 4; ++n) CHECK(s.outcome("d1", n, 481) == "");
  seeded_random random{5};
  for (int i = 0; i < 5000; ++i) {
    std::uint8_t bytes[13];
    random.fill(bytes);
    const notify_id id{bytes[0] % 4u, bytes[1] % 8u, bytes[2] % 5u};
    if (id == s.dialogs["d2"].notifies[0].id) continue;
    REQUIRE(s.told(s.engine->report({.id = id, .status = bytes[3] * 3}, s.at)) == "");
  }
  CHECK(s.stats().subscriptions == 1);
}

TEST_CASE("one NOTIFY is open per dialog; the latest state follows its answer (HOST-12, N10)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
  scenario s;
  s.answers = false;
  s.subscribe("d1", {.expires = 600s});
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600");
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600");
  CHECK(s.publish("alice", {.body = "t2:open", .if_match = "e2"}) == "200 e3 Expires=3600");
  CHECK(s.stats().coalesced == 3);
  SUBCASE("an answer brings the latest state, once") {
    CHECK(s.outcome("d1", 1, 200) == "N d1#2 active;expires=600 P(t2:open)");
    CHECK(s.outcome("d1", 2, 200) == "");
  }
  SUBCASE("so does an answer that is no success and no end") {
    CHECK(s.outcome("d1", 1, 503) == "N d1#2 active;expires=600 P(t2:open)");
  }
  SUBCASE("a refresh is never held, and pays") {
    CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#2 active;expires=600 P(t2:open)");
    CHECK(s.outcome("d1", 1, 200) == "");
    CHECK(s.outcome("d1", 2, 200) == "");
  }
  SUBCASE("nor is the end") {
    CHECK(s.subscribe("d1", {.expires = 0s}) == "200 Expires=0 | N d1#2 terminated;reason=timeout P(t2:open)");
    CHECK(s.outcome("d1", 1, 200) == "");
  }
  SUBCASE("nor is a lapse") {
    CHECK(s.wait(600s) == "N d1#2 terminated;reason=timeout");
    CHECK(s.outcome("d1", 1, 200) == "");
  }
  SUBCASE("an answer after the time is up brings nothing but the end") {
    s.at += 600s;
    CHECK(s.outcome("d1", 1, 200) == "");
    CHECK(s.wait(0s) == "N d1#2 terminated;reason=timeout");
  }
  SUBCASE("another usage of the dialog does not wait for it") {
    CHECK(s.subscribe("d1", {.expires = 600s, .event = "message-summary"}) == "200 Expires=600 | N d1#2 active;expires=600");
  }
}

TEST_CASE("a change that was taken back while a NOTIFY was open is still told truly (HOST-12, PROP-7)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
  scenario s;
  s.answers = false;
  s.subscribe("d1", {.expires = 600s});
  s.publish("alice", {.body = "t1:open"});
  s.publish("alice", {.if_match = "e1", .expires = 0s});
  CHECK(s.outcome("d1", 1, 200) == "N d1#2 active;expires=600 P()");
}

// --- what is in them --------------------------------------------------------------------------------

TEST_CASE("pending and lapsed watchers get no body (N07, PRS-6.7-3, N31, EVT-4.2.1.4-5)") {
  scenario s{{.authorized = true}};
  s.policy["bob"] = sub_handling::confirm;
  s.publish("alice", {.body = "t1:open"});
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 pending;expires=600");
  CHECK(s.subscribe("d1", {.expires = 60s}) == "200 Expires=60 | N d1#2 pending;expires=60");
  CHECK_FALSE(s.dialogs["d1"].notifies[1].content);
  CHECK(s.wait(60s) == "N d1#3 terminated;reason=timeout");
}

TEST_CASE("a package without a neutral document sends no body when nothing is published (N30, EVT-4.2.1.2-3)") {
  event_package open = opaque_package("open");
  open.neutral = [](std::string_view resource) { return body{"a/b", "nothing of " + std::string{resource}}; };
  scenario s{{.packages = {open}}};
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "message-summary"}) == "200 Expires=600 | N d1#1 active;expires=600");
  CHECK(s.subscribe("d2", {.expires = 600s, .event = "open"}) ==
        "200 Expires=600 | N d2#1 active;expires=600 [nothing of sip:alice@example.com]");
}

TEST_CASE("a NOTIFY is labelled with the type that was published (D2-13, N25)") {
  scenario s{{.packages = {opaque_package("any")}}};
  s.subscribe("d1", {.expires = 600s, .event = "any"});
  s.publish("alice", {.raw = "x", .type = "image/png;a=b", .event = "any"});
  CHECK(s.dialogs["d1"].notifies.back().content.content_type() == "image/png;a=b");
}

TEST_CASE("a package's own header lines come with every NOTIFY (N01, N26)") {
  event_package headed = opaque_package("headed");
  headed.notify_headers = "X-Kind: a\r\nX-More: b\r\n";
  scenario s{{.packages = {headed}}};
  s.subscribe("d1", {.expires = 600s, .event = "headed"});
  CHECK(s.dialogs["d1"].notifies[0].dialog.headers() == "X-Kind: a\r\nX-More: b\r\n");
}

TEST_CASE("a package may make a body for each watcher, or leave the shared one (N24)") {
  event_package personal = opaque_package("personal");
  personal.tailor = [](const body& state, const watcher_view& view) -> std::optional<body> {
    if (view.dialog.watcher() != "sip:carol@example.com") return std::nullopt;
    return body{"a/b", std::string{state.bytes()} + " for carol"};
  };
  scenario s{{.packages = {personal}}};
  s.subscribe("d1", {.expires = 600s, .event = "personal"});
  s.subscribe("d2", {.by = "carol", .expires = 600s, .event = "personal"});
  s.subscribe("d3", {.by = "dave", .expires = 600s, .event = "personal"});
  CHECK(s.publish("alice", text("x", "personal")) ==
        "200 e1 Expires=3600 | N d1#2 active;expires=600 [x] | N d2#2 active;expires=600 [x for carol] | N d3#2 active;expires=600 [x]");
  CHECK(s.dialogs["d1"].notifies[1].content.bytes().data() == s.dialogs["d3"].notifies[1].content.bytes().data());  // N23
}

TEST_CASE("the state is composed once per change, however many watch (N23)"
          * not_in("database_only", "nothing that was composed or parsed stays")) {
  int composed = 0;
  event_package counted = opaque_package("counted");
  counted.aggregate = [&](std::string_view, std::span<const published> all) {
    ++composed;
    return body{"a/b", std::string{all.back().content.bytes()}};
  };
  scenario s{{.packages = {counted}}};
  for (int i = 0; i < 50; ++i) s.subscribe("d" + std::to_string(i), {.by = "w" + std::to_string(i), .expires = 600s, .event = "counted"});
  s.publish("alice", text("1", "counted"));
  composed = 0;
  s.publish("alice", text("2", "counted", "e1"));
  CHECK(composed == 1);
  s.publish("alice", {.if_match = "e2", .event = "counted"});
  CHECK(composed == 1);
}

TEST_CASE("versions count the documents of each subscription alone, without gaps (N22, EVT-5.3.2-1, PROP-3, EVT-4.2.1.2-5)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
  scenario s{{.packages = {versioned("counted")}}};
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "counted"}) == "200 Expires=600 | N d1#1 active;expires=600 [v0F -]");
  CHECK(s.publish("alice", text("a", "counted")) == "200 e1 Expires=3600 | N d1#2 active;expires=600 [v1P a]");
  CHECK(s.publish("alice", text("a", "counted", "e1")) == "200 e2 Expires=3600");  // nothing new
  CHECK(s.subscribe("d2", {.by = "carol", .expires = 600s, .event = "counted"}) == "200 Expires=600 | N d2#1 active;expires=600 [v0F a]");
  s.answers = false;
  CHECK(s.publish("alice", text("b", "counted", "e2")) ==
        "200 e3 Expires=3600 | N d1#3 active;expires=600 [v2P b] | N d2#2 active;expires=600 [v1P b]");
  s.publish("alice", text("c", "counted", "e3"));
  s.publish("alice", text("d", "counted", "e4"));  // two changes, one document
  CHECK(s.outcome("d1", 3, 500) == "N d1#4 active;expires=600 [v3P d]");
  CHECK(s.outcome("d2", 2, 200) == "N d2#3 active;expires=600 [v2P d]");
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#5 active;expires=600 [v4F d]");
  CHECK(s.subscribe("d1", {.expires = 0s}) == "200 Expires=0 | N d1#6 terminated;reason=timeout [v5F d]");
}

TEST_CASE("packages the SIP stack does not know count their versions apart (D2-11, D2-12)") {
  scenario s{{.packages = {versioned("conference"), versioned("reg"), versioned("x-own")}}};
  for (const char* event : {"conference", "reg", "x-own"}) {
    CAPTURE(event);
    CHECK(s.subscribe(event, {.expires = 600s, .event = event}) ==
          "200 Expires=600 | N " + std::string{event} + "#1 active;expires=600 [v0F -]");
  }
  s.publish("alice", text("a", "conference"));
  CHECK(s.publish("alice", text("a", "reg")).find("N reg#2 active;expires=600 [v1P a]") != std::string::npos);
  CHECK(s.publish("alice", text("b", "conference", "e1")).find("N conference#3 active;expires=600 [v2P b]") != std::string::npos);
  CHECK(s.publish("alice", text("a", "x-own")).find("N x-own#2 active;expires=600 [v1P a]") != std::string::npos);
}

TEST_CASE("CSeq and versions go on after a restart: without a gap after a clean end, higher after a crash (N09, HOST-11)") {
  memory_storage rows;
  scenario s{{.rows = &rows, .packages = {versioned("counted")}}};
  s.subscribe("d1", {.expires = 3600s, .event = "counted"});
  s.publish("alice", text("a", "counted"));
  REQUIRE(s.engine->flush(s.at));
  s.restart();
  CHECK(s.publish("alice", text("b", "counted", "e1")) == "200 e2 Expires=3600 | N d1#3 active;expires=3600 [v2P b]");
  CHECK(s.dialogs["d1"].notifies.back().cseq == 3);
  s.restart();  // no flush
  s.publish("alice", text("c", "counted", "e2"));
  CHECK(s.dialogs["d1"].notifies.back().cseq > 3);
  CHECK(s.dialogs["d1"].notifies.size() == 4);
}

// --- time -------------------------------------------------------------------------------------------

TEST_CASE("an engine with nothing to do says so, and otherwise says when (M01, M05)"
          * not_in("write_through write_back fallback2db bounded database_only", "rows are cleaned, and looked at for what is due")) {
  scenario s;
  CHECK_FALSE(s.engine->next_deadline());
  s.publish("alice", {.body = "t1:open", .expires = 100s});
  s.subscribe("d1", {.expires = 200s});
  // the moments come closer and are never late
  for (int looks = 0; s.engine->next_deadline() && *s.engine->next_deadline() < start + 100s; ++looks) {
    REQUIRE(looks < 5);
    REQUIRE(s.told(s.engine->advance(*s.engine->next_deadline())) == "");
  }
  CHECK(s.engine->next_deadline() == start + 100s);
  CHECK(s.wait_until(199s) == "N d1#2 active;expires=100 P()");
  CHECK(s.wait_until(200s) == "N d1#3 terminated;reason=timeout");
  CHECK_FALSE(s.engine->next_deadline());
  CHECK(s.engine->stats().resources == 0);
}

TEST_CASE("deadlines are exact to the millisecond (M05)"
          * not_in("database_only", "what is due is looked for once a second")) {
  scenario s;
  for (int i = 0; i < 300; ++i) {
    s.at = start + i * 7ms;
    s.subscribe("d" + std::to_string(i), {.by = "w" + std::to_string(i), .expires = 60s});
  }
  for (int i = 0; i < 300; ++i) {
    const instant due = start + i * 7ms + 60s;
    REQUIRE(s.told(s.engine->advance(due - 1ms)) == "");
    REQUIRE(s.told(s.engine->advance(due)) == "N d" + std::to_string(i) + "#2 terminated;reason=timeout");
  }
}

TEST_CASE("what lapsed while no engine ran ends at a measured rate, and requests see at once that it has (M07, M11, T19)") {
  for (const int mode : {1, 3}) {
    CAPTURE(mode);
    memory_storage rows;
    options settings;
    settings.advance_rate = 100;
    settings.advance_budget = 30;
    settings.subs_db_mode = mode;
    scenario s{{.settings = settings, .rows = &rows}};
    for (int i = 0; i < 250; ++i) s.subscribe("d" + std::to_string(i), {.to = "p" + std::to_string(i), .expires = 60s});
    s.publish("late", {.body = "t1:open", .expires = 61s});
    REQUIRE(s.engine->flush(s.at));
    s.at += 3600s;
    s.restart();
    CHECK(s.publish("late", {.if_match = "e1"}) == "412");
    CHECK(s.subscribe("d249", {.to = "p249", .expires = 60s}) == "481");
    std::vector<std::size_t> told;
    for (const instant begun = s.at; told.size() < 4;) {
      std::size_t count = 0;
      for (bool more = true; more;) {
        const effects out = s.engine->advance(s.at);
        CHECK(out.notifies.size() <= 30);
        count += out.notifies.size();
        more = out.more;
      }
      told.push_back(count);
      const auto next = s.engine->next_deadline();
      REQUIRE(next);
      CHECK(*next > s.at);
      if (told.size() < 3) CHECK(*next == begun + seconds{told.size()});
      s.at = std::max(*next, begun + seconds{told.size()});
    }
    CHECK(told == std::vector<std::size_t>{99, 100, 51, 0});  // the publication is one of the first hundred
  }
}

TEST_CASE("much that is due at once comes in slices and is told once (M07)") {
  options settings;
  settings.advance_budget = 10;
  scenario s{{.settings = settings}};
  for (int i = 0; i < 25; ++i) {
    const std::string n = std::to_string(i);
    s.publish("p" + n, {.body = "t1:open", .expires = 100s});
    s.subscribe("d" + n, {.to = "p" + n, .expires = 100s});
  }
  s.at += 100s;
  std::size_t told = 0;
  for (int slices = 1;; ++slices) {
    const effects out = s.engine->advance(s.at);
    s.audit();
    CHECK(out.notifies.size() <= 10);
    for (const notify& n : out.notifies) CHECK(n.state == subscription_state::terminated);
    told += out.notifies.size();
    if (out.more) continue;
    CHECK(slices >= 5);
    break;
  }
  CHECK(told == 25);
  CHECK(s.stats().expired_publications == 25);
  CHECK(s.stats().expired_subscriptions == 25);
}

TEST_CASE("times lie beyond the year 2038 and beyond 2106 (M12)") {
  for (const std::int64_t year_start : {2147483640LL, 4294967290LL, 253402300700LL}) {
    CAPTURE(year_start);
    memory_storage rows;
    scenario s{{.rows = &rows}};
    s.at = instant{seconds{year_start}};
    s.subscribe("d1", {.expires = 600s});
    s.publish("alice", {.body = "t1:open", .expires = 60s});
    s.restart();
    const auto run = [&](seconds duration) {
      s.at += duration;
      return s.told(s.engine->advance(s.at));
    };
    CHECK(run(59s) == "");
    CHECK(run(1s) == "N d1#3 active;expires=540 P()");
    CHECK(run(540s) == "N d1#4 terminated;reason=timeout");
  }
}

TEST_CASE("less than a second left is never told as active (EVT-4.2.2-4)") {
  scenario s;
  s.subscribe("d1", {.expires = 60s});
  s.at += 59s + 600ms;
  s.publish("alice", {.body = "t1:open"});
  s.wait(1s);
  for (const notify& n : s.dialogs["d1"].notifies)
    CHECK((n.state == subscription_state::terminated || n.expires > 0));
}

TEST_CASE("a document that cannot be composed does not stop the clock for others (L11, M04, M05)") {
  bool broken = false;
  event_package fragile = opaque_package("fragile");
  fragile.aggregate = [&](std::string_view, std::span<const published>) -> body {
    if (broken) throw std::runtime_error{"broken"};
    return body{"a/b", "x"};
  };
  scenario s{{.packages = {fragile}}};
  s.subscribe("d1", {.expires = 600s, .event = "fragile"});
  s.publish("alice", {.raw = "x", .type = "a/b", .expires = 60s, .event = "fragile"});
  s.subscribe("d2", {.by = "carol", .expires = 100s});
  broken = true;
  s.at += 100s;
  const std::string told = s.told(s.engine->advance(s.at));
  CHECK(told.find("N d2#2 terminated;reason=timeout") != std::string::npos);
  CHECK(s.engine->next_deadline() > s.at);  // a host that obeys it does not spin
}

TEST_CASE("a change after a removal composes once (N23)"
          * not_in("database_only", "nothing that was composed or parsed stays")) {
  int composed = 0;
  event_package counted = opaque_package("counted");
  counted.aggregate = [&](std::string_view, std::span<const published> all) {
    ++composed;
    std::string text;
    for (const published& p : all)
      if (!p.leaving) text += p.content.bytes();
    return body{"a/b", text};
  };
  scenario s{{.packages = {counted}}};
  s.subscribe("d1", {.expires = 600s, .event = "counted"});
  for (const char* text : {"1", "2"}) s.publish("alice", {.raw = text, .type = "a/b", .event = "counted"});
  s.publish("alice", {.if_match = "e1", .expires = 0s, .event = "counted"});
  composed = 0;
  s.publish("alice", {.raw = "3", .type = "a/b", .if_match = "e2", .event = "counted"});
  CHECK(composed == 1);
}

TEST_CASE("changes are told at most every notify_interval, the last one always; a SUBSCRIBE and the end are told at once (PRS-6.10-1, N20)"
          * not_in("database_only", "notify_interval is refused")) {
  scenario s{{.settings = {.notify_interval = 5s}}};
  s.subscribe("d1", {.expires = 600s});
  s.wait(10s);
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600 | N d1#2 active;expires=590 P(t1:open)");  // after a pause
  s.wait(1s);
  CHECK(s.publish("alice", {.body = "t2:open", .if_match = "e1"}) == "200 e2 Expires=3600");
  s.wait(1s);
  CHECK(s.publish("alice", {.body = "t3:open", .if_match = "e2"}) == "200 e3 Expires=3600");
  CHECK(s.engine->next_deadline() <= s.at + 3s);
  CHECK(s.wait(2s) == "");
  CHECK(s.wait(1s) == "N d1#3 active;expires=585 P(t3:open)");
  CHECK(s.publish("alice", {.body = "t4:open", .if_match = "e3"}) == "200 e4 Expires=3600");
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#4 active;expires=600 P(t4:open)");
  CHECK(s.wait(60s) == "");  // that was all he was owed
  s.publish("alice", {.body = "t5:open", .if_match = "e4"});
  s.publish("alice", {.body = "t6:open", .if_match = "e5"});
  CHECK(s.subscribe("d1", {.expires = 0s}) == "200 Expires=0 | N d1#6 terminated;reason=timeout P(t6:open)");
  s.audit();
}

TEST_CASE("what came while a NOTIFY was open waits for its time as well (PRS-6.10-1, HOST-12)"
          * not_in("database_only", "notify_interval is refused")) {
  scenario s{{.settings = {.notify_interval = 5s}}};
  s.subscribe("d1", {.expires = 600s});
  s.wait(10s);
  s.answers = false;
  s.publish("alice", {.body = "t1:open"});
  s.publish("alice", {.body = "t2:open", .if_match = "e1"});
  s.wait(1s);
  CHECK(s.outcome("d1", 2, 200) == "");
  CHECK(s.wait(4s) == "N d1#3 active;expires=585 P(t2:open)");
  s.wait(5s);
  CHECK(s.outcome("d1", 3, 200) == "");
  CHECK(s.publish("alice", {.body = "t3:open", .if_match = "e2"}) == "200 e3 Expires=3600 | N d1#4 active;expires=580 P(t3:open)");
}

TEST_CASE("watcher information keeps the interval too, and what is told late is a full document (PRS-6.10-1, WIN-58-7)"
          * not_in("database_only", "notify_interval is refused")) {
  scenario s{{.settings = {.notify_interval = 5s}, .authorized = true, .winfo = true}};
  s.subscribe("d9", {.by = "alice", .expires = 3600s, .event = "presence.winfo"});
  s.wait(5s);
  CHECK(s.subscribe("d1", {.expires = 600s}) ==
        "200 Expires=600 | N d1#1 active;expires=600 P() | N d9#2 active;expires=3595 W1 partial(w1:active:subscribe:bob:600:0)");
  CHECK(s.subscribe("d1", {.expires = 0s}) == "200 Expires=0 | N d1#2 terminated;reason=timeout P()");
  CHECK(s.subscribe("d2", {.by = "carol", .expires = 600s}) == "200 Expires=600 | N d2#1 active;expires=600 P()");
  CHECK(s.wait(5s) == "N d9#3 active;expires=3590 W2 full(w1:terminated:timeout:bob:-:5,w2:active:subscribe:carol:595:5)");
}
