/// The settings of an engine. Names and defaults of the first group are those of the Kamailio
/// presence module's manual, so that a configuration can be carried over; each bound has its reason.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <presence/result.hpp>
#include <presence/time.hpp>

namespace presence {

/// Bounds on what a peer may send, checked before any work is done (GRM-30, SEC-DOS-2, SEC-DOS-4).
struct limits {
  std::size_t uri_bytes = 2048;          ///< URIs; longer ones are answered 414
  std::size_t token_bytes = 256;         ///< tags, Call-ID, entity tags, Event values
  std::size_t header_bytes = 8192;       ///< Record-Route, Accept, Require and other list values
  std::size_t accept_entries = 64;       ///< media ranges in Accept
  std::size_t route_entries = 32;        ///< routes in Record-Route
  std::size_t body_bytes = 65536;        ///< a published document; larger ones are answered 413
  std::size_t state_bytes = 1048576;     ///< all documents of one resource and package together
  std::size_t xml_depth = 64;            ///< nested elements
  std::size_t xml_elements = 10000;      ///< elements in a document
  std::size_t xml_attributes = 64;       ///< attributes of one element
  std::size_t xml_text_bytes = 32768;    ///< one run of text
  std::size_t publications_per_resource = 32;    ///< live documents of one resource and package
  /// Live documents of one proven publisher for other resources than his own; a gateway speaks for this many.
  std::size_t publications_per_publisher = 10000;
  /// Documents that stay in memory for the views of one resource and package, one for each view. Those of further
  /// views are made when they are told: that costs time, and hides nothing from anybody.
  std::size_t views_kept = 64;
  std::size_t subscriptions_per_watcher = 10000; ///< a resource list server subscribes this often
  /// Of one watcher to one resource and package: his devices, and what they left behind when they were switched off.
  /// Whoever asked for privacy (identity::anonymous) counts as one watcher with all others who did.
  std::size_t subscriptions_per_watcher_and_resource = 100;
  std::size_t subscriptions_per_resource = 200000;
  std::size_t subscriptions = 50000000;  ///< in all; bounds memory
  std::size_t usages_per_dialog = 8;     ///< subscriptions sharing Call-ID and From tag
  std::size_t waiting_per_resource = 1000;  ///< undecided watchers without a subscription (WIN-FSM-6)
  std::size_t publications = 50000000;      ///< in all; bounds memory
  std::size_t undecided = 10000000;         ///< undecided watchers in all; bounds memory
};

struct options {
  // --- as in the Kamailio presence module -----------------------------------------------------
  std::string db_url = {};               ///< empty: library-only, everything in memory
  std::string presentity_table = "presentity";
  std::string active_watchers_table = "active_watchers";
  std::string watchers_table = "watchers";
  seconds clean_period{100};             ///< between sweeps of lapsed database rows; <= 0: never
  seconds db_update_period{100};         ///< between flushes in write-back mode; <= 0: only by flush()
  std::string to_tag_pref = "10";        ///< prefix of every To tag we make (S05)
  seconds expires_offset{0};             ///< a publisher is told this much less than it has (P27)
  seconds max_expires{3600};             ///< longest lifetime granted, both methods (P22)
  std::string server_address = {};       ///< our Contact; empty: the host gives one per request (S06)
  /// Nothing is read at start: what is not in memory is looked for in the database when it is needed, and stays.
  bool fallback2db = false;
  int subs_htable_size = 9;              ///< expected subscriptions, as a power of two (a hint)
  int pres_htable_size = 9;              ///< expected resources, as a power of two (a hint)
  bool enable_sphere_check = false;      ///< let decisions look at the presentity's sphere (Z12)

  // --- later names of the same module ---------------------------------------------------------
  seconds min_expires{60};               ///< shorter requests are refused with 423; 0: none is
  int min_expires_action = 1;            ///< 1: answer 423; 0: grant the short time as asked
  bool force_active = false;             ///< where rules documents decide, every watcher is allowed instead (Z08)
  /// A document that lapses goes in silence: watchers are told with the next change, or when they ask (M06).
  bool force_delete = false;
  bool subs_respond_200 = true;          ///< 2xx to SUBSCRIBE is 200; false: 202 (S04)
  /// 1: a change is in the database before it is answered (write-through); 2: it is written every
  /// db_update_period, many at once, and by flush() (write-back); 3: database only: nothing stays in memory from
  /// one call to the next, and several engines may share the database (C01). Publications, too.
  int subs_db_mode = 1;
  /// 1: documents are kept as subs_db_mode says; 0: in the database only, which is subs_db_mode 3; 2: in memory only,
  /// whatever is done with subscriptions: after a restart publishers are answered 412 and publish again (T08).
  int publ_cache = 1;
  bool timeout_rm_subs = true;           ///< a NOTIFY nobody answers ends the subscription (N13)
  std::uint32_t cseq_offset = 0;         ///< a CSeq this much too low is still accepted (S10)

  // --- ours -----------------------------------------------------------------------------------
  std::string states_table = "presence_states";  ///< marks of states, for fallback2db and subs_db_mode 3
  bool require_auth = false;             ///< requests without a proven sender are answered 401
  bool new_usage_in_dialog = true;       ///< RFC 3265 peers may add subscriptions to a dialog
  int refused_status = 403;              ///< answer to a SUBSCRIBE the rules block: 403 or 603 (POL-5025-sub-2)
  /// A live subscription that loses its permission ends: 0: `rejected`, for good; more: `probation`, and the
  /// watcher may try again after this (Z09).
  seconds removal_retry_after{0};
  /// Changes are told to a watcher at most this often, the last one always; what a SUBSCRIBE asks for and the end
  /// are told at once (PRS-6.10-1, which recommends 5 s). A restart forgets what is owed. 0: every change at once.
  seconds notify_interval{0};
  /// With fallback2db: at most so many states stay in memory after a call, a state being a resource's publications and
  /// subscriptions in one package; the others are dropped, and read again when they are needed. More stay while
  /// NOTIFYs are on the way to their watchers, or something is due within a second. 0: no such bound.
  std::size_t cache_states = 0;
  /// Likewise at most so many bytes: bodies, strings, and what each publication and subscription takes besides. What
  /// packages make of documents and the host's allocator are not counted. 0: no such bound.
  std::size_t cache_bytes = 0;
  std::string cache_policy = "sieve";    ///< who goes: a name of docs/cache-policies.md
  bool passive = false;                  ///< only looks: see engine::set_passive() (C04)
  /// With subs_db_mode 3: the name of this engine, a token of at most 64 bytes, no two engines the same (C02). Whoever serves a
  /// watcher's SUBSCRIBE owns the subscription: NOTIFYs name the owner (`dialog::owner`), whichever engine made them, for the
  /// host to send them there; and no other engine ends it when its time is up. Empty: nobody owns what this engine serves, and
  /// it ends whatever is over.
  std::string owner_id = "";
  /// When a subscription is over for so long and its owner has not ended it, any engine does. Longer than the owner is out of
  /// action while it lives.
  seconds owner_grace{10};
  seconds waiting_limit{7 * 24 * 3600};  ///< undecided watchers are forgotten after this (M10)
  /// A subscription that nobody has decided about ends with `giveup` after this; it is granted no more than what is
  /// left of it, and he does not wait afterwards. 0: it lives as long as it is refreshed (WIN-FSM-7).
  seconds pending_limit{0};
  std::uint32_t cseq_block = 64;         ///< CSeq numbers reserved by one database write (>= 1)
  seconds retry_after{5};                ///< Retry-After of a reply that says "try again later"
  std::size_t advance_budget = 1000;     ///< deadlines handled by one advance() call
  /// Deadlines handled within a second, so that what lapsed while no engine ran does not end in one storm of
  /// NOTIFYs; 0: as many as are due. Requests see at once what has lapsed.
  std::size_t advance_rate = 10'000;
  presence::limits limits = {};

  /// Sets one field by its name from text, e.g. set("max_expires", "7200"). Fields of `limits` are
  /// named `limits.body_bytes` and so on. Numbers are decimal; switches are 0, no, false, off or
  /// 1, yes, true, on.
  /// Fails, changing nothing, with one sentence that says what is wrong and what is accepted.
  result<void, std::string> set(std::string_view name, std::string_view value);

  /// The value of a field as set() takes it; fails for an unknown name.
  result<std::string, std::string> get(std::string_view name) const;

  /// All names set() knows, in the order above.
  static std::vector<std::string_view> names();

  /// Whether the values make sense together (min_expires <= max_expires, to_tag_pref a token, ...).
  result<void, std::string> check() const;
};

}  // namespace presence
