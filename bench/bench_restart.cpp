// PF8: the start of an engine whose database is full. One process fills the database; another opens it, reads
// everything, and ends what has lapsed meanwhile. Time, rows a second, and the most memory that second process had.
//
//   bench_restart --subscriptions 1000000 [--lapsed N] [--rate N] [--mode sqlite|sqlite_serialized|postgres|mariadb]
//
// A host whose threads share no connection tells SQLite so (docs/storage.md); sqlite_serialized is one that does not.
// The servers are those of tests/databases.py. PRESENCE_BENCH_SCALE makes it small. rows: PF8
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <presence/presence.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>

#include "common.hpp"
#include "server_database.hpp"

namespace {

using namespace presence;
using namespace presence::bench;
using steady = std::chrono::steady_clock;

struct settings {
  std::string mode = "sqlite";
  std::size_t subscriptions = 1'000'000, lapsed = 100'000, rate = options{}.advance_rate;
};

double since(steady::time_point begun) { return std::chrono::duration<double>(steady::now() - begun).count(); }

/// Seconds of this process on a processor.
double cpu() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto of = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
  return of(used.ru_utime) + of(used.ru_stime);
}

/// Megabytes; `what` is VmRSS or VmHWM.
double memory(std::string_view what) {
  std::ifstream in{"/proc/self/status"};
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(what)) return std::strtod(line.c_str() + what.size() + 1, nullptr) / 1024;
  return 0;
}

template <class T>
T must(result<T, storage_error> got) {
  if (!got) throw std::runtime_error{got.error().text};
  if constexpr (!std::is_void_v<T>) return std::move(*got);
}

/// Ten watchers for each resource, which has one publication; the first `lapsed` subscriptions are over.
void fill(storage& rows, const settings& given) {
  const auto begun = steady::now();
  for (std::size_t i = 0; i < given.subscriptions;) {
    change create;
    for (std::size_t n = 0; n < 1000 && i < given.subscriptions; ++n, ++i) {
      const std::string number = std::to_string(i), to = presentity(i / 10), who = "sip:watcher" + number + "@example.com";
      subscription_row row;
      row.resource = to;
      row.event = "presence";
      row.dialog = dialog{dialog_fields{.call_id = "a84b4c76e66710-" + number + "@pc33.example.com",
                                        .local_tag = "10-local-" + number,
                                        .remote_tag = "1928301774-" + number,
                                        .local_uri = to,
                                        .remote_uri = who,
                                        .remote_target = "sip:watcher" + number + "@192.0.2.17:5062;transport=udp",
                                        .local_contact = "sip:presence.example.com",
                                        .event = "presence",
                                        .watcher = who,
                                        .cookie = "udp:192.0.2.9:5060",
                                        .user_agent = "softphone/1.0"}};
      row.local_cseq = 64;
      row.remote_cseq = 1;
      row.since = start;
      row.expires = start + seconds{i < given.lapsed ? 60 : 7200};
      create.new_subscriptions.push_back(std::move(row));
      if (i % 10 == 0)
        create.new_publications.push_back({.resource = to, .event = "presence", .etag = "tag-" + number, .id = i + 1,
                                           .content = body{"application/pidf+xml", pidf_of(to, 1)}, .since = start,
                                           .expires = start + seconds{7200}});
    }
    must(rows.apply(create));
  }
  std::printf("%s: %zu subscriptions and %zu publications written in %.1f s\n", given.mode.c_str(), given.subscriptions,
              (given.subscriptions + 9) / 10, since(begun));
}

void run(const soci_settings& database, const settings& given) {
  options o;
  o.server_address = "sip:presence.example.com";
  o.advance_rate = given.rate;
  instant now = start + seconds{3600};
  const double before = memory("VmRSS"), cpu_before = cpu();
  auto begun = steady::now();
  const auto rows = must(open_soci_storage(database));
  engine e{o, {}, rows.get()};
  if (auto added = e.add_event(presence_package(), now); !added) throw std::runtime_error{added.error()};
  const double took = since(begun);
  const auto held = e.stats();
  if (held.subscriptions != given.subscriptions) throw std::runtime_error{"not every subscription is there"};
  std::printf(
      "  restored in %.1f s (%.1f s of it on a processor): %.0f rows/s, %.0f MB (at most %.0f MB), %.0f bytes a subscription"
      " with its part of a publication\n",
      took, cpu() - cpu_before, static_cast<double>(held.subscriptions + held.publications) / took, memory("VmRSS") - before,
      memory("VmHWM"), (memory("VmRSS") - before) * 1048576 / static_cast<double>(held.subscriptions));

  // the clock of the engine goes on as the deadlines say, without waiting for them
  std::size_t notifies = 0, most_in_a_second = 0, calls = 0;
  double longest = 0, working = 0;
  const instant restarted = now;
  while (notifies < given.lapsed) {
    std::size_t now_told = 0;
    for (bool more = true; more; ++calls) {
      begun = steady::now();
      const effects out = e.advance(now);
      longest = std::max(longest, since(begun));
      working += since(begun);
      now_told += out.notifies.size();
      more = out.more;
    }
    notifies += now_told;
    most_in_a_second = std::max(most_in_a_second, now_told);
    if (notifies < given.lapsed) now = std::max(now, e.next_deadline().value_or(now));
  }
  std::printf(
      "  %zu lapsed ones ended over %lld s, at most %zu within a second; %zu calls, %.1f s of work, the longest call %.1f ms\n",
      notifies, static_cast<long long>((now - restarted) / seconds{1}), most_in_a_second, calls, working, longest * 1000);
}

template <class Database>
int measure(const settings& given) {
  const Database place;
  fill(*place.open(), given);
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      run(place.settings(), given);
      std::fflush(stdout);
      ::_exit(0);
    } catch (const std::exception& e) {
      std::printf("FAILED %s\n", e.what());
      std::fflush(stdout);
      ::_exit(1);
    }
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace

int main(int argc, char** argv) {
  settings given;
  given.subscriptions = scaled(given.subscriptions);
  given.lapsed = scaled(given.lapsed);
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const std::size_t number = std::strtoul(argv[i + 1], nullptr, 10);
    if (name == "--mode") given.mode = argv[i + 1];
    if (name == "--subscriptions") given.subscriptions = number;
    if (name == "--lapsed") given.lapsed = number;
    if (name == "--rate") given.rate = number;
  }
  given.lapsed = std::min(given.lapsed, given.subscriptions);
  if (given.mode == "sqlite") ::sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
  if (given.mode.starts_with("sqlite")) return measure<sqlite_file>(given);
  if (!test::has_server(given.mode)) return 0;
  return given.mode == "postgres" ? measure<test::postgres_database>(given) : measure<test::mariadb_database>(given);
}
