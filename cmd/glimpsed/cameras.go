package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/glimpsed/glimpsed/capture/opencv"
)

func newCamerasCommand() *cobra.Command {
	var firstOnly bool
	cmd := &cobra.Command{
		Use:   "cameras",
		Short: "List the cameras of this machine",
		Long: `Lists the video devices that can capture, each with the stable name to use as a camera's source where
there is one. It exits with 1 if there is none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			devices, others := opencv.Devices()
			if len(devices) == 0 {
				return errors.Join(append([]error{errors.New("no camera found: is it plugged in, and may this user read /dev/video* (group video)?")}, others...)...)
			}
			// What only libcamera can drive comes last.
			slices.SortStableFunc(devices, func(a, b opencv.Device) int { return cmp.Compare(rank(a), rank(b)) })
			if firstOnly {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), sourceOf(devices[0]))
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "DEVICE\tCAMERA\tDRIVER\tSOURCE")
			for _, d := range devices {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.Path, d.Card, d.Driver, sourceOf(d))
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&firstOnly, "first", false, "print only the source of the first usable one")
	return cmd
}

func rank(d opencv.Device) int {
	if d.Raw {
		return 1
	}
	return 0
}

// sourceOf is what to write as a camera's source to get a device.
func sourceOf(d opencv.Device) string {
	if d.Raw {
		return "libcamera:"
	}
	return stableName(d.Path)
}

// stableName is the link to a device that udev names after the camera itself, or else after where it is
// plugged in, so that it is the same after the next boot; without one it is the device.
func stableName(device string) string {
	for _, by := range []string{"id", "path"} {
		links, _ := filepath.Glob("/dev/v4l/by-" + by + "/*") // the pattern is well-formed
		for _, link := range links {
			if target, err := filepath.EvalSymlinks(link); err == nil && target == device {
				return link
			}
		}
	}
	return device
}
