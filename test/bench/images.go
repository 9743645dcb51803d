package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Images is what was measured of an image's way in and out, beside cat on the
// same disk in the same minutes. Throughputs are MiB a second, medians.
type Images struct {
	MiB    int     `json:"mib"`
	Upload float64 `json:"upload"`
	CatIn  float64 `json:"cat_and_sync"`
	// SumIn is cat and sync with md5sum and sha512sum of the same file beside them:
	// what the machine can do of an upload's work, since an image has both sums.
	SumIn    float64 `json:"cat_sync_and_sums"`
	Download float64 `json:"download"`
	CatOut   float64 `json:"cat"`
	// Peak is the most memory of its own that a process of the roles identity and
	// image had meanwhile, Whole the same with what it shares of its program.
	Peak  float64 `json:"peak_anonymous_mib"`
	Whole float64 `json:"peak_pss_mib"`
}

// imageRounds are how often each way is gone.
const imageRounds = 3

// images measures the way of an image of so many MiB.
func images(ctx context.Context, binary string, mib int) (*Images, error) {
	folder, err := os.MkdirTemp("", "kilonova-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	source := filepath.Join(folder, "source")
	f, err := os.Create(source)
	if err != nil {
		return nil, err
	}
	_, err = io.CopyN(f, rand.Reader, int64(mib)<<20)
	if closeErr := f.Close(); err != nil || closeErr != nil {
		return nil, fmt.Errorf("%w %w", err, closeErr)
	}
	child, err := serve(ctx, binary, filepath.Join(folder, "cloud"), 1, peerRounds, "roles = \"identity,image\"\n")
	if err != nil {
		return nil, err
	}
	defer child.stop()
	processes := only(child.cmd.Process.Pid)
	c, err := open(ctx, child.env, processes)
	if err != nil {
		return nil, err
	}
	out := &Images{MiB: mib}
	end := out.watch(processes)
	err = out.rounds(ctx, c, folder, source)
	end()
	say("peak memory meanwhile: %.1f MiB of its own, %.1f in all", out.Peak, out.Whole)
	return out, err
}

// watch looks at a process's memory until the function that it returns is called.
func (m *Images) watch(processes tree) (end func()) {
	done := make(chan struct{})
	var watching sync.WaitGroup
	var peak, whole float64
	watching.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			now := processes.memory()
			peak, whole = max(peak, now.Anonymous), max(whole, now.PSS)
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return func() {
		close(done)
		watching.Wait()
		m.Peak, m.Whole = peak, whole
	}
}

func (m *Images) rounds(ctx context.Context, c *cloud, folder, source string) error {
	took := map[string][]float64{}
	timed := func(name string, do func() error) error {
		began := time.Now()
		if err := do(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		took[name] = append(took[name], float64(m.MiB)/time.Since(began).Seconds())
		return nil
	}
	copied := filepath.Join(folder, "copy")
	shell := func(script string) error {
		return exec.CommandContext(ctx, "sh", "-c", script, "sh", source, copied).Run()
	}
	for range imageRounds {
		var id string
		for _, step := range []struct {
			name string
			do   func() error
		}{
			{"cat in", func() error { return shell(`cat "$1" > "$2" && sync "$2"`) }},
			{"sums in", func() error {
				return shell(`md5sum "$1" > /dev/null & sha512sum "$1" > /dev/null & cat "$1" > "$2" && sync "$2" && wait`)
			}},
			{"up", func() (err error) { id, err = uploadImage(ctx, c, source); return err }},
			{"cat out", func() error { return shell(`cat "$1" > "$2"`) }},
			{"down", func() error { return downloadImage(ctx, c, id, copied) }},
		} {
			if err := timed(step.name, step.do); err != nil {
				return err
			}
			if step.name != "up" && step.name != "down" {
				if err := os.Remove(copied); err != nil {
					return err
				}
			}
		}
		if err := shell(`cmp "$1" "$2" && rm "$2"`); err != nil {
			return fmt.Errorf("what came back is not what went in: %w", err)
		}
		if _, err := c.call(ctx, "DELETE", "image", "/images/"+id, nil); err != nil {
			return err
		}
	}
	median := func(name string) float64 {
		slices.Sort(took[name])
		return rounded(took[name][len(took[name])/2])
	}
	m.CatIn, m.SumIn, m.Upload, m.CatOut, m.Download = median("cat in"), median("sums in"), median("up"), median("cat out"), median("down")
	say("image of %d MiB: up %.0f (cat and sync %.0f, with md5sum and sha512sum %.0f), down %.0f (cat %.0f) MiB/s", m.MiB, m.Upload, m.CatIn, m.SumIn, m.Download, m.CatOut)
	return nil
}

func uploadImage(ctx context.Context, c *cloud, source string) (string, error) {
	body, err := c.call(ctx, "POST", "image", "/images", object{"name": "bench", "disk_format": "raw", "container_format": "bare"})
	if err != nil {
		return "", err
	}
	var made struct{ ID string }
	if err := json.Unmarshal(body, &made); err != nil {
		return "", err
	}
	f, err := os.Open(source)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return made.ID, stream(ctx, c, "PUT", made.ID, f, io.Discard)
}

func downloadImage(ctx context.Context, c *cloud, id, into string) error {
	f, err := os.Create(into)
	if err != nil {
		return err
	}
	defer f.Close()
	return stream(ctx, c, "GET", id, nil, f)
}

// stream moves an image's data.
func stream(ctx context.Context, c *cloud, method, id string, in *os.File, out io.Writer) error {
	var body io.Reader
	if in != nil {
		body = in
	}
	req, err := http.NewRequestWithContext(ctx, method, c.endpoints["image"]+"/images/"+id+"/file", body)
	if err != nil {
		return err
	}
	req.Header.Set("X-Auth-Token", c.token)
	if in != nil {
		info, err := in.Stat()
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/octet-stream")
		req.ContentLength = info.Size()
	}
	resp, err := (&http.Client{Transport: c.http.Transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("status %s: %s", strconv.Itoa(resp.StatusCode), strings.TrimSpace(string(text)))
	}
	_, err = io.Copy(out, resp.Body)
	return err
}

// imageGoals compares an image's way with what was promised of it.
func imageGoals(m *Images) (goals []Goal) {
	for _, g := range []struct {
		what     string
		ours, by float64
	}{{"upload beside cat and sync", m.Upload, m.CatIn}, {"download beside cat", m.Download, m.CatOut}} {
		if g.by > 0 {
			share := rounded(100 * g.ours / g.by)
			goals = append(goals, Goal{g.what, "%, at least", 80, share, share >= 80})
		}
	}
	if m.SumIn > 0 {
		share := rounded(100 * m.Upload / m.SumIn)
		goals = append(goals, Goal{"upload beside cat, sync, md5sum and sha512sum", "%, at least", 80, share, share >= 80})
	}
	return append(goals, Goal{"memory while images come and go", "MiB", 64, m.Whole, m.Whole > 0 && m.Whole < 64})
}
