package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/glimpsed/glimpsed/capture"
	"github.com/glimpsed/glimpsed/daemon"
	"github.com/glimpsed/glimpsed/imaging"
	"github.com/glimpsed/glimpsed/infer"
	"github.com/glimpsed/glimpsed/kinds"
	"github.com/glimpsed/glimpsed/vision"
)

// pictures replaces every folder by the pictures in it.
func pictures(args []string) ([]string, error) {
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil || !info.IsDir() {
			files = append(files, arg) // reading it will say what is wrong
			continue
		}
		entries, err := os.ReadDir(arg)
		if err != nil {
			return nil, fmt.Errorf("reading a folder of pictures: %w", err)
		}
		before := len(files)
		for _, e := range entries {
			if !e.IsDir() && capture.IsPicture(e.Name()) {
				files = append(files, filepath.Join(arg, e.Name()))
			}
		}
		if len(files) == before {
			return nil, fmt.Errorf("%s: no pictures in this folder", arg)
		}
	}
	return files, nil
}

// pictureClassifier says what picture files show. It has a single owner; those of one model take turns on it.
type pictureClassifier struct {
	decoder    imaging.Decoder
	classifier *infer.Classifier
	// buffer is the last picture's, for the next one.
	buffer []byte
}

// fileTiming says where the time of one file went; decode includes reading it.
type fileTiming struct {
	infer.Timing
	decode, total time.Duration
}

func newPictureClassifier(m *daemon.Model, opts infer.ClassifierOptions) (*pictureClassifier, error) {
	c, err := m.Classifier(opts)
	if err != nil {
		return nil, err
	}
	decoder, err := kinds.NewDecoder()
	if err != nil {
		return nil, err
	}
	return &pictureClassifier{decoder: decoder, classifier: c}, nil
}

func (p *pictureClassifier) close() { _ = p.decoder.Close() }

// classify returns the best classifications of a file, best first. Its errors name the file.
func (p *pictureClassifier) classify(file string) ([]vision.Classification, fileTiming, error) {
	start := time.Now()
	data, err := imaging.ReadFile(file, imaging.DefaultLimits())
	if err != nil {
		return nil, fileTiming{}, err
	}
	frame, err := p.decoder.Decode(data, imaging.Options{MinSide: kinds.MinSide, Buffer: p.buffer})
	if err != nil {
		return nil, fileTiming{}, fmt.Errorf("%s: %w", file, err)
	}
	p.buffer = frame.Data
	frame.Source = file
	decode := time.Since(start)
	top, timing, err := p.classifier.Classify(nil, frame)
	if err != nil {
		return nil, fileTiming{}, err
	}
	return top, fileTiming{timing, decode, time.Since(start)}, nil
}
