#include "pidf_compose.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <boost/container/small_vector.hpp>
#include <cstring>
#include <functional>
#include <memory_resource>
#include <set>
#include <utility>
#include <vector>

#include "../xml.hpp"
#include "digest.hpp"

namespace presence::pidf {

namespace {

constexpr std::string_view opening =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"";
constexpr std::string_view closing = "</presence>";
constexpr std::string_view closed_status = "<status><basic>closed</basic></status>";
constexpr std::string_view open_status = "<status><basic>open</basic></status>";

/// A publication that takes part.
struct contribution {
  std::uint64_t publication;
  const checked_document* document;
  bool leaving = false;  ///< only its tuples are told, closed
};

/// The one publication that counts where only one does, of those that somebody sees anything of; null: none.
/// `before`: those that leave count, too.
const published* chosen(std::span<const published> all, presence_options::composing by, bool before, const lens* through) {
  const published* best = nullptr;
  std::pair<std::uint32_t, std::uint64_t> best_place;
  for (const published& p : all) {
    const auto* d = as_checked(p.parsed);
    if (d == nullptr || (p.leaving && !before)) continue;
    const prominence shown = through != nullptr ? through->prominence_of(*d) : d->whole;
    if (!shown.seen) continue;
    std::uint32_t rank = 0;
    if (by == presence_options::composing::most_available) rank = shown.open ? 1 : 0;
    if (by == presence_options::composing::by_word) rank = shown.rank;
    const std::pair place{rank, p.arrival};
    if (best != nullptr && place < best_place) continue;
    best = &p;
    best_place = place;
  }
  return best;
}

// --- ids ---------------------------------------------------------------------------------------
// Ids are scoped by publication (RFC 3903), those of the composed document are not. The first
// publication to show an id has it; the same id of another one is replaced by a fresh one (CMP-3).

/// What the fresh id number `standing` of a component is made of: the same as long as the publication lives.
std::uint64_t fresh_bits(std::uint64_t publication, std::string_view original, std::uint32_t standing) noexcept {
  digest d;
  d.add(publication);
  d.add(std::uint64_t{standing});
  d.add(original);
  return d.value();
}
made_up_id fresh(std::uint64_t publication, std::string_view original, std::uint32_t standing) noexcept {
  return made_up(fresh_bits(publication, original, standing));
}

/// Whether no two components are called the same as they stand. False if that cannot be said at a glance: two keys are
/// equal, as those of equal ids are, and hardly any others.
bool differ_at_a_glance(std::span<const contribution> all) {
  if (all.size() == 1) {  // its check saw to it that its own ids differ
    const auto fragments = all.front().document->fragments();
    if (std::all_of(fragments.begin(), fragments.end(), [](const fragment& f) { return f.standing <= 1; })) return true;
  }
  boost::container::small_vector<std::uint64_t, 64> keys;
  for (const contribution& c : all)
    for (const fragment& f : c.document->fragments()) {
      if (f.id_size == 0) continue;
      const std::string_view original = c.document->id_of(f);
      keys.push_back(f.standing <= 1 ? key_of_id(original) : key_of_bits(fresh_bits(c.publication, original, f.standing)));
    }
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) == keys.end();
}

/// Gives every component its id, so that no two are equal and none changes that was shown before.
void settle_ids(std::span<const contribution> all) {
  if (all.size() == 1 && all.front().document->settled) return;
  if (differ_at_a_glance(all)) {
    for (const contribution& c : all) {
      c.document->settled = true;
      for (const fragment& f : c.document->fragments()) {
        if (f.id_size == 0) continue;
        f.standing = std::max(f.standing, 1U);
        c.document->settled = c.document->settled && f.standing == 1;
      }
    }
    return;
  }
  std::array<std::byte, 4096> room;
  std::pmr::monotonic_buffer_resource memory{room.data(), room.size()};
  std::pmr::set<std::string_view> taken{&memory};
  const auto take = [&](const contribution& c, const fragment& f) {
    const std::string_view original = c.document->id_of(f);
    if (f.standing <= 1 && taken.insert(original).second) {
      f.standing = 1;
      return;
    }
    c.document->settled = false;
    for (std::uint32_t n = f.standing <= 1 ? 2 : f.standing;; ++n) {
      const made_up_id id = fresh(c.publication, original, n);
      if (taken.contains(std::string_view{id.data(), id.size()})) continue;
      char* kept = static_cast<char*>(memory.allocate(id.size(), 1));
      std::memcpy(kept, id.data(), id.size());
      taken.emplace(kept, id.size());
      f.standing = n;
      return;
    }
  };
  for (const contribution& c : all) c.document->settled = true;
  for (const bool shown : {true, false}) {
    for (const contribution& c : all) {
      for (const fragment& f : c.document->fragments()) {
        if (f.id_size != 0 && (f.standing != 0) == shown) take(c, f);
      }
    }
  }
}

// --- composition -------------------------------------------------------------------------------

/// The id a component is shown under. Through a view it is one that depends on nothing but the component and its
/// publication: what the view hides could otherwise be seen by the ids it takes (SEC-LEAK-9).
std::string shown_id(const contribution& c, const fragment& f, const lens* through) {
  const std::string_view original = c.document->id_of(f);
  if (through == nullptr && f.standing <= 1) return std::string{original};
  const made_up_id id = through != nullptr ? through->id_of(c.publication, original) : fresh(c.publication, original, f.standing);
  return {id.data(), id.size()};
}

/// A tuple of a document that goes: its id, closed.
void write_closed(std::string& out, digest& meaning, const contribution& c, const fragment& f, const lens* through) {
  if (f.kind != component::tuple) return;
  const std::string shown = shown_id(c, f, through);
  ((out += "<tuple id=\"") += shown) += "\">";
  (out += closed_status) += "</tuple>";
  meaning.add(shown);
  meaning.add(closed_status);
}

std::size_t size_of(const checked_document& d, const fragment& f) noexcept {
  return f.end - f.begin + d.heritage_size(f.inherited) - f.id_size +
         std::max<std::size_t>(f.id_size, std::tuple_size_v<made_up_id>);
}

/// Writes one fragment, as far as `through` shows it, and adds what it says to `meaning`.
void write(std::string& out, digest& meaning, const contribution& c, const fragment& f, const lens* through) {
  const checked_document& d = *c.document;
  if (through != nullptr && f.id_size != 0) return through->append(d, f, shown_id(c, f, through), out, meaning);
  const std::string_view text = d.text.bytes();
  const auto copy = [&](std::uint32_t from, std::uint32_t end) { out += text.substr(from, end - from); };
  copy(f.begin, f.head);
  d.append_heritage(f.inherited, out);
  meaning.add(f.meaning);
  if (f.standing <= 1) return copy(f.head, f.end);
  const std::string id = shown_id(c, f, nullptr);
  copy(f.head, f.id);
  out += id;
  copy(f.id + f.id_size, f.end);
  meaning.add(id);
}

/// Notes and foreign elements that an earlier publication has too, in order of address (CMP-8).
std::vector<const fragment*> repeated(std::span<const contribution> all) {
  std::vector<const fragment*> found;
  if (all.size() < 2) return found;
  std::set<std::uint64_t> seen;
  for (const contribution& c : all) {
    if (c.leaving) continue;
    for (const fragment& f : c.document->fragments()) {
      if (f.id_size == 0 && !seen.insert(f.meaning).second) found.push_back(&f);
    }
  }
  std::sort(found.begin(), found.end(), std::less<>{});
  return found;
}

}  // namespace

body compose(std::string_view resource, std::span<const published> publications, const presence_options& how,
             const lens* through, std::string& out) {
  boost::container::small_vector<contribution, 4> all;
  const bool merges = how.several == presence_options::composing::merge;
  const published* const only = merges ? nullptr : chosen(publications, how.several, false, through);
  const published* const shown = merges ? nullptr : chosen(publications, how.several, true, through);
  for (const published& p : publications) {
    const auto* d = as_checked(p.parsed);
    const bool counts = p.leaving ? how.closes_leaving && (merges || &p == shown) : merges || &p == only;
    if (d != nullptr && counts) all.push_back({p.id, d, p.leaving});
  }
  if (through == nullptr) {
    settle_ids({all.data(), all.size()});
    if (all.size() == 1 && !all[0].leaving && all[0].document->stands_for(resource)) return all[0].document->text;
  }
  const std::vector<const fragment*> skipped = repeated({all.data(), all.size()});

  constexpr std::string_view entity = "entity";
  std::size_t bytes = opening.size() + entity.size() + resource.size() + 4 + 1 + closing.size();
  for (const contribution& c : all) {
    for (const fragment& f : c.document->fragments()) bytes += size_of(*c.document, f);
  }
  out.clear();
  out.reserve(bytes);
  digest meaning;
  out += opening;
  xml::append_attribute(out, entity, resource);
  out += '>';
  meaning.add(resource);
  const std::size_t head = out.size();
  for (int place = 0; place < 3; ++place) {
    for (const contribution& c : all) {
      for (const fragment& f : c.document->fragments()) {
        if (place_of(f.kind) != place || (through != nullptr && !through->shows(*c.document, f))) continue;
        if (c.leaving) {
          write_closed(out, meaning, c, f, through);
          continue;
        }
        if (!skipped.empty() && std::binary_search(skipped.begin(), skipped.end(), &f, std::less<>{})) continue;
        write(out, meaning, c, f, through);
      }
    }
  }
  // nothing of it to see is as if nothing were published
  if (out.size() == head && how.nothing != presence_options::unpublished::no_tuples) {
    const std::string_view status = how.nothing == presence_options::unpublished::open ? open_status : closed_status;
    ((out += "<tuple id=\"presentity\">") += status) += "</tuple>";
    meaning.add(status);
  }
  out += closing;
  return body{media_type, out, meaning.value()};
}

}  // namespace presence::pidf
