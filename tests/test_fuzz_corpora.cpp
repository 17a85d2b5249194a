// The corpora of the fuzz targets, as they are and damaged (PROP-11, D2-22).
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "fuzz_parsers.hpp"

namespace presence::test {

TEST_CASE("damaged rules, dialog-info and message-summary documents break no invariant (PROP-11, Q05, RL4)") {
  namespace fs = std::filesystem;
  struct target {
    const char* corpus;
    void (*run)(std::string_view);
    int rounds;
  };
  std::mt19937 random{7};
  for (const target& t : {target{"rules", fuzz_rules, 1000}, {"dialog", fuzz_dialog, 250}, {"dialog", fuzz_line, 250}, {"message-summary", fuzz_messages, 1000}}) {
    std::size_t files = 0;
    for (const auto& entry : fs::directory_iterator{fs::path{PRESENCE_TEST_DATA} / "corpus" / t.corpus}) {
      std::ifstream in{entry.path(), std::ios::binary};
      const std::string bytes{std::istreambuf_iterator<char>{in}, {}};
      REQUIRE(!bytes.empty());
      ++files;
      t.run(bytes);
      for (int round = 0; round < t.rounds; ++round) {
        std::string damaged = bytes;
        for (int edits = 0; edits < 2 && !damaged.empty(); ++edits) {
          const std::size_t at = random() % damaged.size();
          switch (random() % 3) {
            case 0: damaged.erase(at, 1 + random() % 4); break;
            case 1: damaged.insert(at, damaged.substr(random() % damaged.size(), random() % 40)); break;
            default: damaged[at] = static_cast<char>(random()); break;
          }
        }
        t.run(damaged);
      }
    }
    CHECK(files >= 3);
  }
}

}  // namespace presence::test
