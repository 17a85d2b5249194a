/// An immutable document with its media type, shared by everything that carries it.
/// A body is made once (published, or composed for a change of state) and then only referred to:
/// a NOTIFY to a thousand watchers costs a thousand reference counts and no copy (N23).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string_view>
#include <utility>

namespace presence {

class parsed_document;  // event_package.hpp

/// Asks for memory that will be written soon, be there any or not; not for more of it than arrives in the meantime.
inline void prefetch_lines(const void* from, std::size_t bytes) noexcept {
  constexpr std::size_t line = 64, most = 1024;
  const auto begin = reinterpret_cast<std::uintptr_t>(from);
  for (std::size_t at = 0; at < std::min(bytes, most); at += line)
    __builtin_prefetch(reinterpret_cast<const void*>(begin + at), 1);
}

class body {
 public:
  /// No body at all: no Content-Type, no bytes.
  body() noexcept = default;

  /// Copies type and bytes, at most 4 GiB, into one shared block. `bytes` may hold anything, NUL included (P50).
  /// `digest` identifies the *meaning* of the document: two bodies of one type with equal non-zero
  /// digests say the same to a watcher, whatever their spelling (CMP-12). Zero: compare the bytes.
  body(std::string_view content_type, std::string_view bytes, std::uint64_t digest = 0)
      : body{content_type, bytes, digest, no_version} {}

  /// A document that carries a version of its own for each watcher (RFC 3858, 4235): the number goes
  /// in at `version_at` when it is sent, so that all watchers still share these bytes (N24).
  /// `outline`: see outline().
  static body versioned(std::string_view content_type, std::string_view bytes, std::size_t version_at,
                        std::uint64_t digest = 0, std::shared_ptr<const parsed_document> outline = {}) {
    return body{content_type, bytes, digest, static_cast<std::uint32_t>(std::min(version_at, bytes.size())), std::move(outline)};
  }

  body(const body& other) noexcept : block_{other.block_} {
    if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  body(body&& other) noexcept : block_{std::exchange(other.block_, nullptr)} {}
  // two overloads: Clang 14 forgets to destroy a by-value operand made by `x = {}` in a template
  body& operator=(const body& other) noexcept { return *this = body{other}; }
  body& operator=(body&& other) noexcept {
    body taken{std::move(other)};
    std::swap(block_, taken.block_);
    return *this;
  }
  ~body() {
    if (block_ != nullptr && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      if (block_->outlined) block_->outline().~shared_ptr();
      block_->~block();
      ::operator delete(block_);
    }
  }

  explicit operator bool() const noexcept { return block_ != nullptr; }

  /// Views of the shared text; they live as long as any copy of this body.
  std::string_view content_type() const noexcept {
    return block_ != nullptr ? std::string_view{block_->text(), block_->type_size} : std::string_view{};
  }
  std::string_view bytes() const noexcept {
    return block_ != nullptr ? std::string_view{block_->text() + block_->type_size, block_->size}
                             : std::string_view{};
  }
  std::uint64_t digest() const noexcept {
    return block_ != nullptr ? block_->digest.load(std::memory_order_relaxed) : 0;
  }
  /// Tells the digest of a document whose meaning is found out after it was made; every copy has it then.
  /// Precondition: there is a document.
  void set_digest(std::uint64_t digest) noexcept { block_->digest.store(digest, std::memory_order_relaxed); }
  /// Where the version number belongs; absent: these bytes are the whole document.
  std::optional<std::size_t> version_at() const noexcept {
    if (block_ == nullptr || block_->version_at == no_version) return std::nullopt;
    return block_->version_at;
  }

  /// What the package that composed it knows of it (event_package::difference), so that it is not parsed;
  /// null: nothing. Lives as long as any copy of this body.
  const parsed_document* outline() const noexcept {
    return block_ != nullptr && block_->outlined ? block_->outline().get() : nullptr;
  }

  /// Asks for the shared block, which will be needed soon, and for so many bytes of what is in it.
  void prefetch(std::size_t bytes = 0) const noexcept { prefetch_lines(block_, sizeof(block) + bytes); }

  /// Whether a watcher who has `a` would learn nothing from `b` (EVT-4.2.2-15).
  friend bool same_meaning(const body& a, const body& b) noexcept {
    if (a.block_ == b.block_) return true;
    if (!a || !b || a.content_type() != b.content_type()) return false;
    return (a.digest() != 0 && a.digest() == b.digest()) || a.bytes() == b.bytes();
  }

  /// Equality is by content: type and bytes.
  friend bool operator==(const body& a, const body& b) noexcept {
    return a.block_ == b.block_ ||
           (a && b && a.version_at() == b.version_at() && a.content_type() == b.content_type() &&
            a.bytes() == b.bytes());
  }

 private:
  static constexpr std::uint32_t no_version = ~std::uint32_t{0};
  using outline_pointer = std::shared_ptr<const parsed_document>;
  struct block {
    std::atomic<std::uint32_t> references;
    std::uint32_t type_size : 31;
    std::uint32_t outlined : 1;
    std::uint32_t size;
    std::uint32_t version_at;
    std::atomic<std::uint64_t> digest;
    // the outline, if there is one, the type and the bytes follow
    outline_pointer& outline() noexcept { return *reinterpret_cast<outline_pointer*>(this + 1); }
    char* text() noexcept { return reinterpret_cast<char*>(this + 1) + (outlined ? sizeof(outline_pointer) : 0); }
  };

  body(std::string_view content_type, std::string_view bytes, std::uint64_t digest, std::uint32_t version_at,
       outline_pointer outline = {})
      : block_{new (::operator new(sizeof(block) + (outline ? sizeof outline : 0) + content_type.size() + bytes.size()))
                   block{{1}, static_cast<std::uint32_t>(content_type.size()) & 0x7fffffffU, outline != nullptr ? 1U : 0U,
                         static_cast<std::uint32_t>(bytes.size()), version_at, digest}} {
    if (outline) new (block_ + 1) outline_pointer{std::move(outline)};
    if (!content_type.empty()) std::memcpy(block_->text(), content_type.data(), content_type.size());
    if (!bytes.empty()) std::memcpy(block_->text() + content_type.size(), bytes.data(), bytes.size());
  }

  block* block_ = nullptr;
};

}  // namespace presence
