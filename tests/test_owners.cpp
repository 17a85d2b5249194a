// Subscriptions that belong to an engine (options::owner_id, C02): whoever served the last SUBSCRIBE is named by every NOTIFY,
// and ends them.
#include "owner_table.hpp"
#include "shared_world.hpp"

#include <presence/packages.hpp>

using namespace presence;
using namespace presence::test;

namespace {

/// What a call told, and the owner each NOTIFY names.
std::string told_by_owner(scenario& s, const effects& out) {
  std::string all;
  for (const notify& n : out.notifies) (all += n.dialog.owner()) += ":";
  return all + " " + s.told(out);
}

effects publish(scenario& s, const std::string& document, seconds expires = 600s) {
  return s.engine->publish({.resource = address("alice"),
                            .event = "presence",
                            .expires = expires,
                            .content = {.type = "application/pidf+xml", .bytes = document}},
                           s.at);
}

}  // namespace

TEST_CASE("whichever engine tells a watcher, the NOTIFY names the engine that served his last SUBSCRIBE (C02)") {
  shared_world s{{}, {"edge-1", "edge-2"}};
  s.on(1).subscribe("d1", {.expires = 600s});
  s.on(2).subscribe("d2", {.by = "carol", .expires = 600s});
  const std::string open = pidf("t1:open", address("alice"));
  CHECK(told_by_owner(s, publish(s.on(2), open)) ==
        "edge-1:edge-2: 200 e1 Expires=600 | N d1#2 active;expires=600 P(t1:open) | N d2#2 active;expires=600 P(t1:open)");
  s.on(2).subscribe("d1", {.expires = 600s});  // he moved
  CHECK(told_by_owner(s, publish(s.on(1), pidf("t2:open", address("alice")))).starts_with("edge-2:edge-2: "));
  for (const subscription_row& row : s.on(1).engine->subscriptions({}).records) CHECK(row.dialog.owner() == "edge-2");
}

TEST_CASE("a subscription that is over is ended by its owner alone, who tells it once (C02, M04)") {
  shared_world s{{}, {"edge-1", "edge-2"}};
  s.on(1).subscribe("d1", {.expires = 60s});
  s.on(2).subscribe("d2", {.by = "carol", .expires = 60s});
  s.at += 61s;
  CHECK(told_by_owner(s, s.on(2).engine->advance(s.at)) == "edge-2: N d2#2 terminated;reason=timeout");
  CHECK(s.on(2).engine->cleanup(s.at).notifies.empty());
  CHECK_FALSE(s.on(2).engine->advance(s.at += 1s).more);
  CHECK(told_by_owner(s, s.on(1).engine->advance(s.at)) == "edge-1: N d1#2 terminated;reason=timeout");
  CHECK(s.on(2).engine->cleanup(s.at += 600s).notifies.empty());
}

TEST_CASE("who waits for an owner does all else that is due, and tells the watcher nothing meanwhile (C02, M04)") {
  shared_world s{{}, {"edge-1", "edge-2"}};
  const std::string open = pidf("t1:open", address("alice"));
  s.on(1).subscribe("d1", {.expires = 60s});
  s.on(2).subscribe("d2", {.by = "carol", .expires = 600s});
  publish(s.on(1), open, 61s);
  s.at += 61s;
  CHECK(told_by_owner(s, s.on(2).engine->advance(s.at)) == "edge-2: N d2#2 active;expires=539 P()");
  CHECK(told_by_owner(s, publish(s.on(2), open)) == "edge-2: 200 e1 Expires=600 | N d2#3 active;expires=539 P(t1:open)");
  CHECK(s.on(2).subscribe("d1", {.expires = 60s}) == "481");
  CHECK(told_by_owner(s, s.on(1).engine->advance(s.at)) == "edge-1: N d1#2 terminated;reason=timeout");
}

TEST_CASE("what an owner that died leaves is ended by whoever is left, a while later (C02, M04)") {
  shared_world s{{.settings = {.owner_grace = 5s}}, {"edge-1", "edge-2"}};
  s.on(1).subscribe("d1", {.expires = 60s});  // edge-1 is never heard of again
  s.at += 65s - 1ms;
  CHECK(s.on(2).engine->cleanup(s.at).notifies.empty());
  CHECK(told_by_owner(s, s.on(2).engine->cleanup(s.at += 1ms)) == "edge-1: N d1#2 terminated;reason=timeout");
  CHECK(s.on(2).engine->cleanup(s.at += 600s).notifies.empty());
}

TEST_CASE("what is another's is not read for its time until it is anybody's (C02, T17)") {
  shared_world s{{}, {"edge-1", "edge-2"}};
  const auto calls_of_look = [&] {
    const auto before = s.on(2).engine->stats().storage_calls;
    s.engine->advance(s.at += 1s);
    return s.engine->stats().storage_calls - before;
  };
  const auto nothing = calls_of_look();
  for (const std::string dialog : {"d1", "d2", "d3"}) s.on(1).subscribe(dialog, {.by = dialog, .to = "of" + dialog, .expires = 60s});
  s.at += 60s;
  CHECK(calls_of_look() == nothing);
  s.at += 10s;
  CHECK(calls_of_look() > nothing);
}

TEST_CASE("an engine without the package leaves what lapses to those that wait for its owner (C02, L05, M04)") {
  shared_world s{{.settings = {.clean_period = 30s, .owner_grace = 600s}}, {"edge-1", "edge-2"}};
  options of_third = s.given.settings;
  of_third.owner_id = "edge-3";
  engine third{of_third, {}, &s.rows};
  REQUIRE(third.add_event(message_summary_package(), s.at));
  s.on(1).subscribe("d1", {.expires = 60s});  // edge-1 is never heard of again
  for (const instant until = s.at + 659s; s.at < until; s.at += 30s) third.cleanup(s.at);
  s.at += 2s;
  CHECK(told_by_owner(s, s.on(2).engine->cleanup(s.at)) == "edge-1: N d1#2 terminated;reason=timeout");
}

TEST_CASE("who has no CSeq left is ended by whoever finds him (C02, T13)") {
  shared_world s{{}, {"edge-1", "edge-2"}};
  s.on(1).subscribe("d1", {.expires = 600s});
  std::vector<subscription_row> all;
  cursor from;
  REQUIRE(s.rows.subscriptions({}, from, 10, all));
  REQUIRE(all.size() == 1);
  all[0].local_cseq = 0x7fffff00;
  REQUIRE(s.rows.apply({.changed_subscriptions = all}));
  s.on(2).publish("alice", {.body = "t1:open"});
  CHECK(s.told(s.engine->advance(s.at += 1s)).ends_with("terminated;reason=timeout"));
}

TEST_CASE("what nobody owns is ended by anybody, and an engine without a name waits for no owner (C02)") {
  shared_world s{{}, {"edge-1", ""}};
  s.on(2).subscribe("d1", {.expires = 60s});
  s.on(1).subscribe("d2", {.by = "carol", .expires = 60s});
  s.on(1).subscribe("d3", {.by = "dave", .expires = 70s});
  s.at += 60s;
  CHECK(told_by_owner(s, s.on(1).engine->advance(s.at)) ==
        ":edge-1: N d1#2 terminated;reason=timeout | N d2#2 terminated;reason=timeout");
  s.at += 10s;
  CHECK(told_by_owner(s, s.on(2).engine->advance(s.at)) == "edge-1: N d3#2 terminated;reason=timeout");
}

TEST_CASE("whose a subscription is that is over: the whole table (C02)") {
  owner_table::each([](const owner_table::row& row, milliseconds over, bool due) {
    const instant now = start + over;
    const due_filter wanted{.now = now, .owner = row.asks, .others = now - owner_table::grace};
    CHECK(wanted.is_due(start, row.owner) == due);
  });
}

TEST_CASE("owner_id is a token for subs_db_mode 3 (C02, T10)") {
  options o;
  o.owner_id = "edge-1";
  CHECK_FALSE(o.check());
  o.subs_db_mode = 3;
  CHECK(o.check());
  o.owner_id = std::string(65, 'a');
  CHECK_FALSE(o.check());
  CHECK_FALSE(o.set("owner_id", "edge 1"));
  CHECK_FALSE(o.set("owner_id", "edge\r\n1"));
  CHECK_FALSE(o.set("owner_grace", "-1"));
}
