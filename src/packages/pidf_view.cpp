#include "pidf_view.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <presence/grammar.hpp>
#include <presence/keyed_hash.hpp>
#include <presence/random.hpp>
#include <presence/uri.hpp>

#include "pidf_check.hpp"

namespace presence::pidf {

namespace {

constexpr std::string_view media_type = "application/pidf+xml";

/// Attributes of RPID and the permission each needs; user-input has levels of its own.
struct known_attribute {
  std::string_view name;
  shown_attribute needs;
};
constexpr std::array known_attributes{
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

/// Renders one document through one view.
class renderer {
 public:
  renderer(const xml::tree& tree, const permissions& shown, const keyed_hash& secret)
      : tree_{tree}, shown_{shown}, secret_{secret}, means_{tree} {}

  /// `published_ids`: what their publishers called the components, by their ids here.
  body run(const std::map<std::string, std::string_view, std::less<>>& published_ids) {
    const xml::node& root = tree_.root();
    const bool closed = root.content_end == root.end;  // <presence/>
    out_ = tree_.source.substr(0, root.content);
    if (closed) out_.replace(out_.rfind("/>"), 2, ">");
    means_.add_start(meaning_, root, 0);
    for (const xml::node& n : tree_.children(root)) {
      if (n.text) continue;
      const kind is = kind_of(n);
      if (is == kind::note) {
        if (shown_.shows(shown_attribute::note)) copy(n);
      } else if (is == kind::other) {
        if (shown_.shows_unknown(n.uri, n.label)) copy(n);
      } else {
        const xml::attribute* id = tree_.find(n, {}, "id");
        const auto own = id != nullptr ? published_ids.find(id->value) : published_ids.end();
        if (passes(n, is, own != published_ids.end() ? own->second : std::string_view{})) write(n, is);
      }
    }
    out_ += closed ? "</presence>" : std::string{tree_.source.substr(root.content_end)};
    return body{media_type, out_, meaning_.value()};
  }

 private:
  enum class kind : std::uint8_t { service, person, device, note, other };

  kind kind_of(const xml::node& n) {
    if (n.is(pidf_uri, "tuple")) return kind::service;
    if (n.is(model_uri, "person")) return kind::person;
    if (n.is(model_uri, "device")) return kind::device;
    if (n.is(pidf_uri, "note") || n.is(model_uri, "note")) return kind::note;
    return kind::other;
  }

  std::string text(const xml::node& n) const {
    std::string room;
    return std::string{xml::trimmed(tree_.text_of(n, room))};
  }
  static bool among(const std::vector<std::string>& set, std::string_view what) {
    return std::binary_search(set.begin(), set.end(), what, std::less<>{});
  }

  /// Whether a component is chosen (POL-TR-1 to -3, -22, -23).
  bool passes(const xml::node& n, kind is, std::string_view id) const {
    const component_filter& filter = is == kind::service  ? shown_.services
                                     : is == kind::person ? shown_.persons
                                                          : shown_.devices;
    if (filter.all || among(filter.occurrence_ids, id)) return true;
    for (const xml::node& c : tree_.children(n)) {
      if (c.is(rpid_uri, "class") && among(filter.classes, text(c))) return true;
      if (is == kind::device && c.is(model_uri, "deviceID") && among(filter.device_ids, text(c))) return true;
      if (is != kind::service || !c.is(pidf_uri, "contact")) continue;
      const std::string contact = text(c);
      const std::string_view scheme = std::string_view{contact}.substr(0, contact.find(':'));
      if (std::any_of(filter.schemes.begin(), filter.schemes.end(), [&](const auto& s) { return iequals(s, scheme); }) ||
          std::any_of(filter.service_uris.begin(), filter.service_uris.end(), [&](const auto& u) { return same_uri(u, contact); }))
        return true;
    }
    return false;
  }

  /// A component with what of it is shown (POL-TR-21).
  void write(const xml::node& n, kind is) {
    means_.add_start(meaning_, n, 1);
    out_ += tree_.source.substr(n.begin, n.content - n.begin);
    for (const xml::node& c : tree_.children(n)) {
      if (!c.text) part(c, is);
    }
    out_ += tree_.source.substr(n.content_end, n.end - n.content_end);
  }

  void part(const xml::node& c, kind in) {
    const bool model = c.uri == model_uri;
    if (c.is(pidf_uri, "contact") || c.is(pidf_uri, "timestamp") || (model && c.label == "timestamp")) return copy(c);
    if (c.is(pidf_uri, "status")) return status(c);
    if (c.is(pidf_uri, "note") || (model && c.label == "note")) {
      if (shown_.shows(shown_attribute::note)) copy(c);
      return;
    }
    if (model && c.label == "deviceID") {
      if (shown_.shows(shown_attribute::device_id)) return copy(c);
      if (in == kind::device) substitute(c);
      return;
    }
    attribute(c);
  }

  /// An element that some permission of its own lets pass.
  void attribute(const xml::node& c) {
    if (c.uri == rpid_uri) {
      if (c.label == "user-input") return input(c);
      const auto known = std::find_if(known_attributes.begin(), known_attributes.end(), [&](const auto& k) { return k.name == c.label; });
      if (known != known_attributes.end()) {
        if (shown_.shows(known->needs)) without_notes(c);
        return;
      }
    }
    if (shown_.shows_unknown(c.uri, c.label)) copy(c);
  }

  void status(const xml::node& n) {
    means_.add_start(meaning_, n, 2);
    out_ += tree_.source.substr(n.begin, n.content - n.begin);
    for (const xml::node& c : tree_.children(n)) {
      if (c.text) continue;
      if (c.is(pidf_uri, "basic")) {
        copy(c);
      } else {
        attribute(c);
      }
    }
    out_ += tree_.source.substr(n.content_end, n.end - n.content_end);
  }

  void copy(const xml::node& n) {
    out_ += tree_.source.substr(n.begin, n.end - n.begin);
    meaning_.add(means_.of(n));
  }

  /// RPID elements may hold notes, which need a permission of their own (POL-TR-16).
  void without_notes(const xml::node& n) {
    const auto is_note = [](const xml::node& c) { return !c.text && c.label == "note" && (c.uri == rpid_uri || c.uri == pidf_uri || c.uri == model_uri); };
    bool has = false;
    for (const xml::node& c : tree_.children(n)) has = has || is_note(c);
    if (!has || shown_.shows(shown_attribute::note)) return copy(n);
    means_.add_start(meaning_, n, 3);
    std::uint32_t from = n.begin;
    for (const xml::node& c : tree_.children(n)) {
      if (is_note(c)) {
        out_ += tree_.source.substr(from, c.begin - from);
        from = c.end;
      } else if (c.text) {
        meaning_.add(c.label);
      } else {
        meaning_.add(means_.of(c));
      }
    }
    out_ += tree_.source.substr(from, n.end - from);
  }

  /// user-input by level: the word, with idle-threshold, with last-input (POL-TR-15).
  void input(const xml::node& n) {
    const user_input level = shown_.all_attributes ? user_input::full : shown_.input;
    if (level == user_input::nothing) return;
    if (level == user_input::full) return copy(n);
    std::uint32_t from = n.begin;
    for (const xml::attribute& a : tree_.attributes_of(n)) {
      if (a.uri == xml::xmlns_uri || (level == user_input::thresholds && a.uri.empty() && a.local == "idle-threshold")) {
        if (a.uri.empty()) meaning_.add(a.value);
        continue;
      }
      out_ += tree_.source.substr(from, a.begin - from);
      from = tree_.value_end(a) + 1;
    }
    out_ += tree_.source.substr(from, n.end - from);
    meaning_.add(n.label);
    meaning_.add(text(n));
  }

  /// Another deviceID, the same for the same device, that cannot be led back to it (POL-TR-6).
  void substitute(const xml::node& n) {
    const std::string true_id = text(n);
    const std::string_view entity = tree_.find(tree_.root(), {}, "entity")->value;
    std::array<char, 32> hex;
    for (std::size_t half = 0; half < 2; ++half) {
      std::uint64_t bits = secret_(entity, true_id, std::string_view{half == 0 ? "a" : "b"});
      for (std::size_t i = 0; i < 16; ++i, bits >>= 4) hex[half * 16 + i] = "0123456789abcdef"[bits & 15];
    }
    std::string id{"urn:uuid:"};
    for (std::size_t i = 0; i < hex.size(); ++i) {
      if (i == 8 || i == 12 || i == 16 || i == 20) id += '-';
      id += hex[i];
    }
    out_ += tree_.source.substr(n.begin, n.content - n.begin);
    out_ += id;
    out_ += tree_.source.substr(n.content_end, n.end - n.content_end);
    meaning_.add(id);
  }

  const xml::tree& tree_;
  const permissions& shown_;
  const keyed_hash& secret_;
  meaning_of_elements means_;
  digest meaning_;
  std::string out_;
};

/// Ids of components as published, by the ids they are shown under.
std::map<std::string, std::string_view, std::less<>> published_ids(std::span<const published> all) {
  std::map<std::string, std::string_view, std::less<>> ids;
  for (const published& p : all) {
    const auto* d = dynamic_cast<const checked_document*>(p.parsed);
    if (d == nullptr) continue;
    for (const fragment& f : d->fragments())
      if (f.id_size != 0) ids.emplace(shown_id(p.id, *d, f), d->id_of(f));
  }
  return ids;
}

}  // namespace

decltype(event_package::authorize_body) make_view_renderer() {
  system_random random;
  return [secret = keyed_hash{random}](const body& whole, std::string_view, std::span<const published> all,
                                       const view& through) -> body {
    limits wide;  // composing adds declarations and bytes to what was within the limits
    wide.body_bytes = wide.xml_elements = wide.xml_attributes = wide.xml_text_bytes = SIZE_MAX;
    wide.xml_depth = xml::deepest;
    const auto parsed = xml::parser::of_this_thread().parse(whole.bytes(), wide);
    if (!parsed) throw std::runtime_error{"a composed document cannot be read"};
    return renderer{**parsed, static_cast<const rules_view&>(through).shown, secret}.run(published_ids(all));
  };
}

}  // namespace presence::pidf
