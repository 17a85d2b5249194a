// Texts of which there are millions, in place where they are short (PF4).
#include <doctest/doctest.h>

#include <string>

#include <presence/short_text.hpp>

using presence::short_text;

TEST_CASE("a text of any length comes back as it was set (PF4)") {
  CHECK(short_text{}.view().empty());
  for (const std::size_t size : {0u, 1u, 8u, 39u, 40u, 41u, 64u, 5000u}) {
    std::string text(size, 'x');
    if (size != 0) text.back() = '\0';
    short_text held;
    held.set(text);
    CHECK(held.view() == text);
    text.assign(size, 'y');
    CHECK((size == 0 || held.view() != text));
  }
}
