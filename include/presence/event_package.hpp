/// An event package: what one kind of event state looks like and how it is treated. A package is a
/// value: fill in the fields, register it with engine::add_event, done. The fields are those of the
/// Kamailio module's `pres_ev` structure; its names are given with each field. There are no free
/// functions: every document is owned by value.
///
/// Hooks may throw: the request is answered 500 and nothing is changed (L11). Views given to a hook
/// live as long as its call.
///
/// docs/packages.md makes a package step by step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <presence/body.hpp>
#include <presence/dialog.hpp>
#include <presence/effects.hpp>
#include <presence/options.hpp>
#include <presence/requests.hpp>
#include <presence/result.hpp>
#include <presence/time.hpp>

namespace presence {

/// A package's own understanding of a published document, made once by `check_publish` and kept
/// with the publication, so that an unchanged document is never parsed again (PF7). Derive from it.
class parsed_document {
 public:
  parsed_document() = default;
  parsed_document(const parsed_document&) = delete;
  parsed_document& operator=(const parsed_document&) = delete;
  virtual ~parsed_document() = default;
  /// What is kept instead of the published bytes, where those only say what changed in the document they
  /// replace, where `aggregate` decided something about it for good, or where it remembers something of others
  /// (event_package::inherit). check_publish reads it again (offered_document::from_row), and no more than that decides
  /// what it was. No body: the bytes as they are.
  virtual body stored() const { return {}; }
  /// A digest of what stored() keeps beside the text. While it is the same stored() is not asked again; none: it is asked
  /// each time.
  virtual std::optional<std::uint64_t> kept() const { return {}; }
  /// Of a composed document (body::outline), whose word alone it is: a publish_request::sender. What he publishes is told to
  /// him nevertheless where another's word is what is shown then. nullopt: it is not one's alone.
  virtual std::optional<std::string_view> sender() const { return {}; }
  /// Of a composed document: what it is about is over for good. A subscription that sees it ends with it (noresource).
  virtual bool is_last() const { return false; }
};
using document = std::shared_ptr<const parsed_document>;

/// A hook's "no": the status to answer and a static reason phrase (P30, S22).
struct refusal {
  int status = 400;
  std::string_view reason = "Bad Request";
};

/// A document at the door, for `check_publish`.
struct offered_document {
  std::string_view resource;  ///< canonical address of the presentity
  const body& content;        ///< never empty, at most options::limits.body_bytes
  std::string_view sender;    ///< publish_request::sender
  const presence::limits& bounds;
  const parsed_document* previous = nullptr;  ///< of the document it replaces; null: there is none
  bool through_views = false;  ///< authorize_body may be asked to show it: keep what that needs with it
  bool from_row = false;       ///< nobody sends it: `content` may be what parsed_document::stored() made
};

/// A SUBSCRIBE after the general checks, for `check_subscribe`.
struct offered_subscription {
  std::string_view resource;
  const subscribe_request& request;
  bool refresh;
};

struct event_value;  // grammar.hpp

/// One publication as an aggregator sees it.
struct published {
  std::string_view etag;
  const body& content;            ///< empty only where the package has empty_publish
  /// What check_publish returned. Null: it returned null, the content is empty, or a stored document is
  /// refused by now (that of an earlier version of the package); pass such a publication over.
  const parsed_document* parsed;
  std::string_view sender;
  std::uint64_t id;               ///< constant for the life of the publication, whatever its tag
  instant since;                  ///< when its present content arrived
  /// Orders documents by when they arrived, also within a millisecond. Hard state has 0: whatever was
  /// published is newer.
  std::uint64_t arrival;
  /// It is being removed or has lapsed (pres_ev: off_index); only with event_package::tells_leaving.
  bool leaving;
  bool arriving = false;          ///< its content comes with this very change
};

/// What of a resource's state somebody may see, in terms of the package; made by `authorize`, read by
/// `authorize_body`. Watchers with equal views share one body (N23, PF7). Immutable once made.
class view {
 public:
  view() = default;
  view(const view&) = delete;
  view& operator=(const view&) = delete;
  virtual ~view() = default;
  /// Whether both show the same of every state. `other` was made by `authorize` of the same package: a
  /// package with one class of views may cast it.
  virtual bool equals(const view& other) const noexcept = 0;
};

/// The answer of `authorize`: what a watcher may do, what he may see, and when to ask again.
struct authorization {
  sub_handling handling = sub_handling::block;
  std::shared_ptr<const presence::view> view = {};  ///< null: the whole state
  std::optional<instant> until = {};  ///< from then on the answer may be another (validity; Z11)
  bool by_sphere = false;             ///< it may be another when the sphere changes (Z12)

  authorization() noexcept = default;
  authorization(sub_handling h) noexcept : handling{h} {}
  authorization(sub_handling h, std::shared_ptr<const presence::view> v) noexcept : handling{h}, view{std::move(v)} {}
};

/// Whom a body is for.
struct watcher_view {
  std::string_view resource;
  const presence::dialog& dialog;
  std::uint32_t version;          ///< of the document about to be sent: 0, 1, 2, ... per subscription
  bool full;                      ///< complete state is due (it answers a SUBSCRIBE)
};

/// A watcher whose right to watch is asked about.
struct authorization_query {
  std::string_view resource;
  std::string_view event;
  /// As the host proved it with the SUBSCRIBE; asked again later: the one address, canonical, without `also`.
  /// Compare addresses as canonical_aor (uri.hpp) writes them. An empty `uri`: nothing was proven.
  const identity& watcher;
  const std::string* rules;       ///< the presentity's rules document; null: there is none
  instant now;
  /// The presentity's sphere (options::enable_sphere_check); absent: not looked at, unknown, or disagreed.
  std::optional<std::string_view> sphere = {};
};

/// What publications say about the presentity's sphere at one moment.
struct told_sphere {
  std::optional<std::string> value = {};  ///< absent: unknown, or disagreed
  std::optional<instant> until = {};      ///< from then on the same publications may say something else (RPID-3-3)
};

struct event_package {
  /// pres_ev name: an event type, with parameters if they belong to it: `presence`, `dialog;sla`.
  std::string name = {};
  /// pres_ev content_type, and others that can be published; the first is what NOTIFYs carry and
  /// what an absent Accept means. Empty: any type (opaque packages).
  std::vector<std::string> content_types = {};
  /// pres_ev default_expires: lifetime when Expires is absent.
  seconds default_expires{3600};
  /// Bounds of this package alone; absent: those of the options (OTH-5).
  std::optional<seconds> min_expires = {};
  std::optional<seconds> max_expires = {};
  /// pres_ev type: whether PUBLISH and SUBSCRIBE are served.
  bool publishable = true;
  bool subscribable = true;
  /// pres_ev etag_not_new: keep the first entity tag of a publication (P19).
  bool etag_not_new = false;
  /// An initial PUBLISH may come without a body (P13).
  bool empty_publish = false;
  /// pres_ev wipeer: register `<name>.winfo` as well, for the resource's owner (W01, W06). For another
  /// policy leave this off and register a changed watcherinfo_package().
  bool winfo = false;
  /// Header lines added to each NOTIFY, every line ended by CRLF.
  std::string notify_headers = {};

  /// pres_ev req_auth: watchers need a decision; without it everybody is allowed (Z01).
  /// Registration fails unless `authorize` is set too.
  bool req_auth = false;
  /// pres_ev get_rules_doc: the rules document of a presentity, if it has one (Z02).
  std::function<std::optional<std::string>(std::string_view resource)> rules_document = {};
  /// pres_ev get_auth_status: decides about a watcher (Z03). A sub_handling alone will do.
  std::function<authorization(const authorization_query&)> authorize = {};
  /// pres_ev apply_auth_nbody: the state as a view shows it; `state` is what `aggregate` made of `all`, or
  /// `neutral` of nothing. Called once per view and change, never per watcher. Absent: every view shows
  /// the whole state.
  std::function<body(const body& state, std::string_view resource, std::span<const published> all, const view&)>
      authorize_body = {};

  /// Parameters of a SUBSCRIBE's Event value that say what of the state it is about (RFC 4235 section 3.2). They stay with
  /// the subscription, in dialog::event(); those of a refresh change nothing.
  std::vector<std::string> event_parameters = {};
  /// The view of who gave them and has that Contact, shown by `authorize_body`: `seen`, which `authorize` gave (null: the
  /// whole), and of that what he asked for; or a refusal. Called with each SUBSCRIBE and each decision. A watcher's view may
  /// make documents that end his subscription: parsed_document::is_last. Whoever replaces `authorize_body` replaces this, too.
  std::function<result<std::shared_ptr<const view>, refusal>(const event_value&, std::string_view contact,
                                                             std::shared_ptr<const view> seen)> select = {};

  /// pres_ev evs_publ_handl: accepts a document, or refuses the PUBLISH with its own status.
  /// The media type was compared with `content_types` before. Asked again about each stored document when
  /// the package is registered. Absent: anything goes.
  std::function<result<document, refusal>(const offered_document&)> check_publish = {};
  /// pres_ev evs_subs_handl: accepts or refuses a SUBSCRIBE, whose body it may read.
  std::function<result<void, refusal>(const offered_subscription&)> check_subscribe = {};
  /// pres_ev agg_nbody: the state made of all publications, at least one, oldest first. Absent: the newest
  /// document is the state (P33). Must not depend on anything but its arguments.
  std::function<body(std::string_view resource, std::span<const published>)> aggregate = {};
  /// `aggregate` shows some things once: a leaving publication (closed, terminated), which it is not given
  /// otherwise, or what an arriving one says has ended.
  bool tells_leaving = false;
  /// `aggregate` decides something about documents when it first sees them together, which parsed_document::stored()
  /// keeps: with a storage it is called for each document that comes beside others, also where nobody watches, and rows
  /// are written whose stored() is another since.
  bool decides_for_good = false;
  /// Documents name the resource as it was subscribed to: while somebody watches it as `pres:`, `aggregate`,
  /// `authorize_body`, `difference` and `neutral` are called for him with that address instead of the canonical one (PRS-ENT-1).
  bool names_as_subscribed = false;
  /// What changed between two documents of one view, as a partial document; nullopt: a full one says
  /// it better. Called once per view and change; a watcher who may have missed a document, and each
  /// answer to a SUBSCRIBE, gets the full one (N27). Without effect where `tailor` is
  /// set, which is given the full one. What it needs to know of a document can go with it: body::outline.
  /// Absent: every document is a full one.
  std::function<std::optional<body>(std::string_view resource, const body& before, const body& after)> difference = {};
  /// Set it when documents are made with body::versioned: their number, which counts up in each
  /// subscription, is kept in the storage and goes on after a restart. Implied by `tailor`.
  bool versioned = false;
  /// A document that comes too late and is ignored, though the PUBLISH is answered 200: `live` are the
  /// resource's publications (P37: a final state stays final; P40: another's live dialog stays).
  std::function<bool(const offered_document&, const parsed_document* parsed, std::span<const published> live)>
      superseded = {};
  /// Ask `superseded` also about the removal of a publication: the document is empty then, and `parsed` null.
  bool guards_removal = false;
  /// A publication is about to end: what the documents that stay are to remember of its document (of an end that is
  /// final); parsed_document::stored() tells it from now on. Should the end not be stored, it is remembered too early, and
  /// must do no harm beside the document it comes from.
  std::function<void(const parsed_document& heir, const parsed_document& gone)> inherit = {};
  /// The presentity is the user of the SUBSCRIBE's Contact in the domain of its From (bridged line
  /// appearance; S26), unless the host says whose it is: subscribe_request::presentity.
  bool resource_from_contact = false;
  /// The package whose watchers this one tells about; see watcherinfo_package().
  std::string watched = {};
  bool difference_only = true;  ///< whether it tells changes in partial documents
  /// The body when nothing is published, and for who is politely blocked; absent or empty: NOTIFYs carry
  /// no body then.
  std::function<body(std::string_view resource)> neutral = {};
  /// pres_ev aux_body_processing: the body for one watcher, when it differs from the shared one;
  /// nullopt: the shared one as it is. Called for each NOTIFY that carries state.
  std::function<std::optional<body>(const body& state, const watcher_view&)> tailor = {};
  /// The presentity's sphere, if the publications tell one (get_sphere; L09).
  std::function<told_sphere(std::span<const published>, instant now)> sphere = {};

  /// Whether a watcher may see less than the whole.
  bool has_views() const noexcept { return authorize_body && ((req_auth && authorize) || select); }
};

}  // namespace presence
