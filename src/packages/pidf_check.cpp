// The check of a PIDF document and its division into fragments.
#include <algorithm>
#include <array>
#include <bit>
#include <boost/container/small_vector.hpp>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <presence/grammar.hpp>

#include "pidf.hpp"
#include "pidf_meaning.hpp"
#include "pidf_outline.hpp"

namespace presence::pidf {

/// One check. Everything it says "no" to is a static sentence.
class checker {
 public:
  checker(const xml::tree& tree, const offered_document& offer, std::span<const std::string> words, checked_document& out)
      : tree_{tree}, bounds_{offer.bounds}, words_{words}, out_{out}, means_{tree} {
    if (!offer.through_views) return;
    outlined_ = std::make_unique<outline>();
    outliner_.emplace(tree_, means_, *outlined_);
  }

  /// Empty when the document is sound.
  std::string_view run() {
    const xml::node& root = tree_.root();
    if (!root.is(pidf_uri, "presence")) return "The root is not a PIDF presence element";
    const xml::attribute* entity = tree_.find(root, {}, "entity");
    if (entity == nullptr || xml::trimmed(entity->value).empty()) return "A presence element without an entity";
    if (!survey(root)) return "Too many namespace declarations";

    std::size_t inherited = 0;
    for (const xml::node& child : tree_.children(root)) {
      if (child.text) return "Text directly inside a presence element";
      found& f = found_.emplace_back();
      if (const std::string_view reason = add(child, f); !reason.empty()) return reason;
      inherited += f.cut.inherited_size;
      if (inherited > bounds_.body_bytes) return "Namespace declarations that would repeat too often";
    }
    if (has_equal_ids()) return "An id that occurs twice";
    const auto by_place = [](const found& a, const found& b) { return place_of(a.cut.kind) < place_of(b.cut.kind); };
    if (!std::is_sorted(found_.begin(), found_.end(), by_place)) std::stable_sort(found_.begin(), found_.end(), by_place);
    drop_repeated();
    if (!words_.empty()) rank();
    keep();
    return {};
  }

 private:
  static constexpr std::size_t ranks = 5;

  /// A child of a component: its place among its siblings and what there is to check.
  struct role {
    std::uint8_t rank;
    bool single;     // at most one
    bool timestamp;
  };

  role role_of(component in, const xml::node& child) {
    const space where = means_.space_of(child);
    if (in == component::tuple) {
      if (where == space::pidf) {
        if (child.label == "status") return {0, true, false};
        if (child.label == "contact") return {2, true, false};
        if (child.label == "note") return {3, false, false};
        if (child.label == "timestamp") return {4, true, true};
      }
      return {1, false, false};
    }
    if (where == space::model) {
      if (child.label == "deviceID" && in == component::device) return {2, true, false};
      if (child.label == "note") return {3, false, false};
      if (child.label == "timestamp") return {4, true, true};
    }
    return {1, false, false};
  }

  /// Something the root hands down to its children: a declaration, or an xml: attribute.
  struct handed {
    const xml::attribute* from;  // null: the absence of a default namespace
    range text;
    bool by_prefix;              // needed only where the prefix occurs
  };
  static constexpr std::size_t most_handed = 64;  // bits of fragment::inherited

  /// Notes what the root hands down. False: too much.
  bool survey(const xml::node& root) {
    bool has_default = false;
    for (const xml::attribute& a : tree_.attributes_of(root)) {
      const bool declaration = a.uri == xml::xmlns_uri;
      if (!declaration && a.uri != xml::xml_uri) continue;
      const bool is_default = declaration && a.local == "xmlns";
      has_default = has_default || is_default;
      if (is_default && a.value == pidf_uri) continue;
      if (handed_count_ == most_handed) return false;
      handed_[handed_count_++] = {&a, {a.begin, tree_.value_end(a) + 1 - a.begin}, declaration && !is_default};
      if (!declaration) {
        handed_down_.add(a.local);
        handed_down_.add(a.value);
      }
    }
    if (!has_default) {
      if (handed_count_ == most_handed) return false;
      handed_[handed_count_++] = {nullptr, {}, false};
    }
    // A colon can hide behind a character reference; then every prefix counts as used.
    keep_all_ = tree_.source.find("&#") != std::string_view::npos;
    return true;
  }

  /// A child of the root.
  struct found {
    fragment cut;
    outline::entry outlined;
  };

  std::string_view add(const xml::node& child, found& to) {
    fragment& f = to.cut;
    std::uint64_t meaning = 0;
    const xml::attribute* id = nullptr;
    bool ordered = true;
    switch (means_.space_of(child)) {
      case space::pidf:
        if (child.label == "tuple") f.kind = component::tuple;
        if (child.label == "note") f.kind = component::note;
        break;
      case space::model:
        if (child.label == "person") f.kind = component::person;
        if (child.label == "device") f.kind = component::device;
        break;
      default: break;
    }
    if (f.kind == component::note || f.kind == component::foreign) {
      meaning = means_.of(child);
    } else {
      id = tree_.find(child, {}, "id");
      if (id == nullptr) return "A tuple, person or device without an id";
      if (!xml::is_ncname(xml::trimmed(id->value))) return "An id that is not an NCName";
      if (const std::string_view reason = check_component(child, f.kind, meaning, ordered); !reason.empty()) {
        return reason;
      }
    }
    digest whole = handed_down_;
    whole.add(meaning);
    f.meaning = whole.value();
    const std::uint64_t optional = inherit(child, f);
    if (outliner_ && id != nullptr) outliner_->begin(child, handed_down_);
    const auto [content, content_end] = cut(child, id, ordered, f);
    if (!outliner_) return {};
    outline::entry& o = to.outlined = id != nullptr ? outliner_->end() : outliner_->whole(child, f.meaning);
    o.content = content;
    o.content_end = content_end;
    // each part takes along what it needs alone: a declaration would tell of parts that are not shown
    const std::string_view text = out_.text_of(f);
    const std::uint64_t all = f.inherited & ~optional;
    o.inherited = all | prefixes_in(text.substr(f.begin, content - f.begin), optional);
    for (outline::part& p : std::span{outlined_->parts}.subspan(o.parts, o.parts_end - o.parts))
      p.inherited = all | prefixes_in(text.substr(p.begin, p.end - p.begin), optional);
    return {};
  }

  std::string_view check_component(const xml::node& of, component kind, std::uint64_t& meaning, bool& ordered) {
    std::array<std::size_t, ranks> seen{};
    std::uint8_t last = 0;
    for (const xml::node& child : tree_.children(of)) {
      if (child.text) return "Text directly inside a tuple, person or device";
      const role r = role_of(kind, child);
      if (r.rank < last) ordered = false;
      last = r.rank;
      if (++seen[r.rank] > 1 && r.single) return "A status, contact, timestamp or deviceID that occurs twice";
      if (r.timestamp && !xml::parse_date_time(tree_.text_of(child, room_))) return "A malformed timestamp";
      if (kind == component::tuple) {
        std::string_view reason;
        if (r.rank == 0) reason = check_status(child);
        if (r.rank == 2) reason = check_contact(child);
        if (!reason.empty()) return reason;
      } else if (kind == component::person && child.label == "sphere" && means_.space_of(child) == space::rpid) {
        note_sphere(child);
      }
    }
    if (kind == component::tuple && seen[0] == 0) return "A tuple without a status";
    if (kind == component::device && seen[2] == 0) return "A device without a deviceID";

    digest d;
    means_.add_start(d, of, 0);
    if (ordered) {
      for (const xml::node& child : tree_.children(of)) d.add(means_.of(child));
    } else {
      by_rank(of, kind, [&](const xml::node& child) { d.add(means_.of(child)); });
    }
    meaning = d.value();
    return {};
  }

  template <class Visit>
  void by_rank(const xml::node& of, component kind, Visit visit) {
    for (std::uint8_t rank = 0; rank < ranks; ++rank) {
      for (const xml::node& child : tree_.children(of)) {
        if (!child.text && role_of(kind, child).rank == rank) visit(child);
      }
    }
  }

  std::string_view check_status(const xml::node& status) {
    bool seen = false;
    for (const xml::node& child : tree_.children(status)) {
      if (child.text) return "Text directly inside a status";
      if (child.label != "basic" || means_.space_of(child) != space::pidf) continue;
      if (seen) return "A status with two basic elements";
      seen = true;
      const std::string_view value = tree_.text_of(child, room_);
      out_.open = out_.open || value == "open";
      if (has_elements(child) || (value != "open" && value != "closed")) {
        return "A basic status that is neither open nor closed";
      }
    }
    return {};
  }

  bool has_elements(const xml::node& of) const {
    for (const xml::node& child : tree_.children(of)) {
      if (!child.text) return true;
    }
    return false;
  }

  std::string_view check_contact(const xml::node& contact) const {
    const xml::attribute* priority = tree_.find(contact, {}, "priority");
    if (priority == nullptr) return {};
    const std::string_view q = xml::trimmed(priority->value);
    const bool good = !q.empty() && q.size() <= 5 && (q[0] == '0' || q[0] == '1') && (q.size() == 1 || q[1] == '.') &&
                      (q.size() < 3 || q.find_first_not_of(q[0] == '1' ? "0" : "0123456789", 2) == q.npos);
    return good ? std::string_view{} : std::string_view{"A contact priority that is not a q-value"};
  }

  /// Remembers what a sphere element says; one that cannot be understood says nothing.
  void note_sphere(const xml::node& sphere) {
    const auto time = [&](std::string_view name, instant otherwise) -> std::optional<instant> {
      const xml::attribute* a = tree_.find(sphere, {}, name);
      return a == nullptr ? otherwise : xml::parse_date_time(a->value);
    };
    const std::optional<instant> from = time("from", instant::min());
    const std::optional<instant> until = time("until", instant::max());
    if (!from || !until) return;
    const auto claim = [&](std::string_view value) {
      out_.more().spheres.push_back({*from, *until, std::string{value}});
    };
    bool elements = false;
    for (const xml::node& child : tree_.children(sphere)) {
      if (child.text) continue;
      elements = true;
      if (child.label != "note" || means_.space_of(child) != space::rpid) claim(child.label);
    }
    const std::string_view text = xml::trimmed(tree_.text_of(sphere, room_));
    if (!elements && !text.empty()) claim(text);
  }

  // --- fragments -------------------------------------------------------------------------------

  static bool is_name_byte(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  }

  /// Of the prefixes in `wanted`, those that occur before a colon, be it in a name or in content.
  std::uint64_t prefixes_in(std::string_view text, std::uint64_t wanted) const noexcept {
    std::uint64_t used = 0;
    for (std::size_t at = text.find(':'); at != text.npos && wanted != 0; at = text.find(':', at + 1)) {
      for (std::uint64_t left = wanted; left != 0; left &= left - 1) {
        const int i = std::countr_zero(left);
        const std::string_view prefix = handed_[static_cast<std::size_t>(i)].from->local;
        if (at < prefix.size() || text[at - 1] != prefix.back()) continue;
        const std::size_t from = at - prefix.size();
        if (text.substr(from, prefix.size()) != prefix || (from != 0 && is_name_byte(text[from - 1]))) continue;
        used |= std::uint64_t{1} << i;
        wanted &= ~used;
      }
    }
    return used;
  }

  /// Finds out what the component needs of the root. Returns what may be needed by parts of it alone.
  std::uint64_t inherit(const xml::node& of, fragment& f) const noexcept {
    std::uint64_t optional = 0;
    for (std::size_t i = 0; i < handed_count_; ++i) {
      const handed& h = handed_[i];
      const bool redefined = h.from != nullptr ? tree_.find(of, h.from->uri, h.from->local) != nullptr
                                               : tree_.find(of, xml::xmlns_uri, "xmlns") != nullptr;
      if (redefined) continue;
      (h.by_prefix && !keep_all_ ? optional : f.inherited) |= std::uint64_t{1} << i;
    }
    f.inherited |= prefixes_in(tree_.source.substr(of.begin, of.end - of.begin), optional);
    for (std::uint64_t left = f.inherited; left != 0; left &= left - 1) {
      const handed& h = handed_[static_cast<std::size_t>(std::countr_zero(left))];
      f.inherited_size += 1 + (h.from != nullptr ? h.text.size : 8);
    }
    return optional;
  }

  struct inside {
    std::uint32_t begin, end;
  };
  /// Returns where the content is in the fragment's text.
  inside cut(const xml::node& of, const xml::attribute* id, bool ordered, fragment& f) {
    f.begin = of.begin;
    f.head = of.name_end;
    f.end = of.end;
    if (id == nullptr) return {of.content, of.content_end};
    const std::string_view value = xml::trimmed(id->value);
    const std::uint32_t id_end = tree_.value_end(*id);
    f.id = id->value_begin;
    f.id_size = static_cast<std::uint32_t>(value.size());
    const auto outline_child = [&](const xml::node& child, std::uint32_t at) {
      if (outliner_ && !child.text) outliner_->child(child, f.kind, at - child.begin);
    };
    if (ordered && tree_.source.substr(f.id, id_end - f.id) == value) {
      for (const xml::node& child : tree_.children(of)) outline_child(child, child.begin);
      return {of.content, of.content_end};
    }

    // The text is written anew: the id as it reads, the children by rank.
    std::string& to = out_.more().rewritten;
    const auto here = [&] { return static_cast<std::uint32_t>(to.size()); };
    const auto copy = [&](std::uint32_t from, std::uint32_t end) { to += tree_.source.substr(from, end - from); };
    f.rewritten = true;
    f.begin = here();
    copy(of.begin, of.name_end);
    f.head = here();
    copy(of.name_end, id->value_begin);
    f.id = here();
    to += value;
    copy(id_end, of.content);
    const std::uint32_t content = here();
    if (ordered) {
      copy(of.content, of.content_end);
      for (const xml::node& child : tree_.children(of)) outline_child(child, content + (child.begin - of.content));
    } else {
      by_rank(of, f.kind, [&](const xml::node& child) {
        outline_child(child, here());
        copy(child.begin, child.end);
      });
    }
    const std::uint32_t content_end = here();
    copy(of.content_end, of.end);
    f.end = here();
    return {content, content_end};
  }

  // --- the document as a whole -----------------------------------------------------------------

  bool has_equal_ids() const {
    if (found_.size() <= 8) {
      for (auto a = found_.begin(); a != found_.end(); ++a) {
        for (auto b = found_.begin(); b != a; ++b) {
          if (a->cut.id_size != 0 && b->cut.id_size != 0 && out_.id_of(a->cut) == out_.id_of(b->cut)) return true;
        }
      }
      return false;
    }
    std::vector<std::string_view> ids;
    ids.reserve(found_.size());
    for (const found& f : found_) {
      if (f.cut.id_size != 0) ids.push_back(out_.id_of(f.cut));
    }
    std::sort(ids.begin(), ids.end());
    return std::adjacent_find(ids.begin(), ids.end()) != ids.end();
  }

  /// A presence-level note or foreign element that says the same as one before goes (CMP-8).
  void drop_repeated() {
    const auto can_repeat = [](const found& f) { return f.cut.id_size == 0; };
    if (std::count_if(found_.begin(), found_.end(), can_repeat) < 2) return;
    std::set<std::uint64_t> seen;
    const auto repeats = [&](const found& f) { return can_repeat(f) && !seen.insert(f.cut.meaning).second; };
    found_.erase(std::remove_if(found_.begin(), found_.end(), repeats), found_.end());
  }

  /// Finds the most important word that a note or an activity says (V04).
  void rank() {
    const auto says = [&](std::string_view text) {
      for (std::size_t i = 0; i < words_.size() - out_.rank; ++i)
        if (iequals(text, words_[i])) out_.rank = static_cast<std::uint32_t>(words_.size() - i);
    };
    for (const xml::node& n : tree_.nodes) {
      if (n.is(pidf_uri, "note") || n.is(model_uri, "note") || n.is(rpid_uri, "note"))
        says(xml::trimmed(tree_.text_of(n, room_)));
      if (!n.is(rpid_uri, "activities")) continue;
      for (const xml::node& activity : tree_.children(n))
        if (!activity.text) says(activity.label);
    }
  }

  /// Moves what was found into arrays of exact size.
  void keep() {
    out_.count_ = static_cast<std::uint32_t>(found_.size());
    out_.fragments_ = std::make_unique<fragment[]>(found_.size());
    std::transform(found_.begin(), found_.end(), out_.fragments_.get(), [](const found& f) { return f.cut; });
    if (std::any_of(found_.begin(), found_.end(), [](const found& f) { return f.cut.inherited != 0; })) {
      out_.heritage_ = std::make_unique<range[]>(handed_count_);
      for (std::size_t i = 0; i < handed_count_; ++i) out_.heritage_[i] = handed_[i].text;
    }
    if (!outlined_) return;
    outlined_->entries.reserve(found_.size());
    for (const found& f : found_) outlined_->entries.push_back(f.outlined);
    outlined_->parts.shrink_to_fit();
    outlined_->facts.shrink_to_fit();
    out_.more().outlined = std::move(outlined_);
  }

  const xml::tree& tree_;
  const limits& bounds_;
  const std::span<const std::string> words_;
  checked_document& out_;
  meaning_of_elements means_;
  boost::container::small_vector<found, 6> found_;
  std::unique_ptr<outline> outlined_;  // only if it is wanted
  std::optional<outliner> outliner_;
  std::array<handed, most_handed> handed_;
  std::size_t handed_count_ = 0;
  std::string room_;
  digest handed_down_;
  bool keep_all_ = false;  // prefixes that are not seen may be used all the same
};

namespace {

/// Whether the media type names a character set that UTF-8 does not include.
bool other_charset(std::string_view type) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  const auto equal = [&](char a, char b) { return lower(a) == b; };
  constexpr std::string_view name = "charset=";
  const auto at = std::search(type.begin(), type.end(), name.begin(), name.end(), equal);
  if (at == type.end()) return false;
  std::string_view value = type.substr(static_cast<std::size_t>(at - type.begin()) + name.size());
  value = value.substr(0, value.find(';'));
  value = xml::trimmed(value);
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
  for (const std::string_view good : {"utf-8", "us-ascii"}) {
    if (std::equal(value.begin(), value.end(), good.begin(), good.end(), equal)) return false;
  }
  return true;
}

/// A component that went under a fresh id goes on under it when its publication is modified (CMP-3).
void keep_fresh_ids(const checked_document& from, const checked_document& to) {
  std::map<std::string_view, std::uint32_t> standing;
  for (const fragment& f : from.fragments()) {
    if (f.standing > 1) standing.emplace(from.id_of(f), f.standing);
  }
  if (standing.empty()) return;
  for (const fragment& f : to.fragments()) {
    const auto known = f.id_size != 0 ? standing.find(to.id_of(f)) : standing.end();
    if (known != standing.end()) f.standing = known->second;
  }
}

}  // namespace

result<document, refusal> check(const offered_document& offer, std::span<const std::string> words) {
  if (offer.content.bytes().size() > offer.bounds.body_bytes) {
    return unexpected{refusal{413, "Request Entity Too Large"}};
  }
  if (other_charset(offer.content.content_type())) return unexpected{refusal{415, "Unsupported Media Type"}};

  xml::parser& parser = xml::parser::of_this_thread();
  struct rest_at_end {
    xml::parser& parser;
    ~rest_at_end() { parser.rest(); }
  } const resting{parser};
  const auto tree = parser.parse(offer.content.bytes(), offer.bounds);
  if (!tree) return unexpected{refusal{400, tree.error().reason}};

  auto out = std::make_shared<checked_document>();
  out->published = offer.content;
  checker check{*tree.value(), offer, words, *out};
  if (const std::string_view reason = check.run(); !reason.empty()) return unexpected{refusal{400, reason}};
  if (const auto* previous = dynamic_cast<const checked_document*>(offer.previous)) keep_fresh_ids(*previous, *out);
  return document{std::move(out)};
}

}  // namespace presence::pidf
