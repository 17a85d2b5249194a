/// The part of the contract that engines on one database need: what is due, stamps, dialogs by Call-ID.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <presence/storage.hpp>
#include <string>
#include <vector>

#include "all_rows.hpp"
#include "owner_table.hpp"
#include "storage_rows.hpp"

namespace storage_contract {

TEST_CASE_TEMPLATE_DEFINE("storage: a filter by Call-ID gives its subscriptions, whatever they are to (C01)",
                          Host, call_ids) {
  Host host;
  storage& rows = host.rows();
  const std::string endless(700, 'c');
  change what;
  for (const std::string& call :
       {std::string{"a"}, std::string{"a "}, std::string{"A"}, endless, endless + "x"})
    for (const char* event : {"presence", "dialog"})
      what.new_subscriptions.push_back(subscription(call, "sip:alice@example.com", event));
  apply(rows, what);
  for (const std::string& call : {std::string{"a"}, endless, std::string{"b"}}) {
    std::vector<subscription_row> expected;
    for (const auto& row : what.new_subscriptions)
      if (row.dialog.call_id() == call) expected.push_back(row);
    auto found = all_rows<subscription_row>(rows, {.call_id = call});
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.event > b.event; });
    CHECK(found == expected);
  }
}

TEST_CASE_TEMPLATE_DEFINE(
    "storage: what is due is told to the millisecond, each state once, known packages only (C01, T11)", Host,
    due_states) {
  Host host;
  storage& rows = host.rows();
  const std::string wide = "sip:" + std::string(300, 'w') + "@example.com";
  const auto lapses = [](auto row, milliseconds after) {
    row.expires = noon + after;
    return row;
  };
  const auto waits = [](watcher_row row, watcher_status status, milliseconds after) {
    row.status = status;
    row.since = noon + after;
    return row;
  };
  change what;
  for (std::uint64_t i = 0; i < 5; ++i) {
    const std::string n = std::to_string(i);
    what.new_publications.push_back(lapses(publication("sip:p@example.com", n, i + 1), milliseconds{0}));
    what.new_subscriptions.push_back(lapses(subscription(n, "sip:s@example.com:5070"), milliseconds{1}));
  }
  what.new_publications.push_back(lapses(publication(wide, "w", 6, "dialog;sla"), milliseconds{2}));
  what.new_publications.push_back(publication("sip:hard@example.com", "h", 7));
  what.new_publications.back().expires = never;
  what.new_publications.push_back(
      lapses(publication("sip:old@example.com", "o", 8, "old"), milliseconds{-5000}));
  what.new_subscriptions.push_back(lapses(subscription("both", "sip:p@example.com"), milliseconds{0}));
  what.new_subscriptions.push_back(lapses(subscription("over", "sip:over@example.com"), milliseconds{-5000}));
  what.new_subscriptions.back().state = subscription_state::terminated;
  const std::string who = "sip:bob@example.com";
  what.watchers = {waits(watcher("sip:w@example.com", who), watcher_status::waiting, milliseconds{-3000}),
                   waits(watcher("sip:u@example.com", who), watcher_status::pending, milliseconds{-2999}),
                   waits(watcher("sip:x@example.com", who), watcher_status::active, milliseconds{-9000})};
  apply(rows, what);
  const auto due = [&](milliseconds now, const std::vector<std::string>& known, std::size_t limit) {
    std::vector<state_name> found;
    REQUIRE(rows.due({noon + now, noon + now - milliseconds{3000}}, known, limit, found));
    std::sort(found.begin(), found.end(),
              [](const auto& a, const auto& b) { return a.resource < b.resource; });
    return found;
  };
  using names = std::vector<state_name>;
  const state_name p{"sip:p@example.com", "presence"}, s{"sip:s@example.com:5070", "presence"},
      w{"sip:w@example.com", "presence"}, u{"sip:u@example.com", "presence"}, l{wide, "dialog;sla"};
  const std::vector<std::string> known{"presence", "dialog;sla"};
  CHECK(due(milliseconds{-1}, known, 100).empty());
  CHECK(due(milliseconds{0}, known, 100) == names{p, w});
  CHECK(due(milliseconds{1}, known, 100) == names{p, s, u, w});
  CHECK(due(milliseconds{2}, known, 100) == names{p, s, u, w, l});
  CHECK(due(milliseconds{2}, {"dialog;sla", "it's"}, 100) == names{l});
  CHECK(due(milliseconds{2}, {}, 100).empty());
  CHECK(due(milliseconds{2}, known, 3).size() == 3);  // five rows of one state do not hide another
  CHECK(due(milliseconds{2}, known, 5).size() == 5);
  CHECK(due(milliseconds{2}, known, 0).empty());
}

TEST_CASE_TEMPLATE_DEFINE("storage: a subscription that is over is due for its owner, and a while later for everybody (C02)",
                          Host, owners) {
  Host host;
  storage& rows = host.rows();
  const std::string owners_of[] = {"", "a", "b", "A", "aa"};
  change what;
  for (const std::string& owner : owners_of) {
    subscription_row row = subscription("call" + owner, "sip:of" + owner + "@example.com");
    dialog_fields fields = row.dialog.fields();
    fields.owner = owner;
    row.dialog = dialog{fields};
    row.expires = noon;
    what.new_subscriptions.push_back(row);
  }
  apply(rows, what);
  owner_table::each([&](const owner_table::row& asked, milliseconds over, bool expected) {
    const instant now = noon + over;
    std::vector<state_name> found;
    REQUIRE(rows.due({.now = now, .owner = asked.asks, .others = now - owner_table::grace}, {"presence"}, 10, found));
    const std::string his = "sip:of" + std::string{asked.owner} + "@example.com";
    const bool due = std::any_of(found.begin(), found.end(), [&](const state_name& one) { return one.resource == his; });
    CHECK(due == expected);
  });
}

TEST_CASE_TEMPLATE_DEFINE("storage: a change is made only if each state's stamp is the known one (C01)", Host,
                          stamps) {
  Host host;
  storage& rows = host.rows();
  const auto stamp_of = [&](const state_name& name) {
    const auto found = rows.mark(name.resource, name.event);
    REQUIRE(found);
    return found->stamp;
  };
  constexpr std::uint64_t highest = 0x7fffffffffffffff;
  const state_name alice{"sip:alice@example.com", "presence"}, sla{"sip:alice@example.com", "dialog;sla"},
      wide{"tel:" + std::string(300, '1'), "presence"};
  CHECK(stamp_of(alice) == 0);
  refuse(rows, {.states = {{alice, 7, 8}}, .new_publications = {publication(alice.resource, "a", 1)}});
  CHECK(stamp_of(alice) == 0);
  apply(rows, {.states = {{alice, 0, highest}}, .new_publications = {publication(alice.resource, "a", 1)}});
  CHECK(stamp_of(alice) == highest);
  CHECK(stamp_of(sla) == 0);
  refuse(rows, {.states = {{alice, 0, 5}}});
  refuse(rows, {.states = {{alice, 5, 6}}});
  refuse(rows, {.states = {{sla, 0, 5}, {alice, 5, 6}}});
  refuse(rows, {.states = {{alice, highest, 6}, {sla, 5, 6}}});
  CHECK(stamp_of(sla) == 0);
  CHECK(stamp_of(alice) == highest);
  refuse(rows, {.states = {{alice, highest, 6}}, .new_publications = {publication(alice.resource, "a", 2)}});
  CHECK(stamp_of(alice) == highest);
  apply(rows, {.states = {{wide, 0, 3}, {alice, highest, 6}, {sla, 0, 7}}});
  CHECK(stamp_of(wide) == 3);
  CHECK(stamp_of(alice) == 6);
  CHECK(stamp_of(sla) == 7);
  change many;
  for (std::uint64_t i = 1; i <= 20; ++i)
    many.states.push_back({{"sip:" + std::to_string(i) + "@example.com", "presence"}, 0, i});
  apply(rows, many);
  for (auto& s : many.states) s.known = s.next, s.next += 100;
  many.states[19].known = 1;
  refuse(rows, many);
  many.states[19].known = 20;
  apply(rows, many);
  CHECK(stamp_of(many.states[0].state) == 101);
  CHECK(stamp_of(many.states[19].state) == 120);
}

TEST_CASE_TEMPLATE_DEFINE("storage: a moment at which decisions turn is due until it is replaced, by engines that share and by one that does not (Z11)",
                          Host, turns) {
  Host host;
  storage& rows = host.rows();
  const state_name alice{"sip:alice@example.com", "presence"}, sla{"sip:alice@example.com", "dialog;sla"},
      wide{"sip:" + std::string(300, 'w') + "@example.com", "presence"};
  const instant ahead = noon + std::chrono::hours{24 * 365 * 100};
  const auto due = [&](instant now, const std::vector<std::string>& known = {"presence", "dialog;sla"}) {
    std::vector<state_name> found;
    REQUIRE(rows.due({now}, known, 10, found));
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.event < b.event; });
    return found;
  };
  using names = std::vector<state_name>;
  apply(rows, {.states = {{alice, 0, 1, noon}, {sla, std::nullopt, 2, noon + milliseconds{1}}, {wide, std::nullopt, 3, ahead}}});
  CHECK(*rows.mark(alice.resource, alice.event) == state_mark{1, noon});
  CHECK(*rows.mark(sla.resource, sla.event) == state_mark{2, noon + milliseconds{1}});
  CHECK(*rows.mark(wide.resource, wide.event) == state_mark{3, ahead});
  CHECK(due(noon - milliseconds{1}).empty());
  CHECK(due(noon) == names{alice});
  CHECK(due(noon + milliseconds{1}) == names{sla, alice});
  CHECK(due(noon + milliseconds{1}, {"dialog;sla"}) == names{sla});
  refuse(rows, {.states = {{alice, 7, 8, ahead}}});
  apply(rows, {.states = {{alice, 1, 4, ahead}}});
  apply(rows, {.states = {{sla, std::nullopt, 5}}});
  CHECK(due(noon + milliseconds{1}).empty());
  CHECK(*rows.mark(sla.resource, sla.event) == state_mark{5, {}});
  apply(rows, {.states = {{sla, 5, 6, noon}, {wide, 3, 7}}});  // whoever shares goes on with what one alone has written
  apply(rows, {.states = {{alice, std::nullopt, 8}, {sla, std::nullopt, 9, noon}, {sla, std::nullopt, 10}}});
  CHECK(due(ahead).empty());
  CHECK(*rows.mark(sla.resource, sla.event) == state_mark{10, {}});
  apply(rows, {.states = {{wide, std::nullopt, 11, noon}}});
  CHECK(due(noon) == names{wide});
}

}  // namespace storage_contract
