/// The smallest use of the engine: no SIP stack, no database, no clock. Bob watches Alice, Alice
/// publishes, and her publication lapses. What a SIP server would send is printed.
///
///   g++ -std=c++20 quickstart.cpp $(pkg-config --cflags --libs presence)
#include <cstdio>
#include <presence/presence.hpp>
#include <string>

using namespace std::chrono_literals;

int main() {
  presence::engine engine;
  presence::instant now{};  // time is a value; a server takes it from presence::wall_clock
  if (auto added = engine.add_event(presence::presence_package(), now); !added) {
    return std::fprintf(stderr, "%s\n", added.error().c_str()), 1;
  }

  const auto show = [&](const char* what, const presence::effects& effects) {
    std::printf("%s\n", what);
    for (std::string text = to_string(effects); !text.empty(); text.erase(0, text.find('\n') + 1)) {
      std::printf("    %s\n", text.substr(0, text.find('\n')).c_str());
    }
    // A server sends the reply and the NOTIFYs here, and reports what becomes of each NOTIFY.
    for (const auto& n : effects.notifies) engine.report({.id = n.id, .status = 200}, now);
  };

  show("Bob subscribes to Alice:",
       engine.subscribe({.resource = "sip:alice@example.com",
                         .event = "presence",
                         .expires = 600s,
                         .call_id = "call-1",
                         .from_tag = "bob-1",
                         .from_uri = "sip:bob@example.com",
                         .contact = "sip:bob@192.0.2.7",
                         .cseq = 1,
                         .local_contact = "sip:presence.example.com"},
                        now));

  show("Alice publishes for a minute that she is there:",
       engine.publish({.resource = "sip:alice@example.com",
                       .event = "presence",
                       .expires = 60s,
                       .content = {.type = "application/pidf+xml",
                                   .bytes = R"(<presence xmlns="urn:ietf:params:xml:ns:pidf"
    entity="sip:alice@example.com"><tuple id="desk"><status><basic>open</basic></status></tuple></presence>)"}},
                      now));

  now += 60s;
  show("A minute later nobody has refreshed it:", engine.advance(now));
}
