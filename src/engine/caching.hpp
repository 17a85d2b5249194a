// What of the states in memory is used, and which of them go when there is no room (docs/cache-policies.md). A state,
// one resource's publications and watchers in one package, is what is read from the storage and dropped as a whole.
// Policies know nothing of it, and this knows no protocol: whether a state may go now is the engine's word.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <presence/cache/fifo.hpp>
#include <presence/options.hpp>
#include <presence/state_table.hpp>
#include <presence/trace.hpp>

namespace presence {

class caching final : public state_listener {
 public:
  using sink = std::function<void(const traced_access&)>;

  /// Without bounds: everything stays, and is only told to `trace`.
  caching(const options& settings, bool bounded, sink trace, state_table& table);

  /// A call uses a state; the first of the enumerators told for it is what it was used for. Whether it is used for
  /// the first time in this call.
  bool uses(event_state& state, traced_operation as) noexcept;
  /// The call is over: what it used is told to the policy and to the sink.
  void settle(instant now) noexcept;

  bool bounded() const noexcept { return policy_ != nullptr; }
  bool over() const noexcept { return policy_ && (held_ > most_states_ || bytes_ > most_bytes_); }
  /// Who should go; null: nobody. `waiting`: of those set aside, if there are any.
  event_state* candidate(bool waiting) noexcept;
  /// He cannot go now: he is asked again later, and is out of the policy's way until then, or until he is used.
  void set_aside(event_state& state) noexcept;
  /// The state is about to be dropped from memory; the storage has it.
  void forget(event_state& state) noexcept;

  /// The state was read from the storage, and nobody knows what its watchers saw of it; until all are told.
  void has_read(const event_state& state) noexcept { set_read(state, true); }
  void told_all(const event_state& state) noexcept { set_read(state, false); }
  bool was_read(const event_state& state) const noexcept { return state.self < entries_.size() && entries_[state.self].read; }

  /// The subscription that was last found to keep the state in memory: a number that may be used by another one since.
  slab<subscription>::index& kept_by(const event_state& state) noexcept { return entries_[state.self].kept_by; }

  void made(event_state& state) noexcept override { uses(state, traced_operation::read); }
  void gone(event_state& state) noexcept override;

  std::size_t bytes() const noexcept { return bytes_; }
  /// An audit, linear.
  std::optional<std::string> check() const;

 private:
  enum class place : std::uint8_t { nowhere, policy, aside };
  struct entry : cache::node {
    slab<event_state>::index state = 0;
    place at = place::nowhere;
    bool known = false;  ///< of a call before
    bool used = false;   ///< by this one
    bool read = false;
    traced_operation as = traced_operation::read;
    slab<subscription>::index kept_by = slab<subscription>::none;
  };
  void set_read(const event_state& state, bool read) noexcept {
    if (state.self < entries_.size()) entries_[state.self].read = read;
  }
  void release(entry& e) noexcept;
  void tell(instant now, traced_operation what, std::uint64_t key, std::uint32_t bytes) noexcept;

  state_table& table_;
  sink trace_;
  std::deque<entry> entries_;  ///< by the number of the state; never moved
  std::unique_ptr<cache::policy> policy_;
  cache::fifo aside_;
  std::size_t most_states_, most_bytes_;
  std::size_t held_ = 0, bytes_ = 0;
  std::vector<slab<event_state>::index> used_;
  struct ended {
    std::uint64_t key;
    std::uint32_t bytes;
  };
  std::vector<ended> ended_;
};

/// Bytes a state takes in memory: its bodies and strings, and a fixed number for each row.
std::uint32_t cost_of(const event_state& state, const slab<subscription>& all) noexcept;

}  // namespace presence
