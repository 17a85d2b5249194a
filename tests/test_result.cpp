#include <presence/result.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <utility>

using namespace presence;

namespace {

result<int, std::string> half(int n) {
  if (n % 2 != 0) return unexpected{std::string{"odd"}};
  return n / 2;
}

result<void, std::string> even(int n) {
  if (n % 2 != 0) return unexpected{std::string{"odd"}};
  return {};
}

}  // namespace

TEST_CASE("a result holds a value or an error") {
  auto good = half(8);
  REQUIRE(good);
  CHECK(good.has_value());
  CHECK(good.value() == 4);
  CHECK(*good == 4);
  *good = 5;
  CHECK(std::as_const(good).value() == 5);
  CHECK(*std::as_const(good) == 5);

  auto bad = half(7);
  CHECK_FALSE(bad);
  CHECK_FALSE(bad.has_value());
  CHECK(bad.error() == "odd");
  bad.error() += "!";
  CHECK(std::as_const(bad).error() == "odd!");
}

TEST_CASE("a result without a value tells success or an error") {
  CHECK(even(2));
  CHECK(even(2).has_value());
  const auto bad = even(1);
  CHECK_FALSE(bad);
  CHECK(bad.error() == "odd");
}

TEST_CASE("value and error may be of one type") {
  const result<std::string, std::string> good{std::string{"x"}};
  const result<std::string, std::string> bad{unexpected{std::string{"x"}}};
  CHECK(good);
  CHECK_FALSE(bad);
  CHECK(good->size() == 1);
  CHECK(bad.error() == "x");
}

TEST_CASE("an error converts to the error type of the result") {
  const auto fails = []() -> result<int, std::string> { return unexpected{"a literal"}; };
  CHECK(fails().error() == "a literal");
  const auto also = []() -> result<void, std::string> { return unexpected{"a literal"}; };
  CHECK(also().error() == "a literal");
}

TEST_CASE("a value that only moves moves out") {
  result<std::unique_ptr<int>, int> r{std::make_unique<int>(3)};
  REQUIRE(r);
  CHECK(**r == 3);
  const std::unique_ptr<int> taken = std::move(r).value();
  CHECK(*taken == 3);
  CHECK(r.value() == nullptr);
}

TEST_CASE("a default result is a default value") {
  const result<int, std::string> r;
  REQUIRE(r);
  CHECK(*r == 0);
  const result<void, std::string> v;
  CHECK(v);
}

TEST_CASE("a result can be assigned") {
  auto r = half(7);
  r = half(6);
  REQUIRE(r);
  CHECK(*r == 3);
  r = half(5);
  CHECK_FALSE(r);
}
