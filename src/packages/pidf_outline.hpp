/// Finds the parts of a component that presence rules let pass one by one (RFC 5025 section 3.3; POL-TR
/// rows). Part of pidf_check.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include <presence/rules.hpp>

#include "pidf.hpp"
#include "pidf_meaning.hpp"
#include "pidf_scope.hpp"
#include "pidf_tidy.hpp"

namespace presence::pidf {

constexpr std::uint32_t bit(shown_attribute a) noexcept { return 1U << static_cast<unsigned>(a); }

/// Makes the outlines of one document, fragment after fragment. The scope is at the fragment.
class outliner {
 public:
  outliner(const xml::tree& tree, meaning_of_elements& means, scope& names, outline& out)
      : tree_{tree}, means_{means}, scope_{names}, out_{out} {}

  outline::entry component(const xml::node& c, pidf::component kind) {
    begin();
    scope_.enter(c);
    entry_.meaning = meaning_of_name(c).value();
    entry_.inherited = scope_.used_by_name(name_of(c));
    attributes(c, always, [](const xml::attribute& a) {
      return a.uri.empty() && a.local == "id" ? outline::id : outline::everything;
    });
    for (const xml::node& child : tree_.children(c))
      if (!child.text) this->child(child, kind);
    part(c.content_end, c.end, always, 0);
    entry_.own = scope_.own();
    return end();
  }

  /// A note or foreign element beside the components: shown or not as one.
  outline::entry whole(const xml::node& n, std::uint64_t meaning) {
    begin();
    if (n.is(pidf_uri, "note") || n.is(model_uri, "note")) {
      part(n.begin, n.end, bit(shown_attribute::note), meaning);
    } else {
      unknown(n, meaning);
    }
    return end();
  }

 private:
  static constexpr std::uint32_t always = 0;

  void begin() {
    const auto parts = static_cast<std::uint32_t>(out_.parts.size());
    const auto facts = static_cast<std::uint32_t>(out_.facts.size());
    entry_ = {.parts = parts, .parts_end = parts, .facts = facts, .facts_end = facts};
  }
  outline::entry end() {
    entry_.parts_end = static_cast<std::uint32_t>(out_.parts.size());
    entry_.facts_end = static_cast<std::uint32_t>(out_.facts.size());
    return entry_;
  }

  void child(const xml::node& c, pidf::component in) {
    const bool service = in == component::tuple;
    if (service && c.is(pidf_uri, "status")) return status(c);
    if (service && c.is(pidf_uri, "contact")) {
      fact(outline::fact::of::contact, c);
      return word(c, always,
                  [](const xml::attribute& a) { return a.uri.empty() && a.local == "priority" ? always : outline::everything; });
    }
    if (c.is(service ? pidf_uri : model_uri, "timestamp")) return word(c, always);
    if (c.is(pidf_uri, "note") || c.is(model_uri, "note")) return piece(c, bit(shown_attribute::note));
    if (c.is(model_uri, "deviceID")) {
      if (in != component::device) return word(c, bit(shown_attribute::device_id));
      fact(outline::fact::of::device_id, c);
      return word(c, always, no_name, outline::device_id);
    }
    if (c.is(rpid_uri, "class")) fact(outline::fact::of::class_, c);
    attribute(c);
  }

  void status(const xml::node& c) {
    const std::uint64_t outside = scope_.enter(c);
    start(c, always, 0, no_name);
    for (const xml::node& s : tree_.children(c)) {
      if (s.text) continue;
      if (s.is(pidf_uri, "basic")) {
        word(s, always);
      } else {
        attribute(s);
      }
    }
    part(c.content_end, c.end, always, 0);
    scope_.leave(outside);
  }

  /// An element that some permission of its own lets pass.
  void attribute(const xml::node& c) {
    if (c.uri == rpid_uri) {
      if (c.label == "user-input")
        return word(c, outline::input_bare, [](const xml::attribute& a) {
          return a.uri.empty() && a.local == "idle-threshold" ? outline::input_thresholds : outline::input_full;
        }, outline::input_bare, outline::input_full);
      using enum shown_attribute;
      struct name_of_attribute {
        std::string_view name;
        shown_attribute is;
      };
      static constexpr std::array<name_of_attribute, 10> known{{
          {"activities", activities}, {"class", class_}, {"mood", mood}, {"place-is", place_is}, {"place-type", place_type},
          {"privacy", privacy}, {"relationship", relationship}, {"sphere", sphere}, {"status-icon", status_icon},
          {"time-offset", time_offset}}};
      const auto found = std::find_if(known.begin(), known.end(), [&](const auto& k) { return k.name == c.label; });
      if (found != known.end()) return element(c, bit(found->is));
    }
    unknown(c, means_.of(c));
  }

  void unknown(const xml::node& c, std::uint64_t meaning) {
    const auto same = [&](const auto& name) { return name.first == c.uri && name.second == c.label; };
    auto& names = out_.names;
    constexpr std::ptrdiff_t recent = 16;  // further back a name may be there twice
    auto at = std::find_if(names.size() > recent ? names.end() - recent : names.begin(), names.end(), same);
    if (at == names.end()) at = names.emplace(at, c.uri, c.label);
    part(c.begin, c.end, outline::unknown, meaning, used_by(c.begin, c.end), static_cast<std::uint32_t>(at - names.begin()));
  }

  /// An element that is shown but for the notes inside of it, which need a permission of their own (POL-TR-16), and
  /// declarations that only they need.
  void element(const xml::node& c, std::uint32_t needs) {
    if (is_note(c)) return piece(c, needs | bit(shown_attribute::note));
    element(c, needs, meaning_without_notes(c));
  }
  /// Recursive: the parser bounds the depth. The meaning is that of the outermost element, for all in it.
  void element(const xml::node& c, std::uint32_t needs, std::uint64_t meaning) {
    if (!has_notes_or_declarations(c)) return part(c.begin, c.end, needs, meaning, used_by(c.begin, c.end));
    const std::uint64_t outside = scope_.enter(c);
    start(c, needs, meaning, [needs](const xml::attribute&) { return needs; });
    std::uint32_t from = c.content;
    const auto text = [&](std::uint32_t until) {
      part(from, until, needs, 0, scope_.prefixes_in(tree_.source.substr(from, until - from)));
    };
    for (const xml::node& inner : tree_.children(c)) {
      if (inner.text) continue;
      text(inner.begin);
      if (is_note(inner)) {
        piece(inner, needs | bit(shown_attribute::note));
      } else {
        element(inner, needs, 0);
      }
      from = inner.end;
    }
    text(c.content_end);
    part(c.content_end, c.end, needs, 0);
    scope_.leave(outside);
  }
  /// Each node with its depth; as meaning_of_elements::of, but for notes.
  std::uint64_t meaning_without_notes(const xml::node& c) {
    digest d;
    boost::container::small_vector<std::uint32_t, 16> ends;  // of the elements around
    for (std::uint32_t i = tree_.index(c); i < c.after;) {
      const xml::node& n = tree_.nodes[i];
      while (!ends.empty() && ends.back() <= i) ends.pop_back();
      const std::uint64_t depth = ends.size() + 1;
      if (n.text) {
        d.add(depth);
        d.add(n.label);
      } else if (is_note(n)) {
        i = n.after;
        continue;
      } else {
        means_.add_start(d, n, depth << 32);
        if (n.after == i + 1) d.add(tree_.source.substr(n.content, n.content_end - n.content));
        ends.push_back(n.after);
      }
      ++i;
    }
    return d.value();
  }
  bool has_notes_or_declarations(const xml::node& c) const {
    for (std::uint32_t i = tree_.index(c); i < c.after; ++i) {
      if (is_note(tree_.nodes[i])) return true;
      const auto all = tree_.attributes_of(tree_.nodes[i]);
      if (std::any_of(all.begin(), all.end(), [](const xml::attribute& a) { return a.declares; })) return true;
    }
    return false;
  }

  // --- elements that say a word ------------------------------------------------------------------
  // Their start tag and text need one thing, what else may be written into them another.

  static constexpr auto no_name = [](const xml::attribute&) { return outline::everything; };

  template <class Needs = decltype(no_name)>
  void word(const xml::node& c, std::uint32_t needs, Needs of_attribute = no_name) {
    word(c, needs, of_attribute, needs);
  }
  template <class Needs>
  void word(const xml::node& c, std::uint32_t needs, Needs of_attribute, std::uint32_t of_text,
            std::uint32_t of_element = outline::everything) {
    const std::uint64_t outside = scope_.enter(c);
    digest said = meaning_of_name(c);
    std::uint64_t sum = 0;  // the same in any order
    for (const xml::attribute& a : tree_.attributes_of(c))
      if (!a.declares && of_attribute(a) == needs) sum += meaning_of(a);
    said.add(sum);
    std::string room;
    if (of_text == needs) said.add(tree_.text_of(c, room));
    start(c, needs, said.value(), of_attribute);

    std::uint32_t from = c.content;
    const auto text = [&](std::uint32_t until) {
      const std::string_view here = tree_.source.substr(from, until - from);
      part(from, until, of_text, of_text == needs ? 0 : meaning_of_text(here));
      if (!here.empty() && of_text == outline::device_id) of_text = bit(shown_attribute::device_id);  // replaced once
    };
    for (const xml::node& inner : tree_.children(c)) {
      if (inner.text) continue;
      text(inner.begin);
      element(inner, needs | of_element);
      from = inner.end;
    }
    text(c.content_end);
    part(c.content_end, c.end, needs, 0);
    scope_.leave(outside);
  }

  template <class Needs>
  void start(const xml::node& c, std::uint32_t needs, std::uint64_t meaning, Needs of_attribute) {
    part(c.begin, c.name_end, needs, meaning, scope_.used_by_name(name_of(c)));
    attributes(c, needs, of_attribute);
  }
  /// A start tag behind its name.
  template <class Needs>
  void attributes(const xml::node& c, std::uint32_t needs, Needs of_attribute) {
    std::uint32_t from = c.name_end;
    for (const xml::attribute& a : tree_.attributes_of(c)) {
      const std::uint32_t until = a.value_end + 1;
      if (a.declares) {
        part(from, until, outline::declaration, 0, 0, scope_.bit_of(a.local));
      } else {
        const std::uint32_t wanted = of_attribute(a);
        part(from, until, needs | wanted, wanted == needs ? 0 : meaning_of(a),
             scope_.prefixes_in(tree_.source.substr(from, until - from)));
      }
      from = until;
    }
    part(c.content - (c.content == c.end ? 2 : 1), c.content, needs, 0);
  }

  std::string_view name_of(const xml::node& c) const { return tree_.source.substr(c.begin, c.name_end - c.begin); }
  static digest meaning_of_name(const xml::node& c) {
    digest d;
    d.add(c.uri);
    d.add(c.label);
    return d;
  }
  static std::uint64_t meaning_of_text(std::string_view text) {
    digest d;
    d.add(text);
    return d.value();
  }
  static std::uint64_t meaning_of(const xml::attribute& a) {
    digest d;
    d.add(a.uri);
    d.add(a.local);
    d.add(a.value);
    return d.value();
  }

  // --- parts -------------------------------------------------------------------------------------

  std::uint64_t used_by(std::uint32_t begin, std::uint32_t end) const {
    return scope_.used_by(tree_.source.substr(begin, end - begin));
  }
  /// An element that is shown with all that is in it.
  void piece(const xml::node& c, std::uint32_t needs) { part(c.begin, c.end, needs, means_.of(c), used_by(c.begin, c.end)); }

  void part(std::uint32_t begin, std::uint32_t end, std::uint32_t needs, std::uint64_t meaning, std::uint64_t inherited = 0,
            std::uint32_t name = 0) {
    if (begin == end) return;
    constexpr std::uint32_t alone = outline::unknown | outline::declaration | outline::id | outline::device_id;
    if (out_.parts.size() > entry_.parts && (needs & alone) == 0) {
      outline::part& last = out_.parts.back();
      if (last.end == begin && last.needs == needs && (last.meaning == 0 || meaning == 0)) {
        last.end = end;
        last.meaning |= meaning;
        last.inherited |= inherited;
        return;
      }
    }
    out_.parts.push_back({meaning, inherited, begin, end, needs, name});
  }

  void fact(outline::fact::of what, const xml::node& c) {
    std::string room;
    out_.facts.push_back({what, std::string{xml::trimmed(tree_.text_of(c, room))}});
  }

  const xml::tree& tree_;
  meaning_of_elements& means_;
  scope& scope_;
  outline& out_;
  outline::entry entry_;
};

}  // namespace presence::pidf
