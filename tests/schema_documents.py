#!/usr/bin/env python3
"""Whether what NOTIFYs carry is valid against the schemas, asked of xmllint.

schema_documents.py PROGRAM TESTS DIRECTORY

PROGRAM writes the documents into DIRECTORY/<schema>/ (see schema_documents.cpp); each has to be valid
against TESTS/schemas/<schema>.xsd. First the documents in TESTS/schemas/invalid/ have to be refused, each
with the message its first line asks for: otherwise the schemas prove nothing.
"""
import pathlib
import re
import shutil
import subprocess
import sys

program, tests, directory = sys.argv[1:]
schemas = pathlib.Path(tests) / "schemas"


def messages(schema, documents):
    """What xmllint says against each document; valid ones have no entry."""
    said = {}
    for i in range(0, len(documents), 500):
        run = subprocess.run(["xmllint", "--noout", "--nonet", "--schema", schemas / f"{schema}.xsd", *documents[i:i + 500]],
                             capture_output=True, text=True, errors="replace")
        lines = run.stderr.splitlines()
        for document in documents[i:i + 500]:
            if f"{document} validates" not in lines or any(line.startswith(f"{document}:") for line in lines):
                said[document] = "\n".join(line for line in lines if line.startswith(f"{document}:")) or run.stderr
    return said


if shutil.which("xmllint") is None:
    sys.exit("xmllint is missing: install the package libxml2-utils (Debian: apt-get install libxml2-utils)")

names = ("pidf", "watcherinfo", "dialog-info")
failed = broken = 0
for schema in names:
    documents = sorted(map(str, (schemas / "invalid").glob(f"{schema}.*.xml")))
    said = messages(schema, documents)
    broken += len(documents)
    for document in documents:
        wanted = re.match("<!-- refused: (.*) -->", pathlib.Path(document).read_text())[1]
        if wanted not in said.get(document, "it is valid"):
            failed += 1
            print(f"{document} should be refused for: {wanted}\n  {said.get(document, 'it is valid')}")

shutil.rmtree(directory, ignore_errors=True)
if (code := subprocess.run([program, directory, tests]).returncode) != 0:
    sys.exit(f"{program} {directory} {tests} failed ({code})")
counts = []
for schema in names:
    documents = sorted(map(str, pathlib.Path(directory, schema).glob("*.xml")))
    counts.append(f"{len(documents)} {schema}")
    if len(documents) < 500:
        failed += 1
        print(f"only {len(documents)} documents of {schema}")
    wrong = messages(schema, documents)
    failed += len(wrong)
    for document, said in list(wrong.items())[:5]:
        seed = re.search(r"\.walk(\d+)\.", document)
        print(f"{said}\n  again: {program} {directory} {tests}{' ' + seed[1] if seed else ''} && "
              f"xmllint --noout --schema {schemas}/{schema}.xsd '{document}'")
    if len(wrong) > 5:
        print(f"... and {len(wrong) - 5} more documents of {schema}")
print(f"{', '.join(counts)} documents; {broken} broken ones; {failed} failed")
sys.exit(1 if failed or not broken else 0)
