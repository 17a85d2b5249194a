#include <presence/sharded_engine.hpp>

#include <cassert>
#include <mutex>

#include "calls.hpp"
#include "shard_map.hpp"

namespace presence {

namespace {

/// Most calls take a few microseconds, and to sleep and be woken takes longer: so waits as long before it sleeps.
std::unique_lock<std::mutex> patient(std::mutex& lock) {
  std::unique_lock held{lock, std::try_to_lock};
  for (int tries = 0; tries < 100 && !held; ++tries) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
    held.try_lock();
  }
  if (!held) held.lock();
  return held;
}

std::size_t share(std::size_t whole, std::size_t shards) { return (whole + shards - 1) / shards; }

}  // namespace

struct sharded_engine::impl {
  struct alignas(128) shard {  // locks of two shards share no cache line, nor a pair of them
    shard(std::size_t number, const shard_map& map, const shard_parts& parts, const options& settings, const host_hooks& hooks)
        : rows{parts.rows != nullptr ? std::make_unique<shard_storage>(*parts.rows, map, number) : nullptr},
          one{settings_of(number, map, settings), hooks, rows.get(), parts.random} {}
    static options settings_of(std::size_t number, const shard_map& map, options settings) {
      for (std::size_t* most : {&settings.limits.subscriptions, &settings.limits.publications, &settings.limits.undecided,
                                &settings.advance_budget, &settings.advance_rate, &settings.cache_states, &settings.cache_bytes})
        *most = share(*most, map.size());
      settings.to_tag_pref = map.tag_prefix_of(number);
      return settings;
    }
    std::mutex lock;
    std::unique_ptr<shard_storage> rows;
    engine one;
  };

  impl(const std::vector<shard_parts>& parts, const options& s, const host_hooks& hooks, random_source& random)
      : settings{s}, map{parts.size(), random, s.to_tag_pref}, durable{parts.front().rows != nullptr} {
    for (std::size_t i = 0; i < parts.size(); ++i) shards.push_back(std::make_unique<shard>(i, map, parts[i], s, hooks));
  }

  template <class F>
  auto at(std::size_t number, F&& call) const {
    shard& s = *shards[number];
    const std::unique_lock alone = patient(s.lock);
    return call(s.one);
  }
  template <class F>
  auto at_resource(std::string_view resource, F&& call) const {
    return at(map.of(resource), call);
  }
  /// One shard does it all.
  template <class F>
  void act(std::size_t number, effects& out, F&& call) {
    at(number, call);
    name_outside(out, number);
  }
  void name_outside(effects& out, std::size_t number) const noexcept {
    for (notify& n : out.notifies) n.id = map.outside(n.id, number);
  }
  template <class F>
  effects act_at(std::string_view resource, F&& call) {
    return effects_of([&](effects& out) { act(map.of(resource), out, [&](engine& e) { out = call(e); }); });
  }
  /// Each shard does its part. The answer is that of the last one: they are the same.
  template <class F>
  void act_all(effects& out, F&& call) {
    out.clear();
    effects part;
    for (std::size_t i = 0; i < shards.size(); ++i) {
      act(i, part, [&](engine& e) { call(e, part); });
      std::move(part.notifies.begin(), part.notifies.end(), std::back_inserter(out.notifies));
      out.answer = part.answer;
      out.state_changed |= part.state_changed;
      out.storage_failed |= part.storage_failed;
      out.more |= part.more;
    }
  }
  template <class F>
  effects act_at_all(F&& call) {
    return effects_of([&](effects& out) { act_all(out, [&](engine& e, effects& part) { part = call(e); }); });
  }
  template <class Value, class F>
  Value total(F&& of) const {
    Value sum{};
    for (std::size_t i = 0; i < shards.size(); ++i) sum += at(i, of);
    return sum;
  }
  template <class Row, class List>
  page<Row> listed(std::uint64_t from, std::size_t limit, List&& list) const {
    page<Row> out;
    limit = std::max<std::size_t>(limit, 1);
    std::size_t number = from % shards.size();
    std::uint64_t position = from / shards.size();
    while (number < shards.size() && out.records.size() < limit) {
      auto part = at(number, [&](const engine& e) { return list(e, position, limit - out.records.size()); });
      std::move(part.records.begin(), part.records.end(), std::back_inserter(out.records));
      position = part.next;
      if (position == 0) ++number;
    }
    if (number < shards.size()) out.next = position * shards.size() + number;
    return out;
  }
  std::size_t shard_of(const subscribe_request& request) const {
    if (!request.to_tag.empty()) return map.of_tag(request.to_tag);
    const event_package* package = shards.front()->one.contains_event(request.event);  // nobody registers any more
    if (!request.presentity.empty()) return map.of(request.presentity);
    return map.of(package != nullptr && package->resource_from_contact ? bridged_line(request) : std::string{request.resource});
  }

  std::size_t shard_of(const received& one) const {
    return std::visit(overloaded{[&](const subscribe_request& r) { return shard_of(r); },
                                 [&](const notify_report& r) { return r.id.slot % shards.size(); },
                                 [&](const auto& r) { return map.of(r.resource); }},
                      one);
  }
  /// A dialog from before a restart that `first` does not know may be in any shard.
  void look_elsewhere(const subscribe_request& request, std::size_t first, instant now, effects& out) {
    if (!durable || request.to_tag.empty()) return;
    for (std::size_t i = 1; i < shards.size() && out.answer.status == 481; ++i)
      act((first + i) % shards.size(), out, [&](engine& e) { e.subscribe(request, now, out); });
  }

  options settings;
  shard_map map;
  bool durable;
  std::vector<std::unique_ptr<shard>> shards;
};

sharded_engine::sharded_engine(const std::vector<shard_parts>& parts, const options& settings, const host_hooks& hooks) {
  assert(!parts.empty());
  system_random own;
  random_source* const given = parts.front().random;
  impl_ = std::make_unique<impl>(parts, settings, hooks, given != nullptr ? *given : own);
}
sharded_engine::~sharded_engine() = default;

// --- event packages -------------------------------------------------------------------------------

result<void, std::string> sharded_engine::add_event(const event_package& package, instant now) {
  const bool resumed = impl_->shards.back()->one.search_event(package.name) == nullptr;
  for (const auto& s : impl_->shards) {
    const std::lock_guard alone{s->lock};
    if (resumed && s->one.search_event(package.name) != nullptr) continue;
    if (auto added = s->one.add_event(package, now); !added) return added;
  }
  return {};
}

// no lock: packages are registered before other threads call
const event_package* sharded_engine::contains_event(std::string_view event_value) const {
  return impl_->shards.front()->one.contains_event(event_value);
}
const event_package* sharded_engine::search_event(std::string_view package_name) const {
  return impl_->shards.front()->one.search_event(package_name);
}
std::string sharded_engine::get_event_list() const { return impl_->shards.front()->one.get_event_list(); }

// --- requests ---------------------------------------------------------------------------------------

void sharded_engine::publish(const publish_request& request, instant now, effects& out) {
  impl_->act(impl_->map.of(request.resource), out, [&](engine& e) { e.publish(request, now, out); });
}
effects sharded_engine::publish(const publish_request& request, instant now) {
  return effects_of([&](effects& out) { publish(request, now, out); });
}

effects sharded_engine::update_presentity(const publish_request& request, instant now) {
  return impl_->act_at(request.resource, [&](engine& e) { return e.update_presentity(request, now); });
}

effects sharded_engine::set_hard_state(std::string_view resource, std::string_view event, std::string_view name,
                                       const content_view& content, instant now) {
  return impl_->act_at(resource, [&](engine& e) { return e.set_hard_state(resource, event, name, content, now); });
}

void sharded_engine::subscribe(const subscribe_request& request, instant now, effects& out) {
  const std::size_t first = impl_->shard_of(request);
  impl_->act(first, out, [&](engine& e) { e.subscribe(request, now, out); });
  impl_->look_elsewhere(request, first, now, out);
}
effects sharded_engine::subscribe(const subscribe_request& request, instant now) {
  return effects_of([&](effects& out) { subscribe(request, now, out); });
}

effects sharded_engine::answer_options(const options_request& request, instant now) {
  return impl_->act_at(request.resource, [&](engine& e) { return e.answer_options(request, now); });
}

std::size_t sharded_engine::handle(std::span<const received> all, instant now, std::vector<effects>& out) {
  struct part {
    std::vector<received> calls;
    std::vector<std::size_t> places;  // in `all`
  };
  std::vector<part> parts{impl_->shards.size()};
  for (std::size_t i = 0; i < all.size(); ++i) {
    part& p = parts[impl_->shard_of(all[i])];
    p.calls.push_back(all[i]);
    if (auto* outcome = std::get_if<notify_report>(&p.calls.back())) outcome->id = impl_->map.inside(outcome->id);
    p.places.push_back(i);
  }
  out.resize(all.size());
  std::vector<effects> made;
  for (std::size_t number = 0; number < parts.size(); ++number) {
    const part& p = parts[number];
    for (std::size_t done = 0; done < p.calls.size(); done += made.size()) {
      const auto rest = std::span{p.calls}.subspan(done);
      impl_->at(number, [&](engine& e) { return e.handle(rest, now, made); });
      for (std::size_t i = 0; i < made.size(); ++i) {
        impl_->name_outside(made[i], number);
        out[p.places[done + i]] = std::move(made[i]);
      }
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i)
    if (const auto* request = std::get_if<subscribe_request>(&all[i]))
      impl_->look_elsewhere(*request, impl_->shard_of(*request), now, out[i]);
  return all.size();
}

// --- outcomes and time ------------------------------------------------------------------------------

void sharded_engine::report(const notify_report& outcome, instant now, effects& out) {
  notify_report own = outcome;
  own.id = impl_->map.inside(outcome.id);
  impl_->act(outcome.id.slot % impl_->shards.size(), out, [&](engine& e) { e.report(own, now, out); });
}
effects sharded_engine::report(const notify_report& outcome, instant now) {
  return effects_of([&](effects& out) { report(outcome, now, out); });
}

void sharded_engine::advance(instant now, effects& out) {
  impl_->act_all(out, [&](engine& e, effects& part) { e.advance(now, part); });
}
effects sharded_engine::advance(instant now) {
  return effects_of([&](effects& out) { advance(now, out); });
}

std::optional<instant> sharded_engine::next_deadline() const {
  std::optional<instant> soonest;
  for (std::size_t i = 0; i < impl_->shards.size(); ++i) {
    const auto next = impl_->at(i, [](const engine& e) { return e.next_deadline(); });
    if (next && (!soonest || *next < *soonest)) soonest = next;
  }
  return soonest;
}

result<void, std::string> sharded_engine::flush(instant now) {
  result<void, std::string> all;
  for (std::size_t i = 0; i < impl_->shards.size(); ++i)
    if (auto one = impl_->at(i, [&](engine& e) { return e.flush(now); }); !one) all = one;
  return all;
}

effects sharded_engine::cleanup(instant now) {
  return impl_->act_at_all([&](engine& e) { return e.cleanup(now); });
}

// --- privileged calls -------------------------------------------------------------------------------

effects sharded_engine::refresh_watchers(std::string_view resource, std::string_view event, refresh_type type, instant now) {
  return impl_->act_at(resource, [&](engine& e) { return e.refresh_watchers(resource, event, type, now); });
}

effects sharded_engine::update_watchers(std::string_view resource, std::string_view event, instant now,
                                        std::string_view watcher) {
  return impl_->act_at(resource, [&](engine& e) { return e.update_watchers(resource, event, now, watcher); });
}

effects sharded_engine::terminate_watchers(std::string_view resource, std::string_view event, end_reason reason, instant now,
                                           seconds retry_after) {
  const auto end = [&](engine& e) { return e.terminate_watchers(resource, event, reason, now, retry_after); };
  if (!resource.empty()) return impl_->act_at(resource, end);
  return impl_->act_at_all(end);
}

effects sharded_engine::remove_resource(std::string_view resource, instant now) {
  return impl_->act_at(resource, [&](engine& e) { return e.remove_resource(resource, now); });
}

auth_code sharded_engine::auth_status(std::string_view watcher, std::string_view resource, instant now,
                                      std::string_view event) const {
  return impl_->at_resource(resource, [&](const engine& e) { return e.auth_status(watcher, resource, now, event); });
}

void sharded_engine::set_passive(bool on) {
  for (std::size_t i = 0; i < impl_->shards.size(); ++i) impl_->at(i, [&](engine& e) { e.set_passive(on); });
}

// --- insight ------------------------------------------------------------------------------------------

page<publication_row> sharded_engine::publications(const record_filter& filter, std::uint64_t from, std::size_t limit) const {
  return impl_->listed<publication_row>(from, limit,
                                        [&](const engine& e, auto... page) { return e.publications(filter, page...); });
}
page<subscription_row> sharded_engine::subscriptions(const record_filter& filter, std::uint64_t from, std::size_t limit) const {
  return impl_->listed<subscription_row>(from, limit,
                                         [&](const engine& e, auto... page) { return e.subscriptions(filter, page...); });
}
std::size_t sharded_engine::count_publications(const record_filter& filter) const {
  return impl_->total<std::size_t>([&](const engine& e) { return e.count_publications(filter); });
}
std::size_t sharded_engine::count_subscriptions(const record_filter& filter) const {
  return impl_->total<std::size_t>([&](const engine& e) { return e.count_subscriptions(filter); });
}
bool sharded_engine::has_subscribers(std::string_view resource, std::string_view event) const {
  return impl_->at_resource(resource, [&](const engine& e) { return e.has_subscribers(resource, event); });
}
body sharded_engine::current_state(std::string_view resource, std::string_view event, instant now) const {
  return impl_->at_resource(resource, [&](const engine& e) { return e.current_state(resource, event, now); });
}
bool sharded_engine::contains_presence(std::string_view resource, instant now) const {
  return impl_->at_resource(resource, [&](const engine& e) { return e.contains_presence(resource, now); });
}
std::optional<std::string> sharded_engine::get_sphere(std::string_view resource, instant now) const {
  return impl_->at_resource(resource, [&](const engine& e) { return e.get_sphere(resource, now); });
}

const options& sharded_engine::settings() const { return impl_->settings; }

engine_stats sharded_engine::stats() const {
  return impl_->total<engine_stats>([](const engine& e) { return e.stats(); });
}

std::optional<std::string> sharded_engine::check() const {
  for (std::size_t i = 0; i < impl_->shards.size(); ++i) {
    auto wrong = impl_->at(i, [&](const engine& e) -> std::optional<std::string> {
      if (auto within = e.check()) return within;
      for (const auto& row : e.subscriptions({}, 0, static_cast<std::size_t>(-1)).records)
        if (impl_->map.of_canonical(row.resource) != i) return "a subscription is in the wrong shard: " + row.resource;
      return std::nullopt;
    });
    if (wrong) return wrong;
  }
  return std::nullopt;
}

}  // namespace presence
