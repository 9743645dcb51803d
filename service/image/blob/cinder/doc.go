// Package cinder keeps images as volumes of a Block Storage service (API 3.54 and
// newer), in the project of the store's own user.
//
// A blob KEY is a volume image-KEY whose metadata say how many bytes of it count and
// that it is whole. While data come or are read the volume is attached to this host,
// for which the volume service is told of the host's name and address. Volumes
// without this store's metadata are left alone.
//
// This host must reach what the volume service connects it to: a path (file, local),
// or a file of an NFS share, which is mounted below cinder_mount_point_base as
// upstream names it, by this program (root, mount.nfs) unless it is mounted there
// already. Other kinds are refused by name.
package cinder
