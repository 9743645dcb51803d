package cinder

import (
	"context"
	"crypto/md5" //nolint:gosec // a name that others know it by
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"kilonova/internal/fault"
)

// connection is what the volume service says of how a volume is reached; some
// services put its members at the top, others below data.
type connection struct {
	Type string `json:"driver_volume_type"`
	access
	Data *access `json:"data"`
}

type access struct {
	DevicePath string `json:"device_path"`
	Path       string `json:"path"`
	Export     string `json:"export"` // of NFS: host:/path
	Name       string `json:"name"`   // of the file there
	Options    string `json:"options"`
	Format     string `json:"format"`
}

// connect opens what a connection leads to.
func (s *Store) connect(ctx context.Context, id string, info json.RawMessage, mode string) (*os.File, error) {
	var c connection
	if err := json.Unmarshal(info, &c); err != nil {
		return nil, fault.New(fault.Unavailable, "The volume service says of volume %s what cannot be read: %w", id, err)
	}
	at := c.access
	if c.Data != nil {
		at = *c.Data
	}
	if at.Format != "" && at.Format != "raw" {
		return nil, fault.New(fault.Unsupported, "Volume %s has the format %.32q; images can be kept in raw ones.", id, at.Format)
	}
	path := at.DevicePath
	switch c.Type {
	case "file", "local":
		if path == "" {
			path = at.Path
		}
	case "nfs":
		share, err := s.mounted(ctx, at)
		if err != nil {
			return nil, err
		}
		if at.Name == "" || filepath.Base(at.Name) != at.Name {
			return nil, fault.New(fault.Unavailable, "The volume service names the file %.64q for volume %s, which is none of a share's.", at.Name, id)
		}
		path = filepath.Join(share, at.Name)
	default:
		return nil, fault.New(fault.Unsupported, "Volume %s is reached by %.32q; file, local and nfs are known.", id, c.Type)
	}
	if !filepath.IsAbs(path) {
		return nil, fault.New(fault.Unavailable, "The volume service gives no absolute path for volume %s.", id)
	}
	flag := os.O_RDONLY
	if mode == "rw" {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "Volume %s cannot be opened on this host.", id)
	}
	return f, nil
}

// mounted is where an NFS share is on this host, under the name that upstream's
// services give it there. It is mounted if it is not.
func (s *Store) mounted(ctx context.Context, at access) (string, error) {
	if at.Export == "" || strings.HasPrefix(at.Export, "-") {
		return "", fault.New(fault.Unavailable, "The volume service names the NFS export %.64q.", at.Export)
	}
	sum := md5.Sum([]byte(at.Export)) //nolint:gosec // see above
	dir := filepath.Join(s.o.MountPoint, hex.EncodeToString(sum[:]))
	if _, err := os.Stat(filepath.Join(dir, at.Name)); err == nil || !errors.Is(err, os.ErrNotExist) {
		return dir, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	args := []string{"-t", "nfs"}
	if fields := strings.Fields(at.Options); len(fields) == 2 && fields[0] == "-o" {
		args = append(args, "-o", fields[1])
	}
	if _, err := s.run.Run(ctx, nil, "mount", append(args, "--", at.Export, dir)...); err != nil {
		return "", fault.Wrap(err, fault.Unavailable, "The share %s cannot be mounted on this host.", at.Export)
	}
	return dir, nil
}
