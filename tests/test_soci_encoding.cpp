/// How values cross the wire: any bytes become valid UTF-8 and come back; wide values are told apart.
#include <doctest/doctest.h>

#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "columns.hpp"
#include "encoding.hpp"
#include "overlong.hpp"

using namespace presence::sql;

namespace {

std::string encoded(std::string text) {
  to_utf8(text);
  return text;
}
std::string decoded(std::string text) {
  from_utf8(text);
  return text;
}

// RFC 3629's grammar once more, by the number a character stands for.
bool is_utf8_without_nul(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t n) {
      return i + n < text.size() ? static_cast<unsigned char>(text[i + n]) : 0U;
    };
    const unsigned first = byte(0);
    const std::size_t size = first < 0x80       ? 1
                             : first >> 5 == 6  ? 2
                             : first >> 4 == 14 ? 3
                             : first >> 3 == 30 ? 4
                                                : 0;
    if (size == 0 || first == 0) return false;
    unsigned long character = size == 1 ? first : first & (0x7fU >> size);
    for (std::size_t n = 1; n < size; ++n) {
      if (byte(n) >> 6 != 2) return false;
      character = character << 6 | (byte(n) & 0x3f);
    }
    constexpr unsigned long least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (character < least[size] || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
      return false;
    i += size;
  }
  return true;
}

}  // namespace

TEST_CASE("text: what is UTF-8 stays as it is, anything else becomes it and comes back (T22)") {
  for (const std::string text : {"", "plain", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xef\xbf\xbd",
                                 "\xef\x9b\xbf", "\xef\xa0\x80"}) {
    CHECK(encoded(text) == text);
    CHECK(decoded(text) == text);
  }
  CHECK(encoded("\xff") == "\xef\x9f\xbf");
  CHECK(encoded(std::string(1, '\0')) == "\xef\x9c\x80");
  CHECK(encoded("\xef\x9f\xbf") != "\xef\x9f\xbf");  // what stands for a byte is replaced itself
  std::mt19937 random{1};
  const std::vector<std::string> pieces{"a",
                                        "\xc3",
                                        "\xa9",
                                        "\xef",
                                        "\x9c",
                                        "\x9f",
                                        "\xbf",
                                        "\x80",
                                        "\xed",
                                        "\xa0",
                                        "\xf0",
                                        "\xf4",
                                        "\x90",
                                        "\xe0",
                                        "\xc0",
                                        "\xff",
                                        "\xef\x9d\x81",
                                        "\xe2\x82\xac",
                                        "\xf0\x9f\x98\x80",
                                        std::string(1, '\0')};
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (unsigned n = static_cast<unsigned>(random() % 8); n != 0; --n)
      text += pieces[random() % pieces.size()];
    const std::string wire = encoded(text);
    REQUIRE(is_utf8_without_nul(wire));
    REQUIRE(decoded(wire) == text);
  }
}

TEST_CASE("binary: every byte comes back from PostgreSQL's text of it, and from an array's") {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  std::string text = all;
  to_bytea(text);
  CHECK(text.substr(0, 8) == "\\x000102");
  from_bytea(text);
  CHECK(text == all);
  std::string element;
  append_element("a\"b\\c{,}", element);
  CHECK(element == "\"a\\\"b\\\\c{,}\"");
}

TEST_CASE("wide: digests are SHA-256") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256(std::string(1000000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("wide: a value fits its column, and comes back only while the column is as we wrote it") {
  subscription_columns c;
  const std::string contact(300, 'c'), call(256, 'i'), user(64, 'u');
  c.contact = contact;
  c.callid = call;
  c.to_user = user;
  fold(c);
  CHECK(c.contact.size() == 255);
  CHECK(c.callid.size() == 255);
  CHECK(c.to_user == user);  // exactly as wide as its column
  CHECK_FALSE(c.x_long.null);
  subscription_columns key;
  key.callid = call;
  fit_key(key);
  CHECK(key.callid == c.callid);

  subscription_columns again = c;
  unfold(again);
  CHECK(again.contact == contact);
  CHECK(again.callid == call);
  again = c;
  again.contact = "sip:written.by.kamailio";
  unfold(again);
  CHECK(again.contact == "sip:written.by.kamailio");
  CHECK(again.callid == call);

  // what is none of ours is left alone
  for (const char* text : {"x", ":", "contact:", "contact:9", "contact:999:abc",
                           "contact:-1:", "callid:3:abc", "nothing:3:abccontact:"}) {
    again = c;
    again.x_long.value.assign(text);
    unfold(again);
    CHECK(again.contact == c.contact);
    CHECK(again.callid == c.callid);
  }
  c.contact = "sip:short";
  c.callid = "short";
  fold(c);
  CHECK(c.x_long.null);
}
