package api

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"kilonova/service/image"
	"kilonova/service/image/control"
)

const stamp = "2006-01-02T15:04:05Z"

// imageView is an image as clients see it: its own members and its properties,
// side by side in one object. It is written by hand, since lists are made of it.
type imageView struct {
	i *image.Image
	o *control.Options
	// located: the caller may know where the data lies.
	located bool
}

// MarshalJSON implements json.Marshaler.
func (v imageView) MarshalJSON() ([]byte, error) {
	i := v.i
	w := &object{buf: make([]byte, 0, 1024)}
	for _, name := range slices.Sorted(maps.Keys(i.Properties)) {
		w.text(name, i.Properties[name])
	}
	w.text("id", i.ID)
	if i.Name == nil {
		w.null("name")
	} else {
		w.text("name", *i.Name)
	}
	w.optional("disk_format", i.DiskFormat)
	w.optional("container_format", i.ContainerFormat)
	w.text("visibility", string(i.Visibility))
	w.number("size", i.Size)
	w.number("virtual_size", i.VirtualSize)
	w.text("status", string(i.Status))
	w.optional("checksum", i.Checksum)
	w.raw("protected", strconv.FormatBool(i.Protected))
	w.number("min_ram", &i.MinRAM)
	w.number("min_disk", &i.MinDisk)
	w.optional("owner", i.Owner)
	w.raw("os_hidden", strconv.FormatBool(i.Hidden))
	w.optional("os_hash_algo", i.HashAlgo)
	w.optional("os_hash_value", i.HashValue)
	w.text("created_at", i.CreatedAt.UTC().Format(stamp))
	w.text("updated_at", i.UpdatedAt.UTC().Format(stamp))
	if v.o.ShowLocations {
		list := []locationView{}
		if v.located {
			list = locationViews(i)
		}
		w.json("locations", list)
	}
	if v.located && v.o.ShowDirectURL && len(i.Locations) > 0 {
		w.text("direct_url", i.Locations[0].URL)
	}
	tags := i.Tags
	if tags == nil {
		tags = []string{}
	}
	w.json("tags", tags)
	w.text("self", "/v2/images/"+i.ID)
	w.text("file", "/v2/images/"+i.ID+"/file")
	w.text("schema", "/v2/schemas/image")
	stores := ""
	for _, l := range i.Locations {
		if l.Store != "" && stores != "" {
			stores += ","
		}
		stores += l.Store
	}
	if stores != "" {
		w.text("stores", stores)
	}
	return w.end()
}

type locationView struct {
	URL      string         `json:"url"`
	Metadata map[string]any `json:"metadata"`
}

func locationViews(i *image.Image) []locationView {
	list := []locationView{}
	for _, l := range i.Locations {
		list = append(list, locationView{l.URL, l.Metadata})
	}
	return list
}

// object writes a JSON object member by member.
type object struct {
	buf []byte
	err error
}

func (o *object) key(name string) {
	if len(o.buf) == 0 {
		o.buf = append(o.buf, '{')
	} else {
		o.buf = append(o.buf, ',', ' ')
	}
	o.quote(name)
	o.buf = append(o.buf, ':', ' ')
}

// quote writes a string; most of them need no escaping.
func (o *object) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			data, err := json.Marshal(s)
			o.buf, o.err = append(o.buf, data...), err
			return
		}
	}
	o.buf = append(append(append(o.buf, '"'), s...), '"')
}

func (o *object) text(name, value string) {
	o.key(name)
	o.quote(value)
}

func (o *object) raw(name, value string) {
	o.key(name)
	o.buf = append(o.buf, value...)
}

func (o *object) null(name string) { o.raw(name, "null") }

// optional writes null for what has no value.
func (o *object) optional(name, value string) {
	if value == "" {
		o.null(name)
		return
	}
	o.text(name, value)
}

func (o *object) number(name string, n *int64) {
	if n == nil {
		o.null(name)
		return
	}
	o.key(name)
	o.buf = strconv.AppendInt(o.buf, *n, 10)
}

func (o *object) json(name string, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		o.err = err
	}
	o.raw(name, string(data))
}

func (o *object) end() ([]byte, error) { return append(o.buf, '}'), o.err }

type memberView struct {
	MemberID  string             `json:"member_id"`
	ImageID   string             `json:"image_id"`
	Status    image.MemberStatus `json:"status"`
	CreatedAt string             `json:"created_at"`
	UpdatedAt string             `json:"updated_at"`
	Schema    string             `json:"schema"`
}

func viewMember(m *image.Member) memberView {
	return memberView{m.ProjectID, m.ImageID, m.Status, m.CreatedAt.UTC().Format(stamp), m.UpdatedAt.UTC().Format(stamp), "/v2/schemas/member"}
}

type taskView struct {
	ID        string           `json:"id"`
	Type      string           `json:"type"`
	Status    image.TaskStatus `json:"status"`
	Owner     string           `json:"owner"`
	ImageID   string           `json:"image_id,omitempty"`
	RequestID string           `json:"request_id,omitempty"`
	UserID    string           `json:"user_id,omitempty"`
	Input     map[string]any   `json:"input"`
	Result    map[string]any   `json:"result"`
	Message   string           `json:"message"`
	CreatedAt string           `json:"created_at"`
	UpdatedAt string           `json:"updated_at"`
	ExpiresAt *string          `json:"expires_at,omitempty"`
	Self      string           `json:"self"`
	Schema    string           `json:"schema"`
}

func viewTask(t *image.Task) taskView {
	v := taskView{ID: t.ID, Type: t.Type, Status: t.Status, Owner: t.Owner, ImageID: t.ImageID, RequestID: t.RequestID, UserID: t.UserID,
		Input: t.Input, Result: t.Result, Message: t.Message, CreatedAt: t.CreatedAt.UTC().Format(stamp), UpdatedAt: t.UpdatedAt.UTC().Format(stamp),
		Self: "/v2/tasks/" + t.ID, Schema: "/v2/schemas/task"}
	if t.Type == "import" && t.Status == image.TaskSuccess {
		v.Result = map[string]any{"image_id": t.ImageID}
	}
	if over := t.Status == image.TaskSuccess || t.Status == image.TaskFailure; over && !t.ExpiresAt.Equal(time.Time{}) {
		text := t.ExpiresAt.UTC().Format(stamp)
		v.ExpiresAt = &text
	}
	return v
}
