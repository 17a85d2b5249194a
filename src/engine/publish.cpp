// PUBLISH: RFC 3903 section 6, in its order of steps.
#include "impl.hpp"

namespace presence {

std::string engine::impl::new_etag() {
  std::string tag = random_token(random, 13);  // 77 random bits: never met twice (PUB-6.6-3)
  tag += ".0";                                 // Kamailio counts up the digits after the last dot
  return tag;
}

publication_row engine::impl::row_of(const publication& p) const {
  return {.resource = std::string{p.state->resource()},
          .event = p.state->package->name,
          .etag = p.etag,
          .id = p.id,
          .content = p.content,
          .sender = p.sender,
          .since = p.since,
          .expires = p.deadline};
}

void engine::impl::plan_ended(const publication& p) {
  if (durable())
    pending.ended_publications.push_back({std::string{p.state->resource()}, p.state->package->name, p.etag});
}

body engine::impl::compose(const event_state& state, const edit* what, instant now) {
  const event_package& package = *state.package;
  offered.clear();
  const auto offer = [&](const publication& p, bool leaving) {
    offered.push_back({.etag = p.etag,
                       .content = p.content,
                       .parsed = p.parsed.get(),
                       .sender = p.sender,
                       .id = p.id,
                       .since = p.since,
                       .arrival = p.arrival,
                       .leaving = leaving});
  };
  bool replaced = false;
  for (const auto& p : state.publications) {
    if (what != nullptr && p.get() == what->target) {
      replaced = what->incoming != nullptr;
      offer(replaced ? *what->incoming : *p, !replaced);
    } else {
      offer(*p, what != nullptr && p->deadline <= now);
    }
  }
  if (what != nullptr && what->incoming != nullptr && !replaced) offer(*what->incoming, false);

  if (package.aggregate && !offered.empty()) return package.aggregate(state.resource(), offered);
  const published* newest = nullptr;
  for (const published& p : offered) {
    if (!p.leaving && p.content && (newest == nullptr || p.arrival >= newest->arrival)) newest = &p;
  }
  if (newest != nullptr) return newest->content;
  return package.neutral ? package.neutral(state.resource()) : body{};
}

const body& engine::impl::current_body(event_state& state) {
  if (!state.current) state.current = compose(state, nullptr, clock);
  return state.current;
}

engine::impl::lapse engine::impl::plan_lapse(event_state& state, instant now) {
  lapse due;
  for (const auto& p : state.publications) {
    if (p->deadline > now) continue;
    due.any = true;
    plan_ended(*p);
  }
  if (!due.any) {
    due.after = current_body(state);
    return due;
  }
  const edit leaving;
  due.after = compose(state, &leaving, now);
  due.changed = !same_meaning(current_body(state), due.after);
  return due;
}

void engine::impl::erase_lapsed(event_state& state, const publication* but, instant now) noexcept {
  for (std::size_t i = state.publications.size(); i-- > 0;) {
    publication& p = *state.publications[i];
    if (p.deadline > now || &p == but) continue;
    ++counters.expired_publications;
    table.erase(p);
  }
}

void engine::impl::commit_lapse(event_state& state, const lapse& due, instant now) noexcept {
  if (due.any) {
    erase_lapsed(state, nullptr, now);
    state.current = state.package->tells_leaving ? body{} : due.after;
  }
  if (state.watcher_count() == 0) state.current = {};
}

void engine::impl::publish(const publish_request& request, instant now, bool trusted, effects& out) {
  // step 0: what any request must pass
  if (!trusted && !admit_sender(request.who, out)) return;
  if (!admit_extensions(request.require, out) || !admit_content(request.content, out)) return;
  if (!admit_text(request.event, settings.limits.token_bytes, "Bad Event", out) ||
      !admit_text(request.sip_if_match, settings.limits.token_bytes, "Bad SIP-If-Match", out) ||
      !admit_text(request.sender, settings.limits.uri_bytes, "Bad Sender", out) ||
      !admit_expires(request.expires, out))
    return;
  // step 1: the resource, and who may publish for it
  if (!admit_resource(request.resource, out)) return;
  if (!trusted) {
    const bool allowed = hooks.may_publish ? hooks.may_publish(request.who, resource_text, request.event)
                                           : request.who.uri.empty() || is_one_of(request.who, resource_text);
    if (!allowed) return refuse(out, 403);
  }
  // step 2: the package
  event_value event;
  const registered_package* registered = admit_event(request.event, event, &event_package::publishable, out);
  if (registered == nullptr) return;
  const event_package& package = registered->package;
  // step 3: the entity tag
  const std::string_view tag = request.sip_if_match;
  if (tag.find(',') != std::string_view::npos) return refuse(out, 400, "Several Entity Tags");
  event_state* state = table.find(resource_text, package);
  edit what;
  if (state != nullptr && !tag.empty()) {
    for (const auto& p : state->publications) {
      if (p->etag == tag && p->deadline > now) what.target = p.get();
    }
  }
  if (state != nullptr) {  // a document takes longer to check than these take to arrive
    const std::size_t few = std::min<std::size_t>(state->watchers.size(), 4);
    for (std::size_t i = 0; i < few; ++i)
      if (state->watchers[i] != slab<subscription>::none) table.subscriptions().prefetch(state->watchers[i]);
  }
  // steps 4 and 5: lifetime and body
  const publish_facts facts{.names_tag = !tag.empty(),
                            .tag_is_live = what.target != nullptr,
                            .brings_body = !request.content.bytes.empty(),
                            .empty_allowed = package.empty_publish,
                            .asked = request.expires.value()};
  const expiry_bounds bounds = bounds_of(package);
  const publish_decision decision = decide(facts, bounds);
  publication incoming;
  incoming.sender = request.sender;
  seconds lifetime{0};
  const auto carries = [&](publish_operation operation, seconds granted_lifetime) {
    out.operation = operation;
    lifetime = granted_lifetime;
  };
  using namespace publishing;
  std::visit(overloaded{[&](const refused& r) {
                          refuse(out, r.status, r.status == 400 ? "Missing Body" : "");
                          if (r.status == 423)
                            out.answer.min_expires = static_cast<std::uint32_t>(bounds.shortest.count());
                        },
                        [&](const created& d) { carries(publish_operation::created, d.lifetime); },
                        [&](const modified& d) { carries(publish_operation::modified, d.lifetime); },
                        [&](const refreshed& d) { carries(publish_operation::refreshed, d.lifetime); },
                        [&](const removed&) { carries(publish_operation::removed, seconds{0}); },
                        [&](const discarded&) { carries(publish_operation::none, seconds{0}); }},
             decision);
  if (out.answer.status != 0) return;
  if (facts.brings_body && !admit_type(request.content.type, package, out)) return;
  if (facts.brings_body ? out.operation != publish_operation::removed
                        : out.operation == publish_operation::created) {
    if (facts.brings_body) incoming.content = body{request.content.type, request.content.bytes};
    if (package.check_publish && incoming.content) {
      auto checked = package.check_publish({resource_text, incoming.content, request.sender, settings.limits,
                                            what.target != nullptr ? what.target->parsed.get() : nullptr});
      if (!checked) return refuse(out, checked.error());
      incoming.parsed = std::move(checked).value();
    }
  }
  if ((out.operation == publish_operation::created || out.operation == publish_operation::modified) &&
      !has_room(state, what.target, request.content.bytes.size(), now))
    return refuse_later(out, "Too Much State");

  incoming.etag = facts.names_tag && package.etag_not_new ? std::string{tag} : new_etag();
  out.answer.status = 200;
  out.answer.reason = reason_phrase(200);
  out.answer.etag = incoming.etag;
  out.answer.expires = static_cast<std::uint32_t>(advertised(lifetime, settings.expires_offset).count());
  if (out.operation == publish_operation::none) return;  // it lapsed at once: nothing is stored (PUB-6.5-6)
  incoming.deadline = now + lifetime;
  carry_out(package, what.target, incoming, now, out);
}

bool engine::impl::admit_type(std::string_view type, const event_package& package, effects& out) const {
  const auto known = [&](const std::string& registered) { return same_media_type(type, registered); };
  if (package.content_types.empty() ||
      std::any_of(package.content_types.begin(), package.content_types.end(), known))
    return true;
  refuse(out, 415);
  for (const auto& accepted : package.content_types) {
    if (!out.answer.accept.empty()) out.answer.accept += ", ";
    out.answer.accept += accepted;
  }
  return false;
}

bool engine::impl::has_room(const event_state* state, const publication* target, std::size_t bytes,
                            instant now) const noexcept {
  std::size_t live = 0;
  if (state != nullptr) {
    for (const auto& p : state->publications) {
      if (p->deadline <= now || p.get() == target) continue;
      ++live;
      bytes += p->content.bytes().size();
    }
  }
  return live < settings.limits.publications_per_resource && bytes <= settings.limits.state_bytes;
}

void engine::impl::carry_out(const event_package& package, publication* target,
                             publication& incoming, instant now, effects& out) {
  const bool created = out.operation == publish_operation::created;
  const bool modified = out.operation == publish_operation::modified;
  const bool removed = out.operation == publish_operation::removed;

  // plan
  event_state& state = target != nullptr ? *target->state : table.obtain(resource_text, package);
  struct drop_idle {
    state_table& table;
    event_state& state;
    ~drop_idle() { table.release_if_idle(state); }
  } const drop_idle_state{table, state};
  incoming.state = &state;
  incoming.since = now;
  incoming.arrival = arrival_after(now);
  incoming.id = created ? last_id + 1 : target->id;
  bool lapsed = false;
  for (const auto& p : state.publications) {
    if (p->deadline > now || p.get() == target) continue;
    lapsed = true;
    plan_ended(*p);
  }
  const bool touched = created || modified || removed || lapsed;
  const bool watched = touched && state.watcher_count() != 0;
  body after;
  if (watched) {
    const edit what{.target = modified || removed ? target : nullptr, .incoming = created || modified ? &incoming : nullptr};
    const body before = current_body(state);
    after = compose(state, &what, now);
    out.state_changed = !same_meaning(before, after);
    if (out.state_changed) {
      plan_fan_out(state, after, incoming.sender, nullptr, now, out);
    } else {
      ++counters.suppressed;
    }
  } else if (touched) {
    out.state_changed = !(modified && same_meaning(target->content, incoming.content));
  }
  if (durable()) {
    if (created) pending.new_publications.push_back(row_of(incoming));
    if (removed) plan_ended(*target);
    if (!created && !removed) {
      publication_row row = row_of(modified ? incoming : *target);
      row.etag = incoming.etag;
      row.expires = incoming.deadline;
      pending.changed_publications.push_back({target->etag, modified, std::move(row)});
    }
  }
  std::unique_ptr<publication> added;
  if (created) {
    added = std::make_unique<publication>();
    state.publications.reserve(state.publications.size() + 1);
  }
  if (!store(out, now)) return;

  // commit
  commit_notifies(out);
  if (lapsed) erase_lapsed(state, target, now);
  if (removed) {
    table.erase(*target);
  } else {
    publication& p = created ? *added : *target;
    p.etag = std::move(incoming.etag);
    if (created || modified) {
      p.content = std::move(incoming.content);
      p.parsed = std::move(incoming.parsed);
      p.sender = std::move(incoming.sender);
      p.since = now;
      p.arrival = last_arrival = incoming.arrival;
    }
    if (created) {
      last_id = p.id = incoming.id;
      p.deadline = incoming.deadline;
      table.insert(state, std::move(added));
    } else {
      table.set_deadline(p, incoming.deadline);
    }
  }
  const bool once = package.tells_leaving && (lapsed || removed);  // the next one to ask sees another
  if (touched) state.current = watched && !once ? std::move(after) : body{};
}

}  // namespace presence
