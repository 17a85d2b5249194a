#!/bin/sh
# Installs the library into a directory of its own, and uses it from there in each way an embedder
# would: pkg-config, CMake's find_package, a Meson subproject. One line each, then `N passed, N failed`.
#
# usage: sh tests/consume/run.sh [BUILD]       BUILD: a build of the library, which is then not made anew, and is
# configured for another place of installation; environment: CXX
set -eu

case ${1-} in -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 0 ;; esac

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
build=${1:-$work/build}
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
passed=0 failed=0

# attempt NAME COMMAND...: runs the command; its output is shown when it fails
attempt() {
  name=$1
  shift
  if "$@" >"$work/log" 2>&1; then
    passed=$((passed + 1))
    echo "passed $name"
  else
    failed=$((failed + 1))
    echo "FAILED $name"
    sed 's/^/    /' "$work/log"
    return 1
  fi
}

install_library() {
  if [ ! -d "$build" ]; then meson setup "$build" "$root" --buildtype=debug -Dexamples=disabled -Dtests=disabled -Dbench=disabled; fi &&
    meson configure "$build" -Dprefix="$work/prefix" && meson install -C "$build"
}
with_pkg_config() {
  sh "$here/pkgconfig/build.sh" presence "$here/consumer.cpp" "$work/with-pkg-config" && "$work/with-pkg-config"
}
storage_with_pkg_config() {
  sh "$here/pkgconfig/build.sh" presence-soci "$here/consumer_storage.cpp" "$work/storage" &&
    "$work/storage" "$work/presence.db"
}
database_tool() {
  "$work/prefix/bin/presence-db" create --db-url "sqlite://$work/tool.db" &&
    "$work/prefix/bin/presence-db" check --db-url "sqlite://$work/tool.db"
}
with_cmake() {
  cmake -S "$here/cmake" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/prefix" &&
    cmake --build "$work/cmake" && "$work/cmake/consumer"
}
# what an embedder builds who wants neither a database nor a SIP stack
with_subproject() {
  mkdir -p "$work/meson/subprojects" &&
    cp "$here/meson/meson.build" "$here/consumer.cpp" "$work/meson/" &&
    ln -s "$root" "$work/meson/subprojects/presence" &&
    meson setup "$work/meson/build" "$work/meson" --buildtype=plain -Dwerror=true --wrap-mode=forcefallback \
      -Dpresence:backends=disabled -Dpresence:examples=disabled -Dpresence:tests=disabled -Dpresence:bench=disabled &&
    ninja -C "$work/meson/build" && "$work/meson/build/consumer"
}

if attempt "install" install_library; then
  pc=$(find "$work/prefix" -name presence.pc)
  PKG_CONFIG_PATH=$(dirname "$pc")
  LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")
  export PKG_CONFIG_PATH LD_LIBRARY_PATH
  attempt "pkg-config" with_pkg_config || true
  if [ -f "$PKG_CONFIG_PATH/presence-soci.pc" ]; then
    attempt "pkg-config, SQL storage" storage_with_pkg_config || true
    attempt "presence-db" database_tool || true
  fi
  attempt "CMake find_package" with_cmake || true
  unset PKG_CONFIG_PATH LD_LIBRARY_PATH
fi
attempt "Meson subproject" with_subproject || true
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
