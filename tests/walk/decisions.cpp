// What the host decides: rules are written anew, watchers are refreshed, subscriptions are ended.
#include <algorithm>

#include "walk.hpp"

namespace presence::test::walking {

void walk::change_rules() {
  tick();
  if (!may("rules")) return;
  const std::string resource = a_resource();
  const bool meets_them_early = chance(30) && !evicts && !shares;  // with what is read again the engine meets them for everybody
  if (meets_them_early) advance();  // or the next call would make decisions that are due by the new rules
  written_rules& written = rules[resource];
  const auto dice = pick(10);
  if (dice < 1) {
    note_down("rules of ", resource, ": none");
    rules.erase(resource);
  } else if (dice < 2 && !other) {  // each engine has read what it has read
    written.broken = true;
    written.text = "<ruleset";
    note_down("rules of ", resource, ": broken");
  } else {
    std::vector<rule> all = written.rules;
    if (!all.empty() && chance(by_spheres ? 10 : 40)) all.erase(all.begin() + static_cast<std::ptrdiff_t>(pick(all.size())));
    else if (all.size() < 5 && chance(by_spheres ? 20 : 60)) all.push_back(some_rule(clock));
    else if (by_spheres && chance(80))
      all = {{.gives = {.handling = chance(70) ? sub_handling::polite_block : sub_handling::confirm}},
             {.sphere = one_of(std::array{"work", "home"}), .gives = {.handling = sub_handling::allow}}};
    else all = {some_rule(clock), some_rule(clock)};
    written = {all, document_of(all), false};
    note_down("rules of ", resource, ": ", written.text);
  }
  std::erase_if(edges, [&](const auto& known) { return known.first.second == resource; });  // noted again when announced
  if (meets_them_early && nothing_is_due()) {  // who subscribes before the engine is told meets the new rules
    for (auto more = 1 + pick(2); more > 0; --more) {
      subscribe();
      audit();
    }
  }
  announce(resource);
}

/// After a storage failure advance() rests, and decisions that are due stay so.
bool walk::nothing_is_due() const {
  return clock >= blocked_until && std::all_of(publications.begin(), publications.end(), [&](const auto& p) { return p.deadline > clock; });
}

void walk::announce(const std::string& resource) {
  announcing = true;
  for (int kind = 0; kind < published_kinds; ++kind) {
    if (!how.ruled[kind]) continue;
    while (!refresh(resource, kind, refresh_type::authorization)) {
    }
  }
  announcing = false;
}

void walk::refresh_watchers() {
  tick();
  const int kind = a_kind();
  refresh(a_resource(), kind, chance(50) ? refresh_type::state : refresh_type::authorization);
}

bool walk::refresh(const std::string& resource, int kind, refresh_type type) {
  note_down("refresh_watchers ", resource, " ", package_names[kind], type == refresh_type::state ? " state" : " rules");
  maybe_fault();
  effects out = engine->refresh_watchers(resource, package_names[kind], type, now);
  if (failed(out, false, "refresh_watchers")) return false;
  refreshed(resource, kind, type, out);
  return true;
}

void walk::refreshed(const std::string& resource, int kind, refresh_type type, const effects& out) {
  expectation expected;
  const look was = look_at(resource, kind);
  if (mark_lapsed(resource, kind)) decide_elsewhere(expected, resource, kind, was);
  const auto edge = edges.find({kind, resource});
  const bool watched = std::any_of(subscriptions.begin(), subscriptions.end(), [&](const auto& s) { return s.resource == resource && s.kind == kind; });
  const bool due = (by_sphere.contains({kind, resource}) && (watched || !shares)) || (edge != edges.end() && edge->second <= clock);
  if (type == refresh_type::authorization || due) {
    decide_again(expected, resource, kind, was, {}, -1, shares && type == refresh_type::authorization && has_views(kind));
    decide_waiting(expected, resource, kind);
  }
  if (type == refresh_type::state) {
    std::erase_if(expected.notifies, [](const expected_notify& e) { return e.optional; });
    std::set<int> told;  // what was decided, with the new state
    for (const expected_notify& e : expected.notifies) told.insert(e.name);
    std::vector<int> over;
    for (m_subscription& s : subscriptions) {
      // who is politely blocked is told as one whose resource is offline would be (SEC-LEAK-1)
      if (s.resource != resource || s.kind != kind || s.stands == stand::pending || !hears(s) || told.contains(s.name)) continue;
      if (s.in_flight) s.owes = owing::yes;
      else if (expect_last(expected, s)) over.push_back(s.name);
      else expect_notify(expected, s);
    }
    for (const int name : over) end(expected, name, "noresource");
  }
  settle(resource, kind);
  compare(expected, out, "refresh_watchers");
}

void walk::owe() {
  tick();
  const auto due = soonest();
  if (due && *due <= clock + seconds{2}) return;
  const std::string resource = a_resource();
  const int kind = a_kind();
  const auto tell = [&] { return engine->refresh_watchers(resource, package_names[kind], refresh_type::state, now); };
  note_down("refresh_watchers ", resource, " ", package_names[kind], " state, by both");
  maybe_fault(false);
  rows->lose_answer(1);
  const effects lost = tell();
  rows->lose_answer(0);
  if (!lost.storage_failed) return refreshed(resource, kind, refresh_type::state, lost);  // there was nobody
  for (m_subscription& s : subscriptions) {  // their numbers are used
    if (s.resource != resource || s.kind != kind || s.stands == stand::pending) continue;
    ++dialogs[s.dialog].notify_cseq;
    if (!about_watchers(kind) && !sent_to(s, dialogs[s.dialog].contact).has_body) continue;
    told_versions[usage_of(s)] = ++s.version;
  }
  turn_to(1 - turn);
  refreshed(resource, kind, refresh_type::state, tell());
  turn_to(1 - turn);
  effects none;
  find_out(none);
  found_out = false;
  require(none.notifies.empty(), "what another engine has changed since is told as it was");
  const effects paid = engine->cleanup(now);
  blocked_until = std::min(blocked_until, clock);
  refreshed(resource, kind, refresh_type::state, paid);
  counts.met["owed"] += paid.notifies.size();
}

void walk::terminate() {
  tick();
  const bool everything = chance(20);
  const std::string resource = everything || chance(90) ? a_resource() : std::string{};
  const bool one_by_one = shares && resource.empty();  // state by state, each a change of its own
  const int kind = everything || (chance(40) && !one_by_one) ? -1 : a_kind();
  static constexpr end_reason reasons[] = {end_reason::deactivated, end_reason::probation, end_reason::giveup,
                                           end_reason::noresource,  end_reason::rejected,  end_reason::invariant};
  end_reason reason = everything ? end_reason::noresource : one_of(reasons);
  // advance() rests; or nothing is decided about who has no second left, and that stays due
  const bool undecided = shares && !std::all_of(subscriptions.begin(), subscriptions.end(), [&](const auto& s) { return hears(s); });
  if (reason == end_reason::invariant && (clock < blocked_until || undecided)) reason = end_reason::deactivated;
  const std::string why{to_string(reason)};
  if (reason == end_reason::invariant) advance(shares);  // while decisions are due nobody is shown anything
  note_down(everything ? "remove_resource " : "terminate_watchers ", resource, " ", kind < 0 ? "" : package_names[kind], " ", why);
  maybe_fault(!one_by_one);
  effects out = everything ? engine->remove_resource(resource, now)
                                 : engine->terminate_watchers(resource, kind < 0 ? "" : package_names[kind], reason, now, seconds{17});
  if (failed(out, false, "terminate")) return;
  expectation expected;
  const auto meant = [&](const auto& one) { return (resource.empty() || one.resource == resource) && (kind < 0 || one.kind == kind); };
  for (auto& p : publications) p.leaving = p.deadline <= clock;  // the final state has nothing of it
  std::vector<int> over;
  for (const m_subscription& s : subscriptions) {
    if (!meant(s) || (reason == end_reason::giveup && s.stands != stand::pending)) continue;
    std::optional<shown> last;
    if (reason == end_reason::invariant && s.stands != stand::pending) {
      last = about_watchers(s.kind) ? shown{} : sent_to(s, dialogs[s.dialog].contact);
    }
    const bool again = reason == end_reason::probation || reason == end_reason::giveup;
    expected_notify& e = expect_end(expected, s, why.c_str(), last);
    if (again) {
      e.retry_after = 17;
      e.subscription_state += ";retry-after=17";
    }
    over.push_back(s.name);
  }
  for (auto& p : publications) p.leaving = false;
  // RFC 3857 has no word for a state that will never change: the watcher ends as by a timeout
  for (const int name : over) end(expected, name, reason == end_reason::invariant ? "timeout" : why.c_str());
  if (everything) {
    std::erase_if(publications, [&](const auto& p) { return p.resource == resource; });
    std::erase_if(undecideds, [&](const m_undecided& u) {
      if (u.resource != resource) return false;
      tell_waiting_over(expected, u, "noresource");
      return true;
    });
  }
  if (!over.empty()) counts.met["ended by the host"] += over.size();
  compare(expected, out, "terminate");
}

}  // namespace presence::test::walking
