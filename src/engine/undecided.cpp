// Watchers nobody decided about: they are remembered after their subscription ended, until somebody
// decides or options::waiting_limit is over (RFC 3857 "waiting"; M10, WIN-FSM-4..6).
#include "impl.hpp"

namespace presence {

undecided& engine::impl::plan_undecided(event_state& state, watcher_account& watcher, instant now) {
  if (undecided* known = table.find_undecided(state, watcher)) return *known;
  if (state.undecideds && state.undecideds->size() >= settings.limits.waiting_per_resource) {
    undecided*& first = plan.crowded_out;
    for (auto& [account, u] : *state.undecideds) {  // the oldest who waits gives up first
      if (u.pending == 0 &&
          (first == nullptr || std::pair{u.deadline, u.watcher->uri()} < std::pair{first->deadline, first->watcher->uri()}))
        first = &u;
    }
    if (first != nullptr) {
      plan_decided(state, *first->watcher);
      tell_waiting(*first, watcher_event::giveup);
    }
  }
  return table.obtain_undecided(state, watcher, now);
}

void engine::impl::plan_decided(const event_state& state, const watcher_account& watcher) {
  if (durable())
    plan.rows.ended_watchers.push_back({std::string{state.resource()}, state.package->name, std::string{watcher.uri()}});
}

void engine::impl::plan_answered(subscription& s) {
  s.answered = true;
  if (const undecided* u = table.find_undecided(*s.state, *s.watcher)) plan.departures.add(*u, true);
}

void engine::impl::plan_answered_rows() {
  using departure = departures::departure;
  const auto before = [](const departure& a, const departure& b) { return std::less<>{}(a.who, b.who); };
  auto& all = plan.departures.all();
  std::stable_sort(all.begin(), all.end(), before);
  for (auto first = all.begin(); first != all.end();) {
    const auto last = std::upper_bound(first, all.end(), *first, before);
    const undecided& u = *first->who;
    if (last - first == u.pending && std::prev(last)->answered) {  // none is left, and he does not wait
      const auto undecided_before = [&](const watcher_row& row) {
        return row.watcher == u.watcher->uri() && row.resource == u.state->resource() && row.event == u.state->package->name;
      };
      if (std::any_of(first, last, [](const departure& d) { return !d.answered; }))
        std::erase_if(plan.rows.watchers, undecided_before);
      plan_decided(*u.state, *u.watcher);
    }
    first = last;
  }
  plan.departures.shorten(0);
}

end_reason engine::impl::plan_last_decision(subscription& s, instant now) {
  if (s.stands != standing::pending) {
    tell_end(s, end_reason::timeout);
    return end_reason::timeout;
  }
  sub_handling handling = sub_handling::confirm;
  const bool answered = answered_by_package("a package cannot decide about a watcher whose subscription ends", [&] {
    const identity who = identity_of(s.watcher->uri(), s.watcher->uri() != anonymous_watcher, s.dialog.also());
    handling = ask(about(*s.state->package, s.state->resource(), now), who).handling;
  });
  if (answered && handling != sub_handling::confirm) {
    plan_answered(s);
    tell_answered(s, handling);
  } else if (settings.pending_limit > seconds{0} && now >= s.since + settings.pending_limit) {
    plan_answered(s);
    tell_end(s, end_reason::giveup);
    return end_reason::giveup;
  } else {
    s.answered = false;
    const undecided* known = table.find_undecided(*s.state, *s.watcher);
    if (known != nullptr) plan.departures.add(*known, false);
    const bool last = known == nullptr || known->pending <= plan.departures.count_of(*known);
    // one entry a watcher waits with, whatever he tried (WIN-FSM-4): the last pending one
    tell_end(s, last ? end_reason::timeout : end_reason::giveup);
    instant since = now;
    if (!last) {  // he does not wait before the last one ends
      for (const auto index : s.state->watchers) {
        if (index == slab<subscription>::none) continue;
        const subscription& u = table.subscriptions()[index];
        if (&u != &s && u.watcher == s.watcher && u.stands == standing::pending) since = std::max(since, u.deadline);
      }
    }
    plan_undecided_row(s, watcher_id(s), since);
  }
  return end_reason::timeout;
}

void engine::impl::plan_undecided_row(const subscription& s, std::uint64_t id, instant since) {
  if (durable()) plan.rows.watchers.push_back(row_of(*s.state, *s.watcher, id != 0 ? id : watcher_id(s), s.dialog.also(), since));
}

watcher_row engine::impl::row_of(const event_state& state, const watcher_account& watcher, std::uint64_t id,
                                 std::string_view also, instant since) {
  std::string known_by = id_text(id);
  if (!also.empty()) (known_by += ' ') += also;
  return {.resource = std::string{state.resource()},
          .event = state.package->name,
          .watcher = std::string{watcher.uri()},
          .status = watcher_status::pending,
          .reason = std::move(known_by),
          .since = since};
}

watcher_row engine::impl::row_of(const undecided& u) const {
  if (u.pending == 0) return row_of(*u.state, *u.watcher, u.id, u.named.also(), u.deadline - settings.waiting_limit);
  const subscription* last = nullptr;  // that of his whose row was written last
  for (const auto index : u.state->watchers) {
    if (index == slab<subscription>::none) continue;
    const subscription& s = table.subscriptions()[index];
    if (s.watcher == u.watcher && s.stands == standing::pending && (last == nullptr || last->deadline <= s.deadline)) last = &s;
  }
  return row_of(*u.state, *u.watcher, u.id != 0 ? u.id : watcher_id(*last), last->dialog.also(), last->deadline);
}

void engine::impl::pending_began(undecided& u) noexcept {
  ++u.pending;
  table.set_pending(u);
}

void engine::impl::pending_ended(event_state& state, watcher_account& watcher, instant now) noexcept {
  undecided* u = table.find_undecided(state, watcher);
  if (u != nullptr && u->pending != 0 && --u->pending == 0)
    table.set_waiting(*u, now + settings.waiting_limit);
}

void engine::impl::pending_decided(event_state& state, watcher_account& watcher) noexcept {
  undecided* u = table.find_undecided(state, watcher);
  if (u != nullptr && u->pending != 0 && --u->pending == 0) table.erase(*u);
}

void engine::impl::commit_crowded_out() noexcept {
  if (plan.crowded_out != nullptr) table.erase(*plan.crowded_out);
  plan.crowded_out = nullptr;
}

void engine::impl::settle(undecided& u) noexcept {
  if (u.pending == 0 && !timer_wheel<undecided>::contains(u)) table.erase(u);
}

void engine::impl::commit_end(subscription& s, instant now) noexcept {
  event_state& state = *s.state;
  if (grouping) remember_untold(s);
  if (s.stands == standing::pending) {
    if (s.answered) {
      pending_decided(state, *s.watcher);
    } else {
      if (undecided* u = table.find_undecided(state, *s.watcher)) {
        u->id = watcher_id(s);
        u->since = s.since;
        u->ended_in(s.dialog);
      }
      pending_ended(state, *s.watcher, now);
    }
  }
  missed.forget(s.self);
  table.erase(s);
}

}  // namespace presence
