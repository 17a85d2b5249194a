#include <presence/options.hpp>

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>

using namespace presence;

namespace {

std::map<std::string, std::string> everything(const options& o) {
  std::map<std::string, std::string> all;
  for (const auto name : options::names()) {
    auto value = o.get(name);
    REQUIRE(value);
    all[std::string{name}] = *value;
  }
  return all;
}

std::string after(std::string_view name, std::string_view value) {
  options o;
  const auto before = everything(o);
  if (const auto done = o.set(name, value); !done) {
    CHECK_FALSE(done.error().empty());
    CHECK(everything(o) == before);
    return "refused";
  }
  auto changed = everything(o);
  const std::string now = changed[std::string{name}];
  changed[std::string{name}] = before.at(std::string{name});
  CHECK(changed == before);  // nothing else moved
  return now;
}

std::string complaint(const options& o) {
  const auto fine = o.check();
  return fine ? "" : fine.error();
}

}  // namespace

TEST_CASE("the defaults are those of the manual, and make sense together") {
  const options o;
  CHECK(complaint(o).empty());
  const auto all = everything(o);
  const struct {
    std::string name, value;
  } manual[] = {{"db_url", ""},
                {"presentity_table", "presentity"},
                {"active_watchers_table", "active_watchers"},
                {"watchers_table", "watchers"},
                {"clean_period", "100"},
                {"db_update_period", "100"},
                {"to_tag_pref", "10"},
                {"expires_offset", "0"},
                {"max_expires", "3600"},
                {"server_address", ""},
                {"fallback2db", "0"},
                {"subs_htable_size", "9"},
                {"pres_htable_size", "9"},
                {"enable_sphere_check", "0"}};
  for (const auto& row : manual) {
    CAPTURE(row.name);
    CHECK(all.at(row.name) == row.value);
  }
  const auto names = options::names();
  CHECK(names.front() == "db_url");
  CHECK(names.back() == "limits.undecided");
  CHECK(std::set<std::string_view>(names.begin(), names.end()).size() == names.size());
  CHECK(names.size() == 63);
}

TEST_CASE("every option takes back what it gives (L14, T15, SEED-8)") {
  options o;
  for (const auto name : options::names()) {
    CAPTURE(name);
    const auto value = o.get(name);
    REQUIRE(value);
    CHECK(o.set(name, *value));
    CHECK(*o.get(name) == *value);
  }
}

TEST_CASE("a set option arrives in its field") {
  options o;
  const auto set = [&o](std::string_view name, std::string_view value) {
    return o.set(name, value).has_value();
  };
  CHECK(set("db_url", "postgresql://dbname=presence user='a b'"));
  CHECK(o.db_url == "postgresql://dbname=presence user='a b'");
  CHECK(set("max_expires", "7200"));
  CHECK(o.max_expires == seconds{7200});
  CHECK(set("clean_period", "-1"));
  CHECK(o.clean_period == seconds{-1});
  CHECK(set("db_update_period", "0"));
  CHECK(o.db_update_period == seconds{0});
  CHECK(set("server_address", "sip:10.10.10.10:5060"));
  CHECK(o.server_address == "sip:10.10.10.10:5060");
  CHECK(set("fallback2db", "1"));
  CHECK(o.fallback2db);
  CHECK(set("pres_htable_size", "20"));
  CHECK(o.pres_htable_size == 20);
  CHECK(set("cseq_offset", "2147483647"));
  CHECK(o.cseq_offset == 2147483647u);
  CHECK(set("advance_budget", "1"));
  CHECK(o.advance_budget == 1);
  CHECK(set("advance_rate", "0"));
  CHECK(o.advance_rate == 0);
  CHECK(set("limits.body_bytes", "1000"));
  CHECK(o.limits.body_bytes == 1000);
  CHECK(set("limits.waiting_per_resource", "0"));
  CHECK(o.limits.waiting_per_resource == 0);
  CHECK(set("limits.views_kept", "0"));
  CHECK(o.limits.views_kept == 0);
  CHECK(set("limits.publications_per_publisher", "7"));
  CHECK(o.limits.publications_per_publisher == 7);
  CHECK(set("limits.subscriptions_per_watcher_and_resource", "8"));
  CHECK(o.limits.subscriptions_per_watcher_and_resource == 8);
  CHECK(set("pending_limit", "9"));
  CHECK(o.pending_limit == seconds{9});
}

TEST_CASE("a switch has eight spellings") {
  for (const auto on : {"1", "yes", "true", "on", "YES", "True"}) CHECK(after("fallback2db", on) == "1");
  for (const auto off : {"0", "no", "false", "off", "NO", "Off"})
    CHECK(after("subs_respond_200", off) == "0");
  for (const auto bad : {"", "2", "-1", "y", "enable", " 1", "1 ", "01"})
    CHECK(after("fallback2db", bad) == "refused");
}

TEST_CASE("a number is decimal, whole and within its bounds") {
  const struct {
    std::string_view name, value, result;
  } rows[] = {
      {"max_expires", "1", "1"},
      {"max_expires", "00060", "60"},
      {"max_expires", "4294967295", "4294967295"},
      {"max_expires", "4294967296", "refused"},
      {"max_expires", "0", "refused"},
      {"max_expires", "-1", "refused"},
      {"max_expires", "", "refused"},
      {"max_expires", "+1", "refused"},
      {"max_expires", "1.5", "refused"},
      {"max_expires", "60s", "refused"},
      {"max_expires", " 60", "refused"},
      {"max_expires", "0x10", "refused"},
      {"max_expires", "99999999999999999999999", "refused"},
      {"min_expires", "0", "0"},
      {"min_expires", "-1", "refused"},
      {"min_expires_action", "0", "0"},
      {"min_expires_action", "2", "refused"},  // raising is not offered (EVT-4.2.1.1-6)
      {"expires_offset", "-1", "refused"},
      {"clean_period", "-4294967295", "-4294967295"},
      {"clean_period", "-9223372036854775808", "refused"},
      {"subs_htable_size", "30", "30"},
      {"subs_htable_size", "31", "refused"},
      {"cseq_offset", "2147483648", "refused"},
      {"cseq_block", "0", "refused"},
      {"retry_after", "0", "refused"},
      {"waiting_limit", "0", "refused"},
      {"advance_budget", "0", "refused"},
      {"limits.uri_bytes", "0", "refused"},
      {"limits.token_bytes", "63", "refused"},
      {"limits.xml_depth", "1024", "1024"},
      {"limits.xml_depth", "1025", "refused"},
      {"limits.subscriptions", "-1", "refused"},
      {"limits.subscriptions", "4294967295", "refused"},
      {"limits.subscriptions", "18446744073709551615", "refused"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    CAPTURE(row.value);
    CHECK(after(row.name, row.value) == row.result);
  }
}

TEST_CASE("a text holds no control characters, and is what its option needs") {
  const struct {
    std::string_view name, value, result;
  } rows[] = {
      {"db_url", "sqlite3://presence.db\n", "refused"},
      {"db_url", "", ""},
      {"to_tag_pref", "", ""},
      {"to_tag_pref", "node-1.", "node-1."},
      {"to_tag_pref", "a b", "refused"},
      {"to_tag_pref", "a;b", "refused"},
      {"server_address", "", ""},
      {"server_address", "sip:presence@example.com;transport=tcp", "sip:presence@example.com;transport=tcp"},
      {"server_address", "<sip:presence@example.com>", "refused"},
      {"server_address", "10.10.10.10", "refused"},
      {"presentity_table", "sip.presentity_2", "sip.presentity_2"},
      {"presentity_table", "", "refused"},
      {"presentity_table", "2presentity", "refused"},
      {"presentity_table", "presentity;drop table x", "refused"},
      {"presentity_table", "pres entity", "refused"},
      {"presentity_table", "\"presentity\"", "refused"},
      {"presentity_table", ".presentity", "refused"},
      {"presentity_table", "presentity.", "refused"},
      {"presentity_table", "a..b", "refused"},
      {"presentity_table", "a.1", "refused"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    CAPTURE(row.value);
    CHECK(after(row.name, row.value) == row.result);
  }
  CHECK(after("presentity_table", std::string(128, 'a')) == "refused");
  CHECK(after("db_url", std::string("a\0b", 3)) == "refused");
}

TEST_CASE("an unknown name is refused, and never repeated when it could do harm") {
  options o;
  const auto before = everything(o);
  for (const std::string_view name :
       {"", "max_expire", "MAX_EXPIRES", "limits", "limits.", "body_bytes", "limits.max_expires"}) {
    CAPTURE(name);
    CHECK_FALSE(o.set(name, "1"));
    CHECK_FALSE(o.get(name));
  }
  CHECK(everything(o) == before);
  CHECK(o.set("max_expire", "1").error() == "there is no option named max_expire");
  CHECK(o.set("x\r\ny", "1").error() == "there is no such option");
  CHECK(o.set(std::string(1000, 'x'), "1").error().size() < 100);
}

TEST_CASE("a refusal says what is accepted") {
  options o;
  CHECK(o.set("max_expires", "long").error() == "max_expires must be a whole number from 1 to 4294967295");
  CHECK(o.set("fallback2db", "maybe").error() == "fallback2db must be 0, 1, no, yes, false, true, off or on");
  CHECK(o.set("db_url", "\t").error() == "db_url must not hold control characters");
}

TEST_CASE("fields that were assigned are checked like those that were set") {
  const struct {
    std::string_view names;
    void (*spoil)(options&);
  } rows[] = {
      {"max_expires", [](options& o) { o.max_expires = seconds{0}; }},
      {"min_expires", [](options& o) { o.min_expires = seconds{-1}; }},
      {"min_expires must", [](options& o) { o.min_expires = seconds{7200}; }},
      {"expires_offset", [](options& o) { o.expires_offset = seconds{3600}; }},
      {"min_expires_action", [](options& o) { o.min_expires_action = 2; }},
      {"to_tag_pref", [](options& o) { o.to_tag_pref = "a b"; }},
      {"to_tag_pref", [](options& o) { o.to_tag_pref = std::string(230, 'x'); }},
      {"server_address", [](options& o) { o.server_address = "nowhere"; }},
      {"server_address", [](options& o) { o.server_address = "sip:h;x=" + std::string(2048, 'x'); }},
      {"db_url", [](options& o) { o.db_url = "\n"; }},
      {"watchers_table", [](options& o) { o.watchers_table = "presentity"; }},
      {"watchers_table", [](options& o) { o.watchers_table = ""; }},
      {"states_table", [](options& o) { o.states_table = "watchers"; }},
      {"cseq_block", [](options& o) { o.cseq_block = 0; }},
      {"waiting_limit", [](options& o) { o.waiting_limit = seconds::max(); }},
      {"limits.body_bytes", [](options& o) { o.limits.state_bytes = 10; }},
      {"limits.xml_depth", [](options& o) { o.limits.xml_depth = 1000000; }},
      {"limits.uri_bytes", [](options& o) { o.limits.uri_bytes = static_cast<std::size_t>(-1); }},
  };
  for (const auto& row : rows) {
    CAPTURE(row.names);
    options o;
    row.spoil(o);
    const std::string text = complaint(o);
    CAPTURE(text);
    CHECK(text.find(row.names) != std::string::npos);
  }
  options o;
  o.clean_period = seconds{-5};
  o.db_update_period = seconds{0};
  o.min_expires = o.max_expires;
  CHECK(complaint(o).empty());
}
