package osapi

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/ingotcloud/ingot/internal/fault"
)

// limiter keeps a token bucket for each caller. Buckets that nobody drew from for a while are full and are forgotten.
type limiter struct {
	limit rate.Limit
	burst int

	mu      sync.Mutex
	buckets map[string]*bucket
	swept   time.Time
}

type bucket struct {
	*rate.Limiter
	used time.Time
}

const forgetAfter = 5 * time.Minute

func newLimiter(perSecond float64, burst int) *limiter {
	if perSecond == 0 {
		perSecond, burst = 200, 400
	}
	if perSecond < 0 {
		return nil
	}
	return &limiter{limit: rate.Limit(perSecond), burst: max(burst, 1), buckets: map[string]*bucket{}, swept: time.Now()}
}

// admit fails when the caller asks too often.
func (l *limiter) admit(caller string) error {
	if l == nil || l.bucket(caller).Allow() {
		return nil
	}
	return &Error{Status: http.StatusTooManyRequests, Err: fault.New(fault.Quota, "Too many requests; try again in a second.")}
}

func (l *limiter) bucket(caller string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Sub(l.swept) > forgetAfter {
		for name, b := range l.buckets {
			if now.Sub(b.used) > forgetAfter {
				delete(l.buckets, name)
			}
		}
		l.swept = now
	}
	b := l.buckets[caller]
	if b == nil {
		b = &bucket{Limiter: rate.NewLimiter(l.limit, l.burst)}
		l.buckets[caller] = b
	}
	b.used = now
	return b.Limiter
}

// cors answers for pages of the configured origins. It reports whether the request was a preflight, which ends here.
func (s *Server) cors(w http.ResponseWriter, h *http.Request) (done bool) {
	origin := h.Header.Get("Origin")
	if origin == "" || !(slices.Contains(s.CORSOrigins, origin) || slices.Contains(s.CORSOrigins, "*")) {
		return false
	}
	header := w.Header()
	header.Set("Access-Control-Allow-Origin", origin)
	header.Add("Vary", "Origin")
	header.Set("Access-Control-Expose-Headers", "X-Subject-Token, X-Openstack-Request-Id, OpenStack-API-Version, Location")
	if h.Method != http.MethodOptions || h.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE")
	if asked := h.Header.Get("Access-Control-Request-Headers"); asked != "" {
		header.Set("Access-Control-Allow-Headers", asked)
	}
	header.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
