package metadata

import (
	"path"
	"strings"

	"kilonova/internal/fault"
)

// Tree is what a guest may read, by path. Nothing is worked out before it is
// read. A Tree is safe for concurrent use.
type Tree struct {
	inst  *Instance
	files []File // on a config drive only
	drive bool
}

// NewTree makes the tree of an instance as the HTTP service shows it: without
// AdminPass and injected files. The instance must not change any more.
func NewTree(inst *Instance) *Tree { return &Tree{inst: inst} }

// Content is a file of a tree, or the listing of a directory.
type Content struct {
	Body []byte
	Type string // media type
}

// The media types of a tree.
const (
	textType = "text/plain; charset=UTF-8"
	jsonType = "application/json"
)

// MaxPath bounds a path, in bytes.
const MaxPath = 1024

// Read returns what stands at a path, with or without slashes at its ends;
// fault.NotFound when there is nothing. A path that begins with neither ec2 nor
// openstack is EC2's.
func (t *Tree) Read(name string) (Content, error) {
	missing := func() (Content, error) {
		return Content{}, fault.NotFoundf("There is no metadata at %.256q.", name)
	}
	if len(name) > MaxPath {
		return missing()
	}
	parts := strings.Split(strings.Trim(path.Clean("/"+name), "/"), "/")
	if parts[0] == "openstack" {
		c, ok := t.openstack(parts[1:])
		if !ok {
			return missing()
		}
		return c, nil
	}
	if parts[0] == "ec2" || parts[0] == "" {
		parts = parts[1:]
	}
	c, ok := t.ec2(parts)
	if !ok {
		return missing()
	}
	return c, nil
}

func plainText(text string) Content { return Content{Body: []byte(text), Type: textType} }

func listing(names []string) Content { return plainText(strings.Join(names, "\n")) }
