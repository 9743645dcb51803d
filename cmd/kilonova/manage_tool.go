package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"kilonova/stack"
)

// toolCommand is a command on what open opens of a service: its keys and its
// database. It prints what do says.
func toolCommand[T io.Closer](open func(context.Context, stack.Config, *slog.Logger, func() time.Time) (T, error), use, short string,
	do func(ctx context.Context, t T) (string, error)) *cobra.Command {
	var s settings
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		c, err := s.load()
		if err != nil {
			return err
		}
		log, err := c.Logger()
		if err != nil {
			return err
		}
		t, err := open(cmd.Context(), c, log, time.Now)
		if err != nil {
			return err
		}
		said, err := do(cmd.Context(), t)
		if err = errors.Join(err, t.Close()); err == nil {
			fmt.Fprintln(cmd.OutOrStdout(), said)
		}
		return err
	}}
	s.flags(cmd)
	return cmd
}
