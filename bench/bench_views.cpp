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

/// `n` checked publications of one presentity.
struct publications {
  explicit publications(std::size_t n, bool through_views = false) {
    const limits bounds;
    for (std::size_t i = 0; i < n; ++i) {
      contents.push_back(body{"application/pidf+xml", pidf_of(resource, static_cast<unsigned>(i))});
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

/// The body of one view on n publications, of which nothing is parsed.
void PF7_one_view(benchmark::State& state) {
  publications p{static_cast<std::size_t>(state.range(0)), true};
  const std::string rules =
      "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:p='urn:ietf:params:xml:ns:pres-rules'><rule id='r'><actions>"
      "<p:sub-handling>allow</p:sub-handling></actions><transformations><p:provide-services><p:all-services/></p:provide-services>"
      "<p:provide-persons><p:all-persons/></p:provide-persons><p:provide-activities>true</p:provide-activities></transformations></rule></ruleset>";
  authorize_by_rules(p.package, [&](std::string_view) { return rules; });
  const identity watcher{.uri = "sip:bob@example.com"};
  const authorization answer = p.package.authorize({.resource = p.resource, .event = "presence", .watcher = watcher, .rules = &rules, .now = start});
  if (!answer.view) std::abort();
  const body whole = p.package.aggregate(p.resource, p.all);
  for (auto _ : state) benchmark::DoNotOptimize(p.package.authorize_body(whole, p.resource, p.all, *answer.view));
}
BENCHMARK(PF7_one_view)->Arg(1)->Arg(8);

/// One PUBLISH to 1 000 watchers who look through K views: what it costs more than with one body is what
/// K bodies cost; the watchers do not count.
void PF7_views(benchmark::State& state) {
  const auto views = static_cast<std::size_t>(state.range(0));
  const std::size_t watchers = scaled(1000);
  engine host{};
  event_package package = presence_package();
  package.req_auth = true;
  const auto rules = [&](std::size_t i) {
    std::string text =
        "<ruleset xmlns='urn:ietf:params:xml:ns:common-policy' xmlns:p='urn:ietf:params:xml:ns:pres-rules'><rule id='r'><actions>"
        "<p:sub-handling>allow</p:sub-handling></actions><transformations><p:provide-services><p:all-services/></p:provide-services>"
        "<p:provide-unknown-attribute ns='n' name='" + std::to_string(i) + "'>true</p:provide-unknown-attribute></transformations></rule></ruleset>";
    return text;
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
    host.publish({.resource = resource, .event = "presence", .sip_if_match = etag, .content = {.type = "application/pidf+xml", .bytes = text}}, start, out);
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
