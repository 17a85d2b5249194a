/// One clear sentence, which says what to do, for every setting and schema that does not fit.
#include <filesystem>
#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "raw_sqlite.hpp"
#include "sqlite_file.hpp"

using namespace presence;

namespace {

std::string failure_of(const soci_settings& settings) {
  const auto opened = open_soci_storage(settings);
  REQUIRE_FALSE(opened);
  return opened.error().text;
}

bool says(const std::string& text, std::string_view part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("schema: what a table lacks is said in one sentence") {
  const sqlite_file file;
  soci_settings settings = file.settings();
  says(failure_of(settings), "does not exist: call create_schema() once before the first start");
  CHECK_FALSE(std::filesystem::exists(file.path()));
  raw_sqlite db{file.path()};
  db.run("CREATE TABLE unrelated (a)");
  says(failure_of(settings), "table 'version' does not exist: call create_schema()");
  file.open(settings);
  db.run("DROP TABLE watchers");
  says(failure_of(settings), "table 'watchers' does not exist: call create_schema()");
  file.open(settings);
  db.run("UPDATE version SET table_version = 4 WHERE table_name = 'watchers'");
  says(failure_of(settings), "table 'watchers' has schema version 4, this library needs version 3");
  db.run("DROP TABLE active_watchers");
  const auto refused = create_schema(settings);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().fault == storage_fault::corrupt);
  says(refused.error().text, "has schema version 4");
  CHECK(db.value("SELECT count(*) FROM sqlite_master WHERE name = 'active_watchers'") ==
        "0");  // all or nothing
  db.run("UPDATE version SET table_version = 3 WHERE table_name = 'watchers'");
  file.open(settings);
  db.run("DELETE FROM version WHERE table_name = 'presentity'");
  says(failure_of(settings), "table 'version' does not name it");
}

TEST_CASE("schema: settings that make no sense are refused in one sentence") {
  const sqlite_file file;
  const auto refused = [&](const std::string& url, std::string_view part) {
    soci_settings settings = file.settings();
    settings.db_url = url;
    CAPTURE(url);
    says(failure_of(settings), part);
    CHECK_FALSE(create_schema(settings));
  };
  refused("", "db_url has no scheme: expected sqlite:///absolute/path");
  refused("/var/lib/presence.db", "db_url has no scheme");
  refused("sqlite://relative/path", "not absolute");
  refused("sqlite://", "not absolute");
  refused("sqlite:///", "names no file");
  refused("sqlite:///tmp/", "names no file");
  refused("sqlite:///tmp/a\"b", "quote");
  refused("sqlite:///tmp/a\nb", "control character");
  refused("oracle://u:secret@h/db", "the scheme is not known");
  refused("postgres://u:secret@h/db", "postgres is not supported yet by this build");
  refused("mysql://u:secret@h/db", "mysql is not supported yet by this build");
  refused("sqlite:///no/such/directory/x.db", "");
  soci_settings settings = file.settings();
  settings.db_url = "mysql://u:secret@h/db";
  CHECK(failure_of(settings).find("secret") == std::string::npos);
  settings.db_url = "sqlite:///no/such/directory/x.db";
  const auto made = create_schema(settings);
  REQUIRE_FALSE(made);
  says(made.error().text, "check that its directory exists and may be written");

  for (const char* name : {"", "a b", "1a", "a;b", "a\"", "a-b", "t\xc3\xa9", "version", "watchers",
                           "a234567890123456789012345678901234"}) {
    settings = file.settings();
    settings.presentity_table = name;
    CAPTURE(name);
    says(failure_of(settings), "table name");
  }
  settings = file.settings();
  settings.db_url = "sqlite:///" + file.path();  // Kamailio's form with four slashes
  file.open(settings);
  CHECK(std::filesystem::exists(file.path()));
}
