// PUBLISH: RFC 3903 section 6, in its order of steps.
#include "impl.hpp"

namespace presence {

namespace {

/// parsed_document::stored(), if there is something, becomes the content.
void take_stored(publication& incoming) {
  if (!incoming.parsed) return;
  if (body stored = incoming.parsed->stored()) incoming.content = std::move(stored);
  incoming.kept = incoming.parsed->kept().value_or(0);
}

/// Watchers were not told of something: the next document each gets is a full one.
void make_unsure(state_table& table, const event_state& state) noexcept {
  for (const auto index : state.watchers)
    if (index != slab<subscription>::none) table.subscriptions()[index].unsure = true;
}

}  // namespace

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
          .sender = std::string{p.sender()},
          .publisher = std::string{p.publisher()},
          .since = p.since,
          .nth = p.arrival - first_arrival(p.since),
          .expires = p.deadline};
}

void engine::impl::plan_ended(const publication& p) {
  if (stores_publications())
    plan.rows.ended_publications.push_back({std::string{p.state->resource()}, p.state->package->name, p.etag});
}

lapse engine::impl::plan_lapse(event_state& state, instant now, const subscription* reader) {
  lapse due{.any = table.lapsed(state, now)};
  if (!due.any) {
    due.after = present(state, reader);
    return due;
  }
  for (const auto& p : state.publications)
    if (p->deadline <= now) plan_ended(*p);
  const edit leaving;
  plan_inherited(state, leaving, now);
  due.before = present(state);
  due.after = compose(state, &leaving, now);
  plan_kept(state, leaving, now);
  if (settings.force_delete) due.before = due.after;
  return due;
}

void engine::impl::plan_lapse_told(event_state& state, lapse& due, const subscription* except, instant now,
                                   effects& out) {
  const edit leaving;
  if (due.any) {
    plan_elsewhere(state, leaving, now, out);
    return plan_told(state, due.before, due.after, &leaving, {}, except, now, out);
  }
  if (!decisions_due(state, now)) return;
  due.after = present(state);  // for all
  plan_told(state, due.after, due.after, nullptr, {}, except, now, out);
}

void engine::impl::plan_inherited(event_state& state, const edit& what, instant now) {
  const auto& inherit = state.package->inherit;
  if (!inherit) return;
  const auto leaves = [&](const publication& p) { return p.deadline <= now || (&p == what.target && what.incoming == nullptr); };
  std::vector<const publication*> staying;
  if (what.incoming != nullptr && what.incoming->parsed) staying.push_back(what.incoming);
  for (const auto& p : state.publications)
    if (p->parsed && p.get() != what.target && !leaves(*p)) staying.push_back(p.get());
  for (const auto& gone : state.publications) {
    if (!gone->parsed || !leaves(*gone)) continue;
    for (const publication* heir : staying)  // it ends anyhow; nobody is told less for that
      static_cast<void>(answered_by_package("a package cannot take over from a document that ends",
                                            [&] { inherit(*heir->parsed, *gone->parsed); }));
  }
}

void engine::impl::plan_kept(const event_state& state, const edit& what, instant now) {
  if (!remembers(*state.package)) return;
  for (const auto& p : state.publications) {
    if (!p->parsed || p.get() == what.target || p->deadline <= now) continue;
    const auto kept = p->parsed->kept();
    if (kept && *kept == p->kept) continue;
    body stored = p->parsed->stored();
    if (!stored || stored == p->content) continue;
    publication_row row = row_of(*p);
    row.content = stored;
    plan.rows.changed_publications.push_back({p->etag, true, std::move(row)});
    plan.rewritten.push_back({p.get(), std::move(stored), kept.value_or(0)});
  }
}

void engine::impl::erase_lapsed(event_state& state, instant now) noexcept {
  for (std::size_t i = state.publications.size(); i-- > 0;) {
    publication& p = *state.publications[i];
    if (p.deadline > now) continue;
    ++counters.expired_publications;
    table.erase(p);
  }
}

void engine::impl::commit_lapse(event_state& state, lapse& due, instant now) noexcept {
  if (due.any) {
    erase_lapsed(state, now);
    if (settings.force_delete) make_unsure(table, state);
    remember(state, state.package->tells_leaving ? picture{} : std::move(due.after));
    recheck_by_sphere(state, now);
  }
  if (state.watcher_count() == 0) remember(state, {});
}

void engine::impl::publish(const publish_request& request, instant now, bool trusted, effects& out) {
  const auto guessed = guess(request.resource, request.event);
  // step 0: what any request must pass
  if (!trusted && !admit_sender(request.who, out)) return;
  if (!admit_extensions(request.require, out) || !admit_content(request.content, out)) return;
  if (!admit_text(request.event, settings.limits.token_bytes, "Bad Event", out) ||
      !admit_text(request.sip_if_match, settings.limits.token_bytes, "Bad SIP-If-Match", out) ||
      !admit_text(request.sender, settings.limits.uri_bytes, "Bad Sender", out) ||
      !admit_expires(request.expires, out))
    return;
  table.prefetch(guessed);
  // step 1: the resource, and who may publish for it
  if (!admit_resource(request.resource, out)) return;
  if (!trusted) {
    const bool allowed = hooks.may_publish ? hooks.may_publish(request.who, resource_text, request.event)
                                           : request.who.uri.empty() || request.who.proves(resource_text);
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
  event_state* state = find_state(meant(guessed, package), package);
  edit what;
  if (state != nullptr && !tag.empty()) {
    for (const auto& p : state->publications) {
      if (p->etag == tag && p->deadline > now && !p->hard()) what.target = p.get();
    }
  }
  if (state != nullptr && !request.content.bytes.empty()) {  // a document takes longer to check than these take to arrive
    const std::size_t few = std::min<std::size_t>(state->watchers.size(), 4);
    for (std::size_t i = 0; i < few; ++i)
      if (state->watchers[i] != slab<subscription>::none) table.subscriptions().prefetch(state->watchers[i]);
    state->current.prefetch();
    if (what.target != nullptr) {
      // all of what it replaces: that is compared and given back, and may be where the next one is put
      what.target->content.prefetch(request.content.bytes.size());
      prefetch_lines(what.target->parsed.get(), 256);
    }
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
  incoming.set_sender(request.sender);
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
    if (state != nullptr && !state->watchers.empty() && state->watchers[0] != slab<subscription>::none)
      table.subscriptions()[state->watchers[0]].dialog.prefetch();  // the subscription itself has come by now
    if (facts.brings_body && !admit_document(request.content, package, what.target, incoming, out)) return;
    if (package.superseded && incoming.content && state != nullptr && is_superseded(*state, what.target, incoming, now)) {
      incoming.content = {};
      incoming.parsed = {};
      out.operation = what.target != nullptr ? publish_operation::refreshed : publish_operation::none;
    }
  }
  if (out.operation == publish_operation::removed && package.guards_removal && package.superseded &&
      is_superseded(*state, what.target, incoming, now))
    out.operation = publish_operation::none;
  if ((out.operation == publish_operation::created || out.operation == publish_operation::modified) &&
      !has_room(state, what.target, incoming.content.bytes().size(), now))
    return refuse_later(out, "Too Much State");
  if (out.operation == publish_operation::created) {
    const bool for_another = !trusted && !request.who.uri.empty() && !request.who.proves(resource_text);
    if (for_another && !canonical_aor(request.who.uri, canonical_text)) canonical_text = request.who.uri;
    const watcher_account* account = for_another ? table.find_watcher(canonical_text) : nullptr;
    if (table.publication_count() >= settings.limits.publications ||
        (account != nullptr && account->published >= settings.limits.publications_per_publisher))
      return refuse_later(out, "Too Many Publications");
    if (for_another) incoming.set_publisher(table.share_of(canonical_text));
  }

  incoming.etag = facts.names_tag && package.etag_not_new ? std::string{tag} : new_etag();
  out.answer.status = 200;
  out.answer.reason = reason_phrase(200);
  out.answer.etag = incoming.etag;
  out.answer.expires = static_cast<std::uint32_t>(advertised(lifetime, settings.expires_offset).count());
  if (out.operation == publish_operation::none) return;  // it lapsed at once: nothing is stored (PUB-6.5-6)
  incoming.deadline = now + lifetime;
  carry_out(package, what.target, incoming, now, out);
}

void engine::impl::set_hard_state(std::string_view resource, std::string_view event, std::string_view name,
                                  const content_view& content, instant now, effects& out) {
  if (!admit_content(content, out) || !admit_resource(resource, out)) return;
  if (name.size() > settings.limits.token_bytes || !is_token(name)) return refuse(out, 400, "Bad Name");
  const registered_package* registered = packages.named(event);
  if (registered == nullptr || !registered->package.publishable) {
    refuse(out, 489);
    out.answer.allow_events = event_list;
    return;
  }
  const event_package& package = registered->package;
  event_state* state = find_state(resource_text, package);
  publication* target = nullptr;
  if (state != nullptr) {
    for (const auto& p : state->publications)
      if (p->hard() && p->etag == name) target = p.get();
  }
  publication incoming;
  const bool sets = !content.bytes.empty();
  if (sets && (!admit_type(content.type, package, out) || !admit_document(content, package, target, incoming, out))) return;
  if (sets && !has_room(state, target, incoming.content.bytes().size(), now)) return refuse_later(out, "Too Much State");
  if (sets && target == nullptr && table.publication_count() >= settings.limits.publications)
    return refuse_later(out, "Too Many Publications");
  out.answer.status = 200;
  out.answer.reason = reason_phrase(200);
  if (!sets && target == nullptr) return;
  out.operation = !sets               ? publish_operation::removed
                  : target != nullptr ? publish_operation::modified
                                      : publish_operation::created;
  incoming.etag = name;
  incoming.deadline = never;
  carry_out(package, target, incoming, now, out);
}

bool engine::impl::admit_document(const content_view& content, const event_package& package, const publication* target,
                                  publication& incoming, effects& out) const {
  incoming.content = body{content.type, content.bytes};
  if (!package.check_publish) return true;
  auto checked = package.check_publish({resource_text, incoming.content, incoming.sender(), settings.limits,
                                        target != nullptr ? target->parsed.get() : nullptr, package.has_views()});
  if (checked) {
    incoming.parsed = std::move(checked).value();
    take_stored(incoming);
    return true;
  }
  refuse(out, checked.error());
  return false;
}

bool engine::impl::is_superseded(const event_state& state, const publication* target, const publication& incoming,
                                 instant now) {
  const edit without_lapsed;
  gather(state, &without_lapsed, now);
  return state.package->superseded({state.resource(), incoming.content, incoming.sender(), settings.limits,
                                    target != nullptr ? target->parsed.get() : nullptr},
                                   incoming.parsed.get(), staying());
}

bool engine::impl::admit_type(std::string_view type, const event_package& package, effects& out) const {
  const auto known = [&](const std::string& registered) { return type == registered || same_media_type(type, registered); };
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
  uses(state, created || modified ? traced_operation::publish : traced_operation::refresh);
  incoming.state = &state;
  incoming.since = now;
  incoming.arrival = std::max(last_arrival + 1, first_arrival(now));
  incoming.id = created ? last_id + 1 : target->id;
  bool lapsed = false;
  for (const auto& p : state.publications) {
    if (p->deadline > now || p.get() == target) continue;
    lapsed = true;
    plan_ended(*p);
  }
  const bool touched = created || modified || removed || lapsed;
  const bool watched = touched && state.watcher_count() != 0;
  const bool decides = package.decides_for_good && stores_publications() && (created || modified) &&
                       state.publications.size() > (modified ? 1 : 0);
  picture before, after;
  const edit what{.target = modified || removed ? target : nullptr, .incoming = created || modified ? &incoming : nullptr};
  if (touched) plan_elsewhere(state, what, now, out);
  if (removed || lapsed) plan_inherited(state, what, now);
  if (watched || decides) {
    const edit without_lapsed;
    const bool silent = lapsed && settings.force_delete;
    if (silent) make_unsure(table, state);
    before = silent ? compose(state, &without_lapsed, now) : present(state);
    after = compose(state, &what, now);
    if (watched) {
      out.state_changed = differ(before, after);
      if (!out.state_changed) ++counters.suppressed;
      plan_told(state, before, after, &what, incoming.sender(), nullptr, now, out);
    }
  }
  if (touched && remembers(package)) {
    take_stored(incoming);
    plan_kept(state, what, now);
  }
  if (touched && !watched) out.state_changed = !(modified && same_meaning(target->content, incoming.content));
  if (stores_publications()) {
    if (created) plan.rows.new_publications.push_back(row_of(incoming));
    if (removed) plan_ended(*target);
    if (!created && !removed) {
      publication_update& update = plan.rows.changed_publications.emplace_back();
      update.old_etag = target->etag;
      update.content_changed = modified;
      update.row = row_of(modified ? incoming : *target);
      update.row.etag = incoming.etag;
      update.row.expires = incoming.deadline;
      update.row.publisher = target->publisher();
    }
  }
  std::unique_ptr<publication> added;
  if (created) {
    added = table.make_publication();
    state.publications.reserve(state.publications.size() + 1);
  }
  if (!store(out, now)) return;

  // commit
  commit_notifies(out);
  if (removed) {
    table.erase(*target);
  } else {
    publication& p = created ? *added : *target;
    p.etag = std::move(incoming.etag);
    if (created || modified) {
      p.content = std::move(incoming.content);
      p.parsed = std::move(incoming.parsed);
      p.kept = incoming.kept;
      p.renew_sender(std::move(incoming.from));
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
  if (lapsed) erase_lapsed(state, now);
  // what is told once, the next one to ask does not see
  if (touched) remember(state, watched && !package.tells_leaving ? std::move(after) : picture{});
  if (touched) recheck_by_sphere(state, now);
}

}  // namespace presence
