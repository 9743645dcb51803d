// Package config reads one strict TOML file into a struct whose zero-file value
// is usable: defaults stand beside their fields, in the code that makes the
// struct. It knows no option.
package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"
)

// MaxSize bounds a configuration file, in bytes.
const MaxSize = 1 << 20

// Load fills into, which already holds the defaults, from the file at path. A
// key that into does not have is an error that names its line: a misspelt
// option must not be silently ignored.
func Load(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if len(data) > MaxSize {
		return fmt.Errorf("configuration: %s is larger than %d bytes", path, MaxSize)
	}
	if err := Parse(string(data), into); err != nil {
		return fmt.Errorf("configuration: %s: %w", path, err)
	}
	return nil
}

// Parse is Load for a text.
func Parse(text string, into any) error {
	dec := toml.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var unknown []string
		for _, e := range strict.Errors {
			row, _ := e.Position()
			unknown = append(unknown, fmt.Sprintf("line %d: unknown option %s", row, strings.Join(e.Key(), ".")))
		}
		return errors.New(strings.Join(unknown, "; "))
	}
	if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
		row, col := bad.Position()
		return fmt.Errorf("line %d, column %d: %w", row, col, err)
	}
	return err
}

// Duration is a time span that a file gives as a string like "90s" or "1m30s".
type Duration time.Duration

// D returns the span as the standard library's type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// UnmarshalText reads "90s".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is no duration; write \"90s\" or \"1m30s\"", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the span as ParseDuration reads it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }
