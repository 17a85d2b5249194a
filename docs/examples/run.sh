#!/bin/sh
# The main job, once, before your eyes: see the usage below.
set -eu

usage() {
  cat <<'END'
usage: sh docs/examples/run.sh            show a presence server at work, then end
       sh docs/examples/run.sh serve [OPTION]...   leave the server running for your own phones

Installs what is missing (Debian 12; as root or with sudo), builds, and then:

  without arguments  starts presence-server on an SQLite file, and SIPp as Alice's phone and as two
                     watchers: Bob subscribes; the phone publishes; Carol subscribes; the phone
                     changes its state; Carol leaves; the phone refreshes and falls silent; its
                     publication lapses; Bob leaves. Prints every message as it happens. The exit
                     code is 0 only if every expected message was seen, and no other.
  serve [OPTION]...  starts presence-server with these options (serve --help lists them). Without
                     options it listens on port 5060 of all addresses, UDP and TCP, keeps its state
                     in ./presence.db, and logs each message. Point your phones at this machine.
END
}

case ${1-} in
  -h | --help) usage; exit 0 ;;
  '' | serve) ;;
  *) usage >&2; exit 2 ;;
esac

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
. "$root/tests/install.sh"

# --- install and build ----------------------------------------------------------------------------

# shellcheck disable=SC2086
install_packages $build_packages $example_packages

build=$root/build-example
mkdir -p "$build" 2>/dev/null && [ -w "$build" ] || build=${TMPDIR:-/tmp}/presence-build-example-$(id -u)
log=$build/log.txt
mkdir -p "$build"
if [ ! -f "$build/build.ninja" ]; then
  meson setup "$build" "$root" --buildtype=debug -Dbackends=enabled -Dexamples=enabled \
    -Dtests=disabled -Dbench=disabled >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
fi
echo "Building in $build ..."
ninja -C "$build" docs/examples/presence-server >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
rm -f "$log"
server=$build/docs/examples/presence-server

if [ "${1-}" = serve ]; then
  shift
  if [ $# -eq 0 ]; then
    set -- --listen udp:0.0.0.0:5060 --listen tcp:0.0.0.0:5060 --db-url "sqlite://$PWD/presence.db" -v
  fi
  echo "presence-server $*"
  exec "$server" "$@"
fi

# --- the cast -------------------------------------------------------------------------------------

work=$(mktemp -d)
started=
stop_all() {
  for process in $started; do kill "$process" 2>/dev/null || true; done
  wait
  rm -rf "$work"
}
trap stop_all EXIT
trap 'exit 1' INT TERM HUP

# Four free ports of 127.0.0.1.
set -- $(python3 -c 'import socket
s = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
for one in s: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in s))')
server_port=$1 bob_port=$2 carol_port=$3 phone_port=$4

failed=0
fail() {
  failed=1
  echo "FAILED: $*" >&2
}

# Says what went wrong, if anything did, and ends.
curtain() {
  for file in "$work"/*.failed; do
    if [ -f "$file" ]; then cat "$file" >&2; echo >&2; fi
  done
  if [ "$failed" -ne 0 ]; then
    echo "FAILED: not every expected message was seen"
    exit 1
  fi
}

# sipp_as NAME PORT SCENARIO [SIPP OPTION]...: one SIPp, one call; fails unless it saw what the scenario says
sipp_as() {
  name=$1 port=$2 scenario=$3
  shift 3
  if ! (cd "$work" && sipp "127.0.0.1:$server_port" -sf "$here/flow/$scenario.xml" -i 127.0.0.1 -p "$port" \
          -m 1 -nostdin -timeout 40s -timeout_error -recv_timeout 15000 -default_behaviors abortunexp \
          -trace_err -error_file "$work/$name.errors" -trace_logs -log_file "$work/$scenario.log" "$@" \
          >/dev/null 2>&1); then
    echo "$name ($scenario.xml) did not see what it expected:" >"$work/$name.failed"
    cat "$work/$name.errors" >>"$work/$name.failed" 2>/dev/null || true
    return 1
  fi
}

# tag_of SCENARIO: the entity tag that SIPp has logged
tag_of() { sed -n 's/^etag= *//p' "$work/$1.log"; }

# seen PATTERN COUNT: waits until the server has logged COUNT such lines
seen() {
  tries=0
  while [ "$(grep -c -e "$1" "$work/server.log")" -lt "$2" ]; do
    tries=$((tries + 1))
    if [ "$tries" -gt 150 ]; then
      fail "waited in vain for: $1"
      curtain
    fi
    sleep 0.1
  done
}

# --- the stage ------------------------------------------------------------------------------------

# Lines of the server's log, as a call flow: four lifelines, what a message says at the right.
# shellcheck disable=SC2016
call_flow='
BEGIN {
  name[bob] = 1; name[carol] = 2; name[server] = 3; name[phone] = 4
  at[1] = 13; at[2] = 29; at[3] = 51; at[4] = 71
  print ""
  print "            Bob           Carol         presence-server       Alice'"'"'s phone"
}
function put(line, from, text) { return substr(line, 1, from - 1) text substr(line, from + length(text)) }
function repeat(c, n,   s) { while (n-- > 0) s = s c; return s }
function who(peer,   port) {
  if (!match(peer, /:[0-9]+(;|$)/)) return 0
  port = substr(peer, RSTART + 1); sub(/;.*/, "", port)
  return name[port]
}
$2 == "<-" || $2 == "->" {
  if ($4 == "NOTIFY" || $4 ~ /^[A-Z]+$/) { label = $4; from = 5 } else { label = $4 " " $5; from = 6 }
  peer = who($3)
  if (!peer) next
  told = ""
  if ($0 ~ / to NOTIFY /) { label = "200 OK"; from = 99 }
  for (i = from; i <= NF; i++) {
    if ($i ~ /^(sip:|Event=|To-tag=|SIP-|CSeq=|Allow)/ || $i ~ /,$/ || $i == "dialog") continue
    told = told " " $i
  }
  if ($4 == "NOTIFY" && told !~ /\[/ && told ~ /active/) told = told " [nothing published]"
  gsub(/;/, " ", told)
  line = ""
  for (i = 1; i <= 4; i++) line = sprintf("%-" (at[i] - 1) "s|", line)
  left = peer < 3 ? at[peer] : at[3]; right = peer < 3 ? at[3] : at[4]
  to_right = ($2 == "<-") == (peer < 3)
  line = put(line, left + 1, to_right ? repeat("-", right - left - 2) ">" : "<" repeat("-", right - left - 2))
  line = put(line, left + int((right - left - length(label)) / 2), " " label " ")
  split($1, t, ":")
  seconds = t[1] * 3600 + t[2] * 60 + t[3]
  if (start == "") start = seconds
  printf "%7.3f %s%s\n", seconds - start, substr(line, 9), told == "" ? "" : " " told
  fflush()
}
END { print "" }'

echo "presence-server on udp:127.0.0.1:$server_port, its database in $work/presence.db"
: >"$work/server.log"
"$server" --listen "udp:127.0.0.1:$server_port" --db-url "sqlite://$work/presence.db" --set min_expires=1 -v \
  >"$work/ready" 2>"$work/server.log" &
server_process=$!
started="$started $server_process"
tail -n +1 -f --pid="$server_process" -s 0.1 "$work/server.log" 2>/dev/null |
  awk -v "server=$server_port" -v "bob=$bob_port" -v "carol=$carol_port" -v "phone=$phone_port" "$call_flow" &
flow_process=$!
tries=0
until grep -q ready "$work/ready"; do
  tries=$((tries + 1))
  [ "$tries" -le 100 ] && kill -0 "$server_process" || { cat "$work/server.log" >&2; exit 1; }
  sleep 0.1
done

# --- the play -------------------------------------------------------------------------------------

sipp_as bob "$bob_port" bob &
bob_process=$!
started="$started $bob_process"
seen "<- sip:bob@.* 200 to NOTIFY" 1
sipp_as phone "$phone_port" publish || fail "the phone could not publish"
seen "<- sip:bob@.* 200 to NOTIFY" 2
sipp_as carol "$carol_port" carol &
carol_process=$!
started="$started $carol_process"
seen "<- sip:carol@.* 200 to NOTIFY" 1
sipp_as phone "$phone_port" modify -key etag "$(tag_of publish)" || fail "the phone could not change its state"
wait "$carol_process" || fail "Carol"
sipp_as phone "$phone_port" refresh -key etag "$(tag_of modify)" || fail "the phone could not refresh"
wait "$bob_process" || fail "Bob"

# --- the end --------------------------------------------------------------------------------------

kill -TERM "$server_process"
wait "$server_process" || fail "presence-server ended with code $?"
wait "$flow_process" || true
curtain
messages=$(grep -c -e ' <- ' -e ' -> ' "$work/server.log")
echo "All $messages messages were as expected. \"sh docs/examples/run.sh serve\" runs the server for your own phones."
