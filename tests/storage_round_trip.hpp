/// The part of the storage contract about values: every field of every row comes back as it was
/// written, whatever it holds. Included by storage_contract.hpp.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <presence/storage.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "storage_rows.hpp"

namespace storage_contract {

TEST_CASE_TEMPLATE_DEFINE("storage: every field of a publication comes back", Host, publications_come_back) {
  Host host;
  storage& rows = host.rows();
  std::uint64_t id = 0;
  const auto comes_back = [&](publication_row row) {
    row.id = ++id;
    apply(rows, {.new_publications = {row}});
    const contents all = read_all(rows);
    REQUIRE(all.publications.size() == 1);
    CHECK(all.publications[0] == row);
    const contents by_resource = read_all(rows, {.resource = row.resource});
    if (!row.resource.empty()) CHECK(by_resource == all);
    apply(rows, {.ended_publications = {key(row)}});
    CHECK(read_all(rows).publications.empty());
  };
  for (const auto& address : addresses()) {
    CAPTURE(address);
    comes_back(publication(address, "tag"));
    publication_row row = publication("sip:alice@example.com", "tag");
    row.sender = row.publisher = address;
    comes_back(row);
  }
  for (const auto& text : hostile_texts()) {
    CAPTURE(text);
    comes_back(publication("sip:alice@example.com", text));
    comes_back(publication("sip:alice@example.com", "tag", 1, text));
    publication_row row = publication("sip:alice@example.com", "tag");
    row.content = body{"text/plain", text};
    comes_back(row);
    if (!text.empty()) {
      row.content = body{text, "bytes"};
      comes_back(row);
    }
  }
  publication_row row = publication("sip:alice@example.com", "tag");
  row.content = {};
  row.nth = std::uint64_t{1} << 40;
  comes_back(row);
  std::string bytes(1 << 20, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 131 >> 3);
  row.content = body{"application/octet-stream", bytes};
  comes_back(row);
  for (const milliseconds::rep ms : {1L, 999L, 1000L, 1001L, 1700000000000L, 1700000000001L, 1700000000999L,
                                     2147483647000L, 2147483647001L, 4294967296123L, 253402300799000L}) {
    row.since = instant{milliseconds{ms}};
    row.expires = instant{milliseconds{ms}};
    comes_back(row);
  }
  id = ~std::uint64_t{0} - 1;
  comes_back(row);
}

TEST_CASE_TEMPLATE_DEFINE("storage: every field of a subscription comes back", Host,
                          subscriptions_come_back) {
  Host host;
  storage& rows = host.rows();
  const auto comes_back = [&](const subscription_row& row) {
    apply(rows, {.new_subscriptions = {row}});
    const contents all = read_all(rows);
    REQUIRE(all.subscriptions.size() == 1);
    CHECK(all.subscriptions[0] == row);
    apply(rows, {.ended_subscriptions = {key_of(row)}});
    CHECK(read_all(rows).subscriptions.empty());
  };
  const auto with = [&](auto set) {
    dialog_fields fields = usual_dialog("call");
    set(fields);
    subscription_row row = subscription("call");
    row.dialog = dialog{fields};
    comes_back(row);
  };
  std::vector<std::string> texts = addresses();
  texts.insert(texts.end(), {"tls:192.0.2.1:5061", "udp:host:99999", "ws:a:1", "udp:", "udp::",
                             "tcp:[::1]:5060", "presence;id=", "udp:" + std::string(61, 'x') + ":1"});
  for (const auto& text : texts) {
    CAPTURE(text);
    with([&](dialog_fields& f) { f.call_id = text; });
    with([&](dialog_fields& f) { f.local_tag = text; });
    with([&](dialog_fields& f) { f.remote_tag = text; });
    with([&](dialog_fields& f) { f.local_uri = text; });
    with([&](dialog_fields& f) { f.remote_uri = text; });
    with([&](dialog_fields& f) { f.remote_target = text; });
    with([&](dialog_fields& f) { f.route_set = text; });
    with([&](dialog_fields& f) { f.local_contact = text; });
    with([&](dialog_fields& f) { f.event = text; });
    with([&](dialog_fields& f) { f.watcher = text; });
    with([&](dialog_fields& f) { f.cookie = text; });
    with([&](dialog_fields& f) { f.user_agent = text; });
    with([&](dialog_fields& f) { f.headers = text; });
    with([&](dialog_fields& f) { f.display_name = text; });
    with([&](dialog_fields& f) { f.also = text; });
    with([&](dialog_fields& f) { f.owner = text; });
    subscription_row row = subscription("call");
    row.resource = text;
    comes_back(row);
    row = subscription("call");
    row.event = text;
    comes_back(row);
    row = subscription("call");
    row.event_id = text;
    comes_back(row);
  }
  using namespace std::string_view_literals;
  with([](dialog_fields& f) { f.cookie = "flow\0\x01\xff"sv; });
  with([](dialog_fields& f) { f.secure = true; });
  with([](dialog_fields& f) { f.proven = true; });
  with([](dialog_fields& f) { f.remote_target = "sips:bob@192.0.2.1"; });
  const std::string route(8192, 'r');
  with([&](dialog_fields& f) { f.route_set = route; });
  for (const auto state :
       {subscription_state::active, subscription_state::pending, subscription_state::terminated}) {
    for (const bool polite : {false, true}) {
      subscription_row row = subscription("call");
      row.state = state;
      row.polite_block = polite;
      comes_back(row);
    }
  }
  for (const std::uint32_t number : {0U, 1U, 64U, 0x7fffffffU, 0x80000000U, 0xffffffffU}) {
    subscription_row row = subscription("call");
    row.local_cseq = row.remote_cseq = row.version = number;
    row.since = row.expires = instant{milliseconds{number} * 1001};
    comes_back(row);
  }
}

TEST_CASE_TEMPLATE_DEFINE("storage: every field of a watcher's row comes back", Host, watchers_come_back) {
  Host host;
  storage& rows = host.rows();
  const auto comes_back = [&](const watcher_row& row) {
    apply(rows, {.watchers = {row}});
    const contents all = read_all(rows);
    REQUIRE(all.watchers.size() == 1);
    CHECK(all.watchers[0] == row);
    apply(rows, {.ended_watchers = {key(row)}});
    CHECK(read_all(rows).watchers.empty());
  };
  for (const auto& text : addresses()) {
    CAPTURE(text);
    comes_back(watcher(text, "sip:bob@example.com"));
    comes_back(watcher("sip:alice@example.com", text));
    comes_back(watcher("sip:alice@example.com", "sip:bob@example.com", text));
    watcher_row row = watcher("sip:alice@example.com", "sip:bob@example.com");
    row.reason = text;
    comes_back(row);
  }
  for (const auto status : {watcher_status::active, watcher_status::pending, watcher_status::terminated,
                            watcher_status::waiting}) {
    watcher_row row = watcher("sip:alice@example.com", "sip:bob@example.com");
    row.status = status;
    row.since = noon + milliseconds{static_cast<int>(status) * 333};
    comes_back(row);
  }
}

TEST_CASE_TEMPLATE_DEFINE("storage: different addresses are different rows", Host, addresses_differ) {
  Host host;
  storage& rows = host.rows();
  std::vector<std::string> all = addresses();
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  change what;
  std::uint64_t id = 0;
  for (const auto& address : all) {
    what.new_publications.push_back(publication(address, "tag", ++id));
    what.watchers.push_back(watcher("sip:alice@example.com", address));
  }
  apply(rows, what);
  CHECK(read_all(rows).publications == what.new_publications);
  CHECK(read_all(rows).watchers == what.watchers);
}

TEST_CASE_TEMPLATE_DEFINE(
    "storage: values wider than Kamailio's columns come back, and are told apart by their ends", Host,
    wide_values) {
  Host host;
  storage& rows = host.rows();
  change what;
  std::uint64_t id = 0;
  std::vector<std::string> keep;  // dialog_fields are views
  keep.reserve(1000);
  // around each width of a column, and at the engine's limits
  for (const std::size_t size : {60U, 64U, 65U, 128U, 129U, 256U, 300U, 2048U}) {
    for (const char last : {'a', 'b'}) {
      const std::string wide = "sip:" + std::string(size - 5, 'x') + last;
      const std::string user = "sip:" + std::string(size - 16, 'u') + last + "@example.com";
      const std::string token = std::string(std::min<std::size_t>(size, 256) - 1, 't') + last;
      for (const std::string& address : {wide, user}) {
        publication_row row = publication(address, token, ++id, token);
        row.sender = user;
        row.content = body{token, "bytes"};
        what.new_publications.push_back(row);
        watcher_row w = watcher(address, user, token);
        w.reason = token;
        what.watchers.push_back(w);
        w.watcher = wide;
        what.watchers.push_back(w);
        dialog_fields fields = usual_dialog("");
        keep.insert(keep.end(), {token + std::to_string(id), token + "l", token + "r", address, wide, user});
        const auto* k = &keep[keep.size() - 6];
        fields.call_id = k[0];
        fields.local_tag = k[1];
        fields.remote_tag = k[2];
        fields.local_uri = fields.remote_uri = k[3];
        fields.remote_target = fields.local_contact = k[4];
        fields.watcher = fields.user_agent = fields.cookie = k[5];
        subscription_row s = subscription("call", address, token);
        s.dialog = dialog{fields};
        s.event_id = token;
        what.new_subscriptions.push_back(s);
      }
    }
  }
  apply(rows, what);
  contents expected{what.new_publications, what.new_subscriptions, what.watchers};
  CHECK(read_all(rows, {}, 100) == expected);
  for (const auto& row : what.new_publications) {
    refuse(rows, {.new_publications = {row}});
    CHECK(read_all(rows, {.event = row.event, .resource = row.resource}).publications == std::vector{row});
  }
  refuse(rows, {.new_subscriptions = {what.new_subscriptions.back()}});
  for (std::size_t i = 0; i < expected.subscriptions.size(); ++i) {
    expected.publications[i].etag += "-next";
    expected.subscriptions[i].local_cseq = 4711;
    expected.watchers[2 * i].reason += "-next";
    apply(rows, {.changed_publications = {{.old_etag = what.new_publications[i].etag,
                                           .row = expected.publications[i]}},
                 .changed_subscriptions = {expected.subscriptions[i]},
                 .reservations = {{key_of(expected.subscriptions[i]), 4711, 1}},
                 .watchers = {expected.watchers[2 * i]}});
  }
  CHECK(read_all(rows, {}, 100) == expected);
  const std::string known = what.new_publications.back().event;
  REQUIRE(rows.sweep(noon + seconds{3600}, {known}));
  std::erase_if(expected.publications, [&](const auto& row) { return row.event != known; });
  CHECK(read_all(rows, {}, 100).publications == expected.publications);
  change end;
  for (const auto& row : expected.publications) end.ended_publications.push_back(key(row));
  for (const auto& row : expected.subscriptions) end.ended_subscriptions.push_back(key_of(row));
  for (const auto& row : expected.watchers) end.ended_watchers.push_back(key(row));
  apply(rows, end);
  CHECK(read_all(rows) == contents{});
}

}  // namespace storage_contract
