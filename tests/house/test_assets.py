"""The built front end: reproducible, complete, and talking to nobody but us."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from telepsych.web import assets

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / "telepsych/templates").rglob("*.html"))
OUR_SCRIPTS = sorted(place for place in assets.STATIC.rglob("*.js") if "dist" not in place.parts)
NAMESPACES = re.compile(r"^https?://(www\.)?w3\.org/")


@pytest.fixture(scope="module")
def dist() -> Path:
    assets.build()
    return assets.DIST


def test_lock_and_settings_name_no_place_to_download_from() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
    for name in ("package.json", ".npmrc"):
        assert "://" not in (ROOT / name).read_text()


def test_the_build_is_done_once_and_says_when_it_is_stale(dist: Path) -> None:
    stamp = dist / "stamp"
    built_at = stamp.stat().st_mtime_ns
    assert not assets.is_stale()
    assets.build()
    assert stamp.stat().st_mtime_ns == built_at


def test_a_change_of_any_source_makes_it_stale(tmp_path: Path) -> None:
    for name in ("telepsych/static/shared", "telepsych/templates"):
        (tmp_path / name).mkdir(parents=True)
    for name in assets.PINS:
        (tmp_path / name).write_text("1")
    source = tmp_path / "telepsych/static/shared/main.js"
    source.write_text("1")
    before = assets.stamp(tmp_path)
    source.touch()
    assert assets.stamp(tmp_path) == before
    source.write_text("2")
    assert assets.stamp(tmp_path) != before


def test_every_name_that_pages_use_is_built(dist: Path) -> None:
    used = {name for place in TEMPLATES for name in re.findall(r"asset\(['\"]([\w.]+)['\"]\)", place.read_text())}
    assert {"main.js", "style.css", "sprite.svg"} <= used
    assert {name for name in used if assets.url(name).startswith(assets.NOT_BUILT)} == set()
    for name in assets.manifest().values():
        assert re.search(r"-[A-Z0-9]{8}\.\w+$", name)
        assert (dist / name).is_file()


def test_built_files_speak_to_no_other_host(dist: Path) -> None:
    found = {
        address
        for place in dist.iterdir()
        if place.suffix in {".js", ".css", ".svg"}
        for address in re.findall(r"(?:https?|wss?)://[\w.-]+\.[a-z]{2,}[^\s\"'`)]*", place.read_text())
        if not NAMESPACES.match(address)
    }
    assert found == set()


def test_licences_of_what_we_ship_are_there(dist: Path) -> None:
    notices = (dist / assets.manifest()["notices.txt"]).read_text()
    for name in ("socket.io-client", "engine.io-client", "lucide-static", "newsreader", "atkinson-hyperlegible-next"):
        assert name in notices
    assert "axe-core" not in notices, "only what is shipped"


def test_every_icon_that_pages_name_is_in_the_sprite(dist: Path) -> None:
    sprite = (dist / assets.manifest()["sprite.svg"]).read_text()
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', sprite))
    named = {
        icon
        for place in TEMPLATES
        for icon in re.findall(r"\b_?icon(?:\(|=)\s*[\"']([a-z0-9-]+)[\"']", place.read_text())
    }
    assert named
    assert named - drawn == set()


def test_every_module_that_pages_name_exists() -> None:
    modules = {
        f"{place.parent.name}/{place.stem}"
        for place in OUR_SCRIPTS
        if re.search(r"^export default class", place.read_text(), re.M)
    }
    named = {
        name
        for place in TEMPLATES
        for names in re.findall(r'data-module="([^"{]+)"', place.read_text())
        for name in names.split()
    }
    assert named
    assert named - modules == set()


def test_no_room_takes_a_script_of_another_room() -> None:
    found = [
        f"{place.parent.name}/{place.name}: {other}"
        for place in OUR_SCRIPTS
        for other in re.findall(r"from \"\.\./([\w-]+)/", place.read_text())
        if other != "shared"
    ]
    assert found == []


class Inline(HTMLParser):
    """Collects what the content security policy would refuse, and colours of a template's own."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attributes}
        if tag == "style" or "style" in names or any(name.startswith("on") for name in names):
            self.found.append(tag)
        if tag == "script" and "nonce" not in names:
            self.found.append("script")
        if names & {"fill", "stroke", "color", "bgcolor"}:
            self.found.append(f"{tag} colour")


@pytest.mark.parametrize("place", TEMPLATES, ids=lambda place: f"{place.parent.name}/{place.name}")
def test_templates_hold_no_styles_scripts_or_colours_of_their_own(place: Path) -> None:
    parser = Inline()
    parser.feed(re.sub(r"\{#.*?#\}|\{%.*?%\}", "", place.read_text(), flags=re.S))
    assert parser.found == []


@pytest.mark.parametrize("place", TEMPLATES, ids=lambda place: f"{place.parent.name}/{place.name}")
def test_every_posting_form_carries_its_token(place: Path) -> None:
    text = place.read_text()
    for form in re.findall(r"<form\b[^>]*method=[\"']post[\"'].*?</form>", text, re.S | re.I):
        assert "csrf_token" in form or "csrf()" in form
