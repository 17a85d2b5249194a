// What a watcher must not be able to find out. RL8, TV-39: one who is politely blocked sees what one who is
// allowed to watch somebody offline sees, in every step of any script. PROP-8: what is hidden from a watcher
// may change as it likes. Random scripts, seeded; the two streams are compared word by word and in time.
#include <memory>
#include <string>
#include <vector>

#include <presence/packages.hpp>
#include <presence/rules.hpp>

#include "two_hosts.hpp"
#include "walk/making.hpp"

using namespace presence;
using namespace presence::test;
using walking::content;
using walking::maker;

namespace {

using enum sub_handling;

/// How the observer is decided about on one host, and when that changes.
struct verdict {
  sub_handling handling;
  bool blocked = false, undecided = false;
};

struct scene {
  const char* name;
  int kind;  ///< whose documents are published
  std::function<event_package()> make;
};

std::vector<scene> scenes() {
  using enum presence_options::unpublished;
  const auto presence_with = [](presence_options how) { return [how] { return presence_package(how); }; };
  const auto dialog_with = [](dialog_options how) { return [how] { return dialog_package(how); }; };
  const auto messages_with = [](message_summary_options how) { return [how] { return message_summary_package(how); }; };
  return {
      {"presence", walking::k_presence, presence_with({})},
      {"presence, closed when nothing is published", walking::k_presence, presence_with({.nothing = closed})},
      {"presence, leaving tuples are closed", walking::k_presence, presence_with({.several = presence_options::composing::newest, .closes_leaving = true, .nothing = open})},
      {"message-summary", walking::k_messages, messages_with({})},
      {"message-summary, sums, no body when unknown", walking::k_messages,
       messages_with({.several = message_summary_options::combining::sum, .empty_when_unknown = true, .message_headers = true})},
      {"dialog", walking::k_dialog, dialog_with({})},
      {"dialog, one only, partial documents", walking::k_dialog, dialog_with({.single_dialog = true, .partial = true})},
      {"dialog;sla", walking::k_sla, [] { return dialog_sla_package(); }},
      {"any bytes", walking::k_joined, [] { return walking::joined_package(); }},
  };
}

/// The packages of one host: the scene's, with rules, and watcher information about it.
std::vector<event_package> packages_of(const scene& s, const verdict& observer, const std::map<std::string, sub_handling>& others) {
  event_package p = s.make();
  p.resource_from_contact = false;
  p.req_auth = p.winfo = true;
  p.authorize = [&observer, &others](const authorization_query& q) -> authorization {
    authorization answer{allow};
    if (q.watcher.uri == host::observer) {
      answer.handling = observer.blocked ? block : observer.undecided ? confirm : observer.handling;
    } else if (const auto found = others.find(std::string{q.watcher.uri}); found != others.end()) {
      answer.handling = found->second;
    }
    answer.by_sphere = true;
    return answer;
  };
  p.authorize_body = {};
  std::vector<event_package> all{p};
  if (p.name != "presence") all.push_back(presence_package());  // where the sphere comes from
  return all;
}

/// What happens only where the observer must not know of it.
class business {
 public:
  business(host& where, maker& chance, const scene& s, std::map<std::string, sub_handling>& others)
      : where_{where}, chance_{chance}, scene_{s}, others_{others} {}

  void step() {
    const std::string name = walking::package_names[scene_.kind], type = walking::package_types[scene_.kind];
    switch (chance_.pick(8)) {
      case 0: case 1: case 2: publish(scene_.kind); break;
      case 3: publish(walking::k_presence); break;  // the sphere changes
      case 4: case 5: {
        const std::string who = "sip:w" + std::to_string(chance_.pick(4)) + "@example.com";
        where_.subscribe({.by = who, .event = name, .expires = seconds{chance_.chance(20) ? 0 : 60 + static_cast<int>(chance_.pick(300))},
                          .dialog = static_cast<int>(chance_.pick(2)), .anew = chance_.chance(30)});
        break;
      }
      case 6: {
        others_["sip:w" + std::to_string(chance_.pick(4)) + "@example.com"] = static_cast<sub_handling>(chance_.pick(4));
        where_.refresh(name, refresh_type::authorization);
        break;
      }
      default: {
        std::string winfo = name;
        winfo.insert(std::min(winfo.find(';'), winfo.size()), ".winfo");
        where_.subscribe({.by = host::watched, .event = winfo, .expires = seconds{600}, .anew = chance_.chance(10)});
      }
    }
  }

 private:
  void publish(int kind) {
    const std::string name = walking::package_names[kind], type = walking::package_types[kind];
    auto& live = live_[kind];
    const bool first = live.empty() || (live.size() < 5 && chance_.chance(30));
    const std::size_t which = first ? live.size() : chance_.pick(live.size());
    const auto before = first ? nullptr : live[which].second;
    const auto document = chance_.some_content(kind, host::watched, before);
    const bool removed = !first && chance_.chance(15);
    const std::string tag = where_.publish(name, type, removed ? "" : document->raw, first ? "" : live[which].first,
                                           seconds{removed ? 0 : 60 + static_cast<int>(chance_.pick(400))},
                                           chance_.chance(20) ? std::string{host::observer} + ".contact0" : "");
    if (tag.empty() || removed) {
      if (!first) live.erase(live.begin() + static_cast<std::ptrdiff_t>(which));
    } else if (first) {
      live.emplace_back(tag, document);
    } else {
      live[which] = {tag, document};
    }
  }

  host& where_;
  maker& chance_;
  const scene& scene_;
  std::map<std::string, sub_handling>& others_;
  std::map<int, std::vector<std::pair<std::string, std::shared_ptr<content>>>> live_;
};

/// Without namespace declarations: a component carries those that its hidden parts need, too.
std::string undeclared(std::string line) {
  for (auto at = line.find(" xmlns:"); at != std::string::npos; at = line.find(" xmlns:", at)) line.erase(at, line.find('"', line.find('"', at) + 1) + 1 - at);
  return line;
}

/// Whatever the observer can do.
host::subscribing request(maker& chance, const std::string& event) {
  host::subscribing what{.event = event, .dialog = static_cast<int>(chance.pick(3)), .anew = chance.chance(15), .contact = static_cast<int>(chance.pick(2))};
  if (chance.chance(25)) what.event += ";id=" + std::to_string(chance.pick(2));
  const auto dice = chance.pick(10);
  what.expires = seconds{dice == 0 ? 0 : dice == 1 ? 5 : 60 + static_cast<int>(chance.pick(400))};
  if (chance.chance(10)) what.accept = "text/plain";
  return what;
}

}  // namespace

TEST_CASE("TV-39: a politely blocked watcher cannot tell that he is one, nor a pending one what there is (RL8, SEC-LEAK-1 to -4, EVT-6.2-1, EVT-5.3.2-1)") {
  std::size_t lines = 0, told_others = 0;
  for (const scene& s : scenes()) {
    const std::string event = walking::package_names[s.kind];
    for (std::uint64_t seed = 1; seed <= 24; ++seed) {
      const std::string name = std::string{s.name} + ", seed " + std::to_string(seed);
      CAPTURE(name);
      maker script{seed}, hidden{seed * 1000};
      const bool pending = seed % 6 == 0, stored = seed % 2 == 0;
      verdict in_calm{pending ? confirm : allow}, in_busy{pending ? confirm : polite_block};
      std::map<std::string, sub_handling> nobody, others;
      options settings;
      settings.enable_sphere_check = true;
      settings.cseq_block = static_cast<std::uint32_t>(1 + script.pick(3));
      host calm{settings, stored, seed, [&] { return packages_of(s, in_calm, nobody); }};
      host busy{settings, stored, seed + 500, [&] { return packages_of(s, in_busy, others); }};
      business busy_life{busy, hidden, s, others};
      const auto both = [&](auto&& act) {
        act(calm);
        act(busy);
      };
      for (int step = 0; step < 120; ++step) {
        if (script.chance(50)) {
          const instant until = calm.now() + milliseconds{script.chance(70) ? script.pick(20'000) : script.pick(400'000)};
          both([&](host& h) { h.run_until(until); });
        }
        for (auto n = hidden.pick(3); n > 0; --n) busy_life.step();
        const auto dice = script.pick(100);
        if (dice < 55) {
          const auto what = request(script, event);
          both([&](host& h) { h.subscribe(what); });
        } else if (dice < 80) {
          const auto which = script.pick(8);
          static constexpr int statuses[] = {200, 200, 200, 200, 481, 500, 407};
          const int status = statuses[script.pick(std::size(statuses))];
          both([&](host& h) { h.answer(which, status); });
        } else if (dice < 84) {
          both([&](host& h) { h.refresh(event, refresh_type::state); });
        } else if (dice < 90) {
          both([&](host& h) { h.refresh(event, refresh_type::authorization); });
        } else if (dice < 94) {
          bool verdict::*what = script.chance(50) ? &verdict::blocked : &verdict::undecided;
          in_calm.*what = in_busy.*what = !(in_calm.*what);
          both([&](host& h) { h.refresh(event, refresh_type::authorization); });
        } else if (dice < 96) {
          both([&](host& h) { h.end(event, step % 2 == 0 ? end_reason::deactivated : end_reason::probation); });
        } else if (dice < 98 && stored) {
          const bool cleanly = script.chance(50);
          both([&](host& h) { h.restart(cleanly); });
        }
        require_same(calm, busy, name + ", step " + std::to_string(step));
      }
      both([&](host& h) { h.run_until(h.now() + seconds{8000}); });
      require_same(calm, busy, name + ", the end");
      lines += calm.stream().size();
      told_others += busy.told_others;
    }
  }
  CHECK(lines > 5000);
  CHECK(told_others > 5000);  // there was something to hide
}

TEST_CASE("PROP-8: what a view hides may change as it likes, its watcher's stream stays the same (SEC-LEAK-9, PRS-6.7-2)") {
  std::size_t changes = 0, shown = 0, lines = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    maker script{seed}, hidden{seed * 1000};
    // one rule for the observer, others for others
    walking::rule own;
    do own = script.some_rule(instant{seconds{1'700'000'000}});
    while (!own.gives.transforms);  // read leniently, a rule without transformations hides nothing
    own.who = walking::rule::applies_to::one;
    own.name = host::observer;
    own.validity.clear();
    own.sphere.clear();
    own.gives.handling = allow;
    own.gives.all_attributes = false;
    walking::rule rest;
    rest.who = walking::rule::applies_to::others;
    rest.gives = {.handling = allow};
    const std::string rules = walking::document_of({own, rest});
    const walking::variant how;
    const walking::sight sight{walking::sight::of::by_rules, own.gives};
    const auto packages = [&] {
      event_package p = presence_package();
      authorize_by_rules(p, [&](std::string_view) { return std::optional{rules}; }, {.lenient = true});
      return std::vector{p};
    };
    host plain{{}, false, seed, packages}, other{{}, false, seed + 500, packages};

    struct publication {
      std::string tag[2];
      std::shared_ptr<content> what[2];
    };
    std::vector<publication> live;
    const auto seen = [&](const content& c) { return walking::compose(walking::k_presence, how, host::watched, {{&c, 1}}, sight).text; };
    // a component of another id is another component, also where a view calls it otherwise
    const auto ids_seen = [&](const content& c) {
      std::string ids;
      for (const auto& one : c.components) {
        content alone;
        alone.components = {one};
        if (!seen(alone).empty()) ids += one.what + one.id + ' ';
      }
      return ids;
    };
    const auto tell = [&](host& h, const std::string& raw, const std::string& tag, seconds expires) {
      return h.publish("presence", "application/pidf+xml", raw, tag, expires);
    };
    for (int step = 0; step < 60; ++step) {
      CAPTURE(step);
      if (script.chance(50)) {
        const instant until = plain.now() + milliseconds{script.pick(60'000)};
        plain.run_until(until);
        other.run_until(until);
      }
      const auto dice = script.pick(10);
      if (dice < 5) {
        const bool first = live.empty() || (live.size() < 4 && script.chance(40));
        if (first) live.emplace_back();
        publication& p = first ? live.back() : live[script.pick(live.size())];
        // no id is met twice: which of two equal ones is replaced may depend on what is hidden
        const auto unique = [&](const std::shared_ptr<content>& before) {
          std::shared_ptr<content> made;
          do made = script.some_content(walking::k_presence, host::watched, before);
          while (std::any_of(made->components.begin(), made->components.end(), [](const auto& c) { return c.id.starts_with('c'); }));
          return made;
        };
        p.what[0] = p.what[1] = unique(p.what[0]);
        for (int tries = 0; tries < 30; ++tries) {  // the other host's document shows the same
          hidden.serial = 100'000 + seed * 1000 + static_cast<std::uint64_t>(step) * 100 + static_cast<std::uint64_t>(tries);
          const auto varied = hidden.some_content(walking::k_presence, host::watched, p.what[1]);
          const bool pooled = std::any_of(varied->components.begin(), varied->components.end(), [](const auto& c) { return c.id.starts_with('c'); });
          if (!pooled && varied->raw != p.what[1]->raw && seen(*varied) == seen(*p.what[0]) && ids_seen(*varied) == ids_seen(*p.what[0])) {
            p.what[1] = varied;
            ++changes;
          }
        }
        shown += !seen(*p.what[0]).empty();
        const seconds expires{60 + static_cast<int>(script.pick(200))};
        p.tag[0] = tell(plain, p.what[0]->raw, p.tag[0], expires);
        p.tag[1] = tell(other, p.what[1]->raw, p.tag[1], expires);
        REQUIRE(p.tag[0].empty() == p.tag[1].empty());
        if (p.tag[0].empty()) {  // it had lapsed
          live.erase(live.begin() + (&p - live.data()));
        } else if (hidden.chance(50)) {  // and once more, only there
          p.tag[1] = tell(other, p.what[0]->raw, p.tag[1], expires);
          p.what[1] = p.what[0];
        }
      } else if (dice < 6) {
        // a publication of which nothing is shown, only there
        const auto secret = hidden.some_content(walking::k_presence, host::watched, nullptr);
        if (seen(*secret).empty()) tell(other, secret->raw, "", seconds{60 + static_cast<int>(hidden.pick(100))});
      } else if (dice < 9) {
        const auto what = request(script, "presence");
        plain.subscribe(what);
        other.subscribe(what);
        if (hidden.chance(50)) other.subscribe({.by = "sip:carol@example.com", .event = "presence", .anew = hidden.chance(30)});
      } else {
        const auto which = script.pick(5);
        plain.answer(which, 200);
        other.answer(which, 200);
      }
      require_same(plain, other, "seed " + std::to_string(seed) + ", step " + std::to_string(step) + "\n" + rules, undeclared);
    }
    lines += plain.stream().size();
  }
  CHECK(changes > 500);
  CHECK(shown > 200);
  CHECK(lines > 1000);
}
