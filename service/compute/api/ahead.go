package api

import "iter"

// aheadBatch is how many are handed over at a time: a hand-over costs about as much
// as half a server.
const aheadBatch = 32

// batch is a part of a sequence; its end, if an error or a panic has ended it.
type batch[T any] struct {
	items []T
	err   error
	panic any
}

// ahead reads a sequence in a goroutine of its own, a few batches ahead: the rows
// that come next are read while those that are there are written. It returns when
// that goroutine has ended.
func ahead[T any](all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		batches, left := make(chan batch[T], 2), make(chan struct{})
		go read(all, batches, left)
		defer func() {
			close(left)
			for range batches {
			}
		}()
		for b := range batches {
			for _, item := range b.items {
				if !yield(item, nil) {
					return
				}
			}
			if b.panic != nil {
				panic(b.panic)
			}
			if b.err != nil {
				var none T
				yield(none, b.err)
				return
			}
		}
	}
}

// read sends what it reads until somebody has left.
func read[T any](all iter.Seq2[T, error], batches chan<- batch[T], left <-chan struct{}) {
	defer close(batches)
	var b batch[T]
	send := func() bool {
		select {
		case batches <- b:
			b = batch[T]{items: make([]T, 0, aheadBatch)}
			return true
		case <-left:
			return false
		}
	}
	defer func() {
		if b.panic = recover(); b.panic != nil || len(b.items) > 0 || b.err != nil {
			send()
		}
	}()
	for item, err := range all {
		if b.err = err; err != nil {
			return
		}
		if b.items = append(b.items, item); len(b.items) == aheadBatch && !send() {
			b.items = nil
			return
		}
	}
}
