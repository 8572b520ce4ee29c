import math
from collections.abc import Sequence

import pytest

from e2e.benchmark.asked import in_phase, is_asked_once, query_figures
from e2e.benchmark.curves import Curve, increase, slopes, total, value_at
from e2e.benchmark.usage import Usage, is_ours, never_within, unseen_after, usages

START, END = 1000.0, 1010.0


def curve(points: Sequence[tuple[float, float]], metric: str = "x", **labels: str) -> Curve:
    return Curve({"__name__": metric, **labels}, tuple(points))


def cadvisor(what: str, points: Sequence[tuple[float, float]], workload: str = "web", **labels: str) -> Curve:
    return curve(points, f"container_{what}", **{"workload": workload, "id": f"/docker/{workload}", **labels})


def only(found: tuple[Usage, ...]) -> Usage:
    (usage,) = found
    return usage


@pytest.mark.parametrize(
    ("looks", "grown"),
    [
        # What is used all the time is used evenly.
        ([(994, 94), (999, 99), (1004, 104), (1009, 109), (1014, 114), (1019, 119)], 10),
        # What is used in the phase alone is all the phase's, however it lies to the looks.
        ([(994, 7), (999, 7), (1004, 9), (1009, 12), (1014, 15), (1019, 15)], 8),
        # At its very begin; at its very end.
        ([(994, 7), (999, 7), (1004, 10), (1009, 10), (1014, 10), (1019, 10)], 3),
        ([(994, 7), (999, 7), (1004, 7), (1009, 7), (1014, 10), (1019, 10)], 3),
        # Beside what is used all the time.
        ([(994, 94), (999, 99), (1004, 107), (1009, 112), (1014, 120), (1019, 125)], 10 + 6),
        # What was used before, and what is after, is not the phase's.
        ([(994, 0), (999, 50), (1004, 50), (1009, 50), (1014, 50), (1019, 99)], 0),
        # Nobody knows what was used before the first look, and after the last.
        ([(999, 7), (1004, 9), (1009, 12), (1014, 15)], 8),
        ([(1004, 9), (1009, 12)], 3),
        # Within two looks.
        ([(998, 98), (999, 99), (1014, 120), (1015, 121)], 16),
    ],
)
def test_how_a_counter_grows_in_a_phase(looks: list[tuple[float, float]], grown: float) -> None:
    assert increase(curve(looks), START, END, from_zero=False) == pytest.approx(grown)


def test_a_counter_that_begins_again_goes_on() -> None:
    looks = curve([(1000, 50), (1004, 60), (1006, 5), (1010, 8)])
    assert increase(looks, START, END, from_zero=False) == pytest.approx(10 + 8)


def test_before_the_first_look_a_counter_was_as_it_was_then() -> None:
    looks = curve([(1002, 50), (1010, 60)])
    assert increase(looks, START, END, from_zero=False) == 10
    assert increase(looks, START, END, from_zero=True) == 60


def test_after_the_last_look_nothing_grows() -> None:
    assert increase(curve([(1000, 1), (1003, 4)]), START, END, from_zero=False) == 3
    assert increase(curve([(900, 1)]), START, END, from_zero=False) == 0
    assert increase(curve([]), START, END, from_zero=True) == 0


def test_values_between_looks() -> None:
    points = [(0.0, 1.0), (2.0, 3.0)]
    assert [value_at(points, at) for at in (-1, 0, 1, 2, 9)] == [1, 1, 2, 3, 3]
    assert slopes([(0, 0), (2, 4), (2, 4), (3, 1)]) == [(2, 2.0), (3, 1.0)]


def test_a_sum_of_those_that_are_there() -> None:
    assert total([[(0, 1), (2, 1)], [(2, 10), (4, 20)]]) == ((0, 1), (2, 11), (4, 20))


def test_all_that_cadvisor_tells() -> None:
    found = only(
        usages(
            [
                cadvisor("cpu_usage_seconds_total", [(1000, 1), (1010, 3)], cpu="cpu00"),
                cadvisor("cpu_usage_seconds_total", [(1000, 2), (1010, 3)], cpu="cpu01"),
                cadvisor(
                    "memory_working_set_bytes", [(999, 900), (1000, 10), (1005, 40), (1010, 10), (1011, 90)]
                ),
                cadvisor("network_receive_bytes_total", [(1000, 0), (1010, 7)], interface="eth0"),
                cadvisor("network_receive_bytes_total", [(1000, 0), (1010, 99)], interface="lo"),
                cadvisor("network_transmit_bytes_total", [(1000, 0), (1010, 8)], interface="eth0"),
                cadvisor("fs_reads_bytes_total", [(1000, 0), (1010, 5)], device="/dev/vda"),
                cadvisor("fs_writes_bytes_total", [(1000, 0), (1010, 6)], device="/dev/vda"),
                cadvisor("start_time_seconds", [(1000, 500)]),
            ],
            START,
            END,
        )
    )
    assert (found.name, found.source) == ("web", "cadvisor")
    assert found.figures == {
        "cpu_seconds": 3,
        "memory_peak_bytes": 40,
        "memory_mean_bytes": 20,
        "network_received_bytes": 7,
        "network_sent_bytes": 8,
        "disk_read_bytes": 5,
        "disk_written_bytes": 6,
    }
    ((moment, cores),) = found.cpu_curve
    assert (moment, cores) == pytest.approx((10, 0.3))
    assert found.memory_curve == ((0, 10), (5, 40), (10, 10))


def test_a_container_that_was_born_in_the_phase_began_at_nothing() -> None:
    looks = [(1006, 4.0), (1010, 5.0)]
    born = [cadvisor("cpu_usage_seconds_total", looks), cadvisor("start_time_seconds", [(1006, 1003)])]
    assert only(usages(born, START, END)).cpu_seconds == 5
    seen_late = [cadvisor("cpu_usage_seconds_total", looks), cadvisor("start_time_seconds", [(1006, 500)])]
    assert only(usages(seen_late, START, END)).cpu_seconds == 1


def test_a_container_that_another_followed() -> None:
    both = [
        cadvisor("cpu_usage_seconds_total", [(1000, 50), (1004, 52)], id="/docker/old"),
        cadvisor("cpu_usage_seconds_total", [(1006, 1), (1010, 4)], id="/docker/new"),
        cadvisor("start_time_seconds", [(1004, 10)], id="/docker/old"),
        cadvisor("start_time_seconds", [(1010, 1005)], id="/docker/new"),
    ]
    assert only(usages(both, START, END)).cpu_seconds == 2 + 4


def test_what_ended_before_the_phase_or_began_after_it_is_not_told() -> None:
    assert usages([cadvisor("cpu_usage_seconds_total", [(990, 50), (999, 52)])], START, END) == ()
    late = [
        cadvisor("cpu_usage_seconds_total", [(1011, 5)]),
        cadvisor("start_time_seconds", [(1011, 1010.5)]),
    ]
    assert usages(late, START, END) == ()


def test_a_look_around_a_short_phase_tells_of_it() -> None:
    looks = [(998, 50), (999, 50), (1011, 80), (1012, 50)]
    (found,) = usages([cadvisor("memory_working_set_bytes", looks)], START, END)
    assert (found.memory_peak_bytes, found.memory_mean_bytes) == (80, 65)
    assert found.memory_curve == ((-1, 50), (11, 80))
    counted = cadvisor("cpu_usage_seconds_total", looks, "web")
    within = cadvisor("cpu_usage_seconds_total", [(999, 1), (1005, 2), (1011, 2)], "within")
    ended = cadvisor("cpu_usage_seconds_total", [(999, 1)], "ended")
    assert never_within([counted, within, ended], START, END) == "web"


def test_who_was_not_looked_at_often_enough() -> None:
    def up(job: str, points: Sequence[tuple[float, float]]) -> Curve:
        return curve(points, "up", job=job, instance=job)

    def counter(job: str, points: Sequence[tuple[float, float]]) -> Curve:
        return curve(points, "process_cpu_seconds_total", job=job, instance=job)

    there = [up("well", [(1013, 1)]), up("silent", [(1013, 0)]), up("late", [(1013, 1)])]
    there += [counter("well", [(1013, 5)]), counter("late", [(1013, 5)])]
    looks = [
        *(up(job, [(1011, 1), (1012, 1)]) for job in ("well", "silent", "late", "ended")),
        counter("well", [(1000, 1), (1011, 2), (1012, 2)]),
        counter("silent", [(1000, 1), (1011, 2)]),
        counter("late", [(1000, 1), (1011, 2)]),
        counter("ended", [(1000, 1), (1005, 2)]),
        counter("ended-long-ago", [(990, 1)]),
    ]
    assert unseen_after(looks, there, START, END, 2) == ("late, silent", "ended")
    assert unseen_after(looks, there, START, END, 1) == ("", "ended")


def test_a_process_under_a_name_of_its_own_is_told_once() -> None:
    looks = [(1000.0, 0.0), (1010.0, 1.0)]
    group = cadvisor("cpu_usage_seconds_total", looks, "load", id="/e2e/shop.load")
    itself = curve(looks, "process_cpu_seconds_total", job="test-process")
    assert [each.name for each in usages([group, itself], START, END)] == ["load"]
    assert [each.name for each in usages([itself], START, END)] == ["test-process"]


def test_processes_tell_where_no_cadvisor_does() -> None:
    own = [
        curve([(1000, 1), (1010, 2)], "process_cpu_seconds_total", job="web", workload="web"),
        curve([(1000, 7)], "process_resident_memory_bytes", job="web", workload="web"),
        curve([(1000, 1), (1010, 5)], "process_cpu_seconds_total", job="test-process"),
        curve([(1000, 1), (1010, 5)], "process_cpu_seconds_total", job="somebody-else"),
    ]
    test_process, web = usages(own, START, END)
    assert (test_process.name, test_process.cpu_seconds, test_process.source) == (
        "test-process",
        4,
        "process",
    )
    assert test_process.memory_peak_bytes is None
    assert (web.cpu_seconds, web.memory_mean_bytes) == (1, 7)
    told = [*own, cadvisor("cpu_usage_seconds_total", [(1000, 0), (1010, 9)])]
    assert [(each.name, each.cpu_seconds) for each in usages(told, START, END)] == [
        ("test-process", 4),
        ("web", 9),
    ]


def test_other_processes_in_a_cgroup_of_their_own_are_none_of_ours() -> None:
    looks = [(1000.0, 0.0)]
    ours = cadvisor("cpu_usage_seconds_total", looks, "ours", id="/docker/abc/e2e/ours")
    theirs = cadvisor("cpu_usage_seconds_total", looks, "theirs", id="/e2e/theirs")
    web = cadvisor("cpu_usage_seconds_total", looks, "web", environment="shop")
    assert [is_ours(each, "shop", {"/e2e/ours"}) for each in (ours, theirs, web)] == [True, False, True]
    assert [is_ours(each, "bank", ()) for each in (ours, theirs, web)] == [False, False, False]


def test_a_query_s_figures_leave_nan_out() -> None:
    looks = [
        curve([(1000, math.nan), (1001, 1), (1002, 4)], code="200"),
        curve([(1000, math.nan)], code="500"),
    ]
    (found,) = query_figures("rate", "rate(x[5s])", looks, START).series
    assert (found.mean, found.least, found.most, found.last) == (2.5, 1, 4, 4)
    assert found.curve == ((1, 1), (2, 4))
    assert found.labels["code"] == "200"


def test_series_of_a_query_are_told_apart_by_what_differs() -> None:
    looks = [curve([(1000, 1)], code=code, job="web") for code in ("200", "500")]
    found = query_figures("rate", "rate(x[5s])", looks, START)
    assert [found.words_for(series) for series in found.series] == ["code=200", "code=500"]
    alone = query_figures("rate", "rate(x[5s])", looks[:1], START)
    assert alone.words_for(alone.only) == "__name__=x, code=200, job=web"


def test_a_query_for_the_whole_phase() -> None:
    promql = "increase(x[$__range])"
    assert in_phase(promql, 2.5) == "increase(x[2500ms])"
    assert is_asked_once(promql)
    (found,) = query_figures("rate", promql, [curve([(1010, 3)])], START).series
    assert (found.mean, found.curve) == (3, ())
