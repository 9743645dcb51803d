package api

import (
	"bytes"
	"context"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
	"kilonova/service/object"
	"kilonova/service/object/control"
)

// webPrefix begins the metadata that make a container a web site.
const webPrefix = "X-Container-Meta-Web-"

// site is how a container looks to browsers, nil if it is none: then it is a list for
// programs, as it is for all who come with a token.
func (a *api) site(ctx context.Context, r *rest.Request) (object.Headers, error) {
	if r.Method != "GET" && r.Method != "HEAD" || r.Header.Get("X-Auth-Token") != "" && !isTrue(r.Header.Get("X-Web-Mode")) || r.Query.Has("temp_url_sig") {
		return nil, nil
	}
	h, err := a.c.Shown(ctx, pathOf(r), webPrefix)
	if fault.Is(err, fault.NotFound) || len(h) == 0 {
		return nil, nil
	}
	return h, err
}

// web answers for a container that is a web site: with its index, or a page that lists
// what is in it. nil: it is none.
func (a *api) web(ctx context.Context, r *rest.Request) (*rest.Response, error) {
	h, err := a.site(ctx, r)
	if err != nil || h == nil || h[webPrefix+"Index"] == "" && !isTrue(h[webPrefix+"Listings"]) {
		return nil, err
	}
	if !strings.HasSuffix(r.URL.Path, "/") { // or links in the page would lead beside it
		return a.webRedirect(r), nil
	}
	return a.webFolder(ctx, r, h, "")
}

func (a *api) webRedirect(r *rest.Request) *rest.Response {
	return answer(http.StatusMovedPermanently).With("Location", r.Link((&url.URL{Path: r.URL.Path + "/"}).EscapedPath()))
}

// webFolder answers for a folder of a web site.
func (a *api) webFolder(ctx context.Context, r *rest.Request, h object.Headers, folder string) (*rest.Response, error) {
	p := pathOf(r)
	if index := h[webPrefix+"Index"]; index != "" {
		p.Object = folder + index
		t, err := a.c.OpenObject(ctx, p, r.Method, false)
		if err == nil {
			return deliverTo(ctx, r, t)
		}
		if !fault.Is(err, fault.NotFound) {
			return a.webError(ctx, r, h, err)
		}
	}
	if !isTrue(h[webPrefix+"Listings"]) {
		return a.webError(ctx, r, h, fault.NotFoundf("The resource could not be found."))
	}
	box, entries, err := a.c.ListObjects(ctx, p, control.Listing{Limit: -1, Prefix: folder, Delimiter: "/"})
	if err != nil {
		return a.webError(ctx, r, h, err)
	}
	if len(entries) == 0 && folder != "" {
		return a.webError(ctx, r, h, fault.NotFoundf("The resource could not be found."))
	}
	return containerHead(bytesOf(200, "text/html; charset=UTF-8", webList(r, h, folder, entries)), box), nil
}

// webList is a page that lists a folder.
func webList(r *rest.Request, h object.Headers, folder string, entries []control.Entry) []byte {
	var b bytes.Buffer
	title := html.EscapeString("Listing of " + r.URL.Path)
	b.WriteString("<!DOCTYPE html>\n<html>\n <head>\n  <title>" + title + "</title>\n")
	if css := h[webPrefix+"Listings-Css"]; css != "" {
		b.WriteString(`  <link rel="stylesheet" type="text/css" href="` + html.EscapeString(strings.Repeat("../", strings.Count(folder, "/"))+css) + "\" />\n")
	}
	b.WriteString(" </head>\n <body>\n  <h1 id=\"title\">" + title + "</h1>\n  <table id=\"listing\">\n   <tr id=\"heading\"><th class=\"colname\">Name</th><th class=\"colsize\">Size</th><th class=\"coldate\">Date</th></tr>\n")
	if folder != "" {
		b.WriteString("   <tr id=\"parent\" class=\"item\"><td class=\"colname\"><a href=\"../\">../</a></td><td class=\"colsize\">&nbsp;</td><td class=\"coldate\">&nbsp;</td></tr>\n")
	}
	for _, e := range entries {
		name := strings.TrimPrefix(e.Name(), folder)
		link := html.EscapeString((&url.URL{Path: "./" + name}).EscapedPath())
		size, date, class := "&nbsp;", "&nbsp;", "item subdir"
		if e.Object != nil {
			size, date, class = strconv.FormatInt(e.Object.Length(), 10), e.Object.CreatedAt.UTC().Format("2006-01-02 15:04:05"), "item"
		}
		b.WriteString(`   <tr class="` + class + `"><td class="colname"><a href="` + link + `">` + html.EscapeString(name) + `</a></td><td class="colsize">` + size + `</td><td class="coldate">` + date + "</td></tr>\n")
	}
	b.WriteString("  </table>\n </body>\n</html>\n")
	return b.Bytes()
}

// webMissing answers for an object of a web site that is not there: it may be a
// folder. nil: it is no web site's.
func (a *api) webMissing(ctx context.Context, r *rest.Request, why error) (*rest.Response, error) {
	h, err := a.site(ctx, r)
	if err != nil || h == nil {
		return nil, err
	}
	name := r.Path("object")
	if !fault.Is(why, fault.NotFound) {
		return a.webError(ctx, r, h, why)
	}
	if strings.HasSuffix(name, "/") {
		return a.webFolder(ctx, r, h, name)
	}
	_, entries, err := a.c.ListObjects(ctx, pathOf(r), control.Listing{Limit: 1, Prefix: name + "/"})
	if err == nil && len(entries) > 0 {
		return a.webRedirect(r), nil
	}
	return a.webError(ctx, r, h, why)
}

// webError answers with the site's own page for a failure, where it has one.
func (a *api) webError(ctx context.Context, r *rest.Request, h object.Headers, why error) (*rest.Response, error) {
	name := h[webPrefix+"Error"]
	if name == "" {
		return nil, why
	}
	p := pathOf(r)
	p.Object = strconv.Itoa(rest.Status(why)) + name
	t, err := a.c.OpenObject(ctx, p, "GET", false)
	if err != nil {
		return nil, why
	}
	r.Header.Del("Range")
	resp, err := deliverTo(ctx, r, t)
	if err == nil && resp.Status == 200 {
		resp.Status = rest.Status(why)
	}
	return resp, err
}
