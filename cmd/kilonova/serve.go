package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"kilonova/stack"
)

// settings are the flags that all commands share which read the configuration.
type settings struct {
	config, roles, data, listen string
	debug                       bool
}

func (s *settings) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.config, "config", "", "configuration `file` (TOML)")
	f.StringVar(&s.roles, "roles", "", "\"all\", or a `list` of roles with commas")
	f.StringVar(&s.data, "data", "", "`folder` of everything that lasts")
	f.StringVar(&s.listen, "listen", "", "`host:port` to serve the APIs on")
	f.BoolVar(&s.debug, "debug", false, "log more")
}

func (s *settings) load() (stack.Config, error) {
	c, err := stack.Load(s.config)
	if err != nil {
		return c, err
	}
	for _, o := range []struct {
		flag   string
		option *string
	}{{s.roles, &c.Roles}, {s.data, &c.Data}, {s.listen, &c.Listen.Address}} {
		if o.flag != "" {
			*o.option = o.flag
		}
	}
	c.Log.Debug = c.Log.Debug || s.debug
	return c, nil
}

func serveCommand() *cobra.Command {
	var s settings
	var pidFile string
	cmd := &cobra.Command{Use: "serve", Short: "Run the cloud, or some of its roles, on this host", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.load()
			if err != nil {
				return err
			}
			log, err := c.Logger()
			if err != nil {
				return err
			}
			began := time.Now()
			st, err := stack.Start(cmd.Context(), c, log, time.Now)
			if err != nil {
				return err
			}
			defer st.Close()
			if pidFile != "" {
				if err := os.WriteFile(pidFile, []byte(fmt.Sprintln(os.Getpid())), 0o644); err != nil {
					return err
				}
				defer os.Remove(pidFile)
			}
			log.Info("ready", "url", st.URL(), "took", time.Since(began).Round(time.Millisecond))
			ended := make(chan error, 1)
			go func() { ended <- st.Wait() }()
			select {
			case err = <-ended:
			case <-cmd.Context().Done():
				log.Info("ending")
			}
			return err
		}}
	s.flags(cmd)
	cmd.Flags().StringVar(&pidFile, "pid-file", "", "`file` that holds the process id while the cloud runs")
	return cmd
}
