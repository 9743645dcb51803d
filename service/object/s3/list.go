package s3

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"net/url"
	"strconv"

	"kilonova/service/object"
	"kilonova/service/object/control"
)

// mostListed is how many lines a list has at most.
const mostListed = 1000

type contentView struct {
	Key          string
	LastModified string
	ETag         string
	Size         int64
	Owner        *ownerView `xml:",omitempty"`
	StorageClass string
}

type prefixView struct{ Prefix string }

type listView struct {
	XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListBucketResult"`
	Name                  string
	Prefix                string
	Marker                *string `xml:",omitempty"`
	NextMarker            string  `xml:",omitempty"`
	ContinuationToken     string  `xml:",omitempty"`
	NextContinuationToken string  `xml:",omitempty"`
	StartAfter            string  `xml:",omitempty"`
	KeyCount              *int    `xml:",omitempty"`
	MaxKeys               int
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	Contents              []contentView
	CommonPrefixes        []prefixView
}

// listObjects answers both versions of the list.
func (h *Handler) listObjects(ctx context.Context, r *request) error {
	q := r.URL.Query()
	second := q.Get("list-type") == "2"
	out := listView{Name: r.bucket, Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), EncodingType: q.Get("encoding-type")}
	var err error
	if out.MaxKeys, err = number(q, "max-keys"); err != nil {
		return err
	}
	if out.EncodingType != "" && out.EncodingType != "url" {
		return invalid("InvalidArgument", "Invalid Encoding Method specified in Request")
	}
	l := control.Listing{Limit: min(out.MaxKeys, mostListed) + 1, Prefix: out.Prefix, Delimiter: out.Delimiter}
	if second {
		out.StartAfter, out.ContinuationToken = q.Get("start-after"), q.Get("continuation-token")
		if l.Marker = out.StartAfter; out.ContinuationToken != "" {
			data, err := base64.URLEncoding.DecodeString(out.ContinuationToken)
			if err != nil {
				return invalid("InvalidArgument", "The continuation token provided is incorrect")
			}
			l.Marker = string(data)
		}
	} else {
		l.Marker = q.Get("marker")
		out.Marker = &l.Marker
	}
	_, entries, err := h.c.ListObjects(ctx, object.Path{Account: r.account, Container: r.bucket}, l)
	if err != nil {
		return noBucket(err)
	}
	marker := l.Marker
	if out.Marker != nil {
		out.Marker = &marker
	}
	if out.MaxKeys == 0 {
		entries = nil
	}
	last := ""
	if len(entries) >= l.Limit {
		out.IsTruncated, entries = true, entries[:l.Limit-1]
	}
	for _, e := range entries {
		if e.Object == nil {
			last = e.Folder
			out.CommonPrefixes = append(out.CommonPrefixes, prefixView{out.name(e.Folder)})
			continue
		}
		last = e.Object.Name
		v := contentView{Key: out.name(e.Object.Name), LastModified: when(e.Object.CreatedAt), ETag: `"` + tagOf(e.Object) + `"`, Size: e.Object.Length(), StorageClass: "STANDARD"}
		if !second || q.Get("fetch-owner") == "true" {
			owner := r.owner()
			v.Owner = &owner
		}
		out.Contents = append(out.Contents, v)
	}
	switch {
	case second:
		n := len(entries)
		if out.KeyCount = &n; out.IsTruncated {
			out.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(last))
		}
	case out.IsTruncated && out.Delimiter != "":
		out.NextMarker = out.name(last)
	}
	out.Prefix, out.Delimiter, out.StartAfter = out.name(out.Prefix), out.name(out.Delimiter), out.name(out.StartAfter)
	return r.reply(out)
}

// name writes a key as the client wants it: XML cannot have all characters.
func (v *listView) name(s string) string {
	if v.EncodingType == "url" {
		return url.QueryEscape(s)
	}
	return s
}

// number reads how many lines are wanted.
func number(q url.Values, name string) (int, error) {
	text := q.Get(name)
	if text == "" {
		return mostListed, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, invalid("InvalidArgument", "Provided %s not an integer or within integer range", name)
	}
	return min(n, mostListed), nil
}

// tagOf is an object's entity tag in S3.
func tagOf(o *object.Object) string {
	if tag := o.Headers[object.S3ETag]; tag != "" {
		return tag
	}
	if o.Large != nil { // made with Swift: it must not look like an MD5 of the content
		return o.Large.ETag + "-N"
	}
	return o.ETag
}
