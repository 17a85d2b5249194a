// The fault sweep: each flow runs once to count its storage calls, then once per call with that call
// failing. A failed call is answered 503 with Retry-After, or the flow did not need it; nothing is half
// done in memory or in the database; the same again then succeeds as if nothing had happened. And once per change that is
// made although its answer is lost, in every mode that writes at once.
#pragma once

#include "all_rows.hpp"
#include "scenario.hpp"

#include <span>

#include "faulty_storage.hpp"
#include "places.hpp"

namespace presence::test {

struct flow {
  const char* name;
  void (*before)(scenario&);
  std::string (*act)(scenario&);
  bool timed = false;  ///< advance() tries again by itself, options::retry_after later
  void (*arrange)(scenario::setup&) = nullptr;  ///< other packages, other options
};

/// Runs what is due now, without moving time.
inline std::string due(scenario& s) {
  std::string all;
  for (bool more = true; more;) {
    const effects out = s.engine->advance(s.at);
    more = out.more;
    const std::string line = s.told(out);
    if (!line.empty()) all += (all.empty() ? "" : " | ") + line;
  }
  return all;
}

/// Everything held, in memory and in the database.
struct picture {
  std::vector<publication_row> publications, stored_publications;
  std::vector<subscription_row> subscriptions, stored_subscriptions;
  std::vector<watcher_row> stored_watchers;
  std::size_t counts[4];
  bool operator==(const picture&) const = default;
};

inline picture look(const scenario& s, storage& rows) {
  picture p;
  p.publications = s.engine->publications({}, 0, 10'000).records;
  p.subscriptions = s.engine->subscriptions({}, 0, 10'000).records;
  p.stored_publications = all_rows<publication_row>(rows);
  p.stored_subscriptions = all_rows<subscription_row>(rows);
  p.stored_watchers = all_rows<watcher_row>(rows);
  const engine_stats now = s.engine->stats();
  p.counts[0] = now.resources;
  p.counts[1] = now.publications;
  p.counts[2] = now.subscriptions;
  p.counts[3] = now.undecided;
  return p;
}

/// Without what may differ: tags are random, numbers may skip.
inline picture essence(picture p) {
  for (auto* all : {&p.publications, &p.stored_publications})
    for (auto& row : *all) {
      row.etag.clear();
      row.id = 0;
    }
  for (auto* all : {&p.subscriptions, &p.stored_subscriptions})
    for (auto& row : *all) {
      dialog_fields fields = row.dialog.fields();
      fields.local_tag = "";
      row.dialog = dialog{fields};
      row.local_cseq = row.remote_cseq = row.version = 0;
    }
  for (auto& row : p.stored_watchers) row.reason.clear();  // an id made of a tag
  return p;
}

template <class Place>
struct run {
  Place place;
  faulty_storage rows{place.rows()};
  scenario s;
  explicit run(const flow& f, void (*keeps)(options&) = nullptr) : s{setup(rows, f, keeps)} {
    f.before(s);
    s.audit();
  }
  static scenario::setup setup(storage& rows, const flow& f, void (*keeps)(options&)) {
    options settings;
    settings.cseq_block = 1;  // every NOTIFY is written down
    scenario::setup made{.settings = settings, .rows = &rows, .authorized = true};
    if (f.arrange != nullptr) f.arrange(made);
    if (keeps != nullptr) keeps(made.settings);
    return made;
  }
  picture look() { return test::look(s, place.rows()); }
};

/// Sweeps all flows; how many faults were made.
template <class Place>
std::size_t sweep(std::span<const flow> flows) {
  std::size_t swept = 0;
  for (const flow& f : flows) {
    const std::string name = f.name;
    CAPTURE(name);
    std::size_t calls = 0;
    std::string expected;
    picture expected_end;
    {
      run<Place> clean{f};
      const std::size_t before = clean.rows.calls();
      if (f.timed) clean.s.at += clean.s.given.settings.retry_after;
      expected = f.act(clean.s);
      calls = clean.rows.calls() - before;
      expected_end = clean.look();
      CHECK(calls < 12);  // statements per request are bounded
    }
    for (const auto fault : {storage_fault::unavailable, storage_fault::conflict}) {
      for (std::size_t nth = 1; nth <= calls; ++nth) {
        CAPTURE(nth);
        const std::string kind = fault == storage_fault::conflict ? "conflict" : "unavailable";
        CAPTURE(kind);
        run<Place> one{f};
        one.s.engine->report({}, one.s.at);  // no outcome: it only learns what time it is
        const picture before = one.look();
        one.rows.fail(nth, fault);
        const std::string got = f.act(one.s);
        const bool failed = one.rows.failed() != 0;
        one.rows.fail(0);
        if (!failed) continue;  // this one counts writes only, and there are fewer
        ++swept;
        one.s.audit();
        const picture after = one.look();
        // a reservation whose row is gone is left out, and the rest is written
        const bool absorbed = fault == storage_fault::conflict && !expected.empty() && (f.timed ? !got.empty() : got == expected);
        if (!absorbed && (essence(after) == essence(before) || got.starts_with("503"))) {
          // refused: no NOTIFY, nothing changed
          const bool silent = got.empty() || got == "503 Retry-After=5";
          CHECK(silent);
          CHECK(after == before);
          if (f.timed) {
            REQUIRE(one.s.engine->next_deadline());
            CHECK(*one.s.engine->next_deadline() > one.s.at);  // no storm
            CHECK(*one.s.engine->next_deadline() <= one.s.at + one.s.given.settings.retry_after);
            CHECK(due(one.s) == "");
            one.s.at += one.s.given.settings.retry_after;
          }
          CHECK(f.act(one.s) == expected);
        } else if (!f.timed) {
          CHECK(got == expected);  // the flow did not need that call
        }
        if (f.timed) due(one.s);
        one.s.audit();
        const picture end = one.look();
        CHECK(essence(end).counts[1] == expected_end.counts[1]);
        CHECK(essence(end).counts[2] == expected_end.counts[2]);
        if (!f.timed) CHECK(essence(end) == essence(expected_end));
      }
    }
  }
  return swept;
}

struct way {
  const char* name;
  void (*keeps)(options&);
};
constexpr way ways[] = {{"write-through", [](options&) {}},
                        {"fallback2db", [](options& o) { o.fallback2db = true; }},
                        {"memory for one state", [](options& o) { o.fallback2db = true, o.cache_states = 1; }},
                        {"database only", [](options& o) { o.subs_db_mode = 3; }}};

/// Loses the answer to each change of each flow; how many.
template <class Place>
std::size_t sweep_unanswered(std::span<const flow> flows) {
  std::size_t swept = 0;
  const auto timeless = [](std::string line) {  // the numbers of watcher information: it was made then
    for (auto at = line.find(':'); at != std::string::npos; at = line.find(':', at + 1))
      line.erase(at + 1, std::min(line.find_first_not_of("0123456789", at + 1), line.size()) - at - 1);
    return line;
  };
  const auto join = [](const std::string& a, const std::string& b) { return a.empty() || b.empty() ? a + b : a + " | " + b; };
  for (const flow& f : flows) {
    for (const way& w : ways) {
      const std::string name = f.name, mode = w.name;
      CAPTURE(name);
      CAPTURE(mode);
      run<Place> clean{f, w.keeps};
      const seconds pause = clean.s.given.settings.retry_after;
      const std::size_t before_it = clean.rows.writes();
      if (f.timed) clean.s.at += pause;
      const std::string expected = f.act(clean.s);
      const std::size_t writes = clean.rows.writes() - before_it;
      const picture expected_end = essence(clean.look());
      for (std::size_t nth = 1; nth <= writes; ++nth) {
        CAPTURE(nth);
        run<Place> one{f, w.keeps};
        one.s.engine->report({}, one.s.at);
        const picture before = one.look();
        one.rows.lose_answer(nth);
        const std::string got = f.act(one.s);
        if (one.rows.failed() == 0) continue;  // this one counts sweeps, too
        ++swept;
        one.s.audit();
        REQUIRE(one.s.engine->next_deadline());
        CHECK(*one.s.engine->next_deadline() > one.s.at);
        if (f.timed) one.s.at += pause;
        else CHECK((got.empty() || got == "503 Retry-After=5"));
        if (one.s.given.settings.subs_db_mode == 3) {  // it was made, and what it tells is told when that is known
          const std::string next = f.timed ? "" : one.s.publish("nobody", {.if_match = "none"});  // the next call finds out
          const std::string late = f.timed ? due(one.s) : next.substr(std::min(next.size(), std::string_view{"412 | "}.size()));
          const std::string answer = f.timed ? got : expected.substr(0, expected[0] == 'N' ? 0 : expected.find(" | "));
          const std::string told = join(answer, late);
          CHECK((f.timed ? timeless(told) : told) == (f.timed ? timeless(expected) : expected));
        } else {
          if (w.name == ways[0].name) CHECK(std::equal(std::begin(before.counts), std::end(before.counts), one.look().counts));
          CHECK(join(f.timed ? got : "", f.act(one.s)) == expected);  // at once
        }
        one.s.audit();
        picture end = essence(one.look());
        if (f.timed && one.s.given.settings.subs_db_mode == 3)  // it was made then
          for (std::size_t i = 0; i < std::min(end.stored_watchers.size(), expected_end.stored_watchers.size()); ++i)
            end.stored_watchers[i].since = expected_end.stored_watchers[i].since;
        CHECK(end == expected_end);
      }
    }
  }
  return swept;
}

}  // namespace presence::test
