/// Finds the parts of a component that presence rules let pass one by one (RFC 5025 section 3.3; POL-TR
/// rows). Part of pidf_check.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <presence/rules.hpp>

#include "pidf.hpp"
#include "pidf_meaning.hpp"

namespace presence::pidf {

constexpr std::uint32_t bit(shown_attribute a) noexcept { return 1U << static_cast<unsigned>(a); }

/// Makes the outlines of one document, fragment after fragment.
class outliner {
 public:
  outliner(const xml::tree& tree, meaning_of_elements& means, outline& out) : tree_{tree}, means_{means}, out_{out} {}

  /// Begins a component, whose children follow with child().
  void begin(const xml::node& component, digest handed_down) {
    entry_ = next();
    means_.add_start(handed_down, component, 0);
    entry_.meaning = handed_down.value();
  }
  /// A child whose text begins `moved` bytes further on in the fragment's text than in the document.
  void child(const xml::node& c, component in, std::uint32_t moved) {
    moved_ = moved;
    if (c.is(pidf_uri, "contact")) fact(outline::fact::of::contact, c);
    if (c.is(rpid_uri, "class")) fact(outline::fact::of::class_, c);
    if (c.is(pidf_uri, "contact") || c.is(pidf_uri, "timestamp") || c.is(model_uri, "timestamp")) return part(c, always);
    if (c.is(pidf_uri, "note") || c.is(model_uri, "note")) return part(c, bit(shown_attribute::note));
    if (c.is(model_uri, "deviceID")) {
      if (in != component::device) return part(c, bit(shown_attribute::device_id));
      fact(outline::fact::of::device_id, c);
      tag(c);
      part(c.content, c.content_end, outline::substitute, means_.of(c));
      return part(c.content_end, c.end, always, 0);
    }
    if (!c.is(pidf_uri, "status")) return attribute(c);
    tag(c);
    for (const xml::node& s : tree_.children(c)) {
      if (s.text) continue;
      if (s.is(pidf_uri, "basic")) {
        part(s, always);
      } else {
        attribute(s);
      }
    }
    part(c.content_end, c.end, always, 0);
  }
  outline::entry end() {
    entry_.parts_end = static_cast<std::uint32_t>(out_.parts.size());
    entry_.facts_end = static_cast<std::uint32_t>(out_.facts.size());
    return entry_;
  }

  /// A note or foreign element beside the components: shown or not as one.
  outline::entry whole(const xml::node& n, std::uint64_t meaning) {
    entry_ = next();
    moved_ = 0;
    if (n.is(pidf_uri, "note") || n.is(model_uri, "note")) {
      part(n.begin, n.end, bit(shown_attribute::note), meaning);
    } else {
      unknown(n, meaning);
    }
    return end();
  }

 private:
  /// Elements of RPID and the permission each needs; user-input has levels of its own.
  struct known_attribute {
    std::string_view name;
    shown_attribute needs;
  };
  static constexpr std::array known_attributes{
      known_attribute{"activities", shown_attribute::activities},
      known_attribute{"class", shown_attribute::class_},
      known_attribute{"mood", shown_attribute::mood},
      known_attribute{"place-is", shown_attribute::place_is},
      known_attribute{"place-type", shown_attribute::place_type},
      known_attribute{"privacy", shown_attribute::privacy},
      known_attribute{"relationship", shown_attribute::relationship},
      known_attribute{"sphere", shown_attribute::sphere},
      known_attribute{"status-icon", shown_attribute::status_icon},
      known_attribute{"time-offset", shown_attribute::time_offset},
  };

  outline::entry next() const noexcept {
    const auto parts = static_cast<std::uint32_t>(out_.parts.size());
    const auto facts = static_cast<std::uint32_t>(out_.facts.size());
    return {.parts = parts, .parts_end = parts, .facts = facts, .facts_end = facts};
  }
  static constexpr std::uint32_t always = 0;
  void part(std::uint32_t begin, std::uint32_t end, std::uint32_t needs, std::uint64_t meaning, std::uint32_t name = 0) {
    if (begin != end) out_.parts.push_back({meaning, 0, begin + moved_, end + moved_, needs, name});
  }
  /// The start tag of an element whose content comes in parts.
  void tag(const xml::node& c) {
    digest start;
    means_.add_start(start, c, 2);
    part(c.begin, c.content, always, start.value());
  }
  void part(const xml::node& c, std::uint32_t needs) { part(c.begin, c.end, needs, means_.of(c)); }

  void fact(outline::fact::of what, const xml::node& c) {
    std::string room;
    out_.facts.push_back({what, std::string{xml::trimmed(tree_.text_of(c, room))}});
  }

  /// An element that some permission of its own lets pass.
  void attribute(const xml::node& c) {
    if (c.uri == rpid_uri) {
      if (c.label == "user-input") return input(c);
      const auto known = std::find_if(known_attributes.begin(), known_attributes.end(), [&](const auto& k) { return k.name == c.label; });
      if (known != known_attributes.end()) return with_notes(c, bit(known->needs));
    }
    unknown(c, means_.of(c));
  }

  void unknown(const xml::node& c, std::uint64_t meaning) {
    const auto same = [&](const auto& name) { return name.first == c.uri && name.second == c.label; };
    auto& names = out_.names;
    constexpr std::ptrdiff_t recent = 16;  // further back a name may be there twice
    auto at = std::find_if(names.size() > recent ? names.end() - recent : names.begin(), names.end(), same);
    if (at == names.end()) at = names.emplace(at, c.uri, c.label);
    part(c.begin, c.end, outline::unknown, meaning, static_cast<std::uint32_t>(at - names.begin()));
  }

  /// Elements of RPID may hold notes, which need a permission of their own (POL-TR-16).
  void with_notes(const xml::node& c, std::uint32_t needs) {
    digest rest;
    means_.add_start(rest, c, 3);
    std::uint32_t from = c.begin;
    for (const xml::node& inner : tree_.children(c)) {
      const bool note = !inner.text && inner.label == "note" && (inner.uri == rpid_uri || inner.uri == pidf_uri || inner.uri == model_uri);
      if (!note) {
        rest.add(inner.text ? std::uint64_t{1} : means_.of(inner));
        if (inner.text) rest.add(inner.label);
        continue;
      }
      part(from, inner.begin, needs, 0);
      part(inner.begin, inner.end, needs | bit(shown_attribute::note), means_.of(inner));
      from = inner.end;
    }
    if (from == c.begin) return part(c, needs);
    part(from, c.end, needs, rest.value());
  }

  /// user-input by level: the word, with idle-threshold, with last-input (POL-TR-15).
  void input(const xml::node& c) {
    std::uint32_t from = c.begin;
    digest word;
    word.add(c.label);
    word.add(text(c));
    for (const xml::attribute& a : tree_.attributes_of(c)) {
      if (a.uri == xml::xmlns_uri) continue;
      const std::uint32_t end = tree_.value_end(a) + 1;
      digest said;
      said.add(a.uri);
      said.add(a.local);
      said.add(a.value);
      part(from, a.begin, outline::input_bare, 0);
      part(a.begin, end, a.uri.empty() && a.local == "idle-threshold" ? outline::input_thresholds : outline::input_full, said.value());
      from = end;
    }
    part(from, c.end, outline::input_bare, word.value());
  }

  std::string text(const xml::node& c) const {
    std::string room;
    return std::string{xml::trimmed(tree_.text_of(c, room))};
  }

  const xml::tree& tree_;
  meaning_of_elements& means_;
  outline& out_;
  outline::entry entry_;
  std::uint32_t moved_ = 0;
};

}  // namespace presence::pidf
