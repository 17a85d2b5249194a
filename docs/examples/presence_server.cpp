/// A presence server: the engine embedded in the SIP stack Sofia-SIP (its transaction layer, nta).
///
///   sip_mapping.hpp     messages to values and back; with another stack, write this file anew
///   this file           the host: sockets, transactions, one timer, the order of things
///   command_line.hpp    options
///
/// What a host does is little, and all of it is here:
///
///   1  make a storage (or none), an engine, and register event packages        constructor
///   2  turn each request into a value; hand what has come to the engine, send
///      what comes back                                                         on_request, make_calls
///   3  send NOTIFYs and tell the engine what became of each                    send, on_outcome
///   4  call advance() when next_deadline() has come                            keep_time
///
/// The stack does the rest: it parses, answers malformed messages with 400, absorbs retransmissions
/// and merged requests, repeats unanswered NOTIFYs and gives up on them after timer F.
///
/// Who sent a request? This example cannot check a password. `identity` stays empty, nothing is
/// proven, unless --trust-from says that From may be believed. A real host puts here what its digest,
/// its TLS layer or its proxy (P-Asserted-Identity) has proven.
#include <sofia-sip/su_log.h>
#include <sofia-sip/su_wait.h>
#include <sofia-sip/tport_tag.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <list>
#include <memory>
#include <optional>
#include <presence/presence.hpp>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// The types that the stack hands to callbacks.
class presence_server;
struct sent_notify;
#define NTA_LEG_MAGIC_T presence_server
#define NTA_OUTGOING_MAGIC_T sent_notify

#include "command_line.hpp"
#include "sip_mapping.hpp"

#if PRESENCE_HAS_SOCI
#include <soci_storage.hpp>
#endif

/// A NOTIFY on its way: what the engine wants to hear about, when the stack knows.
struct sent_notify {
  presence_server* server = nullptr;
  presence::notify_id id = {};
  std::string target = {};
  presence::instant since = {};
  bool fresh = true;  ///< it is not known yet whether this watcher is slow
  nta_outgoing_t* transaction = nullptr;
  std::list<sent_notify>::iterator self = {};
};

/// A request that waits for its turn, and the place of the texts made of it.
struct open_request {
  nta_incoming_t* transaction = nullptr;  ///< null: what became of a NOTIFY, which nobody is answered
  std::unique_ptr<sip::arena> home = {};
  std::string peer = {};
};

class presence_server {
 public:
  explicit presence_server(const command_line& line);
  ~presence_server();
  void listen();
  void run();  // until a signal

 private:
  static presence::host_hooks hooks(const command_line& line);
  static std::unique_ptr<presence::storage> open_storage(const presence::options& settings);

  int on_request(nta_incoming_t* request, const sip_t* sip);
  int on_outcome(sent_notify& sent, const sip_t* sip);
  void make_calls();
  void answer(const open_request& request, presence::effects& effects);
  void on_deadline();
  static int on_signal(su_root_magic_t*, su_wait_t*, su_wakeup_arg_t* self);
  void reload_rules();

  void send(const presence::effects& effects);
  void drain();
  bool transmit(const presence::notify& n);
  void forget(const sent_notify& sent);
  void keep_time();
  std::string contact_for(const sip_t* sip) const;
  static std::string peer_of(const sip_t* sip);
  void log(std::string_view arrow, std::string_view peer, std::string_view what) const;

  const command_line line_;
  presence::wall_clock clock_;
  std::unique_ptr<presence::storage> storage_;  // before the engine: it must outlive it
  presence::engine engine_;
  su_root_t* root_ = nullptr;
  su_timer_t* deadline_ = nullptr;
  su_wait_t signals_ = {};
  int signal_fd_ = -1;
  int signal_index_ = -1;
  nta_agent_t* agent_ = nullptr;
  nta_leg_t* leg_ = nullptr;
  bool ending_ = false;
  std::vector<presence::received> calls_;  // that have come and are not made yet
  std::vector<open_request> open_;         // of each of them
  std::vector<presence::effects> results_;
  std::deque<presence::notify> waiting_;  // NOTIFYs, until there is room for them
  std::list<sent_notify> sent_;           // in the order of sending
  std::list<sent_notify>::iterator oldest_fresh_ = sent_.end();
  std::size_t fresh_ = 0;
};

namespace {

/// The text of a document without its markup, shortened: for the log.
std::string gist(std::string_view bytes) {
  std::string out;
  bool markup = false;
  for (const char c : bytes.substr(0, 4096)) {
    if (c == '<') markup = true;
    const bool plain = !markup && c > ' ' && c < 127;
    if (plain) out += c;
    if (!plain && !out.empty() && out.back() != ' ') out += ' ';
    if (c == '>') markup = false;
    if (out.size() >= 60) break;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out.empty() ? out : " [" + out + "]";
}

/// The rules document of `sip:user@host`: the file user@host.xml. Names that could lead elsewhere have none.
std::optional<std::string> rules_of(const std::string& directory, std::string_view resource) {
  resource.remove_prefix(std::min(resource.size(), resource.find(':') + 1));
  if (resource.empty() || resource.front() == '.' || resource.find('/') != std::string_view::npos) return std::nullopt;
  std::ifstream file{directory + "/" + std::string{resource} + ".xml", std::ios::binary};
  if (!file) return std::nullopt;
  return std::string{std::istreambuf_iterator<char>{file}, {}};
}

void stack_log(void*, const char* format, va_list arguments) { std::vfprintf(stderr, format, arguments); }
void quiet_log(void*, const char*, va_list) {}

/// The host part of a canonical address: `example.com` of `sip:alice@example.com:5070`.
std::string host_of(std::string_view address) {
  const auto at = address.rfind('@');
  std::string_view host = address.substr(at != std::string_view::npos ? at + 1 : address.find(':') + 1);
  if (const auto end = host.front() == '[' ? host.find(']') + 1 : host.find(':'); end < host.size()) {
    host = host.substr(0, end);
  }
  return std::string{host};
}

}  // namespace

// --- 1: making everything -------------------------------------------------------------------------

presence::host_hooks presence_server::hooks(const command_line& line) {
  presence::host_hooks hooks;
  if (!line.domains.empty()) {
    hooks.serves = [domains = line.domains](std::string_view resource) {
      return std::find(domains.begin(), domains.end(), host_of(resource)) != domains.end();
    };
  }
  hooks.log = [verbose = line.verbose](presence::log_level level, std::string_view text) {
    if (verbose || level >= presence::log_level::warning) {
      std::fprintf(stderr, "engine: %.*s\n", static_cast<int>(text.size()), text.data());
    }
  };
  if (!line.trace.empty()) {
    auto file = std::make_shared<std::ofstream>(line.trace);
    if (!*file) throw std::runtime_error{"--trace: cannot write " + line.trace};
    hooks.trace = [file, text = std::string{}](const presence::traced_access& access) mutable {
      text.clear();
      presence::append_line(text, access);
      *file << text;
    };
  }
  return hooks;
}

std::unique_ptr<presence::storage> presence_server::open_storage(const presence::options& settings) {
  if (settings.db_url.empty()) return nullptr;  // the engine keeps everything in its own memory
#if PRESENCE_HAS_SOCI
  const auto database = presence::soci_settings::from(settings);
  // Makes the tables of a new database, never changes others. A host with an installer does
  // this there, once.
  if (auto made = presence::create_schema(database); !made) throw std::runtime_error{made.error().text};
  auto opened = presence::open_soci_storage(database);
  if (!opened) throw std::runtime_error{opened.error().text};
  return std::move(*opened);
#else
  throw std::runtime_error{"--db-url: this build has no database support (libsoci-dev was missing)"};
#endif
}

presence_server::presence_server(const command_line& line)
    : line_{line},
      storage_{open_storage(line.settings)},
      engine_{line.settings, hooks(line), storage_.get()} {
  presence::event_package presence = presence::presence_package({.id_secret = line.id_secret});
  presence.winfo = true;  // presence.winfo as well, for the owner
  if (!line.rules_dir.empty()) {
    presence::authorize_by_rules(presence, [directory = line.rules_dir](std::string_view resource) {
      return rules_of(directory, resource);
    });
  }
  // One line per event package. What a database still holds for it is taken over here.
  for (auto package : {std::move(presence), presence::message_summary_package(), presence::dialog_package(),
                       presence::dialog_sla_package()}) {
    if (auto added = engine_.add_event(std::move(package), clock_.now()); !added) {
      throw std::runtime_error{added.error()};
    }
  }
}

void presence_server::listen() {
  su_init();
  su_log_redirect(nullptr, line_.verbose ? stack_log : quiet_log, nullptr);
  root_ = su_root_create(nullptr);
  deadline_ = su_timer_create(su_root_task(root_), 0);

  // Signals come as readable events of the main loop, never in the middle of something.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signal_fd_ = signalfd(-1, &set, SFD_CLOEXEC);
  su_wait_create(&signals_, signal_fd_, SU_WAIT_IN);
  signal_index_ = su_root_register(root_, &signals_, on_signal, reinterpret_cast<su_wakeup_arg_t*>(this), 0);

  constexpr unsigned must_be_sound = sip_mask_request | sip_mask_ua | sip_mask_proxy | sip_mask_100rel |
                                     sip_mask_events | sip_mask_timer | sip_mask_publish;
  // How long an answered NOTIFY is kept to recognise repeats of its answer. They would be dropped without it as well;
  // with the usual 5 s and 20 000 NOTIFYs a second it is a gigabyte.
  constexpr unsigned timer_k = 250;
  const auto no_transport_yet = reinterpret_cast<const url_string_t*>(-1);
  agent_ = nta_agent_create(root_, no_transport_yet, nullptr, nullptr,
                            NTATAG_UA(1),         // an endpoint, not a proxy
                            NTATAG_MERGE_482(1),  // the same request by two paths
                            NTATAG_MCLASS(sip::forgiving_message_class()),
                            NTATAG_BAD_REQ_MASK(must_be_sound),  // answered 400 by the stack
                            NTATAG_SIP_T1X64(line_.timer_f), NTATAG_SIP_T4(timer_k), TAG_END());
  if (!agent_) throw std::runtime_error{"the SIP stack does not start"};
  // A change of one presentity brings the answers of all his watchers at once; what the socket cannot hold is
  // lost and has to be sent again. The system may allow less (net.core.rmem_max).
  constexpr unsigned burst = 4 << 20;
  for (const std::string& where : line_.listen) {
    if (nta_agent_add_tport(agent_, URL_STRING_MAKE(where.c_str()), TPTAG_UDP_RMEM(burst), TAG_END()) < 0) {
      throw std::runtime_error{"cannot listen on " + where + ": " + su_strerror(su_errno())};
    }
  }
  // All requests come to one place. The stack keeps no dialogs: the engine does.
  leg_ = nta_leg_tcreate(
      agent_,
      [](presence_server* self, nta_leg_t*, nta_incoming_t* request, const sip_t* sip) {
        return self->on_request(request, sip);
      },
      this, NTATAG_NO_DIALOG(1), TAG_END());

  on_deadline();  // what came due while we were away goes out now, and the clockwork starts
}

// Calls are made when nothing more has come, or so many have. What is changed by them is written in one transaction,
// and nobody is answered before that (group commit).
constexpr std::size_t most_together = 256;

void presence_server::run() {
  while (!ending_) {
    const std::size_t before = calls_.size();
    su_root_step(root_, before == 0 ? 3600 * 1000 : 0);  // takes one message from each socket that has some
    if (calls_.size() == before || calls_.size() >= most_together) make_calls();
  }
  make_calls();
  if (auto flushed = engine_.flush(clock_.now()); !flushed) throw std::runtime_error{flushed.error()};
}

presence_server::~presence_server() {
  // NOTIFYs that are still unanswered are forgotten here; the next start does not depend on them.
  for (sent_notify& sent : sent_) nta_outgoing_destroy(sent.transaction);
  if (leg_) nta_leg_destroy(leg_);
  if (agent_) nta_agent_destroy(agent_);
  if (!root_) return;
  su_timer_destroy(deadline_);
  su_root_deregister(root_, signal_index_);
  close(signal_fd_);
  su_root_destroy(root_);
  su_deinit();
}

int presence_server::on_signal(su_root_magic_t*, su_wait_t*, su_wakeup_arg_t* magic) {
  auto* self = reinterpret_cast<presence_server*>(magic);
  signalfd_siginfo what{};
  if (read(self->signal_fd_, &what, sizeof what) != sizeof what) return 0;
  if (what.ssi_signo == SIGHUP) {
    self->reload_rules();
  } else {
    self->ending_ = true;
  }
  return 0;
}

/// Rules are read from their files whenever somebody is decided about; here everybody is who watches, or who waits for
/// somebody that has rules by now.
void presence_server::reload_rules() {
  std::set<std::string> watched;
  std::error_code unreadable;
  for (const auto& file : std::filesystem::directory_iterator{line_.rules_dir, unreadable})
    if (file.path().extension() == ".xml") watched.insert("sip:" + file.path().stem().string());
  std::uint64_t next = 0;
  do {
    auto page = engine_.subscriptions({.event = "presence"}, next, 1000);
    for (const auto& row : page.records) watched.insert(row.resource);
    next = page.next;
  } while (next != 0);
  for (const std::string& resource : watched) {
    send(engine_.refresh_watchers(resource, "presence", presence::refresh_type::authorization, clock_.now()));
  }
}

// --- 2: requests ----------------------------------------------------------------------------------

int presence_server::on_request(nta_incoming_t* request, const sip_t* sip) {
  const sip_method_t method = sip->sip_request->rq_method;
  if (method == sip_method_ack) return nta_incoming_destroy(request), 0;  // never answered

  auto home = std::make_unique<sip::arena>();
  const std::string peer = line_.verbose ? peer_of(sip) : "";
  if (line_.verbose) {
    std::string what{sip->sip_request->rq_method_name};
    what.append(" ").append(sip::uri(*home, sip->sip_request->rq_url));
    const auto also = [&](std::string_view name, std::string_view value) {
      if (!value.empty()) what.append(" ").append(name).append("=").append(value);
    };
    also("Event", sip::value(*home, sip->sip_event));
    also("Expires", sip::value(*home, sip->sip_expires));
    also("SIP-If-Match", sip::value(*home, sip->sip_if_match));
    also("To-tag", sip::view(sip->sip_to->a_tag));
    log("<-", peer, what + gist(sip::content(*home, sip).bytes));
  }

  const sip::surroundings s{.who = line_.trust_from ? sip::trusted_sender(*home, *sip) : presence::identity{},
                            .local_contact = sip::kept(*home, contact_for(sip))};

  presence::effects refused;
  if (const char* broken = sip::broken_header(sip)) {
    refused.answer = {.status = 400, .reason = broken};
  } else if (method == sip_method_publish) {
    calls_.emplace_back(sip::publish(*home, sip, s));
  } else if (method == sip_method_subscribe) {
    calls_.emplace_back(sip::subscribe(*home, sip, s));
  } else if (method == sip_method_options) {
    calls_.emplace_back(sip::options(*home, sip, s));
  } else if (method == sip_method_notify) {  // RFC 6665 section 4.1.3: we subscribed to nothing
    refused.answer = {.status = 481, .reason = "Subscription Does Not Exist"};
  } else if (method == sip_method_cancel) {
    refused.answer = {.status = 481, .reason = "Call/Transaction Does Not Exist"};
  } else {
    refused.answer = {.status = 405, .reason = "Method Not Allowed", .allow = "PUBLISH, SUBSCRIBE, OPTIONS"};
  }
  open_request received{request, std::move(home), peer};
  if (refused.answer.status != 0) {
    answer(received, refused);
  } else {
    open_.push_back(std::move(received));
  }
  return 0;
}

/// Makes the calls that have come; what they change is durable when they are answered.
void presence_server::make_calls() {
  if (calls_.empty()) return;
  const auto calls = std::exchange(calls_, {});  // what is sent may bring further ones
  const auto open = std::exchange(open_, {});
  std::size_t made = 0;
  for (std::span<const presence::received> rest{calls}; !rest.empty();) {
    const std::size_t taken = engine_.handle(rest, clock_.now(), results_);
    for (std::size_t i = 0; i < taken; ++i) {  // the replies first, then the NOTIFYs, in their order
      const open_request& request = open[made++];
      if (request.transaction) answer(request, results_[i]);
      waiting_.insert(waiting_.end(), results_[i].notifies.begin(), results_[i].notifies.end());
    }
    rest = rest.subspan(taken);
  }
  drain();
  keep_time();
}

void presence_server::answer(const open_request& request, presence::effects& effects) {
  // 401 asks for a challenge (WWW-Authenticate) and for somebody who can check the answer to it.
  if (effects.answer.challenge) effects.answer = {.status = 403, .reason = "Credentials Cannot Be Checked"};
  if (line_.verbose) log("->", request.peer, to_string(effects.answer));
  sip::send_reply(request.transaction, effects.answer);
  nta_incoming_destroy(request.transaction);  // ours no more; the stack still answers retransmissions
}

std::string presence_server::peer_of(const sip_t* sip) {
  const sip_via_t* via = sip->sip_via;
  return std::string{sip::view(via->v_received ? via->v_received : via->v_host)} + ':' +
         std::string{sip::view(via->v_rport && *via->v_rport ? via->v_rport : via->v_port)};
}

/// Our Contact on the transport a request came by, for when `server_address` is not set.
std::string presence_server::contact_for(const sip_t* sip) const {
  const sip_via_t* ours = nta_agent_via(agent_);
  for (const sip_via_t* v = ours; v; v = v->v_next) {
    if (su_casematch(v->v_protocol, sip->sip_via->v_protocol)) {
      ours = v;
      break;
    }
  }
  std::string contact = "sip:" + std::string{ours->v_host};
  if (ours->v_port) contact.append(":").append(ours->v_port);
  if (!su_casematch(ours->v_protocol, sip_transport_udp)) contact += ";transport=tcp";
  return contact;
}

// --- 3: NOTIFYs and their outcomes -----------------------------------------------------------------

// A change that a hundred thousand watchers are told must not fill every queue between them and us: what is lost is sent
// again by the stack, whose timers are a list it searches. So the first so many are sent, and others as answers come. Who
// does not answer soon keeps nobody else waiting.
constexpr std::size_t most_at_once = 1000;
constexpr std::chrono::milliseconds soon{300};  // less than T1, after which the stack sends it again

void presence_server::send(const presence::effects& effects) {
  waiting_.insert(waiting_.end(), effects.notifies.begin(), effects.notifies.end());
  drain();
  keep_time();
}

void presence_server::drain() {
  const presence::instant now = clock_.now();
  for (; oldest_fresh_ != sent_.end() && oldest_fresh_->since + soon <= now; ++oldest_fresh_, --fresh_)
    oldest_fresh_->fresh = false;
  while (!waiting_.empty() && fresh_ < most_at_once) {
    const presence::notify next = std::move(waiting_.front());
    waiting_.pop_front();
    if (transmit(next)) continue;
    // What cannot even be sent is reported at once, and the report may bring further NOTIFYs.
    const auto more = engine_.report({.id = next.id}, now);
    waiting_.insert(waiting_.end(), more.notifies.begin(), more.notifies.end());
  }
}

bool presence_server::transmit(const presence::notify& n) {
  sent_notify& sent = sent_.emplace_back(
      sent_notify{.server = this, .id = n.id, .target = std::string{n.dialog.remote_target()}, .since = clock_.now()});
  sent.self = std::prev(sent_.end());
  if (fresh_++ == 0) oldest_fresh_ = sent.self;
  if (line_.verbose) {
    log("->", sent.target,
        "NOTIFY CSeq=" + std::to_string(n.cseq) + ' ' + n.subscription_state_value() +
            gist(n.body_bytes()));
  }

  // Transport and address come from Route or Request-URI, as RFC 3263 says; that is the stack's job.
  const std::string text = sip::notify_text(n);
  msg_t* message = msg_make(sip_default_mclass(), 0, text.data(), static_cast<ssize_t>(text.size()));
  sent.transaction = nta_outgoing_mcreate(
      agent_,
      [](sent_notify* s, nta_outgoing_t*, const sip_t* sip) { return s->server->on_outcome(*s, sip); }, &sent,
      nullptr, message, TAG_END());
  if (sent.transaction) return true;
  log("--", sent.target, "NOTIFY cannot be sent");
  msg_destroy(message);
  forget(sent);
  return false;
}

void presence_server::forget(const sent_notify& sent) {
  if (sent.fresh) --fresh_;
  if (sent.self == oldest_fresh_) ++oldest_fresh_;
  sent_.erase(sent.self);  // `sent` is gone now
}

int presence_server::on_outcome(sent_notify& sent, const sip_t* sip) {
  const bool answered = sip && !nta_sip_is_internal(sip);
  presence::notify_report outcome{.id = sent.id};  // status 0: nobody answered, or there was no way there
  if (answered) {
    outcome.status = sip->sip_status->st_status;
    if (outcome.status < 200) return 0;  // the final answer is still to come
    // a challenge: a host with credentials would repeat the NOTIFY and report that one; this has none
    if (outcome.status == 401 || outcome.status == 407) outcome.status = 403;
    if (sip->sip_retry_after) outcome.retry_after = presence::seconds{sip->sip_retry_after->af_delta};
  }
  if (line_.verbose) {
    log("<-", sent.target,
        (answered ? std::to_string(outcome.status) : "no answer") +
            " to NOTIFY CSeq=" + std::to_string(sent.id.cseq));
  }
  nta_outgoing_destroy(sent.transaction);
  forget(sent);
  calls_.emplace_back(outcome);
  open_.emplace_back();
  return 0;
}

// --- 4: time ----------------------------------------------------------------------------------------

/// Sets the timer to the engine's next deadline. Called after every call that may have moved it.
void presence_server::keep_time() {
  auto deadline = engine_.next_deadline();
  if (!waiting_.empty() && (!deadline || oldest_fresh_->since + soon < *deadline))
    deadline = oldest_fresh_->since + soon;
  if (!deadline) return void(su_timer_reset(deadline_));
  const auto wait = std::clamp<std::int64_t>((*deadline - clock_.now()).count(), 0, 3600 * 1000);
  su_timer_set_interval(
      deadline_,
      [](su_root_magic_t*, su_timer_t*, su_timer_arg_t* self) {
        reinterpret_cast<presence_server*>(self)->on_deadline();
      },
      reinterpret_cast<su_timer_arg_t*>(this), static_cast<su_duration_t>(wait));
}

void presence_server::on_deadline() { send(engine_.advance(clock_.now())); }

// ----------------------------------------------------------------------------------------------------

void presence_server::log(std::string_view arrow, std::string_view peer, std::string_view what) const {
  const auto t =
      std::chrono::system_clock::now().time_since_epoch() / std::chrono::milliseconds{1} % 86400000;
  std::string line = std::string{arrow}.append(" ").append(peer).append(" ").append(what).substr(0, 400);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  std::fprintf(stderr, "%02d:%02d:%02d.%03d %s\n", static_cast<int>(t / 3600000),
               static_cast<int>(t / 60000 % 60), static_cast<int>(t / 1000 % 60), static_cast<int>(t % 1000),
               line.c_str());
}

int main(int argc, char** argv) try {
  const command_line line = parse_command_line(argc, argv);
  presence_server server{line};
  server.listen();
  std::puts("ready");
  std::fflush(stdout);
  server.run();
  return 0;
} catch (const std::exception& e) {
  std::fprintf(stderr, "presence-server: %s\n", e.what());
  return 1;
}
