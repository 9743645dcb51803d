package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"kilonova/internal/db"
	"kilonova/service/compute"
)

// Lists read thirty columns of a thousand rows, and most of what SQLite and
// database/sql cost then is a price per column, not per byte. So columns come as
// one, joined by a character that is in none of them: ids, names, states, numbers,
// times, and JSON, which has it escaped. What users may write freely comes beside.

// packSeparator is the ASCII character for separating units; nothing that is packed
// can have it: names are printable, and user data has no control characters but
// white space (rest.Base64).
const packSeparator = "\x1f"

// visible are the columns without those that only control and agents read. The
// expression's only parameter is the separator. What may be NULL would be left out,
// so that it is not.
const visible = `display_name, description, locked_reason, CONCAT_WS(?, seq, id, project_id, user_id, vm_state, task_state, power_state, image_id, config_drive, disk_config,
	access_ip_v4, access_ip_v6, locked, reservation_id, launch_index, root_device, progress, created_at, updated_at, COALESCE(launched_at, 0), COALESCE(terminated_at, 0), locked_by,
	hostname, key_name, user_data, availability_zone, host, node, flavor, image_meta, metadata, tags, hints, networks, COALESCE(devices, ''), fault, system_metadata) AS packed`

// visibleRow is a row of these.
type visibleRow struct {
	DisplayName  string  `db:"display_name"`
	Description  *string `db:"description"`
	LockedReason string  `db:"locked_reason"`
	Packed       string  `db:"packed"`
}

// unpacker makes servers of the rows of one query.
type unpacker struct {
	flavor db.Last[compute.Flavor]
	image  db.Last[compute.ImageMeta]

	rest string
	err  error
}

// server unpacks a row.
func (u *unpacker) server(r *visibleRow) (*compute.Server, error) {
	u.rest = r.Packed
	s := &compute.Server{DisplayName: r.DisplayName, Description: r.Description, LockedReason: r.LockedReason}
	s.Seq, s.ID, s.ProjectID, s.UserID = u.number(), u.text(), u.text(), u.text()
	s.State, s.Task, s.Power = compute.State(u.text()), compute.Task(u.text()), compute.Power(u.number())
	s.ImageID, s.ConfigDrive, s.DiskConfig, s.AccessIPv4, s.AccessIPv6 = u.text(), u.truth(), u.text(), u.text(), u.text()
	s.Locked, s.ReservationID, s.LaunchIndex, s.RootDevice, s.Progress = u.truth(), u.text(), int(u.number()), u.text(), int(u.number())
	s.CreatedAt, s.UpdatedAt, s.LaunchedAt, s.TerminatedAt = u.time(), u.time(), u.time(), u.time()
	s.LockedBy, s.Hostname, s.KeyName, s.UserData, s.AvailabilityZone, s.Host, s.Node = u.text(), u.text(), u.text(), u.text(), u.text(), u.text(), u.text()
	var err error
	s.Flavor, err = u.flavor.Of(u.text())
	u.note(err)
	s.ImageMeta, err = u.image.Of(u.text())
	u.note(err)
	s.Metadata, s.Tags, s.Hints = column(u, (*reader).texts), column(u, func(r *reader) []string { return list(r, r.text) }), column[map[string]any](u, nil)
	s.Networks, s.Devices, s.Fault = column(u, (*reader).interfaces), column[[]compute.BlockDevice](u, nil), column[*compute.ServerFault](u, nil)
	if system := u.text(); strings.Contains(system, `"trusted_certificates"`) { // of the rest nothing is visible
		v, err := readColumn[compute.System](system, nil)
		u.note(err)
		s.System.TrustedCertificates = v.TrustedCertificates
	}
	if u.err == nil && u.rest != "" {
		u.err = fmt.Errorf("it has a separator where none can be")
	}
	if u.err != nil {
		return nil, fmt.Errorf("the row of server %s cannot be read: %w", s.ID, u.err)
	}
	return s, nil
}

// note keeps the first error.
func (u *unpacker) note(err error) {
	if u.err == nil {
		u.err = err
	}
}

func (u *unpacker) text() string {
	var text string
	text, u.rest, _ = strings.Cut(u.rest, packSeparator)
	return text
}

func (u *unpacker) number() int64 {
	n, err := strconv.ParseInt(u.text(), 10, 64)
	u.note(err)
	return n
}

// truth reads a boolean as the databases write it: 1 and 0, or t and f.
func (u *unpacker) truth() bool {
	text := u.text()
	return text == "1" || text == "t"
}

func (u *unpacker) time() time.Time {
	n := u.number()
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// column reads a column of JSON: by hand if there is a way, see readColumn.
func column[T any](u *unpacker, byHand func(*reader) T) T {
	v, err := readColumn(u.text(), byHand)
	u.note(err)
	return v
}
