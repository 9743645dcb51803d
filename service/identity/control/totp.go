package control

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"kilonova/service/identity"
	"kilonova/service/identity/store"
)

// Passcodes after RFC 6238 as the common apps make them; one that has just
// passed is good as well.
const (
	totpStep   = 30 * time.Second
	totpBehind = 1
)

// passcode is the six digits of a seed at an instant.
func passcode(seed []byte, at time.Time) string {
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], uint64(at.Unix()/int64(totpStep/time.Second)))
	h := hmac.New(sha1.New, seed)
	h.Write(counter[:])
	sum := h.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[len(sum)-1]&0x0f:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1000000)
}

// byTOTP logs in with a passcode of any TOTP credential of the user. Failures
// count like those of passwords.
func (c *Control) byTOTP(ctx context.Context, a identity.PasswordAuth) (identity.User, error) {
	id, err := c.userID(ctx, a.User)
	if err != nil {
		return identity.User{}, err
	}
	u, l, err := c.login(ctx, id)
	if err != nil {
		return u, err
	}
	if u.ID == "" || c.lockedOut(u, l) {
		return identity.User{}, unauthorized()
	}
	list, err := store.Credentials(ctx, c.db, identity.Query{}.Where("user_id", u.ID).Where("type", identity.CredentialTOTP))
	if err != nil {
		return u, err
	}
	right := 0
	for _, cred := range list {
		if err := c.decrypt(&cred); err != nil {
			return u, err
		}
		seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(cred.Blob), "="))
		if err != nil {
			continue
		}
		for behind := range totpBehind + 1 {
			want := passcode(seed, c.now().Add(-time.Duration(behind)*totpStep))
			right |= subtle.ConstantTimeCompare([]byte(want), []byte(a.Password))
		}
	}
	if right == 0 {
		if err := c.noteFailure(ctx, u); err != nil {
			return u, err
		}
		return u, unauthorized()
	}
	standing, _, err := c.standingUser(ctx, u.ID)
	return standing, tokenRefused(err)
}
