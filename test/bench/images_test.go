package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kilonova/stack"
)

func TestImagesComeBackAsTheyWent(t *testing.T) {
	st, err := stack.StartDev(t.Context(), stack.Dev(t.TempDir(), "127.0.0.1:0", 1), slog.New(slog.DiscardHandler), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	login, _ := st.Logins()
	c, err := open(t.Context(), assignments(strings.NewReader(login.Exports())), nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	if err := os.WriteFile(source, bytes.Repeat([]byte("some data "), 200000), 0o600); err != nil {
		t.Fatal(err)
	}
	m := &Images{MiB: 2}
	end := m.watch(only(os.Getpid()))
	if err := m.rounds(t.Context(), c, c, dir, source); err != nil {
		t.Fatal(err)
	}
	end()
	if m.Upload <= 0 || m.Download <= 0 || m.CatIn <= 0 || m.CatOut <= 0 || m.Peak <= 0 || m.Whole < m.Peak {
		t.Errorf("%+v", m)
	}
	for _, g := range imageGoals(&Images{Upload: 90, CatIn: 100, Download: 79, CatOut: 100, Whole: 65, Peak: 10}) {
		if g.Met != (g.Measured == 90) {
			t.Errorf("%+v", g)
		}
	}
}
