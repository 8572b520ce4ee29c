"""Blocks in an object store: a sidecar uploads them, a store gateway serves them, a compactor merges them."""

import time
from collections.abc import Iterator

from apis import query, query_range, until

import e2e
import e2edb
from e2e import equals, greater, greater_or_equal

HOUR = 3600
OLD = "/tmp/old.openmetrics"


def test_blocks_go_from_the_sidecar_through_the_bucket_to_the_querier(
    e2e_environment: e2e.Environment,
) -> None:
    env = e2e_environment
    minio = e2edb.minio(env, "minio-1", buckets=["blocks"])
    bucket = e2edb.objstore_config(minio, "blocks")
    start = (int(time.time()) - 30 * HOUR) // (8 * HOUR) * 8 * HOUR
    times = [start + half * HOUR // 2 for half in range(32)]
    prometheus = e2edb.prometheus(env, "prometheus-1", files={OLD: "".join(open_metrics(times))})
    env.start_and_wait_ready(minio, prometheus)
    prometheus.exec(["promtool", "tsdb", "create-blocks-from", "openmetrics", OLD, "/prometheus"])

    sidecar = e2edb.thanos_sidecar(env, "sidecar-1", prometheus, objstore_config=bucket)
    store = e2edb.thanos_store(env, "store-1", bucket)
    querier = e2edb.thanos_querier(env, "query-1", [store])
    frontend = e2edb.thanos_query_frontend(env, "frontend-1", querier)
    env.start_and_wait_ready(sidecar, store, querier, frontend)
    sidecar.wait_sum_metrics(equals(8), "thanos_shipper_uploads_total")
    store.wait_sum_metrics(equals(8), "thanos_bucket_store_blocks_loaded")
    querier.wait_sum_metrics(equals(1), "thanos_store_nodes_grpc_connections")

    endpoint = querier.endpoint("http")
    found = until(lambda: query(endpoint, "old", at=times[9]), bool)
    assert found == {"kind=test,prometheus=prometheus-1": 9.0}

    values = [float(number) for number in range(32)]
    for _ in range(2):
        asked = query_range(frontend.endpoint("http"), "old", times[0], times[-1], HOUR / 2)
        assert asked == values
    frontend.wait_sum_metrics(greater_or_equal(2), "thanos_query_frontend_queries_total")
    frontend.wait_sum_metrics(greater(0), "cortex_cache_hits")

    compact = e2edb.thanos_compact(env, "compact-1", bucket)
    compact.start_and_wait_ready()
    compact.wait_sum_metrics(greater_or_equal(1), "thanos_compact_group_compactions_total")
    compact.wait_sum_metrics(equals(0), "thanos_compact_halted")
    store.wait_sum_metrics(e2e.less(8), "thanos_bucket_store_blocks_loaded")
    until(lambda: query(endpoint, "old", at=times[9]), lambda after: after == found)


def open_metrics(times: list[int]) -> Iterator[str]:
    yield "# TYPE old gauge\n"
    for number, moment in enumerate(times):
        yield f'old{{kind="test"}} {number} {moment}\n'
    yield "# EOF\n"


def test_a_store_gateway_serves_a_bucket_in_a_directory(e2e_environment: e2e.Environment) -> None:
    bucket = e2e_environment.shared_dir / "bucket"
    bucket.mkdir(mode=0o777)
    configuration = {"type": "FILESYSTEM", "config": {"directory": str(bucket)}}
    store = e2edb.thanos_store(e2e_environment, "store-1", configuration)
    query = e2edb.thanos_querier(e2e_environment, "query-1", [store.internal_endpoint("grpc")])
    e2e_environment.start_and_wait_ready(store, query)
    query.wait_sum_metrics(equals(1), "thanos_store_nodes_grpc_connections")
    store.wait_sum_metrics(equals(0), "thanos_bucket_store_blocks_loaded")


def test_a_sidecar_that_is_there_first_leaves_the_blocks_to_their_prometheus(
    e2e_environment: e2e.Environment,
) -> None:
    env = e2e_environment
    bucket = {"type": "FILESYSTEM", "config": {"directory": str(env.shared_dir)}}
    prometheus = e2edb.prometheus(env, "prometheus-1")
    sidecar = e2edb.thanos_sidecar(env, "sidecar-1", prometheus, objstore_config=bucket)
    sidecar.start()
    sidecar.wait_running()
    env.start_and_wait_ready(prometheus, sidecar)
    prometheus.wait_sum_metrics(greater(0), "prometheus_tsdb_head_samples_appended_total")
    owners = [
        workload.exec(["stat", "-c", "%u", "/prometheus", "/prometheus/wal"]).stdout_text
        for workload in (prometheus, sidecar)
    ]
    assert owners == ["65534\n65534\n"] * 2
