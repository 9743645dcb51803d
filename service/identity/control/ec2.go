package control

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/signature"
	"kilonova/service/identity/store"
)

// EC2Key is an EC2 key pair.
type EC2Key struct {
	UserID, ProjectID, Access, Secret, TrustID string
}

func ec2Key(cred identity.Credential) (EC2Key, error) {
	b, err := parseEC2(cred.Blob)
	return EC2Key{UserID: cred.UserID, ProjectID: cred.ProjectID, Access: b.Access, Secret: b.Secret, TrustID: b.TrustID}, err
}

// EC2Keys lists the EC2 key pairs of a user.
func (c *Control) EC2Keys(ctx context.Context, userID string) ([]EC2Key, error) {
	if err := c.may(ctx, "identity:ec2_list_credentials", credentialTarget(userID)); err != nil {
		return nil, err
	}
	if _, err := store.User(ctx, c.db, userID); err != nil {
		return nil, found(err, "user", userID)
	}
	list, err := store.Credentials(ctx, c.db, identity.Query{}.Where("user_id", userID).Where("type", identity.CredentialEC2))
	if err != nil {
		return nil, err
	}
	var keys []EC2Key
	for i := range list {
		if err := c.decrypt(&list[i]); err != nil {
			return nil, err
		}
		if key, err := ec2Key(list[i]); err == nil {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// EC2Key returns an EC2 key pair of a user by its access key.
func (c *Control) EC2Key(ctx context.Context, userID, access string) (EC2Key, error) {
	return c.ec2Key(ctx, userID, access, "identity:ec2_get_credential")
}

func (c *Control) ec2Key(ctx context.Context, userID, access, rule string) (EC2Key, error) {
	cred, err := c.ec2Credential(ctx, access)
	if err == nil && cred.UserID != userID {
		err = noKey()
	}
	if err := c.seen(ctx, err, rule, credentialTarget(userID)); err != nil {
		return EC2Key{}, err
	}
	return ec2Key(cred)
}

func noKey() error { return fault.NotFoundf("EC2 access key not found.") }

// ec2Credential returns the credential of an access key, in the clear.
func (c *Control) ec2Credential(ctx context.Context, access string) (identity.Credential, error) {
	cred, err := store.Credential(ctx, c.db, ec2ID(access))
	if errors.Is(err, db.ErrNoRow) || err == nil && cred.Type != identity.CredentialEC2 {
		return cred, noKey()
	}
	if err == nil {
		err = c.decrypt(&cred)
	}
	return cred, err
}

// CreateEC2Key makes an EC2 key pair for a user on a project. With the token of
// an application credential it has that one's roles, and only on its project.
func (c *Control) CreateEC2Key(ctx context.Context, userID, projectID string) (EC2Key, error) {
	key := EC2Key{UserID: userID, ProjectID: projectID}
	if err := c.may(ctx, "identity:ec2_create_credential", credentialTarget(userID)); err != nil {
		return key, err
	}
	claims, err := c.mayDelegate(ctx, false)
	if err != nil {
		return key, err
	}
	if claims.AppCredID != "" && claims.ProjectID != projectID {
		return key, fault.Forbiddenf("You are not authorized to perform the requested action: an application credential makes EC2 key pairs for its own project only.")
	}
	if _, err := store.User(ctx, c.db, userID); err != nil {
		return key, found(err, "user", userID)
	}
	if _, err := store.ProjectHead(ctx, c.db, projectID); err != nil {
		return key, found(err, "project", projectID)
	}
	if key.Access, err = c.newID(); err != nil {
		return key, err
	}
	if key.Secret, err = c.newID(); err != nil {
		return key, err
	}
	blob, err := json.Marshal(ec2Blob{Access: key.Access, Secret: key.Secret, AppCred: claims.AppCredID})
	if err != nil {
		return key, err
	}
	return key, c.addCredential(ctx, identity.Credential{ID: ec2ID(key.Access), UserID: userID, ProjectID: projectID, Type: identity.CredentialEC2, Blob: string(blob)})
}

// DeleteEC2Key removes an EC2 key pair.
func (c *Control) DeleteEC2Key(ctx context.Context, userID, access string) error {
	if _, err := c.ec2Key(ctx, userID, access, "identity:ec2_delete_credential"); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		err := store.DeleteCredential(ctx, tx, ec2ID(access))
		if errors.Is(err, db.ErrNoRow) {
			err = noKey()
		}
		return err
	})
}

// SignedRequest is a request that an EC2 or S3 client signed. For S3, Text is
// what was signed, and the request is empty.
type SignedRequest struct {
	Access, Signature string
	Request           signature.Request
	Text              []byte
}

// AuthenticateSigned issues a token to who signed a request. Only services may
// ask: whoever sees a signed request could otherwise make a token of it.
func (c *Control) AuthenticateSigned(ctx context.Context, r SignedRequest) (*identity.Token, error) {
	rule := "identity:ec2tokens_validate"
	if r.Text != nil {
		rule = "identity:s3tokens_validate"
	}
	if err := c.may(ctx, rule, auth.Target{}); err != nil {
		return nil, err
	}
	cred, err := c.ec2Credential(ctx, r.Access)
	if err != nil {
		return nil, err
	}
	b, err := parseEC2(cred.Blob)
	if err != nil {
		return nil, err
	}
	if !signedWith(b.Secret, r) {
		return nil, fault.New(fault.Unauthenticated, "Invalid EC2 signature.")
	}
	date := r.Request.Date()
	if r.Text != nil {
		date = signature.S3Date(r.Text)
	}
	if err := c.fresh(date); err != nil {
		return nil, err
	}
	audit, err := c.newSecret(16)
	if err != nil {
		return nil, err
	}
	now := c.now()
	return c.issue(ctx, identity.Claims{UserID: cred.UserID, ProjectID: cred.ProjectID, AppCredID: b.AppCred, Methods: []string{identity.MethodEC2},
		AuditIDs: []string{audit}, IssuedAt: now, Expires: now.Add(seconds(c.options.Token.Expiration))}, true)
}

func signedWith(secret string, r SignedRequest) bool {
	if r.Text != nil {
		want, err := signature.S3(secret, r.Text)
		return err == nil && signature.Same(want, r.Signature)
	}
	want, err := signature.EC2(secret, r.Request)
	if err == nil && signature.Same(want, r.Signature) {
		return true
	}
	host, _, err := net.SplitHostPort(r.Request.Host) // some clients sign without the port
	if err != nil {
		return false
	}
	r.Request.Host = host
	want, err = signature.EC2(secret, r.Request)
	return err == nil && signature.Same(want, r.Signature)
}

// fresh refuses requests that were signed too long ago. One without a date does
// not say when.
func (c *Control) fresh(date string) error {
	if date == "" {
		return nil
	}
	for _, layout := range []string{"20060102T150405Z", time.RFC3339Nano, "2006-01-02T15:04:05"} {
		t, err := time.Parse(layout, date)
		if err != nil {
			continue
		}
		if c.now().After(t.Add(time.Duration(c.options.Credential.AuthTTL) * time.Minute)) {
			return fault.New(fault.Unauthenticated, "Credential is expired")
		}
		return nil
	}
	return fault.New(fault.Unauthenticated, "Credential timestamp is invalid: %s", clip(date))
}
