/// A table of subscriptions for those who keep their own: found by dialog, listed by resource,
/// ending by time, written to a storage in batches. It is the Kamailio module's subscription hash
/// table (new_shtable, insert_shtable, search_shtable, update_shtable, delete_shtable,
/// mem_copy_subs, update_db_subs, extract_sdialog_info; L07, L08), as a value container: it knows
/// no request and no NOTIFY. The engine has a table of its own, state_table.hpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <presence/keyed_hash.hpp>
#include <presence/random.hpp>
#include <presence/requests.hpp>
#include <presence/storage.hpp>
#include <presence/timer_wheel.hpp>
#include <presence/uri.hpp>

namespace presence {

class subscription_table {
 public:
  /// `size_log2` is a hint (subs_htable_size).
  explicit subscription_table(random_source& random, int size_log2 = 9)
      : rows_{std::size_t{1} << std::clamp(size_log2, 0, 28), by_key{keyed_hash{random}}},
        lists_{16, by_text{keyed_hash{random}}} {}
  subscription_table(const subscription_table&) = delete;
  subscription_table& operator=(const subscription_table&) = delete;

  /// Takes a copy in; false, and nothing is changed, when its dialog is known.
  bool insert(subscription_row row) {
    if (rows_.contains(key_of(row))) return false;
    add(std::move(row), mark::fresh);
    return true;
  }

  /// The row of a dialog; null when there is none. Lives until the next change of the table.
  const subscription_row* find(const subscription_key& key) const {
    const auto found = rows_.find(key);
    return found == rows_.end() ? nullptr : &found->second->row;
  }

  /// Replaces the row with the same dialog; false when there is none.
  bool update(subscription_row row) {
    const auto found = rows_.find(key_of(row));
    if (found == rows_.end()) return false;
    entry& e = *found->second;
    if (e.row.resource != row.resource) {  // it is listed elsewhere now
      unlist(e);
      e.row = std::move(row);
      list_of(e.row.resource, e.row.event).push_back(&e);
    } else {
      e.row = std::move(row);
    }
    timers_.move(e, e.row.expires);
    if (e.state == mark::clean) e.state = mark::changed;
    return true;
  }

  bool erase(const subscription_key& key) {
    const auto found = rows_.find(key);
    if (found == rows_.end()) return false;
    if (found->second->state != mark::fresh) ended_.push_back(key);
    unlist(*found->second);
    rows_.erase(found);
    return true;
  }

  /// Calls `f(const subscription_row&)` for each subscription of a resource, in order of insertion.
  /// `f` must not change the table.
  template <class F>
  void each(std::string_view resource, std::string_view event, F&& f) const {
    const auto list = lists_.find(list_name(resource, event));
    if (list == lists_.end()) return;
    for (const entry* e : list->second) f(e->row);
  }

  /// Ends every subscription whose time is up: `expired(row)` is called after it left the table.
  template <class F>
  std::size_t expire(instant now, F&& expired) {
    std::size_t count = 0;
    while (entry* e = timers_.take_due(now)) {
      subscription_row row = e->row;
      erase(key_of(row));
      ++count;
      expired(std::move(row));
    }
    return count;
  }
  std::optional<instant> next_deadline() const noexcept { return timers_.next(); }

  /// Writes what changed since the last time, in one change. After a failure nothing counts as
  /// written, and the next call writes it again.
  result<void, storage_error> sync(storage& rows) {
    change what;
    what.ended_subscriptions = ended_;
    for (const auto& [key, e] : rows_) {
      if (e->state == mark::fresh) what.new_subscriptions.push_back(e->row);
      if (e->state == mark::changed) what.changed_subscriptions.push_back(e->row);
    }
    if (what.empty()) return {};
    if (auto written = rows.apply(what); !written) return written;
    ended_.clear();
    for (const auto& [key, e] : rows_) e->state = mark::clean;
    return {};
  }

  /// Reads the subscriptions of an event (all of them when it is empty) from a storage.
  result<void, storage_error> load(storage& rows, std::string_view event = {}) {
    std::vector<subscription_row> found;
    for (cursor at; !at.done; found.clear()) {
      if (auto read = rows.subscriptions({event, {}}, at, 500, found); !read) return read;
      for (auto& row : found)
        if (!rows_.contains(key_of(row))) add(std::move(row), mark::clean);
    }
    return {};
  }

  std::size_t size() const noexcept { return rows_.size(); }

 private:
  enum class mark : std::uint8_t { clean, changed, fresh };
  struct entry {
    timer_hook timer;
    instant deadline = {};
    subscription_row row = {};
    mark state = mark::clean;
  };
  struct by_key {
    keyed_hash hash;
    std::size_t operator()(const subscription_key& k) const noexcept {
      return hash(k.call_id, k.local_tag, k.remote_tag, k.event, k.event_id);
    }
  };
  struct by_text {
    keyed_hash hash;
    std::size_t operator()(const std::string& text) const noexcept { return hash(text); }
  };

  static std::string list_name(std::string_view resource, std::string_view event) {
    std::string name{resource};
    name += '\n';  // in no address
    name += event;
    return name;
  }
  std::vector<entry*>& list_of(std::string_view resource, std::string_view event) {
    return lists_[list_name(resource, event)];
  }
  void add(subscription_row row, mark state) {
    auto made = std::make_unique<entry>();
    entry& e = *made;
    e.row = std::move(row);
    e.deadline = e.row.expires;
    e.state = state;
    rows_.emplace(key_of(e.row), std::move(made));
    list_of(e.row.resource, e.row.event).push_back(&e);
    timers_.insert(e);
  }
  void unlist(entry& e) {
    const auto name = list_name(e.row.resource, e.row.event);
    auto& list = lists_[name];
    list.erase(std::find(list.begin(), list.end(), &e));
    if (list.empty()) lists_.erase(name);
  }

  std::unordered_map<subscription_key, std::unique_ptr<entry>, by_key> rows_;
  std::unordered_map<std::string, std::vector<entry*>, by_text> lists_;
  std::vector<subscription_key> ended_;
  timer_wheel<entry> timers_;
};

/// The subscription a SUBSCRIBE describes (extract_sdialog_info): what an engine would store of it,
/// with `local_tag` for a To tag when it has none yet. Nothing when a part of the dialog is missing
/// or the resource is no address. Lifetime and decision are the caller's to fill in.
inline std::optional<subscription_row> extract_subscription(const subscribe_request& request, std::string_view package,
                                                            std::string_view event_id, std::string_view local_tag,
                                                            std::string_view local_contact, instant now) {
  subscription_row row;
  std::string watcher;
  if (request.call_id.empty() || request.from_tag.empty() || request.contact.empty() || !request.cseq ||
      !canonical_aor(request.presentity.empty() ? request.resource : request.presentity, row.resource) ||
      !canonical_aor(request.who.uri.empty() ? request.from_uri : request.who.uri, watcher))
    return std::nullopt;
  row.event = package;
  row.event_id = event_id;
  std::string event{package};
  if (!event_id.empty()) (event += ";id=") += event_id;
  row.dialog = dialog{{.call_id = request.call_id,
                       .local_tag = request.to_tag.empty() ? local_tag : request.to_tag,
                       .remote_tag = request.from_tag,
                       .local_uri = request.to_uri.empty() ? request.resource : request.to_uri,
                       .remote_uri = request.from_uri,
                       .remote_target = request.contact,
                       .route_set = request.record_route,
                       .local_contact = local_contact,
                       .event = event,
                       .watcher = watcher,
                       .cookie = request.cookie,
                       .user_agent = request.user_agent,
                       .headers = {},
                       .secure = request.secure,
                       .proven = !request.who.uri.empty()}};
  row.remote_cseq = *request.cseq;
  row.since = row.expires = now;
  return row;
}

}  // namespace presence
