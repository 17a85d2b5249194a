// What a state looks like to whom (views), and what follows when rules, sphere or time change that.
#include "impl.hpp"

namespace presence {

// --- pictures: a state's documents at one moment ---------------------------------------------------

void engine::impl::gather(const event_state& state, const edit* what, instant now, bool only_hard) {
  offered.clear();
  const auto offer = [&](const publication& p, bool leaving, bool arriving) {
    if (leaving && !state.package->tells_leaving) return;
    offered.push_back({.etag = p.etag,
                       .content = p.content,
                       .parsed = p.parsed.get(),
                       .sender = p.sender(),
                       .id = p.id,
                       .since = p.since,
                       .arrival = p.hard() ? 0 : p.arrival,
                       .leaving = leaving,
                       .arriving = arriving});
  };
  const publication* const target = what != nullptr ? what->target : nullptr;
  const publication* const incoming = what != nullptr ? what->incoming : nullptr;
  for (const bool hard : {true, false}) {  // hard state counts as having arrived before anything else
    if (only_hard && !hard) continue;
    for (const auto& p : state.publications) {
      if (p->hard() != hard) continue;
      const bool replaced = p.get() == target && incoming != nullptr;
      offer(replaced ? *incoming : *p, !replaced && what != nullptr && (p.get() == target || p->deadline <= now), replaced);
    }
    if (incoming != nullptr && target == nullptr && incoming->hard() == hard) offer(*incoming, false, true);
  }
}

std::vector<published> engine::impl::staying() const {
  std::vector<published> all;
  for (const published& p : offered)
    if (!p.leaving) all.push_back(p);
  return all;
}

bool as_pres(const subscription& s) noexcept {
  return s.state->package->names_as_subscribed && s.dialog.local_uri().size() > 5 &&
         iequals(s.dialog.local_uri().substr(0, 5), "pres:");
}

std::string entity_of(const event_state& state, bool as_pres) {
  return entity_for(state.resource(), as_pres ? "pres:" : "");
}

body neutral(const event_state& state, bool as_pres) {
  return state.package->neutral ? state.package->neutral(entity_of(state, as_pres)) : body{};
}

body engine::impl::compose_whole(const event_state& state, std::string_view entity, instant now) {
  const event_package& package = *state.package;
  if (!package.watched.empty()) return watcher_information(state, nullptr, now);
  if (package.aggregate && !offered.empty()) return package.aggregate(entity, offered);
  const published* newest = nullptr;
  for (const published& p : offered) {
    if (!p.leaving && p.content && (newest == nullptr || p.arrival >= newest->arrival)) newest = &p;
  }
  if (newest != nullptr) return newest->content;
  return package.neutral ? package.neutral(entity) : body{};
}

body engine::impl::show(const event_state& state, const body& whole, const shown_view& one, instant now) {
  const std::string renamed = one.as_pres ? entity_of(state, true) : std::string{};
  const std::string_view entity = one.as_pres ? std::string_view{renamed} : state.resource();
  const body all = one.as_pres ? compose_whole(state, entity, now) : whole;
  const event_package& package = *state.package;
  return one.what && package.authorize_body ? package.authorize_body(all, entity, offered, *one.what) : all;
}

documents engine::impl::composed(const event_state& state, instant now, const subscription* reader) {
  documents all;
  all.whole = compose_whole(state, state.resource(), now);
  if (!state.rules) return all;
  for (const shown_view& one : state.rules->views) {
    const bool wanted = one.users != 0 && (reader == nullptr || reader->view == all.views.size() + 1);
    all.views.push_back(wanted ? show(state, all.whole, one, now) : body{});
  }
  return all;
}

void engine::impl::add_offline(picture& now_is, const event_state& state, const edit* what, instant now,
                               const subscription* reader) {
  const bool incoming = what != nullptr && what->incoming != nullptr && what->incoming->hard();
  if (!incoming && state.hard == 0) return;
  gather(state, what, now, true);
  if (!offered.empty()) now_is.offline = composed(state, now, reader);
}

picture engine::impl::compose(const event_state& state, const edit* what, instant now) {
  gather(state, what, now);
  picture p{composed(state, now)};
  add_offline(p, state, what, now);
  return p;
}

picture engine::impl::present(event_state& state, const subscription* reader) {
  if (!state.package->watched.empty()) return {};  // watcher information is made when it is told
  picture p;
  bool gathered = !state.current;
  if (gathered) {
    gather(state, nullptr, clock);
    state.current = compose_whole(state, state.resource(), clock);
  }
  p.whole = state.current;
  if (state.rules) {
    for (shown_view& one : state.rules->views) {
      const bool kept = p.views.size() < settings.limits.views_kept;
      body& seen = p.views.emplace_back(one.current);
      if (one.users == 0 || seen || !(kept || reader == nullptr || reader->view == p.views.size())) continue;
      if (!std::exchange(gathered, true)) gather(state, nullptr, clock);
      seen = show(state, p.whole, one, clock);
      if (kept) one.current = seen;
    }
  }
  add_offline(p, state, nullptr, clock, reader);
  return p;
}

void engine::impl::remember(event_state& state, picture&& now_is) noexcept {
  state.current = std::move(now_is.whole);
  if (!state.rules) return;
  auto& views = state.rules->views;
  for (std::size_t i = 0; i < views.size(); ++i)
    views[i].current = i < std::min(now_is.views.size(), settings.limits.views_kept) && views[i].users != 0
                           ? std::move(now_is.views[i])
                           : body{};
}

// --- asking the rules --------------------------------------------------------------------------------

told_sphere engine::impl::sphere_of(std::string_view resource, instant now, bool before) {
  const registered_package* registered = packages.named("presence");
  if (registered == nullptr || !registered->package.sphere) return {};
  const event_state* state = find_state(resource, registered->package);
  if (state == nullptr) return {};
  std::vector<published> live;
  for (const auto& p : state->publications) {
    if (before || p->deadline > now)
      live.push_back({p->etag, p->content, p->parsed.get(), p->sender(), p->id, p->since, p->arrival, false});
  }
  return registered->package.sphere(live, now);
}

question engine::impl::about(const event_package& package, std::string_view resource, instant now,
                                           told_sphere sphere) const {
  question q{package, resource, now, std::move(sphere)};
  if (package.req_auth && package.rules_document && !settings.force_active) q.rules = package.rules_document(resource);
  return q;
}

question engine::impl::about(const event_package& package, std::string_view resource, instant now) {
  return about(package, resource, now, settings.enable_sphere_check ? sphere_of(resource, now) : told_sphere{});
}

authorization engine::impl::ask(const question& what, const identity& who) const {
  if (!what.package.req_auth || (settings.force_active && what.package.rules_document)) return sub_handling::allow;
  const auto& sphere = what.sphere.value;
  authorization answer = what.package.authorize({what.resource, what.package.name, who, what.rules ? &*what.rules : nullptr,
                                                 what.now, sphere ? std::optional<std::string_view>{*sphere} : std::nullopt});
  if (answer.by_sphere && what.sphere.until) answer.until = std::min(answer.until.value_or(never), *what.sphere.until);
  return answer;
}

authorization engine::impl::ask(const question& what, const subscription& s) const {
  authorization answer = ask(what, identity_of(s));
  answer.view = selected(s, s.dialog.remote_target(), std::move(answer.view));
  return answer;
}

std::shared_ptr<const view> selected(const subscription& s, std::string_view contact,
                                                   std::shared_ptr<const view> seen) {
  const event_package& package = *s.state->package;
  if (!package.select) return seen;
  const auto event = parse_event(s.dialog.event());
  if (!event) return seen;
  auto narrowed = package.select(*event, contact, seen);
  return narrowed ? *std::move(narrowed) : seen;
}

bool engine::impl::decisions_due(const event_state& state, instant now) {
  if (turned(state, now)) return true;
  const registered_package* registered = looks_at_sphere(state) ? packages.named("presence") : nullptr;
  if (registered == nullptr) return false;
  // elsewhere what is about to lapse is in memory
  event_state* told_by = bounded() ? find_state(state.resource(), registered->package)
                                   : table.find(state.resource(), registered->package);
  if (told_by == nullptr || !table.lapsed(*told_by, now)) return false;
  bool changed = true;  // who cannot be decided about is told nothing
  static_cast<void>(answered_by_package("a package cannot tell the sphere", [&] {
    changed = sphere_of(state.resource(), now, true).value != sphere_of(state.resource(), now).value;
  }));
  return changed;
}

void engine::impl::note(event_state& state, instant when) {
  table.recheck(state, when);
  if (looks_up()) plan.noted.push_back(&state);
}

void engine::impl::note(event_state& state, const authorization& answer) {
  if (answer.until) note(state, *answer.until);
  if (!answer.by_sphere || (state.rules && state.rules->by_sphere)) return;
  if (!state.rules) {
    state.rules = std::make_unique<ruled>();
    state.rules->state = &state;
  }
  state.rules->by_sphere = true;
}

// --- a watcher's standing and view change ------------------------------------------------------------

void engine::impl::plan_turn(subscription& s, standing stands, std::shared_ptr<const view> what) {
  if (plan.turned.size() == plan.turned.capacity()) plan.turned.reserve(2 * plan.turned.size() + 16);  // push_back must not throw
  const std::uint16_t number = stands != standing::pending ? table.hold_view(*s.state, std::move(what), as_pres(s)) : 0;
  plan.turned.push_back({&s, s.stands, s.view, end_reason::none});
  s.approved = s.approved || (s.stands == standing::pending && stands != standing::pending);
  s.stands = stands;
  s.view = number;
}

void engine::impl::plan_end_turn(subscription& s, end_reason reason, effects& out) {
  plan.turned.push_back({&s, s.stands, s.view, reason});
  tell_end(s, removal(s, reason));
  plan_removed(s, reason, out);
}

notify& engine::impl::plan_last(subscription& s, body content, effects& out) {
  plan.turned.push_back({&s, s.stands, s.view, end_reason::noresource});
  tell_end(s, end_reason::noresource);
  return plan_end(s, end_reason::noresource, std::move(content), out);
}

void engine::impl::commit_turns(instant now) noexcept {
  for (const planned_change::turn& t : plan.turned) {
    subscription& s = *t.s;
    event_state& state = *s.state;
    if (t.ends != end_reason::none) {
      commit_end(s, now);
      continue;
    }
    table.drop_view(state, t.view);
    if (t.before == standing::pending && s.stands != standing::pending) pending_decided(state, *s.watcher);
  }
  plan.turned.clear();
}

void engine::impl::roll_back_turns(std::size_t to) noexcept {
  while (plan.turned.size() > to) {
    const planned_change::turn& t = plan.turned.back();
    if (t.ends == end_reason::none) {
      table.drop_view(*t.s->state, t.s->view);
      if (t.before == standing::pending) t.s->approved = false;
      t.s->stands = t.before;
      t.s->view = t.view;
    }
    plan.turned.pop_back();
  }
}

void engine::impl::drop_since(const planned_change::mark& m, effects& out) noexcept {
  roll_back_turns(m.turned);
  plan.drop_since(m, out);
}

// --- telling ------------------------------------------------------------------------------------------

void engine::impl::plan_told(event_state& state, const picture& before, picture& after, const edit* what,
                             std::string_view sender, const subscription* except, instant now, effects& out) {
  const auto decide = [&](const question& asked) {  // nobody is told what he may not see any more
    after = plan_decisions(state, before, what, asked, sender, except, out);
  };
  if (state.package->sphere && looks_at_sphere(state)) {
    gather(state, nullptr, now);
    const auto was = state.package->sphere(offered, now);
    gather(state, what, now);
    told_sphere is = state.package->sphere(staying(), now);
    if (is.until) note(state, *is.until);
    if (was.value != is.value || turned(state, now)) return decide(about(*state.package, state.resource(), now, std::move(is)));
  } else if (decisions_due(state, now)) {
    return decide(about(*state.package, state.resource(), now));
  }
  if (differ(before, after)) plan_fan_out(state, before, after, sender, except, now, out);
}

picture engine::impl::plan_decisions(event_state& state, const picture& before, const edit* what,
                                                   const question& asked, std::string_view sender,
                                                   const subscription* except, effects& out) {
  const instant now = asked.now;
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
    if (&s == except || (!asked.only.empty() && s.watcher->uri() != asked.only)) continue;
    authorization answer = ask(asked, s);
    note(state, answer);
    const reconsidered verdict = reconsider(s.stands, answer.handling);
    if (!s.lasts(now)) continue;  // he is not told any more
    all.push_back({&s, verdict, s.stands, before.of(s)});
    if (s.stands == standing::pending && verdict.notify) plan_answered(s);
    // one who ends keeps what he has until that is stored
    if (verdict.ends == end_reason::none) plan_turn(s, verdict.now, std::move(answer.view));
  }
  // from now on they have seen what was decided; who waits has not been decided about. Where nothing stays, the next call
  // takes them to have seen what was decided before that moment.
  if (asked.only.empty() && turned(state, now)) table.rules_timers().move(*state.rules, shared() ? now + milliseconds{1} : now);
  picture after = what != nullptr ? compose(state, what, now) : present(state);
  for (decided& d : all) {
    subscription& s = *d.s;
    if (d.verdict.ends != end_reason::none) {
      plan_end_turn(s, d.verdict.ends, out);
      continue;
    }
    if (is_last(after.of(s)) && s.stands != standing::pending) {
      plan_last(s, content_for(s, state, after, false), out);
      continue;
    }
    const bool turns = d.before != s.stands;
    if (d.before == standing::active && s.stands == standing::polite && too_soon(s, now)) {  // as real absence would be told
      plan_changed(s, s.shared != nullptr ? s.shared->local_cseq : s.local_cseq);
      must_wait(s, now);
      continue;
    }
    if (turns && d.before == standing::pending) tell(s, watcher_event::approved);
    if (!turns) {
      if (s.stands == standing::pending || (!asked.tells_all && same_meaning(d.seen, after.of(s)))) continue;
      if (is_own_word(s, after, sender)) {
        s.unsure = true;
        continue;
      }
      if (must_wait(s, now)) continue;
    }
    const notify& n = plan_notify(s, content_for(s, state, after, false), now, out);
    if (turns) {
      if (s.shared != nullptr) plan_reservation(s, n);
      plan_changed(s, n.cseq, static_cast<bool>(n.content));
    } else {
      plan_reservation(s, n);
    }
  }
  return after;
}

}  // namespace presence
