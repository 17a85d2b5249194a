/// A NOTIFY as SIP text, straight from the descriptor. Knows no stack and no sockets.
#pragma once

#include <cstddef>
#include <presence/effects.hpp>
#include <string>
#include <string_view>

namespace sip {

/// Appends the first line and the headers of `n`, with the empty line after them; `size` bytes of body follow, which are
/// n.body_pieces(). `via` is a header line with its line end, or nothing where somebody else adds it.
/// Routes are taken as loose (`;lr`); a strict router would want its URI in the first line.
/// False: a value holds a line end. The engine lets none in; were there one, this must not be sent.
inline bool append_head(std::string& out, const presence::notify& n, std::size_t size, std::string_view via = {}) {
  const presence::dialog& d = n.dialog;
  bool sound = true;
  const auto add = [&](auto... parts) { (out.append(parts), ...); };
  const auto value = [&](std::string_view text) {
    sound = sound && text.find('\r') == text.npos && text.find('\n') == text.npos;
    return text;
  };
  add("NOTIFY ", value(d.remote_target()), " SIP/2.0\r\n", via);
  if (!d.route_set().empty()) add("Route: ", value(d.route_set()), "\r\n");
  add("Max-Forwards: ", std::to_string(presence::notify::max_forwards), "\r\n");
  add("From: <", value(d.local_uri()), ">;tag=", value(d.local_tag()), "\r\n");
  add("To: <", value(d.remote_uri()), ">;tag=", value(d.remote_tag()), "\r\n");
  add("Call-ID: ", value(d.call_id()), "\r\n");
  add("CSeq: ", std::to_string(n.cseq), " NOTIFY\r\n");
  add("Contact: <", value(d.local_contact()), ">\r\n");
  add("Event: ", value(d.event()), "\r\n");
  add("Subscription-State: ", n.subscription_state_value(), "\r\n");
  add(d.headers());  // lines, each with its end
  if (n.content) add("Content-Type: ", value(n.content.content_type()), "\r\n");
  add("Content-Length: ", std::to_string(size), "\r\n\r\n");
  return sound;
}

}  // namespace sip
