// Every body that a NOTIFY carries is valid against the schema of its RFC, says xmllint. This program writes
// the bodies into files; schema_documents.py runs it and then the validator.
//
//   schema_documents DIRECTORY TESTS [SEED]    TESTS: where corpus/ is; SEED: that one walk, nothing else
//
// DIRECTORY/<schema>/<package>.<where it comes from>.<number>.xml
// rows: PIDF-4.1.1-2, PIDF-4.1.2-1, PIDF-SER-1, DM-3-8, CMP-3, WIN-58-1, WIN-58-3, WIN-58-4, WIN-58-6, DLG-4.1-1, DLG-4.1-2
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>

#include <presence/presence.hpp>
#include <presence/rules.hpp>

#include "schema_material.hpp"

namespace presence::test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

const std::string alice = "sip:alice@example.com";
constexpr std::string_view pidf_type = "application/pidf+xml", dialog_type = "application/dialog-info+xml";

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

std::string contents(const fs::path& file) {
  std::ifstream in{file, std::ios::binary};
  std::string text{std::istreambuf_iterator<char>{in}, {}};
  if (text.empty()) fail("cannot read " + file.string());
  return text;
}

/// Keeps each body once.
class archive {
 public:
  explicit archive(fs::path root) : root_{std::move(root)} {}
  void keep(const notify& n, const std::string& origin) {
    if (!n.content || !known_.insert(n.body_bytes()).second) return;
    const std::string_view type = n.content.content_type();  // application/<schema>+xml
    const fs::path directory = root_ / type.substr(12, type.size() - 16);
    fs::create_directories(directory);
    std::string event{n.dialog.event()};
    std::replace(event.begin(), event.end(), ';', '-');
    std::ofstream out{directory / (event + "." + origin + "." + std::to_string(known_.size()) + ".xml"), std::ios::binary};
    if (!(out << n.body_bytes()).flush()) fail("cannot write to " + directory.string());
  }

 private:
  fs::path root_;
  std::set<std::string> known_;
};

/// An engine with all packages, and the phones around it.
struct host {
  archive& to;
  std::string origin;
  std::string rules = {};
  std::unique_ptr<seeded_random> random = std::make_unique<seeded_random>(1);
  presence::engine engine{{.server_address = "sip:server.example.com"}, {}, nullptr, random.get()};
  instant at{std::chrono::seconds{1'700'000'000}};
  bool answers = true;
  std::deque<notify_id> unanswered = {};

  host(archive& kept, std::string from, const presence_options& how, bool ruled, const dialog_options& calls)
      : to{kept}, origin{std::move(from)} {
    event_package people = presence_package(how), dialogs = dialog_package(calls);
    if (ruled) authorize_by_rules(people, [this](std::string_view) { return std::optional{rules}; });
    people.winfo = dialogs.winfo = true;
    for (event_package* p : {&people, &dialogs})
      if (const auto done = engine.add_event(std::move(*p), at); !done) fail(done.error());
    if (const auto done = engine.add_event(dialog_sla_package({.strangers = calls.strangers,
                                                               .session_descriptions = calls.session_descriptions,
                                                               .remote_target_is_identity = true}), at); !done) fail(done.error());
  }
  ~host() {
    if (const auto wrong = engine.check()) fail(origin + ": " + *wrong);
  }

  void take(const effects& out) {
    for (const notify& n : out.notifies) {
      to.keep(n, origin);
      unanswered.push_back(n.id);
    }
    while (answers && !unanswered.empty()) answer(200);
  }
  void answer(int status) {
    const notify_id id = unanswered.front();
    unanswered.pop_front();
    take(engine.report({.id = id, .status = status}, at));
  }
  void wait(seconds duration) {
    const instant until = at + duration;
    for (auto next = engine.next_deadline(); next && *next <= until; next = engine.next_deadline()) {
      at = std::max(at, *next);
      take(engine.advance(at));
    }
    at = until;
  }
  /// Answers the status; a new tag replaces `tag`.
  int publish(std::string_view event, const std::string& bytes, std::string& tag, seconds expires = 600s,
              std::string_view sender = {}) {
    const std::string_view type = bytes.empty() ? "" : event == "presence" ? pidf_type : dialog_type;
    const effects out = engine.publish({.resource = alice,
                                        .event = event,
                                        .expires = expires,
                                        .sip_if_match = tag,
                                        .content = {.type = type, .bytes = bytes},
                                        .who = {.uri = alice, .method = "digest"},
                                        .sender = sender},
                                       at);
    if (out.answer.status == 200) tag = out.answer.etag;
    take(out);
    return out.answer.status;
  }
  void refresh_rules() { take(engine.refresh_watchers(alice, "presence", refresh_type::authorization, at)); }
};

struct phone {
  std::string by, event, call_id;
  std::string to_tag = {}, name = {};
  bool anonymous = false;
  std::uint32_t cseq = 0;

  void subscribe(host& h, seconds expires = 3600s) {
    const effects out = h.engine.subscribe({.resource = alice,
                                            .event = event,
                                            .expires = expires,
                                            .call_id = call_id,
                                            .from_tag = "tag",
                                            .to_tag = to_tag,
                                            .from_uri = by,
                                            .contact = event == "dialog;sla" ? alice : "sip:phone@192.0.2.1",
                                            .cseq = ++cseq,
                                            .who = {.uri = by, .method = "digest", .anonymous = anonymous, .display_name = name}},
                                           h.at);
    to_tag = out.answer.status == 200 && expires != 0s ? std::string{out.answer.dialog.local_tag()} : "";
    h.take(out);
  }
};

// --- rules ----------------------------------------------------------------------------------------------

constexpr const char* permissions[] = {
    "<provide-services><all-services/></provide-services>", "<provide-persons><all-persons/></provide-persons>",
    "<provide-devices><all-devices/></provide-devices>", "<provide-services><class>work</class></provide-services>",
    "<provide-persons><occurrence-id>p1</occurrence-id></provide-persons>",
    "<provide-activities>true</provide-activities>", "<provide-class>true</provide-class>",
    "<provide-deviceID>true</provide-deviceID>", "<provide-mood>true</provide-mood>",
    "<provide-place-is>true</provide-place-is>", "<provide-place-type>true</provide-place-type>",
    "<provide-privacy>true</provide-privacy>", "<provide-relationship>true</provide-relationship>",
    "<provide-status-icon>true</provide-status-icon>", "<provide-sphere>true</provide-sphere>",
    "<provide-time-offset>true</provide-time-offset>", "<provide-note>true</provide-note>",
    "<provide-user-input>bare</provide-user-input>", "<provide-user-input>thresholds</provide-user-input>",
    "<provide-unknown-attribute ns='urn:example:foreign' name='kind'>true</provide-unknown-attribute>",
    "<provide-unknown-attribute ns='urn:example:foreign' name='box'>true</provide-unknown-attribute>",
    "<provide-all-attributes/>"};

std::string rule(const std::string& watcher, const std::string& handling, const std::string& transformations) {
  return "<cp:rule id='r-" + std::to_string(std::hash<std::string>{}(watcher + transformations)) +
         "'><cp:conditions><cp:identity><cp:one id='" + watcher + "'/></cp:identity></cp:conditions><cp:actions><sub-handling>" +
         handling + "</sub-handling></cp:actions><cp:transformations>" + transformations + "</cp:transformations></cp:rule>";
}
std::string ruleset(const std::string& rules) {
  return "<cp:ruleset xmlns:cp='urn:ietf:params:xml:ns:common-policy' xmlns='urn:ietf:params:xml:ns:pres-rules'>" + rules +
         "</cp:ruleset>";
}

// --- given documents ------------------------------------------------------------------------------------

/// The documents as publications of one resource, under every policy and through views: each permission
/// alone with all components, and everything. Answers how many were accepted.
std::size_t show(archive& to, const std::string& origin, const std::string& event,
                 const std::vector<std::string>& documents) {
  using composing = presence_options::composing;
  using unpublished = presence_options::unpublished;
  using shown = dialog_options::shown;
  const presence_options policies[] = {{},
                                       {.closes_leaving = true, .nothing = unpublished::closed},
                                       {.several = composing::newest, .closes_leaving = true, .nothing = unpublished::open},
                                       {.several = composing::most_available},
                                       {.several = composing::by_word, .words = {"busy", "away"}}};
  const dialog_options calls[] = {{},
                                  {.strangers = shown::everything, .partial = true, .session_descriptions = true},
                                  {.single_dialog = true, .session_descriptions = true},
                                  {.single_dialog = true, .partial = true},
                                  {}};
  std::size_t accepted = 0;
  for (std::size_t i = 0; i < std::size(policies); ++i) {
    host h{to, origin, policies[i], true, calls[i]};
    std::vector<phone> phones;
    const std::string components = std::string{permissions[0]} + permissions[1] + permissions[2];
    std::string rules = rule(alice, "allow", components + "<provide-all-attributes/>");
    for (const char* one : permissions) {
      const std::string watcher = "sip:w" + std::to_string(phones.size()) + "@example.com";
      phones.push_back({watcher, event, "c-" + watcher});
      rules += rule(watcher, "allow", components + one);
    }
    if (event != "presence") phones.resize(1);
    phones.push_back({alice, event, "owner"});
    phones.push_back({alice, event == "presence" ? "presence.winfo" : "dialog.winfo", "winfo"});
    h.rules = ruleset(rules);
    std::string tags[8];
    for (phone& p : phones) p.subscribe(h);
    for (std::size_t n = 0; n < documents.size(); ++n) accepted += h.publish(event, documents[n], tags[n % 8]) == 200;
    for (phone& p : phones) p.subscribe(h);
    h.publish(event, documents.front(), tags[(documents.size() - 1) % 8]);
    h.publish(event, "", tags[0], 0s);
    h.wait(700s);
  }
  return accepted / std::size(policies);
}

/// What is in the corpora of the fuzz targets and is not valid by itself: passed on as it is.
constexpr std::string_view invalid[] = {
    "foreign-default.xml", "no-default.xml",  // foreign elements without a namespace
};

std::set<fs::path> files_in(const fs::path& directory) {
  std::set<fs::path> files;
  for (const auto& entry : fs::directory_iterator{directory}) files.insert(entry.path());
  return files;
}

void corpora(archive& to, const fs::path& tests) {
  std::size_t accepted = 0;
  std::vector<std::string> all;
  for (const std::string event : {"presence", "dialog"}) {
    for (const fs::path& file : files_in(tests / "corpus" / (event == "presence" ? "pidf" : event))) {
      if (std::find(std::begin(invalid), std::end(invalid), file.filename()) != std::end(invalid)) continue;
      const std::string bytes = contents(file);
      std::vector<std::string> documents;  // separated by NUL
      for (std::size_t at = 0, end; at < bytes.size(); at = end + 1) {
        end = std::min(bytes.find('\0', at), bytes.size());
        documents.push_back(bytes.substr(at, end - at));
      }
      accepted += show(to, "corpus-" + file.stem().string(), event, documents);
      if (event == "presence") all.insert(all.end(), documents.begin(), documents.end());
    }
  }
  show(to, "corpus-all", "presence", all);
  if (accepted < 12) fail("the corpora were refused");

  dice d{1};
  for (const fs::path& file : files_in(tests / "corpus" / "rules")) {
    host h{to, "corpus-rules-" + file.stem().string(), {}, true, {}};
    h.rules = contents(file);
    std::string tag;
    h.publish("presence", presence_document(d, true), tag);
    phone{"sip:bob@example.com", "presence", "c1"}.subscribe(h);
  }
}

/// Every element there is, alone and against publications with the same ids.
void everything(archive& to) {
  dice d{1};
  for (int n = 0; n < 3; ++n) {
    std::vector<std::string> documents, calls;
    for (int i = 0; i <= n; ++i) {
      documents.push_back(presence_document(d, true));
      calls.push_back(dialog_document(d, true));
    }
    const std::string origin = "everything-" + std::to_string(n);
    if (show(to, origin, "presence", documents) != documents.size()) fail("a sound presence document was refused");
    if (show(to, origin, "dialog", calls) != calls.size()) fail("a sound dialog-info document was refused");
  }
}

// --- a random walk --------------------------------------------------------------------------------------

std::string random_rules(dice& d, const std::vector<std::string>& watchers) {
  std::string all;
  for (const std::string& watcher : watchers) {
    std::string granted;
    for (const char* one : permissions)
      if (d.one_in(3)) granted += one;
    const char* const handlings[] = {"allow", "allow", "allow", "confirm", "polite-block", "block"};
    if (!d.one_in(8) && watcher.find('\'') == std::string::npos) all += rule(watcher, d.pick(handlings), granted);
  }
  return ruleset(all);
}

void walk(archive& to, unsigned seed) {
  dice d{seed};
  const auto yes = [&] { return d.one_in(2); };
  using shown = dialog_options::shown;
  const shown strangers[] = {shown::virtual_dialog, shown::everything, shown::nothing};
  host h{to, "walk" + std::to_string(seed),
         {.several = static_cast<presence_options::composing>(d.below(3)), .closes_leaving = yes(),
          .nothing = static_cast<presence_options::unpublished>(d.below(3))},
         yes(),
         {.strangers = d.pick(strangers), .single_dialog = yes(), .partial = yes(), .session_descriptions = yes()}};
  const std::vector<std::string> people{alice, "sip:bob@example.com", "sip:o'hara&co@example.com",
                                        "sips:%3Cx%3E@example.com:5061", "tel:+1-201-555-0123"};
  const char* const names[] = {"", "", "Zo\xC3\xAB <z> & \"co\"", " '  "};
  const char* const events[] = {"presence", "presence", "dialog", "dialog;sla", "presence.winfo", "dialog.winfo"};
  h.rules = random_rules(d, people);
  std::vector<phone> phones;
  std::vector<std::string> tags[3];
  const auto publish = [&] {
    const std::size_t kind = d.below(3);
    const char* const event = std::array{"presence", "dialog", "dialog;sla"}[kind];
    if (d.one_in(10) && kind < 2) {
      const std::string document = yes() ? "" : kind == 0 ? presence_document(d) : dialog_document(d);
      const std::string_view type = kind == 0 ? pidf_type : dialog_type;
      const effects out = h.engine.set_hard_state(alice, event, yes() ? "a" : "b", {.type = type, .bytes = document}, h.at);
      if (out.answer.status != 200 && !document.empty()) fail(h.origin + ": refused as hard state: " + document);
      return h.take(out);
    }
    auto& live = tags[kind];
    if (live.size() < 4 && yes()) live.emplace_back();
    if (live.empty()) return;
    std::string& tag = d.pick(live);
    const bool ends = !tag.empty() && d.one_in(4);
    const std::string document = ends ? "" : kind == 0 ? presence_document(d) : dialog_document(d);
    const seconds expires{ends ? 0 : 60 + d.below(600)};
    const int status = h.publish(event, document, tag, expires, yes() ? alice : "sip:other@192.0.2.2");
    if (status != 200 && status != 412) fail(h.origin + ": answered " + std::to_string(status) + ": " + document);
    if (ends || status == 412) live.erase(live.begin() + (&tag - live.data()));
  };
  const auto subscribe = [&] {
    if (phones.size() < 16)
      phones.push_back({.by = yes() ? alice : d.pick(people), .event = d.pick(events),
                        .call_id = "call" + std::to_string(phones.size()), .name = d.pick(names), .anonymous = d.one_in(6)});
    phone& p = d.pick(phones);
    p.subscribe(h, d.one_in(4) ? 0s : seconds{60 + d.below(600)});
    if (d.one_in(8)) p.to_tag.clear();  // lost: the next one begins again under the same Call-ID
  };
  for (int step = 0; step < 500; ++step) {
    switch (d.below(10)) {
      case 0: case 1: case 2: publish(); break;
      case 3: case 4: case 5: subscribe(); break;
      case 6: h.wait(seconds{d.below(200)}); break;
      case 7:
        h.rules = random_rules(d, people);
        h.refresh_rules();
        break;
      case 8: h.answers = !d.one_in(3); break;
      default: {
        const int statuses[] = {200, 200, 200, 500, 481, 0};
        if (!h.unanswered.empty()) h.answer(d.pick(statuses));
        const end_reason reasons[] = {end_reason::deactivated, end_reason::probation, end_reason::giveup, end_reason::noresource};
        if (d.one_in(20)) h.take(h.engine.terminate_watchers(alice, "", d.pick(reasons), h.at, 10s));
      }
    }
  }
}

}  // namespace
}  // namespace presence::test

int main(int count, char** arguments) {
  using namespace presence::test;
  if (count < 3) fail("usage: schema_documents DIRECTORY TESTS [SEED]");
  archive to{arguments[1]};
  if (count > 3) {
    walk(to, static_cast<unsigned>(std::strtoul(arguments[3], nullptr, 10)));
    return 0;
  }
  corpora(to, arguments[2]);
  everything(to);
  for (unsigned seed = 1; seed <= 40; ++seed) walk(to, seed);
}
