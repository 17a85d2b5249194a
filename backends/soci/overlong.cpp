#include "overlong.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace presence::sql {

namespace {

// Kamailio's widths in characters; counted here in bytes, of which there are never fewer.
constexpr std::array<std::pair<std::string_view, std::size_t>, 20> widths{{
    {"callid", 255},     {"contact", 255},  {"domain", 64},         {"etag", 128},
    {"event", 64},       {"event_id", 64},  {"from_domain", 64},    {"from_tag", 128},
    {"from_user", 64},   {"reason", 64},    {"local_contact", 255}, {"presentity_uri", 255},
    {"sender", 255},     {"to_domain", 64}, {"to_tag", 128},        {"to_user", 64},
    {"user_agent", 255}, {"username", 64},  {"watcher_domain", 64}, {"watcher_username", 64},
}};

constexpr std::size_t digest_digits = 40;

constexpr std::size_t narrowest = 64;

std::size_t width_of(std::string_view column) {
  for (const auto& [name, width] : widths) {
    if (name == column) return width;
  }
  return std::numeric_limits<std::size_t>::max();
}

text shortened(std::string_view value, std::size_t width) {
  text made{value.substr(0, width - digest_digits - 1)};
  return made.append("#").append(sha256(value), 0, digest_digits);
}

// `name:length:value` for each value that was too long.
struct folding {
  nullable<bytes>& whole;
  void operator()(std::string_view name, text& value) const {
    if (value.size() <= narrowest || value.size() <= width_of(name)) return;
    whole.null = false;
    whole.value.append(name).append(":").append(std::to_string(value.size())).append(":").append(value);
    fit(name, value);
  }
  void operator()(std::string_view name, nullable<text>& value) const { (*this)(name, value.value); }
  template <class T>
  void operator()(std::string_view, T&) const {}
};

struct unfolding {
  std::string_view column, whole;
  void operator()(std::string_view name, text& value) const {
    const std::size_t width = width_of(name);
    if (name == column && whole.size() > width && value == shortened(whole, width)) value.assign(whole);
  }
  void operator()(std::string_view name, nullable<text>& value) const { (*this)(name, value.value); }
  template <class T>
  void operator()(std::string_view, T&) const {}
};

template <class C>
void visit(C& row, auto f) {
  C::key(row, f);
  C::state(row, f);
}

template <class C>
void fold_row(C& row) {
  row.x_long.clear();
  visit(row, folding{row.x_long});
}

template <class C>
void unfold_row(C& row) {
  std::string_view rest = row.x_long.value;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    std::size_t size = 0;
    const auto end = rest.data() + rest.size();
    const auto parsed = std::from_chars(colon == rest.npos ? end : rest.data() + colon + 1, end, size);
    if (parsed.ptr == end || *parsed.ptr != ':' || size > static_cast<std::size_t>(end - parsed.ptr - 1))
      return;
    visit(row, unfolding{rest.substr(0, colon), {parsed.ptr + 1, size}});
    rest.remove_prefix(static_cast<std::size_t>(parsed.ptr + 1 - rest.data()) + size);
  }
}

}  // namespace

void fit(std::string_view column, text& value) {
  if (value.size() <= narrowest) return;
  const std::size_t width = width_of(column);
  if (value.size() > width) value = shortened(value, width);
}

void fold(publication_columns& c) { fold_row(c); }
void fold(subscription_columns& c) { fold_row(c); }
void fold(watcher_columns& c) { fold_row(c); }
void fold(state_columns& c) { fold_row(c); }
void unfold(publication_columns& c) { unfold_row(c); }
void unfold(subscription_columns& c) { unfold_row(c); }
void unfold(watcher_columns& c) { unfold_row(c); }
void unfold(state_columns& c) { unfold_row(c); }

// FIPS 180-4.
std::string sha256(std::string_view message) {
  static constexpr std::array<std::uint32_t, 64> constants{
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
      0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
      0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
      0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
      0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
      0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
      0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
  std::array<std::uint32_t, 8> hash{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::string padded{message};
  padded += '\x80';
  padded.append((120 - padded.size() % 64) % 64, '\0');
  for (int shift = 56; shift >= 0; shift -= 8) {
    padded += static_cast<char>((std::uint64_t{message.size()} * 8) >> shift);
  }
  for (std::size_t at = 0; at < padded.size(); at += 64) {
    std::array<std::uint32_t, 64> w{};
    for (std::size_t i = 0; i < 64; ++i) {
      w[i / 4] = w[i / 4] << 8 | static_cast<unsigned char>(padded[at + i]);
    }
    for (std::size_t i = 16; i < 64; ++i) {
      const auto s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const auto s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = hash;
    for (std::size_t i = 0; i < 64; ++i) {
      const auto t1 = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) + ((e & f) ^ (~e & g)) +
                      constants[i] + w[i];
      const auto t2 = (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    const std::array<std::uint32_t, 8> round{a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) hash[i] += round[i];
  }
  std::string digits;
  for (const std::uint32_t word : hash) {
    for (int shift = 28; shift >= 0; shift -= 4) digits += "0123456789abcdef"[word >> shift & 0xf];
  }
  return digits;
}

}  // namespace presence::sql
