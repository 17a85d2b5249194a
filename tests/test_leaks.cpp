// What watchers must not be able to tell: whether they are politely blocked, and who else watches
// (conformance 19.2, 19.5, TV-39; features N08, Z22).
#include <algorithm>
#include <presence/memory_storage.hpp>
#include <presence/packages.hpp>
#include <random>

#include "scenario.hpp"

using namespace presence;
using namespace presence::test;

namespace {

using enum sub_handling;

/// An engine whose rules look at the sphere, with presence.winfo.
struct watched : scenario {
  memory_storage held;
  presence_options how;
  explicit watched(presence_options options = {})
      : scenario{{.settings = {.enable_sphere_check = true}}}, how{std::move(options)} {
    begin();
  }
  ~watched() { engine.reset(); }  // before its rows
  void begin() {
    engine = std::make_unique<presence::engine>(given.settings, host_hooks{}, &held, random.get());
    event_package p = presence_package(how);
    p.winfo = p.req_auth = true;
    p.authorize = [this](const authorization_query& q) {
      const auto found = policy.find(std::string{q.watcher.uri.substr(4, q.watcher.uri.find('@') - 4)});
      authorization answer{found == policy.end() ? allow : found->second};
      answer.by_sphere = true;
      return answer;
    };
    REQUIRE(engine->add_event(std::move(p), at));
  }
};

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

/// The lines of `told` about dialogs of bob, whose names begin with b.
std::string to_bob(const std::string& told) {
  std::string out;
  for (std::size_t at = 0; at < told.size();) {
    const auto end = std::min(told.find(" | ", at), told.size());
    const std::string one = told.substr(at, end - at);
    if (!one.starts_with("N ") || one.starts_with("N b")) (out += one) += '\n';
    at = end + 3;
  }
  return out;
}

}  // namespace

TEST_CASE(
    "TV-39: a politely blocked watcher of somebody busy cannot tell himself from an allowed one of somebody "
    "who never publishes (SEC-LEAK-1 to -3, RL8)") {
  using nothing = presence_options::unpublished;
  for (const std::uint32_t seed : {1U, 2U, 3U, 4U, 5U, 6U}) {
    CAPTURE(seed);
    const nothing kind = seed % 2 == 0 ? nothing::closed : nothing::no_tuples;
    watched calm{{.nothing = kind}}, busy{{.nothing = kind}};
    busy.policy["bob"] = polite_block;
    std::mt19937 random{seed};
    std::uint32_t newest = 0;
    const auto pick = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
    for (int step = 0; step < 100; ++step) {
      CAPTURE(step);
      // much happens where bob is blocked
      const std::string sphere = pick(2) == 0 ? "work" : "home";
      const std::string tag = busy.tags.empty() || pick(3) == 0 ? "" : busy.tags.back();
      std::string document = pidf(pick(2) == 0 ? "t1:open" : "t1:closed,t2:open");
      document.insert(document.size() - 11,
                      "<p:person xmlns:p='urn:ietf:params:xml:ns:pidf:data-model' id='p'><sphere "
                      "xmlns='urn:ietf:params:xml:ns:pidf:rpid'><" +
                          sphere + "/></sphere></p:person>");
      CHECK_FALSE(
          busy.publish("alice", {.raw = document, .if_match = tag, .expires = 60s + seconds{pick(300)}})
              .find("N b") != std::string::npos);
      busy.subscribe("c" + std::to_string(pick(4)),
                     {.by = "carol", .expires = seconds{60 * pick(5)}, .new_dialog = true});
      if (step == 5) busy.subscribe("a", {.by = "alice", .event = "presence.winfo"});
      // bob does the same on both
      if (pick(4) == 0) ++newest;
      const std::string dialog = "b" + std::to_string(newest - std::min(newest, pick(2)));
      const seconds expires{60 * (pick(12) % 7)}, pause{pick(90)};
      const auto what = pick(8);
      const auto bob = [&](watched& s) {
        switch (what) {
          case 0:
            return s.subscribe(dialog,
                               {.expires = expires, .accept = "application/pidf+xml, text/plain;q=0.1"});
          case 1:
            return s.subscribe(dialog, {.expires = expires, .accept = "text/plain"});
          case 2:
            return s.subscribe(dialog, {.expires = 5s});
          case 3:
            return s.told(s.engine->refresh_watchers(
                address("alice"), "presence",
                step % 2 == 0 ? refresh_type::state : refresh_type::authorization, s.at));
          case 4:
            REQUIRE(s.engine->flush(s.at));
            s.begin();
            return s.wait(0s);
          default:
            return s.subscribe(dialog, {.expires = expires});
        }
      };
      CHECK(to_bob(bob(calm)) == to_bob(bob(busy)));
      CHECK(to_bob(calm.wait(pause)) == to_bob(busy.wait(pause)));
    }
    CHECK(heard(calm, "bob") == heard(busy, "bob"));
    CHECK(heard(busy, "bob").size() > 20);
  }
}

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
