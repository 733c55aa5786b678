"""Reads every file under `config/` through its own room, and runs the worked examples it carries."""

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from importlib import import_module

from telepsych.core.content import config_dir
from telepsych.core.errors import Misconfigured

NOT_CONTENT = ("deploy/*",)

Check = Callable[[], Iterable[str]]


def check() -> tuple[int, list[str]]:
    """How many content files there are, and what is wrong with them, each with its file and field."""
    faults = [fault for run in CHECKS.values() for fault in _faults(run)]
    files = [place for place in _files() if not any(fnmatch(place, kind) for kind in NOT_CONTENT)]
    claimed = [place for place in files if any(fnmatch(place, pattern) for pattern in CHECKS)]
    faults += [f"config/{place}: no room reads this file" for place in files if place not in claimed]
    return len(files), faults


def _files() -> Iterator[str]:
    for place in sorted(config_dir().rglob("*.toml")):
        yield place.relative_to(config_dir()).as_posix()


def _faults(run: Check) -> list[str]:
    try:
        return list(run())
    except Misconfigured as problem:
        return [problem.sentence]


def _questionnaires() -> Iterator[str]:
    editions = import_module("telepsych.questionnaires.content").editions()
    failing = import_module("telepsych.questionnaires.scoring").failing_examples
    for (name, version), instrument in editions.items():
        yield from (f"config/questionnaires: {name} {version}: {fault}" for fault in failing(instrument))


def _screen() -> Iterator[str]:
    content = import_module("telepsych.triage.content").screen_content()
    screen = import_module("telepsych.triage.screen").screen
    for file in content.rules:
        for example in file.examples:
            found = screen(example.text, example.medicines)
            is_of_kind = example.category is None or example.category in found.categories
            if found.priority != example.priority or not is_of_kind:
                yield f"config/triage/screen/rules: {file.id}: “{example.text}” came to {found.priority}"


def _rules() -> Iterator[str]:
    content = import_module("telepsych.appropriateness.content")
    for read in (content.fact_kinds, content.observations, content.medicine_groups, content.law_book):
        read()
    content.check_rules(content.rules())
    for fault in import_module("telepsych.appropriateness.examples").all_faults():
        yield f"config/appropriateness/rules: {fault}"


def _reads(module: str, *names: str) -> Check:
    """A check for content without examples: reading it is enough."""

    def run() -> Iterable[str]:
        for name in names:
            getattr(import_module(f"telepsych.{module}"), name)()
        return ()

    return run


CHECKS: dict[str, Check] = {
    "accounts/*": _reads("accounts.passwords", "common"),
    "questionnaires/*": _questionnaires,
    "triage/screen/*": _screen,
    "triage/*": _reads("triage.content", "clocks", "reasons"),
    "crisis/*": _reads("triage.content", "crisis"),
    "relations/*": _reads("patients.relations", "grounds", "ages"),
    "consents/*": _reads("patients.consent_content", "consents"),
    "medications/*": _reads("medications.content", "check_in", "catalogues", "medicines"),
    "appropriateness/*": _rules,
    "policy/*": _reads("appropriateness.content", "law_book"),
    "oversight/break_glass.toml": _reads("patients.glass_content", "glass_rules"),
    "oversight/safeguards.toml": _reads("server.safeguards", "safeguards"),
    "oversight/*": _reads("oversight.content", "weekly_rules", "limits"),
    "permissions/*": _reads("server.permissions", "permissions"),
    "chart/*": _reads("home.content", "chart_form"),
}
"""Patterns under `config/`, and what reads the files that match."""
