/// A host that makes the same calls one by one and in groups: random ones, from a seed, in a small world, so that
/// calls of one group meet. What a call says does not depend on what those before it in the group come to.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <map>
#include <random>
#include <string>
#include <variant>
#include <vector>

#include <presence/presence.hpp>

#include "all_rows.hpp"
#include "faulty_storage.hpp"
#include "scenario.hpp"

namespace presence::test {

inline bool same(const effects& a, const effects& b) {
  return a.answer == b.answer && a.notifies == b.notifies && a.operation == b.operation && a.state_changed == b.state_changed &&
         a.storage_failed == b.storage_failed && a.more == b.more;
}

/// Every row there is, as text that can be compared.
template <class Row>
std::vector<Row> sorted(std::vector<Row> rows, auto key) {
  std::sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) { return key(a) < key(b); });
  return rows;
}
struct content {
  std::vector<publication_row> publications;
  std::vector<subscription_row> subscriptions;
  std::vector<watcher_row> watchers;
  bool operator==(const content&) const = default;
  void sort() {
    publications = sorted(std::move(publications), [](const auto& r) { return std::tuple{r.resource, r.event, r.etag}; });
    subscriptions = sorted(std::move(subscriptions), [](const auto& r) {
      return std::tuple{std::string{r.dialog.call_id()}, r.event, r.event_id};
    });
    watchers = sorted(std::move(watchers), [](const auto& r) { return std::tuple{r.resource, r.event, r.watcher}; });
  }
};
inline content stored(storage& rows) {
  content all{all_rows<publication_row>(rows), all_rows<subscription_row>(rows), all_rows<watcher_row>(rows)};
  all.sort();
  return all;
}
/// What an engine holds in memory.
inline content held(const engine& e) {
  content all;
  all.publications = e.publications({}, 0, 100'000).records;
  all.subscriptions = e.subscriptions({}, 0, 100'000).records;
  all.sort();
  return all;
}

/// What a host has read: the texts of requests, and the requests that look at them.
class pile {
 public:
  void publish(std::string resource, std::string event, std::string tag, std::string body, std::string type,
               expires_value expires) {
    const auto& t = texts_.emplace_back(
        std::vector{std::move(resource), std::move(event), std::move(tag), std::move(body), std::move(type)});
    all.emplace_back(publish_request{.resource = t[0], .event = t[1], .expires = expires, .sip_if_match = t[2],
                                     .content = {.type = t[3].empty() ? std::string_view{} : t[4], .bytes = t[3]},
                                     .who = {.uri = t[0], .method = "digest"}});
  }
  struct dialog_names {
    std::string watcher, resource, event, call_id, from_tag, to_tag;
  };
  void subscribe(const dialog_names& d, std::uint32_t cseq, expires_value expires) {
    const auto& t = texts_.emplace_back(
        std::vector{d.resource, d.event, d.call_id, d.from_tag, d.to_tag, d.watcher, d.watcher + ":5070"});
    all.emplace_back(subscribe_request{.resource = t[0], .event = t[1], .expires = expires, .call_id = t[2], .from_tag = t[3],
                                       .to_tag = t[4], .from_uri = t[5], .contact = t[6], .cseq = cseq,
                                       .who = {.uri = t[5], .method = "digest"}});
  }
  void report(notify_id id, int status) { all.emplace_back(notify_report{.id = id, .status = status}); }
  void clear() {
    all.clear();
    texts_.clear();
  }
  std::vector<received> all;

 private:
  std::deque<std::vector<std::string>> texts_;
};

template <class Engine>
effects make(Engine& e, const received& one, instant now) {
  if (const auto* p = std::get_if<publish_request>(&one)) return e.publish(*p, now);
  if (const auto* s = std::get_if<subscribe_request>(&one)) return e.subscribe(*s, now);
  if (const auto* o = std::get_if<options_request>(&one)) return e.answer_options(*o, now);
  return e.report(std::get<notify_report>(one), now);
}
template <class Engine>
std::vector<effects> make_all(Engine& e, std::span<const received> all, instant now) {
  std::vector<effects> made, out;
  for (; !all.empty(); all = all.subspan(out.size())) {
    const std::size_t taken = e.handle(all, now, out);
    REQUIRE(taken != 0);
    REQUIRE(out.size() == taken);
    made.insert(made.end(), out.begin(), out.end());
  }
  return made;
}

/// The engines of both kinds have the same packages and the same rules.
inline std::unique_ptr<engine> engine_on(storage* rows, random_source& random, const std::map<std::string, sub_handling>& policy,
                                         options settings, instant now) {
  settings.server_address = "sip:server.example.com";
  auto made = std::make_unique<engine>(settings, host_hooks{}, rows, &random);
  event_package package = presence_package();
  package.winfo = true;
  package.req_auth = true;
  package.authorize = [&policy](const authorization_query& q) {
    const auto found = policy.find(std::string{q.watcher.uri});
    return found == policy.end() ? sub_handling::allow : found->second;
  };
  REQUIRE(made->add_event(std::move(package), now));
  REQUIRE(made->add_event(message_summary_package(), now));
  return made;
}

/// The random calls, and what is remembered to make further ones.
class random_host {
 public:
  explicit random_host(std::uint64_t seed) : random_{seed} {}
  std::size_t below(std::size_t n) { return random_() % n; }

  void fill(pile& to, std::size_t calls) {
    for (; calls != 0; --calls) {
      const std::size_t kind = below(10);
      if (kind < 4) publish(to);
      else if (kind < 7 || out_.empty()) subscribe(to);
      else answer(to);
    }
  }
  /// What came of the calls is what is known for the next group.
  void learn(const std::vector<received>& calls, const std::vector<effects>& came) {
    for (std::size_t i = 0; i < calls.size(); ++i) {
      const effects& e = came[i];
      if (const auto* p = std::get_if<publish_request>(&calls[i]); p != nullptr && !e.answer.etag.empty())
        tags_.push_back({std::string{p->resource}, std::string{p->event}, e.answer.etag});
      if (tags_.size() > 12) tags_.pop_front();
      const auto* s = std::get_if<subscribe_request>(&calls[i]);
      if (s != nullptr && s->to_tag.empty() && e.answer.dialog && e.answer.expires != 0u)
        dialogs_.push_back({{std::string{s->from_uri}, std::string{s->resource}, std::string{s->event}, std::string{s->call_id},
                             std::string{s->from_tag}, std::string{e.answer.dialog.local_tag()}},
                            *s->cseq});
      if (dialogs_.size() > 12) dialogs_.pop_front();
    }
  }
  void sent(const effects& e) {
    for (const notify& n : e.notifies)
      if (n.state != subscription_state::terminated) out_.push_back(n.id);
  }
  std::deque<notify_id> out_;  ///< NOTIFYs without an answer
  std::string somebody() { return "sip:w" + std::to_string(below(4)) + "@example.com"; }
  std::string some_resource() { return "sip:r" + std::to_string(below(3)) + "@example.com"; }

 private:
  struct tag {
    std::string resource, event, etag;
  };
  struct known_dialog {
    pile::dialog_names names;
    std::uint32_t cseq;
  };
  expires_value lifetime() {
    static constexpr int all[] = {0, 30, 60, 90, 600, 3600, 3600};
    return seconds{all[below(std::size(all))]};
  }
  void publish(pile& to) {
    std::string resource = some_resource(), event = below(4) == 0 ? "message-summary" : "presence", etag;
    if (!tags_.empty() && below(3) != 0) {
      const tag& t = tags_[below(tags_.size())];
      resource = t.resource;
      event = t.event;
      etag = t.etag;
    }
    const bool brings = etag.empty() || below(2) == 0;
    const bool presence = event == "presence";
    std::string body = presence ? pidf(below(2) == 0 ? "a:open" : "a:closed,b:open", resource)
                                : "Messages-Waiting: " + std::string{below(2) == 0 ? "yes" : "no"} + "\r\n";
    to.publish(resource, event, etag, brings ? body : "",
               presence ? "application/pidf+xml" : "application/simple-message-summary",
               etag.empty() && below(8) != 0 ? expires_value{} : lifetime());
  }
  void subscribe(pile& to) {
    if (!dialogs_.empty() && below(2) == 0) {
      known_dialog& d = dialogs_[below(dialogs_.size())];
      pile::dialog_names names = d.names;
      if (below(4) == 0) names.event = below(2) == 0 ? "presence;id=7" : "message-summary";
      if (below(9) != 0) ++d.cseq;  // else stale
      return to.subscribe(names, d.cseq, lifetime());
    }
    const std::string n = std::to_string(++made_), resource = some_resource();
    const bool owner = below(5) == 0;
    to.subscribe({owner ? resource : somebody(), resource,
                  owner ? "presence.winfo" : below(5) == 0 ? "message-summary" : "presence",
                  "c" + n + "@example.com", "f" + n, {}},
                 1, lifetime());
  }
  void answer(pile& to) {
    const std::size_t at = below(out_.size());
    static constexpr int all[] = {200, 200, 200, 200, 481, 0, 503};
    to.report(out_[at], all[below(std::size(all))]);
    out_.erase(out_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  std::mt19937_64 random_;
  std::deque<tag> tags_;
  std::deque<known_dialog> dialogs_;
  int made_ = 0;
};

}  // namespace presence::test
