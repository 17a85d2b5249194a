// RL3: nothing acknowledged is lost. A child works on an engine with a database and says what it was answered
// and what it told watchers; it is killed with SIGKILL at a random moment, again and again. After each kill
// the database must hold every publication and subscription answered 200 and none that was ended, and whoever
// goes on must never use a CSeq again, nor tell twice that a subscription has ended. Some dialogs have a second usage, and
// some children keep little or nothing in memory.
//
// At times the answer to a COMMIT is lost: the change is made, and the engine is told that the database is not there. Who is
// answered 503 for that is as he was before, or, where an engine keeps nothing, finds his tag gone; if the child dies before
// it has made another change, the database says which.
//
// What was under way when the child died may have happened or not; the database says which. With write-back that
// holds for whatever is not older than db_update_period as well: it may be as it was before, and nothing else.
// rows: RL3, Q09, T05
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <presence/presence.hpp>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "all_rows.hpp"
#include "faulty_storage.hpp"
#include "server_database.hpp"
#include "sqlite_file.hpp"

namespace presence::test {
namespace {

constexpr int resources = 4, publication_slots = 12, dialog_slots = 16;
constexpr seconds update_period{20};

void require(bool held, const std::string& what) {
  if (!held) throw std::runtime_error{what};
}

struct publication {
  std::string resource, etag;
  instant expires = {};
  bool live = false;
  instant changed = {};
};
struct watching {
  std::string call_id, to_tag, resource;
  instant expires = {};
  std::uint32_t sent = 0;  // CSeq of the last SUBSCRIBE
  bool live = false;
  instant changed = {};
};

// What the world outside the engine knows. The child begins with a copy of it.
struct world {
  instant now{seconds{1'700'000'000}};
  std::vector<publication> publications{publication_slots};
  std::vector<watching> dialogs{dialog_slots};
  std::map<std::string, instant> gone_tags, ended_calls;  // acknowledged as replaced or over, and when
  std::uint64_t names = 0;
};

enum class act { create, refresh, change, end };

std::string uri(std::size_t n) { return "sip:r" + std::to_string(n) + "@example.com"; }

// --- the child ------------------------------------------------------------------------------------------

class worker {
 public:
  worker(const soci_settings& database, const world& known, std::uint64_t seed, int out, bool write_back)
      : w_{known}, random_{seed}, bytes_{seed}, out_{out}, two_usages_{!write_back} {
    auto opened = open_soci_storage(database);
    if (!opened) throw std::runtime_error{opened.error().text};
    stored_ = std::move(*opened);
    rows_ = std::make_unique<faulty_storage>(*stored_);
    options settings;
    settings.min_expires = seconds{0};
    settings.server_address = "sip:server.example.com";
    settings.cseq_block = static_cast<std::uint32_t>(1 + random_() % 8);
    settings.advance_budget = 1 + random_() % 4;
    const auto mode = write_back ? 0 : random_() % 4;  // all in memory, as needed, as needed and no more than one state, nothing
    settings.fallback2db = mode == 1 || mode == 2;
    settings.cache_states = mode == 2 ? 1 : 0;
    settings.subs_db_mode = write_back ? 2 : mode == 3 ? 3 : 1;
    settings.db_update_period = update_period;
    engine_ = std::make_unique<engine>(settings, host_hooks{}, rows_.get(), &bytes_);
    for (const char* event : {"note", "memo"})
      if (auto added = engine_->add_event(opaque_package(event, {"text/plain"}), w_.now); !added)
        throw std::runtime_error{added.error()};
    say(settings.subs_db_mode == 3 ? "m 1\n" : "m 0\n");
  }

  void run() {
    for (;;) {
      const auto what = random_() % 10;
      if (what < 4)
        publish(random_() % publication_slots);
      else if (what < 8)
        subscribe(random_() % dialog_slots);
      else
        pass(seconds{1 + random_() % 30});
    }
  }
  void drain() {
    for (int i = 0; i < 40; ++i) i % 2 == 0 ? publish(random_() % publication_slots) : subscribe(random_() % dialog_slots);
    loses_ = false;
    pass(seconds{1});
    agree();
    pass(seconds{100'000});
    flush();
  }

 private:
  void flush() {
    rows_->lose_answer(0);
    require(engine_->flush(w_.now).has_value(), "what is held back cannot be written");
  }
  // Memory and the database have the same, but for numbers.
  void agree() {
    flush();
    const auto p = all_rows<publication_row>(*stored_);
    const auto s = all_rows<subscription_row>(*stored_);
    const auto known = [&](auto row, const auto& held, auto same) {
      require(std::any_of(held.begin(), held.end(), [&](const auto& one) { return same(one, row); }), "memory and the database differ");
    };
    const auto publications = engine_->publications({}, 0, 1000).records;
    const auto subscriptions = engine_->subscriptions({}, 0, 1000).records;
    require(publications.size() == p.size() && subscriptions.size() == s.size(), "memory and the database have not as much");
    for (const auto& row : p) known(row, publications, [](const auto& a, const auto& b) { return a == b; });
    for (const auto& row : s)
      known(row, subscriptions, [](subscription_row a, const subscription_row& b) {
        const bool reserved = a.local_cseq <= b.local_cseq && a.version <= b.version;
        a.local_cseq = b.local_cseq, a.version = b.version;
        return reserved && a == b;
      });
  }

  void say(const std::string& text) const {
    if (::write(out_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) ::_exit(1);
  }
  void attempt(char kind, std::size_t slot, act what) {
    failed_ = rows_->failed();
    rows_->lose_answer(loses_ && random_() % 10 == 0 ? 1 + random_() % 2 : 0);
    std::ostringstream line;
    line << "a " << kind << ' ' << slot << ' ' << static_cast<int>(what) << ' '
         << w_.now.time_since_epoch().count() << '\n';
    say(line.str());
  }
  // Answers the NOTIFYs, which may bring more of them, and says all of it at once.
  void done(effects out, const std::string& result) {
    std::ostringstream text;
    if (rows_->failed() != failed_) text << "l\n";
    text << "r " << result << '\n';
    bool more_due = out.more || out.storage_failed;
    rest_after(out);
    for (std::vector<notify> batch = std::move(out.notifies), more; !batch.empty();
         batch = std::exchange(more, {})) {
      for (const notify& n : batch) {
        text << "n " << n.dialog.call_id() << ' ' << n.dialog.event() << ' ' << n.cseq << ' '
             << (n.state == subscription_state::terminated) << '\n';
        const effects paid = engine_->report({.id = n.id, .status = 200}, w_.now);
        rest_after(paid);
        more.insert(more.end(), paid.notifies.begin(), paid.notifies.end());
      }
    }
    text << "d " << more_due << '\n';
    say(text.str());
  }
  // Until then advance() does nothing.
  void rest_after(const effects& out) {
    if (out.storage_failed) rests_until_ = w_.now + engine_->settings().retry_after;
  }

  void publish(std::size_t slot) {
    publication& p = w_.publications[slot];
    if (p.live && p.expires <= w_.now) p.live = false;
    const act what =
        p.live ? std::array{act::refresh, act::change, act::change, act::end}[random_() % 4] : act::create;
    if (what == act::create) p.resource = uri(random_() % resources);
    const std::string body = "text " + std::to_string(random_());
    const bool has_body = what == act::create || what == act::change;
    attempt('P', slot, what);
    const effects out = engine_->publish(
        {.resource = p.resource,
         .event = "note",
         .expires = seconds{what == act::end ? 0 : 5 + random_() % 200},
         .sip_if_match = p.live ? std::string_view{p.etag} : std::string_view{},
         .content = has_body ? content_view{.type = "text/plain", .bytes = body} : content_view{}},
        w_.now);
    const reply& r = out.answer;
    done(out, std::to_string(r.status) + " " + (r.etag.empty() ? "-" : r.etag) + " " +
                  std::to_string(r.expires.value_or(0)) + " " + p.resource);
    if (r.status == 503) return;  // what there was is there, or it is found out when it is asked for
    p.live = r.status == 200 && what != act::end;
    p.etag = r.etag;
    p.expires = w_.now + seconds{r.expires.value_or(0)};
  }

  void subscribe(std::size_t slot) {
    watching& d = w_.dialogs[slot];
    if (d.live && d.expires <= w_.now) d.live = false;
    const act what = !d.live ? act::create : random_() % 4 == 0 ? act::end : act::refresh;
    const bool second = two_usages_ && d.live && slot % 2 == 0 && random_() % 2 == 0;  // a usage beside the one that is followed
    if (what == act::create) {
      d = {};
      d.call_id = "call-" + std::to_string(slot) + "-" + std::to_string(random_());
      d.resource = uri(random_() % resources);
    }
    attempt(second ? 'U' : 'S', slot, what);
    const std::string who = "sip:w" + std::to_string(slot) + "@example.com";
    const effects out = engine_->subscribe({.resource = d.resource,
                                            .event = second ? "memo" : "note",
                                            .expires = seconds{what == act::end ? 0 : 5 + random_() % 200},
                                            .call_id = d.call_id,
                                            .from_tag = "ft",
                                            .to_tag = d.to_tag,
                                            .from_uri = who,
                                            .contact = who,
                                            .cseq = ++d.sent,
                                            .who = {.uri = who}},
                                           w_.now);
    const reply& r = out.answer;
    if (r.status == 200) d.to_tag = r.dialog.local_tag();
    done(out, std::to_string(r.status) + " " + (d.to_tag.empty() ? "-" : d.to_tag) + " " +
                  std::to_string(r.expires.value_or(0)) + " " + d.resource + " " + d.call_id + " " +
                  std::to_string(d.sent));
    if (second || r.status == 503) return;
    d.live = r.status == 200 && what != act::end;
    d.expires = w_.now + seconds{r.expires.value_or(0)};
  }

  void pass(seconds time) {
    w_.now += time;
    for (bool more = true; more;) {
      w_.now = std::max(w_.now, rests_until_);
      attempt('T', 0, act::end);
      const effects out = engine_->advance(w_.now);
      more = out.more || out.storage_failed;
      done(out, "200 - 0 -");
    }
  }

  world w_;
  std::mt19937_64 random_;
  seeded_random bytes_;
  int out_;
  bool two_usages_;  // what is lost with write-back could be the dialog they are in
  std::unique_ptr<soci_storage> stored_;
  std::unique_ptr<faulty_storage> rows_;
  std::unique_ptr<engine> engine_;
  bool loses_ = true;  // answers, at times
  std::size_t failed_ = 0;
  instant rests_until_{};
};

// --- the parent -----------------------------------------------------------------------------------------

struct settings {
  std::string mode = "sqlite";
  std::uint64_t kills = 30, seed = 1;
  bool write_back = false;
};

template <class Database>
class killer {
 public:
  explicit killer(const settings& wanted) : given_{wanted}, random_{wanted.seed} { database_.open(); }

  void run() {
    for (std::uint64_t i = 1; i <= given_.kills; ++i) life(i, false);
    life(0, true);
    for (const watching& d : w_.dialogs)
      require(!d.live, "subscription " + d.call_id + " has lapsed, and nobody was told");
    const auto rows = database_.open();
    require(all_rows<publication_row>(*rows).empty() && all_rows<subscription_row>(*rows).empty(), "rows are left when all is over");
  }

  std::uint64_t acknowledged = 0, notifies = 0, unanswered = 0, unanswered_but_done = 0, lost = 0, found_gone = 0;

 private:
  void life(std::uint64_t number, bool drain) {
    int ends[2];
    require(::pipe(ends) == 0, "no pipe");
    const std::uint64_t seed = random_();
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[0]);
      try {
        worker one{database_.settings(), w_, seed, ends[1], given_.write_back};
        if (drain)
          one.drain();
        else
          one.run();
        ::_exit(0);
      } catch (const std::exception& e) {
        std::fprintf(stderr, "child: %s\n", e.what());
        ::_exit(1);
      }
    }
    ::close(ends[1]);
    attempted_.reset();
    answer_lost_ = false;
    FILE* in = ::fdopen(ends[0], "r");
    const std::uint64_t last = drain ? ~std::uint64_t{0} : random_() % 120;
    std::uint64_t lines = 0;
    char line[4096];
    while (lines++ != last && std::fgets(line, sizeof line, in) != nullptr) take(line);
    if (!drain) {
      std::this_thread::sleep_for(std::chrono::microseconds{random_() % 3000});
      ::kill(child, SIGKILL);
    }
    while (std::fgets(line, sizeof line, in) != nullptr) take(line);
    std::fclose(in);
    int status = 0;
    ::waitpid(child, &status, 0);
    require(drain ? WIFEXITED(status) && WEXITSTATUS(status) == 0 : WIFSIGNALED(status),
            "life " + std::to_string(number) + " ended by itself");
    wait_for_server();
    verify();
  }

  // A server goes on for a while with what the child has sent.
  void wait_for_server() {
    if constexpr (!std::is_same_v<Database, sqlite_file>) {
      const bool postgres = std::is_same_v<Database, postgres_database>;
      const auto admin = Database::home();
      const std::string query =
          postgres ? "SELECT 1 FROM pg_stat_activity WHERE datname = '" + database_.name() + "'"
                   : "SELECT 1 FROM information_schema.processlist WHERE db = '" + database_.name() + "'";
      for (int i = 0; i < 1000 && !rows_of(*admin, query).empty(); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }

  struct attempt {
    char kind = 0;
    std::size_t slot = 0;
    act what = {};
  };

  void take(const std::string& text) {
    if (text.empty() || text.back() != '\n') return;  // the child died while it wrote
    std::istringstream in{text};
    char record = 0;
    in >> record;
    if (record == 'a') {
      attempt a;
      int what = 0;
      std::int64_t now = 0;
      in >> a.kind >> a.slot >> what >> now;
      a.what = static_cast<act>(what);
      attempted_ = a;
      w_.now = instant{milliseconds{now}};
    } else if (record == 'm') {
      in >> keeps_nothing_;
    } else if (record == 'l') {
      answer_lost_ = true;
      ++lost;
    } else if (record == 'r') {
      answer_ = text.substr(2);
      told_.clear();
    } else if (record == 'n') {
      told_.push_back(text.substr(2));
    } else if (record == 'd') {
      int more = 0;
      in >> more;
      answered(more != 0);
      attempted_.reset();
      answer_lost_ = false;
    }
  }

  void answered(bool more) {
    std::istringstream in{answer_};
    int status = 0;
    std::string tag, resource, call_id;
    std::uint32_t expires = 0, cseq = 0;
    in >> status >> tag >> expires >> resource >> call_id >> cseq;
    const attempt a = attempted_.value();
    const bool in_doubt = doubts_.count({a.kind, a.slot}) != 0;
    const bool gone = (status == 412 || status == 481) && in_doubt && keeps_nothing_;
    require(status == 200 || gone || (status == 503 && answer_lost_), "a request that had to succeed was answered " + answer_);
    if (status == 503) {  // if it was made, that is undone before the next change, or found out by it
      doubts_.insert({a.kind, a.slot});
      if (a.kind != 'P' && a.what != act::create) w_.dialogs[a.slot].sent = cseq;
    } else if (a.kind != 'T') {
      if (keeps_nothing_) doubts_.erase({a.kind, a.slot});
      else doubts_.clear();
    }
    found_gone += gone;
    if (status == 503) {
    } else if (gone && a.kind == 'P') {
      w_.publications[a.slot].live = false;
    } else if (gone) {
      w_.dialogs[a.slot].live = w_.dialogs[a.slot].live && a.kind != 'S';
    } else if (a.kind == 'P') {
      publication& p = w_.publications[a.slot];
      if (p.live && a.what != act::create) w_.gone_tags[p.etag] = w_.now;
      p = {resource, tag, w_.now + seconds{expires}, a.what != act::end, w_.now};
      slot_of_[tag] = a.slot;
      ++acknowledged;
    } else if (a.kind == 'S') {
      watching& d = w_.dialogs[a.slot];
      if (a.what == act::create) d = {};
      d.call_id = call_id;
      d.to_tag = tag;
      d.resource = resource;
      d.expires = w_.now + seconds{expires};
      d.sent = cseq;
      d.live = true;  // until its last NOTIFY below
      d.changed = w_.now;
      ++acknowledged;
    } else if (a.kind == 'U') {
      w_.dialogs[a.slot].sent = cseq;
      ++acknowledged;
    }
    for (const auto& text : told_) told(text);
    if (a.kind == 'T' && !more) {
      written_until_ = w_.now - update_period;
      for (publication& p : w_.publications) p.live = p.live && p.expires > w_.now;
      for (std::size_t i = 0; i < w_.dialogs.size(); ++i) {
        const watching& d = w_.dialogs[i];  // in doubt: a refresh was perhaps made
        require(!d.live || d.expires > w_.now || doubts_.count({'S', i}) != 0, "subscription " + d.call_id + " lapsed, and nobody was told");
      }
    }
  }

  void told(const std::string& text) {
    std::istringstream in{text};
    std::string call_id, event;
    std::uint32_t cseq = 0;
    int terminated = 0;
    in >> call_id >> event >> cseq >> terminated;
    ++notifies;
    require(event == "memo" || w_.ended_calls.count(call_id) == 0, "NOTIFY after the last one: " + text);
    std::uint32_t& last = cseqs_[call_id];
    require(cseq > last, "CSeq used again, " + std::to_string(last) + " was the last: " + text);
    last = cseq;
    if (event == "memo" || terminated == 0) return;
    for (watching& d : w_.dialogs)
      if (d.call_id == call_id) d.live = false;
    w_.ended_calls[call_id] = w_.now;
  }

  void verify() {
    auto opened = open_soci_storage(database_.settings());
    if (!opened) throw std::runtime_error{opened.error().text};
    const auto rows = all_rows<publication_row>(**opened);
    const auto subscriptions = all_rows<subscription_row>(**opened);
    const auto held_back = [&](instant when) { return given_.write_back && when > written_until_; };
    std::map<std::string, const publication_row*> by_tag;
    for (const auto& row : rows) {
      by_tag[row.etag] = &row;
      const auto gone = w_.gone_tags.find(row.etag);
      if (gone == w_.gone_tags.end()) continue;
      require(held_back(gone->second), "a publication that was ended or replaced is there: " + row.etag);
      const std::size_t slot = slot_of_.at(row.etag);  // its end was lost
      publication& p = w_.publications[slot];
      require(!p.live || held_back(p.changed), "a publication is there twice: " + p.etag + " and " + row.etag);
      p = {row.resource, row.etag, row.expires, true, w_.now};
      w_.gone_tags.erase(gone);
    }
    std::map<std::string, const subscription_row*> by_call;
    for (const auto& row : subscriptions) {
      const std::string call{row.dialog.call_id()};
      require(row.local_cseq >= cseqs_[call], "numbers in use are not reserved: " + call);
      if (row.event == "memo") continue;
      by_call[call] = &row;
      const auto gone = w_.ended_calls.find(call);
      require(gone == w_.ended_calls.end() || held_back(gone->second),
              "a subscription whose last NOTIFY was sent is there: " + call);
      if (gone != w_.ended_calls.end()) w_.ended_calls.erase(gone);  // it ends once more
    }
    const bool time_passed = attempted_ && attempted_->kind == 'T';
    if (attempted_) ++unanswered;
    const auto in_doubt = [&](char kind, std::size_t slot) {
      return (attempted_ && attempted_->kind == kind && attempted_->slot == slot) || doubts_.count({kind, slot}) != 0;
    };
    for (std::size_t i = 0; i < w_.publications.size(); ++i) {
      publication& p = w_.publications[i];
      if (!p.live) continue;
      const auto row = by_tag.find(p.etag);
      const bool doubtful = in_doubt('P', i) || p.expires <= w_.now || held_back(p.changed);
      require(doubtful || row != by_tag.end(), "an acknowledged publication is not there: " + p.etag);
      if (row == by_tag.end()) {  // what was not answered has happened: its tag is not known
        p.live = false;
        ++unanswered_but_done;
      } else if (!doubtful) {
        require(row->second->resource == p.resource && row->second->expires == p.expires,
                "not as acknowledged: " + p.etag);
      }
      if (row != by_tag.end()) p.expires = row->second->expires;
    }
    for (std::size_t i = 0; i < w_.dialogs.size(); ++i) {
      watching& d = w_.dialogs[i];
      const bool mine = in_doubt('S', i);
      if (attempted_ && attempted_->kind == 'S' && attempted_->slot == i && attempted_->what == act::create) {  // the host would have asked again; here it is forgotten
        d.live = false;
        continue;
      }
      if (!d.live) continue;
      const auto row = by_call.find(d.call_id);
      const bool doubtful = mine || (time_passed && d.expires <= w_.now) || d.expires <= w_.now || held_back(d.changed);
      require(doubtful || row != by_call.end(), "an acknowledged subscription is not there: " + d.call_id);
      if (row == by_call.end()) {  // its last NOTIFY was due and the child died before it could be sent, or it is lost
        w_.ended_calls[d.call_id] = {};
        d.live = false;
        ++unanswered_but_done;
        continue;
      }
      require(row->second->dialog.local_tag() == d.to_tag, "not as acknowledged: " + d.call_id);
      require(doubtful || row->second->expires == d.expires, "not as acknowledged: " + d.call_id);
      d.expires = row->second->expires;
      if (mine || in_doubt('U', i)) d.sent = std::max(d.sent + 1, row->second->remote_cseq);
    }
    doubts_.clear();
    // whatever was lost, this is how it is from now on
    for (publication& p : w_.publications) p.changed = {};
    for (watching& d : w_.dialogs) d.changed = {};
    for (auto& [tag, when] : w_.gone_tags) when = {};
    for (auto& [call, when] : w_.ended_calls) when = {};
  }

  settings given_;
  std::mt19937_64 random_;
  Database database_;
  world w_;
  std::map<std::string, std::uint32_t> cseqs_;
  std::map<std::string, std::size_t> slot_of_;  // by entity tag
  instant written_until_{};                     // what was acknowledged before is in the database
  std::optional<attempt> attempted_;
  std::set<std::pair<char, std::size_t>> doubts_;  // answered 503, and made
  bool answer_lost_ = false;    // that to a COMMIT, in the request that is under way
  bool keeps_nothing_ = false;  // subs_db_mode 3
  std::string answer_;
  std::vector<std::string> told_;
};

template <class Database>
int walk(const settings& wanted) {
  try {
    killer<Database> one{wanted};
    one.run();
    std::printf(
        "%s: %llu kills, %llu requests acknowledged, %llu NOTIFYs; %llu requests unanswered, %llu of them "
        "had happened; %llu answers of the database lost, %llu tags gone\n",
        wanted.mode.c_str(), static_cast<unsigned long long>(wanted.kills),
        static_cast<unsigned long long>(one.acknowledged), static_cast<unsigned long long>(one.notifies),
        static_cast<unsigned long long>(one.unanswered),
        static_cast<unsigned long long>(one.unanswered_but_done),
        static_cast<unsigned long long>(one.lost), static_cast<unsigned long long>(one.found_gone));
    return 0;
  } catch (const std::exception& e) {
    std::printf("FAILED: kill_walk --mode %s --kills %llu --seed %llu%s\n%s\n", wanted.mode.c_str(),
                static_cast<unsigned long long>(wanted.kills), static_cast<unsigned long long>(wanted.seed),
                wanted.write_back ? " --write-back" : "", e.what());
    return 1;
  }
}

int usage(int code) {
  std::puts(
      "kill_walk [--mode sqlite|postgres|mariadb] [--kills N] [--seed N] [--write-back]\n"
      "Kills a process that works on an engine with a database, N times, and looks whether anything "
      "acknowledged is lost.\n"
      "The servers are those of tests/databases.py.");
  return code;
}

int main_of_walk(int argc, char** argv) {
  settings wanted;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") return usage(0);
    if (name == "--write-back") {
      wanted.write_back = true;
      continue;
    }
    if (i + 1 == argc) return usage(2);
    const std::string value = argv[++i];
    if (name == "--mode")
      wanted.mode = value;
    else if (name == "--kills")
      wanted.kills = std::strtoull(value.c_str(), nullptr, 10);
    else if (name == "--seed")
      wanted.seed = std::strtoull(value.c_str(), nullptr, 10);
    else
      return usage(2);
  }
  const auto done = on_database(wanted.mode, [&]<class Database>() { return walk<Database>(wanted); });
  return done ? *done : usage(2);
}

}  // namespace
}  // namespace presence::test

int main(int argc, char** argv) { return presence::test::main_of_walk(argc, argv); }
