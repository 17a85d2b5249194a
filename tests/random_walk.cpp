// RL1: seeded random operations on an engine, compared after each step with a naive model. The model
// is written from the specification (conformance sections 1-3 and 6.2) in plain vectors and linear
// searches and shares no code with the engine. A failing seed is printed and replays.
// rows: RL1, P03, P08-P15, P18, P19, P21, P22, P25, P29, P31, P33, S07, S19, M07, M08, M09, M10, N09, N22, HOST-12, PROP-2, PROP-3, PROP-7
#define DOCTEST_CONFIG_IMPLEMENT  // the pidf() helpers come with the test language
#include "scenario.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <random>
#include <set>
#include <stdexcept>

#include <presence/memory_storage.hpp>
#if PRESENCE_TEST_SOCI
#include <soci_storage.hpp>
#endif

namespace presence::test {
namespace {

// --- the packages of the walk ------------------------------------------------------------------------

constexpr int kinds = 3;
const char* const package_names[kinds] = {"presence", "message-summary", "dialog;sla"};
const char* const package_types[kinds] = {"application/pidf+xml", "application/simple-message-summary",
                                          "application/x-joined"};
constexpr seconds package_minimum[kinds] = {60s, 60s, 10s};
constexpr seconds package_default[kinds] = {3600s, 3600s, 300s};

/// All documents one behind the other; each NOTIFY tells its version.
event_package joined_package() {
  event_package package = opaque_package(package_names[2], {package_types[2]});
  package.etag_not_new = true;
  package.empty_publish = true;
  package.default_expires = package_default[2];
  package.min_expires = package_minimum[2];
  package.aggregate = [](std::string_view, std::span<const published> all) {
    std::string text;
    for (const published& p : all)
      if (!p.leaving && p.content) (text += '+') += p.content.bytes();
    return body{package_types[2], text.empty() ? "none" : text};
  };
  package.neutral = [](std::string_view) { return body{package_types[2], "none"}; };
  package.tailor = [](const body& state, const watcher_view& view) {
    return std::optional{body{package_types[2], "v" + std::to_string(view.version) + ";" + std::string{state.bytes()}}};
  };
  return package;
}

// --- the model -------------------------------------------------------------------------------------------

enum class stand { pending, active, polite };

struct m_publication {
  std::string resource;
  int kind;
  std::string etag, text, contact;  // text: tuples of a PIDF, else the bytes
  bool has_body;
  instant since, deadline;
  std::uint64_t arrival = 0;  // among documents of one millisecond
};

struct m_dialog {
  std::string call_id, from_tag, to_tag, resource, watcher;
  bool proven;
  std::uint32_t first_cseq, remote_cseq;  // of the initial SUBSCRIBE; of the last accepted one
  std::uint32_t sent_cseq;                // of the host's last request
  std::uint32_t notify_cseq = 0;          // of the last NOTIFY
  bool may_jump = false;                  // numbers reserved before a crash are skipped
  std::string contact = {};               // its remote target, for all usages
};

struct m_subscription {
  int name;
  std::string resource;
  int kind;
  std::string event_id, watcher;
  bool proven;
  std::size_t dialog;
  stand stands;
  instant deadline;
  bool in_flight = false, owes = false;
  std::uint32_t newest = 0;  // CSeq of its newest NOTIFY
  std::uint32_t version = 0;
  bool version_may_jump = false;
};

struct m_undecided {
  std::string resource;
  int kind;
  std::string watcher;
  int pending;
  instant since, deadline;
};

struct expected_notify {
  std::size_t dialog;
  int name;  // of the subscription; -1: a fetch
  int kind;
  std::string event_id;
  std::string subscription_state;
  std::optional<std::string> text;
  std::string contact;
  std::uint32_t version = 0;  // of the last document of a subscription that ends, or of a fetch
  bool version_may_jump = false;
};

struct expectation {
  int status = 0;
  std::optional<std::uint32_t> expires = {};
  std::vector<expected_notify> notifies = {};
};

struct settings {
  std::uint64_t seed = 1;
  std::uint64_t steps = 100'000;
  std::string mode = "memory";
  std::set<std::string> without = {};
};

class walk {
 public:
  explicit walk(const settings& wanted) : given{wanted}, random{wanted.seed}, bytes{wanted.seed} {
    bounds.server_address = "sip:server.example.com";
    bounds.waiting_limit = seconds{pick(3) == 0 ? 100 : 5000};
    bounds.advance_budget = pick(2) == 0 ? 1 + pick(5) : 1000;
    bounds.cseq_block = static_cast<std::uint32_t>(pick(3) == 0 ? 1 + pick(4) : 64);
    if (pick(2) == 0) {  // small limits are met often (RL7)
      bounds.limits.publications_per_resource = 3;
      bounds.limits.subscriptions_per_watcher = 8;
      bounds.limits.subscriptions_per_resource = 7;
      bounds.limits.usages_per_dialog = 4;
    }
    if (given.mode == "memory_storage") {
      own_rows = std::make_unique<memory_storage>();
    } else if (given.mode == "sqlite") {
#if PRESENCE_TEST_SOCI
      const auto path = std::filesystem::temp_directory_path() / ("presence-walk-" + std::to_string(::getpid()) + ".db");
      file = path.string();
      std::filesystem::remove(file);
      soci_settings database{.db_url = "sqlite://" + file};
      database.commit = durability::normal;
      if (auto made = create_schema(database); !made) throw std::runtime_error{made.error().text};
      auto opened = open_soci_storage(database);
      if (!opened) throw std::runtime_error{opened.error().text};
      own_rows = std::move(*opened);
#else
      throw std::runtime_error{"built without SQL storage"};
#endif
    }
    make_engine();
  }
  ~walk() {
    engine.reset();
    own_rows.reset();
    if (!file.empty()) {
      for (const char* more : {"", "-wal", "-shm", "-journal"}) std::filesystem::remove(file + more);
    }
  }

  void run() {
    for (step = 1; step <= given.steps; ++step) {
      one_step();
      audit();
      if (own_rows && step % (given.mode == "sqlite" ? 200 : 50) == 0) compare_rows();
      if (given.steps > 50'000 && step % 50'000 == 0) {
        std::printf("step %llu: %zu publications, %zu subscriptions, %zu undecided, %llu NOTIFYs\n",
                    static_cast<unsigned long long>(step), publications.size(), subscriptions.size(),
                    undecideds.size(), static_cast<unsigned long long>(notified));
        std::fflush(stdout);
      }
    }
    drain();
  }

  std::uint64_t notified = 0;

 private:
  // --- chance ---
  std::size_t pick(std::size_t below) { return static_cast<std::size_t>(random() % below); }
  bool chance(unsigned percent) { return random() % 100 < percent; }
  bool may(const char* what) const { return !given.without.contains(what); }
  std::string a_resource() { return address("r" + std::to_string(pick(5))); }
  std::string a_watcher() { return address("w" + std::to_string(pick(6))); }

  // --- failing ---
  template <class... Text>
  void note(const Text&... text) {
    std::string line = "  " + std::to_string(step) + " @" + std::to_string((clock - start).count()) + "ms ";
    (line += ... += text);
    history.push_back(std::move(line));
    if (history.size() > 25) history.pop_front();
  }
  [[noreturn]] void fail(const std::string& why) {
    std::string text = why + "\nthe last operations:\n";
    for (const auto& line : history) text += line + "\n";
    std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c != '\n' && (c < ' ' || c > '~'); }, '?');
    throw std::runtime_error{text};
  }
  void require(bool holds, const std::string& why) {
    if (!holds) fail(why);
  }

  // --- the engine ---
  void make_engine() {
    engine = std::make_unique<presence::engine>(bounds, host_hooks{}, own_rows.get(), &bytes);
    event_package first = presence_package();
    first.req_auth = may("rules");
    first.authorize = [this](const authorization_query& q) { return handling_of(0, std::string{q.resource}, std::string{q.watcher.uri}, !q.watcher.uri.empty()); };
    for (event_package package : {first, opaque_package(package_names[1], {package_types[1]}), joined_package()}) {
      const auto added = engine->add_event(std::move(package), clock);
      require(added.has_value(), added ? "" : added.error());
    }
  }

  // --- the rules, read from the specification ---
  sub_handling handling_of(int kind, const std::string& resource, const std::string& watcher, bool proven) const {
    if (kind != 0 || !may("rules")) return sub_handling::allow;
    if (!proven) return sub_handling::block;
    const auto found = policy.find(resource + " " + watcher);
    return found == policy.end() ? sub_handling::allow : found->second;
  }
  bool held(const m_publication& p, const std::string& resource, int kind) const {
    return p.resource == resource && p.kind == kind;
  }
  /// The state made of what is published; of what is live at `now` only, unless `lapsed_too`.
  std::optional<std::string> compose(const std::string& resource, int kind, bool lapsed_too = false) const {
    std::string text;
    const m_publication* newest = nullptr;
    for (const m_publication& p : publications) {
      if (!held(p, resource, kind) || (!lapsed_too && p.deadline <= clock) || !p.has_body) continue;
      if (kind == 0 && !p.text.empty()) (text += text.empty() ? "" : ",") += p.text;
      if (kind == 2) (text += '+') += p.text;
      if (newest == nullptr || std::pair{p.since, p.arrival} >= std::pair{newest->since, newest->arrival}) newest = &p;
    }
    if (kind == 0) return "P(" + text + ")";
    if (kind == 2) return text.empty() ? "none" : text;
    return newest == nullptr ? std::nullopt : std::optional{newest->text};
  }
  std::optional<std::string> neutral(int kind) const {
    if (kind == 0) return "P()";
    if (kind == 2) return "none";
    return std::nullopt;
  }
  std::optional<std::string> view_of(stand stands, int kind, const std::optional<std::string>& state) const {
    if (stands == stand::pending) return std::nullopt;
    return stands == stand::polite ? neutral(kind) : state;
  }
  std::string told_state(const m_subscription& s) const {
    return (s.stands == stand::pending ? "pending" : "active") + std::string{";expires="} +
           std::to_string(std::chrono::floor<seconds>(s.deadline - clock).count());
  }
  void expect_notify(expectation& out, m_subscription& s, std::optional<std::string> text) {
    out.notifies.push_back({s.dialog, s.name, s.kind, s.event_id, told_state(s), std::move(text), dialogs[s.dialog].contact});
    s.in_flight = true;
    s.owes = false;
  }
  void expect_end(expectation& out, const m_subscription& s, const char* reason, std::optional<std::string> text = {}) {
    out.notifies.push_back({s.dialog, s.name, s.kind, s.event_id, std::string{"terminated;reason="} + reason,
                            std::move(text), dialogs[s.dialog].contact, s.version, s.version_may_jump});
  }
  /// A NOTIFY would have to say expires=0: what is left of it is treated as over (EVT-4.2.2-4).
  bool hears(const m_subscription& s) const { return s.deadline - clock >= 1s; }
  void fan_out(expectation& out, const std::string& resource, int kind, const std::optional<std::string>& before,
               const std::string& sender = {}, int except = -1) {
    const auto after = compose(resource, kind);
    if (before == after) return;
    for (m_subscription& s : subscriptions) {
      if (s.resource != resource || s.kind != kind || s.stands != stand::active || s.name == except || !hears(s))
        continue;
      if (!sender.empty() && dialogs[s.dialog].contact == sender) continue;
      if (s.in_flight) {
        s.owes = true;
      } else {
        expect_notify(out, s, after);
      }
    }
  }
  void drop_lapsed(const std::string& resource, int kind) {
    std::erase_if(publications, [&](const m_publication& p) { return held(p, resource, kind) && p.deadline <= clock; });
  }
  m_undecided* undecided_of(const std::string& resource, int kind, const std::string& watcher) {
    for (auto& u : undecideds)
      if (u.resource == resource && u.kind == kind && u.watcher == watcher) return &u;
    return nullptr;
  }
  void drop_undecided(m_undecided* u) { undecideds.erase(undecideds.begin() + (u - undecideds.data())); }
  void remove(int name, bool decided) {
    const auto at = std::find_if(subscriptions.begin(), subscriptions.end(), [&](const auto& s) { return s.name == name; });
    if (at->stands == stand::pending) {
      m_undecided* u = undecided_of(at->resource, at->kind, at->watcher);
      if (--u->pending == 0) {
        if (decided) drop_undecided(u);
        else u->deadline = clock + bounds.waiting_limit;
      }
    }
    subscriptions.erase(at);
  }
  void leave_pending(m_subscription& s, stand next) {
    if (s.stands == stand::pending && next != stand::pending) {
      m_undecided* u = undecided_of(s.resource, s.kind, s.watcher);
      if (--u->pending == 0) drop_undecided(u);
    }
    s.stands = next;
  }

  // --- comparing ---
  static std::string told(const expected_notify& e, const std::string& call_id) {
    return call_id + " " + e.event_id + " " + e.subscription_state + " " + e.text.value_or("(no body)");
  }
  void compare(const expectation& expected, const effects& out, const std::string& what) {
    notified += out.notifies.size();
    std::string all = what + "\n expected " + std::to_string(expected.status) + "\n";
    for (const auto& e : expected.notifies) all += "  " + told(e, dialogs[e.dialog].call_id) + "\n";
    all += " got\n" + to_string(out);
    for (const auto& n : out.notifies) all += "  " + std::string{n.dialog.call_id()} + " " + std::string{n.dialog.event()} + " " +
      n.subscription_state_value() + " " + std::string{n.content.bytes()} + "\n";
    require(out.answer.status == expected.status, all);
    require(out.answer.expires == expected.expires, all);
    require(out.notifies.size() == expected.notifies.size(), all);
    require(!out.storage_failed, all);
    std::vector<bool> met(expected.notifies.size());
    for (const notify& n : out.notifies) {
      std::size_t found = met.size();
      for (std::size_t i = 0; i < met.size(); ++i) {
        const auto& e = expected.notifies[i];
        const m_dialog& d = dialogs[e.dialog];
        const std::string event = package_names[e.kind] + (e.event_id.empty() ? "" : ";id=" + e.event_id);
        if (!met[i] && n.dialog.call_id() == d.call_id && n.dialog.remote_tag() == d.from_tag && n.dialog.event() == event &&
            (d.to_tag.empty() || n.dialog.local_tag() == d.to_tag))
          found = i;
      }
      require(found != met.size(), "a NOTIFY nobody expects: " + to_string(n) + "\n" + all);
      met[found] = true;
      check(expected.notifies[found], n, all);
    }
  }
  void check(const expected_notify& e, const notify& n, const std::string& all) {
    m_dialog& d = dialogs[e.dialog];
    require(n.subscription_state_value() == e.subscription_state, "another Subscription-State: " + to_string(n) + "\n" + all);
    require(n.dialog.remote_target() == e.contact, "another target\n" + all);
    require(d.may_jump ? n.cseq > d.notify_cseq : n.cseq == d.notify_cseq + 1,
            "CSeq " + std::to_string(n.cseq) + " after " + std::to_string(d.notify_cseq) + "\n" + all);
    d.notify_cseq = n.cseq;
    d.may_jump = false;
    const auto s = std::find_if(subscriptions.begin(), subscriptions.end(), [&](const auto& q) { return q.name == e.name; });
    require(n.content ? e.text.has_value() : !e.text.has_value(), "a body too many or too few: " + to_string(n) + "\n" + all);
    if (n.content) {
      std::string got{n.content.bytes()};
      if (e.kind == 0) got = tuples_of(got);
      if (e.kind == 2) {
        const auto end = got.find(';');
        const auto version = static_cast<std::uint32_t>(std::strtoul(got.c_str() + 1, nullptr, 10));
        got = got.substr(end + 1);
        const std::uint32_t due = s == subscriptions.end() ? e.version : s->version;
        const bool jump = s == subscriptions.end() ? e.version_may_jump : s->version_may_jump;
        require(jump ? version >= due : version == due,
                "version " + std::to_string(version) + " instead of " + std::to_string(due) + "\n" + all);
        if (s != subscriptions.end()) s->version = version;
      }
      require(got == *e.text, "another body: " + got + "\n" + all);
      require(n.content.content_type() == package_types[e.kind], "another type\n" + all);
      if (s != subscriptions.end()) {
        ++s->version;
        s->version_may_jump = false;
      }
    }
    if (s != subscriptions.end() && n.state != subscription_state::terminated) {
      s->newest = n.cseq;
      outstanding.push_back({n.id, s->name});
    }
  }
  void audit() {
    if (const auto wrong = engine->check()) fail("self-audit: " + *wrong);
    const engine_stats sizes_now = engine->stats();
    const auto sizes = [](std::size_t p, std::size_t s, std::size_t u) {
      return std::to_string(p) + " publications, " + std::to_string(s) + " subscriptions, " + std::to_string(u) + " undecided";
    };
    const std::string mine = sizes(publications.size(), subscriptions.size(), undecideds.size());
    const std::string its = sizes(sizes_now.publications, sizes_now.subscriptions, sizes_now.undecided);
    if (mine != its) {
      std::string all = "held: " + its + "; expected: " + mine;
      for (const auto& p : publications) all += "\n expected " + p.resource + " " + package_names[p.kind] + " " + p.etag;
      for (const auto& p : engine->publications({}, 0, 1000).records) all += "\n held " + p.resource + " " + p.event + " " + p.etag;
      for (const auto& s : subscriptions) all += "\n expected " + dialogs[s.dialog].call_id + " " + package_names[s.kind] + " " + s.event_id;
      for (const auto& s : engine->subscriptions({}, 0, 1000).records)
        all += "\n held " + std::string{s.dialog.call_id()} + " " + std::string{s.dialog.event()};
      fail(all);
    }
    std::set<std::string> states;
    for (const auto& p : publications) states.insert(p.resource + package_names[p.kind]);
    for (const auto& s : subscriptions) states.insert(s.resource + package_names[s.kind]);
    for (const auto& u : undecideds) states.insert(u.resource + package_names[u.kind]);
    require(states.size() == sizes_now.resources, "resources: " + std::to_string(sizes_now.resources) + "; expected: " + std::to_string(states.size()));
    // nobody may be woken too late (M01)
    std::optional<instant> soonest;
    const auto sooner = [&](instant t) { soonest = soonest ? std::min(*soonest, t) : t; };
    for (const auto& p : publications) sooner(p.deadline);
    for (const auto& s : subscriptions) sooner(s.deadline);
    for (const auto& u : undecideds)
      if (u.pending == 0) sooner(u.deadline);
    if (soonest) require(engine->next_deadline() && *engine->next_deadline() <= *soonest, "next_deadline is too late");
    // nobody is forgotten (PROP-7)
    for (const auto& s : subscriptions) require(!s.owes || s.in_flight, "the model owes a NOTIFY and waits for nothing");
  }
  /// The database says what the model says.
  void compare_rows() {
    std::vector<publication_row> p;
    std::vector<subscription_row> s;
    std::vector<watcher_row> w;
    for (cursor at; !at.done;) require(own_rows->publications({}, at, 7, p).has_value(), "the storage cannot be read");
    for (cursor at; !at.done;) require(own_rows->subscriptions({}, at, 7, s).has_value(), "the storage cannot be read");
    for (cursor at; !at.done;) require(own_rows->watchers({}, at, 7, w).has_value(), "the storage cannot be read");
    require(p.size() == publications.size(), "publications stored: " + std::to_string(p.size()));
    require(s.size() == subscriptions.size(), "subscriptions stored: " + std::to_string(s.size()));
    require(w.size() == undecideds.size(), "watchers stored: " + std::to_string(w.size()));
    for (const auto& row : p) {
      const auto at = std::find_if(publications.begin(), publications.end(), [&](const auto& m) { return m.etag == row.etag; });
      require(at != publications.end() && at->resource == row.resource && at->deadline == row.expires &&
                  at->since == row.since && (at->kind == 0 || at->text == row.content.bytes()),
              "a stored publication differs: " + row.resource + " " + row.event + " " + row.etag + " " +
                  std::to_string((row.since - start).count()) + " " + std::to_string((row.expires - start).count()) +
                  (at == publications.end() ? "" : "; expected " + std::to_string((at->since - start).count()) + " " +
                                                       std::to_string((at->deadline - start).count()) + " " + at->text));
    }
    for (const auto& row : s) {
      const auto at = std::find_if(subscriptions.begin(), subscriptions.end(), [&](const auto& m) {
        return dialogs[m.dialog].call_id == row.dialog.call_id() && dialogs[m.dialog].to_tag == row.dialog.local_tag() &&
               package_names[m.kind] == row.event && m.event_id == row.event_id;
      });
      require(at != subscriptions.end(), "a stored subscription nobody has: " + std::string{row.dialog.call_id()});
      require(at->deadline == row.expires && dialogs[at->dialog].contact == row.dialog.remote_target() && at->newest <= row.local_cseq &&
                  (row.state == subscription_state::pending) == (at->stands == stand::pending) &&
                  row.polite_block == (at->stands == stand::polite),
              "a stored subscription differs: " + std::string{row.dialog.call_id()});
    }
  }

  // --- the operations ---
  void one_step() {
    const auto what = pick(100);
    if (what < 30) pass_time();
    else if (what < 52) publish();
    else if (what < 78) subscribe();
    else if (what < 90) answer_some();
    else if (what < 93) change_policy();
    else if (what < 95) refresh_watchers();
    else if (what < 96 && own_rows) restart();
    else answer_some();
  }

  /// The engine and the model learn what time it is.
  void tick() {
    clock = std::max(clock, now);
    require(engine->report({}, now).notifies.empty(), "the outcome of no NOTIFY had an effect");
  }

  void pass_time() {
    const bool ms = may("milliseconds");
    instant to = now;
    switch (pick(12)) {
      case 0: case 1: case 2: break;
      case 3: case 4: to += ms ? milliseconds{pick(1000)} : 1s; break;
      case 5: case 6: case 7: to += seconds{1 + pick(20)}; break;
      case 8: case 9: {  // to a deadline, or next to it
        std::vector<instant> all;
        for (const auto& p : publications) all.push_back(p.deadline);
        for (const auto& s : subscriptions) all.push_back(s.deadline);
        if (!all.empty()) to = all[pick(all.size())] + milliseconds{ms ? static_cast<int>(pick(3)) - 1 : 0};
        if (to > now + 300s) to = now + 60s;
        break;
      }
      case 10: to += seconds{chance(20) ? pick(4000) : pick(100)}; break;
      default:
        if (chance(30)) to -= seconds{pick(100)};
    }
    if (!may("backwards")) to = std::max(to, now);
    now = to;  // the engine learns of it with the next call
    if (!may("late_advance") || chance(80)) advance();
  }

  void advance() {
    tick();
    note("advance");
    expectation expected;
    for (int kind = 0; kind < kinds; ++kind) {
      std::set<std::string> lapsed;
      for (const auto& p : publications)
        if (p.kind == kind && p.deadline <= clock) lapsed.insert(p.resource);
      for (const auto& resource : lapsed) {
        const auto before = compose(resource, kind, true);
        drop_lapsed(resource, kind);
        fan_out(expected, resource, kind, before);
      }
    }
    std::vector<int> over;
    for (const auto& s : subscriptions) {
      if (s.deadline > clock) continue;
      over.push_back(s.name);
      expect_end(expected, s, "timeout");
    }
    for (const int name : over) remove(name, false);
    std::erase_if(undecideds, [&](const m_undecided& u) { return u.pending == 0 && u.deadline <= clock; });

    effects all = engine->advance(now);
    for (int slices = 0; all.more; ++slices) {
      require(slices < 10'000, "advance() never ends");
      effects slice = engine->advance(now);
      all.more = slice.more;
      for (auto& n : slice.notifies) all.notifies.push_back(std::move(n));
    }
    compare(expected, all, "advance");
  }

  void publish() {
    tick();
    const int kind = static_cast<int>(pick(kinds));
    const std::string resource = a_resource();
    std::string event = package_names[kind];
    m_publication* target = nullptr;
    std::string tag;
    std::vector<m_publication*> own;
    for (auto& p : publications)
      if (held(p, resource, kind)) own.push_back(&p);
    if (!own.empty() && chance(75)) {
      target = own[pick(own.size())];
      tag = target->etag;
    }
    std::optional<seconds> asked;
    switch (pick(8)) {
      case 0: break;
      case 1: asked = target == nullptr && !may("discard") ? 100s : 0s; break;
      case 2: asked = seconds{1 + pick(80)}; break;
      case 3: asked = seconds{4294967295}; break;
      default: asked = seconds{60 + pick(600)};
    }
    bool has_body = target != nullptr ? chance(60) : chance(95);
    std::string type = package_types[kind];
    std::string text;
    if (kind == 0) {
      const auto tuples = pick(3);
      for (std::size_t i = 0; i < tuples; ++i)
        text += (i == 0 ? "t" : ",t") + std::to_string(++tuple) + (chance(50) ? ":open" : ":closed");
      if (target != nullptr && chance(30)) text = target->text;  // the same again
    } else {
      text = "doc" + std::to_string(pick(4)) + (chance(20) ? std::string(1, '\0') + "\xff" : "");
    }
    std::string raw = kind == 0 ? pidf(text, resource) : text;
    std::string sender;
    if (chance(10) && !subscriptions.empty() && may("sender")) sender = dialogs[subscriptions[pick(subscriptions.size())].dialog].contact;

    // one thing may be wrong
    enum class wrong { nothing, bad_event, bad_tag, foreign_tag, two_tags, bad_type, bad_document } flaw = wrong::nothing;
    if (chance(12)) flaw = static_cast<wrong>(1 + pick(6));
    switch (flaw) {
      case wrong::bad_event: event = chance(50) ? "" : "foo"; break;
      case wrong::bad_tag: tag = "never-given"; break;
      case wrong::foreign_tag: {
        const auto at = std::find_if(publications.begin(), publications.end(), [&](const auto& p) { return !held(p, resource, kind); });
        if (at == publications.end()) flaw = wrong::nothing;
        else tag = at->etag;
        break;
      }
      case wrong::two_tags: tag = "a, b"; break;
      case wrong::bad_type: type = "text/plain"; has_body = true; break;
      case wrong::bad_document:
        if (kind == 0) raw = "<presence", has_body = true;
        else flaw = wrong::nothing;
        break;
      case wrong::nothing: break;
    }
    note("publish ", resource, " ", event, " tag=", tag, " exp=", asked ? std::to_string(asked->count()) : "-", has_body ? " body " + text : "",
         sender.empty() ? "" : " sender=" + sender);

    // what the specification says
    expectation expected;
    const bool tag_live = target != nullptr && target->deadline > clock && flaw != wrong::bad_tag && flaw != wrong::foreign_tag;
    const auto count = std::count_if(own.begin(), own.end(), [&](const auto* p) { return p->deadline > clock; });
    const seconds lifetime = std::min(asked.value_or(package_default[kind]), bounds.max_expires);
    enum class does { refuse, discard, create, refresh, modify, end } op = does::refuse;
    if (flaw == wrong::bad_event) expected.status = 489;
    else if (flaw == wrong::two_tags) expected.status = 400;
    else if (!tag.empty() && !tag_live) expected.status = 412;
    else if (asked && *asked > 0s && *asked < package_minimum[kind]) expected.status = 423;
    else if (flaw == wrong::bad_type) expected.status = 415;
    else if (tag.empty() && !has_body && kind != 2) expected.status = 400;
    else if (flaw == wrong::bad_document && !(!tag.empty() && lifetime == 0s)) expected.status = 400;
    else if (tag.empty() && lifetime == 0s) op = may("discard") ? does::discard : does::refuse;
    else if (tag.empty()) op = static_cast<std::size_t>(count) >= bounds.limits.publications_per_resource ? does::refuse : does::create;
    else op = lifetime == 0s ? does::end : has_body ? does::modify : does::refresh;
    if (expected.status == 0) expected.status = op == does::refuse ? 503 : 200;
    if (expected.status == 200) expected.expires = static_cast<std::uint32_t>(lifetime.count());

    const effects out = engine->publish({.resource = resource,
                                         .event = event,
                                         .expires = asked ? expires_value{*asked} : expires_value{},
                                         .sip_if_match = tag,
                                         .content = {.type = has_body ? type : "", .bytes = has_body ? raw : ""},
                                         .who = {.uri = resource, .method = "digest"},
                                         .sender = sender},
                                        now);
    if (op != does::refuse && op != does::discard) {
      const auto before = compose(resource, kind, true);
      std::string etag = out.answer.etag;
      if (op == does::create) {
        publications.push_back({resource, kind, etag, has_body ? text : "", sender, has_body, clock, clock + lifetime, ++arrivals});
      } else if (op == does::end) {
        publications.erase(publications.begin() + (target - publications.data()));
      } else {
        target->etag = etag;
        target->deadline = clock + lifetime;
        if (op == does::modify) {
          target->text = text;
          target->has_body = true;
          target->since = clock;
          target->arrival = ++arrivals;
        }
      }
      drop_lapsed(resource, kind);
      fan_out(expected, resource, kind, before, sender);
    }
    compare(expected, out, "publish");
    if (out.answer.status == 200) {
      if (kind == 2 && !tag.empty()) require(out.answer.etag == tag, "etag_not_new: another tag");
      else require(tags.insert(out.answer.etag).second, "an entity tag was given twice (PROP-9)");
    } else {
      require(out.answer.etag.empty(), "a refusal has an entity tag");
    }
    if (out.answer.status == 423) require(out.answer.min_expires == package_minimum[kind].count(), "Min-Expires");
    if (out.answer.status == 503) require(out.answer.retry_after.has_value(), "no Retry-After");
    if (out.answer.status == 489) require(!out.answer.allow_events.empty(), "no Allow-Events");
  }

  void subscribe() {
    tick();
    // which dialog
    std::size_t d = dialogs.size();
    bool in_dialog = false, repeated = false;
    std::vector<std::size_t> live;
    for (const auto& s : subscriptions) live.push_back(s.dialog);
    const auto dice = pick(100);
    if (dice < 55 && !live.empty()) {
      d = live[pick(live.size())];
      in_dialog = true;
    } else if (dice < 60 && !dialogs.empty()) {
      d = pick(dialogs.size());  // perhaps long gone
      in_dialog = true;
    } else if (dice < 63 && !live.empty() && may("repeats")) {
      d = live[pick(live.size())];  // the initial SUBSCRIBE once more (S20)
      repeated = dialogs[d].remote_cseq == dialogs[d].first_cseq && std::count(live.begin(), live.end(), d) == 1;
      if (!repeated) d = dialogs.size();
    }
    if (in_dialog && dialogs[d].to_tag.empty()) in_dialog = false, d = dialogs.size();
    const bool fresh = d == dialogs.size();
    if (fresh) {
      const std::string n = std::to_string(dialogs.size());
      const auto first = static_cast<std::uint32_t>(1 + pick(3));
      dialogs.push_back({"call-" + n + "@example.com", "tag" + n, "", a_resource(), a_watcher(), chance(92), first, 0, first - 1});
    }
    m_dialog& dialog = dialogs[d];
    int kind = static_cast<int>(pick(kinds));
    std::string event_id = chance(15) ? std::to_string(pick(3)) : "";
    m_subscription* known = nullptr;
    std::vector<m_subscription*> usages;
    for (auto& s : subscriptions)
      if (s.dialog == d && s.deadline > clock) usages.push_back(&s);
    if ((in_dialog || repeated) && !usages.empty() && (repeated || chance(80))) {
      const m_subscription& one = *usages[pick(usages.size())];
      kind = one.kind;
      event_id = one.event_id;
    }
    if (in_dialog && !usages.empty() && !may("usages")) {
      kind = usages[0]->kind;
      event_id = usages[0]->event_id;
    }
    for (auto* s : usages)
      if (s->kind == kind && s->event_id == event_id) known = s;
    if (repeated && known == nullptr) return;

    std::optional<seconds> asked;
    switch (pick(8)) {
      case 0: break;
      case 1: asked = 0s; break;
      case 2: asked = seconds{pick(80)}; break;
      case 3: asked = seconds{4294967295}; break;
      default: asked = seconds{60 + pick(600)};
    }
    if (repeated && asked == 0s) asked = 100s;
    std::string watcher = dialog.watcher, event = package_names[kind];
    std::string contact = "sip:" + std::to_string(pick(3)) + "@" + std::to_string(d) + ".example.com";
    const char* accept = nullptr;
    std::uint32_t cseq = repeated ? dialog.first_cseq : dialog.sent_cseq + 1 + static_cast<std::uint32_t>(pick(2));
    enum class wrong { nothing, bad_event, other_watcher, stale_cseq, bad_accept, no_contact } flaw = wrong::nothing;
    if (chance(8) && !repeated) flaw = static_cast<wrong>(1 + pick(5));
    switch (flaw) {
      case wrong::bad_event: event = "foo"; break;
      case wrong::other_watcher:
        if (in_dialog && dialog.proven) watcher = address("mallory");
        else flaw = wrong::nothing;
        break;
      case wrong::stale_cseq:
        if (!in_dialog) flaw = wrong::nothing;
        else if (!may("stale_after_end")) cseq = dialog.first_cseq;
        else cseq = dialog.remote_cseq - static_cast<std::uint32_t>(dialog.remote_cseq > 1 && chance(50));
        break;
      case wrong::bad_accept: accept = "text/html"; break;
      case wrong::no_contact: contact.clear(); break;
      case wrong::nothing: break;
    }
    if (in_dialog && asked == 0s && known == nullptr && !may("fetch_in_dialog")) asked = 100s;
    const std::string event_value = event_id.empty() ? event : event + ";id=" + event_id;
    note("subscribe ", dialog.call_id, in_dialog ? " in dialog " : repeated ? " repeated " : " new ", dialog.resource, " ", event_value,
         " by ", watcher, " exp=", asked ? std::to_string(asked->count()) : "-", " cseq=", std::to_string(cseq));

    // what the specification says
    expectation expected;
    const sub_handling handling = handling_of(kind, dialog.resource, watcher, dialog.proven);
    const bool ends = asked == 0s;
    const seconds lifetime = std::min(asked.value_or(package_default[kind]), bounds.max_expires);
    enum class does { nothing, reject, create, fetch, refresh, end } op = does::nothing;
    const auto held_by = [&](auto&& is) { return static_cast<std::size_t>(std::count_if(subscriptions.begin(), subscriptions.end(), is)); };
    if (flaw == wrong::bad_event) expected.status = 489;
    else if (flaw == wrong::no_contact) expected.status = 400;
    else if (in_dialog && usages.empty()) expected.status = 481;
    else if (in_dialog && flaw == wrong::stale_cseq) expected.status = 500;
    else if (in_dialog && flaw == wrong::other_watcher) expected.status = 403;
    else if (handling == sub_handling::block && !(ends && known != nullptr)) {
      expected.status = 403;
      if (known != nullptr && in_dialog) op = does::reject;
    } else if (flaw == wrong::bad_accept) expected.status = 406;
    else if (asked && !ends && *asked < package_minimum[kind]) expected.status = 423;
    else if (known != nullptr) op = ends ? does::end : does::refresh;
    else if (ends) op = does::fetch;
    else if (held_by([&](const auto& s) { return s.dialog == d; }) >= bounds.limits.usages_per_dialog ||
             held_by([&](const auto& s) { return s.watcher == dialog.watcher && s.proven == dialog.proven; }) >= bounds.limits.subscriptions_per_watcher ||
             held_by([&](const auto& s) { return s.resource == dialog.resource && s.kind == kind; }) >= bounds.limits.subscriptions_per_resource)
      expected.status = 503;
    else op = does::create;
    if (expected.status == 0) {
      expected.status = 200;
      expected.expires = static_cast<std::uint32_t>(lifetime.count());
    }
    dialog.sent_cseq = std::max(dialog.sent_cseq, cseq);
    const effects out = engine->subscribe({.resource = dialog.resource,
                                           .event = event_value,
                                           .expires = asked ? expires_value{*asked} : expires_value{},
                                           .call_id = dialog.call_id,
                                           .from_tag = dialog.from_tag,
                                           .to_tag = in_dialog ? std::string_view{dialog.to_tag} : std::string_view{},
                                           .from_uri = watcher,
                                           .to_uri = dialog.resource,
                                           .contact = contact,
                                           .cseq = cseq,
                                           .accept = accept == nullptr ? std::nullopt : std::optional<std::string_view>{accept},
                                           .who = {.uri = dialog.proven ? std::string_view{watcher} : std::string_view{}, .method = "digest"}},
                                          now);
    if (op != does::nothing) {
      const auto before = compose(dialog.resource, kind, true);
      if (op != does::reject) drop_lapsed(dialog.resource, kind);
      const auto after = compose(dialog.resource, kind);
      const bool tags_known = !dialog.to_tag.empty();
      if (expected.status == 200 && op != does::refresh && op != does::end && !tags_known && op == does::create)
        dialog.to_tag = out.answer.dialog.local_tag();
      if (expected.status == 200) dialog.remote_cseq = cseq;
      const std::string target_before = dialog.contact;
      if (op == does::create || op == does::refresh || (op == does::fetch && in_dialog)) dialog.contact = contact;
      const bool ends_now = op == does::end || (op == does::refresh && known->stands == stand::active && handling == sub_handling::confirm);
      if (ends_now) dialog.contact = !out.notifies.empty() && out.notifies[0].dialog.remote_target() == contact ? contact : target_before;
      const stand stands = handling == sub_handling::allow ? stand::active : handling == sub_handling::confirm ? stand::pending : stand::polite;
      switch (op) {
        case does::create: case does::fetch: {
          if (stands == stand::pending) {
            m_undecided* u = undecided_of(dialog.resource, kind, dialog.watcher);
            if (u == nullptr) {
              undecideds.push_back({dialog.resource, kind, dialog.watcher, 0, clock, clock});
              u = &undecideds.back();
            }
            if (op == does::create) ++u->pending;
            else if (u->pending == 0) u->deadline = clock + bounds.waiting_limit;
          } else if (m_undecided* u = undecided_of(dialog.resource, kind, dialog.watcher); u != nullptr && u->pending == 0) {
            drop_undecided(u);  // the wait is over (WIN-FSM-3)
          }
          const auto seen = view_of(stands, kind, after);
          if (op == does::fetch) {
            expected.notifies.push_back({d, -1, kind, event_id, "terminated;reason=timeout", seen, contact});
            fan_out(expected, dialog.resource, kind, before);
          } else {
            subscriptions.push_back({++last_name, dialog.resource, kind, event_id, dialog.watcher, dialog.proven, d, stands, clock + lifetime});
            expect_notify(expected, subscriptions.back(), seen);
            fan_out(expected, dialog.resource, kind, before, {}, subscriptions.back().name);
          }
          break;
        }
        case does::refresh: {
          const int name = known->name;
          if (known->stands == stand::active && handling == sub_handling::confirm) {
            // the table of section 6.2: what was allowed and is no more ends with probation
            expect_end(expected, *known, "probation");
            remove(name, true);
            if (out.answer.expires == 0) expected.expires = 0;  // nothing is left of what was asked
            break;
          }
          leave_pending(*known, handling == sub_handling::allow ? stand::active
                                : handling == sub_handling::polite_block ? stand::polite : known->stands);
          known->deadline = clock + lifetime;
          expect_notify(expected, *known, view_of(known->stands, kind, after));
          fan_out(expected, dialog.resource, kind, before, {}, name);
          break;
        }
        case does::end: {
          const int name = known->name;
          // who may see the state sees it once more; who never could does not
          const bool shown = known->stands != stand::pending && handling != sub_handling::block &&
                             !(handling == sub_handling::confirm && known->stands == stand::active);
          const stand next = handling == sub_handling::allow ? stand::active
                             : handling == sub_handling::polite_block ? stand::polite : known->stands;
          expect_end(expected, *known, "timeout", shown ? view_of(next, kind, after) : std::nullopt);
          fan_out(expected, dialog.resource, kind, before, {}, name);
          remove(name, false);
          break;
        }
        case does::reject: {
          expect_end(expected, *known, "rejected");
          remove(known->name, true);
          break;
        }
        case does::nothing: break;
      }
      // the NOTIFY of this dialog comes first (EVT-4.2.1.2-2)
      require(!out.notifies.empty() && out.notifies[0].dialog.call_id() == dialog.call_id, "the immediate NOTIFY is not first\n" + to_string(out));
    }
    compare(expected, out, "subscribe");
    if (expected.status == 200) {
      require(out.answer.dialog.local_tag() == out.notifies[0].dialog.local_tag(), "two To tags");
      require(dialog.to_tag.empty() || out.answer.dialog.local_tag() == dialog.to_tag, "another To tag");
    }
  }

  void change_policy() {
    tick();
    const std::string resource = a_resource(), watcher = a_watcher();
    const sub_handling to = static_cast<sub_handling>(pick(4));
    policy[resource + " " + watcher] = to;
    note("policy ", resource, " ", watcher, " ", to_string(to));
    if (chance(70)) refresh(resource, 0, refresh_type::authorization);
  }
  void refresh_watchers() {
    tick();
    const auto kind = static_cast<int>(pick(kinds));
    refresh(a_resource(), kind, chance(50) ? refresh_type::state : refresh_type::authorization);
  }
  void refresh(const std::string& resource, int kind, refresh_type type) {
    note("refresh_watchers ", resource, " ", package_names[kind], type == refresh_type::state ? " state" : " rules");
    expectation expected;
    const auto before = compose(resource, kind, true);
    drop_lapsed(resource, kind);
    const auto after = compose(resource, kind);
    std::vector<int> over;
    for (m_subscription& s : subscriptions) {
      if (s.resource != resource || s.kind != kind || !hears(s)) continue;
      // who is politely blocked is told as one whose resource is offline would be (SEC-LEAK-1)
      bool tell = type == refresh_type::state && s.stands != stand::pending, decided = false;
      if (type == refresh_type::authorization) {
        const sub_handling handling = handling_of(kind, resource, s.watcher, s.proven);
        if (handling == sub_handling::block || (handling == sub_handling::confirm && s.stands == stand::active)) {
          expect_end(expected, s, handling == sub_handling::block ? "rejected" : "probation");
          over.push_back(s.name);
          continue;
        }
        const stand next = handling == sub_handling::allow ? stand::active
                           : handling == sub_handling::polite_block ? stand::polite : s.stands;
        decided = next != s.stands;
        leave_pending(s, next);
      }
      tell = tell || decided || (before != after && s.stands == stand::active);
      if (!tell) continue;
      if (s.in_flight && !decided) {
        s.owes = true;
      } else {
        expect_notify(expected, s, view_of(s.stands, kind, after));
      }
    }
    for (const int name : over) remove(name, true);
    if (type == refresh_type::authorization) {
      std::erase_if(undecideds, [&](const m_undecided& u) {
        return u.resource == resource && u.kind == kind && u.pending == 0 &&
               handling_of(kind, resource, u.watcher, true) != sub_handling::confirm;
      });
    }
    compare(expected, engine->refresh_watchers(resource, package_names[kind], type, now), "refresh_watchers");
  }

  /// Answers of watchers come in, in any order, or not at all.
  void answer_some() {
    tick();
    if (!may("late_advance") || !may("report_before_advance")) advance();
    for (auto count = 1 + pick(4); count > 0 && !outstanding.empty(); --count) {
      const auto at = outstanding.begin() + static_cast<std::ptrdiff_t>(chance(50) ? outstanding.size() - 1 : pick(outstanding.size()));
      const sent one = *at;
      static constexpr int ends[] = {481, 404, 405, 410, 416, 480, 482, 483, 484, 485, 489, 501, 604, 0, 408};
      static constexpr int keeps[] = {500, 503, 403, 400, 302, 603, 486, 488, 491};
      static constexpr int undecided_codes[] = {100, 183, 401, 407};
      int status = 200;
      const auto dice = pick(100);
      if (dice < 4) status = ends[pick(std::size(ends))];
      else if (dice < 12) status = keeps[pick(std::size(keeps))];
      else if (dice < 15) status = undecided_codes[pick(std::size(undecided_codes))];
      const bool provisional = dice >= 12 && dice < 15;
      if (!provisional && !chance(3)) outstanding.erase(at);  // some answers come twice
      note("outcome of CSeq ", std::to_string(one.id.cseq), " to subscription ", std::to_string(one.name), ": ", std::to_string(status));

      expectation expected;
      const auto s = std::find_if(subscriptions.begin(), subscriptions.end(), [&](const auto& q) { return q.name == one.name; });
      if (s != subscriptions.end() && !provisional && s->newest == one.id.cseq) {
        s->in_flight = false;
        if (dice < 4) {
          remove(s->name, false);
        } else if (s->owes && s->deadline > clock) {
          if (hears(*s)) {
            const auto before = compose(s->resource, s->kind);
            drop_lapsed(s->resource, s->kind);
            expect_notify(expected, *s, view_of(s->stands, s->kind, compose(s->resource, s->kind)));
            fan_out(expected, s->resource, s->kind, before, {}, s->name);
          } else {
            s->owes = false;
          }
        } else if (s->owes) {
          s->owes = false;  // its last NOTIFY is all that is left to tell
        }
      }
      compare(expected, engine->report({.id = one.id, .status = status}, now), "report");
      audit();
    }
    if (chance(10)) {
      const effects out = engine->report({.id = {static_cast<std::uint32_t>(pick(100)), static_cast<std::uint32_t>(pick(100)) * 2, 1}, .status = 481}, now);
      require(out.notifies.empty(), "an unknown outcome had an effect");
    }
  }

  void restart() {
    tick();
    // rules that changed without a word are acted on by the first advance(); here none are left
    std::set<std::string> ruled;
    for (const m_subscription& s : subscriptions)
      if (s.kind == 0) ruled.insert(s.resource);
    for (const std::string& resource : ruled) refresh(resource, 0, refresh_type::authorization);
    const bool flushed = chance(50);
    note(flushed ? "restart" : "crash");
    if (flushed) {
      const auto written = engine->flush(now);
      require(written.has_value(), written ? "" : written.error());
    }
    engine.reset();
    make_engine();
    outstanding.clear();
    for (auto& p : publications) p.arrival = 0;  // rows know milliseconds
    for (auto& s : subscriptions) {
      s.in_flight = s.owes = false;
      if (!flushed) s.version_may_jump = dialogs[s.dialog].may_jump = true;
      else if (may("exact_versions")) {}
      else s.version_may_jump = true;
    }
    compare_rows();
  }

  void drain() {
    if (own_rows) compare_rows();
    for (int round = 0; round < 2; ++round) {  // who was pending waits first
      now = clock + 24h * 3650;
      advance();
    }
    require(publications.empty() && subscriptions.empty() && undecideds.empty(), "the model is not empty");
    audit();
    const engine_stats end = engine->stats();
    require(end.resources == 0 && end.publications == 0 && end.subscriptions == 0 && end.undecided == 0, "the engine is not empty");
    if (own_rows) compare_rows();
  }

  settings given;
  std::mt19937_64 random;
  seeded_random bytes;
  options bounds;
  std::string file;
  std::unique_ptr<storage> own_rows;
  std::unique_ptr<presence::engine> engine;
  std::uint64_t step = 0;
  instant now = start, clock = start;  // the host's; the latest seen
  std::deque<std::string> history;

  std::vector<m_publication> publications;
  std::vector<m_subscription> subscriptions;
  std::vector<m_dialog> dialogs;
  std::vector<m_undecided> undecideds;
  std::map<std::string, sub_handling> policy;
  struct sent {
    notify_id id;
    int name;
  };
  std::vector<sent> outstanding;
  std::set<std::string> tags;
  int last_name = 0;
  std::uint64_t tuple = 0;
  std::uint64_t arrivals = 0;
};

int usage(int code) {
  std::puts(
      "random_walk [--seed N] [--seeds COUNT] [--steps N] [--mode memory|memory_storage|sqlite] [--without NAME]...\n"
      "Random operations on an engine, compared with a naive model. COUNT seeds from N on, one walk each.\n"
      "--without leaves something out: milliseconds backwards late_advance report_before_advance repeats\n"
      "fetch_in_dialog exact_versions stale_after_end usages rules sender discard");
  return code;
}

int main_of_walk(int argc, char** argv) {
  settings wanted;
  std::uint64_t seeds = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") return usage(0);
    if (i + 1 == argc) return usage(2);
    const std::string value = argv[++i];
    if (name == "--seed") wanted.seed = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--seeds") seeds = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--steps") wanted.steps = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--mode") wanted.mode = value;
    else if (name == "--without") wanted.without.insert(value);
    else return usage(2);
  }
  if (wanted.mode != "memory" && wanted.mode != "memory_storage" && wanted.mode != "sqlite") return usage(2);
  std::uint64_t notified = 0;
  for (const std::uint64_t last = wanted.seed + seeds; wanted.seed < last; ++wanted.seed) {
    try {
      walk one{wanted};
      one.run();
      notified += one.notified;
    } catch (const std::exception& e) {
      std::printf("FAILED: random_walk --mode %s --seed %llu --steps %llu\n%s\n", wanted.mode.c_str(),
                  static_cast<unsigned long long>(wanted.seed), static_cast<unsigned long long>(wanted.steps), e.what());
      return 1;
    }
  }
  std::printf("%s: %llu walks of %llu steps, %llu NOTIFYs: the engine and the model agree\n", wanted.mode.c_str(),
              static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(wanted.steps),
              static_cast<unsigned long long>(notified));
  return 0;
}

}  // namespace
}  // namespace presence::test

int main(int argc, char** argv) { return presence::test::main_of_walk(argc, argv); }
