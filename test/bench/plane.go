package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/ingotcloud/ingot/internal/agentapi"
)

// plane is a control plane that has one image and hands out one order, to deploy it. Agents reach it as they reach the
// real one: over TLS, and for ranges of the blob.
type plane struct {
	image   *image
	server  *httptest.Server
	orders  chan agentapi.Command
	reports chan agentapi.Report // the last one of each order
}

func newPlane(i *image) *plane {
	p := &plane{image: i, orders: make(chan agentapi.Command), reports: make(chan agentapi.Report)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+agentapi.PathHello, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, agentapi.Welcome{Session: "bench", Now: time.Now()})
	})
	mux.HandleFunc("GET "+agentapi.PathCommand, func(w http.ResponseWriter, r *http.Request) {
		select {
		case order := <-p.orders:
			answer(w, order)
		case <-time.After(agentapi.PollWait):
			w.WriteHeader(http.StatusNoContent)
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("POST "+agentapi.PathReport, func(w http.ResponseWriter, r *http.Request) {
		var report agentapi.Report
		if err := json.NewDecoder(r.Body).Decode(&report); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
		if report.State != agentapi.Running {
			p.reports <- report
		}
	})
	mux.HandleFunc("GET "+agentapi.PathImage+"manifest", func(w http.ResponseWriter, _ *http.Request) { answer(w, p.image.manifest) })
	mux.HandleFunc("GET "+agentapi.PathImage+"blob", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, p.image.open())
	})
	p.server = httptest.NewUnstartedServer(mux)
	p.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	p.server.StartTLS()
	return p
}

// close ends it; agents that still wait for work are cut off.
func (p *plane) close() {
	p.server.CloseClientConnections()
	p.server.Close()
}

func answer(w io.Writer, body any) {
	_ = json.NewEncoder(w).Encode(body) // an agent that is gone is seen by what it does not report
}

func (p *plane) boot() agentapi.Boot {
	pin := sha256.Sum256(p.server.Certificate().RawSubjectPublicKeyInfo)
	return agentapi.Boot{URL: p.server.URL, Pin: hex.EncodeToString(pin[:]), Token: "bench"}
}

// deploy has an agent with the hardware carry out one deployment.
func (p *plane) deploy(ctx context.Context, id string) error {
	select {
	case p.orders <- agentapi.Command{ID: id, Kind: agentapi.KindDeploy, Deploy: &agentapi.Deploy{Image: "bench"}}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case report := <-p.reports:
		if report.State != agentapi.Done {
			return fmt.Errorf("the deployment failed: %s", report.Error)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
