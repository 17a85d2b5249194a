/// What only a file can be: full by a limit of its size, gone, or something else.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "raw_sqlite.hpp"
#include "sqlite_file.hpp"
#include "storage_rows.hpp"

using namespace presence;
using namespace storage_contract;

TEST_CASE("sqlite: the file is in WAL mode") {
  const sqlite_file file;
  file.open();
  CHECK(raw_sqlite{file.path()}.value("PRAGMA journal_mode") == "wal");
}

TEST_CASE("sqlite: when the disk is full nothing of the change is written, and later it is") {
  const sqlite_file file;
  const auto rows = file.open();
  apply(*rows, one_of_each());
  change big;
  for (unsigned i = 0; i < 20; ++i) {
    big.new_publications.push_back(publication("sip:alice@example.com", "big" + std::to_string(i), i + 10));
    big.new_publications.back().content = body{"text/plain", std::string(100000, 'x')};
  }
  rlimit old{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 500000, .rlim_max = old.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const auto done = rows->apply(big);
  const contents held = read_all(*rows);
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CHECK(error_of(done).fault == storage_fault::unavailable);
  CHECK_FALSE(error_of(done).nothing_written);  // an I/O error at COMMIT: the end of the log may be there
  CHECK(held == rows_of(one_of_each()));
  apply(*rows, big);
  CHECK(read_all(*rows).publications.size() == 21);
}

TEST_CASE("sqlite: a file that is gone is not silently made anew") {
  const sqlite_file file;
  soci_settings settings = file.settings();
  settings.busy_timeout = seconds{0};
  const auto rows = file.open(settings);
  {
    raw_sqlite other{file.path()};
    other.run("BEGIN IMMEDIATE");
    CHECK_FALSE(rows->apply(one_of_each()));  // after a fault the connection is made anew
  }
  std::filesystem::remove(file.path());
  const storage_error error = error_of(rows->apply(one_of_each()));
  CHECK(error.fault == storage_fault::unavailable);
  CHECK(error.text.find("does not exist") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(file.path()));
}

TEST_CASE("sqlite: a file that is no database is corrupt, and stays as it is") {
  const sqlite_file file;
  std::ofstream{file.path()} << std::string(8192, 'x');
  const auto opened = open_soci_storage(file.settings());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().fault == storage_fault::corrupt);
  CHECK(error_of(create_schema(file.settings())).fault == storage_fault::corrupt);
  CHECK(std::filesystem::file_size(file.path()) == 8192);
}
