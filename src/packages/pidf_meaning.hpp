/// What the elements of a document mean, as digests: expanded names, attributes in any order,
/// exact text; neither prefixes nor white space between elements (CMP-12). Part of presence.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "../xml.hpp"
#include "digest.hpp"
#include "pidf.hpp"

namespace presence::pidf {

/// The namespaces this package knows.
enum class space : std::uint8_t { none, pidf, model, rpid, other };

class meaning_of_elements {
 public:
  explicit meaning_of_elements(const xml::tree& tree) noexcept : tree_{tree} {}

  space space_of(const xml::node& of) { return of.uri.empty() ? space::none : known(of.uri).is; }

  /// Adds an element's name, its attributes and a word of the caller's.
  void add_start(digest& d, const xml::node& of, std::uint64_t shape) {
    d.add((of.uri.empty() ? 0 : known(of.uri).meaning) ^ shape);
    d.add(of.label);
    if (of.attributes == 0) return;
    std::uint64_t sum = 0;  // the same in any order
    for (const xml::attribute& a : tree_.attributes_of(of)) {
      if (a.declares) continue;
      digest one;
      if (!a.uri.empty()) one.add(known(a.uri).meaning);
      one.add(a.local);
      one.add(a.value);
      sum += one.value();
    }
    if (sum != 0) d.add(sum);
  }

  /// Digest of an element with everything in it. The sizes of the subtrees give the structure.
  std::uint64_t of(const xml::node& element) {
    digest d;
    for (std::uint32_t i = tree_.index(element); i < element.after; ++i) {
      const xml::node& n = tree_.nodes[i];
      if (n.text) {
        d.add(std::uint64_t{1});
        d.add(n.label);
        continue;
      }
      add_start(d, n, std::uint64_t{n.after - i} << 32);
      // White space alone is no node; in an element without children it is its text.
      if (n.after == i + 1 && n.content != n.content_end) {
        d.add(tree_.source.substr(n.content, n.content_end - n.content));
      }
    }
    return d.value();
  }

 private:
  /// What is known about a namespace name. One declaration gives one name to many elements, so
  /// that its address is enough to recognise it.
  struct known_space {
    const char* uri;
    std::uint64_t meaning;
    space is;
  };

  const known_space& known(std::string_view uri) noexcept {
    const std::size_t held = std::min(count_, spaces_.size());
    for (std::size_t i = 0; i < held; ++i)
      if (spaces_[i].uri == uri.data()) return spaces_[i];
    return met(uri);
  }
  [[gnu::noinline]] const known_space& met(std::string_view uri) noexcept {
    known_space& k = spaces_[count_++ % spaces_.size()];
    k.uri = uri.data();
    k.is = xml::equal(uri, pidf_uri)    ? space::pidf
           : xml::equal(uri, model_uri) ? space::model
           : xml::equal(uri, rpid_uri)  ? space::rpid
                                        : space::other;
    k.meaning = static_cast<std::uint64_t>(k.is);  // no digest is as small
    if (k.is != space::other) return k;
    digest d;
    d.add(uri);
    k.meaning = d.value();
    return k;
  }

  const xml::tree& tree_;
  std::array<known_space, 8> spaces_;  // the first `count_`, or the last that were met
  std::size_t count_ = 0;
};

}  // namespace presence::pidf
