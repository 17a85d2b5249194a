// Reading and evaluating rules documents (RFC 4745, RFC 5025; conformance section 6).
#include <algorithm>
#include <array>
#include <set>

#include <presence/grammar.hpp>
#include <presence/rules.hpp>
#include <presence/uri.hpp>

#include "../xml.hpp"

namespace presence {

namespace {

constexpr std::string_view policy_uri = "urn:ietf:params:xml:ns:common-policy";
constexpr std::string_view rules_uri = "urn:ietf:params:xml:ns:pres-rules";
constexpr std::string_view oma_uri = "urn:oma:xml:xdm:common-policy";

void insert_sorted(std::vector<std::string>& set, std::string text) {
  const auto at = std::lower_bound(set.begin(), set.end(), text);
  if (at == set.end() || *at != text) set.insert(at, std::move(text));
}

template <class T>
void unite(std::vector<T>& all, const std::vector<T>& more) {
  std::vector<T> both;
  std::set_union(all.begin(), all.end(), more.begin(), more.end(), std::back_inserter(both));
  all = std::move(both);
}

void unite(component_filter& all, const component_filter& more) {
  all.all = all.all || more.all;
  unite(all.classes, more.classes);
  unite(all.occurrence_ids, more.occurrence_ids);
  unite(all.device_ids, more.device_ids);
  unite(all.service_uris, more.service_uris);
  unite(all.schemes, more.schemes);
  if (all.all) all = {.all = true};  // absorbs the rest (POL-TR-24)
}

std::string lower(std::string_view text) {
  std::string out{text};
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string domain_of(std::string_view text) {
  std::string out = lower(xml::trimmed(text));
  if (out.ends_with('.')) out.pop_back();
  return out;
}

}  // namespace

bool permissions::names_unknown(std::string_view ns, std::string_view name) const noexcept {
  const auto wanted = std::pair{ns, name};
  const auto before = [](const auto& key, const auto& other) {
    return std::pair<std::string_view, std::string_view>{key} < std::pair<std::string_view, std::string_view>{other};
  };
  return std::binary_search(unknown.begin(), unknown.end(), wanted, before);  // unite() keeps them in order
}

bool permissions::everything() const noexcept {
  return services.all && persons.all && devices.all && all_attributes;
}

void combine(permissions& all, const permissions& more) {
  all.handling = std::max(all.handling, more.handling);
  unite(all.services, more.services);
  unite(all.persons, more.persons);
  unite(all.devices, more.devices);
  all.attributes |= more.attributes;
  all.input = std::max(all.input, more.input);
  unite(all.unknown, more.unknown);
  all.all_attributes = all.all_attributes || more.all_attributes;
}

struct ruleset::rule {
  struct exception {
    bool domain;
    std::string what;  ///< canonical address or domain; empty: it cannot be read, and excepts everybody
  };
  /// `one`, or `many` with its exceptions.
  struct identities {
    enum class kind : std::uint8_t { one, everybody, domain } is;
    std::string what = {};
    std::vector<exception> but = {};
  };
  struct period {
    instant from, until;
  };
  struct condition {
    enum class kind : std::uint8_t { identity, sphere, validity, anonymous, other_identity, unknown } is;
    std::vector<identities> who = {};
    std::string sphere = {};
    std::vector<period> when = {};
  };
  std::vector<condition> conditions;
  permissions grants;
  bool limits = false;  ///< has transformations
};

ruleset::ruleset() = default;
ruleset::ruleset(ruleset&&) noexcept = default;
ruleset& ruleset::operator=(ruleset&&) noexcept = default;
ruleset::~ruleset() = default;

namespace {

using rule = ruleset::rule;

/// Reads one document.
class reader {
 public:
  explicit reader(const xml::tree& tree) : tree_{tree} {}

  rule rule_of(const xml::node& n) {
    rule r;
    for (const xml::node& part : tree_.children(n)) {
      if (part.is(policy_uri, "conditions")) {
        for (const xml::node& c : tree_.children(part))
          r.conditions.push_back(c.text ? rule::condition{rule::condition::kind::unknown} : condition_of(c));
      } else if (part.is(policy_uri, "actions")) {
        for (const xml::node& a : tree_.children(part))
          if (a.is(rules_uri, "sub-handling")) r.grants.handling = std::max(r.grants.handling, handling_of(text(a)));
      } else if (part.is(policy_uri, "transformations")) {
        for (const xml::node& t : tree_.children(part)) {
          r.limits = true;  // known or not (POL-TR-27)
          transform(t, r.grants);
        }
      } else if (!part.text && part.uri == policy_uri) {
        r.conditions.push_back({rule::condition::kind::unknown});  // nothing known to be harmless
      }
    }
    return r;
  }

  std::size_t service_uris() const noexcept { return service_uris_; }

 private:
  std::string text(const xml::node& n) const {
    std::string room;
    return std::string{xml::trimmed(tree_.text_of(n, room))};
  }
  std::string_view attribute(const xml::node& n, std::string_view name) const {
    const xml::attribute* a = tree_.find(n, {}, name);
    return a == nullptr ? std::string_view{} : xml::trimmed(a->value);
  }

  static sub_handling handling_of(std::string_view name) {
    for (const auto h : {sub_handling::confirm, sub_handling::polite_block, sub_handling::allow})
      if (name == to_string(h)) return h;
    return sub_handling::block;
  }

  rule::condition condition_of(const xml::node& n) {
    using kind = rule::condition::kind;
    if (n.is(policy_uri, "identity")) {
      rule::condition c{kind::identity};
      for (const xml::node& who : tree_.children(n)) identity(who, c);
      return c;
    }
    if (n.is(policy_uri, "sphere")) {
      const xml::attribute* value = tree_.find(n, {}, "value");
      rule::condition c{kind::sphere};
      c.sphere = value != nullptr ? std::string{value->value} : text(n);
      return c;
    }
    if (n.is(policy_uri, "validity")) {
      rule::condition c{kind::validity};
      std::optional<instant> from;
      for (const xml::node& edge : tree_.children(n)) {
        const bool begins = edge.is(policy_uri, "from"), ends = edge.is(policy_uri, "until");
        const auto when = begins || ends ? xml::parse_date_time(text(edge)) : std::nullopt;
        if (!when || begins == from.has_value()) return {kind::unknown};  // pairs, in order
        if (begins) {
          from = when;
        } else {
          c.when.push_back({*from, *when});
          from.reset();
        }
      }
      if (from) return {kind::unknown};
      return c;
    }
    if (n.is(oma_uri, "anonymous-request")) return {kind::anonymous};
    if (n.is(oma_uri, "other-identity")) return {kind::other_identity};
    return {kind::unknown};
  }

  void identity(const xml::node& n, rule::condition& out) {
    using kind = rule::identities::kind;
    std::string address;
    if (n.is(policy_uri, "one")) {
      if (canonical_aor(attribute(n, "id"), address)) out.who.push_back({kind::one, address});
    } else if (n.is(policy_uri, "many")) {
      const xml::attribute* domain = tree_.find(n, {}, "domain");
      rule::identities many{domain == nullptr ? kind::everybody : kind::domain};
      if (domain != nullptr) many.what = domain_of(domain->value);
      for (const xml::node& but : tree_.children(n)) {
        if (!but.is(policy_uri, "except")) {
          if (!but.text) many.but.push_back({false, {}});  // not known: excepts everybody
          continue;
        }
        const xml::attribute* not_from = tree_.find(but, {}, "domain");
        if (not_from != nullptr) many.but.push_back({true, domain_of(not_from->value)});
        if (tree_.find(but, {}, "id") != nullptr)
          many.but.push_back({false, canonical_aor(attribute(but, "id"), address) ? address : std::string{}});
        if (not_from == nullptr && tree_.find(but, {}, "id") == nullptr) many.but.push_back({false, {}});
      }
      out.who.push_back(std::move(many));
    }
  }

  /// Elements that grant by being there, whatever they hold (all-services, provide-all-attributes), are empty by
  /// the schema; what says "false" in one does not want it granted.
  bool stands(const xml::node& n) const {
    const std::string said = text(n);
    return said.empty() || xml::parse_boolean(said).value_or(false);
  }

  void transform(const xml::node& n, permissions& out) {
    if (n.text || n.uri != rules_uri) return;
    if (n.label == "provide-services") return components(n, out.services);
    if (n.label == "provide-persons") return components(n, out.persons);
    if (n.label == "provide-devices") return components(n, out.devices);
    if (n.label == "provide-all-attributes") {
      out.all_attributes = out.all_attributes || stands(n);
      return;
    }
    if (n.label == "provide-user-input") {
      constexpr std::array levels{"false", "bare", "thresholds", "full"};
      const std::string level = text(n);
      for (std::size_t i = 0; i < levels.size(); ++i)
        if (level == levels[i]) out.input = std::max(out.input, static_cast<user_input>(i));
      return;
    }
    if (!xml::parse_boolean(text(n)).value_or(false)) return;
    if (n.label == "provide-unknown-attribute") {
      const std::pair<std::string, std::string> key{attribute(n, "ns"), attribute(n, "name")};
      if (key.second.empty()) return;
      const auto at = std::lower_bound(out.unknown.begin(), out.unknown.end(), key);
      if (at == out.unknown.end() || *at != key) out.unknown.insert(at, key);
      return;
    }
    constexpr std::array<std::string_view, 12> names{
        "provide-activities", "provide-class",        "provide-deviceID", "provide-mood",
        "provide-place-is",   "provide-place-type",   "provide-privacy",  "provide-relationship",
        "provide-sphere",     "provide-status-icon",  "provide-time-offset", "provide-note"};
    const auto known = std::find(names.begin(), names.end(), n.label);
    if (known != names.end()) out.attributes |= 1u << (known - names.begin());
  }

  void components(const xml::node& n, component_filter& out) {
    for (const xml::node& c : tree_.children(n)) {
      if (c.text || c.uri != rules_uri) continue;
      if (c.label == "all-services" || c.label == "all-persons" || c.label == "all-devices") {
        out.all = out.all || (c.label.substr(4) == n.label.substr(8) && stands(c));  // all-X inside provide-X
      } else if (c.label == "class") {
        insert_sorted(out.classes, text(c));
      } else if (c.label == "occurrence-id") {
        insert_sorted(out.occurrence_ids, text(c));
      } else if (c.label == "deviceID") {
        insert_sorted(out.device_ids, text(c));
      } else if (c.label == "service-uri") {
        ++service_uris_;
        insert_sorted(out.service_uris, text(c));
      } else if (c.label == "service-uri-scheme") {
        insert_sorted(out.schemes, lower(text(c)));
      }
    }
    if (out.all) out = {.all = true};
  }

  const xml::tree& tree_;
  std::size_t service_uris_ = 0;
};

/// The proven addresses of a watcher; none if he asked for anonymity or proved nothing.
std::vector<std::string> addresses_of(const identity& who) {
  std::vector<std::string> all;
  std::string address;
  if (who.anonymous || who.uri.empty()) return all;
  if (canonical_aor(who.uri, address)) all.push_back(address);
  for (const auto also : who.also)
    if (canonical_aor(also, address)) all.push_back(address);
  return all;
}

/// Any of several addresses is enough to match, and any of them to be excepted (POL-4745-id-5).
bool matches(const rule::identities& who, const std::vector<std::string>& addresses) {
  using kind = rule::identities::kind;
  const auto is = [&](const std::string& a) {
    if (who.is == kind::domain) return !who.what.empty() && lower(host_of(a)) == who.what;  // a telephone number has none
    return who.is == kind::everybody || a == who.what;
  };
  if (std::none_of(addresses.begin(), addresses.end(), is)) return false;
  return std::none_of(who.but.begin(), who.but.end(), [&](const rule::exception& but) {
    if (but.what.empty()) return true;
    return std::any_of(addresses.begin(), addresses.end(), [&](const std::string& a) {
      return but.domain ? lower(host_of(a)) == but.what : a == but.what;
    });
  });
}

bool names(const rule::condition& c, const std::vector<std::string>& addresses) {
  return std::any_of(c.who.begin(), c.who.end(), [&](const auto& who) { return matches(who, addresses); });
}

}  // namespace

result<ruleset, std::string> ruleset::parse(std::string_view text, const limits& bounds) {
  if (text.size() > bounds.body_bytes) return unexpected{std::string{"The rules document is too large"}};
  xml::parser& parser = xml::parser::of_this_thread();
  const auto parsed = parser.parse(text, bounds);
  if (!parsed) return unexpected{std::string{parsed.error().reason} + " at byte " + std::to_string(parsed.error().offset)};
  const xml::tree& tree = **parsed;
  if (!tree.root().is(policy_uri, "ruleset")) return unexpected{std::string{"The root is not a common-policy ruleset"}};
  ruleset made;
  std::set<std::string_view> ids;
  reader read{tree};
  for (const xml::node& n : tree.children(tree.root())) {
    if (!n.is(policy_uri, "rule")) continue;
    const xml::attribute* id = tree.find(n, {}, "id");
    if (id == nullptr || id->value.empty()) return unexpected{std::string{"A rule without an id"}};
    if (!ids.insert(id->value).second) return unexpected{std::string{"Two rules of one id"}};
    made.rules_.push_back(read.rule_of(n));
    if (read.service_uris() > ruleset::most_service_uris)
      return unexpected{std::string{"More than "} + std::to_string(ruleset::most_service_uris) + " service-uri"};
  }
  return made;
}

granted_permissions ruleset::evaluate(const rules_query& query) const {
  using kind = rule::condition::kind;
  const std::vector<std::string> addresses = addresses_of(query.watcher);
  const bool named_somewhere = std::any_of(rules_.begin(), rules_.end(), [&](const rule& r) {
    return std::any_of(r.conditions.begin(), r.conditions.end(),
                       [&](const auto& c) { return c.is == kind::identity && names(c, addresses); });
  });
  granted_permissions all;
  const auto holds = [&](const rule::condition& c) {
    switch (c.is) {
      case kind::identity: return names(c, addresses);
      case kind::sphere: return query.sphere && *query.sphere == c.sphere;
      case kind::validity:
        return std::any_of(c.when.begin(), c.when.end(),
                           [&](const auto& p) { return query.now >= p.from && query.now < p.until; });
      case kind::anonymous: return query.watcher.anonymous;
      case kind::other_identity: return !addresses.empty() && !named_somewhere;
      case kind::unknown: break;
    }
    return false;
  };
  for (const rule& r : rules_) {
    for (const rule::condition& c : r.conditions) {
      all.by_sphere = all.by_sphere || c.is == kind::sphere;
      for (const auto& p : c.when) {
        for (const instant edge : {p.from, p.until})
          if (edge > query.now && (!all.until || edge < *all.until)) all.until = edge;
      }
    }
    if (!std::all_of(r.conditions.begin(), r.conditions.end(), holds)) continue;
    combine(all.allowed, r.grants);
    all.unlimited = all.unlimited || (r.grants.handling == sub_handling::allow && !r.limits);
  }
  return all;
}

}  // namespace presence
