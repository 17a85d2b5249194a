/// NOTIFYs over UDP, without the SIP stack: the non-INVITE client transaction of RFC 3261 section 17.1.2, and no more of
/// SIP than a NOTIFY and a plain answer to it need. It sends many at once, from a socket that the stack listens on, so
/// that watchers behind a NAT are reached, and takes plain answers from there. Everything else that comes is left in the
/// socket for the stack, which has the real parser.
///
/// What it does not take, the stack has to send: names that have to be looked up, TCP and TLS, large messages.
/// Knows the engine's values and POSIX; no stack, no clock, no event loop. Linux (sendmmsg, errors by IP_RECVERR).
#pragma once

#include <netinet/in.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <presence/effects.hpp>
#include <presence/time.hpp>
#include <string>
#include <string_view>
#include <vector>

class notify_transport {
 public:
  /// What became of a NOTIFY; status 0: nobody answered, or there was no way there. The descriptor dies with the call.
  using outcome = std::function<void(const presence::notify&, int status, std::optional<presence::seconds> retry_after)>;

  /// `timer_f`: how long an answer is waited for, 64 * T1 by the RFC.
  notify_transport(std::chrono::milliseconds timer_f, outcome told);
  notify_transport(const notify_transport&) = delete;
  notify_transport& operator=(const notify_transport&) = delete;

  /// Sends from this bound UDP socket where its address family fits; the first one of a family wins. `sent_by` is what
  /// Via says about it, `host:port`. The socket is not closed here, and has to be open as long as this object lives.
  void add_socket(int socket, std::string sent_by);

  /// Takes a NOTIFY and sends it with the next flush(), or before. False: it is for the stack.
  bool send(const presence::notify& n, presence::instant now);
  void flush();

  /// Takes the answers that are first in the socket. False: what is first now is for the stack.
  bool take_answers(int socket);
  /// Takes what came back by ICMP.
  void take_errors(int socket);
  /// An answer that the stack has read: the branch of its topmost Via. False: it is not to a NOTIFY from here.
  bool answered(std::string_view branch, int status, std::optional<presence::seconds> retry_after);

  /// NOTIFYs sent once and unanswered: those whose answer will come soon, if one comes.
  std::size_t fresh() const { return fresh_; }

  /// When advance() has something to do. It sends again what is unanswered, and gives up on it after timer F.
  std::optional<presence::instant> next_deadline();
  void advance(presence::instant now);

 private:
  union address {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  };
  struct own_socket {
    int socket;
    std::string via;  ///< up to the branch
  };
  struct transaction {
    std::uint64_t token = 0;  ///< nobody can guess it; 0: this place is free
    presence::notify what = {};
    address to = {};
    presence::instant since = {};
    std::uint8_t stage = 0;  ///< the queue it waits in
    bool proceeding = false;
  };
  struct timer {
    presence::instant due;
    std::uint32_t place;
    std::uint64_t token;  ///< of the transaction it is for, which may be gone
  };
  /// A message that the next flush() sends: its first part, and views of the body.
  struct outgoing {
    std::uint32_t place = 0;
    std::string head = {};
    presence::notify::pieces body = {};
  };
  static constexpr std::size_t most = 64;  // datagrams at once

  static std::optional<address> numeric_target(const presence::notify& n);
  const own_socket* socket_for(const address& to) const;
  std::uint64_t next_token();
  bool write(std::uint32_t place);
  void arm(std::uint32_t place, presence::instant now);
  transaction* find(std::string_view branch);
  bool plain_answer(std::string_view message);
  void finish(transaction& t, int status, std::optional<presence::seconds> retry_after = {});

  const std::chrono::milliseconds timer_f_;
  const outcome told_;
  std::array<std::optional<own_socket>, 2> sockets_ = {};  // IPv4, IPv6
  std::vector<transaction> transactions_;
  std::vector<std::uint32_t> free_;
  // Timer E has few delays, and each a queue: what comes later is due later. The last queue is timer F; there, one that
  // had a provisional answer may keep others waiting T2 longer.
  std::array<std::deque<timer>, 5> timers_ = {};
  std::size_t fresh_ = 0;
  std::array<outgoing, most> batch_ = {};
  std::size_t batched_ = 0;
  std::vector<std::uint64_t> random_ = {};
  std::vector<char> room_;
};
