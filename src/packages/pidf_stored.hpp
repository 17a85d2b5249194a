/// The fresh ids of components (CMP-3), as they are kept with a document: in a database, and from one document of a
/// publication to the next.
#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "pidf.hpp"

namespace presence::pidf {

/// Splits what checked_document::stored() made into the document and the ids behind it; nothing: there are none.
std::optional<std::pair<std::string_view, std::string_view>> split_stored(std::string_view bytes);

/// Reads what split_stored() found behind a document: ` id number` for each.
void restore_fresh_ids(std::string_view ids, const checked_document& to);

/// A component that went under a fresh id goes on under it when its publication is modified (CMP-3).
void keep_fresh_ids(const checked_document& from, const checked_document& to);

}  // namespace presence::pidf
