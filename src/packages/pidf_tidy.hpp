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
  if (where == space::pidf) return label == "tuple" ? component::tuple : label == "note" ? component::note : component::foreign;
  if (where != space::model) return component::foreign;
  return label == "person" ? component::person : label == "device" ? component::device : component::foreign;
}

inline role role_of(component in, space where, std::string_view label) noexcept {
  if (where == (in == component::tuple ? space::pidf : space::model)) {
    if (label == "status" && in == component::tuple) return {0, true};
    if (label == "contact" && in == component::tuple) return {2, true};
    if (label == "deviceID" && in == component::device) return {2, true};
    if (label == "note") return {3};
    if (label == "timestamp") return {4, true, true};
  }
  return {1};
}

inline bool is_note(const xml::node& n) noexcept {
  return !n.text && n.label == "note" && (n.uri == pidf_uri || n.uri == model_uri || n.uri == rpid_uri);
}

/// The document again, with the same meaning: children in the order of the schema, ids without white space
/// around them, no comments, CDATA sections and numeric references, which could hide what a name belongs to.
/// xml:lang of the root or a component, where the schema has none, goes to the notes inside. The ids of RPID
/// elements are left out: they are unique only within the publication.
std::string tidied(const xml::tree& tree);

/// Whether an RPID element has an id.
bool has_rpid_ids(const xml::tree& tree) noexcept;

}  // namespace presence::pidf
