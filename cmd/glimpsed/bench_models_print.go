package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/glimpsed/glimpsed/models"
	"github.com/glimpsed/glimpsed/models/download"
)

func printComparison(w io.Writer, format string, c modelComparison) error {
	rows := comparisonRows(c)
	machine := fmt.Sprintf("%s, %d cores; %s; glimpsed %s", c.CPU, c.Cores, c.Runtime, c.Version)
	notes := comparisonNotes(c)
	switch format {
	case "json":
		return writeJSON(w, c)
	case "markdown":
		fmt.Fprintf(w, "%s\n\n", machine)
		for i, row := range rows {
			fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
			if i == 0 {
				fmt.Fprintf(w, "|%s\n", strings.Repeat("---|", len(row)))
			}
		}
		_, err := fmt.Fprintf(w, "\n%s\n", notes)
		return err
	}
	fmt.Fprintf(w, "%s\n\n", machine)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, row := range rows {
		line := strings.Join(row, "\t")
		if i == 0 {
			line = strings.ToUpper(line)
		}
		fmt.Fprintln(t, line)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s\n", notes)
	return err
}

// comparisonRows has the heading and then a row for each variant of each model.
func comparisonRows(c modelComparison) [][]string {
	head := []string{"model", "numbers", "weights", "published top-1", "top-1 here", "file", "parameters"}
	threads := threadCounts(c)
	for _, n := range threads {
		head = append(head, threadsOf(n)+" p50", "p95")
	}
	rows := [][]string{append(head, "memory")}
	for _, m := range c.Models {
		for _, v := range []struct {
			kind string
			*variantFigure
		}{{"FP32", m.Float}, {"INT8", m.Int8}} {
			if v.variantFigure == nil {
				continue
			}
			here := "-"
			if v.Accuracy != nil {
				here = percentOf(v.Accuracy.Top1)
			}
			row := []string{
				m.Name, v.kind, string(v.Weights), percent(m.PublishedTop1), here,
				download.Bytes(v.Bytes), fmt.Sprintf("%.2f M", float64(m.Parameters)/1e6),
			}
			memory := 0.0
			for i := range threads {
				if i >= len(v.Timings) {
					row = append(row, "-", "-")
					continue
				}
				t := v.Timings[i]
				row = append(row, fmt.Sprintf("%.1f ms", t.P50), fmt.Sprintf("%.1f ms", t.P95))
				memory = max(memory, t.RSS)
			}
			rows = append(rows, append(row, fmt.Sprintf("%.0f MB", memory)))
		}
	}
	return rows
}

// threadCounts are those that were measured.
func threadCounts(c modelComparison) []int {
	for _, m := range c.Models {
		for _, v := range []*variantFigure{m.Float, m.Int8} {
			if v == nil {
				continue
			}
			var counts []int
			for _, t := range v.Timings {
				counts = append(counts, t.Threads)
			}
			return counts
		}
	}
	return nil
}

func threadsOf(n int) string {
	if n == 1 {
		return "1 thread"
	}
	return fmt.Sprintf("%d threads", n)
}

// comparisonNotes say what the columns mean as far as they don't themselves.
func comparisonNotes(c modelComparison) string {
	notes := []string{
		"The published accuracy is for ImageNet-1k at full precision.",
		"Times are of the model's run alone, without decoding and resizing; memory is all that a process with nothing but this model has resident, the larger of the measurements.",
	}
	seeded, measured := false, 0
	for _, m := range c.Models {
		for _, v := range []*variantFigure{m.Float, m.Int8} {
			if v == nil {
				continue
			}
			seeded = seeded || v.Weights == models.Seeded
			if v.Accuracy != nil {
				measured = max(measured, v.Accuracy.Pictures)
			}
		}
	}
	if measured > 0 {
		notes = append(notes, fmt.Sprintf("The accuracy here is over %s.", countPictures(measured)))
	}
	if seeded {
		notes = append(notes, "Seeded random weights stand where the official ones are not installed (glimpsed model pull): they recognise nothing, but size, speed and memory are the same.")
	}
	return strings.Join(notes, "\n")
}
