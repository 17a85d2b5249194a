// NOTIFYs on the way whose subscriptions are not in memory (subs_db_mode 3): their outcome names a number alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

#include <presence/effects.hpp>
#include <presence/event_package.hpp>
#include <presence/state_table.hpp>
#include <presence/time.hpp>

namespace presence {

/// Where a NOTIFY was sent to, as the database can be asked for it.
struct sent {
  std::string resource;
  const event_package* package;
  presence::dialog dialog;

  static sent in(const subscription& s) { return {std::string{s.state->resource()}, s.state->package, s.dialog}; }
};

class notifies_on_the_way {
 public:
  static constexpr std::size_t most = 1'000'000;
  static constexpr seconds longest{600};  // far beyond timer F: its host has forgotten it

  void remember(const notify_id& id, sent to, instant now) {
    all_.insert_or_assign(number_of(id), std::move(to));
    order_.emplace_back(now, number_of(id));
  }
  const sent* find(const notify_id& id) const noexcept {
    const auto at = all_.find(number_of(id));
    return at != all_.end() ? &at->second : nullptr;
  }
  void forget(const notify_id& id) noexcept { all_.erase(number_of(id)); }
  /// Those nobody will report on, and the oldest if there are too many.
  void forget_old(instant now) noexcept {
    for (; !order_.empty(); order_.pop_front()) {
      const auto at = all_.find(order_.front().second);
      if (at == all_.end()) continue;
      if (order_.size() <= most && now - order_.front().first < longest) return;
      all_.erase(at);
    }
  }

 private:
  /// A NOTIFY's subscription, as one number.
  static constexpr std::uint64_t number_of(const notify_id& id) noexcept { return std::uint64_t{id.slot} << 32 | id.generation; }

  std::unordered_map<std::uint64_t, sent> all_;
  std::deque<std::pair<instant, std::uint64_t>> order_;
};

}  // namespace presence
