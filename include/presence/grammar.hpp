/// The grammar of the header values a request carries (conformance section 1): checks and small
/// parsers over the caller's text. They allocate nothing, throw nothing and never read past the end
/// of what they are given; everything they return views their argument.
///
/// They know no limits on length: the engine compares with options::limits before it asks here.
/// White space between the parts of a value is tolerated where RFC 3261 section 25.1 allows it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include <presence/result.hpp>

namespace presence {

// --- characters and words ---------------------------------------------------------------------

/// Whether any byte is a control character: below 0x20, or 0x7f. Reads eight
/// bytes at a time; a usual header value costs one to five nanoseconds.
inline bool has_control(std::string_view text) noexcept {
  constexpr std::uint64_t ones = 0x0101010101010101u;
  constexpr std::uint64_t high = ones * 0x80;
  // a high bit is set in the answer if, and only if, some byte of the word is a control character
  const auto control = [](std::uint64_t word) noexcept {
    return ((word - ones * 0x20) | ((word ^ ones * 0x7f) - ones)) & ~word;
  };
  const char* p = text.data();
  std::size_t left = text.size();
  std::uint64_t word = 0;
  if (left < 8) {
    word = ones * 0x20;
    if (left >= 4) {
      std::uint32_t first = 0, last = 0;
      std::memcpy(&first, p, 4);
      std::memcpy(&last, p + left - 4, 4);
      word = first | std::uint64_t{last} << 32;
    } else if (left != 0) {
      const auto byte = [p](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(p[i])}; };
      word = ones * 0x20 << 24 | byte(0) << 16 | byte(left / 2) << 8 | byte(left - 1);
    }
    return (control(word) & high) != 0;
  }
  std::uint64_t found = 0;
  for (; left > 8; p += 8, left -= 8) {
    std::memcpy(&word, p, 8);
    found |= control(word);
  }
  std::memcpy(&word, p + left - 8, 8);  // the last word overlaps the one before
  return ((found | control(word)) & high) != 0;
}

/// Whether two texts are equal but for the case of ASCII letters.
bool iequals(std::string_view a, std::string_view b) noexcept;

/// `token` (GRM-1): one or more letters, digits and - . ! % * _ + ` ' ~
bool is_token(std::string_view text) noexcept;

/// An event type (GRM-2): tokens without dots, joined by dots; templates included.
bool is_event_type(std::string_view text) noexcept;

/// A Call-ID (GRM-10): a word, optionally `@` and another.
bool is_call_id(std::string_view text) noexcept;

/// A q-value (GRM-13) in thousandths, 0 to 1000; nothing when it is none.
std::optional<int> parse_quality(std::string_view text) noexcept;

/// Whether the text is a q-value (GRM-13).
inline bool is_quality(std::string_view text) noexcept { return parse_quality(text).has_value(); }

// --- lists --------------------------------------------------------------------------------------

/// Walks over a comma separated list. Commas inside "quotes" and <brackets> separate nothing;
/// items come trimmed; empty ones are skipped.
class item_reader {
 public:
  explicit item_reader(std::string_view list) noexcept : rest_{list} {}

  /// Puts the next item into `item`; false at the end, or where a quote or bracket stays open.
  bool next(std::string_view& item) noexcept;
  /// Whether the walk ended at a quote or bracket that stays open.
  bool malformed() const noexcept { return malformed_; }

 private:
  std::string_view rest_;
  bool malformed_ = false;
};

/// Calls `visit` with each item of a list, in order. A visitor that returns false ends the walk.
/// Returns whether the walk reached the end of a well-formed list.
template <class F>
bool for_each_item(std::string_view list, F&& visit) {
  item_reader reader{list};
  std::string_view item;
  while (reader.next(item)) {
    if constexpr (std::is_void_v<std::invoke_result_t<F&, std::string_view>>) {
      visit(item);
    } else {
      if (!visit(item)) return false;
    }
  }
  return !reader.malformed();
}

/// How many items a list has; a rest that cannot be read counts as one.
std::size_t count_items(std::string_view list) noexcept;

/// The option tags of a Require value that are not in `known`, as Unsupported writes them: joined
/// by a comma and a space, in the order given. Tags compare without case. `malformed` tells that an
/// item is not a token; the answer is empty then.
std::string unknown_options(std::string_view require, std::span<const std::string_view> known,
                            bool& malformed);

// --- Event --------------------------------------------------------------------------------------

/// More parameters than this make a value malformed; keeps the search for duplicates cheap.
inline constexpr std::size_t max_parameters = 32;

/// An Event value in parts; all of them view the text that was parsed.
struct event_value {
  std::string_view type = {};               ///< `presence`, `dialog`, `presence.winfo`
  std::string_view parameters = {};         ///< raw text after the type, without the leading `;`
  std::optional<std::string_view> id = {};  ///< the `id` parameter, a token

  /// Whether there is a parameter `name` (without regard to case). With a `value` its value must be
  /// that one, byte by byte after unquoting; without, any value or none will do.
  bool has(std::string_view name, std::optional<std::string_view> value = std::nullopt) const noexcept;
  /// The value of a parameter, unquoted; empty if it has none. nullopt: it is not there.
  std::optional<std::string> value_of(std::string_view name) const;
};

/// Why an Event value is refused: 489 when it is missing, 400 for the others (GRM-5).
enum class event_fault : std::uint8_t { missing, malformed, several };

/// Takes an Event value apart (GRM-2 to GRM-5). A name that occurs twice is malformed, and so is an
/// `id` that is not a token; a parameter value is a token, a quoted string or an [IPv6] reference.
result<event_value, event_fault> parse_event(std::string_view value) noexcept;

// --- media types ----------------------------------------------------------------------------------

/// Whether the text is a Content-Type value: `type/subtype`, each parameter with a value. A
/// wildcard is none.
bool is_media_type(std::string_view text) noexcept;

/// Whether a Content-Type value is of a registered type (GRM-15). Type, subtype and parameter names
/// compare without case; a parameter of the registered type must be there with the same value
/// (charset without case, others byte by byte, after unquoting); further ones do not matter.
bool same_media_type(std::string_view content_type_value, std::string_view registered) noexcept;

/// Which of several types a watcher prefers.
struct accept_choice {
  bool malformed = false;                 ///< the value cannot be read, or has too many entries
  std::optional<std::size_t> index = {};  ///< into what was offered; nothing: none is acceptable
};

/// Chooses by an Accept value (GRM-14, GRM-16). For each offered type the most specific range
/// counts: exact with parameters, exact, `type/*`, `*/*`; of two alike, the first. Quality 0
/// excludes. The highest quality wins, among equals the earliest offered. An empty value accepts
/// nothing. Cost: one walk over `accept`, and one more for each offered type.
accept_choice choose_type(std::string_view accept, std::span<const std::string> offered,
                          std::size_t max_entries) noexcept;

}  // namespace presence
