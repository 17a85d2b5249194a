// The operations of PUBLISH as a table: every combination (RFC 3903 sections 4.1 and 6; PUB-T1).
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include <presence/publication.hpp>

using namespace presence;

namespace {

std::string told(const publish_decision& decision) {
  struct {
    std::string operator()(publishing::created d) const { return "created " + std::to_string(d.lifetime.count()); }
    std::string operator()(publishing::discarded) const { return "discarded"; }
    std::string operator()(publishing::refreshed d) const { return "refreshed " + std::to_string(d.lifetime.count()); }
    std::string operator()(publishing::modified d) const { return "modified " + std::to_string(d.lifetime.count()); }
    std::string operator()(publishing::removed) const { return "removed"; }
    std::string operator()(publishing::refused d) const { return "refused " + std::to_string(d.status); }
  } const tell;
  return std::visit(tell, decision);
}

constexpr expiry_bounds bounds{.shortest = seconds{60}, .longest = seconds{3600}, .standard = seconds{1800}};

}  // namespace

TEST_CASE("each combination of tag, body and time is one operation (PUB-T1, PUB-6.3-3, PUB-6.4-3, PUB-6.4-4, PUB-6.5-4 to -7, P08-P15, P25, D2-2, D2-3)") {
  enum tag { no, live, dead };
  struct time {
    std::optional<seconds> asked;
    const char* lifetime;  // as granted; empty: too short; "0": none
  };
  const time times[] = {{std::nullopt, "1800"}, {seconds{0}, "0"}, {seconds{1}, ""}, {seconds{59}, ""}, {seconds{60}, "60"},
                        {seconds{3599}, "3599"}, {seconds{3600}, "3600"}, {seconds{3601}, "3600"}, {seconds{4294967295}, "3600"}};
  int rows = 0;
  for (const tag t : {no, live, dead}) {
    for (const bool with_body : {false, true}) {
      for (const bool empty_allowed : {false, true}) {
        for (const time& when : times) {
          const publish_facts facts{.names_tag = t != no, .tag_is_live = t == live, .brings_body = with_body,
                                    .empty_allowed = empty_allowed, .asked = when.asked};
          const std::string lifetime = when.lifetime;
          std::string expected;
          if (t == dead) expected = "refused 412";  // before everything
          else if (lifetime.empty()) expected = "refused 423";  // before bodies
          else if (t == no && !with_body && !empty_allowed) expected = "refused 400";
          else if (t == no) expected = lifetime == "0" ? "discarded" : "created " + lifetime;
          else if (lifetime == "0") expected = "removed";  // a body is ignored
          else expected = (with_body ? "modified " : "refreshed ") + lifetime;
          CAPTURE(static_cast<int>(t));
          CAPTURE(with_body);
          CAPTURE(empty_allowed);
          CAPTURE(lifetime);
          CHECK(told(decide(facts, bounds)) == expected);
          ++rows;
        }
      }
    }
  }
  CHECK(rows == 3 * 2 * 2 * 9);
}

TEST_CASE("a lifetime is never longer than asked nor than the longest (PUB-6.4-1, -2, EVT-3.1.1-2, P21, P22, GRM-7)") {
  for (const std::int64_t longest : {1LL, 60LL, 3600LL, 86400LL, 4294967295LL}) {
    const expiry_bounds b{.shortest = seconds{60}, .longest = seconds{longest}, .standard = seconds{1800}};
    for (const std::int64_t asked : {0LL, 1LL, 59LL, 60LL, 3600LL, 2147483647LL, 2147483648LL, 4294967294LL, 4294967295LL}) {
      const seconds given = granted(seconds{asked}, b);
      CHECK(given <= seconds{asked});
      CHECK(given <= b.longest);
      CHECK((given == seconds{asked} || given == b.longest));
    }
    CHECK(granted(std::nullopt, b) == std::min(seconds{1800}, b.longest));
  }
}

TEST_CASE("nothing is too short when the minimum is 0") {
  const expiry_bounds b{.shortest = seconds{0}, .longest = seconds{3600}, .standard = seconds{3600}};
  for (const int asked : {1, 2, 59})
    CHECK(told(decide({.brings_body = true, .asked = seconds{asked}}, b)) == "created " + std::to_string(asked));
}

TEST_CASE("what is told to a publisher is less by the offset, at least 1 while it lives (P27, PUB-EXP-2, D2-4)") {
  for (std::int64_t lifetime : {0LL, 1LL, 9LL, 10LL, 11LL, 600LL, 4294967295LL}) {
    for (std::int64_t offset : {-5LL, 0LL, 1LL, 10LL, 600LL, 4294967295LL}) {
      const std::int64_t told_seconds = advertised(seconds{lifetime}, seconds{offset}).count();
      CAPTURE(lifetime);
      CAPTURE(offset);
      if (lifetime == 0) {
        CHECK(told_seconds == 0);
      } else {
        CHECK(told_seconds >= 1);
        CHECK(told_seconds <= lifetime);
        if (offset >= 0 && lifetime - offset >= 1) CHECK(told_seconds == lifetime - offset);
        if (offset <= 0) CHECK(told_seconds == lifetime);
      }
    }
  }
}
