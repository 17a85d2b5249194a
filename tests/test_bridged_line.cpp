// dialog;sla: whose word a bridged line shows, and who is not told it (P03, P40; BLA-2 to -4).
#include "lamp.hpp"

using namespace presence;
using namespace presence::test;

namespace {

const std::string cx = "sip:alice@192.0.2.1", cy = "sip:alice@192.0.2.2", cz = "sip:alice@192.0.2.3";
const std::string which = " call-id=\"c\" local-tag=\"l\" remote-tag=\"r\"";

}  // namespace

TEST_CASE("of several documents the newest with a live dialog counts, of each phone its newest (P40, BLA-2)") {
  struct row {
    const char* name;
    struct told {
      std::string sender, state;  // no state: no dialog
      std::uint64_t arrival;
      bool leaving = false;
    };
    std::vector<told> all;
    std::string shows;  // the id of the dialog is the place in `all`
  };
  const row rows[] = {
      {"nothing", {}, "{}"},
      {"the newest", {{cx, "confirmed", 1}, {cy, "early", 2}}, "{1:early}"},
      {"the newest is not the last", {{cx, "confirmed", 2}, {cy, "early", 1}}, "{0:confirmed}"},
      {"an end does not count beside a live one", {{cx, "confirmed", 1}, {cy, "terminated", 2}}, "{0:confirmed}"},
      {"nor does silence", {{cx, "confirmed", 1}, {cy, "", 2}}, "{0:confirmed}"},
      {"also if nobody knows who it is", {{"", "confirmed", 1}, {"", "terminated", 2}}, "{0:confirmed}"},
      {"nobody lives: the newest", {{cx, "terminated", 1}, {cy, "terminated", 2}}, "{1:terminated}"},
      {"a phone's later word replaces its own", {{cx, "confirmed", 1}, {cx, "terminated", 2}}, "{1:terminated}"},
      {"also if it came in the same moment", {{cx, "confirmed", 1}, {cx, "terminated", 1}}, "{1:terminated}"},
      {"and another's counts then", {{cy, "early", 1}, {cx, "confirmed", 2}, {cx, "", 3}}, "{0:early}"},
      {"what leaves does not", {{cx, "confirmed", 1, true}, {cy, "terminated", 2}}, "{1:terminated}"},
      {"nor does it replace", {{cx, "confirmed", 1}, {cx, "terminated", 2, true}}, "{0:confirmed}"},
      {"hard state gives way to anything", {{"", "confirmed", 0}, {cy, "terminated", 1}}, "{1:terminated}"},
  };
  const event_package package = dialog_sla_package();
  for (const row& r : rows) {
    CAPTURE(r.name);
    std::vector<std::pair<body, document>> kept;
    std::vector<published> all;
    for (const auto& t : r.all) {
      const std::string text = info(t.state.empty() ? "" : dialog_of(std::to_string(kept.size()), t.state));
      const body content{dialog_info_type, text};
      kept.emplace_back(content, package.check_publish({"sip:alice@example.com", content, t.sender, limits{}}).value());
    }
    for (std::size_t i = 0; i < kept.size(); ++i)
      all.push_back({.etag = "t", .content = kept[i].first, .parsed = kept[i].second.get(), .sender = r.all[i].sender, .id = i, .since = {},
                     .arrival = r.all[i].arrival, .leaving = r.all[i].leaving});
    CHECK(short_of(std::string{package.aggregate("sip:alice@example.com", all).bytes()}) == "v full" + r.shows);
  }
}

TEST_CASE("a phone with nothing to say does not hang up another's call (P40)") {
  lamp s{dialog_sla_package()};
  s.tell(info(dialog_of("a", "confirmed")), {}, {}, cx);
  CHECK(s.tell(info({}), "e1", {}, cy) == "200 e1 Expires=3600");
  CHECK(s.tell(info({}), {}, {}, cy).starts_with("200"));
  CHECK(s.watch("d1").find("full{a:confirmed}") != std::string::npos);
  CHECK(s.tell(info({}), "e1", {}, cx).find("full{}") != std::string::npos);
}

TEST_CASE("nor with a partial document under another's tag (P40)") {
  lamp s{dialog_sla_package()};
  s.tell(info(dialog_of("a", "confirmed")), {}, {}, cx);
  CHECK(s.tell(info({}, "partial"), "e1", {}, cy) == "200 e1 Expires=3600");
  CHECK(s.tell(info({}), "e1", {}, cy) == "200 e1 Expires=3600");
  CHECK(s.watch("d1").find("full{a:confirmed}") != std::string::npos);
}

TEST_CASE("nor with the ends of its own calls, under whatever tag (P40)") {
  const std::string end = dialog_of("b", "terminated", {}, " call-id=\"b\" local-tag=\"l\" remote-tag=\"r\"");
  lamp s{dialog_sla_package()};
  s.tell(info(dialog_of("a", "confirmed", {}, which)), {}, {}, cx);
  s.watch("d1");
  SUBCASE("a tag of its own") {
    CHECK(s.tell(info(dialog_of("b", "early")), {}, {}, cy) == "200 e2 Expires=3600 | N d1#2 active;expires=3600 v1 full{b:early}");
    // what ended is not there any more, the other call is
    CHECK(s.tell(info(end), "e2", {}, cy) == "200 e2 Expires=3600 | N d1#3 active;expires=3600 v2 full{a:confirmed}");
    CHECK(s.tell(info(dialog_of("b", "terminated", {}, which)), {}, {}, cz) == "200 e3 Expires=3600");
    CHECK(s.tell({}, "e1", 0s, cx) == "200 e1 Expires=0 | N d1#4 active;expires=3600 v3 full{b:terminated}");
  }
  SUBCASE("the other's tag") {
    for (const char* state : {"full", "partial"}) CHECK(s.tell(info(end, state), "e1", {}, cy) == "200 e1 Expires=3600");
    CHECK(s.tell(info(end), "e1", {}, cx) == "200 e1 Expires=3600 | N d1#2 active;expires=3600 v1 full{b:terminated}");
  }
  SUBCASE("the other's tag, and its removal") {
    CHECK(s.tell({}, "e1", 0s, cy) == "200 e1 Expires=0");
    CHECK(s.engine->count_publications({}) == 1);
    CHECK(s.tell({}, "e1", 0s, cx) == "200 e1 Expires=0 | N d1#2 active;expires=3600 v1 full{}");
    s.tell(info(dialog_of("a", "terminated", {}, which)), {}, {}, cx);
    CHECK(s.tell({}, "e2", 0s, cy).starts_with("200 e2 Expires=0"));  // nobody's call
    CHECK(s.engine->count_publications({}) == 0);
  }
  SUBCASE("the other's tag, and the end of its call") {
    const std::string over = dialog_of("a", "terminated", {}, which);
    CHECK(s.tell(info(over), "e1", {}, cy) == "200 e1 Expires=3600 | N d1#2 active;expires=3600 v1 full{a:terminated}");
  }
  SUBCASE("the other's tag, and the end of one call of two") {
    s.tell(info(dialog_of("a", "confirmed", {}, which) + dialog_of("c", "early")), "e1", {}, cx);
    const std::string over = dialog_of("a", "terminated", {}, which);
    CHECK(s.tell(info(over), "e1", {}, cy) == "200 e1 Expires=3600");
    CHECK(s.tell(info(over, "partial"), "e1", {}, cy) == "200 e1 Expires=3600 | N d1#3 active;expires=3600 v2 full{c:early,a:terminated}");
  }
  SUBCASE("a call of its own instead") {
    CHECK(s.tell(info(dialog_of("b", "early")), "e1", {}, cy) == "200 e1 Expires=3600 | N d1#2 active;expires=3600 v1 full{b:early}");
  }
}

TEST_CASE("who is not told his own word is told another's that his leaves behind (P03, P40, BLA-3, BLA-4)") {
  lamp s{dialog_sla_package()};
  s.tell(info(dialog_of("a", "confirmed")), {}, 600s, cx);
  s.tell(info(dialog_of("b", "confirmed")), {}, 3600s, cy);
  CHECK(s.watch("dX", "alice", 3600s, cx) == "200 Expires=3600 | N dX#1 active;expires=3600 v0 full{b:confirmed}");
  CHECK(s.watch("dY", "alice", 3600s, cy) == "200 Expires=3600 | N dY#1 active;expires=3600 v0 full{}");
  // the line shows the other's call from now on
  CHECK(s.tell(info(dialog_of("b", "terminated")), "e2", {}, cy) ==
        "200 e2 Expires=3600 | N dX#2 active;expires=3600 v1 full{} | N dY#2 active;expires=3600 v1 full{a:confirmed}");
  CHECK(s.watch("dX", "alice", 3600s, cx) == "200 Expires=3600 | N dX#3 active;expires=3600 v2 full{}");
  CHECK(s.watch("dY", "alice", 3600s, cy) == "200 Expires=3600 | N dY#3 active;expires=3600 v2 full{a:confirmed}");
  // and nobody's when that lapses: the newest word is Y's again
  CHECK(s.moment(600s) == "N dX#4 active;expires=3000 v3 full{b:terminated} | N dY#4 active;expires=3000 v3 full{}");
  CHECK(s.watch("dX", "alice", 3600s, cx) == "200 Expires=3600 | N dX#5 active;expires=3600 v4 full{b:terminated}");
  CHECK(s.watch("dY", "alice", 3600s, cy) == "200 Expires=3600 | N dY#5 active;expires=3600 v4 full{}");
}

TEST_CASE("a NOTIFY that had to wait does not bring a phone's own word back (BLA-4, HOST-12)"
          * not_in("database_only", "no NOTIFY waits for the answer to the one before")) {
  lamp s{dialog_sla_package()};
  s.watch("dY", "alice", 3600s, cy);
  s.answers = false;
  CHECK(s.tell(info(dialog_of("a", "early")), {}, {}, cx) == "200 e1 Expires=3600 | N dY#2 active;expires=3600 v1 full{a:early}");
  CHECK(s.tell(info(dialog_of("a", "confirmed")), "e1", {}, cx) == "200 e1 Expires=3600");
  CHECK(s.tell(info(dialog_of("b", "confirmed")), {}, {}, cy) == "200 e2 Expires=3600");
  CHECK(s.shortened(s.outcome("dY", 2, 200)) == "N dY#3 active;expires=3600 v2 full{}");
}
