#include "pidf_stored.hpp"

#include <charconv>
#include <map>
#include <string>

#include "digest.hpp"
#include "kept.hpp"

namespace presence::pidf {

namespace {

constexpr std::uint32_t most_fresh = 0xffff;  // few others can ever have had the same made-up id

/// Gives components the fresh ids they had.
void stand(const std::map<std::string_view, std::uint32_t>& standing, const checked_document& to) {
  if (standing.empty()) return;
  for (const fragment& f : to.fragments()) {
    const auto known = f.id_size != 0 ? standing.find(to.id_of(f)) : standing.end();
    if (known != standing.end()) f.standing = known->second;
  }
}

}  // namespace

body checked_document::stored() const {
  std::string ids;
  for (const fragment& f : fragments())
    if (f.standing > 1) ((((ids += ' ') += id_of(f)) += ' ') += std::to_string(f.standing));
  return with_kept(rare_ && rare_->untidied ? rare_->untidied : text, ids.empty() ? ids : " ids" + ids);
}

std::optional<std::uint64_t> checked_document::kept() const {
  digest d;
  for (const fragment& f : fragments()) {
    if (f.standing <= 1) continue;
    d.add(id_of(f));
    d.add(std::uint64_t{f.standing});
  }
  return d.value();
}

void restore_fresh_ids(std::string_view kept, const checked_document& to) {
  if (next_word(kept) != "ids") return;
  std::map<std::string_view, std::uint32_t> standing;
  while (!kept.empty()) {
    const std::string_view id = next_word(kept);
    std::uint32_t number = 0;
    const std::string_view digits = next_word(kept);
    std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (number > 1 && number <= most_fresh) standing.emplace(id, number);
  }
  stand(standing, to);
}

void keep_fresh_ids(const checked_document& from, const checked_document& to) {
  if (from.settled) return;
  std::map<std::string_view, std::uint32_t> standing;
  for (const fragment& f : from.fragments()) {
    if (f.standing > 1) standing.emplace(from.id_of(f), f.standing);
  }
  stand(standing, to);
}

}  // namespace presence::pidf
