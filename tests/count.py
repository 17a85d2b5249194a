#!/usr/bin/env python3
"""Adds up what `meson test` ran: count.py BUILD-DIRECTORY

A doctest program counts with its test cases, every other test as one. Prints what failed, and as
the last line `N passed, N failed`. A crashed or timed out program counts as one failure more.
"""
import json
import re
import sys

passed = failed = skipped = 0
try:
    lines = list(open(f'{sys.argv[1]}/meson-logs/testlog.json'))
except FileNotFoundError:
    sys.exit('failed: no test has run\n0 passed, 1 failed')
for line in lines:
    test = json.loads(line)
    cases = re.search(r'test cases: *(\d+) *\| *(\d+) passed *\| *(\d+) failed', test.get('stdout') or '')
    good = test['result'] in ('OK', 'EXPECTEDFAIL')
    if test['result'] == 'SKIP':
        skipped += 1
        print(f'skipped: {test["name"]}')
        continue
    if cases:
        passed += int(cases.group(2))
        failed += int(cases.group(3))
    else:
        passed += good
    if not good:
        failed += not (cases and int(cases.group(3)))
        print(f'failed: {test["name"]} ({test["result"]})')
if skipped:
    print(f'{skipped} skipped')
print(f'{passed} passed, {failed} failed')
sys.exit(1 if failed or not passed else 0)
