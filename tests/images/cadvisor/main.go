// cAdvisor as upstream's program has it, without its pages for people, its REST API and its storage drivers.
package main

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/google/cadvisor/cache/memory"
	"github.com/google/cadvisor/container"
	_ "github.com/google/cadvisor/container/containerd/install"
	_ "github.com/google/cadvisor/container/crio/install"
	_ "github.com/google/cadvisor/container/docker/install"
	_ "github.com/google/cadvisor/container/podman/install"
	_ "github.com/google/cadvisor/container/systemd/install"
	v2 "github.com/google/cadvisor/info/v2"
	"github.com/google/cadvisor/manager"
	"github.com/google/cadvisor/metrics"
	"github.com/google/cadvisor/utils/sysfs"
	"github.com/google/cadvisor/version"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// What upstream leaves out unless it is asked for, and what cannot be had here.
const (
	unusual    = "advtcp,cpu_topology,cpuset,hugetlb,memory_numa,process,referenced_memory,sched,tcp,udp"
	impossible = "perf_event,resctrl"
)

// Flags of upstream's that would be without effect, and the values that ask for no effect.
var absent = map[string]string{
	"collector_cert": "", "collector_key": "", "http_auth_file": "", "http_auth_realm": "localhost",
	"http_digest_file": "", "http_digest_realm": "localhost", "perf_events_config": "",
	"resctrl_interval": "0", "storage_driver": "",
}

type options struct {
	ip, endpoint, prefix, labels, environment, cgroups string
	port, processors                                   int
	allLabels, profiling, version                      bool
	kept                                               time.Duration
	enabled, disabled                                  container.MetricSet
}

func main() {
	klog.InitFlags(nil)
	set := parse()
	if set.version {
		fmt.Printf("cAdvisor version %s\n", version.Version)
		return
	}
	if set.processors > 0 {
		runtime.GOMAXPROCS(set.processors)
	}
	included := metricsOf(set)
	watched, err := manager.New(memory.New(set.kept, nil), sysfs.NewRealSysFs(), manager.HousekeepingConfigFlags,
		included, http.DefaultClient, strings.Split(set.cgroups, ","), strings.Split(set.environment, ","), "", 0)
	if err == nil {
		err = watched.Start()
	}
	if err != nil {
		klog.Exitf("cAdvisor cannot begin: %v", err)
	}
	go untilAsked(watched)
	address := fmt.Sprintf("%s:%d", set.ip, set.port)
	klog.Infof("cAdvisor %s serves on %s", version.Version, address)
	handler := http.StripPrefix(set.prefix, pages(watched, set, included))
	klog.Exit(http.ListenAndServe(address, handler))
}

func parse() options {
	var set options
	flag.StringVar(&set.ip, "listen_ip", "", "address to serve on; empty for all")
	flag.IntVar(&set.port, "port", 8080, "port to serve on")
	flag.IntVar(&set.processors, "max_procs", 0, "how many CPUs to use at once; 0 for all")
	flag.BoolVar(&set.version, "version", false, "say the version, and stop")
	flag.StringVar(&set.endpoint, "prometheus_endpoint", "/metrics", "path of the metrics")
	flag.BoolVar(&set.profiling, "profiling", false, "serve profiles below /debug/pprof/")
	flag.StringVar(&set.prefix, "url_base_prefix", "", "prefix of all paths")
	flag.BoolVar(&set.allLabels, "store_container_labels", true, "all of a container's labels are its metrics'")
	flag.StringVar(&set.labels, "whitelisted_container_labels", "", "those that are, where not all are")
	flag.StringVar(&set.environment, "env_metadata_whitelist", "", "prefixes of variables that are labels, too")
	flag.StringVar(&set.cgroups, "raw_cgroup_prefix_whitelist", "", "prefixes of cgroups to watch, beside containers")
	flag.DurationVar(&set.kept, "storage_duration", 2*time.Minute, "how long values are kept")
	must(set.disabled.Set(unusual))
	flag.Var(&set.disabled, "disable_metrics", "kinds of metrics to leave out")
	flag.Var(&set.enabled, "enable_metrics", "kinds of metrics to have, and no others")
	for name, value := range absent {
		flag.String(name, value, "without effect here")
	}
	flag.Parse()
	flag.Visit(func(given *flag.Flag) {
		if value, known := absent[given.Name]; known && given.Value.String() != value {
			klog.Exitf("--%s=%s: this build has nothing that does it", given.Name, given.Value)
		}
	})
	return set
}

func metricsOf(set options) container.MetricSet {
	var none container.MetricSet
	must(none.Set(impossible))
	if len(set.enabled) > 0 {
		return set.enabled.Difference(none)
	}
	return container.AllMetrics.Difference(set.disabled).Difference(none)
}

func pages(watched manager.Manager, set options, included container.MetricSet) http.Handler {
	labels := metrics.DefaultContainerLabels
	if !set.allLabels {
		labels = metrics.BaseContainerLabels(strings.Split(set.labels, ","))
	}
	machine := metrics.NewPrometheusMachineCollector(watched, included)
	own, process := collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})
	served := http.NewServeMux()
	served.HandleFunc(set.endpoint, func(answer http.ResponseWriter, request *http.Request) {
		latest := v2.RequestOptions{IdType: v2.TypeName, Count: 1, Recursive: true}
		if given := request.URL.Query().Get("max_age"); given != "" {
			age, err := time.ParseDuration(given)
			if err != nil {
				http.Error(answer, fmt.Sprintf("max_age: %v", err), http.StatusInternalServerError)
				return
			}
			latest.MaxAge = &age
		}
		registry := prometheus.NewRegistry()
		registry.MustRegister(
			metrics.NewPrometheusCollector(watched, labels, included, clock.RealClock{}, latest), machine, own, process,
		)
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}).ServeHTTP(
			answer, request)
	})
	served.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprint(answer, "ok") })
	if set.profiling {
		served.HandleFunc("/debug/pprof/", pprof.Index)
		served.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		served.HandleFunc("/debug/pprof/profile", pprof.Profile)
		served.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	}
	return served
}

func untilAsked(watched manager.Manager) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, os.Interrupt, syscall.SIGTERM)
	<-asked
	if err := watched.Stop(); err != nil {
		klog.Errorf("the manager does not stop: %v", err)
	}
	klog.Flush()
	os.Exit(0)
}

func must(err error) {
	if err != nil {
		klog.Exit(err)
	}
}
