#!/usr/bin/env python3
"""PF11: what `#include <presence/presence.hpp>` costs to compile, beside the standard headers it needs.

usage: compile_cost.py [COMPILER] [FLAG]...     default: g++ -std=c++20 -fsyntax-only
Both are compiled in turn; the least processor time of eleven counts, for whatever else runs only adds to it.
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

if sys.argv[1:] and sys.argv[1] in ("-h", "--help"):
    sys.exit(print(__doc__))
command = sys.argv[1:] or ["g++"]
if len(command) == 1:
    command += ["-std=c++20", "-fsyntax-only"]
include = pathlib.Path(__file__).resolve().parent.parent / "include"

ours, standard, todo = set(), set(), ["presence/presence.hpp"]
while todo:
    for name in re.findall(r"^#include <([^>]+)>", (include / todo.pop()).read_text(), re.M):
        if not name.startswith("presence/"):
            standard.add(name)
        elif name not in ours:
            ours.add(name)
            todo.append(name)

with tempfile.TemporaryDirectory() as place:
    texts = {"presence": ["presence/presence.hpp"], "standard": sorted(standard)}
    best = {}
    for name, headers in texts.items():
        pathlib.Path(place, name + ".cpp").write_text("".join(f"#include <{h}>\n" for h in headers))
    for _ in range(11):
        for name in texts:
            before = os.times()
            subprocess.run(command + [f"-I{include}", name + ".cpp"], cwd=place, check=True)
            after = os.times()
            took = after.children_user + after.children_system - before.children_user - before.children_system
            best[name] = min(best.get(name, took), took)
print("the standard headers:", ", ".join(sorted(standard)))
ours, theirs = best["presence"], best["standard"]
print(f"{' '.join(command)}: {ours:.2f} s beside {theirs:.2f} s, {ours / theirs:.2f} x")
