package cloud

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/containers"
	"github.com/gophercloud/gophercloud/v2/openstack/objectstorage/v1/objects"
)

// TestObjectsKilledAtAnyMoment kills the process while objects are written, copied and
// deleted: afterwards each is as it was or as it was to be, whole, and the devices
// have what is referred to and nothing else.
func TestObjectsKilledAtAnyMoment(t *testing.T) {
	p := newProcess(t)
	p.start(t)
	p.fillAndLogIn(t)
	u := objectStore(t, p.demo)
	if err := containers.Create(t.Context(), u, "box", nil).Err; err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(number("KILONOVA_SEED", 7), 2026))
	const writers = 4
	// What each writer's two objects may be: one sum, or two after an answer that got lost; "" is none.
	may := make([][2][]string, writers)
	for i := range may {
		may[i] = [2][]string{{""}, {""}}
	}
	for round := range number("KILONOVA_KILLS", 3) {
		var stop atomic.Bool
		var work sync.WaitGroup
		for w := range writers {
			own := rand.New(rand.NewPCG(uint64(round), uint64(w)))
			work.Go(func() {
				for !stop.Load() {
					changeObject(t, u, own, w, &may[w], &stop)
				}
			})
		}
		<-time.After(time.Duration(50+rnd.IntN(250)) * time.Millisecond)
		p.kill(t)
		stop.Store(true)
		work.Wait()
		p.start(t)
		u = objectStore(t, p.login(t, "demo", "demo-pw", "demo"))
		sums := map[string]bool{}
		for w := range writers {
			for n := range 2 {
				got := objectSum(t, u, fmt.Sprintf("w%d/%d", w, n))
				if !strings.Contains(strings.Join(may[w][n], " ")+" ", got+" ") {
					t.Fatalf("round %d: object w%d/%d is %q, and may be %q", round, w, n, got, may[w][n])
				}
				if may[w][n] = []string{got}; got != "" {
					sums[got] = true
				}
			}
		}
		eventually(t, "what the devices have", func() string {
			whole, _ := filepath.Glob(filepath.Join(p.data, "objects", "???", "*"))
			begun, _ := filepath.Glob(filepath.Join(p.data, "objects", "???", ".*"))
			if len(whole) != len(sums) || len(begun) != 0 {
				return fmt.Sprintf("%d payloads and %d begun ones for %d", len(whole), len(begun), len(sums))
			}
			return ""
		})
	}
}

// changeObject writes, copies or deletes one of a writer's objects, and notes what it
// may be from then on.
func changeObject(t *testing.T, u *gophercloud.ServiceClient, rnd *rand.Rand, w int, may *[2][]string, stop *atomic.Bool) {
	n := rnd.IntN(2)
	name, other := fmt.Sprintf("w%d/%d", w, n), fmt.Sprintf("w%d/%d", w, 1-n)
	var next []string
	var err error
	switch rnd.IntN(4) {
	case 0, 1:
		content := make([]byte, 1+rnd.IntN(1<<20))
		for i := range content {
			content[i] = byte(rnd.Uint32())
		}
		sum := md5.Sum(content)
		next = []string{hex.EncodeToString(sum[:])}
		err = objects.Create(t.Context(), u, "box", name, objects.CreateOpts{Content: bytes.NewReader(content)}).Err
	case 2:
		if len(may[1-n]) != 1 || may[1-n][0] == "" {
			return
		}
		next = may[1-n]
		err = objects.Copy(t.Context(), u, "box", other, objects.CopyOpts{Destination: "/box/" + name}).Err
	case 3:
		next = []string{""}
		err = objects.Delete(t.Context(), u, "box", name, nil).Err
		if gophercloud.ResponseCodeIs(err, 404) {
			err = nil
		}
	}
	if err == nil {
		may[n] = next
		return
	}
	may[n] = append(may[n], next...)
	stop.Store(true) // the process is gone
}

// objectSum reads an object; "" there is none.
func objectSum(t *testing.T, u *gophercloud.ServiceClient, name string) string {
	t.Helper()
	r := objects.Download(t.Context(), u, "box", name, nil)
	if gophercloud.ResponseCodeIs(r.Err, 404) {
		return ""
	}
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	defer r.Body.Close()
	h := md5.New()
	if _, err := io.Copy(h, r.Body); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	sum := hex.EncodeToString(h.Sum(nil))
	if tag := r.Header.Get("Etag"); tag != sum {
		t.Fatalf("%s has the sum %s and says %s", name, sum, tag)
	}
	return sum
}

// Who reads while others replace or delete gets one object whole, or none.
func TestObjectsAreReadWhole(t *testing.T) {
	c := one(t)
	u := objectStore(t, c.demo)
	if err := containers.Create(t.Context(), u, "box", nil).Err; err != nil {
		t.Fatal(err)
	}
	putObject(t, u, "box", "x", "start")
	var stop atomic.Bool
	var work sync.WaitGroup
	reads, missing := atomic.Int64{}, atomic.Int64{}
	for range 3 {
		work.Go(func() {
			for !stop.Load() {
				r := objects.Download(t.Context(), u, "box", "x", nil)
				if gophercloud.ResponseCodeIs(r.Err, 404) {
					missing.Add(1)
					continue
				}
				if r.Err != nil {
					t.Error(r.Err)
					return
				}
				data, err := io.ReadAll(r.Body)
				r.Body.Close()
				sum := md5.Sum(data)
				if err != nil || hex.EncodeToString(sum[:]) != r.Header.Get("Etag") {
					t.Error(len(data), err)
				}
				reads.Add(1)
			}
		})
	}
	for i := range 60 {
		if i%10 == 9 {
			if err := objects.Delete(t.Context(), u, "box", "x", nil).Err; err != nil {
				t.Error(err)
			}
		}
		putObject(t, u, "box", "x", strings.Repeat(fmt.Sprint(i), 100000))
	}
	stop.Store(true)
	work.Wait()
	if reads.Load() < 20 {
		t.Errorf("%d reads, %d of nothing", reads.Load(), missing.Load())
	}
}

// A client that goes away in the middle of an upload leaves nothing.
func TestCutUploadLeavesNothing(t *testing.T) {
	c := one(t)
	u := objectStore(t, c.demo)
	if err := containers.Create(t.Context(), u, "box", nil).Err; err != nil {
		t.Fatal(err)
	}
	from, to := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- objects.Create(t.Context(), u, "box", "cut", objects.CreateOpts{Content: from, NoETag: true}).Err
	}()
	if _, err := to.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the upload", func() string {
		if len(payloads(t, c)) == 0 {
			return "nothing has come"
		}
		return ""
	})
	to.CloseWithError(os.ErrClosed)
	if <-done == nil {
		t.Error("it is taken for whole")
	}
	eventually(t, "what is left", func() string { return strings.Join(payloads(t, c), " ") })
	if got := objectSum(t, u, "cut"); got != "" {
		t.Error("there is an object")
	}
}
