/// All policies that come with the library, and one of them by its name.
#pragma once

#include <memory>
#include <string>

#include <presence/cache/fifo.hpp>
#include <presence/cache/lru.hpp>
#include <presence/cache/s3_fifo.hpp>
#include <presence/cache/segmented_lru.hpp>
#include <presence/cache/sieve.hpp>
#include <presence/cache/unbounded.hpp>
#include <presence/cache/w_tinylfu.hpp>
#include <presence/result.hpp>

namespace presence::cache {

struct known_policy {
  std::string_view name;
  std::unique_ptr<policy> (*make)(std::size_t capacity);
};

inline constexpr known_policy known_policies[] = {
    {"fifo", [](std::size_t) -> std::unique_ptr<policy> { return std::make_unique<fifo>(); }},
    {"lru", [](std::size_t) -> std::unique_ptr<policy> { return std::make_unique<lru>(); }},
    {"slru", [](std::size_t) -> std::unique_ptr<policy> { return std::make_unique<segmented_lru>(); }},
    {"sieve", [](std::size_t) -> std::unique_ptr<policy> { return std::make_unique<sieve>(); }},
    {"s3-fifo", [](std::size_t n) -> std::unique_ptr<policy> { return std::make_unique<s3_fifo>(n); }},
    {"w-tinylfu", [](std::size_t n) -> std::unique_ptr<policy> { return std::make_unique<w_tinylfu>(n); }},
    {"unbounded", [](std::size_t) -> std::unique_ptr<policy> { return std::make_unique<unbounded>(); }},
};

/// The policy of that name for a cache of about `capacity` entries; beyond 2^26 more makes no
/// difference. Fails with a sentence that lists the names there are. Throws std::bad_alloc.
inline result<std::unique_ptr<policy>, std::string> make_policy(std::string_view name, std::size_t capacity) {
  std::string names;
  for (const known_policy& known : known_policies) {
    if (known.name == name) return known.make(capacity);
    (names += names.empty() ? "" : ", ") += known.name;
  }
  return unexpected{"there is no cache policy \"" + std::string{name} + "\"; known are " + names};
}

}  // namespace presence::cache
