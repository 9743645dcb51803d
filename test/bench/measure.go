package main

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Distribution is how long calls took, in milliseconds.
type Distribution struct {
	N           int     `json:"n"` // calls that succeeded
	Concurrency int     `json:"concurrency"`
	P50         float64 `json:"p50_ms"`
	P90         float64 `json:"p90_ms"`
	P99         float64 `json:"p99_ms"`
	Max         float64 `json:"max_ms"`
	PerSecond   float64 `json:"per_second"`
	Wall        float64 `json:"wall_s"`
	// CPU is what the cloud's processes used a call, in milliseconds; absent
	// where these are not known.
	CPU        float64 `json:"cpu_ms,omitempty"`
	Bytes      int64   `json:"bytes,omitempty"` // of the last answer's body
	Errors     int     `json:"errors,omitempty"`
	FirstError string  `json:"first_error,omitempty"`
}

// percentile reads from sorted values by the nearest rank: the smallest value
// that at least the share p of all do not exceed.
func percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	i := int(math.Ceil(p*float64(len(sorted)))) - 1
	return sorted[max(0, min(i, len(sorted)-1))]
}

// rounded keeps three digits behind the point: microseconds of milliseconds.
func rounded(f float64) float64 { return math.Round(f*1000) / 1000 }

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

func distribution(took []float64, concurrency int, wall time.Duration) Distribution {
	slices.Sort(took)
	d := Distribution{N: len(took), Concurrency: concurrency, Wall: rounded(wall.Seconds()), P50: rounded(percentile(took, .5)),
		P90: rounded(percentile(took, .9)), P99: rounded(percentile(took, .99)), Max: rounded(percentile(took, 1))}
	if wall > 0 {
		d.PerSecond = rounded(float64(len(took)) / wall.Seconds())
	}
	return d
}

// plan bounds one measurement.
type plan struct {
	n, concurrency int
	warm           int           // calls before, which do not count
	limit          time.Duration // after which no call is begun
}

// measure makes p.n calls from p.concurrency workers and sums up how long they
// took. cpu, if not nil, tells the CPU time that the cloud has used so far.
func measure(ctx context.Context, p plan, cpu func() time.Duration, call func(ctx context.Context, i int) (size int, err error)) Distribution {
	for i := range p.warm {
		_, _ = call(ctx, i) // what is wrong shows below
	}
	var next, failed, bytes atomic.Int64
	var first atomic.Pointer[string]
	took := make([][]float64, p.concurrency)
	var before time.Duration
	if cpu != nil {
		before = cpu()
	}
	began := time.Now()
	var workers sync.WaitGroup
	for w := range p.concurrency {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= p.n || time.Since(began) > p.limit || ctx.Err() != nil {
					return
				}
				t := time.Now()
				size, err := call(ctx, p.warm+i)
				if err != nil {
					failed.Add(1)
					text := err.Error()
					first.CompareAndSwap(nil, &text)
					continue
				}
				took[w] = append(took[w], milliseconds(time.Since(t)))
				bytes.Store(int64(size))
			}
		})
	}
	workers.Wait()
	d := distribution(slices.Concat(took...), p.concurrency, time.Since(began))
	if cpu != nil && d.N > 0 {
		d.CPU = rounded(milliseconds(cpu()-before) / float64(d.N))
	}
	d.Errors, d.Bytes = int(failed.Load()), bytes.Load()
	if text := first.Load(); text != nil {
		d.FirstError = *text
	}
	return d
}

// pause waits, at most until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// until calls done again and again until it says yes, at first quickly and then
// at a twentieth of the time that has passed, so that asking neither delays what
// is asked about nor adds more than that to what is measured.
func until(ctx context.Context, limit time.Duration, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	for {
		yes, err := done()
		if err != nil || yes {
			return err
		}
		if err := pause(ctx, max(time.Millisecond, min(time.Since(began)/20, 250*time.Millisecond))); err != nil {
			return err
		}
	}
}
