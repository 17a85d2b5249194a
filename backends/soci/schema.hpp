/// The tables as a whole: are they there, are they ours, and how they come to be.
#pragma once

#include <map>
#include <presence/result.hpp>
#include <presence/storage.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "dialect.hpp"

namespace presence::sql {

/// The little of a database that the schema needs. Calls throw what the database's library throws.
class executor {
 public:
  virtual ~executor() = default;
  virtual void execute(const std::string& statement) = 0;
  /// The only column of a query, in which :table is `table`; nothing for an empty query.
  virtual std::vector<std::string> query(std::string_view sentence, const std::string* table) = 0;
  /// Contents of table `version`.
  virtual std::map<std::string, long long> versions() = 0;
  virtual void set_version(const std::string& table, long long version) = 0;
};

/// Whether all three tables are there, in our versions and with our columns, and the server keeps what
/// `settings.commit` promises; else what to do.
result<void, storage_error> check_schema(executor&, const soci_settings&, const dialect&);

/// The same for the table that engines with fallback2db or subs_db_mode 3 need besides.
result<void, storage_error> check_states(executor&, const soci_settings&, const dialect&);

/// Which tables may be changed that are there already. None: absent ones are made, nothing else.
enum class change_of { none, all };

/// Makes it so. The caller provides the transaction, and rolls it back when this fails. What can be
/// refused is refused before anything is changed: MariaDB has no transactions for this.
result<void, storage_error> build_schema(executor&, const soci_settings&, const dialect&, change_of);

}  // namespace presence::sql
