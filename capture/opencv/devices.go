package opencv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device is a V4L2 capture device.
type Device struct {
	// Path is the device node, such as /dev/video0.
	Path string
	// Driver and Card are the kernel's names for it, such as uvcvideo and "HD Webcam".
	Driver, Card string
	// Raw says that it hands out unprocessed sensor data or is a part of an image processor: such
	// cameras, as a Raspberry Pi's CSI ones, are reached through libcamera.
	Raw bool
}

// From linux/videodev2.h: struct v4l2_capability is driver[16], card[32], bus_info[32],
// version, capabilities, device_caps, reserved[3]; 104 bytes.
const (
	vidiocQuerycap     = 0x80685600 // _IOR('V', 0, struct v4l2_capability)
	capVideoCapture    = 0x00000001
	capVideoCaptureMP  = 0x00001000
	capVideoM2MMP      = 0x00004000
	capVideoM2M        = 0x00008000
	capStreaming       = 0x04000000
	capDeviceCaps      = 0x80000000
	capabilityLength   = 104
	offsetCapabilities = 84
	offsetDeviceCaps   = 88
)

// rawDrivers belong to camera pipelines that only libcamera can drive.
var rawDrivers = []string{"unicam", "rp1-cfe", "bcm2835-isp", "pispbe", "rkisp1", "sun6i-csi"}

// errNotCamera is wrapped by Query for devices that exist but don't capture.
var errNotCamera = errors.New("not a capture device (cameras often have a second node for metadata: try the other)")

// Query asks a device node what it is. The error names it.
func Query(path string) (Device, error) {
	d, err := query(path)
	if err != nil {
		return d, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

func query(path string) (Device, error) {
	d := Device{Path: path}
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO):
		return d, fmt.Errorf("%w: is the camera plugged in?", err)
	case errors.Is(err, fs.ErrPermission):
		return d, fmt.Errorf("%w: the user who runs this must be in the group video", err)
	case err != nil:
		return d, err
	}
	defer unix.Close(fd)
	var buf [capabilityLength]byte
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), vidiocQuerycap, uintptr(unsafe.Pointer(&buf))); errno != 0 {
		return d, errNotCamera
	}
	caps := binary.NativeEndian.Uint32(buf[offsetCapabilities:])
	if caps&capDeviceCaps != 0 {
		caps = binary.NativeEndian.Uint32(buf[offsetDeviceCaps:])
	}
	d.Driver, d.Card = cString(buf[:16]), cString(buf[16:48])
	d.Raw = slices.Contains(rawDrivers, d.Driver)
	captures := caps&(capVideoCapture|capVideoCaptureMP) != 0 && caps&(capVideoM2M|capVideoM2MMP) == 0
	if !captures || caps&capStreaming == 0 {
		return d, fmt.Errorf("%s: %w", d.Card, errNotCamera)
	}
	return d, nil
}

// Devices lists the capture devices among /dev/video*, in the order of their numbers, and
// says of the other nodes why they aren't.
func Devices() (found []Device, others []error) {
	paths, _ := filepath.Glob("/dev/video*")
	slices.SortFunc(paths, func(a, b string) int {
		return deviceNumber(a) - deviceNumber(b)
	})
	for _, p := range paths {
		if deviceNumber(p) < 0 {
			continue
		}
		d, err := Query(p)
		if err != nil {
			others = append(others, err)
			continue
		}
		found = append(found, d)
	}
	return found, others
}

// deviceNumber is N of /dev/videoN, -1 for any other path.
func deviceNumber(path string) int {
	digits, ok := strings.CutPrefix(path, "/dev/video")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return -1
	}
	return n
}

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
