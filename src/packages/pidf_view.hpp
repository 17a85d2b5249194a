/// A presence document as rules let somebody see it (RFC 5025 section 3.3; POL-TR rows).
#pragma once

#include <memory>
#include <utility>

#include <presence/event_package.hpp>
#include <presence/rules.hpp>

namespace presence::pidf {

/// What the rules show; views that grant the same are one, whatever rules they come from.
struct rules_view final : view {
  explicit rules_view(permissions p) : shown{std::move(p)} {}
  bool equals(const view& other) const noexcept override {
    return shown == static_cast<const rules_view&>(other).shown;
  }
  permissions shown;
};

/// An `authorize_body` hook for presence whose views are `rules_view`s. Components are chosen first,
/// then what is in them; what passes is copied as it is. A device keeps a deviceID, as the schema
/// wants: one that tells nothing of the true one, unless provide-deviceID is granted.
decltype(event_package::authorize_body) make_view_renderer();

}  // namespace presence::pidf
