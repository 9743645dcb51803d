package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"

	"kilonova/internal/auth"
	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/fernet"
	"kilonova/service/identity/store"
)

func credentialTarget(userID string) auth.Target {
	return auth.Target{"target.credential.user_id": userID, "user_id": userID}
}

// encrypt is a blob as it is kept.
func (c *Control) encrypt(blob string) (string, error) {
	key, err := c.credKeys.Primary()
	if err != nil {
		return "", err
	}
	return fernet.Seal(key, []byte(blob), c.now(), c.random)
}

// decrypt puts the blob of a credential back into the clear.
func (c *Control) decrypt(cred *identity.Credential) error {
	keys, err := c.credKeys.All()
	if err != nil {
		return err
	}
	blob, _, err := fernet.Open(keys, cred.Blob)
	cred.Blob = string(blob)
	return err
}

// Credentials lists those credentials that the caller may see.
func (c *Control) Credentials(ctx context.Context, q identity.Query) ([]identity.Credential, error) {
	if err := c.may(ctx, "identity:list_credentials", credentialTarget(self(ctx))); err != nil {
		return nil, err
	}
	if c.may(ctx, "identity:list_credentials", nil) != nil {
		q = q.Where("user_id", self(ctx))
	}
	list, err := store.Credentials(ctx, c.db, q)
	for i := range list {
		err = errors.Join(err, c.decrypt(&list[i]))
	}
	return list, err
}

// Credential returns a credential.
func (c *Control) Credential(ctx context.Context, id string) (identity.Credential, error) {
	return c.credential(ctx, id, "identity:get_credential")
}

func (c *Control) credential(ctx context.Context, id, rule string) (identity.Credential, error) {
	cred, err := store.Credential(ctx, c.db, id)
	err = found(err, "credential", id)
	if err == nil {
		err = c.decrypt(&cred)
	}
	return cred, c.seen(ctx, err, rule, credentialTarget(cred.UserID))
}

// ec2Blob is the text of an EC2 key pair.
type ec2Blob struct {
	Access  string `json:"access"`
	Secret  string `json:"secret"`
	TrustID string `json:"trust_id,omitempty"`
	AppCred string `json:"app_cred_id,omitempty"`
}

func ec2ID(access string) string {
	sum := sha256.Sum256([]byte(access))
	return hex.EncodeToString(sum[:])
}

func parseEC2(blob string) (ec2Blob, error) {
	var b ec2Blob
	if err := json.Unmarshal([]byte(blob), &b); err != nil || b.Access == "" || b.Secret == "" {
		return b, fault.Invalidf("Invalid blob in credential: the blob of an EC2 key pair is a JSON object with access and secret.")
	}
	return b, nil
}

// CreateCredential keeps a secret for a user.
func (c *Control) CreateCredential(ctx context.Context, change identity.CredentialChange) (identity.Credential, error) {
	cred := identity.Credential{UserID: value(change.UserID, ""), ProjectID: value(change.ProjectID, ""), Type: value(change.Type, ""), Blob: value(change.Blob, ""), Extra: change.Extra}
	if err := c.may(ctx, "identity:create_credential", credentialTarget(cred.UserID)); err != nil {
		return cred, err
	}
	if _, err := c.mayDelegate(ctx, false); err != nil {
		return cred, err
	}
	var err error
	if cred.Type == identity.CredentialEC2 {
		if cred.ProjectID == "" {
			return cred, fault.Invalidf("Invalid input for field 'credential': 'project_id' is a required property for an EC2 key pair.")
		}
		b, err := parseEC2(cred.Blob)
		if err != nil {
			return cred, err
		}
		if b.TrustID != "" || b.AppCred != "" {
			return cred, fault.Invalidf("An EC2 key pair cannot name a trust or an application credential.")
		}
		cred.ID = ec2ID(b.Access)
	} else if cred.ID, err = c.newID(); err != nil {
		return cred, err
	}
	if _, err := store.User(ctx, c.db, cred.UserID); errors.Is(err, db.ErrNoRow) {
		return cred, fault.Invalidf("Could not find user: %s.", clip(cred.UserID))
	} else if err != nil {
		return cred, err
	}
	return cred, c.addCredential(ctx, cred)
}

func (c *Control) addCredential(ctx context.Context, cred identity.Credential) error {
	kept := cred
	var err error
	if kept.Blob, err = c.encrypt(cred.Blob); err != nil {
		return err
	}
	err = c.changing(ctx, func(tx *db.Tx) error {
		if most := c.options.Credential.UserLimit; most >= 0 {
			have, err := store.Credentials(ctx, tx, identity.Query{}.Where("user_id", cred.UserID))
			if err != nil {
				return err
			}
			if len(have) >= most {
				return fault.Forbiddenf("Unable to create additional credentials, maximum of %d already exceeded for user.", most)
			}
		}
		return store.AddCredential(ctx, tx, kept)
	})
	return duplicate(err, "credential", "Duplicate entry found with ID %s", cred.ID)
}

// UpdateCredential changes a credential; a caller can only hand it to users for
// whom it could make one.
func (c *Control) UpdateCredential(ctx context.Context, id string, change identity.CredentialChange) (identity.Credential, error) {
	cred, err := c.credential(ctx, id, "identity:update_credential")
	if err != nil {
		return cred, err
	}
	if _, err := c.mayDelegate(ctx, false); err != nil {
		return cred, err
	}
	before := cred
	cred.UserID, cred.ProjectID = value(change.UserID, cred.UserID), value(change.ProjectID, cred.ProjectID)
	cred.Type, cred.Blob, cred.Extra = value(change.Type, cred.Type), value(change.Blob, cred.Blob), cred.Extra.Merge(change.Extra)
	if err := c.may(ctx, "identity:update_credential", credentialTarget(cred.UserID)); err != nil {
		return cred, err
	}
	if before.Type == identity.CredentialEC2 || cred.Type == identity.CredentialEC2 {
		b, err := parseEC2(cred.Blob)
		if err != nil {
			return cred, err
		}
		old, _ := parseEC2(before.Blob)
		if b.TrustID != old.TrustID || b.AppCred != old.AppCred || cred.ProjectID == "" {
			return cred, fault.Invalidf("An EC2 key pair belongs to a project, and its trust_id and app_cred_id cannot be changed.")
		}
	}
	kept := cred
	if kept.Blob, err = c.encrypt(cred.Blob); err != nil {
		return cred, err
	}
	return cred, c.changing(ctx, func(tx *db.Tx) error {
		return found(store.UpdateCredential(ctx, tx, kept), "credential", id)
	})
}

// DeleteCredential removes a credential.
func (c *Control) DeleteCredential(ctx context.Context, id string) error {
	if _, err := c.credential(ctx, id, "identity:delete_credential"); err != nil {
		return err
	}
	return c.changing(ctx, func(tx *db.Tx) error {
		return found(store.DeleteCredential(ctx, tx, id), "credential", id)
	})
}
