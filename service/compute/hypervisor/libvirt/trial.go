package libvirt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/host"
)

// maxWhy bounds what is kept of an emulator's complaint, in bytes.
const maxWhy = 300

// trialTimeout is how long a guest of one sector may take under KVM: it needs
// 0.2 s where KVM works.
const trialTimeout = 3 * time.Second

const (
	kvmDevice  = "/dev/kvm"
	bootIDFile = "/proc/sys/kernel/random/boot_id"
	emulator   = "qemu-system-x86_64"
)

// trialCPU is the processor of the trial guest: what a guest may get at most.
var trialCPU = map[string]string{"kvm": "host", "tcg": "max"}

// verdict is what the trial found out, kept until the host boots anew.
type verdict struct {
	BootID   string `json:"boot_id"`
	VirtType string `json:"virt_type"`
	Why      string `json:"why"`
}

// chooseVirtType turns the option virt_type into "kvm" or "qemu" and says why.
// KVM counts only if a guest runs under it: in some virtual machines the device
// opens and no guest ever executes an instruction.
func chooseVirtType(ctx context.Context, cfg Config) (verdict, error) {
	if cfg.VirtType != "auto" {
		return verdict{VirtType: cfg.VirtType, Why: "option virt_type says so"}, nil
	}
	bootID, err := os.ReadFile(bootIDFile)
	if err != nil {
		return verdict{}, fmt.Errorf("learn which boot of the host this is: %w", err)
	}
	v := verdict{BootID: strings.TrimSpace(string(bootID)), VirtType: "qemu"}
	cache := filepath.Join(cfg.InstancesPath, ".virt_type.json")
	if text, err := os.ReadFile(cache); err == nil {
		var known verdict
		if json.Unmarshal(text, &known) == nil && known.BootID == v.BootID && (known.VirtType == "kvm" || known.VirtType == "qemu") {
			return known, nil
		}
	}
	if f, err := os.OpenFile(kvmDevice, os.O_RDWR, 0); err != nil {
		v.Why = err.Error()
	} else {
		_ = f.Close()
		if v.Why, err = tryGuest(ctx, cfg.Run, "kvm"); err != nil {
			return verdict{}, err
		}
	}
	if v.Why == "" {
		v.VirtType, v.Why = "kvm", "a trial guest ran under KVM"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return verdict{}, fmt.Errorf("keep the outcome of the trial: %w", err)
	}
	return v, writeFile(cache, text, 0o644)
}

// tryGuest runs a guest of one sector under an accelerator. It returns why that
// is of no use, or nothing; an error only if ctx ends.
func tryGuest(ctx context.Context, run host.Runner, accel string) (why string, err error) {
	dir, err := os.MkdirTemp("", "kilonova-kvm-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the trial: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	disk := filepath.Join(dir, "disk")
	if err := os.WriteFile(disk, bootSector(trialCode), 0o600); err != nil {
		return "", fmt.Errorf("write the guest of the trial: %w", err)
	}
	trial, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	_, err = run.Run(trial, nil, emulator, "-accel", accel, "-machine", "pc", "-cpu", trialCPU[accel], "-m", "16",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-device", fmt.Sprintf("isa-debug-exit,iobase=%#x,iosize=1", trialPort),
		"-drive", "if=ide,format=raw,snapshot=on,file="+disk)
	exit, ended := errors.AsType[*host.ExitError](err)
	switch {
	case ended && exit.Code == trialExit:
		return "", nil
	case ctx.Err() != nil:
		return "", ctx.Err()
	case trial.Err() != nil:
		return fmt.Sprintf("a trial guest executed nothing under %s within %v", accel, trialTimeout), nil
	case ended: // what it complains of is last
		said := strings.TrimSpace(exit.Stderr)
		return "a trial guest did not run under " + accel + ": " + said[max(0, len(said)-maxWhy):], nil
	case err != nil:
		return fmt.Sprintf("a trial guest did not run under %s: %v", accel, err), nil
	}
	return "a trial guest under " + accel + " ended without its sign", nil
}

// closedTo says why a user cannot use a device, or nothing. There may be no such
// device: then nobody is kept from it.
func closedTo(device string, uid, gid int) string {
	var st syscall.Stat_t
	if syscall.Stat(device, &st) != nil || uid <= 0 {
		return ""
	}
	groups := []string{strconv.Itoa(gid)}
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		if all, err := u.GroupIds(); err == nil {
			groups = append(groups, all...)
		}
	}
	const readWrite = 6
	granted := st.Mode & readWrite
	if int(st.Uid) == uid {
		granted = st.Mode >> 6 & readWrite
	} else if slices.Contains(groups, strconv.Itoa(int(st.Gid))) {
		granted = st.Mode >> 3 & readWrite
	}
	if granted == readWrite {
		return ""
	}
	return fmt.Sprintf("%s (mode %04o, owner %d:%d) is closed to QEMU's user %d", device, st.Mode&0o777, st.Uid, st.Gid, uid)
}

// writeFile replaces a file in one step: after a crash it is the old or the new.
func writeFile(path string, data []byte, mode os.FileMode) error {
	next := path + ".part"
	err := os.WriteFile(next, data, mode)
	if err == nil {
		err = os.Rename(next, path)
	}
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
		return fault.New(fault.Unavailable, "The folder %s cannot be written: %w", filepath.Dir(path), err)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
