/// Real faults of database servers: a connection cut at each request, a session ended from outside, the
/// server killed in mid-transaction, a deadlock, a server that became read-only, a full disk. Whatever
/// happens, a change is there wholly or not at all, the call says `unavailable`, and the next one works as if
/// nothing had happened.
///
/// This program kills the servers of tests/databases.py: no other test may run beside it.
#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "cutting_proxy.hpp"
#include "database.hpp"
#include "storage_rows.hpp"

using namespace presence;
using namespace presence::test;
using namespace storage_contract;
using namespace std::chrono_literals;

namespace {

template <class Database>
constexpr bool is_postgres = std::is_same_v<Database, postgres_database>;

// Makes several kinds of statements, two rows of a kind included.
change some() {
  change what = one_of_each();
  what.new_publications.push_back(publication("sip:alice@example.com", "b", 2));
  what.new_subscriptions.push_back(subscription("call-2"));
  return what;
}

change next_of(const change& first) {
  change what;
  for (auto row : first.new_publications) {
    what.changed_publications.push_back({.old_etag = row.etag, .content_changed = true, .row = row});
    what.changed_publications.back().row.etag += "-next";
    what.changed_publications.back().row.content = body{"text/plain", "next"};
  }
  for (auto row : first.new_subscriptions) {
    row.remote_cseq += 100;
    what.changed_subscriptions.push_back(row);
  }
  what.watchers = first.watchers;
  what.watchers[0].status = watcher_status::active;
  return what;
}

contents after(const change& next) {
  contents made{{}, next.changed_subscriptions, next.watchers};
  for (const auto& u : next.changed_publications) made.publications.push_back(u.row);
  return made;
}

bool refused(const result<void, storage_error>& done) {
  return !done && done.error().fault == storage_fault::unavailable && done.error().nothing_written;
}

// Other sessions of this database, as its server names them.
template <class Database>
std::string sessions_of(const Database& database) {
  if (is_postgres<Database>)
    return "SELECT pid FROM pg_stat_activity WHERE application_name = 'presence' AND datname = '" +
           database.name() + "'";
  return "SELECT id FROM information_schema.processlist WHERE db = '" + database.name() +
         "' AND id <> connection_id() ORDER BY id";  // who holds a row came last, and lets go last
}

// Runs `interfere` once apply() waits for a row that another connection holds, in mid-transaction.
template <class Database>
result<void, storage_error> apply_while_waiting(const Database& database, soci_storage& rows,
                                                const change& what,
                                                const std::function<void(soci::session&)>& interfere) {
  const auto admin = database.home();
  auto holder = database.raw();
  *holder << "BEGIN";
  *holder << "UPDATE watchers SET status = 9";  // the last table a change writes
  auto done = std::async(std::launch::async, [&] { return rows.apply(what); });
  const std::string waiting =
      is_postgres<Database>
          ? "SELECT 1 FROM pg_stat_activity WHERE application_name = 'presence' AND wait_event_type = 'Lock'"
          : "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'";
  // InnoDB looks anew only when nobody has asked for 100 ms
  for (int i = 0; i < 30 && rows_of(*admin, waiting).empty(); ++i) std::this_thread::sleep_for(150ms);
  CHECK(done.wait_for(0s) == std::future_status::timeout);
  interfere(*admin);
  if (done.wait_for(1s) != std::future_status::ready) {
    try {
      *holder << "ROLLBACK";
    } catch (const std::exception&) {  // gone as well
    }
  }
  holder.reset();
  return done.get();
}

template <class Database>
class server {
 public:
  server() : directory_{environment("PRESENCE_TEST_DATABASES")} {}
  ~server() { release(); }
  void kill() const {
    std::ofstream{file(".hold")};
    pid_t pid = 0;
    std::ifstream{file(".pid")} >> pid;
    REQUIRE(pid > 1);
    ::kill(pid, SIGKILL);
  }
  // Waits until it is there again.
  void release() const {
    std::filesystem::remove(file(".hold"));
    for (int i = 0; i < 600; ++i) {
      try {
        Database::home();
        return;
      } catch (const std::exception&) {
        std::this_thread::sleep_for(50ms);
      }
    }
    std::abort();
  }
  std::filesystem::path file(const char* extension) const {
    return directory_ / (std::string{is_postgres<Database> ? "postgres" : "mariadb"} + extension);
  }

 private:
  std::filesystem::path directory_;
};

}  // namespace

TEST_CASE_TEMPLATE("a connection lost at any request takes a change with it, or none of it (RL2, T17)",
                   Database, PRESENCE_EVERY_SERVER) {
  const Database database;
  soci_settings settings = database.settings();
  database.open(settings);
  const auto colon = settings.db_url.rfind(':'), slash = settings.db_url.rfind('/');
  cutting_proxy proxy{
      static_cast<std::uint16_t>(std::stoi(settings.db_url.substr(colon + 1, slash - colon - 1)))};
  settings.db_url =
      settings.db_url.substr(0, colon + 1) + std::to_string(proxy.port()) + settings.db_url.substr(slash);
  const auto rows = database.open(settings);
  const change first = some(), next = next_of(first);
  change reset;
  for (const auto& u : next.changed_publications) {
    reset.ended_publications.push_back({u.row.resource, u.row.event, u.old_etag});
    reset.ended_publications.push_back(key(u.row));
  }
  for (const auto& row : next.changed_subscriptions) reset.ended_subscriptions.push_back(key_of(row));
  for (const auto& row : next.watchers) reset.ended_watchers.push_back(key(row));

  for (const bool delivered : {false, true}) {
    CAPTURE(delivered);
    bool cut = true;
    unsigned lost_at = 0, written = 0, unsure = 0;
    for (int nth = 1; cut; ++nth) {
      CAPTURE(nth);
      apply(*rows, reset);
      apply(*rows, first);
      apply(*rows, {.reservations = {{key_of(first.new_subscriptions[0]), 64, 1}}});
      proxy.cut(nth, delivered);
      const auto done = rows->apply(next);
      cut = !proxy.is_armed();
      proxy.cut(0, false);
      CHECK(done.has_value() == !cut);
      if (!done) CHECK(done.error().fault == storage_fault::unavailable);
      const contents now = read_all(*rows);
      const bool all = now == after(next), none = now == rows_of(first);
      CHECK((all || none));
      if (!delivered || !cut) CHECK(all == !cut);
      lost_at += cut ? 1 : 0;
      written += cut && all ? 1 : 0;
      unsure += cut && !done.error().nothing_written ? 1 : 0;
      if (all) CHECK((!cut || !done.error().nothing_written));
    }
    CHECK(unsure >= 1);  // at COMMIT, and the first time round when it is prepared
    CHECK(unsure <= 2);
    CHECK(lost_at >= 5);                    // BEGIN, the rows, COMMIT; the first time round their preparation
    CHECK(written == (delivered ? 1 : 0));  // the answer to COMMIT is the only one that matters
  }

  // a single row is its own transaction
  for (const bool delivered : {false, true}) {
    apply(*rows, reset);
    apply(*rows, first);
    const change one{.reservations = {{key_of(first.new_subscriptions[0]), 4711, 1}}};
    apply(*rows, {.reservations = {{key_of(first.new_subscriptions[0]), 64, 1}}});
    proxy.cut(1, delivered);
    const storage_error error = error_of(rows->apply(one));
    CHECK(error.fault == storage_fault::unavailable);
    CHECK_FALSE(error.nothing_written);
    CHECK(read_all(*rows).subscriptions[0].local_cseq == (delivered ? 4711 : 64));
    apply(*rows, {.reservations = {{key_of(first.new_subscriptions[0]), 64, 1}}});
  }

  // reading: a page that fails leaves nothing behind
  for (const bool delivered : {false, true}) {
    read_all(*rows);
    proxy.cut(1, delivered);
    std::vector<publication_row> out;
    cursor at;
    CHECK(error_of(rows->publications({}, at, 10, out)).fault == storage_fault::unavailable);
    CHECK(out.empty());
    CHECK(at.after == 0);
    CHECK(read_all(*rows) == rows_of(first));
  }
}

TEST_CASE_TEMPLATE("a session the server ends is made anew, in mid-transaction too (T18)", Database,
                   PRESENCE_EVERY_SERVER) {
  const Database database;
  const auto rows = database.open();
  const change first = some(), next = next_of(first);
  apply(*rows, first);
  const auto end_sessions = [&](soci::session& admin) {
    for (const auto& id : rows_of(admin, sessions_of(database))) {
      try {
        admin << (is_postgres<Database> ? "SELECT pg_terminate_backend(" + id + ")" : "KILL " + id);
      } catch (const soci::soci_error&) {  // it went by itself
      }
    }
  };
  std::uint64_t connects = rows->counters().connects;
  end_sessions(*database.home());
  std::this_thread::sleep_for(100ms);
  CHECK(refused(rows->apply(next)));
  CHECK(read_all(*rows) == rows_of(first));
  CHECK(rows->counters().connects == ++connects);

  CHECK(refused(apply_while_waiting(database, *rows, next, end_sessions)));
  CHECK(read_all(*rows) == rows_of(first));
  apply(*rows, next);
  CHECK(read_all(*rows) == after(next));
  CHECK(rows->counters().connects == ++connects);
}

TEST_CASE_TEMPLATE(
    "a server killed in mid-transaction has all that was acknowledged, and none of the rest (RL3, T18)",
    Database, PRESENCE_EVERY_SERVER) {
  const Database database;
  soci_settings settings = database.settings();
  settings.commit = durability::full;
  const auto rows = database.open(settings);
  const change first = some(), next = next_of(first);
  apply(*rows, first);
  const server<Database> host;
  CHECK(refused(apply_while_waiting(database, *rows, next, [&](soci::session&) { host.kill(); })));
  // gone: every call says so
  CHECK(refused(rows->apply(next)));
  std::vector<publication_row> out;
  cursor at;
  const storage_error error = error_of(rows->publications({}, at, 10, out));
  CHECK(error.fault == storage_fault::unavailable);
  INFO(error.text);
  CHECK(error.text.find("check that the server runs") != std::string::npos);
  CHECK_FALSE(rows->sweep(noon, {}));
  CHECK_FALSE(open_soci_storage(settings));
  host.release();
  CHECK(read_all(*rows) == rows_of(first));
  apply(*rows, next);
  CHECK(read_all(*rows) == after(next));
}

TEST_CASE_TEMPLATE("the victim of a deadlock is rolled back whole (T18)", Database, PRESENCE_EVERY_SERVER) {
  const Database database;
  const auto rows = database.open();
  const change first = some(), next = next_of(first);
  apply(*rows, first);
  change ballast;  // MariaDB ends who has written less
  for (unsigned i = 0; i < 200; ++i)
    ballast.new_subscriptions.push_back(subscription("ballast-" + std::to_string(i)));
  apply(*rows, ballast);
  const auto other = database.raw();
  if (is_postgres<Database>) {
    *database.home() << "GRANT SET ON PARAMETER deadlock_timeout TO presence";
    *other << "SET deadlock_timeout = '1h'";  // PostgreSQL ends who looks first
  }
  *other << "BEGIN";
  *other << "UPDATE active_watchers SET flags = 1 WHERE callid LIKE 'ballast-%'";
  *other << "UPDATE watchers SET status = 9";
  auto done = std::async(std::launch::async, [&] { return rows->apply(next); });
  std::this_thread::sleep_for(300ms);
  *other << "UPDATE presentity SET priority = 7";  // waits for `rows`, which waits for the row in watchers
  *other << "ROLLBACK";
  const auto given_way = done.get();
  CHECK(refused(given_way));
  const storage_error error = error_of(given_way);
  INFO(error.text);
  CHECK(error.text.find("eadlock") != std::string::npos);
  apply(*rows, {.ended_subscriptions = [&] {
    std::vector<subscription_key> all;
    for (const auto& row : ballast.new_subscriptions) all.push_back(key_of(row));
    return all;
  }()});
  CHECK(read_all(*rows) == rows_of(first));
  apply(*rows, next);
  CHECK(read_all(*rows) == after(next));
}

TEST_CASE("a COMMIT that postgres answers with a refusal is known to have written nothing (T18)") {
  const postgres_database database;
  const auto rows = database.open();
  const change first = some(), next = next_of(first);
  apply(*rows, first);
  database.run("CREATE FUNCTION refuse() RETURNS trigger AS 'BEGIN RAISE ''not now''; END' LANGUAGE plpgsql");
  database.run("CREATE CONSTRAINT TRIGGER at_commit AFTER UPDATE ON watchers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
               " EXECUTE FUNCTION refuse()");
  const std::uint64_t statements = rows->counters().statements;
  CHECK(refused(rows->apply(next)));
  CHECK(rows->counters().statements > statements + 5);  // COMMIT came after all the others
  CHECK(refused(rows->apply({.watchers = next.watchers})));  // a single statement commits itself
  // as a distributed engine answers that does not know, with a session that goes on
  database.run("CREATE OR REPLACE FUNCTION refuse() RETURNS trigger AS 'BEGIN RAISE ''result is ambiguous, restart transaction''; END'"
               " LANGUAGE plpgsql");
  const auto unknown = rows->apply(next);
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().fault == storage_fault::unavailable);
  CHECK_FALSE(unknown.error().nothing_written);
  CHECK(read_all(*rows) == rows_of(first));
  database.run("DROP TRIGGER at_commit ON watchers");
  apply(*rows, next);
  CHECK(read_all(*rows) == after(next));
}

TEST_CASE_TEMPLATE("a server that becomes read-only is read, and written to when it can be (T18)", Database,
                   PRESENCE_EVERY_SERVER) {
  const Database database;
  const auto rows = database.open();
  const change first = some(), next = next_of(first);
  apply(*rows, first);
  const auto admin = database.home();
  const auto read_only = [&](bool on) {
    if (is_postgres<Database>) {  // as a standby is, or an administrator decides
      *admin << "ALTER DATABASE " + database.name() +
                    " SET default_transaction_read_only = " + (on ? "on" : "off");
      *admin << "SELECT count(pg_terminate_backend(pid)) FROM (" + sessions_of(database) + ") AS s";
      std::this_thread::sleep_for(100ms);
    } else {
      *admin << (on ? "SET GLOBAL read_only = 1" : "SET GLOBAL read_only = 0");
    }
    (void)rows->sweep(noon - seconds{86400}, {});  // notices that its session has ended
  };
  read_only(true);
  CHECK(refused(rows->apply(next)));
  CHECK(refused(rows->apply({.watchers = next.watchers})));
  CHECK(read_all(*rows) == rows_of(first));
  read_only(false);
  apply(*rows, next);
  CHECK(read_all(*rows) == after(next));
}

TEST_CASE_TEMPLATE("a full disk refuses a change whole, and takes it when there is room (T18)", Database,
                   PRESENCE_EVERY_SERVER) {
  const std::filesystem::path small = server<Database>{}.file(".small");
  if (!std::filesystem::exists(small)) {
    MESSAGE("skipped: only root may mount the small file system this needs");
    return;
  }
  const Database database;
  soci_settings settings = database.settings();
  const auto admin = database.home();
  std::string name = "small";
  if (is_postgres<Database>) {
    name = database.name() + "_small";
    *admin << "CREATE TABLESPACE small LOCATION '" + small.string() + "'";
    *admin << "CREATE DATABASE " + name + " OWNER presence TABLESPACE small";
  } else {
    *admin << "GRANT ALL ON small.* TO presence";
  }
  settings.db_url = settings.db_url.substr(0, settings.db_url.rfind('/') + 1) + name;
  {
    const auto rows = database.open(settings);
    const change first = some();
    apply(*rows, first);
    std::ofstream filling{small / "filling", std::ios::binary};
    const std::string block(1 << 16, 'x');
    while (filling.write(block.data(), static_cast<std::streamsize>(block.size())) && filling.flush()) {
    }
    filling.close();
    change big = next_of(first);
    std::string noise(60000, '\0');  // the database would compress less
    unsigned state = 1;
    for (unsigned i = 0; i < 60; ++i) {
      for (auto& c : noise) c = static_cast<char>((state = state * 1103515245 + 12345) >> 16);
      big.new_publications.push_back(publication("sip:alice@example.com", "big" + std::to_string(i), i + 10));
      big.new_publications.back().content = body{"text/plain", noise};
    }
    const storage_error error = error_of(rows->apply(big));
    INFO(error.text);
    CHECK(error.fault == storage_fault::unavailable);
    if (is_postgres<Database>) CHECK(error.nothing_written);
    if (is_postgres<Database>) CHECK(read_all(*rows) == rows_of(first));
    std::filesystem::remove(small / "filling");
    server<Database>{}.release();  // MariaDB aborts when it has no room to roll back
    CHECK(read_all(*rows) == rows_of(first));
    apply(*rows, big);
    CHECK(read_all(*rows, {}, 10).publications.size() == first.new_publications.size() + 60);
  }
  if (is_postgres<Database>) {
    *admin << "DROP DATABASE " + name + " WITH (FORCE)";
    *admin << "DROP TABLESPACE small";
  } else {
    const auto again = database.home();
    for (const char* table : {"presentity", "active_watchers", "watchers", "version"})
      *again << std::string{"DROP TABLE small."} + table;
  }
}
