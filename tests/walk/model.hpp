// The naive model of an engine: plain vectors, linear searches, everything recomputed from all
// publications each time. It is written from the specification (conformance sections 1-6, 12-14) and
// shares no code with the engine. It says what a call must answer and whom it must tell what.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <presence/engine.hpp>

#include "documents.hpp"
#include "rules.hpp"

namespace presence::test::walking {

enum class stand { pending, active, polite };
enum class owing { no, perhaps, yes };

struct m_publication {
  std::string resource;
  int kind;
  std::string etag;
  std::shared_ptr<content> what;
  bool has_body;
  std::string sender;
  instant since, deadline;
  std::uint64_t order;  ///< by arrival
  bool leaving = false, arriving = false;
  bool has_news = true;          ///< message headers that the document before did not have
  std::uint64_t number = order;  ///< stays
  bool knows_more = false;       ///< ends of dialogs of a document that was to leave and stayed
};

struct m_dialog {
  std::string call_id, from_tag, to_tag, resource, watcher;
  bool proven;
  std::uint32_t first_cseq, remote_cseq;  // of the initial SUBSCRIBE; of the last accepted one
  std::uint32_t sent_cseq;                // of the host's last request
  std::uint32_t notify_cseq = 0;          // of the last NOTIFY
  bool may_jump = false;                  // numbers reserved before a crash, or planned in vain, are skipped
  std::string contact = {};               // its remote target, for all usages
  std::string named = {};                 // the resource as it was subscribed to
};

/// A watcher as watcher information tells of him. `key` is the model's own name for his machine.
struct m_watcher {
  std::string key, uri, status, event;
  std::optional<instant> deadline = {};
  instant since = {};
  bool ended() const { return status == "terminated"; }
};

struct m_subscription {
  int name;
  std::string resource;
  int kind;
  std::string event_id, watcher;
  bool proven;
  std::size_t dialog;
  stand stands;
  sight sees;
  instant since, deadline;
  bool in_flight = false;
  owing owes = owing::no;
  bool unpaid = false;     ///< the next advance() pays what it is owed
  bool unsure = false;     ///< the last document may be lost: the next is a full one
  bool blank = false;      ///< nothing was received since a restart
  bool approved = false;
  std::uint32_t newest = 0;  ///< CSeq of its newest NOTIFY
  std::uint32_t version = 0;
  bool version_may_jump = false;
  // what has been received in it
  std::map<std::string, std::string> calls = {};       ///< live dialogs by id
  std::map<std::string, m_watcher> watchers = {};      ///< by key
  std::vector<m_watcher> untold = {}, late = {};       ///< ends still to be told; those of this call
  chosen_dialogs about = {};  ///< from its first SUBSCRIBE on
  std::string key() const { return "s" + std::to_string(name); }
};

struct m_undecided {
  std::string resource;
  int kind;
  std::string watcher;
  int pending;
  std::string key;        ///< under which he waits
  instant since, deadline;
};

struct m_change {
  std::string resource;
  int kind;  ///< of the watched package
  m_watcher watcher;
};

struct expected_notify {
  std::string resource;
  std::size_t dialog;
  int name;  ///< of the subscription; -1: a fetch
  int kind;
  std::string event_id, subscription_state;
  std::optional<shown> body;  ///< of watcher information: only whether there is one
  std::string contact;
  bool full = true;           ///< a partial document would not do
  bool optional = false;
  std::uint32_t retry_after = 0;
  std::uint32_t version = 0;  ///< of the last document of a subscription that ends, or of a fetch
  bool version_may_jump = false;
  std::vector<m_watcher> watchers = {}, untold = {};  ///< what a full watcherinfo lists; ends told late
  std::map<std::string, m_watcher> still = {};        ///< changes, by key, that no slice has told yet
  std::string parameters = {};  ///< of its Event value
};

/// What a call must answer and do.
struct expectation {
  int status = 0;
  std::optional<std::uint32_t> expires = {};
  std::vector<expected_notify> notifies = {};
  std::vector<m_change> changes = {};
  bool sliced = false;  ///< it was carried out in several slices
};

struct m_answer {
  sub_handling handling;
  sight sees = {};
  std::optional<instant> until = {};
  bool by_sphere = false;
};

inline stand stands_as(sub_handling handling) {
  return handling == sub_handling::allow ? stand::active : handling == sub_handling::confirm ? stand::pending : stand::polite;
}

struct written_rules {
  std::vector<rule> rules = {};
  std::string text = {};
  bool broken = false;
};

/// What there is, in memory or in a database.
struct m_state {
  std::vector<m_publication> publications;
  std::vector<m_subscription> subscriptions;
  std::vector<m_dialog> dialogs;
  std::vector<m_undecided> undecideds;
};

class model : public m_state {
 public:
  options bounds;
  variant how;
  instant clock;  ///< the latest instant seen
  bool evicts = false;  ///< states may be read again between any two calls
  bool shares = false;  ///< nothing is kept from one call to the next (subs_db_mode 3)
  std::map<std::string, written_rules> rules;  ///< by resource; none: no document
  std::map<std::pair<int, std::string>, std::vector<rule>> last_good;  ///< what a package read last
  std::set<std::pair<int, std::string>> by_sphere;  ///< states with a decision that looked at the sphere
  std::map<std::pair<int, std::string>, instant> edges;  ///< when a decision about a state may change
  std::set<std::string> ambiguous;  ///< machines of one watcher that ended in one call: any of them may be the one that waits
  std::uint64_t last_order = 0, elsewhere = 0;  // the latter: what other packages decided for a sphere

  // --- states ---
  std::vector<held> held_by(const std::string& resource, int kind) const;
  shown neutral(int kind, const std::string& resource) const { return compose(kind, how, resource, {}, {}); }
  shown seen_by(const m_subscription& s) const;
  /// What he is sent of it at `contact`: not the document that came from there (BLA-4).
  shown sent_to(const m_subscription& s, const std::string& contact) const;
  /// Whether a change by `sender` is not told at that Contact (P03).
  bool own_change(const m_subscription& s, const std::string& sender) const;
  /// Whether the dialog he subscribed to is over.
  bool is_over(const m_subscription& s) const;
  /// What each watcher of a state sees, and the presentity's sphere.
  struct look {
    std::map<int, std::string> gists = {};
    std::optional<std::string> sphere = {};
  };
  look look_at(const std::string& resource, int kind) const;
  std::optional<std::string> sphere_now(const std::string& resource) const;
  /// Whether the sphere is another without what has lapsed.
  bool sphere_lapsed(const std::string& resource) const;
  /// Marks what has lapsed as leaving. Whether there was any.
  bool mark_lapsed(const std::string& resource, int kind);
  /// What was leaving is gone, what was arriving is there.
  void settle(const std::string& resource, int kind);
  std::uint64_t next_order() { return last_order = std::max<std::uint64_t>(last_order + 1, ticks(clock)); }
  static std::uint64_t ticks(instant t) { return static_cast<std::uint64_t>(t.time_since_epoch().count()) << 16; }

  // --- decisions ---
  m_answer ask(int kind, const std::string& resource, const std::string& watcher, bool proven);
  m_answer ask_package(int kind, const std::string& resource, const std::string& watcher, bool proven) const;
  m_answer ask_rules(int kind, const std::string& resource, const std::string& watcher, bool proven);
  void note(int kind, const std::string& resource, const m_answer& answer);

  // --- what is to be told ---
  bool hears(const m_subscription& s) const { return s.deadline - clock >= seconds{1}; }
  m_subscription* find(int name);
  expected_notify& expect_notify(expectation& out, m_subscription& s, bool full = true);
  expected_notify& expect_end(expectation& out, const m_subscription& s, const char* reason, std::optional<shown> body = {});
  /// If what he subscribed to is over he is told so; the caller ends him. Otherwise false.
  bool expect_last(expectation& out, const m_subscription& s);
  /// He is told the state as it is, or that it is over.
  void expect_present(expectation& out, int name);
  /// A change of a state is told to its watchers but `except`. Call it with what leaves and arrives marked.
  void tell_change(expectation& out, const std::string& resource, int kind, const look& was, const std::string& sender = {},
                   int except = -1);
  /// Every watcher of the state but `except` is decided about again. `tells_all`: who is not undecided is told, too.
  void decide_again(expectation& out, const std::string& resource, int kind, const look& was, const std::string& sender, int except,
                    bool tells_all = false);
  /// So are those who wait.
  void decide_waiting(expectation& out, const std::string& resource, int kind);
  /// Where nothing is kept, a sphere that changes is looked at for all packages at once (Z12).
  void decide_elsewhere(expectation& out, const std::string& resource, int kind, const look& was);
  /// Whether what watchers of a kind see is decided for each.
  bool has_views(int kind) const;

  // --- watchers ---
  m_undecided* undecided_of(const std::string& resource, int kind, const std::string& watcher);
  void drop(m_undecided* u) { undecideds.erase(undecideds.begin() + (u - undecideds.data())); }
  m_watcher watcher_of(const m_subscription& s) const;
  static m_watcher watcher_of(const m_undecided& u) { return {u.key, u.watcher, "waiting", "timeout", {}, u.since}; }
  /// Everybody watcher information of a resource must list now.
  std::vector<m_watcher> watchers_now(const std::string& resource, int kind) const;
  void tell(expectation& out, const std::string& resource, int kind, m_watcher w, const char* status, const char* event);
  void tell_waiting_over(expectation& out, const m_undecided& u, const char* event) {
    tell(out, u.resource, u.kind, watcher_of(u), "terminated", event);
  }
  /// Ends a subscription and tells so. `event`: as RFC 3858 calls it; only a timeout leaves somebody waiting.
  void end(expectation& out, int name, const char* event);
  void leave_pending(expectation& out, m_subscription& s, stand next);
  /// Nobody has decided about him for pending_limit (WIN-FSM-7).
  bool gives_up(const m_subscription& s) {
    return s.stands == stand::pending && bounds.pending_limit > seconds{0} && clock >= s.since + bounds.pending_limit &&
           ask(s.kind, s.resource, s.watcher, true).handling == sub_handling::confirm;
  }
  /// Who subscribed to watcher information learns of the call's changes.
  void tell_owners(expectation& out);
};

}  // namespace presence::test::walking
