// Event packages as plugs: registration, lookup, hooks (features L04-L06, L11, P05, P06, P30, S22).
#include "scenario.hpp"

#include <stdexcept>

#include <presence/memory_storage.hpp>

using namespace presence;
using namespace presence::test;

namespace {

publish_step text(const char* bytes, const char* event, const char* tag = "") {
  return {.raw = bytes, .type = "a/b", .if_match = tag, .event = event};
}

}  // namespace

TEST_CASE("packages are found by name and by Event value, and listed as they were registered (L06, SEED-15, GRM-26)") {
  engine e{options{}};
  CHECK(e.get_event_list() == "");
  for (const char* name : {"presence", "dialog;sla", "dialog", "conference"}) REQUIRE(e.add_event(opaque_package(name), start));
  CHECK(e.get_event_list() == "presence, dialog;sla, dialog, conference");
  const auto found = [&](const char* value) {
    const event_package* p = e.contains_event(value);
    return p != nullptr ? p->name : "";
  };
  CHECK(found("presence") == "presence");
  CHECK(found("presence;id=4;x=y") == "presence");
  CHECK(found("dialog") == "dialog");
  CHECK(found("dialog;id=1;sla") == "dialog;sla");  // parameters but id count (P05)
  CHECK(found("dialog;SLA") == "dialog;sla");       // names of parameters have no case (GRM-4)
  CHECK(found("dialog;sla=1") == "dialog;sla");
  CHECK(found("Presence") == "");
  CHECK(found("pres") == "");
  CHECK(found("") == "");
  CHECK(found("presence,dialog") == "");
  REQUIRE(e.search_event("dialog;sla") != nullptr);
  CHECK(e.search_event("dialog;sla")->name == "dialog;sla");
  CHECK(e.search_event("sla") == nullptr);
}

TEST_CASE("a package with parameters is not served by one without, nor the reverse (P05, BLA-1)") {
  scenario s{{.packages = {opaque_package("dialog;sla")}}};
  CHECK(s.publish("alice", text("x", "dialog")) == "489 Allow-Events=presence, message-summary, dialog;sla");
  CHECK(s.publish("alice", text("x", "dialog;sla")) == "200 e1 Expires=3600");
  scenario both{{.packages = {opaque_package("dialog"), opaque_package("dialog;sla")}}};
  both.subscribe("d1", {.expires = 600s, .event = "dialog"});
  both.subscribe("d2", {.expires = 600s, .event = "dialog;sla;id=5"});
  CHECK(both.publish("alice", text("x", "dialog;sla")) == "200 e1 Expires=3600 | N d2#2;id=5 active;expires=600 [x]");
  CHECK(both.publish("alice", text("y", "dialog")) == "200 e2 Expires=3600 | N d1#2 active;expires=600 [y]");
  CHECK(both.dialogs["d2"].notifies[0].dialog.event() == "dialog;sla;id=5");
}

TEST_CASE("any event type may be registered, and none meets another's state (P06, D2-12, V20)") {
  std::vector<event_package> all;
  const std::vector<std::string> names{"conference", "reg", "x.y.z", "!%*_+`'~-", "PRESENCE", "0", "a", "presence.winfo", "message-summary.x"};
  for (const auto& name : names) all.push_back(opaque_package(name));
  scenario s{{.packages = all}};
  for (std::size_t i = 0; i < names.size(); ++i) {
    CAPTURE(names[i]);
    CHECK(s.subscribe("d" + std::to_string(i), {.expires = 600s, .event = names[i]}).substr(0, 3) == "200");
  }
  for (std::size_t i = 0; i < names.size(); ++i) {
    CAPTURE(names[i]);
    CHECK(s.publish("alice", text(names[i].c_str(), names[i].c_str())) ==
          "200 e" + std::to_string(i + 1) + " Expires=3600 | N d" + std::to_string(i) + "#2 active;expires=600 [" + names[i] + "]");
  }
}

TEST_CASE("what is no package name, or taken, or has no media type is refused with a sentence (L04, GRM-2)") {
  engine e{options{}};
  for (const char* name : {"", " ", "a b", ".winfo", "presence.", "a..b", "a,b", "presence;id=1", "a;b;b", "a\r\nb", "a;b=\"\r\n\"", "\x01", "a/b"}) {
    CAPTURE(name);
    const auto added = e.add_event(opaque_package(name), start);
    REQUIRE_FALSE(added);
    CHECK(added.error().size() > 10);
  }
  REQUIRE(e.add_event(opaque_package("a"), start));
  CHECK_FALSE(e.add_event(opaque_package("a"), start));
  CHECK_FALSE(e.add_event(opaque_package("b", {"text"}), start));
  CHECK_FALSE(e.add_event(opaque_package("b", {"a/b", "*/*"}), start));
  CHECK(e.get_event_list() == "a");
  CHECK(e.add_event(opaque_package("b", {"a/b"}), start));
}

TEST_CASE("a package may come after its documents and watchers (L05)") {
  memory_storage rows;
  const auto made = [&] {
    auto e = std::make_unique<engine>(options{}, host_hooks{}, &rows);
    REQUIRE(e->add_event(presence_package(), start));
    return e;
  };
  auto e = made();
  REQUIRE(e->add_event(opaque_package("late"), start));
  const std::string etag = e->publish({.resource = "sip:alice@example.com", .event = "late", .content = {.type = "a/b", .bytes = "x"}}, start).answer.etag;
  e->subscribe({.resource = "sip:alice@example.com", .event = "late", .call_id = "c", .from_tag = "f", .from_uri = "sip:bob@example.com",
                .contact = "sip:bob@host", .cseq = 1}, start);
  e = made();
  const publish_request modify{.resource = "sip:alice@example.com", .event = "late", .sip_if_match = etag, .content = {.type = "a/b", .bytes = "y"}};
  CHECK(e->publish(modify, start).answer.status == 489);
  CHECK(e->stats().publications == 0);
  REQUIRE(e->add_event(opaque_package("late"), start));
  const effects out = e->publish(modify, start);
  CHECK(out.answer.status == 200);
  REQUIRE(out.notifies.size() == 1);
  CHECK(out.notifies[0].content.bytes() == "y");
}

TEST_CASE("what lapsed while its package was away is told when it comes (L05, T12)"
          * not_in("write_back", "rows are written later")) {
  memory_storage rows;
  scenario s{{.rows = &rows}};
  s.publish("alice", {.body = "t1:open", .expires = 60s});
  s.subscribe("d1", {.expires = 600s});
  s.subscribe("d2", {.by = "carol", .expires = 60s});
  s.engine.reset();
  s.at += 100s;
  s.restart();
  CHECK(s.wait(0s) == "N d1#2 active;expires=500 P() | N d2#2 terminated;reason=timeout");
}

TEST_CASE("a package's bounds are its own (L04, P24)") {
  event_package p = opaque_package("own");
  p.default_expires = 100s;
  p.min_expires = 5s;
  p.max_expires = 200s;
  p.subscribable = true;
  scenario s{{.packages = {p}}};
  CHECK(s.subscribe("d1", {.event = "own"}) == "200 Expires=100 | N d1#1 active;expires=100");
  CHECK(s.subscribe("d2", {.expires = 4s, .event = "own"}) == "423 Min-Expires=5");
  CHECK(s.subscribe("d3", {.expires = 900s, .event = "own"}) == "200 Expires=200 | N d3#1 active;expires=200");
}

TEST_CASE("a package serves only the methods it says (L04, SEED-14)") {
  event_package silent = opaque_package("silent"), deaf = opaque_package("deaf");
  silent.publishable = false;
  deaf.subscribable = false;
  scenario s{{.packages = {silent, deaf}}};
  CHECK(s.publish("alice", text("x", "silent")).substr(0, 3) == "489");
  CHECK(s.publish("alice", text("x", "deaf")) == "200 e1 Expires=3600");
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "silent"}).substr(0, 3) == "200");
  CHECK(s.subscribe("d2", {.expires = 600s, .event = "deaf"}).substr(0, 3) == "489");
}

// --- hooks -------------------------------------------------------------------------------------------

TEST_CASE("a package refuses documents and watchers with its own status and words (P30, S22, L15)") {
  event_package strict = opaque_package("strict");
  strict.check_publish = [](const offered_document& d) -> result<document, refusal> {
    if (d.content.bytes() == "bad") return unexpected{refusal{488, "Not This One"}};
    return document{};
  };
  strict.check_subscribe = [](const offered_subscription& o) -> result<void, refusal> {
    if (o.request.content.bytes == "bad") return unexpected{refusal{606, "Nor This"}};
    return {};
  };
  scenario s{{.packages = {strict}}};
  s.publish("alice", text("good", "strict"));
  CHECK(s.publish("alice", text("bad", "strict")) == "488");
  CHECK(s.publish("alice", text("bad", "strict", "e1")) == "488");
  CHECK(s.publish("alice", {.if_match = "e1", .event = "strict"}) == "200 e2 Expires=3600");
  CHECK(s.subscribe("d1", {.expires = 600s, .event = "strict", .body = "bad", .body_type = "a/b"}) == "606");
  CHECK(s.subscribe("d2", {.expires = 600s, .event = "strict", .body = "good", .body_type = "a/b"}) ==
        "200 Expires=600 | N d2#1 active;expires=600 [good]");
  const effects out = s.engine->publish({.resource = "sip:alice@example.com", .event = "strict", .content = {.type = "a/b", .bytes = "bad"}}, s.at);
  CHECK(out.answer == reply{.status = 488, .reason = "Not This One"});
}

TEST_CASE("a hook that throws anything is answered 500 and nothing is changed (L11)") {
  enum what { nothing, publish, subscribe, aggregate, neutral, tailor, serves, may_publish, count };
  static what broken;
  const auto maybe = [](what w) {
    if (broken != w) return;
    if (w % 2 == 0) throw 42;
    throw std::runtime_error{"broken"};
  };
  event_package p = opaque_package("fragile");
  p.check_publish = [=](const offered_document&) -> result<document, refusal> { return maybe(publish), document{}; };
  p.check_subscribe = [=](const offered_subscription&) -> result<void, refusal> { return maybe(subscribe), result<void, refusal>{}; };
  p.aggregate = [=](std::string_view, std::span<const published> all) {
    maybe(aggregate);
    std::string joined;
    for (const auto& one : all)
      if (!one.leaving) joined += one.content.bytes();
    return body{"a/b", joined};
  };
  p.neutral = [=](std::string_view) { return maybe(neutral), body{"a/b", "-"}; };
  p.tailor = [=](const body&, const watcher_view&) -> std::optional<body> { return maybe(tailor), std::nullopt; };
  host_hooks hooks;
  hooks.serves = [=](std::string_view) { return maybe(serves), true; };
  hooks.may_publish = [=](const identity&, std::string_view, std::string_view) { return maybe(may_publish), true; };
  hooks.log = [](log_level, std::string_view) { throw std::runtime_error{"even the log"}; };
  for (int w = publish; w < count; ++w) {
    CAPTURE(w);
    memory_storage rows;
    broken = nothing;
    scenario s{{.rows = &rows, .hooks = hooks, .packages = {p}}};
    s.publish("alice", text("a", "fragile"));
    s.subscribe("d1", {.expires = 600s, .event = "fragile"});
    const auto before = s.engine->publications({}).records;
    const auto watchers = s.engine->subscriptions({}).records;
    broken = static_cast<what>(w);
    int failures = 0;
    const auto try_it = [&](const std::string& told) {
      CHECK(told.find(" | ") == std::string::npos);
      failures += told == "500";
      s.audit();
    };
    const bool composes = w == aggregate || w == tailor;
    if (w == publish || w == may_publish || w == serves || composes) try_it(s.publish("alice", text("b", "fragile", "e1")));
    if (w == publish || w == may_publish || w == serves || composes) try_it(s.publish("alice", text("c", "fragile")));
    if (w == subscribe || w == serves || w == tailor) try_it(s.subscribe("d2", {.by = "carol", .expires = 600s, .event = "fragile"}));
    if (w == neutral) try_it(s.subscribe("d3", {.to = "nobody", .expires = 600s, .event = "fragile"}));
    if (w == subscribe || w == tailor) try_it(s.subscribe("d1", {.expires = 60s}));
    CHECK(failures >= 1);
    CHECK(s.engine->publications({}).records == before);
    CHECK(s.engine->subscriptions({}).records == watchers);
    broken = nothing;
    CHECK(s.publish("alice", text("z", "fragile", "e1")).find("N d1#2 active;expires=600 [z]") != std::string::npos);
  }
}

TEST_CASE("a random source that fails is answered 500 and nothing is changed (L11, HOST-7)") {
  struct dry : random_source {
    bool empty = false;
    seeded_random rest{7};
    void fill(std::span<std::uint8_t> bytes) override {
      if (empty) throw std::runtime_error{"no entropy"};
      rest.fill(bytes);
    }
  } source;
  engine e{options{}, {}, nullptr, &source};
  REQUIRE(e.add_event(opaque_package("x"), start));
  source.empty = true;
  CHECK(e.publish({.resource = "sip:alice@example.com", .event = "x", .content = {.type = "a/b", .bytes = "x"}}, start).answer.status == 500);
  CHECK(e.subscribe({.resource = "sip:alice@example.com", .event = "x", .call_id = "c", .from_tag = "f", .from_uri = "sip:bob@example.com",
                     .contact = "sip:bob@host", .cseq = 1}, start).answer.status == 500);
  CHECK(e.stats().resources == 0);
  CHECK_FALSE(e.check());
}

TEST_CASE("what check_publish made of a document is given to the aggregator and never made twice (L04)"
          * not_in("database_only", "nothing that was composed or parsed stays")) {
  struct length : parsed_document {
    explicit length(std::size_t v) : n{v} {}
    std::size_t n;
  };
  int parsed = 0;
  event_package p = opaque_package("parsed");
  p.check_publish = [&](const offered_document& d) -> result<document, refusal> {
    ++parsed;
    return document{std::make_shared<length>(d.content.bytes().size())};
  };
  p.aggregate = [](std::string_view, std::span<const published> all) {
    std::size_t sum = 0;
    for (const auto& one : all)
      if (const auto* l = dynamic_cast<const length*>(one.parsed); l != nullptr && !one.leaving) sum += l->n;
    return body{"a/b", std::to_string(sum)};
  };
  scenario s{{.packages = {p}}};
  s.subscribe("d1", {.expires = 600s, .event = "parsed"});
  s.publish("alice", text("four", "parsed"));
  CHECK(s.publish("alice", text("sixsix", "parsed")) == "200 e2 Expires=3600 | N d1#3 active;expires=600 [10]");
  CHECK(s.publish("alice", text("1", "parsed", "e1")) == "200 e3 Expires=3600 | N d1#4 active;expires=600 [7]");
  CHECK(parsed == 3);
}

TEST_CASE("two publications with one tuple id are two tuples, and ids stay (TV-34; PUB-10.4-2, CMP-2, CMP-3, CMP-10)") {
  scenario s;
  s.subscribe("d1", {.by = "carol", .expires = 3600s});
  const auto ids = [&] {
    std::vector<std::string> all;
    const std::string bytes{s.dialogs["d1"].notifies.back().content.bytes()};
    for (std::size_t at = 0; (at = bytes.find("<tuple id=\"", at)) != std::string::npos; ++at)
      all.push_back(bytes.substr(at + 11, bytes.find('"', at + 11) - at - 11));
    return all;
  };
  s.publish("alice", {.body = "t1:open"});
  CHECK(ids() == std::vector<std::string>{"t1"});
  s.publish("alice", {.body = "t1:closed"});
  REQUIRE(ids().size() == 2);
  CHECK(ids()[0] == "t1");
  const std::string x = ids()[1];
  CHECK(x != "t1");
  s.publish("alice", {.body = "t1:open", .if_match = "e2"});
  CHECK(ids() == std::vector<std::string>{"t1", x});
  s.publish("alice", {.if_match = "e1", .expires = 0s});
  CHECK(ids() == std::vector<std::string>{x});
  CHECK(s.publish("alice", {.if_match = "e3", .expires = 0s}).find("P()") != std::string::npos);
}

TEST_CASE("a hook that throws while state is read again loses nothing (L11, G01)") {
  memory_storage rows;
  bool broken = false;
  event_package fragile = opaque_package("fragile");
  fragile.check_publish = [&](const offered_document&) -> result<document, refusal> {
    if (broken) throw std::runtime_error{"broken"};
    return document{};
  };
  scenario s{{.rows = &rows, .packages = {fragile}}};
  s.publish("alice", {.raw = "x", .type = "a/b", .event = "fragile"});
  broken = true;
  s.told(s.engine->refresh_watchers("sip:alice@example.com", "fragile", refresh_type::state, s.at));
  broken = false;
  CHECK(s.publish("alice", {.if_match = "e1", .event = "fragile"}) == "200 e2 Expires=3600");
}

TEST_CASE("a hook that refuses with no status of a refusal is answered 500 (L11, P30, S22)") {
  for (const int status : {-1, 0, 1, 99, 100, 199, 200, 299, 700, 1000000}) {
    CAPTURE(status);
    event_package odd = opaque_package("odd");
    odd.check_publish = [=](const offered_document&) -> result<document, refusal> { return unexpected{refusal{status, "x"}}; };
    odd.check_subscribe = [=](const offered_subscription&) -> result<void, refusal> { return unexpected{refusal{status, "x"}}; };
    scenario s{{.packages = {odd}}};
    CHECK(s.publish("alice", {.raw = "x", .type = "a/b", .event = "odd"}) == "500");
    CHECK(s.subscribe("d1", {.expires = 600s, .event = "odd"}) == "500");
  }
}

TEST_CASE("what a hook throws reaches the log without control characters (G12)") {
  std::string logged;
  host_hooks hooks;
  hooks.log = [&](log_level, std::string_view line) { logged += line; };
  event_package fragile = opaque_package("fragile");
  fragile.aggregate = [](std::string_view, std::span<const published>) -> body { throw std::runtime_error{"a\r\nb\x01"}; };
  scenario s{{.hooks = hooks, .packages = {fragile}}};
  s.subscribe("d1", {.expires = 600s, .event = "fragile"});
  CHECK(s.publish("alice", {.raw = "x", .type = "a/b", .event = "fragile"}) == "500");
  CHECK_FALSE(logged.empty());
  for (const char c : logged) CHECK(static_cast<unsigned char>(c) >= 0x20);
}

TEST_CASE("a package name with quotes or blanks names what it says (P05, P06)") {
  for (const char* name : {"x;a=\"b\"", "x; a=b", "x ;a = b"}) {
    CAPTURE(name);
    engine e{options{}};
    if (!e.add_event(opaque_package(name), start)) continue;  // refusing it is fine as well
    CHECK(e.contains_event("x;a=b") != nullptr);
    CHECK(e.contains_event(name) != nullptr);
  }
}
