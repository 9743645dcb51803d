package compute

import "testing"

func TestTapName(t *testing.T) {
	if got := TapName("0d5ea1de-0000-4000-8000-0000000000aa"); got != "tap0d5ea1de-00" {
		t.Errorf("got %q", got)
	}
}
