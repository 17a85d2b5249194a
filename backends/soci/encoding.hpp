/// How values cross the wire where a database does not take any bytes anywhere: text that is not
/// UTF-8, binary columns, many values in one parameter or statement.
#pragma once

#include <string>
#include <string_view>

namespace presence::sql {

/// Makes any bytes valid UTF-8 without NUL: what is neither is replaced byte for byte by the private
/// characters U+F700 to U+F7FF, which themselves are replaced too, so that it can be reversed.
/// Ordinary text stays as it is.
void to_utf8(std::string& text);
void from_utf8(std::string& text);

/// PostgreSQL's text of a bytea: `\x` and hexadecimal digits.
void to_bytea(std::string& bytes);
/// Anything else stays as it is.
void from_bytea(std::string& text);

void append_hex(std::string_view bytes, std::string& to);

/// Appends an element of PostgreSQL's array text, quoted.
void append_element(std::string_view text, std::string& to);

}  // namespace presence::sql
