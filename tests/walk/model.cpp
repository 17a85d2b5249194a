#include "model.hpp"

#include <algorithm>

namespace presence::test::walking {

// --- states ------------------------------------------------------------------------------------------

std::vector<held> model::held_by(const std::string& resource, int kind) const {
  std::vector<held> all;
  for (const m_publication& p : publications)
    if (p.resource == resource && p.kind == kind && p.has_body) all.push_back({p.what.get(), p.order, p.sender, p.leaving, p.arriving, p.number, p.has_news});
  return all;
}

shown model::seen_by(const m_subscription& s) const {
  if (s.stands == stand::pending) return {.has_body = false};
  if (s.stands == stand::polite) return neutral(s.kind, s.resource);
  sight sees = s.sees;
  sees.of_these = s.about;
  return compose(s.kind, how, s.resource, held_by(s.resource, s.kind), sees);
}

shown model::sent_to(const m_subscription& s, const std::string& contact) const {
  const auto all = held_by(s.resource, s.kind);
  const held* shows = s.kind == k_sla && s.stands == stand::active ? on_the_line(all) : nullptr;
  return shows != nullptr && !shows->sender.empty() && shows->sender == contact ? neutral(s.kind, s.resource) : seen_by(s);
}

bool model::own_change(const m_subscription& s, const std::string& sender) const {
  if (sender.empty() || dialogs[s.dialog].contact != sender) return false;
  const auto all = held_by(s.resource, s.kind);
  const held* shows = s.kind == k_sla ? on_the_line(all) : nullptr;
  return shows == nullptr || shows->sender == sender;
}

bool model::is_over(const m_subscription& s) const {
  return s.kind == k_dialog && s.stands == stand::active && s.sees.is == sight::of::everything && s.about.one() &&
         walking::is_over(held_by(s.resource, s.kind), s.about);
}

std::optional<std::string> model::sphere_now(const std::string& resource) const {
  if (!bounds.enable_sphere_check) return std::nullopt;
  std::vector<held> live;
  for (const m_publication& p : publications)
    if (p.resource == resource && p.kind == k_presence && !p.leaving && p.deadline > clock) live.push_back({p.what.get(), p.order});
  return sphere_of(live);
}

bool model::sphere_lapsed(const std::string& resource) const {
  auto all = held_by(resource, k_presence);
  for (held& one : all) one.leaving = false;
  return bounds.enable_sphere_check && sphere_of(all) != sphere_now(resource);
}

model::look model::look_at(const std::string& resource, int kind) const {
  look is;
  if (about_watchers(kind)) return is;
  for (const m_subscription& s : subscriptions)
    if (s.resource == resource && s.kind == kind && s.stands == stand::active) is.gists[s.name] = seen_by(s).gist;
  if (kind == k_presence && bounds.enable_sphere_check) is.sphere = sphere_of(held_by(resource, kind));  // as it was, lapsed ones included
  return is;
}

bool model::mark_lapsed(const std::string& resource, int kind) {
  bool any = false;
  for (m_publication& p : publications) {
    if (p.resource != resource || p.kind != kind || p.deadline > clock) continue;
    p.leaving = any = true;
  }
  return any;
}

void model::settle(const std::string& resource, int kind) {
  for (std::size_t i = publications.size(); i-- > 0;) {
    const m_publication gone = publications[i];
    if (gone.resource != resource || gone.kind != kind || !gone.leaving) continue;
    publications.erase(publications.begin() + static_cast<std::ptrdiff_t>(i));
    if (kind != k_dialog) continue;
    for (m_publication& p : publications) {
      if (p.resource != resource || p.kind != kind) continue;
      inherit(*p.what, *gone.what);
      p.knows_more = p.knows_more || gone.knows_more;
    }
  }
  for (m_publication& p : publications)
    if (p.resource == resource && p.kind == kind) p.arriving = false;
}

// --- decisions ---------------------------------------------------------------------------------------

m_answer model::ask(int kind, const std::string& resource, const std::string& watcher, bool proven) {
  if (about_watchers(kind)) return {proven && watcher == resource ? sub_handling::allow : sub_handling::block};
  const m_answer own = ask_package(kind, resource, watcher, proven);
  if (!how.ruled[kind]) return own;
  m_answer answer = ask_rules(kind, resource, watcher, proven);
  answer.handling = std::min(answer.handling, own.handling);
  if (answer.sees.is == sight::of::everything) answer.sees = own.sees;
  return answer;
}

m_answer model::ask_package(int kind, const std::string& resource, const std::string& watcher, bool proven) const {
  using to = dialog_options::shown;
  const bool owner = proven && watcher == resource;
  if (kind == k_messages && how.messages.message_headers && !owner) return {sub_handling::allow, {sight::of::stranger}};
  if ((kind != k_dialog && kind != k_sla) || how.dialog.strangers == to::everything || owner || (kind == k_sla && proven && watcher == line_sharer))
    return {sub_handling::allow};
  if (how.dialog.strangers == to::nothing) return {sub_handling::block};
  return {sub_handling::allow, {sight::of::stranger}};
}

m_answer model::ask_rules(int kind, const std::string& resource, const std::string& watcher, bool proven) {
  const auto written = rules.find(resource);
  if (written == rules.end()) {
    last_good.erase({kind, resource});
    return {how.without_document};
  }
  auto good = last_good.find({kind, resource});
  if (!written->second.broken) {
    good = last_good.insert_or_assign({kind, resource}, written->second.rules).first;
  } else if (good == last_good.end()) {
    return {std::min(how.without_document, sub_handling::confirm)};
  }
  const evaluated e = evaluate(good->second, proven ? watcher : std::string{}, sphere_now(resource), clock);
  m_answer answer{e.all.handling, {}, e.until, e.by_sphere};
  if (kind == k_presence && e.all.handling == sub_handling::allow && !e.all.everything() && !(how.lenient && e.unlimited))
    answer.sees = {sight::of::by_rules, e.all};
  // another package cannot keep such limits and shows nothing (POL-TR-27)
  if (kind != k_presence && !e.all.everything() && !e.unlimited) answer.handling = std::min(answer.handling, sub_handling::polite_block);
  return answer;
}

void model::note(int kind, const std::string& resource, const m_answer& answer) {
  if (answer.by_sphere) by_sphere.insert({kind, resource});
  if (!answer.until) return;
  const auto known = edges.emplace(std::pair{kind, resource}, *answer.until).first;
  known->second = std::min(known->second, *answer.until);
}

// --- what is to be told --------------------------------------------------------------------------------

m_subscription* model::find(int name) {
  const auto at = std::find_if(subscriptions.begin(), subscriptions.end(), [&](const auto& s) { return s.name == name; });
  return at == subscriptions.end() ? nullptr : &*at;
}

expected_notify& model::expect_notify(expectation& out, m_subscription& s, bool full) {
  expected_notify e{s.resource, s.dialog, s.name, s.kind, s.event_id, {}, {}, dialogs[s.dialog].contact,
                    full || s.unsure || s.owes != owing::no || (shares && s.kind == k_dialog)};
  e.subscription_state = (s.stands == stand::pending ? "pending" : "active") + std::string{";expires="} +
                         std::to_string(std::chrono::floor<seconds>(s.deadline - clock).count());
  if (about_watchers(s.kind)) {
    e.body = shown{};
    e.watchers = watchers_now(s.resource, watched_by(s.kind));
    e.untold = std::exchange(s.untold, {});
  } else if (const shown is = sent_to(s, dialogs[s.dialog].contact); is.has_body) {
    e.body = is;
  }
  e.parameters = s.about.parameters();
  e.version = s.version;
  e.version_may_jump = s.version_may_jump;
  s.in_flight = !shares;
  s.owes = owing::no;
  s.unpaid = s.unsure = false;
  out.notifies.push_back(std::move(e));
  return out.notifies.back();
}

expected_notify& model::expect_end(expectation& out, const m_subscription& s, const char* reason, std::optional<shown> body) {
  expected_notify e{s.resource, s.dialog, s.name, s.kind, s.event_id, std::string{"terminated;reason="} + reason, {}, dialogs[s.dialog].contact};
  if (body && body->has_body) e.body = std::move(body);
  if (e.body && about_watchers(s.kind)) {
    e.watchers = watchers_now(s.resource, watched_by(s.kind));
    e.untold = s.untold;
  }
  e.version = s.version;
  e.version_may_jump = s.version_may_jump;
  e.parameters = s.about.parameters();
  out.notifies.push_back(std::move(e));
  return out.notifies.back();
}

bool model::expect_last(expectation& out, const m_subscription& s) {
  if (!is_over(s)) return false;
  expect_end(out, s, "noresource", seen_by(s)).full = s.unsure || s.owes == owing::yes;
  return true;
}

void model::expect_present(expectation& out, int name) {
  if (expect_last(out, *find(name))) end(out, name, "noresource");
  else expect_notify(out, *find(name));
}

void model::tell_change(expectation& out, const std::string& resource, int kind, const look& was, const std::string& sender, int except) {
  if (about_watchers(kind)) return;
  decide_elsewhere(out, resource, kind, was);
  if (kind == k_presence && was.sphere != sphere_now(resource) && by_sphere.contains({kind, resource}))
    return decide_again(out, resource, kind, was, sender, except);
  if (const auto edge = edges.find({kind, resource}); edge != edges.end() && edge->second <= clock) {
    decide_again(out, resource, kind, was, sender, except);
    edges[{kind, resource}] = clock + milliseconds{shares};  // advance() looks once more, and at those who wait
    return;
  }
  // nobody is told what he may not see any more
  if (kind != k_presence && by_sphere.contains({kind, resource}) && sphere_lapsed(resource))
    return decide_again(out, resource, kind, was, sender, except);
  std::vector<int> over;
  for (m_subscription& s : subscriptions) {
    if (s.resource != resource || s.kind != kind || s.stands != stand::active || s.name == except || !hears(s)) continue;
    if (was.gists.at(s.name) == seen_by(s).gist) continue;
    if (expect_last(out, s)) {
      over.push_back(s.name);
      continue;
    }
    if (own_change(s, sender)) {
      s.unsure = !shares;  // he misses a document
      continue;
    }
    if (s.in_flight) s.owes = owing::yes;
    else expect_notify(out, s, false);
  }
  for (const int name : over) end(out, name, "noresource");
}

void model::decide_again(expectation& out, const std::string& resource, int kind, const look& was, const std::string& sender, int except,
                         bool tells_all) {
  std::vector<std::pair<int, const char*>> over;
  if (except < 0) edges.erase({kind, resource});  // what counts now is noted again
  for (m_subscription& s : subscriptions) {
    if (s.resource != resource || s.kind != kind || s.name == except) continue;
    const m_answer answer = ask(kind, resource, s.watcher, s.proven);
    note(kind, resource, answer);
    if (!hears(s)) continue;
    if (answer.handling == sub_handling::block || (answer.handling == sub_handling::confirm && s.stands != stand::pending)) {
      const char* why = answer.handling == sub_handling::block ? "rejected" : "probation";
      expect_end(out, s, why);
      over.emplace_back(s.name, why);
      continue;
    }
    const stand next = answer.handling == sub_handling::allow          ? stand::active
                       : answer.handling == sub_handling::polite_block ? stand::polite
                                                                       : s.stands;
    const bool turns = next != s.stands;
    leave_pending(out, s, next);
    s.sees = answer.sees;
    if (expect_last(out, s)) {
      over.emplace_back(s.name, "noresource");
      continue;
    }
    if (turns || (tells_all && s.stands != stand::pending)) {
      expect_notify(out, s);
    } else if (s.stands == stand::active && !about_watchers(kind) && was.gists.at(s.name) != seen_by(s).gist) {
      if (own_change(s, sender)) s.unsure = !shares;
      else if (s.in_flight) s.owes = owing::yes;
      else expect_notify(out, s);
    } else if (evicts && s.stands != stand::pending) {
      // perhaps his state was read again, and nobody knows what he saw
      if (s.in_flight && s.owes == owing::no) s.owes = owing::perhaps;
      if (s.in_flight) continue;
      expectation perhaps;
      m_subscription as_is = s;
      expect_notify(perhaps, as_is).optional = true;
      out.notifies.push_back(perhaps.notifies.front());
    }
  }
  for (const auto& [name, why] : over) end(out, name, why);
}

void model::decide_waiting(expectation& out, const std::string& resource, int kind) {
  std::erase_if(undecideds, [&](const m_undecided& u) {
    if (u.resource != resource || u.kind != kind || u.pending != 0) return false;
    const m_answer answer = ask(kind, resource, u.watcher, true);
    note(kind, resource, answer);
    if (answer.handling == sub_handling::confirm) return false;
    tell_waiting_over(out, u, answer.handling == sub_handling::block ? "rejected" : "approved");
    return true;
  });
}

void model::decide_elsewhere(expectation& out, const std::string& resource, int kind, const look& was) {
  if (!shares || kind != k_presence || was.sphere == sphere_now(resource)) return;
  const auto before = out.notifies.size() + out.changes.size();
  for (int other = 0; other < published_kinds; ++other) {
    if (!how.ruled[other]) continue;
    if (other != kind) decide_again(out, resource, other, look_at(resource, other), {}, -1);
    decide_waiting(out, resource, other);
  }
  elsewhere += out.notifies.size() + out.changes.size() - before;
}

bool model::has_views(int kind) const {
  using to = dialog_options::shown;
  switch (kind) {
    case k_presence: return how.ruled[kind];
    case k_messages: return how.messages.message_headers;
    case k_dialog: return true;  // each may have chosen a dialog
    case k_sla: return how.ruled[kind] || how.dialog.strangers != to::everything;
    default: return false;
  }
}

// --- watchers ------------------------------------------------------------------------------------------

m_undecided* model::undecided_of(const std::string& resource, int kind, const std::string& watcher) {
  for (auto& u : undecideds)
    if (u.resource == resource && u.kind == kind && u.watcher == watcher) return &u;
  return nullptr;
}

m_watcher model::watcher_of(const m_subscription& s) const {
  const bool waits = s.stands == stand::pending;
  return {s.key(), s.watcher, waits ? "pending" : "active", s.approved ? "approved" : "subscribe", s.deadline, s.since};
}

std::vector<m_watcher> model::watchers_now(const std::string& resource, int kind) const {
  std::vector<m_watcher> all;
  for (const m_subscription& s : subscriptions)
    if (s.resource == resource && s.kind == kind && s.deadline > clock) all.push_back(watcher_of(s));
  for (const m_undecided& u : undecideds)
    if (u.resource == resource && u.kind == kind && u.pending == 0) all.push_back(watcher_of(u));
  return all;
}

void model::tell(expectation& out, const std::string& resource, int kind, m_watcher w, const char* status, const char* event) {
  if (watchers_of(kind) < 0) return;
  w.status = status;
  w.event = event;
  if (w.status != "active" && w.status != "pending") w.deadline.reset();
  out.changes.push_back({resource, kind, std::move(w)});
}

void model::end(expectation& out, int name, const char* event) {
  const auto at = subscriptions.begin() + (find(name) - subscriptions.data());
  const std::string why = event;
  bool undecided = at->stands == stand::pending && why == "timeout";
  if (undecided) {  // unless his address is decided about by now
    const sub_handling handling = ask(at->kind, at->resource, at->watcher, true).handling;
    undecided = handling == sub_handling::confirm;
    if (!undecided) event = handling == sub_handling::block ? "rejected" : "approved";
    if (undecided && gives_up(*at)) {
      undecided = false;
      event = "giveup";
    }
  }
  if (at->stands == stand::pending) {
    m_undecided* u = undecided_of(at->resource, at->kind, at->watcher);
    --u->pending;
    if (undecided) {
      u->key = at->key();
      u->since = at->since;
      if (u->pending == 0) u->deadline = clock + bounds.waiting_limit;
      // one entry he waits with (WIN-FSM-4)
      for (const m_change& c : out.changes) {
        const m_watcher& w = c.watcher;
        if (c.resource == at->resource && c.kind == at->kind && w.uri == at->watcher && (w.status == "waiting" || w.event == "giveup"))
          ambiguous.insert({w.key, at->key()});
      }
      tell(out, at->resource, at->kind, watcher_of(*at), u->pending == 0 ? "waiting" : "terminated", u->pending == 0 ? "timeout" : "giveup");
    } else if (u->pending == 0) {
      drop(u);
    }
  }
  if (!undecided) tell(out, at->resource, at->kind, watcher_of(*at), "terminated", event);
  subscriptions.erase(at);
}

void model::leave_pending(expectation& out, m_subscription& s, stand next) {
  if (s.stands == stand::pending && next != stand::pending) {
    m_undecided* u = undecided_of(s.resource, s.kind, s.watcher);
    if (--u->pending == 0) drop(u);
    s.approved = true;
    tell(out, s.resource, s.kind, watcher_of(s), "active", "approved");
  }
  s.stands = next;
}

void model::tell_owners(expectation& out) {
  for (m_subscription& s : subscriptions) {
    if (!about_watchers(s.kind) || !hears(s)) continue;
    std::map<std::string, m_watcher> last;
    for (const m_change& c : out.changes) {
      if (c.resource != s.resource || c.kind != watched_by(s.kind)) continue;
      last[c.watcher.key] = c.watcher;
    }
    if (last.empty()) continue;
    if (!s.in_flight && !s.unsure && s.owes == owing::no) {
      expect_notify(out, s, false);
      continue;
    }
    // what it cannot be told now it learns from the next, full document; ends are kept for that
    for (const auto& [key, w] : last)
      if (w.ended()) s.late.push_back(w);
    s.owes = owing::yes;
    if (s.in_flight) continue;
    s.unpaid = true;
    if (!out.sliced) continue;
    expectation later;  // by a later slice
    m_subscription as_is = s;
    expect_notify(later, as_is).optional = true;
    out.notifies.push_back(later.notifies.front());
  }
}

}  // namespace presence::test::walking
