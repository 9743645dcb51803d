package linuxbridge

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namespaceDir is where ip-netns(8) and all its friends look.
const namespaceDir = "/run/netns"

// nsfsMagic is what statfs says of a mounted namespace.
const nsfsMagic = 0x6e736673

// namespace is an open network namespace.
type namespace struct {
	name  string
	fd    netns.NsHandle
	inode uint64 // tells it from a later one of the same name
	nl    *netlink.Handle
}

func (n *namespace) path() string { return filepath.Join(namespaceDir, n.name) }

func (n *namespace) close() {
	n.nl.Close()
	n.fd.Close()
}

// openNamespace returns nil if there is no such namespace.
func openNamespace(name string) (*namespace, error) {
	path := filepath.Join(namespaceDir, name)
	var vfs unix.Statfs_t
	if err := unix.Statfs(path, &vfs); errors.Is(err, fs.ErrNotExist) || err == nil && vfs.Type != nsfsMagic {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("look at namespace %s: %w", name, err)
	}
	fd, err := netns.GetFromPath(path)
	if err != nil {
		return nil, fmt.Errorf("open namespace %s: %w", name, err)
	}
	var stat unix.Stat_t
	err = unix.Fstat(int(fd), &stat)
	var handle *netlink.Handle
	if err == nil {
		handle, err = netlink.NewHandleAt(fd, unix.NETLINK_ROUTE, unix.NETLINK_NETFILTER)
	}
	if err != nil {
		fd.Close()
		return nil, fmt.Errorf("enter namespace %s: %w", name, err)
	}
	return &namespace{name: name, fd: fd, inode: stat.Ino, nl: handle}, nil
}

// ensureNamespace opens a namespace and makes it if necessary.
func ensureNamespace(name string) (n *namespace, made bool, err error) {
	if n, err = openNamespace(name); n != nil || err != nil {
		return n, false, err
	}
	if err = makeNamespace(name); err != nil {
		return nil, false, fmt.Errorf("make namespace %s: %w", name, err)
	}
	if n, err = openNamespace(name); err != nil {
		return nil, false, err
	}
	if n == nil {
		return nil, false, fmt.Errorf("namespace %s went away when just made", name)
	}
	lo, err := n.nl.LinkByName("lo")
	if err == nil {
		err = n.nl.LinkSetUp(lo)
	}
	if err != nil {
		n.close()
		return nil, false, fmt.Errorf("start loopback in namespace %s: %w", name, err)
	}
	return n, true, nil
}

func makeNamespace(name string) error {
	if err := os.MkdirAll(namespaceDir, 0o755); err != nil {
		return err
	}
	// As ip-netns(8) does: a shared mount, so that a namespace that is deleted
	// here goes also from the mount namespaces that were copied in between.
	err := unix.Mount("", namespaceDir, "none", unix.MS_SHARED|unix.MS_REC, "")
	if errors.Is(err, unix.EINVAL) {
		if err = unix.Mount(namespaceDir, namespaceDir, "none", unix.MS_BIND|unix.MS_REC, ""); err == nil {
			err = unix.Mount("", namespaceDir, "none", unix.MS_SHARED|unix.MS_REC, "")
		}
	}
	if err != nil {
		return fmt.Errorf("share %s: %w", namespaceDir, err)
	}
	path := filepath.Join(namespaceDir, name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	file.Close()
	return onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return unix.Mount("/proc/thread-self/ns/net", path, "none", unix.MS_BIND, "")
	})
}

// removeNamespace unmounts a namespace; the kernel ends it with its last user.
func removeNamespace(name string) error {
	path := filepath.Join(namespaceDir, name)
	err := unix.Unmount(path, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("unmount namespace %s: %w", name, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove namespace %s: %w", name, err)
	}
	return nil
}

// namespaces lists the ids behind a prefix of namespaces' names.
func namespaces(prefix string) ([]string, error) {
	entries, err := os.ReadDir(namespaceDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutPrefix(e.Name(), prefix); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// do runs work on a thread inside the namespace: sockets that it opens and
// files below /proc/sys/net that it writes are the namespace's.
func (n *namespace) do(work func() error) error {
	return onOwnThread(func() error {
		if err := unix.Setns(int(n.fd), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter namespace %s: %w", n.name, err)
		}
		return work()
	})
}

// onOwnThread runs work on a thread that ends with it, so that no other
// goroutine ever meets what work did to the thread.
func onOwnThread(work func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- work()
	}()
	return <-result
}
