"""Regular expressions: RE2's syntax, and time in proportion to the text."""

import contextlib
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_api.patterns import MAX_LENGTH, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("(?i)abc", "aBC", True),
        ("a(?i)b", "aB", True),
        ("(?U)a+", "aa", True),
        (r"\pL+", "ä", True),
        (r"a\z", "a", True),
        (r"\Qa.b\E+", "a.bbb", True),
        (r"\Qa.b\E", "axb", False),
        (r"\Q(", "(", True),
        (r"[[:alpha:]]+", "abc", True),
        (r"[^[:digit:]_]+", "a1", False),
        (r"[[:punct:]]+", "[]^-`", True),
        (r"\x{1F600}|\x41", "😀", True),
        (r"(?P<a>x)(?<b>y)", "xy", True),
        (r"\d", "٣", False),
        (r"[[a]", "[", True),
        (r"\\Qa", r"\Qa", True),
        (r"\Aab?$", "a", True),
        ("a.b", "a\nb", True),
        ("a$", "a\n", False),
    ],
)
def test_re2_syntax(pattern: str, text: str, matches: bool) -> None:
    assert compile_pattern(pattern).matches_all_of(text) is matches


def test_a_part_of_the_text_is_enough_where_that_is_asked() -> None:
    pattern = compile_pattern("on port [0-9]+$")
    assert pattern.is_found_in("listening on port 80")
    assert not pattern.is_found_in("listening on port 80.")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", r"not a regular expression in RE2's syntax: missing \)"),
        ("a**", "bad repetition operator"),
        ("(?=a)", r"invalid perl operator: \(\?="),
        (r"(a)\1", r"invalid escape sequence: \\1"),
        ("a{1001}", "invalid repetition size"),
        ("\ud800", "surrogates not allowed"),
        ("x" * (MAX_LENGTH + 1), f"{MAX_LENGTH} is the most"),
        (r"[\pL\pN]{20}", "too large once its repetitions are written out"),
    ],
)
def test_what_is_no_pattern_or_too_costly_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        compile_pattern(pattern)


@settings(deadline=None)
@given(st.text() | st.text(alphabet=r"ab\Q[]():?<>{}1^$.*+|-xzpE"))
def test_nothing_but_value_error(pattern: str) -> None:
    with contextlib.suppress(ValueError):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a|aa)+b"])
def test_no_text_takes_exponential_time(pattern: str) -> None:
    began = time.thread_time()
    assert not compile_pattern(pattern).is_found_in("a" * 65_536)
    assert time.thread_time() - began < 1


def test_other_threads_go_on_while_a_costly_pattern_is_matched() -> None:
    pattern = compile_pattern("(?:a?){1000}(?:a?){1000}b")
    for _ in range(30):  # a match takes a second or so, which a machine that stops just then may hide
        matching = threading.Thread(target=pattern.is_found_in, args=("a" * 65_536,))
        matching.start()
        rounds = 0
        while matching.is_alive():
            time.sleep(0.001)
            rounds += 1
        if rounds > 10:
            break
    assert rounds > 10
