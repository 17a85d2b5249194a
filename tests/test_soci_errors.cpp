/// One clear sentence, which says what to do, for every setting, server and schema that does not fit.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "database.hpp"

using namespace presence;
using namespace presence::test;

namespace {

storage_error failure_of(const soci_settings& settings) {
  const auto opened = open_soci_storage(settings);
  REQUIRE_FALSE(opened);
  return opened.error();
}

void says(const std::string& text, std::string_view part) {
  INFO(text);
  CHECK(text.find(part) != std::string::npos);
}
void says(const soci_settings& settings, std::string_view part) { says(failure_of(settings).text, part); }

}  // namespace

TEST_CASE_TEMPLATE("schema: what a table lacks is said in one sentence (T11)", Database, PRESENCE_EVERY_DATABASE) {
  const Database database;
  const soci_settings settings = database.settings();
  if (!Database::is_server)
    says(settings, "does not exist: run `presence-db create` or call create_schema() once");
  database.run("CREATE TABLE unrelated (a INTEGER)");
  says(settings, "table 'version' does not exist: run `presence-db create` or call create_schema() once");
  database.open(settings);
  database.run("DROP TABLE watchers");
  says(settings, "table 'watchers' does not exist: run `presence-db create`");
  database.open(settings);
  database.run("UPDATE version SET table_version = 4 WHERE table_name = 'watchers'");
  says(settings, "table 'watchers' has schema version 4, this library needs version 3");
  database.run("DROP TABLE active_watchers");
  const auto refused = create_schema(settings);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().fault == storage_fault::corrupt);
  says(refused.error().text, "has schema version 4");
  CHECK_FALSE(database.has_table("active_watchers"));  // all or nothing
  CHECK(database.has_table("watchers"));
  database.run("UPDATE version SET table_version = 3 WHERE table_name = 'watchers'");
  database.open(settings);
  database.run("DELETE FROM version WHERE table_name = 'presentity'");
  says(settings, "table 'version' does not name it");
  CHECK_FALSE(create_schema(settings));
}

TEST_CASE("schema: settings that make no sense are refused in one sentence") {
  const sqlite_file file;
  const auto refused = [&](const std::string& url, std::string_view part) {
    soci_settings settings = file.settings();
    settings.db_url = url;
    settings.busy_timeout = seconds{0};
    CAPTURE(url);
    const storage_error error = failure_of(settings);
    CHECK(error.fault == storage_fault::unavailable);
    says(error.text, part);
    CHECK(error.text.find("secret") == std::string::npos);
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
  refused("sqlite:///no/such/directory/x.db", "does not exist");
  refused("oracle://u:secret@h/db", "the scheme is not known: expected sqlite:///absolute/path");
  for (const std::string scheme : {"postgres", "postgresql", "mysql"}) {
    refused(scheme + "://", "it names no database");
    refused(scheme + "://u:secret@h", "it names no database");
    refused(scheme + "://u:secret@h/", "it names no database");
    refused(scheme + "://u:secret@h/db/more", "something follows the database's name");
    refused(scheme + "://u:secret@h/db?sslmode=disable", "something follows the database's name");
    refused(scheme + "://u:secret@h:0/db", "the port is no number");
    refused(scheme + "://u:secret@h:65536/db", "the port is no number");
    refused(scheme + "://u:secret@h:/db", "the port is no number");
    refused(scheme + "://u:secret@h:1x/db", "the port is no number");
    refused(scheme + "://u:secret@[::1/db", "no closing bracket");
    refused(scheme + "://u:secret@[::1]x:1/db", "something follows the host's bracket");
    refused(scheme + "://u:secret%@h/db", "a '%' is not followed by two hexadecimal digits");
    refused(scheme + "://u:secret%4g@h/db", "a '%' is not followed by two hexadecimal digits");
    refused(scheme + "://u:secret%00@h/db", "control character");
    refused(scheme + "://u:secret\n@h/db", "control character");
    refused(scheme + "://u%0a:secret@h/db", "control character");
    refused(scheme + "://u:secret@127.0.0.1:1/db", "at 127.0.0.1 port 1, database 'db', user 'u': ");
    refused(scheme + "://u:secret@127.0.0.1:1/db", "; check that the server runs");
    refused(scheme + "://u:secret@[::1]:1/db", "at ::1 port 1, database 'db'");
    refused(scheme + "://u:secret@%2fno%2fsuch%2fsocket/db", "at /no/such/socket, database 'db'");
  }
  soci_settings settings = file.settings();
  settings.db_url = "sqlite:///no/such/directory/x.db";
  const auto made = create_schema(settings);
  REQUIRE_FALSE(made);
  says(made.error().text, "check that the file's directory exists and may be written");

  for (const char* name : {"", "a b", "1a", "a;b", "a\"", "a-b", "t\xc3\xa9", "version", "watchers",
                           "a234567890123456789012345678901234"}) {
    settings = file.settings();
    settings.presentity_table = name;
    CAPTURE(name);
    says(settings, "table name");
  }
  settings = file.settings();
  settings.db_url = "sqlite:///" + file.path();  // Kamailio's form with four slashes
  file.open(settings);
  CHECK(std::filesystem::exists(file.path()));
}

TEST_CASE("db_url: every part reaches the driver as it was meant, and nothing else does") {
  const auto parameters = [](const std::string& url) {
    soci_settings settings;
    settings.db_url = url;
    const auto to = sql::target_of(settings);
    INFO((to ? std::string{} : to.error().text));
    REQUIRE(to);
    CHECK(to->place.find("secret") == std::string::npos);
    return to->parameters;
  };
  const auto in_order = [](const std::string& text, std::initializer_list<std::string_view> parts) {
    INFO(text);
    std::size_t at = 0;
    for (const auto& part : parts) {
      CAPTURE(part);
      at = text.find(part, at);
      REQUIRE(at != std::string::npos);
      at += part.size();
    }
  };
  // libpq's URI: no quoting to break, every odd byte is encoded
  in_order(parameters(
               "postgres://us%20er:secret%27%5c%40/%26host%3dx singlerows=true@db.example.com:5433/my%2Fdb"),
           {"postgresql:///?", "&host=db.example.com&", "port=5433&", "user=us%20er&",
            "password=secret%27%5C%40%2F%26host%3Dx%20singlerows%3Dtrue&", "dbname=my%2Fdb&",
            "connect_timeout=5"});
  in_order(parameters("postgresql://%2Fvar%2Frun%2Fpostgresql/db"),
           {"&host=%2Fvar%2Frun%2Fpostgresql&dbname=db&"});
  in_order(parameters("postgresql:///db"), {"&dbname=db&"});
  in_order(parameters("postgresql://u@[2001:db8::1]:1/db"),
           {"&host=2001%3Adb8%3A%3A1&port=1&user=u&dbname=db"});
  // SOCI's own parser: quotes and backslashes are preceded by a backslash
  in_order(parameters("mysql://us'er:secret%27%5c@x' host='evil@db.example.com:3307/d%27b"),
           {"charset='utf8mb4' host='db.example.com' port='3307' user='us\\'er' password='secret\\'\\\\@x\\' "
            "host=\\'evil'",
            " db='d\\'b' connect_timeout='5' read_timeout='20'"});
  in_order(parameters("mysql://u@%2Frun%2Fmysqld%2Fmysqld.sock/db"),
           {"unix_socket='/run/mysqld/mysqld.sock' user='u' db='db'"});
}

TEST_CASE_TEMPLATE("a server that refuses is quoted, with what to check and without the password", Database,
                   PRESENCE_EVERY_SERVER) {
  const Database database;
  soci_settings settings = database.settings();
  const std::string url = settings.db_url;
  const auto refused = [&](const std::string& changed, std::string_view part) {
    settings.db_url = changed;
    const storage_error error = failure_of(settings);
    CHECK(error.fault == storage_fault::unavailable);
    says(error.text, "database '");
    says(error.text, part);
    says(error.text, "; check that the server runs, and server, user, password and database in db_url");
    CHECK(error.text.find("pass:word") == std::string::npos);
    CHECK(error.text.find("pass%3aword") == std::string::npos);
    CHECK(error.text.find("wrong-one") == std::string::npos);
  };
  const auto colon = url.find(':', url.find("://") + 3), at = url.find('@');
  refused(url.substr(0, colon + 1) + "wrong-one" + url.substr(at),
          "presence");  // both databases name the user
  refused(url + "_absent", database.name() + "_absent");
  const auto port = url.rfind(':');
  refused(url.substr(0, port) + ":1/" + database.name(), "port 1");

  // a user who may read and write nothing
  settings.db_url = url;
  database.open(settings);
  const std::string what = "stranger" + database.name();
  *database.home() << "CREATE USER " + what +
                          (url.starts_with("mysql") ? " IDENTIFIED BY 'p'" : " PASSWORD 'p'");
  if (url.starts_with("mysql"))
    *database.home() << "GRANT SELECT ON " + database.name() + ".version TO " + what;
  settings.db_url = url.substr(0, url.find("://") + 3) + what + ":p" + url.substr(at);
  const auto opened = open_soci_storage(settings);
  CHECK_FALSE(opened);
  *database.home() << "DROP USER " + what;
}

TEST_CASE_TEMPLATE("a socket can be named in db_url", Database, PRESENCE_EVERY_SERVER) {
  const Database database;
  database.open();
  soci_settings settings = database.settings();
  const std::string& url = settings.db_url;
  std::string socket = environment("PRESENCE_TEST_DATABASES");
  const bool is_mariadb = url.starts_with("mysql");
  socket += is_mariadb ? "/mariadb.socket/socket" : "/postgres.socket";
  std::string encoded;
  for (const char c : socket) encoded += c == '/' ? std::string{"%2F"} : std::string{c};
  const std::string port =
      url.substr(url.rfind(':'), url.rfind('/') - url.rfind(':'));  // names PostgreSQL's socket
  settings.db_url =
      url.substr(0, url.find('@') + 1) + encoded + (is_mariadb ? "" : port) + "/" + database.name();
  const auto opened = open_soci_storage(settings);
  INFO((opened ? std::string{} : opened.error().text));
  CHECK(opened);
}

TEST_CASE_TEMPLATE("a server that would lose what it has confirmed is refused for durability::full", Database,
                   PRESENCE_EVERY_SERVER) {
  const Database database;
  soci_settings settings = database.settings();
  settings.commit = durability::full;
  database.open(settings);  // these servers do not
  if (settings.db_url.starts_with("mysql")) {
    *database.home() << "SET GLOBAL innodb_flush_log_at_trx_commit = 2";
    const storage_error error = failure_of(settings);
    CHECK(error.fault == storage_fault::unavailable);
    says(error.text, "innodb_flush_log_at_trx_commit is 2");
    says(error.text, "open with durability::normal");
    settings.commit = durability::normal;
    CHECK(open_soci_storage(settings));
    *database.home() << "SET GLOBAL innodb_flush_log_at_trx_commit = 1";
  }
}
