package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// notify tells systemd one line of sd_notify(3). Without systemd it does nothing; a
// refusal is worth a line in the log and nothing more.
func notify(log *slog.Logger, state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("telling systemd", "state", state, "error", err)
	}
}

// reloading is RELOADING=1 with the reading of CLOCK_MONOTONIC that systemd wants with it. READY=1 has to follow.
func reloading() string {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // can't fail with this clock
	return fmt.Sprintf("%s\nMONOTONIC_USEC=%d", sd.SdNotifyReloading, t.Nano()/1000)
}

// feedWatchdog feeds systemd's watchdog, where the unit sets one, for as long as every
// stage gets on. It asks four times in the watchdog's interval, and a stage may use up
// half of it: from a stuck call to the restart it takes the interval and a half at most.
func feedWatchdog(ctx context.Context, log *slog.Logger, p *Progress) error {
	interval, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("reading the watchdog's interval", "error", err)
	}
	if interval == 0 {
		return nil
	}
	ticker := time.NewTicker(interval / 4)
	defer ticker.Stop()
	starving := false
	for {
		stuck := p.Stuck(interval / 2)
		switch {
		case len(stuck) == 0:
			if starving {
				log.Info("every stage gets on again, the watchdog is fed")
			}
			starving = false
			notify(log, sd.SdNotifyWatchdog)
		case !starving:
			starving = true
			log.Error("a stage is stuck, the watchdog is not fed", "stuck", strings.Join(stuck, ", "))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
