// The net effect of several changes, as one: a row written twice is written once, one that came and went is not.
// For what is written later (write_back_storage) and what is written together (engine/group.cpp).
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include <presence/storage.hpp>

namespace presence {

// Trees, not hash tables: their keys come from peers.
struct less_key {
  static auto parts(const state_name& n) noexcept { return std::tie(n.resource, n.event); }
  static auto parts(const publication_key& k) noexcept { return std::tie(k.resource, k.event, k.etag); }
  static auto parts(const watcher_key& k) noexcept { return std::tie(k.resource, k.event, k.watcher); }
  static auto parts(const subscription_key& k) noexcept {
    return std::tie(k.call_id, k.local_tag, k.remote_tag, k.event, k.event_id);
  }
  template <class Key>
  bool operator()(const Key& a, const Key& b) const noexcept {
    return parts(a) < parts(b);
  }
};

inline publication_key key_of(const publication_row& r) { return {r.resource, r.event, r.etag}; }
inline watcher_key key_of(const watcher_row& r) { return {r.resource, r.event, r.watcher}; }

class net_change {
 public:
  /// Of a change that would be applied after those before it.
  void add(change what);
  std::size_t size() const noexcept {  ///< row operations
    return states.size() + ended_publications.size() + publications.size() + subscriptions.size() + watchers.size();
  }
  bool holds(const subscription_key& key) const { return subscriptions.contains(key); }
  /// Whether a row of the subscription has been written that is there still. One that nothing is held of is meant to be.
  bool stores(const subscription_key& key) const {
    const auto at = subscriptions.find(key);
    return at == subscriptions.end() || at->second.ends || !at->second.begins;
  }
  bool ends(const subscription_key& key) const {
    const auto at = subscriptions.find(key);
    return at != subscriptions.end() && at->second.ends;
  }
  /// The first `most` row operations as one change; they stay until drop().
  change first(std::size_t most) const;
  /// Forgets the first `most`.
  void drop(std::size_t most) noexcept;
  /// The first `most` may have been written by now: they are written so that it comes out the same.
  void doubt(std::size_t most);
  /// All of them as one change; nothing stays.
  change take();

 private:
  /// A publication as it is to be written.
  struct publication_edit {
    std::optional<std::string> stored_etag;  ///< of the row it replaces; absent: it is new
    bool content_changed = true;
    publication_row row;
  };
  struct subscription_edit {
    bool ends = false;                    ///< the stored row goes first
    bool begins = false;                  ///< `row` is new
    std::optional<subscription_row> row;  ///< absent: at most numbers change
    std::optional<number_reservation> numbers;
  };
  void end(const publication_key& key);
  void replace(publication_update&& u);
  void end(const subscription_key& key);
  void put(subscription_row&& row, bool begins);
  void reserve(number_reservation&& r);
  template <class Self>
  static change read(Self& from, std::size_t most);

  std::map<state_name, state_stamp, less_key> states;
  std::map<publication_key, bool, less_key> ended_publications;  ///< stored rows that go
  std::map<publication_key, publication_edit, less_key> publications;
  std::map<subscription_key, subscription_edit, less_key> subscriptions;
  std::map<watcher_key, std::optional<watcher_row>, less_key> watchers;  ///< absent: it goes
};

}  // namespace presence
