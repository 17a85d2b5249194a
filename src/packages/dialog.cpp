// The packages `dialog` (RFC 4235) and `dialog;sla` (bridged line appearance).
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

/// The dialogs of all publications: of one dialog that several report the newest word, and an end is
/// final (DLG-AGG-1, V11); ends are told once (DLG-AGG-3).
std::vector<shown_dialog> united(std::span<const published> all) {
  std::vector<shown_dialog> found;
  const auto rank = [](const shown_dialog& d) {
    return std::pair{d.what->state == call_state::terminated, d.timed_out ? 0 : d.from->arrival};
  };
  for (const published& p : all) {
    const checked_document* d = checked(p);
    if (d == nullptr) continue;
    for (const entry& e : d->dialogs) {
      if (p.leaving && e.state == call_state::terminated) continue;  // what others say of it counts again
      const shown_dialog one{&p, &e, p.leaving && e.state != call_state::terminated};
      const auto same = std::find_if(found.begin(), found.end(), [&](const auto& k) { return k.what->same_dialog(e); });
      if (same == found.end()) {
        found.push_back(one);
      } else if (rank(one) >= rank(*same)) {
        *same = one;
      }
    }
  }
  std::erase_if(found, [](const shown_dialog& d) {
    return d.what->state == call_state::terminated && !d.from->arriving;
  });
  return found;
}

/// The newest document alone (BLA-2).
std::vector<shown_dialog> newest(std::span<const published> all) {
  const published* last = nullptr;
  for (const published& p : all)
    if (!p.leaving && checked(p) != nullptr && (last == nullptr || p.arrival >= last->arrival)) last = &p;
  std::vector<shown_dialog> found;
  if (last == nullptr) return found;
  for (const entry& e : checked(*last)->dialogs) found.push_back({last, &e, false});
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

/// Gives each dialog an id of its own, the same while its publications live, whoever tells of it. What
/// is not shown now keeps its id, for it may be shown again.
void settle_ids(std::span<const published> publications, const std::vector<shown_dialog>& all) {
  std::set<std::string> shown, known;
  for (const shown_dialog& d : all)
    if (!d.what->shown_as.empty() && !shown.insert(d.what->shown_as).second) d.what->shown_as.clear();
  std::vector<const entry*> entries;
  for (const published& p : publications) {
    const checked_document* d = checked(p);
    if (d == nullptr) continue;
    for (const entry& e : d->dialogs) {
      if (e.shown_as.empty()) continue;
      known.insert(e.shown_as);
      entries.push_back(&e);
    }
  }
  for (const shown_dialog& d : all) {
    if (!d.what->shown_as.empty()) continue;
    const auto same = std::find_if(entries.begin(), entries.end(), [&](const entry* e) {
      return e->same_dialog(*d.what) && !shown.contains(e->shown_as);
    });
    std::string id = same != entries.end() ? (*same)->shown_as : d.what->id;
    for (std::uint64_t n = 0; same == entries.end() && known.contains(id); ++n) {
      digest fresh;
      fresh.add(d.from->id);
      fresh.add(n);
      fresh.add(d.what->id);
      std::uint64_t bits = fresh.value();
      id = "d";
      for (int i = 0; i < 12; ++i, bits >>= 5) id += "abcdefghijklmnopqrstuvwxyz234567"[bits & 31];
    }
    shown.insert(id);
    known.insert(id);
    d.what->shown_as = std::move(id);
  }
}

struct writer {
  std::string out{"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\""};
  std::size_t version_at = out.size();
  digest meaning;

  writer(std::string_view resource, bool full) {
    out += full ? "\" state=\"full\"" : "\" state=\"partial\"";
    xml::append_attribute(out, "entity", resource);
    out += '>';
    meaning.add(resource);
  }
  void add(const shown_dialog& d) {
    const entry& e = *d.what;
    meaning.add(e.shown_as);
    if (!d.timed_out) {
      ((out += e.before_id) += escaped(e.shown_as)) += e.behind_id;
      meaning.add(e.meaning);
      return;
    }
    // who it was with goes with the publication; what tells which dialog it was stays
    out += "<dialog";
    xml::append_attribute(out, "id", e.shown_as);
    for (const auto& [name, value] : {std::pair{"call-id", &e.call_id}, {"local-tag", &e.local_tag},
                                      {"remote-tag", &e.remote_tag}, {"direction", &e.direction}})
      if (!value->empty()) xml::append_attribute(out, name, *value);
    out += "><state event=\"timeout\">terminated</state></dialog>";
    meaning.add(std::uint64_t{1});
  }
  body done() {
    out += "</dialog-info>";
    return body::versioned(media_type, out, version_at, meaning.value());
  }
};

body aggregate(std::string_view resource, std::span<const published> publications, const dialog_options& how) {
  std::vector<shown_dialog> all = united(publications);
  if (how.single_dialog && all.size() > 1) {
    const auto less = [](const auto& a, const auto& b) {
      return std::pair{interest(a.state()), a.from->arrival} < std::pair{interest(b.state()), b.from->arrival};
    };
    all = {*std::max_element(all.begin(), all.end(), less)};
  }
  settle_ids(publications, all);
  writer w{resource, true};
  for (const shown_dialog& d : all) w.add(d);
  return w.done();
}

/// What a stranger sees: whether there is a call (DLG-3.6-1, SEC-PKG-1).
struct stranger final : view {
  bool equals(const view&) const noexcept override { return true; }
};

body virtual_dialog(std::string_view resource, std::span<const published> publications) {
  const std::vector<shown_dialog> all = united(publications);
  const bool live = std::any_of(all.begin(), all.end(), [](const auto& d) { return d.state() != call_state::terminated; });
  writer w{resource, true};
  if (!all.empty()) {
    w.out += "<dialog id=\"virtual\"><state>";
    w.out += to_string(live ? call_state::confirmed : call_state::terminated);
    w.out += "</state></dialog>";
  }
  w.meaning.add(std::uint64_t{all.empty() ? 0u : live ? 1u : 2u});
  return w.done();
}

/// The dialogs of a composed document: id, text, and whether it is over.
struct told_dialog {
  std::string text;
  bool over;
};
std::map<std::string, told_dialog> dialogs_of(const body& document) {
  limits wide;
  wide.body_bytes = wide.xml_elements = wide.xml_attributes = wide.xml_text_bytes = SIZE_MAX;
  wide.xml_depth = xml::deepest;
  std::map<std::string, told_dialog> all;
  const auto parsed = xml::parser::of_this_thread().parse(document.bytes(), wide);
  if (!parsed) return all;
  const xml::tree& tree = **parsed;
  std::string room;
  for (const xml::node& n : tree.children(tree.root())) {
    if (!n.is(namespace_uri, "dialog")) continue;
    bool over = false;
    for (const xml::node& c : tree.children(n))
      if (c.is(namespace_uri, "state")) over = xml::trimmed(tree.text_of(c, room)) == "terminated";
    all[std::string{tree.find(n, {}, "id")->value}] = {std::string{tree.source.substr(n.begin, n.end - n.begin)}, over};
  }
  return all;
}

/// Only what changed (DLG-3.3-3). What vanished without an end is told as ended.
std::optional<body> difference(std::string_view resource, const body& before, const body& after) {
  const auto was = dialogs_of(before), is = dialogs_of(after);
  if (is.empty()) return std::nullopt;
  writer w{resource, false};
  const std::size_t head = w.out.size();
  for (const auto& [id, d] : is) {
    const auto known = was.find(id);
    if (known == was.end() || known->second.text != d.text) w.out += d.text;
  }
  for (const auto& [id, d] : was) {
    if (is.contains(id) || d.over) continue;
    w.out += "<dialog";
    xml::append_attribute(w.out, "id", id);
    w.out += "><state>terminated</state></dialog>";
  }
  if (w.out.size() == head) return std::nullopt;
  w.meaning.add(std::string_view{w.out}.substr(head));
  return w.done();
}

/// P37: dialogs that are all over do not begin again under their own ids.
bool revives(const offered_document& offer, const parsed_document* parsed) {
  const auto* before = dynamic_cast<const checked_document*>(offer.previous);
  const auto* after = dynamic_cast<const checked_document*>(parsed);
  if (before == nullptr || after == nullptr || before->dialogs.empty() || before->has_live() || after->dialogs.empty()) return false;
  return std::all_of(after->dialogs.begin(), after->dialogs.end(), [&](const entry& e) {
    const entry* ended = before->find(e.id);
    return ended != nullptr && ended->call_id == e.call_id && e.state != call_state::terminated;
  });
}

}  // namespace

event_package dialog_package(dialog_options how) {
  event_package package;
  package.name = "dialog";
  package.content_types = {std::string{media_type}};
  package.default_expires = seconds{3600};
  package.versioned = true;
  package.tells_leaving = true;
  package.check_publish = [how](const offered_document& offer) { return check(offer, how.session_descriptions); };
  package.superseded = [](const offered_document& offer, const parsed_document* parsed, std::span<const published>) {
    return revives(offer, parsed);
  };
  package.aggregate = [how](std::string_view resource, std::span<const published> all) { return aggregate(resource, all, how); };
  package.neutral = [how](std::string_view resource) { return aggregate(resource, {}, how); };
  if (how.partial) package.difference = difference;
  if (how.strangers != dialog_options::shown::everything) {
    package.req_auth = true;
    package.authorize = [how](const authorization_query& q) -> authorization {
      std::string address;
      const auto owns = [&](std::string_view uri) { return canonical_aor(uri, address) && address == q.resource; };
      if (owns(q.watcher.uri) || std::any_of(q.watcher.also.begin(), q.watcher.also.end(), owns)) return sub_handling::allow;
      if (how.strangers == dialog_options::shown::nothing) return sub_handling::block;
      return {sub_handling::allow, std::make_shared<const stranger>()};
    };
    package.authorize_body = [](const body&, std::string_view resource, std::span<const published> all, const view&) {
      return virtual_dialog(resource, all);
    };
  }
  return package;
}

event_package dialog_sla_package() {
  event_package package;
  package.name = "dialog;sla";
  package.content_types = {std::string{media_type}};
  package.default_expires = seconds{3600};
  package.etag_not_new = true;
  package.versioned = true;
  package.resource_from_contact = true;
  package.check_publish = [](const offered_document& offer) { return check(offer, true); };
  // a phone that has nothing to say does not hang up another's call (P40)
  package.superseded = [](const offered_document& offer, const parsed_document* parsed, std::span<const published> live) {
    const auto* incoming = dynamic_cast<const checked_document*>(parsed);
    if (incoming == nullptr || !incoming->dialogs.empty() || offer.sender.empty()) return false;
    return std::any_of(live.begin(), live.end(), [&](const published& p) {
      return checked(p) != nullptr && checked(p)->has_live() && p.sender != offer.sender;
    });
  };
  const auto write = [](std::string_view resource, std::span<const published> all) {
    const std::vector<shown_dialog> dialogs = newest(all);
    writer w{resource, true};
    for (const shown_dialog& d : dialogs) {
      d.what->shown_as = d.what->id;
      w.add(d);
    }
    return w.done();
  };
  package.aggregate = write;
  package.neutral = [write](std::string_view resource) { return write(resource, {}); };
  package.tailor = [write](const body&, const watcher_view& to) -> std::optional<body> {
    if (!to.full || !to.published_it) return std::nullopt;
    return write(to.resource, {});  // he does not get his own word back (BLA-4)
  };
  return package;
}

}  // namespace presence
