// What must never get through: every malformed, oversized or contradictory value object gets one
// reply with the right status and changes nothing (conformance sections 1 and 19; SEED-20).
#include "scenario.hpp"

#include <presence/grammar.hpp>
#include <presence/memory_storage.hpp>

#include "storage_rows.hpp"

using namespace presence;
using namespace presence::test;

namespace {

/// Everything a peer could have changed.
struct picture {
  std::vector<publication_row> publications;
  std::vector<subscription_row> subscriptions;
  std::size_t resources, undecided;
  std::uint64_t notifies;
  std::optional<instant> deadline;
  bool operator==(const picture&) const = default;
};

picture of(const engine& e) {
  const engine_stats stats = e.stats();
  return {e.publications({}, 0, 100000).records, e.subscriptions({}, 0, 100000).records,
          stats.resources, stats.undecided, stats.notifies, e.next_deadline()};
}

bool clean(std::string_view text) { return text.find_first_of("\r\n") == text.npos; }

/// No descriptor carries a line end, whatever was sent to us (SEC-XML-5).
void check_clean(const effects& out) {
  const reply& r = out.answer;
  for (const std::string_view text : {r.reason, std::string_view{r.etag}, std::string_view{r.allow_events},
                                      std::string_view{r.allow}, std::string_view{r.accept}, std::string_view{r.accept_encoding},
                                      std::string_view{r.unsupported}, std::string_view{r.require}})
    REQUIRE(clean(text));
  const auto check = [](const dialog& d) {
    for (const std::string_view text : {d.call_id(), d.local_tag(), d.remote_tag(), d.local_uri(), d.remote_uri(),
                                        d.remote_target(), d.route_set(), d.local_contact(), d.event(), d.watcher(),
                                        d.cookie(), d.user_agent()})
      REQUIRE(clean(text));
  };
  check(r.dialog);
  for (const notify& n : out.notifies) {
    check(n.dialog);
    REQUIRE(clean(n.content.content_type()));
    REQUIRE(clean(n.subscription_state_value()));
  }
}

const std::string document = pidf("t1:open");

publish_request good_publish() {
  return {.resource = "sip:alice@example.com", .event = "presence", .expires = seconds{600},
          .content = {.type = "application/pidf+xml", .bytes = document},
          .who = {.uri = "sip:alice@example.com", .method = "digest"}};
}

subscribe_request good_subscribe() {
  return {.resource = "sip:alice@example.com", .event = "presence", .expires = seconds{600}, .call_id = "new@host",
          .from_tag = "tag", .from_uri = "sip:bob@example.com", .to_uri = "sip:alice@example.com",
          .contact = "sip:bob@host.example.com", .record_route = "<sip:p1.example.com;lr>", .cseq = 1,
          .accept = "application/pidf+xml", .who = {.uri = "sip:bob@example.com", .method = "digest"},
          .local_contact = "sip:server.example.com", .user_agent = "phone", .cookie = "flow"};
}

options_request good_options() { return {.resource = "sip:alice@example.com", .who = {.uri = "sip:bob@example.com"}}; }

template <class Request>
struct member {
  const char* name;
  void (*put)(Request&, std::string_view);
  std::size_t limit;          ///< bytes it may have
  int too_long = 400;
  bool checked = true;        ///< what the engine never reads may be anything
};

const limits most{};

const member<publish_request> publish_members[] = {
    {"resource", [](publish_request& r, std::string_view v) { r.resource = v; }, most.uri_bytes, 414},
    {"event", [](publish_request& r, std::string_view v) { r.event = v; }, most.token_bytes},
    {"sip_if_match", [](publish_request& r, std::string_view v) { r.sip_if_match = v; }, most.token_bytes},
    {"content.type", [](publish_request& r, std::string_view v) { r.content.type = v; }, most.header_bytes},
    {"content.encoding", [](publish_request& r, std::string_view v) { r.content.encoding = v; }, most.token_bytes},
    {"require", [](publish_request& r, std::string_view v) { r.require = v; }, most.header_bytes},
    {"who.uri", [](publish_request& r, std::string_view v) { r.who.uri = v; }, most.uri_bytes},
    {"sender", [](publish_request& r, std::string_view v) { r.sender = v; }, most.uri_bytes},
};

const member<subscribe_request> subscribe_members[] = {
    {"resource", [](subscribe_request& r, std::string_view v) { r.resource = v; }, most.uri_bytes, 414},
    {"event", [](subscribe_request& r, std::string_view v) { r.event = v; }, most.token_bytes},
    {"call_id", [](subscribe_request& r, std::string_view v) { r.call_id = v; }, most.token_bytes},
    {"from_tag", [](subscribe_request& r, std::string_view v) { r.from_tag = v; }, most.token_bytes},
    {"to_tag", [](subscribe_request& r, std::string_view v) { r.to_tag = v; }, most.token_bytes},
    {"from_uri", [](subscribe_request& r, std::string_view v) { r.from_uri = v; }, most.uri_bytes},
    {"to_uri", [](subscribe_request& r, std::string_view v) { r.to_uri = v; }, most.uri_bytes},
    {"contact", [](subscribe_request& r, std::string_view v) { r.contact = v; }, most.uri_bytes},
    {"record_route", [](subscribe_request& r, std::string_view v) { r.record_route = v; }, most.header_bytes},
    {"accept", [](subscribe_request& r, std::string_view v) { r.accept = v; }, most.header_bytes},
    {"require", [](subscribe_request& r, std::string_view v) { r.require = v; }, most.header_bytes},
    {"supported", [](subscribe_request& r, std::string_view v) { r.supported = v; }, most.header_bytes},
    {"content.type", [](subscribe_request& r, std::string_view v) { r.content.type = v; }, most.header_bytes},
    {"content.encoding", [](subscribe_request& r, std::string_view v) { r.content.encoding = v; }, most.token_bytes},
    {"who.uri", [](subscribe_request& r, std::string_view v) { r.who.uri = v; }, most.uri_bytes},
    {"local_contact", [](subscribe_request& r, std::string_view v) { r.local_contact = v; }, most.uri_bytes},
    {"user_agent", [](subscribe_request& r, std::string_view v) { r.user_agent = v; }, most.header_bytes},
    {"cookie", [](subscribe_request& r, std::string_view v) { r.cookie = v; }, most.header_bytes},
};

const member<options_request> options_members[] = {
    {"resource", [](options_request& r, std::string_view v) { r.resource = v; }, most.uri_bytes, 414},
    {"require", [](options_request& r, std::string_view v) { r.require = v; }, most.header_bytes},
    {"who.uri", [](options_request& r, std::string_view v) { r.who.uri = v; }, most.uri_bytes},
};

effects serve(engine& e, const publish_request& r, instant now) { return e.publish(r, now); }
effects serve(engine& e, const subscribe_request& r, instant now) { return e.subscribe(r, now); }
effects serve(engine& e, const options_request& r, instant now) { return e.answer_options(r, now); }

/// A server with something to damage.
struct target {
  scenario s;
  target() : s{{.authorized = true}} {
    s.policy["carol"] = sub_handling::confirm;
    s.publish("alice", {.body = "t1:open"});
    s.subscribe("d1", {.expires = 600s});
    s.subscribe("d2", {.by = "carol", .expires = 600s});
    before = of(*s.engine);
  }
  /// A refusal: one reply, nothing else, nothing changed.
  template <class Request>
  int refused(const Request& r) {
    const effects out = serve(*s.engine, r, s.at);
    check_clean(out);
    CHECK(out.answer.status >= 300);
    CHECK(out.notifies.empty());
    CHECK(out.operation == publish_operation::none);
    CHECK_FALSE(out.state_changed);
    CHECK((of(*s.engine) == before));
    s.audit();
    return out.answer.status;
  }
  picture before;
};

template <class Request, std::size_t N>
void refuse_control_characters(const member<Request> (&members)[N], Request (*good)()) {
  target t;
  for (const auto& m : members) {
    CAPTURE(m.name);
    for (int c = 0; c < 0x80; ++c) {
      if (c == 0x20) c = 0x7f;
      CAPTURE(c);
      const std::string bad(1, static_cast<char>(c));
      for (const std::string& text : {bad, "sip:a@b" + bad, bad + "token", "tok" + bad + "en", "a\r\nInjected: x" + bad}) {
        Request r = good();
        m.put(r, text);
        REQUIRE(t.refused(r) == 400);
      }
    }
  }
}

template <class Request, std::size_t N>
void refuse_what_is_too_long(const member<Request> (&members)[N], Request (*good)()) {
  target t;
  for (const auto& m : members) {
    CAPTURE(m.name);
    for (const std::size_t size : {m.limit + 1, m.limit * 2, std::size_t{1000000}}) {
      for (const std::string& text : {std::string(size, 'a'), "sip:" + std::string(size, 'a') + "@example.com"}) {
        Request r = good();
        m.put(r, text);
        CHECK(t.refused(r) == m.too_long);
      }
    }
  }
}

const char* const garbage[] = {
    "@", ":", ";", ",", "<", ">", "<>", "\"", "'", "\\", "%", "%0d%0a", "sip:", "sip:@", "sip:a@", "sip:@b", "sip:a@b:99999999",
    "sip:a@[::1", "sip:a@]", "sip:%@b", "sip:a@b;", "sip:a b@c", "sip:a@b c", "<sip:a@b>", "\"x\" <sip:a@b>", "sip:a@b>", "tel:", "tel:abc",
    "http://x", "sip:a@b@c", "presence;", "presence;;", "presence;id", "presence;id=", "presence;id=\"", ";id=1", ".presence", "presence.",
    "a..b", "presence,presence", "text", "text/", "/plain", "*/plain", "a/b;q", "a/b;q=", "a/b;q=2", "a/b;c", "a/b;=c", "\xff\xfe", "\xc0\x80",
    "=", "a=b", "?", "[", "(comment)", "{}", "|", "~", "..", "-1", "1e9", "99999999999999999999"};

template <class Request, std::size_t N>
void survive_garbage(const member<Request> (&members)[N], Request (*good)()) {
  for (const auto& m : members) {
    CAPTURE(m.name);
    target t;
    for (const char* text : garbage) {
      CAPTURE(text);
      Request r = good();
      m.put(r, text);
      const effects out = serve(*t.s.engine, r, t.s.at);
      check_clean(out);
      CHECK(out.answer.status >= 200);
      CHECK(out.answer.status < 700);
      if (out.answer.status >= 300) {
        CHECK(out.notifies.empty());
      } else {
        t.before = of(*t.s.engine);
      }
      CHECK((of(*t.s.engine) == t.before));
      t.s.audit();
    }
  }
}

}  // namespace

// --- each member of each request ---------------------------------------------------------------------

TEST_CASE("control characters in any string of a PUBLISH are refused at the door (SEC-XML-5, GRM-1)") {
  refuse_control_characters(publish_members, good_publish);
}
TEST_CASE("control characters in any string of a SUBSCRIBE are refused at the door (SEC-XML-5, GRM-9, GRM-10)") {
  refuse_control_characters(subscribe_members, good_subscribe);
}
TEST_CASE("control characters in any string of an OPTIONS are refused at the door (SEC-XML-5)") {
  refuse_control_characters(options_members, good_options);
}
TEST_CASE("what is too long in a PUBLISH is refused by name (GRM-30)") { refuse_what_is_too_long(publish_members, good_publish); }
TEST_CASE("what is too long in a SUBSCRIBE is refused by name (GRM-30, RL7)") { refuse_what_is_too_long(subscribe_members, good_subscribe); }
TEST_CASE("what is too long in an OPTIONS is refused by name (GRM-30)") { refuse_what_is_too_long(options_members, good_options); }
TEST_CASE("garbage in any string of a PUBLISH gets one reply (P01, SEED-20)") { survive_garbage(publish_members, good_publish); }
TEST_CASE("garbage in any string of a SUBSCRIBE gets one reply (S01, SEED-20)") { survive_garbage(subscribe_members, good_subscribe); }
TEST_CASE("garbage in any string of an OPTIONS gets one reply (SEED-20)") { survive_garbage(options_members, good_options); }

TEST_CASE("a refresh is checked as strictly as a first request (S17)") {
  target t;
  const auto& d = t.s.dialogs["d1"];
  for (const auto& m : subscribe_members) {
    CAPTURE(m.name);
    subscribe_request r = good_subscribe();
    r.call_id = d.call_id;
    r.from_tag = d.from_tag;
    r.to_tag = d.to_tag;
    r.cseq = 100;
    m.put(r, "a\r\nb");
    if (std::string_view{m.name} == "resource") continue;  // not looked at inside a dialog
    CHECK(t.refused(r) == 400);
  }
}

TEST_CASE("a Request-URI that cannot be read is ignored inside a dialog, and never stored (D2-25)") {
  target t;
  const auto& d = t.s.dialogs["d1"];
  subscribe_request r = good_subscribe();
  r.call_id = d.call_id;
  r.from_tag = d.from_tag;
  r.to_tag = d.to_tag;
  r.cseq = 100;
  r.resource = "a\r\nb";
  const effects out = t.s.engine->subscribe(r, t.s.at);
  CHECK(out.answer.status == 200);
  check_clean(out);
}

// --- contradictions ----------------------------------------------------------------------------------

TEST_CASE("contradictory requests are refused and change nothing (GRM-5, GRM-17, PUB-6.3-2)") {
  struct row {
    const char* name;
    int status;
    void (*bend)(publish_request&);
  };
  const row rows[] = {
      {"two Events", 400, [](publish_request& r) { r.event = "presence, message-summary"; }},
      {"no Event", 489, [](publish_request& r) { r.event = ""; }},
      {"two tags", 400, [](publish_request& r) { r.sip_if_match = "a, b"; }},
      {"a tag of nothing and a short time", 412, [](publish_request& r) { r.sip_if_match = "a"; r.expires = 1s; }},
      {"a body without type", 400, [](publish_request& r) { r.content.type = ""; }},
      {"a type that is a range", 400, [](publish_request& r) { r.content.type = "*/*"; }},
      {"a length that is too small", 400, [](publish_request& r) { r.content.declared_length = 1; }},
      {"a length beyond everything", 400, [](publish_request& r) { r.content.declared_length = ~0ull; }},
      {"no body and a length", 400, [](publish_request& r) { r.content.bytes = ""; r.content.declared_length = 1; }},
      {"no body and no tag", 400, [](publish_request& r) { r.content.bytes = ""; }},
      {"a body of another package", 415, [](publish_request& r) { r.content.type = "application/simple-message-summary"; }},
      {"a coded body", 415, [](publish_request& r) { r.content.encoding = "deflate"; }},
      {"another's resource", 403, [](publish_request& r) { r.resource = "sip:bob@example.com"; }},
      {"a negative time", 400, [](publish_request& r) { r.expires = seconds{-1}; }},
      {"a time beyond 32 bits", 400, [](publish_request& r) { r.expires = seconds{4294967296}; }},
  };
  target t;
  for (const row& row : rows) {
    CAPTURE(row.name);
    publish_request r = good_publish();
    row.bend(r);
    CHECK(t.refused(r) == row.status);
  }
}

TEST_CASE("too many routes and too many parameters are refused (GRM-30)") {
  target t;
  std::string routes = "<sip:p.example.com;lr>";
  for (int i = 1; i < 32; ++i) routes += ", <sip:p" + std::to_string(i) + ".example.com;lr>";
  subscribe_request r = good_subscribe();
  r.record_route = routes;
  CHECK(t.s.engine->subscribe(r, t.s.at).answer.status == 200);
  t.before = of(*t.s.engine);
  const std::string more = routes + ", <sip:last.example.com;lr>";
  r.call_id = "other";
  r.record_route = more;
  CHECK(t.refused(r) == 400);
  std::string event = "presence";
  for (int i = 0; i < 40; ++i) event += ";a" + std::to_string(i);
  r = good_subscribe();
  r.call_id = "third";
  r.event = event;
  CHECK(t.refused(r) == 400);
}

// --- Expires -----------------------------------------------------------------------------------------

TEST_CASE("Expires as text is digits and nothing else, up to 32 bits (GRM-6, P28)") {
  struct row {
    const char* text;
    int publish, subscribe;
  };
  const row rows[] = {{"0", 200, 200}, {"00060", 200, 200}, {"60", 200, 200}, {"4294967295", 200, 200}, {"59", 423, 423},
                      {"1", 423, 423}, {"4294967296", 400, 400}, {"18446744073709551615", 400, 400},
                      {"18446744073709551616", 400, 400}, {"18446744073709551676", 400, 400}, {"99999999999999999999999999999999", 400, 400},
                      {"-1", 400, 400}, {"+1", 400, 400}, {"60s", 400, 400}, {"1.5", 400, 400}, {"0x10", 400, 400}, {"1e3", 400, 400},
                      {"", 400, 400}, {" ", 400, 400}, {" 60", 400, 400}, {"60 ", 400, 400}, {"6 0", 400, 400}, {"60,60", 400, 400},
                      {"60;x", 400, 400}, {"abc", 400, 400}, {"\xd9\xa1", 400, 400}};
  for (const row& row : rows) {
    CAPTURE(row.text);
    scenario s;
    publish_request p = good_publish();
    p.expires = row.text;
    CHECK(s.engine->publish(p, s.at).answer.status == row.publish);
    subscribe_request q = good_subscribe();
    q.expires = row.text;
    CHECK(s.engine->subscribe(q, s.at).answer.status == row.subscribe);
    s.audit();
  }
  const std::string_view nul{"60\0", 3};
  CHECK(expires_value{nul}.malformed());
}

TEST_CASE("Expires over the whole 32-bit range is refused, granted or clamped, and never exceeded (GRM-7, P28, PROP-4)") {
  std::vector<std::uint32_t> values;
  for (int bit = 0; bit < 32; ++bit)
    for (const int d : {-1, 0, 1}) values.push_back(static_cast<std::uint32_t>((std::int64_t{1} << bit) + d));
  for (const std::uint32_t v : {59u, 60u, 61u, 3599u, 3600u, 3601u, 4294967294u, 4294967295u}) values.push_back(v);
  seeded_random random{3};
  for (int i = 0; i < 500; ++i) {
    std::uint8_t b[4];
    random.fill(b);
    values.push_back(std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3]);
  }
  for (const seconds longest : {seconds{3600}, seconds{4294967295}}) {
    for (const std::uint32_t v : values) {
      CAPTURE(v);
      engine e{{.max_expires = longest}};
      REQUIRE(e.add_event(presence_package(), start));
      const std::uint32_t granted = v < longest.count() ? v : static_cast<std::uint32_t>(longest.count());
      publish_request p = good_publish();
      p.expires = seconds{v};
      const reply published = e.publish(p, start).answer;
      subscribe_request q = good_subscribe();
      q.expires = seconds{v};
      const effects subscribed = e.subscribe(q, start);
      if (v > 0 && v < 60) {
        CHECK(published.status == 423);
        CHECK(subscribed.answer.status == 423);
        continue;
      }
      CHECK(published.expires == granted);
      CHECK(subscribed.answer.expires == granted);
      CHECK(subscribed.notifies.at(0).expires == granted);
      CHECK_FALSE(e.check());
      if (v == 0) continue;
      CHECK(e.next_deadline() <= start + seconds{granted});
      CHECK(e.advance(start + seconds{granted} - 1ms).notifies.empty());
      effects end = e.advance(start + seconds{granted});
      for (int looks = 0; looks < 8 && end.notifies.empty(); ++looks) end = e.advance(start + seconds{granted});
      CHECK(end.notifies.size() == 1);
    }
  }
}

// --- documents ----------------------------------------------------------------------------------------

TEST_CASE("hostile documents are refused, not stored, and cost little (TV-38; SEC-XML-1 to -5, -8, SEC-BODY-1, GRM-21 to GRM-23, PUB-6.5-2)") {
  const std::string open = R"(<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com">)";
  const std::string tuple = "<tuple id=\"t1\"><status><basic>open</basic></status></tuple>";
  std::string laughs = "<!DOCTYPE l [<!ENTITY l0 \"ha\">";
  for (int i = 1; i < 30; ++i) laughs += "<!ENTITY l" + std::to_string(i) + " \"&l" + std::to_string(i - 1) + ";&l" + std::to_string(i - 1) + ";\">";
  laughs += "]>" + open + "<note>&l29;</note></presence>";
  std::string deep = open, many = open, wide = open + "<note xmlns:n=\"urn:n\"";
  for (int i = 0; i < 64; ++i) deep += "<x xmlns=\"urn:x\">";
  for (int i = 0; i < 64; ++i) deep += "</x>";
  deep += "</presence>";
  for (int i = 0; i < 10000; ++i) many += "<n/>";
  many += "</presence>";
  for (int i = 0; i < 65; ++i) wide += " n:a" + std::to_string(i) + "=\"\"";
  wide += ">x</note></presence>";
  struct row {
    const char* name;
    std::string bytes;
    int status;
  };
  const row rows[] = {
      {"nested entities", laughs, 400},
      {"external entity", "<!DOCTYPE x SYSTEM \"file:///etc/passwd\">" + open + "</presence>", 400},
      {"entity nobody declared", open + "<note>&x;</note></presence>", 400},
      {"DOCTYPE alone", "<!DOCTYPE x>" + open + "</presence>", 400},
      {"depth 65", deep, 400},
      {"10001 elements", many, 400},
      {"65 attributes", wide, 400},
      {"one byte over 64 KiB", open + std::string(65536 + 1 - open.size(), ' '), 413},
      {"long text", open + "<note>" + std::string(32769, 'x') + "</note></presence>", 400},
      {"two tuples of one id", open + tuple + tuple + "</presence>", 400},
      {"wrong namespace", "<presence xmlns=\"urn:x\" entity=\"sip:a@b\"/>", 400},
      {"no namespace", "<presence entity=\"sip:a@b\"/>", 400},
      {"no entity", "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"/>", 400},
      {"another root", "<x/>", 400},
      {"two roots", open + "</presence>" + open + "</presence>", 400},
      {"undeclared prefix", open + "<x:y/></presence>", 400},
      {"attribute twice", open + "<tuple id=\"t1\" id=\"t2\"><status/></tuple></presence>", 400},
      {"U+0001", open + "<note>\x01</note></presence>", 400},
      {"NUL", open + std::string{"<note>\0</note></presence>", 24}, 400},
      {"bad UTF-8", open + "<note>\xc3(</note></presence>", 400},
      {"overlong UTF-8", open + "<note>\xc0\xaf</note></presence>", 400},
      {"surrogate", open + "<note>\xed\xa0\x80</note></presence>", 400},
      {"numeric NUL", open + "<note>&#0;</note></presence>", 400},
      {"not closed", open + tuple, 400},
      {"closed wrongly", open + "<note></presence></note>", 400},
      {"no XML", "hello", 400},
      {"only a declaration", "<?xml version=\"1.0\"?>", 400},
      {"blank", " ", 400},
      {"leap day of no leap year", open + "<tuple id=\"t1\"><status/><timestamp>2023-02-29T00:00:00Z</timestamp></tuple></presence>", 400},
      {"id is no name", open + "<tuple id=\"1 2\"><status/></tuple></presence>", 400},
  };
  target t;
  for (const row& row : rows) {
    CAPTURE(row.name);
    publish_request r = good_publish();
    r.content.bytes = row.bytes;
    CHECK(t.refused(r) == row.status);
  }
}

TEST_CASE("every prefix of a document, and every document with one byte changed, gets one reply (PROP-11)") {
  scenario s;
  const std::string whole = pidf("t1:open,t2:closed");
  const auto try_it = [&](const std::string& bytes) {
    publish_request r = good_publish();
    r.content.bytes = bytes;
    const int status = s.engine->publish(r, s.at).answer.status;
    REQUIRE((status == 200 || status == 400 || status == 415 || status == 503));
  };
  for (std::size_t n = 0; n < whole.size(); ++n) try_it(whole.substr(0, n));
  for (std::size_t n = 0; n < whole.size(); ++n) {
    for (const char c : {'\0', '<', '>', '&', '"', '/', '\x80', '\xff'}) {
      std::string changed = whole;
      changed[n] = c;
      try_it(changed);
    }
  }
  s.audit();
}

// --- random requests ------------------------------------------------------------------------------------

namespace {

/// Random requests: mostly sound, often bent, sometimes noise.
class monkey {
 public:
  explicit monkey(std::uint64_t seed) : random_{seed} {}

  std::uint32_t number(std::uint32_t below) {
    std::uint8_t b[4];
    random_.fill(b);
    return (std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3]) % below;
  }
  bool once_in(std::uint32_t n) { return number(n) == 0; }

  std::string_view text(std::initializer_list<std::string_view> sound) {
    std::string made{*(sound.begin() + number(static_cast<std::uint32_t>(sound.size())))};
    if (once_in(20)) {
      made = std::string(number(40), ' ');
      std::uint8_t byte;
      for (char& c : made) random_.fill({&byte, 1}), c = static_cast<char>(byte);
    } else if (once_in(20)) {
      made = garbage[number(std::size(garbage))];
    } else if (once_in(20) && !made.empty()) {
      made[number(static_cast<std::uint32_t>(made.size()))] = static_cast<char>(number(256));
    } else if (once_in(40)) {
      made.append(number(10000), 'x');
    }
    return kept_.emplace_back(std::move(made));
  }

  std::string_view party() { return text({"sip:alice@example.com", "sip:bob@example.com", "sip:carol@example.com", "tel:+15551234"}); }
  std::string_view event() { return text({"presence", "presence", "presence;id=1", "presence;id=2", "message-summary", "odd;a=b", "none"}); }
  expires_value expires() {
    if (once_in(3)) return {};
    if (once_in(10)) return text({"0", "60", "4294967295", "x", ""});
    return seconds{once_in(4) ? 0 : number(700)};
  }
  content_view content() {
    if (once_in(3)) return {};
    if (once_in(4)) return {.type = text({"a/b"}), .bytes = text({"bytes"})};
    content_view c{.type = text({"application/pidf+xml"}), .bytes = text({pidf_a_, pidf_b_, pidf_c_})};
    if (once_in(30)) c.declared_length = number(2) != 0 ? c.bytes.size() : number(1000);
    if (once_in(30)) c.encoding = text({"gzip", "identity"});
    return c;
  }
  identity who(std::string_view usual) {
    if (once_in(10)) return {};
    if (once_in(10)) return {.uri = party(), .method = "digest", .also = {party()}};
    return {.uri = usual, .method = "digest"};
  }
  void forget() { kept_.clear(); }

 private:
  seeded_random random_;
  std::vector<std::string> kept_ = [] { std::vector<std::string> v; v.reserve(1000); return v; }();
  std::string pidf_a_ = pidf("t1:open"), pidf_b_ = pidf("t1:closed,t2:open"), pidf_c_ = pidf("");
};

void rampage(std::uint64_t seed, int rounds, storage* rows) {
  CAPTURE(seed);
  options settings;
  settings.limits.publications_per_resource = 4;
  settings.limits.subscriptions_per_watcher = 6;
  settings.limits.usages_per_dialog = 3;
  settings.limits.waiting_per_resource = 2;
  settings.waiting_limit = 500s;
  settings.cseq_block = 2;
  seeded_random randomness{seed};
  engine e{settings, {}, rows, &randomness};
  monkey m{seed + 1000};
  event_package package = presence_package();
  package.req_auth = true;
  package.authorize = [&](const authorization_query&) { return static_cast<sub_handling>(m.number(4)); };
  REQUIRE(e.add_event(std::move(package), start));
  REQUIRE(e.add_event(opaque_package("message-summary"), start));
  REQUIRE(e.add_event(opaque_package("odd;a=b"), start));

  instant now = start;
  std::vector<std::string> tags{"none"};
  std::vector<dialog> dialogs;
  std::vector<notify_id> open;
  for (int i = 0; i < rounds; ++i) {
    effects out;
    bool asked = true;
    switch (m.number(10)) {
      case 0: case 1: case 2: {
        const auto resource = m.party();
        out = e.publish({.resource = resource, .event = m.event(), .expires = m.expires(),
                         .sip_if_match = m.once_in(2) ? m.text({tags[m.number(static_cast<std::uint32_t>(tags.size()))]}) : "",
                         .content = m.content(), .require = m.once_in(30) ? m.text({"gruu", "x"}) : "",
                         .who = m.who(resource), .sender = m.once_in(10) ? m.party() : ""}, now);
        break;
      }
      case 3: case 4: case 5: case 6: {
        const auto by = m.party();
        subscribe_request r{.resource = m.party(), .event = m.event(), .expires = m.expires(),
                            .call_id = m.text({"c1", "c2", "c3@h"}), .from_tag = m.text({"f1", "f2"}), .from_uri = by,
                            .to_uri = m.once_in(3) ? "" : m.party(), .contact = m.text({"sip:x@host", "sip:y@host"}),
                            .record_route = m.once_in(10) ? m.text({"<sip:p;lr>", "<sip:p;lr>, <sip:q;lr>"}) : "",
                            .cseq = m.number(200), .require = m.once_in(30) ? m.text({"gruu", "x"}) : "",
                            .content = m.once_in(20) ? m.content() : content_view{}, .who = m.who(by),
                            .secure = m.once_in(2), .user_agent = m.once_in(10) ? m.text({"ua"}) : "",
                            .cookie = m.once_in(10) ? m.text({"c"}) : ""};
        if (m.once_in(20)) r.cseq = m.once_in(2) ? std::optional<std::uint32_t>{} : 0x80000000u;
        if (m.once_in(10)) r.accept = m.text({"application/pidf+xml", "*/*", "a/b", ""});
        if (!dialogs.empty() && m.once_in(2)) {
          const dialog& d = dialogs[m.number(static_cast<std::uint32_t>(dialogs.size()))];
          r.call_id = d.call_id();
          r.from_tag = d.remote_tag();
          r.to_tag = d.local_tag();
          if (!m.once_in(8)) r.who.uri = d.watcher();
        }
        out = e.subscribe(r, now);
        break;
      }
      case 7:
        out = e.answer_options({.resource = m.party(), .require = m.once_in(5) ? m.text({"x"}) : "", .who = m.who("sip:bob@example.com")}, now);
        break;
      case 8:
        asked = false;
        if (m.once_in(3)) now += milliseconds{m.number(100000)};
        if (m.once_in(20)) now -= milliseconds{m.number(100000)};
        out = e.advance(now);
        break;
      case 9:
        asked = false;
        if (m.once_in(3)) {
          out = e.refresh_watchers(m.party(), "presence", m.once_in(2) ? refresh_type::state : refresh_type::authorization, now);
        } else if (!open.empty()) {
          const auto n = m.number(static_cast<std::uint32_t>(open.size()));
          const int status = m.once_in(2) ? 200 : static_cast<int>(m.number(700));
          out = e.report({.id = open[n], .status = status}, now);
          if (m.once_in(2)) open.erase(open.begin() + n);
        }
        break;
    }
    CAPTURE(i);
    if (asked) {
      REQUIRE(out.answer.status >= 200);
      REQUIRE(out.answer.status < 700);
      if (out.answer.status >= 300 && out.answer.status != 403) REQUIRE(out.notifies.empty());
    } else {
      REQUIRE((out.answer.status == 0 || out.answer.status == 404));
    }
    check_clean(out);
    if (!out.answer.etag.empty()) tags.push_back(out.answer.etag);
    if (tags.size() > 12) tags.erase(tags.begin());
    for (const notify& n : out.notifies) {
      open.push_back(n.id);
      dialogs.push_back(n.dialog);
    }
    if (open.size() > 30) open.erase(open.begin(), open.end() - 30);
    if (dialogs.size() > 20) dialogs.erase(dialogs.begin(), dialogs.end() - 20);
    const auto wrong = e.check();
    if (wrong) FAIL(*wrong);
    m.forget();
  }
  // and in the end nothing is left
  for (int looks = 0; looks < 1000 && e.next_deadline() && (rows == nullptr || e.stats().resources != 0); ++looks)
    e.advance(std::max(now, *e.next_deadline()));
  CHECK(e.stats().resources == 0);
  CHECK(e.stats().subscriptions == 0);
  CHECK_FALSE(e.check());
}

}  // namespace

TEST_CASE("thousands of random requests get one reply each and leave the engine sound (P01, S01, SEED-20, EVT-FSM-1)") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) rampage(seed, 3000, nullptr);
}

TEST_CASE("the same with rows behind the engine (P01, S01, T02, T03, T04, SEED-1)") {
  for (std::uint64_t seed = 11; seed <= 13; ++seed) {
    memory_storage rows;
    rampage(seed, 2000, &rows);
  }
}

TEST_CASE("whatever stands in a row, no line end comes into a descriptor, and other rows are as they were (SEC-XML-5, T22)") {
  const std::string evil = "x\r\nEvil: yes";
  const auto poisoned = [&](std::string_view dialog_fields::*field) {
    dialog_fields fields = storage_contract::usual_dialog("evil@host");
    fields.*field = evil;
    subscription_row row = storage_contract::subscription("evil@host");
    row.dialog = dialog{fields};
    return row;
  };
  std::vector<subscription_row> rows;
  for (const auto field :
       {&dialog_fields::call_id, &dialog_fields::local_tag, &dialog_fields::remote_tag, &dialog_fields::local_uri,
        &dialog_fields::remote_uri, &dialog_fields::remote_target, &dialog_fields::route_set, &dialog_fields::local_contact,
        &dialog_fields::event, &dialog_fields::watcher, &dialog_fields::cookie, &dialog_fields::user_agent,
        &dialog_fields::headers, &dialog_fields::display_name, &dialog_fields::also, &dialog_fields::owner})
    rows.push_back(poisoned(field));
  // a line break is a blank, and Kamailio keeps it; but a key with one is nobody's
  const auto goes_on = [](const subscription_row& row) {
    return clean(row.dialog.call_id()) && clean(row.dialog.local_tag()) && clean(row.dialog.remote_tag());
  };
  subscription_row good = storage_contract::subscription("good@host");
  dialog_fields fields = storage_contract::usual_dialog("good@host");
  fields.headers = "Subject: presence\r\n";
  good.dialog = dialog{fields};
  for (const int mode : {1, 2, 3, 4}) {
    for (const subscription_row& bad : rows) {
      memory_storage held;
      publication_row document = storage_contract::publication("sip:alice@example.com", "a");
      document.event = "lamp", document.content = body{"text/plain" + evil, "on"};
      subscription_row lamp = storage_contract::subscription("lamp@host", "sip:alice@example.com", "lamp");
      REQUIRE(held.apply({.new_publications = {document}, .new_subscriptions = {bad, good, lamp},
                          .watchers = {storage_contract::watcher("sip:alice@example.com", "sip:" + evil)}}));
      std::vector<std::string> log;
      engine e{{.server_address = "sip:server.example.com", .fallback2db = mode == 4, .subs_db_mode = mode == 4 ? 1 : mode},
               {.log = [&](log_level, std::string_view line) { log.emplace_back(line); }}, &held};
      REQUIRE(e.add_event(presence_package(), storage_contract::noon));
      REQUIRE(e.add_event(opaque_package("lamp", {"text/plain"}), storage_contract::noon));
      std::size_t told = 0;
      const auto all = [&](const effects& out) {
        check_clean(out);
        for (const notify& n : out.notifies) {
          CHECK((n.dialog.call_id() != "evil@host" || goes_on(bad)));
          told += n.dialog.call_id() == "good@host" ? 1 : 0;
        }
      };
      const instant soon = storage_contract::noon + 10s;
      all(e.advance(soon));
      const effects published = e.update_presentity(good_publish(), soon);
      CHECK(published.answer.status == 200);
      CHECK(published.notifies.size() == (goes_on(bad) ? 2 : 1));
      all(published);
      all(e.refresh_watchers("sip:alice@example.com", "lamp", refresh_type::state, soon));
      all(e.refresh_watchers("sip:alice@example.com", "presence", refresh_type::authorization, soon));
      all(e.advance(storage_contract::noon + 3600s));
      CHECK(told >= 2);
      CHECK_FALSE(log.empty());
      CHECK_FALSE(e.check());
    }
  }
}

TEST_CASE("rows that were left out go when they are over, and keep nobody from his turn (SEC-XML-5, T22)") {
  for (const int mode : {3, 4}) {
    memory_storage held;
    change what{.watchers = {storage_contract::watcher("sip:alice@example.com", "sip:x\r\nEvil: yes")}};
    for (int i = 0; i < 12; ++i) {
      const std::string call_id = std::to_string(i) + "\r\nEvil: yes", resource = "sip:" + std::to_string(i) + "@example.com";
      what.new_subscriptions.push_back(storage_contract::subscription("", resource));
      what.new_subscriptions.back().dialog = dialog{storage_contract::usual_dialog(call_id)};
    }
    what.new_subscriptions.push_back(storage_contract::subscription("good@host", "sip:zoe@example.com"));
    const instant over = what.new_subscriptions.back().expires;
    what.new_subscriptions.back().expires = over + 1s;
    REQUIRE(held.apply(what));
    engine e{{.server_address = "sip:server.example.com", .fallback2db = mode == 4, .subs_db_mode = mode == 4 ? 1 : mode,
              .advance_budget = 4}, {}, &held};
    REQUIRE(e.add_event(presence_package(), storage_contract::noon));
    CHECK(e.advance(storage_contract::noon + 10s).notifies.empty());
    CHECK(all_rows<subscription_row>(held).size() == 13);  // who wrote them may mend them until then
    std::size_t ends = 0;
    for (instant at = over; at < over + 10s; at += 1s) ends += e.advance(at).notifies.size();
    CHECK(ends == 1);
    CHECK(all_rows<subscription_row>(held).empty());
    for (instant at = over + 192h; at < over + 192h + 3s; at += 1s) CHECK(e.advance(at).notifies.empty());
    CHECK(all_rows<watcher_row>(held).empty());
    CHECK_FALSE(e.check());
  }
}

TEST_CASE("whoever comes anew has his row, whatever stood in the one before (M10, T22)") {
  for (const int mode : {1, 2, 3, 4}) {
    memory_storage rows;
    watcher_row waits = storage_contract::watcher("sip:alice@example.com", "sip:bob@example.com");
    waits.reason = "x\r\ny", waits.since = start - 2000s;
    REQUIRE(rows.apply({.watchers = {waits}}));
    scenario s{{.settings = {.fallback2db = mode == 4, .subs_db_mode = mode == 4 ? 1 : mode, .waiting_limit = 1000s},
                .rows = &rows, .authorized = true, .winfo = true}};
    s.policy["bob"] = sub_handling::confirm;
    static_cast<void>(s.engine->refresh_watchers("sip:alice@example.com", "presence", refresh_type::state, s.at));
    s.subscribe("d1", {.by = "bob", .expires = 0s});
    s.wait(250s);
    REQUIRE(s.engine->flush(s.at));
    CHECK(all_rows<watcher_row>(rows).size() == 1);
    s.audit();
  }
}

TEST_CASE("a storm of publications and subscriptions on colliding names ends soundly (SEC-DOS-9)"
          * not_in("sqlite postgres mariadb", "thousands of engines, a minute there")) {
  scenario s;
  for (int i = 0; i < 3000; ++i) {
    const std::string n = std::to_string(i);
    s.publish("sip:u" + n + "@x", {.body = "t1:open", .expires = 60s});
    s.subscribe("d" + n, {.by = "w" + std::to_string(i % 10), .to = "sip:u" + n + "@x", .expires = 60s});
  }
  CHECK(s.stats().subscriptions == 3000);
  s.answers = false;
  s.wait(60s);
  CHECK(s.engine->stats().resources == 0);
}
