/// Several publications of presence made into one document (CMP rows), whole or as a view shows it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <presence/body.hpp>
#include <presence/event_package.hpp>
#include <presence/packages.hpp>

#include "pidf_view.hpp"

namespace presence::pidf {

/// The document of those publications that count; `through`: as somebody sees it, null: all of it.
/// Nothing is parsed. `room` is scratch: its memory is used again. Cost: linear in what is written.
body compose(std::string_view resource, std::span<const published> publications, const presence_options& how,
             const lens* through, std::string& room);

}  // namespace presence::pidf
