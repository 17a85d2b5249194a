// Replays traces against the cache policies of the library; see the usage below and
// docs/cache-policies.md. Everything but the times is the same in every run with the same seed.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include <presence/cache/policies.hpp>

#include "chart.hpp"
#include "common.hpp"
#include "commit.hpp"
#include "simulation.hpp"
#include "traces.hpp"

namespace {

using namespace presence;
using namespace presence::bench;

constexpr const char* usage =
    R"(usage: cache_sim [option]...

Replays traces against the cache policies of the library, beside two bounds: `clairvoyant` knows the
future and evicts what is needed last, `unbounded` evicts nothing. LIST is a,b,c.

  --trace LIST         of zipf, login, refresh, winfo, churn, mixture; without it all of them
  --replay FILE        a recorded trace instead (its format is in docs/cache-policies.md)
  --policy LIST        of fifo, lru, slru, sieve, s3-fifo, w-tinylfu; without it all of them
  --entries LIST       bounds in entries, or in percent of the most that are alive at a time
                       (1%,2%,5%,10%,20%,40%,80%)
  --bytes LIST         bounds in bytes instead, likewise
  --keys N             presentities in made traces (20000)
  --accesses N         length of made traces (1000000, divided by the variable PRESENCE_BENCH_SCALE)
  --seed N             of made traces (1)
  --write-back SECONDS write changes that often, or when they are evicted, and not at once
  --write FILE         write the trace (one --trace only) as text and end
  --csv FILE           write all results as comma-separated values
  --svg FILE           draw hit ratio over capacity
  --help               this text
)";

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "cache_sim: %s (--help lists the options)\n", why.c_str());
  std::exit(2);
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> parts;
  std::istringstream in{list};
  for (std::string part; std::getline(in, part, ',');)
    if (!part.empty()) parts.push_back(part);
  if (parts.empty()) fail("an empty list");
  return parts;
}

template <class Number>
Number number_of(const std::string& text, Number least, Number most) {
  Number n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || n < least || n > most)
    fail("\"" + text + "\" is not a number from " + std::to_string(least) + " to " + std::to_string(most));
  return n;
}

struct command_line {
  std::vector<std::string> traces{trace_maker::names.begin(), trace_maker::names.end()};
  std::vector<std::string> policies = {};
  std::vector<std::string> capacities = {"1%", "2%", "5%", "10%", "20%", "40%", "80%"};
  bool in_bytes = false;
  trace_size size = {};
  std::int64_t flush_every = 0;
  std::string replay = {}, write = {}, csv = {}, svg = {};
};

command_line parse(int argc, char** argv) {
  command_line line;
  line.size.accesses = scaled(line.size.accesses);
  for (const auto& known : cache::known_policies)
    if (known.name != "unbounded") line.policies.emplace_back(known.name);
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    if (option == "--help" || option == "-h") {
      std::fputs(usage, stdout);
      std::exit(0);
    }
    const auto value = [&]() -> std::string {
      if (i + 1 >= argc) fail(option + " wants a value");
      return argv[++i];
    };
    if (option == "--trace") {
      line.traces = split(value());
      for (const auto& name : line.traces)
        if (std::find(trace_maker::names.begin(), trace_maker::names.end(), name) == trace_maker::names.end())
          fail("there is no trace \"" + name + "\"");
    } else if (option == "--policy") {
      line.policies = split(value());
      for (const auto& name : line.policies)
        if (auto made = cache::make_policy(name, 1); !made) fail(made.error());
      std::erase(line.policies, "unbounded");  // is there anyway
    } else if (option == "--entries" || option == "--bytes") {
      line.capacities = split(value());
      line.in_bytes = option == "--bytes";
    } else if (option == "--keys") {
      line.size.keys = number_of<std::uint32_t>(value(), 10, 100'000'000);
    } else if (option == "--accesses") {
      line.size.accesses = number_of<std::size_t>(value(), 1, 1'000'000'000);
    } else if (option == "--seed") {
      line.size.seed = number_of<std::uint64_t>(value(), 0, std::numeric_limits<std::uint64_t>::max());
    } else if (option == "--write-back") {
      line.flush_every = number_of<std::int64_t>(value(), 1, 1'000'000) * 1000;
    } else if (option == "--replay") {
      line.replay = value();
      line.traces = {line.replay};
    } else if (option == "--write") {
      line.write = value();
    } else if (option == "--csv") {
      line.csv = value();
    } else if (option == "--svg") {
      line.svg = value();
    } else {
      fail("unknown option " + option);
    }
  }
  if (!line.write.empty() && line.traces.size() != 1) fail("--write wants one --trace");
  return line;
}

/// The bound that a text like 500 or 5% means when at most `all` are alive at a time.
std::size_t capacity_of(const std::string& text, std::size_t all) {
  if (!text.ends_with('%')) return number_of<std::size_t>(text, 1, std::numeric_limits<std::size_t>::max());
  char* end = nullptr;
  const double percent = std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size() - 1 || !(percent > 0) || percent > 100) fail("\"" + text + "\" is no share");
  return std::max<std::size_t>(static_cast<std::size_t>(percent / 100 * static_cast<double>(all) + 0.5), 1);
}

/// What the times depend on.
std::string conditions() {
  std::string processor = "unknown processor";
  std::ifstream in{"/proc/cpuinfo"};
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name")) processor = line.substr(line.find(':') + 2);
#ifdef __clang__
  const std::string compiler = "clang++ ";
#else
  const std::string compiler = "g++ ";
#endif
#ifdef __OPTIMIZE__
  const std::string optimised = ", optimised, ";
#else
  const std::string optimised = ", not optimised, ";
#endif
  return compiler + __VERSION__ + optimised + processor;
}

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

struct row {
  std::string trace, policy;
  std::size_t capacity;  ///< 0: none
  double share;          ///< of the most that are alive at a time, in percent
  outcome got;
};

/// A line on stderr now and then, so that a long run is seen to live.
class progress {
 public:
  explicit progress(std::size_t runs) : runs_{runs} {}
  void next(const row& r) {
    ++done_;
    const auto now = clock::now();
    if (now - told_ < std::chrono::seconds{2}) return;
    told_ = now;
    const auto passed = std::chrono::duration_cast<std::chrono::seconds>(now - begin_).count();
    std::fprintf(stderr, "cache_sim: %zu of %zu runs, %s, %s, %lld s\n", done_, runs_, r.trace.c_str(),
                 r.policy.c_str(), static_cast<long long>(passed));
  }

 private:
  using clock = std::chrono::steady_clock;
  std::size_t runs_, done_ = 0;
  clock::time_point begin_ = clock::now(), told_ = begin_;
};

std::vector<row> run(const trace& t, const command_line& line, progress& told) {
  std::vector<row> rows;
  cache::unbounded all;
  const outcome most = simulate(t, all, {}, line.flush_every);
  const std::size_t entries = std::max<std::size_t>(most.most_entries, 1);
  const std::size_t bytes = std::max<std::size_t>(most.most_bytes, 1);
  const std::size_t alive = line.in_bytes ? bytes : entries;
  const auto one = [&](cache::policy& policy, std::size_t capacity) {
    const bounds limit = line.in_bytes ? bounds{.bytes = capacity} : bounds{.entries = capacity};
    rows.push_back({t.name, std::string{policy.name()}, capacity, percent(capacity, alive),
                    simulate(t, policy, limit, line.flush_every)});
    told.next(rows.back());
  };
  for (const auto& text : line.capacities) {
    const std::size_t capacity = capacity_of(text, alive);
    std::size_t expected = capacity;  // in entries
    if (line.in_bytes) expected = capacity / std::max<std::size_t>(bytes / entries, 1);
    for (const auto& name : line.policies) one(**cache::make_policy(name, expected), capacity);
    clairvoyant future;
    one(future, capacity);
  }
  rows.push_back({t.name, "unbounded", 0, 100, most});
  told.next(rows.back());
  return rows;
}

void print(const trace& t, const std::vector<row>& rows, bool in_bytes) {
  std::printf("\n## %s: %s\n\n%zu accesses\n\n", t.name.c_str(), t.about.c_str(), t.steps.size());
  std::printf(
      "| policy | capacity, %s | hit ratio, %% | evictions | reads | writes | steps per access | ns per access |\n"
      "|---|---:|---:|---:|---:|---:|---:|---:|\n",
      in_bytes ? "bytes" : "entries");
  for (const row& r : rows) {
    const double n = static_cast<double>(r.got.accesses);
    const std::string capacity = r.capacity == 0 ? "-" : std::to_string(r.capacity);
    std::printf("| %s | %s | %.2f | %llu | %llu | %llu | %.2f | %.0f |\n", r.policy.c_str(), capacity.c_str(),
                percent(r.got.hits, r.got.accesses), static_cast<unsigned long long>(r.got.evictions),
                static_cast<unsigned long long>(r.got.reads), static_cast<unsigned long long>(r.got.writes),
                static_cast<double>(r.got.steps) / n, r.got.seconds * 1e9 / n);
  }
}

/// Hit ratios of all traces side by side, at one of the capacities.
void print_summary(const std::vector<std::vector<row>>& results, const std::string& capacity, std::size_t at) {
  std::printf("\n## Hit ratios in %% with a capacity of %s\n\n| policy |", capacity.c_str());
  for (const auto& rows : results) std::printf(" %s |", rows[0].trace.c_str());
  std::printf("\n|---|");
  for (std::size_t i = 0; i < results.size(); ++i) std::printf("---:|");
  std::printf("\n");
  std::vector<std::string> names;
  for (const row& r : results[0])
    if (std::find(names.begin(), names.end(), r.policy) == names.end()) names.push_back(r.policy);
  for (const auto& name : names) {
    std::printf("| %s |", name.c_str());
    for (const auto& rows : results) {
      std::size_t seen = 0;
      for (const row& r : rows)
        if (r.policy == name && (seen++ == at || r.capacity == 0))
          std::printf(" %.1f |", percent(r.got.hits, r.got.accesses));
    }
    std::printf("\n");
  }
}

void write_csv(const std::string& path, const std::vector<std::vector<row>>& results, bool in_bytes) {
  std::ofstream out{path};
  out << "trace,policy,capacity_" << (in_bytes ? "bytes" : "entries")
      << ",share_percent,accesses,hits,hit_ratio,evictions,reads,writes,steps,ns_per_access\n";
  for (const auto& rows : results)
    for (const row& r : rows) {
      const outcome& g = r.got;
      const double n = static_cast<double>(g.accesses);
      out << r.trace << ',' << r.policy << ',' << r.capacity << ',' << r.share << ',' << g.accesses << ',' << g.hits
          << ',' << static_cast<double>(g.hits) / n << ',' << g.evictions << ',' << g.reads << ',' << g.writes << ','
          << g.steps << ',' << g.seconds * 1e9 / n << '\n';
    }
  if (!out.flush()) fail("cannot write " + path);
}

void draw(const command_line& line, const std::vector<trace>& traces, const std::vector<std::vector<row>>& results) {
  std::vector<std::string> names = line.policies;
  names.insert(names.end(), {"clairvoyant", "unbounded"});
  std::vector<panel> panels;
  for (std::size_t i = 0; i < results.size(); ++i) {
    panel p{traces[i].name, traces[i].about, {}};
    for (const auto& name : names) {
      curve c{name, {}};
      for (const row& r : results[i])  // `unbounded`, the last one, is drawn as wide as the others
        if (name == "unbounded" ? r.policy == "clairvoyant" : r.policy == name) {
          const outcome& got = name == "unbounded" ? results[i].back().got : r.got;
          c.points.emplace_back(r.share, percent(got.hits, got.accesses));
        }
      p.curves.push_back(c);
    }
    panels.push_back(p);
  }
  const std::string x = line.in_bytes ? "capacity, % of all bytes alive" : "capacity, % of all entries alive";
  std::ofstream out{line.svg};
  out << chart{"Hit ratio of cache policies", x, "hit ratio, %", names}.draw(panels);
  if (!out.flush()) fail("cannot write " + line.svg);
}

}  // namespace

int main(int argc, char** argv) {
  const command_line line = parse(argc, argv);
  std::printf("cache_sim, commit %s, %s; seed %llu\n", PRESENCE_COMMIT, conditions().c_str(),
              static_cast<unsigned long long>(line.size.seed));
  trace_maker maker{line.size};
  std::vector<trace> traces;
  std::vector<std::vector<row>> results;
  progress told{line.traces.size() * (line.capacities.size() * (line.policies.size() + 1) + 1)};
  for (const auto& name : line.traces) {
    trace t;
    if (line.replay.empty()) {
      t = maker.make(name);
    } else if (auto read = read_trace(line.replay)) {
      t = std::move(*read);
    } else {
      fail(read.error());
    }
    if (!line.write.empty()) {
      if (auto written = write_trace(t, line.write); !written) fail(written.error());
      std::printf("%zu accesses written to %s\n", t.steps.size(), line.write.c_str());
      return 0;
    }
    results.push_back(run(t, line, told));
    print(t, results.back(), line.in_bytes);
    std::fflush(stdout);
    t.steps.clear();
    traces.push_back(std::move(t));
  }
  const std::size_t middle = line.capacities.size() / 2;
  print_summary(results, line.capacities[middle], middle);
  if (!line.csv.empty()) write_csv(line.csv, results, line.in_bytes);
  if (!line.svg.empty()) draw(line, traces, results);
}
