"""The rules shipped: complete, worked through, honest about what was confirmed, and calm towards patients."""

import tomllib
from collections import Counter
from datetime import date
from typing import Any

import pytest

from telepsych.appropriateness.content import (
    GROUPS,
    Effect,
    LawBook,
    LawFile,
    Level,
    Rule,
    RuleFile,
    check_rules,
    fact_kinds,
    law_book,
    observations,
    rules,
)
from telepsych.appropriateness.examples import faults, levels_reached
from telepsych.core.content import config_dir, parse
from telepsych.core.errors import Misconfigured

ALL = list(rules().values())


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_every_example_of_every_rule_comes_out_as_it_says(rule: Rule) -> None:
    assert faults(rule) == []


def test_an_example_that_is_wrong_is_found() -> None:
    rule = rules()["S04"]
    wrong = rule.examples[0].model_copy(update={"level": Level.L3})
    assert faults(rule.model_copy(update={"examples": (wrong,)})) == ["S04, several days: level L1, not L3"]


def test_every_group_level_and_effect_is_there() -> None:
    groups = Counter(rule.group for rule in ALL)
    assert set(groups) == set(GROUPS)
    assert min(groups.values()) >= 10
    assert levels_reached() == {Level.L1, Level.L2, Level.L3, Level.L4}
    assert {rule.effect.kind for rule in ALL} == {"level", "raise", "stop"}


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_general_knowledge_and_site_defaults_are_never_called_confirmed(rule: Rule) -> None:
    doubtful = any(word in rule.source.lower() for word in ("general knowledge", "site default", "to be checked"))
    assert not (doubtful and rule.status == "confirmed")


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_patients_read_what_to_do_and_never_a_verdict(rule: Rule) -> None:
    words = rule.patient.lower()
    forbidden = ("suitable", "psychosis", "mania", "suicid", "disorder", "abuse", "l1", "l2", "l3", "l4", "!")
    assert not [word for word in forbidden if word in words]


def test_every_observation_is_read_by_a_rule_or_a_step() -> None:
    read = {code for rule in ALL for code in rule.reads}
    assert {f"observed.{code}" for code in observations()} <= read


def test_a_rule_about_an_unknown_fact_is_refused_by_its_id() -> None:
    lost = rules()["P08"].model_copy(update={"needs": {"nothing.here": 3.0}})
    with pytest.raises(Misconfigured, match=r"P08: no such fact: nothing\.here"):
        check_rules({"P08": lost})


def test_a_wrong_comparison_names_its_file_and_field() -> None:
    raw: dict[str, Any] = tomllib.loads((config_dir() / "appropriateness/rules/safety.toml").read_text())
    raw["rules"][3]["when"] = {"fact": "phq9.item9", "is": 1, "above": 3}
    with pytest.raises(Misconfigured, match=r"test\.toml: rules\.3\.when.*one comparison"):
        parse(RuleFile, raw, "test.toml")


@pytest.mark.parametrize(
    "raw",
    [
        {"kind": "level", "level": "L2"},
        {"kind": "level", "level": "L1", "days": 3},
        {"kind": "stop", "stop": "visit"},
        {"kind": "level", "level": "L0"},
    ],
)
def test_an_effect_that_does_not_hang_together_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured):
        parse(Effect, raw, "test.toml")


def test_what_the_ledger_answers_for_says_what_absence_means() -> None:
    assert all((kind.authority == "ledger") == (kind.absent is not None) for kind in fact_kinds().values())


def test_law_that_ended_never_stays_permissive_and_a_newer_record_changes_it_back() -> None:
    book = law_book()
    assert book.value("rx.fed.tele_flex", date(2026, 12, 31)) == "av_ok_without_in_person"
    assert book.value("rx.fed.tele_flex", date(2027, 1, 1)) == "in_person_or_exception"
    assert book.days_left("rx.fed.tele_flex", date(2026, 11, 24)) == 37
    assert book.value("rx.fed.tele_flex", date(2025, 12, 31)) is None
    shipped = book.record("rx.fed.tele_flex", date(2026, 6, 1))
    assert shipped is not None
    assert shipped.source.endswith("42 CFR 12.1")
    fifth = {"effective_from": date(2027, 1, 1), "effective_to": date(2027, 12, 31)}
    longer = LawBook([shipped, shipped.model_copy(update=fifth)])
    assert longer.value("rx.fed.tele_flex", date(2027, 1, 1)) == "av_ok_without_in_person"
    assert longer.days_left("rx.fed.tele_flex", date(2026, 12, 1)) is None


def test_law_that_ends_says_what_holds_after() -> None:
    raw: dict[str, Any] = tomllib.loads((config_dir() / "policy/federal.toml").read_text())
    del raw["rule"][0]["after"]
    with pytest.raises(Misconfigured, match="what holds after"):
        parse(LawFile, raw, "config/policy/test.toml")
