package linuxbridge

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"kilonova/internal/host"
)

// inside marks the run of the tests that has a network and mounts of its own.
const inside = "KILONOVA_LINUXBRIDGE_TEST_INSIDE"

// lacking says why tests that need a host of their own are skipped.
var lacking string

// TestMain runs the tests a second time inside new network and mount
// namespaces, which then are "the host": nothing of the tests reaches the real
// one, and the driver acts as it does in earnest.
func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "furnish the namespaces of the tests:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	if lacking = lack(); lacking != "" {
		os.Exit(m.Run())
	}
	cmd := exec.Command("unshare", append([]string{"--net", "--mount", "--propagation", "private", os.Args[0]}, os.Args[1:]...)...)
	cmd.Env = append(os.Environ(), inside+"=yes")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		os.Exit(exit.ExitCode())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "unshare:", err)
		os.Exit(1)
	}
}

func lack() string {
	if os.Geteuid() != 0 {
		return "network namespaces need root"
	}
	for _, program := range []string{"unshare", "nsenter", "nft", "dnsmasq"} {
		if _, err := host.Find(program); err != nil {
			return "there is no " + program + " on this host"
		}
	}
	if err := exec.Command("unshare", "--net", "--mount", "true").Run(); err != nil {
		return "new namespaces are not allowed here: " + err.Error()
	}
	return ""
}

// furnish gives the namespaces a /run/netns of their own and a loopback.
func furnish() error {
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	return exec.Command("ip", "link", "set", "lo", "up").Run()
}

// needHost skips a test where there is no host for it.
func needHost(t testing.TB) {
	t.Helper()
	if lacking != "" {
		t.Skip(lacking)
	}
}
