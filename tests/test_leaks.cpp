// What watchers must not be able to tell: whether they are politely blocked, and who else watches
// (conformance 19.2, 19.5; features N08, Z22). Scripts of all kinds: test_indistinguishable.cpp.
#include "scenario.hpp"

using namespace presence;
using namespace presence::test;

namespace {

using enum sub_handling;

/// Everything that was sent in the dialogs of one watcher, byte by byte, but for what is random.
std::vector<std::string> heard(const scenario& s, std::string_view by) {
  std::vector<std::string> lines;
  for (const auto& [name, d] : s.dialogs) {
    if (d.by != by) continue;
    for (const notify& n : d.notifies) {
      std::string text = to_string(n);
      for (std::string tag{n.dialog.local_tag()}; text.find(tag) != std::string::npos;)
        text.replace(text.find(tag), tag.size(), std::to_string(tag.size()) + " characters");
      lines.push_back(name + " " + text + "\n" + n.body_bytes());
    }
  }
  return lines;
}

}  // namespace

TEST_CASE(
    "however a politely blocked subscription ends, it ends as an allowed one of somebody who published "
    "nothing (Z22, SEC-LEAK-1)") {
  const auto ends = [](scenario& s, int how) {
    switch (how) {
      case 0:
        return s.wait(600s);
      case 1:
        return s.subscribe("d1", {.expires = 0s});
      case 2:
        return s.told(s.engine->remove_resource(address("alice"), s.at));
      case 3:
        return s.decide("bob", block);
      default:
        return s.told(s.engine->terminate_watchers(address("alice"), "presence",
                                                   static_cast<end_reason>(how - 3), s.at, 9s));
    }
  };
  for (int how = 0; how <= 3 + static_cast<int>(end_reason::invariant); ++how) {
    CAPTURE(how);
    scenario calm{{.authorized = true}}, busy{{.authorized = true}}, waits{{.authorized = true}};
    busy.policy["bob"] = polite_block;
    waits.policy["bob"] = confirm;
    for (scenario* s : {&busy, &waits}) s->publish("alice", {.body = "t1:open"});
    for (scenario* s : {&calm, &busy, &waits}) s->subscribe("d1", {.expires = 600s});
    const std::string told = ends(busy, how);
    CHECK(told == ends(calm, how));
    CHECK(told.find("t1") == std::string::npos);
    CHECK(heard(calm, "bob") == heard(busy, "bob"));
    // who was never let in is shown nothing at all
    CHECK(ends(waits, how).find("P(") == std::string::npos);
  }
}

TEST_CASE(
    "a politely blocked watcher is active and shown what his package says of nothing, in every NOTIFY (N08, "
    "POL-5025-sub-4)") {
  event_package bare = opaque_package("bare");
  bare.req_auth = true;
  bare.authorize = [](const authorization_query&) { return polite_block; };
  event_package lamp = bare;
  lamp.name = "lamp";
  lamp.neutral = [](std::string_view) { return body{"a/b", "off"}; };
  event_package each = lamp;
  each.name = "each";
  each.tailor = [](const body& state, const watcher_view& to) {
    return body{"a/b", std::string{state.bytes()} + std::to_string(to.version)};
  };
  for (const event_package& p : {bare, lamp, each}) {
    CAPTURE(p.name);
    scenario s{{.packages = {p}}};
    s.publish("alice", {.raw = "secret", .type = "a/b", .event = p.name});
    const auto shown = [&](int n) {
      return p.name == "bare"   ? std::string{}
             : p.name == "lamp" ? " [off]"
                                : " [off" + std::to_string(n) + "]";
    };
    CHECK(s.subscribe("d1", {.expires = 600s, .event = p.name}) ==
          "200 Expires=600 | N d1#1 active;expires=600" + shown(0));
    CHECK(s.publish("alice", {.raw = "more", .type = "a/b", .if_match = "e1", .event = p.name}) ==
          "200 e2 Expires=3600");
    CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#2 active;expires=600" + shown(1));
    CHECK(s.subscribe("d2", {.expires = 0s, .event = p.name}) ==
          "200 Expires=0 | N d2#1 terminated;reason=timeout" + shown(0));
    CHECK(s.subscribe("d1", {.expires = 0s}) ==
          "200 Expires=0 | N d1#3 terminated;reason=timeout" + shown(2));
  }
}

TEST_CASE(
    "a watcher cannot tell whether the owner watches him, nor who else does (SEC-PKG-5, SEC-LEAK-7, "
    "PRS-SEC-1)") {
  scenario alone{{.authorized = true, .winfo = true}}, crowded{{.authorized = true, .winfo = true}};
  crowded.subscribe("o1", {.by = "alice", .event = "presence.winfo"});
  for (const char* other : {"c1", "c2"}) crowded.subscribe(other, {.by = other, .expires = 100s});
  for (scenario* s : {&alone, &crowded}) {
    s->subscribe("d1", {.expires = 600s});
    s->publish("alice", {.body = "t1:open"});
    s->wait(200s);
    s->subscribe("d1", {.expires = 600s});
    s->publish("alice", {.body = "t1:closed", .if_match = "e1"});
  }
  CHECK(heard(alone, "bob").size() == 4);
  CHECK(heard(alone, "bob") == heard(crowded, "bob"));
}
