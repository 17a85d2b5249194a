#include "scenario.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include <presence/rules.hpp>

#include "places.hpp"

namespace presence::test {

namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

/// PRESENCE_TEST_MODE: write_through, write_back, fallback2db, bounded:POLICY, database_only; empty: in memory.
std::string_view mode() { return variable("PRESENCE_TEST_MODE"); }

/// Empty tables where PRESENCE_TEST_DATABASE says: sqlite, postgres, mariadb; empty: in memory.
std::shared_ptr<storage> fresh_rows() {
  const std::string_view wanted = variable("PRESENCE_TEST_DATABASE");
#if PRESENCE_TEST_SOCI
  if (wanted == "sqlite") return lent_by<sqlite_file>();
  if (wanted == "postgres") return lent_by<postgres_database>();
  if (wanted == "mariadb") return lent_by<mariadb_database>();
#endif
  if (!wanted.empty()) throw std::runtime_error{"no such database: " + std::string{wanted}};
  return std::make_shared<memory_storage>();
}

/// An engine of a shared database draws two bytes: when, within a second, it looks for what is due. Here that is when the
/// second begins, as things are due in tests.
class on_the_second final : public random_source {
 public:
  explicit on_the_second(std::uint64_t seed) : others_{seed} {}
  void fill(std::span<std::uint8_t> bytes) override {
    others_.fill(bytes);
    if (bytes.size() == 2) std::fill(bytes.begin(), bytes.end(), std::uint8_t{0});
  }

 private:
  seeded_random others_;
};

}  // namespace

not_in::not_in(std::string_view names, std::string_view) {
  const std::string_view here[] = {mode().substr(0, mode().find(':')), variable("PRESENCE_TEST_DATABASE")};
  while (!names.empty()) {
    const std::string_view one = names.substr(0, names.find(' '));
    here_ = here_ || one == here[0] || one == here[1];
    names.remove_prefix(std::min(names.size(), one.size() + 1));
  }
}

std::string pidf(std::string_view tuples, std::string_view entity) {
  std::string text = R"(<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity=")" +
                     std::string{entity} + "\">";
  while (!tuples.empty()) {
    const auto one = tuples.substr(0, tuples.find(','));
    tuples.remove_prefix(std::min(tuples.size(), one.size() + 1));
    const auto colon = one.find(':');
    text += "<tuple id=\"" + std::string{one.substr(0, colon)} + "\"><status><basic>" +
            std::string{one.substr(colon + 1)} + "</basic></status></tuple>";
  }
  return text + "</presence>";
}

std::string tuples_of(std::string_view document) {
  std::string text = "P(";
  for (auto at = document.find("<tuple"); at != std::string_view::npos; at = document.find("<tuple", at + 1)) {
    const std::string_view tuple = document.substr(at, document.find("</tuple>", at) - at);
    const auto id = tuple.find(" id=") + 5, basic = tuple.find("<basic>");
    if (text.size() > 2) text += ',';
    const auto name = tuple.substr(id, tuple.find(tuple[id - 1], id) - id);
    text += name.size() == 13 && name[0] == 'p' ? "*" : name;
    text += ':';
    text += basic == std::string_view::npos ? "-" : tuple.substr(basic + 7, tuple.find('<', basic + 7) - basic - 7);
  }
  return text + ')';
}

scenario::scenario(setup s) : given{std::move(s)} {
  if (given.settings.server_address.empty()) given.settings.server_address = "sip:server.example.com";
  random = std::make_unique<seeded_random>(given.seed);
  // the whole suite in another mode (T09), where a test does not choose one
  if (!mode().empty() && given.settings.subs_db_mode == 1 && !given.settings.fallback2db) {
    if (given.rows == nullptr) {
      own_rows = fresh_rows();
      given.rows = own_rows.get();
    }
    given.settings.fallback2db = mode() == "fallback2db" || mode().starts_with("bounded:");
    if (mode() == "database_only") random = std::make_unique<on_the_second>(given.seed);
    given.settings.subs_db_mode = mode() == "database_only" ? 3 : mode() == "write_back" ? 2 : 1;
    if (mode().starts_with("bounded:")) {  // memory for one state
      given.settings.cache_states = 1;
      given.settings.cache_policy = mode().substr(8);
      given.settings.cseq_block = 1;
    }
  }
  make_engine();
}

void scenario::make_engine() {
  engine = std::make_unique<presence::engine>(given.settings, given.hooks, given.rows, random.get());
  event_package package = presence_package();
  if (given.authorized) {
    package.req_auth = true;
    package.authorize = [this](const authorization_query& query) {
      for (const auto& [name, handling] : policy)
        if (query.watcher.uri == address(name)) return handling;
      return query.watcher.uri.empty() ? sub_handling::block : sub_handling::allow;
    };
  }
  if (given.by_rules) authorize_by_rules(package, [this](std::string_view) { return std::optional{rules_text}; });
  package.winfo = given.winfo;
  REQUIRE(engine->add_event(std::move(package), at));
  REQUIRE(engine->add_event(opaque_package("message-summary", {"application/simple-message-summary"}), at));
  for (const event_package& extra : given.packages) REQUIRE(engine->add_event(extra, at));
}

void scenario::restart() {
  if (engine && mode() == "write_back" && given.settings.subs_db_mode == 2) REQUIRE(engine->flush(at));  // a clean end
  engine.reset();
  make_engine();
}

std::string scenario::name_of_tag(const std::string& etag) {
  auto found = std::find(tags.begin(), tags.end(), etag);
  if (found == tags.end()) found = tags.insert(tags.end(), etag);
  return "e" + std::to_string(found - tags.begin() + 1);
}

std::string scenario::watchers_of(const std::string& document) {
  const auto value = [](std::string_view text, std::string_view name) {
    const std::string mark = " " + std::string{name} + "=\"";
    const auto found = text.find(mark);
    if (found == std::string_view::npos) return std::string{"-"};
    text.remove_prefix(found + mark.size());
    return std::string{text.substr(0, text.find('"'))};
  };
  const std::string_view root = std::string_view{document}.substr(document.find("<watcherinfo"));
  std::string line = "W" + value(root, "version") + " " + value(root, "state") + "(";
  const char* between = "";
  for (auto place = document.find("<watcher "); place != std::string::npos; place = document.find("<watcher ", place + 1)) {
    const std::string_view one{document.data() + place, document.find("</watcher>", place) - place};
    const std::string_view head = one.substr(0, one.find('>'));
    const std::string id = value(head, "id");
    auto known = std::find(watchers.begin(), watchers.end(), id);
    if (known == watchers.end()) known = watchers.insert(watchers.end(), id);
    std::string who{one.substr(head.size() + 1)};
    if (who.starts_with("sip:") && who.ends_with("@example.com")) who = who.substr(4, who.size() - 16);
    ((line += between) += "w") += std::to_string(known - watchers.begin() + 1);
    for (const std::string& part : {value(head, "status"), value(head, "event"), who, value(head, "expiration"), value(head, "duration-subscribed")})
      (line += ":") += part;
    between = ",";
  }
  return line + ")";
}

std::string scenario::tag_named(const std::string& name) const {
  if (name.size() > 1 && name[0] == 'e') {
    const std::size_t n = std::strtoul(name.c_str() + 1, nullptr, 10);
    if (n > 0 && n <= tags.size()) return tags[n - 1];
  }
  return name;
}

std::string scenario::told(const notify& n) {
  std::string name = "?";
  dialog_state* d = nullptr;
  for (auto& [key, state] : dialogs) {
    if (state.call_id != n.dialog.call_id() || state.from_tag != n.dialog.remote_tag()) continue;
    name = key;
    d = &state;
  }
  std::string line = "N " + name;
  if (d != nullptr) {
    d->notifies.push_back(n);
    line += "#" + std::to_string(d->notifies.size());
  }
  const auto id = n.dialog.event().find(";id=");
  if (id != std::string_view::npos) line += std::string{n.dialog.event().substr(id)};
  line += " " + n.subscription_state_value();
  if (n.content) {
    line += n.content.content_type() == "application/pidf+xml" ? " " + tuples_of(n.content.bytes())
            : n.content.content_type() == "application/watcherinfo+xml" ? " " + watchers_of(n.body_bytes())
                                                               : " [" + n.body_bytes() + "]";
  }
  return line;
}

std::string scenario::told(const effects& out) {
  std::string line;
  const auto add = [&](const std::string& more) {
    if (!line.empty()) line += " | ";
    line += more;
  };
  const reply& r = out.answer;
  if (r.status != 0) {
    std::string text = std::to_string(r.status);
    if (!r.etag.empty()) text += " " + name_of_tag(r.etag);
    if (r.expires) text += " Expires=" + std::to_string(*r.expires);
    if (r.min_expires) text += " Min-Expires=" + std::to_string(*r.min_expires);
    if (r.retry_after) text += " Retry-After=" + std::to_string(*r.retry_after);
    if (r.status == 489) text += " Allow-Events=" + r.allow_events;
    if (!r.accept.empty()) text += " Accept=" + r.accept;
    if (!r.accept_encoding.empty()) text += " Accept-Encoding=" + r.accept_encoding;
    if (!r.unsupported.empty()) text += " Unsupported=" + r.unsupported;
    if (r.challenge) text += " challenge";
    add(text);
  }
  for (const notify& n : out.notifies) add(told(n));
  if (answers) {
    for (const notify& n : out.notifies) {
      const effects more = engine->report({.id = n.id, .status = 200}, at);
      if (!more.notifies.empty()) add(told(more));
    }
  }
  audit();
  return line;
}

void scenario::audit() const {
  const auto wrong = engine->check();
  if (wrong) FAIL_CHECK(*wrong);
}

std::string scenario::publish(std::string_view resource, const publish_step& step) {
  const std::string uri = address(resource);
  const std::string who = step.by == "-" ? "" : address(step.by.empty() ? resource : step.by);
  const std::string tag = tag_named(step.if_match);
  const std::string bytes = step.raw ? *step.raw : step.body ? pidf(*step.body, uri) : "";
  return told(engine->publish({.resource = uri,
                               .event = step.event,
                               .expires = step.expires,
                               .sip_if_match = tag,
                               .content = {.type = bytes.empty() ? "" : step.type, .bytes = bytes, .encoding = step.encoding},
                               .require = step.require,
                               .who = {.uri = who, .method = "digest"},
                               .sender = step.sender},
                              at));
}

std::string scenario::subscribe(const std::string& name, const subscribe_step& step) {
  dialog_state& d = dialogs[name];
  if (d.call_id.empty()) {
    d.call_id = "call-" + name + "@example.com";
    d.from_tag = "from-" + name;
    d.by = step.by;
    d.to = step.to;
    d.event = step.event.value_or("presence");
  }
  if (step.new_dialog) d.to_tag.clear();
  d.cseq = step.cseq.value_or(d.cseq + 1);
  const std::string by = address(d.by), to = address(d.to);
  const std::string contact = step.contact.empty() ? "sip:" + d.by + "@" + name + ".example.com" : step.contact;
  const std::string event = step.event.value_or(d.event);
  const std::string who = step.unproven ? "" : step.as.empty() ? by : address(step.as);
  const effects out = engine->subscribe({.resource = to,
                                         .event = event,
                                         .expires = step.expires,
                                         .call_id = d.call_id,
                                         .from_tag = d.from_tag,
                                         .to_tag = d.to_tag,
                                         .from_uri = by,
                                         .to_uri = to,
                                         .contact = contact,
                                         .record_route = step.record_route,
                                         .cseq = d.cseq,
                                         .accept = step.accept ? std::optional<std::string_view>{*step.accept} : std::nullopt,
                                         .require = step.require,
                                         .content = {.type = step.body_type, .bytes = step.body},
                                         .who = {.uri = who,
                                                 .method = "digest",
                                                 .anonymous = step.anonymous,
                                                 .also = {step.also.begin(), step.also.end()},
                                                 .display_name = step.display_name},
                                         .secure = step.secure,
                                         .user_agent = step.user_agent,
                                         .cookie = step.cookie},
                                        at);
  if (out.answer.dialog) d.to_tag = out.answer.dialog.local_tag();
  return told(out);
}

namespace {

void append_line(std::string& all, const std::string& line) {
  if (!all.empty() && !line.empty()) all += " | ";
  all += line;
}

}  // namespace

std::string scenario::advance() {
  std::string all;
  for (bool more = true; more;) {
    const effects out = engine->advance(at);
    more = out.more;
    append_line(all, told(out));
  }
  return all;
}

std::string scenario::wait_until(seconds since_start) {
  const instant until = start + since_start;
  std::string all;
  for (auto next = engine->next_deadline(); next && *next <= until; next = engine->next_deadline()) {
    if (*next > at) at = *next;
    append_line(all, advance());
    pass_quiet(until);
  }
  at = until;
  append_line(all, advance());
  return all;
}

void scenario::pass_quiet(instant until) {
  const std::string_view database = variable("PRESENCE_TEST_DATABASE");
  const bool looks = given.settings.subs_db_mode == 3 || given.settings.fallback2db;
  const bool only_rows = given.settings.notify_interval.count() == 0;  // tell what comes when
  if (!own_rows || !looks || !only_rows || (database != "postgres" && database != "mariadb")) return;
  std::vector<std::string> known{"presence", "presence.winfo", "message-summary"};
  for (const event_package& extra : given.packages) known.insert(known.end(), {extra.name, extra.name + ".winfo"});
  for (auto ahead = std::chrono::floor<seconds>(until - at); ahead > seconds{2}; ahead /= 2) {
    const instant then = at + ahead;
    std::vector<state_name> due;
    REQUIRE(own_rows->due({.now = then, .waiting_since = then - given.settings.waiting_limit}, known, 1, due));
    if (!due.empty()) continue;
    at = then;
    return;
  }
}

std::string scenario::wait(seconds duration) {
  return wait_until(std::chrono::duration_cast<seconds>(at - start) + duration);
}

std::string scenario::outcome(const std::string& name, int number, int status) {
  const notify& n = dialogs.at(name).notifies.at(static_cast<std::size_t>(number - 1));
  return told(engine->report({.id = n.id, .status = status}, at));
}

std::string scenario::decide(const std::string& watcher, sub_handling handling, std::string_view resource) {
  policy[watcher] = handling;
  return told(engine->refresh_watchers(address(resource), "presence", refresh_type::authorization, at));
}

std::string scenario::options_of(std::string_view resource) {
  const std::string uri = address(resource);
  const effects out = engine->answer_options({.resource = uri, .who = {.uri = uri, .method = "digest"}}, at);
  return std::to_string(out.answer.status) + " Allow=" + out.answer.allow + " Allow-Events=" + out.answer.allow_events;
}

engine_stats scenario::stats() const {
  engine_stats told = engine->stats();
  if (given.settings.subs_db_mode != 3 && !given.settings.fallback2db) return told;
  const change all = end_of_all(*given.rows);
  told.publications = all.ended_publications.size();
  told.subscriptions = all.ended_subscriptions.size();
  told.undecided = all.ended_watchers.size();
  return told;
}

}  // namespace presence::test
