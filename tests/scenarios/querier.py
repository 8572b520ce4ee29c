"""Questions to a Thanos querier, as a user's program asks them."""

import json
import urllib.parse
import urllib.request


def query_up(endpoint: str) -> list[str]:
    """The `prometheus` label of each series that `up{}` has now, sorted; `endpoint` is a `host:port`."""
    question = urllib.parse.urlencode({"query": "up{}"})
    with urllib.request.urlopen(f"http://{endpoint}/api/v1/query?{question}", timeout=60) as response:
        answer = json.load(response)
    assert answer["status"] == "success", answer
    assert not answer.get("warnings"), answer
    assert all(series["value"][1] == "1" for series in answer["data"]["result"]), answer
    return sorted(series["metric"]["prometheus"] for series in answer["data"]["result"])
