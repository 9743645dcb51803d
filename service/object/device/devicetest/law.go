// Package devicetest is the law that every device of the object store obeys, as
// tests. A driver's own test calls Run with a way to make an empty device.
package devicetest

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"kilonova/internal/fault"
	"kilonova/service/object/device"
)

const key = "00112233445566778899aabbccddeeff"

// Run tests a driver. open returns the same device each time it is called within one
// test, as a process would find it that starts anew.
func Run(t *testing.T, fresh func(t *testing.T) (open func() device.Device)) {
	for name, law := range map[string]func(*testing.T, func() device.Device){
		"a payload comes back as it went in":     roundTrip,
		"nothing is seen before the commit":      unseen,
		"what is aborted leaves nothing":         aborted,
		"a key is written once":                  once,
		"what is open outlives its deletion":     outlives,
		"what was begun can be deleted":          begunDeleted,
		"deleting twice is deleting once":        deletedTwice,
		"all payloads are listed":                listed,
		"much is written at the same time":       atOnce,
		"bad keys are refused everywhere":        badKeys,
		"more than there is room for is told so": tooMuch,
	} {
		t.Run(name, func(t *testing.T) { law(t, fresh(t)) })
	}
}

func create(t *testing.T, d device.Device, key string) device.Writer {
	t.Helper()
	w, err := d.Create(t.Context(), key, -1)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func put(t *testing.T, d device.Device, key, content string) {
	t.Helper()
	w := create(t, d, key)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Commit(), w.Abort()); err != nil {
		t.Fatal(err)
	}
}

// get returns a payload, and whether there is one.
func get(t *testing.T, d device.Device, key string) (string, bool) {
	t.Helper()
	r, err := d.Open(t.Context(), key)
	if errors.Is(err, device.ErrNotFound) {
		return "", false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil || int64(len(data)) != r.Size() {
		t.Fatalf("read %d of %d: %v", len(data), r.Size(), err)
	}
	return string(data), true
}

func all(t *testing.T, d device.Device) map[string]device.Entry {
	t.Helper()
	found := map[string]device.Entry{}
	if err := d.Each(t.Context(), func(e device.Entry) error { found[e.Key] = e; return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

func roundTrip(t *testing.T, open func() device.Device) {
	content := strings.Repeat("0123456789", 200000)
	put(t, open(), key, content)
	if got, ok := get(t, open(), key); !ok || got != content {
		t.Fatal(len(got), ok)
	}
	r, err := open().Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	part := make([]byte, 5)
	if _, err := r.Seek(1000003, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, part); err != nil || string(part) != "34567" {
		t.Error(string(part), err)
	}
	put(t, open(), key+"00", "")
	if got, ok := get(t, open(), key+"00"); !ok || got != "" {
		t.Error("an empty payload is lost")
	}
}

func unseen(t *testing.T, open func() device.Device) {
	w := create(t, open(), key)
	if _, err := io.WriteString(w, "half"); err != nil {
		t.Fatal(err)
	}
	if _, ok := get(t, open(), key); ok {
		t.Error("half a payload can be read")
	}
	if e, ok := all(t, open())[key]; !ok || e.Whole {
		t.Errorf("begun, it is listed as %+v", e)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if got, _ := get(t, open(), key); got != "half" {
		t.Error(got)
	}
}

func aborted(t *testing.T, open func() device.Device) {
	w := create(t, open(), key)
	if err := errors.Join(w.Abort(), w.Abort()); err != nil {
		t.Fatal(err)
	}
	if w.Commit() == nil {
		t.Error("what was aborted is committed")
	}
	if found := all(t, open()); len(found) != 0 {
		t.Error(found)
	}
	put(t, open(), key, "anew")
}

func once(t *testing.T, open func() device.Device) {
	w := create(t, open(), key)
	if _, err := open().Create(t.Context(), key, -1); !fault.Is(err, fault.Conflict) {
		t.Error("begun twice:", err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := open().Create(t.Context(), key, -1); !fault.Is(err, fault.Conflict) {
		t.Error("written twice:", err)
	}
}

func outlives(t *testing.T, open func() device.Device) {
	content := strings.Repeat("x", 3<<20)
	put(t, open(), key, content)
	r, err := open().Open(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := open().Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if data, err := io.ReadAll(r); err != nil || string(data) != content {
		t.Error(len(data), err)
	}
	if _, ok := get(t, open(), key); ok {
		t.Error("it is still there")
	}
}

func begunDeleted(t *testing.T, open func() device.Device) {
	w := create(t, open(), key)
	if err := open().Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if w.Commit() == nil {
		t.Error("what was deleted while it came is committed")
	}
	if found := all(t, open()); len(found) != 0 {
		t.Error(found)
	}
}

func deletedTwice(t *testing.T, open func() device.Device) {
	put(t, open(), key, "x")
	for range 2 {
		if err := open().Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
	}
}

func listed(t *testing.T, open func() device.Device) {
	for i := range 20 {
		put(t, open(), fmt.Sprintf("%032x", i*0x1234567), strings.Repeat("x", i))
	}
	found := all(t, open())
	for i := range 20 {
		if e, ok := found[fmt.Sprintf("%032x", i*0x1234567)]; !ok || !e.Whole || e.Size != int64(i) || e.Modified.IsZero() {
			t.Errorf("%d: %+v", i, e)
		}
	}
	stop := errors.New("enough")
	if err := open().Each(t.Context(), func(device.Entry) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func atOnce(t *testing.T, open func() device.Device) {
	d := open()
	var work sync.WaitGroup
	for i := range 16 {
		work.Go(func() {
			w, err := d.Create(t.Context(), fmt.Sprintf("%032x", i), -1)
			if err != nil {
				t.Error(err)
				return
			}
			_, err = io.WriteString(w, strings.Repeat(string(rune('a'+i)), 100000))
			if err = errors.Join(err, w.Commit()); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	for i := range 16 {
		if got, ok := get(t, d, fmt.Sprintf("%032x", i)); !ok || got != strings.Repeat(string(rune('a'+i)), 100000) {
			t.Error(i, len(got), ok)
		}
	}
}

func badKeys(t *testing.T, open func() device.Device) {
	d := open()
	for _, bad := range []string{"", "..", "../../../../etc/passwd", strings.Repeat("a", 65), strings.Repeat("A", 32), "0123456789abcde/", "short"} {
		_, err := d.Create(t.Context(), bad, 1)
		_, opened := d.Open(t.Context(), bad)
		for _, err := range []error{err, opened, d.Delete(t.Context(), bad)} {
			if !fault.Is(err, fault.Invalid) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	}
}

func tooMuch(t *testing.T, open func() device.Device) {
	if _, err := open().Create(t.Context(), key, 1<<60); !errors.Is(err, device.ErrFull) {
		t.Error(err)
	}
	if found := all(t, open()); len(found) != 0 {
		t.Error(found)
	}
}
