#define DOCTEST_CONFIG_IMPLEMENT  // as the next line does, but for a header that has been read before (pch/tests.hpp)
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
