// Package binarycurve verifies ECDSA signatures by keys on the curves over binary
// fields that images may be signed on: SECT409K1, SECT409R1, SECT571K1 and SECT571R1
// (SEC 2; NIST's K-409, B-409, K-571 and B-571). It reads such keys from certificates
// too, which crypto/x509 refuses.
//
// It computes with what everybody may know: its time depends on the numbers. There is
// nothing in it that signs, and nothing that does should be made of it.
package binarycurve
