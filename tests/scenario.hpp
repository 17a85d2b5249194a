// The test language. A scenario owns manual time, repeatable randomness, an engine and the names of
// dialogs and entity tags; each step returns everything that happened as one line of text:
//
//   s.publish("alice", {.body = "t1:open"})  ->  "200 e1 Expires=3600 | N d1#2 active;expires=590 P(t1:open)"
//
// Comparing that line is strict: an effect that is not named is a failure. Entity tags are named
// e1, e2, ... as they appear, dialogs as the test calls them; P(...) is a PIDF document by its tuples.
// Every NOTIFY is answered 200 at once, unless the test holds the answers back.
#pragma once

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <presence/memory_storage.hpp>
#include <presence/presence.hpp>

namespace presence::test {

using namespace std::chrono_literals;

inline const instant start{std::chrono::seconds{1'700'000'000}};

/// A PIDF document from tuples: "t1:open,t2:closed"; "" has no tuples.
std::string pidf(std::string_view tuples, std::string_view entity = "sip:alice@example.com");
/// The reverse: the tuples of a composed document, as P(t1:open,t2:closed); one without a basic status is t3:-, an id
/// that a view made up is *.
std::string tuples_of(std::string_view document);

/// A case that looks at what a mode does otherwise on purpose (docs/storage.md) is skipped there; its reason stays with it:
///   TEST_CASE("..." * not_in("database_only", "no NOTIFY waits for an answer"))
/// The names are values of PRESENCE_TEST_MODE (of "bounded:sieve" the first word) or PRESENCE_TEST_DATABASE.
class not_in {
 public:
  not_in(std::string_view names, std::string_view why);
  template <class Case>
  void fill(Case& one) const {
    one.m_skip = one.m_skip || here_;
  }
  bool here() const noexcept { return here_; }

 private:
  bool here_ = false;
};

struct publish_step {
  std::optional<std::string> body = {};   ///< tuples of a PIDF; see `raw` for anything else
  std::optional<std::string> raw = {};    ///< the body as it is
  std::string type = "application/pidf+xml";
  std::string if_match = {};              ///< e1, e2, ... or any other text as it is
  expires_value expires = {};
  std::string event = "presence";
  std::string by = {};                    ///< publisher; empty: the resource itself; "-": nobody proven
  std::string sender = {};
  std::string encoding = {};
  std::string require = {};
};

struct subscribe_step {
  std::string by = "bob";
  std::string to = "alice";
  expires_value expires = {};
  std::optional<std::string> event = {};  ///< absent: that of the dialog's first SUBSCRIBE, or presence
  std::optional<std::string> accept = {};
  std::string contact = {};               ///< empty: sip:<by>@<dialog>.example.com
  std::string require = {};
  std::string record_route = {};
  std::string body = {};
  std::string body_type = {};
  std::optional<std::uint32_t> cseq = {}; ///< instead of the next one
  bool unproven = false;
  std::string as = {};                    ///< proven as somebody else than From says
  bool new_dialog = false;                ///< forget the dialog's To tag: an initial request
  std::string cookie = {};
  std::string user_agent = {};
  bool secure = false;
  std::string display_name = {};
  bool anonymous = false;                 ///< asks for privacy
  std::vector<std::string> also = {};     ///< further addresses that are proven
};

struct scenario {
  struct setup {
    presence::options settings = {};
    storage* rows = nullptr;
    bool authorized = false;   ///< the presence package asks `policy`
    bool winfo = false;        ///< presence.winfo as well
    bool by_rules = false;     ///< the presence package asks `rules_text`
    host_hooks hooks = {};
    std::vector<event_package> packages = {};  ///< besides presence and message-summary
    std::uint64_t seed = 1;
  };
  scenario() : scenario{setup{}} {}
  explicit scenario(setup s);

  std::string publish(std::string_view resource, const publish_step& step);
  std::string subscribe(const std::string& dialog, const subscribe_step& step = {});
  /// Handles what is due now, slice after slice.
  std::string advance();
  /// Moves time on and handles every deadline on the way, one line per moment that did something.
  std::string wait(seconds duration);
  std::string wait_until(seconds since_start);
  /// The outcome of the n-th NOTIFY of a dialog, when answers are held back.
  std::string outcome(const std::string& dialog, int number, int status);
  std::string decide(const std::string& watcher, sub_handling handling, std::string_view resource = "alice");
  std::string options_of(std::string_view resource);
  /// The engine's, with publications, subscriptions and undecided watchers counted in the rows where memory has not all.
  engine_stats stats() const;

  /// Renders effects; NOTIFYs are answered on the way.
  std::string told(const effects& out);
  std::string name_of_tag(const std::string& etag);
  /// Watcher information by its watchers: W0 full(w1:active:subscribe:bob:600:0), the numbers being
  /// expiration and duration-subscribed.
  std::string watchers_of(const std::string& document);
  std::string tag_named(const std::string& name) const;
  /// Throws the engine away and makes another on the same storage.
  void restart();
  /// Fails unless the engine's self-audit succeeds.
  void audit() const;
  instant now() const { return at; }

  std::shared_ptr<storage> own_rows = {};
  setup given;
  std::unique_ptr<random_source> random;
  std::unique_ptr<presence::engine> engine;
  instant at = start;
  bool answers = true;                            ///< answer each NOTIFY 200 at once
  std::map<std::string, sub_handling> policy = {};  ///< by watcher name; absent: allow
  std::string rules_text = {};                    ///< the rules document of every presentity
  struct dialog_state {
    std::string call_id, from_tag, to_tag, by, to, event;
    std::uint32_t cseq = 0;
    std::vector<notify> notifies = {};
  };
  std::map<std::string, dialog_state> dialogs = {};
  std::vector<std::string> tags = {};
  std::vector<std::string> watchers = {};         ///< ids in watcher information, as they appeared

 private:
  void make_engine();
  /// Moves time on to where nothing in the rows is due before. A server takes long for the looks of subs_db_mode 3 and
  /// fallback2db, one a second; SQLite's rows and those in memory see them all.
  void pass_quiet(instant until);
  std::string told(const notify& n);
};

/// A presence rules document, and a rule of it that shows nothing.
inline std::string ruleset_of(const std::string& rules) {
  return "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:pr='urn:ietf:params:xml:ns:pres-rules'>" + rules +
         "</ruleset>";
}
inline std::string rule_of(const std::string& conditions, const char* handling) {
  return "<rule id='" + std::string{handling} + "'><conditions>" + conditions + "</conditions><actions><pr:sub-handling>" +
         handling + "</pr:sub-handling></actions></rule>";
}

inline std::string address(std::string_view name) {
  return name.find(':') != std::string_view::npos ? std::string{name}
                                                  : "sip:" + std::string{name} + "@example.com";
}

}  // namespace presence::test
