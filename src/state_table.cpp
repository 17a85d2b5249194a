#include <presence/state_table.hpp>

#include <algorithm>
#include <cassert>
#include <tuple>
#include <utility>

namespace presence {

namespace {

std::size_t buckets_for(int log2) noexcept { return std::size_t{1} << std::clamp(log2, 4, 28); }

}  // namespace

std::string_view event_id_of(const subscription& s) noexcept {
  constexpr std::string_view mark = ";id=";
  std::string_view rest = s.dialog.event();
  rest.remove_prefix(std::min(rest.size(), s.state->package->name.size()));
  if (!rest.starts_with(mark)) return {};
  rest.remove_prefix(mark.size());
  return rest.substr(0, rest.find(';'));
}

state_table::state_table(random_source& random, int subscriptions_log2, int resources_log2)
    : hash_{random},
      by_name_{buckets_for(resources_log2)},
      by_dialog_{buckets_for(subscriptions_log2)},
      by_uri_{buckets_for(resources_log2)} {}

state_table::~state_table() {
  for (slab<event_state>::index i = 0; i < states_.end(); ++i)
    if (states_.live(i)) states_[i].publications.clear();  // they hold shares
  for (slab<subscription>::index i = 0; i < subscriptions_.end(); ++i) {
    if (!subscriptions_.live(i)) continue;
    subscription& s = subscriptions_[i];
    if (s.shared != nullptr && --s.shared->usages == 0) delete s.shared;
  }
}

event_state* state_table::find(const state_lookup& l, const event_package& package) noexcept {
  event_state* found = nullptr;
  by_name_.each(l.hash, [&](hash_index::number n) {
    event_state& state = states_[n];
    if (state.package == &package && state.resource() == l.resource) found = &state;
    return found == nullptr;
  });
  return found;
}

event_state& state_table::obtain(const state_lookup& l, const event_package& package) {
  if (event_state* known = find(l, package)) return *known;
  by_name_.reserve(states_.size() + 1);
  const auto index = states_.make();
  event_state& state = states_[index];
  state.self = index;
  state.hash = l.hash;
  state.package = &package;
  try {
    state.name.set(l.resource);
  } catch (...) {
    states_.destroy(index);
    throw;
  }
  by_name_.insert(l.hash, index);
  if (listener_ != nullptr) listener_->made(state);
  return state;
}

void state_table::release_if_idle(event_state& state) noexcept {
  if (!state.idle()) return;
  if (listener_ != nullptr) listener_->gone(state);
  by_name_.erase(state.hash, state.self);
  states_.destroy(state.self);
}

publication& state_table::insert(event_state& state, std::unique_ptr<publication> p) {
  auto& all = state.publications;
  const bool at_home = std::any_of(all.begin(), all.end(), [&](const auto& q) { return static_cast<void*>(q.get()) == state.room; });
  p->state = &state;
  if (!at_home) p.reset(new (static_cast<void*>(state.room)) publication{std::move(*p)});
  publication& added = *p;
  const auto at = std::find_if(all.rbegin(), all.rend(), [&](const auto& q) { return q->id < added.id; });
  all.insert(at.base(), std::move(p));
  state.lapses = std::min(state.lapses, added.deadline);
  if (added.hard()) ++state.hard;
  else publication_timers_.insert(added);
  ++publication_count_;
  return added;
}

void state_table::erase(publication& p) noexcept {
  auto& all = p.state->publications;
  const auto at = std::find_if(all.begin(), all.end(), [&](const auto& q) { return q.get() == &p; });
  assert(at != all.end());
  if (p.hard()) --p.state->hard;
  all.erase(at);
  --publication_count_;
}

void state_table::set_deadline(publication& p, instant deadline) noexcept {
  if (p.hard()) return;
  publication_timers_.move(p, deadline);
  p.state->lapses = std::min(p.state->lapses, deadline);
}

bool state_table::lapsed(event_state& state, instant now) noexcept {
  if (state.lapses > now) return false;
  state.lapses = never;
  for (const auto& p : state.publications) state.lapses = std::min(state.lapses, p->deadline);
  return state.lapses <= now;
}

subscription& state_table::make_subscription() {
  by_dialog_.reserve(subscriptions_.size() + 1);
  const auto index = subscriptions_.make();
  subscription& s = subscriptions_[index];
  s.self = index;
  return s;
}

void state_table::discard(subscription& s) noexcept {
  if (s.shared != nullptr && --s.shared->usages == 0) delete s.shared;
  if (s.state != nullptr) drop_view(*s.state, s.view);
  subscriptions_.destroy(s.self);
}

void state_table::reserve(event_state& state) {
  auto& all = state.watchers;
  if (all.size() == all.capacity()) all.reserve(2 * all.size() + 1);
}

void state_table::link(subscription& s, event_state& state, watcher_account& watcher, const dialog_lookup& by) noexcept {
  s.state = &state;
  s.watcher = &watcher;
  ++watcher.subscriptions.of(s.dialog.proven());
  ++watcher.users;
  if (state.counts) {
    try {
      ++(*state.counts)[&watcher].of(s.dialog.proven());
    } catch (...) {  // no memory: counted again when it is asked for
      state.counts.reset();
    }
  }
  s.position = static_cast<std::uint32_t>(state.watchers.size());
  state.watchers.push_back(s.self);
  s.dialog_hash = by.hash;
  by_dialog_.insert(s.dialog_hash, s.self);
  subscription_timers_.insert(s);
}

void state_table::erase(subscription& s) noexcept {
  event_state& state = *s.state;
  by_dialog_.erase(s.dialog_hash, s.self);
  if (s.shared != nullptr && --s.shared->usages == 0) delete s.shared;
  if (state.counts) {
    const auto at = state.counts->find(s.watcher);
    --at->second.of(s.dialog.proven());
    if (at->second.all() == 0) state.counts->erase(at);
  }
  --s.watcher->subscriptions.of(s.dialog.proven());
  --s.watcher->users;
  release_if_unused(*s.watcher);

  drop_view(state, s.view);

  auto& list = state.watchers;
  list[s.position] = slab<subscription>::none;
  ++state.holes;
  while (!list.empty() && list.back() == slab<subscription>::none) {
    list.pop_back();
    --state.holes;
  }
  if (state.holes > 8 && state.holes > list.size() / 2) {  // close the holes, keep the order
    std::uint32_t at = 0;
    for (const auto index : list) {
      if (index == slab<subscription>::none) continue;
      subscriptions_[index].position = at;
      list[at++] = index;
    }
    list.resize(at);
    state.holes = 0;
  }
  subscriptions_.destroy(s.self);
}

void state_table::set_deadline(subscription& s, instant deadline) noexcept {
  subscription_timers_.move(s, deadline);
}

std::size_t state_table::count(event_state& state, const watcher_account& watcher, bool who_proved) {
  if (!state.counts) {
    auto counts = std::make_unique<std::unordered_map<const watcher_account*, subscription_count>>();
    for (const auto index : state.watchers) {
      if (index == slab<subscription>::none) continue;
      const subscription& s = subscriptions_[index];
      ++(*counts)[s.watcher].of(s.dialog.proven());
    }
    state.counts = std::move(counts);
  }
  const auto known = state.counts->find(&watcher);
  return known == state.counts->end() ? 0 : known->second.of(who_proved);
}

void state_table::share_numbers(subscription& a, subscription& b) {
  if (a.shared == nullptr) {
    a.shared = new shared_numbers{a.local_cseq, a.remote_cseq, 1, a.since, a.nth};
  }
  if (a.state->package != b.state->package) a.shared->several_states = true;
  if (b.shared == nullptr) {
    b.shared = a.shared;
    ++a.shared->usages;
    a.shared->local_cseq = std::max(a.shared->local_cseq, b.local_cseq);
    a.shared->remote_cseq = std::max(a.shared->remote_cseq, b.remote_cseq);
    std::tie(a.shared->latest, a.shared->nth) =
        std::max(std::pair{a.shared->latest, a.shared->nth}, std::pair{b.since, std::uint32_t{b.nth}});
  }
}

std::uint16_t state_table::hold_view(event_state& state, std::shared_ptr<const view> what, bool as_pres) {
  if (!what && !as_pres) return 0;
  const auto same = [&](const shown_view& v) {
    return v.as_pres == as_pres && (v.what == what || (v.what && what && v.what->equals(*what)));
  };
  if (!state.rules) {
    state.rules = std::make_unique<ruled>();
    state.rules->state = &state;
  }
  auto& views = state.rules->views;
  std::size_t unused = views.size();
  for (std::size_t i = 0; i < views.size(); ++i) {
    if (views[i].users == 0) {
      unused = std::min(unused, i);
    } else if (same(views[i])) {
      ++views[i].users;
      return static_cast<std::uint16_t>(i + 1);
    }
  }
  if (unused + 1 >= no_view) return no_view;
  if (unused == views.size()) views.emplace_back();
  views[unused] = {std::move(what), 1, as_pres, {}};
  return static_cast<std::uint16_t>(unused + 1);
}

void state_table::drop_view(event_state& state, std::uint16_t number) noexcept {
  if (number == 0 || number == no_view) return;
  shown_view& shown = state.rules->views[number - 1];
  if (--shown.users == 0) shown = {};
}

void state_table::recheck(event_state& state, instant when) {
  if (!state.rules) {
    state.rules = std::make_unique<ruled>();
    state.rules->state = &state;
  }
  ruled& r = *state.rules;
  if (!timer_wheel<ruled>::contains(r) || when < r.deadline) rules_timers_.move(r, when);
}

watcher_account* state_table::find_watcher(const watcher_lookup& l) noexcept {
  watcher_account* found = nullptr;
  by_uri_.each(l.hash, [&](hash_index::number n) {
    if (watchers_[n].uri() == l.uri) found = &watchers_[n];
    return found == nullptr;
  });
  return found;
}

watcher_account& state_table::obtain_watcher(const watcher_lookup& l) {
  if (watcher_account* known = find_watcher(l)) return *known;
  by_uri_.reserve(watchers_.size() + 1);
  const auto index = watchers_.make();
  watcher_account& account = watchers_[index];
  account.self = index;
  account.hash = l.hash;
  try {
    account.name.set(l.uri);
  } catch (...) {
    watchers_.destroy(index);
    throw;
  }
  by_uri_.insert(l.hash, index);
  return account;
}

void state_table::release_if_unused(watcher_account& w) noexcept {
  if (w.users != 0) return;
  by_uri_.erase(w.hash, w.self);
  watchers_.destroy(w.self);
}

publisher_share state_table::share_of(std::string_view publisher) {
  watcher_account& account = obtain_watcher(publisher);
  ++account.published;
  ++account.users;
  return {&account, {this}};
}

void end_of_share::operator()(watcher_account* w) const noexcept {
  --w->published;
  --w->users;
  table->release_if_unused(*w);
}

undecided* state_table::find_undecided(event_state& state, const watcher_account& w) noexcept {
  if (!state.undecideds) return nullptr;
  const auto found = state.undecideds->find(&w);
  return found == state.undecideds->end() ? nullptr : &found->second;
}

undecided& state_table::obtain_undecided(event_state& state, watcher_account& w, instant since) {
  if (undecided* known = find_undecided(state, w)) return *known;
  if (!state.undecideds) {
    state.undecideds = std::make_unique<std::unordered_map<const watcher_account*, undecided>>();
  }
  undecided& made = (*state.undecideds)[&w];
  made.state = &state;
  made.watcher = &w;
  made.since = since;
  ++w.users;
  ++undecided_count_;
  return made;
}

void state_table::set_waiting(undecided& u, instant deadline) noexcept {
  undecided_timers_.move(u, deadline);
}

void state_table::erase(undecided& u) noexcept {
  event_state& state = *u.state;
  watcher_account& watcher = *u.watcher;
  state.undecideds->erase(&watcher);
  --undecided_count_;
  --watcher.users;
  release_if_unused(watcher);
}

std::optional<instant> state_table::next_deadline() const noexcept {
  std::optional<instant> soonest;
  for (const auto& candidate :
       {publication_timers_.next(), subscription_timers_.next(), undecided_timers_.next(), rules_timers_.next()}) {
    if (candidate && (!soonest || *candidate < *soonest)) soonest = candidate;
  }
  return soonest;
}

std::optional<std::string> state_table::check() const {
  std::size_t publications = 0, published = 0, linked = 0, undecideds = 0;
  for (slab<event_state>::index i = 0; i < states_.end(); ++i) {
    if (!states_.live(i)) continue;
    const event_state& state = states_[i];
    if (state.self != i) return "a state does not know its own number";
    if (state.idle()) return "an idle state is kept: " + std::string{state.resource()};
    if (!by_name_.contains(look_up_state(state.resource(), state.package->name).hash, i))
      return "a state is not found by its name: " + std::string{state.resource()};
    std::uint64_t last_id = 0;
    std::uint32_t hard = 0;
    for (const auto& p : state.publications) {
      if (p->state != &state) return "a publication belongs to another state: " + std::string{state.resource()};
      if (timer_wheel<publication>::contains(*p) == p->hard()) return "a publication and its timer do not agree: " + std::string{state.resource()};
      published += p->from != nullptr && p->from->publisher != nullptr;
      hard += p->hard();
      if (p->deadline < state.lapses) return "a publication lapses before its state knows: " + std::string{state.resource()};
      if (p->id <= last_id) return "publications are out of order: " + std::string{state.resource()};
      last_id = p->id;
    }
    if (hard != state.hard) return "hard state is miscounted: " + std::string{state.resource()};
    publications += state.publications.size();
    std::unordered_map<const watcher_account*, subscription_count> counts;
    std::size_t holes = 0;
    for (std::uint32_t at = 0; at < state.watchers.size(); ++at) {
      const auto index = state.watchers[at];
      if (index == slab<subscription>::none) {
        ++holes;
        continue;
      }
      if (!subscriptions_.live(index)) return "a dead watcher is listed: " + std::string{state.resource()};
      const subscription& s = subscriptions_[index];
      if (s.state != &state || s.position != at || s.self != index)
        return "a watcher does not know its place: " + std::string{state.resource()};
      if (!timer_wheel<subscription>::contains(s)) return "a subscription has no timer: " + std::string{state.resource()};
      if (!by_dialog_.contains(look_up(s.dialog.call_id(), s.dialog.remote_tag()).hash, index)) return "a subscription is not found by its dialog: " + std::string{state.resource()};
      if (state.counts) ++counts[s.watcher].of(s.dialog.proven());
      ++linked;
    }
    if (state.counts && counts != *state.counts)
      return "subscriptions of a watcher to a resource are miscounted: " + std::string{state.resource()};
    if (state.rules) {
      std::vector<std::uint32_t> users(state.rules->views.size());
      for (const auto index : state.watchers) {
        if (index == slab<subscription>::none) continue;
        const std::uint16_t number = subscriptions_[index].view;
        if (number == 0 || number == no_view) continue;
        if (number > users.size()) return "a watcher has a view that is none: " + std::string{state.resource()};
        ++users[number - 1];
      }
      for (std::size_t n = 0; n < users.size(); ++n)
        if (users[n] != state.rules->views[n].users) return "users of a view are miscounted: " + std::string{state.resource()};
    }
    if (holes != state.holes) return "holes are miscounted: " + std::string{state.resource()};
    if (state.undecideds) {
      for (const auto& [watcher, u] : *state.undecideds) {
        if (u.watcher != watcher || u.state != &state) return "an undecided watcher is misplaced: " + std::string{state.resource()};
        if ((u.pending == 0) != timer_wheel<undecided>::contains(u))
          return "an undecided watcher waits and has a subscription: " + std::string{state.resource()};
        ++undecideds;
      }
    }
  }
  if (by_name_.size() != states_.size()) return "states are missing from their index";
  if (publications != publication_count_) return "publications are miscounted";
  if (linked != by_dialog_.size() || linked != subscriptions_.size())
    return "subscriptions are missing from an index";
  if (undecideds != undecided_count_) return "undecided watchers are miscounted";
  std::size_t counted = 0;
  for (slab<watcher_account>::index i = 0; i < watchers_.end(); ++i) {
    if (!watchers_.live(i)) continue;
    if (watchers_[i].users == 0) return "an unused watcher is kept: " + std::string{watchers_[i].uri()};
    if (!by_uri_.contains(look_up_watcher(watchers_[i].uri()).hash, i))
      return "a watcher is not found by his address: " + std::string{watchers_[i].uri()};
    counted += watchers_[i].subscriptions.all();
    published -= watchers_[i].published;
  }
  if (by_uri_.size() != watchers_.size()) return "watchers are missing from their index";
  if (counted != linked) return "subscriptions per watcher are miscounted";
  if (published != 0) return "publications per publisher are miscounted";
  return std::nullopt;
}

}  // namespace presence
