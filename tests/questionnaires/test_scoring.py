"""Scores, changes and safety findings, for the worked examples in the files and for any answers at all."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from telepsych.core.errors import Invalid
from telepsych.questionnaires import scoring
from telepsych.questionnaires.answers import (
    DECLINED,
    MISSING,
    NOT_ASKED,
    Answer,
    State,
    answered,
    next_item,
    read_answers,
    write_answers,
)
from telepsych.questionnaires.commands import score as score_command
from telepsych.questionnaires.content import Example, Instrument, instrument_named, instruments

PHQ9, GAD7, ASQ = (instrument_named(name) for name in ("phq9", "gad7", "asq"))
FREQUENCY = [option.id for option in PHQ9.option_sets[0].options]


def phq9(*ordinals: int, **more: Answer) -> dict[str, Answer]:
    scored = [item.id for item in PHQ9.items if item.scored]
    return {item: answered(FREQUENCY[value]) for item, value in zip(scored, ordinals, strict=False)} | more


def scored(*ordinals: int) -> scoring.Score:
    return scoring.score(PHQ9, phq9(*ordinals))


def total_of(total: int) -> scoring.Score:
    return scored(*(min(3, max(0, total - 3 * place)) for place in range(9)))


@st.composite
def forms(draw: st.DrawFn, instrument: Instrument = PHQ9) -> dict[str, Answer]:
    """Any mixture of answers and the three ways of having none, in any order."""
    answers = {}
    for item in draw(st.permutations(instrument.items)):
        options = [answered(option.id) for option in instrument.options_of(item)]
        answers[item.id] = draw(st.sampled_from([*options, DECLINED, MISSING, NOT_ASKED]))
    return answers


EXAMPLES = [(one, example) for one in instruments().values() for example in one.examples]


@pytest.mark.parametrize(("instrument", "example"), EXAMPLES, ids=lambda one: getattr(one, "name", None) or one.id)
def test_worked_examples(instrument: Instrument, example: Example) -> None:
    assert scoring.failing_examples(instrument.model_copy(update={"examples": (example,)})) == []


def test_a_wrong_example_is_named_with_what_was_found() -> None:
    example = PHQ9.examples[0]
    wrong = example.model_copy(update={"expected": example.expected.model_copy(update={"total": 3})})
    (fault,) = scoring.failing_examples(PHQ9.model_copy(update={"examples": (wrong,)}))
    assert fault == f"{example.name}: total is 0, not 3"


@pytest.mark.parametrize(
    ("total", "band"),
    [
        *((0, "minimal"), (4, "minimal"), (5, "mild"), (9, "mild"), (10, "moderate"), (14, "moderate")),
        *((15, "moderately_severe"), (19, "moderately_severe"), (20, "severe"), (27, "severe")),
    ],
)
def test_bands_at_their_edges(total: int, band: str) -> None:
    got = total_of(total)
    assert got.total == total
    assert got.band is not None
    assert got.band.id == band


def test_the_four_states_stay_apart() -> None:
    answers = phq9(0, 0, 0, 0, 0, 0) | {"concentration": DECLINED, "psychomotor": NOT_ASKED}
    got = scoring.score(PHQ9, answers)
    assert got.declined == ("concentration",)
    assert got.not_asked == ("psychomotor", "function")
    assert got.missing == ("self_harm",)
    assert got.total is None
    assert got.band is None
    assert not got.complete


def test_the_question_about_daily_life_is_asked_after_any_problem() -> None:
    assert next_item(PHQ9, phq9(*[0] * 9)) is None
    follow = next_item(PHQ9, phq9(*[0] * 8, 1))
    assert follow is not None
    assert follow.id == "function"


def test_an_answer_stays_an_answer_when_its_condition_falls_away() -> None:
    answers = {item.id: answered("no") for item in ASQ.items if item.id != "now"} | {"now": answered("yes")}
    assert [finding.priority for finding in scoring.safety_findings(ASQ, answers)] == ["emergency"]
    band = scoring.score(ASQ, answers).band
    assert band is not None
    assert band.id == "acute"


@given(forms())
def test_a_total_exists_exactly_when_every_required_item_is_answered(answers: dict[str, Answer]) -> None:
    required = [item.id for item in PHQ9.items if item.required]
    whole = all(answers[item].state is State.ANSWERED for item in required)
    got = scoring.score(PHQ9, answers)
    assert (got.total is not None) == (got.band is not None) == got.complete == whole


@given(forms())
def test_the_unscored_item_never_moves_the_total(answers: dict[str, Answer]) -> None:
    without = {item: answer for item, answer in answers.items() if item != "function"}
    assert scoring.score(PHQ9, answers).total == scoring.score(PHQ9, without).total


@given(st.lists(st.integers(0, 3), min_size=9, max_size=9))
def test_the_total_is_the_sum_of_the_ordinals_and_lies_in_its_band(ordinals: list[int]) -> None:
    got = scored(*ordinals)
    (band,) = (one for one in PHQ9.scoring.bands if one.at_least <= sum(ordinals) <= one.at_most)
    assert (got.total, got.band) == (sum(ordinals), band)


@given(forms(), st.randoms(use_true_random=False))
def test_neither_order_of_items_nor_of_options_matters(answers: dict[str, Answer], random: Random) -> None:
    items = random.sample(PHQ9.items, len(PHQ9.items))
    sets = [
        options.model_copy(update={"options": tuple(random.sample(options.options, len(options.options)))})
        for options in PHQ9.option_sets
    ]
    mixed = PHQ9.model_copy(update={"items": tuple(items), "option_sets": tuple(sets)})
    before, after = scoring.score(PHQ9, answers), scoring.score(mixed, answers)
    assert (after.total, after.band, set(after.missing)) == (before.total, before.band, set(before.missing))
    assert scoring.safety_findings(mixed, answers) == scoring.safety_findings(PHQ9, answers)


@given(forms(), st.sampled_from(FREQUENCY))
def test_a_safety_answer_is_found_whatever_the_rest_of_the_form_is(answers: dict[str, Answer], option: str) -> None:
    findings = scoring.safety_findings(PHQ9, answers | {"self_harm": answered(option)})
    assert [finding.ordinal for finding in findings] == ([] if option == "not_at_all" else [FREQUENCY.index(option)])
    assert all((one.fact, one.priority, one.kind) == ("phq9.item9", "urgent", "suicide") for one in findings)


@given(forms())
def test_a_safety_item_is_never_made_up(answers: dict[str, Answer]) -> None:
    for none in (DECLINED, MISSING, NOT_ASKED):
        without = answers | {"self_harm": none}
        assert scoring.safety_findings(PHQ9, without) == ()
        assert "phq9.item9" not in scoring.facts(PHQ9, without)


@given(forms(ASQ), st.sampled_from([item.id for item in ASQ.items]), st.integers(10, 90))
def test_another_yes_never_calms_a_screen(answers: dict[str, Answer], item: str, age: int) -> None:
    order = ["acute", "positive", "negative", None]
    before = scoring.score(ASQ, answers, age).band
    after = scoring.score(ASQ, answers | {item: answered("yes")}, age).band
    assert order.index(after.id if after else None) <= order.index(before.id if before else None)
    assert after is not None
    assert after.id != "negative"


@given(forms(ASQ), st.integers(10, 90))
def test_a_negative_screen_needs_four_noes(answers: dict[str, Answer], age: int) -> None:
    band = scoring.score(ASQ, answers, age).band
    noes = all(answers[item.id] == answered("no") for item in ASQ.items if item.asked_when is None)
    assert (band is not None and band.id == "negative") <= noes


def test_a_refusal_of_unknown_age_is_read_carefully() -> None:
    answers = {"thoughts": DECLINED}
    assert [one.priority for one in scoring.safety_findings(ASQ, answers)] == ["urgent"]
    assert scoring.safety_findings(ASQ, answers, age=18) == ()


def test_the_most_urgent_trigger_of_an_item_is_the_one_told() -> None:
    (finding,) = scoring.safety_findings(PHQ9, phq9(*[0] * 8, 2))
    assert finding.trigger == "phq9_item9_often"


def test_a_new_safety_answer_counts_although_the_total_fell() -> None:
    before, now = phq9(3, 3, 3, 3, 3, 3, 3, 3, 0), phq9(*[0] * 8, 1)
    moved = scoring.change(PHQ9, scoring.score(PHQ9, before), scoring.score(PHQ9, now))
    assert moved is not None
    assert moved.direction == "better"
    assert [one.item for one in scoring.newly_raised(PHQ9, before, now)] == ["self_harm"]
    assert scoring.newly_raised(PHQ9, now, now) == ()


@pytest.mark.parametrize(
    ("before", "now", "rules"),
    [
        (19, 9, ["improved_points", "improved_percent", "response"]),
        (10, 5, ["improved_points", "improved_percent", "response"]),
        (12, 4, ["improved_points", "improved_percent", "response", "remission"]),
        (10, 8, ["improved_percent"]),
        (27, 22, ["improved_points"]),
        (4, 3, ["improved_percent"]),
        (10, 14, []),
        (10, 15, ["worse"]),
        (0, 0, []),
    ],
)
def test_changes_meet_the_published_thresholds(before: int, now: int, rules: list[str]) -> None:
    moved = scoring.change(PHQ9, total_of(before), total_of(now))
    assert moved is not None
    assert [rule.id for rule in moved.rules] == rules


def test_a_change_is_said_in_words() -> None:
    moved = scoring.change(PHQ9, total_of(19), total_of(9))
    assert moved is not None
    assert moved.patient == "Your score went from 19 to 9. Lower means fewer symptoms."
    assert moved.clinician.startswith("19 → 9 (-10): improved by 5 points or more")
    assert (moved.points, moved.percent) == (-10, -53)
    same = scoring.change(PHQ9, total_of(0), total_of(0))
    assert same is not None
    assert (same.direction, same.percent) == ("same", None)
    assert same.patient == "Your score stayed at 0. Lower means fewer symptoms."


def test_there_is_no_change_without_two_totals() -> None:
    whole, part = total_of(9), scoring.score(PHQ9, phq9(1, 1))
    assert scoring.change(PHQ9, part, whole) is None
    assert scoring.change(PHQ9, whole, part) is None


def test_two_instruments_are_not_compared() -> None:
    worry = scoring.score(GAD7, {item.id: answered("several_days") for item in GAD7.items})
    assert scoring.change(PHQ9, worry, total_of(9)) is None
    assert scoring.change(GAD7, worry, total_of(9)) is None


@given(st.integers(0, 27), st.integers(0, 27))
def test_a_change_never_is_better_and_worse_at_once(before: int, now: int) -> None:
    moved = scoring.change(PHQ9, total_of(before), total_of(now))
    assert moved is not None
    assert {rule.means for rule in moved.rules} <= {moved.direction}
    assert moved.points == now - before


@given(forms())
def test_answers_survive_being_written_and_read(answers: dict[str, Answer]) -> None:
    assert read_answers(PHQ9, json.loads(json.dumps(write_answers(answers)))) == answers


def test_an_answer_may_come_as_its_loinc_code() -> None:
    assert read_answers(PHQ9, {"function": "LA6575-0"}) == {"function": answered("very")}


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("item9", "not_at_all"),
        ("self_harm", "sometimes"),
        ("self_harm", 1),
        ("self_harm", None),
        ("self_harm", {"state": "answered"}),
        ("self_harm", {"state": "declined", "option": "not_at_all"}),
        ("self_harm", {"state": "skipped"}),
        ("self_harm", {"option": 1}),
        ("self_harm", "very"),
    ],
)
def test_what_cannot_be_read_is_refused_by_item(item: str, value: Any) -> None:
    with pytest.raises(Invalid) as fault:
        read_answers(PHQ9, {item: value, "sleep": "several_days"})
    assert set(fault.value.fields) == {item}


def test_scoring_refuses_foreign_items_and_options() -> None:
    with pytest.raises(Invalid) as fault:
        scoring.score(PHQ9, {"item9": DECLINED, "sleep": answered("very")})
    assert set(fault.value.fields) == {"item9", "sleep"}


def test_an_item_that_may_not_be_declined_is_not() -> None:
    item = PHQ9.items[0].model_copy(update={"may_decline": False})
    strict = PHQ9.model_copy(update={"items": (item, *PHQ9.items[1:])})
    with pytest.raises(Invalid):
        read_answers(strict, {item.id: "declined"})


def run(tmp_path: Path, answers: Any, *more: str) -> tuple[int, str]:
    path = tmp_path / "answers.json"
    path.write_text(answers if isinstance(answers, str) else json.dumps(answers), encoding="utf-8")
    outcome = CliRunner().invoke(score_command, ["--instrument", "phq9", "--answers", str(path), *more])
    return outcome.exit_code, outcome.output


def test_the_command_answers_in_json(tmp_path: Path) -> None:
    code, output = run(tmp_path, PHQ9.examples[1].answers, "--json")
    answer = json.loads(output)
    assert code == 0
    assert (answer["total"], answer["band"]["id"], answer["complete"]) == (4, "minimal", True)
    assert [one["priority"] for one in answer["safety"]] == ["urgent"]
    assert answer["facts"] == {"phq9.item9": 1, "phq9.total": 4}


def test_the_command_speaks_to_people(tmp_path: Path) -> None:
    code, output = run(tmp_path, {"self_harm": "several_days", "sleep": "declined"})
    assert code == 0
    assert "phq9 1.0: no total" in output
    assert "declined: sleep" in output
    assert "safety (urgent): PHQ-9 item 9" in output
    assert PHQ9.scoring.not_a_diagnosis in output


@pytest.mark.parametrize("answers", ["{", "[]", {"item9": "not_at_all"}])
def test_the_command_names_what_it_cannot_read(tmp_path: Path, answers: Any) -> None:
    code, output = run(tmp_path, answers)
    assert code == 1
    assert "Error:" in output


def test_the_command_knows_its_instruments(tmp_path: Path) -> None:
    code, output = run(tmp_path, {}, "--instrument", "nothing")
    assert code == 1
    assert "There is no instrument nothing" in output
