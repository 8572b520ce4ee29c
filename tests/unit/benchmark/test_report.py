import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import e2e
from e2e.benchmark import charts
from e2e.benchmark.asked import QueryFigures, SeriesFigures
from e2e.benchmark.comparison import Comparison
from e2e.benchmark.markdown import amount, number
from tests.unit.benchmark.reports import report


def test_markdown_has_a_row_for_each() -> None:
    text = report().to_markdown()
    assert text.startswith("*load: 10.00 s in environment shop, 2026-01-02 03:04:05 UTC*\n")
    assert re.search(r"\| test-process \| 250\.0 ms( \| .){6} \|\n", text)
    assert re.search(r"\| web \| 2\.50 s \| 3\.0 MB \| 2\.5 MB \| 1\.2 kB \| 99 B( \| .){2} \|\n", text)
    assert "| requests | code=200 | 10 | 5 | 15 | 12 |" in text
    assert "| errors | no values |" in text
    assert "- not looked at after the phase: <web>" in text


def test_json_has_all_and_no_nan() -> None:
    found = json.loads(replace(report(), seconds=math.nan).to_json())
    assert found["seconds"] is None
    assert found["usage"][1]["cpu_curve"] == [[1.0, 0.2], [2.0, 0.3]]
    assert found["queries"][0]["series"][0]["labels"] == {"code": "200"}
    assert found["started"] == "2026-01-02T03:04:05+00:00"


def test_a_report_that_was_written_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "load.json").write_text(report().to_json())
    assert e2e.benchmark.Report.read(tmp_path / "load.json") == report()
    (tmp_path / "nan.json").write_text(report(math.inf).to_json().replace('"seconds": null', '"seconds": 1'))
    assert math.isnan(e2e.benchmark.Report.read(tmp_path / "nan.json").query("requests").only.mean)
    for text in ("", "[]", "{}", '{"format": 7}', '{"format": 1, "queries": []}'):
        (tmp_path / "other.json").write_text(text)
        with pytest.raises(e2e.InvalidArgument, match=r"other\.json: not a"):
            e2e.benchmark.Report.read(tmp_path / "other.json")


def test_figures_by_name() -> None:
    figures = report().figures
    assert figures["web: cpu_seconds"] == 2.5
    assert figures["requests (code=200)"] == 10.0
    assert "web: disk_read_bytes" not in figures
    assert report().of("web").cpu_seconds == 2.5
    assert report().query("requests").only.mean == 10.0
    with pytest.raises(KeyError, match="of test-process, web"):
        report().of("db")
    with pytest.raises(KeyError, match="requests, errors"):
        report().query("latency")
    with pytest.raises(e2e.InvalidArgument, match="0 series, not one: none"):
        _ = report().query("errors").only


def test_the_page_needs_nothing_else() -> None:
    page = report().to_html()
    assert page.count("<script") == page.count("<script>") == page.count("</script>") == 2
    markup = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"\s(src|href)=|@import|url\(", markup)
    plots = json.loads(page[page.rindex("<script>") + len("<script>") : page.rindex(".forEach")])
    assert [plot["title"] for plot in plots] == ["cores in use", "memory, MB", "requests"]
    assert page.count('<div id="plot-') == 3
    assert "vegaEmbed=" in page
    assert "&lt;web&gt;" in page
    assert "&lt;/script&gt;" in page


def test_what_is_infinite_is_not_drawn() -> None:
    endless = SeriesFigures({}, math.inf, 1.0, math.inf, math.inf, ((0.0, 1.0), (1.0, math.inf)))
    told = replace(report(), queries=(QueryFigures("ratio", "a / b", (endless,)),))
    assert '"values": [{"name": "ratio", "x": 0.0, "y": 1.0}]' in told.to_html()
    assert "| ratio |  | +Inf | 1 |" in told.to_markdown()
    drawn = charts.boxes("ratio", {"a": [1.0, math.inf]})
    assert drawn["data"]["values"] == [{"name": "a", "x": 1.0}]


def test_three_files_are_written(tmp_path: Path) -> None:
    path = report().write(tmp_path / "reports", "first/../load 1")
    assert path == tmp_path / "reports" / "first-..-load-1.json"
    assert {file.suffix for file in path.parent.iterdir()} == {".json", ".md", ".html"}
    assert (path.with_suffix(".md")).read_text() == str(report())


def test_a_comparison_s_page() -> None:
    page = Comparison.of([report()] * 4, [report(2)] * 4, names=("<old>", "new")).to_html()
    assert "&lt;old&gt;" in page
    assert page.count('<div id="plot-') == 8


def test_pictures_without_a_script() -> None:
    picture = charts.svg(charts.boxes("times", {"old": [1.0, 2.0, 100.0], "new": [1.0]}))
    assert picture.startswith("<svg")
    assert "times" in picture
    assert (
        charts.lines("x", {"a": [(1, 0), (2, 1)]}, across="n", logarithmic=True)["encoding"]["x"]["scale"]
        == {}
    )


@pytest.mark.parametrize("missing", ["altair", "vl_convert"])
def test_without_the_extra_the_error_names_it(missing: str) -> None:
    script = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from tests.unit.benchmark.reports import report\n"
        "from e2e import InvalidArgument\n"
        "report().to_markdown(); report().to_json()\n"
        "try:\n    report().to_html()\nexcept InvalidArgument as error:\n    print(error)\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "e2e-controller[report]" in told.stdout


@pytest.mark.parametrize(
    ("figure", "value", "text"),
    [
        ("cpu_seconds", 0.0123, "12.3 ms"),
        ("cpu_seconds", 12.3456, "12.35 s"),
        ("disk_read_bytes", 0.0, "0 B"),
        ("disk_read_bytes", 5.5e9, "5.5 GB"),
        ("value", 1234.5678, "1235"),
    ],
)
def test_amounts(figure: str, value: float, text: str) -> None:
    assert amount(figure, value) == text


def test_numbers() -> None:
    assert [number(value) for value in (0.00012345, 5.0, math.inf)] == ["0.0001234", "5", "+Inf"]
    assert e2e.matchers.format_number(2.0) == "2"
