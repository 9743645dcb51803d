// Package shards keeps whole files under keys, in folders below one by the first
// characters of the keys. A file is begun beside its place, under a name that no key
// is, forced to the disk and renamed, so that under a key there is a whole file or
// none. What drivers of images' and of objects' data have in common is here; when a
// file takes its place, and over what, is theirs.
package shards
