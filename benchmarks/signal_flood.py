"""One client sends a thousand socket messages a second; the others' answers are timed before and during (H4).

Fails when another client is refused, or waits more than twenty times as long in the 99th percentile.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/web")]

import websocket
from live_client import Page
from live_lab import Lab
from live_processes import LiveGroup, running_group

OTHERS = 10
A_SECOND = 1_000
MOST_TIMES = 20.0


class Other:
    """A page that asks five times a second and times its answers."""

    def __init__(self, group: LiveGroup) -> None:
        self._page = Page(group.port, group.lab.sign_in())
        self._stop = threading.Event()
        self.refused = 0
        self.waits: list[float] = []
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        while not self._stop.wait(0.2):
            start = time.perf_counter()
            self.refused += not self._page.emit("lab:echo", {"n": 1})["ok"]
            self.waits.append(time.perf_counter() - start)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def flood(group: LiveGroup, until: float) -> tuple[int, int]:
    """Send as one person, on a new socket whenever one is closed. Returns messages sent and sockets lost."""
    who, sent, lost = group.lab.sign_in(), 0, 0
    while time.perf_counter() < until:
        with suppress(websocket.WebSocketException, OSError, AssertionError, ValueError):
            page = Page(group.port, who)
            while time.perf_counter() < until:
                page.ws.send(f'42["lab:echo",{{"n":{sent}}}]')
                sent += 1
                time.sleep(1 / A_SECOND)
        lost += 1
    return sent, lost


def measured(group: LiveGroup, seconds: float, *, flooded: bool) -> dict[str, float]:
    others = [Other(group) for _ in range(OTHERS)]
    end = time.perf_counter() + seconds
    sent = lost = 0
    if flooded:
        sent, lost = flood(group, end)
    else:
        time.sleep(seconds)
    for other in others:
        other.stop()
    waits = sorted(wait for other in others for wait in other.waits)
    p99 = waits[int(len(waits) * 0.99)] * 1_000
    refused = sum(other.refused for other in others)
    return {"answers": len(waits), "p99_ms": round(p99, 1), "refused": refused, "sent": sent, "sockets_lost": lost}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="five seconds each instead of thirty")
    seconds = 5.0 if parser.parse_args().quick else 30.0
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder), "").create_tables()
        with running_group(lab) as group:
            calm = measured(group, seconds, flooded=False)
            busy = measured(group, seconds, flooded=True)
        lab.is_over = True
        lab.practice.records.dispose()
    times = busy["p99_ms"] / max(calm["p99_ms"], 1.0)
    print(json.dumps({"calm": calm, "flooded": busy, "times_slower": round(times, 2)}, indent=2))
    return int(busy["refused"] > 0 or times > MOST_TIMES)


if __name__ == "__main__":
    sys.exit(main())
