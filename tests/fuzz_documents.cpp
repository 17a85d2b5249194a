// Fuzz target: documents published by a stranger, for the packages that look into them.
// How it is built and run: fuzz_parsers.cpp.
//
// The input is up to four documents, separated by NUL. Invariant of the presence package:
//   - no crash, whatever the bytes;
//   - what is composed of accepted documents is accepted itself, and composing that again gives
//     the same bytes;
//   - the state without one of the publications is accepted too, and with it again all is as it
//     was, ids included (CMP-3, CMP-10);
//   - so is it read from what the storage keeps, ids included (CMP-3);
//   - what a view shows is accepted, too, the same again, and of one publication chosen by a word
//     or its age something, where of all of them something is shown (V04, SEC-LEAK-9).
// The first publication is hard state: older than all others.
// The corpus is replayed by an ordinary test, which links this file.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <presence/packages.hpp>
#include <presence/rules.hpp>

namespace {

using namespace presence;

void require(bool holds, const char* what, std::string_view bytes) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n%.*s\n", what, static_cast<int>(bytes.size()), bytes.data());
  std::abort();
}

struct publication {
  body content;
  document parsed;
  std::uint64_t id;
};

std::vector<published> offered(const std::vector<publication>& all, const publication* without = nullptr) {
  std::vector<published> out;
  for (const publication& p : all) {
    out.push_back({.etag = "tag", .content = p.content, .parsed = p.parsed.get(), .sender = "", .id = p.id, .since = {},
                   .arrival = p.id - 1, .leaving = &p == without});
  }
  return out;
}

using views = std::vector<std::shared_ptr<const view>>;

/// Gives the package rules, and the views they make.
views ruled(event_package& package) {
  const auto rules_with = [](const std::string& transformations) {
    return "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:p='urn:ietf:params:xml:ns:pres-rules'><rule id='r'><actions>"
           "<p:sub-handling>allow</p:sub-handling></actions><transformations>" + transformations + "</transformations></rule></ruleset>";
  };
  const std::string documents[] = {
      rules_with("<p:provide-services><p:all-services/></p:provide-services><p:provide-persons><p:all-persons/></p:provide-persons>"
                 "<p:provide-activities>true</p:provide-activities><p:provide-place-is>true</p:provide-place-is>"
                 "<p:provide-user-input>full</p:provide-user-input>"),
      rules_with("<p:provide-persons><p:all-persons/></p:provide-persons><p:provide-devices><p:all-devices/></p:provide-devices>"
                 "<p:provide-activities>true</p:provide-activities><p:provide-note>true</p:provide-note>"
                 "<p:provide-user-input>thresholds</p:provide-user-input>"),
      rules_with("<p:provide-services><p:class>work</p:class><p:service-uri-scheme>sip</p:service-uri-scheme></p:provide-services>"
                 "<p:provide-all-attributes/><p:provide-unknown-attribute ns='urn:example:x' name='a'>true</p:provide-unknown-attribute>"),
      rules_with("")};
  authorize_by_rules(package, [](std::string_view) { return std::nullopt; });
  views all;
  const identity nobody;
  for (const std::string& text : documents)
    all.push_back(package.authorize({.resource = "sip:alice@example.com", .event = "presence", .watcher = nobody, .rules = &text, .now = {}}).view);
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using composing = presence_options::composing;
  static views seen;
  static const event_package package = [] {
    event_package made = presence_package({.words = {"busy", "away", "x"}});
    seen = ruled(made);
    return made;
  }();
  static const event_package single[] = {presence_package({.several = composing::newest}), presence_package({.several = composing::most_available}),
                                         presence_package({.several = composing::by_word})};
  const std::string_view resource = "sip:alice@example.com";
  const limits bounds;
  limits wide;  // composing may add declarations and bytes
  wide.body_bytes = SIZE_MAX;
  wide.xml_attributes = SIZE_MAX;
  wide.xml_elements = SIZE_MAX;

  std::string_view rest{reinterpret_cast<const char*>(data), size};
  std::vector<publication> all;
  for (std::uint64_t id = 1; id <= 4; ++id) {
    const std::size_t end = rest.find('\0');
    const body content{"application/pidf+xml", std::string{rest.substr(0, end)}};
    auto checked = package.check_publish({resource, content, "", bounds, nullptr, true, true});
    if (checked) {
      all.push_back({content, *checked, id});
    } else {
      require(checked.error().status >= 400 && !checked.error().reason.empty(), "a refusal says why", content.bytes());
    }
    if (end == rest.npos) break;
    rest.remove_prefix(end + 1);
  }

  const body state = package.aggregate(resource, offered(all));
  const auto again = package.check_publish({resource, state, "", wide});
  require(again.has_value(), again ? "" : std::string{again.error().reason}.c_str(), state.bytes());
  const publication whole{state, *again, 9};
  const body twice = package.aggregate(resource, offered({whole}));
  require(twice.bytes() == state.bytes(), "composing twice changes nothing", twice.bytes());
  require(package.aggregate(resource, offered(all)) == state, "composing is repeatable", state.bytes());
  if (all.empty()) require(state == package.neutral(resource), "nothing published is neutral", state.bytes());

  for (const publication& gone : all) {
    const body less = package.aggregate(resource, offered(all, &gone));
    require(package.check_publish({resource, less, "", wide}).has_value(), "the rest is sound", less.bytes());
    require(package.aggregate(resource, offered(all)) == state, "it comes back as it was", state.bytes());
  }
  std::vector<publication> again_read;
  for (const publication& p : all) {
    const body kept = p.parsed->stored();
    auto read = package.check_publish({resource, kept ? kept : p.content, "", bounds, nullptr, true, true});
    require(read.has_value(), "what is stored can be read again", kept.bytes());
    again_read.push_back({kept ? kept : p.content, *read, p.id});
  }
  require(package.aggregate(resource, offered(again_read)) == state, "ids stay over a restart", state.bytes());

  const body neutral = package.neutral(resource);
  for (const auto& one : seen) {
    const body shown = package.authorize_body(state, resource, offered(all), *one);
    const auto sound = package.check_publish({resource, shown, "", wide});
    require(sound.has_value(), sound ? "" : std::string{sound.error().reason}.c_str(), shown.bytes());
    require(package.authorize_body(state, resource, offered(all), *one) == shown, "a view is repeatable", shown.bytes());
    for (const event_package& other : single) {
      const body chosen = other.authorize_body(state, resource, offered(all), *one);
      require(package.check_publish({resource, chosen, "", wide}).has_value(), "one document in a view is sound", chosen.bytes());
      require((chosen.bytes() == neutral.bytes()) == (shown.bytes() == neutral.bytes()), "what is seen is chosen", chosen.bytes());
    }
  }
  require(package.authorize_body(state, resource, offered(all), *seen.back()).bytes() == neutral.bytes(), "nothing granted shows nothing", state.bytes());
  for (const event_package& other : single)
    require(package.check_publish({resource, other.aggregate(resource, offered(all)), "", wide}).has_value(), "one document is sound", state.bytes());
  package.sphere(offered(all), instant{});
  return 0;
}
