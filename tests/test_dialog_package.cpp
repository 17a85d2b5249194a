// dialog (RFC 4235) and dialog;sla (features V09-V12, P37, P40, S26; conformance 13, 14).
#include "lamp.hpp"

using namespace presence;
using namespace presence::test;

TEST_CASE("TV-31: dialogs of several phones in one document (V09, DLG-3.5-1, DLG-3.6-1, DLG-3.7.2-1, DLG-4.1-1, DLG-AGG-1, DLG-AGG-3, DLG-AGG-5, SEC-PKG-1, TRAP-11)") {
  lamp s{dialog_package()};
  CHECK(s.tell(info(dialog_of("a", "early", {}, " direction=\"recipient\"")), {}, 60s) == "200 e1 Expires=60");
  s.wait_until(1s);
  CHECK(s.tell(info(dialog_of("b", "confirmed")), {}, 600s) == "200 e2 Expires=600");
  s.wait_until(2s);
  CHECK(s.watch("d1") == "200 Expires=3600 | N d1#1 active;expires=3600 v0 full{a:early,b:confirmed}");
  CHECK(s.last("d1").find("entity=\"sip:alice@example.com\"") != std::string::npos);
  s.wait_until(3s);
  CHECK(s.tell(info(dialog_of("a", "confirmed")), "e1", 60s) ==
        "200 e3 Expires=60 | N d1#2 active;expires=3599 v1 full{a:confirmed,b:confirmed}");
  s.wait_until(4s);
  CHECK(s.watch("d2", "carol") == "200 Expires=3600 | N d2#1 active;expires=3600 v0 full{virtual:confirmed}");
  CHECK(s.moment(63s) == "N d1#3 active;expires=3539 v2 full{a:terminated:timeout,b:confirmed}");
  s.wait_until(64s);
  CHECK(s.tell(info("<dialog id=\"b\"><state event=\"remote-bye\">terminated</state></dialog>"), "e2", 600s) ==
        "200 e4 Expires=600 | N d1#4 active;expires=3538 v3 full{b:terminated:remote-bye} | N d2#2 active;expires=3540 v1 full{virtual:terminated}");
  s.wait_until(65s);
  CHECK(s.watch("d1") == "200 Expires=3600 | N d1#5 active;expires=3600 v4 full{}");
}

TEST_CASE("of one dialog that two phones report the newest word counts, and an end is final (V11, DLG-AGG-1)") {
  const std::string same = " call-id=\"c\" local-tag=\"l\" remote-tag=\"r\"";
  lamp s{dialog_package()};
  s.watch("d1");
  s.tell(info(dialog_of("a", "early", {}, same)));
  s.wait(1s);
  CHECK(s.tell(info(dialog_of("x", "confirmed", {}, same))).find("full{a:confirmed}") != std::string::npos);
  CHECK(s.tell(info(dialog_of("a", "terminated", {}, same)), "e1").find("full{a:terminated}") != std::string::npos);
  s.wait(1s);
  s.tell(info(dialog_of("x", "confirmed", {}, same)), "e2");
  CHECK(s.watch("d1").find("full{}") != std::string::npos);
  // and of one INVITE that nobody has answered
  lamp unanswered{dialog_package()};
  const std::string half = " call-id=\"c\" local-tag=\"l\"";
  unanswered.watch("d1");
  unanswered.tell(info(dialog_of("a", "trying", {}, half)));
  CHECK(unanswered.tell(info(dialog_of("x", "proceeding", {}, half))).find("full{a:proceeding}") != std::string::npos);
  // dialogs that do not tell which they are stay apart
  lamp apart{dialog_package()};
  apart.tell(info(dialog_of("a", "early")));
  apart.tell(info(dialog_of("b", "early", {}, " call-id=\"c\"")));
  CHECK(apart.watch("d1").find("full{a:early,b:early}") != std::string::npos);
}

TEST_CASE("equal ids of two publications are told apart, and stay what they were (DLG-AGG-1, DLG-4.1-2)") {
  lamp s{dialog_package()};
  s.tell(info(dialog_of("1", "early")));
  s.tell(info(dialog_of("1", "confirmed")));
  const std::string both = s.watch("d1");
  const auto at = both.find("full{1:early,d");
  REQUIRE(at != std::string::npos);
  const std::string fresh = both.substr(at + 13, 13);
  CHECK(s.tell(info(dialog_of("1", "early")), "e2").find("full{1:early," + fresh + ":early}") != std::string::npos);
  CHECK(s.tell("", "e1", 0s).find("full{1:terminated:timeout," + fresh + ":early}") != std::string::npos);
  CHECK(s.watch("d1").find("full{" + fresh + ":early}") != std::string::npos);
}

TEST_CASE("two ids that become one dialog stay under the one that is shown, also after a restart (DLG-4.1-2, DLG-AGG-2)"
          * not_in("database_only", "rows do not say that a dialog is shown under its own id")) {
  const std::string half = " call-id=\"c\" local-tag=\"l\"", whole = half + " remote-tag=\"r\"";
  struct row {
    std::string before_a, before_b, shows;
  };
  for (const row& r : {row{whole, half, "b"}, {half, whole, "a"}, {half, {}, "a"}, {whole, {}, "a"}}) {
    CAPTURE(r.before_a + r.before_b);
    memory_storage rows;
    lamp s{dialog_package(), &rows};
    s.watch("d1");
    s.tell(info(dialog_of("a", "early", {}, r.before_a) + (r.before_b.empty() ? "" : dialog_of("b", "early", {}, r.before_b))));
    const std::string shown = "full{" + r.shows + ":confirmed}";
    CHECK(s.tell(info(dialog_of("a", "early", {}, half) + dialog_of("b", "confirmed", {}, half)), "e1").find(shown) != std::string::npos);
    s.restart();
    CHECK(s.watch("d2").find(shown) != std::string::npos);
  }
}

TEST_CASE("an id stays with a dialog that is not shown at the moment (DLG-4.1-2)") {
  lamp s{dialog_package()};
  s.tell(info(dialog_of("1", "confirmed")));
  s.watch("d1");
  CHECK(s.tell(info(dialog_of("1", "terminated")), "e1").find("full{1:terminated}") != std::string::npos);
  CHECK(s.tell(info(dialog_of("1", "early"))).find("full{d") != std::string::npos);
  CHECK(s.tell(info(dialog_of("1", "early") + dialog_of("2", "early")), "e2").find("full{1:early,2:early,d") != std::string::npos);
}

TEST_CASE("dialogs that were one until more was known get ids of their own (DLG-4.1-2)"
          * not_in("database_only", "rows do not say that a dialog is shown under its own id")) {
  const std::string half = " call-id=\"c\" local-tag=\"l\"", whole = half + " remote-tag=\"r\"";
  for (const bool first_grows : {false, true}) {
    CAPTURE(first_grows);
    lamp s{dialog_package()};
    s.watch("d1");
    s.tell(info(dialog_of("b", "early", {}, half)));
    CHECK(s.tell(info(dialog_of("x", "trying", {}, half))).find("full{b:trying}") != std::string::npos);
    if (first_grows) CHECK(s.tell(info(dialog_of("b", "confirmed", {}, whole)), "e1").find("full{b:confirmed,x:trying}") != std::string::npos);
    else CHECK(s.tell(info(dialog_of("x", "confirmed", {}, whole)), "e2").find("full{b:early,x:confirmed}") != std::string::npos);
  }
}

TEST_CASE("a partial publication changes only what it names (DLG-AGG-2)") {
  lamp s{dialog_package()};
  s.tell(info(dialog_of("a", "early") + dialog_of("b", "early")));
  s.tell(info(dialog_of("b", "confirmed"), "partial"), "e1");
  CHECK(s.watch("d1").find("full{a:early,b:confirmed}") != std::string::npos);
}

TEST_CASE("one lamp shows the most interesting dialog (V10, DLG-AGG-4)") {
  lamp s{dialog_package({.single_dialog = true})};
  s.watch("d1");
  CHECK(s.tell(info(dialog_of("a", "trying"))).find("full{a:trying}") != std::string::npos);
  CHECK(s.tell(info(dialog_of("b", "confirmed"))).find("full{b:confirmed}") != std::string::npos);
  CHECK(s.tell(info(dialog_of("c", "early"))).find("full{c:early}") != std::string::npos);
  CHECK(s.tell(info(dialog_of("c", "proceeding")), "e3").find("full{b:confirmed}") != std::string::npos);
}

TEST_CASE("of equally interesting dialogs of one lamp the id decides, whatever their order (V10, N27)"
          * not_in("database_only", "nobody knows what a watcher saw last: documents are full")) {
  lamp s{dialog_package({.single_dialog = true, .partial = true})};
  s.tell(info(dialog_of("b", "early") + dialog_of("a", "early")));
  CHECK(s.watch("d1").find("full{a:early}") != std::string::npos);
  CHECK(s.tell(info(dialog_of("a", "early") + dialog_of("b", "early")), "e1") == "200 e2 Expires=3600");
  CHECK(s.tell(info(dialog_of("b", "early")), "e2").find("partial{a:terminated,b:early}") != std::string::npos);
}

TEST_CASE("what differs in foreign attributes of a dialog is told (CMP-12, DLG-4.1-2)") {
  lamp s{dialog_package()};
  s.watch("d1");
  s.tell(info(dialog_of("a", "early", {}, " xmlns:x=\"urn:x\" x:line=\"1\"")));
  CHECK(s.tell(info(dialog_of("a", "early", {}, " xmlns:x=\"urn:x\" x:line=\"2\"")), "e1").find("full{a:early}") != std::string::npos);
  CHECK(s.tell(info(dialog_of("a", "early", {}, " xmlns:x=\"urn:x\"  x:line='2'")), "e2") == "200 e3 Expires=3600");
}

TEST_CASE("partial documents tell what changed, a full one begins (N27, DLG-3.3-3, DLG-4.3-1)"
          * not_in("database_only", "nobody knows what a watcher saw last: documents are full")) {
  lamp s{dialog_package({.partial = true})};
  s.tell(info(dialog_of("a", "early") + dialog_of("b", "early")));
  CHECK(s.watch("d1").find("v0 full{a:early,b:early}") != std::string::npos);
  CHECK(s.tell(info(dialog_of("a", "early") + dialog_of("b", "confirmed")), "e1") ==
        "200 e2 Expires=3600 | N d1#2 active;expires=3600 v1 partial{b:confirmed}");
  CHECK(s.tell(info(dialog_of("b", "confirmed")), "e2") == "200 e3 Expires=3600 | N d1#3 active;expires=3600 v2 partial{a:terminated}");
  CHECK(s.tell(info(dialog_of("b", "confirmed")), "e3") == "200 e4 Expires=3600");
  CHECK(s.watch("d1").find("v3 full{b:confirmed}") != std::string::npos);
}

TEST_CASE("a dialog that is over does not begin again, also beside a live one (P37, V11)") {
  const std::string which = " call-id=\"c\"", tags = which + " local-tag=\"l\" remote-tag=\"r\"";
  for (const std::string& says : {which, tags}) {
    CAPTURE(says);
    lamp s{dialog_package()};
    s.tell(info(dialog_of("a", "confirmed", {}, says) + dialog_of("b", "early")));
    s.watch("d1");
    s.tell(info(dialog_of("a", "terminated", {}, says) + dialog_of("b", "early")), "e1");
    CHECK(s.tell(info(dialog_of("a", "early", {}, says) + dialog_of("b", "early")), "e2") == "200 e3 Expires=3600");
    CHECK(s.tell(info(dialog_of("a", "confirmed", {}, says), "partial"), "e3") == "200 e4 Expires=3600");
    CHECK(s.tell(info(dialog_of("a", "confirmed", {}, says)), "e4").find("full{b:terminated}") == std::string::npos);
    CHECK(s.watch("d1").find("full{}") != std::string::npos);
    CHECK(s.tell(info(dialog_of("a", "early", {}, " call-id=\"another\"")), "e5").find("full{a:early}") != std::string::npos);
  }
  // one that tells which it is stays over when the document is another by now
  lamp s{dialog_package()};
  s.tell(info(dialog_of("a", "terminated", {}, tags)));
  s.watch("d1");
  s.tell(info({}), "e1");
  CHECK(s.tell(info(dialog_of("z", "early", {}, tags)), "e2") == "200 e3 Expires=3600");
}

TEST_CASE("an end stays also where it has another remote tag than was known, or none (P37, V11)") {
  struct row {
    const char* name;
    std::string before, end, later;
    bool begins;
  };
  const std::string half = " call-id=\"c\" local-tag=\"l\"", whole = half + " remote-tag=\"r\"", fork = half + " remote-tag=\"s\"",
                    theirs = " call-id=\"c\" remote-tag=\"r\"";
  const row rows[] = {
      {"nobody answered, and that is told again", half, half, half, false},
      {"nobody answered, and another has", half, half, whole, true},
      {"the end leaves the tag out", whole, half, whole, false},
      {"the end leaves the tag out, and so does the late word", whole, half, half, false},
      {"the end leaves it out, and another has answered", whole, half, fork, true},
      {"the end tells the tag", half, whole, whole, false},
      {"the end tells the tag, the late word does not", half, whole, half, false},
      {"the end tells the tag, and another has answered", half, whole, fork, true},
      {"the end is of another branch", fork, whole, fork, true},
      {"a call to him, ended with fewer tags", whole, theirs, whole, false},
  };
  for (const row& r : rows) {
    for (const bool by_another : {false, true}) {
      CAPTURE(r.name);
      CAPTURE(by_another);
      lamp s{dialog_package()};
      s.tell(info(dialog_of("1", "early", {}, r.before)));
      s.tell(info(dialog_of("1", "terminated", {}, r.end)), "e1");
      s.tell(info({}), "e2");
      s.tell(info(dialog_of("2", "confirmed", {}, r.later)), by_another ? "" : "e3");
      CHECK((s.watch("d1").find(":confirmed}") != std::string::npos) == r.begins);
    }
  }
}

TEST_CASE("a phone that uses a dialog id again without Call-ID tells of another dialog (P37)") {
  lamp s{dialog_package()};
  s.tell(info(dialog_of("a", "confirmed")));
  s.watch("d1");
  s.tell(info(dialog_of("a", "terminated")), "e1");
  CHECK(s.tell(info(dialog_of("a", "early")), "e2").find("full{a:early}") != std::string::npos);
}

TEST_CASE("an end stays when the publication that told it is gone (V11, DLG-AGG-1)") {
  const std::string same = " call-id=\"c\" local-tag=\"l\" remote-tag=\"r\"";
  lamp s{dialog_package()};
  s.tell(info(dialog_of("a", "confirmed", {}, same)), {}, 60s);
  s.tell(info(dialog_of("x", "confirmed", {}, same)));
  s.watch("d1");
  CHECK(s.tell(info(dialog_of("a", "terminated", {}, same)), "e1", 60s).find("full{a:terminated}") != std::string::npos);  // who told it first named it
  SUBCASE("removed") { CHECK(s.tell({}, "e3", 0s) == "200 e4 Expires=0"); }
  SUBCASE("lapsed") { CHECK(s.moment(70s).empty()); }
  SUBCASE("another document") { CHECK(s.tell(info({}), "e3") == "200 e4 Expires=3600"); }
  CHECK(s.watch("d1").find("full{}") != std::string::npos);
  CHECK(s.tell(info(dialog_of("x", "early", {}, same)), "e2").find(" | N ") == std::string::npos);
}

TEST_CASE("an end of a dialog is told once, whoever tells it again (DLG-AGG-3)") {
  const std::string same = " call-id=\"c\" local-tag=\"l\" remote-tag=\"r\"";
  for (const std::string& says : {std::string{}, same}) {
    CAPTURE(says);
    lamp s{dialog_package()};
    s.watch("d1");
    s.tell(info(dialog_of("a", "confirmed", {}, says)));
    CHECK(s.tell(info(dialog_of("a", "terminated", {}, says)), "e1").find("v2 full{a:terminated}") != std::string::npos);
    CHECK(s.tell(info(dialog_of("a", "terminated", {}, says)), "e2") == "200 e3 Expires=3600");
    CHECK(s.tell(info(dialog_of("a", "terminated", {}, says)), "e3") == "200 e4 Expires=3600");
  }
  lamp s{dialog_package()};
  s.tell(info(dialog_of("a", "confirmed", {}, same)));
  s.tell(info(dialog_of("x", "confirmed", {}, same)));
  s.watch("d1");
  s.tell(info(dialog_of("a", "terminated", {}, same)), "e1");
  CHECK(s.tell(info(dialog_of("x", "terminated", {}, same)), "e2").find("terminated") == std::string::npos);
}

TEST_CASE("a stranger sees no more than a call, or nothing, as the package says (DLG-3.6-1, SEC-PKG-1)") {
  const std::string secret = dialog_of("a", "confirmed", "<remote><identity>sip:bob@example.com</identity></remote>", " call-id=\"c1\" local-tag=\"l\" remote-tag=\"r\"");
  lamp s{dialog_package()};
  s.tell(info(secret));
  s.watch("d1", "eve");
  for (const char* part : {"sip:bob", "c1", "tag"}) CHECK(s.last("d1").find(part) == std::string::npos);
  CHECK(s.tell(info(dialog_of("a", "confirmed", "<duration>5</duration>")), "e1") == "200 e2 Expires=3600");
  lamp open{dialog_package({.strangers = dialog_options::shown::everything})};
  open.tell(info(secret));
  open.watch("d1", "eve");
  CHECK(open.last("d1").find("sip:bob") != std::string::npos);
  lamp none{dialog_package({.strangers = dialog_options::shown::nothing})};
  CHECK(none.watch("d1", "eve") == "403");
}

TEST_CASE("a bridged line is shown to its owner and to who shares it (SEC-PKG-1, DLG-3.6-1)") {
  const std::string secret = dialog_of("a", "confirmed", "<remote><identity>sip:bob@example.com</identity></remote>", " call-id=\"c1\" local-tag=\"l\" remote-tag=\"r\"");
  const auto shares = [](std::string_view line, const identity& who) { return line == address("alice") && who.proves(address("carol")); };
  const std::string contact = "sip:alice@192.0.2.1";
  using shown = dialog_options::shown;
  lamp s{dialog_sla_package({.shares = shares})};
  s.tell(info(secret));
  for (const char* by : {"alice", "carol"}) {
    s.watch(by, by, 3600s, contact);
    CHECK(s.last(by).find("c1") != std::string::npos);
  }
  CHECK(s.watch("eve", "eve", 3600s, contact) == "200 Expires=3600 | N eve#1 active;expires=3600 v0 full{virtual:confirmed}");
  for (const char* part : {"sip:bob", "c1", "tag"}) CHECK(s.last("eve").find(part) == std::string::npos);
  // who only says he is the owner is a stranger
  CHECK(s.shortened(s.subscribe("claims", {.by = "alice", .event = "dialog;sla", .contact = contact, .unproven = true})).find("v0 full{virtual:confirmed}") != std::string::npos);
  CHECK(s.tell(info({}), "e1").find("N eve#2 active;expires=3600 v1 full{}") != std::string::npos);
  lamp none{dialog_sla_package({.strangers = shown::nothing})};
  CHECK(none.watch("eve", "eve", 3600s, contact) == "403");
  lamp open{dialog_sla_package({.strangers = shown::everything})};
  open.tell(info(secret));
  open.watch("eve", "eve", 3600s, contact);
  CHECK(open.last("eve").find("c1") != std::string::npos);
}

TEST_CASE("a subscription lasts an hour unless it says otherwise, for who takes dialog-info (DLG-3.4-1, DLG-3.5-1)") {
  lamp s{dialog_package()};
  CHECK(s.shortened(s.subscribe("d1", {.by = "alice", .event = "dialog"})) == "200 Expires=3600 | N d1#1 active;expires=3600 v0 full{}");
  CHECK(s.subscribe("d2", {.by = "alice", .event = "dialog", .accept = "application/pidf+xml"}) == "406");
  CHECK(s.subscribe("d3", {.by = "alice", .event = "dialog", .accept = "text/plain, application/dialog-info+xml"}).starts_with("200"));
}

TEST_CASE("session descriptions go only where they are wanted (DLG-4.1-4)") {
  const std::string with = info(dialog_of("a", "early", "<local><session-description type=\"application/sdp\">v=0</session-description><cseq>1</cseq></local>"));
  lamp s{dialog_package()};
  s.tell(with);
  s.watch("d1");
  CHECK(s.last("d1").find("v=0") == std::string::npos);
  CHECK(s.last("d1").find("<local><cseq>1</cseq></local>") != std::string::npos);
  lamp line{dialog_sla_package()};
  line.tell(with);
  line.watch("d1", "alice", 3600s, "sip:alice@192.0.2.1");
  CHECK(line.last("d1").find("v=0") == std::string::npos);
  for (auto package : {dialog_package({.session_descriptions = true}), dialog_sla_package({.session_descriptions = true})}) {
    lamp keeps{package};
    keeps.tell(with);
    keeps.watch("d1", "alice", 3600s, "sip:alice@192.0.2.1");
    CHECK(keeps.last("d1").find("v=0") != std::string::npos);
    keeps.watch("d2", "eve", 3600s, "sip:alice@192.0.2.2");
    CHECK(keeps.last("d2").find("v=0") == std::string::npos);
  }
}

TEST_CASE("what is no dialog-info is refused (DLG-3.7.1-1, DLG-4.1-1, DLG-4.1-2, DLG-4.1-3, SEC-XML-1, SEC-XML-3, D2-13)") {
  const char* bad[] = {
      "", "<dialog-info/>", "no xml",
      "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"1\" state=\"full\"/>",
      "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"x\" state=\"full\" entity=\"sip:a@b\"/>",
      "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"1\" state=\"half\" entity=\"sip:a@b\"/>",
      "<!DOCTYPE a><dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"1\" state=\"full\" entity=\"sip:a@b\"/>"};
  for (const char* text : bad) {
    CAPTURE(text);
    lamp s{dialog_package()};
    CHECK(s.tell(text) == "400");
  }
  const std::string dialogs[] = {
      "<dialog><state>early</state></dialog>", "<dialog id=\"a\"/>", "<dialog id=\"a\"></dialog>", dialog_of("a", "ringing"),
      dialog_of("a", "early") + dialog_of("a", "early"), dialog_of("a", "early", "<state>early</state>"),
      dialog_of("a", "early", {}, " direction=\"up\""), dialog_of("a", "early", {}, " direction=\" initiator\""), dialog_of("a", "early", {}, " direction=\"\""),
      dialog_of("a", "early", "<duration>1</duration><duration>2</duration>"), dialog_of("a", "early", "<local><cseq>1</cseq><cseq>1</cseq></local>"),
      "<dialog id=\"a\"><state event=\"timeout \">terminated</state></dialog>", "<dialog id=\"a\"><state code=\"\">terminated</state></dialog>",
      "<dialog id=\"a\"><state event=\"bored\">terminated</state></dialog>",
      "<dialog id=\"a\"><state code=\"700\">terminated</state></dialog>", "<dialog id=\"a\"><state code=\"99\">terminated</state></dialog>"};
  for (const std::string& text : dialogs) {
    CAPTURE(text);
    lamp s{dialog_package()};
    CHECK(s.tell(info(text)) == "400");
  }
  lamp s{dialog_package()};
  CHECK(s.publish("alice", {.raw = info({}), .type = "text/xml", .event = "dialog"}).starts_with("415"));
  CHECK(s.tell(info(dialog_of("a", "early", "<local><identity display=\"A\">sip:a@b</identity><target uri=\"sip:a@b\"><param pname=\"x-line-id\" pvalue=\"1\"/></target></local>"))).starts_with("200"));
}

TEST_CASE("prefixes and order are put right, foreign elements kept (DLG-4.1-2, BLA-5, PIDF-SER-1)") {
  lamp s{dialog_package()};
  s.tell("<q:dialog-info xmlns:q=\"urn:ietf:params:xml:ns:dialog-info\" xmlns:sa=\"urn:ietf:params:xml:ns:sa-dialog-info\" version=\"0\" state=\"full\" "
         "entity=\"sip:alice@example.com\"><q:dialog id=\"a&quot;b\"><sa:appearance>2</sa:appearance><q:state>early</q:state></q:dialog></q:dialog-info>");
  s.tell(info(dialog_of("z", "early")));
  s.watch("d1");
  s.tell(info("<dialog id='it&apos;s'><state>early</state></dialog>"));
  const std::string seen = s.last("d1");
  CHECK(seen.find("id='it&apos;s'") != std::string::npos);
  CHECK(seen.find("id=\"a&quot;b\"") != std::string::npos);
  CHECK(seen.find("<q:state>early</q:state><sa:appearance>2</sa:appearance>") != std::string::npos);
  s.tell(info("<dialog id=\"o\"><remote><cseq>1</cseq><x xmlns=\"urn:x\"/><target uri=\"sip:b@c\"/><identity>sip:a@b</identity></remote><local/><state>early</state></dialog>"));
  CHECK(s.last("d1").find("<state>early</state><local/><remote><identity>sip:a@b</identity><target uri=\"sip:b@c\"/><cseq>1</cseq><x xmlns=\"urn:x\"/></remote>") != std::string::npos);
  const event_package package = dialog_package();
  const body again{dialog_info_type, seen};
  CHECK(package.check_publish({"sip:alice@example.com", again, {}, limits{}}).has_value());
}

TEST_CASE("TV-32: a bridged line: the phone that spoke does not hear itself (V12, BLA-1 to -5, P03, TRAP-13)") {
  lamp s{dialog_sla_package()};
  const std::string cx = "sip:alice@192.0.2.1", cy = "sip:alice@192.0.2.2";
  CHECK(s.watch("dX", "alice", 3600s, cx) == "200 Expires=3600 | N dX#1 active;expires=3600 v0 full{}");
  CHECK(s.watch("dY", "alice", 3600s, cy) == "200 Expires=3600 | N dY#1 active;expires=3600 v0 full{}");
  CHECK(s.tell(info(dialog_of("a", "trying")), {}, {}, cx) == "200 e1 Expires=3600 | N dY#2 active;expires=3600 v1 full{a:trying}");
  CHECK(s.tell(info(dialog_of("a", "confirmed")), "e1", {}, cx) == "200 e1 Expires=3600 | N dY#3 active;expires=3600 v2 full{a:confirmed}");
  CHECK(s.watch("dX", "alice", 600s, cx) == "200 Expires=600 | N dX#2 active;expires=600 v1 full{}");
  CHECK(s.tell(info(dialog_of("b", "confirmed")), "e1", {}, cy) == "200 e1 Expires=3600 | N dX#3 active;expires=600 v2 full{b:confirmed}");
  CHECK(s.publish("alice", {.raw = info({}), .type = dialog_info_type, .event = "dialog;sla", .by = "eve", .sender = cx}) == "403");
  CHECK(s.dialogs["dX"].notifies[0].dialog.event() == "dialog;sla");
}

TEST_CASE("names that drafts had are taken, and those of the RFC are given (DLG-4.1-3, BLA-5)") {
  lamp s{dialog_package()};
  const auto remote = [](const char* display, const char* value) {
    return info(dialog_of("a", "confirmed", std::string{"<remote><identity "} + display + "=\"B\">sip:bob@example.com</identity><target uri=\"sip:b@h\">"
                                            "<param pname=\"x-line-id\" " + value + "=\"1\"/></target></remote>"));
  };
  const auto seen = [&](const std::string& document) {
    s.tell(document);
    s.watch("d1");
    return s.last("d1");
  };
  const std::string given = seen(remote("display", "pval"));
  CHECK(given.find("<identity display=\"B\">") != std::string::npos);
  lamp other{dialog_package()};
  other.tell(remote("display-name", "pvalue"));
  other.watch("d1");
  CHECK(other.last("d1") == given);
  // both names: as it is
  CHECK(seen(remote("display=\"C\" display-name", "pval=\"2\" pvalue")).find("display-name=\"B\"") != std::string::npos);
}

TEST_CASE("the Contact of who is called is hidden behind his address where the switch says so (V12, BLA-5)") {
  const auto remote = [](const std::string& identity, const std::string& target) {
    return info(dialog_of("a", "confirmed", "<local><identity>sip:alice@example.com</identity><target uri=\"sip:alice@192.0.2.1\"/></local><remote>" +
                                                identity + target + "</remote>"));
  };
  const std::string bob = "<identity display=\"B\"> sip:bob@example.com </identity>";
  const auto seen = [&](bool fixes, const std::string& document) {
    lamp s{dialog_sla_package({.remote_target_is_identity = fixes})};
    s.tell(document);
    s.watch("d1");
    return s.last("d1");
  };
  const std::string lined = "<target x:a=\"b\" xmlns:x=\"urn:x\" uri='sip:192.0.2.9'><param pname=\"x-line-id\" pval=\"1\"/></target>";
  CHECK(seen(false, remote(bob, lined)).find(bob + lined) != std::string::npos);
  const std::string quoted = seen(true, remote("<identity>sip:o'bob@example.com</identity>", lined));
  CHECK(quoted.find("uri='sip:o&apos;bob@example.com'>") != std::string::npos);
  CHECK(seen(true, remote(lined, "<identity>sip:bob@example.com</identity>"))
            .find("uri='sip:bob@example.com'><param pname=\"x-line-id\" pval=\"1\"/></target>") != std::string::npos);
  CHECK(seen(true, remote(bob, "<target uri=\"sip:192.0.2.9\"/>")).find("sip:alice@192.0.2.1") != std::string::npos);
  // no address to put there
  CHECK(seen(true, remote("<identity>Bob</identity>", lined)).find(lined) != std::string::npos);
  CHECK(seen(true, remote({}, lined)).find(lined) != std::string::npos);
  // what it hides is no change
  lamp s{dialog_sla_package({.remote_target_is_identity = true})};
  s.tell(remote("<identity>sip:bob@example.com</identity>", "<target uri=\"sip:192.0.2.9\"/>"));
  s.watch("d1");
  CHECK(s.tell(remote("<identity>sip:bob@example.com</identity>", "<target uri=\"sip:192.0.2.8\"/>"), "e1") == "200 e1 Expires=3600");
}

TEST_CASE("of the dialogs that ended in one publication the last 64 do not begin again (P37)") {
  const auto call = [](int n, const char* state) {
    const std::string is = std::to_string(n);
    return dialog_of("d" + is, state, {}, " call-id=\"c" + is + "\" local-tag=\"l\" remote-tag=\"r\"");
  };
  lamp s{dialog_package()};
  constexpr int last = 65;  // one is in the document that counts, 64 are behind it
  s.tell(info(call(0, "terminated")));
  for (int n = 1; n <= last; ++n) s.tell(info(call(n, "terminated")), s.tags.back());
  s.watch("d1");
  const auto begins = [&](int n) { return s.tell(info(call(n, "early")), s.tags.back()).find(":early") != std::string::npos; };
  CHECK_FALSE(begins(last));
  CHECK_FALSE(begins(last - 1));
  CHECK_FALSE(begins(3));
  CHECK_FALSE(begins(2));
  CHECK(begins(1));
  CHECK(begins(0));
}
