#!/bin/sh
# Installs the library into a directory of its own, and uses it from there in each way an embedder
# would: pkg-config, CMake's find_package, a Meson subproject. One line each, then `N passed, N failed`.
#
# usage: sh tests/consume/run.sh       environment: CXX
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
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
  meson setup "$work/build" "$root" --prefix="$work/prefix" --buildtype=debug \
    -Dbackends=auto -Dexamples=disabled -Dtests=disabled -Dbench=disabled &&
    meson install -C "$work/build"
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
with_subproject() {
  mkdir -p "$work/meson/subprojects" &&
    cp "$here/meson/meson.build" "$here/consumer.cpp" "$work/meson/" &&
    ln -s "$root" "$work/meson/subprojects/presence" &&
    meson setup "$work/meson/build" "$work/meson" --buildtype=debug --wrap-mode=forcefallback \
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
