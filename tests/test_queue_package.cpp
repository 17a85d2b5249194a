// The package that docs/packages.md makes, its code compiled from there, in a real engine.
#include "scenario.hpp"

#include <algorithm>
#include <functional>
#include <set>

#include <presence/memory_storage.hpp>

using namespace presence;
using namespace presence::test;

presence::event_package queue_package(std::function<bool(std::string_view queue, const presence::identity& who)> supervises);

namespace {

/// A call centre: ann and bob are agents of the queue `support`; carol watches the counts, sue sees the names.
struct call_centre : scenario {
  static inline std::set<std::string> supervisors;
  explicit call_centre(storage* rows = nullptr) : scenario{made(rows)} {}

  std::string phone(const std::string& entry, const std::string& tag = {}, expires_value expires = {}) {
    return flat(publish("support", {.raw = entry, .type = "application/x-queue", .if_match = tag, .expires = expires,
                                    .event = "x-queue", .by = "ann"}));
  }
  std::string watch(const std::string& who, seconds expires = 600s) {
    return flat(subscribe(who, {.by = who, .to = "support", .expires = expires, .event = "x-queue"}));
  }
  std::string rules_changed() {
    return flat(told(engine->refresh_watchers(address("support"), "x-queue", refresh_type::authorization, at)));
  }
  static std::string flat(std::string text) {
    std::replace(text.begin(), text.end(), '\n', ',');
    return text;
  }

 private:
  static setup made(storage* rows) {
    supervisors = {address("sue")};
    setup s{.rows = rows};
    s.hooks.may_publish = [](const identity&, std::string_view, std::string_view) { return true; };
    s.packages = {queue_package([](std::string_view, const identity& who) { return supervisors.contains(std::string{who.uri}); })};
    return s;
  }
};

}  // namespace

TEST_CASE("the package of the tutorial: agents publish, two watchers see different things, each with numbers of his own (L04, N24, N27, Z03)"
          * not_in("database_only", "nobody knows what a watcher saw last: documents are full")) {
  call_centre s;
  CHECK(s.watch("sue") == "200 Expires=600 | N sue#1 active;expires=600 [version: 0,state: full,busy: 0,paused: 0,ready: 0,]");
  CHECK(s.phone("agent Ann Lee: ready\r\n") ==
        "200 e1 Expires=600 | N sue#2 active;expires=600 [version: 1,state: partial,agent Ann Lee: ready,ready: 1,]");
  CHECK(s.watch("carol") == "200 Expires=600 | N carol#1 active;expires=600 [version: 0,state: full,busy: 0,paused: 0,ready: 1,]");
  CHECK(s.phone("agent Bob Roe: ready") ==
        "200 e2 Expires=600 | N sue#3 active;expires=600 [version: 2,state: partial,agent Bob Roe: ready,ready: 2,]"
        " | N carol#2 active;expires=600 [version: 1,state: partial,ready: 2,]");
  // another name: nothing that carol sees
  CHECK(s.phone("agent Robert Roe: ready", "e2") ==
        "200 e3 Expires=600 | N sue#4 active;expires=600 [version: 3,state: partial,agent Bob Roe: gone,agent Robert Roe: ready,]");
  // a second phone of one agent: the newest word counts, and the older one again when that phone is gone
  CHECK(s.phone("agent Ann Lee: busy", "", 60s) ==
        "200 e4 Expires=60 | N sue#5 active;expires=600 [version: 4,state: partial,agent Ann Lee: busy,busy: 1,ready: 1,]"
        " | N carol#3 active;expires=600 [version: 2,state: partial,busy: 1,ready: 1,]");
  CHECK(call_centre::flat(s.wait(60s)) ==
        "N sue#6 active;expires=540 [version: 5,state: partial,agent Ann Lee: ready,busy: 0,ready: 2,]"
        " | N carol#4 active;expires=540 [version: 3,state: partial,busy: 0,ready: 2,]");
  CHECK(s.phone("", "e3", 0s) == "200 e5 Expires=0 | N sue#7 active;expires=540 [version: 6,state: partial,agent Robert Roe: gone,ready: 1,]"
                                 " | N carol#5 active;expires=540 [version: 4,state: partial,ready: 1,]");
  // whoever asks gets the whole, and who goes away as well
  CHECK(s.watch("sue") ==
        "200 Expires=600 | N sue#8 active;expires=600 [version: 7,state: full,agent Ann Lee: ready,busy: 0,paused: 0,ready: 1,]");
  CHECK(s.watch("carol", 0s) == "200 Expires=0 | N carol#6 terminated;reason=timeout [version: 5,state: full,busy: 0,paused: 0,ready: 1,]");
  CHECK(s.phone("", "e1", 0s) == "200 e6 Expires=0 | N sue#9 active;expires=600 [version: 8,state: partial,agent Ann Lee: gone,ready: 0,]");
}

TEST_CASE("the package of the tutorial: who becomes a supervisor, or is one no longer, is told what he sees by now (Z05, N24)"
          * not_in("database_only", "rows do not say which view a watcher was told")) {
  call_centre s;
  s.phone("agent Ann Lee: paused");
  s.watch("sue");
  s.watch("carol");
  CHECK(s.rules_changed() == "");
  call_centre::supervisors = {address("carol")};
  CHECK(s.rules_changed() ==
        "N sue#2 active;expires=600 [version: 1,state: full,busy: 0,paused: 1,ready: 0,]"
        " | N carol#2 active;expires=600 [version: 1,state: full,agent Ann Lee: paused,busy: 0,paused: 1,ready: 0,]");
  CHECK(s.phone("agent Anna Lee: paused", "e1") ==
        "200 e2 Expires=600 | N carol#3 active;expires=600 [version: 2,state: partial,agent Ann Lee: gone,agent Anna Lee: paused,]");
  CHECK(s.subscribe("d1", {.by = "eve", .to = "support", .expires = 600s, .event = "x-queue", .unproven = true}) == "403");
}

TEST_CASE("the package of the tutorial: who sees the same shares the bytes, whatever his number (N23, N24)"
          * not_in("database_only", "nobody knows what a watcher saw last: documents are full")) {
  call_centre s;
  s.watch("carol");
  s.watch("dan");
  s.watch("dan");
  s.phone("agent Ann Lee: busy");
  const notify &carol = s.dialogs["carol"].notifies.back(), &dan = s.dialogs["dan"].notifies.back();
  CHECK(carol.body_bytes() == "version: 1\nstate: partial\nbusy: 1\n");
  CHECK(dan.body_bytes() == "version: 2\nstate: partial\nbusy: 1\n");
  CHECK(carol.content.bytes().data() == dan.content.bytes().data());
}

TEST_CASE("the package of the tutorial refuses what is no agent's entry with one answer, and nothing is changed (P30, L04)") {
  call_centre s;
  s.phone("agent Ann Lee: ready");
  s.watch("sue");
  const std::string nul("agent A\0B: ready", 16);
  for (const std::string& bad : {
           std::string{"agent"}, std::string{"agent "}, std::string{"agent : ready"}, std::string{"agent: ready"},
           std::string{": ready"}, std::string{"ready"}, std::string{"\n"}, std::string{"\r\n"}, std::string{"Agent A: ready"},
           std::string{"agent A: "}, std::string{"agent A:ready"}, std::string{"agent A: Ready"}, std::string{"agent A: ready "},
           std::string{"agent A: ready\n\n"}, std::string{"agent A: busy: ready"}, std::string{"agent A: gone"},
           std::string{"agent A: ready\nagent B: ready"}, std::string{"agent A\nB: ready"}, std::string{"agent A\rB: ready"},
           std::string{"agent \x7f: ready"}, nul, "agent " + std::string(65, 'a') + ": ready", std::string(65536, 'a'),
           "agent " + std::string(65522, ':') + ": ready", std::string(65536, '\n')}) {
    CAPTURE(bad.substr(0, 80));
    CHECK(s.phone(bad) == "400");
    CHECK(s.phone(bad, "e1") == "400");
  }
  CHECK(s.publish("support", {.raw = "agent A: ready", .type = "text/plain", .event = "x-queue", .by = "ann"}) ==
        "415 Accept=application/x-queue");
  CHECK(s.phone(std::string(65537, 'a')) == "413");
  CHECK(s.phone("agent " + std::string(64, '\xff') + ": ready", "e1").starts_with("200 e2 "));  // bytes above ASCII are a name's
}

TEST_CASE("the package of the tutorial: the queue's account learns who watches (W06)") {
  call_centre s;
  CHECK(s.subscribe("d1", {.by = "carol", .to = "support", .expires = 600s, .event = "x-queue.winfo"}) == "403");
  CHECK(s.subscribe("d2", {.by = "support", .to = "support", .expires = 600s, .event = "x-queue.winfo"}) ==
        "200 Expires=600 | N d2#1 active;expires=600 W0 full()");
  CHECK(s.watch("carol") == "200 Expires=600 | N carol#1 active;expires=600 [version: 0,state: full,busy: 0,paused: 0,ready: 0,]"
                            " | N d2#2 active;expires=600 W1 partial(w1:active:subscribe:carol:600:0)");
}

TEST_CASE("the package of the tutorial: numbers, documents and views are there after a restart (L05, N24)"
          * not_in("write_back database_only", "numbers reserved at once are not the next; nobody knows what a watcher saw last: documents are full")) {
  memory_storage rows;
  call_centre s{&rows};
  s.phone("agent Ann Lee: ready");
  s.watch("sue");
  s.watch("carol");
  REQUIRE(s.engine->flush(s.at));
  s.restart();
  CHECK(s.phone("agent Ann Lee: busy", "e1") ==
        "200 e2 Expires=600 | N sue#2 active;expires=600 [version: 1,state: full,agent Ann Lee: busy,busy: 1,paused: 0,ready: 0,]"
        " | N carol#2 active;expires=600 [version: 1,state: full,busy: 1,paused: 0,ready: 0,]");
  CHECK(s.phone("agent Ann Lee: ready", "e2") ==
        "200 e3 Expires=600 | N sue#3 active;expires=600 [version: 2,state: partial,agent Ann Lee: ready,busy: 0,ready: 1,]"
        " | N carol#3 active;expires=600 [version: 2,state: partial,busy: 0,ready: 1,]");
}
