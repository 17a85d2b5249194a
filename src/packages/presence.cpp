#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <presence/packages.hpp>
#include <presence/random.hpp>

#include "pidf_compose.hpp"

namespace presence {

namespace {

using pidf::compose;

/// The sphere all person elements agree on, of those that tell one now (POL-5025-sphere-1).
told_sphere sphere_of(std::span<const published> publications, instant now) {
  told_sphere told;
  std::optional<std::string_view> agreed;
  bool disagreed = false;
  for (const published& p : publications) {
    const auto* d = p.leaving ? nullptr : pidf::as_checked(p.parsed);
    if (d == nullptr) continue;
    for (const pidf::sphere_claim& claim : d->spheres()) {
      for (const instant edge : {claim.from, claim.until})
        if (edge > now && edge < told.until.value_or(never)) told.until = edge;
      if (now < claim.from || now >= claim.until) continue;
      disagreed = disagreed || (agreed && *agreed != claim.value);
      agreed = claim.value;
    }
  }
  if (agreed && !disagreed) told.value = *agreed;
  return told;
}

keyed_hash key_of(std::string_view secret) {
  if (!secret.empty()) return keyed_hash{secret};
  system_random random;
  return keyed_hash{random};
}

}  // namespace

event_package presence_package(presence_options how) {
  event_package package;
  package.name = "presence";
  package.content_types = {std::string{pidf::media_type}};
  package.default_expires = seconds{3600};
  package.check_publish = [words = how.words](const offered_document& offer) { return pidf::check(offer, words); };
  // each copy of a hook has scratch memory of its own
  package.aggregate = [how, room = std::string{}](std::string_view resource, std::span<const published> all) mutable {
    return compose(resource, all, how, nullptr, room);
  };
  package.authorize_body = [how, secret = key_of(how.id_secret), room = std::string{}](
                               const body&, std::string_view resource, std::span<const published> all,
                               const view& through) mutable {
    static const permissions none;
    const auto* rules = dynamic_cast<const pidf::rules_view*>(&through);
    // made-up ids are the same under each name of the resource
    const pidf::lens lens{rules != nullptr ? rules->shown : none, resource.substr(resource.find(':') + 1), secret};
    return compose(resource, all, how, &lens, room);
  };
  package.neutral = [how, room = std::string{}](std::string_view resource) mutable {
    return compose(resource, {}, how, nullptr, room);
  };
  package.tells_leaving = how.closes_leaving;
  package.names_as_subscribed = true;
  package.decides_for_good = true;  // about ids (CMP-3)
  package.sphere = sphere_of;
  return package;
}

}  // namespace presence
