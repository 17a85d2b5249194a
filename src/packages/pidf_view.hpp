/// What presence rules let somebody see of a component (RFC 5025 section 3.3; POL-TR rows).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <presence/event_package.hpp>
#include <presence/keyed_hash.hpp>
#include <presence/rules.hpp>

#include "digest.hpp"
#include "pidf.hpp"

namespace presence::pidf {

/// An id that is none of the published ones.
using made_up_id = std::array<char, 13>;
made_up_id made_up(std::uint64_t bits) noexcept;
/// Keys of ids: equal for equal ids, of that made of these bits and of any.
std::uint64_t key_of_bits(std::uint64_t bits) noexcept;
std::uint64_t key_of_id(std::string_view id) noexcept;

/// What the rules show; views that grant the same are one, whatever rules they come from.
struct rules_view final : view {
  explicit rules_view(permissions p) : shown{std::move(p)} {}
  bool equals(const view& other) const noexcept override {
    return shown == static_cast<const rules_view&>(other).shown;
  }
  permissions shown;
};

/// One view on the documents of one resource. Components are chosen first, then what is in them; what
/// passes is copied as it is. A device keeps a deviceID, as the schema wants: one that tells nothing of the
/// true one, unless provide-deviceID is granted. Borrows all it is made of.
class lens {
 public:
  lens(const permissions& shown, std::string_view resource, const keyed_hash& secret);

  /// Whether the fragment is chosen (POL-TR-1 to -3, -16, -17, -22, -23). A document that was checked without
  /// offered_document::through_views shows nothing.
  bool shows(const checked_document& in, const fragment& f) const;
  /// What of the document's prominence is shown: what is hidden makes no document be chosen (SEC-LEAK-9).
  prominence prominence_of(const checked_document& d) const;
  /// The id a component is shown under: the same as long as its publication lives; it tells nothing of the published
  /// one, which may name a device (SEC-PKG-8), nor of the number of publications.
  made_up_id id_of(std::uint64_t publication, std::string_view published) const noexcept;
  /// Appends a component that is chosen, under this id, and what that says.
  void append(const checked_document& in, const fragment& f, std::string_view id, std::string& out, digest& meaning) const;

 private:
  bool shows(const outline& o, const outline::part& p, std::uint32_t granted) const;
  const component_filter& filter_of(component kind) const noexcept;
  bool names_service(std::string_view contact) const;
  void append_substitute(std::string_view device_id, std::string& out, digest& meaning) const;

  const permissions& shown_;
  std::string_view resource_;
  const keyed_hash& secret_;
  std::uint32_t granted_ = 0;  // bits of outline::part::needs
  std::vector<std::pair<std::string, std::string_view>> services_;  // the service-uri by key_of()
};

/// The entry of a fragment's outline; null: none was made.
const outline::entry* outline_of(const checked_document& in, const fragment& f) noexcept;

}  // namespace presence::pidf
