package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// MaxOutput bounds what is kept of a program's output, in bytes.
const MaxOutput = 16 << 20

// Runner runs a program to its end and returns its standard output. A non-zero
// exit is an *ExitError. stdin may be nil.
type Runner interface {
	Run(ctx context.Context, stdin io.Reader, name string, args ...string) ([]byte, error)
}

// ExitError says what was run, how it ended and what it wrote to standard error.
type ExitError struct {
	Command string
	Code    int
	Stderr  string
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s: exit status %d: %s", e.Command, e.Code, strings.TrimSpace(e.Stderr))
}

// Local runs programs on this host, found by PATH and then in the sbin folders
// that an unprivileged PATH leaves out.
type Local struct{}

// Run implements Runner.
func (Local) Run(ctx context.Context, stdin io.Reader, name string, args ...string) ([]byte, error) {
	path, err := Find(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = stdin
	cmd.WaitDelay = 5 * time.Second
	stdout, stderr := &limited{left: MaxOutput}, &limited{left: 64 << 10}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		return stdout.buf.Bytes(), &ExitError{Command: commandLine(name, args), Code: exit.ExitCode(), Stderr: stderr.buf.String()}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", commandLine(name, args), errors.Join(ctx.Err(), err))
	}
	return stdout.buf.Bytes(), nil
}

// Find returns the path of a program.
func Find(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil || strings.Contains(name, "/") {
		return path, err
	}
	for _, dir := range []string{"/usr/sbin/", "/sbin/", "/usr/local/sbin/"} {
		if path, sbinErr := exec.LookPath(dir + name); sbinErr == nil {
			return path, nil
		}
	}
	return "", err
}

func commandLine(name string, args []string) string {
	return strings.Join(append([]string{name}, args...), " ")
}

// limited keeps the first bytes and drops the rest.
type limited struct {
	buf  bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	keep := p[:min(len(p), l.left)]
	l.buf.Write(keep)
	l.left -= len(keep)
	return len(p), nil
}

// Recorder is a Runner for tests: it runs nothing, keeps each command line and
// answers from Answer (nil: empty output, success). The zero value is usable.
type Recorder struct {
	Answer func(commandLine string) ([]byte, error)

	mu    sync.Mutex
	lines []string
}

// Run implements Runner.
func (r *Recorder) Run(_ context.Context, _ io.Reader, name string, args ...string) ([]byte, error) {
	line := commandLine(name, args)
	r.mu.Lock()
	r.lines = append(r.lines, line)
	r.mu.Unlock()
	if r.Answer == nil {
		return nil, nil
	}
	return r.Answer(line)
}

// Commands returns the command lines run so far, oldest first.
func (r *Recorder) Commands() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}
