// RL2: any storage call may fail: watcher information, rules documents and what follows when they or the
// sphere change, the packages that come with the library, and several usages of one dialog.
#include "fault_sweep.hpp"

#include <presence/packages.hpp>

using namespace presence;
using namespace presence::test;

namespace {

using enum sub_handling;

std::string rules(const std::string& inside) {
  return "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules'>" + inside + "</ruleset>";
}
std::string rule(const std::string& id, const std::string& conditions, const char* handling, const std::string& shown = {}) {
  return "<rule id='" + id + "'><conditions>" + conditions + "</conditions><actions><pr:sub-handling>" + handling +
         "</pr:sub-handling></actions><transformations>" + shown + "</transformations></rule>";
}
const std::string services = "<pr:provide-services><pr:all-services/></pr:provide-services>";
const std::string notes = services + "<pr:provide-note>true</pr:provide-note>";
std::string only(const char* who) { return std::string{"<identity><one id='sip:"} + who + "@example.com'/></identity>"; }

std::string document(const char* sphere, const char* note) {
  return std::string{"<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' "
                     "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:alice@example.com'><tuple id=\"t1\"><status><basic>open</basic></status>"
                     "</tuple><note>"} + note + "</note><d:person id='p'><r:sphere><r:" + sphere + "/></r:sphere></d:person></presence>";
}
std::string info(const std::string& dialogs, const char* state = "full") {
  return "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"" + std::string{state} +
         "\" entity=\"sip:alice@example.com\">" + dialogs + "</dialog-info>";
}
std::string call(const char* id, const char* state) { return std::string{"<dialog id=\""} + id + "\"><state>" + state + "</state></dialog>"; }

// --- what the flows are played with ------------------------------------------------------------------------

void with_winfo(scenario::setup& s) { s.winfo = true; }
void by_rules(scenario::setup& s) {
  s.by_rules = s.winfo = true;
  s.settings.enable_sphere_check = true;
}
void with_packages(scenario::setup& s) {
  event_package messages = message_summary_package({.several = message_summary_options::combining::sum, .message_headers = true});
  messages.name = "mwi";
  s.packages = {dialog_package({.partial = true}), dialog_sla_package(), messages};
}

// --- what was there before ------------------------------------------------------------------------------------

void owner(scenario& s, const std::string& dialog = "d9") {
  s.subscribe(dialog, {.by = "alice", .expires = 3600s, .event = "presence.winfo"});
}
void owner_and_watchers(scenario& s) {
  owner(s);
  s.policy["bob"] = confirm;
  s.subscribe("d1", {.by = "bob", .expires = 600s});
  s.subscribe("d2", {.by = "carol", .expires = 600s});
}
void ruled(scenario& s) {
  s.rules_text = rules(rule("a", only("alice"), "allow", notes) + rule("b", only("bob"), "allow", services) +
                  rule("c", "<sphere value='work'/>", "allow", services) + rule("d", only("dave"), "confirm"));
  owner(s);
  s.publish("alice", {.raw = document("work", "one"), .expires = 1000s});
  s.subscribe("d1", {.by = "bob", .expires = 3000s});
  s.subscribe("d2", {.by = "carol", .expires = 3000s});
  s.subscribe("d3", {.by = "dave", .expires = 0s});
  s.subscribe("d4", {.by = "alice", .expires = 3000s, .event = "presence"});
}
void lamps(scenario& s) {
  s.publish("alice", {.raw = info(call("a", "early") + call("b", "confirmed")), .type = "application/dialog-info+xml", .expires = 1000s, .event = "dialog"});
  s.subscribe("d1", {.by = "alice", .expires = 3000s, .event = "dialog"});
  s.subscribe("d2", {.by = "bob", .expires = 3000s, .event = "dialog"});
}
std::string lamp(scenario& s, const std::string& dialogs, const char* tag = "e1", const char* state = "full") {
  return s.publish("alice", {.raw = info(dialogs, state), .type = "application/dialog-info+xml", .if_match = tag, .event = "dialog"});
}
std::string new_rules(scenario& s, const std::string& text) {
  s.rules_text = text;
  return s.told(s.engine->update_watchers(address("alice"), "presence", s.at));
}
/// One dialog that sees the presence and the watchers of its own resource.
void two_usages(scenario& s) {
  s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "presence.winfo"});
  s.subscribe("d1", {.expires = 600s, .event = "presence"});
}

const flow flows[] = {
    {"winfo: the owner subscribes", [](scenario& s) { s.subscribe("d1", {.expires = 600s}); },
     [](scenario& s) { return s.subscribe("d9", {.by = "alice", .expires = 3600s, .event = "presence.winfo"}); }, false, with_winfo},
    {"winfo: a watcher comes", owner_and_watchers, [](scenario& s) { return s.subscribe("d3", {.by = "dave", .expires = 600s}); }, false, with_winfo},
    {"winfo: a watcher fetches", owner_and_watchers, [](scenario& s) { return s.subscribe("d3", {.by = "dave", .expires = 0s}); }, false, with_winfo},
    {"winfo: a watcher is refused at the door",
     [](scenario& s) {
       owner(s);
       s.policy["dave"] = block;
     },
     [](scenario& s) { return s.subscribe("d3", {.by = "dave", .expires = 600s}); }, false, with_winfo},
    {"winfo: a watcher leaves", owner_and_watchers, [](scenario& s) { return s.subscribe("d2", {.expires = 0s}); }, false, with_winfo},
    {"winfo: a pending one leaves", owner_and_watchers, [](scenario& s) { return s.subscribe("d1", {.expires = 0s}); }, false, with_winfo},
    {"winfo: approved", owner_and_watchers, [](scenario& s) { return s.decide("bob", allow); }, false, with_winfo},
    {"winfo: approved by his own refresh",
     [](scenario& s) {
       owner_and_watchers(s);
       s.policy["bob"] = allow;
     },
     [](scenario& s) { return s.subscribe("d1", {.expires = 300s}); }, false, with_winfo},
    {"winfo: refused", owner_and_watchers, [](scenario& s) { return s.decide("carol", block); }, false, with_winfo},
    {"winfo: on probation by his own refresh",
     [](scenario& s) {
       owner_and_watchers(s);
       s.policy["carol"] = confirm;
     },
     [](scenario& s) { return s.subscribe("d2", {.expires = 300s}); }, false, with_winfo},
    {"winfo: his NOTIFY is refused",
     [](scenario& s) {
       owner_and_watchers(s);
       s.answers = false;
       s.publish("alice", {.body = "t1:open"});
     },
     [](scenario& s) { return s.outcome("d2", 2, 481); }, false, with_winfo},
    {"winfo: who waits is decided about",
     [](scenario& s) {
       owner_and_watchers(s);
       s.subscribe("d1", {.expires = 0s});
     },
     [](scenario& s) { return s.decide("bob", block); }, false, with_winfo},
    {"winfo: who waited subscribes again",
     [](scenario& s) {
       owner_and_watchers(s);
       s.subscribe("d1", {.expires = 0s});
     },
     [](scenario& s) { return s.subscribe("d5", {.expires = 600s}); }, false, with_winfo},
    {"winfo: watchers are ended", owner_and_watchers,
     [](scenario& s) { return s.told(s.engine->terminate_watchers(address("alice"), "presence", end_reason::deactivated, s.at)); }, false, with_winfo},
    {"winfo: nothing will change any more", owner_and_watchers,
     [](scenario& s) { return s.told(s.engine->terminate_watchers(address("alice"), "presence", end_reason::invariant, s.at)); }, false, with_winfo},
    {"winfo: the resource goes", owner_and_watchers,
     [](scenario& s) { return s.told(s.engine->remove_resource(address("alice"), s.at)); }, false, with_winfo},
    {"winfo: a lost document is made good",
     [](scenario& s) {
       owner(s);
       s.answers = false;
       s.subscribe("d1", {.expires = 600s});
       s.outcome("d9", 2, 500);
       s.answers = true;
       s.subscribe("d2", {.by = "carol", .expires = 600s});
     },
     due, true, with_winfo},
    {"winfo: subscriptions lapse",
     [](scenario& s) {
       owner_and_watchers(s);
       s.at += 600s;
     },
     due, true, with_winfo},
    {"winfo: nobody decided",
     [](scenario& s) {
       owner(s);
       s.policy["bob"] = confirm;
       s.subscribe("d1", {.expires = 0s});
       s.at += 3000s;
     },
     due, true,
     [](scenario::setup& s) {
       s.winfo = true;
       s.settings.waiting_limit = 3000s;
     }},

    {"rules: a view shows more", ruled,
     [](scenario& s) { return new_rules(s, rules(rule("a", only("alice"), "allow", notes) + rule("b", only("bob"), "allow", notes))); }, false, by_rules},
    {"rules: everything at once", ruled,
     [](scenario& s) {
       return new_rules(s, rules(rule("b", only("bob"), "block") + rule("c", only("carol"), "polite-block") + rule("d", only("dave"), "allow", services)));
     },
     false, by_rules},
    {"rules: a change that a view hides", ruled, [](scenario& s) { return s.publish("alice", {.raw = document("work", "two"), .if_match = "e1"}); }, false, by_rules},
    {"rules: the sphere changes", ruled, [](scenario& s) { return s.publish("alice", {.raw = document("home", "one"), .if_match = "e1"}); }, false, by_rules},
    {"rules: the sphere goes with its document",
     [](scenario& s) {
       ruled(s);
       s.at += 1000s;
     },
     due, true, by_rules},
    {"rules: a decision's time is over",
     [](scenario& s) {
       ruled(s);
       new_rules(s, rules(rule("b", "<validity><from>2023-11-14T22:13:20Z</from><until>2023-11-14T22:15:00Z</until></validity>", "allow", services)));
       s.at = start + 100s;
     },
     due, true, by_rules},
    {"rules: a refresh sees another view",
     [](scenario& s) {
       ruled(s);
       s.rules_text = rules(rule("b", only("bob"), "allow", notes));
     },
     [](scenario& s) { return s.subscribe("d1", {.expires = 300s}); }, false, by_rules},

    {"dialog: a call goes on", lamps, [](scenario& s) { return lamp(s, call("a", "confirmed") + call("b", "confirmed")); }, false, with_packages},
    {"dialog: a partial publication", lamps, [](scenario& s) { return lamp(s, call("a", "confirmed"), "e1", "partial"); }, false, with_packages},
    {"dialog: a call ends", lamps, [](scenario& s) { return lamp(s, call("a", "terminated") + call("b", "confirmed")); }, false, with_packages},
    {"dialog: what is over does not begin again",
     [](scenario& s) {
       lamps(s);
       lamp(s, call("a", "terminated"));
     },
     [](scenario& s) { return lamp(s, call("a", "early"), "e2"); }, false, with_packages},
    {"dialog: calls end with their publication",
     [](scenario& s) {
       lamps(s);
       s.at += 1000s;
     },
     due, true, with_packages},
    {"dialog: everything lapses on the way",
     [](scenario& s) {
       lamps(s);
       s.at += 1000s;
     },
     [](scenario& s) { return s.subscribe("d1", {.expires = 300s}); }, false, with_packages},
    {"dialog;sla: a phone says something",
     [](scenario& s) {
       s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "dialog;sla", .contact = "sip:alice@phone.example.com"});
       s.subscribe("d2", {.by = "alice", .expires = 600s, .event = "dialog;sla", .contact = "sip:alice@desk.example.com"});
     },
     [](scenario& s) {
       return s.publish("alice", {.raw = info(call("a", "early")), .type = "application/dialog-info+xml", .event = "dialog;sla", .sender = "sip:alice@phone.example.com"});
     },
     false, with_packages},
    {"message-summary: one account more",
     [](scenario& s) {
       s.publish("alice", {.raw = "Messages-Waiting: yes\r\nVoice-Message: 1/2\r\n", .type = "application/simple-message-summary", .event = "mwi"});
       s.subscribe("d1", {.expires = 600s, .event = "mwi"});
     },
     [](scenario& s) {
       return s.publish("alice", {.raw = "Messages-Waiting: yes\r\nVoice-Message: 3/4\r\n\r\nSubject: x\r\n", .type = "application/simple-message-summary", .event = "mwi"});
     },
     false, with_packages},

    {"usages: another one, of which the first is told", [](scenario& s) { s.subscribe("d1", {.by = "alice", .expires = 600s, .event = "presence.winfo"}); },
     [](scenario& s) { return s.subscribe("d1", {.expires = 600s, .event = "presence"}); }, false, with_winfo},
    {"usages: one is refreshed with a new target", two_usages,
     [](scenario& s) { return s.subscribe("d1", {.expires = 300s, .event = "presence", .contact = "sip:alice@new.example.com"}); }, false, with_winfo},
    {"usages: one ends, and the other is told", two_usages, [](scenario& s) { return s.subscribe("d1", {.expires = 0s, .event = "presence"}); }, false, with_winfo},
    {"usages: one takes the place of one that lapsed",
     [](scenario& s) {
       two_usages(s);
       s.subscribe("d1", {.expires = 60s, .event = "presence;id=2"});
       s.at += 60s;
     },
     [](scenario& s) { return s.subscribe("d1", {.expires = 300s, .event = "presence;id=2"}); }, false, with_winfo},
    {"usages: a fetch", two_usages, [](scenario& s) { return s.subscribe("d1", {.expires = 0s, .event = "presence;id=3"}); }, false, with_winfo},
};

}  // namespace

TEST_CASE_TEMPLATE("whichever storage call fails, watchers, rules and the packages are as before or as they should be (RL2, W02, W08, Z05, Z11, Z12, N27)",
                   Place, EVERY_STORAGE) {
  const std::size_t swept = sweep<Place>(flows);
  MESSAGE(swept, " faults");
  CHECK(swept > 2 * std::size(flows) - 10);
}

TEST_CASE_TEMPLATE("whichever change is made and not answered for, watchers, rules and packages agree with the database (RL2, W02, W08, Z05)",
                   Place, EVERY_STORAGE) {
  const std::size_t swept = sweep_unanswered<Place>(flows);
  MESSAGE(swept, " answers lost");
  CHECK(swept > 4 * std::size(flows) - 20);
}
