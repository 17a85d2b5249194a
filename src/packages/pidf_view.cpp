#include "pidf_view.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include <presence/grammar.hpp>
#include <presence/uri.hpp>

#include "../xml.hpp"

namespace presence::pidf {

namespace {

bool among(const std::vector<std::string>& set, std::string_view what) {
  return std::binary_search(set.begin(), set.end(), what, std::less<>{});
}

std::uint32_t granted_by(std::uint32_t attributes, user_input level) noexcept {
  std::uint32_t bits = attributes | outline::id | outline::device_id;
  if (level >= user_input::bare) bits |= outline::input_bare;
  if (level >= user_input::thresholds) bits |= outline::input_thresholds;
  if (level >= user_input::full) bits |= outline::input_full;
  return bits;
}

/// The same for URIs that may be equal.
std::string key_of(std::string_view uri) {
  std::string key;
  if (canonical_aor(uri, key)) return key;
  key = uri;
  for (char& c : std::span{key}.first(std::min(key.find(':'), key.size())))
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return key;
}

}  // namespace

const outline::entry* outline_of(const checked_document& in, const fragment& f) noexcept {
  return in.outlined() != nullptr ? &in.outlined()->entries[static_cast<std::size_t>(&f - in.fragments().data())] : nullptr;
}

made_up_id made_up(std::uint64_t bits) noexcept {
  made_up_id id;
  id[0] = 'p';
  write_id(std::span{id}.subspan(1), bits);
  return id;
}

std::uint64_t key_of_bits(std::uint64_t bits) noexcept { return bits << 4; }  // as many as made_up() writes

std::uint64_t key_of_id(std::string_view id) noexcept {
  if (id.size() != std::tuple_size_v<made_up_id> || id[0] != 'p' || id.find_first_not_of(id_characters, 1) != id.npos) {
    digest d;
    d.add(id);
    return d.value();
  }
  std::uint64_t bits = 0;
  for (std::size_t i = id.size(); i-- > 1;) bits = bits << 5 | id_characters.find(id[i]);
  return key_of_bits(bits);
}

made_up_id lens::id_of(std::uint64_t publication, std::string_view published) const noexcept {
  char number[sizeof publication];
  std::memcpy(number, &publication, sizeof number);
  return made_up(secret_(resource_, std::string_view{number, sizeof number}, published));
}

lens::lens(const permissions& shown, std::string_view resource, const keyed_hash& secret)
    : shown_{shown},
      resource_{resource},
      secret_{secret},
      granted_{shown.all_attributes ? ~outline::declaration : granted_by(shown.attributes, shown.input)} {
  for (const std::string& uri : shown.services.service_uris) services_.emplace_back(key_of(uri), uri);
  std::sort(services_.begin(), services_.end());
}

bool lens::names_service(std::string_view contact) const {
  if (services_.empty()) return false;
  const std::string key = key_of(contact);
  auto at =
      std::lower_bound(services_.begin(), services_.end(), key, [](const auto& s, const std::string& k) { return s.first < k; });
  for (; at != services_.end() && at->first == key; ++at)
    if (same_uri(at->second, contact)) return true;
  return false;
}

bool lens::shows(const outline& o, const outline::part& p, std::uint32_t granted) const {
  const std::uint32_t lacks = p.needs & ~granted;
  return lacks == 0 || (lacks == outline::unknown && shown_.names_unknown(o.names[p.name].first, o.names[p.name].second));
}

const component_filter& lens::filter_of(component kind) const noexcept {
  return kind == component::tuple ? shown_.services : kind == component::person ? shown_.persons : shown_.devices;
}

bool lens::shows(const checked_document& in, const fragment& f) const {
  const outline::entry* e = outline_of(in, f);
  if (e == nullptr) return false;
  const outline& o = *in.outlined();
  // what stands beside the components is no attribute of them (POL-TR-18)
  if (f.id_size == 0) return shows(o, o.parts[e->parts], shown_.attributes);
  const component_filter& filter = filter_of(f.kind);
  if (filter.all || among(filter.occurrence_ids, in.id_of(f))) return true;
  for (const outline::fact& fact : o.facts_of(*e)) {
    switch (fact.what) {
      case outline::fact::of::class_:
        if (among(filter.classes, fact.value)) return true;
        break;
      case outline::fact::of::device_id:
        if (among(filter.device_ids, fact.value)) return true;
        break;
      case outline::fact::of::contact: {
        const std::string_view contact = fact.value, scheme = contact.substr(0, contact.find(':'));
        const auto has_scheme = [&](const auto& s) { return iequals(s, scheme); };
        if (std::any_of(filter.schemes.begin(), filter.schemes.end(), has_scheme) || names_service(contact))
          return true;
        break;
      }
    }
  }
  return false;
}

prominence lens::prominence_of(const checked_document& d) const {
  prominence shown;
  const auto all = d.fragments();
  for (const fragment& f : all) {
    if (!shows(d, f)) continue;
    shown.seen = true;
    shown.open = shown.open || f.open;
  }
  if (d.outlined() == nullptr) return shown;
  const outline& o = *d.outlined();
  for (const outline::word& w : o.words)
    if (w.rank > shown.rank && shows(o, o.parts[w.part], granted_) && shows(d, all[w.fragment])) shown.rank = w.rank;
  return shown;
}

void lens::append(const checked_document& in, const fragment& f, std::string_view id, std::string& out, digest& meaning) const {
  const outline& o = *in.outlined();
  const outline::entry& e = *outline_of(in, f);
  const std::string_view text = in.text.bytes();
  const auto parts = o.parts_of(e);
  std::uint64_t inherited = e.inherited;
  for (const outline::part& p : parts)
    if (shows(o, p, granted_)) inherited |= p.inherited;

  out += text.substr(f.begin, f.head - f.begin);
  in.append_heritage(inherited & ~e.own, out);
  meaning.add(e.meaning);
  for (const outline::part& p : parts) {
    if (p.needs == outline::declaration ? (inherited >> p.name & 1) == 0 : !shows(o, p, granted_)) continue;
    if ((p.needs & outline::id) != 0) {
      ((out += " id=\"") += id) += '"';
      meaning.add(id);
    } else if ((p.needs & outline::device_id) != 0 && !shown_.shows(shown_attribute::device_id)) {
      const auto facts = o.facts_of(e);
      const auto is_id = [](const outline::fact& fact) { return fact.what == outline::fact::of::device_id; };
      append_substitute(std::find_if(facts.begin(), facts.end(), is_id)->value, out, meaning);
    } else {
      out += text.substr(p.begin, p.end - p.begin);
      if (p.meaning != 0) meaning.add(p.meaning);
    }
  }
}

/// Another deviceID, the same for the same device, that cannot be led back to it (POL-TR-6).
void lens::append_substitute(std::string_view device_id, std::string& out, digest& meaning) const {
  std::string id{"urn:uuid:"};
  std::array<std::uint64_t, 2> halves{secret_(resource_, device_id, std::string_view{"a"}),
                                      secret_(resource_, device_id, std::string_view{"b"})};
  for (std::size_t i = 0; i < 32; ++i) {
    if (i == 8 || i == 12 || i == 16 || i == 20) id += '-';
    std::uint64_t& bits = halves[i / 16];
    id += "0123456789abcdef"[bits & 15];
    bits >>= 4;
  }
  out += id;
  meaning.add(id);
}

}  // namespace presence::pidf
