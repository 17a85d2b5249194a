/// The namespace declarations in force at a place of a document, as bits, so that whatever is taken out of it
/// can take along what it needs and nothing else. Part of pidf_check.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <string_view>

#include "pidf.hpp"

namespace presence::pidf {

class scope {
 public:
  static constexpr std::size_t most = 64;  // bits of fragment::inherited

  explicit scope(const xml::tree& tree) noexcept : tree_{tree} {}

  /// Notes what the root declares; the default namespace of the composed document, PIDF, needs no bit. False: too much.
  bool survey(const xml::node& root) noexcept {
    bool has_default = false;
    for (const xml::attribute& a : tree_.attributes_of(root)) {
      if (!a.declares) continue;
      const bool is_default = xml::equal(a.local, "xmlns");
      has_default = has_default || is_default;
      if (is_default && xml::equal(a.value, pidf_uri)) continue;
      if (count_ == most) return false;
      if (is_default) defaults_ |= std::uint64_t{1} << count_;
      known_[count_++] = noted(a.local, {a.begin, a.value_end + 1 - a.begin});
    }
    if (!has_default) {
      if (count_ == most) return false;
      defaults_ |= std::uint64_t{1} << count_;
      known_[count_++] = noted("xmlns");
    }
    root_defaults_ = defaults_;
    return true;
  }
  std::size_t count() const noexcept { return count_; }
  range text_of(std::size_t i) const noexcept { return {known_[i].begin, known_[i].size}; }
  /// Bytes that the root's declarations of a set take, each with a space before it; at least xmlns="".
  std::size_t size_of(std::uint64_t set) const noexcept {
    std::size_t size = 0;
    for (; set != 0; set &= set - 1) size += std::max(9U, 1 + known_[static_cast<std::size_t>(std::countr_zero(set))].size);
    return size;
  }

  /// Begins a child of the root.
  void begin(const xml::node& child) noexcept {
    visible_ = count_ == most ? ~std::uint64_t{0} : (std::uint64_t{1} << count_) - 1;
    defaults_ = root_defaults_;
    own_ = 0;
    free_ = most;
    hide(child);
  }
  /// Adds the declarations of an element to those in force, until leave() with what this returns.
  std::uint64_t enter(const xml::node& of) noexcept {
    const std::uint64_t outside = visible_;
    hide(of);
    for (const xml::attribute& a : tree_.attributes_of(of)) {
      if (!a.declares) continue;
      if (free_ == count_) {
        full_ = true;
        break;
      }
      known_[--free_] = noted(a.local);
      const std::uint64_t bit = std::uint64_t{1} << free_;
      own_ |= bit;
      visible_ |= bit;
      if (xml::equal(a.local, "xmlns")) defaults_ |= bit;
    }
    return outside;
  }
  void leave(std::uint64_t outside) noexcept { visible_ = outside; }

  /// Whether an element had more declarations than there are bits.
  bool full() const noexcept { return full_; }
  /// The bits that are declarations inside of the child of the root.
  std::uint64_t own() const noexcept { return own_; }
  /// The bit of the declaration in force of a prefix, "xmlns" for the default; `most` if there is none.
  std::uint32_t bit_of(std::string_view prefix) const noexcept {
    for (std::uint64_t left = visible_; left != 0; left &= left - 1) {
      const int i = std::countr_zero(left);
      if (known_[static_cast<std::size_t>(i)].prefix() == prefix) return static_cast<std::uint32_t>(i);
    }
    return most;
  }

  /// What a piece needs that may hold anything.
  std::uint64_t used_by(std::string_view piece) const noexcept { return (visible_ & defaults_) | prefixes_in(piece); }
  /// What the name of an element needs, from its `<` on.
  std::uint64_t used_by_name(std::string_view name) const noexcept {
    const std::size_t colon = name.find(':');
    if (colon == name.npos) return visible_ & defaults_;
    const std::uint32_t bit = bit_of(name.substr(1, colon - 1));
    return bit == most ? 0 : std::uint64_t{1} << bit;
  }
  /// The prefixes that occur before a colon, be it in a name or in content.
  std::uint64_t prefixes_in(std::string_view text) const noexcept {
    std::uint64_t used = 0, wanted = visible_ & ~defaults_;
    for (std::size_t at = text.find(':'); at != text.npos && wanted != 0; at = text.find(':', at + 1)) {
      for (std::uint64_t left = wanted; left != 0; left &= left - 1) {
        const int i = std::countr_zero(left);
        const std::string_view prefix = known_[static_cast<std::size_t>(i)].prefix();
        if (at < prefix.size() || text[at - 1] != prefix.back()) continue;
        const std::size_t from = at - prefix.size();
        if (text.substr(from, prefix.size()) != prefix || (from != 0 && is_name_byte(text[from - 1]))) continue;
        used |= std::uint64_t{1} << i;
        wanted &= ~used;
      }
    }
    return used;
  }

 private:
  struct known {  // trivial: there is room for many, and a document declares few
    const char* name;  // "xmlns": the default; such a prefix cannot be declared
    std::uint32_t name_size;
    std::uint32_t begin, size;  // of the root's; empty: the absence of a default namespace
    std::string_view prefix() const noexcept { return {name, name_size}; }
  };
  static known noted(std::string_view prefix, range text = {}) noexcept {
    return {prefix.data(), static_cast<std::uint32_t>(prefix.size()), text.begin, text.size};
  }

  static bool is_name_byte(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  }

  /// What an element declares anew is hidden in it.
  void hide(const xml::node& by) noexcept {
    for (const xml::attribute& a : tree_.attributes_of(by)) {
      if (!a.declares) continue;
      if (const std::uint32_t bit = bit_of(a.local); bit != most) visible_ &= ~(std::uint64_t{1} << bit);
    }
  }

  const xml::tree& tree_;
  std::array<known, most> known_;  // the root's from below, those inside of its child from above
  std::size_t count_ = 0, free_ = most;
  std::uint64_t visible_ = 0, defaults_ = 0, root_defaults_ = 0, own_ = 0;
  bool full_ = false;
};

}  // namespace presence::pidf
