// A presentity whose rules document decides what bob sees of her presence.
#pragma once

#include <optional>
#include <string>

#include <presence/rules.hpp>

#include "scenario.hpp"

namespace presence::test {

/// A rules document with one rule, which allows everybody.
inline std::string allowing(const std::string& transformations) {
  return "<cp:ruleset xmlns:cp='urn:ietf:params:xml:ns:common-policy' xmlns='urn:ietf:params:xml:ns:pres-rules'>"
         "<cp:rule id='r'><cp:actions><sub-handling>allow</sub-handling></cp:actions><cp:transformations>" +
         transformations + "</cp:transformations></cp:rule></cp:ruleset>";
}
inline const std::string services = "<provide-services><all-services/></provide-services>";
inline const std::string persons = "<provide-persons><all-persons/></provide-persons>";
inline const std::string devices = "<provide-devices><all-devices/></provide-devices>";

/// The declarations, and `inside`.
inline std::string presence_with(const std::string& inside) {
  return "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' "
         "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' xmlns:x='urn:example:x' entity='sip:alice@example.com'>" + inside + "</presence>";
}

inline bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// Each id that a view made up, as `*`.
inline std::string starred(std::string text) {
  constexpr std::size_t size = 13;
  const auto made_up = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7'); };
  for (std::size_t at = 0; (at = text.find('p', at)) != std::string::npos; ++at) {
    const std::string word = text.substr(at, size);
    const bool begins = at != 0 && (text[at - 1] == '"' || text[at - 1] == '(' || text[at - 1] == ',');
    if (begins && word.size() == size && std::all_of(word.begin(), word.end(), made_up) && (text[at + size] == '"' || text[at + size] == ':'))
      text.replace(at, size, "*");
  }
  return text;
}

struct shown : scenario {
  std::string text;  ///< the rules document
  explicit shown(const std::string& transformations, presence_options how = {.id_secret = "the same in every run"}, rules_options by = {})
      : text{allowing(transformations)} {
    engine = std::make_unique<presence::engine>(given.settings, host_hooks{}, nullptr, random.get());
    event_package p = presence_package(how);
    authorize_by_rules(p, [this](std::string_view) { return std::optional{text}; }, by);
    REQUIRE(engine->add_event(p, at));
  }
  /// What bob sees of alice when she publishes this.
  std::string seen(const std::string& document) {
    publish("alice", {.raw = document});
    subscribe("d1");
    return last();
  }
  std::string last() {
    std::string out = dialogs["d1"].notifies.back().body_bytes();
    // what is shown is a document that the package itself accepts
    const event_package package = presence_package();
    const body again{"application/pidf+xml", out};
    CHECK(package.check_publish({"sip:alice@example.com", again, {}, limits{}}).has_value());
    return out;
  }
  std::string renew() { return starred(told(engine->refresh_watchers(address("alice"), "presence", refresh_type::authorization, at))); }
};

}  // namespace presence::test
