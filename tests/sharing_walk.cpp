// C01, RL6: several engines on one database. Processes work at once on few resources, each with an engine of
// its own (subs_db_mode 3); clients go to any of them, in shared memory, one request after the other. Every
// NOTIFY is written down. In the end no CSeq may have been used twice, nothing accepted may be lost,
// everything must have ended once and been told once, and the last NOTIFY of each watcher must show what the
// database ends with. With --kill one of the processes is killed in the middle: what comes due afterwards is done by
// the others, what it owned a while later (C02), and all that is lost is what the killed one was just about to send. At
// times the answer to a COMMIT is lost: whoever asked is answered 503, and what the change means for watchers is told
// with the engine's next call. rows: C01, C02, RL6
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <presence/presence.hpp>
#include <optional>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "all_rows.hpp"
#include "faulty_storage.hpp"
#include "server_database.hpp"
#include "sqlite_file.hpp"

namespace presence::test {
namespace {

struct settings {
  std::string mode = "sqlite";
  unsigned processes = 3, milliseconds = 6000, resources = 3;
  std::uint64_t seed = 1;
  bool kill = false, lose = true;
};

void require(bool held, const std::string& what) {
  if (!held) throw std::runtime_error{what};
}

instant wall_clock() {
  return instant{
      std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())};
}

constexpr seconds grace{1};  // after which others take over

std::string uri(unsigned n) { return "sip:r" + std::to_string(n) + "@example.com"; }

// A publisher or a watcher, who asks one engine at a time. In shared memory.
struct client {
  std::atomic<bool> busy = false;
  bool live = false;
  unsigned resource = 0, life = 0, cseq = 0;
  std::int64_t expires = 0;  // milliseconds
  std::array<std::int64_t, 128> expired = {};  // the same, by life: the last ones of a watcher
  char tag[64] = {};         // the publication's, or the dialog's To tag
  void remember(std::string_view text) {
    require(text.size() < sizeof tag, "a tag is longer than this test thought");
    tag[text.copy(tag, sizeof tag - 1)] = '\0';
  }
};

class shared_clients {
 public:
  explicit shared_clients(std::size_t count) : count_{count} {
    void* at =
        ::mmap(nullptr, count * sizeof(client), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(at != MAP_FAILED, "no shared memory");
    first_ = static_cast<client*>(at);
    for (std::size_t i = 0; i < count; ++i) new (first_ + i) client;
  }
  ~shared_clients() { ::munmap(first_, count_ * sizeof(client)); }
  shared_clients(const shared_clients&) = delete;
  shared_clients& operator=(const shared_clients&) = delete;
  std::size_t size() const { return count_; }
  client& operator[](std::size_t n) const { return first_[n]; }

 private:
  std::size_t count_;
  client* first_;
};

// Knows what ended with changes that nobody answered for. Rests at times between what a call reads and what it writes, so that
// others come in between however slow the disk is.
class losing_storage : public faulty_storage {
 public:
  losing_storage(storage& rows, std::ostream& out) : faulty_storage{rows}, out_{out} {}
  std::uint64_t ended = 0;  // publications
  std::uint64_t lost = 0;   // answers
  result<void, storage_error> apply(const change& what) override {
    if (++changes_ % 4 == 0) ::usleep(1'000);
    const auto made_before = made(), failed_before = failed();
    auto done = faulty_storage::apply(what);
    if (made() == made_before || failed() == failed_before) return done;
    ++lost;
    ended += what.ended_publications.size();
    for (const auto& key : what.ended_subscriptions)
      if (key.event == "presence") out_ << "x " << key.call_id << '\n';
    for (const auto& row : what.changed_subscriptions) out_ << "g " << row.dialog.call_id() << ' ' << row.local_cseq << '\n';
    for (const auto& one : what.reservations) out_ << "g " << one.key.call_id << ' ' << one.local_cseq << '\n';
    return done;
  }

 private:
  std::ostream& out_;
  std::size_t changes_ = 0;
};

// What all processes have counted and seen.
struct account {
  std::uint64_t requests = 0, refused = 0, conflicts = 0, statements = 0, lost = 0;
  std::uint64_t published = 0, removed = 0, expired = 0;
  struct told {
    std::set<std::uint32_t> numbers;  // of all usages
    std::map<std::uint32_t, std::pair<bool, std::string>>
        by_cseq;  // those to presence: whether it was the last one, and the body
  };
  std::map<std::string, told> dialogs;
  std::set<std::string> ends_in_doubt;  // made, and not answered for
  std::set<std::pair<std::string, std::uint32_t>> numbers_in_doubt;  // of such changes, by dialog
  std::int64_t looked = 0;  // milliseconds; the last moment up to which a process has done all that was due

  // `killed`: the process has not come to its end, perhaps not even to that of its last line
  void take(const std::string& file, bool killed) {
    std::ifstream in{file};
    std::string kind, call_id, event, body;
    std::uint64_t counted[8];
    while (in >> kind) {
      if (kind == "n") {
        std::uint32_t cseq = 0;
        bool last = false;
        in >> call_id >> event >> cseq >> last;
        std::getline(in, body);
        if (killed && in.eof()) return;
        told& his = dialogs[call_id];
        require(his.numbers.insert(cseq).second,
                "CSeq " + std::to_string(cseq) + " used twice in dialog " + call_id);
        if (event == "presence") his.by_cseq.try_emplace(cseq, last, body.substr(1));
      } else if (kind == "x") {
        in >> call_id;
        ends_in_doubt.insert(call_id);
      } else if (kind == "g") {
        std::uint32_t cseq = 0;
        in >> call_id >> cseq;
        numbers_in_doubt.emplace(call_id, cseq);
      } else if (kind == "end") {
        std::uint64_t* const sums[] = {&requests,  &refused, &conflicts, &statements,
                                       &published, &removed, &expired,   &lost};
        for (std::size_t i = 0; i < 8; ++i) in >> counted[i], *sums[i] += counted[i];
        std::int64_t moment = 0;
        in >> moment;
        looked = std::max(looked, moment);
        return;
      } else {
        std::getline(in, body);
        throw std::runtime_error{kind + body};
      }
    }
    require(killed, "a process did not come to its end");
  }
};

class worker {
 public:
  worker(const settings& given, const soci_settings& database, std::uint64_t seed, shared_clients& publishers,
         shared_clients& watchers, const std::string& file, std::string owner = {}, bool lacks_mail = false)
      : given_{given}, owner_{std::move(owner)}, lacks_mail_{lacks_mail}, random_{seed}, bytes_{seed}, publishers_{publishers},
        watchers_{watchers}, out_{file} {
    auto opened = open_soci_storage(database);
    if (!opened) throw std::runtime_error{opened.error().text};
    rows_ = std::move(*opened);
    losing_.emplace(*rows_, out_);
    options o;
    o.min_expires = seconds{0};
    o.server_address = "sip:server.example.com";
    o.subs_db_mode = 3;
    o.retry_after = seconds{1};
    o.owner_id = owner_;
    o.owner_grace = grace;
    engine_ = std::make_unique<presence::engine>(o, host_hooks{}, &*losing_, &bytes_);
    for (event_package one : {presence_package(), message_summary_package()})
      if (!lacks_mail || one.name == "presence")
        if (auto added = engine_->add_event(std::move(one), wall_clock()); !added)
          throw std::runtime_error{added.error()};
  }

  void run() {
    const instant until = wall_clock() + milliseconds{given_.milliseconds};
    instant next_look{};
    for (instant now = wall_clock(); now < until; now = wall_clock()) {
      if (now >= next_look) {
        losing_->lose_answer(given_.lose && random_() % 20 == 0 ? 1 : 0);
        done(ended(engine_->advance(now), now), now);
        next_look = now + milliseconds{random_() % 300};
      }
      if (random_() % 2 == 0)
        ask(publishers_, [this](client& c, std::size_t n) { publish(c, n); });
      else
        ask(watchers_, [this](client& c, std::size_t n) { subscribe(c, n); });
    }
    const instant looked = wall_clock();
    losing_->lose_answer(0);
    look(looked);  // and what is told late
    finish(looked);
  }

  // What is due, and what the database comes to: resource by resource.
  std::vector<std::string> settle() {
    const instant now = wall_clock();
    look(now);
    std::vector<std::string> states;
    for (unsigned i = 0; i < given_.resources; ++i)
      states.push_back(on_one_line(std::string{engine_->current_state(uri(i), "presence", now).bytes()}));
    finish({});
    return states;
  }

 private:
  void look(instant now) {
    for (int tries = 0;; ++tries) {
      const effects out = ended(engine_->cleanup(now), now);
      done(out, now);
      if (!out.storage_failed) return;
      require(tries < 20, "what is due cannot be done");  // the database may not know yet that somebody was killed
      ::usleep(100'000);
    }
  }

  void finish(instant looked) {
    const auto stats = engine_->stats();
    require(stats.subscriptions == 0 && stats.publications == 0, "something stayed in memory");
    out_ << "end " << requests_ << ' ' << refused_ << ' ' << stats.storage_conflicts << ' '
         << rows_->counters().statements << ' ' << published_ << ' ' << removed_ << ' '
         << stats.expired_publications + losing_->ended << ' ' << losing_->lost << ' ' << looked.time_since_epoch().count()
         << std::endl;
  }

  static std::string on_one_line(std::string text) {
    for (char& c : text)
      if (c == '\n' || c == '\r') c = ' ';
    return text;
  }

  template <class Act>
  void ask(shared_clients& clients, Act act) {
    const std::size_t n = random_() % clients.size();
    client& c = clients[n];
    if (c.busy.exchange(true)) return;
    losing_->lose_answer(given_.lose && random_() % 20 == 0 ? 1 : 0);
    const bool sleeps =
        n % 3 == 0 && c.live && wall_clock() < instant{milliseconds{c.expires + 100}};  // lets its time pass
    if (!sleeps) {
      act(c, n);
      ++requests_;
    }
    c.busy = false;
  }

  // Answers the NOTIFYs, which may bring more of them.
  void done(const effects& out, instant now) {
    for (const notify& n : out.notifies) {
      out_ << "n " << n.dialog.call_id() << ' ' << n.dialog.event() << ' ' << n.cseq << ' '
           << (n.state == subscription_state::terminated) << ' ' << on_one_line(n.body_bytes()) << '\n';
      if (given_.kill) out_ << std::flush;
      done(engine_->report({.id = n.id, .status = 200}, now), now);
    }
  }

  // What time brought: what is another's is left to him for a while.
  effects ended(effects out, instant now) {
    for (const notify& n : out.notifies) {
      if (owner_.empty() || n.state != subscription_state::terminated || n.dialog.event() != "presence") continue;
      const std::string call_id{n.dialog.call_id()};  // c<client>-<life>-r<resource>
      client& c = watchers_[std::stoul(call_id.substr(1))];
      if (n.dialog.owner() == owner_ || c.busy.exchange(true)) continue;
      const auto lives_since = c.life - std::stoul(call_id.substr(call_id.find('-') + 1));
      const instant expires{milliseconds{c.expired[(c.life - lives_since) % c.expired.size()]}};
      c.busy = false;
      require(lives_since >= c.expired.size() || now >= expires + grace, "what is another's was ended");
    }
    return out;
  }

  // 503: nothing happened. `gone`: how it is answered that the time is over.
  bool accepted(const client& c, const effects& out, int gone) {
    const int status = out.answer.status;
    if (status == 200) return true;
    if (status == 503)
      ++refused_;
    else if (status != gone || !c.live)
      out_ << "answered " << status << std::endl;
    else if (wall_clock() < instant{milliseconds{c.expires}})
      out_ << "lost: answered " << status << " before its time was over: " << c.tag << std::endl;
    return false;
  }

  void publish(client& c, std::size_t n) {
    const auto what = c.live ? random_() % 8 : 7;  // 0: remove, to 3: refresh, to 6: change
    if (!c.live) c.resource = static_cast<unsigned>(random_() % given_.resources);
    const std::string body = "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='" + uri(c.resource) +
                             "'><tuple id='p" + std::to_string(n) + "-" + std::to_string(++c.life) +
                             "'><status><basic>open</basic></status></tuple></presence>";
    const auto lost_before = losing_->lost;
    const instant now = wall_clock();
    const effects out = engine_->publish(
        {.resource = uri(c.resource),
         .event = "presence",
         .expires = seconds{c.live && what == 0 ? 0 : 1 + random_() % 4},
         .sip_if_match = c.live ? std::string_view{c.tag} : std::string_view{},
         .content = what > 3 ? content_view{.type = "application/pidf+xml", .bytes = body} : content_view{}},
        now);
    if (accepted(c, out, 412)) {
      published_ += c.live ? 0 : 1;
      removed_ += c.live && what == 0 ? 1 : 0;
      c.live = !c.live || what != 0;
      c.expires = (now + seconds{out.answer.expires.value_or(0)}).time_since_epoch().count();
      c.remember(out.answer.etag);
    } else if (losing_->lost != lost_before) {  // it was made, and what came of it has a tag that he was not told
      published_ += c.live ? 0 : 1;
      removed_ += c.live && what == 0 ? 1 : 0;
      losing_->ended -= c.live && what == 0 ? 1 : 0;
      c.live = false;
    } else if (out.answer.status == 412) {
      c.live = false;
    }
    done(out, now);
  }

  // Every second watcher has a second usage in his dialog, mostly; it begins and ends while the first one lives. One engine
  // lacks its package, and counts on in such dialogs all the same.
  void subscribe(client& c, std::size_t n) {
    const bool two = n % 2 == 0;
    const instant now = wall_clock();
    if (two && c.live && now >= instant{milliseconds{c.expires}}) c.live = false;
    const bool again = two && c.live && !lacks_mail_ && random_() % 2 == 0;
    const bool ends = c.live && random_() % 5 == 0;
    if (!c.live)
      c.resource = static_cast<unsigned>(random_() % given_.resources), ++c.life, c.cseq = 0, c.tag[0] = '\0';
    const std::string call_id =
        "c" + std::to_string(n) + "-" + std::to_string(c.life) + "-r" + std::to_string(c.resource);
    const std::string who = "sip:w" + std::to_string(n) + "@example.com";
    const seconds asked{ends ? 0 : 1 + random_() % 4};
    const auto lost_before = losing_->lost;
    const effects out = engine_->subscribe({.resource = uri(c.resource),
                                            .event = again ? "message-summary" : "presence",
                                            .expires = asked,
                                            .call_id = call_id,
                                            .from_tag = "ft",
                                            .to_tag = c.tag,
                                            .from_uri = who,
                                            .contact = who,
                                            .cseq = ++c.cseq,
                                            .who = {.uri = who}},
                                           now);
    if (again) {
      accepted(c, out, 200);
    } else if (accepted(c, out, 481)) {
      c.live = !ends;
      c.expires = (now + seconds{out.answer.expires.value_or(0)}).time_since_epoch().count();
      c.remember(out.answer.dialog.local_tag());
    } else if (losing_->lost != lost_before) {  // it was made; of a new dialog he was not told the tag
      c.live = c.live && !ends;
      c.expires = (now + asked).time_since_epoch().count();
    } else if (out.answer.status == 481) {
      c.live = false;
    }
    c.expired[c.life % c.expired.size()] = c.expires;
    done(out, now);
  }

  const settings& given_;
  const std::string owner_;
  const bool lacks_mail_;
  std::mt19937_64 random_;
  seeded_random bytes_;
  shared_clients &publishers_, &watchers_;
  std::ofstream out_;
  std::unique_ptr<soci_storage> rows_;
  std::optional<losing_storage> losing_;
  std::unique_ptr<presence::engine> engine_;
  std::uint64_t requests_ = 0, refused_ = 0, published_ = 0, removed_ = 0;
};

// What all of it must come to.
void verify(const account& all, const shared_clients& publishers, const shared_clients& watchers,
            const std::vector<std::string>& states, storage& rows, bool killed) {
  const auto publications = all_rows<publication_row>(rows);
  const auto subscriptions = all_rows<subscription_row>(rows);

  std::map<std::string, instant> by_tag;
  for (const auto& row : publications) by_tag[row.etag] = row.expires;
  const instant now = wall_clock();
  for (std::size_t i = 0; i < publishers.size(); ++i) {
    const client& c = publishers[i];
    const instant expires{milliseconds{c.expires}};
    if (!c.live || expires <= now || c.busy) continue;  // busy: the killed process has not told how it went
    const auto row = by_tag.find(c.tag);
    require(row != by_tag.end(), std::string{"an accepted publication is not there: "} + c.tag);
    require(row->second == expires,
            std::string{"a publication ends at another time than answered: "} + c.tag);
  }
  require(killed || all.published - all.removed - publications.size() == all.expired,
          std::to_string(all.published) + " published, " + std::to_string(all.removed) + " removed, " +
              std::to_string(publications.size()) + " are left, and " + std::to_string(all.expired) +
              " expired");

  std::map<std::string, const subscription_row*> live;
  for (const auto& row : subscriptions)
    if (row.event == "presence") live[std::string{row.dialog.call_id()}] = &row;
  for (const auto& row : subscriptions) {
    const auto told = all.dialogs.find(std::string{row.dialog.call_id()});
    require(told == all.dialogs.end() || row.local_cseq >= *told->second.numbers.rbegin(),
            std::string{row.dialog.call_id()} + ": numbers are used that are not reserved");
  }
  std::size_t untold_ends = 0;
  for (const auto& [call_id, told] : all.dialogs) {
    const std::uint32_t last_cseq = *told.numbers.rbegin();
    if (killed && told.by_cseq.empty()) continue;
    const auto& last = told.by_cseq.rbegin()->second;
    std::size_t ends = 0;
    for (const auto& [cseq, one] : told.by_cseq) ends += one.first ? 1 : 0;
    const auto row = live.find(call_id);
    if (killed && row == live.end() && ends == 0) continue;  // one of those that it did not come to send, see below
    // where another engine has changed all states of a change since, nobody can tell whether it was made
    const bool untold = ends == 0 && row == live.end() && all.ends_in_doubt.count(call_id) != 0;
    untold_ends += untold;
    require(ends == (row == live.end() ? 1 : 0) || untold,
            call_id + " has been told " + std::to_string(ends) + " ends");
    require(ends == 0 || last.first, call_id + " was told something after its end");
    if (row == live.end()) continue;
    if (row->second->expires <= now + seconds{1}) continue;  // he is told the rest with his end (M04)
    if (killed && row->second->local_cseq != last_cseq) continue;
    const unsigned resource = static_cast<unsigned>(std::stoul(call_id.substr(call_id.find("-r") + 2)));
    require(last.second == states[resource], call_id + " was last told (" + std::to_string(last_cseq) +
                                                 ")\n" + last.second + "\nand the database has\n" +
                                                 states[resource]);
  }
  require(killed || 4 * untold_ends <= all.ends_in_doubt.size() + 8,
          std::to_string(untold_ends) + " of " + std::to_string(all.ends_in_doubt.size()) + " ends in doubt were not told");
  for (const auto& [call_id, row] : live)
    require(all.dialogs.count(call_id) != 0 || watchers[std::stoul(call_id.substr(1))].busy, call_id + " was told nothing");
  if (!killed) return;
  // The killed process was in one call, and perhaps owed what one before it had changed without an answer: no more is lost
  // than two calls can send, a NOTIFY to each watcher of a state.
  std::size_t lost = 0;
  for (const auto& [call_id, told] : all.dialogs) {
    const auto row = live.find(call_id);
    const bool lives = row != live.end();
    const std::uint32_t last = lives ? row->second->local_cseq : *told.numbers.rbegin();
    for (std::uint32_t cseq = *told.numbers.begin(); cseq <= last; ++cseq)
      lost += !told.numbers.contains(cseq) && !all.numbers_in_doubt.contains({call_id, cseq});
    if (!lives && !all.ends_in_doubt.contains(call_id)) lost += told.by_cseq.empty() || !told.by_cseq.rbegin()->second.first;
  }
  require(lost <= 2 * watchers.size(), std::to_string(lost) + " NOTIFYs are lost");
}

// What was due when the last one looked has been done, by whoever was left.
void verify_looked(const account& all, storage& rows) {
  std::vector<state_name> due;
  const instant looked{milliseconds{all.looked}};
  const due_filter wanted{.now = looked, .owner = "-", .others = looked - grace};
  require(rows.due(wanted, {"presence"}, 1000, due).has_value(), "the database does not tell what is due");
  require(due.empty(), "nobody has ended what the killed process would have: " + (due.empty() ? "" : due[0].resource));
}

template <class Database>
int walk(const settings& given) {
  const Database database;
  const sqlite_file place;  // its directory is for what the processes write down
  const auto file = [&](unsigned n) { return place.path() + "." + std::to_string(n); };
  try {
    database.open();
    shared_clients publishers{2 * given.resources + 8}, watchers{2 * given.resources + 8};
    std::vector<pid_t> children;
    for (unsigned i = 0; i < given.processes; ++i) {
      children.push_back(::fork());
      if (children.back() != 0) continue;
      try {
        worker{given, database.settings(), given.seed * 1000 + i, publishers, watchers, file(i),
               "engine-" + std::to_string(i), i != 0 && i + 1 == given.processes}.run();
        ::_exit(0);
      } catch (const std::exception& e) {
        std::fprintf(stderr, "process %u: %s\n", i, e.what());
        ::_exit(1);
      }
    }
    if (given.kill) {
      ::usleep(given.milliseconds * 500);
      ::kill(children.front(), SIGKILL);
    }
    bool well = true;
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      const bool killed = given.kill && child == children.front();
      well = well && (killed ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    require(well, "a process failed");
    account all;
    for (unsigned i = 0; i < given.processes; ++i) all.take(file(i), given.kill && i == 0);
    if (given.kill) verify_looked(all, *database.open());
    const auto states = worker{given,    database.settings(),  given.seed * 1000 + 999, publishers,
                               watchers, file(given.processes)}
                            .settle();
    all.take(file(given.processes), false);
    verify(all, publishers, watchers, states, *database.open(), given.kill);
    require(given.processes == 1 || given.resources > 10 || all.conflicts > 0, "no process was ever outrun");
    require(given.milliseconds < 5000 || all.expired > 0, "no publication lapsed");
    std::size_t notifies = 0;
    for (const auto& [call_id, told] : all.dialogs) notifies += told.by_cseq.size();
    std::printf(
        "%s, %u processes, %u resources: %.0f requests/s, %zu NOTIFYs, %llu publications lapsed, %.1f "
        "statements a request, %llu conflicts,"
        " %llu answered 503, %llu answers of the database lost\n",
        given.mode.c_str(), given.processes, given.resources,
        static_cast<double>(all.requests) * 1000 / given.milliseconds, notifies,
        static_cast<unsigned long long>(all.expired),
        static_cast<double>(all.statements) / static_cast<double>(std::max<std::uint64_t>(all.requests, 1)),
        static_cast<unsigned long long>(all.conflicts), static_cast<unsigned long long>(all.refused),
        static_cast<unsigned long long>(all.lost));
    return 0;
  } catch (const std::exception& e) {
    std::printf(
        "FAILED: sharing_walk --mode %s --processes %u --milliseconds %u --resources %u --seed %llu --kill %d\n%s\n",
        given.mode.c_str(), given.processes, given.milliseconds, given.resources,
        static_cast<unsigned long long>(given.seed), given.kill, e.what());
    return 1;
  }
}

int usage(int code) {
  std::puts(
      "sharing_walk [--mode sqlite|postgres|mariadb] [--processes N] [--milliseconds N] [--resources N] "
      "[--seed N] [--kill 0|1] [--lose 0|1]\n"
      "Lets several engines work on one database at once, and looks whether anything is lost or told twice.\n"
      "The servers are those of tests/databases.py.");
  return code;
}

int main_of_walk(int argc, char** argv) {
  settings given;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help" || name == "-h") return usage(0);
    if (i + 1 == argc) return usage(2);
    const std::string value = argv[++i];
    const auto number = std::strtoul(value.c_str(), nullptr, 10);
    if (name == "--mode")
      given.mode = value;
    else if (name == "--seed")
      given.seed = number;
    else if (name == "--kill")
      given.kill = number != 0;
    else if (name == "--lose")
      given.lose = number != 0;
    else if (name == "--processes")
      given.processes = static_cast<unsigned>(number);
    else if (name == "--milliseconds")
      given.milliseconds = static_cast<unsigned>(number);
    else if (name == "--resources" && number != 0)
      given.resources = static_cast<unsigned>(number);
    else
      return usage(2);
  }
  const auto done = on_database(given.mode, [&]<class Database>() { return walk<Database>(given); });
  return done ? *done : usage(2);
}

}  // namespace
}  // namespace presence::test

int main(int argc, char** argv) { return presence::test::main_of_walk(argc, argv); }
