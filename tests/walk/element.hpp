// A naive reader of the documents that come out of an engine, for tests that must not trust the
// library's own. It takes well-formed documents without comments, CDATA and DOCTYPE, and forgets prefixes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace presence::test::walking {

struct element {
  std::string name = {};
  std::map<std::string, std::string> attributes = {};
  std::string text = {};
  std::vector<element> children = {};

  const element* child(std::string_view wanted) const;
  std::string attribute(const std::string& wanted) const;  ///< "-" if it is not there
};

/// Throws std::runtime_error for what it does not understand.
element read_element(std::string_view document);

}  // namespace presence::test::walking
