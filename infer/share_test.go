package infer

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// gated is an interpreter that runs when it is let to and notes who ran.
type gated struct {
	gate   chan struct{}
	mu     sync.Mutex
	ran    []byte
	inside int
	closes int
	fail   error
}

func (g *gated) Input() TensorSpec  { return TensorSpec{Shape: []int{1}, DType: Uint8} }
func (g *gated) Output() TensorSpec { return TensorSpec{Shape: []int{1}, DType: Uint8} }
func (g *gated) Close() error       { g.mu.Lock(); defer g.mu.Unlock(); g.closes++; return nil }

func (g *gated) Invoke(input, _ []byte) error {
	g.mu.Lock()
	g.inside++
	if g.inside > 1 {
		panic("two callers at once")
	}
	g.ran = append(g.ran, input[0])
	g.mu.Unlock()
	<-g.gate
	g.mu.Lock()
	g.inside--
	g.mu.Unlock()
	return g.fail
}

// waiting says how many callers hold a ticket.
func (s *Shared) waiting() int {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	return int(s.core.next - s.core.serving)
}

func until(t *testing.T, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !condition(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never came to that")
		}
	}
}

func TestShareServesInOrder(t *testing.T) {
	defer goleak.VerifyNone(t)
	g := &gated{gate: make(chan struct{})}
	first := Share(g)
	var wg sync.WaitGroup
	var want []byte
	for i := range 8 {
		share, err := first.Acquire()
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, byte(i))
		wg.Go(func() {
			defer share.Close()
			if err := share.Invoke([]byte{byte(i)}, make([]byte, 1)); err != nil {
				t.Error(err)
			}
		})
		until(t, func() bool { return first.waiting() == i+1 })
	}
	close(g.gate)
	wg.Wait()
	if !slices.Equal(g.ran, want) {
		t.Errorf("served %v, want %v", g.ran, want)
	}
	if g.closes != 0 {
		t.Error("closed while a share is left")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if g.closes != 1 {
		t.Errorf("closed %d times", g.closes)
	}
}

func TestShareClose(t *testing.T) {
	defer goleak.VerifyNone(t)
	g := &gated{gate: make(chan struct{}), fail: errors.New("native trouble")}
	a := Share(g)
	b, err := a.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Acquire(); !errors.Is(err, ErrClosed) {
		t.Errorf("Acquire of a closed share: %v", err)
	}
	if err := a.Invoke([]byte{0}, make([]byte, 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("Invoke of a closed share: %v", err)
	}
	// The last share is closed while one caller runs and another waits.
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		wg.Go(func() { errs[i] = b.Invoke([]byte{byte(i)}, make([]byte, 1)) })
		until(t, func() bool { return b.waiting() == i+1 })
	}
	wg.Go(func() { _ = b.Close() })
	until(t, func() bool { return b.waiting() == 3 })
	if g.closes != 0 {
		t.Fatal("closed under a running Invoke")
	}
	close(g.gate)
	wg.Wait()
	if !errors.Is(errs[0], g.fail) || !errors.Is(errs[1], ErrClosed) {
		t.Errorf("errors %v", errs)
	}
	if g.closes != 1 || len(g.ran) != 1 {
		t.Errorf("closed %d times, ran %v", g.closes, g.ran)
	}
}
