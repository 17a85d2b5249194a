/// The fresh ids of components (CMP-3), as they are kept with a document: in a database (kept.hpp), and from one document
/// of a publication to the next.
#pragma once

#include <string_view>

#include "pidf.hpp"

namespace presence::pidf {

/// Reads what checked_document::stored() keeps behind a document: `ids id number id number`.
void restore_fresh_ids(std::string_view kept, const checked_document& to);

/// A component that went under a fresh id goes on under it when its publication is modified (CMP-3).
void keep_fresh_ids(const checked_document& from, const checked_document& to);

}  // namespace presence::pidf
