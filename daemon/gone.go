package daemon

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/glimpsed/glimpsed/config"
)

// camerasFile, in the state directory, names the cameras of which the broker may have retained topics.
const camerasFile = "cameras.json"

// published is what the file holds.
type published struct {
	Base    string   `json:"base_topic"`
	Device  string   `json:"device"`
	Cameras []string `json:"cameras"`
}

// forgetGone clears what an earlier run left with the broker of cameras that are configured no more, and notes those that are.
func (a *App) forgetGone() {
	if a.config().StateDir == "" {
		return
	}
	now := a.published()
	var before published
	data, err := os.ReadFile(a.camerasPath())
	if err == nil {
		err = json.Unmarshal(data, &before)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		a.log.Warn("cameras that are gone may stay with the broker", "error", err)
	}
	if before.Base == now.Base && before.Device == now.Device {
		for _, camera := range before.Cameras {
			if !slices.Contains(now.Cameras, camera) {
				a.forget(camera)
			}
		}
		if slices.Equal(before.Cameras, now.Cameras) {
			return // and spare the SD card
		}
	}
	a.noteCameras()
}

// forget clears what the broker retains of a camera.
func (a *App) forget(camera string) {
	for _, m := range a.encoder.Forget(camera) {
		a.publish(m)
	}
}

// noteCameras keeps the cameras in force for a later run's forgetGone.
func (a *App) noteCameras() {
	if a.config().StateDir == "" {
		return
	}
	data, err := json.Marshal(a.published())
	if err == nil {
		err = config.WriteWhole(a.camerasPath(), append(data, '\n'))
	}
	if err != nil {
		a.log.Warn("cameras that will be gone may stay with the broker", "error", err)
	}
}

func (a *App) camerasPath() string { return filepath.Join(a.config().StateDir, camerasFile) }

func (a *App) published() published {
	out := published{Base: a.config().MQTT.BaseTopic, Device: a.config().Device}
	for _, c := range a.all() {
		out.Cameras = append(out.Cameras, c.name)
	}
	slices.Sort(out.Cameras)
	return out
}
