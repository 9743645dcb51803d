// Package undo keeps the steps that take back what a use case has done so far:
//
//	var u undo.Stack
//	defer u.Run(ctx, &err)
//	port := create()
//	u.Add("delete port", func(ctx context.Context) error { return remove(port) })
//
// When the function returns without an error the steps are dropped; otherwise
// they run, last first, all of them, in a context that the caller's end does not
// cancel. It owns no durability: what must be taken back after a crash is a step
// of a task (internal/task), which may use a Stack inside.
package undo

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Timeout bounds all steps of one Run together.
const Timeout = time.Minute

// Stack holds steps in the order in which they were added. The zero value is
// ready; it is not for concurrent use.
type Stack struct{ steps []step }

type step struct {
	name string
	do   func(context.Context) error
}

// Add puts a step on top. name says what the step does, for the error.
func (s *Stack) Add(name string, do func(context.Context) error) {
	s.steps = append(s.steps, step{name, do})
}

// Drop forgets all steps: what they would undo is now wanted.
func (s *Stack) Drop() { s.steps = nil }

// Run is deferred. When *err is not nil it runs the steps, last first, and joins
// their failures to *err; the original stays first, so that its kind counts.
// Afterwards the stack is empty.
func (s *Stack) Run(ctx context.Context, err *error) {
	if *err != nil {
		*err = errors.Join(*err, s.undo(ctx))
	}
	s.Drop()
}

func (s *Stack) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Timeout)
	defer cancel()
	var failed []error
	for i := len(s.steps) - 1; i >= 0; i-- {
		if err := s.steps[i].do(ctx); err != nil {
			failed = append(failed, fmt.Errorf("undo: %s: %w", s.steps[i].name, err))
		}
	}
	return errors.Join(failed...)
}
