// Presence rules as the walk knows them (RFC 4745, 5025; conformance section 6): read from the
// specification, evaluated rule by rule, and written down for the engine to read.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <presence/subscription.hpp>
#include <presence/time.hpp>

namespace presence::test::walking {

/// Which components of one kind pass.
struct chosen {
  bool all = false;
  std::set<std::string> classes = {}, ids = {}, devices = {}, contacts = {}, schemes = {};
};

/// What rules give, alone or together.
struct grants {
  sub_handling handling = sub_handling::block;
  chosen services = {}, persons = {}, devices = {};
  std::set<std::string> attributes = {};  ///< provide-<name>
  int input = 0;                          ///< user-input: nothing, bare, thresholds, full
  bool all_attributes = false;
  bool transforms = false;
  void add(const grants& more);
  bool shows(const std::string& attribute) const { return all_attributes || attributes.contains(attribute); }
  bool everything() const { return services.all && persons.all && devices.all && all_attributes; }
};

struct rule {
  enum class applies_to { anybody, one, domain, everybody_known, others, unknown_condition } who = applies_to::anybody;
  std::string name = {};                 ///< an address, or a domain
  std::vector<std::string> except = {};  ///< addresses and domains
  std::string sphere = {};               ///< empty: whatever it is
  std::vector<std::pair<instant, instant>> validity = {};
  grants gives = {};
};

struct evaluated {
  grants all = {};
  std::optional<instant> until = {};
  bool by_sphere = false;
  bool unlimited = false;  ///< some rule that applies allows, and has no transformations
};

/// `watcher` is empty if he proved nothing.
evaluated evaluate(const std::vector<rule>& rules, const std::string& watcher, const std::optional<std::string>& sphere, instant now);
std::string document_of(const std::vector<rule>& rules);

}  // namespace presence::test::walking
