#!/usr/bin/env python3
"""Which row of the specification is shown by which test, and that none is forgotten.

conformance.py SOURCES           checks docs/conformance.md
conformance.py SOURCES --write   makes its generated table first
conformance.py SOURCES --rows    prints the ids that tests show

The rows are in tests/rows.txt. Each is either cited by a test, or stands in a hand-written table of
docs/conformance.md: as one that holds by construction, as the host's matter, or as not done. A row whose
entry ends with "(part)" stands there and is cited.
"""
import pathlib
import re
import sys

HEAD = "<!-- table: tests/conformance.py -->"
ID = r"[A-Z][A-Z0-9]*(?:-\w+(?:\.\w+)*)+|[A-Z]\d\d|(?:RL|PF)\d+"


def expand(text):
    """The ids in a citation; `P08-P12`, `TV-11..14`, `EVT-4.2.2-7 to -10` and `X-a-1, -2, -b-1` are written out."""
    text = re.sub(r"\b([A-Z])(\d\d)-\1(\d\d)\b", r"\1\2..\1\3", text)
    found = []
    for first, last in re.findall(rf"(?<![\w.-])({ID}|(?:-\w+)+)(?:(?:\.\.| to )({ID}|-?\d+))?", text):
        if first[0] == "-":
            if not found:
                continue
            first = found[-1].rsplit("-", first.count("-"))[0] + first
        found.append(first)
        if last:
            stem, begin = re.fullmatch(r"(.*?)(\d+)", first).groups()
            end = re.search(r"\d+$", last)[0]
            found += [f"{stem}{n:0{len(begin)}}" for n in range(int(begin) + 1, int(end) + 1)]
    return found


def areas(root):
    """Title -> ids, from tests/rows.txt."""
    made = {}
    for line in (root / "tests/rows.txt").read_text().splitlines():
        if line.startswith("  "):
            made[title] += expand(line)
        elif not line.startswith("#"):
            made[title := line] = []
    return made


def citations(root, known):
    """(row, file, sentence) of every test. A word that looks like an id but is of no area is none: UTF-8."""
    def area(row):
        return re.match(r"[A-Z0-9]+(?=-)|[A-Z]+", row)[0]

    kinds = {area(row) for row in known}
    rows = []

    def cite(where, sentence, text):
        rows.extend((row, where, sentence) for row in dict.fromkeys(expand(text)) if area(row) in kinds)

    def cite_name(where, name, more=""):
        """A name cites what is in parentheses, and the test vector it begins with."""
        sentence = re.sub(r"\s*\(([^()]*)\)", lambda m: "" if expand(m[1]) else m[0], name).strip()
        lists = re.findall(r"\(([^()]*)\)", name + more)
        cite(where, sentence, ", ".join(re.findall(r"^TV-\d+(?: to TV-\d+)?", name) + lists))

    for path in sorted((root / "tests").glob("*.[ch]pp")):
        for literals in re.findall(r'TEST_CASE(?:_TEMPLATE)?\(\s*((?:"(?:[^"\\]|\\.)*"\s*)+)', path.read_text()):
            cite_name(path.name, "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals)).replace('\\"', '"'))
    for path in sorted((root / "tests/flows").glob("*.flow")):
        head = [line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#")]
        cite_name("flows/" + path.name, head[0], " ".join(head[1:]))
    for path in sorted((root / "tests/e2e").glob("*.py")):
        for name in re.findall(r'"""((?:[^"]|"(?!""))+)"""', path.read_text()):
            cite_name("e2e/" + path.name, name.strip().splitlines()[0])
    # programs that are tests as a whole say so in their first comment: // rows: RL1, ...
    for path in sorted((root / "tests").glob("*.cpp")) + sorted((root / "bench").glob("*.cpp")):
        text = path.read_text()
        comment = re.sub(r"\n// ?", " ", text[3:text.index("\n#")])
        for line in re.findall(r"^// rows: (.*)$", text, re.M):
            cite(path.name, re.split(r"[.;] ", re.sub(r"^\w+\d: ", "", comment))[0], line)
    return rows


def tables(page, known):
    """Row -> where it stands in the tables written by hand; `CND-*` is every row of that area."""
    places, heading = {}, ""
    for line in page.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif match := re.match(r"\| (?!row |---)(.*?)( \(part\))? \| ", line):
            listed = expand(re.sub(r"([A-Z]+-)\*", lambda m: " ".join(k for k in known if k.startswith(m[1])), match[1]))
            for row in listed:
                places.setdefault(row, []).append("part" if match[2] else heading)
    return places


def complaints(known, cited, places):
    for row in sorted(set(cited) | set(places), key=order):
        if row not in known:
            yield f"{row} is no row of tests/rows.txt"
    for row in known:
        where = places.get(row, [])
        if where == ["part"] and row not in cited:
            yield f"{row} is done in part, says docs/conformance.md, and no test shows it"
        elif where != ["part"] and len(where) + (row in cited) > 1:
            yield f"{row} stands in docs/conformance.md ({', '.join(where)}){' and a test shows it' * (row in cited)}"
        elif not where and row not in cited:
            yield f"{row} is neither shown by a test nor in a table of docs/conformance.md"


def order(row):
    return [int(p) if p.isdigit() else p for p in re.split(r"(\d+)", row)]


def table(groups, rows):
    out = [HEAD, ""]
    for title, known in groups.items():
        lines = []
        for row in sorted(known, key=order):
            tests = dict.fromkeys(f"{w}: {s}" for r, w, s in rows if r == row)
            if tests:
                lines.append(f"| {row} | {'; '.join(t.replace('|', '/') for t in tests)} |")
        if lines:
            out += [f"### {title}", "", "| row | shown by |", "|---|---|", *lines, ""]
    return "\n".join(out).rstrip() + "\n"


root = pathlib.Path(sys.argv[1])
groups = areas(root)
known = [row for rows in groups.values() for row in rows]
rows = citations(root, known)
cited = {row for row, _, _ in rows}
if "--rows" in sys.argv:
    print("\n".join(sorted(cited, key=order)))
    sys.exit()
page = root / "docs/conformance.md"
text = page.read_text()
written = text[:text.index(HEAD)]
made = written + table(groups, rows)
wrong = list(complaints(known, cited, tables(written, known)))
if "--write" in sys.argv:
    page.write_text(made)
elif made != text:
    wrong.append("docs/conformance.md is not what the tests say: run tests/conformance.py . --write")
print("\n".join(wrong + [f"{len(cited)} of {len(known)} rows are shown by tests"]))
sys.exit(bool(wrong))
