package s3

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/service/object"
	"kilonova/service/object/control"
)

const (
	mostParts = 10000
	minPart   = 5 << 20 // bytes of all parts but the last
)

// marker is the object that says that there is an upload; its headers are those that
// the whole will have. parts is what the names of its parts begin with.
func (r *request) marker(id string) object.Path {
	return object.Path{Account: r.account, Container: r.bucket + segments, Object: r.key + "/" + id}
}

func (r *request) part(id string, number int) object.Path {
	p := r.marker(id)
	p.Object += "/" + strconv.Itoa(number)
	return p
}

var uploadID = regexp.MustCompile(`^[0-9a-f]{32}$`)

func noUpload() error {
	return fault.NotFoundf("The specified multipart upload does not exist. The upload ID might be invalid, or the multipart upload might have been aborted or completed.").WithCode("NoSuchUpload")
}

func (h *Handler) createUpload(ctx context.Context, r *request) error {
	if _, err := h.bucket(ctx, r, "POST"); err != nil {
		return err
	}
	if len(r.key)+40 > h.c.Options().Constraints.MaxObjectNameLength {
		return invalid("KeyTooLongError", "Your key is too long")
	}
	var b [16]byte
	rand.Read(b[:])
	id := hex.EncodeToString(b[:])
	at := r.marker(id)
	if _, err := h.c.PutContainer(ctx, object.Path{Account: at.Account, Container: at.Container}, object.Headers{}); err != nil {
		return err
	}
	kind := r.Header.Get("Content-Type")
	if kind == "" {
		kind = "binary/octet-stream"
	}
	if _, err := h.c.PutObject(ctx, at, control.Upload{Headers: headersOf(r), ContentType: kind, Body: strings.NewReader(""), Size: 0}); err != nil {
		return err
	}
	return r.reply(struct {
		XMLName     xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ InitiateMultipartUploadResult"`
		Bucket, Key string
		UploadID    string `xml:"UploadId"`
	}{Bucket: r.bucket, Key: r.key, UploadID: id})
}

// upload finds the upload that a request is about.
func (h *Handler) uploadOf(ctx context.Context, r *request) (id string, marker *control.Content, err error) {
	id = r.URL.Query().Get("uploadId")
	if !uploadID.MatchString(id) {
		return "", nil, noUpload()
	}
	marker, err = h.c.OpenObject(ctx, r.marker(id), "HEAD", true)
	if fault.Is(err, fault.NotFound) {
		if _, err := h.bucket(ctx, r, "HEAD"); err != nil {
			return "", nil, err
		}
		return id, nil, noUpload()
	}
	return id, marker, err
}

func partNumber(r *request) (int, error) {
	n, err := strconv.Atoi(r.URL.Query().Get("partNumber"))
	if err != nil || n < 1 || n > mostParts {
		return 0, invalid("InvalidArgument", "Part number must be an integer between 1 and %d, inclusive", mostParts)
	}
	return n, nil
}

// partOf is which part of which upload a request is about.
func (h *Handler) partOf(ctx context.Context, r *request) (n int, id string, err error) {
	if n, err = partNumber(r); err == nil {
		id, _, err = h.uploadOf(ctx, r)
	}
	return n, id, err
}

func (h *Handler) uploadPart(ctx context.Context, r *request) error {
	n, id, err := h.partOf(ctx, r)
	if err != nil {
		return err
	}
	up, err := h.upload(r)
	if err != nil {
		return err
	}
	o, err := h.c.PutObject(ctx, r.part(id, n), up)
	if err != nil {
		return err
	}
	if err := h.stillThere(ctx, r, id, n); err != nil {
		return err
	}
	r.w.Header().Set("Etag", `"`+o.ETag+`"`)
	r.w.WriteHeader(http.StatusOK)
	return nil
}

// stillThere takes a part back whose upload was ended while it came.
func (h *Handler) stillThere(ctx context.Context, r *request, id string, n int) error {
	_, _, err := h.uploadOf(ctx, r)
	if err == nil || !isCode(err, "NoSuchUpload") {
		return err
	}
	if used, e := h.uses(ctx, r, id); e != nil || used {
		return err
	}
	if e := h.c.DeleteObject(ctx, r.part(id, n)); e != nil && !fault.Is(e, fault.NotFound) {
		return e
	}
	return err
}

func (h *Handler) copyPart(ctx context.Context, r *request) error {
	n, id, err := h.partOf(ctx, r)
	if err != nil {
		return err
	}
	from, err := source(r)
	if err != nil {
		return err
	}
	t, err := h.c.OpenObject(ctx, from, "GET", false)
	if err != nil {
		return h.noKey(ctx, &request{Request: r.Request, signed: r.signed, account: r.account, bucket: from.Container}, err)
	}
	if err := sourceConditions(r, t); err != nil {
		return err
	}
	offset, length := int64(0), t.Size
	if text := r.Header.Get("X-Amz-Copy-Source-Range"); text != "" {
		var last int64
		if n, err := fmt.Sscanf(text, "bytes=%d-%d", &offset, &last); err != nil || n != 2 || offset < 0 || last < offset || last >= t.Size {
			return invalid("InvalidArgument", "The x-amz-copy-source-range value must be of the form bytes=first-last, within the source.")
		}
		length = last - offset + 1
	}
	body, err := t.Range(ctx, offset, length)
	if err != nil {
		return err
	}
	defer body.Close()
	o, err := h.c.PutObject(ctx, r.part(id, n), control.Upload{Headers: object.Headers{}, Body: body, Size: length})
	if err != nil {
		return err
	}
	if err := h.stillThere(ctx, r, id, n); err != nil {
		return err
	}
	return r.reply(struct {
		XMLName      xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CopyPartResult"`
		LastModified string
		ETag         string
	}{LastModified: when(o.CreatedAt), ETag: `"` + o.ETag + `"`})
}

// partsOf lists the parts that an upload has, by their numbers.
func (h *Handler) partsOf(ctx context.Context, r *request, id string) (map[int]*object.Object, error) {
	at, all := r.marker(id), map[int]*object.Object{}
	for l := (control.Listing{Limit: mostListed, Prefix: at.Object + "/"}); ; {
		_, entries, err := h.c.ListObjects(ctx, object.Path{Account: at.Account, Container: at.Container}, l)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			l.Marker = e.Object.Name
			if n, err := strconv.Atoi(strings.TrimPrefix(e.Object.Name, l.Prefix)); err == nil {
				all[n] = e.Object
			}
		}
		if len(entries) < l.Limit {
			return all, nil
		}
	}
}

func (h *Handler) listParts(ctx context.Context, r *request) error {
	id, _, err := h.uploadOf(ctx, r)
	if err != nil {
		return err
	}
	most, err := number(r.URL.Query(), "max-parts")
	if err != nil {
		return err
	}
	after, _ := strconv.Atoi(r.URL.Query().Get("part-number-marker")) // what is no number is the beginning
	parts, err := h.partsOf(ctx, r, id)
	if err != nil {
		return err
	}
	type part struct {
		PartNumber         int
		LastModified, ETag string
		Size               int64
	}
	out := struct {
		XMLName              xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ ListPartsResult"`
		Bucket, Key          string
		UploadID             string `xml:"UploadId"`
		Initiator, Owner     ownerView
		StorageClass         string
		PartNumberMarker     int
		NextPartNumberMarker int
		MaxParts             int
		IsTruncated          bool
		Part                 []part
	}{Bucket: r.bucket, Key: r.key, UploadID: id, Initiator: r.owner(), Owner: r.owner(), StorageClass: "STANDARD", PartNumberMarker: after, MaxParts: most}
	for _, n := range slices.Sorted(maps.Keys(parts)) {
		if n <= after {
			continue
		}
		if len(out.Part) == most {
			out.IsTruncated = true
			break
		}
		out.NextPartNumberMarker = n
		out.Part = append(out.Part, part{n, when(parts[n].CreatedAt), `"` + parts[n].ETag + `"`, parts[n].Size})
	}
	return r.reply(out)
}

type completed struct {
	PartNumber int
	ETag       string
}

func (h *Handler) completeUpload(ctx context.Context, r *request) error {
	var in struct {
		Part []completed
	}
	if err := h.decode(r, &in); err != nil {
		return err
	}
	if len(in.Part) == 0 || len(in.Part) > mostParts {
		return invalid("MalformedXML", "An upload is completed of between 1 and %d parts.", mostParts)
	}
	id, marker, err := h.uploadOf(ctx, r)
	if isCode(err, "NoSuchUpload") && id != "" { // it may be that the answer was lost
		if used, e := h.uses(ctx, r, id); e == nil && used {
			return h.wasCompleted(ctx, r)
		}
	}
	if err != nil {
		return err
	}
	wanted, tag, err := h.wanted(ctx, r, id, in.Part)
	if err != nil {
		return err
	}
	old, err := h.parts(ctx, r.path())
	if err != nil {
		return err
	}
	headers := maps.Clone(marker.Headers)
	headers[object.S3ETag] = tag
	if err := h.assemble(ctx, r, wanted, control.Upload{Headers: headers, ContentType: marker.ContentType, Parts: true}); err != nil {
		return err
	}
	if err := h.c.DeleteObject(ctx, r.marker(id)); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	h.drop(ctx, r.path(), slices.DeleteFunc(old, func(p object.Path) bool { return strings.HasPrefix(p.Object, r.marker(id).Object+"/") }))
	h.dropUnused(ctx, r, id, wanted)
	return r.completed(tag)
}

// assemble makes an object of parts. Where none has a byte, it has none.
func (h *Handler) assemble(ctx context.Context, r *request, wanted []control.Wanted, up control.Upload) error {
	if len(wanted) == 0 {
		up.Body = strings.NewReader("")
		_, err := h.c.PutObject(ctx, r.path(), up)
		return noBucket(err)
	}
	_, refused, err := h.c.PutLarge(ctx, r.path(), wanted, up)
	if refused != nil {
		return invalid("InvalidPart", "One or more of the specified parts could not be found: %s.", refused[0].Why)
	}
	return noBucket(err)
}

func (r *request) completed(tag string) error {
	return r.reply(struct {
		XMLName               xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ CompleteMultipartUploadResult"`
		Location, Bucket, Key string
		ETag                  string
	}{Location: "http://" + r.Host + (&url.URL{Path: r.URL.Path}).EscapedPath(), Bucket: r.bucket, Key: r.key, ETag: `"` + tag + `"`})
}

// wasCompleted answers as the first time.
func (h *Handler) wasCompleted(ctx context.Context, r *request) error {
	t, err := h.c.OpenObject(ctx, r.path(), "HEAD", true)
	if err != nil {
		return err
	}
	return r.completed(tagOf(&t.Object))
}

// wanted are the segments of what is completed, and its entity tag: the MD5 sum of the
// parts' sums, and their number.
func (h *Handler) wanted(ctx context.Context, r *request, id string, list []completed) ([]control.Wanted, string, error) {
	parts, err := h.partsOf(ctx, r, id)
	if err != nil {
		return nil, "", err
	}
	sum := md5.New()
	var wanted []control.Wanted
	for i, c := range list {
		if i > 0 && c.PartNumber <= list[i-1].PartNumber {
			return nil, "", invalid("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.")
		}
		p := parts[c.PartNumber]
		if p == nil || !strings.EqualFold(strings.Trim(c.ETag, `"`), p.ETag) {
			return nil, "", invalid("InvalidPart", "One or more of the specified parts could not be found. The part might not have been uploaded, or the specified entity tag might not have matched the part's entity tag.")
		}
		if p.Size < minPart && i < len(list)-1 {
			return nil, "", invalid("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size: all parts but the last have %d bytes at least.", minPart)
		}
		raw, err := hex.DecodeString(p.ETag)
		if err != nil {
			return nil, "", err
		}
		sum.Write(raw)
		if p.Size == 0 { // a segment has bytes; the last part of an upload may have none
			continue
		}
		at := r.part(id, c.PartNumber)
		wanted = append(wanted, control.Wanted{Path: "/" + at.Container + "/" + at.Object, ETag: p.ETag, Size: &p.Size})
	}
	return wanted, fmt.Sprintf("%x-%d", sum.Sum(nil), len(list)), nil
}

func (h *Handler) abortUpload(ctx context.Context, r *request) error {
	id, _, err := h.uploadOf(ctx, r)
	if err != nil {
		return err
	}
	// It may have been completed by a process that died before the marker was gone.
	used, err := h.uses(ctx, r, id)
	if err != nil {
		return err
	}
	if err := h.c.DeleteObject(ctx, r.marker(id)); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if !used {
		h.dropUnused(ctx, r, id, nil)
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

// uses reports whether the object of a request is made of an upload's parts.
func (h *Handler) uses(ctx context.Context, r *request, id string) (bool, error) {
	parts, err := h.parts(ctx, r.path())
	return len(parts) > 0 && strings.HasPrefix(parts[0].Object, r.marker(id).Object+"/"), err
}

// parts are those that an object is made of which was uploaded in parts here.
func (h *Handler) parts(ctx context.Context, p object.Path) ([]object.Path, error) {
	t, err := h.c.OpenObject(ctx, p, "HEAD", true)
	if fault.Is(err, fault.NotFound) || err == nil && (t.Large == nil || t.Headers[object.S3ETag] == "") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := h.c.Segments(ctx, p, &t.Object)
	var all []object.Path
	for _, s := range list {
		if name, ok := strings.CutPrefix(s.Path, "/"+p.Container+segments+"/"+p.Object+"/"); ok {
			all = append(all, object.Path{Account: p.Account, Container: p.Container + segments, Object: p.Object + "/" + name})
		}
	}
	return all, err
}

// drop deletes parts of an object that is no longer made of them. What cannot be
// deleted now stays in the container of parts, where its owner sees it.
func (h *Handler) drop(ctx context.Context, p object.Path, parts []object.Path) {
	ctx = context.WithoutCancel(ctx)
	for _, at := range parts {
		if err := h.c.DeleteObject(ctx, at); err != nil && !fault.Is(err, fault.NotFound) {
			h.o.Log.Warn("s3: a part of an object that was replaced is left over", "object", p.String(), "part", at.String(), "error", err)
		}
	}
}

// dropUnused deletes the parts of an upload that nothing was made of.
func (h *Handler) dropUnused(ctx context.Context, r *request, id string, wanted []control.Wanted) {
	ctx = context.WithoutCancel(ctx)
	parts, err := h.partsOf(ctx, r, id)
	if err != nil {
		h.o.Log.Warn("s3: parts of an upload that has ended may be left over", "upload", r.marker(id).String(), "error", err)
		return
	}
	used := map[string]bool{}
	for _, w := range wanted {
		used[w.Path] = true
	}
	var unused []object.Path
	for n := range parts {
		if at := r.part(id, n); !used["/"+at.Container+"/"+at.Object] {
			unused = append(unused, at)
		}
	}
	h.drop(ctx, r.path(), unused)
}
