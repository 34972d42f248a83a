// Package evaluate measures how often a classifier is right, over a folder of pictures
// whose classes are known: accuracy over all and by class, what is mistaken for what,
// how far its scores can be believed, and which of them are worth acting on.
//
// It neither decodes pictures nor runs models: whoever uses it hands over a function
// that classifies one file.
package evaluate

import (
	"context"
	"errors"
	"sync"

	"github.com/glimpsed/glimpsed/vision"
)

// TopK is how many classifications a Classify should deliver.
const TopK = 3

// Classify says what a picture file shows, the best classification first. Its error
// names the file.
type Classify func(file string) ([]vision.Classification, error)

// Outcome is what became of one picture.
type Outcome struct {
	Picture
	// Class is its place among the labels, NoClass where no label fits.
	Class int
	// Reason says why none does.
	Reason string
	// Top is empty where Class is NoClass or Err is set.
	Top []vision.Classification
	// Err says why the picture could not be classified.
	Err error
}

// NoClass is the class of a picture that no label fits.
const NoClass = -1

// Run classifies all pictures whose class is known and returns an outcome for each
// picture, in their order. Every worker is called by one goroutine only, so that
// one can read a picture while another runs the model. progress, if not nil, is told
// after each picture; its calls don't overlap. The error is ctx's, or that of the
// first picture where not a single one could be classified.
func Run(ctx context.Context, pictures []Picture, labels *Labels, workers []Classify, progress func(done, total int)) ([]Outcome, error) {
	outcomes := make([]Outcome, len(pictures))
	var todo []*Outcome
	for i, p := range pictures {
		o := &outcomes[i]
		o.Picture = p
		o.Class, o.Reason = labels.classOf(p)
		if o.Class != NoClass {
			todo = append(todo, o)
		}
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		next int // guarded by mu, as done and good are
		done int
		good int
	)
	take := func() *Outcome {
		mu.Lock()
		defer mu.Unlock()
		if next == len(todo) || ctx.Err() != nil {
			return nil
		}
		next++
		return todo[next-1]
	}
	for _, classify := range workers {
		wg.Go(func() {
			for o := take(); o != nil; o = take() {
				o.Top, o.Err = classify(o.File)
				if o.Err == nil && len(o.Top) == 0 {
					o.Err = errors.New("classifying " + o.File + ": no classifications")
				}
				mu.Lock()
				done++
				if o.Err == nil {
					good++
				}
				if progress != nil {
					progress(done, len(todo))
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if good == 0 && len(todo) > 0 {
		return outcomes, todo[0].Err
	}
	return outcomes, nil
}
