package osapi

import (
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type metrics struct{ seconds *prometheus.HistogramVec }

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "ingot_http_request_seconds",
		Help:    "Time to answer, by service, route and status.",
		Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .5, 1, 5, 30},
	}, []string{"service", "method", "route", "status"})}
	if registry == nil {
		return m, nil
	}
	return m, registry.Register(m.seconds)
}

// observe counts and logs the request. The query is left out of the log: console and transfer tokens travel there.
func (s *Server) observe(r *Request, route *Route, out *recorder, h *http.Request, took time.Duration) {
	method, pattern, path := "other", "none", h.URL.Path
	if route != nil {
		method, pattern = route.Method, route.Pattern
		if route.Secret {
			path = r.dialect.Mount + route.Pattern
		}
	}
	s.metrics.seconds.WithLabelValues(r.dialect.Name, method, pattern, strconv.Itoa(out.status)).Observe(took.Seconds())
	level := slog.LevelInfo
	attributes := []slog.Attr{
		slog.String("method", h.Method), slog.String("path", path), slog.Int("status", out.status),
		slog.Int64("bytes", out.bytes), slog.Duration("took", took), slog.String("from", host(h)),
	}
	if r.failure != nil {
		attributes = append(attributes, slog.String("why", r.failure.Error()))
	}
	r.Log.LogAttrs(h.Context(), level, "request", attributes...)
}

func host(h *http.Request) string {
	address, _, err := net.SplitHostPort(h.RemoteAddr)
	if err != nil {
		return h.RemoteAddr
	}
	return address
}
