/// Where unguessable names come from: entity tags, To tags, hash keys (HOST-7, P20).
/// The source is injected, so that a test replays and a host may use its own generator.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace presence {

/// Fills buffers with random bytes. One caller at a time.
class random_source {
 public:
  virtual ~random_source() = default;
  virtual void fill(std::span<std::uint8_t> bytes) = 0;
};

/// The operating system's generator, read in blocks. Throws std::runtime_error from fill() if the
/// system has no entropy to give; the engine answers 500 then.
class system_random final : public random_source {
 public:
  void fill(std::span<std::uint8_t> bytes) override;

 private:
  std::array<std::uint8_t, 512> pool_{};
  std::size_t used_ = 512;
};

/// Repeatable bytes for tests and benchmarks. Guessable: never for production.
class seeded_random final : public random_source {
 public:
  explicit seeded_random(std::uint64_t seed) noexcept : state_{seed} {}
  void fill(std::span<std::uint8_t> bytes) override {
    for (auto& byte : bytes) {
      std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
      z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
      z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
      byte = static_cast<std::uint8_t>(z >> 56);
    }
  }

 private:
  std::uint64_t state_;
};

/// `length` characters of [0-9A-Za-z], about 5.95 random bits each; a SIP token (GRM-9, GRM-11).
std::string random_token(random_source& source, std::size_t length);
/// The same into a place of the caller's.
void random_token(random_source& source, std::span<char> token);

}  // namespace presence
