"""Checks an export or a proof with nothing but this file, its three pure neighbours and `cryptography`:

    python -m telepsych.audit.offline FILE [--key VERIFIER-KEY]

No database, no keys of the practice, no settings. Without `--key` it believes the key inside the file, which shows that
the file agrees with itself; with the key the practice has published it shows that the practice signed it. Ends with 0
when everything agrees, 4 when something does not, 2 when the file cannot be read.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from telepsych.audit.entries import leaf_of
from telepsych.audit.examine import Examiner, Report
from telepsych.audit.notes import BadNote, VerifierKey, checkpoint_of
from telepsych.audit.tree import proves_inclusion

EXPORT = "telepsych audit export 1"
PROOF = "telepsych audit proof 1"
AGREES, DIFFERS, UNREADABLE = 0, 4, 2


class Unreadable(Exception):
    """Not a file of ours."""


def check(place: Path, key: str = "") -> Report:
    """Check a file. Raises `Unreadable`."""
    try:
        with place.open(encoding="utf-8") as file:
            first = json.loads(file.readline())
            public = VerifierKey.parse(key or first["key"]).public
            if first["kind"] == PROOF:
                return _proof(first, public)
            if first["kind"] == EXPORT:
                return _export(first, (json.loads(line) for line in file), public)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, BadNote) as problem:
        raise Unreadable(f"{place} is not an export or proof of ours ({type(problem).__name__}).") from problem
    raise Unreadable(f"{place} is not an export or proof of ours.")


def _export(head: dict[str, Any], lines: Iterator[dict[str, Any]], public: bytes) -> Report:
    examiner = Examiner(public)
    count = 0
    for line in lines:
        if "checkpoint" in line:
            examiner.report.checkpoints += 1
            examiner.expect(line["checkpoint"], "the checkpoints")
        elif "entry" in line:
            examiner.append(leaf_of(line["entry"]))
            count += 1
        else:
            examiner.report.anchors += 1
    if count != head["size"]:
        examiner.find("truncated", f"The file holds {count} entries and says {head['size']}.", min(count, head["size"]))
    return examiner.end(count)


def _proof(said: dict[str, Any], public: bytes) -> Report:
    report = Report(checkpoints=1)
    index, steps = int(said["index"]), [bytes.fromhex(step) for step in said["proof"]]
    examiner = Examiner(public, report)
    try:
        signed = checkpoint_of(said["checkpoint"], public)
    except BadNote as problem:
        examiner.find("signature", f"The checkpoint is not signed by this key: {problem}.")
        return report
    report.size, report.root = signed.size, signed.root.hex()
    if not proves_inclusion(leaf_of(said["entry"]), index, signed.size, steps, signed.root):
        examiner.find("proof", "The entry is not the one in the signed tree.", index)
    return report


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m telepsych.audit.offline", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--key", default="", help="the practice's published verifier key")
    given = parser.parse_args(arguments)
    try:
        report = check(given.file, given.key)
    except Unreadable as problem:
        sys.stderr.write(f"{problem}\n")
        return UNREADABLE
    whose = "the key given" if given.key else "the key inside the file"
    lines = [one.sentence for one in report.findings] or [
        f"Agrees with {report.checkpoints} checkpoints up to {report.size} entries, signed by {whose}."
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return AGREES if report.is_whole else DIFFERS


if __name__ == "__main__":
    sys.exit(main())
