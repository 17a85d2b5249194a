/// What a host hands in. A request is a bundle of views of the host's parsed message: the engine
/// reads it during the call and keeps nothing of it, so no copy is made at the door.
///
/// Header values are given as the text after the colon. Several header fields of one name are
/// joined with a comma, as RFC 3261 section 7.3.1 allows; where only one value is legal the engine
/// sees the comma and answers 400. The engine checks every field itself (conformance GRM): a host
/// need not have validated anything. Control characters anywhere are refused with 400.
///
/// The host removes retransmissions (same transaction) before it calls (HOST-3).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <presence/time.hpp>

namespace presence {

/// Who sent a request, as the host has proven it (HOST-1). The engine takes watchers and
/// publishers from here; where nothing is proven, From only names a watcher, and no rule on identities
/// matches him.
struct identity {
  std::string_view uri = {};                ///< the proven address; empty: nothing was proven
  std::string_view method = {};             ///< how: digest, asserted, identity-header, mutual-tls, ...
  /// The sender asked for privacy (RFC 3323). A watcher is then nobody in particular: hooks see no address of
  /// his, nothing that was proven is kept, and watcher information shows `anonymous_watcher` (WIN-58-8).
  bool anonymous = false;
  /// Further addresses proven for the same sender; at most most_also. Kept with a subscription, for later decisions.
  std::vector<std::string_view> also = {};
  static constexpr std::size_t most_also = 16;
  /// His name, from a source the host trusts; the resource's owner sees it in watcher information (WIN-58-9).
  std::string_view display_name = {};

  /// Whether one of the proven addresses is `address`, written as canonical_aor (uri.hpp) writes it.
  bool proves(std::string_view address) const;
};

/// The address of all watchers who want to stay anonymous (RFC 3323 section 4.1.1.3).
inline constexpr std::string_view anonymous_watcher = "sip:anonymous@anonymous.invalid";

/// An Expires header value: absent, a number of seconds, or text still to be checked (GRM-6).
class expires_value {
 public:
  constexpr expires_value() noexcept = default;
  constexpr expires_value(seconds value) noexcept
      : state_{value.count() >= 0 && value.count() <= largest ? state::given : state::malformed},
        seconds_{state_ == state::given ? static_cast<std::uint32_t>(value.count()) : 0} {}
  /// delta-seconds as RFC 3261 writes it: digits only, at most 2^32-1, leading zeros allowed.
  constexpr expires_value(std::string_view text) noexcept {
    std::uint64_t value = 0;
    state_ = text.empty() ? state::malformed : state::given;
    for (const char c : text) {
      if (c < '0' || c > '9' || (value = value * 10 + static_cast<std::uint64_t>(c - '0')) > largest) {
        state_ = state::malformed;
        return;
      }
    }
    seconds_ = static_cast<std::uint32_t>(value);
  }
  constexpr expires_value(const char* text) noexcept : expires_value{std::string_view{text}} {}

  constexpr bool malformed() const noexcept { return state_ == state::malformed; }
  constexpr std::optional<seconds> value() const noexcept {
    if (state_ != state::given) return std::nullopt;
    return seconds{seconds_};
  }

 private:
  static constexpr std::int64_t largest = 4294967295;
  enum class state : std::uint8_t { absent, given, malformed };
  state state_ = state::absent;
  std::uint32_t seconds_ = 0;
};

/// A message body as it arrived.
struct content_view {
  std::string_view type = {};      ///< Content-Type value
  std::string_view bytes = {};     ///< any bytes; empty means no body
  std::string_view encoding = {};  ///< Content-Encoding value, if any
  bool optional = false;           ///< Content-Disposition said handling=optional
  std::optional<std::uint64_t> declared_length = {};  ///< Content-Length, when the host has it
};

/// PUBLISH (RFC 3903).
struct publish_request {
  std::string_view resource = {};       ///< Request-URI: the presentity
  std::string_view event = {};          ///< Event value
  expires_value expires = {};           ///< Expires value
  std::string_view sip_if_match = {};   ///< SIP-If-Match value; empty: header absent
  content_view content = {};
  std::string_view require = {};        ///< Require value
  identity who = {};                       ///< the proven sender
  /// handle_publish(sender_uri) of the Kamailio module: the watcher whose Contact equals it gets
  /// no NOTIFY of this change (P03). Only a host that trusts the header it came from passes it.
  std::string_view sender = {};
};

/// SUBSCRIBE (RFC 6665).
struct subscribe_request {
  std::string_view resource = {};          ///< Request-URI; ignored inside a dialog
  /// Whose state is wanted, where the host knows better than the Request-URI, or than the Contact where that names a
  /// bridged line (S26). Empty: as they say.
  std::string_view presentity = {};
  std::string_view event = {};             ///< Event value
  expires_value expires = {};              ///< Expires value
  std::string_view call_id = {};
  std::string_view from_tag = {};
  std::string_view to_tag = {};            ///< empty: outside any dialog
  std::string_view from_uri = {};          ///< From URI without parameters or display name
  std::string_view to_uri = {};            ///< To URI; empty: as `resource`. If pres:, so is the entity of presence documents
  std::string_view contact = {};           ///< Contact URI, the remote target
  std::string_view record_route = {};      ///< Record-Route values in received order
  std::optional<std::uint32_t> cseq = {};  ///< CSeq number
  std::optional<std::string_view> accept = {};  ///< Accept value; present but empty accepts nothing
  std::string_view require = {};           ///< Require value
  std::string_view supported = {};         ///< Supported value; checked, and not used yet
  content_view content = {};
  identity who = {};                       ///< the proven sender
  bool secure = false;                     ///< arrived over sips/TLS
  std::string_view local_contact = {};     ///< our Contact when `server_address` is not set (S06)
  std::string_view user_agent = {};        ///< kept and returned (S23)
  std::string_view cookie = {};            ///< kept and returned with every NOTIFY (S23)
};

/// OPTIONS (RFC 3903 section 7, RFC 6665 section 4.4.4).
struct options_request {
  std::string_view resource = {};
  std::string_view require = {};
  identity who = {};                       ///< the proven sender
};

}  // namespace presence
