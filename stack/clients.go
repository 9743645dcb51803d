package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// Login is what a client needs to reach a cloud as somebody.
type Login struct {
	AuthURL, Region             string
	Username, Password, Project string
}

func (l Login) cloud() map[string]any {
	return map[string]any{"region_name": l.Region, "identity_api_version": 3, "auth": map[string]any{"auth_url": l.AuthURL, "username": l.Username,
		"password": l.Password, "project_name": l.Project, "user_domain_name": "Default", "project_domain_name": "Default"}}
}

// Exports are the lines that a shell reads.
func (l Login) Exports() string {
	return fmt.Sprintf("export OS_AUTH_URL=%s OS_IDENTITY_API_VERSION=3 OS_REGION_NAME=%s\n"+
		"export OS_USERNAME=%s OS_PASSWORD=%s OS_PROJECT_NAME=%s\nexport OS_USER_DOMAIN_NAME=Default OS_PROJECT_DOMAIN_NAME=Default\n",
		l.AuthURL, l.Region, l.Username, l.Password, l.Project)
}

// WriteClouds puts logins into a clouds.yaml, by name. What else the file has is
// kept, and so are clouds that lead to the same place with the same password.
func WriteClouds(path string, logins map[string]Login) error {
	doc := map[string]any{}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	clouds, _ := doc["clouds"].(map[string]any)
	if clouds == nil {
		clouds = map[string]any{}
	}
	for name, login := range logins {
		clouds[name] = login.cloud()
	}
	if doc == nil {
		doc = map[string]any{}
	}
	doc["clouds"] = clouds
	out, err := yaml.Marshal(doc)
	if err != nil {
		return err
	}
	if string(out) == string(data) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", out, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Logins are those of the administrator and of demo.
func (s *Stack) Logins() (admin, demo Login) {
	return LoginsOf(&s.Config, s.URL())
}

// LoginsOf is Logins for a stack in another process.
func LoginsOf(c *Config, url string) (admin, demo Login) {
	auth := url + prefixes["identity"] + "/v3"
	return Login{auth, c.Region, c.Bootstrap.AdminName, c.Secrets.AdminPassword, "admin"}, Login{auth, c.Region, "demo", c.Secrets.DemoPassword, "demo"}
}
