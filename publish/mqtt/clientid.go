package mqtt

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"os"
)

// machineIDs are where systemd and D-Bus keep a machine's identity.
var machineIDs = []string{"/etc/machine-id", "/var/lib/dbus/machine-id"}

// clientID is the same at every start on one machine and differs between
// machines. The machine's id is hashed with a key of ours, as machine-id(5) asks
// of those who let it out.
func clientID(device string, files []string) string {
	var id []byte
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && len(bytes.TrimSpace(b)) > 0 {
			id = bytes.TrimSpace(b)
			break
		}
	}
	if id == nil {
		// A container may have none; its host name is the next best.
		host, _ := os.Hostname()
		id = []byte(host)
	}
	mac := hmac.New(sha256.New, id)
	mac.Write([]byte("glimpsed mqtt client id"))
	return "glimpsed-" + device + "-" + hex.EncodeToString(mac.Sum(nil)[:4])
}
