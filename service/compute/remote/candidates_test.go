package remote

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"kilonova/service/compute"
)

// answerOf is what Placement says of flat hosts with many traits.
func answerOf(hosts int) []byte {
	var requests, summaries []string
	traits := `"` + strings.Join(slices.Repeat([]string{"HW_CPU_X86_AVX512VNNI"}, 40), `", "`) + `"`
	for i := range hosts {
		id := fmt.Sprintf("00000000-0000-4000-8000-%012d", i)
		requests = append(requests, fmt.Sprintf(`{"allocations": {%q: {"resources": {"DISK_GB": 1, "MEMORY_MB": 64, "VCPU": 1}}}, "mappings": {"": [%q]}}`, id, id))
		summaries = append(summaries, fmt.Sprintf(`%q: {"resources": {"DISK_GB": {"capacity": 4000, "used": %d}, "MEMORY_MB": {"capacity": 262144, "used": 0}, "VCPU": {"capacity": 1024, "used": 3}},
			"traits": [%s], "parent_provider_uuid": null, "root_provider_uuid": %q}`, id, i, traits, id))
	}
	return fmt.Appendf(nil, `{"allocation_requests": [%s], "provider_summaries": {%s}}`, strings.Join(requests, ", "), strings.Join(summaries, ", "))
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

func TestCandidatesOfTrees(t *testing.T) {
	reply, err := readCandidates([]byte(nested), false)
	if err != nil {
		t.Fatal(err)
	}
	all := reply.candidates(nil)
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

// TestReadersAreUsedAgain: what an answer has given stays as it is while others are
// read with the same memory, some of them wrong in the middle.
func TestReadersAreUsedAgain(t *testing.T) {
	read := func(text []byte) []compute.Candidate {
		reply, err := readCandidates(text, false)
		if err != nil {
			t.Fatal(err)
		}
		defer reply.release()
		return reply.candidates(nil)
	}
	first := read(answerOf(20))
	want := fmt.Sprintf("%+v", first)
	for range 3 {
		if all := read(bytes.ReplaceAll(answerOf(30), []byte("0000-4000"), []byte("1111-4000"))); len(all) != 30 {
			t.Errorf("%d candidates", len(all))
		}
		if all := read([]byte(nested)); len(all) != 3 || all[1].ProviderID != "alone" {
			t.Errorf("%+v", all)
		}
		if readPlain(answerOf(20)[:3000], false) != nil {
			t.Error("an answer that was cut off was read")
		}
		if again := fmt.Sprintf("%+v", read(answerOf(20))); again != want || fmt.Sprintf("%+v", first) != want {
			t.Errorf("%s\nand not %s", again, want)
		}
	}
}

// TestCandidatesInMemoryOfOthers: what is made of an earlier answer's memory is what
// is made of new memory.
func TestCandidatesInMemoryOfOthers(t *testing.T) {
	var memory []compute.Candidate
	for _, text := range [][]byte{answerOf(20), []byte(nested), answerOf(5), []byte(nested), answerOf(30), answerOf(20)} {
		var want string
		for _, of := range [][]compute.Candidate{nil, memory} {
			reply, err := readCandidates(text, false)
			if err != nil {
				t.Fatal(err)
			}
			all := reply.candidates(of)
			reply.release()
			if got := fmt.Sprintf("%+v", all); want == "" {
				want = got
			} else if got != want {
				t.Errorf("%s\nand not %s", got, want)
			}
			if of != nil || memory == nil {
				memory = all
			}
		}
	}
}

func TestPlainAnswersAreReadByHand(t *testing.T) {
	other := bytes.Replace(answerOf(4), []byte(`"VCPU": 1}}}, "mappings": {"": ["00000000-0000-4000-8000-000000000002"]}}`),
		[]byte(`"VCPU": 2}}}, "mappings": {"": ["00000000-0000-4000-8000-000000000001"]}}`), 1) // unlike the one before
	for _, text := range [][]byte{answerOf(3), other, []byte(nested), []byte(`{"allocation_requests": [], "provider_summaries": {}}`)} {
		by, err := readAny(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, mapped := range []bool{true, false} {
			if !mapped {
				by.mappings = nil
			}
			if hand := readPlain(text, mapped); hand == nil || !reflect.DeepEqual(comparable(hand), comparable(by)) {
				t.Errorf("%+v and not %+v", hand, by)
			}
		}
	}
}

// TestCutAnswers: an answer that ends anywhere before its end is refused, and nothing
// is looked for behind it.
func TestCutAnswers(t *testing.T) {
	for _, whole := range [][]byte{answerOf(2), []byte(nested), []byte(`{"allocation_requests": [{"mappings": null}]`), []byte(`{"allocation_requests": [], "provider_summaries": {"a": {"traits": null}}`)} {
		for end := range whole {
			for _, mapped := range []bool{true, false} {
				if _, err := readCandidates(slices.Clip(slices.Clone(whole[:end])), mapped); err == nil {
					t.Fatalf("%s was read", whole[:end])
				}
			}
		}
	}
}

// comparable puts the classes into their order and forgets who shares memory.
func comparable(r *candidatesReply) any {
	var all []any
	for _, request := range r.requests {
		var some []any
		for _, a := range request {
			amounts := map[string]int{}
			for _, x := range a.amounts {
				amounts[x.class] = x.n
			}
			some = append(some, a.provider, amounts)
		}
		all = append(all, some)
	}
	for _, m := range r.mappings {
		all = append(all, fmt.Sprint(m)) // none is as good as an empty one
	}
	for _, id := range slices.Sorted(maps.Keys(r.providers)) {
		s := r.providers[id]
		usages := map[string]compute.Usage{}
		for _, u := range s.capacity {
			usages[u.Class] = u
		}
		all = append(all, id, s.root, usages)
	}
	return all
}

// FuzzCandidates: what is read by hand is what encoding/json reads.
func FuzzCandidates(f *testing.F) {
	f.Add(answerOf(2))
	f.Add([]byte(nested))
	f.Add(bytes.ReplaceAll(answerOf(2), []byte(` `), nil))
	for _, part := range []string{`[`, `]`, `{`, `}`, `,`, `:`, `null`, `1`, `-1`, `01`, `1.5`, `1e3`, `"`, `\\`, `\\u0041`, `\xff`, `"x":1,`, `"resources":{},`, `"capacity":2,`} {
		f.Add(bytes.Replace(answerOf(1), []byte(`"resources"`), []byte(part+`"resources"`), 2))
		f.Add(bytes.Replace(answerOf(1), []byte(`"used": `), []byte(`"used": `+part), 1))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, mapped := range []bool{true, false} {
			hand := readPlain(text, mapped)
			if hand == nil {
				continue
			}
			by, err := readAny(text)
			if err != nil {
				t.Fatalf("read by hand, but %v", err)
			}
			if !mapped {
				by.mappings = nil
			}
			if a, b := comparable(hand), comparable(by); !reflect.DeepEqual(a, b) {
				t.Errorf("%v and not %v", a, b)
			}
			hand.candidates(nil)
		}
	})
}

func BenchmarkReadCandidates(b *testing.B) {
	text := answerOf(1000)
	for name, read := range map[string]func([]byte) (*candidatesReply, error){"hand": func(text []byte) (*candidatesReply, error) { return readCandidates(text, false) }, "any": readAny} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				reply, err := read(text)
				if err != nil || len(reply.candidates(nil)) != 1000 {
					b.Fatal(err)
				}
				reply.release()
			}
		})
	}
}
