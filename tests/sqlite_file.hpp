/// A SQLite database file of its own for one test, in the directory for temporary files.
#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <soci_storage.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

class sqlite_file {
 public:
  sqlite_file() {
    static std::atomic<unsigned> count{0};
    directory_ = std::filesystem::temp_directory_path() /
                 ("presence test " + std::to_string(::getpid()) + "." + std::to_string(++count));
    std::filesystem::create_directories(directory_);
  }
  ~sqlite_file() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  sqlite_file(const sqlite_file&) = delete;
  sqlite_file& operator=(const sqlite_file&) = delete;

  std::string path() const { return (directory_ / "rows.db").string(); }

  presence::soci_settings settings() const {
    presence::soci_settings made;
    made.db_url = "sqlite://" + path();
    made.commit = presence::durability::normal;
    return made;
  }

  /// Makes the database ready, whatever is there, and opens it.
  std::unique_ptr<presence::soci_storage> open() const { return open(settings()); }
  static std::unique_ptr<presence::soci_storage> open(const presence::soci_settings& with) {
    const auto made =
        with.read_only ? presence::result<void, presence::storage_error>{} : presence::migrate_schema(with);
    if (!made) throw std::runtime_error{made.error().text};
    auto opened = presence::open_soci_storage(with);
    if (!opened) throw std::runtime_error{opened.error().text};
    return std::move(*opened);
  }

 private:
  std::filesystem::path directory_;
};
