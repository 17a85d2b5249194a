/// What differs between databases, as data: one constant per database. Everything else in this
/// directory is written once.
#pragma once

#include <string>
#include <string_view>

#include <presence/result.hpp>
#include <presence/storage.hpp>

#include "soci_storage.hpp"

namespace presence::sql {

struct dialect {
  std::string_view scheme;   ///< of db_url
  std::string_view backend;  ///< SOCI's name of it
  std::string_view package;  ///< Debian package of SOCI's backend
  std::string_view id_type;
  std::string_view blob_type;
  std::string_view on_connect;         ///< first statement of a connection that may write
  std::string_view durable, deferred;  ///< make commits wait for the disk, or not
  std::string_view begin;              ///< begins a transaction that is going to write
  std::string_view tables;             ///< query: names of all tables
  std::string_view columns;            ///< query: names of the columns of :table
  bool partial_indexes;
  /// Tells a fault by the database's own message. SOCI's typed errors with their codes would need
  /// the backend's library at link time, which this library avoids.
  storage_fault (*fault)(std::string_view message);
};

extern const dialect sqlite;

/// Where to connect to.
struct target {
  const dialect* speaks = nullptr;
  std::string file = {};        ///< SQLite: the database file
  std::string parameters = {};  ///< SOCI's connection parameters, values quoted
};

/// Reads db_url and checks the other settings.
result<target, storage_error> target_of(const soci_settings& settings);

}  // namespace presence::sql
