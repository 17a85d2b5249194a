#!/usr/bin/env python3
"""End-to-end tests: presence-server, real UDP and TCP packets, SIPp as watcher and phone.

usage: run_e2e.py --server PATH [--sipp PATH] [--no-database] [NAME...]
       run_e2e.py --list

Each test starts its own server on free ports of 127.0.0.1, in a directory of its own, and stops
everything it has started. What SIPp has to see is in scenarios/*.xml; what no SIP program would
send is sent from here, byte for byte.
"""
import argparse
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = {}


def test(function):
    TESTS[function.__name__.replace('_', '-')] = function
    return function


def free_port():
    """A port that is free for UDP and TCP now."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(('127.0.0.1', 0))
            try:
                tcp.bind(('127.0.0.1', udp.getsockname()[1]))
            except OSError:
                continue
            return udp.getsockname()[1]


def need(condition, why):
    if not condition:
        raise AssertionError(why)


class Skipped(Exception):
    pass


class Server:
    """One presence-server and its log."""

    def __init__(self, program, port, options):
        self.log = []
        self.port = port
        arguments = [program, '--listen', f'udp:127.0.0.1:{port}', '--listen', f'tcp:127.0.0.1:{port}', '-v']
        self.process = subprocess.Popen(arguments + list(options), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        first = self.process.stdout.readline()
        need(first == b'ready\n', f'the server did not get ready, it said {first!r}')

    def _read(self):
        for line in self.process.stderr:
            self.log.append(line.decode('latin1').rstrip())

    def wait_for(self, pattern, seconds=8):
        """Waits until a line of the log matches."""
        end = time.time() + seconds
        while time.time() < end:
            if any(re.search(pattern, line) for line in list(self.log)):
                return
            time.sleep(0.01)
        raise AssertionError(f'the server never logged {pattern}')

    def answered(self, watcher, cseq=1):
        """Waits until this watcher has answered this NOTIFY."""
        self.wait_for(rf'<- sip:{watcher}@.* 200 to NOTIFY CSeq={cseq}$')

    def count(self, pattern):
        return sum(1 for line in list(self.log) if re.search(pattern, line))

    def stop(self):
        """SIGTERM; it must end cleanly, and soon."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        self.reader.join(5)
        need(code == 0, f'the server ended with {code}')

    def kill(self):
        self.process.kill()
        self.process.wait(10)


class Sipp:
    """One SIPp with one call."""

    def __init__(self, run, scenario, transport='u1', service='alice', watcher='bob', **keys):
        self.name = scenario
        files = os.path.join(run.scratch, f'{scenario}-{len(run.processes)}')
        self.errors, self.logs, self.messages = files + '.errors', files + '.log', files + '.messages'
        arguments = [run.sipp_program, f'127.0.0.1:{run.port}', '-sf', f'{HERE}/scenarios/{scenario}.xml',
                     '-i', '127.0.0.1', '-p', str(free_port()), '-t', transport, '-m', '1', '-s', service,
                     '-key', 'watcher', watcher, '-nostdin', '-timeout', '30s', '-timeout_error',
                     '-recv_timeout', '10000', '-default_behaviors', 'abortunexp',
                     '-trace_err', '-error_file', self.errors, '-trace_logs', '-log_file', self.logs,
                     '-trace_msg', '-message_file', self.messages]
        for key, value in keys.items():
            arguments += ['-key', key, value]
        self.process = subprocess.Popen(arguments, cwd=run.scratch, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run.processes.append(self.process)

    def passes(self, seconds=40):
        code = self.process.wait(seconds)
        errors = open(self.errors, errors='replace').read() if os.path.exists(self.errors) else ''
        need(code == 0, f'SIPp scenario {self.name} ended with {code}\n{errors}')

    def has_got(self, text, seconds=8):
        """Waits until a message with this in it has come."""
        end = time.time() + seconds
        while time.time() < end:
            if os.path.exists(self.messages) and f'\n\n{text}' in open(self.messages, errors='replace').read():
                return
            time.sleep(0.01)
        raise AssertionError(f'SIPp scenario {self.name} never got {text}')

    def logged(self, name):
        """The value of a line `name=value` in SIPp's log."""
        found = re.search(rf'^{name}= *(\S+)', open(self.logs).read(), re.M)
        need(found, f'{self.name} logged no {name}')
        return found.group(1)

    def received(self):
        """All messages that came, when it has passed."""
        self.passes()
        with open(self.messages, encoding='latin1', newline='') as file:
            trace = file.read()
        return [trace[m.end():m.end() + int(m.group(1))]
                for m in re.finditer(r'^\w+ message received \[(\d+)\] bytes :\n\n', trace, re.M)]

    def notified(self):
        """The NOTIFYs that came: Subscription-State without what is left of it, and the body."""
        return [(header(m, 'Subscription-State').split(';expires')[0], m.split('\r\n\r\n', 1)[1])
                for m in self.received() if m.startswith('NOTIFY ')]


class Phone:
    """A UDP socket that sends what it is told to and shows what comes."""

    def __init__(self, port):
        self.server = ('127.0.0.1', port)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(('127.0.0.1', 0))
        self.port = self.socket.getsockname()[1]

    def send(self, text):
        self.socket.sendto(text.replace('@PORT@', str(self.port)).encode('latin1'), self.server)

    def receive(self, seconds=5):
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(65536).decode('latin1')
        except socket.timeout:
            return None

    def all(self, first=5, quiet=0.3):
        """Everything that comes until it is quiet."""
        got = []
        message = self.receive(first)
        while message is not None:
            got.append(message)
            message = self.receive(quiet)
        return got

    def subscribe(self, **headers):
        """A subscription with its first NOTIFY, which is answered; returns both."""
        self.send(message('SUBSCRIBE', **headers))
        reply, notify = self.receive(), self.receive()
        need(first_line(reply) == 'SIP/2.0 200 OK' and first_line(notify).startswith('NOTIFY '), f'got {reply} {notify}')
        self.answer(notify)
        return reply, notify

    def answer(self, request, status='200 OK'):
        lines = [l for l in request.split('\r\n') if re.match(r'(Via|From|To|Call-ID|CSeq):', l)]
        self.send(f'SIP/2.0 {status}\r\n' + '\r\n'.join(lines) + '\r\nContent-Length: 0\r\n\r\n')


class Run:
    """What one test has: a directory, a port, a server, and everything it started."""

    def __init__(self, server_program, sipp_program, has_database):
        self.server_program, self.sipp_program, self.has_database = server_program, sipp_program, has_database
        self.scratch = tempfile.mkdtemp(prefix='presence-e2e-')
        self.port = free_port()
        self.processes, self.servers = [], []
        self.options = ()  # for every server of this test

    def server(self, *options):
        server = Server(self.server_program, self.port, (*self.options, *options))
        self.servers.append(server)
        return server

    def sipp(self, scenario, **options):
        return Sipp(self, scenario, **options)

    def publish(self, document=None, event='presence', service='alice', etag=None):
        """SIPp publishes a document, instead of the one with this tag; returns the new tag."""
        replaces = f'\r\nSIP-If-Match: {etag}' if etag else ''
        publisher = self.sipp('publish_document', service=service, event=event, type=TYPES[event],
                              document=document or PIDF, more=replaces)
        publisher.passes()
        return publisher.logged('etag')

    def watch(self, watcher, event, notifies, contact=None, **options):
        """SIPp watches until it has got so many NOTIFYs, then unsubscribes, which brings one more."""
        return self.sipp('watch', watcher=watcher, event=event, notifies=str(notifies), contact=contact or watcher, **options)

    def phone(self):
        return Phone(self.port)

    def database(self):
        if not self.has_database:
            raise Skipped('this server has no database support')
        return ['--db-url', f'sqlite://{self.scratch}/presence.db']

    def close(self):
        for process in self.processes + [s.process for s in self.servers]:
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)


PIDF = ('<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:alice@example.com">'
        '<tuple id="desk"><status><basic>open</basic></status></tuple></presence>')
TYPES = {'presence': 'application/pidf+xml', 'message-summary': 'application/simple-message-summary',
         'dialog': 'application/dialog-info+xml', 'dialog;sla': 'application/dialog-info+xml'}
serial = 0


def message(method='PUBLISH', uri='sip:alice@example.com', version='SIP/2.0', without=(), more='', body='', **headers):
    """A request as text. Headers given by name (`Call_ID=`) replace the proper ones."""
    global serial
    serial += 1
    fields = {'Via': f'SIP/2.0/UDP 127.0.0.1:@PORT@;branch=z9hG4bK-{os.getpid()}-{serial}',
              'From': f'<sip:alice@example.com>;tag=t{serial}', 'To': '<sip:alice@example.com>',
              'Call-ID': f'{os.getpid()}-{serial}@e2e', 'CSeq': f'1 {method}', 'Max-Forwards': '70',
              'Event': 'presence'}
    if method == 'SUBSCRIBE':
        fields['Contact'] = '<sip:bob@127.0.0.1:@PORT@>'
    if body:
        fields['Content-Type'] = 'application/pidf+xml'
    fields['Content-Length'] = str(len(body))
    fields.update({name.replace('_', '-'): value for name, value in headers.items()})
    lines = ''.join(f'{name}: {value}\r\n' for name, value in fields.items() if name not in without)
    return f'{method} {uri} {version}\r\n{lines}{more}\r\n{body}'


def first_line(text):
    return text.split('\r\n', 1)[0] if text else 'nothing'


def header(text, name):
    found = re.search(rf'^{name}: *(.*?)\r$', text, re.M)
    return found.group(1) if found else None


# --- one SIPp scenario, one server ----------------------------------------------------------------

def one_scenario(scenario, *options, transport='u1'):
    def run_it(run):
        server = run.server(*options)
        run.sipp(scenario, transport=transport).passes()
        server.stop()
    return run_it


for name, scenario, options, transport in (
        ('publish', 'publish', (), 'u1'),
        ('publish-tcp', 'publish', (), 't1'),
        ('publish-412', 'publish_412', (), 'u1'),
        ('publish-415', 'publish_415', (), 'u1'),
        ('publish-423', 'publish_423', (), 'u1'),
        ('publish-489', 'publish_489', (), 'u1'),
        ('subscribe', 'subscribe', (), 'u1'),
        ('subscribe-tcp', 'subscribe', (), 't1'),
        ('subscribe-refused', 'subscribe_refused', (), 'u1'),
        ('subscribe-481', 'subscribe_481', (), 'u1'),
        ('subscribe-expires', 'subscribe_expires', ('--set', 'min_expires=1'), 'u1')):
    TESTS[name] = one_scenario(scenario, *options, transport=transport)


@test
def fetch(run):
    server = run.server()
    run.publish()
    run.sipp('fetch').passes()
    server.stop()


@test
def two_watchers(run, transport='u1'):
    server = run.server()
    watchers = [run.sipp('watcher', watcher=name, transport=transport) for name in ('bob', 'carol')]
    for name in ('bob', 'carol'):
        server.answered(name)
    run.sipp('phone', transport=transport).passes()
    for watcher in watchers:
        watcher.passes()
    server.stop()


@test
def two_watchers_tcp(run):
    two_watchers(run, 't1')


@test
def publication_expires(run):
    """A publication of one second that nobody refreshes: the watcher sees it come and go."""
    server = run.server('--set', 'min_expires=1')
    phone = run.phone()
    phone.subscribe(Expires='600')
    other = run.phone()
    other.send(message(body=PIDF, Expires='1'))
    begun = time.time()
    need(first_line(other.receive()) == 'SIP/2.0 200 OK', 'PUBLISH was not accepted')
    there = phone.receive()
    need(there and '<basic>open' in there, 'no NOTIFY of the publication')
    phone.answer(there)
    gone = phone.receive()
    need(gone and '<basic>' not in gone, 'no NOTIFY of its end')
    need(0.9 < time.time() - begun < 4, f'it ended after {time.time() - begun:.1f} s')
    server.stop()


# --- event packages and rules -----------------------------------------------------------------------

RULE = ('<rule id="{0}"><conditions><identity><one id="sip:{0}@example.com"/></identity></conditions>'
        '<actions><pr:sub-handling>{1}</pr:sub-handling></actions><transformations>{2}</transformations></rule>')
RULES = '<ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules">{}</ruleset>'
SERVICES = '<pr:provide-services><pr:all-services/></pr:provide-services>'
LAMP = ('<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="0" state="full" entity="sip:alice@example.com">'
        '<dialog id="d1" call-id="secret"><state>{}</state></dialog></dialog-info>')


def told(watcher, *expected):
    """What SIPp was told, as pairs of Subscription-State and a pattern of the body."""
    got = watcher.notified()
    need(len(got) == len(expected), f'{len(got)} NOTIFYs and not {len(expected)}: {got}')
    for (state, body), (wanted, pattern) in zip(got, expected):
        need(state == wanted and re.search(pattern, body, re.S), f'wanted {wanted} {pattern}, got {state} {body}')


def watcher_list(number, state, *watchers):
    """The pattern of a watcher information document."""
    return (f'version="{number}" state="{state}"[^>]*><watcher-list[^>]*>' +
            ''.join(f'<watcher [^>]*status="{status}" event="{event}"[^>]*>sip:{who}@example.com</watcher>'
                    for who, status, event in watchers) + '</watcher-list>')


@test
def rules_change(run):
    """Rules change while four watch: each SIGHUP tells those whom it concerns, and the owner."""
    rules = os.path.join(run.scratch, 'rules')
    os.mkdir(rules)

    def write(**who):
        with open(os.path.join(rules, 'alice@example.com.xml'), 'w') as file:
            file.write(RULES.format(''.join(RULE.format(name, *rule) for name, rule in who.items())))
        server.process.send_signal(signal.SIGHUP)

    everything, nothing = ('allow', SERVICES), ('allow', '')
    server = run.server('--rules-dir', rules, '--trust-from')
    write(bob=everything, carol=('block', ''), dave=('confirm', ''), erin=('polite-block', ''))
    etag = run.publish()
    owner = run.watch('alice', 'presence.winfo', 8)
    server.answered('alice')
    bob = run.watch('bob', 'presence', 9)
    server.answered('alice', 2)
    refused = run.watch('carol', 'presence', 9)
    server.answered('alice', 3)
    dave = run.watch('dave', 'presence', 3)
    server.answered('alice', 4)
    erin = run.watch('erin', 'presence', 3)
    server.answered('alice', 5)
    write(bob=('block', ''), carol=everything, dave=nothing, erin=everything)
    server.answered('alice', 6)
    server.answered('erin', 2)
    carol = run.watch('carol', 'presence', 2)
    server.answered('alice', 7)
    write(bob=('block', ''), carol=everything, dave=everything, erin=everything)
    server.answered('alice', 9)
    run.publish(PIDF.replace('open', 'closed'), etag=etag)

    there, gone, no_tuples = '<basic>open', '<basic>closed', '<presence (?!.*<tuple)'
    told(bob, ('active', there), ('terminated;reason=rejected', '^$'))
    need([first_line(m) for m in refused.received()] == ['SIP/2.0 403 Forbidden'], f'carol was told {refused.received()}')
    told(carol, ('active', there), ('active', gone), ('terminated;reason=timeout', gone))
    told(dave, ('pending', '^$'), ('active', no_tuples), ('active', there), ('terminated;reason=timeout', there))
    told(erin, ('active', no_tuples), ('active', there), ('active', gone), ('terminated;reason=timeout', gone))
    told(owner, ('active', watcher_list(0, 'full')),
         ('active', watcher_list(1, 'partial', ('bob', 'active', 'subscribe'))),
         ('active', watcher_list(2, 'partial', ('carol', 'terminated', 'rejected'))),
         ('active', watcher_list(3, 'partial', ('dave', 'pending', 'subscribe'))),
         ('active', watcher_list(4, 'partial', ('erin', 'active', 'subscribe'))),
         ('active', watcher_list(5, 'partial', ('bob', 'terminated', 'rejected'), ('dave', 'active', 'approved'))),
         ('active', watcher_list(6, 'partial', ('carol', 'active', 'subscribe'))),
         ('active', watcher_list(7, 'partial', ('dave', 'terminated', 'timeout'))),
         ('terminated;reason=timeout', watcher_list(8, 'full', ('erin', 'active', 'subscribe'), ('carol', 'active', 'subscribe'))))
    server.stop()


@test
def rules_for_who_waits(run):
    """Rules come for somebody whom nobody watches by now: at SIGHUP it is decided about who waits for her."""
    rules = os.path.join(run.scratch, 'rules')
    os.mkdir(rules)
    server = run.server('--rules-dir', rules, '--trust-from')
    owner = run.watch('alice', 'presence.winfo', 4)
    server.answered('alice')
    dave = run.watch('dave', 'presence', 1)
    server.answered('alice', 3)
    with open(os.path.join(rules, 'alice@example.com.xml'), 'w') as file:
        file.write(RULES.format(RULE.format('dave', 'allow', SERVICES)))
    server.process.send_signal(signal.SIGHUP)
    told(dave, ('pending', '^$'), ('terminated;reason=timeout', '^$'))
    told(owner, ('active', watcher_list(0, 'full')),
         ('active', watcher_list(1, 'partial', ('dave', 'pending', 'subscribe'))),
         ('active', watcher_list(2, 'partial', ('dave', 'waiting', 'timeout'))),
         ('active', watcher_list(3, 'partial', ('dave', 'terminated', 'approved'))),
         ('terminated;reason=timeout', watcher_list(4, 'full')))
    server.stop()


@test
def force_active(run):
    """With --force-active nobody is asked."""
    server = run.server('--rules-dir', run.scratch, '--force-active')
    phone = run.phone()
    phone.subscribe()
    server.stop()


@test
def winfo(run):
    """Who watches is told to the owner, in numbered documents, and to nobody else."""
    server = run.server('--trust-from')
    owner, stranger = run.watch('alice', 'presence.winfo', 3), run.watch('bob', 'presence.winfo', 9)
    server.answered('alice')
    watcher = run.watch('carol', 'presence', 2)
    server.answered('alice', 2)
    run.publish()
    told(owner, ('active', watcher_list(0, 'full')),
         ('active', watcher_list(1, 'partial', ('carol', 'active', 'subscribe'))),
         ('active', watcher_list(2, 'partial', ('carol', 'terminated', 'timeout'))),
         ('terminated;reason=timeout', watcher_list(3, 'full')))
    need([first_line(m) for m in stranger.received()] == ['SIP/2.0 403 Forbidden'], f'bob was told {stranger.received()}')
    watcher.passes()
    server.stop()


@test
def message_summary(run):
    """The lamp goes on and off, with the bytes of RFC 3842."""
    server = run.server()
    watcher = run.watch('bob', 'message-summary', 3)
    server.answered('bob')
    etag = run.publish('messages-waiting:YES\nVoice-Message: 2/8 (0/2)\n', 'message-summary')
    server.answered('bob', 2)
    run.publish('Messages-Waiting: no\r\n', 'message-summary', etag=etag)
    off = r'\AMessages-Waiting: no\r\n\Z'
    told(watcher, ('active', off), ('active', r'\AMessages-Waiting: yes\r\nVoice-Message: 2/8 \(0/2\)\r\n\Z'), ('active', off),
         ('terminated;reason=timeout', off))
    server.stop()


def lamp(number, dialog='(?!.*<dialog )'):
    """The pattern of a full dialog-info document: its number, and no dialog or this."""
    return f'version="{number}" state="full"{dialog}'


@test
def dialog(run):
    """Two lamps: the line's own phone sees its call, a stranger only that there is one; numbers count up."""
    server = run.server('--trust-from')
    own, stranger = run.watch('alice', 'dialog', 4), run.watch('bob', 'dialog', 3)
    server.answered('alice')
    server.answered('bob')
    etag = None
    for number, state in ((2, 'early'), (3, 'confirmed'), (4, 'terminated')):
        etag = run.publish(LAMP.format(state), 'dialog', etag=etag)
        server.answered('alice', number)
    told(own, ('active', lamp(0)),
         *(('active', lamp(number, f'.*call-id="secret".*<state>{state}'))
           for number, state in ((1, 'early'), (2, 'confirmed'), (3, 'terminated'))), ('terminated;reason=timeout', lamp(4)))
    told(stranger, ('active', lamp(0)), ('active', lamp(1, '(?!.*secret).*<state>confirmed')),
         ('active', lamp(2, '(?!.*secret).*<state>terminated')), ('terminated;reason=timeout', lamp(3)))
    server.stop()


@test
def dialog_sla(run):
    """A bridged line: the subscription is for the Contact's user, the document is the newest one; who does not share
    the line sees only that there is a call."""
    server = run.server('--trust-from')
    watcher = run.watch('line', 'dialog;sla', 3, contact='line')
    server.answered('line')
    run.publish(LAMP.format('trying'), 'dialog;sla', service='line')
    server.answered('line', 2)
    run.publish(LAMP.format('confirmed'), 'dialog;sla', service='line')
    told(watcher, ('active', lamp(0)), ('active', lamp(1, '.*secret.*<state>trying')), ('active', lamp(2, '.*<state>confirmed')),
         ('terminated;reason=timeout', lamp(3, '.*<state>confirmed')))
    virtual = '(?!.*secret).*<state>confirmed'
    told(run.watch('bob', 'dialog;sla', 1, contact='line'), ('active', lamp(0, virtual)), ('terminated;reason=timeout', lamp(1, virtual)))
    need({header(m, 'Event') for m in watcher.received() if m.startswith('NOTIFY')} == {'dialog;sla'}, 'Event')
    server.stop()


# --- NOTIFYs that fail ------------------------------------------------------------------------------

def failing_watcher(run, scenario, *options):
    server = run.server(*options)
    watcher = run.sipp(scenario)
    server.answered('bob')
    run.publish()
    watcher.passes()
    need(server.count(r'-> sip:bob@.*NOTIFY') == 2, 'the server sent a NOTIFY after the subscription was gone')
    server.stop()


@test
def notify_481(run):
    failing_watcher(run, 'notify_481')


@test
def notify_401(run):
    """A challenge that this server cannot answer does not end the subscription: changes are told on."""
    server = run.server()
    phone = run.phone()
    phone.send(message('SUBSCRIBE', Expires='600'))
    reply, notify = phone.receive(), phone.receive()
    need(first_line(reply) == 'SIP/2.0 200 OK' and first_line(notify).startswith('NOTIFY '), f'got {reply} {notify}')
    phone.answer(notify, '401 Unauthorized')
    server.wait_for(r'<- sip:bob@.* 403 to NOTIFY CSeq=1$')
    run.publish()
    changed = phone.receive()
    need(first_line(changed).startswith('NOTIFY ') and '<basic>open' in changed, f'got {changed}')
    phone.answer(changed)
    server.stop()


@test
def notify_unanswered(run):
    failing_watcher(run, 'notify_unanswered', '--timer-f', '1000')


@test
def notify_unreachable(run):
    """Contacts that lead nowhere: the subscription is refused or ends, and the server goes on."""
    server = run.server()
    for contact in (f'<sip:bob@127.0.0.1:{free_port()}>', f'<sip:bob@127.0.0.1:{free_port()};transport=tcp>',
                    '<sip:bob@127.0.0.1;transport=tls>', '<sips:bob@127.0.0.1>', '<sip:bob@[::1]:9>',
                    '<sip:bob@no-such-host.invalid>', '<tel:+123>', '<http://127.0.0.1/>', '*'):
        phone = run.phone()
        request = message('SUBSCRIBE', Contact=contact)
        phone.send(request)
        reply = phone.receive()
        if contact.startswith('<sip'):
            need(first_line(reply) == 'SIP/2.0 200 OK', f'{contact}: {first_line(reply)}')
            target = re.escape(contact.strip('<>'))
            server.wait_for(rf'<- {target} no answer to NOTIFY|-- {target} NOTIFY cannot be sent')
            again = message('SUBSCRIBE', To=header(reply, 'To'), Call_ID=header(reply, 'Call-ID'),
                            From=header(reply, 'From'), CSeq='2 SUBSCRIBE')
            phone.send(again)
            reply = phone.receive()
            need(first_line(reply).startswith('SIP/2.0 481'), f'{contact}: refresh got {first_line(reply)}')
        else:
            need(re.match(r'SIP/2.0 4', first_line(reply)), f'{contact}: {first_line(reply)}')
    server.stop()


@test
def notify_answers(run):
    """Answers as phones write them; what is no answer to this NOTIFY changes nothing."""
    server = run.server()
    phone, other = run.phone(), run.phone()
    phone.subscribe(Expires='600')
    etag, cseq = run.publish(), 2

    def lines(notify, *names):
        return [f'{name}: {header(notify, name)}' for name in names]

    def plain(notify, status='200 OK', more=()):
        return [f'SIP/2.0 {status}', *lines(notify, 'Via', 'From', 'To', 'Call-ID', 'CSeq'), *more, 'Content-Length: 0', '', '']

    def replaced(old, new):
        return lambda notify: [re.sub(old, new, line) for line in plain(notify)]

    def other_digit(match):  # a stack compares branches without case, and its own may begin with anything
        return match[1] + ('y' if match[2] in 'xX' else 'x')

    strange = [replaced('(branch=z9hG4bK)(.)', other_digit), replaced('branch=z9hG4bK', 'branch=none'), replaced('branch=.*', 'branch='),
               replaced('1 NOTIFY|2 NOTIFY|NOTIFY', 'PUBLISH'), replaced('^Via: .*', 'Via: garbage'), replaced('^Via: .*', 'X: y'),
               replaced('SIP/2.0 200 OK', 'SIP/2.0 100 Trying'), replaced('SIP/2.0 200 OK', 'SIP/2.0 99 Low'), replaced('SIP/2.0 200', 'SIP/2.0 2x0'),
               replaced('^Via: ', 'Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKother, ')]
    for status, written in (
            ('200', plain), ('202', lambda n: plain(n, '202 Accepted')), ('200', lambda n: plain(n, more=['X-Long: ' + 'x' * 4000])),
            ('200', lambda n: [line.replace('Via:', 'v :').replace('CSeq:', 'cseq:').replace('From', 'f') for line in plain(n)]),
            ('200', lambda n: '\n'.join(plain(n)).replace('Via: ', 'Via:\n ').split('\n')),
            ('200', lambda n: [line + ';received=192.0.2.9' if line.startswith('Via') else line for line in plain(n)]),
            ('503', lambda n: plain(n, '503 Service Unavailable', ['Retry-After: 5'])),
            ('403', lambda n: plain(n, '407 Proxy Authentication Required')), ('481', lambda n: plain(n, '481 Gone'))):
        notify = phone.receive()
        need(header(notify, 'CSeq') == f'{cseq} NOTIFY', f'got {notify}')
        for one in strange:
            phone.send('\r\n'.join(one(notify)))
        phone.receive(0.05)
        need(server.count(rf'to NOTIFY CSeq={cseq}$') == 0, f'what is no answer to NOTIFY {cseq} counted as one')
        sender = phone if cseq % 2 else other  # from wherever it comes
        for _ in range(2):
            sender.send('\r\n'.join(written(notify)))
        server.wait_for(rf'<- sip:bob@.* {status} to NOTIFY CSeq={cseq}$')
        cseq += 1
        etag = run.publish(PIDF.replace('desk', f'desk{cseq}'), etag=etag)
    need(phone.receive(0.7) is None, 'a NOTIFY came after the subscription had ended')
    need(server.count('to NOTIFY') == server.count('-> sip:bob@.*NOTIFY'), 'an answer counted twice, or never')
    server.stop()


@test
def both_ways(run):
    """A NOTIFY has the same lines past the stack and by it, but for what is made up for each."""
    phone = run.phone()
    routes = f'Record-Route: <sip:127.0.0.1:{phone.port};lr>, <sip:p2.example.com;lr>\r\n'

    def notifies(*options):
        server = run.server(*options)
        got = []
        for more in ('', routes):
            call = {'Call_ID': 'both' + str(len(more)), 'From': '<sip:bob@example.com>;tag=bob', 'Event': 'presence;id=7'}
            reply, first = phone.subscribe(Expires='600', more=more, **call)
            etag = run.publish()
            second = phone.receive()
            phone.answer(second)
            phone.send(message('SUBSCRIBE', CSeq='2 SUBSCRIBE', To=header(reply, 'To'), Expires='0', **call))
            phone.receive()
            third = phone.receive()
            phone.answer(third)
            server.wait_for('to NOTIFY CSeq=3')
            run.publish(PIDF, etag=etag)
            got += [first, second, third]
        server.stop()
        return [re.sub(r'branch=[^;\r]*|tag=\w{20}|expires=\d+', '', text).replace('\r\nRoute: <sip:p2', ', <sip:p2') for text in got]

    past, by = notifies(), notifies('--notify-by-stack')
    for one, other in zip(past, by):
        need(one == other, f'{one}\n--- and by the stack\n{other}')


# --- what the transaction layer does ----------------------------------------------------------------

@test
def retransmission(run):
    """The same bytes twice are one request: the same answer again, and nothing else happens."""
    server = run.server()
    phone = run.phone()
    request = message('SUBSCRIBE', Expires='600')
    phone.send(request)
    first = phone.all()
    need([first_line(m).split(' ')[0] for m in first] == ['SIP/2.0', 'NOTIFY'], f'got {first}')
    phone.answer(first[1])
    phone.send(request)
    need(phone.all() == [first[0]], 'the repeated SUBSCRIBE did not get the same answer, alone')

    request = message(body=PIDF)
    other = run.phone()
    other.send(request)
    published = other.receive()
    phone.answer(phone.receive())
    other.send(request)
    need(other.all() == [published], 'the repeated PUBLISH did not get the same answer')
    need(phone.all(0.3) == [], 'the repeated PUBLISH was told to the watcher')
    need(server.count('<- 127.*PUBLISH') == 1 and server.count('<- 127.*SUBSCRIBE') == 1, 'the engine saw a retransmission')
    server.stop()


@test
def merged_request(run):
    """The same request by another path (same Call-ID, From tag and CSeq, other branch): 482."""
    server = run.server()
    phone = run.phone()
    request = message(body=PIDF)
    phone.send(request)
    need(first_line(phone.receive()) == 'SIP/2.0 200 OK', 'PUBLISH was not accepted')
    phone.send(request.replace('branch=z9hG4bK', 'branch=z9hG4bK-other'))
    need(first_line(phone.receive()).startswith('SIP/2.0 482'), 'no 482')
    server.stop()


@test
def notify_repeated(run):
    """A NOTIFY that is not answered at once is sent again, byte for byte."""
    server = run.server()
    phone = run.phone()
    phone.send(message('SUBSCRIBE', Expires='600'))
    first = phone.all()[1]
    again = phone.receive()
    need(again == first, 'no equal second NOTIFY')
    phone.answer(again)
    need(phone.receive(2) is None, 'a third NOTIFY came')
    server.stop()


@test
def record_route(run):
    """NOTIFYs take the way the SUBSCRIBE came: the proxy gets them, with the route set in order."""
    server = run.server()
    proxy, watcher = run.phone(), run.phone()
    routes = f'<sip:127.0.0.1:{proxy.port};lr>, <sip:p2.example.com;lr>'
    watcher.send(message('SUBSCRIBE', more=f'Record-Route: {routes}\r\n'))
    need(len(watcher.all()) == 1, 'the NOTIFY did not go to the proxy')
    notify = proxy.receive()
    need(first_line(notify) == f'NOTIFY sip:bob@127.0.0.1:{watcher.port} SIP/2.0', first_line(notify))
    need(', '.join(re.findall(r'^Route: *(.*?)\r$', notify, re.M)) == routes, 'the route set is another')
    server.stop()


@test
def large_documents(run):
    """A PUBLISH of 60 kB and its NOTIFYs, by TCP, and to a watcher who only has UDP."""
    server = run.server()
    watcher = run.phone()
    watcher.subscribe()
    body = PIDF.replace('</presence>', ''.join(f'<note>{"x " * 1000}{i}</note>' for i in range(29)) + '</presence>')
    stream = Stream(run.port)
    stream.send(message(body=body))
    need(first_line(stream.receive()) == 'SIP/2.0 200 OK', 'PUBLISH by TCP was not accepted')
    notify = watcher.receive(5)
    need(notify and len(notify) > 55000 and '</presence>' in notify, 'the UDP watcher did not get it whole')
    watcher.answer(notify)
    server.wait_for(r'200 to NOTIFY CSeq=2')
    stream.send(message(body='<' + 'x' * 70000))
    need(first_line(stream.receive()).startswith('SIP/2.0 413'), 'no 413 for a document that is too large')
    server.stop()


for name in ('subscribe', 'two-watchers', 'notify-481', 'notify-401', 'notify-unanswered', 'notify-unreachable', 'notify-answers',
             'retransmission', 'notify-repeated', 'record-route', 'large-documents'):
    def by_stack(run, name=name):
        run.options = ('--notify-by-stack',)
        TESTS[name](run)
    TESTS[name + '-by-stack'] = by_stack


# --- bad input --------------------------------------------------------------------------------------

class Stream:
    """A TCP connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(('127.0.0.1', port))
        self.port = self.socket.getsockname()[1]

    def send(self, text):
        text = text.replace('@PORT@', str(self.port)).replace('SIP/2.0/UDP', 'SIP/2.0/TCP')
        self.socket.sendall(text.encode('latin1'))

    def receive(self, seconds=5.0):
        """What has come when it is quiet, or when the other side closes."""
        got = b''
        self.socket.settimeout(seconds)
        try:
            while True:
                more = self.socket.recv(65536)
                if not more:
                    break
                got += more
                self.socket.settimeout(0.2)
        except (socket.timeout, ConnectionResetError):
            pass
        return got.decode('latin1')


def check_each(cases, send_and_receive):
    """Runs all cases, then says which went wrong. An expectation of None means: no answer."""
    wrong = []
    for what, text, expected in cases:
        reply = send_and_receive(text, expected)
        good = reply in (None, '') if expected is None else bool(reply) and re.match(f'SIP/2.0 {expected}', reply)
        print(f'  {"ok    " if good else "FAILED"} {what}: {first_line(reply)}')
        if not good:
            wrong.append(f'{what}: wanted {expected}, got {first_line(reply)}')
    need(not wrong, '\n'.join(wrong))


@test
def malformed(run):
    """Everything with a Via that leads back gets a 4xx; nothing is silence, nothing is a crash."""
    server = run.server()

    def publish(**changes):
        return message(body=PIDF, **changes)

    def subscribe(**changes):
        return message('SUBSCRIBE', **changes)

    cases = [(f'PUBLISH without {name}', publish(without=(name,)), 400) for name in ('From', 'To', 'Call-ID', 'CSeq', 'Content-Type')]
    cases += [(f'SUBSCRIBE without {name}', subscribe(without=(name,)), 400) for name in ('From', 'To', 'Call-ID', 'CSeq', 'Contact')]
    cases += [('no Event', publish(without=('Event',)), 489)]
    cases += [(f'CSeq {value}', publish(CSeq=value), 400) for value in ('x', '1', '-1 PUBLISH', '99999999999 PUBLISH', '1 SUBSCRIBE')]
    cases += [('CSeq 2147483648', subscribe(CSeq='2147483648 SUBSCRIBE'), 400)]
    cases += [(f'two {name} headers', publish(more=f'{name}: {value}\r\n'), 400)
              for name, value in (('Event', 'dialog'), ('From', '<sip:x@y>;tag=z'), ('Call-ID', 'z'), ('CSeq', '2 PUBLISH'))]
    cases += [('two Expires headers', publish(more='Expires: 600\r\nExpires: 700\r\n'), 400)]
    cases += [('two SIP-If-Match headers', publish(more='SIP-If-Match: a\r\nSIP-If-Match: b\r\n'), 400)]
    cases += [(f'Event {value!r}', publish(Event=value), '4(00|89)') for value in
              ('', 'presence, dialog', 'pres ence', 'presence;id=1;id=2', 'pres\x01ence', 'pres\x00ence', '.winfo', 'a..b', 'Presence')]
    cases += [(f'Expires {value!r}', publish(Expires=value), 400) for value in
              ('', 'x', '-1', '60s', '1.5', '4294967296', '99999999999999999999', '600, 700', 'Thu, 01 Dec 1994 16:00:00 GMT')]
    cases += [(f'SIP-If-Match {value!r}', publish(SIP_If_Match=value), '4(00|12)') for value in ('', 'a, b', '"a"', '*', 'a b')]
    cases += [(f'Content-Length {value!r}', publish(Content_Length=value), 400) for value in ('5000', '3', '-1', 'x', '99999999999999999999')]
    cases += [(f'Contact {value!r}', subscribe(Contact=value), 400) for value in
              ('', '*', '<<>>', '<sip:>', '<sip:a@127.0.0.1>, <sip:b@127.0.0.1>', 'sip:a b@c', '<tel:+123>')]
    cases += [(f'Accept {value!r}', subscribe(more=f'Accept: {value}\r\n'), '40[06]') for value in ('', ';;;', 'text/plain')]
    cases += [(f'{name} garbage', subscribe(**{name: value}), 400) for name, value in
              (('To', '<<<'), ('From', '"open <sip:a@b>;tag=x'), ('From', '<sip:bob@example.com>'), ('Record-Route', '<<'),
               ('Require', ',,;;'), ('Max-Forwards', 'x'))]
    cases += [(f'Request-URI {value!r}', publish(uri=value), 400) for value in
              ('', 'alice', 'sip:', 'sip:a b@c', 'sip:@x', 'sip:alice@[::1', 'sip:%zz@x', '<sip:a@b>', 'http://x/', 'sip:alice@example.com:99999')]
    cases += [('Request-URI of 5000 bytes', publish(uri='sip:' + 'a' * 5000 + '@example.com'), 414)]
    cases += [(f'version {value!r}', publish(version=value), '(400|505)') for value in ('', 'SIP/3.0', 'HTTP/1.1', 'SIP/2.0 x')]
    cases += [('a document that is not XML', message(body='hello'), 400),
              ('a document of another namespace', message(body='<presence/>'), 400),
              ('a DOCTYPE', message(body='<!DOCTYPE p [<!ENTITY a "b">]>' + PIDF), 400)]
    # Nobody can be answered here: no Via to answer to, or a message that is never answered.
    cases += [('no Via', publish(without=('Via',)), None), ('garbage in Via', publish(Via='garbage'), None),
              ('random bytes', '\x80\x81\x82\r\n\r\n', None), ('an empty packet', '', None), ('two line ends', '\r\n\r\n', None),
              ('ACK', message('ACK'), None), ('ACK with a broken URI', message('ACK', uri='sip:a b@c'), None),
              ('a response to nothing', message().replace('PUBLISH sip:alice@example.com SIP/2.0', 'SIP/2.0 200 OK', 1), None)]

    def exchange(text, expected):
        phone = run.phone()
        phone.send(text)
        return phone.receive(0.2 if expected is None else 5)

    check_each(cases, exchange)
    need(first_line(exchange(publish(), 200)) == 'SIP/2.0 200 OK', 'a proper PUBLISH is not accepted afterwards')
    server.stop()


@test
def malformed_tcp(run):
    server = run.server()
    good = lambda **changes: message(body=PIDF, **changes)
    cases = [('no Content-Length', good(without=('Content-Length',)), 400),
             ('Content-Length x', good(Content_Length='x'), 400), ('Content-Length -1', good(Content_Length='-1'), 400),
             ('Content-Length 99999999', good(Content_Length='99999999'), 413),
             ('Content-Length 3', good(Content_Length='3'), 400), ('no CSeq', good(without=('CSeq',)), 400),
             ('a blank in the Request-URI', good(uri='sip:a b@c'), 400), ('random bytes', '\x80\x81\r\n\r\n', None),
             ('line ends to keep alive', '\r\n\r\n', None), ('half a request', good()[:100], None)]
    open_connections = []

    def exchange(text, expected):
        stream = Stream(run.port)
        open_connections.append(stream)  # those that hang must not hinder the others
        stream.send(text)
        return stream.receive(0.2 if expected is None else 5)

    check_each(cases, exchange)
    stream = Stream(run.port)
    whole = good()
    stream.send(whole[:150])
    time.sleep(0.1)
    stream.send(whole[150:] + good())
    need(stream.receive().count('SIP/2.0 200 OK') == 2, 'two requests in three pieces are not answered by two 200')
    server.stop()


@test
def other_methods(run):
    server = run.server()
    phone = run.phone()
    for method in ('INVITE', 'BYE', 'REGISTER', 'MESSAGE', 'publish', 'NEWMETHOD'):
        phone.send(message(method))
        reply = phone.receive()
        need(first_line(reply) == 'SIP/2.0 405 Method Not Allowed', f'{method}: {first_line(reply)}')
        need('PUBLISH' in (header(reply, 'Allow') or ''), f'{method}: no Allow')
    for method in ('CANCEL', 'NOTIFY'):
        phone.send(message(method))
        need(first_line(phone.receive()).startswith('SIP/2.0 481'), method)
    phone.send(message('OPTIONS'))
    reply = phone.receive()
    need(first_line(reply) == 'SIP/2.0 200 OK', 'OPTIONS')
    for name, part in (('Allow', 'PUBLISH'), ('Allow', 'SUBSCRIBE'), ('Allow-Events', 'presence'), ('Accept', 'pidf')):
        need(part in (header(reply, name) or ''), f'OPTIONS: {name} lacks {part}')
    server.stop()


# --- who and where ----------------------------------------------------------------------------------

@test
def domain(run):
    server = run.server('--domain', 'example.com', '--domain', 'example.net')
    phone = run.phone()
    for host, status in (('example.com', 200), ('EXAMPLE.net', 200), ('example.org', 404), ('sub.example.com', 404)):
        phone.send(message(uri=f'sip:alice@{host}', body=PIDF))
        reply = phone.receive()
        need(first_line(reply).startswith(f'SIP/2.0 {status}'), f'{host}: {first_line(reply)}')
    server.stop()


@test
def trust_from(run):
    server = run.server('--trust-from', '--set', 'require_auth=1')
    phone = run.phone()
    for sender, status in (('alice', 200), ('bob', 403)):
        phone.send(message(From=f'<sip:{sender}@example.com>;tag={sender}', body=PIDF))
        reply = phone.receive()
        need(first_line(reply).startswith(f'SIP/2.0 {status}'), f'{sender}: {first_line(reply)}')
    server.stop()


@test
def nothing_proven(run):
    """Without --trust-from nobody is proven, and there is nothing that could check a password."""
    server = run.server('--set', 'require_auth=1')
    phone = run.phone()
    phone.send(message(body=PIDF))
    need(first_line(phone.receive()).startswith('SIP/2.0 403'), 'not refused')
    server.stop()


@test
def trace(run):
    """What memory was asked for, without a name."""
    path = os.path.join(run.scratch, 'trace')
    server = run.server('--trace', path)
    run.publish()
    run.phone().subscribe()
    server.stop()
    with open(path) as file:
        lines = [line.split() for line in file]
    need([line[1] for line in lines] == ['publish', 'subscribe'], f'got {lines}')
    need(re.fullmatch('[0-9a-f]{16}', lines[0][2]) and lines[0][2] == lines[1][2], f'got {lines}')
    need(int(lines[1][3]) > int(lines[0][3]) > 0, f'got {lines}')


# --- the end, and after it --------------------------------------------------------------------------

@test
def restart(run):
    """Killed in mid-dialog: the dialog goes on, CSeq rises, the publication answers its tag."""
    database = run.database()
    server = run.server(*database)
    etag = run.publish()
    watcher = run.sipp('watcher_restart')
    server.wait_for(r'<- sip:bob@.* 200 to NOTIFY')
    server.kill()
    server = run.server(*database)
    run.publish(PIDF.replace('open', 'closed'), etag=etag)
    watcher.passes()
    server.stop()


@test
def restart_after_expiry(run):
    """What lapsed while the server was down ends properly when it is back."""
    options = run.database() + ['--set', 'min_expires=1']
    server = run.server(*options)
    short, long, publisher = run.phone(), run.phone(), run.phone()
    begun = time.time()
    short.subscribe(Expires='3')
    long.subscribe(Expires='600')
    publisher.send(message(body=PIDF, Expires='3'))
    tag = header(publisher.receive(), 'SIP-ETag')
    for phone in (short, long):
        phone.answer(phone.receive())
    server.wait_for(r'200 to NOTIFY CSeq=2')
    need(time.time() - begun < 2.5, 'this machine is too busy for this test')
    server.kill()
    time.sleep(begun + 3.5 - time.time())
    server = run.server(*options)
    ended = short.receive()
    need(ended and 'terminated;reason=timeout' in (header(ended, 'Subscription-State') or ''), 'no last NOTIFY')
    short.answer(ended)
    told = long.receive()
    need(told and '<basic>' not in told, 'the end of the publication was not told')
    need(header(told, 'Subscription-State').startswith('active;expires='), 'the long subscription is not active')
    need(int(header(told, 'CSeq').split()[0]) > 2, 'CSeq did not rise')
    long.answer(told)
    publisher.send(message(SIP_If_Match=tag))
    need(first_line(publisher.receive()).startswith('SIP/2.0 412'), 'the lapsed tag is not dead')
    server.stop()


@test
def terminate(run):
    """SIGTERM and SIGINT end the server with code 0, also with NOTIFYs still unanswered."""
    for number in (signal.SIGTERM, signal.SIGINT):
        server = run.server(*run.database())
        phone = run.phone()
        phone.send(message('SUBSCRIBE'))
        need(len(phone.all(quiet=0.1)) == 2, 'no NOTIFY')
        server.process.send_signal(number)
        need(server.process.wait(10) == 0, f'ended with {server.process.returncode}')


@test
def command_line(run):
    """Mistakes on the command line are told in one sentence, and nothing is started."""
    for arguments, code, part in ((['--help'], 0, 'usage:'), ([], 2, '--listen'), (['--listen', 'x:y'], 2, 'udp:ADDRESS'),
                                  (['--set', 'no_such=1'], 2, 'no_such'), (['--set', 'max_expires=x'], 2, 'max_expires'),
                                  (['--listen', 'udp:192.0.2.1:5060'], 1, 'cannot listen'),
                                  (['--listen', 'udp:127.0.0.1:0', '--db-url', 'sqlite:///no/such/directory/x.db'], 1, 'presence-server:')):
        ended = subprocess.run([run.server_program] + arguments, capture_output=True, text=True, timeout=10)
        need(ended.returncode == code, f'{arguments}: ended with {ended.returncode}')
        need(part in ended.stdout + ended.stderr, f'{arguments}: said {ended.stdout + ended.stderr}')


# ----------------------------------------------------------------------------------------------------

def run_tests(tests, names, new_run):
    """Runs those with these names, or all; returns the exit code."""
    def too_long(*_):
        raise AssertionError('took longer than 90 seconds')
    signal.signal(signal.SIGALRM, too_long)

    failed, skipped = 0, 0
    for name in names or tests:
        begun = time.time()
        run = new_run()
        signal.alarm(90)
        try:
            tests[name](run)
            print(f'passed {name} ({time.time() - begun:.1f} s)')
        except Skipped as why:
            skipped += 1
            print(f'skipped {name}: {why}')
        except Exception as error:  # whatever it was, it is this test's failure
            failed += 1
            print(f'FAILED {name}: {error}')
            if not isinstance(error, AssertionError):
                traceback.print_exc(file=sys.stdout)
            for server in run.servers:
                print('  the server logged:')
                print(''.join(f'    {line}\n' for line in server.log[-60:]))
        finally:
            signal.alarm(0)
            run.close()
        sys.stdout.flush()
    total = len(names or tests)
    print(f'{total - failed - skipped} passed, {failed} failed')
    return 1 if failed else 77 if skipped == total else 0  # 77 means "skipped" to Meson


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--server', help='the presence-server to test')
    parser.add_argument('--sipp', default='sipp', help='the SIPp to use (package sip-tester)')
    parser.add_argument('--no-database', action='store_true', help='the server has none: skip what needs it')
    parser.add_argument('--list', action='store_true', help='print the names of all tests')
    parser.add_argument('names', nargs='*', metavar='NAME', help='tests to run (default: all)')
    arguments = parser.parse_args()
    if arguments.list:
        print('\n'.join(TESTS))
        return 0
    unknown = [name for name in arguments.names if name not in TESTS]
    if unknown or not arguments.server:
        parser.error(f'no test named {unknown[0]}' if unknown else '--server is missing')

    return run_tests(TESTS, arguments.names, lambda: Run(os.path.abspath(arguments.server), arguments.sipp, not arguments.no_database))


if __name__ == '__main__':
    sys.exit(main())
