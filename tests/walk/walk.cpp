#include "walk.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#if PRESENCE_TEST_SOCI
#include "../server_database.hpp"
#include "../sqlite_file.hpp"
#endif

namespace presence::test::walking {

walk::walk(const settings& wanted) : maker{wanted.seed}, given{wanted}, bytes{wanted.seed} {
  clock = now = origin = instant{seconds{1'700'000'000}};
  bounds.server_address = "sip:server.example.com";
  bounds.waiting_limit = seconds{pick(3) == 0 ? 100 : 5000};
  bounds.advance_budget = may("slices") && pick(3) == 0 ? 1 + pick(5) : 1000;
  bounds.cseq_block = static_cast<std::uint32_t>(pick(3) == 0 ? 1 + pick(4) : 64);
  bounds.enable_sphere_check = chance(60);
  if (pick(3) == 0) {  // small limits are met often (RL7)
    bounds.limits.publications_per_resource = 3;
    bounds.limits.subscriptions_per_watcher = 8;
    bounds.limits.subscriptions_per_watcher_and_resource = 2 + pick(3);
    bounds.limits.subscriptions_per_resource = 7;
    bounds.limits.usages_per_dialog = 4;
  }
  bounds.limits.views_kept = pick(3) == 0 ? pick(3) : 64;  // no watcher can tell
  if (chance(30)) bounds.pending_limit = seconds{30 + pick(400)};
  if (!given.cache.empty()) {
    evicts = true;
    bounds.fallback2db = true;
    bounds.cache_states = 1 + pick(3);
    bounds.cseq_block = 1;  // rows tell exactly what was told
    if (!bounds.set("cache_policy", given.cache)) throw std::runtime_error{"there is no policy " + given.cache};
    bounds.limits.subscriptions_per_watcher = limits{}.subscriptions_per_watcher;  // counted in memory
  }
  resources = 1 + pick(4);
  focus[0] = focus[1] = a_published_kind();
  if (watchers_of(focus[0]) >= 0) focus[1] = watchers_of(focus[0]);
  how.presence.several = static_cast<presence_options::composing>(pick(3));
  how.presence.closes_leaving = chance(30);
  how.presence.nothing = static_cast<presence_options::unpublished>(pick(3));
  how.messages.several = static_cast<message_summary_options::combining>(pick(2));
  how.messages.empty_when_unknown = chance(30);
  how.messages.message_headers = chance(40);
  how.dialog.strangers = static_cast<dialog_options::shown>(pick(3));
  how.dialog.single_dialog = chance(25);
  how.dialog.partial = chance(50);
  how.ruled[k_presence] = may("rules");
  how.ruled[k_messages] = may("rules") && chance(50);
  how.ruled[k_dialog] = may("rules") && chance(40);
  how.ruled[k_sla] = may("rules") && chance(30);
  how.without_document = std::array{sub_handling::allow, sub_handling::allow, sub_handling::confirm, sub_handling::polite_block, sub_handling::block}[pick(5)];
  how.lenient = chance(30);

  if (given.mode == "database_only") {
    shares = true;
    bounds.subs_db_mode = 3;
    bounds.owner_grace = seconds{0};
    bounds.limits.subscriptions_per_watcher = limits{}.subscriptions_per_watcher;  // counted in one call
    by_spheres = chance(30);
    if (by_spheres) {  // which decides about watchers of two packages
      bounds.enable_sphere_check = true;
      resources = 1;
      focus = {k_presence, static_cast<int>(1 + pick(3))};
      how.ruled[k_presence] = how.ruled[focus[1]] = may("rules");
    }
  }
  if (given.mode == "write_back") {
    bounds.subs_db_mode = 2;
    bounds.db_update_period = seconds{1 + pick(120)};
  }
  if (given.mode == "memory") {
  } else if (given.storage == "memory_storage") {
    own_rows = std::make_unique<memory_storage>();
  } else {
#if PRESENCE_TEST_SOCI
    const auto open = [&](auto database) {
      own_rows = database->open();
      place = database;
    };
    if (given.storage == "sqlite") open(std::make_shared<sqlite_file>());
    if (given.storage == "postgres") open(std::make_shared<postgres_database>());
    if (given.storage == "mariadb") open(std::make_shared<mariadb_database>());
#else
    throw std::runtime_error{"built without SQL storage"};
#endif
  }
  if (own_rows) rows = std::make_unique<racing_storage>(*own_rows);
  if (shares)
    rows->on_change = [this](const change& made) {
      for (const auto& key : made.ended_publications) ended_in.emplace_back(key.event, key.resource);
    };
  make_engine();
  if (shares && may("other_engine") && pick(2) == 0) {
    turn_to(1);
    make_engine();
  }
}

walk::~walk() {
  engine.reset();
  other.reset();
  own_rows.reset();
}

void walk::run() {
  for (step = 1; step <= given.steps; ++step) {
    one_step();
    audit();
    if (own_rows && step % (given.storage == "memory_storage" ? 50 : 200) == 0) compare_rows();
    if (given.steps > 50'000 && step % 50'000 == 0) {
      std::printf("step %llu: %zu publications, %zu subscriptions, %zu undecided\n", static_cast<unsigned long long>(step),
                  publications.size(), subscriptions.size(), undecideds.size());
      std::fflush(stdout);
    }
  }
  drain();
}

void walk::fail(const std::string& why) const {
  std::string text = why + "\nthe last operations:\n";
  for (const auto& line : history) text += line + "\n";
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c != '\n' && (c < ' ' || c > '~'); }, '?');
  throw std::runtime_error{text};
}

void walk::make_engine() {
  if (shares) bounds.owner_id = "engine-" + std::to_string(turn);
  engine = std::make_unique<presence::engine>(bounds, host_hooks{}, rows.get(), &bytes);
  event_package all[] = {presence_package(how.presence), message_summary_package(how.messages), dialog_package(how.dialog),
                         dialog_sla_package({.strangers = how.dialog.strangers,
                                             .shares = [](std::string_view, const identity& who) { return who.proves(line_sharer); }}),
                         joined_package()};
  flush_due = clock + bounds.db_update_period;
  for (int kind = 0; kind < published_kinds; ++kind) {
    event_package& package = all[kind];
    package.winfo = watchers_of(kind) >= 0;
    const auto source = [this](std::string_view resource) -> std::optional<std::string> {
      const auto found = rules.find(std::string{resource});
      return found == rules.end() ? std::nullopt : std::optional{found->second.text};
    };
    if (how.ruled[kind]) authorize_by_rules(package, source, {.without_document = how.without_document, .lenient = how.lenient});
    while (true) {
      const auto added = engine->add_event(package, clock);
      if (added) break;
      require(rows && rows->failed() != 0, added.error());
      rows->fail(0);  // it was made to fail; the next attempt succeeds
    }
  }
}

void walk::maybe_fault(bool any) {
  if (!rows) return;
  rows->fail(0);
  rows->lose_answer(0);
  faults_before = rows->failed();
  made_before = rows->made();
  writes_before = rows->writes();
  loses_answer = found_out = false;
  rows->between = nullptr;
  meanwhile.reset();
  if (any && other && !announcing && may("races") && chance(10)) return race();
  if (!any || faultless || !may("faults") || !chance(4)) return;
  if (chance(30)) {
    made_to_fail = storage_fault::unavailable;
    loses_answer = true;
    return rows->lose_answer(1 + pick(2));
  }
  made_to_fail = chance(50) ? storage_fault::unavailable : storage_fault::conflict;
  rows->fail(1 + pick(shares ? 10 : 2), made_to_fail);  // each call reads there
}

void walk::turn_to(int which) {
  if (std::exchange(turn, which) == which) return;
  std::swap(engine, other);
  std::swap(blocked_until, other_blocked_until);
}

void walk::race() {
  // what is told then changes nothing else
  const auto due = soonest();
  if (due && *due <= clock + seconds{2}) return;
  raced = {a_resource(), a_kind()};
  rows->times = 1;
  rows->between = [this] { meanwhile = other->refresh_watchers(raced.first, package_names[raced.second], refresh_type::state, now); };
}

void walk::find_out(effects& out) {
  found_out = true;
  const bool asks = chance(50);
  effects late = asks ? engine->publish({.resource = "sip:nobody@example.com", .event = "none"}, now)
                      : engine->refresh_watchers("sip:nobody@example.com", "presence", refresh_type::state, now);
  require(!late.storage_failed && late.answer.status == (asks ? 489 : 0), "the call that finds out has another answer");
  out.notifies = std::move(late.notifies);
  out.storage_failed = false;
  counts.met["found out"]++;
}

bool walk::failed(effects& out, bool answers, const std::string& what) {
  if (rows) rows->fail(0), rows->lose_answer(0), rows->between = nullptr;
  if (const auto first = std::exchange(meanwhile, {})) {
    turn = 1 - turn;
    refreshed(raced.first, raced.second, refresh_type::state, *first);
    turn = 1 - turn;
    counts.met["raced"]++;
    counts.met["outrun"] += !first->notifies.empty();
  }
  if (rows && rows->made() != made_before) write_down();  // before anything that this call has done
  if (!out.storage_failed) return false;
  require(rows && rows->failed() != faults_before, what + ": a storage failure nobody made");
  require(out.notifies.empty(), what + ": a NOTIFY although nothing was stored");
  require(out.answer.status == (answers ? 503 : 0) && out.answer.retry_after.has_value() == answers,
          what + ": another answer to a storage failure: " + std::to_string(out.answer.status));
  require(out.answer.etag.empty() && !out.more, what + ": more than a refusal");
  note_down(what, " failed in the storage");
  counts.met["storage faults"]++;
  if (shares) {
    require(made_to_fail != storage_fault::conflict, what + ": a conflict is not tried again");
    if (!answers || rows->writes() != writes_before) blocked_until = clock + bounds.retry_after;
    const bool made = rows->made() != made_before;
    if (!made) compare_rows();
    if (made || other) find_out(out);  // or the other engine's changes would make it a guess
    require(made || out.notifies.empty(), what + ": something is told that was not made");
    found_out = made;
    return !made;
  }
  if (made_to_fail != storage_fault::conflict || !answers) blocked_until = clock + bounds.retry_after;
  for (m_dialog& d : dialogs) d.may_jump = true;  // numbers planned in vain
  // ends are remembered too early (event_package::inherit): rows leave out what nobody would be shown
  for (m_publication& p : publications) p.knows_more = p.knows_more || p.kind == k_dialog;
  static_cast<void>(engine->contains_presence("sip:nobody@example.com", clock));  // a call that looks: what was made unasked for is undone
  compare_rows();
  return true;
}

}  // namespace presence::test::walking
