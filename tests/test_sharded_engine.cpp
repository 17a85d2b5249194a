// The sharded engine does what one engine does: random scripts on both at once. That threads do not disturb each
// other is shown by sharded_threads.cpp.
#include "group_host.hpp"

#include <algorithm>

#include <presence/sharded_engine.hpp>

using namespace presence;
using namespace presence::test;

namespace {

/// One engine and a sharded one; every call is made on both, and what comes of it must be the same, but for the
/// names each makes up itself. What happens to several resources at once is compared without its order.
class twins {
 public:
  twins(std::uint64_t seed, std::size_t shards, std::vector<storage*> rows, int mode)
      : dice_{seed}, random_{seed + 100}, shards_{shards}, rows_{std::move(rows)} {
    settings_.server_address = "sip:server.example.com";
    settings_.min_expires = seconds{3};
    settings_.advance_budget = 5;
    settings_.subs_db_mode = mode;
    start_anew();
  }

  void start_anew() {
    one_.reset();
    many_.reset();
    one_ = std::make_unique<engine>(settings_, host_hooks{}, rows_.empty() ? nullptr : rows_[0], &random_);
    // the hash key is another each time, so a resource may move to another shard
    many_ = std::make_unique<sharded_engine>(
        std::vector<sharded_engine::shard_parts>(shards_, {rows_.empty() ? nullptr : rows_[1], &random_}), settings_);
    event_package watched = presence_package();
    watched.req_auth = true;
    watched.winfo = true;
    watched.authorize = [this](const authorization_query& query) {
      const auto found = policy_.find(std::string{query.watcher.uri});
      return found == policy_.end() ? sub_handling::allow : found->second;
    };
    for (const event_package& package : {watched, dialog_sla_package({.shares = [](auto&&...) { return true; }})}) {
      REQUIRE(one_->add_event(package, now_));
      REQUIRE(many_->add_event(package, now_));
    }
    open_.clear();
  }
  void restart_with(std::size_t shards) {
    REQUIRE(one_->flush(now_));
    REQUIRE(many_->flush(now_));
    shards_ = shards;
    start_anew();
  }

  void step() {
    switch (number(16)) {
      case 0: case 1: case 2: return publish();
      case 3: case 4: case 5: return subscribe();
      case 6: return decide();
      case 7: return look();
      case 8: now_ += milliseconds{number(4000)}; return advance();
      default: return report();
    }
  }

  void publish() {
    const std::string who = a_resource();
    auto& known = tags_[who];
    const std::uint32_t way = number(8);
    const bool again = !known.empty() && way > 1;
    std::pair<std::string, std::string> tag;
    if (again) tag = way > 2 ? known.back() : known[number(static_cast<std::uint32_t>(known.size()))];
    const std::string tuple = "t" + std::to_string(++documents_) + (number(2) == 0 ? ":open" : ":closed");
    const std::string bytes = way == 2 ? "" : way == 3 ? "<bad" : pidf(tuple, who);
    publish_request request{.resource = who, .event = "presence", .expires = seconds{number(9) == 0 ? 0 : number(90)},
                            .sip_if_match = tag.first,
                            .content = {.type = bytes.empty() ? "" : "application/pidf+xml", .bytes = bytes}};
    const effects a = one_->publish(request, now_);
    request.sip_if_match = tag.second;
    const effects b = many_->publish(request, now_);
    same(a, b);
    if (a.answer.status == 200 && !a.answer.etag.empty()) known.emplace_back(a.answer.etag, b.answer.etag);
    if (known.size() > 6) known.erase(known.begin());
  }

  void subscribe() {
    const std::uint32_t which = number(24);
    auto& d = dialogs_[which];
    const std::string by = "sip:w" + std::to_string(which % 7) + "@example.com", to = a_resource();
    const bool sla = which % 8 == 7, info = which % 8 == 6;
    const std::string call_id = "c" + std::to_string(which) + "-" + std::to_string(d.life);
    const std::string contact = "sip:r" + std::to_string(which % 5) + "@192.0.2.1";
    const std::string presentity = !info && number(4) == 0 ? a_resource() : "";  // S26
    subscribe_request request{.resource = to, .presentity = presentity, .event = sla ? "dialog;sla" : info ? "presence.winfo" : "presence",
                              .expires = seconds{number(6) == 0 ? number(2) : number(100)}, .call_id = call_id, .from_tag = "f",
                              .to_tag = d.tags.first, .from_uri = by, .contact = contact, .cseq = ++d.cseq};
    const std::string owner = info && d.tags.first.empty() ? to : d.owner;
    if (number(20) == 0) request.to_tag = "10999999.never";
    request.who.uri = info ? owner : by;
    const effects a = one_->subscribe(request, now_);
    if (request.to_tag == d.tags.first) request.to_tag = d.tags.second;
    const effects b = many_->subscribe(request, now_);
    same(a, b);
    if (a.answer.status == 200 && a.answer.expires != 0u) {
      d.tags = {std::string{a.answer.dialog.local_tag()}, std::string{b.answer.dialog.local_tag()}};
      d.owner = owner;
    } else if (a.answer.status != 423 && a.answer.status != 503) {
      d = {.life = d.life + 1};
    }
  }

  void report() {
    if (open_.empty()) return;
    const std::uint32_t at = number(static_cast<std::uint32_t>(open_.size()));
    const int statuses[] = {200, 200, 200, 200, 200, 500, 481, 0};
    const int status = statuses[number(8)];
    const auto [a, b] = open_[at];
    open_.erase(open_.begin() + at);
    same(one_->report({.id = a, .status = status}, now_), many_->report({.id = b, .status = status}, now_));
  }

  void decide() {
    const std::string resource = a_resource();
    constexpr sub_handling all[] = {sub_handling::allow, sub_handling::allow, sub_handling::confirm, sub_handling::polite_block,
                                    sub_handling::block};
    policy_["sip:w" + std::to_string(number(7)) + "@example.com"] = all[number(5)];
    switch (number(30)) {
      case 0: return same(one_->remove_resource(resource, now_), many_->remove_resource(resource, now_));
      case 1: return same(one_->terminate_watchers({}, "presence", end_reason::deactivated, now_),
                          many_->terminate_watchers({}, "presence", end_reason::deactivated, now_));
      case 2: return same(one_->terminate_watchers(resource, {}, end_reason::probation, now_, 9s),
                          many_->terminate_watchers(resource, {}, end_reason::probation, now_, 9s));
      case 3: return same(one_->set_hard_state(resource, "presence", "h", hard_, now_),
                          many_->set_hard_state(resource, "presence", "h", hard_, now_));
      case 4: return same(one_->answer_options({.resource = resource}, now_),
                          many_->answer_options({.resource = resource}, now_));
      default:
        return same(one_->update_watchers(resource, "presence", now_), many_->update_watchers(resource, "presence", now_));
    }
  }

  void look() {
    const std::string resource = a_resource(), watcher = "sip:w" + std::to_string(number(7)) + "@example.com";
    const record_filter filters[] = {{}, {.resource = resource}, {.event = "presence"}, {.watcher = watcher}};
    for (const record_filter& filter : filters) {
      REQUIRE(one_->count_publications(filter) == many_->count_publications(filter));
      REQUIRE(one_->count_subscriptions(filter) == many_->count_subscriptions(filter));
      const auto list = [&](auto& host, std::size_t limit) {
        std::vector<std::string> lines;
        std::uint64_t from = 0;
        do {
          const auto some = host.subscriptions(filter, from, limit);
          for (const auto& row : some.records)
            lines.push_back(row.resource + " " + std::string{row.dialog.call_id()} + " " + row.event);
          from = some.next;
        } while (from != 0);
        do {
          const auto some = host.publications(filter, from, limit);
          for (const auto& row : some.records) lines.push_back(row.resource + " " + std::string{row.content.bytes()});
          from = some.next;
        } while (from != 0);
        std::sort(lines.begin(), lines.end());
        return lines;
      };
      REQUIRE(list(*one_, 100) == list(*many_, 1 + number(9)));
    }
    REQUIRE(one_->auth_status(watcher, resource, now_) == many_->auth_status(watcher, resource, now_));
    REQUIRE(one_->has_subscribers(resource, "presence") == many_->has_subscribers(resource, "presence"));
    REQUIRE(one_->contains_presence(resource, now_) == many_->contains_presence(resource, now_));
    REQUIRE(one_->current_state(resource, "presence", now_).bytes() == many_->current_state(resource, "presence", now_).bytes());
    const auto a = one_->stats(), b = many_->stats();
    REQUIRE(a.resources == b.resources);
    REQUIRE(a.undecided == b.undecided);
    REQUIRE(a.notifies == b.notifies);
    REQUIRE(a.coalesced == b.coalesced);
    REQUIRE(a.expired_publications + a.expired_subscriptions == b.expired_publications + b.expired_subscriptions);
    REQUIRE(many_->check() == std::nullopt);
  }

  void advance() {
    same(all_due(*one_), all_due(*many_));
  }

  /// In slices, which are of other sizes where each shard makes its own.
  template <class Host>
  effects all_due(Host& host) {
    effects all;
    for (bool more = true; more;) {
      const effects some = host.advance(now_);
      all.notifies.insert(all.notifies.end(), some.notifies.begin(), some.notifies.end());
      all.state_changed |= some.state_changed;
      more = some.more;
    }
    return all;
  }

  std::uint64_t notifies = 0;
  std::map<int, int> answers = {};

 private:
  std::uint32_t number(std::uint32_t below) {
    std::uint8_t b[2];
    dice_.fill(b);
    return (std::uint32_t{b[0]} << 8 | b[1]) % below;
  }
  std::string a_resource() { return "sip:r" + std::to_string(number(9)) + "@example.com"; }

  /// A line without what the engine made up: ids of watchers.
  static std::string line_of(const notify& n) {
    std::string text = n.body_bytes();
    for (auto id = text.find("<watcher id=\""); id != std::string::npos; id = text.find("<watcher id=\"", id + 1))
      text.erase(id + 13, text.find('"', id + 13) - id - 13);
    return std::string{n.dialog.call_id()} + " " + std::to_string(n.cseq) + " " + n.subscription_state_value() + " " + text;
  }
  void same(const effects& a, const effects& b) {
    ++answers[a.answer.status];
    REQUIRE(a.answer.status == b.answer.status);
    REQUIRE(a.answer.expires == b.answer.expires);
    REQUIRE(a.answer.etag.empty() == b.answer.etag.empty());
    REQUIRE(a.operation == b.operation);
    REQUIRE(a.state_changed == b.state_changed);
    const auto sorted = [](const effects& out) {
      std::vector<std::pair<std::string, notify_id>> lines;
      for (const notify& n : out.notifies) lines.emplace_back(line_of(n), n.id);
      std::sort(lines.begin(), lines.end(), [](const auto& x, const auto& y) { return x.first < y.first; });
      return lines;
    };
    const auto left = sorted(a), right = sorted(b);
    REQUIRE(left.size() == right.size());
    for (std::size_t i = 0; i < left.size(); ++i) {
      REQUIRE(left[i].first == right[i].first);
      open_.emplace_back(left[i].second, right[i].second);
    }
    if (a.answer.status != 0 && !a.notifies.empty()) REQUIRE(line_of(a.notifies[0]) == line_of(b.notifies[0]));
    notifies += left.size();
  }

  seeded_random dice_, random_;
  std::size_t shards_;
  std::vector<storage*> rows_;
  options settings_;
  std::unique_ptr<engine> one_;
  std::unique_ptr<sharded_engine> many_;
  instant now_ = start;
  int documents_ = 0;
  const std::string document_ = pidf("h:closed");
  const content_view hard_{.type = "application/pidf+xml", .bytes = document_};
  std::map<std::string, sub_handling> policy_;
  std::map<std::string, std::vector<std::pair<std::string, std::string>>> tags_;
  struct dialog_names {
    std::uint32_t life = 0, cseq = 0;
    std::pair<std::string, std::string> tags = {};
    std::string owner = {};
  };
  std::map<std::uint32_t, dialog_names> dialogs_;
  std::vector<std::pair<notify_id, notify_id>> open_;
};

}  // namespace

TEST_CASE("a sharded engine does what one engine does (L12, S26)") {
  for (const std::size_t shards : {1u, 2u, 5u}) {
    twins t{shards * 7, shards, {}, 1};
    for (int i = 0; i < 10'000; ++i) t.step();
    CHECK(t.notifies > 1000);
    for (const int status : {0, 200, 400, 412, 423, 403, 481}) CHECK_MESSAGE(t.answers[status] > 0, status);
  }
}

TEST_CASE("shards share one database, also when their number changes (L12)") {
  struct { const char* name; int mode; } const modes[] = {{"write-through", 1}, {"write-back", 2}, {"database only", 3}};
  for (const auto& row : modes) {
    SUBCASE(row.name) {
      memory_storage a, b;
      twins t{3, 3, {&a, &b}, row.mode};
      for (const std::size_t shards : {2u, 4u, 1u, 3u}) {
        for (int i = 0; i < 400; ++i) t.step();
        t.look();
        t.restart_with(shards);
        t.look();
      }
      CHECK(t.answers[481] > 0);
    }
  }
}

TEST_CASE("calls handed to shards together come to what they come to one by one (L12, T17)") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    memory_storage rows[2];
    std::deque<seeded_random> randoms;
    std::deque<faulty_storage> counted;
    std::unique_ptr<sharded_engine> hosts[2];
    options settings;
    settings.server_address = "sip:server.example.com";
    for (std::size_t h = 0; h < 2; ++h) {
      std::vector<sharded_engine::shard_parts> parts;
      for (std::uint64_t shard = 0; shard < 3; ++shard)
        parts.push_back({&counted.emplace_back(rows[h]), &randoms.emplace_back(seed * 10 + shard)});
      hosts[h] = std::make_unique<sharded_engine>(parts, settings);
      event_package package = presence_package();
      package.winfo = true;
      REQUIRE(hosts[h]->add_event(package, start));
      REQUIRE(hosts[h]->add_event(message_summary_package(), start));
    }
    random_host host{seed};
    pile calls;
    instant now = start;
    for (int round = 0; round < 60; ++round) {
      CAPTURE(round);
      calls.clear();
      host.fill(calls, 1 + host.below(25));
      std::vector<effects> one_by_one;
      for (const received& one : calls.all) one_by_one.push_back(make(*hosts[0], one, now));
      std::size_t before[3];
      for (std::size_t i = 0; i < 3; ++i) before[i] = counted[3 + i].writes();
      const auto together = make_all(*hosts[1], calls.all, now);
      for (std::size_t i = 0; i < 3; ++i) CHECK(counted[3 + i].writes() - before[i] <= 1);  // one transaction for each shard
      REQUIRE(one_by_one.size() == together.size());
      for (std::size_t i = 0; i < together.size(); ++i) {
        CAPTURE(to_string(one_by_one[i]));
        CAPTURE(to_string(together[i]));
        REQUIRE(same(one_by_one[i], together[i]));
      }
      host.learn(calls.all, together);
      for (const effects& one : together) host.sent(one);
      now += milliseconds{host.below(30'000)};
      for (bool more = true; more;) {
        const effects a = hosts[0]->advance(now), b = hosts[1]->advance(now);
        REQUIRE(same(a, b));
        host.sent(a);
        more = a.more;
      }
      REQUIRE(hosts[1]->check() == std::nullopt);
      REQUIRE(stored(rows[0]) == stored(rows[1]));
    }
    CHECK(hosts[0]->stats().notifies > 50);
  }
}

TEST_CASE("together or not, a dialog is found when the number of shards has changed, and a fault is a shard's own (L12, RL2)") {
  memory_storage rows;
  std::deque<faulty_storage> links;
  std::deque<seeded_random> randoms;
  options settings;
  settings.server_address = "sip:server.example.com";
  const auto made = [&](std::size_t shards) {
    links.clear();
    std::vector<sharded_engine::shard_parts> parts;
    for (std::size_t i = 0; i < shards; ++i)
      parts.push_back({&links.emplace_back(rows), &randoms.emplace_back(randoms.size() + 1)});
    auto host = std::make_unique<sharded_engine>(parts, settings);
    REQUIRE(host->add_event(message_summary_package(), start));
    return host;
  };
  std::vector<pile::dialog_names> dialogs;
  pile calls;
  {
    const auto host = made(2);
    for (int i = 0; i < 12; ++i) {
      const std::string n = std::to_string(i);
      dialogs.push_back({"sip:w" + n + "@example.com", "sip:r" + n + "@example.com", "message-summary", "c" + n, "f" + n, {}});
      calls.subscribe(dialogs.back(), 1, seconds{600});
    }
    const auto came = make_all(*host, calls.all, start);
    for (std::size_t i = 0; i < came.size(); ++i) {
      REQUIRE(came[i].answer.status == 200);
      dialogs[i].to_tag = came[i].answer.dialog.local_tag();
    }
    REQUIRE(host->flush(start));
  }
  const auto host = made(5);
  calls.clear();
  for (const auto& names : dialogs) calls.subscribe(names, 2, seconds{600});
  for (const effects& e : make_all(*host, calls.all, start + 1s)) CHECK(e.answer.status == 200);

  calls.clear();
  for (const auto& names : dialogs) calls.publish(names.resource, "message-summary", "", "Messages-Waiting: yes\r\n",
                                                  "application/simple-message-summary", {});
  links[1].fail_all(true);
  std::size_t failed = 0;
  for (const effects& e : make_all(*host, calls.all, start + 2s)) {
    CHECK((e.answer.status == 200 || e.answer.status == 503));
    CHECK(e.storage_failed == (e.answer.status == 503));
    failed += e.answer.status == 503;
  }
  CHECK(failed > 0);
  CHECK(failed < 12);
  links[1].fail_all(false);
  for (const effects& e : make_all(*host, calls.all, start + 9s)) CHECK(e.answer.status == 200);
}
