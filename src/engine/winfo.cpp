// Watcher information (RFC 3857, 3858): what happens to watchers is written down while a call is
// planned, and told to whom it belongs with the same call, each change once.
#include <presence/packages.hpp>

#include "../packages/digest.hpp"
#include "../xml.hpp"
#include "impl.hpp"

namespace presence {

namespace {

constexpr std::string_view media_type = "application/watcherinfo+xml";
constexpr std::string_view suffix = ".winfo";

void append_watcher(std::string& out, const watcher_record& w, instant now) {
  out += "<watcher";
  xml::append_attribute(out, "id", id_text(w.id));
  xml::append_attribute(out, "status", to_string(w.status));
  xml::append_attribute(out, "event", to_string(w.event));
  if (!w.display_name.empty()) xml::append_attribute(out, "display-name", w.display_name);
  if (w.status == watcher_state::active || w.status == watcher_state::pending)
    xml::append_attribute(out, "expiration", std::to_string(whole_seconds(now, w.deadline).count()));
  xml::append_attribute(out, "duration-subscribed", std::to_string(whole_seconds(w.since, now).count()));
  out += '>';
  xml::append_text(out, w.uri);
  out += "</watcher>";
}

body watcherinfo(std::string_view resource, std::string_view package, std::span<const watcher_record> watchers, bool full,
              instant now) {
  std::string out{"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<watcherinfo xmlns=\"urn:ietf:params:xml:ns:watcherinfo\" version=\""};
  const std::size_t version_at = out.size();
  out += full ? "\" state=\"full\">" : "\" state=\"partial\">";
  out += "<watcher-list";
  xml::append_attribute(out, "resource", resource);
  xml::append_attribute(out, "package", package);
  out += '>';
  for (const watcher_record& w : watchers) append_watcher(out, w, now);
  out += "</watcher-list></watcherinfo>";
  return body::versioned(media_type, out, version_at);
}

/// Who has a view sees himself alone, whatever view it is (WIN-4.6-2); who is politely blocked sees nobody.
bool may_see(const subscription& reader, std::string_view watcher) noexcept {
  return reader.stands == standing::active && (reader.view == 0 || watcher == reader.watcher->uri());
}

}  // namespace

std::string id_text(std::uint64_t id) {
  std::string text(13, ' ');
  write_id(text, id);
  return text;
}

std::uint64_t read_id(std::string_view text) noexcept {
  std::uint64_t id = 0;
  if (text.size() != 13) return 0;
  for (std::size_t i = text.size(); i-- > 0;) {
    const auto digit = id_characters.find(text[i]);
    if (digit == std::string_view::npos) return 0;
    id = id << 5 | digit;
  }
  return id;
}

/// His own subscriptions alone.
struct self_view : view {
  bool equals(const view&) const noexcept override { return true; }
};

event_package watcherinfo_package(std::string watched, bool with_self_view) {
  event_package p;
  p.name = watched;
  p.name.insert(std::min(watched.find(';'), watched.size()), suffix);  // the template is of the type
  p.watched = std::move(watched);
  p.content_types = {std::string{media_type}};
  p.publishable = false;
  p.versioned = true;
  p.req_auth = true;
  p.authorize = [with_self_view](const authorization_query& q) -> authorization {
    if (q.watcher.anonymous || q.watcher.uri.empty()) return sub_handling::block;
    if (q.watcher.proves(q.resource)) return sub_handling::allow;  // WIN-4.6-1
    if (!with_self_view) return sub_handling::block;
    return {sub_handling::allow, std::make_shared<self_view>()};
  };
  return p;
}

event_state* engine::impl::winfo_state(std::string_view resource, const event_package& watched) {
  if (!watched.winfo) return nullptr;
  for (const auto& candidate : packages) {
    if (candidate->package.watched != watched.name) continue;
    event_state* state = find_state(resource, candidate->package);
    return state != nullptr && state->watcher_count() != 0 ? state : nullptr;
  }
  return nullptr;
}

std::uint64_t engine::impl::refused_id(std::uint64_t number) const noexcept {
  return table.secret_of({reinterpret_cast<const char*>(&number), sizeof number}, "refused", {});
}

std::uint64_t watcher_id(const subscription& s) noexcept {
  digest all;  // of our own tag, which is random and longer than what comes out
  all.add(s.dialog.local_tag());
  all.add(s.dialog.event());  // a dialog may see several subscriptions, also one after the other
  all.add(static_cast<std::uint64_t>(s.since.time_since_epoch().count()) << 3 | s.nth);
  return all.value();
}

watcher_record engine::impl::record_of(const subscription& s) const {
  const bool waits = s.stands == standing::pending;
  return {.id = watcher_id(s),
          .uri = std::string{s.watcher->uri()},
          .display_name = std::string{s.dialog.display_name()},
          .status = waits ? watcher_state::pending : watcher_state::active,
          .event = waits        ? watcher_event::subscribe_pending
                   : s.approved ? watcher_event::approved
                                : watcher_event::subscribe_accepted,
          .deadline = s.deadline,
          .since = s.since};
}

void engine::impl::tell(const event_state& watched, watcher_record record) {
  if (event_state* state = winfo_state(watched.resource(), *watched.package))
    plan.watcher_changes.push_back({state, std::move(record)});
}

void engine::impl::tell(const subscription& s, watcher_event event) {
  if (!s.state->package->winfo) return;
  watcher_record record = record_of(s);
  record.event = event;
  tell(*s.state, std::move(record));
}

void engine::impl::tell_end(const subscription& s, end_reason reason) {
  if (!s.state->package->winfo) return;
  watcher_record record = record_of(s);
  switch (reason) {
    case end_reason::deactivated: record.event = watcher_event::deactivated; break;
    case end_reason::probation: record.event = watcher_event::probation; break;
    case end_reason::rejected: record.event = watcher_event::rejected; break;
    case end_reason::giveup: record.event = watcher_event::giveup; break;
    case end_reason::noresource: record.event = watcher_event::noresource; break;
    case end_reason::none:
    case end_reason::invariant:
    case end_reason::timeout: record.event = watcher_event::timeout; break;
  }
  record.status = step(record.status, record.event);
  tell(*s.state, std::move(record));
}

void engine::impl::tell_answered(const subscription& s, sub_handling handling) {
  if (!s.state->package->winfo) return;
  watcher_record record = record_of(s);
  record.status = watcher_state::terminated;
  record.event = handling == sub_handling::block ? watcher_event::rejected : watcher_event::approved;
  tell(*s.state, std::move(record));
}

void engine::impl::tell_begin(const subscription& s, const undecided* waited, bool fetch) {
  if (!s.state->package->winfo) return;
  const bool waits = waited != nullptr && waited->pending == 0;
  // a new machine begins, and the one that waited ends (WIN-FSM-3)
  if (waits) tell_waiting(*waited, s.stands == standing::pending ? watcher_event::giveup : watcher_event::approved);
  if (fetch) {
    tell_end(s, end_reason::timeout);
  } else {
    tell(*s.state, record_of(s));
  }
}

void engine::impl::tell_rejected(const event_package& package, std::string_view display_name, instant now) {
  event_state* to = package.winfo ? winfo_state(resource_text, package) : nullptr;
  if (to == nullptr) return;
  plan.watcher_changes.push_back({to, {refused_id(++refused_watchers), watcher_text, std::string{display_name},
                                  watcher_state::terminated, watcher_event::subscribe_rejected, {}, now}});
}

void engine::impl::tell_waiting(const undecided& u, watcher_event event) {
  tell(*u.state, {u.id, std::string{u.watcher->uri()}, std::string{u.named.display_name()},
                  step(watcher_state::waiting, event), event, {}, u.since});
}

body engine::impl::watcher_information(const event_state& state, const subscription* reader, instant now) {
  std::vector<watcher_record> all;
  const auto shows = [&](std::string_view watcher) { return reader == nullptr || may_see(*reader, watcher); };
  if (const auto* m = reader != nullptr ? missed.find(reader->self) : nullptr)
    std::copy_if(m->begin(), m->end(), std::back_inserter(all), [&](const watcher_record& w) { return shows(w.uri); });
  const registered_package* watched = packages.named(state.package->watched);
  event_state* of = watched != nullptr ? find_state(state.resource(), watched->package) : nullptr;
  if (of != nullptr) {
    for (const auto index : of->watchers) {
      if (index == slab<subscription>::none) continue;
      const subscription& s = table.subscriptions()[index];
      if (!s.lapsed(now) && shows(s.watcher->uri())) all.push_back(record_of(s));
    }
    if (of->undecideds) {
      const std::size_t first = all.size();
      for (const auto& [account, u] : *of->undecideds)
        if (u.pending == 0 && shows(u.watcher->uri()))
          all.push_back({u.id, std::string{u.watcher->uri()}, std::string{u.named.display_name()}, watcher_state::waiting,
                         watcher_event::timeout, {}, u.since});
      std::sort(all.begin() + static_cast<std::ptrdiff_t>(first), all.end(), [](const auto& a, const auto& b) {
        return std::tie(a.since, a.uri) < std::tie(b.since, b.uri);
      });
    }
  }
  return watcherinfo(state.resource(), state.package->watched, all, true, now);
}

void engine::impl::plan_watcher_information(instant now, effects& out) {
  if (plan.watcher_changes.empty()) return;
  std::stable_sort(plan.watcher_changes.begin(), plan.watcher_changes.end(),
                   [](const auto& a, const auto& b) { return std::less<>{}(a.to, b.to); });
  for (auto first = plan.watcher_changes.begin(); first != plan.watcher_changes.end();) {
    const auto last = std::find_if(first, plan.watcher_changes.end(), [&](const auto& c) { return c.to != first->to; });
    event_state& state = *first->to;
    uses(state, traced_operation::notify);
    std::vector<watcher_record> changes;
    std::unordered_map<std::uint64_t, std::size_t> places;
    for (; first != last; ++first) {  // of several changes of one watcher the last is told
      const auto [place, is_new] = places.try_emplace(first->record.id, changes.size());
      if (is_new) changes.push_back(first->record);
      else changes[place->second] = first->record;
    }
    const body partial = watcherinfo(state.resource(), state.package->watched, changes, false, now);
    for (const auto index : state.watchers) {
      if (index == slab<subscription>::none) continue;
      subscription& s = table.subscriptions()[index];
      const auto his = [&](const watcher_record& w) { return may_see(s, w.uri); };
      if (!s.lasts(now) || std::none_of(changes.begin(), changes.end(), his)) continue;
      const auto told = [&](const notify& n) { return n.id == table.id_of(s, n.cseq); };
      // what is not written down as done yet cannot be in a full document: who needs one gets it next
      const bool waits = must_wait(s, now);
      if (waits || !state.package->difference_only || s.unsure || s.owes || decisions_due(state, now) ||
          std::any_of(out.notifies.begin(), out.notifies.end(), told)) {
        if (!waits) plan.owing.push_back(&s);
        debts.reserve(plan.owing.size());
        for (const watcher_record& w : changes)
          if (w.status == watcher_state::terminated && his(w)) plan.missed.emplace_back(&s, w);
        continue;
      }
      std::vector<watcher_record> own;
      if (s.view != 0) std::copy_if(changes.begin(), changes.end(), std::back_inserter(own), his);
      body shown = s.view == 0 ? partial : watcherinfo(state.resource(), state.package->watched, own, false, now);
      const notify& n = plan_notify(s, std::move(shown), now, out);
      plan_reservation(s, n);
    }
  }
  plan.watcher_changes.clear();
}

}  // namespace presence
