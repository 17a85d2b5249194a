// What an embedder's program needs of an installed library: a header, a link, a call. Prints the
// NOTIFY that the publication of Alice brings Bob.
#include <cstdio>
#include <presence/presence.hpp>

int main() {
  using namespace std::chrono_literals;
  presence::engine engine;
  const presence::instant now{};
  if (!engine.add_event(presence::opaque_package("mood"), now)) return 1;
  const auto subscribed = engine.subscribe({.resource = "sip:alice@example.com",
                                            .event = "mood",
                                            .call_id = "call",
                                            .from_tag = "bob",
                                            .from_uri = "sip:bob@example.com",
                                            .contact = "sip:bob@192.0.2.7",
                                            .cseq = 1,
                                            .local_contact = "sip:presence.example.com"},
                                           now);
  if (subscribed.notifies.size() != 1) return 1;
  if (!engine.report({.id = subscribed.notifies[0].id, .status = 200}, now).notifies.empty()) return 1;
  const auto published = engine.publish({.resource = "sip:alice@example.com",
                                         .event = "mood",
                                         .expires = 60s,
                                         .content = {.type = "text/plain", .bytes = "happy"}},
                                        now + 1s);
  std::fputs(to_string(published).c_str(), stdout);
  return published.notifies.size() == 1 && published.notifies[0].content.bytes() == "happy" ? 0 : 1;
}
