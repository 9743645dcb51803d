package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/internal/host"
	"kilonova/service/image"
	imageapi "kilonova/service/image/api"
	imagecontrol "kilonova/service/image/control"
	imagestore "kilonova/service/image/store"
)

// ImageTool is the image service without its API, for those who maintain it on
// its host.
type ImageTool struct {
	*imagecontrol.Control
	d *db.DB
}

// maxMetadef bounds a file of metadata definitions, in bytes.
const maxMetadef = 4 << 20

// OpenImage opens the image service's database, which it brings up to date.
func OpenImage(ctx context.Context, c Config, log *slog.Logger, now func() time.Time) (*ImageTool, error) {
	if err := c.settle(); err != nil {
		return nil, err
	}
	d, err := db.Open(ctx, c.databaseURL("image"))
	if err != nil {
		return nil, err
	}
	st, err := imagestore.New(ctx, d)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	s := &Stack{Config: c, Log: log, Now: now, ctx: ctx}
	backends, err := s.imageBackends()
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	o := c.Image.Options
	o.EnabledImportMethods = nil // nothing is imported here
	control, err := imagecontrol.New(imagecontrol.Config{Store: st, Backends: backends, Options: o, Run: host.Local{}, WorkDir: c.Data, Log: log, Now: now})
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &ImageTool{control, d}, nil
}

// Close ends the connections to the database.
func (t *ImageTool) Close() error { return t.d.Close() }

// operator acts as whoever may use the host's files.
func operator(ctx context.Context) context.Context {
	return auth.With(ctx, &auth.Caller{UserID: "operator", ProjectID: "admin", Roles: []string{"admin", "member", "reader"}})
}

// Merge says what becomes of namespaces that are there already.
type Merge struct {
	Merge     bool // add what they lack
	PreferNew bool // and take the file's definitions where both have one
	Overwrite bool // and drop what only they have
}

// LoadMetadefs loads metadata definitions from a file, or from all files NAME.json
// of a folder, as upstream ships them. It returns how many namespaces changed.
func (t *ImageTool) LoadMetadefs(ctx context.Context, path string, m Merge) (changed int, err error) {
	files := []string{path}
	if info, err := os.Stat(path); err != nil {
		return 0, err
	} else if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.json")); err != nil {
			return 0, err
		}
	}
	ctx = operator(ctx)
	for _, file := range files {
		n, err := readMetadef(file)
		if err != nil {
			return changed, err
		}
		did, err := t.loadNamespace(ctx, *n, m)
		if err != nil {
			return changed, fmt.Errorf("%s: %w", file, err)
		}
		if did {
			changed++
		}
	}
	return changed, nil
}

func readMetadef(file string) (*imagecontrol.NamespaceWithAll, error) {
	if info, err := os.Stat(file); err != nil || info.Size() > maxMetadef {
		return nil, fmt.Errorf("%s cannot be read, or is larger than %d bytes: %w", file, maxMetadef, err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var body map[string]any
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.UseNumber()
	if err := dec.Decode(&body); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	n, err := imageapi.ReadNamespace(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return n, nil
}

func (t *ImageTool) loadNamespace(ctx context.Context, n imagecontrol.NamespaceWithAll, m Merge) (bool, error) {
	had, err := t.Namespace(ctx, n.Name, "")
	if fault.Is(err, fault.NotFound) {
		_, err = t.CreateNamespace(ctx, n)
		return true, err
	}
	if err != nil || !m.Merge {
		return false, err
	}
	if m.Overwrite {
		if err := t.removeNamespace(ctx, had.Namespace); err != nil {
			return false, err
		}
		_, err = t.CreateNamespace(ctx, n)
		return true, err
	}
	changed := false
	for _, d := range n.Definitions {
		known := slices.ContainsFunc(had.Definitions, func(h image.Definition) bool { return h.Kind == d.Kind && h.Name == d.Name })
		switch {
		case !known:
			_, err = t.Define(ctx, n.Name, d.Kind, false, d)
		case m.PreferNew:
			_, err = t.Redefine(ctx, n.Name, d.Name, d)
		default:
			continue
		}
		if err != nil {
			return changed, err
		}
		changed = true
	}
	return changed, nil
}

func (t *ImageTool) removeNamespace(ctx context.Context, n image.Namespace) error {
	if n.Protected {
		n.Protected = false
		if _, err := t.UpdateNamespace(ctx, n.Name, n); err != nil {
			return err
		}
	}
	return t.DeleteNamespace(ctx, n.Name)
}

// namespaces calls f for each of them.
func (t *ImageTool) namespaces(ctx context.Context, f func(image.Namespace) error) error {
	marker := ""
	for {
		list, err := t.Namespaces(ctx, image.NamespaceQuery{Asc: true, Limit: 100}, marker)
		if err != nil || len(list) == 0 {
			return err
		}
		marker = list[len(list)-1].Name
		for _, n := range list {
			if err := f(n.Namespace); err != nil {
				return err
			}
		}
	}
}

// UnloadMetadefs removes all metadata definitions and says how many namespaces
// there were.
func (t *ImageTool) UnloadMetadefs(ctx context.Context) (int, error) {
	ctx = operator(ctx)
	var all []image.Namespace
	if err := t.namespaces(ctx, func(n image.Namespace) error { all = append(all, n); return nil }); err != nil {
		return 0, err
	}
	for i, n := range all {
		if err := t.removeNamespace(ctx, n); err != nil {
			return i, err
		}
	}
	return len(all), nil
}

// ExportMetadefs writes each namespace to a file NAME.json of a folder, for
// LoadMetadefs to read.
func (t *ImageTool) ExportMetadefs(ctx context.Context, folder string) (written int, err error) {
	ctx = operator(ctx)
	err = t.namespaces(ctx, func(n image.Namespace) error {
		all, err := t.Namespace(ctx, n.Name, "")
		if err != nil {
			return err
		}
		data, err := json.MarshalIndent(imageapi.WriteNamespace(all), "", "    ")
		if err != nil {
			return err
		}
		written++
		// A namespace's name is its users'; a file's is not to be a path.
		name := strings.Map(func(r rune) rune {
			if r == '/' || r < ' ' {
				return '_'
			}
			return r
		}, n.Name)
		return os.WriteFile(filepath.Join(folder, strings.TrimLeft(name, ".")+".json"), append(data, '\n'), 0o644)
	})
	return written, err
}
