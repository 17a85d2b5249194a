// What the engine does not know it passes on as it is (RFC 4480, 4481, 4482, 5196).
#include <doctest/doctest.h>

#include <presence/packages.hpp>

#include "schema_material.hpp"
#include "xml.hpp"

using namespace presence;
using namespace presence::test;

TEST_CASE("every element of rich presence passes composition, and says what it said (RPID-3.2-1, RPID-3.3-1, RPID-3.5-1, RPID-3.6-1, RPID-3.7-1, RPID-3.8-1, "
          "RPID-3.9-1, RPID-3.10-1, RPID-3.12-1, RPID-3.13-1, RPID-3.14-1, TIM-1, CAP-1, PIDF-4.2.5-1)") {
  const auto plain = [](std::string text) {
    std::erase(text, '~');  // the letters themselves as prefixes
    return text;
  };
  dice d{1};
  const part parts[] = {tuple(d, "t", true), person(d, "p", true), device(d, "v", true)};
  std::string text = "<p:presence entity='sip:alice@example.com'";
  for (const auto& [letter, uri] : namespaces) text += std::string{" xmlns:"} + letter + "='" + std::string{uri} + "'";
  text += ">";
  for (const part& one : parts) {
    text += plain("<" + one.name + " " + one.attributes + ">");
    for (const std::string& child : one.children) text += plain(child);
    text += plain("</" + one.name + ">");
  }
  text += "</p:presence>";

  const event_package package = presence_package();
  const body content{"application/pidf+xml", text};
  const auto parsed = package.check_publish({"sip:alice@example.com", content, {}, limits{}});
  REQUIRE(parsed.has_value());
  const published all[] = {{.etag = "e", .content = content, .parsed = parsed->get(), .sender = {}, .id = 1, .since = {}, .arrival = 1, .leaving = false}};
  const std::string seen{package.aggregate("sip:alice@example.com", all).bytes()};
  for (const part& one : parts) {
    for (const std::string& child : one.children) {
      CAPTURE(child);
      std::string tidy;
      xml::append_plain(tidy, plain(child));
      if (const auto id = tidy.find(" id='"); id != tidy.npos) tidy.erase(id, tidy.find('\'', id + 5) + 1 - id);  // of an RPID element
      CHECK(seen.find(tidy) != std::string::npos);
    }
  }
}
