package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named finds what looks like a path of this repository between backticks.
var named = regexp.MustCompile("`((?:(?:cmd|stack|service|internal|deploy|test|tools|docs|\\.ci)/|\\.golangci)[A-Za-z0-9_./-]+)`")

// made are documents that a command writes and that need not be there.
var made = map[string]string{"docs/api-support.md": "make api-support"}

// TestDocumentsNameFilesThatExist keeps the documents true: a reader who follows
// a path must arrive.
func TestDocumentsNameFilesThatExist(t *testing.T) {
	root := loaded(t).root
	documents := []string{"README.md", "CONTRIBUTING.md"}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				t.Fatal(err)
			}
			documents = append(documents, rel)
		}
	}
	checked := 0
	for _, doc := range documents {
		text, err := os.ReadFile(filepath.Join(root, doc))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			path := strings.TrimSuffix(m[1], "/")
			if made[path] != "" {
				continue
			}
			checked++
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				t.Errorf("%s names %s, which is not there", doc, m[1])
			}
		}
	}
	if checked < 50 {
		t.Errorf("only %d paths were found in the documents; has their form changed?", checked)
	}
}
