package fault

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestKindOfFindsOutermost(t *testing.T) {
	inner := NotFoundf("No flavor 42 exists.")
	tests := []struct {
		err  error
		want Kind
	}{
		{nil, Internal},
		{io.EOF, Internal},
		{inner, NotFound},
		{fmt.Errorf("create server: %w", inner), NotFound},
		{Wrap(inner, Invalid, "Flavor 42 could not be found."), Invalid},
		{errors.Join(io.EOF, inner), NotFound},
	}
	for _, tt := range tests {
		if got := KindOf(tt.err); got != tt.want {
			t.Errorf("KindOf(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestMessageHidesWrappedCause(t *testing.T) {
	err := Wrap(io.ErrUnexpectedEOF, Unavailable, "The image service did not answer.")
	if err.Message != "The image service did not answer." || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("message %q, chain %v", err.Message, err)
	}
	if got := New(Invalid, "bad body: %w", io.EOF); got.Error() != "bad body: EOF" || !errors.Is(got, io.EOF) {
		t.Errorf("New with %%w = %q", got.Error())
	}
}
