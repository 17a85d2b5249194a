/// Traces of what an engine's memory was asked for, as text: one line for each access, so that traffic
/// can be recorded, looked at, and replayed against cache policies (docs/cache-policies.md). Reads and
/// writes no file: a host does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <presence/result.hpp>
#include <presence/time.hpp>

namespace presence {

enum class traced_operation : std::uint8_t {
  publish,    ///< a document came, new or changed
  subscribe,  ///< a subscription came
  refresh,    ///< only the lifetime changed
  notify,     ///< the state was read for a NOTIFY
  read,       ///< the state was read for anything else: a fetch, watcher information, administration
  expire,     ///< the entry ended, by its time or by request
};

struct traced_access {
  instant when = {};
  traced_operation operation = {};
  std::string_view key = {};  ///< names the entry; views the line it was read from, or the caller's text
  std::uint32_t bytes = 0;    ///< the entry takes in memory, from now on
  friend bool operator==(const traced_access&, const traced_access&) = default;
};

/// The operation's name in a trace.
std::string_view to_string(traced_operation) noexcept;

/// Appends one line with its end to `out`: `MILLISECONDS OPERATION KEY BYTES`. Blanks, control characters
/// and bytes beyond ASCII in the key are written as %XX; an empty key as `-`.
void append_line(std::string& out, const traced_access&);

/// Reads one line, given without its end. Further columns are ignored. Fails with a sentence. Lines that
/// are empty or begin with '#' hold no access: do not give them.
result<traced_access, std::string> parse_trace_line(std::string_view line);

}  // namespace presence
