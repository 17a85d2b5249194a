// Composition and views (PF7): merging the documents of several publications beside the checked parse of
// the same documents, and what a change costs whose watchers look through several views. Sizes can be cut
// with the environment variable PRESENCE_BENCH_SCALE.
// rows: PF7
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <presence/presence.hpp>
#include <presence/rules.hpp>

#include "common.hpp"
#include "xml.hpp"

namespace {

using namespace presence;
using namespace presence::bench;

/// A document with `tuples` services, half of them of class work, and a person with RPID and notes.
std::string large_pidf(const std::string& entity, std::size_t tuples) {
  std::string text = "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:d='urn:ietf:params:xml:ns:pidf:data-model' "
                     "xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='" + entity + "'>";
  for (std::size_t i = 0; i < tuples; ++i) {
    const std::string n = std::to_string(i);
    text += "<tuple id='t" + n + "'><status><basic>open</basic></status><r:class>" + (i % 2 == 0 ? "work" : "home") +
            "</r:class><contact>sip:u" + n + "@phone.example.com</contact><note>note " + n + "</note></tuple>";
  }
  return text + "<d:person id='p'><r:activities><r:note>till noon</r:note><r:busy/></r:activities>"
                "<r:mood><r:happy/></r:mood></d:person></presence>";
}

/// A rules document that allows, with these transformations.
std::string rules_with(const std::string& transformations) {
  return "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:p='urn:ietf:params:xml:ns:pres-rules'><rule id='r'>"
         "<actions><p:sub-handling>allow</p:sub-handling></actions><transformations>" +
         transformations + "</transformations></rule></ruleset>";
}

/// `n` checked publications of one presentity; of `tuples` services each, if that is not 0.
struct publications {
  explicit publications(std::size_t n, bool through_views = false, std::size_t tuples = 0) {
    const limits bounds;
    for (std::size_t i = 0; i < n; ++i) {
      contents.push_back(
          body{"application/pidf+xml", tuples != 0 ? large_pidf(resource, tuples) : pidf_of(resource, static_cast<unsigned>(i))});
      auto checked = package.check_publish({resource, contents.back(), {}, bounds, nullptr, through_views});
      if (!checked) std::abort();
      parsed.push_back(*checked);
    }
    for (std::size_t i = 0; i < n; ++i) {
      all.push_back({.etag = "tag", .content = contents[i], .parsed = parsed[i].get(), .sender = {}, .id = i + 1,
                     .since = {}, .arrival = i + 1, .leaving = false});
    }
  }
  std::string resource = presentity(1);
  event_package package = presence_package();
  std::vector<body> contents;
  std::vector<presence::document> parsed;
  std::vector<published> all;
};

void PF7_merge(benchmark::State& state) {
  const publications p{static_cast<std::size_t>(state.range(0))};
  for (auto _ : state) benchmark::DoNotOptimize(p.package.aggregate(p.resource, p.all));
}
BENCHMARK(PF7_merge)->Arg(1)->Arg(2)->Arg(4)->Arg(8);

void PF7_floor_checked_parse(benchmark::State& state) {
  const publications p{static_cast<std::size_t>(state.range(0))};
  const limits bounds;
  xml::parser parser;
  for (auto _ : state) {
    for (const body& one : p.contents)
      if (!parser.parse(one.bytes(), bounds)) std::abort();
  }
}
BENCHMARK(PF7_floor_checked_parse)->Arg(1)->Arg(2)->Arg(4)->Arg(8);

/// The body of one view on the publications, of which nothing is parsed.
void show(benchmark::State& state, publications& p, const std::string& rules) {
  authorize_by_rules(p.package, [&](std::string_view) { return rules; });
  const identity watcher{.uri = "sip:bob@example.com"};
  const authorization answer =
      p.package.authorize({.resource = p.resource, .event = "presence", .watcher = watcher, .rules = &rules, .now = start});
  if (!answer.view) std::abort();
  const body whole = p.package.aggregate(p.resource, p.all);
  for (auto _ : state) benchmark::DoNotOptimize(p.package.authorize_body(whole, p.resource, p.all, *answer.view));
}

void PF7_one_view(benchmark::State& state) {
  publications p{static_cast<std::size_t>(state.range(0)), true};
  show(state, p, rules_with("<p:provide-services><p:all-services/></p:provide-services>"
                            "<p:provide-persons><p:all-persons/></p:provide-persons>"
                            "<p:provide-activities>true</p:provide-activities>"));
}
BENCHMARK(PF7_one_view)->Arg(1)->Arg(8);

/// The same where services are chosen from lists of so many addresses, and of as many ids.
void PF7_one_view_by_lists(benchmark::State& state) {
  publications p{8, true, 4};
  std::string lists;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    const std::string n = std::to_string(i);
    lists += "<p:service-uri>sip:u" + n + "@phone.example.com</p:service-uri><p:occurrence-id>other" + n + "</p:occurrence-id>";
  }
  show(state, p, rules_with("<p:provide-services>" + lists + "</p:provide-services><p:provide-note>true</p:provide-note>"));
}
BENCHMARK(PF7_one_view_by_lists)->Arg(1)->Arg(10)->Arg(32);  // ruleset::most_service_uris

/// A large document: made the state, and shown in part.
void PF7_merge_large(benchmark::State& state) {
  const publications p{2, false, static_cast<std::size_t>(state.range(0))};
  for (auto _ : state) benchmark::DoNotOptimize(p.package.aggregate(p.resource, p.all));
  state.counters["bytes"] = static_cast<double>(p.package.aggregate(p.resource, p.all).bytes().size());
}
BENCHMARK(PF7_merge_large)->Arg(16)->Arg(128);

void PF7_one_view_large(benchmark::State& state) {
  publications p{2, true, static_cast<std::size_t>(state.range(0))};
  show(state, p, rules_with("<p:provide-services><p:class>work</p:class></p:provide-services>"
                            "<p:provide-persons><p:all-persons/></p:provide-persons>"
                            "<p:provide-activities>true</p:provide-activities>"));
}
BENCHMARK(PF7_one_view_large)->Arg(16)->Arg(128);

void PF7_floor_checked_parse_large(benchmark::State& state) {
  const publications p{2, false, static_cast<std::size_t>(state.range(0))};
  const limits bounds;
  xml::parser parser;
  for (auto _ : state) {
    for (const body& one : p.contents)
      if (!parser.parse(one.bytes(), bounds)) std::abort();
  }
}
BENCHMARK(PF7_floor_checked_parse_large)->Arg(16)->Arg(128);

/// One PUBLISH to 1 000 watchers who look through K views: what it costs more than with one body is what
/// K bodies cost; the watchers do not count.
void PF7_views(benchmark::State& state) {
  const auto views = static_cast<std::size_t>(state.range(0));
  const std::size_t watchers = scaled(1000);
  engine host{};
  event_package package = presence_package();
  package.req_auth = true;
  const auto rules = [&](std::size_t i) {
    return rules_with("<p:provide-services><p:all-services/></p:provide-services><p:provide-unknown-attribute ns='n' name='" +
                      std::to_string(i) + "'>true</p:provide-unknown-attribute>");
  };
  std::size_t turn = 0;
  authorize_by_rules(package, [&](std::string_view) { return std::optional{rules(turn % views)}; });
  if (!host.add_event(package, start)) std::abort();
  const std::string resource = presentity(1);
  effects out;
  unsigned version = 0;
  std::string etag;
  const auto publish = [&] {
    const std::string text = pidf_of(resource, ++version);
    host.publish({.resource = resource,
                  .event = "presence",
                  .sip_if_match = etag,
                  .content = {.type = "application/pidf+xml", .bytes = text}},
                 start, out);
    if (out.answer.status != 200) std::abort();
    etag = out.answer.etag;
  };
  const auto answer = [&] {
    const std::vector<notify> sent = out.notifies;
    for (const notify& n : sent) host.report({.id = n.id, .status = 200}, start, out);
  };
  publish();
  for (turn = 0; turn < watchers; ++turn) {
    const std::string call = "call" + std::to_string(turn), who = "sip:w" + std::to_string(turn) + "@example.com";
    host.subscribe({.resource = resource, .event = "presence", .call_id = call, .from_tag = "t", .from_uri = who,
                    .contact = who, .cseq = 1, .who = {.uri = who}}, start, out);
    if (out.answer.status != 200) std::abort();
    answer();
  }
  std::set<const char*> bodies;
  for (auto _ : state) {
    publish();
    state.PauseTiming();
    if (bodies.empty())
      for (const notify& n : out.notifies) bodies.insert(n.content.bytes().data());
    answer();
    state.ResumeTiming();
  }
  state.counters["bodies"] = static_cast<double>(bodies.size());
  state.counters["watchers"] = static_cast<double>(watchers);
}
BENCHMARK(PF7_views)->Arg(1)->Arg(4)->Arg(16);

}  // namespace

BENCHMARK_MAIN();
