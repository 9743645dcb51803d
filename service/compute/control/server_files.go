package control

import (
	"context"
	"strings"

	"kilonova/internal/auth"
	"kilonova/internal/fault"
	"kilonova/service/compute"
)

// checkFiles holds the files for a guest to the quota. The guest finds them on its
// config drive; one without does not get them, as with upstream's libvirt driver.
func (c *Control) checkFiles(ctx context.Context, caller *auth.Caller, files []compute.InjectedFile) error {
	if len(files) == 0 {
		return nil
	}
	limits, err := c.limits(ctx, c.Store.DB, caller.ProjectID, "")
	if err != nil {
		return err
	}
	over := func(name string, n int) bool { return limits[name] >= 0 && n > limits[name] }
	if over("injected_files", len(files)) {
		return fault.New(fault.OverLimit, "Personality file limit exceeded: there are %d files, and %d are allowed.", len(files), limits["injected_files"])
	}
	for _, f := range files {
		if over("injected_file_path_bytes", len(f.Path)) {
			return fault.New(fault.OverLimit, "Personality file path exceeds maximum %d: %.64s…", limits["injected_file_path_bytes"], f.Path)
		}
		if over("injected_file_content_bytes", len(f.Data)) {
			return fault.New(fault.OverLimit, "Personality file content exceeds maximum %d: %.64s", limits["injected_file_content_bytes"], f.Path)
		}
	}
	return nil
}

// maxBootRoles bounds what is remembered of a user's roles.
const maxBootRoles = 1024

// bootRoles are the caller's roles, for sources of vendor data.
func bootRoles(caller *auth.Caller) string {
	roles := strings.Join(caller.Roles, ",")
	if len(roles) > maxBootRoles {
		roles = roles[:strings.LastIndexByte(roles[:maxBootRoles], ',')]
	}
	return roles
}
