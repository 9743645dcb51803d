package control

import (
	"testing"
	"unsafe"
)

func TestPieces(t *testing.T) {
	c := &Control{large: make(chan struct{}, largeAtOnce)}
	check := func(up Upload, want int) func() {
		t.Helper()
		all, free := c.pieces(up)
		for i := range all {
			room := all[i].room
			if len(room) != want || want == large && uintptr(unsafe.Pointer(&room[0]))%hugePage != 0 {
				t.Fatalf("%+v: %d bytes at %p, want %d", up, len(room), room, want)
			}
			room[0], room[want-1] = 1, 1
		}
		return free
	}
	check(Upload{Size: largeFrom - 1}, small)()
	check(Upload{Size: -1, again: true}, small)()
	check(Upload{Size: 1 << 40, again: true}, small)()
	check(Upload{Size: largeFrom}, large)()
	var frees []func()
	for range largeAtOnce {
		frees = append(frees, check(Upload{Size: -1}, large))
	}
	check(Upload{Size: -1}, small)() // there are no more
	for _, free := range frees {
		free()
	}
	check(Upload{Size: -1}, large)()
}
