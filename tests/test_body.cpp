#include <presence/body.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>

using namespace presence;
using namespace std::string_literals;

TEST_CASE("no body has neither type nor bytes") {
  const body none;
  CHECK_FALSE(none);
  CHECK(none.content_type().empty());
  CHECK(none.bytes().empty());
  CHECK(none.digest() == 0);
  CHECK(none == body{});
  CHECK_FALSE(none == body{"", ""});
  CHECK(body{"", ""});
}

TEST_CASE("a body holds any bytes (P50)") {
  const std::string bytes = "\0\xff\r\n\0"s;
  const body b{"application/octet-stream", bytes, 7};
  CHECK(b);
  CHECK(b.content_type() == "application/octet-stream");
  CHECK(b.bytes() == bytes);
  CHECK(b.digest() == 7);
}

TEST_CASE("copies share one text (N23)") {
  body first{"text/plain", std::string(1000, 'x')};
  const body copy = first;
  CHECK(copy.bytes().data() == first.bytes().data());
  const char* const text = copy.bytes().data();
  const body moved = std::move(first);
  CHECK(moved.bytes().data() == text);
  first = {};
  CHECK_FALSE(first);
  CHECK(copy.bytes().size() == 1000);
}

TEST_CASE("a meaning that is found out later is known to every copy (CMP-12)") {
  body first{"text/plain", "x"};
  const body copy = first;
  first.set_digest(7);
  CHECK(copy.digest() == 7);
  CHECK(same_meaning(copy, body{"text/plain", "y", 7}));
}

TEST_CASE("equality is by type and bytes, whatever the digest") {
  const body a{"text/plain", "x", 1};
  CHECK(a == body{"text/plain", "x", 2});
  CHECK(a == body{"text/plain", "x"});
  CHECK_FALSE(a == body{"text/plain", "y", 1});
  CHECK_FALSE(a == body{"text/html", "x", 1});
  CHECK_FALSE(a == body{});
  CHECK_FALSE(body{} == a);
}

TEST_CASE("meaning is by digest or by bytes (EVT-4.2.2-15, CMP-12)") {
  const body a{"text/plain", "x", 1};
  CHECK(same_meaning(a, a));
  CHECK(same_meaning(a, body{"text/plain", "y", 1}));
  CHECK(same_meaning(a, body{"text/plain", "x", 2}));  // nothing to learn from the same bytes
  CHECK_FALSE(same_meaning(a, body{"text/plain", "y", 2}));
  CHECK(same_meaning(a, body{"text/plain", "x", 0}));
  CHECK_FALSE(same_meaning(a, body{"text/plain", "y", 0}));
  CHECK_FALSE(same_meaning(a, body{"text/html", "x", 1}));
  CHECK(same_meaning(body{}, body{}));
  CHECK_FALSE(same_meaning(a, body{}));
  CHECK_FALSE(same_meaning(body{}, a));
}
