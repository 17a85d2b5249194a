/// What the final status of a NOTIFY does to its subscription (RFC 6665 section 4.2.2; conformance
/// EVT-4.2.2-7 to -13), as a table of statuses. Pure: it knows no subscription and no time.
/// Retry-After only delays further NOTIFYs; where a status ends the subscription it is not looked at.
#pragma once

#include <cstdint>
#include <string_view>

namespace presence {

enum class notify_outcome : std::uint8_t {
  delivered,    ///< 2xx: the watcher has it
  ended,        ///< the subscription is over; it is removed without a further NOTIFY
  kept,         ///< the NOTIFY is lost, the subscription lives; the next change is told as usual
  provisional,  ///< nothing is decided yet: 1xx, or a challenge the host answers itself (EVT-4.2.2-12)
};

/// RFC 5057 would let 403 end the subscription; RFC 6665 does not list it (EVT-4.2.2-10).
inline constexpr bool forbidden_ends_subscription = false;

/// Status 0 stands for a transaction timeout or a transport failure.
constexpr notify_outcome outcome_of(int status, bool timeout_rm_subs) noexcept {
  if (status >= 100 && status < 200) return notify_outcome::provisional;
  if (status >= 200 && status < 300) return notify_outcome::delivered;
  switch (status) {
    case 401: case 407:  // the host repeats the NOTIFY with credentials
      return notify_outcome::provisional;
    case 0: case 408:    // EVT-4.2.2-7; 408 counts as a timeout
      return timeout_rm_subs ? notify_outcome::ended : notify_outcome::kept;
    case 403:
      return forbidden_ends_subscription ? notify_outcome::ended : notify_outcome::kept;
    case 404: case 405: case 410: case 416:  // EVT-4.2.2-8
    case 480: case 481: case 482: case 483: case 484: case 485: case 489:
    case 501: case 604:
      return notify_outcome::ended;
    default:             // EVT-4.2.2-10 and -13: 3xx and every other error
      return notify_outcome::kept;
  }
}

constexpr std::string_view to_string(notify_outcome outcome) noexcept {
  switch (outcome) {
    case notify_outcome::delivered: return "delivered";
    case notify_outcome::ended: return "ended";
    case notify_outcome::kept: return "kept";
    case notify_outcome::provisional: return "provisional";
  }
  return {};
}

static_assert(outcome_of(481, false) == notify_outcome::ended, "481 ends it whatever the options say");
static_assert(outcome_of(503, true) == notify_outcome::kept, "RFC 3265 ended it, RFC 6665 does not");
static_assert(outcome_of(603, true) == notify_outcome::kept, "of the 6xx only 604 ends it");
static_assert(outcome_of(0, false) == notify_outcome::kept);

}  // namespace presence
