package api

import (
	"errors"
	"iter"
	"slices"
	"testing"
)

// counted yields the numbers below n, then err; a negative err panics.
func counted(n int, err error, ended *bool) iter.Seq2[int, error] {
	return func(yield func(int, error) bool) {
		defer func() { *ended = true }()
		for i := range n {
			if !yield(i, nil) {
				return
			}
		}
		if err != nil && err.Error() == "panic" {
			panic(err)
		}
		if err != nil {
			yield(0, err)
		}
	}
}

func TestAheadIsTheSameSequence(t *testing.T) {
	wrong := errors.New("wrong")
	for _, n := range []int{0, 1, aheadBatch - 1, aheadBatch, aheadBatch + 1, 10 * aheadBatch} {
		for _, err := range []error{nil, wrong} {
			for _, most := range []int{1, 5, aheadBatch, n, n + 1} {
				collect := func(all iter.Seq2[int, error]) (got []int, failed error) {
					for i, err := range all {
						if got, failed = append(got, i), err; len(got) == most {
							break
						}
					}
					return got, failed
				}
				var plain, ended bool
				want, wantErr := collect(counted(n, err, &plain))
				got, gotErr := collect(ahead(counted(n, err, &ended)))
				if !slices.Equal(got, want) || gotErr != wantErr || !ended {
					t.Errorf("%d, %v, at most %d: %v, %v, ended: %v; want %v, %v", n, err, most, got, gotErr, ended, want, wantErr)
				}
			}
		}
	}
}

// A panic while rows are read is one of the request, and not of the process.
func TestAheadPanicsWhereItIsRead(t *testing.T) {
	for _, n := range []int{0, 3, aheadBatch, 2*aheadBatch + 1} {
		read, ended := 0, false
		func() {
			defer func() {
				if p := recover(); p == nil {
					t.Errorf("%d: no panic", n)
				}
			}()
			for range ahead(counted(n, errors.New("panic"), &ended)) {
				read++
			}
		}()
		if read != n || !ended {
			t.Errorf("read %d of %d, ended: %v", read, n, ended)
		}
	}
}
