// A random walk: an engine and the model beside it do the same, and are compared after each step.
#pragma once

#include <array>
#include <cstdio>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <tuple>

#include <presence/memory_storage.hpp>

#include "../faulty_storage.hpp"
#include "making.hpp"
#include "model.hpp"

namespace presence::test::walking {

struct settings {
  std::uint64_t seed = 1;
  std::uint64_t steps = 100'000;
  std::string mode = "memory";
  std::string storage = "memory_storage";  ///< of every mode but memory
  std::string cache = {};  ///< a policy: few states stay in memory; empty: all do
  std::set<std::string> without = {};
  bool trace = false;  ///< print every operation and what came of it
};

/// Counts, so that a walk that went nowhere is seen.
struct tally {
  std::map<std::string, std::uint64_t> met = {};
  void add(const tally& more) {
    for (const auto& [what, count] : more.met) met[what] += count;
  }
};

class walk : model, maker {
 public:
  explicit walk(const settings& wanted);
  ~walk();
  /// Throws std::runtime_error, with the last operations, when the engine and the model disagree.
  void run();
  tally counts;

 private:
  // --- chance ---
  bool may(const char* what) const { return !given.without.contains(what); }
  std::string a_resource() { return "sip:r" + std::to_string(pick(resources)) + "@example.com"; }
  int a_published_kind() { return static_cast<int>(pick(published_kinds)); }
  int a_kind() { return chance(75) ? focus[pick(4) == 0 ? 1 : 0] : static_cast<int>(pick(kinds)); }

  // --- failing ---
  template <class... Text>
  void note_down(const Text&... text) {
    std::string line = "  " + std::to_string(step) + " @" + std::to_string((clock - origin).count()) + "ms ";
    (line += ... += text);
    if (given.trace) std::puts(line.c_str());
    history.push_back(std::move(line));
    if (history.size() > 25) history.pop_front();
  }
  [[noreturn]] void fail(const std::string& why) const;
  void require(bool holds, const std::string& why) const {
    if (!holds) fail(why);
  }

  // --- the engine (walk.cpp) ---
  void make_engine();
  /// Arms a storage fault for the next call, by chance.
  void maybe_fault(bool any = true);
  /// Whether the call failed for want of storage. Then nothing may have happened; where nothing is kept it has, if it is
  /// the answer that was lost, and `out` is given the NOTIFYs that come late.
  bool failed(effects& out, bool answers, const std::string& what);
  void find_out(effects& out);
  /// Another engine on the same rows goes on.
  void turn_to(int which);
  /// Arms a change by the other engine amid the next call, whose own is refused then and made again.
  void race();
  void one_step();
  void drain();

  // --- the operations ---
  void tick();
  void pass_time();
  /// `at_once`: what is due is looked for, whenever that was done last, and nothing fails.
  void advance(bool at_once = false);
  void publish();
  void subscribe();
  void change_rules();
  void refresh_watchers();
  bool nothing_is_due() const;
  /// The tag a PUBLISH was given, also if its publisher does not know.
  std::string given_tag(const effects& out, const std::string& resource, int kind, const std::string& before);
  bool refresh(const std::string& resource, int kind, refresh_type type);
  void refreshed(const std::string& resource, int kind, refresh_type type, const effects& out);
  void announce(const std::string& resource);
  /// Watchers are told, the answer is lost, and the other engine tells them meanwhile: they are owed the state.
  void owe();
  void terminate();
  void answer_some();
  void report(std::size_t at);
  void restart();
  /// Writes what is held back; once more if that is made to fail.
  void flush();
  /// In write-back mode: the database has all of it from now on.
  void write_down();
  /// What was not written is gone; what the database has is there again, with numbers that have been used.
  void forget_unwritten();

  // --- comparing (compare.cpp) ---
  void compare(expectation& expected, const effects& out, const std::string& what);
  void check(expected_notify& e, const notify& n, expectation& expected, const std::string& all);
  void check_watchers(m_subscription* s, expected_notify& e, const notify& n, expectation& expected, const std::string& all);
  void check_dialogs(m_subscription* s, const expected_notify& e, const read_document& got, const std::string& all);
  void check_version(m_subscription* s, const expected_notify& e, std::uint32_t version, const std::string& all);
  void audit();
  void audit_deadlines();
  std::optional<instant> soonest() const;
  void audit_watchers();
  void compare_rows();
  void compare_publications(const std::vector<publication_row>& all, const m_state& is, const std::string& where);
  void compare_subscriptions(const std::vector<subscription_row>& all, const m_state& is, const std::string& where, bool exact);

  settings given;
  seeded_random bytes;
  std::shared_ptr<void> place;  // of own_rows, if it is a database
  std::unique_ptr<storage> own_rows;
  std::unique_ptr<racing_storage> rows;
  std::unique_ptr<presence::engine> engine, other;  // the other works on the same rows, if there is one
  int turn = 0;                                     // which of the two it is
  std::uint64_t step = 0;
  instant origin, now;  ///< the host's clock
  instant blocked_until{}, other_blocked_until{};  ///< after a storage fault advance() rests
  std::deque<std::string> history;
  std::set<std::string> tags;
  std::map<std::string, std::string> key_of_id, id_of_key;  ///< of watchers in watcher information
  std::vector<std::pair<std::string, int>> settle_later;
  bool faultless = false;
  std::size_t faults_before = 0, made_before = 0, writes_before = 0;
  m_state stored;      ///< in write-back mode: what the database has
  instant flush_due{};  ///< when advance() writes what is held back
  using usage = std::tuple<std::size_t, int, std::string>;  // dialog, kind, Event id
  template <class One>
  static usage usage_of(const One& one) { return {one.dialog, one.kind, one.event_id}; }
  struct sent {
    notify_id id;
    int name;
    // where nothing is kept an engine remembers whom it told, for a while
    usage to;
    std::string parameters;
    int by;
    instant at;
    bool answered = false;
  };
  std::set<std::pair<usage, instant>> begun;  ///< where nothing is kept for certain: who began when
  /// Whom an answer is about; null: nobody.
  m_subscription* told(const sent& one);
  std::vector<sent> outstanding;
  std::map<usage, std::uint32_t> told_versions;  ///< also of those that have ended: that of the next document
  std::size_t resources = 4;
  bool by_spheres = false;  ///< rules mostly look at the sphere
  std::array<int, 2> focus{};  ///< packages this walk looks at most of the time
  int last_name = 0;
  storage_fault made_to_fail = storage_fault::unavailable;  ///< the last one armed
  bool loses_answer = false;                                ///< it is an answer that is lost
  bool found_out = false;  ///< it was, and the call has happened
  std::pair<std::string, int> raced;
  std::vector<std::pair<std::string, std::string>> ended_in;  ///< where nothing is kept: states with publications that end, as it happens
  bool announcing = false;  ///< rules are others than those decided by
  std::optional<effects> meanwhile;  ///< what the other engine told between what a call read and what it wrote
};

}  // namespace presence::test::walking
