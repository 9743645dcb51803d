package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// child is a cloud of our own.
type child struct {
	cmd   *exec.Cmd
	env   map[string]string // OS_* assignments that lead to it
	ready time.Duration     // from exec until it said or showed that it is ready
	ended chan error
}

// startLimit is how long a cloud may take to become ready.
const startLimit = 60 * time.Second

// dev starts `kilonova dev`, which is ready when it says so: filled.
func dev(ctx context.Context, binary, data string, hosts int) (*child, error) {
	said := make(chan map[string]string, 1)
	return launch(ctx, func(c *child, out io.Reader) {
		said <- assignments(out)
		io.Copy(io.Discard, out)
	}, func(ctx context.Context, c *child) error {
		select {
		case c.env = <-said:
			return missing(c.env["OS_PASSWORD"], "password")
		case <-ctx.Done():
			return ctx.Err()
		}
	}, binary, "dev", "--listen", "127.0.0.1:0", "--data", data, "--hosts", strconv.Itoa(hosts))
}

// configuration is that of a cloud in production but for the drivers, the limits
// and the password.
const configuration = `host = "bench"
[DEFAULT]
compute_driver = "fake"
[fake]
hosts = %d
[network]
dataplane = "fake"
[secrets]
admin_password = "%s"
[identity.identity]
password_hash_rounds = %d
`

// defaultRounds and peerRounds are the costs of a password's hash: our default,
// and the default of upstream's Keystone.
const (
	defaultRounds = 10
	peerRounds    = 12
)

// serve starts `kilonova serve` with all roles, which is ready when /healthz says
// so.
func serve(ctx context.Context, binary, data string, hosts, rounds int, more ...string) (*child, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // some port that is free
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	const password = "only-for-this-run"
	config := data + ".toml"
	if err := os.WriteFile(config, fmt.Appendf(nil, strings.Join(more, "")+configuration, hosts, password, rounds), 0o600); err != nil {
		return nil, err
	}
	url := "http://" + address
	return launch(ctx, func(_ *child, out io.Reader) { io.Copy(io.Discard, out) }, func(ctx context.Context, c *child) error {
		c.env = map[string]string{"OS_AUTH_URL": url + "/identity/v3", "OS_USERNAME": "admin", "OS_PASSWORD": password, "OS_PROJECT_NAME": "admin",
			"OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default"}
		return until(ctx, startLimit, func() (bool, error) {
			resp, err := http.Get(url + "/healthz")
			if err != nil {
				return false, nil // not yet there
			}
			defer resp.Body.Close()
			return resp.StatusCode == http.StatusOK, nil
		})
	}, binary, "serve", "--config", config, "--data", data, "--listen", address)
}

// launch starts a program, hands its output to read and waits for ready.
func launch(ctx context.Context, read func(*child, io.Reader), ready func(context.Context, *child) error, program string, args ...string) (*child, error) {
	c := &child{cmd: exec.Command(program, args...), ended: make(chan error, 1)}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var complaints bytes.Buffer
	c.cmd.Stderr = &complaints
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	began := time.Now()
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	go func() {
		read(c, out)
		c.ended <- c.cmd.Wait()
		cancel() // nobody is there to become ready
	}()
	if err := ready(ctx, c); err != nil {
		c.cmd.Process.Kill()
		<-c.ended
		return nil, fmt.Errorf("%s %s did not become ready: %w\n%s", filepath.Base(program), args[0], err, complaints.String())
	}
	c.ready = time.Since(began)
	return c, nil
}

// assignments reads "export A=b C=d" lines up to the one that completes a login.
func assignments(r io.Reader) map[string]string {
	env := map[string]string{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "#") {
			continue
		}
		for word := range strings.FieldsSeq(strings.TrimPrefix(line, "export ")) {
			if name, value, ok := strings.Cut(word, "="); ok && strings.HasPrefix(name, "OS_") {
				env[name] = strings.Trim(value, `"'`)
			}
		}
		if env["OS_PROJECT_DOMAIN_NAME"] != "" && env["OS_PASSWORD"] != "" {
			break
		}
	}
	return env
}

// stop ends the child as an operator does and waits.
func (c *child) stop() error {
	c.cmd.Process.Signal(syscall.SIGTERM)
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	select {
	case err := <-c.ended:
		return err
	case <-timeout.C:
		c.cmd.Process.Kill()
		<-c.ended
		return errors.New("the cloud had to be killed")
	}
}
