package s3_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/ingotcloud/ingot/internal/driver/blob/s3"
	"github.com/ingotcloud/ingot/internal/image"
	"github.com/ingotcloud/ingot/internal/image/blobtest"
)

func store(t *testing.T, wrap func(http.Handler) http.Handler) s3.Options {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("images"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(wrap(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()))
	t.Cleanup(server.Close)
	return s3.Options{
		Endpoint: strings.TrimPrefix(server.URL, "http://"), Insecure: true, Region: "us-east-1", Bucket: "images",
		Prefix: "ingot/", AccessKey: "access", SecretKey: "secret", PartSize: 5 << 20,
	}
}

func plain(h http.Handler) http.Handler { return h }

func open(t *testing.T, config s3.Options) *s3.Blobs {
	t.Helper()
	b, err := s3.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContract(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) image.Blobs { return open(t, store(t, plain)) })
}

func TestTwoPrefixesShareABucket(t *testing.T) {
	config := store(t, plain)
	one := open(t, config)
	config.Prefix = "other/"
	other := open(t, config)
	if _, err := one.Put(t.Context(), "blob", strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Open(t.Context(), "blob"); !errors.Is(err, image.ErrNoBlob) {
		t.Errorf("got %v", err)
	}
	if keys, err := other.List(t.Context(), ""); err != nil || len(keys) != 0 {
		t.Errorf("got %v %v", keys, err)
	}
}

func TestAnAbsentBucketIsSaid(t *testing.T) {
	config := store(t, plain)
	config.Bucket = "nobody"
	if _, err := s3.Open(t.Context(), config); err == nil || !strings.Contains(err.Error(), "nobody does not exist") {
		t.Errorf("got %v", err)
	}
}

func TestAFullStoreIsSaid(t *testing.T) {
	config := store(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPut {
				h.ServeHTTP(w, r)
				return
			}
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>QuotaExceeded</Code><Message>no</Message></Error>`)) // a test server
		})
	})
	if _, err := open(t, config).Put(t.Context(), "blob", bytes.NewReader(make([]byte, 100))); !errors.Is(err, image.ErrStoreFull) {
		t.Errorf("got %v", err)
	}
}
