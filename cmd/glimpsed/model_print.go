package main

import (
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/models/download"
)

// modelLine is a model in `glimpsed model list --format json`.
type modelLine struct {
	Name    string `json:"name"`
	Summary string `json:"summary,omitempty"`
	// State is "installed", "embedded" or "available".
	State        string     `json:"state"`
	Path         string     `json:"path,omitempty"`
	SHA256       string     `json:"sha256,omitempty"`
	Size         int64      `json:"size,omitempty"`
	CreatedAt    *time.Time `json:"created_at,omitempty"`
	Top1         float64    `json:"published_top1,omitempty"`
	Top5         float64    `json:"published_top5,omitempty"`
	License      string     `json:"license,omitempty"`
	Source       string     `json:"source"`
	WeightsSize  int64      `json:"weights_size,omitempty"`
	Verification string     `json:"verification,omitempty"`
}

// modelLines are the catalogue's models and then all others that are installed.
func modelLines(installed []models.Installed) []modelLine {
	at := map[string]models.Installed{}
	for _, m := range installed {
		at[m.Name] = m
	}
	var lines []modelLine
	for _, e := range models.Catalogue() {
		l := modelLine{
			Name: e.Name, Summary: e.Summary, State: "available", Top1: e.Top1, Top5: e.Top5, License: e.License,
			Source: e.Weights.Source(), WeightsSize: e.Weights.Size, Verification: e.Weights.Verification(),
		}
		if e.Embedded() {
			l.Verification = ""
			if m, err := models.Embedded(); err == nil {
				l.State, l.SHA256, l.Size = "embedded", m.SHA256, int64(len(m.Data))
			} else {
				l.State = "not in this build"
			}
		}
		if m, ok := at[e.Name]; ok {
			l.State, l.Path, l.SHA256, l.Size, l.CreatedAt = "installed", m.Path, m.SHA256, m.Size, &m.CreatedAt
			delete(at, e.Name)
		}
		lines = append(lines, l)
	}
	for _, m := range installed {
		if _, ok := at[m.Name]; ok {
			lines = append(lines, modelLine{
				Name: m.Name, State: "installed", Path: m.Path, SHA256: m.SHA256, Size: m.Size, CreatedAt: &m.CreatedAt,
				License: m.License, Source: m.Source,
			})
		}
	}
	return lines
}

func printModels(w io.Writer, lines []modelLine, dir string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tSTATE\tSIZE\tDOWNLOAD\tTOP-1\tTOP-5\tLICENCE\tWEIGHTS FROM\tCHECKED BY")
	for _, l := range lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Name, l.State, size(l.Size), size(l.WeightsSize),
			percent(l.Top1), percent(l.Top5), orDash(l.License), origin(l.Source), orDash(l.Verification))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nTOP-1 and TOP-5: published for the weights at full precision, ImageNet-1k. Installed models: %s\n", dir)
	return err
}

// origin is a source's host; the whole is in the JSON.
func origin(source string) string {
	if u, err := url.Parse(source); err == nil && u.Host != "" {
		return u.Host
	}
	return source
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func size(n int64) string {
	if n == 0 {
		return "-"
	}
	return download.Bytes(n)
}

func percent(p float64) string {
	if p == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f %%", p)
}

func printInstalled(w io.Writer, m models.Installed) error {
	_, err := fmt.Fprintf(w, "%s: installed, %s, %d labels, SHA-256 %s\n%s\n", m.Name, download.Bytes(m.Size), len(m.Labels), m.SHA256, m.Path)
	return err
}

func printInspection(w io.Writer, ref string, i models.Inspection) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(key, format string, args ...any) { fmt.Fprintf(t, key+"\t"+format+"\n", args...) }
	row("model", "%s", ref)
	row("file", "%s, %s, SHA-256 %s", orDash(i.Path), download.Bytes(int64(i.Bytes)), i.SHA256)
	if i.Name != "" || i.Description != "" {
		row("says of itself", "%s", strings.TrimSpace(i.Name+": "+i.Description))
	}
	if i.License != "" {
		row("licence", "%s", i.License)
	}
	row("input", "%s", tensor(i.Input))
	if len(i.Std) > 0 {
		row("normalisation", "(v - %v) / %v for v of 0..255", i.Mean, i.Std)
	} else {
		row("normalisation", "the file doesn't say")
	}
	scores := "probabilities"
	if i.Logits {
		scores = "logits"
	}
	row("output", "%s; %s, since %s", tensor(i.Output), scores, i.WhyLogits)
	row("labels", "%s", labelsOf(i.Labels))
	row("parameters", "%.2f million", float64(i.Parameters)/1e6)
	row("MACs", "%.1f million a picture", float64(i.MACs)/1e6)
	row("quantisation", "%s", i.Quantisation)
	row("XNNPACK", "takes %d of %d layers", i.Delegated, len(i.Layers))
	fmt.Fprintln(t)
	fmt.Fprintln(t, "\tLAYER\tOUTPUT\tTYPE\tKERNEL\tWEIGHTS\tPARAMETERS\tMMACS\tNOT IN XNNPACK")
	for n, l := range i.Layers {
		op := l.Op
		if l.Activation != "" {
			op += "+" + l.Activation
		}
		kernel := "-"
		if l.Kernel != nil {
			kernel = fmt.Sprint(l.Kernel)
		}
		fmt.Fprintf(t, "%d\t%s\t%v\t%s\t%s\t%s\t%d\t%.2f\t%s\n", n+1, op, l.Shape, l.Type, kernel, orDash(l.Weights), l.Parameters, float64(l.MACs)/1e6, l.Undelegated)
	}
	return t.Flush()
}

func tensor(t models.TensorInfo) string {
	s := fmt.Sprintf("%s %s %v", orDash(t.Name), t.Type, t.Shape)
	if t.Scale != 0 {
		s += fmt.Sprintf(", %g * (q - %d)", t.Scale, t.ZeroPoint)
	}
	return s
}

func labelsOf(labels []string) string {
	const shown = 9
	switch n := len(labels); {
	case n == 0:
		return "none in the file"
	case n <= shown:
		return strings.Join(labels, ", ")
	default:
		return fmt.Sprintf("%d: %s, ... %s", n, strings.Join(labels[:3], ", "), labels[n-1])
	}
}

// progress shows how far a long command is: on a terminal in one line that is
// rewritten, elsewhere as one line a step.
type progress struct {
	w        io.Writer
	terminal bool
	step     string
	shown    time.Time
	open     bool
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w}
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// bytes is a download's progress.
func (p *progress) bytes(done, total int64) {
	text := download.Bytes(done)
	if total > 0 {
		text = fmt.Sprintf("%s of %s, %d %%", text, download.Bytes(total), 100*done/total)
	}
	p.show("downloading", text, done == total)
}

// steps is the builder's progress.
func (p *progress) steps(step string, done, total int) {
	text := ""
	if done > 0 {
		text = fmt.Sprint(done)
	}
	if total > 0 {
		text += fmt.Sprintf(" of %d", total)
	}
	p.show(step, text, done > 0 && done == total)
}

const progressInterval = 100 * time.Millisecond

func (p *progress) show(step, text string, last bool) {
	if !p.terminal {
		if step != p.step {
			fmt.Fprintf(p.w, "%s\n", step)
		}
		p.step = step
		return
	}
	if step == p.step && !last && time.Since(p.shown) < progressInterval {
		return
	}
	if step != p.step {
		p.end()
	}
	p.step, p.shown, p.open = step, time.Now(), true
	fmt.Fprintf(p.w, "\r\x1b[K%s %s", step, text)
}

// end closes the line that is being rewritten.
func (p *progress) end() {
	if p.open {
		fmt.Fprintln(p.w)
	}
	p.open = false
}
