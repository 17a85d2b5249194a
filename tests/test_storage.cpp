/// The contract suite over the storages of this build, and the decorator the fault sweep uses.
#include <doctest/doctest.h>

#include <memory>
#include <presence/memory_storage.hpp>
#include <string>
#include <vector>

#include "faulty_storage.hpp"
#include "storage_contract.hpp"
#include "storage_rows.hpp"

#if PRESENCE_TEST_SOCI
#include "database.hpp"
#endif

using namespace presence;
using namespace storage_contract;

namespace {

struct memory_host {
  memory_storage held;
  storage& rows() { return held; }
};

// A decorator that never fails must not be noticed.
struct faultless_host {
  memory_storage held;
  faulty_storage around{held};
  storage& rows() { return around; }
};

#if PRESENCE_TEST_SOCI
template <class Database>
struct host {
  Database database;
  std::unique_ptr<soci_storage> held = database.open();
  storage& rows() { return *held; }
};
using sqlite_host = host<test::sqlite_database>;
using postgres_host = host<test::postgres_database>;
using mariadb_host = host<test::mariadb_database>;
#endif

}  // namespace

#if PRESENCE_TEST_SOCI
PRESENCE_STORAGE_CONTRACT(memory_host, faultless_host, sqlite_host, postgres_host, mariadb_host);
#else
PRESENCE_STORAGE_CONTRACT(memory_host, faultless_host);
#endif

TEST_CASE("faulty_storage fails exactly the call it was told to") {
  memory_storage held;
  faulty_storage rows{held};
  const change what{.new_publications = {publication("sip:alice@example.com", "a")}};
  std::vector<publication_row> out;
  cursor at;

  rows.fail(2);
  CHECK(rows.publications({}, at, 10, out));
  auto failed = rows.apply(what);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().fault == storage_fault::unavailable);
  CHECK(read_all(held) == contents{});
  CHECK(rows.apply(what));
  CHECK(rows.calls() == 3);
  CHECK(rows.writes() == 2);
  CHECK(rows.failed() == 1);

  rows.fail(1, storage_fault::conflict);
  CHECK(rows.sweep(noon, {}));  // only apply() knows conflicts
  failed = rows.apply({.ended_publications = {key(what.new_publications[0])}});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().fault == storage_fault::conflict);
  CHECK(read_all(held).publications == what.new_publications);

  rows.fail_all(true);
  at = {};
  CHECK_FALSE(rows.publications({}, at, 10, out));
  std::vector<subscription_row> subscriptions;
  CHECK_FALSE(rows.subscriptions({}, at, 10, subscriptions));
  std::vector<watcher_row> watchers;
  CHECK_FALSE(rows.watchers({}, at, 10, watchers));
  CHECK_FALSE(rows.sweep(noon, {}));
  CHECK_FALSE(rows.apply(what));
  rows.fail_all(false);
  CHECK(rows.sweep(noon, {}));
}

TEST_CASE("memory_storage can be moved with everything it holds") {
  memory_storage first;
  apply(first, {.new_publications = {publication("sip:alice@example.com", "a")}});
  memory_storage second = std::move(first);
  CHECK(read_all(second).publications.size() == 1);
}
