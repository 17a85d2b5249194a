#include "soci_storage.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "columns.hpp"
#include "dialect.hpp"
#include "faults.hpp"
#include "schema.hpp"
#include "session.hpp"
#include "statements.hpp"
#include "target.hpp"

namespace presence {
namespace sql {
namespace {

bool of_dialog(const number_reservation& r) { return r.key.event.empty(); }  // a whole one

// How many kinds of row operations there are.
int kinds(const change& c) {
  const auto some = [](const auto& rows) { return rows.empty() ? 0 : 1; };
  return some(c.states) + some(c.ended_publications) + some(c.new_publications) + some(c.changed_publications) +
         some(c.ended_subscriptions) + some(c.new_subscriptions) + some(c.changed_subscriptions) +
         some(c.reservations) + some(c.ended_watchers) + some(c.watchers) +
         (std::any_of(c.reservations.begin(), c.reservations.end(), of_dialog) ? 1 : 0);
}

class adapter : public soci_storage {
 public:
  adapter(target to, soci_settings settings) : to_{std::move(to)}, settings_{std::move(settings)} {}

  outcome check() {
    return guarded([&] { return check_schema(*connection_, settings_, *to_.speaks); });
  }

  outcome publications(const row_filter& want, cursor& at, std::size_t limit,
                       std::vector<publication_row>& out) override {
    return page(&connection::publications, settings_.presentity_table,
                all_of(id_list, key_list, state_list, content_list), want, at, limit, out);
  }
  outcome subscriptions(const row_filter& want, cursor& at, std::size_t limit,
                        std::vector<subscription_row>& out) override {
    return page(&connection::subscriptions, settings_.active_watchers_table,
                all_of(id_list, key_list, numbers_list, state_list), want, at, limit, out);
  }
  outcome watchers(const row_filter& want, cursor& at, std::size_t limit,
                   std::vector<watcher_row>& out) override {
    return page(&connection::watchers, settings_.watchers_table, all_of(id_list, key_list, state_list), want,
                at, limit, out);
  }

  outcome apply(const change& what) override {
    const int count = kinds(what);
    if (count == 0) return {};
    return guarded([&]() -> outcome {
      if (!what.states.empty())
        if (auto fit = know_states(); !fit) return fit;
      if (count > 1) connection_->begin();
      const char* obstacle = perform(what);
      const bool alone = !connection_->in_transaction();  // one statement is all or nothing by itself
      if (!alone && obstacle != nullptr) connection_->rollback();
      if (obstacle != nullptr) return fault(storage_fault::conflict, obstacle);
      commits_ = !alone;
      if (!alone) connection_->commit();
      return {};
    }, !what.states.empty());
  }

  outcome due(const due_filter& want, const std::vector<std::string>& known, std::size_t limit,
              std::vector<state_name>& out) override {
    if (known.empty() || limit == 0) return {};
    std::set<std::pair<text, text>> found;
    const outcome done = guarded([&]() -> outcome {
      // A state may have many rows that are due: more of them are read while there are fewer states than asked for.
      const auto look = [&]<class C>(statements_of<C>&, const std::string& table, const due_rows& which,
                                     split_time column, instant moment) {
        auto count = static_cast<number>(std::min<std::size_t>(limit, std::numeric_limits<int>::max()));
        while (found.size() < limit &&
               connection_->due<C>(table, which, column, moment, text{want.owner}, known, count, found) == count)
          count *= 2;
      };
      connection& c = *connection_;
      look(c.publications, settings_.presentity_table, lapsed_rows, expiry_columns(want.now), want.now);
      const bool owns = !want.owner.empty();
      const instant anybodys = owns ? want.others : want.now;
      if (owns) look(c.subscriptions, settings_.active_watchers_table, own_lapsed_dialogs, expiry_columns(want.now), want.now);
      look(c.subscriptions, settings_.active_watchers_table, lapsed_dialogs, expiry_columns(anybodys), anybodys);
      for (const auto& which : {pending_rows, waiting_rows})
        look(c.watchers, settings_.watchers_table, which, moment_columns(want.waiting_since), want.waiting_since);
      if (auto fit = know_states(); !fit) return fit;
      look(c.states, settings_.states_table, turning_rows, {want.now.time_since_epoch().count(), 0}, want.now);
      return {};
    });
    if (!done) return done;
    for (const auto& [resource, event] : found)
      if (limit-- != 0) out.push_back({resource, event});
      else break;
    return {};
  }

  result<state_mark, storage_error> mark(std::string_view resource, std::string_view event) override {
    state_mark found;
    const outcome done = guarded([&]() -> outcome {
      if (auto fit = know_states(); !fit) return fit;
      found = connection_->mark(settings_.states_table, [&](state_columns& c) { key_columns(resource, event, c); });
      return {};
    });
    if (!done) return unexpected{done.error()};
    return found;
  }

  result<std::size_t, storage_error> sweep(instant before, const std::vector<std::string>& known) override {
    std::size_t deleted = 0;
    const outcome done = guarded([&]() -> outcome {
      connection_->begin();
      deleted = connection_->sweep(settings_.presentity_table, before, known) +
                connection_->sweep(settings_.active_watchers_table, before, known, "status = 3");
      sweep_marks();
      connection_->commit();
      return {};
    });
    if (!done) return unexpected{done.error()};
    return deleted;
  }

  storage_counters counters() const override { return counters_; }

 private:
  // Runs `work` with a connection; nothing it throws gets out. A conflict leaves the connection as it
  // is; after anything else it is closed, which rolls back, and made anew by the next call.
  // `stamped`: states of others are at stake, and who had to give way may look again.
  template <class Work>
  outcome guarded(Work work, bool stamped = false) {
    outcome done;
    commits_ = false;
    try {
      if (!connection_) {
        if (done = file_must_exist(to_); done) {
          connection_ = std::make_unique<connection>(to_, settings_, counters_, purpose::work);
        }
      }
      if (done) done = work();
    } catch (...) {
      storage_error error = caught(to_, connection_ != nullptr);
      const bool unknown = commits_ && doubtful(error.text);
      if (stamped && !unknown && gave_way(error.text)) error = {storage_fault::conflict, "another engine was quicker"};
      if (commits_ && !unknown && error.fault != storage_fault::conflict) commits_ = !refused(error.text) && !answers();
      done = unexpected{error};
      recover(error.fault);
    }
    if (done) return done;
    const bool conflicts = done.error().fault == storage_fault::conflict;
    done.error().nothing_written = !commits_ || conflicts;
    ++(conflicts ? counters_.conflicts : counters_.faults);
    return done;
  }

  // Whether the session is there still: it was an answer then that COMMIT got, and what it refused is rolled back.
  bool answers() noexcept try {
    connection_->rollback();
    return true;
  } catch (...) {
    return false;
  }

  void recover(storage_fault which) noexcept {
    try {
      if (which == storage_fault::conflict && connection_ && connection_->in_transaction())
        connection_->rollback();
      if (which == storage_fault::conflict) return;
    } catch (...) {  // then the connection goes
    }
    connection_.reset();
  }

  // The table of marks is looked at when it is used: a database may be without it.
  outcome know_states() {
    if (states_known_) return {};
    auto fit = check_states(*connection_, settings_, *to_.speaks);
    states_known_ = fit.has_value();
    return fit;
  }
  // Once an hour, marks nobody has changed for an hour. It does no harm: without one a state begins at 0 again, and
  // who read it an hour ago is refused.
  void sweep_marks() {
    const auto now = seconds_now();
    if (!states_known_ || now < next_marks_) return;
    connection_->sweep_marks(settings_.states_table, now - 3600);
    next_marks_ = now + 3600;
  }
  static number seconds_now() {
    return std::chrono::duration_cast<seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  }

  template <class C, class Values, class Row>
  outcome page(statements_of<C> connection::*table, const std::string& name, Values values,
               const row_filter& want, cursor& at, std::size_t limit, std::vector<Row>& out) {
    if (at.done || limit == 0) return {};
    const std::size_t before = out.size();
    cursor moved = at;
    const outcome done = guarded([&]() -> outcome {
      prepared<C>& query = page_query((*connection_).*table, name, values, want);
      filter_columns(want, query.key);
      query.after = at.after;
      query.count = static_cast<number>(std::min<std::size_t>(limit, std::numeric_limits<int>::max()));
      query.values.event = query.key.event;  // of all rows, if one is wanted
      query.start();
      while (query.fetch()) {
        out.push_back(to_row(query.values));
        moved.after = query.values.id;
      }
      moved.done = static_cast<number>(out.size() - before) < query.count;
      return {};
    });
    if (done) {
      at = moved;
    } else {
      out.resize(before);
    }
    return done;
  }

  template <class C, class Values>
  prepared<C>& page_query(statements_of<C>& table, const std::string& name, Values values,
                          const row_filter& want) {
    connection& c = *connection_;
    if constexpr (std::is_same_v<C, subscription_columns>)
      if (!want.call_id.empty()) return c.reading(table.pages[4], name, values, call_id_list);
    if (want.event.empty() && want.resource.empty()) return c.reading(table.pages[0], name, values, no_list);
    if (want.resource.empty()) return c.reading(table.pages[1], name, but_event(values), event_list);
    if (want.event.empty()) return c.reading(table.pages[2], name, values, resource_list);
    return c.reading(table.pages[3], name, but_event(values), all_of(resource_list, event_list));
  }

  // Writes all `rows`: `fill` puts one into the variables of a statement, `identify` tells which rows it
  // changes. Returns false if one was not there to be updated.
  template <class C, class Values, class Key, class Rows, class Fill, class Identify>
  bool write(written<C>& slot, verb what, const std::string& table, Values values, Key key, const Rows& rows,
             Fill fill, Identify identify);
  // The operations in member order; what could not be done, or null.
  const char* perform(const change& what);
  const char* perform_states(const change& what);
  const char* perform_publications(const change& what);
  const char* perform_subscriptions(const change& what);
  void perform_watchers(const change& what);

  target to_;
  soci_settings settings_;
  storage_counters counters_;
  std::unique_ptr<connection> connection_;  // absent after a fault
  bool commits_ = false;  // a statement is on its way that makes the change stand: COMMIT, or the only one
  bool states_known_ = false;
  number next_marks_ = 0;  // when sweep() looks at them, in seconds since 1970
};

using row_name = std::initializer_list<std::string_view>;

// The rows one statement changes, by name. It must not change one twice: it would see none of its own
// changes.
class named_rows {
 public:
  void clear() { names_.clear(); }
  bool hold(row_name name) const { return names_.count(joined(name)) != 0; }
  void add(row_name name) { names_.insert(joined(name)); }

 private:
  static std::string joined(row_name name) {
    std::string made;
    for (const auto& part : name) made.append(part) += '\0';
    return made;
  }
  std::unordered_set<std::string> names_;
};

// For rows that are inserted or ended: twice in one statement is as good as one after the other.
constexpr auto no_matter = [](const auto&, const auto&) {};

template <class C, class Values, class Key, class Rows, class Fill, class Identify>
bool adapter::write(written<C>& slot, verb what, const std::string& table, Values values, Key key,
                    const Rows& rows, Fill fill, Identify identify) {
  const auto operation = [&] {
    const bool subscription = what == verb::insert && std::is_same_v<C, subscription_columns>;
    return row_operation{.what = what,
                         .table = table,
                         .values = columns_of<C>(values),
                         .key = columns_of<C>(key),
                         .names = subscription ? ", updated, updated_winfo" : "",
                         .constants = subscription ? ", -1, -1" : ""};
  };
  const auto all_there = [&](long long written, long long wanted) {
    return what != verb::update || written == wanted;
  };
  if (!connection_->gathers(what, rows.size())) {
    if (rows.size() > 1) connection_->begin();
    for (const auto& row : rows) {
      prepared<C>& s = connection_->one(slot, operation, values, key);
      fill(row, s.values, s.key);
      commits_ = !connection_->in_transaction();
      if (!all_there(s.execute(), 1)) return false;
    }
    return true;
  }
  gathered<C>& g = connection_->many(slot, operation, values, key);
  if (what == verb::update) connection_->begin();  // rows that are not there show after the others
  named_rows names;
  for (const auto& row : rows) {
    bool full = g.full();
    identify(row, [&](row_name name) { full = full || names.hold(name); });
    if (full) {
      names.clear();
      connection_->begin();
      const long long wanted = g.rows();
      if (!all_there(g.execute(), wanted)) return false;
    }
    identify(row, [&](row_name name) { names.add(name); });
    fill(row, g.values, g.key);
    g.add();
  }
  const long long wanted = g.rows();
  commits_ = !connection_->in_transaction();
  return all_there(g.execute(), wanted);
}

const char* adapter::perform(const change& what) {
  if (const char* obstacle = perform_states(what)) return obstacle;
  if (const char* obstacle = perform_publications(what)) return obstacle;
  if (const char* obstacle = perform_subscriptions(what)) return obstacle;
  perform_watchers(what);
  return nullptr;
}

// A stamp replaces the known one, whose row stays locked until the end; the row of a new one is unique. All engines
// take them in one order, so that none waits for another in a circle.
const char* adapter::perform_states(const change& what) {
  std::vector<const state_stamp*> known, fresh, alone;
  for (const state_stamp& s : what.states) (!s.known ? alone : *s.known != 0 ? known : fresh).push_back(&s);
  for (auto* list : {&known, &fresh, &alone})
    std::stable_sort(list->begin(), list->end(), [](const state_stamp* a, const state_stamp* b) {
      return std::tie(a->state.resource, a->state.event) < std::tie(b->state.resource, b->state.event);
    });
  if (!known.empty() && !fresh.empty()) connection_->begin();  // one who has the database for himself knows none
  auto& slots = connection_->states;
  using columns = state_columns;
  const auto fill = [now = seconds_now()](const state_stamp* s, columns& values, columns& key) {
    to_columns(*s, values);
    values.touched = now;
    key_columns(s->state.resource, s->state.event, key);
    key.stamp = static_cast<number>(s->known.value_or(0));
  };
  const auto identify = [](const state_stamp* s, auto&& name) { name({s->state.resource, s->state.event}); };
  const std::string& table = settings_.states_table;
  if (!write(slots.update, verb::update, table, state_list, all_of(key_list, stamp_list), known, fill, identify))
    return "another engine has changed the state";
  write(slots.insert, verb::insert, table, all_of(key_list, state_list), no_list, fresh, fill, no_matter);
  write(slots.replace, verb::replace, table, all_of(key_list, state_list), key_list, alone, fill, identify);
  return nullptr;
}

const char* adapter::perform_publications(const change& what) {
  auto& slots = connection_->publications;
  const std::string& table = settings_.presentity_table;
  using columns = publication_columns;

  write(
      slots.erase, verb::erase, table, no_list, key_list, what.ended_publications,
      [](const publication_key& k, columns&, columns& key) { key_columns(k.resource, k.event, k.etag, key); },
      no_matter);
  write(
      slots.insert, verb::insert, table, all_of(key_list, state_list, content_list, birth_list), no_list,
      what.new_publications,
      [](const publication_row& row, columns& values, columns&) {
        to_columns(row, values);
        birth_columns(row, values);
      },
      no_matter);
  const bool all_there = write(
      slots.update, verb::update, table, all_of(tag_list, state_list, content_list), key_list,
      what.changed_publications,
      [](const publication_update& u, columns& values, columns& key) {
        to_columns(u.row, values);
        if (!u.content_changed) values.body.clear(), values.x_content_type.clear();
        key_columns(u.row.resource, u.row.event, u.old_etag, key);
      },
      [](const publication_update& u, auto&& name) {
        name({u.row.resource, u.row.event, u.old_etag});
        name({u.row.resource, u.row.event, u.row.etag});
      });
  return all_there ? nullptr : "a publication to change is not there";
}

const char* adapter::perform_subscriptions(const change& what) {
  auto& slots = connection_->subscriptions;
  const std::string& table = settings_.active_watchers_table;
  using columns = subscription_columns;
  const auto of_key = [](const subscription_key& k, auto&& name) {
    name({k.call_id, k.local_tag, k.remote_tag, k.event, k.event_id});
  };

  write(
      slots.erase, verb::erase, table, no_list, key_list, what.ended_subscriptions,
      [](const subscription_key& k, columns&, columns& key) { key_columns(k, key); }, no_matter);
  write(
      slots.insert, verb::insert, table, all_of(key_list, numbers_list, state_list), no_list,
      what.new_subscriptions,
      [](const subscription_row& row, columns& values, columns&) { to_columns(row, values); }, no_matter);
  if (!write(
          slots.update, verb::update, table, all_of(numbers_list, state_list), key_list,
          what.changed_subscriptions,
          [](const subscription_row& row, columns& values, columns& key) {
            to_columns(row, values);
            key_columns(row, key);
          },
          [&](const subscription_row& row, auto&& name) { of_key(key_of(row), name); })) {
    return "a subscription to change is not there";
  }
  std::vector<const number_reservation*> rows, dialogs;
  for (const auto& r : what.reservations) (of_dialog(r) ? dialogs : rows).push_back(&r);
  const auto fill = [](const number_reservation* n, columns& values, columns& key) {
    number_columns(*n, values);
    key_columns(n->key, key);
    key.local_cseq = values.local_cseq;
  };
  const auto identify = [&](const number_reservation* n, auto&& name) { of_key(n->key, name); };
  if (!write(slots.reserve, verb::update, table, numbers_list, key_list, rows, fill, identify))
    return "a subscription to reserve numbers for is not there";
  write(slots.raise, verb::raise, table, cseq_list, all_of(dialog_list, cseq_list), dialogs, fill, identify);
  return nullptr;
}

void adapter::perform_watchers(const change& what) {
  auto& slots = connection_->watchers;
  const std::string& table = settings_.watchers_table;
  using columns = watcher_columns;

  write(
      slots.erase, verb::erase, table, no_list, key_list, what.ended_watchers,
      [](const watcher_key& k, columns&, columns& key) { key_columns(k, key); }, no_matter);
  write(
      slots.replace, verb::replace, table, all_of(key_list, state_list), key_list, what.watchers,
      [](const watcher_row& row, columns& values, columns&) { to_columns(row, values); },
      [](const watcher_row& row, auto&& name) {
        name({row.resource, row.event, row.watcher});
      });
}

}  // namespace
}  // namespace sql

result<std::unique_ptr<soci_storage>, storage_error> open_soci_storage(const soci_settings& settings) {
  auto to = sql::target_of(settings);
  if (!to) return unexpected{to.error()};
  auto made = std::make_unique<sql::adapter>(std::move(*to), settings);
  if (auto fit = made->check(); !fit) return unexpected{fit.error()};
  return std::unique_ptr<soci_storage>{std::move(made)};
}

namespace {

result<void, storage_error> schema_made(const soci_settings& settings, sql::change_of what) {
  auto to = sql::target_of(settings, sql::purpose::schema);
  if (!to) return unexpected{to.error()};
  storage_counters counters;
  std::optional<sql::connection> connection;  // closing it rolls back
  try {
    connection.emplace(*to, settings, counters, sql::purpose::schema);
    connection->begin();
    auto built = sql::build_schema(*connection, settings, *to->speaks, what);
    if (built) {
      connection->commit();
    } else {
      connection->rollback();
    }
    return built;
  } catch (...) {
    return unexpected{sql::caught(*to, connection.has_value())};
  }
}

}  // namespace

result<void, storage_error> create_schema(const soci_settings& settings) {
  return schema_made(settings, sql::change_of::none);
}

result<void, storage_error> migrate_schema(const soci_settings& settings) {
  return schema_made(settings, sql::change_of::all);
}

}  // namespace presence
