/// Memory for objects of one type that have owners of their own (std::unique_ptr): they lie close together, each in as few
/// cache lines as can be, so that going from one to another costs the processor less than with scattered blocks.
///
/// A block knows its pool by its address. Chunks are given back when the pool ends, which outlives its objects.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace presence {

template <class T>
class pool {
 public:
  pool() = default;
  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;

  /// Room for one object; constant time, one allocation per chunk. Throws std::bad_alloc.
  void* take() {
    if (hole* const taken = free_; taken != nullptr) {
      free_ = taken->next;
      return taken;
    }
    if (fresh_ == 0) {
      std::unique_ptr<chunk> made{new chunk{this}};
      chunks_.push_back(std::move(made));
      fresh_ = rooms;
    }
    return chunks_.back()->room[--fresh_];
  }

  /// Gives back what take() gave.
  static void give_back(void* at) noexcept {
    pool& owner = *reinterpret_cast<const chunk*>(reinterpret_cast<std::uintptr_t>(at) & ~(chunk_bytes - 1))->owner;
    owner.free_ = new (at) hole{owner.free_};
  }

 private:
  static constexpr std::uintptr_t chunk_bytes = 1U << 16, line = 64;
  static constexpr std::size_t room_bytes = (sizeof(T) + line - 1) / line * line, rooms = (chunk_bytes - line) / room_bytes;
  struct hole {
    hole* next;
  };
  struct alignas(chunk_bytes) chunk {
    explicit chunk(pool* of) noexcept : owner{of} {}
    pool* owner;
    alignas(line) std::byte room[rooms][room_bytes];
  };

  std::vector<std::unique_ptr<chunk>> chunks_;
  hole* free_ = nullptr;
  std::size_t fresh_ = 0;  // of the last chunk, what was never taken
};

}  // namespace presence
