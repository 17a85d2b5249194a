/// Where to connect to: db_url and the other settings, checked and translated for SOCI.
#pragma once

#include <presence/result.hpp>
#include <presence/storage.hpp>
#include <string>

#include "dialect.hpp"
#include "soci_storage.hpp"

namespace presence::sql {

struct target {
  const dialect* speaks = nullptr;
  std::string place = {};       ///< for messages: no password in it
  std::string file = {};        ///< SQLite: the database file
  std::string parameters = {};  ///< SOCI's connection parameters, values quoted
};

/// What a connection is for: everyday work has time limits, changing the schema takes as long as it takes.
enum class purpose { work, schema };

/// How long a statement of everyday work may take: a while beyond waiting for others.
inline seconds work_limit(const soci_settings& s) { return s.busy_timeout + seconds{10}; }

result<target, storage_error> target_of(const soci_settings& settings, purpose = purpose::work);

}  // namespace presence::sql
