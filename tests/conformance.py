#!/usr/bin/env python3
"""Which test shows which row: reads the row ids that test names and flows cite.

conformance.py SOURCES           checks that docs/conformance.md has the table as it is
conformance.py SOURCES --write   writes it there
conformance.py SOURCES --rows    prints the ids alone
"""
import pathlib
import re
import sys

HEAD = "<!-- table: tests/conformance.py -->"
ID = r"(?:[A-Z][A-Z0-9]*(?:-[A-Za-z0-9][A-Za-z0-9.]*)+|[PSNWZTCMGLVQ]\d\d|(?:RL|PF)\d+)"
AREAS = [("Publications (features E1)", r"P\d\d"), ("Subscriptions (E2)", r"S\d\d"), ("NOTIFYs (E3)", r"N\d\d"),
         ("Watcher information, authorization (E4, E5)", r"[WZ]\d\d"), ("Storage (E6, E7)", r"[TC]\d\d"),
         ("Time (E8)", r"M\d\d"), ("Insight (E9)", r"G\d\d"), ("The API (E10)", r"L\d\d"),
         ("Packages, safety (E11, E14)", r"[VQ]\d\d"), ("Defects of other servers (D2), traps of the peers", r"(D2|TRAP)-\d+"),
         ("Reliability, performance", r"(RL|PF)\d+"), ("Host contract", r"HOST-.*"), ("Grammar", r"GRM-.*"),
         ("RFC 6665", r"(EVT|DELTA)-.*"), ("RFC 3903", r"PUB-.*"),
         ("Presence documents: RFC 3856, 3863, 4479, 4480; composition", r"(PRS|PIDF|DM|RPID|CMP|EXT|CIP|TIM|CAP|CPP)-.*"),
         ("Watcher information: RFC 3857", r"WIN-.*"), ("Authorization: RFC 4745, 5025", r"POL-.*"),
         ("Security", r"SEC-.*"), ("Founding document", r"SEED-.*"), ("Test vectors", r"TV-.*"), ("Properties", r"PROP-.*")]


def expand(text):
    """The ids in a citation; `P08-P12`, `TV-11..14`, `EVT-4.2.2-7 to -10`, `X-1, -2` are written out."""
    found, last = [], ""
    text = re.sub(r"(TRAP|D2|TV|RL)-(\d+) ?(?:\.\.|to) ?(?:\1-|-)?(\d+)",
                  lambda m: ", ".join(f"{m[1]}-{n:0{len(m[2])}}" for n in range(int(m[2]), int(m[3]) + 1)), text)
    text = re.sub(r"\b([PSNWZTCMGLVQ])(\d\d)-\1(\d\d)\b",
                  lambda m: ", ".join(f"{m[1]}{n:02}" for n in range(int(m[2]), int(m[3]) + 1)), text)
    for token in re.split(r"[,;\s]+", text):
        token = token.strip("().:")
        span = re.fullmatch(r"(-?|.*-)(\d+)(?:\.\.|to)-?(\d+)", token)
        if re.fullmatch(ID, token) and ".." not in token:
            found.append(token)
            last = token
        elif span and last or span and span[1] not in ("", "-"):
            prefix = span[1] if span[1] not in ("", "-") else last[:last.rindex("-") + 1]
            found += [f"{prefix}{n}" for n in range(int(span[2]), int(span[3]) + 1)]
            last = found[-1]
        elif re.fullmatch(r"-[A-Za-z0-9]+", token) and "-" in last:
            found.append(last[:last.rindex("-")] + token)
    return found


def citations(root):
    """(row, where, sentence) of every test."""
    rows = []
    for path in sorted((root / "tests").glob("*.cpp")) + sorted((root / "tests").glob("*.hpp")):
        for literals in re.findall(r'TEST_CASE(?:_TEMPLATE)?\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)', path.read_text()):
            rows += cited("".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals)), path.name)
    for path in sorted((root / "tests/flows").glob("*.flow")):
        head = [l.lstrip("# ") for l in path.read_text().splitlines() if l.startswith("#")]
        rows += cited(head[0] if head else "", "flows/" + path.name)
        rows += [(r, w, s) for r, w, s in cited(" ".join(head), "flows/" + path.name) if r not in {x[0] for x in rows if x[1] == w}]
    for path in sorted((root / "tests/e2e").glob("*.py")):
        for name in re.findall(r'"""((?:[^"]|"(?!""))*)"""', path.read_text()):
            rows += cited(name.strip().splitlines()[0] if name.strip() else "", "e2e/" + path.name)
    # programs that are tests as a whole say so in their first comment: // rows: RL1, ...
    for path in sorted((root / "tests").glob("*.cpp")) + sorted((root / "bench").glob("*.cpp")):
        for line in re.findall(r"^// rows: (.*)$", path.read_text(), re.M):
            what = re.split(r"[.:] |\.$", path.read_text().lstrip().splitlines()[0].lstrip("/ "))[-1 if "RL1" in line else 0]
            rows += [(row, path.name, what) for row in expand(line)]
    return rows


def cited(name, where):
    sentence = re.split(r"\s*\(", name)[0].replace('\\"', '"')
    ids = [i for part in re.findall(r"\(([^()]*)\)", name) for i in expand(part)]
    return [(i, where, sentence) for i in ids]


def key(row):
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", row)], row


def table(root):
    rows = citations(root)
    out, used = [HEAD, ""], set()
    for title, pattern in AREAS:
        mine = sorted({r for r, _, _ in rows if re.fullmatch(pattern, r)}, key=key)
        if not mine:
            continue
        used |= set(mine)
        out += [f"### {title}", "", "| row | shown by |", "|---|---|"]
        for row in mine:
            tests = dict.fromkeys(f"{w}: {s}" for r, w, s in rows if r == row)
            out.append(f"| {row} | {'; '.join(t.replace('|', '/') for t in tests)} |")
        out.append("")
    return "\n".join(out).rstrip() + "\n", used


root = pathlib.Path(sys.argv[1])
made, rows = table(root)
if "--rows" in sys.argv:
    print("\n".join(sorted(rows, key=key)))
    sys.exit(0)
page = root / "docs/conformance.md"
text = page.read_text()
now = text[:text.index(HEAD)] + made
if "--write" in sys.argv:
    page.write_text(now)
elif now != text:
    print("docs/conformance.md is not what the tests say: run tests/conformance.py . --write")
    sys.exit(1)
print(f"{len(rows)} rows are shown by tests")
