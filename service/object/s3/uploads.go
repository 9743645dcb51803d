package s3

import (
	"context"
	"encoding/xml"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/object"
	"kilonova/service/object/control"
)

type uploadView struct {
	Key              string
	UploadID         string `xml:"UploadId"`
	Initiator, Owner ownerView
	StorageClass     string
	Initiated        string
}

type uploadsView struct {
	XMLName            xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListMultipartUploadsResult"`
	Bucket             string
	KeyMarker          string
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      string
	NextUploadIDMarker string `xml:"NextUploadIdMarker"`
	Prefix             string `xml:",omitempty"`
	Delimiter          string `xml:",omitempty"`
	EncodingType       string `xml:",omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Upload             []uploadView
	CommonPrefixes     []prefixView
}

// listUploads lists the uploads that have been begun and not ended.
func (h *Handler) listUploads(ctx context.Context, r *request) error {
	if _, err := h.bucket(ctx, r, "GET"); err != nil {
		return err
	}
	q := r.URL.Query()
	most, err := number(q, "max-uploads")
	if err != nil {
		return err
	}
	out := uploadsView{Bucket: r.bucket, KeyMarker: q.Get("key-marker"), UploadIDMarker: q.Get("upload-id-marker"), Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), EncodingType: q.Get("encoding-type"), MaxUploads: most}
	name := (&listView{EncodingType: out.EncodingType}).name
	l := control.Listing{Limit: mostListed, Prefix: out.Prefix}
	if out.KeyMarker != "" {
		// All uploads of that key, or those up to the one that is named, have been seen.
		if l.Marker = out.KeyMarker; out.UploadIDMarker != "" {
			l.Marker += "/" + out.UploadIDMarker
		}
		l.Marker += end
	}
	for more := true; more && !out.IsTruncated; {
		_, entries, err := h.c.ListObjects(ctx, object.Path{Account: r.account, Container: r.bucket + segments}, l)
		if fault.Is(err, fault.NotFound) {
			break
		}
		if err != nil {
			return err
		}
		more = len(entries) == l.Limit
		for _, e := range entries {
			l.Marker = e.Object.Name
			i := strings.LastIndexByte(e.Object.Name, '/')
			if i < 0 || !uploadID.MatchString(e.Object.Name[i+1:]) {
				continue // a part, or something else that was put here
			}
			key := e.Object.Name[:i]
			if !strings.HasPrefix(key, out.Prefix) {
				continue
			}
			if len(out.Upload)+len(out.CommonPrefixes) == most {
				out.IsTruncated = true
				break
			}
			out.NextKeyMarker, out.NextUploadIDMarker = name(key), e.Object.Name[i+1:]
			if out.Delimiter != "" {
				if folder, _, ok := strings.Cut(key[len(out.Prefix):], out.Delimiter); ok {
					folder = name(out.Prefix + folder + out.Delimiter)
					if n := len(out.CommonPrefixes); n == 0 || out.CommonPrefixes[n-1].Prefix != folder {
						out.CommonPrefixes = append(out.CommonPrefixes, prefixView{folder})
					}
					continue
				}
			}
			out.Upload = append(out.Upload, uploadView{Key: name(key), UploadID: e.Object.Name[i+1:], Initiator: r.owner(), Owner: r.owner(), StorageClass: "STANDARD", Initiated: when(e.Object.CreatedAt)})
		}
	}
	if !out.IsTruncated {
		out.NextKeyMarker, out.NextUploadIDMarker = "", ""
	}
	return r.reply(out)
}

// end comes after all that follows a name and a slash.
const end = "/\U0010FFFF"
