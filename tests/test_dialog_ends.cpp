// An end of a dialog is final (P37, V11), also where only rows say what was.
#include "all_rows.hpp"
#include "lamp.hpp"

#include <functional>
#include <map>

#include <presence/memory_storage.hpp>

#include "faulty_storage.hpp"
#include "places.hpp"

using namespace presence;
using namespace presence::test;

namespace {

const std::string same = " call-id=\"c\" local-tag=\"l\" remote-tag=\"r\"";

/// Runs it with all in memory, with nothing there, and with what is asked for; `forget` is a restart.
template <class Place>
void each_mode(const std::function<void(lamp&, const std::function<void()>& forget)>& run) {
  for (const char* mode : {"1", "3", "fallback2db"}) {
    CAPTURE(mode);
    Place place;
    options settings;
    if (std::string{mode} == "fallback2db") settings.fallback2db = true;
    else settings.subs_db_mode = *mode - '0';
    lamp s{dialog_package(), &place.rows(), settings};
    run(s, [&] { s.restart(); });
  }
}

}  // namespace

TEST_CASE_TEMPLATE("an end that only rows remember is final all the same (P37, V11, T12)", Place, EVERY_STORAGE) {
  struct row {
    const char* what;
    std::function<void(lamp&)> happens;
    const char* tag;  ///< of the other phone then
  };
  const row all[] = {
      {"its publication is removed", [](lamp& s) { s.tell({}, "e3", 0s); }, "e2"},
      {"it lapses", [](lamp& s) { s.wait(62s); }, "e2"},
      {"it has another document", [](lamp& s) { s.tell(info({}), "e3"); }, "e2"},
      {"it lapses, and the other one is refreshed first", [](lamp& s) { s.at += 61s, s.tell({}, "e2", 600s); }, "e4"},
      {"it lapses, and the other one says it again first",
       [](lamp& s) { s.at += 61s, s.tell(info(dialog_of("x", "confirmed", {}, same)), "e2", 600s); }, "e4"},
      {"it lapses, and a third one says it first", [](lamp& s) { s.at += 61s, s.tell(info(dialog_of("z", "confirmed", {}, same))); }, "e2"},
  };
  for (const row& one : all) {
    CAPTURE(one.what);
    each_mode<Place>([&](lamp& s, const auto& forget) {
      s.tell(info(dialog_of("a", "confirmed", {}, same)), {}, 60s);
      s.tell(info(dialog_of("x", "confirmed", {}, same)), {}, 600s);  // of another phone
      forget();
      CHECK(s.tell(info(dialog_of("a", "terminated", {}, same)), "e1", 60s) == "200 e3 Expires=60");
      forget();
      one.happens(s);
      forget();
      CHECK(s.watch("d1").find("full{}") != std::string::npos);
      CHECK(s.tell(info(dialog_of("x", "early", {}, same)), one.tag, 600s).find(" | N ") == std::string::npos);
      forget();
      CHECK(s.tell(info(dialog_of("y", "early", {}, same))).find(" | N ") == std::string::npos);
      CHECK(s.watch("d2").find("full{}") != std::string::npos);
    });
  }
}

TEST_CASE_TEMPLATE("the newest word counts, also of documents of one millisecond that are read again (DLG-AGG-1, T12, T13, C01)", Place, EVERY_STORAGE) {
  for (const bool first_is_newer : {false, true}) {
    CAPTURE(first_is_newer);
    each_mode<Place>([&](lamp& s, const auto& forget) {
      s.tell(info(dialog_of("a", "trying", {}, same)));
      s.tell(info(dialog_of("a", "early", {}, same)));  // of another phone
      if (first_is_newer) s.tell(info(dialog_of("a", "confirmed", {}, same)), "e1");
      forget();
      CHECK(s.watch("d1").find(first_is_newer ? "full{a:confirmed}" : "full{a:early}") != std::string::npos);
      s.tell(info(dialog_of("a", "proceeding", {}, same)), "e2");  // still the same
      forget();
      CHECK(s.watch("d2").find("full{a:proceeding}") != std::string::npos);
    });
  }
}

TEST_CASE_TEMPLATE("ends are kept as long as something of the resource is published (P37)", Place, EVERY_STORAGE) {
  each_mode<Place>([](lamp& s, const auto& forget) {
    s.tell(info(dialog_of("a", "terminated", {}, same)));
    s.tell(info({}), "e1");
    forget();
    CHECK(s.tell(info(dialog_of("a", "early", {}, same)), "e2") == "200 e3 Expires=3600");
    s.tell({}, "e3", 0s);
    forget();
    s.tell(info(dialog_of("a", "early", {}, same)));
    CHECK(s.watch("d1").find("full{a:early}") != std::string::npos);
  });
}

TEST_CASE("a document at the limit has room for what is kept of it (P37, DLG-4.1-2, SEC-DOS-4)") {
  memory_storage rows;
  options settings;
  settings.limits.body_bytes = 2000;
  lamp s{dialog_package(), &rows, settings};
  s.tell(info(dialog_of("a", "terminated", {}, same)));
  s.tell(info(dialog_of("b", "early")));
  std::string document = info(dialog_of("b", "early", "<x xmlns='urn:x'></x>"));
  document.insert(document.find("</x>"), std::string(2000 - document.size(), '.'));
  CHECK(s.tell(document, "e1") == "200 e3 Expires=3600");
  CHECK(s.tell(info(dialog_of("y", "early", {}, same))) == "200 e4 Expires=3600");
  const std::string seen = s.watch("d1");
  CHECK(seen.find("y:") == std::string::npos);
  s.restart();
  CHECK(s.watch("d2").substr(seen.find("full")) == seen.substr(seen.find("full")));
}

TEST_CASE("nobody but the engine says what is kept of a document (P37, DLG-4.1-2, SEC-DOS-4)") {
  std::string many;
  for (int n = 1; n < 1000; ++n) many += " " + std::to_string(n);
  for (const std::string& behind : std::vector<std::string>{"ends", "ends 1x" + many, "kept ids 0:x ends 1", "kept", "ids 0:x"}) {
    CAPTURE(behind);
    memory_storage rows;
    lamp s{dialog_package(), &rows};
    s.tell(info(dialog_of("x", "early", {}, same)));
    for (const char* tag : {"", "e2"}) {
      CHECK(s.tell(info(dialog_of("a", "early")) + "<?presence-" + behind + "?>", tag).starts_with("200 "));
      CHECK(s.watch("d1").find("full{x:early,a:early}") != std::string::npos);
      s.restart();
      CHECK(s.watch("d2").find("full{x:early,a:early}") != std::string::npos);
    }
  }
}

TEST_CASE("what is kept of a document is read as far as it makes sense, also as earlier versions wrote it (P37, DLG-4.1-2)") {
  const auto shown = [](const std::string& behind) {
    memory_storage rows;
    change row;
    row.new_publications.push_back({.resource = address("alice"), .event = "dialog", .etag = "e", .id = 1,
                                    .content = body{dialog_info_type, info(dialog_of("1", "early") + dialog_of("2", "early", {}, same)) + behind},
                                    .expires = never});
    REQUIRE(rows.apply(row));
    lamp s{dialog_package(), &rows};
    const std::string seen = s.watch("d1");
    return seen.substr(seen.find("full"));
  };
  memory_storage rows;
  lamp writes{dialog_package(), &rows};
  writes.tell(info(dialog_of("2", "terminated", {}, same)));
  writes.tell(info({}), "e1");
  const std::string row{writes.engine->publications({}, 0, 1).records.at(0).content.bytes()};
  const auto at = row.find("<?presence-kept ends ");
  REQUIRE(at != row.npos);
  const std::string end = row.substr(at + 21);  // `1f03?>`
  CHECK(shown("<?presence-ends " + end) == "full{1:early}");
  CHECK(shown("<?presence-kept ids 0:a%3c%20%c3%a4%%2 ends 1 " + end) == "full{a&lt; \xc3\xa4%:early}");
  CHECK(shown("<?presence-kept ids 1:x 0:y?>") == "full{y:early,x:early}");
  CHECK(shown("<?presence-kept ids 1:x 0:x?>").starts_with("full{x:early,"));
  CHECK(shown("<?presence-kept ids 0:2?>").starts_with("full{2:early,d"));
  for (const char* behind : {"<?presence-kept ids 0 1: 2:x -1:y x 99999999999999999999:z?>", "<?presence-ends 1x -1 0 123456789012345678901?>",
                             "<?presence-ends?>", "<?presence-kept?>", "<?presence-other 0:x?>"}) {
    CAPTURE(behind);
    CHECK(shown(behind) == "full{1:early,2:early}");
  }
}

TEST_CASE_TEMPLATE("a dialog stays under its id whatever is read again (DLG-4.1-2, DLG-AGG-1, T12)", Place, EVERY_STORAGE) {
  const std::string half = " call-id=\"c\" local-tag=\"l\"";
  const auto dialogs = [](const std::string& line) { return line.substr(line.find("full{")); };
  each_mode<Place>([&](lamp& s, const auto& forget) {
    s.tell(info(dialog_of("1", "early")), {}, 600s);
    forget();
    s.tell(info(dialog_of("1", "confirmed")), {}, 600s);
    const std::string both = dialogs(s.watch("d1"));
    CHECK(both.starts_with("full{1:early,d"));
    forget();
    CHECK(dialogs(s.watch("d1")) == both);
    s.tell({}, "e1", 0s);
    forget();
    s.tell(info(dialog_of("1", "trying")), {}, 600s);  // free by now
    forget();
    const std::string second = both.substr(both.find(",d") + 1, 13);
    CHECK(dialogs(s.watch("d1")) == "full{" + second + ":confirmed,1:trying}");
  });
  each_mode<Place>([&](lamp& s, const auto& forget) {  // of one dialog, under the id of who told it first, who has gone
    s.tell(info(dialog_of("a b?", "early", {}, same)), {}, 60s);
    forget();
    s.tell(info(dialog_of("x", "early", {}, same)), {}, 600s);
    s.moment(61s);
    forget();
    CHECK(dialogs(s.watch("d1")) == "full{a b?:early}");
    s.tell(info(dialog_of("a b?", "early")), {}, 600s);
    forget();
    CHECK(dialogs(s.watch("d1")).starts_with("full{a b?:early,d"));
  });
  each_mode<Place>([&](lamp& s, const auto& forget) {  // more of it becomes known: the other's row says what was decided then
    s.tell(info(dialog_of("b", "early", {}, half)), {}, 60s);
    s.tell(info(dialog_of("x", "trying", {}, half)), {}, 600s);
    s.tell(info(dialog_of("x", "confirmed", {}, same)), "e2", 600s);
    const std::string two = dialogs(s.watch("d1"));
    forget();
    CHECK(dialogs(s.watch("d1")) == two);
    s.at += 1s;
    s.tell(info(dialog_of("b", "early", {}, same)), "e1", 60s);  // one after all
    const std::string one = dialogs(s.watch("d1"));
    forget();
    CHECK(dialogs(s.watch("d1")) == one);
    s.moment(62s);
    forget();
    const std::string id = one.substr(0, one.find(':'));
    CHECK(dialogs(s.watch("d1")) == id + ":confirmed}");
  });
}

TEST_CASE("an id that is long is nobody else's: he gets a made-up one (DLG-4.1-2, SEC-DOS-4)") {
  memory_storage rows;
  lamp s{dialog_package(), &rows};
  s.tell(info(dialog_of(std::string(128, 'i'), "early", {}, same) + dialog_of(std::string(129, 'j'), "early")));
  const std::string seen = s.watch("d1");
  CHECK(seen.find("full{" + std::string(128, 'i') + ":early,d") != std::string::npos);
  CHECK(seen.find("jj") == std::string::npos);
  s.restart();
  CHECK(s.watch("d2").substr(seen.find("full")) == seen.substr(seen.find("full")));
}

TEST_CASE("a row is written when its document has something else to remember, and only then (P37, PF7)") {
  struct counting : faulty_storage {
    using faulty_storage::faulty_storage;
    result<void, storage_error> apply(const change& what) override {
      for (const publication_update& u : what.changed_publications) ++written[u.old_etag];
      return faulty_storage::apply(what);
    }
    std::map<std::string, int> written;
  };
  for (const int mode : {1, 3}) {
    CAPTURE(mode);
    memory_storage kept;
    counting rows{kept};
    options settings;
    settings.subs_db_mode = mode;
    lamp s{dialog_package(), &rows, settings};
    s.tell(info(dialog_of("x", "early")), {}, 3600s);
    s.tell(info(dialog_of("a", "early", {}, same)), {}, 60s);
    s.tell(info(dialog_of("a", "terminated", {}, same)), "e2", 60s);
    for (const char* id : {"b", "c", "d"}) s.tell(info(dialog_of(id, "early")), {}, id[0] == 'b' ? 120s : id[0] == 'c' ? 180s : 3600s);
    rows.written.clear();
    s.moment(61s);  // an end is inherited
    CHECK(rows.written.size() == 4);
    s.moment(121s);  // and is known already
    s.moment(181s);
    CHECK(s.engine->stats().publications == (mode == 1 ? 2 : 0));
    CHECK(rows.written.size() == 4);
    for (const auto& [tag, times] : rows.written) CHECK(times == 1);
    s.restart();
    CHECK(s.tell(info(dialog_of("y", "early", {}, same))) == "200 e7 Expires=3600");
    CHECK(s.watch("d1").find("y:early") == std::string::npos);
    s.audit();
  }
}

TEST_CASE("an heir whose row is not as expected keeps nobody from his end (P37, RL2, M04, M05)") {
  memory_storage rows;
  lamp s{dialog_package(), &rows};
  s.tell(info(dialog_of("a", "terminated", {}, same)), {}, 60s);
  s.tell(info(dialog_of("b", "early", {}, " call-id=\"d\" local-tag=\"l\" remote-tag=\"r\"")), {}, 3600s);
  s.subscribe("d5", {.by = "carol", .to = "zoe", .expires = 90s, .event = "presence"});
  const auto held = all_rows<publication_row>(rows, {.event = "dialog"});
  REQUIRE(!held.empty());
  change behind;
  behind.changed_publications.push_back({held.back().etag, false, held.back()});
  behind.changed_publications.back().row.etag = "another";
  REQUIRE(rows.apply(behind));
  for (int i = 0; i < 12; ++i) s.wait(10s);
  CHECK(s.engine->stats().subscriptions == 0);
  CHECK(s.engine->stats().publications == 1);
  CHECK(s.watch("d7").find("full{b:early}") != std::string::npos);
}

TEST_CASE("an heir whose row could not be written is written with the next change (P37, RL2, T12)") {
  memory_storage kept;
  faulty_storage rows{kept};
  lamp s{dialog_package(), &rows};
  s.tell(info(dialog_of("a", "terminated", {}, same)), {}, 60s);
  for (const char* id : {"b", "c", "d"}) s.tell(info(dialog_of(id, "early")), {}, 3600s);
  REQUIRE(kept.apply({.ended_publications = {{address("alice"), "dialog", s.tag_named("e2")}}}));  // one is no row any more
  rows.fail(4);  // all at once, without heirs, the first of them, the second
  s.moment(61s);
  CHECK(rows.failed() == 1);
  CHECK(s.tell({}, "e4", 0s).starts_with("200"));
  s.restart();
  CHECK(s.tell(info(dialog_of("x", "early", {}, same))).starts_with("200"));
  CHECK(s.watch("d1").find("full{c:early}") != std::string::npos);
}

TEST_CASE("what cannot be told is not written for another's sake, and is when it can be (P37, L11, T12)") {
  bool throws = false;
  event_package package = dialog_package();
  package.difference = [&](std::string_view, const body&, const body&) -> std::optional<body> {
    if (throws) throw std::runtime_error{"made to fail"};
    return std::nullopt;
  };
  memory_storage rows;
  const auto stored = [&](std::string_view event) { return all_rows<publication_row>(rows, {.event = event}); };
  lamp s{package, &rows};
  s.watch("d1");
  s.tell(info(dialog_of("a", "terminated", {}, same) + dialog_of("z", "early")), {}, 60s);
  s.tell(info(dialog_of("b", "early")), {}, 3600s);
  s.publish("zoe", {.body = "t1:open", .expires = 60s});
  const auto before = stored("dialog");
  throws = true;
  s.at += 60s;
  CHECK(s.told(s.engine->advance(s.at)) == "");
  CHECK(s.engine->stats().publications == 2);
  CHECK(stored("dialog") == before);
  CHECK(stored("presence").empty());
  throws = false;
  s.at += 5s;
  CHECK(s.told(s.engine->advance(s.at)).find("N d1#") == 0);
  CHECK(stored("dialog").size() == 1);
  s.restart();
  CHECK(s.tell(info(dialog_of("x", "early", {}, same))).starts_with("200"));
  CHECK(s.watch("d2").find("full{b:early}") != std::string::npos);
}

TEST_CASE("what only looks like stored ends stays a part of its document (P37, RL4)") {
  for (const std::string behind : {"<?foo <?presence-ends?>", "<?foo ><?presence-ends?>", "<?foo?><?presence-ends?>"}) {
    CAPTURE(behind);
    memory_storage rows;
    change row;  // as an earlier version stored it
    row.new_publications.push_back({.resource = address("alice"), .event = "dialog", .etag = "e", .id = 1,
                                    .content = body{dialog_info_type, info(dialog_of("b", "early")) + behind}, .expires = never});
    REQUIRE(rows.apply(row));
    lamp s{dialog_package(), &rows};
    CHECK(s.tell(info(dialog_of("a", "early", {}, same)) + behind).starts_with("200 "));
    s.restart();
    CHECK(s.watch("d1").find("full{b:early,a:early}") != std::string::npos);
  }
}
