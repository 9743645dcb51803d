// Package rbd keeps images as block devices of a Ceph pool, by Ceph's own program
// rbd, which must be on the host with a ceph.conf and the keyring of a user who may
// read and write the pool.
//
// A blob KEY is the device KEY with a protected snapshot "snap", as upstream makes
// it, so that compute and block storage can clone from it. One that is being
// written is begun_ATTEMPT_KEY; one that somebody holds open while it is to be
// removed becomes dead_ATTEMPT_KEY and goes later. A device with clones goes to
// the pool's trash. Other devices of the pool are left alone.
package rbd
