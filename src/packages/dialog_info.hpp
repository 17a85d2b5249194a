/// Published dialog-info documents (RFC 4235), read and cut into dialogs that can be put into another
/// document. Part of dialog.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <presence/event_package.hpp>
#include <presence/packages.hpp>
#include <presence/result.hpp>

namespace presence::dialog_info {

inline constexpr std::string_view namespace_uri = "urn:ietf:params:xml:ns:dialog-info";
inline constexpr std::string_view media_type = "application/dialog-info+xml";

/// The state element, in the order of a call.
enum class call_state : std::uint8_t { trying, proceeding, early, confirmed, terminated };

std::optional<call_state> parse_state(std::string_view name) noexcept;
std::string_view to_string(call_state state) noexcept;

/// As the value of an attribute.
std::string escaped(std::string_view text);

/// One dialog of a document.
struct entry {
  std::string id, call_id, local_tag, remote_tag, direction;
  call_state state = call_state::trying;
  /// The element up to and behind the value of its id, with the declarations it needs.
  std::string before_id, behind_id;
  std::uint64_t meaning = 0;  ///< digest, without the id
  /// The id it was shown under, once it was; kept while its publication lives. The one thing about a
  /// document that changes after its check; an engine has one caller at a time.
  mutable std::string shown_as = {};

  /// Whether both are the same dialog of the same user agent; never for dialogs that do not tell.
  bool same_dialog(const entry& other) const noexcept {
    return !call_id.empty() && !local_tag.empty() && !remote_tag.empty() && call_id == other.call_id &&
           local_tag == other.local_tag && remote_tag == other.remote_tag;
  }
};

struct checked_document final : parsed_document {
  std::vector<entry> dialogs;
  body whole = {};  ///< of a partial document: what it made of the one before

  body stored() const override { return whole; }

  const entry* find(std::string_view id) const noexcept {
    for (const entry& e : dialogs)
      if (e.id == id) return &e;
    return nullptr;
  }
  bool has_live() const noexcept {
    for (const entry& e : dialogs)
      if (e.state != call_state::terminated) return true;
    return false;
  }
};

/// Checks a document and cuts it up; 400 for what is malformed. A partial one is merged, by id, into
/// the document it replaces (DLG-AGG-2).
result<document, refusal> check(const offered_document& offer, bool session_descriptions);

}  // namespace presence::dialog_info
