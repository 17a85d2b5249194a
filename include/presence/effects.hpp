/// What a call returns: one reply and the NOTIFYs to send, in order, reply first. Descriptors carry
/// values, no SIP text, and stay valid as long as the host keeps them, whatever the engine does
/// next. Nothing else happens behind a call: no queue to drain, no callback.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <presence/body.hpp>
#include <presence/dialog.hpp>
#include <presence/time.hpp>

namespace presence {

/// Subscription-State values; the only three that go on the wire (GRM-20).
enum class subscription_state : std::uint8_t { active, pending, terminated };

/// The reason parameter of a terminated Subscription-State (RFC 6665 section 4.1.3).
enum class end_reason : std::uint8_t {
  none, deactivated, probation, rejected, timeout, giveup, noresource, invariant
};

/// What a watcher may have (RFC 5025 section 3.2.1), lowest first: matching rules combine by maximum.
enum class sub_handling : std::uint8_t { block, confirm, polite_block, allow };

std::string_view to_string(sub_handling) noexcept;
std::string_view to_string(subscription_state) noexcept;
std::string_view to_string(end_reason) noexcept;  ///< empty for none

/// Names one NOTIFY when its outcome is reported (HOST-5). Plain numbers; never on the wire.
struct notify_id {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  std::uint32_t cseq = 0;
  friend bool operator==(const notify_id&, const notify_id&) = default;
};

/// One NOTIFY to send. Request-URI, Route, From, To, Call-ID, Contact and Event are in `dialog`.
struct notify {
  static constexpr int max_forwards = 70;  ///< Max-Forwards of every NOTIFY

  notify_id id = {};                 ///< give it back with the outcome
  presence::dialog dialog = {};
  std::uint32_t cseq = 0;            ///< strictly rising per dialog (N09)
  subscription_state state = subscription_state::active;
  end_reason reason = end_reason::none;     ///< only with terminated
  std::uint32_t expires = 0;         ///< seconds left, rounded down; no meaning when terminated
  std::uint32_t retry_after = 0;     ///< seconds; 0 = none; only with probation and giveup
  body content = {};                 ///< no body: neither Content-Type nor bytes
  std::uint32_t version = 0;         ///< of the document, where content.version_at() asks for one

  /// The bytes to send are `head`, then `version`, then `tail`: nothing has to be copied to put the
  /// number in. The views live as long as `content`; `version` as long as this object.
  struct pieces {
    std::string_view head = {};
    char digits[10] = {};
    std::uint8_t size = 0;
    std::string_view tail = {};
    std::string_view version() const noexcept { return {digits, size}; }
    std::size_t total() const noexcept { return head.size() + size + tail.size(); }
  };
  pieces body_pieces() const noexcept;
  /// The same as one text.
  std::string body_bytes() const;

  /// The Subscription-State header value, e.g. `active;expires=590`.
  std::string subscription_state_value() const;

  friend bool operator==(const notify&, const notify&) = default;
};

/// The one answer to a request. Fields that are empty or absent mean "no such header".
struct reply {
  int status = 0;                    ///< 0: the call answers no request (report, advance, refresh)
  std::string_view reason = {};      ///< reason phrase; static text, never what a peer sent
  presence::dialog dialog = {};      ///< 2xx to SUBSCRIBE: To tag (local_tag) and Contact (local_contact)
  std::optional<std::uint32_t> expires = {};      ///< Expires
  std::optional<std::uint32_t> min_expires = {};  ///< Min-Expires, with 423
  std::optional<std::uint32_t> retry_after = {};  ///< Retry-After
  std::string etag = {};             ///< SIP-ETag
  std::string allow_events = {};     ///< Allow-Events
  std::string allow = {};            ///< Allow
  std::string accept = {};           ///< Accept, with 415 (and 200 to OPTIONS)
  std::string accept_encoding = {};  ///< Accept-Encoding, with 415
  std::string unsupported = {};      ///< Unsupported, with 420
  std::string require = {};          ///< Require; nothing sets it yet
  bool challenge = false;            ///< with 401: the host adds WWW-Authenticate (HOST-2)

  /// Empties every field, keeping the memory for reuse.
  void clear() noexcept;

  friend bool operator==(const reply&, const reply&) = default;
};

inline void reply::clear() noexcept {
  status = 0;
  reason = {};
  dialog = {};
  expires = min_expires = retry_after = std::nullopt;
  for (std::string* text : {&etag, &allow_events, &allow, &accept, &accept_encoding, &unsupported, &require})
    text->clear();
  challenge = false;
}

/// What a PUBLISH did (PUB-7.8-1).
enum class publish_operation : std::uint8_t { none, created, refreshed, modified, removed };

std::string_view to_string(publish_operation) noexcept;

/// Everything that has to happen after a call.
struct effects {
  reply answer = {};
  std::vector<notify> notifies = {};  ///< in a stable order: immediate NOTIFY first, then watchers as they subscribed
  publish_operation operation = publish_operation::none;
  bool state_changed = false;         ///< the resource's composed state is another than before
  bool storage_failed = false;        ///< the database refused: nothing happened; see answer.retry_after
  bool more = false;                  ///< advance: the budget ran out, call again

  /// Empties everything, keeping the memory for reuse.
  void clear() {
    answer.clear();
    notifies.clear();
    operation = publish_operation::none;
    state_changed = storage_failed = more = false;
  }
};

/// What became of a NOTIFY (HOST-5).
struct notify_report {
  notify_id id = {};
  /// Final status; 0 = transaction timeout or transport failure. 401 and 407 mean that the host sends
  /// the NOTIFY again with credentials and reports that one's outcome; else report 403.
  int status = 0;
  std::optional<seconds> retry_after = {}; ///< Retry-After of the answer, if any; no effect yet
};

/// A readable transcript, one line each: `200 OK Expires=600`, `NOTIFY sip:bob@... CSeq 2 active;expires=600`.
std::string to_string(const reply&);
std::string to_string(const notify&);
std::string to_string(const effects&);

/// The standard phrase of a status this library answers; static text.
std::string_view reason_phrase(int status) noexcept;

}  // namespace presence
