// The dialog of a subscription: what it is made of, who its peer is, where its NOTIFYs go, and the rows of its usages.
#include "../canonical.hpp"
#include "impl.hpp"

namespace presence {

void engine::impl::keep_event(const event_value& event, const event_package& package) {
  event_text = package.name;
  if (event.id) (event_text += ";id=") += *event.id;
  for (const std::string& name : package.event_parameters) {
    const auto value = event.value_of(name);
    if (!value) continue;
    (event_text += ';') += name;
    if (value->empty()) continue;
    const bool quotes = !is_token(*value);
    event_text += quotes ? "=\"" : "=";
    for (const char c : *value) {
      if (c == '"' || c == '\\') event_text += '\\';
      event_text += c;
    }
    if (quotes) event_text += '"';
  }
}

dialog engine::impl::make_dialog(const subscribe_request& request, const event_state& state, const subscription* sibling) {
  std::string made;
  std::string_view contact = settings.server_address.empty() ? request.local_contact : settings.server_address;
  if (contact.empty()) contact = (made = "sip:") += host_of(state.resource());
  if (sibling != nullptr) {
    dialog_fields fields = sibling->dialog.fields();  // its target is already the request's
    fields.event = event_text;
    fields.headers = state.package->notify_headers;
    return dialog{fields};
  }
  std::string renamed;
  std::string_view to = request.to_uri;
  if (to.empty() && iequals(request.resource.substr(0, 5), "pres:"))
    to = renamed = entity_for(state.resource(), request.resource);
  if (to.empty()) to = state.resource();
  tag_text = settings.to_tag_pref;
  tag_text.resize(tag_text.size() + 18);
  random_token(random, std::span<char>{tag_text}.last(18));
  return dialog{{.call_id = request.call_id,
                 .local_tag = tag_text,
                 .remote_tag = request.from_tag,
                 .local_uri = to,
                 .remote_uri = request.from_uri,
                 .remote_target = request.contact,
                 .route_set = request.record_route,
                 .local_contact = contact,
                 .event = event_text,
                 .watcher = watcher_text,
                 .cookie = request.cookie,
                 .user_agent = request.user_agent,
                 .headers = state.package->notify_headers,
                 .display_name = request.who.display_name,
                 .also = further_addresses(request.who),
                 .owner = settings.owner_id,
                 .secure = request.secure,
                 .proven = !request.who.uri.empty()}};
}

bool engine::impl::is_same_watcher(const subscribe_request& request, const subscription& s) const {
  const std::string_view watcher = s.dialog.watcher();
  if (request.who.anonymous) return watcher == anonymous_watcher;
  if (!request.who.uri.empty() && (watcher_text == watcher || request.who.proves(watcher))) return true;
  if (s.dialog.proven()) return false;
  if (request.who.uri.empty()) return watcher_text == watcher;  // From names him
  std::string from;
  return canonical_aor(request.from_uri, from) && from == watcher;
}

void engine::impl::retarget(subscription& s, const subscribe_request& request, retargeting& trial) {
  const dialog_fields fields = s.dialog.fields();
  const std::string_view local_contact =
      settings.server_address.empty() && !request.local_contact.empty() ? request.local_contact : fields.local_contact;
  const std::string_view display_name = request.who.display_name.empty() ? fields.display_name : request.who.display_name;
  const std::string_view also = further_addresses(request.who);
  if (fields.remote_target == request.contact && fields.local_contact == local_contact && fields.display_name == display_name &&
      fields.also == also && fields.owner == settings.owner_id &&
      fields.cookie == request.cookie && fields.user_agent == request.user_agent && fields.secure == request.secure)
    return;  // the same as before: the block is shared on
  const auto renew = [&](subscription& u) {
    dialog_fields renewed = u.dialog.fields();  // the route set stays (RFC 3261 section 12.2)
    renewed.remote_target = request.contact;
    renewed.local_contact = local_contact;
    renewed.cookie = request.cookie;
    renewed.user_agent = request.user_agent;
    renewed.display_name = display_name;
    renewed.also = also;
    renewed.owner = settings.owner_id;
    renewed.secure = request.secure;
    trial.before.emplace_back(&u, u.dialog);
    u.dialog = dialog{renewed};
    return true;
  };
  if (s.shared == nullptr) {
    renew(s);
  } else {
    each_usage(s, renew);  // Call-ID and tags stay, so the order of the table does
  }
}

std::string_view engine::impl::further_addresses(const identity& who) {
  further_text.clear();
  for (const std::string_view one : who.also) {
    if (!canonical_aor(one, canonical_text)) continue;  // proves nothing
    if (!further_text.empty()) further_text += ' ';
    further_text += canonical_text;
  }
  return further_text;
}

identity identity_of(std::string_view watcher, bool proven, std::string_view also) {
  if (!proven) return {.anonymous = watcher == anonymous_watcher};
  identity who{.uri = watcher, .method = "subscription"};
  while (!also.empty()) {
    who.also.push_back(also.substr(0, also.find(' ')));
    also.remove_prefix(std::min(who.also.back().size() + 1, also.size()));
  }
  return who;
}

subscription_key key_of(const subscription& s) {
  return {std::string{s.dialog.call_id()}, std::string{s.dialog.local_tag()}, std::string{s.dialog.remote_tag()},
          s.state->package->name, std::string{event_id_of(s)}};
}

subscription_row engine::impl::row_of(const subscription& s, const event_state& state,
                                      std::string_view event_id) const {
  const std::uint32_t used = s.shared != nullptr ? s.shared->local_cseq : s.local_cseq;
  return {.resource = std::string{state.resource()},
          .event = state.package->name,
          .event_id = std::string{event_id},
          .dialog = s.dialog,
          .state = s.stands == standing::pending ? subscription_state::pending : subscription_state::active,
          .polite_block = s.stands == standing::polite,
          .approved = s.approved,
          .other_usages = s.shared != nullptr && s.shared->several_states,
          .nth = s.nth,
          .local_cseq = std::max(s.cseq_ceiling, used),
          .remote_cseq = s.shared != nullptr ? std::max(s.shared->remote_cseq, s.remote_cseq) : s.remote_cseq,
          // no more documents than NOTIFYs can be sent before the next write
          .version = version_after(s) + (std::max(s.cseq_ceiling, used) - used),
          .since = s.since,
          .expires = s.deadline};
}

void engine::impl::plan_other_usages(const subscription& s, std::uint32_t remote_cseq, const subscription* but) {
  if (s.shared == nullptr || !durable()) return;
  reserve_unserved(s, s.shared->local_cseq);
  each_usage(s, [&](const subscription& u) {
    if (&u == &s || &u == but) return true;
    plan_changed(u, s.shared->local_cseq);
    plan.rows.changed_subscriptions.back().remote_cseq = remote_cseq;
    return true;
  });
}

}  // namespace presence
