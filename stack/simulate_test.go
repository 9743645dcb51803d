package stack

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPlotsAreSVG: a file that is called something else would not be what its name says.
func TestPlotsAreSVG(t *testing.T) {
	dir := t.TempDir()
	s := Simulation{Hosts: 1, VCPUs: 4, MemoryMB: 4096, DiskGB: 40, Zones: 1, Servers: 1}
	for name, refused := range map[string]bool{"trial.png": true, "trial.svg": false, "trial": false} {
		s.Plot = filepath.Join(dir, name)
		err := Simulate(t.Context(), Config{}, s, io.Discard)
		if refused && (err == nil || !strings.Contains(err.Error(), "drawn as SVG")) || !refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(s.Plot); os.IsNotExist(err) != refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}
