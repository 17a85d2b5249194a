/// One suite for every storage: what the port promises, as test templates over a host type. A host
/// makes an empty storage and hands it out:
///
///   struct some_host { storage& rows(); };
///   PRESENCE_STORAGE_CONTRACT(some_host);
///
/// A file that includes this header runs the whole suite over each host it names.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <presence/storage.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage_round_trip.hpp"
#include "storage_rows.hpp"
#include "storage_sharing.hpp"

#define PRESENCE_STORAGE_CONTRACT(...)                             \
  TEST_CASE_TEMPLATE_INVOKE(publications_come_back, __VA_ARGS__);  \
  TEST_CASE_TEMPLATE_INVOKE(subscriptions_come_back, __VA_ARGS__); \
  TEST_CASE_TEMPLATE_INVOKE(watchers_come_back, __VA_ARGS__);      \
  TEST_CASE_TEMPLATE_INVOKE(addresses_differ, __VA_ARGS__);        \
  TEST_CASE_TEMPLATE_INVOKE(wide_values, __VA_ARGS__);             \
  TEST_CASE_TEMPLATE_INVOKE(publications_change, __VA_ARGS__);     \
  TEST_CASE_TEMPLATE_INVOKE(subscriptions_change, __VA_ARGS__);    \
  TEST_CASE_TEMPLATE_INVOKE(watchers_change, __VA_ARGS__);         \
  TEST_CASE_TEMPLATE_INVOKE(dialogs_shared, __VA_ARGS__);          \
  TEST_CASE_TEMPLATE_INVOKE(dialogs_reserve, __VA_ARGS__);         \
  TEST_CASE_TEMPLATE_INVOKE(changes_in_order, __VA_ARGS__);        \
  TEST_CASE_TEMPLATE_INVOKE(changes_atomic, __VA_ARGS__);          \
  TEST_CASE_TEMPLATE_INVOKE(long_changes, __VA_ARGS__);            \
  TEST_CASE_TEMPLATE_INVOKE(pages, __VA_ARGS__);                   \
  TEST_CASE_TEMPLATE_INVOKE(pages_while_writing, __VA_ARGS__);     \
  TEST_CASE_TEMPLATE_INVOKE(filters, __VA_ARGS__);                 \
  TEST_CASE_TEMPLATE_INVOKE(sweeps, __VA_ARGS__);                  \
  TEST_CASE_TEMPLATE_INVOKE(call_ids, __VA_ARGS__);                \
  TEST_CASE_TEMPLATE_INVOKE(due_states, __VA_ARGS__);              \
  TEST_CASE_TEMPLATE_INVOKE(owners, __VA_ARGS__);                  \
  TEST_CASE_TEMPLATE_INVOKE(stamps, __VA_ARGS__);                  \
  TEST_CASE_TEMPLATE_INVOKE(turns, __VA_ARGS__)

namespace storage_contract {

// --- what a change does -------------------------------------------------------------------------------

TEST_CASE_TEMPLATE_DEFINE("storage: a publication changes only if its tag is the expected one", Host,
                          publications_change) {
  Host host;
  storage& rows = host.rows();
  publication_row first = publication("sip:alice@example.com", "a1", 1);
  const publication_row second = publication("sip:alice@example.com", "b1", 2);
  apply(rows, {.new_publications = {first, second}});
  refuse(rows, {.new_publications = {first}});

  publication_row next = first;
  next.etag = "a2";
  next.content = body{"text/plain", "not looked at"};
  next.expires += seconds{60};
  next.since += seconds{1};
  next.sender = "sip:other@example.com";
  refuse(rows, {.changed_publications = {{.old_etag = "a0", .row = next}}});
  publication_row elsewhere = next;
  elsewhere.resource = "sip:bob@example.com";
  refuse(rows, {.changed_publications = {{.old_etag = "a1", .row = elsewhere}}});
  elsewhere = next;
  elsewhere.event = "dialog";
  refuse(rows, {.changed_publications = {{.old_etag = "a1", .row = elsewhere}}});
  publication_row taken = next;
  taken.etag = "b1";
  refuse(rows, {.changed_publications = {{.old_etag = "a1", .row = taken}}});
  refuse(rows, {.changed_publications = {{.old_etag = "a1", .content_changed = true, .row = taken}}});

  // A refresh: all but the content is as the row says.
  apply(rows, {.changed_publications = {{.old_etag = "a1", .content_changed = false, .row = next}}});
  publication_row expected = next;
  expected.content = first.content;
  CHECK(read_all(rows).publications == std::vector{expected, second});
  refuse(rows, {.changed_publications = {{.old_etag = "a1", .row = next}}});

  // A modification, here under the same tag (some packages keep it).
  apply(rows, {.changed_publications = {{.old_etag = "a2", .content_changed = true, .row = next}}});
  CHECK(read_all(rows).publications == std::vector{next, second});

  apply(rows, {.ended_publications = {key(first)}});  // it is called a2 now
  CHECK(read_all(rows).publications == std::vector{next, second});
  apply(rows, {.ended_publications = {key(next)}});
  CHECK(read_all(rows).publications == std::vector{second});
}

TEST_CASE_TEMPLATE_DEFINE("storage: a subscription is replaced whole, or only its numbers", Host,
                          subscriptions_change) {
  Host host;
  storage& rows = host.rows();
  const subscription_row first = subscription("call-1");
  const subscription_row second = subscription("call-2");
  apply(rows, {.new_subscriptions = {first, second}});
  refuse(rows, {.new_subscriptions = {second}});
  refuse(rows, {.changed_subscriptions = {subscription("call-3")}});
  refuse(rows, {.reservations = {{.key = key_of(subscription("call-3")), .local_cseq = 7, .version = 7}}});

  dialog_fields fields = usual_dialog("call-1");
  fields.remote_target = "sip:bob@198.51.100.1";
  fields.route_set = "";
  fields.cookie = "another";
  fields.watcher = "tel:+15551234";
  fields.user_agent = "";
  fields.headers = "X: y\r\n";
  fields.display_name = "Bob";
  fields.owner = "edge-1";
  fields.also = "tel:+15551234 sip:bob@example.org";
  fields.secure = true;
  fields.proven = true;
  subscription_row next = first;
  next.dialog = dialog{fields};
  next.resource = "sip:other@example.com";
  next.state = subscription_state::pending;
  next.polite_block = true;
  next.approved = true;
  next.other_usages = true;
  next.nth = 5;
  next.local_cseq = 128;
  next.remote_cseq = 9;
  next.version = 65;
  next.since += seconds{1};
  next.expires += seconds{1};
  apply(rows, {.changed_subscriptions = {next}});
  CHECK(read_all(rows).subscriptions == std::vector{next, second});

  apply(rows, {.reservations = {{.key = key_of(next), .local_cseq = 192, .version = 66}}});
  next.local_cseq = 192;
  next.version = 66;
  CHECK(read_all(rows).subscriptions == std::vector{next, second});

  apply(rows, {.ended_subscriptions = {key_of(next), key_of(next), key_of(subscription("call-3"))}});
  CHECK(read_all(rows).subscriptions == std::vector{second});
}

TEST_CASE_TEMPLATE_DEFINE("storage: a watcher's row is inserted or replaced", Host, watchers_change) {
  Host host;
  storage& rows = host.rows();
  watcher_row first = watcher("sip:alice@example.com", "sip:bob@example.com");
  const watcher_row second = watcher("sip:alice@example.com", "sip:carol@example.com");
  apply(rows, {.watchers = {first, second}});
  first.status = watcher_status::active;
  first.reason = "polite-block";
  first.since += milliseconds{1500};
  apply(rows, {.watchers = {first}});
  CHECK(read_all(rows).watchers == std::vector{first, second});
  apply(rows, {.ended_watchers = {key(first), key(watcher("sip:x@example.com", "sip:y@example.com"))}});
  CHECK(read_all(rows).watchers == std::vector{second});
}

TEST_CASE_TEMPLATE_DEFINE("storage: subscriptions that share a dialog are different rows", Host,
                          dialogs_shared) {
  Host host;
  storage& rows = host.rows();
  subscription_row with_id = subscription("call");
  with_id.event_id = "7";
  const std::vector<subscription_row> all{subscription("call"), with_id,
                                          subscription("call", "sip:alice@example.com", "dialog")};
  apply(rows, {.new_subscriptions = all});
  CHECK(read_all(rows).subscriptions == all);
  apply(rows, {.ended_subscriptions = {key_of(with_id)}});
  CHECK(read_all(rows).subscriptions == std::vector{all[0], all[2]});
}

TEST_CASE_TEMPLATE_DEFINE("storage: a number reserved in a whole dialog is in each of its rows, and none goes down (PROP-2, C01)", Host,
                          dialogs_reserve) {
  Host host;
  storage& rows = host.rows();
  change what;
  for (const std::string& call : {std::string{"a"}, std::string{"b"}, std::string{"c"}, std::string{"d"}, std::string(700, 'e')})
    for (const char* event : {"presence", "dialog"}) {
      what.new_subscriptions.push_back(subscription(call, "sip:alice@example.com", event));
      what.new_subscriptions.back().local_cseq = event[0] == 'p' ? 10 : 90;
    }
  dialog_fields other = usual_dialog("a");
  other.local_tag = "another";
  what.new_subscriptions.push_back(what.new_subscriptions[0]);
  what.new_subscriptions.back().dialog = dialog{other};
  apply(rows, what);
  auto expected = what.new_subscriptions;
  const auto dialog_of = [&](std::size_t nth) {
    subscription_key key = key_of(expected[nth]);
    key.event.clear();
    return key;
  };
  const auto reads = [&] { return read_all(rows).subscriptions; };
  apply(rows, {.reservations = {{dialog_of(0), 50, 0}}});
  expected[0].local_cseq = 50;
  CHECK(reads() == expected);
  change all;
  for (const std::size_t nth : {0u, 2u, 4u, 6u, 8u, 0u}) all.reservations.push_back({dialog_of(nth), 70, 0});
  all.reservations.push_back({key_of(expected[1]), 60, 7});  // and one is written itself, before
  all.reservations.push_back({{"nobody's", "x", "y", {}, {}}, 70, 0});
  apply(rows, all);
  for (const std::size_t nth : {0u, 1u, 2u, 4u, 6u, 8u}) expected[nth].local_cseq = 70;
  expected[1].version = 7;
  CHECK(reads() == expected);
  refuse(rows, {.reservations = {{dialog_of(0), 99, 0}, {key_of(subscription("z")), 99, 0}}});
  CHECK(reads() == expected);
}

TEST_CASE_TEMPLATE_DEFINE("storage: the operations of a change see each other, in member order", Host,
                          changes_in_order) {
  Host host;
  storage& rows = host.rows();
  const publication_row old = publication("sip:alice@example.com", "a", 1);
  const subscription_row call = subscription("call");
  const watcher_row bob = watcher("sip:alice@example.com", "sip:bob@example.com");
  apply(rows, {.new_publications = {old}, .new_subscriptions = {call}, .watchers = {bob}});

  const publication_row again = publication("sip:alice@example.com", "a", 2);
  publication_row b = again, c = again;
  b.etag = "b";
  c.etag = "c";
  c.content = body{"text/plain", "c"};
  subscription_row changed = call;
  changed.remote_cseq = 2;
  watcher_row terminated = bob;
  terminated.status = watcher_status::terminated;
  apply(rows, {.ended_publications = {key(old)},
               .new_publications = {again},
               .changed_publications = {{.old_etag = "a", .row = b},
                                        {.old_etag = "b", .content_changed = true, .row = c}},
               .ended_subscriptions = {key_of(call)},
               .new_subscriptions = {call},
               .changed_subscriptions = {changed},
               .reservations = {{.key = key_of(call), .local_cseq = 500, .version = 600}},
               .ended_watchers = {key(bob)},
               .watchers = {bob, terminated}});
  changed.local_cseq = 500;
  changed.version = 600;
  CHECK(read_all(rows) ==
        contents{.publications = {c}, .subscriptions = {changed}, .watchers = {terminated}});
  apply(rows, {});
  CHECK(read_all(rows) ==
        contents{.publications = {c}, .subscriptions = {changed}, .watchers = {terminated}});
}

TEST_CASE_TEMPLATE_DEFINE("storage: a conflict anywhere in a change leaves everything as it was", Host,
                          changes_atomic) {
  Host host;
  storage& rows = host.rows();
  change start;
  for (int i = 0; i < 5; ++i) {
    const std::string n = std::to_string(i);
    start.new_publications.push_back(
        publication("sip:alice@example.com", "p" + n, static_cast<unsigned>(i + 1)));
    start.new_subscriptions.push_back(subscription("s" + n));
    start.watchers.push_back(watcher("sip:alice@example.com", "sip:w" + n + "@example.com"));
  }
  apply(rows, start);

  // A change of everything that would succeed; each obstacle alone must stop all of it.
  change good;
  good.ended_publications = {key(start.new_publications[0])};
  good.new_publications = {publication("sip:alice@example.com", "new", 10)};
  good.changed_publications = {
      {.old_etag = "p1", .content_changed = true, .row = publication("sip:alice@example.com", "p1b", 2)},
      {.old_etag = "p2", .row = publication("sip:alice@example.com", "p2", 3)}};
  good.ended_subscriptions = {key_of(start.new_subscriptions[0])};
  good.new_subscriptions = {subscription("new")};
  good.changed_subscriptions = {subscription("s1", "sip:changed@example.com")};
  good.reservations = {{.key = key_of(start.new_subscriptions[2]), .local_cseq = 1000, .version = 1000}};
  good.ended_watchers = {key(start.watchers[0])};
  good.watchers = {watcher("sip:alice@example.com", "sip:new@example.com")};

  std::array<change, 7> bad;
  bad.fill(good);
  bad[0].new_publications.push_back(start.new_publications[4]);
  bad[1].changed_publications.push_back(
      {.old_etag = "p0", .row = publication("sip:alice@example.com", "z", 1)});
  bad[2].changed_publications.push_back(
      {.old_etag = "p3", .row = publication("sip:alice@example.com", "p4", 4)});
  bad[3].new_subscriptions.push_back(start.new_subscriptions[4]);
  bad[4].changed_subscriptions.push_back(start.new_subscriptions[0]);
  bad[5].reservations.push_back({.key = key_of(start.new_subscriptions[0]), .local_cseq = 1, .version = 1});
  bad[6].new_publications.insert(bad[6].new_publications.begin(), start.new_publications[3]);
  for (const auto& what : bad) refuse(rows, what);

  apply(rows, good);
  const contents after = read_all(rows);
  CHECK(after.publications.size() == 5);
  CHECK(after.subscriptions.size() == 5);
  CHECK(after.watchers.size() == 5);
}

TEST_CASE_TEMPLATE_DEFINE(
    "storage: a change of many rows is one change, in its order, with the same conflicts", Host,
    long_changes) {
  Host host;
  storage& rows = host.rows();
  constexpr unsigned count = 40;
  change start;
  for (unsigned i = 0; i < count; ++i) {
    const std::string n = std::to_string(i);
    start.new_publications.push_back(publication("sip:p" + n + "@example.com", "a", i + 1));
    start.new_subscriptions.push_back(subscription(n));
    start.watchers.push_back(watcher("sip:alice@example.com", "sip:w" + n + "@example.com"));
  }
  apply(rows, start);
  contents expected{start.new_publications, start.new_subscriptions, start.watchers};
  CHECK(read_all(rows, {}, 100) == expected);

  change next;
  for (unsigned i = 0; i < count; ++i) {
    auto& p = expected.publications[i];
    p.etag = "b";
    p.since += seconds{1};
    if (i % 3 == 0) p.content = body{"text/plain", std::string("\0'\"\\{,}\n\xff", 9) + std::to_string(i)};
    next.changed_publications.push_back({.old_etag = "a", .content_changed = i % 3 == 0, .row = p});
    auto& s = expected.subscriptions[i];
    s.remote_cseq = i;
    next.changed_subscriptions.push_back(s);
    s.local_cseq = 1000 + i;
    next.reservations.push_back({.key = key_of(s), .local_cseq = s.local_cseq, .version = s.version});
    auto& w = expected.watchers[i];
    w.reason = "reason {\"\\" + std::to_string(i);
    next.watchers.push_back(w);
  }
  apply(rows, next);
  CHECK(read_all(rows, {}, 100) == expected);

  // One row among many that is not there, or that is.
  for (const unsigned at : {0U, 17U, count - 1}) {
    CAPTURE(at);
    for (int kind = 0; kind < 5; ++kind) {
      CAPTURE(kind);
      change bad;
      for (unsigned i = 0; i < count; ++i) {
        const std::string n = std::to_string(i);
        const bool wrong = i == at;
        if (kind == 0)
          bad.changed_publications.push_back(
              {.old_etag = wrong ? "x" : "b", .row = expected.publications[i]});
        if (kind == 1)
          bad.new_publications.push_back(wrong ? expected.publications[i]
                                               : publication("sip:q" + n, "a", 100 + i));
        if (kind == 2)
          bad.changed_subscriptions.push_back(wrong ? subscription("x") : expected.subscriptions[i]);
        if (kind == 3)
          bad.reservations.push_back(
              {.key = key_of(subscription(wrong ? "x" : n)), .local_cseq = 1, .version = 1});
        if (kind == 4) bad.new_subscriptions.push_back(subscription(wrong ? n : "new" + n));
      }
      refuse(rows, bad);
    }
  }

  // Rows that meet again in the same list: later ones see what earlier ones did.
  change chain;
  publication_row p = expected.publications[0];
  for (const char* tag : {"c", "d", "b", "e"}) {
    chain.changed_publications.push_back({.old_etag = p.etag, .content_changed = true, .row = p});
    chain.changed_publications.back().row.etag = p.etag = tag;
    chain.changed_publications.back().row.content = p.content = body{"text/plain", tag};
  }
  expected.publications[0] = p;
  for (const std::uint32_t number : {7U, 9U, 8U}) {
    expected.subscriptions[5].remote_cseq = expected.subscriptions[5].local_cseq = number;
    chain.changed_subscriptions.push_back(expected.subscriptions[5]);
    chain.reservations.push_back(
        {.key = key_of(expected.subscriptions[5]), .local_cseq = number, .version = 1});
    expected.watchers[5].reason = std::to_string(number);
    chain.watchers.push_back(expected.watchers[5]);
  }
  apply(rows, chain);
  CHECK(read_all(rows, {}, 100) == expected);
  refuse(rows, {.changed_publications = {{.old_etag = "e", .row = p}, {.old_etag = "b", .row = p}}});

  change end;
  for (const auto& row : expected.publications) end.ended_publications.push_back(key(row));
  for (const auto& row : expected.subscriptions) end.ended_subscriptions.push_back(key_of(row));
  for (const auto& row : expected.watchers) end.ended_watchers.push_back(key(row));
  end.ended_publications.push_back(end.ended_publications[3]);
  end.ended_subscriptions.push_back(key_of(subscription("never")));
  apply(rows, end);
  CHECK(read_all(rows) == contents{});
}

// --- reading ----------------------------------------------------------------------------------------

TEST_CASE_TEMPLATE_DEFINE("storage: pages of any size give each row once, in order of insertion", Host,
                          pages) {
  Host host;
  storage& rows = host.rows();
  CHECK(read_all(rows) == contents{});
  change what;
  for (unsigned i = 0; i < 12; ++i) {
    const std::string n = std::to_string(97 * i % 12);
    what.new_publications.push_back(publication("sip:p" + n + "@example.com", "tag", i + 1));
    what.new_subscriptions.push_back(subscription("call-" + n));
    what.watchers.push_back(watcher("sip:alice@example.com", "sip:w" + n + "@example.com"));
  }
  apply(rows, what);
  for (const std::size_t limit : {1U, 2U, 3U, 4U, 5U, 11U, 12U, 13U, 1000U}) {
    CAPTURE(limit);
    CHECK(read_all(rows, {}, limit) ==
          contents{what.new_publications, what.new_subscriptions, what.watchers});
  }
  std::vector<publication_row> out{what.new_publications[3]};
  cursor at;
  REQUIRE(rows.publications({}, at, 2, out));
  CHECK_FALSE(at.done);
  CHECK(out == std::vector{what.new_publications[3], what.new_publications[0], what.new_publications[1]});
  at.done = true;
  REQUIRE(rows.publications({}, at, 2, out));
  CHECK(out.size() == 3);
}

TEST_CASE_TEMPLATE_DEFINE("storage: writing between two pages shows no row twice", Host,
                          pages_while_writing) {
  Host host;
  storage& rows = host.rows();
  change what;
  for (unsigned i = 0; i < 6; ++i) {
    what.new_publications.push_back(publication("sip:alice@example.com", "tag" + std::to_string(i), i + 1));
  }
  apply(rows, what);
  std::vector<publication_row> out;
  cursor at;
  REQUIRE(rows.publications({}, at, 3, out));
  publication_row seen = what.new_publications[1], unseen = what.new_publications[4];
  seen.etag = "seen";
  unseen.etag = "unseen";
  apply(rows,
        {.ended_publications = {key(what.new_publications[0]), key(what.new_publications[3])},
         .changed_publications = {{.old_etag = "tag1", .row = seen}, {.old_etag = "tag4", .row = unseen}}});
  while (!at.done) REQUIRE(rows.publications({}, at, 3, out));
  REQUIRE(out.size() == 5);
  CHECK(out[3] == unseen);
  CHECK(out[4] == what.new_publications[5]);
}

TEST_CASE_TEMPLATE_DEFINE("storage: a filter by event, resource or both gives exactly those rows", Host,
                          filters) {
  Host host;
  storage& rows = host.rows();
  change what;
  for (const char* resource : {"sip:alice@example.com", "sip:alice@example.com:5070", "tel:+1555"}) {
    for (const char* event : {"presence", "dialog;sla", "presence.winfo"}) {
      for (int i = 0; i < 4; ++i) {
        const std::string n = std::to_string(i);
        what.new_publications.push_back(
            publication(resource, "t" + n, what.new_publications.size() + 1, event));
        what.new_subscriptions.push_back(subscription("c" + n + resource, resource, event));
        what.watchers.push_back(watcher(resource, "sip:w" + n + "@example.com", event));
      }
    }
  }
  apply(rows, what);
  const auto only = [&](std::string_view event, std::string_view resource) {
    const auto wanted = [&](const auto& all) {
      auto some = all;
      std::erase_if(some, [&](const auto& row) {
        return (!event.empty() && row.event != event) || (!resource.empty() && row.resource != resource);
      });
      return some;
    };
    return contents{wanted(what.new_publications), wanted(what.new_subscriptions), wanted(what.watchers)};
  };
  for (const char* event : {"", "presence", "dialog;sla", "dialog", "Presence"}) {
    for (const char* resource :
         {"", "sip:alice@example.com", "sip:alice@example.com:5070", "tel:+1555", "sip:x@y"}) {
      for (const std::size_t limit : {1U, 4U, 100U}) {
        CAPTURE(event);
        CAPTURE(resource);
        CHECK(read_all(rows, {.event = event, .resource = resource}, limit) == only(event, resource));
      }
    }
  }
}

TEST_CASE_TEMPLATE_DEFINE("storage: a sweep deletes lapsed rows of unknown events and terminated ones, and no others", Host,
                          sweeps) {
  Host host;
  storage& rows = host.rows();
  change what;
  const std::array<std::string, 4> events{"presence", "old", "dialog;sla", "it's"};
  const std::array<milliseconds, 5> ages{milliseconds{-1}, milliseconds{0}, milliseconds{1},
                                         milliseconds{2000}, milliseconds{86400000L * 365 * 300}};
  for (std::size_t i = 0; i < events.size() * ages.size(); ++i) {
    const std::string n = std::to_string(i);
    what.new_publications.push_back(publication("sip:alice@example.com", n, i + 1, events[i % 4]));
    what.new_subscriptions.push_back(subscription(n, "sip:alice@example.com", events[i % 4]));
    what.new_publications.back().expires = what.new_subscriptions.back().expires = noon + ages[i / 4];
  }
  for (const milliseconds age : ages) {  // what another server has terminated goes whatever its event is
    what.new_subscriptions.push_back(subscription("over" + std::to_string(age.count())));
    what.new_subscriptions.back().expires = noon + age;
    what.new_subscriptions.back().state = subscription_state::terminated;
  }
  what.watchers = {watcher("sip:alice@example.com", "sip:bob@example.com", "old")};
  apply(rows, what);
  const auto sweep = [&](instant before, const std::vector<std::string>& known) {
    const auto stays = [&](const auto& row) {
      return row.expires >= before || std::find(known.begin(), known.end(), row.event) != known.end();
    };
    std::erase_if(what.new_publications, [&](const auto& row) { return !stays(row); });
    std::erase_if(what.new_subscriptions, [&](const auto& row) {
      return !stays(row) || (row.expires < before && row.state == subscription_state::terminated);
    });
    const contents all = read_all(rows);
    const std::size_t count = all.publications.size() + all.subscriptions.size() -
                              what.new_publications.size() - what.new_subscriptions.size();
    const auto swept = rows.sweep(before, known);
    REQUIRE(swept);
    CHECK(*swept == count);
    CHECK(read_all(rows) == contents{what.new_publications, what.new_subscriptions, what.watchers});
    return count;
  };
  CHECK(sweep(noon - seconds{1}, {}) == 0);
  CHECK(sweep(noon, {"presence", "old"}) == 5);
  CHECK(sweep(noon, {}) == 4);
  CHECK(sweep(noon + milliseconds{1}, {"presence", "dialog;sla", "it's"}) == 3);
  CHECK(sweep(noon + milliseconds{2}, {"presence"}) == 11);
  CHECK(sweep(noon + seconds{3600}, {"presence"}) == 7);
  CHECK(sweep(noon + seconds{86400L * 365 * 301}, {"presence"}) == 7);
  CHECK(sweep(noon + seconds{86400L * 365 * 301}, {}) > 0);
  CHECK(read_all(rows).publications.empty());
}

}  // namespace storage_contract
