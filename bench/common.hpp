/// What the benchmarks have in common: sizes, names, documents.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>

#include <presence/effects.hpp>
#include <presence/requests.hpp>
#include <presence/time.hpp>

namespace presence::bench {

inline const instant start{seconds{1'700'000'000}};

inline std::size_t scaled(std::size_t n) {
  static const std::size_t divisor = [] {
    const char* text = std::getenv("PRESENCE_BENCH_SCALE");
    const auto value = text == nullptr ? 1 : std::strtoul(text, nullptr, 10);
    return value == 0 ? 1 : value;
  }();
  return std::max<std::size_t>(n / divisor, 1);
}

inline std::string presentity(std::size_t i) { return "sip:user" + std::to_string(i) + "@example.com"; }

/// A document of about 500 bytes, as phones publish it.
inline std::string pidf_of(const std::string& entity, unsigned version) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
         "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\""
         " xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"" + entity + "\">\n"
         "  <tuple id=\"t4c2e7a\">\n    <status><basic>" + (version % 2 == 0 ? "open" : "closed") +
         "</basic></status>\n    <contact priority=\"0.8\">" + entity + "</contact>\n"
         "    <timestamp>2026-11-23T10:00:00Z</timestamp>\n  </tuple>\n"
         "  <dm:person id=\"p1\"><rpid:activities><rpid:on-the-phone/></rpid:activities>"
         "<dm:note>call " + std::to_string(version) + "</dm:note></dm:person>\n</presence>\n";
}

/// A PUBLISH of a presentity under `etag`, which becomes the new tag; empty: the first one. `Host`: an engine, or several.
template <class Host>
void publish(Host& host, std::size_t i, unsigned version, std::string& etag, instant now, effects& out) {
  const std::string to = presentity(i), text = pidf_of(to, version), tag = etag;
  host.publish({.resource = to, .event = "presence", .expires = seconds{3600}, .sip_if_match = tag,
                .content = {.type = "application/pidf+xml", .bytes = text}}, now, out);
  if (out.answer.status != 200) std::abort();
  etag = out.answer.etag;
}
/// Every NOTIFY is answered 200.
template <class Host>
void answer_all(Host& host, instant now, const effects& out, effects& reported) {
  for (const notify& n : out.notifies) host.report({.id = n.id, .status = 200}, now, reported);
}

}  // namespace presence::bench
