/// A storage that counts the calls it passes on and fails one of them, before it is passed on. The
/// fault sweep runs a flow once to count the calls and then once per call with that call failing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <presence/storage.hpp>

namespace presence {

class faulty_storage : public storage {
 public:
  /// `rows` must outlive this object.
  explicit faulty_storage(storage& rows) : rows_{rows} {}

  /// The `nth` call from now on (1 is the next one) fails with `fault`; 0: none does. With
  /// storage_fault::conflict only calls of apply() are counted: no other verb knows conflicts. `certain`: it is said that
  /// nothing was written.
  void fail(std::size_t nth, storage_fault fault = storage_fault::unavailable, bool certain = false) {
    left_ = nth;
    fault_ = fault;
    certain_ = certain;
  }
  /// The `nth` change from now on is made, and nobody learns of it: the answer to its COMMIT is lost. 0: none.
  void lose_answer(std::size_t nth = 1) { loses_ = nth; }
  /// Sees each change that is made, answered for or not.
  std::function<void(const change&)> on_change = {};
  /// Every call fails from now on, until called with false: the database is gone.
  void fail_all(bool down) { down_ = down; }

  bool armed() const { return left_ != 0; }       ///< a call is to fail
  std::size_t calls() const { return calls_; }    ///< calls so far, failed ones included
  std::size_t writes() const { return writes_; }  ///< of which apply() and sweep()
  std::size_t failed() const { return failed_; }  ///< of which were made to fail
  std::size_t looks() const { return looks_; }    ///< for what is due
  std::size_t made() const { return made_; }      ///< changes that were made, of more than numbers; answered for or not

  result<void, storage_error> publications(const row_filter& want, cursor& at, std::size_t limit,
                                           std::vector<publication_row>& out) override {
    if (fails(verb::read)) return failure();
    return rows_.publications(want, at, limit, out);
  }
  result<void, storage_error> subscriptions(const row_filter& want, cursor& at, std::size_t limit,
                                            std::vector<subscription_row>& out) override {
    if (fails(verb::read)) return failure();
    return rows_.subscriptions(want, at, limit, out);
  }
  result<void, storage_error> watchers(const row_filter& want, cursor& at, std::size_t limit,
                                       std::vector<watcher_row>& out) override {
    if (fails(verb::read)) return failure();
    return rows_.watchers(want, at, limit, out);
  }
  result<void, storage_error> apply(const change& what) override {
    if (fails(verb::apply)) return failure();
    auto made = rows_.apply(what);
    if (made && on_change) on_change(what);
    change rows = what;
    rows.reservations.clear();
    if (made && !rows.empty()) ++made_;
    if (loses_ == 0 || --loses_ != 0) return made;
    ++failed_;
    return unexpected{storage_error{storage_fault::unavailable, "the answer to COMMIT was lost"}};
  }
  result<void, storage_error> due(const due_filter& want, const std::vector<std::string>& known, std::size_t limit,
                                  std::vector<state_name>& out) override {
    ++looks_;
    if (fails(verb::read)) return failure();
    return rows_.due(want, known, limit, out);
  }
  result<state_mark, storage_error> mark(std::string_view resource, std::string_view event) override {
    if (fails(verb::read)) return failure();
    return rows_.mark(resource, event);
  }
  result<std::size_t, storage_error> sweep(instant before, const std::vector<std::string>& known) override {
    if (fails(verb::sweep)) return failure();
    return rows_.sweep(before, known);
  }

 private:
  enum class verb : std::uint8_t { read, apply, sweep };

  bool fails(verb which) {
    ++calls_;
    if (which != verb::read) ++writes_;
    bool now = down_;
    if (left_ != 0 && (fault_ != storage_fault::conflict || which == verb::apply)) now |= --left_ == 0;
    if (now) ++failed_;
    return now;
  }
  unexpected<storage_error> failure() const {
    return {storage_error{down_ ? storage_fault::unavailable : fault_, "made to fail", certain_ && !down_}};
  }

  storage& rows_;
  std::size_t left_ = 0, loses_ = 0;
  storage_fault fault_ = storage_fault::unavailable;
  bool down_ = false, certain_ = false;
  std::size_t calls_ = 0, writes_ = 0, failed_ = 0, looks_ = 0, made_ = 0;
};

/// Somebody else comes between what a call reads and what it writes.
class racing_storage : public faulty_storage {
 public:
  explicit racing_storage(storage& rows) : faulty_storage{rows} {}
  std::function<void()> between;
  int times = 1;
  result<void, storage_error> apply(const change& what) override {
    if (between && times-- > 0) between();
    return faulty_storage::apply(what);
  }
};

}  // namespace presence
