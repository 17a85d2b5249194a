// The engine's inside. Every operation has the same shape: look, decide (pure), plan (descriptors
// and row operations are written down, nothing is changed), make durable, commit (cannot fail).
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <presence/engine.hpp>
#include <presence/grammar.hpp>
#include <presence/notify_outcome.hpp>
#include <presence/publication.hpp>
#include <presence/state_table.hpp>
#include <presence/subscription.hpp>
#include <presence/uri.hpp>
#include <presence/watcher_state.hpp>
#include <presence/write_back_storage.hpp>

#include "../net_change.hpp"
#include "caching.hpp"

namespace presence {

/// Calls the one of several functions that takes the alternative (std::visit).
template <class... F>
struct overloaded : F... {
  using F::operator()...;
};
template <class... F>
overloaded(F...) -> overloaded<F...>;

/// A registered package and what follows from it.
struct registered_package {
  event_package package;
  std::string_view type;  ///< of package.name
  struct parameter {
    std::string_view name;
    std::optional<std::string_view> value;
  };
  std::vector<parameter> parameters;  ///< of package.name

  /// Whether an Event value names this package: its type, with all of our parameters (P05).
  bool named_by(const event_value& event) const noexcept {
    return event.type == type && std::all_of(parameters.begin(), parameters.end(), [&](const parameter& p) {
             return event.has(p.name, p.value);
           });
  }
};

/// A watcher as watcher information tells of him (RFC 3858).
struct watcher_record {
  std::uint64_t id;
  std::string uri, display_name;
  watcher_state status;
  watcher_event event;
  instant deadline, since;
};

/// The storage cannot be read now: what a call needs is not in memory.
struct unreadable : std::runtime_error {
  explicit unreadable(const storage_error& e) : std::runtime_error{e.text} {}
};

/// The resource as bridged lines name it: the Contact's user in the From's domain (S26). Empty: there is none.
std::string bridged_line(const subscribe_request& request);

std::string id_text(std::uint64_t id);                   ///< the `id` attribute
std::uint64_t read_id(std::string_view text) noexcept;  ///< 0: it is none

inline constexpr std::size_t page_rows = 500;  ///< read or written at once
inline constexpr seconds look_period{1};       ///< between looks at what is due in the database

/// What a call that fills in its effects comes to, as a value.
template <class F>
effects effects_of(F&& call) {
  effects out;
  call(out);
  return out;
}

/// A NOTIFY's subscription, as one number.
constexpr std::uint64_t number_of(const notify_id& id) noexcept { return std::uint64_t{id.slot} << 32 | id.generation; }

struct engine::impl {
  impl(options s, host_hooks h, presence::storage* rows, random_source* random);

  // --- parts ---
  options settings;
  host_hooks hooks;
  std::unique_ptr<write_back_storage> held_back;  ///< in front of the host's storage, in write-back mode
  presence::storage* rows;
  std::unique_ptr<random_source> own_random;
  random_source& random;
  state_table table;
  std::vector<std::unique_ptr<registered_package>> packages;
  std::string event_list;
  engine_stats counters;
  instant clock{};                 ///< the latest instant seen
  instant began{};                 ///< when the first package came
  instant blocked_until{};         ///< after a storage fault: when advance() tries again
  instant next_sweep{};            ///< clean_period
  instant next_flush{};            ///< db_update_period
  std::uint64_t last_id = 0;       ///< of publications
  std::uint64_t last_arrival = 0;  ///< of documents
  /// Orders documents by time, and by arrival within a millisecond.
  std::uint64_t arrival_after(instant now) const noexcept { return std::max(last_arrival + 1, first_arrival(now)); }
  static std::uint64_t first_arrival(instant at) noexcept {
    return static_cast<std::uint64_t>(std::max<milliseconds::rep>(at.time_since_epoch().count(), 1)) << 16;
  }
  std::vector<notify_id> unpaid;   ///< watchers who are owed a NOTIFY that could not be written down

  // --- scratch, reused by every call ---
  change pending;                  ///< row operations of this call; stays empty without a storage
  bool usage_ends = false;         ///< of a dialog with others in it
  std::vector<subscription*> owing;   ///< watchers who have to wait for an answer first
  /// A watcher whose standing and view are changed already; undone unless the call is committed.
  struct turn {
    subscription* s;
    standing before;
    std::uint16_t view;  ///< before
    end_reason ends;     ///< he is changed only by the commit, then
  };
  std::vector<turn> turned;
  struct watcher_change {
    event_state* to;     ///< whose subscribers are told
    watcher_record record;
  };
  std::vector<watcher_change> watcher_changes;
  /// Pending subscriptions that this call ends or decides about, for each watcher: a tally of `departures`, as far as
  /// they were counted.
  struct {
    std::unordered_map<const undecided*, std::size_t> of;
    std::size_t counted = 0;
    void reset() noexcept {
      if (!of.empty()) of.clear();
      counted = 0;
    }
  } departing;
  std::size_t departing_of(const undecided& u);
  std::vector<std::pair<subscription*, watcher_record>> missed_now;
  std::vector<published> offered;
  std::string resource_text, watcher_text, tag_text;
  std::string event_text;          ///< Event value to keep and repeat: the package, the id, parameters the package knows

  instant tick(instant now) noexcept { return clock = std::max(clock, now); }
  bool durable() const noexcept { return rows != nullptr; }
  bool stores_publications() const noexcept { return durable() && settings.publ_cache != 2; }
  [[gnu::cold]] void log(log_level level, std::string_view line) const noexcept;

  // --- what is not in memory (bring_in.cpp) ---
  /// Whether the database may have states that memory has not.
  bool partial() const noexcept { return looks_up() || !lost.empty(); }
  bool looks_up() const noexcept { return durable() && (settings.fallback2db || shared()); }  ///< by option
  /// Whether other engines may change the database (C01).
  bool shared() const noexcept { return durable() && settings.subs_db_mode == 3; }
  /// Whether the storage knows all that was told in a subscription that began then, and not only what may have been.
  bool exact_numbers(instant since, const event_package& package) const noexcept {
    if (settings.force_delete) return false;  // what went in silence has no number
    // rows do not tell who was not sent his own word
    if (package.difference) return false;
    return shared() || (bounded() && settings.cseq_block == 1 && began != instant{} && since >= began);
  }
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
  std::map<std::string, event_package> not_served;  ///< by name: packages of other usages of dialogs, as rows say
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
  /// Every row that the filter wants, page by page. Throws unreadable.
  template <class Row, class F>
  void each_row(const row_filter& wanted, F take);
  /// The same for each page, `take(std::vector<Row>&)`.
  template <class Row, class F>
  void each_page(const row_filter& wanted, F take);
  /// Reads what the filter wants into memory. Throws unreadable.
  void read(const row_filter& wanted, const event_package& package, instant now);
  void adopt(publication_row row, const event_package& package);
  void adopt(subscription_row row, const event_package& package, instant now);
  void adopt(const watcher_row& row, const event_package& package);
  subscription* find_sent(const notify_id& id);
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
  /// NOTIFYs on the way whose subscriptions are not in memory.
  struct sent {
    std::string resource;
    const event_package* package;
    presence::dialog dialog;
  };
  static sent sent_in(const subscription& s) { return {std::string{s.state->resource()}, s.state->package, s.dialog}; }
  subscription* find_sent(const sent& was);
  void remember_sent(const notify_id& id, sent to);
  std::unordered_map<std::uint64_t, sent> on_the_way;
  std::deque<std::pair<instant, std::uint64_t>> sent_order;
  /// Who is owed a NOTIFY, where nothing stays in memory: the next advance() pays.
  struct debt {
    sent to;
    std::vector<watcher_record> missed;
  };
  std::deque<debt> debts;
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
  std::optional<change> unanswered;         ///< may have been made, and is not in memory; the next one waits for it
  std::string why_unanswered;               ///< still
  struct late_notify {
    notify told;
    sent to;
  };
  std::vector<late_notify> unanswered_notifies;  ///< of it, with subs_db_mode 3
  instant unanswered_at{};
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
  const registered_package* match(const event_value& event) const noexcept;
  const registered_package* named(std::string_view package_name) const noexcept;
  expiry_bounds bounds_of(const event_package& package) const noexcept;
  // cold: what is rare stays apart from what every request needs, which has to fit the processor's cache of code
  [[gnu::cold]] void refuse(effects& out, int status, std::string_view reason = {}) const;
  [[gnu::cold]] void refuse(effects& out, const refusal& no) const;  ///< a hook's; 500 if it makes no sense
  [[gnu::cold]] void refuse_later(effects& out, std::string_view reason = {}) const;  ///< 503 with Retry-After

  // --- what a state looks like to whom (views.cpp) ---
  /// What a PUBLISH or a lapse does to a state's publications.
  struct edit {
    publication* target = nullptr;       ///< the one replaced or removed
    const publication* incoming = nullptr;  ///< what takes its place, or joins
  };
  /// A state's documents at one moment: the whole, and one for each view in use (N23).
  struct documents {
    body whole = {};
    std::vector<body> views = {};  ///< view number n is at n - 1
    const body& of(const subscription& s) const noexcept {
      static const body nothing;
      if (s.view == 0) return whole;
      return s.view <= views.size() ? views[s.view - 1u] : nothing;
    }
  };
  /// And what would be shown if nothing but hard state were published: who is politely blocked sees that
  /// (SEC-LEAK-2). Empty: there is no hard state, and the package's neutral body is shown.
  struct picture : documents {
    documents offline = {};
    const body& of(const subscription& s) const noexcept {
      return s.stands == standing::polite ? offline.of(s) : documents::of(s);
    }
  };
  static bool differ(const documents& a, const documents& b) noexcept;
  static bool differ(const picture& a, const picture& b) noexcept;
  /// Fills `offered` with a state's publications as they are (no edit), or as they will be, hard state first:
  /// publications whose time is up leave, too.
  void gather(const event_state& state, const edit* what, instant now, bool only_hard = false);
  std::vector<published> staying() const;  ///< of `offered`: what does not leave
  /// What `offered` comes to, and as the views in use show it; `reader`: only what he sees of it is wanted.
  documents composed(const event_state& state, instant now, const subscription* reader = nullptr);
  void add_offline(picture& now_is, const event_state& state, const edit* what, instant now, const subscription* reader = nullptr);
  body compose_whole(const event_state& state, std::string_view entity, instant now);
  /// Through a view; `offered` has what `whole` was made of.
  body show(const event_state& state, const body& whole, const shown_view& one, instant now);
  /// Whether documents for the subscription name the resource by its pres: address.
  static bool as_pres(const subscription& s) noexcept;
  /// The resource as documents name it.
  static std::string entity_of(const event_state& state, bool as_pres);
  static bool as_pres(const event_state& state, std::size_t view) noexcept {
    return view != 0 && state.rules->views[view - 1].as_pres;
  }
  /// What is shown when nothing is published.
  static body neutral(const event_state& state, bool as_pres);
  picture compose(const event_state& state, const edit* what, instant now);
  /// The same as the state is. Documents of views that are not kept (limits::views_kept) are made here each time:
  /// all of them, or what `reader` sees.
  picture present(event_state& state, const subscription* reader = nullptr);
  void remember(event_state& state, picture&& now_is) noexcept;
  /// What is asked about the watchers of one resource at one moment: its rules are fetched once for all.
  struct question {
    const event_package& package;
    std::string_view resource;
    instant now;
    told_sphere sphere = {};
    std::optional<std::string> rules = {};
    bool tells_all = false;  ///< nobody knows what they saw before
    std::string_view only = {};  ///< about this watcher; empty: about all
  };
  question about(const event_package& package, std::string_view resource, instant now, told_sphere sphere) const;
  question about(const event_package& package, std::string_view resource, instant now);
  authorization ask(const question& what, const identity& who) const;
  /// About a watcher who has a subscription, and sees of it what it is about.
  authorization ask(const question& what, const subscription& s) const;
  static std::shared_ptr<const view> selected(const subscription& s, std::string_view contact, std::shared_ptr<const view> seen);
  /// What the resource's presence says, or said before something of it lapsed that is there still.
  told_sphere sphere_of(std::string_view resource, instant now, bool before = false);
  /// The sphere may change with an edit of the state (nothing lapsed, if that is null). Decisions for other packages that
  /// only the database has look at it, too: they are read, and made with this call where nothing stays in memory.
  void plan_elsewhere(event_state& state, const edit& what, instant now, effects& out);
  /// Whether the moment has come at which decisions about the state's watchers may be others (Z11, Z12).
  static bool decisions_due(const event_state& state, instant now) noexcept {
    return state.rules && timer_wheel<ruled>::contains(*state.rules) && state.rules->deadline <= now;
  }
  bool looks_at_sphere(const event_state& state) const noexcept {
    return settings.enable_sphere_check && state.rules && state.rules->by_sphere;
  }
  /// When, and on what, an answer about a watcher of the state depends.
  void note(event_state& state, const authorization& answer);
  void note(event_state& state, instant when);
  /// When decisions about the state's watchers turn, as far as is known.
  static std::optional<instant> turns(const event_state& state) noexcept {
    if (!state.rules || !timer_wheel<ruled>::contains(*state.rules)) return std::nullopt;
    return state.rules->deadline;
  }
  std::vector<event_state*> noted;  ///< scratch: for which that may be another now
  /// A watcher's standing and view change with this call; a NOTIFY planned now shows it.
  void plan_turn(subscription& s, standing stands, std::shared_ptr<const view> what);
  void plan_end_turn(subscription& s, end_reason reason, effects& out);
  /// Whether who sees it is to see nothing more; and the NOTIFY that tells it and ends his subscription.
  static bool is_last(const body& shown) noexcept { return shown.outline() != nullptr && shown.outline()->is_last(); }
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
  /// How much of a call is planned; what was planned since can be dropped again, so that a package that
  /// throws for one state does not stop the clock for others.
  struct plan_mark {
    std::size_t notifies, owing, turned, told, missed, departures, rewritten, ended_publications, changed_publications,
        ended_subscriptions, changed_subscriptions, reservations, ended_watchers, watchers;
  };
  plan_mark mark(const effects& out) const noexcept;
  void drop_since(const plan_mark& m, effects& out) noexcept;
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
  /// An id for watcher information: never the same for two machines, also after a restart, and it tells nothing.
  static std::uint64_t watcher_id(const subscription& s) noexcept;
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
  /// Who has a view sees himself alone, whatever view it is (WIN-4.6-2); who is politely blocked sees nobody.
  static bool may_see(const subscription& reader, std::string_view watcher) noexcept;
  /// The full document; `reader`, if any, also learns what he missed.
  body watcher_information(const event_state& state, const subscription* reader, instant now);
  void plan_watcher_information(instant now, effects& out);
  void commit_missed() noexcept;
  /// Ends that winfo subscribers with a NOTIFY in flight were not told of, by subscription.
  std::unordered_map<slab<subscription>::index, std::vector<watcher_record>> missed;

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
  /// parsed_document::stored(), if there is something, becomes the content.
  static void take_stored(publication& incoming);
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

  /// Publications of a state whose time is up, before advance() got to them (M03).
  struct lapse {
    bool any = false;
    picture before = {};   ///< only if `any`
    picture after = {};    ///< the state without them; unless `any`, for one reader if there is one
  };
  lapse plan_lapse(event_state& state, instant now, const subscription* reader = nullptr);
  /// Tells all watchers but `except` of it, if there is anything to tell.
  void plan_lapse_told(event_state& state, lapse& due, const subscription* except, instant now, effects& out);
  void commit_lapse(event_state& state, lapse& due, instant now) noexcept;
  /// Watchers were not told of something: the next document each gets is a full one.
  void make_unsure(event_state& state) noexcept;
  /// What leaves a state with an edit passes on what those that stay are to remember (event_package::inherit).
  void plan_inherited(event_state& state, const edit& what, instant now);
  /// The rows of those that stay say what they remember by now, where that is something else (parsed_document::stored()).
  void plan_kept(const event_state& state, const edit& what, instant now);
  bool remembers(const event_package& package) const noexcept {
    return stores_publications() && (package.inherit || package.decides_for_good);
  }
  struct rewrite {
    publication* of;
    body content;  ///< once it is stored
    std::uint64_t kept;
  };
  std::vector<rewrite> rewritten;  ///< by this call, for that alone
  void erase_lapsed(event_state& state, instant now) noexcept;

  // --- dialogs of subscriptions (dialogs.cpp) ---
  void keep_event(const event_value& event, const event_package& package);  ///< fills event_text
  /// `sibling`: a usage of the same dialog, whose tag, route set and addresses it shares.
  dialog make_dialog(const subscribe_request& request, const event_state& state, const subscription* sibling);
  /// Whether a request inside a dialog comes from who made it (SEC-AUTH-4).
  bool is_same_watcher(const subscribe_request& request, const subscription& s) const;
  /// Where a dialog's NOTIFYs go from now on: put in place for all its usages while NOTIFYs are
  /// planned, and taken back unless it is kept.
  struct retargeting {
    std::vector<std::pair<subscription*, presence::dialog>> before;
    bool kept = false;
    ~retargeting() {
      if (kept) return;
      for (auto& [s, old] : before) s->dialog = old;
    }
  };
  void retarget(subscription& s, const subscribe_request& request, retargeting& trial);
  /// The rows of the dialog's other usages remember its numbers, for any may be the one that is left.
  void plan_other_usages(const subscription& s, std::uint32_t remote_cseq, const subscription* but = nullptr);
  subscription_row row_of(const subscription& s, const event_state& state, std::string_view event_id) const;
  static subscription_key key_of(const subscription& s);
  static identity identity_of(std::string_view watcher, bool proven, std::string_view also = {});
  static identity identity_of(const subscription& s) { return identity_of(s.watcher->uri(), s.dialog.proven(), s.dialog.also()); }
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
  /// Adds what a part of a call comes to.
  static void append(effects& part, effects& out) {
    std::move(part.notifies.begin(), part.notifies.end(), std::back_inserter(out.notifies));
    out.state_changed |= part.state_changed;
    out.storage_failed |= part.storage_failed;
    out.more = part.more;
  }

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
  /// Whether a change by `sender` is not told to him: it is his, and so is what is shown now (P03).
  static bool is_own_word(const subscription& s, const picture& shown, std::string_view sender) noexcept;
  std::uint32_t next_cseq(const subscription& s) const noexcept;
  /// The version of the document after those this call tells, of a usage of several.
  std::uint32_t version_after(const subscription& s) const noexcept;
  std::unordered_map<slab<subscription>::index, std::uint32_t> planned_documents;  ///< for such usages, by this call
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
  /// How long a subscription that began at `since` may live if it is pending.
  seconds pending_lifetime(seconds granted, instant since, instant now) const noexcept {
    if (settings.pending_limit == seconds{0}) return granted;
    return std::min(granted, std::max(std::chrono::ceil<seconds>(since + settings.pending_limit - now), seconds{1}));
  }
  /// A pending subscription of his is decided about; his row goes with the last of them.
  void plan_answered(subscription& s);
  void plan_answered_rows();
  struct departure {
    const undecided* who;
    bool answered;
  };
  std::vector<departure> departures;  ///< scratch: pending subscriptions that are decided about or end, in that order
  /// A pending subscription of his began / ended without a decision / was decided.
  void pending_began(undecided& u) noexcept;
  void pending_ended(event_state& state, watcher_account& watcher, instant now) noexcept;
  void pending_decided(event_state& state, watcher_account& watcher) noexcept;
  undecided* crowded_out = nullptr;  ///< gives up for another in this call
  void commit_crowded_out() noexcept;
  /// Drops the record if it says nothing any more.
  void settle(undecided& u) noexcept;
  /// Ends a subscription in memory; its state may be gone afterwards.
  void commit_end(subscription& s, instant now) noexcept;

  // --- time (lifetime.cpp) ---
  void advance(instant now, std::size_t budget, effects& out);
  static constexpr std::size_t unlimited = static_cast<std::size_t>(-1);
  /// Whether no more deadlines may be handled before `second_of_rate` is over (advance_rate).
  bool sated() const noexcept { return settings.advance_rate != 0 && handled >= settings.advance_rate; }
  instant second_ends() const noexcept { return second_of_rate + seconds{1}; }
  instant second_of_rate{};
  std::size_t handled = 0;  ///< deadlines, in that second
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
  void plan_unpaid(instant now, effects& out);
  /// Whether a change cannot be told to him now: a NOTIFY is in flight, whose answer is followed by the latest
  /// state (HOST-12), or it is too soon. He is owed it then.
  bool must_wait(subscription& s, instant now);
  bool too_soon(const subscription& s, instant now) const noexcept {
    return settings.notify_interval > seconds{0} && milliseconds{milliseconds_of(now) - s.told} < settings.notify_interval;
  }
  static std::uint32_t milliseconds_of(instant at) noexcept { return static_cast<std::uint32_t>(at.time_since_epoch().count()); }
  void reserve_debts();  ///< room for all who are owed something
  /// When watchers may be told what they are owed; a heap, the first one first.
  struct paced {
    instant due;
    notify_id id;
    bool operator<(const paced& other) const noexcept { return other.due < due; }
  };
  std::vector<paced> later;
  result<void, std::string> flush();
  bool flush_failed = false;  ///< nobody knows which numbers it has written

  /// Why a call is made. A request is answered, and the host's own calls mostly change something, as requests do; an
  /// outcome or a moment may come to nothing.
  enum class occasion : std::uint8_t { request, command, event };
  /// Runs `call(now)`: whatever throws becomes an answer and leaves nothing behind.
  template <class F>
  void guarded(effects& out, occasion why, instant now, F&& call) {
    if (passive()) {
      out.clear();
      if (why == occasion::request) refuse_later(out, "Passive");
      return;
    }
    now = tick(now);
    const struct letting_go {
      impl& e;
      const effects& out;
      ~letting_go() { e.let_go(out); }
    } at_the_end{*this, out};
    for (int tries = 0; tries < most_tries; ++tries) {  // again if another engine was quicker
      outrun = false;
      run(out, why, [&] { call(now); });
      if (!outrun) break;
      let_go(out);
    }
    if (!told_late.empty()) tell_late(out);
  }
  static constexpr int most_tries = 5;
  /// A call that only looks: what it brings in is let go as well.
  struct looking {
    impl& e;
    explicit looking(impl& of) : e{of} {
      if (!e.shared()) static_cast<void>(e.settle());  // else there is nothing to be made so again
    }
    ~looking() { e.let_go({}); }
  };
  template <class F>
  void run(effects& out, occasion why, F&& call) {
    out.clear();
    const bool answers = call_answers = why == occasion::request;
    if (durable()) pending = {};
    owing.clear();
    watcher_changes.clear();
    departing.reset();
    missed_now.clear();
    departures.clear();
    noted.clear();
    rewritten.clear();
    usage_ends = false;
    if (!planned_documents.empty()) planned_documents.clear();
    struct undo {
      impl& e;
      ~undo() { e.roll_back_turns(); }
    } const unless_committed{*this};
    crowded_out = nullptr;
    try {
      if (why != occasion::event && unanswered) static_cast<void>(settle());
      if (answers) read_again();
      call();
      counters.notifies += out.notifies.size();
      return;
    } catch (const std::bad_alloc&) {
      out.clear();
      throw;
    } catch (const unreadable& e) {
      out.clear();
      ++counters.storage_faults;
      log(log_level::error, e.what());
      out.storage_failed = true;
      if (!answers) blocked_until = clock + settings.retry_after;
      if (answers) refuse_later(out);
      return;
    } catch (const std::exception& e) {
      log(log_level::error, e.what());
    } catch (...) {
      log(log_level::error, "a hook threw something that is no exception");
    }
    out.clear();
    if (answers) refuse(out, 500);
  }
  bool call_answers = false;  ///< the running call answers a request
};

template <class Row, class F>
void engine::impl::each_row(const row_filter& wanted, F take) {
  each_page<Row>(wanted, [&](std::vector<Row>& page) {
    for (Row& row : page) take(std::move(row));
  });
}
template <class Row, class F>
void engine::impl::each_page(const row_filter& wanted, F take) {
  std::vector<Row> page;
  for (cursor at; !at.done; page.clear()) {
    ++counters.storage_calls;
    result<void, storage_error> done;
    if constexpr (std::is_same_v<Row, publication_row>) done = rows->publications(wanted, at, page_rows, page);
    if constexpr (std::is_same_v<Row, subscription_row>) done = rows->subscriptions(wanted, at, page_rows, page);
    if constexpr (std::is_same_v<Row, watcher_row>) done = rows->watchers(wanted, at, page_rows, page);
    if (!done) throw unreadable{done.error()};
    take(page);
  }
}

}  // namespace presence
