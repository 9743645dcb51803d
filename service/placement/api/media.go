package api

import (
	"bytes"
	"encoding/json"
	"html"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"kilonova/internal/fault"
	"kilonova/internal/rest"
)

// checkMedia judges the headers that say what is sent and what is wanted.
func checkMedia(r *rest.Request, takesJSON, givesJSON bool) error {
	if length := r.Header.Get("Content-Length"); length != "" {
		if _, err := strconv.ParseInt(length, 10, 64); err != nil {
			return fault.Invalidf("content-length header must be an integer")
		}
	}
	sent := r.Header.Get("Content-Type")
	if sent == "" && r.ContentLength > 0 {
		return fault.Invalidf("content-type header required when content-length > 0")
	}
	if takesJSON {
		if kind, _, err := mime.ParseMediaType(sent); err != nil || kind != "application/json" {
			if sent == "" {
				sent = "None"
			}
			return fault.New(fault.UnsupportedMedia, "The media type %.128s is not supported, use application/json", sent)
		}
	}
	if givesJSON && !accepts(r.Header.Get("Accept"), "application", "json") {
		return fault.New(fault.NotAcceptable, "Only application/json is provided")
	}
	return nil
}

// accepts reports whether an Accept header lets a media type through; an absent
// one lets all through.
func accepts(header, kind, subtype string) bool {
	if strings.TrimSpace(header) == "" {
		return true
	}
	for part := range strings.SplitSeq(header, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil && q == 0 {
			continue
		}
		if name == "*/*" || name == kind+"/*" || name == kind+"/"+subtype {
			return true
		}
	}
	return false
}

// checkText refuses what no database would take for a text.
func checkText(r *rest.Request) error {
	if !isText(r.URL.Path) {
		return fault.NotFoundf("The resource could not be found.")
	}
	for key, values := range r.Query {
		for _, v := range append(values, key) {
			if !isText(v) {
				return fault.Invalidf("Invalid query string parameters: they are not valid UTF-8 text.")
			}
		}
	}
	return nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// envelope is placement's dress for a fault: {"errors": [{…}]}, with a code since
// version 1.23. Who wants a page and no JSON gets one.
func envelope(r *http.Request, status int, f *fault.Error, requestID string) ([]byte, string) {
	detail := f.Message
	version, err := askedVersion(r)
	if err != nil {
		detail = err.Error()
	}
	title := http.StatusText(status)
	if accept := r.Header.Get("Accept"); !accepts(accept, "application", "json") && accepts(accept, "text", "html") {
		return []byte("<html>\n <head>\n  <title>" + strconv.Itoa(status) + " " + title + "</title>\n </head>\n <body>\n  <h1>" +
			strconv.Itoa(status) + " " + title + "</h1>\n  " + html.EscapeString(detail) + "\n </body>\n</html>"), "text/html; charset=UTF-8"
	}
	body := map[string]any{"status": status, "title": title, "detail": detail, "request_id": requestID}
	if err == nil && version.AtLeast("1.23") {
		body["code"] = f.Code
		if f.Code == "" {
			body["code"] = "placement.undefined_code"
		}
	}
	if err != nil && status == http.StatusNotAcceptable {
		body["min_version"], body["max_version"] = versions[0].String(), versions[len(versions)-1].String()
	}
	var data bytes.Buffer
	enc := json.NewEncoder(&data)
	enc.SetEscapeHTML(false) // ">= 1" is read by people
	if err := enc.Encode(map[string]any{"errors": []any{body}}); err != nil {
		return []byte(`{"errors": []}`), "application/json"
	}
	return bytes.TrimSpace(data.Bytes()), "application/json"
}

// askedVersion reads the version that a request asks for once more, for a fault
// has none; its error is in the words that placement's clients know.
func askedVersion(r *http.Request) (rest.Version, error) {
	lowest, highest := versions[0], versions[len(versions)-1]
	asked := ""
	for _, header := range r.Header.Values("OpenStack-API-Version") {
		for part := range strings.SplitSeq(header, ",") {
			if name, v, ok := strings.Cut(strings.TrimSpace(part), " "); ok && strings.EqualFold(name, "placement") {
				asked = strings.TrimSpace(v)
			}
		}
	}
	switch asked {
	case "":
		return lowest, nil
	case "latest":
		return highest, nil
	}
	v, err := rest.ParseVersion(asked)
	if err != nil {
		return v, fault.Invalidf("invalid version string: %.64s", asked)
	}
	if v.Less(lowest) || highest.Less(v) {
		return v, fault.Invalidf("Unacceptable version header: %s", asked)
	}
	return v, nil
}
