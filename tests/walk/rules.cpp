#include "rules.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace presence::test::walking {

namespace {

void add(chosen& all, const chosen& more) {
  all.all = all.all || more.all;
  all.classes.insert(more.classes.begin(), more.classes.end());
  all.ids.insert(more.ids.begin(), more.ids.end());
  all.devices.insert(more.devices.begin(), more.devices.end());
  all.contacts.insert(more.contacts.begin(), more.contacts.end());
  all.schemes.insert(more.schemes.begin(), more.schemes.end());
}

std::string domain_of(const std::string& address) { return address.substr(address.find('@') + 1); }

bool names(const rule& r, const std::string& watcher) {
  if (watcher.empty()) return false;
  const bool is = r.who == rule::applies_to::one      ? watcher == r.name
                  : r.who == rule::applies_to::domain ? domain_of(watcher) == r.name
                                                      : r.who == rule::applies_to::everybody_known;
  return is && std::none_of(r.except.begin(), r.except.end(),
                            [&](const std::string& e) { return e == watcher || e == domain_of(watcher); });
}

bool has_identity(const rule& r) {
  return r.who == rule::applies_to::one || r.who == rule::applies_to::domain || r.who == rule::applies_to::everybody_known;
}

std::string date_of(instant t) {
  const auto whole = std::chrono::floor<seconds>(t);
  const std::time_t s = std::chrono::system_clock::to_time_t(whole);
  char text[32], all[48];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", std::gmtime(&s));
  std::snprintf(all, sizeof all, "%s.%03dZ", text, static_cast<int>((t - whole).count()));
  return all;
}

std::string element(const std::string& name, const std::string& text) { return "<" + name + ">" + text + "</" + name + ">"; }

std::string text_of(const chosen& c, const std::string& what) {
  if (c.all) return element("pr:provide-" + what, "<pr:all-" + what + "/>");
  std::string inside;
  for (const auto& v : c.classes) inside += element("pr:class", v);
  for (const auto& v : c.ids) inside += element("pr:occurrence-id", v);
  for (const auto& v : c.devices) inside += element("pr:deviceID", v);
  for (const auto& v : c.contacts) inside += element("pr:service-uri", v);
  for (const auto& v : c.schemes) inside += element("pr:service-uri-scheme", v);
  return inside.empty() ? inside : element("pr:provide-" + what, inside);
}

std::string text_of(const rule& r, std::size_t number) {
  std::string conditions;
  if (has_identity(r)) {
    std::string except;
    for (const auto& e : r.except) except += "<except " + std::string{e.find('@') != e.npos ? "id" : "domain"} + "='" + e + "'/>";
    const std::string inside = r.who == rule::applies_to::one      ? "<one id='" + r.name + "'/>"
                               : r.who == rule::applies_to::domain ? "<many domain='" + r.name + "'>" + except + "</many>"
                                                                   : element("many", except);
    conditions += element("identity", inside);
  }
  if (r.who == rule::applies_to::others) conditions += "<oma:other-identity/>";
  if (r.who == rule::applies_to::unknown_condition) conditions += "<weather>fine</weather>";
  if (!r.sphere.empty()) conditions += "<sphere value='" + r.sphere + "'/>";
  std::string periods;
  for (const auto& [from, until] : r.validity) periods += element("from", date_of(from)) + element("until", date_of(until));
  if (!periods.empty()) conditions += element("validity", periods);

  const grants& g = r.gives;
  std::string shows = text_of(g.services, "services") + text_of(g.persons, "persons") + text_of(g.devices, "devices");
  for (const auto& name : g.attributes) {
    shows += name == "extra" ? "<pr:provide-unknown-attribute ns='urn:walk' name='extra'>true</pr:provide-unknown-attribute>"
                             : element("pr:provide-" + name, "true");
  }
  static constexpr const char* levels[] = {"false", "bare", "thresholds", "full"};
  if (g.input != 0) shows += element("pr:provide-user-input", levels[g.input]);
  if (g.all_attributes) shows += "<pr:provide-all-attributes/>";
  return "<rule id='r" + std::to_string(number) + "'>" + element("conditions", conditions) +
         element("actions", element("pr:sub-handling", std::string{to_string(g.handling)})) + element("transformations", shows) + "</rule>";
}

}  // namespace

void grants::add(const grants& more) {
  handling = std::max(handling, more.handling);
  walking::add(services, more.services);
  walking::add(persons, more.persons);
  walking::add(devices, more.devices);
  attributes.insert(more.attributes.begin(), more.attributes.end());
  input = std::max(input, more.input);
  all_attributes = all_attributes || more.all_attributes;
}

evaluated evaluate(const std::vector<rule>& rules, const std::string& watcher, const std::optional<std::string>& sphere, instant now) {
  evaluated out;
  const bool known = std::any_of(rules.begin(), rules.end(), [&](const rule& r) { return has_identity(r) && names(r, watcher); });
  for (const rule& r : rules) {
    out.by_sphere = out.by_sphere || !r.sphere.empty();
    bool applies = r.sphere.empty() || sphere == r.sphere;
    if (has_identity(r)) applies = applies && names(r, watcher);
    if (r.who == rule::applies_to::others) applies = applies && !watcher.empty() && !known;
    if (r.who == rule::applies_to::unknown_condition) applies = false;
    bool now_valid = r.validity.empty();
    for (const auto& [from, until] : r.validity) {
      now_valid = now_valid || (from <= now && now < until);
      for (const instant edge : {from, until})
        if (edge > now && (!out.until || edge < *out.until)) out.until = edge;
    }
    if (!applies || !now_valid) continue;
    out.all.add(r.gives);
    out.unlimited = out.unlimited || (r.gives.handling == sub_handling::allow && !r.gives.transforms);
  }
  return out;
}

std::string document_of(const std::vector<rule>& rules) {
  std::string text =
      "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules' "
      "xmlns:oma='urn:oma:xml:xdm:common-policy'>";
  for (std::size_t i = 0; i < rules.size(); ++i) text += text_of(rules[i], i);
  return text + "</ruleset>";
}

}  // namespace presence::test::walking
