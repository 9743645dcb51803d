package linuxbridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	gracePeriod = 5 * time.Second        // what dnsmasq may take to end when asked
	pollPeriod  = 100 * time.Millisecond // how long a call outlives its context
)

// findDNSMasq returns the process that serves from dir inside the namespace, 0
// if there is none. It is known by its command line, since the number in the
// pid file may have become somebody else's.
func findDNSMasq(dir string, namespace uint64) int {
	text, err := os.ReadFile(filepath.Join(dir, pidFile))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || !servesFrom(pid, dir) {
		return 0
	}
	var stat unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &stat); err != nil || stat.Ino != namespace {
		return 0
	}
	return pid
}

// servesFrom tells whether a process is a dnsmasq with its files in or below dir.
func servesFrom(pid int, dir string) bool {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || pid <= 0 {
		return false
	}
	words := bytes.Split(line, []byte{0})
	if filepath.Base(string(words[0])) != "dnsmasq" {
		return false
	}
	for _, word := range words[1:] {
		if file, ok := strings.CutPrefix(string(word), "--conf-file="); ok && strings.HasPrefix(file, dir+"/") {
			return true
		}
	}
	return false
}

// stopDNSMasq ends every dnsmasq with its files in or below dir, whatever the
// pid files say, and waits for its end.
func (d *Driver) stopDNSMasq(ctx context.Context, dir string) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !servesFrom(pid, dir) {
			continue
		}
		if err := end(ctx, pid); err != nil {
			return fmt.Errorf("end dnsmasq, process %d: %w", pid, err)
		}
	}
	return nil
}

// end asks a process to end, makes it after a while, and waits for it.
func end(ctx context.Context, pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := unix.PidfdSendSignal(fd, signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		for range gracePeriod / pollPeriod {
			if ended, err := poll(fd, pollPeriod); ended || err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return errors.New("it does not end")
}

// poll waits until a pidfd's process has ended.
func poll(fd int, wait time.Duration) (ended bool, err error) {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, int(wait/time.Millisecond))
		if !errors.Is(err, unix.EINTR) {
			return n > 0, err
		}
	}
}
