// The engine's working memory: indexes, lists and counters stay consistent (RL1), whatever comes and goes.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <presence/packages.hpp>
#include <presence/state_table.hpp>

using namespace presence;
using namespace std::chrono_literals;

namespace {

const instant start{std::chrono::seconds{1'700'000'000}};

struct fixture {
  seeded_random random{1};
  state_table table{random, 4, 4};
  event_package package = opaque_package("presence");
  event_package other = opaque_package("presence.x");  // one name is the beginning of the other

  dialog dialog_of(int n, std::string_view event = "presence") {
    const std::string call = "call-" + std::to_string(n);
    return dialog{{.call_id = call, .local_tag = "ours", .remote_tag = "theirs", .event = event}};
  }
  subscription& watch(event_state& state, std::string_view watcher, int n, instant deadline = start + 600s,
                      std::string_view event = "presence") {
    subscription& s = table.make_subscription();
    s.dialog = dialog_of(n, event);
    s.deadline = deadline;
    table.reserve(state);
    table.link(s, state, table.obtain_watcher(watcher));
    return s;
  }
  publication& publish(event_state& state, std::uint64_t id, instant deadline = start + 600s) {
    auto p = table.make_publication();
    p->id = id;
    p->etag = "e" + std::to_string(id);
    p->deadline = deadline;
    state.publications.reserve(state.publications.size() + 1);
    return table.insert(state, std::move(p));
  }
  void sound() {
    const auto wrong = table.check();
    if (wrong) FAIL(*wrong);
  }
  std::vector<std::string> order(const event_state& state) {
    std::vector<std::string> calls;
    for (const auto index : state.watchers)
      if (index != slab<subscription>::none) calls.emplace_back(table.subscriptions()[index].dialog.call_id());
    return calls;
  }
};

}  // namespace

TEST_CASE("a state is found by resource and package, and by nothing else (P05, P06)") {
  fixture f;
  event_state& a = f.table.obtain("sip:alice@example.com", f.package);
  f.publish(a, 1);
  CHECK(&f.table.obtain("sip:alice@example.com", f.package) == &a);
  CHECK(f.table.find("sip:alice@example.com", f.package) == &a);
  CHECK(f.table.find("sip:alice@example.com", f.other) == nullptr);
  CHECK(f.table.find("sip:Alice@example.com", f.package) == nullptr);
  event_state& b = f.table.obtain("sip:alice@example.com", f.other);
  CHECK(&b != &a);
  f.publish(b, 2);
  f.sound();
  f.table.erase(*a.publications.front());
  CHECK(a.idle());
  f.table.release_if_idle(a);
  CHECK(f.table.find("sip:alice@example.com", f.package) == nullptr);
  CHECK(f.table.find("sip:alice@example.com", f.other) == &b);
  f.table.release_if_idle(b);  // not idle: stays
  CHECK(f.table.states().size() == 1);
  f.sound();
}

TEST_CASE("publications keep the order of their creation, also when they are read back in another one (P32)") {
  fixture f;
  event_state& state = f.table.obtain("sip:alice@example.com", f.package);
  for (const std::uint64_t id : {5u, 2u, 9u, 1u, 7u}) f.publish(state, id);
  std::vector<std::uint64_t> ids;
  for (const auto& p : state.publications) ids.push_back(p->id);
  CHECK(ids == std::vector<std::uint64_t>{1, 2, 5, 7, 9});
  CHECK(f.table.publication_count() == 5);
  f.sound();
  f.table.erase(*state.publications[2]);
  CHECK(f.table.publication_count() == 4);
  f.sound();
}

TEST_CASE("a publication lies in its state while there is room, and stays where it is (PF2)") {
  fixture f;
  event_state& state = f.table.obtain("sip:alice@example.com", f.package);
  const auto at_home = [&](const publication& p) { return static_cast<const void*>(&p) == state.room; };
  publication& first = f.publish(state, 1);
  publication& second = f.publish(state, 2);
  CHECK(at_home(first));
  CHECK_FALSE(at_home(second));
  f.table.erase(first);
  CHECK(state.publications.front().get() == &second);
  publication& third = f.publish(state, 3);
  CHECK(at_home(third));
  CHECK(third.etag == "e3");
  f.table.erase(second);
  CHECK(state.publications.front().get() == &third);
  f.sound();
  f.publish(f.table.obtain("sip:bob@example.com", f.package), 4);  // dies with the table
  f.table.erase(third);
  f.table.release_if_idle(state);
  f.sound();
}

TEST_CASE("a state knows before when none of its publications lapses (M03)") {
  fixture f;
  event_state& state = f.table.obtain("sip:alice@example.com", f.package);
  CHECK_FALSE(f.table.lapsed(state, start + 1000s));
  publication& hard = f.publish(state, 1, never);
  CHECK(state.hard == 1);
  publication& later = f.publish(state, 2, start + 60s);
  publication& sooner = f.publish(state, 3, start + 30s);
  CHECK_FALSE(f.table.lapsed(state, start + 29s));
  CHECK(f.table.lapsed(state, start + 30s));
  f.table.set_deadline(sooner, start + 90s);
  CHECK_FALSE(f.table.lapsed(state, start + 59s));
  CHECK(f.table.lapsed(state, start + 60s));
  f.table.set_deadline(sooner, start + 10s);
  CHECK(f.table.lapsed(state, start + 10s));
  f.sound();
  f.table.erase(sooner);
  CHECK_FALSE(f.table.lapsed(state, start + 59s));
  f.table.erase(later);
  CHECK_FALSE(f.table.lapsed(state, start + 1000s));
  f.sound();
  f.table.erase(hard);
  CHECK(state.hard == 0);
}

TEST_CASE("watchers keep the order in which they subscribed while others leave (N35)") {
  fixture f;
  event_state& state = f.table.obtain("sip:alice@example.com", f.package);
  std::vector<subscription*> all;
  for (int i = 0; i < 100; ++i) all.push_back(&f.watch(state, "sip:w@example.com", i));
  CHECK(state.watcher_count() == 100);

  SUBCASE("the first half leaves") {
    for (int i = 0; i < 60; ++i) {
      f.table.erase(*all[static_cast<std::size_t>(i)]);
      f.sound();
    }
    CHECK(state.watcher_count() == 40);
    CHECK(state.watchers.size() < 100);  // the holes were closed
    CHECK(f.order(state).front() == "call-60");
    CHECK(f.order(state).back() == "call-99");
  }
  SUBCASE("every other one leaves") {
    for (std::size_t i = 0; i < 100; i += 2) f.table.erase(*all[i]);
    f.sound();
    CHECK(f.order(state).size() == 50);
    CHECK(f.order(state)[7] == "call-15");
  }
  SUBCASE("the last ones leave: no hole is left at the end") {
    for (std::size_t i = 100; i-- > 50;) f.table.erase(*all[i]);
    f.sound();
    CHECK(state.watchers.size() == 50);
    CHECK(state.holes == 0);
  }
  SUBCASE("a newcomer is last, whatever holes there are") {
    for (std::size_t i = 0; i < 8; ++i) f.table.erase(*all[i * 3]);
    f.watch(state, "sip:w@example.com", 1000);
    CHECK(f.order(state).back() == "call-1000");
    CHECK(state.holes == 8);
    f.sound();
  }
  SUBCASE("all leave") {
    std::mt19937 random{3};
    std::shuffle(all.begin(), all.end(), random);
    for (subscription* s : all) {
      f.table.erase(*s);
      if (!state.idle()) f.sound();
    }
    CHECK(state.watchers.empty());
    CHECK(state.holes == 0);
    CHECK(state.idle());
    f.table.release_if_idle(state);
    CHECK(f.table.find_watcher("sip:w@example.com") == nullptr);
    f.sound();
  }
}

TEST_CASE("pointers to subscriptions and states stay valid while the tables grow (PF4)") {
  fixture f;
  std::vector<std::pair<event_state*, subscription*>> all;
  for (int i = 0; i < 5000; ++i) {
    event_state& state = f.table.obtain("sip:user" + std::to_string(i) + "@example.com", f.package);
    all.emplace_back(&state, &f.watch(state, "sip:w" + std::to_string(i % 7) + "@example.com", i));
  }
  for (int i = 0; i < 5000; ++i) {
    event_state* const state = all[static_cast<std::size_t>(i)].first;
    subscription* const s = all[static_cast<std::size_t>(i)].second;
    REQUIRE(f.table.find("sip:user" + std::to_string(i) + "@example.com", f.package) == state);
    REQUIRE(s->state == state);
    REQUIRE(s->dialog.call_id() == "call-" + std::to_string(i));
    int found = 0;
    f.table.each_usage("call-" + std::to_string(i), "theirs", [&](subscription& u) {
      found += &u == s;
      return true;
    });
    REQUIRE(found == 1);
  }
  f.sound();
}

TEST_CASE("the usages of a dialog are found together, until one says stop (S07, S19, EVT-4.4.1-1)") {
  fixture f;
  event_state& state = f.table.obtain("sip:alice@example.com", f.package);
  for (int i = 0; i < 5; ++i) f.watch(state, "sip:bob@example.com", 7, start + 60s, "presence;id=" + std::to_string(i));
  f.watch(state, "sip:bob@example.com", 8);
  int seen = 0;
  f.table.each_usage("call-7", "theirs", [&](subscription&) { return ++seen, true; });
  CHECK(seen == 5);
  seen = 0;
  f.table.each_usage("call-7", "theirs", [&](subscription&) { return ++seen, seen < 2; });
  CHECK(seen == 2);
  seen = 0;
  f.table.each_usage("call-7", "Theirs", [&](subscription&) { return ++seen, true; });
  f.table.each_usage("Call-7", "theirs", [&](subscription&) { return ++seen, true; });
  f.table.each_usage("call-7theirs", "", [&](subscription&) { return ++seen, true; });
  CHECK(seen == 0);
  // the callback may erase the one it is given
  f.table.each_usage("call-7", "theirs", [&](subscription& s) { return f.table.erase(s), true; });
  CHECK(f.table.linked_subscriptions() == 1);
  f.sound();
}

TEST_CASE("the Event id of a subscription is what stands behind the package name (GRM-3, S07)") {
  fixture f;
  event_state& state = f.table.obtain("sip:alice@example.com", f.package);
  CHECK(event_id_of(f.watch(state, "w", 1)).empty());
  CHECK(event_id_of(f.watch(state, "w", 2, start, "presence;id=a")) == "a");
  CHECK(event_id_of(f.watch(state, "w", 3, start, "presence;id=a.b;call-id=\";id=c\"")) == "a.b");
  CHECK(event_id_of(f.watch(state, "w", 4, start, "presence;call-id=\";id=c\"")).empty());
}

TEST_CASE("usages of a dialog draw from one counter that lives as long as the last of them (EVT-4.4.1-1, PROP-2)") {
  fixture f;
  event_state& state = f.table.obtain("sip:alice@example.com", f.package);
  subscription& a = f.watch(state, "w", 1);
  subscription& b = f.watch(state, "w", 1, start, "presence;id=2");
  subscription& c = f.watch(state, "w", 1, start, "presence;id=3");
  a.local_cseq = 5;
  b.local_cseq = 9;
  b.remote_cseq = 4;
  f.table.share_numbers(a, b);
  f.table.share_numbers(a, b);  // again is harmless
  f.table.share_numbers(b, c);
  REQUIRE(a.shared != nullptr);
  CHECK(a.shared == b.shared);
  CHECK(a.shared == c.shared);
  CHECK(a.shared->local_cseq == 9);
  CHECK(a.shared->remote_cseq == 4);
  CHECK(a.shared->usages == 3);
  f.table.erase(a);
  f.table.erase(c);
  CHECK(b.shared->usages == 1);
  CHECK(b.shared->local_cseq == 9);
  f.sound();  // the table's end frees the counter (leak check)
}

TEST_CASE("a subscription that is not linked leaves no trace when it is given up (RL2)") {
  fixture f;
  subscription& s = f.table.make_subscription();
  const notify_id id = f.table.id_of(s, 1);
  CHECK(f.table.find(id) == &s);
  f.table.discard(s);
  CHECK(f.table.find(id) == nullptr);
  CHECK(f.table.subscriptions().size() == 0);
  CHECK(f.table.linked_subscriptions() == 0);
  f.sound();
}

TEST_CASE("an undecided watcher waits only while no pending subscription is left (WIN-FSM-4)") {
  fixture f;
  event_state& state = f.table.obtain("sip:alice@example.com", f.package);
  watcher_account& bob = f.table.obtain_watcher("sip:bob@example.com");
  undecided& u = f.table.obtain_undecided(state, bob, start);
  CHECK(&f.table.obtain_undecided(state, bob, start + 5s) == &u);
  CHECK(f.table.undecided_count() == 1);
  f.table.set_waiting(u, start + 100s);
  f.sound();
  REQUIRE(f.table.next_deadline());
  CHECK(*f.table.next_deadline() <= start + 100s);
  u.pending = 1;
  f.table.set_pending(u);
  f.sound();
  CHECK_FALSE(f.table.next_deadline());
  CHECK_FALSE(state.idle());
  f.table.release_if_unused(bob);  // in use: stays
  CHECK(f.table.find_watcher("sip:bob@example.com") == &bob);
  f.table.erase(u);
  CHECK(f.table.find_watcher("sip:bob@example.com") == nullptr);
  CHECK(state.idle());
  f.table.release_if_idle(state);
  f.sound();
}

TEST_CASE("moved deadlines are found again; the soonest of all kinds is told (M01, M08)") {
  fixture f;
  const instant base{milliseconds{1'700'000'000'000 / 256 * 256}};  // next() is exact in the next 256 ms
  f.table.publication_timers().take_due(base);
  f.table.subscription_timers().take_due(base);
  event_state& state = f.table.obtain("sip:alice@example.com", f.package);
  publication& p = f.publish(state, 1, base + 100ms);
  subscription& s = f.watch(state, "w", 1, base + 90ms);
  CHECK(*f.table.next_deadline() == base + 90ms);
  f.table.set_deadline(s, base + 200ms);
  CHECK(*f.table.next_deadline() <= base + 100ms);  // moved to later: found in its old place first
  f.table.set_deadline(p, base + 210ms);
  CHECK(*f.table.next_deadline() <= base + 200ms);
  CHECK(f.table.publication_timers().take_due(base + 205ms) == nullptr);
  CHECK(f.table.subscription_timers().take_due(base + 205ms) == &s);
  f.table.subscription_timers().insert(s);
  f.table.erase(p);
  f.table.erase(s);
  f.table.release_if_idle(state);
  CHECK_FALSE(f.table.next_deadline());
  f.sound();
}

TEST_CASE("a random crowd of watchers and publications agrees with plain lists (RL1)") {
  for (const unsigned seed : {1u, 2u, 3u}) {
    CAPTURE(seed);
    fixture f;
    std::mt19937 random{seed};
    struct watched {
      std::vector<subscription*> watchers;
      std::vector<publication*> publications;
    };
    std::map<std::string, watched> model;
    std::map<std::string, std::size_t> accounts;
    std::uint64_t id = 0;
    for (int step = 0; step < 20'000; ++step) {
      const std::string resource = "sip:r" + std::to_string(random() % 40) + "@example.com";
      const std::string watcher = "sip:w" + std::to_string(random() % 25) + "@example.com";
      watched& known = model[resource];
      // crowds come and go: grow for a while, then shrink
      const bool grows = (step / 2000) % 2 == 0 ? random() % 4 != 0 : random() % 4 == 0;
      if (grows && random() % 3 != 0) {
        event_state& state = f.table.obtain(resource, f.package);
        known.watchers.push_back(&f.watch(state, watcher, step, start + seconds{random() % 1000}));
        ++accounts[watcher];
      } else if (grows) {
        known.publications.push_back(&f.publish(f.table.obtain(resource, f.package), ++id));
      } else if (random() % 3 != 0 && !known.watchers.empty()) {
        const auto at = known.watchers.begin() + static_cast<std::ptrdiff_t>(random() % known.watchers.size());
        event_state& state = *(*at)->state;
        --accounts[std::string{(*at)->watcher->uri()}];
        f.table.erase(**at);
        known.watchers.erase(at);
        f.table.release_if_idle(state);
      } else if (!known.publications.empty()) {
        const auto at = known.publications.begin() + static_cast<std::ptrdiff_t>(random() % known.publications.size());
        event_state& state = *(*at)->state;
        f.table.erase(**at);
        known.publications.erase(at);
        f.table.release_if_idle(state);
      }
      event_state* state = f.table.find(resource, f.package);
      REQUIRE((state != nullptr) == !(known.watchers.empty() && known.publications.empty()));
      if (state != nullptr) {
        REQUIRE(state->watcher_count() == known.watchers.size());
        REQUIRE(state->watchers.size() <= std::max<std::size_t>(2 * known.watchers.size() + 9, 17));
        std::vector<subscription*> listed;
        for (const auto index : state->watchers)
          if (index != slab<subscription>::none) listed.push_back(&f.table.subscriptions()[index]);
        REQUIRE(listed == known.watchers);
        REQUIRE(state->publications.size() == known.publications.size());
        for (std::size_t i = 0; i < known.publications.size(); ++i)
          REQUIRE(state->publications[i].get() == known.publications[i]);
      }
      const watcher_account* account = f.table.find_watcher(watcher);
      REQUIRE((account == nullptr ? 0 : account->subscriptions.all()) == accounts[watcher]);
      if (state != nullptr && account != nullptr && step > 1000) {  // counted from then on
        const auto his = std::count_if(known.watchers.begin(), known.watchers.end(), [&](const auto* s) { return s->watcher == account; });
        REQUIRE(f.table.count(*state, *account, true) + f.table.count(*state, *account, false) == static_cast<std::size_t>(his));
      }
      if (step % 500 == 0) f.sound();
    }
    f.sound();
  }
}
