// Rules documents beside a naive evaluation of the same rules: the sub-handling and every permission
// (PROP-12, PROP-13, RL1). The rules are random and seeded.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <presence/rules.hpp>

#include "walk/making.hpp"

using namespace presence;
using namespace presence::test;
using walking::maker;

namespace {

const instant around{std::chrono::seconds{1'700'000'000}};

struct question {
  std::string watcher;  ///< empty: nothing proven
  std::optional<std::string> sphere;
  instant now;
};

question some_question(maker& chance) {
  question q{chance.chance(80) ? chance.a_watcher() : "", std::nullopt, around + milliseconds{static_cast<int>(chance.pick(500'000)) - 200'000}};
  if (chance.chance(60)) q.sphere = chance.chance(50) ? "work" : "home";
  return q;
}

granted_permissions ask(const std::string& document, const question& q) {
  const auto read = ruleset::parse(document);
  if (!read) FAIL(read.error());
  const identity who{.uri = q.watcher, .method = "digest"};
  return read->evaluate({who, q.sphere ? std::optional<std::string_view>{*q.sphere} : std::nullopt, q.now});
}

component_filter filter_of(const walking::chosen& c) {
  if (c.all) return {.all = true};
  const auto list = [](const std::set<std::string>& all) { return std::vector<std::string>{all.begin(), all.end()}; };
  return {false, list(c.classes), list(c.ids), list(c.devices), list(c.contacts), list(c.schemes)};
}

permissions permissions_of(const walking::grants& g) {
  constexpr std::array names{"activities", "class", "deviceID", "mood", "place-is", "place-type", "privacy", "relationship", "sphere", "status-icon",
                             "time-offset", "note"};
  permissions p;
  p.handling = g.handling;
  p.services = filter_of(g.services);
  p.persons = filter_of(g.persons);
  p.devices = filter_of(g.devices);
  for (std::size_t i = 0; i < names.size(); ++i)
    if (g.attributes.contains(names[i])) p.attributes |= 1u << i;
  p.input = static_cast<user_input>(g.input);
  if (g.attributes.contains("extra")) p.unknown.emplace_back("urn:walk", "extra");
  p.all_attributes = g.all_attributes;
  return p;
}

std::vector<walking::rule> some_rules(maker& chance) {
  std::vector<walking::rule> all;
  for (auto count = 1 + chance.pick(5); count > 0; --count) all.push_back(chance.some_rule(around));
  return all;
}

/// The same document in other words: prefixes, quotes, blanks, the order of attributes, comments.
std::string respelled(std::string text, maker& chance) {
  const auto replace = [&](const std::string& from, const std::string& to) {
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) text.replace(at, from.size(), to);
  };
  replace("pr:", "p2:");
  replace(":pr=", ":p2=");
  replace("oma:", "o-m:");
  replace(":o-m:xml", ":oma:xml");  // the namespace's own name
  replace(":oma='", ":o-m='");
  replace(" ns='urn:walk' name='extra'", " name=\"extra\"\n ns=\"urn:walk\"");
  if (chance.chance(50)) replace("'", "\"");
  if (chance.chance(50)) replace("><", ">\n <!-- here --> <");
  if (chance.chance(50)) {  // the other namespace is the one without a prefix
    replace("<p2:", "<@");
    replace("</p2:", "</@");
    for (const char* name : {"ruleset", "rule", "conditions", "actions", "transformations", "identity", "one", "many", "except", "validity", "from", "until",
                             "sphere", "weather"}) {
      for (const char* end : {" ", ">", "/"}) {
        replace(std::string{"<"} + name + end, std::string{"<c:"} + name + end);
        replace(std::string{"</"} + name + end, std::string{"</c:"} + name + end);
      }
    }
    replace("<@", "<");
    replace("</@", "</");
    replace(" xmlns=", " xmlns:c=");
    replace(" xmlns:p2=", " xmlns=");
  }
  return text;
}

}  // namespace

TEST_CASE("rules mean what a naive reading of them says, whoever asks, wherever and whenever (PROP-12, POL-4745-comb-1, -comb-2, -val-1, -val-2, POL-TR-24)") {
  maker chance{11};
  for (int round = 0; round < 1500; ++round) {
    const auto rules = some_rules(chance);
    const std::string document = walking::document_of(rules);
    CAPTURE(document);
    for (int asked = 0; asked < 4; ++asked) {
      const question q = some_question(chance);
      CAPTURE(q.watcher);
      const granted_permissions is = ask(document, q);
      const walking::evaluated should = walking::evaluate(rules, q.watcher, q.sphere, q.now);
      CHECK(is.allowed == permissions_of(should.all));
      CHECK(is.until == should.until);
      CHECK(is.by_sphere == should.by_sphere);
      CHECK(is.unlimited == should.unlimited);
    }
  }
}

TEST_CASE("one rule more takes nothing away, at any moment, for anybody (PROP-12)") {
  maker chance{12};
  for (int round = 0; round < 1500; ++round) {
    auto rules = some_rules(chance);
    const question q = some_question(chance);
    const permissions less = ask(walking::document_of(rules), q).allowed;
    rules.insert(rules.begin() + static_cast<std::ptrdiff_t>(chance.pick(rules.size() + 1)), [&] {
      walking::rule more = chance.some_rule(around);
      // `other-identity` is the one condition that another rule can take the ground from
      while (more.who != walking::rule::applies_to::anybody && more.who != walking::rule::applies_to::unknown_condition) more = chance.some_rule(around);
      return more;
    }());
    const permissions more = ask(walking::document_of(rules), q).allowed;
    CHECK(more.handling >= less.handling);
    permissions both = less;
    combine(both, more);
    CHECK(both == more);
  }
}

TEST_CASE("order of rules, prefixes, quotes, blanks and the order of attributes mean nothing (PROP-13, POL-4745-doc-1)") {
  maker chance{13};
  for (int round = 0; round < 1000; ++round) {
    auto rules = some_rules(chance);
    const question q = some_question(chance);
    const granted_permissions before = ask(walking::document_of(rules), q);
    std::shuffle(rules.begin(), rules.end(), chance.random);
    const std::string again = respelled(walking::document_of(rules), chance);
    CAPTURE(again);
    const granted_permissions after = ask(again, q);
    CHECK(after.allowed == before.allowed);
    CHECK(after.until == before.until);
    CHECK(after.by_sphere == before.by_sphere);
    CHECK(after.unlimited == before.unlimited);
  }
}
