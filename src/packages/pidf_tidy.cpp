#include "pidf_tidy.hpp"

#include <algorithm>
#include <vector>

namespace presence::pidf {

namespace {

bool is_rpid_id(const xml::node& of, const xml::attribute& a) noexcept {
  return of.uri == rpid_uri && a.uri.empty() && a.local == "id";
}

class writer {
 public:
  explicit writer(const xml::tree& tree) : tree_{tree}, means_{tree} {}

  std::string run() {
    find_edits();
    const xml::node& root = tree_.root();
    copy(root.begin, root.content);
    for (const xml::node& child : tree_.children(root)) {
      const component kind = kind_of(means_.space_of(child), child.label);
      if (!has_id(kind)) {
        copy(child.begin, child.end);
        continue;
      }
      in_order(child, [&](const xml::node& c) { return role_of(kind, means_.space_of(c), c.label).rank; },
               [&](const xml::node& c) {
                 if (kind != component::tuple || !c.is(pidf_uri, "status")) return copy(c.begin, c.end);
                 in_order(c, [](const xml::node& s) { return std::uint8_t{!s.is(pidf_uri, "basic")}; },
                          [&](const xml::node& s) { copy(s.begin, s.end); });
               });
    }
    copy(root.content_end, root.end);
    return std::move(out_);
  }

 private:
  struct edit {
    std::uint32_t begin, end;
    std::string_view text;
  };
  static constexpr std::size_t longest_language = 64;  // more is no language and would be repeated with each note

  /// In the order of the document.
  void find_edits() {
    std::string_view of_root, language;
    std::uint32_t next_child = 1;  // of the root
    std::uint32_t spoken_for = 0;  // nodes before this one have a language of their own
    for (std::uint32_t i = 0; i < tree_.nodes.size(); ++i) {
      const xml::node& n = tree_.nodes[i];
      if (n.text) continue;
      const bool root = i == 0, child = i == next_child;
      const bool component = child && has_id(kind_of(means_.space_of(n), n.label));
      if (child) {
        next_child = n.after;
        language = of_root;
      }
      if (!root && !component && tree_.find(n, xml::xml_uri, "lang") != nullptr) spoken_for = std::max(spoken_for, n.after);
      if (is_note(n) && i >= spoken_for && !language.empty()) edits_.push_back({n.name_end, n.name_end, language});
      std::uint32_t from = n.name_end;
      for (const xml::attribute& a : tree_.attributes_of(n)) {
        const std::uint32_t value_end = a.value_end, end = value_end + 1;
        if (((root || component) && a.uri == xml::xml_uri) || is_rpid_id(n, a)) {
          edits_.push_back({from, end, {}});
          if (a.local == "lang" && end - from <= longest_language)
            (root ? of_root : language) = tree_.source.substr(from, end - from);
        } else if (component && a.uri.empty() && a.local == "id") {
          edits_.push_back({a.value_begin, value_end, xml::trimmed(a.value)});
        }
        from = end;
      }
    }
  }

  template <class Rank, class Write>
  void in_order(const xml::node& of, Rank rank_of, Write write) {
    copy(of.begin, of.content);
    for (std::uint8_t rank = 0; rank < ranks; ++rank)
      for (const xml::node& c : tree_.children(of))
        if (!c.text && rank_of(c) == rank) write(c);
    copy(of.content_end, of.end);
  }

  void copy(std::uint32_t from, std::uint32_t end) {
    const auto piece = [&](std::uint32_t until) { xml::append_plain(out_, tree_.source.substr(from, until - from)); };
    const auto before = [](const edit& e, std::uint32_t at) { return e.begin < at; };
    for (auto e = std::lower_bound(edits_.begin(), edits_.end(), from, before); e != edits_.end() && e->begin < end; ++e) {
      piece(e->begin);
      xml::append_plain(out_, e->text);
      from = e->end;
    }
    piece(end);
  }

  const xml::tree& tree_;
  meaning_of_elements means_;
  std::vector<edit> edits_;
  std::string out_;
};

}  // namespace

std::string tidied(const xml::tree& tree) { return writer{tree}.run(); }

bool has_rpid_ids(const xml::tree& tree) noexcept {
  const auto is_id = [](const xml::attribute& a) { return a.uri.empty() && xml::equal(a.local, "id"); };
  std::ptrdiff_t ids = std::count_if(tree.attributes.begin(), tree.attributes.end(), is_id);
  for (const xml::node& child : tree.children(tree.root()))
    if (!xml::equal(child.uri, rpid_uri) && tree.find(child, {}, "id") != nullptr) --ids;
  if (ids == 0) return false;  // most often
  return std::any_of(tree.nodes.begin(), tree.nodes.end(), [&](const xml::node& n) {
    const auto all = tree.attributes_of(n);
    return std::any_of(all.begin(), all.end(), [&](const xml::attribute& a) { return is_rpid_id(n, a); });
  });
}

}  // namespace presence::pidf
