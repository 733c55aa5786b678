"""Guards over the files themselves: nothing in the tree says where packages were fetched from, or holds a secret."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUFFIXES = {"", ".py", ".toml", ".txt", ".json", ".js", ".mjs", ".css", ".html", ".md", ".conf", ".service", ".sh"}
REGISTRY = re.compile(
    r"(pypi|pythonhosted|npmjs|npmmirror|yarnpkg|jsdelivr|unpkg|cdnjs|googleapis|gstatic)\.(org|com|net|io)"
    r"|registry\.[a-z0-9-]+\.[a-z]{2,}|/opt/(pypi|wheels)|\"resolved\"\s*:|--(extra-)?index-url|--find-links",
    re.IGNORECASE,
)
SECRET = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
MOST_LINES = 700


def files() -> list[Path]:
    """What git has or would take."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    found = [ROOT / name for name in names if name and (ROOT / name).is_file()]
    assert len(found) > 100
    return [place for place in found if place.suffix in SUFFIXES and place != Path(__file__)]


def test_no_file_names_a_registry_or_another_host_for_packages() -> None:
    found = [
        f"{place.relative_to(ROOT)}:{number}: {match[0]}"
        for place in files()
        for number, line in enumerate(place.read_text(encoding="utf-8").splitlines(), 1)
        if (match := REGISTRY.search(line))
    ]
    assert found == []


def test_no_file_holds_a_private_key() -> None:
    assert [str(place) for place in files() if SECRET.search(place.read_text(encoding="utf-8"))] == []


def test_every_requirement_is_pinned_and_hashed() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")
        entries = [entry for entry in re.split(r"\n(?=\S)", text.strip()) if not entry.startswith("#")]
        assert len(entries) > 30
        assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_what_is_installed_to_run_is_what_is_tested() -> None:
    runtime, tests = (
        set(re.findall(r"^([a-z0-9-]+==\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    assert runtime <= tests


def test_no_python_file_has_grown_out_of_hand() -> None:
    long = [
        f"{place.relative_to(ROOT)}: {lines}"
        for place in files()
        if place.suffix == ".py" and (lines := len(place.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    ]
    assert [name for name in long if "/versions/" not in name] == []
