package vision

import "time"

// Unknown is a State's label where no label is sure enough.
const Unknown = "unknown"

// State is what a camera shows, steady over single results.
type State struct {
	Camera string
	// Label is Unknown where none is sure enough.
	Label string
	// Score is in 0..1, smoothed.
	Score float64
	// Since is when the picture was taken that the state began with.
	Since time.Time
}

// EventType says what happened to an event.
type EventType string

// The types of Event.
const (
	EventStart  EventType = "start"
	EventUpdate EventType = "update"
	EventEnd    EventType = "end"
)

// Event is news of one stay of a label before a camera. All news of a stay have one ID.
type Event struct {
	ID     string
	Type   EventType
	Camera string
	Label  string
	// Score is the smoothed one now, Best the highest so far, both in 0..1.
	Score, Best float64
	// CapturedAt is when the picture was taken that this is about, Duration the time since the event's start.
	CapturedAt time.Time
	Duration   time.Duration
}
