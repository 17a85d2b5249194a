#include <presence/dialog.hpp>

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace presence;

namespace {

constexpr dialog_fields sample{.call_id = "call@h",
                               .local_tag = "10abc",
                               .remote_tag = "xyz",
                               .local_uri = "sip:alice@example.com",
                               .remote_uri = "sip:bob@example.com",
                               .remote_target = "sip:bob@192.0.2.7",
                               .route_set = "<sip:p1;lr>,<sip:p2;lr>",
                               .local_contact = "sip:192.0.2.1",
                               .event = "presence;id=7",
                               .watcher = "sip:bob@example.com",
                               .cookie = "flow-1",
                               .user_agent = "phone/1",
                               .headers = "X-A: b\r\n",
                               .secure = true};

}  // namespace

TEST_CASE("a dialog gives back every part (HOST-6)") {
  const dialog d{sample};
  CHECK(d);
  CHECK(d.call_id() == sample.call_id);
  CHECK(d.local_tag() == sample.local_tag);
  CHECK(d.remote_tag() == sample.remote_tag);
  CHECK(d.local_uri() == sample.local_uri);
  CHECK(d.remote_uri() == sample.remote_uri);
  CHECK(d.remote_target() == sample.remote_target);
  CHECK(d.route_set() == sample.route_set);
  CHECK(d.local_contact() == sample.local_contact);
  CHECK(d.event() == sample.event);
  CHECK(d.watcher() == sample.watcher);
  CHECK(d.cookie() == sample.cookie);
  CHECK(d.user_agent() == sample.user_agent);
  CHECK(d.headers() == sample.headers);
  CHECK(d.secure());
  CHECK(d.fields() == sample);
}

TEST_CASE("no dialog is empty in every part") {
  const dialog none;
  CHECK_FALSE(none);
  CHECK(none.fields() == dialog_fields{});
  CHECK(none == dialog{});
  CHECK(dialog{dialog_fields{}});
  CHECK_FALSE(none == dialog{dialog_fields{}});
  none.prefetch();
}

TEST_CASE("parts may be empty, long, or hold any bytes") {
  const std::string longest(70000, 'r');
  const std::string bytes("a\0b", 3);
  const dialog d{{.route_set = longest, .cookie = bytes}};
  CHECK(d.call_id().empty());
  CHECK(d.route_set() == longest);
  CHECK(d.cookie() == bytes);
  CHECK(d.headers().empty());
  CHECK_FALSE(d.secure());
}

TEST_CASE("a dialog of more than 64 KiB gives back every part, too") {
  for (const std::size_t size : {65'000u, 65'300u, 65'400u, 65'536u, 200'000u}) {
    const std::string long_route(size, 'r');
    dialog_fields fields = sample;
    fields.route_set = long_route;
    const dialog d{fields};
    CHECK(d.fields() == fields);
    CHECK(d.size() > size);
    CHECK(d == dialog{fields});
    CHECK_FALSE(d == dialog{sample});
  }
}

TEST_CASE("a dialog owns its text") {
  std::string text = "sip:bob@192.0.2.7";
  const dialog d{{.remote_target = text}};
  text.assign("gone");
  CHECK(d.remote_target() == "sip:bob@192.0.2.7");
}

TEST_CASE("copies share one block; a changed copy leaves the old one alone (EVT-4.2.1.4-7)") {
  dialog first{sample};
  const dialog copy = first;
  CHECK(copy.call_id().data() == first.call_id().data());
  auto changed = first.fields();
  changed.remote_target = "sip:bob@198.51.100.1";
  first = dialog{changed};
  CHECK(first.remote_target() == "sip:bob@198.51.100.1");
  CHECK(first.call_id() == copy.call_id());
  CHECK(copy.remote_target() == sample.remote_target);
  CHECK_FALSE(first == copy);
}

TEST_CASE("equality is by content") {
  CHECK(dialog{sample} == dialog{sample});
  auto other = sample;
  other.secure = false;
  CHECK_FALSE(dialog{sample} == dialog{other});
  // the same characters, cut elsewhere
  CHECK_FALSE(dialog{{.call_id = "ab", .local_tag = "c"}} == dialog{{.call_id = "a", .local_tag = "bc"}});
}

TEST_CASE("a moved dialog is empty, and assigning to oneself changes nothing") {
  dialog d{sample};
  dialog taken = std::move(d);
  CHECK_FALSE(d);
  CHECK(taken.fields() == sample);
  auto& same = taken;
  taken = same;
  CHECK(taken.fields() == sample);
  d = taken;
  taken = {};
  CHECK(d.fields() == sample);
}

TEST_CASE("descriptors may be copied and dropped on other threads") {
  const dialog d{sample};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&d] {
      for (int i = 0; i < 20000; ++i) {
        const dialog copy = d;
        const dialog again = copy;
        (void)again.call_id();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(d.fields() == sample);
}
