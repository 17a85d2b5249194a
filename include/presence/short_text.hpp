/// A text that is set once and is mostly short: up to 40 characters lie in the object itself, which is smaller than
/// a string or a small vector that can hold as many. Made for objects of which there are millions and that do not move.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace presence {

class short_text {
 public:
  short_text() noexcept = default;
  short_text(const short_text&) = delete;
  short_text& operator=(const short_text&) = delete;
  ~short_text() {
    if (size_ > near) delete[] far();
  }

  /// Precondition: it is empty; the text has less than 4 GiB. Throws only std::bad_alloc.
  void set(std::string_view text) {
    char* to = held_;
    if (text.size() > near) {
      to = new char[text.size()];
      std::memcpy(held_, &to, sizeof to);
    }
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    size_ = static_cast<std::uint32_t>(text.size());
  }
  /// A view of this object.
  std::string_view view() const noexcept { return {size_ > near ? far() : held_, size_}; }

 private:
  static constexpr std::size_t near = 40;
  char* far() const noexcept {
    char* at;
    std::memcpy(&at, held_, sizeof at);
    return at;
  }

  std::uint32_t size_ = 0;
  char held_[near];  // the text, or the address of a longer one
};

}  // namespace presence
