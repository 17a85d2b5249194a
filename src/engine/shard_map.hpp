// How one engine's data is dealt out to shards (L12): requests, ids, and the rows of one database.
#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <presence/effects.hpp>
#include <presence/keyed_hash.hpp>
#include <presence/storage.hpp>
#include <presence/uri.hpp>

namespace presence {

/// Which shard has what.
class shard_map {
 public:
  shard_map(std::size_t shards, random_source& random, std::string tag_prefix)
      : hash_{random}, shards_{shards}, tag_prefix_{std::move(tag_prefix)} {}

  std::size_t size() const noexcept { return shards_; }
  std::size_t of_canonical(std::string_view text) const noexcept { return hash_(text) % shards_; }
  /// What is no address is refused by whichever shard it comes to.
  std::size_t of(std::string_view resource) const {
    std::string canonical;
    return canonical_aor(resource, canonical) ? of_canonical(canonical) : 0;
  }
  std::string tag_prefix_of(std::size_t shard) const { return tag_prefix_ + std::to_string(shard) + '.'; }
  /// A tag that is none of ours has some shard, too: the peer may have it from another process.
  std::size_t of_tag(std::string_view tag) const noexcept {
    std::size_t shard = 0;
    if (!tag.starts_with(tag_prefix_)) return of_canonical(tag);
    const char* const end = tag.data() + tag.size();
    const auto [behind, wrong] = std::from_chars(tag.data() + tag_prefix_.size(), end, shard);
    return wrong == std::errc{} && behind != end && *behind == '.' && shard < shards_ ? shard : of_canonical(tag);
  }

  /// Numbers of all shards, as one sequence: what a shard calls n is n * size() + shard. The limits keep ids small.
  notify_id outside(notify_id id, std::size_t shard) const noexcept {
    if (id.generation != 0) id.slot = static_cast<std::uint32_t>(id.slot * shards_ + shard);  // 0: nothing to report on
    return id;
  }
  notify_id inside(notify_id id) const noexcept {
    id.slot = static_cast<std::uint32_t>(id.slot / shards_);
    return id;
  }

 private:
  keyed_hash hash_;
  std::size_t shards_;
  std::string tag_prefix_;
};

/// A shard's rows of a database.
class shard_storage final : public storage {
 public:
  shard_storage(storage& rows, const shard_map& map, std::size_t shard) : rows_{rows}, map_{map}, shard_{shard} {}

  result<void, storage_error> publications(const row_filter& wanted, cursor& at, std::size_t limit,
                                           std::vector<publication_row>& out) override {
    return own(out, [&] { return rows_.publications(wanted, at, limit, out); });
  }
  result<void, storage_error> subscriptions(const row_filter& wanted, cursor& at, std::size_t limit,
                                            std::vector<subscription_row>& out) override {
    return own(out, [&] { return rows_.subscriptions(wanted, at, limit, out); });
  }
  result<void, storage_error> watchers(const row_filter& wanted, cursor& at, std::size_t limit,
                                       std::vector<watcher_row>& out) override {
    return own(out, [&] { return rows_.watchers(wanted, at, limit, out); });
  }
  result<void, storage_error> due(const due_filter& want, const std::vector<std::string>& known, std::size_t limit,
                                  std::vector<state_name>& out) override {
    const std::size_t before = out.size();
    for (std::size_t most = limit;; most *= 2) {  // those of others may come first
      std::vector<state_name> found;
      if (auto read = rows_.due(want, known, most, found); !read) return read;
      const bool all = found.size() < most || most > static_cast<std::size_t>(-1) / 2;
      for (state_name& one : found)
        if (out.size() - before < limit && map_.of_canonical(one.resource) == shard_) out.push_back(std::move(one));
      if (all || out.size() - before == limit) return {};
      out.resize(before);
    }
  }
  result<void, storage_error> apply(const change& what) override { return rows_.apply(what); }
  result<std::size_t, storage_error> sweep(instant before, const std::vector<std::string>& known) override {
    return shard_ == 0 ? rows_.sweep(before, known) : std::size_t{0};  // once for all
  }
  result<state_mark, storage_error> mark(std::string_view resource, std::string_view event) override {
    return rows_.mark(resource, event);
  }
  std::size_t held_back() const noexcept override { return rows_.held_back(); }
  result<void, storage_error> flush(std::size_t most) override { return rows_.flush(most); }

 private:
  template <class Row, class Read>
  result<void, storage_error> own(std::vector<Row>& out, Read&& read) {
    const auto before = static_cast<std::ptrdiff_t>(out.size());
    auto done = read();
    out.erase(std::remove_if(out.begin() + before, out.end(),
                             [&](const Row& row) { return map_.of_canonical(row.resource) != shard_; }),
              out.end());
    return done;
  }
  storage& rows_;
  const shard_map& map_;
  std::size_t shard_;
};

}  // namespace presence
