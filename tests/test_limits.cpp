// Bounds on what one watcher, one publisher and the rules of one resource may cost (RL7, SEC-DOS): what is counted, in
// which mode, and what who meets a bound is told.
#include <algorithm>

#include "scenario.hpp"

using namespace presence;
using namespace presence::test;

namespace {

bool ok(const std::string& told) { return told.starts_with("200"); }
const std::string full = "503 Retry-After=5";

struct mode {
  const char* name;
  bool durable = true;
  bool fallback = false;
  int db_mode = 1;
  std::size_t states = 0;
};
constexpr mode modes[] = {{"memory", false}, {"write-through"}, {"write-back", true, false, 2}, {"fallback2db", true, true},
                          {"memory for one state", true, true, 1, 1}, {"database only", true, false, 3}};

options settings_in(const mode& m, const limits& most) {
  options o;
  o.limits = most;
  o.fallback2db = m.fallback;
  o.subs_db_mode = m.db_mode;
  o.cache_states = m.states;
  return o;
}

scenario::setup setup_in(const mode& m, const limits& most, memory_storage& rows) {
  return {.settings = settings_in(m, most), .rows = m.durable ? &rows : nullptr};
}

/// A view of its own for each watcher, and a count of how often one was looked through.
struct by_name : view {
  explicit by_name(std::string_view n) : name{n} {}
  bool equals(const view& other) const noexcept override { return name == static_cast<const by_name&>(other).name; }
  std::string name;
};
event_package seen_by_name(std::size_t& looks) {
  event_package p = opaque_package("names", {"a/b"});
  p.req_auth = true;
  p.authorize = [](const authorization_query& q) {
    return authorization{sub_handling::allow, std::make_shared<by_name>(q.watcher.uri)};
  };
  p.authorize_body = [&looks](const body& state, std::string_view, std::span<const published>, const view& v) {
    ++looks;
    if (!state) return state;
    return body{"a/b", static_cast<const by_name&>(v).name.substr(4, 2) + " sees " + std::string{state.bytes()}};
  };
  return p;
}

}  // namespace

TEST_CASE("a watcher has so many subscriptions to one resource and no more, in every mode and after a restart (SEC-DOS-2, RL7)") {
  for (const mode& m : modes) {
    CAPTURE(m.name);
    memory_storage rows;
    scenario s{setup_in(m, {.subscriptions_per_watcher_and_resource = 3}, rows)};
    for (const char* one : {"b1", "b2", "b3"}) CHECK(ok(s.subscribe(one, {.expires = 600s})));
    CHECK(s.subscribe("b4", {.expires = 600s}) == full);
    CHECK(ok(s.subscribe("b5", {.expires = 0s})));  // a fetch takes no room
    CHECK(ok(s.subscribe("b1", {.expires = 600s})));  // nor does a refresh
    CHECK(ok(s.subscribe("b6", {.to = "carol", .expires = 600s})));
    CHECK(ok(s.subscribe("b7", {.expires = 600s, .event = "message-summary"})));
    CHECK(ok(s.subscribe("c1", {.by = "carol", .expires = 600s})));
    CHECK(ok(s.subscribe("f1", {.expires = 600s, .unproven = true})));  // a share of its own
    if (m.durable) {
      CHECK(s.engine->flush(s.at));
      s.restart();
      CHECK(s.subscribe("b4", {.expires = 600s}) == full);
      CHECK(ok(s.subscribe("b2", {.expires = 600s})));
      CHECK(ok(s.subscribe("c2", {.by = "carol", .expires = 600s})));
    }
    CHECK(ok(s.subscribe("b3", {.expires = 0s})));
    CHECK(ok(s.subscribe("b4", {.expires = 600s})));
    CHECK(s.subscribe("b8", {.expires = 600s}) == full);
    s.wait(601s);
    CHECK(ok(s.subscribe("b8", {.expires = 600s})));
  }
}

TEST_CASE("engines that share a database count what each of them let in (SEC-DOS-2, C01)") {
  memory_storage rows;
  const mode& shared = modes[5];
  scenario::setup setup = setup_in(shared, {.subscriptions_per_watcher_and_resource = 3}, rows);
  scenario one{setup};
  setup.seed = 2;
  scenario two{setup};
  CHECK(ok(one.subscribe("b1", {.expires = 600s})));
  CHECK(ok(two.subscribe("b2", {.expires = 600s})));
  CHECK(ok(one.subscribe("b3", {.expires = 600s})));
  CHECK(two.subscribe("b4", {.expires = 600s}) == full);
  CHECK(one.subscribe("b5", {.expires = 600s}) == full);
}

TEST_CASE("who publishes for others has so many documents and no more, in every mode and after a restart (SEC-DOS-4, RL7)") {
  for (const mode& m : modes) {
    CAPTURE(m.name);
    memory_storage rows;
    scenario::setup setup = setup_in(m, {.publications_per_publisher = 2}, rows);
    setup.hooks.may_publish = [](const identity&, std::string_view, std::string_view) { return true; };
    scenario s{std::move(setup)};
    const bool across = !s.given.settings.fallback2db && s.given.settings.subs_db_mode != 3;  // elsewhere what is in memory is counted
    CHECK(ok(s.publish("alice", {.body = "t1:open", .expires = 600s, .by = "gate"})));
    CHECK(ok(s.publish(across ? "bob" : "alice", {.body = "t1:open", .expires = 600s, .by = "gate"})));
    const std::string third = across ? "carol" : "alice";
    CHECK(s.publish(third, {.body = "t1:open", .by = "gate"}) == full);
    CHECK(ok(s.publish("gate", {.body = "t1:open"})));                  // for himself
    CHECK(ok(s.publish("alice", {.body = "t2:open"})));                 // by herself
    CHECK(ok(s.publish("alice", {.body = "t3:open", .by = "-"})));      // by nobody in particular
    CHECK(ok(s.publish("alice", {.body = "t3:open", .by = "other"})));  // a share of its own
    const std::string uri = address(third), document = pidf("t4:open", uri);
    CHECK(s.engine->update_presentity({.resource = uri, .event = "presence", .content = {.type = "application/pidf+xml", .bytes = document},
                                       .who = {.uri = "sip:gate@example.com"}}, s.at).answer.status == 200);  // the host's own
    CHECK(ok(s.publish("alice", {.body = "t1:closed", .if_match = "e1", .expires = 600s, .by = "gate"})));
    CHECK(s.publish(third, {.body = "t1:open", .by = "gate"}) == full);
    if (m.durable) {
      CHECK(s.engine->flush(s.at));
      s.restart();
      CHECK(s.publish(third, {.body = "t1:open", .by = "gate"}) == full);
      CHECK(ok(s.publish("alice", {.if_match = s.tags.back(), .expires = 600s, .by = "gate"})));
      CHECK(s.publish(third, {.body = "t1:open", .by = "gate"}) == full);
    }
    CHECK(ok(s.publish("alice", {.if_match = s.tags.back(), .expires = 0s, .by = "gate"})));
    CHECK(ok(s.publish(third, {.body = "t1:open", .expires = 600s, .by = "gate"})));
    CHECK(s.publish(third, {.body = "t1:open", .by = "gate"}) == full);
    s.wait(601s);
    CHECK(ok(s.publish(third, {.body = "t1:open", .by = "gate"})));
  }
}

TEST_CASE("a publisher is one whatever the spelling of his address (SEC-DOS-4)") {
  scenario::setup setup{.settings = {.limits = {.publications_per_publisher = 1}}};
  setup.hooks.may_publish = [](const identity&, std::string_view, std::string_view) { return true; };
  scenario s{std::move(setup)};
  CHECK(ok(s.publish("alice", {.body = "t1:open", .by = "sip:gate@example.com"})));
  CHECK(s.publish("alice", {.body = "t1:open", .by = "sip:gate@EXAMPLE.com;transport=tcp"}) == full);
  CHECK(ok(s.publish("alice", {.body = "t1:open", .by = "sip:Gate@example.com"})));
}

TEST_CASE("documents of views that are not kept are told all the same (SEC-DOS-4, N23)"
          * not_in("database_only", "nothing that was composed or parsed stays")) {
  std::string told[3];
  std::uint32_t bytes[3] = {};
  std::size_t looks[3] = {}, fresh_looks[3] = {};
  const std::size_t kept[] = {64, 3, 0};
  for (int i = 0; i < 3; ++i) {
    scenario::setup setup{.settings = {.limits = {.views_kept = kept[i]}}, .packages = {seen_by_name(looks[i])}};
    setup.hooks.trace = [&](const traced_access& access) { bytes[i] = access.bytes; };
    scenario s{std::move(setup)};
    const auto say = [&](const std::string& line) { (told[i] += line) += '\n'; };
    for (char who = '0'; who <= '9'; ++who)
      say(s.subscribe(std::string{"d"} + who, {.by = std::string{"w"} + who, .expires = 600s, .event = "names"}));
    say(s.publish("alice", {.raw = std::string(500, 'x'), .type = "a/b", .expires = 300s, .event = "names"}));
    say(s.publish("alice", {.raw = std::string(500, 'y'), .type = "a/b", .if_match = "e1", .expires = 300s, .event = "names"}));
    const std::size_t before = looks[i];
    say(s.subscribe("d7", {.expires = 600s}));
    fresh_looks[i] = looks[i] - before;
    s.answers = false;
    say(s.publish("alice", {.raw = "1", .type = "a/b", .if_match = "e2", .expires = 300s, .event = "names"}));
    say(s.publish("alice", {.raw = std::string(500, 'z'), .type = "a/b", .if_match = "e3", .expires = 300s, .event = "names"}));
    for (char who = '0'; who <= '9'; ++who) {  // each is told what he missed
      const std::string name = std::string{"d"} + who;
      say(s.outcome(name, static_cast<int>(s.dialogs[name].notifies.size()), 200));
    }
    s.answers = true;
    say(s.subscribe("d9", {.expires = 0s}));
    say(s.wait(300s));
    s.publish("alice", {.raw = std::string(500, 'x'), .type = "a/b", .event = "names"});
  }
  CHECK(told[0].find("[w9 sees 1]") != std::string::npos);
  CHECK(told[0] == told[1]);
  CHECK(told[0] == told[2]);
  CHECK(fresh_looks[0] == 0);  // a SUBSCRIBE costs one look, however many views there are
  CHECK(fresh_looks[1] == 1);
  CHECK(fresh_looks[2] == 1);
  CHECK(bytes[0] > bytes[1] + 6 * 500);
  CHECK(bytes[1] > bytes[2] + 3 * 500);
}

TEST_CASE("who gives up as the rules turn gives up, however little advance() may look at (M04, M10, Z11)" *
          not_in("database_only", "what is due is looked for once in a second")) {
  // deadlines that were far ahead are sorted once more as they come near, each at the price of a look; that of the rules was
  // always near, and the scenario begins where such a block of 256 ms begins
  scenario s{{.settings = {.waiting_limit = 32s, .advance_budget = 1}, .winfo = true, .by_rules = true}};
  s.rules_text = ruleset_of(rule_of("", "confirm"));
  s.subscribe("d9", {.by = "alice", .expires = 3000s, .event = "presence.winfo"});
  s.at += 200ms;
  for (const char* who : {"bob", "carol", "dave", "erin", "frank", "grace"}) s.subscribe(who, {.by = who, .expires = 0s});
  s.at += 31'900ms;
  CHECK(s.told(s.engine->advance(s.at)) == "");
  const char* const validity = "<validity><from>2023-11-14T22:13:52.200Z</from><until>2023-11-14T23:00:00Z</until></validity>";
  s.rules_text = ruleset_of(rule_of("", "confirm") + rule_of(validity, "allow"));
  CHECK(s.told(s.engine->update_watchers(address("alice"), "presence", s.at)) == "");
  s.at += 100ms;
  const std::string all = s.advance();
  CAPTURE(all);
  CHECK(all.find("approved") == std::string::npos);
  CHECK(s.stats().undecided == 0);
}
