#include "making.hpp"

#include <algorithm>
#include <array>

namespace presence::test::walking {

std::string maker::a_watcher() {
  const auto n = pick(9);
  if (n < 3) return "sip:r" + std::to_string(n) + "@example.com";  // owners watch, too
  return "sip:w" + std::to_string(n) + (n < 6 ? "@example.com" : "@example.org");
}

component maker::some_component(bool from_scratch) {
  component c;
  const auto dice = pick(10);
  c.what = dice < 6 ? "tuple" : dice < 8 ? "person" : dice < 9 ? "device" : "note";
  const auto say = [&](const char* field, unsigned percent, std::initializer_list<const char*> from) {
    if (chance(percent)) c.fields[field] = one_of(from);
  };
  const std::string fresh = std::to_string(++serial);
  c.id = "u" + fresh;
  if (c.what == "note") {
    c.id.clear();
    c.fields["note"] = "note " + std::to_string(pick(3));
    return c;
  }
  say("class", 50, {"work", "home"});
  if (c.what == "device") {
    c.fields["deviceID"] = "urn:dev:" + c.id;
    return c;
  }
  say("note", 30, {"here", "there"});
  if (c.what == "tuple") {
    if (from_scratch && chance(15)) c.id = "c" + std::to_string(pick(3));  // others may have it
    c.fields["basic"] = chance(50) ? "open" : "closed";
    c.fields["contact"] = c.id.starts_with('u') && chance(20) ? "sip:desk@example.com" : (chance(70) ? "sip:s" : "tel:") + fresh;
    say("extra", 20, {"1", "2"});
    return c;
  }
  say("activities", 50, {"busy", "away", "meeting"});
  if (c.fields.contains("activities")) say("activities-note", 30, {"soon", "later"});
  say("mood", 50, {"happy", "sad"});
  say("sphere", 40, {"work", "home"});
  say("user-input", 30, {"active|600|2026-01-01T00:00:00Z", "idle|60|2026-01-02T00:00:00Z", "idle|600|2026-01-01T00:00:00Z"});
  return c;
}

std::shared_ptr<content> maker::some_content(int kind, const std::string& resource, const std::shared_ptr<content>& before) {
  if (before && !before->partial && chance(20)) return std::make_shared<content>(*before);  // the same again
  auto made = std::make_shared<content>();
  content& c = *made;
  const bool changes = before && chance(60);
  if (kind == k_presence) {
    if (changes) {
      c.components = before->components;
      if (!c.components.empty() && chance(70)) {
        component& one = c.components[pick(c.components.size())];
        component other = some_component(!before);
        other.id = one.id;
        if (one.what == other.what) {
          if (other.fields.contains("deviceID")) other.fields["deviceID"] = one.fields["deviceID"];
          one = other;
        } else if (!one.id.empty()) {
          one.fields["class"] = one_of(std::initializer_list<const char*>{"work", "home"});
        }
      } else if (!c.components.empty() && chance(50)) {
        c.components.erase(c.components.begin() + static_cast<std::ptrdiff_t>(pick(c.components.size())));
      }
    }
    for (auto more = changes ? pick(2) : pick(4); more > 0; --more) {
      component one = some_component(!before);
      const auto same = [&](const component& k) { return !one.id.empty() && k.id == one.id; };
      if (std::none_of(c.components.begin(), c.components.end(), same)) c.components.push_back(std::move(one));
    }
  } else if (kind == k_messages) {
    c.messages.waiting = chance(50);
    if (chance(40)) c.messages.account = "sip:box" + std::to_string(pick(2)) + "@example.com";
    if (chance(70))
      c.messages.lines.push_back({chance(50) ? "Voice-Message" : "voice-message", static_cast<std::uint32_t>(pick(3)), static_cast<std::uint32_t>(pick(3)),
                                  chance(30), static_cast<std::uint32_t>(pick(2)), static_cast<std::uint32_t>(pick(2))});
    if (chance(30)) c.messages.lines.push_back({"Fax-Message", static_cast<std::uint32_t>(pick(3)), 4294967295u - 2u, false, 0, 0});
    if (chance(40)) c.messages.headers = "Subject: " + std::to_string(++serial) + "\r\n" + (chance(30) ? "\r\nSubject: another\r\n" : "");
    for (auto& l : c.messages.lines)
      if (!l.has_urgent) l.urgent_fresh = l.urgent_old = 0;
  } else if (kind == k_dialog || kind == k_sla) {
    static constexpr const char* states[] = {"trying", "proceeding", "early", "confirmed", "confirmed", "terminated", "terminated"};
    c.partial = before && chance(30);
    if (changes) c.named = before->calls;
    for (call& one : c.named) {
      if (!chance(60)) continue;
      one.state = one_of(states);
      one.remote = "n" + std::to_string(++serial);
      if (one.call_id.empty() || one.local_tag.empty() || !chance(40)) continue;
      call other = one;  // a remote tag becomes known, or is not told any more
      other.remote_tag = one.remote_tag.empty() ? "r" + one.call_id.substr(1) : "";
      if (std::none_of(c.named.begin(), c.named.end(), [&](const call& k) { return k.same_dialog(other); })) one = other;
    }
    for (auto more = changes ? pick(2) : pick(4); more > 0; --more) {
      const std::string fresh = std::to_string(++serial);
      call one{chance(50) ? std::to_string(pick(3)) : "u" + fresh, "", "", "", one_of(states), "n" + fresh};
      const std::string which = chance(40) ? std::to_string(pick(4)) : "u" + fresh;  // several phones tell of one dialog
      if (chance(80)) one.call_id = "c" + which;
      if (chance(85)) one.local_tag = "l", one.remote_tag = chance(80) ? "r" + which : "";
      const auto same = [&](const call& k) { return k.id == one.id || k.same_dialog(one); };
      if (std::none_of(c.named.begin(), c.named.end(), same)) c.named.push_back(std::move(one));
    }
    if (chance(10)) c.named.clear();
  } else {
    c.raw = "doc" + std::to_string(pick(4)) + (chance(20) ? std::string(1, '\0') + "\xff" : "");
  }
  write(c, kind, resource);
  return made;
}

rule maker::some_rule(instant around) {
  using to = rule::applies_to;
  rule r;
  r.who = std::array{to::anybody, to::anybody, to::one, to::one, to::one, to::domain, to::domain, to::everybody_known, to::others,
                     to::unknown_condition}[pick(10)];
  if (r.who == to::one) r.name = a_watcher();
  if (r.who == to::domain) r.name = chance(50) ? "example.com" : "example.org";
  if ((r.who == to::domain || r.who == to::everybody_known) && chance(50)) r.except.push_back(chance(70) ? a_watcher() : "example.org");
  if (chance(20)) r.sphere = chance(50) ? "work" : "home";
  for (auto periods = chance(30) ? 1 + pick(2) : 0; periods > 0; --periods) {
    const instant from = around + milliseconds{static_cast<int>(pick(240'000)) - 120'000};
    r.validity.emplace_back(from, from + milliseconds{1 + pick(200'000)});
  }
  grants& g = r.gives;
  g.handling = std::array{sub_handling::allow, sub_handling::allow, sub_handling::allow, sub_handling::polite_block, sub_handling::confirm,
                          sub_handling::block}[pick(6)];
  const auto choose = [&](chosen& c, bool services, bool devices) {
    if (chance(40)) c.all = true;
    if (chance(25)) c.classes.insert(chance(50) ? "work" : "home");
    if (chance(10) && serial != 0) c.ids.insert(chance(50) ? "c1" : "u" + std::to_string(pick(serial) + 1));
    if (services && chance(15)) c.schemes.insert(chance(50) ? "sip" : "tel");
    if (services && chance(15)) c.contacts.insert("sip:desk@example.com");
    if (devices && chance(20) && serial != 0) c.devices.insert("urn:dev:u" + std::to_string(pick(serial) + 1));
    g.transforms = g.transforms || c.all || !c.classes.empty() || !c.ids.empty() || !c.schemes.empty() || !c.contacts.empty() || !c.devices.empty();
  };
  if (chance(70)) choose(g.services, true, false);
  if (chance(60)) choose(g.persons, false, false);
  if (chance(40)) choose(g.devices, false, true);
  for (const char* name : {"activities", "class", "deviceID", "mood", "sphere", "note", "extra"})
    if (chance(25)) g.attributes.insert(name);
  if (chance(25)) g.input = static_cast<int>(pick(4));
  g.all_attributes = chance(15);
  g.transforms = g.transforms || !g.attributes.empty() || g.input != 0 || g.all_attributes;
  return r;
}

}  // namespace presence::test::walking
