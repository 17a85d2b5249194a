/// XML as the event packages see it: a checked parse into a flat, read-only tree, and the few
/// functions that write XML. Only xml.cpp sees RapidXML, which is fast but forgiving; the check
/// in front of it refuses everything that is not well-formed, not namespace-well-formed, larger
/// than the limits, or has a document type declaration (GRM-23, GRM-30, SEC-XML-1..3).
///
/// Nothing here knows a document format, and nothing recurses on the depth of a document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <presence/options.hpp>
#include <presence/result.hpp>
#include <presence/time.hpp>

namespace presence::xml {

/// The namespaces that the prefixes `xmlns` and `xml` are bound to by definition.
inline constexpr std::string_view xmlns_uri = "http://www.w3.org/2000/xmlns/";
inline constexpr std::string_view xml_uri = "http://www.w3.org/XML/1998/namespace";

/// Whatever limits::xml_depth says, no deeper: RapidXML recurses (some 200 bytes a level).
inline constexpr std::size_t deepest = 512;
/// Whatever limits::xml_attributes says, no more: they are compared pairwise.
inline constexpr std::size_t most_attributes = 1024;
/// Namespace declarations in scope at one element; they are searched one by one.
inline constexpr std::size_t most_declarations = 128;

/// operator== for names: beside a constant it is a few instructions, and no call.
inline bool equal(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && (b.empty() || std::memcmp(a.data(), b.data(), b.size()) == 0);
}

/// Why a document was refused: a static sentence and where in the document.
struct error {
  std::string_view reason = {};
  std::size_t offset = 0;
};

/// One attribute. Declarations of namespaces are listed too, in the namespace `xmlns_uri`; the
/// default one has the local name `xmlns`.
struct attribute {
  std::string_view uri;    ///< empty: no namespace, as for every attribute without a prefix
  std::string_view local;
  std::string_view value;  ///< references resolved
  std::uint32_t begin = 0;        ///< where its name begins in the document
  std::uint32_t local_begin = 0;  ///< where its local name begins
  std::uint32_t value_begin = 0;  ///< where its value begins, behind the quote
  std::uint32_t value_end = 0;    ///< behind the last character of its value
  bool declares = false;      ///< a namespace: `uri` is `xmlns_uri`
};

/// One element, or one run of text that is not all white space.
struct node {
  std::string_view uri;    ///< element: its namespace; empty: none
  std::string_view label;  ///< element: its local name; text: the characters, references resolved
  std::uint32_t begin = 0;        ///< element: where its `<` is in the document
  std::uint32_t local_begin = 0;  ///< element: where its local name begins
  std::uint32_t name_end = 0;     ///< element: behind the name in the start tag
  std::uint32_t content = 0;      ///< element: behind the `>` of the start tag
  std::uint32_t content_end = 0;  ///< element: at the `</`; equals `end` when there is no end tag
  std::uint32_t end = 0;          ///< element: behind its last `>`
  std::uint32_t first_attribute = 0;
  std::uint32_t attributes = 0;
  std::uint32_t after = 0;        ///< index of the first node that is not inside this one
  bool text = false;

  bool is(std::string_view in, std::string_view name) const noexcept {
    return !text && equal(label, name) && equal(uri, in);
  }
};

/// A parsed document: its nodes in document order, the root first. A view: it lives until the
/// parser that made it parses again, rests or ends, and `source` as long as the caller's bytes.
struct tree {
  std::span<const node> nodes;
  std::span<const attribute> attributes;
  std::string_view source;
  bool plain = true;  ///< no comment, CDATA section, processing instruction or numeric reference in it

  /// The children of a node, for a range-for.
  class range {
   public:
    class iterator {
     public:
      constexpr iterator(const node* base, std::uint32_t at) noexcept : base_{base}, at_{at} {}
      const node& operator*() const noexcept { return base_[at_]; }
      iterator& operator++() noexcept {
        at_ = base_[at_].after;
        return *this;
      }
      bool operator!=(const iterator& other) const noexcept { return at_ != other.at_; }

     private:
      const node* base_;
      std::uint32_t at_;
    };
    constexpr range(const node* base, std::uint32_t begin, std::uint32_t end) noexcept
        : base_{base}, begin_{begin}, end_{end} {}
    iterator begin() const noexcept { return {base_, begin_}; }
    iterator end() const noexcept { return {base_, end_}; }

   private:
    const node* base_;
    std::uint32_t begin_, end_;
  };

  const node& root() const noexcept { return nodes.front(); }
  std::uint32_t index(const node& of) const noexcept {
    return static_cast<std::uint32_t>(&of - nodes.data());
  }
  range children(const node& of) const noexcept {
    return {nodes.data(), index(of) + 1, of.after};
  }
  std::span<const attribute> attributes_of(const node& of) const noexcept {
    return attributes.subspan(of.first_attribute, of.attributes);
  }
  /// The attribute of that expanded name, or null.
  const attribute* find(const node& of, std::string_view uri, std::string_view local) const noexcept {
    for (const attribute& a : attributes_of(of)) {
      if (equal(a.local, local) && equal(a.uri, uri)) return &a;
    }
    return nullptr;
  }
  /// The text directly inside an element. Views the tree, or `room` when it came in pieces.
  std::string_view text_of(const node& of, std::string& room) const;
};

/// Parses one document after the other in the same memory. One caller at a time.
class parser {
 public:
  parser();
  ~parser();
  parser(const parser&) = delete;
  parser& operator=(const parser&) = delete;

  /// The parser of the calling thread.
  static parser& of_this_thread();

  /// Checks `bytes` and parses them. The tree lives until the next call of parse() or rest().
  /// Fails with what is wrong; throws only std::bad_alloc. Cost: linear.
  result<const tree*, error> parse(std::string_view bytes, const limits& bounds);

  /// Ends the tree and gives memory back that only a large document needs.
  void rest() noexcept;

 private:
  struct room;
  std::unique_ptr<room> room_;
};

// --- values ------------------------------------------------------------------------------------

/// White space of XML off both ends.
std::string_view trimmed(std::string_view text) noexcept;
/// Whether `text` can be an xs:ID (GRM-21).
bool is_ncname(std::string_view text) noexcept;
/// xs:boolean, white space around it allowed.
std::optional<bool> parse_boolean(std::string_view text) noexcept;
/// xs:dateTime with a zone, white space around it allowed; 24:00:00 is the next day's 0h. What is
/// finer than a millisecond is cut off (GRM-22).
std::optional<instant> parse_date_time(std::string_view text) noexcept;

// --- writing -----------------------------------------------------------------------------------
// What XML cannot carry (control characters, bytes that are not UTF-8) is written as U+FFFD.

/// Appends character data.
void append_text(std::string& out, std::string_view text);
/// Appends a piece of a sound document that ends and begins outside of markup, without comments, processing
/// instructions, CDATA sections and numeric references: it says the same.
void append_plain(std::string& out, std::string_view piece);
/// Appends ` name="value"`.
void append_attribute(std::string& out, std::string_view name, std::string_view value);

}  // namespace presence::xml
