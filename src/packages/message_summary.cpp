// message-summary (RFC 3842): the lamp that says messages are waiting. Documents are read leniently
// and always written the same way.
#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <presence/grammar.hpp>
#include <presence/packages.hpp>
#include <presence/uri.hpp>

#include "digest.hpp"

namespace presence {

namespace {

constexpr std::string_view media_type = "application/simple-message-summary";
constexpr std::size_t most_bytes = 16384, most_lines = 64, most_line_bytes = 512;  // MWI-PARSE-2
// of classes that are added up, beside their numbers
constexpr std::size_t most_names = most_bytes - most_line_bytes - most_lines * 64;
constexpr std::uint32_t most_messages = std::numeric_limits<std::uint32_t>::max();

struct counts {
  std::uint32_t fresh = 0, old = 0;
  void add(const counts& more) noexcept {
    fresh += std::min(more.fresh, most_messages - fresh);
    old += std::min(more.old, most_messages - old);
  }
};

/// A summary line: the messages of one context class.
struct message_class {
  std::string name;
  counts all;
  std::optional<counts> urgent = {};
};

struct summary final : parsed_document {
  bool waiting = false;
  std::string account;
  std::vector<message_class> classes;
  bool has_news = true;  ///< headers that the document it replaced did not have
  std::string headers;  ///< of single messages: lines ended by CRLF, groups parted by an empty one
};

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

class reader {
 public:
  reader(std::string_view bytes, bool caps) : left_{bytes}, caps_{caps} {}

  /// Empty when the document is sound.
  std::string_view run(summary& out) {
    std::string_view name, value;
    if (!next() || !field(name, value) || !iequals(name, "Messages-Waiting")) return "No Messages-Waiting";
    if (!iequals(value, "yes") && !iequals(value, "no")) return "Messages-Waiting Is Neither yes Nor no";
    out.waiting = iequals(value, "yes");
    while (next()) {
      if (line_.empty()) return headers(out);
      if (!field(name, value)) return "Bad Summary Line";
      if (iequals(name, "Message-Account")) {
        if (!out.account.empty() || !out.classes.empty() || !parse_uri(value)) return "Bad Message-Account";
        out.account = value;
      } else if (out.classes.size() == most_lines) {
        return "Too Many Summary Lines";
      } else if (!counted(name, value, out)) {
        return "Bad Summary Line";
      }
    }
    return fault_;
  }

 private:
  /// The next line, what is folded put together. Ends are CRLF or LF.
  bool next() {
    if (left_.empty() || !fault_.empty()) return false;
    line_.clear();
    bool goes_on = false;
    do {
      const auto end = left_.find('\n');
      std::string_view one = left_.substr(0, end);
      left_.remove_prefix(end == std::string_view::npos ? left_.size() : end + 1);
      if (one.ends_with('\r')) one.remove_suffix(1);
      if (line_.size() + one.size() > most_line_bytes || (goes_on && line_.size() == most_line_bytes)) {
        fault_ = "Line Too Long";
        return false;
      }
      if (goes_on) line_ += ' ';
      line_ += goes_on ? trimmed(one) : one;
      goes_on = !line_.empty() && !left_.empty() && (left_.front() == ' ' || left_.front() == '\t');
    } while (goes_on);
    for (char& c : line_) {
      if (c == '\t') c = ' ';
    }
    if (!has_control(line_)) return true;
    fault_ = "Control Character";
    return false;
  }

  /// name HCOLON value of the present line.
  bool field(std::string_view& name, std::string_view& value) const {
    const std::string_view line{line_};
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    name = trimmed(line.substr(0, colon));
    value = trimmed(line.substr(colon + 1));
    return is_token(name);
  }

  bool number(std::string_view& text, std::uint32_t& out) const {
    text = trimmed(text);
    std::uint64_t value = 0;
    std::size_t digits = 0;
    for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
      value =
          std::min<std::uint64_t>(value * 10 + static_cast<std::uint64_t>(text[digits] - '0'), std::uint64_t{most_messages} + 1);
    }
    text = trimmed(text.substr(digits));
    if (digits == 0 || (value > most_messages && !caps_)) return false;
    out = static_cast<std::uint32_t>(std::min<std::uint64_t>(value, most_messages));
    return true;
  }
  static bool skip(std::string_view& text, char c) {
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
  }
  bool pair(std::string_view& text, counts& out) const {
    return number(text, out.fresh) && skip(text, '/') && number(text, out.old);
  }

  bool counted(std::string_view name, std::string_view value, summary& out) const {
    message_class made{std::string{name}, {}};
    if (!pair(value, made.all)) return false;
    if (skip(value, '(')) {
      if (!pair(value, made.urgent.emplace()) || !skip(value, ')')) return false;
    }
    if (!trimmed(value).empty()) return false;
    const auto same = [&](const message_class& c) { return iequals(c.name, name); };
    if (std::any_of(out.classes.begin(), out.classes.end(), same)) return false;
    out.classes.push_back(std::move(made));
    return true;
  }

  std::string_view headers(summary& out) {
    std::string_view name, value;
    while (next()) {
      if (line_.empty()) {
        if (!out.headers.empty() && !out.headers.ends_with("\r\n\r\n")) out.headers += "\r\n";
        continue;
      }
      if (!field(name, value)) return "Bad Message Header";
      ((out.headers += name) += ": ") += value;
      out.headers += "\r\n";
    }
    if (out.headers.ends_with("\r\n\r\n")) out.headers.resize(out.headers.size() - 2);
    return fault_;
  }

  std::string_view left_;
  bool caps_;
  std::string line_;
  std::string_view fault_;
};

body written(const summary& s, std::string_view account, bool with_headers) {
  std::string out{"Messages-Waiting: "};
  digest meaning;
  out += s.waiting ? "yes\r\n" : "no\r\n";
  meaning.add(std::uint64_t{s.waiting});
  if (!account.empty()) ((out += "Message-Account: ") += account) += "\r\n";
  meaning.add(account);
  const auto add = [&](const counts& c) {
    ((out += std::to_string(c.fresh)) += '/') += std::to_string(c.old);
    meaning.add(std::uint64_t{c.fresh} << 32 | c.old);
  };
  for (const message_class& c : s.classes) {
    (out += c.name) += ": ";
    meaning.add(c.name);
    add(c.all);
    if (c.urgent) {
      out += " (";
      add(*c.urgent);
      out += ')';
    }
    meaning.add(std::uint64_t{c.urgent.has_value()});
    out += "\r\n";
  }
  if (with_headers && !s.headers.empty()) {
    (out += "\r\n") += s.headers;
    meaning.add(s.headers);
  }
  return body{media_type, out, meaning.value()};
}

/// The messages of several accounts together (V08, MWI-AGG-1); as many classes as a summary may have, the first ones.
void add_up(const std::vector<const summary*>& all, summary& total) {
  bool one_account = true;
  std::size_t names = 0;
  for (const summary* s : all) {
    total.waiting = total.waiting || s->waiting;
    one_account = one_account && s->account == all.front()->account;
    for (const message_class& c : s->classes) {
      auto known =
          std::find_if(total.classes.begin(), total.classes.end(), [&](const auto& k) { return iequals(k.name, c.name); });
      if (known == total.classes.end()) {
        if (total.classes.size() == most_lines || names + c.name.size() > most_names) continue;
        names += c.name.size();
        known = total.classes.insert(known, {c.name, {}, {}});
      }
      known->all.add(c.all);
      if (c.urgent) {
        if (!known->urgent) known->urgent.emplace();
        known->urgent->add(*c.urgent);
      }
    }
  }
  if (one_account) total.account = all.front()->account;
}

std::string account_of(const summary& s, std::string_view resource, const message_summary_options& how) {
  if (!s.account.empty() || !how.account) return s.account;
  std::string behind = how.account(resource);
  return behind.size() <= most_line_bytes && parse_uri(behind) ? behind : std::string{};
}

body aggregate(std::string_view resource, std::span<const published> publications, const message_summary_options& how) {
  std::vector<const summary*> all;
  const published* newest = nullptr;
  for (const published& p : publications) {
    const auto* s = dynamic_cast<const summary*>(p.parsed);
    if (p.leaving || s == nullptr) continue;
    all.push_back(s);
    if (newest == nullptr || p.arrival >= newest->arrival) newest = &p;
  }
  if (newest == nullptr) return how.empty_when_unknown ? body{} : written({}, account_of({}, resource, how), false);
  const auto& latest = *static_cast<const summary*>(newest->parsed);
  const bool with_headers = how.message_headers && newest->arriving && latest.has_news;
  if (how.several == message_summary_options::combining::latest || all.size() == 1)
    return written(latest, account_of(latest, resource, how), with_headers);
  summary total;
  add_up(all, total);
  total.headers = latest.headers;
  return written(total, account_of(total, resource, how), with_headers);
}

/// What everybody but the owner sees.
struct without_headers : view {
  bool equals(const view&) const noexcept override { return true; }
};

}  // namespace

event_package message_summary_package(message_summary_options how) {
  event_package package;
  package.name = "message-summary";
  package.content_types = {std::string{media_type}};
  package.default_expires = seconds{3600};
  package.check_publish = [how](const offered_document& offer) -> result<document, refusal> {
    if (offer.content.bytes().size() > most_bytes) return unexpected{refusal{413, "Content Too Large"}};
    auto read = std::make_shared<summary>();
    if (const auto fault = reader{offer.content.bytes(), how.cap_counts}.run(*read); !fault.empty())
      return unexpected{refusal{400, fault}};
    const auto* before = dynamic_cast<const summary*>(offer.previous);
    read->has_news = before == nullptr || before->headers != read->headers;
    return document{std::move(read)};
  };
  package.aggregate = [how](std::string_view resource, std::span<const published> all) { return aggregate(resource, all, how); };
  package.neutral = [how](std::string_view resource) { return aggregate(resource, {}, how); };
  package.tells_leaving = how.message_headers;  // headers are told once, with the document that brings them
  if (!how.message_headers && !how.owner_only) return package;
  package.req_auth = true;
  package.authorize = [how](const authorization_query& q) -> authorization {
    if (q.watcher.proves(q.resource)) return sub_handling::allow;
    if (how.owner_only) return sub_handling::block;
    return {sub_handling::allow, std::make_shared<without_headers>()};  // those are the owner's (SEC-PKG-4)
  };
  how.message_headers = false;
  package.authorize_body = [how](const body&, std::string_view resource, std::span<const published> all, const view&) {
    return aggregate(resource, all, how);
  };
  return package;
}

}  // namespace presence
