"""What is handed on as a source distribution is whole: everything the repository holds, and nothing that was built."""

import subprocess
from pathlib import Path

from hatchling.builders.sdist import SdistBuilder

ROOT = Path(__file__).parents[2]
ADDED_BY_THE_BUILDER = {".gitignore", "pyproject.toml"}


def test_a_source_distribution_holds_what_the_repository_holds() -> None:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    held = {name for name in names if name and (ROOT / name).is_file()}
    packed = {file.distribution_path for file in SdistBuilder(str(ROOT)).recurse_included_files()}
    assert {"wsgi.py", "SECURITY.md", "CONTRIBUTING.md", "docs/operations.md", "Makefile", "hatch_build.py"} <= packed
    assert sorted(held - packed - ADDED_BY_THE_BUILDER) == []
    assert sorted(name for name in packed if "/dist/" in name or "__pycache__" in name) == []
