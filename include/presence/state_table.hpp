/// The working memory of an engine: event states (one per resource and package) with their
/// publications and watchers, subscriptions by dialog, undecided watchers, and all deadlines.
/// It keeps indexes, lists and counters consistent and knows no protocol rule.
///
/// Subscriptions lie in a slab, 112 bytes each besides their dialog block; what a NOTIFY needs lies
/// together. A state lists its watchers as slab numbers in subscription order, so that a
/// fan-out can fetch ahead. Nothing ever moves: pointers stay valid until the object is erased.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <presence/body.hpp>
#include <presence/dialog.hpp>
#include <presence/event_package.hpp>
#include <presence/hash_index.hpp>
#include <presence/keyed_hash.hpp>
#include <presence/pool.hpp>
#include <presence/short_text.hpp>
#include <presence/slab.hpp>
#include <presence/storage.hpp>
#include <presence/subscription.hpp>
#include <presence/time.hpp>
#include <presence/timer_wheel.hpp>

namespace presence {

struct event_state;
class state_table;
struct watcher_account;

/// A publication counts for who made it as long as it lives.
struct end_of_share {
  state_table* table = nullptr;
  void operator()(watcher_account* w) const noexcept;
};
using publisher_share = std::unique_ptr<watcher_account, end_of_share>;

/// CSeq numbers of a dialog that carries several subscriptions (EVT-4.4.1-1, PROP-2).
struct shared_numbers {
  std::uint32_t local_cseq = 0;
  std::uint32_t remote_cseq = 0;
  std::uint32_t usages = 0;
  instant latest = {};     ///< when the last usage began
  std::uint32_t nth = 0;   ///< of those that began at that moment
  bool several_states = false;  ///< there are, or were, usages in other packages
  bool unserved = false;        ///< some may be in packages that are not served: only the database has them
  std::uint32_t unserved_ceiling = 0;  ///< the highest number their rows are known to have
};

/// Of watchers who proved an address, and of those who only claim it: one cannot use up the other's
/// share (SEC-DOS-4).
struct subscription_count {
  std::uint32_t proven = 0, claimed = 0;
  std::uint32_t& of(bool who_proved) noexcept { return who_proved ? proven : claimed; }
  std::uint32_t all() const noexcept { return proven + claimed; }
  friend bool operator==(const subscription_count&, const subscription_count&) = default;
};

/// Everybody who watches anything, or publishes for others: counts that, so that nobody can have all there is.
struct watcher_account {
  std::uint32_t hash = 0;       ///< of its address
  short_text name = {};
  std::uint32_t published = 0;  ///< for others
  subscription_count subscriptions = {};
  std::uint32_t users = 0;      ///< records that refer to this account
  slab<watcher_account>::index self = slab<watcher_account>::none;

  std::string_view uri() const noexcept { return name.view(); }
};

/// Whom a publication is from, where somebody is named.
struct origin {
  std::string sender = {};
  publisher_share publisher = {};  ///< null: the resource itself, the host, or nobody proven
};

/// A live publication of a state; what a refresh touches comes first. Made by state_table::make_publication(). It is in the
/// memory of its state, if there is room, so that who found the state has found it, too; else in that of the table.
struct publication {
  static void* operator new(std::size_t, pool<publication>& from) { return from.take(); }
  static void operator delete(void* at, pool<publication>&) noexcept { pool<publication>::give_back(at); }
  static void* operator new(std::size_t, void* room) noexcept { return room; }
  static void operator delete(void*, void*) noexcept {}
  static void operator delete(publication* p, std::destroying_delete_t) noexcept;

  timer_hook timer;
  instant deadline = {};
  event_state* state = nullptr;
  std::string etag = {};
  body content = {};
  document parsed = {};
  std::unique_ptr<origin> from = {};
  std::uint64_t id = 0;
  std::uint64_t arrival = 0;  ///< orders documents by when they came
  std::uint64_t kept = 0;     ///< parsed_document::kept(), when `content` was made
  instant since = {};

  /// Hard state never lapses and is in no timer; its `etag` is its name, which no PUBLISH can give.
  bool hard() const noexcept { return deadline == never; }

  std::string_view sender() const noexcept { return from ? std::string_view{from->sender} : std::string_view{}; }
  std::string_view publisher() const noexcept {
    return from && from->publisher ? from->publisher->uri() : std::string_view{};
  }
  void set_sender(std::string_view sender) {
    if (!from && sender.empty()) return;
    if (!from) from = std::make_unique<origin>();
    from->sender = sender;
  }
  void set_publisher(publisher_share share) {
    if (!from) from = std::make_unique<origin>();
    from->publisher = std::move(share);
  }
  /// Takes over who sent a document that comes; whose share it is stays.
  void renew_sender(std::unique_ptr<origin> now) noexcept {
    if (from && now) now->publisher = std::move(from->publisher);
    if (from && !now) from->sender.clear();
    else from = std::move(now);
  }
};

/// A subscription: one usage of one dialog.
struct subscription {
  watcher_account* watcher = nullptr;
  instant since = {};
  std::uint32_t position = 0;       ///< in state->watchers
  std::uint32_t dialog_hash = 0;    ///< under which the table has it
  // what a refresh and a NOTIFY read
  timer_hook timer;
  instant deadline = {};
  presence::dialog dialog = {};
  std::uint32_t local_cseq = 0;     ///< last one used in a NOTIFY
  std::uint32_t cseq_ceiling = 0;   ///< highest one the database knows about
  std::uint32_t version = 0;        ///< of the next document
  standing stands = standing::pending;
  bool in_flight : 1 = false;       ///< the last NOTIFY is not answered yet
  bool owes : 1 = false;            ///< state changed since: a NOTIFY is owed when it is
  bool unsure : 1 = false;          ///< he may not have got the last document: the next is a full one
  bool approved : 1 = false;        ///< he was pending before he was active
  bool answered : 1 = false;        ///< pending, and the call that ends it knows what was decided
  std::uint8_t nth : 3 = 0;         ///< of the usages of its dialog that began at one moment
  std::uint16_t view = 0;           ///< 0: the whole state; else a number of state->rules->views
  shared_numbers* shared = nullptr;
  event_state* state = nullptr;
  std::uint32_t remote_cseq = 0;
  slab<subscription>::index self = slab<subscription>::none;
  std::uint32_t told = 0;           ///< when the last NOTIFY was made: milliseconds, modulo 2^32

  bool lapsed(instant now) const noexcept { return deadline <= now; }
  /// Whether there is a whole second left to tell; nobody is told `active;expires=0` (EVT-4.2.2-4).
  bool lasts(instant now) const noexcept { return deadline - now >= seconds{1}; }
};

/// A watcher nobody decided about: counted while he has pending subscriptions, and remembered for a
/// while afterwards (RFC 3857: waiting).
struct undecided {
  timer_hook timer;                 ///< linked only while no pending subscription is left
  instant deadline = {};
  event_state* state = nullptr;
  watcher_account* watcher = nullptr;
  std::uint32_t pending = 0;        ///< live pending subscriptions
  dialog named = {};                ///< that of the last of them to tell a display name or further addresses
  std::uint64_t id = 0;             ///< under which watcher information tells of him
  instant since = {};

  /// A pending subscription of his ended without a decision.
  void ended_in(const dialog& last) noexcept {
    if (!last.display_name().empty() || !last.also().empty()) named = last;
  }
};

/// One of the views on a state, and the state as it shows it.
struct shown_view {
  std::shared_ptr<const view> what = {};  ///< null: everything
  std::uint32_t users = 0;          ///< subscriptions that have it
  bool as_pres = false;             ///< the resource is named by its pres: address
  body current = {};                ///< when it is known
};

/// What rules made of a state's watchers.
struct ruled {
  timer_hook timer;                 ///< linked while a decision changes with time
  instant deadline = {};            ///< when that is
  std::optional<instant> stored = {};  ///< when the database says it is
  event_state* state = nullptr;
  bool by_sphere = false;           ///< some decision looks at the sphere
  std::vector<shown_view> views = {};  ///< view number n is at n - 1
};

/// The state of one resource in one package. Five cache lines: what finds it; what its publications come to; the rest, and
/// the one publication that most have.
struct event_state {
  std::uint32_t hash = 0;           ///< of its name
  short_text name = {};
  std::uint32_t hard = 0;           ///< how many of `publications` are hard state
  const event_package* package = nullptr;
  boost::container::small_vector<std::unique_ptr<publication>, 1> publications = {};  ///< by creation
  /// None of `publications` lapses before this, so that a SUBSCRIBE need not look at them.
  instant lapses = never;
  body current = {};                ///< composition of `publications`, when it is known
  std::unique_ptr<ruled> rules = {};
  boost::container::small_vector<slab<subscription>::index, 2> watchers = {};  ///< by creation; none: a hole
  std::uint32_t holes = 0;
  slab<event_state>::index self = slab<event_state>::none;
  std::unique_ptr<std::unordered_map<const watcher_account*, undecided>> undecideds = {};
  /// How many subscriptions each watcher has here; made when that is asked for first.
  std::unique_ptr<std::unordered_map<const watcher_account*, subscription_count>> counts = {};
  alignas(publication) std::byte room[sizeof(publication)];  ///< for one of `publications`

  std::string_view resource() const noexcept { return name.view(); }
  std::size_t watcher_count() const noexcept { return watchers.size() - holes; }
  bool idle() const noexcept {
    return publications.empty() && watcher_count() == 0 && (!undecideds || undecideds->empty());
  }
};

inline void publication::operator delete(publication* p, std::destroying_delete_t) noexcept {
  const bool at_home = p->state != nullptr && static_cast<void*>(p) == p->state->room;
  p->~publication();
  if (!at_home) pool<publication>::give_back(p);
}

/// Told of states that come into memory and leave it.
struct state_listener {
  virtual void made(event_state&) noexcept = 0;
  virtual void gone(event_state&) noexcept = 0;  ///< it is idle, and dies next

 protected:
  ~state_listener() = default;
};

/// The Event `id` parameter of a subscription, from the Event value it repeats; empty: none.
std::string_view event_id_of(const subscription& s) noexcept;

class state_table {
 public:
  /// The sizes are hints, as powers of two (subs_htable_size, pres_htable_size).
  state_table(random_source& random, int subscriptions_log2, int resources_log2);
  ~state_table();
  state_table(const state_table&) = delete;
  state_table& operator=(const state_table&) = delete;

  // --- states ---
  void listen(state_listener* who) noexcept { listener_ = who; }  ///< not told of what dies with the table
  /// A look-up that is begun before its answer is needed: memory is slow, and a request has to be checked anyway. The
  /// views live as long as the caller's text.
  struct state_lookup {
    std::string_view resource, package;
    std::uint32_t hash;
  };
  state_lookup look_up_state(std::string_view resource, std::string_view package) const noexcept {
    const state_lookup l{resource, package, static_cast<std::uint32_t>(hash_(resource, package))};
    by_name_.prefetch(l.hash);
    return l;
  }
  event_state* find(const state_lookup& l, const event_package& package) noexcept;
  event_state* find(std::string_view resource, const event_package& package) noexcept {
    return find(look_up_state(resource, package.name), package);
  }
  /// Asks for the state; worth calling a little after look_up_state().
  void prefetch(const state_lookup& l) const noexcept {
    if (const auto first = by_name_.first(l.hash); first != hash_index::none) states_.prefetch(first);
  }
  event_state& obtain(const state_lookup& l, const event_package& package);
  event_state& obtain(std::string_view resource, const event_package& package) {
    return obtain(look_up_state(resource, package.name), package);
  }
  /// Drops the state if nothing is left in it; the reference is dead then.
  void release_if_idle(event_state& state) noexcept;

  // --- publications ---
  /// One in no state yet; the table outlives it.
  std::unique_ptr<publication> make_publication() { return std::unique_ptr<publication>{new (publication_memory_) publication}; }
  /// Enters it in its place by id; it may move once more, to the state. Does not throw after state.publications.reserve().
  publication& insert(event_state& state, std::unique_ptr<publication> p);
  void erase(publication& p) noexcept;
  void set_deadline(publication& p, instant deadline) noexcept;
  /// Whether a publication's time is up. Cost: constant, but for once after the state's earliest deadline.
  bool lapsed(event_state& state, instant now) noexcept;

  // --- subscriptions ---
  /// Makes a subscription that is in no index yet; give it to link() or discard().
  subscription& make_subscription();
  void discard(subscription& s) noexcept;
  /// Enters it under its dialog, its state (last in order) and its deadline. Reserve first:
  /// after reserve() this does not throw.
  void reserve(event_state& state);
  struct dialog_lookup;
  void link(subscription& s, event_state& state, watcher_account& watcher, const dialog_lookup& by) noexcept;
  void link(subscription& s, event_state& state, watcher_account& watcher) noexcept {
    link(s, state, watcher, look_up(s.dialog.call_id(), s.dialog.remote_tag()));
  }
  void erase(subscription& s) noexcept;
  void set_deadline(subscription& s, instant deadline) noexcept;
  /// How many of a state's subscriptions are a watcher's. The first answer about a state costs as much as it has
  /// watchers, the others are constant.
  std::size_t count(event_state& state, const watcher_account& watcher, bool who_proved);
  /// As state_lookup, by Call-ID and remote tag.
  struct dialog_lookup {
    std::string_view call_id, remote_tag;
    std::uint32_t hash;
  };
  dialog_lookup look_up(std::string_view call_id, std::string_view remote_tag) const noexcept {
    const dialog_lookup l{call_id, remote_tag, static_cast<std::uint32_t>(hash_(call_id, remote_tag))};
    by_dialog_.prefetch(l.hash);
    return l;
  }
  /// Asks for the first subscription; worth calling a little after look_up().
  void prefetch(const dialog_lookup& l) const noexcept {
    if (const auto first = by_dialog_.first(l.hash); first != hash_index::none) subscriptions_.prefetch(first);
  }
  /// And a little after that for its dialog and its state.
  void prefetch_texts(const dialog_lookup& l) const noexcept {
    const auto first = by_dialog_.first(l.hash);
    if (first == hash_index::none) return;
    subscriptions_[first].dialog.prefetch_texts();
    prefetch_lines(subscriptions_[first].state, sizeof(event_state) - sizeof(event_state::room));  // its publications are not asked for
  }
  /// And at last for what the state shows.
  void prefetch_body(const dialog_lookup& l) const noexcept {
    if (const auto first = by_dialog_.first(l.hash); first != hash_index::none) subscriptions_[first].state->current.prefetch();
  }

  /// Calls `f(subscription&)` for each subscription with this Call-ID and remote tag, until it
  /// returns false. Few by limits::usages_per_dialog.
  template <class F>
  void each_usage(std::string_view call_id, std::string_view remote_tag, F&& f) {
    each_usage(look_up(call_id, remote_tag), std::forward<F>(f));
  }
  template <class F>
  void each_usage(const dialog_lookup& l, F&& f) {
    by_dialog_.each(l.hash, [&](hash_index::number n) {
      subscription& s = subscriptions_[n];
      return s.dialog.call_id() != l.call_id || s.dialog.remote_tag() != l.remote_tag || f(s);
    });
  }
  subscription* find(notify_id id) noexcept { return subscriptions_.find(id.slot, id.generation); }
  notify_id id_of(const subscription& s, std::uint32_t cseq) const noexcept {
    return {s.self, subscriptions_.generation(s.self), cseq};
  }
  /// Makes `a` and `b`, which may be one, draw CSeq numbers from one counter; both have the same dialog.
  void share_numbers(subscription& a, subscription& b);

  // --- views ---
  /// No view that could be shown: the watcher sees what a politely blocked one sees.
  static constexpr std::uint16_t no_view = 0xffff;
  /// The number of a view equal to `what`, held for one subscription more; 0 for everything under the canonical
  /// address. Throws only std::bad_alloc. Linear in the views of the state.
  std::uint16_t hold_view(event_state& state, std::shared_ptr<const view> what, bool as_pres = false);
  void drop_view(event_state& state, std::uint16_t number) noexcept;
  /// Decisions about the state's watchers are due for a new look at `when`, if not earlier.
  void recheck(event_state& state, instant when);

  // --- watchers ---
  struct watcher_lookup {  ///< like state_lookup
    std::string_view uri;
    std::uint32_t hash;
  };
  watcher_lookup look_up_watcher(std::string_view uri) const noexcept {
    const watcher_lookup l{uri, static_cast<std::uint32_t>(hash_(uri))};
    by_uri_.prefetch(l.hash);
    return l;
  }
  void prefetch(const watcher_lookup& l) const noexcept {
    if (const auto first = by_uri_.first(l.hash); first != hash_index::none) watchers_.prefetch(first);
  }
  watcher_account* find_watcher(const watcher_lookup& l) noexcept;
  watcher_account* find_watcher(std::string_view uri) noexcept { return find_watcher(look_up_watcher(uri)); }
  watcher_account& obtain_watcher(const watcher_lookup& l);
  watcher_account& obtain_watcher(std::string_view uri) { return obtain_watcher(look_up_watcher(uri)); }
  void release_if_unused(watcher_account& w) noexcept;
  publisher_share share_of(std::string_view publisher);

  /// A watcher of `state` nobody decided about; null when there is none.
  undecided* find_undecided(event_state& state, const watcher_account& w) noexcept;
  undecided& obtain_undecided(event_state& state, watcher_account& w, instant since);
  void set_waiting(undecided& u, instant deadline) noexcept;
  void set_pending(undecided& u) noexcept { timer_wheel<undecided>::remove(u); }
  void erase(undecided& u) noexcept;

  /// A number that stands for these texts and tells nothing about them (WIN-58-6).
  std::uint64_t secret_of(std::string_view a, std::string_view b, std::string_view c) const noexcept {
    return hash_(a, b, c);
  }

  // --- time ---
  timer_wheel<publication>& publication_timers() noexcept { return publication_timers_; }
  timer_wheel<subscription>& subscription_timers() noexcept { return subscription_timers_; }
  timer_wheel<undecided>& undecided_timers() noexcept { return undecided_timers_; }
  timer_wheel<ruled>& rules_timers() noexcept { return rules_timers_; }
  std::optional<instant> next_deadline() const noexcept;

  // --- sizes, walks, audit ---
  slab<event_state>& states() noexcept { return states_; }
  const slab<event_state>& states() const noexcept { return states_; }
  slab<subscription>& subscriptions() noexcept { return subscriptions_; }
  const slab<subscription>& subscriptions() const noexcept { return subscriptions_; }
  std::size_t publication_count() const noexcept { return publication_count_; }
  std::size_t linked_subscriptions() const noexcept { return by_dialog_.size(); }
  std::size_t undecided_count() const noexcept { return undecided_count_; }
  std::optional<std::string> check() const;

 private:
  keyed_hash hash_;
  state_listener* listener_ = nullptr;
  pool<publication> publication_memory_;
  slab<event_state> states_;
  slab<subscription> subscriptions_;
  slab<watcher_account> watchers_;
  timer_wheel<publication> publication_timers_;
  timer_wheel<subscription> subscription_timers_;
  timer_wheel<undecided> undecided_timers_;
  timer_wheel<ruled> rules_timers_;
  hash_index by_name_;
  hash_index by_dialog_;
  hash_index by_uri_;
  std::size_t publication_count_ = 0;
  std::size_t undecided_count_ = 0;
};

}  // namespace presence
