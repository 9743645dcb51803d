package stack

import (
	"sync"
	"time"

	"kilonova/internal/auth"
	"kilonova/internal/peer"
)

// tokenTTL is how long a token that was found valid is believed. With what identity
// itself knows by heart, a revocation reaches everybody within a second.
const tokenTTL = 500 * time.Millisecond

// believed are what the services of this process believe of tokens.
type believed struct {
	mu  sync.Mutex
	all []*auth.Cached
}

// forget has all of them ask again: identity, which lives here, has changed
// something. In this process a token is refused at once, therefore.
func (b *believed) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.all {
		c.Forget()
	}
}

// validator checks the tokens of callers of a service whose user is given.
func (s *Stack) validator(own peer.Tokens) (auth.Validator, error) {
	v, err := peer.Validator(s.peers, own)
	if err != nil {
		return nil, err
	}
	c := auth.NewCached(v, tokenTTL, s.Now)
	s.believed.mu.Lock()
	defer s.believed.mu.Unlock()
	s.believed.all = append(s.believed.all, c)
	return c, nil
}
