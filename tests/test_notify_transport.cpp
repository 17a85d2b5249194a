// docs/examples/notify_transport: the client transaction of a NOTIFY, over real sockets, with time by hand.
// rows: HOST-5, PF10
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <notify_transport.hpp>
#include <string>
#include <string_view>
#include <vector>

#include <presence/presence.hpp>

using namespace std::chrono_literals;

namespace {

/// A UDP socket on the loopback.
class udp {
 public:
  explicit udp(int family = AF_INET) : fd{::socket(family, SOCK_DGRAM, 0)} {
    sockaddr_in6 own{};
    own.sin6_family = static_cast<sa_family_t>(family);
    if (family == AF_INET6) own.sin6_addr = in6addr_loopback;
    else reinterpret_cast<sockaddr_in*>(&own)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = family == AF_INET6 ? sizeof own : sizeof(sockaddr_in);
    usable = ::bind(fd, reinterpret_cast<sockaddr*>(&own), size) == 0;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size);
    const std::string host = family == AF_INET6 ? "[::1]:" : "127.0.0.1:";
    name = host + std::to_string(ntohs(own.sin6_port));  // where sin_port is, too
    const int yes = 1;
    ::setsockopt(fd, IPPROTO_IP, IP_RECVERR, &yes, sizeof yes);
    address = own;
    address_size = size;
  }
  ~udp() { ::close(fd); }
  udp(const udp&) = delete;
  udp& operator=(const udp&) = delete;

  /// What has come, or nothing: on the loopback it is there when it has been sent.
  std::string take() const {
    std::array<char, 65536> room{};
    const ssize_t size = ::recv(fd, room.data(), room.size(), MSG_DONTWAIT);
    return size < 0 ? "" : std::string(room.data(), static_cast<std::size_t>(size));
  }
  void send(std::string_view text, const udp& to) const {
    REQUIRE(::sendto(fd, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&to.address), to.address_size) >= 0);
  }

  int fd;
  bool usable = false;
  std::string name;
  sockaddr_in6 address{};
  socklen_t address_size = 0;
};

struct told {
  std::uint32_t cseq;
  int status;
  std::optional<presence::seconds> retry_after;
  friend bool operator==(const told&, const told&) = default;
};

/// A transport between a server's socket and a watcher's.
struct line {
  udp server, watcher;
  std::vector<told> outcomes = {};
  notify_transport transport;
  presence::instant now{1'000'000'000s};

  explicit line(std::chrono::milliseconds timer_f = 32s, int family = AF_INET)
      : server{family}, watcher{family}, transport{timer_f, [this](const presence::notify& n, int status, auto retry_after) {
          outcomes.push_back({n.cseq, status, retry_after});
        }} {
    if (server.usable) transport.add_socket(server.fd, server.name);
  }

  static presence::notify notify(std::string_view target, std::uint32_t cseq = 1, std::string_view route = {},
                                 std::size_t size = 20) {
    const presence::dialog_fields fields{
        .call_id = "call@example.com", .local_tag = "ours", .remote_tag = "theirs", .local_uri = "sip:alice@example.com",
        .remote_uri = "sip:bob@example.com", .remote_target = target, .route_set = route, .local_contact = "sip:192.0.2.1",
        .event = "presence"};
    return {.id = {.cseq = cseq}, .dialog = presence::dialog{fields}, .cseq = cseq, .expires = 600,
            .content = presence::body{"text/plain", std::string(size, 'x')}};
  }
  /// Sends one to the watcher; what came there.
  std::string notified(std::uint32_t cseq = 1) {
    REQUIRE(transport.send(notify("sip:bob@" + watcher.name, cseq), now));
    transport.flush();
    return watcher.take();
  }
  void pass(std::chrono::milliseconds time) { transport.advance(now += time); }
};

std::string header(const std::string& message, const std::string& name) {
  const auto at = message.find("\r\n" + name + ": ");
  if (at == message.npos) return "";
  const auto begin = at + name.size() + 4;
  return message.substr(begin, message.find("\r\n", begin) - begin);
}

std::string branch(const std::string& message) {
  const std::string via = header(message, "Via");
  return via.substr(via.find("branch=") + 7);
}

std::string answer(const std::string& notify, const std::string& status = "200 OK") {
  return "SIP/2.0 " + status + "\r\nVia: " + header(notify, "Via") + "\r\nCSeq: " + header(notify, "CSeq") +
         "\r\nContent-Length: 0\r\n\r\n";
}

}  // namespace

TEST_CASE("a NOTIFY past the stack is a message, and its answer is taken from the socket (HOST-5, PF10)") {
  line l;
  const std::string sent = l.notified(7);
  CHECK(sent == "NOTIFY sip:bob@" + l.watcher.name + " SIP/2.0\r\nVia: SIP/2.0/UDP " + l.server.name + ";rport;branch=" +
                    branch(sent) +
                    "\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=ours\r\nTo: <sip:bob@example.com>;tag=theirs\r\n"
                    "Call-ID: call@example.com\r\nCSeq: 7 NOTIFY\r\nContact: <sip:192.0.2.1>\r\nEvent: presence\r\n"
                    "Subscription-State: active;expires=600\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n\r\n" +
                    std::string(20, 'x'));
  CHECK(branch(sent).starts_with("z9hG4bK"));
  CHECK(l.transport.fresh() == 1);
  l.watcher.send(answer(sent), l.server);
  l.watcher.send(answer(sent), l.server);  // twice: nobody wants the second
  CHECK(l.transport.take_answers(l.server.fd));
  CHECK(l.outcomes == std::vector<told>{{7, 200, {}}});
  CHECK(l.transport.fresh() == 0);
  CHECK(l.server.take().empty());
  CHECK_FALSE(l.transport.next_deadline());
  CHECK(branch(l.notified(8)) != branch(sent));
}

TEST_CASE("an unanswered NOTIFY is sent again by timer E and given up by timer F (HOST-5)") {
  line l;
  const std::string sent = l.notified();
  std::chrono::milliseconds waited{0};
  for (const auto wait : {500ms, 1000ms, 2000ms, 4000ms, 4000ms, 4000ms, 4000ms, 4000ms, 4000ms, 4000ms}) {
    l.pass(wait - 1ms);
    REQUIRE(l.watcher.take().empty());
    l.pass(1ms);
    REQUIRE(l.watcher.take() == sent);
    CHECK(l.transport.fresh() == 0);
    waited += wait;
  }
  REQUIRE(waited == 31500ms);
  CHECK(l.transport.next_deadline() == l.now + 500ms);
  l.pass(499ms);
  CHECK(l.outcomes.empty());
  l.pass(1ms);
  CHECK(l.outcomes == std::vector<told>{{1, 0, {}}});
  CHECK(l.watcher.take().empty());
  CHECK_FALSE(l.transport.next_deadline());
  l.watcher.send(answer(sent), l.server);  // too late
  CHECK(l.transport.take_answers(l.server.fd));
  CHECK(l.outcomes.size() == 1);
}

TEST_CASE("a host that slept longer than timer F sends nothing again, and is told once (HOST-5)") {
  line l;
  const std::string sent = l.notified();
  l.pass(60s);
  CHECK(l.outcomes == std::vector<told>{{1, 0, {}}});
  CHECK(l.transport.fresh() == 0);
  CHECK(l.watcher.take().empty());
  CHECK_FALSE(l.transport.next_deadline());
  CHECK(l.notified(2) != sent);
}

TEST_CASE("after a provisional answer it is sent again each T2 (HOST-5)") {
  line l;
  const std::string sent = l.notified();
  CHECK(l.transport.answered(branch(sent), 100, {}));
  l.pass(500ms);
  CHECK(l.watcher.take() == sent);
  l.pass(3999ms);
  CHECK(l.watcher.take().empty());
  l.pass(1ms);
  CHECK(l.watcher.take() == sent);
  CHECK(l.outcomes.empty());
}

TEST_CASE("what the stack has read is matched by its branch (HOST-5)") {
  line l;
  const std::string sent = l.notified();
  const std::string ours = branch(sent);
  for (const std::string& other : std::vector<std::string>{
           "", "z9hG4bK", ours.substr(0, ours.size() - 1), ours + "0", "z9hG4bK." + std::string(24, '0'),
           "z9hG4bK." + std::string(24, 'f'), std::string(ours.size(), 'x')})
    CHECK_FALSE(l.transport.answered(other, 481, {}));
  CHECK(l.outcomes.empty());
  CHECK(l.transport.answered(ours, 503, presence::seconds{30}));
  CHECK(l.outcomes == std::vector<told>{{1, 503, presence::seconds{30}}});
  CHECK_FALSE(l.transport.answered(ours, 481, {}));
}

TEST_CASE("only plain answers are taken; everything else stays for the stack (HOST-5)") {
  line l;
  const std::string sent = l.notified(), via = header(sent, "Via");
  const auto good = [&](std::string_view name, std::string_view text) {
    CAPTURE(name);
    l.watcher.send(text, l.server);
    CHECK(l.transport.take_answers(l.server.fd));
    CHECK(l.server.take().empty());
  };
  const std::string ok = "SIP/2.0 200 OK\r\n", cseq = "CSeq: 1 NOTIFY\r\n\r\n", other = "SIP/2.0/UDP other;branch=z9hG4bKother";
  for (const std::string& text : std::vector<std::string>{
           answer(sent, "481 Gone"), answer(sent, "100 Trying"), "PUBLISH sip:a@b SIP/2.0\r\n\r\n", "", "\r\n\r\n",
           std::string(3000, 'x'), "SIP/2.0 200", "SIP/2.0 200 OK", ok + "\r\n", ok + "Via: " + via + "\r\n\r\n",
           ok + "Via: " + via + "\r\nCSeq: 1 PUBLISH\r\n\r\n", ok + "Via: " + other + ", " + via + "\r\n" + cseq,
           ok + "Via:\r\n " + via + "\r\n" + cseq, ok + "Via: " + other + "\r\nVia: " + via + "\r\n" + cseq,
           ok + "X: " + std::string(3000, 'x') + "\r\nVia: " + via + "\r\n" + cseq}) {
    CAPTURE(text);
    l.watcher.send(text, l.server);
    CHECK_FALSE(l.transport.take_answers(l.server.fd));
    CHECK(l.server.take() == text);
    CHECK(l.outcomes.empty());
  }
  std::string guessed = answer(sent);
  guessed[guessed.find("branch=") + 20] ^= 1;
  good("a branch that is guessed", guessed);
  CHECK(l.outcomes.empty());
  good("the answer, as others write it",
       "SIP/2.0 202 Accepted\r\nt: <sip:x>\r\nv: " + via + ";received=192.0.2.9\ncseq:\t1 NOTIFY\r\n\r\n");
  CHECK(l.outcomes == std::vector<told>{{1, 202, {}}});
}

TEST_CASE("answers behind something for the stack wait until it has been read (HOST-5)") {
  line l;
  const std::string first = l.notified(1), second = l.notified(2), request = "SUBSCRIBE sip:a@b SIP/2.0\r\n\r\n";
  l.watcher.send(answer(first), l.server);
  l.watcher.send(request, l.server);
  l.watcher.send(answer(second), l.server);
  CHECK_FALSE(l.transport.take_answers(l.server.fd));
  CHECK(l.outcomes.size() == 1);
  CHECK(l.server.take() == request);
  CHECK(l.transport.take_answers(l.server.fd));
  CHECK(l.outcomes == std::vector<told>{{1, 200, {}}, {2, 200, {}}});
}

TEST_CASE("many NOTIFYs go and come together (PF10)") {
  line l;
  for (std::uint32_t cseq = 1; cseq <= 100; ++cseq)
    REQUIRE(l.transport.send(line::notify("sip:bob@" + l.watcher.name, cseq), l.now));
  l.transport.flush();
  for (std::uint32_t cseq = 1; cseq <= 100; ++cseq) {
    const std::string sent = l.watcher.take();
    REQUIRE(header(sent, "CSeq") == std::to_string(cseq) + " NOTIFY");
    if (cseq % 2 == 0) l.watcher.send(answer(sent), l.server);
  }
  while (l.outcomes.size() < 50) l.transport.take_answers(l.server.fd);
  CHECK(l.transport.fresh() == 50);
  l.pass(500ms);
  for (std::uint32_t cseq = 1; cseq <= 100; cseq += 2)
    REQUIRE(header(l.watcher.take(), "CSeq") == std::to_string(cseq) + " NOTIFY");
  CHECK(l.watcher.take().empty());
  CHECK(l.outcomes.size() == 50);
}

TEST_CASE("what ICMP brings back ends the NOTIFY it is about (HOST-5)") {
  line l;
  std::string nobody;
  {
    const udp gone;
    nobody = gone.name;
  }
  REQUIRE(l.transport.send(line::notify("sip:bob@" + nobody, 1), l.now));
  l.notified(2);
  l.transport.take_errors(l.server.fd);
  CHECK(l.outcomes == std::vector<told>{{1, 0, {}}});
  REQUIRE(l.transport.send(line::notify("sip:bob@255.255.255.255", 3), l.now));  // the call itself fails
  l.transport.flush();
  CHECK(l.outcomes == std::vector<told>{{1, 0, {}}, {3, 0, {}}});
}

TEST_CASE("those that cannot be sent take none with them (HOST-5)") {
  line l;
  for (std::uint32_t cseq = 1; cseq <= 150; ++cseq)
    REQUIRE(l.transport.send(line::notify(cseq % 2 ? "sip:bob@255.255.255.255" : "sip:bob@" + l.watcher.name, cseq), l.now));
  l.transport.flush();
  REQUIRE(l.outcomes.size() == 75);
  for (std::uint32_t i = 0; i < 75; ++i) CHECK(l.outcomes[i] == told{2 * i + 1, 0, {}});
  CHECK(l.transport.fresh() == 75);
  for (std::uint32_t cseq = 2; cseq <= 150; cseq += 2) {
    const std::string sent = l.watcher.take();
    REQUIRE(header(sent, "CSeq") == std::to_string(cseq) + " NOTIFY");
    l.watcher.send(answer(sent), l.server);
    REQUIRE(l.transport.take_answers(l.server.fd));
    REQUIRE(l.outcomes.back() == told{cseq, 200, {}});
  }
  CHECK(l.outcomes.size() == 150);
}

TEST_CASE("what it cannot send is left to the stack (PF10)") {
  line l;
  const std::string there = l.watcher.name;
  for (const std::string& target : std::vector<std::string>{
           "sips:bob@" + there, "tel:+123", "sip:bob@localhost:5070", "sip:bob@" + there + ";transport=tcp",
           "sip:bob@" + there + ";maddr=192.0.2.1", "sip:bob@" + there + ";comp=sigcomp", "sip:bob@" + there + "?x=y",
           "sip:bob@127.0.0.1:0", "sip:bob@127.0.0.1:99999", "sip:bob@127.0.0.1:", "sip:bob@127.0.0.1:5060x", "sip:bob@127.1",
           "sip:bob@[::1", "sip:bob@[::1]5060", "sip:bob@[::1]:5060", "sip:bob@", "sip:", ""}) {
    CAPTURE(target);
    CHECK_FALSE(l.transport.send(line::notify(target), l.now));
  }
  const std::string target = "sip:bob@example.com";
  CHECK_FALSE(l.transport.send(line::notify(target, 1, "<sip:" + there + ">"), l.now));         // a strict router
  CHECK_FALSE(l.transport.send(line::notify(target, 1, "<sip:proxy.example.com;lr>"), l.now));  // a name
  CHECK_FALSE(l.transport.send(line::notify(target, 1, "sip:" + there + ";lr"), l.now));
  CHECK_FALSE(l.transport.send(line::notify("sip:bob@" + there, 1, {}, 1300), l.now));
  CHECK_FALSE(l.transport.send(line::notify("sip:bob@" + there + "\r\nX: y"), l.now));
  CHECK(l.transport.fresh() == 0);
  CHECK_FALSE(l.transport.next_deadline());
  l.transport.flush();
  CHECK(l.watcher.take().empty());

  CHECK(l.transport.send(line::notify(target, 1, "<sip:" + there + ";lr>, <sip:other.example.com;lr>"), l.now));
  CHECK(l.transport.send(line::notify("sip:" + there + ";transport=UDP;ob", 2), l.now));
  l.transport.flush();
  CHECK(header(l.watcher.take(), "Route") == "<sip:" + there + ";lr>, <sip:other.example.com;lr>");
  CHECK(header(l.watcher.take(), "CSeq") == "2 NOTIFY");
}

TEST_CASE("IPv6 has a socket of its own (PF10)") {
  line l{32s, AF_INET6};
  if (!l.server.usable) return;  // a machine without IPv6
  const std::string sent = l.notified();
  CHECK(header(sent, "Via").find("[::1]:") != std::string::npos);
  l.watcher.send(answer(sent), l.server);
  CHECK(l.transport.take_answers(l.server.fd));
  CHECK(l.outcomes == std::vector<told>{{1, 200, {}}});
  CHECK_FALSE(l.transport.send(line::notify("sip:bob@127.0.0.1"), l.now));
}
