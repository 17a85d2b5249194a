// presence-db: makes a database ready for this library, and says whether one is.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "soci_storage.hpp"

namespace {

constexpr const char* usage = R"(usage: presence-db create|migrate|check --db-url URL [option]...

  create   makes the tables that are absent; changes none that is there
  migrate  as create, and makes tables of Kamailio 5.6 ready: adds this library's own columns (x_*) and widens what
           is too narrow. Rows stay as they are, and Kamailio can go on using the tables. Tables of older versions
           of Kamailio (presentity version 4, active_watchers version 11) become those of 5.6, which that older
           Kamailio refuses to use from then on. On large tables this can take a while, during which they are
           locked. Make a copy first: on MariaDB it is not one transaction. Calling it again goes on where it was
           stopped.
  check    writes nothing; says what is missing, and whether several engines can share the database

  --db-url URL        sqlite:///absolute/path
                      postgres://user:password@host:port/database
                      mysql://user:password@host:port/database     (MariaDB)
                      In user, password and database write %40 for @, %3a for :, %2f for /, %25 for %.
                      A socket stands in place of the host: postgres://user@%2Fvar%2Frun%2Fpostgresql/database,
                      mysql://user@%2Frun%2Fmysqld%2Fmysqld.sock/database.
                      Without this option: the environment variable PRESENCE_DB_URL, which other users of the
                      machine cannot see as they can see a command line.
  --presentity-table NAME, --active-watchers-table NAME, --watchers-table NAME, --states-table NAME
                      when they are not called presentity, active_watchers, watchers and presence_states
  --durability full|normal
                      check: whether the server must keep every confirmed change through a power failure
                      (full, the default)
  --help              this text

exit status: 0 the database is ready; 1 it is not, or cannot be reached: stderr says why, and what to do; 2 wrong usage
)";

int wrong(const std::string& why) {
  std::fprintf(stderr, "presence-db: %s (--help lists the options)\n", why.c_str());
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  presence::soci_settings settings;
  if (const char* url = std::getenv("PRESENCE_DB_URL")) settings.db_url = url;
  std::string command;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      std::fputs(usage, stdout);
      return 0;
    }
    if (argument == "create" || argument == "migrate" || argument == "check") {
      if (!command.empty()) return wrong("both " + command + " and " + argument);
      command = argument;
      continue;
    }
    // what may be a password is not repeated
    if (!argument.starts_with("--"))
      return wrong(argument.find(':') == argument.npos ? "unknown command " + argument : "a URL goes after --db-url");
    std::string value;
    if (const auto equals = argument.find('='); equals != argument.npos) {
      value = argument.substr(equals + 1);
      argument.resize(equals);
    } else if (i + 1 == argc) {
      return wrong(argument + " wants a value");
    } else {
      value = argv[++i];
    }
    if (argument == "--db-url")
      settings.db_url = value;
    else if (argument == "--presentity-table")
      settings.presentity_table = value;
    else if (argument == "--active-watchers-table")
      settings.active_watchers_table = value;
    else if (argument == "--watchers-table")
      settings.watchers_table = value;
    else if (argument == "--states-table")
      settings.states_table = value;
    else if (argument == "--durability" && (value == "full" || value == "normal"))
      settings.commit = value == "full" ? presence::durability::full : presence::durability::normal;
    else if (argument == "--durability")
      return wrong("--durability wants full or normal");
    else
      return wrong("unknown option " + argument);
  }
  if (command.empty()) return wrong("say create, migrate or check");
  if (settings.db_url.empty()) return wrong("give --db-url, or set PRESENCE_DB_URL");

  const auto failed = [](const presence::storage_error& error) {
    std::fprintf(stderr, "presence-db: %s\n", error.text.c_str());
    return 1;
  };
  if (command != "check") {
    const auto made =
        command == "create" ? presence::create_schema(settings) : presence::migrate_schema(settings);
    if (!made) return failed(made.error());
  }
  settings.read_only = command == "check";  // to look is not to change, not even how the file of SQLite is written
  const auto opened = presence::open_soci_storage(settings);
  if (!opened) return failed(opened.error());
  std::printf("ready: tables %s, %s and %s\n", settings.presentity_table.c_str(),
              settings.active_watchers_table.c_str(), settings.watchers_table.c_str());
  if (const auto shared = (*opened)->mark("sip:nobody@invalid", "presence"); !shared)
    std::printf("not for fallback2db and several engines (subs_db_mode 3): %s\n", shared.error().text.c_str());
  return 0;
}
