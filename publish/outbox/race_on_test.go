//go:build race

package outbox

// slow says that the race detector makes everything ten times as slow.
const slow = true
