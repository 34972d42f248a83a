package models

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/models/arch"
	"github.com/glimpsed/glimpsed/vision"
)

func TestCatalogue(t *testing.T) {
	// The hub's rule (torch.hub.load_state_dict_from_url): the file name ends with the digest's first digits.
	hub := regexp.MustCompile(`-([0-9a-f]{8,})\.pth$`)
	want := []string{"resnet18", "mobilenet_v2", "shufflenet_v2_x1_0", "efficientnet_b0", "efficientnet_lite0", "resnet18-camera-health"}
	for i, e := range Catalogue() {
		if i >= len(want) || e.Name != want[i] {
			t.Fatalf("entry %d is %s", i, e.Name)
		}
		if err := CheckName(e.Name); err != nil {
			t.Error(err)
		}
		if _, err := arch.ByName(e.Architecture); err != nil {
			t.Error(err)
		}
		if e.Summary == "" || e.License == "" || e.Weights.Source() == "" {
			t.Errorf("%s lacks its summary, licence or source", e.Name)
		}
		labels := 1000
		if e.Embedded() {
			labels = 9
		} else {
			digits := hub.FindStringSubmatch(e.Weights.File)
			if digits == nil || !strings.HasPrefix(e.Weights.SHA256, digits[1]) || len(e.Weights.SHA256) != 64 || e.Weights.Size == 0 {
				t.Errorf("%s: %+v", e.Name, e.Weights)
			}
			if e.Weights.Verification() != "SHA-256" {
				t.Errorf("%s is verified by %s", e.Name, e.Weights.Verification())
			}
			if e.Top1 < 65 || e.Top1 > 80 {
				t.Errorf("%s has a published top-1 of %g", e.Name, e.Top1)
			}
			if (e.Weights.URL == "") == (e.Weights.Package.Name == "") {
				t.Errorf("%s comes from %q and %q", e.Name, e.Weights.URL, e.Weights.Package.Name)
			}
			if e.Weights.URL != "" && e.Weights.URL != "https://download.pytorch.org/models/"+e.Weights.File {
				t.Errorf("%s comes from %s", e.Name, e.Weights.URL)
			}
			if p := e.Weights.Package; p.Name != "" && (filepath.Base(p.Member) != e.Weights.File || len(p.SHA256) != 64 || p.Size == 0) {
				t.Errorf("%s: %+v", e.Name, p)
			}
			if len(e.LabelIDs()) != labels {
				t.Errorf("%s has %d WordNet ids", e.Name, len(e.LabelIDs()))
			}
		}
		if len(e.Labels()) != labels {
			t.Errorf("%s has %d labels", e.Name, len(e.Labels()))
		}
	}
	if _, ok := Lookup("resnet50"); ok {
		t.Error("resnet50 is in the catalogue")
	}
}

func TestVerificationOfFewDigits(t *testing.T) {
	if got := (Weights{SHA256: "f37072fd"}).Verification(); got != "first 8 digits of SHA-256 (all that upstream publishes)" {
		t.Error(got)
	}
}

func TestPreprocessingOfCatalogue(t *testing.T) {
	imageNet := vision.Preprocessing{
		Width: 224, Height: 224, Resize: 256, Crop: vision.CropCenter, Interpolation: vision.Bilinear,
		Mean: [3]float32{123.675, 116.28, 103.53}, Std: [3]float32{58.395, 57.12, 57.375},
	}
	b0, lite, health := imageNet, imageNet, imageNet
	b0.Interpolation = vision.Bicubic
	lite.Interpolation = vision.Bicubic
	lite.Mean, lite.Std = [3]float32{127, 127, 127}, [3]float32{128, 128, 128}
	health.Resize, health.Crop = 0, vision.CropStretch
	for name, want := range map[string]vision.Preprocessing{
		"resnet18": imageNet, "mobilenet_v2": imageNet, "shufflenet_v2_x1_0": imageNet,
		"efficientnet_b0": b0, "efficientnet_lite0": lite, "resnet18-camera-health": health,
	} {
		e, ok := Lookup(name)
		if !ok || e.Preprocessing != want {
			t.Errorf("%s: %+v, want %+v", name, e.Preprocessing, want)
		}
	}
}

func TestNearest(t *testing.T) {
	known := knownNames(nil)
	for name, want := range map[string]string{
		"resnet-18": "resnet18", "ResNet18": "resnet18", "resnet 18": "resnet18", "restnet18": "resnet18",
		"mobilenetv2": "mobilenet_v2", "efficientnet-b0": "efficientnet_b0", "efficientnet_lite": "efficientnet_lite0",
		"shufflenet_v2": "shufflenet_v2_x1_0", "camera-health": "", "yolo": "", "": "",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}
