/// A SOCI session and what hangs on it. Internal; only soci_storage.cpp includes it, so SOCI is seen by
/// few files. Everything here throws what SOCI throws; the storage class catches it at its edge.
#pragma once

#include <soci/soci.h>

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "columns.hpp"
#include "dialect.hpp"
#include "overlong.hpp"
#include "prepared.hpp"
#include "schema.hpp"
#include "soci_storage.hpp"
#include "statements.hpp"
#include "target.hpp"

namespace presence::sql {

// A kind of row operation with its statements, prepared when first needed.
template <class C>
struct written {
  std::unique_ptr<prepared<C>> one;
  std::unique_ptr<gathered<C>> many;
};

// The statements of one table.
template <class C>
struct statements_of {
  written<C> insert, update, reserve, raise, replace, erase;
  std::array<std::unique_ptr<prepared<C>>, 5> pages;  // by filter: event, resource; Call-ID
};

// A session and everything that hangs on it; destroyed in the right order, statements first.
class connection : public executor {
 public:
  connection(const target& to, const soci_settings& settings, storage_counters& counters, purpose what)
      : speaks_{*to.speaks},
        counters_{counters},
        session_{std::string{to.speaks->backend} + "://" + to.parameters} {
    ++counters_.connects;
    using when = preparation::when;
    for (const auto& [wanted, statement] : speaks_.preparations) {
      if (wanted == when::always || wanted == (settings.read_only ? when::reading : when::writing) ||
          wanted == (settings.commit == durability::full ? when::durable : when::deferred)) {
        execute(filled(statement, [&](std::string_view name) { return limit(name, settings, what); }));
      }
    }
  }

  void execute(const std::string& statement) override {
    ++counters_.statements;
    session_ << statement;
  }
  std::vector<std::string> query(std::string_view sentence, const std::string* table) override {
    std::vector<std::string> found;
    if (sentence.empty()) return found;
    std::string value;
    soci::statement statement{session_};
    statement.exchange(soci::into(value));
    if (table != nullptr) statement.exchange(soci::use(*table, "table"));
    statement.alloc();
    statement.prepare(std::string{sentence});
    statement.define_and_bind();
    ++counters_.statements;
    statement.execute();
    while (statement.fetch()) found.push_back(value);
    return found;
  }
  std::map<std::string, long long> versions() override {
    std::map<std::string, long long> found;
    std::string name;
    long long version = 0;
    soci::statement query = (session_.prepare << select_versions, soci::into(name), soci::into(version));
    ++counters_.statements;
    query.execute();
    while (query.fetch()) found[name] = version;
    return found;
  }
  void set_version(const std::string& table, long long version) override {
    ++counters_.statements;
    session_ << insert_version, soci::use(table, "name"), soci::use(version, "version");
  }

  void begin() {  // unless one has begun
    if (in_transaction_) return;
    ++counters_.transactions;
    run(begin_, speaks_.begin);
    in_transaction_ = true;
  }
  void commit() {
    run(commit_, "COMMIT");
    in_transaction_ = false;
  }
  void rollback() {
    run(rollback_, "ROLLBACK");
    in_transaction_ = false;
  }
  bool in_transaction() const { return in_transaction_; }

  // Whether several rows of a kind are worth a statement of their own.
  bool gathers(verb what, std::size_t rows) const {
    return speaks_.many != batching::none && rows >= (compares(what) ? speaks_.fewest : 2);
  }

  // The statements of a slot, prepared when first asked for and after they have failed; `operation` returns
  // what they do.
  template <class C, class Operation, class Values, class Key>
  prepared<C>& one(written<C>& slot, Operation operation, Values values, Key key) {
    return made(slot.one, [&](prepared<C>& p) {
      const row_operation op = operation();
      p.use_values(values);
      if (compares(op.what)) p.use_key(key);
      p.prepare(one_row(speaks_, op));
    });
  }
  template <class C, class Operation, class Values, class Key>
  gathered<C>& many(written<C>& slot, Operation operation, Values values, Key key) {
    return made(slot.many, [&](gathered<C>& g) { g.prepare(operation(), values, key); });
  }
  // A page of `table`.
  template <class C, class Values, class Key>
  prepared<C>& reading(std::unique_ptr<prepared<C>>& slot, std::string_view table, Values values, Key key) {
    return made(slot, [&](prepared<C>& p) {
      p.into_values(values);
      p.use_page();
      p.use_key(key);
      p.prepare(select_page(table, columns_of<C>(values), columns_of<C>(key)));
    });
  }

  // The mark of the state that `name` puts into the key.
  template <class Name>
  state_mark mark(const std::string& table, Name name) {
    auto& query = made(states.pages[0], [&](prepared<state_columns>& p) {
      p.into_values(mark_list);
      p.use_key(key_list);
      p.prepare(select_mark(table, columns_of<state_columns>(mark_list), columns_of<state_columns>(key_list)));
    });
    name(query.key);
    state_mark found;
    for (query.start(); query.fetch();) {
      found.stamp = static_cast<std::uint64_t>(query.values.stamp);
      if (!query.values.turns_ms.null) found.turns = moment_of(0, query.values.turns_ms);
    }
    return found;
  }

  // The states of at most `count` rows that are due; returns how many rows there were.
  template <class C>
  number due(const std::string& table, const due_rows& which, split_time column, instant moment, text owner,
             std::vector<text> known, number count, std::set<std::pair<text, text>>& out) {
    number ms = moment.time_since_epoch().count(), rows = 0;
    prepared<C> query{session_, speaks_, counters_};
    query.into_values(state_name_list);
    query.use({"second", column.column});
    query.use({"ms", ms});
    for (std::size_t i = 0; i < known.size(); ++i) {
      fit("event", known[i]);
      query.use({"e" + std::to_string(i), known[i]});
    }
    if (which.owned) query.use({"owner", owner});
    query.use({"count", count});
    query.prepare(select_due(speaks_, table, columns_of<C>(state_name_list), which, known.size()));
    for (query.start(); query.fetch(); ++rows) {
      auto name = state_of(query.values);
      out.emplace(std::move(name.resource), std::move(name.event));
    }
    return rows;
  }

  void sweep_marks(const std::string& table, number before) {
    const number before_ms = before * 1000;
    ++counters_.statements;
    session_ << sql::sweep_marks(table), soci::use(before, "before"), soci::use(before_ms, "before_ms");
  }

  std::size_t sweep(const std::string& table, instant before, std::vector<std::string> known, std::string_view dead = {}) {
    const number second = expiry_columns(before).column;
    const number ms = before.time_since_epoch().count();
    soci::statement statement{session_};
    statement.exchange(soci::use(second, "second"));
    statement.exchange(soci::use(ms, "ms"));
    for (std::size_t i = 0; i < known.size(); ++i) {
      fit("event", known[i]);
      if (speaks_.utf8_only) to_utf8(known[i]);
      statement.exchange(soci::use(known[i], "e" + std::to_string(i)));
    }
    statement.alloc();
    statement.prepare(sweep_rows(speaks_, table, known.size(), dead));
    statement.define_and_bind();
    ++counters_.statements;
    statement.execute(true);
    return static_cast<std::size_t>(statement.get_affected_rows());
  }

 private:
  static std::string limit(std::string_view name, const soci_settings& settings, purpose what) {
    const bool in_ms = name == "ms" || name == "work";
    seconds::rep time = settings.busy_timeout.count();
    if (name == "work" || name == "work_s")
      time = what == purpose::schema ? 0 : work_limit(settings).count();
    else if (in_ms && time == 0)
      return "1";  // 0 would be no limit
    return std::to_string(in_ms ? time * 1000 : time);
  }

  template <class T, class Prepare>
  T& made(std::unique_ptr<T>& slot, Prepare prepare) {
    if (!slot || slot->failed()) {
      auto fresh = std::make_unique<T>(session_, speaks_, counters_);
      prepare(*fresh);
      slot = std::move(fresh);
    }
    return *slot;
  }

  void run(std::unique_ptr<soci::statement>& slot, std::string_view words) {
    if (!slot) slot = std::make_unique<soci::statement>(session_.prepare << words);
    ++counters_.statements;
    slot->execute(true);
  }

  const dialect& speaks_;
  storage_counters& counters_;
  soci::session session_;
  bool in_transaction_ = false;
  std::unique_ptr<soci::statement> begin_, commit_, rollback_;

 public:
  statements_of<publication_columns> publications;
  statements_of<subscription_columns> subscriptions;
  statements_of<watcher_columns> watchers;
  statements_of<state_columns> states;
};

}  // namespace presence::sql
