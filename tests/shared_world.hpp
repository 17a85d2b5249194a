/// One world of peers, two engines on one storage (subs_db_mode 3); `on` says which of them is asked next.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>

#include <presence/memory_storage.hpp>

#include "faulty_storage.hpp"
#include "scenario.hpp"

namespace presence::test {

struct shared_world : scenario {
  memory_storage rows;
  racing_storage first{rows}, second{rows};
  std::unique_ptr<presence::engine> other;
  int current = 1;
  /// `owners`: the engines' names (options::owner_id).
  explicit shared_world(setup s = {}, std::array<std::string, 2> owners = {}) : scenario{in_this_mode(std::move(s))} {
    given.rows = &second;
    given.settings.owner_id = owners[1];
    restart();
    other = std::move(engine);
    given.rows = &first;
    given.settings.owner_id = owners[0];
    restart();
  }
  static setup in_this_mode(setup s) {
    s.settings.subs_db_mode = 3;
    return s;
  }
  shared_world& on(int which) {
    if (which != current) std::swap(engine, other);
    current = which;
    CHECK(engine->stats().resources == 0);
    CHECK(engine->stats().subscriptions == 0);
    return *this;
  }
};

}  // namespace presence::test
