// What is not in memory: states that only the database has, read when they are needed. With fallback2db they stay;
// with subs_db_mode 3 they are let go after each call, and a change is refused and made again when another engine
// was quicker (C01, T11).
#include <array>
#include <deque>

#include "impl.hpp"

namespace presence {

namespace {

constexpr std::uint32_t last_cseq = (1U << 31) - (1U << 22);  // of who goes on; enough is left for what is reserved
constexpr seconds longest{0xffff'ffff};  // of Subscription-State's `expires`

// Whether a row's texts can be sent: others may have written it.
bool can_be_sent(const subscription_row& row) noexcept {
  const dialog& d = row.dialog;
  const auto from_to = [](std::string_view first, std::string_view last) {  // all are side by side
    return std::string_view{first.data(), static_cast<std::size_t>(last.data() + last.size() - first.data())};
  };
  return !has_control(from_to(d.call_id(), d.user_agent())) && is_header_lines(d.headers()) &&
         !has_control(from_to(d.display_name(), d.owner())) && !has_control(row.resource) &&
         !has_control(row.event_id);
}

// Kamailio keeps header fields with the line breaks that were in them, each of which means a blank (RFC 3261 section
// 7.3.1). What is in the row's key stays: it would be another row's.
dialog unfolded(const dialog& d) {
  dialog_fields fields = d.fields();
  std::deque<std::string> room;  // for what the fields refer to
  for (std::string_view* field :
       {&fields.local_uri, &fields.remote_uri, &fields.remote_target, &fields.route_set, &fields.local_contact, &fields.event,
        &fields.watcher, &fields.cookie, &fields.user_agent, &fields.display_name, &fields.also, &fields.owner}) {
    if (has_control(*field)) *field = room.emplace_back(blanked(*field));
  }
  if (!is_header_lines(fields.headers)) fields.headers = {};
  return dialog{fields};
}

}  // namespace

// --- rows become records ---------------------------------------------------------------------------

void engine::impl::adopt(publication_row row, const event_package& package) {
  const std::string resource = row.resource;
  auto p = publication_of(std::move(row), package);
  table.insert(table.obtain(resource, package), std::move(p));
}

void engine::impl::adopt(subscription_row&& row, const sought_row& sought, const event_package& package, instant now) {
  if (row.state == subscription_state::terminated) return;  // another server's; nothing is owed to it
  if (!sought.can_be_sent) {  // who wrote a line break there must not write header fields
    log(log_level::warning, "a stored subscription has control characters in its key and is left out of " + row.resource);
    auto& over = unusable.ended_subscriptions;
    if (row.expires <= now && over.size() < page_rows) over.push_back(key_of(row));
    return;
  }
  event_state& state = table.obtain(sought.state, package);
  watcher_account& account = table.obtain_watcher(sought.account);
  subscription& s = table.make_subscription();
  s.state = &state;
  s.dialog = std::move(row.dialog);
  s.deadline = std::min(row.expires, now + longest);
  s.local_cseq = s.cseq_ceiling = row.local_cseq;
  s.remote_cseq = row.remote_cseq;
  s.version = row.version;
  s.since = row.since == instant{} ? now : row.since;
  s.nth = row.nth & 7u;
  s.stands = row.polite_block                           ? standing::polite
             : row.state == subscription_state::pending ? standing::pending
                                                        : standing::active;
  s.approved = row.approved;
  // a CSeq has 31 bits (RFC 3261 section 8.1.1.5), and what a crash leaves reserved is used up, too: he subscribes anew
  if (s.local_cseq > last_cseq) {
    s.deadline = std::min(s.deadline, now - settings.owner_grace);  // anybody's to end
    table.recheck(state, now);  // whoever looks for what is due finds no time of his
  }
  table.reserve(state);
  subscription* sibling = nullptr;
  table.each_usage(sought.dialog, [&](subscription& u) {
    if (u.dialog.local_tag() == s.dialog.local_tag()) sibling = &u;
    return sibling == nullptr;
  });
  table.link(s, state, account, sought.dialog);
  if (row.other_usages.value_or(true)) may_share = true;
  if (sibling != nullptr) table.share_numbers(*sibling, s);
  if (row.other_usages.value_or(false)) {
    know_other_usages(s);
    s.shared->unserved = !looks_up();  // else the others' rows are looked at
  }
  if (!package.req_auth && !package.select) s.view = table.hold_view(state, {}, as_pres(s));  // else in reconsider_restored()
  if (s.stands == standing::pending) pending_began(table.obtain_undecided(state, account, s.since));
  // nobody knows what he has got; where numbers are exact, he finds a gap himself (WIN-58-7)
  s.unsure = !exact_numbers(row.since, package);
}

void engine::impl::look_up(subscription_row& row, const event_package& package, sought_row& sought) const {
  sought.can_be_sent = can_be_sent(row);
  if (!sought.can_be_sent) {
    row.dialog = unfolded(row.dialog);
    sought.can_be_sent = can_be_sent(row);
  }
  const dialog& d = row.dialog;
  if (!canonical_aor(d.watcher(), sought.watcher)) sought.watcher = d.watcher();
  sought.state = table.look_up_state(row.resource, package.name);
  sought.account = table.look_up_watcher(sought.watcher);
  sought.dialog = table.look_up(d.call_id(), d.remote_tag());
}

void engine::impl::adopt(const watcher_row& row, const event_package& package) {
  if (row.status != watcher_status::pending && row.status != watcher_status::waiting) return;
  if (has_control(row.watcher) || has_control(row.resource)) {  // nobody has such an address
    auto& over = unusable.ended_watchers;
    if (row.since + settings.waiting_limit <= clock && over.size() < page_rows)
      over.push_back({row.resource, row.event, row.watcher});
    return;
  }
  event_state& state = table.obtain(row.resource, package);
  undecided& u = table.obtain_undecided(state, table.obtain_watcher(row.watcher), row.since);
  const std::string_view known_by = has_control(row.reason) ? std::string_view{} : row.reason;
  const std::string_view id = known_by.substr(0, known_by.find(' '));
  if (const auto told = read_id(id); told != 0) {
    u.id = told;
    if (id.size() < known_by.size()) u.named = dialog{{.also = known_by.substr(id.size() + 1)}};
  }
  if (u.id == 0) u.id = table.secret_of(row.resource, row.watcher, package.name);
  if (u.pending != 0) return;
  table.set_waiting(u, row.since + settings.waiting_limit);
  if (package.req_auth && !shared()) table.recheck(state, clock);  // he may be decided about by now
}

void engine::impl::read(const row_filter& wanted, const event_package& package, instant now) {
  if (stores_publications())
    rows.each_row<publication_row>(wanted, [&](publication_row&& row) { adopt(std::move(row), package); });
  // far memory is asked for some rows ahead, and what it leads to a little later
  constexpr std::size_t ahead = 8, then = 4;
  std::array<sought_row, ahead> sought;
  rows.each_page<subscription_row>(wanted, [&](std::vector<subscription_row>& page) {
    for (std::size_t i = 0; i < page.size() + ahead - 1; ++i) {
      if (i < page.size()) look_up(page[i], package, sought[i % ahead]);
      if (i >= then && i - then < page.size()) table.prefetch(sought[(i - then) % ahead].account);
      if (i < ahead - 1) continue;
      const std::size_t first = i - (ahead - 1);
      adopt(std::move(page[first]), sought[first % ahead], package, now);
    }
  });
  rows.each_row<watcher_row>(wanted, [&](watcher_row&& row) { adopt(row, package); });
}

void engine::impl::reconsider_restored(event_state& state, instant at) {
  const event_package& package = *state.package;
  if ((!package.req_auth && !package.select) || state.watcher_count() == 0) return;
  const bool looks = settings.enable_sphere_check;
  std::optional<question> as_it_was, as_it_is;
  const auto ask_about = [&](std::optional<question>& asked, instant when, bool lapsed_too, const subscription& s) {
    authorization answer{sub_handling::block};
    const bool answered = answered_by_package("a package cannot decide about a watcher who was read", [&] {
      if (!asked) {
        const auto sphere = looks ? sphere_of(state.resource(), when, lapsed_too) : told_sphere{};
        asked.emplace(about(package, state.resource(), when, sphere));
      }
      answer = ask(*asked, s);
    });
    if (answered) note(state, answer);
    return answer;
  };
  for (const auto index : state.watchers) {
    if (index == slab<subscription>::none) continue;
    subscription& s = table.subscriptions()[index];
    const auto stands_so = [&](const authorization& answer) {
      const reconsidered verdict = reconsider(s.stands, answer.handling);
      return verdict.ends == end_reason::none && verdict.now == s.stands;
    };
    authorization answer = ask_about(as_it_was, at, looks_up(), s);
    bool same = stands_so(answer);
    if (!same && looks_up()) {  // or he was decided about since
      answer = ask_about(as_it_is, clock, false, s);
      same = stands_so(answer);
    }
    if (s.stands != standing::pending)
      s.view = same ? table.hold_view(state, std::move(answer.view), as_pres(s)) : state_table::no_view;
    if (!same) table.recheck(state, clock);  // the rules changed meanwhile: the first advance() acts on it
  }
}

// --- looking for what is not there ---------------------------------------------------------------------

event_state* engine::impl::find_state(const state_table::state_lookup& sought, const event_package& package) {
  const std::string_view resource = sought.resource;
  event_state* state = table.find(sought, package);
  if (state != nullptr) found(*state);
  if (state != nullptr || !partial()) {
    if (grouping) brought.push_back({std::string{resource}, &package});
    return state;
  }
  const auto same = [&](const brought_in& b) { return b.package == &package && b.resource == resource; };
  if (std::any_of(brought.begin(), brought.end(), same)) return nullptr;
  if (bounded()) ++counters.cache_misses;
  if (!shared()) require_settled();  // what nobody was told of is not read
  const std::string name{resource};
  const std::size_t first = brought.size();
  std::size_t last = 0;  // what is brought in together
  try {
    may_share = false;
    bring_in(name, package);
    if (may_share) bring_in_siblings(name, static_cast<std::ptrdiff_t>(first));
    last = brought.size();
    for (std::size_t i = first; i < last; ++i) put_in_place(brought[i]);
    return table.find(name, package);
  } catch (...) {  // half a state is worse than none
    if (last == 0) last = brought.size();
    for (std::size_t i = first; i < last; ++i)
      if (event_state* half = table.find(name, *brought[i].package)) drop(*half);
    throw;
  }
}

void engine::impl::bring_in(const std::string& name, const event_package& package) {
  bring_in_mark(name, package);  // before the rows: what changes between the two is found out
  read({.event = package.name, .resource = name}, package, clock);
}

void engine::impl::bring_in_mark(const std::string& name, const event_package& package) {
  brought.push_back({name, &package});
  if (!shared() && !(looks_up() && package.req_auth)) return;
  brought.back().mark = rows.mark(name, package.name);
}

// A dialog has one counter for all its usages, so states that share dialogs are in memory together. One look at the
// resource's subscriptions finds them all: also those that share others with each other. One row that says so is enough:
// the other's may have been written by who did not know.
void engine::impl::bring_in_siblings(const std::string& name, std::ptrdiff_t first) {
  struct usages {
    std::set<std::string> events;
    bool several = false;
  };
  std::map<subscription_key, usages, less_key> dialogs;
  rows.each_row<subscription_row>({.resource = name}, [&](const subscription_row& row) {
    if (row.state == subscription_state::terminated) return;
    subscription_key dialog = key_of(row);
    dialog.event.clear(), dialog.event_id.clear();
    usages& known = dialogs[std::move(dialog)];
    known.events.insert(row.event);
    known.several = known.several || row.other_usages.value_or(true);
  });
  std::erase_if(dialogs, [](const auto& one) { return !one.second.several || one.second.events.size() == 1; });
  for (const auto& [dialog, all] : dialogs) {
    bool unserved = false;
    for (const std::string& event : all.events) {
      const registered_package* registered = packages.named(event);
      unserved = unserved || registered == nullptr;
      if (registered == nullptr && !shared()) continue;
      const event_package& package =
          registered != nullptr ? registered->package : not_served.try_emplace(event, event_package{.name = event}).first->second;
      const auto known = [&](const brought_in& b) { return b.package == &package && b.resource == name; };
      const auto before = std::find_if(brought.begin(), brought.end(), known);
      if (before - brought.begin() < first) before->outdated = before->served;
      else if (before != brought.end()) continue;
      else if (registered == nullptr) bring_in_mark(name, package), brought.back().served = false;
      else if (table.find(name, package) == nullptr) bring_in(name, package);
    }
    table.each_usage(dialog.call_id, dialog.remote_tag, [&, &tag = dialog.local_tag](subscription& u) {
      if (u.dialog.local_tag() != tag) return true;
      know_other_usages(u);
      u.shared->unserved = unserved;
      return true;
    });
  }
}

void engine::impl::know_other_usages(subscription& s) {
  table.share_numbers(s, s);
  s.shared->several_states = true;
}

bool engine::impl::exact_numbers(instant since, const event_package& package) const noexcept {
  if (settings.force_delete) return false;  // what went in silence has no number
  // rows do not tell who was not sent his own word
  if (package.difference) return false;
  return shared() || (bounded() && settings.cseq_block == 1 && began != instant{} && since >= began);
}

bool engine::impl::shares_dialogs(const event_state& state) const noexcept {
  return std::any_of(state.watchers.begin(), state.watchers.end(), [this](const auto index) {
    return index != slab<subscription>::none && table.subscriptions()[index].shared != nullptr &&
           table.subscriptions()[index].shared->several_states;
  });
}

void engine::impl::put_in_place(brought_in one) {
  event_state* state = table.find(one.resource, *one.package);
  const auto when = one.mark.turns;
  if (state == nullptr) {  // nothing is left to turn
    if (when && !shared()) plan.rows.states.push_back({{std::move(one.resource), one.package->name}, {}, new_stamp(), {}});
    return;
  }
  // what they saw before decisions turned, so that it is found out who sees something else from now on
  reconsider_restored(*state, when && *when <= clock ? *when - milliseconds{1} : clock);
  if (when) {
    table.recheck(*state, *when);
    state->rules->stored = when;
  }
  owe_the_untold(*state);
  if (bounded()) keeping->has_read(*state);
}

void engine::impl::find_dialog(const subscribe_request& request, const event_package& package, std::string_view event_id) {
  if (!partial() && !keeping) return;
  subscription* held = nullptr;
  table.each_usage(request.call_id, request.from_tag, [&](subscription& u) {
    if (u.state->package == &package && u.dialog.local_tag() == request.to_tag && event_id_of(u) == event_id) held = &u;
    return held == nullptr;
  });
  if (held != nullptr) found(*held->state);
  if (held != nullptr || !partial()) return;
  rows.each_row<subscription_row>({.call_id = request.call_id}, [&](const subscription_row& row) {
    const registered_package* registered = row.dialog.local_tag() == request.to_tag ? packages.named(row.event) : nullptr;
    if (registered != nullptr) find_state(row.resource, registered->package);
  });
}

void engine::impl::find_states(std::string_view resource, std::string_view event) {
  if (!partial()) return;
  for (const auto& registered : packages) {
    const event_package& package = registered->package;
    if (!event.empty() && package.name != event) continue;
    if (!resource.empty()) {
      find_state(resource, package);
      continue;
    }
    std::vector<state_name> watched;
    find_watched(package.name, watched);
    for (const state_name& one : watched) find_state(one.resource, package);
  }
}

void engine::impl::find_watched(std::string_view event, std::vector<state_name>& states) {
  std::set<std::pair<std::string, std::string>> names;
  rows.each_row<subscription_row>({.event = event}, [&](const subscription_row& row) {
    if (packages.named(row.event) != nullptr && names.emplace(row.resource, row.event).second)
      states.push_back({row.resource, row.event});
  });
}

bool engine::impl::find_due(instant now, std::size_t budget) {
  if (!looks_up() || packages.empty() || now < next_look) return true;
  const std::vector<std::string> known = packages.names();
  std::vector<state_name> due;
  // where states stay, those whose time comes before the next look are read now, so that it comes at its moment
  milliseconds ahead = shared() ? seconds{0} : look_period;
  for (;; ahead /= 2) {
    due.clear();
    const instant until = now + ahead;
    if (auto read = rows->due(wanted_at(until), known, budget, due); !read) throw unreadable{read.error()};
    if (due.size() < budget || ahead == milliseconds{0}) break;
  }
  for (const state_name& one : due) {
    const registered_package* registered = packages.named(one.event);
    if (registered != nullptr && table.find(one.resource, registered->package) == nullptr)
      find_state(one.resource, registered->package);
  }
  const bool all = due.size() < budget;
  // engines that share a database look one after the other, so that what is due is mostly found by one (C02)
  if (shared()) next_look = now + look_period - (now.time_since_epoch() - look_offset) % look_period;
  else next_look = now + (all ? std::max(ahead, milliseconds{1}) : look_period);
  return all;
}

// --- what is known of a state as a whole -------------------------------------------------------------------

std::uint64_t engine::impl::new_stamp() {
  std::uint8_t bytes[8];
  random.fill(bytes);
  std::uint64_t next = 0;
  for (const std::uint8_t byte : bytes) next = next << 8 | byte;
  return (next >> 1) | 1;  // databases have signed numbers
}

void engine::impl::mark_states() {
  if (!looks_up()) return;
  if (!shared()) {
    std::sort(plan.noted.begin(), plan.noted.end());
    plan.noted.erase(std::unique(plan.noted.begin(), plan.noted.end()), plan.noted.end());
    for (const event_state* state : plan.noted)
      if (turns(*state) != state->rules->stored)
        plan.rows.states.push_back({{std::string{state->resource()}, state->package->name}, {}, new_stamp(), turns(*state)});
    return;
  }
  const auto about_event = [&](const std::string& event) {
    const auto has = [&](const auto& list, auto of) {
      return std::any_of(list.begin(), list.end(), [&](const auto& one) { return of(one) == event; });
    };
    const auto event_of = [](const auto& one) -> const std::string& { return one.event; };
    return has(plan.rows.ended_publications, event_of) || has(plan.rows.new_publications, event_of) ||
           has(plan.rows.changed_publications, [](const auto& u) -> const std::string& { return u.row.event; }) ||
           has(plan.rows.ended_subscriptions, event_of) || has(plan.rows.new_subscriptions, event_of) ||
           has(plan.rows.changed_subscriptions, event_of) || has(plan.rows.ended_watchers, event_of) ||
           has(plan.rows.watchers, event_of) ||
           has(plan.rows.reservations, [](const auto& r) -> const std::string& { return r.key.event; });
  };
  for (const brought_in& b : brought) {
    const event_state* state = table.find(b.resource, *b.package);
    const auto when = state != nullptr ? turns(*state) : b.served ? std::nullopt : b.mark.turns;
    // an engine that serves it reads rows of it with the numbers of before: it has to be refused, too
    const bool changes = about_event(b.served ? b.package->name : std::string{});
    if (!b.outdated && when == b.mark.turns && !changes) continue;
    plan.rows.states.push_back({{b.resource, b.package->name}, b.mark.stamp, new_stamp(), when});
  }
}

void engine::impl::let_go(const effects& out) noexcept {
  if (keeping) keeping->settle(clock);
  if (shared()) {
    for (const notify& n : out.notifies) {
      const subscription* s = table.find(n.id);
      if (s == nullptr) continue;
      try {
        on_the_way.remember(n.id, sent::in(*s), clock);
      } catch (...) {  // its answer will mean nothing: the next one tells the same
      }
    }
    on_the_way.forget_old(clock);
    for (const brought_in& b : brought) {
      event_state* state = table.find(b.resource, *b.package);
      if (state == nullptr) continue;
      let_go_of_debts(*state);
      drop(*state);
    }
    debts.now.clear();
    missed.clear();
  }
  plan.noted.clear();
  if (grouping) return;
  brought.clear();
  not_served.clear();
  if (keeping) keep_bounds();
}

subscription* engine::impl::find_sent(const sent& was) {
  event_state* state = find_state(was.resource, *was.package);
  if (state == nullptr) return nullptr;
  subscription* found = nullptr;
  table.each_usage(was.dialog.call_id(), was.dialog.remote_tag(), [&](subscription& s) {
    if (s.state == state && s.dialog.local_tag() == was.dialog.local_tag() && s.dialog.event() == was.dialog.event()) found = &s;
    return found == nullptr;
  });
  return found;
}

void engine::impl::let_go_of_debts(const event_state& state) noexcept try {
  for (const auto index : state.watchers) {
    if (index == slab<subscription>::none || !table.subscriptions()[index].owes) continue;
    if (debts.full()) return;
    debts.away.push_back({sent::in(table.subscriptions()[index]), {}});
    debts.away.back().missed = missed.take(index);
  }
} catch (...) {  // no memory: he learns of it with the next change
}

void engine::impl::take_up_debts(std::size_t most) {
  for (; most-- != 0; debts.away.pop_front()) {  // who is not paid is let go of again
    subscription* s = find_sent(debts.away.front().to);
    if (s == nullptr || !s->lasts(clock)) continue;  // he is told his end alone
    debts.now.push_back(table.id_of(*s, 0));
    if (const auto& ends = debts.away.front().missed; !ends.empty()) missed.add_earlier(s->self, ends);
    s->owes = true;
  }
}

void engine::impl::drop(event_state& state) noexcept {
  if (keeping) keeping->forget(state);
  std::erase(plan.noted, &state);
  while (!state.watchers.empty()) {  // the last is never a hole
    missed.forget(state.watchers.back());
    table.erase(table.subscriptions()[state.watchers.back()]);
  }
  drop_contents(state);
  table.release_if_idle(state);
}

}  // namespace presence
