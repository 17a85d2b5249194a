// PUBLISH, as the specification says (conformance section 3; BLA and DLG rows of sections 13 and 14).
#include <algorithm>

#include "walk.hpp"

namespace presence::test::walking {

namespace {

constexpr seconds package_minimum[published_kinds] = {seconds{60}, seconds{60}, seconds{60}, seconds{60}, seconds{10}};
constexpr seconds package_default[published_kinds] = {seconds{3600}, seconds{3600}, seconds{3600}, seconds{3600}, seconds{300}};

}  // namespace

void walk::publish() {
  tick();
  const int kind = chance(75) ? focus[0] : a_published_kind();
  const std::string resource = a_resource();
  std::string event = package_names[kind];
  m_publication* target = nullptr;
  std::string tag;
  std::vector<m_publication*> own;
  for (auto& p : publications)
    if (p.resource == resource && p.kind == kind) own.push_back(&p);
  if (!own.empty() && chance(75)) {
    target = one_of(own);
    tag = target->etag;
  }
  std::optional<seconds> asked;
  switch (pick(8)) {
    case 0: break;
    case 1: asked = target == nullptr && !may("discard") ? seconds{100} : seconds{0}; break;
    case 2: asked = seconds{1 + pick(80)}; break;
    case 3: asked = seconds{4294967295}; break;
    default: asked = seconds{60 + pick(600)};
  }
  bool has_body = target != nullptr ? chance(60) : chance(95);
  std::string type = package_types[kind];
  std::shared_ptr<content> what = some_content(kind, resource, target != nullptr && target->has_body ? target->what : nullptr);
  std::string raw = what->raw;
  std::string sender;
  if (chance(kind == k_sla ? 50 : 10) && !subscriptions.empty() && may("sender")) sender = dialogs[one_of(subscriptions).dialog].contact;

  // one thing may be wrong
  enum class wrong { nothing, bad_event, bad_tag, foreign_tag, two_tags, bad_type, bad_document } flaw = wrong::nothing;
  if (chance(12)) flaw = static_cast<wrong>(1 + pick(6));
  switch (flaw) {
    case wrong::bad_event: event = chance(50) ? "" : "foo"; break;
    case wrong::bad_tag: tag = "never-given"; break;
    case wrong::foreign_tag: {
      const auto at = std::find_if(publications.begin(), publications.end(),
                                   [&](const auto& p) { return p.resource != resource || p.kind != kind; });
      if (at == publications.end()) flaw = wrong::nothing;
      else tag = at->etag;
      break;
    }
    case wrong::two_tags: tag = "a, b"; break;
    case wrong::bad_type: type = "text/plain"; has_body = true; break;
    case wrong::bad_document:
      if (kind != k_joined) raw = "<presence", has_body = true;
      else flaw = wrong::nothing;
      break;
    case wrong::nothing: break;
  }
  note_down("publish ", resource, " ", event, " tag=", tag, " exp=", asked ? std::to_string(asked->count()) : "-", has_body ? " body " + raw : "",
            sender.empty() ? "" : " sender=" + sender);

  // what the specification says
  expectation expected;
  const bool tag_live = target != nullptr && target->deadline > clock && flaw != wrong::bad_tag && flaw != wrong::foreign_tag;
  const auto live = [&](const m_publication* p) { return p->deadline > clock; };
  const auto count = std::count_if(own.begin(), own.end(), live);
  const seconds lifetime = std::min(asked.value_or(package_default[kind]), bounds.max_expires);
  enum class does { refuse, nothing, create, refresh, modify, end } op = does::refuse;
  if (flaw == wrong::bad_event) expected.status = 489;
  else if (flaw == wrong::two_tags) expected.status = 400;
  else if (!tag.empty() && !tag_live) expected.status = 412;
  else if (asked && *asked > seconds{0} && *asked < package_minimum[kind]) expected.status = 423;
  else if (flaw == wrong::bad_type) expected.status = 415;
  else if (tag.empty() && !has_body && kind != k_joined) expected.status = 400;
  else if (flaw == wrong::bad_document && !(!tag.empty() && lifetime == seconds{0})) expected.status = 400;
  else if (tag.empty() && lifetime == seconds{0}) op = does::nothing;
  else op = tag.empty() ? does::create : lifetime == seconds{0} ? does::end : has_body ? does::modify : does::refresh;
  if (op == does::create || op == does::modify) {
    take_in(*what, kind, op == does::modify && target->has_body ? target->what.get() : nullptr);
    if (kind == k_dialog && what->rewritten && !what->partial) counts.met["late dialogs"]++;
    // what comes too late is accepted and ignored (P40)
    const bool late = kind == k_sla && op == does::modify && !sender.empty() && target->sender != sender && takes_away(*target->what, *what);
    if (late) op = does::refresh;
    if (late) counts.met["superseded"]++;
    if (op == does::create && static_cast<std::size_t>(count) >= bounds.limits.publications_per_resource) op = does::refuse;
  }
  // nor does another hang up who is on the line (P40)
  if (kind == k_sla && op == does::end && !sender.empty() && target->sender != sender &&
      std::any_of(target->what->calls.begin(), target->what->calls.end(), [](const call& c) { return !c.over(); })) {
    op = does::nothing;
    counts.met["removals superseded"]++;
  }
  if (expected.status == 0) expected.status = op == does::refuse ? 503 : 200;
  if (expected.status == 200) expected.expires = static_cast<std::uint32_t>(lifetime.count());

  maybe_fault();
  effects out = engine->publish({.resource = resource,
                                       .event = event,
                                       .expires = asked ? expires_value{*asked} : expires_value{},
                                       .sip_if_match = tag,
                                       .content = {.type = has_body ? type : "", .bytes = has_body ? raw : ""},
                                       .who = {.uri = resource, .method = "digest"},
                                       .sender = sender},
                                      now);
  if (failed(out, true, "publish")) return;
  if (op != does::refuse && op != does::nothing) {
    const look was = look_at(resource, kind);
    if (op == does::create) {
      publications.push_back({resource, kind, given_tag(out, resource, kind, {}), has_body ? what : std::make_shared<content>(), has_body, sender, clock,
                              clock + lifetime, next_order(), false, true});
    } else if (op == does::end) {
      target->leaving = true;
    } else {
      target->etag = given_tag(out, resource, kind, tag);
      target->deadline = clock + lifetime;
      if (op == does::modify) {
        target->has_news = what->messages.headers != target->what->messages.headers;
        target->what = what;
        target->has_body = target->arriving = true;
        target->sender = sender;
        target->since = clock;
        target->order = next_order();
      }
    }
    const bool lapsed = mark_lapsed(resource, kind);
    if (op != does::refresh || lapsed) tell_change(expected, resource, kind, was, sender);
    settle(resource, kind);
  }
  compare(expected, out, "publish");
  if (out.answer.status == 200) {
    if ((kind == k_joined || kind == k_sla) && !tag.empty()) require(out.answer.etag == tag, "etag_not_new: another tag");
    else require(tags.insert(out.answer.etag).second, "an entity tag was given twice (PROP-9)");
  } else {
    require(out.answer.etag.empty(), "a refusal has an entity tag");
  }
  if (out.answer.status == 423) require(out.answer.min_expires == package_minimum[kind].count(), "Min-Expires");
  if (out.answer.status == 503) require(out.answer.retry_after.has_value(), "no Retry-After");
  if (out.answer.status == 489) require(!out.answer.allow_events.empty(), "no Allow-Events");
}

std::string walk::given_tag(const effects& out, const std::string& resource, int kind, const std::string& before) {
  if (!found_out) return out.answer.etag;
  std::vector<publication_row> all;
  for (cursor at; !at.done;)
    require(own_rows->publications({.event = package_names[kind], .resource = resource}, at, 100, all).has_value(), "the storage cannot be read");
  for (const auto& row : all)
    if (std::none_of(publications.begin(), publications.end(), [&](const auto& p) { return p.etag == row.etag; })) return row.etag;
  return before;
}

}  // namespace presence::test::walking
