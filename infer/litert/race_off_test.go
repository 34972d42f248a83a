//go:build !race

package litert_test

// raceDetector says whether the race detector slows everything down.
const raceDetector = false
