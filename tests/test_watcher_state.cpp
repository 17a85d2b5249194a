#include <presence/watcher_state.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <set>
#include <string_view>
#include <utility>

using namespace presence;

TEST_CASE("each state answers each event as the table of RFC 3857 says (WIN-FSM-1)") {
  constexpr auto init = watcher_state::init, pend = watcher_state::pending, actv = watcher_state::active,
                 wait = watcher_state::waiting, term = watcher_state::terminated;
  // rows: the state before; columns: SUBSCRIBE accepted, pending, rejected; approved, rejected, giveup,
  // probation, deactivated, noresource, timeout
  const watcher_state expected[5][10] = {
      {actv, pend, term, init, init, init, init, init, init, init},
      {pend, pend, pend, actv, term, term, term, term, term, wait},
      {actv, actv, actv, actv, term, actv, term, term, term, term},
      {wait, wait, wait, term, term, term, wait, wait, term, wait},
      {term, term, term, term, term, term, term, term, term, term},
  };
  REQUIRE(all_watcher_states.size() == 5);
  REQUIRE(all_watcher_events.size() == 10);
  for (std::size_t s = 0; s < all_watcher_states.size(); ++s) {
    for (std::size_t e = 0; e < all_watcher_events.size(); ++e) {
      CAPTURE(to_string(all_watcher_states[s]));
      CAPTURE(to_string(all_watcher_events[e]));
      CHECK(step(all_watcher_states[s], all_watcher_events[e]) == expected[s][e]);
    }
  }
}

TEST_CASE("the table has each edge once, and every edge leads somewhere else") {
  std::set<std::pair<watcher_state, watcher_event>> seen;
  for (const auto& edge : watcher_transitions) {
    CHECK(seen.insert({edge.from, edge.event}).second);
    CHECK(edge.from != edge.to);
    CHECK(edge.to != watcher_state::init);
    CHECK(edge.from != watcher_state::terminated);
  }
  CHECK(seen.size() == 19);
}

TEST_CASE("a fetch while nobody has decided leaves a waiting watcher (WIN-FSM-5)") {
  const auto pending = step(watcher_state::init, watcher_event::subscribe_pending);
  CHECK(step(pending, watcher_event::timeout) == watcher_state::waiting);
}

TEST_CASE("states and events are spelled as watcher information does (WIN-58-4)") {
  const std::set<std::string_view> statuses{"pending", "active", "waiting", "terminated"};
  for (const auto state : all_watcher_states)
    CHECK((statuses.count(to_string(state)) == 1) == (state != watcher_state::init));
  const std::set<std::string_view> events{"subscribe", "approved", "deactivated", "probation",
                                          "rejected",  "timeout",  "giveup",      "noresource"};
  std::set<std::string_view> used;
  for (const auto event : all_watcher_events) used.insert(to_string(event));
  CHECK(used == events);
  CHECK(to_string(watcher_event::subscribe_rejected) == "rejected");
}
