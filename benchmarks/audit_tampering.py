"""Every one of 2,000 entries edited, deleted, inserted before, moved and cut off, one change at a time (L1).

Each change must be detected, and the first entry that is not as it was written must be named.

    python benchmarks/audit_tampering.py [--quick]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.databases import empty
from support.practice import TUESDAY_MORNING
from support.tampering import ROWS, WAYS, first_bad
from support.trail import attacked, note_down, sequence

from telepsych.audit.verify import verify
from telepsych.core.clock import FrozenClock


def tamper(kind: str, step: int) -> bool:
    """Whether each change was seen and located."""
    changes, missed = 0, []
    with empty(kind) as place:
        practice = place.open(FrozenClock(TUESDAY_MORNING))
        note_down(practice, ROWS)
        sequence(practice, 250)
        for way, change in WAYS.items():
            for at in range(0, ROWS, step):
                with attacked(practice) as work:
                    change(work, at)
                    report = verify(work)
                changes += 1
                if report.is_whole or report.first_bad != first_bad(way, at):
                    missed.append(f"{way} at {at}: {report.first_bad}")
        practice.records.dispose()
    print(f"{kind}: {changes} changes, {len(missed)} not seen or misplaced {missed[:5]}")
    return not missed


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="every fiftieth entry")
    step = 50 if options.parse_args().quick else 1
    return 0 if all([tamper(kind, step) for kind in ("sqlite", "postgresql")]) else 1


if __name__ == "__main__":
    sys.exit(main())
