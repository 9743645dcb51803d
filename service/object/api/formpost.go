package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/object"
	"kilonova/service/object/control"
)

// isForm reports whether a browser's form is sent.
func isForm(r *rest.Request) bool {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "multipart/form-data" && params["boundary"] != ""
}

const (
	mostFields = 1000
	fieldSize  = 8192 // bytes of a field that is no file
)

// form takes the files of a form that somebody with a key has made. The fields that
// say what may be sent, and the signature under them, come before the files.
func (a *api) form(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	r.Patience(a.stall)
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, fault.Invalidf("Invalid Content-Type")
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	fields, files := map[string]string{}, 0
	var signed context.Context
	for n := 0; ; n++ {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || n > mostFields {
			return nil, fault.Invalidf("invalid start boundary, or too many fields")
		}
		if part.FileName() == "" {
			data, err := io.ReadAll(io.LimitReader(part, fieldSize+1))
			if err != nil || len(data) > fieldSize {
				return nil, fault.Invalidf("A field of the form is too long.")
			}
			fields[part.FormName()] = string(data)
			continue
		}
		if signed == nil {
			if signed, err = a.signedForm(ctx, r, fields); err != nil {
				return nil, err
			}
		}
		if files++; limitOf(fields["max_file_count"]) < int64(files) {
			return a.formAnswer(fields, 400, "max file count exceeded"), nil
		}
		if err := a.formFile(signed, r, fields, part); err != nil {
			return a.formAnswer(fields, rest.Status(err), err.Error()), nil
		}
	}
	if files == 0 {
		return a.formAnswer(fields, 400, "no files to process"), nil
	}
	return a.formAnswer(fields, 201, ""), nil
}

func limitOf(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// signedForm checks the signature under a form's limits.
func (a *api) signedForm(ctx context.Context, r *rest.Request, f map[string]string) (context.Context, error) {
	for _, name := range []string{"max_file_size", "max_file_count"} {
		if _, err := strconv.ParseInt(f[name], 10, 64); err != nil {
			return nil, fault.Invalidf("FormPost: %s not an integer", name)
		}
	}
	expires, err := strconv.ParseInt(f["expires"], 10, 64)
	if err != nil {
		return nil, fault.Invalidf("FormPost: expired not an integer")
	}
	if expires < a.c.Now().Unix() {
		return nil, fault.New(fault.Unauthenticated, "FormPost: Form Expired")
	}
	var texts []string
	for _, at := range a.spellings(r, pathOf(r)) {
		texts = append(texts, at+"\n"+f["redirect"]+"\n"+f["max_file_size"]+"\n"+f["max_file_count"]+"\n"+f["expires"])
	}
	signed, err := a.c.Signed(ctx, pathOf(r), f["signature"], texts)
	if fault.Is(err, fault.Unauthenticated) {
		err = fault.New(fault.Unauthenticated, "FormPost: Invalid Signature")
	}
	return signed, err
}

func (a *api) formFile(ctx context.Context, r *rest.Request, f map[string]string, part *multipart.Part) error {
	p := pathOf(r)
	// part.FileName is without folders; what is before it is the form's to say.
	p.Object += part.FileName()
	headers := object.Headers{}
	for field, header := range map[string]string{"x_delete_at": "X-Delete-At", "x_delete_after": "X-Delete-After"} {
		if f[field] != "" {
			headers[header] = f[field]
		}
	}
	for field, header := range map[string]string{"Content-Encoding": object.ContentEncoding} {
		if v := part.Header.Get(field); v != "" {
			headers[header] = v
		}
	}
	_, err := a.c.PutObject(ctx, p, control.Upload{Headers: headers, ContentType: part.Header.Get("Content-Type"), Size: -1, Body: &bounded{part, limitOf(f["max_file_size"])}})
	return err
}

// bounded fails when more comes than there may be.
type bounded struct {
	from io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fault.New(fault.TooLarge, "max_file_size exceeded")
	}
	return n, err
}

// formAnswer tells the browser, or sends it on to where the form says.
func (a *api) formAnswer(f map[string]string, status int, message string) *rest.Response {
	to := f["redirect"]
	if to == "" {
		return bytesOf(status, "text/html; charset=UTF-8", []byte("<h1>"+strconv.Itoa(status)+" "+http.StatusText(status)+"</h1>FormPost: "+message))
	}
	sep := "?"
	if strings.Contains(to, "?") {
		sep = "&"
	}
	to += sep + "status=" + strconv.Itoa(status) + "&message=" + url.QueryEscape(message)
	return answer(http.StatusSeeOther).With("Location", to)
}
