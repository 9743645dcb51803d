package fernet

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
)

// Keys is a key directory. It notices when another process has rotated it.
type Keys struct {
	dir    string
	random io.Reader

	mu     sync.Mutex
	keys   []Key // the primary one first
	loaded []int // their files
}

// OpenKeys returns the keys in dir, which it makes, with two keys, when there is
// none: the staged one, 0, and the primary one, 1.
func OpenKeys(dir string, random io.Reader) (*Keys, error) {
	k := &Keys{dir: dir, random: random}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("fernet keys: %w", err)
	}
	numbers, err := k.numbers()
	if err != nil {
		return nil, err
	}
	for _, n := range []int{1, 0} {
		if len(numbers) > 0 {
			break
		}
		if err := k.create(n); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	if _, err := k.All(); err != nil {
		return nil, err
	}
	return k, nil
}

// Primary is the key that makes new tokens.
func (k *Keys) Primary() (Key, error) {
	keys, err := k.All()
	if err != nil {
		return Key{}, err
	}
	return keys[0], nil
}

// All are the keys that are accepted, the primary one first.
func (k *Keys) All() ([]Key, error) {
	// Each rotation makes a file with a new number: the folder's own time may be too
	// coarse to tell.
	numbers, err := k.numbers()
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keys != nil && slices.Equal(numbers, k.loaded) {
		return k.keys, nil
	}
	var keys []Key
	for _, n := range slices.Backward(numbers) {
		text, err := os.ReadFile(k.file(n))
		if errors.Is(err, fs.ErrNotExist) {
			continue // pruned just now
		}
		if err != nil {
			return nil, fmt.Errorf("fernet keys: %w", err)
		}
		key, err := ParseKey(string(text))
		if err != nil {
			return nil, fmt.Errorf("fernet keys: %s: %w", k.file(n), err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("fernet keys: there is no key in %s", k.dir)
	}
	k.keys, k.loaded = keys, numbers
	return keys, nil
}

// Rotate makes the staged key the primary one, stages a new one and forgets the
// oldest, so that at most keep are left. Tokens made with a forgotten key are
// invalid: rotate no more often than lifetime / (keep - 2).
func (k *Keys) Rotate(keep int) error {
	numbers, err := k.numbers()
	if err != nil {
		return err
	}
	next := 1
	if len(numbers) > 0 {
		next = numbers[len(numbers)-1] + 1
	}
	// A link, which never replaces a file: who rotates at the same moment is told, and
	// no key that tokens have been made with is lost.
	if err := os.Link(k.file(0), k.file(next)); errors.Is(err, fs.ErrNotExist) {
		if err := k.create(next); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("fernet keys: %w", err)
	} else if err := os.Remove(k.file(0)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("fernet keys: %w", err)
	}
	if err := k.create(0); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if numbers, err = k.numbers(); err != nil {
		return err
	}
	for i := 1; len(numbers)-(i-1) > max(keep, 1) && i < len(numbers); i++ { // numbers[0] is the staged one
		if err := os.Remove(k.file(numbers[i])); err != nil {
			return fmt.Errorf("fernet keys: %w", err)
		}
	}
	k.mu.Lock()
	k.keys = nil
	k.mu.Unlock()
	return nil
}

func (k *Keys) file(n int) string { return filepath.Join(k.dir, strconv.Itoa(n)) }

// numbers are the names of the key files, ascending.
func (k *Keys) numbers() ([]int, error) {
	entries, err := os.ReadDir(k.dir)
	if err != nil {
		return nil, fmt.Errorf("fernet keys: %w", err)
	}
	var numbers []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil && n >= 0 && e.Type().IsRegular() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// create writes a new key as file n; it appears whole or not at all, and never
// replaces one.
func (k *Keys) create(n int) error {
	var key Key
	if _, err := io.ReadFull(k.random, key[:]); err != nil {
		return fmt.Errorf("fernet keys: %w", err)
	}
	tmp, err := os.CreateTemp(k.dir, ".new-*")
	if err != nil {
		return fmt.Errorf("fernet keys: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.WriteString(key.String())
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Link(tmp.Name(), k.file(n))
	}
	if err != nil {
		return fmt.Errorf("fernet keys: %w", err)
	}
	return nil
}
