// Watchers as watcher information tells of them (RFC 3858), and ends that are told with a later document.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <presence/slab.hpp>
#include <presence/state_table.hpp>
#include <presence/time.hpp>
#include <presence/watcher_state.hpp>

namespace presence {

struct watcher_record {
  std::uint64_t id;
  std::string uri, display_name;
  watcher_state status;
  watcher_event event;
  instant deadline, since;
};

/// An id for watcher information: never the same for two machines, also after a restart, and it tells nothing.
std::uint64_t watcher_id(const subscription& s) noexcept;
std::string id_text(std::uint64_t id);                  ///< the `id` attribute
std::uint64_t read_id(std::string_view text) noexcept;  ///< 0: it is none

/// Ends that subscribers to watcher information with a NOTIFY in flight were not told of, by subscription.
class missed_ends {
 public:
  using subscriber = slab<subscription>::index;

  bool has(subscriber of) const noexcept { return !all_.empty() && all_.contains(of); }
  /// Null: he missed nothing.
  const std::vector<watcher_record>* find(subscriber of) const noexcept {
    const auto at = all_.empty() ? all_.end() : all_.find(of);
    return at != all_.end() ? &at->second : nullptr;
  }
  /// One watcher ends once: the last is what counts.
  void add(subscriber of, watcher_record record) noexcept try {
    auto& his = all_[of];
    const auto same = std::find_if(his.begin(), his.end(), [&](const watcher_record& w) { return w.id == record.id; });
    if (same != his.end()) *same = std::move(record);
    else if (his.size() < most) his.push_back(std::move(record));
  } catch (...) {  // told less, not wrongly: the next document is a full one
  }
  /// What he missed before that.
  void add_earlier(subscriber of, const std::vector<watcher_record>& records) {
    auto& his = all_[of];
    his.insert(his.begin(), records.begin(), records.end());
  }
  std::vector<watcher_record> take(subscriber of) {
    const auto at = all_.find(of);
    return at != all_.end() ? std::exchange(at->second, {}) : std::vector<watcher_record>{};
  }
  void forget(subscriber of) noexcept {
    if (!all_.empty()) all_.erase(of);
  }
  void clear() noexcept { all_.clear(); }

 private:
  static constexpr std::size_t most = 64;  // of a subscriber
  std::unordered_map<subscriber, std::vector<watcher_record>> all_;
};

}  // namespace presence
