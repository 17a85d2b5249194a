#include <algorithm>
#include <utility>
#include <vector>

#include <presence/write_back_storage.hpp>

#include "net_change.hpp"

namespace presence {

namespace {

constexpr std::size_t most_at_once = 500;  // row operations in one transaction

}  // namespace

write_back_storage::write_back_storage(storage& rows) : rows_{rows}, held_{std::make_unique<net_change>()} {}
write_back_storage::~write_back_storage() = default;

std::size_t write_back_storage::held_back() const noexcept { return held_->size(); }

result<void, storage_error> write_back_storage::apply(const change& what) {
  change numbers;  // of stored rows: they are known before they are used, or they would come again after a crash
  for (const number_reservation& r : what.reservations)
    if (held_->stores(r.key)) numbers.reservations.push_back(r);
  for (const subscription_row& row : what.new_subscriptions) {  // in the place of one that a crash would bring back
    subscription_key key = key_of(row);
    const bool ends_now =
        std::find(what.ended_subscriptions.begin(), what.ended_subscriptions.end(), key) != what.ended_subscriptions.end();
    if (held_->ends(key) || (ends_now && held_->stores(key)))
      numbers.reservations.push_back({std::move(key), row.local_cseq, row.version});
  }
  if (numbers.empty()) {
    held_->add(what);
    return {};
  }
  if (auto written = write(numbers); !written) return written;
  change others = what;
  std::erase_if(others.reservations, [&](const number_reservation& r) { return !held_->holds(r.key); });
  held_->add(std::move(others));
  return {};
}

result<void, storage_error> write_back_storage::flush(std::size_t most) {
  const change what = held_->first(most);
  if (what.empty()) return {};
  auto written = write(what);
  if (written) held_->drop(most);
  else if (!written.error().nothing_written) held_->doubt(most);
  return written;
}

/// All at once; if rows are not as expected, one by one, and what the engine holds counts.
result<void, storage_error> write_back_storage::write(const change& what) {
  result<void, storage_error> done = rows_.apply(what);
  const auto conflicts = [&] { return !done && done.error().fault == storage_fault::conflict; };
  if (!conflicts()) return done;
  done = {};
  const auto each = [&](const auto& list, auto&& add, auto&& mend) {
    for (const auto& one : list) {
      if (!done) return;
      change single;
      add(single, one);
      done = rows_.apply(single);
      if (!conflicts()) continue;
      change mended;
      mend(mended, one);
      done = mended.empty() ? result<void, storage_error>{} : rows_.apply(mended);
    }
  };
  const auto nothing = [](change&, const auto&) {};
  const auto again = [](change& c, const publication_row& r) {
    c.ended_publications.push_back(key_of(r));
    c.new_publications.push_back(r);
  };
  const auto subscribe_again = [](change& c, const subscription_row& r) {
    c.ended_subscriptions.push_back(key_of(r));
    c.new_subscriptions.push_back(r);
  };
  each(what.ended_publications, [](change& c, const auto& k) { c.ended_publications.push_back(k); }, nothing);
  each(what.new_publications, [](change& c, const auto& r) { c.new_publications.push_back(r); }, again);
  each(what.changed_publications, [](change& c, const auto& u) { c.changed_publications.push_back(u); },
       [&](change& c, const publication_update& u) { again(c, u.row); });
  each(what.ended_subscriptions, [](change& c, const auto& k) { c.ended_subscriptions.push_back(k); }, nothing);
  each(what.new_subscriptions, [](change& c, const auto& r) { c.new_subscriptions.push_back(r); }, subscribe_again);
  each(what.changed_subscriptions, [](change& c, const auto& r) { c.changed_subscriptions.push_back(r); }, subscribe_again);
  each(what.reservations, [](change& c, const auto& r) { c.reservations.push_back(r); }, nothing);
  each(what.ended_watchers, [](change& c, const auto& k) { c.ended_watchers.push_back(k); }, nothing);
  each(what.watchers, [](change& c, const auto& r) { c.watchers.push_back(r); }, nothing);
  if (!done) done.error().nothing_written = false;  // those before it
  return done;
}

result<void, storage_error> write_back_storage::flush_all() {
  while (held_back() != 0)
    if (auto written = flush(most_at_once); !written) return written;
  return {};
}

result<void, storage_error> write_back_storage::publications(const row_filter& want, cursor& at, std::size_t limit,
                                                             std::vector<publication_row>& out) {
  if (auto written = flush_all(); !written) return written;
  return rows_.publications(want, at, limit, out);
}

result<void, storage_error> write_back_storage::subscriptions(const row_filter& want, cursor& at, std::size_t limit,
                                                              std::vector<subscription_row>& out) {
  if (auto written = flush_all(); !written) return written;
  return rows_.subscriptions(want, at, limit, out);
}

result<void, storage_error> write_back_storage::watchers(const row_filter& want, cursor& at, std::size_t limit,
                                                         std::vector<watcher_row>& out) {
  if (auto written = flush_all(); !written) return written;
  return rows_.watchers(want, at, limit, out);
}

result<std::size_t, storage_error> write_back_storage::sweep(instant before, const std::vector<std::string>& known) {
  return rows_.sweep(before, known);  // of packages nobody has: nothing is held back of those
}

}  // namespace presence
