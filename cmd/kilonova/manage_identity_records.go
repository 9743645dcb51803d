package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kilonova/stack"
)

func identityProjectSetup() *cobra.Command {
	var name, id string
	cmd := toolCommand(stack.OpenIdentity, "project-setup", "Make a project of the default domain, with an id of your choice", func(ctx context.Context, t *stack.IdentityTool) (string, error) {
		return t.SetUpProject(ctx, name, id)
	})
	cmd.Flags().StringVar(&name, "project-name", "", "`name` of the project")
	cmd.Flags().StringVar(&id, "project-id", "", "its `id`; a new one by default")
	return required(cmd, "project-name")
}

func identityUserSetup() *cobra.Command {
	var name, password, id string
	cmd := toolCommand(stack.OpenIdentity, "user-setup", "Make a user of the default domain, with an id of your choice, or set its password", func(ctx context.Context, t *stack.IdentityTool) (string, error) {
		return t.SetUpUser(ctx, name, password, id)
	})
	cmd.Flags().StringVar(&name, "username", "", "`name` of the user")
	cmd.Flags().StringVar(&password, "user-password-plain", "", "its `password`")
	cmd.Flags().StringVar(&id, "user-id", "", "its `id`; a new one by default")
	return required(cmd, "username", "user-password-plain")
}

func identityResetLastActive() *cobra.Command {
	var force bool
	cmd := toolCommand(stack.OpenIdentity, "reset-last-active", "Take users of whom no log-in is known for active now", func(ctx context.Context, t *stack.IdentityTool) (string, error) {
		if !force {
			return "", errors.New("users of whom no log-in is known will count as active now, and be disabled disable_user_account_days_inactive later: --force if that is what you want")
		}
		n, err := t.ResetLastActive(ctx)
		return fmt.Sprintf("%d users are active as of now", n), err
	})
	cmd.Flags().BoolVar(&force, "force", false, "do it")
	return cmd
}

// diagnosis is an error that lists the symptoms, if there are any: scripts look at
// how a command ends.
func diagnosis(symptoms []string, err error) (string, error) {
	if err == nil && len(symptoms) > 0 {
		err = errors.New(strings.Join(symptoms, "\n"))
	}
	return "nothing wants care", err
}
