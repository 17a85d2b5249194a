// A change that the storage did not refuse and did not answer for: it may have been made. Its call was refused, so what
// memory has counts, and the rows of that change are made so again before the next change. With subs_db_mode 3 memory has
// nothing: what the change would have told is told once its stamp is found.
#include <map>

#include "impl.hpp"

namespace presence {

namespace {

/// Rows of one kind that the change was about: their keys, and how memory has them.
template <class Key, class Row>
struct doubted {
  std::set<Key, less_key> keys;
  std::map<Key, Row, less_key> held;

  void name(const Row& row) { keys.insert(key_of(row)); }
  void hold(Row row) {
    Key key = key_of(row);
    if (keys.contains(key)) held.emplace(std::move(key), std::move(row));
  }
  /// `stored` is there: it `ends`, or `changes` to what memory has. What is left in `held` then is not there.
  template <class Changes, class Ends>
  void compare(const Row& stored, Changes changes, Ends ends) {
    Key key = key_of(stored);
    if (!keys.contains(key)) return;
    const auto at = held.find(key);
    if (at == held.end()) return ends(std::move(key));
    if (at->second != stored) changes(std::move(at->second));
    held.erase(at);
  }
};

}  // namespace

result<void, storage_error> engine::impl::settle() try {
  if (!unanswered) return {};
  if (shared()) {
    find_out();
  } else if (const change mend = mended(); !mend.empty()) {
    const auto written = rows->apply(mend);
    if (!written && written.error().fault != storage_fault::conflict) throw unreadable{written.error()};
    if (!written) log(log_level::error, written.error().text);
    for (const state_stamp& s : mend.states) {
      const event_state* state = find_held(s.state);
      if (state != nullptr && state->rules) state->rules->stored = s.turns;
    }
  }
  unanswered.reset();
  return {};
} catch (const std::exception& e) {
  unanswered->why = e.what();
  return unexpected{storage_error{storage_fault::unavailable, unanswered->why}};
}

/// One stamp tells of the whole change. Where another engine has changed a state since it may have used the numbers: whoever
/// watches is told the state anew then.
void engine::impl::find_out() {
  bool made = false;
  std::set<state_name, less_key> changed_since;
  for (const state_stamp& one : unanswered->rows.states) {
    const state_mark mark = rows.mark(one.state.resource, one.state.event);
    if (mark.stamp == one.next) made = true;
    else if (one.known && mark.stamp == *one.known) return;  // it was not made
    else changed_since.insert(one.state);
  }
  const auto late = static_cast<std::uint32_t>(whole_seconds(unanswered->since, clock).count());
  for (unanswered_change::late_notify& l : std::exchange(unanswered->notifies, {})) {
    const bool last = l.told.state == subscription_state::terminated;  // nobody can have used a number after it
    if (made && (last || !changed_since.contains({l.to.resource, l.to.package->name}))) {
      if (l.told.expires != 0) l.told.expires -= std::min(l.told.expires - 1, late);
      if (!last) on_the_way.remember(l.told.id, std::move(l.to), clock);
      told_late.push_back(std::move(l.told));
    } else if (!last) {
      debts.away.push_back({std::move(l.to), {}});
    }
  }
}

void engine::impl::tell_late(effects& out) noexcept try {
  // before what this call tells in the same dialogs
  out.notifies.insert(out.notifies.begin(), told_late.begin(), told_late.end());
  counters.notifies += told_late.size();
  told_late.clear();
} catch (...) {  // no memory: with the next call
}

void engine::impl::require_settled() const {
  if (unanswered) throw unreadable{{storage_fault::unavailable, unanswered->why}};
}

event_state* engine::impl::find_held(const state_name& name) noexcept {
  const registered_package* registered = packages.named(name.event);
  return registered != nullptr ? table.find(name.resource, registered->package) : nullptr;
}

void engine::impl::remember_unanswered(effects& out) {
  unanswered = {std::exchange(plan.rows, {}), clock, "a change before this one has no answer yet"};
  if (!shared()) return;
  for (notify& n : out.notifies) {
    const subscription* s = table.find(n.id);  // none: a fetch
    unanswered->notifies.push_back({std::move(n), s != nullptr ? sent::in(*s) : sent{}});
  }
}

change engine::impl::mended() {
  doubted<publication_key, publication_row> publications;
  doubted<subscription_key, subscription_row> subscriptions;
  doubted<watcher_key, watcher_row> watchers;
  for (const auto& key : unanswered->rows.ended_publications) publications.keys.insert(key);
  for (const auto& row : unanswered->rows.new_publications) publications.name(row);
  for (const auto& [old_etag, content_changed, row] : unanswered->rows.changed_publications) {
    publications.name(row);
    publications.keys.insert({row.resource, row.event, old_etag});
  }
  for (const auto& key : unanswered->rows.ended_subscriptions) subscriptions.keys.insert(key);
  for (const auto& row : unanswered->rows.new_subscriptions) subscriptions.name(row);
  for (const auto& row : unanswered->rows.changed_subscriptions) subscriptions.name(row);
  for (const auto& key : unanswered->rows.ended_watchers) watchers.keys.insert(key);
  for (const auto& row : unanswered->rows.watchers) watchers.name(row);

  std::set<state_name, less_key> states;
  for (const auto& key : publications.keys) states.insert({key.resource, key.event});
  for (const auto& key : watchers.keys) states.insert({key.resource, key.event});
  for (const auto& row : unanswered->rows.new_subscriptions) states.insert({row.resource, row.event});
  for (const auto& key : subscriptions.keys)  // those that are not new are in memory
    table.each_usage(key.call_id, key.remote_tag, [&](const subscription& s) {
      if (s.dialog.local_tag() == key.local_tag) states.insert({std::string{s.state->resource()}, s.state->package->name});
      return true;
    });

  std::vector<row_filter> wanted;
  for (const state_name& name : states) {
    wanted.push_back({.event = name.event, .resource = name.resource});
    const event_state* state = find_held(name);
    if (state == nullptr) continue;
    for (const auto& p : state->publications) publications.hold(row_of(*p));
    for (const auto index : state->watchers) {
      if (index == slab<subscription>::none) continue;
      const subscription& s = table.subscriptions()[index];
      subscriptions.hold(row_of(s, *state, event_id_of(s)));
    }
    if (!state->undecideds) continue;
    for (const auto& [account, u] : *state->undecideds) watchers.hold(row_of(u));
  }
  if (wanted.size() > page_rows) {  // all rows of a package are few reads then
    wanted.clear();
    for (const auto& p : packages) wanted.push_back({.event = p->package.name});
  }

  change mend;
  const auto into = [](auto& list) {
    return [&list](auto&& one) { list.push_back(std::move(one)); };
  };
  const auto replace = [&](publication_row&& row) { mend.changed_publications.push_back({row.etag, true, std::move(row)}); };
  for (const row_filter& some : wanted) {
    if (!publications.keys.empty())
      rows.each_row<publication_row>(some, [&](const publication_row& row) {
        publications.compare(row, replace, into(mend.ended_publications));
      });
    if (!subscriptions.keys.empty())
      rows.each_row<subscription_row>(some, [&](const subscription_row& row) {
        subscriptions.compare(row, into(mend.changed_subscriptions), into(mend.ended_subscriptions));
      });
    if (!watchers.keys.empty())
      rows.each_row<watcher_row>(some, [&](const watcher_row& row) {
        watchers.compare(row, into(mend.watchers), into(mend.ended_watchers));
      });
  }
  for (auto& [key, row] : publications.held) mend.new_publications.push_back(std::move(row));
  for (auto& [key, row] : subscriptions.held) mend.new_subscriptions.push_back(std::move(row));
  for (auto& [key, row] : watchers.held) mend.watchers.push_back(std::move(row));
  for (const state_stamp& s : unanswered->rows.states) {
    const state_mark mark = rows.mark(s.state.resource, s.state.event);
    const event_state* state = find_held(s.state);
    const auto when = state != nullptr ? turns(*state) : std::nullopt;
    if (mark.turns != when) mend.states.push_back({s.state, {}, new_stamp(), when});
    else if (state != nullptr && state->rules) state->rules->stored = when;
  }
  return mend;
}

}  // namespace presence
