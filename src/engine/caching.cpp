// Bounded memory (fallback2db with cache_states or cache_bytes), and the trace of what memory is asked for.
#include "caching.hpp"

#include <algorithm>
#include <limits>

#include <presence/cache/policies.hpp>

#include "impl.hpp"

namespace presence {

namespace {

constexpr std::size_t typical_bytes = 2048;  // of a state, where only bytes are bounded
constexpr unsigned most_refused = 16;        // candidates in turn that cannot go: then memory is over its bounds for a while
constexpr unsigned waiting_first = 2;

std::size_t or_all(std::size_t bound) noexcept { return bound != 0 ? bound : std::numeric_limits<std::size_t>::max(); }

}  // namespace

std::uint32_t cost_of(const event_state& state, const slab<subscription>& all) noexcept {
  std::size_t bytes = sizeof state + state.resource().size() + state.current.bytes().size();
  for (const auto& p : state.publications) {
    const bool shown = p->content.bytes().data() == state.current.bytes().data();  // as it stands
    const bool at_home = static_cast<const void*>(p.get()) == state.room;
    bytes += (at_home ? 0 : sizeof *p) + (shown ? 0 : p->content.bytes().size()) + p->etag.size() + p->sender().size();
  }
  if (state.undecideds) bytes += state.undecideds->size() * (sizeof(undecided) + 4 * sizeof(void*));
  if (state.counts) bytes += state.counts->size() * (sizeof(subscription_count) + 4 * sizeof(void*));
  if (state.rules) {
    for (const shown_view& v : state.rules->views) bytes += sizeof v + v.current.bytes().size();
  }
  // of many watchers the first ones stand for all: a SUBSCRIBE must not cost more the more there are
  constexpr std::size_t few = 64;
  std::size_t counted = 0, theirs = 0;
  for (const auto index : state.watchers) {
    if (index == slab<subscription>::none) continue;
    theirs += sizeof(subscription) + all[index].dialog.size();
    if (++counted == few) break;
  }
  if (counted != 0) bytes += theirs * state.watcher_count() / counted;
  return static_cast<std::uint32_t>(std::min<std::size_t>(bytes, std::numeric_limits<std::uint32_t>::max()));
}

caching::caching(const options& settings, bool bounded, sink trace, state_table& table)
    : table_{table},
      trace_{std::move(trace)},
      most_states_{or_all(settings.cache_states)},
      most_bytes_{or_all(settings.cache_bytes)} {
  if (bounded) {
    const std::size_t expected = std::min(most_states_, most_bytes_ / typical_bytes);
    if (auto made = cache::make_policy(settings.cache_policy, std::max<std::size_t>(expected, 1))) policy_ = std::move(*made);
  }
  table.listen(this);
}

bool caching::uses(event_state& state, traced_operation as) noexcept try {
  while (entries_.size() <= state.self) {
    const auto number = static_cast<slab<event_state>::index>(entries_.size());
    entries_.emplace_back().state = number;
  }
  entry& e = entries_[state.self];
  if (e.used) {
    e.as = std::min(e.as, as);
    return false;
  }
  used_.push_back(state.self);
  e.used = true;
  e.as = as;
  return true;
} catch (...) {  // no memory: it is looked at when it is used next
  return false;
}

void caching::settle(instant now) noexcept {
  for (const auto index : used_) {
    entry& e = entries_[index];
    if (!std::exchange(e.used, false)) continue;  // it is gone
    const event_state& state = table_.states()[index];
    if (!e.known) e.hash = table_.secret_of(state.resource(), state.package->name, "state");
    e.known = true;
    bytes_ -= e.cost;
    e.cost = cost_of(state, table_.subscriptions());
    bytes_ += e.cost;
    tell(now, e.as, e.hash, e.cost);
    if (!policy_) continue;
    if (e.at == place::policy) {
      policy_->touched(e);
      continue;
    }
    if (e.at == place::aside) aside_.released(e);
    else ++held_;
    e.at = place::policy;
    policy_->admitted(e);
  }
  used_.clear();
  for (const ended& one : ended_) tell(now, traced_operation::expire, one.key, one.bytes);
  ended_.clear();
}

void caching::tell(instant now, traced_operation what, std::uint64_t key, std::uint32_t bytes) noexcept {
  if (!trace_) return;
  constexpr std::string_view digits = "0123456789abcdef";
  char text[16];
  for (char& c : text) {
    c = digits[key >> 60];
    key <<= 4;
  }
  try {
    trace_({now, what, {text, sizeof text}, bytes});
  } catch (...) {  // a trace with a gap is better than a call that fails
  }
}

event_state* caching::candidate(bool waiting) noexcept {
  cache::node* n = waiting ? aside_.victim() : policy_->victim();
  if (n == nullptr) n = waiting ? policy_->victim() : aside_.victim();
  return n == nullptr ? nullptr : &table_.states()[static_cast<entry*>(n)->state];
}

void caching::set_aside(event_state& state) noexcept {
  entry& e = entries_[state.self];
  if (e.at == place::aside) aside_.released(e);
  else policy_->released(e);
  e.at = place::aside;
  aside_.admitted(e);
}

void caching::release(entry& e) noexcept {
  if (e.at == place::policy) policy_->released(e);
  if (e.at == place::aside) aside_.released(e);
  if (e.at != place::nowhere) --held_;
  e.at = place::nowhere;
  bytes_ -= e.cost;
  e.cost = 0;
  e.known = e.used = e.read = false;
  e.kept_by = slab<subscription>::none;
}

void caching::forget(event_state& state) noexcept {
  if (state.self < entries_.size()) release(entries_[state.self]);
}

void caching::gone(event_state& state) noexcept {
  if (state.self >= entries_.size()) return;
  entry& e = entries_[state.self];
  if (e.known && trace_) {
    try {
      ended_.push_back({e.hash, e.cost});
    } catch (...) {
    }
  }
  release(e);
}

std::optional<std::string> caching::check() const {
  std::size_t held = 0, bytes = 0;
  const auto& states = table_.states();
  for (const entry& e : entries_) {
    held += e.at != place::nowhere;
    bytes += e.cost;
    if ((e.known || e.at != place::nowhere) && !states.live(e.state)) return "the cache holds a state that is gone";
    if (e.known && policy_ && e.at == place::nowhere) return "the cache's policy does not know a state";
    if (!e.known && states.live(e.state)) return "a state is in memory that the cache does not know";
  }
  if (held != held_ || bytes != bytes_) return "the cache has miscounted";
  return std::nullopt;
}

// --- what the engine says to it ---------------------------------------------------------------------------

bool engine::impl::keeps(const subscription& s, instant soon) const noexcept {
  return s.in_flight || s.owes || s.deadline <= soon || too_soon(s, clock) ||
         (s.unsure && exact_numbers(s.since, *s.state->package)) ||  // read again, he would not be
         missed.has(s.self);
}

bool engine::impl::may_drop(const event_state& state) noexcept {
  const instant soon = clock + look_period;  // until then nobody would look for it in the database
  auto& all = table.subscriptions();
  auto& last = keeping->kept_by(state);  // of many watchers he is most likely the one again
  if (last != slab<subscription>::none && all.live(last) && all[last].state == &state && keeps(all[last], soon)) return false;
  for (const auto& p : state.publications)
    if (p->deadline <= soon) return false;
  for (const auto index : state.watchers) {
    if (index == slab<subscription>::none || !keeps(all[index], soon)) continue;
    last = index;
    return false;
  }
  if (state.undecideds) {
    for (const auto& [watcher, u] : *state.undecideds)
      if (u.pending == 0 && u.deadline <= soon) return false;
  }
  const auto when = turns(state);
  return !when || (*when > soon && when == state.rules->stored);
}

void engine::impl::keep_bounds() noexcept {
  if (unanswered) return;  // what memory has counts, and not what can be read again
  for (unsigned refused = 0; keeping->over() && refused < most_refused;) {
    event_state* state = keeping->candidate(refused < waiting_first);
    if (state == nullptr) return;
    bool may_go = may_drop(*state);
    if (may_go) each_sibling(*state, [&](const event_state& other) { may_go = may_go && may_drop(other); });
    const auto evict = [this](event_state& one) {
      drop(one);
      ++counters.cache_evictions;
    };
    if (may_go) {
      each_sibling(*state, evict);
      evict(*state);
      refused = 0;
    } else {
      keeping->set_aside(*state);
      ++refused;
    }
  }
}

}  // namespace presence
