package undo

import (
	"context"
	"errors"
	"slices"
	"testing"
)

func TestRunUndoesInReverseOnErrorOnly(t *testing.T) {
	broken := errors.New("broken")
	run := func(fail error) (done []string, err error) {
		var u Stack
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the caller has gone; undoing goes on
		func() {
			err = fail
			defer u.Run(ctx, &err)
			for _, name := range []string{"a", "b", "c"} {
				u.Add(name, func(ctx context.Context) error {
					done = append(done, name)
					if name == "b" {
						return broken
					}
					return ctx.Err()
				})
			}
		}()
		return done, err
	}
	cause := errors.New("cause")
	done, err := run(cause)
	if !slices.Equal(done, []string{"c", "b", "a"}) || !errors.Is(err, cause) || !errors.Is(err, broken) {
		t.Errorf("done %v, err %v", done, err)
	}
	if done, err := run(nil); done != nil || err != nil {
		t.Errorf("done %v, err %v", done, err)
	}
}
