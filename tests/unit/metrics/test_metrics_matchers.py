"""Label matchers."""

import pytest

from e2e_api.errors import InvalidArgument
from e2e_controller.metrics import LabelMatcher, MatchType


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


@pytest.mark.parametrize("pattern", ["(", "[z-a]", "(?=a)", r"(a)\1"])
def test_what_is_no_regular_expression_is_named(pattern: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a regular expression") as caught:
        LabelMatcher("x", MatchType.REGEX, pattern)
    assert repr(pattern) in caught.value.message


def test_a_matcher_prints_as_in_prometheus() -> None:
    assert str(LabelMatcher("job", MatchType.NOT_REGEX, 'a"b\\.')) == 'job!~"a\\"b\\\\."'
