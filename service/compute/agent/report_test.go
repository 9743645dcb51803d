package agent

import (
	"os"
	"path/filepath"
	"testing"
)

func TestUptimeIsTheKernels(t *testing.T) {
	proc := t.TempDir()
	if s, load := uptime(proc); s != 0 || load != "" {
		t.Errorf("without a kernel: %d %q", s, load)
	}
	for name, text := range map[string]string{"uptime": "8101500.12 999.00\n", "loadavg": "0.20 0.12 0.14 1/99 4242\n"} {
		if err := os.WriteFile(filepath.Join(proc, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s, load := uptime(proc); s != 8101500 || load != "0.20 0.12 0.14" {
		t.Errorf("got %d %q", s, load)
	}
}
