// message-summary (RFC 3842; features V07, V08; conformance 12).
#include "scenario.hpp"

#include <presence/packages.hpp>

using namespace presence;
using namespace presence::test;

namespace {

constexpr const char* media_type = "application/simple-message-summary";

struct mailbox : scenario {
  explicit mailbox(message_summary_options how = {}) : scenario{[] { return setup{}; }()} {
    engine = std::make_unique<presence::engine>(given.settings, host_hooks{}, nullptr, random.get());
    REQUIRE(engine->add_event(message_summary_package(how), at));
  }
  std::string tell(const std::string& text, const std::string& tag = {}, expires_value expires = {}) {
    return publish("alice", {.raw = text, .type = media_type, .if_match = tag, .expires = expires, .event = "message-summary"});
  }
  std::string watch(const std::string& dialog = "d1") {
    return subscribe(dialog, {.by = "alice", .expires = 3600s, .event = "message-summary"});
  }
  std::string state() const { return std::string{engine->current_state(address("alice"), "message-summary", at).bytes()}; }
};

}  // namespace

TEST_CASE("TV-30: the bytes of a lamp going on and off (V07, MWI-3-1, MWI-3.4-1, MWI-3.5-1, MWI-3.7-1, MWI-3.7-2, D2-19)") {
  mailbox s;
  CHECK(s.watch() == "200 Expires=3600 | N d1#1 active;expires=3600 [Messages-Waiting: no\r\n]");
  const std::string full = "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vm.ex.org\r\nVoice-Message: 2/8 (0/2)\r\n";
  CHECK(s.tell(full) == "200 e1 Expires=3600 | N d1#2 active;expires=3600 [" + full + "]");
  CHECK(s.tell("Voice-Message: 1/0\r\n", "e1") == "400");
  CHECK(s.tell("Messages-Waiting: yes\r\nVoice-Message: 4294967296/0\r\n", "e1") == "400");
  CHECK(s.tell(full, "e1") == "200 e2 Expires=3600");
  CHECK(s.tell("messages-waiting:no\r\n", "e2") == "200 e3 Expires=3600 | N d1#3 active;expires=3600 [Messages-Waiting: no\r\n]");
  CHECK(s.tell("", "e3", 0s) == "200 e4 Expires=0");
}

TEST_CASE("what phones write is read, whatever its case, blanks, folds and line ends (MWI-PARSE-1, TRAP-12)") {
  struct row {
    const char* text;
    const char* state;  // null: 400
  };
  const row rows[] = {
      {"messages-waiting:YES", "Messages-Waiting: yes\r\n"},
      {"Messages-Waiting :\tYes\n", "Messages-Waiting: yes\r\n"},
      {"Messages-Waiting:\r\n no\r\n", "Messages-Waiting: no\r\n"},
      {"Messages-Waiting: yes\nvoice-message:1/2\n", "Messages-Waiting: yes\r\nvoice-message: 1/2\r\n"},
      {"Messages-Waiting: yes\r\nX-New: 01 / 2 ( 3 / 4 )\r\n", "Messages-Waiting: yes\r\nX-New: 1/2 (3/4)\r\n"},
      {"Messages-Waiting: yes\r\nMessage-Account:sips:a@b\r\nFax-Message: 4294967295/0\r\n",
       "Messages-Waiting: yes\r\nMessage-Account: sips:a@b\r\nFax-Message: 4294967295/0\r\n"},
      {"Messages-Waiting: no\r\nNone: 0/0\r\n\r\n", "Messages-Waiting: no\r\nNone: 0/0\r\n"},
      {"Messages-Waiting: yes\r\n\r\nFrom: a\r\nSubject: b\r\n\r\nFrom: c\r\n", "Messages-Waiting: yes\r\n"},
      {"Messages-Waiting: maybe\r\n", nullptr},
      {"Messages-Waiting: yess\r\n", nullptr},
      {"Messages-Waiting yes\r\n", nullptr},
      {" Messages-Waiting: yes\r\n\x01", nullptr},
      {"\r\nMessages-Waiting: yes\r\n", nullptr},
      {"Voice-Message: 1/1\r\nMessages-Waiting: yes\r\n", nullptr},
      {"Messages-Waiting: yes\r\nVoice-Message: 1\r\n", nullptr},
      {"Messages-Waiting: yes\r\nVoice-Message: 1/\r\n", nullptr},
      {"Messages-Waiting: yes\r\nVoice-Message: -1/2\r\n", nullptr},
      {"Messages-Waiting: yes\r\nVoice-Message: 1/2 (3/4\r\n", nullptr},
      {"Messages-Waiting: yes\r\nVoice-Message: 1/2 3\r\n", nullptr},
      {"Messages-Waiting: yes\r\nVoice-Message: 1/2\r\nvoice-message: 3/4\r\n", nullptr},
      {"Messages-Waiting: yes\r\nMessage-Account: nobody\r\n", nullptr},
      {"Messages-Waiting: yes\r\nMessage-Account: sip:a@b\r\nMessage-Account: sip:a@b\r\n", nullptr},
      {"Messages-Waiting: yes\r\n\r\nno colon here\r\n", nullptr},
      {"Messages-Waiting: yes\rVoice-Message: 1/1\r\n", nullptr},
  };
  for (const row& row : rows) {
    CAPTURE(row.text);
    mailbox s;
    const std::string told = s.tell(row.text);
    if (row.state == nullptr) {
      CHECK(told == "400");
    } else {
      CHECK(told == "200 e1 Expires=3600");
      CHECK(s.state() == row.state);
      mailbox again;
      again.tell(s.state());
      CHECK(again.state() == row.state);
    }
  }
}

TEST_CASE("sizes are bounded and media types compared (MWI-PARSE-2, D2-13)") {
  mailbox s;
  const std::string begins = "Messages-Waiting: yes\r\n";
  CHECK(s.tell(begins + std::string(16384, ' ')) == "413");
  CHECK(s.tell(begins + "X: 1/" + std::string(600, '0') + "\r\n") == "400");
  std::string folded = begins + "X: 1/";
  for (int i = 0; i < 600; ++i) folded += "\r\n 0";
  CHECK(s.tell(folded) == "400");
  std::string most = begins;
  for (int i = 0; i < 64; ++i) most += "X" + std::to_string(i) + ": 1/1\r\n";
  CHECK(s.tell(most).starts_with("200"));
  CHECK(s.tell(most + "Y: 1/1\r\n") == "400");
  CHECK(s.publish("alice", {.raw = begins, .type = "text/plain", .event = "message-summary"}).starts_with("415"));
}

TEST_CASE("several accounts: the newest alone, or all together (V08, MWI-AGG-1)") {
  const std::string one = "Messages-Waiting: no\r\nMessage-Account: sip:a@b\r\nVoice-Message: 1/2\r\nFax-Message: 4294967290/0\r\n";
  const std::string two = "Messages-Waiting: yes\r\nMessage-Account: sip:a@b\r\nvoice-message: 3/4 (1/0)\r\nfax-message: 9/0\r\n";
  mailbox latest;
  latest.tell(one);
  latest.tell(two);
  CHECK(latest.state() == two);
  latest.tell("", "e2", 0s);
  CHECK(latest.state() == one);

  mailbox sum{{.several = message_summary_options::combining::sum}};
  sum.tell(one);
  sum.tell(two);
  CHECK(sum.state() == "Messages-Waiting: yes\r\nMessage-Account: sip:a@b\r\nVoice-Message: 4/6 (1/0)\r\nFax-Message: 4294967295/0\r\n");
  sum.tell("Messages-Waiting: no\r\nMessage-Account: sip:other@b\r\n");
  CHECK(sum.state().find("Message-Account") == std::string::npos);
}

TEST_CASE("counts above the bound are capped where that is wanted; an unknown mailbox may say nothing (MWI-3.7-2)") {
  mailbox s{{.empty_when_unknown = true, .cap_counts = true}};
  CHECK(s.watch() == "200 Expires=3600 | N d1#1 active;expires=3600");
  CHECK(s.tell("Messages-Waiting: yes\r\nVoice-Message: 99999999999999999999999/0\r\n") ==
        "200 e1 Expires=3600 | N d1#2 active;expires=3600 [Messages-Waiting: yes\r\nVoice-Message: 4294967295/0\r\n]");
}

TEST_CASE("headers of single messages are told once, and only where that is wanted (MWI-3.5-3, SEC-PKG-4)") {
  mailbox s{{.message_headers = true}};
  s.watch();
  const std::string counts = "Messages-Waiting: yes\r\nVoice-Message: 1/0\r\n";
  CHECK(s.tell(counts + "\r\nSubject:hello\r\n\r\n\r\nSubject: two\r\n") ==
        "200 e1 Expires=3600 | N d1#2 active;expires=3600 [" + counts + "\r\nSubject: hello\r\n\r\nSubject: two\r\n]");
  CHECK(s.watch() == "200 Expires=3600 | N d1#3 active;expires=3600 [" + counts + "]");
}

TEST_CASE("a header that is new is told also where the counts stay, an old one is not (MWI-3.5-3)") {
  mailbox s{{.message_headers = true}};
  s.watch();
  const std::string counts = "Messages-Waiting: yes\r\nVoice-Message: 1/0\r\n";
  const auto told = [&](const char* number, const char* subject) {
    return "200 e" + std::string{number} + " Expires=3600 | N d1#" + std::to_string(std::stoi(number) + 1) + " active;expires=3600 [" + counts + "\r\nSubject: " + subject + "\r\n]";
  };
  CHECK(s.tell(counts + "\r\nSubject: one\r\n") == told("1", "one"));
  CHECK(s.tell(counts + "\r\nSubject: two\r\n", "e1") == told("2", "two"));
  CHECK(s.tell(counts + "\r\nSubject: two\r\n", "e2") == "200 e3 Expires=3600");
  CHECK(s.tell(counts, "e3") == "200 e4 Expires=3600");
}

TEST_CASE("a sum has no more classes than a summary may have, the first ones (V08, MWI-PARSE-2)") {
  mailbox s{{.several = message_summary_options::combining::sum}};
  const auto classes = [](char letter, int count, const std::string& more = {}) {
    std::string text = "Messages-Waiting: yes\r\n";
    for (int i = 0; i < count; ++i) text += std::string(1, letter) + std::to_string(i) + more + "-Message: 1/0\r\n";
    return text;
  };
  s.tell(classes('x', 40));
  s.tell(classes('y', 40));
  s.watch();
  const std::string sum = s.dialogs["d1"].notifies.back().body_bytes();
  CHECK(std::count(sum.begin(), sum.end(), '\n') == 1 + 64);
  CHECK(sum.find("y23-Message: 1/0") != std::string::npos);
  CHECK(sum.find("y24-Message") == std::string::npos);
  mailbox wide{{.several = message_summary_options::combining::sum}};
  for (const char letter : {'a', 'b', 'c'}) wide.tell(classes(letter, 30, std::string(400, 'n')));
  wide.watch();
  CHECK(wide.dialogs["d1"].notifies.back().body_bytes().size() < 16384);
}

TEST_CASE("headers of single messages are for the mailbox's owner, counts for whoever may watch (SEC-PKG-4)") {
  mailbox s{{.message_headers = true}};
  s.subscribe("d1", {.by = "alice", .event = "message-summary"});
  s.subscribe("d2", {.by = "bob", .event = "message-summary"});
  s.subscribe("d3", {.by = "alice", .event = "message-summary", .unproven = true});
  const std::string counts = "Messages-Waiting: yes\r\nVoice-Message: 1/0\r\n";
  CHECK(s.tell(counts + "\r\nSubject: hello\r\n") == "200 e1 Expires=3600 | N d1#2 active;expires=3600 [" + counts + "\r\nSubject: hello\r\n]" +
                                                          " | N d2#2 active;expires=3600 [" + counts + "] | N d3#2 active;expires=3600 [" + counts + "]");
}

TEST_CASE("the package lasts an hour, and a watcher who does not take its media type is refused (MWI-3-1, MWI-3.4-1)") {
  mailbox s;
  CHECK(s.subscribe("d1", {.by = "alice", .event = "message-summary"}) == "200 Expires=3600 | N d1#1 active;expires=3600 [Messages-Waiting: no\r\n]");
  CHECK(s.dialogs["d1"].notifies[0].content.content_type() == media_type);
  CHECK(s.subscribe("d2", {.by = "alice", .event = "message-summary", .accept = "application/simple-message-summary"}).starts_with("200"));
  CHECK(s.subscribe("d3", {.by = "alice", .event = "message-summary", .accept = "application/pidf+xml"}) == "406");
}

TEST_CASE("what the publisher says of waiting messages passes, whatever the counts (MWI-3.5-1)") {
  mailbox s;
  s.watch();
  for (const char* text : {"Messages-Waiting: no\r\nVoice-Message: 3/0\r\n", "Messages-Waiting: yes\r\nVoice-Message: 0/3\r\n"}) {
    s.tell(text);
    CHECK(s.dialogs["d1"].notifies.back().body_bytes() == text);
  }
}

TEST_CASE("every change of a count is told, the same again in other words is not (MWI-3.7-1)") {
  mailbox s;
  s.watch();
  s.tell("Messages-Waiting: yes\r\nVoice-Message: 1/0\r\n");
  const auto tells = [&](const char* text) {
    const std::string told = s.tell(text, s.tags.back());
    REQUIRE(told.starts_with("200"));
    return told.find("N d1") != std::string::npos;
  };
  CHECK_FALSE(tells("messages-waiting:YES\nVoice-Message: 01 / 0\n"));
  for (const char* changed : {"Messages-Waiting: no\r\nVoice-Message: 1/0\r\n", "Messages-Waiting: no\r\nVoice-Message: 1/1\r\n",
                              "Messages-Waiting: no\r\nVoice-Message: 2/1\r\n", "Messages-Waiting: no\r\nVoice-Message: 2/1 (0/0)\r\n",
                              "Messages-Waiting: no\r\nVoice-Message: 2/1 (1/0)\r\n", "Messages-Waiting: no\r\nFax-Message: 2/1 (1/0)\r\n",
                              "Messages-Waiting: no\r\nMessage-Account: sip:a@b\r\nFax-Message: 2/1 (1/0)\r\n", "Messages-Waiting: no\r\n"}) {
    CAPTURE(changed);
    CHECK(tells(changed));
    CHECK_FALSE(tells(changed));
  }
}

TEST_CASE("a mailbox may be shown to its owner alone (MWI-3.6-1)") {
  const std::string counts = "Messages-Waiting: yes\r\nVoice-Message: 1/0\r\n";
  for (const bool headers : {false, true}) {
    mailbox s{{.message_headers = headers, .owner_only = true}};
    CHECK(s.watch().starts_with("200"));
    CHECK(s.subscribe("d2", {.by = "bob", .event = "message-summary"}) == "403");
    CHECK(s.subscribe("d3", {.by = "alice", .event = "message-summary", .unproven = true}) == "403");
    CHECK(s.subscribe("d4", {.by = "bob", .event = "message-summary", .also = {"sip:alice@example.com"}}).starts_with("200"));
    const std::string told = headers ? counts + "\r\nSubject: hello\r\n" : counts;
    CHECK(s.tell(counts + "\r\nSubject: hello\r\n") ==
          "200 e1 Expires=3600 | N d1#2 active;expires=3600 [" + told + "] | N d4#2 active;expires=3600 [" + told + "]");
  }
}

TEST_CASE("who watches an alias is told whose account it is (MWI-3.5-2)") {
  std::string account = "sip:box7@vm.example.com";
  const auto behind = [&](std::string_view resource) { return resource == address("alice") ? account : std::string{}; };
  const std::string line = "Message-Account: sip:box7@vm.example.com\r\n";
  for (const auto several : {message_summary_options::combining::latest, message_summary_options::combining::sum}) {
    mailbox s{{.several = several, .account = behind}};
    CHECK(s.watch() == "200 Expires=3600 | N d1#1 active;expires=3600 [Messages-Waiting: no\r\n" + line + "]");
    CHECK(s.subscribe("d2", {.by = "bob", .to = "bob", .event = "message-summary"}).ends_with("[Messages-Waiting: no\r\n]"));
    s.tell("Messages-Waiting: yes\r\nVoice-Message: 1/0\r\n");
    CHECK(s.state() == "Messages-Waiting: yes\r\n" + line + "Voice-Message: 1/0\r\n");
    s.tell("Messages-Waiting: yes\r\nMessage-Account: sip:own@b\r\nVoice-Message: 2/0\r\n");  // what was published counts
    CHECK(s.state() == (several == message_summary_options::combining::latest
                            ? "Messages-Waiting: yes\r\nMessage-Account: sip:own@b\r\nVoice-Message: 2/0\r\n"
                            : "Messages-Waiting: yes\r\n" + line + "Voice-Message: 3/0\r\n"));
  }
  for (const char* bad : {"", "nonsense", "sip:a@b\r\nX: 1", "sip:a b@c"}) {
    account = bad;
    mailbox s{{.account = behind}};
    CHECK(s.watch() == "200 Expires=3600 | N d1#1 active;expires=3600 [Messages-Waiting: no\r\n]");
  }
}

TEST_CASE("where accounts are added up the headers of the document that comes are told, once (MWI-3.5-3, V08)") {
  mailbox s{{.several = message_summary_options::combining::sum, .message_headers = true}};
  s.tell("Messages-Waiting: yes\r\nVoice-Message: 1/0\r\n\r\nSubject: one\r\n");
  s.watch();
  const std::string sum = "Messages-Waiting: yes\r\nVoice-Message: 3/0\r\n";
  CHECK(s.tell("Messages-Waiting: no\r\nVoice-Message: 2/0\r\n\r\nSubject: two\r\n") ==
        "200 e2 Expires=3600 | N d1#2 active;expires=3600 [" + sum + "\r\nSubject: two\r\n]");
  CHECK(s.watch() == "200 Expires=3600 | N d1#3 active;expires=3600 [" + sum + "]");
  CHECK(s.tell("Messages-Waiting: yes\r\nVoice-Message: 1/0\r\n\r\nSubject: one\r\n", "e1") == "200 e3 Expires=3600");
}
