package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// listed is what "go list -json" says of a package.
type listed struct {
	ImportPath, Name, Dir              string
	Imports, TestImports, XTestImports []string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Module                             struct{ Path, Dir string }
}

// program is the module, with paths below it in place of import paths.
type program struct {
	root     string
	packages []listed
}

// load asks the go command once. Packages that do not build are listed too: what
// they import can be seen all the same.
var load = sync.OnceValues(func() (*program, error) {
	gomod, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return nil, err
	}
	p := &program{root: filepath.Dir(strings.TrimSpace(string(gomod)))}
	if err := p.look(); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Dir,Imports,TestImports,XTestImports,GoFiles,TestGoFiles,XTestGoFiles,Module", "./...")
	cmd.Dir = p.root
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := dec.Decode(&l); errors.Is(err, io.EOF) {
			return p, nil
		} else if err != nil {
			return nil, err
		}
		for _, list := range [][]string{{l.ImportPath}, l.Imports, l.TestImports, l.XTestImports} {
			for i := range list {
				list[i] = strings.TrimPrefix(list[i], l.Module.Path+"/")
			}
		}
		l.ImportPath = strings.TrimPrefix(l.ImportPath, l.Module.Path+"/")
		p.packages = append(p.packages, l)
	}
})

// look opens every folder and Go file of the module. The go command keeps the
// result of a test until a file changes that the test itself has opened; what
// "go list" opens does not count.
func (p *program) look() error {
	return filepath.WalkDir(p.root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // went away meanwhile
			return nil
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(path, ".go"):
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			return f.Close()
		}
		return nil
	})
}

func loaded(t *testing.T) *program {
	t.Helper()
	p, err := load()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if len(p.packages) < 20 {
		t.Fatalf("go list found %d packages below %s; the program has more", len(p.packages), p.root)
	}
	return p
}

// reach returns all that a package imports, itself and through others of the
// module, with the way there.
func (p *program) reach(from string) map[string][]string {
	direct := map[string][]string{}
	for _, l := range p.packages {
		direct[l.ImportPath] = l.Imports
	}
	ways := map[string][]string{from: {from}}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, to := range direct[queue[0]] {
			if ways[to] == nil {
				ways[to] = append(slices.Clone(ways[queue[0]]), to)
				queue = append(queue, to)
			}
		}
	}
	delete(ways, from)
	return ways
}

func TestImports(t *testing.T) {
	p := loaded(t)
	used := map[debt]bool{}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			check := func(from, to string, way []string, where string) {
				if !r.breaks(from, to) {
					return
				}
				d := debt{r.name, from, to}
				if _, known := debts[d]; known {
					used[d] = true
					return
				}
				t.Errorf("%s imports %s%s\n\trule: %s\n\treason: %s\n\tway: %s", from, to, where, r.name, r.reason, strings.Join(way, " -> "))
			}
			for _, l := range p.packages {
				if r.deep {
					for to, way := range p.reach(l.ImportPath) {
						check(l.ImportPath, to, way, "")
					}
				} else {
					for _, to := range l.Imports {
						check(l.ImportPath, to, []string{l.ImportPath, to}, "")
					}
				}
				if r.tests {
					for _, to := range append(slices.Clone(l.TestImports), l.XTestImports...) {
						check(l.ImportPath, to, []string{l.ImportPath, to}, " in a test")
					}
				}
			}
		})
	}
	for d, why := range debts {
		if !used[d] {
			t.Errorf("the exception %+v (%s) is not needed any more: delete it, so that it cannot come back", d, why)
		}
	}
}

// TestRulesBite shows that each rule finds what it is about: a rule with a
// misspelt path would find nothing for ever.
func TestRulesBite(t *testing.T) {
	for _, r := range rules {
		if !r.breaks(r.example[0], r.example[1]) {
			t.Errorf("%q does not mind that %s imports %s", r.name, r.example[0], r.example[1])
		}
	}
}

// driversFile is the one file that names drivers.
const driversFile = "stack/drivers.go"

func TestDriversAreNamedInOneFile(t *testing.T) {
	named := 0
	for file, f := range files(t, false) {
		for _, spec := range f.Imports {
			to := strings.TrimPrefix(strings.Trim(spec.Path.Value, `"`), "kilonova/")
			if driverOf(to) == "" || driverOf(to) == driverOf(filepath.ToSlash(filepath.Dir(file))) {
				continue
			}
			if file == driversFile {
				named++
				continue
			}
			t.Errorf("%s imports the driver %s\n\trule: drivers are named in %s and nowhere else\n\treason: which drivers a binary has is one table, and taking one out is one line", file, to, driversFile)
		}
	}
	if named == 0 {
		t.Errorf("%s names no driver; has the table moved?", driversFile)
	}
}

func TestNoInit(t *testing.T) {
	for file, f := range files(t, true) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has func init\n\treason: what runs by being imported runs in an order that nobody reads; stack calls what has to be called", file)
			}
		}
	}
}

// meaningless are names of packages that say nothing of what is in them.
var meaningless = []string{"util", "utils", "common", "helper", "helpers", "base", "misc", "shared"}

func TestPackagesHaveNamesThatSaySomething(t *testing.T) {
	for _, l := range loaded(t).packages {
		if slices.Contains(meaningless, l.Name) || slices.Contains(meaningless, filepath.Base(l.ImportPath)) {
			t.Errorf("package %s\n\treason: a name like this takes in everything; name what it does, or put it where it is used", l.ImportPath)
		}
	}
}

func TestPackagesSayWhatTheyOwn(t *testing.T) {
	for _, l := range loaded(t).packages {
		if len(l.GoFiles) == 0 || l.Name == "main" {
			continue
		}
		documented := slices.ContainsFunc(l.GoFiles, func(name string) bool {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(l.Dir, name), nil, parser.ParseComments|parser.PackageClauseOnly)
			return err == nil && f.Doc != nil
		})
		if !documented {
			t.Errorf("package %s has no comment\n\treason: each room says in doc.go what it owns and where it ends", l.ImportPath)
		}
	}
}

// files parses the Go files of the module, by their paths below its root.
func files(t *testing.T, tests bool) map[string]*ast.File {
	t.Helper()
	p := loaded(t)
	all := map[string]*ast.File{}
	set := token.NewFileSet()
	for _, l := range p.packages {
		names := slices.Clone(l.GoFiles)
		if tests {
			names = append(append(names, l.TestGoFiles...), l.XTestGoFiles...)
		}
		for _, name := range names {
			path := filepath.Join(l.Dir, name)
			f, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			rel, err := filepath.Rel(p.root, path)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.ToSlash(rel)] = f
		}
	}
	return all
}
