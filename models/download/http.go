package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// newClient has a timeout for every step but the body, which is watched by
// stallGuard, since no fixed time fits every connection.
func newClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: timeout}).DialContext,
			TLSHandshakeTimeout:   timeout,
			ResponseHeaderTimeout: timeout,
			ForceAttemptHTTP2:     true,
			// A transparent gzip would make sizes and ranges meaningless.
			DisableCompression: true,
			DisableKeepAlives:  true,
		},
		CheckRedirect: checkRedirect,
	}
}

const maxRedirects = 5

// checkRedirect keeps a download on http and https, and never lets https fall back to http.
func checkRedirect(next *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return fmt.Errorf("%w: more than %d redirects", ErrScheme, maxRedirects)
	}
	from, to := via[len(via)-1].URL.Scheme, next.URL.Scheme
	if to != "https" && (to != "http" || from != "http") {
		return fmt.Errorf("%w: redirected from %s to %s", ErrScheme, from, Redact(next.URL.String()))
	}
	return nil
}

func (t *transfer) get(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.Source, nil)
	if err != nil {
		return fmt.Errorf("%w: %s is no address", ErrScheme, Redact(t.Source))
	}
	if s := req.URL.Scheme; s != "http" && s != "https" {
		return fmt.Errorf("%w: %s is neither http nor https", ErrScheme, Redact(t.Source))
	}
	req.Header.Set("User-Agent", "glimpsed")
	req.Header.Set("Accept-Encoding", "identity")
	if t.at > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", t.at))
		if v := t.part.validator(); v != "" {
			req.Header.Set("If-Range", v)
		}
	}
	guard := newStallGuard(t.StallTimeout, func() {
		cancel(fmt.Errorf("%w for %v", ErrStalled, t.StallTimeout))
	})
	defer guard.stop()
	resp, err := t.Client.Do(req)
	if err != nil {
		return t.transport(ctx, err)
	}
	defer resp.Body.Close()

	total, err := t.accept(resp)
	if err != nil {
		return err
	}
	if total < 0 && t.at > 0 && resp.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		return nil // the part file is the whole file
	}
	if err := t.body(ctx, resp.Body, total, guard.touch); err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, ErrStalled) {
			return &passingError{fmt.Errorf("%w after %d bytes", cause, t.at)}
		}
		return err
	}
	return nil
}

// transport sorts the errors of making the request.
func (t *transfer) transport(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrStalled) {
		return &passingError{cause}
	}
	// url.Error repeats the address, with its password.
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if errors.Is(err, ErrScheme) {
		return err
	}
	return &passingError{fmt.Errorf("%w; without this network give a mirror (models.mirror, --mirror) or a file (--from)", err)}
}

// accept looks at the answer's head, makes the part file fit to it and returns
// the length of the whole file, -1 if the server doesn't say.
func (t *transfer) accept(resp *http.Response) (total int64, err error) {
	switch resp.StatusCode {
	case http.StatusOK:
		// From the start: the server knows no ranges, or the file has changed there.
		if t.at > 0 {
			if err := t.restart(); err != nil {
				return 0, err
			}
		}
		total = resp.ContentLength
	case http.StatusPartialContent:
		var start int64
		start, total, err = parseContentRange(resp.Header.Get("Content-Range"))
		if err != nil || start != t.at {
			return 0, t.startOver(fmt.Errorf("asked for bytes from %d, got Content-Range %q", t.at, resp.Header.Get("Content-Range")))
		}
	case http.StatusRequestedRangeNotSatisfiable:
		_, total, err := parseContentRange(resp.Header.Get("Content-Range"))
		if err == nil && total == t.at && t.Size == 0 {
			return -1, nil
		}
		return 0, t.startOver(fmt.Errorf("the server has no bytes from %d on", t.at))
	default:
		return 0, statusError(resp)
	}
	if total >= 0 {
		if err := t.checkTotal(total); err != nil {
			return 0, err
		}
		if err := t.roomFor(total - t.at); err != nil {
			return 0, err
		}
	}
	t.part.remember(resp.Header)
	return total, nil
}

// startOver drops the part file; the next attempt asks for everything.
func (t *transfer) startOver(why error) error {
	if t.at == 0 {
		return why
	}
	if err := t.restart(); err != nil {
		return err
	}
	return &passingError{why}
}

func statusError(resp *http.Response) error {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	err := fmt.Errorf("the server answers %s", resp.Status)
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound, code == http.StatusGone:
		return fmt.Errorf("%w: %w; check the mirror's address (models.mirror, --mirror), the file must lie directly under it", ErrNotFound, err)
	case code == http.StatusRequestTimeout, code == http.StatusTooManyRequests, code >= 500:
		return &passingError{err}
	}
	return err
}

// parseContentRange reads "bytes 10-99/100" and "bytes */100" (RFC 9110, 14.4); total is -1 for "*".
func parseContentRange(s string) (start, total int64, err error) {
	bad := fmt.Errorf("unreadable Content-Range %q", s)
	span, size, ok := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	if !ok || !strings.HasPrefix(s, "bytes ") {
		return 0, 0, bad
	}
	total = -1
	if size != "*" {
		if total, err = strconv.ParseInt(size, 10, 64); err != nil || total < 0 {
			return 0, 0, bad
		}
	}
	if span == "*" {
		return 0, total, nil
	}
	first, _, _ := strings.Cut(span, "-")
	if start, err = strconv.ParseInt(first, 10, 64); err != nil || start < 0 {
		return 0, 0, bad
	}
	return start, total, nil
}

// stallGuard calls a function when touch hasn't been called for a while.
type stallGuard struct {
	mu      sync.Mutex
	timer   *time.Timer
	timeout time.Duration
}

func newStallGuard(timeout time.Duration, expired func()) *stallGuard {
	return &stallGuard{timer: time.AfterFunc(timeout, expired), timeout: timeout}
}

func (g *stallGuard) touch() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer.Stop() {
		g.timer.Reset(g.timeout)
	}
}

func (g *stallGuard) stop() { g.timer.Stop() }
