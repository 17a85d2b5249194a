// What the host decides about live subscriptions: rules changed, state changed behind the engine, a
// resource or this node goes away.
#include "impl.hpp"

namespace presence {

void engine::impl::terminate(const termination& what, instant now, effects& out) {
  const bool may_retry = what.reason == end_reason::probation || what.reason == end_reason::giveup;
  std::vector<event_state*> states;
  std::vector<subscription*> ended;
  auto& all = table.states();
  for (slab<event_state>::index i = 0; i < all.end(); ++i) {
    if (!all.live(i)) continue;
    event_state& state = all[i];
    if (!what.resource.empty() && state.resource() != what.resource) continue;
    if (!what.event.empty() && state.package->name != what.event) continue;
    states.push_back(&state);
    for (const auto index : state.watchers) {
      if (index == slab<subscription>::none) continue;
      subscription& s = table.subscriptions()[index];
      if (what.reason == end_reason::giveup && s.stands != standing::pending) continue;
      body last;
      if (what.reason == end_reason::invariant) last = content_for(s, state, present(state), true);
      tell_end(s, what.reason);
      notify& n = plan_end(s, what.reason, std::move(last), out);
      if (may_retry) n.retry_after = static_cast<std::uint32_t>(std::max<std::int64_t>(what.retry_after.count(), 0));
      if (s.stands == standing::pending) plan_decided(state, *s.watcher);
      ended.push_back(&s);
    }
    if (!what.everything) continue;
    for (const auto& p : state.publications) plan_ended(*p);
    if (state.undecideds)
      for (const auto& [account, u] : *state.undecideds) {
        plan_decided(state, *u.watcher);
        if (u.pending == 0) tell_waiting(u, watcher_event::noresource);
      }
  }
  if (!store(out, now)) return;
  commit_notifies(out);
  for (subscription* s : ended) commit_end(*s, true, now);
  for (event_state* state : states) {
    if (what.everything) drop_contents(*state);
    if (state->watcher_count() == 0) remember(*state, {});
    table.release_if_idle(*state);
  }
}

void engine::impl::refresh_watchers(event_state& state, refresh_type type, instant now, effects& out) {
  lapse due = plan_lapse(state, now);
  std::vector<undecided*> decided;
  if (type == refresh_type::authorization) {
    const auto sphere = sphere_of(state.resource(), now);
    const edit leaving;
    due.after = plan_decisions(state, due.any ? due.before : due.after, due.any ? &leaving : nullptr, sphere, {},
                               nullptr, now, out);
    plan_decided_waiting(state, sphere, now, decided);
  } else {
    // one who is politely blocked is told as one whose resource is offline would be (SEC-LEAK-3)
    for (const auto index : state.watchers) {
      if (index == slab<subscription>::none) continue;
      subscription& s = table.subscriptions()[index];
      if (!s.lasts(now) || s.stands == standing::pending) continue;
      if (s.in_flight) {
        owing.push_back(&s);
        continue;
      }
      const notify& n = plan_notify(s, content_for(s, state, due.after, false), now, out);
      plan_reservation(s, n.cseq);
    }
  }
  if (!store(out, now)) return;

  commit_notifies(out);
  for (undecided* u : decided) table.erase(*u);
  commit_lapse(state, due, now);
  table.release_if_idle(state);
}

void engine::impl::plan_decided_waiting(event_state& state, const std::optional<std::string>& sphere, instant now,
                                        std::vector<undecided*>& decided) {
  if (!state.undecideds) return;
  for (auto& [account, u] : *state.undecideds) {
    if (u.pending != 0) continue;
    const identity who = identity_of(u.watcher->uri(), u.proven);
    const sub_handling handling = ask(*state.package, state.resource(), who, now, sphere).handling;
    if (handling == sub_handling::confirm) continue;
    plan_decided(state, *u.watcher);
    tell_waiting(u, handling == sub_handling::block ? watcher_event::rejected : watcher_event::approved);
    decided.push_back(&u);
  }
}

void engine::impl::recheck_others(const event_state& state, instant now) noexcept {
  for (const auto& candidate : packages) {
    if (&candidate->package == state.package) continue;
    event_state* other = table.find(state.resource(), candidate->package);
    if (other != nullptr && other->rules && other->rules->by_sphere) table.recheck(*other, now);
  }
}

}  // namespace presence
