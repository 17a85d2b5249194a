// A load for presence servers of any make (PF10, Q12): publishers and watchers in one process, over UDP, each NOTIFY
// answered and checked. beside_kamailio.py runs it.
// rows: PF10, Q12
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <iostream>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "udp_floor.hpp"

namespace {

constexpr const char* usage =
    "sip_load --target ADDRESS:PORT [--presentities N] [--watchers N] [--window N] [--seed N]\n"
    "Reads what to do from standard input and writes a line of JSON for each:\n"
    "  publish         a document for every presentity\n"
    "  subscribe       so many watchers for each; done when each has his NOTIFY\n"
    "  modify N        a new document of some presentity, N times; done when all its watchers have it\n"
    "  refresh N       a PUBLISH without a document, N times\n"
    "  resubscribe N   a SUBSCRIBE in the dialog, N times; done when each has his NOTIFY\n"
    "  wake            a new document of the first presentity until one is answered, for a server that starts\n"
    "  floor N         N datagrams of a NOTIFY's size sent and as many of an answer's size received, without any SIP: the\n"
    "                  processor time of a pair in us, with a system call for each and with one for 64\n"
    "At most --window requests are open at once. `lost`: NOTIFYs that never came; `repeated`: that came again; `reused`:\n"
    "other NOTIFYs with a number that is not above the last; `wrong`: watchers whose last document is not the last one.\n";

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct settings {
  std::string address = "127.0.0.1";
  std::uint16_t port = 5060;
  std::size_t presentities = 1000, watchers = 10, window = 64;
  std::uint64_t seed = 1;
};

/// The value of a header line, or nothing; `name` as servers write it.
std::string_view header(std::string_view message, std::string_view name) {
  const std::string start = "\r\n" + std::string{name} + ": ";
  const auto at = message.find(start);
  if (at == std::string_view::npos) return {};
  const auto value = message.substr(at + start.size());
  return value.substr(0, value.find("\r\n"));
}

std::uint32_t number(std::string_view text) {
  std::uint32_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

class load {
 public:
  explicit load(const settings& s)
      : how_{s}, random_{s.seed}, presentities_(s.presentities), watchers_(s.presentities * s.watchers) {
    socket_ = bound_socket();
    const int room = 32 << 20;
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    const timeval patience{.tv_sec = 0, .tv_usec = 20'000};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    here_ = "127.0.0.1:" + std::to_string(ntohs(name_of(socket_).sin_port));
    server_.sin_family = AF_INET;
    server_.sin_port = htons(s.port);
    if (::inet_pton(AF_INET, s.address.c_str(), &server_.sin_addr) != 1) throw std::runtime_error{"--target wants ADDRESS:PORT"};
  }
  ~load() { ::close(socket_); }
  load(const load&) = delete;
  load& operator=(const load&) = delete;

  void run(const std::string& phase, std::size_t times) {
    counts_ = {};
    begun_ = steady::now();
    waking_ = phase == "wake";
    const auto any = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>{0, n - 1}(random_); };
    if (phase == "publish") work(presentities_.size(), [&](std::size_t i) { publish(i, true); return true; });
    else if (phase == "subscribe") work(watchers_.size(), [&](std::size_t i) { subscribe(i); return true; });
    else if (phase == "modify" || phase == "refresh") {
      work(times, [&](std::size_t) {
        const std::size_t i = any(presentities_.size());
        if (presentities_[i].open) return false;
        publish(i, phase == "modify");
        return true;
      });
    } else if (phase == "resubscribe") {
      work(times, [&](std::size_t) {
        const std::size_t i = any(watchers_.size());
        if (watchers_[i].open) return false;
        subscribe(i);
        return true;
      });
    } else if (phase == "wake") {
      work(1, [&](std::size_t) { publish(0, true); return true; }, milliseconds{20});
    } else {
      throw std::runtime_error{"unknown phase: " + phase};
    }
    tell(phase);
  }

 private:
  struct presentity {
    std::string etag;
    std::uint32_t version = 0, accepted = 0, cseq = 0;
    std::size_t told = 0;  ///< watchers who have the present version
    bool open = false;
  };
  struct watcher {
    std::string to_tag;
    std::uint32_t cseq = 0, heard = 0, version = 0;  ///< heard: the CSeq of his last NOTIFY
    std::size_t last_branch = 0;
    bool active = false, answered = false, notified = false, open = false;
  };
  struct request {
    std::string text;
    steady::time_point sent;
    milliseconds wait;
    bool answered = false;
  };
  struct counters {
    std::size_t requests = 0, done = 0, notifies = 0, repeated = 0, reused = 0, lost = 0, sent_again = 0;
    std::map<std::uint32_t, std::size_t> statuses;
  };

  /// Begins the calls and answers what comes until all are done, or nothing more comes.
  void work(std::size_t calls, const std::function<bool(std::size_t)>& begin, milliseconds patience = milliseconds{500}) {
    patience_ = patience;
    auto last = steady::now();
    for (std::size_t begun = 0; begun < calls || !open_.empty();) {
      for (std::size_t tries = 0; begun < calls && open_.size() < how_.window && tries < 1000; ++tries)
        if (begin(begun)) ++begun;
      const std::size_t before = counts_.done;
      receive();
      const auto now = steady::now();
      if (counts_.done != before) last = now;
      if (now - last > std::chrono::seconds{120}) break;
      send_again(now);
    }
    finished_ = last;
    for (const auto& [key, one] : open_) abandon(key);
    open_.clear();
  }

  void abandon(const std::string& key) {
    const std::size_t i = number(std::string_view{key}.substr(1));
    if (key[0] == 'p') {
      counts_.lost += active(i) - std::min(active(i), presentities_[i].told);
      presentities_[i].open = false;
    } else {
      counts_.lost += !watchers_[i].notified;
      watchers_[i].open = false;
    }
  }

  std::size_t active(std::size_t p) const {
    std::size_t n = 0;
    for (std::size_t i = p * how_.watchers; i < (p + 1) * how_.watchers; ++i) n += watchers_[i].active;
    return n;
  }

  std::string head(std::string_view method, std::string_view uri, std::string_view from, std::string_view to,
                   const std::string& call, std::uint32_t cseq) {
    std::string out;
    const auto add = [&out](auto... parts) { (out.append(parts), ...); };
    add(method, " ", uri, " SIP/2.0\r\nVia: SIP/2.0/UDP ", here_, ";branch=z9hG4bK", std::to_string(++branches_), ";rport\r\n");
    add("Max-Forwards: 70\r\nFrom: <", from, ">;tag=f\r\nTo: <", to, "\r\nCall-ID: ", call,
        "@load\r\nCSeq: ", std::to_string(cseq), " ", method, "\r\nEvent: presence\r\nExpires: 3600\r\n");
    return out;
  }

  void publish(std::size_t i, bool brings) {
    presentity& p = presentities_[i];
    const std::string n = std::to_string(i), uri = "sip:p" + n + "@example.com";
    std::string text = head("PUBLISH", uri, uri, uri + ">", "p" + n, ++p.cseq);
    if (!p.etag.empty()) text += "SIP-If-Match: " + p.etag + "\r\n";
    std::string document;
    if (brings) {
      document =
          "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" "
          "xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:rpid=\"urn:ietf:params:xml:ns:pidf:rpid\" entity=\"" +
          uri + "\"><tuple id=\"phone\"><status><basic>open</basic></status><contact priority=\"0.8\">" + uri +
          "</contact><note>version " + std::to_string(++p.version) +
          ".</note></tuple><dm:person id=\"me\"><rpid:activities><rpid:on-the-phone/></rpid:activities></dm:person></presence>";
      text += "Content-Type: application/pidf+xml\r\n";
      p.told = 0;
    } else {
      p.told = active(i);
    }
    text += "Content-Length: " + std::to_string(document.size()) + "\r\n\r\n" + document;
    p.open = true;
    begin("p" + n, std::move(text));
  }

  void subscribe(std::size_t i) {
    watcher& w = watchers_[i];
    const std::string n = std::to_string(i), p = "sip:p" + std::to_string(i / how_.watchers) + "@example.com";
    std::string text = head("SUBSCRIBE", p, "sip:w" + n + "@example.com", p + '>' + (w.to_tag.empty() ? "" : ";tag=" + w.to_tag),
                            "w" + n, ++w.cseq);
    text += "Contact: <sip:w" + n + "@" + here_ + ">\r\nAccept: application/pidf+xml\r\nContent-Length: 0\r\n\r\n";
    w.open = true;
    w.answered = w.notified = false;
    begin("w" + n, std::move(text));
  }

  void begin(const std::string& key, std::string text) {
    ++counts_.requests;
    send(text);
    open_[key] = {std::move(text), steady::now(), patience_, false};
  }
  void send(std::string_view text) {
    ::sendto(socket_, text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&server_), sizeof server_);
  }
  void send_again(steady::time_point now) {
    if (now - looked_ < milliseconds{10}) return;
    looked_ = now;
    for (auto& [key, one] : open_) {
      if (one.answered || now - one.sent < one.wait) continue;
      send(one.text);
      one.sent = now;
      one.wait = std::min(one.wait * (patience_ < milliseconds{100} ? 1 : 2), milliseconds{4000});
      ++counts_.sent_again;
    }
  }

  void receive() {
    constexpr std::size_t size = 8192;
    static std::vector<std::array<char, size>> room(most);
    std::array<mmsghdr, most> messages{};
    std::array<iovec, most> pieces{};
    for (std::size_t i = 0; i < most; ++i) {
      pieces[i] = {room[i].data(), size};
      messages[i].msg_hdr.msg_iov = &pieces[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    const int come = ::recvmmsg(socket_, messages.data(), most, MSG_WAITFORONE, nullptr);
    for (int i = 0; i < come; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const std::string_view message{room[at].data(), messages[at].msg_len};
      if (message.starts_with("SIP/2.0 ")) answered(message, number(message.substr(8, 3)));
      else if (message.starts_with("NOTIFY ")) notified(message);
    }
    send_replies();
  }

  /// Answers to what came together leave together.
  void send_replies() {
    std::array<mmsghdr, most> messages{};
    std::array<iovec, most> pieces{};
    for (std::size_t i = 0; i < replies_; ++i) {
      pieces[i] = {reply_[i].data(), reply_[i].size()};
      messages[i].msg_hdr.msg_name = &server_;
      messages[i].msg_hdr.msg_namelen = sizeof server_;
      messages[i].msg_hdr.msg_iov = &pieces[i];
      messages[i].msg_hdr.msg_iovlen = 1;
    }
    ::sendmmsg(socket_, messages.data(), static_cast<unsigned>(std::exchange(replies_, 0)), 0);
  }

  void answered(std::string_view message, std::uint32_t status) {
    if (status < 200) return;
    const std::string_view call = header(message, "Call-ID");
    const auto at = open_.find(std::string{call.substr(0, call.find('@'))});
    if (at == open_.end() || at->second.answered) return;
    const std::size_t i = number(call.substr(1));
    const std::uint32_t cseq = call[0] == 'p' ? presentities_[i].cseq : watchers_[i].cseq;
    if (number(header(message, "CSeq")) != cseq) return;
    at->second.answered = true;
    ++counts_.statuses[status];
    if (call[0] == 'p') {
      presentity& p = presentities_[i];
      if (status == 200) {
        p.etag = header(message, "SIP-ETag");
        p.accepted = p.version;
      } else {
        p.told = active(i);  // nobody is told
      }
      finish_publish(i);
      return;
    }
    watcher& w = watchers_[i];
    const std::string_view to = header(message, "To");
    if (const auto tag = to.find(";tag="); tag != std::string_view::npos && status < 300) w.to_tag = to.substr(tag + 5);
    w.active = w.active || status < 300;
    w.answered = true;
    w.notified = w.notified || status >= 300;
    finish_subscribe(i);
  }

  void notified(std::string_view message) {
    std::string& reply = reply_[replies_++];
    reply = "SIP/2.0 200 OK\r\n";
    for (const char* name : {"Via", "From", "To", "Call-ID", "CSeq"})
      reply.append(name).append(": ").append(header(message, name)).append("\r\n");
    reply.append("Content-Length: 0\r\n\r\n");
    const std::string_view call = header(message, "Call-ID");
    const std::size_t i = number(call.substr(1));
    if (call.empty() || call[0] != 'w' || i >= watchers_.size()) return;
    watcher& w = watchers_[i];
    const std::uint32_t cseq = number(header(message, "CSeq"));
    const std::size_t branch = std::hash<std::string_view>{}(header(message, "Via"));
    if (cseq <= w.heard) {
      ++(branch == w.last_branch || cseq < w.heard ? counts_.repeated : counts_.reused);
      return;
    }
    w.heard = cseq;
    w.last_branch = branch;
    ++counts_.notifies;
    const auto note = message.find("version ", message.find("\r\n\r\n"));
    const std::uint32_t before = w.version;
    if (note != std::string_view::npos) w.version = number(message.substr(note + 8));
    presentity& p = presentities_[i / how_.watchers];
    if (w.version != before && w.version == p.version && p.open) {
      ++p.told;
      finish_publish(i / how_.watchers);
    }
    if (w.open && !w.notified) {
      w.notified = true;
      finish_subscribe(i);
    }
  }

  void finish_publish(std::size_t i) {
    presentity& p = presentities_[i];
    const auto at = open_.find("p" + std::to_string(i));
    if (at == open_.end() || !at->second.answered || (p.told < active(i) && !waking_)) return;
    open_.erase(at);
    p.open = false;
    ++counts_.done;
  }
  void finish_subscribe(std::size_t i) {
    watcher& w = watchers_[i];
    if (!w.answered || !w.notified) return;
    open_.erase("w" + std::to_string(i));
    w.open = false;
    ++counts_.done;
  }

  void tell(const std::string& phase) {
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < watchers_.size(); ++i)
      wrong += watchers_[i].active && watchers_[i].version != presentities_[i / how_.watchers].accepted;
    std::printf(
        "{\"phase\": \"%s\", \"requests\": %zu, \"done\": %zu, \"seconds\": %.4f, \"notifies\": %zu, \"repeated\": %zu, "
        "\"reused\": %zu, \"lost\": %zu, \"sent_again\": %zu, \"wrong\": %zu, \"statuses\": {",
        phase.c_str(), counts_.requests, counts_.done, std::chrono::duration<double>(finished_ - begun_).count(),
        counts_.notifies, counts_.repeated, counts_.reused, counts_.lost, counts_.sent_again, wrong);
    const char* between = "";
    for (const auto& [status, count] : counts_.statuses)
      std::printf("%s\"%u\": %zu", std::exchange(between, ", "), status, count);
    std::puts("}}");
    std::fflush(stdout);
  }

  const settings how_;
  std::mt19937_64 random_;
  std::vector<presentity> presentities_;
  std::vector<watcher> watchers_;
  std::unordered_map<std::string, request> open_;
  counters counts_;
  int socket_ = -1;
  sockaddr_in server_{};
  std::string here_;
  std::uint64_t branches_ = 0;
  std::array<std::string, most> reply_ = {};  // to NOTIFYs that came together
  std::size_t replies_ = 0;
  milliseconds patience_{500};
  bool waking_ = false;
  steady::time_point begun_, finished_, looked_;
};

}  // namespace

int main(int argc, char** argv) try {
  settings s;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") return std::fputs(usage, stdout), 0;
    if (i + 1 == argc) return std::fputs(usage, stderr), 2;
    const std::string value = argv[++i];
    const auto colon = value.find(':');
    if (name == "--target" && colon != std::string::npos) {
      s.address = value.substr(0, colon);
      s.port = static_cast<std::uint16_t>(number(std::string_view{value}.substr(colon + 1)));
    } else if (name == "--presentities") s.presentities = std::max(number(value), 1u);
    else if (name == "--watchers") s.watchers = number(value);
    else if (name == "--window") s.window = std::max(number(value), 1u);
    else if (name == "--seed") s.seed = number(value);
    else return std::fputs(usage, stderr), 2;
  }
  load all{s};
  for (std::string line; std::getline(std::cin, line);) {
    const auto space = line.find(' ');
    const std::string phase = line.substr(0, space);
    const std::size_t times = space == std::string::npos ? 0 : number(std::string_view{line}.substr(space + 1));
    if (phase != "floor") all.run(phase, times);
    else
      std::printf("{\"phase\": \"floor\", \"one\": %.3f, \"together\": %.3f}\n", udp_floor(times, 1), udp_floor(times, most)),
          std::fflush(stdout);
  }
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "sip_load: %s\n", e.what());
  return 1;
}
