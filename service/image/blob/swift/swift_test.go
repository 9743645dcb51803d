package swift

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kilonova/internal/fault"
	"kilonova/service/image/blob"
	"kilonova/service/image/blob/blobtest"
)

// real starts a whole Swift on loopback, as Debian has it: a proxy with its own
// users, and one server each for accounts, containers and objects.
func real(t *testing.T) Options {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("a real Swift reads its hash from /etc/swift: this needs root")
	}
	const how = "Debian has it in swift-proxy, swift-account, swift-container, swift-object and memcached"
	programs := map[string]string{}
	for _, name := range []string{"swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server", "swift-ring-builder", "memcached"} {
		programs[name] = blobtest.Program(t, name, how)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "disks", "d1"), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	address := func() (string, string) {
		host, port, _ := net.SplitHostPort(blobtest.FreeAddress(t))
		return host + ":" + port, port
	}
	cache, cachePort := address()
	blobtest.Serve(t, cache, exec.Command(programs["memcached"], "-l", "127.0.0.1", "-p", cachePort, "-u", "root", "-U", "0"))
	for _, kind := range []string{"account", "container", "object"} {
		at, port := address()
		builder := filepath.Join(dir, kind+".builder")
		for _, args := range [][]string{{"create", "4", "1", "0"}, {"add", "r1z1-" + at + "/d1", "1"}, {"rebalance"}} {
			if out, err := exec.Command(programs["swift-ring-builder"], append([]string{builder}, args...)...).CombinedOutput(); err != nil && !strings.Contains(string(out), "Reassigned") {
				t.Fatalf("%v: %v: %s", args, err, out)
			}
		}
		conf := write(kind+".conf", fmt.Sprintf("[DEFAULT]\nswift_dir = %s\ndevices = %s/disks\nmount_check = false\nbind_ip = 127.0.0.1\nbind_port = %s\nuser = root\nworkers = 1\nfallocate_reserve = 0\n"+
			"[pipeline:main]\npipeline = %s-server\n[app:%s-server]\nuse = egg:swift#%s\n", dir, dir, port, kind, kind, kind))
		blobtest.Serve(t, at, exec.Command(programs["swift-"+kind+"-server"], conf))
	}
	at, port := address()
	conf := write("proxy.conf", fmt.Sprintf("[DEFAULT]\nswift_dir = %s\nbind_ip = 127.0.0.1\nbind_port = %s\nuser = root\nworkers = 1\n"+
		"[pipeline:main]\npipeline = catch_errors cache tempauth dlo slo proxy-server\n[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"+
		"[filter:tempauth]\nuse = egg:swift#tempauth\nuser_images_glance = the-key .admin\n[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = %s\n"+
		"[filter:catch_errors]\nuse = egg:swift#catch_errors\n[filter:slo]\nuse = egg:swift#slo\n[filter:dlo]\nuse = egg:swift#dlo\n", dir, port, cache))
	blobtest.Serve(t, at, exec.Command(programs["swift-proxy-server"], conf))
	return Options{AuthAddress: "http://" + at + "/auth/v1.0", AuthVersion: "1", User: "images:glance", Key: "the-key", CreateContainer: true, ChunkMB: 16}
}

func TestLaw(t *testing.T) {
	o := real(t)
	var n atomic.Int64
	blobtest.RunRemote(t, func(t *testing.T) func() blob.Store {
		own := o
		own.Container = fmt.Sprint("images-", n.Add(1))
		return func() blob.Store {
			s, err := New(own, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	})
	t.Run("a wrong key is said to be one", func(t *testing.T) {
		own := o
		own.Key = "wrong-key"
		s, err := New(own, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Open(t.Context(), "aaaa.1"); !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "wrong-key") {
			t.Error(err)
		}
	})
	t.Run("nothing of a blob stays", func(t *testing.T) {
		own := o
		own.Container = "images-left"
		s, _ := New(own, time.Now)
		w, err := s.Create(t.Context(), "aaaa.1", -1)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(make([]byte, 20<<20))
		if err := w.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), "aaaa.1"); err != nil {
			t.Fatal(err)
		}
		if err := s.list(t.Context(), "", func(o object) error { return fmt.Errorf("%s is left", o.Name) }); err != nil {
			t.Error(err)
		}
	})
}

func TestServerThatIsNotThere(t *testing.T) {
	s, err := New(Options{AuthAddress: "http://" + blobtest.FreeAddress(t) + "/v3", User: "service:glance", Key: "the-key"}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	// Neither an error nor an address of a blob has a secret in it (OSSA-2013-002, OSSA-2014-004).
	if _, err := s.Open(ctx, "aaaa.1"); !fault.Is(err, fault.Unavailable) || strings.Contains(err.Error(), "the-key") || strings.Contains(s.URL("aaaa.1"), "glance:") {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {AuthAddress: "a", User: "u", Key: "k"}, {AuthAddress: "a", User: "p:u", Key: "k", AuthVersion: "2"},
		{AuthAddress: "a", User: "p:u", Key: "k", ChunkMB: 1 << 20}, {AuthAddress: "a", User: "p:u", Key: "k", Container: "a/b"}} {
		if _, err := New(o, time.Now); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
