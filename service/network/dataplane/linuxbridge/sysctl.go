package linuxbridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"kilonova/internal/fault"
)

// writeSysctl sets a value of the calling thread's namespace, given by its path
// below /proc/sys.
func writeSysctl(path, value string) error {
	full := filepath.Join("/proc/sys", path)
	if now, err := os.ReadFile(full); err == nil && strings.TrimSpace(string(now)) == value {
		return nil
	}
	if err := os.WriteFile(full, []byte(value), 0); err != nil {
		return fmt.Errorf("set sysctl %s to %s: %w", path, value, err)
	}
	return nil
}

// quietDevice takes IPv6 away from a host device that only carries others'
// packets, so that the host does not become a neighbour there. A kernel without
// IPv6 has nothing to take.
func quietDevice(name string) error {
	err := writeSysctl("net/ipv6/conf/"+name+"/disable_ipv6", "1")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// changeSysctl sets a value of the host and remembers in the state folder what
// it was, so that Clean can restore it.
func (d *Driver) changeSysctl(path, value string) error {
	if _, err := d.rememberSysctl(path, value); err != nil {
		return err
	}
	return writeSysctl(path, value)
}

// rememberSysctl writes down a value of the host that is about to change to
// another, and tells whether it had to.
func (d *Driver) rememberSysctl(path, value string) (remembered bool, err error) {
	now, err := os.ReadFile(filepath.Join("/proc/sys", path))
	if err != nil {
		return false, fmt.Errorf("read sysctl %s: %w", path, err)
	}
	changed, err := d.changedSysctls()
	if err != nil {
		return false, err
	}
	before := strings.TrimSpace(string(now))
	if _, known := changed[path]; known || before == value {
		return false, nil
	}
	changed[path] = before
	text, err := json.MarshalIndent(changed, "", "\t")
	if err != nil {
		return false, err
	}
	return true, d.writeState("sysctl.json", text)
}

// changedSysctls returns what changeSysctl remembers: path and former value.
func (d *Driver) changedSysctls() (map[string]string, error) {
	changed := map[string]string{}
	text, err := os.ReadFile(d.sysctlFile())
	if errors.Is(err, fs.ErrNotExist) {
		return changed, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &changed)
	}
	if err != nil {
		return nil, fault.Wrap(err, fault.Internal, "The list of changed sysctls %s cannot be read.", d.sysctlFile())
	}
	return changed, nil
}

// restoreSysctl puts back one remembered value, or all for an empty path.
func (d *Driver) restoreSysctl(only string) error {
	changed, err := d.changedSysctls()
	if err != nil {
		return err
	}
	for path, value := range changed {
		if only != "" && path != only {
			continue
		}
		if err := writeSysctl(path, value); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		delete(changed, path)
	}
	if len(changed) == 0 {
		if err := os.Remove(d.sysctlFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.MarshalIndent(changed, "", "\t")
	if err != nil {
		return err
	}
	return d.writeState("sysctl.json", text)
}

func (d *Driver) sysctlFile() string { return filepath.Join(d.cfg.StateDir, "sysctl.json") }

func (d *Driver) writeState(name string, text []byte) error {
	if err := os.MkdirAll(d.cfg.StateDir, 0o755); err != nil {
		return err
	}
	_, err := replaceFile(filepath.Join(d.cfg.StateDir, name), text)
	return err
}

// replaceFile writes a file whole or not at all, and tells whether its content
// changed.
func replaceFile(path string, text []byte) (changed bool, err error) {
	if now, err := os.ReadFile(path); err == nil && string(now) == string(text) {
		return false, nil
	}
	if err := os.WriteFile(path+".new", text, 0o644); err != nil {
		return false, err
	}
	return true, os.Rename(path+".new", path)
}
