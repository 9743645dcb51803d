package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
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
	SumIn float64 `json:"cat_sync_and_sums"`
	// Quick is the upload where the operator has left MD5 out and chosen SHA-256, and
	// has it written without the kernel's copy.
	Quick    float64 `json:"upload_sha256_only"`
	Download float64 `json:"download"`
	CatOut   float64 `json:"cat"`
	// DownloadCold and CatCold begin with nothing of the data in memory, so that the
	// disk is read; 0 where this process may not clear the kernel's cache.
	DownloadCold float64 `json:"download_cold,omitempty"`
	CatCold      float64 `json:"cat_cold,omitempty"`
	// Peak is the most memory of its own that a process of the roles identity and
	// image had meanwhile, Whole the same with what it shares of its program.
	Peak  float64 `json:"peak_anonymous_mib"`
	Whole float64 `json:"peak_pss_mib"`

	cold bool // reads from the disk are measured too
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
	const roles = "roles = \"identity,image\"\n"
	child, c, err := imageCloud(ctx, binary, filepath.Join(folder, "cloud"), roles)
	if err != nil {
		return nil, err
	}
	defer child.stop()
	quickChild, quick, err := imageCloud(ctx, binary, filepath.Join(folder, "quick"), roles+"image.legacy_checksum = false\nimage.hashing_algorithm = \"sha256\"\nimage.stores.file.filesystem_store_direct_io = true\n")
	if err != nil {
		return nil, err
	}
	defer quickChild.stop()
	out := &Images{MiB: mib, cold: clearCache() == nil}
	end := out.watch(c.processes)
	err = out.rounds(ctx, c, quick, folder, source)
	end()
	say("peak memory meanwhile: %.1f MiB of its own, %.1f in all", out.Peak, out.Whole)
	return out, err
}

func imageCloud(ctx context.Context, binary, data, options string) (*child, *cloud, error) {
	started, err := serve(ctx, binary, data, 1, peerRounds, options)
	if err != nil {
		return nil, nil, err
	}
	c, err := open(ctx, started.env, only(started.cmd.Process.Pid))
	if err != nil {
		return nil, nil, errors.Join(err, started.stop())
	}
	return started, c, nil
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

// rounds goes all the ways. quick is a second cloud, whose images have but one hash.
func (m *Images) rounds(ctx context.Context, c, quick *cloud, folder, source string) error {
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
		var id, quickID string
		for _, step := range []struct {
			name string
			do   func() error
			cold bool
		}{
			{"cat in", func() error { return shell(`cat "$1" > "$2" && sync "$2"`) }, false},
			{"sums in", func() error {
				return shell(`md5sum "$1" > /dev/null & sha512sum "$1" > /dev/null & cat "$1" > "$2" && sync "$2" && wait`)
			}, false},
			{"up", func() (err error) { id, err = uploadImage(ctx, c, source); return err }, false},
			{"quick up", func() (err error) { quickID, err = uploadImage(ctx, quick, source); return err }, false},
			{"cat out", func() error { return shell(`cat "$1" > "$2"`) }, false},
			{"down", func() error { return downloadImage(ctx, c, id, copied) }, false},
			{"cold cat", func() error { return shell(`cat "$1" > "$2"`) }, true},
			{"cold down", func() error { return downloadImage(ctx, c, id, copied) }, true},
		} {
			if step.cold && !m.cold {
				continue
			}
			if step.cold {
				if err := clearCache(); err != nil {
					return err
				}
			}
			if err := timed(step.name, step.do); err != nil {
				return err
			}
			if strings.HasSuffix(step.name, "down") {
				if err := shell(`cmp "$1" "$2"`); err != nil {
					return fmt.Errorf("what came back is not what went in: %w", err)
				}
			}
			if err := os.Remove(copied); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if _, err := c.call(ctx, "DELETE", "image", "/images/"+id, nil); err != nil {
			return err
		}
		if _, err := quick.call(ctx, "DELETE", "image", "/images/"+quickID, nil); err != nil {
			return err
		}
	}
	median := func(name string) float64 {
		if len(took[name]) == 0 {
			return 0
		}
		slices.Sort(took[name])
		return rounded(took[name][len(took[name])/2])
	}
	m.CatIn, m.SumIn, m.Upload, m.CatOut, m.Download = median("cat in"), median("sums in"), median("up"), median("cat out"), median("down")
	m.Quick, m.DownloadCold, m.CatCold = median("quick up"), median("cold down"), median("cold cat")
	say("image of %d MiB: up %.0f, with SHA-256 alone %.0f (cat and sync %.0f, with md5sum and sha512sum %.0f), down %.0f (cat %.0f), from the disk %.0f (cat %.0f) MiB/s",
		m.MiB, m.Upload, m.Quick, m.CatIn, m.SumIn, m.Download, m.CatOut, m.DownloadCold, m.CatCold)
	return nil
}

// clearCache has the kernel forget what it keeps of files, which only root may ask.
func clearCache() error {
	syscall.Sync()
	return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3"), 0)
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
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, "PUT", c.endpoints["image"]+"/images/"+made.ID+"/file", f)
	if err != nil {
		return "", err
	}
	req.Header.Set("X-Auth-Token", c.token)
	req.Header.Set("Content-Type", "application/octet-stream")
	req.ContentLength = info.Size()
	resp, err := (&http.Client{Transport: c.http.Transport}).Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	return made.ID, refusal(resp)
}

// downloadImage takes an image's data from a connection of its own, by the kernel
// (splice): what is measured is the way to here, and not this client.
func downloadImage(ctx context.Context, c *cloud, id, into string) error {
	req, err := http.NewRequestWithContext(ctx, "GET", c.endpoints["image"]+"/images/"+id+"/file", nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Auth-Token", c.token)
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", req.URL.Host)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := req.Write(conn); err != nil {
		return err
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return err
	}
	if err := refusal(resp); err != nil {
		return err
	}
	f, err := os.Create(into)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.CopyN(f, in, int64(in.Buffered()))
	if err == nil {
		_, err = io.Copy(f, io.LimitReader(conn, resp.ContentLength-n))
	}
	return err
}

func refusal(resp *http.Response) error {
	if resp.StatusCode/100 == 2 {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	return fmt.Errorf("status %s: %s", strconv.Itoa(resp.StatusCode), strings.TrimSpace(string(text)))
}

// imageGoals compares an image's way with what was promised of it.
func imageGoals(m *Images) (goals []Goal) {
	for _, g := range []struct {
		what     string
		ours, by float64
	}{
		{"upload beside cat and sync", m.Upload, m.CatIn}, {"upload beside cat, sync, md5sum and sha512sum", m.Upload, m.SumIn},
		{"upload with SHA-256 alone beside cat and sync", m.Quick, m.CatIn},
		{"download beside cat", m.Download, m.CatOut}, {"download beside cat, from the disk", m.DownloadCold, m.CatCold},
	} {
		if g.by > 0 {
			share := rounded(100 * g.ours / g.by)
			goals = append(goals, Goal{g.what, "%, at least", 80, share, share >= 80})
		}
	}
	return append(goals, Goal{"memory while images come and go", "MiB", 64, m.Whole, m.Whole > 0 && m.Whole < 64})
}
