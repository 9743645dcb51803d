package stack

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics tells.
type metrics struct {
	requests *prometheus.HistogramVec
	handler  http.Handler
}

func newMetrics() *metrics {
	registry := prometheus.NewRegistry()
	m := &metrics{requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kilonova_request_seconds",
		Help: "How long requests took, by service, route and status.", Buckets: []float64{.0005, .001, .005, .02, .1, .5, 2, 10}}, []string{"service", "route", "status"})}
	registry.MustRegister(m.requests, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return m
}

func (m *metrics) observe(service, route string, status int, took time.Duration) {
	m.requests.WithLabelValues(service, route, strconv.Itoa(status)).Observe(took.Seconds())
}
