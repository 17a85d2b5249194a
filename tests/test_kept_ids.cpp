// The id that a component was shown under stays, whatever becomes of the one it collided with and of the engine
// (CMP-3, TV-34).
#include "places.hpp"
#include "scenario.hpp"

#include <presence/packages.hpp>

using namespace presence;
using namespace presence::test;

namespace {

struct kept : scenario {
  kept(storage& rows, int subs_db_mode) : scenario{{.settings = {.subs_db_mode = subs_db_mode}, .rows = &rows}} {}
  /// The tuples a new watcher sees, with their true ids.
  std::string seen() {
    const std::string name = "fetch" + std::to_string(++fetches);
    subscribe(name, {.expires = 0s});
    const std::string text = dialogs[name].notifies.back().body_bytes();
    std::string found;
    for (auto tuple_at = text.find("<tuple "); tuple_at != std::string::npos; tuple_at = text.find("<tuple ", tuple_at + 1)) {
      const auto id = text.find("id=", tuple_at) + 4, end = text.find("</tuple>", tuple_at);
      const std::string tuple = text.substr(tuple_at, end - tuple_at);
      found += (found.empty() ? "P(" : ",") + text.substr(id, text.find_first_of("'\"", id) - id) + ":" +
               (tuple.find(">open<") != std::string::npos ? "open" : tuple.find(">closed<") != std::string::npos ? "closed" : "-");
    }
    return (found.empty() ? "P(" : found) + ")";
  }
  void again() {
    if (given.settings.subs_db_mode == 2) REQUIRE(engine->flush(now()));
    restart();
  }
  /// The id of the n-th tuple, from 0, in P(a:open,b:closed).
  static std::string id_of(std::string_view told, int n) {
    std::size_t at = told.find('(') + 1;
    for (; n > 0; --n) at = told.find(',', at) + 1;
    return std::string{told.substr(at, told.find(':', at) - at)};
  }
  int fetches = 0;
};

}  // namespace

TEST_CASE_TEMPLATE("a fresh id stays over a restart, also when the other publication has gone (CMP-3, TV-34)", Place, EVERY_STORAGE) {
  for (const int mode : {1, 2, 3})
    for (const bool watched : {false, true}) {
      CAPTURE(mode);
      CAPTURE(watched);
      Place place;
      kept s{place.rows(), mode};
      if (watched) s.subscribe("d1", {.expires = 3600s});
      s.publish("alice", {.body = "t1:open", .expires = 600s});
      s.publish("alice", {.body = "t1:closed,t2:open", .expires = 600s});
      const std::string both = s.seen(), x = kept::id_of(both, 1);
      CHECK(both == "P(t1:open," + x + ":closed,t2:open)");
      CHECK(x != "t1");
      s.again();
      CHECK(s.seen() == both);
      s.publish("alice", {.body = "t1:open,t2:open", .if_match = "e2", .expires = 600s});
      CHECK(s.seen() == "P(t1:open," + x + ":open,t2:open)");
      s.publish("alice", {.if_match = "e1", .expires = 0s});
      s.again();
      CHECK(s.seen() == "P(" + x + ":open,t2:open)");
      s.publish("alice", {.body = "t1:closed", .if_match = "e3", .expires = 600s});
      s.again();
      s.publish("alice", {.body = "t1:open", .expires = 600s});  // its own id is free by now
      CHECK(s.seen() == "P(" + x + ":closed,t1:open)");
      s.again();
      CHECK(s.seen() == "P(" + x + ":closed,t1:open)");
      s.audit();
    }
}

TEST_CASE_TEMPLATE("an id that was shown stays with who showed it, over a restart (CMP-3)", Place, EVERY_STORAGE) {
  for (const int mode : {1, 3}) {
    CAPTURE(mode);
    Place place;
    kept s{place.rows(), mode};
    s.publish("alice", {.body = "a:open"});
    s.publish("alice", {.body = "b:open"});
    s.again();
    s.publish("alice", {.body = "a:open,b:closed", .if_match = "e1"});  // the older publication takes it up later
    const std::string now = s.seen(), y = kept::id_of(now, 1);
    CHECK(now == "P(a:open," + y + ":closed,b:open)");
    CHECK(y != "b");
    s.again();
    CHECK(s.seen() == now);
    // somebody claims the fresh id itself
    s.publish("alice", {.body = y + ":open"});
    const std::string claimed = s.seen();
    CHECK(claimed.starts_with("P(a:open," + y + ":closed,b:open,"));
    CHECK(kept::id_of(claimed, 3) != y);
    s.publish("alice", {.if_match = "e3", .expires = 0s});
    s.again();
    CHECK(s.seen() == "P(b:open," + kept::id_of(claimed, 3) + ":open)");
  }
}

TEST_CASE("what is kept of ids stands behind the published document, and is read back only as that (CMP-3, SEC-XML-1)") {
  memory_storage rows;
  kept s{rows, 1};
  const auto stored = [&] {
    std::vector<publication_row> found;
    cursor at;
    REQUIRE(rows.publications({}, at, 100, found));
    std::vector<std::string> bytes;
    for (const auto& row : found) bytes.emplace_back(row.content.bytes());
    return bytes;
  };
  s.publish("alice", {.body = "t1:open"});
  s.publish("alice", {.raw = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='a:b'><note>n</note><tuple id=' t1 '><status/></tuple></presence>\n"});
  CHECK(stored() == std::vector{pidf("t1:open"), std::string{"<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='a:b'><note>n</note>"
                                                             "<tuple id=' t1 '><status/></tuple></presence>\n<?presence-kept ids t1 2?>"}});
  // nobody can say it but the engine
  for (const char* said : {"<?presence-kept ids t3 2?>", "<?presence-ids t3 65535?>", "<?presence-ids?>", "<?presence-ids   ?>", "<?presence-kept?>", "<?other?>"}) {
    CAPTURE(said);
    CHECK(s.publish("alice", {.raw = pidf("t3:open") + said}).starts_with("200"));
    CHECK(s.seen().find("t3:open)") != std::string::npos);
    s.again();
    CHECK(s.seen().find("t3:open)") != std::string::npos);
    s.publish("alice", {.if_match = s.tags.back(), .expires = 0s});
  }
  CHECK(s.publish("alice", {.raw = "<?presence-ids t3 2?>"}) == "400");
  CHECK(s.publish("alice", {.raw = pidf("t3:open") + "<!-- <?presence-ids t3 2?>"}) == "400");
  CHECK(s.publish("alice", {.raw = pidf("t3:open") + "<!-- <?presence-ids t3 2 --><?x?>"}).starts_with("200"));
  s.publish("alice", {.raw = pidf("t1:open") + "<?presence-ids t1 2?>"});
  // one id less than the made-up ones of others, all the same
  s.publish("alice", {.raw = pidf("t1:open") + "<?presence-ids t1 2?>"});
  std::string seen = s.seen();
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < i; ++j) CHECK(kept::id_of(seen, i) != kept::id_of(seen, j));
}

TEST_CASE("what is kept of ids is read as far as it makes sense, also as earlier versions wrote it (CMP-3)") {
  const auto shown = [](const std::string& behind) {
    memory_storage rows;
    change row;
    row.new_publications.push_back({.resource = address("alice"), .event = "presence", .etag = "e", .id = 1,
                                    .content = body{"application/pidf+xml", pidf("t3:open") + behind}, .expires = never});
    REQUIRE(rows.apply(row));
    kept s{rows, 1};
    const std::string seen = s.seen();
    CHECK(seen.ends_with(":open)"));
    return seen.find("t3") == seen.npos;
  };
  for (const char* behind : {"<?presence-kept ids t3 2?>", "<?presence-ids t3 2?>", "<?presence-ids t3 65535?>"}) {
    CAPTURE(behind);
    CHECK(shown(behind));
    CHECK_FALSE(shown(std::string{behind} + "<?presence-kept?>"));
  }
  for (const char* behind : {"<?presence-ids t3 1?>", "<?presence-ids t3 0 t3?>", "<?presence-ids t3 4294967295?>", "<?presence-ids t3 -1?>",
                             "<?presence-ids?>", "<?presence-ids   ?>", "<?presence-ids t9 2?>", "<?presence-ids t3 x?>",
                             "<?presence-kept ends t3 2?>", "<?presence-kept?>", "<?other?>"}) {
    CAPTURE(behind);
    CHECK_FALSE(shown(behind));
  }
}

TEST_CASE("a document at the limit, with ids that are kept, is there after a restart (CMP-3, GRM-30)") {
  memory_storage rows;
  scenario s{{.settings = {.limits = {.body_bytes = 4096}}, .rows = &rows}};
  std::string most = pidf("t1:open");
  most.insert(most.rfind("</presence>"), "<note>" + std::string(4096 - most.size() - 13, 'n') + "</note>");
  s.publish("alice", {.body = "t1:open"});
  REQUIRE(s.publish("alice", {.raw = most}) == "200 e2 Expires=3600");
  s.restart();
  s.publish("alice", {.if_match = "e1", .expires = 0s});
  CHECK(s.subscribe("d1", {.expires = 600s}) == "200 Expires=600 | N d1#1 active;expires=600 P(*:open)");
}
