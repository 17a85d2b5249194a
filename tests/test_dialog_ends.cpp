// An end of a dialog is final (P37, V11), also where only rows say what was.
#include "lamp.hpp"

#include <functional>

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

TEST_CASE("a document has room for its ends, or is kept without them (P37, SEC-DOS-4)") {
  for (const bool room : {false, true}) {
    CAPTURE(room);
    memory_storage rows;
    options settings;
    settings.limits.body_bytes = 2000;
    lamp s{dialog_package(), &rows, settings};
    s.tell(info(dialog_of("a", "terminated", {}, same)));
    std::string document = info(dialog_of("b", "early", "<x xmlns='urn:x'></x>"));
    document.insert(document.find("</x>"), std::string((room ? 1900 : 2000) - document.size(), '.'));
    CHECK(s.tell(document, "e1") == "200 e2 Expires=3600");
    CHECK(s.tell(info(dialog_of("y", "early", {}, same))) == "200 e3 Expires=3600");
    s.restart();
    CHECK(s.watch("d1").find(room ? "full{b:early}" : "full{b:early,y:early}") != std::string::npos);
  }
}

TEST_CASE("a stored end is no other thing than a dialog that is over, whoever writes it (P37, SEC-DOS-4)") {
  const auto ended = [](const std::string& keys) { return info({}) + "<?presence-ends" + keys + "?>"; };
  lamp s{dialog_package()};
  s.tell(info(dialog_of("a", "early", {}, same)));
  std::string many;
  for (int n = 1; n < 1000; ++n) many += " " + std::to_string(n);
  for (const std::string& keys : {std::string{}, std::string{" x 1x -1 0 123456789012345678901"}, std::string{" 0 12345678901234567890 "}, many})
    CHECK(s.tell(ended(keys)).starts_with("200 "));
  CHECK(s.watch("d1").find("full{a:early}") != std::string::npos);
}

TEST_CASE("an heir whose row is not as expected keeps nobody from his end (P37, RL2, M04, M05)") {
  memory_storage rows;
  lamp s{dialog_package(), &rows};
  s.tell(info(dialog_of("a", "terminated", {}, same)), {}, 60s);
  s.tell(info(dialog_of("b", "early", {}, " call-id=\"d\" local-tag=\"l\" remote-tag=\"r\"")), {}, 3600s);
  s.subscribe("d5", {.by = "carol", .to = "zoe", .expires = 90s, .event = "presence"});
  std::vector<publication_row> held;
  for (cursor at; !at.done;) REQUIRE(rows.publications({.event = "dialog"}, at, 10, held));
  change behind;
  behind.changed_publications.push_back({held.back().etag, false, held.back()});
  behind.changed_publications.back().row.etag = "another";
  REQUIRE(rows.apply(behind));
  for (int i = 0; i < 12; ++i) s.wait(10s);
  CHECK(s.engine->stats().subscriptions == 0);
  CHECK(s.engine->stats().publications == 1);
  CHECK(s.watch("d7").find("full{b:early}") != std::string::npos);
}

TEST_CASE("what only looks like stored ends stays a part of its document (P37, RL4)") {
  for (const std::string behind : {"<?foo <?presence-ends?>", "<?foo ><?presence-ends?>", "<?foo?><?presence-ends?>"}) {
    CAPTURE(behind);
    memory_storage rows;
    lamp s{dialog_package(), &rows};
    CHECK(s.tell(info(dialog_of("a", "early", {}, same)) + behind).starts_with("200 "));
    s.restart();
    CHECK(s.watch("d1").find("full{a:early}") != std::string::npos);
  }
}
