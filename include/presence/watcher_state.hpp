/// The state machine of a watcher (RFC 3857 section 4.7.1; conformance section 5.2), as one table
/// that step(), the tests and the documentation read. There is one machine per watcher, resource,
/// package and subscription; it only decides what watcher information tells, and `waiting` exists
/// nowhere else (WIN-FSM-2).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace presence {

/// Where a watcher stands. `init` never appears in a document.
enum class watcher_state : std::uint8_t { init, pending, active, waiting, terminated };

/// What happened to a watcher. A SUBSCRIBE is one event in a document and three here: policy has
/// answered it by then.
enum class watcher_event : std::uint8_t {
  subscribe_accepted,  ///< a SUBSCRIBE, and the watcher is allowed (or politely blocked: WIN-FSM-8)
  subscribe_pending,   ///< a SUBSCRIBE, and nobody has decided yet
  subscribe_rejected,  ///< a SUBSCRIBE that is refused
  approved,            ///< the resource's owner allows it
  rejected,            ///< the owner refuses
  giveup,              ///< nobody decided in time
  probation,           ///< ended by the server: try again later
  deactivated,         ///< ended by the server: subscribe again at once
  noresource,          ///< the resource is gone
  timeout,             ///< expired, unsubscribed, or one fetch
};

inline constexpr std::array all_watcher_states{
    watcher_state::init, watcher_state::pending, watcher_state::active, watcher_state::waiting,
    watcher_state::terminated};

inline constexpr std::array all_watcher_events{
    watcher_event::subscribe_accepted, watcher_event::subscribe_pending,
    watcher_event::subscribe_rejected, watcher_event::approved,
    watcher_event::rejected,           watcher_event::giveup,
    watcher_event::probation,          watcher_event::deactivated,
    watcher_event::noresource,         watcher_event::timeout};

/// One edge of the machine.
struct watcher_transition {
  watcher_state from;
  watcher_event event;
  watcher_state to;
};

/// All edges. A pair of state and event that is not here changes nothing (WIN-FSM-1).
inline constexpr std::array watcher_transitions{
    watcher_transition{watcher_state::init, watcher_event::subscribe_accepted, watcher_state::active},
    watcher_transition{watcher_state::init, watcher_event::subscribe_pending, watcher_state::pending},
    watcher_transition{watcher_state::init, watcher_event::subscribe_rejected, watcher_state::terminated},

    watcher_transition{watcher_state::pending, watcher_event::approved, watcher_state::active},
    watcher_transition{watcher_state::pending, watcher_event::rejected, watcher_state::terminated},
    watcher_transition{watcher_state::pending, watcher_event::giveup, watcher_state::terminated},
    watcher_transition{watcher_state::pending, watcher_event::probation, watcher_state::terminated},
    watcher_transition{watcher_state::pending, watcher_event::deactivated, watcher_state::terminated},
    watcher_transition{watcher_state::pending, watcher_event::noresource, watcher_state::terminated},
    watcher_transition{watcher_state::pending, watcher_event::timeout, watcher_state::waiting},

    watcher_transition{watcher_state::active, watcher_event::rejected, watcher_state::terminated},
    watcher_transition{watcher_state::active, watcher_event::probation, watcher_state::terminated},
    watcher_transition{watcher_state::active, watcher_event::deactivated, watcher_state::terminated},
    watcher_transition{watcher_state::active, watcher_event::noresource, watcher_state::terminated},
    watcher_transition{watcher_state::active, watcher_event::timeout, watcher_state::terminated},

    watcher_transition{watcher_state::waiting, watcher_event::approved, watcher_state::terminated},
    watcher_transition{watcher_state::waiting, watcher_event::rejected, watcher_state::terminated},
    watcher_transition{watcher_state::waiting, watcher_event::giveup, watcher_state::terminated},
    watcher_transition{watcher_state::waiting, watcher_event::noresource, watcher_state::terminated},
};

/// Where `event` leads from `state`; `state` itself when the table has no such edge.
constexpr watcher_state step(watcher_state state, watcher_event event) noexcept {
  for (const auto& edge : watcher_transitions)
    if (edge.from == state && edge.event == event) return edge.to;
  return state;
}

/// The `status` attribute of a watcher (RFC 3858); `init` for the state no document shows.
constexpr std::string_view to_string(watcher_state state) noexcept {
  switch (state) {
    case watcher_state::init: return "init";
    case watcher_state::pending: return "pending";
    case watcher_state::active: return "active";
    case watcher_state::waiting: return "waiting";
    case watcher_state::terminated: return "terminated";
  }
  return {};
}

/// The `event` attribute of a watcher (RFC 3858). A refused SUBSCRIBE is told as `rejected`.
constexpr std::string_view to_string(watcher_event event) noexcept {
  switch (event) {
    case watcher_event::subscribe_accepted:
    case watcher_event::subscribe_pending: return "subscribe";
    case watcher_event::subscribe_rejected:
    case watcher_event::rejected: return "rejected";
    case watcher_event::approved: return "approved";
    case watcher_event::giveup: return "giveup";
    case watcher_event::probation: return "probation";
    case watcher_event::deactivated: return "deactivated";
    case watcher_event::noresource: return "noresource";
    case watcher_event::timeout: return "timeout";
  }
  return {};
}

// the surprises
static_assert(step(watcher_state::pending, watcher_event::timeout) == watcher_state::waiting,
              "who was never decided about is remembered");
static_assert(step(watcher_state::active, watcher_event::timeout) == watcher_state::terminated,
              "who was allowed is not");
static_assert(step(watcher_state::waiting, watcher_event::approved) == watcher_state::terminated,
              "there is no dialog to become active in; policy remembers the approval");
static_assert(step(watcher_state::waiting, watcher_event::timeout) == watcher_state::waiting,
              "only giveup ends the wait");
static_assert(step(watcher_state::waiting, watcher_event::subscribe_pending) == watcher_state::waiting,
              "a new subscription is a new machine");
static_assert(step(watcher_state::active, watcher_event::giveup) == watcher_state::active,
              "nobody gives up on who was let in");
static_assert(step(watcher_state::active, watcher_event::subscribe_pending) == watcher_state::active,
              "no edge leads back from active to pending");
static_assert(step(watcher_state::terminated, watcher_event::subscribe_accepted) ==
              watcher_state::terminated, "the end is the end");

}  // namespace presence
