package mqtt

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// TLSConfig is how brokers with ssl:// or wss:// are trusted, and how this daemon shows who it is. The
// files are PEM and are read anew for each attempt to connect, so that they can be renewed.
type TLSConfig struct {
	// CAFile holds the authorities that are trusted; empty: those of the system.
	CAFile string
	// CertFile and KeyFile are this daemon's certificate, for brokers that want one.
	CertFile, KeyFile string
	// ServerName is what the broker's certificate must be made out to; empty: the host in the URL.
	ServerName string
	// MinVersion is "1.2" or "1.3".
	MinVersion string
}

var tlsVersions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// validate returns what can't be used, by key.
func (c TLSConfig) validate(bad func(key, format string, args ...any)) {
	if _, ok := tlsVersions[c.MinVersion]; !ok {
		bad("tls.min_version", "must be 1.2 or 1.3, got %q", c.MinVersion)
	}
	switch {
	case c.CertFile != "" && c.KeyFile == "":
		bad("tls.key_file", "must be set where cert_file is")
	case c.KeyFile != "" && c.CertFile == "":
		bad("tls.cert_file", "must be set where key_file is")
	case c.CertFile != "":
		if _, err := c.certificate(); err != nil {
			bad("tls.cert_file", "%w", err)
		}
	}
	if c.CAFile != "" {
		if _, err := c.authorities(); err != nil {
			bad("tls.ca_file", "%w", err)
		}
	}
}

func (c TLSConfig) authorities() (*x509.CertPool, error) {
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the authorities' certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", c.CAFile)
	}
	return pool, nil
}

func (c TLSConfig) certificate() (tls.Certificate, error) {
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return cert, fmt.Errorf("reading this client's certificate and key: %w", err)
	}
	return cert, nil
}

// configFor is the TLS to use with broker.
func (c TLSConfig) configFor(broker *url.URL) (*tls.Config, error) {
	t := &tls.Config{ServerName: c.ServerName, MinVersion: tlsVersions[c.MinVersion]}
	if t.ServerName == "" {
		t.ServerName = broker.Hostname()
	}
	if c.CAFile != "" {
		pool, err := c.authorities()
		if err != nil {
			return nil, err
		}
		t.RootCAs = pool
	}
	if c.CertFile != "" {
		cert, err := c.certificate()
		if err != nil {
			return nil, err
		}
		t.Certificates = []tls.Certificate{cert}
	}
	return t, nil
}

// alerts are what a broker may answer in TLS (RFC 8446, 6.2), in the words of crypto/tls, whose type for
// it is not public.
var alerts = []struct{ text, reason string }{
	{"expired certificate", "certificate: this client's (mqtt.tls.cert_file) has expired"},
	{"revoked certificate", "certificate: this client's (mqtt.tls.cert_file) was revoked"},
	{"certificate required", "certificate: the broker wants one of this client (mqtt.tls.cert_file and key_file)"},
	{"protocol version not supported", "TLS: the broker wants another version than glimpsed offers (mqtt.tls.min_version)"},
	{"certificate", "certificate: the broker does not accept this client's (mqtt.tls.cert_file)"},
	{"access denied", "certificate: the broker does not accept this client's (mqtt.tls.cert_file)"},
}

// tlsAlert says what a broker that broke TLS off wants, or "". With TLS 1.3 a refused certificate shows
// after the handshake only, in place of the broker's first answer.
func tlsAlert(err error) string {
	_, alert, found := strings.Cut(err.Error(), "remote error: tls: ")
	if !found {
		return ""
	}
	for _, a := range alerts {
		if strings.Contains(alert, a.text) {
			return a.reason
		}
	}
	return ""
}
