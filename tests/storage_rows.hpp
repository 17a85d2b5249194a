/// Rows to test storages with, and the few verbs such tests need.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <presence/storage.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "all_rows.hpp"

namespace storage_contract {

using namespace presence;
using test::all_rows;

inline constexpr instant noon{milliseconds{1700000000123}};

/// Texts that have upset one database or another.
inline const std::vector<std::string>& hostile_texts() {
  static const std::vector<std::string> texts{"",
                                              "'",
                                              "\"",
                                              "\\",
                                              "a'; DROP TABLE presentity; --",
                                              ":key",
                                              "::int",
                                              "?1",
                                              "$1",
                                              "%s%n",
                                              "007",
                                              "1e3",
                                              "NULL",
                                              "0x00",
                                              " ",
                                              "\t",
                                              "a b",
                                              "a\r\nb",
                                              "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
                                              "\xff\xfe not UTF-8",
                                              "{}",
                                              "\\x41",
                                              "sip:",
                                              "sip:@",
                                              "@"};
  return texts;
}

/// Addresses of every shape, hostile ones included.
inline std::vector<std::string> addresses() {
  std::vector<std::string> all{"sip:alice@example.com",
                               "sip:alice@example.com:5070",
                               "sip:example.com",
                               "sip:example.com:5060",
                               "sip:[2001:db8::1]",
                               "sip:bob@[2001:db8::1]:5061",
                               "sips:alice@example.com",
                               "tel:+15551234",
                               "pres:alice@example.com",
                               "sip:alice%40home@example.com",
                               "sip:alice;x=y@example.com",
                               "sip:a@b@c",
                               "sip::@b",
                               "SIP:Alice@Example.com",
                               "urn:service:sos",
                               "alice",
                               "example.com",
                               ":example.com",
                               "::",
                               "sip:alice@example.com;transport=tcp"};
  all.insert(all.end(), hostile_texts().begin(), hostile_texts().end());
  return all;
}

inline publication_row publication(std::string_view resource, std::string_view etag, std::uint64_t id = 1,
                                   std::string_view event = "presence") {
  return {.resource = std::string{resource},
          .event = std::string{event},
          .etag = std::string{etag},
          .id = id,
          .content = body{"application/pidf+xml", "<presence entity='" + std::string{etag} + "'/>"},
          .sender = "sip:sender@example.com",
          .publisher = "sip:publisher@example.com",
          .since = noon,
          .expires = noon + seconds{600}};
}

/// The parts of a usual dialog; change some and make a dialog of it.
inline dialog_fields usual_dialog(std::string_view call_id) {
  return {.call_id = call_id,
          .local_tag = "10-local",
          .remote_tag = "remote",
          .local_uri = "sip:alice@example.com",
          .remote_uri = "sip:bob@example.com",
          .remote_target = "sip:bob@192.0.2.1:5062;transport=tcp",
          .route_set = "<sip:p1.example.com;lr>,<sip:p2.example.com;lr>",
          .local_contact = "sip:presence.example.com",
          .event = "presence",
          .watcher = "sip:bob@example.com",
          .cookie = "udp:192.0.2.9:5060",
          .user_agent = "softphone/1.0",
          .headers = "",
          .secure = false,
          .proven = false};
}

inline subscription_row subscription(std::string_view call_id,
                                     std::string_view resource = "sip:alice@example.com",
                                     std::string_view event = "presence") {
  dialog_fields fields = usual_dialog(call_id);
  fields.event = event;
  return {.resource = std::string{resource},
          .event = std::string{event},
          .event_id = "",
          .dialog = dialog{fields},
          .state = subscription_state::active,
          .polite_block = false,
          .local_cseq = 64,
          .remote_cseq = 1,
          .version = 1,
          .since = noon,
          .expires = noon + seconds{600}};
}

inline watcher_row watcher(std::string_view resource, std::string_view who,
                           std::string_view event = "presence") {
  return {.resource = std::string{resource},
          .event = std::string{event},
          .watcher = std::string{who},
          .status = watcher_status::pending,
          .reason = "",
          .since = noon};
}

inline publication_key key(const publication_row& r) { return {r.resource, r.event, r.etag}; }
inline watcher_key key(const watcher_row& r) { return {r.resource, r.event, r.watcher}; }

/// Everything a storage holds.
struct contents {
  std::vector<publication_row> publications;
  std::vector<subscription_row> subscriptions;
  std::vector<watcher_row> watchers;
  friend bool operator==(const contents&, const contents&) = default;
};

inline contents read_all(storage& rows, const row_filter& want = {}, std::size_t limit = 3) {
  return {all_rows<publication_row>(rows, want, limit), all_rows<subscription_row>(rows, want, limit),
          all_rows<watcher_row>(rows, want, limit)};
}

inline void apply(storage& rows, const change& what) {
  const auto done = rows.apply(what);
  INFO(done.error().text);
  REQUIRE(done);
}

inline storage_error error_of(const result<void, storage_error>& done) {
  REQUIRE_FALSE(done);
  return done.error();
}

/// A change that makes a row in each table.
inline change one_of_each() {
  return {.new_publications = {publication("sip:alice@example.com", "a", 1)},
          .new_subscriptions = {subscription("call")},
          .watchers = {watcher("sip:alice@example.com", "sip:bob@example.com")}};
}

inline contents rows_of(const change& what) {
  return {what.new_publications, what.new_subscriptions, what.watchers};
}

inline void refuse(storage& rows, const change& what) {
  const contents before = read_all(rows);
  const auto done = rows.apply(what);
  REQUIRE_FALSE(done);
  CHECK(done.error().fault == storage_fault::conflict);
  CHECK_FALSE(done.error().text.empty());
  CHECK(read_all(rows) == before);
}

}  // namespace storage_contract
