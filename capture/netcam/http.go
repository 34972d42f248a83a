package netcam

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/glimpsed/glimpsed/capture"
)

// client gets one URL, over and over, with the login that the URL has.
type client struct {
	target
	http *http.Client
	// challenges are those that were answered last.
	challenges []string
}

func newClient(source string) *client {
	t := parse(source)
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment, // as FFmpeg does
		TLSClientConfig:     unverified(""),
		MaxIdleConns:        1,
		IdleConnTimeout:     time.Minute,
		TLSHandshakeTimeout: time.Minute, // contexts bound it
	}
	return &client{target: t, http: &http.Client{Transport: transport}}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// get returns an answer with a status below 300; its body is to be closed.
func (c *client) get(ctx context.Context) (*http.Response, error) {
	resp, err := c.try(ctx)
	if err != nil {
		return nil, err
	}
	challenges := resp.Header.Values("Www-Authenticate")
	if resp.StatusCode == http.StatusUnauthorized && c.login && len(challenges) > 0 {
		resp.Body.Close()
		c.challenges = challenges
		if resp, err = c.try(ctx); err != nil {
			return nil, err
		}
	}
	if err := c.refusal(resp.StatusCode); err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp, nil
}

func (c *client) try(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url(), http.NoBody)
	if err != nil {
		// The error quotes the URL, which may hold secrets.
		return nil, errors.New("the URL is not valid: percent-encode special characters")
	}
	req.Header.Set("User-Agent", "glimpsed")
	if header, ok := c.authorize(c.challenges, http.MethodGet, req.URL.RequestURI()); ok && c.login {
		req.Header.Set("Authorization", header)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the URL
		}
		return nil, err
	}
	return resp, nil
}

// Ask gets the beginning of what an HTTP server sends: nil if something comes that may be a
// stream or a video; snapshot says that it is a single picture.
func Ask(ctx context.Context, source string, limit time.Duration) (snapshot bool, err error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c := newClient(source)
	defer c.close()
	resp, err := c.get(limited)
	if err != nil {
		return false, reason(ctx, limited, limit, err)
	}
	defer resp.Body.Close()
	// A packet's worth: enough to tell by, and no slow stream has to be waited for to fill it.
	head := make([]byte, 512)
	n, err := resp.Body.Read(head)
	if n == 0 && err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the host answers with nothing")
		}
		return false, reason(ctx, limited, limit, err)
	}
	looks := http.DetectContentType(head[:n])
	says := strings.ToLower(resp.Header.Get("Content-Type"))
	switch {
	case strings.HasPrefix(looks, "text/html"):
		return false, errors.New("the host answers with a web page, not with a stream: check the path")
	case strings.HasPrefix(says, "image/"), strings.HasPrefix(looks, "image/") && !strings.HasPrefix(says, "multipart/") && !strings.HasPrefix(says, "video/"):
		return true, nil
	}
	return false, nil
}

// name is how a source is called in errors.
func name(source string) string { return capture.Redact(source) }

func reading(source string, err error) error {
	return fmt.Errorf("reading %s: %w", name(source), err)
}
