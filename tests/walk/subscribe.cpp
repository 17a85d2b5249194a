// SUBSCRIBE, as the specification says (conformance section 2; the table of 6.2; WIN-FSM).
#include <algorithm>

#include "walk.hpp"

namespace presence::test::walking {

namespace {

constexpr seconds package_minimum[kinds] = {seconds{60}, seconds{60}, seconds{60}, seconds{60}, seconds{10}, seconds{60}, seconds{60}};
constexpr seconds package_default[kinds] = {seconds{3600}, seconds{3600}, seconds{3600}, seconds{3600}, seconds{300}, seconds{3600}, seconds{3600}};

std::string user_of(const std::string& resource) { return resource.substr(4, resource.find('@') - 4); }

}  // namespace

void walk::subscribe() {
  tick();
  // which dialog
  int kind = a_kind();
  std::size_t d = dialogs.size();
  bool in_dialog = false, repeated = false;
  std::vector<std::size_t> live;
  for (const auto& s : subscriptions) live.push_back(s.dialog);
  const auto dice = pick(100);
  if (dice < 55 && !live.empty()) {
    d = one_of(live);
    in_dialog = true;
  } else if (dice < 60 && !dialogs.empty()) {
    d = pick(dialogs.size());  // perhaps long gone
    in_dialog = true;
  } else if (dice < 63 && !live.empty() && may("repeats")) {
    d = one_of(live);  // the initial SUBSCRIBE once more (S20)
    repeated = dialogs[d].remote_cseq == dialogs[d].first_cseq && std::count(live.begin(), live.end(), d) == 1;
    if (!repeated) d = dialogs.size();
  }
  if (in_dialog && dialogs[d].to_tag.empty()) {  // it never came about: tried again
    in_dialog = false;
    if (chance(50)) d = dialogs.size();
  }
  if (d == dialogs.size()) {
    const std::string n = std::to_string(dialogs.size());
    const auto first = static_cast<std::uint32_t>(1 + pick(3));
    std::string resource = a_resource(), watcher = a_watcher();
    if (about_watchers(kind) && chance(85)) watcher = resource;
    dialogs.push_back({"call-" + n + "@example.com", "tag" + n, "", resource, watcher, chance(92), first, 0, first - 1});
    dialogs.back().named = (chance(25) ? "pres:" : "sip:") + resource.substr(4);
  }
  m_dialog& dialog = dialogs[d];
  if (!in_dialog && !repeated) dialog.notify_cseq = 0;  // each attempt makes a dialog
  std::string event_id = chance(15) ? std::to_string(pick(3)) : "";
  m_subscription* known = nullptr;
  std::vector<m_subscription*> usages;
  for (auto& s : subscriptions)
    if (s.dialog == d && s.deadline > clock) usages.push_back(&s);
  if ((in_dialog || repeated) && !usages.empty() && (repeated || chance(80))) {
    const m_subscription& one = *one_of(usages);
    kind = one.kind;
    event_id = one.event_id;
  }
  if (in_dialog && !usages.empty() && !may("usages")) {
    kind = usages[0]->kind;
    event_id = usages[0]->event_id;
  }
  // a bridged line is named by the Contact, in the domain of From (S26)
  if (!in_dialog && kind == k_sla && !dialog.watcher.ends_with("@example.com")) kind = k_joined;
  for (auto* s : usages)
    if (s->kind == kind && s->event_id == event_id) known = s;
  if (repeated && known == nullptr) return;

  std::optional<seconds> asked;
  switch (pick(8)) {
    case 0: break;
    case 1: asked = seconds{0}; break;
    case 2: asked = seconds{pick(80)}; break;
    case 3: asked = seconds{4294967295}; break;
    default: asked = seconds{60 + pick(600)};
  }
  if (repeated && asked == seconds{0}) asked = seconds{100};
  std::string watcher = dialog.watcher, event = package_names[kind];
  std::string contact = "sip:" + user_of(dialog.resource) + "@" + std::to_string(pick(3)) + "." + std::to_string(d) + ".example.com";
  const char* accept = nullptr;
  std::uint32_t cseq = repeated ? dialog.first_cseq : dialog.sent_cseq + 1 + static_cast<std::uint32_t>(pick(2));
  enum class wrong { nothing, bad_event, other_watcher, stale_cseq, bad_accept, no_contact, bad_selection } flaw = wrong::nothing;
  if (chance(8) && !repeated) flaw = static_cast<wrong>(1 + pick(6));
  switch (flaw) {
    case wrong::bad_event: event = "foo"; break;
    case wrong::other_watcher:
      if (in_dialog && dialog.proven) watcher = "sip:mallory@example.com";
      else flaw = wrong::nothing;
      break;
    case wrong::stale_cseq:
      if (!in_dialog) flaw = wrong::nothing;
      else if (!may("stale_after_end")) cseq = dialog.first_cseq;
      else cseq = dialog.remote_cseq - static_cast<std::uint32_t>(dialog.remote_cseq > 1 && chance(50));
      break;
    case wrong::bad_accept: accept = "text/html"; break;
    case wrong::no_contact: contact.clear(); break;
    case wrong::bad_selection:
      if (kind != k_dialog) flaw = wrong::nothing;
      break;
    case wrong::nothing: break;
  }
  if (in_dialog && asked == seconds{0} && known == nullptr && !may("fetch_in_dialog")) asked = seconds{100};
  // which dialogs it is about stays what it was at first
  chosen_dialogs about;
  if (known == nullptr && kind == k_dialog && chance(40)) {
    const std::string n = std::to_string(pick(4));
    about = {"c" + n, "l", chance(65) ? "r" + n : ""};
  }
  // who ended and begins anew in the same millisecond may have his id in watcher information, where nothing is kept for certain
  if ((shares || evicts) && known == nullptr && !begun.insert({{d, kind, event_id + about.parameters()}, clock}).second) {
    now = clock + milliseconds{1};
    return;
  }
  std::string event_value = event_id.empty() ? event : event + ";id=" + event_id;
  if (flaw == wrong::bad_selection) event_value += ";to-tag=l";
  else event_value += known != nullptr && chance(50) ? known->about.parameters() : about.parameters();
  note_down("subscribe ", dialog.call_id, in_dialog ? " in dialog " : repeated ? " repeated " : " new ", dialog.resource, " ", event_value,
            " by ", watcher, dialog.proven ? "" : " (unproven)", " exp=", asked ? std::to_string(asked->count()) : "-", " cseq=", std::to_string(cseq));

  // what the specification says
  expectation expected;
  const bool ends = asked == seconds{0};
  seconds lifetime = std::min(asked.value_or(package_default[kind]), bounds.max_expires);
  enum class does { nothing, reject, create, fetch, refresh, end } op = does::nothing;
  const auto held_by = [&](auto&& is) { return static_cast<std::size_t>(std::count_if(subscriptions.begin(), subscriptions.end(), is)); };
  if (flaw == wrong::bad_event) expected.status = 489;
  else if (flaw == wrong::no_contact) expected.status = 400;
  else if (in_dialog && usages.empty()) expected.status = 481;
  else if (in_dialog && flaw == wrong::stale_cseq) expected.status = 500;
  else if (in_dialog && flaw == wrong::other_watcher) expected.status = 403;
  const m_answer answer = expected.status == 0 ? ask(kind, dialog.resource, watcher, dialog.proven) : m_answer{sub_handling::block};
  bool rejected = false;
  if (expected.status != 0) {
  } else if (answer.handling == sub_handling::block && !(ends && known != nullptr)) {
    expected.status = 403;
    if (known != nullptr && in_dialog) op = does::reject;
    else rejected = true;
  } else if (flaw == wrong::bad_accept) expected.status = 406;
  else if (flaw == wrong::bad_selection) expected.status = 400;
  else if (asked && !ends && *asked < package_minimum[kind]) expected.status = 423;
  else if (known != nullptr) op = ends ? does::end : does::refresh;
  else if (ends) op = does::fetch;
  else if (held_by([&](const auto& s) { return s.dialog == d; }) >= bounds.limits.usages_per_dialog ||
           held_by([&](const auto& s) { return s.watcher == dialog.watcher && s.proven == dialog.proven; }) >= bounds.limits.subscriptions_per_watcher ||
           held_by([&](const auto& s) { return s.resource == dialog.resource && s.kind == kind; }) >= bounds.limits.subscriptions_per_resource ||
           held_by([&](const auto& s) { return s.watcher == dialog.watcher && s.proven == dialog.proven && s.resource == dialog.resource && s.kind == kind; }) >=
               bounds.limits.subscriptions_per_watcher_and_resource)
    expected.status = 503;
  else op = does::create;
  if (bounds.pending_limit > seconds{0} && answer.handling == sub_handling::confirm && (op == does::create || op == does::refresh)) {
    const instant limit = (known != nullptr ? known->since : clock) + bounds.pending_limit;  // WIN-FSM-7
    lifetime = std::clamp(std::chrono::ceil<seconds>(limit - clock), seconds{1}, lifetime);
  }
  if (expected.status == 0) {
    expected.status = 200;
    expected.expires = static_cast<std::uint32_t>(lifetime.count());
  }
  dialog.sent_cseq = std::max(dialog.sent_cseq, cseq);
  maybe_fault();
  effects out = engine->subscribe({.resource = dialog.resource,
                                         .event = event_value,
                                         .expires = asked ? expires_value{*asked} : expires_value{},
                                         .call_id = dialog.call_id,
                                         .from_tag = dialog.from_tag,
                                         .to_tag = in_dialog ? std::string_view{dialog.to_tag} : std::string_view{},
                                         .from_uri = watcher,
                                         .to_uri = dialog.named,
                                         .contact = contact,
                                         .cseq = cseq,
                                         .accept = accept == nullptr ? std::nullopt : std::optional<std::string_view>{accept},
                                         .who = {.uri = dialog.proven ? std::string_view{watcher} : std::string_view{}, .method = "digest"}},
                                        now);
  const bool on_probation = op == does::refresh && known->stands != stand::pending && answer.handling == sub_handling::confirm;
  // of a fetch that was decided about nothing stays that could be decided otherwise later (POL-4745-val-2)
  const bool may_turn = op == does::create || (op == does::fetch && answer.handling == sub_handling::confirm) || (op == does::refresh && !on_probation);
  const bool fault = failed(out, true, "subscribe");
  if (may_turn && !(shares && fault)) note(kind, dialog.resource, answer);
  if (fault && shares && how.ruled[kind]) {  // whether the rules were read by then is free; they are now
    ask(kind, dialog.resource, watcher, true);
    engine->auth_status(watcher, dialog.resource, now, package_names[kind]);
  }
  if (fault) return;
  if (rejected) {
    tell(expected, dialog.resource, kind, {"r" + std::to_string(++last_name), watcher, "", "", {}, clock}, "terminated", "rejected");
    // who waits under an address he proves is decided about (the table of 5.2)
    m_undecided* const waited = dialog.proven ? undecided_of(dialog.resource, kind, watcher) : nullptr;
    if (waited != nullptr && waited->pending == 0) {
      tell_waiting_over(expected, *waited, "rejected");
      drop(waited);
      counts.met["refused while waiting"]++;
    }
  }
  if (op != does::nothing) {
    const look was = look_at(dialog.resource, kind);
    if (op != does::reject) mark_lapsed(dialog.resource, kind);
    if (op == does::create && dialog.to_tag.empty() && !out.notifies.empty()) dialog.to_tag = out.notifies[0].dialog.local_tag();
    if (expected.status == 200) dialog.remote_cseq = cseq;
    const std::string target_before = dialog.contact;
    if (op == does::create || op == does::refresh || (op == does::fetch && in_dialog)) dialog.contact = contact;
    if (op == does::end || on_probation) dialog.contact = !out.notifies.empty() && out.notifies[0].dialog.remote_target() == contact ? contact : target_before;
    switch (op) {
      case does::create: case does::fetch: {
        m_subscription made{.name = ++last_name, .resource = dialog.resource, .kind = kind, .event_id = event_id, .watcher = dialog.watcher,
                            .proven = dialog.proven, .dialog = d, .stands = stands_as(answer.handling), .sees = answer.sees, .since = clock,
                            .deadline = clock + lifetime, .about = about};
        const bool fetches = op == does::fetch || is_over(made);
        if (fetches && op == does::create) expected.expires = 0;
        if (op == does::create && in_dialog) {  // its predecessor that lapsed goes without a word
          const auto before = std::find_if(subscriptions.begin(), subscriptions.end(),
                                           [&](const auto& s) { return s.dialog == d && s.kind == kind && s.event_id == event_id; });
          if (before != subscriptions.end()) end(expected, before->name, before->stands == stand::pending ? "giveup" : "timeout");
        }
        m_undecided* const waited = undecided_of(dialog.resource, kind, dialog.watcher);
        const bool waits = waited != nullptr && waited->pending == 0;
        if (made.stands != stand::pending) {
          if (waits) {  // the wait is over (WIN-FSM-3)
            tell_waiting_over(expected, *waited, "approved");
            drop(waited);
          }
        } else {
          if (waits && op == does::create) tell_waiting_over(expected, *waited, "giveup");
          const sub_handling by_address = ask(kind, dialog.resource, dialog.watcher, true).handling;
          if (op == does::fetch && waited == nullptr && by_address != sub_handling::confirm) {
            tell(expected, made.resource, kind, watcher_of(made), "terminated", by_address == sub_handling::block ? "rejected" : "approved");
          } else {
            if (waited == nullptr) undecideds.push_back({made.resource, kind, made.watcher, 0, made.key(), clock, clock});
            m_undecided& u = waited == nullptr ? undecideds.back() : *waited;
            if (op == does::create) ++u.pending;
            if (u.pending == 0) u.deadline = clock + bounds.waiting_limit;
            // however many fetches he makes, he waits once (WIN-FSM-4)
            if (op == does::fetch && waited == nullptr) tell(expected, made.resource, kind, watcher_of(u), "waiting", "timeout");
          }
        }
        if (!fetches) tell(expected, made.resource, kind, watcher_of(made), made.stands == stand::pending ? "pending" : "active", "subscribe");
        else if (made.stands != stand::pending) tell(expected, made.resource, kind, watcher_of(made), "terminated", "timeout");
        if (fetches) {
          std::optional<shown> seen;
          if (about_watchers(kind)) seen = shown{};
          else if (made.stands != stand::pending) seen = sent_to(made, contact);
          expect_end(expected, made, op == does::fetch ? "timeout" : "noresource", seen).name = -1;
          expected.notifies.back().contact = contact;
          tell_change(expected, dialog.resource, kind, was);
        } else {
          subscriptions.push_back(made);
          expect_notify(expected, subscriptions.back());
          tell_change(expected, dialog.resource, kind, was, {}, last_name);
        }
        break;
      }
      case does::refresh: {
        const int name = known->name;
        if (on_probation) {
          // the table of section 6.2: what was allowed and is no more ends with probation
          for (m_publication& p : publications) p.leaving = false;
          expect_end(expected, *known, "probation");
          end(expected, name, "probation");
          if (out.answer.expires == 0) expected.expires = 0;  // nothing is left of what was asked
          break;
        }
        known->deadline = clock + lifetime;
        leave_pending(expected, *known, answer.handling == sub_handling::confirm ? known->stands : stands_as(answer.handling));
        known->sees = answer.sees;
        if (expect_last(expected, *known)) {
          expected.notifies.back().full = true;
          expected.expires = 0;
        } else {
          expect_notify(expected, *known);
        }
        tell_change(expected, dialog.resource, kind, was, {}, name);
        if (expected.expires == 0u) end(expected, name, "noresource");
        break;
      }
      case does::end: {
        const int name = known->name;
        // who may see the state sees it once more; who is decided about does not begin to wait
        const bool refused = known->stands == stand::pending && answer.handling == sub_handling::block;
        const bool sees = answer.handling != sub_handling::block && answer.handling != sub_handling::confirm;
        std::optional<shown> last;
        if (sees) {
          m_subscription as_now = *known;
          as_now.stands = stands_as(answer.handling);
          as_now.sees = answer.sees;
          last = about_watchers(kind) ? shown{} : sent_to(as_now, contact);
        }
        expect_end(expected, *known, "timeout", last);
        tell_change(expected, dialog.resource, kind, was, {}, name);
        if (sees) {
          expectation silent;  // of what happens to him in one call the last is told
          leave_pending(silent, *find(name), stands_as(answer.handling));
        }
        end(expected, name, refused ? "rejected" : "timeout");
        break;
      }
      case does::reject: {
        expect_end(expected, *known, "rejected");
        end(expected, known->name, "rejected");
        break;
      }
      case does::nothing: break;
    }
    settle(dialog.resource, kind);
    // the NOTIFY of this dialog comes first (EVT-4.2.1.2-2)
    require(!out.notifies.empty() && out.notifies[0].dialog.call_id() == dialog.call_id, "the immediate NOTIFY is not first\n" + to_string(out));
  }
  compare(expected, out, "subscribe");
  if (expected.status == 200) {
    require(out.answer.dialog.local_tag() == out.notifies[0].dialog.local_tag(), "two To tags");
    require(dialog.to_tag.empty() || out.answer.dialog.local_tag() == dialog.to_tag, "another To tag");
  }
}

}  // namespace presence::test::walking
