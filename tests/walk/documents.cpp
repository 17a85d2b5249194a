#include "documents.hpp"

#include <algorithm>
#include <set>
#include <stdexcept>
#include <tuple>

#include "element.hpp"

namespace presence::test::walking {

const char* const package_names[kinds] = {"presence", "message-summary", "dialog", "dialog;sla", "joined", "presence.winfo", "dialog.winfo"};
const char* const package_types[kinds] = {
    "application/pidf+xml",        "application/simple-message-summary", "application/dialog-info+xml",
    "application/dialog-info+xml", "application/x-joined",               "application/watcherinfo+xml",
    "application/watcherinfo+xml"};

/// All documents one behind the other; each NOTIFY tells its version.
event_package joined_package() {
  event_package package = opaque_package(package_names[k_joined], {package_types[k_joined]});
  package.etag_not_new = true;
  package.empty_publish = true;
  package.default_expires = seconds{300};
  package.min_expires = seconds{10};
  package.aggregate = [](std::string_view, std::span<const published> all) {
    std::string text;
    for (const published& p : all)
      if (!p.leaving && p.content) (text += '+') += p.content.bytes();
    return body{package_types[k_joined], text.empty() ? "none" : text};
  };
  package.neutral = [](std::string_view) { return body{package_types[k_joined], "none"}; };
  package.tailor = [](const body& state, const watcher_view& view) {
    return std::optional{body{package_types[k_joined], "v" + std::to_string(view.version) + ";" + std::string{state.bytes()}}};
  };
  return package;
}

namespace {

std::string element_of(const std::string& name, const std::string& text) { return "<" + name + ">" + text + "</" + name + ">"; }
std::string attribute_of(const std::string& name, const std::string& value) {
  return value.empty() ? value : " " + name + "=\"" + value + "\"";
}

// --- presence --------------------------------------------------------------------------------------

std::string part(const component& c, const std::string& field, const std::string& as) {
  const auto found = c.fields.find(field);
  return found == c.fields.end() ? std::string{} : element_of(as, found->second);
}
/// RPID elements say what they say by an element inside them.
std::string choice(const component& c, const std::string& field, const std::string& note = {}) {
  const auto found = c.fields.find(field);
  if (found == c.fields.end()) return {};
  return element_of("r:" + field, note + "<r:" + found->second + "/>");
}

std::string xml_of(const component& c) {
  if (c.what == "note") return element_of("note", c.fields.at("note"));
  if (c.what == "tuple")
    return "<tuple id=\"" + c.id + "\"><status>" + part(c, "basic", "basic") + "</status>" + part(c, "class", "r:class") +
           part(c, "extra", "x:extra") + part(c, "contact", "contact") + part(c, "note", "note") + "</tuple>";
  std::string input;
  if (const auto found = c.fields.find("user-input"); found != c.fields.end()) {
    const auto first = found->second.find('|'), second = found->second.find('|', first + 1);
    input = "<r:user-input idle-threshold=\"" + found->second.substr(first + 1, second - first - 1) + "\" last-input=\"" +
            found->second.substr(second + 1) + "\">" + found->second.substr(0, first) + "</r:user-input>";
  }
  return "<d:" + c.what + " id=\"" + c.id + "\">" + choice(c, "activities", part(c, "activities-note", "r:note")) +
         part(c, "class", "r:class") + choice(c, "mood") + choice(c, "sphere") + input + part(c, "deviceID", "d:deviceID") +
         part(c, "note", "d:note") + "</d:" + c.what + ">";
}

/// Ids the walk makes to be met once stay as they are, unless somebody looks through a view; others may be replaced.
std::string words_of_id(const std::string& id) { return id.starts_with('u') || id == "presentity" ? id : "*"; }

std::string words_of(const std::string& what, const std::string& id, const std::map<std::string, std::string>& fields) {
  std::string text = what + " " + words_of_id(id) + "{";
  for (const auto& [name, value] : fields) text += name + "=" + value + ";";
  return text + "}";
}

bool passes(const component& c, const grants& g) {
  if (c.what == "note") return g.attributes.contains("note");  // no attribute of a component
  const chosen& by = c.what == "tuple" ? g.services : c.what == "person" ? g.persons : g.devices;
  const auto field = [&](const char* name) {
    const auto found = c.fields.find(name);
    return found == c.fields.end() ? std::string{} : found->second;
  };
  return by.all || by.ids.contains(c.id) || by.classes.contains(field("class")) || by.devices.contains(field("deviceID")) ||
         by.contacts.contains(field("contact")) || by.schemes.contains(field("contact").substr(0, field("contact").find(':')));
}

/// Which one it is: a view makes an id of it, so that another component is another also where it says the same.
std::string names_of(const component& c, std::uint64_t publication) {
  const auto device = c.fields.find("deviceID");
  return "(" + c.id + " of " + std::to_string(publication) + (device == c.fields.end() ? "" : ", " + device->second) + ")";
}

/// What of a component is seen; nullopt: nothing.
std::optional<std::string> seen_of(const component& c, const sight& seen) {
  if (seen.is == sight::of::everything) return words_of(c.what, c.id, c.fields);
  if (!passes(c, seen.by)) return std::nullopt;
  std::map<std::string, std::string> left;
  for (const auto& [name, value] : c.fields) {
    if (name == "basic" || name == "contact" || seen.by.shows(name)) left.emplace(name, value);
    if (name == "deviceID" && !seen.by.shows(name)) left.emplace(name, "(another)");
    if (name == "activities-note" && seen.by.shows("activities") && seen.by.shows("note")) left.emplace(name, value);
    if (name == "user-input") {
      const int level = seen.by.all_attributes ? 3 : seen.by.input;
      const auto first = value.find('|'), second = value.find('|', first + 1);
      left.erase(name);
      if (level != 0) left.emplace(name, level == 1 ? value.substr(0, first) : level == 2 ? value.substr(0, second) : value);
    }
  }
  return words_of(c.what, "", left);
}

/// Of a document that is seen: whether an open tuple is. nullopt: nothing of it is.
std::optional<bool> seen_open(const content& c, const sight& seen) {
  std::optional<bool> open;
  if (seen.is == sight::of::everything) open = false;
  for (const component& one : c.components)
    if (seen_of(one, seen)) open = open.value_or(false) || (one.what == "tuple" && one.fields.at("basic") == "open");
  return open;
}

shown compose_presence(const variant& how, const std::vector<held>& all, const sight& seen) {
  using composing = presence_options::composing;
  const bool merges = how.presence.several == composing::merge;
  const held *only = nullptr, *was = nullptr;  // the one that counts where only one does, now and before
  for (const held& h : all) {
    const auto rank = [&](const held& one) {
      return std::pair{how.presence.several == composing::most_available && *seen_open(*one.what, seen), one.order};
    };
    if (!seen_open(*h.what, seen)) continue;
    if (was == nullptr || rank(h) >= rank(*was)) was = &h;
    if (!h.leaving && (only == nullptr || rank(h) >= rank(*only))) only = &h;
  }
  std::vector<std::string> tuples, notes, others;
  std::set<std::string> said;
  std::string names;
  const auto show = [&](const held& h, const component& c) {
    const auto words = seen_of(c, seen);
    if (!words) return;
    (c.what == "tuple" ? tuples : c.what == "note" ? notes : others).push_back(*words);
    if (c.what != "note" && seen.is != sight::of::everything) names += names_of(c, h.number);
  };
  for (const held& h : all) {
    if (h.leaving ? !how.presence.closes_leaving || (!merges && &h != was) : !merges && &h != only) continue;
    for (const component& c : h.what->components) {
      if (h.leaving) {
        // told to whom could see it, by what it was
        if (c.what != "tuple" || !seen_of(c, seen)) continue;
        tuples.push_back(words_of("tuple", seen.is == sight::of::everything ? c.id : "", {{"basic", "closed"}}));
        if (seen.is != sight::of::everything) names += names_of(c, h.number);
      } else if (c.what != "note" || said.insert(c.fields.at("note")).second) {
        show(h, c);
      }
    }
  }
  using unpublished = presence_options::unpublished;
  if (tuples.empty() && notes.empty() && others.empty() && how.presence.nothing != unpublished::no_tuples)
    tuples.push_back(words_of("tuple", "presentity", {{"basic", how.presence.nothing == unpublished::open ? "open" : "closed"}}));
  shown out;
  for (const auto* list : {&tuples, &notes, &others})
    for (const auto& one : *list) out.text += (out.text.empty() ? "" : ", ") + one;
  out.gist = out.text + names;
  return out;
}

read_document read_presence(const std::string& resource, const element& root) {
  read_document out;
  if (root.name != "presence" || root.attribute("entity") != resource) throw std::runtime_error{"no presence of " + resource};
  std::set<std::string> ids;
  for (const element& e : root.children) {
    std::map<std::string, std::string> fields;
    if (e.name == "note") fields["note"] = e.text;
    for (const element& c : e.children) {
      if (c.name == "status") {
        fields["basic"] = c.child("basic") != nullptr ? c.child("basic")->text : "-";
      } else if (c.name == "user-input") {
        fields[c.name] = c.text;
        if (c.attributes.contains("idle-threshold")) fields[c.name] += "|" + c.attribute("idle-threshold");
        if (c.attributes.contains("last-input")) fields[c.name] += "|" + c.attribute("last-input");
      } else if (c.name == "deviceID") {
        fields[c.name] = c.text.starts_with("urn:uuid:") ? "(another)" : c.text;
      } else if (c.children.empty()) {
        fields[c.name] = c.text;
      }
      for (const element& inner : c.children) {
        if (inner.name == "note") fields[c.name + "-note"] = inner.text;
        else if (c.name != "status") fields[c.name] = inner.name;
      }
    }
    if (e.name != "note" && !ids.insert(e.attribute("id")).second) throw std::runtime_error{"an id twice: " + e.attribute("id")};
    out.text += (out.text.empty() ? "" : ", ") + words_of(e.name, e.name == "note" ? "" : e.attribute("id"), fields);
  }
  return out;
}

// --- message-summary ---------------------------------------------------------------------------------

std::string line_of(const summary::line& l) {
  std::string text = l.name + ": " + std::to_string(l.fresh) + "/" + std::to_string(l.old);
  if (l.has_urgent) text += " (" + std::to_string(l.urgent_fresh) + "/" + std::to_string(l.urgent_old) + ")";
  return text + "\r\n";
}
std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

shown compose_messages(const variant& how, const std::vector<held>& all, const sight& seen) {
  const held* newest = nullptr;
  std::size_t count = 0;
  for (const held& h : all) {
    if (h.leaving) continue;
    ++count;
    if (newest == nullptr || h.order >= newest->order) newest = &h;
  }
  if (newest == nullptr && how.messages.empty_when_unknown) return {.has_body = false};
  summary total;
  if (newest != nullptr) total = newest->what->messages;
  if (count > 1 && how.messages.several == message_summary_options::combining::sum) {
    total = {};
    bool first = true, one_account = true;
    for (const held& h : all) {
      if (h.leaving) continue;
      const summary& s = h.what->messages;
      if (first) total.account = s.account;
      first = false;
      one_account = one_account && total.account == s.account;
      total.waiting = total.waiting || s.waiting;
      for (const summary::line& l : s.lines) {
        auto known = std::find_if(total.lines.begin(), total.lines.end(), [&](const auto& k) { return lower(k.name) == lower(l.name); });
        if (known == total.lines.end()) known = total.lines.insert(known, {l.name, 0, 0, false, 0, 0});
        const auto add = [](std::uint32_t& to, std::uint32_t more) { to = more > 4294967295u - to ? 4294967295u : to + more; };
        add(known->fresh, l.fresh);
        add(known->old, l.old);
        add(known->urgent_fresh, l.urgent_fresh);
        add(known->urgent_old, l.urgent_old);
        known->has_urgent = known->has_urgent || l.has_urgent;
      }
    }
    if (!one_account) total.account.clear();
    total.headers = newest->what->messages.headers;
  }
  shown out;
  out.gist = std::string{"Messages-Waiting: "} + (total.waiting ? "yes" : "no") + "\r\n";
  if (!total.account.empty()) out.gist += "Message-Account: " + total.account + "\r\n";
  for (const auto& l : total.lines) out.gist += line_of(l);
  out.text = out.gist;
  if (how.messages.message_headers && seen.is != sight::of::stranger && newest != nullptr && newest->arriving && newest->has_news && !total.headers.empty()) out.text += "\r\n" + total.headers;
  out.gist = out.text;
  return out;
}

// --- dialog and dialog;sla ------------------------------------------------------------------------------

std::string words_of(const call& c) {
  return c.call_id + "/" + c.local_tag + "/" + c.remote_tag + "/" + c.state + "/" + c.remote;
}

/// A dialog on its way into a document.
struct known_call {
  call what;
  bool leaving;
  std::uint64_t order;
};

/// An end counts whoever tells it, and is told once; of those who tell of a live dialog the newest one counts.
std::vector<known_call> united(const std::vector<held>& all) {
  std::vector<known_call> found;
  std::set<std::string> ended;
  for (const held& h : all) {
    ended.insert(h.what->ended.begin(), h.what->ended.end());
    for (const call& c : h.what->calls)
      if (c.over() && !(h.arriving && !c.told) && !c.key().empty()) ended.insert(c.key());
  }
  for (const held& h : all) {
    for (const call& c : h.what->calls) {
      if (ended.contains(c.key()) || (c.over() && !(h.arriving && !c.told))) continue;
      const known_call one{c, h.leaving, h.order};
      const auto rank = [](const known_call& k) { return std::tuple{k.what.over(), !k.leaving, k.order}; };
      const auto same = std::find_if(found.begin(), found.end(), [&](const auto& k) { return k.what.same_dialog(c); });
      if (same == found.end()) found.push_back(one);
      else if (rank(one) >= rank(*same)) *same = one;
    }
  }
  for (known_call& k : found) {
    if (!k.leaving) continue;
    k.what.state = "terminated";
    k.what.remote = "timeout";
  }
  return found;
}

int interest(const known_call& k) {
  static const std::map<std::string, int> order{{"terminated", 0}, {"trying", 1}, {"proceeding", 2}, {"confirmed", 3}, {"early", 4}};
  return order.at(k.what.state);
}

shown in_words(const std::vector<call>& calls) {
  shown out;
  for (const call& c : calls) {
    out.text += (out.text.empty() ? "" : ", ") + words_of(c);
    (c.over() ? out.over : out.live).push_back(words_of(c));
  }
  out.gist = out.text;
  return out;
}

/// What a stranger sees.
shown compose_virtual(const std::vector<call>& calls) {
  if (calls.empty()) return in_words({});
  const bool live = std::any_of(calls.begin(), calls.end(), [](const call& c) { return !c.over(); });
  return in_words({{"virtual", "", "", "", live ? "confirmed" : "terminated", "-"}});
}

shown compose_dialog(const variant& how, const std::vector<held>& all, const sight& seen) {
  std::vector<known_call> found = united(all);
  if (seen.is != sight::of::stranger) std::erase_if(found, [&](const known_call& k) { return !seen.of_these.has(k.what); });
  if (seen.is != sight::of::stranger && how.dialog.single_dialog && found.size() > 1) {
    const known_call* best = &found.front();
    for (const known_call& k : found) {
      const std::pair one{interest(k), k.order}, other{interest(*best), best->order};
      if (one > other || (one == other && k.what.id < best->what.id)) best = &k;
    }
    found = {*best};
  }
  std::vector<call> calls;
  for (const auto& k : found) calls.push_back(k.what);
  return seen.is == sight::of::stranger ? compose_virtual(calls) : in_words(calls);
}

shown compose_sla(const std::vector<held>& all, const sight& seen) {
  const held* shows = on_the_line(all);
  const std::vector<call> calls = shows != nullptr ? shows->what->calls : std::vector<call>{};
  return seen.is == sight::of::stranger ? compose_virtual(calls) : in_words(calls);
}

std::string xml_of(const call& c) {
  return "<dialog id=\"" + c.id + "\"" + attribute_of("call-id", c.call_id) + attribute_of("local-tag", c.local_tag) +
         attribute_of("remote-tag", c.remote_tag) + "><state>" + c.state + "</state><remote><identity display=\"" + c.remote +
         "\">sip:x@example.com</identity></remote></dialog>";
}

read_document read_dialogs(const std::string& resource, const element& root) {
  read_document out;
  if (root.name != "dialog-info" || root.attribute("entity") != resource) throw std::runtime_error{"no dialog-info of " + resource};
  const std::string state = root.attribute("state");
  if (state != "full" && state != "partial") throw std::runtime_error{"neither full nor partial"};
  out.full = state == "full";
  out.version = static_cast<std::uint32_t>(std::stoul(root.attribute("version")));
  std::set<std::string> ids;
  for (const element& e : root.children) {
    const auto attribute = [&](const char* name) { return e.attributes.contains(name) ? e.attribute(name) : std::string{}; };
    call c{e.attribute("id"), attribute("call-id"), attribute("local-tag"), attribute("remote-tag"), e.child("state")->text, "-"};
    if (e.child("remote") != nullptr) c.remote = e.child("remote")->child("identity")->attribute("display");
    if (e.child("state")->attribute("event") == "timeout") c.remote = "timeout";
    if (!ids.insert(c.id).second) throw std::runtime_error{"a dialog id twice: " + c.id};
    out.calls.emplace_back(c.id, words_of(c));
    out.text += (out.text.empty() ? "" : ", ") + words_of(c);
  }
  return out;
}

}  // namespace

void write(content& c, int kind, const std::string& resource) {
  if (kind == k_presence) {
    c.raw = "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:d=\"urn:ietf:params:xml:ns:pidf:data-model\""
            " xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns:x=\"urn:walk\" entity=\"" + resource + "\">";
    for (const component& one : c.components) c.raw += xml_of(one);
    c.raw += "</presence>";
  } else if (kind == k_messages) {
    // read leniently: case, blanks and line ends are not looked at
    c.raw = std::string{"messages-waiting:"} + (c.messages.waiting ? "YES" : "No") + "\n";
    if (!c.messages.account.empty()) c.raw += "Message-Account : " + c.messages.account + "\r\n";
    for (const auto& l : c.messages.lines) c.raw += line_of(l);
    if (!c.messages.headers.empty()) c.raw += "\r\n" + c.messages.headers;
  } else if (kind == k_dialog || kind == k_sla) {
    c.raw = std::string{"<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"3\" state=\""} +
            (c.partial ? "partial" : "full") + "\" entity=\"" + resource + "\">";
    for (const call& one : c.named) c.raw += xml_of(one);
    c.raw += "</dialog-info>";
  }
}

bool is_over(const std::vector<held>& all, const chosen_dialogs& which) {
  const std::string key = which.call_id + "/" + which.local_tag + "/" + which.remote_tag;
  bool lives = false, leaves = false;
  for (const held& h : all) {
    for (const std::string& ended : h.what->ended)
      if (ended == key) return true;
    for (const call& c : h.what->calls) {
      if (c.key() != key) continue;
      if (c.over()) return true;
      (h.leaving ? leaves : lives) = true;
    }
  }
  return leaves && !lives;
}

const held* on_the_line(const std::vector<held>& all) {
  const auto lives = [](const held& h) {
    return std::any_of(h.what->calls.begin(), h.what->calls.end(), [](const call& c) { return !c.over(); });
  };
  std::map<std::string, const held*> last_word;  // of each phone that is known
  for (const held& h : all) {
    if (h.leaving) continue;
    const held*& last = last_word[h.sender.empty() ? "number " + std::to_string(h.number) : h.sender];
    if (last == nullptr || h.order >= last->order) last = &h;
  }
  const held* best = nullptr;
  for (const bool live : {true, false}) {
    for (const held& h : all) {
      const bool counts = std::any_of(last_word.begin(), last_word.end(), [&](const auto& known) { return known.second == &h; });
      if (counts && lives(h) == live && (best == nullptr || h.order >= best->order)) best = &h;
    }
    if (best != nullptr) break;
  }
  return best;
}

bool takes_away(const content& before, const content& incoming) {
  if (std::any_of(incoming.named.begin(), incoming.named.end(), [](const call& c) { return !c.over(); })) return false;
  std::size_t live = 0, kept = 0, ended = 0;
  for (const call& c : before.calls) {
    if (c.over()) continue;
    ++live;
    for (const call& now : incoming.calls) {
      const bool same = c.key().empty() ? now.id == c.id && now.call_id == c.call_id && now.local_tag == c.local_tag && now.remote_tag == c.remote_tag
                                        : now.same_dialog(c);
      if (same) ++(now.over() ? ended : kept);
    }
  }
  return live > kept + ended || (live != 0 && ended == 0);
}

namespace {

void remember(std::vector<std::string>& ended, const std::string& key) {
  if (key.empty() || std::find(ended.begin(), ended.end(), key) != ended.end()) return;
  ended.push_back(key);
  if (ended.size() > 64) ended.erase(ended.begin());
}

}  // namespace

void inherit(content& heir, const content& gone) {
  std::vector<std::string> keys = gone.ended;
  for (const call& c : gone.calls)
    if (c.over()) keys.push_back(c.key());
  for (const std::string& key : keys) remember(heir.ended, key);
}

void take_in(content& c, int kind, const content* before) {
  const bool ends_are_final = kind == k_dialog;
  c.calls.clear();
  c.ended.clear();
  c.rewritten = c.partial;
  if (ends_are_final && before != nullptr) inherit(c, *before);
  for (const call& one : c.named) {
    const call* known = nullptr;
    if (before != nullptr)
      for (const call& k : before->calls)
        if (k.id == one.id) known = &k;
    const bool goes_on = known != nullptr && known->call_id == one.call_id && known->local_tag == one.local_tag && known->remote_tag == one.remote_tag;
    const bool was_over = (goes_on && known->over()) || std::find(c.ended.begin(), c.ended.end(), one.key()) != c.ended.end();
    const bool late = ends_are_final && was_over && !one.over() && !one.call_id.empty();
    if (late) c.rewritten = true;
    if (late && !(goes_on && known->over())) continue;
    if (ends_are_final && known != nullptr && one.over() && !goes_on && (known->part_of(one) || one.part_of(*known)))
      remember(c.ended, known->key());
    c.calls.push_back(late ? *known : one);
    c.calls.back().told = ends_are_final && was_over && c.calls.back().over();
  }
  if (c.partial && before != nullptr) {
    std::vector<call> kept;
    for (const call& k : before->calls) {
      const auto named = [&](const call& one) { return one.id == k.id; };
      if (!k.over() && std::none_of(c.named.begin(), c.named.end(), named)) kept.push_back(k);
    }
    c.calls.insert(c.calls.begin(), kept.begin(), kept.end());
  }
  // one dialog under two ids: the later word under the first
  std::vector<call> single;
  for (const call& k : c.calls) {
    const auto at = std::find_if(single.begin(), single.end(), [&](const call& one) { return one.same_dialog(k); });
    if (at == single.end()) {
      single.push_back(k);
    } else {
      const std::string id = at->id;
      *at = k;
      at->id = id;
      c.rewritten = true;
    }
  }
  c.calls = std::move(single);
}

shown compose(int kind, const variant& how, const std::string& resource, const std::vector<held>& all, const sight& seen) {
  shown out;
  switch (kind) {
    case k_presence: return compose_presence(how, all, seen);
    case k_messages: return compose_messages(how, all, seen);
    case k_dialog: return compose_dialog(how, all, seen);
    case k_sla: return compose_sla(all, seen);
    case k_joined: {
      for (const held& h : all)
        if (!h.leaving && !h.what->raw.empty()) out.text += "+" + h.what->raw;
      if (out.text.empty()) out.text = "none";
      out.gist = out.text;
      return out;
    }
    default: throw std::logic_error{"nothing is composed of watchers of " + resource};
  }
}

std::optional<std::string> sphere_of(const std::vector<held>& all) {
  std::optional<std::string> agreed;
  for (const held& h : all) {
    if (h.leaving) continue;
    for (const component& c : h.what->components) {
      const auto says = c.fields.find("sphere");
      if (says == c.fields.end()) continue;
      if (agreed && *agreed != says->second) return std::nullopt;
      agreed = says->second;
    }
  }
  return agreed;
}

read_document read(int kind, const std::string& resource, const std::string& bytes) {
  if (kind == k_presence) return read_presence(resource, read_element(bytes));
  if (kind == k_dialog || kind == k_sla) return read_dialogs(resource, read_element(bytes));
  if (kind == k_joined)
    return {bytes.substr(bytes.find(';') + 1), true, static_cast<std::uint32_t>(std::strtoul(bytes.c_str() + 1, nullptr, 10))};
  return {bytes};
}

}  // namespace presence::test::walking
