/// Traces for the cache simulator: made from a seed, always the same ones, or read from a file
/// (presence/trace.hpp). No floating point and no distribution of the standard library takes part, so that
/// every machine makes the same trace.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <fstream>
#include <numeric>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <presence/trace.hpp>

#include "common.hpp"

namespace presence::bench {

/// One access; `key` numbers the entry.
struct access_step {
  std::int64_t when = 0;  ///< milliseconds
  std::uint32_t key = 0;
  std::uint32_t bytes = 0;
  traced_operation operation = {};
};

struct trace {
  std::string name = {};
  std::string about = {};  ///< one line for tables and pictures
  std::vector<access_step> steps = {};
  std::vector<std::string> keys = {};  ///< of a trace from a file; made ones are named by key_name()

  std::uint32_t key_count() const {
    std::uint32_t count = 0;
    for (const access_step& s : steps) count = std::max(count, s.key + 1);
    return count;
  }
  std::string key_name(std::uint32_t key) const { return keys.empty() ? presentity(key) : keys[key]; }
};

struct trace_size {
  std::uint32_t keys = 20'000;
  std::size_t accesses = 1'000'000;
  std::uint64_t seed = 1;
};

/// Numbers below `n`, of which 0 is the most popular; number i has a weight of 1 / (i + 1).
class zipf_numbers {
 public:
  explicit zipf_numbers(std::uint32_t n) : sums_(n) {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < n; ++i) sums_[i] = sum += (std::uint64_t{1} << 40) / (i + 1);
  }
  std::uint32_t operator()(std::mt19937_64& dice) const {
    const auto at = std::upper_bound(sums_.begin(), sums_.end(), dice() % sums_.back());
    return static_cast<std::uint32_t>(at - sums_.begin());
  }

 private:
  std::vector<std::uint64_t> sums_;
};

/// Makes the traces of one size, one after the other; each one depends on the size alone.
class trace_maker {
 public:
  explicit trace_maker(const trace_size& size) : size_{size}, popular_{size.keys} {}

  static constexpr std::array names = {"zipf", "login", "refresh", "winfo", "churn", "mixture"};

  /// Precondition: `name` is one of them.
  trace make(std::string_view name) {
    begin(name);
    if (name == "zipf") zipf();
    if (name == "login") login();
    if (name == "refresh") refresh();
    if (name == "winfo") winfo();
    if (name == "churn") churn();
    if (name == "mixture") mixture();
    made_.steps.resize(std::min(made_.steps.size(), size_.accesses));
    return std::move(made_);
  }

 private:
  using op = traced_operation;

  void begin(std::string_view name) {
    made_ = {};
    made_.name = name;
    dice_.seed(size_.seed);
    now_ = start.time_since_epoch().count();
    fresh_ = size_.keys;
    who_.resize(size_.keys);
    std::iota(who_.begin(), who_.end(), 0u);
    shuffle(who_);
  }
  std::uint64_t below(std::uint64_t n) { return dice_() % n; }
  void shuffle(std::vector<std::uint32_t>& v) {
    for (std::size_t i = v.size(); i > 1; --i) std::swap(v[i - 1], v[below(i)]);
  }
  std::uint32_t popular() { return who_[popular_(dice_)]; }
  bool full() const { return made_.steps.size() >= size_.accesses; }
  void add(op operation, std::uint32_t key) {
    now_ += 2;
    // some 600 bytes, of every tenth presentity some 4 000
    std::uint64_t spread = key * 0x9E3779B97F4A7C15u >> 40;
    const auto bytes = static_cast<std::uint32_t>(spread % 10 == 0 ? 3000 + spread % 2000 : 450 + spread % 300);
    made_.steps.push_back({now_, key, bytes, operation});
  }
  /// Somebody publishes, is looked at, or told about.
  void everyday(std::uint32_t key) {
    const auto n = below(10);
    add(n == 0 ? op::publish : n < 7 ? op::notify : op::read, key);
  }

  void zipf() {
    made_.about = "some presentities are popular";
    while (!full()) everyday(popular());
  }

  /// Each morning all log in within a short time, each one subscribes to eight others; over the day popular ones
  /// are looked at; in the evening all leave.
  void login() {
    made_.about = "all log in, each one subscribes to eight others; all leave";
    while (!full()) {
      shuffle(logins_ = who_);
      for (const auto who : logins_) {
        add(op::publish, who);
        for (int buddy = 0; buddy < 8; ++buddy) add(op::subscribe, popular());
      }
      for (std::uint32_t i = 0; i < 2 * size_.keys; ++i) everyday(popular());
      shuffle(logins_);
      for (const auto who : logins_) add(op::expire, who);
      now_ += 8 * 3600 * 1000;
    }
  }

  /// Every phone refreshes at its own time in each period, a little early or late.
  void refresh() {
    made_.about = "all refresh in turn, round after round";
    const std::uint32_t jitter = std::max(size_.keys / 50, 1u);
    std::vector<std::pair<std::uint64_t, std::uint32_t>> turn;
    while (!full()) {
      turn.clear();
      for (std::uint32_t i = 0; i < size_.keys; ++i) turn.emplace_back(i + below(jitter), who_[i]);
      std::sort(turn.begin(), turn.end());
      for (const auto& [at, who] : turn) add(op::refresh, who);
    }
  }

  /// Everyday traffic, and now and then somebody reads everything.
  void winfo() {
    made_.about = "zipf, and now and then everything is read once";
    while (!full()) {
      for (std::uint32_t i = 0; i < 3 * size_.keys; ++i) everyday(popular());
      for (std::uint32_t key = 0; key < size_.keys; ++key) add(op::read, key);
    }
  }

  /// Phones that forget their entity tags publish anew each time: the other publications of the presentity
  /// are read, as its state is composed of all, and lapse one after the other. In between watchers are
  /// told the newest.
  void churn() {
    made_.about = "phones publish under new tags, the old ones lapse";
    std::vector<std::vector<std::uint32_t>> live(size_.keys);
    struct end {
      std::size_t at;
      std::uint32_t who;
    };
    std::deque<end> ends;
    while (!full()) {
      for (; !ends.empty() && ends.front().at <= made_.steps.size(); ends.pop_front()) {
        auto& keys = live[ends.front().who];
        add(op::expire, keys.front());
        keys.erase(keys.begin());
      }
      const std::uint32_t told = popular(), who = static_cast<std::uint32_t>(below(size_.keys));
      if (below(4) != 0) {
        if (!live[told].empty()) add(op::notify, live[told].back());
        continue;
      }
      for (const auto key : live[who]) add(op::read, key);
      live[who].push_back(fresh_++);
      add(op::publish, live[who].back());
      ends.push_back({made_.steps.size() + 4 * size_.keys, who});
    }
  }

  /// All of these at once, interleaved.
  void mixture() {
    made_.about = "half of it zipf, half of it the other four";
    std::vector<trace> parts;
    for (const char* name : {"zipf", "login", "refresh", "winfo", "churn"}) {
      trace_maker part{size_};
      parts.push_back(part.make(name));
    }
    std::vector<std::size_t> at(parts.size());
    while (!full()) {
      const std::size_t from = below(2) == 0 ? 0 : 1 + below(parts.size() - 1);
      const access_step& s = parts[from].steps[at[from]++];
      add(s.operation, s.key);
    }
  }

  trace_size size_;
  zipf_numbers popular_;
  std::mt19937_64 dice_;
  trace made_;
  std::vector<std::uint32_t> who_, logins_;
  std::int64_t now_ = 0;
  std::uint32_t fresh_ = 0;  ///< the next key nobody had
};

/// `path` names it in errors.
inline result<trace, std::string> read_trace(std::istream& in, const std::string& path) {
  trace made;
  made.name = path.substr(path.find_last_of('/') + 1);
  made.about = "replayed";
  std::unordered_map<std::string, std::uint32_t> known;
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (line.empty() || line[0] == '#') continue;
    const auto a = parse_trace_line(line);
    if (!a) return unexpected{path + ":" + std::to_string(number) + ": " + a.error()};
    const auto [at, fresh] = known.try_emplace(std::string{a->key}, static_cast<std::uint32_t>(made.keys.size()));
    if (fresh) made.keys.push_back(at->first);
    made.steps.push_back({a->when.time_since_epoch().count(), at->second, a->bytes, a->operation});
  }
  if (made.steps.empty()) return unexpected{path + " holds no access"};
  return made;
}

inline result<trace, std::string> read_trace(const std::string& path) {
  std::ifstream in{path};
  if (!in) return unexpected{"cannot read " + path};
  return read_trace(in, path);
}

inline result<void, std::string> write_trace(const trace& t, const std::string& path) {
  std::ofstream out{path, std::ios::binary};
  std::string text = "# " + t.name + ": time in milliseconds, operation, key, bytes\n";
  for (const access_step& s : t.steps) {
    append_line(text, {instant{milliseconds{s.when}}, s.operation, t.key_name(s.key), s.bytes});
    if (text.size() < 65536) continue;
    out << text;
    text.clear();
  }
  out << text;
  out.close();
  if (!out) return unexpected{"cannot write " + path};
  return {};
}

}  // namespace presence::bench
