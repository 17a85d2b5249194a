/// What a server cannot do without for each NOTIFY: a datagram sent and one received, and nothing else.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <stdexcept>

constexpr std::size_t most = 64;  // datagrams in one system call

/// A UDP socket at some port of 127.0.0.1.
inline int bound_socket() {
  const int made = ::socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(made, reinterpret_cast<sockaddr*>(&own), sizeof own) != 0) throw std::runtime_error{"no socket"};
  return made;
}

inline sockaddr_in name_of(int bound) {
  sockaddr_in own{};
  socklen_t length = sizeof own;
  ::getsockname(bound, reinterpret_cast<sockaddr*>(&own), &length);
  return own;
}

/// Microseconds of this thread's processor for sending a datagram of a NOTIFY's size and receiving one of an answer's, with
/// so many of them in a system call. What the other side does is not counted.
inline double udp_floor(std::size_t pairs, std::size_t together) {
  const int server = bound_socket(), watcher = bound_socket();
  std::array<char, 1000> text{};
  const auto transfer = [&](int from, sockaddr_in* to, std::size_t size) {
    iovec piece{text.data(), size};
    std::array<mmsghdr, most> messages{};
    for (mmsghdr& one : messages) {
      one.msg_hdr.msg_name = to;
      one.msg_hdr.msg_namelen = to ? sizeof *to : 0;
      one.msg_hdr.msg_iov = &piece;
      one.msg_hdr.msg_iovlen = 1;
    }
    for (std::size_t i = 0; i < most; i += together) {
      const auto count = static_cast<unsigned>(together);
      const int done =
          to ? ::sendmmsg(from, messages.data(), count, 0) : ::recvmmsg(from, messages.data(), count, MSG_DONTWAIT, nullptr);
      if (done != static_cast<int>(together)) throw std::runtime_error{"floor: a datagram is missing"};
    }
  };
  const auto now = [] {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) / 1e3;
  };
  sockaddr_in server_name = name_of(server), watcher_name = name_of(watcher);
  double spent = 0;
  std::size_t done = 0;
  for (; done < pairs; done += most) {
    const double begun = now();
    transfer(server, &watcher_name, 1000);
    spent += now() - begun;
    transfer(watcher, nullptr, text.size());
    transfer(watcher, &server_name, 300);
    const double again = now();
    transfer(server, nullptr, text.size());
    spent += now() - again;
  }
  ::close(server);
  ::close(watcher);
  return spent / static_cast<double>(done);
}
