/// What the elements of a document mean, as digests: expanded names, attributes in any order,
/// exact text; neither prefixes nor white space between elements (CMP-12). Part of presence.cpp.
#pragma once

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
    std::string_view uri;
    std::uint64_t meaning = 0;
    space is = space::none;
  };

  const known_space& known(std::string_view uri) {
    known_space& k = spaces_[(reinterpret_cast<std::uintptr_t>(uri.data()) >> 4) % spaces_.size()];
    if (k.uri.data() == uri.data() && k.uri.size() == uri.size()) return k;
    digest d;
    d.add(uri);
    k = {uri, d.value(), space::other};
    if (uri == pidf_uri) k.is = space::pidf;
    if (uri == model_uri) k.is = space::model;
    if (uri == rpid_uri) k.is = space::rpid;
    return k;
  }

  const xml::tree& tree_;
  std::array<known_space, 8> spaces_;
};

}  // namespace presence::pidf
