// Golden flows: every tests/flows/*.flow is played on a fresh engine and must produce exactly what it
// says. A line is a comment (#), a step, or what the step before it produces (`>`, one effect each):
//
//   set <option> <value>        settings, before the first step    rules           watchers are asked about
//   storage memory|fail|works   rows behind the engine             restart         a new engine on the same rows
//   at <seconds>                time goes on; deadlines are met    answers hold    NOTIFYs stay unanswered
//   pub <who> key=value...      exp if-match event body raw type encoding require by sender
//   sub <dialog> key=value...   by to exp event accept contact require route as cseq new unproven
//   options <who>               policy <who> <handling>            before a subscription
//   decide <who> <handling>     a changed rule                     outcome <dialog>#<n> <status>
//   target <dialog>#<n> <uri>   where that NOTIFY goes             fresh           everything anew
//   each <name> <value>...      plays what follows once for each value of $name, to the end
//
// `raw=` takes the rest of the line. A step that produces nothing has no `>`.
#include "scenario.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <presence/memory_storage.hpp>

#include "faulty_storage.hpp"

using namespace presence;
using namespace presence::test;

namespace {

struct line {
  int number = 0;
  std::string text = {};
};

sub_handling handling_named(const std::string& name) {
  for (const auto h : {sub_handling::block, sub_handling::confirm, sub_handling::polite_block, sub_handling::allow})
    if (to_string(h) == name) return h;
  throw std::runtime_error{"no handling: " + name};
}

class player {
 public:
  explicit player(std::string name) : name_{std::move(name)} {}

  void play(std::vector<line> script) {
    for (std::size_t i = 0; i < script.size(); ++i) {
      std::istringstream words{script[i].text};
      std::string verb, variable, value;
      words >> verb;
      if (verb == "each") {
        words >> variable;
        const std::vector<line> rest{script.begin() + static_cast<std::ptrdiff_t>(i) + 1, script.end()};
        while (words >> value) {
          fresh();
          play(replaced(rest, "$" + variable, value));
        }
        return;
      }
      const line step = script[i];
      std::string expected;
      while (i + 1 < script.size() && script[i + 1].text.starts_with("> ")) {
        if (!expected.empty()) expected += " | ";
        expected += script[++i].text.substr(2);
      }
      INFO(name_ << ":" << step.number << ": " << step.text);
      CHECK(run(verb, words) == expected);
      ++steps;
    }
  }

  int steps = 0;

 private:
  static std::vector<line> replaced(std::vector<line> script, const std::string& what, const std::string& with) {
    for (line& l : script)
      for (auto at = l.text.find(what); at != std::string::npos; at = l.text.find(what)) l.text.replace(at, what.size(), with);
    return script;
  }

  void fresh() {
    played_.reset();
    given_ = {};
    faulty_.reset();
    rows_.reset();
  }

  scenario& played() {
    if (!played_) played_ = std::make_unique<scenario>(given_);
    return *played_;
  }

  static std::map<std::string, std::string> arguments(std::istringstream& words) {
    std::map<std::string, std::string> all;
    std::string word;
    while (words >> word) {
      const auto equals = word.find('=');
      const std::string key = word.substr(0, equals);
      std::string value = equals == std::string::npos ? "" : word.substr(equals + 1);
      if (key == "raw") {
        std::string rest;
        std::getline(words, rest);
        value += rest;
      }
      all[key] = value;
    }
    return all;
  }

  std::string run(const std::string& verb, std::istringstream& words) {
    std::string first, second;
    if (verb == "fresh") return fresh(), "";
    if (verb == "rules") return given_.authorized = true, "";
    if (verb == "set") {
      words >> first >> second;
      const auto done = given_.settings.set(first, second);
      return done ? "" : done.error();
    }
    if (verb == "storage") {
      words >> first;
      if (first == "memory") {
        rows_ = std::make_unique<memory_storage>();
        faulty_ = std::make_unique<faulty_storage>(*rows_);
        given_.rows = faulty_.get();
      } else {
        faulty_->fail_all(first == "fail");
      }
      return "";
    }
    if (verb == "restart") return played().restart(), "";
    if (verb == "answers") return words >> first, played().answers = first != "hold", "";
    if (verb == "at") {
      long t = 0;
      words >> t;
      return played().wait_until(seconds{t});
    }
    if (verb == "options") return words >> first, played().options_of(first);
    if (verb == "policy") return words >> first >> second, played().policy[first] = handling_named(second), "";
    if (verb == "decide") return words >> first >> second, played().decide(first, handling_named(second));
    if (verb == "outcome" || verb == "target") {
      words >> first >> second;
      const auto hash = first.find('#');
      const std::string dialog = first.substr(0, hash);
      const int number = std::stoi(first.substr(hash + 1));
      if (verb == "outcome") return played().outcome(dialog, number, std::stoi(second));
      const notify& n = played().dialogs.at(dialog).notifies.at(static_cast<std::size_t>(number - 1));
      return n.dialog.remote_target() == second ? "" : std::string{n.dialog.remote_target()};
    }
    if (verb == "pub") return words >> first, publish(first, arguments(words));
    if (verb == "sub") return words >> first, subscribe(first, arguments(words));
    return "no such step";
  }

  std::string publish(const std::string& who, std::map<std::string, std::string> a) {
    publish_step step;
    if (a.contains("body")) step.body = a["body"];
    if (a.contains("raw")) step.raw = a["raw"];
    if (a.contains("type")) step.type = a["type"];
    if (a.contains("exp")) step.expires = a["exp"].c_str();
    if (a.contains("event")) step.event = a["event"];
    step.if_match = a["if-match"];
    step.encoding = a["encoding"];
    step.require = a["require"];
    step.by = a["by"];
    step.sender = a["sender"];
    return played().publish(who, step);
  }

  std::string subscribe(const std::string& dialog, std::map<std::string, std::string> a) {
    subscribe_step step;
    if (a.contains("by")) step.by = a["by"];
    if (a.contains("to")) step.to = a["to"];
    if (a.contains("exp")) step.expires = a["exp"].c_str();
    if (a.contains("event")) step.event = a["event"];
    if (a.contains("accept")) step.accept = a["accept"];
    if (a.contains("cseq")) step.cseq = static_cast<std::uint32_t>(std::stoul(a["cseq"]));
    step.contact = a["contact"];
    step.require = a["require"];
    step.record_route = a["route"];
    step.as = a["as"];
    step.new_dialog = a.contains("new");
    step.unproven = a.contains("unproven");
    return played().subscribe(dialog, step);
  }

  std::string name_;
  scenario::setup given_ = {};
  std::unique_ptr<memory_storage> rows_;
  std::unique_ptr<faulty_storage> faulty_;
  std::unique_ptr<scenario> played_;
};

std::vector<std::filesystem::path> flows() {
  std::vector<std::filesystem::path> all;
  for (const auto& entry : std::filesystem::directory_iterator{std::filesystem::path{PRESENCE_TEST_DATA} / "flows"})
    if (entry.path().extension() == ".flow") all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

TEST_CASE("every golden flow is played as it is written") {
  const auto all = flows();
  CHECK(all.size() >= 18);
  for (const auto& path : all) {
    std::ifstream file{path};
    std::vector<line> script;
    std::string text;
    bool left_out = false;
    for (int number = 1; std::getline(file, text); ++number) {
      constexpr std::string_view mark = "# not in ";  // the modes, and why
      if (text.starts_with(mark)) left_out = left_out || not_in{std::string_view{text}.substr(mark.size(), text.find(':') - mark.size()), ""}.here();
      const auto begin = text.find_first_not_of(' ');
      if (begin == std::string::npos || text[begin] == '#') continue;
      script.push_back({number, text.substr(begin)});
    }
    if (left_out) continue;
    player one{path.filename().string()};
    one.play(script);
    CAPTURE(path.filename().string());
    CHECK(one.steps > 0);
  }
}
