// Calls as the engine and its shards make them.
#pragma once

#include <string>

#include <presence/effects.hpp>
#include <presence/requests.hpp>

namespace presence {

/// Calls the one of several functions that takes the alternative (std::visit).
template <class... F>
struct overloaded : F... {
  using F::operator()...;
};
template <class... F>
overloaded(F...) -> overloaded<F...>;

/// What a call that fills in its effects comes to, as a value.
template <class F>
effects effects_of(F&& call) {
  effects out;
  call(out);
  return out;
}

/// The resource as bridged lines name it: the Contact's user in the From's domain (S26). Empty: there is none.
std::string bridged_line(const subscribe_request& request);

}  // namespace presence
