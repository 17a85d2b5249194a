// The engine's inside. Every operation has the same shape: look, decide (pure), plan (descriptors
// and row operations are written down, nothing is changed), make durable, commit (cannot fail).
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <presence/engine.hpp>
#include <presence/grammar.hpp>
#include <presence/publication.hpp>
#include <presence/state_table.hpp>
#include <presence/subscription.hpp>
#include <presence/uri.hpp>
#include <presence/write_back_storage.hpp>

#include "../net_change.hpp"
#include "advance_rate.hpp"
#include "caching.hpp"
#include "calls.hpp"
#include "database.hpp"
#include "debts.hpp"
#include "dialogs.hpp"
#include "picture.hpp"
#include "plan.hpp"
#include "registry.hpp"
#include "sent.hpp"
#include "unanswered.hpp"
#include "watcher_records.hpp"

namespace presence {

/// `Name: value` lines, each ended by CRLF, with no other control character (Q04).
bool is_header_lines(std::string_view text) noexcept;
/// The same text, each control character a blank.
std::string blanked(std::string_view text);

inline constexpr seconds look_period{1};  ///< between looks at what is due in the database

struct engine::impl {
  impl(options s, host_hooks h, presence::storage* rows, random_source* random);

  // --- parts ---
  options settings;
  host_hooks hooks;
  std::unique_ptr<write_back_storage> held_back;  ///< in front of the host's storage, in write-back mode
  std::unique_ptr<random_source> own_random;
  random_source& random;
  state_table table;
  registry packages;
  std::string event_list;  ///< Allow-Events
  engine_stats counters;
  database rows;
  instant clock{};                 ///< the latest instant seen
  instant began{};                 ///< when the first package came
  instant blocked_until{};         ///< after a storage fault: when advance() tries again
  instant next_sweep{};            ///< clean_period
  instant next_flush{};            ///< db_update_period
  std::uint64_t last_id = 0;       ///< of publications
  std::uint64_t last_arrival = 0;  ///< of documents
  presence::debts debts;

  // --- scratch, reused by every call ---
  planned_change plan;
  std::vector<published> offered;  ///< gather()
  std::string resource_text, watcher_text, tag_text;
  std::string event_text;          ///< Event value to keep and repeat: the package, the id, parameters the package knows

  instant tick(instant now) noexcept { return clock = std::max(clock, now); }
  bool durable() const noexcept { return rows.there(); }
  bool stores_publications() const noexcept { return durable() && settings.publ_cache != 2; }
  [[gnu::cold]] void log(log_level level, std::string_view line) const noexcept;
  /// A call of the storage has failed: counted, and said.
  [[gnu::cold]] void note_fault(std::string_view why, log_level level = log_level::error);

  // --- what is not in memory (bring_in.cpp) ---
  /// Whether the database may have states that memory has not.
  bool partial() const noexcept { return looks_up() || !lost.empty(); }
  bool looks_up() const noexcept { return durable() && (settings.fallback2db || shared()); }  ///< by option
  /// Whether other engines may change the database (C01).
  bool shared() const noexcept { return durable() && settings.subs_db_mode == 3; }
  /// Whether the storage knows all that was told in a subscription that began then, and not only what may have been.
  bool exact_numbers(instant since, const event_package& package) const noexcept;
  bool bounded() const noexcept { return keeping && keeping->bounded(); }
  bool passive() const noexcept { return shared() && settings.passive; }
  /// The state, also if only the database has it. Throws storage_error when that cannot be read.
  event_state* find_state(const state_table::state_lookup& sought, const event_package& package);
  /// A look-up begun with the words of a request: a host names the resource as it is known here, mostly.
  state_table::state_lookup guess(std::string_view resource, std::string_view event) const noexcept {
    return table.look_up_state(resource.substr(0, settings.limits.uri_bytes), event.substr(0, settings.limits.token_bytes));
  }
  /// The same for `resource_text`, by when the words have been understood.
  state_table::state_lookup meant(const state_table::state_lookup& guessed, const event_package& package) const noexcept {
    const bool right = guessed.resource == resource_text && guessed.package == package.name;
    return right ? guessed : table.look_up_state(resource_text, package.name);
  }
  event_state* find_state(std::string_view resource, const event_package& package) {
    return find_state(table.look_up_state(resource, package.name), package);
  }
  /// Reads the mark and the rows of a state into memory. Throws storage_error, and half of it may be there.
  void bring_in(const std::string& name, const event_package& package);
  void bring_in_mark(const std::string& name, const event_package& package);
  /// And those that share dialogs with it; `first`: where in `brought` it is.
  void bring_in_siblings(const std::string& name, std::ptrdiff_t first);
  /// By name: packages of other usages of dialogs. Rows name them, which any server may have written: so they go with the
  /// call, and are never more than `brought`.
  std::map<std::string, event_package> not_served;
  /// Rows that were left out and are over: nobody can be told their end, so advance() deletes them. What is wrong is in their
  /// keys, which no row of ours can have.
  change unusable;
  void end_unusable();
  bool may_share = false;  ///< scratch: what was read may share dialogs with other states
  void know_other_usages(subscription& s);  ///< its row says so, or the others' rows
  /// Whether the state shares dialogs with others of its resource: they are in memory together.
  bool shares_dialogs(const event_state& state) const noexcept;
  /// Calls `f(event_state&)` for those, which may drop them.
  template <class F>
  void each_sibling(event_state& state, F&& f) {
    if (!shares_dialogs(state)) return;
    for (const auto& registered : packages) {
      event_state* other = &registered->package != state.package ? table.find(state.resource(), registered->package) : nullptr;
      if (other != nullptr && shares_dialogs(*other)) f(*other);
    }
  }
  /// Brings in the state a request in a dialog is about.
  void find_dialog(const subscribe_request& request, const event_package& package, std::string_view event_id);
  /// Brings in what a call about many states is about; empty members do not restrict.
  void find_states(std::string_view resource, std::string_view event);
  /// The names of all states that have subscriptions in the database, each once.
  void find_watched(std::string_view event, std::vector<state_name>& states);
  /// Brings in states whose time has come; at most `budget`. False: there may be more.
  bool find_due(instant now, std::size_t budget);
  /// What is due then, and whose: what is over is left to its owner for owner_grace (C02).
  due_filter wanted_at(instant now) const noexcept {
    return {now, now - settings.waiting_limit, settings.owner_id, now - settings.owner_grace};
  }
  /// Reads what the filter wants into memory. Throws unreadable.
  void read(const row_filter& wanted, const event_package& package, instant now);
  void adopt(publication_row row, const event_package& package);
  struct sought_row {  ///< where a row goes, looked up ahead; lives as long as the row
    bool can_be_sent;     ///< what is in the row may stand in a NOTIFY
    std::string watcher;  ///< canonical
    state_table::state_lookup state;
    state_table::watcher_lookup account;
    state_table::dialog_lookup dialog;
  };
  /// Line breaks that others have written into the row become blanks.
  void look_up(subscription_row& row, const event_package& package, sought_row& sought) const;
  void adopt(subscription_row&& row, const sought_row& sought, const event_package& package, instant now);
  void adopt(const watcher_row& row, const event_package& package);
  /// Drops a state and all that belongs to it from memory; the storage keeps it.
  void drop(event_state& state) noexcept;
  /// Marks what the call changes, or changes the moments of. Where engines share a database the change is refused if
  /// somebody else changed what it is made of.
  void mark_states();
  std::uint64_t new_stamp();
  void let_go(const effects& out) noexcept;  ///< a call is over
  struct brought_in {
    std::string resource;
    const event_package* package;
    state_mark mark = {};
    bool outdated = false;  ///< another engine has changed it meanwhile: no change by this call may be made
    bool served = true;     ///< else it is here for its mark: dialogs have usages in it
  };
  void put_in_place(brought_in one);  ///< its watchers, as they were when they were told last
  std::vector<brought_in> brought;  ///< by this call, also if nothing was there; in a group every state that is looked at
  bool outrun = false;              ///< somebody else changed a state meanwhile
  instant next_look{};              ///< at what is due in the database
  milliseconds look_offset{};       ///< each engine of a shared database looks at a moment of its own
  notifies_on_the_way on_the_way;
  subscription* find_sent(const sent& was);  ///< brings its state in
  void let_go_of_debts(const event_state& state) noexcept;
  void take_up_debts(std::size_t most);

  // --- group commit (group.cpp) ---
  struct group;
  bool grouping = false;
  net_change together;             ///< row operations of the group so far
  std::vector<brought_in> lost;    ///< states whose group was not written: only the database knows them
  std::set<subscription_key, less_key> untold;  ///< whoever in them may have missed something, or ends in the group
  /// A state other than find_state() has found is changed by a call of a group.
  void looked_at(const event_state& state) {
    if (grouping) brought.push_back({std::string{state.resource()}, state.package});
  }
  /// Reads what was lost. Throws `unreadable`; what was read until then stays.
  void read_again();
  void remember_untold(const subscription& s) noexcept;
  void owe_the_untold(event_state& state);

  // --- changes that nobody answered for (unanswered.cpp) ---
  std::optional<unanswered_change> unanswered;
  std::vector<notify> told_late;  ///< it was made: for the call that found it out
  void find_out();                ///< whether it was made. Throws unreadable
  void tell_late(effects& out) noexcept;
  /// The call's change is such a one. Takes it and its NOTIFYs.
  void remember_unanswered(effects& out);
  /// Makes its rows what memory has, or finds out whether it was made: before a call plans anything. An error: that cannot
  /// be done now.
  result<void, storage_error> settle();
  void require_settled() const;  ///< throws unreadable
  change mended();  ///< the row operations that takes. Throws unreadable
  event_state* find_held(const state_name& name) noexcept;  ///< in memory

  // --- what stays in memory (caching.cpp) ---
  std::unique_ptr<caching> keeping;  ///< null: everything, and nobody is told
  void uses(event_state& state, traced_operation as) noexcept {
    if (keeping) keeping->uses(state, as);
  }
  /// What a call looked for was in memory.
  void found(event_state& state) noexcept {
    if (keeping && keeping->uses(state, traced_operation::read) && keeping->bounded()) ++counters.cache_hits;
  }
  /// Whether the storage has all that matters of a state, and it is looked for there before its time comes.
  bool may_drop(const event_state& state) noexcept;
  bool keeps(const subscription& s, instant soon) const noexcept;  ///< in memory
  void keep_bounds() noexcept;

  // --- checks shared by the requests (requests.cpp) ---
  /// Each answers and returns false when it refuses.
  bool admit_sender(const identity& who, effects& out) const;
  bool admit_extensions(std::string_view require, effects& out) const;
  bool admit_content(const content_view& content, effects& out) const;
  bool admit_resource(std::string_view resource, effects& out);  ///< fills resource_text
  bool admit_expires(const expires_value& expires, effects& out) const;
  bool admit_text(std::string_view text, std::size_t limit, std::string_view reason, effects& out) const;
  const registered_package* admit_event(std::string_view event, event_value& parsed,
                                        bool event_package::*served, effects& out) const;
  expiry_bounds bounds_of(const event_package& package) const noexcept;
  // cold: what is rare stays apart from what every request needs, which has to fit the processor's cache of code
  [[gnu::cold]] void refuse(effects& out, int status, std::string_view reason = {}) const;
  [[gnu::cold]] void refuse(effects& out, const refusal& no) const;  ///< a hook's; 500 if it makes no sense
  [[gnu::cold]] void refuse_later(effects& out, std::string_view reason = {}) const;  ///< 503 with Retry-After

  // --- what a state looks like to whom (views.cpp) ---
  /// Fills `offered` with a state's publications as they are (no edit), or as they will be, hard state first:
  /// publications whose time is up leave, too.
  void gather(const event_state& state, const edit* what, instant now, bool only_hard = false);
  std::vector<published> staying() const;  ///< of `offered`: what does not leave
  /// What `offered` comes to, and as the views in use show it; `reader`: only what he sees of it is wanted.
  documents composed(const event_state& state, instant now, const subscription* reader = nullptr);
  void add_offline(picture& now_is, const event_state& state, const edit* what, instant now,
                   const subscription* reader = nullptr);
  body compose_whole(const event_state& state, std::string_view entity, instant now);
  /// Through a view; `offered` has what `whole` was made of.
  body show(const event_state& state, const body& whole, const shown_view& one, instant now);
  picture compose(const event_state& state, const edit* what, instant now);
  /// The same as the state is. Documents of views that are not kept (limits::views_kept) are made here each time:
  /// all of them, or what `reader` sees.
  picture present(event_state& state, const subscription* reader = nullptr);
  void remember(event_state& state, picture&& now_is) noexcept;
  question about(const event_package& package, std::string_view resource, instant now, told_sphere sphere) const;
  question about(const event_package& package, std::string_view resource, instant now);
  authorization ask(const question& what, const identity& who) const;
  /// About a watcher who has a subscription, and sees of it what it is about.
  authorization ask(const question& what, const subscription& s) const;
  /// What the resource's presence says, or said before something of it lapsed that is there still.
  told_sphere sphere_of(std::string_view resource, instant now, bool before = false);
  /// The sphere may change with an edit of the state (nothing lapsed, if that is null). Decisions for other packages that
  /// only the database has look at it, too: they are read, and made with this call where nothing stays in memory.
  void plan_elsewhere(event_state& state, const edit& what, instant now, effects& out);
  bool looks_at_sphere(const event_state& state) const noexcept {
    return settings.enable_sphere_check && state.rules && state.rules->by_sphere;
  }
  /// Whether decisions about the state's watchers may be others by now: that moment has come, or the sphere they look at
  /// has lapsed and advance() has not come to it. Until they are made nobody is told what he may not see any more.
  bool decisions_due(const event_state& state, instant now);
  /// When, and on what, an answer about a watcher of the state depends.
  void note(event_state& state, const authorization& answer);
  void note(event_state& state, instant when);
  /// A watcher's standing and view change with this call; a NOTIFY planned now shows it.
  void plan_turn(subscription& s, standing stands, std::shared_ptr<const view> what);
  void plan_end_turn(subscription& s, end_reason reason, effects& out);
  /// The NOTIFY that shows him the last he is to see, and ends his subscription.
  notify& plan_last(subscription& s, body content, effects& out);
  /// Tells him the state as it is, or its end.
  void plan_present(subscription& s, event_state& state, const picture& real, instant now, effects& out);
  /// How who loses his permission is told so (Z09); `decided` is rejected or probation.
  end_reason removal(const subscription& s, end_reason decided) const noexcept {
    return settings.removal_retry_after > seconds{0} && s.stands != standing::pending ? end_reason::probation : decided;
  }
  /// The NOTIFY that tells it.
  notify& plan_removed(subscription& s, end_reason decided, effects& out);
  void commit_turns(instant now) noexcept;
  void roll_back_turns(std::size_t to = 0) noexcept;
  /// Drops what was planned since.
  void drop_since(const planned_change::mark& m, effects& out) noexcept;
  /// Writes down what an edit of a state means for its watchers but `except`: NOTIFYs, and new decisions
  /// where the sphere changed, which no document need show. `after` is what they see from now on.
  void plan_told(event_state& state, const picture& before, picture& after, const edit* what,
                 std::string_view sender, const subscription* except, instant now, effects& out);
  /// Asks about every watcher of the state but `except` and writes down what follows.
  picture plan_decisions(event_state& state, const picture& before, const edit* what, const question& asked,
                         std::string_view sender, const subscription* except, effects& out);

  // --- watcher information (winfo.cpp) ---
  /// Who subscribed to a resource's watchers; null: nobody.
  event_state* winfo_state(std::string_view resource, const event_package& watched);
  std::uint64_t refused_id(std::uint64_t number) const noexcept;
  std::uint64_t refused_watchers = 0;
  watcher_record record_of(const subscription& s) const;
  /// Something happened to a watcher; whoever subscribed to that is told with this call.
  void tell(const event_state& watched, watcher_record record);
  void tell(const subscription& s, watcher_event event);
  void tell_end(const subscription& s, end_reason reason);
  /// A pending one ends, and by now it is known what is decided about him.
  void tell_answered(const subscription& s, sub_handling handling);
  /// A SUBSCRIBE was accepted; `waited`: what was known of him before.
  void tell_begin(const subscription& s, const undecided* waited, bool fetch);
  void tell_rejected(const event_package& package, std::string_view display_name, instant now);
  void tell_waiting(const undecided& u, watcher_event event);
  /// The full document; `reader`, if any, also learns what he missed.
  body watcher_information(const event_state& state, const subscription* reader, instant now);
  void plan_watcher_information(instant now, effects& out);
  missed_ends missed;

  // --- publications (publish.cpp) ---
  void publish(const publish_request& request, instant now, bool trusted, effects& out);
  void set_hard_state(std::string_view resource, std::string_view event, std::string_view name,
                      const content_view& content, instant now, effects& out);
  bool admit_type(std::string_view type, const event_package& package, effects& out) const;
  /// Takes a document in, or refuses it with the package's own status.
  bool admit_document(const content_view& content, const event_package& package, const publication* target,
                      publication& incoming, effects& out) const;
  /// What tells the sphere changed: decisions that look at it are due.
  void recheck_by_sphere(const event_state& state, instant now) noexcept;
  /// Whether a document comes too late to count (P37, P40).
  bool is_superseded(const event_state& state, const publication* target, const publication& incoming, instant now);
  /// Whether a document of `bytes` may join, or replace `target`.
  bool has_room(const event_state* state, const publication* target, std::size_t bytes, instant now) const noexcept;
  /// Makes an accepted PUBLISH happen: `out` has its answer and its operation.
  /// `incoming` brings tag, deadline and sender, and the document if there is one.
  void carry_out(const event_package& package, publication* target, publication& incoming, instant now,
                 effects& out);
  std::string new_etag();
  void plan_ended(const publication& p);
  publication_row row_of(const publication& p) const;

  /// What of it lapsed already (M03).
  lapse plan_lapse(event_state& state, instant now, const subscription* reader = nullptr);
  /// Tells all watchers but `except` of it, if there is anything to tell.
  void plan_lapse_told(event_state& state, lapse& due, const subscription* except, instant now, effects& out);
  void commit_lapse(event_state& state, lapse& due, instant now) noexcept;
  /// What leaves a state with an edit passes on what those that stay are to remember (event_package::inherit).
  void plan_inherited(event_state& state, const edit& what, instant now);
  /// The rows of those that stay say what they remember by now, where that is something else (parsed_document::stored()).
  void plan_kept(const event_state& state, const edit& what, instant now);
  bool remembers(const event_package& package) const noexcept {
    return stores_publications() && (package.inherit || package.decides_for_good);
  }
  void erase_lapsed(event_state& state, instant now) noexcept;

  // --- dialogs of subscriptions (dialogs.cpp) ---
  void keep_event(const event_value& event, const event_package& package);  ///< fills event_text
  /// `sibling`: a usage of the same dialog, whose tag, route set and addresses it shares.
  dialog make_dialog(const subscribe_request& request, const event_state& state, const subscription* sibling);
  /// Whether a request inside a dialog comes from who made it (SEC-AUTH-4).
  bool is_same_watcher(const subscribe_request& request, const subscription& s) const;
  void retarget(subscription& s, const subscribe_request& request, retargeting& trial);
  /// The rows of the dialog's other usages remember its numbers, for any may be the one that is left.
  void plan_other_usages(const subscription& s, std::uint32_t remote_cseq, const subscription* but = nullptr);
  subscription_row row_of(const subscription& s, const event_state& state, std::string_view event_id) const;
  /// identity::also as a dialog keeps it. A view of scratch memory.
  std::string_view further_addresses(const identity& who);
  std::string further_text, canonical_text;

  // --- subscriptions (subscribe.cpp) ---
  void subscribe(const subscribe_request& request, instant now, effects& out);
  /// The same once it is settled as who the sender is treated.
  void subscribe_as(const subscribe_request& request, instant now, effects& out);
  bool admit_dialog(const subscribe_request& request, effects& out) const;  ///< Call-ID, tags, CSeq
  bool admit_addresses(const subscribe_request& request, std::optional<uri_parts>& from, effects& out) const;  ///< and the rest
  bool take_resource_from_contact(const subscribe_request& request, effects& out);
  bool admit_accept(const subscribe_request& request, const event_package& package, effects& out) const;
  static constexpr std::uint16_t most_selections = 256;  ///< views of a state, where watchers ask for theirs
  struct lookups {  ///< what a SUBSCRIBE looks for, hashed once
    state_table::dialog_lookup dialog;
    state_table::state_lookup state = {};
    state_table::watcher_lookup watcher = {};
  };
  /// A new subscription, or a fetch when `lifetime` is zero; `sibling`: a usage of the same dialog;
  /// `lapsed`: its predecessor in the dialog, which advance() has not ended yet.
  void begin(const subscribe_request& request, const event_package& package, const lookups& sought, std::string_view event_id,
             subscription* sibling, subscription* lapsed, authorization answer, seconds lifetime, instant now,
             effects& out);
  void refresh(subscription& s, const subscribe_request& request, authorization answer, seconds lifetime,
               instant now, effects& out);
  void unsubscribe(subscription& s, const subscribe_request& request, authorization answer, instant now,
                   effects& out);
  /// Ends it with its SUBSCRIBE, once its last NOTIFY is planned; `as_turn`: one that is committed with the others.
  void end_with(const subscribe_request& request, subscription& s, retargeting& target, lapse& due, bool as_turn, instant now,
                effects& out);
  /// Ends a subscription by a decision about its watcher: the last NOTIFY carries no body. `accepted`: the
  /// CSeq of the request that led to it, if it was answered 2xx.
  void end_decided(subscription& s, end_reason decided, std::optional<std::uint32_t> accepted, instant now, effects& out);
  /// A SUBSCRIBE was refused: the resource's owner learns of it, and he waits no more.
  void turn_away(const event_package& package, const identity& who, instant now, effects& out);

  // --- looking in (insight.cpp) ---
  /// Lists and counts, where memory has not everything. What is read before the storage fails.
  template <class Row>
  page<Row> stored(const record_filter& filter, std::uint64_t from, std::size_t limit);
  template <class Row>
  std::size_t count_stored(const record_filter& filter);

  // --- decisions of the host (decisions.cpp) ---
  effects refresh(std::string_view resource, std::string_view event, refresh_type type, std::string_view watcher, instant now);
  /// `only`: about this watcher alone; empty: about all.
  void refresh_watchers(event_state& state, refresh_type type, std::string_view only, instant now, effects& out);
  /// Watchers without a subscription about whom the rules say something by now.
  void plan_decided_waiting(event_state& state, const question& asked, std::vector<undecided*>& decided);
  struct termination {
    std::string_view resource, event;  ///< empty: every one
    end_reason reason;
    seconds retry_after;
    bool everything;  ///< publications and undecided watchers go as well
  };
  void terminate(const termination& what, instant now, effects& out);

  // --- notifies (notify.cpp) ---
  /// The body this watcher gets for a state; the one place where a watcher's view is applied.
  body content_for(const subscription& s, const event_state& state, const picture& real, bool full);
  /// Writes down a NOTIFY of the subscription's present standing. Nothing is changed yet.
  notify& plan_notify(const subscription& s, body content, instant now, effects& out);
  notify& plan_end(subscription& s, end_reason reason, body content, effects& out);
  template <class F>
  void each_usage(const subscription& s, F&& f) {
    table.each_usage(s.dialog.call_id(), s.dialog.remote_tag(), [&](subscription& u) {
      return u.shared != s.shared || f(u);
    });
  }
  /// Has the database know that numbers up to `cseq` may be used in this dialog, if it does not yet.
  void plan_reservation(subscription& s, const notify& n);
  /// The same in rows of its dialog that are of packages which are not served here.
  void reserve_unserved(const subscription& s, std::uint32_t cseq);
  void commit_reservation(subscription& s, std::uint32_t cseq) noexcept;
  /// The row of a subscription that changed, with room for `cseq`.
  void plan_changed(const subscription& s, std::uint32_t cseq, bool tells = true);
  /// Writes down the NOTIFYs of a changed state to all active watchers but `except`.
  void plan_fan_out(event_state& state, const picture& before, const picture& after, std::string_view sender,
                    const subscription* except, instant now, effects& out);
  std::uint32_t next_cseq(const subscription& s) const noexcept;
  /// The version of the document after those this call tells, of a usage of several.
  std::uint32_t version_after(const subscription& s) const noexcept;
  std::uint32_t reserved_to(std::uint32_t cseq) const noexcept { return cseq + (settings.cseq_block - 1); }
  /// Makes `pending` durable. False: nothing happened, `out` says so, nothing may be committed.
  bool store(effects& out, instant now);
  /// The numbers of the planned NOTIFYs are used from now on.
  void commit_notifies(const effects& out) noexcept;
  void report(const notify_report& outcome, instant now, effects& out);

  // --- undecided watchers (undecided.cpp) ---
  /// The record of a watcher nobody decided about, made if need be.
  undecided& plan_undecided(event_state& state, watcher_account& watcher, instant now);
  /// His row says since when he waits, which is when this subscription is over, under which id watcher information
  /// tells of him, and his further addresses.
  void plan_undecided_row(const subscription& s, std::uint64_t id, instant since);
  static watcher_row row_of(const event_state& state, const watcher_account& watcher, std::uint64_t id, std::string_view also,
                            instant since);
  watcher_row row_of(const undecided& u) const;  ///< as it is in the database
  /// His row leaves the database with this call.
  void plan_decided(const event_state& state, const watcher_account& watcher);
  /// A subscription of his ends without a decision, and that is told. If it is a pending one he waits from
  /// now on (the row says since when), unless rules say something about his address by now, or he is given up on.
  /// Returns why it ends.
  end_reason plan_last_decision(subscription& s, instant now);
  /// A pending subscription of his is decided about; his row goes with the last of them.
  void plan_answered(subscription& s);
  void plan_answered_rows();
  /// A pending subscription of his began / ended without a decision / was decided.
  void pending_began(undecided& u) noexcept;
  void pending_ended(event_state& state, watcher_account& watcher, instant now) noexcept;
  void pending_decided(event_state& state, watcher_account& watcher) noexcept;
  void commit_crowded_out() noexcept;
  /// Drops the record if it says nothing any more.
  void settle(undecided& u) noexcept;
  /// Ends a subscription in memory; its state may be gone afterwards.
  void commit_end(subscription& s, instant now) noexcept;

  // --- time (lifetime.cpp) ---
  void advance(instant now, std::size_t budget, effects& out);
  static constexpr std::size_t unlimited = static_cast<std::size_t>(-1);
  advance_rate rate;  ///< deadlines
  /// And at once, where other engines may be quicker: the fewer states a change has, the less often it is refused.
  std::size_t most_shared = unlimited;
  std::optional<instant> next_deadline() const noexcept;
  result<void, std::string> restore(const event_package& package, instant now);
  /// What rules say at a moment about subscriptions that were read from the storage.
  void reconsider_restored(event_state& state, instant at);
  std::unique_ptr<publication> publication_of(publication_row row, const event_package& package);
  /// Forgets everything of a package in memory; the storage keeps it.
  void forget(const event_package& package) noexcept;
  /// Drops a state's publications and undecided watchers from memory.
  void drop_contents(event_state& state) noexcept;
  /// Reads a resource's publications again: somebody changed them behind the engine.
  bool reload(std::string_view resource, const event_package& package, instant now, effects& out);
  void sweep(instant now);
  /// Writes some of what is held back. False: the storage failed.
  bool write_back();
  /// `goes_on`: the call has done something, so that what decisions wait for may be done by the next one.
  void plan_unpaid(instant now, bool goes_on, effects& out);
  /// Whether a change cannot be told to him now: a NOTIFY is in flight, whose answer is followed by the latest
  /// state (HOST-12), or it is too soon. He is owed it then.
  bool must_wait(subscription& s, instant now);
  bool too_soon(const subscription& s, instant now) const noexcept {
    return settings.notify_interval > seconds{0} && since_told(s, now) < settings.notify_interval;
  }
  result<void, std::string> flush();
  bool flush_failed = false;  ///< nobody knows which numbers it has written

  // --- calls (engine.cpp) ---
  /// Why a call is made. A request is answered, and the host's own calls mostly change something, as requests do; an
  /// outcome or a moment may come to nothing.
  enum class occasion : std::uint8_t { request, command, event };
  /// Runs `call(now)`: whatever throws becomes an answer and leaves nothing behind.
  template <class F>
  void guarded(effects& out, occasion why, instant now, F&& call);
  template <class F>
  void run(effects& out, occasion why, F&& call);
  /// In a handler: what was thrown becomes the call's answer.
  [[gnu::cold]] void answer_thrown(occasion why, effects& out);
  bool call_answers = false;  ///< the running call answers a request
  /// Runs `call()`, which asks a package. False: that threw, which is logged with the sentence, and others need not suffer for
  /// it. What is not a package's fault is thrown on: no memory, and a storage that cannot be read.
  template <class F>
  [[nodiscard]] bool answered_by_package(std::string_view otherwise, F&& call) {
    try {
      call();
      return true;
    } catch (...) {
      log_package_threw(otherwise);
      return false;
    }
  }
  [[gnu::cold]] void log_package_threw(std::string_view otherwise) const;  ///< in a handler
  /// A call that only looks: what it brings in is let go as well.
  struct looking {
    impl& e;
    explicit looking(impl& of) : e{of} {
      if (!e.shared()) static_cast<void>(e.settle());  // else there is nothing to be made so again
    }
    ~looking() { e.let_go({}); }
  };
};

}  // namespace presence
