# Packages of Debian 12, for the scripts that source this file (POSIX sh).
#
#   install_packages $build_packages $test_packages    installs what is missing, and says so

build_packages="g++ meson ninja-build pkg-config libboost-dev librapidxml-dev libsoci-dev libsoci-sqlite3-4.0"
example_packages="libsofia-sip-ua-dev sip-tester python3"
test_packages="doctest-dev libsqlite3-dev libbenchmark-dev libxml2-utils"
database_packages="postgresql mariadb-server libsoci-postgresql4.0 libsoci-mysql4.0 kamailio kamailio-presence-modules
  kamailio-sqlite-modules kamailio-postgres-modules kamailio-mysql-modules"
matrix_packages="cmake clang libclang-rt-14-dev libpq-dev libmariadb-dev"

install_packages() {
  missing=
  for package in "$@"; do
    case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
      *"ok installed") ;;
      *) missing="$missing $package" ;;
    esac
  done
  if [ -z "$missing" ]; then return 0; fi

  if ! command -v apt-get >/dev/null 2>&1; then
    echo "This script knows how to install packages on Debian only. Please install what is" >&2
    echo "equivalent to:$missing" >&2
    return 1
  fi
  as_root=
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
      echo "Please run this as root, or install first:$missing" >&2
      return 1
    fi
    as_root=sudo
  fi
  echo "Installing:$missing"
  # shellcheck disable=SC2086  # the list is meant to be split
  if ! { $as_root apt-get update -qq && $as_root env DEBIAN_FRONTEND=noninteractive \
           apt-get install -y -qq --no-install-recommends $missing; } >"${TMPDIR:-/tmp}/apt.$$.log" 2>&1; then
    cat "${TMPDIR:-/tmp}/apt.$$.log" >&2
    rm -f "${TMPDIR:-/tmp}/apt.$$.log"
    echo "apt-get could not install:$missing" >&2
    return 1
  fi
  rm -f "${TMPDIR:-/tmp}/apt.$$.log"
}
