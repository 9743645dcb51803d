package simulate

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/compute/schedule"
)

func run(t *testing.T, o schedule.Options, trace []Arrival, shapes ...Shape) (*Report, []*schedule.Host) {
	t.Helper()
	fleet, err := NewFleet(Ratios{CPU: 4, RAM: 1, Disk: 1, ReservedMB: 512}, shapes...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), Config{Options: o, Pick: rand.New(rand.NewPCG(1, 1)).IntN, Now: time.Now}, fleet, trace)
	if err != nil {
		t.Fatal(err)
	}
	return r, fleet
}

func read(t *testing.T, text string) []Arrival {
	t.Helper()
	trace, err := ReadTrace(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// TestOverload: with each driver no host ever has more than its ratios allow, what
// is refused is accounted for, and filters keep groups' policies.
func TestOverload(t *testing.T) {
	for _, driver := range []string{"filter", "chance", "caching"} {
		o := schedule.Defaults()
		o.Scheduler.Driver = driver
		r, fleet := run(t, o, Generate(7, 3000), Shape{Hosts: 20, VCPUs: 32, MemoryMB: 65536, DiskGB: 2000, Zones: 2})
		for _, h := range fleet {
			if float64(h.VCPUs.Used) > h.VCPUs.Limit() || h.MemoryMB.Used > h.MemoryMB.Total || h.DiskGB.Used > h.DiskGB.Total || h.Servers < 0 {
				t.Errorf("%s: %+v", driver, h)
			}
		}
		refused := 0
		for _, n := range r.Refused {
			refused += n
		}
		if r.Asked < 3000 || refused == 0 || r.Placed+refused != r.Asked || r.Packing.Servers == 0 || r.Packing.Memory < 0.8 {
			t.Errorf("%s: %+v", driver, r)
		}
		if driver != "chance" && r.Violations != 0 {
			t.Errorf("%s: %d servers where their group's policy forbids", driver, r.Violations)
		}
		if n := r.Packing.Zones["zone1"] + r.Packing.Zones["zone2"]; n != r.Packing.Servers {
			t.Errorf("%s: zones %v of %d servers", driver, r.Packing.Zones, r.Packing.Servers)
		}
	}
}

// TestPolicyShows: spreading and stacking differ in what is reported.
func TestPolicyShows(t *testing.T) {
	trace := read(t, "at,vcpus,ram,disk,count\n0,1,1024,1,40\n")
	shape := Shape{Hosts: 10, VCPUs: 64, MemoryMB: 65536, DiskGB: 1000}
	spread, _ := run(t, schedule.Defaults(), trace, shape)
	o := schedule.Defaults()
	o.Filter.RAM, o.Filter.CPU, o.Filter.Disk = -1, -1, -1
	stack, _ := run(t, o, trace, shape)
	if p := spread.Packing; p.Used != 10 || p.Most != 4 || p.Evenness < 0.999 || p.Deviation != 0 {
		t.Errorf("spread: %+v", p)
	}
	if p := stack.Packing; p.Used != 1 || p.Most != 40 || p.Empty != 9 || p.Evenness > 0.2 {
		t.Errorf("stacked: %+v", p)
	}
}

// TestServersComeAndGo: whoever has left makes room, also in its group.
func TestServersComeAndGo(t *testing.T) {
	trace := read(t, `{"at": 0, "lifetime": 100, "vcpus": 1, "ram": 60000, "group": "g", "policy": "anti-affinity"}
{"at": 50, "vcpus": 1, "ram": 1000, "group": "g"}
{"at": 60, "vcpus": 1, "ram": 60000}
{"at": 100, "vcpus": 1, "ram": 60000, "group": "g"}
{"at": 110, "vcpus": 1, "ram": 1, "specs": {"trait:HW_GPU": "required"}}
`)
	r, fleet := run(t, schedule.Defaults(), trace, Shape{Hosts: 1, VCPUs: 8, MemoryMB: 65536, DiskGB: 10})
	if r.Placed != 1+1 || fleet[0].MemoryMB.Used != 512+60000 {
		t.Errorf("%d placed, %d MiB used", r.Placed, fleet[0].MemoryMB.Used)
	}
	want := map[string]int{"ServerGroupAntiAffinityFilter: full of the server group": 1, "no host with room for 1 vcpus, 60000 MiB, 0 GB": 1,
		"no host with room for 1 vcpus, 1 MiB, 0 GB": 1}
	if !reflect.DeepEqual(r.Refused, want) {
		t.Errorf("refused %v, want like %v", r.Refused, want)
	}
}

func TestTraces(t *testing.T) {
	fromCSV := read(t, "at,lifetime,vcpus,ram,disk,count,group,specs\n5,10,2,2048,20,3,g,hw:x=1;trait:A=required\n1,,1,512,,,,\n")
	fromJSON := read(t, `{"at":5,"lifetime":10,"vcpus":2,"ram":2048,"disk":20,"count":3,"group":"g","specs":{"hw:x":"1","trait:A":"required"}}`+"\n"+`{"at":1,"vcpus":1,"ram":512}`)
	if !reflect.DeepEqual(fromCSV, fromJSON) || fromCSV[0].At != 1 || fromCSV[1].Count != 3 {
		t.Errorf("CSV\n%+v\nJSON\n%+v", fromCSV, fromJSON)
	}
	for text, want := range map[string]string{
		"":                                   "empty",
		"at,vcpus,colour\n1,1,red\n":         "line 2 of the trace, column colour",
		"at,vcpus,ram\n1,one,1\n":            "line 2 of the trace, column vcpus",
		"at,vcpus,ram\n1,1,1\n2,0,1\n":       "line 3 of the trace: vcpus and ram",
		"at,vcpus,ram\n-1,1,1\n":             "at and lifetime",
		"at,vcpus,ram\nNaN,1,1\n":            "at and lifetime",
		"at,vcpus,ram,count\n1,1,1,999999\n": "count is at most",
		"at,vcpus,ram\n1,1\n":                "wrong number of fields",
		`{"at":1,"vcpu":1}`:                  `unknown field "vcpu"`,
		`{"at":1,"vcpus":1,"ram":1,"policy":"near","group":"g"}`: "no policy",
		`{"x":"` + strings.Repeat("x", maxLine) + `"}`:           "at most 65536 bytes",
	} {
		if _, err := ReadTrace(strings.NewReader(text)); !fault.Is(err, fault.Invalid) || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
	if a, b := Generate(3, 500), Generate(3, 500); !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, Generate(4, 500)) {
		t.Error("a seed does not give one trace of its own")
	}
	if _, err := ReadShapes(strings.NewReader(`{"hosts": 1, "cpus": 3}`)); !fault.Is(err, fault.Invalid) {
		t.Errorf("a wrong shape: %v", err)
	}
	if _, err := NewFleet(Ratios{}, Shape{Hosts: 2_000_000, VCPUs: 1, MemoryMB: 1}); !fault.Is(err, fault.Invalid) {
		t.Errorf("too many hosts: %v", err)
	}
}

func TestReports(t *testing.T) {
	r, _ := run(t, schedule.Defaults(), Generate(1, 2000), Shape{Hosts: 10, VCPUs: 32, MemoryMB: 65536, DiskGB: 2000})
	var text, plot, data bytes.Buffer
	r.Write(&text)
	for _, part := range []string{"10 hosts, ", "refused\n", "no host with room for", "decisions p50"} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("no %q in\n%s", part, text.String())
		}
	}
	if err := errors.Join(r.Plot(&plot), r.JSON(&data)); err != nil {
		t.Fatal(err)
	}
	points := 0
	for dec := xml.NewDecoder(&plot); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the plot is no XML: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			for _, a := range e.Attr {
				if a.Name.Local == "points" {
					points += len(strings.Fields(a.Value))
				}
			}
		}
	}
	if points < 4*samples || !bytes.Contains(data.Bytes(), []byte(`"group_violations": 0`)) {
		t.Errorf("%d points; %.300s", points, data.String())
	}
}

// TestDevicesOfTheFleet: with each driver servers get devices of their hosts as long as
// there are any, and those that leave give them back.
func TestDevicesOfTheFleet(t *testing.T) {
	trace := read(t, "at,lifetime,vcpus,ram,disk,count,specs\n0,10,1,64,1,4,pci_passthrough:alias=gpu:1\n1,0,1,64,1,3,\"pci_passthrough:alias=gpu:1,nic:2\"\n20,0,1,64,1,1,pci_passthrough:alias=gpu:3\n")
	for driver, placed := range map[string]int{"filter": 7, "chance": 0} {
		o := schedule.Defaults()
		o.Scheduler.Driver = driver
		r, fleet := run(t, o, trace, Shape{Hosts: 2, VCPUs: 32, MemoryMB: 65536, DiskGB: 2000, Devices: map[string]int{"gpu": 3, "nic": 4}}, Shape{Hosts: 1, VCPUs: 64, MemoryMB: 65536, DiskGB: 2000})
		free := 0
		for _, h := range fleet {
			for _, p := range h.PCI {
				if p.Count < 0 {
					t.Errorf("%s: %s has given away what it has not: %+v", driver, h.Name, h.PCI)
				}
				if p.Tags[aliasTag] == "gpu" {
					free += p.Count
				}
			}
		}
		if r.Asked != 8 || placed > 0 && (r.Placed != placed || free != 1 || r.Refused["PciPassthroughFilter: with too few devices of alias gpu left"] != 1) {
			t.Errorf("%s: %d of %d placed, %d left, %v", driver, r.Placed, r.Asked, free, r.Refused)
		}
	}
	if _, err := ReadTrace(strings.NewReader(`{"vcpus": 1, "ram": 1, "specs": {"pci_passthrough:alias": "gpu"}}`)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "Line 1") {
		t.Errorf("a wish for devices that cannot be read: %v", err)
	}
	if _, err := NewFleet(Ratios{CPU: 1}, Shape{Hosts: 1, VCPUs: 1, MemoryMB: 1, Devices: map[string]int{"gpu": 0}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("no devices: %v", err)
	}
}

// TestPlotsCanBeRead: a short trace has its time told in what it can be seen in.
func TestPlotsCanBeRead(t *testing.T) {
	for last, want := range map[float64]string{9: ">9.0 s<", 1800: ">30.0 min<", 36 * 3600: ">36.0 h<", 10 * 24 * 3600: ">10.0 d<"} {
		var plot bytes.Buffer
		r := &Report{Samples: []Sample{{}, {At: last}}}
		if err := r.Plot(&plot); err != nil || !strings.Contains(plot.String(), want) {
			t.Errorf("no %q for %v seconds: %v", want, last, err)
		}
	}
}

// TestHostsBeyondTheLimit: a host of the zone, or of the server group, is found also where
// others with room come first and there are as many as Placement is asked for.
func TestHostsBeyondTheLimit(t *testing.T) {
	o := schedule.Defaults()
	o.Scheduler.MaxPlacementResults = 1
	trace := read(t, "at,vcpus,ram,zone,group,policy\n0,1,64,zone2,g,affinity\n1,1,64,,g,affinity\n2,1,64,zone3,,\n")
	r, fleet := run(t, o, trace, Shape{Hosts: 2, VCPUs: 4, MemoryMB: 4096, DiskGB: 10, Zones: 2})
	if r.Placed != 2 || fleet[1].Servers != 2 || r.Refused["no host with room for 1 vcpus, 64 MiB, 0 GB in zone zone3"] != 1 {
		t.Errorf("%d placed, refused: %v", r.Placed, r.Refused)
	}
}
