#include "notify_sender.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <system_error>
#include <utility>

#include "log.hpp"
#include "notify_text.hpp"

namespace {

// A change that a hundred thousand watchers are told must not fill every queue between them and us: what is lost has to be
// sent again. So the first so many are sent, and others as answers come. Who does not answer keeps others waiting for a
// moment only: `soon` by the stack, T1 past it.
constexpr std::size_t most_at_once = 1000;
constexpr std::chrono::milliseconds soon{300};  // less than T1, after which the stack sends it again

/// A descriptor of the socket that is bound to this address, found among those of the process: the stack opens its
/// sockets itself and tells their addresses only. -1: there is none.
int socket_bound_to(const su_addrinfo_t& address) {
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd", unreadable}) {
    const int socket = std::atoi(entry.path().filename().c_str());
    int type = 0;
    su_sockaddr_t own{};
    socklen_t type_size = sizeof type, own_size = sizeof own;
    if (getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 || type != address.ai_socktype) continue;
    if (getsockname(socket, &own.su_sa, &own_size) != 0) continue;
    if (su_cmp_sockaddr(&own, reinterpret_cast<const su_sockaddr_t*>(address.ai_addr)) == 0) return socket;
  }
  return -1;
}

}  // namespace

notify_sender::notify_sender(su_root_t* root, nta_agent_t* agent, const command_line& line, report told)
    : root_{root},
      agent_{agent},
      verbose_{line.verbose},
      told_{std::move(told)},
      transport_{std::chrono::milliseconds{line.timer_f},
                 [this](const presence::notify& n, int status, std::optional<presence::seconds> retry_after) {
                   tell(n.id, n.dialog.remote_target(), {status, retry_after});
                 }} {
  if (line.direct_notify) share(root);
}

/// What the stack reads although it is for us, and answers that are not plain, it hands over as strays.
void notify_sender::share(su_root_t* root) {
  for (tport_t* stack = tport_primaries(nta_agent_tports(agent_)); stack; stack = tport_next(stack)) {
    const int socket = tport_is_udp(stack) ? socket_bound_to(*tport_get_address(stack)) : -1;
    if (socket < 0) continue;
    shared_socket& one = shared_.emplace_back(shared_socket{stack, this, fcntl(socket, F_DUPFD_CLOEXEC, 0)});
    su_wait_t wait{};
    su_wait_create(&wait, one.copy, SU_WAIT_IN | SU_WAIT_ERR);
    one.index = su_root_register(root, &wait, readable, reinterpret_cast<su_wakeup_arg_t*>(&one), 0);
    const tp_name_t* name = tport_name(stack);
    transport_.add_socket(one.copy, std::string{name->tpn_canon} + ':' + name->tpn_port);
  }
  // One event a turn. The stack throws away what comes after it has found a socket empty, so it must not be called for
  // something that we have taken in the same turn.
  su_root_multishot(root, 0);
  stray_.sender = this;
  strays_ = nta_outgoing_default(
      agent_, [](sent_notify* s, nta_outgoing_t*, const sip_t* sip) { return s->sender->read_by_stack(sip), 0; }, &stray_);
}

int notify_sender::readable(su_root_magic_t*, su_wait_t* wait, su_wakeup_arg_t* arg) {
  auto& one = *reinterpret_cast<shared_socket*>(arg);
  ++one.sender->turns_;
  notify_transport& transport = one.sender->transport_;
  if (wait->revents & SU_WAIT_ERR) transport.take_errors(one.copy);
  if (wait->revents & SU_WAIT_IN) {
    const bool stall = transport.take_answers(one.copy);
    if (stall != one.stalled) (stall ? tport_stall : tport_continue)(one.stack);
    one.stalled = stall;
  }
  return 0;
}

notify_sender::~notify_sender() {
  // NOTIFYs that are still unanswered are forgotten here; the next start does not depend on them.
  for (sent_notify& sent : sent_) nta_outgoing_destroy(sent.transaction);
  if (strays_) nta_outgoing_destroy(strays_);
  for (const shared_socket& one : shared_) {
    if (one.stalled) tport_continue(one.stack);
    su_root_deregister(root_, one.index);
    close(one.copy);
  }
}

void notify_sender::add(const std::vector<presence::notify>& notifies) {
  waiting_.insert(waiting_.end(), notifies.begin(), notifies.end());
}

void notify_sender::send(presence::instant now) {
  for (; oldest_fresh_ != sent_.end() && oldest_fresh_->since + soon <= now; ++oldest_fresh_, --fresh_)
    oldest_fresh_->fresh = false;
  transport_.advance(now);
  for (; !waiting_.empty() && fresh_ + transport_.fresh() < most_at_once; waiting_.pop_front()) {
    const presence::notify& n = waiting_.front();
    if (verbose_) {
      log_line("->", n.dialog.remote_target(),
               "NOTIFY CSeq=" + std::to_string(n.cseq) + ' ' + n.subscription_state_value() + gist(n.body_bytes()));
    }
    if (transport_.send(n, now) || by_stack(n, now)) continue;
    log_line("--", n.dialog.remote_target(), "NOTIFY cannot be sent");
    told_({.id = n.id});
  }
  transport_.flush();
}

/// Transport and address come from Route or Request-URI, as RFC 3263 says; that is the stack's job.
bool notify_sender::by_stack(const presence::notify& n, presence::instant now) {
  const auto body = n.body_pieces();  // shared bytes, with this watcher's own version number between them
  std::string text;
  text.reserve(1024 + body.total());
  if (!sip::append_head(text, n, body.total())) return false;
  text.append(body.head).append(body.version()).append(body.tail);

  sent_notify& sent = sent_.emplace_back(
      sent_notify{.sender = this, .id = n.id, .target = std::string{n.dialog.remote_target()}, .since = now});
  sent.self = std::prev(sent_.end());
  if (fresh_++ == 0) oldest_fresh_ = sent.self;
  msg_t* message = msg_make(sip_default_mclass(), 0, text.data(), static_cast<ssize_t>(text.size()));
  sent.transaction = nta_outgoing_mcreate(
      agent_, [](sent_notify* s, nta_outgoing_t*, const sip_t* sip) { return s->sender->answered(*s, sip), 0; }, &sent,
      nullptr, message, TAG_END());
  if (sent.transaction) return true;
  msg_destroy(message);
  forget(sent);
  return false;
}

void notify_sender::forget(const sent_notify& sent) {
  if (sent.fresh) --fresh_;
  if (sent.self == oldest_fresh_) ++oldest_fresh_;
  sent_.erase(sent.self);  // `sent` is gone now
}

/// The outcome of a NOTIFY that the stack has sent.
void notify_sender::answered(sent_notify& sent, const sip_t* sip) {
  const sip::outcome what = sip::notify_outcome(sip);
  if (what.status > 0 && what.status < 200) return;  // the final answer is still to come
  tell(sent.id, sent.target, what);
  nta_outgoing_destroy(sent.transaction);
  forget(sent);
}

/// An answer to no NOTIFY of the stack's.
void notify_sender::read_by_stack(const sip_t* sip) {
  if (!sip || !sip->sip_via || sip->sip_cseq->cs_method != sip_method_notify) return;
  const sip::outcome what = sip::notify_outcome(sip);
  transport_.answered(sip::view(sip->sip_via->v_branch), what.status, what.retry_after);
}

void notify_sender::tell(presence::notify_id id, std::string_view target, const sip::outcome& what) {
  if (verbose_) {
    log_line("<-", target,
             (what.status ? std::to_string(what.status) : "no answer") + " to NOTIFY CSeq=" + std::to_string(id.cseq));
  }
  told_({.id = id, .status = what.status, .retry_after = what.retry_after});
}

std::optional<presence::instant> notify_sender::next_deadline() {
  auto next = transport_.next_deadline();
  if (!waiting_.empty() && oldest_fresh_ != sent_.end() && (!next || oldest_fresh_->since + soon < *next))
    next = oldest_fresh_->since + soon;
  return next;
}
