/// A thread-safe front of several engines, the shards, each behind a lock of its own: requests for different
/// resources run in parallel, those for one resource one after the other (L12). Any thread may call at any time.
///
/// All of a resource - its packages, watcher information, undecided watchers - is in one shard, found by a keyed
/// hash of the canonical resource and, in dialog, by the To tag, which begins with `to_tag_pref`, the shard's
/// number and a dot. Ids of NOTIFYs and positions in lists carry the shard as well: give them back to the object they
/// came from. Who may subscribe to two resources can so learn whether they share a shard, and nothing else.
///
/// What the host gives is called with the lock of a shard held: hooks, hooks of packages, storages and random sources must
/// not call back. Hooks are called by several threads at once, for different resources.
///
/// Two calls of different threads may leave in another order than they were made. In a dialog that can happen to
/// NOTIFYs that answer a SUBSCRIBE or end it; the watcher refuses the older one by its CSeq and has what is newer.
///
/// What differs from one engine: limits on everything together (limits.subscriptions, publications, undecided) are
/// split evenly and hold for each shard, `subscriptions_per_watcher` and `publications_per_publisher` count within a
/// shard, advance() goes by shards and then by time, and so do lists.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <presence/engine.hpp>

namespace presence {

class sharded_engine {
 public:
  /// What one shard borrows; both must outlive the engine.
  struct shard_parts {
    /// All shards have one, or none has. Each its own, on one database: one connection has one caller at a time. A
    /// shard sees the rows of its own resources only, and the number of shards may change between two starts.
    storage* rows = nullptr;
    random_source* random = nullptr;  ///< null: the operating system's generator
  };

  /// One shard for each of `parts`. Several for each thread are best: two threads wait for each other
  /// when they need the same one. Precondition: there is a part, and `settings.check()` succeeds.
  explicit sharded_engine(const std::vector<shard_parts>& parts, const options& settings = {}, const host_hooks& hooks = {});
  ~sharded_engine();
  sharded_engine(const sharded_engine&) = delete;
  sharded_engine& operator=(const sharded_engine&) = delete;

  /// As for one engine; each shard has a copy of the package. Register packages before other threads call anything.
  /// After a storage could not be read, call again: shards that have the package keep it.
  result<void, std::string> add_event(const event_package& package, instant now);
  const event_package* contains_event(std::string_view event_value) const;
  const event_package* search_event(std::string_view package_name) const;
  std::string get_event_list() const;

  // The calls of `engine`, with the same answers. Those about one resource lock its shard; the others go
  // through all shards and lock one at a time.

  effects publish(const publish_request& request, instant now);
  void publish(const publish_request& request, instant now, effects& out);
  effects update_presentity(const publish_request& request, instant now);
  effects set_hard_state(std::string_view resource, std::string_view event, std::string_view name, const content_view& content,
                         instant now);
  /// With a storage, a dialog from before a restart may be in another shard than its To tag says. It is looked
  /// for in all of them then, and each counts a SUBSCRIBE.
  effects subscribe(const subscribe_request& request, instant now);
  void subscribe(const subscribe_request& request, instant now, effects& out);
  effects answer_options(const options_request& request, instant now);
  effects report(const notify_report& outcome, instant now);
  void report(const notify_report& outcome, instant now, effects& out);

  /// Group commit. Takes all of `all`; calls for one resource are made in their order, and each shard writes what its calls
  /// change in transactions of its own.
  std::size_t handle(std::span<const received> all, instant now, std::vector<effects>& out);

  effects advance(instant now);
  void advance(instant now, effects& out);
  std::optional<instant> next_deadline() const;
  result<void, std::string> flush(instant now);
  effects cleanup(instant now);

  effects refresh_watchers(std::string_view resource, std::string_view event, refresh_type type, instant now);
  effects update_watchers(std::string_view resource, std::string_view event, instant now, std::string_view watcher = {});
  effects terminate_watchers(std::string_view resource, std::string_view event, end_reason reason, instant now,
                             seconds retry_after = seconds{0});
  effects remove_resource(std::string_view resource, instant now);
  auth_code auth_status(std::string_view watcher, std::string_view resource, instant now,
                        std::string_view event = "presence") const;
  void set_passive(bool on);

  page<publication_row> publications(const record_filter&, std::uint64_t from = 0, std::size_t limit = 100) const;
  page<subscription_row> subscriptions(const record_filter&, std::uint64_t from = 0, std::size_t limit = 100) const;
  std::size_t count_publications(const record_filter&) const;
  std::size_t count_subscriptions(const record_filter&) const;
  bool has_subscribers(std::string_view resource, std::string_view event) const;
  body current_state(std::string_view resource, std::string_view event, instant now) const;
  bool contains_presence(std::string_view resource, instant now) const;
  std::optional<std::string> get_sphere(std::string_view resource, instant now) const;

  /// As they were given.
  const options& settings() const;
  /// The sums.
  engine_stats stats() const;
  std::optional<std::string> check() const;

 private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace presence
