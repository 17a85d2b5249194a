// Decisions that turn at a moment, or with the sphere, where the state is not in memory: several engines on one database
// (subs_db_mode 3), after a restart with fallback2db, and evicted from bounded memory. What is told is the same (issue 4).
#include "scenario.hpp"

#include <functional>

#include <presence/packages.hpp>

#include "faulty_storage.hpp"
#include "places.hpp"

using namespace presence;
using namespace presence::test;

namespace {

enum class memory { none, after_a_restart, for_one_state };

/// Somebody else comes between what a call reads and what it writes.
struct racing_storage : faulty_storage {
  using faulty_storage::faulty_storage;
  std::function<void()> between = {};
  result<void, storage_error> apply(const change& what) override {
    if (between) std::exchange(between, {})();
    return faulty_storage::apply(what);
  }
};

struct forgetful : scenario {
  memory kind;
  racing_storage* race;
  forgetful(memory k, storage& rows, setup s = {}) : forgetful{k, std::make_unique<racing_storage>(rows), std::move(s)} {}

  /// What is only in the database from now on.
  void forget() {
    if (kind != memory::for_one_state) return restart();
    for (const char* other : {"x", "y"}) publish(other, {.body = "t1:open"});
    CHECK(engine->stats().resources == 1);
  }
  /// Without the seconds that are left, for with several engines it comes a little later.
  std::string heard(seconds since_start) {
    std::string line = wait_until(since_start);
    for (auto begin = line.find(";expires="); begin != std::string::npos; begin = line.find(";expires="))
      line.erase(begin, line.find_first_of(" \n", begin) - begin);
    return line;
  }

 private:
  std::unique_ptr<racing_storage> held;
  forgetful(memory k, std::unique_ptr<racing_storage> rows, setup s)
      : scenario{[&] {
          s.rows = rows.get();
          s.settings.new_usage_in_dialog = false;
          s.settings.cseq_block = 1;
          s.settings.fallback2db = k != memory::none;
          s.settings.subs_db_mode = k == memory::none ? 3 : 1;
          s.settings.cache_states = k == memory::for_one_state ? 1 : 0;
          return std::move(s);
        }()},
        kind{k}, race{rows.get()}, held{std::move(rows)} {}
};

/// Runs it for each kind of memory.
template <class Place>
void each_memory(scenario::setup s, const std::function<void(forgetful&, storage&)>& run) {
  for (const memory kind : {memory::none, memory::after_a_restart, memory::for_one_state}) {
    CAPTURE(static_cast<int>(kind));
    Place place;
    forgetful one{kind, place.rows(), s};
    run(one, place.rows());
  }
}

std::string rule(const char* who, const char* handling, const std::string& when = {}, bool shows = true) {
  static int n = 0;
  return "<c:rule id='r" + std::to_string(++n) + "'><c:conditions><c:identity><c:one id='" + address(who) + "'/></c:identity>" + when +
         "</c:conditions><c:actions><sub-handling>" + handling + "</sub-handling></c:actions><c:transformations>" +
         (shows ? "<provide-services><all-services/></provide-services>" : "") + "</c:transformations></c:rule>";
}
std::string between(const char* from, const char* until) {
  const auto day = [](const char* time) { return std::string{"2023-11-14T"} + time + "Z"; };
  return "<c:validity><c:from>" + day(from) + "</c:from><c:until>" + day(until) + "</c:until></c:validity>";
}
const std::string before = between("22:00:00", "22:15:00"), after = between("22:15:00", "22:20:00");  // the start is 22:13:20
constexpr seconds moment{100}, second_moment{400};
std::string rules(const std::string& all) {
  return "<c:ruleset xmlns:c='urn:ietf:params:xml:ns:common-policy' xmlns='urn:ietf:params:xml:ns:pres-rules'>" + all + "</c:ruleset>";
}

std::string person(const std::string& sphere) {
  return "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' "
         "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:alice@example.com'><d:person id='p'>" + sphere + "</d:person></presence>";
}
const std::string work = person("<r:sphere><r:work/></r:sphere>"), home = person("<r:sphere><r:home/></r:sphere>");

/// Shows one word at work, and another elsewhere.
struct word : view {
  std::string text;
  explicit word(std::string t) : text{std::move(t)} {}
  bool equals(const view& other) const noexcept override { return text == static_cast<const word&>(other).text; }
};
event_package words() {
  event_package p = opaque_package("other", {"text/plain"});
  p.req_auth = true;
  p.authorize = [](const authorization_query& q) {
    const bool at_work = q.sphere == "work";
    const bool only_at_work = q.watcher.uri == address("dave");
    authorization a{only_at_work && !at_work ? sub_handling::block : sub_handling::allow};
    if (q.watcher.uri != address("erin")) a.view = std::make_shared<word>(at_work ? "works" : "rests");
    a.by_sphere = true;
    return a;
  };
  p.authorize_body = [](const body&, std::string_view, std::span<const published>, const view& v) {
    return body{"text/plain", static_cast<const word&>(v).text};
  };
  return p;
}

}  // namespace

TEST_CASE_TEMPLATE("who is to be told that a decision turns is told at its moment, once, whatever is in memory (Z11, POL-4745-val-2)", Place,
                   EVERY_STORAGE) {
  each_memory<Place>({.by_rules = true}, [](forgetful& s, storage& rows) {
    s.rules_text = rules(rule("bob", "allow", before) + rule("carol", "allow", {}, false) + rule("carol", "allow", before) + rule("dave", "allow") +
                         rule("erin", "confirm") + rule("erin", "allow", after) + rule("frank", "confirm") + rule("frank", "allow", after));
    s.publish("alice", {.body = "t1:open"});
    for (const char* who : {"bob", "carol", "dave", "erin"}) s.subscribe(who, {.by = who, .expires = 3000s});
    s.subscribe("frank", {.by = "frank", .expires = 0s});
    s.forget();
    CHECK(s.heard(moment - 1s).empty());
    CHECK(rows.mark(address("alice"), "presence")->turns == start + moment);
    s.forget();
    CHECK(s.heard(moment + 1s) == "N bob#2 terminated;reason=rejected | N carol#2 active P() | N erin#2 active P(*:open)");
    std::vector<watcher_row> waiting;
    cursor at;
    CHECK(rows.watchers({}, at, 10, waiting));
    CHECK(waiting.empty());
    CHECK(rows.mark(address("alice"), "presence")->turns == start + second_moment);
    s.forget();
    CHECK(s.heard(second_moment - 1s).empty());
    CHECK(s.heard(second_moment + 1s) == "N erin#3 terminated;reason=probation");
    CHECK(s.heard(second_moment + 10s).empty());
  });
}

TEST_CASE_TEMPLATE("of decisions that were missed the last counts, and what a request tells is not told again (Z11)", Place, EVERY_STORAGE) {
  each_memory<Place>({.by_rules = true}, [](forgetful& s, storage&) {
    s.rules_text = rules(rule("bob", "allow", {}, false) + rule("bob", "allow", after) + rule("carol", "allow", after) + rule("carol", "allow", before));
    s.publish("alice", {.body = "t1:open"});
    s.subscribe("bob", {.expires = 3000s});
    s.subscribe("carol", {.by = "carol", .expires = 3000s});
    s.forget();
    s.at = start + moment + 10ms;  // nobody has looked yet
    CHECK(s.publish("alice", {.body = "t2:open"}).find("N bob#2 active;expires=2899 P(*:open,*:open) | N carol#2 active;expires=2899 P(*:open,*:open)") !=
          std::string::npos);
    s.forget();
    CHECK(s.heard(moment + 5s).empty());
    s.at = start + second_moment + 600s;  // nobody ran
    s.forget();
    CHECK(s.heard(second_moment + 602s) == "N bob#3 active P() | N carol#3 terminated;reason=rejected");
  });
}

TEST_CASE_TEMPLATE("a moment at which nobody is left is forgotten (Z11)", Place, EVERY_STORAGE) {
  each_memory<Place>({.by_rules = true}, [](forgetful& s, storage& rows) {
    s.rules_text = rules(rule("bob", "allow", before));
    s.subscribe("bob", {.expires = 3000s});
    s.subscribe("bob", {.expires = 0s});
    s.forget();
    CHECK(rows.mark(address("alice"), "presence")->turns);
    CHECK(s.heard(moment + 1s).empty());
    CHECK_FALSE(rows.mark(address("alice"), "presence")->turns);
  });
}

TEST_CASE("engines that look at once at a decision that turns: one tells it (Z11, C01)") {
  memory_storage rows;
  forgetful s{memory::none, rows, {.by_rules = true}}, other{memory::none, rows, {.by_rules = true, .seed = 2}};
  s.rules_text = other.rules_text = rules(rule("bob", "allow", before) + rule("carol", "allow", {}, false) + rule("carol", "allow", before));
  s.publish("alice", {.body = "t1:open"});
  s.subscribe("bob", {.expires = 3000s});
  s.subscribe("carol", {.by = "carol", .expires = 3000s});
  s.at = other.at = start + moment + 1s;
  std::size_t told = 0;
  s.race->between = [&] { told = other.engine->advance(other.at).notifies.size(); };
  CHECK(s.engine->advance(s.at).notifies.empty());
  CHECK(told == 2);
  CHECK(s.engine->stats().storage_conflicts == 1);
  CHECK(s.engine->advance(s.at + 1s).notifies.empty());
}

TEST_CASE_TEMPLATE("a sphere that changes is looked at for other packages too, whatever is in memory (Z12, POL-5025-sphere-2)", Place, EVERY_STORAGE) {
  each_memory<Place>({.settings = {.enable_sphere_check = true}, .packages = {words()}}, [](forgetful& s, storage&) {
    s.publish("alice", {.raw = work});
    s.publish("alice", {.raw = "!", .type = "text/plain", .event = "other"});
    for (const char* who : {"bob", "dave", "erin"}) s.subscribe(who, {.by = who, .expires = 3000s, .event = "other"});
    s.forget();
    std::string line = s.publish("alice", {.raw = home, .if_match = "e1", .expires = 60s});
    line += s.heard(1s);
    CHECK(line.find("N bob#2 active") != std::string::npos);
    CHECK(line.find("rests") != std::string::npos);
    CHECK(line.find("N dave#2 terminated;reason=rejected") != std::string::npos);
    CHECK(line.find("erin") == std::string::npos);
    s.forget();
    CHECK(s.heard(50s).empty());
    CHECK(s.publish("alice", {.raw = work, .expires = 120s}).find(" | N ") == std::string::npos);  // two that disagree show what none does
    s.forget();
    CHECK(s.heard(62s) == "N bob#3 active [works]");  // one is left
    s.forget();
    CHECK(s.heard(185s) == "N bob#4 active [rests]");  // and none
  });
}

TEST_CASE_TEMPLATE("a sphere that ends by itself turns decisions, whatever is in memory (Z12, RPID-3-3)", Place, EVERY_STORAGE) {
  each_memory<Place>({.settings = {.enable_sphere_check = true}, .packages = {words()}}, [](forgetful& s, storage&) {
    s.publish("alice", {.raw = person("<r:sphere from='2023-11-14T22:00:00Z' until='2023-11-14T22:15:00Z'><r:work/></r:sphere>")});
    s.subscribe("bob", {.expires = 3000s, .event = "other"});
    s.forget();
    CHECK(s.heard(moment - 1s).empty());
    s.forget();
    CHECK(s.heard(moment + 1s) == "N bob#2 active [rests]");
    CHECK(s.heard(moment + 10s).empty());
  });
}
