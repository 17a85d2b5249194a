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

#include "kept.hpp"
#include "pidf.hpp"
#include "pidf_meaning.hpp"
#include "pidf_outline.hpp"
#include "pidf_stored.hpp"

namespace presence::pidf {

/// One check. Everything it says "no" to is a static sentence.
class checker {
 public:
  checker(const xml::tree& tree, const offered_document& offer, std::span<const std::string> words, bool tidied)
      : tree_{tree}, offer_{offer}, words_{words}, tidied_{tidied}, means_{tree}, scope_{tree} {
    if (!offer.through_views) return;
    outlined_ = std::make_unique<outline>();
    outliner_.emplace(tree_, means_, scope_, *outlined_);
  }

  /// Empty when the document is sound.
  std::string_view run() {
    const xml::node& root = tree_.root();
    if (!root.is(pidf_uri, "presence")) return "The root is not a PIDF presence element";
    const xml::attribute* entity = tree_.find(root, {}, "entity");
    if (entity == nullptr || xml::trimmed(entity->value).empty()) return "A presence element without an entity";
    if (!scope_.survey(root)) return "Too many namespace declarations";
    tidy_ = tree_.plain && !has_xml_attributes(root) && !has_rpid_ids(tree_);

    std::size_t inherited = 0;
    for (const xml::node& child : tree_.children(root)) {
      if (child.text) return "Text directly inside a presence element";
      found& f = found_.emplace_back();
      if (const std::string_view reason = add(child, f); !reason.empty()) return reason;
      inherited += scope_.size_of(f.cut.inherited);
      if (inherited > offer_.bounds.body_bytes) return "Namespace declarations that would repeat too often";
    }
    if (scope_.full()) return "Too many namespace declarations";
    if (!tidy()) return {};
    const std::size_t children = found_.size();
    if (has_equal_ids() && !keep_latest()) return "An id that occurs twice";
    const auto by_place = [](const found& a, const found& b) { return place_of(a.cut.kind) < place_of(b.cut.kind); };
    const bool in_order = std::is_sorted(found_.begin(), found_.end(), by_place);
    if (!in_order) std::stable_sort(found_.begin(), found_.end(), by_place);
    drop_repeated();
    if (in_order && found_.size() == children && is_composed(root, *entity)) entity_ = entity->value_begin;
    for (std::uint32_t i = 0; i < found_.size(); ++i) {
      whole_.open = whole_.open || found_[i].cut.open;
      if (found_[i].cut.kind == component::person) note_spheres(*found_[i].node);
      if (!words_.empty()) find_words(i);
    }
    return {};
  }

  /// Whether the document can be used as it stands; if not, it is to be checked again when it is tidied.
  bool tidy() const noexcept { return tidy_ || tidied_; }

  /// What was found in a sound document, of which `text` has the bytes.
  std::shared_ptr<checked_document> document(body text) {
    const bool inherits = std::any_of(found_.begin(), found_.end(), [](const found& f) { return f.cut.inherited != 0; });
    const auto heritage = static_cast<std::uint32_t>(inherits ? scope_.count() : 0);
    const auto made = checked_document::with(static_cast<std::uint32_t>(found_.size()), heritage);
    std::transform(found_.begin(), found_.end(), made->fragments_, [](const found& f) { return f.cut; });
    for (std::uint32_t i = 0; i < heritage; ++i) made->heritage_begin()[i] = scope_.text_of(i);
    if (entity_ != 0) {  // what compose() would say of it
      digest meaning;
      meaning.add(offer_.resource);
      for (const found& f : found_) meaning.add(f.cut.meaning);
      text.set_digest(meaning.value());
    }
    made->text = std::move(text);
    made->entity = entity_;
    made->whole = whole_;
    if (outlined_) {
      outlined_->entries.reserve(found_.size());
      for (const found& f : found_) outlined_->entries.push_back(f.outlined);
      outlined_->parts.shrink_to_fit();
      outlined_->facts.shrink_to_fit();
      outlined_->words.shrink_to_fit();
      more().outlined = std::move(outlined_);
    }
    made->rare_ = std::move(rare_);
    return made;
  }
  void keep_untidied(const body& published) { more().untidied = published; }

 private:
  /// A child of the root.
  struct found {
    fragment cut;
    outline::entry outlined;
    const xml::node* node;
    std::optional<instant> told;  ///< its timestamp
  };

  std::string_view add(const xml::node& child, found& to) {
    to.node = &child;
    fragment& f = to.cut;
    f.kind = kind_of(means_.space_of(child), child.label);
    f.begin = child.begin;
    f.head = child.name_end;
    f.end = child.end;
    if (has_id(f.kind)) {
      const xml::attribute* id = tree_.find(child, {}, "id");
      if (id == nullptr) return "A tuple, person or device without an id";
      const std::string_view value = xml::trimmed(id->value);
      if (!xml::is_ncname(value) || value.size() > 0xfffffffU) return "An id that is not an NCName";
      f.id = id->value_begin;
      f.id_size = static_cast<std::uint32_t>(value.size()) & 0xfffffffU;
      // as long as it was written: a reference is longer than what it stands for
      tidy_ = tidy_ && !has_xml_attributes(child) && id->value_end - f.id == value.size();
      if (const std::string_view reason = check_component(child, to); !reason.empty()) return reason;
    }
    f.meaning = means_.of(child);
    scope_.begin(child);
    f.inherited = scope_.used_by(tree_.source.substr(f.begin, f.end - f.begin));
    if (outliner_ && tidy())
      to.outlined = has_id(f.kind) ? outliner_->component(child, f.kind) : outliner_->whole(child, f.meaning);
    return {};
  }

  std::string_view check_component(const xml::node& of, found& to) {
    const component kind = to.cut.kind;
    std::array<std::size_t, ranks> seen{};
    std::uint8_t last = 0;
    for (const xml::node& child : tree_.children(of)) {
      if (child.text) return "Text directly inside a tuple, person or device";
      const role r = role_of(kind, means_.space_of(child), child.label);
      tidy_ = tidy_ && r.rank >= last;
      last = r.rank;
      if (++seen[r.rank] > 1 && r.single) return "A status, contact, timestamp or deviceID that occurs twice";
      if (r.timestamp && !(to.told = xml::parse_date_time(tree_.text_of(child, room_)))) return "A malformed timestamp";
      if (kind == component::tuple) {
        std::string_view reason;
        if (r.rank == 0) reason = check_status(child, to.cut);
        if (r.rank == 2) reason = check_contact(child);
        if (!reason.empty()) return reason;
      }
    }
    if (kind == component::tuple && seen[0] == 0) return "A tuple without a status";
    if (kind == component::device && seen[2] == 0) return "A device without a deviceID";
    return {};
  }

  std::string_view check_status(const xml::node& status, fragment& of) {
    bool seen = false, others = false;
    for (const xml::node& child : tree_.children(status)) {
      if (child.text) return "Text directly inside a status";
      if (!xml::equal(child.label, "basic") || means_.space_of(child) != space::pidf) {
        others = true;
        continue;
      }
      tidy_ = tidy_ && !others;
      if (seen) return "A status with two basic elements";
      seen = true;
      const std::string_view value = tree_.text_of(child, room_);
      of.open = xml::equal(value, "open");
      if (has_elements(child) || (!of.open && !xml::equal(value, "closed"))) {
        return "A basic status that is neither open nor closed";
      }
    }
    return {};
  }

  bool has_xml_attributes(const xml::node& of) const {
    const auto all = tree_.attributes_of(of);
    return std::any_of(all.begin(), all.end(), [](const xml::attribute& a) { return xml::equal(a.uri, xml::xml_uri); });
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

  void note_spheres(const xml::node& person) {
    for (const xml::node& child : tree_.children(person))
      if (child.is(rpid_uri, "sphere")) note_sphere(child);
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
      more().spheres.push_back({*from, *until, std::string{value}});
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

  // --- the document as a whole -----------------------------------------------------------------

  bool has_equal_ids() const {
    if (found_.size() <= 8) {
      for (auto a = found_.begin(); a != found_.end(); ++a) {
        for (auto b = found_.begin(); b != a; ++b) {
          if (a->cut.id_size != 0 && xml::equal(id_of(a->cut), id_of(b->cut))) return true;
        }
      }
      return false;
    }
    std::vector<std::string_view> ids;
    ids.reserve(found_.size());
    for (const found& f : found_) {
      if (f.cut.id_size != 0) ids.push_back(id_of(f.cut));
    }
    std::sort(ids.begin(), ids.end());
    return std::adjacent_find(ids.begin(), ids.end()) != ids.end();
  }

  /// Of a component that is there several times the one with the latest timestamp stays (CMP-5). False: nothing says which.
  bool keep_latest() {
    struct newest {
      const found* of = nullptr;
      bool tied = false;
    };
    std::map<std::string_view, newest> latest;
    for (const found& f : found_) {
      if (f.cut.id_size == 0) continue;
      newest& last = latest[id_of(f.cut)];
      if (last.of != nullptr && last.of->cut.kind != f.cut.kind) return false;
      if (last.of == nullptr || last.of->told < f.told) last = {&f};
      else if (last.of->told == f.told) last.tied = true;
    }
    std::set<std::uint32_t> stay;  // by their place, for they move now
    for (const auto& [id, last] : latest) {
      if (last.tied) return false;
      stay.insert(last.of->cut.begin);
    }
    const auto is_older = [&](const found& f) { return f.cut.id_size != 0 && !stay.contains(f.cut.begin); };
    found_.erase(std::remove_if(found_.begin(), found_.end(), is_older), found_.end());
    return true;
  }

  /// A presence-level note or foreign element that says the same as one before goes (CMP-8).
  void drop_repeated() {
    const auto can_repeat = [](const found& f) { return f.cut.id_size == 0; };
    if (std::count_if(found_.begin(), found_.end(), can_repeat) < 2) return;
    std::set<std::uint64_t> seen;
    const auto repeats = [&](const found& f) { return can_repeat(f) && !seen.insert(f.cut.meaning).second; };
    found_.erase(std::remove_if(found_.begin(), found_.end(), repeats), found_.end());
  }

  /// Finds the important words that notes and activities of a fragment say (V04).
  void find_words(std::uint32_t fragment) {
    const found& f = found_[fragment];
    const auto says = [&](std::string_view text, const xml::node& where) {
      const auto word = std::find_if(words_.begin(), words_.end(), [&](const std::string& w) { return iequals(text, w); });
      if (word == words_.end()) return;
      const auto rank = static_cast<std::uint32_t>(words_.end() - word);
      whole_.rank = std::max(whole_.rank, rank);
      if (!outlined_) return;
      const auto parts = outlined_->parts_of(f.outlined);
      const auto behind =
          std::upper_bound(parts.begin(), parts.end(), where.begin, [](std::uint32_t at, const auto& p) { return at < p.begin; });
      if (behind == parts.begin() || where.begin >= behind[-1].end) return;  // shown to nobody
      outlined_->words.push_back({fragment, f.outlined.parts + static_cast<std::uint32_t>(behind - parts.begin() - 1), rank});
    };
    for (std::uint32_t i = tree_.index(*f.node); i < f.node->after; ++i) {
      const xml::node& n = tree_.nodes[i];
      if (is_note(n)) says(xml::trimmed(tree_.text_of(n, room_)), n);
      if (n.text || !n.is(rpid_uri, "activities")) continue;
      for (const xml::node& activity : tree_.children(n))
        if (!activity.text) says(activity.label, activity);
    }
  }

  /// Whether nothing but white space is different when the components, which are all there and in order, are composed
  /// for the resource: neither prefix nor attributes of the root, nor the label of the bytes.
  bool is_composed(const xml::node& root, const xml::attribute& entity) const {
    constexpr std::string_view start = "<presence", declared = "<?xml", version = "<?xml version=\"1.0\"";
    const std::string_view source = tree_.source;
    const auto expected = [&](const xml::attribute& a) { return &a == &entity || a.declares; };
    const auto all = tree_.attributes_of(root);
    return !found_.empty() && tree_.plain && source.front() == '<' &&
           (source.starts_with(version) || !source.starts_with(declared)) && root.name_end - root.begin == start.size() &&
           std::all_of(all.begin(), all.end(), expected) &&
           entity.value_end - entity.value_begin == entity.value.size() && xml::equal(entity.value, offer_.resource) &&
           offer_.content.content_type() == media_type;
  }

  checked_document::rare& more() {
    if (!rare_) rare_ = std::make_unique<checked_document::rare>();
    return *rare_;
  }
  std::string_view id_of(const fragment& f) const noexcept { return tree_.source.substr(f.id, f.id_size); }

  const xml::tree& tree_;
  const offered_document& offer_;
  const std::span<const std::string> words_;
  const bool tidied_;
  std::uint32_t entity_ = 0;
  prominence whole_{.seen = true};
  std::unique_ptr<checked_document::rare> rare_;
  meaning_of_elements means_;
  boost::container::small_vector<found, 6> found_;
  std::unique_ptr<outline> outlined_;  // only if it is wanted
  std::optional<outliner> outliner_;
  scope scope_;
  std::string room_;
  bool tidy_ = true;
};

namespace {

/// Whether the media type names a character set that UTF-8 does not include.
bool other_charset(std::string_view type) noexcept {
  if (type.find('=') == type.npos) return false;
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

}  // namespace

result<document, refusal> check(const offered_document& offer, std::span<const std::string> words) {
  const auto stored = offer.from_row ? split_kept(offer.content.bytes()) : std::nullopt;
  const body cut = stored ? body{offer.content.content_type(), stored->text} : body{};
  const body& published = stored ? cut : offer.content;
  if (published.bytes().size() > offer.bounds.body_bytes) {
    return unexpected{refusal{413, "Request Entity Too Large"}};
  }
  if (other_charset(offer.content.content_type())) return unexpected{refusal{415, "Unsupported Media Type"}};

  xml::parser& parser = xml::parser::of_this_thread();
  struct rest_at_end {
    xml::parser& parser;
    ~rest_at_end() { parser.rest(); }
  } const resting{parser};
  limits bounds = offer.bounds;
  body rewritten;
  std::shared_ptr<checked_document> out;
  for (bool again = false;; again = true) {
    const body& text = again ? rewritten : published;
    const auto tree = parser.parse(text.bytes(), bounds);
    if (!tree) return unexpected{refusal{400, tree.error().reason}};
    checker check{*tree.value(), offer, words, again};
    if (const std::string_view reason = check.run(); !reason.empty()) return unexpected{refusal{400, reason}};
    if (check.tidy()) {
      if (again) check.keep_untidied(published);
      out = check.document(text);
      break;
    }
    rewritten = body{text.content_type(), tidied(*tree.value())};
    if (rewritten.bytes().size() / 2 > bounds.body_bytes) return unexpected{refusal{413, "Request Entity Too Large"}};
    bounds.body_bytes = std::max(bounds.body_bytes, rewritten.bytes().size());
  }
  if (stored) restore_fresh_ids(stored->kept, *out);
  if (const checked_document* previous = as_checked(offer.previous)) keep_fresh_ids(*previous, *out);
  return document{std::move(out)};
}

}  // namespace presence::pidf
