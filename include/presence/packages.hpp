/// The event packages that come with the library. Each function returns a value to register with
/// engine::add_event; change any field before you do.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <presence/event_package.hpp>

namespace presence {

/// A package whose documents are opaque bytes: any name, any media type (or only those listed),
/// the newest document is the state, nothing is looked into (V20).
event_package opaque_package(std::string name, std::vector<std::string> content_types = {});

/// `presence` (RFC 3856) with application/pidf+xml (RFC 3863): documents are checked when they are
/// published (400 for what is malformed or hostile), several publications are merged into one
/// document, and nothing published means a document without tuples.
event_package presence_package();

/// Watcher information (RFC 3857, 3858) about the package `watched`: `presence.winfo` for `presence`.
/// Subscribed to, never published; only who proved to be the resource's owner is let in, unless you
/// change `authorize` (W06). event_package::winfo registers it as it is.
event_package watcherinfo_package(std::string watched);

}  // namespace presence
