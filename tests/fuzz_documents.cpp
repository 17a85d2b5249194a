// Fuzz target: documents published by a stranger, for the packages that look into them.
// How it is built and run: fuzz_parsers.cpp.
//
// The input is up to four documents, separated by NUL. Invariant of the presence package:
//   - no crash, whatever the bytes;
//   - what is composed of accepted documents is accepted itself, and composing that again gives
//     the same bytes;
//   - the state without one of the publications is accepted too, and with it again all is as it
//     was, ids included (CMP-3, CMP-10).
// The corpus is replayed by an ordinary test, which links this file.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <presence/packages.hpp>

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
                   .arrival = p.id, .leaving = &p == without});
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const event_package package = presence_package();
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
    auto checked = package.check_publish({resource, content, "", bounds});
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
  package.sphere(offered(all), instant{});
  return 0;
}
