#!/usr/bin/env python3
"""Starts a PostgreSQL and a MariaDB of its own, runs a command, and stops them whatever happens.

usage: databases.py [--only postgres|mariadb]... [--] COMMAND [ARGUMENT]...

Both live in a new directory for temporary files (in memory where there is enough of it), listen on
private ports of 127.0.0.1 and on sockets in that directory, and run as `nobody` when this is run as
root. A server that dies is started again, after a test has killed it for instance. The exit status
is the command's; 125 when a server does not start. The command finds in its environment:

  PRESENCE_TEST_POSTGRES, PRESENCE_TEST_MARIADB     URLs without a database: the user the tests work as
  PRESENCE_TEST_POSTGRES_ADMIN, ..._MARIADB_ADMIN   the same for who may do everything
  PRESENCE_TEST_DATABASES                           the directory, with for each server NAME:
    NAME.socket/    its sockets        NAME.pid     its process id
    NAME.hold       while this file exists, the server is not started again
    NAME.log        what it printed    NAME.small   a file system of 32 MB (only where root may mount one)
"""
import argparse
import ctypes
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PASSWORD = 'it\'s "a\\ pass:word@/ %'  # has what a URL and a connection string could stumble over
QUOTED = 'it%27s%20%22a%5c%20pass%3aword%40%2f%20%25'


class Stop(Exception):
    pass


def fail(text):
    print(f'databases.py: {text}', file=sys.stderr)
    sys.exit(125)


def program(name, *places):
    for place in places:
        for found in sorted(pathlib.Path('/').glob(place), reverse=True):
            if (found / name).exists():
                return str(found / name)
    return shutil.which(name) or fail(f'{name} is not installed (Debian: postgresql, mariadb-server)')


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def as_nobody():
    """Runs in the child: dies with this script, and has no privileges."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam('nobody')
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Server:
    def __init__(self, directory):
        self.directory = directory
        self.port = free_port()
        self.process = None
        for place in (f'{self.name}.socket', f'{self.name}.small'):
            (directory / place).mkdir()
            self.give(directory / place)
        small = directory / f'{self.name}.small'
        if os.geteuid() != 0 or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=32m', 'presence-test', small],
                                               stderr=subprocess.DEVNULL).returncode != 0:
            small.rmdir()
        else:
            self.give(small)
        self.log = open(directory / f'{self.name}.log', 'ab')
        self.data = directory / f'{self.name}.data'
        self.prepare()

    def give(self, place):
        if os.geteuid() == 0:
            shutil.chown(place, 'nobody')

    def run(self, *command, text=None):
        done = subprocess.run(command, input=text, stdout=self.log, stderr=self.log, preexec_fn=as_nobody,
                              cwd=self.directory)
        if done.returncode != 0:
            fail(f'{command[0]} failed:\n' + (self.directory / f'{self.name}.log').read_text(errors='replace')[-2000:])

    def start(self):
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL,
                                        preexec_fn=as_nobody, cwd=self.directory)
        (self.directory / f'{self.name}.pid').write_text(f'{self.process.pid}\n')

    def wait(self):
        """Until it accepts connections."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            self.revive()
            with socket.socket() as s:
                if s.connect_ex(('127.0.0.1', self.port)) == 0 and self.ready():
                    return
            time.sleep(0.05)
        fail(f'{self.name} does not start:\n' + (self.directory / f'{self.name}.log').read_text(errors='replace')[-2000:])

    def ready(self):
        return subprocess.run(self.client(), input=b'SELECT 1;', capture_output=True, preexec_fn=as_nobody,
                              cwd=self.directory).returncode == 0

    def revive(self):
        if self.process.poll() is not None and not (self.directory / f'{self.name}.hold').exists():
            time.sleep(0.1)  # its children may still be about
            self.start()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        subprocess.run(['umount', self.directory / f'{self.name}.small'], stderr=subprocess.DEVNULL)

    def export(self, scheme, admin):
        os.environ[f'PRESENCE_TEST_{self.name.upper()}'] = f'{scheme}://presence:{QUOTED}@127.0.0.1:{self.port}/'
        os.environ[f'PRESENCE_TEST_{self.name.upper()}_ADMIN'] = f'{scheme}://{admin}:{QUOTED}@127.0.0.1:{self.port}/'


class Postgres(Server):
    name = 'postgres'
    stop_signal = signal.SIGINT  # "fast": does not wait for clients

    def prepare(self):
        places = ('usr/lib/postgresql/*/bin', 'usr/pgsql-*/bin')
        self.postgres = program('postgres', *places)
        self.psql = program('psql', *places)
        password = self.directory / 'postgres.password'
        password.write_text(PASSWORD + '\n')
        self.give(password)
        self.data.mkdir(mode=0o700)
        self.give(self.data)
        self.run(program('initdb', *places), '-D', self.data, '-U', 'postgres', '-E', 'UTF8', '--locale=C', '--no-sync',
                 '--auth-local=trust', '--auth-host=scram-sha-256', f'--pwfile={password}')

    def command(self):
        return [self.postgres, '-D', self.data, '-p', str(self.port), '-k', f'{self.directory}/postgres.socket',
                '-c', 'listen_addresses=127.0.0.1', '-c', 'max_connections=200']

    def client(self):
        return [self.psql, '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', f'{self.directory}/postgres.socket', '-p', str(self.port),
                '-U', 'postgres', 'postgres']

    def finish(self):
        password = PASSWORD.replace("'", "''")
        self.run(*self.client(), text=f"CREATE ROLE presence LOGIN PASSWORD '{password}';".encode())
        self.export('postgres', 'postgres')


class MariaDB(Server):
    name = 'mariadb'
    stop_signal = signal.SIGTERM

    def prepare(self):
        self.mariadbd = program('mariadbd', 'usr/sbin')
        self.mariadb = program('mariadb')
        self.data.mkdir(mode=0o700)
        self.give(self.data)
        self.run(program('mariadb-install-db'), '--no-defaults', f'--datadir={self.data}', '--skip-test-db',
                 '--auth-root-authentication-method=normal', '--skip-name-resolve')
        small = self.directory / 'mariadb.small'
        if small.exists():
            (self.data / 'small').symlink_to(small)  # a database is a directory

    def command(self):
        return [self.mariadbd, '--no-defaults', f'--datadir={self.data}', f'--port={self.port}', '--bind-address=127.0.0.1',
                f'--socket={self.directory}/mariadb.socket/socket', f'--pid-file={self.data}/mariadb.pid',
                '--skip-name-resolve', '--max-connections=200', '--innodb-buffer-pool-size=64M', '--skip-log-bin',
                '--innodb-fast-shutdown=2']

    def client(self):
        return [self.mariadb, '--no-defaults', f'--socket={self.directory}/mariadb.socket/socket', '-u', 'root']

    def finish(self):
        password = PASSWORD.replace('\\', '\\\\').replace("'", "\\'")
        self.run(*self.client(), text=(
            f"CREATE USER presence IDENTIFIED BY '{password}'; CREATE USER admin IDENTIFIED BY '{password}';"
            "GRANT ALL ON *.* TO admin WITH GRANT OPTION;").encode())
        self.export('mysql', 'admin')


def roomy(place):
    try:
        return shutil.disk_usage(place).free > 2 << 30 and os.access(place, os.W_OK)
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split('usage: ')[1].split('\n')[0], description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', action='append', choices=['postgres', 'mariadb'])
    parser.add_argument('command', nargs=argparse.REMAINDER)
    wanted = parser.parse_args()
    command = wanted.command[1:] if wanted.command[:1] == ['--'] else wanted.command
    if not command:
        parser.error('no command')

    def stop(number, frame):
        raise Stop

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    directory = pathlib.Path(tempfile.mkdtemp(prefix='presence-databases-', dir='/dev/shm' if roomy('/dev/shm') else None))
    directory.chmod(0o755)
    os.environ['PRESENCE_TEST_DATABASES'] = str(directory)
    servers, running, code = [], None, 125
    try:
        for kind in (Postgres, MariaDB):
            if not wanted.only or kind.name in wanted.only:
                servers.append(kind(directory))
                servers[-1].start()
        for server in servers:
            server.wait()
            server.finish()
        running = subprocess.Popen(command, start_new_session=False)
        while running.poll() is None:
            for server in servers:
                server.revive()
            try:
                running.wait(0.1)
            except subprocess.TimeoutExpired:
                pass
        code = running.returncode if running.returncode >= 0 else 128 - running.returncode
    except Stop:
        code = 130
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        if running and running.poll() is None:
            running.terminate()
            running.wait()
        for server in servers:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)
    sys.exit(code)


main()
