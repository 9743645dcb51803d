package compute

import (
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
)

// MaxCPU bounds the number of a host's processor.
const MaxCPU = 1 << 14

// ParseCPUSet reads a set of processors as operators write it, "0-3,^2,8", in
// order and each once; "" is the empty set.
func ParseCPUSet(text string) ([]int, error) {
	in := map[int]bool{}
	var out []int
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		body, excluded := strings.CutPrefix(part, "^")
		first, last, isRange := strings.Cut(body, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(strings.TrimSpace(first))
		to, err2 := strconv.Atoi(strings.TrimSpace(last))
		if err1 != nil || err2 != nil || from < 0 || from > to || to > MaxCPU {
			return nil, fault.Invalidf("%.64q is no set of processors; write it like 0-3,^2,8.", text)
		}
		for cpu := from; cpu <= to; cpu++ {
			if excluded {
				out = append(out, cpu)
			} else {
				in[cpu] = true
			}
		}
	}
	for _, cpu := range out { // exclusions come last, wherever they stand
		delete(in, cpu)
	}
	set := make([]int, 0, len(in))
	for cpu := range in {
		set = append(set, cpu)
	}
	slices.Sort(set)
	return set, nil
}

// FormatCPUSet is the inverse of ParseCPUSet.
func FormatCPUSet(set []int) string {
	set = slices.Clone(set)
	slices.Sort(set)
	var b strings.Builder
	for i := 0; i < len(set); i++ {
		from := set[i]
		for i+1 < len(set) && set[i+1] == set[i]+1 {
			i++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(from))
		if set[i] > from {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(set[i]))
		}
	}
	return b.String()
}
