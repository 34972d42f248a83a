package netcam

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Greet asks an RTSP server something that costs it nothing (OPTIONS). nil: it answers.
func Greet(ctx context.Context, source string, limit time.Duration) error {
	return converse(ctx, source, limit, func(target, *rtspConn) error { return nil })
}

// Describe asks an RTSP server for its stream, as a player begins: OPTIONS and DESCRIBE, with the
// login that the URL has. nil: it has one with video. Nothing is set up, so cameras
// that serve few viewers don't count this one; but there are servers that start a camera to answer,
// stop it when the connection ends, and don't take the next viewer well in between.
func Describe(ctx context.Context, source string, limit time.Duration) error {
	return converse(ctx, source, limit, describe)
}

// converse connects, says OPTIONS and then what more says.
func converse(ctx context.Context, source string, limit time.Duration, more func(target, *rtspConn) error) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := dial(limited, parse(source), more); err != nil {
		return reason(ctx, limited, limit, err)
	}
	return nil
}

func dial(ctx context.Context, t target, more func(target, *rtspConn) error) error {
	plain, err := new(net.Dialer).DialContext(ctx, "tcp", t.hostPort)
	if err != nil {
		return err
	}
	defer plain.Close()
	defer context.AfterFunc(ctx, func() { plain.Close() })()
	conn := plain
	if t.scheme == "rtsps" {
		conn = tls.Client(plain, unverified(t.host()))
	}
	c := &rtspConn{conn: conn, replies: textproto.NewReader(bufio.NewReader(conn)), uri: t.url()}
	if _, err := c.request("OPTIONS", ""); err != nil { // what it answers is its own affair
		return fmt.Errorf("the host answers, but not as a stream: %w", err)
	}
	return more(t, c)
}

func describe(t target, c *rtspConn) error {
	r, err := c.request("DESCRIBE", "")
	if err == nil && r.status == http.StatusUnauthorized && t.login {
		authorization, ok := t.authorize(r.header.Values("Www-Authenticate"), "DESCRIBE", c.uri)
		if !ok {
			return nil // FFmpeg may know how to log in
		}
		r, err = c.request("DESCRIBE", authorization)
	}
	if err != nil {
		return fmt.Errorf("the host answers, but not as a stream: %w", err)
	}
	if err := t.refusal(r.status); err != nil {
		return err
	}
	if r.status < 300 && len(r.body) > 0 && !strings.Contains("\n"+r.body, "\nm=video") {
		return errors.New("the host has this stream, but there is no video in it")
	}
	return nil
}

type rtspConn struct {
	conn    net.Conn
	replies *textproto.Reader
	uri     string
	seq     int
}

type rtspReply struct {
	status int
	header textproto.MIMEHeader
	body   string
}

func (c *rtspConn) request(method, authorization string) (r rtspReply, err error) {
	c.seq++
	request := fmt.Sprintf("%s %s RTSP/1.0\r\nCSeq: %d\r\nUser-Agent: glimpsed\r\n", method, c.uri, c.seq)
	if method == "DESCRIBE" {
		request += "Accept: application/sdp\r\n"
	}
	if authorization != "" {
		request += "Authorization: " + authorization + "\r\n"
	}
	if _, err := c.conn.Write([]byte(request + "\r\n")); err != nil {
		return r, err
	}
	line, err := c.replies.ReadLine()
	if err != nil {
		return r, err
	}
	proto, after, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(after, " ")
	if r.status, err = strconv.Atoi(code); err != nil || !strings.HasPrefix(proto, "RTSP/") {
		return r, errors.New("it does not speak RTSP")
	}
	if r.header, err = c.replies.ReadMIMEHeader(); err != nil {
		return r, err
	}
	const most = 1 << 20 // bytes of a description
	length, _ := strconv.Atoi(r.header.Get("Content-Length"))
	if length > most {
		return r, fmt.Errorf("it announces a description of %d bytes", length)
	}
	if length > 0 {
		body := make([]byte, length)
		if _, err := io.ReadFull(c.replies.R, body); err != nil {
			return r, err
		}
		r.body = string(body)
	}
	return r, nil
}
