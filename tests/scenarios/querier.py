"""Questions to a Thanos querier, as a user's program asks them."""

import json
import urllib.parse
import urllib.request
from typing import Any

from apis import until


def wait_up(endpoint: str, *names: str) -> None:
    """Until `up{}` has a series for each of these `prometheus` labels, each of them 1, and nothing is amiss.

    On a busy machine a Prometheus may be late for a scrape of itself. `endpoint` is a `host:port`.
    """
    until(lambda: _ask(endpoint), lambda answer: not answer.get("warnings") and _up(answer) == list(names))


def _ask(endpoint: str) -> dict[str, Any]:
    question = urllib.parse.urlencode({"query": "up{}"})
    with urllib.request.urlopen(f"http://{endpoint}/api/v1/query?{question}", timeout=60) as response:
        answer: dict[str, Any] = json.load(response)
    assert answer["status"] == "success", answer
    return answer


def _up(answer: dict[str, Any]) -> list[str]:
    """The label of each series, sorted; it says so where it is not 1."""
    found = [(series["metric"]["prometheus"], series["value"][1]) for series in answer["data"]["result"]]
    return sorted(name if value == "1" else f"{name} is {value}" for name, value in found)
