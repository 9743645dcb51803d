package control

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/image"
)

// readOnly are the members of an image that this service alone writes.
var readOnly = []string{"created_at", "updated_at", "status", "checksum", "size", "virtual_size", "direct_url", "self", "file",
	"schema", "id", "os_hash_algo", "os_hash_value", "stores"}

// reserved are names that mean, or once meant, something else.
var reserved = []string{"location", "deleted", "deleted_at", "locations"}

// ReservedPrefix begins the names of properties that only this service writes.
const ReservedPrefix = "os_glance"

const (
	maxProperty = 65535      // bytes of a property's value
	maxInt      = 2147483647 // of min_disk and min_ram
)

// settable refuses names that clients may not write, in creating and changing.
func settable(name string) error {
	if slices.Contains(readOnly, name) {
		return fault.Forbiddenf("Attribute '%s' is read-only.", name)
	}
	if slices.Contains(reserved, name) || strings.HasPrefix(name, ReservedPrefix) {
		return fault.Forbiddenf("Attribute '%.255s' is reserved.", name)
	}
	if name == "" || utf8.RuneCountInString(name) > 255 || strings.ContainsRune(name, 0) {
		return fault.Invalidf("Custom property should not be greater than 255 characters.")
	}
	return nil
}

// isBase reports whether a name is one of the members that every image has.
func isBase(name string) bool {
	return slices.Contains([]string{"name", "visibility", "protected", "os_hidden", "min_disk", "min_ram", "owner", "tags",
		"disk_format", "container_format"}, name)
}

// set gives an image a member as a client sent it. fault.Invalid names what is
// wrong with the value, in the words of upstream's schema check.
func (c *Control) set(i *image.Image, name string, value any) error {
	var err error
	switch name {
	case "name":
		i.Name, err = nullable(name, value, 255)
	case "owner":
		i.Owner, err = orEmpty(nullable(name, value, 255))
	case "visibility":
		i.Visibility, err = oneOf(name, value, image.Visibilities)
	case "protected":
		i.Protected, err = boolean(value)
	case "os_hidden":
		i.Hidden, err = boolean(value)
	case "min_disk":
		i.MinDisk, err = natural(name, value)
	case "min_ram":
		i.MinRAM, err = natural(name, value)
	case "tags":
		i.Tags, err = tags(value)
	case "disk_format":
		err = c.setFormat(i, &i.DiskFormat, name, value, c.o.Format.DiskFormats)
	case "container_format":
		err = c.setFormat(i, &i.ContainerFormat, name, value, c.o.Format.ContainerFormats)
	default:
		return setProperty(i, name, value)
	}
	return err
}

func (c *Control) setFormat(i *image.Image, field *string, name string, value any, formats []string) error {
	if i.Status != image.Queued && i.Status != "" {
		return fault.Forbiddenf("Attribute %s can be only replaced for a queued image.", name)
	}
	if value == nil {
		*field = ""
		return nil
	}
	v, err := oneOf(name, value, formats)
	if err == nil {
		*field = v
	}
	return err
}

var uuidProperty = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func setProperty(i *image.Image, name string, value any) error {
	if name == "kernel_id" || name == "ramdisk_id" {
		if value == nil {
			delete(i.Properties, name)
			return nil
		}
		if s, ok := value.(string); ok && !uuidProperty.MatchString(s) {
			return mismatch("%s does not match '%s'", quoted(value), uuidProperty)
		}
	}
	s, err := text(name, value, maxProperty)
	if err != nil {
		return err
	}
	if name == "cinder_encryption_key_deletion_policy" {
		if _, err := oneOf(name, value, []string{"on_image_deletion", "do_not_delete"}); err != nil {
			return err
		}
	}
	i.Properties[name] = s
	return nil
}

func mismatch(format string, args ...any) error {
	return fault.Invalidf("Provided object does not match schema 'image': %s", fmt.Sprintf(format, args...))
}

// quoted shows a client its value, cut to a decent length.
func quoted(value any) string {
	data, err := json.Marshal(value)
	if err != nil || len(data) > 200 {
		return "the value"
	}
	return string(data)
}

// text takes a string of at most max characters.
func text(name string, value any, max int) (string, error) {
	s, ok := value.(string)
	switch {
	case !ok:
		return "", mismatch("%s is not of type 'string' (%.64s)", quoted(value), name)
	case utf8.RuneCountInString(s) > max || len(s) > maxProperty:
		return "", mismatch("%s is too long (%.64s)", quoted(value), name)
	case strings.ContainsRune(s, 0):
		return "", mismatch("a null character cannot be in a value (%.64s)", name)
	}
	return s, nil
}

func nullable(name string, value any, max int) (*string, error) {
	if value == nil {
		return nil, nil
	}
	s, err := text(name, value, max)
	return &s, err
}

func orEmpty(s *string, err error) (string, error) {
	if s == nil {
		return "", err
	}
	return *s, err
}

func oneOf[T ~string](name string, value any, all []T) (T, error) {
	s, ok := value.(string)
	if !ok || !slices.Contains(all, T(s)) {
		return "", mismatch("%s is not one of %s (%s)", quoted(value), quoted(all), name)
	}
	return T(s), nil
}

func boolean(value any) (bool, error) {
	b, ok := value.(bool)
	if !ok {
		return false, mismatch("%s is not of type 'boolean'", quoted(value))
	}
	return b, nil
}

func natural(name string, value any) (int64, error) {
	n, ok := value.(json.Number)
	if !ok {
		return 0, mismatch("%s is not of type 'integer' (%s)", quoted(value), name)
	}
	v, err := n.Int64()
	switch {
	case err != nil:
		return 0, mismatch("%s is not of type 'integer' (%s)", n, name)
	case v < 0:
		return 0, fault.Invalidf("Invalid value '%d' for parameter '%s': Cannot be a negative value", v, name)
	case v > maxInt:
		return 0, fault.Invalidf("Invalid value '%d' for parameter '%s': It must not be above %d", v, name, maxInt)
	}
	return v, nil
}

func tags(value any) ([]string, error) {
	list, ok := value.([]any)
	if !ok {
		return nil, mismatch("%s is not of type 'array' (tags)", quoted(value))
	}
	var all []string
	for _, v := range list {
		t, err := text("tags", v, 255)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// checkQuotas refuses images that have more of something than they may, unless
// they had as many before.
func (c *Control) checkQuotas(was, i *image.Image) error {
	properties := func(i *image.Image) (n int) {
		for name := range i.Properties {
			if !strings.HasPrefix(name, ReservedPrefix) {
				n++
			}
		}
		return n
	}
	for _, q := range []struct {
		what     string
		limit    int
		was, now int
	}{
		{"image properties", c.o.ImagePropertyQuota, properties(was), properties(i)},
		{"image tags", c.o.ImageTagQuota, len(was.Tags), len(i.Tags)},
	} {
		if q.limit >= 0 && q.now > q.limit && q.now > q.was {
			return exceeded(q.what, q.now, q.limit)
		}
	}
	return nil
}

func exceeded(what string, attempted, limit int) error {
	return fault.New(fault.TooLarge, "The limit has been exceeded on the number of allowed %s. Attempted: %d, Maximum: %d", what, attempted, limit)
}

// checkID takes the ids that clients may choose.
func checkID(value any) (string, error) {
	s, ok := value.(string)
	if !ok || !uuidProperty.MatchString(s) || !rest.IsUUID(s) {
		return "", mismatch("%s does not match '%s' (id)", quoted(value), uuidProperty)
	}
	return s, nil
}
