package control

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"kilonova/internal/db"
	"kilonova/internal/fault"
	"kilonova/service/identity"
	"kilonova/service/identity/signature"
	"kilonova/service/identity/store"
)

// signedWithin is how far a signature's time may be from ours.
const signedWithin = 10 * time.Minute

// signedBy verifies a call that a consumer signed, with the secret that token
// returns for the header's oauth_token.
func (c *Control) signedBy(ctx context.Context, call identity.SignedCall, token func(p signature.OAuth1) (secret string, err error)) (signature.OAuth1, error) {
	p, err := signature.ParseOAuth1(call.Authorization)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "Expecting to find oauth_consumer_key in request: %v.", err)
	}
	if p["oauth_consumer_key"] == "" {
		return nil, expectingIn("oauth_consumer_key")
	}
	consumer, err := store.Consumer(ctx, c.db, p["oauth_consumer_key"])
	if errors.Is(err, db.ErrNoRow) {
		return nil, fault.NotFoundf("Consumer not found")
	}
	if err != nil {
		return nil, err
	}
	secret, err := token(p)
	if err != nil {
		return nil, err
	}
	at, err := strconv.ParseInt(p["oauth_timestamp"], 10, 64)
	if off := c.now().Sub(time.Unix(at, 0)).Abs(); err != nil || off > signedWithin || p["oauth_nonce"] == "" {
		return nil, fault.New(fault.Unauthenticated, "Invalid signature: its time is too far from now, or it has no nonce.")
	}
	want, err := p.Sign(call.Method, call.URL, consumer.Secret, secret)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unauthenticated, "Invalid signature: %v.", err)
	}
	if !signature.Same(want, p["oauth_signature"]) {
		return nil, fault.New(fault.Unauthenticated, "Invalid signature")
	}
	return p, nil
}

func expectingIn(attribute string) error {
	return fault.Invalidf("Expecting to find %s in request. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.", attribute)
}

// CreateRequestToken gives a consumer a request token for a project.
func (c *Control) CreateRequestToken(ctx context.Context, call identity.SignedCall, projectID string) (identity.RequestToken, error) {
	var t identity.RequestToken
	if projectID == "" {
		return t, expectingIn("Requested-Project-Id")
	}
	p, err := c.signedBy(ctx, call, func(signature.OAuth1) (string, error) { return "", nil })
	if err != nil {
		return t, err
	}
	if _, err := store.ProjectHead(ctx, c.db, projectID); err != nil {
		return t, found(err, "project", projectID)
	}
	t = identity.RequestToken{ConsumerID: p["oauth_consumer_key"], ProjectID: projectID}
	if n := c.options.OAuth1.RequestTokenDuration; n > 0 {
		t.Expires = c.now().Add(seconds(n))
	}
	if t.ID, t.Secret, err = c.idAndSecret(); err != nil {
		return t, err
	}
	return t, c.db.Tx(ctx, func(tx *db.Tx) error { return store.AddRequestToken(ctx, tx, t) })
}

func (c *Control) idAndSecret() (id, secret string, err error) {
	if id, err = c.newID(); err == nil {
		secret, err = c.newID()
	}
	return id, secret, err
}

// requestToken returns a request token that has not expired.
func (c *Control) requestToken(ctx context.Context, q db.Querier, id string) (identity.RequestToken, error) {
	t, err := store.RequestToken(ctx, q, id)
	if errors.Is(err, db.ErrNoRow) {
		return t, fault.NotFoundf("Request token not found")
	}
	if err == nil && !t.Expires.IsZero() && !c.now().Before(t.Expires) {
		return t, fault.New(fault.Unauthenticated, "Request token is expired")
	}
	return t, err
}

// AuthorizeRequestToken lets the consumer of a request token act for the caller
// with some of the caller's roles, and with no others. Who has the verifier can
// turn it into an access token.
func (c *Control) AuthorizeRequestToken(ctx context.Context, id string, refs []identity.RoleRef) (verifier string, err error) {
	if err := c.may(ctx, "identity:authorize_request_token", nil); err != nil {
		return "", err
	}
	claims, err := c.mayDelegate(ctx, false)
	if err != nil {
		return "", err
	}
	if claims.AppCredID != "" {
		return "", fault.Forbiddenf("You are not authorized to perform the requested action: an application credential cannot authorize a request token.")
	}
	roles, err := c.rolesByRef(ctx, refs)
	if err != nil {
		return "", err
	}
	if len(roles) == 0 {
		return "", fault.Invalidf("Invalid input for field 'roles': a request token is authorized for one role at least.")
	}
	t, err := c.requestToken(ctx, c.db, id)
	if err != nil {
		return "", err
	}
	p, err := store.Project(ctx, c.db, t.ProjectID)
	if err != nil {
		return "", found(err, "project", t.ProjectID)
	}
	has, err := c.projectRoles(ctx, claims.UserID, claims.GroupIDs, &p)
	if err != nil {
		return "", err
	}
	var ids identity.Strings
	for _, r := range roles {
		if !slices.Contains(has, identity.Named{ID: r.ID, Name: r.Name}) {
			return "", fault.New(fault.Unauthenticated, "authorizing user does not have role required")
		}
		ids = append(ids, r.ID)
	}
	if verifier, err = c.newID(); err != nil {
		return "", err
	}
	return verifier, c.db.Tx(ctx, func(tx *db.Tx) error {
		t, err := c.requestToken(ctx, tx, id)
		if err != nil {
			return err
		}
		t.UserID, t.RoleIDs, t.Verifier = claims.UserID, ids, verifier
		return store.UpdateRequestToken(ctx, tx, t)
	})
}

// CreateAccessToken turns a request token that a user has agreed to into an
// access token, once.
func (c *Control) CreateAccessToken(ctx context.Context, call identity.SignedCall) (identity.AccessToken, error) {
	var request identity.RequestToken
	var t identity.AccessToken
	p, err := c.signedBy(ctx, call, func(p signature.OAuth1) (string, error) {
		for _, name := range []string{"oauth_token", "oauth_verifier"} {
			if p[name] == "" {
				return "", expectingIn(name)
			}
		}
		var err error
		request, err = c.requestToken(ctx, c.db, p["oauth_token"])
		return request.Secret, err
	})
	if err != nil {
		return t, err
	}
	switch {
	case request.ConsumerID != p["oauth_consumer_key"]:
		return t, fault.New(fault.Unauthenticated, "Provided consumer key does not match stored consumer key.")
	case request.Verifier == "":
		return t, fault.New(fault.Unauthenticated, "Request Token does not have an authorizing user id.")
	case !signature.Same(request.Verifier, p["oauth_verifier"]):
		return t, fault.New(fault.Unauthenticated, "Provided verifier does not match stored verifier")
	}
	t = identity.AccessToken{UserID: request.UserID, ProjectID: request.ProjectID, ConsumerID: request.ConsumerID, RoleIDs: request.RoleIDs}
	if n := c.options.OAuth1.AccessTokenDuration; n > 0 {
		t.Expires = c.now().Add(seconds(n))
	}
	if t.ID, t.Secret, err = c.idAndSecret(); err != nil {
		return t, err
	}
	return t, c.db.Tx(ctx, func(tx *db.Tx) error {
		err := store.DeleteRequestToken(ctx, tx, request.ID)
		if errors.Is(err, db.ErrNoRow) { // somebody else was faster
			return fault.NotFoundf("Request token not found")
		}
		if err != nil {
			return err
		}
		return store.AddAccessToken(ctx, tx, t)
	})
}

// byOAuth1 logs in with a request that is signed with an access token.
func (c *Control) byOAuth1(ctx context.Context, call identity.SignedCall, s *session) (identity.User, error) {
	var t identity.AccessToken
	p, err := c.signedBy(ctx, call, func(p signature.OAuth1) (string, error) {
		if p["oauth_token"] == "" {
			return "", expectingIn("oauth_token")
		}
		var err error
		t, err = store.AccessToken(ctx, c.db, p["oauth_token"])
		if errors.Is(err, db.ErrNoRow) || err == nil && c.accessTokenEnded(t) {
			return "", fault.New(fault.Unauthenticated, "Could not validate the access token")
		}
		return t.Secret, err
	})
	if fault.Is(err, fault.NotFound) {
		return identity.User{}, fault.New(fault.Unauthenticated, "Could not validate the access token")
	}
	if err != nil {
		return identity.User{}, err
	}
	if t.ConsumerID != p["oauth_consumer_key"] {
		return identity.User{}, fault.New(fault.Unauthenticated, "Could not validate the access token")
	}
	u, _, err := c.standingUser(ctx, t.UserID)
	s.accessToken = &t
	return u, tokenRefused(err)
}

func (c *Control) accessTokenEnded(t identity.AccessToken) bool {
	return !t.Expires.IsZero() && !c.now().Before(t.Expires)
}

// resolveAccessToken fills in what a token of an access token stands for: those
// of its roles that its user has now.
func (c *Control) resolveAccessToken(ctx context.Context, t *identity.Token) error {
	a, err := store.AccessToken(ctx, c.db, t.AccessTokenID)
	if errors.Is(err, db.ErrNoRow) || err == nil && c.accessTokenEnded(a) {
		return refuse("OAuth 1 access token %s has ended", t.AccessTokenID)
	}
	if err != nil {
		return err
	}
	if a.UserID != t.UserID || a.ProjectID != t.ProjectID {
		return refuse("OAuth 1 access token %s is another user's or project's", t.AccessTokenID)
	}
	t.AccessToken = &a
	expiresBy(&t.Claims, a.Expires)
	has, err := c.projectRoles(ctx, t.UserID, nil, t.Project)
	for _, r := range has {
		if slices.Contains(a.RoleIDs, r.ID) {
			t.Roles = append(t.Roles, r)
		}
	}
	return err
}
