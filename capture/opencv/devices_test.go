package opencv

import (
	"errors"
	"io/fs"
	"testing"
)

func TestQuery(t *testing.T) {
	if _, err := Query("/dev/video977"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a device that isn't there: %v", err)
	}
	if _, err := Query("/dev/null"); !errors.Is(err, errNotCamera) {
		t.Errorf("a device that is no camera: %v", err)
	}
}

func TestDeviceNumber(t *testing.T) {
	for path, want := range map[string]int{"/dev/video0": 0, "/dev/video12": 12, "/dev/video": -1, "/dev/videoX": -1, "/dev/v4l/by-id/x": -1} {
		if got := deviceNumber(path); got != want {
			t.Errorf("deviceNumber(%q) = %d, want %d", path, got, want)
		}
	}
}
