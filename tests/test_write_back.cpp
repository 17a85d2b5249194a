// Write-back (T05, M02): what is acknowledged at once and written later is in the end what write-through
// would have written; what a crash takes is what the mode says.
#include "all_rows.hpp"
#include "faulty_storage.hpp"
#include "scenario.hpp"

#include <random>

#include <presence/memory_storage.hpp>
#include <presence/write_back_storage.hpp>

using namespace presence;
using namespace presence::test;

namespace {

/// Everything a storage has, in the order of its keys.
struct content {
  std::map<std::string, publication_row> publications;
  std::map<std::string, subscription_row> subscriptions;
  std::map<std::string, watcher_row> watchers;
  friend bool operator==(const content&, const content&) = default;
};

content all_of(storage& rows) {
  content all;
  for (auto& r : all_rows<publication_row>(rows)) all.publications.emplace(r.resource + " " + r.event + " " + r.etag, r);
  for (auto& r : all_rows<subscription_row>(rows)) all.subscriptions.emplace(std::string{r.dialog.call_id()}, r);
  for (auto& r : all_rows<watcher_row>(rows)) all.watchers.emplace(r.resource + " " + r.watcher, r);
  return all;
}

std::size_t rows_in(storage& rows) {
  const content all = all_of(rows);
  return all.publications.size() + all.subscriptions.size() + all.watchers.size();
}

publication_row publication(int n, std::string etag, std::string text) {
  return {.resource = "sip:p" + std::to_string(n) + "@example.com", .event = "presence", .etag = std::move(etag), .id = 1,
          .content = body{"text/plain", text}, .since = start, .expires = start + 1h};
}

subscription_row subscription_of(int n, std::uint32_t cseq) {
  return {.resource = "sip:alice@example.com", .event = "presence",
          .dialog = dialog{{.call_id = "c" + std::to_string(n), .local_tag = "l", .remote_tag = "r", .remote_uri = "sip:bob@example.com",
                            .event = "presence", .watcher = "sip:bob@example.com"}},
          .local_cseq = cseq, .remote_cseq = 1, .since = start, .expires = start + 1h};
}

scenario::setup write_back_on(storage& rows) {
  scenario::setup given;
  given.rows = &rows;
  given.settings.subs_db_mode = 2;
  return given;
}

}  // namespace

TEST_CASE("after a flush the database is what write-through would have made of it, whatever happened between (T05, T09, RL2)") {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    memory_storage through, behind;
    faulty_storage between{behind};
    write_back_storage back{between};
    int tags = 0;
    std::map<int, std::string> live;                 // publications: resource -> etag
    std::map<int, std::uint32_t> dialogs;            // subscriptions: number -> CSeq
    for (int step = 0; step < 100; ++step) {
      change c;
      const int n = below(4);
      switch (below(8)) {
        case 0:
          if (live.contains(n)) break;
          live[n] = "e" + std::to_string(++tags);
          c.new_publications.push_back(publication(n, live[n], std::to_string(step)));
          break;
        case 1: {
          if (!live.contains(n)) break;
          const std::string old = std::exchange(live[n], below(3) == 0 ? live[n] : "e" + std::to_string(++tags));
          publication_row row = publication(n, live[n], std::to_string(step));
          const bool changed = below(2) == 0;
          if (!changed) row.content = all_of(through).publications.at(row.resource + " presence " + old).content;
          c.changed_publications.push_back({old, changed, row});
          break;
        }
        case 2:
          if (!live.contains(n)) break;
          c.ended_publications.push_back({publication(n, {}, {}).resource, "presence", live[n]});
          if (below(2) == 0) {  // the same key again, as hard state has it
            c.new_publications.push_back(publication(n, live[n], std::to_string(step)));
          } else {
            live.erase(n);
          }
          break;
        case 3:
          if (dialogs.contains(n)) break;
          dialogs[n] = 1;
          c.new_subscriptions.push_back(subscription_of(n, 1));
          break;
        case 4:
          if (!dialogs.contains(n)) break;
          c.changed_subscriptions.push_back(subscription_of(n, dialogs[n] += 7));
          break;
        case 5:
          if (!dialogs.contains(n)) break;
          c.reservations.push_back({key_of(subscription_of(n, 0)), dialogs[n] += 64, 3});
          break;
        case 6:
          if (dialogs.erase(n) != 0) c.ended_subscriptions.push_back(key_of(subscription_of(n, 0)));
          break;
        case 7: {
          const watcher_row row{.resource = "sip:alice@example.com", .event = "presence", .watcher = "sip:w" + std::to_string(n) + "@example.com",
                                .since = start + std::chrono::seconds{step}};
          if (below(2) == 0) {
            c.watchers.push_back(row);
          } else {
            c.ended_watchers.push_back({row.resource, row.event, row.watcher});
          }
        }
      }
      REQUIRE(through.apply(c));
      REQUIRE(back.apply(c));
      if (below(20) != 0) continue;
      const int fault = below(4);
      if (fault == 1) between.lose_answer();  // it is written, and nobody knows
      if (fault == 2) between.fail(1);
      const bool fails = back.held_back() != 0 && (fault == 1 || fault == 2);
      CHECK(back.flush(static_cast<std::size_t>(1 + below(5))).has_value() == !fails);
      between.lose_answer(0);
      between.fail(0);
      CHECK(back.held_back() <= 4 + 4 + 4 + static_cast<std::size_t>(tags));
    }
    CHECK(all_of(back) == all_of(through));
    CHECK(back.held_back() == 0);
    CHECK(all_of(behind) == all_of(through));
  }
}

TEST_CASE("what came and went is never written, and a hundred refreshes are one row operation (T05, T17)") {
  memory_storage rows;
  faulty_storage counted{rows};
  write_back_storage back{counted};
  for (int i = 0; i < 100; ++i) {
    change c;
    if (i == 0) c.new_publications.push_back(publication(1, "e0", "x"));
    if (i != 0) c.changed_publications.push_back({"e" + std::to_string(i - 1), false, publication(1, "e" + std::to_string(i), "x")});
    REQUIRE(back.apply(c));
  }
  CHECK(back.held_back() == 1);
  change gone;
  gone.new_subscriptions.push_back(subscription_of(1, 1));
  REQUIRE(back.apply(gone));
  gone = {};
  gone.ended_subscriptions.push_back(key_of(subscription_of(1, 1)));
  REQUIRE(back.apply(gone));
  CHECK(back.held_back() == 1);
  REQUIRE(back.flush(10));
  CHECK(counted.writes() == 1);
  CHECK(all_of(rows).publications.begin()->second.etag == "e99");
}

TEST_CASE("in write-back mode nothing is written before db_update_period is over, then everything, then again (M02, T05)") {
  memory_storage rows;
  scenario s{write_back_on(rows)};
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600");
  CHECK(s.subscribe("d1", {.expires = 3600s}) == "200 Expires=3600 | N d1#1 active;expires=3600 P(t1:open)");
  s.wait(99s);
  CHECK(rows_in(rows) == 0);
  CHECK(s.engine->stats().held_back == 2);
  s.wait(1s);
  CHECK(rows_in(rows) == 2);
  CHECK(s.engine->stats().held_back == 0);
  s.publish("alice", {.if_match = "e1", .expires = 0s});
  s.wait(100s);
  CHECK(rows_in(rows) == 1);
  s.audit();
}

TEST_CASE("with db_update_period 0 only flush() writes, and a clean end loses nothing (M02, T05, T12)") {
  memory_storage rows;
  scenario::setup given = write_back_on(rows);
  given.settings.db_update_period = 0s;
  scenario s{given};
  s.publish("alice", {.body = "t1:open", .expires = 3600s});
  s.subscribe("d1", {.expires = 3600s});
  for (int i = 0; i < 10; ++i) s.publish("alice", {.body = i % 2 == 0 ? "t1:closed" : "t1:open", .if_match = "e" + std::to_string(i + 1)});
  s.wait(1000s);
  CHECK(rows_in(rows) == 0);
  REQUIRE(s.engine->flush(s.at));
  CHECK(rows_in(rows) == 2);
  const std::uint32_t used = s.dialogs["d1"].notifies.back().cseq;
  s.restart();
  s.publish("alice", {.body = "t1:closed", .if_match = "e11"});
  CHECK(s.dialogs["d1"].notifies.back().cseq == used + 1);
}

TEST_CASE("a crash takes what was not written: 412, 481, and a number of a NOTIFY is never used twice (T05, N09)") {
  memory_storage rows;
  scenario s{write_back_on(rows)};
  s.publish("alice", {.body = "t1:open"});
  s.subscribe("d1", {.expires = 3600s});
  s.wait(100s);
  std::uint32_t used = 0;
  for (int i = 0; i < 500; ++i) s.publish("alice", {.body = i % 2 == 0 ? "t1:closed" : "t1:open", .if_match = "e" + std::to_string(i + 1)});
  used = s.dialogs["d1"].notifies.back().cseq;
  CHECK(used > 500);
  s.subscribe("d2", {.by = "carol", .expires = 3600s});
  s.restart();
  CHECK(s.publish("alice", {.body = "t1:open", .if_match = "e501"}) == "412");
  CHECK(s.publish("alice", {.body = "t2:open", .if_match = "e1"}).starts_with("200"));  // as it was written
  CHECK(s.subscribe("d2", {.expires = 3600s}) == "481");
  CHECK(s.dialogs["d1"].notifies.back().cseq > used);
}

TEST_CASE("nor after a restart, whatever it is used for first and however often the engine crashes (T05, N09, RL3)") {
  enum class use { change, refresh, leave, lapse };
  for (const use first : {use::change, use::refresh, use::leave, use::lapse}) {
    CAPTURE(static_cast<int>(first));
    memory_storage rows;
    scenario s{write_back_on(rows)};
    s.subscribe("d1", {.expires = 600s});
    REQUIRE(s.engine->flush(s.at));  // a clean end
    s.restart();
    std::uint32_t used = s.dialogs["d1"].notifies.back().cseq;
    for (int crash = 0; crash < 3; ++crash) {
      CAPTURE(crash);
      if (first == use::change) s.publish("alice", {.body = crash % 2 == 0 ? "t1:open" : "t1:closed"});
      if (first == use::refresh) s.subscribe("d1", {.expires = 600s});
      if (first == use::leave) s.subscribe("d1", {.expires = 0s});
      if (first == use::lapse) s.at = start + 600s, s.told(s.engine->advance(s.at));
      CHECK(s.dialogs["d1"].notifies.back().cseq > used);
      used = s.dialogs["d1"].notifies.back().cseq;
      s.restart();  // nothing was flushed
    }
  }
}

TEST_CASE("numbers of who takes the place of one that is stored are written at once: a crash brings that one back (T05, N09, RL3)") {
  const subscription_key key = key_of(subscription_of(1, 0));
  for (const bool together : {true, false}) {
    CAPTURE(together);
    memory_storage rows;
    write_back_storage back{rows};
    REQUIRE(back.apply({.new_subscriptions = {subscription_of(1, 3)}}));
    REQUIRE(back.flush(100));
    const auto stored = [&] { return all_of(rows).subscriptions.at("c1").local_cseq; };
    if (!together) REQUIRE(back.apply({.ended_subscriptions = {key}}));
    REQUIRE(back.apply({.ended_subscriptions = together ? std::vector{key} : std::vector<subscription_key>{}, .new_subscriptions = {subscription_of(1, 100)}}));
    CHECK(stored() == 100);
    REQUIRE(back.apply({.reservations = {{key, 200, 0}}}));
    CHECK(stored() == 200);
    REQUIRE(back.flush(100));
    CHECK(stored() == 200);
  }
}

TEST_CASE("usages of one dialog are written together, however little is written at once (T05, N09, RL3)") {
  memory_storage rows;
  write_back_storage back{rows};
  subscription_row first = subscription_of(1, 3), second = first;
  second.event = "message-summary";
  REQUIRE(back.apply({.new_subscriptions = {first, second, subscription_of(2, 3)}}));
  const auto stored = [&] {
    std::vector<subscription_row> all;
    cursor at;
    REQUIRE(rows.subscriptions({}, at, 100, all));
    return all.size();
  };
  REQUIRE(back.flush(1));
  CHECK(stored() == 2);
  CHECK(back.held_back() == 1);
  REQUIRE(back.flush(1));
  CHECK(stored() == 3);
  REQUIRE(back.apply({.ended_subscriptions = {key_of(first), key_of(second)}}));
  REQUIRE(back.flush(1));
  CHECK(stored() == 1);
}

TEST_CASE("the first number after a restart needs the database, and waits for it (T05, RL2)") {
  memory_storage rows;
  faulty_storage faulty{rows};
  scenario s{write_back_on(faulty)};
  s.subscribe("d1", {.expires = 3600s});
  REQUIRE(s.engine->flush(s.at));
  s.restart();
  faulty.fail_all(true);
  CHECK(s.publish("alice", {.body = "t1:open"}) == "503 Retry-After=5");
  faulty.fail_all(false);
  CHECK(s.publish("alice", {.body = "t1:open"}) == "200 e1 Expires=3600 | N d1#2 active;expires=3600 P(t1:open)");
  const std::size_t writes = faulty.writes();
  CHECK(s.publish("alice", {.body = "t1:closed", .if_match = "e1"}) == "200 e2 Expires=3600 | N d1#3 active;expires=3600 P(t1:closed)");
  CHECK(faulty.writes() == writes);  // once
  CHECK(rows_in(rows) == 1);         // the publication is held back
}

TEST_CASE("a database that is gone stops nobody in write-back mode, and gets everything when it is back (RL2, T05)") {
  memory_storage rows;
  faulty_storage faulty{rows};
  scenario::setup given = write_back_on(faulty);
  given.settings.clean_period = 0s;
  scenario s{given};
  s.publish("alice", {.body = "t1:open"});
  faulty.fail_all(true);
  s.wait(102s);
  CHECK(s.engine->stats().storage_faults == 1);
  CHECK(s.subscribe("d1", {.expires = 60s}) == "200 Expires=60 | N d1#1 active;expires=60 P(t1:open)");
  CHECK(s.wait(60s) == "N d1#2 terminated;reason=timeout");
  CHECK(s.subscribe("d2", {.by = "carol", .expires = 3600s}).starts_with("200"));
  CHECK_FALSE(s.engine->flush(s.at));
  faulty.fail_all(false);
  s.wait(5s);
  CHECK(rows_in(rows) == 2);
  CHECK(s.engine->stats().held_back == 0);
}

TEST_CASE("what ends after a flush that was made and not answered for does not come back (T05, RL2)") {
  memory_storage rows;
  faulty_storage faulty{rows};
  scenario s{write_back_on(faulty)};
  s.subscribe("d1", {.expires = 600s});
  s.publish("alice", {.body = "t1:open"});
  s.publish("alice", {.body = "t2:open"});
  faulty.lose_answer();
  CHECK_FALSE(s.engine->flush(s.at));
  CHECK(s.publish("alice", {.if_match = "e1", .expires = 0s}).starts_with("200"));
  CHECK(s.publish("alice", {.body = "t2:closed", .if_match = "e2"}).starts_with("200"));
  CHECK(s.subscribe("d1", {.expires = 0s}).starts_with("200"));
  CHECK(s.engine->flush(s.at));
  CHECK(rows_in(rows) == 1);
  s.restart();
  CHECK(s.subscribe("d2", {.by = "carol", .expires = 0s}).find("P(t2:closed)") != std::string::npos);
}

TEST_CASE("after a flush that was made and not answered for no number comes twice (T05, RL2, PROP-2)") {
  for (const int mode : {1, 2}) {
    CAPTURE(mode);
    memory_storage rows;
    faulty_storage faulty{rows};
    scenario::setup given;
    given.rows = &faulty;
    given.settings.subs_db_mode = mode;
    given.settings.cseq_block = 100;
    scenario s{given};
    s.subscribe("d1", {.expires = 600s});
    s.publish("alice", {.body = "t1:open"});
    CHECK(s.engine->flush(s.at));
    s.publish("alice", {.body = "t1:closed", .if_match = "e1"});
    faulty.lose_answer();
    CHECK_FALSE(s.engine->flush(s.at));
    s.publish("alice", {.body = "t1:open", .if_match = "e2"});
    s.restart();  // as after a crash
    s.publish("alice", {.body = "t2:open"});
    const auto& told = s.dialogs["d1"].notifies;
    for (std::size_t i = 1; i < told.size(); ++i) CHECK(told[i].cseq > told[i - 1].cseq);
    CHECK(told.size() == 5);
  }
}

TEST_CASE("a refresh that is held back keeps the content that is held back (T05)") {
  memory_storage rows;
  write_back_storage back{rows};
  publication_row refreshed = publication(1, "e2", "");
  refreshed.content = {};
  REQUIRE(back.apply({.new_publications = {publication(1, "e1", "x")}}));
  REQUIRE(back.apply({.changed_publications = {{"e1", false, refreshed}}}));
  REQUIRE(back.flush(10));
  CHECK(all_of(rows).publications.begin()->second == publication(1, "e2", "x"));
}

TEST_CASE("numbers of rows that are stored are written at once, those of others with their rows (T05, N09)") {
  memory_storage rows;
  faulty_storage faulty{rows};
  write_back_storage back{faulty};
  REQUIRE(back.apply({.new_subscriptions = {subscription_of(1, 1)}}));
  REQUIRE(back.flush(10));
  REQUIRE(back.apply({.new_subscriptions = {subscription_of(2, 1)}}));
  REQUIRE(back.apply({.reservations = {{key_of(subscription_of(1, 1)), 64, 0}}}));
  CHECK(all_of(rows).subscriptions.at("c1").local_cseq == 64);
  CHECK(back.held_back() == 1);  // the new row
  faulty.fail_all(true);
  CHECK(back.apply({.reservations = {{key_of(subscription_of(2, 1)), 128, 0}}}));
  CHECK_FALSE(back.apply({.reservations = {{key_of(subscription_of(1, 1)), 128, 0}}}));
  faulty.fail_all(false);
  REQUIRE(back.flush(10));
  CHECK(all_of(rows).subscriptions.at("c1").local_cseq == 64);
  CHECK(all_of(rows).subscriptions.at("c2").local_cseq == 128);
  REQUIRE(back.apply({.ended_subscriptions = {key_of(subscription_of(1, 1))}}));
  REQUIRE(back.apply({.reservations = {{key_of(subscription_of(1, 1)), 256, 0}}}));  // nobody needs them
  const std::size_t writes = faulty.writes();
  REQUIRE(back.flush(10));
  CHECK(faulty.writes() == writes + 1);
  REQUIRE(back.apply({.new_subscriptions = {subscription_of(3, 1)}}));
  CHECK(all_rows<subscription_row>(back).size() == 2);
}

TEST_CASE("rows that somebody took away or put there are mended by the flush: what the engine holds counts (T05)") {
  memory_storage rows;
  write_back_storage back{rows};
  change c;
  c.new_publications.push_back(publication(1, "e1", "x"));
  c.new_subscriptions.push_back(subscription_of(1, 1));
  c.new_subscriptions.push_back(subscription_of(2, 1));
  REQUIRE(back.apply(c));
  REQUIRE(back.flush(10));
  change behind;
  behind.ended_publications.push_back({publication(1, {}, {}).resource, "presence", "e1"});
  behind.ended_subscriptions = {key_of(subscription_of(1, 1)), key_of(subscription_of(2, 1))};
  behind.new_subscriptions.push_back(subscription_of(3, 9));
  REQUIRE(rows.apply(behind));
  c = {};
  c.changed_publications.push_back({"e1", false, publication(1, "e2", "x")});
  c.changed_subscriptions.push_back(subscription_of(1, 5));
  c.new_subscriptions.push_back(subscription_of(3, 1));
  c.reservations.push_back({key_of(subscription_of(2, 1)), 64, 0});
  REQUIRE(back.apply(c));
  REQUIRE(back.flush(10));
  CHECK(back.held_back() == 0);
  const content all = all_of(rows);
  CHECK(all.publications.begin()->second == publication(1, "e2", "x"));
  CHECK(all.subscriptions.size() == 2);
  CHECK(all.subscriptions.at("c1") == subscription_of(1, 5));
  CHECK(all.subscriptions.at("c3") == subscription_of(3, 1));
}

TEST_CASE("a dialog whose numbers are nearly used up ends before they are, in every mode (N09, PROP-2)") {
  for (const std::string mode : {"1", "2", "3", "fallback2db"}) {
    CAPTURE(mode);
    memory_storage rows;
    scenario::setup given = write_back_on(rows);
    given.settings.new_usage_in_dialog = false;
    given.settings.fallback2db = mode.size() > 1;
    given.settings.subs_db_mode = given.settings.fallback2db ? 1 : mode[0] - '0';
    scenario s{given};
    s.subscribe("d1", {.expires = 3000s});
    s.subscribe("d2", {.by = "carol", .expires = 3000s});
    REQUIRE(s.engine->flush(s.at));
    subscription_row row;
    for (const auto& [call, one] : all_of(rows).subscriptions)
      if (call == s.dialogs["d1"].call_id) row = one;
    row.local_cseq = 0x7fffffffU - 1200000;  // after some two thousand crashes
    REQUIRE(rows.apply({.changed_subscriptions = {row}}));
    s.restart();
    std::string told = s.publish("alice", {.body = "t1:open"});
    told += s.wait(2s);
    CHECK(told.find("N d1#2 terminated;reason=timeout") != std::string::npos);
    CHECK(told.find("N d2#2 active") != std::string::npos);
    CHECK(s.dialogs["d1"].notifies.back().cseq == row.local_cseq + 1);
    CHECK(s.subscribe("d1", {.expires = 3000s}) == "481");
    REQUIRE(s.engine->flush(s.at));
    CHECK(all_of(rows).subscriptions.size() == 1);
  }
}
