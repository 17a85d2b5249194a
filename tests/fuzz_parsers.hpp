/// The fuzz targets of fuzz_parsers.cpp. Each aborts when an invariant is broken.
#pragma once

#include <string_view>

namespace presence::test {

void fuzz_rules(std::string_view bytes);
void fuzz_dialog(std::string_view bytes);
void fuzz_line(std::string_view bytes);
void fuzz_messages(std::string_view bytes);

}  // namespace presence::test
