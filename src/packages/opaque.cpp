#include <utility>

#include <presence/packages.hpp>

namespace presence {

event_package opaque_package(std::string name, std::vector<std::string> content_types) {
  event_package package;
  package.name = std::move(name);
  package.content_types = std::move(content_types);
  return package;
}

}  // namespace presence
