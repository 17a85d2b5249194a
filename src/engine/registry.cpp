#include "registry.hpp"

namespace presence {

event_package& registry::add(event_package package) {
  auto made = std::make_unique<registered_package>(registered_package{std::move(package)});
  const auto own = *parse_event(made->package.name);  // views of the copy that stays
  made->type = own.type;
  std::string_view rest = own.parameters;
  while (!rest.empty()) {
    const std::string_view one = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    const auto equals = one.find('=');
    registered_package::parameter p{one.substr(0, equals), {}};
    if (equals != std::string_view::npos) p.value = one.substr(equals + 1);
    made->parameters.push_back(p);
  }
  all_.push_back(std::move(made));
  return all_.back()->package;
}

const registered_package* registry::named(std::string_view package_name) const noexcept {
  for (const auto& candidate : all_) {
    if (candidate->package.name == package_name) return candidate.get();
  }
  return nullptr;
}

const registered_package* registry::match(const event_value& event) const noexcept {
  const registered_package* best = nullptr;
  for (const auto& candidate : all_) {  // of several the most specific: dialog;sla before dialog
    if (candidate->named_by(event) && (best == nullptr || candidate->parameters.size() > best->parameters.size()))
      best = candidate.get();
  }
  return best;
}

std::vector<std::string> registry::names() const {
  std::vector<std::string> all;
  for (const auto& one : all_) all.push_back(one->package.name);
  return all;
}

}  // namespace presence
