#include <presence/trace.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace presence {
namespace {

constexpr std::array<std::string_view, 6> names = {"publish", "subscribe", "refresh", "notify", "read", "expire"};

/// The next word; an empty one when there is none.
std::string_view take_word(std::string_view& line) {
  const auto begin = line.find_first_not_of(" \t\r");
  if (begin == line.npos) return {};
  const auto end = std::min(line.find_first_of(" \t\r", begin), line.size());
  const auto word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

template <class Number>
bool read_number(std::string_view word, Number& number) {
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc{} && end == word.data() + word.size();
}

/// As much of a word as an error message needs.
std::string quoted(std::string_view word) { return '"' + std::string{word.substr(0, 40)} + '"'; }

}  // namespace

std::string_view to_string(traced_operation operation) noexcept {
  return names[static_cast<std::size_t>(operation)];
}

void append_line(std::string& out, const traced_access& a) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  (out += std::to_string(a.when.time_since_epoch().count())) += ' ';
  (out += to_string(a.operation)) += ' ';
  if (a.key.empty()) out += '-';
  for (const char c : a.key) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > 0x20 && byte < 0x7f) {
      out += c;
    } else {
      ((out += '%') += digits[byte >> 4]) += digits[byte & 15];
    }
  }
  ((out += ' ') += std::to_string(a.bytes)) += '\n';
}

result<traced_access, std::string> parse_trace_line(std::string_view line) {
  traced_access a;
  instant::rep when = 0;
  if (const auto word = take_word(line); !read_number(word, when))
    return unexpected{"a line begins with its time in milliseconds, not with " + quoted(word)};
  a.when = instant{milliseconds{when}};
  const auto word = take_word(line);
  std::size_t operation = 0;
  while (operation < names.size() && names[operation] != word) ++operation;
  if (operation == names.size()) {
    std::string known;
    for (const auto name : names) (known += ' ') += name;
    return unexpected{quoted(word) + " is none of the operations:" + known};
  }
  a.operation = static_cast<traced_operation>(operation);
  a.key = take_word(line);
  if (a.key.empty()) return unexpected{std::string{"the key is missing"}};
  if (const auto bytes = take_word(line); !read_number(bytes, a.bytes))
    return unexpected{"the fourth column is a size in bytes, not " + quoted(bytes)};
  return a;
}

}  // namespace presence
