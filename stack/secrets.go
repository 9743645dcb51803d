package stack

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/pelletier/go-toml/v2"

	"kilonova/internal/config"
)

// Secrets are what the parts of a cloud know each other by. What the
// configuration does not give is made at the first start and kept below the data
// folder; hosts that share a cloud must share them.
type Secrets struct {
	AdminPassword  string `toml:"admin_password"`
	NovaPassword   string `toml:"nova_password"` // of the services' own users
	NeutronPass    string `toml:"neutron_password"`
	GlancePass     string `toml:"glance_password"`
	PlacementPass  string `toml:"placement_password"`
	SwiftPass      string `toml:"swift_password"`
	MetadataSecret string `toml:"metadata_proxy_shared_secret"`
	BusToken       string `toml:"bus_token"`
	DemoPassword   string `toml:"demo_password"`
}

// fill reads what is kept at path and makes and keeps what is missing.
func (s *Secrets) fill(path string) error {
	var kept Secrets
	err := config.Load(path, &kept)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	given, stored := reflect.ValueOf(s).Elem(), reflect.ValueOf(&kept).Elem()
	made := false
	for i := range given.NumField() {
		switch {
		case given.Field(i).String() != "": // the configuration's word stands
		case stored.Field(i).String() != "":
			given.Field(i).Set(stored.Field(i))
		default:
			b := make([]byte, 18)
			rand.Read(b)
			given.Field(i).SetString(base64.RawURLEncoding.EncodeToString(b))
			stored.Field(i).Set(given.Field(i))
			made = true
		}
	}
	if !made {
		return nil
	}
	data, err := toml.Marshal(kept)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("secrets: %w", err)
	}
	return os.Rename(path+".new", path)
}

// LoadSecrets reads what the cloud with this configuration has kept, for tools
// that log in to it.
func (c *Config) LoadSecrets() error { return c.settle() }
