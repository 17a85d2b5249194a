// Documents to publish whose parts are valid wherever they stand: every element of RFC 4480 to 4482 and
// 5196, written with any prefixes, declared anywhere, the children in any order.
//
// In the material `~r:` stands for the prefix of a namespace, by these letters:
//   p pidf   m data-model   r rpid   t timed-status   i cipid   c caps   l location-type   d dialog-info
//   x a namespace nobody knows; its `kind` holds a name in a value
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace presence::test {

class dice {
 public:
  explicit dice(unsigned seed) : source_{seed} {}
  /// 0 to n - 1.
  std::size_t below(std::size_t n) { return source_() % n; }
  bool one_in(std::size_t n) { return below(n) == 0; }
  template <class List>
  auto& pick(List& from) {
    return from[below(std::size(from))];
  }
  template <class List>
  void shuffle(List& list) {
    for (std::size_t n = list.size(); n > 1; --n) std::swap(list[n - 1], list[below(n)]);
  }

 private:
  std::mt19937 source_;
};

inline constexpr std::pair<char, std::string_view> namespaces[] = {
    {'p', "urn:ietf:params:xml:ns:pidf"},
    {'m', "urn:ietf:params:xml:ns:pidf:data-model"},
    {'r', "urn:ietf:params:xml:ns:pidf:rpid"},
    {'t', "urn:ietf:params:xml:ns:pidf:timed-status"},
    {'i', "urn:ietf:params:xml:ns:pidf:cipid"},
    {'c', "urn:ietf:params:xml:ns:pidf:caps"},
    {'l', "urn:ietf:params:xml:ns:location-type"},
    {'d', "urn:ietf:params:xml:ns:dialog-info"},
    {'x', "urn:example:foreign"},
};

/// Which prefix each namespace has; one may be the default.
class spelling {
 public:
  explicit spelling(dice& d) {
    std::vector<std::string> names{"a", "m", "r", "p", "dm", "rpid", "pidf", "_", "ns-1.0", "x"};
    d.shuffle(names);
    for (std::size_t i = 0; i < std::size(namespaces); ++i) prefixes_[namespaces[i].first] = names[i] + ":";
    if (!d.one_in(3)) prefixes_[d.pick(namespaces).first].clear();
  }
  std::string declaration(char letter) const {
    const std::string& prefix = prefixes_.at(letter);
    const auto known = std::find_if(std::begin(namespaces), std::end(namespaces),
                                    [&](const auto& n) { return n.first == letter; });
    return " xmlns" + (prefix.empty() ? std::string{} : ":" + prefix.substr(0, prefix.size() - 1)) + "='" +
           std::string{known->second} + "'";
  }
  std::string declarations() const {
    std::string all;
    for (const auto& n : namespaces) all += declaration(n.first);
    return all;
  }
  std::string operator()(std::string_view material) const {
    std::string out;
    for (std::size_t i = 0; i < material.size(); ++i) {
      if (material[i] != '~') {
        out += material[i];
      } else {
        out += prefixes_.at(material[i + 1]);
        i += 2;  // the letter and the colon
      }
    }
    return out;
  }

 private:
  std::map<char, std::string> prefixes_;
};

/// A child of the root: its children in the order of the schema.
struct part {
  std::string name, attributes;
  std::vector<std::string> children;
};

/// A document made of parts, in any order.
inline std::string written(dice& d, std::string_view root, std::string_view attributes, std::vector<part> parts) {
  const bool early = !d.one_in(3);  // the root declares everything
  const bool ordered = d.one_in(3);
  const spelling outer{d};
  const auto gap = [&] { return std::array<std::string_view, 4>{"", "\n  ", "<!-- a:b -->", "\t"}[d.below(4)]; };
  const std::string name = outer(root);
  std::string out = d.one_in(2) ? "<?xml version='1.0' encoding='UTF-8'?>\n" : "";
  out += "<" + name + (early ? outer.declarations() : outer.declaration(root[1])) + " " + std::string{attributes} + ">";
  if (!ordered) d.shuffle(parts);
  for (part& p : parts) {
    const spelling inner = early ? outer : spelling{d};
    if (!ordered) d.shuffle(p.children);
    const std::string own = inner(p.name);
    const std::string start = "<" + own + (early ? "" : inner.declarations()) + " " + p.attributes + ">";
    (out += gap()) += start;
    for (const std::string& child : p.children) (out += gap()) += inner(child);
    ((out += gap()) += "</") += own + ">";
  }
  ((out += gap()) += "</") += name + ">";
  if (d.one_in(2)) std::replace(out.begin(), out.end(), '\'', '"');
  return out;
}

inline constexpr std::string_view activity_words =
    "appointment away breakfast busy dinner holiday in-transit looking-for-work meal meeting on-the-phone performance "
    "permanent-absence playing presentation shopping sleeping spectator steering travel tv vacation working worship ";
inline constexpr std::string_view mood_words =
    "afraid amazed angry annoyed anxious ashamed bored brave calm cold confused contented cranky curious depressed "
    "disappointed disgusted distracted embarrassed excited flirtatious frustrated grumpy guilty happy hot humbled "
    "humiliated hungry hurt impressed in_awe in_love indignant interested invincible jealous lonely mean moody nervous "
    "neutral offended playful proud relieved remorseful restless sad sarcastic serious shocked shy sick sleepy stressed "
    "surprised thirsty worried ";

/// All the words as empty elements, or about one in `n` of them; never none.
inline std::string words(dice& d, std::string_view list, std::size_t n) {
  std::string out, last;
  for (std::size_t at = 0; at < list.size();) {
    const std::size_t end = list.find(' ', at);
    last = "<~r:" + std::string{list.substr(at, end - at)} + "/>";
    if (d.one_in(n)) out += last;
    at = end + 1;
  }
  return out.empty() ? last : out;
}

inline constexpr std::string_view notes[] = {
    "note>at my desk</~?:note>", "note xml:lang='de'>Grüße &amp; so &lt;weiter&gt;</~?:note>", "note xml:lang=''/>",
    "note xml:lang='ja'><![CDATA[<会議中>]]></~?:note>", "note> r:x &#38; p:y </~?:note>"};
/// A note in the namespace with this letter.
inline std::string note_in(char letter, dice& d) {
  std::string text = std::string{"<~"} + letter + ":" + std::string{d.pick(notes)};
  std::replace(text.begin(), text.end(), '?', letter);
  return text;
}

inline constexpr std::string_view timestamps[] = {"2005-10-27T16:49:29Z", "2026-01-01T00:00:00.125-05:00",
                                                  "2024-02-29T24:00:00Z"};

inline constexpr std::string_view statuses[] = {
    "<~p:status><~p:basic>open</~p:basic></~p:status>", "<~p:status><~p:basic>closed</~p:basic></~p:status>", "<~p:status/>",
    "<~p:status><~x:box/><~p:basic>open</~p:basic><~x:kind is='~x:away'/></~p:status>",
    "<~p:status><~p:basic><![CDATA[op]]>en</~p:basic><~x:kind is='~x:busy'/></~p:status>", "<~p:status><~x:box/></~p:status>"};

inline constexpr std::string_view anywhere[] = {
    "<~r:class>work</~r:class>",
    "<~r:user-input idle-threshold='600' last-input='2024-10-21T13:20:00-05:00'>idle</~r:user-input>",
    "<~r:user-input>active</~r:user-input>",
    "<~x:kind is='~r:busy'/>",
    "<x:kind xmlns:x='urn:example:foreign' xmlns:u='urn:ietf:params:xml:ns:pidf' is='u:x' u:mustUnderstand='true'/>",
    "<~x:box><~x:kind is='~m:person'/><~m:deviceID>urn:x-dev:1</~m:deviceID><plain xmlns=''>&#9;</plain></~x:box>"};
inline constexpr std::string_view for_tuples[] = {
    "<~r:relationship><~r:note>hers</~r:note><~r:assistant/></~r:relationship>",
    "<~r:relationship><~r:other xml:lang='en'>neighbour</~r:other></~r:relationship>",
    "<~r:service-class><~r:courier/></~r:service-class>",
    "<~r:service-class><~r:note>n</~r:note><~x:kind is='~x:pigeon'/></~r:service-class>",
    "<~r:privacy><~r:audio/><~r:text/><~r:video/><~x:box/></~r:privacy>",
    "<~r:status-icon from='2024-01-01T00:00:00Z'>http://example.com/icon?a=b&amp;c=d</~r:status-icon>",
    "<~m:deviceID>urn:uuid:d27459b7-8213-4395-aa77-ed859a3e5b3a</~m:deviceID>",
    "<~t:timed-status from='2030-01-01T00:00:00Z' until='2031-01-01T00:00:00Z'><~t:basic>closed</~t:basic></~t:timed-status>",
    "<~i:card>http://example.com/card.vcf</~i:card>",
    "<~i:display-name>Alice &lt;A.&gt;</~i:display-name>",
    "<~c:servcaps><~c:actor><~c:supported><~c:principal/></~c:supported></~c:actor><~c:audio>true</~c:audio>"
    "<~c:description xml:lang='en'>phone</~c:description><~c:duplex><~c:supported><~c:full/></~c:supported>"
    "<~c:notsupported><~c:half/></~c:notsupported></~c:duplex><~c:methods><~c:supported><~c:ACK/><~c:INVITE/>"
    "</~c:supported></~c:methods><~c:priority><~c:supported><~c:range minvalue='1' maxvalue='9'/></~c:supported>"
    "</~c:priority><~c:type>text/plain</~c:type><~x:box/></~c:servcaps>"};
inline constexpr std::string_view for_persons[] = {
    "<~r:activities><~r:unknown/></~r:activities>", "<~r:activities><~r:note>no word</~r:note></~r:activities>",
    "<~r:activities><~r:other>juggling</~r:other><~x:kind is='~x:y'/></~r:activities>", "<~r:mood id='m'><~r:unknown/></~r:mood>",
    "<~r:place-is until='2030-01-01T00:00:00Z'><~r:note>loud</~r:note><~r:audio><~r:noisy/></~r:audio>"
    "<~r:video><~r:dark/></~r:video><~r:text><~r:inappropriate/></~r:text></~r:place-is>",
    "<~r:place-type><~r:note>n</~r:note><~l:office/></~r:place-type>", "<~r:place-type><~r:other>cave</~r:other></~r:place-type>",
    "<~r:privacy><~r:note>n</~r:note><~r:unknown/></~r:privacy>", "<~r:sphere><~r:work/></~r:sphere>",
    "<~r:sphere from='2020-01-01T00:00:00Z' until='2040-01-01T00:00:00Z'><~x:kind is='~x:gym'/></~r:sphere>", "<~r:sphere/>",
    "<~r:status-icon>http://example.com/i</~r:status-icon>", "<~r:time-offset description='CEST'>120</~r:time-offset>",
    "<~i:homepage>http://example.com/</~i:homepage>", "<~i:icon>http://example.com/i.png</~i:icon>",
    "<~i:map>http://example.com/m</~i:map>", "<~i:sound>http://example.com/s.wav</~i:sound>"};
inline constexpr std::string_view for_devices[] = {
    "<~c:devcaps><~c:description xml:lang='fr'>mobile</~c:description><~c:mobility><~c:supported><~c:mobile/></~c:supported>"
    "</~c:mobility></~c:devcaps>"};

inline const std::string ids[] = {"t1", "t2", "p1", "v1", "été", "_1"};

/// All of it, or a random choice.
template <std::size_t N>
void add(std::vector<std::string>& to, const std::string_view (&from)[N], dice& d, bool all) {
  for (const std::string_view one : from)
    if (all || d.one_in(6)) to.emplace_back(one);
}

inline part tuple(dice& d, const std::string& id, bool all = false) {
  part p{"~p:tuple", "id='" + id + "'", {std::string{d.pick(statuses)}}};
  add(p.children, anywhere, d, all);
  add(p.children, for_tuples, d, all);
  if (all || d.one_in(2)) p.children.emplace_back("<~p:contact priority='0.8'>sip:alice@desk.example.com;line=1</~p:contact>");
  for (std::size_t n = d.below(3); n != 0; --n) p.children.push_back(note_in('p', d));
  if (all || d.one_in(2)) p.children.push_back("<~p:timestamp>" + std::string{d.pick(timestamps)} + "</~p:timestamp>");
  return p;
}

inline part person(dice& d, const std::string& id, bool all = false) {
  part p{"~m:person", "id=' " + id + "\t'", {}};
  add(p.children, anywhere, d, all);
  add(p.children, for_persons, d, all);
  if (all || d.one_in(3))
    p.children.push_back("<~r:activities><~r:note>n</~r:note>" + words(d, activity_words, all ? 1 : 8) + "</~r:activities>");
  if (all || d.one_in(3)) p.children.push_back("<~r:mood>" + words(d, mood_words, all ? 1 : 16) + "</~r:mood>");
  for (std::size_t n = d.below(3); n != 0; --n) p.children.push_back(note_in('m', d));
  if (all || d.one_in(2)) p.children.push_back("<~m:timestamp>" + std::string{d.pick(timestamps)} + "</~m:timestamp>");
  return p;
}

inline part device(dice& d, const std::string& id, bool all = false) {
  part p{"~m:device", "id='" + id + "'", {}};
  add(p.children, anywhere, d, all);
  add(p.children, for_devices, d, all);
  p.children.emplace_back("<~m:deviceID>urn:x-mac:0003ba4811e3</~m:deviceID>");
  for (std::size_t n = d.below(3); n != 0; --n) p.children.push_back(note_in('m', d));
  if (all || d.one_in(2)) p.children.push_back("<~m:timestamp>" + std::string{d.pick(timestamps)} + "</~m:timestamp>");
  return p;
}

/// A presence document; `all`: with every element there is.
inline std::string presence_document(dice& d, bool all = false) {
  std::vector<std::string> free{std::begin(ids), std::end(ids)};
  d.shuffle(free);
  std::vector<part> parts;
  const auto each = [&](auto make, std::size_t most) {
    for (std::size_t n = all ? 1 : d.below(most); n != 0; --n, free.pop_back()) parts.push_back(make(d, free.back(), all));
  };
  each(tuple, 4);
  each(person, 3);
  each(device, 2);
  for (std::size_t n = d.below(3); n != 0; --n) parts.push_back({"~p:note", "xml:lang='en'", {"out &amp; about"}});
  if (all || d.one_in(3)) parts.push_back({"~x:box", "", {"<~x:kind is='~p:tuple'/>", note_in('p', d)}});
  if (all || d.one_in(3)) parts.push_back({"~i:map", "", {"http://example.com/m"}});
  const std::string_view roots[] = {"entity='pres:alice@example.com'", "xml:lang='nl' entity='pres:alice@example.com' xml:space='preserve'"};
  return written(d, "~p:presence", d.pick(roots), std::move(parts));
}

/// What one end of a call says of itself.
inline std::string participant(dice& d, const std::string& name) {
  std::vector<std::string> all;
  for (const char* one :
       {"<~d:identity display='A &amp; B'>sip:a@example.com</~d:identity>",
        "<~d:target uri='sip:a@192.0.2.1'><~d:param pname='+sip.rendering' pval='no'/></~d:target>",
        "<~d:session-description type='application/sdp'>v=0&#13;&#10;</~d:session-description>", "<~d:cseq>7</~d:cseq>",
        "<~x:kind is='~x:ear'/>"})
    if (d.one_in(2)) all.emplace_back(one);
  d.shuffle(all);
  std::string out = "<~d:" + name + ">";
  for (const std::string& one : all) out += one;
  return out + "</~d:" + name + ">";
}

inline part dialog(dice& d, const std::string& id, bool all) {
  static constexpr std::string_view states[] = {
      "<~d:state>trying</~d:state>", "<~d:state>proceeding</~d:state>", "<~d:state>early</~d:state>",
      "<~d:state code='200'>confirmed</~d:state>", "<~d:state> confirmed <!-- --></~d:state>",
      "<~d:state event='remote-bye' code='487'>terminated</~d:state>", "<~d:state event='replaced'>terminated</~d:state>"};
  part p{"~d:dialog", "id='" + id + "'", {std::string{d.pick(states)}}};
  if (d.one_in(2)) p.attributes += " call-id='c" + id + "@192.0.2.1' local-tag='l' remote-tag='&quot;r'";
  if (d.one_in(2)) p.attributes += d.one_in(2) ? " direction='initiator'" : " direction='recipient'";
  const auto maybe = [&](std::string text) {
    if (all || d.one_in(3)) p.children.push_back(std::move(text));
  };
  maybe("<~d:duration>274</~d:duration>");
  maybe("<~d:replaces call-id='a' local-tag='b' remote-tag='c'/>");
  maybe("<~d:referred-by display='C'>sip:c@example.com</~d:referred-by>");
  maybe("<~d:route-set><~d:hop>sip:proxy.example.com;lr</~d:hop></~d:route-set>");
  maybe(participant(d, "local"));
  maybe(participant(d, "remote"));
  maybe("<~x:kind is='~x:line'/>");
  maybe("<~x:box><~d:note/></~x:box>");
  return p;
}

inline std::string dialog_document(dice& d, bool all = false) {
  std::vector<std::string> free{"1", "&lt;&amp;&quot;", "é 2"};
  d.shuffle(free);
  std::vector<part> parts;
  for (std::size_t n = d.below(4); n != 0; --n, free.pop_back()) parts.push_back(dialog(d, free.back(), all));
  if (d.one_in(3)) parts.push_back({"~x:box", "", {}});
  const std::string state = d.one_in(3) ? "partial" : "full";
  return written(d, "~d:dialog-info", "version='0' state='" + state + "' entity='sip:alice@example.com'", std::move(parts));
}

}  // namespace presence::test
