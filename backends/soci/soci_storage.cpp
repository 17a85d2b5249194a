#include "soci_storage.hpp"

#include <algorithm>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "columns.hpp"
#include "dialect.hpp"
#include "schema.hpp"
#include "session.hpp"
#include "statements.hpp"

namespace presence {
namespace sql {
namespace {

using outcome = result<void, storage_error>;

unexpected<storage_error> fault(storage_fault which, std::string text) {
  return {storage_error{which, std::move(text)}};
}

std::size_t operations(const change& c) {
  return c.ended_publications.size() + c.new_publications.size() + c.changed_publications.size() +
         c.ended_subscriptions.size() + c.new_subscriptions.size() + c.changed_subscriptions.size() +
         c.reservations.size() + c.ended_watchers.size() + c.watchers.size();
}

// What went wrong, from an exception in flight. SOCI adds the statement and its values to what();
// they stay out of the log, get_error_message() is the database's own sentence.
storage_error caught(const target& to) {
  const dialect& speaks = *to.speaks;
  try {
    throw;
  } catch (const soci::soci_error& e) {
    std::string message = e.get_error_message();
    std::replace_if(
        message.begin(), message.end(), [](unsigned char c) { return c < 0x20; }, ' ');
    if (message.find("shared library") != message.npos) {
      return {storage_fault::unavailable, "SOCI cannot load its backend '" + std::string{speaks.backend} +
                                              "': install the Debian package " + std::string{speaks.package}};
    }
    if (message.find("unable to open") != message.npos) {
      return {storage_fault::unavailable,
              message + " '" + to.file + "': check that its directory exists and may be written"};
    }
    return {speaks.fault(message), message};
  } catch (const std::exception& e) {
    return {storage_fault::unavailable, e.what()};
  } catch (...) {
    return {storage_fault::unavailable, "unknown exception"};
  }
}

// SQLite makes a file that is not there; only create_schema() may.
outcome file_must_exist(const target& to) {
  std::error_code error;
  if (std::filesystem::exists(to.file, error)) return {};
  return fault(
      storage_fault::unavailable,
      "database file '" + to.file + "' does not exist: call create_schema() once before the first start");
}

class adapter : public soci_storage {
 public:
  adapter(target to, soci_settings settings) : to_{std::move(to)}, settings_{std::move(settings)} {}

  outcome check() {
    return guarded([&] { return check_schema(*connection_, settings_); });
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
    const std::size_t count = operations(what);
    if (count == 0) return {};
    return guarded([&]() -> outcome {
      if (count > 1) connection_->begin();
      if (const char* obstacle = perform(what)) {
        if (count > 1) connection_->rollback();
        return fault(storage_fault::conflict, obstacle);
      }
      if (count > 1) connection_->commit();
      return {};
    });
  }

  result<std::size_t, storage_error> sweep(instant before, const std::vector<std::string>& known) override {
    std::size_t deleted = 0;
    const outcome done = guarded([&]() -> outcome {
      connection_->begin();
      deleted = connection_->sweep(settings_.presentity_table, before, known) +
                connection_->sweep(settings_.active_watchers_table, before, known);
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
  template <class Work>
  outcome guarded(Work work) {
    outcome done;
    try {
      if (!connection_) {
        if (done = file_must_exist(to_); done) {
          connection_ = std::make_unique<connection>(to_, settings_, counters_);
        }
      }
      if (done) done = work();
    } catch (...) {
      const storage_error error = caught(to_);
      done = unexpected{error};
      recover(error.fault);
    }
    if (!done) ++(done.error().fault == storage_fault::conflict ? counters_.conflicts : counters_.faults);
    return done;
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

  template <class C, class Values, class Row>
  outcome page(statements_of<C> connection::*table, const std::string& name, Values values,
               const row_filter& want, cursor& at, std::size_t limit, std::vector<Row>& out) {
    if (at.done || limit == 0) return {};
    const std::size_t before = out.size();
    cursor moved = at;
    const outcome done = guarded([&]() -> outcome {
      prepared<C>& query = page_query((*connection_).*table, name, values, want);
      key_of_page(want, query.key);
      query.after = at.after;
      query.count = static_cast<number>(std::min<std::size_t>(limit, std::numeric_limits<int>::max()));
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

  template <class C>
  static void key_of_page(const row_filter& want, C& key) {
    key.event.assign(want.event);
    resource_columns(want.resource, key);
  }

  template <class C, class Values>
  prepared<C>& page_query(statements_of<C>& table, const std::string& name, Values values,
                          const row_filter& want) {
    connection& c = *connection_;
    if (want.event.empty() && want.resource.empty()) return c.reading(table.pages[0], name, values, no_list);
    if (want.resource.empty()) return c.reading(table.pages[1], name, values, event_list);
    if (want.event.empty()) return c.reading(table.pages[2], name, values, resource_list);
    return c.reading(table.pages[3], name, values, all_of(resource_list, event_list));
  }

  // The operations in member order; what could not be done, or null.
  const char* perform(const change& what);
  const char* perform_publications(const change& what);
  const char* perform_subscriptions(const change& what);
  void perform_watchers(const change& what);

  target to_;
  soci_settings settings_;
  storage_counters counters_;
  std::unique_ptr<connection> connection_;  // absent after a fault
};

const char* adapter::perform(const change& what) {
  if (const char* obstacle = perform_publications(what)) return obstacle;
  if (const char* obstacle = perform_subscriptions(what)) return obstacle;
  perform_watchers(what);
  return nullptr;
}

const char* adapter::perform_publications(const change& what) {
  connection& c = *connection_;
  auto& slots = c.publications;
  const std::string& table = settings_.presentity_table;
  const auto remove = [&](const names&, const names& key) { return delete_row(table, key); };
  const auto insert = [&](const names& columns, const names&) { return insert_row(table, columns); };
  const auto update = [&](const names& columns, const names& key) { return update_row(table, columns, key); };

  for (const auto& key : what.ended_publications) {
    auto& s = c.writing(slots.erase, no_list, key_list, remove);
    key_columns(key.resource, key.event, key.etag, s.key);
    s.execute();
  }
  for (const auto& row : what.new_publications) {
    auto& s =
        c.writing(slots.insert, all_of(key_list, state_list, content_list, birth_list), no_list, insert);
    to_columns(row, s.values);
    s.execute();
  }
  for (const auto& [old_etag, content_changed, row] : what.changed_publications) {
    auto& s = content_changed ? c.writing(slots.update_content, all_of(tag_list, state_list, content_list),
                                          key_list, update)
                              : c.writing(slots.update, all_of(tag_list, state_list), key_list, update);
    to_columns(row, s.values);
    key_columns(row.resource, row.event, old_etag, s.key);
    if (s.execute() == 0) return "a publication to change is not there";
  }
  return nullptr;
}

const char* adapter::perform_subscriptions(const change& what) {
  connection& c = *connection_;
  auto& slots = c.subscriptions;
  const std::string& table = settings_.active_watchers_table;
  const auto remove = [&](const names&, const names& key) { return delete_row(table, key); };
  const auto insert = [&](const names& columns, const names&) {
    return insert_row(table, columns, {{"updated", "-1"}, {"updated_winfo", "-1"}});
  };
  const auto update = [&](const names& columns, const names& key) { return update_row(table, columns, key); };

  for (const auto& key : what.ended_subscriptions) {
    auto& s = c.writing(slots.erase, no_list, key_list, remove);
    key_columns(key, s.key);
    s.execute();
  }
  for (const auto& row : what.new_subscriptions) {
    auto& s = c.writing(slots.insert, all_of(key_list, numbers_list, state_list), no_list, insert);
    to_columns(row, s.values);
    s.execute();
  }
  for (const auto& row : what.changed_subscriptions) {
    auto& s = c.writing(slots.update, all_of(numbers_list, state_list), key_list, update);
    to_columns(row, s.values);
    key_columns(row, s.key);
    if (s.execute() == 0) return "a subscription to change is not there";
  }
  for (const auto& [key, local_cseq, version] : what.reservations) {
    auto& s = c.writing(slots.reserve, numbers_list, key_list, update);
    s.values.local_cseq = static_cast<number>(local_cseq) - 1;
    s.values.version = version;
    key_columns(key, s.key);
    if (s.execute() == 0) return "a subscription to reserve numbers for is not there";
  }
  return nullptr;
}

void adapter::perform_watchers(const change& what) {
  connection& c = *connection_;
  auto& slots = c.watchers;
  const std::string& table = settings_.watchers_table;

  for (const auto& key : what.ended_watchers) {
    auto& s = c.writing(slots.erase, no_list, key_list,
                        [&](const names&, const names& keys) { return delete_row(table, keys); });
    key_columns(key, s.key);
    s.execute();
  }
  for (const auto& row : what.watchers) {
    auto& s = c.writing(slots.put, all_of(key_list, state_list), no_list, [&](const names&, const names&) {
      return put_row(*to_.speaks, table, names_of<watcher_columns>(state_list),
                     names_of<watcher_columns>(key_list));
    });
    to_columns(row, s.values);
    s.execute();
  }
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

result<void, storage_error> create_schema(const soci_settings& settings) {
  auto to = sql::target_of(settings);
  if (!to) return unexpected{to.error()};
  try {
    storage_counters counters;
    sql::connection connection{*to, settings, counters};
    connection.begin();
    auto built = sql::build_schema(connection, settings, *to->speaks);
    if (built) {
      connection.commit();
    } else {
      connection.rollback();
    }
    return built;
  } catch (...) {
    return unexpected{sql::caught(*to)};  // closing the connection has rolled back
  }
}

}  // namespace presence
