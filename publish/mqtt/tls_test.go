package mqtt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// authority signs certificates into a folder.
type authority struct {
	t    testing.TB
	dir  string
	name string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, dir, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir, name: name}
	template := a.template(name)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	a.key = a.newKey()
	a.cert = template // it signs itself
	a.cert = a.sign(name, template, a.key)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *authority) template(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// issue makes FILE.crt and FILE.key for a name, changed by edit.
func (a *authority) issue(file, name string, edit func(*x509.Certificate)) {
	a.t.Helper()
	template := a.template(name)
	if edit != nil {
		edit(template)
	}
	a.sign(file, template, a.newKey())
}

func (a *authority) sign(file string, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		file + ".crt": {Type: "CERTIFICATE", Bytes: der}, file + ".key": {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(a.dir, name), pem.EncodeToMemory(block), 0o644); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

func forLocalhost(c *x509.Certificate) {
	c.IPAddresses, c.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost"}
}

// secureMosquitto runs mosquitto with the example configuration, at 127.0.0.1; what is in dir/certs is its own.
func secureMosquitto(t testing.TB, dir string) *mosquittoServer {
	t.Helper()
	s := &mosquittoServer{t: t, listen: freePort(t)}
	_, port, _ := net.SplitHostPort(s.listen)
	for _, name := range []string{"glimpsed.conf", "glimpsed.acl"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "examples", "mosquitto", name))
		if err != nil {
			t.Fatal(err)
		}
		conf := strings.NewReplacer("/etc/mosquitto", dir, "listener 8883", "listener "+port+" 127.0.0.1").Replace(string(text))
		if name == "glimpsed.conf" {
			conf += "user root\npersistence_location " + dir + "/\n" // the distribution's mosquitto.conf has these
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(conf), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.command = []string{lookup(t, "mosquitto", "/usr/sbin/mosquitto"), "-c", filepath.Join(dir, "glimpsed.conf")}
	s.start()
	t.Cleanup(s.stop)
	return s
}

// fleet is a folder with the certificates of a broker and of two devices.
func fleet(t testing.TB) (dir string, ca *authority) {
	t.Helper()
	dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "certs"), 0o755); err != nil {
		t.Fatal(err)
	}
	ca = newAuthority(t, filepath.Join(dir, "certs"), "ca")
	ca.issue("broker", "broker", forLocalhost)
	ca.issue("porch", "porch", nil)
	ca.issue("homeassistant", "homeassistant", nil)
	return dir, ca
}

func (a *authority) client(file string) TLSConfig {
	return TLSConfig{
		CAFile: filepath.Join(a.dir, a.name+".crt"), MinVersion: "1.2",
		CertFile: filepath.Join(a.dir, file+".crt"), KeyFile: filepath.Join(a.dir, file+".key"),
	}
}

// The example of a broker for a fleet: mutual TLS, and each device writes below its own name only.
func TestMutualTLSWithACLs(t *testing.T) {
	dir, ca := fleet(t)
	s := secureMosquitto(t, dir)
	got := make(chan string, 100)
	sub := ca.connect(s.addr(), "homeassistant")
	if token := sub.Subscribe("#", 1, func(_ paho.Client, m paho.Message) { got <- m.Topic() + "=" + string(m.Payload()) }); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}

	cfg := testConfig("ssl://" + s.addr())
	cfg.TLS = ca.client("porch")
	p := start(t, cfg, io.Discard)
	waitAck(t, mustPublish(t, p, result(1)))
	// Another device's topics are acknowledged and dropped: MQTT 3.1.1 can't say no.
	if token := ca.connect(s.addr(), "porch").Publish("glimpsed/shed/front/result", 1, false, "2"); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	waitAck(t, mustPublish(t, p, result(3)))
	// A daemon under another device's name is thrown out with its birth, and told why.
	other, err := New(cfg, Options{Device: "shed"})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- other.Run(t.Context()) }()
	eventuallyReason(t, other, "may this user write to glimpsed/shed/#")
	if err := closeWithin(other, 5*time.Second); err != nil {
		t.Error(err)
	}
	<-ended
	want := map[string]bool{"glimpsed/porch/status=online": true, "glimpsed/porch/front/result=1": true, "glimpsed/porch/front/result=3": true}
	for len(want) > 0 {
		select {
		case m := <-got:
			if !want[m] {
				t.Errorf("got %s", m)
			}
			delete(want, m)
		case <-time.After(10 * time.Second):
			t.Fatalf("missing: %v", want)
		}
	}
}

// connect connects a client with the certificate of a name.
func (a *authority) connect(addr, name string) paho.Client {
	a.t.Helper()
	secure, err := a.client(name).configFor(&url.URL{Scheme: "ssl", Host: addr})
	if err != nil {
		a.t.Fatal(err)
	}
	c := paho.NewClient(paho.NewClientOptions().AddBroker("ssl://" + addr).SetClientID("test-" + name).SetTLSConfig(secure))
	if token := c.Connect(); !token.WaitTimeout(10*time.Second) || token.Error() != nil {
		a.t.Fatal(token.Error())
	}
	a.t.Cleanup(func() { c.Disconnect(100) })
	return c
}

func TestTLSOptions(t *testing.T) {
	dir, ca := fleet(t)
	s := secureMosquitto(t, dir)
	stranger := newAuthority(t, t.TempDir(), "stranger")
	stranger.issue("porch", "porch", nil)
	ca.issue("old", "old", func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	for name, c := range map[string]struct {
		edit func(*TLSConfig)
		host string
		want string // empty: it connects
	}{
		"right":                       {func(*TLSConfig) {}, "", ""},
		"TLS 1.3":                     {func(c *TLSConfig) { c.MinVersion = "1.3" }, "", ""},
		"name in the URL":             {func(*TLSConfig) {}, "localhost", ""},
		"name by option":              {func(c *TLSConfig) { c.ServerName = "localhost" }, "", ""},
		"wrong name":                  {func(c *TLSConfig) { c.ServerName = "broker.example" }, "", "certificate: not made out to broker.example (mqtt.tls.server_name)"},
		"unknown authority":           {func(c *TLSConfig) { c.CAFile = filepath.Join(stranger.dir, "stranger.crt") }, "", "certificate: signed by an authority that this machine doesn't trust (mqtt.tls.ca_file)"},
		"system's authorities":        {func(c *TLSConfig) { c.CAFile = "" }, "", "certificate: signed by an authority that this machine doesn't trust (mqtt.tls.ca_file)"},
		"no certificate":              {func(c *TLSConfig) { c.CertFile, c.KeyFile = "", "" }, "", "does it want a certificate of this client (mqtt.tls.cert_file)?"},
		"certificate by a stranger":   {func(c *TLSConfig) { *c = withCA(stranger.client("porch"), c.CAFile) }, "", "certificate: the broker does not accept this client's (mqtt.tls.cert_file)"},
		"certificate that is too old": {func(c *TLSConfig) { *c = ca.client("old") }, "", "certificate: this client's (mqtt.tls.cert_file) has expired"},
	} {
		t.Run(name, func(t *testing.T) {
			_, port, _ := net.SplitHostPort(s.addr())
			host := c.host
			if host == "" {
				host = "127.0.0.1"
			}
			cfg := testConfig("ssl://" + net.JoinHostPort(host, port))
			cfg.TLS = ca.client("porch")
			c.edit(&cfg.TLS)
			p := start(t, cfg, io.Discard)
			if c.want == "" {
				waitAck(t, mustPublish(t, p, result(1)))
				return
			}
			eventuallyReason(t, p, c.want)
		})
	}
}

func withCA(c TLSConfig, file string) TLSConfig {
	c.CAFile = file
	return c
}

// A certificate that was renewed on disk is used for the next connection.
func TestRenewedCertificate(t *testing.T) {
	dir, ca := fleet(t)
	s := secureMosquitto(t, dir)
	stranger := newAuthority(t, t.TempDir(), "stranger")
	stranger.issue("porch", "porch", nil)
	cfg := testConfig("ssl://" + s.addr())
	cfg.TLS = withCA(stranger.client("porch"), filepath.Join(ca.dir, "ca.crt"))
	p := start(t, cfg, io.Discard)
	eventuallyReason(t, p, "does not accept this client's")
	for _, end := range []string{".crt", ".key"} {
		data, err := os.ReadFile(filepath.Join(ca.dir, "porch"+end))
		if err == nil {
			err = os.WriteFile(filepath.Join(stranger.dir, "porch"+end), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	waitAck(t, mustPublish(t, p, result(1)))
}

func TestTLSValidation(t *testing.T) {
	dir := t.TempDir()
	ca := newAuthority(t, dir, "ca")
	ca.issue("a", "a", nil)
	ca.issue("b", "b", nil)
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edit func(*TLSConfig)
		want string
	}{
		"version":        {func(c *TLSConfig) { c.MinVersion = "1.1" }, `mqtt.tls.min_version: must be 1.2 or 1.3, got "1.1"`},
		"no key":         {func(c *TLSConfig) { c.KeyFile = "" }, "mqtt.tls.key_file: must be set where cert_file is"},
		"no certificate": {func(c *TLSConfig) { c.CertFile = "" }, "mqtt.tls.cert_file: must be set where key_file is"},
		"another's key":  {func(c *TLSConfig) { c.KeyFile = filepath.Join(dir, "b.key") }, "mqtt.tls.cert_file: reading this client's certificate and key: tls: private key does not match public key"},
		"no file":        {func(c *TLSConfig) { c.CAFile = "/nowhere/ca.pem" }, "mqtt.tls.ca_file: reading the authorities' certificates: open /nowhere/ca.pem: no such file or directory"},
		"no PEM":         {func(c *TLSConfig) { c.CAFile = empty }, fmt.Sprintf("mqtt.tls.ca_file: %s holds no certificate in PEM", empty)},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig("ssl://127.0.0.1")
			cfg.TLS = ca.client("a")
			if err := cfg.Validate("mqtt"); err != nil {
				t.Fatal(err)
			}
			c.edit(&cfg.TLS)
			if err := cfg.Validate("mqtt"); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// Old versions of TLS are refused whatever the broker offers.
func TestOldTLSIsRefused(t *testing.T) {
	dir, ca := fleet(t)
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "certs", "broker.crt"), filepath.Join(dir, "certs", "broker.key"))
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1))
			c.Close()
		}
	}()
	cfg := testConfig("ssl://" + l.Addr().String())
	cfg.TLS = ca.client("porch")
	eventuallyReason(t, start(t, cfg, io.Discard), "TLS: the broker wants another version")
}
