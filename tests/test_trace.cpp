// Traces as text.
#include <doctest/doctest.h>

#include <random>

#include <presence/trace.hpp>

using namespace presence;

TEST_CASE("what is written as a line of a trace is read back") {
  using op = traced_operation;
  for (const op operation : {op::publish, op::subscribe, op::refresh, op::notify, op::read, op::expire}) {
    const traced_access a{instant{milliseconds{1'700'000'000'123}}, operation, "sip:alice@example.com", 522};
    std::string line;
    append_line(line, a);
    CHECK(line == "1700000000123 " + std::string{to_string(operation)} + " sip:alice@example.com 522\n");
    line.pop_back();
    const auto read = parse_trace_line(line);
    REQUIRE(read);
    CHECK(*read == a);
  }
}

TEST_CASE("a key that would break a line is written in hexadecimal, an empty one as a hyphen") {
  std::string line;
  append_line(line, {.key = "a b\n\x7f\xc3\xa4", .bytes = 4294967295u});
  append_line(line, {.key = ""});
  CHECK(line == "0 publish a%20b%0A%7F%C3%A4 4294967295\n0 publish - 0\n");
}

TEST_CASE("blanks between columns and further columns do not matter") {
  const auto read = parse_trace_line(" \t-5  read\tk 0 and more\r");
  REQUIRE(read);
  CHECK(*read == traced_access{instant{milliseconds{-5}}, traced_operation::read, "k", 0});
}

TEST_CASE("a damaged line is refused, or is an access that is written and read as it is") {
  std::mt19937 dice{3};
  std::size_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string line = "1700000000123 publish sip:alice@example.com 522";
    for (int edits = 0; edits < 2; ++edits) line[dice() % line.size()] = static_cast<char>(dice());
    const auto first = parse_trace_line(line);
    if (!first) {
      CHECK_FALSE(first.error().empty());
      continue;
    }
    ++accepted;
    std::string once, twice;
    append_line(once, *first);
    CHECK(once.find('\n') == once.size() - 1);
    const auto second = parse_trace_line(std::string_view{once}.substr(0, once.size() - 1));
    REQUIRE(second);
    append_line(twice, *second);
    CHECK(twice == once);
  }
  CHECK(accepted > 1000);
}

TEST_CASE("a line that is no access is refused with what is wrong") {
  struct {
    std::string line;
    const char* why;
  } const rows[] = {
      {"", "a line begins with its time in milliseconds, not with \"\""},
      {"now read k 1", "a line begins with its time in milliseconds, not with \"now\""},
      {"99999999999999999999 read k 1",
       "a line begins with its time in milliseconds, not with \"99999999999999999999\""},
      {"1", "\"\" is none of the operations: publish subscribe refresh notify read expire"},
      {"1 Read k 1", "\"Read\" is none of the operations: publish subscribe refresh notify read expire"},
      {"1 read", "the key is missing"},
      {"1 read k", "the fourth column is a size in bytes, not \"\""},
      {"1 read k -1", "the fourth column is a size in bytes, not \"-1\""},
      {"1 read k 4294967296", "the fourth column is a size in bytes, not \"4294967296\""},
      {"1 read k 1x", "the fourth column is a size in bytes, not \"1x\""},
      {"1 read k " + std::string(100'000, 'x'),
       "the fourth column is a size in bytes, not \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""},
  };
  for (const auto& row : rows) {
    const auto read = parse_trace_line(row.line);
    REQUIRE_FALSE(read);
    CHECK(read.error() == row.why);
  }
}
