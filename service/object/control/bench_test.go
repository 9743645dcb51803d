package control_test

import (
	"bytes"
	"testing"
	"time"

	"kilonova/service/object/control"
)

// BenchmarkPut writes objects of 4 KiB, as many at a time as there are processors.
func BenchmarkPut(b *testing.B) {
	s := open(b, time.Now, "d")
	content := make([]byte, 4096)
	b.SetBytes(int64(len(content)))
	b.RunParallel(func(run *testing.PB) {
		for n := 0; run.Next(); n++ {
			if _, err := s.PutObject(s.ctx, s.object(string(rune('a'+n%26))), control.Upload{Body: bytes.NewReader(content), Size: int64(len(content))}); err != nil {
				b.Error(err)
			}
		}
	})
}
