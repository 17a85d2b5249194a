// Time passes, answers to NOTIFYs come in, the process ends and begins again.
#include <algorithm>

#include "walk.hpp"

namespace presence::test::walking {

void walk::one_step() {
  if (other && chance(50)) turn_to(1 - turn);
  if (other && may("races") && chance(2)) return owe();
  const auto what = pick(100);
  if (what < 30) pass_time();
  else if (what < 52) publish();
  else if (what < 76) subscribe();
  else if (what < 90) answer_some();
  else if (what < 94) change_rules();
  else if (what < 96) refresh_watchers();
  else if (what < 97) terminate();
  else if (what < 98 && own_rows && may("restart")) restart();
  else if (what < 99 && bounds.subs_db_mode == 2) flush();
  else answer_some();
}

/// The engine and the model learn what time it is.
void walk::tick() {
  clock = std::max(clock, now);
  for (presence::engine* one : {engine.get(), other.get()})
    require(one == nullptr || one->report({}, now).notifies.empty(), "the outcome of no NOTIFY had an effect");
}

void walk::pass_time() {
  const bool ms = may("milliseconds");
  instant to = now;
  switch (pick(12)) {
    case 0: case 1: case 2: break;
    case 3: case 4: to += ms ? milliseconds{pick(1000)} : milliseconds{1000}; break;
    case 5: case 6: case 7: to += seconds{1 + pick(20)}; break;
    case 8: case 9: {  // to a deadline, or next to it
      std::vector<instant> all;
      for (const auto& p : publications) all.push_back(p.deadline);
      for (const auto& s : subscriptions) all.push_back(s.deadline);
      for (const auto& u : undecideds) all.push_back(u.deadline);
      for (const auto& [state, edge] : edges) all.push_back(edge);
      if (!all.empty()) to = one_of(all) + milliseconds{ms ? static_cast<int>(pick(3)) - 1 : 0};
      if (to > now + seconds{300}) to = now + seconds{60};
      break;
    }
    case 10: to += seconds{chance(10) ? pick(4000) : pick(100)}; break;
    default:
      if (chance(30)) to -= seconds{pick(100)};
  }
  if (!may("backwards")) to = std::max(to, now);
  now = to;  // the engine learns of it with the next call
  if (!may("late_advance") || chance(80)) advance();
}

void walk::advance(bool at_once) {
  tick();
  note_down("advance");
  const bool rests = clock < blocked_until && !at_once;
  const auto looks = rows ? rows->looks() : 0;
  maybe_fault(!at_once);
  if (rows && rows->armed() && !shares) rows->fail(1, made_to_fail);  // the first slice, or none
  if (loses_answer) rows->lose_answer(1);
  const bool writes = !rests && clock >= flush_due && engine->stats().held_back != 0;
  ended_in.clear();
  effects all = at_once ? engine->cleanup(now) : engine->advance(now);
  if (writes) {
    const bool made = rows->made() != made_before, fault = rows->failed() != faults_before;
    require(made || fault, "what is held back is not written in time");
    flush_due = clock + (made && !(loses_answer && fault) ? bounds.db_update_period : bounds.retry_after);
  }
  if (failed(all, false, "advance")) return;
  const auto made = rows ? rows->made() : 0;
  if (at_once) blocked_until = std::min(blocked_until, clock);
  int slices = 1;
  all.more = all.more || found_out;
  for (; all.more; ++slices) {
    require(slices < 10'000, "advance() never ends");
    effects slice = std::exchange(found_out, false) ? engine->cleanup(now) : engine->advance(now);  // one rests, the other does not
    if (slices == 1 && shares) blocked_until = std::min(blocked_until, clock);
    all.more = slice.more;
    for (auto& n : slice.notifies) all.notifies.push_back(std::move(n));
  }
  const bool wrote_late = bounds.subs_db_mode == 2 && rows->made() != made;  // amid what this call does
  if (wrote_late) flush_due = clock + bounds.db_update_period;
  if (rests) return require(all.notifies.empty() && slices == 1, "advance() does not rest after a storage failure");
  if (shares && rows->looks() == looks) {
    const auto due = soonest();
    require(!due || clock < *due, "what is due is not looked for within a second");
    return require(all.notifies.empty(), "something is told that was not looked for");
  }

  expectation expected;
  expected.sliced = slices > 1 || at_once;
  std::set<int> paid;
  for (m_subscription& s : subscriptions) {
    if (!std::exchange(s.unpaid, false) || s.owes == owing::no || s.in_flight || !hears(s)) continue;
    if (!about_watchers(s.kind)) paid.insert(s.name);
    else expect_notify(expected, s);
  }
  // documents lapse
  std::set<std::pair<int, std::string>> lapsed;
  for (const auto& p : publications)
    if (p.deadline <= clock) lapsed.insert({p.kind, p.resource});
  // which of them comes first is free; with a sphere that lapses others are decided about
  std::vector<std::pair<int, std::string>> lapsing{lapsed.begin(), lapsed.end()};
  std::stable_sort(lapsing.begin(), lapsing.end(), [&](const auto& a, const auto& b) {
    const auto at = [&](const auto& one) { return std::find(ended_in.begin(), ended_in.end(), std::pair{std::string{package_names[one.first]}, one.second}); };
    return at(a) < at(b);
  });
  for (const auto& [kind, resource] : lapsing) {
    const look was = look_at(resource, kind);
    mark_lapsed(resource, kind);
    tell_change(expected, resource, kind, was);
    settle_later.emplace_back(resource, kind);
  }
  for (const int name : paid) {
    m_subscription* s = find(name);
    if (s == nullptr) continue;
    if (s->in_flight) {  // told already; by another slice, perhaps
      if (expected.sliced) s->owes = owing::perhaps;
    } else {
      expect_present(expected, name);
    }
  }
  for (const auto& [resource, kind] : std::exchange(settle_later, {})) settle(resource, kind);
  // subscriptions lapse
  std::vector<int> over;
  for (const auto& s : subscriptions) {
    if (s.deadline > clock) continue;
    over.push_back(s.name);
    const bool given_up = gives_up(s);
    counts.met["given up"] += given_up;
    expect_end(expected, s, given_up ? "giveup" : "timeout");
  }
  std::erase_if(undecideds, [&](const m_undecided& u) {
    if (u.pending != 0 || u.deadline > clock) return false;
    tell_waiting_over(expected, u, "giveup");
    return true;
  });
  // which of those that are due at once ends first is free, and says whether a watcher of several waits
  const auto order = [&](int name) {
    const m_subscription& s = *find(name);
    const std::string event = package_names[s.kind] + (s.event_id.empty() ? "" : ";id=" + s.event_id) + s.about.parameters();
    return std::find_if(all.notifies.begin(), all.notifies.end(), [&](const notify& n) {
      return n.dialog.call_id() == dialogs[s.dialog].call_id && n.dialog.event() == event;
    }) - all.notifies.begin();
  };
  std::stable_sort(over.begin(), over.end(), [&](int a, int b) { return order(a) < order(b); });
  for (const int name : over) end(expected, name, "timeout");
  // decisions may be others by now
  std::set<std::pair<int, std::string>> states;
  for (const auto& s : subscriptions) states.insert({s.kind, s.resource});
  for (const auto& u : undecideds) states.insert({u.kind, u.resource});
  std::erase_if(edges, [&](const auto& known) { return known.second <= clock; });
  for (const auto& [kind, resource] : states) {
    if (!how.ruled[kind]) continue;
    const auto edge = edges.find({kind, resource});
    if (shares && edge != edges.end() && edge->second == clock + milliseconds{1}) continue;  // who waits is looked at within a second
    const auto before = expected.notifies.size() + expected.changes.size();
    decide_again(expected, resource, kind, look_at(resource, kind), {}, -1);
    decide_waiting(expected, resource, kind);
    if (expected.notifies.size() + expected.changes.size() != before) counts.met["decided by time"]++;
  }
  compare(expected, all, "advance");
  if (wrote_late) flush();
}

/// Answers of watchers come in, in any order, or not at all.
void walk::answer_some() {
  tick();
  if (!may("late_advance") || !may("report_before_advance")) advance();
  for (auto count = 1 + pick(5); count > 0 && !outstanding.empty(); --count) {
    report(chance(50) ? outstanding.size() - 1 : pick(outstanding.size()));
    audit();
  }
  if (chance(10)) {
    const effects out = engine->report({.id = {static_cast<std::uint32_t>(pick(100)), static_cast<std::uint32_t>(pick(100)) * 2, 1}, .status = 481}, now);
    require(out.notifies.empty(), "an unknown outcome had an effect");
  }
}

m_subscription* walk::told(const sent& one) {
  if (!shares) return find(one.name);
  if (one.answered || clock - one.at >= seconds{600}) return nullptr;
  for (auto& s : subscriptions)
    if (usage_of(s) == one.to && s.about.parameters() == one.parameters) return &s;
  return nullptr;
}

void walk::report(std::size_t at) {
  const sent one = outstanding[at];
  turn_to(one.by);
  static constexpr int ends[] = {481, 404, 405, 410, 416, 480, 482, 483, 484, 485, 489, 501, 604, 0, 408};
  static constexpr int keeps[] = {500, 503, 403, 400, 302, 603, 486, 488, 491};
  static constexpr int undecided_codes[] = {100, 183, 401, 407};
  const auto dice = pick(100);
  const int status = dice < 4 ? one_of(ends) : dice < 12 ? one_of(keeps) : dice < 15 ? one_of(undecided_codes) : 200;
  const bool provisional = dice >= 12 && dice < 15, ended = dice < 4;
  // some answers come twice; an evicted state knows no dialog of the second
  if (!provisional && (evicts || !chance(3)))
    outstanding.erase(outstanding.begin() + static_cast<std::ptrdiff_t>(at));
  else if (!provisional) outstanding[at].answered = true;
  note_down("outcome of CSeq ", std::to_string(one.id.cseq), " to subscription ", std::to_string(one.name), ": ", std::to_string(status));

  maybe_fault();
  effects out = engine->report({.id = one.id, .status = status}, now);
  const bool fault = failed(out, false, "report");
  if (shares && ended && fault) return;  // whom it is about has to be looked for
  expectation expected;
  m_subscription* s = told(one);
  if (s == nullptr || provisional || (shares ? !ended : s->newest != one.id.cseq)) {
    require(!fault, "a storage failure without a reason");
    return compare(expected, out, "report");
  }
  s->in_flight = false;
  if (status != 200) s->unsure = !shares;
  const bool due = s->owes == owing::yes || (s->owes == owing::perhaps && !out.notifies.empty());
  if (ended) {
    if (fault) return;
    end(expected, s->name, "timeout");
  } else if (due && hears(*s)) {
    s->unpaid = fault;  // advance() tries again
    if (fault) return;
    const look was = look_at(s->resource, s->kind);
    const std::string resource = s->resource;
    const int kind = s->kind;
    mark_lapsed(resource, kind);
    tell_change(expected, resource, kind, was);
    s = find(one.name);
    if (s != nullptr && !s->in_flight) {
      std::erase_if(expected.notifies, [&](const expected_notify& n) { return n.optional && n.name == one.name; });  // for certain now
      expect_present(expected, one.name);
    }
    settle(resource, kind);
  } else if (s->owes == owing::perhaps) {
    s->owes = owing::no;
  }
  require(!fault, "a storage failure without a reason");
  compare(expected, out, "report");
}

void walk::restart() {
  tick();
  // rules that changed without a word are acted on by the first advance(); here none are left
  for (auto& [resource, written] : rules) {
    if (written.broken) written = {written.rules, document_of(written.rules), false};
    announce(resource);
  }
  for (int n = 0; n < 4; ++n) announce("sip:r" + std::to_string(n) + "@example.com");
  const bool flushed = chance(50);
  note_down(flushed ? "restart" : "crash");
  if (flushed) flush();
  else if (bounds.subs_db_mode == 2) forget_unwritten();
  maybe_fault();
  engine.reset();
  last_good.clear();
  make_engine();
  rows->fail(0);
  std::erase_if(outstanding, [this](const sent& one) { return one.by == turn; });
  blocked_until = {};
  if (shares) {  // nothing was in memory
    for (int n = 0; n < 4; ++n) announce("sip:r" + std::to_string(n) + "@example.com");  // a package knows which rules it read last
    return compare_rows();
  }
  key_of_id.clear();
  id_of_key.clear();
  ambiguous.clear();
  by_sphere.clear();
  edges.clear();
  for (auto& s : subscriptions) {
    s.in_flight = s.unpaid = false;
    s.owes = owing::no;
    s.unsure = s.blank = true;
    s.watchers.clear();
    s.untold.clear();
    if (!flushed || !may("exact_versions")) s.version_may_jump = true;
    if (!flushed) dialogs[s.dialog].may_jump = true;
    if (!how.ruled[s.kind]) continue;
    const m_answer answer = ask(s.kind, s.resource, s.watcher, s.proven);
    note(s.kind, s.resource, answer);
    // what was decided and not written is decided again by the first advance()
    if (stands_as(answer.handling) != s.stands || answer.handling == sub_handling::block) edges[{s.kind, s.resource}] = clock;
    else s.sees = answer.sees;
  }
  for (auto& u : undecideds) {  // what the row tells
    u.key = "u" + u.resource + package_names[u.kind] + u.watcher;
    if (u.pending != 0) continue;
    u.since = u.deadline - bounds.waiting_limit;
    if (how.ruled[u.kind]) edges[{u.kind, u.resource}] = clock;
  }
  compare_rows();
}

void walk::flush() {
  tick();
  note_down("flush");
  maybe_fault();
  while (true) {
    const auto before = rows->failed();
    const auto done = engine->flush(now);
    if (done) break;
    require(rows->failed() != before, done.error());
    now = blocked_until = clock + bounds.retry_after;  // if it was numbers that could not be written, advance() rests until then
    tick();
    rows->fail(0);
    rows->lose_answer(0);
  }
  rows->fail(0);
  rows->lose_answer(0);
  require(engine->stats().held_back == 0, "something is held back after flush()");
  write_down();
}

void walk::write_down() {
  if (bounds.subs_db_mode != 2) return;
  stored = *this;
  for (auto& p : stored.publications) p.what = std::make_shared<content>(*p.what);
}

void walk::forget_unwritten() {
  m_state back = stored;
  for (auto& p : back.publications) p.what = std::make_shared<content>(*p.what);
  for (auto& s : back.subscriptions) s.version = told_versions[usage_of(s)];
  for (std::size_t d = 0; d < back.dialogs.size(); ++d) {
    dialogs[d].contact = back.dialogs[d].contact;
    dialogs[d].remote_cseq = back.dialogs[d].remote_cseq;
  }
  counts.met["lost by a crash"] += publications.size() + subscriptions.size();
  publications = std::move(back.publications);
  subscriptions = std::move(back.subscriptions);
  undecideds = std::move(back.undecideds);
}

void walk::drain() {
  if (rows) rows->fail(0);
  faultless = true;
  if (own_rows) {
    flush();
    compare_rows();
  }
  for (int round = 0; round < 2; ++round) {  // who was pending waits first
    now = clock + std::chrono::hours{24 * 3650};
    advance();
  }
  require(publications.empty() && subscriptions.empty() && undecideds.empty(), "the model is not empty");
  audit();
  const engine_stats end = engine->stats();
  require(end.resources == 0 && end.publications == 0 && end.subscriptions == 0 && end.undecided == 0, "the engine is not empty");
  if (!own_rows) return;
  flush();
  compare_rows();
}

}  // namespace presence::test::walking
