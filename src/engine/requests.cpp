// The checks every request passes before its method is looked at: each refuses with one status and
// changes nothing (conformance GRM, PUB-6.0-2, SEC-DOS-1).
#include "impl.hpp"

namespace presence {

std::string blanked(std::string_view text) {
  std::string made{text};
  std::replace_if(made.begin(), made.end(), [](char c) { return has_control({&c, 1}); }, ' ');
  return made;
}

void engine::impl::log(log_level level, std::string_view line) const noexcept {
  if (!hooks.log) return;
  try {
    hooks.log(level, blanked(line));
  } catch (...) {  // a log that fails must not fail the call
  }
}

void engine::impl::note_fault(std::string_view why, log_level level) {
  ++counters.storage_faults;
  log(level, why);
}

void engine::impl::refuse(effects& out, int status, std::string_view reason) const {
  out.clear();
  out.answer.status = status;
  out.answer.reason = reason.empty() ? reason_phrase(status) : reason;
}

void engine::impl::refuse(effects& out, const refusal& no) const {
  if (no.status >= 300 && no.status <= 699) return refuse(out, no.status, no.reason);
  log(log_level::error, "a hook refused with a status that refuses nothing");
  refuse(out, 500);
}

void engine::impl::refuse_later(effects& out, std::string_view reason) const {
  const bool failed = out.storage_failed;
  refuse(out, 503, reason);
  out.storage_failed = failed;
  out.answer.retry_after = static_cast<std::uint32_t>(std::max<std::int64_t>(settings.retry_after.count(), 1));
}

bool engine::impl::admit_text(std::string_view text, std::size_t limit, std::string_view reason,
                             effects& out) const {
  if (text.empty()) return true;  // as most are
  if (text.size() <= limit && !has_control(text)) return true;
  refuse(out, 400, reason);
  return false;
}

bool engine::impl::admit_sender(const identity& who, effects& out) const {
  const auto sound = [&](std::string_view uri) {
    return admit_text(uri, settings.limits.uri_bytes, "Bad Identity", out);
  };
  if (who.also.size() > identity::most_also) {
    refuse(out, 400, "Bad Identity");
    return false;
  }
  if (!sound(who.uri) || !sound(who.method) || !sound(who.display_name) || !std::all_of(who.also.begin(), who.also.end(), sound))
    return false;
  if (settings.require_auth && who.uri.empty()) {
    refuse(out, 401);
    out.answer.challenge = true;
    return false;
  }
  return true;
}

bool engine::impl::admit_extensions(std::string_view require, effects& out) const {
  if (require.empty()) return true;
  if (!admit_text(require, settings.limits.header_bytes, "Bad Require", out)) return false;
  static constexpr std::string_view known[] = {"gruu"};
  bool malformed = false;
  std::string unknown = unknown_options(require, known, malformed);
  if (malformed) {
    refuse(out, 400, "Bad Require");
    return false;
  }
  if (unknown.empty()) return true;
  refuse(out, 420);
  out.answer.unsupported = std::move(unknown);
  return false;
}

bool engine::impl::admit_content(const content_view& content, effects& out) const {
  if (!admit_text(content.type, settings.limits.header_bytes, "Bad Content-Type", out) ||
      !admit_text(content.encoding, settings.limits.token_bytes, "Bad Content-Encoding", out))
    return false;
  if (!content.encoding.empty() && !iequals(content.encoding, "identity")) {
    refuse(out, 415);  // never inflated (SEC-XML-8)
    out.answer.accept_encoding = "identity";
    return false;
  }
  if (content.bytes.size() > settings.limits.body_bytes) {
    refuse(out, 413);
    return false;
  }
  if (content.declared_length && *content.declared_length != content.bytes.size()) {
    refuse(out, 400, "Content-Length Mismatch");
    return false;
  }
  if (!content.bytes.empty() && !is_media_type(content.type)) {
    refuse(out, 400, content.type.empty() ? "Missing Content-Type" : "Bad Content-Type");
    return false;
  }
  return true;
}

bool engine::impl::admit_resource(std::string_view resource, effects& out) {
  if (resource.size() > settings.limits.uri_bytes) {
    refuse(out, 414);
    return false;
  }
  if (!canonical_aor(resource, resource_text)) {
    refuse(out, 400, "Bad Request-URI");
    return false;
  }
  if (hooks.serves && !hooks.serves(resource_text)) {
    refuse(out, 404);
    return false;
  }
  return true;
}

bool engine::impl::admit_expires(const expires_value& expires, effects& out) const {
  if (!expires.malformed()) return true;
  refuse(out, 400, "Bad Expires");
  return false;
}

const registered_package* engine::impl::admit_event(std::string_view event, event_value& parsed,
                                                    bool event_package::*served, effects& out) const {
  const registered_package* package = nullptr;
  if (!admit_text(event, settings.limits.token_bytes, "Bad Event", out)) return nullptr;
  const auto read = parse_event(event);
  if (!read && read.error() != event_fault::missing) {
    refuse(out, 400, "Bad Event");
    return nullptr;
  }
  if (read) {
    parsed = *read;
    package = packages.match(parsed);
  }
  if (package == nullptr || !(package->package.*served)) {
    refuse(out, 489);
    out.answer.allow_events = event_list;
    return nullptr;
  }
  return package;
}

expiry_bounds engine::impl::bounds_of(const event_package& package) const noexcept {
  const bool refuses = settings.min_expires_action != 0;
  expiry_bounds bounds{.shortest = package.min_expires.value_or(settings.min_expires),
                       .longest = package.max_expires.value_or(settings.max_expires),
                       .standard = package.default_expires};
  if (!refuses) bounds.shortest = seconds{0};
  return bounds;
}

}  // namespace presence
