#include <presence/random.hpp>

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace presence {

void system_random::fill(std::span<std::uint8_t> bytes) {
  while (!bytes.empty()) {
    if (used_ == pool_.size()) {
      std::size_t got = 0;
      while (got < pool_.size()) {
        const ssize_t n = getrandom(pool_.data() + got, pool_.size() - got, 0);
        if (n > 0) {
          got += static_cast<std::size_t>(n);
        } else if (errno != EINTR) {
          throw std::runtime_error{"the system's random generator cannot be read"};
        }
      }
      used_ = 0;
    }
    const std::size_t n = std::min(bytes.size(), pool_.size() - used_);
    std::memcpy(bytes.data(), pool_.data() + used_, n);
    std::memset(pool_.data() + used_, 0, n);  // what was handed out is not kept
    used_ += n;
    bytes = bytes.subspan(n);
  }
}

std::string random_token(random_source& source, std::size_t length) {
  std::string token(length, '0');
  random_token(source, std::span<char>{token});
  return token;
}

void random_token(random_source& source, std::span<char> token) {
  static constexpr char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  static constexpr unsigned letters = 62;
  std::array<std::uint8_t, 16> bytes{};  // an entity tag needs hardly more
  std::size_t at = bytes.size();
  for (char& c : token) {
    std::uint8_t value = 0;
    do {  // reject the uneven tail, so that every letter is equally likely
      if (at == bytes.size()) {
        source.fill(bytes);
        at = 0;
      }
      value = bytes[at++];
    } while (value >= 256 - 256 % letters);
    c = alphabet[value % letters];
  }
}

}  // namespace presence
