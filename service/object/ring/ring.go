// Package ring says which devices keep a payload: pure, from the list of devices
// and the payload's key alone, so that every process that is given the same list
// finds the same ones, and no file has to be carried around.
//
// Keys fall into 2^power partitions, and each partition orders all devices: the
// first replicas are those that shall keep its payloads, in as many zones as there
// are; the others, in this order, take the place of those that fail. Devices are
// ordered by weighted rendezvous hashing: one that comes or goes moves only what
// it takes or had.
package ring

import (
	"cmp"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Device is a line of the ring.
type Device struct {
	ID     string // whatever stays the same when the device's folder moves
	Zone   string // what fails together: a disk, a machine, a room
	Weight float64
}

// Ring orders devices.
type Ring struct {
	power    uint
	replicas int
	devices  []Device
}

// New checks a ring. power is from 0 to 32. A device of weight 0 is given nothing
// new. There may be fewer devices than replicas; then each has a copy.
func New(power uint, replicas int, devices []Device) (*Ring, error) {
	if power > 32 || replicas < 1 || len(devices) == 0 {
		return nil, errors.New("ring: partition power 0 to 32, one replica and one device at least are needed")
	}
	seen, heavy := map[string]bool{}, 0
	for _, d := range devices {
		if d.ID == "" || seen[d.ID] || d.Weight < 0 || math.IsInf(d.Weight, 0) || math.IsNaN(d.Weight) {
			return nil, fmt.Errorf("ring: device %q has no name of its own, or a weight that is none", d.ID)
		}
		seen[d.ID] = true
		if d.Weight > 0 {
			heavy++
		}
	}
	if heavy == 0 {
		return nil, errors.New("ring: no device has a weight")
	}
	return &Ring{power, min(replicas, heavy), slices.Clone(devices)}, nil
}

// Replicas is how many copies of each payload there shall be.
func (r *Ring) Replicas() int { return r.replicas }

// Partition is where a key falls.
func (r *Ring) Partition(key string) uint32 {
	sum := md5.Sum([]byte(key))
	return uint32(uint64(binary.BigEndian.Uint32(sum[:4])) >> (32 - r.power))
}

// Places returns the indexes of all devices in the order in which they are to be
// asked for a key; the first Replicas shall have it.
func (r *Ring) Places(key string) []int {
	if len(r.devices) == 1 {
		return []int{0}
	}
	part := r.Partition(key)
	scores, order := make([]float64, len(r.devices)), make([]int, len(r.devices))
	for i, d := range r.devices {
		scores[i], order[i] = score(part, d), i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(r.devices[a].ID, r.devices[b].ID))
	})
	return r.spread(order)
}

// spread has the first devices be of different zones, as far as there are any.
func (r *Ring) spread(order []int) []int {
	places, taken, zones := make([]int, 0, len(order)), map[int]bool{}, map[string]int{}
	for len(places) < r.replicas {
		best := -1
		for _, i := range order {
			if d := r.devices[i]; !taken[i] && d.Weight > 0 && (best < 0 || zones[d.Zone] < zones[r.devices[best].Zone]) {
				best = i
			}
		}
		taken[best] = true
		zones[r.devices[best].Zone]++
		places = append(places, best)
	}
	for _, i := range order {
		if !taken[i] {
			places = append(places, i)
		}
	}
	return places
}

// score of a device for a partition: the highest wins, as often as its weight says.
func score(part uint32, d Device) float64 {
	if d.Weight == 0 {
		return -1
	}
	sum := md5.Sum(append(binary.BigEndian.AppendUint32(nil, part), d.ID...))
	u := (float64(binary.BigEndian.Uint64(sum[:8])>>11) + 0.5) / (1 << 53) // between 0 and 1
	return d.Weight / -math.Log(u)
}
