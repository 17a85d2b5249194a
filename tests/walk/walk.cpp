#include "walk.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>

#if PRESENCE_TEST_SOCI
#include "../server_database.hpp"
#include "../sqlite_file.hpp"
#endif

namespace presence::test::walking {

walk::walk(const settings& wanted) : given{wanted}, random{wanted.seed}, bytes{wanted.seed} {
  clock = now = origin = instant{seconds{1'700'000'000}};
  bounds.server_address = "sip:server.example.com";
  bounds.waiting_limit = seconds{pick(3) == 0 ? 100 : 5000};
  bounds.advance_budget = may("slices") && pick(3) == 0 ? 1 + pick(5) : 1000;
  bounds.cseq_block = static_cast<std::uint32_t>(pick(3) == 0 ? 1 + pick(4) : 64);
  bounds.enable_sphere_check = chance(60);
  if (pick(3) == 0) {  // small limits are met often (RL7)
    bounds.limits.publications_per_resource = 3;
    bounds.limits.subscriptions_per_watcher = 8;
    bounds.limits.subscriptions_per_resource = 7;
    bounds.limits.usages_per_dialog = 4;
  }
  resources = 1 + pick(4);
  focus[0] = focus[1] = static_cast<int>(pick(published_kinds));
  if (watchers_of(focus[0]) >= 0) focus[1] = watchers_of(focus[0]);
  how.presence.several = static_cast<presence_options::composing>(pick(3));
  how.presence.closes_leaving = chance(30);
  how.presence.nothing = static_cast<presence_options::unpublished>(pick(3));
  how.messages.several = static_cast<message_summary_options::combining>(pick(2));
  how.messages.empty_when_unknown = chance(30);
  how.messages.message_headers = chance(40);
  how.dialog.strangers = static_cast<dialog_options::shown>(pick(3));
  how.dialog.single_dialog = chance(25);
  how.dialog.partial = chance(50);
  how.ruled[k_presence] = may("rules");
  how.ruled[k_messages] = may("rules") && chance(50);
  how.ruled[k_dialog] = may("rules") && chance(40);
  how.ruled[k_sla] = may("rules") && chance(30);
  how.without_document = std::array{sub_handling::allow, sub_handling::allow, sub_handling::confirm, sub_handling::polite_block, sub_handling::block}[pick(5)];
  how.lenient = chance(30);

  if (given.mode == "memory_storage") {
    own_rows = std::make_unique<memory_storage>();
  } else if (given.mode != "memory") {
#if PRESENCE_TEST_SOCI
    const auto open = [&](auto database) {
      own_rows = database->open();
      place = database;
    };
    if (given.mode == "sqlite") open(std::make_shared<sqlite_file>());
    if (given.mode == "postgres") open(std::make_shared<postgres_database>());
    if (given.mode == "mariadb") open(std::make_shared<mariadb_database>());
#else
    throw std::runtime_error{"built without SQL storage"};
#endif
  }
  if (own_rows) rows = std::make_unique<faulty_storage>(*own_rows);
  make_engine();
}

walk::~walk() {
  engine.reset();
  own_rows.reset();
}

void walk::run() {
  for (step = 1; step <= given.steps; ++step) {
    one_step();
    audit();
    if (own_rows && step % (given.mode == "memory_storage" ? 50 : 200) == 0) compare_rows();
    if (given.steps > 50'000 && step % 50'000 == 0) {
      std::printf("step %llu: %zu publications, %zu subscriptions, %zu undecided\n", static_cast<unsigned long long>(step),
                  publications.size(), subscriptions.size(), undecideds.size());
      std::fflush(stdout);
    }
  }
  drain();
}

void walk::fail(const std::string& why) const {
  std::string text = why + "\nthe last operations:\n";
  for (const auto& line : history) text += line + "\n";
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c != '\n' && (c < ' ' || c > '~'); }, '?');
  throw std::runtime_error{text};
}

void walk::make_engine() {
  engine = std::make_unique<presence::engine>(bounds, host_hooks{}, rows.get(), &bytes);
  event_package all[] = {presence_package(how.presence), message_summary_package(how.messages), dialog_package(how.dialog),
                         dialog_sla_package(), joined_package()};
  for (int kind = 0; kind < published_kinds; ++kind) {
    event_package& package = all[kind];
    package.winfo = watchers_of(kind) >= 0;
    const auto source = [this](std::string_view resource) -> std::optional<std::string> {
      const auto found = rules.find(std::string{resource});
      return found == rules.end() ? std::nullopt : std::optional{found->second.text};
    };
    if (how.ruled[kind]) authorize_by_rules(package, source, {.without_document = how.without_document, .lenient = how.lenient});
    while (true) {
      const auto added = engine->add_event(package, clock);
      if (added) break;
      require(rows && rows->failed() != 0, added.error());
      rows->fail(0);  // it was made to fail; the next attempt succeeds
    }
  }
}

void walk::maybe_fault() {
  if (!rows) return;
  rows->fail(0);
  faults_before = rows->failed();
  if (faultless || !may("faults") || !chance(4)) return;
  made_to_fail = chance(50) ? storage_fault::unavailable : storage_fault::conflict;
  rows->fail(1 + pick(2), made_to_fail);
}

bool walk::failed(const effects& out, bool answers, const std::string& what) {
  if (rows) rows->fail(0);
  if (!out.storage_failed) return false;
  require(rows && rows->failed() != faults_before, what + ": a storage failure nobody made");
  require(out.notifies.empty(), what + ": a NOTIFY although nothing was stored");
  require(out.answer.status == (answers ? 503 : 0) && out.answer.retry_after.has_value() == answers,
          what + ": another answer to a storage failure: " + std::to_string(out.answer.status));
  require(out.answer.etag.empty() && !out.more, what + ": more than a refusal");
  note_down(what, " failed in the storage");
  if (made_to_fail != storage_fault::conflict || !answers) blocked_until = clock + bounds.retry_after;
  for (m_dialog& d : dialogs) d.may_jump = true;  // numbers planned in vain
  counts.met["storage faults"]++;
  compare_rows();
  return true;
}

// --- what is published, and who may see it ---------------------------------------------------------------

std::string walk::a_watcher() {
  const auto n = pick(9);
  if (n < 3) return "sip:r" + std::to_string(n) + "@example.com";  // owners watch, too
  return "sip:w" + std::to_string(n) + (n < 6 ? "@example.com" : "@example.org");
}

component walk::some_component(const m_publication* before) {
  component c;
  const auto dice = pick(10);
  c.what = dice < 6 ? "tuple" : dice < 8 ? "person" : dice < 9 ? "device" : "note";
  const auto say = [&](const char* field, unsigned percent, std::initializer_list<const char*> from) {
    if (chance(percent)) c.fields[field] = one_of(from);
  };
  const std::string fresh = std::to_string(++serial);
  c.id = "u" + fresh;
  if (c.what == "note") {
    c.id.clear();
    c.fields["note"] = "note " + std::to_string(pick(3));
    return c;
  }
  say("class", 50, {"work", "home"});
  if (c.what == "device") {
    c.fields["deviceID"] = "urn:dev:" + c.id;
    return c;
  }
  say("note", 30, {"here", "there"});
  if (c.what == "tuple") {
    if (chance(15) && before == nullptr) c.id = "c" + std::to_string(pick(3));  // others may have it
    c.fields["basic"] = chance(50) ? "open" : "closed";
    c.fields["contact"] = c.id.starts_with('u') && chance(20) ? "sip:desk@example.com" : (chance(70) ? "sip:s" : "tel:") + fresh;
    say("extra", 20, {"1", "2"});
    return c;
  }
  say("activities", 50, {"busy", "away", "meeting"});
  if (c.fields.contains("activities")) say("activities-note", 30, {"soon", "later"});
  say("mood", 50, {"happy", "sad"});
  say("sphere", 40, {"work", "home"});
  say("user-input", 30, {"active|600|2026-01-01T00:00:00Z", "idle|60|2026-01-02T00:00:00Z", "idle|600|2026-01-01T00:00:00Z"});
  return c;
}

std::shared_ptr<content> walk::some_content(int kind, const std::string& resource, const m_publication* before) {
  if (before != nullptr && before->has_body && !before->what->partial && chance(20)) return before->what;  // the same again
  auto made = std::make_shared<content>();
  content& c = *made;
  const bool changes = before != nullptr && before->has_body && chance(60);
  if (kind == k_presence) {
    if (changes) {
      c.components = before->what->components;
      if (!c.components.empty() && chance(70)) {
        component& one = c.components[pick(c.components.size())];
        component other = some_component(before);
        other.id = one.id;
        if (one.what == other.what) {
          if (other.fields.contains("deviceID")) other.fields["deviceID"] = one.fields["deviceID"];
          one = other;
        } else if (!one.id.empty()) {
          one.fields["class"] = one_of(std::initializer_list<const char*>{"work", "home"});
        }
      } else if (!c.components.empty() && chance(50)) {
        c.components.erase(c.components.begin() + static_cast<std::ptrdiff_t>(pick(c.components.size())));
      }
    }
    for (auto more = changes ? pick(2) : pick(4); more > 0; --more) {
      component one = some_component(before);
      const auto same = [&](const component& k) { return !one.id.empty() && k.id == one.id; };
      if (std::none_of(c.components.begin(), c.components.end(), same)) c.components.push_back(std::move(one));
    }
  } else if (kind == k_messages) {
    c.messages.waiting = chance(50);
    if (chance(40)) c.messages.account = "sip:box" + std::to_string(pick(2)) + "@example.com";
    if (chance(70))
      c.messages.lines.push_back({chance(50) ? "Voice-Message" : "voice-message", static_cast<std::uint32_t>(pick(3)), static_cast<std::uint32_t>(pick(3)),
                                  chance(30), static_cast<std::uint32_t>(pick(2)), static_cast<std::uint32_t>(pick(2))});
    if (chance(30)) c.messages.lines.push_back({"Fax-Message", static_cast<std::uint32_t>(pick(3)), 4294967295u - 2u, false, 0, 0});
    if (chance(40)) c.messages.headers = "Subject: " + std::to_string(++serial) + "\r\n" + (chance(30) ? "\r\nSubject: another\r\n" : "");
    for (auto& l : c.messages.lines)
      if (!l.has_urgent) l.urgent_fresh = l.urgent_old = 0;
  } else if (kind == k_dialog || kind == k_sla) {
    static constexpr const char* states[] = {"trying", "proceeding", "early", "confirmed", "confirmed", "terminated", "terminated"};
    c.partial = before != nullptr && before->has_body && chance(30);
    if (changes) c.calls = before->what->calls;
    for (call& one : c.calls) {
      if (!chance(60)) continue;
      one.state = one_of(states);
      one.remote = "n" + std::to_string(++serial);
    }
    for (auto more = changes ? pick(2) : pick(4); more > 0; --more) {
      const std::string fresh = std::to_string(++serial);
      call one{chance(50) ? std::to_string(pick(3)) : "u" + fresh, "", "", "", one_of(states), "n" + fresh};
      const std::string which = chance(40) ? std::to_string(pick(4)) : "u" + fresh;  // several phones tell of one dialog
      if (chance(80)) one.call_id = "c" + which;
      if (chance(85)) one.local_tag = "l", one.remote_tag = "r" + which;
      const auto same = [&](const call& k) { return k.id == one.id || k.same_dialog(one); };
      if (std::none_of(c.calls.begin(), c.calls.end(), same)) c.calls.push_back(std::move(one));
    }
    if (chance(10)) c.calls.clear();
  } else {
    c.raw = "doc" + std::to_string(pick(4)) + (chance(20) ? std::string(1, '\0') + "\xff" : "");
  }
  write(c, kind, resource);
  if (c.partial) {  // it changes what it names (DLG-AGG-2)
    std::vector<call> all;
    for (const call& old : before->what->calls) {
      const auto named = [&](const call& k) { return k.id == old.id; };
      if (!old.over() && std::none_of(c.calls.begin(), c.calls.end(), named)) all.push_back(old);
    }
    all.insert(all.end(), c.calls.begin(), c.calls.end());
    c.calls = std::move(all);
  }
  return made;
}

rule walk::some_rule() {
  using to = rule::applies_to;
  rule r;
  r.who = std::array{to::anybody, to::anybody, to::one, to::one, to::one, to::domain, to::domain, to::everybody_known, to::others,
                     to::unknown_condition}[pick(10)];
  if (r.who == to::one) r.name = a_watcher();
  if (r.who == to::domain) r.name = chance(50) ? "example.com" : "example.org";
  if ((r.who == to::domain || r.who == to::everybody_known) && chance(50)) r.except.push_back(chance(70) ? a_watcher() : "example.org");
  if (chance(20)) r.sphere = chance(50) ? "work" : "home";
  for (auto periods = chance(30) ? 1 + pick(2) : 0; periods > 0; --periods) {
    const instant from = clock + milliseconds{static_cast<int>(pick(240'000)) - 120'000};
    r.validity.emplace_back(from, from + milliseconds{1 + pick(200'000)});
  }
  grants& g = r.gives;
  g.handling = std::array{sub_handling::allow, sub_handling::allow, sub_handling::allow, sub_handling::polite_block, sub_handling::confirm,
                          sub_handling::block}[pick(6)];
  const auto choose = [&](chosen& c, bool services, bool devices) {
    if (chance(40)) c.all = true;
    if (chance(25)) c.classes.insert(chance(50) ? "work" : "home");
    if (chance(10) && serial != 0) c.ids.insert(chance(50) ? "c1" : "u" + std::to_string(pick(serial) + 1));
    if (services && chance(15)) c.schemes.insert(chance(50) ? "sip" : "tel");
    if (services && chance(15)) c.contacts.insert("sip:desk@example.com");
    if (devices && chance(20) && serial != 0) c.devices.insert("urn:dev:u" + std::to_string(pick(serial) + 1));
    g.transforms = g.transforms || c.all || !c.classes.empty() || !c.ids.empty() || !c.schemes.empty() || !c.contacts.empty() || !c.devices.empty();
  };
  if (chance(70)) choose(g.services, true, false);
  if (chance(60)) choose(g.persons, false, false);
  if (chance(40)) choose(g.devices, false, true);
  for (const char* name : {"activities", "class", "deviceID", "mood", "sphere", "note", "extra"})
    if (chance(25)) g.attributes.insert(name);
  if (chance(25)) g.input = static_cast<int>(pick(4));
  g.all_attributes = chance(15);
  g.transforms = g.transforms || !g.attributes.empty() || g.input != 0 || g.all_attributes;
  return r;
}

}  // namespace presence::test::walking
