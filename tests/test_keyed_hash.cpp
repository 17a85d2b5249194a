// The hash of every table whose keys come from a peer (SEC-DOS-9).
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include <presence/keyed_hash.hpp>

using namespace presence;

namespace {

/// Gives the bytes 0, 1, 2, ...: the key of the published SipHash vectors.
struct counting_random final : random_source {
  std::uint8_t next = 0;
  void fill(std::span<std::uint8_t> bytes) override {
    for (auto& byte : bytes) byte = next++;
  }
};

/// SipHash-c-d as the paper defines it, one byte at a time.
std::uint64_t siphash(int c, int d, std::uint64_t k0, std::uint64_t k1, std::string_view text) {
  std::uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                        k1 ^ 0x7465646279746573u};
  const auto rounds = [&](int n) {
    while (n-- > 0) {
      v[0] += v[1];
      v[2] += v[3];
      v[1] = std::rotl(v[1], 13) ^ v[0];
      v[3] = std::rotl(v[3], 16) ^ v[2];
      v[0] = std::rotl(v[0], 32);
      v[2] += v[1];
      v[0] += v[3];
      v[1] = std::rotl(v[1], 17) ^ v[2];
      v[3] = std::rotl(v[3], 21) ^ v[0];
      v[2] = std::rotl(v[2], 32);
    }
  };
  const auto take = [&](std::uint64_t m) {
    v[3] ^= m;
    rounds(c);
    v[0] ^= m;
  };
  std::uint64_t m = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    m |= std::uint64_t{static_cast<unsigned char>(text[i])} << (8 * (i % 8));
    if (i % 8 == 7) {
      take(m);
      m = 0;
    }
  }
  take(m | std::uint64_t{text.size() & 0xff} << 56);
  v[2] ^= 0xff;
  rounds(d);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

std::string counted(std::size_t length) {
  std::string text(length, '\0');
  std::iota(text.begin(), text.end(), '\0');
  return text;
}

}  // namespace

TEST_CASE("the hash of one string is SipHash-1-3 (SEC-DOS-9)") {
  constexpr std::uint64_t k0 = 0x0706050403020100u, k1 = 0x0f0e0d0c0b0a0908u;
  // the paper's own vector proves the reference, the reference proves the hash
  REQUIRE(siphash(2, 4, k0, k1, counted(15)) == 0xa129ca6149be45e5u);
  counting_random source;
  const keyed_hash hash{source};
  for (std::size_t length = 0; length < 600; ++length) {
    CAPTURE(length);
    CHECK(hash(counted(length)) == siphash(1, 3, k0, k1, counted(length)));
  }
}

TEST_CASE("another key is another hash, the same key the same (SEC-DOS-9)") {
  seeded_random a{1}, b{2}, a_again{1};
  const keyed_hash one{a}, other{b}, same{a_again};
  int equal = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::string text = "call-" + std::to_string(i) + "@example.com";
    equal += one(text) == other(text);
    REQUIRE(one(text) == same(text));
  }
  CHECK(equal == 0);
}

TEST_CASE("strings do not run into each other") {
  seeded_random source{3};
  const keyed_hash hash{source};
  const std::vector<std::uint64_t> all{
      hash("ab", "c"),        hash("a", "bc"),         hash("abc", ""),  hash("", "abc"), hash("abc"),
      hash("", "", "abc"),    hash(""),                hash("", ""),     hash("a", "b", "c"),
      hash("12345678", "9"),  hash("123456789", ""),   hash("12345678"), hash("1234567", "89"),
      hash(std::string(8, '\0')), hash(std::string(7, '\0')), hash(std::string(9, '\0'))};
  CHECK(std::set<std::uint64_t>(all.begin(), all.end()).size() == all.size());
  // every way to cut one text in two
  const std::string text = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6@192.0.2.1";
  std::set<std::uint64_t> cuts;
  for (std::size_t at = 0; at <= text.size(); ++at) cuts.insert(hash(text.substr(0, at), text.substr(at)));
  CHECK(cuts.size() == text.size() + 1);
}

TEST_CASE("similar keys spread evenly over a table, whichever bits it looks at") {
  seeded_random source{4};
  const keyed_hash hash{source};
  constexpr int keys = 1 << 16, buckets = 1 << 8;
  for (const int shift : {0, 24, 56}) {
    CAPTURE(shift);
    std::vector<int> filled(buckets);
    for (int i = 0; i < keys; ++i) ++filled[(hash("sip:user" + std::to_string(i) + "@example.com", "presence") >> shift) % buckets];
    double chi = 0;
    for (const int n : filled) chi += (n - 256.0) * (n - 256.0) / 256.0;
    CHECK(chi < 400);  // 255 degrees of freedom: about 255 +- 23
  }
}

TEST_CASE("one bit of the key text flips half of the hash") {
  seeded_random source{5};
  const keyed_hash hash{source};
  int flipped = 0, tried = 0, least = 64;
  for (int i = 0; i < 200; ++i) {
    std::string text = "a84b4c76e66710-" + std::to_string(i);
    const std::uint64_t before = hash(text);
    for (std::size_t bit = 0; bit < text.size() * 8; bit += 7, ++tried) {
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
      const int n = std::popcount(before ^ hash(text));
      flipped += n;
      least = std::min(least, n);
      text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    }
  }
  CHECK(flipped > tried * 31);
  CHECK(flipped < tried * 33);
  CHECK(least > 8);
}
