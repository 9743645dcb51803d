package compute

import (
	"testing"
)

func TestCPUSets(t *testing.T) {
	for text, want := range map[string]string{"": "", "3": "3", "0-3,^2,8": "0-1,3,8", " 5 , 4,4": "4-5", "^1,0-2": "0,2", "0,2,4": "0,2,4"} {
		set, err := ParseCPUSet(text)
		if got := FormatCPUSet(set); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
	for _, bad := range []string{"x", "3-1", "-1", "1-", "0-99999999"} {
		if set, err := ParseCPUSet(bad); err == nil {
			t.Errorf("%q is %v", bad, set)
		}
	}
	if got := FormatCPUSet([]int{9, 1, 2}); got != "1-2,9" {
		t.Error(got)
	}
}
