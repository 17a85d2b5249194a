/// A presence server: the engine embedded in the SIP stack Sofia-SIP (its transaction layer, nta).
///
///   this file                  the host: sockets, requests, one timer, the order of things
///   sip_mapping.hpp            messages to values and back; with another stack, write this file anew
///   notify_sender.hpp|cpp      NOTIFYs on their way, by the stack or past it
///   notify_transport.hpp|cpp   the way past it: many datagrams at once; needs no stack, take it as it is
///   notify_text.hpp            a NOTIFY as text
///   command_line.hpp, log.hpp  options; what --verbose prints
///
/// What a host does is little, and all of it is here:
///
///   1  make a storage (or none), an engine, and register event packages        constructor
///   2  turn each request into a value; hand what has come to the engine, send
///      what comes back                                                         on_request, make_calls
///   3  send NOTIFYs and tell the engine what became of each                    notify_sender
///   4  call advance() when next_deadline() has come                            go_on, on_deadline
///
/// The stack does the rest: it parses, answers malformed messages with 400, absorbs retransmissions
/// and merged requests.
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
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <presence/presence.hpp>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "notify_sender.hpp"  // before what includes the stack: it says what the stack's callbacks get

#include "command_line.hpp"
#include "log.hpp"
#include "sip_mapping.hpp"

#if PRESENCE_HAS_SOCI
#include <soci_storage.hpp>
#endif
#if PRESENCE_HAS_SQLITE
#include <sqlite3.h>
#endif

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
  void make_calls();
  void answer(const open_request& request, presence::effects& effects);
  void on_deadline();
  static int on_signal(su_root_magic_t*, su_wait_t*, su_wakeup_arg_t* self);
  void reload_rules();

  void send(const presence::effects& effects);
  void go_on();
  std::string contact_for(const sip_t* sip) const;
  static std::string peer_of(const sip_t* sip);

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
  std::optional<notify_sender> notifies_;
};

namespace {

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
                            NTATAG_CLIENT_RPORT(1),              // RFC 3581, as notify_transport has it
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

  notifies_.emplace(root_, agent_, line_, [this](const presence::notify_report& outcome) {
    calls_.emplace_back(outcome);
    open_.emplace_back();
  });

  on_deadline();  // what came due while we were away goes out now, and the clockwork starts
}

// Calls are made when nothing more has come, or so many have. What is changed by them is written in one transaction,
// and nobody is answered before that (group commit).
constexpr std::size_t most_together = 256;

void presence_server::run() {
  const auto come = [this] { return calls_.size() + notifies_->turns(); };  // in turns requests may show up
  std::size_t made = 0;
  while (!ending_) {
    const std::size_t before = come();
    su_root_step(root_, calls_.empty() ? 3600 * 1000 : 0);
    if (come() != before && come() - made < 2 * most_together) continue;
    make_calls();
    made = come();
  }
  make_calls();
  if (auto flushed = engine_.flush(clock_.now()); !flushed) throw std::runtime_error{flushed.error()};
}

presence_server::~presence_server() {
  notifies_.reset();
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
    self->make_calls();  // what has come before
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
    log_line("<-", peer, what + gist(sip::content(*home, sip).bytes));
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
      notifies_->add(results_[i].notifies);
    }
    rest = rest.subspan(taken);
  }
  go_on();
}

void presence_server::answer(const open_request& request, presence::effects& effects) {
  // 401 asks for a challenge (WWW-Authenticate) and for somebody who can check the answer to it.
  if (effects.answer.challenge) effects.answer = {.status = 403, .reason = "Credentials Cannot Be Checked"};
  if (line_.verbose) log_line("->", request.peer, to_string(effects.answer));
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

// --- 4: time ----------------------------------------------------------------------------------------

/// Sends NOTIFYs and sets the timer. Called after every call of the engine.
void presence_server::go_on() {
  notifies_->send(clock_.now());
  auto deadline = engine_.next_deadline();
  if (const auto other = notifies_->next_deadline(); other && (!deadline || *other < *deadline)) deadline = other;
  if (!deadline) return void(su_timer_reset(deadline_));
  const auto wait = std::clamp<std::int64_t>((*deadline - clock_.now()).count(), 0, 3600 * 1000);
  su_timer_set_interval(
      deadline_,
      [](su_root_magic_t*, su_timer_t*, su_timer_arg_t* self) {
        reinterpret_cast<presence_server*>(self)->on_deadline();
      },
      reinterpret_cast<su_timer_arg_t*>(this), static_cast<su_duration_t>(wait));
}

void presence_server::send(const presence::effects& effects) {
  notifies_->add(effects.notifies);
  go_on();
}

void presence_server::on_deadline() { send(engine_.advance(clock_.now())); }

int main(int argc, char** argv) try {
  const command_line line = parse_command_line(argc, argv);
#if PRESENCE_HAS_SQLITE
  // For the whole process, before anything uses SQLite: nobody here shares a connection between threads, so that SQLite
  // need not lock it for each value it hands out.
  ::sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
#endif
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
