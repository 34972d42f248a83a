//go:build !race

package arch_test

const raceEnabled = false
