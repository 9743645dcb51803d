package rest

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is an API version: major and minor, e.g. 2.53. The zero value is "no
// version", as for services without microversions; every window contains it.
type Version struct{ Major, Minor int }

// V makes a version from its text; it panics on a wrong one and is for tables.
func V(text string) Version {
	v, err := ParseVersion(text)
	if err != nil {
		panic(err)
	}
	return v
}

// ParseVersion reads "2.53".
func ParseVersion(text string) (Version, error) {
	major, minor, ok := strings.Cut(text, ".")
	a, errA := strconv.ParseUint(major, 10, 16)
	b, errB := strconv.ParseUint(minor, 10, 16)
	if !ok || errA != nil || errB != nil || (len(minor) > 1 && minor[0] == '0') {
		return Version{}, fmt.Errorf("%q is no version", text)
	}
	return Version{int(a), int(b)}, nil
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// IsZero reports whether v is "no version".
func (v Version) IsZero() bool { return v == Version{} }

// Less orders versions.
func (v Version) Less(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

// AtLeast reports whether v is text's version or later: for behaviour that
// changed, beside its reason.
func (v Version) AtLeast(text string) bool { return !v.Less(V(text)) }

// Window is a range of versions, both ends included; a zero end is open.
type Window struct{ Min, Max Version }

// ParseWindow reads "2.26-", "-2.35", "2.4-2.35", "2.9" or "" (always).
func ParseWindow(text string) (Window, error) {
	if text == "" {
		return Window{}, nil
	}
	lo, hi, ranged := strings.Cut(text, "-")
	var w Window
	var err error
	if lo != "" {
		if w.Min, err = ParseVersion(lo); err != nil {
			return w, err
		}
	}
	if !ranged {
		w.Max = w.Min
	} else if hi != "" {
		if w.Max, err = ParseVersion(hi); err != nil {
			return w, err
		}
	}
	return w, nil
}

// Contains reports whether v lies in the window.
func (w Window) Contains(v Version) bool {
	if v.IsZero() {
		return true
	}
	return !v.Less(w.Min) && (w.Max.IsZero() || !w.Max.Less(v))
}

func (w Window) String() string {
	switch {
	case w == Window{}:
		return ""
	case w.Min == w.Max:
		return w.Min.String()
	}
	var lo, hi string
	if !w.Min.IsZero() {
		lo = w.Min.String()
	}
	if !w.Max.IsZero() {
		hi = w.Max.String()
	}
	return lo + "-" + hi
}
