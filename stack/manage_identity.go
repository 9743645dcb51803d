package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/pelletier/go-toml/v2"

	"kilonova/internal/db"
	identitycontrol "kilonova/service/identity/control"
	"kilonova/service/identity/jws"
	"kilonova/service/identity/mapping"
	identitystore "kilonova/service/identity/store"
)

// identityOptions are the identity service's, with the folders that are left to
// this installation.
func (c *Config) identityOptions() identitycontrol.Options {
	o := c.Identity.Options
	for _, dir := range []struct {
		option *string
		name   string
	}{{&o.Fernet.KeyRepository, "fernet-keys"}, {&o.Credential.KeyRepository, "credential-keys"}, {&o.Receipts.KeyRepository, "receipt-keys"},
		{&o.JWT.PublicKeyRepository, "jws-keys/public"}, {&o.JWT.PrivateKeyRepository, "jws-keys/private"}} {
		if *dir.option == "" {
			*dir.option = filepath.Join(c.Data, dir.name)
		}
	}
	return o
}

// IdentityTool works on the keys and the database of the identity service, whether
// that is running or not.
type IdentityTool struct {
	config  Config
	db      *db.DB
	control *identitycontrol.Control
	now     func() time.Time
}

// OpenIdentity opens the keys and the database, which it makes, or brings up to
// date, if need be.
func OpenIdentity(ctx context.Context, c Config, log *slog.Logger, now func() time.Time) (*IdentityTool, error) {
	if err := c.settle(); err != nil {
		return nil, err
	}
	d, err := db.Open(ctx, c.databaseURL("identity"))
	if err != nil {
		return nil, err
	}
	t := &IdentityTool{config: c, db: d, now: now}
	st, err := identitystore.New(ctx, d)
	if err == nil {
		t.control, err = identitycontrol.New(identitycontrol.Config{Store: st, Log: log, Now: now, Options: c.identityOptions()})
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return t, nil
}

// Close closes the database.
func (t *IdentityTool) Close() error { return t.db.Close() }

// IdentityBootstrap is what the identity service begins with; "" the
// configuration's.
type IdentityBootstrap struct {
	User, Password, Project, Region, Service string
	Public, Internal, Admin                  string
}

// Bootstrap makes the first administrator and the roles, and puts the identity
// service into the catalog.
func (t *IdentityTool) Bootstrap(ctx context.Context, b IdentityBootstrap) error {
	own := b.User == "" || b.User == t.config.Bootstrap.AdminName
	if own && b.Password != "" && b.Password != t.config.Secrets.AdminPassword {
		return errors.New("the password of the cloud's own administrator is admin_password of [secrets]: each start sets it, so change it there; or name another user")
	}
	if !own && b.Password == "" {
		return fmt.Errorf("a password for %s is needed", b.User)
	}
	for _, def := range []struct {
		option *string
		value  string
	}{{&b.User, t.config.Bootstrap.AdminName}, {&b.Password, t.config.Secrets.AdminPassword}, {&b.Region, t.config.Region}, {&b.Service, "keystone"}} {
		if *def.option == "" {
			*def.option = def.value
		}
	}
	return t.control.Bootstrap(ctx, identitycontrol.Bootstrap{AdminUser: b.User, AdminPassword: b.Password, AdminProject: b.Project, Region: b.Region,
		Services: []identitycontrol.BootstrapService{{Type: "identity", Name: b.Service, Public: b.Public, Internal: b.Internal, Admin: b.Admin}}})
}

// RotateTokenKeys makes the staged Fernet key the primary one.
func (t *IdentityTool) RotateTokenKeys() error { return t.control.RotateTokenKeys() }

// RotateReceiptKeys does so for the keys of receipts.
func (t *IdentityTool) RotateReceiptKeys() error { return t.control.RotateReceiptKeys() }

// SetUpProject makes a project of the default domain, with an id unless that is
// "", and says what has been done.
func (t *IdentityTool) SetUpProject(ctx context.Context, name, id string) (string, error) {
	return t.control.SetUpProject(ctx, name, id)
}

// SetUpUser does so for a user, and sets its password.
func (t *IdentityTool) SetUpUser(ctx context.Context, name, password, id string) (string, error) {
	return t.control.SetUpUser(ctx, name, password, id)
}

// ResetLastActive takes all users of whom no log-in is known for active now, and
// says how many.
func (t *IdentityTool) ResetLastActive(ctx context.Context) (int, error) {
	return t.control.ResetLastActive(ctx)
}

// Version names the newest change to the tables.
func (t *IdentityTool) Version(ctx context.Context) (string, error) {
	return identitystore.Version(ctx, t.db)
}

// Symptoms are what an operator should look at, a sentence each.
func (t *IdentityTool) Symptoms(ctx context.Context) ([]string, error) {
	return t.control.Symptoms(ctx)
}

// RotateCredentialKeys does so for the keys of credentials.
func (t *IdentityTool) RotateCredentialKeys(ctx context.Context) error {
	return t.control.RotateCredentialKeys(ctx)
}

// MigrateCredentials encrypts credentials with the primary key, and says how many.
func (t *IdentityTool) MigrateCredentials(ctx context.Context) (int, error) {
	return t.control.MigrateCredentials(ctx)
}

// SAMLMetadata describes the cloud as a SAML identity provider, as XML.
func (t *IdentityTool) SAMLMetadata() (string, error) {
	data, err := t.control.SAMLMetadata()
	return string(data), err
}

// FlushTrusts removes trusts that ended before a day (2006-01-02, or with a time;
// "" now), and says how many. "" selects all projects and users.
func (t *IdentityTool) FlushTrusts(ctx context.Context, projectID, trustorID, trusteeID, before string) (int, error) {
	at := t.now()
	if before != "" {
		var err error
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02", "02-01-2006"} {
			if at, err = time.Parse(layout, before); err == nil {
				break
			}
		}
		if err != nil {
			return 0, fmt.Errorf("%q is no date: 2006-01-02 is one", before)
		}
	}
	return t.control.FlushTrusts(ctx, identitycontrol.TrustFilter{ProjectID: projectID, TrustorID: trustorID, TrusteeID: trusteeID, Before: at})
}

// PurgeDirectory forgets users and groups of directories, and says how many.
func (t *IdentityTool) PurgeDirectory(ctx context.Context, domainName, publicID, localID, kind string) (int, error) {
	return t.control.PurgeDirectory(ctx, identitycontrol.EntryFilter{DomainName: domainName, PublicID: publicID, LocalID: localID, Kind: kind})
}

// PopulateDirectory brings in the users and groups of a domain's directory.
func (t *IdentityTool) PopulateDirectory(ctx context.Context, domainName string) error {
	return t.control.PopulateDirectory(ctx, domainName)
}

// ConfigureDomain gives a domain the configuration of a file in TOML, with the
// sections of the API.
func (t *IdentityTool) ConfigureDomain(ctx context.Context, domainName, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var config identitycontrol.DomainConfig
	if err := toml.Unmarshal(data, &config); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return t.control.ConfigureDomain(ctx, domainName, config)
}

// CreateSigningKeys writes a pair of keys for signed tokens into a folder.
func CreateSigningKeys(dir string) error { return jws.CreatePair(dir, dir) }

// TryMapping maps an assertion, written as lines NAME: VALUE, by rules in JSON.
func TryMapping(schema, rulesFile, assertionFile, prefix string) (string, error) {
	rules, err := os.ReadFile(rulesFile)
	if err != nil {
		return "", err
	}
	assertion, err := os.ReadFile(assertionFile)
	if err != nil {
		return "", err
	}
	return mapping.Try(schema, rules, assertion, prefix)
}
