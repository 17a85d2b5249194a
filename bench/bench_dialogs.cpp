// Busy lamps of a busy switchboard (PF7): one dialog of many changes, one watcher is told; the full way through
// engine::publish, beside the checked parse of the document that came.
// rows: PF7
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include <presence/presence.hpp>

#include "common.hpp"
#include "xml.hpp"

namespace {

using namespace presence;
using namespace presence::bench;

/// `dialogs` calls of one phone, all confirmed but the first, which is whatever `version` makes it.
std::string dialog_info_of(const std::string& entity, std::size_t phone, std::size_t dialogs, unsigned version) {
  std::string text = "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='" + std::to_string(version) +
                     "' state='full' entity='" + entity + "'>";
  for (std::size_t i = 0; i < dialogs; ++i) {
    const std::string n = std::to_string(phone) + "." + std::to_string(i);
    text += "<dialog id='d" + n + "' call-id='c" + n + "@host' local-tag='l" + n + "' remote-tag='r" + n +
            "' direction='recipient'><state>" + (i == 0 && version % 2 != 0 ? "early" : "confirmed") +
            "</state><remote><identity>sip:caller" + n + "@example.com</identity></remote></dialog>";
  }
  return text + "</dialog-info>";
}

/// range(0) phones with range(1) dialogs each; partial documents or full ones.
void change_of_one(benchmark::State& state, bool partial) {
  const auto phones = static_cast<std::size_t>(state.range(0)), dialogs = static_cast<std::size_t>(state.range(1));
  engine host{};
  if (!host.add_event(dialog_package({.strangers = dialog_options::shown::everything, .partial = partial}), start)) std::abort();
  const std::string line = presentity(1);
  effects out, reported;
  unsigned version = 0;
  std::vector<std::string> tags(phones);
  const auto publish = [&](std::size_t phone) {
    const std::string text = dialog_info_of(line, phone, dialogs, ++version), tag = tags[phone];
    host.publish({.resource = line, .event = "dialog", .expires = seconds{3600}, .sip_if_match = tag,
                  .content = {.type = "application/dialog-info+xml", .bytes = text}}, start, out);
    if (out.answer.status != 200) std::abort();
    tags[phone] = out.answer.etag;
    answer_all(host, start, out, reported);
  };
  for (std::size_t i = 0; i < phones; ++i) publish(i);
  host.subscribe({.resource = line, .event = "dialog", .call_id = "call", .from_tag = "t", .from_uri = "sip:lamp@example.com",
                  .contact = "sip:lamp@192.0.2.1", .cseq = 1, .who = {.uri = "sip:lamp@example.com"}}, start, out);
  if (out.answer.status != 200) std::abort();
  answer_all(host, start, out, reported);
  std::size_t told = 0, changes = 0;
  for (auto _ : state) {
    publish(0);
    told += out.notifies.size();
    ++changes;
  }
  if (told != changes) state.SkipWithError("a change was not told");
}

void PF7_dialogs_full(benchmark::State& state) { change_of_one(state, false); }
BENCHMARK(PF7_dialogs_full)->Args({1, 1})->Args({1, 200})->Args({15, 40})->Args({15, 200});

void PF7_dialogs_partial(benchmark::State& state) { change_of_one(state, true); }
BENCHMARK(PF7_dialogs_partial)->Args({1, 1})->Args({1, 200})->Args({15, 40})->Args({15, 200});

void PF7_floor_dialogs_parse(benchmark::State& state) {
  const std::string text = dialog_info_of(presentity(1), 0, static_cast<std::size_t>(state.range(0)), 1);
  const limits bounds;
  xml::parser parser;
  for (auto _ : state)
    if (!parser.parse(text, bounds)) std::abort();
}
BENCHMARK(PF7_floor_dialogs_parse)->Arg(1)->Arg(40)->Arg(200);

}  // namespace

BENCHMARK_MAIN();
