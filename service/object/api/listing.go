package api

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"mime"
	"strconv"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/object"
	"kilonova/service/object/control"
)

// format is how a list is written.
type format string

const (
	plain  format = "text/plain"
	asJSON format = "application/json"
	asXML  format = "application/xml"
	oldXML format = "text/xml"
)

func (f format) mediaType() string { return string(f) + "; charset=utf-8" }

// formatOf reads the query, or else which media type the client likes best.
func formatOf(r *rest.Request) (format, error) {
	if name := r.Query.Get("format"); name != "" {
		if f, ok := map[string]format{"json": asJSON, "xml": asXML, "plain": plain, "text": plain}[strings.ToLower(name)]; ok {
			return f, nil
		}
		return plain, nil
	}
	accept := r.Header.Get("Accept")
	if accept == "" {
		return plain, nil
	}
	best, weight := format(""), 0.0
	for one := range strings.SplitSeq(accept, ",") {
		kind, params, err := mime.ParseMediaType(strings.TrimSpace(one))
		if err != nil {
			return "", fault.Invalidf("Invalid Accept header")
		}
		q := 1.0
		if text, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				return "", fault.Invalidf("Invalid Accept header")
			}
		}
		f, ok := map[string]format{"*/*": plain, "text/*": plain, "text/plain": plain, "application/json": asJSON, "application/*": asJSON, "application/xml": asXML, "text/xml": oldXML}[kind]
		if ok && q > weight {
			best, weight = f, q
		}
	}
	if best == "" {
		return "", fault.New(fault.NotAcceptable, "The resource identified is only capable of text, JSON and XML.")
	}
	return best, nil
}

// listingOf reads which part of a list is wanted, and how it is to be written.
func listingOf(r *rest.Request) (l control.Listing, f format, err error) {
	if f, err = formatOf(r); err != nil {
		return l, f, err
	}
	q := r.Query
	l = control.Listing{Limit: -1, Marker: q.Get("marker"), EndMarker: q.Get("end_marker"), Prefix: q.Get("prefix"), Delimiter: q.Get("delimiter"), Reverse: isTrue(q.Get("reverse"))}
	if text := q.Get("limit"); text != "" {
		// What is no number counts as none, as upstream has it.
		if n, err := strconv.Atoi(text); err == nil && n >= 0 {
			l.Limit = n
		}
	}
	if q.Has("path") {
		l.Prefix, l.Delimiter = q.Get("path"), "/"
		if l.Prefix != "" {
			l.Prefix = strings.TrimRight(l.Prefix, "/") + "/"
		}
	}
	return l, f, nil
}

// write writes a list of what is in an account or a container.
func (f format) write(kind, name string, entries []control.Entry) *rest.Response {
	var data []byte
	switch f {
	case asJSON:
		data = listJSON(entries)
	case asXML, oldXML:
		data = listXML(kind, name, entries)
	default:
		var b bytes.Buffer
		for _, e := range entries {
			b.WriteString(e.Name() + "\n")
		}
		data = b.Bytes()
		if len(data) == 0 {
			return answer(204).With("Content-Type", f.mediaType())
		}
	}
	return bytesOf(200, f.mediaType(), data)
}

// stamp is a time as lists have it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000") }

type containerView struct {
	XMLName  xml.Name `json:"-" xml:"container"`
	Name     string   `json:"name" xml:"name"`
	Count    int64    `json:"count" xml:"count"`
	Bytes    int64    `json:"bytes" xml:"bytes"`
	Modified string   `json:"last_modified" xml:"last_modified"`
}

type objectView struct {
	XMLName  xml.Name `json:"-" xml:"object"`
	Name     string   `json:"name" xml:"name"`
	Hash     string   `json:"hash" xml:"hash"`
	Bytes    int64    `json:"bytes" xml:"bytes"`
	Type     string   `json:"content_type" xml:"content_type"`
	Modified string   `json:"last_modified" xml:"last_modified"`
	SLOETag  string   `json:"slo_etag,omitempty" xml:"-"`
}

type folderView struct {
	XMLName xml.Name `json:"-" xml:"subdir"`
	Subdir  string   `json:"subdir" xml:"name,attr"`
	Name    string   `json:"-" xml:"name"`
}

func viewOf(e control.Entry) any {
	switch {
	case e.Container != nil:
		return containerView{Name: e.Container.Name, Count: e.Container.Objects, Bytes: e.Container.Bytes, Modified: stamp(e.Container.CreatedAt)}
	case e.Object != nil:
		return viewObject(e.Object)
	}
	return folderView{Subdir: e.Folder, Name: e.Folder}
}

func viewObject(o *object.Object) objectView {
	v := objectView{Name: o.Name, Hash: o.ETag, Bytes: o.Length(), Type: o.ContentType, Modified: stamp(o.CreatedAt)}
	if o.Large != nil {
		v.SLOETag = `"` + o.Large.ETag + `"`
	}
	return v
}

func listJSON(entries []control.Entry) []byte {
	all := make([]any, len(entries))
	for i, e := range entries {
		all[i] = viewOf(e)
	}
	data, _ := json.Marshal(all)
	return data
}

func listXML(kind, name string, entries []control.Entry) []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<" + kind + ` name="`)
	_ = xml.EscapeText(&b, []byte(name)) // to memory
	b.WriteString(`">`)
	enc := xml.NewEncoder(&b)
	for _, e := range entries {
		_ = enc.Encode(viewOf(e)) // texts and numbers only, to memory
	}
	b.WriteString("</" + kind + ">")
	return b.Bytes()
}
