package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"kilonova/internal/peer"
	"kilonova/stack"
)

func fillCommand() *cobra.Command {
	var s settings
	var seed stack.Seed
	var url, hello, flavor, home string
	cmd := &cobra.Command{Use: "fill", Short: "Fill a new cloud and boot a first server; what is there already is kept", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := s.load()
			if err != nil {
				return err
			}
			if err := c.LoadSecrets(); err != nil {
				return err
			}
			if url == "" {
				url = "http://" + c.Listen.Address
			}
			admin, demo := stack.LoginsOf(&c, url)
			if err := writeLogins(home, admin, demo); err != nil {
				return err
			}
			seed.DemoPassword = c.Secrets.DemoPassword
			seed.Progress = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
			seeder, err := stack.NewSeeder(url, c.Secrets.AdminPassword, seed, peer.Network(nil))
			if err != nil {
				return err
			}
			if err := seeder.Fill(cmd.Context()); err != nil {
				return err
			}
			if hello == "" {
				return nil
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Minute)
			defer cancel()
			address, err := seeder.Hello(ctx, hello, flavor)
			if err != nil {
				return err
			}
			fmt.Println("  waiting for ssh at", address)
			if err := waitFor(ctx, net.JoinHostPort(address.String(), "22")); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(c.Data, "hello.address"), []byte(address.String()+"\n"), 0o644)
		}}
	s.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&url, "url", "", "where the cloud is reached")
	f.StringVar(&seed.ImageFile, "image-file", "", "qcow2 `file` of the guest image")
	f.StringVar(&seed.ImageName, "image-name", "tiny", "`name` of the guest image")
	f.StringVar(&seed.PublicCIDR, "public", "172.24.4.0/24", "`subnet` of the network public")
	f.StringVar(&seed.PrivateCIDR, "private", "10.0.0.0/24", "`subnet` of demo's network private")
	f.StringSliceVar(&seed.DNS, "dns", nil, "name servers of the network private")
	f.StringVar(&seed.KeyFile, "key-file", "", "private key `file` of demo's keypair; made if it is not there")
	f.StringVar(&hello, "hello", "", "`name` of a server to boot and wait for")
	f.StringVar(&flavor, "flavor", "1", "its flavor's `id`")
	f.StringVar(&home, "client-config", "", "`folder` for clouds.yaml and openrc files; none by default")
	return cmd
}

// writeLogins keeps what the stock clients read.
func writeLogins(dir string, admin, demo stack.Login) error {
	if dir == "" {
		return nil
	}
	if err := stack.WriteClouds(filepath.Join(dir, "clouds.yaml"), map[string]stack.Login{"kilonova": demo, "kilonova-admin": admin}); err != nil {
		return err
	}
	for name, login := range map[string]stack.Login{"openrc": demo, "openrc-admin": admin} {
		if err := os.WriteFile(filepath.Join(dir, "kilonova-"+name), []byte(login.Exports()), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// waitFor waits until an ssh server has said who it is.
func waitFor(ctx context.Context, address string) error {
	for {
		dialer := net.Dialer{Timeout: 2 * time.Second}
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			greeting := make([]byte, 4)
			_, err = conn.Read(greeting)
			conn.Close()
			if err == nil && string(greeting) == "SSH-" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", address, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}
