package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kilonova/stack"
)

// manageImageCommand has what glance-manage does, as far as our store needs it.
func manageImageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Metadata definitions and records of the image service"}
	cmd.AddCommand(
		imageCommand("db-sync", "Make the database, or bring it up to date", nil, func(context.Context, *stack.ImageTool) (string, error) { return "done", nil }),
		imageLoadMetadefs(), imageExportMetadefs(),
		imageCommand("unload-metadefs", "Remove all metadata definitions", nil, func(ctx context.Context, t *stack.ImageTool) (string, error) {
			n, err := t.UnloadMetadefs(ctx)
			return fmt.Sprintf("%d namespaces removed", n), err
		}),
		imagePurge("purge", "Remove the records of tasks that were over long ago", 30, "tasks removed", func(ctx context.Context, t *stack.ImageTool, before time.Time) (int64, error) {
			return t.Purge(ctx, before)
		}),
		imagePurge("purge-images-table", "Forget the ids of deleted images, so that they may be used again", 180, "ids forgotten",
			func(ctx context.Context, t *stack.ImageTool, before time.Time) (int64, error) {
				return t.PurgeIDs(ctx, before)
			}))
	return cmd
}

// imageCommand is a command on the opened database, with its flags; nil for none.
func imageCommand(use, short string, flags func(*cobra.Command), do func(ctx context.Context, t *stack.ImageTool) (string, error)) *cobra.Command {
	cmd := toolCommand(stack.OpenImage, use, short, do)
	if flags != nil {
		flags(cmd)
	}
	return cmd
}

// metadefs is where upstream's packages put them.
const metadefs = "/etc/glance/metadefs"

func imageLoadMetadefs() *cobra.Command {
	var path string
	var m stack.Merge
	return imageCommand("load-metadefs", "Load metadata definitions from files", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&path, "path", metadefs, "`file`, or folder of files NAME.json")
		cmd.Flags().BoolVar(&m.Merge, "merge", false, "add to namespaces that are there already")
		cmd.Flags().BoolVar(&m.PreferNew, "prefer-new", false, "with --merge: take the files' definitions where both have one")
		cmd.Flags().BoolVar(&m.Overwrite, "overwrite", false, "with --merge: make namespaces anew")
	}, func(ctx context.Context, t *stack.ImageTool) (string, error) {
		n, err := t.LoadMetadefs(ctx, path, m)
		return fmt.Sprintf("%d namespaces loaded", n), err
	})
}

func imageExportMetadefs() *cobra.Command {
	var path string
	return imageCommand("export-metadefs", "Write metadata definitions to files", func(cmd *cobra.Command) {
		cmd.Flags().StringVar(&path, "path", ".", "`folder` for files NAME.json")
	}, func(ctx context.Context, t *stack.ImageTool) (string, error) {
		n, err := t.ExportMetadefs(ctx, path)
		return fmt.Sprintf("%d namespaces written", n), err
	})
}

func imagePurge(use, short string, days int, what string, do func(ctx context.Context, t *stack.ImageTool, before time.Time) (int64, error)) *cobra.Command {
	return imageCommand(use, short, func(cmd *cobra.Command) {
		cmd.Flags().IntVar(&days, "age-in-days", days, "`days` that they are kept")
	}, func(ctx context.Context, t *stack.ImageTool) (string, error) {
		if days < 1 {
			return "", errors.New("--age-in-days must be positive")
		}
		n, err := do(ctx, t, time.Now().AddDate(0, 0, -days))
		return fmt.Sprintf("%d %s", n, what), err
	})
}
