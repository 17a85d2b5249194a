/// The command-line tool: what it says, and with which exit status.
#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "database.hpp"

using namespace presence;
using namespace presence::test;

namespace {

struct outcome {
  int status = -1;
  std::string said;
};

outcome shell(const std::string& command) {
  outcome made;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) made.said += static_cast<char>(c);
  const int status = ::pclose(pipe);
  made.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return made;
}

outcome presence_db(const std::string& arguments, const std::string& url = {}) {
  return shell((url.empty() ? "env -u PRESENCE_DB_URL '" : "PRESENCE_DB_URL='" + url + "' '") + PRESENCE_DB +
               "' " + arguments);
}

void says(const outcome& made, int status, std::string_view part) {
  INFO(made.said);
  CHECK(made.status == status);
  CHECK(made.said.find(part) != std::string::npos);
  CHECK(made.said.find("pass:word") == std::string::npos);
}

}  // namespace

TEST_CASE("presence-db: --help, and what is wrong with a command line") {
  says(presence_db("--help"), 0, "usage: presence-db create|migrate|check --db-url URL");
  says(presence_db(""), 2, "say create, migrate or check");
  says(presence_db("create"), 2, "give --db-url");
  says(presence_db("create check --db-url sqlite:///x"), 2, "both create and check");
  says(presence_db("upgrade"), 2, "unknown command upgrade");
  says(presence_db("check --db-url"), 2, "--db-url wants a value");
  says(presence_db("check --colour red"), 2, "unknown option --colour");
  says(presence_db("check --durability some"), 2, "--durability wants full or normal");
  says(presence_db("check --db-url oracle://u:pass:word@h/db"), 1,
       "presence-db: db_url: the scheme is not known");
  says(presence_db("check oracle://u:pass:word@h/db"), 2, "a URL goes after --db-url");
  says(presence_db("check --db-url=oracle://u:pass:word@h/db"), 1, "presence-db: db_url: the scheme is not known");
  says(presence_db("check --url=oracle://u:pass:word@h/db"), 2, "unknown option --url");
  says(presence_db("check --url oracle://u:pass:word@h/db"), 2, "unknown option --url");
}

TEST_CASE("presence-db: check leaves a file of Kamailio's as it is (T10)") {
  const sqlite_database database;
  database.run("CREATE TABLE version (id INTEGER PRIMARY KEY, table_name TEXT, table_version INTEGER)");
  says(presence_db("check", database.settings().db_url), 1, "table 'presentity' does not exist");
  CHECK(database.value("PRAGMA journal_mode") == "delete");
}

TEST_CASE_TEMPLATE("presence-db: check refuses, create makes it ready, and again", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database database;
  const std::string url = database.settings().db_url;
  says(presence_db("check", url), 1, "does not exist: run `presence-db create`");
  says(presence_db("create", url), 0, "ready: tables presentity, active_watchers and watchers\n");
  says(presence_db("create", url), 0, "ready");
  says(presence_db("check", url), 0, "ready");
  says(presence_db("check --watchers-table w2", url), 1, "table 'w2' does not exist");
  says(presence_db("create --presentity-table p2 --active-watchers-table a2 --watchers-table w2", url), 0,
       "ready: tables p2, a2 and w2");
  CHECK(database.has_table("w2"));
  database.run("UPDATE version SET table_version = 13 WHERE table_name = 'a2'");
  says(presence_db("create --active-watchers-table a2", url), 1,
       "table 'a2' has schema version 13, this library needs version 12");
  says(presence_db("migrate --active-watchers-table a2", url), 1, "this library needs version 12");
  database.run("UPDATE version SET table_version = 11 WHERE table_name = 'a2'");
  database.run("ALTER TABLE a2 DROP COLUMN flags");
  const std::string a2 = " --active-watchers-table a2";
  says(presence_db("create" + a2, url), 1, "needs version 12: run `presence-db migrate`");
  says(presence_db("check" + a2, url), 1, "needs version 12: run `presence-db migrate`");
  says(presence_db("migrate" + a2, url), 0, "ready: tables presentity, a2 and watchers");
  says(presence_db("check" + a2, url), 0, "ready");
  says(presence_db("migrate", url), 0, "ready");
  database.run("DROP TABLE presence_states");
  says(presence_db("check", url), 0, "not for fallback2db and several engines (subs_db_mode 3): table 'presence_states' does not exist");
  says(presence_db("create --states-table s2", url), 0, "watchers\n");
  CHECK(database.has_table("s2"));
}

TEST_CASE_TEMPLATE("presence-db: a SOCI backend that is not installed is named with its package", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database database;
  soci_settings settings = database.settings();
  const auto to = sql::target_of(settings);
  REQUIRE(to);
  const std::string backend{to->speaks->backend}, package{to->speaks->package};
  // a library that is no library, in a view of the file system of its own
  const std::string hide = "for f in $(ldconfig -p | grep -o \"/.*libsoci_" + backend +
                           "[.]so.*\"); do mount --bind /dev/null $f || exit 77; done; ";
  const outcome made = shell("unshare -rm sh -c '" + hide + "PRESENCE_DB_URL=\"" + settings.db_url +
                             "\" exec " + PRESENCE_DB + " create'");
  if (made.status == 77 || made.said.find("unshare") != std::string::npos) {
    MESSAGE("skipped: no mount namespace here: ", made.said);
    return;
  }
  says(made, 1,
       "presence-db: SOCI cannot load its backend '" + backend + "': install the Debian package " + package);
  CHECK(shell("dpkg-query -W " + package).status == 0);
}
