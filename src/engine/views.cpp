// What a state looks like to whom (views), and what follows when rules, sphere or time change that.
#include "impl.hpp"

namespace presence {

// --- pictures: a state's documents at one moment ---------------------------------------------------

void engine::impl::gather(const event_state& state, const edit* what, instant now) {
  offered.clear();
  const auto offer = [&](const publication& p, bool leaving, bool arriving) {
    if (leaving && !state.package->tells_leaving) return;
    offered.push_back({.etag = p.etag,
                       .content = p.content,
                       .parsed = p.parsed.get(),
                       .sender = p.sender,
                       .id = p.id,
                       .since = p.since,
                       .arrival = p.hard() ? 0 : p.arrival,
                       .leaving = leaving,
                       .arriving = arriving});
  };
  bool replaced = false;
  for (const auto& p : state.publications) {
    if (what != nullptr && p.get() == what->target) {
      replaced = what->incoming != nullptr;
      offer(replaced ? *what->incoming : *p, !replaced, replaced);
    } else {
      offer(*p, what != nullptr && p->deadline <= now, false);
    }
  }
  if (what != nullptr && what->incoming != nullptr && !replaced) offer(*what->incoming, false, true);
}

body engine::impl::compose_whole(const event_state& state, const edit* what, instant now) {
  const event_package& package = *state.package;
  if (!package.watched.empty()) return watcher_information(state, nullptr, now);
  gather(state, what, now);
  if (package.aggregate && !offered.empty()) return package.aggregate(state.resource(), offered);
  const published* newest = nullptr;
  for (const published& p : offered) {
    if (!p.leaving && p.content && (newest == nullptr || p.arrival >= newest->arrival)) newest = &p;
  }
  if (newest != nullptr) return newest->content;
  return package.neutral ? package.neutral(state.resource()) : body{};
}

body engine::impl::show(const event_state& state, const body& whole, const view& what) const {
  const event_package& package = *state.package;
  return package.authorize_body ? package.authorize_body(whole, state.resource(), offered, what) : whole;
}

engine::impl::picture engine::impl::compose(const event_state& state, const edit* what, instant now) {
  picture p;
  p.whole = compose_whole(state, what, now);
  if (!state.rules) return p;
  for (const shown_view& shown : state.rules->views)
    p.views.push_back(shown.users == 0 ? body{} : show(state, p.whole, *shown.what));
  return p;
}

engine::impl::picture engine::impl::present(event_state& state) {
  if (!state.package->watched.empty()) return {};  // watcher information is made when it is told
  picture p;
  bool gathered = !state.current;
  if (gathered) state.current = compose_whole(state, nullptr, clock);
  p.whole = state.current;
  if (!state.rules) return p;
  for (shown_view& shown : state.rules->views) {
    if (shown.users != 0 && !shown.current) {
      if (!std::exchange(gathered, true)) gather(state, nullptr, clock);
      shown.current = show(state, p.whole, *shown.what);
    }
    p.views.push_back(shown.current);
  }
  return p;
}

void engine::impl::remember(event_state& state, picture&& now_is) noexcept {
  state.current = std::move(now_is.whole);
  if (!state.rules) return;
  auto& views = state.rules->views;
  for (std::size_t i = 0; i < views.size(); ++i)
    views[i].current = i < now_is.views.size() && views[i].users != 0 ? std::move(now_is.views[i]) : body{};
}

bool engine::impl::differ(const picture& a, const picture& b) noexcept {
  if (!same_meaning(a.whole, b.whole) || a.views.size() != b.views.size()) return true;
  for (std::size_t i = 0; i < a.views.size(); ++i)
    if (!same_meaning(a.views[i], b.views[i])) return true;
  return false;
}

// --- asking the rules --------------------------------------------------------------------------------

std::optional<std::string> engine::impl::sphere_of(std::string_view resource, instant now) {
  if (!settings.enable_sphere_check) return std::nullopt;
  const registered_package* registered = named("presence");
  if (registered == nullptr || !registered->package.sphere) return std::nullopt;
  const event_state* state = table.find(resource, registered->package);
  if (state == nullptr) return std::nullopt;
  std::vector<published> live;
  for (const auto& p : state->publications) {
    if (p->deadline > now)
      live.push_back({p->etag, p->content, p->parsed.get(), p->sender, p->id, p->since, p->arrival, false});
  }
  return registered->package.sphere(live, now);
}

authorization engine::impl::ask(const event_package& package, std::string_view resource, const identity& who,
                                instant now, const std::optional<std::string>& sphere) const {
  if (!package.req_auth || settings.force_active) return sub_handling::allow;
  const auto rules = package.rules_document ? package.rules_document(resource) : std::nullopt;
  return package.authorize({resource, package.name, who, rules ? &*rules : nullptr, now,
                            sphere ? std::optional<std::string_view>{*sphere} : std::nullopt});
}

void engine::impl::note(event_state& state, const authorization& answer) {
  if (answer.until) table.recheck(state, *answer.until);
  if (!answer.by_sphere || (state.rules && state.rules->by_sphere)) return;
  if (!state.rules) {
    state.rules = std::make_unique<ruled>();
    state.rules->state = &state;
  }
  state.rules->by_sphere = true;
}

// --- a watcher's standing and view change ------------------------------------------------------------

void engine::impl::plan_turn(subscription& s, standing stands, std::shared_ptr<const view> what) {
  if (turned.size() == turned.capacity()) turned.reserve(2 * turned.size() + 16);  // push_back must not throw
  const std::uint16_t number = stands == standing::active ? table.hold_view(*s.state, std::move(what)) : 0;
  turned.push_back({&s, s.stands, s.view, end_reason::none});
  s.stands = stands;
  s.view = number;
}

void engine::impl::plan_end_turn(subscription& s, end_reason reason, effects& out) {
  turned.push_back({&s, s.stands, s.view, reason});
  tell_end(s, reason);
  plan_end(s, reason, {}, out);
}

void engine::impl::commit_turns(instant now) noexcept {
  for (const turn& t : turned) {
    subscription& s = *t.s;
    event_state& state = *s.state;
    if (t.ends != end_reason::none) {
      commit_end(s, now);
      continue;
    }
    table.drop_view(state, t.view);
    if (t.before == standing::pending && s.stands != standing::pending) {
      s.approved = true;
      pending_decided(state, *s.watcher);
    }
  }
  turned.clear();
}

void engine::impl::roll_back_turns(std::size_t to) noexcept {
  while (turned.size() > to) {
    const turn& t = turned.back();
    if (t.ends == end_reason::none) {
      table.drop_view(*t.s->state, t.s->view);
      t.s->stands = t.before;
      t.s->view = t.view;
    }
    turned.pop_back();
  }
}

engine::impl::plan_mark engine::impl::mark(const effects& out) const noexcept {
  return {out.notifies.size(),
          owing.size(),
          turned.size(),
          watcher_changes.size(),
          missed_now.size(),
          answered.size(),
          pending.ended_publications.size(),
          pending.ended_subscriptions.size(),
          pending.changed_subscriptions.size(),
          pending.reservations.size(),
          pending.ended_watchers.size(),
          pending.watchers.size()};
}

void engine::impl::drop_since(const plan_mark& m, effects& out) noexcept {
  const auto shorten = [](auto& list, std::size_t size) { list.erase(list.begin() + static_cast<std::ptrdiff_t>(size), list.end()); };
  roll_back_turns(m.turned);
  shorten(out.notifies, m.notifies);
  shorten(owing, m.owing);
  shorten(watcher_changes, m.told);
  shorten(missed_now, m.missed);
  shorten(answered, m.answered);
  shorten(pending.ended_publications, m.ended_publications);
  shorten(pending.ended_subscriptions, m.ended_subscriptions);
  shorten(pending.changed_subscriptions, m.changed_subscriptions);
  shorten(pending.reservations, m.reservations);
  shorten(pending.ended_watchers, m.ended_watchers);
  shorten(pending.watchers, m.watchers);
}

// --- telling ------------------------------------------------------------------------------------------

void engine::impl::plan_told(event_state& state, const picture& before, picture& after, const edit* what,
                             std::string_view sender, const subscription* except, instant now, effects& out) {
  if (settings.enable_sphere_check && state.package->sphere && state.rules && state.rules->by_sphere) {
    gather(state, nullptr, now);
    const auto was = state.package->sphere(offered, now);
    gather(state, what, now);
    std::vector<published> staying;
    for (const published& p : offered)
      if (!p.leaving) staying.push_back(p);
    const auto is = state.package->sphere(staying, now);
    if (was != is) {
      after = plan_decisions(state, before, what, is, sender, except, now, out);
      return;
    }
  }
  if (differ(before, after)) plan_fan_out(state, before, after, sender, except, now, out);
}

engine::impl::picture engine::impl::plan_decisions(event_state& state, const picture& before, const edit* what,
                                                   const std::optional<std::string>& sphere,
                                                   std::string_view sender, const subscription* except,
                                                   instant now, effects& out) {
  const event_package& package = *state.package;
  struct decided {
    subscription* s;
    reconsidered verdict;
    standing before;
    body seen;  ///< before
  };
  std::vector<decided> all;
  for (const auto index : state.watchers) {
    if (index == slab<subscription>::none) continue;
    subscription& s = table.subscriptions()[index];
    if (&s == except) continue;
    authorization answer = ask(package, state.resource(), identity_of(s), now, sphere);
    note(state, answer);
    const reconsidered verdict = reconsider(s.stands, answer.handling);
    if (!s.lasts(now)) continue;  // he is not told any more
    all.push_back({&s, verdict, s.stands, before.of(s)});
    if (s.stands == standing::pending && verdict.notify) plan_answered(s);
    // one who ends keeps what he has until that is stored
    if (verdict.ends == end_reason::none) plan_turn(s, verdict.now, std::move(answer.view));
  }
  picture after = what != nullptr ? compose(state, what, now) : present(state);
  for (decided& d : all) {
    subscription& s = *d.s;
    if (d.verdict.ends != end_reason::none) {
      plan_end_turn(s, d.verdict.ends, out);
      continue;
    }
    const bool turns = d.before != s.stands;
    if (turns && d.before == standing::pending) tell(s, watcher_event::approved);
    if (!turns) {
      if (s.stands != standing::active || same_meaning(d.seen, after.of(s))) continue;
      if (!sender.empty() && s.dialog.remote_target() == sender) {
        s.unsure = true;
        continue;
      }
      if (s.in_flight) {
        owing.push_back(&s);
        continue;
      }
    }
    const notify& n = plan_notify(s, content_for(s, state, after, false), now, out);
    if (turns) {
      if (s.shared != nullptr) plan_reservation(s, n.cseq);
      plan_changed(s, n.cseq);
    } else {
      plan_reservation(s, n.cseq);
    }
  }
  return after;
}

}  // namespace presence
