// Properties that hold for every script (conformance section 23): random scripts, short and seeded.
#include "scenario.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <presence/memory_storage.hpp>

using namespace presence;
using namespace presence::test;

namespace {

/// Plays one random script of sound requests and keeps watch over what comes out.
class script {
 public:
  explicit script(std::uint64_t seed, storage* rows = nullptr) : random_{seed}, rows_{rows} {
    engine_randomness_ = std::make_unique<seeded_random>(seed * 7 + 1);
    make();
  }

  void make() {
    e_.reset();
    options settings;
    settings.min_expires = seconds{1};
    settings.limits.usages_per_dialog = 3;
    e_ = std::make_unique<engine>(settings, host_hooks{}, rows_, engine_randomness_.get());
    event_package p = opaque_package("list");
    p.aggregate = [](std::string_view, std::span<const published> all) {
      std::string text = "=";
      for (const auto& one : all)
        if (!one.leaving) text += std::string{one.content.bytes()} + ";";
      return body{"a/b", text};
    };
    p.neutral = [](std::string_view) { return body{"a/b", "="}; };
    p.tailor = [](const body& state, const watcher_view& view) {
      return body{"a/b", std::to_string(view.version) + std::string{state.bytes()}};
    };
    REQUIRE(e_->add_event(p, now_));
  }

  std::uint32_t number(std::uint32_t below) {
    std::uint8_t b[2];
    random_.fill(b);
    return (std::uint32_t{b[0]} << 8 | b[1]) % below;
  }

  void step() {
    switch (number(8)) {
      case 0: case 1: return publish();
      case 2: case 3: return subscribe();
      case 4: case 5: return answer();
      case 6: now_ += milliseconds{number(3000)}; [[fallthrough]];
      default: return observe(e_->advance(now_), false);
    }
  }

  void publish() {
    const std::string resource = "sip:r" + std::to_string(number(2)) + "@x";
    const std::string bytes = number(3) == 0 ? "" : std::string(1, static_cast<char>('a' + number(5)));
    const auto& known = tags_[resource];
    const std::string tag = known.empty() || number(4) == 0 ? "" : known[number(static_cast<std::uint32_t>(known.size()))];
    const expires_value expires = number(5) == 0 ? expires_value{} : expires_value{seconds{number(30)}};
    const bool newest = std::find(live_.begin(), live_.end(), tag) != live_.end();
    const effects out = e_->publish({.resource = resource, .event = "list", .expires = expires, .sip_if_match = tag,
                                     .content = {.type = bytes.empty() ? "" : "a/b", .bytes = bytes}}, now_);
    observe(out, true);
    if (out.answer.status == 200) {
      REQUIRE(ever_[resource].insert(out.answer.etag).second);  // PROP-9
      tags_[resource].push_back(out.answer.etag);
      if (expires.value()) REQUIRE(*out.answer.expires <= static_cast<std::uint32_t>(expires.value()->count()));  // PROP-4
      live_.erase(tag);
      live_.insert(out.answer.etag);
    } else if (!tag.empty()) {
      REQUIRE((out.answer.status == 412 || newest));
    }
    if (!tag.empty() && !newest) REQUIRE(out.answer.status == 412);
  }

  void subscribe() {
    const std::uint32_t which = number(6);
    dialog_record& d = dialogs_[which];
    const std::string call_id = "c" + std::to_string(which) + "-" + std::to_string(d.life);
    const std::string resource = "sip:r" + std::to_string(which % 2) + "@x", by = "sip:w" + std::to_string(which) + "@x";
    const std::string event = number(3) == 0 ? "list;id=2" : "list";
    const seconds asked{number(5) == 0 ? 0 : number(30)};
    const std::string tag = d.tag;
    const effects out = e_->subscribe({.resource = resource, .event = event, .expires = asked, .call_id = call_id,
                                       .from_tag = "f", .to_tag = tag, .from_uri = by, .to_uri = resource, .contact = by,
                                       .cseq = ++d.cseq, .who = {.uri = by}}, now_);
    observe(out, true);
    if (out.answer.status == 200) {
      d.tag = out.answer.dialog.local_tag();
      REQUIRE(out.answer.expires <= static_cast<std::uint32_t>(asked.count()));  // PROP-4
      // PROP-1: one NOTIFY of this usage, and first
      REQUIRE_FALSE(out.notifies.empty());
      REQUIRE(out.notifies[0].dialog == out.answer.dialog);
      std::size_t own = 0;
      for (const notify& n : out.notifies) own += n.dialog.call_id() == call_id && n.dialog.event() == event;
      REQUIRE(own == 1);
      if (asked > 0s) REQUIRE(out.notifies[0].expires <= *out.answer.expires);
    } else if (out.answer.status == 481) {
      d.tag.clear();
      ++d.life;
      d.cseq = 0;
    }
  }

  void answer() {
    if (open_.empty()) return;
    const auto at = number(static_cast<std::uint32_t>(open_.size()));
    const int statuses[] = {200, 200, 200, 200, 500, 481, 0};
    report(at, statuses[number(std::size(statuses))]);
  }

  void report(std::uint32_t at, int status) {
    const auto [id, usage] = open_[at];
    open_.erase(open_.begin() + at);
    const auto failed = e_->stats().failed_notifies;
    const effects out = e_->report({.id = id, .status = status}, now_);
    if (e_->stats().failed_notifies != failed) ++generation_[usage];  // it ended without a word
    observe(out, false);
  }

  void observe(const effects& out, bool request) {
    if (request) {
      REQUIRE(out.answer.status >= 200);
    } else {
      REQUIRE(out.answer.status == 0);
    }
    for (const notify& n : out.notifies) {
      const std::string name = std::string{n.dialog.call_id()} + " " + std::string{n.dialog.local_tag()};
      const std::string usage = name + " " + std::string{n.dialog.event()} + " " + std::to_string(generation_[name + std::string{n.dialog.event()}]);
      REQUIRE(numbers_[name].insert(n.cseq).second);  // PROP-2: no number twice in a dialog
      auto& last = last_cseq_[usage];
      REQUIRE(n.cseq > last);
      last = n.cseq;
      REQUIRE(ended_.count(usage) == 0);              // PROP-2: nothing after the end
      if (n.content) {
        const std::string text{n.content.bytes()};
        const auto version = std::stoul(text);
        if (rows_ == nullptr) REQUIRE(version == versions_[usage]);  // PROP-3
        else REQUIRE(version >= versions_[usage]);                   // reserved ahead across a crash
        versions_[usage] = version + 1;
        seen_[usage] = text.substr(text.find('='));
      }
      if (n.state == subscription_state::terminated) {
        ended_.insert(usage);
        ++generation_[name + std::string{n.dialog.event()}];
      } else {
        REQUIRE(n.expires > 0);
        open_.emplace_back(n.id, name + std::string{n.dialog.event()});
      }
      order_ += usage + to_string(n) + "\n";
    }
    order_ += to_string(out.answer) + "\n";
    const auto wrong = e_->check();
    if (wrong) FAIL(*wrong);
  }

  /// PROP-7: when all is answered, each watcher has what he would be told now.
  void settle() {
    observe(e_->advance(now_), false);
    while (!open_.empty()) report(static_cast<std::uint32_t>(open_.size()) - 1, 200);
    for (const auto& row : e_->subscriptions({}, 0, 1000).records) {
      if (row.expires < now_ + 1s) continue;  // in its last second it hears only of the end (EVT-4.2.2-4)
      const std::string name = std::string{row.dialog.call_id()} + " " + std::string{row.dialog.local_tag()};
      const std::string usage = name + " " + std::string{row.dialog.event()} + " " + std::to_string(generation_[name + std::string{row.dialog.event()}]);
      const std::string state{e_->current_state(row.resource, "list", now_).bytes()};
      REQUIRE(seen_[usage] == state);
    }
  }

  const std::string& order() const { return order_; }
  engine& own() { return *e_; }

 private:
  struct dialog_record {
    std::string tag = {};
    std::uint32_t cseq = 0;
    int life = 0;
  };
  seeded_random random_;
  std::unique_ptr<seeded_random> engine_randomness_;
  storage* rows_;
  std::unique_ptr<engine> e_;
  instant now_ = start;
  std::map<std::string, std::vector<std::string>> tags_;
  std::map<std::string, std::set<std::string>> ever_;
  std::set<std::string> live_;
  std::map<std::uint32_t, dialog_record> dialogs_;
  std::vector<std::pair<notify_id, std::string>> open_;
  std::map<std::string, std::set<std::uint32_t>> numbers_;
  std::map<std::string, std::uint32_t> last_cseq_;
  std::map<std::string, std::size_t> versions_;
  std::map<std::string, int> generation_;
  std::map<std::string, std::string> seen_;
  std::set<std::string> ended_;
  std::string order_;
};

}  // namespace

TEST_CASE("in every script each request has one reply, each accepted SUBSCRIBE one NOTIFY, numbers rise, versions have no gaps, times are not exceeded, the last state arrives (PROP-1 to PROP-4, PROP-7, PROP-9, EVT-4.2.1.2-1, -2, EVT-FSM-1, -3)") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    script s{seed};
    for (int i = 0; i < 1500; ++i) {
      CAPTURE(i);
      s.step();
      if (i % 100 == 99) s.settle();
    }
  }
}

TEST_CASE("tags, numbers and states hold over restarts in mid-script (PROP-2, PROP-7, PROP-9, HOST-11)") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    memory_storage rows;
    script s{seed, &rows};
    for (int i = 0; i < 600; ++i) {
      CAPTURE(i);
      s.step();
      if (i % 100 == 99) {
        s.settle();
        s.make();
      }
    }
  }
}

TEST_CASE("the same requests, times and randomness give the same descriptors (L02, HOST-7)") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    script a{seed}, b{seed};
    for (int i = 0; i < 800; ++i) {
      a.step();
      b.step();
    }
    CHECK(a.order() == b.order());
    script other{seed + 100};
    for (int i = 0; i < 800; ++i) other.step();
    CHECK(a.order() != other.order());
  }
}

TEST_CASE("engines in one process do not know each other (L03)") {
  script a{1}, b{2}, alone{1};
  for (int i = 0; i < 800; ++i) {
    a.step();
    b.step();  // in between
  }
  for (int i = 0; i < 800; ++i) alone.step();
  CHECK(a.order() == alone.order());
}

TEST_CASE("what is published and removed leaves the state as it was (PROP-5)") {
  seeded_random random{9};
  scenario s;
  std::vector<std::string> live;
  for (int i = 0; i < 200; ++i) {
    std::uint8_t b[2];
    random.fill(b);
    const auto state = [&] { return s.engine->current_state("sip:alice@example.com", "presence", s.at); };
    const body before = state();
    const std::string tuples = "t" + std::to_string(b[0] % 4) + (b[1] % 2 != 0 ? ":open" : ":closed");
    const std::string tag = s.publish("alice", {.body = tuples}).substr(4, 10);
    const std::string name = tag.substr(0, tag.find(' '));
    const body with = state();
    s.publish("alice", {.if_match = name, .expires = 0s});
    CHECK(same_meaning(state(), before));
    if (live.size() < 6 && b[0] % 3 == 0) {
      const std::string kept = s.publish("alice", {.body = tuples}).substr(4, 10);
      live.push_back(kept.substr(0, kept.find(' ')));
      CHECK(tuples_of(state().bytes()).size() == tuples_of(with.bytes()).size());
    } else if (!live.empty() && b[0] % 3 == 1) {
      s.publish("alice", {.if_match = live.back(), .expires = 0s});
      live.pop_back();
    }
  }
}
