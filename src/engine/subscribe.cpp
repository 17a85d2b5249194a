// SUBSCRIBE: RFC 6665 section 4.2.1.
#include "../canonical.hpp"
#include "impl.hpp"

namespace presence {

bool engine::impl::admit_dialog(const subscribe_request& request, effects& out) const {
  const limits& most = settings.limits;
  const auto bad = [&](std::string_view reason) {
    refuse(out, 400, reason);
    return false;
  };
  if (request.call_id.size() > most.token_bytes || !is_call_id(request.call_id))
    return bad(request.call_id.empty() ? "Missing Call-ID" : "Bad Call-ID");
  if (request.from_tag.size() > most.token_bytes || !is_token(request.from_tag))
    return bad(request.from_tag.empty() ? "Missing From Tag" : "Bad From Tag");
  if (!request.to_tag.empty() && (request.to_tag.size() > most.token_bytes || !is_token(request.to_tag)))
    return bad("Bad To Tag");
  if (!request.cseq || *request.cseq > 0x7fffffff) return bad(request.cseq ? "Bad CSeq" : "Missing CSeq");
  return true;
}

bool engine::impl::admit_addresses(const subscribe_request& request, std::optional<uri_parts>& from, effects& out) const {
  const limits& most = settings.limits;
  const auto bad = [&](std::string_view reason) {
    refuse(out, 400, reason);
    return false;
  };
  const auto somebody = [&](std::string_view text) {
    auto uri = text.size() > most.uri_bytes ? std::nullopt : parse_uri(text);
    if (uri && !uri->headers.empty()) uri.reset();
    return uri;
  };
  from = somebody(request.from_uri);
  if (!from) return bad("Bad From");
  if (!request.to_uri.empty() && !somebody(request.to_uri)) return bad("Bad To");
  if (request.contact.empty()) return bad("Missing Contact");
  const auto target = request.contact.size() > most.uri_bytes ? std::nullopt : parse_uri(request.contact);
  if (!target || !target->headers.empty() || !(iequals(target->scheme, "sip") || iequals(target->scheme, "sips")))
    return bad("Bad Contact");
  if (!request.local_contact.empty() &&
      (request.local_contact.size() > most.uri_bytes || !parse_uri(request.local_contact)))
    return bad("Bad Local Contact");
  if (!admit_text(request.record_route, most.header_bytes, "Bad Record-Route", out) ||
      !admit_text(request.user_agent, most.header_bytes, "Bad User-Agent", out) ||
      !admit_text(request.supported, most.header_bytes, "Bad Supported", out) ||
      !admit_text(request.cookie, most.header_bytes, "Bad Cookie", out) ||
      !admit_text(request.accept.value_or(""), most.header_bytes, "Bad Accept", out))
    return false;
  std::size_t routes = 0;
  const bool readable = for_each_item(request.record_route, [&](std::string_view route) {
    const auto open = route.find('<'), close = route.find('>');
    if (++routes > most.route_entries || open == std::string_view::npos || close == std::string_view::npos || close < open)
      return false;
    const std::string_view behind = route.substr(close + 1);
    const auto uri = parse_uri(route.substr(open + 1, close - open - 1));
    return uri && uri->headers.empty() && (behind.empty() || behind.front() == ';') &&
           behind.find_first_of("<>") == std::string_view::npos;
  });
  return readable || bad("Bad Record-Route");
}

bool engine::impl::admit_accept(const subscribe_request& request, const event_package& package,
                                effects& out) const {
  if (!request.accept || package.content_types.empty()) return true;
  // what a NOTIFY carries is the package's default type
  const std::span<const std::string> produced{package.content_types.data(), 1};
  const accept_choice choice = choose_type(*request.accept, produced, settings.limits.accept_entries);
  if (choice.malformed) {
    refuse(out, 400, "Bad Accept");
    return false;
  }
  if (choice.index) return true;
  refuse(out, 406);
  return false;
}

void engine::impl::subscribe(const subscribe_request& request, instant now, effects& out) {
  if (!admit_sender(request.who, out)) return;
  const bool nameless = request.who.anonymous || (request.who.uri.empty() && iequals(request.from_uri, anonymous_watcher));
  if (!nameless) return subscribe_as(request, now, out);
  subscribe_request hidden = request;
  hidden.who = {.method = request.who.method, .anonymous = true};
  subscribe_as(hidden, now, out);
}

void engine::impl::subscribe_as(const subscribe_request& request, instant now, effects& out) {
  lookups sought{.dialog = table.look_up(request.call_id, request.from_tag)};
  if (!admit_extensions(request.require, out) ||
      !admit_content(request.content, out) || !admit_expires(request.expires, out))
    return;
  const bool in_dialog = !request.to_tag.empty();
  const bool named = !request.presentity.empty();
  const std::string_view resource = named ? request.presentity : request.resource;
  if (!in_dialog) sought.state = guess(resource, request.event);
  if (!in_dialog && !admit_resource(resource, out)) return;
  event_value event;
  const registered_package* registered = admit_event(request.event, event, &event_package::subscribable, out);
  if (in_dialog) table.prefetch(sought.dialog);
  else table.prefetch(sought.state);
  std::optional<uri_parts> from;
  if (registered == nullptr || !admit_dialog(request, out)) return;
  if (in_dialog) table.prefetch_texts(sought.dialog);
  if (!admit_addresses(request, from, out)) return;
  if (in_dialog) table.prefetch_body(sought.dialog);
  const event_package& package = registered->package;
  if (package.resource_from_contact && !in_dialog && !named && !take_resource_from_contact(request, out)) return;
  const std::string_view event_id = event.id.value_or("");
  const bool known = request.who.anonymous         ? canonical_aor(anonymous_watcher, watcher_text)
                     : request.who.uri.empty() ? canonical_aor(*from, watcher_text)
                                               : canonical_aor(request.who.uri, watcher_text);
  if (!known) return refuse(out, 400, "Bad Identity");

  // the dialog, and the subscription in it
  if (in_dialog) {
    find_dialog(request, package, event_id);
  } else {
    sought.watcher = table.look_up_watcher(watcher_text);
    sought.state = meant(sought.state, package);
    if (const event_state* state = find_state(sought.state, package)) state->current.prefetch();
  }
  subscription* sibling = nullptr;  // any usage of the same dialog
  subscription* s = nullptr;
  subscription* lapsed = nullptr;
  std::size_t usages = 0;
  table.each_usage(sought.dialog, [&](subscription& u) {
    ++usages;
    looked_at(*u.state);
    const bool same_dialog = in_dialog ? u.dialog.local_tag() == request.to_tag
                                       : u.remote_cseq == *request.cseq && u.state->resource() == resource_text &&
                                             is_same_watcher(request, u);
    if (!same_dialog) return true;
    const bool same_usage = u.state->package == &package && event_id_of(u) == event_id;
    if (u.lapsed(now)) {
      if (in_dialog && same_usage) lapsed = &u;
      return true;
    }
    if (in_dialog) sibling = &u;
    // out of dialog: the same SUBSCRIBE once more gets the same dialog, not a second one (S20)
    if (same_usage) s = &u;
    return true;
  });
  if (in_dialog) {
    if (sibling == nullptr) return refuse(out, 481);
    const std::uint32_t last = sibling->shared != nullptr ? sibling->shared->remote_cseq : sibling->remote_cseq;
    if (std::uint64_t{*request.cseq} + settings.cseq_offset <= last) return refuse(out, 500, "Stale CSeq");
    if (s == nullptr && !settings.new_usage_in_dialog) return refuse(out, 481);
    if (!is_same_watcher(request, *sibling)) return refuse(out, 403);
    resource_text = sibling->state->resource();
    if (s == nullptr) watcher_text = sibling->watcher->uri();  // a refresh does not need it
  }

  if (!in_dialog && request.expires.value() == seconds{0}) s = nullptr;  // a fetch is a fetch
  if (s == nullptr && settings.server_address.empty() && request.local_contact.empty() && host_of(resource_text).empty()) {
    log(log_level::error, "no server_address and no local contact to put into Contact");
    return refuse(out, 500);
  }

  if (in_dialog && s == nullptr) {
    sought.watcher = table.look_up_watcher(watcher_text);
    sought.state = table.look_up_state(resource_text, package.name);
    find_state(sought.state, package);  // its states are in memory together
  }

  // may he, and can he be served
  authorization answer = ask(about(package, resource_text, now), request.who);
  if (s == nullptr) table.prefetch(sought.watcher);
  const subscribe_facts facts{.in_dialog = in_dialog && s != nullptr,
                              .known = s != nullptr,
                              .asked = request.expires.value(),
                              .handling = answer.handling};
  const expiry_bounds bounds = bounds_of(package);
  const subscribe_decision decision = decide(facts, bounds);
  const auto* refused = std::get_if<subscribing::refused>(&decision);
  if (refused != nullptr && refused->status == 403) {
    refuse(out, settings.refused_status);
    if (s != nullptr && in_dialog) return end_decided(*s, end_reason::rejected, std::nullopt, now, out);
    return turn_away(package, request.who, now, out);
  }
  if (!admit_accept(request, package, out)) return;
  if (package.check_subscribe) {
    const auto checked = package.check_subscribe({resource_text, request, s != nullptr});
    if (!checked) return refuse(out, checked.error());
  } else if (!request.content.bytes.empty() && !request.content.optional) {
    return refuse(out, 415);  // no filters yet: not silently ignored (FLT-11)
  }
  if (package.select) {
    auto asked = package.select(event, request.contact, answer.view);
    if (!asked) return refuse(out, asked.error());
    answer.view = s == nullptr ? *std::move(asked) : selected(*s, request.contact, std::move(answer.view));
  }
  keep_event(event, package);
  if (refused != nullptr) {
    refuse(out, refused->status);
    if (refused->status == 423) out.answer.min_expires = static_cast<std::uint32_t>(bounds.shortest.count());
    return;
  }
  seconds lifetime{0};
  if (const auto* created = std::get_if<subscribing::created>(&decision)) lifetime = created->lifetime;
  if (const auto* refreshed = std::get_if<subscribing::refreshed>(&decision)) lifetime = refreshed->lifetime;
  if (answer.handling == sub_handling::confirm && lifetime != seconds{0} && settings.pending_limit != seconds{0}) {
    const instant given_up = (s != nullptr ? s->since : now) + settings.pending_limit;
    lifetime = std::min(lifetime, std::max(std::chrono::ceil<seconds>(given_up - now), seconds{1}));
  }

  out.answer.status = settings.subs_respond_200 ? 200 : 202;
  out.answer.reason = reason_phrase(out.answer.status);
  out.answer.expires = static_cast<std::uint32_t>(lifetime.count());
  out.answer.allow_events = event_list;
  if (s != nullptr && lifetime == seconds{0}) return unsubscribe(*s, request, std::move(answer), now, out);
  if (s != nullptr) return refresh(*s, request, std::move(answer), lifetime, now, out);

  if (lifetime != seconds{0}) {
    watcher_account* account = table.find_watcher(sought.watcher);
    event_state* state = table.find(sought.state, package);
    const limits& most = settings.limits;
    const bool proven = !request.who.uri.empty();
    const std::size_t his = account != nullptr ? account->subscriptions.of(proven) : 0;
    const std::size_t here = state != nullptr ? state->watcher_count() : 0;
    if (usages >= most.usages_per_dialog || table.linked_subscriptions() >= most.subscriptions ||
        his >= most.subscriptions_per_watcher || here >= most.subscriptions_per_resource ||
        (std::min(his, here) >= most.subscriptions_per_watcher_and_resource &&  // seldom: else there is nothing to count
         table.count(*state, *account, proven) >= most.subscriptions_per_watcher_and_resource))
      return refuse_later(out, "Too Many Subscriptions");
  }
  if (answer.handling == sub_handling::confirm && table.undecided_count() >= settings.limits.undecided)
    return refuse_later(out, "Too Many Watchers");
  begin(request, package, sought, event_id, sibling, lifetime != seconds{0} ? lapsed : nullptr, std::move(answer), lifetime,
        now, out);
}

std::string bridged_line(const subscribe_request& request) {
  const auto contact = parse_uri(request.contact);
  const auto from = parse_uri(request.from_uri);
  if (!contact || !from || contact->user.empty() || from->host.empty()) return {};
  return ("sip:" + std::string{contact->user} += '@') += from->host;
}

bool engine::impl::take_resource_from_contact(const subscribe_request& request, effects& out) {
  const std::string line = bridged_line(request);
  if (!line.empty()) return admit_resource(line, out);
  refuse(out, 400, "Bad Contact");
  return false;
}

void engine::impl::begin(const subscribe_request& request, const event_package& package, const lookups& sought,
                         std::string_view event_id, subscription* sibling, subscription* lapsed,
                         authorization answer, seconds lifetime, instant now, effects& out) {
  const standing stands = standing_of(answer.handling);
  // plan; what is made here goes again unless it is committed
  struct beginning {
    engine::impl& e;
    event_state& state;
    watcher_account& account;
    undecided* waits = nullptr;
    subscription* made = nullptr;
    bool joins = false;  ///< as the first in another package than its siblings
    ~beginning() {
      if (joins && made != nullptr) made->shared->several_states = false;
      if (made != nullptr) e.table.discard(*made);
      if (waits != nullptr) waits = e.table.find_undecided(state, account);  // a decision of this call may have ended it
      if (waits != nullptr) e.settle(*waits);
      --account.users;
      e.table.release_if_unused(account);
      e.table.release_if_idle(state);
    }
  };
  event_state& state = table.obtain(sought.state, package);
  looked_at(state);
  watcher_account* account = nullptr;
  try {
    account = &table.obtain_watcher(sought.watcher);
  } catch (...) {
    table.release_if_idle(state);
    throw;
  }
  beginning begun{*this, state, *account};
  ++account->users;  // while it is planned
  retargeting target;
  if (sibling != nullptr) {
    target.before.reserve(1);
    retarget(*sibling, request, target);
  }
  begun.made = &table.make_subscription();
  subscription& s = *begun.made;
  s.state = &state;
  s.watcher = account;
  s.dialog = make_dialog(request, state, sibling);
  s.deadline = now + lifetime;
  s.stands = stands;
  if (stands != standing::pending) s.view = table.hold_view(state, std::move(answer.view), as_pres(s));
  if (package.select && s.view > most_selections) return refuse_later(out, "Too Many Selections");
  if (lifetime != seconds{0} || stands == standing::pending) note(state, answer);
  if (sibling != nullptr) {  // one dialog, one sequence of CSeqs
    begun.joins = sibling->shared == nullptr || !sibling->shared->several_states;
    table.share_numbers(*sibling, s);
    if (begun.joins && lifetime == seconds{0}) s.shared->several_states = false;  // nothing stays of it
  }
  s.since = now;
  if (s.shared != nullptr && s.shared->latest == now) s.nth = (s.shared->nth + 1u) & 7u;
  s.remote_cseq = *request.cseq;  // the dialog's own with the commit
  undecided* const waited = table.find_undecided(state, *account);  // from before
  // who fetches while nobody decided waits, once, however many he makes (WIN-FSM-4)
  const bool fetches_undecided = lifetime == seconds{0} && stands == standing::pending;
  if (fetches_undecided) {
    if (waited == nullptr) plan_last_decision(s, now);
    else plan_undecided_row(s, waited->id, now);
  }
  if (stands == standing::pending && (!fetches_undecided || !s.answered)) begun.waits = &plan_undecided(state, *account, now);
  if (begun.waits != nullptr && !fetches_undecided)
    plan_undecided_row(s, begun.waits->id, s.deadline);
  table.reserve(state);

  const bool waits_no_more = waited != nullptr && waited->pending == 0 && stands != standing::pending;
  if (lapsed != nullptr) {  // its end is not told to the peer, for whom both are one
    const bool waited_for = lapsed->stands == standing::pending;
    if (waited_for && stands != standing::pending) plan_answered(*lapsed);
    lapsed->answered = true;
    tell_end(*lapsed, waited_for ? end_reason::giveup : end_reason::timeout);
    if (durable()) plan.rows.ended_subscriptions.push_back(key_of(*lapsed));
    plan.usage_ends = true;  // and what is reserved for it is not its successor's
  }
  lapse due = plan_lapse(state, now, &s);
  const bool over = lifetime != seconds{0} && stands != standing::pending && is_last(due.after.of(s));
  if (over) lifetime = seconds{0}, out.answer.expires = 0;
  notify& n = plan_notify(s, content_for(s, state, due.after, true), now, out);
  out.answer.dialog = s.dialog;
  if (lifetime == seconds{0}) {  // a fetch: the NOTIFY says it all
    n.id = {};
    n.state = subscription_state::terminated;
    n.reason = over ? end_reason::noresource : end_reason::timeout;
    n.expires = 0;
  } else if (durable()) {
    s.cseq_ceiling = reserved_to(n.cseq);
    plan.rows.new_subscriptions.push_back(row_of(s, state, event_id));
    if (s.shared == nullptr && !n.content) --plan.rows.new_subscriptions.back().version;
  }
  if (waits_no_more) plan_decided(state, *account);
  if (!fetches_undecided) tell_begin(s, waited, lifetime == seconds{0});
  plan_lapse_told(state, due, &s, now, out);
  plan_other_usages(s, *request.cseq, lapsed);
  if (!store(out, now)) return;

  // commit
  target.kept = true;
  if (sibling != nullptr) {
    s.shared->remote_cseq = *request.cseq;
    s.shared->latest = now;
    s.shared->nth = s.nth;
    commit_reservation(*sibling, s.shared->local_cseq);
  }
  commit_crowded_out();
  if (lifetime != seconds{0}) {
    begun.made = nullptr;
    table.link(s, state, *account, sought.dialog);
    uses(state, traced_operation::subscribe);
    if (begun.waits != nullptr) pending_began(*begun.waits);
  } else if (begun.waits != nullptr && begun.waits->pending == 0) {
    if (waited == nullptr) begun.waits->id = watcher_id(s);
    begun.waits->ended_in(s.dialog);
    table.set_waiting(*begun.waits, now + settings.waiting_limit);
  }
  if (lapsed != nullptr) commit_end(*lapsed, now);
  if (waits_no_more) table.erase(*waited);
  commit_notifies(out);
  commit_lapse(state, due, now);
}

void engine::impl::refresh(subscription& s, const subscribe_request& request, authorization answer,
                           seconds lifetime, instant now, effects& out) {
  event_state& state = *s.state;
  const reconsidered verdict = reconsider(s.stands, answer.handling);
  if (verdict.ends != end_reason::none) {
    out.answer.dialog = s.dialog;
    out.answer.expires = 0;
    return end_decided(s, verdict.ends, request.cseq, now, out);
  }
  uses(state, traced_operation::refresh);
  // what the request brings is in place while the NOTIFY is planned, and stays if that is stored
  const standing before = s.stands;
  note(state, answer);
  plan_turn(s, verdict.now, std::move(answer.view));
  if (state.package->select && s.view > most_selections && s.view != plan.turned.back().view)
    return refuse_later(out, "Too Many Selections");
  retargeting target;
  retarget(s, request, target);
  const bool approved = before == standing::pending && s.stands != standing::pending;

  lapse due = plan_lapse(state, now, &s);
  out.answer.dialog = s.dialog;
  if (approved) plan_answered(s);
  if (s.stands != standing::pending && is_last(due.after.of(s))) {
    out.answer.expires = 0;
    plan_last(s, content_for(s, state, due.after, true), out);
    plan_lapse_told(state, due, &s, now, out);
    return end_with(request, s, target, due, true, now, out);
  }
  notify& n = plan_notify(s, content_for(s, state, due.after, true), now, out);
  n.expires = static_cast<std::uint32_t>(lifetime.count());
  if (approved) {
    watcher_record record = record_of(s);
    record.event = watcher_event::approved;
    record.deadline = now + lifetime;
    tell(state, std::move(record));
  }
  if (durable()) {
    plan_other_usages(s, *request.cseq);
    plan_changed(s, n.cseq, static_cast<bool>(n.content));
    plan.rows.changed_subscriptions.back().remote_cseq = *request.cseq;
    plan.rows.changed_subscriptions.back().expires = now + lifetime;
    if (const undecided* u = s.stands == standing::pending ? table.find_undecided(state, *s.watcher) : nullptr)
      plan_undecided_row(s, u->id, now + lifetime);
  }
  plan_lapse_told(state, due, &s, now, out);
  if (!store(out, now)) return;

  target.kept = true;
  s.remote_cseq = *request.cseq;
  if (s.shared != nullptr) s.shared->remote_cseq = *request.cseq;
  table.set_deadline(s, now + lifetime);
  commit_notifies(out);
  if (due.any) commit_lapse(state, due, now);  // else the picture stays, for he watches
}

void engine::impl::unsubscribe(subscription& s, const subscribe_request& request, authorization answer,
                               instant now, effects& out) {
  event_state& state = *s.state;
  retargeting target;
  retarget(s, request, target);
  // as he stands by now: an active one may have become polite, or see less; a pending one is decided about
  const reconsidered verdict = reconsider(s.stands, answer.handling);
  const bool decided = s.stands == standing::pending && verdict.notify;
  const bool shown = verdict.ends == end_reason::none && verdict.now != standing::pending;
  if (decided) plan_answered(s);
  if (shown) plan_turn(s, verdict.now, std::move(answer.view));
  lapse due = plan_lapse(state, now, &s);
  body last;
  if (shown) last = content_for(s, state, due.after, true);
  out.answer.dialog = s.dialog;
  plan_end(s, end_reason::timeout, std::move(last), out);
  plan_lapse_told(state, due, &s, now, out);
  if (decided) tell_end(s, shown ? end_reason::timeout : verdict.ends);
  else plan_last_decision(s, now);  // after what is decided about others of his, as it is committed
  end_with(request, s, target, due, false, now, out);
}

void engine::impl::end_with(const subscribe_request& request, subscription& s, retargeting& target, lapse& due, bool as_turn,
                            instant now, effects& out) {
  event_state& state = *s.state;
  plan_other_usages(s, *request.cseq);
  if (!store(out, now)) return;
  target.kept = true;
  if (s.shared != nullptr) s.shared->remote_cseq = *request.cseq;
  commit_notifies(out);
  if (!as_turn) commit_end(s, now);
  commit_lapse(state, due, now);
  table.release_if_idle(state);
}

void engine::impl::turn_away(const event_package& package, const identity& who, instant now, effects& out) {
  tell_rejected(package, who.display_name, now);
  event_state* state = find_state(resource_text, package);
  const watcher_account* account = table.find_watcher(watcher_text);
  undecided* waits = state != nullptr && account != nullptr ? table.find_undecided(*state, *account) : nullptr;
  // nothing is decided about who proved nothing
  if (waits != nullptr && (waits->pending != 0 || who.uri.empty())) waits = nullptr;
  if (waits != nullptr) {
    plan_decided(*state, *account);
    tell_waiting(*waits, watcher_event::rejected);
  }
  if (!store(out, now)) return;
  commit_notifies(out);
  if (waits == nullptr) return;
  table.erase(*waits);
  table.release_if_idle(*state);
}

void engine::impl::end_decided(subscription& s, end_reason decided, std::optional<std::uint32_t> accepted, instant now,
                               effects& out) {
  event_state& state = *s.state;
  if (s.stands == standing::pending) plan_answered(s);
  tell_end(s, removal(s, decided));
  plan_removed(s, decided, out);
  if (accepted) plan_other_usages(s, *accepted);
  if (!store(out, now)) return;
  if (accepted && s.shared != nullptr) s.shared->remote_cseq = *accepted;
  commit_notifies(out);
  commit_end(s, now);
  table.release_if_idle(state);
}

}  // namespace presence
