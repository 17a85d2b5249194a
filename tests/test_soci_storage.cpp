/// What only a database can do: be reopened, be busy, be read-only, be shared, lose a table. The contract
/// itself is in test_storage.cpp; what only a file or only a server can do, in test_sqlite.cpp and
/// test_servers.cpp.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <presence/engine.hpp>
#include <presence/memory_storage.hpp>
#include <presence/packages.hpp>
#include <random>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "database.hpp"
#include "storage_rows.hpp"

using namespace presence;
using namespace presence::test;
using namespace storage_contract;

namespace {

std::uint64_t statements_for(soci_storage& rows, const change& what) {
  const std::uint64_t before = rows.counters().statements;
  apply(rows, what);
  return rows.counters().statements - before;
}

// n rows of each table.
change several(unsigned n) {
  change what;
  for (unsigned i = 0; i < n; ++i) {
    const std::string name = std::to_string(i);
    what.new_publications.push_back(publication("sip:alice@example.com", name, i + 1));
    what.new_subscriptions.push_back(subscription(name));
    what.watchers.push_back(watcher("sip:alice@example.com", "sip:w" + name + "@example.com"));
  }
  return what;
}

}  // namespace

TEST_CASE_TEMPLATE("a database opened again holds everything (T12)", Database, PRESENCE_EVERY_DATABASE) {
  const Database database;
  const change what = one_of_each();
  apply(*database.open(), what);
  CHECK(read_all(*database.open()) == rows_of(what));
}

TEST_CASE_TEMPLATE("a change costs the statements docs/storage.md says (T16, T17)", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database database;
  const auto rows = database.open();
  constexpr bool batches = Database::is_server;
  const auto of = [](std::uint64_t n) { return batches ? std::uint64_t{1} : n; };

  // one row of a kind: a statement; several kinds: BEGIN and COMMIT besides
  CHECK(statements_for(*rows, {}) == 0);
  CHECK(statements_for(*rows, one_of_each()) == 5);
  CHECK(rows->counters().transactions == 1);
  publication_row next = publication("sip:alice@example.com", "b", 1);
  CHECK(statements_for(*rows, {.changed_publications = {{.old_etag = "a", .row = next}}}) == 1);
  CHECK(statements_for(*rows, {.reservations = {{key_of(subscription("call")), 128, 2}}}) == 1);
  CHECK(statements_for(*rows, {.changed_subscriptions = {subscription("call")}}) == 1);
  CHECK(statements_for(*rows, {.watchers = one_of_each().watchers}) == 1);
  CHECK(statements_for(*rows, {.ended_publications = {key(next)}}) == 1);
  CHECK(statements_for(*rows, {.ended_subscriptions = {key_of(subscription("call"))}}) == 1);
  CHECK(statements_for(*rows, {.ended_watchers = {key(one_of_each().watchers[0])}}) == 1);
  CHECK(rows->counters().transactions == 1);
  CHECK(read_all(*rows) == contents{});

  // many rows: by kind
  const change many = several(50);
  CHECK(statements_for(*rows, many) == 2 + 3 * of(50));
  CHECK(statements_for(*rows, {.watchers = many.watchers}) == (batches ? 1 : 2 + 50));
  CHECK(statements_for(*rows, {.changed_subscriptions = many.new_subscriptions}) == 2 + of(50));
  change more;
  for (const auto& row : many.new_publications)
    more.changed_publications.push_back({.old_etag = row.etag, .row = row});
  more.changed_publications[7].content_changed = true;
  more.changed_subscriptions = many.new_subscriptions;
  for (const auto& row : many.new_subscriptions) more.reservations.push_back({key_of(row), 7, 7});
  CHECK(statements_for(*rows, more) == 2 + 3 * of(50));
  change end;
  for (const auto& row : many.new_publications) end.ended_publications.push_back(key(row));
  for (const auto& row : many.new_subscriptions) end.ended_subscriptions.push_back(key_of(row));
  for (const auto& row : many.watchers) end.ended_watchers.push_back(key(row));
  CHECK(statements_for(*rows, end) == 2 + 3 * of(50));
  CHECK(read_all(*rows) == contents{});

  // a row named twice begins a new statement; so does a megabyte of values
  apply(*rows, several(3));
  change twice;
  for (const char* tag : {"0", "1", "0", "2"})
    twice.changed_publications.push_back(
        {.old_etag = tag, .row = publication("sip:alice@example.com", tag, 9)});
  CHECK(statements_for(*rows, twice) == 2 + (batches ? 2 : 4));
  change big;
  for (unsigned i = 0; i < 40; ++i) {
    big.new_publications.push_back(publication("sip:alice@example.com", "big" + std::to_string(i), 100 + i));
    big.new_publications.back().content = body{"text/plain", std::string(65536, 'x')};
  }
  const std::uint64_t statements = statements_for(*rows, big);
  CHECK(statements <= (batches ? 2 + 6 : 2 + 40));
  CHECK(read_all(*rows, {}, 50).publications.size() == 43);

  // reading and sweeping
  const std::uint64_t before = rows->counters().statements, read = rows->counters().rows_read;
  std::vector<subscription_row> out;
  cursor at;
  CHECK(rows->subscriptions({}, at, 2, out));
  CHECK(rows->counters().statements == before + 1);
  CHECK(rows->counters().rows_read == read + 2);
  CHECK(rows->sweep(noon, {"presence"}));
  CHECK(rows->counters().statements == before + 5);
  CHECK(rows->counters().faults == 0);
  CHECK(rows->counters().connects == 1);
}

TEST_CASE_TEMPLATE("bodies of any bytes and any length come and change in batches (T16)", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database database;
  const auto rows = database.open();
  std::mt19937 random{7};
  change create, modify;
  for (unsigned i = 0; i < 12; ++i) {
    auto row = publication("sip:alice@example.com", std::to_string(i), i + 1);
    for (change* what : {&create, &modify}) {
      std::string bytes(i % 3 == 0 ? 70000 + i * 1000 : i, '\0');
      for (char& c : bytes) c = static_cast<char>(random());
      row.content = body{"application/octet-stream", bytes};
      if (what == &create) create.new_publications.push_back(row);
      const bool content = i % 2 == 0;
      if (what == &modify) modify.changed_publications.push_back({row.etag, content, row});
      if (what == &modify && !content) modify.changed_publications.back().row.content = {};
    }
  }
  apply(*rows, create);
  CHECK(read_all(*rows, {}, 100) == rows_of(create));
  apply(*rows, modify);
  contents expected = rows_of(create);
  for (unsigned i = 0; i < 12; i += 2)
    expected.publications[i].content = modify.changed_publications[i].row.content;
  CHECK(read_all(*rows, {}, 100) == expected);
}

TEST_CASE_TEMPLATE("while another connection has written, a change is unavailable and works later (T18)",
                   Database, PRESENCE_EVERY_DATABASE) {
  const Database database;
  soci_settings settings = database.settings();
  settings.busy_timeout = seconds{0};
  const auto rows = database.open(settings);
  apply(*rows, one_of_each());
  const subscription_row call = subscription("call");
  {
    const auto other = database.busy();
    const auto refused = [&](const change& what) {
      const storage_error error = error_of(rows->apply(what));
      CHECK(error.fault == storage_fault::unavailable);
      CHECK(error.nothing_written);
    };
    refused({.ended_publications = {key(one_of_each().new_publications[0])}});
    refused({.reservations = {{key_of(call), 99, 99}}});
    refused({.new_publications = {publication("sip:alice@example.com", "b", 2)},
             .reservations = {{key_of(call), 99, 99}, {key_of(call), 100, 100}}});
    CHECK_FALSE(rows->sweep(noon + seconds{3600}, {}));
    CHECK(read_all(*rows) == rows_of(one_of_each()));  // reading goes on
  }
  CHECK(rows->counters().faults == 4);
  apply(*rows, {.reservations = {{key_of(call), 99, 99}}});
  CHECK(read_all(*rows).subscriptions[0].local_cseq == 99);
}

TEST_CASE_TEMPLATE("a page read halfway holds no lock and no snapshot (T19)", Database, PRESENCE_EVERY_DATABASE) {
  const Database database;
  const auto a = database.open(), b = database.open();
  change what = one_of_each();
  what.new_publications.push_back(publication("sip:alice@example.com", "b", 2));
  apply(*a, what);
  std::vector<publication_row> out;
  cursor at;
  REQUIRE(a->publications({}, at, 1, out));
  apply(*b, {.ended_publications = {key(what.new_publications[0])}});
  apply(*a, {.ended_publications = {key(what.new_publications[1])}});
  CHECK(read_all(*b).publications.empty());
  CHECK(read_all(*a).publications.empty());
  CHECK(a->counters().faults == 0);
}

TEST_CASE("pages of a table that postgres has no statistics of read each row once (T19, PF8)") {
  constexpr std::size_t rows = 20'000;
  const postgres_database database;
  {
    const auto opened = database.open();
    database.run("ALTER TABLE active_watchers SET (autovacuum_enabled = off)");
    change what;
    for (std::size_t i = 0; i < rows; ++i) what.new_subscriptions.push_back(subscription(std::to_string(i)));
    apply(*opened, what);
    std::vector<subscription_row> page;
    for (cursor at; !at.done;) REQUIRE(opened->subscriptions({.event = "presence"}, at, 500, page));
    REQUIRE(page.size() == rows);
  }
  std::size_t read = 0;  // told when the connection has ended
  for (int tries = 0; read < rows && tries < 500; ++tries) {
    std::this_thread::sleep_for(milliseconds{20});
    read = std::stoul(database.value("SELECT CAST(sum(idx_tup_read) AS bigint) FROM pg_stat_user_indexes"
                                     " WHERE relname = 'active_watchers'"));
  }
  CHECK(read >= rows);
  CHECK(read < rows + 500);
}

TEST_CASE_TEMPLATE("a conflict between two connections is seen by the second", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database database;
  const auto a = database.open(), b = database.open();
  apply(*a, one_of_each());
  publication_row next = publication("sip:alice@example.com", "b", 1);
  apply(*a, {.changed_publications = {{.old_etag = "a", .row = next}}});
  next.etag = "c";
  CHECK(error_of(b->apply({.changed_publications = {{.old_etag = "a", .row = next}}})).fault ==
        storage_fault::conflict);
  CHECK(error_of(b->apply(one_of_each())).fault == storage_fault::conflict);
  apply(*b, {.changed_publications = {{.old_etag = "b", .row = next}}});
  CHECK(b->counters().conflicts == 2);
  CHECK(b->counters().connects == 1);
}

TEST_CASE_TEMPLATE("a connection that may only read does so, and every write is unavailable", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database database;
  apply(*database.open(), one_of_each());
  soci_settings settings = database.settings();
  settings.read_only = true;
  const auto rows = database.open(settings);
  CHECK(read_all(*rows) == rows_of(one_of_each()));
  CHECK(error_of(rows->apply({.ended_watchers = {{"a", "b", "c"}}})).fault == storage_fault::unavailable);
  change more = one_of_each();
  more.new_publications[0].etag = "b";
  CHECK(error_of(rows->apply(more)).fault == storage_fault::unavailable);
  CHECK_FALSE(rows->sweep(noon, {}));
  CHECK(read_all(*rows) == rows_of(one_of_each()));
  database.run("DROP TABLE watchers");
  CHECK_FALSE(create_schema(settings));
  CHECK_FALSE(database.has_table("watchers"));
}

TEST_CASE_TEMPLATE("a table that vanishes is a corrupt schema, and comes back with create_schema", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database database;
  const auto rows = database.open();
  apply(*rows, one_of_each());
  database.run("DROP TABLE watchers");
  CHECK(error_of(rows->apply({.ended_watchers = {{"a", "b", "c"}}})).fault == storage_fault::corrupt);
  change more = one_of_each();
  more.new_publications[0].etag = "b";
  more.new_subscriptions[0] = subscription("call-2");
  CHECK(error_of(rows->apply(more)).fault == storage_fault::corrupt);
  REQUIRE(create_schema(database.settings()));
  const contents all = read_all(*rows);
  CHECK(all.publications == one_of_each().new_publications);
  CHECK(all.subscriptions == one_of_each().new_subscriptions);
  apply(*rows, more);
}

TEST_CASE_TEMPLATE("a page with a row that cannot be understood fails whole", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database database;
  const auto rows = database.open();
  apply(*rows, {.new_publications = {publication("sip:alice@example.com", "a", 1),
                                     publication("sip:alice@example.com", "b", 2)}});
  database.forget_username(2);
  std::vector<publication_row> out{publication("sip:bob@example.com", "c", 3)};
  cursor at;
  CHECK(error_of(rows->publications({}, at, 10, out)).fault == storage_fault::corrupt);
  CHECK(out.size() == 1);
  CHECK(at.after == 0);
  CHECK_FALSE(at.done);
  database.run("DELETE FROM presentity WHERE id = 2");
  CHECK(read_all(*rows).publications.size() == 1);
}

TEST_CASE_TEMPLATE("numbers that make no sense harm no other row (T18)", Database, PRESENCE_EVERY_DATABASE) {
  const Database database;
  const auto rows = database.open();
  const std::vector<std::string> known{"presence"};
  for (const std::string nonsense : {"9223372036854775807", "-9223372036854775808"}) {
    change what = one_of_each();
    const instant over = what.new_publications[0].expires;
    what.states = {{{"sip:alice@example.com", "presence"}, {}, 1, over}};
    apply(*rows, what);
    for (const std::string set : {"presentity SET x_expires_ms", "presentity SET x_received_ms",
                                  "active_watchers SET x_expires_ms", "active_watchers SET x_since_ms",
                                  "watchers SET x_inserted_ms", "presence_states SET turns_ms"})
      database.run("UPDATE " + set + " = " + nonsense);
    apply(*rows, {.new_publications = {publication("sip:carol@example.com", "c")}});
    const auto sensible = [](instant t) { return -never.time_since_epoch() <= t.time_since_epoch() && t <= never; };
    const contents all = read_all(*rows);
    for (const auto& row : all.publications) CHECK((sensible(row.expires) && sensible(row.since)));
    for (const auto& row : all.subscriptions) CHECK((sensible(row.expires) && sensible(row.since)));
    for (const auto& row : all.watchers) CHECK(sensible(row.since));
    const auto mark = rows->mark("sip:alice@example.com", "presence");
    REQUIRE(mark);
    CHECK((mark->turns && sensible(*mark->turns)));
    std::vector<state_name> due;
    const instant later = over + seconds{86400L * 365 * 200};
    CHECK(rows->due({.now = later, .waiting_since = later, .others = later}, known, 100, due));
    CHECK(std::count(due.begin(), due.end(), state_name{"sip:carol@example.com", "presence"}) == 1);
    CHECK(rows->sweep(later, {}));
    for (const std::string table : {"presentity", "active_watchers", "watchers", "presence_states"})
      database.run("DELETE FROM " + table);
  }
}

TEST_CASE("a mariadb id that is no signed number is corrupt, and is not read for ever (T19)") {
  const mariadb_database database;
  const auto rows = database.open();
  apply(*rows, {.new_publications = {publication("sip:alice@example.com", "a", 1)}});
  database.run("UPDATE presentity SET id = 9223372036854775809");
  std::vector<publication_row> out;
  cursor at;
  CHECK(error_of(rows->publications({}, at, 1, out)).fault == storage_fault::corrupt);
}

TEST_CASE_TEMPLATE("errors name no value of a row", Database, PRESENCE_EVERY_DATABASE) {
  const Database database;
  const auto rows = database.open();
  change what = one_of_each();
  what.new_publications[0].content = body{"text/plain", "a secret"};
  what.new_publications[0].etag = "secret-tag";
  apply(*rows, what);
  CHECK(error_of(rows->apply(what)).text.find("secret") == std::string::npos);
  if constexpr (std::is_same_v<Database, mariadb_database>) {
    database.run("ALTER TABLE presentity MODIFY sender VARCHAR(255) CHARACTER SET ascii NOT NULL");
    what.new_publications[0].sender = "sip:secret\xc3\xa9";
    CHECK(error_of(rows->apply(what)).text == "Incorrect string value");
  }
  database.run("DROP TABLE presentity");
  CHECK(error_of(rows->apply(what)).text.find("secret") == std::string::npos);
  database.run("CREATE TABLE presentity (id INTEGER)");
  CHECK(error_of(rows->apply(what)).text.find("secret") == std::string::npos);
}

TEST_CASE_TEMPLATE("a database and memory agree on any sequence of changes (T09, T01)", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database place;
  const auto database = place.open();
  memory_storage model;
  std::mt19937 random{20240607};
  const auto pick = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  const auto resource = [&] { return "sip:r" + std::to_string(pick(3)) + "@example.com"; };
  const auto event = [&] { return pick(4) == 0 ? "dialog" : "presence"; };
  unsigned conflicts = 0;
  for (std::uint64_t step = 1; step <= 3000; ++step) {
    change what;
    for (unsigned n = pick(10) == 0 ? pick(20) : pick(4); n != 0; --n) {
      auto row = publication(resource(), "t" + std::to_string(pick(6)), step * 32 + n, event());
      row.expires = noon + milliseconds{pick(5000)};
      auto call = subscription("c" + std::to_string(pick(6)), resource(), event());
      call.expires = noon + milliseconds{pick(5000)};
      call.version = pick(100);
      const auto who = watcher(resource(), "sip:w" + std::to_string(pick(4)) + "@example.com", event());
      switch (pick(9)) {
        case 0:
          what.ended_publications.push_back(key(row));
          break;
        case 1:
          what.new_publications.push_back(row);
          break;
        case 2:
          what.changed_publications.push_back({"t" + std::to_string(pick(6)), pick(2) == 0, row});
          break;
        case 3:
          what.ended_subscriptions.push_back(key_of(call));
          break;
        case 4:
          what.new_subscriptions.push_back(call);
          break;
        case 5:
          what.changed_subscriptions.push_back(call);
          break;
        case 6:
          what.reservations.push_back({key_of(call), pick(1000), pick(1000)});
          break;
        case 7:
          what.ended_watchers.push_back(key(who));
          break;
        default:
          what.watchers.push_back(who);
          break;
      }
    }
    const auto expected = model.apply(what), found = database->apply(what);
    REQUIRE(found.has_value() == expected.has_value());
    if (!found) REQUIRE(found.error().fault == expected.error().fault);
    conflicts += found ? 0 : 1;
    if (pick(50) == 0) {
      const instant before = noon + milliseconds{pick(5000)};
      REQUIRE(*model.sweep(before, {"presence"}) == *database->sweep(before, {"presence"}));
    }
    if (step % 20 == 0) REQUIRE(read_all(*database) == read_all(model));
  }
  CHECK(conflicts > 500);
  CHECK(conflicts < 2500);
  CHECK(database->counters().faults == 0);
}

TEST_CASE_TEMPLATE("of changes that know the same stamp one is made, however many come at once (C01)", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database place;
  constexpr std::uint64_t rounds = 100;
  const state_name alice{"sip:alice@example.com", "presence"}, bob{"sip:bob@example.com", "presence"};
  std::atomic<std::uint64_t> faults = 0, conflicts = 0;
  place.open();
  const auto count_up = [&](unsigned who) {
    const auto rows = open_soci_storage(place.settings());
    for (std::uint64_t done = 0; rows && done < rounds;) {
      const auto a = (*rows)->mark(alice.resource, alice.event), b = (*rows)->mark(bob.resource, bob.event);
      if (!a || !b) {
        ++faults;
        continue;
      }
      change what{.states = {{alice, a->stamp, a->stamp + 1}, {bob, b->stamp, b->stamp + 1}}};
      if (who % 2 != 0) std::swap(what.states[0], what.states[1]);
      const auto made = (*rows)->apply(what);
      if (made) ++done;
      else ++(made.error().fault == storage_fault::conflict ? conflicts : faults);
    }
  };
  std::vector<std::thread> all;
  for (unsigned i = 0; i < 3; ++i) all.emplace_back(count_up, i);
  for (auto& one : all) one.join();
  CHECK(place.open()->mark(alice.resource, alice.event)->stamp == 3 * rounds);
  CHECK(place.open()->mark(bob.resource, bob.event)->stamp == 3 * rounds);
  CHECK(conflicts > 0);
  CHECK(faults == 0);
}

TEST_CASE_TEMPLATE("stamps cost a statement, and go after an hour in which nobody changed the state (C01, C02, T17)", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database place;
  const auto rows = place.open();
  const state_name alice{"sip:alice@example.com", "presence"}, bob{"sip:bob@example.com", "presence"};
  CHECK(rows->mark(alice.resource, alice.event)->stamp == 0);
  CHECK(statements_for(*rows, {.states = {{alice, 0, 1}}}) == 1);
  CHECK(statements_for(*rows, {.states = {{alice, 1, 2}}}) == 1);
  CHECK(statements_for(*rows, {.states = {{alice, 2, 3}}, .new_publications = {publication(alice.resource, "a", 1)}}) == 4);
  CHECK(statements_for(*rows, {.states = {{alice, 3, 4}, {bob, 0, 1}}}) == 4);
  const auto counted = [&](auto call) {
    const std::uint64_t before = rows->counters().statements;
    CHECK(call());
    return rows->counters().statements - before;
  };
  std::vector<state_name> due;
  CHECK(counted([&] { return rows->mark(alice.resource, alice.event).has_value(); }) == 1);
  CHECK(counted([&] { return rows->due({noon, noon}, {"presence"}, 10, due).has_value(); }) == 5);
  CHECK(counted([&] { return rows->due({noon, noon, "edge-1", noon}, {"presence"}, 10, due).has_value(); }) == 6);
  const auto later = std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now() + std::chrono::hours{1});
  apply(*rows, {.states = {{{"sip:carol@example.com", "presence"}, 0, 1, later}}});
  place.run("UPDATE presence_states SET touched = touched - 3601 WHERE username <> 'bob'");
  CHECK(counted([&] { return *rows->sweep(noon, {"presence"}) == 0; }) == 5);
  CHECK(place.rows("SELECT username FROM presence_states ORDER BY 1") == std::vector<std::string>{"bob", "carol"});
  CHECK(counted([&] { return rows->sweep(noon, {"presence"}).has_value(); }) == 4);  // once an hour
  CHECK(error_of(rows->apply({.states = {{alice, 4, 5}}})).fault == storage_fault::conflict);
  apply(*rows, {.states = {{alice, 0, 5}}});
}

TEST_CASE_TEMPLATE("a database without the table of stamps serves a single engine, and says what to do (C01)", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database place;
  place.open();
  place.run("DROP TABLE presence_states");
  const auto rows = open_soci_storage(place.settings());
  REQUIRE(rows);
  apply(**rows, one_of_each());
  CHECK((*rows)->sweep(noon, {"presence"}));
  const auto refused = (*rows)->mark("sip:alice@example.com", "presence");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().fault == storage_fault::corrupt);
  CHECK(refused.error().text.find("table 'presence_states' does not exist: run `presence-db create`") == 0);
  CHECK(error_of((*rows)->apply({.states = {{{"sip:alice@example.com", "presence"}, 0, 1}}})).fault == storage_fault::corrupt);
  for (const bool fallback : {false, true}) {
    engine one{{.fallback2db = fallback, .subs_db_mode = fallback ? 1 : 3, .new_usage_in_dialog = false}, {}, rows->get()};
    CHECK(one.add_event(opaque_package("presence"), noon).error().find("table 'presence_states' does not exist") != std::string::npos);
  }
  REQUIRE(create_schema(place.settings()));
  CHECK((*rows)->mark("sip:alice@example.com", "presence")->stamp == 0);
}

TEST_CASE_TEMPLATE("writers in several threads lose no update", Database, PRESENCE_EVERY_DATABASE) {
  const Database place;
  constexpr std::uint32_t rounds = 100;
  const auto count_up = [&] {
    const auto rows = place.open();
    for (std::uint32_t i = 0; i < rounds;) {
      std::vector<publication_row> out;
      cursor at;
      if (!rows->publications({}, at, 1, out)) continue;
      publication_row next = out[0];
      next.etag = std::to_string(std::stoul(next.etag) + 1);
      if (rows->apply({.changed_publications = {{.old_etag = out[0].etag, .row = next}}})) ++i;
    }
  };
  apply(*place.open(), {.new_publications = {publication("sip:alice@example.com", "0")}});
  std::thread first{count_up}, second{count_up};
  first.join();
  second.join();
  CHECK(read_all(*place.open()).publications[0].etag == std::to_string(2 * rounds));
}

TEST_CASE_TEMPLATE("what was acknowledged before SIGKILL is there after it (RL3)", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database place;
  REQUIRE(place.open() != nullptr);
  std::uint32_t acknowledged = 0;
  for (std::uint32_t round = 0; round < 10; ++round) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const std::uint32_t first = acknowledged;
    const pid_t child = fork();
    if (child == 0) {
      auto rows = open_soci_storage(place.settings());
      for (std::uint32_t n = first; rows; ++n) {
        const std::string name = std::to_string(n);
        if (!(*rows)->apply({.new_publications = {publication("sip:alice@example.com", name, n + 1)},
                             .new_subscriptions = {subscription(name)}})) {
          break;
        }
        if (write(ends[1], &n, sizeof n) != sizeof n) break;
      }
      _exit(1);
    }
    close(ends[1]);
    std::uint32_t last = 0;
    for (std::uint32_t n = 0; n < 20 + round * 7 && read(ends[0], &last, sizeof last) == sizeof last; ++n) {
    }
    kill(child, SIGKILL);
    while (read(ends[0], &last, sizeof last) == sizeof last) {
    }
    close(ends[0]);
    waitpid(child, nullptr, 0);
    const contents all = read_all(*place.open(), {}, 1000);
    REQUIRE(all.publications.size() >= last + 1);
    REQUIRE(all.publications.size() <= last + 2);  // one may have been written and not yet acknowledged
    REQUIRE(all.subscriptions.size() == all.publications.size());
    acknowledged = static_cast<std::uint32_t>(all.publications.size());
  }
}
