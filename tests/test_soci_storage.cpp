/// What only a database can do: be reopened, be busy, be full, be gone. The contract itself is in
/// test_storage.cpp.
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <presence/memory_storage.hpp>

#include "raw_sqlite.hpp"
#include "sqlite_file.hpp"
#include "storage_rows.hpp"

using namespace presence;
using namespace storage_contract;

namespace {

change one_of_each() {
  return {.new_publications = {publication("sip:alice@example.com", "a", 1)},
          .new_subscriptions = {subscription("call")},
          .watchers = {watcher("sip:alice@example.com", "sip:bob@example.com")}};
}

contents rows_of(const change& what) {
  return {what.new_publications, what.new_subscriptions, what.watchers};
}

std::uint64_t statements_for(soci_storage& rows, const change& what) {
  const std::uint64_t before = rows.counters().statements;
  apply(rows, what);
  return rows.counters().statements - before;
}

storage_error error_of(result<void, storage_error> done) {
  REQUIRE_FALSE(done);
  return done.error();
}

}  // namespace

TEST_CASE("sqlite: a database opened again holds everything") {
  const sqlite_file file;
  const change what = one_of_each();
  apply(*file.open(), what);
  CHECK(read_all(*file.open()) == rows_of(what));
  CHECK(raw_sqlite{file.path()}.value("PRAGMA journal_mode") == "wal");
}

TEST_CASE("sqlite: a change costs a statement per row, and two more if there are several") {
  const sqlite_file file;
  const auto rows = file.open();
  CHECK(statements_for(*rows, {}) == 0);
  CHECK(statements_for(*rows, one_of_each()) == 5);
  CHECK(rows->counters().transactions == 1);
  publication_row next = publication("sip:alice@example.com", "b", 1);
  CHECK(statements_for(*rows, {.changed_publications = {{.old_etag = "a", .row = next}}}) == 1);
  CHECK(statements_for(*rows, {.ended_publications = {key(next)}}) == 1);
  CHECK(statements_for(*rows, {.reservations = {{key_of(subscription("call")), 128, 2}}}) == 1);
  CHECK(rows->counters().transactions == 1);
  change many;
  for (int i = 0; i < 50; ++i) many.new_subscriptions.push_back(subscription("call-" + std::to_string(i)));
  CHECK(statements_for(*rows, many) == 52);

  const std::uint64_t before = rows->counters().statements;
  std::vector<subscription_row> out;
  cursor at;
  CHECK(rows->subscriptions({}, at, 20, out));
  CHECK(rows->counters().statements == before + 1);
  CHECK(rows->counters().rows_read == 20);
  CHECK(rows->sweep(noon, {"presence"}));
  CHECK(rows->counters().statements == before + 5);
  CHECK(rows->counters().faults == 0);
}

TEST_CASE("sqlite: while another connection writes, a change is refused as unavailable and works later") {
  const sqlite_file file;
  soci_settings settings = file.settings();
  settings.busy_timeout = seconds{0};
  const auto rows = file.open(settings);
  raw_sqlite other{file.path()};
  other.run("BEGIN IMMEDIATE");
  CHECK(error_of(rows->apply(one_of_each())).fault == storage_fault::unavailable);
  CHECK(error_of(rows->apply({.ended_watchers = {{"a", "b", "c"}}})).fault == storage_fault::unavailable);
  CHECK_FALSE(rows->sweep(noon, {}));
  CHECK(read_all(*rows) == contents{});  // reading goes on
  other.run("ROLLBACK");
  apply(*rows, one_of_each());
  CHECK(read_all(*rows) == rows_of(one_of_each()));
  CHECK(rows->counters().faults == 3);
}

TEST_CASE("sqlite: a page read halfway holds no lock and no snapshot") {
  const sqlite_file file;
  const auto a = file.open(), b = file.open();
  change what = one_of_each();
  what.new_publications.push_back(publication("sip:alice@example.com", "b", 2));
  apply(*a, what);
  std::vector<publication_row> out;
  cursor at;
  REQUIRE(a->publications({}, at, 1, out));
  apply(*b, {.ended_publications = {key(what.new_publications[0])}});
  apply(*a, {.ended_publications = {key(what.new_publications[1])}});
  CHECK(read_all(*b).publications.empty());
  CHECK(a->counters().faults == 0);
}

TEST_CASE("sqlite: a conflict between two connections is seen by the second") {
  const sqlite_file file;
  const auto a = file.open(), b = file.open();
  apply(*a, one_of_each());
  publication_row next = publication("sip:alice@example.com", "b", 1);
  apply(*a, {.changed_publications = {{.old_etag = "a", .row = next}}});
  next.etag = "c";
  CHECK(error_of(b->apply({.changed_publications = {{.old_etag = "a", .row = next}}})).fault ==
        storage_fault::conflict);
  apply(*b, {.changed_publications = {{.old_etag = "b", .row = next}}});
  CHECK(b->counters().conflicts == 1);
  CHECK(b->counters().connects == 1);
}

TEST_CASE("sqlite: a read-only database is read, and every write is unavailable") {
  const sqlite_file file;
  apply(*file.open(), one_of_each());
  soci_settings settings = file.settings();
  settings.read_only = true;
  const auto rows = file.open(settings);
  CHECK(read_all(*rows) == rows_of(one_of_each()));
  CHECK(error_of(rows->apply({.ended_watchers = {{"a", "b", "c"}}})).fault == storage_fault::unavailable);
  change more = one_of_each();
  more.new_publications[0].etag = "b";
  CHECK(error_of(rows->apply(more)).fault == storage_fault::unavailable);
  CHECK_FALSE(rows->sweep(noon, {}));
  CHECK(read_all(*rows) == rows_of(one_of_each()));
}

TEST_CASE("sqlite: when the disk is full nothing of the change is written, and later it is") {
  const sqlite_file file;
  const auto rows = file.open();
  apply(*rows, one_of_each());
  change big;
  for (unsigned i = 0; i < 20; ++i) {
    big.new_publications.push_back(publication("sip:alice@example.com", "big" + std::to_string(i), i + 10));
    big.new_publications.back().content = body{"text/plain", std::string(100000, 'x')};
  }
  rlimit old{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 500000, .rlim_max = old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const auto done = rows->apply(big);
  const contents held = read_all(*rows);
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CHECK(error_of(done).fault == storage_fault::unavailable);
  CHECK(held == rows_of(one_of_each()));
  apply(*rows, big);
  CHECK(read_all(*rows).publications.size() == 21);
}

TEST_CASE("sqlite: a table that vanishes is a corrupt schema, and comes back with create_schema") {
  const sqlite_file file;
  const auto rows = file.open();
  apply(*rows, one_of_each());
  raw_sqlite{file.path()}.run("DROP TABLE watchers");
  CHECK(error_of(rows->apply({.ended_watchers = {{"a", "b", "c"}}})).fault == storage_fault::corrupt);
  change more = one_of_each();
  more.new_publications[0].etag = "b";
  more.new_subscriptions[0] = subscription("call-2");
  CHECK(error_of(rows->apply(more)).fault == storage_fault::corrupt);
  REQUIRE(create_schema(file.settings()));
  const contents all = read_all(*rows);
  CHECK(all.publications == one_of_each().new_publications);
  CHECK(all.subscriptions == one_of_each().new_subscriptions);
  apply(*rows, more);
}

TEST_CASE("sqlite: a page with a row that cannot be understood fails whole") {
  const sqlite_file file;
  const auto rows = file.open();
  raw_sqlite db{file.path()};
  db.run(
      "DROP TABLE presentity; CREATE TABLE presentity (id INTEGER PRIMARY KEY, username, domain, event, etag,"
      " expires, received_time, body, sender, ruid, x_id, x_content_type, x_expires_ms, x_received_ms, x_long)");
  apply(*rows, {.new_publications = {publication("sip:alice@example.com", "a", 1),
                                     publication("sip:alice@example.com", "b", 2)}});
  db.run("UPDATE presentity SET username = NULL WHERE id = 2");
  std::vector<publication_row> out{publication("sip:bob@example.com", "c", 3)};
  cursor at;
  CHECK(error_of(rows->publications({}, at, 10, out)).fault == storage_fault::corrupt);
  CHECK(out.size() == 1);
  CHECK(at.after == 0);
  CHECK_FALSE(at.done);
  db.run("DELETE FROM presentity WHERE id = 2");
  CHECK(read_all(*rows).publications.size() == 1);
}

TEST_CASE("sqlite: a file that is gone is not silently made anew") {
  const sqlite_file file;
  soci_settings settings = file.settings();
  settings.busy_timeout = seconds{0};
  const auto rows = file.open(settings);
  {
    raw_sqlite other{file.path()};
    other.run("BEGIN IMMEDIATE");
    CHECK_FALSE(rows->apply(one_of_each()));  // after a fault the connection is made anew
  }
  std::filesystem::remove(file.path());
  const storage_error error = error_of(rows->apply(one_of_each()));
  CHECK(error.fault == storage_fault::unavailable);
  CHECK(error.text.find("does not exist") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(file.path()));
}

TEST_CASE("sqlite: a file that is no database is corrupt, and stays as it is") {
  const sqlite_file file;
  std::ofstream{file.path()} << std::string(8192, 'x');
  const auto opened = open_soci_storage(file.settings());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().fault == storage_fault::corrupt);
  CHECK(error_of(create_schema(file.settings())).fault == storage_fault::corrupt);
  CHECK(std::filesystem::file_size(file.path()) == 8192);
}

TEST_CASE("sqlite: errors name no value of a row") {
  const sqlite_file file;
  const auto rows = file.open();
  change what = one_of_each();
  what.new_publications[0].content = body{"text/plain", "a secret"};
  what.new_publications[0].etag = "secret-tag";
  apply(*rows, what);
  CHECK(error_of(rows->apply(what)).text.find("secret") == std::string::npos);
  raw_sqlite{file.path()}.run("DROP TABLE presentity");
  CHECK(error_of(rows->apply(what)).text.find("secret") == std::string::npos);
}

TEST_CASE("sqlite and memory agree on any sequence of changes") {
  const sqlite_file file;
  const auto database = file.open();
  memory_storage model;
  std::mt19937 random{20240607};
  const auto pick = [&](unsigned n) { return static_cast<unsigned>(random() % n); };
  const auto resource = [&] { return "sip:r" + std::to_string(pick(3)) + "@example.com"; };
  const auto event = [&] { return pick(4) == 0 ? "dialog" : "presence"; };
  unsigned conflicts = 0;
  for (std::uint64_t step = 1; step <= 3000; ++step) {
    change what;
    for (unsigned n = pick(4); n != 0; --n) {
      auto row = publication(resource(), "t" + std::to_string(pick(6)), step * 8 + n, event());
      row.expires = noon + milliseconds{pick(5000)};
      auto call = subscription("c" + std::to_string(pick(6)), resource(), event());
      call.expires = noon + milliseconds{pick(5000)};
      call.version = pick(100);
      const auto who = watcher(resource(), "sip:w" + std::to_string(pick(4)) + "@example.com", event());
      switch (pick(9)) {
        case 0: what.ended_publications.push_back(key(row)); break;
        case 1: what.new_publications.push_back(row); break;
        case 2:
          what.changed_publications.push_back({"t" + std::to_string(pick(6)), pick(2) == 0, row});
          break;
        case 3: what.ended_subscriptions.push_back(key_of(call)); break;
        case 4: what.new_subscriptions.push_back(call); break;
        case 5: what.changed_subscriptions.push_back(call); break;
        case 6: what.reservations.push_back({key_of(call), pick(1000), pick(1000)}); break;
        case 7: what.ended_watchers.push_back(key(who)); break;
        default: what.watchers.push_back(who); break;
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

TEST_CASE("sqlite: writers in several threads lose no update") {
  const sqlite_file file;
  constexpr std::uint32_t rounds = 100;
  const auto count_up = [&] {
    const auto rows = file.open();
    for (std::uint32_t i = 0; i < rounds;) {
      std::vector<publication_row> out;
      cursor at;
      if (!rows->publications({}, at, 1, out)) continue;
      publication_row next = out[0];
      next.etag = std::to_string(std::stoul(next.etag) + 1);
      if (rows->apply({.changed_publications = {{.old_etag = out[0].etag, .row = next}}})) ++i;
    }
  };
  apply(*file.open(), {.new_publications = {publication("sip:alice@example.com", "0")}});
  std::thread first{count_up}, second{count_up};
  first.join();
  second.join();
  CHECK(read_all(*file.open()).publications[0].etag == std::to_string(2 * rounds));
}

TEST_CASE("sqlite: what was acknowledged before SIGKILL is there after it") {
  const sqlite_file file;
  REQUIRE(file.open() != nullptr);
  std::uint32_t acknowledged = 0;
  for (std::uint32_t round = 0; round < 10; ++round) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const std::uint32_t first = acknowledged;
    const pid_t child = fork();
    if (child == 0) {
      auto rows = open_soci_storage(file.settings());
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
    const contents all = read_all(*file.open(), {}, 1000);
    REQUIRE(all.publications.size() >= last + 1);
    REQUIRE(all.publications.size() <= last + 2);  // one may have been written and not yet acknowledged
    REQUIRE(all.subscriptions.size() == all.publications.size());
    acknowledged = static_cast<std::uint32_t>(all.publications.size());
  }
}
