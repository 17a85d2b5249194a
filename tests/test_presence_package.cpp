#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <presence/packages.hpp>

#include "xml.hpp"

#ifndef PRESENCE_TEST_DATA
#define PRESENCE_TEST_DATA "tests"
#endif

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using namespace std::string_literals;
using namespace presence;

constexpr std::string_view alice = "sip:alice@example.com";
const std::string opening =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:alice@example.com\">";
const std::string declared =
    " xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\""
    " xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\"";

const event_package& package() {
  static const event_package made = presence_package();
  return made;
}

result<document, refusal> checked(const body& content, const limits& bounds = {},
                                  const parsed_document* previous = nullptr) {
  return package().check_publish({alice, content, "", bounds, previous});
}

body pidf(std::string bytes) { return {"application/pidf+xml", std::move(bytes)}; }

// Wraps the content of a presence element with the usual declarations, and an attribute for which it is not shown as it stands.
std::string presence_of(std::string_view inner) {
  return "<presence" + declared + " entity='sip:alice@example.com' by='hand'>" + std::string{inner} + "</presence>";
}
std::string tuple(std::string_view id, std::string_view basic, std::string_view more = {}) {
  return "<tuple id=\"" + std::string{id} + "\"><status><basic>" + std::string{basic} + "</basic></status>" + std::string{more} + "</tuple>";
}

std::string refusal_of(const std::string& bytes) {
  const auto r = checked(pidf(bytes));
  if (r) return "accepted";
  CHECK(r.error().status == 400);
  return std::string{r.error().reason};
}

published row_of(const body& content, const parsed_document* parsed, std::uint64_t id, bool leaving = false) {
  return {.etag = "tag", .content = content, .parsed = parsed, .sender = "", .id = id, .since = {}, .arrival = id,
          .leaving = leaving};
}

// Publications as the engine keeps them.
class presentity {
 public:
  std::uint64_t publish(const std::string& bytes) {
    all_.push_back({pidf(bytes), nullptr, ++last_});
    check(all_.back());
    return last_;
  }
  void modify(std::uint64_t id, const std::string& bytes) {
    one& p = find(id);
    p.content = pidf(bytes);
    check(p);
  }
  void remove(std::uint64_t id) {
    all_.erase(std::find_if(all_.begin(), all_.end(), [&](const one& p) { return p.id == id; }));
  }
  body state(std::uint64_t leaving = 0) const {
    return package().aggregate(alice, offered(leaving));
  }
  std::string inner(std::uint64_t leaving = 0) const {
    const body b = state(leaving);
    CHECK(b.content_type() == "application/pidf+xml");
    std::string bytes{b.bytes()};
    REQUIRE(bytes.starts_with(opening));
    REQUIRE(bytes.ends_with("</presence>"));
    CHECK(checked(b).has_value());
    return bytes.substr(opening.size(), bytes.size() - opening.size() - 11);
  }
  std::optional<std::string> sphere(instant now = {}) const { return package().sphere(offered(0), now).value; }

 private:
  struct one {
    body content;
    document parsed;
    std::uint64_t id;
  };
  static void check(one& p) {
    auto r = checked(p.content, {}, p.parsed.get());
    CAPTURE(p.content.bytes());
    if (!r) FAIL(std::string{r.error().reason});
    p.parsed = *r;
  }
  one& find(std::uint64_t id) {
    return *std::find_if(all_.begin(), all_.end(), [&](const one& p) { return p.id == id; });
  }
  std::vector<published> offered(std::uint64_t leaving) const {
    std::vector<published> out;
    for (const one& p : all_) out.push_back(row_of(p.content, p.parsed.get(), p.id, p.id == leaving));
    return out;
  }
  std::vector<one> all_;
  std::uint64_t last_ = 0;
};

std::string composed(const std::string& bytes) {
  presentity p;
  p.publish(bytes);
  return p.inner();
}

std::uint64_t meaning(const std::string& bytes) {
  presentity p;
  p.publish(bytes);
  return p.state().digest();
}

std::vector<std::string> ids_in(const body& state) {
  std::vector<std::string> ids;
  xml::parser parser;
  limits wide;
  wide.body_bytes = wide.xml_elements = SIZE_MAX;
  const auto tree = parser.parse(state.bytes(), wide);
  REQUIRE(tree);
  for (const xml::node& child : tree.value()->children(tree.value()->root())) {
    if (const auto* id = tree.value()->find(child, "", "id")) ids.emplace_back(id->value);
  }
  return ids;
}

}  // namespace

TEST_CASE("the package is called presence and speaks PIDF (PRS-6.1-1, PRS-6.4-1, PRS-6.5-1)") {
  CHECK(package().name == "presence");
  CHECK(package().content_types == std::vector<std::string>{"application/pidf+xml"});
  CHECK(package().default_expires == seconds{3600});
  CHECK(package().publishable);
  CHECK(package().subscribable);
}

TEST_CASE("an opaque package looks into nothing (V20)") {
  const event_package p = opaque_package("weather", {"text/plain"});
  CHECK(p.name == "weather");
  CHECK(p.content_types == std::vector<std::string>{"text/plain"});
  CHECK_FALSE(p.check_publish);
  CHECK_FALSE(p.aggregate);
  CHECK_FALSE(p.neutral);
  CHECK(opaque_package("x").content_types.empty());
}

TEST_CASE("nothing published is a document without tuples (PRS-6.7-5, PIDF-4.1.1-2, SEC-LEAK-2)") {
  const body neutral = package().neutral(alice);
  CHECK(neutral.bytes() == opening + "</presence>");
  CHECK(neutral.content_type() == "application/pidf+xml");
  CHECK(neutral.digest() != 0);
  CHECK(package().aggregate(alice, {}) == neutral);
  presentity p;
  const auto id = p.publish(presence_of(tuple("t1", "open")));
  CHECK(p.state(id) == neutral);
  CHECK(p.state(id).digest() == neutral.digest());
  CHECK(p.state().digest() != neutral.digest());
}

TEST_CASE("the one document there is, if nothing is to be changed about it, is shown as it stands, without a copy (PF4)") {
  const std::string t1 = tuple("t1", "open"), note = "<note>here</note>", start = "<presence" + declared + " entity='sip:alice@example.com'>";
  const std::string sound = start + "\n " + t1 + "\n " + note + "\n <dm:person id='p'/></presence>";
  const auto shown = [](const body& content, std::string_view resource = alice) {
    const auto r = checked(content);
    REQUIRE(r);
    const published only = row_of(content, r->get(), 1);
    return package().aggregate(resource, std::span{&only, 1});
  };
  const auto stands = [&](const std::string& bytes) {
    CAPTURE(bytes);
    const body content = pidf(bytes), now = shown(content);
    CHECK((now.bytes().data() == content.bytes().data()) == (now.bytes() == bytes));
    return now.bytes().data() == content.bytes().data();
  };
  CHECK(stands(sound));
  CHECK(stands("<?xml version=\"1.0\"?>\n" + sound + "\n"));
  CHECK(stands("<presence entity=\"sip:alice@example.com\" xmlns=\"urn:ietf:params:xml:ns:pidf\">" + t1 + "</presence>"));

  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = sound;
    const auto at = changed.find(from);
    REQUIRE(at != changed.npos);
    return changed.replace(at, from.size(), to);
  };
  CHECK_FALSE(stands(with("sip:alice", "pres:alice")));
  CHECK_FALSE(stands(with("sip:alice", "sip:Alice")));
  CHECK_FALSE(stands(with("sip:alice", " sip:alice")));
  CHECK_FALSE(stands(with("sip:alice", "&#115;ip:alice")));
  CHECK_FALSE(stands(with("example.com'", "example.com.'")));
  CHECK_FALSE(stands(with(" entity", " more='of it' entity")));
  CHECK_FALSE(stands(with(" entity", " xml:lang='en' entity")));
  CHECK_FALSE(stands(with(note, "<!-- here -->")));
  CHECK_FALSE(stands(with(note, note + note)));
  CHECK_FALSE(stands(with(t1 + "\n " + note, note + t1)));
  CHECK_FALSE(stands(with("<presence", "\xEF\xBB\xBF<presence")));
  CHECK_FALSE(stands("<?xml version='1.1'?>" + sound));
  CHECK_FALSE(stands("<p:presence xmlns:p='urn:ietf:params:xml:ns:pidf' entity='sip:alice@example.com'/>"));
  CHECK_FALSE(stands(start + "</presence>"));  // how nothing is told is the package's to say
  const body labelled{"application/pidf+xml;charset=utf-8", sound};
  CHECK(shown(labelled).content_type() == "application/pidf+xml");
  CHECK(shown(pidf(sound), "pres:alice@example.com").bytes().find("entity=\"pres:alice@example.com\"") != std::string_view::npos);

  // whether it stands says nothing: what is composed of the same means the same
  CHECK(same_meaning(shown(pidf(sound)), shown(pidf(with(" entity", " more='of it' entity")))));
  CHECK(same_meaning(shown(pidf(sound)), shown(pidf(with("<note>", "\n\n<note>")))));
  CHECK_FALSE(same_meaning(shown(pidf(sound)), shown(pidf(with("here", "there")))));

  // beside another it is composed, and alone again it stands again, unless an id of its own has become another one
  presentity p;
  const auto first = p.publish(sound), second = p.publish(sound);
  CHECK(p.state().bytes() != sound);
  p.remove(second);
  CHECK(p.state().bytes() == sound);
  const auto third = p.publish(sound);
  CHECK(p.state().bytes() != sound);
  p.remove(first);
  CHECK(p.state().bytes() != sound);
  p.remove(third);
}

TEST_CASE("the entity is the presentity, escaped, whatever publishers wrote (PRS-ENT-1, SEC-XML-4)") {
  presentity p;
  p.publish("<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:somebody-else'/>");
  CHECK(p.inner() == "");
  const body odd = package().neutral("sip:a'b<c>&\"d\"@e\n");
  CHECK(odd.bytes().find("entity=\"sip:a'b&lt;c&gt;&amp;&quot;d&quot;@e&#10;\"") != std::string_view::npos);
  CHECK(checked(odd));
}

TEST_CASE("sound documents pass and come out as they went in (PIDF-4.1.1-1, PIDF-4.1.3-1, PIDF-4.1.6-1, PIDF-4.1.7-1, PIDF-4.2.5-1, DM-3-1, PIDF-4.1.2-1)") {
  for (const std::string& inner : {
           ""s,
           tuple("t1", "open"),
           tuple("t1", "closed", "<contact priority=\"0.8\">sip:a@b</contact><note>n</note><timestamp>2024-05-01T10:00:00Z</timestamp>"),
           "<tuple id=\"t1\"><status/></tuple>"s,
           "<tuple id=\"t1\"><status><x:im xmlns:x=\"urn:x\">busy</x:im></status></tuple>"s,
           "<tuple id=\"t1\">\n  <status/>\n\n</tuple>"s,
           tuple("t1", "open", "<contact>sip:a@b</contact>") + tuple("t2", "open", "<contact priority=\"1.000\">sip:a@c</contact>"),
           "<note xml:lang=\"en\">out</note><note xml:lang=\"fr\">sorti</note>"s,
           "<x xmlns=\"urn:x\" a=\"1\"><y/>text</x>"s,
           tuple("t1", "open", "<e xmlns=\"urn:e\"/><contact priority=\"0.\">sip:a@b</contact>"),
       }) {
    CAPTURE(inner);
    CHECK(composed(presence_of(inner)) == inner);
  }
  CHECK(composed(presence_of("<dm:person id=\"p\"><rpid:mood><rpid:happy/></rpid:mood><dm:note>n</dm:note></dm:person>")) ==
        "<dm:person xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" "
        "id=\"p\"><rpid:mood><rpid:happy/></rpid:mood><dm:note>n</dm:note></dm:person>");
  CHECK(composed(presence_of("<dm:device id='d'><dm:deviceID>urn:x:1</dm:deviceID></dm:device>")) ==
        "<dm:device xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" id='d'><dm:deviceID>urn:x:1</dm:deviceID></dm:device>");
}

TEST_CASE("malformed PIDF is refused with 400 and a reason (V01, PIDF-4.1.1-1, PIDF-4.1.2-1, PIDF-4.1.3-1, PIDF-4.1.4-1, PIDF-4.1.5-1, "
          "PIDF-4.1.7-1, DM-3-2, GRM-21, GRM-22, TV-38)") {
  const std::pair<std::string, std::string_view> table[] = {
      {"<presence entity='sip:a@b'/>", "The root is not a PIDF presence element"},
      {"<presence xmlns='urn:ietf:params:xml:ns:PIDF' entity='sip:a@b'/>", "The root is not a PIDF presence element"},
      {"<presense xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:a@b'/>", "The root is not a PIDF presence element"},
      {"<presence xmlns='urn:ietf:params:xml:ns:pidf'/>", "A presence element without an entity"},
      {"<presence xmlns='urn:ietf:params:xml:ns:pidf' entity=' '/>", "A presence element without an entity"},
      {"<p:presence xmlns:p='urn:ietf:params:xml:ns:pidf' p:entity='sip:a@b'/>", "A presence element without an entity"},
      {presence_of("text"), "Text directly inside a presence element"},
      {presence_of("<tuple><status/></tuple>"), "A tuple, person or device without an id"},
      {presence_of("<tuple dm:id='t1'><status/></tuple>"), "A tuple, person or device without an id"},
      {presence_of("<dm:person/>"), "A tuple, person or device without an id"},
      {presence_of("<dm:device><dm:deviceID>u</dm:deviceID></dm:device>"), "A tuple, person or device without an id"},
      {presence_of("<tuple id=''><status/></tuple>"), "An id that is not an NCName"},
      {presence_of("<tuple id='1'><status/></tuple>"), "An id that is not an NCName"},
      {presence_of("<tuple id='a b'><status/></tuple>"), "An id that is not an NCName"},
      {presence_of("<dm:person id='a:b'/>"), "An id that is not an NCName"},
      {presence_of("<tuple id='&lt;'><status/></tuple>"), "An id that is not an NCName"},
      {presence_of(tuple("t1", "open") + tuple("t1", "closed")), "An id that occurs twice"},
      {presence_of(tuple("t1", "open") + tuple("x", "open") + tuple(" t&#49;\n", "open")), "An id that occurs twice"},
      {presence_of(tuple("t1", "open") + "<dm:person id='t1'/>"), "An id that occurs twice"},
      {presence_of("<dm:person id='p'/><dm:device id='p'><dm:deviceID>u</dm:deviceID></dm:device>"), "An id that occurs twice"},
      {presence_of("<tuple id='t1'/>"), "A tuple without a status"},
      {presence_of("<tuple id='t1'><dm:status/></tuple>"), "A tuple without a status"},
      {presence_of("<tuple id='t1'>open<status/></tuple>"), "Text directly inside a tuple, person or device"},
      {presence_of("<dm:person id='p'>x</dm:person>"), "Text directly inside a tuple, person or device"},
      {presence_of("<tuple id='t1'><status/><status/></tuple>"), "A status, contact, timestamp or deviceID that occurs twice"},
      {presence_of("<tuple id='t1'><status/><contact/><contact/></tuple>"), "A status, contact, timestamp or deviceID that occurs twice"},
      {presence_of("<tuple id='t1'><status>open</status></tuple>"), "Text directly inside a status"},
      {presence_of("<tuple id='t1'><status><basic>open</basic><basic>open</basic></status></tuple>"), "A status with two basic elements"},
      {presence_of(tuple("t1", "Open")), "A basic status that is neither open nor closed"},
      {presence_of(tuple("t1", "online")), "A basic status that is neither open nor closed"},
      {presence_of(tuple("t1", "")), "A basic status that is neither open nor closed"},
      {presence_of(tuple("t1", " open")), "A basic status that is neither open nor closed"},
      {presence_of(tuple("t1", "open<x/>")), "A basic status that is neither open nor closed"},
      {presence_of(tuple("t1", "open", "<timestamp>yesterday</timestamp>")), "A malformed timestamp"},
      {presence_of(tuple("t1", "open", "<timestamp>2024-02-30T00:00:00Z</timestamp>")), "A malformed timestamp"},
      {presence_of(tuple("t1", "open", "<timestamp/>")), "A malformed timestamp"},
      {presence_of("<dm:person id='p'><dm:timestamp>2024</dm:timestamp></dm:person>"), "A malformed timestamp"},
      {presence_of("<dm:device id='d'/>"), "A device without a deviceID"},
      {presence_of("<dm:device id='d'><rpid:deviceID>u</rpid:deviceID></dm:device>"), "A device without a deviceID"},
      {presence_of("<u:x/>"), "A namespace prefix is not declared"},
      {presence_of("<note>\x01</note>"), "A character XML does not allow"},
      {presence_of("<note>\xC3</note>"), "Not UTF-8, or a character XML does not allow"},
      {presence_of("<note>\0</note>"s), "A character XML does not allow"},
      {presence_of("<note>&b;</note>"), "An unknown entity or a bare ampersand"},
      {"<!DOCTYPE p [<!ENTITY a 'aa'><!ENTITY b '&a;&a;'>]>" + presence_of("<note>&b;</note>"), "A document type declaration"},
      {"<!DOCTYPE p SYSTEM 'file:///etc/passwd'>" + presence_of(""), "A document type declaration"},
      {"", "The document has no root element"},
  };
  for (const auto& row : table) {
    const auto& bytes = row.first;
    const auto& reason = row.second;
    CAPTURE(bytes);
    CHECK(refusal_of(bytes) == reason);
  }
  for (const char* bad : {"1.5", "1.001", "0.1234", ".5", "2", "", "-0", "0,5", "+1", "1e0", "0.5x", "00"}) {
    CAPTURE(bad);
    CHECK(refusal_of(presence_of(tuple("t1", "open", "<contact priority='" + std::string{bad} + "'/>"))) ==
          "A contact priority that is not a q-value");
  }
  for (const char* good : {"0", "1", "0.", "1.", "0.333", "1.000", " 0.5 "}) {
    CAPTURE(good);
    CHECK(refusal_of(presence_of(tuple("t1", "open", "<contact priority='" + std::string{good} + "'/>"))) == "accepted");
  }
}

TEST_CASE("too much is refused before it costs anything (GRM-30, SEC-BODY-1, TV-38)") {
  const auto filled = [](std::size_t size) {
    std::string bytes = presence_of("");
    return bytes + std::string(size - bytes.size(), ' ');
  };
  CHECK(checked(pidf(filled(65536))));
  const auto long_one = checked(pidf(filled(65537)));
  REQUIRE(!long_one);
  CHECK(long_one.error().status == 413);

  const auto nested = [](std::size_t depth) {
    std::string inner;
    for (std::size_t i = 1; i < depth; ++i) inner += "<dm:x>";
    for (std::size_t i = 1; i < depth; ++i) inner += "</dm:x>";
    return presence_of(inner);
  };
  CHECK(refusal_of(nested(64)) == "accepted");
  CHECK(refusal_of(nested(65)) == "Elements nested too deeply");
  const auto crowd = [](std::size_t elements) {
    std::string inner;
    for (std::size_t i = 1; i < elements; ++i) inner += "<a/>";
    return presence_of(inner);
  };
  CHECK(refusal_of(crowd(10000)) == "accepted");
  CHECK(refusal_of(crowd(10001)) == "Too many elements");
}

TEST_CASE("declarations cannot be made to multiply (SEC-DOS-4)") {
  std::string root = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='sip:a@b'";
  std::string uses;
  for (int i = 0; i < 60; ++i) {
    const std::string prefix = "p" + std::to_string(i);
    root += " xmlns:" + prefix + "='urn:" + std::string(400, 'x') + prefix + "'";
    uses += prefix + ":";
  }
  const auto with = [&](int tuples) {
    std::string bytes = root + ">";
    for (int i = 0; i < tuples; ++i) bytes += "<tuple id='t" + std::to_string(i) + "'><status u='" + uses + "'/></tuple>";
    return bytes + "</presence>";
  };
  CHECK(refusal_of(with(2)) == "accepted");
  CHECK(refusal_of(with(100)) == "Namespace declarations that would repeat too often");
}

TEST_CASE("only UTF-8 is read (V01, PIDF-4.3-1)") {
  const auto status = [](std::string type) {
    const body content{std::move(type), presence_of("")};
    const auto r = checked(content);
    return r ? 200 : r.error().status;
  };
  CHECK(status("application/pidf+xml") == 200);
  CHECK(status("application/pidf+xml;charset=UTF-8") == 200);
  CHECK(status("application/pidf+xml; Charset=\"utf-8\"; x=y") == 200);
  CHECK(status("application/pidf+xml;charset=us-ascii") == 200);
  CHECK(status("application/pidf+xml;charset=iso-8859-1") == 415);
  CHECK(status("application/pidf+xml;charset=") == 415);
  CHECK(status("application/pidf+xml;charset=utf-8x") == 415);
}

TEST_CASE("children may come in any order and leave in the order of the schema (PIDF-4.1.2-1, DM-3-8)") {
  CHECK(composed(presence_of("<tuple id='t1'><timestamp>2024-05-01T10:00:00Z</timestamp> <note>b</note><!-- c -->"
                             "<contact>sip:a@b</contact><x xmlns='urn:x'/><note>a</note><status/></tuple>")) ==
        "<tuple id='t1'><status/><x xmlns='urn:x'/><contact>sip:a@b</contact><note>b</note><note>a</note>"
        "<timestamp>2024-05-01T10:00:00Z</timestamp></tuple>");
  CHECK(composed(presence_of("<dm:person id='p'><dm:timestamp>2024-05-01T10:00:00Z</dm:timestamp><dm:note>n</dm:note>"
                             "<x xmlns='urn:x'/></dm:person>")) ==
        "<dm:person xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" id='p'><x xmlns='urn:x'/><dm:note>n</dm:note>"
        "<dm:timestamp>2024-05-01T10:00:00Z</dm:timestamp></dm:person>");
  CHECK(composed(presence_of("<dm:device id='d'><dm:note>n</dm:note><dm:deviceID>u</dm:deviceID><x xmlns='urn:x'/></dm:device>")) ==
        "<dm:device xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" id='d'><x xmlns='urn:x'/><dm:deviceID>u</dm:deviceID>"
        "<dm:note>n</dm:note></dm:device>");
  CHECK(composed(presence_of("<x xmlns='urn:x'/>\n<note>n</note><!-- c -->" + tuple("t2", "open") + "<?pi?>" + tuple("t1", "open"))) ==
        tuple("t2", "open") + tuple("t1", "open") + "<note>n</note><x xmlns='urn:x'/>");
}

TEST_CASE("what cannot stand in a fragment goes where it can: languages to notes, in the order of the schema "
          "(PIDF-4.1.2-1, PIDF-4.1.3-1, PIDF-4.1.6-1, PIDF-SER-1)") {
  const std::string root = "<presence xml:space='preserve'" + declared + " xml:lang='de' entity='x:y'>";
  CHECK(composed(root + "<tuple id='t' xml:lang='fr'><note>b</note><note xml:lang='en'>c</note><status><x xmlns='urn:x'/><basic>open</basic></status>"
                        "</tuple><note>a</note><dm:person id='p'><dm:note>d</dm:note><e xmlns='urn:e' xml:lang='it'><rpid:note/></e></dm:person></presence>") ==
        "<tuple id='t'><status><basic>open</basic><x xmlns='urn:x'/></status><note xml:lang='fr'>b</note><note xml:lang='en'>c</note></tuple>"
        "<note xml:lang='de'>a</note><dm:person xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" "
        "id='p'><e xmlns='urn:e' xml:lang='it'><rpid:note/></e><dm:note xml:lang='de'>d</dm:note></dm:person>");
  const std::string longest(60, 'x');
  CHECK(composed("<presence" + declared + " xml:lang='" + longest + "' entity='x:y'><note/></presence>") == "<note/>");
}

TEST_CASE("ids of RPID elements, unique only within their publication, are left out (CMP-3, PIDF-SER-1)") {
  presentity p;
  for (int i = 0; i < 2; ++i)
    p.publish(presence_of("<dm:person id='p'><rpid:mood id=\"m\" until='2030-01-01T00:00:00Z'><rpid:sad/></rpid:mood></dm:person><e xmlns='urn:e' id='m'/>"));
  const std::string all = p.inner();
  CHECK(all.find("<rpid:mood until='2030-01-01T00:00:00Z'>") != all.npos);
  CHECK(all.find("id=\"m\"") == all.npos);
  CHECK(all.find("<e xmlns='urn:e' id='m'/>") != all.npos);  // whatever it is
}

TEST_CASE("markup that says nothing is taken out, what it says stays (PIDF-4.2.5-1, SEC-DOS-4)") {
  CHECK(composed(presence_of("<note a='&#39;&#x22;&#65;&#9;'>a<!-- r:x -->&#66;<?pi?><![CDATA[<&>]]>&#60;&#233;</note>")) ==
        "<note a='&apos;&quot;A&#9;'>aB&lt;&amp;&gt;&lt;\xC3\xA9</note>");
  limits small;
  small.body_bytes = 1000;
  const auto marked = checked(pidf(presence_of("<note><![CDATA[" + std::string(600, '<') + "]]></note>")), small);
  REQUIRE_FALSE(marked);
  CHECK(marked.error().status == 413);
}

TEST_CASE("an id is written as it reads") {
  CHECK(composed(presence_of("<tuple id=' t&#x31; '><status/></tuple>")) == "<tuple id='t1'><status/></tuple>");
}

TEST_CASE("text that looks like markup stays text (TV-38)") {
  const std::string escaped = "<note>&lt;/note>&lt;tuple id=\"x\"></note>";
  const std::string quoted = "<note><![CDATA[</note><tuple id=\"y\">]]></note>";
  presentity p;
  p.publish(presence_of(tuple("t1", "open") + escaped + quoted));
  CHECK(p.inner() == tuple("t1", "open") + escaped + "<note>&lt;/note&gt;&lt;tuple id=\"y\"&gt;</note>");
  CHECK(ids_in(p.state()) == std::vector<std::string>{"t1"});
}

TEST_CASE("prefixes are free, and fragments keep what theirs mean (PIDF-NS-1, PIDF-SER-1)") {
  CHECK(composed("<a:presence xmlns:a='urn:ietf:params:xml:ns:pidf' entity='x:y'><a:tuple id='t1'><a:status/></a:tuple></a:presence>") ==
        "<a:tuple xmlns:a='urn:ietf:params:xml:ns:pidf' xmlns=\"\" id='t1'><a:status/></a:tuple>");
  CHECK(composed("<a:presence xmlns:a='urn:ietf:params:xml:ns:pidf' xmlns='urn:o' entity='x:y'><b/></a:presence>") == "<b xmlns='urn:o'/>");
  CHECK(composed("<a:presence xmlns:a='urn:ietf:params:xml:ns:pidf' xmlns='urn:o' entity='x:y'><b xmlns='urn:p'/></a:presence>") ==
        "<b xmlns='urn:p'/>");
  CHECK(composed("<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:q='urn:q' xmlns:xq='urn:xq' xmlns:u='urn:u' entity='x:y'>"
                 "<note>a q:name in text</note><e xmlns='urn:e' t='xq:b'/><e xmlns='urn:e' xmlns:q='urn:r' t='q:b'/><note>xq</note></presence>") ==
        "<note xmlns:q='urn:q'>a q:name in text</note><note>xq</note><e xmlns:xq='urn:xq' xmlns='urn:e' t='xq:b'/>"
        "<e xmlns='urn:e' xmlns:q='urn:r' t='q:b'/>");
  CHECK(composed("<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:q='urn:&#113;' entity='x:y'><note>q&#58;x</note></presence>") ==
        "<note xmlns:q='urn:q'>q:x</note>");
  CHECK(composed("<presence xmlns='urn:ietf:params:xml:ns:pidf' xml:lang='de' entity='x:y'><note>Hallo</note>"
                 "<note xml:lang='en'>Hello</note></presence>") ==
        "<note xml:lang='de'>Hallo</note><note xml:lang='en'>Hello</note>");

  presentity p;
  p.publish("<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:r='urn:one' entity='x:y'><tuple id='t1'><status/><r:a/></tuple></presence>");
  p.publish("<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:r='urn:two' entity='x:y'><tuple id='t2'><status/><r:a/></tuple></presence>");
  CHECK(p.inner() ==
        "<tuple xmlns:r='urn:one' id='t1'><status/><r:a/></tuple><tuple xmlns:r='urn:two' id='t2'><status/><r:a/></tuple>");
}

TEST_CASE("publications are united, oldest first, tuples before notes before the rest (CMP-1, CMP-2, CMP-6, V02)") {
  presentity p;
  const auto a = p.publish(presence_of(tuple("a", "open") + "<note>one</note><x xmlns='urn:x'/>"));
  const auto b = p.publish(presence_of("<note>two</note>" + tuple("b", "closed") + "<y xmlns='urn:y'/>"));
  CHECK(p.inner() == tuple("a", "open") + tuple("b", "closed") + "<note>one</note><note>two</note><x xmlns='urn:x'/><y xmlns='urn:y'/>");
  CHECK(p.inner(a) == tuple("b", "closed") + "<note>two</note><y xmlns='urn:y'/>");
  CHECK(p.inner(b) == tuple("a", "open") + "<note>one</note><x xmlns='urn:x'/>");
}

TEST_CASE("of a component that a document has twice the one with the later timestamp counts (CMP-5, PIDF-4.1.7-1)") {
  const auto at = [](const char* when) { return std::string{when}.empty() ? std::string{} : "<timestamp>2026-01-0" + std::string{when} + "T00:00:00Z</timestamp>"; };
  struct row {
    std::vector<std::pair<const char*, const char*>> tuples;  // when, basic
    const char* stays;  ///< null: refused
  };
  for (const row& r : {row{{{"1", "open"}, {"2", "closed"}}, "2"}, row{{{"2", "closed"}, {"1", "open"}}, "2"}, row{{{"", "open"}, {"1", "closed"}}, "1"},
                       row{{{"1", "open"}, {"", "closed"}}, "1"}, row{{{"1", "open"}, {"3", "closed"}, {"2", "open"}}, "3"}, row{{{"1", "open"}, {"2", "open"}, {"1", "open"}}, "2"},
                       row{{{"1", "open"}, {"1", "open"}, {"2", "open"}}, "2"},
                       row{{{"1", "open"}, {"1", "closed"}}, nullptr}, row{{{"", "open"}, {"", "closed"}}, nullptr}, row{{{"1", "open"}, {"2", "open"}, {"2", "open"}}, nullptr}}) {
    std::string inside, kept;
    for (const auto& [when, basic] : r.tuples) {
      inside += tuple("t", basic, at(when));
      if (r.stays != nullptr && std::string_view{when} == r.stays) kept = tuple("t", basic, at(when));
    }
    CAPTURE(inside);
    const presence::body content{"application/pidf+xml", presence_of(inside + tuple("u", "open"))};
    CHECK(presence_package().check_publish({"sip:alice@example.com", content, {}, limits{}}).has_value() == (r.stays != nullptr));
    if (r.stays == nullptr) continue;
    presentity p;
    p.publish(presence_of(inside + tuple("u", "open")));
    CHECK(p.inner() == kept + tuple("u", "open"));
  }
  // a person that does not count tells no sphere; an id is of one kind
  const auto person = [](const char* sphere, const char* when) {
    return "<dm:person id='p'><rpid:sphere>" + std::string{sphere} + "</rpid:sphere><dm:timestamp>2026-01-0" + when + "T00:00:00Z</dm:timestamp></dm:person>";
  };
  presentity p;
  p.publish(presence_of(person("work", "1") + person("home", "2")));
  CHECK(p.sphere() == "home");
  const presence::body mixed{"application/pidf+xml", presence_of(tuple("p", "open", at("3")) + person("home", "2"))};
  CHECK_FALSE(presence_package().check_publish({"sip:alice@example.com", mixed, {}, limits{}}).has_value());
}

TEST_CASE("an exact duplicate of a note or foreign element is told once (CMP-8)") {
  presentity p;
  const auto a = p.publish(presence_of("<note>x</note><note>x</note><rpid:e a='1' b='2'/>"));
  p.publish("<q:presence xmlns:q='urn:ietf:params:xml:ns:pidf' xmlns:z='urn:ietf:params:xml:ns:pidf:rpid' entity='x:y'>"
            "<q:note>x</q:note><q:note xml:lang='en'>x</q:note><z:e b='2' a='1'/><q:note>x </q:note></q:presence>");
  const std::string second = " xmlns:q='urn:ietf:params:xml:ns:pidf' xmlns=\"\"";
  const std::string third = " xmlns:z='urn:ietf:params:xml:ns:pidf:rpid' xmlns=\"\"";
  CHECK(p.inner() == "<note>x</note><q:note" + second + " xml:lang='en'>x</q:note><q:note" + second +
                         ">x </q:note><rpid:e xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" a='1' b='2'/>");
  CHECK(p.inner(a) == "<q:note" + second + ">x</q:note><q:note" + second + " xml:lang='en'>x</q:note><q:note" + second +
                          ">x </q:note><z:e" + third + " b='2' a='1'/>");
}

TEST_CASE("an id another publication shows already is replaced by a fresh one for good (CMP-3, TV-34, SEC-PKG-8)") {
  presentity p;
  const auto e1 = p.publish(presence_of(tuple("t1", "open")));
  CHECK(ids_in(p.state()) == std::vector<std::string>{"t1"});
  const auto e2 = p.publish(presence_of(tuple("t1", "closed", "<contact>sip:other@b</contact>")));
  const auto both = ids_in(p.state());
  REQUIRE(both.size() == 2);
  CHECK(both[0] == "t1");
  const std::string x = both[1];
  CHECK(x != "t1");
  CHECK(x.find("t1") == x.npos);
  CHECK(xml::is_ncname(x));
  CHECK(p.inner() == tuple("t1", "open") + tuple(x, "closed", "<contact>sip:other@b</contact>"));
  p.modify(e2, presence_of(tuple("t1", "open", "<contact>sip:other@b</contact>")));
  CHECK(ids_in(p.state()) == both);
  CHECK(ids_in(p.state(e1)) == std::vector<std::string>{x});
  p.remove(e1);
  CHECK(p.inner() == tuple(x, "open", "<contact>sip:other@b</contact>"));
  p.modify(e2, presence_of(tuple("t1", "closed")));
  CHECK(p.inner() == tuple(x, "closed"));
  p.remove(e2);
  CHECK(p.inner() == "");
}

TEST_CASE("a component shown under its own id keeps it against an older publication that takes it up later (CMP-3)") {
  presentity p;
  const auto a = p.publish(presence_of(tuple("a", "open")));
  const auto b = p.publish(presence_of(tuple("b", "open")));
  CHECK(ids_in(p.state()) == std::vector<std::string>{"a", "b"});
  p.modify(a, presence_of(tuple("a", "open") + tuple("b", "closed")));
  const auto ids = ids_in(p.state());
  REQUIRE(ids.size() == 3);
  CHECK(ids[0] == "a");
  CHECK(ids[1] != "b");
  CHECK(ids[2] == "b");
  p.modify(b, presence_of(tuple("b", "closed")));
  CHECK(ids_in(p.state()) == ids);
  CHECK(ids_in(p.state(b)) == std::vector<std::string>{"a", ids[1]});
}

TEST_CASE("a fresh id is never one that another component uses (CMP-3)") {
  presentity p;
  p.publish(presence_of(tuple("t1", "open")));
  p.publish(presence_of(tuple("t1", "open")));
  const std::string x = ids_in(p.state())[1];
  // Somebody shows exactly that id first.
  presentity q;
  q.publish(presence_of(tuple("t1", "open") + tuple(x, "open")));
  q.publish(presence_of(tuple("t1", "open")));
  auto ids = ids_in(q.state());
  CHECK(ids[2] != x);
  std::sort(ids.begin(), ids.end());
  CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
  // Or claims it later.
  p.publish(presence_of(tuple(x, "open") + "<dm:person id='" + x + "p'/>"));
  CHECK(ids_in(p.state())[1] == x);
  CHECK(ids_in(p.state())[2] != x);
}

TEST_CASE("persons, devices and tuples share one space of ids") {
  presentity p;
  p.publish(presence_of("<dm:person id='x'/>"));
  p.publish(presence_of(tuple("x", "open") + "<dm:device id='y'><dm:deviceID>u</dm:deviceID></dm:device>"));
  auto ids = ids_in(p.state());
  REQUIRE(ids.size() == 3);
  CHECK(ids[0] != "x");
  CHECK(ids[1] == "x");
  CHECK(ids[2] == "y");
}

TEST_CASE("ids stay unique and steady through any sequence of publications (CMP-3, CMP-10, PROP-5)") {
  std::mt19937 random{7};
  const auto pick = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random); };
  const auto contents = [&] {
    std::string inner;
    for (const char* id : {"a", "b", "c"}) {
      if (pick(2) == 0) inner += tuple(id, pick(2) == 0 ? "open" : "closed");
    }
    if (pick(3) == 0) inner += "<note>" + std::to_string(pick(3)) + "</note>";
    return presence_of(inner);
  };
  presentity p;
  std::vector<std::uint64_t> live;
  for (int step = 0; step < 4000; ++step) {
    const std::size_t what = pick(3);
    if (live.empty() || (what == 0 && live.size() < 6)) {
      live.push_back(p.publish(contents()));
    } else if (what == 1) {
      const std::uint64_t changed = live[pick(live.size())];
      p.modify(changed, contents());
    } else {
      const std::size_t gone = pick(live.size());
      const body left = p.state(live[gone]);
      p.remove(live[gone]);
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(gone));
      CHECK(p.state() == left);
      CHECK(p.state().digest() == left.digest());
    }
    const body state = p.state();
    auto ids = ids_in(state);
    std::sort(ids.begin(), ids.end());
    CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
    CHECK(checked(state).has_value());
    for (const std::uint64_t one : live) p.state(one);
    CHECK(p.state() == state);
  }
}

TEST_CASE("documents that say the same have one digest (CMP-12, PROP-13)") {
  const std::string base = presence_of(
      "<tuple id='t1'><status><basic>open</basic></status><rpid:e a='1' b='2'><rpid:f/></rpid:e><note>n &amp; m</note></tuple>");
  const std::string same[] = {
      base,
      "<?xml version='1.0'?>\n" + base + "\n<!-- end -->",
      presence_of("\n  <tuple id=\"t1\">\n<status>\n<basic>open</basic>\n</status> <rpid:e\n b='2' a='1'> <rpid:f></rpid:f> </rpid:e>"
                  "<!-- c --><note>n &#38; m</note></tuple>"),
      "<p:presence xmlns:p='urn:ietf:params:xml:ns:pidf' xmlns='urn:ietf:params:xml:ns:pidf:rpid' entity='x:y'><p:tuple id='t1'>"
      "<p:note>n &amp; m</p:note><p:status><p:basic>open</p:basic></p:status><e b='2' a='&#49;'><f/></e></p:tuple></p:presence>",
  };
  for (const std::string& bytes : same) {
    CAPTURE(bytes);
    CHECK(meaning(bytes) == meaning(base));
  }
  const std::string different[] = {
      presence_of("<tuple id='t2'><status><basic>open</basic></status><rpid:e a='1' b='2'><rpid:f/></rpid:e><note>n &amp; m</note></tuple>"),
      presence_of("<tuple id='t1'><status><basic>closed</basic></status><rpid:e a='1' b='2'><rpid:f/></rpid:e><note>n &amp; m</note></tuple>"),
      presence_of("<tuple id='t1'><status><basic>open</basic></status><rpid:e a='2' b='1'><rpid:f/></rpid:e><note>n &amp; m</note></tuple>"),
      presence_of("<tuple id='t1'><status><basic>open</basic></status><dm:e a='1' b='2'><rpid:f/></dm:e><note>n &amp; m</note></tuple>"),
      presence_of("<tuple id='t1'><status><basic>open</basic></status><rpid:e a='1' b='2'/><rpid:f/><note>n &amp; m</note></tuple>"),
      presence_of("<tuple id='t1'><status><basic>open</basic></status><rpid:e a='1' b='2'><rpid:f/></rpid:e><note>n &amp; m </note></tuple>"),
      presence_of("<tuple id='t1'><status><basic>open</basic></status><rpid:e a='1' b='2'><rpid:f/></rpid:e><note xml:lang='en'>n &amp; m</note></tuple>"),
      presence_of("<tuple id='t1'><status><basic>open</basic></status><rpid:e a='1' rpid:b='2'><rpid:f/></rpid:e><note>n &amp; m</note></tuple>"),
      presence_of("<tuple id='t1'><status><basic>open</basic></status><rpid:e a='1' b='2'><rpid:f> </rpid:f></rpid:e><note>n &amp; m</note></tuple>"),
      presence_of("<tuple id='t1'><status><basic>open</basic></status><rpid:e a='1' b='2'><rpid:f/></rpid:e><note>n &amp; m</note></tuple><note/>"),
      presence_of(""),
  };
  std::vector<std::uint64_t> seen{meaning(base)};
  for (const std::string& bytes : different) {
    CAPTURE(bytes);
    CHECK(std::find(seen.begin(), seen.end(), meaning(bytes)) == seen.end());
    seen.push_back(meaning(bytes));
  }
}

TEST_CASE("digests tell short texts apart") {
  std::vector<std::uint64_t> seen;
  std::string text;
  for (int i = 0; i < 40; ++i) {
    for (const char* end : {"", "a", "b", "ab", "ba", "\xC3\xA9"}) seen.push_back(meaning(presence_of("<note>x" + text + end + "</note>")));
    text += "z";
  }
  for (const char* inner : {"<note>ab</note><note>c</note>", "<note>a</note><note>bc</note>", "<note>abc</note>", "<note>a</note><note>b</note><note>c</note>"}) {
    seen.push_back(meaning(presence_of(inner)));
  }
  std::sort(seen.begin(), seen.end());
  CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
}

TEST_CASE("a publication that could not be read is left out") {
  struct other : parsed_document {};
  const other foreign;
  const body content = pidf(presence_of(tuple("t1", "open")));
  const std::vector<published> rows{row_of(content, nullptr, 1), row_of(content, &foreign, 2)};
  CHECK(package().aggregate(alice, rows) == package().neutral(alice));
  CHECK(package().sphere(rows, {}).value == std::nullopt);
}

TEST_CASE("the sphere is what all persons agree on, while it lasts (RPID-3.11-1, RPID-3-3, RPID-3-2, POL-5025-sphere-1)") {
  using std::chrono::sys_days;
  const auto person = [](std::string_view inner) { return presence_of("<dm:person id='p'>" + std::string{inner} + "</dm:person>"); };
  const instant noon = sys_days{std::chrono::year{2024} / 5 / 1} + std::chrono::hours{12};
  const std::pair<std::string, std::optional<std::string>> table[] = {
      {"", std::nullopt},
      {"<rpid:sphere/>", std::nullopt},
      {"<rpid:sphere><rpid:work/></rpid:sphere>", "work"},
      {"<rpid:sphere>\n <rpid:home/>\n</rpid:sphere>", "home"},
      {"<rpid:sphere> work </rpid:sphere>", "work"},
      {"<rpid:sphere><gym xmlns='urn:x'/></rpid:sphere>", "gym"},
      {"<rpid:sphere><rpid:note>n</rpid:note><rpid:work/></rpid:sphere>", "work"},
      {"<rpid:sphere><rpid:work/><rpid:home/></rpid:sphere>", std::nullopt},
      {"<sphere xmlns='urn:x'><work/></sphere>", std::nullopt},
      {"<rpid:sphere from='2024-05-01T12:00:00Z'><rpid:work/></rpid:sphere>", "work"},
      {"<rpid:sphere from='2024-05-01T12:00:01Z'><rpid:work/></rpid:sphere>", std::nullopt},
      {"<rpid:sphere until='2024-05-01T12:00:00Z'><rpid:work/></rpid:sphere>", std::nullopt},
      {"<rpid:sphere until='2024-05-01T12:00:00.001Z'><rpid:work/></rpid:sphere>", "work"},
      {"<rpid:sphere until='soon'><rpid:work/></rpid:sphere>", std::nullopt},
      {"<rpid:sphere until='2024-05-01T12:00:00Z'><rpid:work/></rpid:sphere>"
       "<rpid:sphere from='2024-05-01T12:00:00Z'><rpid:home/></rpid:sphere>", "home"},
  };
  for (const auto& row : table) {
    const auto& inner = row.first;
    const auto& sphere = row.second;
    CAPTURE(inner);
    presentity p;
    p.publish(person(inner));
    CHECK(p.sphere(noon) == sphere);
  }
  presentity p;
  CHECK(p.sphere() == std::nullopt);
  p.publish(person("<rpid:sphere><rpid:work/></rpid:sphere>"));
  p.publish(presence_of(tuple("t1", "open", "<rpid:sphere><rpid:home/></rpid:sphere>")));  // not where it belongs
  p.publish(person(""));
  CHECK(p.sphere() == "work");
  const auto disagrees = p.publish(person("<rpid:sphere><rpid:home/></rpid:sphere>"));
  CHECK(p.sphere() == std::nullopt);
  p.modify(disagrees, person("<rpid:sphere>work</rpid:sphere>"));
  CHECK(p.sphere() == "work");
}

TEST_CASE("a large crowd of components is composed in good time (SEC-DOS-9)") {
  presentity p;
  std::string inner;
  for (int i = 0; i < 1500; ++i) inner += "<tuple id='t" + std::to_string(i) + "'><status/></tuple><a/>";
  std::string notes;
  for (int i = 0; i < 3000; ++i) notes += "<note>" + std::to_string(i) + "</note>";
  for (int i = 0; i < 8; ++i) p.publish(presence_of(i % 2 == 0 ? inner : notes));
  const body state = p.state();
  CHECK(ids_in(state).size() == 6000);
}

TEST_CASE("the fuzzing corpus holds its invariant (PROP-11)") {
  namespace fs = std::filesystem;
  std::size_t files = 0;
  std::mt19937 random{99};
  for (const auto& entry : fs::directory_iterator{fs::path{PRESENCE_TEST_DATA} / "corpus" / "pidf"}) {
    std::ifstream in{entry.path(), std::ios::binary};
    std::string bytes{std::istreambuf_iterator<char>{in}, {}};
    REQUIRE(!bytes.empty());
    ++files;
    const auto run = [](const std::string& b) {
      return LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(b.data()), b.size());
    };
    run(bytes);
    run(bytes + '\0' + bytes);
    for (int round = 0; round < 500; ++round) {
      std::string damaged = bytes;
      for (int edits = 0; edits < 2; ++edits) {
        const std::size_t at = random() % damaged.size();
        if (random() % 2 == 0) {
          damaged.erase(at, 1 + random() % 4);
        } else {
          const std::size_t from = random() % damaged.size();
          damaged.insert(at, damaged.substr(from, random() % 40));
        }
        if (damaged.empty()) damaged = "<";
      }
      run(damaged);
    }
  }
  CHECK(files >= 15);
}
