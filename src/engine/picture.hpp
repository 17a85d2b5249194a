// What a state looks like at one moment, to whom; and what is asked about its watchers, who may see what.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <presence/body.hpp>
#include <presence/event_package.hpp>
#include <presence/state_table.hpp>
#include <presence/time.hpp>

namespace presence {

/// Documents are in order by time, and by arrival within a millisecond: the first number of one.
inline std::uint64_t first_arrival(instant at) noexcept {
  return static_cast<std::uint64_t>(std::max<milliseconds::rep>(at.time_since_epoch().count(), 1)) << 16;
}

/// What a PUBLISH or a lapse does to a state's publications.
struct edit {
  publication* target = nullptr;          ///< the one replaced or removed
  const publication* incoming = nullptr;  ///< what takes its place, or joins
};

/// A state's documents at one moment: the whole, and one for each view in use (N23).
struct documents {
  body whole = {};
  std::vector<body> views = {};  ///< view number n is at n - 1
  const body& of(const subscription& s) const noexcept {
    static const body nothing;
    if (s.view == 0) return whole;
    return s.view <= views.size() ? views[s.view - 1u] : nothing;
  }
};

/// And what would be shown if nothing but hard state were published: who is politely blocked sees that
/// (SEC-LEAK-2). Empty: there is no hard state, and the package's neutral body is shown.
struct picture : documents {
  documents offline = {};
  const body& of(const subscription& s) const noexcept {
    return s.stands == standing::polite ? offline.of(s) : documents::of(s);
  }
};

inline bool differ(const documents& a, const documents& b) noexcept {
  if (!same_meaning(a.whole, b.whole) || a.views.size() != b.views.size()) return true;
  for (std::size_t i = 0; i < a.views.size(); ++i)
    if (!same_meaning(a.views[i], b.views[i])) return true;
  return false;
}
inline bool differ(const picture& a, const picture& b) noexcept {
  return differ(static_cast<const documents&>(a), b) || differ(a.offline, b.offline);
}

/// Publications of a state whose time is up, before advance() got to them (M03).
struct lapse {
  bool any = false;
  picture before = {};  ///< only if `any`
  picture after = {};   ///< the state without them; unless `any`, for one reader if there is one
};

/// Whether who sees it is to see nothing more.
inline bool is_last(const body& shown) noexcept { return shown.outline() != nullptr && shown.outline()->is_last(); }

/// Whether documents for the subscription name the resource by its pres: address.
bool as_pres(const subscription& s) noexcept;
inline bool as_pres(const event_state& state, std::size_t view) noexcept {
  return view != 0 && state.rules->views[view - 1].as_pres;
}
/// The resource as documents name it.
std::string entity_of(const event_state& state, bool as_pres);
/// What is shown when nothing is published.
body neutral(const event_state& state, bool as_pres);
/// Whether a change by `sender` is not told to him: it is his, and so is what is shown now (P03).
bool is_own_word(const subscription& s, const picture& shown, std::string_view sender) noexcept;

/// What is asked about the watchers of one resource at one moment: its rules are fetched once for all.
struct question {
  const event_package& package;
  std::string_view resource;
  instant now;
  told_sphere sphere = {};
  std::optional<std::string> rules = {};
  bool tells_all = false;      ///< nobody knows what they saw before
  std::string_view only = {};  ///< about this watcher; empty: about all
};

/// What he sees with that Contact of what he may see (event_package::select).
std::shared_ptr<const view> selected(const subscription& s, std::string_view contact, std::shared_ptr<const view> seen);

/// When decisions about the state's watchers turn, as far as is known.
inline std::optional<instant> turns(const event_state& state) noexcept {
  if (!state.rules || !timer_wheel<ruled>::contains(*state.rules)) return std::nullopt;
  return state.rules->deadline;
}
/// Whether that moment has come (Z11, Z12).
inline bool turned(const event_state& state, instant now) noexcept {
  const auto when = turns(state);
  return when && *when <= now;
}

}  // namespace presence
