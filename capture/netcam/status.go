package netcam

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// unverified is how FFmpeg treats certificates: cameras sign their own, and names in a home
// network have none. Encryption without it keeps out listeners only.
func unverified(host string) *tls.Config {
	return &tls.Config{ServerName: host, InsecureSkipVerify: true}
}

// refusal turns a status into what the user can do about it; nil for a good one and for a
// redirection, which the player follows.
func (t target) refusal(status int) error {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		login := "it wants a user and a password: put them into the URL"
		if t.login {
			login = "it does not accept this user and password"
		}
		return fmt.Errorf("%s (status %d)", login, status)
	case status == http.StatusNotFound:
		return errors.New("the host has no such stream (status 404): check the path")
	case status >= 400:
		return fmt.Errorf("the host answers with status %d (%s)", status, http.StatusText(status))
	}
	return nil
}

// reason tells a host that is silent from a conversation that was called off or went wrong. limited is
// a context of ctx that ends after limit.
func reason(ctx, limited context.Context, limit time.Duration, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil:
		return fmt.Errorf("the host does not answer within %v", limit)
	}
	return err
}
