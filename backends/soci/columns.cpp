#include "columns.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "overlong.hpp"

namespace presence::sql {

namespace {

constexpr number last_second = 2147483647;  // Kamailio's columns are signed 32-bit numbers

// How many NOTIFYs a row that Kamailio made may lag behind: it writes them back after a while (subs_db_mode 2),
// and does not write the first one at all (1). A number that was used must not come again; a gap does no harm.
constexpr std::uint32_t kamailio_lags = 1000;

// Counters stand in such a column as the same 32 bits: above 2^31 they look negative.
number signed_column(std::uint32_t n) { return static_cast<std::int32_t>(n); }
std::uint32_t unsigned_of(number column) { return static_cast<std::uint32_t>(column); }

void put_rest(number rest, nullable<number>& to) {
  if (rest == 0) {
    to.clear();
  } else {
    to.set(rest);
  }
}

template <class T>
void put_unless(bool implied, std::string_view value, nullable<T>& to) {
  to.null = implied;
  to.value.assign(implied ? std::string_view{} : value);
}

void put_text(std::string_view value, nullable<text>& to) { put_unless(false, value, to); }

// User and host of a To or From address, for Kamailio to build `sip:user@host` from. `exact` keeps
// the address when that is not what it was.
void put_party(std::string_view address, text& user, text& domain, nullable<text>& exact) {
  const auto colon = address.find(':');
  const std::string_view scheme = address.substr(0, colon == address.npos ? 0 : colon);
  std::string_view rest = address.substr(colon == address.npos ? 0 : colon + 1);
  const auto at = rest.find('@');
  user.assign(at == rest.npos ? std::string_view{} : rest.substr(0, at));
  if (at != rest.npos) rest.remove_prefix(at + 1);
  const auto host = rest.substr(0, rest.starts_with('[') ? rest.find(']') : 0).size();
  domain.assign(rest.substr(0, rest.find_first_of(":;?>", host)));
  const bool implied = scheme == "sip" && at != address.npos && domain.size() == rest.size() && !user.empty();
  put_unless(implied, address, exact);
}

// The address, in the room of `exact`, which keeps its memory from row to row.
const text& party(const text& user, const text& domain, nullable<text>& exact) {
  if (!exact.null) return exact.value;
  exact.value.assign("sip:").append(user);
  if (!user.empty()) exact.value += '@';
  return exact.value.append(domain);
}

// `proto:host:port`, which is all Kamailio can make use of.
bool socket_shaped(std::string_view cookie) {
  constexpr std::array<std::string_view, 6> protocols{"udp:", "tcp:", "tls:", "sctp:", "ws:", "wss:"};
  if (cookie.size() > 64) return false;
  const bool known = std::any_of(protocols.begin(), protocols.end(),
                                 [&](std::string_view p) { return cookie.starts_with(p); });
  const auto last = cookie.rfind(':');
  if (!known || last == cookie.npos || last == cookie.find(':')) return false;
  std::uint16_t port = 0;
  const char* end = cookie.data() + cookie.size();
  const auto parsed = std::from_chars(cookie.data() + last + 1, end, port);
  return parsed.ec == std::errc{} && parsed.ptr == end;
}

void assign_event(const subscription_columns& c, text& to) {
  to.assign(c.event);
  if (!c.event_id.value.empty()) to.append(";id=").append(c.event_id.value);
}

// The type Kamailio sends for a package, whatever the publisher's was (K-NOT-04).
std::string_view usual_type(std::string_view event) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> types{{
      {"presence", "application/pidf+xml"},
      {"presence.winfo", "application/watcherinfo+xml"},
      {"dialog", "application/dialog-info+xml"},
      {"dialog;sla", "application/dialog-info+xml"},
      {"message-summary", "application/simple-message-summary"},
      {"xcap-diff", "application/xcap-diff+xml"},
      {"as-feature-event", "application/x-as-feature-event+xml"},
  }};
  for (const auto& [name, type] : types) {
    if (name == event) return type;
  }
  return {};
}

// Constant for the publication's life, since no update writes it, and unique: it comes from the
// publication's id and its first key.
text ruid_of(const publication_row& row) {
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a
  const auto absorb = [&](std::string_view part) {
    for (const char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
    hash = (hash ^ 0xffU) * 1099511628211U;
  };
  absorb(row.resource);
  absorb(row.event);
  absorb(row.etag);
  std::array<char, 40> digits{};
  text made = "pres-";
  made.append(digits.data(), std::to_chars(digits.begin(), digits.end(), row.id, 16).ptr);
  made += '-';
  return made.append(digits.data(), std::to_chars(digits.begin(), digits.end(), hash, 16).ptr);
}

// The key columns with their whole values.
void whole_key(std::string_view resource, std::string_view event, std::string_view etag,
               publication_columns& c) {
  put(resource, c.username, c.domain);
  c.event.assign(event);
  c.etag.assign(etag);
}
void whole_key(const subscription_row& r, subscription_columns& c) {
  c.callid.assign(r.dialog.call_id());
  c.to_tag.assign(r.dialog.local_tag());
  c.from_tag.assign(r.dialog.remote_tag());
  c.event = r.event;
  put_text(r.event_id, c.event_id);
}

}  // namespace

user_domain split(std::string_view address) {
  if (address.starts_with("sip:")) {
    const std::string_view rest = address.substr(4);
    const auto at = rest.find('@');
    if (at != rest.npos && at > 0) return {.user = rest.substr(0, at), .domain = rest.substr(at + 1)};
    if (at == rest.npos && rest.find(':') == rest.npos) return {.domain = rest};
  }
  const auto colon = address.find(':');
  return {.domain = address, .escaped = colon == address.npos || colon == 0};
}

void put(std::string_view address, text& user, text& domain) {
  const user_domain parts = split(address);
  user.assign(parts.user);
  domain.assign(parts.escaped ? ":" : "").append(parts.domain);
}

text join(std::string_view user, std::string_view domain) {
  text made;
  if (!user.empty()) {
    made.reserve(user.size() + domain.size() + 5);
    return made.append("sip:").append(user).append("@").append(domain);
  }
  if (domain.starts_with(':')) return text{domain.substr(1)};
  if (domain.find(':') == domain.npos) made = "sip:";
  return made.append(domain);
}

split_time expiry_columns(instant t) {
  if (t == never) return {-1, 0};
  const number ms = t.time_since_epoch().count();
  const number second = std::chrono::ceil<seconds>(t).time_since_epoch().count();
  const number column = std::min(second, last_second);
  return {column, ms - column * 1000};
}

split_time moment_columns(instant t) {
  const number ms = t.time_since_epoch().count();
  const number second = std::chrono::floor<seconds>(t).time_since_epoch().count();
  const number column = std::min(second, last_second);
  return {column, ms - column * 1000};
}

// Whatever stands there, calculating with it does not overflow.
instant moment_of(number column, const nullable<number>& rest) {
  constexpr number most = never.time_since_epoch().count();
  const auto bounded = [](number n, number bound) { return std::clamp(n, -bound, bound); };
  return instant{milliseconds{bounded(bounded(column, most / 1000) * 1000 + bounded(rest.null ? 0 : rest.value, most), most)}};
}

instant expiry_of(number column, const nullable<number>& rest) {
  return column == -1 && rest.null ? never : moment_of(column, rest);
}

void to_columns(const publication_row& r, publication_columns& c) {
  whole_key(r.resource, r.event, r.etag, c);
  const auto expires = expiry_columns(r.expires);
  c.expires = expires.column;
  put_rest(expires.rest, c.x_expires_ms);
  const auto received = moment_columns(r.since);
  c.received_time = received.column;
  put_rest(received.rest, c.x_received_ms);
  put_rest(static_cast<number>(r.nth), c.x_nth);
  put_unless(false, r.content.bytes(), c.body);
  put_text(r.content.content_type(), c.x_content_type);
  c.sender = r.sender;
  put_unless(r.publisher.empty(), r.publisher, c.x_publisher);
  c.x_id.set(static_cast<number>(r.id));
  fold(c);
}

void birth_columns(const publication_row& r, publication_columns& c) { c.ruid.set(ruid_of(r)); }

void to_columns(const subscription_row& r, subscription_columns& c) {
  const dialog_fields d = r.dialog.fields();
  whole_key(r, c);
  c.presentity_uri = r.resource;
  put(d.watcher, c.watcher_username, c.watcher_domain);
  put_party(d.local_uri, c.to_user, c.to_domain, c.x_local_uri);
  put_party(d.remote_uri, c.from_user, c.from_domain, c.x_remote_uri);
  c.local_cseq = signed_column(r.local_cseq - 1);
  c.remote_cseq = signed_column(r.remote_cseq);
  c.contact.assign(d.remote_target);
  put_text(d.route_set, c.record_route);
  const auto expires = expiry_columns(r.expires);
  c.expires = expires.column;
  put_rest(expires.rest, c.x_expires_ms);
  c.status = r.state == subscription_state::active ? 1 : r.state == subscription_state::pending ? 2 : 3;
  put_text(r.polite_block ? "polite-block" : "", c.reason);
  c.version = signed_column(r.version - 1);
  const bool is_socket = socket_shaped(d.cookie);
  c.socket_info.assign(is_socket ? d.cookie : std::string_view{});
  put_unless(is_socket || d.cookie.empty(), d.cookie, c.x_cookie);
  c.local_contact.assign(d.local_contact);
  put_text(d.user_agent, c.user_agent);
  c.x_since_ms.set(r.since.time_since_epoch().count());
  text implied;
  assign_event(c, implied);
  put_unless(d.event == implied, d.event, c.x_event);
  put_unless(d.headers.empty(), d.headers, c.x_headers);
  put_unless(d.display_name.empty(), d.display_name, c.x_display_name);
  put_unless(d.also.empty(), d.also, c.x_also);
  put_unless(d.owner.empty(), d.owner, c.x_owner);
  c.x_approved.set(r.approved ? 1 : 0);
  if (r.other_usages) c.x_other_usages.set((*r.other_usages ? 1 : 0) + 2 * r.nth);
  else c.x_other_usages.clear();
  c.x_secure.set(d.secure ? 1 : 0);
  c.x_proven.set(d.proven ? 1 : 0);
  fold(c);
}

void number_columns(const number_reservation& n, subscription_columns& c) {
  c.local_cseq = signed_column(n.local_cseq - 1);
  c.version = signed_column(n.version - 1);
}

void to_columns(const watcher_row& r, watcher_columns& c) {
  c.presentity_uri = r.resource;
  put(r.watcher, c.watcher_username, c.watcher_domain);
  c.event = r.event;
  c.status = static_cast<number>(r.status);
  put_text(r.reason, c.reason);
  const auto inserted = moment_columns(r.since);
  c.inserted_time = inserted.column;
  put_rest(inserted.rest, c.x_inserted_ms);
  fold(c);
}

void to_columns(const state_stamp& s, state_columns& c) {
  put(s.state.resource, c.username, c.domain);
  c.event = s.state.event;
  c.stamp = static_cast<number>(s.next);
  c.turns_ms.clear();
  if (s.turns) c.turns_ms.set(s.turns->time_since_epoch().count());
  fold(c);
}

void filter_columns(const row_filter& want, publication_columns& c) {
  whole_key(want.resource, want.event, {}, c);
  fit_key(c);
}
void filter_columns(const row_filter& want, subscription_columns& c) {
  c.presentity_uri.assign(want.resource);
  c.event.assign(want.event);
  c.callid.assign(want.call_id);
  fit("callid", c.callid);
  fit("presentity_uri", c.presentity_uri);
  fit("event", c.event);
}
void filter_columns(const row_filter& want, watcher_columns& c) {
  c.presentity_uri.assign(want.resource);
  c.event.assign(want.event);
  fit_key(c);
}

void key_columns(std::string_view resource, std::string_view event, std::string_view etag,
                 publication_columns& c) {
  whole_key(resource, event, etag, c);
  fit_key(c);
}

void key_columns(std::string_view resource, std::string_view event, state_columns& c) {
  put(resource, c.username, c.domain);
  c.event.assign(event);
  fit_key(c);
}

void key_columns(const subscription_key& k, subscription_columns& c) {
  c.callid = k.call_id;
  c.to_tag = k.local_tag;
  c.from_tag = k.remote_tag;
  c.event = k.event;
  put_text(k.event_id, c.event_id);
  fit_key(c);
}

void key_columns(const subscription_row& r, subscription_columns& c) {
  whole_key(r, c);
  fit_key(c);
}

void key_columns(const watcher_key& k, watcher_columns& c) {
  c.presentity_uri = k.resource;
  put(k.watcher, c.watcher_username, c.watcher_domain);
  c.event = k.event;
  fit_key(c);
}

state_name state_of(publication_columns& c) {
  unfold(c);
  return {join(c.username, c.domain), c.event};
}
state_name state_of(subscription_columns& c) {
  unfold(c);
  return {c.presentity_uri, c.event};
}
state_name state_of(watcher_columns& c) {
  unfold(c);
  return {c.presentity_uri, c.event};
}

state_name state_of(state_columns& c) {
  unfold(c);
  return {join(c.username, c.domain), c.event};
}

publication_row to_row(publication_columns& c) {
  unfold(c);
  publication_row r;
  r.resource = join(c.username, c.domain);
  r.event = c.event;
  r.etag = c.etag;
  r.id = static_cast<std::uint64_t>(c.x_id.null ? c.id : c.x_id.value);
  const std::string_view type =
      c.x_content_type.null ? usual_type(c.event) : std::string_view{c.x_content_type.value};
  const bool none = c.body.value.empty() && (c.x_content_type.null || type.empty());
  if (!none) r.content = body{text{type}, c.body.value};
  r.sender = c.sender;
  r.publisher = c.x_publisher.value;
  r.since = moment_of(c.received_time, c.x_received_ms);
  r.nth = c.x_nth.null ? 0 : static_cast<std::uint64_t>(std::max<number>(c.x_nth.value, 0));
  r.expires = expiry_of(c.expires, c.x_expires_ms);
  return r;
}

subscription_row to_row(subscription_columns& c) {
  unfold(c);
  subscription_row r;
  r.resource = c.presentity_uri;
  r.event = c.event;
  r.event_id = c.event_id.value;
  const text watcher = join(c.watcher_username, c.watcher_domain);
  if (c.x_event.null) assign_event(c, c.x_event.value);
  const bool secure = c.x_secure.null ? c.contact.starts_with("sips:") || c.socket_info.starts_with("tls:")
                                      : c.x_secure.value != 0;
  r.dialog =
      dialog{dialog_fields{.call_id = c.callid,
                           .local_tag = c.to_tag,
                           .remote_tag = c.from_tag,
                           .local_uri = party(c.to_user, c.to_domain, c.x_local_uri),
                           .remote_uri = party(c.from_user, c.from_domain, c.x_remote_uri),
                           .remote_target = c.contact,
                           .route_set = c.record_route.value,
                           .local_contact = c.local_contact,
                           .event = c.x_event.value,
                           .watcher = watcher,
                           .cookie = c.x_cookie.null ? std::string_view{c.socket_info} : c.x_cookie.value,
                           .user_agent = c.user_agent.value,
                           .headers = c.x_headers.value,
                           .display_name = c.x_display_name.value,
                           .also = c.x_also.value,
                           .owner = c.x_owner.value,
                           .secure = secure,
                           .proven = c.x_proven.null || c.x_proven.value != 0}};
  r.state = c.status == 1   ? subscription_state::active
            : c.status == 3 ? subscription_state::terminated
                            : subscription_state::pending;
  r.polite_block = c.reason.value == "polite-block";
  r.approved = !c.x_approved.null && c.x_approved.value != 0;
  if (!c.x_other_usages.null) {
    r.other_usages = c.x_other_usages.value % 2 != 0;
    r.nth = static_cast<std::uint8_t>(c.x_other_usages.value / 2 & 7);
  }
  r.local_cseq = unsigned_of(c.local_cseq) + 1 + (c.x_since_ms.null ? kamailio_lags : 0);
  r.remote_cseq = unsigned_of(c.remote_cseq);
  r.version = unsigned_of(c.version) + 1;
  r.since = moment_of(0, c.x_since_ms);
  r.expires = expiry_of(c.expires, c.x_expires_ms);
  return r;
}

watcher_row to_row(watcher_columns& c) {
  unfold(c);
  watcher_row r;
  r.resource = c.presentity_uri;
  r.event = c.event;
  r.watcher = join(c.watcher_username, c.watcher_domain);
  r.status = c.status >= 1 && c.status <= 4 ? static_cast<watcher_status>(c.status) : watcher_status::pending;
  r.reason = c.reason.value;
  r.since = moment_of(c.inserted_time, c.x_inserted_ms);
  return r;
}

}  // namespace presence::sql
