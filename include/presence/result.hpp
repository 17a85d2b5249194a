/// A value or an error, in the vocabulary of std::expected (C++23), which is absent here.
/// Only the members this library uses; an alias can replace it later.
#pragma once

#include <cassert>
#include <utility>
#include <variant>

namespace presence {

/// Wraps an error so that a result<T, E> can be made from it.
template <class E>
struct unexpected {
  E error;
};
template <class E>
unexpected(E) -> unexpected<E>;

template <class T, class E>
class [[nodiscard]] result {
 public:
  result() : held_{std::in_place_index<0>} {}
  result(T value) : held_{std::in_place_index<0>, std::move(value)} {}
  template <class G>
  result(unexpected<G> u) : held_{std::in_place_index<1>, std::move(u.error)} {}

  bool has_value() const noexcept { return held_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  /// Precondition of the next five: has_value().
  T& value() & noexcept { return *checked(); }
  const T& value() const& noexcept { return *const_cast<result*>(this)->checked(); }
  T&& value() && noexcept { return std::move(*checked()); }
  T&& operator*() && noexcept { return std::move(*checked()); }
  T& operator*() & noexcept { return *checked(); }
  T* operator->() noexcept { return checked(); }
  const T& operator*() const& noexcept { return value(); }
  const T* operator->() const noexcept { return &value(); }

  /// Precondition: !has_value().
  E& error() & noexcept { return *std::get_if<1>(&held_); }
  const E& error() const& noexcept { return *std::get_if<1>(&held_); }

 private:
  T* checked() noexcept {
    T* value = std::get_if<0>(&held_);
    assert(value != nullptr);
    return value;
  }
  std::variant<T, E> held_;
};

/// Success without a value, or an error.
template <class E>
class [[nodiscard]] result<void, E> {
 public:
  result() = default;
  template <class G>
  result(unexpected<G> u) : error_{std::move(u.error)}, failed_{true} {}

  bool has_value() const noexcept { return !failed_; }
  explicit operator bool() const noexcept { return !failed_; }
  E& error() & noexcept { return error_; }
  const E& error() const& noexcept { return error_; }

 private:
  E error_{};
  bool failed_ = false;
};

}  // namespace presence
