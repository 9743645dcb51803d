package host

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestLocalRun(t *testing.T) {
	out, err := Local{}.Run(t.Context(), strings.NewReader("in"), "sh", "-c", "cat; echo -n out")
	if err != nil || string(out) != "inout" {
		t.Fatalf("got %q, %v", out, err)
	}
	_, err = Local{}.Run(t.Context(), nil, "sh", "-c", "echo no such thing >&2; exit 3")
	exit, ok := errors.AsType[*ExitError](err)
	if !ok || exit.Code != 3 || !strings.Contains(exit.Error(), "no such thing") {
		t.Fatalf("got %v", err)
	}
}

func TestLocalRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := Local{}.Run(ctx, nil, "sleep", "60")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	l := &limited{left: 4}
	for range 3 {
		if n, err := l.Write([]byte("abc")); n != 3 || err != nil {
			t.Fatal(n, err)
		}
	}
	if l.buf.String() != "abca" {
		t.Fatalf("kept %q", l.buf.String())
	}
}
