#include <presence/notify_outcome.hpp>
#include <presence/packages.hpp>

#include "impl.hpp"

namespace presence {

namespace {

/// Adds what a part of a call comes to.
void append(effects& part, effects& out) {
  std::move(part.notifies.begin(), part.notifies.end(), std::back_inserter(out.notifies));
  out.state_changed |= part.state_changed;
  out.storage_failed |= part.storage_failed;
  out.more = part.more;
}

constexpr int most_tries = 5;  // of a call, where engines share a database

}  // namespace

bool is_header_lines(std::string_view text) noexcept {
  while (!text.empty()) {
    const auto end = text.find("\r\n");
    const auto colon = text.find(':');
    if (end == std::string_view::npos || colon > end || !is_token(text.substr(0, colon)) ||
        has_control(text.substr(0, end)))
      return false;
    text.remove_prefix(end + 2);
  }
  return true;
}

engine::impl::impl(options s, host_hooks h, presence::storage* storage, random_source* source)
    : settings{std::move(s)},
      hooks{std::move(h)},
      held_back{storage != nullptr && settings.subs_db_mode == 2 ? std::make_unique<write_back_storage>(*storage) : nullptr},
      own_random{source == nullptr ? std::make_unique<system_random>() : nullptr},
      random{source == nullptr ? *own_random : *source},
      table{random, settings.subs_htable_size, settings.pres_htable_size},
      rows{held_back ? held_back.get() : storage, counters.storage_calls},
      rate{settings.advance_rate} {
  // in write-back mode more than can be used between two flushes: a dialog has one NOTIFY open at a time
  settings.cseq_block = std::max<std::uint32_t>(settings.cseq_block, held_back ? 1U << 20 : 1);
  if (shared()) {
    settings.cseq_block = 1;  // the next call reads what this one wrote
    std::uint8_t bytes[2];
    random.fill(bytes);
    look_offset = milliseconds{bytes[0] << 8 | bytes[1]} % look_period;
  }
  const bool bounded = partial() && !shared() && (settings.cache_states != 0 || settings.cache_bytes != 0);
  if (bounded || hooks.trace) keeping = std::make_unique<caching>(settings, bounded, hooks.trace, table);
}

// --- a call ------------------------------------------------------------------------------------------

template <class F>
void engine::impl::guarded(effects& out, occasion why, instant now, F&& call) {
  if (passive()) {
    out.clear();
    if (why == occasion::request) refuse_later(out, "Passive");
    return;
  }
  now = tick(now);
  const struct letting_go {
    impl& e;
    const effects& out;
    ~letting_go() { e.let_go(out); }
  } at_the_end{*this, out};
  for (int tries = 0; tries < most_tries; ++tries) {  // again if another engine was quicker
    outrun = false;
    run(out, why, [&] { call(now); });
    if (!outrun) break;
    let_go(out);
  }
  if (!told_late.empty()) tell_late(out);
}

template <class F>
void engine::impl::run(effects& out, occasion why, F&& call) {
  out.clear();
  call_answers = why == occasion::request;
  plan.clear(durable());
  struct undo {
    impl& e;
    ~undo() { e.roll_back_turns(); }
  } const unless_committed{*this};
  try {
    if (why != occasion::event && unanswered) static_cast<void>(settle());
    if (call_answers) read_again();
    call();
    counters.notifies += out.notifies.size();
  } catch (...) {
    answer_thrown(why, out);
  }
}

void engine::impl::answer_thrown(occasion why, effects& out) {
  const bool answers = why == occasion::request;
  out.clear();
  try {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const unreadable& e) {
    note_fault(e.what());
    out.storage_failed = true;
    if (!answers) blocked_until = clock + settings.retry_after;
    if (answers) refuse_later(out);
    return;
  } catch (const std::exception& e) {
    log(log_level::error, e.what());
  } catch (...) {
    log(log_level::error, "a hook threw something that is no exception");
  }
  if (answers) refuse(out, 500);
}

void engine::impl::log_package_threw(std::string_view otherwise) const {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const unreadable&) {
    throw;
  } catch (const std::exception& e) {
    log(log_level::error, std::string{otherwise} + ": " + e.what());
  } catch (...) {
    log(log_level::error, otherwise);
  }
}

engine::engine(options settings, host_hooks hooks, storage* rows, random_source* random)
    : impl_{std::make_unique<impl>(std::move(settings), std::move(hooks), rows, random)} {}
engine::~engine() = default;
engine::engine(engine&&) noexcept = default;
engine& engine::operator=(engine&&) noexcept = default;

// --- event packages -------------------------------------------------------------------------------

result<void, std::string> engine::add_event(event_package package, instant now) {
  impl& e = *impl_;
  now = e.tick(now);
  if (e.began == instant{}) e.began = now;
  const auto parsed = parse_event(package.name);
  if (!parsed || parsed->id || package.name.find_first_of(" \t\"") != std::string::npos || has_control(package.name))
    return unexpected{"'" + package.name + "' is no event package name: it takes a token such as presence"};
  if (e.packages.named(package.name) != nullptr)
    return unexpected{"the package " + package.name + " is registered already"};
  if (package.req_auth && !package.authorize)
    return unexpected{"the package " + package.name + " sets req_auth and has no authorize hook"};
  for (const auto& type : package.content_types) {
    if (!is_media_type(type)) return unexpected{"'" + type + "' is no media type"};
  }
  if (package.default_expires < seconds{0} || package.min_expires.value_or(seconds{0}) < seconds{0} ||
      package.max_expires.value_or(seconds{1}) < seconds{1})
    return unexpected{"the package " + package.name + " has a lifetime that makes no sense"};
  if (!is_header_lines(package.notify_headers))
    return unexpected{"notify_headers of " + package.name + " are not lines like 'Name: value', each ended by CRLF"};
  event_package& added = e.packages.add(std::move(package));  // decisions about what is restored may need it
  const auto give_up = [&] {
    e.forget(added);
    e.packages.drop_last();
  };
  if (e.durable()) {
    try {
      if (auto restored = e.restore(added, now); !restored) {
        give_up();
        return restored;
      }
    } catch (const std::bad_alloc&) {
      give_up();
      throw;
    } catch (const std::exception& thrown) {
      unexpected text{std::string{thrown.what()}};
      give_up();
      return text;
    }
    if (e.next_sweep == instant{}) e.next_sweep = now + e.settings.clean_period;
    if (e.next_flush == instant{}) e.next_flush = now + e.settings.db_update_period;
  }
  for (const auto& other : e.packages) {
    if (other->package.watched == added.name) added.winfo = true;
    if (added.watched == other->package.name) other->package.winfo = true;
  }
  const std::string before = e.event_list;
  if (!e.event_list.empty()) e.event_list += ", ";
  e.event_list += added.name;
  if (!added.winfo) return {};
  event_package about_watchers = watcherinfo_package(added.name);
  if (e.packages.named(about_watchers.name) != nullptr) return {};
  auto both = add_event(std::move(about_watchers), now);
  if (!both) {
    give_up();
    e.event_list = before;
  }
  return both;
}

const event_package* engine::contains_event(std::string_view event_value) const {
  const auto parsed = parse_event(event_value);
  const registered_package* found = parsed ? impl_->packages.match(*parsed) : nullptr;
  return found == nullptr ? nullptr : &found->package;
}

const event_package* engine::search_event(std::string_view package_name) const {
  const registered_package* found = impl_->packages.named(package_name);
  return found == nullptr ? nullptr : &found->package;
}

std::string engine::get_event_list() const { return impl_->event_list; }

// --- requests ---------------------------------------------------------------------------------------

void engine::publish(const publish_request& request, instant now, effects& out) {
  ++impl_->counters.publishes;
  impl_->guarded(out, impl::occasion::request, now, [&](instant at) { impl_->publish(request, at, false, out); });
  impl_->counters.publish_answers.count(out.answer.status);
}

effects engine::publish(const publish_request& request, instant now) {
  return effects_of([&](effects& out) { publish(request, now, out); });
}

effects engine::update_presentity(const publish_request& request, instant now) {
  effects out;
  impl_->guarded(out, impl::occasion::request, now, [&](instant at) { impl_->publish(request, at, true, out); });
  return out;
}

effects engine::set_hard_state(std::string_view resource, std::string_view event, std::string_view name,
                               const content_view& content, instant now) {
  effects out;
  impl_->guarded(out, impl::occasion::request, now,
                 [&](instant at) { impl_->set_hard_state(resource, event, name, content, at, out); });
  return out;
}

void engine::subscribe(const subscribe_request& request, instant now, effects& out) {
  ++impl_->counters.subscribes;
  impl_->guarded(out, impl::occasion::request, now, [&](instant at) { impl_->subscribe(request, at, out); });
  impl_->counters.subscribe_answers.count(out.answer.status);
}

effects engine::subscribe(const subscribe_request& request, instant now) {
  return effects_of([&](effects& out) { subscribe(request, now, out); });
}

effects engine::answer_options(const options_request& request, instant now) {
  effects out;
  impl& e = *impl_;
  e.guarded(out, impl::occasion::request, now, [&](instant) {
    if (!e.admit_sender(request.who, out) || !e.admit_extensions(request.require, out) ||
        !e.admit_resource(request.resource, out))
      return;
    out.answer.status = 200;
    out.answer.reason = reason_phrase(200);
    out.answer.allow = "PUBLISH, SUBSCRIBE, NOTIFY, OPTIONS";  // PUB-7-1, EVT-4.4.4-1
    out.answer.allow_events = e.event_list;
    for (const auto& registered : e.packages) {
      for (const auto& type : registered->package.content_types) {
        if (!out.answer.accept.empty()) out.answer.accept += ", ";
        out.answer.accept += type;
      }
    }
  });
  return out;
}

// --- outcomes and time ------------------------------------------------------------------------------

void engine::report(const notify_report& outcome, instant now, effects& out) {
  const auto meaning = outcome_of(outcome.status, impl_->settings.timeout_rm_subs);
  if (meaning == notify_outcome::delivered) ++impl_->counters.delivered_notifies;
  if (meaning == notify_outcome::kept) ++impl_->counters.lost_notifies;
  impl_->guarded(out, impl::occasion::event, now, [&](instant at) { impl_->report(outcome, at, out); });
}

effects engine::report(const notify_report& outcome, instant now) {
  return effects_of([&](effects& out) { report(outcome, now, out); });
}

void engine::advance(instant now, effects& out) {
  impl_->guarded(out, impl::occasion::event, now, [&](instant at) {
    impl_->advance(at, std::max<std::size_t>(impl_->settings.advance_budget, 1), out);
  });
}

effects engine::advance(instant now) {
  return effects_of([&](effects& out) { advance(now, out); });
}

std::optional<instant> engine::next_deadline() const { return impl_->next_deadline(); }

effects engine::cleanup(instant now) {
  effects out, part;
  impl& e = *impl_;
  bool swept = !e.durable();
  do {  // where other engines may be quicker, in parts: one of them that is refused does not undo the others
    e.most_shared = std::min(e.most_shared, page_rows);
    e.guarded(part, impl::occasion::event, now, [&](instant at) {
      e.blocked_until = e.next_look = {};
      if (!std::exchange(swept, true)) e.sweep(at);
      e.advance(at, impl::unlimited, part);
    });
    append(part, out);
  } while (e.shared() && part.more && !part.storage_failed);
  return out;
}

result<void, std::string> engine::flush(instant now) {
  impl_->tick(now);
  return impl_->flush();
}

// --- privileged calls -------------------------------------------------------------------------------

effects engine::refresh_watchers(std::string_view resource, std::string_view event, refresh_type type,
                                 instant now) {
  return impl_->refresh(resource, event, type, {}, now);
}

effects engine::impl::refresh(std::string_view resource, std::string_view event, refresh_type type, std::string_view watcher,
                              instant now) {
  effects out;
  impl& e = *this;
  e.guarded(out, occasion::command, now, [&](instant at) {
    const registered_package* registered = e.packages.named(event);
    std::string only;
    if (registered == nullptr || !canonical_aor(resource, e.resource_text) || (!watcher.empty() && !canonical_aor(watcher, only)))
      return e.refuse(out, 404);
    if (type == refresh_type::state && e.looks_up() && e.settings.enable_sphere_check && registered->package.sphere) {
      for (const auto& other : e.packages)  // whose decisions may look at what changed
        if (other->package.req_auth) e.find_state(e.resource_text, other->package);
    }
    if (type == refresh_type::state && !e.reload(e.resource_text, registered->package, at, out)) return;
    event_state* state = e.find_state(e.resource_text, registered->package);
    if (state != nullptr) e.refresh_watchers(*state, type, only, at, out);
  });
  return out;
}

effects engine::terminate_watchers(std::string_view resource, std::string_view event, end_reason reason,
                                   instant now, seconds retry_after) {
  effects out;
  impl& e = *impl_;
  std::vector<state_name> states;
  e.guarded(out, impl::occasion::command, now, [&](instant at) {
    if (!resource.empty() && !canonical_aor(resource, e.resource_text)) return e.refuse(out, 404);
    if (resource.empty() && e.shared()) return e.find_watched(event, states);
    e.terminate({resource.empty() ? std::string_view{} : e.resource_text, event, reason, retry_after, false}, at, out);
  });
  for (const state_name& state : states) {  // each by itself: one that is busy does not stop the others
    effects part;
    e.guarded(part, impl::occasion::command, now,
              [&](instant at) { e.terminate({state.resource, state.event, reason, retry_after, false}, at, part); });
    append(part, out);
    if (part.storage_failed && !e.outrun) break;
  }
  return out;
}

effects engine::remove_resource(std::string_view resource, instant now) {
  effects out;
  impl& e = *impl_;
  e.guarded(out, impl::occasion::command, now, [&](instant at) {
    if (!canonical_aor(resource, e.resource_text)) return e.refuse(out, 404);
    e.terminate({e.resource_text, {}, end_reason::noresource, seconds{0}, true}, at, out);
  });
  return out;
}

effects engine::update_watchers(std::string_view resource, std::string_view event, instant now, std::string_view watcher) {
  return impl_->refresh(resource, event, refresh_type::authorization, watcher, now);
}

auth_code engine::auth_status(std::string_view watcher, std::string_view resource, instant now,
                              std::string_view event) const {
  try {
    const registered_package* registered = impl_->packages.named(event);
    std::string who, whom;
    if (registered == nullptr || !canonical_aor(watcher, who) || !canonical_aor(resource, whom))
      return auth_code::error;
    const identity proven{.uri = who, .method = "query"};
    const impl::looking at_the_end{*impl_};
    now = std::max(now, impl_->clock);
    switch (impl_->ask(impl_->about(registered->package, whom, now), proven).handling) {
      case sub_handling::allow: return auth_code::active;
      case sub_handling::polite_block: return auth_code::polite_block;
      case sub_handling::block: return auth_code::terminated;
      case sub_handling::confirm: break;
    }
    event_state* state = impl_->find_state(whom, registered->package);
    const watcher_account* account = impl_->table.find_watcher(who);
    const undecided* u = state != nullptr && account != nullptr ? impl_->table.find_undecided(*state, *account) : nullptr;
    return u != nullptr && u->pending == 0 ? auth_code::waiting : auth_code::pending;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (...) {
    return auth_code::error;
  }
}

void engine::set_passive(bool on) { impl_->settings.passive = on; }

const options& engine::settings() const { return impl_->settings; }

}  // namespace presence
