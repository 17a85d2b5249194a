// A change that the storage did not refuse and did not answer for, and what would have been told with it.
#pragma once

#include <string>
#include <vector>

#include <presence/effects.hpp>
#include <presence/storage.hpp>
#include <presence/time.hpp>

#include "sent.hpp"

namespace presence {

struct unanswered_change {
  change rows;      ///< may have been made, and is not in memory; the next change waits for it
  instant since;
  std::string why;  ///< it is still unanswered
  struct late_notify {
    notify told;
    sent to;
  };
  std::vector<late_notify> notifies = {};  ///< with subs_db_mode 3
};

}  // namespace presence
