#include "notify_transport.hpp"

#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <poll.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "notify_text.hpp"

namespace {

using std::chrono::milliseconds;

// RFC 3261 section 17.1.2.2: T1, doubled until T2.
constexpr std::array<milliseconds, 4> timer_e{milliseconds{500}, milliseconds{1000}, milliseconds{2000},
                                              milliseconds{4000}};
constexpr std::size_t last_e = timer_e.size() - 1;
constexpr std::size_t timer_f = timer_e.size();

// RFC 3261 section 18.1.1: what is larger goes by a transport that knows about congestion.
constexpr std::size_t largest = 1300;

// A branch of ours: this, the token and the place, in hexadecimal. No stack makes one with a dot after the cookie.
constexpr std::string_view mark = "z9hG4bK.";
constexpr std::size_t token_digits = 16, place_digits = 8, branch_size = mark.size() + token_digits + place_digits;

constexpr int patience = 10;  // milliseconds, for the network to take more

constexpr std::size_t longest = 2048;  // an answer that is longer is left to the stack

void append_hex(std::string& out, std::uint64_t value, std::size_t digits) {
  while (digits-- > 0) out += "0123456789abcdef"[value >> (4 * digits) & 15];
}

template <class Number>
bool read_number(std::string_view text, Number& number, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc{} && end == text.data() + text.size();
}

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

/// What is before `separator`, which is taken away from `rest` with it.
std::string_view next_part(std::string_view& rest, char separator) {
  const std::string_view part = rest.substr(0, rest.find(separator));
  rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  return part;
}

}  // namespace

notify_transport::notify_transport(milliseconds limit, outcome told)
    : timer_f_{limit}, told_{std::move(told)}, room_(longest) {}

void notify_transport::add_socket(int socket, std::string sent_by) {
  address own{};
  socklen_t size = sizeof own;
  if (getsockname(socket, &own.any, &size) != 0) throw std::runtime_error{"a NOTIFY cannot be sent from what is no socket"};
  std::optional<own_socket>& of_family = sockets_[own.any.sa_family == AF_INET6];
  if (!of_family) of_family = own_socket{socket, "Via: SIP/2.0/UDP " + sent_by + ";rport;branch=" + std::string{mark}};
}

// --- where to ---------------------------------------------------------------------------------------

/// The address of the next hop, if Route or Request-URI says it in numbers, and nothing there asks for more than UDP.
std::optional<notify_transport::address> notify_transport::numeric_target(const presence::notify& n) {
  std::string_view uri = n.dialog.remote_target();
  if (std::string_view route = n.dialog.route_set(); !route.empty()) {  // RFC 3261 section 12.2.1.1
    if (route.front() != '<') return {};
    route.remove_prefix(1);
    uri = next_part(route, '>');
  }
  if (!uri.starts_with("sip:") || uri.find('?') != uri.npos) return {};
  uri.remove_prefix(4);
  if (uri.find('@') != uri.npos) next_part(uri, '@');
  std::string_view where = next_part(uri, ';');
  bool loose = n.dialog.route_set().empty();
  while (!uri.empty()) {
    std::string_view value = next_part(uri, ';');
    const std::string_view name = next_part(value, '=');
    if (same(name, "maddr") || same(name, "comp") || (same(name, "transport") && !same(value, "udp"))) return {};
    loose = loose || same(name, "lr");
  }
  if (!loose || where.empty()) return {};

  const bool six = where.front() == '[';
  const auto colon = where.find(':', six ? where.find(']') : 0);
  std::string host{where.substr(0, colon)};
  if (six) {
    if (!host.ends_with(']')) return {};
    host = host.substr(1, host.size() - 2);
  }
  std::uint16_t port = 5060;
  if (colon != where.npos && (!read_number(where.substr(colon + 1), port, 10) || port == 0)) return {};
  address to{};
  to.any.sa_family = six ? AF_INET6 : AF_INET;
  (six ? to.v6.sin6_port : to.v4.sin_port) = htons(port);
  void* const number = six ? static_cast<void*>(&to.v6.sin6_addr) : &to.v4.sin_addr;
  if (inet_pton(to.any.sa_family, host.c_str(), number) != 1) return {};
  return to;
}

const notify_transport::own_socket* notify_transport::socket_for(const address& to) const {
  const auto& one = sockets_[to.any.sa_family == AF_INET6];
  return one ? &*one : nullptr;
}

// --- sending ----------------------------------------------------------------------------------------

std::uint64_t notify_transport::next_token() {
  std::uint64_t token = 0;
  while (token == 0) {
    if (random_.empty()) {
      random_.resize(32);  // 256 bytes: getrandom gives all of them, or none
      if (getrandom(random_.data(), random_.size() * sizeof token, 0) < 0) throw std::runtime_error{"no random numbers"};
    }
    token = std::exchange(random_.back(), 0);
    random_.pop_back();
  }
  return token;
}

bool notify_transport::send(const presence::notify& n, presence::instant now) {
  const auto to = numeric_target(n);
  if (!to || !socket_for(*to)) return false;
  if (free_.empty()) {
    free_.push_back(static_cast<std::uint32_t>(transactions_.size()));
    transactions_.emplace_back();
  }
  const std::uint32_t place = free_.back();
  free_.pop_back();
  transactions_[place] = {.token = next_token(), .what = n, .to = *to, .since = now};
  if (!write(place)) {
    transactions_[place] = {};
    free_.push_back(place);
    return false;
  }
  ++fresh_;
  arm(place, now);
  return true;
}

/// Puts the message of a transaction into the batch: the same bytes each time.
bool notify_transport::write(std::uint32_t place) {
  const transaction& t = transactions_[place];
  if (batched_ == most || (batched_ > 0 && transactions_[batch_[0].place].to.any.sa_family != t.to.any.sa_family)) flush();
  outgoing& message = batch_[batched_];
  message.place = place;
  message.body = t.what.body_pieces();
  std::string via = socket_for(t.to)->via;
  append_hex(via, t.token, token_digits);
  append_hex(via, place, place_digits);
  via += "\r\n";
  message.head.clear();
  if (!sip::append_head(message.head, t.what, message.body.total(), via)) return false;
  if (message.head.size() + message.body.total() > largest) return false;
  ++batched_;
  return true;
}

void notify_transport::flush() {
  if (batched_ == 0) return;
  std::array<mmsghdr, most> messages{};
  std::array<std::array<iovec, 4>, most> parts{};
  for (std::size_t i = 0; i < batched_; ++i) {
    const auto part = [](std::string_view text) { return iovec{const_cast<char*>(text.data()), text.size()}; };
    const outgoing& one = batch_[i];
    parts[i] = {part(one.head), part(one.body.head), part(one.body.version()), part(one.body.tail)};
    address& to = transactions_[one.place].to;
    msghdr& header = messages[i].msg_hdr;
    header.msg_name = &to;
    header.msg_namelen = to.any.sa_family == AF_INET6 ? sizeof to.v6 : sizeof to.v4;
    header.msg_iov = parts[i].data();
    header.msg_iovlen = parts[i].size();
  }
  const int socket = socket_for(transactions_[batch_[0].place].to)->socket;
  const std::size_t count = std::exchange(batched_, 0);
  bool tried = false;
  for (std::size_t sent = 0; sent < count;) {
    const int more = sendmmsg(socket, &messages[sent], static_cast<unsigned>(count - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (more > 0) {
      sent += static_cast<std::size_t>(more);
      tried = false;
    } else if (errno == EAGAIN || errno == ENOBUFS) {
      pollfd room{socket, POLLOUT, 0};
      if (errno == EAGAIN && poll(&room, 1, patience) > 0) continue;
      break;  // as if lost on the way: timer E sends it again
    } else if (tried) {
      finish(transactions_[batch_[sent++].place], 0);
      tried = false;
    } else {
      tried = true;  // the error may be an earlier one's, which came back and is told by take_errors()
    }
  }
}

// --- answers ----------------------------------------------------------------------------------------

bool notify_transport::take_answers(int socket) {
  for (std::size_t i = 0; i < most; ++i) {
    const ssize_t size = recv(socket, room_.data(), room_.size(), MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
    if (size < 0) return true;
    const auto length = static_cast<std::size_t>(size);
    if (length > room_.size() || !plain_answer({room_.data(), length})) return false;
    recv(socket, nullptr, 0, MSG_DONTWAIT);  // it was only looked at
  }
  return true;
}

/// True: a 2xx to a NOTIFY from here. Anything that is not as plain as can be is for a parser that knows all of SIP.
bool notify_transport::plain_answer(std::string_view message) {
  int status = 0;
  if (!message.starts_with("SIP/2.0 2") || !read_number(message.substr(8, 3), status, 10)) return false;
  std::string_view branch, method;
  for (next_part(message, '\n'); !message.empty() && (branch.empty() || method.empty());) {
    std::string_view value = next_part(message, '\n');
    if (value.ends_with('\r')) value.remove_suffix(1);
    if (value.find(':') == value.npos || value.front() == ' ' || value.front() == '\t') return false;
    const std::string_view name = next_part(value, ':');
    if (branch.empty() && (same(name, "Via") || same(name, "v"))) {
      const auto at = value.find(mark);
      if (at == value.npos || value.find_first_of(",\"") < at) return false;
      branch = value.substr(at, branch_size);
    } else if (same(name, "CSeq")) {
      method = value.substr(value.find_last_of(" \t") + 1);
    }
  }
  if (branch.empty() || method != "NOTIFY") return false;
  if (transaction* t = find(branch)) finish(*t, status);  // else it came twice: nobody wants it
  return true;
}

notify_transport::transaction* notify_transport::find(std::string_view branch) {
  if (branch.size() != branch_size || !branch.starts_with(mark)) return nullptr;
  std::uint64_t token = 0;
  std::uint32_t place = 0;
  if (!read_number(branch.substr(mark.size(), token_digits), token, 16)) return nullptr;
  if (!read_number(branch.substr(mark.size() + token_digits), place, 16)) return nullptr;
  const bool here = token != 0 && place < transactions_.size() && transactions_[place].token == token;
  return here ? &transactions_[place] : nullptr;
}

bool notify_transport::answered(std::string_view branch, int status, std::optional<presence::seconds> retry_after) {
  transaction* const t = find(branch);
  if (!t) return false;
  if (status < 200) {
    t->proceeding = true;
  } else {
    finish(*t, status, retry_after);
  }
  return true;
}

void notify_transport::take_errors(int socket) {
  for (std::size_t i = 0; i < most; ++i) {
    std::array<char, 512> control{};
    iovec part{room_.data(), room_.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t size = recvmsg(socket, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (size < 0) break;
    bool unreachable = false;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c; c = CMSG_NXTHDR(&header, c)) {
      if (c->cmsg_type != (c->cmsg_level == IPPROTO_IPV6 ? IPV6_RECVERR : IP_RECVERR)) continue;
      const auto* error = reinterpret_cast<const sock_extended_err*>(CMSG_DATA(c));
      unreachable = (error->ee_origin == SO_EE_ORIGIN_ICMP && error->ee_type == 3) ||
                    (error->ee_origin == SO_EE_ORIGIN_ICMP6 && error->ee_type == 1);
    }
    // What was sent comes back with the error, as much of it as fits. Without the branch timer F has to do.
    const std::string_view sent{room_.data(), static_cast<std::size_t>(size)};
    const auto at = sent.find(mark, std::min(sent.find("\r\nVia:"), sent.size()));  // the Request-URI is the watcher's
    if (!unreachable || at == sent.npos) continue;
    if (transaction* t = find(sent.substr(at, branch_size))) finish(*t, 0);
  }
  int seen = 0;  // one that found no room among the others is not announced for ever
  socklen_t size = sizeof seen;
  getsockopt(socket, SOL_SOCKET, SO_ERROR, &seen, &size);
}

void notify_transport::finish(transaction& t, int status, std::optional<presence::seconds> retry_after) {
  const transaction gone = std::exchange(t, {});
  free_.push_back(static_cast<std::uint32_t>(&t - transactions_.data()));
  if (gone.stage == 0) --fresh_;
  told_(gone.what, status, retry_after);
}

// --- time -------------------------------------------------------------------------------------------

/// Waits for an answer as long as the stage says, or what is left until timer F.
void notify_transport::arm(std::uint32_t place, presence::instant now) {
  const transaction& t = transactions_[place];
  const presence::instant again = now + timer_e[std::min<std::size_t>(t.stage, last_e)], end = t.since + timer_f_;
  if (again < end) {
    timers_[std::min<std::size_t>(t.stage, last_e)].push_back({again, place, t.token});
  } else {
    timers_[timer_f].push_back({end, place, t.token});
  }
}

std::optional<presence::instant> notify_transport::next_deadline() {
  std::optional<presence::instant> next;
  for (auto& queue : timers_) {
    while (!queue.empty() && transactions_[queue.front().place].token != queue.front().token) queue.pop_front();
    if (!queue.empty() && (!next || queue.front().due < *next)) next = queue.front().due;
  }
  return next;
}

void notify_transport::advance(presence::instant now) {
  for (std::size_t stage = 0; stage < timers_.size(); ++stage) {
    for (auto& queue = timers_[stage]; !queue.empty() && queue.front().due <= now;) {
      const timer due = queue.front();
      queue.pop_front();
      transaction& t = transactions_[due.place];
      if (t.token != due.token) continue;
      if (stage == timer_f || now >= t.since + timer_f_) {  // the host may have slept
        finish(t, 0);
        continue;
      }
      if (t.stage == 0) --fresh_;
      t.stage = static_cast<std::uint8_t>(t.proceeding ? last_e : std::min(stage + 1, last_e));
      write(due.place);
      arm(due.place, now);
    }
  }
  flush();
}
