// Chance: documents, rules and names made up from a seed.
#pragma once

#include <cstdint>
#include <iterator>
#include <memory>
#include <random>
#include <string>

#include "documents.hpp"
#include "rules.hpp"

namespace presence::test::walking {

struct maker {
  explicit maker(std::uint64_t seed) : random{seed} {}
  std::mt19937_64 random;
  std::uint64_t serial = 0;  ///< of what is made to be met once

  std::size_t pick(std::size_t below) { return static_cast<std::size_t>(random() % below); }
  bool chance(unsigned percent) { return random() % 100 < percent; }
  template <class List>
  const auto& one_of(const List& list) {
    return *std::next(std::begin(list), static_cast<std::ptrdiff_t>(pick(std::size(list))));
  }

  std::string a_watcher();  ///< of two domains; some are owners of resources
  component some_component(bool from_scratch);
  /// A document for `resource`; a variation of `before`, perhaps the same again, if there is one.
  std::shared_ptr<content> some_content(int kind, const std::string& resource, const std::shared_ptr<content>& before);
  rule some_rule(instant around);
};

}  // namespace presence::test::walking
