package imagenet

import (
	"regexp"
	"testing"
)

func TestClasses(t *testing.T) {
	list := Classes()
	if len(list) != 1000 {
		t.Fatalf("%d classes", len(list))
	}
	wnid := regexp.MustCompile(`^n\d{8}$`)
	labels, ids := map[string]int{}, map[string]int{}
	for i, c := range list {
		if c.Index != i || !wnid.MatchString(c.WNID) || c.Label == "" {
			t.Errorf("class %d is %+v", i, c)
		}
		labels[c.Label]++
		ids[c.WNID]++
	}
	if len(labels) != 1000 || len(ids) != 1000 {
		t.Errorf("%d different labels, %d different ids: want 1000 each", len(labels), len(ids))
	}
	for index, label := range map[int]string{0: "tench", 134: "crane (n02012849)", 517: "crane (n03126707)", 638: "maillot (n03710637)", 999: "toilet tissue"} {
		if list[index].Label != label {
			t.Errorf("class %d is called %q, want %q", index, list[index].Label, label)
		}
	}
	c, ok := ByWNID("n02012849")
	if !ok || c.Index != 134 {
		t.Errorf("n02012849: %+v %v", c, ok)
	}
	if _, ok := ByWNID("n00000000"); ok {
		t.Error("n00000000 was found")
	}
}

func TestParseSaysWhichLine(t *testing.T) {
	for table, want := range map[string]string{
		"0\tn1\ta\n1\tn2":    "line 2 has 2 fields, not 3",
		"0\tn1\ta\n2\tn2\tb": `line 2 has index "2"`,
	} {
		if _, err := parse(table); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", table, err, want)
		}
	}
}
