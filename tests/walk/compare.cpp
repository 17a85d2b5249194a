// The engine's answers, NOTIFYs, memory and rows beside the model's.
#include <algorithm>
#include <stdexcept>

#include "element.hpp"
#include "walk.hpp"

namespace presence::test::walking {

namespace {

/// A stored document may say behind it which ids were replaced, and which dialogs have ended.
std::string_view as_published(std::string_view bytes) {
  return bytes.substr(0, bytes.rfind("<?presence-kept"));
}
/// How many dialogs a row says have ended that its document does not name.
std::size_t ends_in(std::string_view bytes) {
  const std::string_view behind = bytes.substr(as_published(bytes).size());
  const auto at = behind.find(" ends ");
  return at == behind.npos ? 0 : static_cast<std::size_t>(std::count(behind.begin() + static_cast<std::ptrdiff_t>(at) + 1, behind.end(), ' '));
}

}  // namespace

void walk::compare(expectation& expected, const effects& out, const std::string& what) {
  tell_owners(expected);
  if (shares) counts.met["decided by sphere elsewhere"] += std::exchange(elsewhere, 0);
  if (found_out) {  // it was refused all the same
    expected.status = expected.status == 0 ? 0 : 503;
    expected.expires.reset();
  }
  for (auto& e : expected.notifies)
    for (const m_change& c : expected.changes)
      if (about_watchers(e.kind) && c.resource == e.resource && c.kind == watched_by(e.kind)) e.still[c.watcher.key] = c.watcher;
  counts.met[what]++;
  counts.met["NOTIFYs"] += out.notifies.size();
  std::string all = what + "\n expected " + std::to_string(expected.status) + "\n";
  for (const auto& e : expected.notifies)
    all += "  " + dialogs[e.dialog].call_id + " " + package_names[e.kind] + ";" + e.event_id + e.parameters + " " + e.subscription_state + " " +
           (e.optional ? "(perhaps) " : "") + (e.body ? e.body->text : "(no body)") + "\n";
  for (const auto& c : expected.changes) all += "  change: " + c.watcher.key + " " + c.watcher.uri + " " + c.watcher.status + " " + c.watcher.event + "\n";
  all += " got\n" + to_string(out);
  for (const auto& n : out.notifies)
    all += "  " + std::string{n.dialog.call_id()} + " " + std::string{n.dialog.event()} + " " + n.subscription_state_value() + " " + n.body_bytes() + "\n";
  if (given.trace) std::puts(all.c_str());
  require(out.answer.status == expected.status, all);
  require(out.answer.expires == expected.expires, all);
  require(!out.storage_failed, all);
  std::vector<bool> met(expected.notifies.size());
  for (const notify& n : out.notifies) {
    std::size_t found = met.size();
    for (std::size_t i = met.size(); i-- > 0;) {
      const auto& e = expected.notifies[i];
      const m_dialog& d = dialogs[e.dialog];
      const std::string event = package_names[e.kind] + (e.event_id.empty() ? "" : ";id=" + e.event_id) + e.parameters;
      if (!met[i] && n.dialog.call_id() == d.call_id && n.dialog.remote_tag() == d.from_tag && n.dialog.event() == event &&
          (d.to_tag.empty() || n.dialog.local_tag() == d.to_tag))
        found = i;
      else if (met[i] && found == met.size() && shares && expected.sliced && about_watchers(e.kind) && n.dialog.call_id() == d.call_id && n.dialog.event() == event)
        found = i;  // what another slice changed
    }
    require(found != met.size(), "a NOTIFY nobody expects: " + to_string(n) + "\n" + all);
    met[found] = true;
    if (!expected.notifies[found].parameters.empty()) {
      counts.met["selected dialogs"]++;
      counts.met["ended with their dialog"] += what != "terminate" && n.reason == end_reason::noresource;
    }
    try {
      check(expected.notifies[found], n, expected, all);
    } catch (const std::logic_error& e) {  // a document that cannot be read
      fail(std::string{e.what()} + "\n" + all);
    }
  }
  for (std::size_t i = 0; i < met.size(); ++i)
    require(met[i] || expected.notifies[i].optional, "a NOTIFY is missing: " + dialogs[expected.notifies[i].dialog].call_id + "\n" + all);
  for (const auto& e : expected.notifies)
    for (const auto& [key, w] : e.still)
      require(!shares || e.full, "a change is not told: " + w.uri + " " + w.status + "\n" + all);
  for (m_subscription& s : subscriptions) {
    for (const m_watcher& w : std::exchange(s.late, {})) {
      std::erase_if(s.untold, [&](const m_watcher& known) { return known.key == w.key; });
      s.untold.push_back(w);
    }
  }
}

void walk::check(expected_notify& e, const notify& n, expectation& expected, const std::string& all) {
  m_dialog& d = dialogs[e.dialog];
  require(n.subscription_state_value() == e.subscription_state, "another Subscription-State: " + to_string(n) + "\n" + all);
  require(n.dialog.remote_target() == e.contact, "another target\n" + all);
  require(n.retry_after == e.retry_after, "another Retry-After\n" + all);
  require(d.may_jump ? n.cseq > d.notify_cseq : n.cseq == d.notify_cseq + 1,
          "CSeq " + std::to_string(n.cseq) + " after " + std::to_string(d.notify_cseq) + "\n" + all);
  d.notify_cseq = n.cseq;
  d.may_jump = false;
  m_subscription* s = find(e.name);
  require(n.content ? e.body.has_value() : !e.body.has_value(), "a body too many or too few: " + to_string(n) + "\n" + all);
  if (e.optional && s != nullptr && !shares) {
    s->in_flight = true;
    s->owes = owing::perhaps;
    s->unpaid = s->unsure = false;
    s->untold.clear();  // the copy it was expected with had them
  }
  if (n.content) {
    require(n.content.content_type() == package_types[e.kind], "another type\n" + all);
    if (about_watchers(e.kind)) {
      check_watchers(s, e, n, expected, all);
    } else {
      const read_document got = read(e.kind, e.kind == k_presence ? d.named : e.resource, n.body_bytes());
      if (versioned(e.kind)) check_version(s, e, got.version, all);
      require(got.full ? got.text == e.body->text : !e.full, "another body: " + got.text + "\n" + all);
      if (e.kind == k_dialog || e.kind == k_sla) check_dialogs(s, e, got, all);
    }
    if (s != nullptr) {
      ++s->version;
      s->version_may_jump = false;
    }
  }
  if (e.name >= 0) told_versions[usage_of(e)] = s != nullptr ? s->version : std::max(e.version, shares ? told_versions[usage_of(e)] : 0) + (n.content ? 1 : 0);
  if (s != nullptr && n.state != subscription_state::terminated) {
    s->newest = n.cseq;
    outstanding.push_back({n.id, s->name, usage_of(*s), s->about.parameters(), turn, clock});
  }
}

void walk::check_version(m_subscription* s, const expected_notify& e, std::uint32_t version, const std::string& all) {
  // who ends with this call may have been told before in it, where no NOTIFY waits for the answer to another
  const std::uint32_t told = shares && e.name >= 0 ? told_versions[usage_of(e)] : 0;
  const std::uint32_t due = s == nullptr ? std::max(e.version, told) : s->version;
  const bool jump = evicts || (s == nullptr ? e.version_may_jump : s->version_may_jump);
  require(jump ? version >= due : version == due, "version " + std::to_string(version) + " instead of " + std::to_string(due) + "\n" + all);
  if (s != nullptr) s->version = version;
}

/// Applies a dialog-info document as its receiver would (DLG-4.3-1).
void walk::check_dialogs(m_subscription* s, const expected_notify& e, const read_document& got, const std::string& all) {
  if (!got.full) counts.met["partial dialog-info"]++;
  if (s == nullptr) return;
  if (got.full) s->calls.clear();
  std::vector<std::string> over, live;
  for (const auto& [id, words] : got.calls) {
    if (words.find("/terminated/") == std::string::npos) {
      s->calls[id] = words;
    } else {
      s->calls.erase(id);
      over.push_back(words);
    }
  }
  for (const auto& [id, words] : s->calls) live.push_back(words);
  std::vector<std::string> wanted = e.body->live;
  std::sort(live.begin(), live.end());
  std::sort(wanted.begin(), wanted.end());
  std::string has;
  for (const auto& words : live) has += "  " + words + "\n";
  require(live == wanted, "the receiver of the documents has other dialogs\n" + has + all);
  for (const auto& words : e.body->over)
    require(std::find(over.begin(), over.end(), words) != over.end(), "an end is not told: " + words + "\n" + all);
}

namespace {

struct entry {
  std::string id, uri, status, event, expiration, duration;
};

std::string seconds_text(instant from, instant to) { return std::to_string(std::chrono::floor<seconds>(to - from).count()); }

}  // namespace

/// Applies a watcherinfo document as its receiver would (RFC 3858 section 4; PROP-6).
void walk::check_watchers(m_subscription* s, expected_notify& e, const notify& n, expectation& expected, const std::string& all) {
  const element root = read_element(n.body_bytes());
  const bool full = root.attribute("state") == "full";
  require(root.name == "watcherinfo" && (full || root.attribute("state") == "partial"), "no watcherinfo\n" + all);
  require(full || !e.full, "a partial document that does not follow on the last one\n" + all);
  check_version(s, e, static_cast<std::uint32_t>(std::stoul(root.attribute("version"))), all);
  const element* list = root.child("watcher-list");
  require(list != nullptr && list->attribute("resource") == e.resource && list->attribute("package") == package_names[watched_by(e.kind)],
          "another watcher-list\n" + all);
  counts.met[full ? "full watcherinfo" : "partial watcherinfo"]++;

  std::vector<m_watcher> changes;
  std::set<std::string> changed;
  for (const m_change& c : expected.changes) {
    if (c.resource != e.resource || c.kind != watched_by(e.kind)) continue;
    changes.push_back(c.watcher);
    changed.insert(c.watcher.key);
  }
  const auto same = [&](const entry& got, const m_watcher& w) {
    if (got.uri != w.uri) return false;
    const auto over = [](const std::string& status) { return status == "waiting" || status == "terminated"; };
    if (ambiguous.contains(w.key)) return got.status == w.status || (over(got.status) && over(w.status));
    // rows do not tell who was approved, nor since when he who waits does
    if ((evicts || shares) && got.status == w.status && !w.deadline && got.event == w.event) return got.expiration == "-";
    const bool same_event = got.event == w.event || (evicts && got.event == "subscribe" && w.event == "approved");
    return got.status == w.status && same_event && got.expiration == (w.deadline ? seconds_text(clock, *w.deadline) : "-") &&
           got.duration == seconds_text(w.since, clock);
  };
  std::vector<m_watcher> listed = full ? e.watchers : changes;
  if (full) listed.insert(listed.end(), e.untold.begin(), e.untold.end());
  std::map<std::string, entry> found;  // by key
  std::map<std::string, m_watcher> table;
  for (const element& one : list->children) {
    const entry got{one.attribute("id"), one.text, one.attribute("status"), one.attribute("event"), one.attribute("expiration"),
                    one.attribute("duration-subscribed")};
    const std::string words = got.uri + " " + got.status + " " + got.event + " " + got.expiration + " " + got.duration;
    if (!key_of_id.contains(got.id)) {
      const auto fits = [&](const m_watcher& w) { return !id_of_key.contains(w.key) && same(got, w); };
      auto at = std::find_if(listed.begin(), listed.end(), fits);
      if (at == listed.end() && full) {  // made amid this call's changes
        listed.insert(listed.end(), changes.begin(), changes.end());
        at = std::find_if(listed.begin(), listed.end(), fits);
        if (at == listed.end()) {
          at = std::find_if(listed.end() - static_cast<std::ptrdiff_t>(changes.size()), listed.end(),
                            [&](const m_watcher& w) { return !id_of_key.contains(w.key) && w.uri == got.uri; });
        }
      }
      require(at != listed.end(), "a watcher nobody knows: " + words + "\n" + all);
      key_of_id[got.id] = at->key;
      id_of_key[at->key] = got.id;
    }
    const std::string key = key_of_id[got.id];
    require(found.emplace(key, got).second, "a watcher twice: " + words + "\n" + all);
    const bool fits = std::any_of(listed.begin(), listed.end(), [&](const m_watcher& w) { return w.key == key && same(got, w); });
    require(fits || (full && changed.contains(key)) || ambiguous.contains(key), "another watcher (" + key + "): " + words + "\n" + all);
    if (got.status != "terminated") table[key] = {key, got.uri, got.status, got.event, {}, {}};
  }
  if (full) {
    e.still.clear();
    for (const m_watcher& w : listed)
      require(found.contains(w.key) || changed.contains(w.key) || ambiguous.contains(w.key), "a watcher is missing: " + w.uri + " " + w.status + "\n" + all);
    if (s == nullptr) return;
    std::erase_if(s->late, [&](const m_watcher& w) { return found.contains(w.key) && found[w.key].status == "terminated"; });
    s->watchers = std::move(table);
    s->blank = false;
    return;
  }
  require(e.untold.empty(), "what was not told before is lost\n" + all);
  std::vector<std::string> told_keys;
  for (const auto& [key, got] : found) told_keys.push_back(key);
  for (auto at = e.still.begin(); at != e.still.end();) {
    const auto& [key, w] = *at;
    const auto tells = [&, &key = key, &w = w](const auto& one) { return (one.first == key || ambiguous.contains(key)) && same(one.second, w); };
    if (const auto told = std::find_if(found.begin(), found.end(), tells); told != found.end()) {
      found.erase(told);
      at = e.still.erase(at);
      continue;
    }
    ++at;
    require(expected.sliced, "a change is not told: " + w.uri + " " + w.status + "\n" + all);
    if (s == nullptr || shares) continue;
    s->owes = owing::yes;
    if (w.ended()) s->late.push_back(w);
  }
  if (s == nullptr) return;
  for (const auto& key : told_keys) s->watchers.erase(key);
  s->watchers.merge(table);
}

// --- self-audits ------------------------------------------------------------------------------------------

void walk::audit() {
  if (const auto wrong = engine->check()) fail("self-audit: " + *wrong);
  const engine_stats sizes_now = engine->stats();
  const auto sizes = [](std::size_t p, std::size_t s, std::size_t u) {
    return std::to_string(p) + " publications, " + std::to_string(s) + " subscriptions, " + std::to_string(u) + " undecided";
  };
  const std::string mine = sizes(publications.size(), subscriptions.size(), undecideds.size());
  const std::string its = sizes(sizes_now.publications, sizes_now.subscriptions, sizes_now.undecided);
  require(evicts || (shares ? its == sizes(0, 0, 0) : mine == its), "held: " + its + "; expected: " + mine);
  std::set<std::pair<int, std::string>> states;
  for (const auto& p : publications) states.insert({p.kind, p.resource});
  for (const auto& s : subscriptions) states.insert({s.kind, s.resource});
  for (const auto& u : undecideds) states.insert({u.kind, u.resource});
  require(evicts || (shares ? 0 : states.size()) == sizes_now.resources, "resources: " + std::to_string(sizes_now.resources) + "; expected: " + std::to_string(states.size()));
  std::erase_if(by_sphere, [&](const auto& state) { return !states.contains(state); });
  std::erase_if(edges, [&](const auto& known) {  // nobody is there to be decided about
    const auto is_there = [&](const auto& one) { return one.kind == known.first.first && one.resource == known.first.second; };
    return std::none_of(subscriptions.begin(), subscriptions.end(), is_there) && std::none_of(undecideds.begin(), undecideds.end(), is_there);
  });
  // nobody is forgotten (PROP-7)
  for (const auto& s : subscriptions)
    require(s.owes == owing::no || s.in_flight || s.unpaid || s.unsure || !hears(s), "the model owes a NOTIFY and waits for nothing");
  audit_deadlines();
  audit_watchers();
}

/// Nobody may be woken too late (M01).
std::optional<instant> walk::soonest() const {
  std::optional<instant> first;
  const auto sooner = [&](instant t) { first = first ? std::min(*first, t) : t; };
  for (const auto& p : publications) sooner(p.deadline);
  for (const auto& s : subscriptions) sooner(s.unpaid ? clock : s.deadline);
  for (const auto& u : undecideds)
    if (u.pending == 0) sooner(u.deadline);
  for (const auto& [state, edge] : edges) sooner(edge);
  if (first && shares) *first += seconds{1};  // it is looked for once a second
  return first;
}

void walk::audit_deadlines() {
  const auto due = soonest();
  if (!due) return;
  const auto next = engine->next_deadline();
  require(next && *next <= std::max(*due, blocked_until),
          "next_deadline is too late for what is due at " + std::to_string((*due - origin).count()) + "ms");
  require(*next >= blocked_until || blocked_until <= clock, "next_deadline does not wait after a storage failure");
}

/// Who was told everything has everything (PROP-6).
void walk::audit_watchers() {
  for (const m_subscription& s : subscriptions) {
    if (!about_watchers(s.kind) || s.blank || s.owes != owing::no || !hears(s)) continue;
    std::multiset<std::string> has, is;
    const auto words = [&](const m_watcher& w) {
      return (ambiguous.contains(w.key) ? w.uri : w.key) + " " + w.status + (evicts ? "" : " " + w.event);
    };
    for (const auto& [key, w] : s.watchers) {
      const bool lapsed = std::any_of(subscriptions.begin(), subscriptions.end(),
                                      [&, &key = key](const auto& q) { return q.key() == key && q.deadline <= clock; });
      if (!lapsed) has.insert(words(w));
    }
    for (const m_watcher& w : watchers_now(s.resource, watched_by(s.kind))) is.insert(words(w));
    if (has == is) continue;
    std::string text = "a receiver of watcher information knows other watchers: " + dialogs[s.dialog].call_id + "\n has";
    for (const auto& one : has) text += "\n  " + one;
    text += "\n is";
    for (const auto& one : is) text += "\n  " + one;
    fail(text);
  }
}

void walk::compare_publications(const std::vector<publication_row>& all, const m_state& is, const std::string& where) {
  for (const auto& row : all) {
    const auto at = std::find_if(is.publications.begin(), is.publications.end(), [&](const auto& m) { return m.etag == row.etag; });
    require(at != is.publications.end() && at->resource == row.resource && at->deadline == row.expires && at->since == row.since &&
                at->sender == row.sender && (at->what->rewritten || at->knows_more || at->what->raw == as_published(row.content.bytes())),
            "a publication differs in the " + where + ": " + row.resource + " " + row.event + " " + row.etag);
  }
}

/// `exact`: the numbers tell all that may have been used.
void walk::compare_subscriptions(const std::vector<subscription_row>& all, const m_state& is, const std::string& where, bool exact) {
  std::map<std::string_view, std::uint32_t> highest;  // usages of one dialog share numbers
  for (const auto& row : all) highest[row.dialog.call_id()] = std::max(highest[row.dialog.call_id()], row.local_cseq);
  for (const auto& row : all) {
    const auto at = std::find_if(is.subscriptions.begin(), is.subscriptions.end(), [&](const auto& m) {
      return dialogs[m.dialog].call_id == row.dialog.call_id() && dialogs[m.dialog].to_tag == row.dialog.local_tag() &&
             package_names[m.kind] == row.event && m.event_id == row.event_id;
    });
    require(at != is.subscriptions.end(), "a subscription nobody has in the " + where + ": " + std::string{row.dialog.call_id()});
    const std::uint32_t cseq = at->newest, version = exact ? told_versions[usage_of(*at)] : 0;
    const m_dialog& dialog = is.dialogs[at->dialog];
    require(!shares || !exact || (row.local_cseq == dialog.notify_cseq && row.version == version),
            "rows do not tell which numbers are used: " + std::string{row.dialog.call_id()} + " " + std::string{row.dialog.event()} + " CSeq " +
                std::to_string(row.local_cseq) + ", " + std::to_string(dialog.notify_cseq) + ", version " + std::to_string(row.version) + ", " +
                std::to_string(version));
    require(!exact || dialogs[at->dialog].notify_cseq <= highest[row.dialog.call_id()], "numbers in use are not reserved: " + std::string{row.dialog.call_id()});
    require(at->deadline == row.expires && dialog.contact == row.dialog.remote_target() && cseq <= row.local_cseq && version <= row.version &&
                (row.state == subscription_state::pending) == (at->stands == stand::pending) && row.polite_block == (at->stands == stand::polite),
            "a subscription differs in the " + where + ": " + std::string{row.dialog.call_id()} + " " + std::string{row.dialog.event()} +
                " CSeq " + std::to_string(row.local_cseq) + ", version " + std::to_string(row.version) + "; expected " + std::to_string(cseq) +
                ", " + std::to_string(version) + ", " + dialog.contact + " until " + std::to_string((at->deadline - origin).count()));
  }
}

/// The engine's memory and the database say what the model says.
void walk::compare_rows() {
  std::vector<publication_row> p = engine->publications({}, 0, 100'000).records;
  std::vector<subscription_row> s = engine->subscriptions({}, 0, 100'000).records;
  compare_publications(p, *this, "memory");
  compare_subscriptions(s, *this, "memory", false);
  if (!own_rows) return;
  p.clear();
  s.clear();
  std::vector<watcher_row> w;
  for (cursor at; !at.done;) require(own_rows->publications({}, at, 7, p).has_value(), "the storage cannot be read");
  for (cursor at; !at.done;) require(own_rows->subscriptions({}, at, 7, s).has_value(), "the storage cannot be read");
  for (cursor at; !at.done;) require(own_rows->watchers({}, at, 7, w).has_value(), "the storage cannot be read");
  const m_state& is = bounds.subs_db_mode == 2 ? stored : *this;
  std::string waiting;
  for (const auto& row : w) waiting += "\n stored: " + row.resource + " " + row.event + " " + row.watcher;
  for (const auto& u : is.undecideds) waiting += "\n expected: " + u.resource + " " + package_names[u.kind] + " " + u.watcher;
  require(w.size() == is.undecideds.size(), "watchers stored: " + std::to_string(w.size()) + "; undecided: " + std::to_string(is.undecideds.size()) + waiting);
  require(p.size() == is.publications.size(), "publications stored: " + std::to_string(p.size()));
  require(s.size() == is.subscriptions.size(), "subscriptions stored: " + std::to_string(s.size()));
  compare_publications(p, is, "database");
  for (const auto& row : p) {
    const auto at = std::find_if(is.publications.begin(), is.publications.end(), [&](const auto& m) { return m.etag == row.etag; });
    require(ends_in(row.content.bytes()) >= at->what->ended.size(), "an end that no row remembers: " + row.resource + " " + row.etag);
  }
  compare_subscriptions(s, is, "database", true);
}

}  // namespace presence::test::walking
