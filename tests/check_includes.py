#!/usr/bin/env python3
"""Who may include whom: prints each include that breaks a rule; exit status 1 if there is one."""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)

# a third-party header -> where it may be seen
SEEN_IN = {
    "rapidxml/": ["src/xml"],
    "soci/": ["backends/soci/", "bench/", "tests/"],
    "boost/multi_index": ["src/memory_storage.cpp"],
    "doctest/": ["tests/"],
    "sofia-sip/": ["docs/examples/"],
    "benchmark/": ["bench/"],
    "boost/intrusive": ["include/presence/cache/policy.hpp", "include/presence/timer_wheel.hpp"],
}
VALUES = {"time", "result", "body", "dialog", "requests", "effects", "options", "random", "trace"}
RULES = {"publication", "subscription", "watcher_state", "notify_outcome", "grammar", "uri"}
MEMORY = {"state_table", "subscription_table", "timer_wheel", "slab", "keyed_hash", "cache/policy"}
# cache policies know each other, and a value or an error; no SIP, no keys, no clock
POLICIES = {f"cache/{p.stem}" for p in (root / "include/presence/cache").glob("*.hpp")}
KINDS = [("value", VALUES, VALUES), ("rule", RULES, VALUES | RULES), ("policy", POLICIES, POLICIES | {"result"})]

wrong = []
files = [p for d in ("include", "src", "backends", "tests", "bench", "docs") for p in sorted((root / d).rglob("*.[hc]pp"))]
for path in files:
    name = path.relative_to(root).as_posix()
    text = path.read_text()
    included = INCLUDE.findall(text)
    for header in included:
        for prefix, places in SEEN_IN.items():
            if header.startswith(prefix) and not any(name.startswith(p) for p in places):
                wrong.append(f"{name}: {header} belongs in {places}")
    if not name.startswith("include/presence/"):
        continue
    own = [h[len("presence/"):-len(".hpp")] for h in included if h.startswith("presence/")]
    for kind, members, allowed in KINDS:
        if name[len("include/presence/"):-len(".hpp")] in members:
            wrong += [f"{name}: a {kind} includes {header}" for header in own if header not in allowed]
    for banned in ("iostream", "regex", "presence/engine.hpp"):
        if banned in included and path.stem not in ("presence", "engine", "sharded_engine"):
            wrong.append(f"{name}: includes {banned}")
    if re.search(r"^using namespace", text, re.M):
        wrong.append(f"{name}: using namespace in a header")

# what an embedder pays for: presence.hpp leads to none of the tables
seen, todo = set(), ["presence"]
while todo:
    stem = todo.pop()
    if stem in seen:
        continue
    seen.add(stem)
    text = (root / "include/presence" / f"{stem}.hpp").read_text()
    todo += [h[len("presence/"):-len(".hpp")] for h in INCLUDE.findall(text) if h.startswith("presence/")]
for stem in sorted(seen & MEMORY):
    wrong.append(f"presence.hpp leads to {stem}.hpp")

print("\n".join(wrong) if wrong else f"{len(files)} files include only what they may")
sys.exit(1 if wrong else 0)
