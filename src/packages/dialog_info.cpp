#include "dialog_info.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <memory>
#include <set>
#include <system_error>
#include <utility>

#include <presence/uri.hpp>

#include "../xml.hpp"
#include "digest.hpp"
#include "kept.hpp"

namespace presence::dialog_info {

namespace {

// What is kept of a document: `ids 0:x 3:y`, what its dialogs are shown as, by their place in it, where that is not their own
// id, and `ends 1f03 a7`, the dialogs that have ended, by key.

void append_word(std::string& to, std::string_view id) {
  constexpr std::string_view digits = "0123456789abcdef", special = "%<>?&";
  for (const char c : id) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte > ' ' && byte < 0x7f && special.find(c) == special.npos) to += c;
    else ((to += '%') += digits[byte >> 4]) += digits[byte & 15];
  }
}

std::string read_word(std::string_view word) {
  std::string id;
  for (std::size_t i = 0; i < word.size(); ++i) {
    unsigned byte = static_cast<unsigned char>(word[i]);
    if (word[i] == '%') std::from_chars(word.data() + i + 1, word.data() + std::min(i + 3, word.size()), byte, 16), i += 2;
    id += static_cast<char>(byte);
  }
  return id;
}

void restore(std::string_view kept, const checked_document& to) {
  bool ends = false;
  for (std::string_view word = next_word(kept); !word.empty(); word = next_word(kept)) {
    if (word == "ids" || word == "ends") {
      ends = word == "ends";
      continue;
    }
    std::uint64_t number = 0;  // no key
    const auto [behind, fault] = std::from_chars(word.data(), word.data() + word.size(), number, ends ? 16 : 10);
    if (fault != std::errc{}) continue;
    const std::string_view id = word.substr(static_cast<std::size_t>(behind - word.data()));
    if (ends) to.remember_end(number);
    else if (id.size() > 1 && number < to.dialogs.size()) to.dialogs[number].shown_as = read_word(id.substr(1));
  }
}

constexpr std::array<std::string_view, 5> states{"trying", "proceeding", "early", "confirmed", "terminated"};
constexpr std::array<std::string_view, 2> directions{"initiator", "recipient"};
constexpr std::array<std::string_view, 7> events{"cancelled", "rejected", "replaced", "local-bye",
                                                 "remote-bye", "error", "timeout"};
// Children in the order of the schema, each at most once; the last are foreign, any number.
constexpr std::array<std::string_view, 8> dialog_children{"state", "duration", "replaces", "referred-by",
                                                          "route-set", "local", "remote", ""};
constexpr std::array<std::string_view, 5> participant_children{"identity", "target", "session-description", "cseq", ""};

class reader {
 public:
  reader(const xml::tree& tree, const reading& how) : tree_{tree}, how_{how} {}

  /// Empty when the document is sound. `rewritten`: it is not what was published.
  std::string_view run(const checked_document* previous, checked_document& out, bool& rewritten) {
    const xml::node& root = tree_.root();
    if (!root.is(namespace_uri, "dialog-info")) return "The root is not dialog-info";
    const std::string_view version = attribute(root, "version"), state = attribute(root, "state");
    if (version.empty() || version.find_first_not_of("0123456789") != std::string_view::npos) return "Bad version";
    if (state != "full" && state != "partial") return "state is neither full nor partial";
    if (attribute(root, "entity").empty()) return "No entity";
    inherit(root);
    std::map<std::string_view, const entry*> before;
    if (previous != nullptr) {
      for (const entry& e : previous->dialogs) before.emplace(e.id, &e);
      if (how_.ends_are_final) out.remember_ends(*previous);
    }
    std::set<std::string_view> ids;
    for (const xml::node& n : tree_.children(root)) {
      if (n.text) return "Text directly inside dialog-info";
      if (!n.is(namespace_uri, "dialog")) continue;
      entry e;
      if (const auto fault = dialog(n, e); !fault.empty()) return fault;
      if (!ids.insert(tree_.find(n, {}, "id")->value).second) return "Two dialogs of one id";
      out.names_live = out.names_live || !e.over();
      const auto at = before.find(e.id);
      const entry* known = at != before.end() ? at->second : nullptr;
      if (how_.ends_are_final && has_ended(e, known, out)) {
        e.told = e.over();
        if (!e.over() && !e.call_id.empty()) {  // without a Call-ID it is another dialog (P37)
          rewritten = true;
          if (known == nullptr || !known->same_as(e) || !known->over()) continue;
          e = *known;
          e.told = true;
        }
      }
      // tags may become known while it is the same dialog; they do not change
      if (known != nullptr && known->grows_into(e)) e.shown_as = known->shown_as;
      // an end that says more of it than was known, or less
      if (how_.ends_are_final && known != nullptr && e.over() && known->key != e.key &&
          (known->grows_into(e) || e.grows_into(*known)))
        out.remember_end(known->key);
      out.dialogs.push_back(std::move(e));
    }
    if (state == "partial" && previous != nullptr) {
      rewritten = true;
      std::vector<entry> kept;
      for (const entry& e : previous->dialogs)
        if (!e.over() && !ids.contains(e.id)) kept.push_back(e);
      out.dialogs.insert(out.dialogs.begin(), std::make_move_iterator(kept.begin()), std::make_move_iterator(kept.end()));
    }
    if (unite(out.dialogs)) rewritten = true;
    return {};
  }

 private:
  std::string_view attribute(const xml::node& n, std::string_view name) const {
    const xml::attribute* a = tree_.find(n, {}, name);
    return a == nullptr ? std::string_view{} : xml::trimmed(a->value);
  }
  /// Absent or one of the words, to the letter: it is passed on as it is.
  template <std::size_t N>
  bool is_one_of(const xml::node& n, std::string_view name, const std::array<std::string_view, N>& words) const {
    const xml::attribute* a = tree_.find(n, {}, name);
    return a == nullptr || std::find(words.begin(), words.end(), a->value) != words.end();
  }
  std::string_view bytes(std::uint32_t begin, std::uint32_t end) const {
    return tree_.source.substr(begin, end - begin);
  }

  /// One dialog under two ids: the later word, under the id it is shown under, or else the earlier. True if there was one.
  static bool unite(std::vector<entry>& dialogs) {
    std::map<std::uint64_t, std::size_t> place;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < dialogs.size(); ++i) {
      const std::uint64_t key = dialogs[i].key;
      const auto [at, first] = key == 0 ? std::pair{place.end(), true} : place.try_emplace(key, kept);
      if (first) {
        if (kept != i) dialogs[kept] = std::move(dialogs[i]);
        ++kept;
        continue;
      }
      entry& earlier = dialogs[at->second];
      // what it is shown as stays with its id, which is all that is stored
      if (!earlier.shown_as.empty() || dialogs[i].shown_as.empty()) {
        dialogs[i].id = std::move(earlier.id);
        dialogs[i].shown_as = std::move(earlier.shown_as);
      }
      earlier = std::move(dialogs[i]);
    }
    const bool any = kept != dialogs.size();
    dialogs.resize(kept);
    return any;
  }
  /// Whether an earlier document told the end of that dialog.
  static bool has_ended(const entry& e, const entry* known, const checked_document& out) noexcept {
    if (known != nullptr && known->same_as(e) && known->over()) return true;
    return e.key != 0 && std::find(out.ended.begin(), out.ended.end(), e.key) != out.ended.end();
  }

  /// What the root declares, for dialogs that leave it.
  struct declaration {
    std::string_view prefix, text;
  };
  void inherit(const xml::node& root) {
    bool standard = false;
    for (const xml::attribute& a : tree_.attributes_of(root)) {
      if (a.uri != xml::xmlns_uri) continue;
      inherited_.push_back({a.local, bytes(a.begin, a.value_end + 1)});
      standard = standard || a.local == "xmlns";
    }
    if (!standard) inherited_.push_back({"xmlns", "xmlns=\"\""});
  }

  std::string_view dialog(const xml::node& n, entry& out) {
    const xml::attribute* id = tree_.find(n, {}, "id");
    if (id == nullptr || id->value.empty()) return "A dialog without an id";
    out.id = id->value;
    out.call_id = attribute(n, "call-id");
    out.local_tag = attribute(n, "local-tag");
    out.remote_tag = attribute(n, "remote-tag");
    out.direction = attribute(n, "direction");
    if (!is_one_of(n, "direction", directions)) return "Bad direction";

    // the start tag, with what the root declared
    out.before_id = bytes(n.begin, n.name_end);
    for (const declaration& d : inherited_) {
      const auto again = [&](const xml::attribute& a) { return a.uri == xml::xmlns_uri && a.local == d.prefix; };
      const auto own = tree_.attributes_of(n);
      if (std::none_of(own.begin(), own.end(), again)) (out.before_id += ' ') += d.text;
    }
    const std::uint32_t id_end = id->value_end;
    out.before_id += bytes(n.name_end, id->value_begin);
    const bool closed = n.content_end == n.end;
    if (closed) return "A dialog without a state";
    out.behind_id = bytes(id_end, n.content);

    if (!out.call_id.empty() && !out.local_tag.empty())
      out.key = key_of(out.call_id, out.local_tag, out.remote_tag);

    digest meaning;
    add_start(n, meaning, id);
    bool has_state = false;
    std::string_view fault;
    const bool once = in_order(n, dialog_children, [&](const xml::node& c) {
      const auto is = [&](std::string_view name) { return c.is(namespace_uri, name); };
      if (is("state")) {
        has_state = true;
        fault = state(c, out);
      }
      if (is("remote")) {
        for (const xml::node& t : tree_.children(c))
          if (t.is(namespace_uri, "target")) out.remote_target = attribute(t, "uri");
      }
      return is("local") || is("remote") ? participant(c, is("remote") && how_.remote_target_is_identity, out.behind_id, meaning)
                                         : write(c, out.behind_id, meaning);
    });
    if (!fault.empty()) return fault;
    if (!once) return "An element that occurs twice";
    if (!has_state) return "A dialog without a state";
    out.behind_id += bytes(n.content_end, n.end);
    out.meaning = meaning.value();
    return {};
  }

  /// Visits the elements in an element by their place in the schema, until a visit answers false. False
  /// too when one occurs twice that may not.
  template <std::size_t N, class Visit>
  bool in_order(const xml::node& of, const std::array<std::string_view, N>& names, Visit visit) const {
    const auto place_of = [&](const xml::node& c) {
      const auto known = std::find(names.begin(), names.end(), c.label);
      return c.uri != namespace_uri || known == names.end() ? std::string_view{} : *known;
    };
    for (const std::string_view name : names) {
      bool seen = false;
      for (const xml::node& c : tree_.children(of)) {
        if (c.text || place_of(c) != name) continue;
        if ((!name.empty() && std::exchange(seen, true)) || !visit(c)) return false;
      }
    }
    return true;
  }

  std::string_view state(const xml::node& n, entry& out) {
    std::string room;
    const auto known = parse_state(xml::trimmed(tree_.text_of(n, room)));
    if (!known) return "An unknown state";
    out.state = *known;
    if (!is_one_of(n, "event", events)) return "An unknown event";
    const std::string_view code = attribute(n, "code");
    const bool known_code = code.size() == 3 && code.find_first_not_of("0123456789") == std::string_view::npos &&
                            code.front() >= '1' && code.front() <= '6';
    if (tree_.find(n, {}, "code") != nullptr && !known_code) return "Bad code";
    return {};
  }

  /// local or remote: its children put in order.
  bool participant(const xml::node& n, bool hides_target, std::string& out, digest& meaning) {
    if (n.content_end == n.end) return write(n, out, meaning);
    add_start(n, meaning);
    out += bytes(n.begin, n.content);
    std::string room, identity;
    const auto child = [&](const xml::node& c) {
      if (hides_target && c.is(namespace_uri, "identity")) identity = xml::trimmed(tree_.text_of(c, room));
      const bool hidden = c.is(namespace_uri, "target") && parse_uri(identity);  // identity comes first
      return write(c, out, meaning, hidden ? tree_.find(c, {}, "uri") : nullptr, identity);
    };
    if (!in_order(n, participant_children, child)) return false;
    out += bytes(n.content_end, n.end);
    return true;
  }

  /// An element as it is, without session descriptions unless those are kept (DLG-4.1-4); `replaced` is
  /// an attribute of it that gets another value.
  bool write(const xml::node& top, std::string& out, digest& meaning, const xml::attribute* replaced = nullptr,
             std::string_view by = {}) {
    std::uint32_t from = top.begin;
    if (replaced != nullptr) {
      (out += bytes(from, replaced->value_begin)) += escaped(by);
      from = replaced->value_end;
      meaning.add(by);
    }
    for (std::uint32_t i = tree_.index(top); i < top.after;) {
      const xml::node& n = tree_.nodes[i];
      if (!how_.session_descriptions && n.is(namespace_uri, "session-description")) {
        out += bytes(from, n.begin);
        from = n.end;
        i = n.after;
        continue;
      }
      // names that drafts had
      if (n.is(namespace_uri, "identity")) rename(n, "display-name", "display", from, out);
      if (n.is(namespace_uri, "param")) rename(n, "pvalue", "pval", from, out);
      add_start(n, meaning, replaced);
      ++i;
    }
    out += bytes(from, top.end);
    return true;
  }

  void rename(const xml::node& n, std::string_view old, std::string_view name, std::uint32_t& from, std::string& out) const {
    const xml::attribute* a = tree_.find(n, {}, old);
    if (a == nullptr || tree_.find(n, {}, name) != nullptr) return;
    (out += bytes(from, a->begin)) += name;
    from = a->begin + static_cast<std::uint32_t>(old.size());
  }

  /// What a start tag says without one of its attributes, or what a text says.
  void add_start(const xml::node& n, digest& meaning, const xml::attribute* but = nullptr) const {
    meaning.add(n.text ? std::string_view{"#"} : n.uri);
    meaning.add(n.label);
    if (n.text) return;
    std::uint64_t sum = 0;  // attributes have no order
    for (const xml::attribute& a : tree_.attributes_of(n)) {
      if (a.uri == xml::xmlns_uri || &a == but) continue;
      digest one;
      one.add(a.uri);
      one.add(a.local);
      one.add(a.value);
      sum += one.value();
    }
    meaning.add(sum);
    meaning.add(std::uint64_t{n.after - tree_.index(n)});
  }

  const xml::tree& tree_;
  const reading& how_;
  std::vector<declaration> inherited_;
};

}  // namespace

std::optional<call_state> parse_state(std::string_view name) noexcept {
  const auto known = std::find(states.begin(), states.end(), name);
  if (known == states.end()) return std::nullopt;
  return static_cast<call_state>(known - states.begin());
}

std::string_view to_string(call_state state) noexcept { return states[static_cast<std::size_t>(state)]; }

std::string escaped(std::string_view text) {
  std::string attribute;
  xml::append_attribute(attribute, "x", text);  // ` x="..."`
  std::string value = attribute.substr(4, attribute.size() - 5);
  for (auto at = value.find('\''); at != std::string::npos; at = value.find('\'', at)) value.replace(at, 1, "&apos;");
  return value;
}

std::uint64_t key_of(std::string_view call_id, std::string_view local_tag, std::string_view remote_tag) noexcept {
  digest key;
  for (const std::string_view part : {call_id, local_tag, remote_tag}) key.add(part);
  return key.value();
}

void checked_document::remember_end(std::uint64_t key) const {
  constexpr std::size_t most = 64;  // a phone that keeps its publication for days ends many
  if (key == 0 || std::find(ended.begin(), ended.end(), key) != ended.end()) return;
  if (ended.size() == most) ended.erase(ended.begin());
  ended.push_back(key);
}

void checked_document::remember_ends(const checked_document& gone) const {
  for (const std::uint64_t key : gone.ended) remember_end(key);
  for (const entry& e : gone.dialogs)
    if (e.over()) remember_end(e.key);
}

/// Who is over is not shown again, and nobody else has his id.
static bool keeps_id(const entry& e) noexcept { return !e.shown_as.empty() && (e.shown_as != e.id || e.over()); }

body checked_document::stored() const {
  std::string kept;
  for (std::size_t i = 0; i < dialogs.size(); ++i) {
    const entry& e = dialogs[i];
    if (!keeps_id(e)) continue;
    ((kept += kept.empty() ? " ids " : " ") += std::to_string(i)) += ':';
    append_word(kept, e.shown_as);
  }
  if (!ended.empty()) kept += " ends";
  for (const std::uint64_t key : ended) {
    char digits[16];
    (kept += ' ').append(digits, std::to_chars(digits, digits + sizeof digits, key, 16).ptr);
  }
  body both = with_kept(whole, kept);
  return both ? both : whole;
}

std::optional<std::uint64_t> checked_document::kept() const {
  digest d;
  for (std::size_t i = 0; i < dialogs.size(); ++i) {
    const entry& e = dialogs[i];
    if (!keeps_id(e)) continue;
    d.add(std::uint64_t{i});
    d.add(e.shown_as);
  }
  d.add(std::uint64_t{ended.size()});
  for (const std::uint64_t key : ended) d.add(key);
  return d.value();
}

result<document, refusal> check(const offered_document& offer, const reading& how) {
  auto& parser = xml::parser::of_this_thread();
  auto stored = offer.from_row ? split_kept(offer.content.bytes()) : std::nullopt;
  auto parsed = parser.parse(stored ? stored->text : offer.content.bytes(), offer.bounds);
  if (!parsed && stored) {  // inside another instruction it is none: a document that an earlier version stored as it came
    stored.reset();
    parsed = parser.parse(offer.content.bytes(), offer.bounds);
  }
  if (!parsed) return unexpected{refusal{400, parsed.error().reason}};
  auto made = std::make_shared<checked_document>();
  const auto* previous = dynamic_cast<const checked_document*>(offer.previous);
  bool rewritten = false;
  if (const auto fault = reader{**parsed, how}.run(previous, *made, rewritten); !fault.empty())
    return unexpected{refusal{400, fault}};
  std::size_t bytes = 0;
  for (const entry& e : made->dialogs) bytes += e.before_id.size() + e.behind_id.size();
  if (bytes > 4 * offer.bounds.body_bytes) return unexpected{refusal{400, "Declarations that would repeat too often"}};
  made->whole = stored ? body{offer.content.content_type(), stored->text} : offer.content;
  if (stored) restore(stored->kept, *made);
  if (!rewritten) return document{std::move(made)};

  std::string text{"<dialog-info xmlns=\""};
  ((text += namespace_uri) += "\" version=\"0\" state=\"full\"");
  xml::append_attribute(text, "entity", offer.resource);
  text += '>';
  for (const entry& e : made->dialogs) ((text += e.before_id) += escaped(e.id)) += e.behind_id;
  text += "</dialog-info>";
  // it has to be readable after a restart
  if (!parser.parse(text, offer.bounds)) return unexpected{refusal{413, "Too Many Dialogs"}};
  made->whole = body{media_type, text};
  return document{std::move(made)};
}

}  // namespace presence::dialog_info
