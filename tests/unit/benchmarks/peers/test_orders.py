import json
from pathlib import Path

from benchmarks.peers.contenders import compose_file
from benchmarks.peers.installed import NAMES, installed
from benchmarks.peers.kept import proportional_mb
from benchmarks.peers.order import Order
from benchmarks.peers.served import folder, serving

ORDER = Order(2, "busybox", ("httpd", "-f"), page="/ready")
SOURCES = Path(__file__).parents[4] / "benchmarks" / "peers"


def test_an_order_is_one_line_with_the_names_that_the_drivers_read() -> None:
    line = ORDER.line("bench-1-go")
    assert "\n" not in line
    read = json.loads(line)
    assert (read["prefix"], read["size"], read["command"]) == ("bench-1-go", 2, ["httpd", "-f"])
    program = (SOURCES / "efficientgo" / "main.go").read_text()
    assert all(f'`json:"{name}"`' in program for name in set(read) - {"period"})


def test_compose_asks_for_the_page_and_fails_nobody_in_start_up() -> None:
    services = compose_file(ORDER)["services"]
    assert list(services) == ["server-0", "server-1"]
    check = services["server-0"]["healthcheck"]
    assert check["test"][-1] == "http://127.0.0.1:8080/ready"
    assert (check["interval"], check["start_period"]) == ("1s", "10m")
    assert "volumes" not in services["server-0"]


def test_a_served_folder_is_seen_under_the_same_path(tmp_path: Path) -> None:
    served = folder(tmp_path)
    order = Order(1, "busybox", serving(served), folder=str(served))
    assert compose_file(order)["services"]["server-0"]["volumes"] == [f"{served}:{served}"]


def test_peers_that_were_never_installed_are_missing(tmp_path: Path) -> None:
    assert {name: peer.missing for name, peer in installed(tmp_path / "none.json").items()} == dict.fromkeys(
        NAMES, "not installed: `make bench-peers` does that"
    )


def test_what_was_installed_is_read(tmp_path: Path) -> None:
    file = tmp_path / "installed.json"
    file.write_text('{"compose": {"command": ["c"], "version": "v2"}, "efficientgo": {"missing": "no Go"}}')
    found = installed(file)
    assert (found["compose"].command, found["compose"].version) == (("c",), "v2")
    assert found["efficientgo"].missing == "no Go"


def test_shared_pages_count_once() -> None:
    assert proportional_mb("Rss:   9000 kB\nPss:    2000 kB\nPss_Anon: 1 kB\n") == 2.048
    assert proportional_mb("") == 0.0
