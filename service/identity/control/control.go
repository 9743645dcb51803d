package control

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity/fernet"
	"kilonova/service/identity/oidc"
	"kilonova/service/identity/password"
	"kilonova/service/identity/saml"
	"kilonova/service/identity/store"
)

// Config is what the service stands on.
type Config struct {
	Store   *store.Store
	Log     *slog.Logger
	Now     func() time.Time
	Options Options
	// Changed is called whenever something that tokens stand for has changed by this
	// process; nil: nobody wants to know.
	Changed func()
	// Random is the source of ids, keys and secrets; nil: crypto/rand.
	Random io.Reader
}

// Control does what the identity service does.
type Control struct {
	db       *db.DB
	log      *slog.Logger
	clock    func() time.Time
	options  Options
	random   io.Reader
	policy   *auth.Policy
	scopes   map[string]string // of each rule
	keys     *fernet.Keys
	form     form // of tokens
	receipts form
	// receiptKeys are those of receipts, credKeys those of credentials at rest.
	receiptKeys, credKeys *fernet.Keys
	hash                  *password.Hasher
	pattern               *regexp.Regexp // that passwords must match; nil: none
	known                 known
	changed               func() // what others know by heart is of no more use
	// providers verify the tokens of OpenID Connect providers.
	providers map[string]*oidc.Verifier
	proxies   []netip.Prefix
	saml      *saml.Provider // nil: this cloud is no identity provider

	directories directories
}

// New checks the options, and opens the key directories, which it makes if need be.
func New(cfg Config) (*Control, error) {
	if err := cfg.Options.check(); err != nil {
		return nil, err
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Changed == nil {
		cfg.Changed = func() {}
	}
	c := &Control{db: cfg.Store.DB, log: cfg.Log, clock: cfg.Now, options: cfg.Options, random: cfg.Random, changed: cfg.Changed}
	c.policy, c.scopes = newPolicy()
	c.providers = map[string]*oidc.Verifier{}
	for id, p := range cfg.Options.OpenID {
		c.providers[id] = &oidc.Verifier{Issuer: p.Issuer, Audience: p.Audience, JWKS: p.JWKS, Client: &http.Client{}, Now: c.now}
	}
	for _, network := range cfg.Options.Federation.TrustedProxies {
		c.proxies = append(c.proxies, netip.MustParsePrefix(network)) // checked with the options
	}
	var err error
	if c.saml, err = saml.New(cfg.Options.SAML, c.now, cfg.Random); err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	if c.keys, err = fernet.OpenKeys(cfg.Options.Fernet.KeyRepository, cfg.Random); err != nil {
		return nil, err
	}
	if c.form, err = newForm(cfg.Options, c.keys, cfg.Random); err != nil {
		return nil, err
	}
	if c.receiptKeys, err = fernet.OpenKeys(cfg.Options.Receipts.KeyRepository, cfg.Random); err != nil {
		return nil, err
	}
	c.receipts = &sealed{c.receiptKeys, cfg.Random}
	if c.credKeys, err = fernet.OpenKeys(cfg.Options.Credential.KeyRepository, cfg.Random); err != nil {
		return nil, err
	}
	if text := cfg.Options.Compliance.PasswordRegex; text != "" {
		c.pattern = regexp.MustCompile(text) // checked with the options
	}
	o := cfg.Options.Identity
	c.hash, err = password.New(password.Hasher{Algorithm: o.PasswordHashAlgorithm, Rounds: o.PasswordHashRounds, BlockSize: o.ScryptBlockSize,
		Parallelism: o.ScryptParallelism, Random: cfg.Random})
	return c, err
}

// pruneEvery is how often records of no more use are removed.
const pruneEvery = 10 * time.Minute

// Run removes records of no more use from time to time, until ctx ends.
func (c *Control) Run(ctx context.Context) error {
	ticker := time.NewTicker(pruneEvery)
	defer ticker.Stop()
	for {
		if err := c.Prune(ctx); err != nil && ctx.Err() == nil {
			c.log.Warn("identity: records of no more use could not be removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Prune removes revocations that no token can need any more, OAuth 1 request
// tokens that have expired, and trusts that ended so long ago that no token of
// theirs is left.
func (c *Control) Prune(ctx context.Context) error {
	return c.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := store.PruneRevocations(ctx, tx, c.now()); err != nil {
			return err
		}
		if _, err := store.PruneRequestTokens(ctx, tx, c.now()); err != nil {
			return err
		}
		if _, err := store.PruneFederatedMemberships(ctx, tx, c.now()); err != nil {
			return err
		}
		_, err := store.PruneTrusts(ctx, tx, c.now().Add(-seconds(c.options.Token.AllowExpiredWindow)))
		return err
	})
}

// RotateTokenKeys makes the staged key of the token keys the primary one.
func (c *Control) RotateTokenKeys() error { return c.keys.Rotate(c.options.Fernet.MaxActiveKeys) }

// RotateReceiptKeys does so for the keys of receipts.
func (c *Control) RotateReceiptKeys() error {
	return c.receiptKeys.Rotate(c.options.Receipts.MaxActiveKeys)
}

// now is the time as records and tokens keep it.
func (c *Control) now() time.Time { return c.clock().UTC().Truncate(time.Microsecond) }

// newID returns 32 hexadecimal digits.
func (c *Control) newID() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(c.random, b[:]); err != nil {
		return "", fmt.Errorf("new id: %w", err)
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // version 4, as others expect of a UUID
	return hex.EncodeToString(b[:]), nil
}

// newSecret returns the base64 of n random bytes.
func (c *Control) newSecret(n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(c.random, b); err != nil {
		return "", fmt.Errorf("new secret: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// notFound is the fault for a thing, "user", that does not exist.
func notFound(what, id string) error {
	return fault.NotFoundf("Could not find %s: %s.", what, clip(id))
}

// clip bounds what is repeated of a caller's words.
func clip(s string) string {
	if len(s) > 255 {
		return s[:255] + "…"
	}
	return s
}

// found turns "no such row" into the fault for it.
func found(err error, what, id string) error {
	if errors.Is(err, db.ErrNoRow) {
		return notFound(what, id)
	}
	return err
}

// duplicate turns "the key exists" into the fault for it, told by details.
func duplicate(err error, what, details string, args ...any) error {
	if db.IsUnique(err) {
		return fault.Wrap(err, fault.Conflict, "Conflict occurred attempting to store %s - %s.", what, fmt.Sprintf(details, args...))
	}
	return err
}

func duplicateName(err error, what, name, domainID string) error {
	return duplicate(err, what, "Duplicate entry found with name %s at domain ID %s", clip(name), domainID)
}

// value is what p points to, def for nil.
func value[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}
