// Package webhook posts events to HTTP servers.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/glimpsed/glimpsed/publish"
	"github.com/glimpsed/glimpsed/vision"
)

// Config is one server that is told of events.
type Config struct {
	// URL is what is posted to: http:// or https://.
	URL string
	// Secret, if not empty, signs each request.
	Secret string
	// Types are the types of events that are posted: start, update, end.
	Types []string
	// Timeout bounds one attempt, GiveUp all attempts at one event.
	Timeout, GiveUp time.Duration
}

// DefaultConfig posts what begins and ends.
func DefaultConfig() Config {
	return Config{Types: []string{string(vision.EventStart), string(vision.EventEnd)}, Timeout: 10 * time.Second, GiveUp: 10 * time.Minute}
}

var types = []string{string(vision.EventStart), string(vision.EventUpdate), string(vision.EventEnd)}

// Validate returns one error for each key that can't be used, under path.
func (c Config) Validate(path string) error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s.%s: %w", path, key, fmt.Errorf(format, args...)))
	}
	if u, err := url.Parse(c.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		bad("url", "must be a URL that begins with http:// or https://")
	}
	if len(c.Types) == 0 {
		bad("types", "must name at least one of %s", strings.Join(types, ", "))
	}
	for _, t := range c.Types {
		if !slices.Contains(types, t) {
			bad("types", "there are %s, got %q", strings.Join(types, ", "), t)
		}
	}
	if c.Timeout <= 0 {
		bad("timeout", "must be above 0, got %s", c.Timeout)
	}
	if c.GiveUp < 0 {
		bad("give_up", "must be 0s or above, got %s", c.GiveUp)
	}
	return errors.Join(errs...)
}

const (
	// maxWaiting is how many events may wait for a server.
	maxWaiting = 100
	retryMin   = time.Second
	retryMax   = time.Minute
)

// Publisher posts events to one server, one after the other. Other messages it ignores.
type Publisher struct {
	cfg    Config
	at     string // the server, without credentials
	log    *slog.Logger
	client *http.Client
	wake   chan struct{}

	mu      sync.Mutex
	waiting []publish.Message // guarded by mu, oldest first
	taken   uint64            // how many have left waiting, guarded by mu
	lost    uint64            // guarded by mu
	fault   string            // why the last attempt failed, guarded by mu
}

// New makes a publisher of a valid Config; Run posts what Publish takes.
func New(cfg Config, log *slog.Logger) *Publisher {
	u, _ := url.Parse(cfg.URL) // Validate has
	return &Publisher{
		cfg: cfg, at: u.Host, log: log, wake: make(chan struct{}, 1),
		client: &http.Client{
			Timeout: cfg.Timeout,
			// A server that answers with another address is not one that has the event.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Publish takes events. It never waits; the Ack is complete: what becomes of an event is in Fault and the log.
func (p *Publisher) Publish(_ context.Context, m publish.Message) (publish.Ack, error) {
	if m.Kind != publish.KindEvent || !p.wants(m.Payload) {
		return publish.Completed(nil), nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = append(p.waiting, m)
	if len(p.waiting) > maxWaiting {
		p.take()
		p.drop("too many wait: this was the oldest")
	}
	p.poke()
	return publish.Completed(nil), nil
}

func (p *Publisher) wants(payload []byte) bool {
	var e struct {
		Type string `json:"type"`
	}
	return json.Unmarshal(payload, &e) == nil && slices.Contains(p.cfg.Types, e.Type)
}

// take removes the oldest event. It needs mu.
func (p *Publisher) take() {
	p.waiting = p.waiting[1:]
	p.taken++
}

// drop counts an event that is given up, and says so the first time in a row. It needs mu.
func (p *Publisher) drop(why string) {
	p.lost++
	if p.lost == 1 || p.lost%maxWaiting == 0 {
		p.log.Warn("an event for the webhook is given up", "why", why, "server", p.at, "lost", p.lost)
	}
}

func (p *Publisher) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// Fault says why the server can't be told, or "".
func (p *Publisher) Fault() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fault == "" {
		return ""
	}
	return fmt.Sprintf("webhook %s: %s", p.at, p.fault)
}

// Close waits until everything was posted, for as long as ctx allows.
func (p *Publisher) Close(ctx context.Context) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		p.mu.Lock()
		left := len(p.waiting)
		p.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("webhook %s: %d events were not posted: %w", p.at, left, ctx.Err())
		}
	}
}

// Run posts until ctx ends, which is no error.
func (p *Publisher) Run(ctx context.Context) error {
	defer p.client.CloseIdleConnections()
	for {
		p.mu.Lock()
		var next publish.Message
		any, number := len(p.waiting) > 0, p.taken
		if any {
			next = p.waiting[0]
		}
		p.mu.Unlock()
		if !any {
			select {
			case <-ctx.Done():
				return nil
			case <-p.wake:
			}
			continue
		}
		if !p.deliver(ctx, next, number) {
			return nil
		}
	}
}

// deliver posts an event until the server has it or it is given up; number is how many were taken before it. false means that ctx
// has ended.
func (p *Publisher) deliver(ctx context.Context, m publish.Message, number uint64) bool {
	began := time.Now()
	for wait := retryMin; ; wait = min(2*wait, retryMax) {
		err, final := p.post(ctx, m)
		if ctx.Err() != nil {
			return false
		}
		p.noteFault(err)
		giveUp := err != nil && (final || time.Since(began)+wait > p.cfg.GiveUp)
		if err == nil || giveUp {
			p.mu.Lock()
			if giveUp {
				p.drop("the server did not take it")
			}
			if p.taken == number { // else it was dropped for newer ones meanwhile
				p.take()
			}
			p.mu.Unlock()
			return true
		}
		timer := time.NewTimer(wait/2 + rand.N(wait)) // many devices must not come back at once
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}

// post makes one attempt; final says that another one makes no sense.
func (p *Publisher) post(ctx context.Context, m publish.Message) (err error, final bool) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.cfg.URL, bytes.NewReader(m.Payload))
	if err != nil {
		return errors.New("the URL can't be used"), true
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "glimpsed")
	if p.cfg.Secret != "" {
		request.Header.Set(SignatureHeader, Signature(p.cfg.Secret, m.Payload))
	}
	response, err := p.client.Do(request)
	if err != nil {
		var ue *url.Error // its text has the URL, which may hold credentials
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return err, false
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be used again
	switch code := response.StatusCode; {
	case code < 300:
		return nil, false
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		return fmt.Errorf("it answered %s", response.Status), false
	default: // it will never take this one
		return fmt.Errorf("it answered %s", response.Status), true
	}
}

// SignatureHeader holds the Signature of the body.
const SignatureHeader = "X-Glimpsed-Signature"

// Signature is "sha256=" and the HMAC-SHA256 of a body, in hex: whoever has the secret can check where it comes from.
func Signature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// noteFault keeps why the server can't be told, and logs when that begins, changes and ends.
func (p *Publisher) noteFault(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.fault
	p.fault = ""
	if err != nil {
		p.fault = err.Error()
	}
	switch {
	case p.fault == was:
	case err == nil:
		p.log.Info("the webhook takes events again", "server", p.at, "lost", p.lost)
	default:
		p.log.Warn("the webhook does not take an event", "server", p.at, "error", err)
	}
}
