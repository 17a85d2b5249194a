/// A SOCI session and what hangs on it: prepared statements with their variables. Internal; only
/// soci_storage.cpp includes it, so SOCI is seen by these two files alone. Everything here throws
/// what SOCI throws; the storage class catches it at its edge.
#pragma once

#include <array>
#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <soci/soci.h>

#include "columns.hpp"
#include "dialect.hpp"
#include "schema.hpp"
#include "soci_storage.hpp"
#include "statements.hpp"

namespace presence::sql {

// One prepared statement with the variables it is bound to. It lives no longer than its session.
template <class C>
class prepared {
 public:
  prepared(soci::session& session, storage_counters& counters) : counters_{counters}, statement_{session} {}
  prepared(const prepared&) = delete;
  prepared& operator=(const prepared&) = delete;

  C values;                     // what is written, or what a fetch has read
  C key;                        // what key columns are compared with (:k_...)
  number after = 0, count = 0;  // of a page

  template <class List>
  void use_values(List list) {
    list(values, [this](std::string_view name, auto& value) { this->use(value, std::string{name}); });
  }
  template <class List>
  void use_key(List list) {
    list(key, [this](std::string_view name, auto& value) { this->use(value, "k_" + std::string{name}); });
  }
  template <class List>
  void into_values(List list) {
    list(values, [this](std::string_view, auto& value) { this->into(value); });
  }
  void use_page() {
    use(after, "after");
    use(count, "count");
  }
  void prepare(const std::string& sentence) {
    statement_.alloc();
    statement_.prepare(sentence);
    statement_.define_and_bind();
  }

  // Returns how many rows were written.
  long long execute() {
    for (auto& n : nulls_) n.indicator = *n.null ? soci::i_null : soci::i_ok;
    ++counters_.statements;
    statement_.execute(true);
    return statement_.get_affected_rows();
  }

  // A query: call until it returns false. A query not read to its end would hold its snapshot.
  void start() {
    ++counters_.statements;
    statement_.execute(false);
  }
  bool fetch() {
    if (!statement_.fetch()) return false;
    ++counters_.rows_read;
    for (auto& n : nulls_) {
      *n.null = n.indicator == soci::i_null;
      if (*n.null && n.string != nullptr) n.string->clear();
    }
    return true;
  }

 private:
  struct null_state {
    bool* null;
    text* string;  // null: a number
    soci::indicator indicator = soci::i_ok;
  };
  static text* text_of(text& value) { return &value; }
  static text* text_of(number&) { return nullptr; }

  template <class T>
  void use(T& value, const std::string& name) {
    statement_.exchange(soci::use(value, name));
  }
  template <class T>
  void use(nullable<T>& value, const std::string& name) {
    nulls_.push_back({&value.null, text_of(value.value)});
    statement_.exchange(soci::use(value.value, nulls_.back().indicator, name));
  }
  template <class T>
  void into(T& value) {
    statement_.exchange(soci::into(value));
  }
  template <class T>
  void into(nullable<T>& value) {
    nulls_.push_back({&value.null, text_of(value.value)});
    statement_.exchange(soci::into(value.value, nulls_.back().indicator));
  }

  storage_counters& counters_;
  std::deque<null_state> nulls_;
  soci::statement statement_;
};

// The statements of one table, prepared when first needed.
template <class C>
struct statements_of {
  using slot = std::unique_ptr<prepared<C>>;
  slot insert, update, update_content, reserve, put, erase;
  std::array<slot, 4> pages;  // by filter: event, resource
};

// A session and everything that hangs on it; destroyed in the right order, statements first.
class connection : public executor {
 public:
  connection(const target& to, const soci_settings& settings, storage_counters& counters)
      : to_{to}, counters_{counters}, session_{connection_string(to)} {
    ++counters_.connects;
    if (!settings.read_only) execute(std::string{to.speaks->on_connect});
    execute(std::string{settings.commit == durability::full ? to.speaks->durable : to.speaks->deferred});
  }

  void execute(const std::string& statement) override {
    ++counters_.statements;
    session_ << statement;
  }
  std::vector<std::string> tables() override { return column(std::string{to_.speaks->tables}, nullptr); }
  std::vector<std::string> columns(const std::string& table) override {
    return column(std::string{to_.speaks->columns}, &table);
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

  void begin() {
    ++counters_.transactions;
    run(begin_, to_.speaks->begin);
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

  // The statement in a slot, prepared when first asked for. `values` are written, `key` is compared;
  // `write` makes the text from their names.
  template <class C, class Values, class Key, class Write>
  prepared<C>& writing(std::unique_ptr<prepared<C>>& slot, Values values, Key key, Write write) {
    if (!slot) {
      auto made = std::make_unique<prepared<C>>(session_, counters_);
      made->use_values(values);
      made->use_key(key);
      made->prepare(write(names_of<C>(values), names_of<C>(key)));
      slot = std::move(made);
    }
    return *slot;
  }

  // The same for a page of `table`.
  template <class C, class Values, class Key>
  prepared<C>& reading(std::unique_ptr<prepared<C>>& slot, std::string_view table, Values values, Key key) {
    if (!slot) {
      auto made = std::make_unique<prepared<C>>(session_, counters_);
      made->into_values(values);
      made->use_page();
      made->use_key(key);
      made->prepare(select_page(table, names_of<C>(values), names_of<C>(key)));
      slot = std::move(made);
    }
    return *slot;
  }

  std::size_t sweep(const std::string& table, instant before, const std::vector<std::string>& known) {
    const number second = expiry_columns(before).column;
    const number ms = before.time_since_epoch().count();
    soci::statement statement{session_};
    statement.exchange(soci::use(second, "second"));
    statement.exchange(soci::use(ms, "ms"));
    for (std::size_t i = 0; i < known.size(); ++i) {
      statement.exchange(soci::use(known[i], "e" + std::to_string(i)));
    }
    statement.alloc();
    statement.prepare(sweep_rows(table, known.size()));
    statement.define_and_bind();
    ++counters_.statements;
    statement.execute(true);
    return static_cast<std::size_t>(statement.get_affected_rows());
  }

 private:
  static std::string connection_string(const target& to) {
    return std::string{to.speaks->backend} + "://" + to.parameters;
  }

  void run(std::unique_ptr<soci::statement>& slot, std::string_view verb) {
    if (!slot) slot = std::make_unique<soci::statement>(session_.prepare << verb);
    ++counters_.statements;
    slot->execute(true);
  }

  std::vector<std::string> column(const std::string& query, const std::string* table) {
    std::vector<std::string> found;
    std::string name;
    soci::statement statement{session_};
    statement.exchange(soci::into(name));
    if (table != nullptr) statement.exchange(soci::use(*table, "table"));
    statement.alloc();
    statement.prepare(query);
    statement.define_and_bind();
    ++counters_.statements;
    statement.execute();
    while (statement.fetch()) found.push_back(name);
    return found;
  }

  const target& to_;
  storage_counters& counters_;
  soci::session session_;
  bool in_transaction_ = false;
  std::unique_ptr<soci::statement> begin_, commit_, rollback_;

 public:
  statements_of<publication_columns> publications;
  statements_of<subscription_columns> subscriptions;
  statements_of<watcher_columns> watchers;
};

}  // namespace presence::sql
