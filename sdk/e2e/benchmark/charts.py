"""Pictures of figures, as Vega-Lite describes them. Needs the extra `report`."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any

from e2e_api.errors import InvalidArgument

if TYPE_CHECKING:
    import altair

Spec = dict[str, Any]
"""A chart, as Vega-Lite describes it."""
_WIDE = 20.0
"""Above this ratio of the largest to the least, a scale of equal steps would hide the least."""
_WIDTH, _HEIGHT, _ROW = 520, 220, 22


def lines(
    title: str,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    across: str,
    logarithmic: bool = False,
) -> Spec:
    """A line for each of the curves; `across` names what goes from left to right."""
    alt = _altair()
    rows: list[dict[str, Any]] = [
        {"name": name, "x": x, "y": y} for name, points in curves.items() for x, y in points if isfinite(y)
    ]
    wide = logarithmic and _wide([row[axis] for row in rows for axis in "xy"])
    scale = alt.Scale(type="log") if wide else alt.Scale()
    chart = (
        alt.Chart(alt.Data(values=rows), title=title, width=_WIDTH, height=_HEIGHT)
        .mark_line(point={"size": 14})
        .encode(
            x=alt.X("x:Q", title=across, scale=scale),
            y=alt.Y("y:Q", title=None, scale=scale),
            color=alt.Color("name:N", title=None, sort=list(curves)),
            tooltip=["name:N", "x:Q", "y:Q"],
        )
    )
    return _spec(chart)


def boxes(title: str, samples: Mapping[str, Sequence[float]]) -> Spec:
    """A box for each of the names: the middle half in it, its whiskers all."""
    alt = _altair()
    rows: list[dict[str, Any]] = [
        {"name": name, "x": value} for name, values in samples.items() for value in values if isfinite(value)
    ]
    wide = _wide([row["x"] for row in rows])
    chart = (
        alt.Chart(alt.Data(values=rows), title=title, width=_WIDTH, height=_ROW * max(2, len(samples)))
        .mark_boxplot(extent="min-max", size=12)
        .encode(
            x=alt.X("x:Q", title=None, scale=alt.Scale(type="log") if wide else alt.Scale(zero=False)),
            y=alt.Y("name:N", title=None, sort=list(samples), axis=alt.Axis(labelLimit=280)),
            color=alt.Color("name:N", legend=None, sort=list(samples)),
        )
    )
    return _spec(chart)


def svg(spec: Spec) -> str:
    """The picture, which needs nothing else."""
    picture: str = _converter().vegalite_to_svg(spec)
    return picture


@lru_cache(maxsize=1)
def script() -> str:
    """JavaScript that has `vegaEmbed`, with all that it needs."""
    bundle: str = _converter().javascript_bundle()
    return bundle.replace("</script", "<\\/script")


def _wide(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) > _WIDE


def _spec(chart: "altair.Chart") -> Spec:
    described: Spec = chart.to_dict()
    return described


def _altair() -> Any:
    try:
        import altair
    except ImportError as error:
        raise _without_extra(error) from None
    return altair


def _converter() -> Any:
    try:
        import vl_convert
    except ImportError as error:
        raise _without_extra(error) from None
    return vl_convert


def _without_extra(error: ImportError) -> InvalidArgument:
    return InvalidArgument(
        f"plots need the extra `report`: pip install 'e2e-controller[report]' ({error})",
        reason="NoReportExtra",
    )
