// Package identity is the vocabulary of the identity service: users, projects,
// domains, roles and who has which of them where, the catalog, tokens. It does
// no I/O and has no neighbours: everybody asks identity, identity asks nobody.
//
// A domain is a project that acts as one (Project.IsDomain): the two share one
// table, one space of ids and one hierarchy, as they do in the API. Names follow
// https://docs.openstack.org/api-ref/identity/v3/.
//
// Records are flat, so that the tag `db` beside a field names its column; what
// is secret (password hashes, the text of credentials at rest) is not in these
// types but in service/identity/store.
//
// The rooms: fernet and jws (the two forms of tokens, and the keys they are made
// with), password (hashes), signature (what EC2, S3 and OAuth 1 clients sign with),
// oidc (the tokens of other identity providers), mapping (who their users are here),
// saml (this cloud as an identity provider of others),
// directory (users in LDAP), store (SQL), control (who may do what, authentication,
// tokens), api (HTTP).
package identity
