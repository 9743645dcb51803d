package libvirt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/host"
)

// trialTimeout is how long a guest of one sector may take under KVM: it needs
// 0.2 s where KVM works.
const trialTimeout = 3 * time.Second

const (
	kvmDevice  = "/dev/kvm"
	bootIDFile = "/proc/sys/kernel/random/boot_id"
	emulator   = "qemu-system-x86_64"
)

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
	if v.Why, err = tryKVM(ctx, cfg.Run, kvmDevice); err != nil {
		return verdict{}, err
	}
	if v.Why == "" {
		v.VirtType, v.Why = "kvm", "a trial guest ran under KVM"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return verdict{}, fmt.Errorf("keep the outcome of the KVM trial: %w", err)
	}
	return v, writeFile(cache, text, 0o644)
}

// tryKVM runs a guest of one sector under KVM. It returns why KVM is of no use,
// or nothing; an error only if ctx ends.
func tryKVM(ctx context.Context, run host.Runner, device string) (why string, err error) {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err.Error(), nil
	}
	_ = f.Close()
	dir, err := os.MkdirTemp("", "kilonova-kvm-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the KVM trial: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	disk := filepath.Join(dir, "disk")
	if err := os.WriteFile(disk, bootSector(trialCode), 0o600); err != nil {
		return "", fmt.Errorf("write the guest of the KVM trial: %w", err)
	}
	trial, cancel := context.WithTimeout(ctx, trialTimeout)
	defer cancel()
	_, err = run.Run(trial, nil, emulator, "-accel", "kvm", "-machine", "pc", "-cpu", "host", "-m", "16",
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
		return fmt.Sprintf("a trial guest executed nothing under KVM within %v", trialTimeout), nil
	case err != nil:
		return fmt.Sprintf("a trial guest did not run under KVM: %v", err), nil
	}
	return "a trial guest under KVM ended without its sign", nil
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
