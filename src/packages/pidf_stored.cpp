#include "pidf_stored.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <string>

namespace presence::pidf {

namespace {

// Behind a stored document, for each component under a fresh id: its own id and the number of the fresh one. A peer who
// sends the same only renames what is his own.
constexpr std::string_view fresh_opening = "<?presence-ids", fresh_closing = "?>";
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
  if (ids.empty()) return {};
  const body& published = rare_ && rare_->untidied ? rare_->untidied : text;
  std::string bytes;
  bytes.reserve(published.bytes().size() + fresh_opening.size() + ids.size() + fresh_closing.size());
  (((bytes += published.bytes()) += fresh_opening) += ids) += fresh_closing;
  return body{published.content_type(), bytes};
}

std::optional<std::pair<std::string_view, std::string_view>> split_stored(std::string_view bytes) {
  if (!bytes.ends_with(fresh_closing)) return std::nullopt;
  const std::size_t at = bytes.rfind(fresh_opening);
  if (at == bytes.npos) return std::nullopt;
  std::string_view ids = bytes.substr(at + fresh_opening.size());
  ids.remove_suffix(fresh_closing.size());
  if (ids.find_first_of("<>?&") != ids.npos) return std::nullopt;
  return std::pair{bytes.substr(0, at), ids};
}

void restore_fresh_ids(std::string_view ids, const checked_document& to) {
  std::map<std::string_view, std::uint32_t> standing;
  const auto word = [&] {
    ids.remove_prefix(std::min(ids.find_first_not_of(' '), ids.size()));
    const std::string_view found = ids.substr(0, ids.find(' '));
    ids.remove_prefix(found.size());
    return found;
  };
  while (!ids.empty()) {
    const std::string_view id = word();
    std::uint32_t number = 0;
    const std::string_view digits = word();
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
