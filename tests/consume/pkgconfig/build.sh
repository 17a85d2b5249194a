#!/bin/sh
# usage: build.sh MODULE SOURCE PROGRAM     with PKG_CONFIG_PATH set
set -eu
# shellcheck disable=SC2046
"${CXX:-c++}" -std=c++20 "$2" -o "$3" $(pkg-config --cflags --libs "$1")
