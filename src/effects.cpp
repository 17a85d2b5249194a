#include <presence/effects.hpp>

#include <charconv>

#include <presence/event_package.hpp>

namespace presence {
namespace {

void add(std::string& line, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  line += ' ';
  line += name;
  line += '=';
  line += value;
}

void add(std::string& line, std::string_view name, const std::optional<std::uint32_t>& value) {
  if (value) add(line, name, std::to_string(*value));
}

}  // namespace

std::string_view to_string(subscription_state state) noexcept {
  switch (state) {
    case subscription_state::active: return "active";
    case subscription_state::pending: return "pending";
    case subscription_state::terminated: return "terminated";
  }
  return {};
}

std::string_view to_string(end_reason reason) noexcept {
  switch (reason) {
    case end_reason::none: return {};
    case end_reason::deactivated: return "deactivated";
    case end_reason::probation: return "probation";
    case end_reason::rejected: return "rejected";
    case end_reason::timeout: return "timeout";
    case end_reason::giveup: return "giveup";
    case end_reason::noresource: return "noresource";
    case end_reason::invariant: return "invariant";
  }
  return {};
}

std::string_view to_string(publish_operation operation) noexcept {
  switch (operation) {
    case publish_operation::none: return "none";
    case publish_operation::created: return "created";
    case publish_operation::refreshed: return "refreshed";
    case publish_operation::modified: return "modified";
    case publish_operation::removed: return "removed";
  }
  return {};
}

std::string_view to_string(sub_handling handling) noexcept {
  switch (handling) {  // as RFC 5025 spells them
    case sub_handling::block: return "block";
    case sub_handling::confirm: return "confirm";
    case sub_handling::polite_block: return "polite-block";
    case sub_handling::allow: return "allow";
  }
  return {};
}

notify::pieces notify::body_pieces() const noexcept {
  pieces p;
  const auto at = content.version_at();
  p.head = content.bytes().substr(0, at.value_or(content.bytes().size()));
  if (!at) return p;
  p.tail = content.bytes().substr(*at);
  p.size = static_cast<std::uint8_t>(std::to_chars(p.digits, p.digits + sizeof p.digits, version).ptr - p.digits);
  return p;
}

std::string notify::body_bytes() const {
  const pieces p = body_pieces();
  std::string all;
  all.reserve(p.total());
  return all.append(p.head).append(p.version()).append(p.tail);
}

std::string notify::subscription_state_value() const {
  std::string value{to_string(state)};
  if (state != subscription_state::terminated) {
    value += ";expires=";
    value += std::to_string(expires);
    return value;
  }
  if (reason != end_reason::none) {
    value += ";reason=";
    value += to_string(reason);
  }
  // EVT-4.2.2-5: with any other reason it has no meaning
  if (retry_after != 0 && (reason == end_reason::probation || reason == end_reason::giveup)) {
    value += ";retry-after=";
    value += std::to_string(retry_after);
  }
  return value;
}

std::string to_string(const reply& r) {
  if (r.status == 0) return "no reply";
  std::string line = std::to_string(r.status);
  line += ' ';
  line += r.reason.empty() ? reason_phrase(r.status) : r.reason;
  add(line, "Expires", r.expires);
  add(line, "Min-Expires", r.min_expires);
  add(line, "Retry-After", r.retry_after);
  add(line, "SIP-ETag", r.etag);
  add(line, "Allow-Events", r.allow_events);
  add(line, "Allow", r.allow);
  add(line, "Accept", r.accept);
  add(line, "Accept-Encoding", r.accept_encoding);
  add(line, "Unsupported", r.unsupported);
  add(line, "Require", r.require);
  if (r.challenge) line += " challenge";
  return line;
}

std::string to_string(const notify& n) {
  std::string line = "NOTIFY ";
  line += n.dialog.remote_target();
  line += " CSeq ";
  line += std::to_string(n.cseq);
  line += ' ';
  if (const auto event = n.dialog.event(); !event.empty()) {
    line += event;
    line += ' ';
  }
  line += n.subscription_state_value();
  if (n.content) {
    line += " [";
    line += n.content.content_type();
    line += ", ";
    line += std::to_string(n.content.bytes().size());
    line += " bytes]";
  }
  return line;
}

std::string to_string(const effects& e) {
  std::string text;
  const auto tell = [&text](std::string_view line) {
    text += line;
    text += '\n';
  };
  if (e.answer.status != 0) tell(to_string(e.answer));
  for (const auto& n : e.notifies) tell(to_string(n));
  if (e.storage_failed) tell("storage failed");
  if (e.more) tell("more is due");
  return text;
}

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 100: return "Trying";
    case 200: return "OK";
    case 202: return "Accepted";
    case 204: return "No Notification";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Moved Temporarily";
    case 305: return "Use Proxy";
    case 380: return "Alternative Service";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 410: return "Gone";
    case 412: return "Conditional Request Failed";
    case 413: return "Request Entity Too Large";
    case 414: return "Request-URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Unsupported URI Scheme";
    case 417: return "Unknown Resource-Priority";
    case 420: return "Bad Extension";
    case 421: return "Extension Required";
    case 422: return "Session Interval Too Small";
    case 423: return "Interval Too Brief";
    case 428: return "Use Identity Header";
    case 429: return "Provide Referrer Identity";
    case 430: return "Flow Failed";
    case 433: return "Anonymity Disallowed";
    case 436: return "Bad Identity Info";
    case 437: return "Unsupported Credential";
    case 438: return "Invalid Identity Header";
    case 439: return "First Hop Lacks Outbound Support";
    case 440: return "Max-Breadth Exceeded";
    case 469: return "Bad Info Package";
    case 470: return "Consent Needed";
    case 480: return "Temporarily Unavailable";
    case 481: return "Subscription Does Not Exist";
    case 482: return "Loop Detected";
    case 483: return "Too Many Hops";
    case 484: return "Address Incomplete";
    case 485: return "Ambiguous";
    case 486: return "Busy Here";
    case 487: return "Request Terminated";
    case 488: return "Not Acceptable Here";
    case 489: return "Bad Event";
    case 491: return "Request Pending";
    case 493: return "Undecipherable";
    case 494: return "Security Agreement Required";
    case 500: return "Server Internal Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Server Time-out";
    case 505: return "Version Not Supported";
    case 513: return "Message Too Large";
    case 555: return "Push Notification Service Not Supported";
    case 580: return "Precondition Failure";
    case 600: return "Busy Everywhere";
    case 603: return "Decline";
    case 604: return "Does Not Exist Anywhere";
    case 606: return "Not Acceptable";
    case 607: return "Unwanted";
    case 608: return "Rejected";
    default: break;
  }
  switch (status / 100) {  // the classes of RFC 3261 section 7.2
    case 1: return "Provisional";
    case 2: return "Success";
    case 3: return "Redirection";
    case 4: return "Client Error";
    case 5: return "Server Error";
    case 6: return "Global Failure";
    default: return {};
  }
}

}  // namespace presence
