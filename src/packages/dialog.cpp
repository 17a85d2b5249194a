// The packages `dialog` (RFC 4235) and `dialog;sla` (bridged line appearance).
#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <presence/grammar.hpp>
#include <presence/packages.hpp>
#include <presence/uri.hpp>

#include "../xml.hpp"
#include "dialog_info.hpp"
#include "digest.hpp"

namespace presence {

namespace {

using namespace dialog_info;

/// A dialog to be shown.
struct shown_dialog {
  const published* from;
  const entry* what;
  bool timed_out;  ///< its publication is going: it is told as terminated
  call_state state() const noexcept { return timed_out ? call_state::terminated : what->state; }
};

const checked_document* checked(const published& p) noexcept { return dynamic_cast<const checked_document*>(p.parsed); }

/// Which dialogs a subscription is about: those of one INVITE, or one of them (DLG-3.2-1), or all with others (DLG-3.3-2).
struct selection final : view {
  std::string call_id, local_tag, remote_tag;  ///< of the observed user agent; no remote tag: any
  std::string but_with;                        ///< a remote target; used where there is no Call-ID

  bool equals(const view& other) const noexcept override {
    const auto* o = dynamic_cast<const selection*>(&other);
    return o != nullptr && std::tie(call_id, local_tag, remote_tag, but_with) ==
                               std::tie(o->call_id, o->local_tag, o->remote_tag, o->but_with);
  }
  bool has(const entry& e) const noexcept {
    if (call_id.empty()) return e.remote_target.empty() || !same_uri(e.remote_target, but_with);
    return e.call_id == call_id && e.local_tag == local_tag && (remote_tag.empty() || e.remote_tag == remote_tag);
  }
  /// Of the one dialog it is about; 0: there may be several.
  std::uint64_t key() const noexcept { return remote_tag.empty() ? 0 : key_of(call_id, local_tag, remote_tag); }
};

struct united_dialogs {
  std::vector<shown_dialog> found;
  std::vector<std::uint64_t> ended;  ///< told before, by key, in order
};

/// The dialogs of all publications: of one dialog that several report the newest word, and an end is
/// final (DLG-AGG-1, V11); ends are told once (DLG-AGG-3). With a selection its dialogs alone: there may be many selections.
united_dialogs united(std::span<const published> all, const selection* asked = nullptr) {
  united_dialogs out;
  auto& [found, ended] = out;
  for (const published& p : all) {
    const checked_document* d = checked(p);
    if (d == nullptr) continue;
    ended.insert(ended.end(), d->ended.begin(), d->ended.end());
    for (const entry& e : d->dialogs) {
      if (asked != nullptr && !asked->call_id.empty() && !asked->has(e)) continue;
      if (!e.over() || (p.arriving && !e.told)) {
        found.push_back({&p, &e, p.leaving});
      } else if (e.key != 0) {
        ended.push_back(e.key);
      }
    }
  }
  std::sort(ended.begin(), ended.end());

  // who says the same dialog stands together, and the word that counts takes the place of the first
  std::vector<std::pair<std::uint64_t, std::size_t>> by_key;
  for (std::size_t i = 0; i < found.size(); ++i)
    if (found[i].what->key != 0) by_key.emplace_back(found[i].what->key, i);
  std::sort(by_key.begin(), by_key.end());
  const auto rank = [](const shown_dialog& d) { return std::tuple{d.what->over(), !d.timed_out, d.from->arrival}; };
  for (auto group = by_key.begin(); group != by_key.end();) {
    const std::uint64_t key = group->first;
    shown_dialog counts = found[group->second];
    const std::size_t place = group->second;
    for (; group != by_key.end() && group->first == key; ++group) {
      shown_dialog& one = found[group->second];
      if (rank(one) >= rank(counts)) counts = one;
      one.what = nullptr;
    }
    if (!std::binary_search(ended.begin(), ended.end(), key)) found[place] = counts;
  }
  std::erase_if(found, [](const shown_dialog& d) { return d.what == nullptr; });
  return out;
}

/// An Event value has all three parameters, the first two, or none of them.
result<std::shared_ptr<const view>, refusal> select(const event_value& event, std::string_view contact,
                                                    std::shared_ptr<const view> seen, bool leaves_out_own) {
  auto asked = std::make_shared<selection>();
  int given = 0;
  for (const auto& [name, to] :
       {std::pair{"call-id", &asked->call_id}, {"to-tag", &asked->local_tag}, {"from-tag", &asked->remote_tag}}) {
    const auto value = event.value_of(name);
    if (!value) continue;
    ++given;
    if (value->empty()) return unexpected{refusal{400, "Bad Event"}};
    *to = *value;
  }
  if (given == 0) {
    if (seen || !leaves_out_own || contact.empty()) return seen;
    asked->but_with = contact;
    return std::shared_ptr<const view>{std::move(asked)};
  }
  if (asked->call_id.empty() || asked->local_tag.empty()) return unexpected{refusal{400, "Bad Event"}};
  if (seen) return seen;  // who may see less does not learn which dialogs there are
  return std::shared_ptr<const view>{std::move(asked)};
}

/// Whose document a bridged line shows (BLA-2): of the newest of each phone the newest that has a live dialog, if there
/// is one, so that nobody hangs up another's call (P40). What no phone has published is not live.
const published* counts(std::span<const published> all) {
  const published* best = nullptr;
  const auto live = [](const published& p) { return p.arrival != 0 && checked(p)->has_live(); };
  for (std::size_t i = all.size(); i-- > 0;) {
    const published& p = all[i];
    if (p.leaving || checked(p) == nullptr) continue;
    const auto replaces = [&](const published& later) {
      return !later.leaving && checked(later) != nullptr && later.sender == p.sender &&
             std::tuple{later.arrival, &later} > std::tuple{p.arrival, &p};
    };
    if (!p.sender.empty() && std::any_of(all.begin(), all.end(), replaces)) continue;
    if (best == nullptr || std::tuple{live(p), p.arrival} > std::tuple{live(*best), best->arrival}) best = &p;
  }
  return best;
}

/// Whether a document would take live dialogs from the one it replaces and tells of none itself: it may tell their ends.
bool takes_over(const checked_document& before, const checked_document& incoming) noexcept {
  if (incoming.names_live) return false;
  bool ends_one = false, leaves_one_out = false;
  for (const entry& e : before.dialogs) {
    if (e.over()) continue;
    const auto same = [&](const entry& k) { return e.key != 0 ? k.key == e.key : k.id == e.id && k.same_as(e); };
    const auto named = std::find_if(incoming.dialogs.begin(), incoming.dialogs.end(), same);
    if (named == incoming.dialogs.end()) leaves_one_out = true;
    else if (named->over()) ends_one = true;
  }
  return leaves_one_out || (before.has_live() && !ends_one);
}

std::vector<shown_dialog> dialogs_of(const published* one) {
  std::vector<shown_dialog> found;
  if (one == nullptr) return found;
  for (const entry& e : checked(*one)->dialogs) found.push_back({one, &e, false});
  return found;
}

/// Which state matters most to who looks at one lamp (V10, DLG-AGG-4): lowest first.
int interest(call_state state) noexcept {
  switch (state) {
    case call_state::terminated: return 0;
    case call_state::trying: return 1;
    case call_state::proceeding: return 2;
    case call_state::confirmed: return 3;
    case call_state::early: return 4;
  }
  return 0;
}

/// Gives each dialog an id of its own, the same while its publications live, whoever tells of it and whoever is shown it. What
/// rows do not tell must come out as it was: each that is shown under its own id gets that again, for no other has it.
void settle_ids(std::span<const published> all) {
  constexpr std::size_t longest = 128;  // of ids that others take over
  std::array<std::byte, 4096> room;
  std::pmr::monotonic_buffer_resource memory{room.data(), room.size()};
  std::pmr::map<std::string_view, std::uint64_t> taken{&memory};  // and which dialog has each
  std::pmr::map<std::uint64_t, std::string_view> of_dialog{&memory};
  std::vector<std::pair<const published*, const entry*>> undecided;
  for (const published& p : all) {
    const checked_document* d = checked(p);
    if (d == nullptr) continue;
    for (const entry& e : d->dialogs) {
      if (e.shown_as.empty()) {
        if (!e.over() || p.arriving) undecided.emplace_back(&p, &e);
      } else if (const auto same = of_dialog.find(e.key); same != of_dialog.end()) {
        e.shown_as = same->second;  // maybe they were two until more was known
      } else if (taken.try_emplace(e.shown_as, e.key).second) {
        if (e.key != 0) of_dialog.emplace(e.key, e.shown_as);
      } else {  // they were one until more was known
        e.shown_as.clear();
        undecided.emplace_back(&p, &e);
      }
    }
  }
  // what arrives has been shown to nobody
  std::stable_partition(undecided.begin(), undecided.end(), [](const auto& one) { return !one.first->arriving; });
  for (const auto& [from, e] : undecided) {
    if (const auto same = of_dialog.find(e->key); same != of_dialog.end()) {
      e->shown_as = same->second;
      continue;
    }
    e->shown_as = e->id;
    for (std::uint64_t n = 0; e->shown_as.size() > longest || !taken.try_emplace(e->shown_as, e->key).second; ++n) {
      digest fresh;
      fresh.add(from->id);
      fresh.add(n);
      fresh.add(e->id);
      e->shown_as.assign(13, 'd');
      write_id(std::span{e->shown_as}.subspan(1), fresh.value());
    }
    if (e->key != 0) of_dialog.emplace(e->key, e->shown_as);
  }
}

/// What a composed document says, for `difference`, and whose word it is.
struct outline final : parsed_document {
  struct dialog {
    std::string id;
    std::uint64_t meaning;
    std::uint32_t begin, end;  ///< of its element in the text
    bool over;
  };
  std::vector<dialog> dialogs;  ///< by id
  std::optional<std::string> said_by = {};
  bool last = false;

  std::optional<std::string_view> sender() const override { return said_by; }
  bool is_last() const override { return last; }
};

struct writer {
  std::string out{
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\""};
  std::size_t version_at = out.size();
  digest meaning;
  std::shared_ptr<presence::outline> outline;  ///< null: nobody asks for differences

  writer(std::string_view resource, bool full) {
    out += full ? "\" state=\"full\"" : "\" state=\"partial\"";
    xml::append_attribute(out, "entity", resource);
    out += '>';
    meaning.add(resource);
  }
  void add(const shown_dialog& d) {
    const entry& e = *d.what;
    const std::size_t begin = out.size();
    const std::uint64_t means = d.timed_out ? 1 : e.meaning;
    meaning.add(e.shown_as);
    meaning.add(means);
    if (d.timed_out) {
      add_timed_out(e);
    } else {
      ((out += e.before_id) += escaped(e.shown_as)) += e.behind_id;
    }
    if (outline)
      outline->dialogs.push_back({e.shown_as, means, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(out.size()),
                                  d.state() == call_state::terminated});
  }
  /// Who it was with goes with the publication; what tells which dialog it was stays.
  void add_timed_out(const entry& e) {
    out += "<dialog";
    xml::append_attribute(out, "id", e.shown_as);
    for (const auto& [name, value] : {std::pair{"call-id", &e.call_id}, {"local-tag", &e.local_tag},
                                      {"remote-tag", &e.remote_tag}, {"direction", &e.direction}})
      if (!value->empty()) xml::append_attribute(out, name, *value);
    out += "><state event=\"timeout\">terminated</state></dialog>";
  }
  body done() {
    out += "</dialog-info>";
    const auto by_id = [](const auto& a, const auto& b) { return a.id < b.id; };
    if (outline) std::sort(outline->dialogs.begin(), outline->dialogs.end(), by_id);
    return body::versioned(media_type, out, version_at, meaning.value(), std::move(outline));
  }
};

body aggregate(std::string_view resource, std::span<const published> publications, const dialog_options& how,
               const selection* asked = nullptr) {
  auto [all, ended] = united(publications, asked);
  if (asked != nullptr && asked->call_id.empty()) std::erase_if(all, [&](const shown_dialog& d) { return !asked->has(*d.what); });
  if (how.single_dialog && all.size() > 1) {
    // whatever their order: it is another one when something has left
    const auto less = [](const shown_dialog& a, const shown_dialog& b) {
      return std::tuple{interest(a.state()), a.from->arrival, std::string_view{b.what->id}, b.from->id} <
             std::tuple{interest(b.state()), b.from->arrival, std::string_view{a.what->id}, a.from->id};
    };
    all = {*std::max_element(all.begin(), all.end(), less)};
  }
  settle_ids(publications);
  writer w{resource, true};
  const std::uint64_t only = asked != nullptr ? asked->key() : 0;
  if (how.partial || only != 0) w.outline = std::make_shared<outline>();
  for (const shown_dialog& d : all) w.add(d);
  if (only != 0)  // the dialog it is about is over (DLG-3.4-1)
    w.outline->last = all.empty() ? std::binary_search(ended.begin(), ended.end(), only)
                                  : all.front().state() == call_state::terminated;
  return w.done();
}

/// The document of a bridged line, which is one phone's word.
writer line(std::string_view resource, const published* shown) {
  writer w{resource, true};
  w.outline = std::make_shared<outline>();
  if (shown != nullptr) w.outline->said_by = shown->sender;
  return w;
}

/// What a stranger sees: whether there is a call (DLG-3.6-1, SEC-PKG-1).
struct stranger final : view {
  bool equals(const view& other) const noexcept override { return dynamic_cast<const stranger*>(&other) != nullptr; }
};

body virtual_dialog(writer w, const std::vector<shown_dialog>& all) {
  const bool live = std::any_of(all.begin(), all.end(), [](const auto& d) { return d.state() != call_state::terminated; });
  if (!all.empty()) {
    w.out += "<dialog id=\"virtual\"><state>";
    w.out += to_string(live ? call_state::confirmed : call_state::terminated);
    w.out += "</state></dialog>";
  }
  w.meaning.add(std::uint64_t{all.empty() ? 0u : live ? 1u : 2u});
  return w.done();
}

/// Who is not the resource himself, nor one `shares` names, sees what `strangers` says.
void admit(event_package& package, dialog_options::shown strangers,
           std::function<bool(std::string_view line, const identity& who)> shares) {
  if (strangers == dialog_options::shown::everything) return;
  package.req_auth = true;
  package.authorize = [strangers, shares = std::move(shares)](const authorization_query& q) -> authorization {
    if (q.watcher.proves(q.resource) || (shares && shares(q.resource, q.watcher))) return sub_handling::allow;
    if (strangers == dialog_options::shown::nothing) return sub_handling::block;
    return {sub_handling::allow, std::make_shared<const stranger>()};
  };
}

/// Only what changed (DLG-3.3-3). What vanished without an end is told as ended.
std::optional<body> difference(std::string_view resource, const body& before, const body& after) {
  const auto* was = dynamic_cast<const outline*>(before.outline());
  const auto* is = dynamic_cast<const outline*>(after.outline());
  if (was == nullptr || is == nullptr || is->dialogs.empty()) return std::nullopt;
  writer w{resource, false};
  const std::size_t head = w.out.size();
  auto old = was->dialogs.begin();
  const auto vanished = [&] {
    if (!old->over) {
      w.out += "<dialog";
      xml::append_attribute(w.out, "id", old->id);
      w.out += "><state>terminated</state></dialog>";
    }
    ++old;
  };
  for (const outline::dialog& d : is->dialogs) {
    while (old != was->dialogs.end() && old->id < d.id) vanished();
    const bool known = old != was->dialogs.end() && old->id == d.id;
    if (!known || old->meaning != d.meaning) w.out += after.bytes().substr(d.begin, d.end - d.begin);
    if (known) ++old;
  }
  while (old != was->dialogs.end()) vanished();
  if (w.out.size() == head) return std::nullopt;
  w.meaning.add(std::string_view{w.out}.substr(head));
  return w.done();
}

}  // namespace

event_package dialog_package(dialog_options how) {
  event_package package;
  package.name = "dialog";
  package.content_types = {std::string{media_type}};
  package.default_expires = seconds{3600};
  package.versioned = true;
  package.tells_leaving = true;
  package.decides_for_good = true;  // about ids (DLG-4.1-2)
  package.check_publish = [how](const offered_document& offer) {
    return check(offer, {.session_descriptions = how.session_descriptions, .ends_are_final = true});
  };
  package.inherit = [](const parsed_document& heir, const parsed_document& gone) {
    const auto* stays = dynamic_cast<const checked_document*>(&heir);
    const auto* goes = dynamic_cast<const checked_document*>(&gone);
    if (stays != nullptr && goes != nullptr) stays->remember_ends(*goes);
  };
  package.aggregate = [how](std::string_view resource, std::span<const published> all) { return aggregate(resource, all, how); };
  package.neutral = [how](std::string_view resource) { return aggregate(resource, {}, how); };
  if (how.partial) package.difference = difference;
  package.event_parameters = {"call-id", "to-tag", "from-tag"};
  package.select = [how](const event_value& event, std::string_view contact, std::shared_ptr<const view> seen) {
    return select(event, contact, std::move(seen), how.leaves_out_own);
  };
  package.authorize_body = [how](const body&, std::string_view resource, std::span<const published> all, const view& seen) {
    if (const auto* asked = dynamic_cast<const selection*>(&seen)) return aggregate(resource, all, how, asked);
    return virtual_dialog(writer{resource, true}, united(all).found);
  };
  admit(package, how.strangers, {});
  return package;
}

event_package dialog_sla_package(dialog_sla_options how) {
  event_package package;
  package.name = "dialog;sla";
  package.content_types = {std::string{media_type}};
  package.default_expires = seconds{3600};
  package.etag_not_new = true;
  package.versioned = true;
  package.resource_from_contact = true;
  package.check_publish = [how](const offered_document& offer) {
    return check(offer, {.session_descriptions = how.session_descriptions,
                         .remote_target_is_identity = how.remote_target_is_identity});
  };
  // a phone that has nothing to say does not hang up another's call, also where it knows its tag (P40)
  package.guards_removal = true;
  package.superseded = [](const offered_document& offer, const parsed_document* parsed, std::span<const published> live) {
    const auto* incoming = dynamic_cast<const checked_document*>(parsed);
    const auto* before = dynamic_cast<const checked_document*>(offer.previous);
    if (before == nullptr || offer.sender.empty()) return false;
    return (incoming != nullptr ? takes_over(*before, *incoming) : before->has_live()) &&
           std::any_of(live.begin(), live.end(),
                       [&](const published& p) { return p.parsed == before && p.sender != offer.sender; });
  };
  const auto write = [](std::string_view resource, std::span<const published> all) {
    const published* shown = counts(all);
    writer w = line(resource, shown);
    for (const shown_dialog& d : dialogs_of(shown)) {
      d.what->shown_as = d.what->id;
      w.add(d);
    }
    return w.done();
  };
  package.aggregate = write;
  package.neutral = [write](std::string_view resource) { return write(resource, {}); };
  package.tailor = [write](const body& state, const watcher_view& to) -> std::optional<body> {
    const auto said_by = state.outline() != nullptr ? state.outline()->sender() : std::nullopt;
    if (!said_by || said_by->empty() || *said_by != to.dialog.remote_target()) return std::nullopt;
    return write(to.resource, {});  // he does not get his own word back (BLA-4)
  };
  package.authorize_body = [](const body&, std::string_view resource, std::span<const published> all, const view&) {
    const published* shown = counts(all);
    return virtual_dialog(line(resource, shown), dialogs_of(shown));
  };
  admit(package, how.strangers, how.shares);
  return package;
}

}  // namespace presence
