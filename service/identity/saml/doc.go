// Package saml is this cloud as a SAML 2.0 identity provider: it writes and signs
// what another cloud is told of a user (Keystone to Keystone), and the metadata by
// which that cloud knows our signature. It does not decide of whom and to whom;
// that is control's. Assertions of others are not read here: a web server in front
// does that, see service/identity/api/federated.go.
//
// Names are those of saml-core-2.0-os and saml-metadata-2.0-os (OASIS).
package saml
