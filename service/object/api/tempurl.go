package api

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/object"
)

// tempURL checks the signature of an address that somebody with a key has made.
func (a *api) tempURL(ctx context.Context, r *rest.Request) (context.Context, error) {
	refused := fault.New(fault.Unauthenticated, "Temp URL invalid")
	p, q := pathOf(r), r.Query
	expires, ok := expiry(q.Get("temp_url_expires"))
	if p.Object == "" || !ok || a.c.Now().Unix() > expires || q.Get("temp_url_sig") == "" || q.Has("temp_url_ip_range") || !slices.Contains(a.o.TempURL.Methods, r.Method) {
		return nil, refused
	}
	methods := []string{r.Method}
	if r.Method == http.MethodHead { // who may read or write may also look
		methods = []string{"HEAD", "GET", "PUT", "POST"}
	}
	var texts []string
	for _, at := range a.spellings(r, p) {
		if q.Has("temp_url_prefix") {
			prefix := q.Get("temp_url_prefix")
			if !strings.HasPrefix(p.Object, prefix) {
				return nil, refused
			}
			at = "prefix:" + strings.TrimSuffix(at, p.Object) + prefix
		}
		for _, m := range methods {
			texts = append(texts, m+"\n"+strconv.FormatInt(expires, 10)+"\n"+at)
		}
	}
	signed, err := a.c.Signed(ctx, p, q.Get("temp_url_sig"), texts)
	if err != nil {
		return nil, err
	}
	// A manifest or an archive could name what the key's owner did not mean.
	if slices.Contains([]string{"PUT", "POST"}, r.Method) && (headersOf(r)[object.Manifest] != "" || r.Header.Get("X-Copy-From") != "" || q.Has("multipart-manifest") || q.Has("extract-archive")) {
		return nil, fault.Invalidf("The header or query is not allowed with a temporary URL.")
	}
	return signed, nil
}

// spellings are the paths that a client may mean: with what stands before /v1 where it
// has reached us, and without.
func (a *api) spellings(r *rest.Request, p object.Path) []string {
	short := "/v1" + p.String()
	all := []string{short}
	if u, err := url.Parse(r.Link("")); err == nil && u.Path != "" {
		all = append(all, u.Path+short)
	}
	return all
}

// expiry reads seconds since 1970, or a time in ISO 8601.
func expiry(text string) (int64, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	for _, layout := range []string{"2006-01-02T15:04:05Z", "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.Unix(), true
		}
	}
	return 0, false
}

// disposition says how browsers shall keep what they get by a temporary URL, and when
// that ends.
func disposition(resp *rest.Response, r *rest.Request) {
	if resp.Status >= 300 {
		return
	}
	if expires, ok := expiry(r.Query.Get("temp_url_expires")); ok {
		resp.With("Expires", time.Unix(expires, 0).UTC().Format(http.TimeFormat))
	}
	for name := range resp.Header {
		if strings.HasPrefix(name, "X-Object-Meta-") && !strings.HasPrefix(name, "X-Object-Meta-Public-") {
			resp.Header.Del(name)
		}
	}
	name := r.Query.Get("filename")
	inline := r.Query.Has("inline")
	if name == "" {
		if resp.Header.Get("Content-Disposition") != "" || inline {
			if inline {
				resp.With("Content-Disposition", "inline")
			}
			return
		}
		name = path.Base(r.Path("object"))
	}
	kind := "attachment"
	if inline {
		kind = "inline"
	}
	value := mime.FormatMediaType(kind, map[string]string{"filename": name})
	// As upstream writes it: quoted, and again for those who read more than ASCII.
	if quoted := strconv.QuoteToASCII(name); quoted == `"`+name+`"` {
		value = kind + `; filename=` + quoted + `; filename*=UTF-8''` + url.PathEscape(name)
	}
	resp.With("Content-Disposition", value)
}
