// The same for the SQL storage: makes a database, and opens an engine on it.
#include <cstdio>
#include <presence/presence.hpp>
#include <soci_storage.hpp>
#include <string>

int main(int, char** argv) {
  const presence::soci_settings settings{.db_url = "sqlite://" + std::string{argv[1]}};
  const auto say = [](const std::string& why) { return std::fprintf(stderr, "%s\n", why.c_str()), 1; };
  if (auto made = presence::create_schema(settings); !made) return say(made.error().text);
  auto rows = presence::open_soci_storage(settings);
  if (!rows) return say(rows.error().text);
  presence::engine engine{{}, {}, rows->get()};
  const presence::instant now{};
  if (auto added = engine.add_event(presence::presence_package(), now); !added) return say(added.error());
  return 0;
}
