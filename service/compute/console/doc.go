// Package console lets people look at guests: it turns the WebSockets of browsers
// and other viewers into the plain connections that hypervisors listen for. What
// opens a console is a token that control has given out; nothing else is asked,
// as upstream's proxies have it, so that the token is the secret.
//
// It owns no state: whoever holds a token may connect anywhere this room is
// served. It ends at the hypervisor's socket, and understands nothing of what goes
// through.
package console
