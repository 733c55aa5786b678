"""Colours: every pair that components put together can be read, and components use tokens only."""

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[2] / "telepsych/static"
TOKENS = STATIC / "shared/css/tokens.css"
TEXT, SHAPE = 4.5, 3.0
PAPER = ("canvas", "surface", "sunken")
SOFT = ("primary-soft", "clay-soft", "info-soft", "ok-soft", "warn-soft", "danger-soft")
PAIRS = [
    *[(ink, on, TEXT) for ink in ("ink", "ink-2") for on in (*PAPER, *SOFT)],
    *[("ink-3", on, TEXT) for on in (*PAPER, "primary-soft")],
    *[(link, on, TEXT) for link in ("primary", "primary-hover") for on in (*PAPER, "primary-soft")],
    *[("on-primary", on, TEXT) for on in ("primary", "primary-hover")],
    *[(tone, f"{tone}-soft", TEXT) for tone in ("clay", "info", "ok", "warn", "danger")],
    *[(tone, on, TEXT) for tone in ("clay", "info", "ok", "warn", "danger") for on in PAPER],
    ("canvas", "ink", TEXT),
    *[("edge", on, SHAPE) for on in PAPER],
    *[("focus", on, SHAPE) for on in (*PAPER, *SOFT)],
]


def declared(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9A-Fa-f]{6});", block))


def block_of(selector: str) -> str:
    text = TOKENS.read_text()
    return text[text.index(selector) :].split("}")[0]


LIGHT = declared(block_of(":root {"))
DARK = declared(block_of('[data-theme="dark"] {'))


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_itself() -> None:
    assert contrast("#FFFFFF", "#000000") == pytest.approx(21)
    assert contrast("#FFFFFF", "#777777") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_every_pair_can_be_read(name: str) -> None:
    colours = {"light": LIGHT, "dark": {**LIGHT, **DARK}}[name]
    bad = [
        f"{front} on {back}: {ratio:.2f} < {least}"
        for front, back, least in PAIRS
        if (ratio := contrast(colours[front], colours[back])) < least
    ]
    assert not bad


def test_dark_is_the_same_whether_chosen_or_asked_for_by_the_device() -> None:
    assert declared(block_of(':root:not([data-theme="light"])')) == DARK
    assert DARK.keys() == LIGHT.keys()


def test_components_use_tokens_only() -> None:
    raw = re.compile(r"#[0-9A-Fa-f]{3,8}\b(?![\w-]*[\s>+~.:{,])|\b(?:rgb|hsl|oklch|lab)a?\(")
    sheets = [place for place in STATIC.rglob("*.css") if "dist" not in place.parts and place != TOKENS]
    assert sheets
    assert [place.name for place in sheets if raw.search(place.read_text())] == []


def test_every_token_used_is_declared() -> None:
    sheets = [place.read_text() for place in STATIC.rglob("*.css") if "dist" not in place.parts]
    declared_names = set(re.findall(r"(--[\w-]+)\s*:", "".join(sheets)))
    used = set(re.findall(r"var\((--[\w-]+)", "".join(sheets)))
    assert used - declared_names == set()
