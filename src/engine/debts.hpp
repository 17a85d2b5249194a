// Who is owed a NOTIFY that no answer will call for: advance() pays.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include <presence/effects.hpp>
#include <presence/state_table.hpp>
#include <presence/time.hpp>

#include "sent.hpp"
#include "watcher_records.hpp"

namespace presence {

/// When he was told, as subscription::told has it.
inline std::uint32_t milliseconds_of(instant at) noexcept { return static_cast<std::uint32_t>(at.time_since_epoch().count()); }
inline milliseconds since_told(const subscription& s, instant now) noexcept {
  return milliseconds{milliseconds_of(now) - s.told};
}

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
  /// Where nothing stays in memory (subs_db_mode 3).
  struct elsewhere {
    sent to;
    std::vector<watcher_record> missed;
  };
  std::deque<elsewhere> away;
  std::deque<std::pair<instant, elsewhere>> failed;  ///< whose package threw: they are away again then
  bool full() const noexcept { return away.size() + failed.size() >= notifies_on_the_way::most; }

  /// Of those that are put off, when the first is owed again.
  std::optional<instant> next_due() const noexcept {
    std::optional<instant> first;
    if (!later.empty()) first = later.front().due;
    if (!failed.empty()) first = std::min(first.value_or(never), failed.front().first);
    return first;
  }
  /// Those whose moment has come are owed again. May throw, and loses none then.
  void take_due(instant at) {
    while (!later.empty() && later.front().due <= at) {
      now.push_back(later.front().id);
      std::pop_heap(later.begin(), later.end());
      later.pop_back();
    }
    for (; !failed.empty() && failed.front().first <= at; failed.pop_front()) away.push_back(std::move(failed.front().second));
  }
};

}  // namespace presence
