package control

import (
	"fmt"
	"net/netip"
	"regexp"
	"time"

	"kilonova/service/identity/password"
	"kilonova/service/identity/saml"
)

// Options are identity's options, under upstream's sections and names. Spans of
// time are in seconds unless their names say otherwise.
type Options struct {
	Token struct {
		Provider           string `toml:"provider"`             // the form of tokens: fernet or jws
		Expiration         int    `toml:"expiration"`           // life of a token
		AllowExpiredWindow int    `toml:"allow_expired_window"` // how long services may still use it for work in flight
		AllowRescopeScoped bool   `toml:"allow_rescope_scoped_token"`
	} `toml:"token"`
	Fernet struct {
		KeyRepository string `toml:"key_repository"`
		MaxActiveKeys int    `toml:"max_active_keys"`
	} `toml:"fernet_tokens"`
	JWT struct {
		PublicKeyRepository  string `toml:"jws_public_key_repository"`
		PrivateKeyRepository string `toml:"jws_private_key_repository"`
	} `toml:"jwt_tokens"`
	Receipt struct {
		Expiration int `toml:"expiration"` // within which a log-in of several steps must be done
	} `toml:"receipt"`
	Receipts struct {
		KeyRepository string `toml:"key_repository"`
		MaxActiveKeys int    `toml:"max_active_keys"`
	} `toml:"fernet_receipts"`
	Credential struct {
		KeyRepository string `toml:"key_repository"`
		UserLimit     int    `toml:"user_limit"` // credentials a user may have; -1: any number
		AuthTTL       int    `toml:"auth_ttl"`   // minutes for which a signed request is good
	} `toml:"credential"`
	Identity struct {
		PasswordHashAlgorithm string `toml:"password_hash_algorithm"` // of new hashes: bcrypt, scrypt or pbkdf2_sha512
		PasswordHashRounds    int    `toml:"password_hash_rounds"`    // bcrypt's and scrypt's as a power of two
		ScryptBlockSize       int    `toml:"scrypt_block_size"`       // 0: 8
		ScryptParallelism     int    `toml:"scrypt_parallelism"`      // 0: 1
		MaxPasswordLength     int    `toml:"max_password_length"`
	} `toml:"identity"`
	Compliance struct {
		LockoutFailureAttempts   int    `toml:"lockout_failure_attempts"` // 0: never lock out
		LockoutDuration          int    `toml:"lockout_duration"`
		PasswordExpiresDays      int    `toml:"password_expires_days"`      // 0: never
		UniqueLastPasswordCount  int    `toml:"unique_last_password_count"` // 0: passwords may come again
		MinimumPasswordAge       int    `toml:"minimum_password_age"`       // days
		PasswordRegex            string `toml:"password_regex"`
		PasswordRegexDescription string `toml:"password_regex_description"`
		ChangeUponFirstUse       bool   `toml:"change_password_upon_first_use"`
		DisableInactiveDays      int    `toml:"disable_user_account_days_inactive"`
	} `toml:"security_compliance"`
	Trust struct {
		AllowRedelegation    bool `toml:"allow_redelegation"`
		MaxRedelegationCount int  `toml:"max_redelegation_count"`
	} `toml:"trust"`
	AppCredential struct {
		UserLimit int `toml:"user_limit"` // -1: any number
	} `toml:"application_credential"`
	OAuth1 struct {
		RequestTokenDuration int `toml:"request_token_duration"` // 0: for ever
		AccessTokenDuration  int `toml:"access_token_duration"`
	} `toml:"oauth1"`
	OAuth2 struct {
		// AuthnMethods are how clients may prove who they are: client_secret_basic, with
		// an application credential, and tls_client_auth, with a certificate.
		AuthnMethods []string `toml:"oauth2_authn_methods"`
		// CertMapping is the mapping that says which user a certificate's subject is.
		CertMapping string `toml:"oauth2_cert_dn_mapping_id"`
	} `toml:"oauth2"`
	Federation struct {
		// TrustedProxies are the networks of web servers in front that authenticate
		// users; only they are believed what they say in headers. None by default.
		TrustedProxies    []string `toml:"trusted_proxies"`
		RemoteUserHeader  string   `toml:"remote_user_header"`  // of a trusted proxy: who it is
		AssertionPrefix   string   `toml:"assertion_prefix"`    // of headers as CGI names them, that belong to an assertion
		RemoteIDAttribute string   `toml:"remote_id_attribute"` // where a protocol says nothing else
		TrustedDashboard  []string `toml:"trusted_dashboard"`   // addresses to which web single sign-on may lead
		// DefaultAuthorizationTTL is for how many minutes mapped groups last beyond
		// the token; 0: no longer.
		DefaultAuthorizationTTL int `toml:"default_authorization_ttl"`
	} `toml:"federation"`
	// OpenID has the OpenID Connect providers whose tokens are verified here, by the
	// id of the identity provider.
	OpenID map[string]OpenIDOptions `toml:"openid"`
	// SAML has this cloud as an identity provider of other clouds.
	SAML           saml.Options `toml:"saml"`
	EndpointFilter struct {
		ReturnAll bool `toml:"return_all_endpoints_if_no_filter"`
	} `toml:"endpoint_filter"`
	UnifiedLimit struct {
		EnforcementModel string `toml:"enforcement_model"` // "flat" or "strict_two_level"
	} `toml:"unified_limit"`
	MaxProjectTreeDepth int `toml:"max_project_tree_depth"`
}

// OpenIDOptions are those of one OpenID Connect provider.
type OpenIDOptions struct {
	Issuer   string   `toml:"issuer"`
	Audience []string `toml:"audience"` // a token must be for one of these
	JWKS     string   `toml:"jwks_uri"` // "": as the provider's discovery document says
}

// Defaults are the options of an installation that sets none. The two key
// repositories are left to who knows where this installation keeps its data.
func Defaults() Options {
	var o Options
	o.Token.Expiration, o.Token.AllowExpiredWindow, o.Token.AllowRescopeScoped = 3600, 48*3600, true
	o.Token.Provider, o.Receipt.Expiration = fernetProvider, 300
	o.Fernet.MaxActiveKeys, o.Receipts.MaxActiveKeys = 3, 3
	o.Credential.UserLimit, o.Credential.AuthTTL = -1, 15
	o.Identity.PasswordHashAlgorithm, o.Identity.PasswordHashRounds, o.Identity.MaxPasswordLength = password.Bcrypt, 10, 4096
	o.Compliance.LockoutDuration = 1800
	o.Trust.MaxRedelegationCount = 3
	o.AppCredential.UserLimit = -1
	o.OAuth1.RequestTokenDuration, o.OAuth1.AccessTokenDuration = 28800, 86400
	o.OAuth2.AuthnMethods, o.OAuth2.CertMapping = []string{"client_secret_basic", "tls_client_auth"}, "oauth2_mapping"
	o.Federation.RemoteUserHeader = "X-Remote-User"
	o.SAML = saml.Defaults()
	o.EndpointFilter.ReturnAll = true
	o.UnifiedLimit.EnforcementModel = "flat"
	o.MaxProjectTreeDepth = 5
	return o
}

// maxTreeDepth is as deep as a project's path can be kept.
const maxTreeDepth = 14

func (o *Options) check() error {
	switch {
	case o.Fernet.KeyRepository == "" || o.Credential.KeyRepository == "":
		return fmt.Errorf("identity: [fernet_tokens] key_repository and [credential] key_repository must name folders")
	case o.Token.Provider != fernetProvider && o.Token.Provider != jwsProvider:
		return fmt.Errorf("identity: [token] provider must be fernet or jws, and is %q", o.Token.Provider)
	case o.Token.Provider == jwsProvider && (o.JWT.PublicKeyRepository == "" || o.JWT.PrivateKeyRepository == ""):
		return fmt.Errorf("identity: [jwt_tokens] jws_public_key_repository and jws_private_key_repository must name folders")
	case o.Receipts.KeyRepository == "":
		return fmt.Errorf("identity: [fernet_receipts] key_repository must name a folder")
	case o.Receipt.Expiration <= 0:
		return fmt.Errorf("identity: [receipt] expiration must be more than 0 seconds, and is %d", o.Receipt.Expiration)
	case o.Token.Expiration <= 0:
		return fmt.Errorf("identity: [token] expiration must be more than 0 seconds, and is %d", o.Token.Expiration)
	case o.Token.AllowExpiredWindow < 0:
		return fmt.Errorf("identity: [token] allow_expired_window must not be negative, and is %d", o.Token.AllowExpiredWindow)
	case o.Fernet.MaxActiveKeys < 1:
		return fmt.Errorf("identity: [fernet_tokens] max_active_keys must be at least 1, and is %d", o.Fernet.MaxActiveKeys)
	case o.Receipts.MaxActiveKeys < 1:
		return fmt.Errorf("identity: [fernet_receipts] max_active_keys must be at least 1, and is %d", o.Receipts.MaxActiveKeys)
	case o.MaxProjectTreeDepth < 1 || o.MaxProjectTreeDepth > maxTreeDepth:
		return fmt.Errorf("identity: max_project_tree_depth must lie between 1 and %d, and is %d", maxTreeDepth, o.MaxProjectTreeDepth)
	case o.UnifiedLimit.EnforcementModel != "flat" && o.UnifiedLimit.EnforcementModel != "strict_two_level":
		return fmt.Errorf("identity: [unified_limit] enforcement_model must be flat or strict_two_level, and is %q", o.UnifiedLimit.EnforcementModel)
	}
	for _, network := range o.Federation.TrustedProxies {
		if _, err := netip.ParsePrefix(network); err != nil {
			return fmt.Errorf("identity: [federation] trusted_proxies: %w", err)
		}
	}
	for id, p := range o.OpenID {
		if p.Issuer == "" || len(p.Audience) == 0 {
			return fmt.Errorf("identity: [openid.%s] needs an issuer and an audience", id)
		}
	}
	if _, err := regexp.Compile(o.Compliance.PasswordRegex); err != nil {
		return fmt.Errorf("identity: [security_compliance] password_regex: %w", err)
	}
	return nil
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }
