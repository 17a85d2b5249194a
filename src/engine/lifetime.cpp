// Time and persistence: what is due, what a restart finds, what a clean end writes.
#include "impl.hpp"

namespace presence {

std::optional<instant> engine::impl::next_deadline() const noexcept {
  if (passive()) return std::nullopt;
  auto soonest = table.next_deadline();
  if (soonest && rate.reached() && *soonest < rate.second_ends()) soonest = rate.second_ends();
  if (durable() && settings.clean_period > seconds{0} && next_sweep != instant{} && (!soonest || next_sweep < *soonest))
    soonest = next_sweep;
  if (held_back && held_back->held_back() != 0 && settings.db_update_period > seconds{0} && (!soonest || next_flush < *soonest))
    soonest = next_flush;
  if (!debts.now.empty() && (!soonest || clock < *soonest)) soonest = clock;
  if (const auto due = debts.next_due(); due && (!soonest || *due < *soonest)) soonest = due;
  if (looks_up() && !packages.empty() && (!soonest || next_look < *soonest)) soonest = next_look;
  if ((!lost.empty() || unanswered) && (!soonest || clock < *soonest)) soonest = clock;
  const instant paying = rate.reached() ? rate.second_ends() : clock;
  if (!debts.away.empty() && (!soonest || paying < *soonest)) soonest = paying;
  if (soonest && *soonest < blocked_until) soonest = blocked_until;
  return soonest;
}

void engine::impl::advance(instant now, std::size_t budget, effects& out) {
  if (now < blocked_until) return;
  if (unanswered && !settle()) require_settled();
  read_again();
  end_unusable();
  if (durable() && settings.clean_period > seconds{0} && now >= next_sweep) {
    next_sweep = now + settings.clean_period;
    sweep(now);
  }
  if (held_back && held_back->held_back() != 0 && settings.db_update_period > seconds{0} && now >= next_flush) {
    const bool written = write_back();
    out.more = written && held_back->held_back() != 0;
    next_flush = !written ? now + settings.retry_after : out.more ? now : now + settings.db_update_period;
  }
  struct lapsed_state {
    event_state* state;
    lapse due;
  };
  // taken out of the wheels while planned; put back if the change cannot be stored
  struct slice {
    state_table& table;
    presence::debts& debts;
    instant now;
    std::vector<lapsed_state> states;
    std::vector<publication*> publications;
    std::vector<subscription*> subscriptions;
    std::vector<undecided*> undecideds;
    std::vector<ruled*> rules;
    std::optional<std::vector<notify_id>> unpaid = {};  // before any was paid
    bool kept = false;
    ~slice() {
      if (kept) return;
      if (unpaid) debts.now = *std::move(unpaid);
      for (auto* r : rules) table.recheck(*r->state, now);  // planning may have set the next moment already
      for (auto* p : publications) table.publication_timers().insert(*p);
      for (auto* s : subscriptions) table.subscription_timers().insert(*s);
      for (auto* u : undecideds) table.undecided_timers().insert(*u);
    }
  } taken{table, debts, now, {}, {}, {}, {}, {}};
  std::size_t paid = 0;  // debts
  const auto count = [&] {
    return taken.publications.size() + taken.subscriptions.size() + taken.undecideds.size() + taken.rules.size() + paid;
  };
  const auto spent = [&] { return count() >= budget; };
  const bool at_a_rate = rate.limits() && budget != unlimited;
  if (at_a_rate) {
    rate.begin(now);
    budget = std::min(budget, rate.left());
  }
  if (shared()) budget = std::min(budget, most_shared);

  const bool all_found = budget == 0 || find_due(now, budget);
  std::size_t looks = budget;  // at deadlines that were moved since
  // a sphere that changes is decided about with the change for other packages, too: one state of a resource at a time
  const bool one_each = shared() && settings.enable_sphere_check;
  std::set<std::string_view> resources;
  std::vector<publication*> put_off;
  while (!spent()) {
    publication* p = table.publication_timers().take_due(now, looks);
    if (p == nullptr) break;
    event_state& state = *p->state;
    if (one_each && !resources.insert(state.resource()).second) {
      put_off.push_back(p);
      continue;
    }
    taken.publications.push_back(p);
    for (const auto& other : state.publications) {  // many at one instant: one NOTIFY (PUB-EXP-3)
      if (other.get() == p || other->deadline > now) continue;
      timer_wheel<publication>::remove(*other);
      taken.publications.push_back(other.get());
    }
    const planned_change::mark before = plan.reached(out);
    const bool told = answered_by_package("a package cannot compose what is left of a state", [&] {
      lapse due = plan_lapse(state, now);
      plan_lapse_told(state, due, nullptr, now, out);
      taken.states.push_back({&state, std::move(due)});
    });
    if (told) continue;
    drop_since(before, out);
    while (!taken.publications.empty() && taken.publications.back()->state == &state) {
      table.publication_timers().insert(*taken.publications.back(), now + settings.retry_after);
      taken.publications.pop_back();
    }
  }
  for (publication* p : put_off) table.publication_timers().insert(*p);
  while (!spent()) {
    subscription* s = table.subscription_timers().take_due(now, looks);
    if (s == nullptr) break;
    if (!wanted_at(now).is_due(s->deadline, s->dialog.owner())) continue;  // it is left to its owner
    taken.subscriptions.push_back(s);
    plan_end(*s, plan_last_decision(*s, now), {}, out);  // no body: nothing is owed to who let it lapse (N07)
  }
  while (!spent()) {
    undecided* u = table.undecided_timers().take_due(now, looks);
    if (u == nullptr) break;
    taken.undecideds.push_back(u);
    plan_decided(*u->state, *u->watcher);
    tell_waiting(*u, watcher_event::giveup);
  }
  std::vector<undecided*> decided;
  // rules that change with time, in a slice of their own: whoever ends or begins to wait does so first, also who was not
  // come to for want of looks
  while (looks != 0 && taken.publications.empty() && taken.subscriptions.empty() && taken.undecideds.empty() && !spent()) {
    ruled* r = table.rules_timers().take_due(now, looks);
    if (r == nullptr) break;
    event_state& state = *r->state;
    if (looks_up()) plan.noted.push_back(&state);
    taken.rules.push_back(r);
    const planned_change::mark before = plan.reached(out);
    const std::size_t decided_before = decided.size();
    const bool answered = answered_by_package("a package cannot decide about the watchers of a state", [&] {
      const question asked = about(*state.package, state.resource(), now);
      lapse due;
      due.after = plan_decisions(state, present(state), nullptr, asked, {}, nullptr, out);
      plan_decided_waiting(state, asked, decided);
      taken.states.push_back({&state, std::move(due)});
    });
    if (answered) continue;
    drop_since(before, out);
    decided.resize(decided_before);
    taken.rules.pop_back();
    if (timer_wheel<ruled>::contains(*r)) timer_wheel<ruled>::remove(*r);
    table.rules_timers().insert(*r, now + settings.retry_after);
  }
  debts.take_due(now);
  taken.unpaid = debts.now;
  paid = std::min(debts.away.size(), budget - std::min(budget, count()));
  take_up_debts(paid);
  plan_unpaid(now, count() != 0, out);
  std::vector<event_state*> touched;
  touched.reserve(taken.states.size() + taken.subscriptions.size() + taken.undecideds.size() + plan.turned.size());
  for (const planned_change::turn& t : plan.turned)
    if (t.ends != end_reason::none) touched.push_back(t.s->state);
  if (!store(out, now)) {
    if (outrun) most_shared = std::max<std::size_t>(count() / 8, 1);
    return;
  }
  most_shared = most_shared > unlimited / 2 ? unlimited : 2 * most_shared;

  taken.kept = true;
  if (at_a_rate) rate.add(count());
  const bool flushing = out.more;
  commit_notifies(out);
  for (auto& [state, due] : taken.states) {
    commit_lapse(*state, due, now);
    touched.push_back(state);
  }
  for (subscription* s : taken.subscriptions) {
    ++counters.expired_subscriptions;
    touched.push_back(s->state);
    commit_end(*s, now);
  }
  for (undecided* u : taken.undecideds) {
    touched.push_back(u->state);
    table.erase(*u);
  }
  for (undecided* u : decided) table.erase(*u);
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (event_state* state : touched) {
    uses(*state, traced_operation::notify);
    table.release_if_idle(*state);
  }
  const auto next = table.next_deadline();
  const bool left = next && *next <= now;
  out.more = out.more || left;
  if (!all_found && (left || count() != 0 || !plan.rows.states.empty())) {  // the last: of what was found nothing was left
    next_look = now;
    out.more = true;
  }
  if (out.more && shared()) next_look = now;  // what is left has to be found again
  out.more = out.more || !debts.away.empty();
  if (!at_a_rate || !rate.reached()) return;
  out.more = flushing;
  next_look = std::max(next_look, rate.second_ends());
}

void engine::impl::plan_unpaid(instant now, bool goes_on, effects& out) {
  for (const notify_id& id : std::exchange(debts.now, {})) {
    subscription* s = table.find(id);
    if (s == nullptr || !s->owes || s->in_flight || !s->lasts(now)) continue;
    const auto told = [&](const notify& n) { return n.id.slot == id.slot && n.id.generation == id.generation; };
    if (std::any_of(out.notifies.begin(), out.notifies.end(), told)) continue;
    if (decisions_due(*s->state, now)) {
      const auto next = table.next_deadline();
      if (goes_on || (next && *next <= now)) debts.now.push_back(id);
      else debts.put_off(id, now + settings.retry_after);  // a package has failed, and is asked again then
      continue;
    }
    if (too_soon(*s, now)) {
      debts.put_off(id, now + settings.notify_interval - since_told(*s, now));
      continue;
    }
    const bool paid = answered_by_package("a package cannot compose what a watcher is owed", [&] {
      const edit without_lapsed;
      const picture real = table.lapsed(*s->state, now) ? compose(*s->state, &without_lapsed, now) : present(*s->state, s);
      plan_present(*s, *s->state, real, now, out);
    });
    if (paid || !shared()) continue;  // else the next change or refresh pays the debt
    debts.failed.push_back({now + settings.retry_after, {sent::in(*s), missed.take(s->self)}});
    s->owes = false;
  }
}

void engine::impl::sweep(instant now) {
  if (packages.empty()) return;  // whose rows they are is not known yet (L05)
  // where several engines share the rows, one that serves the package may be about to tell their end
  const seconds grace = shared() ? std::max(settings.clean_period, settings.owner_grace + seconds{60}) : seconds{0};
  const auto swept = rows->sweep(now - grace, packages.names());
  if (!swept) note_fault(swept.error().text, log_level::warning);
}

void engine::impl::end_unusable() {
  if (unusable.ended_subscriptions.empty() && unusable.ended_watchers.empty()) return;
  const change over = std::exchange(unusable, {});
  if (const auto ended = rows->apply(over); !ended) note_fault(ended.error().text, log_level::warning);
}

bool engine::impl::write_back() {
  const auto written = rows->flush(page_rows);
  if (!written) note_fault(written.error().text);
  return written.has_value();
}

std::unique_ptr<publication> engine::impl::publication_of(publication_row row, const event_package& package) {
  auto p = table.make_publication();
  p->etag = std::move(row.etag);
  p->id = row.id != 0 ? row.id : last_id + 1;
  p->deadline = row.expires;
  p->set_sender(row.sender);
  if (!row.publisher.empty()) p->set_publisher(table.share_of(row.publisher));
  p->since = row.since;
  p->arrival = first_arrival(row.since) + row.nth;
  last_arrival = std::max(last_arrival, p->arrival);
  if (has_control(row.content.content_type())) {
    log(log_level::warning, "a stored document has no media type and is left out of " + row.resource);
    row.content = {};
  }
  if (package.check_publish && row.content) {
    auto checked =
        package.check_publish({row.resource, row.content, p->sender(), settings.limits, nullptr, package.has_views(), true});
    if (checked) {
      p->parsed = *std::move(checked);
      if (p->parsed) p->kept = p->parsed->kept().value_or(0);
    } else {  // one document that cannot be read must not hide the others
      log(log_level::warning, "a stored document cannot be read and is left out of " + row.resource);
    }
  }
  p->content = std::move(row.content);
  last_id = std::max(last_id, p->id);
  return p;
}

bool engine::impl::reload(std::string_view resource, const event_package& package, instant now, effects& out) {
  require_settled();
  event_state* state = table.find(resource, package);
  if (!stores_publications()) {
    if (state != nullptr) remember(*state, {});
    return true;
  }
  if (partial() && state == nullptr) {
    find_state(resource, package);
    return true;
  }
  std::vector<publication_row> found;
  for (cursor at; !at.done;) {
    if (auto read = rows->publications({package.name, resource}, at, page_rows, found); !read) {
      note_fault(read.error().text);
      out.storage_failed = true;
      blocked_until = now + settings.retry_after;
      return false;
    }
  }
  if (state == nullptr && found.empty()) return true;
  std::vector<std::unique_ptr<publication>> read;
  for (publication_row& row : found) read.push_back(publication_of(std::move(row), package));
  state = &table.obtain(resource, package);
  state->publications.reserve(read.size());
  while (!state->publications.empty()) table.erase(*state->publications.back());
  for (auto& p : read) table.insert(*state, std::move(p));
  remember(*state, {});
  table.release_if_idle(*state);
  return true;
}

void engine::impl::forget(const event_package& package) noexcept {
  auto& states = table.states();
  for (slab<event_state>::index i = 0; i < states.end(); ++i)
    if (states.live(i) && states[i].package == &package) drop(states[i]);
}

void engine::impl::drop_contents(event_state& state) noexcept {
  while (!state.publications.empty()) table.erase(*state.publications.back());
  while (state.undecideds && !state.undecideds->empty()) table.erase(state.undecideds->begin()->second);
}

result<void, std::string> engine::impl::restore(const event_package& package, instant now) try {
  if (looks_up()) {
    const auto marks = rows->mark("sip:nobody@invalid", package.name);  // what is needed later is missed at once
    if (!marks && marks.error().fault == storage_fault::corrupt) throw unreadable{marks.error()};
    return {};
  }
  read({.event = package.name}, package, now);
  auto& states = table.states();
  for (slab<event_state>::index i = 0; i < states.end(); ++i)
    if (states.live(i) && states[i].package == &package) reconsider_restored(states[i], now);
  if (keeping) keeping->settle(now);
  return {};
} catch (const unreadable& e) {
  ++counters.storage_faults;
  return unexpected{std::string{"the storage cannot be read: "} + e.what()};
}

result<void, std::string> engine::impl::flush() try {
  if (!durable()) return {};
  if (const auto settled = settle(); !settled) return unexpected{settled.error().text};
  auto& all = table.subscriptions();
  const auto used = [](const subscription& s) { return s.shared != nullptr ? s.shared->local_cseq : s.local_cseq; };
  call_answers = false;
  for (slab<subscription>::index i = 0; i < all.end();) {
    plan.rows = {};
    const auto first = i;
    for (; i < all.end() && plan.rows.reservations.size() < page_rows; ++i) {
      if (!all.live(i)) continue;
      const event_package& package = *all[i].state->package;
      const bool versioned = package.versioned || package.tailor;
      if (flush_failed || versioned || all[i].shared != nullptr || all[i].cseq_ceiling > used(all[i]))
        plan.rows.reservations.push_back({key_of(all[i]), used(all[i]), all[i].version});
    }
    effects out;
    const bool written = store(out, clock);
    for (auto k = first; k < i; ++k)  // also if it may have been written: what is used next is reserved first
      if (all.live(k)) all[k].cseq_ceiling = used(all[k]);
    flush_failed = flush_failed || !written;
    if (!written) return unexpected{std::string{"the storage failed: see the log"}};
  }
  flush_failed = false;
  plan.rows = {};
  while (held_back && held_back->held_back() != 0)
    if (!write_back()) return unexpected{std::string{"the storage failed: see the log"}};
  return {};
} catch (const std::bad_alloc&) {
  throw;
} catch (...) {
  return unexpected{std::string{"the storage threw"}};
}

}  // namespace presence
