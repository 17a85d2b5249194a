/// Objects of one type in chunks of fixed size: an object never moves, is found by a small number,
/// and a number that was given back is not mistaken for its successor (generation).
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace presence {

template <class T>
class slab {
 public:
  using index = std::uint32_t;
  static constexpr index none = 0xffffffff;

  slab() = default;
  slab(const slab&) = delete;
  slab& operator=(const slab&) = delete;
  ~slab() {
    for (index i = 0; i < end_; ++i)
      if (at(i).live()) at(i).object.~T();
  }

  /// Makes an object; constant time, one allocation per chunk. Throws std::bad_alloc.
  template <class... Args>
  index make(Args&&... args) {
    index i = free_;
    if (i == none) {
      if (end_ % chunk_size == 0) chunks_.push_back(std::make_unique<chunk>());
      i = end_;
    }
    cell& c = at(i);
    const index next_free = c.next;
    new (&c.object) T(std::forward<Args>(args)...);
    if (i == end_) {
      ++end_;
    } else {
      free_ = next_free;
    }
    ++c.generation;  // odd: live
    ++size_;
    return i;
  }

  /// Precondition of these: `i` is live.
  T& operator[](index i) noexcept { return at(i).object; }
  const T& operator[](index i) const noexcept { return at(i).object; }
  std::uint32_t generation(index i) const noexcept { return at(i).generation; }
  void destroy(index i) noexcept {
    cell& c = at(i);
    assert(c.live());
    c.object.~T();
    ++c.generation;
    c.next = free_;
    free_ = i;
    --size_;
  }

  /// The object `i` named when its generation was `generation`; null when that one is gone.
  T* find(index i, std::uint32_t generation) noexcept {
    return i < end_ && at(i).live() && at(i).generation == generation ? &at(i).object : nullptr;
  }

  bool live(index i) const noexcept { return i < end_ && at(i).live(); }
  std::size_t size() const noexcept { return size_; }
  /// One past the highest number in use so far: for paging and audits.
  index end() const noexcept { return end_; }

  void prefetch(index i) const noexcept { prefetch(&at(i).object); }
  static void prefetch(const T* object) noexcept {
    const char* p = reinterpret_cast<const char*>(object);
    for (std::size_t at = 0; at < sizeof(T); at += line) __builtin_prefetch(p + at, 1);
    if constexpr (alignment() < line) __builtin_prefetch(p + sizeof(T), 1);  // it may end one line later
  }

 private:
  static constexpr index chunk_size = 1024;
  static constexpr std::size_t line = 64;
  /// Whole cache lines, where that costs little, so that an object lies in as few as can be.
  static constexpr std::size_t alignment() noexcept {
    constexpr std::size_t size = sizeof(T) + 2 * sizeof(index);
    constexpr std::size_t own = alignof(T) > 8 ? alignof(T) : 8;
    return own < line && (line - size % line) % line <= size / 8 ? line : own;
  }
  struct alignas(alignment()) cell {
    cell() noexcept {}
    ~cell() {}
    bool live() const noexcept { return (generation & 1) != 0; }
    union {
      T object;
    };
    std::uint32_t generation = 0;
    index next = none;
  };
  struct chunk {
    cell cells[chunk_size];
  };
  cell& at(index i) noexcept { return chunks_[i / chunk_size]->cells[i % chunk_size]; }
  const cell& at(index i) const noexcept { return chunks_[i / chunk_size]->cells[i % chunk_size]; }

  std::vector<std::unique_ptr<chunk>> chunks_;
  index free_ = none;
  index end_ = 0;
  std::size_t size_ = 0;
};

}  // namespace presence
