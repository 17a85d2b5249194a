#!/usr/bin/env python3
"""presence-server and Kamailio 5.6 under the same load, by turns (PF10, Q12).

usage: beside_kamailio.py --build DIRECTORY [--runs N] [--modify N] [CASE]...
       python3 tests/databases.py --only postgres python3 bench/beside_kamailio.py --build DIRECTORY postgres

CASE: memory (1 000 presentities, 10 watchers each), memory-100 (100, 100), memory-1 (5 000, 1), sqlite (1 000, 10), postgres
(1 000, 10), restart-sqlite, restart-postgres (as sqlite and postgres; then the server is ended and started again, and the
time until it answers a PUBLISH is taken). Default: memory memory-100 memory-1 sqlite restart-sqlite.

The server has processor 1, the load processor 0, databases any. Processor time is that of the server and its children, to 10 ms,
and of PostgreSQL beside it. Kamailio: Debian's kamailio, kamailio-presence-modules, kamailio-sqlite-modules,
kamailio-postgres-modules; one worker, tlsf, tables of 2^16, send_fast_notify 1, no transactions of its own for requests.
With a database: subs_db_mode 1 and publ_cache 1 there, write-through here. Its SQLite has WAL and synchronous FULL, ours too.
`bare pair`: what a datagram of a NOTIFY's size sent and an answer received cost a program that does nothing else, a system
call each; `pair of 64`: with one for 64. `load of the generator`: 1 means that it is what limits the rate.
Prints a table of medians; a line for each run goes to standard error. PRESENCE_BENCH_SCALE in the environment divides the
presentities.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

SCRIPTS = '/usr/share/kamailio'
CONFIGURATION = '''debug=0
log_stderror=yes
fork=yes
children=1
disable_tcp=yes
listen=udp:127.0.0.1:{port}
auto_aliases=no
dns=no
rev_dns=no
maxbuffer=4194304
{module}
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "presence.so"
loadmodule "presence_xml.so"
{url}
modparam("presence", "server_address", "sip:127.0.0.1:{port}")
modparam("presence", "subs_db_mode", {subs_db_mode})
modparam("presence", "publ_cache", {publ_cache})
modparam("presence", "subs_htable_size", 16)
modparam("presence", "pres_htable_size", 16)
modparam("presence", "send_fast_notify", 1)
modparam("presence", "subs_remove_match", 1)
modparam("presence", "max_expires", 7200)
modparam("presence_xml", "force_active", 1)
request_route {{
  if (is_method("PUBLISH")) handle_publish();
  else if (is_method("SUBSCRIBE")) handle_subscribe();
  else sl_send_reply("405", "Method Not Allowed");
}}
'''
SIZES = {'memory': (1000, 10), 'memory-100': (100, 100), 'memory-1': (5000, 1)}


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(('127.0.0.1', 0))
        return udp.getsockname()[1]


def processor_time(pid):
    """Seconds of a process and all below it, those that have ended included."""
    children, times = {}, {}
    for directory in pathlib.Path('/proc').iterdir():
        if not directory.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            fields = (directory / 'stat').read_text().rsplit(')', 1)[1].split()
            children.setdefault(int(fields[1]), []).append(int(directory.name))
            times[int(directory.name)] = sum(map(int, fields[11:15]))
    total, todo = 0, [pid]
    while todo:
        one = todo.pop()
        total += times.get(one, 0)
        todo += children.get(one, [])
    return total / os.sysconf('SC_CLK_TCK')


def must(command, text=None):
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f'{command[0]}: {done.stdout}{done.stderr}')


class Database:
    """A new database; Kamailio's tables for both."""

    def __init__(self, kind, scratch):
        self.kind, self.pid = kind, None
        if kind == 'memory':
            self.url, self.module = None, ''
        elif kind == 'sqlite':
            file = f'{scratch}/rows.db'
            self.url, self.module = f'sqlite://{file}', (f'loadmodule "db_sqlite.so"\n'
                                                       f'modparam("db_sqlite", "db_set_journal_mode", "{file}=WAL")')
            with contextlib.closing(sqlite3.connect(file)) as database:
                for script in ('standard', 'presence'):
                    database.executescript(pathlib.Path(f'{SCRIPTS}/db_sqlite/{script}-create.sql').read_text())
        else:
            if 'PRESENCE_TEST_POSTGRES_ADMIN' not in os.environ:
                sys.exit('postgres: run this by tests/databases.py --only postgres')
            admin = os.environ['PRESENCE_TEST_POSTGRES_ADMIN']
            name = f'beside_{os.getpid()}_{time.monotonic_ns()}'
            must(['psql', '-Xqv', 'ON_ERROR_STOP=1', admin + 'postgres'],
                 f"CREATE ROLE {name} LOGIN PASSWORD 'secret'; CREATE DATABASE {name} OWNER {name};".replace('; ', ';\n'))
            self.url = f'postgres://{name}:secret@127.0.0.1:{urllib.parse.urlsplit(admin).port}/{name}'
            self.module = 'loadmodule "db_postgres.so"'
            for script in ('standard', 'presence'):
                must(['psql', '-Xqv', 'ON_ERROR_STOP=1', self.url],
                     pathlib.Path(f'{SCRIPTS}/postgres/{script}-create.sql').read_text())
            self.pid = int(pathlib.Path(os.environ['PRESENCE_TEST_DATABASES'], 'postgres.pid').read_text().split()[0])


class Server:
    def __init__(self, make, build, database, scratch, port):
        self.port = port
        if make == 'kamailio':
            text = CONFIGURATION.format(port=port, module=database.module,
                                        url=f'modparam("presence", "db_url", "{database.url}")' if database.url else '',
                                        subs_db_mode=1 if database.url else 0, publ_cache=1 if database.url else 2)
            pathlib.Path(scratch, 'kamailio.cfg').write_text(text)
            command = [shutil.which('kamailio') or '/usr/sbin/kamailio', '-DD', '-E', '-f', f'{scratch}/kamailio.cfg',
                       '-m', '2000', '-M', '32', '-x', 'tlsf', '-X', 'tlsf', '-Y', scratch]
        else:
            command = [f'{build}/docs/examples/presence-server', '--listen', f'udp:127.0.0.1:{port}']
            if database.url:
                must([f'{build}/backends/presence-db', 'migrate', '--db-url', database.url])
                command += ['--db-url', database.url]
        self.output = open(f'{scratch}/{make}.log', 'ab')
        self.process = subprocess.Popen(['taskset', '-c', '1'] + command, stdout=self.output, stderr=self.output,
                                        stdin=subprocess.DEVNULL, start_new_session=True)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.output.close()


class Load:
    def __init__(self, build, port, presentities, watchers, seed):
        self.process = subprocess.Popen(['taskset', '-c', '0', f'{build}/bench/sip_load', '--target', f'127.0.0.1:{port}',
                                         '--presentities', str(presentities), '--watchers', str(watchers), '--seed', str(seed)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, phase):
        self.process.stdin.write(phase + '\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        return json.loads(line) if line else sys.exit('the load has ended')

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def run(case, make, arguments, seed):
    """One run; figures by name."""
    kind = case.split('-')[-1] if case.startswith('restart') else case.split('-')[0]
    presentities, watchers = SIZES.get(case, (1000, 10))
    presentities = max(1, presentities // int(os.environ.get('PRESENCE_BENCH_SCALE', '1')))
    with tempfile.TemporaryDirectory(dir='/dev/shm' if os.path.isdir('/dev/shm') else None) as scratch:
        database = Database(kind, scratch)
        port = free_port()
        server = Server(make, arguments.build, database, scratch, port)
        load = Load(arguments.build, port, presentities, watchers, seed)
        try:
            load.run('wake')
            load.run('publish')
            floor = load.run('floor 20000')
            phases = {phase: measured(load, server, database, f'{phase} {arguments.modify}')
                      for phase in ('subscribe', 'modify', 'refresh', 'resubscribe')}
            all_counts = list(phases.values())
            modify = phases['modify']
            figures = {'SUBSCRIBE/s': phases['subscribe']['done'] / phases['subscribe']['seconds'],
                       'PUBLISH/s': modify['done'] / modify['seconds'],
                       'NOTIFY/s': modify['notifies'] / modify['seconds'],
                       'us per NOTIFY': modify['server'] / max(modify['notifies'], 1) * 1e6,
                       'us of the database': modify['database'] / max(modify['notifies'], 1) * 1e6,
                       'us per refresh': phases['refresh']['server'] / arguments.modify * 1e6,
                       'us per resubscription': phases['resubscribe']['server'] / arguments.modify * 1e6,
                       'us of a bare pair': floor['one'],
                       'us of a pair of 64': floor['together'],
                       'load of the generator': modify['load'] / modify['seconds']}
            if case.startswith('restart'):
                server.stop()
                begun = time.monotonic()
                server = Server(make, arguments.build, database, scratch, port)
                woken = load.run('wake')
                figures['seconds until an answer'] = time.monotonic() - begun
                after = measured(load, server, database, f'modify {arguments.modify // 4}')
                figures['PUBLISH/s after'] = after['done'] / after['seconds']
                all_counts += [woken, after]
            for name in ('lost', 'reused', 'repeated'):
                figures[name] = sum(one[name] for one in all_counts)
            # after a wake NOTIFYs are still under way
            figures['wrong'] = max(one['wrong'] for one in all_counts if one['phase'] != 'wake')
            figures['refused'] = sum(count for one in all_counts for status, count in one['statuses'].items() if status >= '300')
        finally:
            load.stop()
            server.stop()
    return figures


def measured(load, server, database, phase):
    def now():
        return [processor_time(one.pid) if one.pid else 0.0 for one in (server.process, database, load.process)]
    before = now()
    counts = load.run(phase)
    counts['server'], counts['database'], counts['load'] = (b - a for a, b in zip(before, now()))
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--build', required=True)
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--modify', type=int, default=2000)
    parser.add_argument('cases', nargs='*', metavar='CASE')
    arguments = parser.parse_args()
    for case in arguments.cases or ['memory', 'memory-100', 'memory-1', 'sqlite', 'restart-sqlite']:
        found = {'presence-server': [], 'kamailio': []}
        for seed in range(1, arguments.runs + 1):
            for make, all_runs in found.items():
                all_runs.append(run(case, make, arguments, seed))
                print(case, make, {name: round(value, 2) for name, value in all_runs[-1].items()}, file=sys.stderr, flush=True)
        print(f'\n{case}\n{"":26}{"presence-server":>16}{"kamailio":>16}{"ratio":>8}')
        for name in found['kamailio'][0]:
            ours, theirs = (statistics.median(one[name] for one in found[make]) for make in found)
            print(f'{name:26}{ours:16.2f}{theirs:16.2f}' + (f'{ours / theirs:8.2f}' if theirs else ''), flush=True)


main()
