//go:build race

package main

// raceDetector says whether the race detector slows everything down.
const raceDetector = true
