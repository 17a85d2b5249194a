// Looking in: lists, counts, queries. Nothing here changes anything a peer could notice.
#include "impl.hpp"

namespace presence {

namespace {

/// A record_filter with its addresses in canonical form.
struct wanted {
  explicit wanted(const record_filter& filter) : event{filter.event} {
    if (!filter.resource.empty()) valid = canonical_aor(filter.resource, resource);
    if (valid && !filter.watcher.empty()) valid = canonical_aor(filter.watcher, watcher);
    domain = filter.domain;
  }
  bool takes(const event_state& state) const noexcept {
    return valid && (resource.empty() || state.resource() == resource) &&
           (event.empty() || state.package->name == event) &&
           (domain.empty() || iequals(host_of(state.resource()), domain));
  }
  /// What the storage has, where memory has not everything.
  bool takes(const publication_row& row, instant now) const {
    return valid && row.expires > now && (domain.empty() || iequals(host_of(row.resource), domain));
  }
  bool takes(const subscription_row& row, instant now) const {
    if (!valid || row.expires <= now || row.state == subscription_state::terminated ||
        (!domain.empty() && !iequals(host_of(row.resource), domain)))
      return false;
    std::string canonical;
    return watcher.empty() || (canonical_aor(row.dialog.watcher(), canonical) && canonical == watcher);
  }
  row_filter rows() const noexcept { return {.event = event, .resource = resource}; }
  bool takes(const subscription& s) const noexcept {
    return takes(*s.state) && (watcher.empty() || s.watcher->uri() == watcher);
  }
  bool valid = true;
  std::string resource, watcher;
  std::string_view event, domain;
};

}  // namespace

engine_stats& engine_stats::operator+=(const engine_stats& other) noexcept {
  for (const auto number : {&engine_stats::resources, &engine_stats::publications, &engine_stats::subscriptions,
                            &engine_stats::undecided, &engine_stats::cache_bytes, &engine_stats::held_back})
    this->*number += other.*number;
  for (const auto number :
       {&engine_stats::publishes, &engine_stats::subscribes, &engine_stats::notifies, &engine_stats::coalesced,
        &engine_stats::suppressed, &engine_stats::expired_publications, &engine_stats::expired_subscriptions,
        &engine_stats::delivered_notifies, &engine_stats::failed_notifies, &engine_stats::lost_notifies,
        &engine_stats::storage_calls, &engine_stats::storage_faults, &engine_stats::storage_conflicts, &engine_stats::cache_hits,
        &engine_stats::cache_misses, &engine_stats::cache_evictions})
    this->*number += other.*number;
  publish_answers += other.publish_answers;
  subscribe_answers += other.subscribe_answers;
  static_assert(sizeof(engine_stats) == 6 * sizeof(std::size_t) + 16 * sizeof(std::uint64_t) + 2 * sizeof(status_counts),
                "a new number joins here");
  return *this;
}

template <class Row>
page<Row> engine::impl::stored(const record_filter& filter, std::uint64_t from, std::size_t limit) {
  if (!shared()) static_cast<void>(settle());
  const wanted want{filter};
  page<Row> out;
  cursor at{.after = static_cast<std::int64_t>(from)};
  at.done = at.after < 0;
  while (want.valid && !at.done && out.records.size() < limit) {
    const std::size_t before = out.records.size();
    if (const auto done = rows.read(want.rows(), at, limit - before, out.records); !done) {
      note_fault(done.error().text);
      break;
    }
    out.records.erase(std::remove_if(out.records.begin() + static_cast<std::ptrdiff_t>(before), out.records.end(),
                                     [&](const Row& row) { return !want.takes(row, clock); }),
                      out.records.end());
  }
  out.next = at.done ? 0 : static_cast<std::uint64_t>(at.after);
  return out;
}

template <class Row>
std::size_t engine::impl::count_stored(const record_filter& filter) {
  std::size_t total = 0;
  for (std::uint64_t from = 0;;) {
    const auto some = stored<Row>(filter, from, page_rows);
    total += some.records.size();
    if (some.next == 0) return total;
    from = some.next;
  }
}

// A page position is the number of a state or subscription in its slab, plus one: stable while
// others come and go. A state's publications are never split over two pages.
page<publication_row> engine::publications(const record_filter& filter, std::uint64_t from,
                                           std::size_t limit) const {
  const impl& e = *impl_;
  if (e.partial()) return impl_->stored<publication_row>(filter, from, std::max<std::size_t>(limit, 1));
  const wanted want{filter};
  page<publication_row> out;
  const auto& states = e.table.states();
  for (std::uint64_t i = from; i < states.end(); ++i) {
    const auto index = static_cast<slab<event_state>::index>(i);
    if (!states.live(index) || !want.takes(states[index])) continue;
    if (!out.records.empty() && out.records.size() + states[index].publications.size() > limit) {
      out.next = i;
      break;
    }
    for (const auto& p : states[index].publications) {
      if (p->deadline > e.clock) out.records.push_back(e.row_of(*p));
    }
  }
  return out;
}

page<subscription_row> engine::subscriptions(const record_filter& filter, std::uint64_t from,
                                             std::size_t limit) const {
  const impl& e = *impl_;
  if (e.partial()) return impl_->stored<subscription_row>(filter, from, std::max<std::size_t>(limit, 1));
  const wanted want{filter};
  page<subscription_row> out;
  const auto& all = e.table.subscriptions();
  for (std::uint64_t i = from; i < all.end(); ++i) {
    const auto index = static_cast<slab<subscription>::index>(i);
    if (!all.live(index) || all[index].lapsed(e.clock) || !want.takes(all[index])) continue;
    if (out.records.size() == std::max<std::size_t>(limit, 1)) {
      out.next = i;
      break;
    }
    const subscription& s = all[index];
    out.records.push_back(e.row_of(s, *s.state, event_id_of(s)));
    out.records.back().local_cseq = s.local_cseq;  // what was used, not what is reserved
    out.records.back().version = s.version;
  }
  return out;
}

std::size_t engine::count_publications(const record_filter& filter) const {
  const impl& e = *impl_;
  if (e.partial()) return impl_->count_stored<publication_row>(filter);
  const wanted want{filter};
  const auto count = [&](const event_state& state) {
    return static_cast<std::size_t>(std::count_if(state.publications.begin(), state.publications.end(),
                                                  [&](const auto& p) { return p->deadline > e.clock; }));
  };
  std::size_t total = 0;
  const auto& states = e.table.states();
  for (slab<event_state>::index i = 0; i < states.end(); ++i)
    if (states.live(i) && want.takes(states[i])) total += count(states[i]);
  return total;
}

std::size_t engine::count_subscriptions(const record_filter& filter) const {
  const impl& e = *impl_;
  if (e.partial()) return impl_->count_stored<subscription_row>(filter);
  const wanted want{filter};
  std::size_t total = 0;
  const auto& all = e.table.subscriptions();
  for (slab<subscription>::index i = 0; i < all.end(); ++i)
    if (all.live(i) && !all[i].lapsed(e.clock) && want.takes(all[i])) ++total;
  return total;
}

bool engine::has_subscribers(std::string_view resource, std::string_view event) const try {
  const registered_package* registered = impl_->packages.named(event);
  std::string canonical;
  if (registered == nullptr || !canonical_aor(resource, canonical)) return false;
  const impl::looking at_the_end{*impl_};
  const event_state* state = impl_->find_state(canonical, registered->package);
  if (state == nullptr) return false;
  return std::any_of(state->watchers.begin(), state->watchers.end(), [&](auto index) {
    return index != slab<subscription>::none && !impl_->table.subscriptions()[index].lapsed(impl_->clock);
  });
} catch (const unreadable& e) {
  impl_->log(log_level::error, e.what());
  return false;
}

body engine::current_state(std::string_view resource, std::string_view event, instant now) const {
  impl& e = *impl_;
  const registered_package* registered = e.packages.named(event);
  std::string canonical;
  if (registered == nullptr || !canonical_aor(resource, canonical)) return {};
  const event_package& package = registered->package;
  const impl::looking at_the_end{e};
  try {
    const event_state* state = e.find_state(canonical, package);
    if (state == nullptr) return package.neutral ? package.neutral(canonical) : body{};
    const edit leaving;
    e.gather(*state, &leaving, std::max(now, e.clock));
    return e.compose_whole(*state, state->resource(), std::max(now, e.clock));
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& thrown) {
    e.log(log_level::error, thrown.what());
    return {};
  }
}

bool engine::contains_presence(std::string_view resource, instant now) const try {
  const registered_package* registered = impl_->packages.named("presence");
  std::string canonical;
  if (registered == nullptr || !canonical_aor(resource, canonical)) return false;
  const impl::looking at_the_end{*impl_};
  const event_state* state = impl_->find_state(canonical, registered->package);
  return state != nullptr && std::any_of(state->publications.begin(), state->publications.end(),
                                         [&](const auto& p) { return p->deadline > now; });
} catch (const unreadable& e) {
  impl_->log(log_level::error, e.what());
  return false;
}

std::optional<std::string> engine::get_sphere(std::string_view resource, instant now) const {
  std::string canonical;
  if (!canonical_aor(resource, canonical)) return std::nullopt;
  const impl::looking at_the_end{*impl_};
  try {
    return impl_->sphere_of(canonical, now).value;
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& thrown) {
    impl_->log(log_level::error, thrown.what());
    return std::nullopt;
  }
}

engine_stats engine::stats() const {
  const impl& e = *impl_;
  engine_stats now = e.counters;
  now.resources = e.table.states().size();
  now.publications = e.table.publication_count();
  now.subscriptions = e.table.linked_subscriptions();
  now.undecided = e.table.undecided_count();
  if (e.keeping) now.cache_bytes = e.keeping->bytes();
  if (e.held_back) now.held_back = e.held_back->held_back();
  return now;
}

std::optional<std::string> engine::check() const {
  const impl& e = *impl_;
  if (auto wrong = e.table.check()) return wrong;
  if (e.keeping)
    if (auto wrong = e.keeping->check()) return wrong;
  if (!e.grouping && (!e.brought.empty() || !e.not_served.empty())) return "what a call looked for is remembered after it";
  const auto& all = e.table.subscriptions();
  for (slab<subscription>::index i = 0; i < all.end(); ++i) {
    if (!all.live(i)) continue;
    const subscription& s = all[i];
    if (e.durable() && s.local_cseq > s.cseq_ceiling)
      return "a CSeq was used that the storage does not know about: " + std::string{s.state->resource()};
    if (s.owes && !s.in_flight && s.stands == standing::pending)
      return "a watcher is owed a NOTIFY he may not have: " + std::string{s.state->resource()};
  }
  return std::nullopt;
}

}  // namespace presence
