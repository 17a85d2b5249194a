// Who may watch: decisions, changed decisions, undecided watchers, what is not given away
// (features E5 as far as the engine asks, M10; conformance 2.4, 6.2, 19.2).
#include "scenario.hpp"

#include <algorithm>
#include <stdexcept>

#include <presence/memory_storage.hpp>

#include "faulty_storage.hpp"

using namespace presence;
using namespace presence::test;

namespace {

using enum sub_handling;

struct ruled : scenario {
  explicit ruled(setup s = {}) : scenario{[&] { s.authorized = true; return std::move(s); }()} {}
};

}  // namespace

TEST_CASE("each decision answers at once: 403, pending, a neutral document, the state (EVT-4.2.1.1-1, -7, EVT-4.2.1.3-1, -3, HOST-9, S01, POL-5025-sub-2)") {
  struct row {
    sub_handling handling;
    const char* told;
  };
  const row rows[] = {{block, "403"},
                      {confirm, "200 Expires=600 | N d1#1 pending;expires=600"},
                      {polite_block, "200 Expires=600 | N d1#1 active;expires=600 P()"},
                      {allow, "200 Expires=600 | N d1#1 active;expires=600 P(t1:open)"}};
  for (const row& row : rows) {
    CAPTURE(to_string(row.handling));
    ruled s;
    s.publish("alice", {.body = "t1:open"});
    s.policy["bob"] = row.handling;
    CHECK(s.subscribe("d1", {.expires = 600s}) == row.told);
    CHECK(s.stats().subscriptions == (row.handling == block ? 0 : 1));
  }
}

TEST_CASE("each change of a decision about a live watcher is told as the table says (EVT-4.1.3-rejected, -probation, EVT-4.2.1.3-4, POL-CHG-1, N05, G01, SEED-13, TRAP-6)") {
  struct row {
    sub_handling before, after;
    const char* told;
  };
  const row rows[] = {
      {confirm, block, "N d1#2 terminated;reason=rejected"},
      {confirm, confirm, ""},
      {confirm, polite_block, "N d1#2 active;expires=590 P()"},
      {confirm, allow, "N d1#2 active;expires=590 P(t1:open)"},
      {polite_block, block, "N d1#2 terminated;reason=rejected"},
      {polite_block, confirm, "N d1#2 terminated;reason=probation"},
      {polite_block, polite_block, ""},
      {polite_block, allow, "N d1#2 active;expires=590 P(t1:open)"},
      {allow, block, "N d1#2 terminated;reason=rejected"},
      {allow, confirm, "N d1#2 terminated;reason=probation"},
      {allow, polite_block, "N d1#2 active;expires=590 P()"},
      {allow, allow, ""},
  };
  for (const bool by_refresh : {false, true}) {
    for (const row& row : rows) {
      CAPTURE(to_string(row.before));
      CAPTURE(to_string(row.after));
      CAPTURE(by_refresh);
      memory_storage rows_behind;
      ruled s{{.rows = &rows_behind}};
      s.publish("alice", {.body = "t1:open"});
      s.policy["bob"] = row.before;
      s.subscribe("d1", {.expires = 600s});
      s.wait(10s);
      const std::string told = row.told;
      const bool ends = told.find("terminated") != std::string::npos;
      if (by_refresh) {
        // a refresh is decided again, too (SEC-AUTH-2, EVT-4.2.1.4-6)
        s.policy["bob"] = row.after;
        const std::string got = s.subscribe("d1", {.expires = 590s});
        if (row.after == block) CHECK(got == "403 | " + told);
        else if (ends) CHECK(got == "200 Expires=0 | " + told);
        else CHECK(got.substr(0, 18) == "200 Expires=590 | ");
      } else {
        const bool knows = s.given.settings.subs_db_mode != 3;  // which view he was told
        if (knows || row.before != row.after) CHECK(s.decide("bob", row.after) == told);
        if (knows) CHECK(s.decide("bob", row.after) == "");  // the same decision again is no change
      }
      CHECK(s.stats().subscriptions == (ends ? 0 : 1));
      // what is in force now also is after a restart
      const std::string next = s.publish("alice", {.body = "t1:closed", .if_match = "e1"});
      s.restart();
      const std::string after = s.publish("alice", {.body = "t1:open", .if_match = "e2"});
      CHECK((next.find(" | N d1") != std::string::npos) == (after.find(" | N d1") != std::string::npos));
      CHECK((next.find(" | N d1") != std::string::npos) ==
            (!ends && (row.after == allow)));
    }
  }
}

TEST_CASE("a blocked watcher may still leave, and is shown nothing more (EVT-4.2.1.4-6)") {
  ruled s;
  s.publish("alice", {.body = "t1:open"});
  s.subscribe("d1", {.expires = 600s});
  s.policy["bob"] = block;
  CHECK(s.subscribe("d1", {.expires = 0s}) == "200 Expires=0 | N d1#2 terminated;reason=timeout");
}

TEST_CASE("a decision reaches every subscription of the watcher and of no other (POL-CHG-1, SEC-AUTH-2)"
          * not_in("bounded database_only", "rows do not say which view a watcher was told")) {
  ruled s;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.expires = 600s});
  s.subscribe("d3", {.by = "carol", .expires = 600s});
  s.subscribe("d4", {.to = "dave", .expires = 600s});
  CHECK(s.decide("bob", block) == "N d1#2 terminated;reason=rejected | N d2#2 terminated;reason=rejected");
  CHECK(s.stats().subscriptions == 2);
}

TEST_CASE("an in-dialog request comes from the watcher of that dialog or is refused (SEC-AUTH-4)") {
  ruled s;
  s.subscribe("d1", {.expires = 600s});
  CHECK(s.subscribe("d1", {.expires = 600s, .as = "mallory"}) == "403");
  CHECK(s.subscribe("d1", {.expires = 0s, .as = "mallory"}) == "403");
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "presence;id=2", .as = "mallory"}) == "403");
  CHECK(s.stats().subscriptions == 1);
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600 | N d1#2 active;expires=600 P(t1:open)");
}

TEST_CASE("force_active asks no rules (Z08)") {
  for (const bool forced : {false, true}) {
    scenario s{{.settings = {.force_active = forced}, .by_rules = true}};
    s.rules_text = "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy'/>";
    CHECK(s.subscribe("d1", {.expires = 600s}) == (forced ? "200 Expires=600 | N d1#1 active;expires=600 P()" : "403"));
  }
}

TEST_CASE("a package that needs decisions must say how (L04, Z01)") {
  engine e{options{}};
  event_package p = opaque_package("guarded");
  p.req_auth = true;
  const auto added = e.add_event(p, start);
  REQUIRE_FALSE(added);
  CHECK(added.error().find("authorize") != std::string::npos);
}

TEST_CASE("rules are read per presentity and given to the decision and to the view (Z02, Z03, L04)") {
  std::vector<std::string> read;
  event_package p = opaque_package("guarded");
  p.req_auth = true;
  p.rules_document = [&](std::string_view resource) -> std::optional<std::string> {
    read.emplace_back(resource);
    if (resource == "sip:alice@example.com") return "hide";
    return std::nullopt;
  };
  struct hiding : view {
    bool equals(const view&) const noexcept override { return true; }
  };
  p.authorize = [](const authorization_query& q) -> authorization {
    if (q.rules == nullptr) return confirm;
    return {allow, *q.rules == "hide" ? std::make_shared<hiding>() : nullptr};
  };
  p.authorize_body = [](const body&, std::string_view, std::span<const published>, const view&) {
    return body{"a/b", "hidden"};
  };
  scenario s{{.packages = {p}}};
  s.publish("alice", {.raw = "secret", .type = "a/b", .event = "guarded"});
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "guarded"}) == "200 Expires=600 | N d1#1 active;expires=600 [hidden]");
  CHECK(s.subscribe("d2", {.to = "carol", .expires = 600s, .event = "guarded"}) == "200 Expires=600 | N d2#1 pending;expires=600");
  CHECK(std::find(read.begin(), read.end(), "sip:carol@example.com") != read.end());
}

// --- what is not given away -------------------------------------------------------------------------

TEST_CASE("a politely blocked watcher sees what a watcher of an offline resource sees, in every step (SEC-LEAK-1 to -3, EVT-6.2-1)") {
  // one allowed where nothing is ever published, one politely blocked where much happens
  ruled calm, busy;
  busy.policy["bob"] = polite_block;
  const auto both = [&](auto step) {
    const std::string a = step(calm), b = step(busy);
    CHECK(a == b);
  };
  busy.publish("alice", {.body = "t1:open", .expires = 100s});
  both([](scenario& s) { return s.subscribe("d1", {.expires = 600s}); });
  busy.publish("alice", {.body = "t2:open"});
  busy.publish("alice", {.body = "t2:closed,t3:open", .if_match = "e2"});
  busy.subscribe("other", {.by = "carol", .expires = 60s});
  both([](scenario& s) { return s.subscribe("d1", {.expires = 600s}); });
  both([](scenario& s) { s.at += 150s; s.engine->advance(s.at); return std::string{}; });
  both([](scenario& s) { return s.subscribe("fetch", {.expires = 0s}); });
  both([](scenario& s) { return s.subscribe("d1", {.expires = 5s}); });
  both([](scenario& s) { return s.subscribe("d1", {.expires = 600s, .accept = "text/plain"}); });
  both([](scenario& s) { return s.subscribe("d1", {.expires = 0s}); });
  both([](scenario& s) { return s.subscribe("d2", {.expires = 100s}); });
  both([](scenario& s) { return s.wait(100s); });
  for (const char* name : {"d1", "d2", "fetch"}) {
    const auto& a = calm.dialogs[name].notifies;
    const auto& b = busy.dialogs[name].notifies;
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      CHECK(a[i].content == b[i].content);  // byte by byte
      CHECK(a[i].cseq == b[i].cseq);
      CHECK(a[i].dialog.local_tag().size() == b[i].dialog.local_tag().size());
    }
  }
}

TEST_CASE("a pending watcher learns nothing of the state (SEC-LEAK-4, PRS-6.7-3)") {
  ruled calm, busy;
  for (ruled* s : {&calm, &busy}) s->policy["bob"] = confirm;
  busy.publish("alice", {.body = "t1:open", .expires = 100s});
  CHECK(calm.subscribe("d1", {.expires = 600s}) == busy.subscribe("d1", {.expires = 600s}));
  CHECK(busy.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600");
  CHECK(calm.subscribe("d1", {.expires = 0s}) == busy.subscribe("d1", {.expires = 0s}));
}

// --- undecided watchers ------------------------------------------------------------------------------

TEST_CASE("an undecided watcher is remembered for waiting_limit after his subscription, then forgotten (M10, WIN-FSM-4, -5)") {
  ruled s{{.settings = {.waiting_limit = 1000s}}};
  const auto status = [&] { return s.engine->auth_status("sip:bob@example.com", "sip:alice@example.com", s.at); };
  s.policy["bob"] = confirm;
  CHECK(status() == auth_code::pending);
  s.subscribe("d1", {.expires = 60s});
  CHECK(s.stats().undecided == 1);
  CHECK(status() == auth_code::pending);
  CHECK(s.wait(60s) == "N d1#2 terminated;reason=timeout");
  CHECK(s.stats().undecided == 1);
  CHECK(status() == auth_code::waiting);
  s.subscribe("d2", {.expires = 60s});
  CHECK(s.stats().undecided == 1);
  CHECK(status() == auth_code::pending);
  s.wait(60s);
  s.wait(999s);
  CHECK(s.stats().undecided == 1);
  CHECK(s.wait(1s) == "");
  CHECK(s.stats().undecided == 0);
  CHECK(s.engine->stats().resources == 0);
}

TEST_CASE("whoever is decided about waits no longer (WIN-FSM-5, Z05)") {
  for (const sub_handling decision : {allow, polite_block, block}) {
    CAPTURE(to_string(decision));
    ruled s;
    s.policy["bob"] = confirm;
    s.subscribe("d1", {.expires = 0s});
    CHECK(s.stats().undecided == 1);
    CHECK(s.decide("bob", confirm) == "");
    CHECK(s.stats().undecided == 1);
    CHECK(s.decide("bob", decision) == "");  // he has no dialog to be told in
    CHECK(s.stats().undecided == 0);
    CHECK(s.engine->stats().resources == 0);
  }
}

TEST_CASE("a thousand fetches of one undecided watcher leave one record, and records are capped (TV-40; SEC-DOS-6, WIN-FSM-6)") {
  options settings;
  settings.limits.waiting_per_resource = 10;
  ruled s{{.settings = settings}};
  s.policy["bob"] = confirm;
  for (int i = 0; i < 1000; ++i)
    REQUIRE(s.subscribe("f" + std::to_string(i), {.expires = 0s}) == "200 Expires=0 | N f" + std::to_string(i) + "#1 terminated;reason=timeout");
  CHECK(s.stats().undecided == 1);
  for (int i = 0; i < 50; ++i) {
    s.at += 1s;
    s.policy["w" + std::to_string(i)] = confirm;
    s.subscribe("w" + std::to_string(i), {.by = "w" + std::to_string(i), .expires = 0s});
    CHECK(s.stats().undecided <= 10);
  }
  CHECK(s.engine->auth_status("sip:w49@example.com", "sip:alice@example.com", s.at) == auth_code::waiting);  // the oldest went
  CHECK(s.engine->auth_status("sip:w0@example.com", "sip:alice@example.com", s.at) == auth_code::pending);
}

TEST_CASE("a hook that throws while deciding changes nothing (L11)") {
  bool broken = false;
  event_package p = opaque_package("guarded");
  p.req_auth = true;
  p.authorize = [&](const authorization_query&) {
    if (broken) throw std::runtime_error{"broken"};
    return allow;
  };
  scenario s{{.packages = {p}}};
  s.subscribe("d1", {.expires = 600s, .event = "guarded"});
  broken = true;
  CHECK(s.subscribe("d1", {.expires = 60s}) == "500");
  CHECK(s.subscribe("d2", {.expires = 600s, .event = "guarded"}) == "500");
  CHECK(s.told(s.engine->update_watchers("sip:alice@example.com", "guarded", s.at)) == "");
  CHECK(s.engine->auth_status("sip:bob@example.com", "sip:alice@example.com", s.at, "guarded") == auth_code::error);
  CHECK(s.wait(599s) == "");
  CHECK(s.wait(1s) == "N d1#2 terminated;reason=timeout");
}

TEST_CASE("a fetch by a watcher who was waiting and is now allowed reads no dead memory (L11, M10; tells under the address sanitizer)") {
  scenario s{{.authorized = true}};
  s.policy["bob"] = sub_handling::confirm;
  s.subscribe("d1", {.expires = 0s});
  s.policy["bob"] = sub_handling::allow;
  CHECK(s.subscribe("d2", {.expires = 0s}) == "200 Expires=0 | N d2#1 terminated;reason=timeout P()");
  CHECK(s.stats().undecided == 0);
}

TEST_CASE("a pending subscription that cannot be stored reads no dead memory (L11, M10; tells under the address sanitizer)"
          * not_in("write_back", "rows are written later")) {
  memory_storage rows;
  faulty_storage faulty{rows};
  scenario s{{.rows = &faulty, .authorized = true}};
  s.policy["bob"] = sub_handling::confirm;
  faulty.fail_all(true);
  CHECK(s.subscribe("d1", {.expires = 600s}) == "503 Retry-After=5");
  CHECK(s.engine->stats().resources == 0);
}

TEST_CASE("a politely blocked watcher is told on a refresh of state as one of an offline resource is (SEC-LEAK-1, SEC-LEAK-3)") {
  scenario s{{.authorized = true}};
  s.policy["mallory"] = sub_handling::polite_block;
  s.subscribe("d1", {.by = "bob", .expires = 600s});
  s.subscribe("d2", {.by = "mallory", .expires = 600s});
  CHECK(s.told(s.engine->refresh_watchers("sip:alice@example.com", "presence", refresh_type::state, s.at)) ==
        "N d1#2 active;expires=600 P() | N d2#2 active;expires=600 P()");
}

TEST_CASE("who is blocked is refused with 403, or 603 where the operator wants that (POL-5025-sub-2)") {
  ruled s{{.settings = {.refused_status = 603}}};
  s.policy["bob"] = block;
  CHECK(s.subscribe("d1", {.expires = 600s}) == "603");
  CHECK(std::string{reason_phrase(603)} == "Decline");
}

TEST_CASE("a permission that is taken away ends the subscription with the reason and the delay the operator wants (Z09, EVT-4.1.3-probation)") {
  for (const auto after : {block, confirm}) {
    CAPTURE(to_string(after));
    ruled s{{.settings = {.removal_retry_after = 120s}}};
    s.subscribe("d1", {.expires = 600s});
    s.subscribe("d2", {.expires = 600s});
    s.policy["bob"] = after;
    const effects out = s.engine->update_watchers(address("alice"), "presence", s.at);
    REQUIRE(out.notifies.size() == 2);
    CHECK(out.notifies[0].subscription_state_value() == "terminated;reason=probation;retry-after=120");
  }
  ruled s{{.settings = {.removal_retry_after = 120s}}};  // found at a refresh
  s.subscribe("d1", {.expires = 600s});
  s.policy["bob"] = confirm;
  s.subscribe("d1", {.expires = 600s});
  CHECK(s.dialogs["d1"].notifies.back().subscription_state_value() == "terminated;reason=probation;retry-after=120");
}

TEST_CASE("decisions may be asked again for one watcher alone (Z06)") {
  ruled s;
  s.subscribe("d1", {.by = "bob", .expires = 600s});
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  s.policy["bob"] = s.policy["carol"] = block;
  CHECK(s.told(s.engine->update_watchers(address("alice"), "presence", s.at, address("carol"))) == "N d2#2 terminated;reason=rejected");
  CHECK(s.told(s.engine->update_watchers(address("alice"), "presence", s.at, address("nobody"))) == "");
  CHECK(s.engine->update_watchers(address("alice"), "presence", s.at, "no address").answer.status == 404);
  CHECK(s.told(s.engine->update_watchers(address("alice"), "presence", s.at)) == "N d1#2 terminated;reason=rejected");
  // what lapsed meanwhile is told to everybody, whoever is asked about
  s.policy.clear();
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.subscribe("d3", {.by = "bob", .expires = 600s});
  s.at += 60s;
  CHECK(s.told(s.engine->update_watchers(address("alice"), "presence", s.at, address("carol"))) == "N d3#2 active;expires=540 P()");
}

TEST_CASE("force_active opens what rules documents guard, and nothing that guards itself (Z08, WIN-4.6-1, SEC-LEAK-7, SEC-PKG-1)") {
  scenario s{{.settings = {.force_active = true}, .winfo = true, .by_rules = true}};
  CHECK(s.subscribe("d1", {.expires = 600s}).starts_with("200"));
  CHECK(s.subscribe("d2", {.by = "mallory", .event = "presence.winfo"}) == "403");
  CHECK(s.subscribe("d3", {.by = "alice", .event = "presence.winfo"}).starts_with("200"));
}

TEST_CASE("who is let in by a second proven address stays in, at later decisions and after a restart (POL-4745-id-5)") {
  memory_storage rows;
  event_package guarded = opaque_package("guarded");
  guarded.req_auth = true;
  guarded.authorize = [](const authorization_query& q) -> authorization { return q.watcher.proves("tel:+12015550123") ? allow : block; };
  scenario s{{.rows = &rows, .packages = {guarded}}};
  const auto asked_again = [&] { return s.told(s.engine->refresh_watchers(address("alice"), "guarded", refresh_type::authorization, s.at)); };
  const std::vector<std::string> both{"no address", "tel:+1-201-555-0123", "sip:Bob@Example.org"};
  CHECK(s.subscribe("d2", {.event = "guarded"}) == "403");
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "guarded", .also = both}).starts_with("200 "));
  CHECK(s.dialogs["d1"].notifies.back().dialog.also() == "tel:+12015550123 sip:Bob@example.org");
  CHECK(asked_again() == "");
  s.restart();
  CHECK(s.wait(0s) == "");
  CHECK(asked_again() == "");
  // what he proves with a refresh is what counts from then on
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "guarded", .also = {both[1]}}).starts_with("200 "));
  CHECK(s.dialogs["d1"].notifies.back().dialog.also() == "tel:+12015550123");
  CHECK(s.subscribe("d3", {.event = "guarded", .also = std::vector<std::string>(identity::most_also + 1, both[1])}) == "400");
}
