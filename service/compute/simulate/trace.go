package simulate

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/compute/schedule"
)

// Arrival is a request for servers.
type Arrival struct {
	At       float64 `json:"at"`       // seconds from the beginning
	Lifetime float64 `json:"lifetime"` // seconds; 0: they stay
	VCPUs    int     `json:"vcpus"`
	MemoryMB int     `json:"ram"`
	DiskGB   int     `json:"disk"`
	Count    int     `json:"count"` // 0 stands for 1
	// Group names a server group, Policy says which; it counts at the group's
	// first server, and stands for anti-affinity if it is empty.
	Group   string            `json:"group"`
	Policy  string            `json:"policy"`
	Zone    string            `json:"zone"`
	Project string            `json:"project"`
	Specs   map[string]string `json:"specs"` // extra specs of the flavor
}

// Bounds of a trace.
const (
	// MaxServers is how many arrivals a trace has at most.
	MaxServers = 5_000_000
	maxCount   = 10_000
)

// ReadTrace reads a trace: JSON lines, or CSV whose first line names the columns,
// which are the keys of the JSON; specs are "key=value;key=value" there. The
// arrivals are put in order. fault.Invalid with the line for what cannot be.
func ReadTrace(r io.Reader) ([]Arrival, error) {
	in := bufio.NewReader(r)
	first, err := in.Peek(1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var all []Arrival
	keep := func(line int, a Arrival) error {
		if err := a.check(); err != nil {
			return fault.Invalidf("Line %d of the trace: %v", line, err)
		}
		if len(all) == MaxServers {
			return fault.Invalidf("The trace has more than %d arrivals.", MaxServers)
		}
		all = append(all, a)
		return nil
	}
	if bytes.Equal(first, []byte("{")) {
		err = eachLine(in, func(n int, line []byte) error {
			var a Arrival
			if err := strict(line, &a); err != nil {
				return fault.Invalidf("Line %d of the trace: %v.", n, err)
			}
			return keep(n, a)
		})
	} else {
		err = readCSV(in, keep)
	}
	slices.SortStableFunc(all, func(a, b Arrival) int { return cmp.Compare(a.At, b.At) })
	return all, err
}

func (a *Arrival) check() error {
	switch {
	case !(a.At >= 0 && a.At <= math.MaxInt32) || !(a.Lifetime >= 0 && a.Lifetime <= math.MaxInt32):
		return fault.Invalidf("at and lifetime are seconds from 0 to %d.", math.MaxInt32)
	case a.VCPUs < 1 || a.MemoryMB < 1 || a.DiskGB < 0 || a.VCPUs > math.MaxInt32 || a.MemoryMB > math.MaxInt32 || a.DiskGB > math.MaxInt32:
		return fault.Invalidf("vcpus and ram are whole numbers above 0, disk is not negative.")
	case a.Count < 0 || a.Count > maxCount:
		return fault.Invalidf("count is at most %d.", maxCount)
	}
	if a.Policy != "" && !slices.Contains([]string{schedule.Affinity, schedule.AntiAffinity, schedule.SoftAffinity, schedule.SoftAntiAffinity}, a.Policy) {
		return fault.Invalidf("%q is no policy of server groups.", a.Policy)
	}
	a.Count = max(1, a.Count)
	_, err := schedule.AskedDevices(schedule.Flavor{ExtraSpecs: a.Specs})
	return err
}

func readCSV(r io.Reader, keep func(line int, a Arrival) error) error {
	table := csv.NewReader(r)
	table.ReuseRecord = true
	header, err := table.Read()
	if errors.Is(err, io.EOF) {
		return fault.Invalidf("The trace is empty.")
	}
	if err != nil {
		return fault.Invalidf("The trace is no CSV: %v.", err)
	}
	columns := slices.Clone(header)
	for {
		record, err := table.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.Invalidf("The trace is no CSV: %v.", err)
		}
		line, _ := table.FieldPos(0)
		var a Arrival
		for i, name := range columns {
			if err := a.set(strings.TrimSpace(name), strings.TrimSpace(record[i])); err != nil {
				return fault.Invalidf("Line %d of the trace, column %s: %v.", line, name, err)
			}
		}
		if err := keep(line, a); err != nil {
			return err
		}
	}
}

// set takes one cell; an empty one is left out.
func (a *Arrival) set(name, text string) (err error) {
	texts := map[string]*string{"group": &a.Group, "policy": &a.Policy, "zone": &a.Zone, "project": &a.Project}
	numbers := map[string]*int{"vcpus": &a.VCPUs, "ram": &a.MemoryMB, "disk": &a.DiskGB, "count": &a.Count}
	times := map[string]*float64{"at": &a.At, "lifetime": &a.Lifetime}
	switch {
	case texts[name] != nil:
		*texts[name] = text
	case numbers[name] != nil && text != "":
		*numbers[name], err = strconv.Atoi(text)
	case times[name] != nil && text != "":
		*times[name], err = strconv.ParseFloat(text, 64)
	case name == "specs":
		for pair := range strings.SplitSeq(text, ";") {
			if pair == "" {
				continue
			}
			key, value, ok := strings.Cut(pair, "=")
			if !ok {
				return errors.New("specs are key=value;key=value")
			}
			if a.Specs == nil {
				a.Specs = map[string]string{}
			}
			a.Specs[strings.Clone(key)] = strings.Clone(value)
		}
	case numbers[name] == nil && times[name] == nil:
		return errors.New("there is no such column")
	}
	return err
}

// Generate imagines a day of a cloud: servers of ten sizes, small ones most often,
// that come by chance at a rate that follows the hours, live from minutes to days,
// and every twentieth time belong to a group. servers is about how many come; the
// same seed gives the same trace.
func Generate(seed uint64, servers int) []Arrival {
	const day = 86_400
	rnd := rand.New(rand.NewPCG(seed, 0x6b696c6f))
	sizes := []struct{ weight, vcpus, ram, disk int }{{20, 1, 1024, 10}, {20, 1, 2048, 20}, {15, 2, 4096, 20}, {12, 2, 8192, 40}, {10, 4, 8192, 40},
		{8, 4, 16384, 80}, {6, 8, 16384, 80}, {5, 8, 32768, 160}, {3, 16, 65536, 160}, {1, 32, 131072, 320}}
	total := 0
	for _, s := range sizes {
		total += s.weight
	}
	all := make([]Arrival, 0, servers)
	for at, made := 0.0, 0; made < servers; {
		busy := 1 + 0.6*math.Sin(2*math.Pi*(at/day-0.25)) // most at noon
		at += rnd.ExpFloat64() * day / float64(servers) / busy
		size, draw := sizes[0], rnd.IntN(total)
		for _, s := range sizes {
			if draw -= s.weight; draw < 0 {
				size = s
				break
			}
		}
		a := Arrival{At: at, Lifetime: math.Exp(7 + 2*rnd.NormFloat64()), VCPUs: size.vcpus, MemoryMB: size.ram, DiskGB: size.disk, Count: 1}
		a.Lifetime = min(a.Lifetime, 30*day)
		if rnd.IntN(3) == 0 {
			a.Lifetime = 0 // it stays
		}
		if rnd.IntN(20) == 0 {
			a.Count, a.Group = 2+rnd.IntN(6), "group"+strconv.Itoa(len(all))
			a.Policy = []string{schedule.AntiAffinity, schedule.AntiAffinity, schedule.SoftAntiAffinity, schedule.Affinity}[rnd.IntN(4)]
		}
		made += a.Count
		all = append(all, a)
	}
	return all
}
