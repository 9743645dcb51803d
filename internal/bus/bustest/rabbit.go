// Package bustest starts brokers for tests.
package bustest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// where Debian and Ubuntu have it; the one in the path would become another user.
const rabbitBin = "/usr/lib/rabbitmq/bin/rabbitmq-server"

// Broker is a RabbitMQ of its own, with its own data and ports.
type Broker struct {
	t    testing.TB
	env  []string
	port string
	log  string
	node *exec.Cmd
}

// RabbitMQ starts one, or skips the test where it is not installed.
func RabbitMQ(t testing.TB) *Broker {
	t.Helper()
	if _, err := os.Stat(rabbitBin); err != nil {
		t.Skipf("there is no RabbitMQ on this host (package rabbitmq-server): %v", err)
	}
	dir := t.TempDir()
	b := &Broker{t: t, port: freePort(t), log: filepath.Join(dir, "out")}
	for name, text := range map[string]string{"rabbit.conf": "listeners.tcp.1 = 127.0.0.1:" + b.port + "\n", "plugins": "[].\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.env = append(os.Environ(), "HOME="+dir, "RABBITMQ_NODENAME=kilonova"+b.port+"@localhost", "RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "data"),
		"RABBITMQ_LOG_BASE="+filepath.Join(dir, "log"), "RABBITMQ_PID_FILE="+filepath.Join(dir, "pid"), "RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbit.conf"),
		"RABBITMQ_CONF_ENV_FILE="+filepath.Join(dir, "none"), "RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "plugins"), "RABBITMQ_DIST_PORT="+freePort(t),
		"ERL_EPMD_PORT="+freePort(t), "ERL_EPMD_ADDRESS=127.0.0.1", "RABBITMQ_NODE_PORT="+b.port)
	t.Cleanup(func() {
		b.Stop()
		b.killMapper()
	})
	b.Start()
	return b
}

// URL is a transport_url.
func (b *Broker) URL() string { return "rabbit://guest:guest@127.0.0.1:" + b.port + "/" }

// Start starts it, again after Stop, and returns when it listens.
func (b *Broker) Start() {
	b.t.Helper()
	out, err := os.OpenFile(b.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.t.Fatal(err)
	}
	defer out.Close()
	b.node = exec.Command(rabbitBin)
	b.node.Env, b.node.Stdout, b.node.Stderr = b.env, out, out
	b.node.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := b.node.Start(); err != nil {
		b.t.Fatal(err)
	}
	late := time.After(4 * time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+b.port); err == nil {
			// It says something only when it is ready: to what is no AMQP it answers
			// with the version that it would like.
			fmt.Fprint(conn, "HTTP/1.1")
			silent := time.AfterFunc(time.Second, func() { conn.Close() })
			hello := make([]byte, 4)
			_, err := conn.Read(hello)
			silent.Stop()
			conn.Close()
			if err == nil && string(hello) == "AMQP" {
				return
			}
		}
		select {
		case <-tick.C:
		case <-late:
			text, _ := os.ReadFile(b.log)
			b.t.Fatalf("RabbitMQ does not listen: %s", strings.TrimSpace(string(text)))
		}
	}
}

// killMapper ends the port mapper that the node has started on a port of its own,
// as soon as that has noticed that the node is gone.
func (b *Broker) killMapper() {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var out []byte
	var err error
	for range 50 {
		kill := exec.Command("epmd", "-kill")
		kill.Env = b.env
		if out, err = kill.CombinedOutput(); err == nil {
			return
		}
		<-tick.C
	}
	b.t.Logf("the port mapper of the test's RabbitMQ may remain: %v %s", err, out)
}

// Stop ends it at once.
func (b *Broker) Stop() {
	if b.node == nil {
		return
	}
	syscall.Kill(-b.node.Process.Pid, syscall.SIGKILL)
	b.node.Wait()
	b.node = nil
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}
