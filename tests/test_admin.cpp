// What the host may ask and tell besides requests (features E9, L08, L09).
#include "all_rows.hpp"
#include "scenario.hpp"

#include <set>

#include <presence/memory_storage.hpp>

using namespace presence;
using namespace presence::test;

namespace {

/// Three presentities, two domains, two packages, five subscriptions.
struct populated : scenario {
  explicit populated(setup s = {}) : scenario{std::move(s)} {
    publish("alice", {.body = "t1:open"});
    publish("alice", {.body = "t2:open", .expires = 100s});
    publish("sip:bob@Example.org", {.body = "t1:open"});
    publish("alice", {.raw = "Messages-Waiting: no\r\n", .type = "application/simple-message-summary", .event = "message-summary"});
    subscribe("d1", {.by = "carol", .expires = 600s});
    subscribe("d2", {.by = "dave", .expires = 100s});
    subscribe("d3", {.by = "carol", .to = "sip:bob@example.org", .expires = 600s});
    subscribe("d4", {.by = "carol", .expires = 600s, .event = "message-summary"});
    subscribe("d5", {.by = "eve", .to = "frank", .expires = 600s});
  }
};

}  // namespace

TEST_CASE("publications are counted and listed by resource, domain and package (G04)") {
  populated s;
  const auto count = [&](record_filter f) {
    const std::size_t n = s.engine->count_publications(f);
    CHECK(s.engine->publications(f).records.size() == n);
    return n;
  };
  CHECK(count({}) == 4);
  CHECK(count({.resource = "sip:alice@example.com"}) == 3);
  CHECK(count({.resource = "sips:alice@EXAMPLE.com;x=y"}) == 3);  // canonicalised
  CHECK(count({.event = "presence"}) == 3);
  CHECK(count({.domain = "EXAMPLE.ORG"}) == 1);
  CHECK(count({.resource = "sip:alice@example.com", .event = "message-summary"}) == 1);
  CHECK(count({.resource = "sip:alice@example.com", .domain = "example.org"}) == 0);
  CHECK(count({.resource = "nonsense"}) == 0);
  CHECK(count({.event = "none"}) == 0);
  s.at += 100s;
  s.engine->advance(s.at);
  CHECK(count({}) == 3);
  const auto shown = s.engine->publications({.resource = "sip:bob@example.org"}).records;
  REQUIRE(shown.size() == 1);
  CHECK(shown[0].resource == "sip:bob@example.org");
  CHECK(shown[0].event == "presence");
  CHECK(shown[0].etag == s.tag_named("e3"));
  CHECK(shown[0].content.bytes() == pidf("t1:open", "sip:bob@Example.org"));
  CHECK(shown[0].since == start);
  CHECK(shown[0].expires == start + 3600s);
}

TEST_CASE("subscriptions are counted and listed by resource, watcher, domain and package (G05, S31)"
          * not_in("fallback2db bounded", "rows tell the numbers that are reserved")) {
  populated s;
  const auto count = [&](record_filter f) {
    const std::size_t n = s.engine->count_subscriptions(f);
    CHECK(s.engine->subscriptions(f).records.size() == n);
    return n;
  };
  CHECK(count({}) == 5);
  CHECK(count({.resource = "sip:alice@example.com"}) == 3);
  CHECK(count({.watcher = "sip:carol@example.com"}) == 3);
  CHECK(count({.event = "presence", .watcher = "sips:carol@EXAMPLE.COM"}) == 2);
  CHECK(count({.domain = "example.org"}) == 1);
  CHECK(count({.watcher = "bad"}) == 0);
  s.at += 100s;
  CHECK(s.engine->subscriptions({}).records.size() == 5);  // the engine was not told yet
  s.engine->advance(s.at);
  CHECK(count({}) == 4);
  const auto shown = s.engine->subscriptions({.event = "message-summary"}).records;
  REQUIRE(shown.size() == 1);
  CHECK(shown[0].dialog.call_id() == "call-d4@example.com");
  CHECK(shown[0].dialog.remote_target() == "sip:carol@d4.example.com");
  CHECK(shown[0].state == subscription_state::active);
  CHECK(shown[0].local_cseq == 1);
  CHECK(shown[0].remote_cseq == 1);
  CHECK(shown[0].since == start);
  CHECK(shown[0].expires == start + 600s);
}

TEST_CASE("long lists come in pages, everything once (G04, G05)") {
  scenario s;
  for (int i = 0; i < 57; ++i) {
    const std::string n = std::to_string(i);
    s.publish("p" + n, {.body = "t1:open"});
    if (i % 3 == 0) s.publish("p" + n, {.body = "t2:open"});
    s.subscribe("d" + n, {.to = "p" + n, .expires = 600s});
  }
  for (const std::size_t limit : {0u, 1u, 2u, 7u, 10u, 56u, 57u, 58u, 1000u}) {
    CAPTURE(limit);
    std::set<std::string> tags, dialogs;
    std::size_t listed = 0;
    std::uint64_t from = 0;
    do {
      const auto page = s.engine->publications({}, from, limit);
      CHECK(page.records.size() <= std::max<std::size_t>(limit, 2));  // a resource is not split
      for (const auto& r : page.records) tags.insert(r.etag), ++listed;
      from = page.next;
    } while (from != 0);
    CHECK(tags.size() == 76);
    CHECK(listed == 76);
    listed = 0;
    do {
      const auto page = s.engine->subscriptions({}, from, limit);
      CHECK(page.records.size() <= std::max<std::size_t>(limit, 1));
      for (const auto& r : page.records) dialogs.insert(std::string{r.dialog.call_id()}), ++listed;
      from = page.next;
    } while (from != 0);
    CHECK(dialogs.size() == 57);
    CHECK(listed == 57);
  }
  CHECK(s.engine->publications({}, 1u << 30, 10).records.empty());
  CHECK(s.engine->subscriptions({}, ~std::uint64_t{0}, 10).records.empty());
}

TEST_CASE("the host asks whether anybody watches, and what there is to see (G07, G08, L09, P51)") {
  populated s;
  CHECK(s.engine->has_subscribers("sip:Alice@example.com", "presence") == false);
  CHECK(s.engine->has_subscribers("sip:alice@EXAMPLE.com", "presence"));
  CHECK_FALSE(s.engine->has_subscribers("sip:alice@example.com", "none"));
  CHECK_FALSE(s.engine->has_subscribers("bad", "presence"));
  CHECK(tuples_of(s.engine->current_state("sip:alice@example.com", "presence", s.at).bytes()) == "P(t1:open,t2:open)");
  CHECK(tuples_of(s.engine->current_state("sip:alice@example.com", "presence", s.at + 100s).bytes()) == "P(t1:open)");
  CHECK(tuples_of(s.engine->current_state("sip:nobody@example.com", "presence", s.at).bytes()) == "P()");
  CHECK_FALSE(s.engine->current_state("sip:alice@example.com", "none", s.at));
  CHECK_FALSE(s.engine->current_state("bad", "presence", s.at));
  CHECK(s.engine->contains_presence("sip:bob@example.org", s.at));
  CHECK_FALSE(s.engine->contains_presence("sip:bob@example.org", s.at + 1h));
  CHECK_FALSE(s.engine->contains_presence("sip:frank@example.com", s.at));  // watched only
  CHECK_FALSE(s.engine->contains_presence("bad", s.at));
  s.wait(600s);
  CHECK_FALSE(s.engine->has_subscribers("sip:alice@example.com", "presence"));
}

TEST_CASE("the sphere is what all published persons agree on (P46, L09, SEED-17)") {
  scenario s;
  const auto with = [](const char* sphere) {
    return "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' "
           "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:alice@example.com'><dm:person id='p1'><r:sphere><r:" +
           std::string{sphere} + "/></r:sphere></dm:person></presence>";
  };
  const auto sphere = [&] { return s.engine->get_sphere("sip:alice@example.com", s.at); };
  CHECK_FALSE(sphere());
  s.publish("alice", {.raw = with("work")});
  CHECK(sphere() == "work");
  s.publish("alice", {.raw = with("home")});
  CHECK_FALSE(sphere());
  s.publish("alice", {.if_match = "e2", .expires = 0s});
  CHECK(sphere() == "work");
  CHECK_FALSE(s.engine->get_sphere("bad", s.at));
}

TEST_CASE("auth_status asks the rules and changes nothing (SEED-12, Z04)") {
  scenario s{{.authorized = true}};
  const auto status = [&](const char* watcher) { return s.engine->auth_status(watcher, "sip:alice@example.com", s.at); };
  s.policy["a"] = sub_handling::allow;
  s.policy["b"] = sub_handling::block;
  s.policy["c"] = sub_handling::confirm;
  s.policy["d"] = sub_handling::polite_block;
  CHECK(status("sip:a@example.com") == auth_code::active);
  CHECK(status("sip:b@example.com") == auth_code::terminated);
  CHECK(status("sip:c@example.com") == auth_code::pending);
  CHECK(status("sip:d@example.com") == auth_code::polite_block);
  CHECK(status("bad") == auth_code::error);
  CHECK(s.engine->auth_status("sip:a@example.com", "bad", s.at) == auth_code::error);
  CHECK(s.engine->auth_status("sip:a@example.com", "sip:alice@example.com", s.at, "none") == auth_code::error);
  CHECK(s.engine->auth_status("sip:a@example.com", "sip:alice@example.com", s.at, "message-summary") == auth_code::active);
  CHECK(s.engine->stats().resources == 0);
}

TEST_CASE("refreshing watchers tells what changed: after rules who is decided anew, after state everybody (G01, G02, SEED-13, SEED-16)"
          * not_in("database_only", "rows do not say which view a watcher was told")) {
  scenario s{{.authorized = true}};
  s.publish("alice", {.body = "t1:open"});
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.by = "carol", .expires = 600s});
  const auto refresh = [&](const char* resource, const char* event, refresh_type type) {
    return s.told(s.engine->refresh_watchers(resource, event, type, s.at));
  };
  CHECK(refresh("sip:alice@example.com", "presence", refresh_type::authorization) == "");
  CHECK(refresh("sip:alice@example.com", "presence", refresh_type::state) ==
        "N d1#2 active;expires=600 P(t1:open) | N d2#2 active;expires=600 P(t1:open)");
  s.policy["carol"] = sub_handling::block;
  CHECK(s.told(s.engine->update_watchers("sips:alice@EXAMPLE.com", "presence", s.at)) == "N d2#3 terminated;reason=rejected");
  CHECK(refresh("sip:alice@example.com", "none", refresh_type::state) == "404");
  CHECK(refresh("bad", "presence", refresh_type::state) == "404");
  CHECK(refresh("sip:nobody@example.com", "presence", refresh_type::state) == "");
}

TEST_CASE("state that was changed behind the engine is read again (G01, Z07, T20)"
          * not_in("write_back", "rows are written later")) {
  memory_storage rows;
  scenario s{{.rows = &rows}};
  s.publish("alice", {.body = "t1:open"});
  s.subscribe("d1", {.expires = 600s});
  std::vector<publication_row> found;
  cursor at;
  REQUIRE(rows.publications({}, at, 10, found));
  REQUIRE(found.size() == 1);
  publication_row changed = found[0];
  changed.content = body{"application/pidf+xml", pidf("t1:closed")};
  change edit;
  edit.changed_publications.push_back({changed.etag, true, changed});
  REQUIRE(rows.apply(edit));
  CHECK(s.told(s.engine->refresh_watchers("sip:alice@example.com", "presence", refresh_type::state, s.at)) ==
        "N d1#2 active;expires=600 P(t1:closed)");
  edit = {};
  edit.ended_publications.push_back({changed.resource, changed.event, changed.etag});
  REQUIRE(rows.apply(edit));
  CHECK(s.told(s.engine->refresh_watchers("sip:alice@example.com", "presence", refresh_type::state, s.at)) ==
        "N d1#3 active;expires=600 P()");
  CHECK(s.publish("alice", {.if_match = "e1"}) == "412");
}

TEST_CASE("cleanup does everything that is due, without a budget (G03)") {
  options settings;
  settings.advance_budget = 1;
  populated s{{.settings = settings}};
  s.at += 600s;
  const effects out = s.engine->cleanup(s.at);
  CHECK_FALSE(out.more);
  CHECK(s.stats().subscriptions == 0);
  CHECK(s.stats().publications == 3);
  std::size_t ended = 0;
  for (const notify& n : out.notifies) ended += n.state == subscription_state::terminated;
  CHECK(ended == 5);
}

TEST_CASE("rows nobody serves any more are swept after clean_period, or never (M02, SEED-3)"
          * not_in("write_back", "rows are written later")) {
  for (const int period : {100, 0, -1}) {
    CAPTURE(period);
    memory_storage rows;
    {
      scenario s{{.settings = {.clean_period = seconds{period}}, .rows = &rows, .packages = {opaque_package("gone")}}};
      s.publish("alice", {.raw = "x", .type = "a/b", .expires = 60s, .event = "gone"});
    }
    scenario s{{.settings = {.clean_period = seconds{period}}, .rows = &rows}};
    s.wait(200s);
    std::vector<publication_row> left;
    cursor at;
    REQUIRE(rows.publications({}, at, 10, left));
    CHECK(left.size() == (period > 0 ? 0 : 1));
  }
}

TEST_CASE("the numbers tell what happened (G10)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
  memory_storage rows;
  scenario s{{.rows = &rows}};
  s.subscribe("d1", {.expires = 600s});
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.publish("alice", {.body = "t1:open", .if_match = "e1", .expires = 60s});
  s.wait(60s);
  s.answers = false;
  s.publish("alice", {.body = "t1:open"});
  s.publish("alice", {.body = "t1:closed", .if_match = "e3"});
  s.outcome("d1", 4, 481);
  const engine_stats stats = s.stats();
  CHECK(stats.publishes == 4);
  CHECK(stats.subscribes == 1);
  CHECK(stats.notifies == 4);
  CHECK(stats.coalesced == 1);
  CHECK(stats.suppressed == 1);
  CHECK(stats.expired_publications == 1);
  CHECK(stats.delivered_notifies == 3);
  CHECK(stats.failed_notifies == 1);
  CHECK(stats.lost_notifies == 0);
  CHECK(stats.publish_answers.of(200) == 4);
  CHECK(stats.subscribe_answers.of(200) == 1);
  CHECK(stats.publications == 1);
  CHECK(stats.subscriptions == 0);
  CHECK(stats.resources == 1);
  CHECK(stats.storage_faults == 0);
  CHECK(stats.storage_calls > 4);
}

TEST_CASE("answers are counted by status, those of packages' own together; outcomes by what they mean (G10)") {
  event_package strict = opaque_package("strict");
  strict.check_publish = [](const offered_document&) -> result<document, refusal> {
    return unexpected{refusal{.status = 488, .reason = "No"}};
  };
  scenario s{{.packages = {std::move(strict)}}};
  s.publish("alice", {.body = "t1:open"});
  s.publish("alice", {.body = "t1:open", .if_match = "unknown"});
  s.publish("alice", {.raw = "x", .type = "a/b", .event = "nobody-serves-it"});
  for (int i = 0; i < 3; ++i) s.publish("alice", {.raw = "no", .type = "a/b", .event = "strict"});
  s.answers = false;
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.expires = 10s});
  s.outcome("d1", 1, 503);
  const engine_stats stats = s.stats();
  CHECK(stats.publish_answers.of(200) == 1);
  CHECK(stats.publish_answers.of(412) == 1);
  CHECK(stats.publish_answers.of(489) == 1);
  CHECK(stats.publish_answers.of(488) == 3);
  CHECK(stats.publish_answers.total() == stats.publishes);
  CHECK(stats.subscribe_answers.of(200) == 1);
  CHECK(stats.subscribe_answers.of(423) == 1);
  CHECK(stats.subscribe_answers.total() == stats.subscribes);
  CHECK(stats.lost_notifies == 1);
  CHECK(stats.delivered_notifies + stats.failed_notifies == 0);
}

TEST_CASE("a log line never holds a document or a control character, and a log that throws harms nobody (G12, SEC-LEAK-12)"
          * not_in("write_back", "rows are written later")) {
  std::string logged;
  host_hooks hooks;
  hooks.log = [&](log_level, std::string_view line) {
    logged.append(line).append("|");
    throw 1;
  };
  memory_storage rows;
  scenario s{{.rows = &rows, .hooks = hooks}};
  s.publish("alice", {.body = "t1:open"});
  const auto found = all_rows<publication_row>(rows);
  REQUIRE(found.size() == 1);
  publication_row broken = found[0];
  broken.content = body{"application/pidf+xml", "<secret>\r\n"};
  change edit;
  edit.changed_publications.push_back({broken.etag, true, broken});
  REQUIRE(rows.apply(edit));
  s.restart();
  s.subscribe("d1");  // a document that cannot be read is left out and told about, at the latest now
  CHECK(logged.find("alice") != std::string::npos);
  CHECK(logged.find("secret") == std::string::npos);
  for (const char c : logged) CHECK(static_cast<unsigned char>(c) >= 0x20);
}
