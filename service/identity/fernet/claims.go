package fernet

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"kilonova/service/identity"
)

// The versions of the list in a token: what it is scoped to says which.
const (
	unscoped         = 0
	domain           = 1
	project          = 2
	trust            = 3
	federated        = 4
	federatedProject = 5
	federatedDomain  = 6
	oauth1           = 7
	system           = 8
	appCred          = 9
	oauth2           = 10
)

// methods are bits in the order of Keystone's option [auth] methods; ours come
// after its default ones.
var methods = []string{identity.MethodExternal, identity.MethodPassword, identity.MethodToken, identity.MethodOAuth1,
	identity.MethodMapped, identity.MethodAppCred, identity.MethodTOTP, identity.MethodEC2, identity.MethodOAuth2}

// Issue makes the text of a token. Behind what Keystone puts into the list come
// the microseconds of IssuedAt, which Keystone passes over: they tell a log-in
// after a revocation from one before it in the same second.
func Issue(k Key, c *identity.Claims, random io.Reader) (string, error) {
	var buf bytes.Buffer
	w := &listWriter{enc: msgpack.NewEncoder(&buf)}
	mask := 0
	for i, m := range methods {
		for _, used := range c.Methods {
			if used == m {
				mask |= 1 << i
			}
		}
	}
	begin := func(version, length int) {
		w.try(w.enc.EncodeArrayLen(length))
		w.integer(version)
		w.id(c.UserID)
		w.integer(mask)
	}
	vouched := func() {
		w.try(w.enc.EncodeArrayLen(len(c.GroupIDs)))
		for _, id := range c.GroupIDs {
			w.id(id)
		}
		w.id(c.IdentityProvider)
		w.try(w.enc.EncodeString(c.Protocol))
	}
	end := func() {
		w.try(w.enc.EncodeFloat64(float64(c.Expires.UnixMicro()) / 1e6))
		w.try(w.enc.EncodeArrayLen(len(c.AuditIDs)))
		for _, id := range c.AuditIDs {
			raw, err := base64.RawURLEncoding.DecodeString(id)
			w.try(err)
			w.try(w.enc.EncodeBytes(raw))
		}
	}
	switch {
	case c.TrustID != "":
		begin(trust, 8)
		w.id(c.ProjectID)
		end()
		w.bareID(c.TrustID)
	case c.AppCredID != "":
		begin(appCred, 8)
		w.id(c.ProjectID)
		end()
		w.id(c.AppCredID)
	case c.AccessTokenID != "":
		begin(oauth1, 8)
		w.id(c.ProjectID)
		w.id(c.AccessTokenID)
		end()
	case c.Thumbprint != "":
		begin(oauth2, 9)
		w.id(c.ProjectID)
		w.id(c.DomainID)
		end()
		w.id(c.Thumbprint)
	case c.IdentityProvider != "" && c.ProjectID != "":
		begin(federatedProject, 10)
		w.id(c.ProjectID)
		vouched()
		end()
	case c.IdentityProvider != "" && c.DomainID != "":
		begin(federatedDomain, 10)
		w.id(c.DomainID)
		vouched()
		end()
	case c.IdentityProvider != "" && !c.System:
		begin(federated, 9)
		vouched()
		end()
	case c.ProjectID != "":
		begin(project, 7)
		w.id(c.ProjectID)
		end()
	case c.DomainID != "":
		begin(domain, 7)
		w.bareID(c.DomainID)
		end()
	case c.System:
		begin(system, 7)
		w.try(w.enc.EncodeString("all"))
		end()
	default:
		begin(unscoped, 6)
		end()
	}
	w.integer(c.IssuedAt.Nanosecond() / 1000)
	if w.err != nil {
		return "", fmt.Errorf("fernet: %w", w.err)
	}
	return Seal(k, buf.Bytes(), c.IssuedAt, random)
}

type listWriter struct {
	enc *msgpack.Encoder
	err error
}

func (w *listWriter) try(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *listWriter) integer(n int) { w.try(w.enc.EncodeInt(int64(n))) }

// id writes a pair: whether the id is kept as 16 bytes, and the id.
func (w *listWriter) id(id string) {
	raw, ok := compact(id)
	w.try(w.enc.EncodeArrayLen(2))
	w.try(w.enc.EncodeBool(ok))
	if ok {
		w.try(w.enc.EncodeBytes(raw))
	} else {
		w.try(w.enc.EncodeString(id))
	}
}

// bareID writes an id as 16 bytes where it can be, and as text where not.
func (w *listWriter) bareID(id string) {
	if raw, ok := compact(id); ok {
		w.try(w.enc.EncodeBytes(raw))
	} else {
		w.try(w.enc.EncodeString(id))
	}
}

func compact(id string) ([]byte, bool) {
	if len(id) != 32 {
		return nil, false
	}
	raw, err := hex.DecodeString(id)
	return raw, err == nil && hex.EncodeToString(raw) == id
}

// Parse reads a token's text. IssuedAt of a token that Keystone made is known to
// the second only: it is the beginning of that second. An error is ErrInvalid, or
// says what is wrong inside of a text that was made with one of keys.
func Parse(keys []Key, text string) (*identity.Claims, error) {
	data, at, err := Open(keys, text)
	if err != nil {
		return nil, err
	}
	var list []any
	if err := msgpack.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("fernet: %w", err)
	}
	r := &listReader{list: list}
	c := &identity.Claims{IssuedAt: at}
	version := r.integer()
	c.UserID = r.id()
	mask := r.integer()
	for i, m := range methods {
		if mask&(1<<i) != 0 {
			c.Methods = append(c.Methods, m)
		}
	}
	switch version {
	case unscoped, federated:
	case domain, federatedDomain:
		c.DomainID = r.id()
	case project, trust, appCred, federatedProject:
		c.ProjectID = r.id()
	case oauth1:
		c.ProjectID = r.id()
		c.AccessTokenID = r.id()
	case oauth2:
		c.ProjectID = r.id()
		c.DomainID = r.id()
	case system:
		c.System = r.id() != ""
	default:
		return nil, fmt.Errorf("fernet: tokens of version %d are not supported", version)
	}
	switch version {
	case federated, federatedProject, federatedDomain:
		for _, v := range r.many() {
			c.GroupIDs = append(c.GroupIDs, r.asID(v))
		}
		c.IdentityProvider, c.Protocol = r.id(), r.id()
	}
	c.Expires = r.instant()
	c.AuditIDs = r.auditIDs()
	switch version {
	case trust:
		c.TrustID = r.id()
	case appCred:
		c.AppCredID = r.id()
	case oauth2:
		c.Thumbprint = r.id()
	}
	if len(r.list) > 0 && r.err == nil {
		c.IssuedAt = c.IssuedAt.Add(time.Duration(r.integer()) * time.Microsecond)
	}
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

type listReader struct {
	list []any
	err  error
}

func (r *listReader) next() any {
	if len(r.list) == 0 {
		if r.err == nil {
			r.err = fmt.Errorf("fernet: the token's list is too short")
		}
		return nil
	}
	v := r.list[0]
	r.list = r.list[1:]
	return v
}

func (r *listReader) wrong(v any) {
	if r.err == nil {
		r.err = fmt.Errorf("fernet: the token's list has an unexpected %T", v)
	}
}

func (r *listReader) integer() int {
	switch n := r.next().(type) {
	case int8:
		return int(n)
	case int16:
		return int(n)
	case int32:
		return int(n)
	case int64:
		return int(n)
	case uint8:
		return int(n)
	case uint16:
		return int(n)
	case uint32:
		return int(n)
	default:
		r.wrong(n)
		return 0
	}
}

// id reads an id in any of its forms: bytes, text, or a pair.
func (r *listReader) id() string { return r.asID(r.next()) }

func (r *listReader) asID(v any) string {
	switch v := v.(type) {
	case []byte:
		if len(v) == 16 {
			return hex.EncodeToString(v)
		}
		return string(v)
	case string:
		return v
	case []any:
		if len(v) == 2 {
			if text, ok := v[1].([]byte); ok && v[0] == false {
				return string(text)
			}
			return r.asID(v[1])
		}
	}
	r.wrong(v)
	return ""
}

func (r *listReader) instant() time.Time {
	v := r.next()
	switch n := v.(type) {
	case float64:
		if n > 0 && n < 1e11 {
			return time.UnixMicro(int64(math.Round(n * 1e6))).UTC()
		}
	case int64:
		return time.Unix(n, 0).UTC()
	case uint32:
		return time.Unix(int64(n), 0).UTC()
	}
	r.wrong(v)
	return time.Time{}
}

// many reads a list.
func (r *listReader) many() []any {
	v := r.next()
	list, ok := v.([]any)
	if !ok {
		r.wrong(v)
	}
	return list
}

func (r *listReader) auditIDs() []string {
	var ids []string
	for _, e := range r.many() {
		raw, ok := e.([]byte)
		if !ok {
			r.wrong(e)
			continue
		}
		ids = append(ids, base64.RawURLEncoding.EncodeToString(raw))
	}
	return ids
}
