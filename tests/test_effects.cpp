#include <presence/effects.hpp>

#include <doctest/doctest.h>

#include <cstdint>
#include <string>

#include <presence/event_package.hpp>

using namespace presence;

namespace {

notify sample() {
  return {.id = {.slot = 1, .generation = 3, .cseq = 2},
          .dialog = dialog{{.remote_target = "sip:bob@192.0.2.7:5060", .event = "presence;id=7"}},
          .cseq = 2,
          .state = subscription_state::active,
          .expires = 590,
          .content = body{"application/pidf+xml", "<presence/>"}};
}

}  // namespace

TEST_CASE("Subscription-State tells the time left, or why there is none (GRM-20, EVT-4.2.2-3 to -6)") {
  const struct {
    subscription_state state;
    end_reason reason;
    std::uint32_t expires, retry_after;
    std::string_view text;
  } rows[] = {
      {subscription_state::active, end_reason::none, 590, 0, "active;expires=590"},
      {subscription_state::pending, end_reason::none, 4294967295u, 0, "pending;expires=4294967295"},
      {subscription_state::active, end_reason::timeout, 1, 9, "active;expires=1"},
      {subscription_state::terminated, end_reason::none, 0, 0, "terminated"},
      {subscription_state::terminated, end_reason::timeout, 60, 0, "terminated;reason=timeout"},
      {subscription_state::terminated, end_reason::deactivated, 0, 5, "terminated;reason=deactivated"},
      {subscription_state::terminated, end_reason::probation, 0, 120,
       "terminated;reason=probation;retry-after=120"},
      {subscription_state::terminated, end_reason::probation, 0, 0, "terminated;reason=probation"},
      {subscription_state::terminated, end_reason::giveup, 0, 30, "terminated;reason=giveup;retry-after=30"},
      {subscription_state::terminated, end_reason::rejected, 0, 30, "terminated;reason=rejected"},
      {subscription_state::terminated, end_reason::noresource, 0, 30, "terminated;reason=noresource"},
      {subscription_state::terminated, end_reason::invariant, 0, 30, "terminated;reason=invariant"},
      {subscription_state::terminated, end_reason::timeout, 0, 30, "terminated;reason=timeout"},
  };
  for (const auto& row : rows) {
    const notify n{
        .state = row.state, .reason = row.reason, .expires = row.expires, .retry_after = row.retry_after};
    CHECK(n.subscription_state_value() == row.text);
  }
}

TEST_CASE("the words that go on the wire are those of the RFCs (GRM-24)") {
  CHECK(to_string(subscription_state::active) == "active");
  CHECK(to_string(subscription_state::pending) == "pending");
  CHECK(to_string(subscription_state::terminated) == "terminated");
  CHECK(to_string(end_reason::none).empty());
  CHECK(to_string(end_reason::deactivated) == "deactivated");
  CHECK(to_string(end_reason::probation) == "probation");
  CHECK(to_string(end_reason::rejected) == "rejected");
  CHECK(to_string(end_reason::timeout) == "timeout");
  CHECK(to_string(end_reason::giveup) == "giveup");
  CHECK(to_string(end_reason::noresource) == "noresource");
  CHECK(to_string(end_reason::invariant) == "invariant");
  CHECK(to_string(publish_operation::none) == "none");
  CHECK(to_string(publish_operation::created) == "created");
  CHECK(to_string(publish_operation::refreshed) == "refreshed");
  CHECK(to_string(publish_operation::modified) == "modified");
  CHECK(to_string(publish_operation::removed) == "removed");
  CHECK(to_string(sub_handling::block) == "block");
  CHECK(to_string(sub_handling::confirm) == "confirm");
  CHECK(to_string(sub_handling::polite_block) == "polite-block");
  CHECK(to_string(sub_handling::allow) == "allow");
}

TEST_CASE("a reply prints on one line, with every header it has") {
  CHECK(to_string(reply{}) == "no reply");
  CHECK(to_string(reply{.status = 200, .expires = 600, .etag = "e1"}) == "200 OK Expires=600 SIP-ETag=e1");
  CHECK(to_string(reply{.status = 200, .expires = 0}) == "200 OK Expires=0");
  CHECK(to_string(reply{.status = 423, .min_expires = 60}) == "423 Interval Too Brief Min-Expires=60");
  CHECK(to_string(reply{.status = 489, .allow_events = "presence, dialog"}) ==
        "489 Bad Event Allow-Events=presence, dialog");
  CHECK(to_string(reply{.status = 400, .reason = "No Contact"}) == "400 No Contact");
  CHECK(to_string(reply{.status = 401, .challenge = true}) == "401 Unauthorized challenge");
  CHECK(to_string(reply{.status = 200,
                        .expires = 1,
                        .min_expires = 2,
                        .retry_after = 3,
                        .etag = "a",
                        .allow_events = "b",
                        .allow = "c",
                        .accept = "d",
                        .accept_encoding = "e",
                        .unsupported = "f",
                        .require = "g"}) ==
        "200 OK Expires=1 Min-Expires=2 Retry-After=3 SIP-ETag=a Allow-Events=b Allow=c Accept=d "
        "Accept-Encoding=e Unsupported=f Require=g");
}

TEST_CASE("a NOTIFY prints on one line") {
  auto n = sample();
  CHECK(to_string(n) ==
        "NOTIFY sip:bob@192.0.2.7:5060 CSeq 2 presence;id=7 active;expires=590 [application/pidf+xml, 11 "
        "bytes]");
  n.content = {};
  n.state = subscription_state::terminated;
  n.reason = end_reason::timeout;
  CHECK(to_string(n) == "NOTIFY sip:bob@192.0.2.7:5060 CSeq 2 presence;id=7 terminated;reason=timeout");
  n.content = body{"text/plain", ""};
  CHECK(to_string(n).ends_with(" [text/plain, 0 bytes]"));
}

TEST_CASE("effects print as a transcript, reply first") {
  effects e;
  CHECK(to_string(e).empty());
  e.answer = {.status = 200, .expires = 600};
  e.notifies.push_back(sample());
  e.notifies.push_back(sample());
  const std::string line = to_string(sample()) + '\n';
  CHECK(to_string(e) == "200 OK Expires=600\n" + line + line);
  e.answer = {};
  e.notifies.pop_back();
  e.more = true;
  CHECK(to_string(e) == line + "more is due\n");
  e.clear();
  e.storage_failed = true;
  e.answer = {.status = 503, .retry_after = 5};
  CHECK(to_string(e) == "503 Service Unavailable Retry-After=5\nstorage failed\n");
}

TEST_CASE("cleared effects are empty and keep their memory") {
  effects e{.answer = {.status = 200, .etag = "x"},
            .notifies = {sample(), sample()},
            .operation = publish_operation::created,
            .state_changed = true,
            .storage_failed = true,
            .more = true};
  const auto capacity = e.notifies.capacity();
  e.clear();
  CHECK(e.answer == reply{});
  CHECK(e.notifies.empty());
  CHECK(e.notifies.capacity() == capacity);
  CHECK(e.operation == publish_operation::none);
  CHECK_FALSE(e.state_changed);
  CHECK_FALSE(e.storage_failed);
  CHECK_FALSE(e.more);
}

TEST_CASE("descriptors compare whole") {
  CHECK(sample() == sample());
  auto n = sample();
  n.cseq = 3;
  CHECK_FALSE(n == sample());
  n = sample();
  n.content = body{"application/pidf+xml", "<presence />"};
  CHECK_FALSE(n == sample());
  CHECK_FALSE(reply{.status = 200} == reply{.status = 200, .expires = 0});
}

TEST_CASE("every status this domain knows has its phrase (DELTA-8)") {
  const struct {
    int status;
    std::string_view phrase;
  } rows[] = {{200, "OK"},
              {202, "Accepted"},
              {204, "No Notification"},
              {302, "Moved Temporarily"},
              {400, "Bad Request"},
              {401, "Unauthorized"},
              {403, "Forbidden"},
              {404, "Not Found"},
              {405, "Method Not Allowed"},
              {406, "Not Acceptable"},
              {407, "Proxy Authentication Required"},
              {408, "Request Timeout"},
              {410, "Gone"},
              {412, "Conditional Request Failed"},
              {413, "Request Entity Too Large"},
              {414, "Request-URI Too Long"},
              {415, "Unsupported Media Type"},
              {416, "Unsupported URI Scheme"},
              {420, "Bad Extension"},
              {423, "Interval Too Brief"},
              {480, "Temporarily Unavailable"},
              {481, "Subscription Does Not Exist"},
              {482, "Loop Detected"},
              {483, "Too Many Hops"},
              {484, "Address Incomplete"},
              {485, "Ambiguous"},
              {488, "Not Acceptable Here"},
              {489, "Bad Event"},
              {491, "Request Pending"},
              {493, "Undecipherable"},
              {500, "Server Internal Error"},
              {501, "Not Implemented"},
              {502, "Bad Gateway"},
              {503, "Service Unavailable"},
              {504, "Server Time-out"},
              {505, "Version Not Supported"},
              {513, "Message Too Large"},
              {580, "Precondition Failure"},
              {600, "Busy Everywhere"},
              {603, "Decline"},
              {604, "Does Not Exist Anywhere"},
              {606, "Not Acceptable"},
              // unknown ones get the name of their class
              {199, "Provisional"},
              {299, "Success"},
              {399, "Redirection"},
              {499, "Client Error"},
              {599, "Server Error"},
              {699, "Global Failure"}};
  for (const auto& row : rows) {
    CAPTURE(row.status);
    CHECK(reason_phrase(row.status) == row.phrase);
  }
  for (int status = 100; status < 700; ++status) CHECK_FALSE(reason_phrase(status).empty());
  for (const int status : {0, -1, -200, 99, 700, 2147483647}) CHECK(reason_phrase(status).empty());
}
