// What the documents say is what the code does: docs/state-machines.md is printed from the rules.
// After a change of rules: PRESENCE_WRITE_DOCS=1 build/tests/unit -tc="*state-machines*"
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <presence/effects.hpp>
#include <presence/notify_outcome.hpp>
#include <presence/publication.hpp>
#include <presence/subscription.hpp>
#include <presence/watcher_state.hpp>

using namespace presence;

namespace {

std::string yes(bool b) { return b ? "yes" : "no"; }

std::string outcome(const publish_decision& d) {
  struct {
    std::string operator()(const publishing::created&) const { return "created"; }
    std::string operator()(const publishing::discarded&) const { return "answered 200, nothing stored"; }
    std::string operator()(const publishing::refreshed&) const { return "refreshed"; }
    std::string operator()(const publishing::modified&) const { return "modified"; }
    std::string operator()(const publishing::removed&) const { return "removed"; }
    std::string operator()(const publishing::refused& r) const { return "refused " + std::to_string(r.status); }
  } const name;
  return std::visit(name, d);
}

std::string outcome(const subscribe_decision& d) {
  struct {
    std::string operator()(const subscribing::fetched&) const { return "fetch: one NOTIFY, nothing stored"; }
    std::string operator()(const subscribing::created&) const { return "created"; }
    std::string operator()(const subscribing::refreshed&) const { return "refreshed"; }
    std::string operator()(const subscribing::ended&) const { return "ended"; }
    std::string operator()(const subscribing::refused& r) const { return "refused " + std::to_string(r.status); }
  } const name;
  return std::visit(name, d);
}

std::string lifetime(std::optional<seconds> asked) {
  return !asked ? "absent" : std::to_string(asked->count());
}

std::string name_of(standing s) {
  return s == standing::pending ? "pending" : s == standing::active ? "active" : "polite";
}

std::string guide() {
  std::ostringstream out;
  const expiry_bounds bounds{seconds{60}, seconds{3600}, seconds{3600}};
  out << "# State machines\n\nPrinted from the rules by a test; with a minimum of 60 seconds and a maximum of 3600.\n\n"
         "## PUBLISH (`publication.hpp`, RFC 3903 section 6)\n\n"
         "| SIP-If-Match | body | Expires | outcome |\n|---|---|---|---|\n";
  const std::optional<seconds> times[] = {std::nullopt, seconds{600}, seconds{10}, seconds{0}};
  for (const int tag : {0, 1, 2})
    for (const bool body : {true, false})
      for (const auto& asked : times)
        out << "| " << (tag == 0 ? "absent" : tag == 1 ? "live" : "dead") << " | " << yes(body) << " | " << lifetime(asked)
            << " | " << outcome(decide(publish_facts{tag != 0, tag == 1, body, false, asked}, bounds)) << " |\n";
  out << "\n## SUBSCRIBE (`subscription.hpp`, RFC 6665 section 4.2.1)\n\n"
         "| To tag | authorization | Expires | outcome |\n|---|---|---|---|\n";
  for (const int dialog : {0, 1, 2})
    for (const auto handling : {sub_handling::allow, sub_handling::polite_block, sub_handling::confirm, sub_handling::block})
      for (const auto& asked : times)
        out << "| " << (dialog == 0 ? "absent" : dialog == 1 ? "known" : "unknown") << " | " << to_string(handling) << " | "
            << lifetime(asked) << " | " << outcome(decide(subscribe_facts{dialog != 0, dialog == 1, asked, handling}, bounds))
            << " |\n";
  out << "\n## A new decision about a live subscription (`subscription.hpp`, RFC 5025)\n\n"
         "| stands | decision | then | NOTIFY |\n|---|---|---|---|\n";
  for (const auto before : {standing::pending, standing::active, standing::polite})
    for (const auto handling : {sub_handling::block, sub_handling::confirm, sub_handling::polite_block, sub_handling::allow}) {
      const reconsidered r = reconsider(before, handling);
      out << "| " << name_of(before) << " | " << to_string(handling) << " | "
          << (r.ends != end_reason::none ? "terminated;reason=" + std::string{to_string(r.ends)} : name_of(r.now)) << " | "
          << yes(r.notify) << " |\n";
    }
  out << "\n## The answer to a NOTIFY (`notify_outcome.hpp`, RFC 6665 section 4.2.2)\n\n| outcome | statuses |\n|---|---|\n";
  for (const auto meaning : {notify_outcome::delivered, notify_outcome::ended, notify_outcome::provisional, notify_outcome::kept}) {
    out << "| " << to_string(meaning) << " |";
    for (const int status : {0, 100, 180, 200, 202, 204, 300, 302, 400, 401, 403, 404, 405, 406, 407, 408, 410, 412, 413, 415,
                             416, 420, 423, 480, 481, 482, 483, 484, 485, 486, 487, 488, 489, 491, 493, 500, 501, 502, 503, 504,
                             505, 513, 580, 600, 603, 604, 606})
      if (outcome_of(status, true) == meaning) out << ' ' << (status == 0 ? "timeout" : std::to_string(status));
    out << " |\n";
  }
  out << "\n## A watcher, as watcher information tells it (`watcher_state.hpp`, RFC 3857)\n\nAny other pair changes nothing.\n\n"
         "| from | event | to |\n|---|---|---|\n";
  for (const auto& edge : watcher_transitions)
    out << "| " << to_string(edge.from) << " | " << to_string(edge.event) << " | " << to_string(edge.to) << " |\n";
  return out.str();
}

}  // namespace

TEST_CASE("docs/state-machines.md is what the rules say") {
  const std::string path = std::string{PRESENCE_TEST_DATA} + "/../docs/state-machines.md";
  const std::string expected = guide();
  if (std::getenv("PRESENCE_WRITE_DOCS") != nullptr) std::ofstream{path} << expected;
  std::ifstream file{path};
  std::stringstream text;
  text << file.rdbuf();
  CHECK(text.str() == expected);
}
