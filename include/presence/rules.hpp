/// Presence rules (RFC 4745, 5025): who may watch and what he sees, as a document of the presentity.
/// Rules only grant: all rules whose conditions hold are combined, none can take away what another
/// gives, and their order has no meaning (POL-4745-add-1, -comb-1, PROP-12, PROP-13).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <presence/effects.hpp>
#include <presence/event_package.hpp>
#include <presence/options.hpp>
#include <presence/requests.hpp>
#include <presence/result.hpp>
#include <presence/time.hpp>

namespace presence {

/// Which components of one kind pass (POL-TR-1 to -3). Each list is sorted and without repetition.
struct component_filter {
  bool all = false;
  std::vector<std::string> classes = {};         ///< rpid:class
  std::vector<std::string> occurrence_ids = {};  ///< the id attribute as published
  std::vector<std::string> device_ids = {};      ///< dm:deviceID; devices only
  std::vector<std::string> service_uris = {};    ///< contact; services only
  std::vector<std::string> schemes = {};         ///< of the contact, in lower case; services only
  friend bool operator==(const component_filter&, const component_filter&) = default;
};

/// The attributes that are granted one by one (POL-TR-4 to -14, -16).
enum class shown_attribute : std::uint8_t {
  activities, class_, device_id, mood, place_is, place_type, privacy, relationship, sphere, status_icon,
  time_offset, note
};

/// How much of user-input passes (POL-TR-15), lowest first.
enum class user_input : std::uint8_t { nothing, bare, thresholds, full };

/// What the rules that apply to a watcher grant him together.
struct permissions {
  sub_handling handling = sub_handling::block;
  component_filter services = {}, persons = {}, devices = {};
  std::uint32_t attributes = 0;      ///< bit n: shown_attribute n
  presence::user_input input = user_input::nothing;
  std::vector<std::pair<std::string, std::string>> unknown = {};  ///< namespace and local name, sorted
  bool all_attributes = false;

  bool shows(shown_attribute a) const noexcept {
    return all_attributes || (attributes >> static_cast<unsigned>(a) & 1) != 0;
  }
  /// Whether `unknown` has that key.
  bool names_unknown(std::string_view ns, std::string_view name) const noexcept;
  /// Whether nothing at all is held back.
  bool everything() const noexcept;
  friend bool operator==(const permissions&, const permissions&) = default;
};

/// Adds what `more` grants (POL-4745-comb-1): maximum, union, or.
void combine(permissions& all, const permissions& more);

/// Who asks, when, and what else a condition can look at.
struct rules_query {
  const identity& watcher;                       ///< an empty `uri`: nothing is proven
  std::optional<std::string_view> sphere = {};   ///< absent: unknown; no sphere condition holds then
  instant now = {};
};

/// The answer of a rule set.
struct granted_permissions {
  permissions allowed = {};
  std::optional<instant> until = {};  ///< a validity begins or ends then (POL-4745-val-2)
  bool by_sphere = false;             ///< some rule looks at the sphere
  bool unlimited = false;             ///< some rule that applies allows, and has no transformations
};

/// A rules document that was read. Immutable; may be shared between threads.
class ruleset {
 public:
  ruleset();
  ruleset(ruleset&&) noexcept;
  ruleset& operator=(ruleset&&) noexcept;
  ~ruleset();

  /// Reads a document of at most `bounds.body_bytes`. Fails with one sentence: what is not
  /// well-formed, not a ruleset, has a rule without an id or two of one id, or too many service-uri. A condition that is not
  /// known makes its rule apply to nobody (POL-4745-cond-2); an unknown action or transformation
  /// grants nothing. Cost: linear.
  static result<ruleset, std::string> parse(std::string_view text, const limits& bounds = {});

  /// Evaluates all rules (conformance section 6). Pure. Cost: linear in conditions.
  granted_permissions evaluate(const rules_query& query) const;

  /// Of one user a contact is compared with each, for parameters make no order (RFC 3261 section 19.1.4).
  static constexpr std::size_t most_service_uris = 32;

  struct rule;

 private:
  std::vector<rule> rules_;
};

struct rules_options {
  /// For a presentity without a document, or whose only document cannot be read (POL-5025-sub-6). In
  /// the second case never more than confirm (POL-4745-bad-1).
  sub_handling without_document = sub_handling::confirm;
  /// A rule that allows, and has no transformations, shows everything; by RFC 5025 it shows nothing (Z19, POL-TR-20).
  bool lenient = false;
  std::size_t cached = 10000;  ///< documents kept in their read form
  presence::limits limits = {};
};

/// The text of a presentity's rules document, if it has one.
using rules_source = std::function<std::optional<std::string>(std::string_view resource)>;

/// Lets rules documents decide about the watchers of a package: sets req_auth, rules_document and
/// authorize, whose views the `presence` package shows. Other packages cannot keep the limits of a rule: whom one
/// limits is politely blocked (POL-TR-27). What such a package's own `authorize` said before still holds: the lesser of
/// both decides, and its view is what is seen (strangers of `dialog`, headers of `message-summary`). A document is read
/// again only when its text changed; one that cannot be read leaves the last good one in force. After a document changed call
/// engine::refresh_watchers(resource, package, refresh_type::authorization).
void authorize_by_rules(event_package& package, rules_source source, rules_options how = {});

}  // namespace presence
