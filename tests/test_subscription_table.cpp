// The subscription table as a part of its own (L07, L08).
#include <doctest/doctest.h>

#include <presence/memory_storage.hpp>
#include <presence/subscription_table.hpp>

using namespace presence;
using namespace std::chrono_literals;

namespace {

const instant start{seconds{1'700'000'000}};

subscription_row row(const std::string& call, seconds lifetime, const std::string& resource = "sip:alice@example.com") {
  const subscribe_request request{.resource = resource, .event = "presence", .call_id = call, .from_tag = "f",
                                  .from_uri = "sip:bob@example.com", .contact = "sip:bob@192.0.2.1", .cseq = 4u};
  auto made = extract_subscription(request, "presence", "", "t", "sip:server", start);
  REQUIRE(made);
  made->expires = start + lifetime;
  return *made;
}

}  // namespace

TEST_CASE("a SUBSCRIBE value becomes a subscription value (extract_sdialog_info; L08)") {
  const subscription_row made = row("c1", 60s);
  CHECK(made.dialog.local_tag() == "t");
  CHECK(made.dialog.remote_target() == "sip:bob@192.0.2.1");
  CHECK(made.remote_cseq == 4);
  CHECK(made.dialog.watcher() == "sip:bob@example.com");
  CHECK_FALSE(extract_subscription({.resource = "sip:alice@example.com"}, "presence", "", "t", "", start));
}

TEST_CASE("subscriptions are inserted, found, updated, listed and deleted (L07)") {
  seeded_random random{1};
  subscription_table table{random};
  CHECK(table.insert(row("c1", 60s)));
  CHECK(table.insert(row("c2", 90s)));
  CHECK_FALSE(table.insert(row("c1", 10s)));
  REQUIRE(table.find(key_of(row("c1", 0s))) != nullptr);
  CHECK(table.find(key_of(row("c1", 0s)))->expires == start + 60s);
  CHECK(table.update(row("c1", 120s)));
  CHECK(table.find(key_of(row("c1", 0s)))->expires == start + 120s);
  CHECK_FALSE(table.update(row("c9", 1s)));
  std::string order;
  table.each("sip:alice@example.com", "presence", [&](const subscription_row& r) { order += std::string{r.dialog.call_id()}; });
  CHECK(order == "c1c2");
  CHECK(table.update(row("c2", 90s, "sip:carol@example.com")));
  order.clear();
  table.each("sip:carol@example.com", "presence", [&](const subscription_row& r) { order += std::string{r.dialog.call_id()}; });
  CHECK(order == "c2");
  CHECK(table.erase(key_of(row("c1", 0s))));
  CHECK_FALSE(table.erase(key_of(row("c1", 0s))));
  CHECK(table.size() == 1);
}

TEST_CASE("subscriptions end by time with a callback each, and are written in batches (L07)") {
  seeded_random random{1};
  memory_storage rows;
  subscription_table table{random};
  for (int i = 0; i < 10; ++i) table.insert(row("c" + std::to_string(i), seconds{10 * (i + 1)}));
  REQUIRE(table.sync(rows));
  table.update(row("c9", 500s));
  std::vector<std::string> ended;
  CHECK(table.expire(start + 50s, [&](subscription_row r) { ended.emplace_back(r.dialog.call_id()); }) == 5);
  CHECK(ended == std::vector<std::string>{"c0", "c1", "c2", "c3", "c4"});
  REQUIRE(table.sync(rows));
  subscription_table again{random};
  REQUIRE(again.load(rows));
  CHECK(again.size() == 5);
  CHECK(again.find(key_of(row("c9", 0s)))->expires == start + 500s);
  CHECK(again.next_deadline() <= start + 60s);
}
