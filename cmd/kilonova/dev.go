package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"kilonova/stack"
)

func devCommand() *cobra.Command {
	var listen, data, public, config string
	var hosts int
	var debug bool
	cmd := &cobra.Command{Use: "dev", Short: "Run a whole cloud without hardware, for those who build against the API", Args: cobra.NoArgs,
		Long: "Runs all services in one process with fake hypervisors and networks: no root, nothing to install.\n" +
			"Prints what a client needs, and leaves nothing behind when it ends unless --data names a folder.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := slog.LevelWarn
			if debug {
				level = slog.LevelDebug
			}
			log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			if data == "" {
				temp, err := os.MkdirTemp("", "kilonova-dev-")
				if err != nil {
					return err
				}
				defer os.RemoveAll(temp)
				data = temp
			}
			began := time.Now()
			c := stack.Dev(data, listen, hosts)
			c.Listen.Public = public
			if config != "" {
				if err := stack.LoadOver(config, &c); err != nil {
					return err
				}
			}
			st, err := stack.StartDev(cmd.Context(), c, log, time.Now)
			if err != nil {
				return err
			}
			defer st.Close()
			admin, demo := st.Logins()
			clouds := filepath.Join(data, "clouds.yaml")
			if err := stack.WriteClouds(clouds, map[string]stack.Login{"kilonova": demo, "kilonova-admin": admin}); err != nil {
				return err
			}
			fmt.Printf("# An OpenStack cloud is ready at %s (%s). Ctrl-C ends it.\n%s", st.URL(), time.Since(began).Round(time.Millisecond), admin.Exports())
			fmt.Printf("# or: export OS_CLIENT_CONFIG_FILE=%s OS_CLOUD=kilonova   (demo; kilonova-admin is the administrator)\n", clouds)
			ended := make(chan error, 1)
			go func() { ended <- st.Wait() }()
			select {
			case err = <-ended:
			case <-cmd.Context().Done():
			}
			return err
		}}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8780", "`host:port` to serve the APIs on")
	cmd.Flags().StringVar(&public, "public-url", "", "`URL` of the APIs as clients see it, when they come through a proxy")
	cmd.Flags().StringVar(&config, "config", "", "configuration `file` (TOML) over what is set for developers")
	cmd.Flags().StringVar(&data, "data", "", "`folder` to keep the cloud in; a temporary one by default")
	cmd.Flags().IntVar(&hosts, "hosts", 2, "`number` of fake hypervisor hosts")
	cmd.Flags().BoolVar(&debug, "debug", false, "log every request")
	return cmd
}
