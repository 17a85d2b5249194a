#!/usr/bin/env python3
"""A real Kamailio 5.6 fills a database; presence-server goes on with it; then Kamailio again, then presence-server.

usage: takeover.py --server PATH --presence-db PATH [--kamailio PATH] [--sipp PATH] [sqlite|postgres|mariadb|crash]...

Each database is met in another of Kamailio's storage modes (subs_db_mode): SQLite written back when Kamailio ends (2,
its default), PostgreSQL written through (1) with a Kamailio that is killed, MariaDB without anything in memory (3).
PostgreSQL and MariaDB are those that tests/databases.py has started; without them the test is skipped. `crash`:
PostgreSQL, and a Kamailio that is killed before it has written back the numbers of its last NOTIFYs.

Every dialog is held by a socket of this script, which checks each NOTIFY against all that came before in its dialog:
the same addresses, tags and routes, a CSeq that has risen, and so has the version of watcher information. One more watcher is SIPp.
"""
import argparse
import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.parse

from run_e2e import (HERE, PIDF, RULE, RULES, SERVICES, TYPES, Run, Skipped, first_line, header, message, need,
                     run_tests)

SCRIPTS = '/usr/share/kamailio'
OPEN, CLOSED = PIDF, PIDF.replace('open', 'closed')


def rules(**others):
    """Alice's."""
    decided = {'bob': ('allow', SERVICES), 'frank': ('allow', SERVICES), 'gina': ('allow', SERVICES), 'carol': ('block', ''),
               'dave': ('confirm', ''), 'ivan': ('confirm', ''), 'erin': ('polite-block', ''), **others}
    return RULES.format(''.join(RULE.format(who, *rule) for who, rule in decided.items()))


class Database:
    """One database, made by Kamailio's own scripts."""

    def __init__(self, run, kind):
        self.kind = kind
        name = f'takeover_{os.getpid()}'
        if kind == 'sqlite':
            self.module, scripts = 'db_sqlite', f'{SCRIPTS}/db_sqlite'
            self.file = f'{run.scratch}/kamailio.db'
            self.url = f'sqlite://{self.file}'
        else:
            variable = f'PRESENCE_TEST_{kind.upper()}_ADMIN'
            if variable not in os.environ:
                raise Skipped(f'{variable} is not set: run this by tests/databases.py')
            admin = urllib.parse.urlsplit(os.environ[variable])
            user, password = f'kamailio_{os.getpid()}', 'secret'
            place = f'{user}:{password}@127.0.0.1:{admin.port}/{name}'
            if kind == 'postgres':
                self.module, scripts, self.url = 'db_postgres', f'{SCRIPTS}/postgres', f'postgres://{place}'
                self._sql(['psql', '-Xqv', 'ON_ERROR_STOP=1', os.environ[variable] + 'postgres'],
                          f"CREATE ROLE {user} LOGIN PASSWORD '{password}';\nCREATE DATABASE {name} OWNER {user};")
                self.shell = ['psql', '-XqAtv', 'ON_ERROR_STOP=1', self.url]
            else:
                self.module, scripts, self.url = 'db_mysql', f'{SCRIPTS}/mysql', f'mysql://{place}'
                client = ['mariadb', '--no-defaults', '-N', '-h', '127.0.0.1', '-P', str(admin.port)]
                self._sql(client + ['-u', admin.username, '-p' + urllib.parse.unquote(admin.password)],
                          f"CREATE DATABASE {name}; CREATE USER {user} IDENTIFIED BY '{password}';"
                          f"GRANT ALL ON {name}.* TO {user};")
                self.shell = client + ['-u', user, f'-p{password}', name]
        for script in ('standard', 'presence'):
            with open(f'{scripts}/{script}-create.sql') as file:
                self.run(file.read())
        self.run(f"INSERT INTO xcap (username, domain, doc, doc_type, etag, source, doc_uri, port) VALUES ('alice', "
                 f"'example.com', '{rules()}', 2, 'x', 0, '/pres-rules/users/sip:alice@example.com/index', 0);")

    @staticmethod
    def _sql(command, text):
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
        need(done.returncode == 0, f'{command[0]}: {done.stdout}{done.stderr}')
        return done.stdout

    def run(self, text):
        if self.kind != 'sqlite':
            return self._sql(self.shell, text)
        with contextlib.closing(sqlite3.connect(self.file)) as database:
            database.executescript(text)

    def rows(self, query):
        if self.kind == 'sqlite':
            with contextlib.closing(sqlite3.connect(self.file)) as database:
                return database.execute(query).fetchall()
        return [line.split('|' if self.kind == 'postgres' else '\t') for line in self.run(query + ';').splitlines()]


class Kamailio:
    """One Kamailio and its log."""

    def __init__(self, run, database, mode, update_period=100):
        self.log, self.messages = [], os.path.join(run.scratch, f'kamailio-{len(run.servers)}.log')
        with open(f'{HERE}/kamailio.cfg') as file:
            text = file.read()
        for name, value in {'PORT': run.port, 'DB_MODULE': database.module, 'DB_URL': database.url, 'SUBS_DB_MODE': mode,
                            'PUBL_CACHE': 0 if mode == 3 else 1, 'UPDATE_PERIOD': update_period}.items():
            text = text.replace(f'@{name}@', str(value))
        configuration = os.path.join(run.scratch, 'kamailio.cfg')
        with open(configuration, 'w') as file:
            file.write(text)
        self.file = open(self.messages, 'wb')
        self.process = subprocess.Popen([run.kamailio, '-DD', '-E', '-f', configuration, '-m', '64', '-Y', run.scratch],
                                        stdin=subprocess.DEVNULL, stdout=self.file, stderr=self.file, start_new_session=True)
        run.servers.append(self)
        self.phone, self.port = run.phone(), run.port
        self.wait_for_answer()

    def wait_for_answer(self):
        """Until it has done what it was asked before: its only process answers one request after the other."""
        end = time.time() + 20
        while time.time() < end and self.process.poll() is None:
            self.phone.send(message('OPTIONS'))
            if self.phone.receive(0.2):
                return
        raise AssertionError('Kamailio does not answer')

    def read(self):
        with open(self.messages, errors='replace') as file:
            self.log = file.read().splitlines()

    def stop(self, number=signal.SIGTERM):
        self.wait_for_answer()  # it commits after it has answered
        if number == signal.SIGKILL:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        self.process.wait(30)
        while True:  # its children have the port a moment longer
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
                try:
                    return udp.bind(('127.0.0.1', self.port))
                except OSError:
                    time.sleep(0.01)

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()


class Watcher:
    """One dialog, whoever serves it."""

    def __init__(self, run, name, event='presence', expires=600, through=None, status=200):
        self.name, self.event, self.phone, self.through = name, event, run.phone(), through
        self.tag, self.call_id, self.cseq = f'tag-{name}', f'{name}-{event}-{self.phone.port}@e2e', 0
        self.notify_cseq, self.version, self.remote, self.last = 0, -1, None, None
        self.route = f'<sip:127.0.0.1:{through.port};lr>' if through else None
        self.ask(expires, status)

    def __str__(self):
        return f'{self.name} ({self.event})'

    def ask(self, expires, status, cseq=None):
        """SUBSCRIBE, in the dialog if there is one; the reply must have this status."""
        self.cseq = cseq or self.cseq + 1
        to = f'<sip:alice@example.com>' + (f';tag={self.remote}' if self.remote else '')
        more = f'Record-Route: {self.route}\r\n' if self.route and not self.remote else ''
        self.phone.send(message('SUBSCRIBE', From=f'<sip:{self.name}@example.com>;tag={self.tag}', To=to, Call_ID=self.call_id,
                                CSeq=f'{self.cseq} SUBSCRIBE', Contact=f'<sip:{self.name}@127.0.0.1:@PORT@>',
                                Event=self.event, Expires=str(expires), more=more))
        reply = self.phone.receive()
        need(first_line(reply).startswith(f'SIP/2.0 {status}'), f'{self}: wanted {status}, got {reply}')
        if status == 200:
            self.remote = re.search(r';tag=(\S+)', header(reply, 'To')).group(1)
            need(header(reply, 'Expires') == str(expires), f'{self}: {reply}')
        return reply

    def told(self, state, body, seconds=8):
        """The next NOTIFY: of this dialog, with the next number, and with this state and body."""
        phone = self.through or self.phone
        notify = phone.receive(seconds)
        while notify is not None and notify == self.last:  # sent again, for its answer came late
            notify = phone.receive(seconds)
        self.last = notify
        need(first_line(notify) == f'NOTIFY sip:{self.name}@127.0.0.1:{self.phone.port} SIP/2.0', f'{self}: got {notify}')
        phone.answer(notify)
        found = {name: header(notify, name) for name in ('Call-ID', 'From', 'To', 'Event', 'Route')}
        need(found == {'Call-ID': self.call_id, 'From': f'<sip:alice@example.com>;tag={self.remote}',
                       'To': f'<sip:{self.name}@example.com>;tag={self.tag}', 'Event': self.event, 'Route': self.route},
             f'{self}: another dialog: {found}')
        cseq = int(header(notify, 'CSeq').split()[0])
        need(cseq > self.notify_cseq, f'{self}: CSeq {cseq} after {self.notify_cseq}')
        self.notify_cseq = cseq
        value, content = header(notify, 'Subscription-State'), notify.split('\r\n\r\n', 1)[1]
        for number in re.findall(r'<watcherinfo[^>]* version="(\d+)"', content):
            need(int(number) > self.version, f'{self}: version {number} after {self.version}')
            self.version = int(number)
        need(re.match(state, value) and re.search(body, content, re.S), f'{self}: wanted {state} {body}, got {value} {content}')
        return notify

    def refreshes(self, expires, state, body):
        self.ask(expires, 200)
        self.told(state, body)


class Publisher:
    """One publication, whoever keeps it."""

    def __init__(self, run, document, event='presence', expires=600):
        self.event, self.tag, self.phone = event, None, run.phone()
        self.publish(document, expires)

    def publish(self, document=None, expires=600, status=200):
        fields = {'Event': self.event, 'Expires': str(expires)}
        if document:
            fields['Content-Type'] = TYPES[self.event]
        if self.tag:
            fields['SIP-If-Match'] = self.tag
        self.phone.send(message('PUBLISH', body=document or '', **fields))
        reply = self.phone.receive()
        need(first_line(reply).startswith(f'SIP/2.0 {status}'), f'PUBLISH {self.event}: wanted {status}, got {reply}')
        if status == 200:
            self.tag = header(reply, 'SIP-ETag')


LAMP_ON, LAMP_OFF = 'Messages-Waiting: yes\r\nVoice-Message: 2/8 (0/2)\r\n', 'Messages-Waiting: no\r\n'
THERE, GONE, NOTHING = '<basic>open', '<basic>closed', '^(?!.*<tuple)'
ONLY_THERE, ONLY_GONE = '^(?!.*<basic>closed).*<basic>open', '^(?!.*<basic>open).*<basic>closed'
LAPSES = 6  # seconds; Kamailio looks at what lapsed every 100


def takeover(run, kind, mode, end):
    database = Database(run, kind)
    options = ['--db-url', database.url, '--trust-from', '--rules-dir', run.scratch, '--set', 'min_expires=1']

    def write_rules(**others):
        with open(os.path.join(run.scratch, 'alice@example.com.xml'), 'w') as file:
            file.write(rules(**others))

    # --- Kamailio has dialogs and publications of every kind ---
    server = Kamailio(run, database, mode)
    desk, lamp = Publisher(run, OPEN), Publisher(run, LAMP_ON, 'message-summary')
    bob, lights = Watcher(run, 'bob', through=run.phone()), Watcher(run, 'bob', 'message-summary')
    bob.told('active', THERE)
    lights.told('active', '(?i)messages-waiting: yes')
    owner = Watcher(run, 'alice', 'presence.winfo')
    owner.told('active', 'state="full".*bob@')

    def new_watcher(name, state, body, **more):
        made = Watcher(run, name, **more)
        made.told(state, body)
        owner.told('active', f'{name}@')
        return made

    carol, dave, erin = (new_watcher(name, state, NOTHING) for name, state in
                         (('carol', 'terminated;reason=rejected'), ('dave', 'pending'), ('erin', 'active')))
    etag = run.publish(service='zara', event='message-summary', document=LAMP_ON)
    zoe = run.watch('zoe', 'message-summary', 2, service='zara')
    zoe.has_got('NOTIFY')
    for document, pattern in ((CLOSED, GONE), (OPEN, THERE)):
        desk.publish(document)
        bob.told('active', pattern)
    bob.refreshes(600, 'active', THERE)
    owner.told('active', 'bob@')
    desk.publish()  # what nothing has changed in is told all the same
    bob.told('active', THERE)
    short = Publisher(run, CLOSED, expires=LAPSES)
    bob.told('active', GONE)
    frank = new_watcher('frank', 'active', GONE, expires=LAPSES)
    server.stop(end)

    # --- what presence-server says about the database, and what makes it its own ---
    write_rules()
    run.says(1, 'run `presence-db migrate`', run.presence_db, 'check', '--db-url', database.url)
    run.says(1, 'run `presence-db migrate`', run.server_program, '--listen', f'udp:127.0.0.1:{run.port}', *options)
    run.says(0, 'ready', run.presence_db, 'migrate', '--db-url', database.url)

    # --- presence-server goes on ---
    server = run.server(*options)
    frank.told('terminated;reason=timeout', '^$', LAPSES + 5)
    bob.told('active', ONLY_THERE, LAPSES + 5)
    short.publish(status=412)
    owner.told('active', 'frank@.*timeout|timeout.*frank@')
    desk.publish()
    desk.publish(CLOSED)
    bob.told('active', GONE)
    lamp.publish()
    lamp.publish(LAMP_OFF)
    lights.told('active', '(?i)messages-waiting: no')
    run.publish(service='zara', event='message-summary', document=LAMP_OFF, etag=etag)
    zoe.passes()
    bob.refreshes(600, 'active', GONE)
    bob.ask(600, 500, cseq=bob.cseq)
    erin.refreshes(600, 'active', NOTHING)
    dave.refreshes(600, 'pending', '^$')
    carol.ask(600, 481)
    Watcher(run, 'carol', status=403)
    owner.told('active', 'carol@.*rejected|rejected.*carol@')
    write_rules(dave=('allow', SERVICES))
    server.process.send_signal(signal.SIGHUP)
    dave.told('active', GONE)
    owner.told('active', 'dave@.*approved|approved.*dave@')
    gina, ivan = new_watcher('gina', 'active', GONE), new_watcher('ivan', 'pending', '^$')
    tablet = Publisher(run, OPEN.replace('desk', 'tablet'))
    for watcher in (bob, dave, gina):
        watcher.told('active', THERE)
    server.stop()
    decided = [f'{name} {status}' for name, status in database.rows('SELECT watcher_username, status FROM watchers ORDER BY 1')]
    need(decided == ['bob 1', 'carol 3', 'erin 1', 'frank 1', 'ivan 2'], f'watchers holds {decided}')

    # --- Kamailio again ---
    server = Kamailio(run, database, mode)
    for publication in (desk, tablet):
        publication.publish()
        for watcher in (bob, dave, gina):
            watcher.told('active', THERE)
    desk.publish(OPEN)
    for watcher in (bob, dave, gina):
        watcher.told('active', ONLY_THERE)
    for watcher in (bob, dave, gina):
        watcher.refreshes(600, 'active', THERE)
        owner.told('active', f'{watcher.name}@')
    ivan.refreshes(600, 'pending', '^$')
    owner.told('active', '')
    lamp.publish(LAMP_ON)
    lights.told('active', 'yes')
    lights.refreshes(600, 'active', 'yes')
    frank = new_watcher('frank', 'active', THERE)
    erin.refreshes(600, 'active', NOTHING)
    owner.told('active', 'erin@')
    server.stop(end)

    # --- and presence-server again ---
    server = run.server(*options)
    desk.publish(CLOSED)
    tablet.publish(expires=0)
    for watcher in (bob, dave, gina, frank):
        watcher.told('active', '')
        watcher.told('active', ONLY_GONE)
        watcher.refreshes(0, 'terminated;reason=timeout', '')
        owner.told('active', f'{watcher.name}@')
    server.stop()


def crash(run):
    database = Database(run, 'postgres')
    with open(os.path.join(run.scratch, 'alice@example.com.xml'), 'w') as file:
        file.write(rules())
    server = Kamailio(run, database, 2, update_period=1)
    desk, bob = Publisher(run, OPEN), Watcher(run, 'bob')
    bob.told('active', THERE)
    end = time.time() + 20
    while not database.rows('SELECT 1 FROM active_watchers') and time.time() < end:
        time.sleep(0.05)
    for _ in range(20):  # 40 numbers, of which it writes some each second
        for document, pattern in ((CLOSED, GONE), (OPEN, THERE)):
            desk.publish(document)
            bob.told('active', pattern)
    server.stop(signal.SIGKILL)
    run.says(0, 'ready', run.presence_db, 'migrate', '--db-url', database.url)
    server = run.server('--db-url', database.url, '--trust-from', '--rules-dir', run.scratch)
    desk.publish(CLOSED)
    bob.told('active', GONE)
    bob.refreshes(600, 'active', GONE)
    server.stop()


class TakeoverRun(Run):
    def __init__(self, arguments):
        super().__init__(os.path.abspath(arguments.server), arguments.sipp, True)
        self.kamailio, self.presence_db = arguments.kamailio, os.path.abspath(arguments.presence_db)

    @staticmethod
    def says(code, part, *command):
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        need(ended.returncode == code and part in ended.stdout + ended.stderr, f'{command[0]} said {ended}')

    def close(self):
        for server in self.servers:
            if isinstance(server, Kamailio):
                server.read()
                server.kill()
        super().close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--server', required=True, help='the presence-server to test')
    parser.add_argument('--presence-db', required=True)
    parser.add_argument('--kamailio', default='/usr/sbin/kamailio')
    parser.add_argument('--sipp', default='sipp')
    parser.add_argument('names', nargs='*', choices=[[], *TAKEOVERS], metavar='sqlite|postgres|mariadb|crash')
    arguments = parser.parse_args()
    return run_tests(TAKEOVERS, arguments.names, lambda: TakeoverRun(arguments))


TAKEOVERS = {'sqlite': lambda run: takeover(run, 'sqlite', 2, signal.SIGTERM),
             'postgres': lambda run: takeover(run, 'postgres', 1, signal.SIGKILL),
             'mariadb': lambda run: takeover(run, 'mariadb', 3, signal.SIGTERM), 'crash': crash}


if __name__ == '__main__':
    sys.exit(main())
