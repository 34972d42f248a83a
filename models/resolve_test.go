package models

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/glimpsed/glimpsed/models/tflite"
	"github.com/glimpsed/glimpsed/vision"
)

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%v; want %q", err, w)
		}
	}
}

func TestResolveNames(t *testing.T) {
	store := NewStore(t.TempDir())
	_, _, err := Resolve("resnet18", "", store)
	wantError(t, err, "model resnet18 is not installed", "`glimpsed model pull resnet18`")
	_, _, err = Resolve("resnet-18", "", store)
	wantError(t, err, `model "resnet-18" is unknown`, "did you mean resnet18?", "./resnet-18.tflite")
	_, _, err = Resolve("yolo", "", store)
	wantError(t, err, `model "yolo" is unknown`, "efficientnet_lite0", "resnet18-camera-health")
	_, _, err = Resolve("../etc", "", store)
	wantError(t, err, "reading model ../etc: there is no such file")

	if _, err := store.Put(Manifest{Name: "sorter", Labels: fourLabels}, tiny{}.model(t)); err != nil {
		t.Fatal(err)
	}
	m, note, err := Resolve("sorter", "", store)
	if err != nil || note != "" || m.Name != "sorter" || !slices.Equal(m.Labels, fourLabels) || m.Path != filepath.Join(store.Dir(), "sorter.tflite") {
		t.Errorf("%+v, %q, %v", m, note, err)
	}
	_, _, err = Resolve("sorte", "", store)
	wantError(t, err, "did you mean sorter?")

	labels := write(t, filepath.Join(t.TempDir(), "labels.txt"), []byte("a\nb\nc\nd\n"))
	if m, _, err := Resolve("sorter", labels, store); err != nil || !slices.Equal(m.Labels, []string{"a", "b", "c", "d"}) {
		t.Errorf("%q, %v", m.Labels, err)
	}
	_, _, err = Resolve("sorter", ImageNetLabels, store)
	wantError(t, err, "model sorter: labels from imagenet: 1000 labels, but the model has 4 outputs")
	_, _, err = Resolve("sorter", "no.txt", store)
	wantError(t, err, "model sorter: reading labels no.txt: there is no such file")

	write(t, filepath.Join(store.Dir(), "sorter.tflite"), []byte("damaged"))
	_, _, err = Resolve("sorter", "", store)
	wantError(t, err, "model sorter in "+store.Dir(), "7 bytes", "install it again")
}

func TestResolveAuto(t *testing.T) {
	store := NewStore(t.TempDir())
	_, embeddedErr := Embedded()
	m, note, err := Resolve("auto", "", store)
	if embeddedErr == nil {
		if err != nil || m.Name != CameraHealth || m.Data == nil || !strings.Contains(note, "resnet18 is not installed") {
			t.Errorf("%s, %q, %v", m.Name, note, err)
		}
	} else {
		wantError(t, err, "resnet18 is not installed", "no embedded model", "`glimpsed model pull resnet18`")
	}

	e, _ := Lookup("resnet18")
	if _, err := store.Put(manifestOf(e), tiny{outputs: 1000}.model(t)); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"auto", ""} {
		if m, note, err = Resolve(ref, "", store); err != nil || m.Name != "resnet18" || note != "model auto: resnet18 is installed" {
			t.Errorf("%q: %s, %q, %v", ref, m.Name, note, err)
		}
	}
	// A damaged one is said, and what is embedded is used where there is something.
	write(t, filepath.Join(store.Dir(), "resnet18.tflite"), []byte("damaged"))
	m, note, err = Resolve("auto", "", store)
	if embeddedErr == nil {
		if err != nil || m.Name != CameraHealth || !strings.Contains(note, "7 bytes") {
			t.Errorf("%s, %q, %v", m.Name, note, err)
		}
	} else {
		wantError(t, err, "7 bytes", "no embedded model")
	}
}

func TestEmbedded(t *testing.T) {
	e, _ := Lookup(CameraHealth)
	data := tiny{in: tflite.Int8, outputs: 9}.model(t)
	files := fstest.MapFS{CameraHealth + ".md": {Data: []byte("# card")}}
	_, err := readEmbedded(files)
	wantError(t, err, "this binary carries no embedded model")

	files[CameraHealth+".tflite"] = &fstest.MapFile{Data: data}
	m, err := readEmbedded(files)
	if err != nil || m.Name != CameraHealth || m.SHA256 != hashOf(data) || !bytes.Equal(m.Data, data) || !m.Logits ||
		!slices.Equal(m.Labels, e.Labels()) || m.Preprocessing != e.Preprocessing {
		t.Errorf("%+v, %v", m, err)
	}
	own := `{"schema":1,"name":"resnet18-camera-health","sha256":"` + m.SHA256 + `","labels":["1","2","3","4","5","6","7","8","9"],"preprocessing":{"width":32,"height":32,"crop":"letterbox"}}`
	files[CameraHealth+".json"] = &fstest.MapFile{Data: []byte(own)}
	if m, err := readEmbedded(files); err != nil || m.Labels[8] != "9" || m.Preprocessing.Crop != vision.CropLetterbox || m.Logits {
		t.Errorf("%+v, %v", m, err)
	}
	files[CameraHealth+".json"].Data = []byte(strings.Replace(own, m.SHA256, "00", 1))
	_, err = readEmbedded(files)
	wantError(t, err, "its manifest says 00")
	delete(files, CameraHealth+".json")
	files[CameraHealth+".tflite"].Data = tiny{outputs: 8}.model(t)
	_, err = readEmbedded(files)
	wantError(t, err, "9 labels, but the model has 8 outputs")

	if !strings.Contains(EmbeddedCard(), "camera") {
		t.Error("no description of the embedded model")
	}
	m, err = Embedded()
	if err != nil {
		wantError(t, err, ErrNoEmbedded.Error())
		_, _, err = Resolve(CameraHealth, "", nil)
		wantError(t, err, ErrNoEmbedded.Error())
	} else if len(m.Labels) != 9 || m.Path != "" {
		t.Errorf("%q, %s", m.Labels, m.Path)
	}
}

func TestResolveFile(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, c tiny) string { return write(t, filepath.Join(dir, name), c.model(t)) }
	text := func(name, text string) string { return write(t, filepath.Join(dir, name), []byte(text)) }

	// Everything from the metadata.
	path := file("full/a.tflite", tiny{meta: tflite.Metadata{Labels: fourLabels, Mean: []float32{1, 2, 3}, Std: []float32{4, 5, 6}}})
	text("full/labels.txt", "not\nthese\n")
	m, note, err := Resolve(path, "", nil)
	if err != nil || m.Name != "a" || m.Path != path || m.SHA256 != hashOf(read(t, path)) || !slices.Equal(m.Labels, fourLabels) {
		t.Errorf("%+v, %v", m, err)
	}
	want := vision.Preprocessing{
		Width: 40, Height: 32, Resize: 46, Crop: vision.CropCenter, Interpolation: vision.Bilinear,
		Mean: [3]float32{1, 2, 3}, Std: [3]float32{4, 5, 6},
	}
	if m.Preprocessing != want {
		t.Errorf("%+v, want %+v", m.Preprocessing, want)
	}
	if note != "model a: labels from its metadata; outputs taken as logits, since it has no softmax" {
		t.Errorf("note: %s", note)
	}
	// A file that is named goes before.
	if m, _, err := Resolve(path, text("full/own.txt", "1\n2\n3\n4\n"), nil); err != nil || m.Labels[0] != "1" {
		t.Errorf("%q, %v", m.Labels, err)
	}

	// One value for all channels; labels from the file beside, by precedence.
	path = file("beside/b.tflite", tiny{in: tflite.Uint8, meta: tflite.Metadata{Mean: []float32{127.5}, Std: []float32{127.5}}})
	_, _, err = Resolve(path, "", nil)
	wantError(t, err, "model "+path+": it has no labels for its 4 outputs", "b.labels.txt", "--labels")
	for _, name := range []string{"imagenet_labels.txt", "labels.txt", "b.txt", "b.labels.txt"} {
		text("beside/"+name, name+"\n2\n3\n4\n")
		m, _, err := Resolve(path, "", nil)
		if err != nil || m.Labels[0] != name || m.Preprocessing.Std != [3]float32{127.5, 127.5, 127.5} {
			t.Errorf("%q, %+v, %v; want the labels of %s", m.Labels, m.Preprocessing, err, name)
		}
	}
	text("beside/b.labels.txt", "1\n2\n3\n")
	_, _, err = Resolve(path, "", nil)
	wantError(t, err, "b.labels.txt: 3 labels, but the model has 4 outputs", `"background" may be missing`)

	// Nothing said about normalising.
	path = file("plain.tflite", tiny{in: tflite.Uint8, outputs: 1001})
	m, note, err = Resolve(path, ImageNetLabels, nil)
	if err != nil || m.Labels[0] != "background" || m.Labels[1] != "tench" || m.Preprocessing.Std != [3]float32{} {
		t.Errorf("%v", err)
	}
	if !strings.Contains(note, "it does not say how pictures are normalised") {
		t.Errorf("note: %s", note)
	}
}

func TestResolveBadFiles(t *testing.T) {
	dir := t.TempDir()
	good := tiny{}.model(t)
	file := func(name string, data []byte) string { return write(t, filepath.Join(dir, name), data) }
	large := filepath.Join(dir, "large.tflite")
	if f, err := os.Create(large); err != nil || f.Truncate(maxModel+1) != nil || f.Close() != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.tflite"):       "there is no such file",
		dir + "/":                               "it is a folder; give the path of the .tflite file in it",
		large:                                   "bytes are more than a model may have",
		"/dev/null/x.tflite":                    "not a directory",
		file("empty.tflite", nil):               "the file is empty; fetch or build it again",
		file("stub.tflite", good[:6]):           "6 bytes are no model",
		file("head.tflite", good[:40]):          "damaged or cut short",
		file("half.tflite", good[:len(good)/2]): "damaged or cut short",
		file("text.tflite", []byte("this is not a model at all")):                  "it is no TensorFlow Lite model (TFL3 is missing at byte 4)",
		file("page.tflite", []byte("\n<!DOCTYPE html><html>")):                     "it is a web page",
		file("lfs.tflite", []byte("version https://git-lfs.github.com/spec/v1\n")): "it is a Git LFS pointer",
		file("weights.tflite", []byte("PK\x03\x04............")):                   "`glimpsed model build`",
		file("sound.tflite", tiny{input: []int{1, 15600}}.model(t)):                "its input has the shape [1 15600]; a colour picture is",
		file("grey.tflite", tiny{input: []int{1, 28, 28, 1}}.model(t)):             "its input has the shape [1 28 28 1]",
		file("batch.tflite", tiny{input: []int{8, 28, 28, 3}}.model(t)):            "its input has the shape [8 28 28 3]",
		file("one.tflite", tiny{outputs: 1}.model(t)):                              "at least two classes",
		file("int32.tflite", tiny{in: tflite.Int32}.model(t)):                      "its tensor in is of int32",
	} {
		_, _, err := Resolve(path, ImageNetLabels, nil)
		wantError(t, err, want, path)
		if err != nil && strings.Count(err.Error(), path) > 1 {
			t.Errorf("the path stands twice in %q", err)
		}
	}
}

func TestLogits(t *testing.T) {
	probabilities := tflite.PerTensor(1.0/256, 0)
	for name, c := range map[string]struct {
		tiny tiny
		want bool
	}{
		"no softmax":               {tiny{}, true},
		"softmax":                  {tiny{last: []tflite.Op{tflite.Softmax}}, false},
		"sigmoid":                  {tiny{last: []tflite.Op{tflite.Logistic}}, false},
		"softmax and more":         {tiny{last: []tflite.Op{tflite.Softmax, tflite.Reshape, tflite.Dequantize}}, false},
		"reshape only":             {tiny{last: []tflite.Op{tflite.Reshape}}, true},
		"softmax, then arithmetic": {tiny{last: []tflite.Op{tflite.Softmax, tflite.Mul}}, true},
		"uint8 of 0..1":            {tiny{out: tflite.Uint8, outQuant: probabilities}, false},
		"int8 of 0..1":             {tiny{out: tflite.Int8, outQuant: tflite.PerTensor(1.0/256, -128)}, false},
		"int8 of -0.5..0.5":        {tiny{out: tflite.Int8, outQuant: probabilities}, true},
		"uint8 of other scale":     {tiny{out: tflite.Uint8, outQuant: tflite.PerTensor(0.0988, 58)}, true},
	} {
		p, err := probeModel(c.tiny.model(t))
		if err != nil || p.logits != c.want || p.why == "" {
			t.Errorf("%s: %v because %s, %v; want %v", name, p.logits, p.why, err, c.want)
		}
	}
}

// The models of others that lie beside the repository.
func TestModelsOfOthers(t *testing.T) {
	coral := shared(t, "data/coral")
	for name, want := range map[string]struct {
		side, resize int
		logits       bool
	}{
		"mobilenet_v2_1.0_224_quant":   {224, 256, false},
		"mobilenet_v1_0.25_128_quant":  {128, 146, false},
		"tf2_mobilenet_v2_1.0_224_ptq": {224, 256, false},
	} {
		m, note, err := Resolve(filepath.Join(coral, name+".tflite"), "", nil)
		if err != nil || len(m.Labels) < 1000 {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p := m.Preprocessing; p.Width != want.side || p.Height != want.side || p.Resize != want.resize || m.Logits != want.logits {
			t.Errorf("%s: %+v, logits %v", name, p, m.Logits)
		}
		t.Log(note)
	}
	_, _, err := Resolve(filepath.Join(coral, "model_invoking_error.tflite"), ImageNetLabels, nil)
	wantError(t, err, "model_invoking_error.tflite")
	t.Log(err)
}

// Whatever bits of a model are damaged, looking into it gives an answer or an error.
func TestCorruptedModels(t *testing.T) {
	good := tiny{last: []tflite.Op{tflite.Softmax}, meta: tflite.Metadata{Labels: fourLabels, Mean: []float32{1}, Std: []float32{2}}}.model(t)
	rng := rand.New(rand.NewPCG(1, 2))
	errs := 0
	for range 5000 {
		data := slices.Clone(good)
		for range 1 + rng.IntN(4) {
			data[rng.IntN(len(data))] = byte(rng.Uint32())
		}
		if rng.IntN(4) == 0 {
			data = data[:rng.IntN(len(data))]
		}
		p, err := probeModel(data)
		if err != nil {
			errs++
			continue
		}
		if p.width < 1 || p.height < 1 || p.outputs < 2 {
			t.Fatalf("%dx%d, %d outputs", p.width, p.height, p.outputs)
		}
		_ = p.preprocessing()
		if _, err := inspect("model", "", data); err != nil {
			t.Fatal(err)
		}
	}
	if errs < 1000 {
		t.Errorf("only %d of 5000 damaged models are noticed", errs)
	}
}
