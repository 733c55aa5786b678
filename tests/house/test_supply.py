"""What is installed is what the locks name, and the bill of materials names all of it (S1)."""

import json
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)")


def locked(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = [PINNED.match(line) for line in lines if line and not line.startswith((" ", "#", "-"))]
    assert all(found), "a requirement without an exact version"
    return {one[1]: one[2] for one in found if one}


def test_every_locked_package_has_its_hashes_and_no_address() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
        assert [block.split("==")[0] for block in blocks if "--hash=sha256:" not in block] == []
        assert "://" not in text
    front = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, one in front.items() if name and "integrity" not in one] == []
    assert "resolved" not in (ROOT / "package-lock.json").read_text(encoding="utf-8")


def test_the_bill_of_materials_names_everything_that_is_shipped() -> None:
    subprocess.run(["sh", ".ci/supply", "sbom"], cwd=ROOT, check=True, capture_output=True, timeout=120)
    python = json.loads((ROOT / "dist/sbom-python.json").read_text(encoding="utf-8"))["components"]
    assert {one["name"].lower(): one["version"] for one in python} == locked("requirements.txt")
    browser = json.loads((ROOT / "dist/sbom-browser.json").read_text(encoding="utf-8"))["components"]
    front = json.loads((ROOT / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    needed = {name.rpartition("node_modules/")[2] for name, one in front.items() if name and not one.get("optional")}
    assert needed <= {one["name"] if not one.get("group") else f"{one['group']}/{one['name']}" for one in browser}
