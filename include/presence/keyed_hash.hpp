/// A hash that an attacker cannot predict: SipHash-1-3 under a random key. Every table whose keys
/// come from a peer uses it, so that nobody can choose keys that collide (SEC-DOS-9).
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include <presence/random.hpp>

namespace presence {

class keyed_hash {
 public:
  explicit keyed_hash(random_source& source) {
    std::uint8_t bytes[16];
    source.fill(bytes);
    std::memcpy(&k0_, bytes, 8);
    std::memcpy(&k1_, bytes + 8, 8);
  }

  /// A key made of a text nobody can guess, the same for the same text.
  explicit keyed_hash(std::string_view secret) noexcept {
    k0_ = (*this)(secret, std::string_view{"0"});
    const std::uint64_t other = (*this)(secret, std::string_view{"1"});
    k1_ = other;
  }

  /// Hashes the strings one after the other, each with its length, so that no two different
  /// sequences read the same.
  template <class... Text>
  std::uint64_t operator()(const Text&... text) const noexcept {
    state s{k0_, k1_};
    (s.absorb(std::string_view{text}), ...);
    return s.finish();
  }

 private:
  struct state {
    std::uint64_t v0, v1, v2, v3;
    state(std::uint64_t k0, std::uint64_t k1) noexcept
        : v0{k0 ^ 0x736f6d6570736575u},
          v1{k1 ^ 0x646f72616e646f6du},
          v2{k0 ^ 0x6c7967656e657261u},
          v3{k1 ^ 0x7465646279746573u} {}
    void round() noexcept {
      v0 += v1; v1 = std::rotl(v1, 13); v1 ^= v0; v0 = std::rotl(v0, 32);
      v2 += v3; v3 = std::rotl(v3, 16); v3 ^= v2;
      v0 += v3; v3 = std::rotl(v3, 21); v3 ^= v0;
      v2 += v1; v1 = std::rotl(v1, 17); v1 ^= v2; v2 = std::rotl(v2, 32);
    }
    void word(std::uint64_t m) noexcept {
      v3 ^= m;
      round();
      v0 ^= m;
    }
    void absorb(std::string_view text) noexcept {
      const char* p = text.data();
      std::size_t left = text.size();
      for (; left >= 8; p += 8, left -= 8) {
        std::uint64_t m;
        std::memcpy(&m, p, 8);
        word(m);
      }
      std::uint64_t tail = 0;
      if (left != 0) std::memcpy(&tail, p, left);
      word(tail | std::uint64_t{text.size()} << 56);
    }
    std::uint64_t finish() noexcept {
      v2 ^= 0xff;
      round(); round(); round();
      return v0 ^ v1 ^ v2 ^ v3;
    }
  };
  std::uint64_t k0_ = 0, k1_ = 0;
};

}  // namespace presence
