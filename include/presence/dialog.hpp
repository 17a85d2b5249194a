/// The dialog data of one subscription: everything a SIP stack needs to address a NOTIFY, and what
/// the host wants back with it. Immutable and shared: a refresh that changes the remote target
/// makes a new block, and descriptors handed out before keep the old one (HOST-6, N01).
///
/// All strings are packed into one allocation; a copy of `dialog` is one reference count.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace presence {

/// The parts of a dialog, as text. Views: they only need to live while a dialog is made.
struct dialog_fields {
  std::string_view call_id = {};
  std::string_view local_tag = {};      ///< made by the engine: To tag of replies, From tag of NOTIFYs
  std::string_view remote_tag = {};     ///< the watcher's From tag: To tag of NOTIFYs
  std::string_view local_uri = {};      ///< To URI of the SUBSCRIBE: From URI of NOTIFYs
  std::string_view remote_uri = {};     ///< From URI of the SUBSCRIBE: To URI of NOTIFYs
  std::string_view remote_target = {};  ///< the watcher's Contact URI: Request-URI of NOTIFYs
  std::string_view route_set = {};      ///< Record-Route values in received order: Route of NOTIFYs
  std::string_view local_contact = {};  ///< our Contact (server_address, or what the host gave)
  std::string_view event = {};          ///< Event value to repeat, e.g. `presence;id=7`
  std::string_view watcher = {};        ///< who subscribed: proven address, else the From URI
  std::string_view cookie = {};         ///< the host's own, opaque (a flow, a socket name; S23)
  std::string_view user_agent = {};     ///< the watcher's User-Agent (S23)
  std::string_view headers = {};        ///< further header lines for NOTIFYs, each ended by CRLF
  std::string_view display_name = {};   ///< of the watcher (identity::display_name)
  std::string_view also = {};           ///< further addresses the watcher proved, canonical, a space between (identity::also)
  std::string_view owner = {};          ///< options::owner_id of the engine that served the last SUBSCRIBE (C02)
  bool secure = false;                  ///< subscribed over sips/TLS: NOTIFY the same way
  bool proven = false;                  ///< `watcher` is a proven address

  friend bool operator==(const dialog_fields&, const dialog_fields&) = default;
};

class dialog {
 public:
  dialog() noexcept = default;

  /// Packs `fields` into one block. Throws only std::bad_alloc.
  explicit dialog(const dialog_fields& fields);

  dialog(const dialog& other) noexcept : block_{other.block_} { retain(); }
  dialog(dialog&& other) noexcept : block_{std::exchange(other.block_, nullptr)} {}
  // two overloads: Clang 14 forgets to destroy a by-value operand made by `x = {}` in a template
  dialog& operator=(const dialog& other) noexcept { return *this = dialog{other}; }
  dialog& operator=(dialog&& other) noexcept {
    dialog taken{std::move(other)};
    std::swap(block_, taken.block_);
    return *this;
  }
  ~dialog() { release(); }

  explicit operator bool() const noexcept { return block_ != nullptr; }

  /// Views of the shared block; they live as long as any copy of this dialog. Empty when absent.
  std::string_view call_id() const noexcept { return part(0); }
  std::string_view local_tag() const noexcept { return part(1); }
  std::string_view remote_tag() const noexcept { return part(2); }
  std::string_view local_uri() const noexcept { return part(3); }
  std::string_view remote_uri() const noexcept { return part(4); }
  std::string_view remote_target() const noexcept { return part(5); }
  std::string_view route_set() const noexcept { return part(6); }
  std::string_view local_contact() const noexcept { return part(7); }
  std::string_view event() const noexcept { return part(8); }
  std::string_view watcher() const noexcept { return part(9); }
  std::string_view cookie() const noexcept { return part(10); }
  std::string_view user_agent() const noexcept { return part(11); }
  std::string_view headers() const noexcept { return part(12); }
  std::string_view display_name() const noexcept { return part(13); }
  std::string_view also() const noexcept { return part(14); }
  std::string_view owner() const noexcept { return part(15); }
  bool secure() const noexcept { return block_ != nullptr && block_->secure; }
  bool proven() const noexcept { return block_ != nullptr && block_->proven; }

  /// Bytes its block takes.
  std::size_t size() const noexcept { return block_ == nullptr ? 0 : block_->text_at() + block_->end(parts); }

  /// All parts at once, as views of this dialog; to make a changed copy.
  dialog_fields fields() const noexcept;

  /// Equality is by content.
  friend bool operator==(const dialog& a, const dialog& b) noexcept {
    return a.block_ == b.block_ || (a.block_ && b.block_ && a.fields() == b.fields());
  }

  /// Asks the processor to fetch what copying this dialog will touch.
  void prefetch() const noexcept { __builtin_prefetch(block_, 1); }
  /// And what reading it will.
  void prefetch_texts() const noexcept {
    for (int line = 0; line < 5; ++line) __builtin_prefetch(reinterpret_cast<const char*>(block_) + 64 * line);
  }

 private:
  static constexpr std::size_t parts = 16;
  struct block {
    std::atomic<std::uint32_t> references{1};
    bool secure = false;
    bool proven = false;
    bool wide = false;  // more than 64 KiB of text, which is legal and rare
    // then where each part ends, in 16 or 32 bits, and the characters
    std::size_t text_at() const noexcept { return ends_at() + parts * (wide ? sizeof(std::uint32_t) : sizeof(std::uint16_t)); }
    std::uint32_t end(std::size_t part) const noexcept {  // counted from 1; part 0 ends where the first begins
      if (part == 0) return 0;
      if (wide) return load<std::uint32_t>(part);
      return load<std::uint16_t>(part);
    }
    void set_end(std::size_t part, std::uint32_t at) noexcept {
      const auto narrow = static_cast<std::uint16_t>(at);
      if (wide) std::memcpy(bytes() + ends_at() + (part - 1) * sizeof at, &at, sizeof at);
      else std::memcpy(bytes() + ends_at() + (part - 1) * sizeof narrow, &narrow, sizeof narrow);
    }
    const char* text() const noexcept { return bytes() + text_at(); }
    char* text() noexcept { return bytes() + text_at(); }

   private:
    static constexpr std::size_t ends_at() noexcept { return sizeof(block); }
    template <class Number>
    Number load(std::size_t part) const noexcept {
      Number at;
      std::memcpy(&at, bytes() + ends_at() + (part - 1) * sizeof at, sizeof at);
      return at;
    }
    const char* bytes() const noexcept { return reinterpret_cast<const char*>(this); }
    char* bytes() noexcept { return reinterpret_cast<char*>(this); }
  };

  std::string_view part(std::size_t i) const noexcept {
    if (block_ == nullptr) return {};
    const std::uint32_t begin = block_->end(i);
    return {block_->text() + begin, block_->end(i + 1) - begin};
  }
  void retain() const noexcept {
    if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
  }
  void release() noexcept {
    if (block_ != nullptr && block_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      block_->~block();
      ::operator delete(block_);
    }
  }

  block* block_ = nullptr;
};

inline dialog::dialog(const dialog_fields& f) {
  const std::array<std::string_view, parts> all{
      f.call_id,   f.local_tag,     f.remote_tag, f.local_uri, f.remote_uri, f.remote_target,
      f.route_set, f.local_contact, f.event,      f.watcher,   f.cookie,     f.user_agent,
      f.headers,   f.display_name,  f.also,       f.owner};
  std::size_t size = 0;
  for (const auto& s : all) size += s.size();
  const bool wide = size > 0xffff;
  block_ = new (::operator new(sizeof(block) + parts * (wide ? sizeof(std::uint32_t) : sizeof(std::uint16_t)) + size))
      block{.secure = f.secure, .proven = f.proven, .wide = wide};
  char* const text = block_->text();  // found once: what is copied might be `wide`, for all a compiler knows
  std::uint32_t at = 0;
  for (std::size_t i = 0; i < parts; ++i) {
    if (!all[i].empty()) std::memcpy(text + at, all[i].data(), all[i].size());
    at += static_cast<std::uint32_t>(all[i].size());
    block_->set_end(i + 1, at);
  }
}

inline dialog_fields dialog::fields() const noexcept {
  return {.call_id = call_id(),
          .local_tag = local_tag(),
          .remote_tag = remote_tag(),
          .local_uri = local_uri(),
          .remote_uri = remote_uri(),
          .remote_target = remote_target(),
          .route_set = route_set(),
          .local_contact = local_contact(),
          .event = event(),
          .watcher = watcher(),
          .cookie = cookie(),
          .user_agent = user_agent(),
          .headers = headers(),
          .display_name = display_name(),
          .also = also(),
          .owner = owner(),
          .secure = secure(),
          .proven = proven()};
}

}  // namespace presence
