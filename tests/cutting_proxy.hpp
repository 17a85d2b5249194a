/// A TCP proxy that cuts a connection at a chosen request, before it reaches the server or when its
/// answer comes: the two ways a database can be lost in the middle of something.
#pragma once

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace presence::test {

class cutting_proxy {
 public:
  explicit cutting_proxy(std::uint16_t server)
      : server_{server}, listener_{::socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in here = local(0);
    socklen_t size = sizeof here;
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&here), sizeof here) == 0);
    REQUIRE(::listen(listener_, 8) == 0);
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&here), &size) == 0);
    port_ = ntohs(here.sin_port);
    thread_ = std::thread{[this] { serve(); }};
  }
  ~cutting_proxy() {
    stopped_ = true;
    thread_.join();
    ::close(listener_);
  }
  cutting_proxy(const cutting_proxy&) = delete;
  cutting_proxy& operator=(const cutting_proxy&) = delete;

  std::uint16_t port() const { return port_; }

  /// The `nth` request from now on (1 is the next one) is the connection's last; 0: none is.
  void cut(int nth, bool delivered) {
    delivered_ = delivered;
    left_ = nth;
  }
  bool is_armed() const { return left_ != 0; }

 private:
  static sockaddr_in local(std::uint16_t port) {
    sockaddr_in made{};
    made.sin_family = AF_INET;
    made.sin_port = htons(port);
    made.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return made;
  }

  static bool ready(int fd) {
    pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&one, 1, 20) == 1;
  }

  // One connection at a time is all a storage has.
  void serve() {
    while (!stopped_) {
      if (!ready(listener_)) continue;
      const int client = ::accept(listener_, nullptr, nullptr);
      const int server = ::socket(AF_INET, SOCK_STREAM, 0);
      const sockaddr_in there = local(server_);
      if (::connect(server, reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0)
        forward(client, server);
      ::close(server);
      ::close(client);
    }
  }

  void forward(int client, int server) {
    std::array<char, 1 << 16> buffer{};
    const auto pass = [&](int from, int to) {
      const ssize_t size = ::recv(from, buffer.data(), buffer.size(), 0);
      return size > 0 && ::send(to, buffer.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL) == size;
    };
    while (!stopped_) {
      std::array<pollfd, 2> both{
          {{.fd = client, .events = POLLIN, .revents = 0}, {.fd = server, .events = POLLIN, .revents = 0}}};
      if (::poll(both.data(), both.size(), 20) <= 0) continue;
      if (both[1].revents != 0 && !pass(server, client)) return;
      if (both[0].revents == 0) continue;
      const bool last = left_ != 0 && --left_ == 0;
      if (last && !delivered_) return;
      if (!pass(client, server)) return;
      if (!last) continue;
      if (ready(server) || ready(server) || ready(server)) ::recv(server, buffer.data(), buffer.size(), 0);
      return;  // the answer is lost
    }
  }

  std::uint16_t server_, port_ = 0;
  int listener_;
  std::atomic<bool> stopped_{false}, delivered_{false};
  std::atomic<int> left_{0};
  std::thread thread_;
};

}  // namespace presence::test
