package remote

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kilonova/service/compute"
)

// answerOf is what Placement says of flat hosts, as JSON and in lines.
func answerOf(hosts int) (text, lines []byte) {
	var requests, summaries []string
	lines = []byte("C DISK_GB MEMORY_MB VCPU\n")
	var requested []byte
	for i := range hosts {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		requests = append(requests, fmt.Sprintf(`{"allocations": {%q: {"resources": {"DISK_GB": 1, "MEMORY_MB": 64, "VCPU": 1}}}, "mappings": {"": [%q]}}`, id, id))
		summaries = append(summaries, fmt.Sprintf(`%q: {"resources": {"DISK_GB": {"capacity": 4000, "used": %d}, "MEMORY_MB": {"capacity": 262144, "used": 0}, "VCPU": {"capacity": 1024, "used": 3}},
			"traits": ["COMPUTE_NODE"], "parent_provider_uuid": null, "root_provider_uuid": %q}`, id, i, id))
		lines = fmt.Appendf(lines, "P %s %d 0=4000/%d 1=262144/0 2=1024/3\n", id, i, i)
		requested = fmt.Appendf(requested, "R %d:0=1,1=64,2=1\n", i)
	}
	return fmt.Appendf(nil, `{"allocation_requests": [%s], "provider_summaries": {%s}}`, strings.Join(requests, ", "), strings.Join(summaries, ", ")),
		slices.Concat(lines, requested, []byte("E\n"))
}

// nested is a host with two parts below it, and a disk that it shares with others.
const nested = `{"allocation_requests": [
	{"allocations": {"share": {"resources": {"DISK_GB": 20}}, "numa0": {"resources": {"VCPU": 2, "MEMORY_MB": 512}}}, "mappings": {"": ["numa0", "share"]}},
	{"allocations": {"numa1": {"resources": {"VCPU": 2, "MEMORY_MB": 512}}, "share": {"resources": {"DISK_GB": 20}}}, "mappings": {"": ["numa1", "share"]}},
	{"allocations": {"alone": {"resources": {"VCPU": 2, "MEMORY_MB": 512, "DISK_GB": 20}}}, "mappings": {"": ["alone"]}},
	{"allocations": {"card": {"resources": {"VGPU": 1}}}, "mappings": {"": ["card"]}}
], "provider_summaries": {
	"host": {"resources": {}, "traits": ["A"], "parent_provider_uuid": null, "root_provider_uuid": "host"},
	"numa0": {"resources": {"VCPU": {"capacity": 8, "used": 1}, "MEMORY_MB": {"capacity": 4096, "used": 0}}, "traits": [], "parent_provider_uuid": "host", "root_provider_uuid": "host"},
	"numa1": {"resources": {"VCPU": {"capacity": 9, "used": 1}, "MEMORY_MB": {"capacity": 4096, "used": 0}}, "traits": [], "parent_provider_uuid": "host", "root_provider_uuid": "host"},
	"share": {"resources": {"DISK_GB": {"capacity": 900, "used": 7}, "VCPU": {"capacity": 1, "used": 0}}, "traits": [], "parent_provider_uuid": null, "root_provider_uuid": "share"},
	"alone": {"resources": {"VCPU": {"capacity": 4, "used": 2}, "MEMORY_MB": {"capacity": 4097, "used": 0}, "DISK_GB": {"capacity": 50, "used": 5}}, "traits": [], "parent_provider_uuid": null, "root_provider_uuid": "alone"},
	"card": {"resources": {"VGPU": {"capacity": 4, "used": 2}}, "traits": [], "parent_provider_uuid": "big", "root_provider_uuid": "big"}
}}`

// nestedLines is nested in lines.
const nestedLines = `C VCPU MEMORY_MB DISK_GB VGPU
P big 0
P host 1
P numa0 1 0=8/1 1=4096/0
P numa1 1 0=9/1 1=4096/0
P share 4 2=900/7 0=1/0
P alone 5 0=4/2 1=4097/0 2=50/5
P card 0 3=4/2
R 4:2=20 2:0=2,1=512
R 3:0=2,1=512 4:2=20
R 5:0=2,1=512,2=20
R 6:3=1
E
`

func TestCandidatesOfTrees(t *testing.T) {
	for form, text := range map[string]string{"JSON": nested, "lines": nestedLines} {
		t.Run(form, func(t *testing.T) { candidatesOfTrees(t, read(t, []byte(text), nil)) })
	}
}

func candidatesOfTrees(t *testing.T, all []compute.Candidate) {
	if len(all) != 3 {
		t.Fatalf("%d hosts: %+v", len(all), all)
	}
	host, alone, big := all[0], all[1], all[2]
	if host.ProviderID != "host" || alone.ProviderID != "alone" || big.ProviderID != "big" {
		t.Errorf("the hosts are %q, %q, %q", host.ProviderID, alone.ProviderID, big.ProviderID)
	}
	if u := host.Capacity.Of("VCPU"); u.Capacity != 8 || u.Used != 1 { // numa0's, which is asked for processors
		t.Errorf("%+v", host.Capacity)
	}
	if u := host.Capacity.Of("DISK_GB"); u.Capacity != 900 || u.Used != 7 {
		t.Errorf("%+v", host.Capacity)
	}
	want := map[string]map[string]int{"numa0": {"VCPU": 2, "MEMORY_MB": 512}, "share": {"DISK_GB": 20}}
	if !reflect.DeepEqual(host.Allocations, want) || alone.Allocations != nil || big.Allocations["card"]["VGPU"] != 1 {
		t.Errorf("%v, %v, %v", host.Allocations, alone.Allocations, big.Allocations)
	}
	if u := alone.Capacity.Of("MEMORY_MB"); u.Capacity != 4097 || u.Used != 0 {
		t.Errorf("%+v", alone.Capacity)
	}
}

// read reads candidates into memory.
func read(t *testing.T, text []byte, memory []compute.Candidate) []compute.Candidate {
	t.Helper()
	reply, err := readCandidates(text)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.release()
	return reply.candidates(memory)
}

// TestReadersAreUsedAgain: what an answer has given stays as it is while others are
// read with the same memory, some of them wrong in the middle.
func TestReadersAreUsedAgain(t *testing.T) {
	text, lines := answerOf(20)
	first := read(t, lines, nil)
	want := fmt.Sprintf("%+v", read(t, text, nil))
	for range 3 {
		_, more := answerOf(30)
		if all := read(t, bytes.ReplaceAll(more, []byte("0000-4000"), []byte("1111-4000")), nil); len(all) != 30 {
			t.Errorf("%d candidates", len(all))
		}
		if all := read(t, []byte(nestedLines), nil); len(all) != 3 || all[1].ProviderID != "alone" {
			t.Errorf("%+v", all)
		}
		if _, err := readCandidates(lines[:500]); err == nil {
			t.Error("an answer that was cut off was read")
		}
		if again := fmt.Sprintf("%+v", read(t, lines, nil)); again != want || fmt.Sprintf("%+v", first) != want {
			t.Errorf("%s\nand not %s", again, want)
		}
	}
}

// TestCandidatesInMemoryOfOthers: what is made of an earlier answer's memory is what
// is made of new memory.
func TestCandidatesInMemoryOfOthers(t *testing.T) {
	var texts [][]byte
	for _, n := range []int{20, 5, 30, 20} {
		text, lines := answerOf(n)
		texts = append(texts, lines, []byte(nestedLines), text, []byte(nested))
	}
	var memory []compute.Candidate
	for _, text := range texts {
		want := fmt.Sprintf("%+v", read(t, text, nil))
		memory = read(t, text, memory)
		if got := fmt.Sprintf("%+v", memory); got != want {
			t.Errorf("%s\nand not %s", got, want)
		}
	}
}

// TestLinesThatAreWrong: of an answer that was cut off, or that names what it has not
// told of, nothing is used.
func TestLinesThatAreWrong(t *testing.T) {
	for n := range len(nestedLines) - 1 {
		if _, err := readLines([]byte(nestedLines[:n])); err == nil {
			t.Errorf("%q was read", nestedLines[:n])
		}
	}
	for _, text := range []string{"C\nE\nE\n", "C A\nP x 1\nE\n", "C A\nP x 0 1=2/0\nE\n", "C A\nP x 0 0=2/0\nR 1:0=1\nE\n", "C A\nP x 0 0=2/0\nR 0:1=1\nE\n",
		"C A\nP x 0 0=-2/0\nE\n", "C A\nP x 0 0=1\nE\n", "C A\nP x 0\nM _1 0\nE\n", "C A\nP x 0\nR 0\nE\n", "C A\nP  0\nE\n", "C A\nP x 0\r\nE\n", "C A\nQ\nE\n",
		"C A\nP x 99999999999999999999\nE\n"} {
		if _, err := readLines([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
	if all := read(t, []byte("C\nE\n"), nil); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// FuzzLines: whatever is in the lines, it is read or refused.
func FuzzLines(f *testing.F) {
	_, lines := answerOf(2)
	f.Add(lines)
	f.Add([]byte(nestedLines))
	f.Fuzz(func(t *testing.T, text []byte) {
		reply, err := readLines(text)
		if err != nil {
			return
		}
		defer reply.release()
		if all := reply.candidates(nil); len(all) > len(reply.requests) {
			t.Errorf("%d candidates of %d requests", len(all), len(reply.requests))
		}
	})
}

func BenchmarkReadCandidates(b *testing.B) {
	text, lines := answerOf(1000)
	for form, text := range map[string][]byte{"JSON": text, "lines": lines} {
		b.Run(form, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var memory []compute.Candidate
			for b.Loop() {
				reply, err := readCandidates(text)
				if err != nil {
					b.Fatal(err)
				}
				memory = reply.candidates(memory)
				reply.release()
			}
		})
	}
}

// TestLinesAreInOneOrder: what is asked of several providers comes in the order of
// their names, in whichever the lines have it, as it comes from JSON.
func TestLinesAreInOneOrder(t *testing.T) {
	for range 2 { // the second is read into the memory of the first
		reply, err := readLines([]byte("C VCPU VF\nP h 0 0=8/1\nP c 0 1=4/0\nP b 0 1=4/0\nR 1:1=1 2:1=1 0:0=1\nM _x 1\nR 0:0=2 1:1=2\nM _x 1\nE\n"))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, asked := range reply.requests {
			for _, a := range asked {
				got = append(got, a.of.id)
			}
		}
		if want := []string{"b", "c", "h", "c", "h"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		reply.release()
	}
}
