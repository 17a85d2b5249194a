// What is published in a walk and what it makes, in plain words: naive documents of each package,
// their composition read from the specification, and NOTIFY bodies turned into the same words.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <presence/packages.hpp>
#include <presence/rules.hpp>

#include "rules.hpp"

namespace presence::test::walking {

/// The packages of a walk; the last two tell about watchers of the first and the third.
enum kind : int { k_presence, k_messages, k_dialog, k_sla, k_joined, k_presence_watchers, k_dialog_watchers };
inline constexpr int kinds = 7, published_kinds = 5;
extern const char* const package_names[kinds];
extern const char* const package_types[kinds];
inline constexpr bool about_watchers(int kind) { return kind >= published_kinds; }
inline constexpr int watched_by(int kind) { return kind == k_presence_watchers ? k_presence : k_dialog; }
/// The kind that tells about watchers of `kind`; -1: none does.
inline constexpr int watchers_of(int kind) {
  return kind == k_presence ? k_presence_watchers : kind == k_dialog ? k_dialog_watchers : -1;
}
inline constexpr bool versioned(int kind) { return kind != k_presence && kind != k_messages; }

/// How the packages of one walk are set up.
struct variant {
  presence_options presence = {};
  message_summary_options messages = {};
  dialog_options dialog = {};
  bool ruled[kinds] = {};  ///< presence rules decide about its watchers
  sub_handling without_document = sub_handling::allow;
  bool lenient = false;
};
event_package joined_package();
/// One who shares every bridged line.
inline constexpr std::string_view line_sharer = "sip:w4@example.com";

/// A tuple, person, device or note of a presence document.
struct component {
  std::string what, id;
  std::map<std::string, std::string> fields = {};
};
/// A dialog of a dialog-info document.
struct call {
  std::string id, call_id, local_tag, remote_tag, state, remote;
  bool told = false;  ///< that it is over: by an earlier document
  /// Which dialog it is, whoever tells of it; empty: it does not say.
  std::string key() const {
    return call_id.empty() || local_tag.empty() ? "" : call_id + "/" + local_tag + "/" + remote_tag;
  }
  /// Whether what is known of it may be all of what is known of the other by now.
  bool part_of(const call& o) const {
    return call_id == o.call_id && (local_tag == o.local_tag || local_tag.empty()) && (remote_tag == o.remote_tag || remote_tag.empty());
  }
  bool same_dialog(const call& o) const { return !key().empty() && key() == o.key(); }
  bool over() const { return state == "terminated"; }
};
struct summary {
  struct line {
    std::string name;
    std::uint32_t fresh, old;
    bool has_urgent;
    std::uint32_t urgent_fresh, urgent_old;
  };
  bool waiting = false;
  std::string account = {}, headers = {};
  std::vector<line> lines = {};
};
/// A published document; `raw` are its bytes, what else is filled in depends on its package.
struct content {
  std::string raw = {};
  std::vector<component> components = {};
  std::vector<call> named = {};  ///< the dialogs of a dialog-info
  std::vector<call> calls = {};  ///< what the compositor makes of them: see take_in
  bool partial = false;          ///< it changes what it names
  bool rewritten = false;        ///< it is not kept as it was published
  std::vector<std::string> ended = {};  ///< dialogs that had ended before, by key
  summary messages = {};
};
void write(content& c, int kind, const std::string& resource);
/// What becomes of a dialog-info that arrives in the place of another, or of none (DLG-AGG-2, P37).
void take_in(content& c, int kind, const content* before);
/// What another document, which is gone, leaves behind (V11).
void inherit(content& heir, const content& gone);

/// A publication as composition sees it, oldest first.
struct held {
  const content* what;
  std::uint64_t order;     ///< of its arrival
  std::string sender = {};
  bool leaving = false, arriving = false;
  std::uint64_t number = 0;  ///< of its publication
  bool has_news = true;
};

/// Which dialogs a subscription is about: those of one INVITE, or one of them (DLG-3.2-1).
struct chosen_dialogs {
  std::string call_id = {}, local_tag = {}, remote_tag = {};
  bool any() const { return call_id.empty(); }
  bool one() const { return !remote_tag.empty(); }
  bool has(const call& c) const {
    return any() || (c.call_id == call_id && c.local_tag == local_tag && (!one() || c.remote_tag == remote_tag));
  }
  std::string parameters() const {
    return any() ? "" : ";call-id=" + call_id + ";to-tag=" + local_tag + (one() ? ";from-tag=" + remote_tag : "");
  }
};

/// What somebody may see.
struct sight {
  enum class of { everything, by_rules, stranger } is = of::everything;
  grants by = {};
  chosen_dialogs of_these = {};  ///< of everything
};

/// A document in words. `gist` leaves out what is no change by itself.
struct shown {
  bool has_body = true;
  std::string text = {}, gist = {};
  std::vector<std::string> live = {};   ///< dialogs
  std::vector<std::string> over = {};
};
shown compose(int kind, const variant& how, const std::string& resource, const std::vector<held>& all, const sight& seen);
/// Whether it is known that the one dialog is over, or the document that is shown now tells so (DLG-3.4-1).
bool is_over(const std::vector<held>& all, const chosen_dialogs& which);
/// Whose document a bridged line shows (BLA-2, P40); null: nobody's.
const held* on_the_line(const std::vector<held>& all);
/// Whether a document of another would take away live dialogs of which it says nothing (P40).
bool takes_away(const content& before, const content& incoming);
std::optional<std::string> sphere_of(const std::vector<held>& all);

/// A NOTIFY's body in the words of compose(). Throws std::runtime_error if it is none.
struct read_document {
  std::string text = {};
  bool full = true;
  std::uint32_t version = 0;
  std::vector<std::pair<std::string, std::string>> calls = {};  ///< id, words
};
read_document read(int kind, const std::string& resource, const std::string& bytes);

}  // namespace presence::test::walking
