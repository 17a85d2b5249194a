// The rules of SUBSCRIBE and of changed decisions as tables: every combination (RFC 6665 section
// 4.2.1, conformance section 6.2).
#include <doctest/doctest.h>

#include <string>

#include <presence/subscription.hpp>

using namespace presence;

namespace {

std::string told(const subscribe_decision& decision) {
  struct {
    std::string operator()(subscribing::fetched) const { return "fetched"; }
    std::string operator()(subscribing::created d) const { return "created " + std::to_string(d.lifetime.count()); }
    std::string operator()(subscribing::refreshed d) const { return "refreshed " + std::to_string(d.lifetime.count()); }
    std::string operator()(subscribing::ended) const { return "ended"; }
    std::string operator()(subscribing::refused d) const { return "refused " + std::to_string(d.status); }
  } const tell;
  return std::visit(tell, decision);
}

constexpr sub_handling handlings[] = {sub_handling::block, sub_handling::confirm, sub_handling::polite_block, sub_handling::allow};

}  // namespace

TEST_CASE("each combination of dialog, time and decision is one outcome (S09, S11-S14, EVT-4.2.1.1-4, -7, EVT-4.2.1.3-1, -3, EVT-4.4.3-1, TV-24)") {
  struct time {
    std::optional<seconds> asked;
    const char* lifetime;  // empty: too short
  };
  const time times[] = {{std::nullopt, "1800"}, {seconds{0}, "0"}, {seconds{1}, ""}, {seconds{59}, ""}, {seconds{60}, "60"},
                        {seconds{3600}, "3600"}, {seconds{3601}, "3600"}, {seconds{4294967295}, "3600"}};
  const expiry_bounds bounds{.shortest = seconds{60}, .longest = seconds{3600}, .standard = seconds{1800}};
  for (const bool in_dialog : {false, true}) {
    for (const bool known : {false, true}) {
      for (const sub_handling handling : handlings) {
        for (const time& when : times) {
          const std::string lifetime = when.lifetime;
          std::string expected;
          if (in_dialog && !known) expected = "refused 481";
          else if (handling == sub_handling::block && !(in_dialog && lifetime == "0")) expected = "refused 403";
          else if (lifetime.empty()) expected = "refused 423";
          else if (in_dialog) expected = lifetime == "0" ? "ended" : "refreshed " + lifetime;
          else expected = lifetime == "0" ? "fetched" : "created " + lifetime;
          CAPTURE(in_dialog);
          CAPTURE(known);
          CAPTURE(to_string(handling));
          CAPTURE(lifetime);
          CHECK(told(decide(subscribe_facts{.in_dialog = in_dialog, .known = known, .asked = when.asked, .handling = handling}, bounds)) == expected);
        }
      }
    }
  }
}

TEST_CASE("an hour or more is never too short, whatever the minimum (EVT-4.2.1.1-4)") {
  for (const int minimum : {0, 60, 3599, 3600, 3601, 7200, 86400}) {
    const expiry_bounds b{.shortest = seconds{minimum}, .longest = seconds{86400}, .standard = seconds{86400}};
    for (const int asked : {1, 59, 60, 3598, 3599, 3600, 3601, 7199, 7200}) {
      const bool refused = asked < 3600 && asked < minimum;
      CHECK(told(decide(subscribe_facts{.asked = seconds{asked}}, b)) == (refused ? "refused 423" : "created " + std::to_string(asked)));
    }
  }
}

TEST_CASE("each decision about each standing leads where the table says (EVT-FSM-1, POL-CHG-1, Z05)") {
  struct row {
    standing before;
    sub_handling decided;
    standing now;
    bool notify;
    end_reason ends;
  };
  using enum standing;
  using enum sub_handling;
  const row rows[] = {
      {pending, block, pending, true, end_reason::rejected},  {pending, confirm, pending, false, end_reason::none},
      {pending, polite_block, polite, true, end_reason::none}, {pending, allow, standing::active, true, end_reason::none},
      {standing::active, block, standing::active, true, end_reason::rejected},
      {standing::active, confirm, standing::active, true, end_reason::probation},
      {standing::active, polite_block, polite, true, end_reason::none},
      {standing::active, allow, standing::active, false, end_reason::none},
      {polite, block, polite, true, end_reason::rejected},    {polite, confirm, polite, true, end_reason::probation},
      {polite, polite_block, polite, false, end_reason::none}, {polite, allow, standing::active, true, end_reason::none},
  };
  for (const row& row : rows) {
    CAPTURE(static_cast<int>(row.before));
    CAPTURE(to_string(row.decided));
    const reconsidered got = reconsider(row.before, row.decided);
    CHECK(got.now == row.now);
    CHECK(got.notify == row.notify);
    CHECK(got.ends == row.ends);
    if (row.before != pending && got.ends == end_reason::none) CHECK(got.now != pending);  // no way back
  }
  CHECK(std::size(rows) == 3 * 4);
}

TEST_CASE("a decision gives a new watcher his standing (EVT-4.2.1.3-3)") {
  CHECK(standing_of(sub_handling::allow) == standing::active);
  CHECK(standing_of(sub_handling::polite_block) == standing::polite);
  CHECK(standing_of(sub_handling::confirm) == standing::pending);
}
