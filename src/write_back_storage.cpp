#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include <presence/write_back_storage.hpp>

namespace presence {

namespace {

constexpr std::size_t most_at_once = 500;  // row operations in one transaction

// Trees, not hash tables: their keys come from peers.
struct less_key {
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

publication_key key_of(const publication_row& r) { return {r.resource, r.event, r.etag}; }
watcher_key key_of(const watcher_row& r) { return {r.resource, r.event, r.watcher}; }

/// A publication as it is to be written.
struct publication_edit {
  std::optional<std::string> stored_etag;  ///< of the row it replaces; absent: it is new
  bool content_changed;
  publication_row row;
};

struct subscription_edit {
  bool ends = false;                    ///< the stored row goes first
  bool begins = false;                  ///< `row` is new
  std::optional<subscription_row> row;  ///< absent: at most numbers change
  std::optional<number_reservation> numbers;
};

}  // namespace

struct write_back_storage::held {
  std::map<publication_key, bool, less_key> ended_publications;  ///< stored rows that go
  std::map<publication_key, publication_edit, less_key> publications;
  std::map<subscription_key, subscription_edit, less_key> subscriptions;
  std::map<watcher_key, std::optional<watcher_row>, less_key> watchers;  ///< absent: it goes

  std::size_t size() const noexcept {
    return ended_publications.size() + publications.size() + subscriptions.size() + watchers.size();
  }

  void end(const publication_key& key) {
    const auto at = publications.find(key);
    if (at == publications.end()) {
      ended_publications.emplace(key, true);
      return;
    }
    if (at->second.stored_etag) ended_publications.emplace(publication_key{key.resource, key.event, *at->second.stored_etag}, true);
    publications.erase(at);
  }
  void add(const publication_row& row) { publications.insert_or_assign(key_of(row), publication_edit{{}, true, row}); }
  void replace(const publication_update& u) {
    publication_edit edit{u.old_etag, u.content_changed, u.row};
    const auto at = publications.find({u.row.resource, u.row.event, u.old_etag});
    if (at != publications.end()) {
      publication_edit& before = at->second;
      edit.stored_etag = std::move(before.stored_etag);
      if (!edit.content_changed) edit.row.content = std::move(before.row.content);
      edit.content_changed = edit.content_changed || before.content_changed;
      publications.erase(at);
    }
    publications.insert_or_assign(key_of(edit.row), std::move(edit));
  }

  void end(const subscription_key& key) {
    subscription_edit& edit = subscriptions[key];
    const bool stored = edit.ends || !edit.begins;
    edit = {};
    edit.ends = true;
    if (!stored) subscriptions.erase(key);
  }
  void put(const subscription_row& row, bool begins) {
    subscription_edit& edit = subscriptions[presence::key_of(row)];
    edit.begins = edit.begins || begins;
    edit.row = row;
    edit.numbers.reset();
  }
  void reserve(const number_reservation& r) {
    subscription_edit& edit = subscriptions[r.key];
    if (edit.row) {
      edit.row->local_cseq = r.local_cseq;
      edit.row->version = r.version;
    } else if (!edit.ends) {
      edit.numbers = r;
    }
  }
};

write_back_storage::write_back_storage(storage& rows) : rows_{rows}, held_{std::make_unique<held>()} {}
write_back_storage::~write_back_storage() = default;

std::size_t write_back_storage::held_back() const noexcept { return held_->size(); }

result<void, storage_error> write_back_storage::apply(const change& what) {
  for (const auto& key : what.ended_publications) held_->end(key);
  for (const auto& row : what.new_publications) held_->add(row);
  for (const auto& update : what.changed_publications) held_->replace(update);
  for (const auto& key : what.ended_subscriptions) held_->end(key);
  for (const auto& row : what.new_subscriptions) held_->put(row, true);
  for (const auto& row : what.changed_subscriptions) held_->put(row, false);
  for (const auto& r : what.reservations) held_->reserve(r);
  for (const auto& key : what.ended_watchers) held_->watchers.insert_or_assign(key, std::nullopt);
  for (const auto& row : what.watchers) held_->watchers.insert_or_assign(key_of(row), row);
  return {};
}

result<void, storage_error> write_back_storage::flush(std::size_t most) {
  // The first so many of each tree. Rows that go are first: another may come under their key.
  change what;
  const auto take = [&](auto& tree, auto&& add) {
    auto at = tree.begin();
    for (; at != tree.end() && most != 0; ++at, --most) add(at->first, at->second);
    return at;
  };
  const auto ended = take(held_->ended_publications, [&](const auto& key, bool) { what.ended_publications.push_back(key); });
  const auto publications = take(held_->publications, [&](const auto&, const publication_edit& edit) {
    if (edit.stored_etag) {
      what.changed_publications.push_back({*edit.stored_etag, edit.content_changed, edit.row});
    } else {
      what.new_publications.push_back(edit.row);
    }
  });
  const auto subscriptions = take(held_->subscriptions, [&](const auto& key, const subscription_edit& edit) {
    if (edit.ends) what.ended_subscriptions.push_back(key);
    if (edit.row) (edit.begins ? what.new_subscriptions : what.changed_subscriptions).push_back(*edit.row);
    if (edit.numbers) what.reservations.push_back(*edit.numbers);
  });
  const auto watchers = take(held_->watchers, [&](const auto& key, const std::optional<watcher_row>& row) {
    if (row) {
      what.watchers.push_back(*row);
    } else {
      what.ended_watchers.push_back(key);
    }
  });
  if (what.empty()) return {};
  if (auto written = write(what); !written) return written;
  held_->ended_publications.erase(held_->ended_publications.begin(), ended);
  held_->publications.erase(held_->publications.begin(), publications);
  held_->subscriptions.erase(held_->subscriptions.begin(), subscriptions);
  held_->watchers.erase(held_->watchers.begin(), watchers);
  return {};
}

/// All at once; if rows are not as expected, one by one, and what the engine holds counts.
result<void, storage_error> write_back_storage::write(const change& what) {
  result<void, storage_error> done = rows_.apply(what);
  const auto conflicts = [&] { return !done && done.error().fault == storage_fault::conflict; };
  if (!conflicts()) return done;
  done = {};
  const auto each = [&](const auto& list, auto&& add, auto&& mend) {
    for (const auto& one : list) {
      if (!done) return;
      change single;
      add(single, one);
      done = rows_.apply(single);
      if (!conflicts()) continue;
      change mended;
      mend(mended, one);
      done = mended.empty() ? result<void, storage_error>{} : rows_.apply(mended);
    }
  };
  const auto nothing = [](change&, const auto&) {};
  const auto again = [](change& c, const publication_row& r) {
    c.ended_publications.push_back(key_of(r));
    c.new_publications.push_back(r);
  };
  const auto subscribe_again = [](change& c, const subscription_row& r) {
    c.ended_subscriptions.push_back(presence::key_of(r));
    c.new_subscriptions.push_back(r);
  };
  each(what.ended_publications, [](change& c, const auto& k) { c.ended_publications.push_back(k); }, nothing);
  each(what.new_publications, [](change& c, const auto& r) { c.new_publications.push_back(r); }, again);
  each(what.changed_publications, [](change& c, const auto& u) { c.changed_publications.push_back(u); },
       [&](change& c, const publication_update& u) { again(c, u.row); });
  each(what.ended_subscriptions, [](change& c, const auto& k) { c.ended_subscriptions.push_back(k); }, nothing);
  each(what.new_subscriptions, [](change& c, const auto& r) { c.new_subscriptions.push_back(r); }, subscribe_again);
  each(what.changed_subscriptions, [](change& c, const auto& r) { c.changed_subscriptions.push_back(r); }, subscribe_again);
  each(what.reservations, [](change& c, const auto& r) { c.reservations.push_back(r); }, nothing);
  each(what.ended_watchers, [](change& c, const auto& k) { c.ended_watchers.push_back(k); }, nothing);
  each(what.watchers, [](change& c, const auto& r) { c.watchers.push_back(r); }, nothing);
  return done;
}

result<void, storage_error> write_back_storage::flush_all() {
  while (held_back() != 0)
    if (auto written = flush(most_at_once); !written) return written;
  return {};
}

result<void, storage_error> write_back_storage::publications(const row_filter& want, cursor& at, std::size_t limit,
                                                             std::vector<publication_row>& out) {
  if (auto written = flush_all(); !written) return written;
  return rows_.publications(want, at, limit, out);
}

result<void, storage_error> write_back_storage::subscriptions(const row_filter& want, cursor& at, std::size_t limit,
                                                              std::vector<subscription_row>& out) {
  if (auto written = flush_all(); !written) return written;
  return rows_.subscriptions(want, at, limit, out);
}

result<void, storage_error> write_back_storage::watchers(const row_filter& want, cursor& at, std::size_t limit,
                                                         std::vector<watcher_row>& out) {
  if (auto written = flush_all(); !written) return written;
  return rows_.watchers(want, at, limit, out);
}

result<std::size_t, storage_error> write_back_storage::sweep(instant before, const std::vector<std::string>& known) {
  return rows_.sweep(before, known);  // of packages nobody has: nothing is held back of those
}

}  // namespace presence
