/// The order of the schema, and documents written anew so that every part of them can be used as it stands.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "../xml.hpp"
#include "pidf.hpp"
#include "pidf_meaning.hpp"

namespace presence::pidf {

/// A child of a component: its place among its siblings and what there is to check.
struct role {
  std::uint8_t rank;  ///< below `ranks`
  bool single = false;     ///< at most one
  bool timestamp = false;
};
inline constexpr std::size_t ranks = 5;

inline component kind_of(space where, std::string_view label) noexcept {
  if (where == space::pidf)
    return xml::equal(label, "tuple") ? component::tuple : xml::equal(label, "note") ? component::note : component::foreign;
  if (where != space::model) return component::foreign;
  return xml::equal(label, "person") ? component::person : xml::equal(label, "device") ? component::device : component::foreign;
}

inline role role_of(component in, space where, std::string_view label) noexcept {
  if (where == (in == component::tuple ? space::pidf : space::model)) {
    if (in == component::tuple && xml::equal(label, "status")) return {0, true};
    if (in == component::tuple && xml::equal(label, "contact")) return {2, true};
    if (in == component::device && xml::equal(label, "deviceID")) return {2, true};
    if (xml::equal(label, "note")) return {3};
    if (xml::equal(label, "timestamp")) return {4, true, true};
  }
  return {1};
}

inline bool is_note(const xml::node& n) noexcept {
  return !n.text && xml::equal(n.label, "note") && (n.uri == pidf_uri || n.uri == model_uri || n.uri == rpid_uri);
}

/// The document again, with the same meaning: children in the order of the schema, ids without white space
/// around them, no comments, CDATA sections and numeric references, which could hide what a name belongs to.
/// xml:lang of the root or a component, where the schema has none, goes to the notes inside. The ids of RPID
/// elements are left out: they are unique only within the publication.
std::string tidied(const xml::tree& tree);

/// Whether an RPID element has an id.
bool has_rpid_ids(const xml::tree& tree) noexcept;

}  // namespace presence::pidf
