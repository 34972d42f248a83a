package broker

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// auth lets in who knows the user and the password or, where there are none, who
// comes from this machine. Topics are not restricted, but for $SYS, which is read only.
type auth struct {
	mochi.HookBase
	open           bool
	user, password [sha256.Size]byte
}

func newAuth(cfg Config) *auth {
	return &auth{
		open:     cfg.Username == "" && cfg.Password == "",
		user:     sha256.Sum256([]byte(cfg.Username)),
		password: sha256.Sum256([]byte(cfg.Password)),
	}
}

// ID names the hook in mochi's log.
func (a *auth) ID() string { return "access" }

// Provides lists the hook's methods for mochi.
func (a *auth) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}

// OnConnectAuthenticate compares hashes, so that the time taken says nothing
// about what was right, lengths included.
func (a *auth) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	if a.open {
		host, _, err := net.SplitHostPort(cl.Net.Remote)
		return err == nil && loopback(host)
	}
	user, password := sha256.Sum256(pk.Connect.Username), sha256.Sum256(pk.Connect.Password)
	return subtle.ConstantTimeCompare(user[:], a.user[:])&subtle.ConstantTimeCompare(password[:], a.password[:]) == 1
}

// OnACLCheck allows every topic that isn't the broker's own.
func (a *auth) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	return !write || len(topic) == 0 || topic[0] != '$'
}
