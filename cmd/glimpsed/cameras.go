package main

import (
	"errors"
	"fmt"
	"path/filepath"
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
there is one. The first is what source "auto" takes. It exits with 1 if there is none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			devices, others := opencv.Devices()
			if len(devices) == 0 {
				return errors.Join(append([]error{errors.New("no camera found: is it plugged in, and may this user read /dev/video* (group video)?")}, others...)...)
			}
			if firstOnly {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), devices[0].Path)
				return err
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "DEVICE\tCAMERA\tDRIVER\tSOURCE")
			for _, d := range devices {
				source := stableName(d.Path)
				if d.Raw {
					source = "libcamera:"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.Path, d.Card, d.Driver, source)
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&firstOnly, "first", false, `print only the device that "auto" takes`)
	return cmd
}

// stableName is the link to a device that udev names after the camera itself, so that it is the same after
// the next boot; without one it is the device.
func stableName(device string) string {
	links, _ := filepath.Glob("/dev/v4l/by-id/*") // the pattern is well-formed
	for _, link := range links {
		if target, err := filepath.EvalSymlinks(link); err == nil && target == device {
			return link
		}
	}
	return device
}
