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
      if (what.reason == end_reason::invariant) last = content_for(s, state, current_body(state), true);
      notify& n = plan_end(s, what.reason, std::move(last), out);
      if (may_retry) n.retry_after = static_cast<std::uint32_t>(std::max<std::int64_t>(what.retry_after.count(), 0));
      if (s.stands == standing::pending) plan_decided(state, *s.watcher);
      ended.push_back(&s);
    }
    if (!what.everything) continue;
    for (const auto& p : state.publications) plan_ended(*p);
    if (state.undecideds)
      for (const auto& [account, u] : *state.undecideds) plan_decided(state, *u.watcher);
  }
  if (!store(out, now)) return;
  commit_notifies(out);
  for (subscription* s : ended) commit_end(*s, true, now);
  for (event_state* state : states) {
    if (what.everything) drop_contents(*state);
    if (state->watcher_count() == 0) state->current = {};
    table.release_if_idle(*state);
  }
}

void engine::impl::refresh_watchers(event_state& state, refresh_type type, instant now, effects& out) {
  const event_package& package = *state.package;
  const lapse due = plan_lapse(state, now);
  struct changed {
    subscription* s;
    standing before;
    bool ends;
  };
  struct trial {
    std::vector<changed> all;
    bool kept = false;
    ~trial() {
      for (const changed& c : all)
        if (!kept) c.s->stands = c.before;
    }
  } trial;
  std::vector<undecided*> decided;

  for (const auto index : state.watchers) {
    if (index == slab<subscription>::none) continue;
    subscription& s = table.subscriptions()[index];
    if (!s.lasts(now)) continue;
    // one who is politely blocked is told as one whose resource is offline would be (SEC-LEAK-3)
    reconsidered verdict{s.stands, s.stands != standing::pending, end_reason::none};
    if (type == refresh_type::authorization) {
      verdict = reconsider(s.stands, ask(package, state.resource(), identity_of(s), now));
      // a rule may have changed what he sees of it, too
      if (s.stands == standing::active && package.authorize_body) verdict.notify = true;
    }
    if (verdict.ends != end_reason::none) {
      if (s.stands == standing::pending) plan_decided(state, *s.watcher);
      plan_end(s, verdict.ends, {}, out);
      trial.all.push_back({&s, s.stands, true});
      continue;
    }
    if (verdict.now != s.stands) {
      trial.all.push_back({&s, s.stands, false});
      if (s.stands == standing::pending) plan_decided(state, *s.watcher);
      s.stands = verdict.now;
    } else if (!verdict.notify && !(due.changed && s.stands == standing::active)) {
      continue;
    }
    const bool decided_now = !trial.all.empty() && trial.all.back().s == &s;
    if (s.in_flight && !decided_now) {
      owing.push_back(&s);
      continue;
    }
    const notify& n = plan_notify(s, content_for(s, state, due.after, false), now, out);
    if (decided_now) {
      if (s.shared != nullptr) plan_reservation(s, n.cseq);
      plan_changed(s, n.cseq);
    } else {
      plan_reservation(s, n.cseq);
    }
  }
  if (type == refresh_type::authorization && state.undecideds) {
    for (auto& [account, u] : *state.undecideds) {
      if (u.pending != 0) continue;
      const identity who{.uri = u.watcher->uri(), .method = "waiting"};
      if (ask(package, state.resource(), who, now) == sub_handling::confirm) continue;
      plan_decided(state, *u.watcher);
      decided.push_back(&u);
    }
  }
  if (!store(out, now)) return;

  trial.kept = true;
  commit_notifies(out);
  for (const changed& c : trial.all) {
    if (c.ends) {
      commit_end(*c.s, true, now);
    } else if (c.before == standing::pending) {
      pending_decided(state, *c.s->watcher);
    }
  }
  for (undecided* u : decided) table.erase(*u);
  commit_lapse(state, due, now);
  table.release_if_idle(state);
}

}  // namespace presence
