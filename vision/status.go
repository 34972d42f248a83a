package vision

import "time"

// CameraState is what a camera is doing, as published on <camera>/status.
type CameraState string

// The states of a camera.
const (
	// CameraOffline says that there is no picture; opening is tried again and again.
	CameraOffline CameraState = "offline"
	// CameraOnline says that pictures arrive.
	CameraOnline CameraState = "online"
	// CameraStalled says that the camera is open, but no new picture arrives.
	CameraStalled CameraState = "stalled"
	// CameraPaused says that somebody asked it to rest.
	CameraPaused CameraState = "paused"
)

// CameraStatus is a camera's state with its reason and its counters.
type CameraStatus struct {
	Camera string
	State  CameraState
	// Reason is one sentence for a person; empty while all is well. It never
	// holds credentials.
	Reason string
	Since  time.Time
	// Source is the camera's source with credentials removed.
	Source string
	// Frames counts captures, Dropped those that a newer one replaced before they
	// were classified, Stale those over the age limit.
	Frames, Dropped, Stale uint64
	// Reconnects counts openings after the first that succeeded, Abandoned the native reads
	// that never came back.
	Reconnects, Abandoned uint64
	// Ended: the source has come to its end (a file that does not loop).
	Ended bool
}
