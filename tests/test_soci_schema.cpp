/// The three tables as another program sees them: Kamailio's columns, its rows read, ours readable.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "database.hpp"
#include "storage_rows.hpp"

using namespace presence;
using namespace presence::test;
using namespace storage_contract;

namespace {

// A table as Kamailio declares it: name, type, NOT NULL, default.
using column_list = std::vector<std::string>;
const column_list kamailio_presentity{"id|INTEGER|1|NULL",
                                      "username|VARCHAR(64)|1|NULL",
                                      "domain|VARCHAR(64)|1|NULL",
                                      "event|VARCHAR(64)|1|NULL",
                                      "etag|VARCHAR(128)|1|NULL",
                                      "expires|INTEGER|1|NULL",
                                      "received_time|INTEGER|1|NULL",
                                      "body|BLOB|1|NULL",
                                      "sender|VARCHAR(255)|1|NULL",
                                      "priority|INTEGER|1|0",
                                      "ruid|VARCHAR(64)|0|NULL"};
const column_list kamailio_active_watchers{"id|INTEGER|1|NULL",
                                           "presentity_uri|VARCHAR(255)|1|NULL",
                                           "watcher_username|VARCHAR(64)|1|NULL",
                                           "watcher_domain|VARCHAR(64)|1|NULL",
                                           "to_user|VARCHAR(64)|1|NULL",
                                           "to_domain|VARCHAR(64)|1|NULL",
                                           "event|VARCHAR(64)|1|'presence'",
                                           "event_id|VARCHAR(64)|0|NULL",
                                           "to_tag|VARCHAR(128)|1|NULL",
                                           "from_tag|VARCHAR(128)|1|NULL",
                                           "callid|VARCHAR(255)|1|NULL",
                                           "local_cseq|INTEGER|1|NULL",
                                           "remote_cseq|INTEGER|1|NULL",
                                           "contact|VARCHAR(255)|1|NULL",
                                           "record_route|TEXT|0|NULL",
                                           "expires|INTEGER|1|NULL",
                                           "status|INTEGER|1|2",
                                           "reason|VARCHAR(64)|0|NULL",
                                           "version|INTEGER|1|0",
                                           "socket_info|VARCHAR(64)|1|NULL",
                                           "local_contact|VARCHAR(255)|1|NULL",
                                           "from_user|VARCHAR(64)|1|NULL",
                                           "from_domain|VARCHAR(64)|1|NULL",
                                           "updated|INTEGER|1|NULL",
                                           "updated_winfo|INTEGER|1|NULL",
                                           "flags|INTEGER|1|0",
                                           "user_agent|VARCHAR(255)|0|''"};
const column_list kamailio_watchers{"id|INTEGER|1|NULL",
                                    "presentity_uri|VARCHAR(255)|1|NULL",
                                    "watcher_username|VARCHAR(64)|1|NULL",
                                    "watcher_domain|VARCHAR(64)|1|NULL",
                                    "event|VARCHAR(64)|1|'presence'",
                                    "status|INTEGER|1|NULL",
                                    "reason|VARCHAR(64)|0|NULL",
                                    "inserted_time|INTEGER|1|NULL"};
const column_list kamailio_version{"id|INTEGER|1|NULL", "table_name|VARCHAR(32)|1|NULL",
                                   "table_version|INTEGER|1|0"};

// Kamailio's columns first, as `types` calls their types, then only columns of ours, which Kamailio can leave
// out.
template <class Database>
void check_columns(const Database& db, const std::string& table, const column_list& kamailio) {
  column_list found = db.columns_of(table);
  CAPTURE(table);
  REQUIRE(found.size() >= kamailio.size());
  const column_list ours(found.begin() + static_cast<std::ptrdiff_t>(kamailio.size()), found.end());
  found.resize(kamailio.size());
  column_list expected;
  for (const auto& column : kamailio) {
    const auto begin = column.find('|') + 1, end = column.find('|', begin);
    const std::string name = column.substr(0, begin - 1), type = column.substr(begin, end - begin);
    expected.push_back(column.substr(0, begin) + Database::our_type(name, type) + column.substr(end));
  }
  CHECK(found == expected);
  for (const auto& column : ours) {
    CHECK(column.starts_with("x_"));
    CHECK(column.ends_with("|0|NULL"));
  }
}

// Tables as Kamailio makes them: none of our columns, and its own unique index on active_watchers.
template <class Database>
void make_tables(const Database& db, const column_list& presentity, const std::string& presentity_keys,
                 const column_list& active_watchers, const std::string& versions) {
  const auto make = [&](const std::string& table, const column_list& columns,
                        const std::string& constraints) {
    std::string text;
    for (const auto& column : columns) {
      const auto type = column.find('|'), null = column.find('|', type + 1),
                 init = column.find('|', null + 1);
      const std::string name = column.substr(0, type);
      text += name + " " + Database::kamailio_type(name, column.substr(type + 1, null - type - 1));
      if (column[null + 1] == '1') text += " NOT NULL";
      if (column.substr(init + 1) != "NULL") text += " DEFAULT " + column.substr(init + 1);
      text += ", ";
    }
    db.run("CREATE TABLE " + table + " (" + text + constraints + ")");
  };
  make("version", kamailio_version, "UNIQUE (table_name)");
  make("presentity", presentity, presentity_keys);
  make("active_watchers", active_watchers, "UNIQUE (callid, to_tag, from_tag)");
  make("watchers", kamailio_watchers, "UNIQUE (presentity_uri, watcher_username, watcher_domain, event)");
  db.run("INSERT INTO version (table_name, table_version) VALUES " + versions);
}

template <class Database>
void make_kamailio_tables(const Database& db) {
  make_tables(db, kamailio_presentity, "UNIQUE (username, domain, event, etag), UNIQUE (ruid)",
              kamailio_active_watchers, "('presentity', 5), ('active_watchers', 12), ('watchers', 3)");
}

// The columns of Kamailio 4.3: fewer, narrower, and without NULL.
column_list older(const column_list& list) {
  column_list made;
  for (std::string column : list) {
    const std::string name = column.substr(0, column.find('|'));
    if (name == "ruid" || name == "flags" || name == "user_agent") continue;
    const auto turn = [&](const std::string& from, const std::string& to) {
      const auto at = column.find(from);
      REQUIRE(at != column.npos);
      column.replace(at, from.size(), to);
    };
    if (name == "presentity_uri" || name == "contact" || name == "local_contact" || name == "sender")
      turn("255", "128");
    if (name == "etag" || name == "to_tag" || name == "from_tag") turn("128", "64");
    if (name == "reason") turn("|0|", "|1|");
    made.push_back(column);
  }
  return made;
}

template <class Database>
void make_older_tables(const Database& db) {
  make_tables(db, older(kamailio_presentity), "UNIQUE (username, domain, event, etag)",
              older(kamailio_active_watchers), "('presentity', 4), ('active_watchers', 11), ('watchers', 3)");
  db.run(
      "INSERT INTO presentity (username, domain, event, etag, expires, received_time, body, sender) VALUES"
      " ('alice', 'example.com', 'presence', 'old', 1700000600, 1700000000, '<p/>', '')");
  db.run(
      "INSERT INTO active_watchers (presentity_uri, watcher_username, watcher_domain, to_user, to_domain, "
      "event,"
      " to_tag, from_tag, callid, local_cseq, remote_cseq, contact, expires, reason, socket_info, "
      "local_contact,"
      " from_user, from_domain, updated, updated_winfo) VALUES ('sip:alice@example.com', 'bob', "
      "'example.com',"
      " 'alice', 'example.com', 'presence', 'tt', 'ft', 'old', 5, 3, 'sip:bob@192.0.2.1', 1700000600, '',"
      " 'udp:192.0.2.9:5060', 'sip:192.0.2.9', 'bob', 'example.com', -1, -1)");
}

template <class Database>
void insert_kamailio_rows(const Database& db) {
  db.run(
      "INSERT INTO presentity (username, domain, event, etag, expires, received_time, body, sender, "
      "priority, ruid)"
      " VALUES ('alice', 'example.com', 'presence', 'a.1700000000.42.17.0', 1700000600, 1700000000,"
      " '<p/>', '', 0, 'pres-655-1'), ('carol', 'example.com', 'presence', 'pidf', -1, 1700000000,"
      " '<hard/>', '', 0, NULL)");
  db.run(
      "INSERT INTO active_watchers (presentity_uri, watcher_username, watcher_domain, to_user, to_domain, "
      "event,"
      " event_id, to_tag, from_tag, callid, local_cseq, remote_cseq, contact, record_route, expires, status,"
      " reason, version, socket_info, local_contact, from_user, from_domain, updated, updated_winfo, "
      "user_agent)"
      " VALUES ('sip:alice@example.com', 'bob', 'example.com', 'alice', 'example.com', 'presence', NULL, "
      "'tt',"
      " 'ft', 'call', 5, 3, 'sip:bob@192.0.2.1', NULL, 1700000600, 1, NULL, 4, 'udp:192.0.2.9:5060',"
      " 'sip:192.0.2.9', 'bob', 'home.example.com', -1, -1, NULL),"
      " ('sip:alice@example.com', 'eve', 'example.com', 'alice', 'example.com', 'presence', '7', 'tt', 'ft',"
      " 'call-2', 0, 1, 'sips:eve@192.0.2.1', '<sip:p;lr>', 1700000600, 1, 'polite-block', 0,"
      " 'tls:192.0.2.9:5061', 'sip:192.0.2.9', 'eve', 'example.com', -1, -1, 'x/1')");
  db.run(
      "INSERT INTO watchers (presentity_uri, watcher_username, watcher_domain, event, status, reason,"
      " inserted_time) VALUES ('sip:alice@example.com', 'bob', 'example.com', 'presence', 1, NULL, "
      "1700000000)");
}

instant at_second(std::int64_t s) { return instant{seconds{s}}; }

}  // namespace

TEST_CASE_TEMPLATE("schema: the tables are Kamailio's, column for column, and ours come after (T10, SEED-2)", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database db;
  db.open();
  check_columns(db, "version", kamailio_version);
  check_columns(db, "presentity", kamailio_presentity);
  check_columns(db, "active_watchers", kamailio_active_watchers);
  check_columns(db, "watchers", kamailio_watchers);
  CHECK(db.rows("SELECT table_name, table_version FROM version ORDER BY 1") ==
        column_list{"active_watchers|12", "presence_states|1", "presentity|5", "watchers|3"});
  CHECK(db.unique_keys("presentity") == column_list{"ruid", "username,domain,event,etag"});
  CHECK(db.unique_keys("active_watchers") == column_list{"callid,to_tag,from_tag,event,event_id"});
  CHECK(db.unique_keys("watchers") == column_list{"presentity_uri,watcher_username,watcher_domain,event"});
  CHECK(db.index_names() == column_list{"account_idx", "active_watchers_expires", "active_watchers_pres",
                                        "presentity_expires", "states_turns_idx", "updated_idx", "updated_winfo_idx", "x_waiting_idx"});
}

TEST_CASE_TEMPLATE("schema: create_schema may be called again, and table names may be others (T10)", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database db;
  soci_settings settings = db.settings();
  REQUIRE(create_schema(settings));
  const auto indexes = db.index_names(), columns = db.columns_of("presentity");
  REQUIRE(create_schema(settings));
  CHECK(db.index_names() == indexes);
  CHECK(db.columns_of("presentity") == columns);

  options configured;
  configured.db_url = settings.db_url;
  configured.presentity_table = "p2";
  configured.active_watchers_table = "aw2";
  configured.watchers_table = "w2";
  configured.states_table = "s2";
  settings = soci_settings::from(configured);
  CHECK(settings.commit == durability::full);
  apply(*db.open(settings), {.new_publications = {publication("sip:alice@example.com", "a")}});
  CHECK(db.value("SELECT count(*) FROM p2") == "1");
  CHECK(db.value("SELECT count(*) FROM presentity") == "0");
  CHECK(read_all(*db.open(settings)).publications.size() == 1);
}

TEST_CASE_TEMPLATE("schema: a table name may have capitals, and two may not differ in them alone (T10)", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database db;
  soci_settings settings = db.settings();
  settings.presentity_table = "Presentity";
  REQUIRE(create_schema(settings));
  REQUIRE(create_schema(settings));
  apply(*db.open(settings), {.new_publications = {publication("sip:alice@example.com", "a")}});
  CHECK(db.value("SELECT count(*) FROM Presentity") == "1");
  settings.watchers_table = "PRESENTITY";
  CHECK(error_of(create_schema(settings)).text.find("is used twice") != std::string::npos);
  settings.watchers_table = "Version";
  CHECK(error_of(create_schema(settings)).text.find("is used twice") != std::string::npos);
}

TEST_CASE("schema: mariadb is given each table in one statement, so that none is half made (T10)") {
  const mariadb_database db;
  *db.home() << "CREATE OR REPLACE USER maker IDENTIFIED BY 'made'";
  *db.home() << "GRANT CREATE, SELECT, INSERT ON " + db.name() + ".* TO maker";
  soci_settings settings = db.settings();
  settings.db_url = "mysql://maker:made" + settings.db_url.substr(settings.db_url.rfind('@'));
  CHECK(create_schema(settings));
  *db.home() << "DROP USER maker";
  settings = db.settings();
  const auto indexes = db.index_names();
  const auto columns = db.columns_of("active_watchers");
  REQUIRE(migrate_schema(settings));
  CHECK(db.index_names() == indexes);
  CHECK(db.columns_of("active_watchers") == columns);
}

TEST_CASE_TEMPLATE("schema: a table of marks of an earlier version serves a single engine, and is migrated with its rows (C01, Z11, T10)",
                   Database, PRESENCE_EVERY_DATABASE) {
  const Database db;
  db.open();
  db.run("DROP TABLE presence_states");
  db.run("CREATE TABLE presence_states (username VARCHAR(64) NOT NULL, domain VARCHAR(64) NOT NULL, event VARCHAR(64) NOT NULL, "
         "stamp BIGINT NOT NULL, touched BIGINT NOT NULL, PRIMARY KEY (username, domain, event))");
  db.run("INSERT INTO presence_states VALUES ('alice', 'example.com', 'presence', 5, 1700000000)");
  const auto rows = open_soci_storage(db.settings());
  REQUIRE(rows);
  const auto refused = (*rows)->mark("sip:alice@example.com", "presence");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().fault == storage_fault::corrupt);
  CHECK(refused.error().text.find("ADD COLUMN turns_ms BIGINT): run `presence-db migrate`") != std::string::npos);
  CHECK(create_schema(db.settings()).error().text == refused.error().text);
  REQUIRE(migrate_schema(db.settings()));
  CHECK(*(*rows)->mark("sip:alice@example.com", "presence") == state_mark{5, {}});
  apply(**rows, {.states = {{{"sip:alice@example.com", "presence"}, 5, 6, at_second(1700000001)}}});
  CHECK(*(*rows)->mark("sip:alice@example.com", "presence") == state_mark{6, at_second(1700000001)});
}

TEST_CASE_TEMPLATE("schema: rows written by Kamailio are read, changed and ended, once its tables are migrated (T11)", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database db;
  make_kamailio_tables(db);
  insert_kamailio_rows(db);
  const auto refused = open_soci_storage(db.settings());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().fault == storage_fault::corrupt);
  CHECK(refused.error().text.find("ADD COLUMN x_id BIGINT): run `presence-db migrate`") != std::string::npos);
  CHECK(create_schema(db.settings()).error().text == refused.error().text);
  CHECK(db.columns_of("presentity").size() == kamailio_presentity.size());
  CHECK_FALSE(db.has_table("presence_states"));
  const auto rows = db.open();
  contents all = read_all(*rows);

  REQUIRE(all.publications.size() == 2);
  CHECK(all.publications[0] == publication_row{.resource = "sip:alice@example.com",
                                               .event = "presence",
                                               .etag = "a.1700000000.42.17.0",
                                               .id = 1,
                                               .content = body{"application/pidf+xml", "<p/>"},
                                               .sender = "",
                                               .since = at_second(1700000000),
                                               .expires = at_second(1700000600)});
  CHECK(all.publications[1].expires > at_second(4102444800));  // hard state does not lapse
  CHECK(rows->sweep(at_second(4102444800), {}).value() == 3);
  CHECK(read_all(*rows).publications == std::vector{all.publications[1]});
  db.run("DELETE FROM presentity");
  db.run("DELETE FROM watchers");
  insert_kamailio_rows(db);
  all = read_all(*rows);

  REQUIRE(all.subscriptions.size() == 2);
  const subscription_row& bob = all.subscriptions[0];
  CHECK(bob.dialog.fields() == dialog_fields{.call_id = "call",
                                             .local_tag = "tt",
                                             .remote_tag = "ft",
                                             .local_uri = "sip:alice@example.com",
                                             .remote_uri = "sip:bob@home.example.com",
                                             .remote_target = "sip:bob@192.0.2.1",
                                             .route_set = "",
                                             .local_contact = "sip:192.0.2.9",
                                             .event = "presence",
                                             .watcher = "sip:bob@example.com",
                                             .cookie = "udp:192.0.2.9:5060",
                                             .user_agent = "",
                                             .headers = "",
                                             .secure = false,
                                             .proven = true});
  CHECK(bob.local_cseq == 1006);  // Kamailio's 5 went out as 6, and others may have gone out since
  CHECK(bob.remote_cseq == 3);
  CHECK(bob.version == 5);
  CHECK(bob.state == subscription_state::active);
  CHECK_FALSE(bob.polite_block);
  CHECK(bob.since == instant{});
  CHECK(bob.expires == at_second(1700000600));
  const subscription_row& eve = all.subscriptions[1];
  CHECK(eve.dialog.event() == "presence;id=7");
  CHECK(eve.event_id == "7");
  CHECK(eve.polite_block);
  CHECK(eve.dialog.secure());
  CHECK(all.watchers == std::vector{watcher_row{.resource = "sip:alice@example.com",
                                                .event = "presence",
                                                .watcher = "sip:bob@example.com",
                                                .status = watcher_status::active,
                                                .reason = "",
                                                .since = at_second(1700000000)}});

  // Taken over: the rows change in place, whether event_id is NULL or empty.
  publication_row next = all.publications[0];
  next.etag = "ours";
  subscription_row changed = bob;
  changed.local_cseq = 70;
  apply(*rows, {.changed_publications = {{.old_etag = all.publications[0].etag, .row = next}},
                .changed_subscriptions = {changed},
                .reservations = {{key_of(bob), 80, 9}},
                .watchers = {all.watchers[0]}});
  changed.local_cseq = 80;
  changed.version = 9;
  CHECK(read_all(*rows) == contents{{next, all.publications[1]}, {changed, eve}, all.watchers});
  CHECK(db.value("SELECT ruid FROM presentity WHERE etag = 'ours'") == "pres-655-1");
  apply(*rows, {.ended_publications = {key(next)}, .ended_subscriptions = {key_of(bob), key_of(eve)}});
  CHECK(read_all(*rows) == contents{{all.publications[1]}, {}, all.watchers});

  // Kamailio's own unique index knows one subscription per dialog.
  apply(*rows, {.new_subscriptions = {subscription("call")}});
  refuse(*rows, {.new_subscriptions = {subscription("call", "sip:alice@example.com", "dialog")}});
}

TEST_CASE_TEMPLATE("schema: tables of an older Kamailio are refused, and migrated when that is asked for",
                   Database, PRESENCE_EVERY_DATABASE) {
  const Database db;
  make_older_tables(db);
  const soci_settings settings = db.settings();
  const column_list versions{"active_watchers|11", "presentity|4", "watchers|3"};
  const auto refused = create_schema(settings);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().text.find("version 4, this library needs version 5: run `presence-db migrate`") !=
        std::string::npos);
  CHECK(db.rows("SELECT table_name, table_version FROM version ORDER BY 1") == versions);
  CHECK(db.columns_of("presentity").size() == kamailio_presentity.size() - 1);

  REQUIRE(migrate_schema(settings));
  REQUIRE(migrate_schema(settings));
  CHECK(db.rows("SELECT table_name, table_version FROM version ORDER BY 1") ==
        column_list{"active_watchers|12", "presence_states|1", "presentity|5", "watchers|3"});
  const auto rows = db.open();
  contents all = read_all(*rows);
  REQUIRE(all.publications.size() == 1);
  CHECK(all.publications[0].etag == "old");
  REQUIRE(all.subscriptions.size() == 1);
  CHECK(all.subscriptions[0].dialog.call_id() == "old");
  CHECK(db.value("SELECT flags, user_agent FROM active_watchers") == "0|");

  // What the columns were too narrow for, and what may be NULL now.
  const std::string wide(200, 'w');
  publication_row next = publication("sip:alice@example.com", wide.substr(0, 120), 7);
  next.sender = "sip:" + wide + "@example.com";
  subscription_row call = subscription("new", "sip:" + wide + "@example.com");
  apply(*rows, {.new_publications = {next}, .new_subscriptions = {call}});
  all = read_all(*rows);
  CHECK(all.publications[1] == next);
  CHECK(all.subscriptions[1] == call);
  CHECK(db.value("SELECT presentity_uri FROM active_watchers WHERE callid = 'new'") == call.resource);
  if (Database::is_server) db.run("UPDATE active_watchers SET reason = NULL, user_agent = NULL");
  CHECK(db.unique_keys("presentity") == column_list{"ruid", "username,domain,event,etag"});
}

TEST_CASE_TEMPLATE("schema: a migration that was stopped goes on where it was", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database db;
  make_older_tables(db);
  db.run("ALTER TABLE presentity ADD COLUMN ruid VARCHAR(64)");
  db.run("ALTER TABLE active_watchers ADD COLUMN x_cookie " + db.our_type("", "BLOB"));
  REQUIRE(migrate_schema(db.settings()));
  CHECK(read_all(*db.open()).subscriptions.size() == 1);
  CHECK(db.unique_keys("presentity") == column_list{"ruid", "username,domain,event,etag"});
}

TEST_CASE_TEMPLATE("schema: tables of an earlier version of ours get what they lack, and keep their rows",
                   Database, PRESENCE_EVERY_DATABASE) {
  const Database db;
  dialog_fields fields = usual_dialog("call");
  fields.proven = true;  // as rows without this column are read
  subscription_row call = subscription("call");
  call.dialog = dialog{fields};
  apply(*db.open(), {.new_subscriptions = {call}});
  for (const char* column : {"x_proven", "x_long"})
    db.run("ALTER TABLE active_watchers DROP COLUMN " + std::string{column});
  const auto refused = open_soci_storage(db.settings());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().text.find("ADD COLUMN x_proven INTEGER") != std::string::npos);
  CHECK_FALSE(create_schema(db.settings()));
  CHECK(read_all(*db.open()).subscriptions == std::vector{call});
}

TEST_CASE_TEMPLATE("schema: another product's table of the same name and version is left alone", Database,
                   PRESENCE_EVERY_DATABASE) {
  const Database db;
  column_list foreign = kamailio_active_watchers;
  std::erase_if(foreign, [](const std::string& column) { return column.starts_with("from_user|"); });
  make_tables(db, kamailio_presentity, "UNIQUE (username, domain, event, etag), UNIQUE (ruid)", foreign,
              "('presentity', 5), ('active_watchers', 12), ('watchers', 3)");
  for (const auto make : {create_schema, migrate_schema}) {
    const auto refused = make(db.settings());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().fault == storage_fault::corrupt);
    CHECK(refused.error().text ==
          "table 'active_watchers' has no column 'from_user': it is not Kamailio's; use another table name");
  }
  CHECK(db.columns_of("presentity").size() == kamailio_presentity.size());
  db.run("UPDATE version SET table_version = 10 WHERE table_name = 'active_watchers'");
  CHECK(migrate_schema(db.settings()).error().text.find("migrate it with Kamailio's own scripts") !=
        std::string::npos);
}

TEST_CASE_TEMPLATE("schema: what we write is what Kamailio looks for", Database, PRESENCE_EVERY_DATABASE) {
  const Database db;
  const auto rows = db.open();
  subscription_row call = subscription("call");
  call.polite_block = true;
  call.event_id = "7";
  apply(*rows, {.new_publications = {publication("sip:alice@example.com", "a", 255)},
                .new_subscriptions = {call},
                .watchers = {watcher("sip:alice@example.com", "sip:bob@example.com")}});
  CHECK(db.value("SELECT username, domain, event, etag, expires, received_time, " +
                 Database::as_text("body") + ", sender, priority FROM presentity") ==
        "alice|example.com|presence|a|1700000601|1700000000|"
        "<presence entity='a'/>|sip:sender@example.com|0");
  CHECK(db.value("SELECT ruid FROM presentity").starts_with("pres-ff-"));
  CHECK(
      db.value("SELECT presentity_uri, watcher_username, watcher_domain, to_user, to_domain, event, event_id,"
               " to_tag, from_tag, callid, local_cseq, remote_cseq, contact, record_route, expires, status,"
               " reason, version, socket_info, local_contact, from_user, from_domain, updated, updated_winfo,"
               " flags, user_agent FROM active_watchers") ==
      "sip:alice@example.com|bob|example.com|alice|example.com|presence|7|10-local|remote|call|63|1|"
      "sip:bob@192.0.2.1:5062;transport=tcp|<sip:p1.example.com;lr>,<sip:p2.example.com;lr>|1700000601|1|"
      "polite-block|0|udp:192.0.2.9:5060|sip:presence.example.com|bob|example.com|-1|-1|0|softphone/1.0");
  CHECK(
      db.value("SELECT presentity_uri, watcher_username, watcher_domain, event, status, reason, inserted_time"
               " FROM watchers") == "sip:alice@example.com|bob|example.com|presence|2||1700000000");

  // Kamailio refreshes both; what it writes counts, our own columns only add to it.
  db.run(
      "UPDATE presentity SET etag = 'a.1.2.3.1', expires = 1700009000, received_time = 1700005000, body = "
      "'x'");
  db.run(
      "UPDATE active_watchers SET expires = 1700009000, local_cseq = 70, contact = 'sip:bob@198.51.100.7'");
  const contents all = read_all(*rows);
  CHECK(all.publications[0].etag == "a.1.2.3.1");
  CHECK(all.publications[0].content == body{"application/pidf+xml", "x"});
  CHECK(all.publications[0].expires > at_second(1700008999));
  CHECK(all.publications[0].expires <= at_second(1700009000));
  CHECK(all.subscriptions[0].local_cseq == 71);
  CHECK(all.subscriptions[0].dialog.remote_target() == "sip:bob@198.51.100.7");
  CHECK(all.subscriptions[0].expires <= at_second(1700009000));
}

TEST_CASE_TEMPLATE("schema: what does not fit Kamailio's columns stands there as something harmless",
                   Database, PRESENCE_EVERY_DATABASE) {
  const Database db;
  const auto rows = db.open();
  const auto written = [&](std::string_view cookie, std::string_view local_uri) {
    dialog_fields fields = usual_dialog("call");
    fields.cookie = cookie;
    fields.local_uri = local_uri;
    subscription_row row = subscription("call");
    row.dialog = dialog{fields};
    row.expires = at_second(4102444800);  // the year 2100; Kamailio's seconds end in 2038
    apply(*rows, {.new_subscriptions = {row}});
    const auto found = db.value("SELECT socket_info, to_user, to_domain, expires FROM active_watchers");
    apply(*rows, {.ended_subscriptions = {key_of(row)}});
    return found;
  };
  CHECK(written("udp:192.0.2.9:5060", "sip:a@b") == "udp:192.0.2.9:5060|a|b|2147483647");
  CHECK(written("tls:[2001:db8::9]:5061", "sip:a@b:5070") == "tls:[2001:db8::9]:5061|a|b|2147483647");
  CHECK(written("flow 17", "sips:a@[::1]:5061;x") == "|a|[::1]|2147483647");
  CHECK(written("udp:host:65536", "tel:+1555") == "||+1555|2147483647");
  CHECK(written("udp:" + std::string(60, 'h') + ":1", "sip:b") == "||b|2147483647");
  CHECK(written("udp:5060", "") == "|||2147483647");
}
