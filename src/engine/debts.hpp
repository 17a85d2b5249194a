// Who is owed a NOTIFY that no answer will call for: advance() pays.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include <presence/effects.hpp>
#include <presence/state_table.hpp>
#include <presence/time.hpp>

#include "sent.hpp"
#include "watcher_records.hpp"

namespace presence {

/// When he was told, as subscription::told has it.
inline std::uint32_t milliseconds_of(instant at) noexcept { return static_cast<std::uint32_t>(at.time_since_epoch().count()); }
inline milliseconds since_told(const subscription& s, instant now) noexcept { return milliseconds{milliseconds_of(now) - s.told}; }

struct debts {
  std::vector<notify_id> now;  ///< to watchers in memory

  /// Room for so many more in `now`: a commit must not fail.
  void reserve(std::size_t more) {
    if (now.capacity() < now.size() + more) now.reserve(2 * (now.size() + more));
  }

  /// A watcher may be told only then.
  struct paced {
    instant due;
    notify_id id;
    bool operator<(const paced& other) const noexcept { return other.due < due; }
  };
  std::vector<paced> later;  ///< a heap, the first one first
  void put_off(const notify_id& id, instant due) {
    later.push_back({due, id});
    std::push_heap(later.begin(), later.end());
  }
  /// Those whose moment has come are owed now.
  void take_due(instant at) {
    while (!later.empty() && later.front().due <= at) {
      now.push_back(later.front().id);  // may throw, and is there still then
      std::pop_heap(later.begin(), later.end());
      later.pop_back();
    }
  }

  /// Where nothing stays in memory (subs_db_mode 3).
  struct elsewhere {
    sent to;
    std::vector<watcher_record> missed;
  };
  std::deque<elsewhere> away;
  static constexpr std::size_t most_away = notifies_on_the_way::most;
};

}  // namespace presence
