package cloud

import (
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// TestKilledWhileStarting kills first starts, in which secrets, keys and databases
// are made, at many moments: the next start finishes what they have begun.
func TestKilledWhileStarting(t *testing.T) {
	p := newProcess(t)
	rnd := rand.New(rand.NewPCG(number("KILONOVA_SEED", 9), 1))
	began := time.Now()
	const rounds = 20
	for i := range rounds {
		if i%3 == 0 { // a few kills to one first start, and then to another
			if err := os.RemoveAll(p.data); err != nil {
				t.Fatal(err)
			}
		}
		p.begin(t)
		<-time.After(time.Duration(rnd.IntN(400)) * time.Millisecond)
		p.kill(t)
	}
	p.start(t)
	t.Logf("%d kills in %s", rounds, time.Since(began).Round(time.Second))
	p.fillAndLogIn(t)
	hostsUp(t, p.cloud)
	boot(t, p.cloud, p.demo, "after all")
}
