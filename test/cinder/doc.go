// Package cinder is a stand-in of the Block Storage service for tests: volumes,
// attachments, snapshots and types, with upstream's states and refusals as far as
// compute and its clients see them. It keeps all in memory, and what upstream does
// later it has done at once. The command in cinder-stand-in serves it beside a cloud.
package cinder
