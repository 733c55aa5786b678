"""Which passwords are taken: by length, and not the ones that are guessed first. No mixture of signs is asked for."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telepsych.accounts import passwords
from telepsych.core.errors import Invalid, Misconfigured
from telepsych.demo.people import PEOPLE

ABOUT = ("Juniper Example", "juniper.example@example.org", "juniper.example", "Willow Street Psychiatry", "telepsych")


@pytest.mark.parametrize(
    "guessed",
    [
        "123456789012345",
        "passwordpassword",
        "Password1234567!",
        "!!!sunshine2024!!!",
        "qwertyuiopqwertyuiop",
        "zyxwvutsrqponmlk",
        "aaaaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "1qaz2wsx3edc4rfv",
        "juniperexample",
        "Juniper_Example2026",
        "willowstreetpsychiatry",
        "TelepsychTelepsych",
        "ｐａｓｓｗｏｒｄｐａｓｓｗｏｒｄ",
    ],
)
def test_what_is_guessed_first_is_refused(guessed: str) -> None:
    assert passwords.is_guessed_first(guessed, ABOUT)


@pytest.mark.parametrize(
    "own",
    [
        "seven quiet rivers of tin",
        "juniper walks by the quiet river",
        "correct horse battery staple!",
        "nur noch ein stück kuchen",
        "我們在河邊散步看見兩隻白色的鳥",
        "k7#pQ9vLm2xR",
    ],
)
def test_words_of_ones_own_are_taken(own: str) -> None:
    passwords.check_strength(own, second_factor=True, about=ABOUT)


def test_the_demo_keeps_its_own_rule() -> None:
    for one in PEOPLE:
        passwords.check_strength(one.password, second_factor=False)


@pytest.mark.parametrize(
    ("length", "second", "taken"),
    [
        (11, True, False),
        (12, True, True),
        (14, False, False),
        (15, False, True),
        (128, False, True),
        (129, True, False),
    ],
)
def test_how_long_it_has_to_be(length: int, second: bool, taken: bool) -> None:
    password = (string.ascii_letters + "0 quiet rivers of tin under seven bridges, and one more " * 3)[::-1][:length]
    if taken:
        passwords.check_strength(password, second_factor=second)
    else:
        with pytest.raises(Invalid):
            passwords.check_strength(password, second_factor=second)


@given(st.sampled_from(sorted(passwords.common())), st.integers(0, 9999), st.sampled_from(["", "!", "??", "_"]))
def test_digits_and_signs_hide_no_common_word(word: str, number: int, sign: str) -> None:
    for guess in (word, word.upper(), f"{word}{number}{sign}", f"{sign}{number}{word}", word * 2):
        core = passwords.AROUND.sub("", guess.casefold())
        if core in passwords.common() or guess.casefold() == word * 2:
            assert passwords.is_guessed_first(guess)


def test_the_list_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    passwords.common.cache_clear()
    monkeypatch.setattr(passwords, "COMMON", "accounts/none.txt")
    with pytest.raises(Misconfigured, match=r"none\.txt"):
        passwords.common()
    passwords.common.cache_clear()
