package oidc

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Verifier verifies the tokens of one provider for one audience.
type Verifier struct {
	Issuer   string   // as the provider spells it
	Audience []string // of which a token must name one
	JWKS     string   // where its keys are; "" as the provider's discovery document says
	Client   *http.Client
	Now      func() time.Time

	mu      sync.Mutex
	keys    map[string]crypto.PublicKey
	fetched time.Time
}

// Unreachable says that the provider's keys cannot be had: whether a token is
// good is not known.
type Unreachable struct{ err error }

func (u *Unreachable) Error() string { return u.err.Error() }
func (u *Unreachable) Unwrap() error { return u.err }

// algorithms are those whose keys are public: a token that a provider's public
// key "signed" by HMAC is none.
var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// leeway is how far the provider's clock may be from ours.
const leeway = time.Minute

const maxToken = 32 << 10

// Verify returns the claims of a token that is the provider's, for us, and good
// now, each with its values. It is an error, and not Unreachable, when it is not.
func (v *Verifier) Verify(ctx context.Context, text string) (map[string][]string, error) {
	if len(text) > maxToken {
		return nil, errors.New("the token is too long")
	}
	p := jwt.NewParser(jwt.WithValidMethods(algorithms), jwt.WithIssuer(v.Issuer), jwt.WithExpirationRequired(), jwt.WithLeeway(leeway),
		jwt.WithTimeFunc(v.Now), jwt.WithJSONNumber())
	claims := jwt.MapClaims{}
	var outside error
	_, err := p.ParseWithClaims(text, claims, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		key, err := v.find(ctx, id)
		if u, ok := errors.AsType[*Unreachable](err); ok {
			outside = u
		}
		return key, err
	})
	if outside != nil {
		return nil, outside
	}
	if err != nil {
		return nil, err
	}
	aud, err := claims.GetAudience()
	if err != nil || !slices.ContainsFunc(aud, func(a string) bool { return slices.Contains(v.Audience, a) }) {
		return nil, fmt.Errorf("the token is for %.256q and not for us", []string(aud))
	}
	out := map[string][]string{}
	for name, value := range claims {
		if list := values(value); len(list) > 0 {
			out[name] = list
		}
	}
	return out, nil
}

// values are those of a claim: of a list each, of an object its JSON.
func values(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, e := range v {
			if o, ok := e.(map[string]any); ok { // as the rules of a mapping take objects
				text, _ := json.Marshal(o)
				all = append(all, "JSON:"+string(text))
				continue
			}
			all = append(all, values(e)...)
		}
		return all
	case map[string]any:
		text, _ := json.Marshal(v)
		return []string{string(text)}
	default:
		return []string{fmt.Sprint(v)}
	}
}
