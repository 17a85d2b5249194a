/// The engine: publications and subscriptions of any number of event packages, in memory and, when
/// a storage is given, on disk. It owns no socket, thread, clock or global and writes no log; every
/// call takes `now` and returns everything that has to happen (L01).
///
/// One engine has one caller at a time; several engines in one process are independent (L03), and
/// sharded_engine.hpp puts several behind one thread-safe front (L12).
///
///   storage  <-borrows-  engine  -owns->  packages, tables        host_hooks: owned copies
///
/// The storage and the random source must outlive the engine.
///
/// No call throws anything but std::bad_alloc; the constructor also what its random source throws. `now` should never run
/// backwards; where it does, the engine stays at the latest instant it has seen, so that nothing expires or revives.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <presence/effects.hpp>
#include <presence/event_package.hpp>
#include <presence/options.hpp>
#include <presence/random.hpp>
#include <presence/requests.hpp>
#include <presence/result.hpp>
#include <presence/status_counts.hpp>
#include <presence/storage.hpp>
#include <presence/time.hpp>
#include <presence/trace.hpp>

namespace presence {

enum class log_level : std::uint8_t { debug, info, warning, error };

/// What the engine asks of its host. Every hook may be absent.
struct host_hooks {
  /// Whether `resource` (canonical) is ours; absent: every resource is (HOST-8). No: 404.
  std::function<bool(std::string_view resource)> serves = {};
  /// Whether `who` may publish for `resource`; no: 403 (PUB-14.1-1). Absent: a proven publisher may
  /// publish for itself only, and an unproven one for anybody (unless require_auth is set).
  std::function<bool(const identity& who, std::string_view resource, std::string_view event)> may_publish = {};
  /// Told what an operator may want to know (G12). Lines never contain bodies or control characters.
  std::function<void(log_level, std::string_view line)> log = {};
  /// Told at the end of each call which states it used and for what (docs/cache-policies.md); the key lives
  /// as long as the call of the hook. Keys are numbers under the engine's secret: they name the same state while the engine
  /// lives, and nobody can tell which. Throwing is ignored. Must not call the engine.
  std::function<void(const traced_access&)> trace = {};
};

/// The status of a watcher (pres_auth_status of the Kamailio module; Z04).
enum class auth_code : int {
  error = -1, active = 1, pending = 2, terminated = 3, waiting = 4, polite_block = 5
};

/// Why watchers are refreshed (refreshWatchers of the Kamailio module; G01, Z07).
enum class refresh_type : int {
  authorization = 0,  ///< rules changed: each watcher is decided again
  state = 1,          ///< state was changed behind the engine: read it again and tell every watcher
};

/// Which records list and count calls want. Empty members do not restrict.
struct record_filter {
  std::string_view resource = {};  ///< canonicalised before it is compared
  std::string_view domain = {};    ///< host part of the resource
  std::string_view event = {};     ///< package name
  std::string_view watcher = {};   ///< subscriptions only; canonicalised
};

/// One page of a listing. Pass `next` back to go on; 0 when there is no more. Records that appear
/// or end between two pages may be missed; none is listed twice.
template <class Record>
struct page {
  std::vector<Record> records = {};
  std::uint64_t next = 0;
};

/// Numbers since the engine was made, and sizes now.
struct engine_stats {
  std::size_t resources = 0;      ///< (resource, package) pairs held in memory
  std::size_t publications = 0;
  std::size_t subscriptions = 0;
  std::size_t undecided = 0;      ///< watchers nobody decided about, waiting ones included
  std::uint64_t publishes = 0, subscribes = 0;
  std::uint64_t notifies = 0;     ///< descriptors returned
  std::uint64_t coalesced = 0;    ///< state changes that waited for an unanswered NOTIFY
  std::uint64_t suppressed = 0;   ///< changes that changed nothing a watcher can see
  std::uint64_t expired_publications = 0, expired_subscriptions = 0;
  std::uint64_t delivered_notifies = 0;  ///< outcomes of 2xx
  std::uint64_t failed_notifies = 0;  ///< outcomes that ended a subscription
  std::uint64_t lost_notifies = 0;    ///< outcomes that did not: the next change is told as usual
  status_counts publish_answers, subscribe_answers;
  std::uint64_t storage_calls = 0, storage_faults = 0;
  std::uint64_t storage_conflicts = 0;  ///< another engine was quicker; the call was made again
  std::uint64_t cache_hits = 0, cache_misses = 0;  ///< of cache_states, cache_bytes: once for each call and state
  std::uint64_t cache_evictions = 0;
  std::size_t cache_bytes = 0;    ///< as cache_bytes counts them
  std::size_t held_back = 0;      ///< row operations that write-back has not written yet

  engine_stats& operator+=(const engine_stats& other) noexcept;  ///< the numbers of both
};

/// What handle() takes several of. The texts live until it returns.
using received = std::variant<publish_request, subscribe_request, options_request, notify_report>;

class engine {
 public:
  /// `random` absent: the operating system's generator. `rows` absent: everything stays in memory.
  /// Precondition: settings.check() succeeds.
  explicit engine(options settings = {}, host_hooks hooks = {}, storage* rows = nullptr,
                  random_source* random = nullptr);
  ~engine();
  engine(engine&&) noexcept;
  engine& operator=(engine&&) noexcept;

  // --- event packages (presence_api of the Kamailio module; L04-L06) --------------------------

  /// Registers a package. With a storage, publications and subscriptions of this event found there
  /// are taken over; what lapsed meanwhile is due at once (T12, L05). Register `presence` first where
  /// decisions of other packages look at the sphere.
  /// Fails, with a sentence, for a bad or known name, for req_auth without `authorize`, or when the
  /// storage cannot be read; the package is not registered then.
  result<void, std::string> add_event(event_package package, instant now);
  /// Whether an Event value would be served; the package it names, or null. Lives until the engine ends.
  const event_package* contains_event(std::string_view event_value) const;
  const event_package* search_event(std::string_view package_name) const;
  /// All package names in registration order, as Allow-Events writes them (get_event_list).
  std::string get_event_list() const;

  // --- requests: exactly one reply each (P01, S01) ------------------------------------------------
  // Each has a form that fills an `effects` of the caller's, to reuse its memory on hot paths.

  /// handle_publish. Answers 200; 400, 401, 403, 404, 412, 413, 414, 415, 420, 423, 489; 500 when a
  /// hook or the random source failed; 503 with Retry-After when a limit is reached or the storage
  /// failed, and nothing is changed then. A package may refuse with a status of its own.
  effects publish(const publish_request& request, instant now);
  void publish(const publish_request& request, instant now, effects& out);

  /// The same for state the host itself provides: the publisher is not asked who it is (P43).
  /// Privileged: never call it with what came from a peer (SEC-AUTH-7).
  effects update_presentity(const publish_request& request, instant now);

  /// Hard state (RFC 3903 section 3): a document of the host's that never lapses and is composed with what is
  /// published, as if it had arrived first. `name` is its key and Kamailio's etag column; no PUBLISH can touch
  /// it. Content without bytes takes it away. Privileged. Answers 200; 400, 404, 413, 415, 489, 503, or what the
  /// package's check refuses with (P35, CMP-11; Kamailio: refreshWatchers of type 2).
  effects set_hard_state(std::string_view resource, std::string_view event, std::string_view name, const content_view& content,
                         instant now);

  /// handle_subscribe. Answers 200 (202 by option); 400, 401, 403, 404, 406, 414, 415, 420, 423,
  /// 481, 489; 500 for a stale CSeq and when a hook failed; 503 as publish. Every 2xx comes with
  /// one NOTIFY of the same dialog, first in the list (EVT-4.2.1.2-1).
  effects subscribe(const subscribe_request& request, instant now);
  void subscribe(const subscribe_request& request, instant now, effects& out);

  /// Answers 200 with Allow, Allow-Events and Accept; 400, 401, 404, 420.
  effects answer_options(const options_request& request, instant now);

  /// Group commit: makes the calls of `all` in their order and writes what they change in one transaction. out[i] is
  /// what all[i] came to, and durable when this returns. Takes what a transaction should have (500 row operations,
  /// 4 MiB of documents, 10 000 NOTIFYs; at least one call) and returns how many calls that was, as many as `out` has.
  ///
  ///   for (std::span<const received> rest{waiting}; !rest.empty();) {
  ///     const std::size_t taken = engine.handle(rest, now, out);
  ///     for (std::size_t i = 0; i < taken; ++i) send(rest[i], out[i]);
  ///     rest = rest.subspan(taken);
  ///   }
  ///
  /// When the storage fails all of `all` is taken: every request is answered 503 with Retry-After, and nothing has
  /// happened. What the calls looked at is read again before the next request or advance() does anything; numbers
  /// jump forward there, and watchers who may have missed something are told the state again. When a row is not as
  /// expected the calls are made again, each with its own transaction.
  ///
  /// One by one all the same: without a storage, with publ_cache 2, with subs_db_mode 2 (written later anyway) and 3
  /// (each call has to see what other engines did).
  [[nodiscard]] std::size_t handle(std::span<const received> all, instant now, std::vector<effects>& out);

  // --- what the host reports and the clock brings ------------------------------------------------

  /// The outcome of a NOTIFY (N11). A success pays what the watcher is owed: the NOTIFY returned
  /// then carries the latest state (HOST-12). 481, a timeout and the codes of EVT-4.2.2-8 end the
  /// subscription silently. An id that is not known any more is ignored. Provisional statuses too.
  effects report(const notify_report& outcome, instant now);
  void report(const notify_report& outcome, instant now, effects& out);

  /// Ends what is due: lapsed publications recompose, lapsed subscriptions get their last NOTIFY.
  /// At most options::advance_budget deadlines per call; `more` says that others are due (M07). And at most
  /// options::advance_rate within a second: next_deadline() tells when the others come.
  /// After a storage failure everything is as before and due again after options::retry_after.
  effects advance(instant now);
  void advance(instant now, effects& out);

  /// No later than the earliest moment at which advance() has work; nothing when idle. May change
  /// with every other call. Cost: constant. A far deadline is first answered with an earlier
  /// moment, at which advance() does no more than look (at most five times per deadline).
  std::optional<instant> next_deadline() const;

  /// Writes what the storage does not know exactly yet, so that numbering goes on without a gap
  /// after a clean end. Call it last. Fails with a sentence; calling again is harmless.
  result<void, std::string> flush(instant now);

  /// Everything due now, without a budget, and the sweep of lapsed database rows (G03). Where other engines share the
  /// database (C01), part by part: `storage_failed` says then that something is left. What is another's is left to it (C02).
  effects cleanup(instant now);

  // --- privileged calls of the host, never reachable by a request (SEC-AUTH-7) --------------------

  /// refreshWatchers. `answer.status` is 0, or 404 when the event is not registered.
  effects refresh_watchers(std::string_view resource, std::string_view event, refresh_type type, instant now);
  /// update_watchers_status: as refresh_watchers with type authorization (G02, Z05).
  /// `watcher`: only about this one, unless a publication lapses with this call; empty: about all (Z06).
  effects update_watchers(std::string_view resource, std::string_view event, instant now, std::string_view watcher = {});

  /// Ends the subscriptions of `resource` (empty: of every resource) in the package `event` (empty: in
  /// every package) with a last NOTIFY each: `deactivated` to have watchers subscribe again at once (this
  /// node goes away), `probation` or `giveup` later, `noresource`, `rejected`, `invariant` for good.
  /// `retry_after` is told with probation and giveup only; giveup ends pending subscriptions only;
  /// invariant carries the final state (RFC 6665 section 4.1.3), unless decisions about who may see it are due. All at
  /// once, without a budget; where other engines share the database (C01) and no resource is named, state by state:
  /// `storage_failed` says then that some are left.
  effects terminate_watchers(std::string_view resource, std::string_view event, end_reason reason, instant now,
                             seconds retry_after = seconds{0});
  /// The resource does not exist any more: its publications go, its watchers get `noresource`.
  effects remove_resource(std::string_view resource, instant now);

  /// pres_auth_status: what `watcher` may see of `resource`; asks the rules, changes nothing.
  auth_code auth_status(std::string_view watcher, std::string_view resource, instant now,
                        std::string_view event = "presence") const;

  /// A passive engine answers questions from the storage and does nothing else: requests are answered 503, advance()
  /// has nothing to do, privileged calls change nothing. With subs_db_mode 3 only; otherwise without effect. For a
  /// standby that takes over when its host says so (C04).
  void set_passive(bool on);

  // --- insight (G04, G05, G07, G08, S31) ------------------------------------------------------------

  // With fallback2db or subs_db_mode 3 lists and counts are read from the storage: `local_cseq` is then the number
  // that is reserved, `from` a position of the storage's, and what a failing storage leaves out is in the log.
  page<publication_row> publications(const record_filter&, std::uint64_t from = 0, std::size_t limit = 100) const;
  page<subscription_row> subscriptions(const record_filter&, std::uint64_t from = 0, std::size_t limit = 100) const;
  std::size_t count_publications(const record_filter&) const;
  std::size_t count_subscriptions(const record_filter&) const;
  bool has_subscribers(std::string_view resource, std::string_view event) const;
  /// get_presentity: the composed state at `now` as a watcher who may see everything gets it.
  body current_state(std::string_view resource, std::string_view event, instant now) const;
  /// Whether anything is published for the resource (contains_presence; L09).
  bool contains_presence(std::string_view resource, instant now) const;
  /// The presentity's sphere (get_sphere; L09), if the presence package knows one.
  std::optional<std::string> get_sphere(std::string_view resource, instant now) const;

  const options& settings() const;
  engine_stats stats() const;
  /// Self-audit of every index, list and counter; a sentence that says what is wrong, or nothing.
  std::optional<std::string> check() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace presence
