package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// client of one service.
type client struct {
	url    string
	header http.Header
	http   *http.Client
}

func newClient(url string) *client {
	return &client{url: url, header: http.Header{}, http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

// with is the same client that sends one more header with every request.
func (c client) with(name, value string) *client {
	c.header = c.header.Clone()
	c.header.Set(name, value)
	return &c
}

// do makes one request, reads the whole answer and gives its header; in and out are JSON unless nil.
func (c *client) do(ctx context.Context, method, path string, in, out any) (http.Header, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return nil, err
	}
	request.Header = c.header.Clone()
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close() //nolint:errcheck // it is read to its end
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return nil, err
	case answer.StatusCode >= 300:
		return nil, fmt.Errorf("%s %s: %s: %.500s", method, request.URL, answer.Status, text)
	case out != nil:
		return answer.Header, json.Unmarshal(text, out)
	}
	return answer.Header, nil
}

// answers are what some clients saw who asked again as soon as they were answered.
type answers struct {
	times []time.Duration // sorted
	wall  time.Duration
}

// press lets clients do it for as long as span, but at least once each and at most limit times together (0: no limit).
func press(ctx context.Context, clients int, span time.Duration, limit int, do func(context.Context) error) (answers, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		l     answers
		mutex sync.Mutex
		group sync.WaitGroup
		begun int
	)
	next := func() bool { // whether one more is to begin
		mutex.Lock()
		defer mutex.Unlock()
		begun++
		return limit == 0 || begun <= limit
	}
	began := time.Now()
	for range clients {
		group.Go(func() {
			for once := true; ctx.Err() == nil && (once || limit > 0 || time.Since(began) < span) && next(); once = false {
				asked := time.Now()
				if err := do(ctx); err != nil {
					cancel(err)
					return
				}
				took := time.Since(asked)
				mutex.Lock()
				l.times = append(l.times, took)
				mutex.Unlock()
			}
		})
	}
	group.Wait()
	l.wall = time.Since(began)
	slices.Sort(l.times)
	return l, context.Cause(ctx)
}

// quantile is the time within which the fraction of all was answered.
func (l answers) quantile(fraction float64) time.Duration {
	return l.times[min(len(l.times)-1, int(fraction*float64(len(l.times))))]
}
