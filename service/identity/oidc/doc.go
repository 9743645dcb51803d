// Package oidc verifies the tokens of OpenID Connect providers: JSON Web Tokens,
// signed with one of the keys that the provider publishes. It decides nothing
// about whom a token stands for here; that is the mapping's, in
// service/identity/mapping.
package oidc
