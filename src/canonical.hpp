// The canonical form of an address (uri.hpp) that has been read already.
#pragma once

#include <string>

#include <presence/uri.hpp>

namespace presence {

bool canonical_aor(const uri_parts& uri, std::string& out);

}  // namespace presence
