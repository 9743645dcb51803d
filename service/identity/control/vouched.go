package control

// vouched is who vouches for a user in a federated log-in, and for which groups.
type vouched struct {
	provider, protocol string
	groups             []string
}
