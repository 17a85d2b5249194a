// Fuzz targets: rules documents, dialog-info, message-summary. With clang++:
//
//   CXX=clang++ meson setup build-fuzz -Dfuzz=true && ninja -C build-fuzz fuzz
//   build-fuzz/tests/fuzz_rules -max_len=4096 found tests/corpus/rules    (what is found goes to the first directory)
//
// Likewise fuzz_dialog (dialog), fuzz_messages (message-summary) and fuzz_documents (pidf). The corpora are
// replayed, with damages, by an ordinary test.
#include "fuzz_parsers.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <presence/packages.hpp>
#include <presence/rules.hpp>

namespace presence::test {

namespace {

void require(bool holds, const char* what, std::string_view bytes) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n%.*s\n", what, static_cast<int>(bytes.size()), bytes.data());
  std::abort();
}

struct publication {
  body content;
  document parsed;
};

std::vector<published> offered(const std::vector<publication>& all, bool arriving = false) {
  std::vector<published> out;
  for (const publication& p : all) {
    const std::uint64_t id = out.size() + 1;
    out.push_back({.etag = "tag", .content = p.content, .parsed = p.parsed.get(), .sender = {}, .id = id, .since = {}, .arrival = id, .leaving = false});
  }
  if (arriving) out.back().arriving = true;
  return out;
}

/// The input is up to four documents, separated by NUL; one that begins with `=` replaces the one before.
/// What a package accepts it composes into something it accepts itself; composing that changes nothing.
/// What tells the difference between two states is accepted, too, and so is what is told once.
void composed(const event_package& package, std::string_view bytes) {
  const std::string resource{"sip:alice@example.com"};
  limits wide;
  wide.body_bytes = wide.xml_elements = wide.xml_attributes = wide.xml_text_bytes = SIZE_MAX;
  const auto sound = [&](const body& content) {
    notify n;
    n.content = content;
    const body text{package.content_types.front(), n.body_bytes()};
    auto checked = package.check_publish({resource, text, {}, wide});
    require(checked.has_value(), checked ? "" : std::string{checked.error().reason}.c_str(), text.bytes());
    return publication{text, *checked};
  };
  std::vector<publication> all;
  for (int count = 0; count < 4; ++count) {
    const std::size_t end = bytes.find('\0');
    std::string_view text = bytes.substr(0, end);
    const bool replaces = text.starts_with('=') && !all.empty();
    if (replaces) text.remove_prefix(1);
    body content{package.content_types.front(), text};
    const body before = package.aggregate(resource, offered(all));
    const auto checked = package.check_publish({resource, content, {}, limits{}, replaces ? all.back().parsed.get() : nullptr});
    if (!checked) {
      require(checked.error().status >= 400 && !checked.error().reason.empty(), "a refusal says why", text);
    } else {
      if (replaces) all.pop_back();
      if (body whole = (*checked)->stored()) content = whole;
      all.push_back({content, *checked});
      const body state = package.aggregate(resource, offered(all));
      const publication again = sound(state);
      require(sound(package.aggregate(resource, offered({again}))).content.bytes() == again.content.bytes(), "composing twice changes nothing", again.content.bytes());
      // what is stored reads as what was published
      if (all.size() == 1) {
        const auto stored = package.check_publish({resource, content, {}, limits{}});
        require(stored.has_value(), "what is stored can be read again", content.bytes());
        require(package.aggregate(resource, offered({{content, *stored}})).bytes() == state.bytes(), "what is stored says the same", content.bytes());
      }
      if (package.tells_leaving) {
        const publication told = sound(package.aggregate(resource, offered(all, true)));
        const body twice = package.aggregate(resource, offered({told}, true));
        require(sound(twice).content.bytes() == told.content.bytes(), "what is told once reads as it was told", told.content.bytes());
      }
      if (package.difference && before)
        if (const auto partial = package.difference(resource, before, state)) sound(*partial);
    }
    if (end == bytes.npos) break;
    bytes.remove_prefix(end + 1);
  }
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
  static const event_package package = dialog_package({.partial = true});
  composed(package, bytes);
}

void fuzz_messages(std::string_view bytes) {
  static const event_package latest = message_summary_package({.message_headers = true}),
                             sum = message_summary_package({.several = message_summary_options::combining::sum, .message_headers = true});
  composed(latest, bytes);
  composed(sum, bytes);
}

}  // namespace presence::test

#ifdef PRESENCE_FUZZ
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  presence::test::PRESENCE_FUZZ({reinterpret_cast<const char*>(data), size});
  return 0;
}
#endif
