package ring

import (
	"fmt"
	"testing"
)

func fleet(n int, zones int) []Device {
	var all []Device
	for i := range n {
		all = append(all, Device{fmt.Sprint("d", i), fmt.Sprint("z", i%zones), 1})
	}
	return all
}

func must(t *testing.T, replicas int, devices []Device) *Ring {
	t.Helper()
	r, err := New(12, replicas, devices)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPlacesAreOfDifferentZones(t *testing.T) {
	devices := fleet(9, 3)
	r := must(t, 3, devices)
	for k := range 500 {
		places := r.Places(fmt.Sprint("key", k))
		zones, seen := map[string]bool{}, map[int]bool{}
		for i, p := range places {
			if seen[p] = true; i < 3 {
				zones[devices[p].Zone] = true
			}
		}
		if len(zones) != 3 || len(seen) != 9 {
			t.Fatalf("%v: zones %v", places, zones)
		}
	}
	// Fewer zones than replicas: different devices all the same.
	r = must(t, 3, fleet(4, 1))
	if p := r.Places("key"); p[0] == p[1] || p[1] == p[2] || p[0] == p[2] {
		t.Error(p)
	}
	if must(t, 3, fleet(2, 2)).Replicas() != 2 {
		t.Error("more copies than devices")
	}
}

func TestWeightsCount(t *testing.T) {
	devices := fleet(4, 4)
	devices[0].Weight, devices[3].Weight = 3, 0
	r := must(t, 1, devices)
	got := make([]int, 4)
	const n = 20000
	for k := range n {
		got[r.Places(fmt.Sprint("key", k))[0]]++
	}
	// 4096 partitions in place of keys make the shares a little uneven.
	if share := float64(got[0]) / n; share < 0.55 || share > 0.65 || got[3] != 0 || got[1] < n/7 {
		t.Error(got)
	}
}

func TestOneMoreDeviceMovesOnlyItsShare(t *testing.T) {
	before, after := must(t, 1, fleet(9, 9)), must(t, 1, fleet(10, 10))
	moved := 0
	for k := range 10000 {
		key := fmt.Sprint("key", k)
		if a, b := before.Places(key)[0], after.Places(key)[0]; a != b {
			if moved++; b != 9 {
				t.Fatalf("%s went from %d to %d, which was there before", key, a, b)
			}
		}
	}
	if moved < 700 || moved > 1300 {
		t.Errorf("%d of 10000 moved, and not about a tenth", moved)
	}
}

func TestBadRings(t *testing.T) {
	for _, d := range [][]Device{nil, {{"", "z", 1}}, {{"a", "z", 1}, {"a", "z", 1}}, {{"a", "z", -1}}, {{"a", "z", 0}}} {
		if _, err := New(10, 1, d); err == nil {
			t.Errorf("%v was taken", d)
		}
	}
	if _, err := New(33, 1, fleet(1, 1)); err == nil {
		t.Error("power 33")
	}
	if _, err := New(1, 0, fleet(1, 1)); err == nil {
		t.Error("no replicas")
	}
}
