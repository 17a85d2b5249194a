// Subscriptions to one dialog, or to those of one INVITE (RFC 4235 sections 3.2 and 3.4).
#include "lamp.hpp"

using namespace presence;
using namespace presence::test;

namespace {

std::string tags(const std::string& local, const std::string& remote) {
  return " call-id=\"c@h\" local-tag=\"" + local + "\"" + (remote.empty() ? "" : " remote-tag=\"" + remote + "\"");
}
const std::string one = tags("l", "r1"), two = tags("l", "r2"), third = tags("m", "r1");
const std::string invite = ";call-id=\"c@h\";to-tag=l", specific = invite + ";from-tag=r1";
const std::string three = dialog_of("a", "early", {}, one) + dialog_of("b", "early", {}, two) + dialog_of("c", "early", {}, third);

}  // namespace

TEST_CASE("Event parameters say which dialogs a subscription is about (DLG-3.2-1)") {
  struct row {
    std::string parameters, shows;  // nothing: 400
  };
  const row rows[] = {
      {"", "a:early,b:early,c:early"},
      {";unknown=1", "a:early,b:early,c:early"},
      {";include-session-description", "a:early,b:early,c:early"},
      {invite, "a:early,b:early"},
      {specific, "a:early"},
      {";FROM-TAG=\"r\\1\";To-Tag=\"l\";call-id=\"c@\\h\"", "a:early"},
      {";call-id=\"c@h\";to-tag=m;from-tag=r1", "c:early"},
      {";call-id=\"c@h\";to-tag=l;from-tag=l", "-"},
      {";call-id=another;to-tag=l", "-"},
      {";call-id=\"c@h\"", {}},
      {";to-tag=l", {}},
      {";from-tag=r1", {}},
      {";to-tag=l;from-tag=r1", {}},
      {";call-id=\"c@h\";from-tag=r1", {}},
      {";call-id=\"\";to-tag=l", {}},
      {";call-id=\"c@h\";to-tag=l;from-tag", {}},
      {";call-id=\"c@h\";to-tag=l;to-tag=l", {}},
  };
  for (const row& r : rows) {
    CAPTURE(r.parameters);
    lamp s{dialog_package()};
    s.tell(info(three));
    const std::string got = s.watch("d1", "alice", 3600s, {}, r.parameters);
    if (r.shows.empty()) CHECK(got == "400");
    else CHECK(got == "200 Expires=3600 | N d1#1 active;expires=3600 v0 full{" + (r.shows == "-" ? "" : r.shows) + "}");
  }
  // what they are about stays; a refresh that says something else, or nothing, changes nothing, but has to make sense
  lamp s{dialog_package()};
  s.tell(info(three));
  s.watch("d1", "alice", 3600s, {}, specific);
  CHECK(s.dialogs["d1"].notifies[0].dialog.event() == "dialog;call-id=\"c@h\";to-tag=l;from-tag=r1");
  for (const std::string& again : {specific, invite, std::string{}}) CHECK(s.watch("d1", "alice", 3600s, {}, again).find("full{a:early}") != std::string::npos);
  CHECK(s.watch("d1", "alice", 3600s, {}, ";to-tag=l") == "400");
}

TEST_CASE("who subscribed to one dialog hears of no other, and no number is used up (DLG-3.2-1, PROP-3)") {
  for (const bool wanted : {false, true}) {
    CAPTURE(wanted);
    lamp s{dialog_package({.partial = wanted})};
    const bool partial = wanted && s.given.settings.subs_db_mode != 3;  // nobody knows there what a watcher saw last
    const std::string how = partial ? "partial" : "full";
    s.tell(info(three));
    s.watch("d1", "alice", 3600s, {}, specific);
    s.watch("d2", "alice", 3600s, {}, invite);
    const auto with = [&](const std::string& a, const std::string& b) {
      return info(dialog_of("a", a, {}, one) + dialog_of("b", b, {}, two) + dialog_of("c", "early", {}, third));
    };
    CHECK(s.tell(with("early", "confirmed"), "e1") ==
          "200 e2 Expires=3600 | N d2#2 active;expires=3600 v1 " + how + (partial ? "{b:confirmed}" : "{a:early,b:confirmed}"));
    CHECK(s.tell(with("confirmed", "confirmed"), "e2") ==
          "200 e3 Expires=3600 | N d1#2 active;expires=3600 v1 " + how + "{a:confirmed} | N d2#3 active;expires=3600 v2 " + how +
              (partial ? "{a:confirmed}" : "{a:confirmed,b:confirmed}"));
  }
}

TEST_CASE("a subscription to one dialog ends with it, whatever tells the end (DLG-3.4-1)") {
  const std::string over = "terminated;reason=noresource";
  for (const bool wanted : {false, true}) {
    CAPTURE(wanted);
    lamp s{dialog_package({.partial = wanted})};
    const bool partial = wanted && s.given.settings.subs_db_mode != 3;  // nobody knows there what a watcher saw last
    const std::string how = partial ? "partial" : "full";
    s.tell(info(dialog_of("a", "confirmed", {}, one) + dialog_of("b", "early", {}, two)), {}, 600s);
    s.watch("d1", "alice", 3600s, {}, specific);
    s.watch("d2", "alice", 3600s, {}, invite);
    SUBCASE("a PUBLISH") {
      CHECK(s.tell(info(dialog_of("a", "terminated", {}, one) + dialog_of("b", "early", {}, two)), "e1") ==
            "200 e2 Expires=3600 | N d1#2 " + over + " v1 " + how + "{a:terminated} | N d2#2 active;expires=3600 v1 " + how +
                (partial ? "{a:terminated}" : "{a:terminated,b:early}"));
    }
    SUBCASE("a lapse") { CHECK(s.moment(600s).starts_with("N d1#2 " + over + " v1 " + how + "{a:terminated:timeout} | N d2#2 active;")); }
    SUBCASE("a removal") { CHECK(s.tell({}, "e1", 0s).find("N d1#2 " + over) != std::string::npos); }
    SUBCASE("another's word") { CHECK(s.tell(info(dialog_of("x", "terminated", {}, one))).find("N d1#2 " + over) != std::string::npos); }
    SUBCASE("the end of it all, found by another's SUBSCRIBE") {
      s.at += 600s;
      CHECK(s.watch("d3").find("N d1#2 " + over + " v1") != std::string::npos);
    }
    SUBCASE("its own refresh, which finds what has lapsed") {
      s.at += 600s;
      CHECK(s.watch("d1", "alice", 600s, {}, specific).starts_with("200 Expires=0 | N d1#2 " + over + " v1 full{a:terminated:timeout} | N d2#2 active"));
    }
    SUBCASE("while a NOTIFY is on its way") {
      s.answers = false;
      s.tell(info(dialog_of("a", "early", {}, one)), "e1");
      CHECK(s.tell(info(dialog_of("a", "terminated", {}, one)), "e2").find("N d1#3 " + over + " v2") != std::string::npos);
      CHECK(s.outcome("d1", 2, 200).empty());
      s.answers = true;
    }
    CHECK(s.watch("d1", "alice", 600s) == "481");
    CHECK(s.stats().subscriptions == (s.dialogs.count("d3") != 0 ? 2 : 1));
  }
}

TEST_CASE("who subscribes to a dialog that is over is told so at once; one that nobody knows may still come (DLG-3.4-1)") {
  lamp s{dialog_package()};
  s.tell(info(dialog_of("a", "confirmed", {}, one)), {}, 600s);
  s.tell(info(dialog_of("a", "terminated", {}, one)), "e1", 600s);
  CHECK(s.watch("d1", "alice", 3600s, {}, specific) == "200 Expires=0 | N d1#1 terminated;reason=noresource v0 full{}");
  CHECK(s.watch("d2", "alice", 0s, {}, specific) == "200 Expires=0 | N d2#1 terminated;reason=timeout v0 full{}");
  CHECK(s.stats().subscriptions == 0);
  const std::string other = ";call-id=\"c@h\";to-tag=m;from-tag=r1";
  CHECK(s.watch("d3", "alice", 3600s, {}, other) == "200 Expires=3600 | N d3#1 active;expires=3600 v0 full{}");
  CHECK(s.tell(info(dialog_of("c", "early", {}, third))) == "200 e3 Expires=3600 | N d3#2 active;expires=3600 v1 full{c:early}");
  // its end may be the first that is heard of it
  const std::string fourth = tags("n", "r1");
  CHECK(s.watch("d4", "alice", 3600s, {}, ";call-id=\"c@h\";to-tag=n;from-tag=r1").find("active;expires=3600 v0 full{}") != std::string::npos);
  CHECK(s.tell(info(dialog_of("d", "terminated", {}, fourth))) == "200 e4 Expires=3600 | N d4#2 terminated;reason=noresource v1 full{d:terminated}");
}

TEST_CASE("usages of one SIP dialog are about dialogs of their own, and end without each other (DLG-3.2-1, DLG-3.4-1, EVT-4.4.1-1)") {
  memory_storage rows;
  lamp s{dialog_package(), &rows};
  s.tell(info(three));
  s.watch("d0", "alice", 3600s, {}, specific);
  CHECK(s.watch("d0", "alice", 3600s, {}, invite + ";id=7").find("v0 full{a:early,b:early}") != std::string::npos);
  CHECK(s.dialogs["d0"].notifies.back().dialog.event() == "dialog;id=7;call-id=\"c@h\";to-tag=l");
  CHECK(s.watch("d0", "alice", 3600s, {}, ";id=7").find("v1 full{a:early,b:early}") != std::string::npos);
  s.tell({}, "e1", 0s);
  s.watch("d0", "alice", 0s, {}, ";id=7");
  s.tell(info(dialog_of("a", "confirmed", {}, one)), {}, 600s);
  s.watch("d1");
  s.watch("d1", "alice", 3600s, {}, specific + ";id=1");
  CHECK(s.tell(info(dialog_of("a", "terminated", {}, one)), "e3", 600s) ==
        "200 e4 Expires=600 | N d1#3 active;expires=3600 v1 full{a:terminated} | N d1#4;id=1;call-id=\"c@h\";to-tag=l;from-tag=r1 "
        "terminated;reason=noresource v1 full{a:terminated}");
  // a usage that ends with the request that would have made it
  CHECK(s.watch("d1", "alice", 3600s, {}, specific + ";id=2").starts_with("200 Expires=0 | N d1#5;id=2;call-id=\"c@h\";to-tag=l;from-tag=r1 terminated;reason=noresource v0"));
  s.restart();
  CHECK(s.watch("d1").starts_with("200 Expires=3600 | N d1#6 active"));
}

TEST_CASE("a usage ends with what has lapsed while its SIP dialog gets another one, refreshes or ends one (DLG-3.4-1, EVT-4.4.1-1)") {
  for (const seconds asked : {3600s, 0s}) {
    for (const char* id : {";id=7", ";id=8"}) {  // a known one, or another
      CAPTURE(asked.count());
      CAPTURE(id);
      memory_storage rows;
      lamp s{dialog_package(), &rows};
      s.tell(info(dialog_of("a", "early", {}, one)), {}, 60s);
      s.watch("d0", "alice", 3600s, {}, specific);
      s.watch("d0", "alice", 3600s, {}, ";id=7");
      s.at += 60s;
      const std::string got = s.watch("d0", "alice", asked, {}, id);
      CHECK(got.starts_with("200 "));
      CHECK(got.find(" terminated;reason=noresource") != std::string::npos);
      s.restart();
      CHECK(s.watch("d0", "alice", 3600s, {}, specific).starts_with(asked == 0s && id == std::string{";id=7"} ? "481" : "200 Expires=3600"));
    }
  }
}

TEST_CASE("a stranger does not learn by a selection which dialogs there are (DLG-3.6-1, SEC-PKG-1)") {
  lamp s{dialog_package()};
  s.tell(info(three));
  CHECK(s.watch("d1", "eve", 3600s, {}, specific).find("v0 full{virtual:confirmed}") != std::string::npos);
  CHECK(s.watch("d2", "eve", 3600s, {}, ";call-id=none;to-tag=l").find("v0 full{virtual:confirmed}") != std::string::npos);
  CHECK(s.tell(info(dialog_of("a", "terminated", {}, one) + dialog_of("b", "early", {}, two)), "e1") == "200 e2 Expires=3600");
  CHECK(s.watch("d3", "eve", 3600s, {}, specific).find("v0 full{virtual:confirmed}") != std::string::npos);
  CHECK(s.watch("d4", "alice", 3600s, {}, ";call-id=\"c@h\";to-tag=l").find("v0 full{b:early}") != std::string::npos);
  // who may see everything may choose
  lamp open{dialog_package({.strangers = dialog_options::shown::everything})};
  open.tell(info(three));
  CHECK(open.watch("d1", "eve", 3600s, {}, specific).find("v0 full{a:early}") != std::string::npos);
  CHECK(open.tell(info(dialog_of("a", "terminated", {}, one)), "e1").find("N d1#2 terminated;reason=noresource v1 full{a:terminated}") != std::string::npos);
}

TEST_CASE("of one lamp's dialogs those of the selection count (DLG-3.2-1, DLG-AGG-4)") {
  lamp s{dialog_package({.single_dialog = true})};
  s.tell(info(dialog_of("a", "confirmed", {}, one) + dialog_of("b", "early", {}, two)));
  CHECK(s.watch("d1").find("full{b:early}") != std::string::npos);
  CHECK(s.watch("d2", "alice", 3600s, {}, specific).find("full{a:confirmed}") != std::string::npos);
}

TEST_CASE("equal selections share one document, and there are so many of them (N23, SEC-DOS-2)"
          * not_in("database_only", "nothing that was composed or parsed stays")) {
  options settings;
  settings.limits.subscriptions_per_watcher_and_resource = 1000;
  lamp s{dialog_package(), nullptr, settings};
  s.tell(info(three));
  for (const char* d : {"d1", "d2"}) s.watch(d, "alice", 3600s, {}, specific);
  const auto& first = s.dialogs["d1"].notifies.back().content;
  CHECK(first.bytes().data() == s.dialogs["d2"].notifies.back().content.bytes().data());
  for (int i = 1; i < 256; ++i)
    REQUIRE(s.watch("s" + std::to_string(i), "alice", 3600s, {}, ";call-id=c" + std::to_string(i) + ";to-tag=l").starts_with("200"));
  CHECK(s.watch("more", "alice", 3600s, {}, ";call-id=more;to-tag=l").starts_with("503 Retry-After="));
  CHECK(s.watch("same", "alice", 3600s, {}, specific).starts_with("200"));
  CHECK(s.watch("all").starts_with("200"));
  s.watch("s1", "alice", 0s);
  CHECK(s.watch("more", "alice", 3600s, {}, ";call-id=more;to-tag=l").starts_with("200"));
}

TEST_CASE("a party to a call is neither shown nor told of it, where the package says so (DLG-3.3-2, PROP-3)") {
  const auto with = [](const std::string& id, const std::string& state, const std::string& target) {
    return dialog_of(id, state, "<remote><target uri=\"" + target + "\"/></remote>");
  };
  const std::string desk = "sip:alice@192.0.2.1", other = "sip:alice@192.0.2.2";
  memory_storage rows;
  lamp s{dialog_package({.leaves_out_own = true}), &rows};
  s.watch("d1", "alice", 3600s, desk);
  s.watch("d2", "alice", 3600s, other);
  CHECK(s.tell(info(with("a", "early", "SIP:alice@192.0.2.1"))) == "200 e1 Expires=3600 | N d2#2 active;expires=3600 v1 full{a:early}");
  CHECK(s.tell(info(with("a", "confirmed", desk) + with("b", "early", "sip:c@h")), "e1") ==
        "200 e2 Expires=3600 | N d1#2 active;expires=3600 v1 full{b:early} | N d2#3 active;expires=3600 v2 full{a:confirmed,b:early}");
  CHECK(s.watch("d1", "alice", 3600s, desk).find("v2 full{b:early}") != std::string::npos);
  // he moves
  CHECK(s.watch("d1", "alice", 3600s, "sip:alice@192.0.2.9").find("v3 full{a:confirmed,b:early}") != std::string::npos);
  CHECK(s.watch("d2", "alice", 3600s, desk).find("v3 full{b:early}") != std::string::npos);
  s.restart();
  const std::string told = s.tell(info(with("a", "terminated", desk) + with("b", "early", "sip:c@h")), "e2");
  CHECK(told.starts_with("200 e3 Expires=3600 | N d1#5 active;expires=3600 v"));
  CHECK(told.ends_with(" full{a:terminated,b:early}"));  // and nobody else is told
  CHECK(s.watch("d2", "alice", 3600s, desk).find("full{b:early}") != std::string::npos);
  // he may ask for it, and dialogs that do not say with whom are shown; a stranger sees what strangers see
  s.tell(info(dialog_of("c", "early", "<remote><target uri=\"" + desk + "\"/></remote>", one) + dialog_of("d", "early")));
  CHECK(s.watch("d3", "alice", 3600s, desk).find("full{b:early,d:early}") != std::string::npos);
  CHECK(s.watch("d4", "alice", 3600s, desk, specific).find("full{c:early}") != std::string::npos);
  CHECK(s.watch("d5", "eve", 3600s, desk).find("full{virtual:confirmed}") != std::string::npos);
  // by default everybody sees it
  lamp usual{dialog_package()};
  usual.tell(info(with("a", "early", desk)));
  CHECK(usual.watch("d1", "alice", 3600s, desk).find("full{a:early}") != std::string::npos);
}

TEST_CASE("Contacts that move make no more documents than selections may (DLG-3.3-2, SEC-DOS-2)") {
  options settings;
  settings.limits.subscriptions_per_watcher_and_resource = 1000;
  lamp s{dialog_package({.leaves_out_own = true}), nullptr, settings};
  const auto contact = [](int i) { return "sip:alice@192.0.2.1:" + std::to_string(1000 + i); };
  for (int i = 0; i < 256; ++i) REQUIRE(s.watch("s" + std::to_string(i), "alice", 3600s, contact(i)).starts_with("200"));
  REQUIRE(s.watch("same", "alice", 3600s, contact(0)).starts_with("200"));
  CHECK(s.watch("same", "alice", 3600s, contact(256)).starts_with("503 Retry-After="));
  CHECK(s.watch("same", "alice", 3600s, contact(1)).starts_with("200"));
  s.watch("s0", "alice", 0s, contact(0));
  CHECK(s.watch("same", "alice", 3600s, contact(256)).starts_with("200"));
}

TEST_CASE("a name goes together with a selection, over a restart (PRS-ENT-1, DLG-3.2-1)") {
  struct chosen final : view {
    bool equals(const view&) const noexcept override { return true; }
  };
  event_package p = opaque_package("named");
  p.names_as_subscribed = true;
  p.select = [](const event_value&, std::string_view, std::shared_ptr<const view>) -> result<std::shared_ptr<const view>, refusal> {
    return std::shared_ptr<const view>{std::make_shared<const chosen>()};
  };
  p.authorize_body = [](const body& state, std::string_view resource, std::span<const published>, const view&) {
    return body{"a/b", std::string{resource.substr(0, 4)} + "=" + std::string{state.bytes()}};
  };
  memory_storage rows;
  scenario s{{.rows = &rows, .packages = {p}}};
  s.publish("alice", {.raw = "1", .type = "a/b", .event = "named"});
  CHECK(s.subscribe("d1", {.to = "pres:alice@example.com", .expires = 600s, .event = "named"}) ==
        "200 Expires=600 | N d1#1 active;expires=600 [pres=1]");
  s.restart();
  CHECK(s.subscribe("d1", {.expires = 0s}).find("[pres=1]") != std::string::npos);
  s.audit();
}
