// A subscription by its dialog: its key in the storage, who its peer is, where its NOTIFYs go.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include <presence/state_table.hpp>
#include <presence/storage.hpp>

namespace presence {

subscription_key key_of(const subscription& s);
identity identity_of(std::string_view watcher, bool proven, std::string_view also = {});
inline identity identity_of(const subscription& s) {
  return identity_of(s.watcher->uri(), s.dialog.proven(), s.dialog.also());
}

/// Where a dialog's NOTIFYs go from now on: put in place for all its usages while NOTIFYs are
/// planned, and taken back unless it is kept.
struct retargeting {
  std::vector<std::pair<subscription*, presence::dialog>> before;
  bool kept = false;
  ~retargeting() {
    if (kept) return;
    for (auto& [s, old] : before) s->dialog = old;
  }
};

}  // namespace presence
