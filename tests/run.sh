#!/bin/sh
# Installs what is missing (Debian 12; as root or with sudo), builds in build-test, runs all tests.
# Ends with the line `N passed, N failed`; exit code 0 only if none failed.
#
# usage: sh tests/run.sh [MESON OPTION]...     e.g. -Dwerror=true; environment: CXX, BUILD,
# DATABASES=no to leave out the tests that start PostgreSQL, MariaDB and Kamailio servers of their own,
# TARGETS what to build (ninja's words, default: everything), TESTS what to run (arguments of meson test)
set -eu

case ${1-} in -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tests/install.sh"
# shellcheck disable=SC2086
install_packages $build_packages $example_packages $test_packages
with_databases=
if [ "${DATABASES-yes}" != no ]; then
  # shellcheck disable=SC2086
  install_packages $database_packages
  with_databases="env PRESENCE_TEST_NEEDS_DATABASES=1 python3 $root/tests/databases.py --"
fi

build=${BUILD:-$root/build-test}
mkdir -p "$build"
if [ -f "$build/build.ninja" ]; then reconfigure=--reconfigure; else reconfigure=; fi
echo "Building in $build ..."
# shellcheck disable=SC2086
if ! { meson setup $reconfigure "$build" "$root" -Dbackends=enabled -Dexamples=enabled -Dtests=enabled "$@" \
         && ninja -C "$build" ${TARGETS-}; } >"$build/log.txt" 2>&1; then
  tail -n 60 "$build/log.txt"
  echo "The build failed; all of its output is in $build/log.txt"
  echo "0 passed, 1 failed"
  exit 1
fi
rm -f "$build/meson-logs/testlog.json"
# shellcheck disable=SC2086
$with_databases meson test -C "$build" --no-rebuild --print-errorlogs ${TESTS-} || true
python3 "$root/tests/count.py" "$build"
