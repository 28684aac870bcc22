package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ingotcloud/ingot/internal/agent/failure"
	"github.com/ingotcloud/ingot/internal/agentapi"
	"github.com/ingotcloud/ingot/internal/deployimage"
)

const (
	requestTimeout = 15 * time.Second
	maxAnswer      = 8 << 20  // bytes of a command; the config drive inside it is the largest part
	maxManifest    = 64 << 20 // bytes; about 400,000 extents
)

// statusError is an answer that is not what was hoped for.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the control plane answered %d: %s", e.code, e.text)
}

func hasStatus(err error, code int) bool {
	var s *statusError
	return errors.As(err, &s) && s.code == code
}

// client speaks the protocol of agentapi to one control plane, whose key is pinned. A request that finds no session, or
// whose session is refused, says hello first.
type client struct {
	base    string
	secret  string
	hello   func(secret string) agentapi.Hello
	welcome func(agentapi.Welcome)
	http    *http.Client

	mu      sync.Mutex // held over a hello: one at a time
	session string
}

func newClient(boot agentapi.Boot, secret string, hello func(string) agentapi.Hello, welcome func(agentapi.Welcome)) (*client, error) {
	pin, err := hex.DecodeString(boot.Pin)
	if err != nil || len(pin) != sha256.Size {
		return nil, fmt.Errorf("the pin %q is not a SHA-256 in hex", boot.Pin)
	}
	if u, err := url.Parse(boot.URL); err != nil || u.Scheme != "https" {
		return nil, fmt.Errorf("the control plane's URL %q is not https", boot.URL)
	}
	transport := &http.Transport{
		DialContext: (&net.Dialer{Timeout: requestTimeout, KeepAlive: 15 * time.Second}).DialContext,
		// The key is pinned, which is stronger than a chain of authorities and needs no clock: a machine's may be wrong.
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS13,
			InsecureSkipVerify: true,
			VerifyConnection:   func(state tls.ConnectionState) error { return checkPin(state, pin) },
		},
		TLSHandshakeTimeout:   requestTimeout,
		ResponseHeaderTimeout: agentapi.PollWait + requestTimeout,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       time.Minute,
		DisableCompression:    true, // ranges of zstd
	}
	return &client{base: strings.TrimSuffix(boot.URL, "/"), secret: secret, hello: hello, welcome: welcome, http: &http.Client{Transport: transport}}, nil
}

func checkPin(state tls.ConnectionState, pin []byte) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the control plane showed no certificate")
	}
	sum := sha256.Sum256(state.PeerCertificates[0].RawSubjectPublicKeyInfo)
	if subtle.ConstantTimeCompare(sum[:], pin) != 1 {
		return fmt.Errorf("the control plane's key %x is not the pinned one: is something else answering at its address?", sum)
	}
	return nil
}

// poll waits for a command; nil when there is none yet.
func (c *client) poll(ctx context.Context) (*agentapi.Command, error) {
	ctx, cancel := context.WithTimeout(ctx, agentapi.PollWait+requestTimeout)
	defer cancel()
	answer, err := c.do(ctx, http.MethodGet, agentapi.PathCommand, nil, "")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNoContent {
		return nil, nil
	}
	var command agentapi.Command
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&command); err != nil {
		return nil, fmt.Errorf("reading a command: %w", err)
	}
	return &command, nil
}

// report sends one report; a 409 comes back as a statusError.
func (c *client) report(ctx context.Context, report agentapi.Report) error {
	body, err := json.Marshal(report)
	if err != nil {
		return fmt.Errorf("writing the report of command %s: %w", report.Command, err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	answer, err := c.do(ctx, http.MethodPost, agentapi.PathReport, body, "")
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// Manifest implements Images.
func (c *client) Manifest(ctx context.Context, image string) (deployimage.Manifest, error) {
	var m deployimage.Manifest
	answer, err := c.do(ctx, http.MethodGet, imagePath(image)+"manifest", nil, "")
	if err != nil {
		return m, gone(err)
	}
	defer answer.Body.Close()
	body := &io.LimitedReader{R: answer.Body, N: maxManifest}
	err = json.NewDecoder(body).Decode(&m)
	var syntax *json.SyntaxError
	var mistyped *json.UnmarshalTypeError
	switch {
	case err == nil:
		return m, nil
	case body.N <= 0:
		return m, failure.New(agentapi.FaultRequest, "The image's manifest is larger than %d MiB.", maxManifest>>20)
	case errors.As(err, &syntax) || errors.As(err, &mistyped):
		return m, failure.Wrap(err, agentapi.FaultRequest, "The image's manifest is not readable.")
	}
	return m, fmt.Errorf("reading the manifest: %w", err)
}

// Range implements Images.
func (c *client) Range(ctx context.Context, image string, start, length int64) (io.ReadCloser, int64, error) {
	answer, err := c.do(ctx, http.MethodGet, imagePath(image)+"blob", nil, fmt.Sprintf("bytes=%d-%d", start, start+length-1))
	if hasStatus(err, http.StatusRequestedRangeNotSatisfiable) {
		return nil, 0, failure.Wrap(err, agentapi.FaultRequest, "The image's data is shorter than its manifest says.")
	}
	if err != nil {
		return nil, 0, gone(err)
	}
	if answer.StatusCode != http.StatusPartialContent {
		answer.Body.Close()
		return nil, 0, fmt.Errorf("asked for a range, got status %d", answer.StatusCode)
	}
	_, size, _ := strings.Cut(answer.Header.Get("Content-Range"), "/")
	total, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		answer.Body.Close()
		return nil, 0, fmt.Errorf("the header Content-Range %q tells no size", answer.Header.Get("Content-Range"))
	}
	return answer.Body, total, nil
}

func imagePath(image string) string {
	return strings.Replace(agentapi.PathImage, "{id}", url.PathEscape(image), 1)
}

// gone turns a missing image into the request's fault: no machine will find it.
func gone(err error) error {
	if hasStatus(err, http.StatusNotFound) || hasStatus(err, http.StatusGone) {
		return failure.Wrap(err, agentapi.FaultRequest, "The image is no longer there.")
	}
	return err
}

// do sends a request of the session and gives any 2xx answer, its body open. A refused session is opened anew, once.
func (c *client) do(ctx context.Context, method, path string, body []byte, byteRange string) (*http.Response, error) {
	refused := ""
	for attempt := 0; ; attempt++ {
		session, err := c.open(ctx, refused)
		if err != nil {
			return nil, err
		}
		request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		request.Header.Set(agentapi.HeaderSession, session)
		request.Header.Set(agentapi.HeaderSecret, c.secret)
		if byteRange != "" {
			request.Header.Set("Range", byteRange)
		}
		answer, err := c.send(request)
		if hasStatus(err, http.StatusUnauthorized) && attempt == 0 {
			refused = session
			continue
		}
		return answer, err
	}
}

// open gives the session, saying hello when there is none or when the one at hand is the refused one.
func (c *client) open(ctx context.Context, refused string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != "" && c.session != refused {
		return c.session, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	body, err := json.Marshal(c.hello(c.secret))
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+agentapi.PathHello, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	answer, err := c.send(request)
	if err != nil {
		return "", fmt.Errorf("saying hello: %w", err)
	}
	defer answer.Body.Close()
	var welcome agentapi.Welcome
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer)).Decode(&welcome); err != nil {
		return "", fmt.Errorf("reading the welcome: %w", err)
	}
	if welcome.Session == "" {
		return "", errors.New("the control plane's welcome has no session")
	}
	c.session = welcome.Session
	c.welcome(welcome)
	return c.session, nil
}

// send gives a 2xx answer or an error with the server's own sentence.
func (c *client) send(request *http.Request) (*http.Response, error) {
	request.Header.Set("Content-Type", "application/json")
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 == 2 {
		return answer, nil
	}
	defer answer.Body.Close()
	var said struct {
		Error string `json:"error"`
	}
	// The sentence is a courtesy; the status alone decides.
	if json.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&said) != nil || said.Error == "" {
		said.Error = http.StatusText(answer.StatusCode)
	}
	return nil, &statusError{code: answer.StatusCode, text: said.Error}
}

// retry paces repeated requests: pauses double from min to max, with jitter so that a rack does not call in step.
type retry struct{ min, max, next time.Duration }

func (a *Agent) newRetry() *retry { return &retry{min: a.RetryMin, max: a.RetryMax, next: a.RetryMin} }

func (r *retry) reset() { r.next = r.min }

func (r *retry) pause(ctx context.Context) {
	wait := r.next/2 + rand.N(r.next/2+1)
	r.next = min(2*r.next, r.max)
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}
