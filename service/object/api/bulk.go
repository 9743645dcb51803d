package api

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/object"
	"kilonova/service/object/control"
)

// bulkAnswer is what upstream's bulk operations say at their end. The status of the
// request itself is 200 all the same.
type bulkAnswer struct {
	format format
	counts [][2]any // names and numbers
	status string
	body   string
	errors [][2]string
}

func newBulk(r *rest.Request) *bulkAnswer {
	b := &bulkAnswer{format: plain, status: "200 OK"}
	if f, err := formatOf(r); err == nil {
		b.format = f
	}
	return b
}

func statusText(err error) string {
	code := rest.Status(err)
	return fmt.Sprintf("%d %s", code, http.StatusText(code))
}

func (b *bulkAnswer) fail(what string, err error) {
	b.errors = append(b.errors, [2]string{(&url.URL{Path: what}).EscapedPath(), statusText(err)})
	b.status = "400 Bad Request"
}

func (b *bulkAnswer) response() *rest.Response {
	switch b.format {
	case asJSON:
		body := map[string]any{"Response Status": b.status, "Response Body": b.body, "Errors": b.errors}
		if b.errors == nil {
			body["Errors"] = []string{}
		}
		for _, c := range b.counts {
			body[c[0].(string)] = c[1]
		}
		data, _ := json.Marshal(body)
		return bytesOf(200, "application/json", data)
	case asXML, oldXML:
		var x bytes.Buffer
		put := func(name, value string) {
			name = strings.ReplaceAll(strings.ToLower(name), " ", "_")
			x.WriteString("<" + name + ">")
			_ = xml.EscapeText(&x, []byte(value)) // to memory
			x.WriteString("</" + name + ">\n")
		}
		x.WriteString("<delete>\n")
		for _, c := range b.counts {
			put(c[0].(string), fmt.Sprint(c[1]))
		}
		put("Response Status", b.status)
		put("Response Body", b.body)
		x.WriteString("<errors>\n")
		for _, e := range b.errors {
			x.WriteString("<object>")
			put("name", e[0])
			put("status", e[1])
			x.WriteString("</object>\n")
		}
		x.WriteString("</errors>\n</delete>\n")
		return bytesOf(200, "application/xml", x.Bytes())
	}
	var t strings.Builder
	for _, c := range b.counts {
		fmt.Fprintf(&t, "%s: %v\n", c[0], c[1])
	}
	fmt.Fprintf(&t, "Response Body: %s\nResponse Status: %s\nErrors:\n", b.body, b.status)
	for _, e := range b.errors {
		fmt.Fprintf(&t, "%s, %s\n", e[0], e[1])
	}
	return bytesOf(200, "text/plain", []byte(t.String()))
}

// deletion is the deletion of many.
type deletion struct {
	a                 *api
	b                 *bulkAnswer
	deleted, notFound int
}

func newDeletion(a *api, r *rest.Request) *deletion { return &deletion{a: a, b: newBulk(r)} }

func (d *deletion) delete(ctx context.Context, p object.Path) {
	var err error
	if p.Object == "" {
		err = d.a.c.DeleteContainer(ctx, p)
	} else {
		err = d.a.c.DeleteObject(ctx, p)
	}
	switch {
	case err == nil:
		d.deleted++
	case fault.Is(err, fault.NotFound):
		d.notFound++
	default:
		d.b.fail(strings.TrimPrefix(p.String(), "/"+p.Account), err)
	}
}

func (d *deletion) answer(*rest.Request) (*rest.Response, error) {
	d.b.counts = [][2]any{{"Number Deleted", d.deleted}, {"Number Not Found", d.notFound}}
	if d.deleted+d.notFound == 0 && d.b.errors == nil {
		d.b.status, d.b.body = "400 Bad Request", "Invalid bulk delete."
	}
	return d.b.response(), nil
}

// bulkDelete deletes what the body names, a line each: escaped, with the container.
func (a *api) bulkDelete(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	r.Patience(a.stall)
	d := newDeletion(a, r)
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(make([]byte, 0, 4096), 3*(a.o.Constraints.MaxObjectNameLength+a.o.Constraints.MaxContainerNameLength)+2)
	for n := 0; lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			continue
		}
		if n++; n > a.o.Bulk.MaxDeletes {
			return nil, fault.New(fault.TooLarge, "Maximum Bulk Deletes: %d per request", a.o.Bulk.MaxDeletes)
		}
		plain, err := url.PathUnescape(line)
		container, name, _ := strings.Cut(strings.TrimPrefix(plain, "/"), "/")
		if err != nil || container == "" {
			d.b.fail(line, fault.Invalidf("It is no path."))
			continue
		}
		d.delete(ctx, object.Path{Account: r.Path("account"), Container: container, Object: name})
		if len(d.b.errors) >= a.o.Bulk.MaxFailed {
			d.b.body = "Max delete failures exceeded"
			break
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		d.b.fail("a line", fault.Invalidf("It is too long."))
	} else if err != nil {
		return nil, err
	}
	return d.answer(r)
}

// extract unpacks an archive into an account, into a container or under an object's
// name: each file becomes an object.
func (a *api) extract(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	r.Patience(a.stall)
	kind := strings.ToLower(r.Query.Get("extract-archive"))
	var archive io.Reader = r.Body
	b, files := newBulk(r), 0
	switch kind {
	case "tar":
	case "tar.gz":
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, fault.Invalidf("The archive is no gzip file.")
		}
		archive = unpacked
	case "tar.bz2":
		archive = bzip2.NewReader(r.Body)
	default:
		return nil, fault.Invalidf("Unsupported archive format")
	}
	made := map[string]bool{}
	for t := tar.NewReader(archive); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.status, b.body = "400 Bad Request", fmt.Sprintf("Invalid Tar File: %v", err)
			break
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		name := strings.TrimPrefix(strings.TrimPrefix(h.Name, "./"), "/")
		full := strings.TrimPrefix(r.Path("container")+"/", "/")
		if prefix := strings.TrimSuffix(r.Path("object"), "/"); prefix != "" {
			full += prefix + "/"
		}
		full += name
		if err := a.unpack(ctx, r, full, h, t, made); err != nil {
			if b.fail(full, err); len(b.errors) >= a.o.Bulk.MaxFailed || fault.Is(err, fault.Unauthenticated) {
				break
			}
			continue
		}
		files++
	}
	b.counts = [][2]any{{"Number Files Created", files}}
	if files == 0 && b.errors == nil && b.body == "" {
		b.status, b.body = "400 Bad Request", "Invalid Tar File: No Valid Files"
	}
	if files > 0 && b.errors == nil && b.body == "" {
		b.status = "201 Created"
	}
	return b.response(), nil
}

func (a *api) unpack(ctx context.Context, r *rest.Request, full string, h *tar.Header, data io.Reader, made map[string]bool) error {
	container, name, ok := strings.Cut(full, "/")
	if !ok || name == "" || container == "" {
		return fault.Invalidf("It is in no container.")
	}
	p := object.Path{Account: r.Path("account"), Container: container, Object: name}
	if !made[container] {
		if len(made) >= a.o.Bulk.MaxContainers {
			return fault.Invalidf("More than %d containers are to be made.", a.o.Bulk.MaxContainers)
		}
		if _, err := a.c.PutContainer(ctx, p, nil); err != nil && !fault.Is(err, fault.Forbidden) {
			return err
		}
		made[container] = true
	}
	_, err := a.c.PutObject(ctx, p, control.Upload{Headers: object.Headers{}, Body: data, Size: h.Size})
	return err
}
