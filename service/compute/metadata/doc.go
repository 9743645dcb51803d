// Package metadata is what a guest reads about itself: the EC2 and the OpenStack
// tree, over HTTP at 169.254.169.254 or from a config drive. Paths, versions and
// shapes are upstream's (nova/api/metadata, nova/virt/configdrive.py): images in
// the field depend on them.
//
// An Instance has all facts; a Tree turns them into files, each when it is read;
// Handler serves trees behind the network service's proxy, which vouches for who
// asks; ConfigDrive writes a tree into a disk image. Where the facts come from is
// not this room's business.
package metadata
