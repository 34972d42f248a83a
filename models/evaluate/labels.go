package evaluate

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"github.com/glimpsed/glimpsed/models/imagenet"
)

// Labels finds the class that the name of a folder or file means.
type Labels struct {
	labels []string
	// ids are the classes' WordNet ids, "" where there is none; nil where no class has one.
	ids  []string
	byID map[string]int
	// names are by their normalised form.
	names map[string][]name
}

// name is a class's name as it could be written in a file's name.
type name struct {
	class int
	rank  rank
	// cased is the name normalised but for upper and lower case.
	cased string
}

// rank says how good a name is for a class; the lower wins where a name means several.
type rank int

const (
	wholeLabel rank = iota
	firstSynonym
	otherSynonym
)

// NewLabels takes a model's labels in the order of its output. Labels that are
// ImageNet's, with or without a background class before them, get its WordNet ids and
// synonyms; others may carry ids of their own in their text.
func NewLabels(labels []string) *Labels {
	l := &Labels{labels: labels, byID: map[string]int{}, names: map[string][]name{}}
	ids := make([]string, len(labels))
	for i, label := range labels {
		ids[i] = idAnywhere.FindString(label)
		bare := strings.TrimSpace(bracketedID.ReplaceAllString(label, ""))
		l.add(i, label, wholeLabel)
		for n, synonym := range strings.Split(bare, ",") {
			l.add(i, synonym, min(firstSynonym+rank(n), otherSynonym))
		}
	}
	if first, ok := imageNet(labels); ok {
		for _, c := range imagenet.Classes() {
			i := first + c.Index
			ids[i] = c.WNID
			l.add(i, c.Name, wholeLabel)
			for n, synonym := range strings.Split(c.Name, ",") {
				l.add(i, synonym, min(firstSynonym+rank(n), otherSynonym))
			}
		}
	}
	for i, id := range ids {
		if id != "" {
			l.byID[id] = i
		}
	}
	if len(l.byID) > 0 {
		l.ids = ids
	}
	return l
}

// imageNet says whether labels are ImageNet's, and where its first class is. Lists differ
// in spelling, so half of the names must do.
func imageNet(labels []string) (first int, ok bool) {
	classes := imagenet.Classes()
	switch len(labels) {
	case len(classes):
	case len(classes) + 1:
		first = 1
	default:
		return 0, false
	}
	same := 0
	for _, c := range classes {
		label, _, _ := strings.Cut(bracketedID.ReplaceAllString(labels[first+c.Index], ""), ",")
		for synonym := range strings.SplitSeq(c.Name, ",") {
			if normalise(label) == normalise(synonym) || strings.HasPrefix(labels[first+c.Index], c.WNID) {
				same++
				break
			}
		}
	}
	return first, 2*same >= len(classes)
}

func (l *Labels) add(class int, text string, r rank) {
	cased := spaced(text)
	if cased == "" {
		return
	}
	key := strings.ToLower(cased)
	for i, n := range l.names[key] {
		if n.class == class {
			if r < n.rank {
				l.names[key][i] = name{class, r, cased}
			}
			return
		}
	}
	l.names[key] = append(l.names[key], name{class, r, cased})
}

// Label is a class's label.
func (l *Labels) Label(class int) string { return l.labels[class] }

// ID is a class's WordNet id, "" where it has none.
func (l *Labels) ID(class int) string {
	if l.ids == nil {
		return ""
	}
	return l.ids[class]
}

// classOf finds a picture's class, or says why there is none. Of nested folders the innermost
// that means a class decides.
func (l *Labels) classOf(p Picture) (class int, reason string) {
	if len(p.folders) == 0 {
		return l.find(p.stem(), l.longest)
	}
	for i := len(p.folders) - 1; i >= 0; i-- {
		class, why := l.find(p.folders[i], l.exact)
		if class != NoClass {
			return class, ""
		}
		if reason == "" || i == len(p.folders)-1 {
			reason = why
		}
	}
	return NoClass, reason
}

var (
	idAnywhere  = regexp.MustCompile(`\bn\d{8}\b`)
	bracketedID = regexp.MustCompile(`\s*\(n\d{8}\)\s*$`)
	idFirst     = regexp.MustCompile(`^n\d{8}(?:\D|$)`)
)

const idLength = 9

// cutID takes a WordNet id off the front.
func cutID(text string) (id, rest string) {
	if !idFirst.MatchString(text) {
		return "", text
	}
	return text[:idLength], text[idLength:]
}

const noLabel = "no label of this name"

// find looks for a WordNet id first. A model without ids is asked for the name behind it.
func (l *Labels) find(text string, lookup func(string) []name) (class int, reason string) {
	id, rest := cutID(text)
	if id != "" && l.ids != nil {
		if class, ok := l.byID[id]; ok {
			return class, ""
		}
		return NoClass, "no label with this WordNet id"
	}
	text = spaced(rest)
	candidates := prefer(lookup(strings.ToLower(text)), text)
	switch len(candidates) {
	case 0:
		return NoClass, noLabel
	case 1:
		return candidates[0].class, ""
	}
	reason = fmt.Sprintf("%d labels have this name", len(candidates))
	if l.ids != nil {
		reason += ": use WordNet ids"
	}
	return NoClass, reason
}

// prefer leaves the candidates written in the same case as text, as far as there are any, and of those
// the ones of the best rank.
func prefer(candidates []name, text string) []name {
	keep := func(good func(name) bool) {
		var kept []name
		for _, c := range candidates {
			if good(c) {
				kept = append(kept, c)
			}
		}
		if len(kept) > 0 {
			candidates = kept
		}
	}
	keep(func(c name) bool { return strings.HasPrefix(text, c.cased) })
	best := otherSynonym
	for _, c := range candidates {
		best = min(best, c.rank)
	}
	keep(func(c name) bool { return c.rank == best })
	return candidates
}

func (l *Labels) exact(key string) []name { return l.names[key] }

// longest returns the names for the longest beginning of key that is one. It ends where a word or a number does.
func (l *Labels) longest(key string) []name {
	runes := []rune(key)
	for end := len(runes); end > 0; end-- {
		if end < len(runes) && kind(runes[end-1]) == kind(runes[end]) {
			continue
		}
		if found := l.names[strings.TrimSpace(string(runes[:end]))]; found != nil {
			return found
		}
	}
	return nil
}

// kind tells letters, digits and spaces apart.
func kind(r rune) int {
	switch {
	case unicode.IsDigit(r):
		return 1
	case unicode.IsSpace(r):
		return 2
	}
	return 0
}

// normalise is spaced in lower case.
func normalise(text string) string { return strings.ToLower(spaced(text)) }

var apostrophes = strings.NewReplacer("'", "", "’", "")

// spaced writes a name's words with one space between them, whatever was there. Apostrophes go.
func spaced(text string) string {
	text = apostrophes.Replace(text)
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) }), " ")
}
