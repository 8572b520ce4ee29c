// The Go framework as a peer of the benchmark: does what it is told on its input, one line a command, and
// answers each with one line, `ok` or `error ...`. What the framework logs goes to the error stream.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/efficientgo/e2e"
	e2emon "github.com/efficientgo/e2e/monitoring"
)

const portName = "http"

// order is what `prepare` asks for. The names are those of benchmarks/peers/order.py.
type order struct {
	Prefix  string   `json:"prefix"`
	Size    int      `json:"size"`
	Image   string   `json:"image"`
	Command []string `json:"command"`
	Port    int      `json:"port"`
	Page    string   `json:"page"`
	Folder  string   `json:"folder"`
	Metric  string   `json:"metric"`
}

type peer struct {
	order     order
	env       e2e.Environment
	workloads []e2e.Runnable
}

func main() {
	p := &peer{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		verb, rest, _ := strings.Cut(lines.Text(), " ")
		if verb == "quit" {
			break
		}
		if err := p.do(verb, rest); err != nil {
			fmt.Println("error", strings.ReplaceAll(err.Error(), "\n", "; "))
		} else {
			fmt.Println("ok")
		}
	}
	p.down()
}

func (p *peer) do(verb, rest string) error {
	switch verb {
	case "prepare":
		return p.prepare(rest)
	case "up":
		return e2e.StartAndWaitReady(p.workloads...)
	case "down":
		p.down()
		return nil
	case "metric":
		return p.waitMetric(rest)
	case "story":
		prefix, flags, _ := strings.Cut(rest, " ")
		p.order.Prefix = prefix
		return p.story(flags == "ours")
	case "kept":
		return nil // its children are seen from outside
	}
	return fmt.Errorf("unknown command %q", verb)
}

// prepare makes the environment, too: its network is not timed, as it is not for the others.
func (p *peer) prepare(text string) error {
	p.order = order{}
	if err := json.Unmarshal([]byte(text), &p.order); err != nil {
		return err
	}
	p.workloads = nil
	var options []e2e.EnvironmentOption
	if p.order.Folder != "" {
		options = append(options, e2e.WithVolumes(p.order.Folder+":"+p.order.Folder))
	}
	if err := p.open(options...); err != nil {
		return err
	}
	for number := range p.order.Size {
		p.workloads = append(p.workloads, p.workload("server-"+strconv.Itoa(number)))
	}
	return nil
}

func (p *peer) open(options ...e2e.EnvironmentOption) (err error) {
	logger := e2e.NewLogger(os.Stderr)
	p.env, err = e2e.New(append(options, e2e.WithName(p.order.Prefix), e2e.WithLogger(logger))...)
	return err
}

func (p *peer) workload(name string) e2e.Runnable {
	runnable := p.env.Runnable(name).WithPorts(map[string]int{portName: p.order.Port}).Init(e2e.StartOptions{
		Image:     p.order.Image,
		Command:   e2e.NewCommand(p.order.Command[0], p.order.Command[1:]...),
		Readiness: e2e.NewHTTPReadinessProbe(portName, p.order.Page, 200, 200),
	})
	if p.order.Metric == "" {
		return runnable
	}
	return e2emon.AsInstrumented(runnable, portName)
}

func (p *peer) waitMetric(text string) error {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return err
	}
	return p.workloads[0].(*e2emon.InstrumentedRunnable).WaitSumMetrics(e2emon.GreaterOrEqual(value), p.order.Metric)
}

func (p *peer) down() {
	if p.env != nil {
		p.env.Close()
		p.env = nil
	}
}
