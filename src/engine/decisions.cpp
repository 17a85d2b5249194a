// What the host decides about live subscriptions: rules changed, state changed behind the engine, a
// resource or this node goes away.
#include "impl.hpp"

namespace presence {

void engine::impl::terminate(const termination& what, instant now, effects& out) {
  const bool may_retry = what.reason == end_reason::probation || what.reason == end_reason::giveup;
  const bool decides = what.reason != end_reason::invariant && what.reason != end_reason::timeout;
  find_states(what.resource, what.event);
  std::vector<event_state*> states;
  std::vector<subscription*> ended;
  auto& all = table.states();
  for (slab<event_state>::index i = 0; i < all.end(); ++i) {
    if (!all.live(i)) continue;
    event_state& state = all[i];
    if (!what.resource.empty() && state.resource() != what.resource) continue;
    if (!what.event.empty() && state.package->name != what.event) continue;
    states.push_back(&state);
    picture final_state;
    const edit without_lapsed;
    const bool shows = what.reason == end_reason::invariant && !decisions_due(state, now);
    if (shows) final_state = compose(state, &without_lapsed, now);
    for (const auto index : state.watchers) {
      if (index == slab<subscription>::none) continue;
      subscription& s = table.subscriptions()[index];
      if (what.reason == end_reason::giveup && s.stands != standing::pending) continue;
      body last;
      if (shows) last = content_for(s, state, final_state, true);
      if (!decides) {
        plan_last_decision(s, now);
      } else {
        if (s.stands == standing::pending) plan_answered(s);
        tell_end(s, what.reason);
      }
      notify& n = plan_end(s, what.reason, std::move(last), out);
      if (may_retry) n.retry_after = static_cast<std::uint32_t>(std::max<std::int64_t>(what.retry_after.count(), 0));
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
  for (subscription* s : ended) commit_end(*s, now);
  for (event_state* state : states) {
    if (what.everything) drop_contents(*state);
    if (state->watcher_count() == 0) remember(*state, {});
    table.release_if_idle(*state);
  }
}

void engine::impl::refresh_watchers(event_state& state, refresh_type type, std::string_view only, instant now, effects& out) {
  const edit leaving;
  lapse due = plan_lapse(state, now);
  if (due.any) plan_elsewhere(state, leaving, now, out);
  std::vector<undecided*> decided;
  if (type == refresh_type::authorization || looks_at_sphere(state) || decisions_due(state, now)) {
    question asked = about(*state.package, state.resource(), now);
    // which view they saw last is not in the rows, as their standing is
    const bool knows = !shared() && !(keeping && keeping->was_read(state));
    asked.tells_all = type == refresh_type::authorization && state.package->has_views() && !knows;
    if (!due.any) asked.only = only;  // what lapsed is told to everybody
    due.after = plan_decisions(state, due.any ? due.before : due.after, due.any ? &leaving : nullptr, asked, {}, nullptr, out);
    plan_decided_waiting(state, asked, decided);
  }
  if (type == refresh_type::state) {
    std::vector<slab<subscription>::index> told;  // what was decided about them, with the new state
    for (const notify& n : out.notifies) told.push_back(n.id.slot);
    std::sort(told.begin(), told.end());
    // one who is politely blocked is told as one whose resource is offline would be (SEC-LEAK-3)
    for (const auto index : state.watchers) {
      if (index == slab<subscription>::none || std::binary_search(told.begin(), told.end(), index)) continue;
      subscription& s = table.subscriptions()[index];
      if (!s.lasts(now) || s.stands == standing::pending) continue;
      if (must_wait(s, now)) continue;
      plan_present(s, state, due.after, now, out);
    }
  }
  if (!store(out, now)) return;

  commit_notifies(out);
  for (undecided* u : decided) table.erase(*u);
  commit_lapse(state, due, now);
  if (keeping && type == refresh_type::authorization && only.empty()) keeping->told_all(state);
  if (type == refresh_type::state) recheck_by_sphere(state, now);
  table.release_if_idle(state);
}

void engine::impl::plan_decided_waiting(event_state& state, const question& asked, std::vector<undecided*>& decided) {
  if (!state.undecideds) return;
  for (auto& [account, u] : *state.undecideds) {
    if (u.pending != 0 || (!asked.only.empty() && u.watcher->uri() != asked.only)) continue;
    const identity who = identity_of(u.watcher->uri(), u.watcher->uri() != anonymous_watcher, u.named.also());
    const authorization answer = ask(asked, who);
    note(state, answer);
    if (answer.handling == sub_handling::confirm) continue;
    plan_decided(state, *u.watcher);
    tell_waiting(u, answer.handling == sub_handling::block ? watcher_event::rejected : watcher_event::approved);
    decided.push_back(&u);
  }
}

void engine::impl::plan_elsewhere(event_state& state, const edit& what, instant now, effects& out) {
  if (!looks_up() || !settings.enable_sphere_check || !state.package->sphere) return;
  gather(state, nullptr, now);
  const told_sphere was = state.package->sphere(offered, now);
  gather(state, &what, now);
  const told_sphere is = state.package->sphere(staying(), now);
  if (was.value == is.value && was.until == is.until) return;
  for (const auto& candidate : packages) {
    if (!candidate->package.req_auth) continue;
    event_state* one = find_state(state.resource(), candidate->package);
    if (one == nullptr || !shared()) continue;  // what stays in memory is found there by the commit
    const question asked = about(*one->package, state.resource(), now, is);
    if (one != &state) plan_decisions(*one, present(*one), nullptr, asked, {}, nullptr, out);
    std::vector<undecided*> decided;  // they leave memory with the call
    plan_decided_waiting(*one, asked, decided);
  }
}

void engine::impl::recheck_by_sphere(const event_state& state, instant now) noexcept {
  if (!settings.enable_sphere_check || !state.package->sphere) return;
  for (const auto& candidate : packages) {
    event_state* one = table.find(state.resource(), candidate->package);
    if (one == nullptr || !one->rules || !one->rules->by_sphere) continue;
    // this state's own watchers are told with the change itself
    if (one != &state || (one->undecideds && !one->undecideds->empty())) table.recheck(*one, now);
  }
}

}  // namespace presence
