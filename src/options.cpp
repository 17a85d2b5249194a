#include <presence/options.hpp>

#include <array>
#include <charconv>
#include <initializer_list>
#include <limits>
#include <optional>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include <presence/cache/policies.hpp>
#include <presence/grammar.hpp>
#include <presence/uri.hpp>

namespace presence {
namespace {

using field = std::variant<std::string options::*, seconds options::*, bool options::*, int options::*,
                           std::uint32_t options::*, std::size_t options::*, std::size_t limits::*>;

/// What a text may be, beside free of control characters.
enum class text_kind : std::uint8_t { any, table_name, token, uri, policy };

constexpr std::int64_t most_seconds = 4294967295;  // delta-seconds (GRM-6)
constexpr std::int64_t most_text = 1048576;        // thirteen such parts still fit a dialog
constexpr std::int64_t most_records = 4294967294;  // records have 32-bit numbers
constexpr std::int64_t most_bytes = std::int64_t{1} << 40;

/// One setting: its name, where it lives, and what it may be.
struct setting {
  std::string_view name;
  field member;
  std::int64_t least = 0;
  std::int64_t most = 0;
  text_kind text = text_kind::any;
};

constexpr std::array settings{
    setting{"db_url", &options::db_url},
    setting{"presentity_table", &options::presentity_table, 0, 0, text_kind::table_name},
    setting{"active_watchers_table", &options::active_watchers_table, 0, 0, text_kind::table_name},
    setting{"watchers_table", &options::watchers_table, 0, 0, text_kind::table_name},
    setting{"states_table", &options::states_table, 0, 0, text_kind::table_name},
    setting{"clean_period", &options::clean_period, -most_seconds, most_seconds},
    setting{"db_update_period", &options::db_update_period, -most_seconds, most_seconds},
    setting{"to_tag_pref", &options::to_tag_pref, 0, 0, text_kind::token},
    setting{"expires_offset", &options::expires_offset, 0, most_seconds},
    setting{"max_expires", &options::max_expires, 1, most_seconds},
    setting{"server_address", &options::server_address, 0, 0, text_kind::uri},
    setting{"fallback2db", &options::fallback2db},
    setting{"subs_htable_size", &options::subs_htable_size, 0, 30},
    setting{"pres_htable_size", &options::pres_htable_size, 0, 30},
    setting{"enable_sphere_check", &options::enable_sphere_check},

    setting{"min_expires", &options::min_expires, 0, most_seconds},
    // 2, "raise it", is not offered: no grant may be longer than the request (RFC 6665 section 4.2.1.1)
    setting{"min_expires_action", &options::min_expires_action, 0, 1},
    setting{"force_active", &options::force_active},
    setting{"force_delete", &options::force_delete},
    setting{"subs_respond_200", &options::subs_respond_200},
    setting{"subs_db_mode", &options::subs_db_mode, 1, 3},  // 0 is an empty db_url
    setting{"publ_cache", &options::publ_cache, 0, 2},
    setting{"timeout_rm_subs", &options::timeout_rm_subs},
    setting{"cseq_offset", &options::cseq_offset, 0, 2147483647},

    setting{"require_auth", &options::require_auth},
    setting{"new_usage_in_dialog", &options::new_usage_in_dialog},
    setting{"refused_status", &options::refused_status, 403, 603},
    setting{"removal_retry_after", &options::removal_retry_after, 0, most_seconds},
    setting{"notify_interval", &options::notify_interval, 0, 86400},
    setting{"cache_states", &options::cache_states, 0, most_records},
    setting{"cache_bytes", &options::cache_bytes, 0, most_bytes},
    setting{"cache_policy", &options::cache_policy, 0, 0, text_kind::policy},
    setting{"passive", &options::passive},
    setting{"owner_id", &options::owner_id, 0, 0, text_kind::token},
    setting{"owner_grace", &options::owner_grace, 0, most_seconds},
    setting{"waiting_limit", &options::waiting_limit, 1, most_seconds},
    setting{"pending_limit", &options::pending_limit, 0, most_seconds},
    setting{"cseq_block", &options::cseq_block, 1, 1000000},
    setting{"retry_after", &options::retry_after, 1, most_seconds},
    setting{"advance_budget", &options::advance_budget, 1, most_records},
    setting{"advance_rate", &options::advance_rate, 0, most_records},

    setting{"limits.uri_bytes", &limits::uri_bytes, 16, most_text},
    setting{"limits.token_bytes", &limits::token_bytes, 64, most_text},
    setting{"limits.header_bytes", &limits::header_bytes, 64, most_text},
    setting{"limits.accept_entries", &limits::accept_entries, 1, 4096},
    setting{"limits.route_entries", &limits::route_entries, 0, 4096},
    setting{"limits.body_bytes", &limits::body_bytes, 1, most_bytes},
    setting{"limits.state_bytes", &limits::state_bytes, 1, most_bytes},
    setting{"limits.xml_depth", &limits::xml_depth, 1, 1024},  // the XML parser recurses
    setting{"limits.xml_elements", &limits::xml_elements, 1, most_records},
    setting{"limits.xml_attributes", &limits::xml_attributes, 1, most_records},
    setting{"limits.xml_text_bytes", &limits::xml_text_bytes, 1, most_bytes},
    setting{"limits.publications_per_resource", &limits::publications_per_resource, 1, most_records},
    setting{"limits.publications_per_publisher", &limits::publications_per_publisher, 1, most_records},
    setting{"limits.views_kept", &limits::views_kept, 0, most_records},
    setting{"limits.subscriptions_per_watcher", &limits::subscriptions_per_watcher, 1, most_records},
    setting{"limits.subscriptions_per_watcher_and_resource", &limits::subscriptions_per_watcher_and_resource, 1, most_records},
    setting{"limits.subscriptions_per_resource", &limits::subscriptions_per_resource, 1, most_records},
    setting{"limits.subscriptions", &limits::subscriptions, 1, most_records},
    setting{"limits.usages_per_dialog", &limits::usages_per_dialog, 1, most_records},
    setting{"limits.waiting_per_resource", &limits::waiting_per_resource, 0, most_records},
    setting{"limits.publications", &limits::publications, 1, most_records},
    setting{"limits.undecided", &limits::undecided, 1, most_records},
};

const setting* find(std::string_view name) noexcept {
  for (const auto& s : settings)
    if (s.name == name) return &s;
  return nullptr;
}

/// The field a setting names, in these options.
template <class Options, class T>
auto& at(Options& o, T options::* member) {
  return o.*member;
}
template <class Options>
auto& at(Options& o, std::size_t limits::* member) {
  return o.limits.*member;
}

/// Letters, digits and underscores, not beginning with a digit; a schema name may go before it.
bool is_table_name(std::string_view text) noexcept {
  bool first = true;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (c == '.' ? first : !letter && (first || c < '0' || c > '9')) return false;
    first = c == '.';
  }
  return !first && text.size() <= 127;
}

/// What is wrong with a value, as the end of a sentence; empty when nothing is.
std::string_view fault(const setting& s, std::string_view text) noexcept {
  if (has_control(text)) return "must not hold control characters";
  switch (s.text) {
    case text_kind::any: return {};
    case text_kind::table_name:
      return is_table_name(text)
                 ? std::string_view{}
                 : "must be a table name: letters, digits and underscores, not beginning with a digit";
    case text_kind::token:
      return text.empty() || is_token(text)
                 ? std::string_view{}
                 : "must be empty or a token: letters, digits and - . ! % * _ + ` ' ~";
    case text_kind::uri:
      return text.empty() || parse_uri(text) ? std::string_view{}
                                             : "must be empty or a URI such as sip:192.0.2.1:5060";
    case text_kind::policy:
      for (const auto& known : cache::known_policies)
        if (known.name == text) return {};
      return "must be fifo, lru, slru, sieve, s3-fifo, w-tinylfu or unbounded";
  }
  return {};
}

std::string range_sentence(const setting& s) {
  return std::string{s.name} + " must be a whole number from " + std::to_string(s.least) + " to " +
         std::to_string(s.most);
}

bool in_range(const setting& s, std::int64_t value) noexcept { return value >= s.least && value <= s.most; }

std::optional<bool> read_switch(std::string_view text) noexcept {
  for (const std::string_view yes : {"1", "yes", "true", "on"})
    if (iequals(text, yes)) return true;
  for (const std::string_view no : {"0", "no", "false", "off"})
    if (iequals(text, no)) return false;
  return std::nullopt;
}

std::optional<std::int64_t> read_number(std::string_view text) noexcept {
  std::int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

/// A number of any of the fields' types; what does not fit reads as the largest there is.
template <class T>
std::int64_t as_number(T value) noexcept {
  if constexpr (std::is_same_v<T, seconds>) {
    return value.count();
  } else if constexpr (std::is_same_v<T, std::size_t>) {
    constexpr auto largest = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
    return value > largest ? std::numeric_limits<std::int64_t>::max() : static_cast<std::int64_t>(value);
  } else {
    return std::int64_t{value};
  }
}

}  // namespace

result<void, std::string> options::set(std::string_view name, std::string_view value) {
  const setting* const s = find(name);
  if (s == nullptr) {
    const bool printable = !has_control(name) && name.size() <= 64;
    return unexpected{printable ? "there is no option named " + std::string{name}
                                : std::string{"there is no such option"}};
  }
  return std::visit(
      [&](auto member) -> result<void, std::string> {
        auto& target = at(*this, member);
        using type = std::remove_reference_t<decltype(target)>;
        if constexpr (std::is_same_v<type, std::string>) {
          if (const auto wrong = fault(*s, value); !wrong.empty())
            return unexpected{std::string{name} + ' ' + std::string{wrong}};
          target = value;
        } else if constexpr (std::is_same_v<type, bool>) {
          const auto on = read_switch(value);
          if (!on) return unexpected{std::string{name} + " must be 0, 1, no, yes, false, true, off or on"};
          target = *on;
        } else {
          const auto number = read_number(value);
          if (!number || !in_range(*s, *number)) return unexpected{range_sentence(*s)};
          target = static_cast<type>(*number);
        }
        return {};
      },
      s->member);
}

result<std::string, std::string> options::get(std::string_view name) const {
  const setting* const s = find(name);
  if (s == nullptr) return unexpected{std::string{"there is no such option"}};
  return std::visit(
      [this](auto member) -> std::string {
        const auto& value = at(*this, member);
        using type = std::remove_cvref_t<decltype(value)>;
        if constexpr (std::is_same_v<type, std::string>) {
          return value;
        } else if constexpr (std::is_same_v<type, bool>) {
          return value ? "1" : "0";
        } else {
          return std::to_string(as_number(value));
        }
      },
      s->member);
}

std::vector<std::string_view> options::names() {
  std::vector<std::string_view> all;
  all.reserve(settings.size());
  for (const auto& s : settings) all.push_back(s.name);
  return all;
}

result<void, std::string> options::check() const {
  for (const auto& s : settings) {
    std::string wrong = std::visit(
        [&](auto member) -> std::string {
          const auto& value = at(*this, member);
          using type = std::remove_cvref_t<decltype(value)>;
          if constexpr (std::is_same_v<type, std::string>) {
            const auto what = fault(s, value);
            return what.empty() ? std::string{} : std::string{s.name} + ' ' + std::string{what};
          } else if constexpr (std::is_same_v<type, bool>) {
            return {};
          } else {
            return in_range(s, as_number(value)) ? std::string{} : range_sentence(s);
          }
        },
        s.member);
    if (!wrong.empty()) return unexpected{std::move(wrong)};
  }

  const std::set<std::string_view> tables{presentity_table, active_watchers_table, watchers_table, states_table};
  constexpr std::size_t made_tag = 32;  // room for what we add to the prefix of a To tag
  const std::pair<bool, const char*> rules[] = {
      {fallback2db && subs_db_mode == 2, "fallback2db needs subs_db_mode 1 or 3: what is held back is not in the database"},
      {(cache_states != 0 || cache_bytes != 0) && (!fallback2db || subs_db_mode != 1),
       "cache_states and cache_bytes need fallback2db and subs_db_mode 1: what leaves memory has to be in the database"},
      {publ_cache == 0 && subs_db_mode != 3, "publ_cache 0 needs subs_db_mode 3: otherwise documents are in memory, too"},
      {publ_cache == 2 && (fallback2db || subs_db_mode == 3),
       "publ_cache 2 needs subs_db_mode 1 or 2 and no fallback2db: what is in memory only must not leave it"},
      {passive && subs_db_mode != 3, "passive needs subs_db_mode 3: what is in memory would grow old"},
      {!owner_id.empty() && subs_db_mode != 3, "owner_id needs subs_db_mode 3: in other modes an engine owns what it holds"},
      {owner_id.size() > 64, "owner_id must not be longer than 64 bytes"},
      {subs_db_mode == 3 && notify_interval > seconds{0},
       "notify_interval needs a memory, and subs_db_mode 3 has none"},
      {refused_status != 403 && refused_status != 603, "refused_status must be 403 or 603"},
      {min_expires > max_expires, "min_expires must not be longer than max_expires"},
      {expires_offset >= max_expires, "expires_offset must be shorter than max_expires"},
      {to_tag_pref.size() + made_tag > limits.token_bytes,
       "to_tag_pref must be at least 32 bytes shorter than limits.token_bytes"},
      {server_address.size() > limits.uri_bytes, "server_address must not be longer than limits.uri_bytes"},
      {limits.body_bytes > limits.state_bytes, "limits.body_bytes must not exceed limits.state_bytes"},
      {tables.size() != 4, "presentity_table, active_watchers_table, watchers_table and states_table must differ"},
  };
  for (const auto& [wrong, sentence] : rules)
    if (wrong) return unexpected{std::string{sentence}};
  return {};
}

}  // namespace presence
