package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tree is a set of processes: those given and all that descend from them.
type tree func() []int

// only is one process.
func only(pid int) tree { return func() []int { return []int{pid} } }

// pidFiles are the processes of which a folder has pid files, with their
// descendants.
func pidFiles(dir string) tree {
	return func() []int {
		roots := map[int]bool{}
		files, _ := filepath.Glob(filepath.Join(dir, "*.pid"))
		for _, f := range files {
			data, _ := os.ReadFile(f)
			if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
				roots[pid] = true
			}
		}
		parents := map[int]int{}
		stats, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, f := range stats {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			if fields := stat(pid); len(fields) > 1 {
				parents[pid], _ = strconv.Atoi(fields[1])
			}
		}
		var all []int
		for pid := range parents {
			for p := pid; p > 1; p = parents[p] {
				if roots[p] {
					all = append(all, pid)
					break
				}
			}
		}
		return all
	}
}

// stat reads the fields of /proc/PID/stat after the command's name: state, parent…
func stat(pid int) []string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	text := string(data)
	return strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
}

// tick is the unit of /proc's CPU times (USER_HZ).
const tick = 10 * time.Millisecond

// cpu is the CPU time that the processes have used: to the nanosecond by their
// threads where it is one process, else in ticks and with the children that they
// have waited for.
func (t tree) cpu() time.Duration {
	pids := t()
	if len(pids) == 1 {
		if exact := threads(pids[0]); exact > 0 {
			return exact
		}
	}
	var ticks int64
	for _, pid := range pids {
		fields := stat(pid)
		if len(fields) < 15 {
			continue
		}
		for _, f := range fields[11:15] { // user, system, and the same of children
			n, _ := strconv.ParseInt(f, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * tick
}

// threads adds up what a process's threads have used. One that has ended is
// missed; those of Go programs stay.
func threads(pid int) time.Duration {
	var sum int64
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, f := range files {
		data, _ := os.ReadFile(f)
		first, _, _ := strings.Cut(string(data), " ")
		n, _ := strconv.ParseInt(first, 10, 64)
		sum += n
	}
	return time.Duration(sum)
}

// Memory is what processes take, in MiB.
type Memory struct {
	// PSS counts shared pages in parts, so that processes can be added up.
	PSS       float64 `json:"pss_mib"`
	Anonymous float64 `json:"anonymous_mib"` // of PSS, what is not a mapped file
	Processes int     `json:"processes"`
	Threads   int     `json:"threads"`
}

func (t tree) memory() Memory {
	var m Memory
	for _, pid := range t() {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			fields := strings.Fields(line)
			if len(fields) < 2 {
				continue
			}
			kib, _ := strconv.ParseFloat(fields[1], 64)
			switch fields[0] {
			case "Pss:":
				m.PSS += kib / 1024
			case "Pss_Anon:":
				m.Anonymous += kib / 1024
			}
		}
		m.Processes++
		tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		m.Threads += len(tasks)
	}
	m.PSS, m.Anonymous = rounded(m.PSS), rounded(m.Anonymous)
	return m
}

// busy is the CPU time that everything on this host has used.
func busy() time.Duration {
	data, _ := os.ReadFile("/proc/stat")
	first, _, _ := strings.Cut(string(data), "\n")
	var ticks int64
	for i, f := range strings.Fields(first) {
		if i == 0 || i == 4 || i == 5 || i > 8 { // the name, idle, waiting for disks, guests
			continue
		}
		n, _ := strconv.ParseInt(f, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * tick
}
