/// Published dialog-info documents (RFC 4235), read and cut into dialogs that can be put into another
/// document. Part of dialog.cpp.
#pragma once

#include <algorithm>
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

/// As the value of an attribute, in quotes of either kind.
std::string escaped(std::string_view text);

/// A digest; never 0.
std::uint64_t key_of(std::string_view call_id, std::string_view local_tag, std::string_view remote_tag) noexcept;

/// One dialog of a document.
struct entry {
  std::string id, call_id, local_tag, remote_tag, direction, remote_target;
  call_state state = call_state::trying;
  /// The element up to and behind the value of its id, with the declarations it needs.
  std::string before_id, behind_id;
  std::uint64_t meaning = 0;  ///< digest, without the id
  /// key_of() its Call-ID and tags: equal for one dialog of one user agent, whoever tells of it; without a remote tag, for
  /// one INVITE that nobody has answered yet. 0: it does not tell which dialog it is.
  std::uint64_t key = 0;
  bool told = false;  ///< its end: by an earlier document
  /// The id it was shown under, once it was; kept while its publication lives. This and `ended` are all of a
  /// document that changes after its check; an engine has one caller at a time.
  mutable std::string shown_as = {};

  bool over() const noexcept { return state == call_state::terminated; }
  /// Whether both are one dialog, of two documents of one publication that have it under one id.
  bool same_as(const entry& other) const noexcept {
    return call_id == other.call_id && local_tag == other.local_tag && remote_tag == other.remote_tag;
  }
  /// Whether it may be the other one, of which more is known by now; of two documents, as above.
  bool grows_into(const entry& other) const noexcept {
    return call_id == other.call_id && (local_tag.empty() || local_tag == other.local_tag) &&
           (remote_tag.empty() || remote_tag == other.remote_tag);
  }
};

struct checked_document final : parsed_document {
  std::vector<entry> dialogs;
  bool names_live = false;  ///< a live dialog, as it was published, before it was merged
  /// Dialogs that earlier documents told the end of, this publication's or one's that is gone: what others
  /// still say of them does not count. By key, the latest last.
  mutable std::vector<std::uint64_t> ended = {};
  body whole = {};  ///< the document without these: as it was published, or merged

  /// The document, and behind it what its dialogs are shown as and what has ended.
  body stored() const override;
  std::optional<std::uint64_t> kept() const override;
  bool has_live() const noexcept {
    return std::any_of(dialogs.begin(), dialogs.end(), [](const entry& e) { return !e.over(); });
  }
  void remember_end(std::uint64_t key) const;
  /// Takes over which dialogs another document tells the end of, or knows of.
  void remember_ends(const checked_document& gone) const;
};

/// How documents are read.
struct reading {
  bool session_descriptions = false;      ///< kept
  bool ends_are_final = false;            ///< what a document says of a dialog that has ended is passed over
  bool remote_target_is_identity = false; ///< the remote target is replaced by the remote identity
};

/// Checks a document and cuts it up; 400 for what is malformed. A partial one is merged, by id, into
/// the document it replaces (DLG-AGG-2).
result<document, refusal> check(const offered_document& offer, const reading& how);

}  // namespace presence::dialog_info
