// The main of test programs with tests on database servers. Those of a server whose URL is not in the
// environment are left out, and it says so; with PRESENCE_TEST_NEEDS_DATABASES set that is a failure.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

int main(int argc, char** argv) {
  doctest::Context context{argc, argv};
  bool missing = false;
  for (const auto& [variable, tests] :
       {std::pair{"PRESENCE_TEST_POSTGRES", "*postgres*"}, std::pair{"PRESENCE_TEST_MARIADB", "*mariadb*"}}) {
    if (std::getenv(variable) != nullptr) continue;
    missing = true;
    context.addFilter("test-case-exclude", tests);
    std::printf(
        "%s is not set: left out are the tests named %s (python3 tests/databases.py COMMAND runs them)\n",
        variable, tests);
  }
  const char* database = std::getenv("PRESENCE_TEST_DATABASE");
  if (database != nullptr && std::getenv(database == std::string_view{"postgres"}  ? "PRESENCE_TEST_POSTGRES"
                                         : database == std::string_view{"mariadb"} ? "PRESENCE_TEST_MARIADB"
                                                                                   : "PRESENCE_TEST_DATABASE") == nullptr)
    return std::getenv("PRESENCE_TEST_NEEDS_DATABASES") != nullptr ? 1 : 77;  // Meson calls that skipped
  const int failed = context.run();
  if (missing && std::getenv("PRESENCE_TEST_NEEDS_DATABASES") != nullptr) {
    std::printf("FAILED: a database is missing, and PRESENCE_TEST_NEEDS_DATABASES is set\n");
    return 1;
  }
  return failed;
}
