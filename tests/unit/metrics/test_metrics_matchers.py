"""Label matchers."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2e_api.errors import InvalidArgument
from e2e_controller.metrics import LabelMatcher, MatchType
from e2e_controller.metrics.matchers import compile_re2


@pytest.mark.parametrize(
    ("type_", "value", "actual", "matches"),
    [
        ("=", "a", "a", True),
        ("=", "a", "b", False),
        ("=", "", None, True),
        ("=", "a", None, False),
        ("!=", "a", "b", True),
        ("!=", "a", "a", False),
        ("!=", "a", None, True),
        ("!=", "", None, False),
        ("=~", "a|bc", "bc", True),
        ("=~", "a|bc", "abc", False),
        ("=~", "a.*", "ba", False),
        ("=~", ".*", None, True),
        ("=~", ".+", None, False),
        ("=~", "a.b", "a\nb", True),
        ("=~", "a$", "a\n", False),
        ("!~", "a|bc", "bc", False),
        ("!~", "a|bc", "c", True),
        ("!~", ".+", None, True),
    ],
)
def test_matching(type_: str, value: str, actual: str | None, matches: bool) -> None:
    labels = {} if actual is None else {"x": actual}
    assert LabelMatcher("x", MatchType(type_), value).matches("m", labels) is matches


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("(?i)abc", "aBC", True),
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
    ],
)
def test_re2_syntax(pattern: str, text: str, matches: bool) -> None:
    assert (compile_re2(pattern).fullmatch(text) is not None) is matches


@pytest.mark.parametrize("pattern", ["(", "a**", "[z-a]", r"\pN", "(?U)a", "a(?i)b", "(?Lu)a", "a{2,1}", "*"])
def test_what_is_no_regular_expression_is_named(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a regular expression") as caught:
        LabelMatcher("x", MatchType.REGEX, pattern)
    assert repr(pattern) in caught.value.message


@settings(deadline=None)
@given(st.text() | st.text(alphabet=r"ab\Q[]():?<>{}1^$.*+|-xzpE"))
def test_nothing_but_invalid_argument(pattern: str) -> None:
    with contextlib.suppress(InvalidArgument):
        compile_re2(pattern)


def test_a_matcher_prints_as_in_prometheus() -> None:
    assert str(LabelMatcher("job", MatchType.NOT_REGEX, 'a"b\\.')) == 'job!~"a\\"b\\\\."'
