//go:build gocv

package opencv

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/glimpsed/glimpsed/capture"
)

// inquiry bounds the questions asked after an opening failed.
const inquiry = 2 * time.Second

var defaultPorts = map[string]string{"rtsp": "554", "rtsps": "322", "http": "80", "https": "443"}

// address is where a URL's host listens. It doesn't use net/url: passwords with characters that
// should have been escaped are common, and FFmpeg accepts them.
func address(target string) (scheme, hostPort string) {
	scheme, rest, _ := strings.Cut(target, "://")
	scheme = strings.ToLower(scheme)
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, "?")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), defaultPorts[scheme])
	}
	return scheme, host
}

// reach connects to the host and hangs up, to learn why that fails and to be able to give up.
func (o opening) reach() error {
	_, hostPort := address(o.spec.Target)
	ctx, cancel := context.WithTimeout(o.ctx, o.cfg.OpenTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", hostPort)
	if err != nil {
		return err
	}
	return conn.Close()
}

// explain asks a host that answers why its stream can't be opened.
func (o opening) explain() error {
	ctx, cancel := context.WithTimeout(o.ctx, inquiry)
	defer cancel()
	code, err := o.ask(ctx)
	login := "it wants a user and a password: put them into the URL"
	if strings.Contains(o.spec.Redacted, "***@") {
		login = "it does not accept this user and password"
	}
	switch {
	case err != nil:
		return fmt.Errorf("the host answers, but not as a stream: %w", err)
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return fmt.Errorf("%s (status %d)", login, code)
	case code == http.StatusNotFound:
		return errors.New("the host has no such stream (status 404): check the path")
	case code >= 300:
		return fmt.Errorf("the host answers with status %d (%s)", code, http.StatusText(code))
	}
	return fmt.Errorf("the host answers, but FFmpeg gets no video that it can decode within %v; try the other rtsp_transport if it is RTSP", o.cfg.OpenTimeout)
}

// ask sends the request that a player would begin with and returns the status.
func (o opening) ask(ctx context.Context) (status int, err error) {
	scheme, hostPort := address(o.spec.Target)
	if o.spec.Kind == capture.KindHTTP {
		return askHTTP(ctx, o.spec.Target)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", hostPort)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return 0, err
		}
	}
	if scheme == "rtsps" {
		host, _, _ := net.SplitHostPort(hostPort)
		conn = tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true}) // only asks for a status, sends no credentials
	}
	_, rest, _ := strings.Cut(o.spec.Target, "://")
	_, path, _ := strings.Cut(rest, "/")
	uri := scheme + "://" + hostPort + "/" + path
	replies := textproto.NewReader(bufio.NewReader(conn))
	status, header, err := describe(conn, replies, 1, uri, "")
	if err != nil || status != http.StatusUnauthorized {
		return status, err
	}
	user, password, ok := userinfo(o.spec.Target)
	if !ok {
		return status, nil
	}
	status, _, err = describe(conn, replies, 2, uri, authorize(header.Values("Www-Authenticate"), "DESCRIBE", uri, user, password))
	return status, err
}

func describe(conn net.Conn, replies *textproto.Reader, seq int, uri, authorization string) (int, textproto.MIMEHeader, error) {
	request := fmt.Sprintf("DESCRIBE %s RTSP/1.0\r\nCSeq: %d\r\nAccept: application/sdp\r\n", uri, seq)
	if authorization != "" {
		request += "Authorization: " + authorization + "\r\n"
	}
	if _, err := conn.Write([]byte(request + "\r\n")); err != nil {
		return 0, nil, err
	}
	line, err := replies.ReadLine()
	if err != nil {
		return 0, nil, err
	}
	proto, after, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(after, " ")
	status, err := strconv.Atoi(code)
	if err != nil || !strings.HasPrefix(proto, "RTSP/") {
		return 0, nil, errors.New("it does not speak RTSP")
	}
	header, err := replies.ReadMIMEHeader()
	return status, header, err
}

func askHTTP(ctx context.Context, target string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		// The error quotes the URL.
		return 0, errors.New("the URL is not valid: percent-encode special characters of the password")
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return 0, err
	}
	resp.Body.Close()
	return resp.StatusCode, nil
}
