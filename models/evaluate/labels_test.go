package evaluate

import (
	"strings"
	"testing"

	"github.com/glimpsed/glimpsed/models/imagenet"
)

// withBackground is how TensorFlow's models list ImageNet's classes, all synonyms in one label.
func withBackground() []string {
	labels := []string{"background"}
	for _, c := range imagenet.Classes() {
		labels = append(labels, c.Name)
	}
	return labels
}

func TestClassOf(t *testing.T) {
	health := []string{"clear", "dark", "low_contrast", "low", "jack-o'-lantern", "Ampel, traffic light", "size 4"}
	ours, theirs := imagenet.Labels(), withBackground()
	known := map[*string]*Labels{}
	for _, test := range []struct {
		labels []string
		// place is the file below the folder.
		place string
		want  int
		// reason is part of what is said where want is NoClass.
		reason string
	}{
		{health, "clear/1.jpg", 0, ""},
		{health, "Clear/dark.jpg", 0, ""}, // the folder decides
		{health, "low contrast/a.jpg", 2, ""},
		{health, "LOW-CONTRAST/a.jpg", 2, ""},
		{health, "low_contrasts/a.jpg", NoClass, noLabel},
		{health, "unicorn/dark_1.jpg", NoClass, noLabel},
		{health, "jack_o_lantern/a.jpg", 4, ""},
		{health, "ampel/a.jpg", 5, ""},
		{health, "traffic-light/a.jpg", 5, ""},
		{health, "val/dark/a.jpg", 1, ""},
		{health, "dark/day 1/a.jpg", 1, ""},
		{health, "dark/clear/a.jpg", 0, ""}, // the innermost
		{health, "dark_0001.jpg", 1, ""},
		{health, "dark12.jpg", 1, ""},
		{health, "darker.jpg", NoClass, noLabel},
		{health, "low_contrast_7.jpg", 2, ""}, // the longest, not "low"
		{health, "low_7.jpg", 3, ""},
		{health, "low-contrasts.jpg", 3, ""},
		{health, "size 4 (2).jpg", 6, ""},
		{health, "size 42.jpg", NoClass, noLabel},
		{health, "n01440764_dark.jpg", 1, ""}, // a model that has no ids
		{health, "7.jpg", NoClass, noLabel},

		{ours, "n01440764_tench.JPEG", 0, ""},
		{ours, "n01440764.JPEG", 0, ""},
		{ours, "n01440764/n01484850_3.JPEG", 0, ""},
		{ours, "n01440764-tench/a.JPEG", 0, ""},
		{ours, "n99999999_tench.JPEG", NoClass, "no label with this WordNet id"},
		{ours, "n014407640.JPEG", NoClass, noLabel},
		{ours, "great_white_shark_2.jpg", 2, ""},
		{ours, "Tinca tinca/a.jpg", 0, ""}, // a synonym that the labels don't have
		{ours, "n02012849/a.jpg", 134, ""},
		{ours, "crane/a.jpg", NoClass, "2 labels have this name: use WordNet ids"},
		{ours, "crane_2.jpg", NoClass, "2 labels have this name"},
		{ours, "Cardigan/a.jpg", 264, ""},
		{ours, "cardigan_1.jpg", 474, ""},
		{ours, "missile/a.jpg", 657, ""}, // 744 has it as a second name only
		{ours, "maillot/a.jpg", 638, ""},

		{theirs, "n01440764_tench.JPEG", 1, ""},
		{theirs, "tench, Tinca tinca/a.jpg", 1, ""},
		{theirs, "tench/a.jpg", 1, ""},
		{theirs, "background/a.jpg", 0, ""},
		{theirs, "n02963159/a.jpg", 475, ""},

		{[]string{"n01440764 tench", "n02012849 crane"}, "n02012849_x.jpg", 1, ""},
		{[]string{"crane (n02012849)", "crane (n03126707)"}, "n03126707/x.jpg", 1, ""},
	} {
		parts := strings.Split(test.place, "/")
		p := Picture{File: "folder/" + test.place, folders: parts[:len(parts)-1]}
		l := known[&test.labels[0]]
		if l == nil {
			l = NewLabels(test.labels)
			known[&test.labels[0]] = l
		}
		class, reason := l.classOf(p)
		if class != test.want || !strings.Contains(reason, test.reason) || (reason == "") != (class != NoClass) {
			t.Errorf("%s among %d labels: class %d %q, want %d %q", test.place, len(test.labels), class, reason, test.want, test.reason)
		}
	}
}

// A thousand classes of something else must not get ImageNet's names.
func TestOtherThousand(t *testing.T) {
	labels := make([]string, 1000)
	for i := range labels {
		labels[i] = "part " + strings.Repeat("i", i+1)
	}
	labels[7] = "n01440764"
	l := NewLabels(labels)
	for place, want := range map[string]int{"n01440764_a.jpg": 7, "n01443537_a.jpg": NoClass, "goldfish.jpg": NoClass} {
		if class, _ := l.classOf(Picture{File: place}); class != want {
			t.Errorf("%s: class %d, want %d", place, class, want)
		}
	}
}

func TestClassName(t *testing.T) {
	for file, want := range map[string]string{
		"dog_001.jpg": "dog", "dog (2).jpg": "dog", "dog.jpg": "dog", "007.jpg": "007", "n99999999_x.jpg": "n99999999_x",
		"n99999999_12.jpg": "n99999999", "n99999999.jpg": "n99999999", "size 4 b.jpg": "size 4 b",
	} {
		if got := (Picture{File: "folder/" + file}).ClassName(); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
	if got := (Picture{File: "a/b/1.jpg", folders: []string{"a", "b"}}).ClassName(); got != "b" {
		t.Errorf("in folders: %q", got)
	}
}
