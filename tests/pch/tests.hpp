// What nearly every test includes, read once per program (meson's b_pch). Each file still names what it needs:
// with -Db_pch=false it is not read at all, and every file has to compile.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <presence/memory_storage.hpp>
#include <presence/presence.hpp>
