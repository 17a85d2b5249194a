#include "element.hpp"

#include <stdexcept>

namespace presence::test::walking {

namespace {

class reader {
 public:
  explicit reader(std::string_view text) : left_{text} {}

  element document() {
    if (left_.starts_with("<?xml")) skip_to("?>");
    skip_blanks();
    element root = one();
    skip_blanks();
    if (!left_.empty()) fail("something behind the root");
    return root;
  }

 private:
  [[noreturn]] void fail(const char* why) const {
    throw std::runtime_error{std::string{"not a document: "} + why + " before: " + std::string{left_.substr(0, 40)}};
  }
  void skip_blanks() {
    while (!left_.empty() && (left_.front() == ' ' || left_.front() == '\n' || left_.front() == '\r' || left_.front() == '\t')) left_.remove_prefix(1);
  }
  bool take(std::string_view what) {
    if (!left_.starts_with(what)) return false;
    left_.remove_prefix(what.size());
    return true;
  }
  std::string_view skip_to(std::string_view mark) {
    const auto at = left_.find(mark);
    if (at == std::string_view::npos) fail("no end");
    const auto before = left_.substr(0, at);
    left_.remove_prefix(at + mark.size());
    return before;
  }
  std::string name() {
    std::string whole{left_.substr(0, left_.find_first_of(" \t\r\n=/><"))};
    if (whole.empty()) fail("no name");
    left_.remove_prefix(whole.size());
    return whole;
  }
  static std::string local(const std::string& name) { return name.substr(name.find(':') + 1); }
  static std::string plain(std::string_view text) {
    std::string out;
    while (!text.empty()) {
      static constexpr std::pair<std::string_view, char> known[] = {
          {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&#39;", '\''}, {"&#34;", '"'}};
      bool found = false;
      for (const auto& [reference, c] : known) {
        if (!text.starts_with(reference)) continue;
        out += c;
        text.remove_prefix(reference.size());
        found = true;
        break;
      }
      if (found) continue;
      out += text.front();
      text.remove_prefix(1);
    }
    return out;
  }

  element one() {
    if (!take("<")) fail("no element");
    const std::string tag = name();
    element e{local(tag)};
    for (skip_blanks(); !left_.starts_with(">") && !left_.starts_with("/>"); skip_blanks()) {
      const std::string key = name();
      if (!take("=\"") && !take("='")) fail("no value");
      const char quote = *(left_.data() - 1);
      const bool fresh = e.attributes.emplace(key.starts_with("xmlns") ? key : local(key), plain(skip_to({&quote, 1}))).second;
      if (!fresh) fail("an attribute twice");
    }
    if (take("/>")) return e;
    take(">");
    for (;;) {
      const auto end = left_.find('<');
      if (end == std::string_view::npos) fail("no end tag");
      e.text += plain(left_.substr(0, end));
      left_.remove_prefix(end);
      if (take("</")) {
        if (name() != tag) fail("another end tag");
        if (!take(">")) fail("no end of the end tag");
        return e;
      }
      e.children.push_back(one());
    }
  }

  std::string_view left_;
};

}  // namespace

const element* element::child(std::string_view wanted) const {
  for (const element& c : children)
    if (c.name == wanted) return &c;
  return nullptr;
}

std::string element::attribute(const std::string& wanted) const {
  const auto found = attributes.find(wanted);
  return found == attributes.end() ? "-" : found->second;
}

element read_element(std::string_view document) { return reader{document}.document(); }

}  // namespace presence::test::walking
