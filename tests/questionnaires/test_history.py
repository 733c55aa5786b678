"""Safety answers that were changed before sending: nothing that was said gets lost."""

from hypothesis import given
from hypothesis import strategies as st

from telepsych.questionnaires import history, scoring
from telepsych.questionnaires.answers import DECLINED, Answer, answered
from telepsych.questionnaires.content import Instrument, instruments

INSTRUMENTS = list(instruments().values())
PHQ9 = instruments()["phq9"]


def told(instrument: Instrument, *steps: tuple[str, Answer]) -> tuple[dict[str, Answer], list[dict[str, object]]]:
    """The answers that stand and the history behind them, after these answers in this order."""
    lines = [history.entry(item, answer, at, "someone") for at, (item, answer) in enumerate(steps)]
    return dict(steps), lines


@st.composite
def tellings(draw: st.DrawFn) -> tuple[Instrument, list[tuple[str, Answer]]]:
    instrument = draw(st.sampled_from(INSTRUMENTS))
    steps = []
    for item in draw(st.lists(st.sampled_from(instrument.items), max_size=15)):
        options = [answered(option.id) for option in instrument.options_of(item)]
        steps.append((item.id, draw(st.sampled_from([*options, DECLINED]))))
    return instrument, steps


def test_item_9_changed_from_2_to_0_keeps_the_flag_with_both_values() -> None:
    before, after = answered("more_than_half"), answered("not_at_all")
    answers, lines = told(PHQ9, ("self_harm", before), ("self_harm", after))
    (flag,) = history.flags(PHQ9, lines, 30)
    assert flag.was_changed
    assert [(one.text, one.ordinal, one.at) for one in flag.values] == [
        ("More than half the days", 2, 0),
        ("Not at all", 0, 1),
    ]
    assert flag.now.text == "Not at all"
    assert "more than half the days" in flag.clinician
    assert history.facts(PHQ9, answers, lines, 30)["phq9.item9"] == 2


@given(tellings(), st.none() | st.integers(10, 90))
def test_a_finding_once_raised_stays_a_flag_whatever_is_answered_later(
    telling: tuple[Instrument, list[tuple[str, Answer]]], age: int | None
) -> None:
    instrument, steps = telling
    answers: dict[str, Answer] = {}
    ever: set[str] = set()
    for item, answer in steps:
        answers[item] = answer
        ever |= {finding.item for finding in scoring.safety_findings(instrument, answers, age)}
    _, lines = told(instrument, *steps)
    flags = history.flags(instrument, lines, age)
    assert {flag.item_id for flag in flags} == ever
    for flag in flags:
        assert len(flag.values) == sum(item == flag.item_id for item, _ in steps)


@given(tellings())
def test_the_ledger_is_never_told_less_than_what_was_said_about_safety(
    telling: tuple[Instrument, list[tuple[str, Answer]]],
) -> None:
    instrument, steps = telling
    answers, lines = told(instrument, *steps)
    careful = {trigger.fact for trigger in instrument.safety}
    facts = history.facts(instrument, answers, lines, 15)
    for item, answer in steps:
        for code, value in scoring.facts(instrument, {item: answer}, 15).items():
            if code in careful:
                assert facts[code] >= value
    plain = scoring.facts(instrument, answers, 15)
    assert {code: value for code, value in facts.items() if code not in careful} == {
        code: value for code, value in plain.items() if code not in careful
    }
