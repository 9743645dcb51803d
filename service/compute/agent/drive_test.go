package agent

import (
	"bytes"
	"strings"
	"testing"

	"kilonova/service/compute"
)

// The drive has what the user gave, in both formats, under the name with its domain.
func TestDrive(t *testing.T) {
	s := &compute.Server{ID: "70a599e0-31e7-49b7-b260-868f441e862b", DisplayName: "one", Hostname: "one", Files: []compute.InjectedFile{{Path: "/etc/motd", Data: []byte("hello, guest")}}}
	for _, format := range []string{"", "vfat"} {
		d := &Drive{Format: format, Domain: "novalocal"}
		image, err := d.make(t.Context(), s)
		if err != nil {
			t.Fatalf("%q: %v", format, err)
		}
		for _, want := range []string{"hello, guest", `"path":"/etc/motd"`, `"hostname":"one.novalocal"`} {
			if !bytes.Contains(image, []byte(want)) {
				t.Errorf("%q: the drive lacks %s", format, want)
			}
		}
	}
	if _, err := (&Drive{Format: "ext4"}).make(t.Context(), s); err == nil || !strings.Contains(err.Error(), "ext4") {
		t.Errorf("%v", err)
	}
}
