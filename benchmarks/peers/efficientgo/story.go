package main

import (
	"strings"

	"github.com/efficientgo/e2e"
	e2edb "github.com/efficientgo/e2e/db"
	e2emon "github.com/efficientgo/e2e/monitoring"
)

// The framework's own functions name older images, whose flags these do not all know.
const (
	prometheusImage = "quay.io/prometheus/prometheus:v3.5.0"
	thanosImage     = "quay.io/thanos/thanos:v0.38.0"
)

// story is the framework's own example. With our flags the programs are as quick to ask again as e2edb makes
// them. The environment is closed by `down`.
func (p *peer) story(ourFlags bool) error {
	if err := p.open(); err != nil {
		return err
	}
	var sidecar, query []string
	if ourFlags {
		sidecar = []string{"--prometheus.get_config_interval", "500ms"}
		query = []string{"--endpoint.info-timeout", "1s"}
	}
	p1 := e2edb.NewPrometheus(p.env, "prometheus-1", e2edb.WithImage(prometheusImage))
	s1 := e2edb.NewThanosSidecar(p.env, "sidecar-1", p1, thanos(sidecar)...)
	p2 := e2edb.NewPrometheus(p.env, "prometheus-2", e2edb.WithImage(prometheusImage))
	s2 := e2edb.NewThanosSidecar(p.env, "sidecar-2", p2, thanos(sidecar)...)
	endpoints := strings.Join([]string{s1.InternalEndpoint("grpc"), s2.InternalEndpoint("grpc")}, ",")
	t1 := e2edb.NewThanosQuerier(p.env, "query-1", nil, thanos(append(query, "--endpoint", endpoints))...)

	if err := e2e.StartAndWaitReady(p1, s1, p2, s2, t1); err != nil {
		return err
	}
	connections := []string{"thanos_store_nodes_grpc_connections"}
	if err := t1.WaitSumMetricsWithOptions(e2emon.Equals(2), connections, e2emon.WaitMissingMetrics()); err != nil {
		return err
	}
	for _, prometheus := range []*e2emon.Prometheus{p1, p2} {
		samples := []string{"prometheus_tsdb_head_samples_appended_total"}
		if err := prometheus.WaitSumMetricsWithOptions(e2emon.Greater(50), samples, e2emon.WaitMissingMetrics()); err != nil {
			return err
		}
	}
	return nil
}

func thanos(flags []string) []e2edb.Option {
	overrides := map[string]string{}
	for i := 0; i < len(flags); i += 2 {
		overrides[flags[i]] = flags[i+1]
	}
	return []e2edb.Option{e2edb.WithImage(thanosImage), e2edb.WithFlagOverride(overrides)}
}
