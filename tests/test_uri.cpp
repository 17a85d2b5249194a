#include <presence/uri.hpp>

#include <presence/requests.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using namespace presence;
using namespace std::string_literals;

namespace {

/// A copy that ends where its memory ends, so that a sanitizer sees every read past it.
class exact {
 public:
  explicit exact(std::string_view text) : bytes_(text.begin(), text.end()) {}
  operator std::string_view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::vector<char> bytes_;
};

std::string key(std::string_view uri) {
  std::string out = "untouched";
  if (canonical_aor(exact{uri}, out)) return out;
  CHECK(out == "untouched");
  return "invalid";
}

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace

TEST_CASE("a URI comes apart into its parts") {
  const struct {
    std::string_view uri, scheme, user, password, host, port, parameters, headers;
  } rows[] = {
      {"sip:alice@example.com", "sip", "alice", "", "example.com", "", "", ""},
      {"SIPS:alice:secret@example.com:5061;transport=tls;lr?to=a%40b&x=", "SIPS", "alice", "secret",
       "example.com", "5061", "transport=tls;lr", "to=a%40b&x="},
      {"sip:example.com", "sip", "", "", "example.com", "", "", ""},
      {"sip:example.com:5060", "sip", "", "", "example.com", "5060", "", ""},
      {"sip:example.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com", "sip", "", "", "example.com",
       "", "transport=tcp;method=REGISTER", "to=sip:bob%40biloxi.com"},
      {"sip:+1-212-555-1212:1234@gateway.com;user=phone", "sip", "+1-212-555-1212", "1234", "gateway.com", "",
       "user=phone", ""},
      {"sip:alice;day=tuesday@atlanta.com", "sip", "alice;day=tuesday", "", "atlanta.com", "", "", ""},
      {"sip:a&=+$,;?/b@h", "sip", "a&=+$,;?/b", "", "h", "", "", ""},
      {"sip:a:@h", "sip", "a", "", "h", "", "", ""},
      {"sip:%61%20%ff@h", "sip", "%61%20%ff", "", "h", "", "", ""},
      {"sip:a@192.0.2.4:5060", "sip", "a", "", "192.0.2.4", "5060", "", ""},
      {"sip:a@[2001:db8::9:1]:5060;x=[y]", "sip", "a", "", "[2001:db8::9:1]", "5060", "x=[y]", ""},
      {"sip:a@[::ffff:192.0.2.1]", "sip", "a", "", "[::ffff:192.0.2.1]", "", "", ""},
      {"sip:a@my_host.local.", "sip", "a", "", "my_host.local.", "", "", ""},
      {"sip:a@h;empty=", "sip", "a", "", "h", "", "empty=", ""},
      {"pres:someone@example.com", "pres", "someone", "", "example.com", "", "", ""},
      {"im:someone@example.com?subject=hi", "im", "someone", "", "example.com", "", "", "subject=hi"},
      {"tel:+1-201-555-0123", "tel", "+1-201-555-0123", "", "", "", "", ""},
      {"tel:7042;phone-context=example.com", "tel", "7042", "", "", "", "phone-context=example.com", ""},
      {"tel:*21#", "tel", "*21#", "", "", "", "", ""},
      {"urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "urn", "", "", "", "", "", ""},
      {"http://user@[::1]:8080/path;p?q=1#f", "http", "user", "", "[::1]", "8080", "", "q=1#f"},
      {"http://example.com?x/y", "http", "", "", "example.com", "", "", "x/y"},
      {"file:///etc/motd", "file", "", "", "", "", "", ""},
      {"mailto:a@b", "mailto", "", "", "", "", "", ""},
      {"x-y.z+1:0", "x-y.z+1", "", "", "", "", "", ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.uri);
    const exact text{row.uri};
    const auto parts = parse_uri(text);
    REQUIRE(parts);
    CHECK(parts->scheme == row.scheme);
    CHECK(parts->user == row.user);
    CHECK(parts->password == row.password);
    CHECK(parts->host == row.host);
    CHECK(parts->port == row.port);
    CHECK(parts->parameters == row.parameters);
    CHECK(parts->headers == row.headers);
  }
}

TEST_CASE("what is not a URI is refused") {
  for (const auto bad :
       {"", "sip", "sip:", ":alice@h", "1sip:a@h", "+s:a", "-s:a", ".s:a", "s_p:a", "alice@example.com",
        // name-addr and broken out text
        "<sip:a@h>", "\"A\" <sip:a@h>", "sip:a@h>", "sip:a@h\"", "sip:a b@h", "sip:a@h h", " sip:a@h",
        "sip:a@h ", "sip:a@h\r\n", "sip:a\t@h", "sip:\x7f@h", "sip:a@h,sip:b@h",
        // users
        "sip:@h", "sip::p@h", "sip:a@b@h", "sip:a@", "sip:a<b@h", "sip:a\"b@h", "sip:a[b]@h", "sip:a#b@h",
        "sip:a\\b@h", "sip:a{b@h", "sip:a|b@h", "sip:a^b@h", "sip:a`b@h", "sip:\xc3\xa9@h", "sip:a:b:c@h",
        "sip:a:b;c@h",
        // escapes
        "sip:%@h", "sip:%4@h", "sip:%4g@h", "sip:%zz@h", "sip:a@h;x=%", "sip:a@h;x=%2", "sip:a@h?x=%2",
        "sip:%",
        // hosts
        "sip:a@.", "sip:a@.h", "sip:a@h..h", "sip:a@-h", "sip:a@h-", "sip:a@h.-x", "sip:a@h-.x", "sip:a@h%61",
        "sip:a@1.2.3", "sip:a@1.2.3.4.5", "sip:a@1.2.3.256", "sip:a@01.2.3.4", "sip:a@1.2.3.4.", "sip:a@1234",
        "sip:a@h!", "sip:a@h/x",
        // ports
        "sip:a@h:", "sip:a@h:0", "sip:a@h:65536", "sip:a@h:99999999999999999999", "sip:a@h:5a", "sip:a@h:-1",
        "sip:a@h:+1", "sip:a@h: 1", "sip:a@h:0000001",
        // IPv6
        "sip:a@[", "sip:a@[]", "sip:a@[::1", "sip:a@::1]", "sip:a@[:]", "sip:a@[:::]", "sip:a@[1::2::3]",
        "sip:a@[1:2:3:4:5:6:7]", "sip:a@[1:2:3:4:5:6:7:8:9]", "sip:a@[1:2:3:4:5:6:7:8::]", "sip:a@[12345::]",
        "sip:a@[g::]", "sip:a@[1:2:3:4:5:6:7:1.2.3.4]", "sip:a@[::1.2.3]", "sip:a@[::1.2.3.4:5]",
        "sip:a@[1:]", "sip:a@[fe80::1%25eth0]", "sip:a@[::1]x", "sip:a@x[::1]",
        // parameters and headers
        "sip:a@h;", "sip:a@h;;lr", "sip:a@h;lr;", "sip:a@h;=x", "sip:a@h;x=y=z", "sip:a@h;x=\"y\"",
        "sip:a@h;x=<y>", "sip:a@h;x=[y", "sip:a@h;x=y]", "sip:a@h;x=[[y]]", "sip:a@h?", "sip:a@h?x",
        "sip:a@h?=x", "sip:a@h?x=y&", "sip:a@h?x=y&&z=1", "sip:a@h?x=y;z", "sip:a@h?x=]",
        // pres and im need a user
        "pres:example.com", "im:example.com", "pres:@example.com",
        // tel
        "tel:", "tel:+", "tel:-", "tel:+1a", "tel:xyz", "tel:1;", "tel:1?x=y", "tel:1@h", "tel:+1#",
        "tel:1 2",
        // any other scheme
        "http:", "http://a b", "http://<h>", "http://h:0/", "http://u@/", "urn:a\"b", "urn:%", "urn:a[b",
        "urn:\x80"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_uri(exact{bad}));
  }
  CHECK_FALSE(parse_uri("sip:a\0b@h"s));
  CHECK_FALSE(parse_uri("sip:a@h\0"s));
  CHECK_FALSE(parse_uri(std::string_view{}));
}

TEST_CASE("every byte is refused where the grammar does not have it") {
  const std::string unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!~*'()";
  for (int i = 0; i < 256; ++i) {
    const std::string c(1, static_cast<char>(i));
    const auto among = [&](const std::string& more) {
      return (unreserved + more).find(c) != std::string::npos;
    };
    CAPTURE(i);
    CHECK(parse_uri("sip:x" + c + "x@h").has_value() == among("&=+$,;?/:"));
    CHECK(parse_uri("sip:u:x" + c + "x@h").has_value() == among("&=+$,"));
    CHECK(parse_uri("sip:u@h;x=x" + c + "x").has_value() == among("/:&+$;"));
    CHECK(parse_uri("sip:u@h?x=x" + c + "x").has_value() == among("/?:+$"));
  }
}

TEST_CASE("a resource has one key, whatever the spelling of its address (GRM-18, GRM-19, S28)") {
  const struct {
    std::string_view uri, key;
  } rows[] = {
      {"sip:alice@example.com", "sip:alice@example.com"},
      {"sip:Alice@EXAMPLE.com", "sip:Alice@example.com"},
      {"SIP:alice@example.com", "sip:alice@example.com"},
      {"sips:alice@example.com", "sip:alice@example.com"},
      {"pres:alice@example.com", "sip:alice@example.com"},
      {"im:alice@example.com", "sip:alice@example.com"},
      {"sip:%61lice@example.com", "sip:alice@example.com"},
      {"sip:a%2Fb%2fc%7e@h", "sip:a%2Fb%2Fc~@h"},
      {"sip:a%2561@h", "sip:a%2561@h"},
      {"sip:a%00%0d%0A@h", "sip:a%00%0D%0A@h"},
      {"sip:a%40b@h", "sip:a%40b@h"},
      {"sip:a+b@h", "sip:a+b@h"},
      {"sip:a%2bb@h", "sip:a%2Bb@h"},
      {"sip:alice:secret@example.com;transport=tcp?x=y", "sip:alice@example.com"},
      {"sip:alice;day=tuesday@example.com;lr", "sip:alice;day=tuesday@example.com"},
      {"sip:alice@example.com.", "sip:alice@example.com"},
      {"sip:alice@example.com:5060", "sip:alice@example.com:5060"},
      {"sip:alice@example.com:05060", "sip:alice@example.com:5060"},
      {"sip:example.com", "sip:example.com"},
      {"sips:EXAMPLE.com:1;x", "sip:example.com:1"},
      {"sip:a@[2001:DB8::A]:5060", "sip:a@[2001:db8::a]:5060"},
      {"tel:+1-(201) 555", "invalid"},
      {"tel:+1-(201)-555.0123", "tel:+12015550123"},
      {"TEL:12-AB*#", "tel:12ab*#"},
      {"tel:+1-201-555-0123;foo=bar;EXT=1-2", "tel:+12015550123;ext=12"},
      {"tel:7042;Phone-Context=Example.COM", "tel:7042;phone-context=example.com"},
      {"tel:7042;phone-context=+1-201;isub=A%2f%61;ext=3", "tel:7042;ext=3;isub=a%2Fa;phone-context=+1201"},
      {"http://example.com/alice", "invalid"},
      {"urn:service:sos", "invalid"},
      {"<sip:alice@example.com>", "invalid"},
      {"Alice <sip:alice@example.com>", "invalid"},
      {"sip:alice@example.com\r\nX: y", "invalid"},
      {"alice@example.com", "invalid"},
      {"pres:example.com", "invalid"},
      {"", "invalid"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.uri);
    CHECK(key(row.uri) == row.key);
    if (row.key != "invalid") CHECK(key(row.key) == row.key);
  }
  CHECK(key("sip:Alice@example.com") != key("sip:alice@example.com"));
}

TEST_CASE("a key reuses the memory of the string it is written to") {
  std::string out;
  out.reserve(200);
  const char* const memory = out.data();
  REQUIRE(canonical_aor("sip:" + std::string(100, 'a') + "@example.com", out));
  REQUIRE(canonical_aor("sip:b@example.com", out));
  CHECK(out == "sip:b@example.com");
  CHECK(out.data() == memory);
}

TEST_CASE("user and host of a key") {
  const struct {
    std::string_view key, user, host;
  } rows[] = {
      {"sip:alice@example.com", "alice", "example.com"},
      {"sip:alice@example.com:5060", "alice", "example.com"},
      {"sip:a;b?c@example.com:1", "a;b?c", "example.com"},
      {"sip:example.com", "", "example.com"},
      {"sip:example.com:5060", "", "example.com"},
      {"sip:a@[2001:db8::1]", "a", "[2001:db8::1]"},
      {"sip:a@[2001:db8::1]:5060", "a", "[2001:db8::1]"},
      {"tel:+12015550123", "+12015550123", ""},
      {"tel:7042;phone-context=example.com", "7042", ""},
      // not canonical, but harmless
      {"", "", ""},
      {"sip:", "", ""},
      {"sip:@", "", ""},
      {"sip:[", "", "["},
      {"http://h", "", ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.key);
    CHECK(user_of(exact{row.key}) == row.user);
    CHECK(host_of(exact{row.key}) == row.host);
  }
}

TEST_CASE("a sender proves each of his addresses, however they are written, and no other (HOST-1)") {
  const identity who{.uri = "sips:Alice@EXAMPLE.com;a=b", .also = {"nonsense", "tel:+1-201-555-0123"}};
  CHECK(who.proves("sip:Alice@example.com"));
  CHECK(who.proves("tel:+12015550123"));
  for (const char* other : {"sip:alice@example.com", "sips:Alice@EXAMPLE.com;a=b", "nonsense", ""}) CHECK_FALSE(who.proves(other));
  CHECK_FALSE(identity{}.proves(""));
}

TEST_CASE("equivalent URIs are the same (RFC 3261 section 19.1.4)") {
  const struct {
    std::string_view a, b;
  } rows[] = {
      {"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"},
      {"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"},
      {"sip:carol@chicago.com", "sip:carol@chicago.com;security=on"},
      {"sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"},
      {"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
       "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"},
      {"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
       "sip:alice@atlanta.com?priority=urgent&subject=project%20x"},
      {"sip:a%2fb@h", "sip:a%2Fb@h"},
      {"SIP:a@h.", "sip:a@H"},
      {"sip:a@h:05060", "sip:a@h:5060"},
      {"sip:a:%70@h", "sip:a:p@h"},
      {"sip:a@h;x=%61", "sip:a@h;%78=A"},
      {"tel:+1-201-555-0123", "TEL:+1(201)555.0123"},
      {"tel:1;a=B;c", "tel:1;C;A=b"},
      {"URN:a:b", "urn:a:b"},
      {"not a uri", "not a uri"},
      {"", ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.a);
    CAPTURE(row.b);
    CHECK(same_uri(exact{row.a}, exact{row.b}));
    CHECK(same_uri(exact{row.b}, exact{row.a}));
  }
}

TEST_CASE("other URIs are not (RFC 3261 section 19.1.4)") {
  const struct {
    std::string_view a, b;
  } rows[] = {
      {"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"},
      {"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"},
      {"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"},
      {"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"},
      {"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"},
      {"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"},
      {"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"},
      {"sip:a@h", "sips:a@h"},
      {"sip:a@h", "pres:a@h"},
      {"sip:a@h", "sip:h"},
      {"sip:a@h", "sip:a:p@h"},
      {"sip:a@h", "sip:a@h;user=phone"},
      {"sip:a@h", "sip:a@h;TTL=1"},
      {"sip:a@h", "sip:a@h;method=x"},
      {"sip:a@h", "sip:a@h;m%61ddr=1.2.3.4"},
      {"sip:a@h;x", "sip:a@h;x="},
      {"sip:a@h?x=1", "sip:a@h?x=2"},
      {"sip:a+b@h", "sip:a%2Bb@h"},
      {"sip:a@h", "sip:a@h "},
      {"sip:a@h", "nonsense"},
      {"tel:+1", "tel:1"},
      {"tel:1", "tel:12"},
      {"tel:1;a=b", "tel:1"},
      {"urn:a:B", "urn:a:b"},
      {"http://h/", "https://h/"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.a);
    CAPTURE(row.b);
    CHECK_FALSE(same_uri(exact{row.a}, exact{row.b}));
    CHECK_FALSE(same_uri(exact{row.b}, exact{row.a}));
  }
}

TEST_CASE("many parameters cost little: then only equal text is the same") {
  std::string many = "sip:a@h";
  for (int i = 0; i < 32; ++i) many += ";p" + std::to_string(i);
  CHECK(same_uri(many, "sip:a@h"));
  many += ";p32";
  CHECK_FALSE(same_uri(many, "sip:a@h"));
  CHECK_FALSE(same_uri("sip:a@h", many));
  CHECK(same_uri(many, std::string{many}));
}

TEST_CASE("no text makes a parser fail or read beyond its bounds, and keys are stable") {
  static constexpr std::string_view meaning = "aA1.-_;=,:@?&%[]/+<>\" 26f(#";
  static constexpr std::string_view starts[] = {"sip:",    "sips:", "tel:",    "pres:",  "im:a@",
                                                "http://", "",      "SIP:a@h", "sip:a@["};
  std::mt19937 random{19};
  std::string out, again;
  std::vector<std::string> valid;
  for (int round = 0; round < 300000; ++round) {
    std::string made{starts[random() % std::size(starts)]};
    for (auto left = random() % 24; left != 0; --left)
      made += random() % 64 == 0 ? static_cast<char>(random()) : meaning[random() % meaning.size()];
    const exact text{made};
    const std::string_view view = text;
    const auto parts = parse_uri(view);
    const bool keyed = canonical_aor(view, out);
    if (!parts) {
      REQUIRE_FALSE(keyed);
      (void)host_of(view);
      (void)user_of(view);
      continue;
    }
    for (const auto part : {parts->scheme, parts->user, parts->password, parts->host, parts->port,
                            parts->parameters, parts->headers})
      REQUIRE(inside(part, view));
    for (const char c : view) REQUIRE((c > 0x20 && c < 0x7f && c != '<' && c != '>' && c != '"'));
    if (valid.size() < 600) valid.push_back(made);
    if (!keyed) continue;
    CAPTURE(made);
    REQUIRE(canonical_aor(out, again));
    REQUIRE(again == out);
    REQUIRE((inside(host_of(out), out) && inside(user_of(out), out)));
    const std::string_view user = user_of(out);
    if (out.starts_with("sip:")) {
      const std::string front =
          "sip:" + (user.empty() ? "" : std::string{user} + '@') + std::string{host_of(out)};
      REQUIRE((out == front || out.starts_with(front + ":")));
    }
  }
  REQUIRE(valid.size() > 100);
  for (const auto& a : valid) {
    for (const auto& b : valid) {
      const bool same = same_uri(exact{a}, exact{b});
      REQUIRE(same == same_uri(b, a));
      if (same && canonical_aor(a, out) && out.starts_with("sip:")) {
        REQUIRE(canonical_aor(b, again));
        REQUIRE(out == again);
      }
    }
  }
}
