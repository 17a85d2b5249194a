// PF8: the storage on SQLite, PostgreSQL and MariaDB, each beside the database's own interface with its best
// bulk form for the same rows. Both take turns within one run, on the same tables; `raw_us` and `of_raw` (the
// raw time divided by ours; 1 is as fast) stand beside our time. Commits wait for the disk
// (durability::full).
//
//   python3 tests/databases.py build/bench/bench_storage      without it, SQLite alone is measured
//
// PRESENCE_BENCH_SCALE makes it small; PRESENCE_BENCH_DIR is where the SQLite file lives.
// rows: PF8
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <presence/presence.hpp>
#include <soci_storage.hpp>
#include <string>
#include <vector>

#include "common.hpp"
#include "raw_databases.hpp"
#include "server_database.hpp"

namespace {

using namespace presence;
using namespace presence::bench;
using steady = std::chrono::steady_clock;

publication_row publication(std::size_t i, unsigned version) {
  return {.resource = presentity(i),
          .event = "presence",
          .etag = "10-tag-" + std::to_string(version) + std::to_string(i),
          .id = i + 1,
          .content = body{"application/pidf+xml", pidf_of(presentity(i), version)},
          .sender = {},
          .since = start + seconds{version},
          .expires = start + seconds{3600 + version}};
}

subscription_row subscription(std::size_t i) {
  const std::string n = std::to_string(i), call = "a84b4c76e66710-" + n + "@pc33.example.com",
                    tag = "1928301774-" + n, local = "10-local-" + n,
                    who = "sip:watcher" + n + "@example.com",
                    contact = "sip:watcher" + n + "@192.0.2.17:5062;transport=udp", to = presentity(i % 1000);
  subscription_row row;
  row.resource = to;
  row.event = "presence";
  row.dialog = dialog{dialog_fields{.call_id = call,
                                    .local_tag = local,
                                    .remote_tag = tag,
                                    .local_uri = to,
                                    .remote_uri = who,
                                    .remote_target = contact,
                                    .route_set = "",
                                    .local_contact = "sip:presence.example.com",
                                    .event = "presence",
                                    .watcher = who,
                                    .cookie = "udp:192.0.2.9:5060",
                                    .user_agent = "softphone/1.0",
                                    .headers = "",
                                    .secure = false,
                                    .proven = true}};
  row.local_cseq = 64;
  row.remote_cseq = 1;
  row.version = 1;
  row.since = start;
  row.expires = start + seconds{3600};
  return row;
}

void check(const result<void, storage_error>& done) {
  if (done) return;
  std::fprintf(stderr, "%s\n", done.error().text.c_str());
  std::abort();
}

struct place {
  std::shared_ptr<void> database;
  std::unique_ptr<soci_storage> rows;
  std::unique_ptr<raw_database> raw;
};

place on_sqlite() {
  struct file {
    std::filesystem::path directory;
    ~file() { std::filesystem::remove_all(directory); }
  };
  const char* where = std::getenv("PRESENCE_BENCH_DIR");
  const auto made = std::make_shared<file>(
      file{(where != nullptr ? std::filesystem::path{where} : std::filesystem::temp_directory_path()) /
           ("presence-bench-" + std::to_string(::getpid()))});
  std::filesystem::create_directories(made->directory);
  const std::string path = (made->directory / "rows.db").string();
  soci_settings settings;
  settings.db_url = "sqlite://" + path;
  return {made, sqlite_file::open(settings), std::make_unique<raw_sqlite3>(path)};
}

place on_postgres() {
  const auto database = std::make_shared<test::postgres_database>();
  soci_settings settings = database->settings();
  settings.commit = durability::full;
  return {database, sqlite_file::open(settings),
          std::make_unique<raw_libpq>("postgresql" + settings.db_url.substr(settings.db_url.find("://")))};
}

place on_mariadb() {
  const auto database = std::make_shared<test::mariadb_database>();
  soci_settings settings = database->settings();
  settings.commit = durability::full;
  const auto colon = settings.db_url.rfind(':');
  const auto port = static_cast<unsigned>(std::stoul(settings.db_url.substr(colon + 1)));
  return {database, sqlite_file::open(settings),
          std::make_unique<raw_libmariadb>("127.0.0.1", port, "presence", "it's \"a\\ pass:word@/ %",
                                           database->name())};
}

double seconds_for(const std::function<void()>& work) {
  const auto begin = steady::now();
  work();
  return std::chrono::duration<double>(steady::now() - begin).count();
}

// Both take turns; each iteration is one turn of ours, the counters tell of the medians.
void compare(benchmark::State& state, std::size_t rows, const std::function<void()>& ours,
             const std::function<void()>& raw) {
  std::vector<double> own, theirs;
  bool first = true;
  for (auto _ : state) {
    if (first) theirs.push_back(seconds_for(raw));
    own.push_back(seconds_for(ours));
    if (!first) theirs.push_back(seconds_for(raw));
    first = !first;
    state.SetIterationTime(own.back());
  }
  const auto median = [](std::vector<double>& all) {
    std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2), all.end());
    return all[all.size() / 2];
  };
  const double a = median(own), b = median(theirs);
  state.counters["us/row"] = a * 1e6 / static_cast<double>(rows);
  state.counters["raw_us/row"] = b * 1e6 / static_cast<double>(rows);
  state.counters["of_raw"] = b / a;
}

const auto publication_list = sql::all_of(sql::key_list, sql::state_list, sql::content_list);
const auto subscription_list = sql::all_of(sql::key_list, sql::numbers_list, sql::state_list);

// `count` publications modified in one change: group commit. The raw side writes the same rows the same way.
void publish(benchmark::State& state, place (*make)()) {
  const place p = make();
  const auto count = static_cast<std::size_t>(state.range(0));
  change create;
  std::array<change, 2> modify;
  std::array<std::vector<publication_row>, 2> rows;
  for (std::size_t i = 0; i < count; ++i) {
    create.new_publications.push_back(publication(i, 0));
    for (unsigned version = 0; version < 2; ++version) {
      rows[version].push_back(publication(i, version));
      modify[version].changed_publications.push_back(
          {publication(i, 1 - version).etag, true, rows[version].back()});
    }
  }
  check(p.rows->apply(create));
  std::array<raw_rows, 2> raw;
  for (unsigned version = 0; version < 2; ++version) {
    raw[version] = raw_rows_of<sql::publication_columns>("presentity", publication_list, rows[version]);
    raw[version].columns.push_back({"k_etag", sql::column_type::string});
    for (std::size_t i = 0; i < count; ++i) raw[version].values[i].push_back(rows[1 - version][i].etag);
  }
  unsigned turn = 0;
  compare(
      state, count, [&] { check(p.rows->apply(modify[++turn % 2])); },
      [&] { p.raw->update(raw[++turn % 2]); });
}

// The same through a whole engine: `count` PUBLISH requests, handed over together. Nobody watches. The documents are
// taken as they are, or read and checked, which costs as much as a row of SQLite's.
template <bool checked>
void group(benchmark::State& state, place (*make)()) {
  const place p = make();
  const auto count = static_cast<std::size_t>(state.range(0));
  engine e{{.server_address = "sip:presence.example.com"}, {}, p.rows.get()};
  must(e.add_event(checked ? presence_package() : opaque_package("presence"), start).has_value(), "no package");
  std::vector<std::string> resources, tags(count);
  std::array<std::vector<std::string>, 2> documents;
  std::vector<publication_row> rows;
  for (std::size_t i = 0; i < count; ++i) {
    rows.push_back(publication(i, 0));
    rows.back().resource = "sip:raw" + std::to_string(i) + "@example.com";  // in the same table
    resources.push_back(presentity(i));
    for (unsigned version = 0; version < 2; ++version) documents[version].push_back(pidf_of(resources[i], version));
  }
  change create;
  create.new_publications = rows;
  check(p.rows->apply(create));
  std::array<raw_rows, 2> raw;
  for (unsigned version = 0; version < 2; ++version) {
    std::vector<publication_row> after = rows;
    for (std::size_t i = 0; i < count; ++i) {
      after[i].etag = publication(i, version).etag;
      after[i].content = publication(i, version).content;
    }
    raw[version] = raw_rows_of<sql::publication_columns>("presentity", publication_list, after);
    raw[version].columns.push_back({"k_etag", sql::column_type::string});
    for (std::size_t i = 0; i < count; ++i) raw[version].values[i].push_back(publication(i, 1 - version).etag);
  }
  std::vector<received> requests;
  std::vector<effects> out;
  unsigned turn = 0, raw_turn = 0;
  const auto ours = [&] {
    ++turn;
    requests.clear();
    for (std::size_t i = 0; i < count; ++i)
      requests.emplace_back(publish_request{.resource = resources[i], .event = "presence", .sip_if_match = tags[i],
                                            .content = {.type = "application/pidf+xml", .bytes = documents[turn % 2][i]}});
    for (std::size_t done = 0; done < count;) {
      must(e.handle(std::span{requests}.subspan(done), start + seconds{turn}, out) != 0, "none taken");
      for (const effects& one : out) {
        must(one.answer.status == 200, "refused");
        tags[done++] = one.answer.etag;
      }
    }
  };
  ours();
  compare(state, count, ours, [&] { p.raw->update(raw[++raw_turn % 2]); });
}

// `count` new subscriptions in one change.
void subscribe(benchmark::State& state, place (*make)()) {
  const place p = make();
  const auto count = static_cast<std::size_t>(state.range(0));
  std::size_t next = 0;
  change create;
  raw_rows raw;
  const auto prepare = [&] {
    std::vector<subscription_row> rows;
    for (std::size_t i = 0; i < count; ++i) rows.push_back(subscription(next++));
    create.new_subscriptions = rows;
    rows.clear();
    for (std::size_t i = 0; i < count; ++i) rows.push_back(subscription(next++));
    raw = raw_rows_of<sql::subscription_columns>("active_watchers", subscription_list, rows);
  };
  std::vector<double> own, theirs;
  for (auto _ : state) {
    prepare();
    own.push_back(seconds_for([&] { check(p.rows->apply(create)); }));
    theirs.push_back(seconds_for([&] { p.raw->insert(raw); }));
    state.SetIterationTime(own.back());
  }
  std::sort(own.begin(), own.end());
  std::sort(theirs.begin(), theirs.end());
  const double a = own[own.size() / 2], b = theirs[theirs.size() / 2];
  state.counters["us/row"] = a * 1e6 / static_cast<double>(count);
  state.counters["raw_us/row"] = b * 1e6 / static_cast<double>(count);
  state.counters["of_raw"] = b / a;
  if (auto* pq = dynamic_cast<raw_libpq*>(p.raw.get())) {
    std::vector<double> copied;
    for (int i = 0; i < 9; ++i) {
      prepare();
      copied.push_back(seconds_for([&] { pq->copy(raw); }));
    }
    std::sort(copied.begin(), copied.end());
    state.counters["copy_us/row"] = copied[4] * 1e6 / static_cast<double>(count);
  }
}

// All subscriptions, in pages.
void restore(benchmark::State& state, place (*make)()) {
  const place p = make();
  const std::size_t count = scaled(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < count;) {
    change create;
    for (std::size_t n = 0; n < 1000 && i < count; ++n, ++i)
      create.new_subscriptions.push_back(subscription(i));
    check(p.rows->apply(create));
  }
  if (dynamic_cast<raw_libpq*>(p.raw.get()) != nullptr) p.raw->run("ANALYZE active_watchers");
  std::string names = "id";
  for (const auto& c : sql::columns_of<sql::subscription_columns>(subscription_list))
    names.append(", ").append(c.name);
  std::vector<subscription_row> out;
  compare(
      state, count,
      [&] {
        std::size_t read = 0;
        for (cursor at; !at.done; read += out.size()) {
          out.clear();
          check(p.rows->subscriptions({}, at, 1000, out));
        }
        must(read == count, "not every row");
      },
      [&] {
        for (std::size_t read = 0, page = 1000, after = 0; page == 1000; after += 1000, read += page) {
          page = p.raw->select("SELECT " + names + " FROM active_watchers WHERE id > " +
                               std::to_string(after) + " ORDER BY id LIMIT 1000");
        }
      });
}

void add(const std::string& name, place (*make)()) {
  const auto one = [&](const std::string& what, void (*bench)(benchmark::State&, place(*)()),
                       std::vector<std::int64_t> sizes) {
    for (const auto size : sizes)
      benchmark::RegisterBenchmark(("PF8_" + name + "_" + what).c_str(), bench, make)
          ->Arg(size)
          ->UseManualTime()
          ->Unit(benchmark::kMicrosecond);
  };
  one("publish", publish, {1, 16, 128, 500});
  one("group", group<false>, {1, 16, 128, 500});
  one("group_of_checked", group<true>, {1, 16, 128, 500});
  one("subscribe", subscribe, {1, 16, 128, 500});
  one("restore", restore, {100000});
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  add("sqlite", on_sqlite);
  if (test::has_server("postgres")) add("postgres", on_postgres);
  if (test::has_server("mariadb")) add("mariadb", on_mariadb);
  benchmark::RunSpecifiedBenchmarks();
}
