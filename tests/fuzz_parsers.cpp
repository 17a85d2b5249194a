// Fuzz targets: rules documents, dialog-info, message-summary. One is chosen by name:
//
//   clang++ -std=c++20 -g -O1 -fsanitize=fuzzer,address,undefined -Iinclude -Isrc -DPRESENCE_FUZZ=fuzz_rules
//     tests/fuzz_parsers.cpp src/xml.cpp src/uri.cpp src/grammar.cpp src/random.cpp src/rules/*.cpp src/packages/*.cpp
//     src/effects.cpp src/options.cpp -o fuzz_rules
//   ./fuzz_rules -max_len=4096 tests/corpus/rules            (fuzz_dialog: dialog; fuzz_messages: message-summary)
//
// The corpora are replayed, with damages, by an ordinary test.
#include "fuzz_parsers.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>

#include <presence/packages.hpp>
#include <presence/rules.hpp>

namespace presence::test {

namespace {

void require(bool holds, const char* what, std::string_view bytes) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n%.*s\n", what, static_cast<int>(bytes.size()), bytes.data());
  std::abort();
}

/// What a package accepts it composes into something it accepts itself; composing that changes nothing.
void composed(const event_package& package, std::string_view bytes) {
  const std::string resource{"sip:alice@example.com"};
  limits wide;
  wide.body_bytes = wide.xml_elements = wide.xml_attributes = SIZE_MAX;
  const body content{package.content_types.front(), std::string{bytes}};
  const auto checked = package.check_publish({resource, content, {}, limits{}});
  if (!checked) {
    require(checked.error().status >= 400 && !checked.error().reason.empty(), "a refusal says why", bytes);
    return;
  }
  const auto state_of = [&](const body& text, const document& parsed) {
    const published one{.etag = "tag", .content = text, .parsed = parsed.get(), .sender = {}, .id = 1, .since = {}, .arrival = 1, .leaving = false};
    notify n;
    n.content = package.aggregate(resource, {&one, 1});
    return n.body_bytes();
  };
  const std::string state = state_of(content, *checked);
  const body again{package.content_types.front(), state};
  const auto sound = package.check_publish({resource, again, {}, wide});
  require(sound.has_value(), sound ? "" : std::string{sound.error().reason}.c_str(), state);
  require(state_of(again, *sound) == state, "composing twice changes nothing", state);
}

}  // namespace

void fuzz_rules(std::string_view bytes) {
  const auto read = ruleset::parse(bytes);
  if (!read) return require(!read.error().empty(), "a refusal says why", bytes);
  for (const char* who : {"", "sip:bob@example.com", "tel:+12015550123"}) {
    const identity watcher{.uri = who};
    const auto less = read->evaluate({watcher, {}, instant{}});
    const auto more = read->evaluate({watcher, "work", instant{}});
    require(more.allowed.handling >= less.allowed.handling, "a sphere only grants", bytes);
    permissions both = less.allowed;
    combine(both, more.allowed);
    require(both == more.allowed, "a sphere takes nothing away", bytes);
  }
}

void fuzz_dialog(std::string_view bytes) {
  static const event_package package = dialog_package();
  composed(package, bytes);
}

void fuzz_messages(std::string_view bytes) {
  static const event_package package = message_summary_package();
  composed(package, bytes);
}

}  // namespace presence::test

#ifdef PRESENCE_FUZZ
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  presence::test::PRESENCE_FUZZ({reinterpret_cast<const char*>(data), size});
  return 0;
}
#endif
