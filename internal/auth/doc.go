// Package auth knows who is calling and what rules say of it: the Caller that a
// token stands for, carried in the context; validators that turn tokens into
// callers; and policy rules in oslo.policy's language.
//
// It issues no tokens (service/identity does) and holds no rule of any service
// (each service's control has its table).
package auth
