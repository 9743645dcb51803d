// Package cinder is a stand-in of the Block Storage service for tests: volumes,
// attachments, snapshots and types, with upstream's states and refusals as far as
// compute and its clients see them. It keeps all in memory and believes every token.
package cinder
