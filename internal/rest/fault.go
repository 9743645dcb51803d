package rest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"kilonova/internal/fault"
)

// statuses is the one table between kinds of fault and HTTP.
var statuses = map[fault.Kind]int{
	fault.Internal:           http.StatusInternalServerError,
	fault.Invalid:            http.StatusBadRequest,
	fault.Unauthenticated:    http.StatusUnauthorized,
	fault.Forbidden:          http.StatusForbidden,
	fault.NotFound:           http.StatusNotFound,
	fault.Conflict:           http.StatusConflict,
	fault.OverLimit:          http.StatusForbidden, // quotas; rates are 429, see Status
	fault.Unavailable:        http.StatusServiceUnavailable,
	fault.Unsupported:        http.StatusNotImplemented,
	fault.TooLarge:           http.StatusRequestEntityTooLarge,
	fault.Gone:               http.StatusGone,
	fault.MethodNotAllowed:   http.StatusMethodNotAllowed,
	fault.NotAcceptable:      http.StatusNotAcceptable,
	fault.UnsupportedMedia:   http.StatusUnsupportedMediaType,
	fault.PreconditionFailed: http.StatusPreconditionFailed,
	fault.Unprocessable:      http.StatusUnprocessableEntity,
}

// Status returns the HTTP status of a fault. A rate that is used up, known by
// its RetryAfter, is 429.
func Status(err error) int {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.OverLimit && f.RetryAfter > 0 {
		return http.StatusTooManyRequests
	}
	return statuses[fault.KindOf(err)]
}

// kindOfStatus reads the table backwards.
func kindOfStatus(status int) fault.Kind {
	switch status {
	case http.StatusForbidden:
		return fault.Forbidden
	case http.StatusTooManyRequests:
		return fault.OverLimit
	case http.StatusUnprocessableEntity:
		return fault.Invalid
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return fault.Unavailable
	}
	for kind, s := range statuses {
		if s == status {
			return kind
		}
	}
	return fault.Internal
}

// Envelope is how a service dresses a fault: the body and its media type.
type Envelope func(r *http.Request, status int, f *fault.Error, requestID string) (body []byte, mediaType string)

// titles are the names of statuses as WebOb gives them.
func title(status int) string {
	switch status {
	case http.StatusInternalServerError:
		return "Internal Server Error"
	case http.StatusRequestEntityTooLarge:
		return "Request Entity Too Large"
	}
	return http.StatusText(status)
}

func jsonBody(v any) ([]byte, string) {
	data, err := json.Marshal(v)
	if err != nil {
		data = []byte(`{}`)
	}
	return data, "application/json"
}

// computeNames are the keys of the compute API's envelope.
var computeNames = map[int]string{400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
	409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented", 503: "serviceUnavailable"}

// ComputeEnvelope is {"itemNotFound": {"code": 404, "message": "…"}}.
func ComputeEnvelope(_ *http.Request, status int, f *fault.Error, _ string) ([]byte, string) {
	name := computeNames[status]
	if name == "" {
		name = "computeFault"
	}
	body := map[string]any{"code": status, "message": f.Message}
	if f.RetryAfter > 0 {
		body["retryAfter"] = strconv.Itoa(int(f.RetryAfter.Seconds()))
	}
	return jsonBody(map[string]any{name: body})
}

// IdentityEnvelope is {"error": {"code": 404, "message": "…", "title": "Not Found"}}.
func IdentityEnvelope(_ *http.Request, status int, f *fault.Error, _ string) ([]byte, string) {
	return jsonBody(map[string]any{"error": map[string]any{"code": status, "message": f.Message, "title": title(status)}})
}

// NetworkEnvelope is {"NeutronError": {"type": "PortNotFound", "message": "…", "detail": ""}}.
func NetworkEnvelope(_ *http.Request, status int, f *fault.Error, _ string) ([]byte, string) {
	code := f.Code
	if code == "" {
		code = "HTTP" + strings.ReplaceAll(title(status), " ", "")
	}
	return jsonBody(map[string]any{"NeutronError": map[string]any{"type": code, "message": f.Message, "detail": ""}})
}

// PlacementEnvelope is {"errors": [{"status": 404, "title": "…", "detail": "…", …}]}.
func PlacementEnvelope(_ *http.Request, status int, f *fault.Error, requestID string) ([]byte, string) {
	code := f.Code
	if code == "" {
		code = "placement.undefined_code"
	}
	return jsonBody(map[string]any{"errors": []any{map[string]any{"status": status, "title": title(status),
		"detail": f.Message, "code": code, "request_id": requestID}}})
}

// ImageEnvelope is what WebOb makes for the image API: JSON for those who ask
// for it, else a page.
func ImageEnvelope(r *http.Request, status int, f *fault.Error, _ string) ([]byte, string) {
	line := strconv.Itoa(status) + " " + title(status)
	if strings.Contains(r.Header.Get("Accept"), "json") {
		return jsonBody(map[string]any{"code": line, "title": title(status), "message": f.Message + "<br /><br />\n\n\n"})
	}
	text := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(f.Message)
	return []byte("<html>\n <head>\n  <title>" + line + "</title>\n </head>\n <body>\n  <h1>" + line + "</h1>\n  " + text +
		"<br /><br />\n\n\n\n </body>\n</html>"), "text/html; charset=UTF-8"
}

// maxFault bounds what is read of another service's refusal.
const maxFault = 64 << 10

// FaultOf reads the fault out of another service's answer, whatever envelope it
// came in. The caller closes the body.
func FaultOf(service string, resp *http.Response) *fault.Error {
	f := &fault.Error{Kind: kindOfStatus(resp.StatusCode)}
	data, _ := io.ReadAll(io.LimitReader(resp.Body, maxFault))
	f.Message, f.Code = messageIn(data)
	if f.Message == "" {
		f.Message = "The " + service + " service answered " + resp.Status + "."
	}
	return f
}

func messageIn(data []byte) (message, code string) {
	var body map[string]json.RawMessage
	if json.Unmarshal(data, &body) != nil {
		return "", ""
	}
	var plain struct {
		Message, Detail, Type, Code any
	}
	for key, raw := range body {
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) == nil && len(list) > 0 { // placement's errors
			raw = list[0]
		}
		if key == "message" || key == "code" || json.Unmarshal(raw, &plain) != nil {
			continue
		}
		for _, c := range []any{plain.Type, plain.Code} {
			if s, ok := c.(string); ok {
				code = s
			}
		}
		for _, m := range []any{plain.Message, plain.Detail} {
			if s, ok := m.(string); ok && s != "" {
				return s, code
			}
		}
	}
	if json.Unmarshal(data, &plain) == nil {
		if s, ok := plain.Message.(string); ok {
			return strings.TrimSpace(strings.ReplaceAll(s, "<br />", "")), ""
		}
	}
	return "", ""
}
