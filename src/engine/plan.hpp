// What a call is about to change: written down while it is planned, kept by its commit alone. What was planned since a
// mark can be dropped again, so that a package that throws for one state does not stop the clock for others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <utility>
#include <vector>

#include <presence/effects.hpp>
#include <presence/state_table.hpp>
#include <presence/storage.hpp>
#include <presence/subscription.hpp>

#include "watcher_records.hpp"

namespace presence {

/// Pending subscriptions that a call ends or decides about, in that order.
class departures {
 public:
  struct departure {
    const undecided* who;
    bool answered;
  };
  void add(const undecided& who, bool answered) { all_.push_back({&who, answered}); }
  /// How many of his.
  std::size_t count_of(const undecided& who) {
    for (; counted_ < all_.size(); ++counted_) ++tally_[all_[counted_].who];
    const auto known = tally_.find(&who);
    return known == tally_.end() ? 0 : known->second;
  }
  std::size_t size() const noexcept { return all_.size(); }
  void shorten(std::size_t size) noexcept {
    all_.resize(size);
    if (!tally_.empty()) tally_.clear();
    counted_ = 0;
  }
  /// May be put into another order before all are dropped.
  std::vector<departure>& all() noexcept { return all_; }

 private:
  std::vector<departure> all_;
  std::unordered_map<const undecided*, std::size_t> tally_;  ///< of the first `counted_`
  std::size_t counted_ = 0;
};

struct planned_change {
  change rows;              ///< row operations; stays empty without a storage
  bool usage_ends = false;  ///< of a dialog with others in it
  /// Publications whose rows remember more by now.
  struct rewrite {
    publication* of;
    body content;  ///< once it is stored
    std::uint64_t kept;
  };
  std::vector<rewrite> rewritten;

  std::vector<subscription*> owing;  ///< watchers who have to wait for an answer first
  std::unordered_map<slab<subscription>::index, std::uint32_t> documents;  ///< told in this call, for usages of several

  /// A watcher whose standing and view are changed already; undone unless the call is committed.
  struct turn {
    subscription* s;
    standing before;
    std::uint16_t view;  ///< before
    end_reason ends;     ///< he is changed only by the commit, then
  };
  std::vector<turn> turned;
  std::vector<event_state*> noted;  ///< the moment may be another at which decisions about their watchers turn

  struct watcher_change {
    event_state* to;  ///< whose subscribers are told
    watcher_record record;
  };
  std::vector<watcher_change> watcher_changes;
  std::vector<std::pair<subscription*, watcher_record>> missed;  ///< ends that are told later
  presence::departures departures;
  undecided* crowded_out = nullptr;  ///< gives up for another

  void clear(bool durable) noexcept {
    if (durable) rows = {};
    usage_ends = false;
    rewritten.clear();
    owing.clear();
    if (!documents.empty()) documents.clear();
    noted.clear();
    watcher_changes.clear();
    missed.clear();
    departures.shorten(0);
    crowded_out = nullptr;
  }

  /// How much is planned.
  struct mark {
    std::size_t notifies, owing, turned, watcher_changes, missed, departures, rewritten, ended_publications, changed_publications,
        ended_subscriptions, changed_subscriptions, reservations, ended_watchers, watchers;
  };
  mark reached(const effects& out) const noexcept {
    return {out.notifies.size(),
            owing.size(),
            turned.size(),
            watcher_changes.size(),
            missed.size(),
            departures.size(),
            rewritten.size(),
            rows.ended_publications.size(),
            rows.changed_publications.size(),
            rows.ended_subscriptions.size(),
            rows.changed_subscriptions.size(),
            rows.reservations.size(),
            rows.ended_watchers.size(),
            rows.watchers.size()};
  }
  /// Drops what is planned since, but `turned`: those are undone one by one.
  void drop_since(const mark& m, effects& out) noexcept {
    const auto shorten = [](auto& list, std::size_t size) {
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(size), list.end());
    };
    shorten(out.notifies, m.notifies);
    shorten(owing, m.owing);
    shorten(watcher_changes, m.watcher_changes);
    shorten(missed, m.missed);
    departures.shorten(m.departures);
    shorten(rewritten, m.rewritten);
    shorten(rows.ended_publications, m.ended_publications);
    shorten(rows.changed_publications, m.changed_publications);
    shorten(rows.ended_subscriptions, m.ended_subscriptions);
    shorten(rows.changed_subscriptions, m.changed_subscriptions);
    shorten(rows.reservations, m.reservations);
    shorten(rows.ended_watchers, m.ended_watchers);
    shorten(rows.watchers, m.watchers);
  }
};

}  // namespace presence
