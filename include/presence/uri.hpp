/// Addresses: taking a URI apart, the one spelling that names a resource, and comparison. Pure
/// functions over the caller's text; nothing is read past its end, nothing thrown but bad_alloc.
///
/// Strict about characters: what RFC 3261 section 25.1 and RFC 3966 do not allow in a place is
/// refused, so that no accepted URI can break out of a header line, of <brackets> or of "quotes".
/// Looser in two points that are common and harmless: host names may hold an underscore, and a
/// parameter may have an empty value.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace presence {

/// The parts of a URI as they are written; views of the text that was parsed. Absent parts are
/// empty. For `tel` the number is `user`. For schemes this library does not know, `user`, `host`
/// and `port` are those of an authority (`//...`), `headers` is the query, and the path is not told.
struct uri_parts {
  std::string_view scheme = {};
  std::string_view user = {};
  std::string_view password = {};
  std::string_view host = {};        ///< name, IPv4, or [IPv6] with its brackets
  std::string_view port = {};        ///< digits, 1 to 65535
  std::string_view parameters = {};  ///< without the leading `;`
  std::string_view headers = {};     ///< without the leading `?`
};

/// Takes an absolute URI apart; nothing when it is not one. Knows sip, sips, pres, im (which need a
/// user) and tel; any other scheme is checked for its characters only.
std::optional<uri_parts> parse_uri(std::string_view uri) noexcept;

/// Writes the key of the resource a URI names (GRM-18, GRM-19) and returns true; for what is not a
/// valid sip, sips, pres, im or tel URI it returns false and leaves `out` alone.
///
///   sip, sips, pres, im  ->  sip:[user@]host[:port]
///       user as written, but escapes of unreserved characters undone and other escapes in upper
///       case; host in lower case without a final dot; the port if one was given. Password,
///       parameters and headers are dropped.
///   tel  ->  tel:number, visual separators dropped, in lower case, followed by those parameters
///       that say which number it is: ;ext= ;isub= ;phone-context= in this order.
///
/// A canonical address is its own key. Precondition: `uri` does not view `out`, whose memory is
/// reused. Cost: well under 100 ns for a usual address, without allocation once `out` has grown.
bool canonical_aor(std::string_view uri, std::string& out);

/// Whether two URIs are equivalent (RFC 3261 section 19.1.4, RFC 3966 section 4). Equal text always
/// is; otherwise both must be valid, and other schemes must be spelled alike but for the scheme.
/// With more than 32 parameters or headers only equal text is the same.
bool same_uri(std::string_view a, std::string_view b) noexcept;

/// The host of a canonical address, without the port; empty for tel. A view of the argument.
std::string_view host_of(std::string_view canonical) noexcept;

/// How a document names the presentity `canonical` to somebody who subscribed to `as_subscribed` (RFC 3856;
/// PRS-ENT-1): as pres: where that was written, else as it is. Only a sip: address with a user has a pres: form.
std::string entity_for(std::string_view canonical, std::string_view as_subscribed);

/// The user of a canonical address, or the number of a tel URI; empty when there is none. A view
/// of the argument.
std::string_view user_of(std::string_view canonical) noexcept;

}  // namespace presence
