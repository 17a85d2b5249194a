// Threads on one sharded engine: each publishes, subscribes, answers NOTIFYs, looks and lets time pass, all on the same
// few resources. Afterwards no number was used twice and nothing is left. To be built with -fsanitize=thread as well,
// which is what .ci/run does. Threads share nothing here but the engine, so that nothing hides a race in it.
// usage: sharded_threads [STEPS]
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <presence/packages.hpp>
#include <presence/rules.hpp>
#include <presence/sharded_engine.hpp>

namespace {

using namespace presence;
using namespace std::chrono_literals;

constexpr std::size_t threads = 4, resources = 7;
std::atomic<std::int64_t> clock_ms{1'700'000'000'000};

instant now() { return instant{std::chrono::milliseconds{clock_ms.fetch_add(1, std::memory_order_relaxed)}}; }

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::abort();
}

class worker {
 public:
  worker(sharded_engine& host, std::size_t number) : host_{host}, name_{std::to_string(number)}, dice_{number} {}

  void run(std::size_t steps) {
    for (std::size_t i = 0; i < steps; ++i) {
      switch (dice_() % 16) {
        case 0: case 1: case 2: case 3: case 4: publish(); break;
        case 5: case 6: case 7: case 8: case 9: subscribe(); break;
        case 10: took(host_.advance(now())); break;
        case 11: took(host_.update_watchers(a_resource(), "presence", now())); break;
        case 12: {
          const std::string bytes = document();
          took(host_.set_hard_state(a_resource(), "presence", name_, {.type = "application/pidf+xml", .bytes = bytes}, now()));
          break;
        }
        case 13: look(); break;
        case 14: {
          const std::string whose = dice_() % 8 == 0 ? std::string{} : a_resource();
          took(host_.terminate_watchers(whose, "presence", end_reason::deactivated, now()));
          break;
        }
        default: took(host_.publish({.resource = "no address", .event = "presence"}, now()));
      }
    }
  }

  std::vector<std::string> numbers;  ///< dialog and CSeq of each NOTIFY this thread was given
  std::uint64_t accepted = 0;

 private:
  std::string a_resource() { return "sip:r" + std::to_string(dice_() % resources) + "@example.com"; }
  std::string document() {
    return "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:r@example.com\"><tuple id=\"t" +
           std::to_string(dice_() % 1000) + "\"><status><basic>open</basic></status></tuple></presence>";
  }
  void publish() {
    const std::string who = a_resource(), bytes = document();
    std::string& tag = tags_[dice_() % resources];
    const effects out = host_.publish({.resource = who, .event = "presence", .expires = std::chrono::seconds{dice_() % 20},
                                       .sip_if_match = tag, .content = {.type = "application/pidf+xml", .bytes = bytes}}, now());
    tag = out.answer.etag;
    took(out);
  }
  void subscribe() {
    dialog& d = dialogs_[dice_() % 6];
    const std::string who = a_resource(), by = "sip:w" + name_ + "@example.com";
    const std::string call_id = name_ + "-" + std::to_string(&d - dialogs_) + "-" + std::to_string(d.life);
    const std::string tag{d.local_tag};
    const effects out = host_.subscribe({.resource = who, .event = dice_() % 8 == 0 ? "presence.winfo" : "presence",
                                         .expires = std::chrono::seconds{dice_() % 5 == 0 ? 0 : dice_() % 20}, .call_id = call_id,
                                         .from_tag = "f", .to_tag = tag, .from_uri = by, .contact = by, .cseq = ++d.cseq,
                                         .who = {.uri = dice_() % 2 == 0 ? who : by}}, now());
    if (out.answer.status == 200 && out.answer.expires != 0u) d.local_tag = out.answer.dialog.local_tag();
    else d = {.local_tag = {}, .life = d.life + 1, .cseq = 0};
    took(out);
  }
  void look() {
    host_.next_deadline();
    host_.count_subscriptions({});
    host_.subscriptions({}, 0, 10);
    host_.current_state(a_resource(), "presence", now());
    host_.auth_status("sip:w0@example.com", a_resource(), now());
    host_.stats();
    if (dice_() % 16 == 0) require(host_.check() == std::nullopt, "the self-audit");
  }
  void took(const effects& out) {
    accepted += out.answer.status == 200;
    for (const notify& n : out.notifies) {
      numbers.push_back(std::string{n.dialog.call_id()} + " " + std::string{n.dialog.local_tag()} + " " + std::to_string(n.cseq));
      took(host_.report({.id = n.id, .status = dice_() % 50 == 0 ? 481 : 200}, now()));
    }
  }

  struct dialog {
    std::string local_tag = {};
    std::uint32_t life = 0, cseq = 0;
  };
  sharded_engine& host_;
  std::string name_;
  std::minstd_rand dice_;
  std::string tags_[resources];
  dialog dialogs_[6];
};

}  // namespace

int main(int argc, char** argv) {
  const std::size_t steps = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 5000;
  std::atomic<std::uint64_t> asked{0}, lines{0};
  options settings;
  settings.server_address = "sip:server.example.com";
  settings.min_expires = 0s;
  sharded_engine host{std::vector<sharded_engine::shard_parts>(3), settings,
                      {.serves = [&](std::string_view) { return asked.fetch_add(1, std::memory_order_relaxed) != 0; },
                       .may_publish = {},
                       .log = [&](log_level, std::string_view) { lines.fetch_add(1, std::memory_order_relaxed); }}};
  event_package package = presence_package();
  package.winfo = package.req_auth = true;
  package.authorize = [&](const authorization_query& query) {
    return asked.fetch_add(1, std::memory_order_relaxed) % 5 == 0 ? sub_handling::confirm
           : query.watcher.uri.size() % 2 == 0                    ? sub_handling::polite_block
                                                                  : sub_handling::allow;
  };
  authorize_by_rules(package, [](std::string_view) -> std::optional<std::string> {
    return "<cp:ruleset xmlns:cp='urn:ietf:params:xml:ns:common-policy' xmlns='urn:ietf:params:xml:ns:pres-rules'><cp:rule id='r'><cp:actions>"
           "<sub-handling>allow</sub-handling></cp:actions><cp:transformations><provide-services><all-services/></provide-services>"
           "</cp:transformations></cp:rule></cp:ruleset>";
  });
  require(host.add_event(package, now()).has_value(), "a package is registered");

  std::vector<worker> workers;
  for (std::size_t i = 0; i < threads; ++i) workers.emplace_back(host, i);
  std::vector<std::thread> running;
  for (worker& w : workers) running.emplace_back([&w, steps] { w.run(steps); });
  for (std::thread& t : running) t.join();

  std::set<std::string> all;
  std::uint64_t accepted = 0;
  for (const worker& w : workers) {
    for (const std::string& number : w.numbers) require(all.insert(number).second, "no number is used twice in a dialog");
    accepted += w.accepted;
  }
  require(host.stats().notifies == all.size(), "each NOTIFY is given to one thread");
  require(all.size() > steps && accepted > steps, "something happened");
  require(host.check() == std::nullopt, "the self-audit");
  clock_ms += 1'000'000'000;
  host.cleanup(now());
  require(host.stats().subscriptions == 0, "all subscriptions are over");
  for (std::size_t i = 0; i < resources; ++i) host.remove_resource("sip:r" + std::to_string(i) + "@example.com", now());
  const engine_stats left = host.stats();
  require(left.subscriptions == 0 && left.publications == 0 && left.undecided == 0, "nothing is left");
  std::printf("%zu threads, %zu NOTIFYs, %llu requests accepted\n", threads, all.size(),
              static_cast<unsigned long long>(accepted));
}
