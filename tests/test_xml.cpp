#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "xml.hpp"

namespace {

using namespace std::string_literals;
using presence::limits;
namespace xml = presence::xml;

std::string refused(std::string_view bytes, const limits& bounds = {}) {
  const auto tree = xml::parser::of_this_thread().parse(bytes, bounds);
  return tree ? std::string{} : std::string{tree.error().reason};
}

// A tree as text: {uri}name with attributes in brackets and children in parentheses.
std::string shown(const xml::tree& tree, const xml::node& of) {
  std::string out = of.uri.empty() ? std::string{of.label} : "{" + std::string{of.uri} + "}" + std::string{of.label};
  for (const xml::attribute& a : tree.attributes_of(of)) {
    out += "[" + (a.uri.empty() ? "" : "{" + std::string{a.uri} + "}") + std::string{a.local} + "=" + std::string{a.value} + "]";
  }
  std::string inner, text;
  const auto end_text = [&] {
    if (!text.empty()) inner += (inner.empty() ? "'" : " '") + text + "'";
    text.clear();
  };
  for (const xml::node& child : tree.children(of)) {
    if (child.text) {
      text += child.label;
      continue;
    }
    end_text();
    inner += (inner.empty() ? "" : " ") + shown(tree, child);
  }
  end_text();
  return inner.empty() ? out : out + "(" + inner + ")";
}

std::string shown(std::string_view bytes) {
  const auto tree = xml::parser::of_this_thread().parse(bytes, {});
  return tree ? shown(*tree.value(), tree.value()->root()) : "refused: " + std::string{tree.error().reason};
}

std::string repeat(std::string_view what, std::size_t times) {
  std::string out;
  out.reserve(what.size() * times);
  for (std::size_t i = 0; i < times; ++i) out += what;
  return out;
}

limits wide() {
  limits l;
  l.body_bytes = 16 << 20;
  return l;
}

}  // namespace

TEST_CASE("well-formed documents are read as XML 1.0 says (GRM-23, PIDF-NS-1)") {
  const std::pair<std::string, std::string> table[] = {
      {"<a/>", "a"},
      {" \r\n\t<a></a>\n", "a"},
      {"\xEF\xBB\xBF<a/>", "a"},
      {"<?xml version='1.0'?><a/>", "a"},
      {"\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"utf-8\" standalone='no' ?>\n<a/>", "a"},
      {"<?xml version=\"1.1\" encoding='UTF-8'?><a/>", "a"},
      {"<!-- one --><?style x?><a/><!----><?end?>", "a"},
      {"<a b = 'c'\n d\t=\t\"e\" />", "a[b=c][d=e]"},
      {"<a b='\"' c=\"'>\"/>", "a[b=\"][c='>]"},
      {"<a>&lt;&gt;&amp;&quot;&apos;&#65;&#x42;&#x1F600;&#0000067;</a>", "a('<>&\"'AB\xF0\x9F\x98\x80" "C')"},
      {"<a b='&#10;&amp;&lt;'/>", "a[b=\n&<]"},
      {"<a> x <b/> y </a>", "a(' x ' b ' y ')"},
      {"<a> <b/> </a>", "a(b)"},
      {"<a>x<!-- > ' \" & -->y<?p <>&?>z</a>", "a('xyz')"},
      {"<a>]] ]> x</a>", "a(']] ]> x')"},
      {"<a><![CDATA[<b>&amp;]] >]]]]></a>", "a('<b>&amp;]] >]]')"},
      {"<a><![CDATA[]]></a>", "a"},
      {"<p:a xmlns:p='u'><p:b/><b/></p:a>", "{u}a[{http://www.w3.org/2000/xmlns/}p=u]({u}b b)"},
      {"<a xmlns='u'><b xmlns=''><c/></b><d x='1'/></a>",
       "{u}a[{http://www.w3.org/2000/xmlns/}xmlns=u](b[{http://www.w3.org/2000/xmlns/}xmlns=](c) {u}d[x=1])"},
      {"<a p:x='1' x='2' xmlns:p='u'/>", "a[{u}x=1][x=2][{http://www.w3.org/2000/xmlns/}p=u]"},
      {"<a xml:lang='en'/>", "a[{http://www.w3.org/XML/1998/namespace}lang=en]"},
      {"<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
       "a[{http://www.w3.org/2000/xmlns/}xml=http://www.w3.org/XML/1998/namespace]"},
      {"<a xmlns:p='u'><b xmlns:p='v'><p:c/></b><p:c/></a>",
       "a[{http://www.w3.org/2000/xmlns/}p=u](b[{http://www.w3.org/2000/xmlns/}p=v]({v}c) {u}c)"},
      {"<_a-1.b\xC3\xA9/>", "_a-1.b\xC3\xA9"},
      {"<\xE6\x97\xA5 \xC3\xA9=''>\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBD\xF4\x8F\xBF\xBF\x7F</\xE6\x97\xA5>",
       "\xE6\x97\xA5[\xC3\xA9=]('\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBD\xF4\x8F\xBF\xBF\x7F')"},
      {"<a>\t\r\n x</a >", "a('\t\r\n x')"},
      {"<xmlnsa xmlnsb='1'/>", "xmlnsa[xmlnsb=1]"},
  };
  for (const auto& row : table) {
    const auto& bytes = row.first;
    const auto& tree = row.second;
    CAPTURE(bytes);
    CHECK(shown(bytes) == tree);
  }
}

TEST_CASE("what is not well-formed is refused, whatever RapidXML thinks of it (GRM-23, SEC-XML-1, SEC-XML-3)") {
  const std::pair<std::string, std::string_view> table[] = {
      {"", "The document has no root element"},
      {"  <!-- only --> ", "The document has no root element"},
      {"\xEF\xBB\xBF", "The document has no root element"},
      {"x", "Text outside the root element"},
      {"<a/>x", "Text outside the root element"},
      {"x<a/>", "Text outside the root element"},
      {"<a/>&#32;", "Text outside the root element"},
      {"<a/><![CDATA[]]>", "Malformed markup"},
      {"<a/><b/>", "More than one root element"},
      {"<a></a><a></a>", "More than one root element"},
      {"<?xml version='1.0' encoding?><a/>", "A malformed XML declaration"},
      {"<?xml version='1.0' encoding='UTF-8?><a/>", "A malformed XML declaration"},
      {"<?xml version='1.0' encoding='UTF-8' standalone=?><a/>", "A malformed XML declaration"},
      {"<a></b>", "An end tag that does not match"},
      {"<a></ab>", "An end tag that does not match"},
      {"<ab></a>", "An end tag that does not match"},
      {"<a></a b>", "An end tag that does not match"},
      {"<p:a xmlns:p='u' xmlns:q='u'></q:a>", "An end tag that does not match"},
      {"<a><b></a></b>", "An end tag that does not match"},
      {"</a>", "An end tag that does not match"},
      {"<a/></a>", "An end tag that does not match"},
      {"<a", "The document ends too early"},
      {"<a>", "The document ends too early"},
      {"<a><b/>", "The document ends too early"},
      {"<a b", "The document ends too early"},
      {"<a b=", "The document ends too early"},
      {"<a b='c", "The document ends too early"},
      {"<a></a", "The document ends too early"},
      {"<a><!-- ", "The document ends too early"},
      {"<a><![CDATA[ ]]", "The document ends too early"},
      {"<a><?p ", "The document ends too early"},
      {"<", "The document ends too early"},
      {"<a>&", "An unknown entity or a bare ampersand"},
      {"<>", "A malformed name"},
      {"< a/>", "A malformed name"},
      {"<1a/>", "A malformed name"},
      {"<-a/>", "A malformed name"},
      {"<.a/>", "A malformed name"},
      {"<a!b/>", "An attribute without white space before it"},
      {"<a:b:c xmlns:a='u'/>", "An attribute without white space before it"},
      {"<:a/>", "A malformed name"},
      {"<a: xmlns:a='u'/>", "A malformed name"},
      {"<a :b='c'/>", "A malformed name"},
      {"<a 1b='c'/>", "A malformed name"},
      {"<a b:='c'/>", "A malformed name"},
      {"<a/ >", "Malformed markup"},
      {"<a / >", "Malformed markup"},
      {"<a b/>", "An attribute without a value"},
      {"<a b=c/>", "An attribute value without quotes"},
      {"<a b='c'd='e'/>", "An attribute without white space before it"},
      {"<a b='c'\"/>", "An attribute without white space before it"},
      {"<a b='<'/>", "A < in an attribute value"},
      {"<a b='&'/>", "An unknown entity or a bare ampersand"},
      {"<a b='x&y;'/>", "An unknown entity or a bare ampersand"},
      {"<a b='1' b='2'/>", "An attribute occurs twice"},
      {"<a b='1' c='' b=\"1\"/>", "An attribute occurs twice"},
      {"<a p:b='1' q:b='2' xmlns:p='u' xmlns:q='u'/>", "An attribute occurs twice"},
      {"<a xmlns:p='u' xmlns:p='v'/>", "An attribute occurs twice"},
      {"<a xmlns='u' xmlns='v'/>", "An attribute occurs twice"},
      {"<p:a/>", "A namespace prefix is not declared"},
      {"<a p:b='1'/>", "A namespace prefix is not declared"},
      {"<a><b xmlns:p='u'/><p:c/></a>", "A namespace prefix is not declared"},
      {"<xmlns:a/>", "A namespace prefix is not declared"},
      {"<a xmlns:p=''/>", "A prefix is declared without a namespace"},
      {"<a xmlns:xmlns='u'/>", "A reserved namespace is declared"},
      {"<a xmlns:xml='u'/>", "A reserved namespace is declared"},
      {"<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", "A reserved namespace is declared"},
      {"<a xmlns:p='http://www.w3.org/2000/xmlns/'/>", "A reserved namespace is declared"},
      {"<a xmlns='http://www.w3.org/XML/1998/namespace'/>", "A reserved namespace is declared"},
      {"<a xmlns='http://www.w3.org/2000/xmlns/'/>", "A reserved namespace is declared"},
      {"<a>&</a>", "An unknown entity or a bare ampersand"},
      {"<a>& b</a>", "An unknown entity or a bare ampersand"},
      {"<a>&nbsp;</a>", "An unknown entity or a bare ampersand"},
      {"<a>&amp</a>", "An unknown entity or a bare ampersand"},
      {"<a>&LT;</a>", "An unknown entity or a bare ampersand"},
      {"<a>&#;</a>", "A malformed character reference"},
      {"<a>&#x;</a>", "A malformed character reference"},
      {"<a>&#0;</a>", "A malformed character reference"},
      {"<a>&#1;</a>", "A malformed character reference"},
      {"<a>&#x1F;</a>", "A malformed character reference"},
      {"<a>&#X41;</a>", "A malformed character reference"},
      {"<a>&#12a;</a>", "A malformed character reference"},
      {"<a>&#65</a>", "A malformed character reference"},
      {"<a>&# 65;</a>", "A malformed character reference"},
      {"<a>&#-65;</a>", "A malformed character reference"},
      {"<a>&#xD800;</a>", "A malformed character reference"},
      {"<a>&#xDFFF;</a>", "A malformed character reference"},
      {"<a>&#xFFFE;</a>", "A malformed character reference"},
      {"<a>&#xFFFF;</a>", "A malformed character reference"},
      {"<a>&#x110000;</a>", "A malformed character reference"},
      {"<a>&#4294967361;</a>", "A malformed character reference"},
      {"<a>&#18446744073709551681;</a>", "A malformed character reference"},
      {"<a b='&#0;'/>", "A malformed character reference"},
      {"<a>]]></a>", "]]> in text"},
      {"<a>x]]]></a>", "]]> in text"},
      {"<a><!-- -- --></a>", "Two hyphens inside a comment"},
      {"<a><!-- ---></a>", "Two hyphens inside a comment"},
      {"<!--->", "The document ends too early"},
      {"<a><!- x --></a>", "Malformed markup"},
      {"<a><!x></a>", "Malformed markup"},
      {"<a><![cdata[x]]></a>", "Malformed markup"},
      {"<a><![CDATA [x]]></a>", "Malformed markup"},
      {"<!x><a/>", "Malformed markup"},
      {" <?xml version='1.0'?><a/>", "An XML declaration that is not at the start"},
      {"<!-- --><?xml version='1.0'?><a/>", "An XML declaration that is not at the start"},
      {"<a><?xml version='1.0'?></a>", "An XML declaration that is not at the start"},
      {"<a/><?xml version='1.0'?>", "An XML declaration that is not at the start"},
      {"<?XML version='1.0'?><a/>", "An XML declaration that is not at the start"},
      {"<?xml?><a/>", "An XML declaration that is not at the start"},
      {"<?xml ?><a/>", "A malformed XML declaration"},
      {"<?xml encoding='UTF-8'?><a/>", "A malformed XML declaration"},
      {"<?xml version='2.0'?><a/>", "A malformed XML declaration"},
      {"<?xml version='1.'?><a/>", "A malformed XML declaration"},
      {"<?xml version='1.0\"?><a/>", "A malformed XML declaration"},
      {"<?xml version='1.0'encoding='UTF-8'?><a/>", "A malformed XML declaration"},
      {"<?xml version='1.0' standalone='maybe'?><a/>", "A malformed XML declaration"},
      {"<?xml version='1.0' standalone='yes' encoding='UTF-8'?><a/>", "A malformed XML declaration"},
      {"<?xml version='1.0' color='red'?><a/>", "A malformed XML declaration"},
      {"<?xml version='1.0'><a/>", "A malformed XML declaration"},
      {"<?xml version='1.0' encoding='UTF-16'?><a/>", "An encoding other than UTF-8"},
      {"<?xml version='1.0' encoding='iso-8859-1'?><a/>", "An encoding other than UTF-8"},
      {"<?xml version='1.0' encoding=''?><a/>", "An encoding other than UTF-8"},
      {"<a><?1?></a>", "A malformed name"},
      {"<a><?" "?></a>", "A malformed name"},
      {"<a><?p:q?></a>", "A malformed processing instruction"},
      {"<!DOCTYPE a><a/>", "A document type declaration"},
      {"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "A document type declaration"},
      {"<a><!DOCTYPE b></a>", "A document type declaration"},
      {"<a/><!DOCTYPE a>", "A document type declaration"},
      {"<!doctype a><a/>", "Malformed markup"},
      {"\xFF\xFE<\0a\0/\0>\0"s, "Text outside the root element"},
      {"<a>\0</a>"s, "A character XML does not allow"},
      {"<a/>\0"s, "Text outside the root element"},
      {"<a/>\0<b/>"s, "Text outside the root element"},
      {"<a b='\0'/>"s, "A character XML does not allow"},
      {"<a\0/>"s, "An attribute without white space before it"},
      {"<a><!-- \0 --></a>"s, "A character XML does not allow"},
      {"<a>\x01</a>", "A character XML does not allow"},
      {"<a b='\x1F'/>", "A character XML does not allow"},
      {"<a><![CDATA[\x0B]]></a>", "A character XML does not allow"},
      {"<a><!-- \x02 --></a>", "A character XML does not allow"},
      {"<a><?p \x03?></a>", "A character XML does not allow"},
      {"<a>\x80</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xC0\xAF</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xC1\xBF</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xC3</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xE0\x9F\xBF</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xE6\x97</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xED\xA0\x80</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xED\xBF\xBF</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xEF\xBF\xBE</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xEF\xBF\xBF</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xF0\x8F\xBF\xBF</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xF4\x90\x80\x80</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xF5\x80\x80\x80</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xFF</a>", "Not UTF-8, or a character XML does not allow"},
      {"<a b='\xC3'/>", "Not UTF-8, or a character XML does not allow"},
      {"<a><!--\xFF--></a>", "Not UTF-8, or a character XML does not allow"},
      {"<a>\xC3", "Not UTF-8, or a character XML does not allow"},
      {"<\xC3/>", "A malformed name"},
      {"<\xC3\x97/>", "A malformed name"},
      {"<a\xC3\x97/>", "A malformed name"},
      {"<\xC2\xB7/>", "A malformed name"},
      {"\xEF\xBB\xBF\xEF\xBB\xBF<a/>", "Text outside the root element"},
  };
  for (const auto& row : table) {
    const auto& bytes = row.first;
    const auto& reason = row.second;
    CAPTURE(bytes);
    CHECK(refused(bytes) == reason);
  }
}

TEST_CASE("each limit on XML holds exactly (GRM-30, SEC-XML-2, Q03)") {
  limits l;
  l.xml_depth = 5;
  l.xml_elements = 7;
  l.xml_attributes = 3;
  l.xml_text_bytes = 4;
  l.body_bytes = 100;
  CHECK(refused(repeat("<a>", 5) + repeat("</a>", 5), l) == "");
  CHECK(refused(repeat("<a>", 6) + repeat("</a>", 6), l) == "Elements nested too deeply");
  CHECK(refused(repeat("<a>", 5) + "<b/>" + repeat("</a>", 5), l) == "Elements nested too deeply");
  CHECK(refused("<a>" + repeat("<b/>", 6) + "</a>", l) == "");
  CHECK(refused("<a>" + repeat("<b/>", 7) + "</a>", l) == "Too many elements");
  CHECK(refused("<a b='' c='' d=''/>", l) == "");
  CHECK(refused("<a b='' c='' d='' e=''/>", l) == "Too many attributes");
  CHECK(refused("<a>1234</a>", l) == "");
  CHECK(refused("<a>12345</a>", l) == "Too long a text");
  CHECK(refused("<a>1234<b/>1234</a>", l) == "");
  CHECK(refused("<a><![CDATA[1234]]></a>", l) == "");
  CHECK(refused("<a><![CDATA[12345]]></a>", l) == "Too long a text");
  CHECK(refused("<a b='1234'/>", l) == "");
  CHECK(refused("<a b='12345'/>", l) == "Too long an attribute value");
  CHECK(refused("<a/>" + repeat(" ", 96), l) == "");
  CHECK(refused("<a/>" + repeat(" ", 97), l) == "The document is too long");

  CHECK(refused(repeat("<a>", 64) + repeat("</a>", 64)) == "");
  CHECK(refused(repeat("<a>", 65) + repeat("</a>", 65)) == "Elements nested too deeply");
  CHECK(refused("<a>" + repeat("<b/>", 9999) + "</a>") == "");
  CHECK(refused("<a>" + repeat("<b/>", 10000) + "</a>") == "Too many elements");
}

TEST_CASE("a limit set too generously does not open the door to recursion or to quadratic work (SEC-DOS-9)") {
  limits l = wide();
  l.xml_depth = l.xml_attributes = l.xml_elements = l.xml_text_bytes = SIZE_MAX;
  CHECK(refused(repeat("<a>", xml::deepest) + repeat("</a>", xml::deepest), l) == "");
  CHECK(refused(repeat("<a>", xml::deepest + 1) + repeat("</a>", xml::deepest + 1), l) == "Elements nested too deeply");
  CHECK(refused(repeat("<a>", 100000), l) == "Elements nested too deeply");
  std::string attributes;
  for (int i = 0; i < 100000; ++i) attributes += " name" + std::to_string(i) + "=''";
  CHECK(attributes.size() > 1 << 20);
  CHECK(refused("<a" + attributes + "/>", l) == "Too many attributes");
  std::string declarations;
  for (int i = 0; i < 200; ++i) declarations += " xmlns:a" + std::to_string(i) + "='u'";
  CHECK(refused("<a" + declarations + "/>", l) == "Too many namespace declarations");
  CHECK(refused("<a>" + repeat("<b/>", 100000) + "</a>", l) == "");
  CHECK(refused("<a>" + repeat("x", 1 << 20) + "</a>", l) == "");
}

TEST_CASE("the place of an error is told") {
  const auto tree = xml::parser::of_this_thread().parse("<a>\n<b>&x;</b></a>", {});
  REQUIRE(!tree);
  CHECK(tree.error().offset == 7);
  const auto twice = xml::parser::of_this_thread().parse("<a b='' b=''/>", {});
  REQUIRE(!twice);
  CHECK(twice.error().offset == 8);
}

TEST_CASE("every node tells where it stands in the document") {
  const std::string bytes = "\xEF\xBB\xBF<?xml version='1.0'?><a x='&amp;1' ><b/><c>t&#65;</c ></a>";
  const auto result = xml::parser::of_this_thread().parse(bytes, {});
  REQUIRE(result);
  const xml::tree& tree = *result.value();
  const auto part = [&](std::uint32_t from, std::uint32_t to) { return bytes.substr(from, to - from); };
  REQUIRE(tree.nodes.size() == 4);
  const xml::node& a = tree.root();
  CHECK(part(a.begin, a.name_end) == "<a");
  CHECK(part(a.content, a.content_end) == "<b/><c>t&#65;</c >");
  CHECK(part(a.end, static_cast<std::uint32_t>(bytes.size())) == "");
  const xml::attribute* x = tree.find(a, "", "x");
  REQUIRE(x != nullptr);
  CHECK(x->value == "&1");
  CHECK(part(x->begin, x->value_end + 1) == "x='&amp;1'");
  CHECK(part(tree.nodes[1].begin, tree.nodes[1].end) == "<b/>");
  CHECK(tree.nodes[1].content == tree.nodes[1].content_end);
  CHECK(part(tree.nodes[2].begin, tree.nodes[2].end) == "<c>t&#65;</c >");
  CHECK(tree.nodes[3].text);
  CHECK(tree.find(a, "", "y") == nullptr);
}

TEST_CASE("text in pieces reads as one") {
  std::string room;
  const auto text = [&](std::string_view bytes) {
    const auto tree = xml::parser::of_this_thread().parse(bytes, {});
    REQUIRE(tree);
    return std::string{tree.value()->text_of(tree.value()->root(), room)};
  };
  CHECK(text("<a/>") == "");
  CHECK(text("<a>x</a>") == "x");
  CHECK(text("<a>x<!-- -->y<![CDATA[z]]><b>no</b>!</a>") == "xyz!");
}

TEST_CASE("a parser can be used again after errors, large documents and rest") {
  xml::parser p;
  const std::string large = "<a>" + repeat("<b c='d'>e</b>", 4000) + "</a>";
  for (int i = 0; i < 3; ++i) {
    CHECK(!p.parse("<a>", {}));
    CHECK(!p.parse("<p:a/>", {}));
    const auto tree = p.parse(large, {});
    REQUIRE(tree);
    CHECK(tree.value()->nodes.size() == 8001);
    p.rest();
    REQUIRE(p.parse("<a>x</a>", {}));
    p.rest();
    p.rest();
  }
}

TEST_CASE("random damage never gets past the check unseen: what is accepted reads the same after writing (PROP-11)") {
  const std::string seeds[] = {
      "<?xml version='1.0'?><a xmlns='u' xmlns:p='v' p:x='1'><p:b>t&amp;&#65;</p:b><!-- c --><![CDATA[d]]></a>",
      "\xEF\xBB\xBF<a b=\"c\"><d><e f='\xC3\xA9'/></d> g ]] <?h i?></a>\n",
  };
  const std::string pieces[] = {"<", ">", "/", "&", ";", "'", "\"", "]]>", "<!--", "-->", "<![CDATA[", "<?", "?>", "xmlns", ":",
                                "=", " ", "\0"s, "\x01", "\xC3", "\xED\xA0\x80", "a", "&#", "x", "<a>", "</a>", "<b/>"};
  std::mt19937 random{20240501};
  const auto pick = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random); };
  int accepted = 0;
  for (int round = 0; round < 60000; ++round) {
    std::string bytes = seeds[pick(2)];
    for (std::size_t edits = 1 + pick(3); edits > 0; --edits) {
      const std::size_t at = pick(bytes.size() + 1);
      switch (pick(3)) {
        case 0: bytes.erase(at, 1 + pick(3)); break;
        case 1: bytes.insert(at, pieces[pick(std::size(pieces))]); break;
        default: {
          const std::size_t from = pick(bytes.size() + 1);
          bytes.insert(at, bytes.substr(from, 1 + pick(12)));
        }
      }
    }
    const auto tree = xml::parser::of_this_thread().parse(bytes, {});
    if (!tree) continue;
    ++accepted;
    // Write it anew with the names as they are, then compare the trees.
    const auto written = [&](const auto& self, const xml::node& of) -> std::string {
      const xml::tree& t = *tree.value();
      std::string out;
      if (of.text) {
        xml::append_text(out, of.label);
        return out;
      }
      const std::string name{bytes.substr(of.begin + 1, of.name_end - of.begin - 1)};
      out = "<" + name;
      for (const xml::attribute& a : t.attributes_of(of)) {
        xml::append_attribute(out, bytes.substr(a.begin, bytes.find_first_of("= \t\r\n", a.begin) - a.begin), a.value);
      }
      out += '>';
      for (const xml::node& child : t.children(of)) out += self(self, child);
      return out + "</" + name + ">";
    };
    const std::string again = written(written, tree.value()->root());
    CAPTURE(bytes);
    CHECK(shown(*tree.value(), tree.value()->root()) == shown(again));
  }
  CHECK(accepted > 1000);
}

TEST_CASE("ids are NCNames (GRM-21)") {
  for (const char* good : {"a", "_", "t4711", "a-b.c_d", "\xC3\xA9t\xC3\xA9", "a\xC2\xB7"}) CHECK(xml::is_ncname(good));
  for (const char* bad : {"", "1", "-a", ".a", "a:b", ":", "a b", " a", "a!", "\xC2\xB7", "\xC3", "a\xC3", "a\xFF", "a/b"}) {
    CHECK_FALSE(xml::is_ncname(bad));
  }
  CHECK_FALSE(xml::is_ncname("a\0b"s));
  CHECK_FALSE(xml::is_ncname(std::string_view{"\xC3\xA9", 1}));
}

TEST_CASE("booleans and white space") {
  CHECK(xml::parse_boolean("1") == true);
  CHECK(xml::parse_boolean(" true\n") == true);
  CHECK(xml::parse_boolean("0") == false);
  CHECK(xml::parse_boolean("false") == false);
  for (const char* bad : {"", "TRUE", "yes", "2", "t rue"}) CHECK(!xml::parse_boolean(bad));
  CHECK(xml::trimmed(" \t\r\n") == "");
  CHECK(xml::trimmed(" a b ") == "a b");
}

TEST_CASE("date and time are checked to the letter (GRM-22)") {
  using namespace std::chrono;
  const auto at = [](int y, unsigned m, unsigned d, int h, int min, int s, int ms = 0) {
    return presence::instant{sys_days{year{y} / month{m} / day{d}}} + hours{h} + minutes{min} + seconds{s} + milliseconds{ms};
  };
  const std::pair<const char*, presence::instant> good[] = {
      {"2024-05-01T10:00:00Z", at(2024, 5, 1, 10, 0, 0)},
      {" 2024-05-01T10:00:00Z\n", at(2024, 5, 1, 10, 0, 0)},
      {"2024-02-29T23:59:59+00:00", at(2024, 2, 29, 23, 59, 59)},
      {"2000-02-29T00:00:00Z", at(2000, 2, 29, 0, 0, 0)},
      {"2024-05-01T10:00:00.5Z", at(2024, 5, 1, 10, 0, 0, 500)},
      {"2024-05-01T10:00:00.1239999999999999999Z", at(2024, 5, 1, 10, 0, 0, 123)},
      {"2024-05-01T00:30:00+01:00", at(2024, 4, 30, 23, 30, 0)},
      {"2024-12-31T23:30:00-05:30", at(2025, 1, 1, 5, 0, 0)},
      {"2024-12-31T24:00:00Z", at(2025, 1, 1, 0, 0, 0)},
      {"2024-12-31T24:00:00.000Z", at(2025, 1, 1, 0, 0, 0)},
      {"0001-01-01T00:00:00Z", at(1, 1, 1, 0, 0, 0)},
      {"9999-12-31T23:59:59Z", at(9999, 12, 31, 23, 59, 59)},
      {"2024-05-01T10:00:00+14:00", at(2024, 4, 30, 20, 0, 0)},
  };
  for (const auto& row : good) {
    const auto& text = row.first;
    const auto& when = row.second;
    CAPTURE(text);
    CHECK(xml::parse_date_time(text) == when);
  }
  for (const char* bad : {"", "2024", "2024-05-01", "2024-05-01T10:00:00", "2024-05-01 10:00:00Z", "2024-05-01t10:00:00Z",
                          "2024-05-01T10:00:00z", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z",
                          "2024-00-01T00:00:00Z", "2024-13-01T00:00:00Z", "2024-01-00T00:00:00Z", "2024-04-31T00:00:00Z",
                          "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "-2024-01-01T00:00:00Z", "24-01-01T00:00:00Z",
                          "2024-05-01T24:00:01Z", "2024-05-01T24:01:00Z", "2024-05-01T24:00:00.001Z", "2024-05-01T25:00:00Z",
                          "2024-05-01T10:60:00Z", "2024-05-01T10:00:60Z", "2024-05-01T10:00:00.Z", "2024-05-01T10:00:00,5Z",
                          "2024-05-01T10:00:00+1:00", "2024-05-01T10:00:00+01", "2024-05-01T10:00:00+01:60",
                          "2024-05-01T10:00:00+14:01", "2024-05-01T10:00:00+24:00", "2024-05-01T10:00:00Zx", "2024-05-01T10:00Z",
                          "2024-5-1T10:00:00Z", "2024-05-01T1:00:00Z", "2024-05-01T-1:00:00Z"}) {
    CAPTURE(bad);
    CHECK(!xml::parse_date_time(bad));
  }
}

TEST_CASE("what is written can be read back, and nothing escapes its quotes (SEC-XML-4)") {
  const std::string nasty[] = {"", "plain", "<a b='c' d=\"e\">&amp;</a>", "]]>", "]]]]>>", "\t\n\r x", "\xC3\xA9\xF0\x9F\x98\x80"};
  for (const std::string& text : nasty) {
    CAPTURE(text);
    std::string bytes = "<a";
    xml::append_attribute(bytes, "b", text);
    bytes += "><c/>x";
    xml::append_text(bytes, text);
    bytes += "</a>";
    const auto tree = xml::parser::of_this_thread().parse(bytes, {});
    REQUIRE(tree);
    CHECK(tree.value()->find(tree.value()->root(), "", "b")->value == text);
    std::string room;
    CHECK(tree.value()->text_of(tree.value()->root(), room) == "x" + text);
  }
  std::string out;
  xml::append_text(out, "a\0\x01\x1F\xFF\xC3 \xED\xA0\x80z"s);
  const std::string r = "\xEF\xBF\xBD";
  CHECK(out == "a" + r + r + r + r + r + " " + r + r + r + "z");
  CHECK(refused("<a>" + out + "</a>") == "");
}
