package mqtt

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/gorilla/websocket"
)

var (
	errStoppedReading = errors.New("the broker has stopped reading")
	errNoAcks         = fmt.Errorf("the broker answers pings, but has acknowledged nothing for %s", ackTimeout)
	errUnknownRefusal = errors.New("refused with a code that MQTT 3.1.1 doesn't have")
	errSilent         = errors.New("took the connection, but doesn't answer")
	errGivenUp        = errors.New("given up by glimpsed")
)

// pingLost is the text of paho's error for a ping that isn't answered; it has no
// value of its own for it.
const pingLost = "pingresp not received"

// connectFailure says in one line, for a person, why broker can't be connected to.
// It holds no credentials.
func connectFailure(err error, broker *url.URL, timeout time.Duration) string {
	var (
		dns       *net.DNSError
		handshake *handshakeError
	)
	at := broker.Host
	switch {
	case errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword):
		return at + ": refused: bad user name or password"
	case errors.Is(err, packets.ErrorRefusedNotAuthorised):
		return at + ": refused: not authorised (wrong user name or password, or this client may not connect)"
	case errors.Is(err, packets.ErrorRefusedIDRejected):
		return at + ": refused: the client id is not accepted (mqtt.client_id)"
	case errors.Is(err, packets.ErrorRefusedServerUnavailable):
		return at + ": refused: the broker is not available at present"
	case errors.Is(err, packets.ErrorRefusedBadProtocolVersion):
		return at + ": refused: the broker doesn't speak MQTT 3.1.1"
	case errors.Is(err, errUnknownRefusal):
		return at + ": " + errUnknownRefusal.Error()
	case errors.Is(err, errSilent):
		return fmt.Sprintf("%s: timeout: %s: it hangs, or isn't an MQTT broker", at, errSilent)
	case tlsAlert(err) != "":
		return at + ": " + tlsAlert(err)
	case errors.As(err, &dns):
		if dns.IsTimeout {
			return fmt.Sprintf("DNS: no answer when asking for %s", broker.Hostname())
		}
		return fmt.Sprintf("DNS: there is no host %s", broker.Hostname())
	case errors.Is(err, syscall.ECONNREFUSED):
		return at + ": connection refused: no broker listens there"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return at + ": no route to the host: is the network up?"
	case errors.As(err, &handshake):
		return at + ": " + tlsFailure(handshake.error)
	case isTimeout(err):
		return fmt.Sprintf("%s: timeout: no answer within %s", at, timeout)
	case errors.Is(err, websocket.ErrBadHandshake):
		return at + ": no MQTT over WebSocket at this path"
	case isEnd(err) && (broker.Scheme == "ssl" || broker.Scheme == "wss"):
		return at + ": closed the connection before answering: does it want a certificate of this client (mqtt.tls.cert_file)?"
	case isEnd(err):
		return at + ": closed the connection before answering: is this an MQTT broker, and does it want TLS?"
	}
	if broker.Scheme == "wss" {
		if s := tlsFailure(err); !strings.HasPrefix(s, "TLS: ") {
			return at + ": " + s
		}
	}
	return at + ": " + strings.TrimPrefix(err.Error(), packets.ErrorNetworkError.Error()+" : ")
}

func tlsFailure(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return "certificate: signed by an authority that this machine doesn't trust (mqtt.tls.ca_file)"
	case errors.As(err, &host):
		return fmt.Sprintf("certificate: not made out to %s (mqtt.tls.server_name)", host.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "certificate: expired or not yet valid (is this machine's clock right?): " + invalid.Detail
	case errors.As(err, &invalid):
		return "certificate: " + invalid.Error()
	case errors.As(err, &record):
		return "TLS: the broker doesn't speak TLS at this port"
	case isTimeout(err):
		return "TLS: timeout in the handshake"
	case isEnd(err):
		return "TLS: the broker closed the connection in the handshake"
	}
	return "TLS: " + err.Error()
}

// lossReason is why a session that lasted so long has ended.
func (p *Publisher) lossReason(err error, s *session, lasted time.Duration) string {
	reason := lossReason(err, s.broker, p.cfg.KeepAlive)
	if isEnd(err) && lasted < soon {
		// mosquitto 2.0.11 ends the connection of who publishes a retained message where its ACL forbids it
		reason += fmt.Sprintf(" at once: may this user write to %s/#, or does another client have the id %s?", p.root, p.clientID)
	}
	return reason
}

// soon is when a connection ends because of how it began.
const soon = 2 * time.Second

// lossReason says in one line why a connection that was up has ended.
func lossReason(err error, broker *url.URL, keepAlive time.Duration) string {
	at := broker.Host
	switch {
	case strings.Contains(err.Error(), pingLost):
		return fmt.Sprintf("%s: timeout: no sign of life for %s", at, keepAlive+pingTimeout(keepAlive))
	case tlsAlert(err) != "":
		return at + ": " + tlsAlert(err)
	case errors.Is(err, errStoppedReading), errors.Is(err, errNoAcks):
		return at + ": timeout: " + err.Error()
	case isTimeout(err):
		return at + ": timeout: " + err.Error()
	case isEnd(err):
		return at + ": the broker closed the connection"
	}
	return at + ": " + err.Error()
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &t) && t.Timeout()
}

func isEnd(err error) bool {
	var c *websocket.CloseError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || errors.As(err, &c)
}
