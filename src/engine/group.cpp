// Group commit: calls that are made one after the other and written in one transaction. Each changes memory at once;
// what it comes to is kept until all is written. If that fails, every state they looked at is dropped from memory, and
// the database is asked what it was.
#include "impl.hpp"

namespace presence {

namespace {

// Enough that the commit costs little beside the rows, and little enough that nobody waits long for it.
constexpr std::size_t most_bytes = std::size_t{4} << 20;
constexpr std::size_t most_notifies = 10'000;
constexpr std::size_t most_looks = 2'000;  // at states: each is sought among them

}  // namespace

/// Calls from the first one until they are written; undone unless they are.
struct engine::impl::group {
  impl& e;
  const engine_stats before;

  explicit group(impl& of) : e{of}, before{of.counters} { e.grouping = true; }
  ~group() {
    if (e.grouping) undo();
    e.brought.clear();
  }
  result<void, storage_error> commit() {
    const change all = e.together.take();
    if (!all.empty())
      if (auto written = e.rows->apply(all); !written) return written;
    e.grouping = false;
    e.untold.clear();
    return {};
  }
  void undo() noexcept {
    e.together = {};
    const engine_stats reached = std::exchange(e.counters, before);
    e.counters.storage_calls = reached.storage_calls;
    e.counters.storage_faults = reached.storage_faults;
    for (std::size_t i = 0; i < e.brought.size(); ++i) {
      event_state* state = e.table.find(e.brought[i].resource, *e.brought[i].package);
      if (state == nullptr) continue;
      try {
        e.each_sibling(*state, [this](const event_state& other) { e.looked_at(other); });
      } catch (...) {  // no memory: its counter goes on, and is the higher one when the other is back
      }
      for (const auto index : state->watchers) {
        if (index == slab<subscription>::none) continue;
        const subscription& s = e.table.subscriptions()[index];
        if (s.in_flight || s.owes) e.remember_untold(s);
      }
      e.drop(*state);
    }
    e.grouping = false;
    e.lost.swap(e.brought);
  }
};

void engine::impl::read_again() {
  if (lost.empty()) return;
  for (; !lost.empty(); lost.pop_back()) find_state(std::string{lost.back().resource}, *lost.back().package);
  untold.clear();
}

void engine::impl::remember_untold(const subscription& s) noexcept try {
  untold.insert(key_of(s));
} catch (...) {  // no memory: he learns of it with the next change
}

void engine::impl::owe_the_untold(event_state& state) {
  if (untold.empty()) return;
  for (const auto index : state.watchers) {
    if (index == slab<subscription>::none) continue;
    subscription& s = table.subscriptions()[index];
    if (s.stands == standing::pending || untold.erase(key_of(s)) == 0) continue;
    s.owes = true;
    debts.now.push_back(table.id_of(s, 0));
  }
}

std::size_t engine::handle(std::span<const received> all, instant now, std::vector<effects>& out) {
  impl& e = *impl_;
  now = e.tick(now);
  std::size_t count = 0, bytes = 0, notifies = 0;
  const auto make = [&](std::size_t i) {
    std::visit(overloaded{[&](const publish_request& r) {
                            bytes += r.content.bytes.size();
                            publish(r, now, out[i]);
                          },
                          [&](const subscribe_request& r) { subscribe(r, now, out[i]); },
                          [&](const options_request& r) { out[i] = answer_options(r, now); },
                          [&](const notify_report& r) { report(r, now, out[i]); }},
               all[i]);
    notifies += out[i].notifies.size();
  };
  const auto make_some = [&](std::size_t most, bool grouped) {
    while (count < most && e.together.size() < page_rows && bytes < most_bytes && notifies < most_notifies &&
           e.brought.size() < most_looks) {
      if (out.size() == count) out.emplace_back();
      make(count++);
      if (grouped && out[count - 1].storage_failed) break;
    }
    out.resize(count);
  };
  if (!e.stores_publications() || e.held_back || e.shared() || all.size() < 2) {
    make_some(all.size(), false);
    return count;
  }
  std::size_t kept = 0;  // results that stand
  if (!e.lost.empty()) {  // the first one reads it again
    make_some(kept = 1, false);
    if (!out[0].storage_failed) return count;
  } else if (const auto settled = e.settle(); !settled) {
    e.note_fault(settled.error().text);
  } else {
    impl::group group{e};
    make_some(all.size(), true);
    if (!out.back().storage_failed) {
      const auto written = group.commit();
      if (written) return count;
      const bool conflicts = written.error().fault == storage_fault::conflict;
      e.note_fault(written.error().text, conflicts ? log_level::warning : log_level::error);
      if (conflicts) {  // whoever is not as expected must not refuse the others
        group.undo();
        for (std::size_t i = 0; i < count; ++i) make(i);
        return count;
      }
    }
  }
  e.blocked_until = e.clock + e.settings.retry_after;
  out.resize(all.size());
  for (std::size_t i = kept; i < all.size(); ++i) {
    const bool reports = std::holds_alternative<notify_report>(all[i]);
    if (reports && i >= count) {
      make(i);  // an outcome is told once
      continue;
    }
    out[i].clear();
    out[i].storage_failed = true;
    if (!reports) e.refuse_later(out[i]);
    if (std::holds_alternative<publish_request>(all[i])) {
      ++e.counters.publishes;
      e.counters.publish_answers.count(out[i].answer.status);
    }
    if (std::holds_alternative<subscribe_request>(all[i])) {
      ++e.counters.subscribes;
      e.counters.subscribe_answers.count(out[i].answer.status);
    }
  }
  return all.size();
}

}  // namespace presence
