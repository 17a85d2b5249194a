/// The storage port: rows in, rows out, one atomic write per request. It knows no SIP rule and no
/// SQL; a database, a key/value store or a test double can stand behind it (T01, T21).
///
/// The engine works on its own memory. It reads from storage what is not there (at start, later on
/// a miss), and makes each change durable with one apply() before anybody is told about it.
/// Without a storage the engine keeps everything in memory and pays nothing for this port (T02).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <presence/body.hpp>
#include <presence/dialog.hpp>
#include <presence/effects.hpp>
#include <presence/result.hpp>
#include <presence/time.hpp>

namespace presence {

enum class storage_fault : std::uint8_t {
  unavailable,  ///< down, busy, full, timed out: trying again may help
  conflict,     ///< a row was not what the change expected: nothing was written
  corrupt,      ///< a row cannot be understood, or the schema is not ours
};

struct storage_error {
  storage_fault fault = storage_fault::unavailable;
  std::string text = {};  ///< for the log; never for a peer
  /// For certain, by an apply() that failed: COMMIT was not sent, or was refused. If not, the change may have been made,
  /// and the engine reads its rows before the next one. A conflict says it anyway.
  bool nothing_written = false;
};

/// One publication (table `presentity`). Key: resource, event, etag.
struct publication_row {
  std::string resource = {};
  std::string event = {};       ///< package name, parameters included
  std::string etag = {};
  std::uint64_t id = 0;         ///< constant for the publication's life; orders publications by creation
  body content = {};
  std::string sender = {};
  std::string publisher = {};   ///< who made it, if that was not the resource itself; constant, too
  instant since = {};           ///< when the present content arrived
  std::uint64_t nth = 0;        ///< orders contents that arrived at one moment, also of other publications
  instant expires = {};
  friend bool operator==(const publication_row&, const publication_row&) = default;
};

/// A changed publication: `row` replaces the one whose tag is `old_etag`; if there is none, the
/// whole change fails with `conflict`. Without `content_changed` the stored content stays.
struct publication_update {
  std::string old_etag = {};
  bool content_changed = false;
  publication_row row = {};
};

struct publication_key {
  std::string resource = {};
  std::string event = {};
  std::string etag = {};
  friend bool operator==(const publication_key&, const publication_key&) = default;
};

/// One subscription (table `active_watchers`). Key: Call-ID, both tags, package, Event id - all of
/// them parts of `dialog` and `event`.
struct subscription_row {
  std::string resource = {};
  std::string event = {};       ///< package name, parameters included
  std::string event_id = {};    ///< the Event `id` parameter; empty: none
  presence::dialog dialog = {};
  subscription_state state = subscription_state::active;
  bool polite_block = false;
  bool approved = false;          ///< was pending before
  /// Whether its dialog has, or had, subscriptions to other packages (RFC 3265); nothing: nobody knows.
  std::optional<bool> other_usages = {};
  std::uint8_t nth = 0;           ///< of its dialog's usages that began at `since`, up to 7; 0 where nobody knows of others
  std::uint32_t local_cseq = 0;   ///< highest CSeq that may have been used in a NOTIFY
  std::uint32_t remote_cseq = 0;  ///< of the last accepted SUBSCRIBE
  std::uint32_t version = 0;      ///< highest document version that may have been sent, plus one
  instant since = {};             ///< when the subscription began; the epoch: not known
  instant expires = {};
  friend bool operator==(const subscription_row&, const subscription_row&) = default;
};

struct subscription_key {
  std::string call_id = {};
  std::string local_tag = {};
  std::string remote_tag = {};
  std::string event = {};
  std::string event_id = {};
  friend bool operator==(const subscription_key&, const subscription_key&) = default;
};

subscription_key key_of(const subscription_row&);

/// Reserves numbers for a subscription: NOTIFYs up to `local_cseq` and documents below `version`
/// may be sent before the next write. After a crash numbering continues above, never below. A key without `event` names
/// every subscription of the dialog, whatever it is to: whose `local_cseq` is lower gets this one, and versions stay.
struct number_reservation {
  subscription_key key = {};
  std::uint32_t local_cseq = 0;
  std::uint32_t version = 0;
};

/// Status codes of the `watchers` table and of auth_status() (Z04).
enum class watcher_status : std::uint8_t { active = 1, pending = 2, terminated = 3, waiting = 4 };

/// A decision about a watcher (table `watchers`). Key: resource, event, watcher.
struct watcher_row {
  std::string resource = {};
  std::string event = {};
  std::string watcher = {};     ///< canonical address
  watcher_status status = watcher_status::pending;
  std::string reason = {};
  instant since = {};
  friend bool operator==(const watcher_row&, const watcher_row&) = default;
};

struct watcher_key {
  std::string resource = {};
  std::string event = {};
  std::string watcher = {};
  friend bool operator==(const watcher_key&, const watcher_key&) = default;
};

/// A resource in a package.
struct state_name {
  std::string resource = {};
  std::string event = {};
  friend bool operator==(const state_name&, const state_name&) = default;
};

/// What is known of a state as a whole, for engines that do not hold all (table `presence_states`).
struct state_mark {
  std::uint64_t stamp = 0;            ///< a number that every change of the state replaces by another one; 0: there is none yet
  std::optional<instant> turns = {};  ///< when decisions about its watchers may turn (Z11); absent: time changes none
  friend bool operator==(const state_mark&, const state_mark&) = default;
};

/// A new mark. `known` is the stamp one of several engines on a database has read (C01); absent: there is one engine,
/// and whatever is there is replaced.
struct state_stamp {
  state_name state = {};
  std::optional<std::uint64_t> known = 0;
  std::uint64_t next = 0;  ///< never 0; random, so that no stamp comes back
  std::optional<instant> turns = {};
};

/// All row operations of one request; applied in member order, all or none.
struct change {
  std::vector<state_stamp> states = {};  ///< `conflict` unless each known stamp is the one that is there; first of all
  std::vector<publication_key> ended_publications = {};
  std::vector<publication_row> new_publications = {};
  std::vector<publication_update> changed_publications = {};
  std::vector<subscription_key> ended_subscriptions = {};
  std::vector<subscription_row> new_subscriptions = {};
  std::vector<subscription_row> changed_subscriptions = {};  ///< every column but the key is replaced
  std::vector<number_reservation> reservations = {};         ///< those of whole dialogs last
  std::vector<watcher_key> ended_watchers = {};
  std::vector<watcher_row> watchers = {};                    ///< inserted, or replaced whole

  bool empty() const noexcept;
};

/// Which rows a read wants. Empty members do not restrict.
struct row_filter {
  std::string_view event = {};     ///< package name
  std::string_view resource = {};
  std::string_view call_id = {};   ///< of subscriptions; read alone
};

/// What due() looks for.
struct due_filter {
  instant now = {};             ///< a publication or subscription (not a terminated one) is over, or decisions turn
  instant waiting_since = {};   ///< somebody waits since then or longer
  std::string_view owner = {};  ///< if not empty: subscriptions that are somebody else's (dialog::owner) count only
  instant others = {};          ///< if they were over at this moment
  /// Whether a subscription with this deadline is looked for. SQL says the same in its own words.
  bool is_due(instant deadline, std::string_view its_owner) const noexcept {
    const bool anothers = !owner.empty() && !its_owner.empty() && its_owner != owner;
    return deadline <= (anothers ? others : now);
  }
};

/// Where a paged read stands. Start with {}; a page that leaves `done` set was the last one.
/// Rows written between two pages may be missed or seen, never seen twice.
struct cursor {
  std::int64_t after = 0;
  bool done = false;
};

class storage {
 public:
  virtual ~storage() = default;

  /// Appends at most `limit` rows to `out` and moves `at` on.
  virtual result<void, storage_error> publications(const row_filter&, cursor& at, std::size_t limit,
                                                   std::vector<publication_row>& out) = 0;
  virtual result<void, storage_error> subscriptions(const row_filter&, cursor& at, std::size_t limit,
                                                    std::vector<subscription_row>& out) = 0;
  virtual result<void, storage_error> watchers(const row_filter&, cursor& at, std::size_t limit,
                                               std::vector<watcher_row>& out) = 0;

  /// Makes `what` durable, wholly or not at all; an error says `nothing_written` if that is certain. Ending a row that is
  /// not there is no error; updating one that is not there, or inserting one that is, is a conflict.
  virtual result<void, storage_error> apply(const change& what) = 0;

  /// Deletes rows whose time was up before `before` and whose event is not in `known`, or that another server has
  /// terminated: rows no engine will ever end itself (clean_period). Decisions about watchers stay. Returns how many.
  virtual result<std::size_t, storage_error> sweep(instant before,
                                                   const std::vector<std::string>& known) = 0;

  /// Appends at most `limit` states of the packages in `known`, each once, of which something is due. For engines that do not
  /// hold all.
  virtual result<void, storage_error> due(const due_filter&, const std::vector<std::string>& known, std::size_t limit,
                                          std::vector<state_name>& out);
  /// The mark of a state. For engines that do not hold all.
  virtual result<state_mark, storage_error> mark(std::string_view resource, std::string_view event);

  /// Row operations that apply() acknowledged and that are not written yet (write-back); and a call that writes
  /// at most `most` of them.
  virtual std::size_t held_back() const noexcept { return 0; }
  virtual result<void, storage_error> flush([[maybe_unused]] std::size_t most) { return {}; }
};

}  // namespace presence
