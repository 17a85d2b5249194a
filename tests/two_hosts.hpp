// Two hosts with an engine each, played by one script, and what one watcher gets from each: every reply
// and NOTIFY with the moment it came. What must not differ is compared word by word; only random tags
// are left out, but for their length.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <presence/memory_storage.hpp>
#include <presence/presence.hpp>

namespace presence::test {

struct host {
  static constexpr const char* watched = "sip:alice@example.com";
  static constexpr const char* observer = "sip:bob@example.com";

  /// `packages` makes the packages anew after a restart.
  host(options settings, bool stored, std::uint64_t seed, std::function<std::vector<event_package>()> packages)
      : settings_{std::move(settings)}, packages_{std::move(packages)}, random_{seed} {
    settings_.server_address = "sip:server.example.com";
    if (stored) rows_ = std::make_unique<memory_storage>();
    restart(true);
  }

  void restart(bool cleanly) {
    if (e_ && cleanly) REQUIRE(e_->flush(now_));
    e_ = std::make_unique<engine>(settings_, host_hooks{}, rows_.get(), &random_);
    for (event_package& p : packages_()) REQUIRE(e_->add_event(std::move(p), now_));
    open_.clear();
  }

  /// Sleeps until each deadline on the way, as a host does.
  void run_until(instant when) {
    while (const auto next = e_->next_deadline()) {
      if (*next > when) break;
      now_ = std::max(now_, *next);
      take(e_->advance(now_));
    }
    now_ = std::max(now_, when);
    for (bool more = true; more;) {
      const effects out = e_->advance(now_);
      more = out.more;
      take(out);
    }
  }

  /// A SUBSCRIBE of the observer in his dialog number `d`, or of somebody else.
  struct subscribing {
    std::string by = observer;
    std::string event = {};
    seconds expires{3600};
    int dialog = 0;
    bool anew = false;          ///< an initial request, whatever there was
    const char* accept = nullptr;
    int contact = 0;
  };
  void subscribe(const subscribing& what) {
    dialog_state& d = dialogs_[what.by + std::to_string(what.dialog)];
    if (what.anew || d.tag.empty()) {
      d.tag.clear();
      d.name = std::to_string(++calls_[what.by]);
    }
    const std::string contact = what.by + ".contact" + std::to_string(what.contact);
    const effects out = e_->subscribe({.resource = watched, .event = what.event, .expires = what.expires,
                                       .call_id = "call-" + d.name + what.by, .from_tag = "from" + d.name, .to_tag = d.tag,
                                       .from_uri = what.by, .to_uri = watched, .contact = contact, .cseq = ++d.cseq,
                                       .accept = what.accept == nullptr ? std::nullopt : std::optional<std::string_view>{what.accept},
                                       .who = {.uri = what.by, .method = "digest"}}, now_);
    if (out.answer.status == 200) d.tag = out.answer.dialog.local_tag();
    if (out.answer.status == 481) d.tag.clear();
    if (what.by == observer) {
      const reply& r = out.answer;
      std::string line = std::to_string(r.status) + " " + std::string{r.reason};
      for (const auto& number : {r.expires, r.min_expires, r.retry_after}) line += " " + (number ? std::to_string(*number) : "-");
      line += " " + r.etag + r.allow_events + r.allow + r.accept + r.unsupported + " " + std::to_string(r.dialog ? r.dialog.local_tag().size() : 0);
      write(line);
    }
    take(out);
  }
  /// The answer to the observer's n-th NOTIFY that has none yet; true: there was one.
  bool answer(std::size_t n, int status) {
    if (open_.empty()) return false;
    const auto at = open_.begin() + static_cast<std::ptrdiff_t>(n % open_.size());
    const notify_id id = *at;
    open_.erase(at);
    take(e_->report({.id = id, .status = status}, now_));
    return true;
  }
  std::string publish(const std::string& event, const std::string& type, const std::string& bytes, const std::string& tag, seconds expires,
                      const std::string& sender = {}) {
    const effects out = e_->publish({.resource = watched, .event = event, .expires = expires, .sip_if_match = tag,
                                     .content = {.type = bytes.empty() ? "" : type, .bytes = bytes}, .who = {.uri = watched, .method = "digest"},
                                     .sender = sender}, now_);
    take(out);
    return out.answer.etag;
  }
  void refresh(const std::string& event, refresh_type type) { take(e_->refresh_watchers(watched, event, type, now_)); }
  void end(const std::string& event, end_reason reason) { take(e_->terminate_watchers(watched, event, reason, now_, seconds{9})); }

  /// Everything the observer got, and nothing of what others did.
  const std::vector<std::string>& stream() const { return stream_; }
  engine& own() { return *e_; }
  instant now() const { return now_; }
  std::size_t told_others = 0;

 private:
  struct dialog_state {
    std::string tag = {}, name = {};
    std::uint32_t cseq = 0;
  };

  /// Ids that a view made up are told by the order in which the observer met them.
  void write(std::string line) {
    const auto rename = [&](std::string_view mark, std::size_t size, char after) {
      for (auto at = line.find(mark); at != std::string::npos; at = line.find(mark, at + 1)) {
        const auto from = at + mark.size() - 1;
        if (line.find(after, from) - from != size) continue;
        const auto met = made_up_.try_emplace(line.substr(from, size), made_up_.size()).first;
        line.replace(from, size, "made-up-" + std::to_string(met->second));
      }
    };
    rename(" id=\"p", 13, '"');
    rename(">urn:uuid:", 37, '<');
    stream_.push_back(std::to_string(now_.time_since_epoch().count()) + " " + line);
  }
  std::map<std::string, std::size_t> made_up_;
  void take(const effects& out) {
    REQUIRE_FALSE(out.storage_failed);
    for (const notify& n : out.notifies) {
      if (n.dialog.watcher() != observer) {
        ++told_others;
        if (n.state != subscription_state::terminated) e_->report({.id = n.id, .status = 200}, now_);
        continue;
      }
      const dialog_fields f = n.dialog.fields();
      std::string line = "NOTIFY";
      for (const std::string_view part : {f.call_id, f.remote_tag, f.local_uri, f.remote_uri, f.remote_target, f.route_set, f.local_contact,
                                          f.event, f.headers, f.cookie})
        (line += " ") += part;
      line += " " + std::to_string(f.local_tag.size()) + " CSeq " + std::to_string(n.cseq) + " " + n.subscription_state_value() + " " +
              std::to_string(n.expires) + " " + std::to_string(n.retry_after) + " " + std::string{n.content.content_type()} + " " + n.body_bytes();
      write(line);
      if (n.state != subscription_state::terminated) open_.push_back(n.id);
    }
    const auto wrong = e_->check();
    if (wrong) FAIL(*wrong);
  }

  options settings_;
  std::function<std::vector<event_package>()> packages_;
  seeded_random random_;
  std::unique_ptr<memory_storage> rows_;
  std::unique_ptr<engine> e_;
  instant now_{seconds{1'700'000'000}};
  std::map<std::string, dialog_state> dialogs_;
  std::map<std::string, int> calls_;
  std::vector<notify_id> open_;
  std::vector<std::string> stream_;
};

/// Fails with the first line that differs, as `read` reads it.
template <class Read>
void require_same(const host& a, const host& b, const std::string& when, Read&& read) {
  const auto &one = a.stream(), &other = b.stream();
  for (std::size_t i = 0; i < std::max(one.size(), other.size()); ++i) {
    const std::string left = i < one.size() ? read(one[i]) : "(nothing)", right = i < other.size() ? read(other[i]) : "(nothing)";
    const std::string story = when + "\n  " + left + "\n  " + right;
    if (left != right) FAIL(story);
  }
}
inline void require_same(const host& a, const host& b, const std::string& when) {
  require_same(a, b, when, [](const std::string& line) { return line; });
}

}  // namespace presence::test
