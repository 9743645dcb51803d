package api

import (
	"kilonova/service/image"
	"kilonova/service/image/control"
)

type schema struct {
	name string
	body map[string]any
}

type props = map[string]any

const idPattern = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"

func property(kind any, description string, more ...any) props {
	p := props{"type": kind, "description": description}
	for n := 0; n+1 < len(more); n += 2 {
		p[more[n].(string)] = more[n+1]
	}
	return p
}

var orNull = func(kind string) []string { return []string{"null", kind} }

// schemas describes the resources, as JSON Schema, for clients that build their
// commands from it.
func schemas(o control.Options) []schema {
	imageLinks := []link{{"self", "{self}"}, {"enclosure", "{file}"}, {"describedby", "{schema}"}}
	listLinks := []link{{"first", "{first}"}, {"next", "{next}"}, {"describedby", "{schema}"}}
	img := props{"name": "image", "properties": imageProperties(o), "additionalProperties": props{"type": "string"}, "links": imageLinks}
	mem := props{"name": "member", "properties": memberProperties()}
	tsk := props{"name": "task", "properties": taskProperties()}
	list := func(name string, item props, links []link) props {
		p := props{name: props{"type": "array", "items": item}, "schema": props{"type": "string"}}
		if len(links) > 1 {
			p["first"], p["next"] = props{"type": "string"}, props{"type": "string"}
		}
		return props{"name": name, "properties": p, "links": links}
	}
	return []schema{
		{"image", img}, {"images", list("images", img, listLinks)},
		{"member", mem}, {"members", list("members", mem, listLinks[2:])},
		{"task", tsk}, {"tasks", list("tasks", tsk, listLinks)},
	}
}

func formats(list []string) []any {
	all := []any{nil}
	for _, f := range list {
		all = append(all, f)
	}
	return all
}

func imageProperties(o control.Options) props {
	fixed := func(kind any, description string, more ...any) props {
		return property(kind, description, append(more, "readOnly", true)...)
	}
	custom := func(kind any, description string, more ...any) props {
		return property(kind, description, append(more, "is_base", false)...)
	}
	return props{
		"id":               property("string", "An identifier for the image", "pattern", idPattern),
		"name":             property(orNull("string"), "Descriptive name for the image", "maxLength", 255),
		"status":           fixed("string", "Status of the image", "enum", []string{"queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated"}),
		"visibility":       property("string", "Scope of image accessibility", "enum", image.Visibilities),
		"protected":        property("boolean", "If true, image will not be deletable."),
		"os_hidden":        property("boolean", "If true, image will not appear in default image list response."),
		"checksum":         fixed(orNull("string"), "md5 hash of image contents.", "maxLength", 32),
		"os_hash_algo":     fixed(orNull("string"), "Algorithm to calculate the os_hash_value", "maxLength", 64),
		"os_hash_value":    fixed(orNull("string"), "Hexdigest of the image contents using the algorithm specified by the os_hash_algo", "maxLength", 128),
		"owner":            property(orNull("string"), "Owner of the image", "maxLength", 255),
		"size":             fixed(orNull("integer"), "Size of image file in bytes"),
		"virtual_size":     fixed(orNull("integer"), "Virtual size of image in bytes"),
		"container_format": property(orNull("string"), "Format of the container", "enum", formats(o.Format.ContainerFormats)),
		"disk_format":      property(orNull("string"), "Format of the disk", "enum", formats(o.Format.DiskFormats)),
		"created_at":       fixed("string", "Date and time of image registration"),
		"updated_at":       fixed("string", "Date and time of the last image modification"),
		"tags":             property("array", "List of strings related to the image", "items", props{"type": "string", "maxLength": 255}),
		"direct_url":       fixed("string", "URL to access the image file kept in external store"),
		"min_ram":          property("integer", "Amount of ram (in MB) required to boot image."),
		"min_disk":         property("integer", "Amount of disk space (in GB) required to boot image."),
		"self":             fixed("string", "An image self url"),
		"file":             fixed("string", "An image file url"),
		"schema":           fixed("string", "An image schema url"),
		"stores":           fixed("string", "The stores that hold the image's data, separated by commas"),
		"locations": property("array", "A set of URLs to access the image file kept in external store", "readOnly", true, "items",
			props{"type": "object", "required": []string{"url", "metadata"}, "properties": props{"url": props{"type": "string", "maxLength": 255}, "metadata": props{"type": "object"}}}),

		"kernel_id":                             custom(orNull("string"), "ID of image stored in Glance that should be used as the kernel when booting an AMI-style image.", "pattern", idPattern),
		"ramdisk_id":                            custom(orNull("string"), "ID of image stored in Glance that should be used as the ramdisk when booting an AMI-style image.", "pattern", idPattern),
		"instance_uuid":                         custom("string", "The instance that this image was made of; informational only."),
		"architecture":                          custom("string", "Operating system architecture"),
		"os_distro":                             custom("string", "Common name of operating system distribution"),
		"os_version":                            custom("string", "Operating system version as specified by the distributor."),
		"description":                           custom("string", "A human-readable string describing this image."),
		"cinder_encryption_key_id":              custom("string", "Identifier of the key for the volume that is created from this image"),
		"cinder_encryption_key_deletion_policy": custom("string", "What becomes of that key with the image", "enum", []string{"on_image_deletion", "do_not_delete"}),
	}
}

func memberProperties() props {
	return props{
		"member_id":  property("string", "An identifier for the image member (tenantId)"),
		"image_id":   property("string", "An identifier for the image", "pattern", idPattern),
		"created_at": property("string", "Date and time of image member creation"),
		"updated_at": property("string", "Date and time of last modification of image member"),
		"status":     property("string", "The status of this image member", "enum", image.MemberStatuses),
		"schema":     props{"type": "string", "readOnly": true},
	}
}

func taskProperties() props {
	return props{
		"id":         property("string", "An identifier for the task", "pattern", idPattern),
		"type":       property("string", "The type of task represented by this content", "enum", []string{"import", "api_image_import", "location_import"}),
		"status":     property("string", "The current status of this task", "enum", []string{"pending", "processing", "success", "failure"}),
		"input":      property(orNull("object"), "The parameters required by task, JSON blob"),
		"result":     property(orNull("object"), "The result of current task, JSON blob"),
		"owner":      property("string", "An identifier for the owner of this task"),
		"message":    property("string", "What happened; empty while nothing did that needs to be told"),
		"image_id":   property("string", "Image associated with the task"),
		"request_id": property("string", "The request that began the task"),
		"user_id":    property("string", "User associated with the task"),
		"expires_at": property(orNull("string"), "Datetime when this resource would be subject to removal"),
		"created_at": property("string", "Datetime when this resource was created"),
		"updated_at": property("string", "Datetime when this resource was updated"),
		"self":       props{"type": "string", "readOnly": true},
		"schema":     props{"type": "string", "readOnly": true},
	}
}
