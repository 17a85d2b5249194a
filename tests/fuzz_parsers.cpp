// Fuzz targets: rules documents, dialog-info in both packages, message-summary. With clang++:
//
//   CXX=clang++ meson setup build-fuzz -Dfuzz=true && ninja -C build-fuzz fuzz
//   build-fuzz/tests/fuzz_rules -max_len=4096 found tests/corpus/rules    (what is found goes to the first directory)
//
// Likewise fuzz_dialog and fuzz_line (dialog), fuzz_messages (message-summary) and fuzz_documents (pidf). The corpora are
// replayed, with damages, by an ordinary test.
#include "fuzz_parsers.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <presence/grammar.hpp>
#include <presence/packages.hpp>
#include <presence/rules.hpp>

#include "packages/dialog_info.hpp"

namespace presence::test {

namespace {

void require(bool holds, const char* what, std::string_view bytes) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n%.*s\n", what, static_cast<int>(bytes.size()), bytes.data());
  std::abort();
}

struct publication {
  body content;
  document parsed;
  std::uint64_t id, arrival;
  std::string sender;
};

std::vector<published> offered(const std::vector<publication>& all, const publication* arrives = nullptr, const publication* leaves = nullptr) {
  std::vector<published> out;
  for (const publication& p : all)
    out.push_back({.etag = "tag", .content = p.content, .parsed = p.parsed.get(), .sender = p.sender, .id = p.id, .since = {},
                   .arrival = p.arrival, .leaving = &p == leaves, .arriving = &p == arrives});
  return out;
}

const std::string resource{"sip:alice@example.com"};

/// What a package composed is accepted by it.
publication sound(const event_package& package, const body& content) {
  limits wide;
  wide.body_bytes = wide.xml_elements = wide.xml_attributes = wide.xml_text_bytes = SIZE_MAX;
  notify n;
  n.content = content;
  const body text{package.content_types.front(), n.body_bytes()};
  auto checked = package.check_publish({resource, text, {}, wide});
  require(checked.has_value(), checked ? "" : std::string{checked.error().reason}.c_str(), text.bytes());
  return {text, *checked, 1, 1, {}};
}

/// What an engine finds that knows no more than the rows.
std::vector<publication> read_again(const event_package& package, const std::vector<publication>& all) {
  std::vector<publication> found = all;
  for (publication& p : found) {
    if (body kept = p.parsed->stored()) p.content = kept;
    auto read = package.check_publish({resource, p.content, p.sender, limits{}, nullptr, false, true});
    require(read.has_value(), "what is stored can be read again", p.content.bytes());
    p.parsed = *read;
  }
  return found;
}

/// What one more document does to a state.
struct step {
  const event_package& package;
  const std::vector<publication>& before;  ///< publications
  const std::vector<publication>& after;
  const publication* incoming;  ///< of `after`; null: one has left
  bool takes_others_place;      ///< it replaced another sender's
};
const auto nothing_more = [](const step&) {};

/// The input is up to eight documents, separated by NUL, of two senders in turn; one that begins with `=` replaces the one
/// before, one that is `-` is the end of the one before. What a package accepts it composes into something it accepts itself;
/// composing that changes nothing. What tells the difference between two states is accepted, too.
template <class Check>
void composed(const event_package& package, std::string_view bytes, Check&& check) {
  std::vector<publication> all;
  bool any_left = false;
  for (std::uint64_t count = 1; count <= 8; ++count) {
    const std::size_t end = bytes.find('\0');
    std::string_view text = bytes.substr(0, end);
    const std::vector<publication> before = all;
    const body was = package.aggregate(resource, offered(all));
    if (text == "-" && !all.empty()) {
      if (package.tells_leaving) sound(package, package.aggregate(resource, offered(all, nullptr, &all.back())));
      const publication gone = all.back();
      all.pop_back();
      for (const publication& heir : all)
        if (package.inherit) package.inherit(*heir.parsed, *gone.parsed);
      any_left = true;
      check(step{package, before, all, nullptr, false});
    } else {
      const bool replaces = text.starts_with('=') && !all.empty();
      if (replaces) text.remove_prefix(1);
      body content{package.content_types.front(), text};
      const std::string sender = count % 2 == 0 ? "sip:a" : "sip:b";
      const offered_document offer{resource, content, sender, limits{}, replaces ? all.back().parsed.get() : nullptr, false, !replaces};
      const auto checked = package.check_publish(offer);
      const bool late = checked && package.superseded && package.superseded(offer, checked->get(), offered(all));
      if (!checked) {
        require(checked.error().status >= 400 && !checked.error().reason.empty(), "a refusal says why", text);
      } else if (!late) {
        if (body whole = (*checked)->stored()) content = whole;
        const bool takes = replaces && all.back().sender != sender;
        const std::uint64_t id = replaces ? all.back().id : count;
        if (replaces) all.pop_back();
        all.push_back({content, *checked, id, count, sender});
        const std::vector<publication> told{sound(package, package.aggregate(resource, offered(all, &all.back())))};
        const body twice = package.aggregate(resource, offered(told, &told.back()));
        require(!package.tells_leaving || sound(package, twice).content.bytes() == told[0].content.bytes(), "what is told once reads as it was told", twice.bytes());
        const body state = package.aggregate(resource, offered(all));
        const publication again = sound(package, state);
        require(sound(package, package.aggregate(resource, offered({again}))).content.bytes() == again.content.bytes(), "composing twice changes nothing", again.content.bytes());
        // what is stored reads as what was published
        if (all.size() == 1 && !any_left) {
          const auto stored = package.check_publish({resource, content, {}, limits{}, nullptr, false, true});
          require(stored.has_value(), "what is stored can be read again", content.bytes());
          require(package.aggregate(resource, offered({{content, *stored, id, count, sender}})).bytes() == state.bytes(), "what is stored says the same", content.bytes());
        }
        if (package.difference && was)
          if (const auto partial = package.difference(resource, was, state)) sound(package, *partial);
        check(step{package, before, all, &all.back(), takes});
      }
    }
    require(package.aggregate(resource, offered(read_again(package, all))) == package.aggregate(resource, offered(all)), "rows say it all", bytes);
    if (end == bytes.npos) break;
    bytes.remove_prefix(end + 1);
  }
}

std::vector<dialog_info::entry> dialogs_in(const event_package& package, const body& state) {
  return dynamic_cast<const dialog_info::checked_document&>(*sound(package, state).parsed).dialogs;
}
bool has_live(const document& parsed) { return dynamic_cast<const dialog_info::checked_document&>(*parsed).has_live(); }

/// A subscription to the dialogs of one INVITE sees those and no other, one to a dialog that is over is ended.
void selected(const step& now, const dialog_info::entry& e) {
  if (!is_token(e.local_tag) || e.call_id.empty()) return;
  std::string event = "dialog;to-tag=" + e.local_tag + (is_token(e.remote_tag) ? ";from-tag=" + e.remote_tag : "") + ";call-id=\"";
  for (const char c : e.call_id) (event += c == '"' || c == '\\' ? "\\" : "") += c;
  const auto read = parse_event(event += '"');
  if (!read) return;
  const auto view = now.package.select(*read, {}, nullptr);
  require(view.has_value(), "a selection is refused", event);
  const body seen = now.package.authorize_body({}, resource, offered(now.after, now.incoming), **view);
  for (const auto& one : dialogs_in(now.package, seen))
    require(one.call_id == e.call_id && one.local_tag == e.local_tag, "a dialog that was not asked for", seen.bytes());
  const bool last = seen.outline() != nullptr && seen.outline()->is_last();
  require(last == (e.over() && is_token(e.remote_tag)), "a subscription ends with its dialog", seen.bytes());
}

}  // namespace

void fuzz_rules(std::string_view bytes) {
  const auto read = ruleset::parse(bytes);
  if (!read) return require(!read.error().empty(), "a refusal says why", bytes);
  for (const char* who : {"", "sip:bob@example.com", "tel:+12015550123"}) {
    const identity watcher{.uri = who};
    const auto less = read->evaluate({watcher, {}, instant{}});
    const auto more = read->evaluate({watcher, "work", instant{}});
    require(more.allowed.handling >= less.allowed.handling, "a sphere only grants", bytes);
    permissions both = less.allowed;
    combine(both, more.allowed);
    require(both == more.allowed, "a sphere takes nothing away", bytes);
  }
}

/// A dialog that has ended does not begin again while somebody may remember it.
void fuzz_dialog(std::string_view bytes) {
  static const event_package package = dialog_package({.partial = true});
  std::vector<std::uint64_t> over;
  composed(package, bytes, [&](const step& now) {
    if (now.after.empty()) over.clear();
    const body state = package.aggregate(resource, offered(now.after, now.incoming));
    for (const auto& e : dialogs_in(package, state)) {
      const bool ended = std::find(over.begin(), over.end(), e.key) != over.end();
      require(e.over() || !ended, "a dialog begins again", state.bytes());
      if (e.over() && e.key != 0) over.push_back(e.key);
      selected(now, e);
    }
  });
}

/// A live dialog of another's stays on the line (P40).
void fuzz_line(std::string_view bytes) {
  static const event_package package = dialog_sla_package({.session_descriptions = true, .remote_target_is_identity = true});
  composed(package, bytes, [&](const step& now) {
    const body state = package.aggregate(resource, offered(now.after));
    require(now.after.empty() || (state.outline() != nullptr && state.outline()->sender()), "nobody says it", state.bytes());
    if (now.incoming == nullptr || now.takes_others_place) return;
    const publication* others = nullptr;
    for (const publication& p : now.before)
      if (p.sender != now.incoming->sender) others = &p;
    if (others == nullptr || !has_live(others->parsed)) return;
    const auto all = dialogs_in(package, state);
    require(std::any_of(all.begin(), all.end(), [](const auto& e) { return !e.over(); }), "another's call was hung up", state.bytes());
  });
}

void fuzz_messages(std::string_view bytes) {
  static const event_package latest = message_summary_package({.message_headers = true}),
                             sum = message_summary_package({.several = message_summary_options::combining::sum, .message_headers = true});
  composed(latest, bytes, nothing_more);
  composed(sum, bytes, nothing_more);
}

}  // namespace presence::test

#ifdef PRESENCE_FUZZ
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  presence::test::PRESENCE_FUZZ({reinterpret_cast<const char*>(data), size});
  return 0;
}
#endif
