#include <presence/memory_storage.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <boost/multi_index/composite_key.hpp>
#include <boost/multi_index/mem_fun.hpp>
#include <boost/multi_index/member.hpp>
#include <boost/multi_index/ordered_index.hpp>
#include <boost/multi_index_container.hpp>

namespace presence {

bool change::empty() const noexcept {
  return states.empty() && ended_publications.empty() && new_publications.empty() && changed_publications.empty() &&
         ended_subscriptions.empty() && new_subscriptions.empty() && changed_subscriptions.empty() && reservations.empty() &&
         ended_watchers.empty() && watchers.empty();
}

subscription_key key_of(const subscription_row& row) {
  return {.call_id = std::string{row.dialog.call_id()},
          .local_tag = std::string{row.dialog.local_tag()},
          .remote_tag = std::string{row.dialog.remote_tag()},
          .event = row.event,
          .event_id = row.event_id};
}

result<void, storage_error> storage::due(const due_filter&, const std::vector<std::string>&, std::size_t,
                                         std::vector<state_name>&) {
  return unexpected{storage_error{storage_fault::unavailable,
                                  "this storage cannot tell what is due: fallback2db and subs_db_mode 3 need that"}};
}

result<state_mark, storage_error> storage::mark(std::string_view, std::string_view) {
  return unexpected{storage_error{storage_fault::unavailable,
                                  "this storage keeps no marks of states: fallback2db and subs_db_mode 3 need that"}};
}

namespace {

namespace mi = boost::multi_index;

// The key of any row, as views: three or five parts, the rest empty.
using row_id = std::array<std::string_view, 5>;

row_id id_of(const publication_row& r) { return {r.resource, r.event, r.etag, {}, {}}; }
row_id id_of(const publication_key& k) { return {k.resource, k.event, k.etag, {}, {}}; }
row_id id_of(const subscription_row& r) {
  return {r.dialog.call_id(), r.dialog.local_tag(), r.dialog.remote_tag(), r.event, r.event_id};
}
row_id id_of(const subscription_key& k) {
  return {k.call_id, k.local_tag, k.remote_tag, k.event, k.event_id};
}
row_id id_of(const watcher_row& r) { return {r.resource, r.event, r.watcher, {}, {}}; }
row_id id_of(const watcher_key& k) { return {k.resource, k.event, k.watcher, {}, {}}; }

struct by_serial;
struct by_id;
struct by_resource;

// One table: rows in the order of their insertion, and the way back for a change that fails.
// All indexes are ordered: peers choose the keys, and no choice of theirs can make a tree slow
// (SEC-DOS-9).
template <class Row>
class table {
 public:
  void page(const row_filter& want, cursor& at, std::size_t limit, std::vector<Row>& out) const {
    if (at.done) return;
    if (!want.call_id.empty()) {
      const auto& rows = rows_.template get<by_id>();
      for (auto row = rows.lower_bound(row_id{want.call_id}); row != rows.end() && row->id()[0] == want.call_id; ++row)
        out.push_back(row->row);
      at.done = true;
    } else if (want.resource.empty()) {
      const auto& rows = rows_.template get<by_serial>();
      take(rows.upper_bound(at.after), rows.end(), want, at, limit, out);
    } else {
      const auto& rows = rows_.template get<by_resource>();
      constexpr auto last = std::numeric_limits<std::int64_t>::max();
      take(rows.upper_bound(std::make_tuple(want.resource, at.after)),
           rows.upper_bound(std::make_tuple(want.resource, last)), want, at, limit, out);
    }
  }

  const Row* find(const row_id& id) const {
    const auto& rows = rows_.template get<by_id>();
    const auto found = rows.find(id);
    return found == rows.end() ? nullptr : &found->row;
  }

  bool insert(Row row) {
    if (find(id_of(row)) != nullptr) return false;
    steps_.push_back({.serial = last_ + 1});
    rows_.insert(record{++last_, std::move(row)});
    return true;
  }

  // Puts `row` in the place of the one called `id`; both may have the same key.
  bool replace(const row_id& id, Row row) {
    auto& rows = rows_.template get<by_id>();
    const auto found = rows.find(id);
    if (found == rows.end()) return false;
    steps_.push_back({.serial = found->serial, .before = found->row});
    return rows.replace(found, record{found->serial, std::move(row)});
  }

  void erase(const row_id& id) {
    auto& rows = rows_.template get<by_id>();
    const auto found = rows.find(id);
    if (found == rows.end()) return;
    steps_.push_back({.serial = found->serial, .before = found->row});
    rows.erase(found);
  }

  template <class F>
  void each(F&& f) const {
    for (const record& one : rows_) f(one.row);
  }

  template <class Predicate>
  std::size_t erase_if(Predicate predicate) {
    std::size_t count = 0;
    for (auto at = rows_.begin(); at != rows_.end();) {
      const bool lapsed = predicate(at->row);
      count += lapsed ? 1 : 0;
      at = lapsed ? rows_.erase(at) : std::next(at);
    }
    return count;
  }

  void keep() noexcept { steps_.clear(); }

  void undo() {
    for (; !steps_.empty(); steps_.pop_back()) {
      step& last = steps_.back();
      const auto now = rows_.find(last.serial);
      if (!last.before) {
        if (now != rows_.end()) rows_.erase(now);
      } else if (now != rows_.end()) {
        rows_.replace(now, record{last.serial, std::move(*last.before)});
      } else {
        rows_.insert(record{last.serial, std::move(*last.before)});
      }
    }
  }

 private:
  struct record {
    std::int64_t serial = 0;
    Row row = {};
    row_id id() const { return id_of(row); }
    const std::string& resource() const { return row.resource; }
  };
  using container = mi::multi_index_container<
      record,
      mi::indexed_by<
          mi::ordered_unique<mi::tag<by_serial>, mi::member<record, std::int64_t, &record::serial>>,
          mi::ordered_unique<mi::tag<by_id>, mi::const_mem_fun<record, row_id, &record::id>>,
          mi::ordered_unique<
              mi::tag<by_resource>,
              mi::composite_key<record, mi::const_mem_fun<record, const std::string&, &record::resource>,
                                mi::member<record, std::int64_t, &record::serial>>,
              mi::composite_key_compare<std::less<>, std::less<>>>>>;

  // What one row was before an operation; nothing: it was not there.
  struct step {
    std::int64_t serial = 0;
    std::optional<Row> before = {};
  };

  template <class Iterator>
  static void take(Iterator at, Iterator end, const row_filter& want, cursor& where, std::size_t limit,
                   std::vector<Row>& out) {
    for (std::size_t taken = 0; at != end && taken < limit; ++at) {
      if (want.event.empty() || at->row.event == want.event) {
        out.push_back(at->row);
        ++taken;
      }
      where.after = at->serial;
    }
    where.done = at == end;
  }

  container rows_;
  std::vector<step> steps_;
  std::int64_t last_ = 0;
};

}  // namespace

struct memory_storage::impl {
  table<publication_row> publications;
  table<subscription_row> subscriptions;
  table<watcher_row> watchers;
  std::map<std::pair<std::string, std::string>, state_mark> marks;

  void keep() noexcept {
    publications.keep();
    subscriptions.keep();
    watchers.keep();
  }
  void undo() {
    publications.undo();
    subscriptions.undo();
    watchers.undo();
  }

  // The operations in member order; what could not be done, or null.
  const char* perform(const change& what) {
    for (const state_stamp& s : what.states) {
      const auto at = marks.find({s.state.resource, s.state.event});
      if (s.known && (at == marks.end() ? 0 : at->second.stamp) != *s.known) return "somebody else changed the state";
    }
    for (const auto& key : what.ended_publications) publications.erase(id_of(key));
    for (const auto& row : what.new_publications) {
      if (!publications.insert(row)) return "a publication to insert is there already";
    }
    for (const auto& [old_etag, content_changed, row] : what.changed_publications) {
      const row_id id{row.resource, row.event, old_etag, {}, {}};
      const publication_row* old = publications.find(id);
      if (old == nullptr) return "a publication to change is not there";
      publication_row changed = row;
      if (!content_changed) changed.content = old->content;
      if (!publications.replace(id, std::move(changed))) return "the new entity tag is in use";
    }
    for (const auto& key : what.ended_subscriptions) subscriptions.erase(id_of(key));
    for (const auto& row : what.new_subscriptions) {
      if (!subscriptions.insert(row)) return "a subscription to insert is there already";
    }
    for (const auto& row : what.changed_subscriptions) {
      if (!subscriptions.replace(id_of(row), row)) return "a subscription to change is not there";
    }
    for (const auto& [key, local_cseq, version] : what.reservations) {
      if (key.event.empty()) continue;
      const subscription_row* old = subscriptions.find(id_of(key));
      if (old == nullptr) return "a subscription to reserve numbers for is not there";
      subscription_row changed = *old;
      changed.local_cseq = local_cseq;
      changed.version = version;
      subscriptions.replace(id_of(key), std::move(changed));
    }
    // those of whole dialogs raise what the others set, wherever they stand among them: so they come in a pass of their own
    for (const auto& [key, local_cseq, version] : what.reservations) {
      if (!key.event.empty()) continue;
      std::vector<subscription_row> all;
      cursor at;
      subscriptions.page({.call_id = key.call_id}, at, 0, all);
      for (subscription_row& row : all) {
        if (row.dialog.local_tag() != key.local_tag || row.dialog.remote_tag() != key.remote_tag) continue;
        row.local_cseq = std::max(row.local_cseq, local_cseq);
        subscriptions.replace(id_of(row), row);
      }
    }
    for (const auto& key : what.ended_watchers) watchers.erase(id_of(key));
    for (const auto& row : what.watchers) {
      if (!watchers.replace(id_of(row), row)) watchers.insert(row);
    }
    return nullptr;
  }
};

memory_storage::memory_storage() : impl_{std::make_unique<impl>()} {}
memory_storage::~memory_storage() = default;
memory_storage::memory_storage(memory_storage&&) noexcept = default;
memory_storage& memory_storage::operator=(memory_storage&&) noexcept = default;

result<void, storage_error> memory_storage::publications(const row_filter& want, cursor& at,
                                                         std::size_t limit,
                                                         std::vector<publication_row>& out) {
  impl_->publications.page(want, at, limit, out);
  return {};
}

result<void, storage_error> memory_storage::subscriptions(const row_filter& want, cursor& at,
                                                          std::size_t limit,
                                                          std::vector<subscription_row>& out) {
  impl_->subscriptions.page(want, at, limit, out);
  return {};
}

result<void, storage_error> memory_storage::watchers(const row_filter& want, cursor& at, std::size_t limit,
                                                     std::vector<watcher_row>& out) {
  impl_->watchers.page(want, at, limit, out);
  return {};
}

result<void, storage_error> memory_storage::apply(const change& what) {
  const char* obstacle = nullptr;
  try {
    obstacle = impl_->perform(what);
  } catch (...) {
    impl_->undo();
    throw;
  }
  if (obstacle != nullptr) {
    impl_->undo();
    return unexpected{storage_error{storage_fault::conflict, obstacle}};
  }
  for (const state_stamp& s : what.states) impl_->marks[{s.state.resource, s.state.event}] = {s.next, s.turns};
  impl_->keep();
  return {};
}

result<void, storage_error> memory_storage::due(const due_filter& want, const std::vector<std::string>& known, std::size_t limit,
                                                std::vector<state_name>& out) {
  std::set<std::pair<std::string, std::string>> found;
  const auto is_known = [&](const std::string& event) { return std::find(known.begin(), known.end(), event) != known.end(); };
  const auto take = [&](const auto& row, bool over) {
    if (over && is_known(row.event)) found.emplace(row.resource, row.event);
  };
  impl_->publications.each([&](const publication_row& row) { take(row, row.expires <= want.now); });
  impl_->subscriptions.each([&](const subscription_row& row) {
    take(row, row.state != subscription_state::terminated && want.is_due(row.expires, row.dialog.owner()));
  });
  impl_->watchers.each([&](const watcher_row& row) {
    const bool undecided = row.status == watcher_status::pending || row.status == watcher_status::waiting;
    take(row, undecided && row.since <= want.waiting_since);
  });
  for (const auto& [name, mark] : impl_->marks)
    if (mark.turns && *mark.turns <= want.now && is_known(name.second)) found.insert(name);
  for (const auto& [resource, event] : found)
    if (limit-- != 0) out.push_back({resource, event});
    else break;
  return {};
}

result<state_mark, storage_error> memory_storage::mark(std::string_view resource, std::string_view event) {
  const auto at = impl_->marks.find({std::string{resource}, std::string{event}});
  return at == impl_->marks.end() ? state_mark{} : at->second;
}

result<std::size_t, storage_error> memory_storage::sweep(instant before,
                                                         const std::vector<std::string>& known) {
  const auto lapsed = [&](const auto& row) {
    return row.expires < before && std::find(known.begin(), known.end(), row.event) == known.end();
  };
  return impl_->publications.erase_if(lapsed) + impl_->subscriptions.erase_if([&](const subscription_row& row) {
    return lapsed(row) || (row.expires < before && row.state == subscription_state::terminated);
  });
}

}  // namespace presence
