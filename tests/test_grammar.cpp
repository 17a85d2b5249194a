#include <presence/grammar.hpp>

#include <doctest/doctest.h>

#include <array>
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

bool inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

std::vector<std::string> items(std::string_view list) {
  std::vector<std::string> all;
  for_each_item(list, [&](std::string_view item) { all.emplace_back(item); });
  return all;
}

std::string fault(std::string_view value) {
  const auto event = parse_event(exact{value});
  if (event) return "none";
  switch (event.error()) {
    case event_fault::missing:
      return "missing";
    case event_fault::malformed:
      return "malformed";
    case event_fault::several:
      return "several";
  }
  return "?";
}

/// Random text, made mostly of characters that mean something to a parser.
std::string random_text(std::mt19937& random, std::size_t longest) {
  static constexpr std::string_view meaning = "a1.-;=,\"\\<>[]:/*%@ \tq+xAid";
  std::string text(random() % (longest + 1), '\0');
  for (char& c : text)
    c = random() % 16 == 0 ? static_cast<char>(random()) : meaning[random() % meaning.size()];
  return text;
}

}  // namespace

TEST_CASE("a token is made of letters, digits and eleven marks (GRM-1)") {
  const std::string allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~";
  for (int i = 0; i < 256; ++i) {
    const std::string one(1, static_cast<char>(i));
    CAPTURE(i);
    CHECK(is_token(one) == (allowed.find(one) != std::string::npos));
    CHECK(is_token("x" + one + "y") == is_token(one));
  }
  CHECK(is_token("1.0~x"));
  CHECK_FALSE(is_token(""));
  for (const auto bad : {"a b", "a;b", "a\"b", "a/b", " a", "a ", "a,b", "a@b"}) CHECK_FALSE(is_token(bad));
}

TEST_CASE("an event type is tokens without dots, joined by dots (GRM-2)") {
  for (const auto good :
       {"presence", "presence.winfo", "presence.winfo.winfo", "message-summary", "a.b", "%", "x!y"})
    CHECK(is_event_type(good));
  for (const auto bad : {"", ".", ".winfo", "presence.", "a..b", "a b", "a;b", "a.b.", "presence/winfo"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_event_type(bad));
  }
}

TEST_CASE("a control character is found wherever it stands, and nothing else is taken for one") {
  for (std::size_t length = 0; length <= 40; ++length) {
    const std::string clean(length, 'x');
    REQUIRE_FALSE(has_control(exact{clean}));
    for (std::size_t at = 0; at < length; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::string text = clean;
        text[at] = static_cast<char>(byte);
        const bool found = has_control(exact{text});
        if (found != (byte < 0x20 || byte == 0x7f)) {
          CAPTURE(length);
          CAPTURE(at);
          CAPTURE(byte);
          FAIL_CHECK("wrong answer");
        }
      }
    }
  }
}

TEST_CASE("mixed bytes are judged as one by one") {
  std::mt19937 random{1};
  for (int round = 0; round < 20000; ++round) {
    std::string text(random() % 70, '\0');
    for (char& c : text) {
      const auto kind = random() % 64;
      c = kind == 0 ? static_cast<char>(random())
                    : static_cast<char>(kind % 2 ? 0x80 + random() % 128 : 0x20 + random() % 95);
    }
    bool expected = false;
    for (const char c : text) expected |= static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    REQUIRE(has_control(exact{text}) == expected);
  }
}

TEST_CASE("letters compare without case, other characters do not (GRM-15)") {
  CHECK(iequals("", ""));
  CHECK(iequals("Application/PIDF+XML", "application/pidf+xml"));
  CHECK_FALSE(iequals("a", "ab"));
  CHECK_FALSE(iequals("[", "{"));
  CHECK_FALSE(iequals("@", "`"));
  CHECK_FALSE(iequals("\xc4", "\xe4"));
}

TEST_CASE("a Call-ID is a word, or two with an @ between (GRM-10)") {
  for (const auto good : {"a", "AbC@h", "f81d4fae-7dec@192.0.2.4", "<a>:\\\"/[]?{}()", "1@[::1]"}) {
    CAPTURE(good);
    CHECK(is_call_id(exact{good}));
  }
  for (const auto bad : {"", "@", "a@", "@a", "a@b@c", "a b", "a,b", "a;b", "a=b", "\x80"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_call_id(exact{bad}));
  }
}

TEST_CASE("a quality has at most three digits and is at most one (GRM-13)") {
  const struct {
    std::string_view text;
    int thousandths;
  } good[] = {{"0", 0},        {"1", 1000},   {"0.", 0},    {"1.", 1000}, {"0.5", 500},  {"0.333", 333},
              {"1.000", 1000}, {"1.0", 1000}, {"0.001", 1}, {"0.05", 50}, {"0.999", 999}};
  for (const auto& row : good) {
    CAPTURE(row.text);
    CHECK(parse_quality(exact{row.text}) == row.thousandths);
    CHECK(is_quality(row.text));
  }
  for (const auto bad :
       {"", "1.001", "0.1234", ".5", "2", "-0", "+1", "00", "0,5", "0.5 ", "1.1", "0.a", "0..", "1.0000"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_quality(exact{bad}));
  }
}

TEST_CASE("an Event value comes apart into type, parameters and id (GRM-2 to GRM-5)") {
  const struct {
    std::string_view text, type, parameters;
    std::optional<std::string_view> id;
  } rows[] = {
      {"presence", "presence", "", {}},
      {"  presence\t", "presence", "", {}},
      {"presence.winfo", "presence.winfo", "", {}},
      {"presence;id=7", "presence", "id=7", "7"},
      {"presence;ID=5", "presence", "ID=5", "5"},
      {"presence ; id = 7 ; x=y", "presence", "id = 7 ; x=y", "7"},
      {"dialog;sla", "dialog", "sla", {}},
      {"dialog;sla;id=A", "dialog", "sla;id=A", "A"},
      {"dialog;call-id=\"a,b;c\\\"@h\";to-tag=1", "dialog", "call-id=\"a,b;c\\\"@h\";to-tag=1", {}},
      {"x;host=[2001:db8::1];n=192.0.2.1", "x", "host=[2001:db8::1];n=192.0.2.1", {}},
      {"x;empty=\"\"", "x", "empty=\"\"", {}},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const exact text{row.text};
    const auto event = parse_event(text);
    REQUIRE(event);
    CHECK(event->type == row.type);
    CHECK(event->parameters == row.parameters);
    CHECK(event->id == row.id);
    CHECK(inside(event->type, text));
    CHECK(inside(event->parameters, text));
  }
}

TEST_CASE("a missing, a malformed and a second Event are told apart (GRM-5)") {
  const struct {
    std::string_view text, fault;
  } rows[] = {
      {"", "missing"},
      {"  \t", "missing"},
      {"presence,dialog", "several"},
      {"presence, ", "several"},
      {",", "several"},
      {"presence;id=1,dialog", "several"},
      {"presence;x=\"a,b\"", "none"},
      {"presence;x=\"a,b\",dialog", "several"},
      {"presence;x=\"a,b", "malformed"},
      {"pre sence", "malformed"},
      {".winfo", "malformed"},
      {"presence.", "malformed"},
      {"a..b;id=1", "malformed"},
      {";id=1", "malformed"},
      {"presence;", "malformed"},
      {"presence; ;id=1", "malformed"},
      {"presence;id=1;", "malformed"},
      {"presence;id", "malformed"},
      {"presence;id=", "malformed"},
      {"presence;id=\"1\"", "malformed"},
      {"presence;id=[::1]", "malformed"},
      {"presence;id=a b", "malformed"},
      {"presence;id=1;id=2", "malformed"},
      {"presence;id=1;ID=2", "malformed"},
      {"presence;a;b;A", "malformed"},
      {"presence;x=\"a\"b", "malformed"},
      {"presence;x=[::1", "malformed"},
      {"presence;x=[]", "malformed"},
      {"presence;x=\"\\", "malformed"},
      {"presence;=x", "malformed"},
      {"presence<x>", "malformed"},
      {"presence;x=<a,b>", "malformed"},
      {"presence\r\nVia: x", "malformed"},
      {"presence;x=\"a\r\nb\"", "malformed"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    CHECK(fault(row.text) == row.fault);
  }
  CHECK(fault("presence\0x"s) == "malformed");
}

TEST_CASE("an Event value has room for 32 parameters") {
  std::string text = "presence";
  for (std::size_t i = 0; i < max_parameters; ++i) text += ";p" + std::to_string(i);
  CHECK(fault(text) == "none");
  CHECK(fault(text + ";last") == "malformed");
}

TEST_CASE("a parameter is found by its name, and compared after unquoting (GRM-28)") {
  const auto event = parse_event("dialog;sla;Call-ID=\"a\\\"@h\";to-tag=Ab;n=\"\"");
  REQUIRE(event);
  CHECK(event->has("sla"));
  CHECK(event->has("SLA"));
  CHECK_FALSE(event->has("sl"));
  CHECK_FALSE(event->has("from-tag"));
  CHECK_FALSE(event->has("sla", ""));
  CHECK(event->has("call-id"));
  CHECK(event->has("call-id", "a\"@h"));
  CHECK_FALSE(event->has("call-id", "a\\\"@h"));
  CHECK_FALSE(event->has("call-id", "a\"@"));
  CHECK(event->has("to-tag", "Ab"));
  CHECK_FALSE(event->has("to-tag", "ab"));
  CHECK(event->has("n", ""));
  CHECK_FALSE(parse_event("dialog")->has("sla"));
}

TEST_CASE("a list is cut at commas outside quotes and brackets") {
  CHECK(items("") == std::vector<std::string>{});
  CHECK(items(" , ,") == std::vector<std::string>{});
  CHECK(items("a") == std::vector<std::string>{"a"});
  CHECK(items(" a , b\t,c") == std::vector<std::string>{"a", "b", "c"});
  CHECK(items("\"x, y\" <sip:a,b@h>;q=1, <sip:c>") ==
        std::vector<std::string>{"\"x, y\" <sip:a,b@h>;q=1", "<sip:c>"});
  CHECK(items("\"a\\\",b\",c") == std::vector<std::string>{"\"a\\\",b\"", "c"});
  CHECK(items("<a\"b>,c\"d,e\"") == std::vector<std::string>{"<a\"b>", "c\"d,e\""});
}

TEST_CASE("a walk over a list tells whether it came to the end") {
  const auto any = [](std::string_view) {};
  CHECK(for_each_item("", any));
  CHECK(for_each_item("a,b", any));
  CHECK_FALSE(for_each_item("a,\"b", any));
  CHECK_FALSE(for_each_item("a,<b", any));
  CHECK_FALSE(for_each_item("a,\"b\\\"", any));
  CHECK_FALSE(for_each_item("a,\"b\\", any));
  int seen = 0;
  CHECK_FALSE(for_each_item("a,b,c", [&](std::string_view) { return ++seen < 2; }));
  CHECK(seen == 2);
}

TEST_CASE("items are counted as they are walked over") {
  CHECK(count_items("") == 0);
  CHECK(count_items(",,") == 0);
  CHECK(count_items("a") == 1);
  CHECK(count_items("<sip:a;x=1,2>, <sip:b>,") == 2);
  CHECK(count_items("a,\"b") == 2);
  CHECK(count_items(std::string(8192, ',')) == 0);
}

TEST_CASE("option tags nobody knows are listed, anything but tags is malformed (EVT-4.2.1.1-12)") {
  const std::array<std::string_view, 2> known{"eventlist", "gruu"};
  const struct {
    std::string_view require, unknown;
    bool malformed;
  } rows[] = {
      {"", "", false},
      {"eventlist", "", false},
      {"EventList, gruu", "", false},
      {"foo", "foo", false},
      {"foo,gruu , bar", "foo, bar", false},
      {"foo;x", "", true},
      {"foo, b ar", "", true},
      {"foo, \"bar", "", true},
      {"foo, <bar>", "", true},
  };
  for (const auto& row : rows) {
    CAPTURE(row.require);
    bool malformed = !row.malformed;
    CHECK(unknown_options(exact{row.require}, known, malformed) == row.unknown);
    CHECK(malformed == row.malformed);
  }
}

TEST_CASE("a media type has a type, a subtype and valued parameters") {
  for (const auto good : {"application/pidf+xml", " text/plain ", "text / plain", "text/plain;charset=utf-8",
                          "text/plain ; charset = \"utf-8\"", "multipart/related;type=\"a/b\";boundary=x"}) {
    CAPTURE(good);
    CHECK(is_media_type(exact{good}));
  }
  for (const auto bad : {"", "text", "text/", "/plain", "text/plain;", "text/plain;charset",
                         "text/plain;charset=", "text/plain,text/html", "text/plain/x", "te xt/plain", "*/*",
                         "text/*", "text/plain;a=1;A=2", "text/plain;a=\"x", "text/plain\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(is_media_type(exact{bad}));
  }
}

TEST_CASE("media types compare without case, and only what is registered is asked for (GRM-15)") {
  const struct {
    std::string_view value, registered;
    bool same;
  } rows[] = {
      {"application/pidf+xml", "application/pidf+xml", true},
      {"Application/PIDF+XML", "application/pidf+xml", true},
      {" application / pidf+xml ", "application/pidf+xml", true},
      {"application/pidf+xml;charset=UTF-8", "application/pidf+xml", true},
      {"application/pidf+xml", "application/pidf+xml;charset=utf-8", false},
      {"application/pidf+xml;Charset=\"UTF-8\"", "application/pidf+xml;charset=utf-8", true},
      {"application/pidf+xml;charset=latin1", "application/pidf+xml;charset=utf-8", false},
      {"text/x;version=A", "text/x;version=a", false},
      {"text/x;version=\"\\a\"", "text/x;version=a", true},
      {"text/x;b=2;a=1", "text/x;A=1;B=2", true},
      {"text/x;a=1", "text/x;a=1;b=2", false},
      {"application/xml", "application/pidf+xml", false},
      {"text/pidf+xml", "application/pidf+xml", false},
      {"application/pidf+xm", "application/pidf+xml", false},
      {"application/pidf+xml;", "application/pidf+xml", false},
      {"application/pidf+xml;x", "application/pidf+xml", false},
      {"*/*", "application/pidf+xml", false},
      {"", "", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.value);
    CAPTURE(row.registered);
    CHECK(same_media_type(exact{row.value}, exact{row.registered}) == row.same);
  }
}

TEST_CASE("Accept chooses the type with the highest quality (GRM-14, GRM-16)") {
  const std::vector<std::string> offered{"application/pidf+xml", "application/pidf-diff+xml",
                                         "text/plain;charset=utf-8"};
  constexpr int nothing = -1;
  const struct {
    std::string_view accept;
    int index;
  } rows[] = {
      {"", nothing},
      {" , ", nothing},
      {"application/pidf+xml", 0},
      {"APPLICATION/Pidf+Xml", 0},
      {"application / pidf+xml ; q = 0.5", 0},
      {"*/*", 0},
      {"application/*", 0},
      {"text/*", 2},
      {"text/plain", 2},
      {"text/html", nothing},
      {"application/pidf-diff+xml, application/pidf+xml;q=0.5", 1},
      {"application/pidf+xml;q=0.5, application/pidf-diff+xml", 1},
      {"application/pidf-diff+xml, application/pidf+xml", 0},
      {"*/*;q=1, application/pidf+xml;q=0", 1},
      {"*/*;q=0", nothing},
      {"application/pidf+xml;q=0", nothing},
      {"application/pidf+xml;q=0.001", 0},
      {"application/*;q=0.2, */*;q=0.8", 2},
      {"application/*;q=0, */*", 2},
      {"application/pidf+xml;q=0.1, application/*;q=0.9", 1},
      {"text/plain;q=0.1, text/plain;charset=UTF-8;q=0.9, */*;q=0.5", 2},
      {"text/plain;charset=utf-8;q=0, text/plain", nothing},
      {"text/plain;charset=latin1", nothing},
      {"text/plain;charset=latin1, text/plain;q=0.1", 2},
      {"application/pidf+xml;version=2", nothing},
      {"application/pidf+xml;q=0.5;level=2", 0},
      {"application/pidf+xml;flag", 0},
      {"application/pidf+xml;q=0, application/pidf+xml;q=1", nothing},
  };
  for (const auto& row : rows) {
    CAPTURE(row.accept);
    const auto choice = choose_type(exact{row.accept}, offered, 64);
    CHECK_FALSE(choice.malformed);
    CHECK((choice.index ? static_cast<int>(*choice.index) : nothing) == row.index);
  }
}

TEST_CASE("presence is not acceptable where only it is excluded (GRM-16)") {
  const std::vector<std::string> offered{"application/pidf+xml"};
  const auto choice = choose_type("*/*;q=1, application/pidf+xml;q=0", offered, 64);
  CHECK_FALSE(choice.malformed);
  CHECK_FALSE(choice.index);
}

TEST_CASE("an Accept value that cannot be read is malformed") {
  const std::vector<std::string> offered{"application/pidf+xml"};
  for (const auto bad :
       {"application", "application/", "/xml", "*/xml", "*", "a/b;q=2", "a/b;q=", "a/b;q", "a/b;q=\"1\"",
        "a/b;q=0.5;q=1", "a/b;", "a/b c", "application/pidf+xml, <", "a/b;x=\"", "a/b;q=[::1]"}) {
    CAPTURE(bad);
    const auto choice = choose_type(exact{bad}, offered, 64);
    CHECK(choice.malformed);
    CHECK_FALSE(choice.index);
  }
}

TEST_CASE("an Accept value has a bounded number of entries (GRM-30)") {
  const std::vector<std::string> offered{"application/pidf+xml"};
  std::string accept = "application/pidf+xml";
  for (int i = 1; i < 64; ++i) accept += ",a/b";
  CHECK(choose_type(accept, offered, 64).index == 0u);
  accept += ",a/b";
  CHECK(choose_type(accept, offered, 64).malformed);
}

TEST_CASE("nothing offered, nothing chosen; what is no media type cannot be chosen") {
  CHECK_FALSE(choose_type("*/*", {}, 64).index);
  const std::vector<std::string> offered{"*/*", "", "a/b"};
  CHECK(choose_type("*/*", offered, 64).index == 2u);
}

TEST_CASE("no text makes a parser fail, read or answer beyond its bounds") {
  std::mt19937 random{20240229};
  const std::vector<std::string> offered{"a/a", "a/x;a=1"};
  const std::array<std::string_view, 1> known{"a"};
  std::size_t read = 0;
  for (int round = 0; round < 200000; ++round) {
    const exact text{random_text(random, 40)};
    const std::string_view view = text;
    const bool token = is_token(view);
    if (token) CHECK_FALSE(has_control(view));
    if (is_event_type(view)) CHECK(token);
    if (token) CHECK(is_call_id(view));
    (void)is_quality(view);
    (void)is_media_type(view);
    (void)same_media_type(view, "a/a");
    CHECK(iequals(view, view));

    std::size_t count = 0;
    const bool whole = for_each_item(view, [&](std::string_view item) {
      ++count;
      if (!inside(item, view) || item.empty()) FAIL_CHECK("an item outside its list");
    });
    REQUIRE(count_items(view) == count + (whole ? 0 : 1));

    bool malformed = false;
    if (!unknown_options(view, known, malformed).empty()) REQUIRE_FALSE(malformed);
    const auto choice = choose_type(view, offered, 8);
    if (choice.index) REQUIRE((!choice.malformed && *choice.index < offered.size()));

    if (const auto event = parse_event(view)) {
      ++read;
      REQUIRE((inside(event->type, view) && inside(event->parameters, view)));
      REQUIRE(is_event_type(event->type));
      if (event->id)
        REQUIRE((inside(*event->id, view) && is_token(*event->id) && event->has("id", *event->id)));
    }
    // parameters that nobody checked must be harmless too
    (void)event_value{.type = "x", .parameters = view}.has("a", "1");
  }
  CHECK(read > 100);
}
