//go:build !race

package outbox

const slow = false
