package metadata

import "slices"

// ec2Versions and openstackVersions are dates, in order; "latest" stands for the
// last one.
var (
	ec2Versions = []string{"1.0", "2007-01-19", "2007-03-01", "2007-08-29", "2007-10-10", "2007-12-15",
		"2008-02-01", "2008-09-01", "2009-04-04"}
	openstackVersions = []string{folsom, grizzly, havana, liberty, newton1, newton2, ocata, rocky, victoria, epoxy}
)

// The versions of the OpenStack tree, by the release that brought them.
const (
	folsom   = "2012-08-10"
	grizzly  = "2013-04-04" // random_seed, password
	havana   = "2013-10-17" // vendor_data.json
	liberty  = "2015-10-15" // network_data.json, project_id
	newton1  = "2016-06-30" // devices
	newton2  = "2016-10-06" // vendor_data2.json
	ocata    = "2017-02-22" // vlan of a device
	rocky    = "2018-08-27" // vf_trusted of a device
	victoria = "2020-10-14" // dedicated_cpus
	epoxy    = "2025-04-04" // shares among the devices
)

const latest = "latest"

// resolve turns "latest" into the last of known, and reports whether version is
// known at all.
func resolve(version string, known []string) (string, bool) {
	if version == latest {
		return known[len(known)-1], true
	}
	return version, slices.Contains(known, version)
}

// since reports whether version, one of the OpenStack tree's, has what came with
// first. Dates compare as text.
func since(version, first string) bool { return version >= first }
