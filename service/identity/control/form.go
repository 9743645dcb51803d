package control

import (
	"io"

	"kilonova/service/identity"
	"kilonova/service/identity/fernet"
	"kilonova/service/identity/jws"
)

// form is how the text of a token is made and read.
type form interface {
	Issue(c *identity.Claims) (string, error)
	Parse(text string) (*identity.Claims, error)
}

// The forms by upstream's names.
const (
	fernetProvider = "fernet"
	jwsProvider    = "jws"
)

// newForm opens the keys of the form that the options choose.
func newForm(o Options, keys *fernet.Keys, random io.Reader) (form, error) {
	if o.Token.Provider == jwsProvider {
		return jws.OpenKeys(o.JWT.PrivateKeyRepository, o.JWT.PublicKeyRepository)
	}
	return &sealed{keys, random}, nil
}

// sealed is the form of Fernet.
type sealed struct {
	keys   *fernet.Keys
	random io.Reader
}

func (s *sealed) Issue(c *identity.Claims) (string, error) {
	key, err := s.keys.Primary()
	if err != nil {
		return "", err
	}
	return fernet.Issue(key, c, s.random)
}

func (s *sealed) Parse(text string) (*identity.Claims, error) {
	keys, err := s.keys.All()
	if err != nil {
		return nil, err
	}
	return fernet.Parse(keys, text)
}
