package publish

import (
	"context"
	"errors"
	"testing"
	"time"
)

// scripted is a publisher that answers as told.
type scripted struct {
	ack       Ack
	err, bye  error
	published int
}

func (s *scripted) Publish(context.Context, Message) (Ack, error) {
	s.published++
	return s.ack, s.err
}
func (s *scripted) Close(context.Context) error { return s.bye }

func TestFanout(t *testing.T) {
	broken, late := errors.New("broken"), errors.New("late")
	open := func() *joined { return &joined{done: make(chan struct{})} }
	finish := func(j *joined, err error) {
		j.err = err
		close(j.done)
	}
	ctx := context.Background()

	t.Run("one fails", func(t *testing.T) {
		a, b := &scripted{err: broken}, &scripted{ack: Completed(nil)}
		ack, err := Fanout{a, b}.Publish(ctx, Message{})
		if err != nil {
			t.Fatal(err)
		}
		<-ack.Done()
		if !errors.Is(ack.Err(), broken) || b.published != 1 {
			t.Errorf("got %v, published %d", ack.Err(), b.published)
		}
	})
	t.Run("all fail", func(t *testing.T) {
		_, err := Fanout{&scripted{err: broken}, &scripted{err: late}}.Publish(ctx, Message{})
		if !errors.Is(err, broken) || !errors.Is(err, late) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("one is open", func(t *testing.T) {
		j := open()
		ack, _ := Fanout{&scripted{ack: Completed(nil)}, &scripted{ack: j}}.Publish(ctx, Message{})
		if ack != Ack(j) {
			t.Error("needs no Ack of its own")
		}
	})
	t.Run("waits for all", func(t *testing.T) {
		j, k := open(), open()
		ack, _ := Fanout{&scripted{ack: j}, &scripted{err: broken}, &scripted{ack: k}}.Publish(ctx, Message{})
		finish(k, nil)
		select {
		case <-ack.Done():
			t.Error("done too early")
		case <-time.After(20 * time.Millisecond):
		}
		finish(j, late)
		<-ack.Done()
		if !errors.Is(ack.Err(), broken) || !errors.Is(ack.Err(), late) {
			t.Errorf("got %v", ack.Err())
		}
	})
	t.Run("close", func(t *testing.T) {
		err := Fanout{&scripted{bye: broken}, &scripted{}, &scripted{bye: late}}.Close(ctx)
		if !errors.Is(err, broken) || !errors.Is(err, late) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("empty", func(t *testing.T) {
		if ack, err := (Fanout{}).Publish(ctx, Message{}); err != nil || ack.Err() != nil {
			t.Errorf("got %v", err)
		}
	})
}
