/// What the row of a document remembers beside its text, as a processing instruction behind it: `<?presence-kept ids t1 2?>`.
/// What it says is the package's own. It is ours if it is the last thing of a stored document: one that was published is
/// never read so, and gets an empty one behind it.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include <presence/body.hpp>

namespace presence {

inline constexpr std::string_view kept_opening = "<?presence-", kept_word = "kept", kept_closing = "?>";

struct stored_text {
  std::string_view text;
  std::string_view kept;  ///< words
};

/// Nothing: there is no such thing behind it. Rows of earlier versions have `<?presence-ids t1 2?>` and
/// `<?presence-ends 1f03?>` instead.
inline std::optional<stored_text> split_kept(std::string_view bytes) noexcept {
  const auto at = bytes.ends_with(kept_closing) ? bytes.rfind(kept_opening) : bytes.npos;
  if (at == bytes.npos) return std::nullopt;
  std::string_view kept = bytes.substr(at + kept_opening.size());
  kept.remove_suffix(kept_closing.size());
  if (kept.find_first_of("<>?&") != kept.npos) return std::nullopt;
  if (kept.starts_with(kept_word)) kept.remove_prefix(kept_word.size());
  else if (!kept.starts_with("ids") && !kept.starts_with("ends")) return std::nullopt;
  return stored_text{bytes.substr(0, at), kept};
}

/// Takes the first word off; empty: there is none left.
inline std::string_view next_word(std::string_view& words) noexcept {
  words.remove_prefix(std::min(words.find_first_not_of(' '), words.size()));
  const std::string_view found = words.substr(0, words.find(' '));
  words.remove_prefix(found.size());
  return found;
}

/// No body: there is nothing to be kept, and the text is no other thing than it says. `words` begin with a blank and have
/// none of `<>?&`.
inline body with_kept(const body& text, std::string_view words) {
  if (words.empty() && !split_kept(text.bytes())) return {};
  std::string bytes;
  bytes.reserve(text.bytes().size() + kept_opening.size() + kept_word.size() + words.size() + kept_closing.size());
  ((((bytes += text.bytes()) += kept_opening) += kept_word) += words) += kept_closing;
  return body{text.content_type(), bytes};
}

}  // namespace presence
