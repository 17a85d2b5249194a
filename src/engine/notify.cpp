// NOTIFYs: what a watcher gets to see, who is told of a change, and what an answer means.
#include <presence/notify_outcome.hpp>

#include "impl.hpp"

namespace presence {

namespace {

/// A watcher who has nothing left to live for gets only his last NOTIFY (M04).
bool hears_of_changes(const subscription& s, instant now) noexcept {
  return s.stands != standing::pending && s.lasts(now);
}

}  // namespace

body engine::impl::content_for(const subscription& s, const event_state& state, const picture& real, bool full) {
  if (s.stands == standing::pending) return {};  // nothing that depends on real state (PRS-6.7-3)
  const event_package& package = *state.package;
  if (!package.watched.empty()) return watcher_information(state, &s, clock);
  body seen = real.of(s);
  // from the same generator as the document of somebody who published nothing (SEC-LEAK-2)
  if (s.view == state_table::no_view || (s.stands == standing::polite && !seen))
    seen = neutral(state, as_pres(s));
  if (!seen) return seen;
  if (package.tailor) {
    if (auto tailored = package.tailor(seen, {state.resource(), s.dialog, s.version, full})) return *std::move(tailored);
  }
  return seen;
}

void engine::impl::plan_present(subscription& s, event_state& state, const picture& real, instant now, effects& out) {
  body content = content_for(s, state, real, false);
  if (s.stands != standing::pending && is_last(real.of(s))) {
    plan_last(s, std::move(content), out);
    return;
  }
  const notify& n = plan_notify(s, std::move(content), now, out);
  plan_reservation(s, n);
}

bool is_own_word(const subscription& s, const picture& shown, std::string_view sender) noexcept {
  if (sender.empty() || s.dialog.remote_target() != sender) return false;
  const parsed_document* outline = shown.of(s).outline();
  return outline == nullptr || outline->sender().value_or(sender) == sender;
}

std::uint32_t engine::impl::next_cseq(const subscription& s) const noexcept {
  if (s.shared == nullptr) return s.local_cseq + 1;
  return ++s.shared->local_cseq;  // a dialog's usages draw from one counter; a gap is legal
}

notify& engine::impl::plan_notify(const subscription& s, body content, instant now, effects& out) {
  notify& n = out.notifies.emplace_back();
  n.cseq = next_cseq(s);
  n.id = table.id_of(s, n.cseq);
  n.dialog = s.dialog;
  n.state = s.stands == standing::pending ? subscription_state::pending : subscription_state::active;
  n.expires = static_cast<std::uint32_t>(whole_seconds(now, s.deadline).count());
  n.content = std::move(content);
  n.version = s.version;
  if (s.shared != nullptr && n.content) ++plan.documents[s.self];
  return n;
}

std::uint32_t engine::impl::version_after(const subscription& s) const noexcept {
  const auto planned = s.shared != nullptr ? plan.documents.find(s.self) : plan.documents.end();
  return s.version + (planned != plan.documents.end() ? planned->second : 0);
}

void engine::impl::plan_reservation(subscription& s, const notify& n) {
  if (!durable()) return;
  const std::uint32_t cseq = n.cseq;
  const auto reserve = [&](subscription& u) {
    if (&u != &s) looked_at(*u.state);
    // a usage that is not told now can be told one document less
    const std::uint32_t version = u.shared != nullptr ? version_after(u) : u.version + (n.content ? 1 : 0);
    if (cseq > u.cseq_ceiling)
      plan.rows.reservations.push_back({key_of(u), reserved_to(cseq), version + (settings.cseq_block - 1)});
    return true;
  };
  if (s.shared == nullptr) {
    reserve(s);
    return;
  }
  reserve_unserved(s, cseq);
  each_usage(s, reserve);  // any usage may be the one that is left after a crash, also the one that begins
  for (subscription_row& row : plan.rows.new_subscriptions) {
    if (cseq <= row.local_cseq || row.dialog.call_id() != s.dialog.call_id() || row.dialog.local_tag() != s.dialog.local_tag())
      continue;
    row.local_cseq = reserved_to(cseq);  // its document is counted already
  }
}

void engine::impl::reserve_unserved(const subscription& s, std::uint32_t cseq) {
  if (s.shared == nullptr || !s.shared->unserved || cseq <= s.shared->unserved_ceiling) return;
  subscription_key dialog = key_of(s);
  dialog.event.clear(), dialog.event_id.clear();
  plan.rows.reservations.push_back({std::move(dialog), reserved_to(cseq), 0});
}

void engine::impl::commit_reservation(subscription& s, std::uint32_t cseq) noexcept {
  const auto reserve = [&](subscription& u) {
    if (cseq > u.cseq_ceiling) u.cseq_ceiling = reserved_to(cseq);
    return true;
  };
  reserve(s);
  if (s.shared == nullptr) return;
  each_usage(s, reserve);
  if (cseq > s.shared->unserved_ceiling) s.shared->unserved_ceiling = reserved_to(cseq);
}

void engine::impl::plan_changed(const subscription& s, std::uint32_t cseq, bool tells) {
  if (!durable()) return;
  subscription_row row = row_of(s, *s.state, event_id_of(s));
  if (cseq > s.cseq_ceiling) {
    const std::uint32_t ceiling = reserved_to(std::max(cseq, row.local_cseq));
    row.version += ceiling - row.local_cseq;
    if (s.shared == nullptr && !tells) --row.version;  // it has a number and no document
    row.local_cseq = ceiling;
    if (held_back) plan.rows.reservations.push_back({key_of(s), row.local_cseq, row.version});
  }
  plan.rows.changed_subscriptions.push_back(std::move(row));
}

notify& engine::impl::plan_end(subscription& s, end_reason reason, body content, effects& out) {
  notify& n = out.notifies.emplace_back();
  n.cseq = next_cseq(s);
  n.id = table.id_of(s, n.cseq);
  n.dialog = s.dialog;
  n.state = subscription_state::terminated;
  n.reason = reason;
  n.content = std::move(content);
  n.version = s.version;
  if (durable()) plan.rows.ended_subscriptions.push_back(key_of(s));
  plan.usage_ends = s.shared != nullptr || plan.usage_ends;
  if (s.shared != nullptr || held_back) plan_reservation(s, n);
  return n;
}

notify& engine::impl::plan_removed(subscription& s, end_reason decided, effects& out) {
  notify& n = plan_end(s, removal(s, decided), {}, out);
  if (n.reason == end_reason::probation) n.retry_after = static_cast<std::uint32_t>(settings.removal_retry_after.count());
  return n;
}

bool engine::impl::must_wait(subscription& s, instant now) {
  if (!s.in_flight && !too_soon(s, now)) return false;
  plan.owing.push_back(&s);
  if (!s.in_flight) debts.reserve(plan.owing.size());
  return true;
}

void engine::impl::plan_fan_out(event_state& state, const picture& before, const picture& after,
                                std::string_view sender, const subscription* except, instant now, effects& out) {
  const event_package& package = *state.package;
  const auto& watchers = state.watchers;
  const std::size_t count = watchers.size();
  // what each view is told; nothing where it shows no change (PRS-6.7-2)
  struct told {
    bool changed = false;
    bool last = false;  // who sees it is ended with it
    body content;       // for who has the last document
  };
  const auto tell_view = [&](const body& was, const body& is, std::size_t view) {
    told t{!same_meaning(was, is), is_last(is), is};
    if (t.changed && package.difference && was && is) {
      if (auto partial = package.difference(entity_of(state, as_pres(state, view)), was, is)) t.content = *std::move(partial);
    }
    return t;
  };
  struct told_views {
    told whole;
    std::vector<told> views;
    const told& of(const subscription& s) const noexcept {
      static const told nothing;
      return s.view == 0 ? whole : s.view <= views.size() ? views[s.view - 1u] : nothing;
    }
  };
  const auto tell_all = [&](const documents& was, const documents& is, bool otherwise_neutral) {
    const auto tell = [&](std::size_t view) {
      const auto shown = [&](const documents& d, body& made) -> const body& {
        const body& one = view == 0 ? d.whole : view <= d.views.size() ? d.views[view - 1] : made;
        return one || !otherwise_neutral ? one : made = neutral(state, as_pres(state, view));
      };
      body made, made_too;
      return tell_view(shown(was, made), shown(is, made_too), view);
    };
    told_views all{tell(0), {}};
    for (std::size_t view = 1; view <= std::max(was.views.size(), is.views.size()); ++view) all.views.push_back(tell(view));
    return all;
  };
  const told_views real = tell_all(before, after, false);
  told_views offline;
  if (before.offline.whole || after.offline.whole)  // without hard state nothing but the neutral body
    offline = tell_all(before.offline, after.offline, true);
  constexpr std::size_t ahead = 8;
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count && watchers[i + ahead] != slab<subscription>::none)
      table.subscriptions().prefetch(watchers[i + ahead]);
    if (i + ahead / 2 < count && watchers[i + ahead / 2] != slab<subscription>::none)
      table.subscriptions()[watchers[i + ahead / 2]].dialog.prefetch();
    if (watchers[i] == slab<subscription>::none) continue;
    subscription& s = table.subscriptions()[watchers[i]];
    const told& t = s.stands == standing::polite ? offline.of(s) : real.of(s);
    if (!t.changed || !hears_of_changes(s, now) || &s == except) continue;
    if (!t.last && is_own_word(s, after, sender)) {  // P03
      s.unsure = true;  // he misses a document: the next is a full one
      continue;
    }
    if (!t.last && must_wait(s, now)) continue;
    const bool shared = !package.tailor && !s.unsure && !s.owes && t.content;
    body content = shared ? t.content : content_for(s, state, after, false);
    if (t.last) {
      plan_last(s, std::move(content), out);
      continue;
    }
    const notify& n = plan_notify(s, std::move(content), now, out);
    plan_reservation(s, n);
  }
}

bool engine::impl::store(effects& out, instant now) {
  plan_answered_rows();
  plan_watcher_information(now, out);
  if (!durable()) return true;
  mark_states();
  if (plan.rows.empty()) return true;
  if (plan.usage_ends) {  // usages of one dialog reserve for each other and change together, and may end together
    const std::set<subscription_key, less_key> all{plan.rows.ended_subscriptions.begin(), plan.rows.ended_subscriptions.end()};
    const auto ended = [&all](const subscription_key& k) { return all.contains(k); };
    std::erase_if(plan.rows.changed_subscriptions, [&](const subscription_row& r) { return ended(key_of(r)); });
    if (!held_back) std::erase_if(plan.rows.reservations, [&](const number_reservation& r) { return ended(r.key); });
  }
  const auto made = [&] {
    for (planned_change::rewrite& one : plan.rewritten) {
      one.of->content = std::move(one.content);
      one.of->kept = one.kept;
    }
    plan.rewritten.clear();
    for (event_state* state : plan.noted) state->rules->stored = turns(*state);
    plan.noted.clear();
    return true;
  };
  if (grouping) {
    together.add(std::move(plan.rows));
    return made();
  }
  const auto apply = [&](const change& what) { return rows->apply(what); };
  const bool settled = !unanswered;
  auto stored = settled ? apply(plan.rows) : unexpected{storage_error{storage_fault::unavailable, unanswered->why}};
  const auto in_conflict = [&] { return !stored && stored.error().fault == storage_fault::conflict; };
  std::vector<publication_update> inheriting;
  if (in_conflict() && !shared() && !plan.rewritten.empty()) {
    // a row that is not as expected must not keep another from its end; it goes without what it would remember
    for (publication_update& u : std::exchange(plan.rows.changed_publications, {})) {
      const auto is_heir = [&u](const planned_change::rewrite& one) {
        return one.of->etag == u.old_etag && u.row.etag == u.old_etag;
      };
      const bool inherits = std::any_of(plan.rewritten.begin(), plan.rewritten.end(), is_heir);
      (inherits ? inheriting : plan.rows.changed_publications).push_back(std::move(u));
    }
    stored = {};
    if (!plan.rows.empty()) stored = apply(plan.rows);
  }
  if (in_conflict() && shared()) {
    ++counters.storage_conflicts;
    outrun = true;
    next_look = {};
  } else if (in_conflict() && !plan.rows.reservations.empty()) {
    // a row that vanished behind the engine needs no number and must not stop the others; what is found to
    // be there is written again with the rest, for a changed row has a lower number
    std::vector<number_reservation> there;
    stored = {};
    for (const number_reservation& r : std::exchange(plan.rows.reservations, {})) {
      change one;
      one.reservations.push_back(r);
      stored = apply(one);
      if (stored) there.push_back(r);
      if (!stored && stored.error().fault != storage_fault::conflict) break;
      stored = {};
    }
    if (stored && !plan.rows.empty()) {
      plan.rows.reservations = std::move(there);
      stored = apply(plan.rows);
    }
  }
  if (stored) {
    for (publication_update& u : inheriting) {
      change one;
      one.changed_publications.push_back(std::move(u));
      const auto kept = apply(one);
      if (kept) continue;
      log(log_level::warning, kept.error().text);
      std::erase_if(plan.rewritten,
                    [&](const planned_change::rewrite& r) { return r.of->etag == one.changed_publications.front().old_etag; });
    }
    return made();
  }
  if (!outrun) note_fault(stored.error().text);
  const bool refused = stored.error().nothing_written || stored.error().fault == storage_fault::conflict;
  if (settled && !held_back && !refused) remember_unanswered(out);
  const bool answers = call_answers;
  out.clear();
  out.storage_failed = true;
  // a row that is not as expected says nothing about the others
  if (!outrun && (stored.error().fault != storage_fault::conflict || !answers)) blocked_until = now + settings.retry_after;
  if (answers) refuse_later(out);
  return false;
}

void engine::impl::commit_notifies(const effects& out) noexcept {
  for (const notify& n : out.notifies) {
    subscription* s = table.find(n.id);
    if (s == nullptr) continue;
    commit_reservation(*s, n.cseq);
    if (n.state == subscription_state::terminated) continue;
    s->local_cseq = n.cseq;
    if (n.content) ++s->version;
    s->in_flight = true;
    s->owes = s->unsure = false;
    s->told = milliseconds_of(clock);
    missed.forget(n.id.slot);
  }
  for (auto& [s, record] : plan.missed) missed.add(s->self, std::move(record));
  plan.missed.clear();
  for (subscription* s : plan.owing) {
    const bool waits = s->owes && too_soon(*s, clock);
    s->owes = true;
    ++counters.coalesced;
    if (!s->in_flight && !waits && debts.now.size() < debts.now.capacity()) debts.now.push_back(table.id_of(*s, 0));
  }
  commit_turns(clock);  // at last: who ends may owe, too, and takes with him what he missed
}

void engine::impl::report(const notify_report& outcome, instant now, effects& out) {
  const auto meaning = outcome_of(outcome.status, settings.timeout_rm_subs);
  subscription* s = table.find(outcome.id);
  if (meaning == notify_outcome::provisional) return;
  const bool held = s != nullptr;
  const sent* const to = !held && shared() && meaning == notify_outcome::ended ? on_the_way.find(outcome.id) : nullptr;
  if (to != nullptr) s = find_sent(sent{*to});
  const auto forget_sent = [&] {
    if (!held) on_the_way.forget(outcome.id);
  };
  if (s == nullptr) return forget_sent();
  // only the answer to the newest NOTIFY tells how the dialog is now (K-NOT-58)
  if (held && outcome.id.cseq != s->local_cseq) return;
  event_state& state = *s->state;
  looked_at(state);
  if (unanswered && (meaning == notify_outcome::ended || s->owes)) static_cast<void>(settle());
  s->in_flight = false;
  if (outcome.status < 200 || outcome.status > 299) s->unsure = true;
  if (meaning == notify_outcome::ended) {
    if (durable()) plan.rows.ended_subscriptions.push_back(key_of(*s));
    plan.usage_ends = s->shared != nullptr;
    plan_last_decision(*s, now);
    if (!store(out, now)) return;  // the next NOTIFY will be answered likewise; if somebody was quicker, this runs again
    forget_sent();
    ++counters.failed_notifies;
    commit_notifies(out);
    commit_end(*s, now);
    table.release_if_idle(state);
    return;
  }
  if (!s->owes || !s->lasts(now)) return;
  struct until_paid {  // advance() tries again
    engine::impl& e;
    notify_id id;
    bool paid = false;
    ~until_paid() {
      const auto same = [this](const notify_id& other) { return other == id; };
      if (!paid && std::none_of(e.debts.now.begin(), e.debts.now.end(), same)) e.debts.now.push_back(id);
    }
  } owed{*this, table.id_of(*s, 0)};
  debts.now.reserve(debts.now.size() + 1);
  if (too_soon(*s, now)) return;
  uses(state, traced_operation::notify);
  lapse due = plan_lapse(state, now, s);
  plan_lapse_told(state, due, nullptr, now, out);  // may be what he is told, or the end of it
  if (std::none_of(out.notifies.begin(), out.notifies.end(), [&](const notify& n) { return table.find(n.id) == s; })) {
    plan_present(*s, state, due.after, now, out);
  }
  if (store(out, now)) {
    commit_notifies(out);
    commit_lapse(state, due, now);
    owed.paid = true;
    table.release_if_idle(state);  // everybody may have been ended by a decision
  }
}

}  // namespace presence
