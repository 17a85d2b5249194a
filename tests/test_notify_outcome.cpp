#include <presence/notify_outcome.hpp>

#include <doctest/doctest.h>

#include <set>

using namespace presence;

TEST_CASE("thirteen statuses end a subscription, and nothing else does (EVT-4.2.2-8 to -10)") {
  const std::set<int> ending{404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604};
  REQUIRE(ending.size() == 13);
  for (const bool timeout_rm_subs : {true, false}) {
    for (int status = 300; status < 700; ++status) {
      if (status == 401 || status == 407 || status == 408) continue;
      CAPTURE(status);
      CHECK(outcome_of(status, timeout_rm_subs) ==
            (ending.count(status) != 0 ? notify_outcome::ended : notify_outcome::kept));
    }
  }
}

TEST_CASE("other errors leave the subscription (EVT-4.2.2-10, EVT-4.2.2-13, TRAP-15)") {
  for (const int status :
       {400, 403, 406, 415, 420, 423, 488, 491, 493, 500, 502, 503, 504, 505, 513, 580, 600, 603, 606, 302})
    CHECK(outcome_of(status, true) == notify_outcome::kept);
}

TEST_CASE("a timeout ends the subscription unless the option says otherwise (EVT-4.2.2-7, N13)") {
  for (const int status : {0, 408}) {
    CHECK(outcome_of(status, true) == notify_outcome::ended);
    CHECK(outcome_of(status, false) == notify_outcome::kept);
  }
}

TEST_CASE("success is delivery, whatever its number (TV-06)") {
  for (int status = 200; status < 300; ++status) CHECK(outcome_of(status, true) == notify_outcome::delivered);
}

TEST_CASE("provisional answers and challenges decide nothing (EVT-4.2.2-12, N15)") {
  for (int status = 100; status < 200; ++status)
    CHECK(outcome_of(status, true) == notify_outcome::provisional);
  for (const int status : {401, 407}) CHECK(outcome_of(status, true) == notify_outcome::provisional);
}

TEST_CASE("what is no status keeps the subscription") {
  for (const int status : {-1, -408, 1, 99, 700, 1000, 2147483647})
    CHECK(outcome_of(status, true) == notify_outcome::kept);
}

TEST_CASE("outcomes print") {
  CHECK(to_string(notify_outcome::delivered) == "delivered");
  CHECK(to_string(notify_outcome::ended) == "ended");
  CHECK(to_string(notify_outcome::kept) == "kept");
  CHECK(to_string(notify_outcome::provisional) == "provisional");
}
