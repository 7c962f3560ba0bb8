// SPDX-License-Identifier: MIT

package app

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"bos/internal/bos"
	"bos/internal/tracing"
	"bos/internal/upstream/call"
)

// metrics are what BOS tells Prometheus. What is known at any time is collected
// when it is asked for; what happens is counted as it happens.
type metrics struct {
	app      *App
	registry *prometheus.Registry

	requests    *prometheus.HistogramVec
	calls       *prometheus.HistogramVec
	retries     *prometheus.CounterVec
	hedges      *prometheus.CounterVec
	passes      *prometheus.HistogramVec
	passedNodes *prometheus.CounterVec
	unfinished  *prometheus.CounterVec
	leading     *prometheus.GaugeVec
	progress    progress
}

func newMetrics(a *App) *metrics {
	m := &metrics{
		app:      a,
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bos_api_request_seconds", Help: "Time that API requests took, by operation and status.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
		}, []string{"operation", "status"}),
		calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bos_upstream_call_seconds", Help: "Time that calls to services took, retries included, by service, operation and outcome.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
		}, []string{"service", "operation", "outcome"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bos_upstream_retries_total", Help: "Requests to services that were repeated.",
		}, []string{"service"}),
		hedges: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bos_upstream_hedges_total", Help: "Copies of requests that services had not answered.",
		}, []string{"service"}),
		passes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bos_operator_pass_seconds", Help: "Time that passes of operators took.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
		}, []string{"operator"}),
		passedNodes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bos_operator_looked_at_total", Help: "Components or sessions that operators looked at.",
		}, []string{"operator"}),
		unfinished: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bos_operator_unfinished_total", Help: "Passes of operators that could not be finished and are repeated.",
		}, []string{"operator"}),
		leading: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bos_operator_leading", Help: "1 for the operators that work in this process, 0 for those that stand by.",
		}, []string{"operator"}),
		progress: newProgress(),
	}
	version := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bos_build_info", Help: "1, with the version that runs.",
		ConstLabels: prometheus.Labels{"version": a.opts.Version},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.requests, m.calls, m.retries, m.hedges, m.passes, m.passedNodes, m.unfinished, m.leading, version,
		m.progress.phases, m.progress.sessions, &running{app: a}, fleet{a}, guarded{a},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if a.guard.refused != nil {
		m.registry.MustRegister(a.guard.refused)
	}
	// Those that never led are standing by as well.
	for _, name := range a.cfg.OperatorNames() {
		m.leads(name, false)
	}
	return m
}

func (m *metrics) answered(ctx context.Context, operation string, status int, took time.Duration) {
	if operation == "" {
		operation = "none"
	}
	m.requests.WithLabelValues(operation, strconv.Itoa(status)).Observe(took.Seconds())
	tracing.Answered(ctx, operation, status)
}

func (m *metrics) called(s call.Sample) {
	m.calls.WithLabelValues(s.Service, s.Operation, s.Err.String()).Observe(s.Duration.Seconds())
	if s.Retries > 0 {
		m.retries.WithLabelValues(s.Service).Add(float64(s.Retries))
	}
	if s.Hedges > 0 {
		m.hedges.WithLabelValues(s.Service).Add(float64(s.Hedges))
	}
}

func (m *metrics) passed(role string, nodes int, took time.Duration, err error) {
	if err != nil {
		m.unfinished.WithLabelValues(role).Inc()
	}
	m.passes.WithLabelValues(role).Observe(took.Seconds())
	m.passedNodes.WithLabelValues(role).Add(float64(nodes))
}

func (m *metrics) leads(role string, leading bool) {
	value := 0.0
	if leading {
		value = 1
	}
	m.leading.WithLabelValues(role).Set(value)
}

// fleet collects what is so at the moment.
type fleet struct{ app *App }

var (
	componentsDesc = prometheus.NewDesc("bos_components", "Components by status.", []string{"status"}, nil)
	enabledDesc    = prometheus.NewDesc("bos_components_enabled", "Components that are being driven.", nil, nil)
	sessionsDesc   = prometheus.NewDesc("bos_sessions", "Sessions by status.", []string{"status"}, nil)
	attemptsDesc   = prometheus.NewDesc("bos_power_commands_open", "Power commands that PCS is not done with, by action.", []string{"action"}, nil)
	awayDesc       = prometheus.NewDesc("bos_upstream_away", "1 while a service gives no usable answer.", []string{"service"}, nil)
	revisionDesc   = prometheus.NewDesc("bos_view_revision", "Revision of the store that the view has reached.", nil, nil)
	visitsDesc     = prometheus.NewDesc("bos_view_visits_total", "Documents and index entries that lists and sums looked at.", nil, nil)
	skippedDesc    = prometheus.NewDesc("bos_store_unreadable_documents", "Documents of the store that could not be read.", nil, nil)
	copyTimeDesc   = prometheus.NewDesc("bos_snapshot_time_seconds", "When the newest copy of the store was made, in Unix time; 0 for never.", nil, nil)
	copyBytesDesc  = prometheus.NewDesc("bos_snapshot_bytes", "Size of the newest copy of the store.", nil, nil)
	copyFaultDesc  = prometheus.NewDesc("bos_snapshot_failures_total", "Copies of the store that could not be made.", nil, nil)
	eventsDesc     = prometheus.NewDesc("bos_events", "Events that are kept.", nil, nil)
	eventBytesDesc = prometheus.NewDesc("bos_events_bytes", "What the events that are kept take in the store.", nil, nil)
	recordedDesc   = prometheus.NewDesc("bos_events_recorded_total", "Events that this process recorded, by what became of them.", []string{"outcome"}, nil)
	eventQueueDesc = prometheus.NewDesc("bos_events_waiting", "Events of this process that wait to be written.", nil, nil)
	sizeDesc       = prometheus.NewDesc("bos_store_bytes", "Size of the store's file, and what of it is in use.", []string{"kind"}, nil)
)

// Describe implements [prometheus.Collector].
func (f fleet) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		componentsDesc, enabledDesc, sessionsDesc, attemptsDesc, awayDesc, revisionDesc, visitsDesc, skippedDesc, sizeDesc,
		copyTimeDesc, copyBytesDesc, copyFaultDesc,
		eventsDesc, eventBytesDesc, recordedDesc, eventQueueDesc,
	} {
		ch <- d
	}
}

// sizeTimeout bounds how long the store may take to tell its size.
const sizeTimeout = time.Second

// Collect implements [prometheus.Collector].
func (f fleet) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	v := f.app.view
	for status, n := range v.StatusCounts() {
		gauge(componentsDesc, float64(n), string(status))
	}
	gauge(enabledDesc, float64(len(v.EnabledIDs())))
	for _, state := range []bos.SessionState{bos.SessionPending, bos.SessionRunning, bos.SessionComplete} {
		gauge(sessionsDesc, float64(len(v.SessionsIn(state))), string(state))
	}
	for _, action := range []bos.Action{bos.ActionPoweringOn, bos.ActionPoweringOffGracefully, bos.ActionPoweringOffForcefully} {
		gauge(attemptsDesc, float64(len(v.Attempts(action))), string(action))
	}
	if f.app.services != nil {
		for name, service := range f.app.services.all {
			away := 0.0
			if service.Health().Away() {
				away = 1
			}
			gauge(awayDesc, away, name)
		}
	}
	gauge(revisionDesc, float64(v.Revision()))
	ch <- prometheus.MustNewConstMetric(visitsDesc, prometheus.CounterValue, float64(v.Visits()))
	gauge(skippedDesc, float64(len(v.Skipped())))
	f.collectEvents(ch)
	if schedule := f.app.schedule; schedule != nil {
		status := schedule.Status()
		last := 0.0
		if !status.Last.IsZero() {
			last = float64(status.Last.Unix())
		}
		gauge(copyTimeDesc, last)
		gauge(copyBytesDesc, float64(status.Bytes))
		ch <- prometheus.MustNewConstMetric(copyFaultDesc, prometheus.CounterValue, float64(status.Failures))
	}
	if sizer, ok := f.app.store.Engine.(interface {
		Size(ctx context.Context) (total, inUse int64, err error)
	}); ok {
		ctx, cancel := context.WithTimeout(context.Background(), sizeTimeout)
		defer cancel()
		if total, inUse, err := sizer.Size(ctx); err == nil {
			gauge(sizeDesc, float64(total), "total")
			gauge(sizeDesc, float64(inUse), "in_use")
		}
	}
}

// collectEvents collects what is known of events.
func (f fleet) collectEvents(ch chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	count, bytes := f.app.view.EventsSize()
	send(eventsDesc, prometheus.GaugeValue, float64(count))
	send(eventBytesDesc, prometheus.GaugeValue, float64(bytes))
	stats := f.app.events.Stats()
	send(recordedDesc, prometheus.CounterValue, float64(stats.Written), "written")
	send(recordedDesc, prometheus.CounterValue, float64(stats.Dropped), "dropped")
	send(eventQueueDesc, prometheus.GaugeValue, float64(stats.Waiting))
}
