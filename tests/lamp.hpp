// Dialog-info documents, and a scenario about the package that makes a busy lamp of them.
#pragma once

#include "scenario.hpp"

#include <presence/packages.hpp>

namespace presence::test {

inline constexpr const char* dialog_info_type = "application/dialog-info+xml";

inline std::string info(const std::string& dialogs, const std::string& state = "full", const std::string& resource = "alice") {
  return "<?xml version=\"1.0\"?><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"7\" state=\"" + state +
         "\" entity=\"" + address(resource) + "\">" + dialogs + "</dialog-info>";
}
inline std::string dialog_of(const std::string& id, const std::string& state, const std::string& more = {}, const std::string& attributes = {}) {
  return "<dialog id=\"" + id + "\"" + attributes + "><state>" + state + "</state>" + more + "</dialog>";
}

/// A composed document as v<version> full{id:state,...}.
inline std::string short_of(const std::string& document) {
  const auto between = [](std::string_view text, std::string_view begin, std::string_view end) {
    const auto at = text.find(begin);
    if (at == std::string_view::npos) return std::string{};
    text.remove_prefix(at + begin.size());
    return std::string{text.substr(0, text.find(end))};
  };
  const std::string root = document.substr(document.find("<dialog-info"));
  std::string line = "v" + between(root, "version=\"", "\"") + " " + between(root, " state=\"", "\"") + "{";
  const char* comma = "";
  for (auto at = root.find("<dialog "); at != std::string::npos; at = root.find("<dialog ", at + 1)) {
    const std::string one = root.substr(at, root.find("</dialog>", at) - at);
    const std::string event = between(one, "<state event=\"", "\"");
    ((line += comma) += between(one, " id=\"", "\"")) += ":" + between(one.substr(one.find("<state")), ">", "<");
    if (!event.empty()) line += ":" + event;
    comma = ",";
  }
  return line + "}";
}

struct lamp : scenario {
  explicit lamp(event_package p, storage* rows = nullptr, const options& settings = {})
      : scenario{{.settings = settings, .rows = rows, .packages = {p}}}, name{p.name} {}
  std::string shortened(std::string line) const {
    for (auto begin = line.find("[<?xml"); begin != std::string::npos; begin = line.find("[<?xml", begin)) {
      const auto end = line.find("</dialog-info>]", begin) + 15;
      line.replace(begin, end - begin, short_of(line.substr(begin, end - begin)));
    }
    return line;
  }
  std::string tell(const std::string& document, const std::string& tag = {}, expires_value expires = {},
                   const std::string& sender = {}) {
    return shortened(publish("alice", {.raw = document, .type = dialog_info_type, .if_match = tag, .expires = expires, .event = name, .sender = sender}));
  }
  std::string watch(const std::string& dialog, const std::string& by = "alice", seconds expires = 3600s, const std::string& contact = {},
                    const std::string& parameters = {}) {
    return shortened(subscribe(dialog, {.by = by, .expires = expires, .event = name + parameters, .contact = contact}));
  }
  std::string moment(seconds when) { return shortened(wait_until(when)); }
  std::string last(const std::string& dialog) { return dialogs[dialog].notifies.back().body_bytes(); }
  std::string name;
};

}  // namespace presence::test
