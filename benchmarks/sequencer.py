"""Two hundred sequencers killed at every kind of moment on each database: no gap, no repeat (L5).

python benchmarks/sequencer.py [--quick]
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.databases import empty
from support.sequencer_kills import Killing

KILLS, QUICK_KILLS = 200, 20


def kill(kind: str, kills: int) -> bool:
    """Whether nothing was torn and everything that was written has its place in the end."""
    with empty(kind) as place:
        killing = Killing(place.folder, place.records, place.keystore)
        while killing.kills < kills:
            killing.round()
        seen = killing.end()
    print(f"{kind}: {json.dumps(seen)}")
    return not seen["torn"] and not seen["found"] and seen["placed"] == seen["written"]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help=f"{QUICK_KILLS} kills")
    kills = QUICK_KILLS if options.parse_args().quick else KILLS
    return 0 if all([kill(kind, kills) for kind in ("sqlite", "postgresql")]) else 1


if __name__ == "__main__":
    sys.exit(main())
