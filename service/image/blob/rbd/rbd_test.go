package rbd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kilonova/internal/host"
	"kilonova/service/image/blob"
	"kilonova/service/image/blob/blobtest"
)

// cluster starts a whole Ceph on loopback: one monitor, and one daemon that keeps
// objects in memory.
func cluster(t *testing.T) (conf string, ceph func(args ...string) string) {
	t.Helper()
	const how = "Debian has it in ceph-mon, ceph-osd and ceph-common"
	for _, name := range []string{"ceph-mon", "ceph-osd", "ceph", "rbd", "monmaptool"} {
		blobtest.Program(t, name, how)
	}
	dir, address := t.TempDir(), blobtest.FreeAddress(t)
	for _, name := range []string{"mon", "osd", "run"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	const fsid = "7b1ddc8d-6bb2-4f7a-9f0b-0c1d6c1b2a3d"
	conf = filepath.Join(dir, "ceph.conf")
	text := strings.NewReplacer("DIR", dir, "ADDRESS", address, "FSID", fsid).Replace(`[global]
fsid = FSID
mon host = [v2:ADDRESS]
auth cluster required = none
auth service required = none
auth client required = none
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail crit = 1
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
run dir = DIR/run
admin socket = DIR/run/$cluster-$name-$pid.asok
log file = DIR/$name.log
mon cluster log file = DIR/cluster.log
mon data = DIR/mon
osd data = DIR/osd
osd objectstore = memstore
memstore device bytes = 1073741824
keyring = DIR/keyring
[client]
log file = /dev/null
admin socket =
`)
	for name, data := range map[string]string{conf: text, filepath.Join(dir, "keyring"): ""} {
		if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) string {
		t.Helper()
		out, err := exec.Command(blobtest.Program(t, name, how), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	ceph = func(args ...string) string {
		t.Helper()
		return run("ceph", append([]string{"--conf", conf, "--connect-timeout", "20"}, args...)...)
	}
	run("monmaptool", "--create", "--addv", "a", "[v2:"+address+"]", "--fsid", fsid, filepath.Join(dir, "monmap"))
	run("ceph-mon", "-c", conf, "--id", "a", "--mkfs", "--monmap", filepath.Join(dir, "monmap"), "--keyring", filepath.Join(dir, "keyring"))
	blobtest.Serve(t, address, exec.Command(blobtest.Program(t, "ceph-mon", how), "-c", conf, "--id", "a", "-f"))
	id := ceph("osd", "create")
	id = id[strings.LastIndex(id, "\n")+1:]
	run("ceph-osd", "-c", conf, "--id", id, "--mkfs")
	daemon := exec.Command(blobtest.Program(t, "ceph-osd", how), "-c", conf, "--id", id, "-f")
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Process.Kill(); daemon.Wait() })
	deadline, tick := time.After(time.Minute), time.NewTicker(200*time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(ceph("osd", "stat"), "1 up") {
		select {
		case <-deadline:
			t.Fatal("the daemon does not come up")
		case <-tick.C:
		}
	}
	return conf, ceph
}

func TestLaw(t *testing.T) {
	conf, ceph := cluster(t)
	var n atomic.Int64
	pool := func() string {
		name := fmt.Sprint("images-", n.Add(1))
		ceph("osd", "pool", "create", name, "1", "1")
		ceph("osd", "pool", "application", "enable", name, "rbd")
		return name
	}
	open := func(t *testing.T, pool string) *Store {
		s, err := New(Options{Pool: pool, Conf: conf}, host.Local{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	blobtest.RunRemote(t, func(t *testing.T) func() blob.Store {
		name := pool()
		return func() blob.Store { return open(t, name) }
	})
	t.Run("a device with clones is kept for them", func(t *testing.T) {
		s := open(t, pool())
		w, err := s.Create(t.Context(), "aaaa.1", -1)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(w, "the disk of a server")
		if err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.rbd(t.Context(), "clone", s.device("aaaa.1")+"@"+snapshot, s.device("server_disk")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := s.Delete(t.Context(), "aaaa.1"); err != nil {
				t.Fatal(err)
			}
		}
		out, err := host.Local{}.Run(t.Context(), nil, "rbd", "--conf", conf, "export", "--no-progress", s.device("server_disk"), "-")
		if err != nil || !strings.HasPrefix(string(out), "the disk of a server") {
			t.Errorf("%.40q, %v", out, err)
		}
		if err := s.Each(t.Context(), func(e blob.Entry) error { return fmt.Errorf("%s is listed", e.Key) }); err != nil {
			t.Error(err)
		}
	})
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{Pool: "a/b"}, {Pool: "-x"}, {ChunkMB: 3}, {ChunkMB: 64}} {
		if _, err := New(o, host.Local{}); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
