// The event packages that are served, and which of them an Event value names.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <presence/event_package.hpp>
#include <presence/grammar.hpp>

namespace presence {

/// A registered package and what follows from it.
struct registered_package {
  event_package package;
  std::string_view type = {};  ///< of package.name
  struct parameter {
    std::string_view name;
    std::optional<std::string_view> value;
  };
  std::vector<parameter> parameters = {};  ///< of package.name

  /// Whether an Event value names this package: its type, with all of our parameters (P05).
  bool named_by(const event_value& event) const noexcept {
    return event.type == type && std::all_of(parameters.begin(), parameters.end(), [&](const parameter& p) {
             return event.has(p.name, p.value);
           });
  }
};

class registry {
 public:
  /// Takes a sound package in; the copy stays where it is.
  event_package& add(event_package package);
  void drop_last() noexcept { all_.pop_back(); }

  auto begin() const noexcept { return all_.begin(); }
  auto end() const noexcept { return all_.end(); }
  bool empty() const noexcept { return all_.empty(); }
  /// The one with this name, exactly; null: it is not served.
  const registered_package* named(std::string_view package_name) const noexcept;
  /// The one an Event value names.
  const registered_package* match(const event_value& event) const noexcept;
  std::vector<std::string> names() const;

 private:
  std::vector<std::unique_ptr<registered_package>> all_;
};

}  // namespace presence
