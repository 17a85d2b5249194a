// Usages of one dialog in several packages, where memory has not everything (fallback2db, bounded memory, several engines
// on one database): they are in memory together, share their numbers, and come to what they come to in memory.
#include "all_rows.hpp"
#include "scenario.hpp"

#include <functional>
#include <set>

#include <presence/memory_storage.hpp>
#include <presence/packages.hpp>

#include "faulty_storage.hpp"

using namespace presence;
using namespace presence::test;

namespace {

struct mode {
  const char* name;
  options settings;
  int engines = 1;
};

options with(int subs_db_mode, bool fallback, std::size_t states, std::uint32_t cseq_block) {
  options o;
  o.subs_db_mode = subs_db_mode;
  o.fallback2db = fallback;
  o.cache_states = states;
  o.cseq_block = cseq_block;
  return o;
}

std::vector<mode> modes() {
  return {{"fallback2db", with(1, true, 0, 64)},
          {"memory for one state", with(1, true, 1, 64)},
          {"memory for one state, exact numbers", with(1, true, 1, 1)},
          {"one engine, database only", with(3, false, 0, 64)},
          {"two engines, database only", with(3, false, 0, 64), 2}};
}

/// Somebody else comes between two reads, too.
struct raced_storage : racing_storage {
  using racing_storage::racing_storage;
  std::function<void()> after_rows;
  result<void, storage_error> subscriptions(const row_filter& want, cursor& at, std::size_t limit, std::vector<subscription_row>& out) override {
    auto done = racing_storage::subscriptions(want, at, limit, out);
    if (after_rows) std::exchange(after_rows, nullptr)();
    return done;
  }
};

/// Engines that take turns, call by call, on the rows of one storage.
struct peers : scenario {
  memory_storage held;
  raced_storage storages[2] = {raced_storage{held}, raced_storage{held}};
  std::unique_ptr<presence::engine> other;
  std::size_t current = 0;
  explicit peers(const options& settings, int engines = 1) : scenario{setup{.settings = settings, .winfo = true}} {
    given.rows = &storages[1];
    if (engines == 2) {
      restart();
      other = std::move(engine);
    }
    given.rows = &storages[0];
    restart();
  }
  explicit peers(const mode& m) : peers{m.settings, m.engines} {}
  void turn() {
    if (!other) return;
    std::swap(engine, other);
    current = 1 - current;
  }
  std::vector<std::uint32_t> numbers(const std::string& dialog) const {
    std::vector<std::uint32_t> all;
    for (const notify& n : dialogs.at(dialog).notifies) all.push_back(n.cseq);
    return all;
  }
  bool rising(const std::string& dialog) const {
    const auto all = numbers(dialog);
    return std::adjacent_find(all.begin(), all.end(), std::greater_equal<>{}) == all.end();
  }
};

std::string summary(int n) { return "Messages-Waiting: yes\r\nVoice-Message: " + std::to_string(n) + "/0\r\n"; }

using step = std::function<std::string(peers&)>;
step subscribes(std::string dialog, subscribe_step what) {
  return [=](peers& s) { return s.subscribe(dialog, what); };
}
step publishes(std::string tuples, std::string if_match = {}) {
  return [=](peers& s) { return s.publish("alice", {.body = tuples, .if_match = if_match, .expires = 3600s}); };
}
step mails(int n, std::string if_match = {}) {
  return [=](peers& s) {
    return s.publish("alice", {.raw = summary(n), .type = "application/simple-message-summary", .if_match = if_match,
                               .expires = 3600s, .event = "message-summary"});
  };
}
/// Engines that share a database look at what is due at moments of their own; here all do at one.
step waits(seconds how_long) {
  return [=](peers& s) { return s.told(s.engine->cleanup(s.at += how_long)); };
}

/// The life of a dialog with up to four usages, and of one beside it.
const std::vector<step>& life() {
  static const std::vector<step> all{
      subscribes("d1", {.by = "alice", .expires = 600s, .event = "presence;id=1"}),
      subscribes("d2", {.expires = 2000s}),
      publishes("t1:open"),
      subscribes("d1", {.by = "alice", .expires = 700s, .event = "message-summary"}),
      subscribes("d1", {.by = "alice", .expires = 900s, .event = "presence.winfo"}),
      subscribes("d1", {.by = "alice", .expires = 650s, .event = "presence;id=2"}),
      publishes("t1:closed", "e1"),
      mails(1),
      subscribes("d3", {.by = "carol", .expires = 100s}),
      subscribes("d1", {.by = "alice", .expires = 0s, .event = "message-summary;id=9"}),  // a fetch
      subscribes("d1", {.by = "alice", .expires = 700s, .event = "message-summary", .contact = "sip:alice@192.0.2.77"}),
      mails(2, "e3"),
      subscribes("d1", {.by = "alice", .expires = 700s, .event = "presence;id=1", .cseq = 2}),  // too old
      waits(100s),
      subscribes("d1", {.by = "alice", .expires = 0s, .event = "presence;id=1", .cseq = 7}),
      publishes("t2:open"),
      subscribes("d1", {.by = "alice", .expires = 300s, .event = "presence;id=1"}),
      subscribes("d1", {.by = "alice", .expires = 0s, .event = "presence.winfo"}),
      waits(300s),
      mails(3, "e4"),
      [](peers& s) { return s.told(s.engine->terminate_watchers(address("alice"), "presence", end_reason::deactivated, s.at)); },
      mails(4, "e6"),
      subscribes("d1", {.by = "alice", .expires = 800s, .event = "presence"}),
      waits(300s),
      publishes("t1:open", "e2"),
      subscribes("d1", {.by = "alice", .expires = 0s, .event = "presence"}),
      subscribes("d1", {.by = "alice", .expires = 600s, .event = "message-summary"}),  // nothing is left of the dialog
  };
  return all;
}

std::vector<std::string> lived(peers& s, bool anew = false) {
  std::vector<std::string> all;
  for (const step& one : life()) {
    all.push_back(one(s));
    s.audit();
    s.turn();
    if (anew) s.restart();
  }
  return all;
}

}  // namespace

TEST_CASE("usages in several packages come to the same wherever they are kept (S07, S19, EVT-4.4.1-1, T09, T11, C01)") {
  peers in_memory{options{}};
  in_memory.given.rows = nullptr;
  in_memory.restart();
  const auto expected = lived(in_memory);
  REQUIRE(in_memory.rising("d1"));
  REQUIRE(in_memory.numbers("d1").size() > 18);
  REQUIRE(expected.back() == "481");
  for (const mode& m : modes()) {
    CAPTURE(m.name);
    peers s{m};
    const auto got = lived(s);
    CHECK(s.rising("d1"));
    // where rows do not tell what was sent, watcher information begins anew with each reading
    if (m.settings.cache_states != 0 && m.settings.cseq_block != 1) continue;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CAPTURE(i);
      CHECK(got[i] == expected[i]);
    }
    CHECK(s.numbers("d1") == in_memory.numbers("d1"));
  }
}

TEST_CASE("a usage in the place of one that lapsed counts its documents from the first on (N22, C01, T07)") {
  for (const mode& m : modes()) {
    CAPTURE(m.name);
    peers s{m.settings};
    event_package counted = opaque_package("counted", {"a/b"});
    counted.winfo = true;
    counted.tailor = [](const body& state, const watcher_view& view) {
      return body{"a/b", "v" + std::to_string(view.version) + " " + std::string{state.bytes()}};
    };
    s.given.packages = {counted};
    s.restart();
    const auto publish = [&](const char* text, const char* tag) {
      return s.publish("alice", {.raw = text, .type = "a/b", .if_match = tag, .event = "counted"});
    };
    publish("a", "");
    s.subscribe("d1", {.by = "alice", .expires = 3000s, .event = "counted.winfo"});
    s.subscribe("d1", {.by = "alice", .expires = 60s, .event = "counted"});
    publish("b", "e1");
    publish("c", "e2");
    s.at += 60s;
    CHECK(s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "counted"}).find("[v0 c]") != std::string::npos);
    CHECK(publish("d", "e3").find("[v1 d]") != std::string::npos);
  }
}

TEST_CASE("a dialog's numbers rise over any number of restarts that read nothing at start (T07, T13, PROP-2)") {
  peers s{with(1, true, 0, 4)};
  lived(s, true);
  CHECK(s.rising("d1"));
  CHECK(s.rising("d2"));
}

TEST_CASE("two engines that tell two usages of a dialog at once use two numbers (C01, RL6, PROP-2)") {
  struct row {
    const char* name;
    step by_other, by_us;
    const char* expected;
  };
  const row rows[] = {
      {"each tells another usage", mails(1), publishes("t1:open"), "200 e2 Expires=3600 | N d1#4 active;expires=600 P(t1:open)"},
      {"one usage ends while another is told", subscribes("d1", {.expires = 0s, .event = "message-summary"}), publishes("t1:open"),
       "200 e1 Expires=3600 | N d1#4 active;expires=600 P(t1:open)"},
      {"one is refreshed while another is told", subscribes("d1", {.expires = 900s, .event = "message-summary", .contact = "sip:bob@192.0.2.7"}),
       publishes("t1:open"), "200 e1 Expires=3600 | N d1#4 active;expires=600 P(t1:open)"},
      {"one begins while another is told", subscribes("d1", {.expires = 900s, .event = "presence.winfo"}), mails(1),
       "200 e1 Expires=3600 | N d1#4 active;expires=600 application/simple-message-summary"},
  };
  for (const row& row : rows) {
    CAPTURE(row.name);
    peers s{with(3, false, 0, 1), 2};
    s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "presence"});
    s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "message-summary"});
    s.storages[0].between = [&] {
      s.turn();
      row.by_other(s);
      s.turn();
    };
    const std::string told = row.by_us(s);
    CHECK(told.substr(0, 4) == "200 ");
    CHECK(s.numbers("d1") == std::vector<std::uint32_t>{1, 2, 3, 4});
    CHECK(s.engine->stats().storage_conflicts == 1);
    CHECK(s.engine->stats().storage_faults == 0);
    s.turn();
    CHECK(mails(2)(s).starts_with("200 "));
    CHECK(s.rising("d1"));
  }
}

namespace {

/// As rows of Kamailio and of earlier versions are: they do not say whether there are other usages.
void forget_other_usages(memory_storage& rows) {
  change what{.changed_subscriptions = all_rows<subscription_row>(rows)};
  for (subscription_row& row : what.changed_subscriptions) row.other_usages = {};
  REQUIRE(rows.apply(what));
}

std::optional<bool> other_usages(memory_storage& rows, std::string_view event) {
  const auto found = all_rows<subscription_row>(rows, {.event = event});
  REQUIRE(found.size() == 1);
  return found[0].other_usages;
}

std::uint64_t calls_of(peers& s, const step& one) {
  const auto before = s.engine->stats().storage_calls;
  CHECK(one(s).starts_with("200 "));
  return s.engine->stats().storage_calls - before;
}

}  // namespace

TEST_CASE("a dialog with one usage costs no statement more, one with usages in two packages what the other state costs (T16, T17)") {
  for (const bool shared : {false, true}) {
    CAPTURE(shared);
    const std::uint64_t state = shared ? 4 : 3;  // stamp, publications, subscriptions, watchers
    peers s{with(shared ? 3 : 1, !shared, 0, 64)};
    const step refresh = subscribes("d1", {.by = "alice", .expires = 600s, .event = "presence"});
    refresh(s);
    s.restart();
    CHECK(calls_of(s, refresh) == 1 + state + 1);  // the Call-ID, the state, the change
    const auto in_memory = shared ? 1 + state : 0;
    CHECK(calls_of(s, refresh) == in_memory + 1);
    s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "message-summary"});
    s.restart();
    CHECK(calls_of(s, refresh) == 1 + 2 * state + 1 + 1);  // and one look
    s.restart();
    CHECK(calls_of(s, publishes("t1:open")) == 2 * state + 1 + 1);
  }
}

TEST_CASE("rows that do not say whether their dialogs have other usages are looked at, until they say it (T07, C01)") {
  for (const bool shared : {false, true}) {
    CAPTURE(shared);
    peers s{with(shared ? 3 : 1, !shared, 0, 1)};
    s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "presence"});
    s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "message-summary"});
    CHECK(other_usages(s.held, "presence") == true);
    CHECK(other_usages(s.held, "message-summary") == true);
    forget_other_usages(s.held);
    s.restart();
    for (int n = 1; n < 9; ++n) CHECK(mails(n)(s).find("N d1#" + std::to_string(n + 2)) != std::string::npos);
    s.subscribe("d1", {.by = "alice", .expires = 0s, .event = "message-summary"});  // the row with the high numbers goes
    s.restart();
    CHECK(publishes("t1:open")(s).find("N d1#12") != std::string::npos);
    CHECK(s.rising("d1"));
    // and where there is one usage that is known from then on
    peers alone{with(shared ? 3 : 1, !shared, 0, 1)};
    alone.subscribe("d1", {.expires = 600s});
    CHECK(other_usages(alone.held, "presence") == false);
    forget_other_usages(alone.held);
    alone.restart();
    const auto first = calls_of(alone, publishes("t1:open"));
    CHECK(other_usages(alone.held, "presence").has_value() == false);  // only numbers were written
    alone.subscribe("d1", {.expires = 600s});
    CHECK(other_usages(alone.held, "presence") == false);
    alone.restart();
    CHECK(calls_of(alone, publishes("t2:open")) == first - 1);
  }
}

namespace {

/// Instead of the engine of `s`, or beside it: one that serves presence alone.
struct lacking {
  peers& s;
  std::unique_ptr<presence::engine> with_all = {};
  bool beside;
  lacking(peers& of, options settings, bool beside_it) : s{of}, beside{beside_it} {
    if (!beside) s.engine.reset();
    settings.server_address = "sip:server.example.com";
    swap();
    s.engine = std::make_unique<presence::engine>(settings, host_hooks{}, &s.storages[1], s.random.get());
    REQUIRE(s.engine->add_event(presence_package(), s.at));
  }
  ~lacking() {
    swap();
    if (!beside) s.restart();
  }
  void swap() { std::swap(s.engine, with_all); }
};

}  // namespace

TEST_CASE("numbers used by an engine that lacks the package of another usage are known to who has it (PROP-2, L05, C01, T07)" *
          not_in("write_back", "it goes through the modes itself, and flushes where it asked for write-back")) {
  struct row {
    const char* name;
    step one;
  };
  const row rows[] = {
      {"told", publishes("t1:open")},
      {"refreshed", subscribes("d1", {.by = "alice", .expires = 700s, .event = "presence"})},
      {"another one begins", subscribes("d1", {.by = "alice", .expires = 700s, .event = "presence;id=2"})},
      {"a fetch", subscribes("d1", {.by = "alice", .expires = 0s, .event = "presence;id=3"})},
      {"it lapses", waits(250s)},
  };
  auto all = modes();
  all.push_back({"write-through", with(1, false, 0, 4)});
  all.push_back({"write-back", with(2, false, 0, 4)});
  all.push_back({"a number at a time", with(1, false, 0, 1)});
  for (const mode& m : all) {
    CAPTURE(m.name);
    for (const row& row : rows) {
      CAPTURE(row.name);
      peers s{m};
      s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "presence"});
      s.subscribe("d1", {.by = "alice", .expires = 3000s, .event = "message-summary"});
      for (const bool ends : {false, true}) {
        CAPTURE(ends);
        if (m.settings.subs_db_mode == 2) REQUIRE(s.engine->flush(s.at));
        {
          const lacking without{s, m.settings, m.settings.subs_db_mode == 3};
          for (int i = 0; i < 3; ++i) row.one(s);
          if (ends) s.subscribe("d1", {.by = "alice", .expires = 0s, .event = "presence"});  // and the row with the high numbers goes
          s.audit();
          if (m.settings.subs_db_mode == 2) REQUIRE(s.engine->flush(s.at));
        }
        CHECK(mails(ends ? 2 : 1)(s).find("N d1#") != std::string::npos);
        CHECK(s.rising("d1"));
        s.turn();
      }
    }
  }
}

TEST_CASE("two engines that work in one dialog at once use two numbers, also where one lacks a package (C01, RL6, PROP-2)") {
  const options settings = with(3, false, 0, 1);
  enum { who_has_it_is_quicker, who_lacks_it_is_quicker, who_lacks_it_comes_amid_reading };
  for (const step& one : {publishes("t1:open"), subscribes("d1", {.by = "alice", .expires = 0s, .event = "presence"})}) {
    for (const int order : {who_has_it_is_quicker, who_lacks_it_is_quicker, who_lacks_it_comes_amid_reading}) {
      CAPTURE(order);
      peers s{settings};
      s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "presence"});
      s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "message-summary"});
      {
        lacking without{s, settings, true};
        const auto other = [&](const step& what) {
          return [&] {
            without.swap();
            what(s);
            without.swap();
          };
        };
        const step mail = mails(1);
        if (order == who_has_it_is_quicker) s.storages[1].between = other(mail);
        else without.swap();
        if (order == who_lacks_it_is_quicker) s.storages[0].between = other(one);
        if (order == who_lacks_it_comes_amid_reading) s.storages[0].after_rows = other(one);
        (order == who_has_it_is_quicker ? one : mail)(s);
        CHECK(s.engine->stats().storage_conflicts == 1);
        if (order != who_has_it_is_quicker) without.swap();
      }
      CHECK(s.numbers("d1") == std::vector<std::uint32_t>{1, 2, 3, 4});
      CHECK(mails(2)(s).find("N d1#5") != std::string::npos);
    }
  }
}

TEST_CASE("states that share a dialog are read together or not at all (RL2, T07, C01)") {
  for (const bool shared : {false, true}) {
    CAPTURE(shared);
    peers s{with(shared ? 3 : 1, !shared, 0, 4)};
    s.subscribe("d1", {.by = "alice", .expires = 3600s, .event = "presence"});
    s.subscribe("d1", {.by = "alice", .expires = 3600s, .event = "message-summary"});
    for (std::size_t nth = 1;; ++nth) {
      REQUIRE(nth < 20);
      CAPTURE(nth);
      s.restart();
      s.storages[0].fail(nth);
      const std::string got = publishes("t" + std::to_string(nth) + ":open")(s);
      const bool armed = s.storages[0].armed();
      s.storages[0].fail(0);
      s.audit();
      if (armed) break;
      CHECK(got == "503 Retry-After=5");
      const std::size_t there = s.engine->stats().resources;
      CHECK((there == 0 || (!shared && there == 2)));
      CHECK(mails(static_cast<int>(nth))(s).starts_with("200 "));
      CHECK(s.rising("d1"));
      s.at += 5s;
    }
  }
}

TEST_CASE("states that share a dialog leave memory together, when both may (T07, G10)") {
  peers s{with(1, true, 1, 64)};
  s.answers = false;
  s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "presence"});
  s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "message-summary"});
  s.subscribe("d2", {.to = "carol", .expires = 600s});
  CHECK(s.engine->stats().resources == 3);  // all three wait for an answer
  s.outcome("d1", 1, 200);
  s.subscribe("d3", {.to = "dave", .expires = 600s});
  CHECK(s.engine->stats().resources == 4);  // one of the two waits still
  s.outcome("d1", 2, 200);
  s.subscribe("d4", {.to = "erin", .expires = 600s});
  CHECK(s.engine->stats().cache_evictions == 2);
  CHECK(s.engine->stats().resources == 3);
  s.answers = true;
  CHECK(mails(1)(s).starts_with("200 "));
  CHECK(publishes("t1:open")(s).starts_with("200 "));
  CHECK(s.rising("d1"));
  s.audit();
}

TEST_CASE("the answer to a NOTIFY ends one usage, and the others go on above its numbers (N13, C01, PROP-2)") {
  for (const mode& m : modes()) {
    CAPTURE(m.name);
    peers s{m};
    s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "presence"});
    s.turn();
    s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "message-summary"});
    s.answers = false;
    CHECK(mails(1)(s).find("N d1#3 active") != std::string::npos);
    CHECK(s.outcome("d1", 3, 481) == "");
    CHECK(s.engine->count_subscriptions({}) == 1);
    s.turn();
    s.answers = true;
    CHECK(mails(2, "e1")(s) == "200 e2 Expires=3600");
    CHECK(publishes("t1:open")(s) == "200 e3 Expires=3600 | N d1#4 active;expires=600 P(t1:open)");
    CHECK(s.rising("d1"));
  }
}

TEST_CASE("each engine tells of the packages it has, and a dialog's numbers rise all the same (C01, L05, PROP-2)") {
  memory_storage rows;
  options settings;
  settings.server_address = "sip:server.example.com";
  settings.subs_db_mode = 3;
  seeded_random random{1};
  engine without{settings, {}, &rows, &random}, both{settings, {}, &rows, &random};
  REQUIRE(without.add_event(presence_package(), start));
  REQUIRE(both.add_event(presence_package(), start));
  REQUIRE(both.add_event(message_summary_package(), start));
  std::uint32_t cseq = 0, last = 0;
  std::string tag;
  const auto subscribe = [&](engine& one, const char* event) {
    const effects out = one.subscribe({.resource = "sip:alice@example.com", .event = event, .expires = 600s, .call_id = "c", .from_tag = "f",
                                       .to_tag = tag, .from_uri = "sip:bob@example.com", .contact = "sip:bob@192.0.2.1", .cseq = ++cseq},
                                      start);
    REQUIRE(out.answer.status == 200);
    REQUIRE(out.notifies.size() == 1);
    CHECK(out.notifies[0].cseq > last);
    last = out.notifies[0].cseq;
    tag = out.answer.dialog.local_tag();
  };
  subscribe(both, "presence");
  subscribe(both, "message-summary");
  for (int i = 0; i < 3; ++i) {
    subscribe(without, "presence");
    subscribe(without, "presence");
    subscribe(both, "message-summary");
  }
  CHECK(other_usages(rows, "presence") == true);
}

TEST_CASE("a usage that nobody knows of shares the numbers of its dialog all the same (PROP-2, S07, RL2)") {
  memory_storage rows;
  scenario s{{.settings = with(1, true, 1, 1), .rows = &rows}};
  const auto evict = [&] {
    s.wait(2s);
    for (int i = 0; i < 4; ++i) s.publish("other" + std::to_string(i), {.body = "t1:open"});
  };
  s.subscribe("d1");
  auto other = all_rows<subscription_row>(rows);
  REQUIRE(!other.empty());
  dialog_fields fields = other[0].dialog.fields();
  other[0].event = fields.event = "message-summary";
  other[0].dialog = dialog{fields};
  other[0].other_usages = true;
  ++other[0].local_cseq;
  change behind;
  behind.new_subscriptions.push_back(other[0]);
  REQUIRE(rows.apply(behind));
  s.wait(40s);
  s.subscribe("d1", {.event = "presence"});
  s.subscribe("d1", {.event = "presence"});
  evict();
  s.publish("alice", {.raw = "Messages-Waiting: yes\r\n", .type = "application/simple-message-summary", .event = "message-summary"});
  evict();
  s.publish("alice", {.body = "t1:open"});
  std::uint32_t last = 0;
  std::set<std::string> events;
  for (const notify& n : s.dialogs["d1"].notifies) {
    CHECK(n.cseq > last);
    last = n.cseq;
    events.emplace(n.dialog.event());
  }
  CHECK(events.size() == 2);
}
