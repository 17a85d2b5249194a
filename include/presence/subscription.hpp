/// The rules of SUBSCRIBE as pure functions (RFC 6665 section 4.2.1): fetch, create, refresh, end;
/// and what a changed authorization does to a subscription (RFC 5025; conformance section 6.2).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

#include <presence/effects.hpp>
#include <presence/publication.hpp>
#include <presence/time.hpp>

namespace presence {

struct subscribe_facts {
  bool in_dialog = false;   ///< the request has a To tag
  bool known = false;       ///< and names a live subscription
  std::optional<seconds> asked = {};
  sub_handling handling = sub_handling::allow;
};

namespace subscribing {
struct fetched {};                       ///< one NOTIFY, nothing is stored (EVT-4.4.3-1)
struct created { seconds lifetime; };
struct refreshed { seconds lifetime; };
struct ended {};                         ///< unsubscribed: one last NOTIFY
struct refused { int status; };          ///< 403, 423 or 481
}  // namespace subscribing

using subscribe_decision =
    std::variant<subscribing::fetched, subscribing::created, subscribing::refreshed,
                 subscribing::ended, subscribing::refused>;

/// Decides a SUBSCRIBE whose package is known. A new usage inside a dialog counts as `in_dialog =
/// false`. 481 comes before 403, 403 before 423 (TV-24). An hour or more is never too short, even
/// if the minimum is longer (EVT-4.2.1.1-4). A blocked watcher may still unsubscribe.
constexpr subscribe_decision decide(const subscribe_facts& facts, const expiry_bounds& bounds) noexcept {
  if (facts.in_dialog && !facts.known) return subscribing::refused{481};
  const bool ends = facts.asked && *facts.asked == seconds{0};
  if (facts.handling == sub_handling::block && !(ends && facts.in_dialog))
    return subscribing::refused{403};
  if (facts.asked && !ends && *facts.asked < seconds{3600} && *facts.asked < bounds.shortest)
    return subscribing::refused{423};
  const seconds lifetime = granted(facts.asked, bounds);
  if (lifetime == seconds{0}) {
    if (facts.in_dialog) return subscribing::ended{};
    return subscribing::fetched{};
  }
  if (facts.in_dialog) return subscribing::refreshed{lifetime};
  return subscribing::created{lifetime};
}

/// What a watcher with a live subscription has: nothing yet, the real state, or a fake one.
enum class standing : std::uint8_t { pending, active, polite };

/// What a decision gives a watcher who has no subscription yet. Precondition: not block.
constexpr standing standing_of(sub_handling handling) noexcept {
  return handling == sub_handling::allow          ? standing::active
         : handling == sub_handling::polite_block ? standing::polite
                                                  : standing::pending;
}

/// What a new decision does to a live subscription.
struct reconsidered {
  standing now;                         ///< where it stands afterwards, unless it ends
  bool notify = false;                  ///< a NOTIFY is due at once
  end_reason ends = end_reason::none;   ///< the subscription ends with this reason
};

/// Table of conformance section 6.2 ("change of decision on a live subscription"). There is no way
/// back from active to pending (EVT-FSM-1): who needs a confirmation again has to subscribe again.
constexpr reconsidered reconsider(standing before, sub_handling handling) noexcept {
  switch (handling) {
    case sub_handling::block:
      return {before, true, end_reason::rejected};
    case sub_handling::confirm:
      // who is politely blocked must not tell by this that he was (SEC-LEAK-2)
      if (before != standing::pending) return {before, true, end_reason::probation};
      return {before, false, end_reason::none};
    case sub_handling::polite_block:
      return {standing::polite, before != standing::polite, end_reason::none};
    case sub_handling::allow:
      return {standing::active, before != standing::active, end_reason::none};
  }
  return {before, false, end_reason::none};
}

static_assert(reconsider(standing::polite, sub_handling::confirm).ends == end_reason::probation);
static_assert(reconsider(standing::pending, sub_handling::block).ends == end_reason::rejected);

}  // namespace presence
