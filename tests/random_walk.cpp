// RL1: seeded random operations on an engine, compared after each step with a naive model (walk/). The
// model is written from the specification in plain vectors and linear searches and shares no code with
// the engine: publications, subscriptions, rules with views, watcher information, message-summary,
// dialog, dialog;sla, NOTIFY outcomes, restarts and storage faults. A failing seed is printed and replays.
// rows: RL1, RL2, P03, P08-P15, P18, P19, P21, P22, P25, P29, P31, P33, P37, P40, S07, S19, S26, M07, M08, M09, M10, N09, N22, N27
// rows: HOST-12, PROP-2, PROP-3, PROP-6, PROP-7, W08, WIN-58-2, WIN-58-7, WIN-FSM-3, WIN-FSM-4, Z11, Z12, POL-CHG-1, POL-CHG-2
#include <cstdio>
#include <cstdlib>
#include <set>
#include <stdexcept>
#include <string>

#if PRESENCE_TEST_SOCI
#include "server_database.hpp"
#endif
#include "walk/walk.hpp"

namespace {

using namespace presence::test::walking;

int usage(int code) {
  std::puts(
      "random_walk [--seed N] [--seeds COUNT] [--steps N] [--mode MODE] [--cache POLICY] [--without NAME]...\n"
      "            [--storage memory_storage|sqlite|postgres|mariadb] [--trace]\n"
      "Random operations on an engine, compared with a naive model. COUNT seeds from N on, one walk each.\n"
      "MODE: memory; write_back or database_only, with a storage; or the storage alone, for write-through.\n"
      "--cache: with a storage, memory for one to three states; the policy says which.\n"
      "--without leaves something out: milliseconds backwards late_advance report_before_advance repeats\n"
      "fetch_in_dialog exact_versions stale_after_end usages rules sender discard slices faults restart other_engine races");
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  settings wanted;
  std::uint64_t seeds = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") return usage(0);
    if (name == "--trace") {
      wanted.trace = true;
      continue;
    }
    if (i + 1 == argc) return usage(2);
    const std::string value = argv[++i];
    if (name == "--seed") wanted.seed = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--seeds") seeds = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--steps") wanted.steps = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--mode") wanted.mode = value;
    else if (name == "--storage") wanted.storage = value;
    else if (name == "--cache") wanted.cache = value;
    else if (name == "--without") wanted.without.insert(value);
    else return usage(2);
  }
  const std::set<std::string> storages{"memory_storage", "sqlite", "postgres", "mariadb"}, modes{"memory", "write_back", "database_only"};
  if (storages.count(wanted.mode) != 0) wanted.storage = std::exchange(wanted.mode, "write_through");
  else if (modes.count(wanted.mode) == 0 || storages.count(wanted.storage) == 0) return usage(2);
  if (!wanted.cache.empty() && wanted.mode != "write_through") return usage(2);
  // what only memory knows, and what rows tell otherwise than memory does
  if (!wanted.cache.empty()) wanted.without.insert({"faults", "restart"});
#if PRESENCE_TEST_SOCI
  if ((wanted.storage == "postgres" || wanted.storage == "mariadb") && !presence::test::has_server(wanted.storage))
    return std::getenv("PRESENCE_TEST_NEEDS_DATABASES") == nullptr ? 77 : 1;
#endif
  tally all;
  for (const std::uint64_t last = wanted.seed + seeds; wanted.seed < last; ++wanted.seed) {
    try {
      walk one{wanted};
      one.run();
      all.add(one.counts);
    } catch (const std::exception& e) {
      std::printf("FAILED: random_walk --mode %s --storage %s --seed %llu --steps %llu\n%s\n", wanted.mode.c_str(), wanted.storage.c_str(),
                  static_cast<unsigned long long>(wanted.seed), static_cast<unsigned long long>(wanted.steps), e.what());
      return 1;
    }
  }
  const std::string where = wanted.mode == "memory" ? wanted.mode : wanted.mode + ", " + wanted.storage;
  std::printf("%s: %llu walks of %llu steps: the engine and the model agree\n", where.c_str(), static_cast<unsigned long long>(seeds),
              static_cast<unsigned long long>(wanted.steps));
  for (const auto& [what, count] : all.met) std::printf("  %s: %llu\n", what.c_str(), static_cast<unsigned long long>(count));
  return 0;
}
