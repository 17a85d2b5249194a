// RL5, Q07: nothing grows. Publications and subscriptions come, change, and end in every way there is, in several
// rounds; after each round everything has lapsed, the tables are empty, and no more memory is in use than before.
// rows: RL5, Q07
#include <malloc.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <presence/memory_storage.hpp>
#include <presence/presence.hpp>
#if PRESENCE_TEST_SOCI
#include "sqlite_file.hpp"
#endif

namespace {

using namespace presence;

constexpr const char* usage =
    "soak [--mode MODE] [--cycles N] [--rounds N] [--seed N]\n"
    "A cycle is a publication and a subscription, from their beginning to their end. After each of the rounds everything\n"
    "has to be gone. Before a release: --cycles 1000000 for every mode.\n"
    "MODE: memory, write_through, write_back, fallback2db, bounded, database_only; with _sqlite behind the last five: on\n"
    "SQLite and not on rows in memory\n";

void need(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error{what};
}

/// Bytes in use: by the engine, and by what it stands on.
std::size_t in_use() {
  const auto all = mallinfo2();
  return all.uordblks + all.hblkhd;
}

options options_of(const std::string& mode) {
  options settings;
  settings.server_address = "sip:server.example.com";
  settings.min_expires = seconds{1};
  settings.waiting_limit = seconds{30};
  settings.advance_rate = 0;
  settings.subs_db_mode = mode == "write_back" ? 2 : mode == "database_only" ? 3 : 1;
  settings.fallback2db = mode == "fallback2db" || mode == "bounded";
  if (mode == "bounded") settings.cache_states = 20;
  return settings;
}

class soak {
 public:
  soak(const std::string& mode, storage* rows, std::uint64_t seed) : random_{seed}, engine_{options_of(mode), {}, rows} {
    event_package watched = presence_package();
    watched.winfo = true;
    watched.req_auth = true;
    watched.authorize = [this](const authorization_query&) {
      constexpr sub_handling all[] = {sub_handling::allow, sub_handling::allow, sub_handling::allow, sub_handling::confirm,
                                      sub_handling::polite_block, sub_handling::block};
      return all[below(std::size(all))];
    };
    for (const event_package& package : {watched, message_summary_package(), dialog_package({.partial = true})})
      need(engine_.add_event(package, now_).has_value(), "a package is not registered");
  }

  void cycle() {
    now_ += milliseconds{below(60)};
    const std::string n = std::to_string(below(500)), resource = "sip:p" + n + "@example.com";
    const std::string watcher = "sip:w" + std::to_string(below(300)) + "@example.com";
    publish(resource, {});
    subscribe(resource, "presence", watcher);
    if (below(10) == 0) subscribe(resource, "presence.winfo", resource);
    if (below(4) == 0) subscribe(resource, "message-summary", watcher);
    if (!tags_.empty() && below(2) == 0) publish(tags_[below(tags_.size())]);
    if (!dialogs_.empty() && below(2) == 0) refresh(dialogs_[below(dialogs_.size())]);
    if (below(20) == 0) take(engine_.update_watchers(resource, "presence", now_));
    if (below(200) == 0) take(engine_.remove_resource(resource, now_));
    while (tags_.size() > 200) tags_.pop_front();
    while (dialogs_.size() > 200) dialogs_.pop_front();
    advance();
  }

  /// Everything lapses.
  void end_round(storage* rows) {
    for (int hour = 0; hour < 3; ++hour) {
      now_ += seconds{3600};
      advance();
    }
    tags_.clear();
    dialogs_.clear();
    need(engine_.flush(now_).has_value(), "the rows cannot be written");
    take(engine_.cleanup(now_));
    const engine_stats left = engine_.stats();
    need(left.resources + left.publications + left.subscriptions + left.undecided == 0,
         "left in memory: " + std::to_string(left.resources) + " states, " + std::to_string(left.publications) + " publications, " +
             std::to_string(left.subscriptions) + " subscriptions, " + std::to_string(left.undecided) + " undecided");
    need(!engine_.check(), engine_.check().value_or(""));
    if (rows == nullptr) return;
    std::vector<publication_row> publications;
    std::vector<subscription_row> subscriptions;
    std::vector<watcher_row> watchers;
    cursor a, b, c;
    need(rows->publications({}, a, 10, publications) && rows->subscriptions({}, b, 10, subscriptions) &&
             rows->watchers({}, c, 10, watchers), "the rows cannot be read");
    need(publications.empty() && subscriptions.empty() && watchers.empty(), "something is left in the database");
  }
  std::uint64_t notifies() const { return engine_.stats().notifies; }

 private:
  struct tag {
    std::string resource, etag;
  };
  struct dialog_names {
    std::string resource, event, watcher, call_id, to_tag;
    std::uint32_t cseq = 1;
  };
  std::size_t below(std::size_t n) { return random_() % n; }
  seconds lifetime() { return seconds{1 + below(below(4) == 0 ? 600 : 20)}; }

  void publish(const std::string& resource, const std::string& etag, bool brings = true) {
    const std::string document = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"" + resource + "\"><tuple id=\"t" +
                                 std::to_string(below(3)) + "\"><status><basic>" + (below(2) == 0 ? "open" : "closed") +
                                 "</basic></status></tuple></presence>";
    const auto out = engine_.publish({.resource = resource, .event = "presence", .expires = below(9) == 0 ? seconds{0} : lifetime(),
                                      .sip_if_match = etag,
                                      .content = {.type = brings ? "application/pidf+xml" : "", .bytes = brings ? document : ""}},
                                     now_);
    if (out.answer.status == 200 && !out.answer.etag.empty()) tags_.push_back({resource, out.answer.etag});
    take(out);
  }
  void publish(tag known) { publish(known.resource, known.etag, below(2) == 0); }

  void subscribe(const std::string& resource, const std::string& event, const std::string& watcher) {
    dialog_names d{resource, event, watcher, "call" + std::to_string(++dialogs_made_), {}};
    const auto out = ask(d);
    if (out.answer.dialog) d.to_tag = out.answer.dialog.local_tag(), dialogs_.push_back(d);
    take(out);
  }
  void refresh(dialog_names& d) {
    ++d.cseq;
    take(ask(d));
  }
  effects ask(const dialog_names& d) {
    return engine_.subscribe({.resource = d.resource, .event = d.event, .expires = below(8) == 0 ? seconds{0} : lifetime(),
                              .call_id = d.call_id, .from_tag = "f", .to_tag = d.to_tag, .from_uri = d.watcher,
                              .contact = d.watcher, .cseq = d.cseq, .who = {.uri = d.watcher, .method = "digest"}},
                             now_);
  }
  void take(effects out) {
    constexpr int statuses[] = {200, 200, 200, 200, 200, 200, 200, 481, 503, 0};
    std::deque<notify_id> open;
    const auto add = [&](const effects& more) {
      for (const notify& n : more.notifies) open.push_back(n.id);
    };
    for (add(out); !open.empty(); open.pop_front()) {
      if (below(50) == 0) continue;  // nobody ever says what became of it
      add(engine_.report({.id = open.front(), .status = statuses[below(std::size(statuses))]}, now_));
    }
  }
  void advance() {
    for (bool more = true; more;) {
      effects out = engine_.advance(now_);
      more = out.more;
      take(std::move(out));
    }
  }

  std::mt19937_64 random_;
  instant now_{seconds{1'700'000'000}};
  engine engine_;
  std::deque<tag> tags_;
  std::deque<dialog_names> dialogs_;
  std::uint64_t dialogs_made_ = 0;
};

int run(std::string mode, std::uint64_t cycles, std::uint64_t rounds, std::uint64_t seed) {
  const bool on_disk = mode.ends_with("_sqlite");
  if (on_disk) mode.resize(mode.size() - 7);
  const bool known = mode == "memory" || mode == "write_through" || mode == "write_back" || mode == "fallback2db" ||
                     mode == "bounded" || mode == "database_only";
  if (!known || (on_disk && mode == "memory")) return std::fputs(usage, stderr), 2;
  memory_storage in_memory;
  storage* rows = mode == "memory" ? nullptr : &in_memory;
#if PRESENCE_TEST_SOCI
  const sqlite_file file;
  std::unique_ptr<soci_storage> on_file;
  if (on_disk) on_file = file.open(), rows = on_file.get();
#else
  if (on_disk) return 77;
#endif
  soak all{mode, rows, seed};
  std::vector<std::size_t> bytes;
  for (std::uint64_t round = 1; round <= rounds; ++round) {
    for (std::uint64_t i = 0; i < cycles / rounds; ++i) all.cycle();
    all.end_round(rows);
    bytes.push_back(in_use());
    std::printf("%s: %llu cycles, %llu NOTIFYs, %zu bytes in use\n", mode.c_str(), static_cast<unsigned long long>(round * (cycles / rounds)),
                static_cast<unsigned long long>(all.notifies()), bytes.back());
    std::fflush(stdout);
  }
  // tables keep the room they once needed, and may need a little more another time
  const std::size_t settled = *std::max_element(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>((bytes.size() + 1) / 2));
  need(bytes.back() <= settled + settled / 10, "memory grows");
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  std::string mode = "memory";
  std::uint64_t cycles = 20'000, rounds = 8, seed = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") return std::fputs(usage, stdout), 0;
    if (i + 1 == argc) return std::fputs(usage, stderr), 2;
    const std::string value = argv[++i];
    if (name == "--mode") mode = value;
    else if (name == "--cycles") cycles = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--rounds") rounds = std::max<std::uint64_t>(std::strtoull(value.c_str(), nullptr, 10), 2);
    else if (name == "--seed") seed = std::strtoull(value.c_str(), nullptr, 10);
    else return std::fputs(usage, stderr), 2;
  }
  return run(mode, cycles, rounds, seed);
} catch (const std::exception& e) {
  std::printf("FAILED: %s\n", e.what());
  return 1;
}
