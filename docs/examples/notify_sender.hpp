/// NOTIFYs on their way: those that wait for room, those that are sent, and what became of each. notify_transport sends
/// what it can; the stack's transactions send the rest.
#pragma once

#include <sofia-sip/su_wait.h>

#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <optional>
#include <presence/presence.hpp>
#include <string>
#include <vector>

// The types that the stack hands to callbacks.
class presence_server;
struct sent_notify;
#define NTA_LEG_MAGIC_T presence_server
#define NTA_OUTGOING_MAGIC_T sent_notify

#include <sofia-sip/nta_tport.h>
#include <sofia-sip/tport.h>

#include "command_line.hpp"
#include "notify_transport.hpp"
#include "sip_mapping.hpp"

class notify_sender;

/// A NOTIFY that the stack has sent: what the engine wants to hear about, when the stack knows.
struct sent_notify {
  notify_sender* sender = nullptr;
  presence::notify_id id = {};
  std::string target = {};
  presence::instant since = {};
  bool fresh = true;  ///< it is not known yet whether this watcher is slow
  nta_outgoing_t* transaction = nullptr;
  std::list<sent_notify>::iterator self = {};
};

class notify_sender {
 public:
  using report = std::function<void(const presence::notify_report&)>;

  /// The agent listens already. What became of each NOTIFY is told to `told`, which must not call back.
  notify_sender(su_root_t* root, nta_agent_t* agent, const command_line& line, report told);
  ~notify_sender();
  notify_sender(const notify_sender&) = delete;
  notify_sender& operator=(const notify_sender&) = delete;

  void add(const std::vector<presence::notify>& notifies);
  /// Sends what there is room for, and again what is unanswered.
  void send(presence::instant now);
  /// How often a socket has been looked into: as long as that goes on, something may be there for the stack.
  std::size_t turns() const { return turns_; }
  /// When send() has something to do.
  std::optional<presence::instant> next_deadline();

 private:
  void share(su_root_t* root);
  static int readable(su_root_magic_t*, su_wait_t* wait, su_wakeup_arg_t* arg);
  bool by_stack(const presence::notify& n, presence::instant now);
  void answered(sent_notify& sent, const sip_t* sip);
  void read_by_stack(const sip_t* sip);
  void tell(presence::notify_id id, std::string_view target, const sip::outcome& what);
  void forget(const sent_notify& sent);

  su_root_t* const root_;
  nta_agent_t* const agent_;
  const bool verbose_;
  const report told_;
  notify_transport transport_;
  /// A UDP socket of the stack, which reads from it only while what is first there is for it.
  struct shared_socket {
    tport_t* stack;
    notify_sender* sender;
    int copy;       ///< of the descriptor: a root knows one once
    int index = 0;  ///< at the root
    bool stalled = false;
  };
  std::list<shared_socket> shared_;
  sent_notify stray_ = {};
  nta_outgoing_t* strays_ = nullptr;
  std::deque<presence::notify> waiting_;
  std::list<sent_notify> sent_;  // by the stack, in the order of sending
  std::list<sent_notify>::iterator oldest_fresh_ = sent_.end();
  std::size_t fresh_ = 0;
  std::size_t turns_ = 0;
};
