package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/glimpsed/glimpsed/models/evaluate"
)

// classesShown is up to how many classes the text lists all.
const classesShown = 40

func printEvaluations(w io.Writer, format string, all []evaluation) error {
	switch format {
	case "json":
		return writeEvaluations(w, all)
	case "csv":
		return writePictures(w, all)
	}
	if len(all) > 1 {
		if err := printSideBySide(w, all); err != nil {
			return err
		}
	}
	for _, e := range all {
		if len(all) > 1 {
			fmt.Fprintf(w, "\n== %s\n\n", e.report.Model)
		}
		if err := printReport(w, e.report); err != nil {
			return err
		}
	}
	return nil
}

// writeEvaluations writes one model's report, or that of several under "models".
func writeEvaluations(w io.Writer, all []evaluation) error {
	if len(all) == 1 {
		return writeJSON(w, all[0].report)
	}
	head := all[0].report
	out := struct {
		Pictures int               `json:"pictures"`
		Top1     float64           `json:"top1"`
		Top3     float64           `json:"top3"`
		Models   []evaluate.Report `json:"models"`
	}{Pictures: head.Pictures, Top1: head.Top1, Top3: head.Top3}
	for _, e := range all {
		out.Models = append(out.Models, e.report)
	}
	return writeJSON(w, out)
}

// writePictures writes a line a picture, for a spreadsheet.
func writePictures(w io.Writer, all []evaluation) error {
	out := csv.NewWriter(w)
	header := []string{"model", "file", "class", "index", "outcome", "rank"}
	for i := range evaluate.TopK {
		n := strconv.Itoa(i + 1)
		header = append(header, "label"+n, "index"+n, "score"+n)
	}
	if err := out.Write(header); err != nil {
		return err
	}
	for _, e := range all {
		for _, o := range e.outcomes {
			line := []string{e.report.Model, o.File, o.ClassName(), "", "", ""}
			if o.Class != evaluate.NoClass {
				line[2], line[3] = e.labels.Label(o.Class), strconv.Itoa(o.Class)
			}
			switch {
			case o.Class == evaluate.NoClass:
				line[4] = "unmatched"
			case o.Err != nil:
				line[4] = "broken"
			case o.Right():
				line[4] = "right"
			default:
				line[4] = "wrong"
			}
			if rank := o.Rank(); rank > 0 {
				line[5] = strconv.Itoa(rank)
			}
			for i := range evaluate.TopK {
				if i >= len(o.Top) {
					line = append(line, "", "", "")
					continue
				}
				t := o.Top[i]
				line = append(line, t.Label, strconv.Itoa(t.Index), strconv.FormatFloat(float64(t.Score), 'f', 4, 32))
			}
			if err := out.Write(line); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

func printSideBySide(w io.Writer, all []evaluation) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what string, value func(r evaluate.Report) string) {
		fmt.Fprint(t, what)
		for _, e := range all {
			fmt.Fprintf(t, "\t%s", value(e.report))
		}
		fmt.Fprintln(t)
	}
	row("", func(r evaluate.Report) string { return r.Model })
	row("pictures", func(r evaluate.Report) string { return strconv.Itoa(r.Pictures) })
	row("top-1", func(r evaluate.Report) string { return percentOf(r.Top1) })
	row("  95 % sure between", func(r evaluate.Report) string {
		return fmt.Sprintf("%.1f and %s", 100*r.Top1Interval[0], percentOf(r.Top1Interval[1]))
	})
	row("top-3", func(r evaluate.Report) string { return percentOf(r.Top3) })
	row("calibration error", func(r evaluate.Report) string { return percentOf(r.Calibration.Error) })
	row(percentOf(all[0].report.Advice.Wanted)+" right from a score of", func(r evaluate.Report) string {
		if !r.Advice.Reached {
			return "never"
		}
		return number(r.Advice.Score)
	})
	row("  pictures with such a score", func(r evaluate.Report) string { return percentOf(r.Advice.Coverage) })
	row("unmatched", func(r evaluate.Report) string { return strconv.Itoa(r.UnmatchedPictures) })
	row("broken", func(r evaluate.Report) string { return strconv.Itoa(len(r.Broken)) })
	if err := t.Flush(); err != nil {
		return err
	}
	return printClassesSideBySide(w, all)
}

// printClassesSideBySide has the top-1 of each class, where there are not too many. The models' classes
// are the same where the WordNet ids or else the labels are.
func printClassesSideBySide(w io.Writer, all []evaluation) error {
	type class struct {
		name     string
		pictures int
	}
	key := func(c evaluate.Class) string { return first(c.ID, strings.ToLower(c.Label)) }
	var order []string
	known := map[string]class{}
	top1 := make([]map[string]float64, len(all))
	for i, e := range all {
		top1[i] = map[string]float64{}
		for _, c := range e.report.Classes {
			k := key(c)
			if _, ok := known[k]; !ok {
				order = append(order, k)
			}
			if known[k].pictures < c.Pictures {
				known[k] = class{short(c.Label, c.ID), c.Pictures}
			}
			top1[i][k] = c.Top1
		}
	}
	if len(order) > classesShown {
		return nil
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "TOP-1 BY CLASS\tPICTURES")
	for _, e := range all {
		fmt.Fprintf(t, "\t%s", e.report.Model)
	}
	fmt.Fprintln(t)
	for _, k := range order {
		fmt.Fprintf(t, "%s\t%d", known[k].name, known[k].pictures)
		for i := range all {
			if v, ok := top1[i][k]; ok {
				fmt.Fprintf(t, "\t%s", percentOf(v))
			} else {
				fmt.Fprint(t, "\t-")
			}
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func printReport(w io.Writer, r evaluate.Report) error {
	fmt.Fprintf(w, "%s on %s, %s of %s\n", r.Model, r.Runtime, countPictures(r.Pictures), countClasses(len(r.Classes)))
	fmt.Fprintf(w, "top-1  %s (95 %% sure between %.1f and %s)\n", percentOf(r.Top1), 100*r.Top1Interval[0], percentOf(r.Top1Interval[1]))
	fmt.Fprintf(w, "top-3  %s\n", percentOf(r.Top3))
	printLeftOut(w, r)
	for _, part := range []func(io.Writer, evaluate.Report) error{printClasses, printWorst, printCalibration, printThresholds} {
		if err := part(w, r); err != nil {
			return err
		}
	}
	return nil
}

// printLeftOut names what doesn't count.
func printLeftOut(w io.Writer, r evaluate.Report) {
	const shown = 10
	if r.UnmatchedPictures > 0 {
		fmt.Fprintf(w, "\nNo label names the class of %s, which doesn't count:\n", countPictures(r.UnmatchedPictures))
		for i, u := range r.Unmatched {
			if i == shown {
				fmt.Fprintf(w, "  ... and %s more\n", countClasses(len(r.Unmatched)-shown))
				break
			}
			fmt.Fprintf(w, "  %s: %d, %s\n", u.Class, u.Pictures, u.Reason)
		}
	}
	if len(r.Broken) > 0 {
		fmt.Fprintf(w, "\nNot to be classified, %s:\n", countPictures(len(r.Broken)))
		for i, b := range r.Broken {
			if i == shown {
				fmt.Fprintf(w, "  ... and %d more\n", len(r.Broken)-shown)
				break
			}
			fmt.Fprintf(w, "  %s\n", b.Error)
		}
	}
}

func printClasses(w io.Writer, r evaluate.Report) error {
	if len(r.Classes) > classesShown {
		_, err := fmt.Fprintf(w, "\n%d classes: --format json has the figures of each\n", len(r.Classes))
		return err
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLASS\tPICTURES\tTOP-1\tTOP-3\tGIVEN TO\tOF THEM RIGHT")
	for _, c := range r.Classes {
		precision := "-"
		if c.Predicted > 0 {
			precision = percentOf(c.Precision)
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%d\t%s\n", short(c.Label, c.ID), c.Pictures, percentOf(c.Top1), percentOf(c.Top3), c.Predicted, precision)
	}
	return t.Flush()
}

func printWorst(w io.Writer, r evaluate.Report) error {
	if len(r.Worst) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WORST CLASSES\tPICTURES\tTOP-1\tTAKEN FOR")
	for _, c := range r.Worst {
		var taken []string
		for _, m := range c.TakenFor {
			taken = append(taken, fmt.Sprintf("%s (%d)", short(m.Label, ""), m.Pictures))
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", short(c.Label, c.ID), c.Pictures, percentOf(c.Top1), strings.Join(taken, ", "))
	}
	return t.Flush()
}

func printCalibration(w io.Writer, r evaluate.Report) error {
	fmt.Fprintf(w, "\nCalibration: scores are off by %s on average\n", percentOf(r.Calibration.Error))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SCORES\tPICTURES\tMEAN SCORE\tRIGHT")
	for _, b := range r.Calibration.Bins {
		score, accuracy := "-", "-"
		if b.Pictures > 0 {
			score, accuracy = percentOf(b.Score), percentOf(b.Accuracy)
		}
		fmt.Fprintf(t, "%.1f to %.1f\t%d\t%s\t%s\n", b.From, b.To, b.Pictures, score, accuracy)
	}
	return t.Flush()
}

// few is how many pictures a threshold must stand on.
const few = 30

func printThresholds(w io.Writer, r evaluate.Report) error {
	fmt.Fprintln(w, "\nIf only scores from a threshold on count:")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "THRESHOLD\tPICTURES\tOF ALL\tRIGHT")
	for _, h := range r.Thresholds {
		precision := "-"
		if h.Pictures > 0 {
			precision = percentOf(h.Precision)
		}
		fmt.Fprintf(t, "%.2f\t%d\t%s\t%s\n", h.Score, h.Pictures, percentOf(h.Coverage), precision)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	a := r.Advice
	if !a.Reached {
		_, err := fmt.Fprintf(w, "No threshold reaches %s right.\n", percentOf(a.Wanted))
		return err
	}
	_, err := fmt.Fprintf(w, "Advice: %s is the lowest threshold with %s right: %s right, of %s of all pictures.\n",
		number(a.Score), percentOf(a.Wanted), percentOf(a.Precision), percentOf(a.Coverage))
	if err == nil && a.Pictures < few {
		_, err = fmt.Fprintf(w, "That is only %s: take more.\n", countPictures(a.Pictures))
	}
	return err
}

// short is a label in a table: its first name, with the WordNet id where it is known.
func short(label, id string) string {
	const width = 32
	name, _, _ := strings.Cut(label, ",")
	if runes := []rune(name); len(runes) > width {
		name = string(runes[:width-1]) + "…"
	}
	if id != "" && !strings.Contains(name, id) {
		name += " (" + id + ")"
	}
	return name
}

func countPictures(n int) string {
	if n == 1 {
		return "1 picture"
	}
	return fmt.Sprintf("%d pictures", n)
}

func countClasses(n int) string {
	if n == 1 {
		return "1 class"
	}
	return fmt.Sprintf("%d classes", n)
}

// percentOf is a fraction of 1 for a person.
func percentOf(x float64) string { return fmt.Sprintf("%.1f %%", 100*x) }

func number(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
